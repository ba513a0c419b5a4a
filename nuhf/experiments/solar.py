"""From a detector that sees solar neutrinos to templates, backgrounds and counts."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nuhf.constants import AVOGADRO
from nuhf.detector.gaussian import bin_probabilities
from nuhf.detector.response import rebin_counts
from nuhf.detector.tabulated import PowerWidth, TabulatedEfficiency, accepted_bins
from nuhf.errors import InputError
from nuhf.experiments.catalogue import Loaded
from nuhf.experiments.region import Prepared, Region
from nuhf.experiments.solar_schema import Analysis, Background, Solar
from nuhf.physics import shells, solar
from nuhf.rates import build
from nuhf.rates.signal import expected
from nuhf.rates.templates import Axis, TemplateSet
from nuhf.tables import Table, read_table
from nuhf.units import G_PER_KG, KEV, YEAR

__all__ = ["prepare"]

FloatArray = NDArray[np.float64]

_KG_PER_TONNE = 1e3
_COUNTED = 0.01
"""Largest share of electrons that may be counted where the integral over recoils ends."""
_FAR_KEV = 1e6
"""Up to where an efficiency goes on that is constant above its table."""
_FLAT_STEP_KEV = 0.25
_STEPS = 100_000
_ORDER = 6
"""Gauss-Legendre nodes per step of a background's spectrum, which is 1 keV or less."""


@dataclass(frozen=True)
class _Case:
    """An analysis of an experiment of this kind, with what its file says about the detector."""

    loaded: Loaded
    experiment: Solar
    analysis: Analysis

    @property
    def edges(self) -> FloatArray:
        """Bin edges in keV."""
        return np.asarray(self.analysis.edges_kev)

    @property
    def columns(self) -> tuple[str, str]:
        """Columns of bin edges in the tables."""
        unit = self.experiment.detector.unit
        return f"e_lo_{unit}", f"e_hi_{unit}"


def prepare(loaded: Loaded, experiment: Solar) -> Prepared:
    """Build templates, backgrounds and data, as `nuhf.experiments.prepare.prepare` says."""
    case = _Case(loaded, experiment, experiment.analyses[loaded.analysis_name])
    axes = (Axis(f"energy_{experiment.detector.unit}", case.analysis.edges_kev),)
    region = experiment.name.replace("-", "_")
    response = _response(case, case.edges)
    signals = _templates(case, region, axes, response)
    backgrounds = _backgrounds(case, _total(signals, {}))
    if experiment.data.kind == "asimov":
        observed = sum(backgrounds.values(), _total(signals, case.analysis.reference))
    else:
        observed = _counts(case, experiment.data.counts_table, "counts")
    sigma = np.sqrt(observed) if case.analysis.statistic == "gaussian" else None
    titles = {name: f"solar {', '.join(parts)}" for name, parts in case.analysis.signals.items()}
    titles |= {b.name: b.title for b in experiment.backgrounds if b.name in backgrounds}
    total = float(observed.sum())
    made = Region(region, axes, signals, observed, backgrounds, titles, total, sigma)
    return Prepared(loaded, (made,), _digests(case))


def _total(signals: tuple[TemplateSet, ...], values: Mapping[str, float]) -> FloatArray:
    rows = [row for signal in signals for row in expected(signal, values).values()]
    return np.asarray(np.sum(rows, axis=0))


# ----------------------------------------------------------------- detector


def _efficiency(case: _Case) -> TabulatedEfficiency:
    section, unit = case.experiment.detector.efficiency, case.experiment.detector.unit
    energies: list[FloatArray] = []
    values: list[FloatArray] = []
    reached = -np.inf
    for entry in section.tables:
        path = case.loaded.table(entry.table)
        name = entry.energy_column or f"e_{unit}"
        table = read_table(path, [name, entry.column])
        energy, value = table.non_negative(name), table.fraction(entry.column)
        if np.any(np.diff(energy) <= 0):
            raise InputError(f"{path}: the energies in column '{name}' do not increase")
        inside = (energy > reached) & (energy <= entry.last_kev)
        if not inside.any():
            raise InputError(f"{path}: no point up to last_kev = {entry.last_kev:g} is left")
        energies.append(energy[inside])
        values.append(value[inside])
        reached = entry.last_kev
    points, heights = np.concatenate(energies), np.concatenate(values)
    if section.constant_above:
        points, heights = np.append(points, _FAR_KEV), np.append(heights, heights[-1])
    return TabulatedEfficiency(points * KEV, heights)


def _response(case: _Case, edges_kev: FloatArray, width_factor: float = 1.0) -> build.Response:
    section = case.experiment.detector.resolution
    width = PowerWidth(section.coefficients, section.powers)
    efficiency, edges = _efficiency(case), edges_kev * KEV

    def reconstructed(energy: FloatArray) -> FloatArray:
        return accepted_bins(edges, efficiency, energy, width_factor * width(energy))

    def true(energy: FloatArray) -> FloatArray:
        return efficiency(energy) * bin_probabilities(edges, energy, width_factor * width(energy))

    return true if case.analysis.efficiency_energy == "true" else reconstructed


# ------------------------------------------------------------------- signal


def _target(case: _Case) -> build.Target:
    section = case.experiment.target
    grams = section.exposure_tonne_year * _KG_PER_TONNE * G_PER_KG
    atoms = grams / section.molar_mass_g_per_mol * AVOGADRO
    steps = shells.read_shells(case.loaded.table(section.shells_table))
    physics = case.loaded.physics()
    if case.analysis.electrons == "free":
        return build.electrons(shells.free_electrons(steps.total), atoms, physics)
    if case.analysis.electrons == "step":
        return build.electrons(steps, atoms, physics)
    if section.element != "xenon":
        raise InputError(
            f"{case.loaded.path}: analyses.{case.loaded.analysis_name}.electrons = 'rrpa' is for "
            f"xenon, not {section.element}"
        )
    return build.electrons(steps, atoms, physics, shells.rrpa_ratio())


def _sources(case: _Case, names: tuple[str, ...]) -> list[build.Source]:
    section, analysis = case.experiment.source, case.analysis
    fluxes = solar.read_fluxes(section.fluxes)
    adiabatic = solar.adiabatic_survival(solar.read_oscillation(section.ordering))
    made = []
    for name, component in solar.components(names).items():
        survival: solar.Survival = adiabatic
        if name in analysis.survival:
            survival = solar.ConstantSurvival(analysis.survival[name])
        spectra = solar.flavour_spectra(component, survival, analysis.sin2_theta23)
        # the exposure counts years of a target, so the fluence is that of one year
        fluence = fluxes[name].per_cm2_s * YEAR
        made += [build.Source(n, s, fluence, np.ones(1)) for n, s in spectra.items()]
    return made


def _templates(
    case: _Case, region: str, axes: tuple[Axis, ...], response: build.Response
) -> tuple[TemplateSet, ...]:
    targets, detector = [_target(case)], case.experiment.detector
    low, high = detector.recoil_min_kev * KEV, detector.recoil_max_kev * KEV
    _check_ends(case, response)
    if case.analysis.electrons == "rrpa":
        low = max(low, shells.rrpa_ratio().tabulated_range[0])
    made = []
    for process, names in case.analysis.signals.items():
        sources = _sources(case, names)
        grid = build.recoil_grid(targets, sources, low, high, detector.refine)
        label = build.Label(region, process, "eves", axes)
        made.append(build.template_set(label, targets, sources, response, {}, grid))
    return tuple(made)


def _check_ends(case: _Case, response: build.Response) -> None:
    """Refuse recoils that end where the detector still counts them."""
    for key in ("recoil_min_kev", "recoil_max_kev"):
        recoil = getattr(case.experiment.detector, key)
        counted = float(np.sum(response(np.array([recoil * KEV]))))
        if counted > _COUNTED:
            raise InputError(
                f"{case.loaded.path}: detector.{key} = {recoil:g} cuts signal: "
                f"{100 * counted:.2g} % of the electrons of that energy are counted; allowed: "
                f"an end where at most {100 * _COUNTED:g} % are"
            )


# ------------------------------------------------------ data and backgrounds


def _counts(case: _Case, name: str, column: str) -> FloatArray:
    """Return a column of a table in the bins of the analysis."""
    low, high = case.columns
    path = case.loaded.table(name)
    table = read_table(path, [low, high, column])
    table.edges(low, high)  # no bin twice, none left out
    where = f"{case.loaded.path}: analyses.{case.loaded.analysis_name}"
    if case.edges[0] < table[low][0] - 1e-9 or case.edges[-1] > table[high][-1] + 1e-9:
        raise InputError(
            f"{where}: edges_kev reach beyond the table, {table[low][0]:g} to "
            f"{table[high][-1]:g} keV ({path})"
        )
    try:
        return rebin_counts(table[low], table[high], table.non_negative(column), case.edges)
    except InputError as error:
        raise InputError(f"{where}: {error} ({path})") from None


def _backgrounds(case: _Case, signal: FloatArray) -> dict[str, FloatArray]:
    used = [b for b in case.experiment.backgrounds if b.name in case.analysis.backgrounds]
    found = {b.name: _background(case, b) for b in used}
    mixed = [b.name for b in used if b.contains_solar]
    whole = sum(float(found[name].sum()) for name in mixed)
    for name in mixed:
        rest = found[name] - signal * found[name].sum() / whole
        if np.any(rest < 0):
            worst = int(np.argmin(rest))
            raise InputError(
                f"{case.loaded.path}: background '{name}' holds {found[name][worst]:g} events in "
                f"bin {worst}, fewer than the solar neutrinos that it is said to contain"
            )
        found[name] = rest
    return found


def _background(case: _Case, background: Background) -> FloatArray:
    events = case.analysis.events.get(background.name, background.events)
    if background.kind == "bins":
        rows = _counts(case, background.table, background.column)
        if events is None:
            return rows
        path = case.loaded.table(background.table)
        whole = read_table(path, [background.column])[background.column].sum()
        return np.asarray(rows * events / whole)
    energy, weight = _before_detector(case, background)

    def through(edges_kev: FloatArray) -> FloatArray:
        return _response(case, edges_kev, background.width_factor)(energy * KEV) @ weight

    if background.events_per_tonne_year is not None:
        exposure = case.experiment.target.exposure_tonne_year
        return np.asarray(background.events_per_tonne_year * exposure * through(case.edges))
    span = np.asarray(case.experiment.data.range_kev)
    return np.asarray((events or 0.0) / through(span)[0] * through(case.edges))


def _before_detector(case: _Case, background: Background) -> tuple[FloatArray, FloatArray]:
    """Energies in keV and weights of a background that passes the detector here."""
    if background.kind == "lines":
        energy = np.asarray(background.energies_kev) * background.energy_factor
        return energy, np.asarray(background.weights)
    if background.kind == "flat":
        end = case.experiment.detector.recoil_max_kev
        if end > _STEPS * _FLAT_STEP_KEV:
            raise InputError(
                f"{case.loaded.path}: detector.recoil_max_kev = {end:g}: backgrounds of kind "
                f"'flat' go up to {_STEPS * _FLAT_STEP_KEV:g} keV"
            )
        edges = np.linspace(0.0, end, int(np.ceil(end / _FLAT_STEP_KEV)) + 1)
        return _nodes(edges, np.ones_like)
    path = case.loaded.table(background.table)
    energy, weight = _spectrum(read_table(path, [background.column]), background.column)
    # beyond it nothing is reconstructed in the bins, and the width may be meaningless
    inside = energy <= case.experiment.detector.recoil_max_kev
    return energy[inside], weight[inside]


def _nodes(
    edges: FloatArray, density: Callable[[FloatArray], FloatArray]
) -> tuple[FloatArray, FloatArray]:
    """Gauss-Legendre nodes between edges, and weights times a density."""
    x, w = np.polynomial.legendre.leggauss(_ORDER)
    half = 0.5 * np.diff(edges)[:, np.newaxis]
    nodes = edges[:-1, np.newaxis] + half * (1.0 + x)
    return nodes.ravel(), (half * w * density(nodes)).ravel()


def _spectrum(table: Table, column: str) -> tuple[FloatArray, FloatArray]:
    """Nodes in keV and weights of a density that is constant in bins, or linear between points."""
    density = table.non_negative(column)
    if "e_lo_kev" in table.columns:
        edges = table.edges("e_lo_kev", "e_hi_kev")
        return _nodes(edges, lambda _: density[:, np.newaxis])
    energy = table["e_kev"]
    if np.any(np.diff(energy) <= 0):
        raise InputError(f"{table.path}: the energies in column 'e_kev' do not increase")
    return _nodes(energy, lambda nodes: np.asarray(np.interp(nodes, energy, density)))


def _digests(case: _Case) -> dict[str, str]:
    experiment, analysis = case.experiment, case.analysis
    names = {experiment.target.shells_table}
    names |= {entry.table for entry in experiment.detector.efficiency.tables}
    names |= {b.table for b in experiment.backgrounds if b.name in analysis.backgrounds} - {""}
    names |= {experiment.data.counts_table} - {""}
    shared = {"solar/fluxes_b16.toml", "solar/oscillation.toml", "solar/production_bs05op.csv"}
    lines = {"be7", "pep"}
    used = {name for parts in analysis.signals.values() for name in parts}
    shared |= {"solar/lines.toml"} if used & lines else set()
    shared |= {f"solar/spectrum_{name}.csv" for name in used - lines}
    if analysis.electrons == "rrpa":
        shared.add("electrons/xenon_rrpa_ratio_computed_from_digitised.csv")
        shared.add("electrons/xenon_shells_rrpa.csv")
    return case.loaded.digests(names, shared)
