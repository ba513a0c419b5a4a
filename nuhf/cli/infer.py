"""``nuhf fit``, ``limit``, ``scan``, ``contour`` and ``coverage``."""

from pathlib import Path
from typing import Any

import click

from nuhf.cli import options, progress

__all__ = ["contour", "coverage", "fit", "limit", "scan"]


@options.command()
@options.experiments
@click.option("-p", "--parameter", show_default="strength of the SM process",
              shell_complete=options.complete_parameter,
              help="Parameter to fit, nuisances always free.")  # fmt: skip
@options.common
@options.toys
@options.as_json
@click.option("-o", "--output", type=click.Path(path_type=Path),
              callback=options.files_only,
              help="Folder for fit.json, fit.csv and spectrum.png.")  # fmt: skip
def fit(
    experiments: tuple[str, ...],
    parameter: str | None,
    as_json: bool,
    output: Path | None,
    **chosen: Any,
) -> None:
    """Fit the SM strength (or a coupling) and print the fitted events with their errors.

    Example:  nuhf fit coherent-csi-2021 -o fit
    """
    from nuhf import api, resources
    from nuhf.cli import summaries

    toys = options.toy_keywords(chosen)
    parameter = parameter or api.strength(experiments)
    with progress.shown("fit", enabled=toys["toys"] is None):
        problem, found = api.posed_fit(experiments, parameter, **options.keywords(**chosen), **toys)
    if output is not None:
        from nuhf.cli import artefacts

        artefacts.write_fit(output, problem, found)
    if as_json:
        click.echo(resources.dump_json(found.to_json()))
        return
    click.echo(
        f"{', '.join(found.experiments)}, analysis {found.analysis}: {found.status}"
        f"{summaries.choices(found)}"
    )
    width = max(len(name) for name in [*found.counts, *found.parameters])
    click.echo(f"\n{'events':{width}s}   expected     fitted      error")
    for name, (before, after, error) in found.counts.items():
        click.echo(f"{name:{width}s} {before:10.1f} {after:10.1f} {error:10.1f}")
    click.echo(f"\n{'parameter':{width}s}     value      error")
    for name, (value, error) in found.parameters.items():
        unit = "" if found.units[name] == "1" else f"  {found.units[name]}"
        shown = 0.0 if abs(value) < 1e-6 * error else value
        bound = "  at its bound" if name in found.at_bounds else ""
        click.echo(f"{name:{width}s} {shown:10.4g} {error:10.4g}{unit}{bound}")
    quality = found.goodness
    # as many parameters as bins describe everything: there is no p-value, and rounding shows
    beyond = f", p = {quality['p_value']:.3g} (chi2)" if quality["degrees"] > 0 else ""
    click.echo(
        f"\n2NLL above saturation {max(quality['saturated_2nll'], 0.0):.1f} for "
        f"{quality['degrees']:.0f} degrees of freedom{beyond}"
    )
    if "p_value_toys" in quality:
        click.echo(
            f"p = {quality['p_value_toys']:.3g} +- {quality['p_value_toys_error']:.1g} (toys)"
        )
    if found.significance is not None:
        click.echo(f"against {parameter} = 0: {found.significance['sigma']:.1f} sigma")
    options.notes(found.notes)


@options.command()
@options.experiments
@click.option("-p", "--parameter", "parameter", multiple=True,
              shell_complete=options.complete_parameter,
              help="Parameter of interest; repeatable, each gets its own interval. "
                   "Default: all of the experiment.")  # fmt: skip
@options.confidence
@click.option("--method", default="delta-chi2", show_default=True,
              metavar="delta-chi2|cls|feldman-cousins",
              help="Profile likelihood; CLs (parameters bounded at 0), asymptotic or with --toys; "
                   "Feldman-Cousins with toys (2000 by default).")  # fmt: skip
@click.option("--points", type=int, show_default="40",
              help="Values that feldman-cousins tests before it refines the ends.")  # fmt: skip
@options.search
@options.common
@options.toys
@options.as_json
@click.option("-o", "--output", type=click.Path(path_type=Path),
              callback=options.files_only,
              help="Folder for limits.json, limits.csv, profiles.png, spectrum.png and "
                   "the workspaces.")  # fmt: skip
def limit(
    experiments: tuple[str, ...],
    parameter: tuple[str, ...],
    cl: float,
    method: str,
    points: int | None,
    as_json: bool,
    output: Path | None,
    **chosen: Any,
) -> None:
    """Print confidence intervals: every piece, ends by root finding.

    Example:  nuhf limit coherent-csi-2021 -p qnu_mumu -p munu_mu
    """
    from nuhf import api, resources
    from nuhf.cli import summaries
    from nuhf.units import percent

    keywords = options.toy_keywords(chosen, points=points) | options.keywords(**chosen)
    with progress.shown("limit", enabled=keywords["toys"] is None and method != "feldman-cousins"):
        posed = api.posed_limits(experiments, parameter or None, cl=cl, method=method, **keywords)
    found = [result for _, result in posed]
    if output is not None:
        from nuhf.cli import artefacts

        artefacts.write_limits(output, posed)
    if as_json:
        click.echo(resources.dump_json({"results": [result.to_json() for result in found]}))
        return
    first = found[0]
    click.echo(
        f"{', '.join(first.experiments)}, analysis {first.analysis}, {percent(cl)} % CL, {method}"
        f"{summaries.choices(first)}"
    )
    width = max(len(result.parameter) for result in found)
    for result in found:
        click.echo(f"{result.parameter:{width}s}  {_interval_text(result)}")
        if result.expected is not None:
            click.echo(f"{'':{width}s}  {_band_text(result)}")
    options.notes(tuple(dict.fromkeys(note for r in found for note in r.notes)))


def _interval_text(result: Any) -> str:
    unit = "" if result.unit == "1" else f" {result.unit}"
    pieces = " or ".join(f"[{low:.3g}, {high:.3g}]" for low, high in result.intervals)
    bounded = result.upper_limit is not None and result.intervals[0][0] == 0.0
    text = f"< {result.upper_limit:.3g}" if bounded else pieces
    return f"{text}{unit}   (best fit {result.best_fit:.3g})"


def _band_text(result: Any) -> str:
    band = result.expected
    return (
        f"expected < {band['median']:.3g}, 68 % within {band['minus1']:.3g} to "
        f"{band['plus1']:.3g}, 95 % within {band['minus2']:.3g} to {band['plus2']:.3g}"
    )


@options.command()
@options.experiments
@click.option(
    "-p",
    "--parameter",
    required=True,
    shell_complete=options.complete_parameter,
    help="Parameter to scan.",
)
@click.option("--points", type=int, show_default="121, with --over 31", help="Number of points.")
@click.option(
    "--over",
    metavar="SETTING",
    help="Find the interval at each value of a setting, such as mediator_mass_mev.",
)
@click.option(
    "--between",
    nargs=2,
    type=float,
    metavar="LO HI",
    default=(1e-2, 1e4),
    show_default=True,
    help="First and last value of --over, at equal ratios.",
)
@options.confidence
@options.search
@options.common
@options.as_json
@options.figure
def scan(
    experiments: tuple[str, ...],
    parameter: str,
    points: int | None,
    over: str | None,
    between: tuple[float, float],
    cl: float,
    as_json: bool,
    output: Path | None,
    **chosen: Any,
) -> None:
    """Scan the profile likelihood: print a summary; with -o write figure and CSV.

    Example:  nuhf scan coherent-csi-2021 -p qnu_ee -o qnu_ee.png

    With --over it is the interval as a function of a setting:

    Example:  nuhf scan coherent-csi-2021 -p g_b_l --over mediator_mass_mev -o b_l.png
    """
    from nuhf import api, resources
    from nuhf.cli import artefacts, summaries

    keywords = options.keywords(**chosen)
    options.one_stdout(output, as_json)
    if over is not None:
        _exclusion(experiments, parameter, over, between, points or 31, cl, as_json, output,
                   keywords)  # fmt: skip
        return
    with progress.shown("scan"):
        found = api.scan(experiments, parameter, points=points or 121, cl=cl, **keywords)
    if output is not None:
        artefacts.write_scan(output, found, cl)
    if as_json:
        click.echo(resources.dump_json(found.to_json()))
    elif str(output) != "-":
        click.echo("\n".join(summaries.scan(found)))
        options.notes(found.notes)


def _exclusion(
    experiments: tuple[str, ...],
    parameter: str,
    over: str,
    between: tuple[float, float],
    points: int,
    cl: float,
    as_json: bool,
    output: Path | None,
    keywords: dict[str, Any],
) -> None:
    """Print, write or draw the intervals of a parameter as a function of a setting."""
    from nuhf import api, resources
    from nuhf.cli import artefacts, summaries
    from nuhf.exclusions import spaced

    with progress.shown("scan"):
        found = api.exclusion(
            experiments, parameter, over, spaced(*between, points), cl=cl, **keywords
        )
    if output is not None:
        artefacts.write_exclusion(output, found)
    if as_json:
        click.echo(resources.dump_json(found.to_json()))
    elif str(output) != "-":
        click.echo("\n".join(summaries.exclusion(found)))
        options.notes(found.notes)


@options.command()
@options.experiments
@click.option("-p", "--parameter", "parameter", multiple=True, required=True,
              shell_complete=options.complete_parameter,
              help="Two parameters: -p X -p Y.")  # fmt: skip
@click.option("--cl", multiple=True, type=float, default=(0.68, 0.9, 0.99), show_default=True,
              help="Confidence level for 2 degrees of freedom; repeatable.")  # fmt: skip
@click.option("--points", default=50, show_default=True, help="Grid points along each axis.")
@click.option(
    "--window",
    nargs=4,
    type=float,
    metavar="XLO XHI YLO YHI",
    help="Ranges in base units, for regions that do not close; found by default.",
)
@click.option("--method", default="delta-chi2", show_default=True,
              metavar="delta-chi2|feldman-cousins",
              help="Profile likelihood, or toys (500 per grid point by default).")  # fmt: skip
@options.common
@options.toys
@options.as_json
@options.figure
def contour(
    experiments: tuple[str, ...],
    parameter: tuple[str, ...],
    cl: tuple[float, ...],
    points: int,
    window: tuple[float, float, float, float] | None,
    method: str,
    as_json: bool,
    output: Path | None,
    **chosen: Any,
) -> None:
    """Find the regions of two parameters: every piece, boundaries by root finding.

    Example:  nuhf contour coherent-csi-2021 -p r2nu_ee -p r2nu_mumu -o radii.png
    """
    from nuhf import api, resources
    from nuhf.cli import artefacts, summaries

    keywords = options.toy_keywords(chosen) | options.keywords(**chosen)
    options.one_stdout(output, as_json)
    with progress.shown("contour", enabled=method != "feldman-cousins"):
        found = api.contour(
            experiments, parameter, cl=cl, points=points, method=method,
            window=(window[:2], window[2:]) if window else None, **keywords,
        )  # fmt: skip
    if output is not None:
        artefacts.write_contour(output, found)
    if as_json:
        click.echo(resources.dump_json(found.to_json()))
    elif str(output) != "-":
        click.echo("\n".join(summaries.contour(found, method)))
        options.notes(found.notes)


@options.command()
@options.experiments
@click.option(
    "-p",
    "--parameter",
    required=True,
    shell_complete=options.complete_parameter,
    help="Parameter of interest.",
)
@click.option("--true", required=True, type=float, metavar="VALUE",
              help="Its true value in base units (e, mu_B, cm2, 1).")  # fmt: skip
@click.option("--method", default="delta-chi2", show_default=True,
              metavar="delta-chi2|feldman-cousins", help="Which interval.")  # fmt: skip
@click.option("--nuisance", "nuisances", multiple=True, metavar="NAME=VALUE",
              help="True value of a nuisance, in its standard deviations; the others are fitted "
                   "to the data at the true value. Repeatable.")  # fmt: skip
@click.option("--inner", type=click.IntRange(100), show_default="1000",
              help="Toys at most for each toy's critical value (feldman-cousins).")  # fmt: skip
@options.confidence
@options.search
@options.common
@options.toys
@options.as_json
def coverage(
    experiments: tuple[str, ...],
    parameter: str,
    true: float,
    method: str,
    nuisances: tuple[str, ...],
    inner: int | None,
    cl: float,
    as_json: bool,
    **chosen: Any,
) -> None:
    """Measure how often an interval contains the true value, with its binomial error.

    Example:  nuhf coverage coherent-csi-2021 -p qnu_ee --true 0 --toys 4000
    """
    from nuhf import api, resources
    from nuhf.cli import summaries
    from nuhf.units import percent

    toys = options.toy_keywords(chosen)
    found = api.coverage(
        experiments,
        parameter,
        true=true,
        cl=cl,
        method=method,
        inner=inner,
        nuisances=options.parse_nuisances(nuisances),
        **options.keywords(**chosen),
        **toys,
    )
    if as_json:
        click.echo(resources.dump_json(found.to_json()))
        return
    click.echo(
        f"{', '.join(found.experiments)}, analysis {found.analysis}, {found.parameter} = "
        f"{true:g}{'' if found.unit == '1' else f' {found.unit}'}{summaries.choices(found)}"
    )
    click.echo(
        f"{percent(cl)} % CL, {method}: covers {100 * found.coverage:.1f} +- "
        f"{100 * found.error:.1f} % of {found.toys} toys ({found.unconverged} not converged)"
    )
    options.notes(found.notes)
