"""Non-standard interactions of vector type with quarks, and of V and A type with electrons.

    L = -2 sqrt2 G_F sum eps_ab^fP (nubar_a gamma^mu P_L nu_b)(fbar gamma_mu P f),  P = L, R,

with eps^q = eps^qL + eps^qR of the up and down quarks; axial parts do nothing to a nucleus of spin
0. On nuclei A -> A + eps^u (2 Z F_p + N F_n) + eps^d (Z F_p + 2 N F_n); on electrons
g_L -> g_L + eps^L and g_R -> g_R + eps^R. Off-diagonal ones lead to another flavour and are real
here. In the Sun they change the propagation as well, which is not polynomial: with fixed
propagation bounds from solar neutrinos are bounds on detection alone.
"""

from typing import Final

import numpy as np

from nuhf.couplings.model import (
    FLAVOURS,
    GREEK,
    Amplitudes,
    CouplingModel,
    Feed,
    Group,
    Parameter,
    Variable,
    Vertex,
)

NSI: Final = Group("nsi", "Non-standard interactions", 70, r"\epsilon")

_ON: Final = {
    "u": "up quarks", "d": "down quarks",
    "eL": "left-handed electrons", "eR": "right-handed electrons",
}  # fmt: skip


def _amplitude(vertex: Vertex) -> Amplitudes:
    if vertex.interaction == "cevns":
        proton, neutron = vertex.proton, vertex.neutron
        return {"vector": {"eps_u": 2.0 * proton + neutron, "eps_d": proton + 2.0 * neutron}}
    one = np.ones_like(vertex.recoil)
    # of an antineutrino gA has the other sign, and so has what L and R add to it
    axial = -one if vertex.antineutrino else one
    return {
        "vector": {"eps_eL": one, "eps_eR": one},
        "axial": {"eps_eL": axial, "eps_eR": -axial},
    }


def _parameter(on: str, one: str, other: str) -> Parameter:
    name, variable = f"eps_{on}_{one}{other}", f"eps_{on}"
    feeds: tuple[Feed, ...] = (Feed(variable, 1.0, (one,)),)
    if one != other:
        feeds = (
            Feed(variable, 1.0, (one,), other),
            Feed(variable, 1.0, (other,), one),
            Feed(variable, 1.0, (one + other,)),
        )
    symbol = rf"\epsilon^{{{on}}}_{{{GREEK[one]}{GREEK[other]}}}"
    meaning = f"coupling of nu_{one} and nu_{other} to {_ON[on]}, in units of G_F"
    return Parameter(name, "1", NSI, name, 0, feeds, symbol, meaning, propagates=True)


MODEL: Final = CouplingModel(
    "nsi",
    tuple(
        Variable(f"eps_{on}", "1", rf"\epsilon^{{{on}}}", f"coupling to {words}")
        for on, words in _ON.items()
    ),
    _amplitude,
    tuple(
        _parameter(on, one, other)
        for on in _ON
        for i, one in enumerate(FLAVOURS)
        for other in FLAVOURS[i:]
    ),
)
"""Non-standard interactions in detection."""
