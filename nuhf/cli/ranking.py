"""``nuhf ranking``."""

from pathlib import Path
from typing import Any

import click

from nuhf.cli import options, progress

__all__ = ["ranking"]


@click.command()
@options.experiments
@click.option(
    "-p",
    "--parameter",
    show_default="strength of the SM process",
    shell_complete=options.complete_parameter,
    help="Parameter of interest.",
)
@options.common
@options.as_json
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path),
    callback=options.image_only,
    help="Figure to write (png, pdf, svg); the CSV, the pulls and the correlations go beside it.",
)
def ranking(
    experiments: tuple[str, ...],
    parameter: str | None,
    as_json: bool,
    output: Path | None,
    **chosen: Any,
) -> None:
    """Rank the nuisances by their impact on a parameter, with cabinetry's fits.

    Example:  nuhf ranking coherent-csi-2021 -p qnu_ee -o ranking.png
    """  # fmt: skip
    from nuhf import api, resources
    from nuhf.errors import InputError

    if output is not None and output.suffix.lower() == ".csv":
        raise InputError(f"{output}: name the figure (.png, .pdf, .svg); the CSV goes beside it")
    with progress.shown("ranking"):
        found = api.ranking(experiments, parameter, **options.keywords(**chosen))
    if output is not None:
        _write(output, found)
    if as_json:
        click.echo(resources.dump_json(found.to_json()))
    elif output is None:
        click.echo(_csv(found), nl=False)
    else:
        for note in found.notes:
            click.echo(f"note: {note}", err=True)


def _csv(found: Any) -> str:
    """Return the ranking as CSV, the most important nuisance first."""
    from nuhf.tables import format_csv

    unit = "" if found.unit == "1" else f" {found.unit}"
    comments = [
        f"impacts on {found.quantity}{unit}: {', '.join(found.experiments)}, analysis "
        f"{found.analysis}, {found.optimizer}",
        f"best fit {found.best_fit:.6g} +- {found.error:.6g}{unit}; pull and constraint in sigma",
        *(f"note: {note}" for note in found.notes),
    ]
    columns: dict[str, list[object]] = {"nuisance": list(found.nuisances)}
    arrays = {"pull": found.pulls, "constraint": found.constraints}
    arrays |= {
        key: getattr(found, key)
        for key in ("prefit_up", "prefit_down", "postfit_up", "postfit_down")
    }
    columns |= {name: [float(x) for x in row] for name, row in arrays.items()}
    return format_csv(columns, comments)


def _write(path: Path, found: Any) -> None:
    from nuhf import resources
    from nuhf.report import nuisances, plots

    image = path if path.suffix else path.with_suffix(".png")
    title = f"{', '.join(found.experiments)} ({found.analysis})"
    figures = {
        image: nuisances.impacts(
            (found.quantity, found.unit),
            found.nuisances,
            (found.prefit_up, found.prefit_down),
            (found.postfit_up, found.postfit_down),
            (found.pulls, found.constraints),
            title,
        ),
        image.with_stem(f"{image.stem}_pulls"): nuisances.pulls(
            found.nuisances, found.pulls, found.constraints, title
        ),
        image.with_stem(f"{image.stem}_correlation"): nuisances.correlation(
            found.names, found.correlation, title
        ),
    }
    for place, figure in figures.items():
        plots.save(figure, place)
        options.say(place)
    resources.write_text(image.with_suffix(".csv"), _csv(found))
    options.say(image.with_suffix(".csv"))
