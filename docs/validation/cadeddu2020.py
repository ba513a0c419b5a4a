"""Run the variations behind docs/validation/cadeddu2020.md and print its tables.

Every variation is a file that extends the experiment by a few lines of an analysis, so that a
reader can repeat any of them by hand: python docs/validation/cadeddu2020.py [rows] [radius] [table]
"""

import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

import variants
from scipy.stats import chi2, norm

import nuhf
from nuhf.errors import FitError
from nuhf.experiments.catalogue import load
from nuhf.experiments.prepare import prepare
from nuhf.papers.derived import loss_of_coherence

Keys = tuple[str, ...]
ENERGY, FREE = "cadeddu2020-energy", "cadeddu2020-free-rn"
SMEARING = "changes.responses.nuclear.smearing"
ETA = "changes.nuisances.eta_light.{}.responses.nuclear.quenching.scale = {}"
CONSTANT: Keys = (
    'changes.responses.nuclear.quenching = { kind = "polynomial", coefficients = [0.0878], '
    "recoil_range_kev = [0.0, 80.0] }",
    ETA.format("up", 0.1044 / 0.0878),
    ETA.format("down", 0.0712 / 0.0878),
)


def bins(*time_us: float) -> str:
    """Return the line of other bins of time."""
    light = list(range(6, 31, 2))
    return f"changes.regions.main.axes = {{ photoelectrons = {light}, time_us = {list(time_us)} }}"


#: Variations of the fit of eq 6: name, and lines of the analysis cadeddu2020-energy.
RADIUS: Mapping[str, Keys] = {
    "as shipped: n at n + 1/2": (),
    "n at n": (f"{SMEARING}.placement = 0.0",),
    "n at n - 1/2": (f"{SMEARING}.placement = -0.5",),
    "errors sqrt(C)": ('changes.regions.main.data.error_counts = ["n_c"]',),
    "up to 12 us": (bins(0, 12),),
    "no prompt neutrons to speak of": ("changes.sources.sns.beam_energy_gwh = 0.001",),
    "constant quenching factor, +- 18.9 %": CONSTANT,
    "light yield + 5 %": (f"{SMEARING}.pe_per_kev_ee = 14.015",),
    "light yield - 5 %": (f"{SMEARING}.pe_per_kev_ee = 12.681",),
}

#: Variations of the fit of eq 26, lines of the analysis cadeddu2020-free-rn.
TABLE: Mapping[str, Keys] = {
    "as shipped": (),
    "steady state flat in time": ("changes.backgrounds.ss.rate_per_us = 0.0",),
    "steady state exp(-0.049 t), as in 2021": ("changes.backgrounds.ss.rate_per_us = 0.049",),
    "steady state exp(-0.13 t)": ("changes.backgrounds.ss.rate_per_us = 0.132",),
    "n at n": (f"{SMEARING}.placement = 0.0",),
    "one time bin": (bins(0, 6),),
    "constant quenching factor, +- 18.9 %": CONSTANT,
    "R_n from 4.78 to 8 fm": ("limits = { Rn_CsI = [4.78, 8.0] }",),
    "R_n from 2 to 8 fm": ("limits = { Rn_CsI = [2.0, 8.0] }",),
}
POIS = {"r2nu_ee": ("radii", 1e-32), "qnu_ee": ("charges", 1e-8), "qnu_mumu": ("charges", 1e-8),
        "munu_e": ("moments", 1e-10), "munu_mu": ("moments", 1e-10)}  # fmt: skip


def changed(analysis: str, keys: Keys, folder: Path) -> str:
    """Write the experiment with a variation; return its path."""
    return variants.write("coherent-csi-2017", variants.within(analysis, keys), folder)


def rows() -> None:
    """Print every published number beside ours."""
    print("| where | analysis | parameter | CL | published | ours | difference / width | verdict |")
    print("|---|---|---|---|---|---|---|---|")
    for c in nuhf.reproduce("cadeddu2020"):
        ours = " ".join(f"[{low:.3g}, {high:.3g}]" for low, high in c.ours)
        print(
            f"| {c.row.where} | {c.row.analysis} | {c.row.parameter} | {c.row.cl:g} "
            f"| [{c.row.lower:.3g}, {c.row.upper:.3g}] | {ours} "
            f"| {100 * c.distance:.1f} % | {c.verdict} |",
            flush=True,
        )


def radius(folder: Path) -> None:
    """Print R_n and the significance of the loss of coherence for the variations."""
    print("\n| variation | R_n best fit, 68.27 % (fm) | rise of 2NLL | one-sided sigma |")
    print("|---|---|---|---|")
    for name, keys in RADIUS.items():
        path = changed(ENERGY, keys, folder)
        (found,) = nuhf.limit(path, "Rn_CsI", analysis=ENERGY, cl=0.6827)
        pieces = " ".join(f"[{low:.2f}, {high:.2f}]" for low, high in found.intervals)
        rise = loss_of_coherence(prepare(load(path, ENERGY)))
        sigma = norm.isf(chi2.sf(rise, 1))
        print(f"| {name} | {found.best_fit:.2f} {pieces} | {rise:.1f} | {sigma:.2f} |", flush=True)


def table(folder: Path) -> None:
    """Print 90 % CL intervals of Table I, free R_n, for the variations."""
    print("\n| variation | " + " | ".join(f"{p} ({s:g})" for p, (_, s) in POIS.items()) + " |")
    print("|---|" + "---|" * len(POIS))
    for name, keys in TABLE.items():
        path, cells = changed(FREE, keys, folder), []
        for poi, (group, scale) in POIS.items():
            try:
                (found,) = nuhf.limit(path, poi, analysis=FREE, profiled=[group])
            except FitError as error:
                cells.append(str(error))
                continue
            pieces = found.intervals
            cells.append(" ".join(f"[{a / scale:.1f}, {b / scale:.1f}]" for a, b in pieces))
        print(f"| {name} | " + " | ".join(cells) + " |", flush=True)


def main(parts: list[str]) -> None:
    """Print the tables asked for, all by default."""
    chosen = parts or ["rows", "radius", "table"]
    with tempfile.TemporaryDirectory() as name:
        if "rows" in chosen:
            rows()
        if "radius" in chosen:
            radius(Path(name))
        if "table" in chosen:
            table(Path(name))


if __name__ == "__main__":
    main(sys.argv[1:])
