"""Fits along one coupling, the axis, from which the proposal of importance sampling is made.

At *knots* along the axis everything else is fitted from every start, so that all conditional
minima are known. A knot's height in each minimum is the density there times the determinant of
the conditional Hessian (Laplace's marginal density). Where other couplings float, there are more
components beside the minima.
"""

from dataclasses import dataclass, fields, replace
from functools import cached_property
from itertools import product
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from nuhf.arrays import FloatArray
from nuhf.errors import FitError
from nuhf.stats.intervals import ScanRange
from nuhf.stats.log_density import LogDensity
from nuhf.stats.priors import CouplingAxis
from nuhf.stats.space import (
    JointMinimum,
    Space,
    curvature,
    minima,
    partial_fits,
    positive,
    space_of,
)

IntArray = NDArray[np.intp]

_KNOTS: Final = 200
_DEPTH: Final = 30.0
"""Log density below the maximum beyond which no draws are made: 1e-13 of the peak."""
_TEMPER: Final = 0.4
"""Power of the density that spreads the knots: more of them in the tails than draws."""
_SAME: Final = 0.1
"""Conditional minima closer than this, in standard deviations, are one."""
_AROUND: Final = np.linspace(-4.0, 4.0, 9)
"""Knots around every minimum, in its standard deviations along the axis."""
_SIDES: Final = np.array([-4.5, -3.0, -1.5, 1.5, 3.0, 4.5])
_WIDTH: Final = 0.8
"""Places beside a minimum and width there, in its standard deviations, along other couplings."""
_NEGLIGIBLE: Final = 10.0
"""Log mass below that of its knot at which a place beside a minimum is left out."""
_STARTS: Final = 81
"""Most starting points of a fit at a knot."""


@dataclass(frozen=True)
class Components:
    """Normals in everything but the axis, each at one of K knots along it."""

    knot: IntArray
    """Knot of each of the M components, (M,); of `Knots` in increasing order."""
    weight: FloatArray
    """Log weight of the components within their knot, (M,)."""
    centre: FloatArray
    slope: FloatArray
    """Their coordinates and how these change along the axis, (M, N - 1)."""
    triangle: FloatArray
    """Cholesky factor of their covariance, (M, N - 1, N - 1)."""
    log_det: FloatArray
    """Log determinant of their precision, (M,)."""


@dataclass(frozen=True)
class Knots(Components):
    """Conditional minima along an axis."""

    space: Space
    """Coordinates."""
    z: FloatArray
    """Knots in increasing order, (K,)."""
    height: FloatArray
    """Laplace's log marginal density there, (K,)."""
    profile: FloatArray
    """Largest log likelihood found at each knot, normal priors of other couplings included,
    (K,)."""

    @cached_property
    def first(self) -> IntArray:
        """Components of knot k are those from ``first[k]`` to ``first[k + 1]``, (K + 1,)."""
        return np.searchsorted(self.knot, np.arange(self.z.size + 1))


def _starts(space: Space) -> FloatArray:
    """Starting points (S, P): where other couplings float, both sides of the SM for each."""
    density = space.density
    base = density.compiled.inits.copy()
    choices = []
    for column, axis in zip(density.columns(), density.axes, strict=True):
        if column == space.axis:
            continue
        two_sided = axis.low < axis.init < axis.high and not axis.parameter.squared
        inside = (0.5 * axis.low, axis.init, 0.5 * axis.high)
        values = inside if two_sided else (axis.init, *(f * axis.high for f in (0.05, 0.25)))
        choices.append([(axis.index, value) for value in dict.fromkeys(values)])
    points = []
    for combination in product(*choices):
        point = base.copy()
        for index, value in combination:
            point[index] = value
        points.append(point)
    # the first and the last combinations are the corners; thinned evenly if there are many
    keep = np.unique(np.linspace(0, len(points) - 1, min(len(points), _STARTS)).round())
    return np.asarray(np.array(points)[keep.astype(int)], dtype=float)


def _distinct(knot: IntArray, z: FloatArray, precision: FloatArray, log: FloatArray) -> IntArray:
    """Indices of different minima, ordered by knot; the highest of equal ones stays."""
    kept: list[int] = []
    for k in np.unique(knot):
        here: list[int] = []
        for i in sorted(np.flatnonzero(knot == k), key=lambda i: -log[i]):
            apart = [z[i] - z[j] for j in here]
            if all(d @ precision[i] @ d > _SAME**2 for d in apart):
                here.append(int(i))
        kept += here
    return np.array(kept, dtype=np.intp)


def _evaluate(space: Space, z: FloatArray, starts: list[FloatArray]) -> tuple[Knots, FloatArray]:
    """Knots at axis values z (K,), those without a fit left out, and their points (M, P)."""
    knot = np.repeat(np.arange(z.size), [len(s) for s in starts])
    points = np.concatenate(starts)
    index = np.flatnonzero(space.density.free)[space.axis]
    points[:, index] = np.square(z[knot]) if space.root[space.axis] else z[knot]
    knot, points = partial_fits(space, knot, points, (space.axis,))
    if not knot.size:
        raise FitError("no conditional fit converged: the posterior has no proposal")
    whole, usable = curvature(space, points)
    knot, points, whole = knot[usable], points[usable], whole[usable]
    coordinates = space.z(points[:, space.density.free])
    log, rest = space.log(coordinates), space.rest
    precision = positive(space, whole[:, rest[:, np.newaxis], rest], rest)
    finite = np.isfinite(log)
    index = np.flatnonzero(finite)[
        _distinct(knot[finite], coordinates[finite][:, rest], precision[finite], log[finite])
    ]
    knot, log = knot[index], log[index]
    coordinates, precision = coordinates[index], precision[index]
    cross = whole[index][:, rest, space.axis]
    slope = -np.asarray(np.linalg.solve(precision, cross[..., np.newaxis])[..., 0], dtype=float)
    cholesky = np.linalg.cholesky(precision)
    log_det = np.asarray(2.0 * np.log(np.einsum("bii->bi", cholesky)).sum(axis=-1), dtype=float)
    triangle = np.asarray(np.linalg.cholesky(np.linalg.inv(precision)), dtype=float)
    present, first, knot = np.unique(knot, return_index=True, return_inverse=True)
    mass = log - 0.5 * log_det
    height = np.logaddexp.reduceat(mass, first)
    likelihood = -0.5 * space.compiled.twice_nll(points[index], space.data)
    profile = np.maximum.reduceat(likelihood, first)
    found = Knots(
        knot, mass - height[knot], coordinates[:, rest], slope, triangle, log_det, space,
        z[present], height, profile,
    )  # fmt: skip
    return found, points[index]


def _beside(knots: Knots) -> Knots:
    """Add components beside the minima, along every other coupling.

    What is quadratic in a coupling is not normal in it: between two minima and beyond them the
    density is above what their curvatures say. Nuisances are fitted again at every such place.
    """
    space, rest = knots.space, list(knots.space.rest)
    others = [column for column in space.density.columns() if column != space.axis]
    parts = [knots, *(_along(knots, column, rest.index(column)) for column in others)]
    order = np.argsort(np.concatenate([part.knot for part in parts]), kind="stable")
    whole: dict[str, Any] = {
        field.name: np.concatenate([getattr(part, field.name) for part in parts])[order]
        for field in fields(Components)
    }
    joined = replace(knots, **whole)
    total = np.logaddexp.reduceat(joined.weight, joined.first[:-1])
    return replace(joined, weight=joined.weight - total[joined.knot])


def _along(knots: Knots, column: int, j: int) -> Components:
    """Components along the coupling at ``column`` of the free, j-th of the rest."""
    space, rest = knots.space, knots.space.rest
    low, high = space.z(space.density.bounds.T)[:, column]
    regress = np.einsum("mik,mk->mi", knots.triangle, knots.triangle[:, j])
    sd = np.sqrt(regress[:, j])
    z = np.empty((_SIDES.size, sd.size, space.root.size))
    z[..., space.axis] = knots.z[knots.knot]
    z[..., rest] = knots.centre + np.multiply.outer(_SIDES, regress / sd[:, np.newaxis])
    m = np.tile(np.arange(sd.size), _SIDES.size)
    z = z.reshape(-1, space.root.size)
    inside = (z[:, column] > low) & (z[:, column] < high)
    z, m = z[inside], m[inside]
    points = np.tile(space.density.compiled.inits, (m.size, 1))
    bounds = space.density.bounds.T
    points[:, space.density.free] = np.clip(
        space.theta(np.where(space.root, np.abs(z), z)), *bounds
    )
    m, points = partial_fits(space, m, points, (space.axis, column))
    whole, usable = curvature(space, points)
    m, points, whole = m[usable], points[usable], whole[usable]
    z = space.z(points[:, space.density.free])
    log = space.log(z)
    precision = positive(space, whole[:, rest[:, np.newaxis], rest], rest)
    # along the coupling itself as wide as half the way to the next component
    covariance = np.linalg.inv(precision)
    excess = np.square(_WIDTH * sd[m]) - covariance[:, j, j]
    direction = covariance[:, :, j] / covariance[:, j, j, np.newaxis]
    covariance += (
        excess[:, np.newaxis, np.newaxis] * direction[:, :, np.newaxis] * direction[:, np.newaxis]
    )
    triangle = np.linalg.cholesky(covariance)
    log_det = -2.0 * np.log(np.einsum("bii->bi", triangle)).sum(axis=-1)
    knot = knots.knot[m]
    weight = log - 0.5 * log_det - knots.height[knot]
    keep = weight > -_NEGLIGIBLE
    return Components(
        knot[keep], weight[keep], z[keep][:, rest], knots.slope[m[keep]], triangle[keep],
        log_det[keep],
    )  # fmt: skip


def _spread(knots: Knots, number: int) -> FloatArray:
    """Axis values (number,) with equal shares of the tempered density between them."""
    level = knots.height - knots.height.max()
    fine = np.unique(np.concatenate([np.linspace(a, b, 33) for a, b in _cells(knots, level)]))
    density = np.exp(_TEMPER * np.interp(fine, knots.z, level)) + 1e-3
    mass = np.append(0.0, np.cumsum(0.5 * np.diff(fine) * (density[1:] + density[:-1])))
    return np.asarray(np.interp(np.linspace(0.0, mass[-1], number), mass, fine))


def _cells(knots: Knots, level: FloatArray) -> list[tuple[float, float]]:
    """Intervals of neighbouring knots of which one at least is not negligible."""
    near = level > -_DEPTH
    pairs = zip(knots.z[:-1], knots.z[1:], near[:-1] | near[1:], strict=True)
    found = [(float(a), float(b)) for a, b, keep in pairs if keep]
    if not found:
        raise FitError("the posterior is narrower than the range can be searched for")
    return found


def knots_of(density: LogDensity, axis: CouplingAxis) -> Knots:
    """Fit at knots along a coupling: coarsely over its range, then where the density is.

    `FitError` if no fit converges.
    """
    space = space_of(density, axis)
    grid = ScanRange(axis.low, axis.high).grid()
    z = np.sqrt(grid) if space.root[space.axis] else grid
    starts = _starts(space)
    found, points = _evaluate(space, z, [starts.copy() for _ in z])
    # a minimum may be narrower than a cell of the grid, in all couplings or this one
    best = minima(space, points[np.linspace(0, len(points) - 1, _STARTS).astype(int)])
    z = np.concatenate([found.z, *(m.z[space.axis] + _AROUND * _sd(m, space.axis) for m in best)])
    z = np.unique(np.clip(z, found.z[0], found.z[-1]))
    last = _KNOTS if len(density.axes) == 1 else _KNOTS // 2
    for z_next in (z, _KNOTS // 2, last, last):
        z = z_next if isinstance(z_next, np.ndarray) else _spread(found, z_next)
        # from every minimum of the two knots on each side: none is lost where they merge
        place, size = np.searchsorted(found.z, z), found.z.size
        seeds = [points[found.first[max(k - 2, 0)] : found.first[min(k + 2, size)]] for k in place]
        if z_next is not last:
            seeds = [np.vstack([part, *(m.point for m in best)]) for part in seeds]
        found, points = _evaluate(space, z, [part.copy() for part in seeds])
    return _beside(found) if len(density.axes) > 1 else found


def _sd(minimum: JointMinimum, index: int) -> float:
    return float(np.sqrt(minimum.covariance[index, index]))
