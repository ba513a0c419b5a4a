"""Coverage: how often an interval contains the value that is true."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np

from nuhf.couplings.parameters import suggest
from nuhf.errors import FitError, InputError
from nuhf.stats.explore import explored
from nuhf.stats.intervals import intervals, threshold
from nuhf.stats.problem import Problem
from nuhf.stats.results import CoverageResult
from nuhf.toys.problem import asked, check_engine, conditional, start_values, toy_setup
from nuhf.toys.sample import BLOCK, ToyOptions, binomial_error, blocks, converged_only
from nuhf.toys.session import session

COVERAGE_METHODS: Final = ("delta-chi2", "feldman-cousins")
#: Toys of a block whose every toy has an ensemble of its own.
_SMALL_BLOCK: Final = 20


def coverage(
    problem: Problem,
    true: float,
    cl: float,
    method: str,
    options: ToyOptions,
    inner: int = 1000,
    nuisances: Mapping[str, float] | None = None,
) -> CoverageResult:
    """Measure the coverage of a method, ``delta-chi2`` or ``feldman-cousins``, with toys.

    The true value is in the base unit; the data only give the true nuisances that are not among
    ``nuisances`` (in standard deviations for constrained ones). ``inner`` are the toys, at most,
    for each critical value of ``feldman-cousins``. `InputError` for an unknown method or nuisance,
    or a value out of bounds; `FitError` if fits to the data fail, or no toy converges.
    """
    if method not in COVERAGE_METHODS:
        raise InputError(f"no coverage of '{method}'; {suggest(method, COVERAGE_METHODS)}")
    check_engine(problem)
    inner = inner if method == "feldman-cousins" else 0
    given = dict(nuisances or {})
    found = _blocks(problem, true, cl, inner, given, options)
    toys, covered, lost = _count(found, cl)
    counted = toys - lost
    fraction = covered / counted
    return CoverageResult(
        experiments=problem.names,
        analysis=problem.analysis,
        parameter=problem.parameter.name,
        unit=problem.parameter.unit,
        true=true,
        nuisances=given,
        cl=cl,
        method=method,
        toys=toys,
        covered=covered,
        unconverged=lost,
        coverage=fraction,
        error=float(binomial_error(fraction, counted)),
        seed=options.seed,
        inner=inner,
        inner_unconverged=sum(int(block.get("inner_unconverged", 0)) for block in found),
        optimizer=problem.engine.optimizer,
        notes=problem.notes,
        provenance=problem.provenance(),
    )


def _count(found: Sequence[Mapping[str, Any]], cl: float) -> tuple[int, int, int]:
    """Toys, those covered, and those lost to fits without convergence."""
    t, lost = converged_only(found)
    if lost == len(t):
        raise FitError("no fit of any toy converged")
    verdicts = [c for block in found for c in block.get("covered", [])]
    return len(t), sum(bool(v) for v in verdicts or t <= threshold(cl)), lost


def _blocks(
    problem: Problem,
    true: float,
    cl: float,
    inner: int,
    nuisances: Mapping[str, float],
    options: ToyOptions,
) -> list[dict[str, Any]]:
    """Results of the blocks of toys."""
    value = problem.parameter.to_fit(true)
    coupling = problem.description.couplings[0]
    if not coupling.low <= value <= coupling.high:
        raise InputError(f"true = {true}: outside the range of {problem.parameter.name}")
    problem = explored(problem)
    found = intervals(problem.profiler(), problem.span(), cl)
    setup = toy_setup(problem, start_values(problem, found))
    truth = conditional(problem, setup.indices, np.array([[value]]))[0][0]
    for name, shift in nuisances.items():
        truth[_nuisance(problem, name, shift)] = shift
    task = {
        "kind": "coverage", "truth": truth.tolist(), "values": [value], "cl": cl, "inner": inner,
    }  # fmt: skip
    size = _SMALL_BLOCK if inner else BLOCK
    with session(setup, options, asked(problem, cl, f"coverage {inner}")) as opened:
        return opened.map(blocks(task, options.toys, [options.seed, 0], size))


def _nuisance(problem: Problem, name: str, value: float) -> int:
    compiled = problem.engine.compiled
    couplings = [c.parameter.fit_name for c in problem.description.couplings]
    names = [n for n in compiled.names if n not in couplings]
    if name not in names:
        raise InputError(f"no nuisance '{name}'; {suggest(name, names)}")
    index = compiled.index(name)
    low, high = compiled.bounds[index]
    if not low <= value <= high:
        raise InputError(f"nuisance {name}={value}: outside its bounds {low:g} to {high:g}")
    return index
