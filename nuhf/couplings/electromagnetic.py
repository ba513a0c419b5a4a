"""Millicharges, charge radii, anapole and magnetic moments.

Source: M. Cadeddu et al., arXiv:1908.06045, eqs 27, 34; A. N. Khan (2023), eqs 9, 19, 25; C. Giunti
and C. A. Ternes, arXiv:2309.17380, eqs 6 to 16.
"""

from collections.abc import Mapping
from typing import Final

import numpy as np

from nuhf.arrays import FloatArray
from nuhf.constants import ALPHA, CM2_PER_MEV_M2, ELECTRON_MASS, FERMI_CONSTANT
from nuhf.couplings.model import (
    FLAVOURS,
    GREEK,
    PAIRS,
    Amplitudes,
    CouplingModel,
    Feed,
    Group,
    Kinematics,
    Parameter,
    Variable,
    Vertex,
)

RADIUS_SHIFT: Final = float(np.sqrt(2.0) * np.pi * ALPHA / (3.0 * FERMI_CONSTANT) / CM2_PER_MEV_M2)
"""d = -RADIUS_SHIFT * r2nu: shift of g_p per cm^2 of charge radius (0.023796 per 1e-32 cm^2)."""

ANAPOLE_CONVENTIONS: Final[Mapping[str, float]] = {"standard": -6.0, "khan": -1.0 / 6.0}
"""<r^2> per anapole moment: ``standard`` a = -<r^2>/6 (eq 23 of Khan 2023); ``khan`` follows
from the replacement in its eq 25, a = -6 <r^2>."""


TRANSITIONS: Final = Group("transitions", "Transition charges and radii", 45)
CHARGES: Final = Group("charges", "Millicharges", 10, r"q_\nu", pictured=True)
RADII: Final = Group(
    "radii", "Charge radii", 20, r"\langle r^2_\nu\rangle", quoted=-32, pictured=True
)
MOMENTS: Final = Group(
    "moments", "Magnetic moments", 30, r"|\mu_\nu|", quoted=-11, modulus=True, pictured=True
)
ANAPOLES: Final = Group("anapoles", "Anapole moments", 40, r"a_\nu", quoted=-32)


def charge_shift(recoil: FloatArray, mass: float) -> FloatArray:
    """Shift of g_p per elementary charge of the neutrino, sqrt(2) pi alpha / (G_F M T).

    Parameters
    ----------
    recoil : ndarray
        Recoil energy T in MeV, positive.
    mass : float
        Nuclear mass M in MeV.
    """
    recoil = np.asarray(recoil, dtype=float)
    return np.asarray(np.sqrt(2.0) * np.pi * ALPHA / FERMI_CONSTANT / (mass * recoil))


def magnetic_coefficients(recoil: FloatArray, spin: float) -> FloatArray:
    """Coefficients of 1, 1/E, 1/E^2 of the magnetic-moment term, for a charge times munu of 1 mu_B.

    Parameters
    ----------
    recoil : ndarray
        T in MeV, positive, (n_recoil,).
    spin : float
        Of the target: 0 (arXiv:1908.06045, eq 34, complete) or 1/2 (arXiv:2309.17380, eq 6), which
        has no T/4E^2.

    Returns
    -------
    ndarray
        Shape (3, n_recoil); times E^-n and (Z F_p munu)^2: cm^2/MeV.
    """
    recoil = np.asarray(recoil, dtype=float)
    front = np.pi * ALPHA**2 / ELECTRON_MASS**2 * CM2_PER_MEV_M2
    last = 0.25 * recoil if spin == 0 else np.zeros_like(recoil)
    return front * np.stack([1.0 / recoil, -np.ones_like(recoil), last])


def _amplitude(vertex: Vertex) -> Amplitudes:
    """g_p Z F_p of a nucleus, and gV of the electron, whose charge has the other sign."""
    shift = charge_shift(vertex.recoil, vertex.mass)
    if vertex.interaction == "eves":
        one = np.ones_like(shift)
        return {"vector": {"q": -shift, "r": RADIUS_SHIFT * one}, "magnetic": {"munu": one}}
    charge = vertex.proton
    return {
        "vector": {"q": charge * shift, "r": -charge * RADIUS_SHIFT},
        "magnetic": {"munu": charge},
    }


def _kinematics(vertex: Vertex) -> dict[str, Kinematics]:
    spin = 0.5 if vertex.interaction == "eves" else 0.0
    return {"magnetic": Kinematics(magnetic_coefficients(vertex.recoil, spin))}


def _letters(pair: str) -> dict[str, str]:
    return {
        "qnu": f"q_{{\\nu_{{{pair}}}}}",
        "r2nu": f"\\langle r^2_{{\\nu_{{{pair}}}}}\\rangle",
        "anu": f"a_{{\\nu_{{{pair}}}}}",
        "munu": f"\\mu_{{\\nu_{{{pair}}}}}",
    }


def _diagonal(flavour: str) -> list[Parameter]:
    pair, only = flavour + flavour, (flavour,)
    text = _letters(2 * GREEK[flavour])
    anapole = tuple(
        Feed("r", factor, only, convention=name) for name, factor in ANAPOLE_CONVENTIONS.items()
    )
    return [
        Parameter(f"qnu_{pair}", "e", CHARGES, f"qnu_{pair}", -8, (Feed("q", 1.0, only),),
                  text["qnu"], f"millicharge of nu_{flavour}"),
        Parameter(f"r2nu_{pair}", "cm2", RADII, f"r2nu_{pair}", -32, (Feed("r", 1.0, only),),
                  text["r2nu"], f"charge radius squared of nu_{flavour}"),
        Parameter(f"anu_{pair}", "cm2", ANAPOLES, f"anu_{pair}", -32, anapole,
                  text["anu"], f"anapole moment of nu_{flavour}"),
        Parameter(f"munu_{flavour}", "mu_B", MOMENTS, f"munu2_{flavour}", -18,
                  (Feed("munu", 1.0, only),), _letters(GREEK[flavour])["munu"],
                  f"effective magnetic moment of nu_{flavour}", power=2, interferes=False),
    ]  # fmt: skip


def _transition(one: str, other: str) -> list[Parameter]:
    """Couplings that turn one flavour into the other: the squares of both are fed."""
    pair, text = one + other, _letters(GREEK[one] + GREEK[other])

    def feeds(variable: str) -> tuple[Feed, ...]:
        return Feed(variable, 1.0, (one,), other), Feed(variable, 1.0, (other,), one)

    def real(name: str, stem: str, exponent: int, variable: str, meaning: str) -> Parameter:
        return Parameter(
            f"{stem}_{pair}", name, TRANSITIONS, f"{stem}_{pair}", exponent,
            (*feeds(variable), Feed(variable, 1.0, (pair,))), text[stem],
            f"{meaning} of nu_{one} and nu_{other}, real: phase 0 or pi",
            contains=(f"abs_{stem}_{pair}",),
        )  # fmt: skip

    return [
        real("e", "qnu", -8, "q", "transition millicharge"),
        real("cm2", "r2nu", -32, "r", "transition charge radius"),
        Parameter(f"abs_qnu_{pair}", "e", CHARGES, f"qnu2_{pair}", -16, feeds("q"),
                  f"|{text['qnu']}|", f"transition millicharge of nu_{one} and nu_{other}",
                  power=2, interferes=False),
        Parameter(f"abs_r2nu_{pair}", "cm2", RADII, f"r2nu2_{pair}", -64, feeds("r"),
                  f"|{text['r2nu']}|", f"transition charge radius of nu_{one} and nu_{other}",
                  power=2, interferes=False),
    ]  # fmt: skip


_EFFECTIVE: Final = Parameter(
    "munu_eff", "mu_B", MOMENTS, "munu2_eff", -18, (Feed("munu", 1.0, FLAVOURS),),
    r"\mu_{\nu_{\mathrm{eff}}}", "magnetic moment common to the three flavours",
    power=2, interferes=False, contains=tuple(f"munu_{flavour}" for flavour in FLAVOURS),
)  # fmt: skip

MODEL: Final = CouplingModel(
    "electromagnetic",
    (
        Variable("q", "e", r"q_\nu", "charge"),
        Variable("r", "cm2", r"\langle r^2\rangle", "radius"),
        Variable("munu", "mu_B", r"\mu_\nu", "moment"),
    ),
    _amplitude,
    (
        _EFFECTIVE,
        *(parameter for flavour in FLAVOURS for parameter in _diagonal(flavour)),
        *(parameter for pair in PAIRS.values() for parameter in _transition(*pair)),
    ),
    _kinematics,
)
"""The electromagnetic properties of neutrinos."""
