"""The sterile dipole portal: a transition moment to a heavy neutrino N of mass m4.

    L = -(mu/2) nubar sigma_{mu nu} N F^{mu nu} + h.c.,  mu in mu_B

(some papers write d = mu/2: 1 mu_B = 296.3 GeV^-1 is d = 148.15 GeV^-1). In the front
pi alpha^2/m_e^2 times mu^2, and Z^2 F_p^2 for a nucleus:

    spin 0:   1/T - 1/E + T/4E^2 - m4^2 [1/(2 M T E) + 1/(4 T E^2) - 1/(8 M E^2)]
              - m4^4/(8 M T^2 E^2)
    spin 1/2: 1/T - 1/E + m4^2 (T - 2E - m_e)/(4 E^2 T m_e) + m4^4 (T - m_e)/(8 E^2 T^2 m_e^2)

for neutrino energies above (1/2)[T + sqrt(T^2 + 2 M T)] [1 + m4^2/(2 M T)], which closes small
recoils, too. At m4 = 0, a setting ``sterile_mass_mev``, it is the magnetic moment. The decay of N
inside the detector is neglected.
"""

from collections.abc import Mapping
from typing import Final

import numpy as np

from nuhf.arrays import FloatArray
from nuhf.couplings.electromagnetic import magnetic_coefficients
from nuhf.couplings.model import (
    GREEK,
    Amplitudes,
    CouplingModel,
    Feed,
    Group,
    Kinematics,
    Parameter,
    Variable,
    Vertex,
)

MASS: Final = "sterile_mass_mev"
"""Setting: the mass m4."""

DIPOLES: Final = Group(
    "dipoles", "Sterile dipole portal", 100, r"|\mu_{\nu N}|", quoted=-11, modulus=True
)


def _amplitude(vertex: Vertex) -> Amplitudes:
    charge = np.ones_like(vertex.recoil) if vertex.interaction == "eves" else vertex.proton
    return {"dipole": {"dipole": charge}}


def _kinematics(vertex: Vertex) -> dict[str, Kinematics]:
    recoil, mass, square = vertex.recoil, vertex.mass, vertex.setting(MASS) ** 2
    massless = magnetic_coefficients(recoil, 0.5 if vertex.interaction == "eves" else 0.0)
    front = massless[0] * recoil
    zero = np.zeros_like(recoil)
    first = -square / (2.0 * mass * recoil)
    if vertex.interaction == "eves":
        second = square * (recoil - mass) / (4.0 * recoil * mass)
        second = second + square**2 * (recoil - mass) / (8.0 * recoil**2 * mass**2)
    else:
        second = -square / (4.0 * recoil) + square / (8.0 * mass)
        second = second - square**2 / (8.0 * mass * recoil**2)
    elastic = 0.5 * (recoil + np.sqrt(recoil**2 + 2.0 * mass * recoil))
    return {
        "dipole": Kinematics(
            massless + front * np.stack([zero, first, second]),
            elastic * (1.0 + square / (2.0 * mass * recoil)),
        )
    }


def recoil_ends(energy: FloatArray, mass: float, settings: Mapping[str, float]) -> FloatArray:
    """Return the least and the largest recoils of neutrino energies above the threshold, in MeV.

    Source: two-body kinematics; the product of both is m4^4/[4 (M^2 + 2 M E)].
    """
    square = settings[MASS] ** 2
    energy = energy[energy > settings[MASS] + square / (2.0 * mass)]
    s = mass**2 + 2.0 * mass * energy
    root = (2.0 * mass * energy - square) ** 2 - 4.0 * mass**2 * square
    sums = 2.0 * mass * energy**2 - square * (energy + mass)
    high = (sums + energy * np.sqrt(np.maximum(root, 0.0))) / (2.0 * s)
    return np.concatenate([square**2 / (4.0 * s) / high, high])


MODEL: Final = CouplingModel(
    "dipole_portal",
    (Variable("dipole", "mu_B", r"\mu_{\nu N}", "moment to a sterile neutrino"),),
    _amplitude,
    tuple(
        Parameter(
            f"dipole_{flavour}", "mu_B", DIPOLES, f"dipole2_{flavour}", -18,
            (Feed("dipole", 1.0, (flavour,)),), rf"\mu_{{\nu_{{{symbol}}}N}}",
            f"transition moment of nu_{flavour} to a sterile neutrino", power=2, interferes=False,
        )
        for flavour, symbol in GREEK.items()
    ),
    _kinematics,
    recoil_ends,
    settings=(MASS,),
)  # fmt: skip
"""A heavy neutrino behind a transition moment."""
