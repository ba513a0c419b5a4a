"""``nuhf report``."""

from pathlib import Path

import click

from nuhf.cli import options


@options.command()
@options.experiments
@options.analysis
@click.option("-p", "--parameter", multiple=True,
              help="Of workspace files: parameter of interest; repeatable. Default: that of the "
                   "measurement.")  # fmt: skip
@options.patched
@options.confidence
@click.option("-o", "--output", type=click.Path(path_type=Path), default=Path("report.html"),
              show_default=True, callback=options.files_only,
              help="HTML file to write.")  # fmt: skip
def report(
    experiments: tuple[str, ...],
    analysis: str,
    parameter: tuple[str, ...],
    patch: tuple[str, ...],
    measurement: str | None,
    cl: float,
    output: Path,
) -> None:
    """Write one HTML page: data, fits, limits in two units, scans, regions, citations.

    EXP is a name, the path of a TOML file, or all. The page needs no network and no other file.
    Published numbers stand beside ours. Several experiments by name are also fitted together.
    Or EXP is a pyhf workspace, a .json file; several are combined.
    Values in base units (e, mu_B, cm2, 1) and in the powers of ten that the field quotes.

    Example:  nuhf report coherent-csi-2021 -o report.html
    """
    from datetime import date

    from nuhf import resources
    from nuhf.api.given import files_of
    from nuhf.cli import progress
    from nuhf.errors import InputError
    from nuhf.parallel import cores
    from nuhf.report import html
    from nuhf.stats.files import read_files

    if output.suffix.lower() not in (".html", ".htm"):
        raise InputError(f"{output}: a report is an .html file")
    files, today = files_of(experiments), date.today().isoformat()
    if files is None and (parameter or patch or measurement):
        raise InputError("-p, --patch and --measurement are for workspace files here")
    with progress.shown("report") as step:
        if files is not None:
            source = read_files(files, patch, measurement)
            page = html.report_files(source, parameter, cl=cl, written=today, step=step)
        else:
            page = html.report(
                experiments, analysis=analysis, cl=cl, written=today, step=step, jobs=cores()
            )
    resources.write_text(output, page)
    options.say(output)
