"""Data and expectation of every region in events, for figures and tables."""

from collections.abc import Mapping

import numpy as np

from nuhf.arrays import FloatArray
from nuhf.errors import FitError
from nuhf.histfactory.describe import PEDESTAL
from nuhf.rates.templates import Axis
from nuhf.stats.expected import RegionSpectrum
from nuhf.stats.explore import best_fit
from nuhf.stats.problem import Problem
from nuhf.stats.uncertainties import covariance


def region_spectra(
    problem: Problem, point: FloatArray | None = None, matrix: FloatArray | None = None
) -> list[RegionSpectrum]:
    """Evaluate every region at a point of the parameters, before the fit by default.

    Of files the regions are the channels, in counts; their bins have no edges and are numbered.
    From a covariance (P, P) of the parameters follows the uncertainty of the expectation.
    """
    compiled = problem.engine.compiled
    chosen = compiled.inits if point is None else point
    processes = problem.description.processes
    full = {name: problem.component(name).expected(chosen) for name in processes}
    modes = None
    if matrix is not None:
        variances, directions = np.linalg.eigh(matrix)
        modes = np.sqrt(np.clip(variances, 0.0, None))[:, np.newaxis] * (
            directions.T @ compiled.jacobian(chosen)
        )
    places, found = problem.description.bins, []
    known = {r.name: (one.loaded, r) for one in problem.experiments for r in one.regions}
    for channel in problem.description.channels:  # without those that are left out
        here, size = places[channel.name], channel.observed.size
        title, counts = problem.names[0], problem.data[here]
        titles: Mapping[str, str] = {}
        axes: tuple[Axis, ...] = (Axis("bin", tuple(float(x) for x in range(size + 1))),)
        asimov = problem.options.asimov or bool(problem.options.inject)
        if channel.name in known:
            loaded, region = known[channel.name]
            title, titles, asimov = loaded.experiment.title, region.titles, asimov or loaded.asimov
            axes = region.axes if size == region.observed.size else axes
        base = sum(s.counts for s in channel.samples if s.process == PEDESTAL)
        local = {sample.process for sample in channel.samples}
        found.append(
            RegionSpectrum(
                title,
                channel.name,
                axes,
                np.asarray((counts - base) / channel.scale),
                np.sqrt(np.maximum(counts, 0.0)) / channel.scale,
                {n: np.asarray(row[here] / channel.scale) for n, row in full.items() if n in local},
                titles,
                counted=bool((channel.scale == 1.0).all()),
                modes=None if modes is None else modes[:, here] / channel.scale,
                asimov=asimov,
            )
        )
    return found


def before_fit(problem: Problem) -> list[RegionSpectrum]:
    """Return every region where the parameters start, with the uncertainty of the nuisances."""
    variances = np.where(problem.engine.compiled.fixed, 0.0, np.square(problem.widths))
    return region_spectra(problem, matrix=np.diag(variances))


def after_fit(problem: Problem) -> list[RegionSpectrum]:
    """Return every region at the best fit, with the uncertainty that the fit leaves.

    Without uncertainty where 2NLL is flat in some direction.
    """
    best, _ = best_fit(problem)
    try:
        return region_spectra(problem, best, covariance(problem, best))
    except FitError:
        return region_spectra(problem, best)
