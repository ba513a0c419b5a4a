"""``nuhf posterior`` and ``nuhf simulate``."""

from pathlib import Path
from typing import Any

import click

from nuhf.cli import options, progress

_SEED = click.option(
    "--seed", default=1, show_default=True, help="Seed: the same, the same result."
)


@options.command()
@options.experiments
@options.parameter(
    "Coupling; repeatable, each gets its marginal.",
    multiple=True,
    show_default="strength of the SM process",
)
@click.option("--prior", "priors", multiple=True, metavar="NAME=PRIOR",
              help="flat (in the fit parameter: in mu^2 for a moment; the default), "
                   "flat-magnitude, normal:MEAN,SD or table:FILE.csv, in base units; "
                   "repeatable.")  # fmt: skip
@click.option("--cl", default=0.9, show_default=True, type=float,
              help="Probability of the regions of highest density.")  # fmt: skip
@click.option("--draws", default=20_000, show_default=True, help="Draws along each coupling.")
@_SEED
@options.compiled_only
@click.option("--save-draws", type=click.Path(path_type=Path), metavar="FILE.csv",
              help="Write all weighted draws.")  # fmt: skip
@options.as_json
@options.figure
def posterior(
    experiments: tuple[str, ...],
    parameter: tuple[str, ...],
    priors: tuple[str, ...],
    save_draws: Path | None,
    as_json: bool,
    output: Path | None,
    **chosen: Any,
) -> None:
    """Sample the posterior of couplings: highest-density regions, modes, effective size.

    EXP may be a pyhf workspace, a .json file. A figure with -o shows each posterior beside its
    profile likelihood; with several free couplings FILE_corner.png is written beside it.

    Example:  nuhf posterior coherent-csi-2021 -p qnu_ee -p qnu_mumu -o charges.png
    """
    import nuhf
    from nuhf.cli import artefacts

    options.one_stdout(output, as_json)
    with progress.shown("posterior"):
        chosen["profiled"] = (*parameter[1:], *chosen["profiled"])
        model = options.model(experiments, [*parameter, None][0], chosen)
        prior = options.by_name("--prior", priors, "give NAME=PRIOR, such as munu_e=flat-magnitude")
        found = nuhf.posterior(model, parameter or None, prior=prior, **chosen)
    if save_draws is not None:
        options.write(save_draws, found.draws_to_csv())
    corner = {"_corner": found.plot_corner} if len(found.units) > 1 else {}
    artefacts.finish(found, output, as_json, {"": found.plot, **corner})


@options.command()
@options.experiments
@click.option("-n", "--number", default=1000, show_default=True, help="Number of data sets.")
@_SEED
@click.option("--nuisances", default="drawn", show_default=True, metavar="drawn|fixed",
              help="drawn: each data set has nuisances of its own, auxiliary data stay as "
                   "measured; fixed: nominal nuisances, auxiliary data are drawn.")  # fmt: skip
@options.model_options
@options.place("FILE.npz or FILE.csv; - is CSV on stdout.", required=True)
def simulate(
    experiments: tuple[str, ...],
    number: int,
    fixed: dict[str, float],
    output: Path,
    **chosen: Any,
) -> None:
    """Simulate data sets at the SM, or at the couplings given with --set.

    EXP may be a pyhf workspace, a .json file.

    Example:  nuhf simulate coherent-csi-2021 --set qnu_ee=1e-10 -n 5000 -o sets.npz
    """
    import nuhf

    with progress.shown("simulate"):
        chosen["profiled"] = tuple(fixed)[1:]
        model = options.model(experiments, [*fixed, None][0], chosen)
        found = nuhf.simulate(model, fixed, number, **chosen)
    if str(output) == "-":
        click.echo(found.to_csv(), nl=False)
        return
    found.save(output)
    options.say(output)
    options.show(found, None, as_json=False)
