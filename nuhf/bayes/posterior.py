"""From a log density to its `Posterior`."""

from collections.abc import Sequence
from typing import Final

import numpy as np

from nuhf.arrays import FloatArray
from nuhf.bayes.results import Marginal, Mode, Posterior
from nuhf.errors import FitError, InputError
from nuhf.stats.importance import Draws, sample
from nuhf.stats.intervals import threshold
from nuhf.stats.knots import Knots, knots_of
from nuhf.stats.log_density import LogDensity
from nuhf.stats.marginal import densest, marginal_density, piece_errors
from nuhf.stats.priors import CouplingAxis, Prior
from nuhf.stats.space import minima

_LARGEST_K: Final = 0.7
"""Pareto k-hat above which a mean over the weights is not to be trusted, arXiv:1507.02646."""
_MOST: Final = 1_000_000
_DISAGREE: Final = 5.0
"""Standard deviations between the evidences of two couplings' samples: a mode is missing."""
_SHALLOW: Final = 30.0
"""2NLL above the deepest minimum beyond which a minimum is not listed."""
_STARTS: Final = 200
"""Fits from which minima are searched."""
_EDGE: Final = 1e-3
"""Density at an end of the range, relative to the maximum, at which a note says so."""


def posterior(
    density: LogDensity, couplings: Sequence[CouplingAxis], cl: float, draws: int, seed: int
) -> Posterior:
    """Sample a posterior, once along each coupling asked for.

    Draws and modes are those of the first sample; ``cl`` is the probability of the regions of
    highest density, and ``draws`` the size of each sample. `FitError` if the importance weights are
    too uneven (Pareto k-hat above 0.7), or the samples along two couplings disagree about the
    evidence.
    """
    threshold(cl)
    if not 1000 <= draws <= _MOST:
        raise InputError(f"{draws} draws: between 1000 and {_MOST} are possible")
    if seed < 0:
        raise InputError(f"seed {seed}: must not be negative")
    samples = []
    for axis in couplings:
        knots = knots_of(density, axis)
        samples.append((knots, sample(knots, draws, seed)))
        _check(axis, samples[-1][1])
    for axis, (_, other) in zip(couplings[1:], samples[1:], strict=True):
        _check_agreement(couplings[0], samples[0][1], axis, other)
    priors = dict(zip(density.axes, density.priors, strict=True))
    pairs = [
        _marginal(axis, priors[axis], *one, cl)
        for axis, one in zip(couplings, samples, strict=True)
    ]
    first = samples[0][1]
    columns = density.columns()
    order = [*columns, *(i for i in range(len(density.names)) if i not in columns)]
    names = [axis.name for axis in density.axes] + [density.names[i] for i in order[len(columns) :]]
    return Posterior(
        title=density.title,
        cl=cl,
        marginals=tuple(marginal for marginal, _ in pairs),
        modes=_modes(density, *samples[0]),
        units={axis.name: axis.parameter.unit for axis in density.axes},
        names=tuple(names),
        draws=density.to_base(first.theta)[:, order],
        weights=first.weights,
        effective_size=first.effective_size,
        k_hat=first.k_hat,
        seed=seed,
        notes=(*density.notes, *(note for _, notes in pairs for note in notes)),
        provenance={**density.record, "draws": draws, "seed": seed, "cl": cl},
    )


def _check(axis: CouplingAxis, draws: Draws) -> None:
    if not draws.k_hat <= _LARGEST_K:
        raise FitError(
            f"posterior of {axis.name}: the importance weights are too uneven, Pareto k-hat "
            f"{draws.k_hat:.2f} (at most {_LARGEST_K} is accepted; effective size "
            f"{draws.effective_size:.0f} of {draws.log_weight.size} draws). The density is too far "
            "from what fits say of it, and its averages are not to be trusted: give "
            "nuhf.log_density to a sampler instead, hold couplings at values, or fix nuisances"
        )


def _check_agreement(one: CouplingAxis, first: Draws, two: CouplingAxis, second: Draws) -> None:
    (a, da), (b, db) = first.log_evidence, second.log_evidence
    if abs(a - b) > _DISAGREE * np.hypot(da, db) + 0.01:
        raise FitError(
            f"the posterior has another size when it is sampled along {one.name} than along "
            f"{two.name} (log evidence {a:.3f} +- {da:.3f} and {b:.3f} +- {db:.3f}): one of them "
            "misses a mode; give nuhf.log_density to a nested sampler instead"
        )


def _base(axis: CouplingAxis, knots: Knots, z: FloatArray) -> FloatArray:
    """Base values of coordinates along the axis."""
    root = knots.space.root[knots.space.axis]
    return axis.from_fit(np.square(z) if root else z)


def _marginal(
    axis: CouplingAxis, prior: Prior, knots: Knots, draws: Draws, cl: float
) -> tuple[Marginal, tuple[str, ...]]:
    found = marginal_density(knots, draws)
    pieces = densest(found, cl)
    errors = piece_errors(knots, draws, cl, pieces)
    ends = [_base(axis, knots, np.array(piece)) for piece in pieces]
    # the error of the square's end is one of the magnitude by its slope there
    shifted = [_base(axis, knots, np.array(p) + e) for p, e in zip(pieces, errors, strict=True)]
    values = axis.from_fit(draws.theta[:, knots.space.axis])
    mean = float(draws.weights @ values)
    median = np.interp(0.5, found.cumulative, found.z)
    profile = np.interp(found.z, knots.z, knots.profile - knots.profile.max())
    in_root = bool(knots.space.root[knots.space.axis])
    even = f"|{axis.name}|" if in_root else f"{axis.name}^{axis.parameter.power}"
    variable = even if axis.parameter.squared else axis.name
    marginal = Marginal(
        parameter=axis.name,
        unit=axis.parameter.unit,
        prior=str(prior),
        variable=variable,
        pieces=tuple((float(a), float(b)) for a, b in ends),
        piece_errors=tuple(
            (float(abs(s[0] - e[0])), float(abs(s[1] - e[1])))
            for s, e in zip(shifted, ends, strict=True)
        ),
        fractions=tuple(found.mass(*piece) for piece in pieces),
        mean=mean,
        sd=float(np.sqrt(draws.weights @ np.square(values - mean))),
        median=float(_base(axis, knots, np.asarray(median))),
        values=_base(axis, knots, found.z),
        density=found.density / found.density.max(),
        profile=np.exp(profile),
        effective_size=draws.effective_size,
        k_hat=draws.k_hat,
    )
    return marginal, _edge_note(axis, marginal)


def _edge_note(axis: CouplingAxis, marginal: Marginal) -> tuple[str, ...]:
    """Say that the prior's range cuts the posterior; a physical bound at zero is no range."""
    low, high = axis.ends
    reached = [
        f"{end:.3g}"
        for end, value, height in ((low, marginal.values[0], marginal.density[0]),
                                   (high, marginal.values[-1], marginal.density[-1]))
        if height > _EDGE and abs(value - end) < 1e-6 * (high - low) and not (axis.low == 0 == end)
    ]  # fmt: skip
    if not reached:
        return ()
    return (
        f"the posterior of {axis.name} reaches the end of the range of its prior, "
        f"{' and '.join(reached)} {axis.parameter.unit}: the result depends on that range",
    )


def _modes(density: LogDensity, knots: Knots, draws: Draws) -> tuple[Mode, ...]:
    """Free fits from draws spread along the axis, and the share of all draws nearest to each."""
    space, columns = knots.space, density.columns()
    likely = np.flatnonzero(np.isfinite(draws.log_weight))
    chosen = likely[np.linspace(0, likely.size - 1, _STARTS).astype(int)]
    starts = np.tile(density.compiled.inits, (chosen.size, 1))
    starts[:, density.free] = np.clip(draws.theta[chosen], *density.bounds.T)
    found = [m for m in minima(space, starts) if m.rise < _SHALLOW]
    distance = []
    for minimum in found:
        away = draws.z[:, columns] - minimum.z[columns]
        block = np.linalg.inv(minimum.covariance[np.ix_(columns, columns)])
        distance.append(np.einsum("ni,ij,nj->n", away, block, away))
    nearest = np.argmin(distance, axis=0) if found else np.zeros(0)
    return tuple(
        Mode(
            {axis.name: float(axis.from_fit(minimum.point[axis.index])) for axis in density.axes},
            minimum.rise,
            float(draws.weights[nearest == m].sum()),
        )
        for m, minimum in enumerate(found)
    )
