"""The file of an experiment that sees solar neutrinos scatter on the electrons of its target."""

from typing import Annotated, ClassVar, Literal, Self

from pydantic import Field, model_validator

from nuhf.experiments import names
from nuhf.experiments.schema import (
    BaseAnalysis,
    BaseExperiment,
    Edges,
    Finite,
    Name,
    OneOf,
    Origin,
    Positive,
    Section,
    Slug,
    Words,
    among,
    increasing,
)

__all__ = ["Analysis", "Background", "Solar"]

ComponentName = Literal["pp", "be7", "pep", "n13", "o15", "f17", "b8", "hep"]
ProcessName = Annotated[
    str,
    Field(pattern=r"^eves_[a-z0-9]+$", max_length=40),
    Words("name (eves_, then a-z, 0-9; up to 40)"),
]
Probability = Annotated[float, Field(ge=0, le=1)]


class SunSource(Section):
    """Fluxes and oscillation parameters, tables of ``data/solar``."""

    kind: Literal["sun"] = Field(description="The Sun")
    source: Origin
    fluxes: Annotated[str, OneOf(names.solar_models)] = Field(
        description="Fluxes of a solar model: a table of `data/solar/fluxes_b16.toml`"
    )
    ordering: Literal["normal", "inverted"] = Field(
        "normal", description="Mass ordering, for the survival probability"
    )


class TargetSection(Section):
    """Element and exposure."""

    source: Origin
    element: Name = Field(description="Element, for people; electrons `rrpa` are for `xenon` only")
    shells_table: str = Field(description="Table `edge_kev, electrons` of binding energies")
    molar_mass_g_per_mol: Positive = Field(description="Molar mass, g/mol")
    exposure_tonne_year: Positive = Field(description="Exposure, tonne years")


class Resolution(Section):
    """Gaussian of width sum_k c_k E^p_k, E and width in keV."""

    source: Origin
    coefficients: tuple[Finite, ...] = Field(
        min_length=1, description="`c_k` of the width `sum c_k E^p_k`, E and width in keV"
    )
    powers: tuple[Finite, ...] = Field(min_length=1, description="`p_k`, one per coefficient")

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

    table: str = Field(description="Table of points")
    column: str = Field("efficiency", description="Its column with the efficiency, 0 to 1")
    energy_column: str = Field(
        "",
        description=(
            "Its column with the energy, keV; without it `e_kev` or `e_kev_ee`, by the "
            "unit of the detector"
        ),
    )
    last_kev: Positive = Field(description="Energy up to which this table is used, keV")


class Efficiency(Section):
    """Efficiency by points, zero below the first one.

    Above the last point it is refused, unless ``constant_above`` says that it stays.
    """

    source: Origin
    tables: tuple[EfficiencyTable, ...] = Field(
        min_length=1, description="Tables in the order of energy"
    )
    constant_above: bool = Field(
        False, description="Whether the last value holds at all higher energies"
    )

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

    unit: Literal["kev", "kev_ee"] = Field(
        description="Unit of reconstructed energies, also in names of columns"
    )
    recoil_min_kev: Positive = Field(description="Where the integral over recoils begins, keV")
    recoil_max_kev: Positive = Field(
        description="Where it ends, keV: above all that can be reconstructed in the bins"
    )
    refine: Annotated[int, Field(ge=1, le=16)] = Field(
        1, description="How many times finer than usual the recoil grid is"
    )
    resolution: Resolution = Field(description="Gaussian resolution")
    efficiency: Efficiency = Field(description="Detection efficiency")

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

    kind: Literal["counts", "asimov"] = Field(
        description="Measured counts, or the expectation in their place"
    )
    counts_table: str = Field(
        "", description="Table with a row per bin: low edge, high edge (`e_lo_kev`, ...), `counts`"
    )
    range_kev: tuple[Finite, Finite] = Field(
        description="Energies that `events` of backgrounds refer to, low and high, keV"
    )

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

    name: Name = Field(description="Name of the background")
    title: str = Field(description="One line for people")
    kind: Literal["bins", "shape", "flat", "lines"] = Field(
        description="Bins after the detector, or a density, a constant or lines before it"
    )
    source: Origin
    table: str = Field("", description="Table of kinds `bins` and `shape`")
    column: str = Field("", description="Its column with the events or the density")
    events: Positive | None = Field(
        None, description="Events in `range_kev`, after efficiency; for `bins` in the whole table"
    )
    events_per_tonne_year: Positive | None = Field(
        None, description="Events per tonne and year before efficiency; kind `shape`"
    )
    energies_kev: tuple[Positive, ...] = Field((), description="Energies of kind `lines`, keV")
    weights: tuple[Positive, ...] = Field((), description="Relative size of each line")
    energy_factor: Positive = Field(1.0, description="Factor on the energies of lines")
    width_factor: Positive = Field(1.0, description="Factor on the resolution of this background")
    contains_solar: bool = Field(
        False, description="Whether it contains the solar neutrinos, which are taken off"
    )

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

    edges_kev: Edges = Field(description="Bin edges in reconstructed energy, keV")
    signals: dict[ProcessName, tuple[ComponentName, ...]] = Field(
        min_length=1, description="Solar components in each process; a process is named `eves_...`"
    )
    survival: dict[ComponentName, Probability] = Field(
        default_factory=dict,
        description="Constant survival probability by component; adiabatic without one",
    )
    sin2_theta23: Probability = Field(description="Squared sine of the mixing angle theta_23")
    electrons: Literal["step", "rrpa", "free"] = Field(
        description=("Binding as steps, relativistic random-phase approximation, or free electrons")
    )
    efficiency_energy: Literal["reconstructed", "true"] = Field(
        "reconstructed", description="Energy that the efficiency is a function of"
    )
    events: dict[Name, Positive] = Field(
        default_factory=dict, description="Other numbers of events of backgrounds than theirs"
    )

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

    kind: Literal["solar"] = Field(description="Solar neutrinos on electrons")
    source: SunSource = Field(description="The Sun")
    target: TargetSection = Field(description="What is hit")
    detector: Detector = Field(description="From a recoil to an energy")
    data: Data = Field(description="What was seen")
    backgrounds: tuple[Background, ...] = Field(description="Expected without neutrinos")
    analyses: dict[Slug, Analysis] = Field(
        min_length=1, description="Ways to analyse the data; `default` is used if none is named"
    )

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        known = {background.name: background for background in self.backgrounds}
        for label, analysis in self.analyses.items():
            with_events = [name for name, b in known.items() if b.events is not None]
            among(f"analyses.{label}.events", analysis.events, with_events)
        signals = {name for analysis in self.analyses.values() for name in analysis.signals}
        self.check_nuisances(signals, set(known), {})
        return self
