"""Publications by key, as BibTeX: what ``@KEY`` in a source or a list of references is."""

import difflib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache, reduce
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Final

from nuhf import resources
from nuhf.errors import InputError, within

FILE: Final = "bibliography.bib"
"""Name of the shipped file in ``data``, and of one's own beside an experiment file."""

_CITED: Final = re.compile(r"(?<![\w.])@([A-Za-z0-9](?:[\w:./+-]*\w)?)")
_ENTRY: Final = re.compile(r"@(\w+)\s*\{\s*(?:([^\s,{}=]+)\s*,)?")
_FIELD: Final = re.compile(r"[\s,]*(?:([\w-]+)\s*=\s*|\})")
_TEXT: Final = reduce(
    lambda inner, _: rf"(?:[^{{}}\\]++|\\.|\{{{inner}\}})*+", range(6), r"[^{}]*+"
)
"""Text whose braces are in pairs."""
_VALUE: Final = re.compile(
    rf'(?:\{{({_TEXT})\}}|"({_TEXT.replace("[^", "[^" + chr(34), 1)})"|([^\s,{{}}"]+))', re.DOTALL
)
_OWN: Final = ("package", "when", "why")
"""Fields that nuhf adds to those of BibTeX."""
_SHOWN: Final = 3
"""Authors that are named in a short reference."""


@dataclass(frozen=True)
class Entry:
    """A publication, a release of data or a program.

    Attributes
    ----------
    key : str
        As in ``@KEY``.
    type : str
        BibTeX type: ``article``, ``misc`` and the like.
    fields : mapping
        Fields by their names in lower case, in TeX. Besides those of BibTeX: ``package``, the
        Python package whose version is meant; ``when``, what calls for a method or program; and
        ``why``, what it is for.
    """

    key: str
    type: str
    fields: Mapping[str, str]

    def _get(self, *names: str) -> str:
        """Return the first of these fields that there is, without TeX."""
        return _plain(next((self.fields[name] for name in names if name in self.fields), ""))

    @property
    def doi(self) -> str:
        """DOI, empty if there is none."""
        return self.fields.get("doi", "")

    @property
    def arxiv(self) -> str:
        """Number in arXiv, empty if there is none."""
        return self.fields.get("eprint", "")

    @property
    def version(self) -> str:
        """Version of the program that is installed; empty for others."""
        return package_version(self.fields["package"]) if "package" in self.fields else ""

    @property
    def when(self) -> frozenset[str]:
        """What calls for it: steps of a calculation, interactions, form factors, ``always``."""
        return frozenset(re.findall(r"[\w-]+", self.fields.get("when", "")))

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

    @property
    def text(self) -> str:
        """One line for people: authors, title, journal; without identifiers."""
        return self._line(title=True)

    @property
    def full(self) -> str:
        """The same line with identifiers."""
        return ", ".join([self.text, *(label for label, _ in self.links)])

    @property
    def words(self) -> str:
        """A short reference: first authors, journal, one identifier."""
        label = f"arXiv:{self.arxiv}" if self.arxiv else self.links[0][0] if self.links else ""
        return ", ".join(part for part in (self._line(title=not label), label) if part)

    def _line(self, title: bool) -> str:
        names = [_first_last(name) for name in self._get("author").split(" and ")]
        if "collaboration" in self.fields:
            names = [f"{self._get('collaboration')} Collaboration"]
        if names[-1] == "others" or (not title and len(names) > _SHOWN):
            authors = f"{', '.join(names[: 1 if len(names) > _SHOWN else -1])} et al."
        else:
            authors = ", ".join(names[:-1]) + (" and " if names[1:] else "") + names[-1]
        place = " ".join(filter(None, (self._get("journal", "institution"), self._get("volume"))))
        parts = (
            authors,
            " ".join(filter(None, (self._get("title"), self.version))) if title else "",
            place,
            self._get("pages", "number"),
        )
        year = f" ({self._get('year')})" if "year" in self.fields else ""
        return ", ".join(part for part in parts if part) + year

    def bibtex(self) -> str:
        """Return the entry for a BibTeX file, with the version of a program."""
        rows = {name: text for name, text in self.fields.items() if name not in _OWN}
        if self.version:
            rows["note"] = f"Version {self.version}"
        body = "".join(f"  {name} = {{{text}}},\n" for name, text in rows.items())
        return f"@{self.type}{{{self.key},\n{body}}}\n"


class Bibliography(dict[str, Entry]):
    """Entries by key; asked for another key, it names the nearest."""

    def __init__(self, entries: Mapping[str, Entry], paths: Iterable[Path]) -> None:
        super().__init__(entries)
        self._paths = tuple(paths)

    def __missing__(self, key: str) -> Entry:
        near = difflib.get_close_matches(key, self, n=3, cutoff=0.5)
        raise InputError(
            f"'{key}' is no key of {' or '.join(str(path) for path in self._paths)}; "
            + (f"did you mean {' or '.join(near)}?" if near else f"it may stand in a {FILE} "
               "beside the experiment file")
        )  # fmt: skip

    def check(self, keys: Iterable[str], where: str) -> None:
        """Refuse keys that are not here (`InputError`), and say where they are given."""
        for key in keys:
            with within(where):
                self[key]

    def in_words(self, text: str) -> str:
        """Return a source with short references for its keys."""
        return _CITED.sub(lambda match: self[match[1]].words, text)


def cited(text: str) -> list[str]:
    """Return the keys that a source cites as ``@KEY``."""
    return _CITED.findall(text)


def read(folders: Iterable[Path] = ()) -> Bibliography:
    """Read the shipped bibliography and those in some folders, the first of them first.

    `InputError` if one is broken; with file and line.
    """
    places = dict.fromkeys([*folders, resources.shipped("data")])
    paths = [place / FILE for place in places if resources.is_file(place / FILE)]
    entries: dict[str, Entry] = {}
    for path in paths:
        entries = {**parse(resources.read_text(path), str(path)), **entries}
    return Bibliography(entries, paths)


@lru_cache(maxsize=4)
def parse(text: str, where: str) -> Mapping[str, Entry]:
    """Return the entries of a BibTeX file; macros (``@string``) are not known.

    `InputError` if an entry has no key or the key of another, or a field has no value or no end;
    with the line.
    """
    found: dict[str, Entry] = {}
    position = 0
    while head := _ENTRY.search(text, position):
        line = f"{where}: line {text.count(chr(10), 0, head.start()) + 1}"
        kind, key, position = head[1].lower(), head[2], head.end()
        if kind in ("comment", "preamble"):
            continue
        if not key or kind == "string":
            raise InputError(f"{line}: '{head[0].strip()}' is no entry '@type{{key, ...}}'")
        if key in found:
            raise InputError(f"{line}: '{key}' is given twice")
        fields: dict[str, str] = {}
        while (field := _FIELD.match(text, position)) and field[1]:
            value = _VALUE.match(text, field.end())
            if not value:
                raise InputError(f"{line}: {key}: {field[1]} has no value, or one without end")
            fields[field[1].lower()] = " ".join("".join(value.groups("")).split())
            position = value.end()
        if not field:
            raise InputError(f"{line}: {key}: no field, nor the end of the entry: "
                             f"'{text[position:position + 30].strip()}'")  # fmt: skip
        if not fields.keys() & {"title", "author", "collaboration"}:
            raise InputError(f"{line}: {key} has neither title nor author")
        found[key], position = Entry(key, kind, fields), field.end()
    return found


def _first_last(author: str) -> str:
    """``Held, Alexander`` becomes ``Alexander Held``; ``others`` becomes ``others``."""
    last, _, first = author.partition(", ")
    return f"{first} {last}".strip()


def _plain(tex: str) -> str:
    for name, character in (("circum", "^"), ("tilde", "~")):
        tex = tex.replace(rf"\textascii{name}{{}}", character)
    return re.sub(r"\\([&%#_$])", r"\1", re.sub(r"(?<!\\)[{}$]", "", tex))


def package_version(package: str) -> str:
    """Return the version of a package, or nothing if it is not installed."""
    try:
        return version(package)
    except PackageNotFoundError:
        return ""
