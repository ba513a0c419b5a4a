"""From an experiment at a spallation source to templates, backgrounds and counts."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nuhf import resources
from nuhf.constants import AVOGADRO
from nuhf.detector import response
from nuhf.detector.efficiency import (
    ExponentialTimeEfficiency,
    LogisticEfficiency,
    exponential_fractions,
)
from nuhf.detector.quenching import PolynomialQuenching
from nuhf.detector.resolution import GammaSmearing
from nuhf.engine import build
from nuhf.engine.store import Axis, TemplateSet
from nuhf.errors import InputError
from nuhf.experiments.catalogue import Loaded
from nuhf.experiments.schema import Background, Logistic, ShapeNuisance
from nuhf.physics import sns
from nuhf.physics.couplings import weak_couplings
from nuhf.physics.nuclei import read_nuclides
from nuhf.tables import Table, read_table
from nuhf.units import G_PER_KG, KEV, METRE

__all__ = ["Observation", "backgrounds", "observed", "templates"]

FloatArray = NDArray[np.float64]


@dataclass(frozen=True)
class Observation:
    """Counts in the bins of the analysis, flattened with the time index fastest.

    Attributes
    ----------
    counts, control : ndarray
        Coincidence and control (anticoincidence) counts, (n_bins,).
    """

    counts: FloatArray
    control: FloatArray


def _edges(loaded: Loaded) -> tuple[FloatArray, FloatArray]:
    analysis = loaded.analysis
    return np.asarray(analysis.pe_edges), np.asarray(analysis.t_edges_us)


def _targets(loaded: Loaded) -> list[build.Target]:
    section = loaded.experiment.target
    nuclides = read_nuclides()
    for name in section.formula:
        if name not in nuclides:
            raise InputError(
                f"{loaded.path}: target.formula: unknown nuclide '{name}'; "
                f"allowed: {', '.join(nuclides)}"
            )
    molar = sum(n * nuclides[name].atomic_mass_u for name, n in section.formula.items())
    molecules = section.mass_kg * G_PER_KG / molar * AVOGADRO
    return [build.Target(nuclides[name], n * molecules) for name, n in section.formula.items()]


def _time_efficiency(loaded: Loaded) -> ExponentialTimeEfficiency:
    section = loaded.experiment.detector.time_efficiency
    return ExponentialTimeEfficiency(section.start_us, section.rate_per_us)


def _sources(loaded: Loaded) -> list[build.Source]:
    section = loaded.experiment.source
    _, t_edges = _edges(loaded)
    if loaded.analysis.spectrum == "analytic":
        spectra = sns.decay_at_rest()
    else:
        columns = ["e_lo_mev", "e_hi_mev", *sns.SPECIES]
        table = read_table(loaded.table(section.energy_table), columns)
        spectra = sns.tabulated_spectra(table)
    table = read_table(loaded.table(section.time_table), ["t_lo_us", "t_hi_us", *sns.SPECIES])
    profiles = sns.time_profiles(table)
    efficiency = _time_efficiency(loaded)
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


def _response(
    loaded: Loaded, coefficients: tuple[float, ...], logistic: Logistic
) -> Callable[[FloatArray], FloatArray]:
    detector = loaded.experiment.detector
    low, high = detector.quenching.recoil_range_kev
    quenching = PolynomialQuenching(coefficients, (low * KEV, high * KEV))
    smearing = GammaSmearing(detector.resolution.a0_kev_ee, detector.resolution.b0_per_kev_ee)
    efficiency = LogisticEfficiency(logistic.a, logistic.b, logistic.c, logistic.d)
    pe_edges, _ = _edges(loaded)

    def matrix(recoil: FloatArray) -> FloatArray:
        return response.response_matrix(pe_edges, quenching(recoil), smearing, efficiency)

    return matrix


def _responses(loaded: Loaded) -> dict[str, Callable[[FloatArray], FloatArray]]:
    detector = loaded.experiment.detector
    coefficients, logistic = detector.quenching.coefficients, detector.efficiency.nominal
    responses = {"nominal": _response(loaded, coefficients, logistic)}
    for nuisance in loaded.analysis.nuisances:
        if not isinstance(nuisance, ShapeNuisance):
            continue
        for direction in ("up", "down"):
            if nuisance.kind == "quenching":
                variation = detector.quenching.variations[nuisance.variation]
                made = _response(loaded, getattr(variation, direction), logistic)
            else:
                changed = detector.efficiency.variations[nuisance.variation]
                made = _response(loaded, coefficients, getattr(changed, direction))
            responses[f"{nuisance.name}:{direction}"] = made
    return responses


def templates(loaded: Loaded) -> TemplateSet:
    """Build the signal templates of an analysis, nominal and varied.

    Raises
    ------
    InputError
        If a table is missing or broken, a nuclide, form factor or coupling scheme unknown.
    """
    analysis = loaded.analysis
    sources = _sources(loaded)
    built, errors = build.build_cevns(
        _targets(loaded),
        sources,
        _responses(loaded),
        analysis.form_factor,
        weak_couplings(analysis.couplings),
        loaded.experiment.detector.recoil_min_kev * KEV,
    )
    nominal = built.pop("nominal")
    return TemplateSet(
        experiment=loaded.experiment.name,
        analysis=loaded.analysis_name,
        axes=(Axis("photoelectrons", analysis.pe_edges), Axis("time_us", analysis.t_edges_us)),
        process="cevns",
        flavours={source.name: source.spectrum.flavour for source in sources},
        nominal=nominal,
        varied={_split(label): varied for label, varied in built.items()},
        errors=errors,
        digests=_digests(loaded),
    )


def _split(label: str) -> tuple[str, str]:
    name, direction = label.rsplit(":", 1)
    return name, direction


def _digests(loaded: Loaded) -> dict[str, str]:
    names = {loaded.experiment.source.time_table, loaded.experiment.data.counts_table}
    if loaded.analysis.spectrum == "tabulated":
        names.add(loaded.experiment.source.energy_table)
    for background in loaded.experiment.backgrounds:
        names |= {background.pe_table, background.time_table} - {""}
    shared = {"nuclides.toml", "couplings.toml"}
    digests = {loaded.path.name: resources.digest(loaded.path)}
    digests |= {name: resources.digest(loaded.table(name)) for name in sorted(names)}
    return digests | {name: resources.digest(resources.find(name)) for name in sorted(shared)}


def observed(loaded: Loaded) -> Observation:
    """Return the counts in the bins of the analysis.

    Raises
    ------
    InputError
        If the count table is broken or a bin edge cuts one of its cells.
    """
    columns = ["pe_lo", "pe_hi", "t_lo_us", "t_hi_us", "n_c", "n_ac"]
    path = loaded.table(loaded.experiment.data.counts_table)
    table = read_table(path, columns)
    try:
        return _summed(table, *_edges(loaded))
    except InputError as error:
        where = f"{loaded.path}: analyses.{loaded.analysis_name}"
        raise InputError(f"{where}: {error} ({path})") from None


def _summed(table: Table, pe_edges: FloatArray, t_edges: FloatArray) -> Observation:
    """Counts of the table in the bins of the analysis."""
    both = np.stack([table.non_negative("n_c"), table.non_negative("n_ac")], axis=-1)
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
    return Observation(flat[:, 0], flat[:, 1])


def backgrounds(loaded: Loaded) -> dict[str, FloatArray]:
    """Return the events of every background of the analysis in its bins, (n_bins,)."""
    return {
        background.name: _background(loaded, background)
        for background in loaded.experiment.backgrounds
        if background.name in loaded.analysis.backgrounds
    }


def _background(loaded: Loaded, background: Background) -> FloatArray:
    pe_edges, t_edges = _edges(loaded)
    region = loaded.experiment.data
    if background.kind == "control":
        path = loaded.table(region.counts_table)
        table = read_table(path, ["pe_lo", "pe_hi", "n_ac"])
        counts = table.non_negative("n_ac")
        in_pe = response.rebin_counts(table["pe_lo"], table["pe_hi"], counts, pe_edges)
        shape = in_pe / counts.sum()
        span = np.asarray(region.t_range_us)
        edges = np.unique(np.concatenate([span, t_edges]))
        fractions = exponential_fractions(edges, background.rate_per_us)
        in_time = response.rebin(edges, fractions, t_edges)
        return np.asarray(background.events * np.outer(shape, in_time).ravel())
    pe_table = read_table(loaded.table(background.pe_table), ["pe_lo", "pe_hi", background.column])
    time_table = read_table(
        loaded.table(background.time_table), ["t_lo_us", "t_hi_us", background.column]
    )
    pe_old, pe_shape = pe_table.edges("pe_lo", "pe_hi"), pe_table.non_negative(background.column)
    t_old = time_table.edges("t_lo_us", "t_hi_us")
    t_shape = time_table.non_negative(background.column)
    efficiency = _time_efficiency(loaded)

    def fold(pe: FloatArray, times: FloatArray) -> FloatArray:
        accepted = response.accepted_fractions(t_old, t_shape, times, efficiency)
        return np.outer(response.rebin(pe_old, pe_shape, pe), accepted).ravel()

    whole = fold(np.asarray(region.pe_range), np.asarray(region.t_range_us)).sum()
    return np.asarray(background.events * fold(pe_edges, t_edges) / whole)
