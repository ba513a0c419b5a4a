"""Files that commands write beside their printed result."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from nuhf import api, resources
from nuhf.cli import options
from nuhf.errors import InputError
from nuhf.inference.contours import ContourResult
from nuhf.inference.intervals import threshold
from nuhf.inference.questions import scan as scan_problem
from nuhf.inference.results import FitResult, LimitResult, ScanResult
from nuhf.inference.spectra import region_spectra
from nuhf.model import encode
from nuhf.report import plots
from nuhf.tables import format_csv, tables_together

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = [
    "contour_csv",
    "curve",
    "scan_csv",
    "spectrum",
    "write_contour",
    "write_fit",
    "write_limits",
    "write_scan",
]


def scan_csv(found: ScanResult) -> str:
    """Return a scan as CSV with its circumstances in comments."""
    comments = [
        f"profile of {found.parameter}: {', '.join(found.experiments)}, analysis {found.analysis}",
        f"best fit {found.best_fit:.6g} {found.unit}; delta_2nll is 2NLL above the minimum",
        *(f"note: {note}" for note in found.notes),
    ]
    unit = "" if found.unit == "1" else f"_{found.unit}"
    columns = {
        f"{found.parameter}{unit}": [float(x) for x in found.values],
        "delta_2nll": [float(x) for x in found.delta],
    }
    return format_csv(columns, comments)


def write_scan(path: Path, found: ScanResult, cl: float) -> None:
    """Write the figure of a scan and its CSV beside it."""
    _refuse_csv(path)
    title = f"{', '.join(found.experiments)} ({found.analysis})"
    figure = plots.profiles([curve(found, ())], threshold(cl), cl, title)
    image = path if path.suffix else path.with_suffix(".png")
    plots.save(figure, image)
    resources.write_text(path.with_suffix(".csv"), scan_csv(found))
    options.say(image)
    options.say(path.with_suffix(".csv"))


def curve(found: ScanResult, intervals: Sequence[tuple[float, float]]) -> dict[str, Any]:
    """Return a scan and its intervals in the form that `nuhf.report.plots.profiles` draws."""
    return {
        "parameter": found.parameter,
        "unit": found.unit,
        "values": found.values,
        "delta": found.delta,
        "intervals": intervals,
    }


def contour_csv(found: ContourResult) -> str:
    """Return the boundary lines as CSV: level, number of the line, x, y."""
    names = [
        name if unit == "1" else f"{name}_{unit}"
        for name, unit in zip(found.parameters, found.units, strict=True)
    ]
    rows: dict[str, list[Any]] = {key: [] for key in ("cl", "line", *names)}
    for cl, lines in found.regions:
        for number, line in enumerate(lines, start=1):
            for x, y in line:
                for key, value in zip(rows, (cl, number, float(x), float(y)), strict=True):
                    rows[key].append(value)
    comments = [
        f"regions: {', '.join(found.experiments)}, analysis {found.analysis}, 2 degrees of freedom",
        f"best fit {found.best_fit[0]:.6g} {found.units[0]}, "
        f"{found.best_fit[1]:.6g} {found.units[1]}",
        *(f"note: {note}" for note in found.notes),
    ]
    return format_csv(rows, comments)


def write_contour(path: Path, found: ContourResult) -> None:
    """Write the figure of the regions and the CSV of their boundaries beside it."""
    _refuse_csv(path)
    labels = [f"{100 * cl:g} % CL" for cl, _ in found.regions]
    figure = plots.regions(
        found.parameters,
        found.units,
        dict(zip(labels, (lines for _, lines in found.regions), strict=True)),
        found.best_fit,
        f"{', '.join(found.experiments)} ({found.analysis})",
    )
    image = path if path.suffix else path.with_suffix(".png")
    plots.save(figure, image)
    resources.write_text(path.with_suffix(".csv"), contour_csv(found))
    options.say(image)
    options.say(path.with_suffix(".csv"))


def _refuse_csv(path: Path) -> None:
    if path.suffix.lower() == ".csv":
        raise InputError(f"{path}: name the figure (.png, .pdf, .svg); the CSV goes beside it")


def limits_csv(found: Sequence[LimitResult]) -> str:
    """Return limits as CSV, one row per piece."""
    rows: dict[str, list[Any]] = {
        key: [] for key in ("parameter", "unit", "cl", "method", "piece", "lower", "upper", "best")
    }
    for result in found:
        for i, (low, high) in enumerate(result.intervals):
            values = (result.parameter, result.unit, result.cl, result.method, i + 1, low, high,
                      result.best_fit)  # fmt: skip
            for key, value in zip(rows, values, strict=True):
                rows[key].append(value)
    notes = dict.fromkeys(note for result in found for note in result.notes)
    head = f"limits: {', '.join(found[0].experiments)}, analysis {found[0].analysis}"
    return format_csv(rows, [head, *(f"note: {note}" for note in notes)])


def write_limits(
    folder: Path,
    experiments: Sequence[str],
    found: Sequence[LimitResult],
    keywords: Mapping[str, Any],
) -> None:
    """Write results, CSV, profiles, spectrum and the workspaces behind them into a folder."""
    if folder.exists() and not folder.is_dir():
        raise InputError(f"{folder}: is a file; -o of this command names a folder")
    content = {"results": [result.to_json() for result in found]}
    resources.write_json(folder / "limits.json", content)
    resources.write_text(folder / "limits.csv", limits_csv(found))
    names = [result.parameter for result in found]
    curves = []
    for problem, result in zip(api.problems(experiments, names, **keywords), found, strict=True):
        curves.append(curve(scan_problem(problem, 201, result), result.intervals))
        stem = folder / "workspaces" / result.parameter
        resources.write_json(stem.with_suffix(".native.json"), problem.spec)
        resources.write_json(stem.with_suffix(".stock.json"), encode.stock(problem.description))
    title = f"{', '.join(found[0].experiments)} ({found[0].analysis})"
    plots.save(plots.profiles(curves, threshold(found[0].cl), found[0].cl, title),
               folder / "profiles.png")  # fmt: skip
    _write_spectrum(folder / "spectrum.png", experiments, None, keywords)
    for name in ("limits.json", "limits.csv", "profiles.png", "spectrum.png", "workspaces"):
        options.say(folder / name)


def write_fit(
    folder: Path,
    experiments: Sequence[str],
    parameter: str | None,
    found: FitResult,
    keywords: Mapping[str, Any],
) -> None:
    """Write a fit as JSON and CSV, with the fitted spectrum."""
    resources.write_json(folder / "fit.json", found.to_json())
    counts = {f"events_{name}": (after, error) for name, (_, after, error) in found.counts.items()}
    table = {**counts, **found.parameters}
    rows: dict[str, Sequence[object]] = {
        "name": list(table),
        "value": [value for value, _ in table.values()],
        "error": [error for _, error in table.values()],
        "unit": [found.units.get(name, "events") for name in table],
    }
    comments = [
        f"fit of {parameter}: {', '.join(found.experiments)}, analysis {found.analysis}",
        *(f"note: {note}" for note in found.notes),
    ]
    resources.write_text(folder / "fit.csv", format_csv(rows, comments))
    _write_spectrum(folder / "spectrum.png", experiments, parameter, keywords)
    for name in ("fit.json", "fit.csv", "spectrum.png"):
        options.say(folder / name)


def spectrum(
    experiments: Sequence[str],
    parameter: str | None,
    keywords: Mapping[str, Any],
    fitted: bool = True,
) -> "tuple[Figure, str]":
    """Draw data and components of the first experiment, before or after the fit.

    Returns
    -------
    figure, csv
        The projections on each axis, and the events of every bin and process.
    """
    chosen = parameter or api.strength(experiments)
    (problem,) = api.problems(experiments[:1], chosen, **{**keywords, "search": None})
    point = None
    if fitted:
        start = np.array([problem.description.couplings[0].init])
        point, _ = problem.profiler().best(start)
    regions = region_spectra(problem, point)
    free = "SM strength" if problem.parameter.kind == "strength" else chosen
    what = f"data and best fit, {free} free" if fitted else "data and expectation before the fit"
    figure = plots.spectra(regions, f"{regions[0].experiment}: {what}")
    notes = (f"note: {note}" for note in problem.notes)
    columns = tables_together([(region.region, region.columns()) for region in regions])
    return figure, format_csv(columns, [f"{problem.names[0]}: {what}", *notes])


def _write_spectrum(
    path: Path, experiments: Sequence[str], parameter: str | None, keywords: Mapping[str, Any]
) -> None:
    figure, _ = spectrum(experiments, parameter, keywords)
    plots.save(figure, path)
