"""Feldman-Cousins regions of two parameters with profiled nuisances.

The grid is that of the asymptotic contour. Where 2NLL is near enough to its minimum the part of
the toys below the data gives the t of chi2 with the same probability; what that adds to the
data's t is averaged over neighbours, and the boundaries are the lines where the sum is that of
the level.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

import contourpy
import numpy as np
from numpy.typing import NDArray

from nuhf.arrays import FloatArray
from nuhf.errors import FitError, InputError
from nuhf.stats.contour import ContourResult, contour
from nuhf.stats.explore import explored
from nuhf.stats.intervals import intervals, threshold
from nuhf.stats.problem import Problem
from nuhf.toys.problem import (
    asked,
    check_engine,
    conditional,
    start_values,
    toy_setup,
)
from nuhf.toys.sample import (
    Task,
    ToyOptions,
    blocks,
    converged_only,
    critical_value,
    probability_below,
)
from nuhf.toys.session import session

BoolArray = NDArray[np.bool_]

#: Toys are made where t is below this many times the highest asymptotic threshold.
_REACH: Final = 1.5
#: Width of the average over neighbours, in grid cells.
_WIDTH: Final = 0.7
_MOST_POINTS: Final = 100
DEFAULT_TOYS: Final = 500
"""Toys per grid point if nobody says how many."""


def region(
    problem: Problem,
    levels: Sequence[float],
    points: int,
    method: str,
    toys: ToyOptions | None,
    window: Sequence[tuple[float, float]] | None = None,
) -> ContourResult:
    """Find the regions of two parameters, by ``delta-chi2`` or ``feldman-cousins``.

    `InputError` if the method is unknown, or toys do not go with it; `FitError` if fits fail or the
    region is not closed.
    """
    if method not in ("delta-chi2", "feldman-cousins"):
        raise InputError(f"no contour by '{method}'; allowed: delta-chi2, feldman-cousins")
    if method == "feldman-cousins":
        if window is not None:
            raise InputError("feldman-cousins finds its own window: give none")
        return feldman_cousins_contour(problem, levels, points, toys or ToyOptions(DEFAULT_TOYS))
    if toys is not None:
        raise InputError("toys: the method delta-chi2 makes none, feldman-cousins does")
    return contour(problem, levels, points, window)


def feldman_cousins_contour(
    problem: Problem, levels: Sequence[float], points: int, options: ToyOptions
) -> ContourResult:
    """Find the regions of the parameter of interest (x) and the first profiled one (y) with toys.

    All ``levels`` use the same toys, on ``points`` grid points along each axis. `InputError` if a
    level, the number of points or an option is not allowed; `FitError` if fits fail or the region
    is not closed.
    """
    check_engine(problem)
    levels = sorted(set(levels))
    if not 10 <= points <= _MOST_POINTS:
        raise InputError(f"points = {points}: between 10 and {_MOST_POINTS} are possible with toys")
    problem = explored(problem)
    reach = _REACH * threshold(levels[-1], 2)
    # this level only sets the grid's range
    base = contour(problem, [-float(np.expm1(-reach / 2))], points)
    inside = np.where(np.isfinite(base.delta), base.delta, np.inf) <= reach
    values = _values(problem, base, inside)
    shift, lost = _shift(problem, base, values, inside, levels, options)
    lines = [_lines(base, inside, shift, threshold(level, 2)) for level in levels]
    number = int(inside.sum()) * options.toys
    note = (
        f"Feldman-Cousins with {options.toys} toys at each of {int(inside.sum())} grid points, "
        f"seed {options.seed}; {lost} of {number} toys without a converged fit; averaged over "
        "neighbouring grid points"
    )
    return replace(
        base,
        regions=tuple(zip(levels, lines, strict=True)),
        notes=(*base.notes, note),
        method="feldman-cousins",
    )


def _values(problem: Problem, base: ContourResult, inside: BoolArray) -> FloatArray:
    """Fit parameters (n, 2) of the grid points inside, row by row."""
    first, second = (c.parameter for c in problem.description.couplings[:2])
    rows, columns = np.nonzero(inside)
    x = [first.to_fit(float(base.x[i])) for i in columns]
    return np.array([x, [second.to_fit(float(base.y[j])) for j in rows]]).T


def _shift(
    problem: Problem,
    base: ContourResult,
    values: FloatArray,
    inside: BoolArray,
    levels: Sequence[float],
    options: ToyOptions,
) -> tuple[FloatArray, int]:
    """What toys add to t on the grid (m, n), NaN outside, and toys lost.

    The part of the toys below the data's t belongs to a t of chi2 with two degrees of freedom; the
    difference is smooth on the grid, and right for every level, also where counts make steps.
    """
    found = intervals(problem.profiler(), problem.span(), levels[-1])
    setup = toy_setup(problem, start_values(problem, found), pair=True)
    truths, _ = conditional(problem, setup.indices, values)
    tasks: list[Task] = []
    per = 0
    for k, (truth, value) in enumerate(zip(truths, values, strict=True)):
        task = {"kind": "statistic", "truth": truth.tolist(), "values": value.tolist()}
        made = blocks(task, options.toys, [options.seed, k])
        tasks, per = tasks + made, len(made)
    # the grid belongs to the digest
    grid = {"grid": values.tolist(), "levels": list(levels)}
    with session(setup, options, asked(problem, 0.0, "contour") | grid) as opened:
        results = opened.map(tasks)
    shift, lost = np.full(inside.shape, np.nan), 0
    for k, (j, i) in enumerate(np.argwhere(inside)):
        toys, failed = converged_only(results[k * per : (k + 1) * per])
        lost += failed
        critical_value(toys, max(levels))  # refuses too few toys
        t = float(base.delta[j, i])
        part, _ = probability_below(toys, t)
        edge = 0.5 / len(toys)
        shift[j, i] = -2.0 * np.log1p(-np.clip(part, edge, 1.0 - edge)) - t
    if lost > 0.01 * options.toys * len(values):
        raise FitError(f"{lost} of {options.toys * len(values)} toys did not converge")
    return shift, lost


def _lines(
    base: ContourResult, inside: BoolArray, shift: FloatArray, level: float
) -> tuple[FloatArray, ...]:
    """Lines (n, 2) in base units where t with its shift is ``level``."""
    from scipy.ndimage import gaussian_filter  # here: limits do without

    weight = gaussian_filter(inside.astype(float), _WIDTH)
    total = gaussian_filter(np.where(inside, shift, 0.0), _WIDTH)
    # outside there are no toys, and t is far above what they could give
    smooth = np.where(inside, total / np.maximum(weight, 1e-12), 0.0)
    height = np.where(np.isfinite(base.delta), base.delta, 1e6) + smooth - level
    # unit square: the base units are tiny numbers; capped: t is steep far away
    unit = np.linspace(0.0, 1.0, len(base.x)), np.linspace(0.0, 1.0, len(base.y))
    generator = contourpy.contour_generator(*unit, np.minimum(height, 10.0))
    axes = tuple(zip(unit, (base.x, base.y), strict=True))
    return tuple(
        np.stack([np.interp(line[:, k], *axes[k]) for k in range(2)], axis=1)
        for line in (np.asarray(found) for found in generator.lines(0.0))
    )
