"""Figures from arrays. No file is written here; the caller saves the Figure."""

import re
import textwrap
from collections.abc import Sequence
from io import BytesIO
from pathlib import Path
from typing import Final

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from nuhf import resources
from nuhf.arrays import FloatArray
from nuhf.couplings.parameters import PARAMETERS
from nuhf.errors import InputError
from nuhf.units import UNIT_LABELS, percent

_COLOURS: Final = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#555555")
_PARTICLES: Final = {
    "nu_e": r"\nu_e", "nu_mu": r"\nu_\mu", "nu_tau": r"\nu_\tau", "R_n": "R_n",
}  # fmt: skip


_DPI: Final = 150
_PER_INCH: Final = 12.0
"""Characters of a title of 10 points in an inch."""


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


def wrapped(title: str, figure: Figure) -> str:
    """Break the title of many experiments into lines that are not wider than the figure."""
    return textwrap.fill(title, int(_PER_INCH * figure.get_figwidth()), break_on_hyphens=False)


def titled(figure: Figure, title: str, size: float | str = 10) -> Figure:
    """Put a title above a figure, if there is one, and return the figure."""
    if title:
        figure.suptitle(wrapped(title, figure), fontsize=size)
    return figure


def grid(panels: int, most: int = 3) -> tuple[int, int]:
    """Return rows and columns of a number of panels, at most so many beside each other."""
    columns = min(panels, most)
    return -(-panels // columns), columns


def axis_texts(name: str) -> tuple[str, str]:
    """Return the labels of an axis of a signal, and of the events per its unit."""
    label = AXIS_LABELS.get(name, name)
    unit = label.rpartition("[")[2].rstrip("]") if "[" in label else label
    return label, f"events per {unit}"


def _plain_axes(axes: Axes) -> None:
    axes.spines[["top", "right"]].set_visible(False)
    axes.tick_params(direction="in")


def _draw_threshold(axes: Axes, level: float, cl: float) -> None:
    """Draw a dashed line at a rise of 2NLL, with its name beside the axes, where no curve is."""
    axes.axhline(level, color="#999999", lw=0.9, ls="--", zorder=1)
    axes.annotate(f"{percent(cl)} %", (1.0, level), xytext=(2, 0), va="center", fontsize="small",
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


AXIS_LABELS: Final = {
    "photoelectrons": "photoelectrons [PE]",
    "time_us": r"time since beam [$\mu$s]",
    "energy_kev_ee": r"energy [keV$_\mathrm{ee}$]",
    "energy_kev_nr": r"energy [keV$_\mathrm{nr}$]",
    "energy_kev": "energy [keV]",
    "f90": "F90",
}


def component_colours(names: Sequence[str]) -> dict[str, str]:
    """Return greys and pale colours for backgrounds, strong ones for signals, in stacking order."""
    signals = [name for name in names if name.startswith(("cevns", "eves"))]
    rest = [name for name in names if name not in signals]
    pale = ("#d9d9d9", "#a6a6a6", "#737373", "#c7b299", "#9bb8a5", "#b7a5c4", "#d8c27a", "#8fa8bf")
    return {name: pale[i % len(pale)] for i, name in enumerate(rest)} | {
        name: _COLOURS[i % 6] for i, name in enumerate(signals)
    }


def save(figure: Figure, path: Path) -> None:
    """Save a figure atomically; the format follows the suffix (png, pdf, svg)."""
    suffix = path.suffix.lstrip(".").lower() or "png"
    if suffix not in figure.canvas.get_supported_filetypes():
        raise InputError(f"{path}: figures are written as .png, .pdf or .svg")
    buffer = BytesIO()
    figure.savefig(buffer, format=suffix, dpi=_DPI)
    resources.write_bytes(path, buffer.getvalue())
