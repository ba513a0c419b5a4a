"""CLs upper limits from toys, for a parameter with a physical boundary at zero.

CLs is the fraction of toys with the tested value true whose q-tilde is at or beyond that of the
data, divided by the same fraction of toys without a signal. Both have the nuisances fitted to
the data at their own true value. Source: A. L. Read, J. Phys. G 28, 2693 (2002).
"""

from dataclasses import dataclass
from typing import Final

import numpy as np

from nuhf.arrays import FloatArray
from nuhf.errors import FitError
from nuhf.stats.problem import Problem
from nuhf.toys.problem import asked, conditional, toy_setup
from nuhf.toys.sample import TIE, ToyOptions, blocks, converged_only
from nuhf.toys.session import Session, session

#: Tested values in units of the asymptotic limit, and around the first crossing.
_FIRST: Final = (0.4, 0.6, 0.8, 1.0, 1.2, 1.5, 2.0)
_SECOND: Final = (0.93, 0.98, 1.02, 1.07)
_NEAR: Final = 1.35


@dataclass(frozen=True)
class ToyCls:
    """An upper limit in the fit parameter and its statistical error.

    At the tested ``values`` (n,) there are CLs and its statistical errors; ``unconverged`` of the
    toys are left out.
    """

    limit: float
    error: float
    values: FloatArray
    cls: FloatArray
    errors: FloatArray
    unconverged: int
    toys: int


def toy_cls(
    problem: Problem, cl: float, options: ToyOptions, best: tuple[float, float], guess: float
) -> ToyCls:
    """Find where CLs of toys falls to 1 - ``cl``, for a parameter bounded at 0.

    ``best`` is the best value and 2NLL of the data, ``guess`` the asymptotic limit: values from 0.4
    to 2 times it are tested. `FitError` if the crossing is not among them, or more than 1 % of the
    toys do not converge.
    """
    setup = toy_setup(problem, [best[0]])
    with session(setup, options, asked(problem, cl, "cls")) as opened:
        values = guess * np.array(_FIRST)
        ratio, error, lost = _tested(problem, opened, options, best, values, 0)
        middle, _ = _crossing(values, ratio, error, 1.0 - cl)
        more = middle * np.array(_SECOND)
        ratio2, error2, lost2 = _tested(problem, opened, options, best, more, len(values))
    order = np.argsort(np.concatenate([values, more]))
    values = np.concatenate([values, more])[order]
    ratio, error = np.concatenate([ratio, ratio2])[order], np.concatenate([error, error2])[order]
    near = (values > middle / _NEAR) & (values < middle * _NEAR)
    limit, spread = _crossing(values[near], ratio[near], error[near], 1.0 - cl)
    number = 2 * options.toys * len(values)
    if lost + lost2 > 0.01 * number:
        raise FitError(f"{lost + lost2} of {number} toys did not converge")
    return ToyCls(limit, spread, values, ratio, error, lost + lost2, number)


def _tested(
    problem: Problem,
    opened: Session,
    options: ToyOptions,
    best: tuple[float, float],
    values: FloatArray,
    first: int,
) -> tuple[FloatArray, FloatArray, int]:
    """CLs and its errors at values (n,), and toys lost; random numbers counted from ``first``."""
    index = problem.profiler().index
    points = np.concatenate([[0.0], values])[:, np.newaxis]
    parameters, heights = conditional(problem, [index], points)
    q = np.where(values >= best[0], np.maximum(heights[1:] - best[1], 0.0), 0.0)
    tasks = []
    for i, value in enumerate(values):
        for j, truth in enumerate((parameters[i + 1], parameters[0])):
            base = {"kind": "statistic", "truth": truth.tolist(), "values": [float(value)]}
            key = [options.seed, first + i, j]
            tasks += blocks(base | {"one_sided": True}, options.toys, key)
    found = opened.map(tasks)
    per = len(tasks) // (2 * len(values))
    ratios, errors, lost = np.zeros(len(values)), np.zeros(len(values)), 0
    for i in range(len(values)):
        fractions, relative = [], []
        for j in range(2):
            at = (2 * i + j) * per
            toys, failed = converged_only(found[at : at + per])
            lost += failed
            # half a toy keeps the logarithm finite
            good = toys[np.isfinite(toys)]
            beyond = float((good >= q[i] - TIE).sum()) + 0.5
            fractions.append(beyond / (len(good) + 1.0))
            relative.append(max(1.0 - fractions[-1], 0.0) / beyond)
        ratios[i] = fractions[0] / fractions[1]
        errors[i] = ratios[i] * np.sqrt(sum(relative))
    return ratios, errors, lost


def _crossing(
    values: FloatArray, ratio: FloatArray, error: FloatArray, target: float
) -> tuple[float, float]:
    """Where the line (the parabola, for a wide range) through log CLs meets the target."""
    if ratio[-1] > target or ratio[0] < target:
        raise FitError(
            f"CLs of the toys runs from {ratio[0]:.3g} to {ratio[-1]:.3g} and does not cross "
            f"{target:g} between 0.4 and 2 times the asymptotic limit; more toys may help"
        )
    y, weights = np.log(ratio / target), ratio / np.maximum(error, 1e-12)
    centre = float(values[int(np.argmin(np.abs(y)))])
    x = values / centre - 1.0
    degree = 2 if values[-1] > 2.0 * values[0] else 1
    coefficients, covariance = np.polyfit(x, y, degree, w=weights, cov="unscaled")
    roots = np.roots(coefficients)
    real = np.real(roots[np.abs(np.imag(roots)) < 1e-9])
    if not real.size:
        raise FitError("CLs of the toys does not fall steadily; more toys are needed")
    root = float(real[int(np.argmin(np.abs(real)))])
    terms = root ** np.arange(degree, -1, -1)
    slope = float(np.polyval(np.polyder(coefficients), root))
    spread = float(np.sqrt(terms @ covariance @ terms)) / abs(slope) * centre
    return centre * (1.0 + root), spread
