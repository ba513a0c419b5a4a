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
    if len(publication.correlation["names"]) > 1:
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


class _Table:
    """A table that is being filled; its numbers depend on the couplings of ``entries``.

    The observable is one of HEPData's list, which has none for a profile or for nuisances.
    """

    def __init__(
        self, publication: Publication, name: str, description: str, observable: str = "",
        entries: Sequence[PublishedParameter] = (),
    ) -> None:  # fmt: skip
        import hepdata_lib

        notes = dict.fromkeys(
            note for e in entries for note in e.problem.radius_notes(e.problem.parameter)
        )
        text = " ".join([description, *(f"{note}." for note in notes)])
        self.made = hepdata_lib.Table(name)
        self.made.description = html.escape(text, quote=False)
        self.made.location = f"Auxiliary material, {name}"
        pairs = _scattering(publication)
        kinds = dict.fromkeys(kind for _, kind in pairs if kind in _NEUTRINOS)
        self._source = "; ".join(_NEUTRINOS[kind][1] for kind in kinds)
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
        self.made.keywords.update({name: values for name, values in keywords.items() if values})

    def along(self, name: str, values: Sequence[Any], unit: str = "", binned: bool = False) -> None:
        """Add a column that says where the numbers are."""
        self._add(name, values, unit, is_independent=True, is_binned=binned)

    def add(
        self, name: str, values: Any, unit: str = "", errors: Sequence[Any] = (), label: str = "",
        cl: float | None = None,
    ) -> None:  # fmt: skip
        """Add a column of numbers, with errors (pairs if asymmetric) and a confidence level."""
        import hepdata_lib

        column = self._add(name, values, unit, is_independent=False, is_binned=False)
        if self._source:
            column.add_qualifier("NEUTRINO SOURCE", self._source)
        if cl is not None:
            column.add_qualifier("CONFIDENCE LEVEL", percent(cl), "%")
        if len(errors):
            both = isinstance(errors[0], tuple)
            uncertainty = hepdata_lib.Uncertainty(label, is_symmetric=not both)
            uncertainty.values = list(errors)
            column.zero_uncertainties_warning = False
            column.add_uncertainty(uncertainty)

    def _add(self, name: str, values: Any, unit: str, **kind: bool) -> Any:
        import hepdata_lib

        column = hepdata_lib.Variable(name, units=_UNITS.get(unit, unit), **kind)
        column.digits = 6
        column.values = values.tolist() if isinstance(values, np.ndarray) else values
        self.made.add_variable(column)
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
    table = _Table(
        publication, name, f"{observed} and expected events in bins, {point}. "
        f"{region.experiment}.", "N", () if when == "before" else (first,),
    )  # fmt: skip
    steps = [list(zip(a.edges[:-1], a.edges[1:], strict=True)) for a in region.axes]
    cells = list(product(*steps))
    for i, axis in enumerate(region.axes):
        rows = [tuple(float(x) for x in cell[i]) for cell in cells]
        title = axis.quantity.replace("_", " ").capitalize()
        table.along(title, rows, _spelled(axis.unit), binned=True)
    errors = _poisson(region.observed) if counts else region.errors.tolist()
    table.add(observed, region.observed, "events", errors, "stat")
    total = np.sum(list(region.expected.values()), axis=0)
    known = () if region.uncertainty is None else region.uncertainty.tolist()
    table.add("Expected, total", total, "events", known, "sys" if when == "before" else "fit")
    for label, values in region.expected.items():
        table.add(f"Expected, {region.titles.get(label, label)}", values, "events")
    return table.made


def _spelled(unit: str) -> str:
    return {"us": r"$\mu$s", "kev": "keV", "mev": "MeV", "ev": "eV"}.get(unit.lower(), unit)


def _nuisances(publication: Publication) -> Any:
    fitted = publication.fitted
    parameter = publication.entries[0].problem.parameter
    table = _Table(
        publication, "Parameters of the fit",
        f"Values and errors of all parameters of the fit in which {_symbol(parameter)} is free. "
        "Nuisance parameters are in units of their constraint, factors on backgrounds in units of "
        f"the nominal one; {parameter.fit_name} is the coupling in the unit that its name has, "
        "without an error where it is at its bound.",
        entries=publication.entries[:1],
    )  # fmt: skip
    table.along("Parameter", list(fitted))
    values, errors = zip(*fitted.values(), strict=True)
    table.add("Fitted value", list(values), errors=errors, label="fit")
    return table.made


def _correlation(publication: Publication) -> Any:
    found = publication.correlation
    free = _symbol(publication.entries[0].problem.parameter)
    table = _Table(
        publication, "Correlation matrix",
        f"Correlations of the parameters of the fit in which {free} is free; 0 for what is at a "
        "bound.", "CORR", publication.entries[:1],
    )  # fmt: skip
    names = found["names"]
    table.along("First parameter", [one for one in names for _ in names])
    table.along("Second parameter", names * len(names))
    table.add("Correlation", np.ravel(found["matrix"]))
    return table.made


def _limits(publication: Publication, entries: Sequence[PublishedParameter], name: str) -> Any:
    """One row per piece of an interval; a modulus has an upper limit, written with ``<``."""
    cl = entries[0].limit.cl
    moduli = any(e.limit.upper_limit is not None for e in entries)
    only = " A modulus has an upper limit only." if moduli else ""
    table = _Table(
        publication, name,
        f"Intervals at {percent(cl)} % CL where the profile of $-2\\ln L$ is within "
        f"{threshold(cl):.3f} of its minimum, one row for each piece; all other couplings at the "
        f"Standard Model.{only}", "CLS", entries,
    )  # fmt: skip
    rows = [
        (e, low, high, i + 1) for e in entries for i, (low, high) in enumerate(e.limit.intervals)
    ]
    table.along("Coupling", [_symbol(e.problem.parameter) for e, *_ in rows])
    table.along("Piece", [row[3] for row in rows])
    bounded = [e.limit.upper_limit is not None for e, *_ in rows]
    lower: list[float | str] = [
        "-" if only else float(low) for (_, low, _, _), only in zip(rows, bounded, strict=True)
    ]
    upper: list[float | str] = [
        f"<{high:.4g}" if only else float(high)
        for (_, _, high, _), only in zip(rows, bounded, strict=True)
    ]
    best = [float(e.limit.best_fit) for e, *_ in rows]
    for title, values in (("Best fit", best), ("Lower end", lower), ("Upper end", upper)):
        table.add(title, values, entries[0].limit.unit, cl=cl)
    return table.made


def _profile(publication: Publication, entry: PublishedParameter) -> Any:
    parameter = entry.problem.parameter
    known = PARAMETERS.get(parameter.name, parameter)
    table = _Table(
        publication, f"Profile {parameter.name}",
        f"$-2\\ln L$ above its minimum as a function of {_symbol(parameter)} ({known.meaning}), "
        "minimised over all nuisance parameters, at the points of the patch set.",
        entries=(entry,),
    )  # fmt: skip
    table.along(_symbol(parameter), entry.values.tolist(), parameter.unit)
    table.add(r"$-2\Delta\ln L$", np.maximum(entry.delta, 0.0))
    table.add(f"{parameter.fit_name} in the patch set", entry.grid.points[:, 0])
    return table.made
