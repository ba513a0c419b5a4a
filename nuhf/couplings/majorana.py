"""Moments of mass states: Majorana transition moments Lambda_i, and mu_1, mu_2, mu_3 of the Sun.

Majorana neutrinos have mu_ij = eps_ijk Lambda_k. A state with mass amplitudes psi sees

    mu^2 = |Lambda|^2 - |sum_k conj(Lambda_k) psi_k|^2:
    a flavour l:   mu_l^2 = |Lambda|^2 - |sum_k U_lk Lambda_k|^2
    a mass state:  mu_k^2 = |Lambda|^2 - |Lambda_k|^2                  (solar neutrinos).

The first is the sum of squares of the rows of 1 - u u^+, u_k = conj(U_lk): each row is a final
state of its own. The Lambda_i of the catalogue are real, at delta_CP = 0: a negative one has the
phase pi. For other phases `model` makes entries of other names. mu_k^2 = sum_j |mu_jk|^2 of the Sun
needs no phase, and nothing else sees it: munu_e of a reactor is another combination.
"""

from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from nuhf.couplings.model import (
    FLAVOURS,
    MASS_STATES,
    CouplingModel,
    Feed,
    Group,
    Parameter,
)

__all__ = ["ANGLES", "MODEL", "mixing_matrix", "model"]

ANGLES: Final = (0.318, 0.0220, 0.5)
"""sin^2 of theta_12, theta_13 (arXiv:2006.11237, as in data/solar/oscillation.toml), theta_23."""

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


def _feeds(k: int, mixing: NDArray[np.complex128], phase: float) -> tuple[Feed, ...]:
    """What |Lambda_k| at a phase adds to the final states of flavours and of mass states."""
    found = []
    for flavour, row in zip(FLAVOURS, mixing, strict=True):
        column = (np.eye(3) - np.outer(row.conj(), row))[:, k] * np.exp(1j * phase)
        for j, (real, imaginary) in enumerate(zip(column.real, column.imag, strict=True)):
            for part, factor in (("re", real), ("im", imaginary)):
                if abs(factor) > 1e-15:
                    state = f"Lambda{j + 1}_{part}"
                    found.append(Feed("munu", float(factor), (flavour,), state, pure=True))
    others = tuple(state for i, state in enumerate(MASS_STATES) if i != k)
    return (*found, Feed("munu", 1.0, others, f"Lambda_{k + 1}"))


def model(
    stem: str,
    phases: Sequence[float] = (0.0, 0.0, 0.0),
    angles: tuple[float, float, float] = ANGLES,
    delta_cp: float = 0.0,
) -> CouplingModel:
    """Return Lambda_1, Lambda_2, Lambda_3 at phases in rad, called ``<stem>_1`` and so on."""
    mixing = mixing_matrix(angles, delta_cp)
    said = ", ".join(f"{phase:g}" for phase in phases)
    return CouplingModel(
        stem,
        parameters=tuple(
            Parameter(
                f"{stem}_{k + 1}", "mu_B", MAJORANA, f"{stem}_{k + 1}", -9,
                _feeds(k, mixing, phases[k]), rf"\Lambda_{k + 1}",
                f"Majorana transition moment Lambda_{k + 1}, phases {said}, delta_CP {delta_cp:g}",
            )
            for k in range(3)
        ),
    )  # fmt: skip


MODEL: Final = CouplingModel(
    "mass_states",
    parameters=(
        *model("Lambda").parameters,
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
)  # fmt: skip
"""Lambda_i at zero phases, and moments of the mass states that arrive from the Sun."""
