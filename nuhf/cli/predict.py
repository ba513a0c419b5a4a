"""``nuhf rate``, ``templates`` and ``workspace``."""

from pathlib import Path

import click

from nuhf.cli import options

__all__ = ["rate", "templates", "workspace"]


@click.command()
@click.argument("experiment", metavar="EXP", shell_complete=options.complete_experiment)
@options.model_options
@click.option("--bins", is_flag=True, help="Print CSV with the events of every bin.")
@options.as_json
@options.output
def rate(
    experiment: str,
    analysis: str,
    anapole: str,
    settings: tuple[str, ...],
    bins: bool,
    as_json: bool,
    output: Path | None,
) -> None:
    """Print expected events of every flavour and background, at the SM or with couplings.

    Example:  nuhf rate coherent-csi-2021 --set qnu_mumu=5e-8
    """
    from nuhf import api, resources
    from nuhf.engine.store import bin_columns
    from nuhf.experiments import catalogue
    from nuhf.experiments.prepare import prepare
    from nuhf.tables import format_csv, tables_together

    values = options.parse_values(settings)
    found = api.rate(experiment, values, analysis=analysis, anapole=anapole)
    if as_json:
        content = {
            "values": values,
            "regions": {
                region: {
                    "events": {name: float(row.sum()) for name, row in rows.items()},
                    "bins": {name: [float(x) for x in row] for name, row in rows.items()},
                }
                for region, rows in found.items()
            },
        }
        options.write(output, resources.dump_json(content))
        return
    if bins:
        prepared = prepare(catalogue.load(experiment, analysis))
        parts = [
            (r.name, bin_columns(r.axes) | {n: row.tolist() for n, row in found[r.name].items()})
            for r in prepared.regions
        ]
        comments = ["expected events per bin", f"values: {values or 'SM'}"]
        options.write(output, format_csv(tables_together(parts), comments))
        return
    lines = []
    for region, rows in found.items():
        lines += [f"{region}:"] if len(found) > 1 else []
        lines += [f"{name:24s} {row.sum():10.2f} events" for name, row in rows.items()]
        lines.append(f"{'total':24s} {sum(row.sum() for row in rows.values()):10.2f} events")
    options.write(output, "\n".join(lines) + "\n")


@click.command()
@click.argument("experiment", metavar="EXP", shell_complete=options.complete_experiment)
@options.analysis
@options.output
def templates(experiment: str, analysis: str, output: Path | None) -> None:
    """Write the signal templates, nominal and varied, as JSON (stdout without -o).

    Example:  nuhf templates coherent-csi-2021 -o templates.json
    """
    from nuhf import resources
    from nuhf.engine.store import to_json
    from nuhf.experiments import catalogue
    from nuhf.experiments.prepare import prepare

    one = prepare(catalogue.load(experiment, analysis))
    content = to_json(one.name, analysis, one.templates, one.digests)
    options.write(output, resources.dump_json(content) + "\n")


@click.command()
@options.experiments
@click.option("-p", "--parameter", "parameter", multiple=True, required=True,
              shell_complete=options.complete_parameter,
              help="Free parameter; repeatable, the first is the POI.")  # fmt: skip
@options.model_options
@click.option("--encoding", default="native", show_default=True, metavar="native|stock",
              help="native: exact, read by nuhf; stock: read by plain pyhf.")  # fmt: skip
@options.output
def workspace(
    experiments: tuple[str, ...],
    parameter: tuple[str, ...],
    analysis: str,
    anapole: str,
    settings: tuple[str, ...],
    encoding: str,
    output: Path | None,
) -> None:
    """Write the pyhf workspace of one or more parameters (stdout without -o).

    Example:  nuhf workspace coherent-csi-2021 -p munu_mu --encoding stock -o munu_mu.json
    """
    from nuhf import exchange, resources

    spec = exchange.workspace(
        experiments,
        parameter,
        encoding=encoding,
        analysis=analysis,
        anapole=anapole,
        values=options.parse_values(settings),
    )
    options.write(output, resources.dump_json(spec) + "\n")
