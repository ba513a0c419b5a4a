"""Limits, scans and fits: from a problem to a result in base units."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, Final

import numpy as np

from nuhf.arrays import FloatArray
from nuhf.errors import Caveat, FitError, InputError, OpenRegionError
from nuhf.stats.cls import Asymptotic, expected_limits, upper_limit
from nuhf.stats.cross_check import Agreement, second_optimizer
from nuhf.stats.explore import best_fit, deeper_starts, explored, range_notes, region, widened
from nuhf.stats.goodness import degrees_of_freedom, goodness, poor_note, unconstrained
from nuhf.stats.intervals import Minimum, ProfileIntervals, threshold
from nuhf.stats.problem import Problem
from nuhf.stats.result_base import lost_note
from nuhf.stats.results import FitResult, LimitResult, ScanResult
from nuhf.stats.uncertainties import at_bounds, correlation, counts, uncertainties
from nuhf.toys.cls import toy_cls
from nuhf.toys.feldman_cousins import feldman_cousins
from nuhf.toys.problem import asked, check_engine, conditional, start_values, toy_setup
from nuhf.toys.sample import TIE, ToyOptions, binomial_error, blocks, converged_only
from nuhf.toys.session import BACKEND, session
from nuhf.toys.validity import few_counts_note
from nuhf.units import percent

#: Toys per tested value of a Feldman-Cousins construction.
DEFAULT_TOYS: Final = 2000

_WIDENINGS: Final = 4
"""Times that a range is made four times as wide where a region is not closed in it."""

_POOR: Final = 0.01
"""Probability of a fit as bad as that of the data below which a limit says so."""


def _delta_chi2(
    problem: Problem, cl: float, toys: ToyOptions | None, open_ends: bool = False
) -> LimitResult:
    if toys is not None:
        raise InputError("toys: the method delta-chi2 makes none, cls and feldman-cousins do")
    scan = problem.profiler().at(problem.span().grid()) if problem.seeds is None else None
    problem = explored(problem, scan)
    if problem.seeds is not None and len(problem.seeds):
        scan = None  # with more starts it may be lower
    problem, found = _search(problem, cl, scan, open_ends)
    second = second_optimizer(problem, found.best.value, np.ravel(found.pieces))
    if second.deeper.size:
        problem, found = _search(replace(problem, seeds=second.deeper), cl, None, open_ends)
        second = second_optimizer(problem, found.best.value, np.ravel(found.pieces))
    notes = (
        *lost_note(found.lost, found.points, "a piece of the interval there would be missed"),
        *range_notes(problem, found, cl),
        *few_counts_note(
            problem,
            cl,
            found.best.value,
            _free_ends(problem, found),
            start_values(problem, found),
            lambda _, t: t <= threshold(cl),
        ),
    )
    return _result(problem, cl, "delta-chi2", found, notes, second=second)


def _seeded(problem: Problem, more: FloatArray) -> Problem:
    """Return the problem with more starts (n, P) of its fits."""
    if not len(more):
        return problem
    seeds = more if problem.seeds is None else np.vstack([problem.seeds, more])
    return replace(problem, seeds=seeds)


def _free_ends(problem: Problem, found: ProfileIntervals) -> list[float]:
    """Ends of an interval that the data set: no physical boundary, no end of the range."""
    span = problem.span()
    others = {*found.open_ends, *([span.low] if span.physical_low else [])}
    return [float(end) for piece in found.pieces for end in piece if end not in others]


def _search(
    problem: Problem, cl: float, scan: FloatArray | None = None, open_ends: bool = False
) -> tuple[Problem, ProfileIntervals]:
    """Find the interval, and what fits it needed; errors name the parameter and say what helps."""
    what = f"{problem.parameter.name} at {percent(cl)} % CL"
    try:
        found, starts = region(problem.profiler(), problem.span(), cl, scan, open_ends)
    except OpenRegionError as error:
        hint = (
            "widen the range or leave it out" if problem.options.bracket else "the data set no end"
        )
        raise OpenRegionError(f"{what}: {error}; {hint}") from None
    except FitError as error:
        raise FitError(f"{what}: {error}") from None
    return _seeded(problem, starts), found


def _cls(problem: Problem, cl: float, toys: ToyOptions | None) -> LimitResult:
    threshold(cl)
    if not problem.description.couplings[0].bounded:
        raise InputError(
            f"cls needs a parameter with a bound at 0; {problem.parameter.name} interferes and "
            "its likelihood may have two minima: use the method delta-chi2 or feldman-cousins, "
            "or name a moment"
        )
    high = problem.span().high
    cls, lowest = _asymptotic(problem, high)
    limit_fit = upper_limit(cls, high, cl)
    convert, best = problem.parameter.from_fit, Minimum(cls.data_minimum[0], lowest)
    expected, record = None, None
    if toys is None:
        notes = few_counts_note(
            problem, cl, best.value, [limit_fit], [best.value],
            lambda at, q: cls.of(at, q) > 1.0 - cl, True,
        )  # fmt: skip
        try:
            found = expected_limits(cls, high, cl)
            expected = {name: convert(theta) for name, theta in found.items()}
        except OpenRegionError:
            if widened(problem) is not None:
                raise
            end = problem.parameter.show(high)
            notes += (Caveat(f"no expected limits: one is beyond the range, {end}"),)
    else:
        made = toy_cls(problem, cl, toys, (best.value, lowest), limit_fit)
        limit_fit, error = made.limit, abs(convert(made.limit + made.error) - convert(made.limit))
        record = {
            "toys": toys.toys,
            "seed": toys.seed,
            "toys_in_all": made.toys,
            "unconverged": made.unconverged,
            "end_errors": [[0.0, error]],
            "backend": BACKEND,
            "curve": {
                "values": [convert(float(v)) for v in made.values],
                "cls": made.cls,
                "cls_error": made.errors,
            },
        }
        notes = (
            f"CLs with {toys.toys} toys of each hypothesis at {len(made.values)} values, seed "
            f"{toys.seed}; {made.unconverged} of {made.toys} toys without a converged fit; "
            f"statistical error of the limit {error:.2g}",
        )
    whole = ProfileIntervals(best, (best,), ((0.0, limit_fit),))
    return _result(problem, cl, "cls", whole, notes, expected, record)


def _asymptotic(problem: Problem, high: float) -> tuple[Asymptotic, float]:
    """CLs of the data, and their lowest 2NLL."""
    problem = explored(problem)
    profiler = problem.profiler()
    seeds = np.array([0.0, 0.02, 0.2]) * high
    best, lowest = profiler.best(seeds)
    (null,), (height,) = profiler.fits_at([profiler.index], np.zeros((1, 1)))
    if not np.isfinite(height):
        raise FitError(f"no fit without a signal converged ({problem.engine.optimizer})")
    asimov = problem.profiler(problem.engine.compiled.expected_full(null))
    # other data, other branches; their own parameters fit them best
    asimov = replace(
        asimov, starts=np.vstack([asimov.starts, null, deeper_starts(problem, asimov)])
    )
    best_asimov, lowest_asimov = asimov.best(seeds)
    minimum = float(best[profiler.index]), lowest
    minimum_asimov = float(best_asimov[profiler.index]), lowest_asimov
    return Asymptotic(profiler, asimov, minimum, minimum_asimov), lowest


def _feldman_cousins(problem: Problem, cl: float, toys: ToyOptions | None) -> LimitResult:
    made, record, notes = feldman_cousins(problem, cl, toys or ToyOptions(DEFAULT_TOYS))
    found = replace(made.found, pieces=made.pieces)
    return _result(problem, cl, "feldman-cousins", found, notes, toys=record)


METHODS: Final[dict[str, Callable[[Problem, float, ToyOptions | None], LimitResult]]] = {
    "delta-chi2": _delta_chi2,
    "cls": _cls,
    "feldman-cousins": _feldman_cousins,
}


def _result(
    problem: Problem,
    cl: float,
    method: str,
    found: ProfileIntervals,
    notes: tuple[str, ...],
    expected: Mapping[str, float] | None = None,
    toys: Mapping[str, Any] | None = None,
    second: Agreement | None = None,
) -> LimitResult:
    """Convert what was found to base units, and add what every limit has."""
    convert, lowest = problem.parameter.from_fit, found.best.twice_nll
    open_ends = {e: -np.inf if e == problem.span().low else np.inf for e in found.open_ends}
    pieces = tuple(
        (open_ends.get(low, convert(low)), open_ends.get(high, convert(high)))
        for low, high in found.pieces
    )
    bounded = problem.description.couplings[0].bounded
    second = second or second_optimizer(problem, found.best.value, np.ravel(found.pieces))
    quality = goodness(problem, lowest)
    poor = quality["degrees"] > 0 and quality["p_value"] < _POOR
    return LimitResult(
        experiments=problem.names,
        analysis=problem.analysis,
        parameter=problem.parameter.name,
        unit=problem.parameter.unit,
        convention=problem.convention,
        cl=cl,
        method=method,
        best_fit=convert(found.best.value),
        intervals=pieces,
        upper_limit=pieces[-1][1] if bounded and not open_ends else None,
        twice_nll_min=lowest,
        minima=tuple((convert(m.value), m.twice_nll - lowest) for m in found.minima),
        profiled=problem.profiled,
        fixed=dict(problem.options.fixed),
        status="converged",
        optimizer=problem.engine.optimizer,
        second_optimizer={"name": second.optimizer, "difference_2nll": second.difference},
        goodness=quality,
        notes=(*problem.notes, *notes, *second.notes, *([poor_note(quality)] if poor else [])),
        provenance=problem.provenance(),
        expected=expected,
        toys=toys,
    )


def limit(
    problem: Problem,
    cl: float,
    method: str,
    toys: ToyOptions | None = None,
    open_ends: bool = False,
) -> LimitResult:
    """Return the interval of the parameter of interest.

    With ``toys`` the methods ``cls`` and ``feldman-cousins`` use toys as they say; without, ``cls``
    is asymptotic, with its expected band, and ``feldman-cousins`` takes 2000 per value. Where
    ``delta-chi2`` excludes something, but the data set no end on one side in the widest range, that
    end is infinite with ``open_ends``, and an error without. `FitError` if no fit converges, or the
    region is not closed in the widest range of the model.
    """
    if toys is not None:
        check_engine(problem)
    open_ends = open_ends and method == "delta-chi2" and problem.options.bracket is None
    for _ in range(_WIDENINGS):
        try:
            return METHODS[method](problem, cl, toys)
        except OpenRegionError:
            wider = widened(problem)
            if wider is None and not open_ends:
                raise
            if wider is None:
                break
            problem = wider
    if open_ends:
        return _delta_chi2(problem, cl, toys, open_ends)
    return METHODS[method](problem, cl, toys)


def scan(problem: Problem, points: int, found: LimitResult | None = None) -> ScanResult:
    """Return the profile of the parameter of interest.

    Without a range asked for, it covers the interval ``found`` and half its width on both sides.
    """
    if not 2 <= points <= 100_000:
        raise InputError(f"points = {points}: between 2 and 100000 are possible")
    problem = explored(problem)
    low, high = _scan_ends(problem, found)
    values = np.linspace(low, high, points)
    profiler = problem.profiler()
    grid = np.array([problem.parameter.to_fit(value) for value in values])
    heights = profiler.at(grid)
    seeds = np.array([grid[int(np.argmin(heights))]])
    best, lowest = profiler.best(seeds)
    best_value = problem.parameter.from_fit(float(best[profiler.index]))
    if found is not None and found.twice_nll_min < lowest:
        best_value, lowest = found.best_fit, found.twice_nll_min
    return ScanResult(
        experiments=problem.names,
        analysis=problem.analysis,
        parameter=problem.parameter.name,
        unit=problem.parameter.unit,
        convention=problem.convention,
        values=values,
        delta=heights - lowest,
        best_fit=best_value,
        profiled=problem.profiled,
        fixed=dict(problem.options.fixed),
        optimizer=problem.engine.optimizer,
        notes=(
            *problem.notes,
            *lost_note(int((~np.isfinite(heights)).sum()), points, "no number is given"),
        ),
        provenance=problem.provenance(),
    )


def _scan_ends(problem: Problem, found: LimitResult | None) -> tuple[float, float]:
    if problem.options.bracket is not None:
        problem.span()
        return problem.options.bracket
    if found is None:
        raise InputError("a scan needs a range or a limit to take it from")
    coupling, convert = problem.description.couplings[0], problem.parameter.from_fit
    widest = convert(coupling.low), convert(coupling.high)
    known = [end for end in (*np.ravel(found.intervals), found.best_fit) if np.isfinite(end)]
    low, high = min(known), max(known)
    margin = 0.5 * (high - low)
    ends = (0.0 if coupling.bounded else low - margin), high + margin
    return max(ends[0], widest[0]), min(ends[1], widest[1])


def fit(problem: Problem, toys: ToyOptions | None = None) -> FitResult:
    """Fit all free parameters; errors from the curvature, or from profiles at a bound.

    For a strength the significance of its discovery comes along; with ``toys`` the p-value of the
    goodness of fit from toys, too. `FitError` if no fit converges, or the data do not determine the
    parameters.
    """
    if toys is not None:
        check_engine(problem)
    problem = explored(problem)
    compiled, profiler = problem.engine.compiled, problem.profiler()
    if degrees_of_freedom(problem) < 0:
        names = ", ".join(compiled.names[i] for i in np.flatnonzero(unconstrained(problem)))
        raise FitError(
            f"there are more parameters without a constraint ({names}) than bins "
            f"({compiled.n_main}): the data do not determine them; leave "
            "some out or set them to values"
        )
    best, lowest = best_fit(problem)
    matrix, bounded = uncertainties(problem, best, lowest)
    errors = np.sqrt(np.clip(np.diag(matrix), 0.0, None))
    table: dict[str, tuple[float, float]] = {}
    units: dict[str, str] = {}
    couplings = {c.parameter.fit_name: c.parameter for c in problem.description.couplings}
    factors = {factor.name for factor in problem.description.free}
    for i, name in enumerate(compiled.names):
        value, error = float(best[i]), float(errors[i])
        if name not in couplings:
            table[name], units[name] = (value, error), "1" if name in factors else "sigma"
        elif (parameter := couplings[name]).squared:
            # the even power, whose error is defined at zero too
            table[parameter.fit_stem] = value * parameter.scale, error * parameter.scale
            units[parameter.fit_stem] = f"{parameter.unit}^{parameter.power}"
        else:
            table[parameter.name] = parameter.from_fit(value), error * parameter.scale
            units[parameter.name] = parameter.unit
    quality = goodness(problem, lowest)
    statistic = quality["saturated_2nll"]
    by_toys, notes = ({}, ()) if toys is None else _goodness(problem, best, statistic, toys)
    return FitResult(
        experiments=problem.names,
        analysis=problem.analysis,
        parameters=table,
        units=units,
        counts=counts(problem, best, matrix),
        correlation=correlation(compiled.names, matrix),
        twice_nll=lowest,
        goodness={**quality, **by_toys},
        status="converged",
        optimizer=problem.engine.optimizer,
        notes=(*problem.notes, *bounded, *notes),
        at_bounds=tuple(list(table)[i] for i in at_bounds(problem, best)),
        provenance=problem.provenance(),
        significance=_discovery(problem, float(best[profiler.index]), lowest),
        parameter=problem.parameter.name,
    )


def _discovery(problem: Problem, best: float, lowest: float) -> dict[str, float] | None:
    """Significance of a strength against 0 (arXiv:1007.1727 eqs 12, 52); None for others."""
    if not problem.parameter.strength_of:
        return None
    index = problem.profiler().index
    _, height = conditional(problem, [index], np.array([[problem.parameter.to_fit(0.0)]]))
    q0 = max(float(height[0]) - lowest, 0.0) if best > 0.0 else 0.0
    return {"q0": q0, "sigma": float(np.sqrt(q0))}


def _goodness(
    problem: Problem, best: FloatArray, statistic: float, toys: ToyOptions
) -> tuple[dict[str, float], tuple[str, ...]]:
    """p-value of 2NLL above saturation from toys at the best fit, with its error, and a note."""
    setup = toy_setup(problem, [float(best[problem.profiler().index])])
    tasks = blocks({"kind": "goodness", "truth": best.tolist()}, toys.toys, [toys.seed, 0])
    with session(setup, toys, asked(problem, 0.0, "goodness")) as opened:
        t, lost = converged_only(opened.map(tasks))
    counted = len(t) - lost
    if lost > 0.01 * len(t):
        raise FitError(f"{lost} of {len(t)} toys did not converge")
    p = float((t >= statistic - TIE).sum()) / counted
    error = float(binomial_error(p, counted))
    note = f"goodness of fit: {toys.toys} toys, seed {toys.seed}; {lost} without a converged fit"
    return {"p_value_toys": p, "p_value_toys_error": error}, (note,)
