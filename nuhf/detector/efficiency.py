"""Detection efficiency in a signal and in time."""

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from scipy.special import expit

from nuhf.arrays import FloatArray
from nuhf.errors import InputError


@dataclass(frozen=True, eq=False)
class Efficiency:
    """Accepted share as a function of a signal, in whatever unit the signal has."""

    function: Callable[[FloatArray], FloatArray]
    """From signals to shares, same shape."""
    threshold: float = -np.inf
    """Signal below which nothing is accepted; -inf if there is none."""
    cuts: FloatArray = field(default_factory=lambda: np.array([]))
    """Signals where the efficiency jumps or bends, ascending."""
    straight: bool = True
    """Whether it is a straight line between its cuts and constant outside them."""

    def __call__(self, signal: FloatArray) -> FloatArray:
        """Return the efficiency, same shape."""
        return self.function(np.asarray(signal, dtype=float))


def full_efficiency() -> Efficiency:
    """Return the efficiency that accepts everything."""
    return Efficiency(np.ones_like)


def logistic_efficiency(
    a: float,
    b: float,
    c: float,
    d: float,
    steps: tuple[float, float] | None = None,
    unit: float = 1.0,
) -> Efficiency:
    """Return eps(x) = a / (1 + exp(-b (x - c))) + d, zero where negative.

    The constants are for x in a ``unit``, 1 for photoelectrons. With ``steps`` (x1, x2) it is cut
    to zero below x1 and to one half from there to x2. `InputError` if a or b is not positive, or
    it is positive nowhere. Source: COHERENT, arXiv:2110.07730 and, with steps, arXiv:1804.09459,
    ancillary releases.
    """
    if a <= 0 or b <= 0:
        raise InputError(f"efficiency: a = {a} and b = {b} must be positive")
    if a + d <= 0:
        raise InputError(f"efficiency: a + d = {a + d} leaves nothing positive")

    def function(signal: FloatArray) -> FloatArray:
        x = signal / unit
        smooth = np.maximum(a * expit(b * (x - c)) + d, 0.0)
        if steps is None:
            return np.asarray(smooth)
        half, whole = steps
        return np.asarray(0.5 * (1.0 * (x >= half) + 1.0 * (x >= whole)) * smooth)

    threshold = -np.inf if d >= 0 else (c - float(np.log(-a / d - 1.0)) / b) * unit
    return Efficiency(function, threshold, np.asarray(steps or (), dtype=float) * unit, False)


def points_efficiency(signal: FloatArray, efficiency: FloatArray) -> Efficiency:
    """Return straight lines between points, zero below the first one, refused above the last.

    Points increase and have a value each, both (n_points,).
    """
    last = float(signal[-1])

    def function(at: FloatArray) -> FloatArray:
        if at.size and at.max() > last * (1.0 + 1e-12):
            raise InputError(f"efficiency: {at.max():g} is above its table, which ends at {last:g}")
        return np.asarray(np.interp(at, signal, efficiency, left=0.0))

    return Efficiency(function, float(signal[0]), signal)


def step_efficiency(edges: FloatArray, efficiency: FloatArray) -> Efficiency:
    """Return a constant in each bin (n,) of edges (n + 1,), the last one beyond; zero below."""

    def function(at: FloatArray) -> FloatArray:
        index = np.searchsorted(edges, at, side="right") - 1
        return np.where(index < 0, 0.0, efficiency[np.clip(index, 0, efficiency.size - 1)])

    return Efficiency(function, float(edges[0]), edges)


def exponential_mean(edges_us: FloatArray, start_us: float, rate_per_us: float) -> FloatArray:
    """Return the mean in bins of 1 before a start and exp(-rate (t - start)) after it, (n,).

    ``edges_us`` (n + 1,). Source: COHERENT, arXiv:2110.07730.
    """
    # bin by bin: late bins would be lost in the difference of two integrals from 0
    edges = np.asarray(edges_us, dtype=float)
    late = np.maximum(edges - start_us, 0.0)
    early = np.diff(np.minimum(edges, start_us))
    falling = np.exp(-rate_per_us * late[:-1])
    bins = early + falling * _exponential(rate_per_us, np.diff(late))
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
