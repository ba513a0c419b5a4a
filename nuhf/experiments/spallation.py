"""From an experiment at a spallation source to templates, backgrounds and counts."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nuhf.detector import response
from nuhf.detector.efficiency import (
    ExponentialTimeEfficiency,
    LogisticEfficiency,
    exponential_fractions,
)
from nuhf.detector.quenching import PolynomialQuenching, TabulatedQuenching
from nuhf.detector.resolution import GammaSmearing, PoissonLight
from nuhf.errors import InputError
from nuhf.experiments.catalogue import Loaded
from nuhf.experiments.light import Checked
from nuhf.experiments.region import Prepared, Region
from nuhf.experiments.schema import ShapeNuisance
from nuhf.experiments.spallation_schema import (
    Analysis,
    Background,
    Logistic,
    PoissonResolution,
    Spallation,
)
from nuhf.experiments.targets import nuclear_targets
from nuhf.physics import sns
from nuhf.rates import build
from nuhf.rates.templates import Axis, TemplateSet
from nuhf.tables import Table, read_table
from nuhf.units import KEV, METRE

__all__ = ["prepare"]

FloatArray = NDArray[np.float64]


@dataclass(frozen=True)
class _Case:
    """An analysis of an experiment of this kind."""

    loaded: Loaded
    experiment: Spallation
    analysis: Analysis


@dataclass(frozen=True)
class _Counts:
    """Coincidence and control (anticoincidence) counts in the bins of the analysis, (n_bins,)."""

    coincidence: FloatArray
    control: FloatArray


def prepare(loaded: Loaded, experiment: Spallation) -> Prepared:
    """Build templates, backgrounds and data, as `nuhf.experiments.prepare.prepare` says."""
    case = _Case(loaded, experiment, experiment.analyses[loaded.analysis_name])
    name = experiment.name.replace("-", "_")
    axes = (
        Axis("photoelectrons", case.analysis.pe_edges),
        Axis("time_us", case.analysis.t_edges_us),
    )
    data = _observed(case)
    counts, sigma = data.coincidence, None
    if case.analysis.statistic == "gaussian":
        both = case.analysis.residual_error == "coincidence+control"
        sigma = np.sqrt(data.coincidence + data.control if both else data.coincidence)
        counts = data.coincidence - data.control
    region = Region(
        name,
        axes,
        (_templates(case, name, axes),),
        counts,
        _backgrounds(case),
        {"cevns": "CEvNS"} | {b.name: b.title for b in experiment.backgrounds},
        float(data.coincidence.sum()),
        sigma,
        details={"control": float(data.control.sum())},
    )
    return Prepared(loaded, (region,), _digests(case))


def _edges(case: _Case) -> tuple[FloatArray, FloatArray]:
    analysis = case.analysis
    return np.asarray(analysis.pe_edges), np.asarray(analysis.t_edges_us)


def _time_efficiency(case: _Case) -> ExponentialTimeEfficiency:
    section = case.experiment.detector.time_efficiency
    return ExponentialTimeEfficiency(section.start_us, section.rate_per_us)


def _sources(case: _Case) -> list[build.Source]:
    section = case.experiment.source
    _, t_edges = _edges(case)
    if case.analysis.spectrum == "analytic":
        spectra = sns.decay_at_rest()
    else:
        columns = ["e_lo_mev", "e_hi_mev", *sns.SPECIES]
        table = read_table(case.loaded.table(section.energy_table), columns)
        spectra = sns.tabulated_spectra(table)
    table = read_table(case.loaded.table(section.time_table), ["t_lo_us", "t_hi_us", *sns.SPECIES])
    profiles = sns.time_profiles(table)
    efficiency = _time_efficiency(case)
    area = 4.0 * np.pi * (section.baseline_m * METRE) ** 2
    fluence = section.pot * section.neutrinos_per_flavour_per_pot / area
    return [
        build.Source(
            name,
            spectrum,
            fluence,
            response.accepted_fractions(
                profiles[name].edges_us, profiles[name].fraction, t_edges, efficiency
            ),
        )
        for name, spectrum in spectra.items()
    ]


def _quenching(case: _Case, variation: str = "", direction: str = "") -> Checked:
    """Light of a recoil, nominal or varied."""
    key = "detector.quenching"
    if case.analysis.quenching:
        key += f"_tables.{case.analysis.quenching}"
    if variation:
        key += f".variations.{variation}.{direction}"
    detector, where = case.experiment.detector, f"{case.loaded.path}: {key}"
    if not case.analysis.quenching:
        section = detector.quenching
        low, high = section.recoil_range_kev
        coefficients = section.coefficients
        if variation:
            coefficients = getattr(section.variations[variation], direction)
        span = low * KEV, high * KEV
        return Checked(PolynomialQuenching(coefficients, span), span, where)
    given = detector.quenching_tables[case.analysis.quenching]
    table = read_table(case.loaded.table(given.table), ["t_kev_nr", given.column])
    scale = getattr(given.variations[variation], direction) if variation else 1.0
    recoil = table["t_kev_nr"] * KEV
    curve = TabulatedQuenching(recoil, table.non_negative(given.column), scale)
    return Checked(curve, (float(recoil[0]), float(recoil[-1])), where)


def _lowest_recoil(case: _Case) -> float:
    """First recoil in MeV of the templates: no table of quenching is extrapolated below."""
    lowest = case.experiment.detector.recoil_min_kev * KEV
    if case.analysis.quenching:
        return max(lowest, _quenching(case).recoil_range[0])
    return lowest


def _efficiency(logistic: Logistic) -> LogisticEfficiency:
    return LogisticEfficiency(logistic.a, logistic.b, logistic.c, logistic.d, logistic.steps)


def _response(case: _Case, quenching: Checked, logistic: Logistic) -> build.Response:
    section, efficiency = case.experiment.detector.resolution, _efficiency(logistic)
    pe_edges, _ = _edges(case)

    def matrix(recoil: FloatArray) -> FloatArray:
        energy = quenching(recoil)
        if isinstance(section, PoissonResolution):
            light = PoissonLight(section.pe_per_kev_ee, section.placement)
            return response.poisson_response_matrix(pe_edges, energy, light, efficiency)
        smearing = GammaSmearing(section.a0_kev_ee, section.b0_per_kev_ee)
        return response.response_matrix(pe_edges, energy, smearing, efficiency)

    return matrix


def _responses(case: _Case) -> dict[tuple[str, str], build.Response]:
    efficiency = case.experiment.detector.efficiency
    responses = {}
    for nuisance in case.analysis.nuisances:
        if not isinstance(nuisance, ShapeNuisance):
            continue
        for direction in ("up", "down"):
            quenching, logistic = _quenching(case), efficiency.nominal
            if nuisance.kind == "quenching":
                quenching = _quenching(case, nuisance.variation, direction)
            else:
                logistic = getattr(efficiency.variations[nuisance.variation], direction)
            responses[nuisance.name, direction] = _response(case, quenching, logistic)
    return responses


def _templates(case: _Case, region: str, axes: tuple[Axis, ...]) -> TemplateSet:
    target, detector = case.experiment.target, case.experiment.detector
    targets = nuclear_targets(
        target.mass_kg,
        target.formula,
        case.loaded.physics(case.analysis.form_factor, case.analysis.neutron_radius),
        f"{case.loaded.path}: target.formula",
    )
    sources = _sources(case)
    return build.template_set(
        build.Label(region, "cevns", "cevns", axes),
        targets,
        sources,
        _response(case, _quenching(case), detector.efficiency.nominal),
        _responses(case),
        build.recoil_grid(targets, sources, _lowest_recoil(case)),
    )


def _digests(case: _Case) -> dict[str, str]:
    names = {case.experiment.source.time_table, case.experiment.data.counts_table}
    if case.analysis.spectrum == "tabulated":
        names.add(case.experiment.source.energy_table)
    if case.analysis.quenching:
        names.add(case.experiment.detector.quenching_tables[case.analysis.quenching].table)
    for background in case.experiment.backgrounds:
        names |= {background.pe_table, background.time_table} - {""}
    return case.loaded.digests(names, {"nuclides.toml", "couplings.toml"})


def _observed(case: _Case) -> _Counts:
    columns = ["pe_lo", "pe_hi", "t_lo_us", "t_hi_us", "n_c", "n_ac"]
    path = case.loaded.table(case.experiment.data.counts_table)
    table = read_table(path, columns)
    try:
        return _summed(table, *_edges(case))
    except InputError as error:
        where = f"{case.loaded.path}: analyses.{case.loaded.analysis_name}"
        raise InputError(f"{where}: {error} ({path})") from None


def _summed(table: Table, pe_edges: FloatArray, t_edges: FloatArray) -> _Counts:
    """Counts of the table in the bins of the analysis."""
    both = np.stack([table.non_negative("n_c"), table.non_negative("n_ac")], axis=-1)
    _check_cells(table)
    # the two axes are summed one after the other; the first keeps the cells of the second
    cells = np.stack([table["t_lo_us"], table["t_hi_us"]], axis=-1)
    times, cell = np.unique(cells, axis=0, return_inverse=True)
    grid = np.zeros((pe_edges.size - 1, len(times), 2))
    for column in range(len(times)):
        rows = cell.ravel() == column
        grid[:, column] = response.rebin_counts(
            table["pe_lo"][rows], table["pe_hi"][rows], both[rows], pe_edges
        )
    summed = response.rebin_counts(times[:, 0], times[:, 1], grid.transpose(1, 0, 2), t_edges)
    flat = summed.transpose(1, 0, 2).reshape(-1, 2)
    return _Counts(flat[:, 0], flat[:, 1])


def _check_cells(table: Table) -> None:
    """Refuse a cell that is in the table twice."""
    names = ("pe_lo", "pe_hi", "t_lo_us", "t_hi_us")
    cells = np.stack([table[name] for name in names], axis=-1)
    _, first, cell = np.unique(cells, axis=0, return_index=True, return_inverse=True)
    twice = np.flatnonzero(first[cell.ravel()] != np.arange(len(cells)))
    if twice.size:
        row = int(twice[0])
        low, high, start, end = cells[row]
        raise InputError(
            f"rows {first[cell.ravel()[row]]} and {row} are the same cell, {low:g} to {high:g} "
            f"photoelectrons and {start:g} to {end:g} us"
        )


def _backgrounds(case: _Case) -> dict[str, FloatArray]:
    return {
        background.name: _background(case, background)
        for background in case.experiment.backgrounds
        if background.name in case.analysis.backgrounds
    }


def _background(case: _Case, background: Background) -> FloatArray:
    if background.kind == "control":
        return _from_control(case, background)
    pe_edges, t_edges = _edges(case)
    region = case.experiment.data
    column, find = background.column, case.loaded.table
    pe_table = read_table(find(background.pe_table), ["pe_lo", "pe_hi", column])
    time_table = read_table(find(background.time_table), ["t_lo_us", "t_hi_us", column])
    pe_old, pe_shape = pe_table.edges("pe_lo", "pe_hi"), pe_table.non_negative(column)
    t_old, t_shape = time_table.edges("t_lo_us", "t_hi_us"), time_table.non_negative(column)
    efficiency = _time_efficiency(case)
    if background.kind == "per_gwh":
        in_pe = _efficiency(case.experiment.detector.efficiency.nominal)
        pe_shape = pe_shape * in_pe(0.5 * (pe_old[1:] + pe_old[:-1]))

    def fold(pe: FloatArray, times: FloatArray) -> FloatArray:
        accepted = response.accepted_fractions(t_old, t_shape, times, efficiency)
        return np.outer(response.rebin(pe_old, pe_shape, pe), accepted).ravel()

    if background.events is None:
        return np.asarray((case.experiment.source.beam_energy_gwh or 0.0) * fold(pe_edges, t_edges))
    whole = fold(np.asarray(region.pe_range), np.asarray(region.t_range_us)).sum()
    if not whole > 0:
        raise InputError(
            f"{case.loaded.path}: background '{background.name}': its tables are zero in pe_range "
            "and t_range_us, which its events refer to"
        )
    return np.asarray(background.events * fold(pe_edges, t_edges) / whole)


def _from_control(case: _Case, background: Background) -> FloatArray:
    """PE spectrum of the control counts in the region of the yields, times an exponential."""
    pe_edges, t_edges = _edges(case)
    region = case.experiment.data
    columns = ["pe_lo", "pe_hi", "t_lo_us", "t_hi_us", "n_ac"]
    table = read_table(case.loaded.table(region.counts_table), columns)
    counts = table.non_negative("n_ac")
    for low, high, span in (
        ("pe_lo", "pe_hi", region.pe_range), ("t_lo_us", "t_hi_us", region.t_range_us)
    ):  # fmt: skip
        counts = np.where((table[low] >= span[0]) & (table[high] <= span[1]), counts, 0.0)
    in_pe = response.rebin_counts(table["pe_lo"], table["pe_hi"], counts, pe_edges)
    shape = in_pe / counts.sum()
    edges = np.unique(np.concatenate([np.asarray(region.t_range_us), t_edges]))
    fractions = exponential_fractions(edges, background.rate_per_us)
    in_time = response.rebin(edges, fractions, t_edges)
    return np.asarray((background.events or 0.0) * np.outer(shape, in_time).ravel())
