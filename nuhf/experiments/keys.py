"""The keys of experiment files, from the JSON schema of the models that check them."""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, Final

from nuhf.experiments.file import ExperimentFile
from nuhf.experiments.parts import LONGEST_NAME

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


@cache
def json_schema() -> Schema:
    """Return the JSON schema of experiment files, for editors that check TOML."""
    schema = ExperimentFile.model_json_schema()
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema}


def tables() -> Iterator[KeyTable]:
    """Yield the tables of a file, the outermost first."""
    yield from {table.header: table for table in _tables(json_schema(), "", "")}.values()


def _tables(schema: Schema, header: str, line: str) -> Iterator[KeyTable]:
    required = set(schema.get("required", ()))
    properties = schema.get("properties", {})
    keys = [
        Key(name, allowed(entry), _default(entry, name in required), entry.get("description", ""))
        for name, entry in properties.items()
        if not (name == "name" and header.endswith(".NAME"))  # the table has it already
    ]
    yield KeyTable(line, schema.get("description", ""), tuple(keys))
    for name, entry in properties.items():
        where = f"{header}.{name}" if header else name
        for inner in options(entry):
            place, line = where, f"[{where}]"
            if inner.get("type") == "array":
                inner, line = inner.get("items", {}), f"[[{where}]]"
            elif found := values(inner):
                inner, place = found, f"{where}.NAME"
                line = f"[{place}]"
            for table in options(inner):
                if "properties" in table:
                    key, kind = _kind(table)
                    said = f" with {key} = '{kind}'" if kind else ""
                    yield from _tables(table, place, line + said)


# ------------------------------------------------------------------ parts of a schema


def options(schema: Schema) -> list[Schema]:
    """Return the alternatives of a value, ``null`` left out."""
    if reference := schema.get("$ref", "").rpartition("/")[2]:
        schema = json_schema()["$defs"][reference]
    # older versions of pydantic wrap a reference that has a description in allOf
    several = schema.get("oneOf") or schema.get("anyOf") or schema.get("allOf")
    if not several:
        return [schema]
    return [inner for one in several if one.get("type") != "null" for inner in options(one)]


def kinds(schema: Schema) -> tuple[str, Mapping[str, Schema]]:
    """Return the key that tells the members of a family apart, and these; none of another type."""
    found = [(_kind(one), one) for one in options(schema) if "properties" in one]
    if len(found) < 2 or not all(kind for (_, kind), _ in found):
        return "", {}
    return found[0][0][0], {kind: one for (_, kind), one in found}


def _kind(schema: Schema) -> tuple[str, str]:
    """Return the key that has one value only, and that value; empty if there is none."""
    for key in ("kind", "interaction"):
        if kind := schema["properties"].get(key, {}).get("const"):
            return key, kind
    return "", ""


def values(schema: Schema) -> Schema:
    """Return what the values of a table with free names are; empty if it is none."""
    if "patternProperties" in schema:
        (found,) = schema["patternProperties"].values()
        return dict(found)
    found = schema.get("additionalProperties")
    return found if isinstance(found, Mapping) else {}


def names(schema: Schema) -> Schema:
    """Return what the names in a table with free names are."""
    (pattern,) = schema.get("patternProperties") or ("",)
    return {"pattern": pattern, "maxLength": LONGEST_NAME} if pattern else {"type": "string"}


def choices(schema: Schema) -> list[Any]:
    """Return the values that a key is limited to; none if it is not."""
    return [schema["const"]] if "const" in schema else schema.get("enum", [])


# ------------------------------------------------------------------------ in words


def allowed(schema: Schema) -> str:
    """Return in words what a value may be."""
    if members := kinds(schema)[1]:
        return f"table of kind {' or '.join(map(shown, members))}"
    return " or ".join(dict.fromkeys(map(_type, options(schema))))


def _type(schema: Schema) -> str:
    if found := choices(schema):
        return " or ".join(map(shown, found))
    kind = schema.get("type")
    if kind == "array" and "prefixItems" in schema:
        inner = ", ".join(map(allowed, schema["prefixItems"]))
        return f"list of {len(schema['prefixItems'])}: {inner}"
    if kind == "array":
        size = _size(schema.get("minItems"), schema.get("maxItems"))
        return f"list{size}, each {allowed(schema.get('items', {}))}"
    if "properties" in schema:
        return f"table with {', '.join(schema['properties'])}"
    if entry := values(schema):
        return f"table{_size(schema.get('minProperties'), None)} of NAME = {allowed(entry)}"
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
