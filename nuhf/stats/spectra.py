"""Data and expectation of every region in events, for figures and tables."""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from nuhf.histfactory.describe import PEDESTAL
from nuhf.likelihood.evaluate import CompiledModel
from nuhf.rates.templates import Axis
from nuhf.stats.expected import RegionSpectrum
from nuhf.stats.problem import Problem

__all__ = ["prior_covariance", "region_spectra", "total_errors"]

FloatArray = NDArray[np.float64]


def region_spectra(problem: Problem, point: FloatArray | None = None) -> list[RegionSpectrum]:
    """Evaluate every region at a point of the parameters, before the fit by default.

    Of files the regions are the channels, in counts; their bins have no edges and are numbered.
    """
    chosen = problem.engine.compiled.inits if point is None else point
    processes = problem.description.processes
    full = {name: problem.component(name).expected(chosen) for name in processes}
    return _of_experiments(problem, full) if problem.experiments else _of_files(problem, full)


def _of_experiments(problem: Problem, full: Mapping[str, FloatArray]) -> list[RegionSpectrum]:
    description, places = problem.description, problem.description.bins
    regions = {r.name: (one, r) for one in problem.experiments for r in one.regions}
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
            )
        )
    return found


def prior_covariance(compiled: CompiledModel) -> FloatArray:
    """Return what the constraints alone say of the parameters, (P, P); 0 for free ones."""
    variances, constraints = np.zeros(len(compiled.names)), compiled.constraints
    variances[constraints.normal_param] = constraints.normal_sigma**2
    variances[constraints.poisson_param] = 1.0 / constraints.poisson_factor
    variances[compiled.fixed] = 0.0
    return np.diag(variances)


def total_errors(problem: Problem, point: FloatArray, covariance: FloatArray) -> list[FloatArray]:
    """Return the error of the expectation in every bin of every region, in events.

    Parameters
    ----------
    point, covariance : ndarray
        Parameters (P,) and their covariance (P, P); linear propagation.
    """
    slopes = problem.engine.compiled.jacobian(point)
    variance = np.einsum("pb,pq,qb->b", slopes, covariance, slopes)
    sigma, places = np.sqrt(np.maximum(variance, 0.0)), problem.description.bins
    channels = problem.description.channels
    return [np.asarray(sigma[places[c.name]] / c.scale) for c in channels]
