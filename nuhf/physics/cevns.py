"""Coherent elastic neutrino-nucleus scattering with electromagnetic couplings.

The cross section of a neutrino of flavour l on a spin-0 nucleus,

    dsigma/dT = (G_F^2 M/pi) (1 - T/E - M T/2E^2) {A^2 + Z^2 F_p^2 sum |d_ll'|^2}
              + (pi alpha^2/m_e^2) (1/T - 1/E + T/4E^2) Z^2 F_p^2 munu_l^2,
    A = [g_p + c(T) qnu_ll - k r2nu_ll] Z F_p + g_n N F_n,

is a polynomial of degree 2 in 1/E and a square in the couplings. Source: M. Cadeddu et al.,
arXiv:1908.06045, eqs 2, 27, 34; A. N. Khan (2023), eqs 1, 13; T/E and T/4E^2 are kept.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Final

import numpy as np

from nuhf.arrays import FloatArray
from nuhf.constants import CM2_PER_MEV_M2, FERMI_CONSTANT
from nuhf.couplings.model import Vertex
from nuhf.errors import InputError
from nuhf.physics.amplitude import CrossSection, flavours_of, with_couplings
from nuhf.physics.form_factors import FORM_FACTORS, klein_nystrand
from nuhf.physics.nuclei import Nuclide
from nuhf.physics.polynomial import Polynomial
from nuhf.physics.settings import Physics

NEUTRON: Final = "neutron_form_factor"
"""Variable of the amplitudes that stands for F_n where the neutron radius is a parameter."""

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


def cross_section(
    recoil: FloatArray, nuclide: Nuclide, flavour: str, physics: Physics, antineutrino: bool = False
) -> CrossSection:
    """dsigma/dT as amplitudes: one that interferes, and those of the models of couplings.

    Parameters
    ----------
    recoil : ndarray
        T in MeV, positive, (n_recoil,).
    nuclide : Nuclide
        Target.
    flavour : str
        ``e``, ``mu`` or ``tau``; a pair or a mass state of a mixture (`nuhf.physics.solar_states`).
    physics : Physics
        Weak couplings, form factor, variables. With ``neutron_radius`` F_n is the variable
        `NEUTRON`.
    antineutrino : bool
        Coherent scattering is the same for both; a model may differ.
    """
    recoil = np.asarray(recoil, dtype=float)
    proton, neutron = form_factors(physics.form_factor, recoil, nuclide)
    charge = nuclide.protons * proton
    neutrons: FloatArray | Polynomial = nuclide.neutrons * neutron
    if physics.neutron_radius:
        number = np.full_like(recoil, nuclide.neutrons)
        neutrons = Polynomial((NEUTRON,), ((1,),), number[np.newaxis])
    # of a pair both flavours' amplitudes interfere; of mass states nothing of the SM is left
    gp = [physics.couplings.gp[one] for one in flavours_of(flavour)]
    weak = sum(gp) * charge + len(gp) * physics.couplings.gn * neutrons
    standard = CrossSection(
        {"vector": {"": weak}}, {("vector", "vector"): weak_coefficients(recoil, nuclide.mass)}
    )
    vertex = Vertex(
        "cevns", recoil, nuclide.mass, flavour, antineutrino, charge, neutrons, physics.settings
    )
    return with_couplings(standard, vertex, physics.variables)


def differential_cross_section(
    recoil: FloatArray,
    energy: FloatArray,
    nuclide: Nuclide,
    flavour: str,
    physics: Physics,
    values: Mapping[str, float] | None = None,
    partners: Sequence[Mapping[str, float]] = (),
) -> FloatArray:
    """dsigma/dT in cm^2/MeV, for plots and checks.

    Parameters
    ----------
    recoil, energy : ndarray
        T and E in MeV, broadcast against each other.
    nuclide, flavour, physics
        As in `cross_section`.
    values, partners
        Variables in base units, as in `nuhf.physics.amplitude.CrossSection.at`.

    Returns
    -------
    ndarray
        Zero where the recoil is not reachable.
    """
    recoil, energy = np.broadcast_arrays(np.asarray(recoil, float), np.asarray(energy, float))
    fixed = replace(physics, neutron_radius=False)
    section = cross_section(recoil.ravel(), nuclide, flavour, fixed)
    least = minimum_energy(recoil.ravel(), nuclide.mass)
    found = section.differential(energy.ravel(), least, values or {}, partners)
    return found.reshape(recoil.shape)
