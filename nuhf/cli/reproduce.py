"""``nuhf reproduce``: published numbers beside ours."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from nuhf.cli import options, progress

if TYPE_CHECKING:
    from nuhf.report.published import Comparison

__all__ = ["reproduce"]


@click.command()
@click.argument("paper", default="all", metavar="[PAPER|all]")
@options.as_json
@click.option("-o", "--output", type=click.Path(path_type=Path), callback=options.files_only,
              help="File to write: a page (.md), a table (.csv) or JSON (.json).")  # fmt: skip
def reproduce(paper: str, as_json: bool, output: Path | None) -> None:
    """Compare published numbers with ours: hull with hull, or piece with piece.

    agrees: ends within 10 % of the published width; close: 20 %; differs: a reason stands below,
    with a command that shows it. Fails, after all rows, if one has no number or no reason.

    Example:  nuhf reproduce khan2023
    """
    from nuhf import api, resources
    from nuhf.errors import InputError, ModelError
    from nuhf.report import reproduced

    if output is not None and output.suffix not in (".md", ".csv", ".json"):
        raise InputError(f"{output}: name a page (.md), a table (.csv) or JSON (.json)")
    with progress.shown(f"reproduce {paper}") as step:
        found = api.reproduce(paper, step=step)
    content = resources.dump_json(
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
        for comparison in found:
            _print(comparison)
        counts = reproduced.shares(found).items()
        shares = ", ".join(f"{n} {verdict}" for verdict, n in counts if n or verdict != "no number")
        click.echo(f"\n{len(found)} rows: {shares}")
    missing = reproduced.incomplete(found)
    if missing:
        raise ModelError(f"{len(missing)} of {len(found)} rows: {'; '.join(missing)}")


def _print(comparison: "Comparison") -> None:
    from nuhf.report.reproduced import interval, pieces

    row = comparison.row
    level = f" {100 * row.cl:g} %" if row.cl else ""
    free = f" ({', '.join(row.profile)} free)" if row.profile else ""
    distance = f", {100 * comparison.distance:.1f} % of the width" if comparison.ours else ""
    click.echo(
        f"{row.paper} {row.where:9s} {' + '.join(row.experiments)} {row.analysis} "
        f"{row.parameter}{free}{level}: published {interval(row.lower, row.upper)}, "
        f"ours {pieces(comparison)}{distance}: {comparison.verdict}"
    )
    if comparison.failure:
        click.echo(f"    {comparison.failure}")
    elif row.reason and comparison.verdict != "agrees":
        click.echo(f"    reason: {row.reason}\n    check: {row.check}")
