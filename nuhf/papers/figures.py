"""Figures of papers from the tables ``[figures.NAME]`` in ``data/published``."""

from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any, Final

from matplotlib.figure import Figure

from nuhf import resources
from nuhf.couplings import parameters
from nuhf.errors import InputError
from nuhf.papers import figures_arrays as arrays
from nuhf.papers.figures_csv import points_csv, spectra_csv
from nuhf.papers.figures_draw import draw_profiles, draw_regions, draw_spectra
from nuhf.papers.figures_schema import (
    Choice,
    FigureSpec,
    FunctionFigure,
    Histograms,
    ProfileCurve,
    Profiles,
    RegionCurve,
    Regions,
    parse_figure,
)
from nuhf.papers.published import paper_file, read_rows

FUNCTIONS: Final[Mapping[str, str]] = {
    "cross-section-ratios": "nuhf.papers.khan2023:cross_section_ratios",
    "germanium-quenching": "nuhf.papers.khan2022:quenching_factors",
}
"""Functions of figures of kind ``function``: name to ``module:function``.

Each takes the title and returns the Figure and its CSV.
"""


def list_figures(paper: str) -> dict[str, FigureSpec]:
    """Read the figures of a paper, checked, by name."""
    path = paper_file(paper)
    tables = resources.read_toml(path).get("figures", {})
    if not isinstance(tables, dict):
        raise InputError(f"{path}: figures: write a table [figures.NAME] for each")
    return {name: parse_figure(path, name, content) for name, content in tables.items()}


def workbench(paper: str) -> arrays.Bench:
    """Return what the figures of a paper share, so that each experiment is built once."""
    paper_file(paper)
    return arrays.Bench(read_rows(paper))


def draw(paper: str, name: str, bench: arrays.Bench | None = None) -> tuple[Figure, str]:
    """Draw a figure of a paper, with a CSV table of all that it shows.

    Paper and name are a file in ``data/published`` and a table in it; several figures share the
    ``bench`` of a `workbench`.
    """
    known = list_figures(paper)
    if name not in known:
        hint = parameters.suggest(name, known) if known else "it has none"
        raise InputError(f"{paper} has no figure '{name}'; {hint}")
    spec, chosen = known[name], bench or workbench(paper)
    where = f"{paper_file(paper)}: figures.{name}"
    heading = f"{paper} {name}: {spec.title}"
    if isinstance(spec, FunctionFigure):
        return _function(spec, where)
    if isinstance(spec, Profiles):
        panels, notes = arrays.profile_panels(spec, chosen, where)
        text = points_csv({k: group for k, (_, group) in panels.items()}, {}, _head(heading, notes))
        return draw_profiles(panels, spec.cl, spec.title, spec.bands), text
    if isinstance(spec, Regions):
        return _regions(spec, chosen, where, heading)
    return _spectrum(spec, chosen, where, heading)


def _head(heading: str, notes: list[str]) -> list[str]:
    return [heading, *(f"note: {note}" for note in notes)]


def _regions(spec: Regions, bench: arrays.Bench, where: str, heading: str) -> tuple[Figure, str]:
    found, notes = arrays.region_panels(spec, bench, where)
    profiles = _profiles_of(spec)
    beside, more = arrays.profile_panels(profiles, bench, where) if spec.profiles else ({}, [])
    comments = _head(heading, list(dict.fromkeys([*notes, *more])))
    text = points_csv({k: group for k, (_, group) in beside.items()}, found, comments)
    return draw_regions(found, spec.title, beside, profiles.cl), text


def _profiles_of(spec: Regions) -> Profiles:
    """Profiles of the parameters of the regions, each with the other at the SM."""

    def single(choice: Regions | RegionCurve) -> dict[str, Any]:
        own = {name: getattr(choice, name) for name in Choice.model_fields}
        names = dict.fromkeys(name for pair in choice.parameter or () for name in pair)
        return own | {"parameter": tuple(names) or None}

    return Profiles(
        **single(spec), kind="profiles", title=spec.title, published=spec.published,
        curves=tuple(ProfileCurve(**single(curve), label=curve.label) for curve in spec.curves),
    )  # fmt: skip


def _spectrum(
    spec: Histograms, bench: arrays.Bench, where: str, heading: str
) -> tuple[Figure, str]:
    parts, notes = arrays.spectrum_parts(spec, bench, where)
    comments = [
        *_head(heading, notes),
        "components before the fit; events per bin, in the figure divided by its width",
    ]
    figure = draw_spectra(parts, spec.title, spec.components)
    return figure, spectra_csv(parts, spec.components, comments)


def _function(spec: FunctionFigure, where: str) -> tuple[Figure, str]:
    if spec.function not in FUNCTIONS:
        hint = parameters.suggest(spec.function, FUNCTIONS)
        raise InputError(f"{where}.function: no function '{spec.function}'; {hint}")
    module, _, attribute = FUNCTIONS[spec.function].partition(":")
    function: Callable[[str], tuple[Figure, str]] = getattr(import_module(module), attribute)
    return function(spec.title)
