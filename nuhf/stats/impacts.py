"""Impacts of nuisances by the compiled likelihood: on the best fit, its error, and an interval.

Four views of the same question, for every nuisance:

* held one error above or below its fitted value, how far the best fit and the ends of the
  interval move (impacts as published rankings have them);
* its auxiliary measurement one standard deviation higher, how far the best fit moves
  (arXiv:2307.04007: these add up in squares, with the statistical part, to the error);
* groups of them, likewise in squares.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from nuhf.arrays import FloatArray
from nuhf.errors import FitError
from nuhf.stats.intervals import intervals, threshold
from nuhf.stats.problem import Problem
from nuhf.stats.uncertainties import correlation, covariance, uncertainties

_STEPS: Final = 6
_CLOSE: Final = 1e-5
"""Of 2NLL: a moved end is at the threshold to this."""


@dataclass(frozen=True)
class Impacts:
    """What moves the parameter of interest, all in the fit parameter."""

    best: FloatArray
    errors: FloatArray
    """Best fit and its errors, (P,); from profiles where something is at a bound."""
    correlation: FloatArray
    """Of all parameters, (P, P)."""
    twice_nll: float
    """2NLL at the best fit."""
    index: NDArray[np.intp]
    """Positions of the nuisances that float, (n,)."""
    prefit: FloatArray
    postfit: FloatArray
    """Change of the best fit with a nuisance one standard deviation of its constraint, or one
    error, above and below its fitted value, (n, 2); not beyond its bounds."""
    ends: FloatArray
    """Outer ends of the interval, (k,): those that are no physical bound."""
    end_shifts: FloatArray
    """Change of each end with a nuisance one error above and below, (n, 2, k)."""
    observables: FloatArray
    """Change of the best fit where the auxiliary measurement of a nuisance is one standard
    deviation higher, (n,); 0 for what has none."""
    parts: Mapping[str, float]
    groups: Mapping[str, float]
    """The error (``total**2 = statistical**2 + systematic**2``), and the systematic part by the
    first word of the nuisances' names, a root of the sum of squares."""


def impacts(problem: Problem, best: FloatArray, cl: float) -> Impacts:
    """Fit with every nuisance held above and below its fitted value.

    Fits start at parameters (P,) near the deepest minimum; ``cl`` is the confidence level of the
    interval whose ends are moved. `FitError` if one does not converge.
    """
    profiler = problem.profiler()
    free = profiler.free.copy()
    points, heights = problem.engine.minimise(problem.data, best[np.newaxis], free)
    best, lowest = points[0], float(heights[0])
    matrix, _ = uncertainties(problem, best, lowest)
    errors = np.sqrt(np.clip(np.diag(matrix), 0.0, None))
    free[profiler.index] = False
    index = np.flatnonzero(free)
    ends = _ends(problem, cl)
    rows = [
        _of_one(problem, best, int(i), np.array([problem.widths[i], errors[i]]), ends, cl)
        for i in index
    ]
    pre, post, moved = (np.array(part) for part in zip(*rows, strict=True))
    observables, parts, groups = _breakdown(problem, best)
    matrix = np.array(correlation(problem.engine.compiled.names, matrix)["matrix"])
    return Impacts(
        best, errors, matrix, lowest, index, pre, post, ends, moved, observables[index], parts,
        groups,
    )  # fmt: skip


def _ends(problem: Problem, cl: float) -> FloatArray:
    """Outer ends of the interval that are no physical bound; none if it is not closed."""
    span = problem.span()
    try:
        pieces = intervals(problem.profiler(), span, cl).pieces
    except FitError:
        return np.zeros(0)
    outer = [pieces[0][0], pieces[-1][1]]
    return np.array(outer[1:] if span.physical_low and outer[0] == span.low else outer)


def _of_one(
    problem: Problem, best: FloatArray, i: int, sizes: FloatArray, ends: FloatArray, cl: float
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Return pre-fit and post-fit changes of the best fit (2,), and of the ends (2, k)."""
    profiler, compiled = problem.profiler(), problem.engine.compiled
    held = np.clip(
        best[i] + np.array([1.0, -1.0]) * sizes[:, np.newaxis], *compiled.bounds[i]
    ).ravel()
    free = profiler.free.copy()
    free[i] = False
    starts = np.repeat(best[np.newaxis], held.size, axis=0)
    starts[:, i] = held
    points, heights = problem.engine.minimise(problem.data, starts, free)
    if not np.isfinite(heights).all():
        raise FitError(f"no fit converged with {compiled.names[i]} held beside its best value")
    change = points[:, profiler.index] - best[profiler.index]
    change = change.reshape(2, 2) * (sizes > 0.0)[:, np.newaxis]
    after = slice(2, 4)
    moved = _moved(problem, free, points[after], heights[after], ends, cl) - ends
    return change[0], change[1], moved


def _moved(
    problem: Problem, free: NDArray[np.bool_], points: FloatArray, lowest: FloatArray,
    ends: FloatArray, cl: float,
) -> FloatArray:  # fmt: skip
    """Ends (2, k) of the interval with a nuisance as in ``points`` (2, P), by Newton steps.

    The slope of a profile is the partial derivative of 2NLL at its fit.
    """
    if not ends.size:
        return np.zeros((len(points), 0))
    profiler, rise = problem.profiler(), threshold(cl)
    free = free.copy()
    free[profiler.index] = False
    starts = np.repeat(points, ends.size, axis=0)
    floor = np.repeat(lowest, ends.size) + rise
    values = np.tile(ends, len(points))
    centre = starts[:, profiler.index].copy()
    bounds = problem.engine.compiled.bounds[profiler.index]
    for _ in range(_STEPS):
        starts[:, profiler.index] = values
        if free.any():
            starts, heights = problem.engine.minimise(problem.data, starts, free)
        else:
            heights = problem.engine.compiled.twice_nll(starts, problem.data)
        off = heights - floor
        if not np.isfinite(off).all():
            return np.full((len(points), ends.size), np.nan)
        if np.abs(off).max() < _CLOSE:
            break
        slope = problem.engine.compiled.gradient(starts, problem.data)[:, profiler.index]
        # in the root of the height above the minimum a parabola is a line
        root = np.sqrt(np.maximum(off + rise, 1e-12))
        change = (np.sqrt(rise) - root) * 2.0 * root / slope
        room = 0.7 * np.abs(values - centre)
        values = np.clip(values + np.clip(change, -room, room), *bounds)
    return values.reshape(len(points), ends.size)


def _breakdown(
    problem: Problem, best: FloatArray
) -> tuple[FloatArray, dict[str, float], dict[str, float]]:
    """Split the error of the parameter of interest by what it comes from.

    An auxiliary measurement a with error s moves the best fit by C/s, where C is the covariance
    with its parameter; the squares of all, and of the statistical part, add up to the square of
    the error. Returns the ``observables`` of all parameters (P,), ``parts`` and ``groups`` of
    `Impacts`: nothing where the parameter is at a bound, and has no error of this kind.
    """
    compiled, index = problem.engine.compiled, problem.profiler().index
    matrix, moved = covariance(problem, best), np.zeros(len(compiled.names))
    total = float(np.sqrt(max(matrix[index, index], 0.0)))
    if total == 0.0:
        return moved, {}, {}
    constraints = compiled.constraints
    normal, poisson = constraints.normal_param, constraints.poisson_param
    moved[normal] = matrix[index, normal] / constraints.normal_sigma
    moved[poisson] = matrix[index, poisson] * np.sqrt(constraints.poisson_factor) / best[poisson]
    systematic = float(np.sqrt(np.square(moved).sum()))
    statistical = float(np.sqrt(max(total**2 - systematic**2, 0.0)))
    squares: dict[str, list[float]] = {}
    for name, change in zip(compiled.names, moved, strict=True):
        if change:  # by the first word: flux, qf, eff, bkg, staterror, ...
            group = name.partition("[")[0].partition("_")[0]
            squares.setdefault(group, []).append(change**2)
    groups = {name: float(np.sqrt(sum(members))) for name, members in squares.items()}
    parts = {"total": total, "statistical": statistical, "systematic": systematic}
    return moved, parts, groups
