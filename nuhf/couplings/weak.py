"""Strengths of the SM, the weak mixing angle, and neutron radii.

The angle needs no amplitude of its own: g_p falls by 2 per unit of sin^2(theta_W) and by
`RADIUS_SHIFT` per unit of r2nu. A neutron radius is inside N F_n, which the amplitude of every
model may contain.
"""

from typing import Final

from nuhf.constants import SIN2_THETA_W
from nuhf.couplings.electromagnetic import RADIUS_SHIFT
from nuhf.couplings.model import FLAVOURS, CouplingModel, Feed, Group, Parameter

RN_REFERENCE_FM: Final = 5.0
"""Neutron radius in fm where its fit parameter is zero: near the model values of Cs and I."""

RN_RANGE_FM: Final = (2.0, 8.0)
"""Neutron radii in fm that are searched: beyond 3 sigma of arXiv:1908.06045, eq 7."""

ANGLE: Final = Group("angle", "Weak mixing angle", 50)
NEUTRON_RADII: Final = Group("neutron_radii", "Neutron radii", 60)
STRENGTHS: Final = Group("strengths", "Strengths", 1000)


def _strength(interaction: str, letters: str, meaning: str) -> Parameter:
    name = f"norm_{interaction}"
    return Parameter(
        name, "1", STRENGTHS, name, 0, symbol=rf"\mathrm{{norm}}_{{{letters}}}",
        meaning=meaning, strength_of=interaction,
    )  # fmt: skip


def _radius(
    stem: str, nuclides: tuple[str, ...], whose: str, contains: tuple[str, ...] = ()
) -> Parameter:
    feeds = tuple(Feed(f"x_{nuclide}") for nuclide in nuclides)
    return Parameter(
        f"Rn_{stem}", "fm", NEUTRON_RADII, f"Rn_{stem}_shift", 0, feeds,
        f"R_n(\\mathrm{{{stem}}})", f"rms neutron radius of {whose}",
        offset=RN_REFERENCE_FM, limits=RN_RANGE_FM, contains=contains,
    )  # fmt: skip


MODEL: Final = CouplingModel(
    "weak",
    parameters=(
        _strength("cevns", r"\mathrm{CE}\nu\mathrm{NS}",
                  "strength of coherent scattering on nuclei, SM = 1"),
        _strength("eves", r"\mathrm{E}\nu\mathrm{ES}",
                  "strength of elastic scattering on electrons, SM = 1"),
        Parameter("sin2thetaW", "1", ANGLE, "sin2thetaW_shift", -2,
                  (Feed("r", 2.0 / RADIUS_SHIFT, FLAVOURS), Feed("s2w")), r"\sin^2\theta_W",
                  "weak mixing angle at low momentum transfer", offset=SIN2_THETA_W),
        _radius("CsI", ("Cs133", "I127"), "caesium and iodine alike", ("Rn_Cs", "Rn_I")),
        _radius("Cs", ("Cs133",), "caesium"),
        _radius("I", ("I127",), "iodine"),
    ),
)  # fmt: skip
"""What the SM itself depends on."""
