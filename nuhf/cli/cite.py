"""``nuhf cite`` and ``nuhf check``."""

from dataclasses import asdict
from pathlib import Path

import click

from nuhf.cli import options


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
@options.as_json
def check(as_json: bool) -> None:
    """Check this installation: versions, data digests, templates, three golden numbers.

    The golden numbers are computed here and compared with values of other origin: a constant
    (1 per 1e-32 cm2), SM events, and a limit (mu_B). Exit status 1, and a line for
    each failure, if anything is not as it should be; --json prints all findings.

    Example:  nuhf check
    """
    from nuhf import resources
    from nuhf.cli import progress
    from nuhf.errors import NuhfError
    from nuhf.report import selfcheck

    with progress.shown("check"):
        found = list(selfcheck.check())
    failures = [finding for finding in found if not finding.ok]
    if as_json:
        content = {
            "ok": not failures,
            "versions": selfcheck.versions(),
            "findings": [asdict(finding) for finding in found],
        }
        click.echo(resources.dump_record(content))
    else:
        shown = [finding for finding in found if finding.check != "version"]
        versions = (f"{name} {text or 'MISSING'}" for name, text in selfcheck.versions().items())
        click.echo(", ".join(versions))
        for finding in shown:
            mark = "ok  " if finding.ok else "FAIL"
            click.echo(f"{mark} {finding.check}: {finding.subject}: {finding.message}")
    if failures:
        for finding in failures if as_json else ():
            click.echo(f"{finding.subject}: {finding.message}", err=True)
        raise NuhfError(f"{len(failures)} of {len(found)} checks failed")
