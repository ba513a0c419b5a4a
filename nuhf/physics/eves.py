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

from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np

from nuhf.arrays import FloatArray
from nuhf.constants import (
    CM2_PER_MEV_M2,
    ELECTRON_MASS,
    FERMI_CONSTANT,
    SIN2_THETA_W,
)
from nuhf.couplings.model import Vertex
from nuhf.errors import InputError
from nuhf.physics.amplitude import CrossSection, flavours_of, with_couplings
from nuhf.physics.cevns import minimum_energy
from nuhf.physics.settings import Physics

ELECTRONS: Final = Physics()
"""Electromagnetic couplings at tree level."""

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


def cross_section(
    recoil: FloatArray,
    flavour: str,
    antineutrino: bool = False,
    physics: Physics = ELECTRONS,
    sin2_theta_w: float = SIN2_THETA_W,
    photoabsorption: FloatArray | None = None,
) -> CrossSection:
    """dsigma/dT on one free electron as amplitudes: gV, gA, and those of the models of couplings.

    The charge is that of the neutrino, with the same shift of gV for antineutrinos.

    Parameters
    ----------
    recoil : ndarray
        T in MeV, positive, (n_recoil,).
    flavour : str
        ``e``, ``mu`` or ``tau``.
    antineutrino : bool
        Changes the sign of gA.
    physics : Physics
        Variables and settings; its weak couplings are those of nucleons.
    sin2_theta_w : float
        sin^2(theta_W); a change by delta is the radius 2 delta/`RADIUS_SHIFT`.
    photoabsorption : ndarray, optional
        Of the atom in cm^2, (n_recoil,), for models that ask for it.

    Returns
    -------
    CrossSection
        It holds up to the largest recoil of an energy (`maximum_recoil`, with the mass of the
        electron).

    Raises
    ------
    InputError
        If the flavour is unknown.
    """
    recoil = np.asarray(recoil, dtype=float)
    couplings = [electron_couplings(f, antineutrino, sin2_theta_w) for f in flavours_of(flavour)]
    vector, axial = (sum(one[i] for one in couplings) for i in (0, 1))
    vector_part, mixed_part, axial_part = _kinematics(recoil)
    one, none = np.ones_like(recoil), np.zeros_like(recoil)
    standard = CrossSection(
        {"vector": {"": vector * one}, "axial": {"": axial * one}},
        {
            ("vector", "vector"): vector_part,
            ("vector", "axial"): 2.0 * mixed_part,
            ("axial", "axial"): axial_part,
        },
    )
    vertex = Vertex(
        "eves", recoil, ELECTRON_MASS, flavour, antineutrino, none, none, physics.settings,
        photoabsorption,
    )  # fmt: skip
    return with_couplings(standard, vertex, physics.variables)


def differential_cross_section(
    recoil: FloatArray,
    energy: FloatArray,
    flavour: str,
    antineutrino: bool = False,
    physics: Physics = ELECTRONS,
    values: Mapping[str, float] | None = None,
    partners: Sequence[Mapping[str, float]] = (),
    sin2_theta_w: float = SIN2_THETA_W,
) -> FloatArray:
    """dsigma/dT on one free electron in cm^2/MeV, for plots and checks.

    Parameters
    ----------
    recoil, energy : ndarray
        T and E in MeV, positive, broadcast against each other.
    flavour, antineutrino, physics, sin2_theta_w
        As in `cross_section`.
    values, partners
        Variables in base units, as in `nuhf.physics.amplitude.CrossSection.at`.

    Returns
    -------
    ndarray
        Zero where the recoil is not reachable.

    Raises
    ------
    InputError
        If the flavour or a variable is unknown.
    """
    recoil, energy = np.broadcast_arrays(np.asarray(recoil, float), np.asarray(energy, float))
    section = cross_section(recoil.ravel(), flavour, antineutrino, physics, sin2_theta_w)
    least = minimum_energy(recoil.ravel(), ELECTRON_MASS)
    found = section.differential(energy.ravel(), least, values or {}, partners)
    return found.reshape(recoil.shape)
