"""Files that commands write beside their printed result."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from nuhf import resources
from nuhf.cli import options
from nuhf.errors import InputError
from nuhf.plots import figures as plots
from nuhf.plots import results
from nuhf.plots import spectrum as drawing
from nuhf.questions import scan as scan_problem
from nuhf.stats.problem import Problem, pose
from nuhf.stats.result_base import Result, title_of
from nuhf.stats.results import FitResult, Limits
from nuhf.stats.spectra import after_fit, before_fit
from nuhf.tables import format_csv, tables_together
from nuhf.workspaces import encode

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def write_figures(path: Path, table: str, draw: "Mapping[str, Callable[[], Figure]]") -> None:
    """Write what ``-o`` names: figures and their CSV, the CSV alone, or for ``-`` on stdout.

    ``draw`` has what makes each figure, by what is added to the stem of the path.
    """
    if str(path) == "-" or path.suffix.lower() == ".csv":
        options.write(path, table)
        return
    image = path if path.suffix else path.with_suffix(".png")
    for ending, make in draw.items():
        place = image.with_stem(f"{image.stem}{ending}")
        plots.save(make(), place)
        options.say(place)
    options.write(image.with_suffix(".csv"), table)


def finish(
    found: Result,
    output: Path | None,
    as_json: bool,
    draw: "Mapping[str, Callable[[], Figure]] | None" = None,
) -> None:
    """Write what ``-o`` names, the plot of the result or what ``draw`` has; print the result."""
    if output is not None:
        write_figures(output, found.to_csv(), draw or {"": found.plot})
    options.show(found, output, as_json)


def write_limits(folder: Path, problems: Sequence[Problem], found: Limits) -> None:
    """Write results, CSV, profiles, spectrum and the workspaces behind them into a folder."""
    if folder.exists() and not folder.is_dir():
        raise InputError(f"{folder}: is a file; -o of this command names a folder")
    resources.write_json(folder / "limits.json", found.to_dict())
    resources.write_text(folder / "limits.csv", found.to_csv())
    resources.write_text(folder / "limits.tex", found.to_latex())
    curves = []
    for problem, result in zip(problems, found, strict=True):
        curves.append(scan_problem(problem, 201, result).curve(result.intervals))
        stem = folder / "workspaces" / result.parameter
        if not problem.experiments:  # a file: the workspace that was analysed, whatever it is
            resources.write_json(stem.with_suffix(".json"), problem.spec)
            continue
        resources.write_json(stem.with_suffix(".native.json"), problem.spec)
        resources.write_json(stem.with_suffix(".stock.json"), encode.stock(problem.description))
    figure = results.profiles(curves, found[0].cl, title_of(found[0]))
    plots.save(figure, folder / "profiles.png")
    written = ["limits.json", "limits.csv", "limits.tex", "profiles.png", "workspaces"]
    if problems[0].experiments:
        _write_spectrum(folder / "spectrum.png", problems[0], strength=True)
        written.insert(4, "spectrum.png")
    for name in written:
        options.say(folder / name)


def write_fit(folder: Path, problem: Problem, found: FitResult) -> None:
    """Write a fit as JSON and CSV, with the fitted spectrum."""
    resources.write_json(folder / "fit.json", found.to_dict())
    resources.write_text(folder / "fit.csv", found.to_csv())
    _write_spectrum(folder / "spectrum.png", problem)
    for name in ("fit.json", "fit.csv", "spectrum.png"):
        options.say(folder / name)


def spectrum(problem: Problem, fitted: bool = True) -> "tuple[Figure, str]":
    """Draw data and components of the first experiment, before or after the fit.

    With the figure of projections on each axis comes a CSV of the events of every bin and process.
    """
    regions = after_fit(problem) if fitted else before_fit(problem)
    parameter = problem.parameter
    strength = problem.experiments and parameter.strength_of
    free = "SM strength" if strength else parameter.name
    what = f"data and best fit, {free} free" if fitted else "data and expectation before the fit"
    figure = drawing.spectra(regions, f"{regions[0].experiment}: {what}")
    columns = tables_together([(region.region, region.columns()) for region in regions])
    return figure, format_csv(columns)


def _write_spectrum(path: Path, problem: Problem, strength: bool = False) -> None:
    """Draw the fit of the parameter, or of the SM strength, to the first experiment alone."""
    experiments, ranged = problem.experiments[:1], problem.options.bracket is not None
    if strength or len(problem.experiments) > 1 or (experiments and ranged):
        name = experiments[0].loaded.experiment.strength if strength else problem.parameter.name
        problem = pose(experiments, name, replace(problem.options, bracket=None))
    figure, _ = spectrum(problem)
    plots.save(figure, path)
