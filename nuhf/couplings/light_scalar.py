"""A light scalar mediator with one coupling to neutrinos, quarks and electrons.

    L = -phi [g (nubar_R nu_L + h.c.) + g sum_f fbar f]

flips the helicity, so nothing interferes. With the mass m of the setting ``mediator_mass_mev``

    nuclei, spin 0:      dsigma/dT = g^4 C^2 M^2 T / [4 pi E^2 (2 M T + m^2)^2]
    electrons, spin 1/2: dsigma/dT = g^4 m_e^2 T (1 + T/2m_e) / [4 pi E^2 (2 m_e T + m^2)^2].

Papers drop T/2m_e (2.5 % at 25 keV). C, the scalar charge of a nucleus for a common coupling to
quarks, is recalled from two papers and UNVERIFIED; they differ by 20 % in g^2, so that it is in the
name of the parameter:

    cerdeno2016: 14 (Z F_p + N F_n) + 1.1 Z F_p            (D. G. Cerdeno et al., 2016)
    atzori2022:  17.3 (Z F_p + N F_n)                      (M. Atzori Corona et al., 2022)
"""

from typing import Final

import numpy as np

from nuhf.constants import CM2_PER_MEV_M2
from nuhf.couplings.light_vector import MASS
from nuhf.couplings.model import (
    FLAVOURS,
    Amplitudes,
    CouplingModel,
    Feed,
    Group,
    Kinematics,
    Parameter,
    Variable,
    Vertex,
)

SCALARS: Final = Group("light_scalars", "Light scalar mediators", 90, r"g_\phi", modulus=True)

_NUCLEONS: Final = {"cerdeno2016_UNVERIFIED": (15.1, 14.0), "atzori2022_UNVERIFIED": (17.3, 17.3)}
"""Scalar charge of a proton and of a neutron."""


def _amplitude(vertex: Vertex) -> Amplitudes:
    if vertex.interaction == "eves":
        one = np.ones_like(vertex.recoil)
        return {"scalar": {f"gs2_{name}": one for name in _NUCLEONS}}
    return {
        "scalar": {
            f"gs2_{name}": proton * vertex.proton + neutron * vertex.neutron
            for name, (proton, neutron) in _NUCLEONS.items()
        }
    }


def _kinematics(vertex: Vertex) -> dict[str, Kinematics]:
    recoil, mass = vertex.recoil, vertex.mass
    propagator = 2.0 * mass * recoil + vertex.setting(MASS) ** 2
    row = mass**2 * recoil / (4.0 * np.pi * propagator**2) * CM2_PER_MEV_M2
    if vertex.interaction == "eves":
        row = row * (1.0 + recoil / (2.0 * mass))
    zero = np.zeros_like(row)
    return {"scalar": Kinematics(np.stack([zero, zero, row]))}


MODEL: Final = CouplingModel(
    "light_scalar",
    tuple(Variable(f"gs2_{n}", "1", r"g_\phi^2", "coupling squared") for n in _NUCLEONS),
    _amplitude,
    tuple(
        Parameter(
            f"g_scalar_{name}", "1", SCALARS, f"g4_scalar_{name}", -20,
            (Feed(f"gs2_{name}", 1.0, FLAVOURS),),
            r"g_\phi", f"coupling of a light scalar mediator, scalar charges of {name}",
            power=4, interferes=False,
            note=f"scalar charges of nucleons: {name.replace('_', ', ')}, recalled",
        )
        for name in _NUCLEONS
    ),
    _kinematics,
    settings=(MASS,),
)  # fmt: skip
"""A light scalar mediator."""
