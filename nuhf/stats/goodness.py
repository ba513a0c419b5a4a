"""Goodness of fit: 2NLL above saturation against chi2."""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray
from scipy.special import chdtrc

from nuhf.errors import Caveat
from nuhf.stats.problem import Problem


def goodness(problem: Problem, lowest: float) -> dict[str, float]:
    """2NLL of the best fit above saturation, degrees of freedom, and the p-value of chi2."""
    saturated = problem.engine.compiled.saturated_twice_nll(problem.data[np.newaxis])[0]
    statistic, degrees = lowest - float(saturated), degrees_of_freedom(problem)
    # Asimov data differ from saturation by rounding only, on either side
    p_value = float(chdtrc(degrees, max(statistic, 0.0))) if degrees > 0 else np.nan
    return {"saturated_2nll": statistic, "degrees": degrees, "p_value": p_value}


def poor_note(quality: Mapping[str, float]) -> str:
    """Say that the best fit does not describe the data."""
    return Caveat(
        f"the model does not describe the data: 2NLL {quality['saturated_2nll']:.1f} above "
        f"saturation for {quality['degrees']:.0f} degrees of freedom at the best fit, p = "
        f"{quality['p_value']:.1g}; nuhf fit shows what is pulled"
    )


def unconstrained(problem: Problem) -> NDArray[np.bool_]:
    """Which parameters float without a constraint term, (P,)."""
    return np.where(problem.widths > 0.0, False, problem.profiler().free)


def degrees_of_freedom(problem: Problem) -> int:
    """Bins minus the parameters without a constraint."""
    return int(problem.engine.compiled.n_main - unconstrained(problem).sum())
