"""Quenching in experiment files: one family of curves for every target."""

from abc import abstractmethod
from collections.abc import Callable
from typing import Annotated, ClassVar, Final, Literal

import numpy as np
from pydantic import Field, TypeAdapter, ValidationError

from nuhf.arrays import FloatArray
from nuhf.couplings.parameters import suggest
from nuhf.detector import quenching as curves
from nuhf.errors import InputError, within
from nuhf.experiments.parts import Finite, NonNegative, Part, Positive, frozen
from nuhf.inputs import Inputs
from nuhf.units import KEV

LIBRARY: Final = "quenching.toml"
"""File of published curves by name, below ``data``."""

_ROUNDING: Final = 1e-9


def checked(curve: curves.Quenching, where: str) -> Callable[[FloatArray], FloatArray]:
    """Return a curve that is refused where it gives more energy than the recoil has.

    Messages, those of the curve included, begin with ``where``: file and key of the curve.
    """

    def energy(recoil: FloatArray) -> FloatArray:
        with within(where):
            light = curve(recoil)
            factor = np.divide(light, recoil, out=np.zeros_like(recoil), where=recoil > 0)
            if np.any(factor > 1.0 + _ROUNDING):
                worst = int(np.argmax(factor))
                raise InputError(
                    f"the quenching factor is {factor.flat[worst]:.3g} for a recoil of "
                    f"{recoil.flat[worst] / KEV:.4g} keV; allowed: at most 1"
                )
        return light

    return energy


class Quenching(Part):
    """Electron-equivalent energy of a recoil."""

    source: str = Field("", description="Where the numbers come from")
    scale: Positive = Field(1.0, description="Factor on the electron-equivalent energy")

    @abstractmethod
    def shape(self, inputs: Inputs, protons: int | None) -> curves.Quenching:
        """Return the curve without its scale; ``protons`` is Z if the target has only one."""

    def curve(self, inputs: Inputs, protons: int | None = None) -> curves.Quenching:
        """Return the curve (`InputError` if a table is broken)."""
        shape = self.shape(inputs, protons)
        return shape if self.scale == 1.0 else curves.mixed((self.scale, shape))


class NoQuenching(Quenching):
    """The whole energy of the recoil is seen, as of electrons."""

    kind: Literal["none"] = Field(description="The whole energy of the recoil is seen")

    def shape(self, inputs: Inputs, protons: int | None) -> curves.Quenching:
        """Return E_ee = T."""
        return curves.Curve(np.array)


class Polynomial(Quenching):
    """A polynomial in the recoil energy without constant term."""

    kind: Literal["polynomial"] = Field(description="Polynomial in the recoil energy")
    coefficients: tuple[Finite, ...] = Field(
        min_length=1, description="`c_1`, `c_2`, ... of `E_ee = sum c_n T^n`, both in MeV"
    )
    recoil_range_kev: tuple[Finite, Positive] = Field(
        description="Recoils where the polynomial holds, low and high, keV; others are refused"
    )

    def shape(self, inputs: Inputs, protons: int | None) -> curves.Quenching:
        """Return the polynomial."""
        low, high = self.recoil_range_kev
        return curves.polynomial(self.coefficients, (low * KEV, high * KEV))


class Table(Quenching):
    """Quenching factors at recoil energies, straight lines in between."""

    kind: Literal["table"] = Field(description="Table of the quenching factor")
    table: str = Field(description="Table with recoil energies in keV and the factor")
    recoil_column: str = Field("t_kev_nr", description="Its column of recoil energies, keV")
    column: str = Field("qf", description="Its column with the factor, E_ee/T")
    error_column: str = Field("", description="Its column with one standard deviation")
    deviations: Finite = Field(
        0.0, description="Standard deviations of `error_column` added to the factor"
    )

    error_key: ClassVar[str] = "error_column"

    def shape(self, inputs: Inputs, protons: int | None) -> curves.Quenching:
        """Return the table, shifted by so many standard deviations."""
        wanted = [self.recoil_column, self.column]
        table = inputs.table(self.table, [*wanted, *filter(None, [self.error_column])])
        recoil, factor = table.increasing(self.recoil_column), table.non_negative(self.column)
        if self.deviations:
            factor = np.maximum(factor + self.deviations * table[self.error_column], 0.0)
        return curves.table(recoil * KEV, factor)


class Lindhard(Quenching):
    """Lindhard's formula with a strength k of the electronic stopping."""

    kind: Literal["lindhard"] = Field(description="Lindhard's formula")
    k: Annotated[float, Field(gt=0, lt=1)] = Field(
        description="Strength of the electronic stopping"
    )
    k_error: NonNegative = Field(0.0, description="Its standard deviation")
    deviations: Finite = Field(0.0, description="Standard deviations added to `k`")
    protons: Annotated[int, Field(gt=0, lt=120)] | None = Field(
        None, description="Z of the recoiling nucleus; without it that of the target"
    )

    error_key: ClassVar[str] = "k_error"

    def shape(self, inputs: Inputs, protons: int | None) -> curves.Quenching:
        """Return the formula."""
        charge = self.protons or protons
        if charge is None:
            raise InputError(
                "Lindhard's quenching needs Z, and the target has several elements: give protons, "
                "or a signal for every element (nuclides = ['Na'])"
            )
        return curves.lindhard(self.k + self.deviations * self.k_error, charge)


class Rational(Quenching):
    """A ratio of polynomials in the electron-equivalent energy, as in arXiv:2203.08892."""

    kind: Literal["rational"] = Field(description="Ratio of polynomials in E_ee")
    form: Literal["EA/B", "EB/A", "E/A"] = Field(description="How A and B make the factor")
    valid_kev_ee: tuple[Positive, Positive] = Field(description="E_ee where the fit holds, keV")
    a: tuple[Finite, ...] = Field(min_length=1, description="Coefficients of A, powers of keV")
    b: tuple[Finite, ...] = Field((), description="Coefficients of B; none for `E/A`")
    note: str = Field("", description="What has to be known of this fit")

    def shape(self, inputs: Inputs, protons: int | None) -> curves.Quenching:
        """Return the fit, solved for E_ee at given recoil."""
        return curves.rational(self.form, self.a, self.b, self.valid_kev_ee)


class Library(Quenching):
    """A published curve of ``data/quenching.toml`` by its name."""

    kind: Literal["library"] = Field(description="Published curve by its name")
    name: str = Field(description="Name of the curve in `data/quenching.toml`")
    deviations: Finite | None = Field(
        None, description="Standard deviations by which the curve is shifted, if it has an error"
    )

    def shape(self, inputs: Inputs, protons: int | None) -> curves.Quenching:
        """Return the curve of that name."""
        return library_curve(self.name, inputs, protons, self.deviations)


class Mix(Quenching):
    """A weighted sum of published curves; weights beyond 0 to 1 continue their difference."""

    kind: Literal["mix"] = Field(description="Weighted sum of published curves")
    weights: dict[str, Finite] = Field(
        min_length=1, description="Weight of each curve of `data/quenching.toml`, sum 1"
    )

    def shape(self, inputs: Inputs, protons: int | None) -> curves.Quenching:
        """Return the sum."""
        if abs(sum(self.weights.values()) - 1.0) > 1e-9:
            raise InputError(f"weights sum to {sum(self.weights.values()):g}, not to 1")
        parts = ((w, library_curve(n, inputs, protons)) for n, w in self.weights.items())
        return curves.mixed(*parts)


def library_section(name: str, inputs: Inputs, deviations: float | None = None) -> Quenching:
    """Return the section of a published curve (`InputError` as `library_curve`)."""
    known = inputs.toml(LIBRARY)
    if name not in known:
        raise InputError(f"unknown quenching '{name}'; {suggest(name, known)}")
    content = frozen(inputs.toml(LIBRARY, [name])[name])
    if deviations is not None:
        if not {"k_error", "error_column"} & set(content):
            raise InputError(f"quenching '{name}': no error is known to vary it by")
        content["deviations"] = deviations
    try:
        section: Quenching = TypeAdapter(Quenching).validate_python(content, strict=True)
    except ValidationError as error:
        raise InputError(f"{inputs.path(LIBRARY)}: [{name}]: {error.errors()[0]['msg']}") from None
    return section


def library_curve(
    name: str,
    inputs: Inputs | None = None,
    protons: int | None = None,
    deviations: float | None = None,
) -> curves.Quenching:
    """Return a published curve of ``data/quenching.toml`` by its name.

    `InputError` if there is none of that name, or it has no error to be shifted by.
    """
    inputs = inputs or Inputs()
    return library_section(name, inputs, deviations).curve(inputs, protons)
