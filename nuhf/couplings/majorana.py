"""Moments of mass states: Majorana transition moments Lambda_i, and mu_1, mu_2, mu_3 of the Sun.

Majorana neutrinos have mu_ij = eps_ijk Lambda_k. A state with mass amplitudes psi sees

    mu^2 = |Lambda|^2 - |sum_k conj(Lambda_k) psi_k|^2:
    a flavour l:   mu_l^2 = |Lambda|^2 - |sum_k U_lk Lambda_k|^2
    a mass state:  mu_k^2 = |Lambda|^2 - |Lambda_k|^2                  (solar neutrinos).

The first is the sum of squares of the rows of 1 - u u^+, u_k = conj(U_lk): each row is a final
state of its own. The Lambda_i of the catalogue are real, a negative one has the phase pi; further
phases of Lambda_2 and Lambda_3, relative to Lambda_1, and delta_CP are settings, zero if not given.
mu_k^2 = sum_j |mu_jk|^2 of the Sun needs no phase, and nothing else sees it: munu_e of a reactor is
another combination.
"""

from collections.abc import Mapping
from typing import Final

import numpy as np
from numpy.typing import NDArray

from nuhf.couplings.electromagnetic import magnetic_coefficients
from nuhf.couplings.model import (
    DELTA_CP,
    FLAVOURS,
    MASS_STATES,
    Amplitudes,
    CouplingModel,
    Feed,
    Group,
    Kinematics,
    Parameter,
    Variable,
    Vertex,
)

ANGLES: Final = (0.318, 0.0220, 0.5)
"""sin^2 of theta_12, theta_13 (arXiv:2006.11237, as in data/solar/oscillation.toml), theta_23."""

_PHASES: Final = ("lambda_phase_2_rad", "lambda_phase_3_rad")
_NAMES: Final = ("Lambda_1", "Lambda_2", "Lambda_3")

MAJORANA: Final = Group("majorana", "Majorana moments", 35, r"\Lambda", quoted=-11)
MASSES: Final = Group(
    "mass_moments", "Moments of mass states", 36, r"\mu_k", quoted=-11, modulus=True
)


def mixing_matrix(
    angles: tuple[float, float, float] = ANGLES, delta_cp: float = 0.0
) -> NDArray[np.complex128]:
    """Return U (3, 3), flavours e, mu, tau by mass states, in the parametrisation of the PDG.

    Parameters
    ----------
    angles : (float, float, float)
        sin^2 of theta_12, theta_13, theta_23.
    delta_cp : float
        Dirac phase in rad.
    """
    s12, s13, s23 = np.sqrt(angles)
    c12, c13, c23 = np.sqrt(1.0 - np.asarray(angles))
    phase = np.exp(1j * delta_cp)
    return np.array(
        [
            [c12 * c13, s12 * c13, s13 / phase],
            [-s12 * c23 - c12 * s23 * s13 * phase, c12 * c23 - s12 * s23 * s13 * phase, s23 * c13],
            [s12 * s23 - c12 * c23 * s13 * phase, -c12 * s23 - s12 * c23 * s13 * phase, c23 * c13],
        ]
    )


def _states(vertex: Vertex) -> Mapping[str, Mapping[str, float]]:
    """Amplitudes of final states that do not interfere, by the Lambda_i that lead to them."""
    if vertex.flavour in MASS_STATES:
        return {n: {n: 1.0} for n, own in zip(_NAMES, MASS_STATES, strict=True)
                if own != vertex.flavour}  # fmt: skip
    if vertex.flavour not in FLAVOURS:
        return {}
    mixing = mixing_matrix(delta_cp=vertex.setting(DELTA_CP, 0.0))
    row = mixing[FLAVOURS.index(vertex.flavour)]
    phases = [0.0, *(vertex.setting(name, 0.0) for name in _PHASES)]
    rows = (np.eye(3) - np.outer(row.conj(), row)) * np.exp(1j * np.array(phases))
    return {
        f"Lambda{j}_{part}": dict(zip(_NAMES, map(float, values), strict=True))
        for j, state in enumerate(rows, start=1)
        for part, values in (("re", state.real), ("im", state.imag))
    }


def _amplitude(vertex: Vertex) -> Amplitudes:
    eves = vertex.interaction == "eves"
    charge = np.ones_like(vertex.recoil) if eves else vertex.proton
    return {
        state: {name: factor * charge for name, factor in terms.items()}
        for state, terms in _states(vertex).items()
    }


def _kinematics(vertex: Vertex) -> dict[str, Kinematics]:
    spin = 0.5 if vertex.interaction == "eves" else 0.0
    own = Kinematics(magnetic_coefficients(vertex.recoil, spin))
    return dict.fromkeys(_states(vertex), own)


MODEL: Final = CouplingModel(
    "mass_states",
    tuple(
        Variable(name, "mu_B", rf"\Lambda_{k}", f"Majorana moment {k}")
        for k, name in enumerate(_NAMES, start=1)
    ),
    _amplitude,
    (
        *(
            Parameter(
                name, "mu_B", MAJORANA, name, -9,
                (Feed(name, 1.0, FLAVOURS, pure=True), Feed(name, 1.0, MASS_STATES)),
                rf"\Lambda_{k}", f"Majorana transition moment Lambda_{k}",
            )
            for k, name in enumerate(_NAMES, start=1)
        ),
        *(
            Parameter(
                f"munu_{k}", "mu_B", MASSES, f"munu2_{k}", -18, (Feed("munu", 1.0, (state,)),),
                rf"\mu_{k}", f"magnetic moment of mass state {k}, of solar neutrinos",
                power=2, interferes=False,
                contains=("munu_eff", *(f"munu_{flavour}" for flavour in FLAVOURS)),
            )
            for k, state in enumerate(MASS_STATES, start=1)
        ),
    ),
    _kinematics,
    angles=(DELTA_CP, *_PHASES),
)  # fmt: skip
"""Lambda_i, and moments of the mass states that arrive from the Sun."""
