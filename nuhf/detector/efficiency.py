"""Detection efficiency in a signal and in time."""

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from nuhf.errors import InputError

__all__ = [
    "Efficiency",
    "ExponentialTimeEfficiency",
    "FullEfficiency",
    "LogisticEfficiency",
    "PointsEfficiency",
    "StepEfficiency",
    "exponential_fractions",
]

FloatArray = NDArray[np.float64]


class Efficiency(Protocol):
    """Accepted share as a function of a signal, in whatever unit the signal has."""

    @property
    def threshold(self) -> float:
        """Signal below which nothing is accepted; -inf if there is none."""

    @property
    def cuts(self) -> FloatArray:
        """Signals where the efficiency jumps or bends, ascending."""

    @property
    def straight(self) -> bool:
        """Whether it is a straight line between its cuts and constant outside them."""

    def __call__(self, signal: FloatArray) -> FloatArray:
        """Return the efficiency, same shape."""


@dataclass(frozen=True)
class FullEfficiency:
    """Everything is accepted."""

    threshold: float = -np.inf
    straight: bool = True

    @property
    def cuts(self) -> FloatArray:
        """None."""
        return np.array([])

    def __call__(self, signal: FloatArray) -> FloatArray:
        """Return 1 (see `Efficiency`)."""
        return np.ones(np.shape(signal))


@dataclass(frozen=True)
class LogisticEfficiency:
    """eps(x) = a / (1 + exp(-b (x - c))) + d, zero where negative.

    With ``steps`` (x1, x2) it is cut to zero below x1 and to one half from there to x2. Source:
    COHERENT, arXiv:2110.07730 and, with steps, arXiv:1804.09459, ancillary releases.

    Attributes
    ----------
    a, b, c, d : float
        Constants for x in ``unit``.
    unit : float
        Size of the unit of x: 1 for photoelectrons.
    """

    a: float
    b: float
    c: float
    d: float
    steps: tuple[float, float] | None = None
    unit: float = 1.0
    straight: bool = False

    def __call__(self, signal: FloatArray) -> FloatArray:
        """Return the efficiency (see `Efficiency`)."""
        x = np.asarray(signal, dtype=float) / self.unit
        smooth = np.maximum(self.a * expit(self.b * (x - self.c)) + self.d, 0.0)
        if self.steps is None:
            return smooth
        half, full = self.steps
        return np.asarray(0.5 * (1.0 * (x >= half) + 1.0 * (x >= full)) * smooth)

    @property
    def cuts(self) -> FloatArray:
        """The steps."""
        return np.asarray(self.steps or (), dtype=float) * self.unit

    @property
    def threshold(self) -> float:
        """Signal where the efficiency starts to be positive; -inf if it always is.

        Raises
        ------
        InputError
            If it is positive nowhere.
        """
        if self.a <= 0 or self.b <= 0:
            raise InputError(f"efficiency: a = {self.a} and b = {self.b} must be positive")
        if self.d >= 0:
            return -np.inf
        if self.a + self.d <= 0:
            raise InputError(f"efficiency: a + d = {self.a + self.d} leaves nothing positive")
        return (self.c - float(np.log(-self.a / self.d - 1.0)) / self.b) * self.unit


@dataclass(frozen=True)
class PointsEfficiency:
    """Straight lines between points, zero below the first one, refused above the last.

    Attributes
    ----------
    signal : ndarray
        Points, increasing, (n_points,).
    efficiency : ndarray
        Values there, (n_points,).
    """

    signal: FloatArray
    efficiency: FloatArray
    straight: bool = True

    @property
    def threshold(self) -> float:
        """The first point."""
        return float(self.signal[0])

    @property
    def cuts(self) -> FloatArray:
        """The points."""
        return self.signal

    def __call__(self, signal: FloatArray) -> FloatArray:
        """Return the efficiency (see `Efficiency`).

        Raises
        ------
        InputError
            If a signal is above the last point.
        """
        signal, last = np.asarray(signal, dtype=float), float(self.signal[-1])
        if signal.size and signal.max() > last * (1.0 + 1e-12):
            raise InputError(
                f"efficiency: {signal.max():g} is above its table, which ends at {last:g}"
            )
        return np.asarray(np.interp(signal, self.signal, self.efficiency, left=0.0))


@dataclass(frozen=True)
class StepEfficiency:
    """Constant in bins, and beyond the last bin; zero below the first.

    Attributes
    ----------
    edges : ndarray
        (n + 1,), increasing.
    efficiency : ndarray
        (n,).
    """

    edges: FloatArray
    efficiency: FloatArray
    straight: bool = True

    @property
    def threshold(self) -> float:
        """The first edge."""
        return float(self.edges[0])

    @property
    def cuts(self) -> FloatArray:
        """The edges."""
        return self.edges

    def __call__(self, signal: FloatArray) -> FloatArray:
        """Return the efficiency (see `Efficiency`)."""
        index = np.searchsorted(self.edges, signal, side="right") - 1
        inside = self.efficiency[np.clip(index, 0, self.efficiency.size - 1)]
        return np.where(index < 0, 0.0, inside)


@dataclass(frozen=True)
class ExponentialTimeEfficiency:
    """eps(t) = 1 before ``start_us``, exp(-rate (t - start)) after; t in us.

    Source: COHERENT, arXiv:2110.07730.
    """

    start_us: float = 0.0
    rate_per_us: float = 0.0

    def __call__(self, time_us: FloatArray) -> FloatArray:
        """Return the efficiency at times in us, any shape."""
        late = np.maximum(np.asarray(time_us, dtype=float) - self.start_us, 0.0)
        return np.asarray(np.exp(-self.rate_per_us * late))

    def mean(self, edges_us: FloatArray) -> FloatArray:
        """Return the mean efficiency in each bin of (n + 1,) edges in us, shape (n,)."""
        # bin by bin: late bins would be lost in the difference of two integrals from 0
        edges = np.asarray(edges_us, dtype=float)
        late = np.maximum(edges - self.start_us, 0.0)
        early = np.diff(np.minimum(edges, self.start_us))
        falling = np.exp(-self.rate_per_us * late[:-1])
        bins = early + falling * _exponential(self.rate_per_us, np.diff(late))
        return np.asarray(bins / np.diff(edges))


def exponential_fractions(edges_us: FloatArray, rate_per_us: float) -> FloatArray:
    """Return the share of exp(-rate t) in each bin of (n + 1,) edges in us; the sum is 1."""
    # counted from the first edge and bin by bin: late bins keep their digits
    edges = np.asarray(edges_us, dtype=float) - edges_us[0]
    bins = np.exp(-rate_per_us * edges[:-1]) * _exponential(rate_per_us, np.diff(edges))
    return np.asarray(bins / _exponential(rate_per_us, edges[-1]))


def _exponential(rate: float, length: FloatArray) -> FloatArray:
    """Return the integral of exp(-rate t) from 0 to a length."""
    return np.asarray(-np.expm1(-rate * length) / rate if rate else length)
