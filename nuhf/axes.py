"""Grid axes that cover what a data set allows."""

import numpy as np

from nuhf import questions
from nuhf.arrays import FloatArray
from nuhf.errors import FitError, InputError
from nuhf.stats.problem import Problem
from nuhf.workspaces.patchset import MAX_POINTS

_CL = 0.9


def axis(problem: Problem, points: int, bracket: tuple[float, float] | None = None) -> FloatArray:
    """Return equally spaced values of the parameter of interest in its base unit, (points,).

    They are 2 to 10 000, from the first to the last value of the bracket or of `default_range`.
    `InputError` for a reversed range or another number of points, `FitError` if a range is needed
    and the interval is not closed.
    """
    if not 2 <= points <= MAX_POINTS:
        raise InputError(f"points = {points}: an axis has 2 to {MAX_POINTS} points")
    low, high = bracket or default_range(problem)
    if not (np.isfinite([low, high]).all() and low < high):
        raise InputError(f"bracket = {low}, {high}: give two numbers, the lower one first")
    return np.linspace(low, high, points)


def default_range(problem: Problem) -> tuple[float, float]:
    """Return the hull of the 90 % CL interval and half its width on both sides, rounded outwards.

    A parameter with a bound at 0 starts there. Values in the base unit. `FitError` if the interval
    is not closed.
    """
    try:
        found = questions.limit(problem, _CL, "delta-chi2")
    except FitError as error:
        raise FitError(f"{error}; give a range") from None
    low, high = found.intervals[0][0], found.intervals[-1][1]
    margin = 0.5 * (high - low)
    step = float(10.0 ** (np.floor(np.log10(high - low)) - 1.0))
    bounded = problem.description.couplings[0].bounded
    start = 0.0 if bounded else float(np.floor((low - margin) / step)) * step
    return start, float(np.ceil((high + margin) / step)) * step
