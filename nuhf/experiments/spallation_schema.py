"""The file of an experiment at a spallation source."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self

from pydantic import Discriminator, Field, Tag, model_validator

from nuhf.experiments.schema import (
    BaseAnalysis,
    BaseExperiment,
    Edges,
    Finite,
    FormFactor,
    Name,
    NonNegative,
    Origin,
    Positive,
    Section,
    Slug,
    Target,
    among,
    increasing,
)

__all__ = ["Analysis", "Background", "Logistic", "PoissonResolution", "Spallation"]


class SnsSource(Section):
    """Pion and muon decay at rest."""

    kind: Literal["sns"] = Field(description="Pions and muons that decay at rest")
    source: Origin
    pot: Positive = Field(description="Protons on target")
    neutrinos_per_flavour_per_pot: Positive = Field(
        description="Neutrinos of each flavour per proton"
    )
    baseline_m: Positive = Field(description="From target to detector, m")
    time_table: str = Field(
        description="Table of arrival times: `t_lo_us, t_hi_us, numu, nue, numubar`"
    )
    energy_table: str = Field(
        "",
        description=(
            "Table of spectra: `e_lo_mev, e_hi_mev, numu, nue, numubar`; for spectrum `tabulated`"
        ),
    )
    beam_energy_gwh: Positive | None = Field(
        None, description="Energy of the beam, GWh; for backgrounds of kind `per_gwh`"
    )


class QuenchingVariation(Section):
    """Coefficients at plus and minus one standard deviation."""

    up: tuple[Finite, ...] = Field(description="Coefficients at plus one standard deviation")
    down: tuple[Finite, ...] = Field(description="Coefficients at minus one standard deviation")


class Quenching(Section):
    """Polynomial light yield with its variations."""

    source: Origin
    coefficients: tuple[Finite, ...] = Field(
        min_length=1, description="`c_1`, `c_2`, ... of `E_ee = sum c_n T^n`, both in MeV"
    )
    recoil_range_kev: tuple[Finite, Positive] = Field(
        description=(
            "Recoils where the polynomial holds, low and high, keV; larger ones are refused"
        )
    )
    variations: dict[Name, QuenchingVariation] = Field(
        default_factory=dict, description="Variations that nuisances of kind `quenching` name"
    )


class ScaleVariation(Section):
    """Factors on the light at plus and minus one standard deviation."""

    up: Positive = Field(description="Factor at plus one standard deviation")
    down: Positive = Field(description="Factor at minus one standard deviation")


class QuenchingTable(Section):
    """Light yield E_ee = qf(T) T from a table of qf, with its variations."""

    source: Origin
    table: str = Field(description="Table of the quenching factor at recoils `t_kev_nr`")
    column: str = Field("qf", description="Its column with the factor")
    variations: dict[Name, ScaleVariation] = Field(
        default_factory=dict, description="Variations that nuisances of kind `quenching` name"
    )


class GammaResolution(Section):
    """Gamma smearing."""

    kind: Literal["gamma"] = Field("gamma", description="Gamma distribution")
    source: Origin
    a0_kev_ee: Positive = Field(description="Energy per photoelectron, keV_ee")
    b0_per_kev_ee: Positive = Field(description="Its shape is `1 + b0 E_ee`; 1/keV_ee")


class PoissonResolution(Section):
    """Whole photoelectrons; n of them stand at x = n + placement on the axis of photoelectrons."""

    kind: Literal["poisson"] = Field(description="Whole photoelectrons")
    source: Origin
    pe_per_kev_ee: Positive = Field(description="Photoelectrons per keV_ee")
    placement: Annotated[float, Field(ge=-0.5, le=0.5)] = Field(
        description="n photoelectrons stand at n plus this on the axis"
    )


def _kind(resolution: Any) -> str | None:
    """Which resolution is meant: ``gamma`` unless the file says otherwise."""
    if isinstance(resolution, dict):
        given = resolution.get("kind", "gamma")
    else:  # when written out again, it is one of the models
        given = getattr(resolution, "kind", None)
    return given if isinstance(given, str) else None


Resolution = Annotated[
    Annotated[GammaResolution, Tag("gamma")] | Annotated[PoissonResolution, Tag("poisson")],
    Discriminator(_kind),
]


class Logistic(Section):
    """Parameters of the logistic efficiency; ``steps``: half of it from, all of it from."""

    a: Finite = Field(
        description="Height, in `a / (1 + exp(-b (x - c))) + d` with x in photoelectrons"
    )
    b: Finite = Field(description="Slope, 1/photoelectron")
    c: Finite = Field(description="Middle, photoelectrons")
    d: Finite = Field(description="Offset")
    steps: tuple[Finite, Finite] | None = Field(
        None,
        description=(
            "Photoelectrons from which half of it holds, and all of it; without it all everywhere"
        ),
    )


class EfficiencyVariation(Section):
    """Efficiency at plus and minus one standard deviation."""

    up: Logistic = Field(description="Efficiency at plus one standard deviation")
    down: Logistic = Field(description="Efficiency at minus one standard deviation")


class Efficiency(Section):
    """Logistic efficiency with its variations."""

    source: Origin
    nominal: Logistic = Field(description="The efficiency")
    variations: dict[Name, EfficiencyVariation] = Field(
        default_factory=dict, description="Variations that nuisances of kind `efficiency` name"
    )


class TimeEfficiency(Section):
    """Exponential loss in time."""

    source: Origin
    start_us: Finite = Field(description="Time from which events are lost, us")
    rate_per_us: NonNegative = Field(description="Rate of the exponential loss, 1/us; 0 for none")


class Detector(Section):
    """Everything between a recoil and a count."""

    recoil_min_kev: Positive = Field(description="Where the integral over recoils begins, keV")
    quenching: Quenching = Field(description="Polynomial light yield")
    quenching_tables: dict[Name, QuenchingTable] = Field(
        default_factory=dict,
        description="Light yields from tables, of which an analysis may name one",
    )
    resolution: Resolution = Field(description="From light to photoelectrons")
    efficiency: Efficiency = Field(description="Efficiency in photoelectrons")
    time_efficiency: TimeEfficiency = Field(description="Efficiency in time")

    @model_validator(mode="after")
    def _steps(self) -> Self:
        cases = [self.efficiency.nominal]
        cases += [c for v in self.efficiency.variations.values() for c in (v.up, v.down)]
        if self.resolution.kind == "gamma" and any(c.steps is not None for c in cases):
            raise ValueError("efficiency: steps go with resolution of kind 'poisson'")
        return self


class Data(Section):
    """Count table and the region that background yields refer to."""

    counts_table: str = Field(
        description=(
            "Table of cells with any count: `pe_lo, pe_hi, t_lo_us, t_hi_us, n_c, "
            "n_ac`, with and without beam"
        )
    )
    pe_range: tuple[Finite, Finite] = Field(
        description="Photoelectrons that `events` of backgrounds refer to, low and high"
    )
    t_range_us: tuple[Finite, Finite] = Field(
        description="Times that they refer to, low and high, us"
    )

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

    name: Name = Field(description="Name of the background")
    title: str = Field(description="One line for people")
    kind: Literal["tables", "per_gwh", "control"] = Field(
        description="Shapes from tables, a rate per energy of the beam, or the control counts"
    )
    source: Origin
    events: Positive | None = Field(None, description="Events in `pe_range` and `t_range_us`")
    pe_table: str = Field(
        "", description="Table of the shape in photoelectrons: `pe_lo, pe_hi` and the column"
    )
    time_table: str = Field(
        "", description="Table of the shape in time: `t_lo_us, t_hi_us` and the column"
    )
    column: str = Field("", description="Column in both tables")
    rate_per_us: NonNegative = Field(
        0.0, description="Decay rate in time of kind `control`, 1/us; 0 is flat"
    )

    @model_validator(mode="after")
    def _complete(self) -> Self:
        if self.kind != "control" and not (self.pe_table and self.time_table and self.column):
            raise ValueError(f"kind '{self.kind}' needs pe_table, time_table and column")
        if self.kind == "per_gwh" and self.events is not None:
            raise ValueError("events: leave them out, the tables of kind 'per_gwh' are a rate")
        if self.kind != "per_gwh" and self.events is None:
            raise ValueError(f"events: required for kind '{self.kind}', not given")
        return self


class Analysis(BaseAnalysis):
    """One way to analyse the data.

    ``gaussian`` is a chi2 of coincidence minus control counts; ``residual_error`` names the
    counts whose square root is the error. Its backgrounds must not include the one subtracted.
    ``quenching`` names one of the tables, or is empty for the polynomial; with
    ``neutron_radius`` the templates are expanded in the neutron radii.
    """

    residual_error: Literal["", "coincidence", "coincidence+control"] = Field(
        "", description="Counts whose square root is the error; for statistic `gaussian`"
    )
    pe_edges: Edges = Field(description="Bin edges in photoelectrons")
    t_edges_us: Edges = Field(description="Bin edges in time, us")
    spectrum: Literal["analytic", "tabulated"] = Field(
        description="Neutrino spectra: the formulae of decay at rest, or `source.energy_table`"
    )
    form_factor: FormFactor = Field(description="Form factor of the nuclei")
    quenching: str = Field(
        "", description="Name of one of the quenching tables; empty for the polynomial"
    )
    neutron_radius: bool = Field(False, description="Whether the neutron radius is a parameter")

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        for key in ("pe_edges", "t_edges_us"):
            increasing(key, getattr(self, key))
        if (self.statistic == "gaussian") != bool(self.residual_error):
            raise ValueError("residual_error goes with statistic 'gaussian', and only with it")
        return self


class Spallation(BaseExperiment):
    """A whole experiment file of kind ``spallation``."""

    kind: Literal["spallation"] = Field(
        description="CEvNS at a spallation source, counts in photoelectrons and time"
    )
    source: SnsSource = Field(description="The neutrinos")
    target: Target = Field(description="What is hit")
    detector: Detector = Field(description="From a recoil to a count")
    data: Data = Field(description="What was seen")
    backgrounds: tuple[Background, ...] = Field(description="Expected without neutrinos")
    analyses: dict[Slug, Analysis] = Field(
        min_length=1, description="Ways to analyse the data; `default` is used if none is named"
    )

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
            if analysis.quenching:
                among(f"analyses.{label}.quenching", (analysis.quenching,), tables)
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
