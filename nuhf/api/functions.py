"""The public functions: the same names, arguments and results as the command line.

`limit`, `fit`, `scan`, `contour`, `ranking` and `coverage` take a `Model`, or the names of
experiments (or files) from which they build one. Of a model, all that describes it is fixed.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal, TextIO

import numpy as np
from numpy.typing import NDArray

from nuhf import questions
from nuhf.api.arguments import (
    Anapole,
    Bracket,
    Engine,
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
from nuhf.api.model import Model
from nuhf.api.posed import ToyChoices, check, one_problem, posed_fit, posed_limits
from nuhf.errors import InputError
from nuhf.stats.contour import ContourResult
from nuhf.stats.intervals import threshold
from nuhf.stats.results import FitResult, LimitResult, Limits, ScanResult
from nuhf.toys.feldman_cousins_2d import region

__all__ = ["contour", "fit", "interval", "limit", "scan"]

FloatArray = NDArray[np.float64]


@in_words
def limit(
    names: ModelLike,
    parameter: Names | None = None,
    *,
    cl: float = 0.9,
    method: Method = "delta-chi2",
    analysis: str = "default",
    anapole: Anapole = "standard",
    values: Mapping[str, float] | None = None,
    profile: Names = (),
    fix: NuisanceValues = (),
    engine: Engine = "compiled",
    asimov: bool = False,
    settings: Mapping[str, float] | None = None,
    patch: Names = (),
    measurement: str | None = None,
    inject: Mapping[str, float] | None = None,
    mask: Names = (),
    search: Bracket | None = None,
    toys: int | None = None,
    seed: int | None = None,
    points: int | None = None,
    jobs: int | None = None,
    scheduler: str | None = None,
    checkpoint: str | Path | None = None,
    progress: TextIO | None = None,
) -> Limits:
    """Return confidence intervals, one result per parameter.

    Parameters
    ----------
    names : str, Experiment, path, a sequence of them, or Model
        Experiment, or several to combine; ``NAME:ANALYSIS`` is one with another analysis.
    parameter : str or sequence of str, optional
        Parameters of interest, each with its own interval; all of the experiment by default.
    cl : float
        Confidence level.
    method : str
        ``delta-chi2``, ``cls`` (asymptotic, or with toys) or ``feldman-cousins``.
    analysis, anapole : str
        Named analysis; ``standard`` or ``khan``.
    values : mapping, optional
        Parameters set to values in base units.
    profile : str or sequence of str
        Other couplings left free: names, or ``charges``, ``radii``, ``moments``.
    fix : mapping, str or sequence of str
        Nuisances held: values by name, ``{"flux_sns": 3.0}``, or names (with wildcards) at their
        nominal values.
    engine : str
        ``compiled``, or ``pyhf`` with minuit.
    asimov : bool
        Replace the data by the expectation.
    settings : mapping, optional
        Numbers of the coupling models, such as ``mediator_mass_mev``.
    patch, measurement
        Of a workspace file: JSON patches (``FILE`` or ``PATCHSET.json:NAME``); which measurement.
    inject : mapping, optional
        True values of Asimov data: couplings in base units, nuisances by name.
    mask : str or sequence of str
        What is left out: regions or channels by name (with wildcards), or bins of one, counted from
        0: ``"SR:0,3-5"``.
    search : (float, float), optional
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
    chosen = options(anapole, values, profile, fix, engine, asimov, search, settings, inject, mask)
    made = ToyChoices(toys, seed, points, jobs, scheduler, checkpoint, progress)
    posed = posed_limits(names, parameter, cl, method, chosen, made, analysis, patch, measurement)
    return Limits(result for _, result in posed)


@in_words
def interval(
    model: Model,
    *,
    cl: float = 0.9,
    method: Method = "delta-chi2",
    search: Bracket | None = None,
    toys: int | None = None,
    seed: int | None = None,
    points: int | None = None,
    jobs: int | None = None,
    scheduler: str | None = None,
    checkpoint: str | Path | None = None,
    progress: TextIO | None = None,
) -> LimitResult:
    """Return the confidence interval of a model's parameter of interest.

    Arguments as in `limit`.
    """
    if not isinstance(model, Model):
        raise InputError(f"model = {model!r}: give what nuhf.model(...) or nuhf.open(...) returned")
    chosen = options(search=search)
    made = ToyChoices(toys, seed, points, jobs, scheduler, checkpoint, progress)
    return posed_limits(model, None, cl, method, chosen, made)[0][1]


@in_words
def scan(
    names: ModelLike,
    parameter: str | None = None,
    *,
    points: int = 121,
    cl: float = 0.9,
    analysis: str = "default",
    anapole: Anapole = "standard",
    values: Mapping[str, float] | None = None,
    profile: Names = (),
    fix: NuisanceValues = (),
    engine: Engine = "compiled",
    asimov: bool = False,
    settings: Mapping[str, float] | None = None,
    patch: Names = (),
    measurement: str | None = None,
    inject: Mapping[str, float] | None = None,
    mask: Names = (),
    search: Bracket | None = None,
) -> ScanResult:
    """Return the profile likelihood of a parameter.

    Parameters
    ----------
    names, parameter
        As in `limit`; one parameter.
    points : int
        Values over ``search`` or, without it, over the interval at ``cl`` and half its width on
        both sides.
    cl : float
        Confidence level of that interval.
    analysis, anapole, values, profile, fix, engine, asimov, settings, patch, measurement, inject,
    mask
        As in `limit`.
    search : (float, float), optional
        Range of the parameter in base units.

    Returns
    -------
    nuhf.stats.results.ScanResult
    """
    check(cl, "delta-chi2")
    chosen = options(anapole, values, profile, fix, engine, asimov, search, settings, inject, mask)
    problem = one_problem(names, parameter, chosen, analysis, patch, measurement)
    found = None if chosen.search else questions.limit(problem, cl, "delta-chi2")
    return questions.scan(problem, whole(points, "points"), found)


@in_words
def contour(
    names: ModelLike,
    parameter: Names,
    *,
    cl: float | Sequence[float] = (0.68, 0.9, 0.99),
    points: int = 50,
    method: Literal["delta-chi2", "feldman-cousins"] = "delta-chi2",
    window: Sequence[tuple[float, float]] | None = None,
    analysis: str = "default",
    anapole: Anapole = "standard",
    values: Mapping[str, float] | None = None,
    profile: Names = (),
    fix: NuisanceValues = (),
    engine: Engine = "compiled",
    asimov: bool = False,
    settings: Mapping[str, float] | None = None,
    patch: Names = (),
    measurement: str | None = None,
    inject: Mapping[str, float] | None = None,
    mask: Names = (),
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
    names
        As in `limit`.
    parameter : sequence of two str, or str
        The parameters on x and y; of a `Model`, which has x, that on y.
    cl : float or sequence of float
        Confidence levels for two degrees of freedom.
    points : int
        The grid along each axis that the boundaries start from.
    method : str
        ``delta-chi2`` or ``feldman-cousins``, with 500 toys at each grid point by default.
    window : two pairs of float, optional
        Range of each parameter in base units, for regions that do not close.
    analysis, anapole, values, profile, fix, engine, asimov, settings, patch, measurement, inject,
    mask
        As in `limit`.
    toys, seed, jobs, scheduler, checkpoint, progress
        As in `limit`.

    Returns
    -------
    nuhf.stats.contour.ContourResult
    """
    pair = list(one_or_more(parameter, "parameter"))
    if isinstance(names, Model):
        pair = [names.poi, *(name for name in pair if name != names.poi)]
    if len(pair) != 2 or pair[0] == pair[1]:
        raise InputError(f"a contour takes two different parameters, given: {', '.join(pair)}")
    levels = [cl] if isinstance(cl, int | float) else list(cl)
    for level in levels:
        threshold(number(level, "cl"))
    toys_by_default = 500 if method == "feldman-cousins" else None
    made = ToyChoices(toys, seed, None, jobs, scheduler, checkpoint, progress).options(
        toys_by_default, method
    )
    if isinstance(names, Model):
        others = tuple(name for name in names.profiled if name != pair[1])
        names = names if names.profiled[:1] == (pair[1],) else names.replace(
            profiled=(pair[1], *others)
        )  # fmt: skip
    else:
        profile = (pair[1], *one_or_more(profile, "profile"))
    chosen = options(anapole, values, profile, fix, engine, asimov, None, settings, inject, mask)
    problem = one_problem(names, pair[0], chosen, analysis, patch, measurement)
    return region(problem, levels, whole(points, "points"), method, made, window)


@in_words
def fit(
    names: ModelLike,
    parameter: str | None = None,
    *,
    analysis: str = "default",
    anapole: Anapole = "standard",
    values: Mapping[str, float] | None = None,
    profile: Names = (),
    fix: NuisanceValues = (),
    engine: Engine = "compiled",
    asimov: bool = False,
    settings: Mapping[str, float] | None = None,
    patch: Names = (),
    measurement: str | None = None,
    inject: Mapping[str, float] | None = None,
    mask: Names = (),
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
    names : str, Experiment, path, a sequence of them, or Model
        As in `limit`.
    parameter : str, optional
        By default the strength of the SM process, ``norm_cevns`` or ``norm_eves``, with the
        ``significance`` of its discovery.
    analysis, anapole, values, profile, fix, engine, asimov, settings, patch, measurement, inject,
    mask
        As in `limit`.
    toys, seed, jobs, scheduler, checkpoint, progress
        As in `limit`.

    Returns
    -------
    nuhf.stats.results.FitResult
        ``counts`` of a process are events expected, fitted, and the error. With ``toys`` the
        goodness of fit has a p-value from toys.
    """
    chosen = options(anapole, values, profile, fix, engine, asimov, None, settings, inject, mask)
    made = ToyChoices(toys, seed, None, jobs, scheduler, checkpoint, progress)
    return posed_fit(names, parameter, chosen, made, analysis, patch, measurement)[1]
