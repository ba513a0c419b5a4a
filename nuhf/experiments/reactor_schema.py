"""The file of a germanium detector at a reactor: spectra, or a single count above a threshold."""

from collections.abc import Mapping
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from nuhf.experiments import names
from nuhf.experiments.schema import (
    BaseAnalysis,
    BaseExperiment,
    Finite,
    FormFactor,
    Name,
    NonNegative,
    Nuclide,
    OneOf,
    Origin,
    Positive,
    Section,
    Slug,
    Target,
    among,
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

Curve = Annotated[Slug, OneOf(names.germanium_curves)]

_POWER = ("power_gw", "energy_per_fission_mev", "distance_m")


class Flux(Section):
    """Antineutrinos: a spectrum per fission and one of two normalisations.

    Either the fissions of a thermal power seen from a distance, or a quoted flux, which must
    count what the spectrum holds (captures on 238U or not).
    """

    source: Origin
    spectrum: Annotated[str, OneOf(names.spectra)] = Field(
        description="Antineutrino spectrum: a model of `nuhf.physics.reactor_models`"
    )
    fuel: dict[Name, NonNegative] = Field(
        default_factory=dict,
        description="Share of the fissions by isotope (`u235`, `u238`, `pu239`, `pu241`), sum 1",
    )
    captures_per_fission: NonNegative = Field(
        0.0, description="Neutron captures on 238U per fission, two antineutrinos each"
    )
    e_max_mev: Positive | None = Field(
        None,
        description=("Leave higher neutrino energies out, MeV; without it the end of the spectrum"),
    )
    power_gw: Positive | None = Field(None, description="Thermal power, GW")
    energy_per_fission_mev: Positive | None = Field(
        None, description="Thermal energy per fission, MeV"
    )
    distance_m: Positive | None = Field(None, description="From core to detector, m")
    flux_per_cm2_s: Positive | None = Field(
        None,
        description=(
            "Quoted flux of all antineutrinos of the spectrum, per cm2 and s; instead of the power"
        ),
    )

    @model_validator(mode="after")
    def _one_normalisation(self) -> Self:
        given = [key for key in _POWER if getattr(self, key) is not None]
        if self.flux_per_cm2_s is not None:
            if given:
                raise ValueError(f"flux_per_cm2_s is the normalisation: leave {given[0]} out")
        elif len(given) != len(_POWER):
            raise ValueError(f"give flux_per_cm2_s, or all of {', '.join(_POWER)}")
        return self


class TargetSection(Target):
    """Mass and isotopes, and the shells whose electrons scatter."""

    shells_table: str = Field(
        "", description="Table `edge_kev, electrons` of binding energies; needed for signal `eves`"
    )


class Quench(Section):
    """A weighted sum of quenching curves of `nuhf.detector.germanium`, weights summing to 1.

    Weights beyond 0 and 1 continue the difference of two curves. ``deviations`` shifts the
    curves by so many standard deviations, where an error is published.
    """

    weights: dict[Curve, Finite] = Field(
        min_length=1,
        description="Weight by quenching curve, sum 1",
    )
    deviations: Finite = Field(0.0, description="Shift of the curves, standard deviations")

    @model_validator(mode="after")
    def _normalised(self) -> Self:
        if abs(sum(self.weights.values()) - 1.0) > 1e-9:
            raise ValueError(f"weights sum to {sum(self.weights.values()):g}, not to 1")
        return self


class QuenchingVariation(Section):
    """Curves at plus and minus one standard deviation."""

    source: Origin
    up: Quench = Field(description="Curves at plus one standard deviation")
    down: Quench = Field(description="Curves at minus one standard deviation")


class Detector(Section):
    """Everything between a recoil and an energy that all regions share.

    The resolution is sigma^2 = noise^2 + pair_energy x fano x E_ee. Nuclear recoils count from
    where the quenching curve reaches ``e_ee_min_kev`` (or from its first point) to
    ``recoil_max_kev``. ``gaussian``: ``positive`` normalises the resolution on positive energies,
    ``whole`` on all.
    """

    source: Origin
    pair_energy_kev: Positive = Field(description="Energy per electron-hole pair, keV")
    fano: Positive = Field(description="Fano factor")
    e_ee_min_kev: Positive = Field(description="Ionisation energy from which recoils count, keV")
    recoil_max_kev: Positive | None = Field(
        None,
        description=(
            "Nuclear recoil at which the integral ends, keV; without it, the largest "
            "that the flux gives. One that cuts more than 0.1 % of the signal is "
            "refused"
        ),
    )
    gaussian: Literal["positive", "whole"] = Field(
        description="Normalisation of the resolution: at positive energies, or at all"
    )
    refine: Annotated[int, Field(ge=1, le=16)] = Field(
        1, description="How many times finer than usual the recoil grid is"
    )
    quenching_variations: dict[Name, QuenchingVariation] = Field(
        default_factory=dict, description="Variations that nuisances of kind `quenching` name"
    )


class RegionSection(Section):
    """One run: bins of ionisation energy with what was seen in them.

    The bins are columns of ``table``, or of ``bins`` in the file itself: ``e_lo_kev_ee``,
    ``e_hi_kev_ee`` and those that the other keys name. ``unit``: whether the data are events of
    the run or per day. Without ``acceptance`` every event counts; data that are corrected for it
    need none.
    """

    name: Name = Field(description="Name of the run")
    source: Origin
    live_days: Positive = Field(description="Live time, days")
    noise_kev: Positive = Field(description="Electronic noise, standard deviation in keV")
    signal: bool = Field(True, description="Whether neutrinos are seen: false for reactor off")
    table: str = Field(
        "",
        description=(
            "Table with a row per bin: `e_lo_kev_ee`, `e_hi_kev_ee` and the columns named below"
        ),
    )
    bins: dict[Name, tuple[Finite, ...]] = Field(
        default_factory=dict, description="The same columns in the file itself, instead of a table"
    )
    events: Name = Field(description="Column of the data")
    errors: Name | None = Field(
        None, description="Column of their errors; for statistic `gaussian`"
    )
    unit: Literal["events", "per_day"] = Field(
        "events", description="Events of the run, or events per day"
    )
    acceptance: Name | None = Field(
        None, description="Column of the accepted share of events, 0 to 1; without it all"
    )
    acceptance_error: Name | None = Field(
        None, description="Column of its relative error, for nuisances of kind `efficiency`"
    )

    @model_validator(mode="after")
    def _complete(self) -> Self:
        if bool(self.table) == bool(self.bins):
            raise ValueError("give either table or bins")
        if self.acceptance_error and not self.acceptance:
            raise ValueError("acceptance_error goes with acceptance")
        lengths = {name: len(column) for name, column in self.bins.items()}
        if len(set(lengths.values())) > 1 or 0 in lengths.values():
            given = ", ".join(f"{name} {length}" for name, length in lengths.items())
            raise ValueError(f"the columns of bins need one length, at least 1; given: {given}")
        return self


class BackgroundSection(Section):
    """What every background has."""

    name: Name = Field(description="Name of the background")
    title: str = Field(description="One line for people")
    region: Name = Field(description="The run that it is in")
    source: Origin


class Variation(Section):
    """Change of a number of a background's shape by one (prior) standard deviation."""

    parameter: str = Field(description="Key of this background that varies")
    size: Positive = Field(description="Its prior standard deviation, in the unit of that key")


class Exponential(BackgroundSection):
    """height exp(-decay E) in counts per keV and day, before acceptance; a decay of 0 is flat."""

    kind: Literal["exponential"] = Field(description="Exponential, or flat")
    height_per_kev_day: Positive = Field(
        description="Events per keV and day at zero energy, before acceptance"
    )
    decay_per_kev: NonNegative = Field(description="Decay constant, 1/keV; 0 is flat")
    variations: dict[Name, Variation] = Field(
        default_factory=dict, description="Variations that nuisances of kind `template` name"
    )

    @model_validator(mode="after")
    def _known(self) -> Self:
        _check(self.variations, ("decay_per_kev",))
        return self


class Peaks(BackgroundSection):
    """Gaussian lines of one width; ``area_per_day`` is that of a line of share 1."""

    kind: Literal["peaks"] = Field(description="Gaussian lines")
    area_per_day: Positive = Field(
        description="Events per day of a line of share 1, before acceptance"
    )
    energies_kev: tuple[Positive, ...] = Field(
        min_length=1, description="Energies of the lines, keV"
    )
    shares: tuple[Positive, ...] = Field(
        min_length=1, description="Area of each line relative to `area_per_day`"
    )
    width_kev: Positive = Field(description="Standard deviation of all lines, keV")
    variations: dict[Name, Variation] = Field(
        default_factory=dict, description="Variations that nuisances of kind `template` name"
    )

    @model_validator(mode="after")
    def _known(self) -> Self:
        if len(self.shares) != len(self.energies_kev):
            raise ValueError("as many shares as energies_kev are needed")
        _check(self.variations, ("energies_kev", "width_kev"))
        return self


class Bins(BackgroundSection):
    """Expected events of the run in every bin: a column of the region's table or bins."""

    kind: Literal["bins"] = Field(description="Events bin by bin")
    column: Name = Field(description="Column with the expected events of the run")

    @property
    def variations(self) -> dict[str, Variation]:
        """None: only the size is uncertain."""
        return {}


Background = Annotated[Exponential | Peaks | Bins, Field(discriminator="kind")]


def _check(variations: Mapping[str, Variation], allowed: tuple[str, ...]) -> None:
    for name, variation in variations.items():
        among(f"variations.{name}.parameter", (variation.parameter,), allowed)


class Analysis(BaseAnalysis):
    """One way to analyse the data: which flux, regions, signals and quenching."""

    flux: Slug = Field(description="Name of one of the fluxes")
    regions: tuple[Name, ...] = Field(min_length=1, description="Names of the runs in the fit")
    signals: tuple[Literal["cevns", "eves"], ...] = Field(
        min_length=1, description="Scattering on nuclei, on electrons, or both"
    )
    quenching: Curve = Field(description="Quenching curve of `nuhf.detector.germanium`")
    form_factor: FormFactor = Field(description="Form factor of the nuclei")
    formula: dict[Nuclide, Positive] = Field(
        default_factory=dict,
        description="Other isotopes than the target has, number of atoms by nuclide",
    )


class Reactor(BaseExperiment):
    """A whole experiment file of kind ``reactor``."""

    kind: Literal["reactor"] = Field(description="Germanium detector at a reactor")
    fluxes: dict[Slug, Flux] = Field(
        min_length=1, description="Antineutrino fluxes, of which an analysis names one"
    )
    target: TargetSection = Field(description="What is hit")
    detector: Detector = Field(description="From a recoil to an energy")
    regions: tuple[RegionSection, ...] = Field(
        min_length=1, description="Runs: bins and what was seen in them"
    )
    backgrounds: tuple[Background, ...] = Field((), description="Expected without neutrinos")
    analyses: dict[Slug, Analysis] = Field(
        min_length=1, description="Ways to analyse the data; `default` is used if none is named"
    )

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        regions = {region.name: region for region in self.regions}
        if len(regions) != len(self.regions):
            raise ValueError("regions: a name is given twice")
        known = [background.name for background in self.backgrounds]
        if len(set(known)) != len(known):
            raise ValueError("backgrounds: a name is given twice")
        for background in self.backgrounds:
            if background.region not in regions:
                raise ValueError(
                    f"backgrounds.{background.name}: region '{background.region}' is not among "
                    f"{', '.join(regions)}"
                )
        for label, analysis in self.analyses.items():
            self._check_analysis(f"analyses.{label}", analysis, regions)
        efficiency = {"acceptance": 0} if any(r.acceptance_error for r in self.regions) else {}
        templates = {name: 0 for b in self.backgrounds for name in b.variations}
        self.check_nuisances(
            {"cevns", "eves"},
            set(known),
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
        among(f"{where}.flux", (analysis.flux,), self.fluxes)
        among(f"{where}.regions", analysis.regions, regions)
        for name in analysis.regions:
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
