"""Fig 5 of A. N. Khan, Nucl. Phys. B 986, 116064 (2023), arXiv:2201.10578, and its arrays."""

from typing import Any, Final

import numpy as np
from matplotlib.figure import Figure

from nuhf.arrays import FloatArray
from nuhf.constants import ELECTRON_MASS, SIN2_THETA_W
from nuhf.couplings.electromagnetic import ANAPOLE_CONVENTIONS, charge_shift
from nuhf.library import read_nuclides, weak_couplings
from nuhf.physics.cevns import differential_cross_section
from nuhf.physics.settings import Physics
from nuhf.plots import figures as plots
from nuhf.tables import format_csv
from nuhf.units import KEV

__all__ = [
    "ENERGY_MEV",
    "RECOIL_KEV",
    "cross_section_ratio",
    "cross_section_ratios",
    "millicharge_term",
]

ENERGY_MEV: Final = 30.0
"""Neutrino energy of Fig 5."""

RECOIL_KEV: Final = 11.0
"""Recoil energy of Fig 5."""


def cross_section_ratio(kind: str, values: FloatArray, flavour: str = "e") -> FloatArray:
    """Ratio of dsigma/dT on CsI with one coupling to the SM, at 30 MeV and 11 keV.

    Parameters
    ----------
    kind : str
        ``qnu`` (e), ``munu`` (mu_B), ``r2nu`` (cm^2) or ``anu`` (cm^2, the paper's convention).
    values : ndarray
        Couplings, (n,).
    flavour : str
        Neutrino flavour.
    """
    physics = Physics(weak_couplings("khan2023"), "klein-nystrand")
    nuclides = [n for n in read_nuclides().values() if n.name in ("Cs133", "I127")]

    def section(given: dict[str, float]) -> float:
        return sum(
            float(
                differential_cross_section(
                    np.array([RECOIL_KEV * KEV]), np.array([ENERGY_MEV]), nuclide, flavour,
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
    ranges = {
        "qnu": (-9, -5, r"$q_\nu$ [$e$]"),
        "munu": (-11, -7, r"$\mu_\nu$ [$\mu_\mathrm{B}$]"),
        "r2nu": (-33, -29, r"$\langle r^2_\nu\rangle$ [$\mathrm{cm}^2$]"),
        "anu": (-33, -29, r"$a_\nu$ [$\mathrm{cm}^2$], convention khan"),
    }
    panels: list[dict[str, Any]] = []
    rows: dict[str, list[Any]] = {"quantity": [], "sign": [], "x": [], "y": []}

    def add(quantity: str, sign: int, x: FloatArray, y: FloatArray) -> None:
        rows["quantity"] += [quantity] * len(x)
        rows["sign"] += [sign] * len(x)
        rows["x"] += [float(value) for value in x]
        rows["y"] += [float(value) for value in y]

    for kind, (low, high, label) in ranges.items():
        values = np.logspace(low, high, 401)
        curves = {}
        for sign in (1,) if kind == "munu" else (1, -1):
            ratio = cross_section_ratio(kind, sign * values)
            curves["positive" if sign > 0 else "negative"] = ratio
            add(f"ratio_{kind}", sign, values, ratio)
        panels.append({"x": values, "curves": curves, "label": label})
    charges = np.logspace(-13, -5, 161)
    terms = {
        "nucleus (Cs)": millicharge_term(charges, read_nuclides()["Cs133"].mass),
        "electron": millicharge_term(charges),
    }
    for name, term in terms.items():
        add(f"millicharge_term_{name.split()[0]}", 1, charges, term)
    panels.append(
        {"x": charges, "curves": terms, "label": r"$q_\nu$ [$e$]", "y": r"$f(q_\nu)$, eq 27"}
    )
    comments = [
        "Khan 2023 Fig 5: ratios at 30 MeV and 11 keV, x in e, mu_B, cm2, cm2; eq 27 at 11 keV",
        "sign: of the coupling, whose modulus is x",
    ]
    return plots.ratios(panels, "ratio to the SM", title), format_csv(rows, comments)
