"""``nuhf rate``, ``templates`` and ``workspace``."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from nuhf.cli import options


@options.command()
@options.experiment
@options.model_options
@click.option(
    "--bins",
    is_flag=True,
    help="Print CSV with the events of every bin, as a .csv file always has them.",
)
@options.as_json
@options.output
def rate(
    experiment: str,
    fixed: dict[str, float],
    bins: bool,
    as_json: bool,
    output: Path | None,
    **chosen: Any,
) -> None:
    """Print expected events of every flavour and background, at the SM or with couplings.

    With --set the events at the SM stand beside them, with the difference.

    Example:  nuhf rate coherent-csi-2021 --set qnu_mumu=2e-10
    """
    import nuhf
    from nuhf import resources

    found = nuhf.rate(experiment, fixed, **chosen)
    bins = bins or (output is not None and output.suffix.lower() == ".csv")
    if as_json:
        options.write(output, resources.dump_json(found.to_dict()))
    else:
        options.write(output, found.to_csv() if bins else f"{found.table()}\n")


@options.command()
@options.experiment
@options.analysis
@options.output
def templates(experiment: str, analysis: str, output: Path | None) -> None:
    """Write the signal templates, nominal and varied, as JSON (stdout without -o).

    Example:  nuhf templates coherent-csi-2021 -o templates.json
    """
    import nuhf
    from nuhf import resources
    from nuhf.rates.templates import to_json

    one = nuhf.load(experiment, analysis).prepared
    content = to_json(one.name, analysis, one.templates, one.digests)
    options.write(output, resources.dump_json(content) + "\n")


@options.command()
@options.experiments
@options.parameter(
    "Free parameter; repeatable, the first is the POI.", multiple=True, required=True
)
@options.model_options
@click.option("--encoding", default="stock", show_default=True,
              metavar="stock|stock-positive|native|hs3",
              help="stock: read by plain pyhf; stock-positive: no sample has a negative bin; "
                   "native: exact, read by nuhf; hs3: exact, HS3 instead of pyhf.")  # fmt: skip
@options.bracket
@options.output
def workspace(
    experiments: tuple[str, ...],
    parameter: tuple[str, ...],
    output: Path | None,
    **chosen: Any,
) -> None:
    """Write the pyhf workspace of one or more parameters (stdout without -o).

    Example:  nuhf workspace coherent-csi-2021 -p munu_mu -o munu_mu.json
    """
    from nuhf import exchange, resources

    spec = exchange.workspace(experiments, parameter, **chosen)
    options.write(output, resources.dump_json(spec) + "\n", said=f"POI {_poi(spec)}")


def _poi(spec: "Mapping[str, Any]") -> str:
    """Name the parameter of interest, and what it counts in which unit."""
    from nuhf.workspaces import names

    poi: str
    if "analyses" in spec:  # HS3
        poi = spec["analyses"][0]["parameters_of_interest"][0]
    else:
        poi = spec["measurements"][0]["config"]["poi"]
    parameter, (_, power) = names.coupling(poi), names.split_unit(poi)
    if parameter is None:
        return poi
    quantity = f"{parameter.name}^{parameter.power}" if parameter.squared else parameter.name
    if parameter.offset:
        quantity += f" - {parameter.offset:g}"
    base = "" if parameter.unit == "1" else parameter.unit
    size = f"1e{power}" if power else "" if base else "1"
    unit = f"{size} {base}{f'^{parameter.power}' if base and parameter.squared else ''}".strip()
    return f"{poi}: {quantity} in {unit}" if unit != "1" else f"{poi}: {quantity}"
