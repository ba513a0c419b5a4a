"""The keys of experiment files, from the JSON schema of the models that check them."""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from pydantic import TypeAdapter

from nuhf.experiments.file import ExperimentFile

__all__ = ["LONGEST", "Key", "KeyTable", "allowed", "json_schema", "shown", "tables"]

LONGEST: Final = 60
"""Characters of a key or value that are repeated."""

Schema = Mapping[str, Any]


@dataclass(frozen=True)
class Key:
    """One key: its name, type and values, default (``required`` if none), and meaning."""

    name: str
    allowed: str
    default: str
    meaning: str


@dataclass(frozen=True)
class KeyTable:
    """One table of a file: its header, with NAME where names are free, what it is, its keys."""

    header: str
    about: str
    keys: tuple[Key, ...]


def json_schema() -> dict[str, Any]:
    """Return the JSON schema of experiment files, for editors that check TOML."""
    schema = ExperimentFile.model_json_schema()
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema}


def tables() -> Iterator[KeyTable]:
    """Yield the tables of a file, the outermost first."""
    schema = json_schema()
    found = {table.header: table for table in _tables(schema, schema.get("$defs", {}), "", "")}
    yield from found.values()


def allowed(annotation: Any) -> str:
    """Return in words what a type of `nuhf.experiments.file` takes."""
    schema = TypeAdapter(annotation).json_schema()
    return _allowed(schema, schema.get("$defs", {}))


def _tables(schema: Schema, known: Schema, header: str, shown: str) -> Iterator[KeyTable]:
    required = set(schema.get("required", ()))
    properties = schema.get("properties", {})
    keys = [
        Key(name, _allowed(entry, known), _default(entry, name in required),
            entry.get("description", ""))
        for name, entry in properties.items()
        if not (name == "name" and header.endswith(".NAME"))  # the table has it already
    ]  # fmt: skip
    yield KeyTable(shown, schema.get("description", ""), tuple(keys))
    for name, entry in properties.items():
        where = f"{header}.{name}" if header else name
        for inner in _options(entry, known):
            place, line = where, f"[{where}]"
            if inner.get("type") == "array":
                inner, line = _resolved(inner.get("items", {}), known), f"[[{where}]]"
            elif values := _values(inner):
                inner, place = values, f"{where}.NAME"
                line = f"[{place}]"
            for table in _options(inner, known):
                if "properties" in table:
                    yield from _tables(table, known, place, line + _kind(table))


def _kind(schema: Schema) -> str:
    for key in ("kind", "interaction"):
        entry = schema["properties"].get(key, {})
        if "const" in entry:
            return f" with {key} = '{entry['const']}'"
    return ""


def _values(schema: Schema) -> Schema:
    """Return what the values of a table with free names are; empty if it is none."""
    if "patternProperties" in schema:
        (values,) = schema["patternProperties"].values()
        return dict(values)
    values = schema.get("additionalProperties")
    return values if isinstance(values, Mapping) else {}


def _resolved(schema: Schema, known: Schema) -> Schema:
    reference = schema.get("$ref", "").rpartition("/")[2]
    return known[reference] if reference else schema


def _options(schema: Schema, known: Schema) -> list[Schema]:
    """Return the alternatives of a value, ``null`` left out."""
    schema = _resolved(schema, known)
    options = schema.get("oneOf") or schema.get("anyOf")
    if not options:
        return [schema]
    return [
        inner
        for option in options
        if option.get("type") != "null"
        for inner in _options(option, known)
    ]


def _allowed(schema: Schema, known: Schema) -> str:
    options = _options(schema, known)
    kinds = [_kind(o).rpartition(" = ")[2] for o in options if "properties" in o]
    if len(kinds) > 1 and all(kinds):
        return f"table of kind {' or '.join(kinds)}"
    return " or ".join(dict.fromkeys(_type(option, known) for option in options))


def _type(schema: Schema, known: Schema) -> str:
    values = [schema["const"]] if "const" in schema else schema.get("enum")
    if values:
        return " or ".join(map(shown, values))
    kind = schema.get("type")
    if kind == "array" and "prefixItems" in schema:
        inner = ", ".join(_allowed(item, known) for item in schema["prefixItems"])
        return f"list of {len(schema['prefixItems'])}: {inner}"
    if kind == "array":
        size = _size(schema.get("minItems"), schema.get("maxItems"))
        return f"list{size}, each {_allowed(schema.get('items', {}), known)}"
    if "properties" in schema:
        return f"table with {', '.join(schema['properties'])}"
    if values := _values(schema):
        return (
            f"table{_size(schema.get('minProperties'), None)} of NAME = {_allowed(values, known)}"
        )
    if kind in ("number", "integer"):
        return f"{kind}{_range(schema)}"
    if "pattern" in schema:
        first = "a letter, then a-z, 0-9, _" if "_" in schema["pattern"] else "a-z, 0-9, -, ."
        return f"name ({first}; up to {schema['maxLength']})"
    words = {"string": "text", "boolean": "true or false", "object": "table"}
    return words.get(str(kind), "any value")


def shown(value: Any) -> str:
    """Return a value as in TOML, or the beginning of it."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int) and value.bit_length() > LONGEST * 3:
        return f"an integer of {value.bit_length()} bits"
    if isinstance(value, str) and len(value) > LONGEST:
        return f"{value[:LONGEST]!r}..."
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    return repr(value) if isinstance(value, str | int | float) else str(value)


def _size(low: int | None, high: int | None) -> str:
    if high is not None:
        return f" of {low or 0} to {high}"
    return f" of at least {low}" if low else ""


def _range(schema: Schema) -> str:
    low, above = schema.get("minimum"), schema.get("exclusiveMinimum")
    high, below = schema.get("maximum"), schema.get("exclusiveMaximum")
    if low is not None:
        return f" from {low:g}" + (f" to {high:g}" if high is not None else " on")
    words = [] if above is None else [f"greater than {above:g}"]
    words += [] if high is None else [f"up to {high:g}"]
    words += [] if below is None else [f"less than {below:g}"]
    return " " + ", ".join(words) if words else ""


def _default(schema: Schema, required: bool) -> str:
    if required:
        return "required"
    value = schema.get("default")
    return "" if value is None or value in ("", [], {}) else shown(value)
