"""The marginal density of one coupling from weighted draws, and its highest-density pieces.

Along its axis the draws come from a known density p(z), so the posterior density there is p(z)
times the mean weight of draws at z. The mean weight changes slowly: a smooth curve through means
of many draws gives it, far more precisely than a histogram of the draws would.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
from scipy.special import logsumexp

from nuhf.arrays import FloatArray
from nuhf.stats.importance import Draws, line_masses
from nuhf.stats.knots import Knots

Pieces = tuple[tuple[float, float], ...]

_BLOCKS: Final = 64
"""Groups of neighbouring draws whose mean weights are smoothed."""
_WIDTH: Final = 0.03
"""Width of the smoothing, in probability of the proposal."""
_PARTS: Final = 8
"""Independent parts of the draws from which the errors of ends are estimated."""
_FINE: Final = 16
"""Points of the density between two knots."""


@dataclass(frozen=True)
class Density:
    """A density, of any normalisation, of the coordinate z at increasing points, (n,) each."""

    z: FloatArray
    density: FloatArray

    @property
    def cumulative(self) -> FloatArray:
        """Probability below each point, (n,)."""
        steps = 0.5 * np.diff(self.z) * (self.density[1:] + self.density[:-1])
        sums = np.append(0.0, np.cumsum(steps))
        return np.asarray(sums / sums[-1])

    def mass(self, low: float, high: float) -> float:
        """Probability between two values."""
        return float(np.diff(np.interp([low, high], self.z, self.cumulative))[0])


def marginal_density(knots: Knots, draws: Draws, part: int | None = None) -> Density:
    """Posterior density along the axis, from all draws or one of eight parts of them."""
    weight = draws.weights if part is None else draws.weights[part::_PARTS]
    # the draws are in the order of the axis, in slices of equal probability of the proposal
    blocks = np.array_split(weight / weight.mean(), _BLOCKS)
    mean = np.maximum([block.mean() for block in blocks], 1e-3)
    error = np.maximum([block.std() / np.sqrt(block.size) for block in blocks], 1e-3 * mean)
    share = np.linspace(0.0, 1.0, _FINE, endpoint=False)
    fine = np.append(knots.z[:-1, np.newaxis] + np.outer(np.diff(knots.z), share), knots.z[-1])
    height = np.interp(fine, knots.z, knots.height) - logsumexp(line_masses(knots))
    proposal = Density(fine, np.exp(height))
    correction = _smooth(proposal.cumulative, np.log(mean), np.square(mean / error))
    return Density(fine, proposal.density * np.exp(correction))


def _smooth(u: FloatArray, y: FloatArray, precision: FloatArray) -> FloatArray:
    """Local straight lines at u (n,) through blocks y (k,) of equal width in 0 to 1."""
    at = (np.arange(y.size) + 0.5) / y.size
    away = at - u[:, np.newaxis]
    w = np.exp(-0.5 * np.square(away / _WIDTH)) * precision
    s0, s1, s2 = (np.sum(w * away**power, axis=1) for power in (0, 1, 2))
    return np.asarray((w * (s2[:, np.newaxis] - s1[:, np.newaxis] * away)) @ y / (s0 * s2 - s1**2))


def densest(found: Density, cl: float) -> Pieces:
    """Region of highest density with a probability of ``cl``, all pieces."""
    middle = 0.5 * (found.density[1:] + found.density[:-1])
    mass = middle * np.diff(found.z)
    order = np.argsort(-middle)
    sums = np.cumsum(mass[order])
    level = float(np.interp(cl * sums[-1], sums, middle[order]))
    above = found.density >= level
    change = np.flatnonzero(above[1:] != above[:-1])
    low, high = found.density[change], found.density[change + 1]
    ends = found.z[change] + (level - low) / (high - low) * np.diff(found.z)[change]
    ends = np.concatenate(
        [found.z[:1] if above[0] else [], ends, found.z[-1:] if above[-1] else []]
    )
    return tuple((float(a), float(b)) for a, b in zip(ends[::2], ends[1::2], strict=True))


def piece_errors(knots: Knots, draws: Draws, cl: float, pieces: Pieces) -> FloatArray:
    """Statistical errors (pieces, 2) of the ends; NaN if parts of the draws have other pieces."""
    parts = [densest(marginal_density(knots, draws, part), cl) for part in range(_PARTS)]
    if any(len(found) != len(pieces) for found in parts):
        return np.full((len(pieces), 2), np.nan)
    return np.asarray(np.std(parts, axis=0, ddof=1) / np.sqrt(_PARTS))
