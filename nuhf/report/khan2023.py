"""Arrays behind Fig 5 of A. N. Khan, Nucl. Phys. B 986, 116064 (2023), arXiv:2201.10578."""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from nuhf.constants import ELECTRON_MASS, SIN2_THETA_W
from nuhf.physics.cevns import differential_cross_section
from nuhf.physics.couplings import ANAPOLE_CONVENTIONS, charge_shift, weak_couplings
from nuhf.physics.nuclei import read_nuclides
from nuhf.units import KEV

__all__ = ["ENERGY_MEV", "RECOIL_KEV", "cross_section_ratio", "millicharge_term"]

FloatArray = NDArray[np.float64]

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
    couplings = weak_couplings("khan2023")
    nuclides = [n for n in read_nuclides().values() if n.name in ("Cs133", "I127")]

    def section(given: dict[str, float]) -> float:
        return sum(
            float(
                differential_cross_section(
                    np.array([RECOIL_KEV * KEV]), np.array([ENERGY_MEV]), nuclide, flavour,
                    couplings, "klein-nystrand", given,
                )[0]
            )
            for nuclide in nuclides
        )  # fmt: skip

    standard = section({})
    return np.array([section(_monomials(kind, float(v))) / standard for v in values])


def _monomials(kind: str, value: float) -> dict[str, float]:
    if kind == "anu":
        return {"r": ANAPOLE_CONVENTIONS["khan"] * value}
    return {"qnu": {"q": value}, "munu": {"munu2": value**2}, "r2nu": {"r": value}}[kind]


def millicharge_term(values: FloatArray, mass: float = ELECTRON_MASS) -> FloatArray:
    """Eq 27: pi alpha Q/(sqrt2 sin^2(theta_W) G_F M T) at 11 keV for a target mass in MeV."""
    per_charge = float(charge_shift(np.array([RECOIL_KEV * KEV]), mass)[0])
    # the shift of g_p is twice the shift of sin^2(theta_W)
    return np.asarray(values) * per_charge / (2.0 * SIN2_THETA_W)
