"""A second optimizer at the points a limit rests on, and whether it agrees."""

from dataclasses import dataclass

import numpy as np

from nuhf.arrays import FloatArray
from nuhf.errors import Caveat
from nuhf.likelihood.engines import PyhfEngine
from nuhf.likelihood.fit import fit, refit_with_minuit
from nuhf.stats.problem import Problem

_SERIOUS = 0.01
"""Difference of 2NLL that is said: it moves an end by less than 0.3 % of its error."""


@dataclass(frozen=True)
class Agreement:
    """Comparison of two optimizers."""

    optimizer: str
    """The second one."""
    difference: float
    """Its 2NLL minus that of the first, the one that is largest in size; NaN if it failed
    everywhere."""
    notes: tuple[str, ...]
    """What a reader of the result must know; empty if they agree."""
    deeper: FloatArray
    """Parameters (n, P) of the minima that only the second one found."""


def second_optimizer(problem: Problem, best: float, ends: FloatArray) -> Agreement:
    """Fit again with another optimizer: everything at the best fit, all else at the ends (n,).

    Minuit, or nuhf's own one if minuit was the first. It starts where nuisances are nominal and the
    couplings as found.
    """
    profiler, compiled = problem.profiler(), problem.engine.compiled
    values = np.append(best, ends)
    points, heights = profiler.fits_at([profiler.index], values[:, np.newaxis])
    starts = np.repeat(profiler.starts[:1], len(points), axis=0)
    couplings = [compiled.index(c.parameter.fit_name) for c in problem.description.couplings]
    starts[:, couplings] = points[:, couplings]
    second = "nuhf's own" if isinstance(problem.engine, PyhfEngine) else "minuit"
    differences, others = np.full(len(points), np.nan), points.copy()
    for i, start in enumerate(starts):
        held = ~profiler.free
        held[profiler.index] |= i > 0
        if second == "minuit":
            again = refit_with_minuit(compiled, problem.data, start, held)
        else:
            again = fit(compiled, problem.data, starts=start, free=~held)
        if again.converged[0]:
            differences[i] = float(again.twice_nll[0]) - heights[i]
            others[i] = again.parameters[0]
    places = ["the best fit", *(f"{problem.parameter.from_fit(v):.3g}" for v in ends)]
    notes = tuple(
        Caveat(_said(second, place, float(d))) for place, d in zip(places, differences, strict=True)
        if not abs(d) < _SERIOUS
    )  # fmt: skip
    known = differences[np.isfinite(differences)]
    largest = float(known[np.argmax(np.abs(known))]) if known.size else float("nan")
    return Agreement(second, largest, notes, others[differences < -_SERIOUS])


def _said(second: str, place: str, difference: float) -> str:
    if np.isnan(difference):
        return f"a second optimizer, {second}, did not converge at {place}: no comparison there"
    if difference < 0.0:
        return (
            f"optimizers disagree at {place}: {second} finds 2NLL lower by {-difference:.2g}, so "
            "the profile is not the deepest there"
        )
    return (
        f"optimizers disagree at {place}: {second} stops in a minimum higher by {difference:.2g}; "
        "the deeper one was used"
    )
