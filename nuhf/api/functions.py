"""The public functions that fit: the same names, arguments and results as the command line.

All but `limit` take a `Model`, or whatever `nuhf.model` or `nuhf.open` makes one of without
further choices: the name of an experiment, a file.
"""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Literal, TextIO

from nuhf import questions
from nuhf.api.arguments import (
    Anapole,
    Bracket,
    Engine,
    ExperimentsLike,
    Method,
    ModelLike,
    Names,
    NuisanceValues,
    in_words,
    number,
    options,
    whole,
)
from nuhf.api.arguments import names as one_or_more
from nuhf.api.build import built, models
from nuhf.api.model import Model
from nuhf.api.toys import ToyChoices, check
from nuhf.arrays import FloatArray
from nuhf.errors import InputError
from nuhf.exclusions import ExclusionResult
from nuhf.exclusions import exclusion as find_exclusion
from nuhf.stats import ranking as impacts
from nuhf.stats.contour import ContourResult
from nuhf.stats.intervals import threshold
from nuhf.stats.problem import Problem
from nuhf.stats.ranking import RankingResult
from nuhf.stats.results import CoverageResult, FitResult, LimitResult, Limits, ScanResult
from nuhf.toys.coverage import coverage as measure
from nuhf.toys.feldman_cousins_2d import DEFAULT_TOYS, region
from nuhf.toys.sample import ToyOptions


@in_words
def limit(
    experiments: ExperimentsLike,
    poi: Names | None = None,
    *,
    cl: float = 0.9,
    method: Method = "delta-chi2",
    bracket: Bracket | None = None,
    analysis: str = "default",
    patch: Names = (),
    measurement: str | None = None,
    profiled: Names = (),
    fixed: Mapping[str, float] | None = None,
    fixed_nuisances: NuisanceValues = (),
    asimov: bool = False,
    anapole: Anapole = "standard",
    settings: Mapping[str, float] | None = None,
    inject: Mapping[str, float] | None = None,
    mask: Names = (),
    engine: Engine = "compiled",
    toys: int | None = None,
    seed: int | None = None,
    points: int | None = None,
    jobs: int | None = None,
    scheduler: str | None = None,
    checkpoint: str | Path | None = None,
    progress: TextIO | None = None,
) -> Limits:
    """Return confidence intervals, one result per parameter: the short form of `interval`.

    Parameters
    ----------
    experiments
        As in `nuhf.model`, or files as in `nuhf.open`.
    poi : str or sequence of str, optional
        Parameters of interest, each with its own interval; all of the experiment by default.
    cl, method, bracket
        As in `interval`.
    analysis, profiled, fixed, fixed_nuisances, asimov, anapole, settings, inject, mask, engine
        As in `nuhf.model`.
    patch, measurement
        As in `nuhf.open`.
    toys, seed, points, jobs, scheduler, checkpoint, progress
        As in `interval`.

    Returns
    -------
    nuhf.stats.results.Limits
        A tuple of `nuhf.stats.results.LimitResult`; values in base units: e, mu_B, cm2, 1.

    Raises
    ------
    nuhf.errors.InputError
        If anything given is not allowed; the message says what is.
    nuhf.errors.FitError
        If an interval cannot be determined.
    """
    by_toys = ToyChoices(toys, seed, points, jobs, scheduler, checkpoint, progress).of_interval(
        cl, method
    )
    wanted = one_or_more(poi, "poi")
    if poi is not None and not wanted:
        raise InputError("name at least one parameter")
    chosen = options(
        anapole=anapole, fixed=fixed, profiled=profiled, fixed_nuisances=fixed_nuisances,
        engine=engine, asimov=asimov, bracket=bracket, settings=settings, inject=inject, mask=mask,
    )  # fmt: skip
    made = models(experiments, wanted, chosen, analysis, patch, measurement)
    return intervals([one.problem for one in made], cl, method, by_toys)


def intervals(
    problems: Sequence[Problem], cl: float, method: Method, toys: ToyOptions | None
) -> Limits:
    """Return the intervals of several parameters, as `interval` does of one.

    `InputError` if a checkpoint is given for several parameters.
    """
    if toys is not None and toys.checkpoint is not None and len(problems) > 1:
        raise InputError("checkpoint: it is for one parameter; name one")
    return Limits(
        questions.limit(problem, cl, method, toys, open_ends=True) for problem in problems
    )


@in_words
def interval(
    model: ModelLike,
    *,
    cl: float = 0.9,
    method: Method = "delta-chi2",
    bracket: Bracket | None = None,
    toys: int | None = None,
    seed: int | None = None,
    points: int | None = None,
    jobs: int | None = None,
    scheduler: str | None = None,
    checkpoint: str | Path | None = None,
    progress: TextIO | None = None,
) -> LimitResult:
    """Return the confidence interval of a model's parameter of interest.

    Parameters
    ----------
    model
        What `nuhf.model` or `nuhf.open` returned.
    cl : float
        Confidence level.
    method : str
        ``delta-chi2``, ``cls`` (asymptotic, or with toys) or ``feldman-cousins``.
    bracket : (float, float), optional
        Range of the parameter in base units.
    toys, seed : int, optional
        Toys per tested value, and their seed (1): same seed, same result.
    points : int, optional
        Values that ``feldman-cousins`` tests before it refines the ends (40).
    jobs, scheduler : int, str, optional
        Processes (all cores), or the address of a dask scheduler.
    checkpoint : path, optional
        File of finished toys: a run that was stopped goes on from it.
    progress : text stream, optional
        Where to show progress, if it is a terminal.

    Raises
    ------
    nuhf.errors.InputError
        If anything given is not allowed; the message says what is.
    nuhf.errors.FitError
        If the interval cannot be determined.
    """
    made = ToyChoices(toys, seed, points, jobs, scheduler, checkpoint, progress).of_interval(
        cl, method
    )
    return questions.limit(built(model, bracket), cl, method, made, open_ends=True)


@in_words
def scan(
    model: ModelLike, *, points: int = 121, cl: float = 0.9, bracket: Bracket | None = None
) -> ScanResult:
    """Return the profile likelihood of a parameter.

    Parameters
    ----------
    model
        As in `interval`.
    points : int
        Values over ``bracket`` or, without it, over the interval at ``cl`` and half its width on
        both sides.
    cl : float
        Confidence level of that interval.
    bracket : (float, float), optional
        Range of the parameter in base units.
    """
    check(cl, "delta-chi2")
    problem = built(model, bracket)
    found = None
    if not problem.options.bracket:
        found = questions.limit(problem, cl, "delta-chi2", open_ends=True)
    return questions.scan(problem, whole(points, "points"), found)


@in_words
def contour(
    model: ModelLike,
    other: str,
    *,
    cl: float | Sequence[float] = (0.68, 0.9, 0.99),
    points: int = 50,
    method: Literal["delta-chi2", "feldman-cousins"] = "delta-chi2",
    window: Sequence[tuple[float, float]] | None = None,
    toys: int | None = None,
    seed: int | None = None,
    jobs: int | None = None,
    scheduler: str | None = None,
    checkpoint: str | Path | None = None,
    progress: TextIO | None = None,
) -> ContourResult:
    """Return the regions of two parameters.

    Parameters
    ----------
    model
        As in `interval`; its parameter of interest is on x.
    other : str
        The parameter on y; without more choices the model need not have it free.
    cl : float or sequence of float
        Confidence levels for two degrees of freedom.
    points : int
        The grid along each axis that the boundaries start from.
    method : str
        ``delta-chi2`` or ``feldman-cousins``, with 500 toys at each grid point by default.
    window : two pairs of float, optional
        Range of each parameter in base units, for regions that do not close.
    toys, seed, jobs, scheduler, checkpoint, progress
        As in `interval`.
    """
    wanted = one_or_more(other, "other")
    if len(wanted) != 1:
        raise InputError(f"other = {other!r}: a contour takes one more parameter")
    (name,) = wanted
    levels = [cl] if isinstance(cl, int | float) else list(cl)
    for level in levels:
        threshold(number(level, "cl"))
    toys_by_default = DEFAULT_TOYS if method == "feldman-cousins" else None
    made = ToyChoices(toys, seed, None, jobs, scheduler, checkpoint, progress).options(
        toys_by_default, method
    )
    given = model if isinstance(model, Model) else Model(built(model))
    if name == given.poi:
        raise InputError(f"a contour takes two different parameters, given: {name} twice")
    if given.profiled[:1] != (name,):
        given = given.replace(profiled=(name, *(one for one in given.profiled if one != name)))
    return region(given.problem, levels, whole(points, "points"), method, made, window)


@in_words
def fit(
    model: ModelLike,
    *,
    toys: int | None = None,
    seed: int | None = None,
    jobs: int | None = None,
    scheduler: str | None = None,
    checkpoint: str | Path | None = None,
    progress: TextIO | None = None,
) -> FitResult:
    """Fit a parameter and all nuisances.

    Parameters
    ----------
    model
        As in `interval`. Of the strength of the SM process the result has the ``significance`` of
        its discovery.
    toys, seed, jobs, scheduler, checkpoint, progress
        As in `interval`: with ``toys`` the goodness of fit has a p-value from toys.

    Returns
    -------
    nuhf.stats.results.FitResult
        ``counts`` of a process are events expected, fitted, and the error.
    """
    made = ToyChoices(toys, seed, None, jobs, scheduler, checkpoint, progress).options(None)
    return questions.fit(built(model), made)


@in_words
def ranking(model: ModelLike, *, cl: float = 0.9) -> RankingResult:
    """Rank the nuisances by their impact on a parameter.

    Parameters
    ----------
    model
        As in `interval`.
    cl : float
        Confidence level of the interval whose ends are moved, too.

    Returns
    -------
    nuhf.stats.ranking.RankingResult
        Impacts on the best fit and on the ends of the interval, the statistical and systematic
        parts of the error, groups, pulls, correlations. With ``engine="pyhf"`` the fits are
        cabinetry's, without the ends and the parts.
    """
    return impacts.ranking(built(model), number(cl, "cl"))


@in_words
def coverage(
    model: ModelLike,
    *,
    true: float,
    cl: float = 0.9,
    method: Method = "delta-chi2",
    bracket: Bracket | None = None,
    inner: int | None = None,
    nuisances: Mapping[str, float] | None = None,
    toys: int | None = None,
    seed: int | None = None,
    jobs: int | None = None,
    scheduler: str | None = None,
    checkpoint: str | Path | None = None,
    progress: TextIO | None = None,
) -> CoverageResult:
    """Measure how often an interval contains the true value.

    Parameters
    ----------
    model
        As in `interval`.
    true : float
        True value in the base unit.
    cl, method : float, str
        Confidence level, and ``delta-chi2`` or ``feldman-cousins``.
    bracket : (float, float), optional
        Range of the parameter in base units.
    inner : int, optional
        Toys at most for the critical value of each toy (``feldman-cousins``; 1000).
    nuisances : mapping, optional
        True nuisances; the others are as fitted to the data at the true value.
    toys, seed, jobs, scheduler, checkpoint, progress
        As in `interval`.
    """
    check(cl, method)
    if method != "feldman-cousins" and inner is not None:
        raise InputError(f"inner: {method} takes none, feldman-cousins does")
    made = ToyChoices(toys, seed, None, jobs, scheduler, checkpoint, progress).options(1000)
    assert made is not None  # there is a default
    most = 1000 if inner is None else whole(inner, "inner")
    return measure(built(model, bracket), number(true, "true"), cl, method, made, most, nuisances)


@in_words
def exclusion(
    model: ModelLike,
    setting: str,
    at: Sequence[float] | FloatArray,
    *,
    cl: float = 0.9,
    method: Method = "delta-chi2",
    bracket: Bracket | None = None,
    step: Callable[[str], None] = lambda text: None,
) -> ExclusionResult:
    """Return intervals at values of a setting.

    Parameters
    ----------
    model
        As in `interval`; it has the setting at any value.
    setting, at : str, sequence of float
        A number of the model of a coupling, such as ``mediator_mass_mev``, and its values.
    cl, method, bracket
        As in `interval`.
    step : callable
        Is told, in words, which value comes next.
    """
    check(cl, method)
    return find_exclusion(built(model, bracket), setting, at, cl, method, step)
