"""Detection efficiency in the reconstructed signal and in time."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from nuhf.errors import InputError

__all__ = ["ExponentialTimeEfficiency", "LogisticEfficiency", "exponential_fractions"]

FloatArray = NDArray[np.float64]


@dataclass(frozen=True)
class LogisticEfficiency:
    """eps(x) = a / (1 + exp(-b (x - c))) + d in photoelectrons, zero where negative.

    With ``steps`` (x1, x2) it is cut to zero below x1 and to one half from there to x2. Source:
    COHERENT, arXiv:2110.07730 and, with steps, arXiv:1804.09459, ancillary releases.
    """

    a: float
    b: float
    c: float
    d: float
    steps: tuple[float, float] | None = None

    def __call__(self, signal: FloatArray) -> FloatArray:
        """Return the efficiency at x photoelectrons, any shape."""
        x = np.asarray(signal, dtype=float)
        smooth = np.maximum(self.a * expit(self.b * (x - self.c)) + self.d, 0.0)
        if self.steps is None:
            return smooth
        half, full = self.steps
        return np.asarray(0.5 * (1.0 * (x >= half) + 1.0 * (x >= full)) * smooth)

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
        return self.c - float(np.log(-self.a / self.d - 1.0)) / self.b


@dataclass(frozen=True)
class ExponentialTimeEfficiency:
    """eps(t) = 1 before ``start_us``, exp(-rate (t - start)) after; t in us.

    Source: COHERENT, arXiv:2110.07730.
    """

    start_us: float
    rate_per_us: float

    def __call__(self, time_us: FloatArray) -> FloatArray:
        """Return the efficiency at times in us, any shape."""
        late = np.maximum(np.asarray(time_us, dtype=float) - self.start_us, 0.0)
        return np.asarray(np.exp(-self.rate_per_us * late))

    def integral(self, time_us: FloatArray) -> FloatArray:
        """Return its integral from 0 to times in us (any shape), in us."""
        time = np.asarray(time_us, dtype=float)
        late = np.maximum(time - self.start_us, 0.0)
        early = np.minimum(time, self.start_us)
        return np.asarray(early + _exponential(self.rate_per_us, late))

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
