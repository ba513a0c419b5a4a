"""The papers, data and programs behind a calculation, as text or BibTeX."""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from importlib.metadata import PackageNotFoundError, version
from typing import Any, Final

from nuhf import resources
from nuhf.errors import InputError
from nuhf.experiments.region import Prepared
from nuhf.report.sources import Table, sources

__all__ = ["Citation", "bibtex", "citations", "package_version", "plain_text"]

_ARXIV: Final = re.compile(
    r"arXiv:\s?((?:[a-z-]+(?:\.[A-Z]{2})?/\d{7})|(?:\d{4}\.\d{4,5}))(?:v\d+)?"
)
_DOI: Final = re.compile(r"(?:doi:?\s?|DOI:?\s?|doi\.org/)(10\.\d{4,9}/[^\s,;]+)")
_NAME: Final = r"(?:[A-Z]\.[- ]?)+ ?(?:(?:de|di|van|von|der) )*[A-Z][\w'’-]+"
_AUTHORS: Final = re.compile(rf"((?:the )?[A-Z]\w+ Collaboration|{_NAME}(?:(?:, | and ){_NAME})*)")
#: what removed identifiers leave behind
_TIDY: Final = (
    (r"(\s*,)+", ","), (r"\(\s*[,;.]*\s*\)", ""), (r"\(\s*,\s*", "("), (r",\s*\(", " ("),
    (r",\s*\.", "."),
)  # fmt: skip
_FIELDS: Final = (
    "author", "title", "journal", "institution", "volume", "number", "pages", "year",
)  # fmt: skip
_TEX: Final = {"^": r"\textasciicircum{}", "~": r"\textasciitilde{}", "\\": r"\textbackslash{}"}
_REQUIRED: Final = {"key", "type", "author", "title"}
_SHOWN: Final = 4
"""How many sources of one table the text shows: an experiment's file has one for each number."""

_KNOWN: Final = {*_FIELDS, *_REQUIRED, "doi", "arxiv", "url"}


@dataclass(frozen=True)
class Citation:
    """Something to cite.

    Attributes
    ----------
    key : str
        Unique, valid in BibTeX.
    kind : str
        ``experiment``, ``data``, ``method`` or ``software``.
    type : str
        BibTeX type: ``article``, ``techreport``, ``software`` or ``misc``.
    fields : mapping
        BibTeX fields, plain text, without identifiers.
    doi, arxiv : str
        Identifiers, empty if there are none.
    used_for : tuple of str
        What of it the calculation uses: tables, experiments, steps.
    words : str
        The reference as a table or an experiment file states it, if ``references.toml`` has no
        bibliography of it.
    """

    key: str
    kind: str
    type: str
    fields: Mapping[str, str]
    doi: str = ""
    arxiv: str = ""
    used_for: tuple[str, ...] = ()
    words: str = ""

    @property
    def text(self) -> str:
        """One line for people, without identifiers."""
        if self.words:
            return self.words
        names = [_first_last(name) for name in self.fields["author"].split(" and ")]
        authors = ", ".join(names[:-1]) + (" and " if names[1:] else "") + names[-1]
        authors = _unbraced(authors.replace(" and others", " et al."))
        title, get = self.fields["title"], self.fields.get
        if self.type == "software":
            return f"{authors}, {' '.join(x for x in (title, get('version')) if x)}"
        place = " ".join(x for x in (get("journal") or get("institution"), get("volume")) if x)
        parts = (authors, title, place, get("pages") or get("number"))
        year = f" ({get('year')})" if get("year") else ""
        return ", ".join(x for x in parts if x) + year

    @property
    def links(self) -> tuple[tuple[str, str], ...]:
        """Pairs of label and address."""
        found = []
        if self.doi:
            found.append((f"doi:{self.doi}", f"https://doi.org/{self.doi}"))
        if self.arxiv:
            found.append((f"arXiv:{self.arxiv}", f"https://arxiv.org/abs/{self.arxiv}"))
        if not found and "url" in self.fields:
            found.append((self.fields["url"], self.fields["url"]))
        return tuple(found)

    def to_json(self) -> dict[str, Any]:
        """Return plain data."""
        return {
            "key": self.key,
            "kind": self.kind,
            "text": self.text,
            "doi": self.doi,
            "arxiv": self.arxiv,
            "used_for": list(self.used_for),
        }


def _first_last(author: str) -> str:
    """``Held, Alexander`` becomes ``Alexander Held``; ``others`` becomes ``others``."""
    last, _, first = author.partition(", ")
    return f"{first} {last}".strip()


def citations(experiments: Sequence[Prepared], steps: Iterable[str] = ()) -> list[Citation]:
    """Return what a calculation with these experiments rests on, each once.

    Parameters
    ----------
    experiments : sequence of Prepared
        Experiments with their analyses; their tables are found by their digests.
    steps : iterable of str
        What was done with them: ``delta-chi2``, ``cls``, ``feldman-cousins``, ``strength``,
        ``ranking``, ``minuit``, ``figures``.

    Raises
    ------
    InputError
        If a table cannot be read, or ``citations.toml`` or ``references.toml`` is broken.
    """
    found: list[Citation] = []
    known = _bibliography()
    for one in experiments:
        for reference in one.loaded.experiment.references:
            fields, words = _fields_of(reference.text)
            given = Citation(_key(reference.key), "experiment", "misc", fields, reference.doi,
                             reference.arxiv, (one.name,), words)  # fmt: skip
            _add(found, _completed(given, known))
    for one in experiments:
        for where, text in sources(one):
            for citation in _from_text(text, where):
                _add(found, _completed(citation, known))
    called = {"always", *steps}
    for one in experiments:
        called |= {signal.interaction for signal in one.templates}
        physics = one.loaded.experiment.physics
        called |= {physics.form_factor} if one.loaded.nuclides else set()
    for entry, when in _methods():
        if called & set(when):
            _add(found, entry)
    order = ("experiment", "data", "method", "software")
    return _unique_keys(sorted(found, key=lambda citation: order.index(citation.kind)))


def _add(found: list[Citation], new: Citation) -> None:
    """Append, or join with what has the same identifier or key."""
    for i, old in enumerate(found):
        same = (
            old.key == new.key
            or (new.doi and old.doi.lower() == new.doi.lower())
            or (new.arxiv and old.arxiv == new.arxiv)
        )
        if same:
            used = tuple(dict.fromkeys((*old.used_for, *new.used_for)))
            better = new if old.kind == "data" and new.kind == "method" else old
            doi = better.doi or old.doi or new.doi
            arxiv = better.arxiv or old.arxiv or new.arxiv
            found[i] = replace(better, used_for=used, doi=doi, arxiv=arxiv)
            return
    found.append(new)


def _unique_keys(found: Sequence[Citation]) -> list[Citation]:
    """Return the citations, keys that differ in case only made different by a number."""
    seen: dict[str, int] = {}
    result = []
    for citation in found:
        count = seen[citation.key.lower()] = seen.get(citation.key.lower(), 0) + 1
        result.append(citation if count == 1 else replace(citation, key=f"{citation.key}-{count}"))
    return result


# ------------------------------------------------------------------------ texts of the sources


def _from_text(text: str, where: str) -> Iterator[Citation]:
    """Yield a citation for every publication that the text of a source names."""
    before = ""
    for part in _parts(text):
        marks = _identifiers(part)
        starts = [0, *(end for _, _, end in marks[:-1])]
        ends = [*(end for _, _, end in marks[:-1]), len(part)]
        for i, (start, end) in enumerate(zip(starts, ends, strict=True)):
            fields, words = _fields_of(part[start:end])
            if before and "author" not in fields and "release" in words:
                words, fields["author"] = f"{before}, {words}", f"{{{before}}}"
            before = fields.get("author", before).strip("{}")
            doi, arxiv = marks[i][:2] if marks else ("", "")
            # a remark ("eq 7: sigma") has neither identifier nor year: it names no publication
            if marks or {"author", "year"} <= set(fields):
                key = f"arXiv:{arxiv}" if arxiv else f"doi:{doi}" if doi else part
                yield Citation(_key(key), "data", "misc", fields, doi, arxiv, (where,), words)


def _identifiers(text: str) -> list[tuple[str, str, int]]:
    """Return DOI, arXiv number and their end for every publication; two side by side are one."""
    marks = [(m.start(), m.end(), "", m[1]) for m in _ARXIV.finditer(text)]
    for match in _DOI.finditer(text):
        doi = _closed(match[1])
        marks.append((match.start(), match.start(1) + len(doi), doi, ""))
    found: list[tuple[str, str, int]] = []
    for start, end, doi, arxiv in sorted(marks):
        if found:
            old_doi, old_arxiv, last = found[-1]
            beside = text[last:start].strip() in (",", "")
            if beside and not (old_doi and doi) and not (old_arxiv and arxiv):
                found[-1] = (old_doi or doi, old_arxiv or arxiv, end)
                continue
        found.append((doi, arxiv, end))
    return found


def _parts(text: str) -> list[str]:
    """Split at semicolons outside parentheses."""
    parts, depth = [""], 0
    for character in text:
        depth += {"(": 1, ")": -1}.get(character, 0)
        if character == ";" and depth == 0:
            parts.append("")
        else:
            parts[-1] += character
    return [part.strip() for part in parts if part.strip()]


def _closed(doi: str) -> str:
    """Drop closing parentheses, stops and colons that belong to the sentence, not to the DOI."""
    doi = doi.rstrip(".:")
    while doi.endswith(")") and doi.count(")") > doi.count("("):
        doi = doi[:-1].rstrip(".:")
    return doi


def _fields_of(text: str) -> tuple[dict[str, str], str]:
    """Return BibTeX fields of a reference in words, authors and year if clear, and the words."""
    bare = re.sub(r"\s+", " ", _DOI.sub("", _ARXIV.sub("", text)))
    for pattern, new in _TIDY:
        bare = re.sub(pattern, new, bare)
    bare = bare.strip(" ,;:") or text
    fields = {}
    rest = bare
    authors = _AUTHORS.search(bare)
    if authors:
        names = authors[1].replace(", ", " and ")
        names = f"{{{names}}}" if names.endswith("Collaboration") else names
        more = bare[authors.end() :].startswith(" et al.")
        fields["author"] = f"{names} and others" if more else names
        rest = bare[authors.end() :].removeprefix(" et al.").strip(" ,")
    fields["title"] = rest or bare
    year = re.search(r"\((1[89]\d\d|20\d\d)\)", bare)
    if year:
        fields["year"] = year[1]
    return fields, bare


def _key(text: str) -> str:
    """Return a valid BibTeX key."""
    return re.sub(r"[^A-Za-z0-9:._/+-]+", "-", text).strip("-")[:60]


# ------------------------------------------------------------------------------- bibliography


def _entries(name: str, required: set[str], optional: set[str]) -> Iterator[dict[str, Any]]:
    """Yield the entries of a file of data/, their keys checked."""
    path = resources.find(name)
    for i, entry in enumerate(resources.read_toml(path).get("entries", [])):
        missing = (_REQUIRED | required) - set(entry)
        unknown = set(entry) - _KNOWN - required - optional
        if missing or unknown:
            raise InputError(
                f"{path}: entries[{i}]: missing {sorted(missing)}, unknown {sorted(unknown)}"
            )
        yield entry


def _citation(entry: Mapping[str, Any], kind: str, used_for: tuple[str, ...] = ()) -> Citation:
    fields = {name: entry[name] for name in (*_FIELDS, "url") if name in entry}
    if entry["type"] == "software":
        fields["version"] = package_version(entry["package"])
    return Citation(entry["key"], kind, entry["type"], fields, entry.get("doi", ""),
                    entry.get("arxiv", ""), used_for)  # fmt: skip


def _bibliography() -> list[tuple[Citation, Sequence[str]]]:
    """Return all publications that are known in full, and pieces of text that mean each."""
    methods = _entries("citations.toml", {"when", "why"}, {"package"})
    return [
        *((_citation(e, "data"), e.get("match", ())) for e in _entries("references.toml", set(),
                                                                       {"match"})),
        *((_citation(e, "data"), ()) for e in methods if e["type"] != "software"),
    ]  # fmt: skip


def _completed(given: Citation, known: Sequence[tuple[Citation, Sequence[str]]]) -> Citation:
    """Return the publication in full, if it is known, for what it is used here."""
    for full, pieces in known:
        named = given.doi or given.arxiv
        same = (given.doi and given.doi.lower() == full.doi.lower()) or (
            given.arxiv and given.arxiv == full.arxiv
        )
        if same or (not named and any(piece in given.words for piece in pieces)):
            # a number of the same publication that only the file at hand has is not lost
            return replace(full, kind=given.kind, used_for=given.used_for,
                           doi=full.doi or given.doi, arxiv=full.arxiv or given.arxiv)  # fmt: skip
    return given


def _methods() -> Iterator[tuple[Citation, list[str]]]:
    for entry in _entries("citations.toml", {"when", "why"}, {"package"}):
        kind = "software" if entry["type"] == "software" else "method"
        yield _citation(entry, kind, (entry["why"],)), entry["when"]
    ours = {"author": "{the nuhf developers}", "title": "nuhf", "version": package_version("nuhf")}
    yield Citation("nuhf", "software", "software", ours, used_for=("all of this",)), ["always"]


def package_version(package: str) -> str:
    """Return the version of a package, or nothing if it is not installed."""
    try:
        return version(package)
    except PackageNotFoundError:
        return ""


# -------------------------------------------------------------------------------------- output


def plain_text(found: Sequence[Citation], read: Sequence[Table] = ()) -> str:
    """Return the citations as text, by kind, then the tables that are read."""
    titles = {
        "experiment": "Experiments", "data": "Data and inputs", "method": "Methods",
        "software": "Programs",
    }  # fmt: skip
    lines: list[str] = []
    for kind, title in titles.items():
        members = [citation for citation in found if citation.kind == kind]
        if members:
            lines += ["", f"{title}:"] if lines else [f"{title}:"]
        for citation in members:
            links = ", ".join(label for label, _ in citation.links)
            lines.append(f"  {_unbraced(citation.text)}{', ' if links else ''}{links}")
            lines.append(f"      for {', '.join(citation.used_for)}")
    lines += ["", "Tables:"] if read else []
    for table in read:
        care = f" [{', '.join(table.care)}]" if table.care else ""
        lines.append(f"  {table.name}{care}")
        lines += [f"      {text}" for text in table.sources[:_SHOWN] or ("nothing of it is used",)]
        more = len(table.sources) - _SHOWN
        lines += [f"      and {more} more: --json"] if more > 0 else []
    return "\n".join(lines) + "\n"


def _unbraced(text: str) -> str:
    return text.replace("{", "").replace("}", "")


def bibtex(found: Sequence[Citation]) -> str:
    """Return the citations as BibTeX entries, special characters escaped."""
    return "\n".join(_entry(citation) for citation in found)


def _entry(citation: Citation) -> str:
    # classic styles know no @software
    kind = "misc" if citation.type == "software" else citation.type
    rows = {name: _escaped(text, name) for name, text in citation.fields.items() if name != "url"}
    # styles are to leave the capitals of names in a title as they are
    rows["title"] = f"{{{rows['title']}}}"
    if "version" in rows:
        rows["note"] = f"Version {rows.pop('version')}"
    if citation.doi:
        rows["doi"] = citation.doi
    if citation.arxiv:
        rows |= {"eprint": citation.arxiv, "archivePrefix": "arXiv"}
    if "url" in citation.fields:
        rows["url"] = citation.fields["url"]
    body = "".join(f"  {name} = {{{text}}},\n" for name, text in rows.items())
    return f"@{kind}{{{citation.key},\n{body}}}\n"


def _escaped(text: str, name: str) -> str:
    protected = name == "author" and text.startswith("{")
    text = re.sub(r"([&%#_$^~\\])", lambda m: _TEX.get(m[1], f"\\{m[1]}"), _unbraced(text))
    return f"{{{text}}}" if protected else text
