"""``nuhf ranking``."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from nuhf.cli import options, progress

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["ranking"]


@options.command()
@options.experiments
@click.option(
    "-p",
    "--parameter",
    show_default="strength of the SM process",
    shell_complete=options.complete_parameter,
    help="Parameter of interest.",
)
@options.confidence
@options.common
@options.as_json
@options.figure
def ranking(
    experiments: tuple[str, ...],
    parameter: str | None,
    cl: float,
    as_json: bool,
    output: Path | None,
    **chosen: Any,
) -> None:
    """Rank the nuisances by their impact on a parameter, its error and its interval.

    A figure with -o has two beside it: FILE_pulls.png and FILE_correlation.png.

    Example:  nuhf ranking coherent-csi-2021 -p qnu_ee -o ranking.png
    """  # fmt: skip
    from nuhf import api, resources
    from nuhf.cli import summaries

    options.one_stdout(output, as_json)
    with progress.shown("ranking"):
        found = api.ranking(experiments, parameter, cl=cl, **options.keywords(**chosen))
    if output is not None:
        _write(output, found)
    if as_json:
        click.echo(resources.dump_json(found.to_json()))
    elif str(output) != "-":
        click.echo("\n".join(summaries.ranking(found)))
        options.notes(found.notes)


def _csv(found: Any) -> str:
    """Return the ranking as CSV, the most important nuisance first."""
    from nuhf.tables import format_csv

    unit = "" if found.unit == "1" else f" {found.unit}"
    comments = [
        f"impacts on {found.quantity}{unit}: {', '.join(found.experiments)}, analysis "
        f"{found.analysis}, {found.optimizer}",
        f"best fit {found.best_fit:.6g} +- {found.error:.6g}{unit}",
        "value and error: of the constrained in sigma of their constraint, of the free as fitted",
        *(f"note: {note}" for note in found.notes),
    ]
    columns: dict[str, list[object]] = {
        "nuisance": list(found.nuisances),
        "kind": list(found.kinds),
    }
    arrays = {"value": found.pulls, "error": found.constraints}
    arrays |= {
        key: getattr(found, key)
        for key in ("prefit_up", "prefit_down", "postfit_up", "postfit_down")
    }
    if found.observables.size:
        arrays["observable"] = found.observables
    for k, end in enumerate(("lower_end", "upper_end")[-len(found.ends) :] if found.ends else ()):
        arrays |= {f"{end}_up": found.end_shifts[:, 0, k], f"{end}_down": found.end_shifts[:, 1, k]}
    columns |= {name: [float(x) for x in row] for name, row in arrays.items()}
    return format_csv(columns, comments)


def _write(path: Path, found: Any) -> None:
    from nuhf.cli import artefacts
    from nuhf.plots import nuisances

    title = f"{', '.join(found.experiments)} ({found.analysis})"
    free = [name for name, kind in zip(found.nuisances, found.kinds, strict=True) if kind == "free"]

    def draw() -> "Mapping[str, Figure]":
        return {
            "": nuisances.impacts(
                (found.quantity, found.unit),
                found.nuisances,
                (found.prefit_up, found.prefit_down),
                (found.postfit_up, found.postfit_down),
                (found.pulls, found.constraints),
                title,
                free,
            ),
            "_pulls": nuisances.pulls(found.nuisances, found.pulls, found.constraints, title, free),
            "_correlation": nuisances.correlation(found.names, found.correlation, title),
        }

    artefacts.write_figures(path, _csv(found), draw)
