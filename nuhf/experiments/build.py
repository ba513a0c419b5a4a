"""From an experiment file to regions: one loop over signals, backgrounds and variations."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any, Final

import numpy as np

from nuhf.arrays import FloatArray
from nuhf.errors import InputError, within
from nuhf.experiments.backgrounds import Surroundings
from nuhf.experiments.catalogue import Loaded
from nuhf.experiments.data import Asimov, Measured, Observed, RegionSection, row_per_bin
from nuhf.experiments.file import (
    BinNuisance,
    ErrorNuisance,
    Nuisance,
    ShiftNuisance,
    VariationNuisance,
)
from nuhf.experiments.region import Region
from nuhf.experiments.responses import BuiltResponse
from nuhf.experiments.scattering import Scene
from nuhf.experiments.signals import Measurement, Scattering
from nuhf.rates.signal import expected
from nuhf.rates.templates import Templates, TemplateSet

Pair = tuple[FloatArray, FloatArray]
Cases = Mapping[str, Mapping[str, Loaded]]
"""The experiment at plus and minus one standard deviation (or one step), by nuisance."""

_STEP: Final = 0.01
"""Part of a shift by which it is differentiated."""
_SIGNS: Final = {"up": 1.0, "down": -1.0}

_CODE4P: Final = 8.0 / 15.0
"""Weight of the second-order term in the up and down templates that makes code4p reproduce the
curvature at alpha = 0: its own is 15/16 (up + down - 2 nominal)."""


def build_regions(loaded: Loaded) -> tuple[Region, ...]:
    """Build templates, backgrounds and data of all regions of an analysis.

    `InputError` if a table is missing or broken, a nuclide, form factor or coupling scheme
    unknown, a bin edge cuts a cell of the data, or a number that comes out is impossible.
    """
    file = loaded.experiment
    cases = {nuisance.name: _cases(loaded, nuisance) for nuisance in loaded.nuisances}
    names = file.chosen(loaded.analysis, "regions")
    regions = tuple(_Builder(loaded, cases, file.regions[name]).region() for name in names)
    _check_variations(loaded, regions)
    return regions


def _cases(loaded: Loaded, nuisance: Nuisance) -> dict[str, Loaded]:
    if isinstance(nuisance, VariationNuisance):
        changes = {"up": nuisance.up, "down": nuisance.down}
    elif isinstance(nuisance, ShiftNuisance):
        changes = {way: _shift(loaded, nuisance, sign * _STEP) for way, sign in _SIGNS.items()}
    else:
        return {}
    return {
        way: loaded.varied(change, f"nuisances.{nuisance.name}.{way}")
        for way, change in changes.items()
        if change
    }


def _shift(loaded: Loaded, nuisance: ShiftNuisance, step: float) -> dict[str, Any]:
    """Return the changes that shift a number by so many of its sizes."""
    path = nuisance.key.split(".")
    where = f"nuisances.{nuisance.name}.key: '{nuisance.key}'"
    value: Any = loaded.content
    for part in path:
        if not isinstance(value, Mapping) or part not in value:
            raise InputError(f"{where} is no key of the file")
        value = value[part]
    numbers = value if isinstance(value, tuple) else (value,)
    if any(isinstance(n, bool) or not isinstance(n, int | float) for n in numbers):
        raise InputError(f"{where} is no number, nor a list of numbers")
    new = tuple(number + step * nuisance.size for number in numbers)
    changes: Any = new if isinstance(value, tuple) else new[0]
    for part in reversed(path):
        changes = {part: changes}
    return dict(changes)


class _Builder:
    """Builds one region."""

    def __init__(self, loaded: Loaded, cases: Cases, section: RegionSection) -> None:
        self.loaded, self.cases, self.section = loaded, cases, section
        self.bins = section.bins(loaded.inputs)

    def region(self) -> Region:
        """Return the region."""
        loaded, section, bins = self.loaded, self.section, self.bins
        file, analysis = loaded.experiment, loaded.analysis
        where = f"{bins.where}.data"
        signals, datum = self._signals()
        observed = datum or section.data.observed(loaded.inputs, bins, section.live_days)
        total = self._expected(signals, {})
        backgrounds = self._backgrounds(loaded, total)
        if isinstance(section.data, Asimov):
            counts = sum(backgrounds.values(), self._expected(signals, analysis.reference))
            observed = Observed(counts, events=float(counts.sum()))
        if observed.counts is None:
            raise InputError(f"{where}: kind 'measured' is for a signal that has the number")
        sigma = observed.sigma
        if analysis.statistic == "poisson" and sigma is not None:
            raise InputError(f"{where} has errors: analyses.{analysis.name}.statistic = 'gaussian'")
        if analysis.statistic == "gaussian" and sigma is None:
            if np.any(observed.counts < 0):
                raise InputError(f"{where}: numbers below zero have no square root: give errors")
            sigma = np.sqrt(observed.counts)
        titles = {s.process: file.signals[s.process].heading for s in signals}
        return Region(
            file.channel(section.name),
            bins.axes,
            signals,
            observed.counts,
            backgrounds,
            titles | {b: file.backgrounds[b].title for b in backgrounds},
            observed.events,
            sigma,
            self._background_variations(backgrounds, total),
            observed.details,
            analysis.pseudo_counts,
        )

    def _expected(self, signals: Sequence[TemplateSet], values: Mapping[str, float]) -> FloatArray:
        rows = [row for signal in signals for row in expected(signal, values).values()]
        return np.asarray(np.sum([np.zeros(self.bins.count), *rows], axis=0))

    def _signals(self) -> tuple[tuple[TemplateSet, ...], Observed | None]:
        """Templates of the signals, and a number that one of them measures."""
        loaded, section, bins = self.loaded, self.section, self.bins
        file = loaded.experiment
        if section.signals is None and isinstance(section.data, Measured):
            raise InputError(f"{bins.where}: data of kind 'measured' need signals = [NAME]")
        made, datum = [], None
        for name in file.chosen(loaded.analysis, "signals"):
            signal = file.signals[name]
            if section.signals is not None and name not in section.signals:
                continue
            if isinstance(signal, Measurement):
                if section.signals is None:
                    continue
                errors = [n for n in loaded.nuisances if isinstance(n, ErrorNuisance)]
                named = {n.part: n.name for n in errors if n.process == name}
                channel = file.channel(section.name)
                templates, number = signal.datum(loaded.inputs, channel, named, bins.where)
                value, error = number
                datum = Observed(np.array([value]), np.array([error]))
            elif isinstance(signal, Scattering):
                scene = Scene(loaded, name, bins)
                varied = self._variations({name: scene.templates.nominal}, scene.varied)[name]
                templates = replace(scene.templates, varied=varied)
            else:
                raise InputError(f"{bins.where}: signal '{name}' has no builder")
            made.append(templates)
        return tuple(made), datum

    def _backgrounds(self, loaded: Loaded, signal: FloatArray) -> dict[str, FloatArray]:
        """Expected events of the backgrounds, as a varied file may have them."""
        file, bins = loaded.experiment, self.bins
        section = file.regions[bins.region]
        scattering = [s for s in file.signals.values() if isinstance(s, Scattering)]
        beams = (getattr(file.sources[s.source], "beam_energy_gwh", None) for s in scattering)

        def response(name: str) -> BuiltResponse:
            part = file.responses[name]
            return part.built(loaded.inputs, bins.signal, None, f"responses.{name}")

        around = Surroundings(
            loaded.inputs,
            section,
            bins,
            section.accepted(loaded.inputs, bins),
            response,
            file.target.exposure_tonne_year if file.target else None,
            next((beam for beam in beams if beam is not None), None),
        )
        counts: dict[str, FloatArray] = {}
        chosen = file.chosen(loaded.analysis, "backgrounds")
        for name, background in file.backgrounds.items():
            if name in chosen and background.region in (None, bins.region):
                with within(f"backgrounds.{name}"):
                    counts[name] = background.counts(around)
        mixed = [name for name in counts if file.backgrounds[name].contains_signal]
        whole = sum(float(counts[name].sum()) for name in mixed)
        for name in mixed:
            rest = counts[name] - signal * counts[name].sum() / whole
            if np.any(rest < 0):
                worst = int(np.argmin(rest))
                raise InputError(
                    f"background '{name}' holds {counts[name][worst]:g} events in bin {worst}, "
                    "fewer than the neutrinos that it is said to contain"
                )
            counts[name] = rest
        return counts

    # ----------------------------------------------------------------- variations

    def _background_variations(
        self, nominal: Mapping[str, FloatArray], signal: FloatArray
    ) -> dict[str, dict[str, Pair]]:
        """Backgrounds at plus and minus one standard deviation, by background and nuisance."""

        def parts(case: Loaded) -> tuple[object, ...]:
            file, keys = case.experiment, ("backgrounds", "responses", "sources", "target")
            return file.regions[self.bins.region], *(getattr(file, key) for key in keys)

        def made(case: Loaded) -> dict[str, Templates]:
            if parts(self.loaded) == parts(case):
                return {}
            return {n: {"": {"": row}} for n, row in self._backgrounds(case, signal).items()}

        every: dict[str, Templates] = {name: {"": {"": row}} for name, row in nominal.items()}
        found: dict[str, dict[str, Pair]] = {name: {} for name in nominal}
        for name, varied in self._variations(every, made).items():
            for nuisance, _ in varied:
                pair = varied[nuisance, "up"][""][""], varied[nuisance, "down"][""][""]
                if any(np.any(row != nominal[name]) for row in pair):
                    found[name][nuisance] = pair
        return found

    def _variations(
        self, nominal: Mapping[str, Templates], made: Callable[[Loaded], Mapping[str, Templates]]
    ) -> dict[str, dict[tuple[str, str], Templates]]:
        """Templates at plus and minus one standard deviation, by process, nuisance and direction.

        ``made`` returns those of the processes of a varied file; none that it does not touch.
        """
        varied: dict[str, dict[tuple[str, str], Templates]] = {process: {} for process in nominal}
        for nuisance in self.loaded.nuisances:
            if isinstance(nuisance, BinNuisance) and nuisance.process in nominal:
                for name, change in self._directions(nuisance):
                    for way, sign in _SIGNS.items():
                        factor = partial(np.multiply, 1.0 + sign * change)
                        rows = _combined(factor, nominal[nuisance.process])
                        varied[nuisance.process][name, way] = rows
            content = {}
            for way, case in self.cases[nuisance.name].items():
                with within(f"nuisances.{nuisance.name}.{way}"):
                    content[way] = made(case)
            for process, rows in nominal.items():
                pair = {way: found[process] for way, found in content.items() if process in found}
                if not pair:
                    continue
                up, down = (pair.get(way, rows) for way in _SIGNS)
                if isinstance(nuisance, ShiftNuisance):
                    up, down = (_combined(partial(_expanded, x), rows, up, down) for x in (1, -1))
                elif "down" not in content:
                    down = _combined(lambda row, up: 2.0 * row - up, rows, up)
                varied[process] |= {(nuisance.name, "up"): up, (nuisance.name, "down"): down}
        return varied

    def _directions(self, nuisance: BinNuisance) -> Iterator[tuple[str, FloatArray]]:
        """Names of the parameters of single bins, and the relative change of all bins by each."""
        count = self.bins.count
        columns = list(nuisance.covariance) or [nuisance.column]
        rows = row_per_bin(self.loaded.inputs, nuisance.table, columns, self.bins)
        if nuisance.covariance:
            where = f"{self.bins.where}: nuisances.{nuisance.name}.covariance"
            matrix = np.stack([rows[name] for name in columns])
            if matrix.shape != (count, count) or not np.allclose(matrix, matrix.T):
                raise InputError(f"{where} is no symmetric matrix of {count} bins")
            values, vectors = np.linalg.eigh(matrix)
            if values.min() < -1e-9 * values.max():
                raise InputError(f"{where} has a negative eigenvalue, {values.min():g}")
            changes = (np.sqrt(np.maximum(values, 0.0)) * vectors).T
        else:
            changes = np.diag(rows[nuisance.column])
        for i, change in enumerate(changes):
            if np.any(change):
                yield f"{nuisance.name}_{i}", change


def _combined(function: Callable[..., FloatArray], *parts: Templates) -> Templates:
    """Apply a function to the rows of equal name."""
    return {
        source: {name: function(*(part[source][name] for part in parts)) for name in rows}
        for source, rows in parts[0].items()
    }


def _expanded(sign: float, nominal: FloatArray, up: FloatArray, down: FloatArray) -> FloatArray:
    """Second-order expansion to one standard deviation from values at small steps."""
    slope = (up - down) / (2.0 * _STEP)
    bend = _CODE4P * (up + down - 2.0 * nominal) / (2.0 * _STEP**2)
    return nominal + sign * slope + bend


def _check_variations(loaded: Loaded, regions: Sequence[Region]) -> None:
    """Refuse a variation that an analysis names and that changes nothing."""
    acting = {name for r in regions for signal in r.signals for name, _ in signal.varied}
    acting |= {name for r in regions for pairs in r.variations.values() for name in pairs}
    named = loaded.analysis.nuisances or ()
    for nuisance in loaded.nuisances:
        if nuisance.name not in named or nuisance.scaled or isinstance(nuisance, BinNuisance):
            continue
        if nuisance.name not in acting:
            raise InputError(
                f"nuisances.{nuisance.name} changes no process of analysis "
                f"'{loaded.analysis_name}': leave it out of its nuisances"
            )
