"""Run the variations behind docs/validation/cadeddu2020.md and print its tables.

Every variation is a copy of the experiment file with some lines changed, so that a reader can
repeat any of them by hand: python docs/validation/cadeddu2020.py [rows] [radius] [table]
"""

import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

import nuhf
from nuhf.errors import FitError
from nuhf.experiments.catalogue import list_experiments, load
from nuhf.experiments.prepare import prepare
from nuhf.papers.coherence import full_coherence_excluded_sigma, loss_of_coherence

Changes = tuple[tuple[str, str], ...]
BOTH = 'residual_error = "coincidence+control"'
LIMITS = "limits = { Rn_CsI = [4.78, 6.0] }"

#: Variations of the fit of eq 6: name, and (old, new) text, everywhere in the file.
RADIUS: Mapping[str, Changes] = {
    "as shipped: n at n + 1/2": (),
    "n at n": (("placement = 0.5", "placement = 0.0"),),
    "n at n - 1/2": (("placement = 0.5", "placement = -0.5"),),
    "errors sqrt(C)": ((BOTH, 'residual_error = "coincidence"'),),
    "up to 12 us": (("t_edges_us = [0, 6]", "t_edges_us = [0, 12]"),),
    "no prompt neutrons to speak of": (("beam_energy_gwh = 7.47594", "beam_energy_gwh = 0.001"),),
    "constant quenching factor, +- 18.9 %": (('quenching = "chicago3"\n', ""),),
    "light yield + 5 %": (("pe_per_kev_ee = 13.348", "pe_per_kev_ee = 14.015"),),
    "light yield - 5 %": (("pe_per_kev_ee = 13.348", "pe_per_kev_ee = 12.681"),),
}

#: Variations of the fit of eq 26.
TABLE: Mapping[str, Changes] = {
    "as shipped": (),
    "steady state flat in time": (("rate_per_us = 0.112", "rate_per_us = 0.0"),),
    "steady state exp(-0.049 t), as in 2021": (("rate_per_us = 0.112", "rate_per_us = 0.049"),),
    "steady state exp(-0.13 t)": (("rate_per_us = 0.112", "rate_per_us = 0.132"),),
    "n at n": (("placement = 0.5", "placement = 0.0"),),
    "one time bin": (("t_edges_us = [0, 0.5, 1, 1.5, 2, 2.5, 3, 3.5, 4, 4.5, 5, 5.5, 6]",
                      "t_edges_us = [0, 6]"),),
    "constant quenching factor, +- 18.9 %": (('quenching = "chicago3"\n', ""),),
    "R_n from 4.78 to 8 fm": ((LIMITS, "limits = { Rn_CsI = [4.78, 8.0] }"),),
    "R_n from 2 to 8 fm": ((LIMITS, "limits = { Rn_CsI = [2.0, 8.0] }"),),
}  # fmt: skip
POIS = {"r2nu_ee": ("radii", 1e-32), "qnu_ee": ("charges", 1e-8), "qnu_mumu": ("charges", 1e-8),
        "munu_e": ("moments", 1e-10), "munu_mu": ("moments", 1e-10)}  # fmt: skip


def changed(changes: Changes, folder: Path) -> str:
    """Write a copy of the experiment file with the changes; return its path."""
    text = list_experiments()["coherent-csi-2017"].read_text(encoding="utf-8")
    for old, new in changes:
        if old not in text:
            raise SystemExit(f"the experiment file has no text {old!r}")
        text = text.replace(old, new)
    path = folder / "variant.toml"
    path.write_text(text, encoding="utf-8")
    return str(path)


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
    for name, changes in RADIUS.items():
        path = changed(changes, folder)
        (found,) = nuhf.limit(path, "Rn_CsI", analysis="cadeddu2020-energy", cl=0.6827)
        one = prepare(load(path, "cadeddu2020-energy"))
        ((sigma, _),) = full_coherence_excluded_sigma([one], 0.0)
        pieces = " ".join(f"[{low:.2f}, {high:.2f}]" for low, high in found.intervals)
        rise = loss_of_coherence(one)
        print(f"| {name} | {found.best_fit:.2f} {pieces} | {rise:.1f} | {sigma:.2f} |", flush=True)


def table(folder: Path) -> None:
    """Print 90 % CL intervals of Table I, free R_n, for the variations."""
    print("\n| variation | " + " | ".join(f"{p} ({s:g})" for p, (_, s) in POIS.items()) + " |")
    print("|---|" + "---|" * len(POIS))
    for name, changes in TABLE.items():
        path, cells = changed(changes, folder), []
        for poi, (group, scale) in POIS.items():
            try:
                (found,) = nuhf.limit(path, poi, analysis="cadeddu2020-free-rn", profile=[group])
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
