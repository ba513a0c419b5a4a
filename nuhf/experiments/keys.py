"""The keys of experiment files, from the JSON schema of the models that check them."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from nuhf.experiments.file import ExperimentFile

__all__ = ["Key", "Table", "json_schema", "tables"]

Schema = Mapping[str, Any]


@dataclass(frozen=True)
class Key:
    """One key: its name, type and values, default (``required`` if none), and meaning."""

    name: str
    allowed: str
    default: str
    meaning: str


@dataclass(frozen=True)
class Table:
    """One table of a file: its header, with NAME where names are free, what it is, its keys."""

    header: str
    about: str
    keys: tuple[Key, ...]


def json_schema() -> dict[str, Any]:
    """Return the JSON schema of experiment files, for editors that check TOML."""
    schema = ExperimentFile.model_json_schema()
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema}


def tables() -> Iterator[Table]:
    """Yield the tables of a file, the outermost first."""
    schema = json_schema()
    yield from _tables(schema, schema.get("$defs", {}), "", "")


def _tables(schema: Schema, known: Schema, header: str, shown: str) -> Iterator[Table]:
    required = set(schema.get("required", ()))
    properties = schema.get("properties", {})
    keys = [
        Key(name, _allowed(entry, known), _default(entry, name in required),
            entry.get("description", ""))
        for name, entry in properties.items()
    ]  # fmt: skip
    yield Table(shown, schema.get("description", ""), tuple(keys))
    for name, entry in properties.items():
        where = f"{header}.{name}" if header else name
        for inner in _options(entry, known):
            place, line = where, f"[{where}]"
            if inner.get("type") == "array":
                inner, line = _resolved(inner.get("items", {}), known), f"[[{where}]]"
            elif (values := _values(inner)) is not None:
                inner, place = values, f"{where}.NAME"
                line = f"[{place}]"
            for table in _options(inner, known):
                if "properties" in table:
                    yield from _tables(table, known, place, line + _kind(table))


def _values(schema: Schema) -> Schema | None:
    """Return the schema of the values of a table whose names are free; None for other tables."""
    values = schema.get("additionalProperties")
    for inner in schema.get("patternProperties", {}).values():
        values = inner
    return values if isinstance(values, Mapping) else None


def _kind(schema: Schema) -> str:
    for key in ("kind", "interaction"):
        entry = schema["properties"].get(key, {})
        if "const" in entry:
            return f" with {key} = '{entry['const']}'"
    return ""


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
    if "const" in schema:
        return json.dumps(schema["const"])
    if "enum" in schema:
        return " or ".join(json.dumps(value) for value in schema["enum"])
    kind = str(schema.get("type", ""))
    if kind == "array" and "prefixItems" in schema:
        inner = ", ".join(_allowed(item, known) for item in schema["prefixItems"])
        return f"list of {len(schema['prefixItems'])}: {inner}"
    if kind == "array":
        least = schema.get("minItems")
        size = f" of at least {least}" if least else ""
        return f"list{size}, each {_allowed(schema.get('items', {}), known)}"
    if (values := _values(schema)) is not None:
        return f"table of NAME = {_allowed(values, known)}"
    if kind == "object" or "properties" in schema:
        return "table"
    if kind in ("number", "integer"):
        return kind + _range(schema)
    words = {"string": "text", "boolean": "true or false"}
    return words.get(kind, str(kind) or "any value")


def _range(schema: Schema) -> str:
    low, above = schema.get("minimum"), schema.get("exclusiveMinimum")
    high, below = schema.get("maximum"), schema.get("exclusiveMaximum")
    words = []
    if low is not None:
        words.append(f"from {low:g}")
    if above is not None:
        words.append(f"above {above:g}")
    if high is not None:
        words.append(f"up to {high:g}")
    if below is not None:
        words.append(f"below {below:g}")
    return " " + " ".join(words) if words else ""


def _default(schema: Schema, required: bool) -> str:
    if required:
        return "required"
    value = schema.get("default")
    return "" if value is None or value in ("", [], {}) else json.dumps(value)
