"""A posterior density in the coordinates of its proposal, with fits and curvatures there.

The coordinates z are the free fit parameters, or the root of one where a squared coupling has a
prior in |x|: there the density is smooth in the root and infinite at zero in the square.
"""

from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from nuhf.arrays import FloatArray
from nuhf.likelihood.evaluate import CompiledModel
from nuhf.likelihood.fit import fit
from nuhf.likelihood.newton import derivatives, select
from nuhf.likelihood.objective import objective, prepare
from nuhf.stats.log_density import LogDensity
from nuhf.stats.priors import CouplingAxis, Normal

BoolArray = NDArray[np.bool_]
IntArray = NDArray[np.intp]

_FLOOR: Final = 1e-3
"""Smallest curvature in units of those along the axes that a minimum gets."""
_SHALLOW: Final = 60.0
"""2NLL above the deepest minimum beyond which a minimum is left out."""


@dataclass(frozen=True)
class Space:
    """A density in the coordinates z, and what the fits need."""

    density: LogDensity
    """The target."""
    axis: int
    """Position of the axis among the N free parameters."""
    root: BoolArray
    """Free parameters whose coordinate is the root, (N,)."""
    compiled: CompiledModel
    data: FloatArray
    """The likelihood with normal priors of interfering couplings as constraints."""

    @property
    def rest(self) -> IntArray:
        """Positions of all free parameters but the axis, (N - 1,)."""
        return np.delete(np.arange(self.root.size), self.axis)

    def theta(self, z: FloatArray) -> FloatArray:
        """Fit parameters [..., N] at coordinates [..., N]; outside the bounds for a root below 0.

        A root is not negative: its mirror image would count everything twice.
        """
        return np.where(self.root, np.where(z < 0.0, -1.0, np.square(z)), z)

    def z(self, theta: FloatArray) -> FloatArray:
        """Coordinates [..., N] of fit parameters."""
        return np.where(self.root, np.sqrt(np.where(self.root, np.abs(theta), 0.0)), theta)

    def log(self, z: FloatArray) -> FloatArray:
        """Log density [...] in the coordinates z [..., N], Jacobian included."""
        theta, high = self.theta(z), self.density.bounds[:, 1]
        # at zero itself Jacobian and prior are 0 and infinity, beside it their product is finite
        near = np.where(self.root & (theta >= 0.0), np.maximum(theta, 2e-12 * high), theta)
        jacobian = np.where(self.root, 0.5 * np.log(4.0 * np.maximum(near, 1e-300)), 0.0)
        return np.asarray(self.density.logpdf(near) + jacobian.sum(axis=-1))


def space_of(density: LogDensity, axis: CouplingAxis) -> Space:
    """Return the coordinates of a density for draws along an axis."""
    columns = density.columns()
    root = np.zeros(int(density.free.sum()), dtype=bool)
    c, aux = density.compiled.constraints, []
    index, sigma = [], []
    for column, one, prior in zip(columns, density.axes, density.priors, strict=True):
        root[column] = one.parameter.squared and prior.in_root
        if isinstance(prior, Normal) and not one.parameter.squared:
            index.append(one.index)
            aux.append(float(one.to_fit(prior.mean)))
            sigma.append(prior.sd / one.parameter.scale)
    n_aux, more = density.compiled.n_aux, len(index)
    constraints = replace(
        c,
        normal_param=np.append(c.normal_param, index).astype(np.intp),
        normal_aux=np.append(c.normal_aux, n_aux + np.arange(more)).astype(np.intp),
        normal_sigma=np.append(c.normal_sigma, sigma),
    )
    compiled = replace(density.compiled, constraints=constraints, n_aux=n_aux + more)
    data = np.append(density.data, aux)
    return Space(density, columns[density.axes.index(axis)], root, compiled, data)


def partial_fits(
    space: Space, knot: IntArray, points: FloatArray, held: tuple[int, ...]
) -> tuple[IntArray, FloatArray]:
    """Fit all but the free parameters ``held`` from points (B, P); knots and ends of the good."""
    free = space.density.free.copy()
    free[np.flatnonzero(free)[list(held)]] = False
    done = fit(space.compiled, space.data, starts=points, free=free)
    good = done.converged & np.isfinite(done.twice_nll)
    return knot[good], done.parameters[good]


def curvature(space: Space, points: FloatArray) -> tuple[FloatArray, BoolArray]:
    """Precision (B, N, N) of the coordinates z at points (B, P), and whether it is usable, (B,).

    Half the Hessian of 2NLL. Where a parameter is at its bound and the density falls away from
    it, the square of its slope is added: an exponential of that width, not a normal, is there.
    """
    data = prepare(space.compiled, space.data[np.newaxis])
    free = select(space.compiled, space.density.free)
    with np.errstate(all="ignore"):
        _, lam = objective(space.compiled, points, data)
        exact = np.ones(len(points), dtype=bool)
        gradient, hessian = derivatives(space.compiled, points, lam, data, exact, free)
    gradient, hessian = 0.5 * gradient, 0.5 * hessian
    theta, (low, high) = points[:, space.density.free], space.density.bounds.T
    z = space.z(theta)
    factor = np.where(space.root, 2.0 * z, 1.0)
    hessian *= factor[:, :, np.newaxis] * factor[:, np.newaxis]
    diagonal = np.arange(space.root.size)
    hessian[:, diagonal, diagonal] += np.where(space.root, 2.0 * gradient, 0.0)
    margin = 1e-6 * (high - low)
    stuck = ((theta <= low + margin) & (gradient > 0)) | ((theta >= high - margin) & (gradient < 0))
    added = np.where(stuck & ~space.root, np.square(gradient), 0.0)
    hessian[:, diagonal, diagonal] += added
    return hessian, np.asarray(np.isfinite(hessian).all(axis=(1, 2)))


def positive(space: Space, precision: FloatArray, which: IntArray) -> FloatArray:
    """Make precisions (B, n, n) of some coordinates positive: scaled eigenvalues floored."""
    low, high = space.density.bounds[which].T
    width = np.where(space.root[which], np.sqrt(np.abs(high)), high - low)
    diagonal = np.maximum(np.abs(np.einsum("bii->bi", precision)), np.square(2.0 / width))
    scale = np.sqrt(diagonal)
    values, vectors = np.linalg.eigh(precision / (scale[:, :, np.newaxis] * scale[:, np.newaxis]))
    floored = np.maximum(values, _FLOOR)
    rebuilt = (vectors * floored[:, np.newaxis]) @ vectors.swapaxes(1, 2)
    return np.asarray(rebuilt * scale[:, :, np.newaxis] * scale[:, np.newaxis])


@dataclass(frozen=True)
class JointMinimum:
    """A minimum in all free parameters."""

    point: FloatArray
    """Parameters of the model, (P,)."""
    z: FloatArray
    """Coordinates of the free ones, (N,)."""
    covariance: FloatArray
    """Inverse of the curvature there, (N, N)."""
    rise: float
    """2NLL above the deepest minimum."""


def minima(space: Space, starts: FloatArray) -> tuple[JointMinimum, ...]:
    """Free fits from points (S, P): the different minima, deepest first.

    Minima less than a standard deviation apart in the couplings count as one.
    """
    done = fit(space.compiled, space.data, starts=starts, free=space.density.free)
    good = np.flatnonzero(done.converged & np.isfinite(done.twice_nll))
    if not good.size:
        return ()
    good = good[np.argsort(done.twice_nll[good])]
    points, heights = done.parameters[good], done.twice_nll[good]
    precision, usable = curvature(space, points)
    usable &= heights < heights[0] + _SHALLOW
    points, heights, precision = points[usable], heights[usable], precision[usable]
    covariance = np.linalg.inv(positive(space, precision, np.arange(space.root.size)))
    z, columns = space.z(points[:, space.density.free]), space.density.columns()
    kept: list[JointMinimum] = []
    for i, matrix in enumerate(covariance):
        block = np.linalg.inv(matrix[np.ix_(columns, columns)])
        apart = (z[i, columns] - other.z[columns] for other in kept)
        if all(d @ block @ d > 1.0 for d in apart):
            kept.append(JointMinimum(points[i], z[i], matrix, float(heights[i] - heights[0])))
    return tuple(kept)
