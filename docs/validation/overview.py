"""Print the tables of docs/validation/overview.md and README.md, and draw their figures.

    python docs/validation/overview.py          # README, from docs/validation/overview.csv
    python docs/validation/overview.py --fit    # fit first, write overview.csv, both pages

The CSV is the one that ``nuhf plot summary`` writes.
"""

import csv
import sys
from collections.abc import Sequence
from io import BytesIO
from itertools import groupby
from pathlib import Path

from matplotlib.figure import Figure
from PIL import Image

from nuhf.papers.overview import COUPLINGS, STATUS, Overview, PictureEntry, overview
from nuhf.parallel import cores
from nuhf.plots.summary import Bound, summary

HERE = Path(__file__).parent
BOUNDS = HERE / "overview.csv"
IMAGES = HERE.parent / "images"
OF_ONE_FLAVOUR = tuple(name for name in COUPLINGS if not name.startswith("abs_"))
"""Couplings in README.md."""

DOTS_PER_INCH = 100
SHADES = 64
"""Colours that are kept: text, bars and their blurred edges need no more."""


def read() -> Overview:
    """Return the bounds of the CSV; notes and sources stay there."""
    lines = BOUNDS.read_text(encoding="utf-8").splitlines()
    rows = csv.DictReader(line for line in lines if not line.startswith("#"))
    keys = ("parameter", "unit", "role", "label", "experiments", "cl", "status")
    return Overview(
        tuple(
            PictureEntry(name, unit, role, label, tuple(filter(None, names.split("+"))), float(cl),
                  tuple((float(row["lower"]), float(row["upper"])) for row in pieces),
                  status=status)
            for (name, unit, role, label, names, cl, status), pieces in groupby(
                rows, lambda row: tuple(row[key] for key in keys)
            )
        ),
        (),
    )  # fmt: skip


def text(entry: PictureEntry) -> str:
    """Return all pieces."""
    pieces = (
        f"< {high:.3g}" if low == 0.0 else f"[{low:.3g}, {high:.3g}]"
        for low, high in entry.intervals
    )
    return " ".join(pieces)


def narrowest(entries: Sequence[PictureEntry]) -> list[PictureEntry]:
    """Return the entry with the narrowest hull, if there is one."""
    return sorted(entries, key=lambda e: e.intervals[-1][1] - e.intervals[0][0])[:1]


def chosen(found: Overview, name: str) -> dict[str, list[PictureEntry]]:
    """Return the bound of all experiments combined, and the narrowest of each other kind."""
    mine = [e for e in found.entries if e.parameter == name]
    roles = {role: [e for e in mine if e.role == role] for role in ("ours", "combined", "future")}
    # what is UNVERIFIED is not to be compared with
    quoted = [e for e in mine if e.status and STATUS[e.status] != "unverified"]
    return {role: narrowest(some) for role, some in (*roles.items(), ("literature", quoted))}


def cell(entries: Sequence[PictureEntry]) -> str:
    """Return bound and label, or nothing."""
    return "".join(f"{text(e)} ({', '.join(x for x in (e.label, e.status) if x)})" for e in entries)


def table(found: Overview) -> str:
    """Return the table of overview.md."""
    rows = ["| coupling | unit | combined | narrowest experiment | expected | literature |",
            "|---|---|---|---|---|---|"]  # fmt: skip
    for name in COUPLINGS:
        best = chosen(found, name)
        (combined,) = best["combined"]
        cells = " | ".join(cell(best[kind]) for kind in ("ours", "future", "literature"))
        count = len(combined.experiments)
        rows.append(f"| {name} | {combined.unit} | {text(combined)} ({count}) | {cells} |")
    return "\n".join(rows)


def short_table(found: Overview) -> str:
    """Return the table of README.md."""
    rows = ["| coupling | unit | all combined | narrowest experiment | literature |",
            "|---|---|---|---|---|"]  # fmt: skip
    for name in OF_ONE_FLAVOUR:
        best = chosen(found, name)
        combined = "".join(map(text, best["combined"]))
        cells = " | ".join(cell(best[kind]) for kind in ("ours", "literature"))
        rows.append(f"| `{name}` | {best['ours'][0].unit} | {combined} | {cells} |")
    return "\n".join(rows)


def short_figure(found: Overview) -> Figure:
    """Draw what is in the table of README.md, and DARWIN's expectation."""
    bounds = [
        Bound(e.parameter, e.label, e.intervals, e.role)
        for name in OF_ONE_FLAVOUR
        for entries in chosen(found, name).values()
        for e in entries
    ]
    return summary(bounds, "Best bounds on electromagnetic couplings of neutrinos, one at a time")


def draw(figure: Figure, path: Path) -> None:
    """Write the figure with a palette of `SHADES` colours."""
    buffer = BytesIO()
    figure.savefig(buffer, format="png", dpi=DOTS_PER_INCH)
    picture = Image.open(buffer).convert("RGB")
    picture.quantize(SHADES, dither=Image.Dither.NONE).save(path, optimize=True)


def main() -> None:
    """Fit if asked to, draw, print."""
    if "--fit" in sys.argv[1:]:
        fitted = overview(step=lambda words: print(words, file=sys.stderr), jobs=cores())
        BOUNDS.write_text(fitted.to_csv(), encoding="utf-8")
        draw(fitted.figure(), IMAGES / "summary.png")
        print(table(fitted), end="\n\n")
    found = read()
    draw(short_figure(found), IMAGES / "best.png")
    print(short_table(found))


if __name__ == "__main__":
    main()
