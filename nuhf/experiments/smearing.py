"""Smearing in experiment files: from the electron-equivalent energy to a recorded signal."""

from abc import abstractmethod
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from nuhf.detector import smearing as smear
from nuhf.errors import InputError
from nuhf.experiments.parts import Finite, Part, Positive


class SmearingPart(Part):
    """From the electron-equivalent energy to a recorded signal."""

    quanta: ClassVar[bool] = False
    """Whether the signal is a number of photoelectrons or electrons, not an energy."""

    source: str = Field("", description="Where the numbers come from")

    @abstractmethod
    def smearing(self, width_factor: float = 1.0) -> smear.Smearing:
        """Return the smearing; ``width_factor`` widens it, for lines of another resolution."""


class Gamma(SmearingPart):
    """Gamma distribution of photoelectrons."""

    kind: Literal["gamma"] = Field(description="Gamma distribution of photoelectrons")
    a0_kev_ee: Positive = Field(description="Energy per photoelectron, keV_ee")
    b0_per_kev_ee: Positive = Field(description="Its shape is `1 + b0 E_ee`; 1/keV_ee")

    quanta: ClassVar[bool] = True

    def smearing(self, width_factor: float = 1.0) -> smear.Smearing:
        """Return the distribution."""
        _no_factor(self.kind, width_factor)
        return smear.GammaSmearing(self.a0_kev_ee, self.b0_per_kev_ee)


class Poisson(SmearingPart):
    """Whole quanta; n of them stand at x = n + placement on the axis."""

    kind: Literal["poisson"] = Field(description="Whole photoelectrons or electrons")
    pe_per_kev_ee: Positive = Field(description="Mean number of quanta per keV_ee")
    placement: Annotated[float, Field(ge=-0.5, le=0.5)] = Field(
        0.0, description="n quanta stand at n plus this on the axis"
    )

    quanta: ClassVar[bool] = True

    def smearing(self, width_factor: float = 1.0) -> smear.Smearing:
        """Return the distribution."""
        _no_factor(self.kind, width_factor)
        return smear.PoissonLight(self.pe_per_kev_ee, self.placement)


def _no_factor(kind: str, width_factor: float) -> None:
    if width_factor != 1.0:
        raise InputError(f"width_factor is for Gaussian smearing, not for kind '{kind}'")


class GaussianPart(SmearingPart):
    """What Gaussian smearing of a reconstructed energy has."""

    positive: bool = Field(
        False, description="Whether the Gaussian is normalised on positive energies"
    )

    @abstractmethod
    def width(self) -> smear.Width:
        """Return the standard deviation as a function of the energy."""

    def smearing(self, width_factor: float = 1.0) -> smear.Smearing:
        """Return the Gaussian."""
        return smear.GaussianSmearing(self.width(), self.positive, width_factor)


class PowerGaussian(GaussianPart):
    """Gaussian of width sum_k c_k E^p_k, E and width in keV."""

    kind: Literal["gaussian"] = Field(description="Gaussian, its width a sum of powers")
    coefficients: tuple[Finite, ...] = Field(
        min_length=1, description="`c_k` of the width `sum c_k E^p_k`, E and width in keV"
    )
    powers: tuple[Finite, ...] = Field(
        min_length=1, description="`p_k`, one per coefficient; `[0]` for a constant width"
    )

    equally_long: ClassVar[tuple[str, ...]] = ("coefficients", "powers")

    def width(self) -> smear.Width:
        """Return the sum."""
        return smear.power_width(self.coefficients, self.powers)


class FanoGaussian(GaussianPart):
    """Gaussian with sigma^2 = noise^2 + pair_energy x fano x E_ee, of a semiconductor."""

    kind: Literal["fano"] = Field(description="Gaussian of a semiconductor")
    noise_kev: Positive = Field(description="Electronic noise, standard deviation in keV")
    pair_energy_kev: Positive = Field(description="Energy per electron-hole pair, keV")
    fano: Positive = Field(description="Fano factor")

    def width(self) -> smear.Width:
        """Return the root of the variance."""
        return smear.fano_width(self.noise_kev, self.pair_energy_kev, self.fano)
