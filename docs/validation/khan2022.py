"""Run the variations behind docs/validation/khan2022.md and print its tables.

Every variation is a file that extends the experiment by a few keys, so that a reader can repeat any
of them by hand: python docs/validation/khan2022.py
"""

import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
import variants

import nuhf
from nuhf import resources
from nuhf.errors import FitError
from nuhf.experiments.catalogue import load
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


Change = Callable[[], str]


def lines(*texts: str) -> Change:
    """Return a change of the file: keys with other values."""
    return lambda: "\n".join(texts)


NATURAL = "{ Ge70 = 0.2052, Ge72 = 0.2745, Ge73 = 0.0776, Ge74 = 0.3652, Ge76 = 0.0775 }"
#: Name of the variation, change of the file, nuisances held.
VARIATIONS: Mapping[str, tuple[Change, tuple[str, ...]]] = {
    "as shipped: sigma_alpha as printed": (lines(), ()),
    "sigma_alpha 5 %": (lines(), PULL),
    "5 %, the other residual: YBe, free": (
        lines('regions.residual.data.column = "res_ybe_free"'),
        PULL,
    ),
    "5 %, distance 10.39 m": (lines("sources.khan2022.distance_m = 10.39"), PULL),
    "5 %, Gaussian not renormalised": (lines("responses.nuclear.smearing.positive = false"), PULL),
    "5 %, no capture antineutrinos": (lines("sources.khan2022.captures_per_fission = 0.0"), PULL),
    "5 %, natural germanium": (
        lines(*(f"analyses.khan2022-{c}.changes.target.formula = {NATURAL}" for c in CURVES)),
        PULL,
    ),
    **{
        f"5 %, recoils from {1e3 * start:g} eV": (
            lines(f"responses.nuclear.ionisation_min_kev_ee = {start}"),
            PULL,
        )
        for start in (0.0001, 0.01, 0.02, 0.05, 0.1, 0.15)
    },
}
#: Those that the analyses of counts inherit their lists of nuisances from.
COUNTS = ("default", "default-lindhard")


def _nuisances(choose: Callable[[tuple[str, ...]], Sequence[str]]) -> str:
    found = {name: choose(load("dresden-2", name).analysis.nuisances or ()) for name in COUNTS}
    return "\n".join(f"analyses.{name}.nuisances = {list(n)}" for name, n in found.items())


def only_on() -> str:
    """Leave the reactor-off channel out."""
    kept = _nuisances(lambda names: [name for name in names if not name.endswith("_off")])
    return 'analyses.default.regions = ["on"]\nanalyses.default-lindhard.regions = ["on"]\n' + kept


def own_ratio() -> str:
    """Give each channel its own ratio of the M to the L line."""
    ratio = "bkg_dresden_2_ec_ratio"
    size = load("dresden-2").experiment.nuisances[ratio].size
    text = _nuisances(
        lambda names: [n for name in names for n in (
            (f"{ratio}_on", f"{ratio}_off") if name == ratio else (name,))]
    )  # fmt: skip
    for run in ("on", "off"):
        table = f"{{ kind = 'norm', pull = 'linear', size = {size}, processes = ['ec_m_{run}'] }}"
        text += f"\nnuisances.{ratio}_{run} = {table}"
    return text


#: Scale a spectrum without captures to the whole flux, as arXiv:2202.10829 does.
fission_flux = lines(
    'sources.quoted.spectrum = "vogel-engel"', "sources.quoted.captures_per_fission = 0.0"
)


def common_acceptance() -> str:
    """Add the acceptance error as one factor for all bins of signals and backgrounds."""
    text = _nuisances(lambda names: ["eff_dresden_2", *names])
    text += "\nnuisances.eff_dresden_2.kind = 'variation'"
    for direction, sign in (("up", "1.0"), ("down", "-1.0")):
        for run in ("on", "off"):
            key = f"nuisances.eff_dresden_2.{direction}.regions.{run}.acceptance.deviations"
            text += f"\n{key} = {sign}"
    return text


def gaussian(released: bool) -> Change:
    """Return the change to a chi2 of the released rates, which are corrected for acceptance.

    Errors are the released ones, which hold those of the acceptance without correlation, or the
    statistical ones alone.
    """

    def change() -> str:
        rates = read_table(resources.find("dresden-2/spectrum.csv"), _RATES)
        counts = read_table(resources.find("dresden-2/raw_counts_derived.csv"), ["n_on", "n_off"])
        regions = load("dresden-2").experiment.regions
        text = "\n".join(f"analyses.{name}.statistic = 'gaussian'" for name in COUNTS)
        for run in ("on", "off"):
            live, rate = regions[run].live_days or 0.0, rates[f"rate_{run}"]
            error = rates[f"err_{run}"] if released else rate / np.sqrt(counts[f"n_{run}"])
            values, errors = (live * rate).tolist(), (live * error).tolist()
            data = f"{{ kind = 'values', values = {values}, errors = {errors} }}"
            text += f"\nregions.{run}.data = {data}"
            text += f"\nregions.{run}.acceptance = {{ table = 'ones.csv', error_column = '' }}"
        return text

    return change


def chained(*changes: Change) -> Change:
    """Return the changes together."""
    return lambda: "\n".join(one() for one in changes)


QF = ("qf_ge_fef_ybe",)
#: From the analysis default to the settings of arXiv:2202.10829.
STEPS: Mapping[str, tuple[Change, tuple[str, ...]]] = {
    "as shipped": (lines(), ()),
    "with the acceptance error as one common factor": (common_acceptance, ()),
    "quenching held": (lines(), QF),
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
ERRORS: Mapping[str, Change] = {
    "Poisson, as shipped": lines(),
    "chi2, statistical errors": gaussian(released=False),
    "chi2, released errors": gaussian(released=True),
}


def write(change: Change, folder: Path) -> str:
    """Write a file that extends the experiment, and return its path."""
    bins = read_table(resources.find("dresden-2/raw_counts_derived.csv"), ["e_lo_kev_ee"])
    ones = "1\n" * bins["e_lo_kev_ee"].size
    (folder / "ones.csv").write_text(f"# source: none\nacceptance\n{ones}", encoding="utf-8")
    return variants.write("dresden-2", [change()], folder)


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
        (found,) = nuhf.limit(path, name, cl=cl, analysis=analysis, fixed_nuisances=held, **more)
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
            interval(path, "munu_e", 1e-10, 0.9, analysis, held, fixed=values)
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
