"""``nuhf regenerate``: rebuild the generated artefacts of a checkout."""

from pathlib import Path

import click

from nuhf.cli import options


@options.command()
@click.option("-o", "--output", type=click.Path(path_type=Path), default=Path(),
              help="Folder that gets templates/ and workspaces/ (default: here).")  # fmt: skip
def regenerate(output: Path) -> None:
    """Rewrite templates/ and workspaces/ of all shipped experiments.

    Example:  nuhf regenerate -o fresh
    """
    from nuhf.report import shipped

    for path in shipped.regenerate(output):
        options.say(path)
