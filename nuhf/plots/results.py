"""Pictures of single results, on axes of the user or their own; everything in base units.

Several results drawn on the same axes overlay: each takes the next colour of the axes' cycle.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import PathPatch
from matplotlib.path import Path
from matplotlib.ticker import MaxNLocator
from scipy.stats import chi2

from nuhf.arrays import FloatArray
from nuhf.couplings.parameters import PARAMETERS
from nuhf.plots.figures import (
    _axis_label,
    _draw_threshold,
    _figure,
    _in_unit,
    _named,
    figure_and_axes,
    grid,
    titled,
    wrapped,
)
from nuhf.units import percent

if TYPE_CHECKING:
    from nuhf.exclusions import ExclusionResult
    from nuhf.stats.contour import ContourResult
    from nuhf.stats.results import CoverageResult, LimitResult

_STYLES: Final = ("-", "--", ":", "-.")
_SETTING_UNITS: Final = {"mev": "MeV", "kev": "keV", "ev": "eV"}


def _scaled(axes: Axes, which: Literal["x", "y"]) -> None:
    """Write the power of ten once, at the end of an axis."""
    axes.ticklabel_format(axis=which, style="sci", scilimits=(-2, 3), useMathText=True)
    axis = axes.xaxis if which == "x" else axes.yaxis
    axis.set_major_locator(MaxNLocator(6, steps=[1, 2, 5, 10]))


def _titled(axes: Axes, given: Axes | None, title: str) -> None:
    if given is None:
        axes.set_title(wrapped(title, figure_and_axes(axes)[0]), fontsize="medium")


@dataclass(frozen=True)
class DrawnProfile:
    """A profile of 2NLL: values and rises (n,), allowed pieces, all in the base unit."""

    parameter: str
    unit: str
    values: FloatArray
    delta: FloatArray
    pieces: Sequence[tuple[float, float]] = ()


def profile(
    curve: DrawnProfile,
    levels: Sequence[float],
    label: str,
    ax: Axes | None = None,
) -> Figure:
    """Draw a profile of 2NLL with lines at confidence levels and its allowed pieces shaded."""
    figure, axes = figure_and_axes(ax, (4.8, 3.8))
    _draw_profile(axes, curve, levels, label)
    _titled(axes, ax, label)
    return figure


def profiles(curves: Sequence[DrawnProfile], cl: float, title: str = "") -> Figure:
    """Draw profiles of 2NLL, one panel each."""
    rows, columns = grid(len(curves))
    figure = _figure(3.6 * columns, 2.9 * rows + 0.3)
    for i, curve in enumerate(curves):
        axes = figure.add_subplot(rows, columns, i + 1)
        _draw_profile(axes, curve, [cl], "")
        if i % columns:
            axes.set_ylabel("")
    return titled(figure, title, "medium")


def _draw_profile(axes: Axes, curve: DrawnProfile, levels: Sequence[float], label: str) -> None:
    rises = [float(chi2.ppf(cl, 1)) for cl in levels]
    first = not axes.lines
    (line,) = axes.plot(curve.values, curve.delta, label=label)
    line.set_gid("profile")
    for low, high in curve.pieces:
        ends = np.clip([low, high], curve.values[0], curve.values[-1])
        axes.axvspan(*ends, color=line.get_color(), alpha=0.12, lw=0)
    if first:
        for cl, rise in zip(levels, rises, strict=True):
            _draw_threshold(axes, rise, cl)
        known = PARAMETERS.get(curve.parameter)
        if known is not None and curve.values[0] <= known.offset <= curve.values[-1]:
            axes.axvline(known.offset, color="0.6", lw=0.9, ls=":", zorder=1)
        axes.set_xlim(curve.values[0], curve.values[-1])
    top = max(3.0 * max(rises, default=4.0), 0.3)
    axes.set_ylim(0.0, top if first else max(top, axes.get_ylim()[1]))
    axes.set_xlabel(_axis_label(curve.parameter, curve.unit))
    axes.set_ylabel(r"$-2\,\Delta\ln L$")
    _scaled(axes, "x")


def region(found: "ContourResult", label: str, ax: Axes | None = None) -> Figure:
    """Draw regions by confidence level, filled, with their boundary lines and the best fit.

    Boundary lines are (n, 2), the allowed side to their right; they may end at the frame.
    """
    parameters, units = found.parameters, found.units
    frame = (found.x[0], found.x[-1]), (found.y[0], found.y[-1])
    figure, axes = figure_and_axes(ax, (4.6, 4.4))
    first = not axes.lines
    colour = axes.plot([], [])[0].get_color()
    axes.lines[-1].remove()
    # a level keeps the line that another result on these axes gave it
    styles = {str(line.get_gid()): line.get_linestyle() for line in axes.lines if line.get_gid()}
    others = [style for style in _STYLES if style not in styles.values()] + [*_STYLES] * 3
    for cl, pieces in sorted(dict(found.regions).items()):
        style = styles.get(f"{cl:g}") or others.pop(0)
        name = f"{percent(cl)} % CL" if ax is None else f"{label}, {percent(cl)} % CL"
        loops = _closed(pieces, frame)
        if loops:
            path = Path.make_compound_path(*(Path(loop, closed=True) for loop in loops))
            axes.add_patch(PathPatch(path, facecolor=colour, alpha=0.15, lw=0, zorder=0.9))
        for number, piece in enumerate(pieces):
            label_once = name if number == 0 else None
            axes.plot(*piece.T, style, color=colour, label=label_once, gid=f"{cl:g}")
    axes.plot(*found.best_fit, "*", color=colour, label="best fit" if ax is None else None)
    known = [PARAMETERS[name].offset for name in parameters if name in PARAMETERS]
    if first and len(known) == 2:
        axes.plot(*known, "+", color="black", label="Standard Model")
    axes.set_xlabel(_axis_label(parameters[0], units[0]))
    axes.set_ylabel(_axis_label(parameters[1], units[1]))
    _scaled(axes, "x")
    _scaled(axes, "y")
    if ax is None:
        # below: a region may fill the axes up to their corners
        figure.legend(loc="outside lower center", ncols=2, frameon=False, fontsize="small")
    _titled(axes, ax, label)
    return figure


def _closed(
    pieces: Sequence[FloatArray], frame: tuple[tuple[float, float], tuple[float, float]]
) -> list[FloatArray]:
    """Close lines (n, 2) along the frame, clockwise: the allowed side is to their right."""
    shut = [line for line in pieces if np.array_equal(line[0], line[-1])]
    ends = [line for line in pieces if not np.array_equal(line[0], line[-1])]
    if not ends:
        return shut
    (left, right), (low, high) = frame
    corners = np.array([(left, low), (left, high), (right, high), (right, low)])

    def place(point: FloatArray) -> float:
        """Position along the frame, clockwise from the lower left corner: 0 to 4."""
        x = (point[0] - left) / (right - left)
        y = (point[1] - low) / (high - low)
        side = int(np.argmin([abs(x), abs(1.0 - y), abs(1.0 - x), abs(y)]))
        return side + float(np.clip((y, x, 1.0 - y, 1.0 - x)[side], 0.0, 1.0))

    rest, loops = list(ends), []
    while rest:
        loop = [rest.pop(0)]
        start = place(loop[0][0])
        while True:
            here = place(loop[-1][-1])
            ahead = [(place(line[0]) - here) % 4.0 for line in rest]
            home = (start - here) % 4.0
            nearest = int(np.argmin(ahead)) if ahead and min(ahead) < home else None
            until = home if nearest is None else ahead[nearest]
            passed = [k for k in range(int(here) + 1, int(here) + 6) if k < here + until]
            loop += [corners[[k % 4 for k in passed]]] if passed else []
            if nearest is None:
                break
            loop.append(rest.pop(nearest))
        loops.append(np.concatenate([*loop, loop[0][:1]]))
    return [*shut, *loops]


def limits(bars: Sequence["LimitResult"], label: str, ax: Axes | None = None) -> Figure:
    """Draw intervals as bars with their best fits: a panel each, or on given axes a row each."""
    if ax is None:
        figure = _figure(5.4, 0.5 + 0.95 * len(bars))
        panels = [figure.add_subplot(len(bars), 1, i + 1) for i in range(len(bars))]
        titled(figure, f"{label}, {percent(bars[0].cl)} % CL", "medium")
    else:
        figure, panels = figure_and_axes(ax)[0], [ax] * len(bars)
    for axes, bar in zip(panels, bars, strict=True):
        rows = [text for text in (t.get_text() for t in axes.get_yticklabels()) if text]
        rows = rows if axes.has_data() else []
        y = len(rows)
        colour = f"C{y % 10}" if ax is not None else "C0"
        if bar.expected is not None:
            _draw_band(axes, bar.expected, y, labelled=axes is panels[0])
        known = [v for v in (*np.ravel(bar.intervals), bar.best_fit) if np.isfinite(v)]
        margin = 0.5 * (max(known) - min(known))
        for piece in bar.intervals:
            drawn = np.clip(piece, min(known) - margin, max(known) + margin)
            axes.plot(drawn, [y, y], lw=6, alpha=0.5, color=colour, solid_capstyle="butt")
            for end, arrow in ((-np.inf, "<"), (np.inf, ">")):  # the data set no end
                axes.plot(drawn[np.equal(piece, end)], [y] * piece.count(end), arrow, color=colour)
        axes.plot([bar.best_fit], [y], "o", ms=4, color=colour)
        name = _named(bar.parameter)
        axes.set_yticks(range(y + 1), labels=[*rows, name if ax is None else f"{label}, {name}"])
        axes.set_ylim(y + 0.5, -0.5)
        axes.set_xlabel(_in_unit(bar.unit).strip())
        _scaled(axes, "x")
    if ax is None and bars[0].expected is not None:
        figure.legend(loc="outside lower center", ncols=3, frameon=False, fontsize="small")
    return figure


def _draw_band(axes: Axes, expected: Mapping[str, float], y: float, labelled: bool) -> None:
    """Draw the expected limits of a row: median, and the bands of one and two deviations."""
    for low, high, colour, name in (
        ("minus2", "plus2", "#ffdd55", r"expected $\pm 2\sigma$"),
        ("minus1", "plus1", "#66cc55", r"expected $\pm 1\sigma$"),
    ):
        axes.barh(y, expected[high] - expected[low], 0.7, expected[low], color=colour,
                  label=name if labelled else None)  # fmt: skip
    axes.plot([expected["median"]] * 2, [y - 0.35, y + 0.35], "k--", lw=1.2,
              label="expected median" if labelled else None)  # fmt: skip


def coverage(found: "CoverageResult", label: str, ax: Axes | None = None) -> Figure:
    """Draw a coverage with its error at the true value, and the confidence level as a line."""
    figure, axes = figure_and_axes(ax, (4.2, 3.2))
    if not axes.lines:
        axes.axhline(found.cl, color="0.6", lw=0.9, ls="--", zorder=1)
    axes.errorbar([found.true], [found.coverage], [found.error], fmt="o", label=label)
    axes.set_xlabel(_axis_label(found.parameter, found.unit))
    axes.set_ylabel("coverage")
    _scaled(axes, "x")
    _titled(axes, ax, label)
    return figure


def exclusion(found: "ExclusionResult", label: str, ax: Axes | None = None) -> Figure:
    """Draw the ends of the allowed pieces over the values (n,) of a setting, both logarithmic."""
    at, intervals = found.at, found.intervals
    figure, axes = figure_and_axes(ax, (5.0, 3.8))
    axes.set_xscale("log")
    axes.set_yscale("log")
    limit = np.array([pieces[0][1] for pieces in intervals])
    (line,) = axes.plot(at, limit, label=label)
    colour = line.get_color()
    axes.fill_between(at, limit, 1e3 * limit.max(), color=colour, alpha=0.15, lw=0)
    for k in range(1, max(len(pieces) for pieces in intervals)):
        nothing = (np.nan, np.nan)
        ends = np.array([p[k] if k < len(p) else nothing for p in intervals])
        axes.fill_between(at, ends[:, 0], ends[:, 1], color="white", lw=0)
        axes.plot(at, ends, "--", color=colour, lw=1.0)
    line.set_gid("limit")
    drawn = np.concatenate([one.get_ydata() for one in axes.lines if one.get_gid() == "limit"])
    axes.set_ylim(drawn.min() / 10.0, 30.0 * drawn.max())
    axes.set_xlim(at.min(), at.max())
    name, _, ending = found.setting.rpartition("_")
    axes.set_xlabel(f"{name.replace('_', ' ')} [{_SETTING_UNITS.get(ending, ending)}]")
    axes.set_ylabel(_axis_label(found.parameter, found.unit))
    _titled(axes, ax, label)
    return figure
