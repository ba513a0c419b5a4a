"""Responses in experiment files: from a recoil to the bins of a recorded signal."""

from abc import abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Annotated, Final, Literal, Self

import numpy as np
from pydantic import Field, model_validator

from nuhf.arrays import FloatArray
from nuhf.detector import efficiency as eff
from nuhf.detector.quenching import Curve, recoil_at
from nuhf.errors import InputError, within
from nuhf.experiments.parts import Finite, NonNegative, Part, Positive, Section, increasing
from nuhf.experiments.quenching import Quenching, checked
from nuhf.experiments.smearing import SmearingPart
from nuhf.inputs import Inputs
from nuhf.rates.templates import Axis
from nuhf.units import KEV

_FAR: Final = 1e9
"""Signal up to which an efficiency goes on that is constant above its table."""


# --------------------------------------------------------------------- efficiency


class EfficiencyPart(Part):
    """Share of the events that are accepted."""

    source: str = Field("", description="Where the numbers come from")
    variable: Literal["reconstructed", "true", "recoil"] = Field(
        "reconstructed",
        description="What it is a function of: the recorded signal, the electron-equivalent energy "
        "(keV), or the recoil energy (keV)",
    )
    factor: Positive = Field(1.0, description="Factor on the whole efficiency")

    @abstractmethod
    def efficiency(self, inputs: Inputs, unit: float, column: str) -> eff.Efficiency:
        """Return it; ``unit`` is that of its variable, ``column`` the variable in tables."""


class Full(EfficiencyPart):
    """Every event is accepted, or the same share everywhere (``factor``)."""

    kind: Literal["full"] = Field(description="The same share everywhere")

    def efficiency(self, inputs: Inputs, unit: float, column: str) -> eff.Efficiency:
        """Return a constant."""
        return eff.full_efficiency()


class Logistic(EfficiencyPart):
    """Logistic efficiency; ``steps``: half of it from, all of it from."""

    kind: Literal["logistic"] = Field(description="Logistic function")
    a: Finite = Field(description="Height, in `a / (1 + exp(-b (x - c))) + d`, x in the unit of "
                      "the axis")  # fmt: skip
    b: Finite = Field(description="Slope, per unit of the axis")
    c: Finite = Field(description="Middle, in the unit of the axis")
    d: Finite = Field(0.0, description="Offset")
    steps: tuple[Finite, Finite] | None = Field(
        None,
        description="Signals from which half of it holds, and all of it; without it all everywhere",
    )

    def efficiency(self, inputs: Inputs, unit: float, column: str) -> eff.Efficiency:
        """Return the function."""
        return eff.logistic_efficiency(self.a, self.b, self.c, self.d, self.steps, unit)


class PointsTable(Section):
    """Points of an efficiency up to ``last``; the next table goes on from there."""

    table: str = Field(description="Table of points")
    column: str = Field("efficiency", description="Its column with the efficiency, 0 to 1")
    signal_column: str = Field(
        "", description="Its column with the signal; without it the name of the axis: `e_kev`, `pe`"
    )
    last: Positive = Field(description="Signal up to which this table is used, unit of the axis")


class Points(EfficiencyPart):
    """Straight lines between points, zero below the first one.

    Above the last point it is refused, unless ``constant_above`` says that it stays.
    """

    kind: Literal["points"] = Field(description="Straight lines between points of tables")
    tables: tuple[PointsTable, ...] = Field(
        min_length=1, description="Tables in the order of the signal"
    )
    constant_above: bool = Field(
        False, description="Whether the last value holds at all larger signals"
    )

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        increasing("tables.last", [entry.last for entry in self.tables])
        return self

    def efficiency(self, inputs: Inputs, unit: float, column: str) -> eff.Efficiency:
        """Return the points of all tables together."""
        signals: list[FloatArray] = []
        values: list[FloatArray] = []
        reached = -np.inf
        for entry in self.tables:
            name = entry.signal_column or column
            table = inputs.table(entry.table, [name, entry.column])
            table.non_negative(name)
            signal, value = table.increasing(name), table.fraction(entry.column)
            inside = (signal > reached) & (signal <= entry.last)
            if not inside.any():
                raise InputError(f"{table.path}: no point up to last = {entry.last:g} is left")
            signals.append(signal[inside])
            values.append(value[inside])
            reached = entry.last
        points, heights = np.concatenate(signals), np.concatenate(values)
        if self.constant_above:
            points, heights = np.append(points, _FAR), np.append(heights, heights[-1])
        return eff.points_efficiency(points * unit, heights)


class Steps(EfficiencyPart):
    """Constant in the bins of a table and beyond the last one; zero below the first."""

    kind: Literal["steps"] = Field(description="Constant in the bins of a table")
    table: str = Field(description="Table with bin edges, `e_lo_kev_ee, e_hi_kev_ee`, by the axis")
    column: str = Field("efficiency", description="Its column with the efficiency, 0 to 1")

    def efficiency(self, inputs: Inputs, unit: float, column: str) -> eff.Efficiency:
        """Return the steps."""
        stem, _, suffix = column.partition("_")
        low, high = (f"{stem}_{end}{suffix and f'_{suffix}'}" for end in ("lo", "hi"))
        table = inputs.table(self.table, [low, high, self.column])
        return eff.step_efficiency(table.edges(low, high) * unit, table.fraction(self.column))


class TimeEfficiency(Section):
    """Exponential loss in time."""

    source: str = Field("", description="Where the numbers come from")
    start_us: Finite = Field(description="Time from which events are lost, us")
    rate_per_us: NonNegative = Field(description="Rate of the exponential loss, 1/us; 0 for none")

    def mean(self, edges_us: FloatArray) -> FloatArray:
        """Return the mean efficiency in bins of time, edges (n + 1,) in us."""
        return eff.exponential_mean(edges_us, self.start_us, self.rate_per_us)


# ----------------------------------------------------------------------- response


@dataclass(frozen=True)
class BuiltResponse:
    """A response that can be evaluated."""

    matrix: Callable[[FloatArray], FloatArray]
    """From recoil energies in MeV (n,) to probabilities (n_bins, n), time aside."""
    seen: Callable[[FloatArray, FloatArray, float], FloatArray]
    """The same from electron-equivalent energies in MeV, for backgrounds; with edges of the
    first axis and a factor on the resolution."""
    recoil_range: tuple[float, float]
    """Recoils in MeV that the response knows."""
    start: float
    """Recoil in MeV from which there is any ionisation; 0 if everywhere. The matrix does not
    know of it: see `from_start`."""
    reach: float
    """Recoil in MeV beyond which nothing is recorded in the bins; inf if not known."""
    signal: eff.Efficiency
    """Efficiency in the recorded signal."""
    time: TimeEfficiency
    """Efficiency in time."""

    def from_start(self, start: float) -> "BuiltResponse":
        """Return the response with recoils counted from ``start`` on, in MeV."""

        def matrix(recoil: FloatArray) -> FloatArray:
            return np.asarray((recoil >= start) * self.matrix(np.maximum(recoil, start)))

        return replace(self, matrix=matrix, start=start)


class Response(Part):
    """From a recoil to the bins of a region."""

    default = "chain"

    extends: str = Field(
        "", description="Another response, of which this one has all but its own keys"
    )
    recoil_min_kev: Positive | None = Field(
        None, description="Where the integral over recoils begins, keV; without it where the "
        "quenching does",
    )  # fmt: skip
    recoil_max_kev: Positive | None = Field(
        None, description="Where it ends, keV; without it at the largest recoil that is recorded"
    )
    cut_recoils: bool = Field(
        False,
        description="Whether recoils outside these two are left out on purpose; otherwise ends "
        "that cut more than 0.1 % of the signal are refused",
    )
    refine: Annotated[int, Field(ge=1, le=16)] = Field(
        1, description="How many times finer than usual the recoil grid is"
    )
    time_efficiency: TimeEfficiency | None = Field(None, description="Efficiency in time")

    @property
    def time(self) -> TimeEfficiency:
        """The efficiency in time."""
        return self.time_efficiency or TimeEfficiency(start_us=0.0, rate_per_us=0.0)

    @abstractmethod
    def built(
        self, inputs: Inputs, axes: Sequence[Axis], protons: int | None, where: str
    ) -> BuiltResponse:
        """Return the response in the bins of the axes of a region, without that of time.

        ``protons`` is Z of the target, if it has only one, ``where`` file and key for messages.
        `InputError` if a table is broken, or the response has no such axes.
        """


class Chain(Response):
    """Quenching, smearing and efficiency, one after the other."""

    kind: Literal["chain"] = Field("chain", description="Quenching, smearing, efficiency")
    quenching: Quenching = Field(description="Electron-equivalent energy of a recoil")
    smearing: SmearingPart = Field(description="From there to the recorded signal")
    efficiency: EfficiencyPart | None = Field(None, description="Accepted share of the events")
    ionisation_min_kev_ee: Positive | None = Field(
        None,
        description="Electron-equivalent energy below which a recoil makes no charge or light at "
        "all, keV_ee. This is no analysis threshold: that is the lower edge of the first bin",
    )

    def built(
        self, inputs: Inputs, axes: Sequence[Axis], protons: int | None, where: str
    ) -> BuiltResponse:
        """Return the response (see `Response`)."""
        if len(axes) != 1:
            raise InputError(f"{where}: a chain has one recorded signal; the region has "
                             f"{len(axes)} axes besides time")  # fmt: skip
        axis = axes[0]
        if self.smearing.quanta == axis.unit.startswith("keV"):
            what = "quanta, such as photoelectrons" if self.smearing.quanta else "energies in keV"
            raise InputError(f"{where}: smearing gives {what}; the axis is '{axis.name}'")
        unit = 1.0 if self.smearing.quanta else KEV
        edges = np.asarray(axis.edges) * unit
        with within(f"{where}.quenching"):
            curve = self.quenching.curve(inputs, protons)
        light, span = checked(curve, f"{where}.quenching"), curve.recoil_range
        part = self.efficiency or Full(kind="full")
        variable, share = part.variable, part.factor
        scale = unit if variable == "reconstructed" else KEV
        column = {"recoil": "t_kev_nr", "true": "e_kev_ee"}.get(variable, axis.column)
        accepted = part.efficiency(inputs, scale, column)
        signal = accepted if variable == "reconstructed" else eff.full_efficiency()

        def seen(energy: FloatArray, edges: FloatArray, width_factor: float) -> FloatArray:
            smearing = self.smearing.smearing(width_factor)
            matrix = share * smearing.response(edges * unit, energy, signal)
            return np.asarray(accepted(energy) * matrix if variable == "true" else matrix)

        def matrix(recoil: FloatArray) -> FloatArray:
            response = seen(light(recoil), edges / unit, 1.0)
            return np.asarray(accepted(recoil) * response if variable == "recoil" else response)

        start = 0.0
        if self.ionisation_min_kev_ee is not None:
            start = recoil_at(Curve(light, span), self.ionisation_min_kev_ee * KEV)
            if self.recoil_min_kev is not None:
                start = max(start, self.recoil_min_kev * KEV)
        reach = np.inf
        if self.quenching.kind == "none":  # type: ignore[attr-defined]
            reach = self.smearing.smearing().reach(float(edges[-1]))
        if self.recoil_max_kev is not None:
            reach = self.recoil_max_kev * KEV
        return BuiltResponse(matrix, seen, span, start, reach, signal, self.time)


class Matrix(Response):
    """A response as released: the probability of every bin at recoil energies.

    Straight lines between the energies, zero outside. The table has a column of recoil energies
    and one for every bin, ``p_0``, ``p_1``, ..., in the order of the bins of the region, time
    aside (the last axis fastest).
    """

    kind: Literal["matrix"] = Field(description="Probability of every bin at recoil energies")
    source: str = Field("", description="Where the numbers come from")
    table: str = Field(description="Table with a row per recoil energy and a column per bin")
    recoil_column: str = Field("t_kev_nr", description="Its column of recoil energies, keV")
    column_prefix: str = Field("p_", description="What the names of the columns begin with")
    factor: Positive = Field(1.0, description="Factor on all probabilities")

    def built(
        self, inputs: Inputs, axes: Sequence[Axis], protons: int | None, where: str
    ) -> BuiltResponse:
        """Return the response (see `Response`)."""
        bins = int(np.prod([axis.bins for axis in axes]))
        names = [f"{self.column_prefix}{i}" for i in range(bins)]
        table = inputs.table(self.table, [self.recoil_column, *names])
        if f"{self.column_prefix}{bins}" in table.columns:
            raise InputError(f"{table.path}: more columns '{self.column_prefix}...' than the "
                             f"{bins} bins of the region")  # fmt: skip
        recoil = table.increasing(self.recoil_column) * KEV
        values = self.factor * np.stack([table.fraction(name) for name in names])

        def matrix(at: FloatArray) -> FloatArray:
            rows = [np.interp(at, recoil, row, left=0.0, right=0.0) for row in values]
            return np.asarray(rows)

        def seen(energy: FloatArray, edges: FloatArray, width_factor: float) -> FloatArray:
            raise InputError(f"{where}: a matrix is for recoils; a background needs a chain")

        span = float(recoil[0]), float(recoil[-1])
        return BuiltResponse(matrix, seen, span, 0.0, span[1], eff.full_efficiency(), self.time)
