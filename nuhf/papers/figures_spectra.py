"""Data with components and expectations over them: arrays in, Figure out."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from nuhf.papers.figures_draw import _legend, _shape
from nuhf.plots.figures import (
    _COLOURS,
    _figure,
    axis_texts,
    component_colours,
    mathematical,
)
from nuhf.plots.spectrum import DATA, draw_spectrum
from nuhf.stats.expected import RegionSpectrum


@dataclass(frozen=True)
class SpectrumPanel:
    """A region with one axis, and the expectations that are lines over it: label, style, region."""

    title: str
    region: RegionSpectrum
    lines: tuple[tuple[str, str, RegionSpectrum], ...]


def draw_spectra(
    parts: Sequence[SpectrumPanel],
    title: str,
    components: bool,
    log: bool,
    ends: tuple[float, float] | None,
) -> Figure:
    """Draw events per unit: data, stacked components and lines, one panel per part.

    The ends of the horizontal axis are in its unit; all bins by default.
    """
    rows, columns = _shape(len(parts))
    figure = _figure(max(4.4 * columns, 5.4), 3.4 * rows + 0.9)
    shades = component_colours(list(dict.fromkeys(n for one in parts for n in one.region.expected)))
    lines = _line_colours([label for one in parts for label, *_ in one.lines], components)
    handles: dict[str, Artist] = {}
    for i, one in enumerate(parts):
        axes = figure.add_subplot(rows, columns, i + 1)
        _draw_panel(axes, one, shades if components else {}, lines, log)
        if ends is not None:
            axes.set_xlim(*ends)
        if len({part.title for part in parts}) > 1:
            axes.set_title(one.title, fontsize=9.5)
        found = zip(*axes.get_legend_handles_labels(), strict=True)
        handles |= {name: handle for handle, name in found}
    _legend(figure, [handles[name] for name in sorted(handles, key=lambda n: n not in DATA)])
    figure.suptitle(mathematical(title), fontsize=10.5)
    return figure


def _line_colours(labels: Sequence[str], components: bool) -> dict[str, str]:
    """Colours of lines, from the other end of the palette where components use its start."""
    palette = ("#000000", *_COLOURS[3:5], *_COLOURS[1:3]) if components else _COLOURS
    return {name: palette[i % len(palette)] for i, name in enumerate(dict.fromkeys(labels))}


def _draw_panel(
    axes: Axes, one: SpectrumPanel, shades: Mapping[str, str], lines: Mapping[str, str], log: bool
) -> None:
    draw_spectrum(axes, one.region, shades)
    for label, style, region in one.lines:
        edges = np.asarray(region.axes[0].edges)
        height = region.histogram("total").values() / np.diff(edges)
        axes.stairs(height, edges, baseline=None, lw=1.7, color=lines[label], ls=style, label=label)
    axes.set_xlabel(axis_texts(one.region.axes[0].name)[0])
    if log:
        width = np.diff(one.region.axes[0].edges)
        stacked = sum(one.region.expected[n] for n in one.region.expected if n in shades)
        heights = np.array([one.region.observed, stacked + np.zeros(width.size)]) / width
        axes.set_yscale("log")
        axes.set_ylim(bottom=0.5 * float(heights[heights > 0].min()))
