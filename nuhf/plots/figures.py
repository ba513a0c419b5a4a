"""Figures from arrays. No file is written here; the caller saves the Figure."""

import re
from collections.abc import Mapping, Sequence
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from nuhf import resources
from nuhf.couplings.parameters import PARAMETERS, get
from nuhf.errors import InputError
from nuhf.units import percent

if TYPE_CHECKING:
    from nuhf.stats.expected import RegionSpectrum

__all__ = [
    "AXIS_LABELS",
    "UNIT_LABELS",
    "axis_texts",
    "component_colours",
    "exclusion",
    "figure_and_axes",
    "mathematical",
    "profiles",
    "ratios",
    "regions",
    "save",
    "spectra",
    "symbol",
]

FloatArray = NDArray[np.float64]
ExclusionCurve = tuple[str, FloatArray, Sequence[Sequence[tuple[float, float]]]]

UNIT_LABELS: Final = {
    "e": "e",
    "mu_B": r"\mu_\mathrm{B}",
    "cm2": r"\mathrm{cm}^2",
    "fm": r"\mathrm{fm}",
    "1": "",
}
_SETTING_UNITS: Final = {"mev": "MeV", "kev": "keV", "ev": "eV"}
_COLOURS: Final = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#555555")
_PARTICLES: Final = {
    "nu_e": r"\nu_e", "nu_mu": r"\nu_\mu", "nu_tau": r"\nu_\tau", "R_n": "R_n",
}  # fmt: skip


def symbol(name: str) -> str:
    """Return the mathematical symbol of a parameter (without dollar signs)."""
    return PARAMETERS[name].symbol or rf"\mathrm{{{name}}}" if name in PARAMETERS else name


def mathematical(text: str) -> str:
    """Return a text with its parameters, such as ``qnu_ee``, ``nu_mu``, ``R_n``, as symbols."""

    def written(match: re.Match[str]) -> str:
        word = match[0]
        if word in PARAMETERS:
            return f"${symbol(word)}$"
        return f"${_PARTICLES[word]}$" if word in _PARTICLES else word

    return re.sub(r"\w+", written, text)


def _figure(width: float, height: float) -> Figure:
    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def figure_and_axes(ax: Axes | None, size: tuple[float, float] = (6.4, 4.8)) -> tuple[Figure, Axes]:
    """Return the given axes with their figure, or new ones of a size in inches."""
    if ax is not None:
        figure = ax.figure.figure if not isinstance(ax.figure, Figure) else ax.figure
        return figure, ax
    figure = _figure(*size)
    return figure, figure.add_subplot()


def axis_texts(name: str) -> tuple[str, str]:
    """Return the labels of an axis of a signal, and of the events per its unit."""
    label = AXIS_LABELS.get(name, name)
    unit = label.rpartition("[")[2].rstrip("]") if "[" in label else label
    return label, f"events per {unit}"


def _plain_axes(axes: Axes) -> None:
    axes.spines[["top", "right"]].set_visible(False)
    axes.tick_params(direction="in")


def profiles(
    curves: Sequence[Mapping[str, object]], level: float, cl: float, title: str = ""
) -> Figure:
    """Draw profile likelihoods, one panel each, with the threshold and the intervals.

    Parameters
    ----------
    curves : sequence of mapping
        ``parameter``, ``unit`` (str), ``values``, ``delta`` (n,), ``intervals`` (pairs).
    level, cl : float
        Rise of 2NLL and the confidence level it stands for.
    """
    columns = min(len(curves), 3)
    rows = -(-len(curves) // columns)
    figure = _figure(3.6 * columns, 2.9 * rows + 0.3)
    for i, curve in enumerate(curves):
        axes = figure.add_subplot(rows, columns, i + 1)
        _draw_profile(axes, curve, level, cl)
        if i % columns == 0:
            axes.set_ylabel(r"$-2\,\Delta\ln L$")
    if title:
        figure.suptitle(title, fontsize=10)
    return figure


def exclusion(curves: Sequence[ExclusionCurve], parameter: str, setting: str, cl: float) -> Figure:
    """Draw what is excluded in the plane of a setting and a coupling, both logarithmic.

    Parameters
    ----------
    curves : sequence of (str, ndarray, sequence)
        Label, values of the setting (n,), and the allowed pieces at each of them, in the base unit,
        of a parameter that is not negative.
    parameter, setting : str
        Names for the axes; the unit of the setting is in its name.
    cl : float
        Confidence level.
    """
    figure = _figure(5.4, 4.2)
    axes = figure.add_subplot()
    axes.set_xscale("log")
    axes.set_yscale("log")
    lowest = [np.array([pieces[0][1] for pieces in intervals]) for _, _, intervals in curves]
    floor, top = min(row.min() for row in lowest) / 10.0, max(row.max() for row in lowest) * 30.0
    for number, ((label, at, intervals), first) in enumerate(zip(curves, lowest, strict=True)):
        colour = _COLOURS[number % len(_COLOURS)]
        axes.fill_between(at, first, top, color=colour, alpha=0.18, lw=0)
        axes.plot(at, first, color=colour, lw=1.6, label=label)
        for k in range(1, max(len(pieces) for pieces in intervals)):
            nothing = (np.nan, np.nan)
            ends = np.array([p[k] if k < len(p) else nothing for p in intervals])
            axes.fill_between(at, ends[:, 0], ends[:, 1], color="white", lw=0)
            axes.plot(at, ends, color=colour, lw=1.0, ls="--")
    axes.set_ylim(floor, top)
    axes.set_xlim(min(at.min() for _, at, _ in curves), max(at.max() for _, at, _ in curves))
    name, _, unit = setting.rpartition("_")
    axes.set_xlabel(f"{name.replace('_', ' ')} [{_SETTING_UNITS.get(unit, unit)}]")
    axes.set_ylabel(f"{_axis_label(parameter, get(parameter).unit, 0)}, {percent(cl)} % CL")
    axes.legend(frameon=False, fontsize=8, loc="lower right")
    _plain_axes(axes)
    return figure


def _draw_profile(axes: Axes, curve: Mapping[str, object], level: float, cl: float) -> None:
    values = np.asarray(curve["values"], dtype=float)
    delta = np.asarray(curve["delta"], dtype=float)
    exponent = _exponent(values)
    x = values / 10.0**exponent
    axes.plot(x, delta, color=_COLOURS[0], lw=1.6)
    _draw_threshold(axes, level, cl)
    for low, high in curve["intervals"]:  # type: ignore[attr-defined]
        axes.axvspan(low / 10.0**exponent, high / 10.0**exponent, color=_COLOURS[0],
                     alpha=0.12, lw=0)  # fmt: skip
    axes.set_xlabel(_axis_label(str(curve["parameter"]), str(curve["unit"]), exponent))
    axes.set_ylim(0.0, 3.0 * level)
    axes.set_xlim(x[0], x[-1])
    axes.xaxis.set_major_locator(MaxNLocator(7, steps=[1, 2, 5, 10]))
    _plain_axes(axes)


def _draw_threshold(axes: Axes, level: float, cl: float, size: float | str = 7.5) -> None:
    """Draw a dashed line at a rise of 2NLL, with its name beside the axes, where no curve is."""
    axes.axhline(level, color="#999999", lw=0.9, ls="--", zorder=1)
    axes.annotate(f"{percent(cl)} %", (1.0, level), xytext=(2, 0), va="center", fontsize=size,
                  xycoords=("axes fraction", "data"), textcoords="offset points",
                  color="#666666")  # fmt: skip


def _exponent(values: FloatArray) -> int:
    largest = float(np.abs(values).max())
    exponent = int(np.floor(np.log10(largest))) if largest > 0 else 0
    return 0 if -2 <= exponent <= 2 else exponent


def _named(name: str) -> str:
    """Symbol of a parameter of the catalogue; names of other people's files are plain text."""
    return f"${symbol(name)}$" if name in PARAMETERS else name


def _in_unit(unit: str, exponent: int = 0) -> str:
    scale = f"10^{{{exponent}}}" if exponent else ""
    inside = r"\,".join(part for part in (scale, UNIT_LABELS.get(unit, unit)) if part)
    return f" [${inside}$]" if inside else ""


def _axis_label(name: str, unit: str, exponent: int = 0) -> str:
    return _named(name) + _in_unit(unit, exponent)


def regions(
    parameters: Sequence[str],
    units: Sequence[str],
    lines: Mapping[str, Sequence[FloatArray]],
    best_fit: tuple[float, float],
    title: str = "",
) -> Figure:
    """Draw the boundaries of regions of two parameters.

    Parameters
    ----------
    parameters, units : sequence of str
        Names and base units of x and y.
    lines : mapping
        Boundary lines (n, 2) by the label of their confidence level, from the inner outwards.
    best_fit : (float, float)
        Marked by a star.
    """
    figure = _figure(4.6, 4.4)
    axes = figure.add_subplot()
    every = np.concatenate([line for pieces in lines.values() for line in pieces])
    exponents = [_exponent(every[:, i]) for i in (0, 1)]
    scale = 10.0 ** np.array(exponents)
    for (label, pieces), style in zip(lines.items(), ("-", "--", ":", "-."), strict=False):
        for i, line in enumerate(pieces):
            x, y = (line / scale).T
            axes.plot(x, y, style, color=_COLOURS[0], lw=1.5, label=label if i == 0 else None)
    standard = [PARAMETERS[name].offset for name in parameters if name in PARAMETERS]
    if len(standard) == 2:
        axes.plot(*(np.array(standard) / scale), "+", color="black", ms=9, label="no coupling")
    axes.plot(*(np.array(best_fit) / scale), "*", color=_COLOURS[1], ms=9, label="best fit")
    axes.set_xlabel(_axis_label(parameters[0], units[0], exponents[0]))
    axes.set_ylabel(_axis_label(parameters[1], units[1], exponents[1]))
    _plain_axes(axes)
    # below: a region may fill the axes up to their corners
    figure.legend(*axes.get_legend_handles_labels(), loc="outside lower center", ncols=2,
                  frameon=False, fontsize=8)  # fmt: skip
    if title:
        figure.suptitle(title, fontsize=10)
    return figure


def ratios(panels: Sequence[Mapping[str, object]], shared_y: str, title: str = "") -> Figure:
    """Draw curves on logarithmic axes, one panel each.

    Parameters
    ----------
    panels : sequence of mapping
        ``x`` (n,), ``curves`` (label to (n,)), ``label`` of the x axis, optional ``y`` label.
    shared_y : str
        Label of the y axis where a panel has none of its own.
    """
    columns = min(len(panels), 3)
    rows = -(-len(panels) // columns)
    figure = _figure(3.7 * columns, 3.0 * rows + 0.3)
    for i, panel in enumerate(panels):
        axes = figure.add_subplot(rows, columns, i + 1)
        curves: Mapping[str, FloatArray] = panel["curves"]  # type: ignore[assignment]
        for colour, (label, values) in zip(_COLOURS, curves.items(), strict=False):
            axes.loglog(np.asarray(panel["x"], dtype=float), values, color=colour, label=label)
        axes.set_xlabel(str(panel["label"]))
        axes.set_ylabel(str(panel.get("y", shared_y)))
        axes.legend(frameon=False, fontsize=8)
        _plain_axes(axes)
    if title:
        figure.suptitle(title, fontsize=10)
    return figure


AXIS_LABELS: Final = {
    "photoelectrons": "photoelectrons [PE]",
    "time_us": r"time since beam [$\mu$s]",
    "energy_kev_ee": r"energy [keV$_\mathrm{ee}$]",
    "energy_kev_nr": r"energy [keV$_\mathrm{nr}$]",
    "energy_kev": "energy [keV]",
    "f90": "F90",
}


_INSIDE: Final = 6
"""Most components that a legend inside the axes can list without covering data."""


def spectra(regions: Sequence["RegionSpectrum"], title: str = "", ax: Axes | None = None) -> Figure:
    """Draw events per unit against the stacked expectation, one panel per axis with bins.

    On given axes it is the first of these panels alone.

    Parameters
    ----------
    regions : sequence of RegionSpectrum
        Data and expectation in events.
    title : str
        Above the figure.
    """
    panels = []
    for region in regions:
        binned = [i for i, axis in enumerate(region.axes) if axis.bins > 1] or [0]
        panels += [(region, i) for i in binned]
    colours = _process_colours(regions)
    if ax is not None:
        _draw_spectrum(ax, *panels[0], colours)
        ax.legend(frameon=False, fontsize="small")
        return figure_and_axes(ax)[0]
    columns = min(len(panels), 3)
    rows = -(-len(panels) // columns)
    titles = {n: region.titles.get(n, n) for region in regions for n in region.expected}
    crowded = len(set(titles.values())) > _INSIDE
    width = max(4.4 * columns, 5.0)
    below = -(-len(titles) // max(2, int(width / 2.0))) if crowded else 0
    figure = _figure(width, 3.3 * rows + 0.2 + 0.2 * below)
    for number, (region, i) in enumerate(panels):
        axes = figure.add_subplot(rows, columns, number + 1)
        _draw_spectrum(axes, region, i, colours)
        if len(regions) > 1:
            axes.set_title(region.region, fontsize=9)
        if not crowded and (number == 0 or panels[number - 1][0] is not region):
            handles, names = axes.get_legend_handles_labels()
            axes.legend(handles[::-1], names[::-1], frameon=False, fontsize=8)
    if crowded:
        entries: dict[str, Artist] = {}
        for drawn in figure.axes:
            handles, names = drawn.get_legend_handles_labels()
            entries.update(zip(names, handles, strict=True))
        entries = {"data": entries.pop("data"), **entries}
        figure.legend(list(entries.values()), list(entries), loc="outside lower center",
                      ncols=max(2, int(width / 2.0)), frameon=False, fontsize=8)  # fmt: skip
    if title:
        figure.suptitle(title, fontsize=10)
    return figure


def _process_colours(regions: Sequence["RegionSpectrum"]) -> dict[str, str]:
    return component_colours(
        list(dict.fromkeys(name for region in regions for name in region.expected))
    )


def component_colours(names: Sequence[str]) -> dict[str, str]:
    """Return greys and pale colours for backgrounds, strong ones for signals, in stacking order.

    Parameters
    ----------
    names : sequence of str
        Processes, each once.
    """
    signals = [name for name in names if name.startswith(("cevns", "eves"))]
    rest = [name for name in names if name not in signals]
    pale = ("#d9d9d9", "#a6a6a6", "#737373", "#c7b299", "#9bb8a5", "#b7a5c4", "#d8c27a", "#8fa8bf")
    strong = (_COLOURS[0], _COLOURS[1], _COLOURS[2], _COLOURS[3], _COLOURS[4], _COLOURS[5])
    return {name: pale[i % len(pale)] for i, name in enumerate(rest)} | {
        name: strong[i % len(strong)] for i, name in enumerate(signals)
    }


def _draw_spectrum(
    axes: Axes, region: "RegionSpectrum", i: int, colours: Mapping[str, str]
) -> None:
    shape = [axis.bins for axis in region.axes]
    edges = np.asarray(region.axes[i].edges)
    others = tuple(j for j in range(len(shape)) if j != i)
    width = np.diff(edges)
    bottom = np.zeros(width.size)
    for name, counts in region.expected.items():
        top = bottom + counts.reshape(shape).sum(axis=others) / width
        axes.stairs(top, edges, baseline=bottom, fill=True, color=colours[name],
                    label=region.titles.get(name, name))  # fmt: skip
        bottom = top
    counts = region.observed.reshape(shape).sum(axis=others)
    sigma = np.sqrt((region.errors**2).reshape(shape).sum(axis=others))
    axes.errorbar(0.5 * (edges[1:] + edges[:-1]), counts / width, sigma / width,
                  0.5 * width, fmt="o", ms=3, lw=1, color="black", label="data")  # fmt: skip
    label, density = axis_texts(region.axes[i].name)
    axes.set_xlabel(label)
    axes.set_ylabel(density)
    axes.set_xlim(edges[0], edges[-1])
    axes.set_ylim(bottom=min(0.0, 1.2 * float(((counts - sigma) / width).min())))
    _plain_axes(axes)


def save(figure: Figure, path: Path, dpi: int = 150) -> None:
    """Save a figure atomically; the format follows the suffix (png, pdf, svg).

    Raises
    ------
    InputError
        If the suffix is not a format matplotlib writes, or the file cannot be written.
    """
    suffix = path.suffix.lstrip(".").lower() or "png"
    if suffix not in figure.canvas.get_supported_filetypes():
        raise InputError(f"{path}: figures are written as .png, .pdf or .svg")
    buffer = BytesIO()
    figure.savefig(buffer, format=suffix, dpi=dpi)
    resources.replace_bytes(path, lambda temporary: _fill(temporary, buffer.getvalue()))


def _fill(path: Path, content: bytes) -> None:
    path.write_bytes(content)
