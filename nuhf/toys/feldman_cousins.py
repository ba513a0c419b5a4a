"""Feldman-Cousins intervals with profiled nuisances, in one and two dimensions.

At each tested value the nuisances are fitted to the data, toys are made there, and the value is
accepted where the data's ``t`` is not above the critical value of the toys'. Sources: G. J.
Feldman, R. D. Cousins, Phys. Rev. D 57, 3873 (1998), arXiv:physics/9711021; profiled nuisances
as in A. Acero et al. (NOvA), arXiv:2207.14353.

Every tested value has its own random numbers. Values that bracket an end get company there, the
critical values around it are fitted by a line, and the end is where the data's ``t``, known
exactly, meets the line.
"""

from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq

from nuhf.errors import FitError
from nuhf.stats.intervals import ProfileIntervals, ScanRange, intervals, threshold
from nuhf.stats.problem import Problem
from nuhf.toys.executors import Session, session
from nuhf.toys.problem import (
    asked,
    check_engine,
    conditional,
    negative_note,
    start_values,
    toy_setup,
)
from nuhf.toys.sample import ToyOptions, blocks, converged_only, critical_value

__all__ = ["Construction", "Points", "construct", "feldman_cousins"]

FloatArray = NDArray[np.float64]

#: The first grid covers t up to this many times the asymptotic threshold, plus 2.
_REACH: Final = 2.0
_MARGIN: Final = 2.0
#: Where in a bracketing cell further values are placed, from its linear crossing.
_OFFSETS: Final = (-0.2, 0.0, 0.2)
#: Of toys that may be lost to fits without convergence.
_LOST: Final = 0.01
_NOISE: Final = 2.0


@dataclass(frozen=True)
class Points:
    """Tested values in the fit parameter, in increasing order, (n,) each.

    Attributes
    ----------
    values : ndarray
        The values.
    statistic : ndarray
        t of the data.
    critical, error : ndarray
        Critical value of the toys and its statistical error.
    """

    values: FloatArray
    statistic: FloatArray
    critical: FloatArray
    error: FloatArray

    def joined(self, other: "Points") -> "Points":
        """Return both together, sorted."""
        order = np.argsort(np.concatenate([self.values, other.values]), kind="stable")
        names = self.__dataclass_fields__
        parts = {n: np.concatenate([getattr(self, n), getattr(other, n)])[order] for n in names}
        return Points(**parts)


@dataclass(frozen=True)
class Construction:
    """A one-dimensional region, in the fit parameter.

    Attributes
    ----------
    found : ProfileIntervals
        Minima and asymptotic intervals of the data.
    pieces : tuple of (float, float)
        Accepted intervals.
    errors : tuple of (float, float)
        Statistical errors of their ends (0 at a physical boundary).
    tested : Points
        The critical values behind them.
    unconverged : int
        Toys without a converged fit, left out.
    unphysical : int
        Toys that fit best where bins expect less than -0.5 events in all.
    toys : int
        Toys altogether.
    merged : int
        Tested values counted with their neighbours, since their verdict was within noise.
    """

    found: ProfileIntervals
    pieces: tuple[tuple[float, float], ...]
    errors: tuple[tuple[float, float], ...]
    tested: Points
    unconverged: int
    unphysical: int
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

    def critical(
        self, points: FloatArray, first: int
    ) -> tuple[FloatArray, FloatArray, NDArray[np.intp]]:
        """Statistic (n,), critical values with errors (n, 2); toys lost and unphysical (2,).

        The random numbers of the points are numbered from ``first``.
        """
        parameters, t = self.data(points)
        tasks, owners = [], []
        for i, (truth, point) in enumerate(zip(parameters, points, strict=True)):
            base = {"kind": "statistic", "truth": truth.tolist(), "values": point.tolist()}
            made = blocks(base, self.options.toys, [self.options.seed, first + i])
            tasks += made
            owners += [i] * len(made)
        results = self.session.map(tasks)
        found, lost = np.zeros((len(points), 2)), 0
        for i in range(len(points)):
            toys, failed = converged_only(
                [r for r, o in zip(results, owners, strict=True) if o == i]
            )
            lost += failed
            if failed > _LOST * len(toys):
                raise FitError(
                    f"{failed} of {len(toys)} toys did not converge at {points[i].tolist()}"
                )
            found[i] = critical_value(toys, self.cl)
        negative = sum(int(result["negative"]) for result in results)
        return t, found, np.array([lost, negative])


def construct(problem: Problem, cl: float, options: ToyOptions) -> tuple[Construction, str]:
    """Find the Feldman-Cousins region of the parameter of interest.

    Parameters
    ----------
    problem : Problem
        Model, data, parameter.
    cl : float
        Confidence level.
    options : ToyOptions
        Toys per value, values, seed, and who works.

    Returns
    -------
    Construction
        In the fit parameter.
    str
        pyhf backend and optimizer of the workers.

    Raises
    ------
    InputError
        If an option is not allowed.
    FitError
        If fits fail, or the region is not closed.
    """
    check_engine(problem)
    span = problem.span()
    found = intervals(problem.profiler(), span, cl)
    setup = toy_setup(problem, start_values(problem, found))
    index, best = setup.indices[0], found.best.twice_nll
    with session(setup, options, asked(problem, cl, "feldman-cousins")) as open_session:
        tester = _Tester(problem, open_session, options, (index,), best, cl)
        reach = _REACH * threshold(cl) + _MARGIN
        grid = _grid(problem, found, reach, options.points)
        tested, count, lost = _test(tester, grid, 0)
        inside, merged = _verdicts(tested)
        _closed(problem, span, grid, inside)
        cells = np.flatnonzero(inside[1:] != inside[:-1])
        refined, ends, count, also_lost = _refined(tester, tested, cells, count)
        backend = open_session.backend
    if inside[0]:
        ends.insert(0, (span.low, 0.0))
    pairs = list(zip(ends[::2], ends[1::2], strict=True))
    return (
        Construction(
            found=found,
            pieces=tuple((low[0], high[0]) for low, high in pairs),
            errors=tuple((low[1], high[1]) for low, high in pairs),
            tested=refined,
            unconverged=int(lost[0] + also_lost[0]),
            unphysical=int(lost[1] + also_lost[1]),
            toys=count * options.toys,
            merged=merged,
        ),
        backend,
    )


def _closed(problem: Problem, span: ScanRange, grid: FloatArray, inside: NDArray[np.bool_]) -> None:
    """Refuse (`FitError`) a region that reaches an end that is no physical boundary."""
    if inside[-1] or (inside[0] and not (span.physical_low and grid[0] == span.low)):
        end = grid[-1] if inside[-1] else grid[0]
        raise FitError(
            f"the region reaches {problem.parameter.show(float(end))}, the end of the tested "
            "values: it is not closed, or the range searched is too narrow"
        )


def _refined(
    tester: _Tester, tested: Points, cells: NDArray[np.intp], count: int
) -> tuple[Points, list[tuple[float, float]], int, NDArray[np.intp]]:
    """All points with further ones near the ends, the ends with errors, and counts of `_test`."""
    extra, refined, lost = _company(tested, cells), tested, np.zeros(2, dtype=np.intp)
    if len(extra):
        more, count, lost = _test(tester, extra, count)
        refined = tested.joined(more)
    ends = [_end_of_region(tester, refined, *tested.values[[c, c + 1]]) for c in cells]
    return refined, ends, count, lost


def feldman_cousins(
    problem: Problem, cl: float, options: ToyOptions
) -> tuple[Construction, dict[str, Any], tuple[str, ...]]:
    """Return the construction, its plain record in base units, and notes for people."""
    made, backend = construct(problem, cl, options)
    convert = problem.parameter.from_fit
    ends = [
        [float(abs(_slope(problem, end) * error)) for end, error in zip(piece, errors, strict=True)]
        for piece, errors in zip(made.pieces, made.errors, strict=True)
    ]
    record = {
        "toys": options.toys,
        "seed": options.seed,
        "points": options.points,
        "toys_in_all": made.toys,
        "unconverged": made.unconverged,
        "unphysical": made.unphysical,
        "end_errors": ends,
        "backend": backend,
        "curve": {
            "values": [convert(float(v)) for v in made.tested.values],
            "statistic": made.tested.statistic,
            "critical": made.tested.critical,
            "critical_error": made.tested.error,
        },
    }
    unit = "" if problem.parameter.unit == "1" else f" {problem.parameter.unit}"
    parts = " or ".join(f"{low:.2g}, {high:.2g}" for low, high in ends)
    notes = [
        f"Feldman-Cousins with {options.toys} toys at each of {len(made.tested.values)} values, "
        f"seed {options.seed}; {made.unconverged} of {made.toys} toys without a converged fit; "
        f"statistical error of the ends {parts}{unit}"
    ]
    if made.unphysical > _LOST * made.toys:
        notes.append(
            f"{100 * made.unphysical / made.toys:.1f} % of the toys fit best where bins expect "
            "fewer than 0 events, which the likelihood allows in bins without counts: critical "
            "values are higher and the interval wider for it"
        )
    if made.merged:
        notes.append(
            f"{made.merged} tested values within the noise of the toys were counted with their "
            "neighbours; more toys would decide"
        )
    index = problem.profiler().index
    notes += negative_note(problem, [index], made.tested.values[:, np.newaxis])
    return made, record, tuple(notes)


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


def _test(tester: _Tester, values: FloatArray, count: int) -> tuple[Points, int, NDArray[np.intp]]:
    """Test values (n,), numbered from ``count``; next number, toys lost and unphysical (2,)."""
    t, critical, lost = tester.critical(values[:, np.newaxis], count)
    return Points(values, t, critical[:, 0], critical[:, 1]), count + len(values), lost


def _verdicts(tested: Points) -> tuple[NDArray[np.bool_], int]:
    """Accepted values (n,), and how many were turned round.

    A run of equal verdicts within the noise, between two of the other kind, is no piece of its
    own: it takes the verdict of its neighbours.
    """
    distance = tested.statistic - tested.critical
    inside = distance <= 0.0
    clear = np.abs(distance) > _NOISE * tested.error
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


def _company(tested: Points, cells: NDArray[np.intp]) -> FloatArray:
    """Further values around the linear crossing of each bracketing cell."""
    extra = []
    for cell in cells:
        a, b = tested.values[cell], tested.values[cell + 1]
        x = _crossing(tested, cell)
        extra += [x + (b - a) * offset for offset in _OFFSETS]
    return np.asarray(np.clip(np.unique(extra), tested.values[0], tested.values[-1]))


def _crossing(tested: Points, cell: int) -> float:
    """Linear crossing of t - critical in a cell; its middle if turned verdicts leave none."""
    a, b = tested.values[cell], tested.values[cell + 1]
    da, db = (tested.statistic - tested.critical)[[cell, cell + 1]]
    return float(a + (b - a) * (da / (da - db) if da * db < 0 else 0.5))


def _end_of_region(tester: _Tester, tested: Points, low: float, high: float) -> tuple[float, float]:
    """Where t of the data meets the line through the critical values around it, and its error."""
    width = high - low
    near = (tested.values >= low - 1.001 * width) & (tested.values <= high + 1.001 * width)
    x, y = tested.values[near], tested.critical[near]
    noise = float(np.median(tested.error[near]))
    middle = 0.5 * (low + high)
    design = np.stack([np.ones_like(x), (x - middle) / width], axis=1)
    line, *_ = np.linalg.lstsq(design, y, rcond=None)
    covariance = noise**2 * np.linalg.pinv(design.T @ design)

    def above(value: float) -> float:
        return tester.curve(value) - float(line @ [1.0, (value - middle) / width])

    for a, b in ((low, high), (max(low - width, x[0]), min(high + width, x[-1]))):
        if above(a) * above(b) < 0.0:
            end = float(brentq(above, a, b, xtol=1e-6 * width))
            break
    else:
        cell = int(np.searchsorted(tested.values, low, side="right")) - 1
        end = _crossing(tested, cell)
    at = np.array([1.0, (end - middle) / width])
    left, right = max(end - 0.05 * width, float(tested.values[0])), end + 0.05 * width
    slope = abs(above(right) - above(left)) / (right - left)
    error = float(np.sqrt(at @ covariance @ at))
    return end, error / slope if slope > 0 else width
