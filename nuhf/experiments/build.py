"""From an experiment file to regions: one loop over signals, backgrounds and variations."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from nuhf.errors import InputError
from nuhf.experiments.backgrounds import Surroundings
from nuhf.experiments.data import Asimov, Bins, Measured, Observed, RegionSection, row_per_bin
from nuhf.experiments.file import (
    Analysis,
    BinNuisance,
    ErrorNuisance,
    ExperimentFile,
    Nuisance,
    ShiftNuisance,
    VariationNuisance,
)
from nuhf.experiments.parts import overlay
from nuhf.experiments.region import Region
from nuhf.experiments.responses import BuiltResponse
from nuhf.experiments.scattering import Case, Templates, scattering_templates
from nuhf.experiments.signals import Measurement, Scattering
from nuhf.rates.signal import expected
from nuhf.rates.templates import TemplateSet

__all__ = ["build_regions"]

FloatArray = NDArray[np.float64]
Pair = tuple[FloatArray, FloatArray]
Parse = Callable[[Mapping[str, Any], str], ExperimentFile]
Rows = Mapping[str, Mapping[str, FloatArray]]
"""Templates by source and monomial."""

_STEP: Final = 0.01
"""Part of a shift by which it is differentiated."""

_CODE4P: Final = 8.0 / 15.0
"""Weight of the second-order term in the up and down templates that makes code4p reproduce the
curvature at alpha = 0: its own is 15/16 (up + down - 2 nominal)."""


@dataclass(frozen=True)
class _Build:
    """An analysis with its variations.

    Attributes
    ----------
    case : Case
        The file with the changes of the analysis.
    analysis : Analysis
        The analysis.
    content : mapping
        The file as plain tables, changes included: what variations are laid over.
    parse : callable
        From plain tables to a file.
    """

    case: Case
    analysis: Analysis
    content: Mapping[str, Any]
    parse: Parse
    files: dict[str, ExperimentFile] = field(default_factory=dict)

    @property
    def nuisances(self) -> list[Nuisance]:
        return list(self.case.file.chosen_nuisances(self.analysis))

    def varied(self, key: str, changes: Mapping[str, Any]) -> Case:
        """Return the case with further changes."""
        if key not in self.files:
            self.files[key] = self.parse(overlay(self.content, changes), f"nuisances.{key}")
        return replace(self.case, file=self.files[key])

    def shifted(self, nuisance: ShiftNuisance, steps: float) -> Case:
        """Return the case with a number shifted by so many of its sizes."""
        path = nuisance.key.split(".")
        value: Any = self.content
        for part in path:
            if not isinstance(value, Mapping) or part not in value:
                raise InputError(
                    f"{self.case.path}: nuisances.{nuisance.name}.key: '{nuisance.key}' is no key "
                    "of the file"
                )
            value = value[part]
        numbers = value if isinstance(value, tuple) else (value,)
        if any(isinstance(n, bool) or not isinstance(n, int | float) for n in numbers):
            raise InputError(f"{self.case.path}: nuisances.{nuisance.name}.key: '{nuisance.key}' "
                             "is no number, nor a list of numbers")  # fmt: skip
        shift = steps * nuisance.size
        new = tuple(v + shift for v in value) if isinstance(value, tuple) else value + shift
        changes: Any = new
        for part in reversed(path):
            changes = {part: changes}
        return self.varied(f"{nuisance.name} {steps:g}", changes)


def build_regions(
    case: Case, content: Mapping[str, Any], analysis: Analysis, parse: Parse
) -> tuple[Region, ...]:
    """Build templates, backgrounds and data of all regions of an analysis.

    Parameters
    ----------
    case : Case
        The file with the changes of the analysis, and what its templates are expanded in.
    content : mapping
        The same as plain tables.
    analysis : Analysis
        The analysis.
    parse : callable
        ``parse(content, where)`` makes a file of plain tables.

    Raises
    ------
    InputError
        If a table is missing or broken, a nuclide, form factor or coupling scheme unknown, a
        bin edge cuts a cell of the data, or a number that comes out is impossible.
    """
    build, file = _Build(case, analysis, content, parse), case.file
    names = file.regions if analysis.regions is None else analysis.regions
    regions = tuple(_region(build, file.regions[name], name) for name in names)
    _check_variations(build, regions)
    return regions


def _channel_name(file: ExperimentFile, name: str) -> str:
    stem = file.name if name == "main" else f"{file.name}_{name}"
    return stem.replace("-", "_").replace(".", "_")


def _region(build: _Build, section: RegionSection, key: str) -> Region:
    case, analysis = build.case, build.analysis
    name, where = _channel_name(case.file, key), f"{case.path}: regions.{key}"
    bins = section.bins(case.inputs, where)
    signals, datum = _signals(build, section, bins, name)
    observed = section.data.observed(case.inputs, bins, section.live_days)
    total = _sm_events(signals, {}, bins)
    backgrounds = _backgrounds(build, case, section, bins, total)
    if isinstance(section.data, Asimov):
        counts = sum(backgrounds.values(), _sm_events(signals, analysis.reference, bins))
        observed = Observed(counts, events=float(counts.sum()))
    if datum is not None:
        observed = Observed(np.array([datum[0]]), np.array([datum[1]]))
    if observed.counts is None:
        raise InputError(f"{where}.data: kind 'measured' is for a signal that has the number")
    titles = {s.process: case.file.signals[s.process].heading for s in signals}
    titles |= {b: case.file.backgrounds[b].title for b in backgrounds}
    return Region(
        name,
        bins.axes,
        signals,
        observed.counts,
        backgrounds,
        titles,
        observed.events,
        _errors(analysis, observed, where),
        _background_variations(build, section, bins, backgrounds, total),
        observed.details,
    )


def _errors(analysis: Analysis, observed: Observed, where: str) -> FloatArray | None:
    """Errors of a Gaussian region: those of the data, or square roots of the counts."""
    if analysis.statistic == "poisson":
        if observed.sigma is not None:
            raise InputError(f"{where}.data has errors: analyses.{analysis.name}.statistic = "
                             "'gaussian'")  # fmt: skip
        return None
    if observed.sigma is not None:
        return observed.sigma
    counts = np.asarray(observed.counts)
    if np.any(counts < 0):
        raise InputError(f"{where}.data: numbers below zero have no square root: give errors")
    return np.asarray(np.sqrt(counts))


def _sm_events(
    signals: Sequence[TemplateSet], values: Mapping[str, float], bins: Bins
) -> FloatArray:
    rows = [row for signal in signals for row in expected(signal, values).values()]
    return np.asarray(np.sum([np.zeros(bins.count), *rows], axis=0))


# ------------------------------------------------------------------------ signals


def _signals(
    build: _Build, section: RegionSection, bins: Bins, region: str
) -> tuple[tuple[TemplateSet, ...], tuple[float, float] | None]:
    """Templates of the signals in a region, and a number that one of them measures."""
    file, analysis = build.case.file, build.analysis
    chosen = list(file.signals) if analysis.signals is None else list(analysis.signals)
    if section.signals is not None:
        chosen = [name for name in chosen if name in section.signals]
    elif isinstance(section.data, Measured):
        raise InputError(f"{bins.where}: data of kind 'measured' need signals = [NAME]")
    made, datum = [], None
    for name in chosen:
        signal = file.signals[name]
        if isinstance(signal, Measurement):
            if section.signals is None:
                continue
            errors = [n for n in build.nuisances if isinstance(n, ErrorNuisance)]
            parts = {n.part: n.name for n in errors if n.process == name}
            templates, datum = signal.datum(build.case.inputs, region, parts, bins.where)
        elif isinstance(signal, Scattering):
            templates = _with_variations(build, name, section, bins, region)
        else:
            raise InputError(f"{bins.where}: signal '{name}' has no builder")
        made.append(templates)
    return tuple(made), datum


def _with_variations(
    build: _Build, name: str, section: RegionSection, bins: Bins, region: str
) -> TemplateSet:
    key = section.name
    nominal = scattering_templates(build.case, name, bins, region)
    varied: dict[tuple[str, str], Rows] = {}
    for nuisance in build.nuisances:
        if isinstance(nuisance, BinNuisance):
            if nuisance.process == name:
                varied |= _bin_variations(build, nuisance, bins, nominal.templates.nominal)
            continue
        cases = _cases(build, nuisance)
        pair = {}
        for direction, case in cases.items():
            if nominal.differs(case, key):
                with _named(case, nuisance, direction):
                    pair[direction] = nominal.varied(case, bins)
        if not pair:
            continue
        if isinstance(nuisance, ShiftNuisance):
            pair = _taylor(nominal.templates.nominal, pair)
        for direction in ("up", "down"):
            varied[nuisance.name, direction] = (
                pair[direction]
                if direction in pair
                else _combine(nominal.templates.nominal, pair["up"], 2.0, -1.0)
                if direction not in cases
                else nominal.templates.nominal
            )
    return replace(nominal.templates, varied=varied)


def _cases(build: _Build, nuisance: Nuisance) -> dict[str, Case]:
    """The file at plus and minus one standard deviation (or one step), by direction."""
    if isinstance(nuisance, VariationNuisance):
        cases = {"up": build.varied(f"{nuisance.name}.up", nuisance.up)}
        if nuisance.down:
            cases["down"] = build.varied(f"{nuisance.name}.down", nuisance.down)
        return cases
    if isinstance(nuisance, ShiftNuisance):
        steps = {"up": _STEP, "down": -_STEP}
        return {direction: build.shifted(nuisance, step) for direction, step in steps.items()}
    return {}


@contextmanager
def _named(case: Case, nuisance: Nuisance, direction: str) -> Iterator[None]:
    """Say of a fault which nuisance made it."""
    try:
        yield
    except InputError as error:
        rest = str(error).removeprefix(f"{case.path}: ")
        raise InputError(f"{case.path}: nuisances.{nuisance.name}.{direction}: {rest}") from None


def _combine(first: Rows, second: Rows, a: float, b: float) -> Templates:
    return {
        source: {name: a * row + b * second[source][name] for name, row in rows.items()}
        for source, rows in first.items()
    }


def _taylor(nominal: Rows, stepped: Mapping[str, Templates]) -> dict[str, Templates]:
    pairs: dict[str, Templates] = {"up": {}, "down": {}}
    for source, rows in nominal.items():
        for direction in pairs:
            pairs[direction][source] = {}
        for name, row in rows.items():
            up, down = (stepped[d][source][name] for d in ("up", "down"))
            ends = _expanded(row, up, down)
            pairs["up"][source][name], pairs["down"][source][name] = ends
    return pairs


def _expanded(nominal: FloatArray, up: FloatArray, down: FloatArray) -> Pair:
    """Second-order expansion to one standard deviation from values at small steps."""
    slope = (up - down) / (2.0 * _STEP)
    bend = _CODE4P * (up + down - 2.0 * nominal) / (2.0 * _STEP**2)
    return nominal + slope + bend, nominal - slope + bend


def _directions(
    build: _Build, nuisance: BinNuisance, bins: Bins
) -> Iterator[tuple[str, FloatArray]]:
    """Names of the parameters of single bins, and the relative change of all bins by each."""
    columns = list(nuisance.covariance) or [nuisance.column]
    rows = row_per_bin(build.case.inputs, nuisance.table, columns, bins)
    if nuisance.covariance:
        matrix = np.stack([rows[name] for name in columns])
        if matrix.shape != (bins.count, bins.count) or not np.allclose(matrix, matrix.T):
            raise InputError(f"{bins.where}: nuisances.{nuisance.name}.covariance is no symmetric "
                             f"matrix of {bins.count} bins")  # fmt: skip
        values, vectors = np.linalg.eigh(matrix)
        if values.min() < -1e-9 * values.max():
            raise InputError(f"{bins.where}: nuisances.{nuisance.name}.covariance has a negative "
                             f"eigenvalue, {values.min():g}")  # fmt: skip
        changes = (np.sqrt(np.maximum(values, 0.0)) * vectors).T
    else:
        changes = np.diag(rows[nuisance.column])
    for i, change in enumerate(changes):
        if np.any(change):
            yield f"{nuisance.name}_{i}", change


def _bin_variations(
    build: _Build, nuisance: BinNuisance, bins: Bins, nominal: Rows
) -> dict[tuple[str, str], Templates]:
    def scaled(factor: FloatArray) -> Templates:
        return {s: {m: row * factor for m, row in rows.items()} for s, rows in nominal.items()}

    return {
        (name, direction): scaled(1.0 + sign * change)
        for name, change in _directions(build, nuisance, bins)
        for direction, sign in (("up", 1.0), ("down", -1.0))
    }


# -------------------------------------------------------------------- backgrounds


def _backgrounds(
    build: _Build, case: Case, section: RegionSection, bins: Bins, signal: FloatArray
) -> dict[str, FloatArray]:
    """Expected events of the backgrounds of a region, as a varied file may have them."""
    key, chosen = section.name, build.analysis.backgrounds
    used = {
        name: background
        for name, background in case.file.backgrounds.items()
        if (chosen is None or name in chosen) and background.region in (None, key)
    }
    section = case.file.regions[key]
    sources = [case.file.sources[s.source] for s in case.file.signals.values()
               if isinstance(s, Scattering)]  # fmt: skip
    around = Surroundings(
        case.inputs,
        section,
        bins,
        section.accepted(case.inputs, bins),
        partial(_response, case, bins),
        case.file.target.exposure_tonne_year if case.file.target else None,
        next((s.beam_energy for s in sources if s.beam_energy is not None), None),
    )
    counts = {}
    for name, background in used.items():
        try:
            counts[name] = background.counts(around)
        except InputError as error:
            if str(case.path) in str(error):
                raise
            raise InputError(f"{case.path}: backgrounds.{name}: {error}") from None
    mixed = [name for name, background in used.items() if background.contains_signal]
    whole = sum(float(counts[name].sum()) for name in mixed)
    for name in mixed:
        rest = counts[name] - signal * counts[name].sum() / whole
        if np.any(rest < 0):
            worst = int(np.argmin(rest))
            raise InputError(
                f"{case.path}: background '{name}' holds {counts[name][worst]:g} events in bin "
                f"{worst}, fewer than the neutrinos that it is said to contain"
            )
        counts[name] = rest
    return counts


def _response(case: Case, bins: Bins, name: str) -> BuiltResponse:
    where = f"{case.path}: responses.{name}"
    return case.file.responses[name].built(case.inputs, bins.signal, None, where)


def _background_variations(
    build: _Build,
    section: RegionSection,
    bins: Bins,
    nominal: Mapping[str, FloatArray],
    signal: FloatArray,
) -> dict[str, dict[str, Pair]]:
    """Backgrounds at plus and minus one standard deviation, by background and nuisance."""
    variations: dict[str, dict[str, Pair]] = {name: {} for name in nominal}
    for nuisance in build.nuisances:
        if isinstance(nuisance, BinNuisance):
            if nuisance.process in nominal:
                row = nominal[nuisance.process]
                for name, change in _directions(build, nuisance, bins):
                    pair = row * (1.0 + change), row * (1.0 - change)
                    variations[nuisance.process][name] = pair
            continue
        cases = _cases(build, nuisance)
        if not any(_touches_backgrounds(build.case, case, section.name) for case in cases.values()):
            continue
        made = {}
        for direction, case in cases.items():
            with _named(case, nuisance, direction):
                made[direction] = _backgrounds(build, case, section, bins, signal)
        for name, row in nominal.items():
            up = made["up"][name]
            down = made["down"][name] if "down" in made else 2.0 * row - up
            if np.array_equal(up, row) and np.array_equal(down, row):
                continue
            pair = _expanded(row, up, down) if isinstance(nuisance, ShiftNuisance) else (up, down)
            variations[name][nuisance.name] = pair
    return variations


def _touches_backgrounds(nominal: Case, varied: Case, region: str) -> bool:
    one, other = nominal.file, varied.file
    return (
        any(
            getattr(one, key) != getattr(other, key)
            for key in ("backgrounds", "responses", "sources", "target")
        )
        or one.regions[region] != other.regions[region]
    )


def _check_variations(build: _Build, regions: Sequence[Region]) -> None:
    """Refuse a variation that an analysis names and that changes nothing."""
    named = build.analysis.nuisances or ()
    for nuisance in build.nuisances:
        if nuisance.name not in named or nuisance.scaled or isinstance(nuisance, BinNuisance):
            continue
        acts = any(
            nuisance.name in {name for name, _ in signal.varied}
            for region in regions
            for signal in region.signals
        ) or any(nuisance.name in v for region in regions for v in region.variations.values())
        if not acts:
            raise InputError(
                f"{build.case.path}: nuisances.{nuisance.name} changes no process of analysis "
                f"'{build.analysis.name}': leave it out of its nuisances"
            )
