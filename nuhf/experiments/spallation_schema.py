"""The file of an experiment at a spallation source."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self

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

__all__ = ["Analysis", "Background", "Logistic", "PoissonResolution", "Spallation"]


class SnsSource(Section):
    """Pion and muon decay at rest."""

    kind: Literal["sns"]
    source: str
    pot: Positive
    neutrinos_per_flavour_per_pot: Positive
    baseline_m: Positive
    time_table: str
    energy_table: str = ""
    beam_energy_gwh: Positive | None = None


class TargetSection(Section):
    """Mass and chemical formula, by nuclide."""

    source: str
    mass_kg: Positive
    formula: dict[str, Positive] = Field(min_length=1)


class QuenchingVariation(Section):
    """Coefficients at plus and minus one standard deviation."""

    up: tuple[Finite, ...]
    down: tuple[Finite, ...]


class Quenching(Section):
    """Polynomial light yield with its variations."""

    source: str
    coefficients: tuple[Finite, ...] = Field(min_length=1)
    recoil_range_kev: tuple[Finite, Positive]
    variations: dict[Name, QuenchingVariation] = Field(default_factory=dict)


class ScaleVariation(Section):
    """Factors on the light at plus and minus one standard deviation."""

    up: Positive
    down: Positive


class QuenchingTable(Section):
    """Light yield E_ee = qf(T) T from a table of qf, with its variations."""

    source: str
    table: str
    column: str = "qf"
    variations: dict[Name, ScaleVariation] = Field(default_factory=dict)


class GammaResolution(Section):
    """Gamma smearing."""

    kind: Literal["gamma"] = "gamma"
    source: str
    a0_kev_ee: Positive
    b0_per_kev_ee: Positive


class PoissonResolution(Section):
    """Whole photoelectrons; n of them stand at x = n + placement on the axis of photoelectrons."""

    kind: Literal["poisson"]
    source: str
    pe_per_kev_ee: Positive
    placement: Annotated[float, Field(ge=-0.5, le=0.5)]


class Logistic(Section):
    """Parameters of the logistic efficiency; ``steps``: half of it from, all of it from."""

    a: Finite
    b: Finite
    c: Finite
    d: Finite
    steps: tuple[Finite, Finite] | None = None


class EfficiencyVariation(Section):
    """Efficiency at plus and minus one standard deviation."""

    up: Logistic
    down: Logistic


class Efficiency(Section):
    """Logistic efficiency with its variations."""

    source: str
    nominal: Logistic
    variations: dict[Name, EfficiencyVariation] = Field(default_factory=dict)


class TimeEfficiency(Section):
    """Exponential loss in time."""

    source: str
    start_us: Finite
    rate_per_us: Annotated[float, Field(ge=0, allow_inf_nan=False)]


class Detector(Section):
    """Everything between a recoil and a count."""

    recoil_min_kev: Positive
    quenching: Quenching
    quenching_tables: dict[Name, QuenchingTable] = Field(default_factory=dict)
    resolution: Annotated[GammaResolution | PoissonResolution, Field(union_mode="left_to_right")]
    efficiency: Efficiency
    time_efficiency: TimeEfficiency

    @model_validator(mode="after")
    def _steps(self) -> Self:
        cases = [self.efficiency.nominal]
        cases += [c for v in self.efficiency.variations.values() for c in (v.up, v.down)]
        if self.resolution.kind == "gamma" and any(c.steps is not None for c in cases):
            raise ValueError("efficiency: steps go with resolution of kind 'poisson'")
        return self


class Data(Section):
    """Count table and the region that background yields refer to."""

    counts_table: str
    pe_range: tuple[Finite, Finite]
    t_range_us: tuple[Finite, Finite]

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        for key in ("pe_range", "t_range_us"):
            low, high = getattr(self, key)
            if not low < high:
                raise ValueError(f"{key}: {low:g} is not below {high:g}")
        return self


class Background(Section):
    """One background component: shapes from tables, or from the control counts.

    ``tables`` are shapes after the PE efficiency, before that in time; ``per_gwh`` is a spectrum
    per GWh of beam before the efficiency with a time shape of sum 1; ``control`` the spectrum of
    the control counts times an exponential in time.
    """

    name: Name
    title: str
    kind: Literal["tables", "per_gwh", "control"]
    source: str
    events: Positive | None = None
    pe_table: str = ""
    time_table: str = ""
    column: str = ""
    rate_per_us: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 0.0

    @model_validator(mode="after")
    def _complete(self) -> Self:
        if self.kind != "control" and not (self.pe_table and self.time_table and self.column):
            raise ValueError(f"kind '{self.kind}' needs pe_table, time_table and column")
        if (self.kind == "per_gwh") == (self.events is not None):
            raise ValueError("events go with the kinds 'tables' and 'control', and with these only")
        return self


class Analysis(BaseAnalysis):
    """One way to analyse the data.

    ``gaussian`` is a chi2 of coincidence minus control counts; ``residual_error`` names the
    counts whose square root is the error. Its backgrounds must not include the one subtracted.
    ``quenching`` names one of the tables, or is empty for the polynomial; with
    ``neutron_radius`` the templates are expanded in the neutron radii.
    """

    residual_error: Literal["", "coincidence", "coincidence+control"] = ""
    pe_edges: Edges
    t_edges_us: Edges
    spectrum: Literal["analytic", "tabulated"]
    form_factor: str
    quenching: str = ""
    neutron_radius: bool = False

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        for key in ("pe_edges", "t_edges_us"):
            increasing(key, getattr(self, key))
        if (self.statistic == "gaussian") != bool(self.residual_error):
            raise ValueError("residual_error goes with statistic 'gaussian', and only with it")
        return self


class Spallation(BaseExperiment):
    """A whole experiment file of kind ``spallation``."""

    kind: Literal["spallation"]
    source: SnsSource
    target: TargetSection
    detector: Detector
    data: Data
    backgrounds: tuple[Background, ...]
    analyses: dict[Slug, Analysis] = Field(min_length=1)

    @property
    def nuclides(self) -> frozenset[str]:
        """Nuclides of the detector."""
        return frozenset(self.target.formula)

    def variations(self, analysis: Analysis) -> Mapping[str, Mapping[str, Any]]:
        """Variations of the detector by kind, with those of the quenching of an analysis."""
        detector = self.detector
        quenching: Mapping[str, Any] = detector.quenching.variations
        if analysis.quenching:
            quenching = detector.quenching_tables[analysis.quenching].variations
        return {"quenching": quenching, "efficiency": detector.efficiency.variations}

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        tables = self.detector.quenching_tables
        for label, analysis in self.analyses.items():
            if analysis.quenching not in ("", *tables):
                allowed = ", ".join(tables) or "none here"
                raise ValueError(
                    f"analyses.{label}.quenching: '{analysis.quenching}' is not among {allowed}"
                )
            if analysis.spectrum == "tabulated" and not self.source.energy_table:
                raise ValueError(f"analyses.{label}: spectrum 'tabulated' needs an energy_table")
            one = self.model_copy(update={"analyses": {label: analysis}})
            one.check_nuisances(
                {"cevns"},
                {background.name for background in self.backgrounds},
                self.variations(analysis),
            )
        if self.source.beam_energy_gwh is None and any(
            background.kind == "per_gwh" for background in self.backgrounds
        ):
            raise ValueError("a background of kind 'per_gwh' needs source.beam_energy_gwh")
        return self
