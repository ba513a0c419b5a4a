"""Fig 1 of A. N. Khan, arXiv:2203.08892, and its arrays."""

from collections.abc import Mapping
from typing import Any, Final

import numpy as np
from matplotlib.figure import Figure

from nuhf.arrays import FloatArray
from nuhf.detector.quenching import rational_recoil
from nuhf.experiments.quenching import Rational, library_curve, library_section
from nuhf.inputs import Inputs
from nuhf.plots.figures import _COLOURS, _figure, _plain_axes
from nuhf.tables import format_csv
from nuhf.units import KEV

QUENCHING: Final[Mapping[str, str]] = {
    "lindhard": "ge-lindhard-ge72",
    "bonhomme": "ge-bonhomme",
    "sarkis": "ge-sarkis",
    "ybe": "ge-ybe",
    "fef": "ge-fef",
    "jones": "ge-jones",
}
"""Curve of the analysis ``khan2022-NAME`` by name."""

_LOWEST_KEV: Final = 0.01
_HIGHEST_KEV: Final = 0.8
_POINTS: Final = 400
_THRESHOLD_KEV: Final = 0.2
_SHOWN: Final = (0.05, 0.45)
_LABELS: Final = {"ybe": "YBe"}


def used_factor(name: str) -> tuple[FloatArray, FloatArray]:
    """Return the curve of an analysis, by a key of `QUENCHING`.

    It is ionisation energy in keV and Q = E_ee/E_nr along the curve, (n,) each; where the curve
    folds back (``fef``) an energy occurs several times.
    """
    curve = library_curve(QUENCHING[name])
    low, high = curve.recoil_range
    recoil = np.geomspace(max(low, _LOWEST_KEV * KEV), min(high, 4.5 * KEV), _POINTS)
    energy = curve(recoil)
    shown = (energy >= _LOWEST_KEV * KEV) & (energy <= _HIGHEST_KEV * KEV)
    return energy[shown] / KEV, energy[shown] / recoil[shown]


def printed_factor(name: str) -> tuple[FloatArray, FloatArray]:
    """Return the paper's fit by a key of `QUENCHING`: printed coefficients, poles included.

    The columns of YBe are interchanged, and the powers of Fef read as its coefficients require.
    It is ionisation energy in keV and Q, (n,) each.
    """
    own = QUENCHING[name] if name in ("sarkis", "jones") else f"ge-khan2022-{name}"
    fit = library_section(own, Inputs())
    if not isinstance(fit, Rational):
        raise TypeError(f"khan2022-{name} is no fit in the ionisation energy")
    energy = np.linspace(_LOWEST_KEV, _HIGHEST_KEV, _POINTS)
    return energy, energy / rational_recoil(fit.form, fit.a, fit.b, energy)


def quenching_factors(title: str) -> tuple[Figure, str]:
    """Draw Fig 1: the curves used (solid) and the printed fits (dotted), with their CSV."""
    figure = _figure(6.0, 4.2)
    axes = figure.add_subplot()
    rows: dict[str, list[Any]] = {"curve": [], "form": [], "energy_kev_ee": [], "factor": []}
    for name, colour in zip(QUENCHING, _COLOURS, strict=False):
        for form, make in (("used", used_factor), ("printed", printed_factor)):
            energy, factor = make(name)
            rows["curve"] += [name] * energy.size
            rows["form"] += [form] * energy.size
            rows["energy_kev_ee"] += [float(x) for x in energy]
            rows["factor"] += [float(x) for x in factor]
            style = "solid" if form == "used" else "dotted"
            label = _LABELS.get(name, name.capitalize()) if form == "used" else None
            # no line from one side of a pole to the other
            seen = np.where((factor > 0.0) & (factor < 1.0), factor, np.nan)
            axes.plot(energy, seen, color=colour, linestyle=style, label=label)
    axes.axvline(_THRESHOLD_KEV, color="black", linestyle="dashed", linewidth=0.8)
    axes.set(
        xlim=(0.0, _HIGHEST_KEV), ylim=_SHOWN, ylabel="quenching factor",
        xlabel=r"ionisation energy [keV$_\mathrm{ee}$]",
    )  # fmt: skip
    axes.set_title(title, fontsize=10)
    _plain_axes(axes)
    axes.legend(frameon=False, ncols=2)
    comments = [
        "Khan 2022 Fig 1: germanium quenching factor against ionisation energy",
        "used: the curve of the analysis khan2022-NAME; printed: the fit of Table 1 with its poles",
    ]
    return figure, format_csv(rows, comments)
