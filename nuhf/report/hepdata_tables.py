"""Tables of a HEPData submission: spectra, the fit, limits, profiles; held against its guidelines.

Source of the rules: hepdata-submission.readthedocs.io (headers with LaTeX and units, no LaTeX in
keywords, one table for one kind of number, a one-sided limit as ``<``). docs/publish.md lists them.
"""

import html
from collections.abc import Iterator, Mapping, Sequence
from itertools import product
from typing import Any, Final

import numpy as np
from scipy.stats import chi2

from nuhf.arrays import FloatArray
from nuhf.couplings.parameters import PARAMETERS, Parameter
from nuhf.experiments.signals import Scattering
from nuhf.report.publish import Publication, PublishedParameter
from nuhf.stats.expected import RegionSpectrum
from nuhf.stats.intervals import threshold
from nuhf.units import percent

__all__ = ["tables"]

_UNITS: Final = {"mu_B": r"$\mu_\mathrm{B}$", "cm2": "cm$^2$", "1": ""}
_NEUTRINOS: Final[Mapping[str, tuple[tuple[str, ...], str]]] = {
    "sns": (("NUE", "NUMU", "NUMUBAR"), "pions and muons at rest, up to 52.8 MeV"),
    "reactor": (("NUEBAR",), "nuclear reactor"),
    "sun": (("NU",), "the Sun"),
}
"""Names of HEPData's list of particles, and the source in words."""
_TARGETS: Final = {"cevns": "NUCLEUS", "eves": "E-"}
_PHRASES: Final = {
    "cevns": "Coherent Elastic Neutrino-Nucleus Scattering",
    "eves": "Neutrino-Electron Scattering",
}
_ONE_SIGMA: Final = 0.158655
"""Probability beyond one standard deviation, on one side."""


def tables(publication: Publication) -> Iterator[tuple[Any, str]]:
    """Yield the tables (`hepdata_lib.Table`), each with the name of its figure or ""."""
    several = len(publication.before) > 1
    words = {"before": "before the fit", "after": "after the fit"}
    for when, regions in (("before", publication.before), ("after", publication.after)):
        for region in regions:
            name = f"Spectrum {words[when]}" + (f" {region.region}" if several else "")
            yield _spectrum(publication, region, name, when), f"spectrum_{when}"
    yield _nuisances(publication), ""
    if len(publication.fitted.correlation["names"]) > 1:
        yield _correlation(publication), ""
    for group in dict.fromkeys(e.problem.parameter.group for e in publication.entries):
        chosen = [e for e in publication.entries if e.problem.parameter.group == group]
        yield _limits(publication, chosen, f"Limits on {group.title.lower()}"), ""
    for entry in publication.entries:
        name = entry.problem.parameter.name
        yield _profile(publication, entry), f"profile_{name}"


# ---------------------------------------------------------------------------------- parts


def _scattering(publication: Publication) -> list[tuple[str, str]]:
    """Return interaction and kind of source of every signal, each pair once."""
    loaded = publication.problem.experiments[0].loaded
    names, sources = loaded.analysis.signals, loaded.experiment.sources
    return list(
        dict.fromkeys(
            (signal.interaction_name, getattr(sources[signal.source], "kind", ""))
            for name, signal in loaded.experiment.signals.items()
            if isinstance(signal, Scattering) and (names is None or name in names)
        )
    )


def _table(
    publication: Publication, name: str, description: str, observable: str = "",
    entries: Sequence[PublishedParameter] = (),
) -> Any:  # fmt: skip
    """Return a table without columns; ``entries`` are the couplings that its numbers depend on.

    ``observable`` is one of HEPData's list, which has none for a profile or for nuisances.
    """
    import hepdata_lib

    table = hepdata_lib.Table(name)
    notes = dict.fromkeys(
        note for e in entries for note in e.problem.radius_notes(e.problem.parameter)
    )
    table.description = html.escape(" ".join([description, *(f"{n}." for n in notes)]), quote=False)
    table.location = f"Auxiliary material, {name}"
    pairs = _scattering(publication)
    reactions = [
        f"{neutrino} {_TARGETS[interaction]} --> {neutrino} {_TARGETS[interaction]}"
        for interaction, kind in pairs
        for neutrino in _NEUTRINOS.get(kind, (("NU",), ""))[0]
    ]
    groups = dict.fromkeys(e.problem.parameter.group.title for e in entries)
    phrases = [*dict.fromkeys(_PHRASES[interaction] for interaction, _ in pairs), *groups,
               "Neutrino Properties", "Likelihood"]  # fmt: skip
    keywords = {"reactions": list(dict.fromkeys(reactions)), "phrases": phrases,
                "observables": [observable] if observable else []}  # fmt: skip
    table.keywords.update({name: values for name, values in keywords.items() if values})
    return table


def _column(
    publication: Publication, name: str, values: Any, unit: str = "", *,
    independent: bool = False, binned: bool = False,
) -> Any:  # fmt: skip
    """Return a column; those that depend say what was measured."""
    import hepdata_lib

    column = hepdata_lib.Variable(
        name, units=_UNITS.get(unit, unit), is_independent=independent, is_binned=binned
    )
    column.digits = 6
    column.values = values
    if not independent:
        kinds = dict.fromkeys(kind for _, kind in _scattering(publication))
        words = [_NEUTRINOS[kind][1] for kind in kinds if kind in _NEUTRINOS]
        if words:
            column.add_qualifier("NEUTRINO SOURCE", "; ".join(words))
    return column


def _with_error(column: Any, label: str, errors: Sequence[Any], symmetric: bool = True) -> Any:
    import hepdata_lib

    uncertainty = hepdata_lib.Uncertainty(label, is_symmetric=symmetric)
    uncertainty.values = list(errors)
    column.zero_uncertainties_warning = False
    column.add_uncertainty(uncertainty)
    return column


def _symbol(parameter: Parameter) -> str:
    return f"${parameter.symbol}$" if parameter.symbol else parameter.name


# ---------------------------------------------------------------------------------- tables


def _poisson(counts: FloatArray) -> list[tuple[float, float]]:
    """Return the errors (minus, plus) of counts: central 68 % intervals of their means."""
    low = np.where(counts > 0, chi2.ppf(_ONE_SIGMA, 2.0 * np.maximum(counts, 0.5)) / 2.0, 0.0)
    high = chi2.ppf(1.0 - _ONE_SIGMA, 2.0 * (counts + 1.0)) / 2.0
    return [
        (float(a - n), float(b - n))
        for a, b, n in zip(np.ravel(low), np.ravel(high), counts, strict=True)
    ]


def _spectrum(publication: Publication, region: RegionSpectrum, name: str, when: str) -> Any:
    """One row per bin: edges along every axis, data, expectation in all and by process."""
    first = publication.entries[0]
    counts = publication.problem.experiments[0].loaded.analysis.statistic != "gaussian"
    point = (
        "all couplings at the Standard Model and nuisance parameters nominal; errors are those of "
        "the constraints of the nuisance parameters"
        if when == "before"
        else f"fitted with {_symbol(first.problem.parameter)} and all nuisance parameters free; "
        "errors are those of the fit"
    )
    observed = "Observed events" if counts else "Events after subtraction of backgrounds"
    if region.asimov:
        observed = "Asimov data (expected events, no measurement)"
    table = _table(
        publication, name, f"{observed} and expected events in bins, {point}. "
        f"{region.experiment}.", "N", () if when == "before" else (first,),
    )  # fmt: skip
    steps = [list(zip(a.edges[:-1], a.edges[1:], strict=True)) for a in region.axes]
    cells = list(product(*steps))
    for i, axis in enumerate(region.axes):
        rows = [tuple(float(x) for x in cell[i]) for cell in cells]
        title = axis.quantity.replace("_", " ").capitalize()
        unit = _spelled(axis.unit)
        table.add_variable(_column(publication, title, rows, unit, independent=True, binned=True))

    def events(title: str, values: FloatArray) -> Any:
        return _column(publication, title, [float(x) for x in values], "events")

    data = events(observed, region.observed)
    if counts:
        _with_error(data, "stat", _poisson(region.observed), symmetric=False)
    else:
        _with_error(data, "stat", [float(x) for x in region.errors])
    total = events("Expected, total", np.sum(list(region.expected.values()), axis=0))
    table.add_variable(data)
    if region.uncertainty is not None:
        _with_error(total, "sys" if when == "before" else "fit", region.uncertainty.tolist())
    table.add_variable(total)
    for label, values in region.expected.items():
        table.add_variable(events(f"Expected, {region.titles.get(label, label)}", values))
    return table


def _spelled(unit: str) -> str:
    return {"us": r"$\mu$s", "kev": "keV", "mev": "MeV", "ev": "eV"}.get(unit.lower(), unit)


def _nuisances(publication: Publication) -> Any:
    fitted = publication.fitted.values
    parameter = publication.entries[0].problem.parameter
    table = _table(
        publication, "Parameters of the fit",
        f"Values and errors of all parameters of the fit in which {_symbol(parameter)} is free. "
        "Nuisance parameters are in units of their constraint, factors on backgrounds in units of "
        f"the nominal one; {parameter.fit_name} is the coupling in the unit that its name has, "
        "without an error where it is at its bound.",
        entries=publication.entries[:1],
    )  # fmt: skip
    table.add_variable(_column(publication, "Parameter", list(fitted), independent=True))
    column = _column(publication, "Fitted value", [value for value, _ in fitted.values()])
    table.add_variable(_with_error(column, "fit", [error for _, error in fitted.values()]))
    return table


def _correlation(publication: Publication) -> Any:
    found = publication.fitted.correlation
    free = _symbol(publication.entries[0].problem.parameter)
    table = _table(
        publication, "Correlation matrix",
        f"Correlations of the parameters of the fit in which {free} is free; 0 for what is at a "
        "bound.", "CORR", publication.entries[:1],
    )  # fmt: skip
    names, matrix = found["names"], np.asarray(found["matrix"])
    first = [one for one in names for _ in names]
    second = names * len(names)
    table.add_variable(_column(publication, "First parameter", first, independent=True))
    table.add_variable(_column(publication, "Second parameter", second, independent=True))
    values = [float(x) for x in matrix.ravel()]
    table.add_variable(_column(publication, "Correlation", values))
    return table


def _limits(publication: Publication, entries: Sequence[PublishedParameter], name: str) -> Any:
    """One row per piece of an interval; a modulus has an upper limit, written with ``<``."""
    cl = entries[0].limit.cl
    moduli = any(e.limit.upper_limit is not None for e in entries)
    only = " A modulus has an upper limit only." if moduli else ""
    table = _table(
        publication, name,
        f"Intervals at {percent(cl)} % CL where the profile of $-2\\ln L$ is within "
        f"{threshold(cl):.3f} of its minimum, one row for each piece; all other couplings at the "
        f"Standard Model.{only}", "CLS", entries,
    )  # fmt: skip
    rows = [
        (e, low, high, i + 1) for e in entries for i, (low, high) in enumerate(e.limit.intervals)
    ]
    symbols = [_symbol(e.problem.parameter) for e, *_ in rows]
    table.add_variable(_column(publication, "Coupling", symbols, independent=True))
    table.add_variable(_column(publication, "Piece", [row[3] for row in rows], independent=True))
    bounded = [e.limit.upper_limit is not None for e, *_ in rows]
    lower: list[float | str] = [
        "-" if only else float(low) for (_, low, _, _), only in zip(rows, bounded, strict=True)
    ]
    upper: list[float | str] = [
        f"<{high:.4g}" if only else float(high)
        for (_, _, high, _), only in zip(rows, bounded, strict=True)
    ]
    best = [float(e.limit.best_fit) for e, *_ in rows]
    unit = entries[0].limit.unit
    for title, values in (("Best fit", best), ("Lower end", lower), ("Upper end", upper)):
        column = _column(publication, title, values, unit)
        column.add_qualifier("CONFIDENCE LEVEL", f"{percent(cl)}", "%")
        table.add_variable(column)
    return table


def _profile(publication: Publication, entry: PublishedParameter) -> Any:
    parameter = entry.problem.parameter
    known = PARAMETERS.get(parameter.name, parameter)
    table = _table(
        publication, f"Profile {parameter.name}",
        f"$-2\\ln L$ above its minimum as a function of {_symbol(parameter)} ({known.meaning}), "
        "minimised over all nuisance parameters, at the points of the patch set.",
        entries=(entry,),
    )  # fmt: skip
    rows = [float(x) for x in entry.values]
    unit = parameter.unit
    table.add_variable(_column(publication, _symbol(parameter), rows, unit, independent=True))
    heights = [float(x) for x in np.maximum(entry.delta, 0.0)]
    table.add_variable(_column(publication, r"$-2\Delta\ln L$", heights))
    fit_values = [float(x) for x in entry.grid.points[:, 0]]
    table.add_variable(_column(publication, f"{parameter.fit_name} in the patch set", fit_values))
    return table
