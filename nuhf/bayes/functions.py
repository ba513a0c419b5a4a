"""`nuhf.log_density`, `nuhf.posterior` and `nuhf.simulate`."""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from nuhf.api.arguments import (
    Anapole,
    ModelLike,
    Names,
    NuisanceValues,
    in_words,
    options,
)
from nuhf.api.arguments import names as one_or_more
from nuhf.api.model import Model
from nuhf.api.posed import problems, strength
from nuhf.bayes.posterior import posterior as sample_posterior
from nuhf.bayes.results import Posterior
from nuhf.bayes.simulation import Nuisances, Simulation, draw_data
from nuhf.couplings import parameters
from nuhf.errors import InputError
from nuhf.stats.log_density import LogDensity, of_problem
from nuhf.stats.priors import Prior
from nuhf.stats.problem import Problem

__all__ = ["log_density", "posterior", "simulate"]

FloatArray = NDArray[np.float64]


def _problem(
    names: ModelLike,
    wanted: Sequence[str],
    profile: Names,
    analysis: str,
    anapole: Anapole,
    values: Mapping[str, float] | None = None,
    fix: NuisanceValues = (),
    asimov: bool = False,
    settings: Mapping[str, float] | None = None,
    patch: Names = (),
    measurement: str | None = None,
    inject: Mapping[str, float] | None = None,
    mask: Names = (),
) -> Problem:
    """Return the problem whose couplings are those wanted and those profiled."""
    first, rest = (wanted[:1], wanted[1:]) if wanted else ([strength(names) or ""], [])
    free = (*rest, *one_or_more(profile, "profile"))
    chosen = options(anapole, values, free, fix, "compiled", asimov, None, settings, inject, mask)
    name = first[0] or None
    if isinstance(names, Model) and not wanted:
        name = None
    return problems(names, name, chosen, analysis, patch, measurement)[0]


@in_words
def log_density(
    names: ModelLike,
    parameter: Names | None = None,
    *,
    prior: Mapping[str, Prior | str] | None = None,
    profile: Names = (),
    analysis: str = "default",
    anapole: Anapole = "standard",
    values: Mapping[str, float] | None = None,
    fix: NuisanceValues = (),
    asimov: bool = False,
    settings: Mapping[str, float] | None = None,
    patch: Names = (),
    measurement: str | None = None,
    inject: Mapping[str, float] | None = None,
    mask: Names = (),
) -> LogDensity:
    """Return the posterior log density of couplings and nuisances, for any sampler.

    Parameters
    ----------
    names : str or sequence of str
        Experiments, or pyhf workspaces: JSON files or their content.
    parameter : str or sequence of str, optional
        Free couplings (of a workspace: its parameters that get a prior). By default the strength
        of the SM process, and the parameter of interest of a workspace.
    prior : mapping, optional
        Priors by coupling: objects of `nuhf.stats.priors`, or ``flat`` (in the fit parameter, the
        default), ``flat-magnitude``, ``normal:MEAN,SD``, ``table:FILE``, in base units.
    profile : sequence of str
        Further free couplings, or groups of them, as in `limit`.
    analysis, anapole, values, fix, asimov, settings, patch, measurement, inject, mask
        As in `limit`.

    Returns
    -------
    LogDensity
        Names, bounds, initial point, ``logpdf``, ``logpdf_and_gradient``, ``to_jax()``, and
        ``prior_transform`` with ``log_likelihood`` for nested samplers.

    Raises
    ------
    nuhf.errors.InputError
        If anything given is not allowed; the message says what is.
    """
    wanted = list(one_or_more(parameter, "parameter"))
    posed = _problem(
        names, wanted, profile, analysis, anapole, values, fix, asimov, settings, patch,
        measurement, inject, mask,
    )  # fmt: skip
    return of_problem(posed, prior)


@in_words
def posterior(
    names: ModelLike,
    parameter: Names | None = None,
    *,
    prior: Mapping[str, Prior | str] | None = None,
    cl: float = 0.9,
    draws: int = 20_000,
    seed: int = 1,
    profile: Names = (),
    analysis: str = "default",
    anapole: Anapole = "standard",
    values: Mapping[str, float] | None = None,
    fix: NuisanceValues = (),
    asimov: bool = False,
    settings: Mapping[str, float] | None = None,
    patch: Names = (),
    measurement: str | None = None,
    inject: Mapping[str, float] | None = None,
    mask: Names = (),
) -> Posterior:
    """Return the posterior of one or several couplings, by importance sampling.

    Parameters
    ----------
    names, parameter, prior, profile, analysis, anapole, values, fix, asimov, settings, patch, \
measurement, inject, mask
        As in `log_density`. The couplings in ``parameter`` each get a marginal density and a
        region of highest density; those of ``profile`` are free and integrated out.
    cl : float
        Probability of the regions of highest density.
    draws, seed : int
        Draws along each coupling, 1000 to 1 000 000, and the seed of everything random.

    Returns
    -------
    nuhf.bayes.results.Posterior

    Raises
    ------
    nuhf.errors.InputError
        If anything given is not allowed.
    nuhf.errors.FitError
        If the Pareto k-hat of the weights is above 0.7, or a mode is missing: then give
        `log_density` to a sampler.
    """
    density = log_density(
        names, parameter, prior=prior, profile=profile, analysis=analysis, anapole=anapole,
        values=values, fix=fix, asimov=asimov, settings=settings, patch=patch,
        measurement=measurement, inject=inject, mask=mask,
    )  # fmt: skip
    wanted = list(one_or_more(parameter, "parameter"))
    axes = {axis.name: axis for axis in density.axes}
    couplings = [axes[name] for name in wanted] or [density.axes[0]]
    return sample_posterior(density, couplings, cl, draws, seed)


def _simulated(
    names: ModelLike,
    given: Mapping[str, float | FloatArray],
    analysis: str,
    anapole: Anapole,
    settings: Mapping[str, float] | None,
) -> tuple[LogDensity, tuple[str, ...]]:
    """Model of a simulation with the couplings that have values, and what must be told of it."""
    for name, value in given.items():
        ends = np.ravel(value)
        if not np.isfinite(ends).all():
            raise InputError(f"{name}: true values must be finite")
        for end in (ends.min(), ends.max()) if name in parameters.PARAMETERS and ends.size else ():
            parameters.check_values({name: float(end)})
    problem = _problem(names, list(given), (), analysis, anapole, settings=settings)
    return of_problem(problem), tuple(
        f"region {c.name} is Gaussian: its counts are pseudo-counts, {c.observed[0]:g} where the "
        "expectation is what was measured"
        for c in problem.description.channels
        if not (c.scale == 1.0).all()
    )


@in_words
def simulate(
    names: ModelLike,
    values: Mapping[str, float | FloatArray] | None = None,
    number: int = 1000,
    seed: int = 1,
    *,
    nuisances: Nuisances = "drawn",
    analysis: str = "default",
    anapole: Anapole = "standard",
    settings: Mapping[str, float] | None = None,
) -> Simulation:
    """Simulate data sets.

    Parameters
    ----------
    names : str or sequence of str
        Experiments, or pyhf workspaces: JSON files or their content.
    values : mapping, optional
        True couplings in base units, each one value or an array (number,); all others are at the
        SM. Of a workspace, values of its parameters.
    number, seed : int
        Data sets, and the seed of everything random: the same seed, the same data.
    nuisances : str
        ``drawn``: each data set has nuisances of its own, drawn from their constraints, and the
        auxiliary data stay as measured: pairs of parameters and data from the joint distribution
        that simulation-based inference learns from. ``fixed``: nuisances are nominal and the
        auxiliary data are drawn about them: repetitions of the experiment.
    analysis, anapole, settings
        As in `limit`.

    Returns
    -------
    nuhf.bayes.simulation.Simulation

    Raises
    ------
    nuhf.errors.InputError
        If anything given is not allowed.
    nuhf.errors.FitError
        If a bin expects clearly fewer than zero events.
    """
    given = dict(values or {})
    density, notes = _simulated(names, given, analysis, anapole, settings)
    counts, auxiliary, truth, more = draw_data(density, given, number, seed, nuisances)
    for axis in density.axes:
        truth[:, axis.index] = axis.from_fit(truth[:, axis.index])
    base = {axis.fit_name: axis.name for axis in density.axes}
    record = {name: np.asarray(value).tolist() for name, value in given.items()}
    return Simulation(
        title=density.title,
        regions=density.regions,
        counts=counts,
        auxiliary=auxiliary,
        names=tuple(base.get(name, name) for name in density.compiled.names),
        truth=truth,
        couplings=tuple(axis.name for axis in density.axes),
        nuisances=nuisances,
        seed=seed,
        notes=(*density.notes, *notes, *more),
        provenance={**density.record, "values": record, "number": number, "seed": seed},
    )
