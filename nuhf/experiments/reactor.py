"""From a germanium detector at a reactor to templates, backgrounds and counts."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from nuhf.constants import AVOGADRO
from nuhf.detector import germanium
from nuhf.detector.gaussian import bin_probabilities
from nuhf.errors import InputError
from nuhf.experiments.catalogue import Loaded
from nuhf.experiments.light import Checked
from nuhf.experiments.reactor_schema import (
    Analysis,
    Background,
    Bins,
    Exponential,
    Reactor,
    RegionSection,
)
from nuhf.experiments.region import Prepared, Region
from nuhf.experiments.schema import ShapeNuisance
from nuhf.experiments.targets import nuclear_targets
from nuhf.physics import reactor, shells
from nuhf.physics.cevns import maximum_recoil
from nuhf.physics.nuclei import read_nuclides
from nuhf.physics.reactor_models import CAPTURES
from nuhf.rates import build
from nuhf.rates.templates import Axis, TemplateSet
from nuhf.tables import bin_edges, read_table
from nuhf.units import DAY, G_PER_KG, KEV

__all__ = ["prepare"]

FloatArray = NDArray[np.float64]

_FAR: Final = 10.0
"""Standard deviations beyond which something is out of reach."""

_CUT: Final = 1e-3
"""Largest share of the coherent signal that may lie beyond the end of the recoil integral."""

_BELOW: Final = 0.99
"""Where the grid begins, as a part of the recoil from which it counts."""

_STEP: Final = 0.01
"""Part of a variation by which shapes are differentiated."""

_CODE4P: Final = 8.0 / 15.0
"""Share of the second-order term in both templates of a histosys, with which the interpolation
code 4p has the right curvature at 0: its own is 15/16 (up + down - 2 nominal)."""


@dataclass(frozen=True)
class _Case:
    """An analysis of an experiment of this kind."""

    loaded: Loaded
    experiment: Reactor
    analysis: Analysis

    @property
    def where(self) -> str:
        """File and analysis, for messages."""
        return f"{self.loaded.path}: analyses.{self.loaded.analysis_name}"

    def shapes(self, kind: str) -> dict[str, str]:
        """Nuisances of a kind, and the variation of each."""
        found = (n for n in self.analysis.nuisances if isinstance(n, ShapeNuisance))
        return {n.name: n.variation for n in found if n.kind == kind}


@dataclass(frozen=True)
class _Run:
    """One region with its columns.

    Attributes
    ----------
    section : RegionSection
        What the file says.
    edges : ndarray
        Bin edges in keV, (n_bins + 1,).
    columns : mapping
        Columns of the table, (n_bins,) each.
    """

    section: RegionSection
    edges: FloatArray
    columns: Mapping[str, FloatArray]

    @property
    def acceptance(self) -> FloatArray:
        """Accepted share of the events in every bin, (n_bins,)."""
        name = self.section.acceptance
        return np.ones(self.edges.size - 1) if name is None else self.columns[name]

    @property
    def acceptance_error(self) -> FloatArray:
        """Its relative error, (n_bins,)."""
        name = self.section.acceptance_error
        return np.zeros(self.edges.size - 1) if name is None else self.columns[name]

    def data(self, name: str) -> FloatArray:
        """Return a column of the data as events of the run, (n_bins,)."""
        per_day = self.section.unit == "per_day"
        return self.columns[name] * (self.section.live_days if per_day else 1.0)


def prepare(loaded: Loaded, experiment: Reactor) -> Prepared:
    """Build templates, backgrounds and data, as `nuhf.experiments.prepare.prepare` says."""
    case = _Case(loaded, experiment, experiment.analyses[loaded.analysis_name])
    sections = {region.name: region for region in experiment.regions}
    runs = [_run(case, sections[name]) for name in case.analysis.regions]
    return Prepared(loaded, tuple(_region(case, run) for run in runs), _digests(case))


def _run(case: _Case, section: RegionSection) -> _Run:
    chosen = (section.events, section.errors, section.acceptance, section.acceptance_error)
    names = ["e_lo_kev_ee", "e_hi_kev_ee", *(name for name in chosen if name is not None)]
    names += [
        b.column
        for b in case.experiment.backgrounds
        if isinstance(b, Bins) and b.region == section.name
    ]
    if section.table:
        table = read_table(case.loaded.table(section.table), names)
        return _Run(section, table.edges("e_lo_kev_ee", "e_hi_kev_ee"), table.columns)
    where = f"{case.loaded.path}: regions.{section.name}.bins"
    for name in names:
        if name not in section.bins:
            raise InputError(f"{where}: no column '{name}'; there are {', '.join(section.bins)}")
    columns = {name: np.asarray(column, dtype=float) for name, column in section.bins.items()}
    edges = bin_edges(where, columns, "e_lo_kev_ee", "e_hi_kev_ee")
    return _Run(section, edges, columns)


def _region(case: _Case, run: _Run) -> Region:
    section = run.section
    name = f"{case.experiment.name}_{section.name}".replace("-", "_").replace(".", "_")
    axes = (Axis("energy_kev_ee", tuple(float(edge) for edge in run.edges)),)
    observed = run.data(section.events)
    sigma = None if section.errors is None else run.data(section.errors)
    _check(case, section, "acceptance", run.acceptance, 1.0)
    if sigma is None:
        _check(case, section, "events", observed)
    # what a residual was subtracted from is not known: ten errors of its sum stand for it
    events = (
        observed.sum() if sigma is None else np.abs(observed).sum() + _FAR * np.hypot.reduce(sigma)
    )
    used = [
        b
        for b in case.experiment.backgrounds
        if b.region == section.name and b.name in case.analysis.backgrounds
    ]
    return Region(
        name,
        axes,
        _templates(case, run, name, axes) if section.signal else (),
        observed,
        {b.name: _background(run, b) for b in used},
        {"cevns": "CEvNS", "eves": "EvES"} | {b.name: b.title for b in used},
        float(events),
        sigma,
        {b.name: _background_variations(case, run, b) for b in used},
    )


def _check(
    case: _Case, section: RegionSection, key: str, values: FloatArray, most: float = np.inf
) -> None:
    """Refuse a column with a number that is negative, or above what it can be."""
    wrong = (values < 0) | (values > most)
    if np.any(wrong):
        row = int(np.argmax(wrong))
        fault = "is negative" if np.isinf(most) else f"is not in 0 to {most:g}"
        raise InputError(
            f"{case.loaded.path}: regions.{section.name}.{key}: column "
            f"'{getattr(section, key)}', bin {row}: {values[row]:g} {fault}"
        )


# ------------------------------------------------------------------ signals


def _sources(case: _Case, run: _Run) -> list[build.Source]:
    flux = case.experiment.fluxes[case.analysis.flux]
    spectrum = reactor.spectrum(
        flux.spectrum, flux.fuel or None, flux.captures_per_fission, flux.e_max_mev
    )
    seconds = run.section.live_days * DAY
    if flux.power_gw and flux.energy_per_fission_mev and flux.distance_m:
        fluence = reactor.fluence_from_power(
            flux.power_gw, flux.energy_per_fission_mev, flux.distance_m, seconds
        )
    else:
        fluence = reactor.fluence_from_flux(spectrum, flux.flux_per_cm2_s or 0.0, seconds)
    return [build.Source("nuebar", spectrum, fluence, np.ones(1))]


@dataclass(frozen=True)
class _Yield:
    """Ionisation of one process: a quenching curve, and the recoil in MeV from which it counts."""

    curve: germanium.Quenching
    start: float


def _matrix(case: _Case, run: _Run, light: _Yield, deviations: float = 0.0) -> build.Response:
    """Response of one run, its acceptance shifted by so many standard deviations."""
    detector = case.experiment.detector
    response = germanium.GermaniumResponse(
        tuple(float(edge) for edge in run.edges * KEV),
        light.curve,
        germanium.FanoResolution(run.section.noise_kev, detector.pair_energy_kev, detector.fano),
        positive=detector.gaussian == "positive",
    )
    accepted = run.acceptance * (1.0 + deviations * run.acceptance_error)

    def matrix(recoil: FloatArray) -> FloatArray:
        counted = np.outer(accepted, recoil >= light.start)
        return np.asarray(counted * response(np.maximum(recoil, light.start)))

    return matrix


def _responses(case: _Case, run: _Run, light: _Yield) -> dict[tuple[str, str], build.Response]:
    found = {}
    quenched = not isinstance(light.curve, germanium.Unquenched)
    for direction, sign in (("up", 1.0), ("down", -1.0)):
        for name in case.shapes("efficiency"):
            found[name, direction] = _matrix(case, run, light, sign)
        for name, key in case.shapes("quenching").items() if quenched else ():
            quench = getattr(case.experiment.detector.quenching_variations[key], direction)
            curve = germanium.mixed_quenching(quench.weights, quench.deviations)
            where = f"detector.quenching_variations.{key}.{direction}"
            checked = Checked(curve, curve.recoil_range, f"{case.loaded.path}: {where}")
            found[name, direction] = _matrix(case, run, _Yield(checked, light.start))
    return found


def _templates(
    case: _Case, run: _Run, region: str, axes: tuple[Axis, ...]
) -> tuple[TemplateSet, ...]:
    made = {"cevns": _coherent, "eves": _electrons}
    found = []
    for process in case.analysis.signals:
        targets, light, high = made[process](case, run)
        # the start is a kink on a grid from below it, so that the error is that of the quadrature
        targets = [replace(one, kinks=(*one.kinks, light.start)) for one in targets]
        sources, low = _sources(case, run), _BELOW * light.start
        last = light.curve.recoil_range[1]
        if min(_highest(targets, sources), high) > last:
            raise InputError(
                f"{case.where}.quenching: '{case.analysis.quenching}' ends at {last / KEV:.4g} keV "
                f"of recoil, which reactor antineutrinos exceed; detector.recoil_max_kev = "
                f"{last / KEV:.4g} leaves those out, up to {100 * _CUT:g} % of the signal"
            )
        label = build.Label(region, process, process, axes)
        grid = build.recoil_grid(targets, sources, low, high, case.experiment.detector.refine)
        matrix, varied = _matrix(case, run, light), _responses(case, run, light)
        found.append(build.template_set(label, targets, sources, matrix, varied, grid))
        if process == "cevns":
            _check_end(case, run, light, (targets, sources, high), found[-1])
    return tuple(found)


def _check_end(
    case: _Case,
    run: _Run,
    light: _Yield,
    rate: tuple[Sequence[build.Target], Sequence[build.Source], float],
    made: TemplateSet,
) -> None:
    """Refuse a ``recoil_max_kev`` that cuts signal.

    Where the quenching curve does not reach the largest recoil, every event beyond is taken to
    be accepted: the share is then an upper bound.
    """
    targets, sources, end = rate
    highest = _highest(targets, sources)
    if end >= highest:
        return
    known = light.curve.recoil_range[1] >= highest
    response = _matrix(case, run, light) if known else _all(float(run.acceptance.max()))
    grid = build.recoil_grid(targets, sources, end)
    label = build.Label(made.region, made.process, made.interaction, made.axes)
    beyond = build.template_set(label, targets, sources, response, {}, grid)
    cut, kept = (sum(m["1"].sum() for m in one.nominal.values()) for one in (beyond, made))
    if cut > _CUT * (cut + kept):
        raise InputError(
            f"{case.loaded.path}: detector.recoil_max_kev = {end / KEV:g} cuts "
            f"{'' if known else 'up to '}{100 * cut / (cut + kept):.2g} % of the coherent signal "
            f"of region '{run.section.name}': recoils reach {highest / KEV:.3g} keV; allowed: "
            f"to cut {100 * _CUT:g} %, or to leave the key out"
        )


def _highest(targets: Sequence[build.Target], sources: Sequence[build.Source]) -> float:
    """Return the largest recoil in MeV that any source gives."""
    return max(
        float(maximum_recoil(np.asarray(source.spectrum.endpoint), target.mass))
        for source in sources
        for target in targets
    )


def _all(share: float) -> build.Response:
    """Response of one bin that takes a share of all recoils."""
    return lambda recoil: np.full((1, recoil.size), share)


def _coherent(case: _Case, _run: _Run) -> tuple[list[build.Target], _Yield, float]:
    """Nuclei, their ionisation, and the highest recoil in MeV."""
    target, detector = case.experiment.target, case.experiment.detector
    targets = nuclear_targets(
        target.mass_kg,
        case.analysis.formula or target.formula,
        case.loaded.physics(case.analysis.form_factor),
        f"{case.loaded.path}: formula",
    )
    curve = germanium.quenching(case.analysis.quenching)
    start = germanium.recoil_at(curve, detector.e_ee_min_kev * KEV)
    end = np.inf if detector.recoil_max_kev is None else detector.recoil_max_kev * KEV
    checked = Checked(curve, curve.recoil_range, f"{case.where}.quenching")
    return targets, _Yield(checked, start), end


def _electrons(case: _Case, run: _Run) -> tuple[list[build.Target], _Yield, float]:
    """Electrons, their ionisation, and the highest recoil in MeV."""
    target, detector = case.experiment.target, case.experiment.detector
    formula, nuclides = case.analysis.formula or target.formula, read_nuclides()
    molar = sum(n * nuclides[name].atomic_mass_u for name, n in formula.items())
    atoms = sum(formula.values()) * target.mass_kg * G_PER_KG / molar * AVOGADRO
    steps = shells.read_shells(case.loaded.table(target.shells_table))
    top = run.edges[-1] * KEV
    width = germanium.FanoResolution(run.section.noise_kev, detector.pair_energy_kev, detector.fano)
    light = _Yield(germanium.Unquenched(), detector.e_ee_min_kev * KEV)
    return (
        [build.electrons(steps, atoms, case.loaded.physics())],
        light,
        float(top + _FAR * width(np.asarray(top))),
    )


# -------------------------------------------------------------- backgrounds


def _shape(run: _Run, background: Background, shift: float = 0.0, key: str = "") -> FloatArray:
    """Events per bin of the run, with one number of the shape shifted, (n_bins,)."""
    if isinstance(background, Bins):
        return run.columns[background.column]
    seen = run.section.live_days * run.acceptance
    if isinstance(background, Exponential):
        decay = background.decay_per_kev + shift
        if decay == 0.0:
            content = np.diff(run.edges)
        else:
            content = np.diff(-np.exp(-decay * run.edges)) / decay
        return np.asarray(seen * background.height_per_kev_day * content)
    width = background.width_kev + (shift if key == "width_kev" else 0.0)
    energies = np.asarray(background.energies_kev) + (shift if key == "energies_kev" else 0.0)
    lines = bin_probabilities(run.edges, energies, np.full_like(energies, width))
    return np.asarray(seen * background.area_per_day * (lines @ np.asarray(background.shares)))


def _background(run: _Run, background: Background) -> FloatArray:
    return _shape(run, background)


def _background_variations(
    case: _Case, run: _Run, background: Background
) -> dict[str, tuple[FloatArray, FloatArray]]:
    """Templates at plus and minus one standard deviation, by nuisance.

    Numbers of a shape have wide priors, so that the data alone determine them; the templates hold
    the Taylor expansion to second order, which the interpolation meets where the fit goes.
    """
    nominal = _shape(run, background)
    found = {}
    for name in case.shapes("efficiency"):
        change = nominal * run.acceptance_error
        found[name] = (nominal + change, nominal - change)
    for name, key in case.shapes("template").items():
        if key in background.variations:
            variation = background.variations[key]
            step = _STEP * variation.size
            up, down = (
                _shape(run, background, sign * step, variation.parameter) for sign in (1.0, -1.0)
            )
            slope = (up - down) / (2.0 * _STEP)
            bend = _CODE4P * (up + down - 2.0 * nominal) / (2.0 * _STEP**2)
            found[name] = (nominal + slope + bend, nominal - slope + bend)
    return found


def _digests(case: _Case) -> dict[str, str]:
    experiment, analysis = case.experiment, case.analysis
    names = {r.table for r in experiment.regions if r.name in analysis.regions} - {""}
    if "eves" in analysis.signals:
        names.add(experiment.target.shells_table)
    flux = experiment.fluxes[analysis.flux]
    pieces = [
        *reactor.model(flux.spectrum).pieces,
        *([CAPTURES] if flux.captures_per_fission else []),
    ]
    shared = {"nuclides.toml", "couplings.toml", *(piece.file for piece in pieces)}
    curves = {analysis.quenching}
    for key in case.shapes("quenching").values():
        variation = experiment.detector.quenching_variations[key]
        curves |= set(variation.up.weights) | set(variation.down.weights)
    shared |= {germanium.quenching_file(curve) for curve in curves}
    return case.loaded.digests(names, shared)
