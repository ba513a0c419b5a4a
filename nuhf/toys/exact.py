"""Constructions without toys: the sum over all counts that a few bins can have.

Without nuisances the distribution of a test statistic is a sum over data sets of known
probability. On counts it is a sum of steps, so that ends are located by bisection of the verdict.
Source of the construction: G. J. Feldman, R. D. Cousins, Phys. Rev. D 57, 3873 (1998); their
tables are lengthened by hand where a limit would rise with the background (their section IV.B),
and ours are not.
"""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.special import gammaln, xlogy

from nuhf.arrays import FloatArray
from nuhf.errors import FitError, OpenRegionError
from nuhf.likelihood.evaluate import CompiledModel
from nuhf.likelihood.fit import fit
from nuhf.stats.intervals import ScanRange, threshold
from nuhf.toys.sample import TIE

BoolArray = NDArray[np.bool_]

_MOST: Final = 20_000
"""Data sets that are summed; with more toys are faster."""
_MOST_BINS: Final = 4
_TAIL: Final = 1e-9
"""Probability that is left out on either side of a bin."""
_POINTS: Final = 800
_CELLS: Final = 1_000_000
"""Values times data sets that are worked on at once."""
_HALVINGS: Final = 60
_REACH: Final = 3.0
_WIDENINGS: Final = 6


@dataclass(frozen=True)
class Ensemble:
    """All data sets that matter, with what the free fit of each gives.

    ``data`` are (n, n_main + n_aux), the first the data themselves, which may be no counts;
    ``lowest`` and ``best`` (n,) are 2NLL and the value of the parameter ``index`` in the best fit
    of each. The other parameters of ``start`` (P,) are held.
    """

    compiled: CompiledModel
    start: FloatArray
    index: int
    data: FloatArray
    lowest: FloatArray
    best: FloatArray

    def point(self, values: FloatArray) -> FloatArray:
        """Parameters (m, P) at values (m,) of the parameter of interest."""
        return _at(self.start, self.index, values)

    def statistic(self, values: FloatArray, one_sided: bool = False) -> FloatArray:
        """Likelihood ratio t (m, n) of every data set at values (m,)."""
        heights = self.compiled.twice_nll(self.point(values)[:, np.newaxis], self.data)
        t = np.maximum(np.where(np.isfinite(heights), heights - self.lowest, np.inf), 0.0)
        return np.where(self.best > values[:, np.newaxis], 0.0, t) if one_sided else t

    def probability(self, values: FloatArray) -> FloatArray:
        """Probability (m, n) of every data set at values (m,); 0 for the data, the first."""
        expected = np.maximum(self.compiled.expected(self.point(values)), 0.0)[:, np.newaxis]
        counts = self.data[:, : self.compiled.n_main]
        logs = (xlogy(counts, expected) - expected - gammaln(counts + 1.0)).sum(axis=-1)
        logs[:, 0] = -np.inf
        return np.asarray(np.exp(logs))

    def below(self, values: FloatArray) -> FloatArray:
        """Probability (m,) at values of a smaller t than that of the data, ties not counted."""
        t = self.statistic(values)
        return np.asarray((self.probability(values) * (t < t[:, :1] - TIE)).sum(axis=1))

    def critical(self, values: FloatArray, cl: float) -> FloatArray:
        """Smallest t (m,) that at least ``cl`` of the probability is not above, at values."""
        t, p = self.statistic(values), self.probability(values)
        order = np.argsort(t, axis=1)
        total = np.cumsum(np.take_along_axis(p, order, axis=1), axis=1)
        place = np.minimum((total < cl - 1e-12).sum(axis=1), t.shape[1] - 1)
        return np.asarray(np.take_along_axis(t, order, axis=1)[np.arange(len(values)), place])


def _at(start: FloatArray, index: int, values: FloatArray) -> FloatArray:
    points = np.repeat(start[np.newaxis], len(values), axis=0)
    points[:, index] = values
    return points


def ensemble(
    compiled: CompiledModel,
    data: FloatArray,
    index: int,
    start: FloatArray,
    free: BoolArray,
    span: ScanRange,
    high: float,
    low: float,
) -> Ensemble | None:
    """Enumerate the data sets that values from ``low`` to ``high`` of a parameter can give.

    Auxiliary data are those of ``data`` in every data set. None if parameters other than ``index``
    float, or there are too many data sets.
    """
    if free.sum() != 1 or not free[index] or compiled.n_main > _MOST_BINS:
        return None
    values = np.union1d(np.linspace(low, high, 101), span.grid())
    tested = compiled.expected(_at(start, index, values[(values >= low) & (values <= high)]))
    tested = np.maximum(tested, 0.0)
    if not np.isfinite(tested).all():
        return None
    from scipy.stats import poisson  # here: loading scipy.stats takes longer than a limit

    first = poisson.ppf(_TAIL, tested.min(axis=0)).astype(int)
    last = poisson.isf(_TAIL, tested.max(axis=0)).astype(int)
    ranges = [np.arange(max(a, 0), max(a, b, 0) + 1) for a, b in zip(first, last, strict=True)]
    if np.prod([float(len(r)) for r in ranges]) > _MOST:
        return None
    counts = np.stack([axis.ravel() for axis in np.meshgrid(*ranges, indexing="ij")], axis=1)
    rows = np.repeat(data[np.newaxis], len(counts) + 1, axis=0)
    rows[1:, : compiled.n_main] = counts
    best, lowest = _best(compiled, rows, index, start, free, values)
    if not np.isfinite(lowest).all():
        return None
    return Ensemble(compiled, start, index, rows, lowest, best)


def _best(
    compiled: CompiledModel,
    rows: FloatArray,
    index: int,
    start: FloatArray,
    free: BoolArray,
    values: FloatArray,
) -> tuple[FloatArray, FloatArray]:
    """Best value and 2NLL (n,) of every data set: a grid first, which sees all minima."""
    points = _at(start, index, values)
    step = max(_CELLS // len(points), 1)
    heights = np.concatenate(
        [
            compiled.twice_nll(points, rows[i : i + step, np.newaxis])
            for i in range(0, len(rows), step)
        ]
    )
    heights = np.where(np.isnan(heights), np.inf, heights)
    cell = heights.argmin(axis=1)
    found = fit(compiled, rows, starts=points[cell], free=free)
    grid = heights[np.arange(len(rows)), cell]
    better = np.where(np.isnan(found.twice_nll), np.inf, found.twice_nll) <= grid
    value = np.where(better, found.parameters[:, index], values[cell])
    return value, np.where(better, found.twice_nll, grid)


def exact_region(
    compiled: CompiledModel,
    data: FloatArray,
    index: int,
    start: FloatArray,
    free: BoolArray,
    span: ScanRange,
    cl: float,
) -> tuple[tuple[tuple[float, float], ...], Ensemble] | None:
    """Find the Feldman-Cousins region of a model without nuisances, by summing over counts.

    Return accepted intervals, each end within 1e-15 of its width, and what was summed; None as
    `ensemble`. `FitError` if the region reaches an end of the range that is no physical boundary.
    """
    reach = _REACH * threshold(cl) + _REACH
    for _ in range(_WIDENINGS):
        low, high = _near(compiled, data, index, start, span, reach)
        made = ensemble(compiled, data, index, start, free, span, high, low)
        if made is None:
            return None
        pieces = _pieces(made, np.linspace(low, high, _POINTS), cl)
        open_low = pieces[0][0] == low and not (span.physical_low and low == span.low)
        if not open_low and pieces[-1][1] < high:
            return pieces, made
        if (not open_low or low == span.low) and high == span.high:
            break
        reach *= 2.0
    end = low if open_low else high
    raise OpenRegionError(
        f"the region reaches {span.show(end)}, the end of the tested values: it is not closed, or "
        "the range searched is too narrow"
    )


def _near(
    compiled: CompiledModel,
    data: FloatArray,
    index: int,
    start: FloatArray,
    span: ScanRange,
    reach: float,
) -> tuple[float, float]:
    """Ends of where t of the data is below ``reach``, on a grid, one point further."""
    low, high = span.low, span.high
    for _ in range(3):
        inner = ScanRange(low, high, span.physical_low)
        values = np.union1d(inner.grid(401), np.linspace(low, high, 401))
        heights = compiled.twice_nll(_at(start, index, values), data)
        near = np.flatnonzero(heights - np.nanmin(heights) <= reach)
        low = float(values[max(near[0] - 1, 0)])
        high = float(values[min(near[-1] + 1, len(values) - 1)])
    return low, high


def _pieces(made: Ensemble, values: FloatArray, cl: float) -> tuple[tuple[float, float], ...]:
    def accepted(value: float) -> bool:
        return bool(made.below(np.array([value]))[0] < cl)

    rows = max(_CELLS // len(made.data), 1)
    inside = np.concatenate([made.below(part) < cl for part in _split(values, rows)])
    edges = [0, *(np.flatnonzero(inside[1:] != inside[:-1]) + 1), len(values)]
    found = []
    for a, b in pairwise(edges):
        if inside[a]:
            low = values[0] if a == 0 else _edge(accepted, values[a], values[a - 1])
            high = values[-1] if b == len(values) else _edge(accepted, values[b - 1], values[b])
            found.append((float(low), float(high)))
    if not found:
        raise FitError("no value is accepted")
    return tuple(found)


def _split(values: FloatArray, rows: int) -> list[FloatArray]:
    return [values[first : first + rows] for first in range(0, len(values), rows)]


def _edge(accepted: Callable[[float], bool], inner: float, outer: float) -> float:
    """Return the last accepted value between one that is accepted and one that is not."""
    for _ in range(_HALVINGS):
        middle = 0.5 * (inner + outer)
        if middle in (inner, outer):
            break
        inner, outer = (middle, outer) if accepted(middle) else (inner, middle)
    return float(inner)
