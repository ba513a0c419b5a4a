"""``nuhf report``, ``cite`` and ``reproduce``: what stands behind numbers, published ones too."""

import shutil
from pathlib import Path
from typing import Final

import click

from nuhf.cli import options, progress

_WIDEST: Final = 100
_NARROWEST: Final = 79


@options.command()
@options.experiments
@options.analysis
@click.option("-p", "--parameter", multiple=True,
              help="Of workspace files: parameter of interest; repeatable. Default: that of the "
                   "measurement.")  # fmt: skip
@options.patched
@options.confidence
@options.files("HTML file to write.", default=Path("report.html"), show_default=True)
def report(
    experiments: tuple[str, ...],
    analysis: str,
    parameter: tuple[str, ...],
    patch: tuple[str, ...],
    measurement: str | None,
    cl: float,
    output: Path,
) -> None:
    """Write one HTML page: data, fits, limits in two units, scans, regions, citations.

    EXP is a name, the path of a TOML file, or all. The page needs no network and no other file.
    Published numbers stand beside ours. Several experiments by name are also fitted together.
    Or EXP is a pyhf workspace, a .json file; several are combined.
    Values in base units (e, mu_B, cm2, 1) and in the powers of ten that the field quotes.

    Example:  nuhf report coherent-csi-2021 -o report.html
    """
    from datetime import date

    from nuhf import resources
    from nuhf.api.given import files_of
    from nuhf.errors import InputError
    from nuhf.parallel import cores
    from nuhf.report import html
    from nuhf.stats.files import read_files

    if output.suffix.lower() not in (".html", ".htm"):
        raise InputError(f"{output}: a report is an .html file")
    files, today = files_of(experiments), date.today().isoformat()
    if files is None and (parameter or patch or measurement):
        raise InputError("-p, --patch and --measurement are for workspace files here")
    with progress.shown("report") as step:
        if files is not None:
            source = read_files(files, patch, measurement)
            page = html.report_files(source, parameter, cl=cl, written=today, step=step)
        else:
            page = html.report(
                experiments, analysis=analysis, cl=cl, written=today, step=step, jobs=cores()
            )
    resources.write_text(output, page)
    options.say(output)


@options.command()
@options.experiments
@options.analysis
@options.method("How the intervals are made: its papers are cited.", "cls", "feldman-cousins")
@click.option("--ranking", is_flag=True, help="Cite what a ranking uses, too.")
@click.option("--bibtex", is_flag=True, help="Print BibTeX entries.")
@options.as_json
@options.output
def cite(
    experiments: tuple[str, ...],
    analysis: str,
    method: str,
    ranking: bool,
    bibtex: bool,
    as_json: bool,
    output: Path | None,
) -> None:
    """Print the papers, data and programs behind a calculation: text, BibTeX or JSON.

    Experiments come first, then every source named in the tables that are read, the methods and
    the programs with their versions. Text and JSON list every table, too, with its source in
    words and whether it is computed, derived, digitised or UNVERIFIED.

    Example:  nuhf cite coherent-csi-2021 --method cls --bibtex -o nuhf.bib
    """
    from nuhf import resources
    from nuhf.api.given import prepared_of
    from nuhf.api.toys import check
    from nuhf.errors import InputError
    from nuhf.report import cite as citing
    from nuhf.report import sources

    if bibtex and as_json:
        raise InputError("--bibtex and --json exclude each other")
    check(0.9, method)
    prepared = prepared_of(experiments, analysis)
    found = citing.citations(prepared, [method, *(["ranking"] if ranking else [])])
    read = sources.tables(prepared)
    if as_json:
        content = {
            "citations": [one.to_json() for one in found],
            "tables": [table.to_json() for table in read],
        }
        text = resources.dump_record(content) + "\n"
    else:
        text = citing.bibtex(found) if bibtex else citing.plain_text(found, read)
    options.write(output, text)


@options.command()
@click.argument("paper", default="all", metavar="[PAPER|all]")
@options.as_json
@options.files("File to write: a page (.md), a table (.csv) or JSON (.json).")
def reproduce(paper: str, as_json: bool, output: Path | None) -> None:
    """Compare published numbers with ours: hull with hull, or piece with piece.

    diff.: the larger difference of the ends, of the published width. agrees: within 10 %; close:
    20 %; differs: a reason stands below, with a command that shows it. Fails, after all rows, if
    one has no number or no reason. A unit such as 1e-11 mu_B is that of both numbers; in -o and
    --json they are in base units.

    Example:  nuhf reproduce khan2023
    """
    import nuhf
    from nuhf import resources
    from nuhf.errors import InputError, ModelError
    from nuhf.papers import reproduced
    from nuhf.parallel import cores

    if output is not None and output.suffix not in (".md", ".csv", ".json"):
        raise InputError(f"{output}: name a page (.md), a table (.csv) or JSON (.json)")
    with progress.shown(f"reproduce {paper}") as step:
        found = nuhf.reproduce(paper, step=step, jobs=cores())
    content = resources.dump_record(
        {"rows": [c.to_json() for c in found], "verdicts": reproduced.shares(found)}
    )
    if output is not None:
        texts = {
            ".md": lambda: reproduced.as_markdown(found, paper),
            ".csv": lambda: reproduced.as_csv(found),
            ".json": lambda: content + "\n",
        }
        resources.write_text(output, texts[output.suffix]())
        options.say(output)
    if as_json:
        click.echo(content)
    else:
        columns = min(shutil.get_terminal_size((_WIDEST, 24)).columns, _WIDEST)
        click.echo(reproduced.as_text(found, max(columns, _NARROWEST)))
    missing = reproduced.incomplete(found)
    if missing:
        raise ModelError(f"{len(missing)} of {len(found)} rows: {'; '.join(missing)}")
