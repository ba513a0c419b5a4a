"""Run the variations behind docs/validation/variations.md and print its tables.

Every variation is a copy of an experiment file with a few texts changed in it, so that a reader
can repeat any of them by hand: python docs/validation/variations.py [EXP...] (two minutes).
"""

import re
import sys
import tempfile
from dataclasses import dataclass
from math import floor, log10
from pathlib import Path

import nuhf
from nuhf.errors import FitError
from nuhf.experiments.catalogue import list_experiments
from nuhf.stats.results import LimitResult


@dataclass(frozen=True)
class Variation:
    """A change of the analysis default.

    ``pairs`` of (old, new) text replace it in the whole file, ``keys`` of (key, new value) in the
    table of the analysis; both must be there. ``add`` are lines that the table gets.
    """

    kind: str
    label: str
    pairs: tuple[tuple[str, str], ...] = ()
    keys: tuple[tuple[str, str], ...] = ()
    add: str = ""
    fix: tuple[str, ...] = ()
    analysis: str = "default"
    linear: bool = False


def key(kind: str, label: str, name: str, value: str) -> Variation:
    """Return a variation that changes one key of the analysis."""
    return Variation(kind, label, keys=((name, value),))


LINEAR = Variation("pull encoding", "linear pulls, histosys", linear=True)
FERMI = key("form factor", "symmetrised Fermi", "form_factor", '"symmetrised-fermi"')
FORM = (key("form factor", "Klein-Nystrand", "form_factor", '"klein-nystrand"'), FERMI)
# the same with the radius as its argument, as an expansion in the neutron radius needs it
FORM_RMS = (key("form factor", "Klein-Nystrand", "form_factor", '"klein-nystrand-rms"'), FERMI)
SCHEMES = (key("couplings", "radiatively corrected", "couplings", '"radiative"'),)
QF_2021 = (
    ("coefficients = [0.0878]", "coefficients = [0.0554628, 4.30681, -111.707, 840.384]"),
    ("up = [0.1044]\n", "up = [0.0613632, 3.51547, -85.5548, 595.562]\n"),
    ("down = [0.0712]\n", "down = [0.0495624, 5.09815, -137.858, 1085.2]\n"),
)
QF_2017 = (("coefficients = [0.0554628, 4.30681, -111.707, 840.384]", "coefficients = [0.0878]"),)
QF_CSI = ("qf_csi_syst0", "qf_csi_syst1")


def sun(step: str, other: str, wide: list[float] | None = None) -> tuple[Variation, ...]:
    """Variations of an experiment that sees the Sun; ``other`` replaces electrons = ``step``."""
    names = {"step": "steps at the binding energies", "rrpa": "RRPA"}
    found = [
        key("electrons", f"{names[other]} instead of {names[step]}", "electrons", f'"{other}"'),
        key("electrons", "free electrons", "electrons", '"free"'),
        Variation("P_ee", "0.542 for pp and 7Be, not adiabatic", add=pee(0.542)),
        Variation("P_ee", "0.553 for pp and 7Be", add=pee(0.553)),
        Variation("flux model", "low metallicity, AGSS09met", (('"gs98"', '"agss09met"'),)),
        key("efficiency", "in true energy", "efficiency_energy", '"true"'),
        LINEAR,
    ]
    if wide is not None:
        found.append(key("binning", "bins twice as wide", "edges_kev", str(wide)))
    return tuple(found)


def pee(value: float) -> str:
    """Return the line of a constant survival probability."""
    return f"survival = {{ pp = {value}, be7 = {value} }}\n"


def doubled(name: str) -> list[float]:
    """Return every second bin edge of the analysis default, and the last."""
    edges = list(nuhf.load(name).loaded.analysis.edges_kev)
    return [float(e) for e in (*edges[:-1:2], edges[-1])]


HEADLINES = {
    "coherent-csi-2021": ("qnu_mumu", "munu_mu"),
    "coherent-csi-2017": ("qnu_mumu", "munu_mu"),
    "coherent-lar-2020": ("qnu_mumu", "munu_mu"),
    "dresden-2": ("munu_e", "qnu_ee"),
    **dict.fromkeys(
        ("xenonnt-sr0", "lz-ws2022", "lz-ws2024", "pandax-4t-run0", "pandax-4t-run1"),
        ("munu_eff", "qnu_ee"),
    ),
    **dict.fromkeys(
        ("darwin-30ty", "darwin-300ty", "darwin-300ty-depleted"), ("munu_eff", "r2nu_ee")
    ),
    "apv-cs": ("sin2thetaW",),
}


def variations(name: str) -> tuple[Variation, ...]:
    """Return the variations that make sense for an experiment."""
    found = {
        "coherent-csi-2021": (
            *FORM,
            *SCHEMES,
            key("flux model", "tabulated spectrum of the release", "spectrum", '"tabulated"'),
            Variation("quenching", "constant 8.78 %, no error", QF_2017, fix=QF_CSI),
            Variation("quenching", "no error", fix=QF_CSI),
            key("binning", "no time bins", "t_edges_us", "[0, 6]"),
            key("binning", "bins of PE twice as wide", "pe_edges", "[0, 12, 20, 32, 50, 60]"),
            LINEAR,
        ),
        "coherent-csi-2017": (
            *FORM_RMS,
            *SCHEMES,
            Variation("quenching", "fit of 2021 with its first error", QF_2021),
            Variation("quenching", "no error", fix=("qf_csi_constant",)),
            key("binning", "no time bins", "t_edges_us", "[0, 6]"),
            key("binning", "bins of PE twice as wide", "pe_edges", "[6, 10, 14, 18, 22, 26, 30]"),
            LINEAR,
        ),
        "coherent-lar-2020": (
            *FORM,
            *SCHEMES,
            Variation("quenching", "+2 %", (("[0.246, 0.78]", "[0.251, 0.78]"),)),
            LINEAR,
        ),
        "dresden-2": (
            *FORM,
            *SCHEMES,
            *(
                Variation("flux model", label, (('spectrum = "bestiole2023"', new),))
                for label, new in (
                    ("Estienne et al. 2019", 'spectrum = "estienne2019"'),
                    ("Vogel-Engel", 'spectrum = "vogel-engel"'),
                )
            ),
            Variation("quenching", "YBe curve", analysis="default-ybe"),
            Variation("quenching", "Lindhard", analysis="default-lindhard"),
            Variation("quenching", "no error", fix=("qf_ge_fef_ybe",)),
            key("electrons", "no scattering on electrons", "signals", '["cevns"]'),
            LINEAR,
        ),
        "apv-cs": (
            Variation("neutron radius", "of COHERENT, free", analysis="cadeddu2020-radius"),
        ),
    }
    if name in found:
        return found[name]
    lz = name.startswith("lz")
    return sun(*(("rrpa", "step") if lz else ("step", "rrpa")), doubled(name))


def changed(name: str, one: Variation) -> str:
    """Return the experiment file with the variation in it."""
    text = list_experiments()[name].read_text(encoding="utf-8")
    for old, new in one.pairs:
        if old not in text:
            raise SystemExit(f"{name}: the experiment file has no text {old!r}")
        text = text.replace(old, new)
    before, head, rest = text.partition("[analyses.default]\n")
    # the table itself ends at the next bracket in the first column, the analysis at the next one
    end = re.search(r"^\[(?!\[?analyses\.default[.\]])", rest, re.MULTILINE)
    body, after = (rest[: end.start()], rest[end.start() :]) if end else (rest, "")
    for name_of_key, value in one.keys:
        line = f"{name_of_key} = {value}\n"
        body, count = re.subn(rf"(?m)^{name_of_key} = .*\n", line, body, count=1)
        body = body if count else line + body
    if one.linear:
        body = re.sub(r'(?m)^kind = "norm"\n(?!pull)', 'kind = "norm"\npull = "linear"\n', body)
    return before + head + one.add + body + after


def limit(path: str, parameter: str, one: Variation) -> LimitResult | str:
    """Return the interval, or why there is none."""
    try:
        (found,) = nuhf.limit(path, parameter, analysis=one.analysis, fix=one.fix)
    except FitError as error:
        return str(error)
    return found


def width(found: LimitResult) -> float:
    """Return the width of the hull; of a modulus, its upper end."""
    bounded = found.upper_limit is not None
    return found.intervals[-1][1] - (0.0 if bounded else found.intervals[0][0])


def cell(found: LimitResult | str, nominal: LimitResult, scale: float) -> str:
    """Return the two columns of a parameter: all pieces, and the ratio of the widths."""
    if isinstance(found, str):
        return f" {found} | |"
    text = " ".join(
        f"[{low / scale:.3g}, {high / scale:.3g}]" if low else f"< {high / scale:.3g}"
        for low, high in found.intervals
    )
    return f" {text} | {width(found) / width(nominal):.3f} |"


def table(name: str, folder: Path) -> None:
    """Print the table of an experiment."""
    parameters = HEADLINES[name]
    nominal = [limit(name, p, Variation("", "")) for p in parameters]
    scales = [10.0 ** floor(log10(width(one))) for one in nominal]
    heads = [
        f"{p}" if one.unit == "1" else f"{p} [{scale:g} {one.unit}]"
        for p, one, scale in zip(parameters, nominal, scales, strict=True)
    ]
    scales = [1.0 if o.unit == "1" else s for o, s in zip(nominal, scales, strict=True)]
    print(f"\n## {name}\n")
    print("| what | variation |" + "".join(f" {head} | ratio |" for head in heads))
    print("|---|---|" + "---|---|" * len(heads))
    for one in (Variation("", "as shipped"), *variations(name)):
        path = folder / f"{name}.toml"
        path.write_text(changed(name, one), encoding="utf-8")
        found = [limit(str(path), p, one) for p in parameters]
        cells = [cell(*entry) for entry in zip(found, nominal, scales, strict=True)]
        print(f"| {one.kind} | {one.label} |" + "".join(cells), flush=True)


def main() -> None:
    """Print the tables of the experiments named, or of all."""
    chosen = sys.argv[1:] or list(HEADLINES)
    unknown = [name for name in chosen if name not in HEADLINES]
    if unknown:
        raise SystemExit(f"no variations of {', '.join(unknown)}; there are {', '.join(HEADLINES)}")
    with tempfile.TemporaryDirectory() as folder:
        for name in chosen:
            table(name, Path(folder))


if __name__ == "__main__":
    main()
