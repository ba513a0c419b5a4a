"""`nuhf.log_density`, `nuhf.posterior` and `nuhf.simulate`."""

from collections.abc import Mapping

import numpy as np

from nuhf.api.arguments import ModelLike, Names, in_words
from nuhf.api.arguments import names as one_or_more
from nuhf.api.build import built, models
from nuhf.api.model import Model
from nuhf.arrays import FloatArray
from nuhf.bayes.posterior import posterior as sample_posterior
from nuhf.bayes.results import Posterior
from nuhf.bayes.simulation import Nuisances, Simulation, draw_data
from nuhf.couplings import parameters as catalogue
from nuhf.couplings.parameters import suggest
from nuhf.errors import InputError
from nuhf.stats.log_density import LogDensity, of_problem
from nuhf.stats.priors import Prior
from nuhf.stats.problem import Options


@in_words
def log_density(model: ModelLike, *, prior: Mapping[str, Prior | str] | None = None) -> LogDensity:
    """Return the posterior log density of couplings and nuisances, for any sampler.

    Parameters
    ----------
    model
        What `nuhf.model` or `nuhf.open` returned: its parameter of interest and those profiled
        (of a workspace: the parameters that get a prior) are free.
    prior : mapping, optional
        Priors by coupling: objects of `nuhf.stats.priors`, or ``flat`` (in the fit parameter, the
        default), ``flat-magnitude``, ``normal:MEAN,SD``, ``table:FILE``, in base units.

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
    given: object = {} if prior is None else prior
    if not isinstance(given, Mapping) or not all(
        isinstance(one, str | Prior) for one in given.values()
    ):
        raise InputError(f"prior = {prior!r}: give priors by name, such as {{'munu_e': 'flat'}}")
    return of_problem(built(model), prior)


@in_words
def posterior(
    model: ModelLike,
    parameters: Names | None = None,
    *,
    prior: Mapping[str, Prior | str] | None = None,
    cl: float = 0.9,
    draws: int = 20_000,
    seed: int = 1,
) -> Posterior:
    """Return the posterior of one or several couplings, by importance sampling.

    Parameters
    ----------
    model, prior
        As in `log_density`.
    parameters : str or sequence of str, optional
        Free couplings that each get a marginal density and a region of highest density, by default
        the parameter of interest; the others are integrated out.
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
    density = log_density(model, prior=prior)
    axes = {axis.name: axis for axis in density.axes}
    wanted = one_or_more(parameters, "parameters") or [density.axes[0].name]
    for name in wanted:
        if name not in axes:
            raise InputError(f"parameters: '{name}' is not free; {suggest(name, axes)}")
    return sample_posterior(density, [axes[name] for name in wanted], cl, draws, seed)


def _simulated(
    model: ModelLike, given: Mapping[str, float | FloatArray]
) -> tuple[LogDensity, tuple[str, ...]]:
    """Model of a simulation with the couplings that have values, and what must be told of it."""
    for name, value in given.items():
        ends = np.ravel(value)
        if not np.isfinite(ends).all():
            raise InputError(f"{name}: true values must be finite")
        for end in (ends.min(), ends.max()) if name in catalogue.PARAMETERS and ends.size else ():
            catalogue.check_values({name: float(end)})
    wanted = tuple(given)
    if not isinstance(model, Model):  # posed once, with what is wanted
        (made,) = models(model, wanted[:1] or (None,), Options(profiled=wanted[1:]))
    elif wanted and wanted != (model.poi, *model.profiled):
        made = model.replace(poi=wanted[0], profiled=wanted[1:])
    else:
        made = model
    problem = made.problem
    return of_problem(problem), tuple(
        f"region {c.name} is Gaussian: its counts are pseudo-counts, {c.observed[0]:g} where the "
        "expectation is what was measured"
        for c in problem.description.channels
        if not (c.scale == 1.0).all()
    )


@in_words
def simulate(
    model: ModelLike,
    values: Mapping[str, float | FloatArray] | None = None,
    number: int = 1000,
    seed: int = 1,
    *,
    nuisances: Nuisances = "drawn",
) -> Simulation:
    """Simulate data sets.

    Parameters
    ----------
    model
        What `nuhf.model` or `nuhf.open` returned, or the name of an experiment, or a file.
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
    density, told = _simulated(model, given)
    return draw_data(density, given, number, seed, nuisances, told)
