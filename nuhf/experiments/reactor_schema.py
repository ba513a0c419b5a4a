"""The file of a germanium detector at a reactor: spectra, or a single count above a threshold."""

from collections.abc import Mapping
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from nuhf.experiments.schema import (
    BaseAnalysis,
    BaseExperiment,
    Finite,
    Name,
    Positive,
    Section,
    Slug,
)

__all__ = [
    "Analysis",
    "Background",
    "Bins",
    "Exponential",
    "Flux",
    "Peaks",
    "Quench",
    "Reactor",
    "RegionSection",
]

Share = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Number = Annotated[float, Field(ge=0, allow_inf_nan=False)]

_POWER = ("power_gw", "energy_per_fission_mev", "distance_m")


class Flux(Section):
    """Antineutrinos: a spectrum per fission and one of two normalisations.

    Either the fissions of a thermal power seen from a distance, or a quoted flux, which must
    count what the spectrum holds (captures on 238U or not).
    """

    source: str
    spectrum: str
    fuel: dict[Name, Share] = Field(default_factory=dict)
    captures_per_fission: Number = 0.0
    e_max_mev: Positive | None = None
    power_gw: Positive | None = None
    energy_per_fission_mev: Positive | None = None
    distance_m: Positive | None = None
    flux_per_cm2_s: Positive | None = None

    @model_validator(mode="after")
    def _one_normalisation(self) -> Self:
        given = [key for key in _POWER if getattr(self, key) is not None]
        if self.flux_per_cm2_s is not None:
            if given:
                raise ValueError(f"flux_per_cm2_s is the normalisation: leave {given[0]} out")
        elif len(given) != len(_POWER):
            raise ValueError(f"give flux_per_cm2_s, or all of {', '.join(_POWER)}")
        return self


class TargetSection(Section):
    """Mass and isotopes, and the shells whose electrons scatter."""

    source: str
    mass_kg: Positive
    formula: dict[str, Positive] = Field(min_length=1)
    shells_table: str = ""


class Quench(Section):
    """A weighted sum of quenching curves of `nuhf.detector.germanium`, weights summing to 1.

    Weights beyond 0 and 1 continue the difference of two curves. ``deviations`` shifts the
    curves by so many standard deviations, where an error is published.
    """

    weights: dict[Slug, Finite] = Field(min_length=1)
    deviations: Finite = 0.0

    @model_validator(mode="after")
    def _normalised(self) -> Self:
        if abs(sum(self.weights.values()) - 1.0) > 1e-9:
            raise ValueError(f"weights sum to {sum(self.weights.values()):g}, not to 1")
        return self


class QuenchingVariation(Section):
    """Curves at plus and minus one standard deviation."""

    source: str
    up: Quench
    down: Quench


class Detector(Section):
    """Everything between a recoil and an energy that all regions share.

    The resolution is sigma^2 = noise^2 + pair_energy x fano x E_ee. Nuclear recoils count from
    where the quenching curve reaches ``e_ee_min_kev`` (or from its first point) to
    ``recoil_max_kev``. ``gaussian``: ``positive`` normalises the resolution on positive energies,
    ``whole`` on all.
    """

    source: str
    pair_energy_kev: Positive
    fano: Positive
    e_ee_min_kev: Positive
    recoil_max_kev: Positive
    gaussian: Literal["positive", "whole"]
    refine: Annotated[int, Field(ge=1, le=16)] = 1
    quenching_variations: dict[Name, QuenchingVariation] = Field(default_factory=dict)


class RegionSection(Section):
    """One run: bins of ionisation energy with what was seen in them.

    The bins are columns of ``table``, or of ``bins`` in the file itself: ``e_lo_kev_ee``,
    ``e_hi_kev_ee`` and those that the other keys name. ``unit``: whether the data are events of
    the run or per day. Without ``acceptance`` every event counts; data that are corrected for it
    need none.
    """

    name: Name
    source: str
    live_days: Positive
    noise_kev: Positive
    signal: bool = True
    table: str = ""
    bins: dict[Name, tuple[Finite, ...]] = Field(default_factory=dict)
    events: Name
    errors: Name | None = None
    unit: Literal["events", "per_day"] = "events"
    acceptance: Name | None = None
    acceptance_error: Name | None = None

    @model_validator(mode="after")
    def _complete(self) -> Self:
        if bool(self.table) == bool(self.bins):
            raise ValueError("give either table or bins")
        if self.acceptance_error and not self.acceptance:
            raise ValueError("acceptance_error goes with acceptance")
        lengths = {len(column) for column in self.bins.values()}
        if len(lengths) > 1 or lengths == {0}:
            raise ValueError("the columns of bins need one length, at least 1")
        return self


class BackgroundSection(Section):
    """What every background has."""

    name: Name
    title: str
    region: Name
    source: str


class Variation(Section):
    """Change of a number of a background's shape by one (prior) standard deviation."""

    parameter: str
    size: Positive


class Exponential(BackgroundSection):
    """height exp(-decay E) in counts per keV and day, before acceptance; a decay of 0 is flat."""

    kind: Literal["exponential"]
    height_per_kev_day: Positive
    decay_per_kev: Number
    variations: dict[Name, Variation] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _known(self) -> Self:
        _check(self.variations, ("decay_per_kev",))
        return self


class Peaks(BackgroundSection):
    """Gaussian lines of one width; ``area_per_day`` is that of a line of share 1."""

    kind: Literal["peaks"]
    area_per_day: Positive
    energies_kev: tuple[Positive, ...] = Field(min_length=1)
    shares: tuple[Positive, ...] = Field(min_length=1)
    width_kev: Positive
    variations: dict[Name, Variation] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _known(self) -> Self:
        if len(self.shares) != len(self.energies_kev):
            raise ValueError("as many shares as energies_kev are needed")
        _check(self.variations, ("energies_kev", "width_kev"))
        return self


class Bins(BackgroundSection):
    """Expected events of the run in every bin: a column of the region's table or bins."""

    kind: Literal["bins"]
    column: Name

    @property
    def variations(self) -> dict[str, Variation]:
        """None: only the size is uncertain."""
        return {}


Background = Annotated[Exponential | Peaks | Bins, Field(discriminator="kind")]


def _check(variations: Mapping[str, Variation], allowed: tuple[str, ...]) -> None:
    for name, variation in variations.items():
        if variation.parameter not in allowed:
            raise ValueError(
                f"variations.{name}.parameter: '{variation.parameter}' is not among "
                f"{', '.join(allowed)}"
            )


class Analysis(BaseAnalysis):
    """One way to analyse the data: which flux, regions, signals and quenching."""

    flux: Slug
    regions: tuple[Name, ...] = Field(min_length=1)
    signals: tuple[Literal["cevns", "eves"], ...] = Field(min_length=1)
    quenching: Slug
    form_factor: str
    formula: dict[str, Positive] = Field(default_factory=dict)


class Reactor(BaseExperiment):
    """A whole experiment file of kind ``reactor``."""

    kind: Literal["reactor"]
    fluxes: dict[Slug, Flux] = Field(min_length=1)
    target: TargetSection
    detector: Detector
    regions: tuple[RegionSection, ...] = Field(min_length=1)
    backgrounds: tuple[Background, ...] = ()
    analyses: dict[Slug, Analysis] = Field(min_length=1)

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        regions = {region.name: region for region in self.regions}
        if len(regions) != len(self.regions):
            raise ValueError("regions: a name is given twice")
        names = [background.name for background in self.backgrounds]
        if len(set(names)) != len(names):
            raise ValueError("backgrounds: a name is given twice")
        for background in self.backgrounds:
            if background.region not in regions:
                raise ValueError(
                    f"backgrounds, {background.name}: region '{background.region}' is not among "
                    f"{', '.join(regions)}"
                )
        for label, analysis in self.analyses.items():
            self._check_analysis(f"analyses.{label}", analysis, regions)
        efficiency = {"acceptance": 0} if any(r.acceptance_error for r in self.regions) else {}
        templates = {name: 0 for b in self.backgrounds for name in b.variations}
        self.check_nuisances(
            {"cevns", "eves"},
            set(names),
            {
                "quenching": self.detector.quenching_variations,
                "efficiency": efficiency,
                "template": templates,
            },
        )
        return self

    def _check_analysis(
        self, where: str, analysis: Analysis, regions: Mapping[str, RegionSection]
    ) -> None:
        if analysis.flux not in self.fluxes:
            known = ", ".join(self.fluxes)
            raise ValueError(f"{where}.flux: '{analysis.flux}' is not among {known}")
        for name in analysis.regions:
            if name not in regions:
                raise ValueError(f"{where}.regions: '{name}' is not among {', '.join(regions)}")
            if (analysis.statistic == "gaussian") != (regions[name].errors is not None):
                raise ValueError(
                    f"{where}: region '{name}' needs errors for statistic 'gaussian', and only "
                    "for it"
                )
            if analysis.statistic == "poisson" and regions[name].unit != "events":
                raise ValueError(f"{where}: statistic 'poisson' needs events of a run, not per day")
        if not any(regions[name].signal for name in analysis.regions):
            raise ValueError(f"{where}.regions: none of them has signal = true")
        if "eves" in analysis.signals and not self.target.shells_table:
            raise ValueError(f"{where}.signals: 'eves' needs target.shells_table")
