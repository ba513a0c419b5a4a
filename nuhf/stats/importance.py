"""Importance sampling of a posterior density: a proposal made from fits, exact weights.

The proposal draws the axis from the line through the log heights of the `Knots`, and the rest
from multivariate t around the conditional minima of the two neighbouring knots, as a mixture over
minima and knots. The weights are the exact density over that of the proposal, so what the fits
got wrong costs draws, not correctness, as long as the Pareto k-hat of the weights is below 0.7
(arXiv:1507.02646).
"""

from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.special import gammaln, logsumexp

from nuhf.arrays import FloatArray
from nuhf.stats.knots import Knots

IntArray = NDArray[np.intp]

_DEGREES: Final = 8.0
"""Degrees of freedom of the t: tails above any posterior of normal-like nuisances."""
_SATELLITES: Final = 3
_ROUNDS: Final = 15
"""Normals fitted to the shape of a pilot sample, and steps of that fit."""
_CAP: Final = 30.0
"""Most that a draw of the pilot sample counts for, in units of the mean."""
_GOOD: Final = 0.5
_ENOUGH: Final = 0.25
"""k-hat and effective size per draw at which the proposal is left as it is."""
_TRIES: Final = 4
_EVEN: Final = 0.003
"""Share of the tail's excess in the sum of all weights that is not worth a fit."""


@dataclass(frozen=True)
class Draws:
    """Weighted draws of all free parameters."""

    z: FloatArray
    theta: FloatArray
    """Coordinates and fit parameters, (n, N)."""
    log_weight: FloatArray
    """Log of density over proposal, (n,)."""
    k_hat: float
    """Pareto k-hat of the weights."""

    @property
    def weights(self) -> FloatArray:
        """Weights that add up to 1, (n,)."""
        return np.exp(self.log_weight - logsumexp(self.log_weight))

    @property
    def effective_size(self) -> float:
        """(sum of weights)^2 / sum of squares."""
        return float(1.0 / np.square(self.weights).sum())

    @property
    def log_evidence(self) -> tuple[float, float]:
        """Log of the mean weight, and its statistical error."""
        n, size = self.log_weight.size, self.effective_size
        error = np.sqrt(max(1.0 / size - 1.0 / n, 0.0))
        return float(logsumexp(self.log_weight) - np.log(n)), float(error)


def line_masses(knots: Knots) -> FloatArray:
    """Log of the integral of the log-linear density between neighbouring knots, (K - 1,)."""
    a, b = knots.height[:-1], knots.height[1:]
    d = np.abs(b - a)
    ratio = np.where(d > 1e-8, -np.expm1(-d) / np.where(d > 1e-8, d, 1.0), 1.0 - 0.5 * d)
    return np.asarray(np.maximum(a, b) + np.log(ratio) + np.log(np.diff(knots.z)))


def draw(knots: Knots, number: int, rng: np.random.Generator) -> Draws:
    """Draw from the proposal and weigh by the exact density.

    The axis is stratified: one draw in each of ``number`` slices of equal probability.
    """
    space, rest = knots.space, knots.space.rest
    log_mass = line_masses(knots)
    total = logsumexp(log_mass)
    cumulative = np.append(0.0, np.cumsum(np.exp(log_mass - total)))
    u = (np.arange(number) + rng.random(number)) / number * cumulative[-1]
    cell = np.clip(np.searchsorted(cumulative, u, side="right") - 1, 0, log_mass.size - 1)
    share = (u - cumulative[cell]) / np.diff(cumulative)[cell]
    rise = np.diff(knots.height)[cell]
    steep = np.abs(rise) > 1e-8
    safe = np.where(steep, rise, 1.0)
    # the inverse of (exp(rise t) - 1) / (exp(rise) - 1), for either sign of the rise
    up = np.log1p(share * np.expm1(-np.abs(safe))) / -np.abs(safe)
    down = 1.0 - np.log1p((1.0 - share) * np.expm1(-np.abs(safe))) / -np.abs(safe)
    t = np.clip(np.where(steep, np.where(rise < 0, up, down), share), 0.0, 1.0)
    axis = knots.z[cell] + t * np.diff(knots.z)[cell]
    line = knots.height[cell] + t * rise - total
    z = np.empty((number, space.root.size))
    z[:, space.axis] = axis
    if rest.size:
        chosen = _choose(knots, cell + (rng.random(number) < t), rng)
        normal = rng.standard_normal((number, rest.size))
        spread = np.sqrt(_DEGREES / rng.chisquare(_DEGREES, number))[:, np.newaxis]
        step = np.einsum("bij,bj->bi", knots.triangle[chosen], normal)
        away = (axis - knots.z[knots.knot[chosen]])[:, np.newaxis]
        z[:, rest] = knots.centre[chosen] + knots.slope[chosen] * away + spread * step
        line = line + _log_mixture(knots, cell, t, axis, z[:, rest])
    log = np.concatenate([space.log(part) for part in np.array_split(z, max(number // 5000, 1))])
    theta = space.theta(z)
    return Draws(z, theta, log - line, k_hat(log - line))


def _residuals(knots: Knots, pilot: Draws) -> FloatArray:
    """Distance of draws from their nearest component, in its round coordinates, (n, N - 1)."""
    axis, rest = pilot.z[:, knots.space.axis], pilot.z[:, knots.space.rest]
    whiten = np.linalg.inv(knots.triangle)
    place = np.clip(np.searchsorted(knots.z, axis), 1, knots.z.size - 1)
    knot = np.where(axis - knots.z[place - 1] < knots.z[place] - axis, place - 1, place)
    best, found = np.full(axis.size, np.inf), np.zeros_like(rest)
    for j in range(int(np.diff(knots.first).max())):
        m = np.minimum(knots.first[knot] + j, knots.first[knot + 1] - 1)
        away = (axis - knots.z[knot])[:, np.newaxis]
        e = np.einsum("bij,bj->bi", whiten[m], rest - knots.centre[m] - knots.slope[m] * away)
        distance = np.square(e).sum(axis=1) - 2.0 * knots.weight[m]
        closer = distance < best
        best[closer], found[closer] = distance[closer], e[closer]
    return found


def _mixture(
    x: FloatArray, weight: FloatArray, number: int, rng: np.random.Generator
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Fit normals to weighted points (n, d) by EM: shares (K,), means (K, d), factors (K, d, d)."""
    mean = weight @ x
    whole = ((x - mean).T * weight) @ (x - mean)
    far = weight * np.square(x - mean).sum(axis=1)
    means = np.vstack([mean, x[rng.choice(weight.size, number - 1, p=far / far.sum())]])
    spread = np.repeat(whole[np.newaxis], number, axis=0)
    shares = np.full(number, 1.0 / number)
    for _ in range(_ROUNDS):
        factors = np.linalg.cholesky(spread)
        e = np.linalg.solve(factors, (x - means[:, np.newaxis]).swapaxes(1, 2))
        log = np.log(shares) - np.log(np.einsum("kii->ki", factors)).sum(axis=1)
        log = log[:, np.newaxis] - 0.5 * np.square(e).sum(axis=1)
        part = weight * np.exp(log - logsumexp(log, axis=0))
        size = part.sum(axis=1) + 1e-12
        shares = (size + 0.01) / (size + 0.01).sum()
        means = (part @ x) / size[:, np.newaxis]
        away = x - means[:, np.newaxis]
        moments = (away * part[..., np.newaxis]).swapaxes(1, 2) @ away
        # few points say little of a matrix: the whole sample's has the weight of 2 % of them
        spread = (moments + 0.02 * whole) / (size + 0.02)[:, np.newaxis, np.newaxis]
    return np.asarray(shares), means, np.asarray(np.linalg.cholesky(spread), dtype=float)


def adapted(knots: Knots, pilot: Draws, rng: np.random.Generator) -> Knots:
    """Replace every component by a mixture that has the shape of a weighted pilot sample.

    The shape is fitted once for all components, in the coordinates in which they are round: what
    the curvature at a minimum gets wrong (skewness, tails, a ridge to the next minimum) is much
    the same along the axis. A tenth of each component stays as it was.
    """
    weight = np.minimum(pilot.weights, _CAP / pilot.weights.size)
    shares, shifts, factors = _mixture(
        _residuals(knots, pilot), weight / weight.sum(), _SATELLITES, rng
    )
    size = shifts.shape[1]
    shares = np.append(0.9 * shares, 0.1)
    shifts = np.vstack([shifts, np.zeros(size)])
    factors = np.concatenate([factors, np.eye(size)[np.newaxis]])
    volume = 2.0 * np.log(np.einsum("kii->ki", factors)).sum(axis=1)
    copies = shares.size
    triangle = knots.triangle[:, np.newaxis] @ factors
    centre = knots.centre[:, np.newaxis] + np.einsum("mij,kj->mki", knots.triangle, shifts)
    return replace(
        knots,
        knot=np.repeat(knots.knot, copies),
        weight=(knots.weight[:, np.newaxis] + np.log(shares)).ravel(),
        centre=centre.reshape(-1, size),
        slope=np.repeat(knots.slope, copies, axis=0),
        triangle=triangle.reshape(-1, size, size),
        log_det=(knots.log_det[:, np.newaxis] - volume).ravel(),
    )


def _choose(knots: Knots, knot: IntArray, rng: np.random.Generator) -> IntArray:
    """Draw a component of each knot (n,) by its weight."""
    weight, u = np.exp(knots.weight), rng.random(knot.size)
    sums = np.cumsum(weight)
    start = np.append(0.0, sums)[knots.first[knot]]
    found = np.searchsorted(sums, start + u * (1.0 - 1e-12))
    return np.minimum(found, knots.first[knot + 1] - 1)


def _log_mixture(
    knots: Knots, cell: IntArray, t: FloatArray, axis: FloatArray, rest: FloatArray
) -> FloatArray:
    """Log density (n,) of the mixture over the components of both knots of each draw's cell."""
    size = rest.shape[1]
    constant = (
        gammaln(0.5 * (_DEGREES + size)) - gammaln(0.5 * _DEGREES)
        - 0.5 * size * np.log(_DEGREES * np.pi)
    )  # fmt: skip
    out = np.full(axis.size, -np.inf)
    with np.errstate(divide="ignore"):
        shares = np.log(1.0 - t), np.log(t)
    whiten = np.linalg.inv(knots.triangle)
    order = np.argsort(cell, kind="stable")
    edges = np.searchsorted(cell[order], np.arange(knots.z.size))
    for c in np.unique(cell):
        here = order[edges[c] : edges[c + 1]]
        for k, share in zip((c, c + 1), shares, strict=True):
            for m in range(knots.first[k], knots.first[k + 1]):
                centre = knots.centre[m] + np.outer(axis[here] - knots.z[k], knots.slope[m])
                distance = np.square((rest[here] - centre) @ whiten[m].T).sum(axis=1)
                log = constant + 0.5 * knots.log_det[m] + knots.weight[m] + share[here]
                log = log - 0.5 * (_DEGREES + size) * np.log1p(distance / _DEGREES)
                out[here] = np.logaddexp(out[here], log)
    return out


def sample(knots: Knots, number: int, seed: int) -> Draws:
    """Draw, and as long as the weights are poor give the proposal their shape and draw again."""
    proposal = knots
    for attempt in range(_TRIES):
        rng = np.random.default_rng([seed, attempt])
        draws = draw(proposal, number, rng)
        enough = draws.effective_size > _ENOUGH * number
        if not knots.space.rest.size or (draws.k_hat < _GOOD and enough):
            break
        if attempt < _TRIES - 1:
            proposal = adapted(knots, draws, rng)
    return draws


def k_hat(log_weight: FloatArray) -> float:
    """Shape of a generalised Pareto distribution fitted to the largest weights.

    Tail and estimator are those of Pareto-smoothed importance sampling, arXiv:1507.02646
    (Zhang and Stephens, Technometrics 51, 316 (2009), with its prior of ten observations at 0.5).
    Above 0.7 the mean of the weights converges too slowly to be used.
    """
    n = log_weight.size
    size = int(np.ceil(min(0.2 * n, 3.0 * np.sqrt(n))))
    ordered = np.sort(log_weight)[-size - 1 :] - log_weight.max()
    if size < 5 or not np.isfinite(ordered[0]):
        return float("inf")
    x = np.exp(ordered[1:]) - np.exp(ordered[0])
    # weights that are nearly the same have no tail that matters
    return (
        float("-inf")
        if x.sum() < _EVEN * np.exp(log_weight - log_weight.max()).sum()
        else _pareto_shape(np.maximum(x, 1e-15))
    )


def _pareto_shape(x: FloatArray) -> float:
    """Shape of the Pareto distribution of excesses x in increasing order."""
    n, prior = x.size, 3.0
    grid = 30 + int(np.sqrt(n))
    steps = 1.0 - np.sqrt(grid / (np.arange(1, grid + 1) - 0.5))
    b = steps / (prior * x[int(n / 4 + 0.5) - 1]) + 1.0 / x[-1]
    k = np.log1p(-b[:, np.newaxis] * x).mean(axis=1)
    score = n * (np.log(-b / k) - k - 1.0)
    weight = 1.0 / np.exp(score - score[:, np.newaxis]).sum(axis=1)
    keep = weight >= 10.0 * np.finfo(float).eps
    mean = float((b[keep] * weight[keep]).sum() / weight[keep].sum())
    shape = float(np.log1p(-mean * x).mean())
    return shape * n / (n + 10.0) + 5.0 / (n + 10.0)
