"""The papers, data and programs behind a calculation, as text or BibTeX."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from nuhf import bibliography
from nuhf.bibliography import Entry
from nuhf.experiments.region import Prepared
from nuhf.report.sources import SourceFile, sources

_SHOWN: Final = 4
"""How many sources of one table the text shows: an experiment's file has one for each number."""
KINDS: Final = {
    "experiment": "Experiments", "data": "Data and inputs", "method": "Methods",
    "software": "Programs",
}  # fmt: skip
"""Kinds of what is cited, in their order, with their titles."""


@dataclass(frozen=True)
class Citation:
    """An entry of the bibliography, its kind (of `KINDS`), and what the calculation uses of it."""

    entry: Entry
    kind: str
    used_for: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Return plain data."""
        return {
            "key": self.entry.key,
            "kind": self.kind,
            "text": self.entry.text,
            "doi": self.entry.doi,
            "arxiv": self.entry.arxiv,
            "used_for": list(self.used_for),
        }


def citations(experiments: Sequence[Prepared], steps: Iterable[str] = ()) -> list[Citation]:
    """Return what a calculation with these experiments rests on, each once.

    The steps are what was done with them: ``delta-chi2``, ``cls``, ``feldman-cousins``,
    ``strength``, ``ranking``, ``minuit``, ``figures``.
    """
    found: dict[str, Citation] = {}

    def add(entry: Entry, kind: str, used_for: str) -> None:
        old = found.setdefault(entry.key, Citation(entry, kind))
        # a paper whose formulae are used is more than the source of a number
        kind = kind if old.kind == "data" and kind == "method" else old.kind
        used = tuple(dict.fromkeys((*old.used_for, used_for)))
        found[entry.key] = replace(old, kind=kind, used_for=used)

    for one in experiments:
        for entry in one.loaded.references:
            add(entry, "experiment", one.name)
    called = {"always", *steps}
    for one in experiments:
        for where, text in sources(one):
            for key in bibliography.cited(text):
                add(one.loaded.inputs.bibliography[key], "data", where)
        called |= {signal.interaction for signal in one.templates}
        called |= {one.loaded.experiment.physics.form_factor} if one.loaded.nuclides else set()
    for entry in bibliography.read().values():
        if called & entry.when:
            kind = "software" if "package" in entry.fields else "method"
            add(entry, kind, entry.fields.get("why", ""))
    return sorted(found.values(), key=lambda citation: list(KINDS).index(citation.kind))


def plain_text(found: Sequence[Citation], read: Sequence[SourceFile] = ()) -> str:
    """Return the citations as text, by kind, then the tables that are read."""
    lines: list[str] = []
    for kind, title in KINDS.items():
        members = [citation for citation in found if citation.kind == kind]
        if members:
            lines += ["", f"{title}:"] if lines else [f"{title}:"]
        for citation in members:
            lines.append(f"  {citation.entry.key}: {citation.entry.full}")
            lines.append(f"      for {', '.join(citation.used_for)}")
    lines += ["", "Tables:"] if read else []
    for table in read:
        care = f" [{', '.join(table.care)}]" if table.care else ""
        lines.append(f"  {table.name}{care}")
        lines += [f"      {text}" for text in table.sources[:_SHOWN] or ("nothing of it is used",)]
        more = len(table.sources) - _SHOWN
        lines += [f"      and {more} more: --json"] if more > 0 else []
    return "\n".join(lines) + "\n"


def bibtex(found: Sequence[Citation]) -> str:
    """Return the citations as BibTeX entries."""
    return "\n".join(citation.entry.bibtex() for citation in found)
