"""Errors of a free fit: the curvature at the minimum, and the profile where a bound is reached."""

from dataclasses import replace

import numpy as np

from nuhf.arrays import FloatArray
from nuhf.errors import Caveat, FitError
from nuhf.likelihood.engines import ModelProfiler
from nuhf.stats.problem import Problem
from nuhf.stats.results import Correlation

_AT_BOUND = 1e-6
"""Distance from a bound, relative to the range, at which a parameter counts as being there."""
_FLAT = 1e-5
"""Curvature, in units of those along the axes, that the derivatives cannot tell from 0."""
_ITERATIONS = 40
_CLOSE = 1e-4
"""Of a rise of the profile by 1."""
_STEP = 0.02
"""Step of the numerical second derivative in expected errors: the gradient is exact."""


def at_bounds(problem: Problem, best: FloatArray) -> tuple[int, ...]:
    """Return the positions of the free parameters that are at one of their bounds in (P,)."""
    low, high = problem.engine.compiled.bounds.T
    margin = _AT_BOUND * (high - low)
    stuck = (best <= low + margin) | (best >= high - margin)
    return tuple(int(i) for i in np.flatnonzero(stuck & problem.profiler().free))


def covariance(problem: Problem, best: FloatArray) -> FloatArray:
    """Return the inverse of half the Hessian of 2NLL, (P, P).

    Zero for what does not float and for what is at a bound: 2NLL has a slope there, and no parabola
    describes it. The other entries are those of a fit that holds it. `FitError` if 2NLL has no
    curvature in some direction.
    """
    compiled, free = problem.engine.compiled, problem.profiler().free.copy()
    free[list(at_bounds(problem, best))] = False
    index = np.flatnonzero(free)
    half = 0.5 / np.sqrt(np.clip(np.diag(compiled.fisher(best)), 1e-300, None))
    steps = np.zeros((index.size, best.size))
    steps[np.arange(index.size), index] = _STEP * half[index]
    up, down = (compiled.gradient(best + sign * steps, problem.data) for sign in (1.0, -1.0))
    hessian = (up - down)[:, index] / (2.0 * _STEP * half[index, np.newaxis])
    matrix = np.zeros((best.size, best.size))
    symmetric = 0.25 * (hessian + hessian.T)
    scale = np.sqrt(np.abs(np.diag(symmetric)))
    # NaN fails the first comparison: where an expectation is not positive there is no gradient
    if (
        not (scale > 0.0).all()
        or not (np.linalg.eigvalsh(symmetric / np.outer(scale, scale)) >= _FLAT).all()
    ):
        raise FitError("2NLL is flat at the best fit in some direction: the fit has no errors")
    matrix[np.ix_(index, index)] = np.linalg.inv(symmetric)
    return matrix


def uncertainties(
    problem: Problem, best: FloatArray, lowest: float
) -> tuple[FloatArray, tuple[str, ...]]:
    """Return the covariance of a fit, (P, P), and notes on parameters at a bound.

    Where something is at a bound the others' errors at the minimum are those of a fit that holds
    it there, which may be far too small. All errors then come from profiles: half the width of
    where 2NLL is within 1 of its minimum, and the whole width for what is at its bound. The
    correlations stay those of the curvature.
    """
    matrix, names = covariance(problem, best), problem.engine.compiled.names
    stuck = at_bounds(problem, best)
    if not stuck:
        return matrix, ()
    sigma = np.sqrt(np.clip(np.diag(matrix), 0.0, None))
    widths = sigma.copy()
    half = 1.0 / np.sqrt(np.clip(np.diag(problem.engine.compiled.fisher(best)), 1e-300, None))
    profiler = replace(problem.profiler(), starts=best[np.newaxis])
    for i in np.flatnonzero(profiler.free):
        guess = float(sigma[i] if sigma[i] > 0.0 else half[i])
        width = _distances(replace(profiler, index=int(i)), best, lowest, guess).sum()
        widths[i] = width if i in stuck else 0.5 * width
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = np.where(sigma > 0.0, widths / sigma, 0.0)
    matrix = matrix * np.outer(ratio, ratio)
    matrix[stuck, stuck] = widths[list(stuck)] ** 2
    return matrix, tuple(
        Caveat(
            f"{names[i]} is at its bound {best[i]:.4g}: its error goes to one side; here all "
            "errors are (half) the widths of where the profile of 2NLL is within 1 of its minimum"
        )
        for i in stuck
    )


def _distances(
    profiler: ModelProfiler, best: FloatArray, lowest: float, guess: float
) -> FloatArray:
    """How far below and above the best fit the profile rises by 1, (2,); to the bound at most.

    From an error of the curvature a step is d/sqrt(rise), which is exact for a parabola and
    converges for a slope; between a point above and one below it stays.
    """
    value = float(best[profiler.index])
    sides = np.array([-1.0, 1.0])
    room = np.abs(profiler.engine.compiled.bounds[profiler.index] - value)
    low, high = np.zeros(2), np.full(2, np.inf)
    distance = np.minimum(guess, room)
    for _ in range(_ITERATIONS):
        rise = profiler.at(value + sides * distance) - lowest
        above = ~(rise < 1.0)  # where no fit converges the profile ends
        low, high = np.where(above, low, distance), np.where(above, distance, high)
        done = (np.abs(rise - 1.0) < _CLOSE) | ((distance >= room) & ~above) | (high - low <= 0.0)
        if done.all():
            break
        with np.errstate(divide="ignore", invalid="ignore"):
            step = distance / np.sqrt(rise)
        middle = np.where(np.isfinite(high), 0.5 * (low + high), 3.0 * distance)
        good = np.isfinite(step) & (step > low) & (step < high)
        distance = np.where(done, distance, np.minimum(np.where(good, step, middle), room))
    return np.asarray(distance)


def correlation(names: tuple[str, ...], matrix: FloatArray) -> Correlation:
    """Return the P names and the correlations of a covariance (P, P) as plain data."""
    errors = np.sqrt(np.clip(np.diag(matrix), 0.0, None))
    scale = np.where(errors > 0, errors, 1.0)
    return {"names": list(names), "matrix": (matrix / np.outer(scale, scale)).round(12).tolist()}


def counts(
    problem: Problem, best: FloatArray, matrix: FloatArray
) -> dict[str, tuple[float, float, float]]:
    """Expected and fitted events of every process, with the error from the covariance (P, P)."""
    found, scale = {}, problem.description.scale
    for process in problem.description.processes:
        part = problem.component(process)
        before = float((part.expected(part.inits) / scale).sum())
        fitted = float((part.expected(best) / scale).sum())
        slope = (part.jacobian(best) / scale).sum(axis=-1)
        found[process] = (before, fitted, float(np.sqrt(max(slope @ matrix @ slope, 0.0))))
    return found
