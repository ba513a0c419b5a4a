"""Data with components and expectations over them: arrays in, Figure out."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from nuhf.papers.figures_draw import _legend, _shape
from nuhf.plots.figures import (
    _COLOURS,
    _figure,
    _plain_axes,
    axis_texts,
    component_colours,
    mathematical,
)

__all__ = ["Spectra", "SpectrumLine", "draw_spectra"]

FloatArray = NDArray[np.float64]


@dataclass(frozen=True)
class SpectrumLine:
    """A total expectation in events per bin, with its own edges (n + 1,)."""

    label: str
    style: str
    edges: FloatArray
    events: FloatArray


@dataclass(frozen=True)
class Spectra:
    """One axis of one region: data, components and lines in events per bin."""

    title: str
    axis: str
    edges: FloatArray
    data: FloatArray
    errors: FloatArray
    components: Mapping[str, FloatArray]
    titles: Mapping[str, str]
    lines: tuple[SpectrumLine, ...]


def draw_spectra(
    parts: Sequence[Spectra],
    title: str,
    components: bool,
    log: bool,
    ends: tuple[float, float] | None,
) -> Figure:
    """Draw events per unit: data, stacked components and lines, one panel per part.

    Parameters
    ----------
    parts : sequence of Spectra
        Events per bin.
    title : str
        Above the figure.
    components : bool
        Whether to draw the components.
    log : bool
        Whether the events are on a logarithmic axis.
    ends : (float, float) or None
        Ends of the horizontal axis, in its unit; all bins by default.
    """
    rows, columns = _shape(len(parts))
    figure = _figure(max(4.4 * columns, 5.4), 3.4 * rows + 0.9)
    shades = component_colours(list(dict.fromkeys(n for one in parts for n in one.components)))
    lines = _line_colours([line.label for one in parts for line in one.lines], components)
    handles: dict[str, Artist] = {}
    for i, one in enumerate(parts):
        axes = figure.add_subplot(rows, columns, i + 1)
        _spectrum_panel(axes, one, shades if components else {}, lines, log)
        if ends is not None:
            axes.set_xlim(*ends)
        if len({part.title for part in parts}) > 1:
            axes.set_title(one.title, fontsize=9.5)
        found = zip(*axes.get_legend_handles_labels(), strict=True)
        handles |= {name: handle for handle, name in found}
    _legend(figure, [handles[name] for name in sorted(handles, key=lambda n: n != "data")])
    figure.suptitle(mathematical(title), fontsize=10.5)
    return figure


def _line_colours(labels: Sequence[str], components: bool) -> dict[str, str]:
    """Colours of lines, from the other end of the palette where components use its start."""
    palette = ("#000000", *_COLOURS[3:5], *_COLOURS[1:3]) if components else _COLOURS
    return {name: palette[i % len(palette)] for i, name in enumerate(dict.fromkeys(labels))}


def _spectrum_panel(
    axes: Axes, one: Spectra, shades: Mapping[str, str], lines: Mapping[str, str], log: bool
) -> None:
    width = np.diff(one.edges)
    bottom = np.zeros(width.size)
    for name, shade in shades.items():
        if name in one.components:
            top = bottom + one.components[name] / width
            axes.stairs(top, one.edges, baseline=bottom, fill=True, color=shade,
                        label=one.titles.get(name, name))  # fmt: skip
            bottom = top
    for line in one.lines:
        axes.stairs(line.events / np.diff(line.edges), line.edges, baseline=None, lw=1.7,
                    color=lines[line.label], ls=line.style, label=line.label)  # fmt: skip
    centre = 0.5 * (one.edges[1:] + one.edges[:-1])
    axes.errorbar(centre, one.data / width, one.errors / width, 0.5 * width, fmt="o", ms=3, lw=1,
                  color="black", label="data")  # fmt: skip
    label, density = axis_texts(one.axis)
    axes.set_xlabel(label)
    axes.set_ylabel(density)
    axes.set_xlim(one.edges[0], one.edges[-1])
    lowest = (one.data - one.errors) / width
    if log:
        positive = [row[row > 0] for row in (one.data / width, bottom)]
        axes.set_yscale("log")
        axes.set_ylim(bottom=0.5 * min(float(row.min()) for row in positive if row.size))
    else:
        axes.set_ylim(bottom=min(0.0, 1.2 * float(lowest.min())))
    _plain_axes(axes)
