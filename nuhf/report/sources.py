"""Where the inputs of an experiment come from, in the words of its files."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from nuhf import resources
from nuhf.experiments.region import Prepared
from nuhf.papers.published import list_papers

__all__ = ["CARE", "Table", "sources", "table_source", "tables"]

CARE: Final = (
    "UNVERIFIED", "computed", "derived", "digitised", "recalled", "reconstruction", "substitute",
)  # fmt: skip
"""Words in the name of a table, or in its sources, that say it is no plain measurement."""

_UNFINISHED: Final = ("in", "of", "the", "and", "by", "from", "with")


@dataclass(frozen=True)
class Table:
    """A file that an experiment reads.

    Attributes
    ----------
    name : str
        Path below ``data/``, as in the digests; of the experiment itself its file name.
    care : tuple of str
        Those of `CARE` in its name or sources.
    sources : tuple of str
        What it, or those of its entries that the analysis names, gives as source; empty if
        nothing of it is used.
    """

    name: str
    care: tuple[str, ...]
    sources: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        """Return plain data."""
        return {"table": self.name, "care": list(self.care), "sources": list(self.sources)}


def tables(experiments: Sequence[Prepared]) -> list[Table]:
    """Return all files that these experiments read, each once, in the order of the digests.

    Raises
    ------
    InputError
        If a table cannot be read.
    """
    texts: dict[str, dict[str, None]] = {}
    names: dict[str, set[str]] = {}
    for one in experiments:
        for name in one.digests:
            texts.setdefault(name, {})
            own = name == one.loaded.path.name
            names.setdefault(name, {name}).update(() if own else _entries(one, name))
        for where, text in sources(one):
            if where in one.digests:
                texts[where][text] = None
    return [
        Table(name, _care([*names[name], *found]), tuple(found)) for name, found in texts.items()
    ]


def _care(texts: Sequence[str]) -> tuple[str, ...]:
    words = set(re.findall(r"[a-z]+", " ".join(texts).lower()))
    return tuple(word for word in CARE if word.lower() in words)


def sources(one: Prepared) -> Iterator[tuple[str, str]]:
    """Yield what uses a source and the text of the source, of all inputs of an experiment.

    Raises
    ------
    InputError
        If a table cannot be read.
    """
    loaded = one.loaded
    label = f"analysis {loaded.analysis_name}"
    for paper, path in list_papers().items():
        if loaded.analysis_name == paper or loaded.analysis_name.startswith(f"{paper}-"):
            yield label, str(resources.read_toml(path).get("title", ""))
    yield label, loaded.analysis.title
    yield from _nested(_content(one), loaded.path.name)
    for name in one.digests:
        if name == loaded.path.name:
            continue
        yield from ((name, text) for text in _comment_sources(loaded.table(name)))
        yield from _nested(_entries(one, name), name)


def _content(one: Prepared) -> dict[str, Any]:
    """Return what the file of the experiment says for this analysis, without the references."""
    name = one.loaded.analysis_name
    content = one.loaded.experiment.model_dump(mode="json")
    del content["references"]
    return {**content, "analyses": {name: content["analyses"][name]}}


def _entries(one: Prepared, name: str) -> Mapping[str, Any]:
    """Return what is used of a TOML file: of several schemes or models those that are named."""
    path = one.loaded.table(name)
    if path.suffix != ".toml":
        return {}
    table = resources.read_toml(path)
    words = set(_strings(_content(one)))
    named = {key: value for key, value in table.items() if key in words}
    return named if named or name == "couplings.toml" else table


def _strings(content: Any) -> Iterator[str]:
    if isinstance(content, str):
        yield content
    elif isinstance(content, Mapping):
        for value in content.values():
            yield from _strings(value)
    elif isinstance(content, list | tuple):
        for value in content:
            yield from _strings(value)


def _nested(content: Any, where: str) -> Iterator[tuple[str, str]]:
    """Yield the values of all keys ``source`` in nested tables, for ``where``."""
    if isinstance(content, Mapping):
        for key, value in content.items():
            if key == "source" and isinstance(value, str):
                if value:
                    yield where, value
            else:
                yield from _nested(value, where)
    elif isinstance(content, list | tuple):
        for value in content:
            yield from _nested(value, where)


def table_source(text: str) -> list[str]:
    """Return what stands behind the lines ``# source:`` at the top of a table or TOML file.

    A source that ends in the middle of a sentence goes on in the next comment line.
    """
    found: list[str] = []
    going_on = False
    for line in text.splitlines():
        if not line.startswith("#"):
            break
        comment = line[1:]
        start = re.match(r"\s?source(?: \([^)]*\))?:\s*(.*)", comment)
        if start:
            found.append(start[1].strip())
        elif going_on or (found and comment.startswith("  ")):
            found[-1] = f"{found[-1]} {comment.strip()}"
        else:
            continue
        last = found[-1].split()[-1] if found[-1] else ""
        opened = found[-1].count("(") > found[-1].count(")")
        going_on = opened or last.endswith((",", ";")) or last in _UNFINISHED
    return [text for text in found if text]


def _comment_sources(path: Path) -> list[str]:
    head = [line for line in resources.read_text(path).splitlines() if line.startswith("#")]
    return table_source("\n".join(head))
