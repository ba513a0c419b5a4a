"""All published numbers through our analyses, and the page and table of the comparison."""

import textwrap
from collections.abc import Callable, Sequence
from functools import lru_cache
from itertools import groupby
from typing import Final

import numpy as np

from nuhf import questions
from nuhf.couplings import parameters
from nuhf.couplings.model import Group
from nuhf.experiments.catalogue import load
from nuhf.experiments.prepare import prepare
from nuhf.experiments.region import Prepared
from nuhf.papers.derived import QUANTITIES
from nuhf.papers.published import Comparison, PublishedRow, compare, read_title
from nuhf.parallel import on_cores
from nuhf.stats.problem import Options, pose
from nuhf.tables import columns_of, format_csv
from nuhf.units import percent

VERDICTS: Final = ("agrees", "close", "differs", "no number")
"""In the order in which they are counted."""

_NAME: Final = 28
_HEAD_TEXT: Final = ("parameter", "published", "ours", "diff.", "verdict")

Step = Callable[[str], None]

_HEAD: Final = """\
# Validation: every published number

Written by `nuhf reproduce {what} -o FILE.md`; do not edit. Values are in base units (e, mu_B, cm2,
fm). The distance is that of the worse end, in units of the published width (of the number itself
where there is no interval): it agrees up to 10 %, is close up to 20 %, differs beyond. Hulls are
compared with hulls, pieces with the same piece. A modulus printed with both signs is mirrored, so
that its width is twice the limit. The shares are reported, they are no target.
"""


def run(
    rows: Sequence[PublishedRow], step: Step = lambda text: None, jobs: int = 1
) -> list[Comparison]:
    """Compare published rows with ours; a row that fails is one without a number.

    ``step`` is told what comes next; ``jobs`` is the number of processes.
    """
    made = on_cores(compared, rows, step, lambda row: f"{row.paper} {row.parameter}", jobs)
    prepared.cache_clear()
    return made


def compared(row: PublishedRow) -> Comparison:
    """Compare a published row with ours, or say why there is no number."""
    try:
        found = ours([prepared(name, row.analysis) for name in row.experiments], row)
        if not found or not np.isfinite(found).all():
            raise ValueError(f"the interval is {found}")
        return compare(row, found)
    # whatever it is, the other rows do not depend on it
    except Exception as error:
        return Comparison(row, (), float("inf"), "no number", f"{type(error).__name__}: {error}")


@lru_cache(maxsize=64)
def prepared(name: str, analysis: str = "default") -> Prepared:
    """Build an experiment with an analysis, once for all that compare with it."""
    return prepare(load(name, analysis))


def ours(experiments: Sequence[Prepared], row: PublishedRow) -> Sequence[tuple[float, float]]:
    """Return our pieces of what a row publishes, from its experiments as prepared."""
    if row.parameter in QUANTITIES:
        return QUANTITIES[row.parameter].compute(experiments, row.cl)
    options = Options(anapole=row.convention, profiled=row.profile)
    problem = pose(experiments, row.parameter, options)
    return questions.limit(problem, row.cl, "delta-chi2").intervals


def shares(found: Sequence[Comparison]) -> dict[str, int]:
    """Count the verdicts."""
    return {verdict: sum(c.verdict == verdict for c in found) for verdict in VERDICTS}


def incomplete(found: Sequence[Comparison]) -> list[str]:
    """Name the rows without a number, and those that differ without a reason and a check."""
    return [
        f"{_named(c.row)} ({'no number' if not c.ours else 'no reason'})"
        for c in found
        if not c.complete
    ]


def _named(row: PublishedRow) -> str:
    level = f" {percent(row.cl)} %" if row.cl else ""
    return (
        f"{row.paper} {row.where} {'+'.join(row.experiments)}/{row.analysis} {row.parameter}{level}"
    )


def exponent(group: Group | None, ends: Sequence[float]) -> int:
    """Power of ten in which values are quoted: the customary one, or that of the largest end.

    The group is None for what is not in the catalogue; the ends are in base units.
    """
    if group is not None and group.quoted is not None:
        return group.quoted
    largest = float(np.abs(np.asarray([*ends, 0.0])).max())
    found = int(np.floor(np.log10(largest))) if largest > 0 else 0
    return 0 if -2 <= found <= 2 else found


def interval(low: float, high: float) -> str:
    """Write an interval, an upper limit, or a bare number."""
    if low == high:
        return f"{low:.3g}"
    return f"< {high:.3g}" if low == 0.0 else f"[{low:.3g}, {high:.3g}]"


def pieces(comparison: Comparison, scale: float = 1.0) -> list[str]:
    """Write all pieces of ours in units of ``scale``, or that there is no number."""
    found = [interval(low / scale, high / scale) for low, high in comparison.ours]
    return found or ["no number"]


# ----------------------------------------------------------------------------------------- text


def as_text(found: Sequence[Comparison], width: int) -> str:
    """Write the comparison for a terminal: a table per experiment and analysis, then the shares.

    Comparisons are in the order of their papers. Differences are in units of the published width.
    A reason stands below the first row that it is for, with its check. Tables need 79 columns.
    """
    lines: list[str] = []
    for paper, of_paper in groupby(found, key=lambda c: c.row.paper):
        group = list(of_paper)
        powers = _powers(group)
        reasons: dict[tuple[str, str], int] = {}
        lines += [*textwrap.wrap(f"{paper}: {read_title(paper)}", width), *_aligned(_HEAD_TEXT)]
        for heading in dict.fromkeys(map(_heading, group)):
            some = [c for c in group if _heading(c) == heading]
            cells = [_cells(c, *powers[c.row.parameter]) for c in some]
            lines += ["", *textwrap.wrap(heading, width)]
            for comparison, row in zip(some, cells, strict=True):
                lines += [*_aligned(row), *_because(comparison, reasons, width)]
        lines.append("")
    counts = shares(found).items()
    words = ", ".join(f"{n} {verdict}" for verdict, n in counts if n or verdict != "no number")
    return "\n".join([*lines, f"{len(found)} rows: {words}"])


def _powers(group: Sequence[Comparison]) -> dict[str, tuple[float, str]]:
    """Scale and unit of each parameter of a paper, from all that it prints of it."""
    found = {}
    for name in dict.fromkeys(c.row.parameter for c in group):
        rows = [c.row for c in group if c.row.parameter == name]
        power = exponent(parameters.group_of(name), [e for r in rows for e in r.hull])
        parts = (f"1e{power}" if power else "", "" if rows[0].unit == "1" else rows[0].unit)
        found[name] = 10.0**power, " ".join(part for part in parts if part)
    return found


def _heading(comparison: Comparison) -> str:
    row = comparison.row
    parts = [row.where, " + ".join(row.experiments), f"analysis {row.analysis}"]
    parts += [f"{percent(row.cl)} % CL"] if row.cl else []
    parts += [f"{', '.join(row.profile)} free"] if row.profile else []
    parts += [f"convention {row.convention}"] if row.convention != "standard" else []
    return ", ".join(parts)


def _cells(comparison: Comparison, scale: float, unit: str) -> tuple[str | list[str], ...]:
    row = comparison.row
    piece = f" {row.piece[0]}/{row.piece[1]}" if row.piece else ""
    return (
        f"{row.parameter}{piece}{f' [{unit}]' if unit else ''}",
        interval(row.lower / scale, row.upper / scale),
        pieces(comparison, scale),
        f"{100 * comparison.distance:.1f} %" if np.isfinite(comparison.distance) else "",
        comparison.verdict,
    )


def _aligned(cells: Sequence[str | list[str]]) -> list[str]:
    """Put cells in columns; one with several entries goes on below."""
    columns = [[cell] if isinstance(cell, str) else cell for cell in cells]
    lines = []
    if len(columns[0][0]) > _NAME:
        lines, columns[0] = [f"  {columns[0][0]}"], [""]
    for i in range(max(map(len, columns))):
        name, published, made, distance, verdict = (c[i] if i < len(c) else "" for c in columns)
        text = f"  {name:<{_NAME}s}{published:>15s}  {made:>16s}{distance:>8s}  {verdict}"
        lines.append(text.rstrip())
    return lines


def _because(comparison: Comparison, reasons: dict[tuple[str, str], int], width: int) -> list[str]:
    """Failure, or reason and check of a row; of a reason told before, only its number."""

    def told(text: str) -> list[str]:
        return textwrap.wrap(text, width, initial_indent="    ", subsequent_indent="      ",
                             break_long_words=False, break_on_hyphens=False)  # fmt: skip

    row = comparison.row
    if comparison.failure:
        return told(comparison.failure)
    if not row.reason or comparison.verdict == "agrees":
        return []
    key = (row.reason, row.check)
    if key in reasons:
        return [f"    reason {reasons[key]}"]
    reasons[key] = len(reasons) + 1
    return [*told(f"reason {len(reasons)}: {row.reason}"), *told(f"check: {row.check}")]


# ---------------------------------------------------------------------------------------- pages


def as_markdown(found: Sequence[Comparison], what: str) -> str:
    """Write the page of a paper or of ``all``: shares, then a table and its reasons per paper."""
    papers = list(dict.fromkeys(c.row.paper for c in found))
    groups = {paper: [c for c in found if c.row.paper == paper] for paper in papers}
    lines = [_HEAD.format(what=what), "| paper | rows | " + " | ".join(VERDICTS) + " |"]
    lines.append("|---" * (2 + len(VERDICTS)) + "|")
    for label, group in {**groups, "all": list(found)}.items():
        counts = shares(group).values()
        cells = [f"{n} ({100 * n / len(group):.0f} %)" if n else "0" for n in counts]
        lines.append(f"| {label} | {len(group)} | " + " | ".join(cells) + " |")
    for paper, group in groups.items():
        lines += ["", f"## {paper}", "", f"{read_title(paper)}.", "", *_table(group)]
    return "\n".join(lines) + "\n"


def _table(group: Sequence[Comparison]) -> list[str]:
    head = ("where", "experiment", "analysis", "parameter", "free", "CL", "published", "ours",
            "distance", "verdict", "reason")  # fmt: skip
    lines = ["| " + " | ".join(head) + " |", "|---" * len(head) + "|"]
    reasons: dict[tuple[str, str], int] = {}
    for c in group:
        row, number = c.row, ""
        if c.ours and row.reason and c.verdict != "agrees":
            number = str(reasons.setdefault((row.reason, row.check), len(reasons) + 1))
        cells = (
            row.where, " + ".join(row.experiments), row.analysis, _parameter(row),
            ", ".join(row.profile), f"{percent(row.cl)} %" if row.cl else "",
            interval(row.lower, row.upper), " ".join(pieces(c)),
            f"{100 * c.distance:.1f} %" if np.isfinite(c.distance) else "",
            c.verdict, number or c.failure.replace("|", "/"),
        )  # fmt: skip
        lines.append("| " + " | ".join(cells) + " |")
    for position, (reason, check) in enumerate(reasons, start=1):
        lines += ["", f"{position}. {reason} Check: `{check}`"]
    return lines


def _parameter(row: PublishedRow) -> str:
    notes = [f"piece {row.piece[0]} of {row.piece[1]}"] if row.piece else []
    notes += [f"convention {row.convention}"] if row.convention != "standard" else []
    return row.parameter + (f" ({', '.join(notes)})" if notes else "")


def as_csv(found: Sequence[Comparison]) -> str:
    """Write the comparison as CSV, one line per row; texts are quoted where they have commas."""
    columns = (
        "paper", "where", "experiment", "analysis", "parameter", "unit", "cl", "profile",
        "convention", "published_lower", "published_upper", "ours_lower", "ours_upper", "pieces",
        "distance", "verdict", "reason", "check", "failure",
    )  # fmt: skip
    rows = [
        (c.row.paper, c.row.where, " + ".join(c.row.experiments), c.row.analysis, c.row.parameter,
         c.row.unit, c.row.cl, " ".join(c.row.profile), c.row.convention, c.row.lower, c.row.upper,
         *(c.compared if c.ours else ("", "")), len(c.ours),
         f"{c.distance:.4g}" if np.isfinite(c.distance) else "", c.verdict, c.row.reason,
         c.row.check, c.failure)
        for c in found
    ]  # fmt: skip
    return format_csv(columns_of(columns, rows))
