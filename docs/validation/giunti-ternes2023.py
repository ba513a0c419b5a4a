"""Run the variations behind docs/validation/giunti-ternes2023.md and print its tables.

Every variation is files that extend the experiments by a few lines of the analysis, so that a
reader can repeat any of them by hand: python docs/validation/giunti-ternes2023.py (about six
minutes; with words after it only the tables named: rows single measured darwin).
"""

import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import variants

import nuhf
from nuhf.errors import FitError
from nuhf.experiments.catalogue import load

PAPER = "giunti-ternes2023"
MEASURED = ("pandax-4t-run0", "lz-ws2022", "xenonnt-sr0")
FUTURE = ("darwin-30ty", "darwin-300ty", "darwin-300ty-depleted")
SCALES = {"munu": 1e-12, "qnu": 1e-13, "r2nu": 1e-32}
TABLES = {
    "qnu": ("qnu_ee", "qnu_mumu", "abs_qnu_emu", "abs_qnu_mutau"),
    "r2nu": ("r2nu_ee", "r2nu_mumu", "abs_r2nu_emu", "abs_r2nu_mutau"),
}
SHOWN = ("munu_eff", "qnu_ee", "abs_qnu_mutau", "r2nu_ee", "abs_r2nu_mutau")

Keys = tuple[str, ...]
#: Lines of the analysis of the paper, and of new nuisances, by experiment.
Changes = Mapping[str, Keys]
PANDAX, LZ, XENON = MEASURED
FLAT = "bkg_pandax_4t_run0_flat_1235", "bkg_pandax_4t_run0_flat_4"
BETA = "bkg_lz_ws2022_beta_detector"
PB = "bkg_xenonnt_sr0_pb214"


def bins(edges: Sequence[float], axis: str = "energy_kev") -> Keys:
    """Return the line of other bins."""
    return (f"changes.regions.main.axes = {{ {axis} = {list(edges)} }}",)


def sizes(values: Mapping[str, float]) -> Keys:
    """Return the lines of other errors of nuisances."""
    return tuple(f"changes.nuisances.{name}.size = {size:g}" for name, size in values.items())


def true_energy(name: str) -> Keys:
    """Return the lines of an efficiency in true energy."""
    return tuple(f"changes.{key} = {text}" for key, text in variants.true_energy(name).items())


def nuisances(name: str, new: Mapping[str, str]) -> str:
    """Return the line of the list with other names of some nuisances; "" leaves one out."""
    old = load(name, PAPER).analysis.nuisances or ()
    listed = [new.get(one, one) for one in old]
    return f"nuisances = {[one for one in listed if one]}"


def own(name: str) -> Keys:
    """Return lines that give every shared nuisance a name of its own."""
    shared = ("flux_solar_pp", "flux_solar_be7", "bkg_xe136")
    new = {n: f"{n}_{name.replace('-', '_')}" for n in shared}
    shipped = load(name, PAPER).experiment.nuisances
    tables = (norm(new[n], shipped[n].size, *shipped[n].processes) for n in shared)
    return nuisances(name, new), *tables


def norm(name: str, size: float, *processes: str) -> str:
    """Return the line of a nuisance that the file does not have."""
    table = f"{{ kind = 'norm', size = {size}, processes = {list(processes)} }}"
    return f"nuisances.{name} = {table}"


HIGH = range(30, 141, 2)
#: One flat background of PandaX and of LZ.
COMMON: Changes = {
    PANDAX: (
        nuisances(PANDAX, {FLAT[0]: "bkg_flat", FLAT[1]: ""}),
        norm("bkg_flat", 0.09, "flat_1235", "flat_4"),
    ),
    LZ: (nuisances(LZ, {BETA: "bkg_flat"}), norm("bkg_flat", 0.072, "beta_detector")),
}

#: Name of the variation, and its changes.
VARIATIONS: Mapping[str, Changes] = {
    "as shipped": dict.fromkeys(MEASURED, ()),
    "efficiency in true energy (eq 18)": {name: true_energy(name) for name in MEASURED},
    "without the first keV above threshold": {
        PANDAX: bins(range(2, 31)),
        LZ: bins([e / 3 for e in range(6, 52)], "energy_kev_ee"),
        XENON: bins([*range(2, 30), *HIGH]),
    },
    "bins twice as wide (LZ: 17 bins)": {
        PANDAX: bins(range(0, 31, 2)),
        LZ: bins(range(18), "energy_kev_ee"),
        XENON: bins([1, *range(2, 30, 2), *HIGH]),
    },
    "Poisson (XENONnT)": {XENON: ('statistic = "poisson"',)},
    "below 30 keV only (XENONnT)": {XENON: bins(range(1, 31))},
    "214Pb free from zero on (XENONnT)": {
        XENON: (
            f"changes.nuisances.{PB}.high = 10.0",
            f'changes.nuisances.{PB}.processes = ["pb214_least", "pb214"]',
        )
    },
    "exponential pulls": dict.fromkeys(MEASURED, ('pulls = "exponential"',)),
    "yields and errors of Table I, expected (LZ)": {
        LZ: (
            "changes.backgrounds.beta_detector.events = 215.0",
            "changes.backgrounds.xe136.events = 15.1",
            "changes.backgrounds.xe127.events = 9.2",
            "changes.backgrounds.xe124.events = 5.0",
            *sizes({BETA: 0.167}),
        )
    },
    "RRPA for the SM part (LZ)": {
        LZ: tuple(f'changes.signals.{n}.binding = "rrpa"' for n in ("eves_pp", "eves_be7"))
    },
    "solar neutrinos on top of flat (PandaX)": {
        PANDAX: (
            "changes.backgrounds.flat_1235.contains_signal = false",
            "changes.backgrounds.flat_4.contains_signal = false",
        )
    },
    "one flat nuisance of 9 % (PandaX)": {
        PANDAX: (
            nuisances(PANDAX, {FLAT[1]: ""}),
            f'changes.nuisances.{FLAT[0]}.processes = ["flat_1235", "flat_4"]',
        )
    },
    "background errors halved": {
        PANDAX: sizes({FLAT[0]: 0.045, FLAT[1]: 0.045, "bkg_xe136": 0.08}),
        LZ: sizes({BETA: 0.036, "bkg_xe136": 0.079}),
        XENON: sizes({"bkg_xenonnt_sr0_kr85": 0.3335, "bkg_xenonnt_sr0_materials": 0.0925}),
    },
}

#: Variations of the combination alone.
COMBINED: Mapping[str, Changes] = {
    "correlated, as shipped": {},
    "plain sum: no shared nuisance": {name: own(name) for name in MEASURED},
    "flat backgrounds of PandaX and LZ in common too": COMMON,
    "214Pb of XENONnT, 7.2 %, in common with both": {
        **COMMON,
        XENON: (
            nuisances(XENON, {PB: "bkg_flat"}),
            norm("bkg_flat", 0.072, "pb214_least", "pb214"),
        ),
    },
}


def with_tau() -> Keys:
    """Return the line that frees the diagonal coupling of tau too."""
    tau = {"charges": "qnu_tautau", "radii": "r2nu_tautau"}
    rows = []
    for name, groups in load("darwin-30ty", PAPER).analysis.profiled.items():
        ((group, free),) = groups.items()
        more = [*free, *(tau[group],) * (name != tau[group])]
        rows.append(f"{name} = {{ {group} = {more} }}")
    return (f"profiled = {{ {', '.join(rows)} }}",)


#: Variations of DARWIN.
DARWIN: Mapping[str, Keys] = {
    "as shipped (2 %)": (),
    **{
        f"background priors {100 * size:g} %": sizes(
            {f"bkg_darwin_{n}": size for n in ("xe136", "pb214", "kr85")}
        )
        for size in (0.005, 0.01, 0.05, 0.2)
    },
    "efficiency in true energy (eq 18)": true_energy("darwin-30ty"),
    "214Pb at 0.56 per tonne, year and keV": (
        "changes.backgrounds.pb214.events_per_tonne_year = 349.74",
    ),
    "adiabatic survival for pp and 7Be": ("changes.sources.sun.survival = {}",),
    "no SM radii in the data": ("reference = {}",),
    "tautau profiled too": with_tau(),
}


def changed(name: str, keys: Keys, folder: Path) -> str:
    """Write an experiment with a variation; return its path."""
    return variants.write(name, variants.within(PAPER, keys), folder)


def kind(parameter: str) -> str:
    """Return ``munu``, ``qnu`` or ``r2nu``."""
    return parameter.removeprefix("abs_").split("_")[0]


def pieces(names: list[str], parameter: str, profiled: bool = True) -> str:
    """Return the interval as text, in the unit of its table."""
    groups = {"munu": (), "qnu": ("charges",), "r2nu": ("radii",)}
    profile = groups[kind(parameter)] if profiled else ()
    try:
        (found,) = nuhf.limit(names, parameter, analysis=PAPER, profiled=profile)
    except FitError as error:
        return str(error)
    scale = SCALES[kind(parameter)]
    if found.upper_limit is not None and len(found.intervals) == 1:
        return f"{found.upper_limit / scale:.3g}"
    return " ".join(f"[{low / scale:.3g}, {high / scale:.3g}]" for low, high in found.intervals)


def row(*cells: str) -> None:
    """Print a row of a table."""
    print("| " + " | ".join(cells) + " |", flush=True)


def head(*cells: str) -> None:
    """Print the head of a table."""
    print()
    row(*cells)
    print("|---" * len(cells) + "|")


def comparison() -> None:
    """Print every published row beside ours."""
    head("table", "experiment", "parameter", "published", "ours", "difference / width", "verdict")
    for c in nuhf.reproduce(PAPER):
        scale = SCALES[kind(c.row.parameter)]
        ours = " ".join(f"[{low / scale:.3g}, {high / scale:.3g}]" for low, high in c.ours)
        published = f"[{c.row.lower / scale:.3g}, {c.row.upper / scale:.3g}]"
        name = "combined" if len(c.row.experiments) > 1 else c.row.experiments[0]
        difference = f"{100 * c.distance:.1f} %"
        row(c.row.where, name, c.row.parameter, published, ours, difference, c.verdict)


def one_at_a_time() -> None:
    """Print Tables II and III without profiling."""
    for names in TABLES.values():
        head("experiment", *(f"{n}, one at a time" for n in names))
        for experiments in (*((name,) for name in MEASURED), MEASURED, *((n,) for n in FUTURE)):
            label = "combined" if len(experiments) > 1 else experiments[0]
            row(label, *(pieces(list(experiments), n, profiled=False) for n in names))


def variations(folder: Path) -> None:
    """Print the variations of the measured experiments and of their combination."""
    for target in (*MEASURED, "combined"):
        head(f"{target}: variation", *SHOWN)
        chosen = MEASURED if target == "combined" else (target,)
        asked = {**VARIATIONS, **COMBINED} if target == "combined" else VARIATIONS
        for label, changes in asked.items():
            if target == "combined" or target in changes:
                names = [changed(n, changes.get(n, ()), folder) for n in chosen]
                row(label, *(pieces(names, p) for p in SHOWN))


def darwin(folder: Path) -> None:
    """Print the variations of DARWIN."""
    for target in ("darwin-30ty", "darwin-300ty"):
        shown = (*SHOWN, "r2nu_mumu", "abs_r2nu_emu")
        head(f"{target}: variation", *shown)
        for label, keys in DARWIN.items():
            path = changed(target, keys, folder)
            row(label, *(pieces([path], p) for p in shown))


def main(parts: list[str]) -> None:
    """Print the tables asked for as Markdown, all by default."""
    chosen = parts or ["rows", "single", "measured", "darwin"]
    if "rows" in chosen:
        comparison()
    if "single" in chosen:
        one_at_a_time()
    with tempfile.TemporaryDirectory() as folder:
        if "measured" in chosen:
            variations(Path(folder))
        if "darwin" in chosen:
            darwin(Path(folder))


if __name__ == "__main__":
    main(sys.argv[1:])
