"""Light vector mediators: universal, B - L, B - 3 L_l, L_mu - L_tau.

    L = -Z'_mu [g_nu nubar gamma^mu P_L nu + sum_f g_f fbar gamma^mu f],   g_f = g Q'_f,

adds to the amplitude of the SM

    nuclei:    X = g_nu [(2 g_u + g_d) Z F_p + (g_u + 2 g_d) N F_n] / [sqrt2 G_F (2 M T + m^2)]
    electrons: gV -> gV + g_nu g_e / [sqrt2 G_F (2 m_e T + m^2)],

which is linear in g^2, the fit parameter. The mass m is the setting ``mediator_mass_mev``. Far
above the momentum transfer X is that of `nuhf.couplings.nsi` with eps^q = g_nu g_q/(sqrt2 G_F m^2).
In the Sun, models that are not flavour universal change the propagation, which is not polynomial.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Final

import numpy as np

from nuhf.arrays import FloatArray
from nuhf.constants import ALPHA, FERMI_CONSTANT, LEPTON_MASS
from nuhf.couplings.model import (
    FLAVOURS,
    Amplitudes,
    CouplingModel,
    Feed,
    Group,
    Parameter,
    Variable,
    Vertex,
)

if TYPE_CHECKING:
    from nuhf.physics.polynomial import Polynomial

MASS: Final = "mediator_mass_mev"
"""Setting that a light mediator needs."""

VECTORS: Final = Group("light_vectors", "Light vector mediators", 80, "g_{Z'}", modulus=True)


@dataclass(frozen=True)
class _Charges:
    """Charges under the new force; ``photon`` is the sign of what a loop of mu and tau adds."""

    title: str
    symbol: str
    neutrinos: Mapping[str, float]
    quarks: float = 0.0
    electron: float = 0.0
    photon: float = 0.0


def _alike(charge: float) -> dict[str, float]:
    return dict.fromkeys(FLAVOURS, charge)


_MODELS: Final[Mapping[str, _Charges]] = {
    "universal": _Charges("universal couplings", "g_U", _alike(1.0), 1.0, 1.0),
    "b_l": _Charges("B - L", "g_{B-L}", _alike(-1.0), 1.0 / 3.0, -1.0),
    "b_3le": _Charges("B - 3 L_e", "g_{B-3L_e}", {"e": -3.0}, 1.0 / 3.0, -3.0),
    "b_3lmu": _Charges("B - 3 L_mu", r"g_{B-3L_\mu}", {"mu": -3.0}, 1.0 / 3.0),
    "b_3ltau": _Charges("B - 3 L_tau", r"g_{B-3L_\tau}", {"tau": -3.0}, 1.0 / 3.0),
    "lmu_ltau_plus": _Charges(
        "L_mu - L_tau, loop of positive sign", r"g_{L_\mu-L_\tau}^+", {"mu": 1.0, "tau": -1.0},
        photon=1.0,
    ),
    "lmu_ltau_minus": _Charges(
        "L_mu - L_tau, loop of negative sign", r"g_{L_\mu-L_\tau}^-", {"mu": 1.0, "tau": -1.0},
        photon=-1.0,
    ),
}  # fmt: skip


@cache
def _rule() -> tuple[FloatArray, FloatArray]:
    """Return nodes and weights of Gauss-Legendre, exact here to 1e-12."""
    return np.polynomial.legendre.leggauss(24)


def loop(q2: FloatArray) -> FloatArray:
    """Return (2 alpha/pi) I(q^2): coupling to a unit charge by loops of muons and tau leptons.

    I = int_0^1 y ln[(m_tau^2 + y q^2)/(m_mu^2 + y q^2)] dx, y = x (1 - x); the overall sign depends
    on conventions and is open. I(0) = ln(m_tau^2/m_mu^2)/6.

    Parameters
    ----------
    q2 : ndarray
        Squared momentum transfer in MeV^2, (n,).
    """
    nodes, weights = _rule()
    share = 0.25 * (1.0 - nodes**2)  # x (1 - x) at x = (1 + node)/2
    running = share * np.asarray(q2, dtype=float)[:, np.newaxis]
    ratio = (LEPTON_MASS["tau"] ** 2 + running) / (LEPTON_MASS["mu"] ** 2 + running)
    return np.asarray(2.0 * ALPHA / np.pi * 0.5 * (np.log(ratio) * share) @ weights)


def _coupling(charges: _Charges, vertex: Vertex) -> "FloatArray | Polynomial":
    """Amplitude per g^2 without the propagator."""
    own = charges.neutrinos.get(vertex.flavour, 0.0)
    mixed = np.zeros_like(vertex.recoil)
    if charges.photon and own:
        mixed = charges.photon * loop(2.0 * vertex.mass * vertex.recoil)
    if vertex.interaction == "eves":
        return own * (charges.electron - mixed)
    nucleons = 3.0 * charges.quarks * (vertex.proton + vertex.neutron)
    return own * (nucleons + mixed * vertex.proton)


def _amplitude(vertex: Vertex) -> Amplitudes:
    propagator = 2.0 * vertex.mass * vertex.recoil + vertex.setting(MASS) ** 2
    strength = 1.0 / (np.sqrt(2.0) * FERMI_CONSTANT * propagator)
    return {"vector": {f"g2_{n}": strength * _coupling(c, vertex) for n, c in _MODELS.items()}}


def _parameter(name: str, charges: _Charges) -> Parameter:
    return Parameter(
        f"g_{name}", "1", VECTORS, f"g2_{name}", -10,
        (Feed(f"g2_{name}", 1.0, FLAVOURS),), charges.symbol,
        f"coupling of a light vector mediator, {charges.title}", power=2,
        propagates=list(charges.neutrinos.values()) not in ([1.0] * 3, [-1.0] * 3),
    )  # fmt: skip


MODEL: Final = CouplingModel(
    "light_vector",
    tuple(
        Variable(f"g2_{name}", "1", f"{charges.symbol}^2", f"coupling squared, {charges.title}")
        for name, charges in _MODELS.items()
    ),
    _amplitude,
    tuple(_parameter(name, charges) for name, charges in _MODELS.items()),
    settings=(MASS,),
)
"""Light vector mediators."""
