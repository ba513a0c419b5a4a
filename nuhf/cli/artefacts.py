"""Files that commands write beside their printed result."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from nuhf import resources
from nuhf.cli import options
from nuhf.errors import InputError
from nuhf.exclusions import ExclusionResult
from nuhf.plots import figures as plots
from nuhf.questions import scan as scan_problem
from nuhf.stats.contour import ContourResult
from nuhf.stats.intervals import threshold
from nuhf.stats.problem import Problem, pose
from nuhf.stats.result_base import choices, heading, title_of
from nuhf.stats.results import FitResult, Limits, ScanResult
from nuhf.stats.spectra import region_spectra
from nuhf.tables import format_csv, tables_together
from nuhf.units import percent
from nuhf.workspaces import encode

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = [
    "curve",
    "spectrum",
    "write_contour",
    "write_exclusion",
    "write_figures",
    "write_fit",
    "write_limits",
    "write_scan",
]


def write_figures(path: Path, table: str, draw: Callable[[], "Mapping[str, Figure]"]) -> None:
    """Write what ``-o`` names: figures and their CSV, the CSV alone, or for ``-`` on stdout.

    Parameters
    ----------
    path : Path
        What was given: a figure, a ``.csv`` file, or ``-``.
    table : str
        The CSV.
    draw : callable
        Makes the figures by what is added to the stem of the path.
    """
    if str(path) == "-" or path.suffix.lower() == ".csv":
        options.write(path, table)
        return
    image = path if path.suffix else path.with_suffix(".png")
    for ending, figure in draw().items():
        place = image.with_stem(f"{image.stem}{ending}")
        plots.save(figure, place)
        options.say(place)
    options.write(image.with_suffix(".csv"), table)


def write_scan(path: Path, found: ScanResult, cl: float) -> None:
    """Write the figure of a scan and its CSV, as `write_figures` does."""
    write_figures(
        path,
        found.commented_csv(),
        lambda: {"": plots.profiles([curve(found, ())], threshold(cl), cl, title_of(found))},
    )


def write_exclusion(path: Path, found: ExclusionResult) -> None:
    """Write the figure of an exclusion and its CSV, as `write_figures` does."""
    curve = title_of(found), found.at, found.intervals
    write_figures(
        path,
        found.commented_csv(),
        lambda: {"": plots.exclusion([curve], found.parameter, found.setting, found.cl)},
    )


def curve(found: ScanResult, intervals: Sequence[tuple[float, float]]) -> dict[str, Any]:
    """Return a scan and its intervals in the form that `nuhf.plots.figures.profiles` draws."""
    return {
        "parameter": found.parameter,
        "unit": found.unit,
        "values": found.values,
        "delta": found.delta,
        "intervals": intervals,
    }


def write_contour(path: Path, found: ContourResult) -> None:
    """Write the figure of the regions and the CSV of their boundaries, as `write_figures` does."""

    def draw() -> "Mapping[str, Figure]":
        figure = plots.regions(
            found.parameters,
            found.units,
            {f"{percent(cl)} % CL": lines for cl, lines in found.regions},
            found.best_fit,
            title_of(found),
        )
        return {"": figure}

    write_figures(path, found.commented_csv(), draw)


def write_limits(folder: Path, problems: Sequence[Problem], found: Limits) -> None:
    """Write results, CSV, profiles, spectrum and the workspaces behind them into a folder."""
    if folder.exists() and not folder.is_dir():
        raise InputError(f"{folder}: is a file; -o of this command names a folder")
    resources.write_json(folder / "limits.json", found.to_dict())
    head = f"limits: {heading(found)}{choices(found)}"
    comments = [head, *(f"note: {note}" for note in found.notes)]
    resources.write_text(folder / "limits.csv", format_csv(found.columns(), comments))
    curves = []
    for problem, result in zip(problems, found, strict=True):
        curves.append(curve(scan_problem(problem, 201, result), result.intervals))
        stem = folder / "workspaces" / result.parameter
        if not problem.experiments:  # a file: the workspace that was analysed, whatever it is
            resources.write_json(stem.with_suffix(".json"), problem.spec)
            continue
        resources.write_json(stem.with_suffix(".native.json"), problem.spec)
        resources.write_json(stem.with_suffix(".stock.json"), encode.stock(problem.description))
    cl = found[0].cl
    figure = plots.profiles(curves, threshold(cl), cl, title_of(found[0]))
    plots.save(figure, folder / "profiles.png")
    written = ["limits.json", "limits.csv", "profiles.png", "workspaces"]
    if problems[0].experiments:
        _write_spectrum(folder / "spectrum.png", problems[0], strength=True)
        written.insert(3, "spectrum.png")
    for name in written:
        options.say(folder / name)


def write_fit(folder: Path, problem: Problem, found: FitResult) -> None:
    """Write a fit as JSON and CSV, with the fitted spectrum."""
    resources.write_json(folder / "fit.json", found.to_dict())
    comments = [
        f"fit of {found.parameter}: {heading(found)}",
        *(f"note: {note}" for note in found.notes),
    ]
    resources.write_text(folder / "fit.csv", format_csv(found.columns(), comments))
    _write_spectrum(folder / "spectrum.png", problem)
    for name in ("fit.json", "fit.csv", "spectrum.png"):
        options.say(folder / name)


def spectrum(problem: Problem, fitted: bool = True) -> "tuple[Figure, str]":
    """Draw data and components of the first experiment, before or after the fit.

    Returns
    -------
    figure, csv
        The projections on each axis, and the events of every bin and process.
    """
    point = None
    if fitted:
        start = np.array([problem.description.couplings[0].init])
        point, _ = problem.profiler().best(start)
    regions = region_spectra(problem, point)
    parameter = problem.parameter
    strength = problem.experiments and parameter.strength_of
    free = "SM strength" if strength else parameter.name
    what = f"data and best fit, {free} free" if fitted else "data and expectation before the fit"
    figure = plots.spectra(regions, f"{regions[0].experiment}: {what}")
    notes = (f"note: {note}" for note in problem.notes)
    columns = tables_together([(region.region, region.columns()) for region in regions])
    return figure, format_csv(columns, [f"{problem.names[0]}: {what}", *notes])


def _write_spectrum(path: Path, problem: Problem, strength: bool = False) -> None:
    """Draw the fit of the parameter, or of the SM strength, to the first experiment alone."""
    experiments, ranged = problem.experiments[:1], problem.options.bracket is not None
    if strength or len(problem.experiments) > 1 or (experiments and ranged):
        name = experiments[0].loaded.experiment.strength if strength else problem.parameter.name
        problem = pose(experiments, name, replace(problem.options, bracket=None))
    figure, _ = spectrum(problem)
    plots.save(figure, path)
