"""What is wrong with an experiment file: keys as in TOML, what was given, what is allowed."""

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from nuhf.couplings.parameters import suggest
from nuhf.experiments import keys
from nuhf.experiments.keys import LONGEST, Schema, allowed, shown

_MOST: Final = 5
"""Faults that are told; there may be one per line of the file."""


def in_words(error: ValidationError, content: Mapping[str, Any]) -> str:
    """Return all faults of a file, whose content is given, on one line."""
    details = error.errors(include_url=False)
    # an unknown key explains a missing one
    details.sort(key=lambda detail: detail["type"] != "extra_forbidden")
    faults = list(dict.fromkeys(_fault(detail, content) for detail in details))
    more = [f"and {len(faults) - _MOST} more"] if len(faults) > _MOST else []
    return "; ".join([*faults[:_MOST], *more])


@dataclass(frozen=True)
class _Place:
    """Where a fault is."""

    path: str
    """The keys, as in TOML."""
    value: Any
    """What stands there; None if nothing."""
    schema: Schema
    """What is wanted there."""
    fields: Schema
    """The keys of the table that the last key is in, with what each is."""


def _fault(detail: ErrorDetails, content: Mapping[str, Any]) -> str:
    place = _place(detail["loc"], content)
    where, what, value, last = place.path, detail["type"], place.value, detail["loc"][-1:]
    if what == "value_error":
        text = str(detail["ctx"]["error"])
        return f"{where}: {text}" if where else text
    if what == "extra_forbidden":
        # names of tables are added while reading
        known = [key for key, one in place.fields.items() if key != "name" or "default" not in one]
        return f"{where}: unknown key ({suggest(str(last[0]), known)})"
    if last == ("[key]",):
        words = detail.get("ctx", {}).get("expected") or allowed(place.schema)
        return f"{where}: this name is refused (allowed: {words})"
    if what == "missing" and isinstance(last[0], str):
        meaning = place.fields[last[0]].get("description", "")
        return f"{where}: required, not given ({meaning}; allowed: {allowed(place.schema)})"
    discriminator, members = keys.kinds(place.schema)
    if members and isinstance(value, Mapping):
        key, given = f"{where}.{discriminator}", value.get(discriminator)
        if given is None:
            return f"{key}: required, not given (allowed: {', '.join(members)})"
        return f"{key}{_given(given)} ({_nearest(given, members)})"
    if what == "literal_error":
        known = [one for option in keys.options(place.schema) for one in keys.choices(option)]
        return f"{where}{_given(value)} ({_nearest(value, known)})"
    finite = "finite " if what == "finite_number" else ""
    return f"{where}{_given(value)} (allowed: {finite}{allowed(place.schema)})"


def _nearest(given: Any, known: Iterable[Any]) -> str:
    found = [str(name) for name in known]
    return suggest(given, found) if isinstance(given, str) else f"allowed: {', '.join(found)}"


def _place(loc: tuple[int | str, ...], content: Any) -> _Place:
    """Follow a location of pydantic's; kinds of a family and branches of a union are no keys."""
    place = _Place("", content, keys.json_schema(), {})
    above: Schema = {}
    for i, part in enumerate(loc):
        branches, (_, members) = keys.options(place.schema), keys.kinds(place.schema)
        schema, value = branches[0], place.value
        if part == "[key]":
            place = replace(place, schema=keys.names(above))
        elif members:
            place = replace(place, schema=members[str(part)])
        elif len(branches) > 1 and i == len(loc) - 1:
            break  # what every branch takes is allowed
        elif len(branches) > 1:
            named = [one for one in branches if one.get("title") == part]
            place = replace(place, schema=(named or branches)[0])
        elif isinstance(part, int) and isinstance(value, tuple) and part >= len(value):
            break  # too few
        elif isinstance(part, int):
            entry = value[part] if isinstance(value, tuple) else None
            fixed = schema.get("prefixItems")
            wanted = fixed[part] if fixed else schema["items"]
            place = _Place(f"{place.path}[entry {part + 1}]", entry, wanted, {})
        else:
            path = f"{place.path}{'.' if place.path else ''}{_key(part)}"
            entry = value.get(part) if isinstance(value, Mapping) else None
            fields = schema.get("properties", {})
            wanted = fields.get(part, {}) if fields else keys.values(schema)
            place, above = _Place(path, entry, wanted, fields), schema
    return place


def _key(name: str) -> str:
    """Return a key as in TOML."""
    if re.fullmatch(r"[A-Za-z0-9_-]+", name):
        return name[:LONGEST]
    return json.dumps(name[:LONGEST])


def _given(value: Any) -> str:
    if isinstance(value, Mapping):
        return f" is {'a' if value else 'an empty'} table"
    if isinstance(value, tuple | list):
        return f" is a list of {len(value)}"
    return ": required, not given" if value is None else f" = {shown(value)}"
