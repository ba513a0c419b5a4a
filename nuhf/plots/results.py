"""Pictures of single results, on axes of the user or their own; everything in base units.

Several results drawn on the same axes overlay: each takes the next colour of the axes' cycle.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray
from scipy.stats import chi2

from nuhf.couplings.parameters import PARAMETERS
from nuhf.plots.figures import (
    _axis_label,
    _draw_threshold,
    _figure,
    _in_unit,
    _named,
    figure_and_axes,
)
from nuhf.units import percent

__all__ = ["Bar", "coverage", "exclusion", "limits", "profile", "region"]

FloatArray = NDArray[np.float64]

_STYLES: Final = ("-", "--", ":", "-.")


@dataclass(frozen=True)
class Bar:
    """Pieces of an interval with its best fit, in the base unit."""

    parameter: str
    unit: str
    pieces: Sequence[tuple[float, float]]
    best_fit: float
    label: str
    cl: float


def _scaled(axes: Axes, which: Literal["x", "y"]) -> None:
    """Write the power of ten once, at the end of an axis."""
    axes.ticklabel_format(axis=which, style="sci", scilimits=(-2, 3), useMathText=True)
    axis = axes.xaxis if which == "x" else axes.yaxis
    axis.set_major_locator(MaxNLocator(6, steps=[1, 2, 5, 10]))


def _titled(axes: Axes, given: Axes | None, title: str) -> None:
    if given is None:
        axes.set_title(title, fontsize="medium")


def profile(
    parameter: str,
    unit: str,
    values: FloatArray,
    delta: FloatArray,
    levels: Sequence[float],
    label: str,
    ax: Axes | None = None,
) -> Figure:
    """Draw a profile of 2NLL (n,) over values (n,), with lines at confidence levels."""
    figure, axes = figure_and_axes(ax, (4.8, 3.8))
    rises = [float(chi2.ppf(cl, 1)) for cl in levels]
    first = not axes.lines
    (line,) = axes.plot(values, delta, label=label)
    line.set_gid("profile")
    standard = PARAMETERS[parameter].offset if parameter in PARAMETERS else None
    if first:
        for cl, rise in zip(levels, rises, strict=True):
            _draw_threshold(axes, rise, cl, "small")
        if standard is not None and values[0] <= standard <= values[-1]:
            axes.axvline(standard, color="0.6", lw=0.9, ls=":", zorder=1)
        axes.set_xlim(values[0], values[-1])
    top = 3.0 * max(rises, default=4.0)
    axes.set_ylim(0.0, top if first else max(top, axes.get_ylim()[1]))
    axes.set_xlabel(_axis_label(parameter, unit))
    axes.set_ylabel(r"$-2\,\Delta\ln L$")
    _scaled(axes, "x")
    _titled(axes, ax, label)
    return figure


def region(
    parameters: tuple[str, str],
    units: tuple[str, str],
    lines: Mapping[float, Sequence[FloatArray]],
    best_fit: tuple[float, float],
    label: str,
    ax: Axes | None = None,
) -> Figure:
    """Draw the boundary lines (n, 2) of regions by confidence level, and the best fit."""
    figure, axes = figure_and_axes(ax, (4.6, 4.2))
    first = not axes.lines
    colour = axes.plot([], [])[0].get_color()
    axes.lines[-1].remove()
    for (cl, pieces), style in zip(sorted(lines.items()), _STYLES * 3, strict=False):
        name = f"{percent(cl)} % CL" if ax is None else f"{label}, {percent(cl)} % CL"
        for number, piece in enumerate(pieces):
            axes.plot(*piece.T, style, color=colour, label=name if number == 0 else None)
    axes.plot(*best_fit, "*", color=colour, label="best fit" if ax is None else None)
    known = [PARAMETERS[name].offset for name in parameters if name in PARAMETERS]
    if first and len(known) == 2:
        axes.plot(*known, "+", color="black", label="Standard Model")
    axes.set_xlabel(_axis_label(parameters[0], units[0]))
    axes.set_ylabel(_axis_label(parameters[1], units[1]))
    _scaled(axes, "x")
    _scaled(axes, "y")
    if ax is None:
        figure.legend(loc="outside lower center", ncols=2, frameon=False, fontsize="small")
    _titled(axes, ax, label)
    return figure


def limits(bars: Sequence[Bar], ax: Axes | None = None) -> Figure:
    """Draw intervals as bars with their best fits: a panel each, or on given axes a row each."""
    if ax is None:
        figure = _figure(5.4, 0.5 + 0.95 * len(bars))
        panels = [figure.add_subplot(len(bars), 1, i + 1) for i in range(len(bars))]
        figure.suptitle(f"{bars[0].label}, {percent(bars[0].cl)} % CL", fontsize="medium")
    else:
        figure, panels = figure_and_axes(ax)[0], [ax] * len(bars)
    for axes, bar in zip(panels, bars, strict=True):
        rows = [text for text in (t.get_text() for t in axes.get_yticklabels()) if text]
        rows = rows if axes.has_data() else []
        y = len(rows)
        colour = f"C{y % 10}" if ax is not None else "C0"
        for low, high in bar.pieces:
            axes.plot([low, high], [y, y], lw=6, alpha=0.5, color=colour, solid_capstyle="butt")
        axes.plot([bar.best_fit], [y], "o", ms=4, color=colour)
        name = _named(bar.parameter)
        axes.set_yticks(
            range(y + 1), labels=[*rows, name if ax is None else f"{bar.label}, {name}"]
        )
        axes.set_ylim(y + 0.5, -0.5)
        axes.set_xlabel(_in_unit(bar.unit).strip())
        _scaled(axes, "x")
    return figure


def coverage(
    parameter: str,
    unit: str,
    true: float,
    fraction: float,
    error: float,
    cl: float,
    label: str,
    ax: Axes | None = None,
) -> Figure:
    """Draw a coverage with its error at the true value, and the confidence level as a line."""
    figure, axes = figure_and_axes(ax, (4.2, 3.2))
    if not axes.lines:
        axes.axhline(cl, color="0.6", lw=0.9, ls="--", zorder=1)
    axes.errorbar([true], [fraction], [error], fmt="o", label=label)
    axes.set_xlabel(_axis_label(parameter, unit))
    axes.set_ylabel("coverage")
    _scaled(axes, "x")
    _titled(axes, ax, label)
    return figure


def exclusion(
    parameter: str,
    unit: str,
    setting: str,
    at: FloatArray,
    intervals: Sequence[Sequence[tuple[float, float]]],
    label: str,
    ax: Axes | None = None,
) -> Figure:
    """Draw the ends of the allowed pieces over the values (n,) of a setting, both logarithmic."""
    figure, axes = figure_and_axes(ax, (5.0, 3.8))
    axes.set_xscale("log")
    axes.set_yscale("log")
    (line,) = axes.plot(at, [pieces[0][1] for pieces in intervals], label=label)
    for k in range(1, max(len(pieces) for pieces in intervals)):
        ends = [p[k] if k < len(p) else (np.nan, np.nan) for p in intervals]
        axes.plot(at, ends, "--", color=line.get_color(), lw=1.0)
    axes.set_xlabel(setting.replace("_", " "))
    axes.set_ylabel(_axis_label(parameter, unit))
    _titled(axes, ax, label)
    return figure
