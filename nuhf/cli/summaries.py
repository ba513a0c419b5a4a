"""Results in a few lines, for commands whose whole result is a table."""

from collections.abc import Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from nuhf.couplings.parameters import PARAMETERS
from nuhf.units import percent

if TYPE_CHECKING:  # heavy, and a limit needs none of them
    from nuhf.exclusions import ExclusionResult
    from nuhf.stats.contour import ContourResult
    from nuhf.stats.ranking import RankingResult
    from nuhf.stats.results import ScanResult

__all__ = ["choices", "contour", "exclusion", "ranking", "scan"]

FloatArray = NDArray[np.float64]


def choices(found: Any, axes: Sequence[str] = ()) -> str:
    """Return what was chosen besides the defaults, for the end of a heading; "" if nothing.

    Parameters
    ----------
    found : result of `nuhf.questions`
        Its provenance has the options; ``profiled``, if it has that, the names behind a group.
    axes : sequence of str
        Free parameters that are the question itself.
    """
    options = found.provenance["options"]
    free = [name for name in getattr(found, "profiled", options["profile"]) if name not in axes]
    held = [
        f"{name} = {value:g}{_unit(PARAMETERS[name].unit)}"
        for name, value in options["values"].items()
    ]
    convention = [options["anapole"]] if getattr(found, "convention", None) == "khan" else []
    said = {"free": free, "held": held, "fixed nuisances": options["fix"], "anapole": convention}
    return "".join(f"; {what}: {', '.join(which)}" for what, which in said.items() if which)


def scan(found: "ScanResult") -> list[str]:
    """Say over what was scanned, where the curve is lowest, and how high it is at the ends."""
    values, delta = found.values, found.delta
    unit = _unit(found.unit)
    padded = np.concatenate([[np.inf], np.nan_to_num(delta, nan=np.inf), [np.inf]])
    falls = np.diff(padded) < 0
    lowest = [i for i, (before, after) in enumerate(pairwise(falls)) if before and not after]
    width = len("local minima on the grid")
    return [
        f"{', '.join(found.experiments)}, analysis {found.analysis}, profile likelihood of "
        f"{found.parameter}{choices(found)}",
        f"{'best fit':{width}s}  {found.best_fit:.3g}{unit}",
        f"{'scanned':{width}s}  {values[0]:.3g} to {values[-1]:.3g}{unit}, {len(values)} values",
        f"{'2NLL above minimum':{width}s}  {delta[0]:.3g} at the lower end, "
        f"{delta[-1]:.3g} at the upper end",
        f"{'local minima on the grid':{width}s}  "
        + ", ".join(f"{values[i]:.3g} ({delta[i]:.3g})" for i in lowest),
    ]


def exclusion(found: "ExclusionResult") -> list[str]:
    """Say what is allowed at each value of the setting."""
    unit = _unit(found.unit)
    lines = [
        f"{', '.join(found.experiments)}, analysis {found.analysis}, {percent(found.cl)} % CL, "
        f"{found.method}: {found.parameter} allowed{choices(found)}"
    ]
    for at, pieces in zip(found.at, found.intervals, strict=True):
        words = " or ".join(f"{low:.3g} to {high:.3g}" for low, high in pieces)
        lines.append(f"{found.setting} = {at:<9.3g}  {words}{unit}")
    return lines


def contour(found: "ContourResult", method: str) -> list[str]:
    """Say how far every piece of every region extends, and which lines are holes."""
    names = found.parameters
    lines = [
        f"{', '.join(found.experiments)}, analysis {found.analysis}, 2 degrees of freedom, "
        f"{method}{choices(found, names)}",
        "best fit  "
        + ", ".join(
            f"{name} = {value:.3g}{_unit(unit)}"
            for name, value, unit in zip(names, found.best_fit, found.units, strict=True)
        ),
    ]
    for cl, boundaries in found.regions:
        holes = _holes(boundaries)
        number = len(boundaries) - sum(holes)
        lines.append(f"{percent(cl)} % CL: {number} {'piece' if number == 1 else 'pieces'}")
        for boundary, hole in zip(boundaries, holes, strict=True):
            ends = zip(names, boundary.min(axis=0), boundary.max(axis=0), found.units, strict=True)
            extent = ", ".join(
                f"{name} [{low:.3g}, {high:.3g}]{_unit(unit)}" for name, low, high, unit in ends
            )
            lines.append(f"  {'hole: ' if hole else ''}{extent}")
    return lines


def ranking(found: "RankingResult") -> list[str]:
    """Say what each nuisance moves the parameter by, the most important first."""
    unit = _unit(found.unit)
    width = max(len(name) for name in ("nuisance", *found.nuisances))
    rows = [
        f"{', '.join(found.experiments)}, analysis {found.analysis}, impacts on {found.quantity}"
        f"{choices(found)}",
        f"best fit {found.best_fit:.3g} +- {found.error:.2g}{unit}",
        f"{'nuisance':{width}s}  {'kind':11s} {'value':>10s} {'error':>10s}"
        f"   {'up':>12s} {'down':>12s}{unit}, after the fit",
    ]
    columns = (found.pulls, found.constraints, found.postfit_up, found.postfit_down)
    for name, kind, *numbers in zip(found.nuisances, found.kinds, *columns, strict=True):
        value, error, up, down = (float(number) for number in numbers)
        rows.append(
            f"{name:{width}s}  {kind:11s} {value:10.3f} {error:10.3f}   {up:+12.3g} {down:+12.3g}"
        )
    return rows + _parts(found, unit)


def _parts(found: "RankingResult", unit: str) -> list[str]:
    """Say what the error comes from, and what moves the ends of the interval most."""
    rows = []
    if found.breakdown:
        largest = sorted(found.groups.items(), key=lambda item: -item[1])
        groups = ", ".join(f"{name} {part:.2g}" for name, part in largest)
        rows.append(
            f"error: statistical {found.breakdown['statistical']:.2g}{unit}, systematic "
            f"{found.breakdown['systematic']:.2g}{unit} ({groups})"
        )
    if found.ends:
        ends = ", ".join(f"{end:.3g}" for end in found.ends)
        shown = f"interval [{ends}]" if len(found.ends) == 2 else f"end {ends}"
        most = [
            f"{size:.2g} ({found.nuisances[place]})"
            for size, place in zip(
                np.abs(found.end_shifts).max(axis=(0, 1)),
                np.abs(found.end_shifts).max(axis=1).argmax(axis=0),
                strict=True,
            )
        ]
        rows.append(
            f"{percent(found.cl)} % CL {shown}{unit}: ends move most by {' and '.join(most)}"
        )
    return rows


def _unit(unit: str) -> str:
    return "" if unit == "1" else f" {unit}"


def _holes(boundaries: Sequence[FloatArray]) -> list[bool]:
    """Tell which closed lines (n, 2) lie inside an odd number of the others."""
    depth = [
        sum(_inside(line[0], other) for other in boundaries if other is not line)
        for line in boundaries
    ]
    return [number % 2 == 1 for number in depth]


def _inside(point: FloatArray, line: FloatArray) -> bool:
    """Count crossings of a ray from the point to the right with the line (n, 2)."""
    start, end = line[:-1], line[1:]
    spans = (start[:, 1] > point[1]) != (end[:, 1] > point[1])
    a, b = start[spans], end[spans]
    crossing = a[:, 0] + (point[1] - a[:, 1]) / (b[:, 1] - a[:, 1]) * (b[:, 0] - a[:, 0])
    return int((crossing > point[0]).sum()) % 2 == 1
