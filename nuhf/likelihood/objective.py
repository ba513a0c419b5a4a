"""2NLL of many fits at once, relative to saturation, and its derivatives by the expectation."""

from dataclasses import dataclass, replace
from typing import Final, NamedTuple

import numpy as np

from nuhf.arrays import FloatArray
from nuhf.likelihood.evaluate import CompiledModel, expected_counts, row_weights
from nuhf.likelihood.tables import BoolArray, IntArray


class Edge(NamedTuple):
    """How 2NLL goes on where the model is impossible, or nearly.

    Where the expectation of a bin is below a ``part`` of its counts, log is continued by its
    parabola. In a bin without counts ``wall`` is the curvature of half 2NLL below zero: fits end
    1 / wall below zero.
    """

    part: float
    wall: float


#: From the softest to the one that counts. A steep edge that a fit comes to from above stops its
#: steps one after the other; from beyond a soft edge it finds the next harder one in a few steps.
EDGES: Final = (Edge(1e-2, 1e3), Edge(1e-3, 1e4), Edge(1e-4, 1e5), Edge(1e-6, 1e6))


@dataclass(frozen=True)
class FitData:
    """Data of B fits, or of all of them (first axis 1), for likelihood ratios to saturation."""

    n: FloatArray
    inverse: FloatArray
    normal: FloatArray
    poisson: FloatArray
    noise: FloatArray
    constant: FloatArray
    edge: Edge = EDGES[-1]

    def take(self, index: IntArray) -> "FitData":
        """Data of the fits ``index``."""
        if len(self.n) == 1:
            return self
        return replace(
            self,
            n=self.n[index],
            inverse=self.inverse[index],
            normal=self.normal[index],
            poisson=self.poisson[index],
            noise=self.noise[index],
            constant=self.constant[index],
        )


def prepare(model: CompiledModel, data: FloatArray) -> FitData:
    """What the fits need of ``data`` [B, n_main + n_aux]."""
    c = model.constraints
    n, aux = data[:, : model.n_main], data[:, model.n_main :]
    counts = np.concatenate([n, aux[:, c.poisson_aux]], axis=1)
    noise = np.finfo(float).eps * (1.0 + counts.sum(axis=1))
    inverse = 1.0 / np.where(n > 0, n, 1.0)
    return FitData(
        n,
        inverse,
        aux[:, c.normal_aux],
        aux[:, c.poisson_aux],
        noise,
        model.saturated_twice_nll(data),
    )


def _excess(n: FloatArray, inverse: FloatArray, lam: FloatArray, edge: Edge) -> FloatArray:
    """2NLL above its value at lam = n, summed over bins; +inf where lam is NaN.

    Where the model is impossible it goes on steeply and smoothly (see `Edge`), so that fits
    that start there find their way out, others stop at the boundary, and profiles are continuous.
    """
    outside = ~(lam > edge.part * n)  # also True for NaN
    log = lam * inverse
    np.log(log, out=log)  # not a number outside, where it is not used
    log *= n
    found = 2.0 * np.asarray((lam - n - log).sum(axis=1))
    rows = np.flatnonzero(outside.any(axis=1))
    if len(rows):
        n, inverse = (np.broadcast_to(x, lam.shape)[rows] for x in (n, inverse))
        found[rows] = _impossible(n, inverse, lam[rows], outside[rows], edge)
    return found


def _impossible(
    n: FloatArray, inverse: FloatArray, lam: FloatArray, outside: BoolArray, edge: Edge
) -> FloatArray:
    """`_excess` of rows with bins ``outside`` the domain of the likelihood."""
    part = edge.part
    below = np.minimum(lam * inverse - part, 0.0) / part
    log = np.log(np.where(outside | (n == 0), part, lam * inverse)) + below - 0.5 * below**2
    wall = np.where(n == 0, 0.5 * edge.wall * np.minimum(lam, 0.0) ** 2, 0.0)
    term = np.where(np.isfinite(lam), lam - n - np.where(n > 0, n * log, 0.0) + wall, np.inf)
    return 2.0 * np.asarray(term.sum(axis=1))


def slopes(n: FloatArray, lam: FloatArray, edge: Edge) -> tuple[FloatArray, FloatArray, FloatArray]:
    """First and second derivative by lam of what `_excess` adds up, halved; expected second one."""
    inside = lam > edge.part * n
    if inside.all():
        inverse = 1.0 / lam
        ratio = n * inverse
        return 1.0 - ratio, ratio * inverse, inverse
    n = np.broadcast_to(n, lam.shape)
    counted = n > 0
    inverse = np.where(inside, 1.0 / np.where(inside, lam, 1.0), 0.0)
    number = np.where(counted, n, 1.0)
    below = np.minimum(lam / number - edge.part, 0.0) / edge.part
    outside = np.where(
        counted, 1.0 - (1.0 - below) / edge.part, 1.0 + edge.wall * np.minimum(lam, 0.0)
    )
    steep = np.where(counted, 1.0 / (number * edge.part**2), np.where(lam < 0, edge.wall, 0.0))
    slope = np.where(inside, 1.0 - n * inverse, outside)
    return (
        slope,
        np.where(inside, n * inverse**2, steep),
        np.where(inside, inverse, steep),
    )


def objective(
    model: CompiledModel, theta: FloatArray, data: FitData
) -> tuple[FloatArray, FloatArray]:
    """2NLL above saturation [B] and expected counts [B, bins] at ``theta`` [B, P]."""
    c = model.constraints
    rows = row_weights(model.tables, np.ascontiguousarray(theta.T))
    lam = expected_counts(model.tables, theta, rows)
    value = _excess(data.n, data.inverse, lam, data.edge)
    value += np.square((theta[:, c.normal_param] - data.normal) / c.normal_sigma).sum(axis=1)
    if len(c.poisson_param):
        rate = theta[:, c.poisson_param] * c.poisson_factor
        inverse = 1.0 / np.where(data.poisson > 0, data.poisson, 1.0)
        value += _excess(data.poisson, inverse, rate, EDGES[-1])
    return value, lam
