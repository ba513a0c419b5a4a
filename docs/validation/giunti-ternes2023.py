"""Run the variations behind docs/validation/giunti-ternes2023.md and print its tables.

Every variation is a copy of experiment files with some lines changed, so that a reader can
repeat any of them by hand: python docs/validation/giunti-ternes2023.py (about six minutes).
"""

import re
import tempfile
from pathlib import Path

import nuhf
from nuhf.errors import FitError
from nuhf.experiments.catalogue import list_experiments

PAPER = "giunti-ternes2023"
MEASURED = ("pandax-4t-run0", "lz-ws2022", "xenonnt-sr0")
FUTURE = ("darwin-30ty", "darwin-300ty", "darwin-300ty-depleted")
SCALES = {"munu": 1e-12, "qnu": 1e-13, "r2nu": 1e-32}
TABLES = {
    "qnu": ("qnu_ee", "qnu_mumu", "abs_qnu_emu", "abs_qnu_mutau"),
    "r2nu": ("r2nu_ee", "r2nu_mumu", "abs_r2nu_emu", "abs_r2nu_mutau"),
}
SHOWN = ("munu_eff", "qnu_ee", "abs_qnu_mutau", "r2nu_ee", "abs_r2nu_mutau")

Changes = dict[str, tuple[tuple[str, str], ...]]
SECTION = re.compile(r"(?s)\[analyses\.giunti-ternes2023\].*")
EDGES = re.compile(r"edges_kev = \[.*?\]")
PANDAX, LZ, XENON = MEASURED


def edges(values: list[float]) -> tuple[str, str]:
    """Return a replacement of the bin edges."""
    return "edges_kev = ", "edges_kev = " + str(values) + " # "


def own(name: str) -> tuple[tuple[str, str], ...]:
    """Return replacements that give every shared nuisance a name of its own."""
    tag = name.replace("-", "_")
    shared = ("flux_solar_pp", "flux_solar_be7", "bkg_xe136")
    return tuple((f'"{n}"', f'"{n}_{tag}"') for n in shared)


HIGH = [float(e) for e in range(30, 141, 2)]
FREE_PB = (
    ('high = 1.6153846153846154\nprocesses = ["pb214"]', 'processes = ["pb214_least", "pb214"]'),
)
TRUE = (('electrons = "step"', 'efficiency_energy = "true"\nelectrons = "step"'),)

#: Name of the variation, and (old, new) in the analysis of the paper, by experiment.
VARIATIONS: dict[str, Changes] = {
    "as shipped": {PANDAX: (), LZ: (), XENON: ()},
    "efficiency in true energy (eq 18)": {PANDAX: TRUE, LZ: TRUE, XENON: TRUE},
    "without the first keV above threshold": {
        PANDAX: (edges([float(e) for e in range(2, 31)]),),
        LZ: (edges([e / 3 for e in range(6, 52)]),),
        XENON: (edges([*[float(e) for e in range(2, 30)], *HIGH]),),
    },
    "bins twice as wide (LZ: 17 bins)": {
        PANDAX: (edges([float(e) for e in range(0, 31, 2)]),),
        LZ: (edges([float(e) for e in range(18)]),),
        XENON: (edges([1.0, *[float(e) for e in range(2, 30, 2)], *HIGH]),),
    },
    "Poisson (XENONnT)": {XENON: (('statistic = "gaussian"', 'statistic = "poisson"'),)},
    "below 30 keV only (XENONnT)": {XENON: (edges([float(e) for e in range(1, 31)]),)},
    "214Pb free from zero on (XENONnT)": {XENON: FREE_PB},
    "exponential pulls": dict.fromkeys(MEASURED, (('pull = "linear"\n', ""),)),
    "yields and errors of Table I, expected (LZ)": {
        LZ: (
            ("events = { beta_detector = 222.0, xe136 = 15.2, xe127 = 9.3, xe124 = 5.2 }", ""),
            ("size = 0.072", "size = 0.167"),
        )
    },
    "RRPA for the SM part (LZ)": {LZ: (('electrons = "step"', 'electrons = "rrpa"'),)},
    "solar neutrinos on top of flat (PandaX)": {
        PANDAX: (("contains_solar = true", "contains_solar = false"),)
    },
    "one flat nuisance of 9 % (PandaX)": {
        PANDAX: (
            ('processes = ["flat_1235"]', 'processes = ["flat_1235", "flat_4"]'),
            ("size = 0.09\nprocesses = [\"flat_4\"]", "size = 1e-6\nprocesses = [\"flat_4\"]"),
        )
    },
    "background errors halved": {
        name: tuple(
            (f"size = {s}\n", f"size = {s / 2:g}\n")
            for s in sizes
        )
        for name, sizes in {
            PANDAX: (0.09, 0.16), LZ: (0.072, 0.158), XENON: (0.667, 0.185)
        }.items()
    },
}  # fmt: skip

#: Variations of the combination alone.
COMBINED: dict[str, Changes] = {
    "correlated, as shipped": dict.fromkeys(MEASURED, ()),
    "plain sum: no shared nuisance": {name: own(name) for name in MEASURED},
    "flat backgrounds of PandaX and LZ in common too": {
        PANDAX: (
            ("bkg_pandax_4t_run0_flat_1235", "bkg_flat"),
            ('processes = ["flat_1235"]', 'processes = ["flat_1235", "flat_4"]'),
            ("size = 0.09\nprocesses = [\"flat_4\"]", "size = 1e-6\nprocesses = [\"flat_4\"]"),
        ),
        LZ: (("bkg_lz_ws2022_beta_detector", "bkg_flat"),),
        XENON: (),
    },
    "214Pb of XENONnT, 7.2 %, in common with both": {
        PANDAX: (
            ("bkg_pandax_4t_run0_flat_1235", "bkg_flat"),
            ('processes = ["flat_1235"]', 'processes = ["flat_1235", "flat_4"]'),
            ("size = 0.09\nprocesses = [\"flat_4\"]", "size = 1e-6\nprocesses = [\"flat_4\"]"),
        ),
        LZ: (("bkg_lz_ws2022_beta_detector", "bkg_flat"),),
        XENON: (
            (
                'name = "bkg_xenonnt_sr0_pb214"\nkind = "free"\nhigh = 1.6153846153846154\n'
                'processes = ["pb214"]',
                'name = "bkg_flat"\nkind = "norm"\npull = "linear"\nsize = 0.072\n'
                'processes = ["pb214_least", "pb214"]',
            ),
        ),
    },
}  # fmt: skip

#: Variations of DARWIN.
PRIORS = {
    f"background priors {100 * size:g} %": (("size = 0.02\n", f"size = {size}\n"),)
    for size in (0.005, 0.01, 0.05, 0.2)
}
DARWIN: dict[str, tuple[tuple[str, str], ...]] = {
    "as shipped (2 %)": (),
    **PRIORS,
    "efficiency in true energy (eq 18)": TRUE,
    "214Pb at 0.56 per tonne, year and keV": (
        ("events_per_tonne_year = 218.587", "events_per_tonne_year = 349.74"),
    ),
    "adiabatic survival for pp and 7Be": (("survival = { pp = 0.542, be7 = 0.542 }\n", ""),),
    "no SM radii in the data": (
        ("reference = { r2nu_ee = -8.3e-33, r2nu_mumu = -4.8e-33, r2nu_tautau = -3.0e-33 }\n", ""),
    ),
    "tautau profiled too": (
        ('charges = ["qnu_mumu"]', 'charges = ["qnu_mumu", "qnu_tautau"]'),
        ('charges = ["qnu_ee"]', 'charges = ["qnu_ee", "qnu_tautau"]'),
        ('radii = ["r2nu_mumu"]', 'radii = ["r2nu_mumu", "r2nu_tautau"]'),
        ('radii = ["r2nu_ee"]', 'radii = ["r2nu_ee", "r2nu_tautau"]'),
    ),
}


def copy(name: str, changes: tuple[tuple[str, str], ...], folder: Path) -> str:
    """Write a changed copy of an experiment and return its path."""
    text = list_experiments()[name].read_text(encoding="utf-8")
    for old, new in changes:
        if old not in text:
            raise SystemExit(f"{name}: the experiment file has no line {old!r}")
        if old == "edges_kev = ":
            text = SECTION.sub(lambda m, n=new: m.group().replace("edges_kev = ", n, 1), text)
        elif old.startswith(("contains", "events_per")):
            text = text.replace(old, new)
        else:
            text = SECTION.sub(lambda m, o=old, n=new: m.group().replace(o, n), text)
    path = folder / f"{name}.toml"
    path.write_text(text, encoding="utf-8")
    return str(path)


def kind(parameter: str) -> str:
    """Return ``munu``, ``qnu`` or ``r2nu``."""
    return parameter.removeprefix("abs_").split("_")[0]


def pieces(names: list[str], parameter: str, profiled: bool = True) -> str:
    """Return the interval as text, in the unit of its table."""
    groups = {"munu": (), "qnu": ("charges",), "r2nu": ("radii",)}
    profile = groups[kind(parameter)] if profiled else ()
    try:
        (found,) = nuhf.limit(names, parameter, analysis=PAPER, profile=profile)
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
    shipped = {name: str(path) for name, path in list_experiments().items()}
    for target in (*MEASURED, "combined"):
        head(f"{target}: variation", *SHOWN)
        for label, changes in VARIATIONS.items():
            if target != "combined" and target not in changes:
                continue
            chosen = MEASURED if target == "combined" else (target,)
            names = [copy(n, changes[n], folder) if n in changes else shipped[n] for n in chosen]
            row(label, *(pieces(names, p) for p in SHOWN))
        for label, changes in COMBINED.items() if target == "combined" else ():
            names = [copy(n, changes[n], folder) for n in MEASURED]
            row(label, *(pieces(names, p) for p in SHOWN))


def darwin(folder: Path) -> None:
    """Print the variations of DARWIN."""
    for target in ("darwin-30ty", "darwin-300ty"):
        shown = (*SHOWN, "r2nu_mumu", "abs_r2nu_emu")
        head(f"{target}: variation", *shown)
        for label, changes in DARWIN.items():
            path = copy(target, changes, folder)
            row(label, *(pieces([path], p) for p in shown))


def main() -> None:
    """Print all tables as Markdown."""
    comparison()
    one_at_a_time()
    with tempfile.TemporaryDirectory() as folder:
        variations(Path(folder))
        darwin(Path(folder))


if __name__ == "__main__":
    main()
