"""What the files of all kinds of experiments share, checked by pydantic: no unknown key."""

from collections.abc import Mapping, Sequence, Set
from itertools import pairwise
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from nuhf import parameters
from nuhf.errors import InputError

__all__ = [
    "BaseAnalysis",
    "BaseExperiment",
    "Edges",
    "Finite",
    "FreeNuisance",
    "Name",
    "NormNuisance",
    "Nuisance",
    "Positive",
    "Reference",
    "Section",
    "ShapeNuisance",
    "Slug",
    "increasing",
]

Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Finite = Annotated[float, Field(allow_inf_nan=False)]
Name = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$", max_length=60)]
Slug = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9.-]*$", max_length=60)]
Edges = Annotated[tuple[Finite, ...], Field(min_length=2, max_length=1001)]

ParameterValues = dict[str, Finite]


class Section(BaseModel):
    """A table of an experiment file."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Reference(Section):
    """A publication to cite."""

    key: str
    text: str
    doi: str = ""
    arxiv: str = ""


class NormNuisance(Section):
    """A relative uncertainty of the normalisation of some processes."""

    name: Name
    kind: Literal["norm"]
    pull: Literal["exponential", "linear"] = "exponential"
    size: Annotated[float, Field(gt=0, le=1)]
    processes: tuple[Name, ...] = Field(min_length=1)
    source: str = ""

    @model_validator(mode="after")
    def _positive(self) -> Self:
        if self.size == 1 and self.pull == "exponential":
            raise ValueError("size 1 has no exponential pull: give pull = 'linear'")
        return self


class FreeNuisance(Section):
    """A factor on some processes that only the data constrain, between 0 and ``high``."""

    name: Name
    kind: Literal["free"]
    high: Annotated[float, Field(gt=1, allow_inf_nan=False)] = 10.0
    processes: tuple[Name, ...] = Field(min_length=1)
    source: str = ""


class ShapeNuisance(Section):
    """A variation of the detector response, or of the templates of a background."""

    name: Name
    kind: Literal["quenching", "efficiency", "resolution", "template"]
    variation: Name
    source: str = ""


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

    title: str
    statistic: Literal["poisson", "gaussian"]
    backgrounds: tuple[Name, ...] = ()
    couplings: str
    parameters: tuple[str, ...] = Field(min_length=1)
    reference: ParameterValues = {}
    profiled: dict[str, dict[str, tuple[str, ...]]] = {}
    floating: tuple[str, ...] = ()
    limits: dict[str, tuple[Finite, Finite]] = {}
    nuisances: tuple[Nuisance, ...] = ()
    notes: tuple[str, ...] = ()

    @model_validator(mode="after")
    def _known_names(self) -> Self:
        names = [nuisance.name for nuisance in self.nuisances]
        if len(set(names)) != len(names):
            twice = next(name for name in names if names.count(name) > 1)
            raise ValueError(f"nuisance '{twice}' is given twice")
        kinds = {kind for group in self.profiled.values() for kind in group}
        if kinds - {"charges", "radii", "moments"}:
            raise ValueError("groups to profile are charges, radii, moments")
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

    ``strength`` names the parameter that scales its SM process. ``workspaces`` are the
    parameters whose pyhf files are kept under ``workspaces/`` (without it: none), ``patches``
    the one with a patch set there; ``nuhf workspace`` and ``nuhf patchset`` write any.
    ``contained_in`` names experiments that hold the same events.
    """

    strength: ClassVar[str] = "norm_cevns"

    format: Literal[1]
    name: Slug
    title: str
    notes: tuple[str, ...] = ()
    references: tuple[Reference, ...] = Field(min_length=1)
    workspaces: tuple[str, ...] = ()
    patches: str = ""
    contained_in: tuple[Slug, ...] = ()
    analyses: Mapping[Slug, BaseAnalysis]

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
            _among(f"analyses.{label}.backgrounds", analysis.backgrounds, backgrounds)
            for nuisance in analysis.nuisances:
                where = f"analyses.{label}, nuisance {nuisance.name}"
                if isinstance(nuisance, ShapeNuisance):
                    _among(where, (nuisance.variation,), set(variations.get(nuisance.kind, {})))
                else:
                    _among(where, nuisance.processes, signals | backgrounds)


def increasing(key: str, edges: Sequence[float]) -> None:
    """Refuse edges that do not increase (`ValueError`)."""
    if any(b <= a for a, b in pairwise(edges)):
        raise ValueError(f"{key} must increase")


def _among(where: str, names: Sequence[str], allowed: Set[str]) -> None:
    for name in names:
        if name not in allowed:
            known = ", ".join(sorted(allowed)) or "none here"
            raise ValueError(f"{where}: '{name}' is not among {known}")
