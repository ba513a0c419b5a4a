"""The file of an experiment at a spallation source that released its templates."""

from typing import Literal, Self

from pydantic import Field, model_validator

from nuhf.experiments.schema import (
    BaseAnalysis,
    BaseExperiment,
    Edges,
    FormFactor,
    Name,
    Origin,
    Positive,
    Section,
    Slug,
    Target,
    among,
)
from nuhf.experiments.spallation_schema import Quenching, SnsSource

__all__ = ["Analysis", "Released", "TemplateVariation"]


class RootResolution(Section):
    """Gaussian with sigma = coefficient x sqrt(E), E and sigma in keV_ee."""

    source: Origin
    coefficient_sqrt_kev_ee: Positive = Field(
        description="Standard deviation at 1 keV_ee, growing as the root of the energy; keV_ee"
    )


class EfficiencyTable(Section):
    """Efficiency by reconstructed energy, constant beyond the last bin."""

    source: Origin
    table: str = Field(description="Table `e_lo_kev_ee, e_hi_kev_ee, efficiency`")


class Detector(Section):
    """Everything between a recoil and a reconstructed energy."""

    recoil_min_kev: Positive = Field(description="Where the integral over recoils begins, keV")
    quenching: Quenching = Field(description="Polynomial light yield")
    resolution: RootResolution = Field(description="Gaussian resolution")
    efficiency: EfficiencyTable = Field(description="Detection efficiency")


class TemplateVariation(Section):
    """Alternative templates of a process: columns at plus and minus one standard deviation.

    Without ``down`` only one direction was released: the other is its mirror image,
    2 x nominal - up.
    """

    process: Name = Field(description="The signal `cevns`, or a background")
    source: Origin
    table: str = Field(description="Table with a row per bin")
    up: str = Field(description="Column at plus one standard deviation")
    down: str = Field("", description="Column at minus one; without it the mirror image of `up`")


class Templates(Section):
    """Released counts and templates in bins of energy, F90 and time, the time index fastest."""

    source: Origin
    table: str = Field(description="Table with a row per bin and a column per process")
    energy_edges_kev_ee: Edges = Field(description="Bin edges in reconstructed energy, keV_ee")
    f90_edges: Edges = Field(description="Bin edges in F90")
    t_edges_us: Edges = Field(description="Bin edges in time, us")
    counts: str = Field(description="Column of the data")
    signal: str = Field(description="Column of the released signal template")


class Background(Section):
    """A background, by its column in the table of templates."""

    name: Name = Field(
        description="Name of the background, and its column in the table of templates"
    )
    title: str = Field(description="One line for people")
    source: Origin


class Analysis(BaseAnalysis):
    """One way to analyse the data."""

    statistic: Literal["poisson"] = Field(description="Poisson counts")
    form_factor: FormFactor = Field(description="Form factor of the nuclei")


class Released(BaseExperiment):
    """A whole experiment file of kind ``spallation-released``."""

    kind: Literal["spallation-released"] = Field(
        description="CEvNS at a spallation source that released templates"
    )
    source: SnsSource = Field(description="The neutrinos")
    target: Target = Field(description="What is hit")
    detector: Detector = Field(description="From a recoil to an energy")
    templates: Templates = Field(description="Released counts and templates")
    backgrounds: tuple[Background, ...] = Field(description="Expected without neutrinos")
    variations: dict[Name, TemplateVariation] = Field(
        default_factory=dict, description="Variations that nuisances of kind `template` name"
    )
    analyses: dict[Slug, Analysis] = Field(
        min_length=1, description="Ways to analyse the data; `default` is used if none is named"
    )

    @property
    def nuclides(self) -> frozenset[str]:
        """Nuclides of the detector."""
        return frozenset(self.target.formula)

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        names = {background.name for background in self.backgrounds}
        for label, variation in self.variations.items():
            among(f"variations.{label}.process", (variation.process,), names | {"cevns"})
        self.check_nuisances({"cevns"}, names, {"template": self.variations})
        return self
