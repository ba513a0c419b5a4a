"""Templates of scattering: targets, sources and response of a signal, put together."""

from dataclasses import replace
from functools import cached_property
from typing import Final

import numpy as np

from nuhf import library
from nuhf.arrays import FloatArray
from nuhf.detector.smearing import rebin
from nuhf.errors import InputError, within
from nuhf.experiments.catalogue import Loaded
from nuhf.experiments.data import Bins, row_per_bin
from nuhf.experiments.responses import BuiltResponse
from nuhf.experiments.signals import Nuclei, Scattering
from nuhf.physics.cevns import maximum_recoil
from nuhf.physics.settings import Physics
from nuhf.rates import build
from nuhf.rates.templates import Templates, TemplateSet
from nuhf.units import KEV

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


class Scene:
    """A signal of an experiment in the bins of a region, and its templates.

    Its members raise `InputError` if something that the signal names is unknown or broken, or the
    ends of the recoil integral cut signal.
    """

    def __init__(self, loaded: Loaded, name: str, bins: Bins) -> None:
        file = loaded.experiment
        signal = file.signals[name]
        if not isinstance(signal, Scattering):
            raise InputError(f"signals.{name} is not one that scatters")
        assert file.target is not None  # as the file was checked
        self.loaded, self.name, self.bins = loaded, name, bins
        self.file, self.signal, self.target = file, signal, file.target
        self.released = signal.released if isinstance(signal, Nuclei) else None
        self.response = file.responses[signal.response]
        self.where = f"responses.{signal.response}"
        self.region = file.regions[bins.region]
        # of a released template the response fills the first axis alone
        self.axes = bins.axes[:1] if self.released else bins.signal

    # ----------------------------------------------------- what the templates follow from

    def _rate_parts(self) -> tuple[object, ...]:
        """Return what the rates of recoils follow from."""
        plain = self.signal.model_copy(update={"released": None} if self.released else {})
        return self.file.sources[plain.source], self.target, self.file.physics, plain

    def _response_parts(self) -> tuple[object, ...]:
        """Return what the response matrix follows from."""
        return self.response, self.region.axes, self.region.acceptance

    def varied(self, varied: Loaded) -> dict[str, Templates]:
        """Return the templates of a varied file by name of the signal; none if not touched."""
        other = Scene(varied, self.name, self.bins)
        if self._rate_parts() != other._rate_parts():
            return {self.name: other.templates.nominal}
        made = self.computed
        if self._response_parts() != other._response_parts():
            # recoils count from where the nominal response begins
            matrix = other.accepted(other.uncut.from_start(self.uncut.start))
            made = replace(made, nominal=self.rates.fold(matrix(self.rates.grid.nodes)))
        elif self.signal == other.signal:
            return {}
        return {self.name: _released(other, made).nominal}

    @cached_property
    def templates(self) -> TemplateSet:
        """The templates: as computed, or a released template split like that."""
        return _released(self, self.computed)

    @cached_property
    def computed(self) -> TemplateSet:
        """The templates as the engine computes them."""
        axes = (*self.axes, *([self.bins.time] if self.bins.time else []))
        channel = self.file.channel(self.bins.region)
        label = build.Label(channel, self.name, self.signal.interaction_name, axes)
        made = self.rates.templates(label, self.matrix)
        if not self.response.cut_recoils:
            self._check_ends(sum(float(m["1"].sum()) for m in made.nominal.values()))
        return made

    @cached_property
    def uncut(self) -> BuiltResponse:
        """The response in the bins, recoils below its start included."""
        inputs = self.loaded.inputs
        protons = self.signal.protons(inputs, self.target)
        return self.response.built(inputs, self.axes, protons, self.where)

    @cached_property
    def matrix(self) -> build.Response:
        """The response matrix, from the first ionisation on, with the accepted share."""
        return self.accepted(self.uncut.from_start(self.uncut.start))

    def accepted(self, response: BuiltResponse) -> build.Response:
        """Return the matrix of a response, with the accepted share of every bin."""
        if self.region.acceptance is None:
            return response.matrix
        if self.bins.time:
            raise InputError(f"{self.bins.where}.acceptance is for regions without a time axis")
        share = self.region.accepted(self.loaded.inputs, self.bins)[:, np.newaxis]
        return lambda recoil: np.asarray(share * response.matrix(recoil))

    @cached_property
    def rates(self) -> build.RecoilRates:
        """Recoils on a grid, before the detector."""
        return self._rates_on(*self.ends, self.response.refine)

    def _rates_on(self, low: float, high: float, refine: int = 1) -> build.RecoilRates:
        targets, start = self.targets, self.uncut.start
        if start > 0:
            # a kink on a grid from below it, so that the error is that of the quadrature
            targets = [replace(one, kinks=(*one.kinks, start)) for one in targets]
        grid = build.recoil_grid(targets, self.sources, low, high, refine)
        return build.rates_of(targets, self.sources, grid)

    @cached_property
    def targets(self) -> list[build.Scatterer]:
        """What is hit."""
        loaded, section = self.loaded, self.file.physics
        couplings = library.weak_couplings(section.couplings, loaded.inputs)
        chosen = section.form_factor, section.neutron_radius, loaded.variables, loaded.settings
        return self.signal.targets(loaded.inputs, self.target, Physics(couplings, *chosen))

    @cached_property
    def sources(self) -> list[build.FluxComponent]:
        """The species, with the accepted share of each in every bin of time."""
        signal, time = self.signal, self.bins.time
        section, where = self.file.sources[signal.source], f"sources.{signal.source}"
        chosen = {n: x for n, x in self.loaded.settings.items() if n in section.angles}
        section = section.model_copy(update=chosen)
        seconds = self.target.seconds(self.region.live_days)
        with within(where):
            emissions = section.emissions(self.loaded.inputs, signal.components)
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
            fluence, fractions = emission.fluence, np.ones(1)
            if emission.steady:
                if seconds is None:
                    raise InputError(
                        f"{where}: a source of kind '{getattr(section, 'kind', '')}' needs "
                        "live_days of its region, or an exposure_tonne_year"
                    )
                fluence *= seconds
            if time is not None:
                if emission.profile is None:
                    raise InputError(
                        f"{where}: it has no arrival times, and {self.bins.where} has time_us"
                    )
                edges = emission.profile.edges_us
                arrivals = emission.profile.fraction * self.response.time.mean(edges)
                with within(f"{self.bins.where}.axes.time_us"):
                    fractions = rebin(edges, arrivals, np.asarray(time.edges))
            one = build.FluxComponent(emission.name, emission.spectrum, fluence, fractions)
            sources.append(one)
        return sources

    # --------------------------------------------------------- ends of the integral

    @cached_property
    def highest(self) -> float:
        """The largest recoil in MeV that any source gives."""
        return max(
            float(maximum_recoil(np.asarray(source.spectrum.endpoint), target.mass))
            for target in self.targets
            for source in self.sources
        )

    @cached_property
    def ends(self) -> tuple[float, float]:
        """Where the recoil integral begins and ends, in MeV."""
        section, highest = self.response, self.highest
        first, last = self.uncut.recoil_range
        start = self.uncut.start
        if start > 0:
            low = _BELOW * start
        else:
            stated = (section.recoil_min_kev or 0.0) * KEV
            low = max(stated, first, *(t.lowest for t in self.targets)) or _LOWEST_KEV * KEV
        high = self.uncut.reach
        if section.recoil_max_kev is not None:
            high = section.recoil_max_kev * KEV
            if not low < high:
                raise InputError(f"{self.where}: recoils begin at {low / KEV:g} keV, which is not "
                                 f"below recoil_max_kev = {high / KEV:g}")  # fmt: skip
        if min(highest, high) > last * (1.0 + 1e-12):
            raise InputError(
                f"{self.where}.quenching ends at {last / KEV:.4g} keV of recoil, which neutrinos "
                f"exceed: recoil_max_kev = {last / KEV:.4g} leaves those recoils out, as long as "
                f"they are at most {100 * _CUT:g} % of the signal (more with cut_recoils = true)"
            )
        return low, high

    def _check_ends(self, kept: float) -> None:
        """Refuse ends of the recoil integral, or of a quenching table, that cut signal."""
        section, start = self.response, self.uncut.start
        first, last = self.uncut.recoil_range
        low, high = max(self.ends[0], start), self.ends[1]
        lowest = max(target.lowest for target in self.targets)
        if high < self.highest and section.recoil_max_kev is not None:
            known = last >= self.highest
            share = self._lost(high, (high, np.inf), self.matrix if known else None, kept)
            self._refuse("recoil_max_kev", high, share, known)
        table_begins = first > 0 and low <= first * (1.0 + 1e-9)
        stated = section.recoil_min_kev is not None and low > lowest
        if stated or table_begins or start > 0:
            known = first < low * _FURTHER
            # the ionisation of one pair taken for the threshold of the analysis cuts, too
            whole = self.accepted(self.uncut) if known else None
            share = self._lost(low, (max(low * _FURTHER, lowest), low), whole, kept)
            name = "recoil_min_kev" if not table_begins else "the start of its quenching"
            if start > (section.recoil_min_kev or 0.0) * KEV:
                name = "the recoil of ionisation_min_kev_ee"
            self._refuse(name, low, share, known)

    def _lost(
        self, edge: float, span: tuple[float, float], known: build.Response | None, kept: float
    ) -> float:
        """Return the share of the signal with recoils beyond an end.

        Where quenching is not ``known`` there, every event is taken to be recorded like those at
        the end: the share is then an upper bound.
        """
        at_edge = self.matrix(np.array([edge]))
        if float(at_edge.sum()) <= _COUNTED:
            return 0.0
        rates = self._rates_on(*span)
        nodes = rates.grid.nodes
        matrix = np.repeat(at_edge, nodes.size, axis=1) if known is None else known(nodes)
        cut = sum(float(m["1"].sum()) for m in rates.fold(matrix).values())
        return cut / (cut + kept) if cut > 0 else 0.0

    def _refuse(self, name: str, end: float, share: float, known: bool) -> None:
        if share > _CUT:
            raise InputError(
                f"{self.where}: {name} ({end / KEV:.4g} keV) cuts {'' if known else 'up to '}"
                f"{100 * share:.2g} % of the signal; allowed: {100 * _CUT:g} %, or "
                "cut_recoils = true"
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
    nominal: dict[str, dict[str, FloatArray]] = {}
    for source, terms in computed.nominal.items():
        flavour = nominal.setdefault(computed.flavours[source], {})
        for monomial, row in terms.items():
            share = np.divide(row, total, out=np.zeros_like(row), where=total > 0)
            flavour[monomial] = flavour.get(monomial, 0.0) + share
    for flavour in nominal.values():
        for monomial, share in flavour.items():
            values = (released.reshape(cube) * share.reshape(shape[0], 1, time)).ravel()
            flavour[monomial] = np.array([float(f"{x:.{section.digits}g}") for x in values])
    error = computed.relative_error()
    return replace(
        computed,
        axes=bins.axes,
        flavours={flavour: flavour for flavour in nominal},
        nominal=nominal,
        errors={s: {m: error * np.abs(r) for m, r in rows.items()} for s, rows in nominal.items()},
    )
