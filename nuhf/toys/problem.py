"""What toys need of a problem: starts of their fits, true nuisances from the data."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from nuhf.arrays import FloatArray
from nuhf.errors import FitError, InputError
from nuhf.stats.intervals import ProfileIntervals
from nuhf.stats.problem import Problem
from nuhf.toys.sample import ToySetup


def check_engine(problem: Problem) -> None:
    """Refuse toys (`InputError`) if another engine than the compiled one was asked for."""
    if problem.options.engine != "compiled":
        raise InputError("toys need the engine compiled; pyhf would take hundreds of times longer")


def start_values(problem: Problem, found: ProfileIntervals) -> list[float]:
    """Return where free fits of toys start: at every minimum of the data.

    Where the data have a single minimum and the parameter interferes, toys may still have two:
    then they start at both ends of the interval.
    """
    values = [m.value for m in found.minima]
    if len(values) == 1 and problem.description.couplings[0].low < 0.0:
        values = [found.pieces[0][0], found.pieces[-1][1]]
    return values


def toy_setup(problem: Problem, values: Sequence[float], pair: bool = False) -> ToySetup:
    """Return what workers need.

    Free fits start at ``values`` of the parameter of interest (`start_values`); with ``pair`` the
    first profiled coupling is of interest, too.
    """
    profiler, compiled = problem.profiler(), problem.engine.compiled
    couplings = [compiled.index(c.parameter.fit_name) for c in problem.description.couplings]
    # nuisances with several minima, of a problem that was explored
    sided = np.flatnonzero(np.ptp(profiler.starts, axis=0))
    started = [*couplings, *(int(i) for i in sided if i not in couplings)]
    seeds = []
    for start in profiler.starts:
        for value in values:
            point = start.copy()
            point[profiler.index] = value
            seeds.append(tuple(float(point[i]) for i in started))
    indices = couplings[:2] if pair else [profiler.index]
    free = tuple(bool(f) for f in profiler.free)
    unique = tuple(dict.fromkeys(seeds))
    return ToySetup(problem.spec, free, tuple(indices), unique, tuple(started))


def conditional(
    problem: Problem, indices: Sequence[int], points: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Fit everything else to the data with k parameters held at points (n, k).

    Return parameters (n, P) and 2NLL (n,); `FitError` if a fit does not converge.
    """
    parameters, lowest = problem.profiler().fits_at(indices, points)
    if not np.isfinite(lowest).all():
        where = points[int(np.argmin(np.isfinite(lowest)))]
        raise FitError(f"the fit to the data at {where.tolist()} did not converge")
    return parameters, lowest


def asked(problem: Problem, cl: float, method: str) -> dict[str, Any]:
    """Return what a checkpoint's digest covers beside the model and the toys' options."""
    return {
        "method": method,
        "cl": cl,
        "data": problem.data.tolist(),
        "options": problem.options.summary(),
        "parameter": problem.parameter.name,
        "analysis": problem.analysis,
    }
