"""Where the inputs of an experiment come from, in the words of its files."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nuhf.experiments.region import Prepared
from nuhf.inputs import care_words, nested_sources
from nuhf.papers.published import list_papers, read_reference


@dataclass(frozen=True)
class SourceFile:
    """A file that an experiment reads, by its path below ``data/`` as in the digests.

    The sources are what it, or those of its entries that are used, gives; ``care`` are those words
    of `nuhf.inputs.CARE` that stand in its name or sources.
    """

    name: str
    path: Path
    care: tuple[str, ...]
    sources: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        """Return plain data."""
        return {
            "table": self.name,
            "path": str(self.path),
            "care": list(self.care),
            "sources": list(self.sources),
        }


def tables(experiments: Sequence[Prepared]) -> list[SourceFile]:
    """Return all files that these experiments read, each once, in the order of reading."""
    texts: dict[str, dict[str, None]] = {}
    names: dict[str, set[str]] = {}
    paths: dict[str, Path] = {}
    for one in experiments:
        for name, record in zip(one.digests, one.records, strict=True):
            own = record.path == one.loaded.path.absolute()
            found = _own_sources(one) if own else record.sources
            texts.setdefault(name, {}).update(dict.fromkeys(found))
            names.setdefault(name, {name}).update(() if own else record.entries)
            paths[name] = record.path
    return [
        SourceFile(name, paths[name], care_words([*names[name], *found]), tuple(found))
        for name, found in texts.items()
    ]


def sources(one: Prepared) -> Iterator[tuple[str, str]]:
    """Yield what uses a source and the text of the source, of all inputs of an experiment."""
    loaded = one.loaded
    for paper in list_papers():
        if loaded.analysis_name == paper or loaded.analysis_name.startswith(f"{paper}-"):
            yield f"analysis {loaded.analysis_name}", f"@{read_reference(paper)}"
    for table in tables([one]):
        for text in table.sources:
            yield table.name, text


def _own_sources(one: Prepared) -> list[str]:
    """Return the sources that the experiment file states for what the analysis uses."""
    experiment, analysis = one.loaded.experiment, one.loaded.analysis
    content = experiment.model_dump(mode="json", exclude={"references", "analyses", "nuisances"})
    for key in ("signals", "regions", "backgrounds"):
        chosen = getattr(analysis, key)
        if chosen is not None:
            content[key] = {name: content[key][name] for name in chosen}
    used = {signal.get("source") for signal in content["signals"].values()}
    content["sources"] = {n: s for n, s in content["sources"].items() if n in used}
    # a signal names its source: that key is no text
    for signal in content["signals"].values():
        signal.pop("source", None)
    content["nuisances"] = [n.model_dump(mode="json") for n in one.loaded.nuisances]
    return list(dict.fromkeys(text for _, text in nested_sources(content)))
