"""Tables of the manual, made from the experiment files when it is built."""

import csv
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from IPython.display import Markdown

from nuhf.experiments.catalogue import list_experiments, load, read_content
from nuhf.experiments.prepare import prepare

__all__ = [
    "agrees", "analysis", "notes", "overview", "parameters", "references", "regions", "setup",
]  # fmt: skip

_OWN_TABLES = ("analyses", "references", "notes", "backgrounds", "nuisances")
_LONGEST = 100


def _plain(text: object) -> str:
    """Escape what Markdown would read as markup."""
    found = str(text)
    for character in "\\`*_{}[]<>$|~":
        found = found.replace(character, "\\" + character)
    return found


def _table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> Markdown:
    lines = [" | ".join(header), " | ".join("---" for _ in header)]
    lines += [" | ".join(row) for row in rows]
    return Markdown("\n".join(f"| {line} |" for line in lines))


def _code(names: Iterable[str]) -> str:
    return ", ".join(f"`{name}`" for name in names)


def overview() -> Markdown:
    """Every shipped experiment: page, kind, analyses, parameters."""
    rows = []
    for name in list_experiments():
        experiment = load(name).experiment
        wanted = dict.fromkeys(p for a in experiment.analyses.values() for p in a.parameters)
        page = f"[{name}](experiments/{name}.md)"
        rows.append((page, _plain(experiment.title), _code(experiment.analyses), str(len(wanted))))
    return _table(("name", "what", "analyses", "parameters"), rows)


def parameters() -> Markdown:
    """Every parameter, its unit, and its name inside a fit."""
    from nuhf.couplings.parameters import PARAMETERS

    rows = [
        (f"`{p.name}`", p.unit, f"`{p.fit_name}`", _plain(p.meaning)) for p in PARAMETERS.values()
    ]
    return _table(("name", "unit", "in pyhf files", "meaning"), rows)


def _sections(
    content: Mapping[str, Any], where: str = ""
) -> Iterator[tuple[str, str, list[tuple[str, str]]]]:
    """Name, source, and keys with values of every table that holds numbers itself."""
    own = []
    inner: list[tuple[str, Mapping[str, Any]]] = []
    for key, value in content.items():
        if isinstance(value, dict) and _flat(value):
            own.append((f"`{key}`", ", ".join(f"`{k} = {_short(v)}`" for k, v in value.items())))
        elif isinstance(value, dict):
            inner.append((f"{where}.{key}" if where else key, value))
        elif isinstance(value, tuple) and value and isinstance(value[0], dict):
            inner += [(f"{where}.{v.get('name', i)}", v) for i, v in enumerate(value)]
        elif key != "name" and not (key == "source" and isinstance(value, str)):
            own.append((f"`{key}`", f"`{_short(value)}`"))
    if where and (own or "source" in content):
        yield where, str(content.get("source", "")), own
    for name, value in inner:
        yield from _sections(value, name)


def _flat(value: Mapping[str, Any]) -> bool:
    return "source" not in value and not any(isinstance(v, dict) for v in value.values())


def _short(value: object) -> str:
    text = f"{value:.12g}" if isinstance(value, float) else str(value)
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]} ..."


def setup(name: str) -> Markdown:
    """Numbers of sources, target, responses and data with where they come from."""
    content, inputs = read_content(list_experiments()[name])
    kept = {
        key: value
        for key, value in content.items()
        if isinstance(value, dict | tuple) and key not in _OWN_TABLES
    }
    parts, in_words = [], inputs.bibliography.in_words
    for where, origin, rows in _sections(kept):
        parts.append(f"**`{where}`**" + (f": {_plain(in_words(origin))}" if origin else ""))
        if rows:
            parts.append(str(_table(("key", "value"), rows).data))
    return Markdown("\n\n".join(parts))


def notes(name: str) -> Markdown:
    """Notes of the experiment and of its analyses, as every result prints them."""
    experiment = load(name).experiment
    where: dict[str, list[str]] = {note: [] for note in experiment.notes}
    for label, chosen in experiment.analyses.items():
        for note in chosen.notes:
            where.setdefault(note, []).append(label)
    rows = []
    for note, labels in where.items():
        every = not labels or len(labels) == len(experiment.analyses)
        rows.append(f"* {'' if every else _code(labels) + ': '}{_plain(note)}")
    return Markdown("\n".join(rows) or "None.")


def references(name: str) -> Markdown:
    """Publications the data come from."""
    return Markdown("\n".join(f"* {_plain(entry.full)}" for entry in load(name).references))


def regions(name: str, analysis: str) -> Markdown:
    """Channels of an analysis: bins, counts, SM signals and backgrounds."""
    rows = []
    for region in prepare(load(name, analysis)).regions:
        bins = " x ".join(f"{a.bins} ({_plain(_axis(a))})" for a in region.axes)
        seen = f"{region.observed.sum():.6g}"
        seen += "" if region.sigma is None else " (Gaussian errors)"
        rows.append((f"`{region.name}`", bins, "data", seen))
        for signal in region.signals:
            events = sum(float(terms["1"].sum()) for terms in signal.nominal.values())
            rows.append(("", "", f"`{signal.process}` (signal templates at zero couplings)",
                         f"{events:.4g}"))  # fmt: skip
        for process, row in region.backgrounds.items():
            label = _plain(region.titles.get(process, process))
            rows.append(("", "", f"`{process}`: {label}", f"{float(row.sum()):.6g}"))
    return _table(("region", "bins", "process", "events"), rows)


def _axis(axis: Any) -> str:
    low, high = axis.edges[0], axis.edges[-1]
    name = axis.quantity.replace("_", " ")
    return f"{name} {low:g} to {high:g} {axis.unit}".strip()


def analysis(name: str, analysis: str) -> Markdown:
    """Nuisances of an analysis."""
    rows = []
    loaded = load(name, analysis)
    for nuisance in loaded.nuisances:
        size, on = nuisance.words
        rows.append((f"`{nuisance.name}`", f"{size} on {_code(on.split(', '))}",
                     _plain(loaded.inputs.bibliography.in_words(nuisance.source))))  # fmt: skip
    if not rows:
        return Markdown("This analysis has no nuisance parameters.")
    return _table(("nuisance", "what it does", "source"), rows)


def agrees(what: str, ours: Any, printed: Any, rtol: float = 1e-11) -> None:
    """Print how far nuhf is from a formula of the page; stop the build where they differ."""
    worst = float(np.max(np.abs(np.asarray(ours) / np.asarray(printed) - 1.0)))
    if not worst < rtol:
        raise ValueError(f"{what}: nuhf and the printed formula differ by {worst:.1e}")
    print(f"{what}: nuhf computes the printed formula (relative difference below {rtol:.0e})")


def literature() -> Markdown:
    """Bounds of the literature: process, source, status."""
    from nuhf.papers.overview import read_literature

    rows = []
    for e in read_literature():
        ((low, high),) = e.intervals
        bound = f"< {high:.3g}" if low == 0 else f"{low:.3g} to {high:.3g}"
        status = f"{e.status}: {e.checked_in}" + (f"; {e.note}" if e.note else "")
        rows.append((f"`{e.parameter}`", _plain(bound), e.unit.replace("1", ""), _plain(e.label),
                     _plain(e.process), _plain(e.source), _plain(status)))  # fmt: skip
    header = ("coupling", "90 % CL", "unit", "experiment", "process", "source", "status")
    return _table(header, rows)


def compared() -> Markdown:
    """What collaborations printed, beside fits made now."""
    import nuhf

    rows = []
    with (Path(__file__).parent / "printed.csv").open(encoding="utf-8") as file:
        entries = [tuple(entry.values()) for entry in csv.DictReader(file)]
    for name, analysis, asked, printed, why in entries:
        if asked == "cevns":
            found = nuhf.fit(nuhf.model(name, analysis=analysis))
            counts = [found.counts[key] for key in found.counts if key.startswith("cevns")]
            events, error = sum(one[1] for one in counts), counts[0][2]
            said = {"event": f"{events:.1f} ± {error:.1f} events"}
            if found.significance:
                said["sigma"] = f"{found.significance['sigma']:.2f} sigma"
            value = ", ".join(text for word, text in said.items() if word in printed)
        else:
            (limit,) = nuhf.limit(name, asked, analysis=analysis)
            value = f"< {limit.upper_limit:.3g} {limit.unit}"
        label = name if analysis == "default" else f"{name}:{analysis}"
        what = asked.replace("cevns", "CEvNS")
        rows.append((f"`{label}`", what, _plain(printed), _plain(value), _plain(why)))
    return _table(("experiment", "what", "collaboration", "ours", "difference"), rows)
