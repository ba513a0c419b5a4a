"""The file of an experiment that sees solar neutrinos scatter on the electrons of its target."""

from typing import Annotated, ClassVar, Literal, Self

from pydantic import Field, model_validator

from nuhf.experiments.schema import (
    BaseAnalysis,
    BaseExperiment,
    Edges,
    Finite,
    Name,
    Positive,
    Section,
    Slug,
    increasing,
)

__all__ = ["Analysis", "Background", "Solar"]

ComponentName = Literal["pp", "be7", "pep", "n13", "o15", "f17", "b8", "hep"]
ProcessName = Annotated[str, Field(pattern=r"^eves_[a-z0-9]+$", max_length=40)]
Probability = Annotated[float, Field(ge=0, le=1)]


class SunSource(Section):
    """Fluxes and oscillation parameters, tables of ``data/solar``."""

    kind: Literal["sun"]
    source: str
    fluxes: str
    ordering: Literal["normal", "inverted"] = "normal"


class TargetSection(Section):
    """Element and exposure."""

    source: str
    element: Name
    shells_table: str
    molar_mass_g_per_mol: Positive
    exposure_tonne_year: Positive


class Resolution(Section):
    """Gaussian of width sum_k c_k E^p_k, E and width in keV."""

    source: str
    coefficients: tuple[Finite, ...] = Field(min_length=1)
    powers: tuple[Finite, ...] = Field(min_length=1)

    @model_validator(mode="after")
    def _pairs(self) -> Self:
        if len(self.coefficients) != len(self.powers):
            raise ValueError(
                f"{len(self.coefficients)} coefficients and {len(self.powers)} powers: as many of "
                "each"
            )
        return self


class EfficiencyTable(Section):
    """Points of an efficiency up to ``last_kev``; the next table goes on from there.

    The energies are in ``energy_column``: ``e_`` and the unit of the detector, if not given.
    """

    table: str
    column: str = "efficiency"
    energy_column: str = ""
    last_kev: Positive


class Efficiency(Section):
    """Efficiency by points, zero below the first one.

    Above the last point it is refused, unless ``constant_above`` says that it stays.
    """

    source: str
    tables: tuple[EfficiencyTable, ...] = Field(min_length=1)
    constant_above: bool = False

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        ends = [entry.last_kev for entry in self.tables]
        if len(ends) > 1:
            increasing("tables.last_kev", ends)
        return self


class Detector(Section):
    """From a recoil to a reconstructed energy.

    ``unit`` is what the energy is called, and part of the names of columns: ``e_lo_kev``.
    Recoils are integrated from ``recoil_min_kev`` to ``recoil_max_kev``, on a grid ``refine``
    times finer than usual; spectra of backgrounds up to the latter.
    """

    unit: Literal["kev", "kev_ee"]
    recoil_min_kev: Positive
    recoil_max_kev: Positive
    refine: Annotated[int, Field(ge=1, le=16)] = 1
    resolution: Resolution
    efficiency: Efficiency

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if not self.recoil_min_kev < self.recoil_max_kev:
            raise ValueError(
                f"recoil_min_kev = {self.recoil_min_kev:g} is not below recoil_max_kev = "
                f"{self.recoil_max_kev:g}"
            )
        return self


class Data(Section):
    """Counts by bin, or the expectation at the reference values instead of data (Asimov).

    ``range_kev`` is what the events of backgrounds refer to.
    """

    kind: Literal["counts", "asimov"]
    counts_table: str = ""
    range_kev: tuple[Finite, Finite]

    @model_validator(mode="after")
    def _complete(self) -> Self:
        if (self.kind == "counts") != bool(self.counts_table):
            raise ValueError("counts_table goes with kind 'counts', and only with it")
        increasing("range_kev", self.range_kev)
        return self


class Background(Section):
    """One background component.

    ``bins``: events by bin of a table, after efficiency and resolution; ``events``, if given,
    rescales the whole table. The other kinds are energies before the detector, which they pass
    here: ``shape`` is a density in a table, of ``events_per_tonne_year`` before efficiency or of
    ``events`` after it in the range of the data; ``flat`` is a constant; ``lines`` are at
    ``energies_kev`` times ``energy_factor``, ``width_factor`` times wider than the resolution.
    With ``contains_solar`` the SM signal of the analysis is taken off, so that it is not counted
    twice.
    """

    name: Name
    title: str
    kind: Literal["bins", "shape", "flat", "lines"]
    source: str
    table: str = ""
    column: str = ""
    events: Positive | None = None
    events_per_tonne_year: Positive | None = None
    energies_kev: tuple[Positive, ...] = ()
    weights: tuple[Positive, ...] = ()
    energy_factor: Positive = 1.0
    width_factor: Positive = 1.0
    contains_solar: bool = False

    @model_validator(mode="after")
    def _complete(self) -> Self:
        if (self.kind in ("bins", "shape")) != bool(self.table and self.column):
            raise ValueError(
                "table and column go with kinds 'bins' and 'shape', and only with them"
            )
        if (self.kind == "lines") != bool(self.energies_kev):
            raise ValueError("energies_kev goes with kind 'lines', and only with it")
        if len(self.energies_kev) != len(self.weights):
            raise ValueError(f"{len(self.energies_kev)} energies and {len(self.weights)} weights")
        given = (self.events is not None) + (self.events_per_tonne_year is not None)
        if self.events_per_tonne_year is not None and self.kind != "shape":
            raise ValueError("events_per_tonne_year goes with kind 'shape' only")
        if given != 1 and not (self.kind == "bins" and given == 0):
            raise ValueError(
                f"kind '{self.kind}' needs events (or, 'shape', events_per_tonne_year)"
            )
        return self


class Analysis(BaseAnalysis):
    """One way to analyse the data.

    ``gaussian`` is a chi2 of counts, their square roots the errors. ``signals`` are the solar
    components in each process. ``survival`` holds constant probabilities; components without
    one have the adiabatic one. ``electrons``: binding energies as steps; the relativistic
    random-phase approximation for the SM part, with recoils from the start of its table on; or
    free electrons. ``efficiency_energy`` says in which energy the efficiency holds. ``events``
    replaces the yields of backgrounds.
    """

    edges_kev: Edges
    signals: dict[ProcessName, tuple[ComponentName, ...]] = Field(min_length=1)
    survival: dict[ComponentName, Probability] = Field(default_factory=dict)
    sin2_theta23: Probability
    electrons: Literal["step", "rrpa", "free"]
    efficiency_energy: Literal["reconstructed", "true"] = "reconstructed"
    events: dict[Name, Positive] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        increasing("edges_kev", self.edges_kev)
        used = [name for names in self.signals.values() for name in names]
        if len(set(used)) != len(used):
            raise ValueError("signals: a component is in two processes")
        if not all(self.signals.values()):
            raise ValueError("signals: a process without components")
        if self.couplings != "tree":
            raise ValueError(f"couplings '{self.couplings}': electrons have 'tree' only")
        return self


class Solar(BaseExperiment):
    """A whole experiment file of kind ``solar``."""

    strength: ClassVar[str] = "norm_eves"

    kind: Literal["solar"]
    source: SunSource
    target: TargetSection
    detector: Detector
    data: Data
    backgrounds: tuple[Background, ...]
    analyses: dict[Slug, Analysis] = Field(min_length=1)

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        known = {background.name: background for background in self.backgrounds}
        for label, analysis in self.analyses.items():
            for name in analysis.events:
                if name not in known or known[name].events is None:
                    allowed = ", ".join(n for n, b in known.items() if b.events) or "none"
                    raise ValueError(f"analyses.{label}.events: '{name}' is not among {allowed}")
        signals = {name for analysis in self.analyses.values() for name in analysis.signals}
        self.check_nuisances(signals, set(known), {})
        return self
