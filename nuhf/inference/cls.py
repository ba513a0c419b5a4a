"""Asymptotic CLs upper limits of a parameter with a physical boundary at zero.

Source: G. Cowan, K. Cranmer, E. Gross, O. Vitells, Eur. Phys. J. C 71, 1554 (2011),
arXiv:1007.1727, eqs 16, 62 to 66 (test statistic q-tilde).
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq
from scipy.stats import norm

from nuhf.errors import FitError
from nuhf.inference.intervals import Profiler

__all__ = ["Asymptotic", "upper_limit"]

FloatArray = NDArray[np.float64]


@dataclass(frozen=True)
class Asymptotic:
    """CLs as a function of the parameter, from a profile of the data and of the Asimov data.

    Attributes
    ----------
    data, asimov : Profiler
        Profiles; the Asimov data are those of the fit with the parameter at zero.
    data_minimum, asimov_minimum : tuple of (float, float)
        Best value (not below zero) and 2NLL.
    """

    data: Profiler
    asimov: Profiler
    data_minimum: tuple[float, float]
    asimov_minimum: tuple[float, float]

    def __call__(self, value: float) -> float:
        """Return CLs at a value of the parameter."""
        at = np.array([value])
        best, lowest = self.data_minimum
        q = max(float(self.data.at(at)[0]) - lowest, 0.0) if value > best else 0.0
        q_asimov = max(float(self.asimov.at(at)[0]) - self.asimov_minimum[1], 0.0)
        root, root_asimov = np.sqrt(q), np.sqrt(q_asimov)
        if q <= q_asimov:
            above, expected = norm.sf(root), norm.cdf(root_asimov - root)
        else:
            above = norm.sf((q + q_asimov) / (2.0 * root_asimov))
            expected = norm.sf((q - q_asimov) / (2.0 * root_asimov))
        return float(above / expected) if expected > 0 else 0.0


def upper_limit(cls: Callable[[float], float], high: float, cl: float) -> float:
    """Return the value where CLs falls to 1 - ``cl``, by root finding between 0 and ``high``.

    Raises
    ------
    FitError
        If CLs is still above it at ``high``.
    """
    target = 1.0 - cl
    if cls(high) > target:
        raise FitError(f"CLs is still above {target:g} at the end of the range, {high:g}")
    # CLs is 1 at 0: halve downwards to a bracket of ordinary size
    upper = high
    while upper > 1e-12 * high and cls(0.5 * upper) < target:
        upper *= 0.5
    return float(brentq(lambda x: cls(x) - target, 0.5 * upper, upper, xtol=1e-9 * high, rtol=1e-8))
