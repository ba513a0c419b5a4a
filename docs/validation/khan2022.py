"""Run the variations behind docs/validation/khan2022.md and print its tables.

Every variation is a copy of the experiment file with a few lines changed, so that a reader can
repeat any of them by hand: python docs/validation/khan2022.py
"""

import re
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np

import nuhf
from nuhf import resources
from nuhf.errors import FitError
from nuhf.experiments.catalogue import list_experiments
from nuhf.tables import read_table

CURVES = ("lindhard", "bonhomme", "sarkis", "ybe", "jones", "fef")
#: Parameter: unit of the column, confidence level.
PARAMETERS = {
    "sin2thetaW": (1.0, 0.6827),
    "r2nu_ee": (1e-30, 0.9),
    "munu_e": (1e-10, 0.9),
    "qnu_ee": (1e-8, 0.9),
}
PULL = ("alpha_quenching",)
_RATES = ("rate_on", "err_on", "rate_off", "err_off")


def swap(*pairs: str) -> Callable[[str], str]:
    """Return a change of the file: every odd text is replaced by the one after it."""

    def change(text: str) -> str:
        for old, new in zip(pairs[::2], pairs[1::2], strict=True):
            if old not in text:
                raise SystemExit(f"the experiment file has no line {old!r}")
            text = text.replace(old, new)
        return text

    return change


#: Name of the variation, change of the file, nuisances held.
VARIATIONS: Mapping[str, tuple[Callable[[str], str], tuple[str, ...]]] = {
    "as shipped: sigma_alpha as printed": (swap(), ()),
    "sigma_alpha 5 %": (swap(), PULL),
    "5 %, the other residual: YBe, free": (swap('"res_fef_sm"', '"res_ybe_free"'), PULL),
    "5 %, distance 10.39 m": (swap("distance_m = 8.0", "distance_m = 10.39"), PULL),
    "5 %, Gaussian not renormalised": (swap('gaussian = "positive"', 'gaussian = "whole"'), PULL),
    "5 %, no capture antineutrinos": (
        swap("captures_per_fission = 0.6\npower_gw", "captures_per_fission = 0.0\npower_gw"),
        PULL,
    ),
    "5 %, natural germanium": (swap("formula = { Ge72 = 1.0 }\n", ""), PULL),
    **{
        f"5 %, recoils from {1e3 * start:g} eV": (
            swap("e_ee_min_kev = 0.00296", f"e_ee_min_kev = {start}"),
            PULL,
        )
        for start in (0.0001, 0.01, 0.02, 0.05, 0.1, 0.15)
    },
}


def only_on(text: str) -> str:
    """Leave the reactor-off channel out."""
    text = swap('regions = ["on", "off"]', 'regions = ["on"]')(text)
    text = swap(', "flat_off", "neutrons_off", "ec_l_off", "ec_m_off"]', "]")(text)
    text = swap('["ec_m_on", "ec_m_off"]', '["ec_m_on"]')(text)
    pattern = r'\[\[analyses.default[a-z-]*.nuisances\]\]\nname = "bkg_dresden_2_\w*_off"\n'
    return re.sub(pattern + r"(?:[^\n\[][^\n]*\n)+", "", text)


def own_ratio(text: str) -> str:
    """Give each channel its own ratio of the M to the L line."""
    pattern = (
        r'\[\[analyses.default[a-z-]*.nuisances\]\]\nname = "bkg_dresden_2_ec_ratio"\n'
        r"(?:[^\n\[][^\n]*\n)+"
    )

    def twice(match: re.Match[str]) -> str:
        made = []
        for run in ("on", "off"):
            block = match[0].replace('["ec_m_on", "ec_m_off"]', f'["ec_m_{run}"]')
            made.append(block.replace("ec_ratio", f"ec_ratio_{run}"))
        return "\n".join(made)

    return re.sub(pattern, twice, text)


def fission_flux(text: str) -> str:
    """Scale a spectrum without captures to the whole flux, as arXiv:2202.10829 does."""
    return swap(
        'spectrum = "bestiole2023"', 'spectrum = "vogel-engel"',
        "captures_per_fission = 0.6\nflux", "captures_per_fission = 0.0\nflux",
    )(text)  # fmt: skip


def common_acceptance(text: str) -> str:
    """Add the acceptance error as one factor for all bins of signals and backgrounds."""
    nuisance = (
        "[[analyses.{0}.nuisances]]\n"
        'name = "eff_dresden_2"\nkind = "efficiency"\nvariation = "acceptance"\n\n'
    )
    for name in ("default", "default-ybe", "default-lindhard"):
        first = f"[[analyses.{name}.nuisances]]\n"
        text = text.replace(first, nuisance.format(name) + first, 1)
    return text


def gaussian(released: bool) -> Callable[[str], str]:
    """Return the change to a chi2 of the released rates.

    Errors are the released ones, which hold those of the acceptance without correlation, or the
    statistical ones alone.
    """
    rates = read_table(resources.find("dresden-2/spectrum.csv"), _RATES)
    counts = read_table(resources.find("dresden-2/raw_counts_derived.csv"), ["n_on", "n_off"])
    edges = rates.edges("e_lo_kev_ee", "e_hi_kev_ee")

    def change(text: str) -> str:
        for run in ("on", "off"):
            rate = rates[f"rate_{run}"]
            error = rates[f"err_{run}"] if released else rate / np.sqrt(counts[f"n_{run}"])
            columns = {"e_lo_kev_ee": edges[:-1], "e_hi_kev_ee": edges[1:]}
            columns |= {"rate": rate, "error": error}
            bins = "".join(f"{name} = {column.tolist()}\n" for name, column in columns.items())
            text = swap(
                f'table = "dresden-2/raw_counts_derived.csv"\nevents = "n_{run}"\n'
                'acceptance = "acceptance"\nacceptance_error = "acceptance_err"\n',
                f'events = "rate"\nerrors = "error"\nunit = "per_day"\n[regions.bins]\n{bins}',
            )(text)
        pattern = r'(\[analyses\.default[a-z-]*\]\ntitle = [^\n]*\nstatistic = )"poisson"'
        return re.sub(pattern, r'\1"gaussian"', text)

    return change


def chained(*changes: Callable[[str], str]) -> Callable[[str], str]:
    """Return the changes one after the other."""

    def change(text: str) -> str:
        for one in changes:
            text = one(text)
        return text

    return change


QF = ("qf_ge_fef_ybe",)
#: From the analysis default to the settings of arXiv:2202.10829.
STEPS: Mapping[str, tuple[Callable[[str], str], tuple[str, ...]]] = {
    "as shipped": (swap(), ()),
    "with the acceptance error as one common factor": (common_acceptance, ()),
    "quenching held": (swap(), QF),
    "and a ratio M/L for each channel": (own_ratio, QF),
    "and Rx-ON alone": (only_on, QF),
    "and fission spectra scaled to 4.8e13": (chained(fission_flux, only_on), QF),
    "and a chi2 of the released rates, statistical errors": (
        chained(fission_flux, only_on, gaussian(released=False)),
        QF,
    ),
    "and the released errors": (chained(fission_flux, only_on, gaussian(released=True)), QF),
}
#: What the acceptance error does to both runs with the settings of default.
ERRORS: Mapping[str, Callable[[str], str]] = {
    "Poisson, as shipped": swap(),
    "chi2, statistical errors": gaussian(released=False),
    "chi2, released errors": gaussian(released=True),
}


def write(change: Callable[[str], str], folder: Path) -> str:
    """Write the changed experiment file and return its path."""
    text = list_experiments()["dresden-2"].read_text(encoding="utf-8")
    path = folder / "variant.toml"
    path.write_text(change(text), encoding="utf-8")
    return str(path)


def interval(
    path: str,
    name: str,
    scale: float,
    cl: float,
    analysis: str,
    held: tuple[str, ...],
    **more: object,
) -> str:
    """Return all pieces as text."""
    try:
        (found,) = nuhf.limit(path, name, cl=cl, analysis=analysis, fix=held, **more)
    except FitError as error:
        return str(error)
    return " ".join(f"[{low / scale:.3g}, {high / scale:.3g}]" for low, high in found.intervals)


def comparison() -> None:
    """Print all published numbers, ours as printed and with 5 %."""
    print("| where | curve | parameter | published | ours | verdict | with sigma_alpha 5 % |")
    print("|---|---|---|---|---|---|---|")
    for c in nuhf.reproduce("khan2022"):
        row = c.row
        ours = " ".join(f"[{low:.3g}, {high:.3g}]" for low, high in c.ours)
        tight = interval(
            "dresden-2", row.parameter, 1.0, row.cl, row.analysis, PULL, anapole=row.convention
        )
        print(
            f"| {row.where} | {row.analysis.removeprefix('khan2022-')} | {row.parameter} "
            f"| [{row.lower:.3g}, {row.upper:.3g}] | {ours} "
            f"| {c.verdict} ({100 * c.distance:.0f} %) | {tight} |"
        )


def variations(folder: Path) -> None:
    """Print the variations, one table per parameter."""
    for name, (scale, cl) in PARAMETERS.items():
        print(f"\n{name} in {scale:g}, {100 * cl:.0f} % CL:\n")
        print("| variation | " + " | ".join(CURVES) + " |")
        print("|---|" + "---|" * len(CURVES))
        for label, (change, held) in VARIATIONS.items():
            path = write(change, folder)
            cells = [interval(path, name, scale, cl, f"khan2022-{c}", held) for c in CURVES]
            print(f"| {label} | " + " | ".join(cells) + " |", flush=True)


def default(folder: Path) -> None:
    """Print the magnetic moment from the analysis default to other people's settings."""
    heads = [f"{c}, {what}" for c in ("Fef", "YBe") for what in ("CEvNS", "and EvES")]
    print("\n| munu_e in 1e-10 mu_B, 90 % CL | " + " | ".join(heads) + " |")
    print("|---|" + "---|" * len(heads))
    for label, (change, held) in STEPS.items():
        path = write(change, folder)
        cells = [
            interval(path, "munu_e", 1e-10, 0.9, analysis, held, values=values)
            for analysis in ("default", "default-ybe")
            for values in ({"norm_eves": 0.0}, {})
        ]
        print(f"| {label} | " + " | ".join(cells) + " |", flush=True)


def acceptance(folder: Path) -> None:
    """Print what the error of the acceptance does, bin by bin and to the intervals."""
    names = ["n_on", "n_off", "acceptance_err"]
    table = read_table(resources.find("dresden-2/raw_counts_derived.csv"), names)
    for run in ("on", "off"):
        ratio = table["acceptance_err"] * np.sqrt(table[f"n_{run}"])
        print(
            f"\nacceptance error over Poisson error, {run}: "
            f"{ratio[:20].min():.2f} to {ratio[:20].max():.2f} in 0.2-0.4 keV, "
            f"{ratio[20:].min():.2f} to {ratio[20:].max():.2f} above"
        )
    asked = (("munu_e", 1e-10, 0.9), ("norm_cevns", 1.0, 0.6827))
    analyses = {"Fef": "default", "YBe": "default-ybe", "Lindhard": "default-lindhard"}
    heads = [f"{name}, {label}" for label in analyses for name, _, _ in asked]
    print("\n| errors | " + " | ".join(heads) + " |")
    print("|---|" + "---|" * len(heads))
    for label, change in ERRORS.items():
        path = write(change, folder)
        cells = [
            interval(path, name, scale, cl, analysis, ())
            for analysis in analyses.values()
            for name, scale, cl in asked
        ]
        print(f"| {label} | " + " | ".join(cells) + " |", flush=True)


def main() -> None:
    """Print everything as Markdown."""
    comparison()
    with tempfile.TemporaryDirectory() as name:
        variations(Path(name))
        default(Path(name))
        acceptance(Path(name))


if __name__ == "__main__":
    main()
