"""Run the variations behind docs/validation/variations.md and print its tables.

Every variation is a copy of an experiment file with a few lines more in its analysis `default`, so
that a reader can repeat any of them by hand: python docs/validation/variations.py [EXP...] (a few
minutes).
"""

import re
import sys
import tempfile
from dataclasses import dataclass
from math import floor, log10
from pathlib import Path

from variants import true_energy

import nuhf
from nuhf.errors import FitError
from nuhf.experiments.catalogue import list_experiments, load
from nuhf.stats.results import LimitResult


@dataclass(frozen=True)
class Variation:
    """A change of the analysis default.

    ``keys`` of (key, value) are in the table of the analysis, in place of those that are there.
    """

    kind: str
    label: str
    keys: tuple[tuple[str, str], ...] = ()
    fixed_nuisances: tuple[str, ...] = ()
    analysis: str = "default"


def change(kind: str, label: str, **values: str) -> Variation:
    """Return a variation that changes keys of the file; ``__`` in a name is a dot."""
    keys = [(f"changes.{name.replace('__', '.')}", value) for name, value in values.items()]
    return Variation(kind, label, tuple(keys))


def form(name: str) -> Variation:
    """Return the variation of the form factor."""
    labels = {"klein-nystrand": "Klein-Nystrand", "klein-nystrand-rms": "Klein-Nystrand",
              "symmetrised-fermi": "symmetrised Fermi"}  # fmt: skip
    return change("form factor", labels[name], physics__form_factor=f'"{name}"')


LINEAR = Variation("pull encoding", "linear pulls, histosys", (("pulls", '"linear"'),))
FORM = (form("klein-nystrand"), form("symmetrised-fermi"))
# the same with the radius as its argument, as an expansion in the neutron radius needs it
FORM_RMS = (form("klein-nystrand-rms"), form("symmetrised-fermi"))
SCHEMES = (change("couplings", "radiatively corrected", physics__couplings='"radiative"'),)
QF_CSI = ("qf_csi_syst0", "qf_csi_syst1")


def nuclei(name: str) -> tuple[Variation, ...]:
    """Variations without electrons, and so without the nuisance that acts on them alone.

    Corrections of the couplings are for nuclei alone.
    """
    keys = (("signals", '["cevns"]'),)
    wanted = [n.name for n in load(name).nuisances]
    if "ly_csi_electron" in wanted:
        listed = ", ".join(f'"{n}"' for n in wanted if n != "ly_csi_electron")
        keys += (("nuisances", f"[{listed}]"),)
    (scheme,) = SCHEMES
    return (
        Variation("electrons", "no scattering on electrons", keys),
        Variation("couplings", "radiatively corrected, no electrons", keys + scheme.keys),
    )


def binning(label: str, **edges: list[float]) -> Variation:
    """Return a variation of the bins of the region."""
    axes = ", ".join(f"{name} = {values}" for name, values in edges.items())
    return change("binning", label, regions__main__axes=f"{{ {axes} }}")


def edges(name: str) -> dict[str, list[float]]:
    """Return the bin edges of the analysis default."""
    axes = load(name).experiment.regions["main"].axes
    return {axis: [float(e) for e in values] for axis, values in axes.items()}


def reactor(source: str) -> tuple[Variation, ...]:
    """Variations of the spectrum of a reactor."""
    models = {"Estienne et al. 2019": "estienne2019", "Vogel-Engel": "vogel-engel"}
    return tuple(
        change("flux model", label, **{f"sources__{source}__spectrum": f'"{model}"'})
        for label, model in models.items()
    )


def sun(name: str) -> tuple[Variation, ...]:
    """Variations of an experiment that sees electrons scattered by solar neutrinos."""
    step, other = ("rrpa", "step") if name.startswith("lz") else ("step", "rrpa")
    names = {"step": "steps at the binding energies", "rrpa": "RRPA"}
    signals = load(name).analysis.signals or tuple(load(name).experiment.signals)

    def bound(label: str, binding: str) -> Variation:
        values = {f"signals__{signal}__binding": f'"{binding}"' for signal in signals}
        return change("electrons", label, **values)

    ((axis, values),) = edges(name).items()
    return (
        bound(f"{names[other]} instead of {names[step]}", other),
        bound("free electrons", "free"),
        change("P_ee", "0.542 for pp and 7Be, not adiabatic", sources__sun__survival=pee(0.542)),
        change("P_ee", "0.553 for pp and 7Be", sources__sun__survival=pee(0.553)),
        change("flux model", "low metallicity, AGSS09met", sources__sun__fluxes='"agss09met"'),
        change("efficiency", "in true energy", **true_energy(name)),
        LINEAR,
        binning("bins twice as wide", **{axis: [*values[:-1:2], values[-1]]}),
    )


def pee(value: float) -> str:
    """Return a constant survival probability."""
    return f"{{ pp = {value}, be7 = {value} }}"


# the flux that SNO measured is in the files
GS98 = change(
    "flux model", "high metallicity, GS98", sources__sun__flux_per_cm2_s="{ b8 = 5.46e6 }"
)


HEADLINES = {
    "coherent-csi-2021": ("qnu_mumu", "munu_mu"),
    "coherent-csi-2017": ("qnu_mumu", "munu_mu"),
    "coherent-lar-2020": ("qnu_mumu", "munu_mu"),
    "coherent-ge-2026": ("r2nu_mumu", "sin2thetaW"),
    **dict.fromkeys(("dresden-2", "conus-plus"), ("munu_e", "qnu_ee")),
    **dict.fromkeys(
        ("xenonnt-sr0", "lz-ws2022", "lz-ws2024", "pandax-4t-run0", "pandax-4t-run1"),
        ("munu_eff", "qnu_ee"),
    ),
    **dict.fromkeys(
        ("darwin-30ty", "darwin-300ty", "darwin-300ty-depleted"), ("munu_eff", "r2nu_ee")
    ),
    **dict.fromkeys(("xenonnt-8b", "xenonnt-s2-only"), ("munu_eff", "sin2thetaW")),
    **dict.fromkeys(("pandax-4t-8b", "lz-8b"), ("r2nu_ee", "sin2thetaW")),
    "apv-cs": ("sin2thetaW",),
}


def csi(name: str) -> tuple[Variation, ...]:
    """Variations of a measurement with CsI."""
    shipped = edges(name)
    if name == "coherent-csi-2021":
        wide = [0.0, 12.0, 20.0, 32.0, 50.0, 60.0]
        special = (
            *FORM,
            change(
                "flux model",
                "tabulated spectrum of the release",
                sources__sns__energy_table='"sns/flux_energy.csv"',
            ),
            Variation(
                "quenching",
                "constant 8.78 %, no error",
                (("changes.responses.nuclear.quenching.coefficients", "[0.0878]"),),
                QF_CSI,
            ),
            Variation("quenching", "no error", fixed_nuisances=QF_CSI),
        )
    else:
        wide = [6.0, 10.0, 14.0, 18.0, 22.0, 26.0, 30.0]
        up = "[0.0613632, 3.51547, -85.5548, 595.562]"
        down = "[0.0495624, 5.09815, -137.858, 1085.2]"
        error = "nuisances__qf_csi_constant__{}__responses__nuclear__quenching__coefficients"
        values = {
            "responses__nuclear__quenching__coefficients": (
                "[0.0554628, 4.30681, -111.707, 840.384]"
            ),
            error.format("up"): up,
            error.format("down"): down,
        }
        special = (
            *FORM_RMS,
            change("quenching", "fit of 2021 with its first error", **values),
            Variation("quenching", "no error", fixed_nuisances=("qf_csi_constant",)),
        )
    return (
        *special,
        *nuclei(name),
        binning("no time bins", **{**shipped, "time_us": [0.0, 6.0]}),
        binning("bins of PE twice as wide", **{**shipped, "photoelectrons": wide}),
        LINEAR,
    )


def variations(name: str) -> tuple[Variation, ...]:
    """Return the variations that make sense for an experiment."""
    if name.startswith("coherent-csi"):
        return csi(name)
    found = {
        "coherent-lar-2020": (
            *FORM,
            *SCHEMES,
            change(
                "quenching", "+2 %", responses__nuclear__quenching__coefficients="[0.251, 0.78]"
            ),
            LINEAR,
        ),
        "coherent-ge-2026": (*FORM, *SCHEMES),
        "dresden-2": (
            *FORM,
            *reactor("quoted"),
            Variation("quenching", "YBe curve", analysis="default-ybe"),
            Variation("quenching", "Lindhard", analysis="default-lindhard"),
            Variation("quenching", "no error", fixed_nuisances=("qf_ge_fef_ybe",)),
            *nuclei("dresden-2"),
            LINEAR,
        ),
        "conus-plus": (
            *FORM,
            *reactor("leibstadt"),
            change("quenching", "Lindhard, k = 0.157", responses__nuclear__quenching__k="0.157"),
            *nuclei("conus-plus"),
        ),
        "xenonnt-8b": (
            *FORM,
            *SCHEMES,
            GS98,
            Variation("yields", "no error", fixed_nuisances=("ly_xenonnt_8b", "qy_xenonnt_8b")),
            Variation("runs", "SR0 and SR1", analysis="sr0-sr1"),
            LINEAR,
        ),
        "xenonnt-s2-only": (
            *FORM,
            *SCHEMES,
            GS98,
            Variation("yields", "no error", fixed_nuisances=("qy_xenonnt_s2_only",)),
        ),
        "pandax-4t-8b": (*FORM, *SCHEMES),
        "lz-8b": (*FORM, *SCHEMES),
        "apv-cs": (
            Variation("neutron radius", "of COHERENT, free", analysis="cadeddu2020-radius"),
        ),
    }
    return found[name] if name in found else sun(name)


def changed(name: str, one: Variation) -> str:
    """Return the experiment file with the variation in it."""
    text = list_experiments()[name].read_text(encoding="utf-8")
    head = "[analyses.default]\n"
    if head not in text:
        # a file that extends another one
        text += f"\n{head}"
    before, _, rest = text.partition(head)
    end = re.search(r"^\[", rest, re.MULTILINE)
    body, after = (rest[: end.start()], rest[end.start() :]) if end else (rest, "")
    for key, value in one.keys:
        shipped = rf"(?ms)^{re.escape(key)} = (\[$.*?^\]|[^\n]*)\n"
        body = f"{key} = {value}\n" + re.sub(shipped, "", body, count=1)
    return before + head + body + after


def limit(path: str, parameter: str, one: Variation) -> LimitResult | str:
    """Return the interval, or why there is none."""
    try:
        (found,) = nuhf.limit(
            path, parameter, analysis=one.analysis, fixed_nuisances=one.fixed_nuisances
        )
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
