"""Backgrounds in experiment files; every kind is for every target and source."""

from abc import abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import ClassVar, Final, Literal, Self

import numpy as np
from pydantic import Field, model_validator

from nuhf.arrays import FloatArray
from nuhf.detector import smearing as smear
from nuhf.detector.efficiency import exponential_fractions
from nuhf.errors import InputError
from nuhf.experiments.data import Bins, Counts, RegionSection, binned, row_per_bin
from nuhf.experiments.parts import Name, NonNegative, Origin, Part, Positive
from nuhf.experiments.responses import BuiltResponse
from nuhf.inputs import Inputs
from nuhf.rates.templates import Axis
from nuhf.units import KEV

_FLAT_STEP_KEV: Final = 0.25
_STEPS: Final = 100_000
_ORDER: Final = 6
"""Gauss-Legendre nodes per step of a background's spectrum, which is 1 keV or less."""


@dataclass(frozen=True)
class Surroundings:
    """What the backgrounds of a region may need."""

    inputs: Inputs
    section: RegionSection
    bins: Bins
    accepted: FloatArray
    """Accepted share in every bin, (n_bins,)."""
    response: Callable[[str], BuiltResponse]
    """The response of a name in these bins."""
    tonne_years: float | None
    beam_gwh: float | None
    """Exposure and beam energy, where the file states them."""

    def reference(self, axis: Axis) -> tuple[float, float]:
        """Return the range of an axis that events refer to."""
        return self.section.reference_range.get(axis.name, (axis.edges[0], axis.edges[-1]))

    @property
    def axis(self) -> Axis:
        """The only axis besides time (`InputError` if there are more)."""
        if len(self.bins.signal) != 1:
            raise InputError("its kind is for one axis and time")
        return self.bins.signal[0]


class Background(Part):
    """Events that are expected without neutrinos."""

    name: Name = Field("", description="Its name: that of the table", validate_default=False)
    title: str = Field(description="One line for people")
    source: Origin
    region: Name | None = Field(None, description="Region that it is in; without it every one")
    contains_signal: bool = Field(
        False, description="Whether it contains the neutrinos of the SM, which are then taken off"
    )

    @abstractmethod
    def counts(self, around: Surroundings) -> FloatArray:
        """Return the expected events, (n_bins,) (`InputError` if they cannot be made)."""


def _sized(shape: FloatArray, whole: float, events: float | None) -> FloatArray:
    """Give a shape with a sum in the reference range so many events there."""
    if not whole > 0:
        raise InputError("its shape is zero in the reference_range that its events refer to")
    return np.asarray(shape * (events or 0.0) / whole)


def _steady(around: Surroundings, in_signal: FloatArray, rate_per_us: float = 0.0) -> FloatArray:
    """Spread events (n_signal_bins,) over the time bins of the region, if it has any."""
    time = around.bins.time
    if time is None:
        return in_signal
    edges = np.unique(np.concatenate([np.asarray(around.reference(time)), time.edges]))
    fractions = exponential_fractions(edges, rate_per_us)
    in_time = smear.rebin(edges, fractions, np.asarray(time.edges))
    return np.asarray(np.outer(in_signal, in_time).ravel())


class Product(Background):
    """The product of one shape per axis, from tables.

    Shapes are histograms whose rows have the edges of their axis. ``apply`` names the
    efficiencies of a response that the shapes do not yet include.
    """

    kind: Literal["product"] = Field(description="Product of one shape per axis, from tables")
    tables: dict[Name, str] = Field(description="Table of the shape by axis")
    column: str = Field(description="Column of the shape in all of them")
    response: Name | None = Field(None, description="Response whose efficiencies are applied")
    apply: tuple[Literal["signal", "time"], ...] = Field(
        (), description="Efficiencies of the response that are not in the shapes yet"
    )
    events: Positive | None = Field(
        None, description="Events in `reference_range`; without it the tables hold a rate per GWh"
    )

    @model_validator(mode="after")
    def _complete(self) -> Self:
        if self.apply and self.response is None:
            raise ValueError("apply needs response")
        return self

    def counts(self, around: Surroundings) -> FloatArray:
        """Return the product in the bins."""
        axes = around.bins.axes
        for name in (axis.name for axis in axes if axis.name not in self.tables):
            raise InputError(f"tables.{name}: required, not given (a table)")
        fold = self._fold(around, {a.name: a.edges for a in axes})
        if self.events is not None:
            whole = self._fold(around, {a.name: around.reference(a) for a in axes}).sum()
            return _sized(fold, whole, self.events)
        if around.beam_gwh is None:
            raise InputError("give events, or the beam_energy_gwh of the source")
        return around.beam_gwh * fold

    def _fold(self, around: Surroundings, edges: Mapping[str, tuple[float, ...]]) -> FloatArray:
        product = np.ones(1)
        built = around.response(self.response) if self.response and self.apply else None
        for axis in around.bins.axes:
            table = around.inputs.table(self.tables[axis.name], [*axis.edge_columns, self.column])
            old, shape = table.edges(*axis.edge_columns), table.non_negative(self.column)
            if built and axis is around.bins.time and "time" in self.apply:
                shape = shape * built.time.mean(old)
            elif built and axis is not around.bins.time and "signal" in self.apply:
                unit = KEV if axis.unit.startswith("keV") else 1.0
                shape = shape * built.signal(0.5 * (old[1:] + old[:-1]) * unit)
            rebinned = smear.rebin(old, shape, np.asarray(edges[axis.name]))
            product = np.outer(product, rebinned).ravel()
        return product


class Control(Background):
    """The spectrum of the control counts in the reference range, times an exponential in time."""

    kind: Literal["control"] = Field(description="Spectrum of the control counts of the data")
    events: Positive = Field(description="Events in `reference_range`")
    rate_per_us: NonNegative = Field(0.0, description="Decay rate in time, 1/us; 0 is flat")

    def counts(self, around: Surroundings) -> FloatArray:
        """Return the spectrum in the bins."""
        data = around.section.data
        if not (isinstance(data, Counts) and data.control):
            raise InputError("data of kind 'counts' with control")
        table = around.inputs.table(data.table, [data.control])
        counts = table.non_negative(data.control)
        for axis in around.bins.axes:
            low, high = (table[column] for column in axis.edge_columns)
            span = around.reference(axis)
            counts = np.where((low >= span[0]) & (high <= span[1]), counts, 0.0)
        low, high = (table[column] for column in around.axis.edge_columns)
        # no edge cuts a cell, as the data were counted
        shape, _ = np.histogram(0.5 * (low + high), around.axis.edges, weights=counts)
        return _steady(around, _sized(shape, counts.sum(), self.events), self.rate_per_us)


class TableBins(Background):
    """Expected events by cell of a table, after the detector.

    ``events`` rescales the whole table; with ``rows`` the table has one row per bin.
    """

    kind: Literal["bins"] = Field(description="Events by cell of a table, after the detector")
    table: str = Field(description="Table of cells")
    column: str = Field(description="Its column with the events")
    events: Positive | None = Field(None, description="Events of the whole table; rescales it")
    factor: Positive = Field(1.0, description="Factor on the table, such as an exposure")
    rows: bool = Field(False, description="Whether the table has a row per bin, in their order")

    def counts(self, around: Surroundings) -> FloatArray:
        """Return the sums over the cells of every bin."""
        if self.rows:
            counts = row_per_bin(around.inputs, self.table, [self.column], around.bins)[self.column]
        else:
            counts = binned(around.inputs, self.table, [self.column], around.bins)[:, 0]
        if self.events is None:
            return self.factor * counts
        whole = around.inputs.table(self.table, [self.column])[self.column].sum()
        return _sized(counts, whole, self.events)


class AsMeasured(Background):
    """What backgrounds have that are rates in the recorded energy, before acceptance."""

    @abstractmethod
    def per_day(self, edges: FloatArray) -> tuple[float, FloatArray]:
        """Return a number of events per day and its shape, in bins of energy, edges in keV."""

    def counts(self, around: Surroundings) -> FloatArray:
        """Return the events in the live time."""
        if not around.axis.unit.startswith("keV"):
            raise InputError("its kind is for an axis of energy in keV")
        if around.section.live_days is None:
            raise InputError(f"its kind needs {around.bins.where}.live_days")
        size, shape = self.per_day(np.asarray(around.axis.edges))
        return around.accepted * _steady(around, around.section.live_days * size * shape)


class Exponential(AsMeasured):
    """height exp(-decay E) in counts per keV and day, before acceptance; a decay of 0 is flat."""

    kind: Literal["exponential"] = Field(description="Exponential or flat, as measured")
    height_per_kev_day: Positive = Field(
        description="Events per keV and day at zero energy, before acceptance"
    )
    decay_per_kev: NonNegative = Field(description="Decay constant, 1/keV; 0 is flat")

    def per_day(self, edges: FloatArray) -> tuple[float, FloatArray]:
        """Return the integral over the bins."""
        if self.decay_per_kev == 0.0:
            return self.height_per_kev_day, np.diff(edges)
        falling = np.diff(-np.exp(-self.decay_per_kev * edges))
        return self.height_per_kev_day, falling / self.decay_per_kev


class Peaks(AsMeasured):
    """Gaussian lines of one width as measured; ``area_per_day`` is that of a line of share 1."""

    kind: Literal["peaks"] = Field(description="Gaussian lines as measured")
    area_per_day: Positive = Field(
        description="Events per day of a line of share 1, before acceptance"
    )
    energies_kev: tuple[Positive, ...] = Field(
        min_length=1, description="Energies of the lines, keV"
    )
    shares: tuple[Positive, ...] = Field(
        min_length=1, description="Area of each line relative to `area_per_day`"
    )
    width_kev: Positive = Field(description="Standard deviation of all lines, keV")

    equally_long: ClassVar[tuple[str, ...]] = ("energies_kev", "shares")

    def per_day(self, edges: FloatArray) -> tuple[float, FloatArray]:
        """Return the integral over the bins."""
        energies = np.asarray(self.energies_kev)
        lines = smear.bin_probabilities(edges, energies, np.full_like(energies, self.width_kev))
        return self.area_per_day, lines @ self.shares


class ThroughResponse(Background):
    """What backgrounds have whose energies pass smearing and efficiency of a response."""

    response: Name = Field(description="Response that the energies pass, quenching aside")
    events: Positive | None = Field(
        None, description="Events in `reference_range`, after efficiency"
    )
    events_per_tonne_year: Positive | None = Field(
        None, description="Events per tonne and year before efficiency, instead of `events`"
    )
    width_factor: Positive = Field(1.0, description="Factor on the resolution")
    rate_per_us: NonNegative = Field(0.0, description="Decay rate in time, 1/us; 0 is flat")

    either: ClassVar[tuple[str, ...]] = ("events", "events_per_tonne_year")

    @abstractmethod
    def before(self, around: Surroundings, highest_kev: float) -> tuple[FloatArray, FloatArray]:
        """Return energies in keV and weights before the detector, up to an energy."""

    def counts(self, around: Surroundings) -> FloatArray:
        """Return the events after the detector."""
        built, axis = around.response(self.response), around.axis
        energy, weight = self.before(around, round(built.reach / KEV, 9))

        def through(edges: FloatArray) -> FloatArray:
            return built.seen(energy * KEV, edges, self.width_factor) @ weight

        edges = np.asarray(axis.edges)
        inside = through(edges)
        if self.events_per_tonne_year is not None:
            if around.tonne_years is None:
                raise InputError("events_per_tonne_year needs an exposure_tonne_year")
            events = self.events_per_tonne_year * around.tonne_years * inside
            return _steady(around, events, self.rate_per_us)
        span = np.asarray(around.reference(axis))
        same = np.array_equal(span, edges[[0, -1]])
        whole = float(inside.sum() if same else through(span)[0])
        return _steady(around, _sized(inside, whole, self.events), self.rate_per_us)


class Spectrum(ThroughResponse):
    """A density of energy from a table: points ``e_kev``, or bins ``e_lo_kev, e_hi_kev``."""

    kind: Literal["spectrum"] = Field(description="Density of energy before the detector")
    table: str = Field(description="Table of the density")
    column: str = Field("density_per_kev", description="Its column with the density")

    def before(self, around: Surroundings, highest_kev: float) -> tuple[FloatArray, FloatArray]:
        """Return nodes of the density: constant in bins, or linear between points."""
        table = around.inputs.table(self.table, [self.column])
        density = table.non_negative(self.column)
        if "e_lo_kev" in table.columns:
            energy, weight = smear.panel_nodes(table.edges("e_lo_kev", "e_hi_kev"), _ORDER)
            weight = weight * np.repeat(density, _ORDER)
        else:
            points = table.increasing("e_kev")
            energy, weight = smear.panel_nodes(points, _ORDER)
            weight = weight * np.interp(energy, points, density)
        # beyond it nothing is reconstructed in the bins, and the width may be meaningless
        inside = energy <= highest_kev
        return energy[inside], weight[inside]


class Flat(ThroughResponse):
    """A constant density of energy before the detector."""

    kind: Literal["flat"] = Field(description="Constant density before the detector")

    def before(self, around: Surroundings, highest_kev: float) -> tuple[FloatArray, FloatArray]:
        """Return nodes of the constant."""
        if highest_kev > _STEPS * _FLAT_STEP_KEV:
            raise InputError(
                f"the response of kind 'flat' reaches to {highest_kev:g} "
                f"keV; allowed: up to {_STEPS * _FLAT_STEP_KEV:g} keV (recoil_max_kev)"
            )
        steps = int(np.ceil(highest_kev / _FLAT_STEP_KEV)) + 1
        return smear.panel_nodes(np.linspace(0.0, highest_kev, steps), _ORDER)


class Lines(ThroughResponse):
    """Lines before the detector."""

    kind: Literal["lines"] = Field(description="Lines before the detector")
    energies_kev: tuple[Positive, ...] = Field(min_length=1, description="Energies, keV")
    weights: tuple[Positive, ...] = Field(min_length=1, description="Relative size of each line")
    energy_factor: Positive = Field(1.0, description="Factor on the energies")

    equally_long: ClassVar[tuple[str, ...]] = ("energies_kev", "weights")

    def before(self, around: Surroundings, highest_kev: float) -> tuple[FloatArray, FloatArray]:
        """Return the lines."""
        return np.asarray(self.energies_kev) * self.energy_factor, np.asarray(self.weights)
