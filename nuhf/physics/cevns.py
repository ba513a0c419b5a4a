"""Coherent elastic neutrino-nucleus scattering with electromagnetic couplings.

The cross section of a neutrino of flavour l on a spin-0 nucleus,

    dsigma/dT = (G_F^2 M/pi) (1 - T/E - M T/2E^2) {A^2 + Z^2 F_p^2 sum |d_ll'|^2}
              + (pi alpha^2/m_e^2) (1/T - 1/E + T/4E^2) Z^2 F_p^2 munu_l^2,
    A = [g_p + c(T) qnu_ll - k r2nu_ll] Z F_p + g_n N F_n,

is a polynomial of degree 2 in 1/E and of degree 2 in the couplings. Source: M. Cadeddu et al.,
arXiv:1908.06045, eqs 2, 27, 34; A. N. Khan (2023), eqs 1, 13; T/E and T/4E^2 are kept.
"""

from collections.abc import Mapping
from typing import Final

import numpy as np
from numpy.typing import NDArray

from nuhf.constants import ALPHA, CM2_PER_MEV_M2, ELECTRON_MASS, FERMI_CONSTANT
from nuhf.errors import InputError
from nuhf.physics.couplings import RADIUS_SHIFT, WeakCouplings, charge_shift
from nuhf.physics.form_factors import FORM_FACTORS, klein_nystrand
from nuhf.physics.nuclei import Nuclide

__all__ = [
    "MONOMIALS",
    "coefficients",
    "differential_cross_section",
    "form_factors",
    "magnetic_coefficients",
    "maximum_recoil",
    "minimum_energy",
    "monomial_weights",
    "weak_coefficients",
]

FloatArray = NDArray[np.float64]

MONOMIALS: Final = ("1", "q", "r", "q2", "qr", "r2", "munu2")
"""Monomials of one flavour: q = qnu_ll in e, r = r2nu_ll in cm^2, munu2 = munu_l^2 in mu_B^2."""

_HARD_SPHERE_FM: Final = 1.2


def minimum_energy(recoil: FloatArray, mass: float) -> FloatArray:
    """Return the least neutrino energy in MeV for a recoil T on mass M, exact kinematics."""
    recoil = np.asarray(recoil, dtype=float)
    return 0.5 * (recoil + np.sqrt(recoil**2 + 2.0 * mass * recoil))


def maximum_recoil(energy: FloatArray, mass: float) -> FloatArray:
    """Return the largest recoil energy in MeV, 2 E^2/(M + 2 E)."""
    energy = np.asarray(energy, dtype=float)
    return 2.0 * energy**2 / (mass + 2.0 * energy)


def weak_coefficients(recoil: FloatArray, mass: float) -> FloatArray:
    """Coefficients of 1, 1/E, 1/E^2 of the weak kinematic factor.

    Returns
    -------
    ndarray
        Shape (3, n_recoil); times E^-n and an amplitude squared: cm^2/MeV.
    """
    recoil = np.asarray(recoil, dtype=float)
    front = FERMI_CONSTANT**2 * mass / np.pi * CM2_PER_MEV_M2
    return front * np.stack([np.ones_like(recoil), -recoil, -0.5 * mass * recoil])


def magnetic_coefficients(recoil: FloatArray) -> FloatArray:
    """Coefficients of 1, 1/E, 1/E^2 of the magnetic-moment term, for Z F_p munu = 1 mu_B.

    Returns
    -------
    ndarray
        Shape (3, n_recoil); times E^-n and (Z F_p munu)^2: cm^2/MeV.
    """
    recoil = np.asarray(recoil, dtype=float)
    front = np.pi * ALPHA**2 / ELECTRON_MASS**2 * CM2_PER_MEV_M2
    return front * np.stack([1.0 / recoil, -np.ones_like(recoil), 0.25 * recoil])


def form_factors(name: str, recoil: FloatArray, nuclide: Nuclide) -> tuple[FloatArray, FloatArray]:
    """Form factors of protons and neutrons at recoil energies T, q^2 = 2 M T.

    ``klein-nystrand`` uses R_A = 1.2 A^(1/3) fm for both; the others the nuclide's rms radii.

    Raises
    ------
    InputError
        If the name is unknown.
    """
    recoil = np.asarray(recoil, dtype=float)
    q = np.sqrt(2.0 * nuclide.mass * recoil)
    if name == "klein-nystrand":
        common = klein_nystrand(q, _HARD_SPHERE_FM * nuclide.nucleons ** (1.0 / 3.0))
        return common, common
    if name not in FORM_FACTORS:
        allowed = ", ".join(["klein-nystrand", *FORM_FACTORS])
        raise InputError(f"unknown form factor '{name}'; allowed: {allowed}")
    function = FORM_FACTORS[name]
    return function(q, nuclide.rp_fm), function(q, nuclide.rn_fm)


def monomial_weights(
    recoil: FloatArray,
    nuclide: Nuclide,
    flavour: str,
    couplings: WeakCouplings,
    form_factor: str,
) -> dict[str, FloatArray]:
    """Factors of each monomial: the expansion of A^2, and (Z F_p)^2 for the magnetic moment.

    Returns
    -------
    dict
        Arrays (n_recoil,) by the names in `MONOMIALS`; all but ``munu2`` multiply
        `weak_coefficients`, that one `magnetic_coefficients`.
    """
    proton, neutron = form_factors(form_factor, recoil, nuclide)
    charge = nuclide.protons * proton
    weak = couplings.gp[flavour] * charge + couplings.gn * nuclide.neutrons * neutron
    slope_q = charge * charge_shift(recoil, nuclide.mass)
    slope_r = -charge * RADIUS_SHIFT
    return {
        "1": weak**2,
        "q": 2.0 * weak * slope_q,
        "r": 2.0 * weak * slope_r,
        "q2": slope_q**2,
        "qr": 2.0 * slope_q * slope_r,
        "r2": slope_r**2,
        "munu2": charge**2,
    }


def coefficients(
    recoil: FloatArray,
    nuclide: Nuclide,
    flavour: str,
    couplings: WeakCouplings,
    form_factor: str,
) -> dict[str, FloatArray]:
    """Coefficients of 1, 1/E, 1/E^2 of dsigma/dT for every monomial.

    Returns
    -------
    dict
        Arrays (3, n_recoil) in cm^2/MeV by the names in `MONOMIALS`, q in e, r in cm^2, munu2 in
        mu_B^2.
    """
    weights = monomial_weights(recoil, nuclide, flavour, couplings, form_factor)
    weak = weak_coefficients(recoil, nuclide.mass)
    magnetic = magnetic_coefficients(recoil)
    return {name: (magnetic if name == "munu2" else weak) * weights[name] for name in MONOMIALS}


def differential_cross_section(
    recoil: FloatArray,
    energy: FloatArray,
    nuclide: Nuclide,
    flavour: str,
    couplings: WeakCouplings,
    form_factor: str = "helm",
    values: Mapping[str, float] | None = None,
) -> FloatArray:
    """dsigma/dT in cm^2/MeV, for plots and checks.

    Parameters
    ----------
    recoil, energy : ndarray
        T and E in MeV, broadcast against each other.
    nuclide, flavour, couplings, form_factor
        As in `monomial_weights`.
    values : mapping, optional
        ``q`` in e, ``r`` in cm^2, ``munu2`` in mu_B^2 and the incoherent ``qt2`` (e^2) and
        ``rt2`` (cm^4) of the transition couplings; missing ones are zero.

    Returns
    -------
    ndarray
        Zero where the recoil is not reachable.
    """
    given = {"q": 0.0, "r": 0.0, "munu2": 0.0, "qt2": 0.0, "rt2": 0.0, **(values or {})}
    recoil, energy = np.broadcast_arrays(np.asarray(recoil, float), np.asarray(energy, float))
    flat = recoil.ravel()
    weights = monomial_weights(flat, nuclide, flavour, couplings, form_factor)
    q, r = given["q"], given["r"]
    # the amplitude first: it cancels exactly where A = 0
    amplitude = (
        weights["1"] + q * weights["q"] + r * weights["r"] + q * r * weights["qr"]
        + (q**2 + given["qt2"]) * weights["q2"] + (r**2 + given["rt2"]) * weights["r2"]
    )  # fmt: skip
    total = weak_coefficients(flat, nuclide.mass) * amplitude
    total = total + magnetic_coefficients(flat) * weights["munu2"] * given["munu2"]
    inverse = 1.0 / energy.ravel()
    section = total[0] + inverse * (total[1] + inverse * total[2])
    reachable = flat <= maximum_recoil(energy.ravel(), nuclide.mass)
    return np.where(reachable, section, 0.0).reshape(recoil.shape)
