"""Catalogue of the parameters: name, unit, and how a fit parameter stands for it.

A fit works with a number ``theta`` of order one whose name carries its unit, as pyhf parameters
should: ``qnu_ee`` in e becomes ``qnu_ee_em8`` in 1e-8 e, ``munu_e`` in mu_B becomes
``munu2_e_em18``, its square in 1e-18 mu_B^2.
"""

import difflib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray

from nuhf.constants import SIN2_THETA_W
from nuhf.errors import InputError

__all__ = [
    "PARAMETERS",
    "RN_RANGE_FM",
    "RN_REFERENCE_FM",
    "Parameter",
    "check_values",
    "get",
    "suggest",
    "unit_suffix",
]

Kind = Literal["charge", "radius", "anapole", "moment", "angle", "strength", "neutron_radius"]
FloatArray = NDArray[np.float64]

RN_REFERENCE_FM: Final = 5.0
"""Neutron radius in fm where its fit parameter is zero: near the model values of Cs and I."""

RN_RANGE_FM: Final = (2.0, 8.0)
"""Neutron radii in fm that are searched: beyond 3 sigma of arXiv:1908.06045, eq 7."""

_LARGEST: Final = 1e12
"""Fit parameters are of order one; beyond this a value is a slip of the unit."""


@dataclass(frozen=True)
class Parameter:
    """A physical parameter and its fit parameter.

    Attributes
    ----------
    name : str
        Name on the command line, such as ``qnu_ee``.
    unit : str
        Base unit of every value read or printed: ``e``, ``mu_B``, ``cm2``, ``fm`` or ``1``.
    kind : str
        What it does to the rate.
    flavours : tuple of str
        Neutrino flavours it acts on.
    fit_stem : str
        Name of the fit parameter without its unit.
    exponent : int
        The fit parameter counts in units of 10**exponent.
    squared : bool
        The fit parameter is the square of the parameter (no interference, only |.| is measured).
    offset : float
        Value of the parameter where the fit parameter is zero.
    meaning : str
        One line for people.
    nuclides : tuple of str
        Nuclides whose neutron radius it is.
    limits : (float, float) or None
        Values it may have, in the base unit; None if only the data limit it.
    """

    name: str
    unit: str
    kind: Kind
    flavours: tuple[str, ...]
    fit_stem: str
    exponent: int
    squared: bool = False
    offset: float = 0.0
    meaning: str = ""
    nuclides: tuple[str, ...] = ()
    limits: tuple[float, float] | None = None

    @property
    def fit_name(self) -> str:
        """Name of the fit parameter, unit included."""
        return self.fit_stem + unit_suffix(self.exponent)

    def scales(self, interaction: str) -> bool:
        """Whether this is the strength of an interaction, ``cevns`` or ``eves``."""
        return self.name == f"norm_{interaction}"

    @property
    def scale(self) -> float:
        """Size of one unit of the fit parameter, in the base unit (or its square)."""
        return float(10.0**self.exponent)

    def to_fit(self, value: float) -> float:
        """Convert a value in the base unit to the fit parameter."""
        shifted = value - self.offset
        return (shifted**2 if self.squared else shifted) / self.scale

    def from_fit(self, theta: float) -> float:
        """Convert the fit parameter to the base unit; for a squared one, |value|."""
        value = theta * self.scale
        return float(np.sqrt(max(value, 0.0))) if self.squared else value + self.offset

    def show(self, theta: float) -> str:
        """Write a value of the fit parameter in the base unit, with the unit."""
        return f"{self.from_fit(theta):.4g}{'' if self.unit == '1' else f' {self.unit}'}"


def unit_suffix(exponent: int) -> str:
    """Return the suffix that states a power of ten: ``_em8`` for -8, ``_ep2`` for 2, none for 0."""
    if exponent == 0:
        return ""
    return f"_e{'m' if exponent < 0 else 'p'}{abs(exponent)}"


def _catalogue() -> dict[str, Parameter]:
    found = [
        Parameter("norm_cevns", "1", "strength", ("e", "mu", "tau"), "norm_cevns", 0,
                  meaning="strength of coherent scattering on nuclei, SM = 1"),
        Parameter("norm_eves", "1", "strength", ("e", "mu", "tau"), "norm_eves", 0,
                  meaning="strength of elastic scattering on electrons, SM = 1"),
        Parameter("sin2thetaW", "1", "angle", ("e", "mu", "tau"), "sin2thetaW_shift", -2,
                  offset=SIN2_THETA_W, meaning="weak mixing angle at low momentum transfer"),
        Parameter("munu_eff", "mu_B", "moment", ("e", "mu", "tau"), "munu2_eff", -18, True,
                  meaning="magnetic moment common to the three flavours"),
    ]  # fmt: skip
    for flavour in ("e", "mu", "tau"):
        pair = flavour + flavour
        found += [
            Parameter(f"qnu_{pair}", "e", "charge", (flavour,), f"qnu_{pair}", -8,
                      meaning=f"millicharge of nu_{flavour}"),
            Parameter(f"r2nu_{pair}", "cm2", "radius", (flavour,), f"r2nu_{pair}", -32,
                      meaning=f"charge radius squared of nu_{flavour}"),
            Parameter(f"anu_{pair}", "cm2", "anapole", (flavour,), f"anu_{pair}", -32,
                      meaning=f"anapole moment of nu_{flavour}"),
            Parameter(f"munu_{flavour}", "mu_B", "moment", (flavour,), f"munu2_{flavour}", -18,
                      True, meaning=f"effective magnetic moment of nu_{flavour}"),
        ]  # fmt: skip
    for stem, nuclides, whose in (
        ("CsI", ("Cs133", "I127"), "caesium and iodine alike"),
        ("Cs", ("Cs133",), "caesium"),
        ("I", ("I127",), "iodine"),
    ):
        found.append(
            Parameter(f"Rn_{stem}", "fm", "neutron_radius", ("e", "mu", "tau"), f"Rn_{stem}_shift",
                      0, offset=RN_REFERENCE_FM, meaning=f"rms neutron radius of {whose}",
                      nuclides=nuclides, limits=RN_RANGE_FM)
        )  # fmt: skip
    for one, other in (("e", "mu"), ("e", "tau"), ("mu", "tau")):
        pair = one + other
        found += [
            Parameter(f"abs_qnu_{pair}", "e", "charge", (one, other), f"qnu2_{pair}", -16, True,
                      meaning=f"transition millicharge of nu_{one} and nu_{other}"),
            Parameter(f"abs_r2nu_{pair}", "cm2", "radius", (one, other), f"r2nu2_{pair}", -64,
                      True, meaning=f"transition charge radius of nu_{one} and nu_{other}"),
        ]  # fmt: skip
    return {parameter.name: parameter for parameter in found}


PARAMETERS: Final[Mapping[str, Parameter]] = _catalogue()
"""Every parameter by name."""


def suggest(word: str, allowed: Iterable[str]) -> str:
    """Return the end of an error message: the nearest allowed names, or all of them."""
    names = list(allowed)
    folded = {name.lower(): name for name in names}
    near = [folded[n] for n in difflib.get_close_matches(word.lower(), folded, n=2)]
    hint = f"did you mean {' or '.join(near)}? " if near else ""
    return f"{hint}allowed: {', '.join(names)}"


def get(name: str) -> Parameter:
    """Look a parameter up by its name.

    Raises
    ------
    InputError
        If there is none, with the nearest names.
    """
    if name not in PARAMETERS:
        raise InputError(f"unknown parameter '{name}'; {suggest(name, PARAMETERS)}")
    return PARAMETERS[name]


def check_values(values: Mapping[str, float]) -> None:
    """Refuse values in base units that a parameter cannot have.

    Raises
    ------
    InputError
        If a parameter is unknown, outside its limits, below its physical bound at 0, not finite,
        or larger than 1e12 units of its fit parameter.
    """
    for name, value in values.items():
        parameter = get(name)
        if parameter.limits and not parameter.limits[0] <= value <= parameter.limits[1]:
            low, high = parameter.limits
            raise InputError(
                f"{name} = {value:g} {parameter.unit}: the model holds from {low:g} to {high:g}"
            )
        if (parameter.squared or parameter.kind == "strength") and value < 0:
            raise InputError(f"{name} is not below 0, given: {value:g}")
        largest = _LARGEST * parameter.scale
        if not abs(value) <= (largest**0.5 if parameter.squared else largest):
            raise InputError(
                f"{name} = {value:g} {parameter.unit} is far outside anything possible"
            )
