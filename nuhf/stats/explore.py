"""Starts of profile fits that the nominal nuisances miss, and ranges that are too short.

Large, non-linear variations give the likelihood several minima in the nuisances. Fits from both
sides of the largest of them, on a coarse grid of the parameter of interest, and from the solutions
of neighbouring points find the branches; those that are deeper become starts of every fit.
"""

from dataclasses import replace
from itertools import product
from typing import Final

import numpy as np
from numpy.typing import NDArray

from nuhf.arrays import FloatArray
from nuhf.errors import Caveat, FitError, OpenRegionError
from nuhf.histfactory.describe import Coupling
from nuhf.likelihood.engines import CompiledEngine, ModelProfiler, engine
from nuhf.likelihood.evaluate import CompiledModel
from nuhf.stats.intervals import ProfileIntervals, ScanRange, intervals, threshold
from nuhf.stats.problem import Problem, native_reference
from nuhf.workspaces import encode

BoolArray = NDArray[np.bool_]

_SIDES: Final = (-1.5, 1.5)
_SIDED: Final = 2
"""Nuisances that are started on both sides, the most non-linear ones."""
_BENT: Final = 1.0
"""Square of the bend of a nuisance, in statistical errors, from which it counts."""
_POINTS: Final = 17
_THIN: Final = 3
_HIGH: Final = 60.0
"""2NLL above the lowest up to which a value may belong to the interval of a deeper branch."""
_NEAR: Final = 25.0
"""2NLL above the lowest up to which a branch may hold an end."""
_SWEEPS: Final = 6
_DEEPER: Final = 1e-3
_UNDERCUT: Final = 0.01
"""2NLL by which another minimum in the nuisances must be deeper to move an end."""
_MOST: Final = 4
_APART: Final = 0.7
"""Nuisances, in standard deviations, from which two solutions are two branches."""
_WIDER: Final = 4.0


def nuisance_starts(compiled: CompiledModel, start: FloatArray, free: BoolArray) -> FloatArray:
    """Return starts (n, P) on both sides of the most non-linear nuisances; none if all are linear.

    The bend of a nuisance is what its shifts up and down do together, per bin in units of the
    statistical error.
    """
    candidates = [int(i) for i in compiled.constraints.normal_param if free[i]]
    if not candidates:
        return np.zeros((0, len(start)))
    shifted = np.repeat(start[np.newaxis], 2 * len(candidates) + 1, axis=0)
    for k, i in enumerate(candidates):
        low, high = compiled.bounds[i]
        shifted[2 * k + 1, i] = min(start[i] + 1.0, high)
        shifted[2 * k + 2, i] = max(start[i] - 1.0, low)
    expected = compiled.expected(shifted)
    nominal = np.maximum(expected[0], 1.0)
    bend = expected[1::2] + expected[2::2] - 2.0 * expected[0]
    with np.errstate(over="ignore"):  # beyond all numbers: bent
        size = np.nan_to_num((bend**2 / nominal).sum(axis=1))
    order = [k for k in np.argsort(-size)[:_SIDED] if size[k] > _BENT]
    points = []
    for sides in product(_SIDES, repeat=len(order)):
        point = start.copy()
        for k, side in zip(order, sides, strict=True):
            i = candidates[int(k)]
            point[i] = np.clip(start[i] + side, *compiled.bounds[i])
        points.append(point)
    return np.array(points) if order else np.zeros((0, len(start)))


def branches(
    profiler: ModelProfiler, values: FloatArray, scan: FloatArray | None = None
) -> FloatArray:
    """Return starts (n, P) that lead deeper than the profiler's own ones, the best few.

    They are looked for at values (m,) of the parameter in increasing order; ``scan`` is 2NLL (m,)
    of the profiler there, where that is known.
    """
    compiled, index = profiler.engine.compiled, profiler.index
    starts = nuisance_starts(compiled, profiler.starts[0], profiler.free)
    if not len(starts):
        return starts
    coarse = values[::_THIN]
    heights = profiler.at(coarse) if scan is None else scan[::_THIN]
    if not np.isfinite(heights).any():
        return starts[:0]  # no fit converged: whoever asks for the profile says so
    grid = _where(coarse, heights)
    points, heights = profiler.fits_at([index], grid[:, np.newaxis])
    nominal = heights.copy()
    quick = CompiledEngine(profiler.engine.reference, compiled, again=False)
    sided = replace(profiler, engine=quick, starts=starts)
    found, lower = sided.fits_at([index], grid[:, np.newaxis])
    better = lower < heights - _DEEPER
    points[better], heights[better] = found[better], lower[better]
    held = profiler.free.copy()
    held[index] = False
    moved = np.ones(len(grid), dtype=bool)
    for _ in range(_SWEEPS):
        before = heights.copy()
        for step in (1, -1):
            # from neighbours that moved; the ends have none on one side
            to = np.flatnonzero(np.roll(moved, step))
            to = to[to != (0 if step == 1 else len(grid) - 1)]
            if not len(to):
                continue
            near = points[to - step].copy()
            near[:, index] = grid[to]
            made, value = quick.minimise(profiler.data, near, held)
            deeper = value < heights[to] - _DEEPER
            points[to[deeper]], heights[to[deeper]] = made[deeper], value[deeper]
        moved = heights < before
        if not moved.any():
            break
    fitted = np.isfinite(nominal) & np.isfinite(heights)
    gain = np.subtract(nominal, heights, where=fitted, out=np.zeros(len(grid)))
    others = np.flatnonzero(held)
    chosen: list[int] = []
    highest = np.nanmin(heights) + _NEAR
    for i in np.argsort(heights):
        apart = all(np.abs(points[i] - points[j])[others].max() > _APART for j in chosen)
        if gain[i] > _DEEPER and apart and heights[i] < highest:
            chosen.append(int(i))
    return points[chosen[:_MOST]]


def deeper_starts(
    problem: Problem, profiler: ModelProfiler, scan: FloatArray | None = None
) -> FloatArray:
    """Return the starts of `branches` in the range of a problem, found with compiled fits."""
    if problem.options.engine != "compiled":
        profiler = replace(profiler, engine=engine("compiled", problem.engine.reference))
    return branches(profiler, problem.span().grid(), scan)


def explored(problem: Problem, scan: FloatArray | None = None) -> Problem:
    """Start all fits on every branch of the nuisances that is deeper somewhere, if not done.

    ``scan`` is 2NLL on the grid of the range, where that is known.
    """
    if problem.seeds is not None:
        return problem
    return replace(problem, seeds=deeper_starts(problem, problem.profiler(), scan))


def best_fit(problem: Problem) -> tuple[FloatArray, float]:
    """Return the parameters (P,) and 2NLL of the deepest free fit, from several starts."""
    coupling = problem.description.couplings[0]
    steps = np.array([0.0, -0.1, 0.1]) * (coupling.high - coupling.low)
    far = np.array([-0.2, 0.0, 0.2]) * coupling.high
    seeds = np.clip([*(coupling.init + steps), *far], coupling.low, coupling.high)
    return explored(problem).profiler().best(np.unique(seeds))


def region(
    profiler: ModelProfiler,
    span: ScanRange,
    cl: float,
    scan: FloatArray | None = None,
    open_ends: bool = False,
) -> tuple[ProfileIntervals, FloatArray]:
    """Return the interval, whose best fit and ends no side of the nuisances undercuts.

    Between the points where `branches` looks, fits from nominal nuisances may fall into either of
    two minima; then the search is made again with fits from all sides. Those starts (n, P), mostly
    none, are returned, too. ``scan``, ``open_ends`` and errors are those of
    `nuhf.stats.intervals.intervals`.
    """
    starts = nuisance_starts(profiler.engine.compiled, profiler.starts[0], profiler.free)
    try:
        found = intervals(profiler, span, cl, scan=scan, open_ends=open_ends)
    except OpenRegionError:
        raise
    except FitError:
        if not len(starts):
            raise
    else:
        ends = np.ravel(found.pieces)
        values = np.append(ends, found.best.value)
        heights = np.full(len(values), found.best.twice_nll)
        heights[:-1] += np.where(np.isin(ends, [span.low, span.high]), np.nan, threshold(cl))
        deeper = np.zeros(len(values), dtype=bool)
        if len(starts):
            sided = replace(profiler, starts=starts)
            points, lower = sided.fits_at([profiler.index], values[:, np.newaxis])
            deeper = lower < heights - _UNDERCUT
        if not deeper.any():
            return found, starts[:0]
        starts = np.vstack([points[deeper], starts])
    seeded = replace(profiler, starts=np.vstack([profiler.starts, starts]))
    return intervals(seeded, span, cl, open_ends=open_ends), starts


def _where(coarse: FloatArray, heights: FloatArray) -> FloatArray:
    """Values to look at: everywhere a few, more where the profile is low."""
    near = np.flatnonzero(heights < np.nanmin(heights, initial=np.inf) + _HIGH)
    if not len(near):
        return coarse
    low, high = coarse[max(near[0] - 1, 0)], coarse[min(near[-1] + 1, len(coarse) - 1)]
    return np.union1d(coarse[::_THIN], np.linspace(low, high, _POINTS))


def range_notes(problem: Problem, found: ProfileIntervals, cl: float) -> tuple[str, ...]:
    """Say where the data set no end, and where the profile still falls at the end of the range.

    A range asked for has its own note.
    """
    show = problem.parameter.show
    notes = [
        f"the data set no {'upper' if end > found.best.value else 'lower'} end: 2NLL is "
        f"{height:.3g} above its minimum at {show(end)}, where the range ends, and "
        f"{threshold(cl):.3g} would end the interval"
        for end, height in found.open_ends.items()
    ]
    if found.falling and problem.options.bracket is None:
        where = " and ".join(show(end) for end in found.falling)
        notes.append(
            f"the profile falls towards the end of the range searched, {where}: a piece of the "
            "interval beyond would be missed"
        )
    return tuple(Caveat(note) for note in notes)


def widened(problem: Problem) -> Problem | None:
    """Return the problem with ranges four times as wide; None where the model ends.

    The range of a parameter ends the model where the catalogue or an analysis says so, and that
    of a file where the file says so.
    """
    if not problem.experiments:  # the description of a file is no whole model
        return None
    limited = {name for one in problem.experiments for name in one.loaded.analysis.limits}

    def wider(coupling: Coupling) -> Coupling:
        if coupling.parameter.limits is not None or coupling.parameter.name in limited:
            return coupling
        return replace(coupling, low=_WIDER * coupling.low, high=_WIDER * coupling.high)

    couplings = tuple(wider(coupling) for coupling in problem.description.couplings)
    if couplings[0] == problem.description.couplings[0] or problem.options.bracket is not None:
        return None
    description = replace(problem.description, couplings=couplings)
    spec = encode.native(description)
    chosen = engine(problem.options.engine, native_reference(spec))
    return replace(problem, spec=spec, description=description, engine=chosen)
