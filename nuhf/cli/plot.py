"""``nuhf plot``: figures of papers with our curves."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from nuhf.cli import options

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_SPECTRA = ("prefit", "postfit")


@options.command()
@click.argument("subject", metavar="PAPER|EXP|summary", required=False)
@click.argument("figure", metavar="[FIG|all|prefit|postfit]", required=False)
@options.analysis
@options.place(
    "Figure to write (png, pdf, svg), or its numbers alone (csv), default PAPER-FIG.png; with all, "
    "a folder, default PAPER-figures."
)
@click.option("--json", "as_json", is_flag=True,
              help="Bounds of summary as one JSON object; no figure without -o.")  # fmt: skip
def plot(
    subject: str | None, figure: str | None, analysis: str, output: Path | None, as_json: bool
) -> None:
    """Draw a figure of a paper with our curves, or a spectrum; the CSV goes beside it.

    Without FIG: list the figures of the paper; without PAPER, those of all papers. Experiments:
    prefit, postfit (data and components). summary: bounds of every experiment, of all together
    and of the literature.

    Example:  nuhf plot khan2023 fig5 -o fig5.png
    """
    from nuhf import resources
    from nuhf.api.build import model
    from nuhf.cli import artefacts
    from nuhf.couplings import parameters
    from nuhf.errors import InputError
    from nuhf.experiments import catalogue
    from nuhf.papers.published import list_papers

    papers, known = list_papers(), catalogue.list_experiments()
    if subject == "summary":
        _summary(figure, analysis, output, as_json)
        return
    if as_json:
        raise InputError("--json: for plot summary; other figures have a CSV beside them")
    if subject is None:
        for paper in papers:
            _list(paper)
        return
    if subject in papers:
        _paper(subject, figure, analysis, output)
        return
    if subject not in known:
        if not (subject.endswith(".toml") or resources.is_there(Path(subject))):
            hint = parameters.suggest(subject, [*papers, *known, "summary"])
            raise InputError(f"unknown paper or experiment '{subject}'; {hint}")
        catalogue.load(subject, analysis)
    if figure not in _SPECTRA:
        asked = f"has no figure '{figure}'; " if figure else "has the figures "
        hint = parameters.suggest(figure, _SPECTRA) if figure else ", ".join(_SPECTRA)
        raise InputError(f"{subject} {asked}{hint}")
    path = output or Path(f"{Path(subject).stem}-{figure}.png")
    problem = model(subject, analysis=analysis).problem
    _write(path, artefacts.spectrum(problem, figure == "postfit"))


def _list(paper: str) -> None:
    from nuhf.papers.figures import list_figures

    for name, spec in list_figures(paper).items():
        click.echo(f"{paper} {name:6s}  {spec.title}")


def _paper(paper: str, name: str | None, analysis: str, output: Path | None) -> None:
    from nuhf.errors import InputError
    from nuhf.papers import figures

    if analysis != "default":
        raise InputError(
            f"--analysis {analysis}: for spectra of experiments; a figure of a paper has its own"
        )
    if name is None:
        _list(paper)
        return
    bench = figures.workbench(paper)
    if name != "all":
        _write(output or Path(f"{paper}-{name}.png"), figures.draw(paper, name, bench))
        return
    folder = output or Path(f"{paper}-figures")
    if folder.suffix or folder.is_file():
        raise InputError(f"{folder}: with all, -o names a folder")
    for each in figures.list_figures(paper):
        _write(folder / f"{each}.png", figures.draw(paper, each, bench))


def _summary(figure: str | None, analysis: str, output: Path | None, as_json: bool) -> None:
    from nuhf import resources
    from nuhf.cli import progress
    from nuhf.errors import InputError
    from nuhf.papers.overview import overview
    from nuhf.parallel import cores

    if figure is not None or analysis != "default":
        raise InputError("summary is one figure, with the analysis default of every experiment")
    with progress.shown("summary") as step:
        found = overview(step=step, jobs=cores())
    if as_json:
        click.echo(resources.dump_record(found.to_json()))
    if output is not None or not as_json:
        _write(output or Path("summary.png"), (found.figure(), found.to_csv()))


def _write(path: Path, drawn: "tuple[Figure, str]") -> None:
    from nuhf.cli.artefacts import write_figures

    write_figures(path, drawn[1], {"": lambda: drawn[0]})
