"""Templates of scattering: targets, sources and response of a signal, put together."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from nuhf import library
from nuhf.detector import response as histograms
from nuhf.errors import InputError
from nuhf.experiments.data import Bins, row_per_bin
from nuhf.experiments.file import ExperimentFile
from nuhf.experiments.responses import BuiltResponse
from nuhf.experiments.signals import Nuclei, Released, Scattering, Signal
from nuhf.inputs import Inputs
from nuhf.physics.cevns import maximum_recoil
from nuhf.physics.settings import ELECTROMAGNETIC, Physics
from nuhf.rates import build
from nuhf.rates.templates import Axis, TemplateSet
from nuhf.units import KEV

__all__ = ["Case", "Scattered", "Templates", "scattering_templates"]

FloatArray = NDArray[np.float64]
Templates = dict[str, dict[str, FloatArray]]

_BELOW: Final = 0.99
"""Where the grid begins, as a part of the recoil from which there is ionisation."""
_LOWEST_KEV: Final = 1e-3
"""Where the grid begins if nothing says so."""
_COUNTED: Final = 0.01
"""Recorded share of recoils above which an end of the recoil integral is looked at."""
_CUT: Final = 1e-3
"""Largest share of the signal that may lie outside the recoil integral."""
_FURTHER: Final = 1e-3
"""How far below an end the lost signal is integrated, as a part of it."""


@dataclass(frozen=True)
class Case:
    """A file with its place and its inputs.

    Attributes
    ----------
    path : Path
        The experiment file, for messages.
    inputs : Inputs
        Reads and records tables.
    file : ExperimentFile
        Its content, the changes of an analysis or of a nuisance included.
    variables : tuple of str
        Variables that templates are expanded in.
    settings : mapping
        Numbers of the models of couplings, such as ``mediator_mass_mev``.
    """

    path: Path
    inputs: Inputs
    file: ExperimentFile
    variables: tuple[str, ...] = ELECTROMAGNETIC
    settings: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Scattered:
    """Templates of one signal in one region, and what varied files need to make theirs.

    Attributes
    ----------
    case : Case
        The nominal file.
    name : str
        Of the signal.
    rates : Rates
        Recoils on a grid, before the detector.
    response : BuiltResponse
        The nominal response, counted from its first ionisation.
    computed : TemplateSet
        As the engine computes the signal.
    templates : TemplateSet
        The same, or a released template split like it.
    """

    case: Case
    name: str
    region: str
    rates: build.Rates
    response: BuiltResponse
    computed: TemplateSet
    templates: TemplateSet

    def differs(self, varied: Case, region: str) -> bool:
        """Whether a varied file can give other templates."""
        return (
            _rate_parts(self.case, self.name) != _rate_parts(varied, self.name)
            or _response_parts(self.case, self.name, region)
            != _response_parts(varied, self.name, region)
            or self.case.file.signals[self.name] != varied.file.signals[self.name]
        )

    def varied(self, varied: Case, bins: Bins) -> Templates:
        """Return the templates of a varied file."""
        key = bins.where.rpartition(".")[2]
        if _rate_parts(self.case, self.name) != _rate_parts(varied, self.name):
            templates = scattering_templates(varied, self.name, bins, self.region).templates
            return {s: dict(rows) for s, rows in templates.nominal.items()}
        computed = self.computed
        same = _response_parts(self.case, self.name, key)
        if same != _response_parts(varied, self.name, key):
            # recoils count from where the nominal response begins
            response = _response(varied, self.name, bins).from_start(self.response.start)
            matrix = _accepted(varied, key, bins, response)
            computed = replace(computed, nominal=self.rates.fold(matrix(self.rates.grid.nodes)))
        nominal = _released(varied, self.name, bins, computed).nominal
        return {s: dict(rows) for s, rows in nominal.items()}


def _rate_parts(case: Case, name: str) -> tuple[object, ...]:
    signal = case.file.signals[name]
    if not isinstance(signal, Scattering):
        return ()
    plain = signal.model_copy(update={"released": None}) if isinstance(signal, Nuclei) else signal
    return case.file.sources[signal.source], case.file.target, case.file.physics, plain


def _response_parts(case: Case, name: str, region: str) -> tuple[object, ...]:
    signal = case.file.signals[name]
    if not isinstance(signal, Scattering):
        return ()
    section = case.file.regions[region]
    return case.file.responses[signal.response], section.axes, section.acceptance


def scattering_templates(case: Case, name: str, bins: Bins, region: str) -> Scattered:
    """Build the templates of one signal in one region.

    Raises
    ------
    InputError
        If something that the signal names is unknown or broken, or the ends of the recoil
        integral cut signal.
    """
    signal = case.file.signals[name]
    target = case.file.target
    assert isinstance(signal, Scattering)  # as the file was checked
    assert target is not None
    key, where = bins.where.rpartition(".")[2], f"{case.path}: target.formula"
    section = case.file.physics
    physics = Physics(
        library.weak_couplings(section.couplings, case.inputs),
        section.form_factor,
        section.neutron_radius,
        case.variables,
        case.settings,
    )
    targets = signal.targets(case.inputs, target, physics, where)
    sources = _sources(case, signal, bins)
    response = _response(case, name, bins)
    response = response.from_start(response.start)
    if response.start > 0:
        # the start is a kink on a grid from below it, so that the error is that of the quadrature
        targets = [replace(one, kinks=(*one.kinks, response.start)) for one in targets]
    low, high = _ends(case, signal, response, targets, sources)
    refine = case.file.responses[signal.response].refine
    grid = build.recoil_grid(targets, sources, low, high, refine)
    axes = (*_response_axes(signal, bins), *([bins.time] if bins.time else []))
    label = build.Label(region, name, signal.interaction_name, axes)
    matrix = _accepted(case, key, bins, response)
    rates = build.rates_of(targets, sources, grid)
    computed = build.templates_of(label, rates, matrix, {})
    _check_ends(case, signal, response, (targets, sources), computed, matrix, (low, high))
    return Scattered(
        case, name, region, rates, response, computed, _released(case, name, bins, computed)
    )


def _released_section(signal: Signal) -> Released | None:
    return signal.released if isinstance(signal, Nuclei) else None


def _response_axes(signal: Signal, bins: Bins) -> tuple[Axis, ...]:
    """Axes that the response fills: of a released template the first alone."""
    return bins.axes[:1] if _released_section(signal) else bins.signal


def _response(case: Case, name: str, bins: Bins) -> BuiltResponse:
    signal = case.file.signals[name]
    assert isinstance(signal, Scattering)
    assert case.file.target is not None
    axes = _response_axes(signal, bins)
    protons = signal.protons(case.inputs, case.file.target, f"{case.path}: target.formula")
    where = f"{case.path}: responses.{signal.response}"
    return case.file.responses[signal.response].built(case.inputs, axes, protons, where)


def _accepted(case: Case, key: str, bins: Bins, response: BuiltResponse) -> build.Response:
    section = case.file.regions[key]
    if section.acceptance is None:
        return response.matrix
    if bins.time:
        raise InputError(f"{bins.where}.acceptance is for regions without a time axis")
    share = section.accepted(case.inputs, bins)[:, np.newaxis]
    return lambda recoil: np.asarray(share * response.matrix(recoil))


def _sources(case: Case, signal: Scattering, bins: Bins) -> list[build.Source]:
    section = case.file.sources[signal.source]
    target = case.file.target
    assert target is not None
    key, where = bins.where.rpartition(".")[2], f"{case.path}: sources.{signal.source}"
    seconds = target.seconds(case.file.regions[key].seconds())
    try:
        emissions = section.emissions(case.inputs, seconds, signal.components)
    except InputError as error:
        raise InputError(f"{where}: {error}") from None
    components = dict.fromkeys(e.component for e in emissions)
    for component in signal.components:
        if component not in components:
            raise InputError(
                f"{case.path}: signals.{signal.name}.components: '{component}' is not emitted by "
                f"source '{signal.source}'; allowed: {', '.join(components)}"
            )
    time = case.file.responses[signal.response].time
    sources = []
    for emission in emissions:
        if signal.components and emission.component not in signal.components:
            continue
        fractions = np.ones(1)
        if bins.time is not None:
            if emission.profile is None:
                raise InputError(f"{where}: it has no arrival times, and {bins.where} has time_us")
            edges, content = emission.profile.edges_us, emission.profile.fraction
            try:
                fractions = histograms.accepted_fractions(
                    edges, content, np.asarray(bins.time.edges), time
                )
            except InputError as error:
                raise InputError(f"{bins.where}.axes.time_us: {error}") from None
        sources.append(build.Source(emission.name, emission.spectrum, emission.fluence, fractions))
    return sources


# ------------------------------------------------------------- ends of the integral


def _highest(targets: Sequence[build.Target], sources: Sequence[build.Source]) -> float:
    """Return the largest recoil in MeV that any source gives."""
    return max(
        float(maximum_recoil(np.asarray(source.spectrum.endpoint), target.mass))
        for source in sources
        for target in targets
    )


def _ends(
    case: Case,
    signal: Scattering,
    response: BuiltResponse,
    targets: Sequence[build.Target],
    sources: Sequence[build.Source],
) -> tuple[float, float]:
    """Return where the recoil integral begins and ends, in MeV."""
    section = case.file.responses[signal.response]
    where = f"{case.path}: responses.{signal.response}"
    first, last = response.recoil_range
    lowest = max(target.lowest for target in targets)
    if response.start > 0:
        low = _BELOW * response.start
    else:
        stated = 0.0 if section.recoil_min_kev is None else section.recoil_min_kev * KEV
        low = max(stated, first, lowest) or _LOWEST_KEV * KEV
    high = response.reach if section.recoil_max_kev is None else section.recoil_max_kev * KEV
    if section.recoil_max_kev is not None and not low < high:
        raise InputError(f"{where}: recoils begin at {low / KEV:g} keV, which is not below "
                         f"recoil_max_kev = {high / KEV:g}")  # fmt: skip
    if min(_highest(targets, sources), high) > last * (1.0 + 1e-12):
        raise InputError(
            f"{where}.quenching ends at {last / KEV:.4g} keV of recoil, which neutrinos exceed: "
            f"recoil_max_kev = {last / KEV:.4g} leaves those recoils out, as long as they are at "
            f"most {100 * _CUT:g} % of the signal (more with cut_recoils = true)"
        )
    return low, high


def _check_ends(
    case: Case,
    signal: Scattering,
    response: BuiltResponse,
    rate: tuple[Sequence[build.Target], Sequence[build.Source]],
    made: TemplateSet,
    matrix: build.Response,
    ends: tuple[float, float],
) -> None:
    """Refuse ends of the recoil integral, or of a quenching table, that cut signal.

    Where quenching is not known beyond an end, every event there is taken to be recorded like
    those at the end: the share is then an upper bound.
    """
    section = case.file.responses[signal.response]
    if section.cut_recoils:
        return
    first, last = response.recoil_range
    low, high = max(ends[0], response.start), ends[1]
    table_begins = first > 0 and low <= first * (1.0 + 1e-9)
    stated = section.recoil_min_kev is not None and low > max(t.lowest for t in rate[0])
    kept = sum(float(m["1"].sum()) for m in made.nominal.values())

    def lost(edge: float, span: tuple[float, float], known: bool) -> float:
        at_edge = matrix(np.array([edge]))
        if float(at_edge.sum()) <= _COUNTED:
            return 0.0

        def beyond(recoil: FloatArray) -> FloatArray:
            return np.repeat(at_edge, recoil.size, axis=1)

        grid = build.recoil_grid(*rate, *span)
        templates = build.rates_of(*rate, grid).fold((matrix if known else beyond)(grid.nodes))
        cut = sum(float(m["1"].sum()) for m in templates.values())
        return cut / (cut + kept) if cut > 0 else 0.0

    where = f"{case.path}: responses.{signal.response}"
    if high < _highest(*rate) and section.recoil_max_kev is not None:
        share = lost(high, (high, np.inf), last >= _highest(*rate))
        _refuse(where, "recoil_max_kev", high, share, last >= _highest(*rate))
    if stated or table_begins:
        known = first < low * _FURTHER
        begin = max(low * _FURTHER, *(target.lowest for target in rate[0]))
        share = lost(low, (begin, low), known)
        name = "recoil_min_kev" if not table_begins else "the start of its quenching"
        _refuse(where, name, low, share, known)


def _refuse(where: str, name: str, end: float, share: float, known: bool) -> None:
    if share > _CUT:
        raise InputError(
            f"{where}: {name} ({end / KEV:.4g} keV) cuts {'' if known else 'up to '}"
            f"{100 * share:.2g} % of the signal; allowed: {100 * _CUT:g} %, or cut_recoils = true"
        )


# ------------------------------------------------------------- released templates


def _released(case: Case, name: str, bins: Bins, computed: TemplateSet) -> TemplateSet:
    """Return a released template, split into flavours and monomials as computed."""
    signal = case.file.signals[name]
    section = _released_section(signal)
    if section is None:
        return computed
    released = row_per_bin(case.inputs, section.table, [section.column], bins)[section.column]
    if section.mirrored_column:
        table = section.mirrored_table or section.table
        other = row_per_bin(case.inputs, table, [section.mirrored_column], bins)
        released = 2.0 * released - other[section.mirrored_column]
    if np.any(released < 0):
        raise InputError(f"{case.path}: signals.{name}.released: '{section.column}' is negative")
    shape = [axis.bins for axis in bins.axes]
    time = bins.axes[-1].bins if bins.time else 1
    inner = int(np.prod(shape[1:])) // time
    cube = (shape[0], inner, time)
    total = np.asarray(sum(terms["1"] for terms in computed.nominal.values()))
    if np.any((total.reshape(shape[0], 1, time) <= 0) & (released > 0).reshape(cube)):
        raise InputError(f"{case.path}: released signal where the engine predicts none")
    shares: dict[str, dict[str, FloatArray]] = {}
    for source, terms in computed.nominal.items():
        flavour = shares.setdefault(computed.flavours[source], {})
        for monomial, row in terms.items():
            share = np.divide(row, total, out=np.zeros_like(row), where=total > 0)
            flavour[monomial] = flavour.get(monomial, 0.0) + share
    nominal = _split(released.reshape(cube), shares, section)
    error = computed.relative_error()
    errors = {
        s: {m: error * np.abs(row) for m, row in terms.items()} for s, terms in nominal.items()
    }
    return replace(
        computed,
        axes=bins.axes,
        flavours={flavour: flavour for flavour in shares},
        nominal=nominal,
        errors=errors,
    )


def _split(
    released: FloatArray, shares: Mapping[str, Mapping[str, FloatArray]], section: Released
) -> Templates:
    first, _, time = released.shape

    def rounded(values: FloatArray) -> FloatArray:
        return np.array([float(f"{x:.{section.digits}g}") for x in values])

    return {
        flavour: {
            monomial: rounded((released * share.reshape(first, 1, time)).ravel())
            for monomial, share in terms.items()
        }
        for flavour, terms in shares.items()
    }
