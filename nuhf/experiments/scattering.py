"""Templates of scattering: targets, sources and response of a signal, put together."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from nuhf import library
from nuhf.detector.response import rebin
from nuhf.errors import InputError, within
from nuhf.experiments.catalogue import Loaded
from nuhf.experiments.data import Bins, RegionSection, row_per_bin
from nuhf.experiments.file import ExperimentFile
from nuhf.experiments.responses import BuiltResponse, Response
from nuhf.experiments.signals import Nuclei, Released, Scattering
from nuhf.experiments.target import Target
from nuhf.physics.cevns import maximum_recoil
from nuhf.physics.settings import Physics
from nuhf.rates import build
from nuhf.rates.templates import Axis, TemplateSet
from nuhf.units import KEV

__all__ = ["Scattered", "Scene", "Templates", "scattering_templates"]

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
class Scene:
    """A signal of an experiment in the bins of a region.

    Attributes
    ----------
    loaded : Loaded
        The experiment, the changes of a nuisance included.
    name : str
        Of the signal.
    bins : Bins
        The bins.
    """

    loaded: Loaded
    name: str
    bins: Bins

    @property
    def file(self) -> ExperimentFile:
        """Content of the experiment file."""
        return self.loaded.experiment

    @property
    def signal(self) -> Scattering:
        """Section of the signal."""
        signal = self.file.signals[self.name]
        if not isinstance(signal, Scattering):
            raise InputError(f"signals.{self.name} is not one that scatters")
        return signal

    @property
    def released(self) -> Released | None:
        """Section of the released template, if there is one."""
        return self.signal.released if isinstance(self.signal, Nuclei) else None

    @property
    def target(self) -> Target:
        """Section of the target."""
        assert self.file.target is not None  # as the file was checked
        return self.file.target

    @property
    def response(self) -> Response:
        """Section of the response."""
        return self.file.responses[self.signal.response]

    @property
    def region(self) -> RegionSection:
        """Section of the region."""
        return self.file.regions[self.bins.region]

    @property
    def axes(self) -> tuple[Axis, ...]:
        """Axes that the response fills: of a released template the first alone."""
        return self.bins.axes[:1] if self.released else self.bins.signal

    def rate_parts(self) -> tuple[object, ...]:
        """Return what the rates of recoils follow from."""
        plain = self.signal.model_copy(update={"released": None} if self.released else {})
        return self.file.sources[plain.source], self.target, self.file.physics, plain

    def response_parts(self) -> tuple[object, ...]:
        """Return what the response matrix follows from."""
        return self.response, self.region.axes, self.region.acceptance

    def built(self) -> BuiltResponse:
        """Return the response in the bins."""
        inputs = self.loaded.inputs
        protons = self.signal.protons(inputs, self.target)
        where = f"responses.{self.signal.response}"
        return self.response.built(inputs, self.axes, protons, where)

    def accepted(self, response: BuiltResponse) -> build.Response:
        """Return the matrix of a response, with the accepted share of every bin."""
        if self.region.acceptance is None:
            return response.matrix
        if self.bins.time:
            raise InputError(f"{self.bins.where}.acceptance is for regions without a time axis")
        share = self.region.accepted(self.loaded.inputs, self.bins)[:, np.newaxis]
        return lambda recoil: np.asarray(share * response.matrix(recoil))

    def targets(self) -> list[build.Scatterer]:
        """Return what is hit."""
        loaded, section = self.loaded, self.file.physics
        physics = Physics(
            library.weak_couplings(section.couplings, loaded.inputs),
            section.form_factor,
            section.neutron_radius,
            loaded.variables,
            loaded.settings,
        )
        return self.signal.targets(loaded.inputs, self.target, physics)

    def sources(self) -> list[build.FluxComponent]:
        """Return the species, with the accepted share of each in every bin of time."""
        signal, time = self.signal, self.bins.time
        section, where = self.file.sources[signal.source], f"sources.{signal.source}"
        chosen = {n: x for n, x in self.loaded.settings.items() if n in section.angles}
        section = section.model_copy(update=chosen)
        seconds = self.target.seconds(self.region.seconds())
        with within(where):
            emissions = section.emissions(self.loaded.inputs, seconds, signal.components)
        components = dict.fromkeys(e.component for e in emissions)
        for component in signal.components:
            if component not in components:
                raise InputError(
                    f"signals.{self.name}.components: '{component}' is not emitted by source "
                    f"'{signal.source}'; allowed: {', '.join(components)}"
                )
        sources = []
        for emission in emissions:
            if signal.components and emission.component not in signal.components:
                continue
            fractions = np.ones(1)
            if time is not None:
                if emission.profile is None:
                    raise InputError(
                        f"{where}: it has no arrival times, and {self.bins.where} has time_us"
                    )
                edges = emission.profile.edges_us
                arrivals = emission.profile.fraction * self.response.time.mean(edges)
                with within(f"{self.bins.where}.axes.time_us"):
                    fractions = rebin(edges, arrivals, np.asarray(time.edges))
            sources.append(
                build.FluxComponent(emission.name, emission.spectrum, emission.fluence, fractions)
            )
        return sources


@dataclass(frozen=True)
class Scattered:
    """Templates of one signal in one region, and what varied files need to make theirs.

    Attributes
    ----------
    scene : Scene
        The signal in the nominal file.
    rates : Rates
        Recoils on a grid, before the detector.
    response : BuiltResponse
        The nominal response, counted from its first ionisation.
    computed : TemplateSet
        As the engine computes the signal.
    templates : TemplateSet
        The same, or a released template split like it.
    """

    scene: Scene
    rates: build.RecoilRates
    response: BuiltResponse
    computed: TemplateSet
    templates: TemplateSet

    def differs(self, varied: Loaded) -> bool:
        """Whether a varied file can give other templates."""
        scene = replace(self.scene, loaded=varied)
        return (
            self.scene.rate_parts() != scene.rate_parts()
            or self.scene.response_parts() != scene.response_parts()
            or self.scene.signal != scene.signal
        )

    def varied(self, varied: Loaded) -> Templates:
        """Return the templates of a varied file."""
        scene = replace(self.scene, loaded=varied)
        if self.scene.rate_parts() != scene.rate_parts():
            made = scattering_templates(scene).templates
        else:
            made = self.computed
            if self.scene.response_parts() != scene.response_parts():
                # recoils count from where the nominal response begins
                matrix = scene.accepted(scene.built().from_start(self.response.start))
                made = replace(made, nominal=self.rates.fold(matrix(self.rates.grid.nodes)))
            made = _released(scene, made)
        return {s: dict(rows) for s, rows in made.nominal.items()}


def scattering_templates(scene: Scene) -> Scattered:
    """Build the templates of one signal in one region.

    Raises
    ------
    InputError
        If something that the signal names is unknown or broken, or the ends of the recoil
        integral cut signal.
    """
    bins = scene.bins
    targets, sources, uncut = scene.targets(), scene.sources(), scene.built()
    response = uncut.from_start(uncut.start)
    if response.start > 0:
        # the start is a kink on a grid from below it, so that the error is that of the quadrature
        targets = [replace(one, kinks=(*one.kinks, response.start)) for one in targets]
    ends = _ends(scene, response, targets, sources)
    rates = build.rates_of(
        targets, sources, build.recoil_grid(targets, sources, *ends, scene.response.refine)
    )
    axes = (*scene.axes, *([bins.time] if bins.time else []))
    channel = scene.file.channel(bins.region)
    label = build.Label(channel, scene.name, scene.signal.interaction_name, axes)
    matrix = scene.accepted(response)
    computed = build.templates_of(label, rates, matrix)
    _check_ends(scene, uncut, (targets, sources), computed, matrix, ends)
    return Scattered(scene, rates, response, computed, _released(scene, computed))


# ------------------------------------------------------------- ends of the integral


def _highest(targets: Sequence[build.Scatterer], sources: Sequence[build.FluxComponent]) -> float:
    """Return the largest recoil in MeV that any source gives."""
    return max(
        float(maximum_recoil(np.asarray(source.spectrum.endpoint), target.mass))
        for source in sources
        for target in targets
    )


def _ends(
    scene: Scene,
    response: BuiltResponse,
    targets: Sequence[build.Scatterer],
    sources: Sequence[build.FluxComponent],
) -> tuple[float, float]:
    """Return where the recoil integral begins and ends, in MeV."""
    section, where = scene.response, f"responses.{scene.signal.response}"
    first, last = response.recoil_range
    if response.start > 0:
        low = _BELOW * response.start
    else:
        stated = (section.recoil_min_kev or 0.0) * KEV
        low = max(stated, first, *(target.lowest for target in targets)) or _LOWEST_KEV * KEV
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
    scene: Scene,
    response: BuiltResponse,
    rate: tuple[Sequence[build.Scatterer], Sequence[build.FluxComponent]],
    made: TemplateSet,
    matrix: build.Response,
    ends: tuple[float, float],
) -> None:
    """Refuse ends of the recoil integral, or of a quenching table, that cut signal.

    ``response`` is the one before recoils below its start were cut, which ``matrix`` leaves out.
    Where quenching is not known beyond an end, every event there is taken to be recorded like
    those at the end: the share is then an upper bound.
    """
    section = scene.response
    if section.cut_recoils:
        return
    first, last = response.recoil_range
    low, high = max(ends[0], response.start), ends[1]
    table_begins = first > 0 and low <= first * (1.0 + 1e-9)
    stated = section.recoil_min_kev is not None and low > max(t.lowest for t in rate[0])
    kept = sum(float(m["1"].sum()) for m in made.nominal.values())

    def lost(edge: float, span: tuple[float, float], known: build.Response | None) -> float:
        at_edge = matrix(np.array([edge]))
        if float(at_edge.sum()) <= _COUNTED:
            return 0.0

        def beyond(recoil: FloatArray) -> FloatArray:
            return np.repeat(at_edge, recoil.size, axis=1)

        grid = build.recoil_grid(*rate, *span)
        templates = build.rates_of(*rate, grid).fold((known or beyond)(grid.nodes))
        cut = sum(float(m["1"].sum()) for m in templates.values())
        return cut / (cut + kept) if cut > 0 else 0.0

    where = f"responses.{scene.signal.response}"
    if high < _highest(*rate) and section.recoil_max_kev is not None:
        share = lost(high, (high, np.inf), matrix if last >= _highest(*rate) else None)
        _refuse(where, "recoil_max_kev", high, share, last >= _highest(*rate))
    if stated or table_begins or response.start > 0:
        known = first < low * _FURTHER
        begin = max(low * _FURTHER, *(target.lowest for target in rate[0]))
        # the ionisation of one pair taken for the threshold of the analysis cuts, too
        whole = scene.accepted(response) if response.start > 0 else matrix
        share = lost(low, (begin, low), whole if known else None)
        name = "recoil_min_kev" if not table_begins else "the start of its quenching"
        if response.start > (section.recoil_min_kev or 0.0) * KEV:
            name = "the recoil of ionisation_min_kev_ee"
        _refuse(where, name, low, share, known)


def _refuse(where: str, name: str, end: float, share: float, known: bool) -> None:
    if share > _CUT:
        raise InputError(
            f"{where}: {name} ({end / KEV:.4g} keV) cuts {'' if known else 'up to '}"
            f"{100 * share:.2g} % of the signal; allowed: {100 * _CUT:g} %, or cut_recoils = true"
        )


# ------------------------------------------------------------- released templates


def _released(scene: Scene, computed: TemplateSet) -> TemplateSet:
    """Return a released template, split into flavours and monomials as computed."""
    section, bins, inputs = scene.released, scene.bins, scene.loaded.inputs
    if section is None:
        return computed
    released = row_per_bin(inputs, section.table, [section.column], bins)[section.column]
    if section.mirrored_column:
        table = section.mirrored_table or section.table
        other = row_per_bin(inputs, table, [section.mirrored_column], bins)
        released = 2.0 * released - other[section.mirrored_column]
    if np.any(released < 0):
        raise InputError(f"signals.{scene.name}.released: '{section.column}' is negative")
    shape = [axis.bins for axis in bins.axes]
    time = bins.axes[-1].bins if bins.time else 1
    inner = int(np.prod(shape[1:])) // time
    cube = (shape[0], inner, time)
    total = np.asarray(sum(terms["1"] for terms in computed.nominal.values()))
    if np.any((total.reshape(shape[0], 1, time) <= 0) & (released > 0).reshape(cube)):
        raise InputError("released signal where the engine predicts none")
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
