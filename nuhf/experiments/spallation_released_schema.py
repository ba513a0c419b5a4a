"""The file of an experiment at a spallation source that released its templates."""

from typing import Literal, Self

from pydantic import Field, model_validator

from nuhf.experiments.schema import (
    BaseAnalysis,
    BaseExperiment,
    Edges,
    Name,
    Positive,
    Section,
    Slug,
)
from nuhf.experiments.spallation_schema import Quenching, SnsSource, TargetSection

__all__ = ["Analysis", "Released", "TemplateVariation"]


class RootResolution(Section):
    """Gaussian with sigma = coefficient x sqrt(E), E and sigma in keV_ee."""

    source: str
    coefficient_sqrt_kev_ee: Positive


class EfficiencyTable(Section):
    """Efficiency by reconstructed energy, constant beyond the last bin."""

    source: str
    table: str


class Detector(Section):
    """Everything between a recoil and a reconstructed energy."""

    recoil_min_kev: Positive
    quenching: Quenching
    resolution: RootResolution
    efficiency: EfficiencyTable


class TemplateVariation(Section):
    """Alternative templates of a process: columns at plus and minus one standard deviation.

    Without ``down`` only one direction was released: the other is its mirror image,
    2 x nominal - up.
    """

    process: Name
    source: str
    table: str
    up: str
    down: str = ""


class Templates(Section):
    """Released counts and templates in bins of energy, F90 and time, the time index fastest."""

    source: str
    table: str
    energy_edges_kev_ee: Edges
    f90_edges: Edges
    t_edges_us: Edges
    counts: str
    signal: str


class Background(Section):
    """A background, by its column in the table of templates."""

    name: Name
    title: str
    source: str


class Analysis(BaseAnalysis):
    """One way to analyse the data."""

    statistic: Literal["poisson"]
    form_factor: str


class Released(BaseExperiment):
    """A whole experiment file of kind ``spallation-released``."""

    kind: Literal["spallation-released"]
    source: SnsSource
    target: TargetSection
    detector: Detector
    templates: Templates
    backgrounds: tuple[Background, ...]
    variations: dict[Name, TemplateVariation] = Field(default_factory=dict)
    analyses: dict[Slug, Analysis] = Field(min_length=1)

    @property
    def nuclides(self) -> frozenset[str]:
        """Nuclides of the detector."""
        return frozenset(self.target.formula)

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        names = {background.name for background in self.backgrounds}
        for label, variation in self.variations.items():
            if variation.process not in names | {"cevns"}:
                allowed = ", ".join(sorted(names | {"cevns"}))
                raise ValueError(f"variations.{label}: process is not among {allowed}")
        self.check_nuisances({"cevns"}, names, {"template": self.variations})
        return self
