"""Elastic neutrino-electron scattering with electromagnetic couplings, on a free electron.

The cross section of a neutrino of flavour l,

    dsigma/dT = (G_F^2 m_e/2 pi) {[gV^2 + sum (d_ll')^2] a + 2 gV gA b + gA^2 c}
              + (pi alpha^2/m_e^2) (1/T - 1/E) munu_l^2,
    a = 1 + (1 - T/E)^2 - m_e T/E^2,  b = 1 - (1 - T/E)^2,  c = 1 + (1 - T/E)^2 + m_e T/E^2,
    gV = gV(SM) - c(T) qnu_ll + k r2nu_ll,

is a polynomial of degree 2 in 1/E and of degree 2 in the couplings. Source: C. Giunti and C. A.
Ternes, arXiv:2309.17380, eqs 3 to 16. The magnetic term is complete: the T/4E^2 of a spin-0
target is absent for spin 1/2. Bound electrons: `nuhf.physics.shells`.
"""

from collections.abc import Mapping
from typing import Final

import numpy as np
from numpy.typing import NDArray

from nuhf.constants import (
    ALPHA,
    CM2_PER_MEV_M2,
    ELECTRON_MASS,
    FERMI_CONSTANT,
    SIN2_THETA_W,
)
from nuhf.errors import InputError
from nuhf.physics.cevns import maximum_recoil
from nuhf.physics.couplings import RADIUS_SHIFT, charge_shift

__all__ = [
    "coefficients",
    "differential_cross_section",
    "electron_couplings",
    "magnetic_coefficients",
]

FloatArray = NDArray[np.float64]

# nu_e scatters by the charged current too, which adds 1 to the -1/2 of the neutral current
_AXIAL: Final[Mapping[str, float]] = {"e": 0.5, "mu": -0.5, "tau": -0.5}


def electron_couplings(
    flavour: str, antineutrino: bool = False, sin2_theta_w: float = SIN2_THETA_W
) -> tuple[float, float]:
    """Return (gV, gA) of the electron at tree level.

    gV = 2 s2w + 1/2, gA = 1/2 for nu_e; gV = 2 s2w - 1/2, gA = -1/2 for nu_mu and nu_tau;
    gA changes its sign for antineutrinos. Source: arXiv:2309.17380, eqs 4, 5. The SM charge
    radii are not in them: r2nu is the total radius.

    Raises
    ------
    InputError
        If the flavour is unknown.
    """
    if flavour not in _AXIAL:
        raise InputError(f"unknown flavour '{flavour}'; allowed: {', '.join(_AXIAL)}")
    axial = _AXIAL[flavour]
    return 2.0 * sin2_theta_w + axial, -axial if antineutrino else axial


def _kinematics(recoil: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Factors of gV^2, 2 gV gA and gA^2: coefficients (3, n_recoil) of 1, 1/E, 1/E^2, in cm^2/MeV.

    Source: arXiv:2309.17380, eq 3, sorted by couplings.
    """
    front = FERMI_CONSTANT**2 * ELECTRON_MASS / (2.0 * np.pi) * CM2_PER_MEV_M2
    zero, two = np.zeros_like(recoil), np.full_like(recoil, 2.0)
    square, mixed = recoil**2, ELECTRON_MASS * recoil
    return (
        front * np.stack([two, -2.0 * recoil, square - mixed]),
        front * np.stack([zero, 2.0 * recoil, -square]),
        front * np.stack([two, -2.0 * recoil, square + mixed]),
    )


def magnetic_coefficients(recoil: FloatArray) -> FloatArray:
    """Coefficients of 1, 1/E, 1/E^2 of the magnetic-moment term, for munu = 1 mu_B.

    Source: arXiv:2309.17380, eq 6.

    Returns
    -------
    ndarray
        Shape (3, n_recoil); times E^-n and munu^2: cm^2/MeV.
    """
    recoil = np.asarray(recoil, dtype=float)
    front = np.pi * ALPHA**2 / ELECTRON_MASS**2 * CM2_PER_MEV_M2
    return front * np.stack([1.0 / recoil, -np.ones_like(recoil), np.zeros_like(recoil)])


def coefficients(
    recoil: FloatArray,
    flavour: str,
    antineutrino: bool = False,
    sin2_theta_w: float = SIN2_THETA_W,
) -> dict[str, FloatArray]:
    """Coefficients of 1, 1/E, 1/E^2 of dsigma/dT on one free electron, for every monomial.

    ``q2``, ``qr`` and ``r2`` hold no SM coupling: they are also the factors of the squares of the
    transition charges and radii (arXiv:2309.17380, eqs 9, 16). The charge is that of the
    neutrino, with the same shift of gV for antineutrinos.

    Parameters
    ----------
    recoil : ndarray
        T in MeV, positive, (n_recoil,).
    flavour : str
        ``e``, ``mu`` or ``tau``.
    antineutrino : bool
        Changes the sign of gA.
    sin2_theta_w : float
        sin^2(theta_W); a change by delta is the radius 2 delta/`RADIUS_SHIFT`.

    Returns
    -------
    dict
        Arrays (3, n_recoil) in cm^2/MeV by the names in `nuhf.physics.cevns.MONOMIALS`, q in e,
        r in cm^2, munu2 in mu_B^2. They hold up to the largest recoil of an energy
        (`maximum_recoil`, with the mass of the electron).

    Raises
    ------
    InputError
        If the flavour is unknown.
    """
    recoil = np.asarray(recoil, dtype=float)
    vector, axial = electron_couplings(flavour, antineutrino, sin2_theta_w)
    vector_part, mixed_part, axial_part = _kinematics(recoil)
    slope_q, slope_r = -charge_shift(recoil, ELECTRON_MASS), RADIUS_SHIFT
    linear = 2.0 * (vector * vector_part + axial * mixed_part)
    return {
        "1": vector**2 * vector_part + 2.0 * vector * axial * mixed_part + axial**2 * axial_part,
        "q": slope_q * linear,
        "r": slope_r * linear,
        "q2": slope_q**2 * vector_part,
        "qr": 2.0 * slope_q * slope_r * vector_part,
        "r2": slope_r**2 * vector_part,
        "munu2": magnetic_coefficients(recoil),
    }


def differential_cross_section(
    recoil: FloatArray,
    energy: FloatArray,
    flavour: str,
    antineutrino: bool = False,
    sin2_theta_w: float = SIN2_THETA_W,
    values: Mapping[str, float] | None = None,
) -> FloatArray:
    """dsigma/dT on one free electron in cm^2/MeV, for plots and checks.

    Parameters
    ----------
    recoil, energy : ndarray
        T and E in MeV, positive, broadcast against each other.
    flavour, antineutrino, sin2_theta_w
        As in `coefficients`.
    values : mapping, optional
        ``q`` in e, ``r`` in cm^2, ``munu2`` in mu_B^2 and the incoherent ``qt2`` (e^2) and
        ``rt2`` (cm^4) of the transition couplings; missing ones are zero.

    Returns
    -------
    ndarray
        Zero where the recoil is not reachable.

    Raises
    ------
    InputError
        If the flavour or a name in ``values`` is unknown.
    """
    given = {"q": 0.0, "r": 0.0, "munu2": 0.0, "qt2": 0.0, "rt2": 0.0}
    for name, value in (values or {}).items():
        if name not in given:
            raise InputError(f"unknown coupling '{name}'; allowed: {', '.join(given)}")
        given[name] = value
    recoil, energy = np.broadcast_arrays(np.asarray(recoil, float), np.asarray(energy, float))
    flat = recoil.ravel()
    terms = coefficients(flat, flavour, antineutrino, sin2_theta_w)
    q, r = given["q"], given["r"]
    total = (
        terms["1"] + q * terms["q"] + r * terms["r"] + q * r * terms["qr"]
        + (q**2 + given["qt2"]) * terms["q2"] + (r**2 + given["rt2"]) * terms["r2"]
        + given["munu2"] * terms["munu2"]
    )  # fmt: skip
    inverse = 1.0 / energy.ravel()
    section = total[0] + inverse * (total[1] + inverse * total[2])
    reachable = flat <= maximum_recoil(energy.ravel(), ELECTRON_MASS)
    return np.where(reachable, section, 0.0).reshape(recoil.shape)
