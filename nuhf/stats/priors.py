"""Prior densities of couplings, as functions that numpy and jax both can evaluate.

`Flat` is flat in the fit parameter: in the coupling itself where that interferes, and in its
square for magnetic moments and transition couplings, of which only the square is measured. All
others are densities in the base unit (of the magnitude |x|, where only that is measured) and
carry the Jacobian to the fit parameter. Every density is normalised on the range of the coupling.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Final, Protocol, runtime_checkable

import numpy as np
from scipy.special import ndtr, ndtri

from nuhf import tables
from nuhf.arrays import FloatArray
from nuhf.errors import InputError
from nuhf.histfactory.describe import Coupling
from nuhf.likelihood.tables import Array

_NEAREST: Final = 1e-12
"""Smallest square of |x|, as a fraction of its range, at which a density in |x| is evaluated: at
zero itself it is infinite (and integrable)."""


@dataclass(frozen=True)
class CouplingAxis(Coupling):
    """A coupling of a density, and its position among the parameters of the model."""

    index: int

    @property
    def name(self) -> str:
        """Name of the coupling."""
        return self.parameter.name

    def from_fit(self, theta: FloatArray | float) -> FloatArray:
        """Convert fit parameters to the base unit; the magnitude for an even power."""
        scaled = np.asarray(theta) * self.parameter.scale
        if not self.parameter.squared:
            return scaled + self.parameter.offset
        return np.sqrt(np.maximum(scaled, 0.0)) ** (2.0 / self.parameter.power)

    def to_fit(self, value: FloatArray | float) -> FloatArray:
        """Convert values in the base unit to fit parameters."""
        shifted = np.asarray(value, dtype=float) - self.parameter.offset
        return np.asarray(shifted**self.parameter.power / self.parameter.scale)

    @property
    def ends(self) -> tuple[float, float]:
        """Range in the base unit."""
        return float(self.from_fit(self.low)), float(self.from_fit(self.high))


@runtime_checkable
class Prior(Protocol):
    """A prior density of one coupling."""

    @property
    def in_root(self) -> bool:
        """Whether a squared coupling is smooth in its root: the density is one in |x|."""
        ...

    def log(self, axis: CouplingAxis, theta: Array, xp: ModuleType) -> Array:
        """Log density in the fit parameter ``theta`` (...), with numpy or jax.numpy as ``xp``."""
        ...

    def slope(self, axis: CouplingAxis, theta: FloatArray) -> FloatArray:
        """Derivative (...) of the log density by the fit parameter (...)."""
        ...

    def quantile(self, axis: CouplingAxis, u: FloatArray) -> FloatArray:
        """Fit parameters (...) at the cumulative probabilities ``u`` (...)."""
        ...

    def __str__(self) -> str:
        """Say it in words, for results and their provenance."""
        ...


@dataclass(frozen=True)
class Flat:
    """Flat in the fit parameter, within its range."""

    in_root = False

    def log(self, axis: CouplingAxis, theta: Array, xp: ModuleType) -> Array:
        """Log density in the fit parameter."""
        constant: Array = 0.0 * theta - np.log(axis.high - axis.low)
        return constant

    def slope(self, axis: CouplingAxis, theta: FloatArray) -> FloatArray:
        """Return zero."""
        return np.zeros_like(theta)

    def quantile(self, axis: CouplingAxis, u: FloatArray) -> FloatArray:
        """Fit parameters at cumulative probabilities."""
        return axis.low + (axis.high - axis.low) * u

    def __str__(self) -> str:
        return "flat in the fit parameter"


class _InBaseUnit(ABC):
    """A density f(x) in the base unit x: ``_log(x)``, ``_slope(x)``, ``_cdf(x)``, ``_inverse(c)``.

    They need not be normalised, but belong together.
    """

    in_root = True

    def log(self, axis: CouplingAxis, theta: Array, xp: ModuleType) -> Array:
        """Log density in the fit parameter, Jacobian included."""
        (low, high), scale, power = axis.ends, axis.parameter.scale, axis.parameter.power
        size = float(np.diff(self._cdf(np.array([low, high])))[0])
        if not size > 0.0:
            raise InputError(
                f"the prior of {axis.name} ({self}) has no probability in its range, "
                f"{low:g} to {high:g} {axis.parameter.unit}"
            )
        if not axis.parameter.squared:
            plain: Array = self._log(theta * scale + axis.parameter.offset, xp)
            return plain + float(np.log(scale / size))
        inside = xp.maximum(theta, _NEAREST ** (power / 2) * axis.high)
        root = xp.sqrt(scale * inside) ** (2.0 / power)
        squared: Array = self._log(root, xp) + (1.0 / power - 1.0) * xp.log(inside)
        return squared + float(np.log(np.sqrt(scale) ** (2.0 / power) / power / size))

    def slope(self, axis: CouplingAxis, theta: FloatArray) -> FloatArray:
        """Derivative of the log density by the fit parameter."""
        scale, power = axis.parameter.scale, axis.parameter.power
        if not axis.parameter.squared:
            return scale * self._slope(theta * scale + axis.parameter.offset)
        inside = np.maximum(theta, _NEAREST ** (power / 2) * axis.high)
        root = axis.from_fit(inside)
        slope = self._slope(root) * scale / (power * root ** (power - 1))
        return np.where(theta < inside, 0.0, slope - (1.0 - 1.0 / power) / inside)

    def quantile(self, axis: CouplingAxis, u: FloatArray) -> FloatArray:
        """Fit parameters at cumulative probabilities."""
        low, high = self._cdf(np.array(axis.ends))
        return axis.to_fit(np.clip(self._inverse(low + (high - low) * u), *axis.ends))

    @abstractmethod
    def _log(self, x: Array, xp: ModuleType) -> Array:
        """Log of the density."""

    @abstractmethod
    def _slope(self, x: FloatArray) -> FloatArray:
        """Its derivative."""

    @abstractmethod
    def _cdf(self, x: FloatArray) -> FloatArray:
        """Its integral."""

    @abstractmethod
    def _inverse(self, c: FloatArray) -> FloatArray:
        """Inverse of its integral."""


@dataclass(frozen=True)
class FlatMagnitude(_InBaseUnit):
    """Flat in the coupling itself: in |munu|, where `Flat` is flat in munu^2."""

    def _log(self, x: Array, xp: ModuleType) -> Array:
        zero: Array = 0.0 * x
        return zero

    def _slope(self, x: FloatArray) -> FloatArray:
        return np.zeros_like(x)

    def _cdf(self, x: FloatArray) -> FloatArray:
        return x

    def _inverse(self, c: FloatArray) -> FloatArray:
        return c

    def __str__(self) -> str:
        return "flat in the magnitude"


@dataclass(frozen=True)
class Normal(_InBaseUnit):
    """Normal in the base unit (of the magnitude, for a squared coupling), cut at the range.

    Attributes
    ----------
    mean, sd : float
        Mean and standard deviation in the base unit.
    """

    mean: float
    sd: float

    def __post_init__(self) -> None:
        """Refuse a width that is not positive."""
        if not (np.isfinite([self.mean, self.sd]).all() and self.sd > 0.0):
            raise InputError(f"a normal prior needs a mean and an sd above 0, given: {self}")

    def _log(self, x: Array, xp: ModuleType) -> Array:
        log: Array = -0.5 * ((x - self.mean) / self.sd) ** 2
        return log - float(np.log(self.sd * np.sqrt(2.0 * np.pi)))

    def _slope(self, x: FloatArray) -> FloatArray:
        return -(x - self.mean) / self.sd**2

    def _cdf(self, x: FloatArray) -> FloatArray:
        return np.asarray(ndtr((x - self.mean) / self.sd))

    def _inverse(self, c: FloatArray) -> FloatArray:
        return np.asarray(self.mean + self.sd * ndtri(c))

    def __str__(self) -> str:
        return f"normal, mean {self.mean:g}, sd {self.sd:g}"


@dataclass(frozen=True)
class Tabulated(_InBaseUnit):
    """A density as a table in the base unit, linear between its points and zero outside.

    Attributes
    ----------
    values, density : tuple of float
        Points in increasing order, and the density there (any normalisation).
    source : str
        Where the table is from, for the provenance.
    """

    values: tuple[float, ...]
    density: tuple[float, ...]
    source: str = "a table"

    def __post_init__(self) -> None:
        """Refuse a table that is no density."""
        x, f = np.asarray(self.values, dtype=float), np.asarray(self.density, dtype=float)
        if x.shape != f.shape or x.size < 2 or not (np.isfinite(x).all() and np.isfinite(f).all()):
            raise InputError(f"a tabulated prior needs two or more finite pairs ({self.source})")
        if not ((np.diff(x) > 0).all() and (f >= 0).all() and f.max() > 0):
            raise InputError(
                f"a tabulated prior needs increasing values and a density that is not negative "
                f"({self.source})"
            )

    def _log(self, x: Array, xp: ModuleType) -> Array:
        density = xp.interp(
            x, np.array(self.values), np.array(self.density, float), left=0.0, right=0.0
        )
        positive = density > 0.0
        log: Array = xp.where(positive, xp.log(xp.where(positive, density, 1.0)), -xp.inf)
        return log

    def _slope(self, x: FloatArray) -> FloatArray:
        values, density = np.array(self.values), np.array(self.density, float)
        cell = np.clip(np.searchsorted(values, x, side="right") - 1, 0, values.size - 2)
        steps = np.diff(density) / np.diff(values)
        at = np.interp(x, values, density, left=0.0, right=0.0)
        return np.where(at > 0.0, steps[cell] / np.where(at > 0.0, at, 1.0), np.nan)

    def _cdf(self, x: FloatArray) -> FloatArray:
        values, density = np.array(self.values), np.array(self.density, float)
        sums = np.append(0.0, np.cumsum(0.5 * np.diff(values) * (density[1:] + density[:-1])))
        inside = np.clip(x, values[0], values[-1])
        cell = np.clip(np.searchsorted(values, inside, side="right") - 1, 0, values.size - 2)
        at = np.interp(inside, values, density)
        return np.asarray(sums[cell] + 0.5 * (inside - values[cell]) * (density[cell] + at))

    def _inverse(self, c: FloatArray) -> FloatArray:
        fine = np.unique(np.concatenate([self.values, np.linspace(*self._ends, 20_001)]))
        return np.asarray(np.interp(c, self._cdf(fine), fine))

    @property
    def _ends(self) -> tuple[float, float]:
        return self.values[0], self.values[-1]

    def __str__(self) -> str:
        return f"{self.source}, {self.values[0]:g} to {self.values[-1]:g}"


def parse(text: str) -> Prior:
    """Read ``flat``, ``flat-magnitude``, ``normal:MEAN,SD`` or ``table:FILE``.

    A file is a CSV table with the columns ``value`` and ``density`` and a line ``# source:``.
    `InputError` if the text is none of them, or the file no such table.
    """
    kind, _, rest = text.partition(":")
    if kind == "flat" and not rest:
        return Flat()
    if kind == "flat-magnitude" and not rest:
        return FlatMagnitude()
    if kind == "normal":
        try:
            mean, sd = (float(part) for part in rest.split(","))
        except ValueError:
            raise InputError(f"prior '{text}': give normal:MEAN,SD in the base unit") from None
        return Normal(mean, sd)
    if kind == "table" and rest:
        table = tables.read_table(Path(rest), ["value", "density"])
        values, density = (tuple(table[name].tolist()) for name in ("value", "density"))
        return Tabulated(values, density, f"table {Path(rest).name} ({table.source})")
    raise InputError(
        f"unknown prior '{text}'; allowed: flat, flat-magnitude, normal:MEAN,SD, table:FILE"
    )


def priors_of(
    axes: Sequence[CouplingAxis], given: Mapping[str, "Prior | str"] | None
) -> tuple[Prior, ...]:
    """Return the prior of every coupling, flat where none is named.

    `InputError` if one is for something that is not free, or has no probability in the range.
    """
    names = [axis.name for axis in axes]
    chosen = dict(given or {})
    for name in chosen:
        if name not in names:
            raise InputError(f"prior of '{name}', which is not free; free: {', '.join(names)}")
    found: list[Prior] = []
    for axis in axes:
        prior = chosen.get(axis.name, Flat())
        found.append(parse(prior) if isinstance(prior, str) else prior)
        found[-1].log(axis, np.array([axis.init]), np)
    return tuple(found)
