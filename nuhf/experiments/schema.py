"""What the files of all kinds of experiments share, checked by pydantic: no unknown key."""

from collections.abc import Callable, Iterable, Mapping, Sequence, Set
from dataclasses import dataclass
from itertools import pairwise
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from nuhf import parameters
from nuhf.errors import InputError
from nuhf.experiments import names

__all__ = [
    "BaseAnalysis",
    "BaseExperiment",
    "CouplingScheme",
    "Edges",
    "Finite",
    "FormFactor",
    "FreeNuisance",
    "Name",
    "NonNegative",
    "NormNuisance",
    "Nuclide",
    "Nuisance",
    "OneOf",
    "Origin",
    "Positive",
    "Reference",
    "Section",
    "ShapeNuisance",
    "Slug",
    "Target",
    "Words",
    "among",
    "increasing",
]


@dataclass(frozen=True)
class Words:
    """What a type allows, in words: for strings with a pattern."""

    text: str


@dataclass(frozen=True)
class OneOf:
    """What a text may be, asked of the code or the data when it is told, not on import."""

    names: Callable[[], Iterable[str]]


Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Finite = Annotated[float, Field(allow_inf_nan=False)]
NonNegative = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Name = Annotated[
    str,
    Field(pattern=r"^[a-z][a-z0-9_]*$", max_length=60),
    Words("name (a letter, then a-z, 0-9, _; up to 60)"),
]
Slug = Annotated[
    str,
    Field(pattern=r"^[a-z0-9][a-z0-9.-]*$", max_length=60),
    Words("name (a-z, 0-9, -, .; up to 60)"),
]
Origin = Annotated[str, Field(description="Where the numbers come from")]
CouplingScheme = Annotated[str, OneOf(names.couplings)]
Nuclide = Annotated[str, OneOf(names.nuclides)]
FormFactor = Annotated[str, OneOf(names.form_factors)]
Edges = Annotated[tuple[Finite, ...], Field(min_length=2, max_length=1001)]

ParameterValues = dict[str, Finite]


class Section(BaseModel):
    """A table of an experiment file."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Target(Section):
    """Mass and chemical formula."""

    source: Origin
    mass_kg: Positive = Field(description="Mass of the target, kg")
    formula: dict[Nuclide, Positive] = Field(
        min_length=1, description="Number of atoms by nuclide, such as `Cs133`; in any unit"
    )


class Reference(Section):
    """A publication to cite."""

    key: str = Field(description="Citation key, as INSPIRE has it")
    text: str = Field(description="The publication as a sentence: authors, title, journal")
    doi: str = Field("", description="Its DOI")
    arxiv: str = Field("", description="Its arXiv number")


class NormNuisance(Section):
    """A relative uncertainty of the normalisation of some processes."""

    name: Name = Field(
        description="Its name; equal names are one parameter, also across experiments"
    )
    kind: Literal["norm"] = Field(description="Relative uncertainty of the number of events")
    pull: Literal["exponential", "linear"] = Field(
        "exponential", description="Factor `(1 + size)^x` up, `(1 - size)^-x` down; or `1 + size x`"
    )
    size: Annotated[float, Field(gt=0, le=1)] = Field(
        description="One standard deviation as a fraction: 0.1 is 10 %"
    )
    processes: tuple[Name, ...] = Field(
        min_length=1, description="Signals and backgrounds that it scales"
    )
    source: str = Field("", description="Where the numbers come from")

    @model_validator(mode="after")
    def _positive(self) -> Self:
        if self.size == 1 and self.pull == "exponential":
            raise ValueError("size 1 has no exponential pull: give pull = 'linear'")
        return self


class FreeNuisance(Section):
    """A factor on some processes that only the data constrain, between 0 and ``high``."""

    name: Name = Field(
        description="Its name; equal names are one parameter, also across experiments"
    )
    kind: Literal["free"] = Field(description="Factor that only the data constrain")
    high: Annotated[float, Field(gt=1, allow_inf_nan=False)] = Field(
        10.0, description="Upper end of the factor, which starts at 1"
    )
    processes: tuple[Name, ...] = Field(min_length=1, description="Backgrounds that it scales")
    source: str = Field("", description="Where it comes from")


class ShapeNuisance(Section):
    """A variation of the detector response, or of the templates of a background."""

    name: Name = Field(
        description="Its name; equal names are one parameter, also across experiments"
    )
    kind: Literal["quenching", "efficiency", "resolution", "template"] = Field(
        description="What varies: a part of the detector, or templates"
    )
    variation: Name = Field(description="Name of the variation, a table of the file")
    source: str = Field("", description="Where the variation comes from")


Nuisance = Annotated[NormNuisance | FreeNuisance | ShapeNuisance, Field(discriminator="kind")]


class BaseAnalysis(Section):
    """One way to analyse the data; what every kind of experiment has.

    ``reference`` are values in base units of couplings that are neither free nor set, and the
    starting values of free ones: the SM charge radii, say, where the weak couplings do not
    contain them. ``profiled`` names, by parameter of interest and group (``charges``, ``radii``,
    ``moments``), what ``--profile`` of that group leaves free; without an entry it is every
    other parameter of the kind. ``floating`` parameters are free in every fit, unless they are set
    to a value; ``limits`` narrows the range of parameters that have one.
    """

    title: str = Field(description="One line for people")
    statistic: Literal["poisson", "gaussian"] = Field(
        description="Poisson counts, or Gaussian errors"
    )
    backgrounds: tuple[Name, ...] = Field((), description="Names of the backgrounds in the fit")
    couplings: CouplingScheme = Field(
        description="Weak couplings: `tree`, or a scheme of `data/couplings.toml`"
    )
    parameters: tuple[str, ...] = Field(
        min_length=1,
        description=("What `nuhf limit` gives when no parameter is named (`nuhf list parameters`)"),
    )
    reference: ParameterValues = Field(
        {}, description="Values of couplings neither free nor set, in base units (e, mu_B, cm2, 1)"
    )
    profiled: dict[str, dict[str, tuple[str, ...]]] = Field(
        {}, description="What `--profile charges`, `radii` or `moments` leaves free for a parameter"
    )
    floating: tuple[str, ...] = Field((), description="Parameters that are free in every fit")
    limits: dict[str, tuple[Finite, Finite]] = Field(
        {}, description="Narrower range, low and high, of a parameter that has one"
    )
    nuisances: tuple[Nuisance, ...] = Field((), description="Nuisance parameters")
    notes: tuple[str, ...] = Field(
        (), description="Caveats that every result of this analysis prints"
    )

    @model_validator(mode="after")
    def _known_names(self) -> Self:
        names = [nuisance.name for nuisance in self.nuisances]
        if len(set(names)) != len(names):
            twice = next(name for name in names if names.count(name) > 1)
            raise ValueError(f"nuisance '{twice}' is given twice")
        for name, group in self.profiled.items():
            for kind in sorted(set(group) - {"charges", "radii", "moments"}):
                where = f"profiled.{name}.{kind}"
                raise ValueError(f"{where}: groups to profile are charges, radii, moments")
        groups = [n for group in self.profiled.values() for many in group.values() for n in many]
        known = (*self.parameters, *self.reference, *self.profiled, *groups, *self.floating)
        for name in (*known, *self.limits):
            if name not in parameters.PARAMETERS:
                hint = parameters.suggest(name, parameters.PARAMETERS)
                raise ValueError(f"unknown parameter '{name}'; {hint}")
        for name, (low, high) in self.limits.items():
            widest = parameters.get(name).limits
            if widest is None or not widest[0] <= low < high <= widest[1]:
                span = "none" if widest is None else f"inside {widest[0]} to {widest[1]}"
                raise ValueError(f"limits of {name}: {low:g} to {high:g} given; allowed: {span}")
        try:
            parameters.check_values(self.reference)
        except InputError as error:
            raise ValueError(f"reference: {error}") from None
        return self


class BaseExperiment(Section):
    """A whole experiment file; what every kind of experiment has.

    ``workspaces`` are the parameters whose pyhf files are kept under ``workspaces/`` (without it:
    none), ``patches`` the one with a patch set there; ``nuhf workspace`` and ``nuhf patchset``
    write any. ``contained_in`` names experiments that hold the same events.
    """

    strength: ClassVar[str] = "norm_cevns"
    """The parameter that scales its SM process."""

    format: Literal[1] = Field(description="Version of this format")
    name: Slug = Field(description="Short name, in results and channel names")
    title: str = Field(description="One line for people")
    notes: tuple[str, ...] = Field((), description="Caveats that every result prints")
    references: tuple[Reference, ...] = Field(min_length=1, description="Publications to cite")
    workspaces: tuple[str, ...] = Field(
        (), description="Parameters whose pyhf files are kept under `workspaces/`"
    )
    patches: str = Field("", description="The parameter with a patch set under `workspaces/`")
    contained_in: tuple[Slug, ...] = Field(
        (),
        description=(
            "Experiments that hold the same events: a combination with them has a note that they "
            "count twice"
        ),
    )
    analyses: Mapping[Slug, BaseAnalysis] = Field(
        description="Ways to analyse the data; `default` is used if none is named"
    )

    @model_validator(mode="after")
    def _known_parameters(self) -> Self:
        for name in (*self.workspaces, *([self.patches] if self.patches else ())):
            if name not in parameters.PARAMETERS:
                hint = parameters.suggest(name, parameters.PARAMETERS)
                raise ValueError(f"workspaces, patches: unknown parameter '{name}'; {hint}")
        return self

    @property
    def idle_backgrounds(self) -> tuple[str, ...]:
        """Backgrounds that no analysis names."""
        used = {name for analysis in self.analyses.values() for name in analysis.backgrounds}
        return tuple(b.name for b in getattr(self, "backgrounds", ()) if b.name not in used)

    @property
    def nuclides(self) -> frozenset[str]:
        """Nuclides whose neutron radius the data depend on."""
        return frozenset()

    def check_nuisances(
        self,
        signals: Set[str],
        backgrounds: Set[str],
        variations: Mapping[str, Mapping[str, Any]],
    ) -> None:
        """Check that every background, process and variation that an analysis names exists.

        Parameters
        ----------
        signals, backgrounds : set of str
            Names of the processes.
        variations : mapping
            ``variations[kind][name]`` for the kinds of `ShapeNuisance`.

        Raises
        ------
        ValueError
            With the key, what was given, and what is allowed.
        """
        for label, analysis in self.analyses.items():
            among(f"analyses.{label}.backgrounds", analysis.backgrounds, backgrounds)
            for nuisance in analysis.nuisances:
                where = f"analyses.{label}.nuisances.{nuisance.name}"
                if isinstance(nuisance, ShapeNuisance):
                    known = set(variations.get(nuisance.kind, {}))
                    among(f"{where}.variation", (nuisance.variation,), known)
                    continue
                among(f"{where}.processes", nuisance.processes, signals | backgrounds)
                scaled = [name for name in nuisance.processes if name in signals]
                if isinstance(nuisance, FreeNuisance) and scaled:
                    strength = "norm_eves" if scaled[0].startswith("eves") else self.strength
                    raise ValueError(
                        f"{where}.processes: '{scaled[0]}' is a signal; kind 'free' is for "
                        f"backgrounds, {strength} scales the signal"
                    )


def increasing(key: str, edges: Sequence[float]) -> None:
    """Refuse edges that do not increase (`ValueError`)."""
    for low, high in pairwise(edges):
        if high <= low:
            raise ValueError(f"{key} must increase: {low:g} is followed by {high:g}")


def among(where: str, names: Iterable[str], allowed: Iterable[str]) -> None:
    """Refuse names that are not among those allowed (`ValueError`)."""
    known = sorted(allowed) if isinstance(allowed, Set) else list(allowed)
    for name in names:
        if not known:
            raise ValueError(f"{where}: '{name}' is not defined: the file has nothing of this kind")
        if name not in known:
            raise ValueError(f"{where}: '{name}' is not among {', '.join(known)}")
