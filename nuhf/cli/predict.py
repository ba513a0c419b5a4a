"""``nuhf rate``, ``templates`` and ``workspace``."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from nuhf.cli import options

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from nuhf.experiments.region import Prepared

    Rows = Mapping[str, NDArray[np.float64]]

__all__ = ["rate", "templates", "workspace"]


@options.command()
@click.argument("experiment", metavar="EXP", shell_complete=options.complete_experiment)
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
    analysis: str,
    anapole: str,
    settings: tuple[str, ...],
    numbers: tuple[str, ...],
    bins: bool,
    as_json: bool,
    output: Path | None,
) -> None:
    """Print expected events of every flavour and background, at the SM or with couplings.

    With --set the events at the SM stand beside them, with the difference.

    Example:  nuhf rate coherent-csi-2021 --set qnu_mumu=5e-8
    """
    from nuhf import api, resources
    from nuhf.experiments.prepare import prepare

    values = options.parse_values(settings)
    one = prepare(api.experiment(experiment, analysis))
    found = api.rate_of(one, values, anapole, options.parse_numbers(numbers))
    standard = api.rate_of(one, {}, anapole) if values else found
    if as_json:
        text = resources.dump_json(
            {
                "values": values,
                "regions": {name: _json(rows, standard[name]) for name, rows in found.items()},
            }
        )
    elif bins or (output is not None and output.suffix.lower() == ".csv"):
        text = _csv(one, found, standard, values)
    else:
        lines = []
        for region, rows in found.items():
            lines += [f"{region}:"] if len(found) > 1 else []
            lines += _beside(rows, standard[region]) if values else _alone(rows)
        text = "\n".join(lines) + "\n"
    options.write(output, text)


def _events(rows: "Rows") -> dict[str, float]:
    """Events by component, and their sum."""
    events = {name: float(row.sum()) for name, row in rows.items()}
    return events | {"total": sum(events.values())}


def _alone(rows: "Rows") -> list[str]:
    return [f"{name:24s} {number:10.2f} events" for name, number in _events(rows).items()]


def _beside(rows: "Rows", standard: "Rows") -> list[str]:
    before = _events(standard)
    return [
        f"{'events':24s} {'SM':>10s} {'with --set':>12s} {'difference':>12s}",
        *(
            f"{name:24s} {before[name]:10.2f} {number:12.2f} {number - before[name]:+12.2f}"
            for name, number in _events(rows).items()
        ),
    ]


def _json(rows: "Rows", standard: "Rows") -> dict[str, Any]:
    events, before = ({name: float(row.sum()) for name, row in r.items()} for r in (rows, standard))
    return {
        "events": events,
        "sm_events": before,
        "difference": {name: events[name] - before[name] for name in events},
        "bins": {name: [float(x) for x in row] for name, row in rows.items()},
    }


def _csv(
    one: "Prepared",
    found: Mapping[str, "Rows"],
    standard: Mapping[str, "Rows"],
    values: Mapping[str, float],
) -> str:
    """Events of every bin; with values also those at the SM of what they may change."""
    from nuhf.rates.templates import bin_columns
    from nuhf.tables import format_csv, tables_together

    parts = []
    for region in one.regions:
        columns = dict(found[region.name])
        if values:
            rows = standard[region.name]
            columns |= {f"sm_{name}": rows[name] for name in rows if name not in region.backgrounds}
        numbers = {name: row.tolist() for name, row in columns.items()}
        parts.append((region.name, bin_columns(region.axes) | numbers))
    given = ", ".join(f"{name}={value:g}" for name, value in values.items())
    comments = ["expected events per bin", f"values: {given or 'SM'}"]
    comments += ["sm_: the same at the SM"] if values else []
    return format_csv(tables_together(parts), comments)


@options.command()
@click.argument("experiment", metavar="EXP", shell_complete=options.complete_experiment)
@options.analysis
@options.output
def templates(experiment: str, analysis: str, output: Path | None) -> None:
    """Write the signal templates, nominal and varied, as JSON (stdout without -o).

    Example:  nuhf templates coherent-csi-2021 -o templates.json
    """
    from nuhf import api, resources
    from nuhf.experiments.prepare import prepare
    from nuhf.rates.templates import to_json

    one = prepare(api.experiment(experiment, analysis))
    content = to_json(one.name, analysis, one.templates, one.digests)
    options.write(output, resources.dump_json(content) + "\n")


@options.command()
@options.experiments
@click.option("-p", "--parameter", "parameter", multiple=True, required=True,
              shell_complete=options.complete_parameter,
              help="Free parameter; repeatable, the first is the POI.")  # fmt: skip
@options.model_options
@click.option("--encoding", default="stock", show_default=True,
              metavar="stock|stock-positive|native|hs3",
              help="stock: read by plain pyhf; stock-positive: no sample has a negative bin; "
                   "native: exact, read by nuhf; hs3: exact, HS3 instead of pyhf.")  # fmt: skip
@options.search
@options.output
def workspace(
    experiments: tuple[str, ...],
    parameter: tuple[str, ...],
    analysis: str,
    anapole: str,
    settings: tuple[str, ...],
    numbers: tuple[str, ...],
    encoding: str,
    search: tuple[float, float] | None,
    output: Path | None,
) -> None:
    """Write the pyhf workspace of one or more parameters (stdout without -o).

    Example:  nuhf workspace coherent-csi-2021 -p munu_mu -o munu_mu.json
    """
    from nuhf import exchange, resources

    spec = exchange.workspace(
        experiments,
        parameter,
        encoding=encoding,
        search=search,
        analysis=analysis,
        anapole=anapole,
        values=options.parse_values(settings),
        settings=options.parse_numbers(numbers),
    )
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
