"""``nuhf plot``: figures of papers with our curves."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from nuhf.cli import options

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["plot"]

_PAIRS = {
    "fig1": ("qnu_mumu", "qnu_ee"),
    "fig2": ("munu_mu", "munu_e"),
    "fig3": ("r2nu_mumu", "r2nu_ee"),
    "fig4": ("anu_mumu", "anu_ee"),
}
_FIGURES = {"khan2023": (*_PAIRS, "fig5")}


_SPECTRA = ("prefit", "postfit")


@click.command()
@click.argument("subject", metavar="PAPER|EXP")
@click.argument("figure", metavar="FIG")
@options.analysis
@click.option("-o", "--output", type=click.Path(path_type=Path),
              help="Figure to write (png, pdf, svg); default PAPER-FIG.png.")  # fmt: skip
def plot(subject: str, figure: str, analysis: str, output: Path | None) -> None:
    """Draw a figure of a paper with our curves, or a spectrum; the CSV goes beside it.

    Papers: khan2023 fig1 to fig5. Experiments: prefit, postfit (data and components).

    Example:  nuhf plot khan2023 fig5 -o fig5.png
    """
    from nuhf import parameters, resources
    from nuhf.cli import artefacts
    from nuhf.errors import InputError
    from nuhf.experiments import catalogue
    from nuhf.report import plots

    figures = _FIGURES.get(subject, _SPECTRA)
    if figures is _SPECTRA and subject not in catalogue.list_experiments():
        if not subject.endswith(".toml"):
            known = [*_FIGURES, *catalogue.list_experiments()]
            hint = parameters.suggest(subject, known)
            raise InputError(f"unknown paper or experiment '{subject}'; {hint}")
        catalogue.load(subject, analysis)
    if figure not in figures:
        raise InputError(
            f"{subject} has no figure '{figure}'; {parameters.suggest(figure, figures)}"
        )
    path = output or Path(f"{Path(subject).stem}-{figure}.png")
    path = path if path.suffix else path.with_suffix(".png")
    if figures is _SPECTRA:
        keywords = {"analysis": analysis}
        drawn, table = artefacts.spectrum([subject], "norm_cevns", keywords, figure == "postfit")
    else:
        drawn, table = _fig5() if figure == "fig5" else _pair(*_PAIRS[figure])
    plots.save(drawn, path)
    resources.write_text(path.with_suffix(".csv"), table)
    options.say(path)
    options.say(path.with_suffix(".csv"))


def _pair(first: str, second: str) -> "tuple[Figure, str]":
    """Profiles of two parameters and their regions, as in Figs 1 to 4."""
    from nuhf import api
    from nuhf.cli import artefacts
    from nuhf.inference.intervals import threshold
    from nuhf.report import plots

    keywords: dict[str, Any] = {"analysis": "khan2023", "anapole": "khan"}
    name = "coherent-csi-2021"
    curves = []
    for parameter in (first, second):
        (found,) = api.limit(name, parameter, **keywords)
        scan = api.scan(name, parameter, points=241, **keywords)
        curves.append(artefacts.curve(scan, found.intervals))
    region = api.contour(name, (first, second), **keywords)
    lines = {f"{100 * cl:g} % CL": pieces for cl, pieces in region.regions}
    figure = plots.profiles_and_regions(
        curves, threshold(0.9), 0.9, lines, region.best_fit, "coherent-csi-2021 (khan2023)"
    )
    return figure, artefacts.contour_csv(region)


def _fig5() -> "tuple[Figure, str]":
    """Cross-section ratios at 30 MeV and 11 keV, and the millicharge term of eq 27."""
    import numpy as np

    from nuhf.physics.nuclei import read_nuclides
    from nuhf.report import khan2023, plots
    from nuhf.tables import format_csv

    ranges = {
        "qnu": (-9, -5, r"$q_\nu$ [$e$]"),
        "munu": (-11, -7, r"$\mu_\nu$ [$\mu_\mathrm{B}$]"),
        "r2nu": (-33, -29, r"$\langle r^2_\nu\rangle$ [$\mathrm{cm}^2$]"),
        "anu": (-33, -29, r"$a_\nu$ [$\mathrm{cm}^2$], convention khan"),
    }
    panels: list[dict[str, Any]] = []
    rows: dict[str, list[Any]] = {"quantity": [], "sign": [], "x": [], "y": []}

    def add(quantity: str, sign: int, x: Any, y: Any) -> None:
        for pair in zip(x, y, strict=True):
            for key, value in zip(rows, (quantity, sign, *map(float, pair)), strict=True):
                rows[key].append(value)

    for kind, (low, high, label) in ranges.items():
        values = np.logspace(low, high, 401)
        curves = {}
        for sign in (1,) if kind == "munu" else (1, -1):
            ratio = khan2023.cross_section_ratio(kind, sign * values)
            curves["positive" if sign > 0 else "negative"] = ratio
            add(f"ratio_{kind}", sign, values, ratio)
        panels.append({"x": values, "curves": curves, "label": label})
    charges = np.logspace(-13, -5, 161)
    caesium = read_nuclides()["Cs133"].mass
    terms = {
        "nucleus (Cs)": khan2023.millicharge_term(charges, caesium),
        "electron": khan2023.millicharge_term(charges),
    }
    for name, term in terms.items():
        add(f"millicharge_term_{name.split()[0]}", 1, charges, term)
    panels.append(
        {"x": charges, "curves": terms, "label": r"$q_\nu$ [$e$]", "y": r"$f(q_\nu)$, eq 27"}
    )
    title = "CsI, 30 MeV neutrinos, 11 keV recoil: (SM + coupling) / SM"
    comments = [
        "Khan 2023 Fig 5: ratios at 30 MeV and 11 keV, x in e, mu_B, cm2, cm2; eq 27 at 11 keV"
    ]
    return plots.ratios(panels, "ratio to the SM", title), format_csv(rows, comments)
