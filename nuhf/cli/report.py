"""``nuhf report``."""

from pathlib import Path

import click

from nuhf.cli import options

__all__ = ["report"]


@options.command()
@options.experiments
@options.analysis
@options.confidence
@click.option("-o", "--output", type=click.Path(path_type=Path), default=Path("report.html"),
              show_default=True, callback=options.files_only,
              help="HTML file to write.")  # fmt: skip
def report(experiments: tuple[str, ...], analysis: str, cl: float, output: Path) -> None:
    """Write one HTML page: data, fits, limits in two units, scans, regions, citations.

    EXP is a name, the path of a TOML file, or all. The page needs no network and no other file.
    Published numbers stand beside ours. Several experiments by name are also fitted together.
    Values in base units (e, mu_B, cm2, 1) and in the powers of ten that the field quotes.

    Example:  nuhf report coherent-csi-2021 -o report.html
    """
    from datetime import date

    from nuhf import resources
    from nuhf.cli import progress
    from nuhf.errors import InputError
    from nuhf.parallel import cores
    from nuhf.report import html

    if output.suffix.lower() not in (".html", ".htm"):
        raise InputError(f"{output}: a report is an .html file")
    with progress.shown("report") as step:
        page = html.report(
            experiments,
            analysis=analysis,
            cl=cl,
            written=date.today().isoformat(),
            step=step,
            jobs=cores(),
        )
    resources.write_text(output, page)
    options.say(output)
