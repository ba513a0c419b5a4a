"""From released templates in energy, F90 and time to a region with electromagnetic couplings.

The released signal keeps its normalisation and its shape; in every bin of energy and time it is
split into neutrino flavours and monomials of the couplings as the engine computes them there. The
pulse shape F90 of a recoil is taken not to depend on the couplings inside a bin of energy.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from nuhf.detector import response
from nuhf.detector.gaussian import bin_probabilities
from nuhf.detector.quenching import PolynomialQuenching
from nuhf.errors import InputError
from nuhf.experiments.catalogue import Loaded
from nuhf.experiments.light import Checked
from nuhf.experiments.region import Prepared, Region
from nuhf.experiments.schema import ShapeNuisance
from nuhf.experiments.spallation_released_schema import Released, TemplateVariation
from nuhf.experiments.targets import nuclear_targets
from nuhf.physics import sns
from nuhf.rates import build
from nuhf.rates.templates import Axis, TemplateSet
from nuhf.tables import Table, read_table
from nuhf.units import KEV, METRE

__all__ = ["engine_templates", "prepare"]

FloatArray = NDArray[np.float64]

_DIGITS = 6
"""Significant digits of the released templates; those made from them are rounded alike."""


@dataclass(frozen=True)
class _Case:
    """An analysis of an experiment of this kind."""

    loaded: Loaded
    experiment: Released

    @cached_property
    def axes(self) -> tuple[Axis, Axis, Axis]:
        """Energy, F90 and time."""
        section = self.experiment.templates
        return (
            Axis("energy_kev_ee", section.energy_edges_kev_ee),
            Axis("f90", section.f90_edges),
            Axis("time_us", section.t_edges_us),
        )

    def table(self, name: str, columns: Sequence[str]) -> Table:
        """Read a table in the bins of the axes (`InputError` if its rows are others)."""
        keys = ["e_lo_kev_ee", "e_hi_kev_ee", "f90_lo", "f90_hi", "t_lo_us", "t_hi_us"]
        path = self.loaded.table(name)
        found = read_table(path, [*keys, *columns])
        for i, axis in enumerate(self.axes):
            for key, ends in ((keys[2 * i], axis.edges[:-1]), (keys[2 * i + 1], axis.edges[1:])):
                grid = np.meshgrid(*(np.arange(a.bins) for a in self.axes), indexing="ij")[i]
                wanted = np.asarray(ends)[grid.ravel()]
                if found[key].shape != wanted.shape or np.abs(found[key] - wanted).max() > 1e-6:
                    raise InputError(
                        f"{path}: {key} are not the bins of {self.loaded.path}, [templates]"
                    )
        return found


def prepare(loaded: Loaded, experiment: Released) -> Prepared:
    """Build templates, backgrounds and data, as `nuhf.experiments.prepare.prepare` says."""
    case = _Case(loaded, experiment)
    name, section = experiment.name.replace("-", "_"), experiment.templates
    backgrounds = {b.name: b for b in experiment.backgrounds}
    used = [b for b in loaded.analysis.backgrounds if b in backgrounds]
    table = case.table(section.table, [section.counts, section.signal, *used])
    variations: dict[str, dict[str, tuple[FloatArray, FloatArray]]] = {}
    for nuisance in loaded.analysis.nuisances:
        if isinstance(nuisance, ShapeNuisance):
            variation = experiment.variations[nuisance.variation]
            column = section.signal if variation.process == "cevns" else variation.process
            pair = _pair(case, variation, table.non_negative(column))
            variations.setdefault(variation.process, {})[nuisance.name] = pair
    counts = table.non_negative(section.counts)
    region = Region(
        name,
        case.axes,
        (_signal(case, name, table.non_negative(section.signal), variations.pop("cevns", {})),),
        counts,
        {b: table.non_negative(b) for b in used},
        {"cevns": "CEvNS"} | {b.name: b.title for b in experiment.backgrounds},
        float(counts.sum()),
        variations=variations,
    )
    return Prepared(loaded, (region,), _digests(case))


def _pair(
    case: _Case, variation: TemplateVariation, nominal: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Alternative templates at plus and minus one standard deviation, (n_bins,) each."""
    columns = [variation.up, variation.down] if variation.down else [variation.up]
    table = case.table(variation.table, columns)
    up = table.non_negative(variation.up)
    if variation.down:
        return up, table.non_negative(variation.down)
    return up, 2.0 * nominal - up


def _response(case: _Case) -> build.Response:
    detector, (energy, _, _) = case.experiment.detector, case.axes
    low, high = detector.quenching.recoil_range_kev
    span = low * KEV, high * KEV
    curve = PolynomialQuenching(detector.quenching.coefficients, span)
    quenching = Checked(curve, span, f"{case.loaded.path}: detector.quenching")
    table = read_table(
        case.loaded.table(detector.efficiency.table), ["e_lo_kev_ee", "e_hi_kev_ee", "efficiency"]
    )
    steps = table.edges("e_lo_kev_ee", "e_hi_kev_ee")
    wide = np.asarray(energy.edges)
    edges = np.unique(np.concatenate([wide, steps[(steps > wide[0]) & (steps < wide[-1])]]))
    accepted = table.fraction("efficiency")
    last = accepted.size - 1
    middle = 0.5 * (edges[1:] + edges[:-1])
    efficiency = accepted[np.minimum(np.searchsorted(steps, middle, side="right") - 1, last)]
    fold = np.zeros((energy.bins, middle.size))
    fold[np.searchsorted(wide, middle, side="right") - 1, np.arange(middle.size)] = efficiency
    width = detector.resolution.coefficient_sqrt_kev_ee

    def matrix(recoil: FloatArray) -> FloatArray:
        light = quenching(recoil)
        sigma = width * np.sqrt(light / KEV) * KEV
        return np.asarray(fold @ bin_probabilities(edges * KEV, light, sigma))

    return matrix


def engine_templates(loaded: Loaded, experiment: Released) -> TemplateSet:
    """Return what the engine predicts by itself, in bins of energy and time."""
    case = _Case(loaded, experiment)
    energy, _, time = case.axes
    source, target = experiment.source, experiment.target
    columns = ["t_lo_us", "t_hi_us", *sns.SPECIES]
    profiles = sns.time_profiles(read_table(loaded.table(source.time_table), columns))
    area = 4.0 * np.pi * (source.baseline_m * METRE) ** 2
    fluence = source.pot * source.neutrinos_per_flavour_per_pot / area
    sources = [
        build.Source(
            name,
            spectrum,
            fluence,
            response.rebin(
                profiles[name].edges_us, profiles[name].fraction, np.asarray(time.edges)
            ),
        )
        for name, spectrum in sns.decay_at_rest().items()
    ]
    targets = nuclear_targets(
        target.mass_kg,
        target.formula,
        loaded.physics(experiment.analyses[loaded.analysis_name].form_factor),
        f"{loaded.path}: target.formula",
    )
    return build.template_set(
        build.Label(experiment.name.replace("-", "_"), "cevns", "cevns", (energy, time)),
        targets,
        sources,
        _response(case),
        {},
        build.recoil_grid(targets, sources, experiment.detector.recoil_min_kev * KEV),
    )


def _signal(
    case: _Case,
    region: str,
    released: FloatArray,
    variations: Mapping[str, tuple[FloatArray, FloatArray]],
) -> TemplateSet:
    """Released signal, nominal and alternative, split into flavours and monomials."""
    computed = engine_templates(case.loaded, case.experiment)
    energy, f90, time = case.axes
    shape = energy.bins, f90.bins, time.bins
    total = sum(terms["1"] for terms in computed.nominal.values())
    if np.any(
        (np.asarray(total).reshape(shape[0], 1, shape[2]) <= 0) & (released > 0).reshape(shape)
    ):
        raise InputError(f"{case.loaded.path}: released signal where the engine predicts none")
    shares: dict[str, dict[str, FloatArray]] = {}
    for source, terms in computed.nominal.items():
        flavour = shares.setdefault(computed.flavours[source], {})
        for monomial, row in terms.items():
            share = np.divide(row, total, out=np.zeros_like(row), where=np.asarray(total) > 0)
            flavour[monomial] = flavour.get(monomial, 0.0) + share

    def split(template: FloatArray) -> dict[str, dict[str, FloatArray]]:
        cube = template.reshape(shape)
        return {
            flavour: {
                monomial: _rounded((cube * share.reshape(shape[0], 1, shape[2])).ravel())
                for monomial, share in terms.items()
            }
            for flavour, terms in shares.items()
        }

    varied = {}
    for name, pair in variations.items():
        varied[name, "up"], varied[name, "down"] = split(pair[0]), split(pair[1])
    nominal = split(released)
    error = computed.relative_error()
    errors = {
        s: {m: error * np.abs(row) for m, row in terms.items()} for s, terms in nominal.items()
    }
    flavours = {flavour: flavour for flavour in shares}
    return TemplateSet(region, "cevns", "cevns", case.axes, flavours, nominal, varied, errors)


def _rounded(values: FloatArray) -> FloatArray:
    return np.array([float(f"{x:.{_DIGITS}g}") for x in values])


def _digests(case: _Case) -> dict[str, str]:
    experiment = case.experiment
    names = {experiment.templates.table, experiment.source.time_table}
    names.add(experiment.detector.efficiency.table)
    for nuisance in case.loaded.analysis.nuisances:
        if isinstance(nuisance, ShapeNuisance):
            names.add(experiment.variations[nuisance.variation].table)
    return case.loaded.digests(names, {"nuclides.toml", "couplings.toml"})
