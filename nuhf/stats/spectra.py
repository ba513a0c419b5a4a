"""Data and expectation of every region in events, for figures and tables."""

import numpy as np
from numpy.typing import NDArray

from nuhf.histfactory.describe import PEDESTAL
from nuhf.stats.expected import RegionSpectrum
from nuhf.stats.problem import Problem

__all__ = ["region_spectra"]

FloatArray = NDArray[np.float64]


def region_spectra(problem: Problem, point: FloatArray | None = None) -> list[RegionSpectrum]:
    """Evaluate every region at a point of the parameters, before the fit by default."""
    compiled, description = problem.engine.compiled, problem.description
    chosen = compiled.inits if point is None else point
    full = {name: problem.component(name).expected(chosen) for name in description.processes}
    regions = [(one, region) for one in problem.experiments for region in one.regions]
    regions.sort(key=lambda pair: pair[1].name)  # as the channels of the description
    found, start = [], 0
    for (one, region), channel in zip(regions, description.channels, strict=True):
        here = slice(start, start + channel.observed.size)
        start = here.stop
        counts = problem.data[here]
        base = sum(s.counts for s in channel.samples if s.process == PEDESTAL)
        local = {sample.process for sample in channel.samples}
        found.append(
            RegionSpectrum(
                one.loaded.experiment.title,
                region.name,
                region.axes,
                np.asarray((counts - base) / channel.scale),
                np.sqrt(counts) / channel.scale,
                {n: np.asarray(row[here] / channel.scale) for n, row in full.items() if n in local},
                region.titles,
            )
        )
    return found
