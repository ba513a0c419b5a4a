"""The public functions that study a result: its coverage, its uncertainties, a second axis."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TextIO

import numpy as np
from numpy.typing import NDArray

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
from nuhf.api.given import prepared_of
from nuhf.api.posed import ToyChoices, check, one_problem, strength
from nuhf.errors import InputError
from nuhf.exclusions import ExclusionResult
from nuhf.exclusions import exclusion as find_exclusion
from nuhf.stats import ranking as impacts
from nuhf.stats.ranking import RankingResult
from nuhf.stats.results import CoverageResult
from nuhf.toys.coverage import coverage as measure

__all__ = ["coverage", "exclusion", "ranking"]

FloatArray = NDArray[np.float64]


@in_words
def coverage(
    names: ModelLike,
    parameter: str | None = None,
    *,
    true: float,
    cl: float = 0.9,
    method: Method = "delta-chi2",
    inner: int | None = None,
    nuisances: Mapping[str, float] | None = None,
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
    jobs: int | None = None,
    scheduler: str | None = None,
    checkpoint: str | Path | None = None,
    progress: TextIO | None = None,
) -> CoverageResult:
    """Measure how often an interval contains the true value.

    Parameters
    ----------
    names, parameter
        As in `limit`; one parameter.
    true : float
        True value in the base unit.
    cl, method : float, str
        Confidence level, and ``delta-chi2`` or ``feldman-cousins``.
    inner : int, optional
        Toys at most for the critical value of each toy (``feldman-cousins``; 1000).
    nuisances : mapping, optional
        True nuisances; the others are as fitted to the data at the true value.
    analysis, anapole, values, profile, fix, engine, asimov, settings, patch, measurement, inject,
    mask
        As in `limit`.
    search : (float, float), optional
        Range of the parameter in base units.
    toys, seed, jobs, scheduler, checkpoint, progress
        As in `limit`.

    Returns
    -------
    nuhf.stats.results.CoverageResult
    """
    check(cl, method)
    if method != "feldman-cousins" and inner is not None:
        raise InputError(f"inner: {method} takes none, feldman-cousins does")
    chosen = options(anapole, values, profile, fix, engine, asimov, search, settings, inject, mask)
    made = ToyChoices(toys, seed, None, jobs, scheduler, checkpoint, progress).options(1000)
    assert made is not None  # there is a default
    problem = one_problem(names, parameter, chosen, analysis, patch, measurement)
    most = 1000 if inner is None else whole(inner, "inner")
    return measure(problem, number(true, "true"), cl, method, made, most, nuisances)


@in_words
def exclusion(
    names: ExperimentsLike,
    parameter: str,
    setting: str,
    at: Sequence[float] | FloatArray,
    *,
    cl: float = 0.9,
    method: Method = "delta-chi2",
    step: Callable[[str], None] = lambda text: None,
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
) -> ExclusionResult:
    """Return intervals at values of a setting.

    Parameters
    ----------
    names, parameter
        As in `limit`; one parameter.
    setting, at : str, sequence of float
        A number of the model of a coupling, such as ``mediator_mass_mev``, and its values.
    cl, method : float, str
        As in `limit`.
    step : callable
        Is told, in words, which value comes next.
    analysis, anapole, values, profile, fix, engine, asimov, settings, patch, measurement, inject,
    mask
        As in `limit`.
    search : (float, float), optional
        Range of the parameter in base units.

    Returns
    -------
    nuhf.exclusions.ExclusionResult
    """
    check(cl, method)
    chosen = options(anapole, values, profile, fix, engine, asimov, search, settings, inject, mask)
    if patch or measurement:
        raise InputError("a patch and a measurement are of workspace files, not of experiments")
    return find_exclusion(
        prepared_of(names, analysis), parameter, chosen, setting, at, cl, method, step
    )


@in_words
def ranking(
    names: ModelLike,
    parameter: str | None = None,
    *,
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
) -> RankingResult:
    """Rank the nuisances by their impact on a parameter.

    Parameters
    ----------
    names, parameter
        As in `fit`.
    cl : float
        Confidence level of the interval whose ends are moved, too.
    analysis, anapole, values, profile, fix, engine, asimov, settings, patch, measurement, inject,
    mask
        As in `limit`.

    Returns
    -------
    nuhf.stats.ranking.RankingResult
        Impacts on the best fit and on the ends of the interval, the statistical and systematic
        parts of the error, groups, pulls, correlations. With ``engine="pyhf"`` the fits are
        cabinetry's, without the ends and the parts.
    """
    chosen = options(anapole, values, profile, fix, engine, asimov, None, settings, inject, mask)
    name = parameter or strength(names)
    return impacts.ranking(
        one_problem(names, name, chosen, analysis, patch, measurement), number(cl, "cl")
    )
