"""What goes into an experiment: the sections of its file, and the tables it reads."""

from collections.abc import Iterator, Mapping
from typing import Any

from nuhf.experiments.region import Prepared
from nuhf.report import sources

#: Values of a list that are printed; of longer ones the number and the ends.
_LONGEST = 12


def sections(one: Prepared) -> list[str]:
    """Return the numbers of sources, target, responses and regions, a line for each table.

    Of several signals, regions, sources and responses those that the analysis uses. Units are in
    the names of the keys.
    """
    experiment, analysis = one.loaded.experiment, one.loaded.analysis
    content = experiment.model_dump(mode="json", exclude_none=True)
    for key in ("signals", "regions"):
        chosen = getattr(analysis, key)
        if chosen is not None:
            content[key] = {name: content[key][name] for name in chosen}
    for key, role in (("sources", "source"), ("responses", "response")):
        named = [signal.get(role) for signal in content["signals"].values()]
        named += [background.get(role) for background in content["backgrounds"].values()]
        content[key] = {name: table for name, table in content[key].items() if name in named}
    lines: list[str] = []
    for key in ("sources", "target", "responses", "physics", "signals", "regions"):
        if content.get(key):
            lines += _lines(key, content[key])
    return lines


def tables(one: Prepared) -> list[dict[str, Any]]:
    """Return what is known of every file that the analysis reads, with its path."""
    return [
        table.to_json()
        for table in sources.tables([one])
        if table.path != one.loaded.path.absolute()
    ]


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
        if key not in inner
        and key != "title"
        and entry not in ("", [], {}, False)
        and (key != "source" or "interaction" in value)
    ]
    stated = value.get("source") if "interaction" not in value else ""
    source = f"({stated})" if stated else ""
    if plain or source:
        yield f"{where}: {'  '.join(text for text in (', '.join(plain), source) if text)}"
    for key, entry in inner.items():
        yield from _lines(f"{where}.{key}", entry)


def _are_tables(value: list[Any]) -> bool:
    return len(value) > 0 and all(isinstance(entry, Mapping) for entry in value)


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
