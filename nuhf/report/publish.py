"""What is published of an experiment: an archive per parameter, and the numbers beside it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from nuhf import questions, resources
from nuhf.arrays import FloatArray
from nuhf.errors import InputError
from nuhf.report.render import render
from nuhf.stats.expected import RegionSpectrum
from nuhf.stats.explore import best_fit
from nuhf.stats.problem import Problem
from nuhf.stats.result_base import unit_text
from nuhf.stats.results import Correlation, LimitResult
from nuhf.stats.spectra import before_fit, region_spectra
from nuhf.stats.uncertainties import correlation, covariance
from nuhf.workspaces import encode
from nuhf.workspaces.archive import pack
from nuhf.workspaces.patchset import PatchGrid


@dataclass(frozen=True)
class PublishedParameter:
    """One parameter: its interval, patch set, and profile at the points of that.

    The values are in the base unit, and 2NLL is above its minimum, (n_points,) each.
    """

    problem: Problem
    limit: LimitResult
    grid: PatchGrid
    values: FloatArray
    delta: FloatArray


@dataclass(frozen=True)
class Publication:
    """All that is published of one experiment.

    Attributes
    ----------
    before, after : tuple of RegionSpectrum
        Data and expectation with its uncertainty: at the SM with nominal nuisances, and at the
        best fit.
    fitted : mapping
        Value and error of every fit parameter in that fit: of the first parameter, all nuisances
        free.
    correlation : mapping
        Names and matrix of that fit.
    entries : tuple of PublishedParameter
        Parameters.
    """

    before: tuple[RegionSpectrum, ...]
    after: tuple[RegionSpectrum, ...]
    fitted: Mapping[str, tuple[float, float]]
    correlation: Correlation
    entries: tuple[PublishedParameter, ...]

    @property
    def problem(self) -> Problem:
        """The first problem, for what all have in common."""
        return self.entries[0].problem

    @property
    def stem(self) -> str:
        """Experiment, and the analysis if it is not the default."""
        analysis = self.problem.analysis
        return self.problem.names[0] + ("" if analysis == "default" else f"_{analysis}")

    @property
    def notes(self) -> tuple[str, ...]:
        """Caveats, each once."""
        return tuple(dict.fromkeys(note for e in self.entries for note in e.grid.notes))

    def archives(self) -> dict[str, bytes]:
        """Return a tar.gz per parameter by its file name: workspace, patch set, README."""
        return {
            f"{self.stem}_{entry.problem.parameter.name}.tar.gz": pack(_files(entry))
            for entry in self.entries
        }


def _files(entry: PublishedParameter) -> dict[str, bytes]:
    found = {"BkgOnly.json": entry.grid.background, "patchset.json": entry.grid.patchset}
    workspace = encoded(entry.problem, "stock")
    if workspace is not None:
        found["workspace.json"] = workspace
    texts = {name: resources.dump_json(content) + "\n" for name, content in found.items()}
    texts["README.md"] = _readme(entry, workspace is not None)
    return {name: text.encode() for name, text in texts.items()}


def encoded(problem: Problem, encoding: str) -> dict[str, object] | None:
    """Return the likelihood in an encoding, or None where that cannot express it."""
    try:
        return encode.encode(problem.description, encoding)
    except InputError:
        return None


def _interval(found: LimitResult) -> str:
    pieces = [f"[{low:.4g}, {high:.4g}]" for low, high in found.intervals]
    return " or ".join(pieces) + unit_text(found.unit)


def _readme(entry: PublishedParameter, workspace: bool) -> str:
    problem, found = entry.problem, entry.limit
    parameter, loaded = problem.parameter, problem.experiments[0].loaded
    conversion = (
        f"its square in units of 1e{parameter.exponent} {parameter.unit}^2"
        if parameter.squared
        else f"in units of 1e{parameter.exponent} {parameter.unit}, minus {parameter.offset:g}"
    )
    return render(
        "texts/archive.md.j2",
        experiment=loaded.experiment, references=loaded.references, parameter=parameter,
        analysis=problem.analysis, limit=found, interval=_interval(found), grid=entry.grid,
        conversion=conversion.removesuffix(", minus 0"), workspace=workspace,
    )  # fmt: skip


def publication(posed: Sequence[Problem], grids: Sequence[PatchGrid], cl: float) -> Publication:
    """Compute intervals, profiles on the grids, and the expectation before and after the fit.

    There is one problem, of one experiment, and one patch set for each parameter.
    """
    entries = []
    for problem, grid in zip(posed, grids, strict=True):
        limit = questions.limit(problem, cl, "delta-chi2")
        heights = problem.profiler().at(grid.points[:, 0])
        values = np.array([problem.parameter.from_fit(float(x)) for x in grid.points[:, 0]])
        entries.append(
            PublishedParameter(problem, limit, grid, values, heights - limit.twice_nll_min)
        )
    first, compiled = posed[0], posed[0].engine.compiled
    best, _ = best_fit(first)
    matrix = covariance(first, best)
    errors = np.sqrt(np.clip(np.diag(matrix), 0.0, None))
    fitted = {n: (float(best[i]), float(errors[i])) for i, n in enumerate(compiled.names)}
    return Publication(
        tuple(before_fit(first)), tuple(region_spectra(first, best, matrix)), fitted,
        correlation(compiled.names, matrix), tuple(entries),
    )  # fmt: skip
