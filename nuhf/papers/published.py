"""Published intervals beside ours: distance, verdict, reason."""

from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import numpy as np

from nuhf import bibliography, resources
from nuhf.couplings import parameters
from nuhf.errors import InputError
from nuhf.papers.derived import QUANTITIES

_AGREES: Final = 0.10
_CLOSE: Final = 0.20
_KEYS: Final = {"where", "experiment", "analysis", "parameter"}
_REASON: Final = {"reason", "check"}
_OPTIONAL: Final = {
    "cl", "lower", "upper", "value", "convention", "profile", "piece", "hull", "best", *_REASON,
}  # fmt: skip


@dataclass(frozen=True)
class PublishedRow:
    """One published interval or number, with the reason and the check if ours differs.

    The parameter is one of the catalogue or of `nuhf.papers.derived.QUANTITIES`; several
    experiments are fitted together, with the couplings or groups of ``profile`` free. A number
    without interval has the confidence level 0 and equal ends. ``piece`` says which of how many
    pieces this is, counted from 1, of a region between the ends of ``hull``.
    """

    paper: str
    where: str
    experiments: tuple[str, ...]
    analysis: str
    parameter: str
    cl: float
    lower: float
    upper: float
    hull: tuple[float, float]
    convention: str = "standard"
    profile: tuple[str, ...] = ()
    piece: tuple[int, int] | None = None
    best: float | None = None
    reason: str = ""
    check: str = ""

    @property
    def unit(self) -> str:
        """Base unit."""
        known = parameters.PARAMETERS.get(self.parameter)
        return known.unit if known else QUANTITIES[self.parameter].unit


@dataclass(frozen=True)
class Comparison:
    """A published interval and ours.

    Attributes
    ----------
    row : PublishedRow
        What is published.
    ours : tuple of (float, float)
        All pieces; for a modulus mirrored at 0 where the publication prints both signs.
    distance : float
        Larger difference of the ends, hull with hull or piece with piece, in units of the width
        of the published hull (of the number itself, where there is no interval); infinite if
        the piece is missing.
    verdict : str
        ``agrees`` (10 %), ``close`` (20 %), ``differs`` or ``no number``.
    failure : str
        Why there is no number.
    """

    row: PublishedRow
    ours: tuple[tuple[float, float], ...]
    distance: float
    verdict: str
    failure: str = ""

    @property
    def complete(self) -> bool:
        """Whether there is a number, and a reason and a check if it differs."""
        explained = bool(self.row.reason and self.row.check)
        return bool(self.ours) and (self.verdict != "differs" or explained)

    @property
    def compared(self) -> tuple[float, float]:
        """The piece that is compared, or the hull of all (`InputError` without a number)."""
        if not self.ours:
            raise InputError(f"{self.row.paper} {self.row.parameter}: no number: {self.failure}")
        if self.row.piece is not None and len(self.ours) == self.row.piece[1]:
            return self.ours[self.row.piece[0] - 1]
        return self.ours[0][0], self.ours[-1][1]

    def to_json(self) -> dict[str, Any]:
        """Return plain data: the fields of ``nuhf reproduce --json``."""
        row = self.row
        return {
            "paper": row.paper,
            "where": row.where,
            "experiment": " + ".join(row.experiments),
            "analysis": row.analysis,
            "parameter": row.parameter,
            "unit": row.unit,
            "cl": row.cl,
            "profile": list(row.profile),
            "convention": row.convention,
            "published": [row.lower, row.upper],
            "ours": [list(piece) for piece in self.ours],
            "distance": self.distance if np.isfinite(self.distance) else None,
            "verdict": self.verdict,
            "reason": row.reason,
            "check": row.check,
            **({"failure": self.failure} if self.failure else {}),
        }


def list_papers() -> Mapping[str, Path]:
    """Return the papers whose numbers are at hand: name and file."""
    folder = resources.shipped("data") / "published"
    return {path.stem: path for path in sorted(folder.glob("*.toml"))}


def paper_file(paper: str) -> Path:
    """Return the file of a paper (`InputError` if it is unknown)."""
    known = list_papers()
    if paper not in known:
        raise InputError(f"unknown paper '{paper}'; {parameters.suggest(paper, known)}")
    return known[paper]


def read_reference(paper: str) -> str:
    """Read the key of a paper in the bibliography (`InputError` if it is unknown or has none)."""
    path = paper_file(paper)
    key = resources.read_toml(path).get("reference")
    if not isinstance(key, str):
        raise InputError(f"{path}: reference: required, a key of {bibliography.FILE}")
    return key


def read_title(paper: str) -> str:
    """Return the short reference of a paper (`InputError` if it is unknown)."""
    return bibliography.read()[read_reference(paper)].words


def read_rows(paper: str) -> list[PublishedRow]:
    """Read the rows of a paper, or of ``all``, checked."""
    known = list_papers()
    if paper != "all" and paper not in known:
        allowed = [*(name for name, path in known.items() if _rows(name, path)), "all"]
        raise InputError(f"unknown paper '{paper}'; {parameters.suggest(paper, allowed)}")
    names = list(known) if paper == "all" else [paper]
    return [row for name in names for row in _rows(name, known[name])]


def rows_to_compare(paper: str) -> list[PublishedRow]:
    """Return what `read_rows` does; refuse a paper of figures only (`InputError`)."""
    rows = read_rows(paper)
    if not rows:
        figures = resources.read_toml(list_papers()[paper]).get("figures", {})
        used = sorted({str(figure.get("analysis")) for figure in figures.values()})
        others = [name for name in used if name in list_papers()]
        instead = f"; its numbers are those of {', '.join(others)}" if others else ""
        raise InputError(f"{paper} has figures only (nuhf plot {paper}), no rows{instead}")
    return rows


def _rows(paper: str, path: Path) -> list[PublishedRow]:
    found = []
    for i, entry in enumerate(resources.read_toml(path).get("rows", [])):
        needed = _KEYS | (set() if "value" in entry else {"cl", "lower", "upper"})
        # a reason is worth what its check is
        needed |= _REASON if _REASON & set(entry) else set()
        check_entry(entry, needed, _OPTIONAL, f"{path}: rows[{i}]")
        found.append(_row(paper, dict(entry)))
    return found


def check_entry(entry: Mapping[str, Any], needed: Set[str], optional: Set[str], where: str) -> None:
    """Refuse an entry of a file without a key, with an unknown one, or with reversed ends."""
    missing, unknown = needed - set(entry), set(entry) - needed - optional
    if missing or unknown:
        raise InputError(f"{where}: missing {sorted(missing)}, unknown {sorted(unknown)}")
    low, high = entry.get("lower", 0.0), entry.get("upper", 1.0)
    if not low < high:
        raise InputError(f"{where}: lower {low} is not below upper {high}")


def _row(paper: str, entry: dict[str, Any]) -> PublishedRow:
    names = entry.pop("experiment")
    experiments = (names,) if isinstance(names, str) else tuple(names)
    if "value" in entry:
        value = entry.pop("value")
        entry |= {"cl": 0.0, "lower": value, "upper": value}
    if entry["parameter"] not in QUANTITIES:
        parameters.get(entry["parameter"])
    entry["hull"] = tuple(entry.get("hull", (entry["lower"], entry["upper"])))
    entry["profile"] = tuple(entry.get("profile", ()))
    entry["piece"] = tuple(entry["piece"]) if "piece" in entry else None
    return PublishedRow(paper=paper, experiments=experiments, **entry)


def compare(row: PublishedRow, pieces: Sequence[tuple[float, float]]) -> Comparison:
    """Compare a published interval with ours: hull with hull, or piece with piece."""
    known = parameters.PARAMETERS.get(row.parameter)
    if known is not None and known.squared and row.lower < 0:
        mirrored = [(-high, -low) for low, high in reversed(pieces)]
        joined = pieces[0][0] == 0.0
        pieces = (
            [*mirrored[:-1], (mirrored[-1][0], pieces[0][1]), *pieces[1:]]
            if joined
            else [*mirrored, *pieces]
        )
    found = Comparison(row, tuple(pieces), float("inf"), "differs")
    if row.piece is not None and len(pieces) != row.piece[1]:
        return found
    low, high = found.compared
    width = row.hull[1] - row.hull[0] or abs(row.lower)
    distance = max(abs(low - row.lower), abs(high - row.upper)) / width
    verdict = "agrees" if distance <= _AGREES else "close" if distance <= _CLOSE else "differs"
    return replace(found, distance=distance, verdict=verdict)
