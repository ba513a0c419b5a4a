"""What a model of couplings consists of: variables, amplitudes, and catalogue entries.

A rate is a polynomial in *variables*, such as the millicharge ``q`` of one flavour. A
`CouplingModel` says what each of its variables adds to the amplitudes of a collision (`Vertex`);
its `Parameter` entries say which variables a parameter feeds. Nothing else in nuhf knows a coupling
by its name. A package of a user's own offers its models through the entry point group
``nuhf.couplings``.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Literal

import numpy as np

from nuhf.arrays import FloatArray
from nuhf.errors import InputError

if TYPE_CHECKING:
    from nuhf.physics.polynomial import Polynomial

Factor = "FloatArray | Polynomial"
"""One number per recoil energy, or a polynomial with such coefficients."""

Amplitudes = Mapping[str, Mapping[str, "FloatArray | Polynomial"]]
"""By component (``vector``, ``axial``, ``magnetic``, ...) and variable; the SM has no name, ""."""

FLAVOURS: Final = ("e", "mu", "tau")

GREEK: Final = {"e": "e", "mu": r"\mu", "tau": r"\tau"}
"""Flavours in mathematical text."""

PAIRS: Final = {"emu": ("e", "mu"), "etau": ("e", "tau"), "mutau": ("mu", "tau")}
"""Two flavours of a mixture that a coupling joins: it interferes with the SM of both."""

MASS_STATES: Final = ("m1", "m2", "m3")
"""Mass states of a mixture: what does not interfere with the SM knows them alone."""

DELTA_CP: Final = "delta_cp_rad"
"""Setting: Dirac phase of the mixing matrix."""

TRANSITION_PHASE: Final = "transition_phase_rad"
"""Setting: phase of a coupling d_ab of two flavours, a before b in `FLAVOURS`."""


@dataclass(frozen=True)
class Variable:
    """What rates are expanded in: a coupling of one flavour, in its base unit.

    Attributes
    ----------
    name : str
        Such as ``q``; unique among all models.
    unit : str
        Base unit.
    symbol : str
        LaTeX, without dollar signs.
    meaning : str
        In words.
    """

    name: str
    unit: str
    symbol: str
    meaning: str


@dataclass(frozen=True)
class Vertex:
    """A collision: what an amplitude may depend on.

    Attributes
    ----------
    interaction : str
        ``cevns`` or ``eves``.
    recoil : ndarray
        T in MeV, positive, (n_recoil,).
    mass : float
        Of the target, in MeV.
    flavour : str
        ``e``, ``mu`` or ``tau``; one of `PAIRS` or `MASS_STATES` of a mixture.
    antineutrino : bool
        Whether it is one.
    proton, neutron : ndarray or Polynomial
        Z F_p and N F_n of a nucleus; 0 for electrons. N F_n is a polynomial where the neutron
        radius is a parameter.
    settings : mapping
        Numbers of the model that no fit moves, such as ``mediator_mass_mev``.
    photoabsorption : ndarray or None
        Cross section of the atom for photons of energy T in cm^2, (n_recoil,), for models that ask
        for it.
    """

    interaction: Literal["cevns", "eves"]
    recoil: FloatArray
    mass: float
    flavour: str
    antineutrino: bool
    proton: "FloatArray"
    neutron: "FloatArray | Polynomial"
    settings: Mapping[str, float] = field(default_factory=dict)
    photoabsorption: FloatArray | None = None

    def setting(self, name: str, default: float | None = None) -> float:
        """Return a number that the model needs (`InputError` if not given and without default)."""
        value = self.settings.get(name, default)
        if value is None:
            raise InputError(f"this coupling needs the setting {name}, which is not given")
        return value


@dataclass(frozen=True)
class Kinematics:
    """What multiplies the square of an amplitude that the SM does not have.

    Attributes
    ----------
    coefficients : ndarray
        Of 1, 1/E, 1/E^2, in cm^2/MeV, (3, n_recoil); with a fourth row of ln(E/MeV), (4, n_recoil).
    threshold : ndarray or None
        Least neutrino energy in MeV, (n_recoil,); None for that of elastic scattering.
    per_atom : bool
        Whether they are those of an atom, so that no number of electrons multiplies them.
    """

    coefficients: FloatArray
    threshold: FloatArray | None = None
    per_atom: bool = False


@dataclass(frozen=True)
class Group:
    """Parameters of one sort, which tables and figures show together.

    Attributes
    ----------
    name : str
        As in ``profiled="charges"``.
    title : str
        Heading.
    order : int
        Place among the groups.
    symbol : str
        LaTeX of any of its members, without dollar signs.
    quoted : int or None
        Power of ten in which values are quoted; None if it follows from the values.
    modulus : bool
        Whether values are never negative, so that a logarithmic axis shows them.
    pictured : bool
        Whether `nuhf plot summary` shows them.
    """

    name: str
    title: str
    order: int
    symbol: str = ""
    quoted: int | None = None
    modulus: bool = False
    pictured: bool = False


@dataclass(frozen=True)
class Feed:
    """A variable that a parameter moves.

    Attributes
    ----------
    variable : str
        Name of the variable.
    factor : float
        Variable per parameter, in base units.
    flavours : tuple of str
        Neutrino flavours it holds for, `PAIRS` and `MASS_STATES` among them; empty for all.
    partner : str
        Empty if the amplitude adds to that of the SM. Otherwise what the neutrino turns into: the
        amplitudes of one partner add up, those of different ones do not interfere.
    convention : str
        Anapole convention it holds for; empty for all.
    pure : bool
        Whether it holds only where neutrinos arrive with that flavour, not as mass states.
    """

    variable: str
    factor: float = 1.0
    flavours: tuple[str, ...] = ()
    partner: str = ""
    convention: str = ""
    pure: bool = False


@dataclass(frozen=True)
class Parameter:
    """A physical parameter and its fit parameter.

    Attributes
    ----------
    name : str
        Name on the command line, such as ``qnu_ee``.
    unit : str
        Base unit of every value read or printed: ``e``, ``mu_B``, ``cm2``, ``fm`` or ``1``.
    group : Group
        What it is shown with.
    fit_stem : str
        Name of the fit parameter without its unit.
    exponent : int
        The fit parameter counts in units of 10**exponent.
    feeds : tuple of Feed
        What it does to the rate.
    symbol : str
        LaTeX, without dollar signs.
    meaning : str
        One line for people.
    power : int
        The fit parameter is this power of the parameter; even for a modulus.
    interferes : bool
        Whether the variables grow with the fit parameter; otherwise their squares do, and only
        the modulus is measured.
    offset : float
        Value of the parameter where the fit parameter is zero.
    limits : (float, float) or None
        Values it may have, in the base unit; None if only the data limit it.
    strength_of : str
        Interaction whose whole rate it multiplies, SM = 1; empty for all others.
    contains : tuple of str
        Parameters that it stands for at once, which must not float beside it.
    note : str
        What every result must say.
    propagates : bool
        Whether it changes oscillations, which are not polynomial and held as they are.
    """

    name: str
    unit: str
    group: Group
    fit_stem: str
    exponent: int
    feeds: tuple[Feed, ...] = ()
    symbol: str = ""
    meaning: str = ""
    power: int = 1
    interferes: bool = True
    offset: float = 0.0
    limits: tuple[float, float] | None = None
    strength_of: str = ""
    contains: tuple[str, ...] = ()
    note: str = ""
    propagates: bool = False

    @property
    def fit_name(self) -> str:
        """Name of the fit parameter, unit included."""
        return self.fit_stem + unit_suffix(self.exponent)

    @property
    def squared(self) -> bool:
        """Whether only the modulus is measured, through an even power."""
        return self.power % 2 == 0

    @property
    def one_sided(self) -> bool:
        """Whether values below 0 are not physical."""
        return self.squared or bool(self.strength_of)

    @property
    def conventions(self) -> frozenset[str]:
        """Anapole conventions that it depends on; empty if it does not."""
        return frozenset(feed.convention for feed in self.feeds if feed.convention)

    def scales(self, interaction: str) -> bool:
        """Whether this is the strength of an interaction, ``cevns`` or ``eves``."""
        return self.strength_of == interaction

    def acts(
        self, flavour: str, convention: str, mixture: bool = False
    ) -> dict[tuple[str, str], float]:
        """Return what it feeds in one flavour: factors by (partner, variable), in base units.

        ``mixture`` says that neutrinos arrive as mass states.
        """
        return {
            (feed.partner, feed.variable): feed.factor
            for feed in self.feeds
            if (not feed.flavours or flavour in feed.flavours)
            and feed.convention in ("", convention)
            and not (feed.pure and mixture)
        }

    @property
    def scale(self) -> float:
        """Size of one unit of the fit parameter, in the base unit (or its power)."""
        return float(10.0**self.exponent)

    def to_fit(self, value: float) -> float:
        """Convert a value in the base unit to the fit parameter."""
        return float((value - self.offset) ** self.power) / self.scale

    def from_fit(self, theta: float) -> float:
        """Convert the fit parameter to the base unit; for an even power, |value|."""
        value = theta * self.scale
        if self.squared:
            root = np.sqrt(max(value, 0.0))
            return float(root if self.power == 2 else root ** (2.0 / self.power))
        return value + self.offset

    def show(self, theta: float) -> str:
        """Write a value of the fit parameter in the base unit, with the unit."""
        return f"{self.from_fit(theta):.4g}{'' if self.unit == '1' else f' {self.unit}'}"


@dataclass(frozen=True)
class CouplingModel:
    """A set of couplings that belong together.

    Attributes
    ----------
    name : str
        Such as ``electromagnetic``.
    variables : tuple of Variable
        What its amplitudes are linear in.
    amplitude : callable
        Vertex to what its variables add to the amplitudes.
    parameters : tuple of Parameter
        Catalogue entries.
    kinematics : callable, optional
        Vertex to the `Kinematics` of each component which the SM does not have.
    ends : callable, optional
        Neutrino energies (n,) in MeV, the mass of the target in MeV, and settings, to recoil
        energies in MeV where scattering on it begins or ends, if not elastic.
    settings : tuple of str
        Numbers that it needs, none negative; the unit is in the name.
    angles : tuple of str
        Numbers that it takes if they are given, of either sign.
    photoabsorption : bool
        Whether it needs the photoabsorption of the atoms.
    """

    name: str
    variables: tuple[Variable, ...] = ()
    amplitude: Callable[[Vertex], Amplitudes] | None = None
    parameters: tuple[Parameter, ...] = ()
    kinematics: Callable[[Vertex], Mapping[str, Kinematics]] | None = None
    ends: Callable[[FloatArray, float, Mapping[str, float]], FloatArray] | None = None
    settings: tuple[str, ...] = ()
    angles: tuple[str, ...] = ()
    photoabsorption: bool = False


def unit_suffix(exponent: int) -> str:
    """Return the suffix that states a power of ten: ``_em8`` for -8, ``_ep2`` for 2, none for 0."""
    if exponent == 0:
        return ""
    return f"_e{'m' if exponent < 0 else 'p'}{abs(exponent)}"
