"""Run the variations behind docs/validation/khan2023.md and print its tables.

Every variation is a file that extends the experiment by one line of the analysis, so that a reader
can repeat any of them by hand: python docs/validation/khan2023.py
"""

import tempfile
from collections.abc import Mapping
from pathlib import Path

import variants

import nuhf
from nuhf.errors import FitError

ANALYSIS = "khan2023"
PARAMETERS = ("qnu_ee", "qnu_mumu", "r2nu_ee", "r2nu_mumu", "munu_e", "munu_mu")
SCALES = {"qnu": 1e-7, "r2nu": 1e-30, "munu": 1e-9}


def bins(*edges: int) -> str:
    """Return the line of other bins of photoelectrons."""
    return f"changes.regions.main.axes = {{ photoelectrons = {list(edges)}, time_us = [0, 6] }}"


#: Name of the variation, and lines of the analysis khan2023.
VARIATIONS: Mapping[str, tuple[str, ...]] = {
    "as shipped": (),
    "errors sqrt(C + AC)": ('changes.regions.main.data.error_counts = ["n_c", "n_ac"]',),
    "no time efficiency": ("changes.responses.nuclear.time_efficiency.rate_per_us = 0.0",),
    "beam neutrons doubled": ("changes.backgrounds.brn.events = 36.8",),
    "no beam neutrons to speak of": ("changes.backgrounds.brn.events = 0.001",),
    "bins from 0 PE": (bins(0, 8, 12, 16, 20, 24, 32, 40, 50, 60),),
    "bins from 12 PE": (bins(12, 16, 20, 24, 32, 40, 50, 60),),
    "bins up to 50 PE": (bins(8, 12, 16, 20, 24, 32, 40, 50),),
    "Helm form factor": ('changes.physics.form_factor = "helm"',),
    "tree-level couplings": ('changes.physics.couplings = "tree"',),
    "tabulated flux": ('changes.sources.sns.energy_table = "sns/flux_energy.csv"',),
    "sigma_alpha 5 %": ("changes.nuisances.alpha_signal.size = 0.05",),
    "light pulls: sigma_alpha 1 %": ("changes.nuisances.alpha_signal.size = 0.01",),
}


def changed(keys: tuple[str, ...], folder: Path) -> str:
    """Write the experiment with a variation; return its path."""
    return variants.write("coherent-csi-2021", variants.within(ANALYSIS, keys), folder)


def limits(path: str) -> dict[str, str]:
    """Return the pieces of every parameter as text, in the unit of the column."""
    found = {}
    for name in PARAMETERS:
        scale = SCALES[name.split("_")[0]]
        try:
            (result,) = nuhf.limit(path, name, analysis=ANALYSIS)
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
        for label, keys in VARIATIONS.items():
            found = limits(changed(keys, Path(folder)))
            cells = " | ".join(found[name] for name in PARAMETERS)
            print(f"| {label} | {cells} |", flush=True)


if __name__ == "__main__":
    main()
