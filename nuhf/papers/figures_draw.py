"""Overlaid profiles, regions and spectra: arrays in, Figure out, in one style."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import MaxNLocator

from nuhf.arrays import FloatArray
from nuhf.couplings.parameters import Parameter, get
from nuhf.papers.figures_schema import Band, ProfileCurve, ProfilePanel
from nuhf.papers.published import PublishedRow
from nuhf.plots.figures import (
    _COLOURS,
    _axis_label,
    _draw_threshold,
    _exponent,
    _figure,
    _in_unit,
    _named,
    _plain_axes,
    axis_texts,
    component_colours,
    mathematical,
)
from nuhf.plots.spectrum import DATA, draw_spectrum
from nuhf.stats.contour import ContourResult
from nuhf.stats.expected import RegionSpectrum
from nuhf.stats.intervals import threshold
from nuhf.stats.problem import Problem
from nuhf.stats.results import LimitResult
from nuhf.units import percent

_STYLES: Final = ("-", "--", ":", "-.")
_SHADE: Final = 0.15
_LANE: Final = 0.07
"""Height of the lane of a published interval, in units of the height of the panel."""
_LANE_INCHES: Final = 0.16


@dataclass(frozen=True)
class Profile:
    """A profile likelihood of a curve, with our intervals and the published ones, a row per piece.

    Values in base units and 2NLL above its minimum, (n,) each, follow when the axis is known;
    ``where`` is its place in the file.
    """

    curve: ProfileCurve
    panel: str
    where: str
    problem: Problem
    limits: tuple[LimitResult, ...]
    published: tuple[PublishedRow, ...]
    values: FloatArray = field(default_factory=lambda: np.zeros(0))
    delta: FloatArray = field(default_factory=lambda: np.zeros(0))
    best_fit: float = np.nan

    @property
    def label(self) -> str:
        """Name in the legend."""
        return self.curve.label

    @property
    def parameter(self) -> Parameter:
        """What is on the axis."""
        return self.problem.parameter

    @property
    def bounded(self) -> bool:
        """Whether the parameter has a physical bound at 0."""
        return self.problem.description.couplings[0].bounded


@dataclass(frozen=True)
class RegionSet:
    """Regions of two parameters, and how they are drawn."""

    label: str
    filled: bool
    found: ContourResult


def _colours(labels: Sequence[str]) -> dict[str, str]:
    """Give every label its colour, the same in all panels."""
    return {name: _COLOURS[i % len(_COLOURS)] for i, name in enumerate(dict.fromkeys(labels))}


def _legend(figure: Figure, handles: Sequence[Artist]) -> None:
    """Put a legend below the panels, in as many columns as fit."""
    if not handles:
        return
    # mathematical text is longer than it looks
    lengths = [min(len(str(handle.get_label())), 40) for handle in handles]
    for handle in handles:
        handle.set_label(mathematical(str(handle.get_label())))

    def width(columns: int) -> float:
        filled = np.array_split(lengths, columns)
        return float(sum(0.07 * column.max() + 0.55 for column in filled))

    fitting = [n for n in range(1, len(handles) + 1) if width(n) <= figure.get_figwidth()]
    figure.legend(handles=list(handles), loc="outside lower center", frameon=False, fontsize=8.5,
                  ncols=max(fitting, default=1))  # fmt: skip


def _shape(panels: int) -> tuple[int, int]:
    """Rows and columns of a number of panels, without a lonely one where possible."""
    columns = panels if panels <= 3 else 2 if panels == 4 else 3
    return -(-panels // columns), columns


def draw_profiles(
    panels: Mapping[str, tuple[ProfilePanel, Sequence[Profile]]],
    levels: Sequence[float],
    title: str,
    bands: Sequence[Band] = (),
) -> Figure:
    """Draw profiles, one panel per entry: thresholds, ends of intervals, published intervals.

    Published intervals are bars in lanes below zero, one lane per curve. The ``levels`` are those
    of one degree of freedom; a band is drawn where a panel has both of its curves.
    """
    rows, columns = _shape(len(panels))
    lanes = max(sum(bool(one.published) for one in group) for _, group in panels.values())
    figure = _figure(max(3.7 * columns, 5.0), (3.0 + _LANE_INCHES * lanes) * rows + 0.9)
    colours = _colours([one.label for _, group in panels.values() for one in group])
    for i, (name, (settings, group)) in enumerate(panels.items()):
        axes = figure.add_subplot(rows, columns, i + 1)
        scale = _profile_panel(axes, settings, group, levels, colours)
        for band in bands:
            _draw_band(axes, band, group, scale, colours)
        own = {one.parameter.name for one in group}
        named = settings.title or ("" if name in own else name)
        axes.set_title(mathematical(named), fontsize=9.5)
        if i % columns == 0:
            axes.set_ylabel(r"$-2\,\Delta\ln L$")
    every = [one for _, group in panels.values() for one in group]
    shaded = [Patch(color=colours[band.between[0]], alpha=_SHADE, lw=0, label=band.label)
              for band in bands]  # fmt: skip
    _legend(figure, [*_profile_handles(every, colours), *shaded])
    figure.suptitle(mathematical(title), fontsize=10.5)
    return figure


def _draw_band(
    axes: Axes, band: Band, group: Sequence[Profile], scale: float, colours: Mapping[str, str]
) -> None:
    """Shade between two curves over the part of the axis that both cover."""
    pairs = [[one for one in group if one.label == label] for label in band.between]
    for first, second in zip(*pairs, strict=False):
        x = np.union1d(first.values, second.values)
        x = x[(x >= max(first.values[0], second.values[0]))
              & (x <= min(first.values[-1], second.values[-1]))]  # fmt: skip
        low, high = (np.interp(x, one.values, one.delta) for one in (first, second))
        axes.fill_between(x / scale, low, high, color=colours[band.between[0]],
                          alpha=_SHADE, lw=0, zorder=0, gid="band")  # fmt: skip


def _profile_handles(profiles: Sequence[Profile], colours: Mapping[str, str]) -> list[Artist]:
    styles = {one.label: one.curve.style for one in profiles}
    handles: list[Artist] = []
    if len(styles) > 1:
        handles += [Line2D([], [], color=colours[name], ls=style, lw=1.6, label=name)
                    for name, style in styles.items()]  # fmt: skip
    if any(one.limits for one in profiles):
        handles.append(Line2D([], [], color="black", marker="o", ms=4, ls="", label="our interval"))
    if any(one.published for one in profiles):
        levels = {level.cl for one in profiles for level in one.published if level.cl}
        which = f", {100 * levels.pop():g} % CL" if len(levels) == 1 else ""
        name = f"published interval{which}"
        handles.append(Line2D([], [], color="black", marker="|", ms=8, lw=2.6, label=name))
    return handles


def _profile_panel(
    axes: Axes,
    settings: ProfilePanel,
    group: Sequence[Profile],
    levels: Sequence[float],
    colours: Mapping[str, str],
) -> float:
    """Draw a panel of profiles; return the power of ten that its axis is in."""
    ends = settings.range or (
        min(float(one.values[0]) for one in group), max(float(one.values[-1]) for one in group)
    )  # fmt: skip
    exponent = 0 if settings.log else _exponent(np.array(ends))
    scale = 10.0**exponent
    rises = {cl: threshold(cl) for cl in sorted(levels)}
    top = settings.ymax or 2.6 * max(rises.values())
    if settings.log:
        axes.set_xscale("log")
    else:
        axes.xaxis.set_major_locator(MaxNLocator(8, steps=[1, 2, 5, 10]))
    axes.set_xlim(ends[0] / scale, ends[1] / scale)
    for cl, rise in rises.items():
        _draw_threshold(axes, rise, cl)
    lanes = 0
    for one in group:
        colour = colours[one.label]
        axes.plot(one.values / scale, one.delta, color=colour, lw=1.6, ls=one.curve.style, zorder=3)
        _draw_ends(axes, one, scale, colour)
        if one.published:
            lanes += 1
            _draw_published(axes, one, scale, -_LANE * top * (lanes - 0.3), colour)
    if len(group) == 1 and group[0].limits:
        for low, high in group[0].limits[0].intervals:
            axes.axvspan(low / scale, high / scale, color=colours[group[0].label], alpha=0.12, lw=0)
    ticks = MaxNLocator(6, steps=[1, 2, 5, 10]).tick_values(0.0, top)
    axes.set_yticks([tick for tick in ticks if 0.0 <= tick <= top])
    axes.set_ylim(-_LANE * top * (lanes + 0.3) if lanes else 0.0, top)
    if lanes:
        axes.axhline(0.0, color="black", lw=0.6, zorder=1)
    axes.set_xlabel(_profile_label(group, exponent))
    _plain_axes(axes)
    return float(scale)


def _profile_label(group: Sequence[Profile], exponent: int) -> str:
    names = list(dict.fromkeys(one.parameter.name for one in group))
    unit = group[0].parameter.unit
    if len(names) == 1:
        return _axis_label(names[0], unit, exponent)
    return ", ".join(map(_named, names)) + _in_unit(unit, exponent)


def _draw_ends(axes: Axes, one: Profile, scale: float, colour: str) -> None:
    for limit in one.limits:
        # a physical bound is an end of the interval, but no crossing of the threshold
        ends = [e for piece in limit.intervals for e in piece if not (one.bounded and e == 0.0)]
        axes.plot(np.array(ends) / scale, np.full(len(ends), threshold(limit.cl)), "o",
                  color=colour, ms=3.5, zorder=4, gid=f"ours {one.label}")  # fmt: skip


def _draw_published(axes: Axes, one: Profile, scale: float, y: float, colour: str) -> None:
    """Draw a bar for each piece; the lowest confidence level is the thickest.

    An end outside the axis is an arrow at its edge.
    """
    low, high = axes.get_xlim()
    order = sorted({level.cl for level in one.published})
    for level in one.published:
        x = np.array([level.lower, level.upper]) / scale
        if level.lower == level.upper:
            axes.plot(x[:1], [y], "D", color=colour, ms=5, zorder=4, gid="published")
        else:
            width = 3.0 / (1 + order.index(level.cl))
            axes.plot(x, [y, y], lw=width, color=colour, marker="|", ms=8, mew=1.6,
                      solid_capstyle="butt", zorder=4, gid="published")  # fmt: skip
        # below a physical bound there is nothing to point at
        left = bool(x[0] < low) and not (one.bounded and level.lower <= 0.0)
        arrows = [(low, "<")] * left + [(high, ">")] * bool(x[1] > high)
        for edge, marker in arrows:
            axes.plot([edge], [y], marker=marker, color=colour, ms=6, clip_on=False, zorder=5)


def draw_regions(
    panels: Mapping[str, Sequence[RegionSet]],
    title: str,
    beside: Mapping[str, tuple[ProfilePanel, Sequence[Profile]]],
    levels: Sequence[float],
) -> Figure:
    """Draw regions of two parameters, one panel per entry, after the profiles ``beside`` them.

    These and their ``levels`` are as in `draw_profiles`.
    """
    rows, columns = _shape(len(beside) + len(panels))
    figure = _figure(max(3.9 * columns, 5.0), 3.5 * rows + 0.8)
    every = [one for group in panels.values() for one in group]
    colours = _colours([one.label for one in every])
    for i, (settings, group) in enumerate(beside.values()):
        axes = figure.add_subplot(rows, columns, i + 1)
        _profile_panel(axes, settings, group, levels, colours)
        if i % columns == 0:
            axes.set_ylabel(r"$-2\,\Delta\ln L$")
    for i, (name, sets) in enumerate(panels.items(), start=len(beside)):
        axes = figure.add_subplot(rows, columns, i + 1)
        _region_panel(axes, sets, colours)
        pair = "/".join(sets[0].found.parameters)
        axes.set_title(mathematical("" if name == pair else name), fontsize=9.5)
    profiles = [one for _, group in beside.values() for one in group]
    extra = [h for h in _profile_handles(profiles, colours) if "interval" in str(h.get_label())]
    _legend(figure, [*_region_handles(every, colours), *extra])
    figure.suptitle(mathematical(title), fontsize=10.5)
    return figure


def _region_handles(every: Sequence[RegionSet], colours: Mapping[str, str]) -> list[Artist]:
    filled = {one.label: one.filled for one in every}
    handles: list[Artist] = []
    if len(filled) > 1:
        handles += [
            Patch(facecolor=(colours[name], 0.25), edgecolor=colours[name], label=name)
            if full
            else Line2D([], [], color=colours[name], lw=1.6, label=name)
            for name, full in filled.items()
        ]
    shade = "black" if len(filled) > 1 else next(iter(colours.values()))
    handles += [
        Line2D([], [], color=shade, ls=style, lw=1.5, label=f"{percent(cl)} % CL, 2 dof")
        for (cl, _), style in zip(every[0].found.regions, _STYLES, strict=False)
    ]
    handles.append(Line2D([], [], color=shade, marker="*", ms=8, ls="", label="best fit"))
    handles.append(Line2D([], [], color="black", marker="+", ms=8, ls="", label="no coupling"))
    return handles


def _region_panel(axes: Axes, sets: Sequence[RegionSet], colours: Mapping[str, str]) -> None:
    pair, units = sets[0].found.parameters, sets[0].found.units
    standard = np.array([get(name).offset for name in pair])
    corners = _frame(sets, standard)
    exponents = [_exponent(corners[:, i]) for i in (0, 1)]
    scale = 10.0 ** np.array(exponents)
    for one in sets:
        colour = colours[one.label]
        if one.filled:
            x, y = one.found.x / scale[0], one.found.y / scale[1]
            finite = np.where(np.isfinite(one.found.delta), one.found.delta, 1e6)
            for cl, _ in one.found.regions:
                axes.contourf(x, y, finite, levels=[-1.0, threshold(cl, 2)], colors=[colour],
                              alpha=0.18, zorder=1)  # fmt: skip
        for (cl, pieces), style in zip(one.found.regions, _STYLES, strict=False):
            for line in pieces:
                axes.plot(*(line / scale).T, style, color=colour, lw=1.5, gid=f"{cl:g} {one.label}")
    marks = [(np.array(one.found.best_fit), "*", colours[one.label]) for one in sets]
    for point, marker, colour in [*marks, (standard, "+", "black")]:
        # a mark on the edge is drawn whole, one beyond it not at all
        inside = bool(np.all((point >= corners[0]) & (point <= corners[1])))
        rim = "white" if marker == "*" else colour
        axes.plot(*(point / scale), marker, color=colour, ms=9, zorder=4, mec=rim,
                  mew=0.5 if marker == "*" else 1.2, clip_on=not inside)  # fmt: skip
    axes.set_xlabel(_axis_label(pair[0], units[0], exponents[0]))
    axes.set_ylabel(_axis_label(pair[1], units[1], exponents[1]))
    axes.set_xlim(*(corners[:, 0] / scale[0]))
    axes.set_ylim(*(corners[:, 1] / scale[1]))
    _plain_axes(axes)


def _frame(sets: Sequence[RegionSet], standard: FloatArray) -> FloatArray:
    """Corners (2, 2) around all lines and marks; a physical bound at 0 is an edge."""
    lines = [line for one in sets for _, pieces in one.found.regions for line in pieces]
    points = np.concatenate([*lines, [one.found.best_fit for one in sets], [standard]])
    low, high = points.min(axis=0), points.max(axis=0)
    margin = 0.06 * (high - low)
    bounded = np.array([get(name).squared for name in sets[0].found.parameters])
    return np.array([np.where(bounded, 0.0, low - margin), high + margin])


@dataclass(frozen=True)
class SpectrumPanel:
    """A region with one axis, and the expectations that are lines over it: label, style, region."""

    title: str
    region: RegionSpectrum
    lines: tuple[tuple[str, str, RegionSpectrum], ...]


def draw_spectra(parts: Sequence[SpectrumPanel], title: str, components: bool) -> Figure:
    """Draw events per unit: data, stacked components and lines, one panel per part."""
    rows, columns = _shape(len(parts))
    figure = _figure(max(4.4 * columns, 5.4), 3.4 * rows + 0.9)
    shades = component_colours(list(dict.fromkeys(n for one in parts for n in one.region.expected)))
    lines = _line_colours([label for one in parts for label, *_ in one.lines], components)
    handles: dict[str, Artist] = {}
    for i, one in enumerate(parts):
        axes = figure.add_subplot(rows, columns, i + 1)
        _draw_panel(axes, one, shades if components else {}, lines)
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
    axes: Axes, one: SpectrumPanel, shades: Mapping[str, str], lines: Mapping[str, str]
) -> None:
    draw_spectrum(axes, one.region, shades)
    for label, style, region in one.lines:
        edges = np.asarray(region.axes[0].edges)
        height = region.histogram("total").values() / np.diff(edges)
        axes.stairs(height, edges, baseline=None, lw=1.7, color=lines[label], ls=style, label=label)
    axes.set_xlabel(axis_texts(one.region.axes[0].name)[0])
