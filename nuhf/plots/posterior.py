"""Figures of posteriors and of simulated data sets."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from scipy.ndimage import gaussian_filter

from nuhf.arrays import FloatArray, IntArray
from nuhf.plots.figures import (
    _axis_label,
    _exponent,
    _figure,
    _plain_axes,
    figure_and_axes,
    grid,
    titled,
)
from nuhf.units import percent

if TYPE_CHECKING:
    from nuhf.bayes.results import Marginal

_POSTERIOR: Final = "#0072b2"
_PROFILE: Final = "#d55e00"
_VISIBLE: Final = 0.002
"""Density relative to the maximum below which a panel need not reach."""
_BINS: Final = 48
_MARK: Final = "posterior in units of 10^"
"""What the lines of a posterior are marked with: others may follow on the same axes."""


def beside_profile(
    curves: Sequence["Marginal"], cl: float, title: str, ax: Axes | None = None
) -> Figure:
    """Draw each posterior with its region of highest density beside its profile likelihood.

    With axes given, only the first curve, into them: several posteriors have colours of their own
    and are named by their priors.
    """
    if ax is not None:
        _panel(ax, curves[0], cl, f", {curves[0].prior}")
        ax.set_ylabel("relative to the maximum")
        ax.legend(frameon=False, fontsize=8)
        return figure_and_axes(ax)[0]
    rows, columns = grid(len(curves))
    figure = _figure(3.6 * columns + 0.4, 2.9 * rows + 0.6)
    for i, curve in enumerate(curves):
        axes = figure.add_subplot(rows, columns, i + 1)
        _panel(axes, curve, cl)
        if i % columns == 0:
            axes.set_ylabel("relative to the maximum")
    figure.legend(*figure.axes[0].get_legend_handles_labels(), loc="outside lower center",
                  ncols=3, frameon=False, fontsize=8)  # fmt: skip
    return titled(figure, title)


def _panel(axes: Axes, curve: "Marginal", cl: float, name: str = "") -> None:
    exponent = _exponent(curve.values[curve.density > _VISIBLE])
    drawn = [g for line in axes.lines if (g := line.get_gid() or "").startswith(_MARK)]
    colours = _POSTERIOR, _PROFILE
    if drawn:  # in the unit and beside the colours that are there
        exponent = int(drawn[0].removeprefix(_MARK))
        colours = (f"C{len(drawn)}",) * 2
    x = curve.values / 10.0**exponent
    visible = np.flatnonzero(np.maximum(curve.density, curve.profile) > _VISIBLE)
    axes.plot(
        x,
        curve.density,
        color=colours[0],
        lw=1.6,
        label=f"posterior{name}",
        gid=f"{_MARK}{exponent}",
    )
    axes.plot(
        x, curve.profile, color=colours[1], lw=1.2, ls="--", label="profile likelihood" + name,
        gid=f"{_MARK}{exponent}",
    )  # fmt: skip
    for i, (low, high) in enumerate(curve.pieces):
        inside = (curve.values >= low) & (curve.values <= high)
        label = None if i else f"{percent(cl)} % highest density{name}"
        axes.fill_between(x, curve.density, where=inside.tolist(), color=colours[0], alpha=0.2,
                          lw=0, label=label)  # fmt: skip
    low, high = axes.get_xlim() if drawn else (np.inf, -np.inf)
    axes.set_xlim(min(low, x[visible[0]]), max(high, x[visible[-1]]))
    axes.set_ylim(0.0, 1.1)
    axes.set_xlabel(_axis_label(curve.parameter, curve.unit, exponent))
    axes.xaxis.set_major_locator(MaxNLocator(6, steps=[1, 2, 5, 10]))
    _plain_axes(axes)


def corner(
    draws: FloatArray,
    weights: FloatArray,
    couplings: Sequence[tuple[str, str]],
    cl: float,
    title: str,
) -> Figure:
    """Draw marginals of couplings on the diagonal and the joint density of each pair below.

    Of k couplings, names with units, there are weighted draws (n, k). ``cl`` is the probability of
    the outer contour; the inner one has half of it.
    """
    k = len(couplings)
    figure = _figure(2.5 * k + 0.6, 2.5 * k + 0.4)
    axes = np.atleast_2d(figure.subplots(k, k, sharex="col", squeeze=False))
    exponents = [_exponent(draws[weights > 0, i]) for i in range(k)]
    scaled = draws / 10.0 ** np.array(exponents)
    ends = [_ends(scaled[:, i], weights) for i in range(k)]
    for row in range(k):
        for column in range(k):
            panel: Axes = axes[row, column]
            panel.tick_params(direction="in")
            if column > row:
                panel.set_visible(False)
            elif column == row:
                panel.hist(scaled[:, row], bins=_BINS, range=ends[row], weights=weights,
                           color=_POSTERIOR, histtype="stepfilled", alpha=0.4)  # fmt: skip
                panel.set_yticks([])
                panel.spines[["top", "right", "left"]].set_visible(False)
            else:
                _joint(panel, scaled[:, [column, row]], weights, (ends[column], ends[row]), cl)
            panel.set_xlim(*ends[column])
        axes[-1, row].set_xlabel(_axis_label(*couplings[row], exponents[row]))
        if row:
            axes[row, 0].set_ylabel(_axis_label(*couplings[row], exponents[row]))
    return titled(figure, f"{title}; contours {percent(cl / 2)} and {percent(cl)} %", 9)


def _ends(values: FloatArray, weights: FloatArray) -> tuple[float, float]:
    """Range that holds all but 0.2 % of the probability, with a margin."""
    order = np.argsort(values)
    sums = np.cumsum(weights[order])
    low, high = values[order][np.searchsorted(sums, [0.001, 0.999])]
    margin = 0.08 * (high - low)
    floor = 0.0 if values.min() >= 0.0 and low - margin < 0.0 else low - margin
    return float(floor), float(high + margin)


def _joint(
    panel: Axes,
    pair: FloatArray,
    weights: FloatArray,
    ends: tuple[tuple[float, float], tuple[float, float]],
    cl: float,
) -> None:
    x, y = (np.linspace(*end, _BINS + 1) for end in ends)
    found, _, _ = np.histogram2d(pair[:, 0], pair[:, 1], bins=[x, y], weights=weights)
    smooth = gaussian_filter(found, 1.2, mode="reflect").T
    ordered = np.sort(smooth.ravel())[::-1]
    sums = np.cumsum(ordered) / ordered.sum()
    levels = sorted({float(ordered[np.searchsorted(sums, p)]) for p in (cl / 2, cl)})
    centre = 0.5 * (x[1:] + x[:-1]), 0.5 * (y[1:] + y[:-1])
    panel.contourf(*centre, smooth, levels=[*levels, 2.0 * ordered[0]],
                   colors=["#9ecae1", "#3182bd"][-len(levels) :])  # fmt: skip
    panel.set_ylim(*ends[1])


def counts(data: IntArray, title: str = "", ax: Axes | None = None) -> Figure:
    """Draw the mean of simulated counts (n, bins) by bin, and the band that holds 68 % of them."""
    figure, axes = figure_and_axes(ax, (5.4, 3.4))
    low, high = np.quantile(data, [0.16, 0.84], axis=0)
    edges = np.arange(data.shape[1] + 1) - 0.5
    axes.stairs(high, edges, baseline=low, fill=True, color=_POSTERIOR, alpha=0.25, label="68 %")
    axes.stairs(data.mean(axis=0), edges, color=_POSTERIOR, label="mean")
    axes.set_xlabel("bin")
    axes.set_ylabel("counts")
    axes.legend(frameon=False, fontsize=8)
    axes.set_title(title, fontsize=10)
    return figure
