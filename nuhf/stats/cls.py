"""Asymptotic CLs upper limits of a parameter with a physical boundary at zero.

Source: G. Cowan, K. Cranmer, E. Gross, O. Vitells, Eur. Phys. J. C 71, 1554 (2011),
arXiv:1007.1727, eqs 16, 62 to 66, 89 (test statistic q-tilde).
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np
from scipy.special import ndtr

from nuhf.arrays import FloatArray
from nuhf.errors import FitError, OpenRegionError
from nuhf.roots import roots
from nuhf.stats.intervals import Profiler

_NOISE: Final = 1e-9
"""2NLL within which fits end of their minimum: a median of exactly 0 would make CLs 0, not 1."""

_SMALL: Final = 1e-3
"""Where the search for a limit starts, relative to the range."""

#: Names of the expected limits and their distance from the median in standard deviations.
BAND: Final = {"minus2": -2.0, "minus1": -1.0, "median": 0.0, "plus1": 1.0, "plus2": 2.0}


@dataclass(frozen=True)
class Asymptotic:
    """CLs as a function of the parameter, from a profile of the data and of the Asimov data."""

    data: Profiler
    asimov: Profiler
    """Profiles; the Asimov data are those of the fit with the parameter at zero."""
    data_minimum: tuple[float, float]
    asimov_minimum: tuple[float, float]
    """Best value (not below zero) and 2NLL."""

    def __call__(self, value: float) -> float:
        """Return CLs at a value of the parameter."""
        best, lowest = self.data_minimum
        q = _above(self.data, value, lowest) if value > best else 0.0
        return float(self.of(value, np.array([q]))[0])

    def of(self, value: float, q: FloatArray) -> FloatArray:
        """Return CLs (n,) at a value of the parameter for test statistics (n,) there."""
        height = _above(self.asimov, value, self.asimov_minimum[1])
        beyond = q > max(height, _NOISE)
        q_asimov = np.where(beyond, max(height, _NOISE), height)
        root, root_asimov = np.sqrt(q), np.sqrt(q_asimov)
        far = np.where(beyond, 2.0 * root_asimov, 1.0)
        above = ndtr(-np.where(beyond, (q + q_asimov) / far, root))
        expected = ndtr(np.where(beyond, (q_asimov - q) / far, root_asimov - root))
        return np.where(expected > 0, above / np.where(expected > 0, expected, 1.0), 0.0)

    def expected(self, value: float, pull: float) -> float:
        """Return CLs where the data of no signal lie ``pull`` standard deviations from the median.

        Eq 89: without a signal the best fit is normal around 0, with the width that the Asimov
        data give.
        """
        q = _above(self.asimov, value, self.asimov_minimum[1])
        return float(ndtr(pull - np.sqrt(q)) / ndtr(pull))


def _above(profiler: Profiler, value: float, lowest: float) -> float:
    """2NLL above its minimum at a value of the parameter; `FitError` if no fit converges."""
    height = float(profiler.at(np.array([value]))[0])
    if not np.isfinite(height):
        raise FitError(f"no fit converged at {value:.4g} (fit parameter)")
    return max(height - lowest, 0.0)


def upper_limit(cls: Callable[[float], float], high: float, cl: float) -> float:
    """Return the value where CLs falls to 1 - ``cl``, by root finding between 0 and ``high``.

    `OpenRegionError` if CLs is still above it at ``high``.
    """
    target = 1.0 - cl
    # CLs is 1 at 0: from a small value outwards, as fits far outside are hard and need not converge
    upper = _SMALL * high
    while cls(upper) > target:
        if upper >= high:
            raise OpenRegionError(
                f"CLs is still above {target:g} at the end of the range, {high:g}"
            )
        upper = min(2.0 * upper, high)
    while upper > 1e-12 * high and cls(0.5 * upper) < target:
        upper *= 0.5

    def above(points: FloatArray) -> FloatArray:
        return np.array([cls(float(point)) - target for point in points])

    place, _ = roots(above, np.array([0.5 * upper]), np.array([upper]), 1e-8, 1e-9 * high)
    return float(place[0])


def expected_limits(cls: Asymptotic, high: float, cl: float) -> dict[str, float]:
    """Return the limits that data without a signal would give: median, and 1, 2 sigma around it.

    `OpenRegionError` if one lies beyond ``high``.
    """
    return {
        name: upper_limit(lambda x, pull=pull: cls.expected(x, pull), high, cl)  # type: ignore[misc]
        for name, pull in BAND.items()
    }
