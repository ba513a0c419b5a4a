"""Weak couplings of neutrinos to nucleons, and the charge radii of the SM.

Source: M. Cadeddu et al., arXiv:1908.06045, eq 27; A. N. Khan (2023), eqs 9, 17.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from nuhf.constants import (
    CM2_PER_MEV_M2,
    FERMI_CONSTANT,
    LEPTON_MASS,
    SIN2_THETA_W,
    W_MASS,
)
from nuhf.errors import InputError


def sm_charge_radius(flavour: str) -> float:
    """SM charge radius of a neutrino in cm^2: -G_F/(2 sqrt2 pi^2) (3 - 2 ln(m_l^2/m_W^2)).

    Source: A. N. Khan (2023), eq 17; the earlier print 2 sqrt2 pi is a factor pi too large.
    """
    logarithm = 2.0 * np.log(LEPTON_MASS[flavour] / W_MASS)
    bracket = 3.0 - 2.0 * logarithm
    return float(-FERMI_CONSTANT / (2.0 * np.sqrt(2.0) * np.pi**2) * bracket * CM2_PER_MEV_M2)


@dataclass(frozen=True)
class WeakCouplings:
    """Vector couplings g_p (by neutrino flavour) and g_n, and the scheme they belong to."""

    scheme: str
    gp: Mapping[str, float]
    gn: float


def tree_level(sin2_theta_w: float = SIN2_THETA_W) -> WeakCouplings:
    """Return the tree-level couplings g_p = 1/2 - 2 sin^2(theta_W), g_n = -1/2."""
    gp = 0.5 - 2.0 * sin2_theta_w
    return WeakCouplings("tree", {"e": gp, "mu": gp, "tau": gp}, -0.5)


def parse_schemes(where: str, content: Mapping[str, Mapping[str, Any]]) -> dict[str, WeakCouplings]:
    """Return all schemes by name: ``tree`` and those of a file like ``data/couplings.toml``.

    Raises
    ------
    InputError
        If a scheme lacks ``gp`` (by flavour) or ``gn``; ``where`` names the file.
    """
    schemes = {"tree": tree_level()}
    for name, entry in content.items():
        if not {"gp", "gn"} <= set(entry):
            raise InputError(f"{where}: [{name}] needs the keys gp (by flavour) and gn")
        schemes[name] = WeakCouplings(name, dict(entry["gp"]), float(entry["gn"]))
    return schemes
