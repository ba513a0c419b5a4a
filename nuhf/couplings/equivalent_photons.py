"""Millicharge of bound electrons by equivalent photons: a named alternative to free electrons.

Leading logarithm of the photon flux of a charge with gamma = E/m_nu,

    dsigma/dT = (2 alpha/pi) q^2 [sigma_gamma(T)/T] ln(E/m_nu),   E > T,

with the photoabsorption cross section sigma_gamma of the atom; recalled form of J.-W. Chen et al.
(2014), no interference kept. It stands for recoils below 10 keV, where it is up to 26 times the
response of free electrons in steps; above, where it fails, nothing is counted. m_nu is the setting
``neutrino_mass_ev``: from 1 meV to 0.1 eV the limit weakens by 13 %. Limits of this response and of
the other, ``qnu_ll``, are not comparable.
"""

from typing import Final

import numpy as np

from nuhf.constants import ALPHA
from nuhf.couplings.model import (
    FLAVOURS,
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
from nuhf.units import EV

MASS: Final = "neutrino_mass_ev"
"""Setting: the mass of the neutrino."""

CHARGES: Final = Group(
    "photon_charges", "Millicharges by equivalent photons", 15, r"|q_\nu|", modulus=True
)


def _amplitude(vertex: Vertex) -> Amplitudes:
    if vertex.photoabsorption is None:
        return {}
    return {"photon": {"q_epa": np.ones_like(vertex.recoil)}}


def _kinematics(vertex: Vertex) -> dict[str, Kinematics]:
    if vertex.photoabsorption is None:
        return {}
    row = 2.0 * ALPHA / np.pi * vertex.photoabsorption / vertex.recoil
    zero, mass = np.zeros_like(row), vertex.setting(MASS) * EV
    return {
        "photon": Kinematics(
            np.stack([-np.log(mass) * row, zero, zero, row]), vertex.recoil, per_atom=True
        )
    }


MODEL: Final = CouplingModel(
    "equivalent_photons",
    (Variable("q_epa", "e", r"q_\nu", "charge by equivalent photons"),),
    _amplitude,
    tuple(
        Parameter(
            f"qnu_epa_{flavour}{flavour}", "e", CHARGES, f"qnu2_epa_{flavour}{flavour}", -26,
            (Feed("q_epa", 1.0, (flavour,)),),
            rf"|q_{{\nu_{{{GREEK[flavour]}{GREEK[flavour]}}}}}|",
            f"millicharge of nu_{flavour}, equivalent photons instead of free electrons",
            power=2, interferes=False,
            note="charges by equivalent photons, for electron recoils of 0.1 to 10 keV only: not "
            "comparable with charges on free electrons",
        )
        for flavour in FLAVOURS
    ),
    _kinematics,
    settings=(MASS,),
    photoabsorption=True,
)  # fmt: skip
"""Charges in the equivalent-photon approximation."""
