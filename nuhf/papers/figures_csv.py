"""Tables of everything that a figure shows, one point per row."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from nuhf.couplings.parameters import get
from nuhf.papers.figures_draw import Profile, RegionSet, SpectrumPanel
from nuhf.rates.templates import Axis
from nuhf.stats.intervals import threshold
from nuhf.stats.result_base import column_suffix
from nuhf.tables import columns_of, format_csv

_POINT: Final = ("panel", "curve", "item", "cl", "piece", "x_quantity", "x", "y_quantity", "y")
_BIN: Final = ("panel", "curve", "item", "axis", "low", "high", "events", "error")

Rows = list[tuple[Any, ...]]


def points_csv(
    profiles: Mapping[str, Sequence[Profile]],
    regions: Mapping[str, Sequence[RegionSet]],
    comments: Sequence[str],
) -> str:
    """Return profiles, intervals, published intervals and regions, by panel, as CSV.

    Items are ``profile``, ``best_fit``, ``interval_lower`` and ``_upper``, ``published_lower`` and
    ``_upper`` (or ``published`` for a bare number), ``boundary`` and ``no_coupling``.
    """
    rows: Rows = []
    for panel, group in profiles.items():
        for one in group:
            rows += _profile_rows(panel, one)
    for panel, sets in regions.items():
        for each in sets:
            rows += _region_rows(panel, each)
    sources = dict.fromkeys(
        f"published_* of {one.parameter.name}: {row.paper} {row.where}"
        for group in profiles.values() for one in group for row in one.published
    )  # fmt: skip
    return format_csv(columns_of(_POINT, rows), [*comments, *sources])


def _profile_rows(panel: str, one: Profile) -> Rows:
    name = f"{one.parameter.name}{column_suffix(one.parameter.unit)}"

    def row(item: str, cl: Any, piece: Any, x: float, y: float) -> tuple[Any, ...]:
        return panel, one.label, item, cl, piece, name, float(x), "delta_2nll", float(y)

    rows = [row("profile", "", "", *pair) for pair in zip(one.values, one.delta, strict=True)]
    rows.append(row("best_fit", "", "", one.best_fit, 0.0))
    for limit in one.limits:
        for i, ends in enumerate(limit.intervals, start=1):
            for side, end in zip(("lower", "upper"), ends, strict=True):
                rows.append(row(f"interval_{side}", limit.cl, i, end, threshold(limit.cl)))
    for i, level in enumerate(one.published, start=1):
        if level.cl == 0.0:
            rows.append(row("published", "", i, level.lower, 0.0))
            continue
        for side, end in (("lower", level.lower), ("upper", level.upper)):
            rows.append(row(f"published_{side}", level.cl, i, end, threshold(level.cl)))
    return rows


def _region_rows(panel: str, one: RegionSet) -> Rows:
    names = zip(one.found.parameters, one.found.units, strict=True)
    x, y = (f"{name}{column_suffix(unit)}" for name, unit in names)

    def row(item: str, cl: Any, piece: Any, point: Sequence[float]) -> tuple[Any, ...]:
        return panel, one.label, item, cl, piece, x, float(point[0]), y, float(point[1])

    rows = [
        row("boundary", cl, i, point)
        for cl, lines in one.found.regions
        for i, line in enumerate(lines, start=1)
        for point in line
    ]
    standard = [get(name).offset for name in one.found.parameters]
    return [
        *rows,
        row("best_fit", "", "", one.found.best_fit),
        row("no_coupling", "", "", standard),
    ]


def spectra_csv(parts: Sequence[SpectrumPanel], components: bool, comments: Sequence[str]) -> str:
    """Return data, components (if they are drawn) and lines as CSV, in events per bin."""
    rows: Rows = []
    for one in parts:
        region, axis = one.region, one.region.axes[0]
        entries: list[tuple[str, str, Axis, Any, Sequence[float | str]]] = [
            ("data", "data", axis, region.observed, region.errors.tolist())
        ]
        for name, events in region.expected.items() if components else ():
            entries.append((name, "component", axis, events, [""] * axis.bins))
        for label, _, line in one.lines:
            events, own = line.histogram("total").values(), line.axes[0]
            entries.append((label, "line", own, events, [""] * own.bins))
        for label, item, own, events, errors in entries:
            bins = zip(own.edges[:-1], own.edges[1:], events.tolist(), errors, strict=True)
            rows += [(one.title, label, item, axis.name, *each) for each in bins]
    return format_csv(columns_of(_BIN, rows), comments)
