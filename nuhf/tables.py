"""Text tables: comment lines with the source, one header row, numbers.

Every table under ``data/`` starts with ``# source:`` and ``# columns:`` lines, the latter with
the unit of each column in square brackets.
"""

import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from io import StringIO
from math import isfinite
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from nuhf import resources
from nuhf.arrays import FloatArray
from nuhf.errors import InputError

MAX_ROWS: Final = 100_000


@dataclass(frozen=True)
class Table:
    """Columns of one file."""

    path: Path
    """The file."""
    columns: Mapping[str, FloatArray]
    """Values by column name, all of shape (n_rows,)."""
    source: str
    """What stands behind ``# source:``."""

    def __getitem__(self, name: str) -> FloatArray:
        if name not in self.columns:
            raise InputError(
                f"{self.path}: no column '{name}'; the columns are {', '.join(self.columns)}"
            )
        return self.columns[name]

    def require(self, names: Sequence[str]) -> None:
        """Refuse a table that lacks one of these columns (`InputError`)."""
        for name in names:
            self[name]

    def edges(self, low: str, high: str) -> FloatArray:
        """Join two columns of lower and upper bin edges into (n_rows + 1,) edges.

        `InputError` if a column is missing; if bins are empty or reversed, overlap, leave a gap, or
        do not increase: which of these, at which bin (from 0), and the values there.
        """
        lower, upper = self[low], self[high]
        if np.any(upper <= lower):
            row = int(np.argmax(upper <= lower))
            raise InputError(
                f"{self.path}: bin {row} is empty or reversed: '{high}' is not above '{low}' "
                f"({upper[row]:g}, {lower[row]:g})"
            )
        apart = ~np.isclose(lower[1:], upper[:-1], rtol=1e-9, atol=1e-12)
        if np.any(apart):
            row = int(np.argmax(apart))
            fault = "leave a gap" if lower[row + 1] > upper[row] else "overlap"
            if lower[row + 1] < lower[row]:
                fault = "do not increase"
            spans = (f"{lower[i]:g} to {upper[i]:g}" for i in (row, row + 1))
            raise InputError(
                f"{self.path}: bins {row} and {row + 1} {fault}: {', then '.join(spans)}"
            )
        return np.append(lower, upper[-1])

    def increasing(self, name: str) -> FloatArray:
        """Return a column after checking that every entry is above the one before."""
        values = self[name]
        if np.any(np.diff(values) <= 0):
            row = int(np.argmax(np.diff(values) <= 0))
            raise InputError(f"{self.path}: column '{name}' does not increase: "
                             f"{values[row]:g} is followed by {values[row + 1]:g}")  # fmt: skip
        return values

    def fraction(self, name: str) -> FloatArray:
        """Return a column after checking that every entry is in 0 to 1 (`InputError`)."""
        return self._without(name, self.non_negative(name) > 1, "is above 1")

    def non_negative(self, name: str) -> FloatArray:
        """Return a column after checking that no entry is below zero (`InputError`)."""
        return self._without(name, self[name] < 0, "is negative")

    def _without(self, name: str, wrong: NDArray[np.bool_], why: str) -> FloatArray:
        if np.any(wrong):
            row = int(np.argmax(wrong))
            raise InputError(f"{self.path}: column '{name}', row {row}: {self[name][row]} {why}")
        return self[name]


def read_table(path: Path, columns: Sequence[str] = ()) -> Table:
    """Read a table that has these columns (`InputError` as `parse_table`)."""
    table = parse_table(path, resources.read_text(path))
    table.require(columns)
    return table


def parse_table(path: Path, text: str) -> Table:
    """Parse the text of a table and check that it holds finite numbers only.

    `InputError` if the text has no source, no rows, a column twice, more than 100 000 rows, or
    anything but finite numbers; the message names file, line and column.
    """
    lines = text.splitlines()
    comments = [line for line in lines if line.startswith("#")]
    body = [(i + 1, s) for i, s in enumerate(lines) if s.strip() and not s.startswith("#")]
    source = " ".join(c[1:].split(":", 1)[1].strip() for c in comments if "source:" in c[:12])
    if not source:
        raise InputError(f"{path}: no comment line '# source: ...'")
    if len(body) < 2:
        raise InputError(f"{path}: no header row followed by rows of numbers")
    if len(body) - 1 > MAX_ROWS:
        raise InputError(f"{path}: {len(body) - 1} rows; at most {MAX_ROWS} are taken")
    header = [name.strip() for name in body[0][1].split(",")]
    if len(set(header)) != len(header):
        raise InputError(f"{path}: a column name is given twice: {', '.join(header)}")
    values = np.array([_parse(path, number, line, header) for number, line in body[1:]])
    return Table(path, {name: values[:, i] for i, name in enumerate(header)}, source)


def _parse(path: Path, number: int, text: str, header: Sequence[str]) -> list[float]:
    cells = text.split(",")
    if len(cells) != len(header):
        raise InputError(f"{path}: line {number}: {len(cells)} values for {len(header)} columns")
    row = []
    for name, cell in zip(header, cells, strict=True):
        try:
            value = float(cell)
        except ValueError:
            value = float("nan")
        if not isfinite(value):
            given = repr(cell.strip()[:60])
            raise InputError(
                f"{path}: line {number}, column '{name}': {given} is not a finite number"
            )
        row.append(value)
    return row


def format_csv(columns: Mapping[str, Sequence[object]], comments: Sequence[str] = ()) -> str:
    """Format columns as CSV text with comment lines above the header; floats with 10 digits."""
    text = StringIO()
    text.writelines(f"# {' '.join(line.split())}\n" for line in comments)
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(columns)
    for row in zip(*columns.values(), strict=True):
        writer.writerow([f"{v:.10g}" if isinstance(v, float) else v for v in row])
    return text.getvalue()


def columns_of(names: Sequence[str], rows: Sequence[Sequence[object]]) -> dict[str, list[object]]:
    """Turn rows into columns by name."""
    return {name: [row[i] for row in rows] for i, name in enumerate(names)}


def tables_together(
    parts: Sequence[tuple[str, Mapping[str, Sequence[float]]]],
) -> dict[str, list[object]]:
    """Put tables one below the other, with a first column ``region`` if there are several.

    A column that a table does not have is empty there.
    """
    if len(parts) == 1:
        return {name: list(values) for name, values in parts[0][1].items()}
    names = dict.fromkeys(name for _, columns in parts for name in columns)
    joined: dict[str, list[object]] = {"region": [], **{name: [] for name in names}}
    for label, columns in parts:
        rows = len(next(iter(columns.values())))
        joined["region"] += [label] * rows
        for name in names:
            joined[name] += columns.get(name, [""] * rows)
    return joined
