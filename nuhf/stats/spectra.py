"""Data and expectation of every region in events, for figures and tables."""

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from nuhf.arrays import FloatArray
from nuhf.errors import FitError
from nuhf.histfactory.describe import PEDESTAL
from nuhf.rates.templates import Axis
from nuhf.stats.expected import RegionSpectrum
from nuhf.stats.problem import Problem
from nuhf.stats.uncertainties import covariance


def region_spectra(
    problem: Problem, point: FloatArray | None = None, matrix: FloatArray | None = None
) -> list[RegionSpectrum]:
    """Evaluate every region at a point of the parameters, before the fit by default.

    Of files the regions are the channels, in counts; their bins have no edges and are numbered.

    Parameters
    ----------
    problem : Problem
        Model and data.
    point : ndarray, optional
        Parameters (P,).
    matrix : ndarray, optional
        Their covariance (P, P), from which the uncertainty of the expectation follows.
    """
    compiled = problem.engine.compiled
    chosen = compiled.inits if point is None else point
    processes = problem.description.processes
    full = {name: problem.component(name).expected(chosen) for name in processes}
    found = _of_experiments(problem, full) if problem.experiments else _of_files(problem, full)
    if matrix is None:
        return found
    variances, directions = np.linalg.eigh(matrix)
    modes = np.sqrt(np.clip(variances, 0.0, None))[:, np.newaxis] * (
        directions.T @ compiled.jacobian(chosen)
    )
    scale, places = problem.description.scale, problem.description.bins
    return [
        replace(region, modes=modes[:, here] / scale[here])
        for region, here in zip(
            found, (places[c.name] for c in problem.description.channels), strict=True
        )
    ]


def before_fit(problem: Problem) -> list[RegionSpectrum]:
    """Return every region where the parameters start, with the uncertainty of the nuisances."""
    compiled = problem.engine.compiled
    variances, constraints = np.zeros(len(compiled.names)), compiled.constraints
    variances[constraints.normal_param] = constraints.normal_sigma**2
    variances[constraints.poisson_param] = 1.0 / constraints.poisson_factor
    variances[compiled.fixed] = 0.0
    return region_spectra(problem, matrix=np.diag(variances))


def after_fit(problem: Problem) -> list[RegionSpectrum]:
    """Return every region at the best fit, with the uncertainty that the fit leaves.

    Without uncertainty where 2NLL is flat in some direction.
    """
    best, _ = problem.profiler().best(np.array([problem.description.couplings[0].init]))
    try:
        return region_spectra(problem, best, covariance(problem, best))
    except FitError:
        return region_spectra(problem, best)


def _of_experiments(problem: Problem, full: Mapping[str, FloatArray]) -> list[RegionSpectrum]:
    description, places = problem.description, problem.description.bins
    regions = {r.name: (one, r) for one in problem.experiments for r in one.regions}
    made = problem.options.asimov or bool(problem.options.inject)
    found = []
    for channel in description.channels:  # without those that are left out
        one, region = regions[channel.name]
        whole = channel.observed.size == region.observed.size
        here = places[channel.name]
        counts = problem.data[here]
        base = sum(s.counts for s in channel.samples if s.process == PEDESTAL)
        local = {sample.process for sample in channel.samples}
        found.append(
            RegionSpectrum(
                one.loaded.experiment.title,
                region.name,
                region.axes if whole else _numbered(channel.observed.size),
                np.asarray((counts - base) / channel.scale),
                np.sqrt(counts) / channel.scale,
                {n: np.asarray(row[here] / channel.scale) for n, row in full.items() if n in local},
                region.titles,
                counted=bool((channel.scale == 1.0).all()),
                asimov=made or one.loaded.asimov,
            )
        )
    return found


def _numbered(size: int) -> tuple[Axis, ...]:
    """An axis of bins without edges."""
    return (Axis("bin", tuple(float(x) for x in range(size + 1))),)


def _of_files(problem: Problem, full: Mapping[str, FloatArray]) -> list[RegionSpectrum]:
    places, found = problem.description.bins, []
    for channel in problem.description.channels:
        here, local = places[channel.name], {sample.process for sample in channel.samples}
        counts = problem.data[here]
        found.append(
            RegionSpectrum(
                problem.names[0],
                channel.name,
                _numbered(counts.size),
                counts,
                np.sqrt(np.maximum(counts, 0.0)),
                {n: row[here] for n, row in full.items() if n in local},
                {},
                asimov=problem.options.asimov or bool(problem.options.inject),
            )
        )
    return found
