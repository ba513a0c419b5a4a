"""``nuhf list`` and ``nuhf show``."""

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import click

from nuhf.cli import options

if TYPE_CHECKING:
    from nuhf.experiments.region import Prepared, Region

_KINDS = ("experiments", "parameters", "analyses", "keys", "schema")

_WIDTH = 96
"""Characters of a line of the list of keys."""
_LONGEST = 12
"""Values of a list that are printed; of longer ones the number and the ends."""


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
    table = [list(rows[0]), *(list(row.values()) for row in rows)]
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    for row in table:
        click.echo("  ".join(map(str.ljust, row, widths)).rstrip())


@options.command()
@options.experiment
@options.analysis
@options.as_json
def show(experiment: str, analysis: str, as_json: bool) -> None:
    """Show an experiment: data, inputs with their sources, nuisances, notes, references.

    Example:  nuhf show coherent-csi-2021
    """
    from nuhf import resources
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
            "tables": _tables(one),
        }
        click.echo(resources.dump_record(content))
        return
    click.echo(f"{found.name}: {found.title}\nfile: {one.loaded.path}")
    click.echo(f"analysis {analysis}: {chosen.title}\ncouplings: {found.physics.couplings}")
    for region in one.regions:
        _print_region(region)
    click.echo("inputs:")
    for line in _sections(one):
        click.echo(f"  {line}")
    click.echo("tables:")
    for table in _tables(one):
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


def _sections(one: "Prepared") -> list[str]:
    """Return the numbers of sources, target, responses and regions, a line for each table.

    Of several signals, regions, sources and responses those that the analysis uses. Units are in
    the names of the keys.
    """
    experiment, analysis = one.loaded.experiment, one.loaded.analysis
    content = experiment.model_dump(mode="json", exclude_none=True)
    for key in ("signals", "regions"):
        chosen = getattr(analysis, key)
        if chosen is not None:
            content[key] = {name: content[key][name] for name in chosen}
    for key, role in (("sources", "source"), ("responses", "response")):
        named = [signal.get(role) for signal in content["signals"].values()]
        named += [background.get(role) for background in content["backgrounds"].values()]
        content[key] = {name: table for name, table in content[key].items() if name in named}
    lines: list[str] = []
    for key in ("sources", "target", "responses", "physics", "signals", "regions"):
        if content.get(key):
            lines += _lines(key, content[key])
    return lines


def _tables(one: "Prepared") -> list[dict[str, Any]]:
    """Return what is known of every file that the analysis reads, with its path."""
    from nuhf.report import sources

    return [
        table.to_json()
        for table in sources.tables([one])
        if table.path != one.loaded.path.absolute()
    ]


def _lines(where: str, value: Any) -> Iterator[str]:
    """Yield the plain keys of a table in one line with its source, then its tables."""
    if isinstance(value, list) and _are_tables(value):
        for i, entry in enumerate(value):
            yield from _lines(f"{where}.{entry.get('name', i)}", entry)
        return
    if not isinstance(value, Mapping):
        yield f"{where} = {_text(value)}"
        return
    inner = {key: entry for key, entry in value.items() if _is_table(entry)}
    plain = [
        f"{key} = {_text(entry)}"
        for key, entry in value.items()
        if key not in inner
        and key != "title"
        and entry not in ("", [], {}, False)
        and (key != "source" or "interaction" in value)
    ]
    stated = value.get("source") if "interaction" not in value else ""
    source = f"({stated})" if stated else ""
    if plain or source:
        yield f"{where}: {'  '.join(text for text in (', '.join(plain), source) if text)}"
    for key, entry in inner.items():
        yield from _lines(f"{where}.{key}", entry)


def _are_tables(value: list[Any]) -> bool:
    return len(value) > 0 and all(isinstance(entry, Mapping) for entry in value)


def _is_table(value: Any) -> bool:
    """Tell one or more tables from a handful of numbers by name, such as a formula."""
    if isinstance(value, Mapping):
        return any(not isinstance(entry, int | float) for entry in value.values())
    return isinstance(value, list) and _are_tables(value)


def _text(value: Any) -> str:
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{key} = {_text(entry)}" for key, entry in value.items()) + "}"
    if isinstance(value, list):
        if len(value) > _LONGEST:
            return f"{len(value)} values from {_text(value[0])} to {_text(value[-1])}"
        return f"[{', '.join(_text(entry) for entry in value)}]"
    if isinstance(value, float):
        return f"{value:.10g}"
    return str(value).lower() if isinstance(value, bool) else str(value)
