"""Solar neutrinos as an incoherent mixture of mass states: their density matrix in flavour.

With P_ek the share of mass state k, rho_ab = sum_k P_ek U_ak conj(U_bk) has elements off the
diagonal, so that a coupling between two flavours interferes with the SM, in proportion to
2 Re(rho_ba d_ab), d_ab = |d_ab| e^i phase. P_e1 is linear in the survival of nu_e:

    P_e1 = [P_ee - s13^4 - c13^4 s12^2]/[c13^2 cos 2theta_12],  P_e2 = c13^2 - P_e1,  P_e3 = s13^2.

Adiabatic, by day, no effect of the Earth.
"""

import numpy as np

from nuhf.arrays import FloatArray
from nuhf.couplings.majorana import mixing_matrix
from nuhf.couplings.model import FLAVOURS, MASS_STATES, PAIRS
from nuhf.physics.solar import Component, Oscillation, Survival, split
from nuhf.physics.spectra import Spectrum

Shares = dict[str, FloatArray]


def mass_shares(survival: FloatArray, oscillation: Oscillation) -> FloatArray:
    """Return P_ek, (3, ...), from the survival of nu_e, (...); each from 0 to 1, in all 1."""
    s12, s13 = oscillation.sin2_theta12, oscillation.sin2_theta13
    c13 = 1.0 - s13
    first = (survival - s13**2 - c13**2 * s12) / (c13 * (1.0 - 2.0 * s12))
    return np.stack([first, c13 - first, np.full_like(first, s13)])


def state_shares(
    survival: FloatArray, oscillation: Oscillation, delta_cp: float = 0.0, phase: float = 0.0
) -> Shares:
    """Return shares by state: rho_aa of flavours, Re(rho_ba e^i phase) of pairs, P_ek.

    Parameters
    ----------
    survival : ndarray
        Of nu_e, any shape.
    oscillation : Oscillation
        Mixing angles: those that the survival was computed with.
    delta_cp : float
        Dirac phase in rad.
    phase : float
        Of couplings that lead from one flavour to another, in rad.
    """
    angles = oscillation.sin2_theta12, oscillation.sin2_theta13, oscillation.sin2_theta23
    mixing = mixing_matrix(angles, delta_cp)
    masses = mass_shares(np.asarray(survival, dtype=float), oscillation)

    def density(one: str, other: str, turned: float = 0.0) -> FloatArray:
        weights = mixing[FLAVOURS.index(one)].conj() * mixing[FLAVOURS.index(other)]
        weights = weights * np.exp(1j * turned)
        return np.asarray(np.tensordot(weights.real, masses, axes=1))

    return {
        **{flavour: density(flavour, flavour) for flavour in FLAVOURS},
        **{name: density(*pair, phase) for name, pair in PAIRS.items()},
        **dict(zip(MASS_STATES, masses, strict=True)),
    }


def state_spectra(
    component: Component,
    survival: Survival,
    oscillation: Oscillation,
    delta_cp: float = 0.0,
    phase: float = 0.0,
) -> dict[str, Spectrum]:
    """Split one reaction into flavours, pairs of flavours, and mass states at the Earth.

    Flavours add up to one neutrino, and so do mass states; what interferes is weighted with
    Re(rho_ba e^i phase), of either sign. Each is a species of its own: kernels give to pairs the
    terms that are linear in a coupling alone, and to mass states what does not interfere with the
    SM.

    Returns
    -------
    dict of Spectrum
        ``pp_e`` to ``pp_m3`` for ``pp``.
    """
    return split(
        component, survival, lambda survive: state_shares(survive, oscillation, delta_cp, phase)
    )
