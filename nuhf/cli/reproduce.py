"""``nuhf reproduce``: published numbers beside ours."""

import shutil
from pathlib import Path
from typing import Final

import click

from nuhf.cli import options, progress

_WIDEST: Final = 100
_NARROWEST: Final = 79


@options.command()
@click.argument("paper", default="all", metavar="[PAPER|all]")
@options.as_json
@click.option("-o", "--output", type=click.Path(path_type=Path), callback=options.files_only,
              help="File to write: a page (.md), a table (.csv) or JSON (.json).")  # fmt: skip
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
