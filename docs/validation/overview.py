"""Print the table of docs/validation/overview.md: python docs/validation/overview.py (a minute)."""

from collections.abc import Sequence

from nuhf.report.overview import COUPLINGS, Entry, overview


def text(entry: Entry) -> str:
    """Return all pieces."""
    pieces = (
        f"< {high:.3g}" if low == 0.0 else f"[{low:.3g}, {high:.3g}]"
        for low, high in entry.intervals
    )
    return " ".join(pieces) or entry.source


def narrowest(entries: Sequence[Entry]) -> str:
    """Return the entry with the narrowest hull, and its label."""
    if not entries:
        return ""
    best = min(entries, key=lambda e: e.intervals[-1][1] - e.intervals[0][0])
    return f"{text(best)} ({best.label})"


def main() -> None:
    """Print one row per coupling."""
    found = overview()
    print("| coupling | unit | combined | narrowest experiment | expected | literature |")
    print("|---|---|---|---|---|---|")
    for name in COUPLINGS:
        entries = [e for e in found.entries if e.parameter == name and e.intervals]
        roles = {role: [e for e in entries if e.role == role] for role in
                 ("combined", "ours", "future", "literature")}  # fmt: skip
        (combined,) = roles["combined"]
        cells = [text(combined), *(narrowest(roles[r]) for r in ("ours", "future", "literature"))]
        print(f"| {name} | {combined.unit} | " + " | ".join(cells) + " |")


if __name__ == "__main__":
    main()
