"""Figures of data and expectation in the bins of a measurement."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Final

import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from nuhf.arrays import FloatArray
from nuhf.plots.figures import (
    _figure,
    _plain_axes,
    axis_texts,
    component_colours,
    figure_and_axes,
    grid,
    titled,
)

if TYPE_CHECKING:
    from nuhf.stats.expected import RegionSpectrum

_INSIDE: Final = 6
"""Most components that a legend inside the axes can list without covering data."""
DATA: Final = ("data", "Asimov data")
_RESIDUALS: Final = (3.0, 1.0)
"""Heights of a panel and of the residuals below it."""


def spectra(regions: Sequence["RegionSpectrum"], title: str = "", ax: Axes | None = None) -> Figure:
    """Draw events per unit against the stacked expectation, one panel per axis with bins.

    The hatched band is the uncertainty of the expectation, where it is known. Below each panel are
    the residuals, data less expectation in errors of the data, with the sum of their squares. On
    given axes it is the first of the panels alone, without residuals.
    """
    panels = []
    for region in regions:
        binned = [i for i, axis in enumerate(region.axes) if axis.bins > 1] or [0]
        panels += [projected(region, i) for i in binned]
    colours = component_colours([*dict.fromkeys(name for r in regions for name in r.expected)])
    if ax is not None:
        draw_spectrum(ax, panels[0], colours)
        ax.set_xlabel(axis_texts(panels[0].axes[0].name)[0])
        ax.legend(frameon=False, fontsize="small")
        return figure_and_axes(ax)[0]
    rows, columns = grid(len(panels))
    titles = {n: region.titles.get(n, n) for region in regions for n in region.expected}
    crowded = len(set(titles.values())) > _INSIDE
    width = max(4.4 * columns, 5.0)
    below = -(-len(titles) // max(2, int(width / 2.0))) if crowded else 0
    figure = _figure(width, 3.9 * rows + 0.2 + 0.2 * below)
    drawn = figure.subplots(
        2 * rows, columns, squeeze=False, height_ratios=_RESIDUALS * rows, sharex=False
    )
    for number, region in enumerate(panels):
        row, column = divmod(number, columns)
        axes, residuals = drawn[2 * row, column], drawn[2 * row + 1, column]
        draw_spectrum(axes, region, colours)
        _draw_residuals(residuals, region)
        axes.tick_params(labelbottom=False)
        if len(regions) > 1:
            axes.set_title(region.region, fontsize="small")
        if not crowded and (number == 0 or panels[number - 1].region != region.region):
            handles, names = axes.get_legend_handles_labels()
            axes.legend(handles[::-1], names[::-1], frameon=False, fontsize="small")
            axes.set_ylim(top=1.3 * axes.get_ylim()[1])
    for number in range(len(panels), rows * columns):
        row, column = divmod(number, columns)
        drawn[2 * row, column].remove()
        drawn[2 * row + 1, column].remove()
    if crowded:
        entries: dict[str, Artist] = {}
        for axes in figure.axes:
            handles, names = axes.get_legend_handles_labels()
            entries.update(zip(names, handles, strict=True))
        entries = dict(sorted(entries.items(), key=lambda one: one[0] not in DATA))
        figure.legend(list(entries.values()), list(entries), loc="outside lower center",
                      ncols=max(2, int(width / 2.0)), frameon=False, fontsize="small")  # fmt: skip
    return titled(figure, title, "medium")


def projected(region: "RegionSpectrum", i: int) -> "RegionSpectrum":
    """Return a region with its events summed over all axes but one."""
    shape = [axis.bins for axis in region.axes]
    others = tuple(-len(shape) + j for j in range(len(shape)) if j != i)

    def along(rows: FloatArray) -> FloatArray:
        return np.asarray(rows.reshape(*rows.shape[:-1], *shape).sum(axis=others))

    return replace(
        region,
        axes=(region.axes[i],),
        observed=along(region.observed),
        errors=np.sqrt(along(region.errors**2)),
        expected={name: along(row) for name, row in region.expected.items()},
        modes=None if region.modes is None else along(region.modes),
    )


def draw_spectrum(axes: Axes, region: "RegionSpectrum", colours: Mapping[str, str]) -> None:
    """Draw data over the stacked components that have a colour, of a region with one axis."""
    edges = np.asarray(region.axes[0].edges)
    width = np.diff(edges)
    bottom = np.zeros(width.size)
    for name in [name for name in region.expected if name in colours]:
        top = bottom + region.expected[name] / width
        axes.stairs(top, edges, baseline=bottom, fill=True, color=colours[name],
                    label=region.titles.get(name, name))  # fmt: skip
        bottom = top
    if region.uncertainty is not None:
        spread = region.uncertainty / width
        axes.stairs(bottom + spread, edges, baseline=bottom - spread, fill=True, hatch="////",
                    facecolor="none", edgecolor="black", alpha=0.6, lw=0.0, zorder=1.5,
                    label="uncertainty")  # fmt: skip
    axes.errorbar(0.5 * (edges[1:] + edges[:-1]), region.observed / width, region.errors / width,
                  0.5 * width, fmt="o", ms=3, lw=1, color="black",
                  label=DATA[region.asimov])  # fmt: skip
    axes.set_ylabel(axis_texts(region.axes[0].name)[1])
    axes.set_xlim(edges[0], edges[-1])
    lowest = (region.observed - region.errors) / width
    axes.set_ylim(bottom=min(0.0, 1.2 * float(lowest.min())))
    _plain_axes(axes)


def _draw_residuals(axes: Axes, region: "RegionSpectrum") -> None:
    """Data less expectation over the error; that of counts is the root of the expectation."""
    edges = np.asarray(region.axes[0].edges)
    expected = region.histogram("total").values()
    variance = expected if region.counted else region.errors**2
    known = variance > 0.0
    pulls = (region.observed - expected)[known] / np.sqrt(variance[known])
    centre = 0.5 * (edges[1:] + edges[:-1])
    axes.axhspan(-1.0, 1.0, color="0.92", lw=0)
    axes.axhline(0.0, color="0.6", lw=0.8)
    axes.plot(centre[known], pulls, "o", ms=3, color="black")
    reach = max(2.5, 1.15 * float(np.abs(pulls).max(initial=0.0)))
    axes.set_ylim(-reach, reach)
    axes.set_xlim(edges[0], edges[-1])
    axes.set_xlabel(axis_texts(region.axes[0].name)[0])
    axes.set_ylabel(r"pull [$\sigma$]")
    axes.annotate(rf"$\chi^2 = {float((pulls**2).sum()):.1f}$ / {pulls.size} bins", (0.99, 0.95),
                  xycoords="axes fraction", ha="right", va="top", fontsize="x-small",
                  bbox={"facecolor": "white", "alpha": 0.7, "lw": 0, "pad": 1.0})  # fmt: skip
    _plain_axes(axes)
