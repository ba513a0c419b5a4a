"""``nuhf list`` and ``nuhf show``."""

from typing import TYPE_CHECKING, Any

import click

from nuhf.cli import options

if TYPE_CHECKING:
    from nuhf.experiments.region import Region

_KINDS = ("experiments", "parameters", "analyses", "keys", "schema")

_WIDTH = 96
"""Characters of a line of the list of keys."""


@options.command("list")
@click.argument(
    "what", default="experiments", metavar="[experiments|parameters|analyses|keys|schema]"
)
@click.argument("table", default="", metavar="[TABLE]")
@options.as_json
def list_command(what: str, table: str, as_json: bool) -> None:
    """List experiments, parameters, analyses, or the keys of experiment files.

    Keys are those of all tables of an experiment file, or of one with those inside it; 'schema'
    prints them as a JSON schema for editors.

    Example:  nuhf list keys responses.NAME.quenching
    """
    from nuhf import resources
    from nuhf.couplings import parameters
    from nuhf.errors import InputError
    from nuhf.experiments import catalogue

    if what not in _KINDS:
        raise InputError(f"nuhf list: '{what}' is unknown; {parameters.suggest(what, _KINDS)}")
    if table and what != "keys":
        raise InputError(f"nuhf list {what}: '{table}' is one word too many")
    if what == "schema":
        from nuhf.experiments.keys import json_schema

        click.echo(resources.dump_json(json_schema()))
        return
    if what == "parameters":
        rows = [
            {"name": p.name, "unit": p.unit, "fit_parameter": p.fit_name, "meaning": p.meaning}
            for p in parameters.PARAMETERS.values()
        ]
    elif what == "keys":
        rows = _keys(table)
    else:
        rows = []
        for name in catalogue.list_experiments():
            found = catalogue.load(name).experiment
            if what == "experiments":
                rows.append({"name": name, "title": found.title})
            else:
                rows += [
                    {"experiment": name, "analysis": label, "title": entry.title}
                    for label, entry in found.analyses.items()
                ]
    if as_json:
        click.echo(resources.dump_record({what: rows}))
        return
    if what == "keys":
        _print_keys(rows)
    else:
        _print_rows(rows)


def _keys(table: str) -> list[dict[str, str]]:
    """Return the keys of files: of all tables, or of one with those inside it."""
    from nuhf.couplings import parameters
    from nuhf.errors import InputError
    from nuhf.experiments import keys

    names = {part.header: part.header.partition("]")[0].strip("[") for part in keys.tables()}
    rows = [
        {"table": part.header, "key": key.name, "allowed": key.allowed,
         "default": key.default, "meaning": key.meaning}
        for part in keys.tables()
        if f"{names[part.header]}.".startswith(f"{table}." if table else "")
        for key in part.keys
    ]  # fmt: skip
    if not rows:
        hint = parameters.suggest(table, dict.fromkeys(filter(None, names.values())))
        raise InputError(f"nuhf list keys: no table '{table}' in experiment files; {hint}")
    return rows


def _print_keys(rows: list[dict[str, str]]) -> None:
    """Print a block for every table: key and what it takes, then what it means."""
    from itertools import groupby
    from textwrap import fill

    def write(text: str, indent: int, more: int) -> None:
        click.echo(fill(text, _WIDTH, initial_indent=" " * indent, subsequent_indent=" " * more,
                        break_on_hyphens=False))  # fmt: skip

    for table, group in groupby(rows, lambda row: row["table"]):
        click.echo()
        write(table or "top of the file", 0, 4)
        for row in group:
            default = row["default"]
            if default not in ("", "required"):
                default = f"default {default}"
            write(f"{row['key']}: {row['allowed']}{default and f'; {default}'}", 2, 6)
            write(row["meaning"], 6, 6)


def _print_rows(rows: list[dict[str, str]]) -> None:
    widths = [max(len(row[key]) for row in [dict(zip(rows[0], rows[0], strict=True)), *rows])
              for key in rows[0]]  # fmt: skip
    header = dict(zip(rows[0], rows[0], strict=True))
    for row in [header, *rows]:
        cells = (row[key].ljust(width) for key, width in zip(row, widths, strict=True))
        click.echo("  ".join(cells).rstrip())


@options.command()
@options.experiment
@options.analysis
@options.as_json
def show(experiment: str, analysis: str, as_json: bool) -> None:
    """Show an experiment: data, inputs with their sources, nuisances, notes, references.

    Example:  nuhf show coherent-csi-2021
    """
    from nuhf import resources
    from nuhf.cli import inputs
    from nuhf.experiments import catalogue
    from nuhf.experiments.prepare import prepare

    one = prepare(catalogue.load(experiment, analysis))
    found, chosen = one.loaded.experiment, one.loaded.analysis
    if as_json:
        content = {
            "file": str(one.loaded.path),
            "experiment": found.model_dump(mode="json"),
            "analysis": analysis,
            "regions": {region.name: _region_json(region) for region in one.regions},
            "tables": inputs.tables(one),
        }
        click.echo(resources.dump_record(content))
        return
    click.echo(f"{found.name}: {found.title}\nfile: {one.loaded.path}")
    click.echo(f"analysis {analysis}: {chosen.title}\ncouplings: {found.physics.couplings}")
    for region in one.regions:
        _print_region(region)
    click.echo("inputs:")
    for line in inputs.sections(one):
        click.echo(f"  {line}")
    click.echo("tables:")
    for table in inputs.tables(one):
        care = f" ({', '.join(table['care'])})" if table["care"] else ""
        click.echo(f"  {table['path']}{care}: {'; '.join(table['sources']) or 'not used'}")
    click.echo(f"other analyses: {', '.join(a for a in found.analyses if a != analysis) or 'none'}")
    click.echo(f"parameters: {', '.join(chosen.parameters)}")
    if chosen.reference:
        values = (f"{name} = {value:g}" for name, value in chosen.reference.items())
        click.echo(f"reference values: {', '.join(values)}")
    click.echo("nuisances:")
    for nuisance in one.loaded.nuisances:
        size, acts_on = nuisance.words
        click.echo(f"  {nuisance.name}: {size} on {acts_on}")
    for note in one.loaded.notes:
        click.echo(f"note: {note}")
    for entry in one.loaded.references:
        click.echo(f"reference: {entry.key}: {entry.full}")
    click.echo(f"publications behind @KEY: nuhf cite {experiment}")


def _region_json(region: "Region") -> dict[str, Any]:
    return {
        "axes": [{"name": axis.name, "edges": list(axis.edges)} for axis in region.axes],
        "observed": float(region.observed.sum()),
        "details": dict(region.details),
        "backgrounds": {name: float(row.sum()) for name, row in region.backgrounds.items()},
    }


def _print_region(region: "Region") -> None:
    bins = " x ".join(
        f"{axis.bins} in {axis.quantity.replace('_', ' ')}"
        + (f" ({axis.unit})" if axis.unit else "")
        for axis in region.axes
    )
    details = ", ".join(f"{name}: {value:.0f}" for name, value in region.details.items())
    click.echo(f"region {region.name}: bins {bins}")
    ranges = [
        f"{axis.quantity.replace('_', ' ')} {axis.edges[0]:g} to {axis.edges[-1]:g} {axis.unit}"
        for axis in region.axes
        if axis.bins > 1
    ]
    if ranges:
        click.echo(f"  range: {', '.join(text.rstrip() for text in ranges)}")
    click.echo(f"  observed: {region.observed.sum():.0f}" + (f" ({details})" if details else ""))
    for name, row in region.backgrounds.items():
        title = region.titles.get(name, name)
        click.echo(f"  background {name}: {row.sum():.1f} events ({title})")
