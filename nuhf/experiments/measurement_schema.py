"""The file of a single measured number with a Gaussian error."""

from typing import ClassVar, Literal, Self

from pydantic import Field, model_validator

from nuhf.experiments.schema import BaseAnalysis, BaseExperiment, Positive, Section, Slug

__all__ = ["Analysis", "ExternalRadius", "Measurement"]


class WeakCharge(Section):
    """Weak charge of a nucleus from atomic parity violation."""

    kind: Literal["weak_charge"]
    source: str
    inputs: str


class ExternalRadius(Section):
    """A neutron radius measured elsewhere, as a further Gaussian datum."""

    source: str
    value_fm: Positive
    error_fm: Positive


class Analysis(BaseAnalysis):
    """One way to use the number; ``neutron_radius`` adds a measurement of the radius to it."""

    statistic: Literal["gaussian"]
    couplings: str = "none"
    neutron_radius: ExternalRadius | None = None


class Measurement(BaseExperiment):
    """A whole experiment file of kind ``measurement``."""

    strength: ClassVar[str] = "sin2thetaW"

    kind: Literal["measurement"]
    measurement: WeakCharge
    analyses: dict[Slug, Analysis] = Field(min_length=1)

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        self.check_nuisances({"weak_charge"}, set(), {})
        return self
