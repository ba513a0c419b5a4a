"""A whole experiment file: its sections together, analyses and nuisances."""

from collections.abc import Iterator, Mapping
from functools import partial
from itertools import combinations
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import Field, model_validator

from nuhf.couplings import parameters
from nuhf.errors import InputError
from nuhf.experiments.backgrounds import Background
from nuhf.experiments.data import RegionSection
from nuhf.experiments.parts import Finite, Name, Part, Positive, Section, Slug, among
from nuhf.experiments.responses import Response
from nuhf.experiments.signals import PhysicsSection, Scattering, Signal
from nuhf.experiments.sources import Source
from nuhf.experiments.target import Target

ParameterValues = dict[str, Finite]


# ---------------------------------------------------------------------- nuisances


class Nuisance(Part):
    """An uncertainty; equal names are one parameter, also across experiments."""

    name: Name = Field("", description="Its name: that of the table", validate_default=False)
    source: str = Field("", description="Where the numbers come from")

    @property
    def scaled(self) -> tuple[str, ...]:
        """Processes that it scales; empty if it varies parts of the file."""
        return getattr(self, "processes", ())

    @property
    def words(self) -> tuple[str, str]:
        """Its size of one standard deviation, and what it acts on."""
        return "", ", ".join(self.scaled)


class NormNuisance(Nuisance):
    """A relative uncertainty of the normalisation of some processes."""

    kind: Literal["norm"] = Field(description="Relative uncertainty of the number of events")
    pull: Literal["exponential", "linear"] = Field(
        "exponential", description="Factor `(1 + size)^x` up, `(1 - size)^-x` down; or `1 + size x`"
    )
    size: Annotated[float, Field(gt=0, le=1)] = Field(
        description="One standard deviation as a fraction: 0.1 is 10 %"
    )
    processes: tuple[Name, ...] = Field(
        min_length=1,
        description="Signals and backgrounds that it scales; for the flux of one reaction of the "
        "Sun, a signal with these `components`",
    )

    @model_validator(mode="after")
    def _positive(self) -> Self:
        if self.size == 1 and self.pull == "exponential":
            raise ValueError("size 1 has no exponential pull: give pull = 'linear'")
        return self

    @property
    def words(self) -> tuple[str, str]:
        """Its size in per cent, and the processes."""
        return f"{100 * self.size:g} %", ", ".join(self.processes)


class FreeNuisance(Nuisance):
    """A factor on some backgrounds that only the data constrain, between 0 and ``high``."""

    kind: Literal["free"] = Field(description="Factor that only the data constrain")
    high: Annotated[float, Field(gt=1, allow_inf_nan=False)] = Field(
        10.0, description="Upper end of the factor, which starts at 1"
    )
    processes: tuple[Name, ...] = Field(min_length=1, description="Backgrounds that it scales")

    @property
    def words(self) -> tuple[str, str]:
        """Its range, and the processes."""
        return f"free factor, 0 to {self.high:g}", ", ".join(self.processes)


class VariationNuisance(Nuisance):
    """Other values of any keys of the file at plus and minus one standard deviation.

    ``up`` and ``down`` are laid over the file like the changes of an analysis; all templates are
    built again with them. Without ``down`` it is the mirror image, 2 x nominal - up.
    """

    kind: Literal["variation"] = Field(description="Other values of keys of the file")
    up: dict[str, Any] = Field(min_length=1, description="Changes at plus one standard deviation")
    down: dict[str, Any] = Field(
        {},
        description="Changes at minus one standard deviation; without them the mirror image of "
        "`up`",
    )

    @property
    def words(self) -> tuple[str, str]:
        """The keys that it changes."""
        return "variation", ", ".join(_leaves(self.up))


class ShiftNuisance(Nuisance):
    """A number of the file that is shifted by plus and minus ``size``, or a list of numbers.

    For numbers with a wide prior, which the data determine: the templates hold the Taylor
    expansion to second order around the value of the file.
    """

    kind: Literal["shift"] = Field(description="Number of the file that is shifted")
    key: str = Field(description="The key with its tables: `backgrounds.NAME.decay_per_kev`")
    size: Positive = Field(description="Prior standard deviation, in the unit of the key")

    @property
    def words(self) -> tuple[str, str]:
        """The size, and the key."""
        return f"shift by {self.size:g}", self.key


class BinNuisance(Nuisance):
    """Uncertainties of single bins, one parameter each: statistical errors of templates.

    With ``covariance`` the bins are correlated: the parameters are the principal components.
    """

    kind: Literal["bins"] = Field(description="Uncertainties of single bins")
    process: Name = Field(description="Signal or background")
    table: str = Field(description="Table with a row per bin of the region, or the covariance")
    column: str = Field("", description="Its column with the relative errors")
    covariance: tuple[str, ...] = Field(
        (),
        description="Columns of the relative covariance matrix, one per bin, instead of `column`",
    )

    @property
    def words(self) -> tuple[str, str]:
        """One parameter per bin of the process."""
        return "single bins" if self.column else "covariance of bins", self.process

    either: ClassVar[tuple[str, ...]] = ("column", "covariance")


class ErrorNuisance(Nuisance):
    """One of the errors of a measured number, as a shift of its prediction.

    What is left of them is the error of the datum; the two add in quadrature to what it was.
    """

    kind: Literal["error"] = Field(description="One of the errors of a measured number")
    process: Name = Field(description="Signal that holds the number")
    part: str = Field(
        description="Which one: `ratio`, `polarizability` or `amplitude` of a weak charge"
    )

    @property
    def words(self) -> tuple[str, str]:
        """Which error, and of what."""
        return f"error of the {self.part}", self.process


def _leaves(changes: Mapping[str, Any], path: str = "") -> Iterator[str]:
    """Yield the keys that a table of changes holds, with their tables."""
    for key, value in changes.items():
        where = f"{path}.{key}" if path else key
        if isinstance(value, Mapping):
            yield from _leaves(value, where)
        else:
            yield where


# ----------------------------------------------------------------------- analyses


class Correlation(Section):
    """Nuisances of kind norm, variation, shift or error that are correlated in part."""

    names: tuple[Name, ...] = Field(min_length=2, description="Nuisances of the analysis")
    matrix: tuple[tuple[Finite, ...], ...] = Field(description="Their correlation matrix, by row")

    @model_validator(mode="after")
    def _a_matrix(self) -> Self:
        rows, n = self.matrix, len(self.names)
        square = {len(rows), *map(len, rows)} == {n} and rows == tuple(zip(*rows, strict=True))
        if not square or any(rows[i][i] != 1.0 for i in range(n)):
            raise ValueError(f"matrix: {n} x {n}, symmetric, with 1 on the diagonal")
        return self


class Analysis(Section):
    """One way to analyse the data.

    Signals, regions, backgrounds and nuisances are names of the file's; without a list all of
    them. ``changes`` are laid over the rest of the file. ``reference`` are values in base units
    of couplings that are neither free nor set, and the starting values of free ones.
    ``profiled`` names, by parameter of interest and group (``charges``, ``radii``,
    ``moments``), what profiling that group leaves free; without an entry it is every
    other parameter of the group. ``floating`` parameters are free in every fit, unless they are
    set to a value; ``limits`` narrows the range of parameters that have one.
    """

    name: Slug = Field("", description="Its name: that of the table", validate_default=False)
    title: str = Field(description="One line for people")
    extends: str = Field("", description="Another analysis, of which this one has all but its own")
    statistic: Literal["poisson", "gaussian"] = Field(
        "poisson", description="Poisson counts, or Gaussian errors"
    )
    pseudo_counts: Annotated[float, Field(ge=1e3, le=1e8)] | None = Field(
        None,
        description="Counts per bin of the encoding of statistic `gaussian`, without a correction "
        "of its slope; by default as many as pyhf's default optimizer bears, with one",
    )
    signals: tuple[Name, ...] | None = Field(None, description="Signals in the fit")
    regions: tuple[Name, ...] | None = Field(None, description="Regions in the fit")
    backgrounds: tuple[Name, ...] | None = Field(None, description="Backgrounds in the fit")
    nuisances: tuple[Name, ...] | None = Field(None, description="Nuisance parameters in the fit")
    pulls: Literal["", "exponential", "linear"] = Field(
        "", description="Pull of all nuisances of kind `norm`, whatever they say themselves"
    )
    changes: dict[str, Any] = Field({}, description="Other values of keys of the file, by table")
    correlations: tuple[Correlation, ...] = Field((), description="Correlations of nuisances")
    parameters: tuple[str, ...] = Field(
        min_length=1,
        description="What `nuhf limit` gives when no parameter is named (`nuhf list parameters`)",
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
    notes: tuple[str, ...] = Field(
        (), description="Caveats that every result of this analysis prints"
    )

    @model_validator(mode="after")
    def _known_names(self) -> Self:
        for name, group in self.profiled.items():
            for kind in sorted(set(group) - {"charges", "radii", "moments"}):
                where = f"profiled.{name}.{kind}"
                raise ValueError(f"{where}: groups to profile are charges, radii, moments")
        groups = [n for group in self.profiled.values() for many in group.values() for n in many]
        known = (*self.parameters, *self.reference, *self.profiled, *groups, *self.floating)
        _check_parameters((*known, *self.limits))
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


def _check_counted_once(file: "ExperimentFile") -> None:
    """Refuse two signals with the same events in a region of an analysis."""

    def common(one: tuple[str, ...], other: tuple[str, ...]) -> bool:
        return not one or not other or not set(one).isdisjoint(other)

    def together(pair: set[str]) -> bool:
        return all(
            any(part.signals is None or pair <= set(part.signals) for part in parts.values())
            for parts in (file.regions, file.analyses)
        )

    scattering = [(n, s) for n, s in file.signals.items() if isinstance(s, Scattering)]
    for (name, one), (second, other) in combinations(scattering, 2):
        if (
            (one.interaction_name, one.source) == (other.interaction_name, other.source)
            and common(one.components, other.components)
            and common(one.nuclides, other.nuclides)
            and together({name, second})
        ):
            raise ValueError(
                f"signals.{second}: its components, on its nuclides, are in signals.{name} as well"
            )


def _check_parameters(names: tuple[str, ...]) -> None:
    for name in names:
        try:
            parameters.get(name)
        except InputError as error:
            raise ValueError(str(error)) from None


class ExperimentFile(Section):
    """A whole experiment file.

    ``workspaces`` are the parameters whose pyhf files are kept under ``workspaces/`` (without it:
    none), ``patches`` the one with a patch set there; ``nuhf workspace`` and ``nuhf patchset``
    write any.
    """

    format: Literal[2] = Field(description="Version of this format")
    name: Slug = Field(description="Short name, in results and channel names")
    title: str = Field(description="One line for people")
    extends: str = Field(
        "", description="Another experiment, by name or file, of which this one has all but its own"
    )
    notes: tuple[str, ...] = Field((), description="Caveats that every result prints")
    references: tuple[str, ...] = Field(
        (), description="Publications to cite: keys of `data/bibliography.bib`, or of a "
        "`bibliography.bib` beside the file",
    )  # fmt: skip
    workspaces: tuple[str, ...] = Field(
        (), description="Parameters whose pyhf files are kept under `workspaces/`"
    )
    patches: str = Field("", description="The parameter with a patch set under `workspaces/`")
    contained_in: tuple[Slug, ...] = Field(
        (),
        description="Experiments that hold the same events: a combination with them has a note "
        "that they count twice",
    )
    may_share: tuple[Slug, ...] = Field(
        (),
        description="Experiments that may hold some of the same events, which no publication "
        "excludes: a combination with them has a note",
    )
    separates_electrons: bool = Field(
        False,
        description="Whether the detector tells electrons from nuclei, so that a signal may be one "
        "of the two without a note",
    )
    sources: dict[Name, Source] = Field({}, description="The neutrinos")
    target: Target | None = Field(None, description="What is hit")
    responses: dict[Name, Response] = Field({}, description="From a recoil to the bins")
    physics: PhysicsSection = Field(
        default_factory=PhysicsSection, description="What cross sections are computed with"
    )
    signals: dict[Name, Signal] = Field(min_length=1, description="What scatters on what")
    regions: dict[Name, RegionSection] = Field(min_length=1, description="Bins and data")
    backgrounds: dict[Name, Background] = Field({}, description="Expected without neutrinos")
    nuisances: dict[Name, Nuisance] = Field({}, description="Uncertainties")
    analyses: dict[Slug, Analysis] = Field(
        min_length=1, description="Ways to analyse the data; `default` is used if none is named"
    )

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        _check_parameters((*self.workspaces, *([self.patches] if self.patches else ())))
        for key in ("signals", "regions", "backgrounds", "nuisances", "analyses"):
            for name, section in getattr(self, key).items():
                if section.name not in ("", name):
                    raise ValueError(f"{key}.{name}.name = '{section.name}': leave it out, the "
                                     "name is that of the table")  # fmt: skip
        for name, signal in self.signals.items():
            if isinstance(signal, Scattering):
                among(f"signals.{name}.source", (signal.source,), self.sources)
                among(f"signals.{name}.response", (signal.response,), self.responses)
                if self.target is None:
                    raise ValueError(f"signals.{name}: scattering needs [target]")
        for name, region in self.regions.items():
            among(f"regions.{name}.signals", region.signals or (), self.signals)
        for name, background in self.backgrounds.items():
            if name in self.signals:
                raise ValueError(f"backgrounds.{name}: a signal has this name")
            among(f"backgrounds.{name}.region", filter(None, (background.region,)), self.regions)
            named = getattr(background, "response", None)
            among(f"backgrounds.{name}.response", filter(None, (named,)), self.responses)
        processes = [*self.signals, *self.backgrounds]
        for name, nuisance in self.nuisances.items():
            among(f"nuisances.{name}.processes", nuisance.scaled, processes)
            signals = [n for n in nuisance.scaled if n in self.signals]
            if isinstance(nuisance, FreeNuisance) and signals:
                raise ValueError(
                    f"nuisances.{name}.processes: '{signals[0]}' is a signal; kind 'free' is for "
                    f"backgrounds, {self.strength} scales the signal"
                )
            if isinstance(nuisance, BinNuisance | ErrorNuisance):
                among(f"nuisances.{name}.process", (nuisance.process,), processes)
        for name, analysis in self.analyses.items():
            for key in ("signals", "regions", "backgrounds", "nuisances"):
                chosen = getattr(analysis, key) or ()
                among(f"analyses.{name}.{key}", chosen, getattr(self, key))
        _check_counted_once(self)
        return self

    def channel(self, region: str) -> str:
        """Return the name of the channel of a region."""
        stem = self.name if region == "main" else f"{self.name}_{region}"
        return stem.replace("-", "_").replace(".", "_")

    @property
    def strength(self) -> str:
        """The parameter that scales the SM signal of the file: that of its first signal."""
        kinds = [
            signal.interaction_name
            for signal in self.signals.values()
            if isinstance(signal, Scattering)
        ]
        return f"norm_{kinds[0]}" if kinds else "sin2thetaW"

    @property
    def idle_backgrounds(self) -> tuple[str, ...]:
        """Backgrounds that no analysis names."""
        named = [analysis.backgrounds for analysis in self.analyses.values()]
        if any(names is None for names in named):
            return ()
        used = {name for names in named for name in names or ()}
        return tuple(name for name in self.backgrounds if name not in used)

    def chosen(self, analysis: Analysis, key: str) -> tuple[str, ...]:
        """Return the names of a section that an analysis uses: all, if it has no list."""
        names = getattr(analysis, key)
        return tuple(getattr(self, key) if names is None else names)

    def chosen_nuisances(self, analysis: Analysis) -> Iterator[Nuisance]:
        """Yield the nuisances of an analysis, those left out that scale none of its processes."""
        chosen = partial(self.chosen, analysis)
        processes = {*chosen("signals"), *chosen("backgrounds")}
        for name in chosen("nuisances"):
            nuisance = self.nuisances[name]
            if isinstance(nuisance, NormNuisance) and analysis.pulls:
                nuisance = nuisance.model_copy(update={"pull": analysis.pulls})
            if not nuisance.scaled or processes & set(nuisance.scaled):
                yield nuisance
