"""The file of a single measured number with a Gaussian error."""

from typing import ClassVar, Literal, Self

from pydantic import Field, model_validator

from nuhf.experiments.schema import (
    BaseAnalysis,
    BaseExperiment,
    Origin,
    Positive,
    Section,
    Slug,
)

__all__ = ["Analysis", "ExternalRadius", "Measurement"]


class WeakCharge(Section):
    """Weak charge of a nucleus from atomic parity violation."""

    kind: Literal["weak_charge"] = Field(description="Weak charge of a nucleus")
    source: Origin
    inputs: str = Field(
        description=(
            "TOML file with the measured and calculated numbers, like `apv-cs/apv-cs.toml`"
        )
    )


class ExternalRadius(Section):
    """A neutron radius measured elsewhere, as a further Gaussian datum."""

    source: Origin
    value_fm: Positive = Field(description="Neutron radius, fm")
    error_fm: Positive = Field(description="Its standard error, fm")


class Analysis(BaseAnalysis):
    """One way to use the number; ``neutron_radius`` adds a measurement of the radius to it."""

    statistic: Literal["gaussian"] = Field(description="Gaussian error of the number")
    couplings: str = Field("none", description="Not used: there is no neutrino")
    neutron_radius: ExternalRadius | None = Field(
        None, description="A neutron radius measured elsewhere, as a second number"
    )


class Measurement(BaseExperiment):
    """A whole experiment file of kind ``measurement``."""

    strength: ClassVar[str] = "sin2thetaW"

    kind: Literal["measurement"] = Field(description="One measured number")
    measurement: WeakCharge = Field(description="What was measured")
    analyses: dict[Slug, Analysis] = Field(
        min_length=1, description="Ways to use the number; `default` is used if none is named"
    )

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        self.check_nuisances({"weak_charge"}, set(), {})
        return self
