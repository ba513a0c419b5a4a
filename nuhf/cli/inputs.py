"""What goes into an experiment: the sections of its file, and the tables it reads."""

from collections.abc import Iterator, Mapping
from typing import Any

from nuhf.experiments.region import Prepared
from nuhf.experiments.schema import BaseAnalysis, BaseExperiment
from nuhf.report import sources

__all__ = ["sections", "tables"]

#: Values of a list that are printed; of longer ones the number and the ends.
_LONGEST = 12


def sections(one: Prepared) -> list[str]:
    """Return the numbers of source, target, detector and data, a line for each section.

    Whatever the kind: all of the file but what every experiment has, and of several fluxes or
    regions those that the analysis names. Units are in the names of the keys.
    """
    content = one.loaded.experiment.model_dump(mode="json", exclude_none=True)
    analysis = content["analyses"][one.loaded.analysis_name]
    words = set(_words(analysis))
    known = {*BaseExperiment.model_fields, "kind", "backgrounds"}
    lines: list[str] = []
    for key, value in content.items():
        if key not in known:
            lines += _lines(key, _chosen(value, words))
    own = {k: v for k, v in analysis.items() if k not in BaseAnalysis.model_fields}
    return lines + list(_lines(f"analyses.{one.loaded.analysis_name}", own))


def tables(one: Prepared) -> list[dict[str, Any]]:
    """Return what is known of every file that the analysis reads, with its path."""
    return [
        {**table.to_json(), "path": str(one.loaded.table(table.name))}
        for table in sources.tables([one])
        if table.name != one.loaded.path.name
    ]


def _chosen(value: Any, words: set[str]) -> Any:
    """Of several tables with names those that the analysis names; all if it names none."""
    if not _are_tables(value):
        return value
    if isinstance(value, list):
        return [entry for entry in value if entry.get("name") in words] or value
    return {key: entry for key, entry in value.items() if key in words} or value


def _are_tables(value: Any) -> bool:
    entries = value.values() if isinstance(value, Mapping) else value
    several = isinstance(value, Mapping | list) and len(value) > 0
    return several and all(isinstance(entry, Mapping) for entry in entries)


def _words(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for entry in value.values():
            yield from _words(entry)
    elif isinstance(value, list):
        for entry in value:
            yield from _words(entry)


def _lines(where: str, value: Any) -> Iterator[str]:
    """Yield the plain keys of a table in one line with its source, then its tables."""
    if isinstance(value, list) and _are_tables(value):
        for i, entry in enumerate(value):
            yield from _lines(f"{where}.{entry.get('name', i)}", entry)
        return
    if not isinstance(value, Mapping):
        yield f"{where} = {_text(value)}"
        return
    inner = {key: entry for key, entry in value.items() if _is_table(entry)}
    plain = [
        f"{key} = {_text(entry)}"
        for key, entry in value.items()
        if key not in inner and key not in ("name", "source") and entry not in ("", [], {})
    ]
    source = f"({value['source']})" if value.get("source") else ""
    if plain or source:
        yield f"{where}: {'  '.join(text for text in (', '.join(plain), source) if text)}"
    for key, entry in inner.items():
        yield from _lines(f"{where}.{key}", entry)


def _is_table(value: Any) -> bool:
    """Tell one or more tables from a handful of numbers by name, such as a formula."""
    if isinstance(value, Mapping):
        return any(not isinstance(entry, int | float) for entry in value.values())
    return isinstance(value, list) and _are_tables(value)


def _text(value: Any) -> str:
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{key} = {_text(entry)}" for key, entry in value.items()) + "}"
    if isinstance(value, list):
        if len(value) > _LONGEST:
            return f"{len(value)} values from {_text(value[0])} to {_text(value[-1])}"
        return f"[{', '.join(_text(entry) for entry in value)}]"
    if isinstance(value, float):
        return f"{value:.10g}"
    return str(value).lower() if isinstance(value, bool) else str(value)
