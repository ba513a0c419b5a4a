"""Feldman-Cousins intervals with profiled nuisances, in one and two dimensions.

At each tested value the nuisances are fitted to the data, toys are made there, and the value is
accepted where fewer than ``cl`` of them have a smaller ``t`` than the data. Sources: G. J.
Feldman, R. D. Cousins, Phys. Rev. D 57, 3873 (1998), arXiv:physics/9711021; profiled nuisances
as in A. Acero et al. (NOvA), arXiv:2207.14353.

Every tested value has its own random numbers. Around an end more toys are made at one value, and
weighted for others near it, so that the part of them below the data is one function; with counts
it has steps. The error of this part is binomial, and that of an end is how far it moves the end.
New toys follow until the values reach as far as that error. A few bins without nuisances need no
toys (`nuhf.toys.exact`).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from nuhf.arrays import FloatArray
from nuhf.errors import FitError, OpenRegionError
from nuhf.stats.explore import explored
from nuhf.stats.intervals import ProfileIntervals, ScanRange, intervals, threshold
from nuhf.stats.problem import Problem
from nuhf.toys.ends import end_with_error
from nuhf.toys.exact import exact_region
from nuhf.toys.problem import asked, check_engine, conditional, start_values, toy_setup
from nuhf.toys.sample import (
    TIE,
    Task,
    ToyOptions,
    blocks,
    converged_only,
    critical_value,
    probability_below,
)
from nuhf.toys.session import BACKEND, Session, session
from nuhf.toys.strata import part_below, strata

#: The first grid covers t up to this many times the asymptotic threshold, plus 2.
_REACH: Final = 2.0
_MARGIN: Final = 2.0
#: Toys for an end, in units of those for a tested value, values around it, and rounds at most.
_MORE: Final = 3
_AROUND: Final = 9
_ROUNDS: Final = 5
#: Errors of an end that its values reach on either side: wanted, at least, at most.
_WINDOW: Final = 3.0
_NARROW: Final = 2.0
_WIDE: Final = 5.0
#: Of toys that may be lost to fits without convergence.
_LOST: Final = 0.01
_NOISE: Final = 2.0


@dataclass(frozen=True)
class ScannedValues:
    """Tested values in the fit parameter, in increasing order, (n,) each.

    ``statistic`` is t of the data, ``critical`` the critical value of the toys with its statistical
    ``error``; ``below`` the part of the toys with a smaller t than the data, with its binomial
    error; ``inside`` tells whether t is not above the critical value.
    """

    values: FloatArray
    statistic: FloatArray
    critical: FloatArray
    error: FloatArray
    below: FloatArray
    below_error: FloatArray
    inside: NDArray[np.bool_]


@dataclass(frozen=True)
class Construction:
    """A one-dimensional region, in the fit parameter.

    ``found`` are minima and asymptotic intervals of the data, ``pieces`` the accepted intervals
    with the statistical ``errors`` of their ends (0 at a physical boundary), ``tested`` the
    critical values behind them. ``unconverged`` of the toys are left out; ``merged`` values were
    counted with their neighbours, since their verdict was within noise.
    """

    found: ProfileIntervals
    pieces: tuple[tuple[float, float], ...]
    errors: tuple[tuple[float, float], ...]
    tested: ScannedValues
    unconverged: int
    toys: int
    merged: int


@dataclass(frozen=True)
class _Tester:
    """Tests values; keeps count of toys in a list, since results are bound to their order."""

    problem: Problem
    session: Session
    options: ToyOptions
    indices: tuple[int, ...]
    lowest: float
    cl: float

    def data(self, points: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Parameters (n, P) and t (n,) of the data at points (n, k)."""
        parameters, heights = conditional(self.problem, self.indices, points)
        return parameters, np.maximum(heights - self.lowest, 0.0)

    def curve(self, value: float) -> float:
        """Return t of the data at one value."""
        return float(self.data(np.array([[value]]))[1][0])

    def test(self, values: FloatArray) -> tuple[ScannedValues, int]:
        """Test values (n,), and count the toys lost."""
        parameters, t = self.data(values[:, np.newaxis])
        tasks: list[Task] = []
        per = 0
        for i, (truth, value) in enumerate(zip(parameters, values, strict=True)):
            base = {"kind": "statistic", "truth": truth.tolist(), "values": [float(value)]}
            made = blocks(base, self.options.toys, [self.options.seed, i])
            tasks, per = tasks + made, len(made)
        results = self.session.map(tasks)
        rows, lost = [], 0
        for i, value in enumerate(values):
            toys, failed = converged_only(results[i * per : (i + 1) * per])
            lost += failed
            if failed > _LOST * len(toys):
                raise FitError(f"{failed} of {len(toys)} toys did not converge at {value}")
            critical = critical_value(toys, self.cl)
            inside = t[i] <= critical[0] + TIE
            rows.append((*critical, *probability_below(toys, float(t[i])), inside))
        columns = [np.asarray(column) for column in zip(*rows, strict=True)]
        return ScannedValues(values, t, *columns), lost

    def below(
        self, groups: Sequence[FloatArray], first: int
    ) -> tuple[list[tuple[FloatArray, FloatArray]], int]:
        """Part of toys below the data at groups of values, with errors, and toys lost.

        Each group has toys of its middle value, numbered from ``first``, with weights elsewhere.
        """
        tasks: list[Task] = []
        splits = []
        per, compiled = 0, self.problem.engine.compiled
        for i, values in enumerate(groups):
            middle = 0.5 * (values[0] + values[-1])
            truth, _ = self.data(np.array([[middle]]))
            truths, t = self.data(values[:, np.newaxis])
            # a fit may end a little below zero in an empty bin, which has no toys
            means = np.maximum(compiled.expected(np.vstack([truth, truths])), 0.0).sum(axis=1)
            edges = strata(float(means[0]), _MORE * self.options.toys)
            splits.append((edges, means[1:]))
            base = {
                "kind": "below", "truth": truth[0].tolist(), "truths": truths.tolist(),
                "values": [[float(v)] for v in values], "observed": t.tolist(), "edges": edges,
            }  # fmt: skip
            made = blocks(base, _MORE * self.options.toys, [self.options.seed, first + i])
            tasks, per = tasks + made, len(made)
        results = self.session.map(tasks)
        found, lost = [], 0
        for i in range(len(groups)):
            blocks_of = results[i * per : (i + 1) * per]
            failed = sum(int(block["lost"]) for block in blocks_of)
            lost += failed
            if failed > _LOST * _MORE * self.options.toys:
                raise FitError(f"{failed} toys did not converge around {groups[i].tolist()}")
            found.append(part_below(blocks_of, *splits[i]))
        return found, lost


def construct(problem: Problem, cl: float, options: ToyOptions) -> Construction:
    """Find the Feldman-Cousins region of the parameter of interest with toys.

    `InputError` if an option is not allowed; `FitError` if fits fail, or the region is not closed.
    """
    check_engine(problem)
    problem = explored(problem)
    span = problem.span()
    found = intervals(problem.profiler(), span, cl)
    setup = toy_setup(problem, start_values(problem, found))
    index, best = setup.indices[0], found.best.twice_nll
    with session(setup, options, asked(problem, cl, "feldman-cousins")) as open_session:
        tester = _Tester(problem, open_session, options, (index,), best, cl)
        reach = _REACH * threshold(cl) + _MARGIN
        grid = _grid(problem, found, reach, options.points)
        tested, lost = tester.test(grid)
        inside, merged = _verdicts(tested, cl)
        _closed(problem, span, grid, inside)
        cells = np.flatnonzero(inside[1:] != inside[:-1])
        ends, more, also_lost = _ends(tester, grid, cells, inside[cells])
    if inside[0]:
        ends.insert(0, (span.low, 0.0))
    pairs = list(zip(ends[::2], ends[1::2], strict=True))
    return Construction(
        found=found,
        pieces=tuple((low[0], high[0]) for low, high in pairs),
        errors=tuple((low[1], high[1]) for low, high in pairs),
        tested=tested,
        unconverged=lost + also_lost,
        toys=(len(grid) + _MORE * more) * options.toys,
        merged=merged,
    )


def _closed(problem: Problem, span: ScanRange, grid: FloatArray, inside: NDArray[np.bool_]) -> None:
    """Refuse (`FitError`) a region that reaches an end that is no physical boundary."""
    if inside[-1] or (inside[0] and not (span.physical_low and grid[0] == span.low)):
        end = grid[-1] if inside[-1] else grid[0]
        raise OpenRegionError(
            f"the region reaches {problem.parameter.show(float(end))}, the end of the tested "
            "values: it is not closed, or the range searched is too narrow"
        )


def _ends(
    tester: _Tester, grid: FloatArray, cells: NDArray[np.intp], rises: NDArray[np.bool_]
) -> tuple[list[tuple[float, float]], int, int]:
    """Ends with errors in cells of the grid, groups of toys made, and toys lost.

    Every round has toys of its own at values around each end, until these reach about as far as
    its error: farther away their weights would be poor, nearer they would choose the end.
    """
    # no end moves beyond the middle between its cell and the next one
    limits = [grid[0], *(0.5 * (grid[cells[:-1] + 1] + grid[cells[1:]])), grid[-1]]
    middles, widths = 0.5 * (grid[cells] + grid[cells + 1]), grid[cells + 1] - grid[cells]
    ends = [(0.0, 0.0)] * len(cells)
    left, made, lost = list(range(len(cells))), 0, 0
    known = [np.zeros((3, 0))] * len(cells)
    for _ in range(_ROUNDS):
        groups = [
            np.linspace(
                max(middles[i] - widths[i], limits[i]), min(middles[i] + widths[i], limits[i + 1]),
                _AROUND,
            )
            for i in left
        ]  # fmt: skip
        if not groups:
            break
        found, more = tester.below(groups, len(grid) + made)
        made, lost = made + len(groups), lost + more
        again = []
        for i, x, (part, error) in zip(left, groups, found, strict=True):
            distance = part - tester.cl if rises[i] else tester.cl - part
            known[i] = _joined(known[i], np.array([x, distance, error]))
            place, height, noise = known[i]
            end, spread = end_with_error(place, height, noise, 0.5 * float(x[0] + x[-1]))
            middles[i] = np.clip(end, limits[i], limits[i + 1])
            ends[i] = float(middles[i]), spread
            widths[i] = _WINDOW * spread
            reach = 0.5 * (x[-1] - x[0]) / spread
            if not (x[0] <= end <= x[-1] and _NARROW <= reach <= _WIDE):
                again.append(i)
        left = again
    return ends, made, lost


def _joined(old: FloatArray, new: FloatArray) -> FloatArray:
    """Rows of a curve (3, n), values first: the new ones, and beside them the old ones."""
    beside = (old[0] < new[0, 0]) | (old[0] > new[0, -1])
    both = np.hstack([old[:, beside], new])
    return both[:, np.argsort(both[0])]


def feldman_cousins(
    problem: Problem, cl: float, options: ToyOptions
) -> tuple[Construction, dict[str, Any], tuple[str, ...]]:
    """Return the construction, its plain record in base units, and notes for people."""
    summed = _summed(problem, cl)
    made = summed or construct(problem, cl, options)
    convert = problem.parameter.from_fit
    ends = [
        [float(abs(_slope(problem, end) * error)) for end, error in zip(piece, errors, strict=True)]
        for piece, errors in zip(made.pieces, made.errors, strict=True)
    ]
    record = {
        "exact": summed is not None,
        "toys": 0 if summed else options.toys,
        "seed": options.seed,
        "points": options.points,
        "toys_in_all": made.toys,
        "unconverged": made.unconverged,
        "end_errors": ends,
        "backend": "none" if summed else BACKEND,
        "curve": {
            "values": [convert(float(v)) for v in made.tested.values],
            "statistic": made.tested.statistic,
            "critical": made.tested.critical,
            "critical_error": made.tested.error,
            "below": made.tested.below,
            "below_error": made.tested.below_error,
        },
    }
    if summed:
        note = "Feldman-Cousins by the exact sum over all counts: no toys, no statistical error"
        return made, record, (note,)
    unit = "" if problem.parameter.unit == "1" else f" {problem.parameter.unit}"
    parts = " or ".join(f"{low:.2g}, {high:.2g}" for low, high in ends)
    notes = [
        f"Feldman-Cousins with {options.toys} toys at each of {len(made.tested.values)} values and "
        f"{_MORE * options.toys} at each end, seed {options.seed}; {made.unconverged} of "
        f"{made.toys} toys without a converged fit; statistical error of the ends {parts}{unit}"
    ]
    if made.merged:
        notes.append(
            f"{made.merged} tested values within the noise of the toys were counted with their "
            "neighbours; more toys would decide"
        )
    return made, record, tuple(notes)


def _summed(problem: Problem, cl: float) -> Construction | None:
    """The construction by summing over counts; None where that is not possible."""
    profiler, compiled = problem.profiler(), problem.engine.compiled
    span, index = problem.span(), profiler.index
    start, free = profiler.starts[0].copy(), profiler.free
    found = exact_region(compiled, problem.data, index, start, free, span, cl)
    if found is None:
        return None
    pieces, made = found
    values = np.unique(np.concatenate([np.linspace(pieces[0][0], pieces[-1][1], 41), *pieces]))
    t, below, critical = made.statistic(values)[:, 0], made.below(values), made.critical(values, cl)
    zero = np.zeros_like(values)
    tested = ScannedValues(values, t, critical, zero, below, zero, t <= critical + TIE)
    return Construction(
        found=intervals(profiler, span, cl),
        pieces=pieces,
        errors=tuple((0.0, 0.0) for _ in pieces),
        tested=tested,
        unconverged=0,
        toys=0,
        merged=0,
    )


def _slope(problem: Problem, value: float) -> float:
    """Derivative of the parameter by its fit parameter, infinite nowhere."""
    step = 1e-4 * max(abs(value), 1e-3)
    convert = problem.parameter.from_fit
    return (convert(value + step) - convert(value)) / step


def _grid(problem: Problem, found: ProfileIntervals, reach: float, points: int) -> FloatArray:
    """Values where t of the data is below ``reach``, spread evenly over all its pieces."""
    span = problem.span()
    coarse = np.union1d(span.grid(), [m.value for m in found.minima])
    heights = problem.profiler().at(coarse) - found.best.twice_nll
    near = np.where(np.isfinite(heights), heights, np.inf) <= reach
    near[1:-1] |= near[:-2] | near[2:]
    edges = np.flatnonzero(np.diff(np.concatenate([[False], near, [False]]).astype(int)))
    runs = [(coarse[a], coarse[b - 1]) for a, b in zip(edges[::2], edges[1::2], strict=True)]
    pieces = [_shrink(problem, found, run, reach) for run in runs if run[1] > run[0]]
    length = sum(high - low for low, high in pieces)
    numbers = [max(5, round(points * (high - low) / length)) for low, high in pieces]
    return np.concatenate(
        [np.linspace(low, high, n) for (low, high), n in zip(pieces, numbers, strict=True)]
    )


def _shrink(
    problem: Problem, found: ProfileIntervals, run: tuple[float, float], reach: float
) -> tuple[float, float]:
    """Cut what lies above ``reach`` off both ends of a coarse piece, on a finer grid."""
    fine = np.linspace(*run, 101)
    near = problem.profiler().at(fine) - found.best.twice_nll <= reach
    if not near.any():
        return run
    inside = np.flatnonzero(near)
    return float(fine[max(inside[0] - 1, 0)]), float(fine[min(inside[-1] + 1, 100)])


def _verdicts(tested: ScannedValues, cl: float) -> tuple[NDArray[np.bool_], int]:
    """Accepted values (n,), and how many were turned round.

    A run of equal verdicts within the noise, between two of the other kind, is no piece of its
    own: it takes the verdict of its neighbours.
    """
    inside = tested.inside.copy()
    clear = np.abs(tested.below - cl) > _NOISE * tested.below_error
    turned = 0
    while True:
        edges = [0, *(np.flatnonzero(inside[1:] != inside[:-1]) + 1), len(inside)]
        runs = list(pairwise(edges[1:-1]))
        weak = [(b - a, a, b) for a, b in runs if not clear[a:b].any()]
        if not weak:
            return inside, turned
        size, a, b = min(weak)
        inside[a:b] = ~inside[a:b]
        turned += size
