"""``nuhf fit``, ``limit``, ``scan``, ``contour``, ``ranking`` and ``coverage``."""

import sys
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import click

from nuhf.cli import options, progress
from nuhf.errors import InputError

if TYPE_CHECKING:
    from nuhf.api.arguments import Method
    from nuhf.stats.result_base import Result


@options.command()
@options.experiments
@options.parameter(
    "Parameter to fit, nuisances always free.", show_default="strength of the SM process"
)
@options.common
@options.toys
@options.as_json
@options.files("Folder for fit.json, fit.csv and spectrum.png.")
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
    import nuhf

    with progress.shown("fit", enabled=chosen["toys"] is None):
        model = options.model(experiments, parameter, chosen)
        found = nuhf.fit(model, **chosen, progress=sys.stderr)
    if output is not None:
        from nuhf.cli import artefacts

        artefacts.write_fit(output, model.problem, found)
    options.show(found, None, as_json)


@options.command()
@options.experiments
@options.parameter(
    "Parameter of interest; repeatable, each gets its own interval. Default: all of "
    "the experiment.",
    multiple=True,
)
@options.confidence
@options.method(
    "Profile likelihood; CLs (parameters bounded at 0), asymptotic or with --toys; "
    "Feldman-Cousins with toys (2000 by default).",
    "cls",
    "feldman-cousins",
)
@click.option("--points", type=int, show_default="40",
              help="Values that feldman-cousins tests before it refines the ends.")  # fmt: skip
@options.bracket
@options.common
@options.toys
@options.as_json
@options.files(
    "Folder for limits.json, limits.csv, limits.tex, profiles.png, spectrum.png and the workspaces."
)
def limit(
    experiments: tuple[str, ...],
    parameter: tuple[str, ...],
    cl: float,
    method: "Method",
    as_json: bool,
    output: Path | None,
    **chosen: Any,
) -> None:
    """Print confidence intervals: every piece, ends by root finding.

    Example:  nuhf limit coherent-csi-2021 -p qnu_mumu -p munu_mu
    """
    from nuhf.api.functions import intervals
    from nuhf.api.toys import ToyChoices

    given = {name: chosen.pop(name) for name in vars(ToyChoices()) if name in chosen}
    toys = ToyChoices(**given, progress=sys.stderr).of_interval(cl, method)
    with progress.shown("limit", enabled=toys is None):
        problems = [model.problem for model in options.models(experiments, parameter, chosen)]
        found = intervals(problems, cl, method, toys)
    if output is not None:
        from nuhf.cli import artefacts

        artefacts.write_limits(output, problems, found)
    options.show(found, None, as_json)


@options.command()
@options.experiments
@options.parameter("Parameter to scan.", required=True)
@click.option("--points", type=int, show_default="121, with --over 31", help="Number of points.")
@options.over("Find the interval at each value of a setting, such as mediator_mass_mev.")
@options.confidence
@options.bracket
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

    With --over it is the interval as a function of a setting, the classic exclusion plot:
    -p g_b_l --over mediator_mass_mev.

    Example:  nuhf scan coherent-csi-2021 -p qnu_ee -o qnu_ee.png
    """
    import nuhf
    from nuhf.cli import artefacts
    from nuhf.exclusions import spaced

    options.one_stdout(output, as_json)
    found: Result
    with progress.shown("scan"):
        if over is None:
            model = options.model(experiments, parameter, chosen)
            found = curve = nuhf.scan(model, points=121 if points is None else points, cl=cl)
            plots = {"": partial(curve.plot, cl=cl)}
        else:
            values = spaced(*between, 31 if points is None else points)
            if over in chosen["settings"]:
                raise InputError(f"--over {over}: it is varied, and set by --setting: do one")
            chosen["settings"][over] = float(values[0])
            model = options.model(experiments, parameter, chosen)
            found, plots = nuhf.exclusion(model, over, values, cl=cl), None
    artefacts.finish(found, output, as_json, plots)


@options.command()
@options.experiments
@options.parameter("Two parameters: -p X -p Y.", multiple=True, required=True)
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
@options.method("Profile likelihood, or toys (500 per grid point by default).", "feldman-cousins")
@options.common
@options.toys
@options.as_json
@options.figure
def contour(
    experiments: tuple[str, ...],
    parameter: tuple[str, ...],
    window: tuple[float, float, float, float] | None,
    method: Literal["delta-chi2", "feldman-cousins"],
    as_json: bool,
    output: Path | None,
    **chosen: Any,
) -> None:
    """Find the regions of two parameters: every piece, boundaries by root finding.

    Example:  nuhf contour coherent-csi-2021 -p r2nu_ee -p r2nu_mumu -o radii.png
    """
    import nuhf
    from nuhf.cli import artefacts

    options.one_stdout(output, as_json)
    if len(parameter) != 2 or parameter[0] == parameter[1]:
        raise InputError(f"-p: a contour takes two different parameters: {', '.join(parameter)}")
    chosen["profiled"] = (parameter[1], *chosen["profiled"])
    with progress.shown("contour", enabled=method != "feldman-cousins"):
        model = options.model(experiments, parameter[0], chosen)
        ranges = (window[:2], window[2:]) if window else None
        found = nuhf.contour(
            model, parameter[1], method=method, window=ranges, **chosen, progress=sys.stderr
        )
    artefacts.finish(found, output, as_json)


@options.command()
@options.experiments
@options.parameter("Parameter of interest.", show_default="strength of the SM process")
@options.confidence
@options.common
@options.as_json
@options.figure
def ranking(
    experiments: tuple[str, ...],
    parameter: str | None,
    as_json: bool,
    output: Path | None,
    **chosen: Any,
) -> None:
    """Rank the nuisances by their impact on a parameter, its error and its interval.

    A figure with -o has two beside it: FILE_pulls.png and FILE_correlation.png.

    Example:  nuhf ranking coherent-csi-2021 -p qnu_ee -o ranking.png
    """
    import nuhf
    from nuhf.cli import artefacts

    options.one_stdout(output, as_json)
    with progress.shown("ranking"):
        found = nuhf.ranking(options.model(experiments, parameter, chosen), **chosen)
    figures = {"": found.plot, "_pulls": found.plot_pulls, "_correlation": found.plot_correlation}
    artefacts.finish(found, output, as_json, figures)


@options.command()
@options.experiments
@options.parameter("Parameter of interest.", required=True)
@click.option("--true", required=True, type=float, metavar="VALUE",
              help="Its true value in base units (e, mu_B, cm2, 1).")  # fmt: skip
@options.method("Which interval.", "feldman-cousins")
@options.values(
    "--nuisance",
    "nuisances",
    "True value of a nuisance, in its standard deviations; the "
    "others are fitted to the data at the true value. Repeatable.",
)
@click.option("--inner", type=click.IntRange(100), show_default="1000",
              help="Toys at most for each toy's critical value (feldman-cousins).")  # fmt: skip
@options.confidence
@options.bracket
@options.common
@options.toys
@options.as_json
def coverage(experiments: tuple[str, ...], parameter: str, as_json: bool, **chosen: Any) -> None:
    """Measure how often an interval contains the true value, with its binomial error.

    Example:  nuhf coverage coherent-csi-2021 -p qnu_ee --true 0 --toys 4000
    """
    import nuhf

    model = options.model(experiments, parameter, chosen)
    options.show(nuhf.coverage(model, **chosen, progress=sys.stderr), None, as_json)
