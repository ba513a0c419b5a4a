"""Regions in experiment files: bins, and what was seen in them."""

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Annotated, ClassVar, Final, Literal, Self

import numpy as np
from pydantic import Field, model_validator

from nuhf.arrays import FloatArray
from nuhf.errors import InputError, within
from nuhf.experiments.parts import Finite, Name, Part, Positive, Section, among, increasing
from nuhf.inputs import Inputs
from nuhf.rates.templates import Axis, bin_columns

Edges = Annotated[tuple[Finite, ...], Field(min_length=2, max_length=1001)]

_FAR: Final = 10.0
"""Standard deviations of a residual that stand for what it was subtracted from."""
_SLACK: Final = 1e-9


@dataclass(frozen=True)
class Observed:
    """What was seen in a region."""

    counts: FloatArray | None
    """Counts, or background-subtracted events, (n_bins,); None for Asimov data."""
    sigma: FloatArray | None = None
    """Their errors where the file gives some, (n_bins,)."""
    events: float = 0.0
    """Events seen before any subtraction: what couplings can reach at most."""
    details: Mapping[str, float] = field(default_factory=dict)
    """Further numbers to show, such as the control counts."""


@dataclass(frozen=True)
class Bins:
    """The bins of a region, and what belongs to each."""

    axes: tuple[Axis, ...]
    """The last axis runs fastest; one of time is the last."""
    region: str
    """Key of the region in the file."""

    @property
    def where(self) -> str:
        """Table of the region, for messages."""
        return f"regions.{self.region}"

    @property
    def count(self) -> int:
        """Number of bins."""
        return int(np.prod([axis.bins for axis in self.axes]))

    @property
    def time(self) -> Axis | None:
        """The axis of time, if there is one."""
        return self.axes[-1] if self.axes[-1].name == "time_us" else None

    @property
    def signal(self) -> tuple[Axis, ...]:
        """All axes but that of time."""
        return self.axes[:-1] if self.time else self.axes


class TableEdges(Section):
    """Edges that are those of the bins of a table."""

    table: str = Field(description="Table with the columns of bin edges of this axis")


class Acceptance(Section):
    """Accepted share of the events in every bin, as a column of a table."""

    table: str = Field(description="Table with a row per bin")
    column: str = Field("acceptance", description="Its column with the share, 0 to 1")
    error_column: str = Field("", description="Its column with the relative error of the share")
    deviations: Finite = Field(0.0, description="Standard deviations by which it is shifted")

    error_key: ClassVar[str] = "error_column"


# --------------------------------------------------------------------------- data


class Data(Part):
    """What was seen, or what stands for it."""

    @abstractmethod
    def observed(self, inputs: Inputs, bins: Bins, live_days: float | None) -> Observed:
        """Return what was seen (`InputError` if a table is broken or has other bins)."""


class Asimov(Data):
    """The expectation at the reference values of the analysis: no measurement."""

    kind: Literal["asimov"] = Field(description="The expectation in place of data")

    def observed(self, inputs: Inputs, bins: Bins, live_days: float | None) -> Observed:
        """Return nothing: it follows from the model."""
        return Observed(None)


class Counts(Data):
    """Counts of the cells of a table, which has the bin edges of every axis as columns.

    Cells may be finer than the bins. ``errors`` or ``error_counts`` make the region Gaussian;
    ``control`` counts are subtracted with ``subtract_control``.
    """

    kind: Literal["counts"] = Field(description="Counts of the cells of a table")
    table: str = Field(description="Table of cells: low and high edge of every axis, and counts")
    column: str = Field("counts", description="Its column with the counts")
    control: str = Field("", description="Its column with counts without signal, such as beam off")
    subtract_control: bool = Field(False, description="Whether the data are the difference")
    errors: str = Field("", description="Its column with the errors; for statistic `gaussian`")
    error_counts: tuple[str, ...] = Field(
        (), description="Columns of counts; the square root of their sum is the error"
    )
    unit: Literal["events", "per_day"] = Field(
        "events", description="Events of the whole run, or events per day"
    )
    sparse: bool = Field(False, description="Whether the table leaves cells without counts out")

    @model_validator(mode="after")
    def _complete(self) -> Self:
        if self.errors and self.error_counts:
            raise ValueError("give either errors or error_counts")
        if self.subtract_control and not self.control:
            raise ValueError("subtract_control needs control")
        return self

    def observed(self, inputs: Inputs, bins: Bins, live_days: float | None) -> Observed:
        """Return the sums over the cells of every bin."""
        columns = (self.column, self.control, self.errors, *self.error_counts)
        names = list(dict.fromkeys(filter(None, columns)))
        rows = binned(inputs, self.table, names, bins, self.sparse, signed=bool(self.errors))
        if self.unit == "per_day":
            if live_days is None:
                raise InputError(f"{bins.where}: data per day need live_days")
            rows = rows * live_days
        seen = dict(zip(names, rows.T, strict=True))
        counts, events, sigma = seen[self.column], float(seen[self.column].sum()), None
        if self.error_counts:
            sigma = np.sqrt(sum(seen[name] for name in self.error_counts))
        if self.errors:
            sigma = seen[self.errors]
            events = _residual_events(counts, sigma)
        details = {"control": float(seen[self.control].sum())} if self.control else {}
        if self.subtract_control:
            counts = counts - seen[self.control]
        return Observed(counts, sigma, events, details)


def _residual_events(counts: FloatArray, sigma: FloatArray) -> float:
    # what a residual was subtracted from is not known: ten errors of its sum stand for it
    return float(np.abs(counts).sum() + _FAR * np.hypot.reduce(sigma))


class Rows(Data):
    """Counts of a table that has exactly one row per bin, in the order of the bins."""

    kind: Literal["rows"] = Field(description="A row of a table for every bin, in their order")
    table: str = Field(description="Table with a row per bin, the last axis fastest")
    column: str = Field("counts", description="Its column with the counts")

    def observed(self, inputs: Inputs, bins: Bins, live_days: float | None) -> Observed:
        """Return the column."""
        counts = row_per_bin(inputs, self.table, [self.column], bins)[self.column]
        return Observed(counts, events=float(counts.sum()))


class Values(Data):
    """Numbers in the file itself."""

    kind: Literal["values"] = Field(description="Numbers in the file itself")
    values: tuple[Finite, ...] = Field(min_length=1, description="One number per bin")
    errors: tuple[Positive, ...] = Field((), description="Their errors; for statistic `gaussian`")
    events: Positive | None = Field(
        None, description="Events seen before any subtraction, all bins together"
    )

    equally_long: ClassVar[tuple[str, ...]] = ("values", "errors")

    def observed(self, inputs: Inputs, bins: Bins, live_days: float | None) -> Observed:
        """Return the numbers."""
        if len(self.values) != bins.count:
            raise InputError(f"{bins.where}: {len(self.values)} values for {bins.count} bins")
        values = np.asarray(self.values)
        sigma = np.asarray(self.errors) if self.errors else None
        events = float(values.sum()) if sigma is None else _residual_events(values, sigma)
        return Observed(values, sigma, events if self.events is None else self.events)


class Measured(Data):
    """The number that the signal of the region holds itself, such as a weak charge."""

    kind: Literal["measured"] = Field(description="The number that the signal itself holds")

    def observed(self, inputs: Inputs, bins: Bins, live_days: float | None) -> Observed:
        """Return nothing: the signal has the number and its error."""
        return Observed(None)


# ------------------------------------------------------------------------- region


class RegionSection(Section):
    """One selection of the data: a channel of the model."""

    name: Name = Field("", description="Its name: that of the table", validate_default=False)
    source: str = Field("", description="Where the numbers come from")
    axes: dict[Name, Edges | TableEdges] = Field(
        min_length=1,
        description="Bin edges by axis, the unit in its name (`energy_kev_ee`, `energy_kev`, "
        "`energy_kev_nr`, `photoelectrons`, `electrons`, `time_us`); time is the last. Edges, or a "
        "table that has them",
    )
    data: Data = Field(description="What was seen")
    live_days: Positive | None = Field(None, description="Live time, days")
    acceptance: Acceptance | None = Field(
        None, description="Accepted share of the events in every bin; without it all. Data that "
        "are corrected for it need none",
    )  # fmt: skip
    signals: tuple[Name, ...] | None = Field(
        None, description="Signals that are seen here; without it all of the analysis. None for "
        "a control region: `[]`",
    )  # fmt: skip
    reference_range: dict[Name, tuple[Finite, Finite]] = Field(
        {}, description="Ranges by axis that `events` of backgrounds refer to; without one the bins"
    )

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        for name, edges in self.axes.items():
            if not isinstance(edges, TableEdges):
                increasing(f"axes.{name}", edges)
        if "time_us" in self.axes and list(self.axes)[-1] != "time_us":
            raise ValueError("axes: time_us is the last axis")
        among("reference_range", self.reference_range, self.axes)
        for name, (low, high) in self.reference_range.items():
            increasing(f"reference_range.{name}", (low, high))
        return self

    def bins(self, inputs: Inputs) -> Bins:
        """Return the bins (`InputError` if a table of edges is broken)."""
        axes = []
        for name, edges in self.axes.items():
            axis = Axis(name, (0.0, 1.0))
            if isinstance(edges, TableEdges):
                table = inputs.table(edges.table, axis.edge_columns)
                axes.append(Axis(name, tuple(map(float, table.edges(*axis.edge_columns)))))
            else:
                axes.append(Axis(name, tuple(map(float, edges))))
        return Bins(tuple(axes), self.name)

    def accepted(self, inputs: Inputs, bins: Bins) -> FloatArray:
        """Return the accepted share of every bin, (n_bins,), with its shift."""
        if self.acceptance is None:
            return np.ones(bins.count)
        section = self.acceptance
        names = [section.column, *filter(None, [section.error_column])]
        columns = row_per_bin(inputs, section.table, names, bins)
        with within(f"{bins.where}.acceptance"):
            share = inputs.table(section.table).fraction(section.column)
        if section.deviations:
            share = share * (1.0 + section.deviations * columns[section.error_column])
        return share


def row_per_bin(
    inputs: Inputs, name: str, columns: Sequence[str], bins: Bins
) -> dict[str, FloatArray]:
    """Return columns of a table with one row per bin, in the order of the bins.

    `InputError` if the number of rows differs, or columns of edges are those of other bins.
    """
    table = inputs.table(name, columns)
    rows = next(iter(table.columns.values())).size
    if rows != bins.count:
        raise InputError(f"{table.path}: {rows} rows for the {bins.count} bins of {bins.where}")
    keys = (key for axis in bins.axes for key in axis.edge_columns)
    for key, wanted in zip(keys, bin_columns(bins.axes).values(), strict=True):
        if key in table.columns and np.abs(table[key] - wanted).max() > 1e-6:
            raise InputError(f"{table.path}: {key} are not the bins of {bins.where}")
    return {column: table[column] for column in columns}


def binned(
    inputs: Inputs,
    name: str,
    columns: Sequence[str],
    bins: Bins,
    sparse: bool = False,
    signed: bool = False,
) -> FloatArray:
    """Sum cells of a table into bins, (n_bins, n_columns).

    Cells that are not in a ``sparse`` table are zero; ``signed`` numbers may be negative.
    `InputError` if an edge of a bin cuts a cell, a cell is there twice, or bins are not covered.
    """
    edge_columns = [column for axis in bins.axes for column in axis.edge_columns]
    table = inputs.table(name, [*edge_columns, *columns])
    content = np.stack([table[c] if signed else table.non_negative(c) for c in columns], axis=-1)
    index = np.zeros(len(content), dtype=int)
    inside = np.ones(len(content), dtype=bool)
    share = np.ones(len(content))
    for axis in bins.axes:
        low, high = (table[column] for column in axis.edge_columns)
        edges = np.asarray(axis.edges)
        first = np.searchsorted(edges, low + _SLACK, side="right") - 1
        last = np.searchsorted(edges, high - _SLACK, side="right") - 1
        here = (last >= 0) & (first < axis.bins)
        if np.any(here & ((first != last) | (high <= low))):
            cell = int(np.argmax(here & ((first != last) | (high <= low))))
            raise InputError(f"{bins.where}: a bin edge cuts the cell {low[cell]:g} to "
                             f"{high[cell]:g} of {axis.name} ({table.path})")  # fmt: skip
        inside &= (first >= 0) & (first < axis.bins)
        position = np.clip(first, 0, axis.bins - 1)
        index = index * axis.bins + position
        share = share * (high - low) / np.diff(edges)[position]
    cells = np.stack([table[column] for column in edge_columns], axis=-1)
    _no_cell_twice(cells, str(table.path), bins)
    covered = np.bincount(index[inside], share[inside], minlength=bins.count)
    if not sparse and np.any(np.abs(covered - 1.0) > 1e-6):
        bad = int(np.argmax(np.abs(covered - 1.0) > 1e-6))
        what = "overlap in" if covered[bad] > 1 else "do not cover"
        raise InputError(f"{bins.where}: the cells of {table.path} {what} bin {bad} "
                         f"({_span(bins, bad)})")  # fmt: skip
    sums = np.zeros((bins.count, len(columns)))
    np.add.at(sums, index[inside], content[inside])
    return sums


def _span(bins: Bins, index: int) -> str:
    places = np.unravel_index(index, [axis.bins for axis in bins.axes])
    pairs = zip(bins.axes, places, strict=True)
    return ", ".join(f"{a.name} {a.edges[i]:g} to {a.edges[i + 1]:g}" for a, i in pairs)


def _no_cell_twice(cells: FloatArray, path: str, bins: Bins) -> None:
    _, first, which = np.unique(cells, axis=0, return_index=True, return_inverse=True)
    twice = np.flatnonzero(first[which.ravel()] != np.arange(len(cells)))
    if twice.size:
        row = int(twice[0])
        edges = ", ".join(f"{low:g} to {high:g}" for low, high in cells[row].reshape(-1, 2))
        raise InputError(
            f"{bins.where}: rows {first[which.ravel()[row]]} and {row} of {path} are the same "
            f"cell, {edges}"
        )
