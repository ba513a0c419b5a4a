"""Figures of nuisance parameters: impacts, pulls, correlations. Arrays in, Figure out."""

from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING, Final

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from nuhf.arrays import FloatArray
from nuhf.plots.figures import (
    _exponent,
    _figure,
    _in_unit,
    _plain_axes,
    figure_and_axes,
    symbol,
    titled,
)
from nuhf.units import UNIT_LABELS

if TYPE_CHECKING:
    from nuhf.stats.ranking import RankingResult

_UP: Final = "#0072b2"
_DOWN: Final = "#d55e00"
_SHOWN: Final = 25


def _rows(axes: Axes, names: Sequence[str], labelled: bool = True) -> FloatArray:
    """Put names on the y axis, the first on top, and return their positions."""
    y = np.arange(len(names), dtype=float)
    axes.set_yticks(y, labels=list(names) if labelled else [""] * len(names), fontsize=8)
    axes.set_ylim(len(names) - 0.4, -0.6)
    _plain_axes(axes)
    axes.tick_params(axis="y", length=0)
    return y


def _quantity(name: str, unit: str, exponent: int) -> str:
    """Axis label of a change; a squared parameter is named by its stem, such as munu2_mu."""
    base = unit.removesuffix("^2")
    text, label = symbol(name), UNIT_LABELS.get(base, base)
    if text == name:  # of a file of other people
        text = rf"\mathrm{{{name}}}".replace("_", r"\_")
    if base != unit:
        stem, _, flavour = name.rpartition("_")
        text, label = f"{symbol(f'{stem[:-1]}_{flavour}')}^2", f"{label}^2"
    return f"$\\Delta {text}$" + _in_unit(label, exponent)


def impacts(found: "RankingResult", title: str = "", ax: Axes | None = None) -> Figure:
    """Draw impacts on the left and pulls on the right, a row for each of the first 25 nuisances.

    What is free has no constraint and no pull: its fitted value is written there. On given axes
    the impacts alone are drawn.
    """
    names = list(found.nuisances)[:_SHOWN]
    if ax is not None:
        _draw_impacts(ax, found, names)
        ax.legend(fontsize="small", frameon=False)
        return figure_and_axes(ax)[0]
    figure = _figure(7.4, 1.5 + 0.3 * len(names))
    left, right = figure.subplots(1, 2, width_ratios=(2, 1))
    _draw_impacts(left, found, names)
    figure.legend(*left.get_legend_handles_labels(), loc="outside lower center", ncols=4,
                  frameon=False, fontsize=7.5)  # fmt: skip
    free = [name for name, kind in zip(names, found.kinds, strict=False) if kind != "constrained"]
    values, errors = found.pulls[:_SHOWN], found.constraints[:_SHOWN]
    _draw_pulls(right, names, values, errors, free, labelled=False)
    return titled(figure, title)


def _draw_impacts(axes: Axes, found: "RankingResult", names: Sequence[str]) -> None:
    """Draw the first impacts, as many as there are names."""
    y, shown = _rows(axes, names), slice(0, len(names))
    prefit = found.prefit_up, found.prefit_down
    postfit = found.postfit_up, found.postfit_down
    exponent = _exponent(np.concatenate([*prefit, *postfit]))
    for colour, label, before, after in zip(
        (_UP, _DOWN), ("up", "down"), prefit, postfit, strict=True
    ):
        before, after = before / 10.0**exponent, after / 10.0**exponent
        axes.barh(y, before[shown], 0.7, fill=False, edgecolor=colour, lw=0.9,
                  label=rf"pre-fit $1\sigma$ {label}")  # fmt: skip
        axes.barh(y, after[shown], 0.7, color=colour, alpha=0.6, lw=0,
                  label=rf"post-fit $1\sigma$ {label}")  # fmt: skip
    axes.axvline(0.0, color="black", lw=0.8)
    reach = max(abs(end) for end in axes.get_xlim())
    axes.set_xlim(-reach, reach)
    axes.set_xlabel(_quantity(found.quantity, found.unit, exponent))


def _draw_pulls(
    axes: Axes,
    names: Sequence[str],
    values: FloatArray,
    errors: FloatArray,
    free: Collection[str],
    labelled: bool,
) -> None:
    y = _rows(axes, names, labelled)
    pulled = np.array([name not in free for name in names])
    axes.axvspan(-1.0, 1.0, color="#eeeeee", lw=0)
    axes.axvline(0.0, color="#999999", lw=0.8, ls="--")
    axes.errorbar(values[pulled], y[pulled], xerr=errors[pulled], fmt="o", ms=3.5, lw=1.1,
                  color="black")  # fmt: skip
    for i in np.flatnonzero(~pulled):
        axes.text(0.0, y[i], f"{values[i]:.3g} ± {errors[i]:.2g}", ha="center", va="center",
                  fontsize=7.5, bbox={"color": "white", "pad": 1.0}, gid="free")  # fmt: skip
    ends = np.abs(values[pulled]) + errors[pulled]
    reach = max(2.2, 1.1 * float(ends.max(initial=0.0)))
    axes.set_xlim(-reach, reach)
    axes.set_xlabel(r"pull [$\sigma$]")


def pulls(
    nuisances: Sequence[str],
    values: FloatArray,
    errors: FloatArray,
    title: str = "",
    free: Collection[str] = (),
    ax: Axes | None = None,
) -> Figure:
    """Draw fitted nuisances (n,) with their errors (n,), in standard deviations.

    Of the ``free`` ones and other factors the fitted values are written.
    """
    figure, axes = figure_and_axes(ax, (4.8, 0.9 + 0.28 * len(nuisances)))
    _draw_pulls(axes, nuisances, values, errors, free, labelled=True)
    return titled(figure, "" if ax else title)


def correlation(names: Sequence[str], matrix: FloatArray, title: str = "") -> Figure:
    """Draw a correlation matrix (n, n) with its values in per cent."""
    size = 2.2 + 0.38 * len(names)
    figure = _figure(size + 0.8, size)
    axes = figure.add_subplot()
    image = axes.imshow(matrix, vmin=-1.0, vmax=1.0, cmap="RdBu_r")
    ticks = np.arange(len(names))
    axes.set_xticks(ticks, labels=list(names), rotation=90, fontsize=7.5)
    axes.set_yticks(ticks, labels=list(names), fontsize=7.5)
    axes.tick_params(length=0)
    for i, row in enumerate(matrix):
        for j, value in enumerate(row):
            colour = "white" if abs(value) > 0.6 else "black"
            text = str(round(100 * float(value)))
            axes.text(j, i, text, ha="center", va="center", fontsize=6.5, color=colour)
    figure.colorbar(image, ax=axes, shrink=0.8, label="correlation")
    return titled(figure, title)
