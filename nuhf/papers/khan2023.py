"""Fig 5 of A. N. Khan, Nucl. Phys. B 986, 116064 (2023), arXiv:2201.10578, and its arrays."""

from typing import Final

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from nuhf.arrays import FloatArray
from nuhf.constants import ELECTRON_MASS, SIN2_THETA_W
from nuhf.couplings.electromagnetic import ANAPOLE_CONVENTIONS, charge_shift
from nuhf.library import read_nuclides, weak_couplings
from nuhf.physics.cevns import differential_cross_section
from nuhf.physics.settings import Physics
from nuhf.plots.figures import _COLOURS, _figure, _plain_axes, wrapped
from nuhf.tables import columns_of, format_csv
from nuhf.units import KEV

ENERGY_MEV: Final = 30.0
"""Neutrino energy of Fig 5."""

RECOIL_KEV: Final = 11.0
"""Recoil energy of Fig 5."""

_PANELS: Final = (
    ("qnu", -9, r"$q_\nu$ [$e$]"),
    ("munu", -11, r"$\mu_\nu$ [$\mu_\mathrm{B}$]"),
    ("r2nu", -33, r"$\langle r^2_\nu\rangle$ [$\mathrm{cm}^2$]"),
    ("anu", -33, r"$a_\nu$ [$\mathrm{cm}^2$], convention khan"),
)
"""Couplings with the power of ten where four decades begin, and their labels."""


def cross_section_ratio(kind: str, values: FloatArray) -> FloatArray:
    """Ratio of dsigma/dT of nu_e on CsI with one coupling (n,) to the SM, at 30 MeV and 11 keV.

    It is ``qnu`` (e), ``munu`` (mu_B), ``r2nu`` (cm^2) or ``anu`` (cm^2, the paper's convention).
    """
    physics = Physics(weak_couplings("khan2023"), "klein-nystrand")
    nuclides = [n for n in read_nuclides().values() if n.name in ("Cs133", "I127")]

    def section(given: dict[str, float]) -> float:
        return sum(
            float(
                differential_cross_section(
                    np.array([RECOIL_KEV * KEV]), np.array([ENERGY_MEV]), nuclide, "e",
                    physics, given,
                )[0]
            )
            for nuclide in nuclides
        )  # fmt: skip

    standard = section({})
    return np.array([section(_variables(kind, float(v))) / standard for v in values])


def _variables(kind: str, value: float) -> dict[str, float]:
    if kind == "anu":
        return {"r": ANAPOLE_CONVENTIONS["khan"] * value}
    return {"qnu": {"q": value}, "munu": {"munu": value}, "r2nu": {"r": value}}[kind]


def millicharge_term(values: FloatArray, mass: float = ELECTRON_MASS) -> FloatArray:
    """Eq 27: pi alpha Q/(sqrt2 sin^2(theta_W) G_F M T) at 11 keV for a target mass in MeV."""
    per_charge = float(charge_shift(np.array([RECOIL_KEV * KEV]), mass)[0])
    # the shift of g_p is twice the shift of sin^2(theta_W)
    return np.asarray(values) * per_charge / (2.0 * SIN2_THETA_W)


def cross_section_ratios(title: str) -> tuple[Figure, str]:
    """Draw Fig 5: cross-section ratios, and the millicharge term of eq 27, with their CSV."""
    figure = _figure(3.7 * 3, 3.0 * 2 + 0.3)
    rows: list[tuple[str, int, float, float]] = []

    def draw(place: int, x: FloatArray, lines: list[tuple[str, str, int, FloatArray]]) -> Axes:
        axes = figure.add_subplot(2, 3, place)
        for colour, (label, quantity, sign, y) in zip(_COLOURS, lines, strict=False):
            axes.loglog(x, y, color=colour, label=label)
            rows.extend(
                (quantity, sign, *pair) for pair in zip(x.tolist(), y.tolist(), strict=True)
            )
        axes.legend(frameon=False, fontsize=8)
        _plain_axes(axes)
        return axes

    for place, (kind, lowest, label) in enumerate(_PANELS, start=1):
        values, signs = np.logspace(lowest, lowest + 4, 401), {"positive": 1, "negative": -1}
        lines = [
            (name, f"ratio_{kind}", sign, cross_section_ratio(kind, sign * values))
            for name, sign in signs.items()
            if sign > 0 or kind != "munu"
        ]
        draw(place, values, lines).set(xlabel=label, ylabel="ratio to the SM")
    charges = np.logspace(-13, -5, 161)
    nucleus = millicharge_term(charges, read_nuclides()["Cs133"].mass)
    lines = [
        ("nucleus (Cs)", "millicharge_term_nucleus", 1, nucleus),
        ("electron", "millicharge_term_electron", 1, millicharge_term(charges)),
    ]
    draw(5, charges, lines).set(xlabel=r"$q_\nu$ [$e$]", ylabel=r"$f(q_\nu)$, eq 27")
    figure.suptitle(wrapped(title, figure), fontsize=10)
    comments = [
        "Khan 2023 Fig 5: ratios at 30 MeV and 11 keV, x in e, mu_B, cm2, cm2; eq 27 at 11 keV",
        "sign: of the coupling, whose modulus is x",
    ]
    return figure, format_csv(columns_of(("quantity", "sign", "x", "y"), rows), comments)
