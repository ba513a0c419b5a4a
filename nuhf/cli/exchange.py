"""``nuhf patchset``, ``publish``, ``unpack`` and ``pyhf``."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from nuhf.cli import options, progress

if TYPE_CHECKING:
    from nuhf.workspaces.patchset import PatchGrid

_hepdata = click.option(
    "--hepdata", metavar="insNNNNNNN",
    help="INSPIRE record of the publication; a placeholder (ins0000000) without it.",
)  # fmt: skip
_folder = options.place("Folder to write.", required=True)


def _print_notes(notes: tuple[str, ...]) -> None:
    for note in notes:
        click.echo(f"note: {note}", err=True)


@options.command()
@options.experiments
@options.parameter(
    "Axis of the grid; give two for a grid in two parameters.", multiple=True, required=True
)
@click.option("--range", "brackets", nargs=2, type=float, multiple=True, metavar="LO HI",
              help="Range of the parameter in base units, one per -p. Default: the 90 % CL "
                   "interval and half its width on both sides.")  # fmt: skip
@click.option("--points", type=int, multiple=True, default=(41,), show_default=True,
              help="Points along the axes; give it once, or once per -p.")  # fmt: skip
@options.over(
    "Write a patch set for each value of a setting, such as mediator_mass_mev, in a "
    "folder of its own."
)
@click.option("--values", "number", default=7, show_default=True,
              help="Number of values of --over.")  # fmt: skip
@_hepdata
@options.model_options
@_folder
def patchset(
    experiments: tuple[str, ...],
    parameter: tuple[str, ...],
    over: str | None,
    between: tuple[float, float],
    number: int,
    settings: dict[str, float],
    output: Path,
    **chosen: Any,
) -> None:
    """Write a patch set for plain pyhf: BkgOnly.json, patchset.json and fix_strength.json.

    With --over, one for each value of a setting, such as mediator_mass_mev.

    Example:  nuhf patchset coherent-csi-2021 -p qnu_mumu --points 21 -o qnu_mumu
    """
    from nuhf import exchange
    from nuhf.exclusions import spaced

    places = {output: settings}
    if over is not None:
        places = {
            output / f"{over}_{value:.4g}": {**settings, over: float(value)}
            for value in spaced(*between, number)
        }
    for folder, given in places.items():
        with progress.shown("patchset"):
            grid = exchange.patchset(experiments, parameter, settings=given, **chosen)
        _write_grid(folder, grid)


def _write_grid(folder: Path, grid: "PatchGrid") -> None:
    from nuhf import resources
    from nuhf.workspaces.patchset import FIX_STRENGTH

    contents = {
        "BkgOnly.json": grid.background,
        "patchset.json": grid.patchset,
        "fix_strength.json": FIX_STRENGTH,
    }
    for name, content in contents.items():
        resources.write_json(folder / name, content)
        options.say(folder / name)
    _print_notes(grid.notes)


@options.command()
@options.experiment
@options.parameter(
    "Parameter; repeatable, each gets its own archive. Default: all of the experiment.",
    multiple=True,
)
@click.option("--points", default=41, show_default=True, help="Points of every patch set.")
@options.confidence
@_hepdata
@click.option("--archives-only", is_flag=True, help="No HEPData submission, archives only.")
@options.model_options
@_folder
def publish(
    experiment: str,
    parameter: tuple[str, ...],
    archives_only: bool,
    output: Path,
    **chosen: Any,
) -> None:
    """Write archives for `pyhf contrib download` and a HEPData submission with them.

    The submission needs hepdata-lib and hepdata-validator: pip install 'nuhf[hepdata]', or
    pip install '.[hepdata]' in a checkout. --archives-only does without.

    Example:  nuhf publish coherent-csi-2021 -p munu_mu -p qnu_mumu -o published
    """
    from nuhf import exchange, resources
    from nuhf.report import hepdata as submission

    if not archives_only:
        submission.require()
    with progress.shown("publish"):
        found = exchange.publication(experiment, parameter or None, **chosen)
    files = {**found.archives(), **submission.beside(found)}
    if not archives_only:
        files |= submission.submission(found)
    for name, content in files.items():
        resources.write_bytes(output / name, content)
        options.say(output / name)
    _print_notes(found.notes)


@options.command()
@click.argument("archive", type=click.Path(path_type=Path))
@options.place("New folder for the files; without it the archive is only checked.")
def unpack(archive: Path, output: Path | None) -> None:
    """Check an archive of patch sets (names, sizes, digests), then unpack it.

    Example:  nuhf unpack published/coherent-csi-2021_munu_mu.tar.gz -o munu_mu

    After:  nuhf publish coherent-csi-2021 -p munu_mu --archives-only -o published
    """
    from nuhf.filekind import Kind
    from nuhf.workspaces import archive as archives

    found = archives.read_archive(archive) if output is None else archives.unpack(archive, output)
    paired = {one.workspace for one in found.documents.values()}
    for name, one in found.documents.items():
        if name in paired:
            continue
        folder, _, file = name.rpartition("/")
        where = f"{folder}: " if folder else ""
        if one.kind is Kind.PATCH_SET:
            labels = " and ".join(one.content["metadata"]["labels"])
            click.echo(f"{where}{len(one.content['patches'])} patches in {labels}, digests correct")
        else:
            click.echo(f"{where}{file}: {one.kind.words}")
    if output is not None:
        options.say(output)


@options.command(
    "pyhf",
    context_settings={"ignore_unknown_options": True, "help_option_names": []},
    add_help_option=False,
)
@click.argument("arguments", metavar="COMMAND...", nargs=-1, type=click.UNPROCESSED)
def pyhf_command(arguments: tuple[str, ...]) -> None:
    """Run pyhf's own command line on native files: fit, cls, inspect, digest, combine, ...

    Example:  nuhf pyhf fit qnu_mumu.json

    After:  nuhf workspace coherent-csi-2021 -p qnu_mumu -o qnu_mumu.json
    """
    from nuhf.cli.handover import run_pyhf

    status = run_pyhf(arguments)
    if status:
        sys.exit(status)
