"""Published intervals beside ours: distance, verdict, reason."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from nuhf import parameters, resources
from nuhf.errors import InputError
from nuhf.inference.results import LimitResult

__all__ = ["Comparison", "PublishedRow", "compare", "list_papers", "read_rows"]

_AGREES: Final = 0.10
_CLOSE: Final = 0.20
_KEYS: Final = {"where", "experiment", "analysis", "parameter", "cl", "lower", "upper"}
_OPTIONAL: Final = {"convention", "reason", "check"}


@dataclass(frozen=True)
class PublishedRow:
    """One published interval in base units, with the reason and the check if ours differs."""

    paper: str
    where: str
    experiment: str
    analysis: str
    parameter: str
    cl: float
    lower: float
    upper: float
    convention: str = "standard"
    reason: str = ""
    check: str = ""


@dataclass(frozen=True)
class Comparison:
    """A published interval and ours.

    Attributes
    ----------
    ours : tuple of (float, float)
        All pieces; for a modulus mirrored at 0 where the publication prints both signs.
    distance : float
        Larger difference of the ends of the hulls, in units of the published width.
    verdict : str
        ``agrees`` (10 %), ``close`` (20 %) or ``differs``.
    """

    row: PublishedRow
    ours: tuple[tuple[float, float], ...]
    distance: float
    verdict: str

    @property
    def hull(self) -> tuple[float, float]:
        """Lowest and highest end of our pieces."""
        return self.ours[0][0], self.ours[-1][1]

    def to_json(self) -> dict[str, Any]:
        """Return plain data: the fields of ``nuhf reproduce --json``."""
        row = self.row
        return {
            "paper": row.paper,
            "where": row.where,
            "experiment": row.experiment,
            "analysis": row.analysis,
            "parameter": row.parameter,
            "unit": parameters.get(row.parameter).unit,
            "cl": row.cl,
            "published": [row.lower, row.upper],
            "ours": [list(piece) for piece in self.ours],
            "distance": self.distance,
            "verdict": self.verdict,
            "reason": row.reason,
            "check": row.check,
        }


def list_papers() -> Mapping[str, Path]:
    """Return the papers whose numbers are at hand: name and file."""
    folder = resources.shipped("data") / "published"
    return {path.stem: path for path in sorted(folder.glob("*.toml"))}


def read_rows(paper: str) -> list[PublishedRow]:
    """Read the rows of a paper, or of ``all``.

    Raises
    ------
    InputError
        If the paper is unknown, or a row lacks a key, has an unknown one or reversed ends.
    """
    known = list_papers()
    if paper != "all" and paper not in known:
        allowed = [*known, "all"]
        raise InputError(f"unknown paper '{paper}'; {parameters.suggest(paper, allowed)}")
    names = list(known) if paper == "all" else [paper]
    return [row for name in names for row in _rows(name, known[name])]


def _rows(paper: str, path: Path) -> list[PublishedRow]:
    found = []
    for i, entry in enumerate(resources.read_toml(path).get("rows", [])):
        missing, unknown = _KEYS - set(entry), set(entry) - _KEYS - _OPTIONAL
        if missing or unknown:
            raise InputError(
                f"{path}: rows[{i}]: missing {sorted(missing)}, unknown {sorted(unknown)}"
            )
        row = PublishedRow(paper=paper, **entry)
        parameters.get(row.parameter)
        if not row.lower < row.upper:
            raise InputError(f"{path}: rows[{i}]: lower {row.lower} is not below {row.upper}")
        found.append(row)
    return found


def compare(row: PublishedRow, limit: Callable[[PublishedRow], LimitResult]) -> Comparison:
    """Compare a published interval with ours, hull with hull."""
    pieces: Sequence[tuple[float, float]] = limit(row).intervals
    if parameters.get(row.parameter).squared and row.lower < 0:
        mirrored = [(-high, -low) for low, high in reversed(pieces)]
        joined = pieces[0][0] == 0.0
        pieces = (
            [*mirrored[:-1], (mirrored[-1][0], pieces[0][1]), *pieces[1:]]
            if joined
            else [*mirrored, *pieces]
        )
    low, high = pieces[0][0], pieces[-1][1]
    distance = max(abs(low - row.lower), abs(high - row.upper)) / (row.upper - row.lower)
    verdict = "agrees" if distance <= _AGREES else "close" if distance <= _CLOSE else "differs"
    return Comparison(row, tuple(pieces), distance, verdict)
