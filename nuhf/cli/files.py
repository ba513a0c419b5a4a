"""``nuhf combine`` and ``nuhf validate``: pyhf files, ours and other people's."""

from pathlib import Path
from typing import Any

import click

from nuhf.cli import options

_files = click.argument(
    "files", metavar="FILE...", nargs=-1, required=True, type=click.Path(path_type=Path)
)


@options.command()
@_files
@click.option(
    "--measurement",
    metavar="NAME",
    help="Measurement to take of a file that has several; also the name of the result's.",
)
@click.option(
    "--poi", metavar="NAME", help="Parameter of interest; needed if the files have different ones."
)
@click.option("--patch", "patches", metavar="FILE", multiple=True,
              type=click.Path(path_type=Path),
              help="JSON patch for the file that is background only; repeatable.")  # fmt: skip
@click.option("--patchset", "points", metavar="FILE POINT", multiple=True, nargs=2,
              type=(click.Path(path_type=Path), str),
              help="Patch set and the name of a point, for the file with its digest.")  # fmt: skip
@click.option("--decorrelate", metavar="NAME", multiple=True,
              help="Parameter of equal name that is not the same; also lumi.")  # fmt: skip
@click.option("--correlate", metavar="A B RHO", multiple=True, type=(str, str, float),
              help="Correlation of two constrained parameters; repeatable.")  # fmt: skip
@options.output
def combine(
    files: tuple[Path, ...],
    patches: tuple[Path, ...],
    points: tuple[tuple[Path, str], ...],
    output: Path | None,
    **choices: Any,
) -> None:
    """Combine pyhf workspaces, ours or not, into one measurement (stdout without -o).

    What has the same name and definition becomes one parameter, and a note says which did;
    colliding channels and per-bin uncertainties are renamed, different luminosities kept apart;
    our couplings are brought to one unit; anything else is refused. FILE - is standard input.

    Example:  nuhf combine csi.json argon.json -o both.json

    After:  nuhf workspace coherent-csi-2021 -p munu_mu -o csi.json

    After:  nuhf workspace coherent-lar-2020 -p munu_mu -o argon.json
    """  # fmt: skip
    from nuhf import resources
    from nuhf.workspaces.combine import Choices, combine_files

    found = combine_files(files, Choices(**choices), patches, points)
    for note in found.notes:
        click.echo(f"note: {note}", err=True)
    options.write(output, resources.dump_json(found.spec) + "\n")


@options.command()
@_files
@click.option(
    "--workspace",
    metavar="FILE",
    type=click.Path(path_type=Path),
    help="Background-only workspace that patch sets and patches must belong to.",
)
@options.as_json
def validate(files: tuple[Path, ...], workspace: Path | None, as_json: bool) -> None:
    """Check workspaces, patch sets, patches and archives; exit status 1 if there are errors.

    What a file is, is told by its content; - is standard input. An archive (tar, zip, compressed or
    not) may have any layout, or be a HEPData submission with archives. Of a folder all .json files
    and archives are checked.

    Example:  nuhf validate grid/patchset.json --workspace grid/BkgOnly.json

    After:  nuhf patchset coherent-csi-2021 -p qnu_mumu -o grid
    """  # fmt: skip
    from nuhf import exchange, resources
    from nuhf.errors import NuhfError

    reports = exchange.validate(files, workspace=workspace)
    errors = sum(report.count("error") for report in reports)
    warnings = sum(report.count("warning") for report in reports)
    if as_json:
        content = {
            "results": [report.to_json() for report in reports],
            "errors": errors,
            "warnings": warnings,
        }
        click.echo(resources.dump_record(content))
    else:
        for report in reports:
            click.echo(f"{report.file}: {report.kind}, {'ok' if report.ok else 'not ok'}")
            for finding in report.findings:
                text = f"{finding.where}: {finding.message}"
                click.echo(f"  {finding.severity:8s}{finding.check:15s} {text}")
        click.echo(f"{len(reports)} files, {errors} errors, {warnings} warnings")
    if errors:
        broken = [report.file for report in reports if not report.ok]
        raise NuhfError(f"{errors} errors in {', '.join(broken)}")
