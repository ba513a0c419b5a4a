"""``nuhf combine`` and ``nuhf validate``: pyhf files, ours and other people's."""

from pathlib import Path

import click

from nuhf.cli import options

__all__ = ["combine", "validate"]

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
@options.output
def combine(
    files: tuple[Path, ...], measurement: str | None, poi: str | None, output: Path | None
) -> None:
    """Combine pyhf workspaces, ours or not, into one measurement (stdout without -o).

    What has the same name and definition becomes one parameter; colliding channels and per-bin
    uncertainties are renamed; our couplings are brought to one unit; anything else is refused.

    Example:  nuhf combine csi.json argon.json -o both.json

    After:  nuhf workspace coherent-csi-2021 -p munu_mu -o csi.json

    After:  nuhf workspace coherent-lar-2020 -p munu_mu -o argon.json
    """  # fmt: skip
    from nuhf import resources
    from nuhf.workspaces.combine import combine_files

    found = combine_files(files, measurement, poi)
    for note in found.notes:
        click.echo(f"note: {note}", err=True)
    options.write(output, resources.dump_json(found.spec) + "\n")


@options.command()
@_files
@click.option(
    "--workspace",
    metavar="FILE",
    type=click.Path(path_type=Path),
    help="Background-only workspace that the patch sets must belong to.",
)
@options.as_json
def validate(files: tuple[Path, ...], workspace: Path | None, as_json: bool) -> None:
    """Check workspaces, patch sets and archives, ours or not; exit status 1 if there are errors.

    An archive (.tar.gz) is one of patch sets, or a HEPData submission with such archives. Of a
    folder all .json files and archives are checked.

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
        click.echo(resources.dump_json(content))
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
