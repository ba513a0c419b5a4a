"""Data and expectation of every region in events, for figures and tables."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nuhf.histfactory.describe import PEDESTAL
from nuhf.rates.templates import Axis, bin_columns
from nuhf.stats.problem import Problem

__all__ = ["RegionSpectrum", "region_spectra"]

FloatArray = NDArray[np.float64]


@dataclass(frozen=True)
class RegionSpectrum:
    """One region in events; of a Gaussian region the background-subtracted ones.

    Attributes
    ----------
    experiment, region : str
        Names.
    axes : tuple of Axis
        The last axis runs fastest in all arrays.
    observed, errors : ndarray
        Data and their errors, (n_bins,) each.
    expected : mapping
        Events (n_bins,) by process.
    titles : mapping
        Title for people by process.
    """

    experiment: str
    region: str
    axes: tuple[Axis, ...]
    observed: FloatArray
    errors: FloatArray
    expected: Mapping[str, FloatArray]
    titles: Mapping[str, str]

    def columns(self) -> dict[str, list[float]]:
        """Return the region as columns of a table: bin edges, data, error, processes."""
        rows = {"data": self.observed, "error": self.errors, **self.expected}
        return bin_columns(self.axes) | {name: row.tolist() for name, row in rows.items()}


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
