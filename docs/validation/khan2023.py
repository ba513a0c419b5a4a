"""Run the variations behind docs/validation/khan2023.md and print its tables.

Every variation is a copy of the experiment file with one line changed, so that a reader can
repeat any of them by hand: python docs/validation/khan2023.py
"""

import tempfile
from pathlib import Path

import nuhf
from nuhf.errors import FitError
from nuhf.experiments.catalogue import list_experiments

PARAMETERS = ("qnu_ee", "qnu_mumu", "r2nu_ee", "r2nu_mumu", "munu_e", "munu_mu")
SCALES = {"qnu": 1e-7, "r2nu": 1e-30, "munu": 1e-9}
BINS = "pe_edges = [8, 12, 16, 20, 24, 32, 40, 50, 60]"

#: Name of the variation, and (old line, new line) in the analysis khan2023.
VARIATIONS = {
    "as shipped": (),
    "errors sqrt(C + AC)": (
        'residual_error = "coincidence"\n',
        'residual_error = "coincidence+control"\n',
    ),
    "no time efficiency": (
        "start_us = 0.52\nrate_per_us = 0.0494",
        "start_us = 0.52\nrate_per_us = 0.0",
    ),
    "beam neutrons doubled": ("events = 18.4", "events = 36.8"),
    "no beam neutrons to speak of": ("events = 18.4", "events = 0.001"),
    "bins from 0 PE": (BINS, BINS.replace("[8,", "[0, 8,")),
    "bins from 12 PE": (BINS, BINS.replace("[8, ", "[")),
    "bins up to 50 PE": (BINS, BINS.replace(", 60]", "]")),
    "Helm form factor": ('form_factor = "klein-nystrand"', 'form_factor = "helm"'),
    "tree-level couplings": ('couplings = "khan2023"', 'couplings = "tree"'),
    "tabulated flux": (
        'spectrum = "analytic"\nform_factor = "klein-nystrand"',
        'spectrum = "tabulated"\nform_factor = "klein-nystrand"',
    ),
    "sigma_alpha 5 %": ("size = 0.127", "size = 0.05"),
    "light pulls: sigma_alpha 1 %": ("size = 0.127", "size = 0.01"),
}


def limits(change: tuple[str, str] | tuple[()], folder: Path) -> dict[str, str]:
    """Return the pieces of every parameter as text, in the unit of the column."""
    text = list_experiments()["coherent-csi-2021"].read_text(encoding="utf-8")
    if change:
        old, new = change
        if old not in text:
            raise SystemExit(f"the experiment file has no line {old!r}")
        text = text.replace(old, new)
    path = folder / "variant.toml"
    path.write_text(text, encoding="utf-8")
    found = {}
    for name in PARAMETERS:
        scale = SCALES[name.split("_")[0]]
        try:
            (result,) = nuhf.limit(str(path), name, analysis="khan2023")
        except FitError as error:
            found[name] = str(error)
            continue
        pieces = [f"[{low / scale:.2f}, {high / scale:.2f}]" for low, high in result.intervals]
        found[name] = " ".join(pieces)
    return found


def main() -> None:
    """Print the comparison and the variations as Markdown tables."""
    print("| where | parameter | published | ours | difference / width | verdict |")
    print("|---|---|---|---|---|---|")
    for c in nuhf.reproduce("khan2023"):
        ours = " ".join(f"[{low:.3g}, {high:.3g}]" for low, high in c.ours)
        print(
            f"| {c.row.where} | {c.row.parameter} | [{c.row.lower:.3g}, {c.row.upper:.3g}] "
            f"| {ours} | {100 * c.distance:.1f} % | {c.verdict} |"
        )
    print("\n| variation | " + " | ".join(PARAMETERS) + " |")
    print("|---|" + "---|" * len(PARAMETERS))
    with tempfile.TemporaryDirectory() as folder:
        for label, change in VARIATIONS.items():
            found = limits(change, Path(folder))
            print(f"| {label} | " + " | ".join(found[name] for name in PARAMETERS) + " |")


if __name__ == "__main__":
    main()
