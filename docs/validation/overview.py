"""Print the table of docs/validation/overview.md: python docs/validation/overview.py (ten minutes).

With the path of a PNG as argument, draw docs/images/summary.png there, small enough for a page.
"""

import sys
from collections.abc import Sequence
from io import BytesIO

from PIL import Image

from nuhf.papers.overview import COUPLINGS, STATUS, Overview, PictureEntry, overview

DOTS_PER_INCH = 100
SHADES = 64
"""Colours that are kept: text, bars and their blurred edges need no more."""


def text(entry: PictureEntry) -> str:
    """Return all pieces."""
    pieces = (
        f"< {high:.3g}" if low == 0.0 else f"[{low:.3g}, {high:.3g}]"
        for low, high in entry.intervals
    )
    return " ".join(pieces) or entry.source


def narrowest(entries: Sequence[PictureEntry]) -> str:
    """Return the entry with the narrowest hull, and its label."""
    if not entries:
        return ""
    best = min(entries, key=lambda e: e.intervals[-1][1] - e.intervals[0][0])
    return f"{text(best)} ({', '.join(x for x in (best.label, best.status) if x)})"


def draw(found: Overview, path: str) -> None:
    """Write the figure with a palette of `SHADES` colours."""
    buffer = BytesIO()
    found.figure().savefig(buffer, format="png", dpi=DOTS_PER_INCH)
    picture = Image.open(buffer).convert("RGB")
    picture.quantize(SHADES, dither=Image.Dither.NONE).save(path, optimize=True)


def main() -> None:
    """Print one row per coupling."""
    found = overview(step=lambda text: print(text, file=sys.stderr))
    for path in sys.argv[1:]:
        draw(found, path)
    print("| coupling | unit | combined | narrowest experiment | expected | literature |")
    print("|---|---|---|---|---|---|")
    for name in COUPLINGS:
        entries = [e for e in found.entries if e.parameter == name and e.intervals]
        roles = {role: [e for e in entries if e.role == role] for role in
                 ("combined", "ours", "future")}  # fmt: skip
        (combined,) = roles["combined"]
        # what is UNVERIFIED is not to be compared with
        quoted = [e for e in entries if e.status and STATUS[e.status] != "unverified"]
        columns = (roles["ours"], roles["future"], quoted)
        cells = [f"{text(combined)} ({len(combined.experiments)})", *map(narrowest, columns)]
        print(f"| {name} | {combined.unit} | " + " | ".join(cells) + " |")


if __name__ == "__main__":
    main()
