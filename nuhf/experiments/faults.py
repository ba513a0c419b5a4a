"""What is wrong with an experiment file: keys as in TOML, what was given, what is allowed."""

import json
import math
import re
from collections.abc import Mapping
from typing import Any, Final, Literal, get_args, get_origin

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from nuhf import parameters
from nuhf.experiments.keys import Model, allowed, bare, kinds_of, members, quoted, type_of

__all__ = ["in_words", "place_of"]

_MOST: Final = 5
"""Faults that are told; there may be one per line of the file."""

_LONGEST: Final = 60
"""Characters of a key or value that are repeated."""


def in_words(error: ValidationError, model: Model, content: Mapping[str, Any]) -> str:
    """Return all faults of a file on one line.

    Parameters
    ----------
    error : ValidationError
        From the model.
    model : type of BaseModel
        What the file should be.
    content : mapping
        What the file is.
    """
    details = error.errors(include_url=False)
    # an unknown key explains a missing one
    details.sort(key=lambda one: one["type"] != "extra_forbidden")
    found = list(dict.fromkeys(_fault(one, model, content) for one in details))
    more = [f"and {len(found) - _MOST} more"] if len(found) > _MOST else []
    return "; ".join([*found[:_MOST], *more])


def place_of(text: str, content: Any, path: str = "") -> str:
    """Return the path of the first key with this text as its value; empty if there is none."""
    if isinstance(content, Mapping):
        inside = [(f"{path}{'.' if path else ''}{_key(key)}", one) for key, one in content.items()]
    elif isinstance(content, tuple | list):
        inside = [(f"{path}{_entry(content, i)}", one) for i, one in enumerate(content)]
    else:
        return path if content == text else ""
    return next((found for where, one in inside if (found := place_of(text, one, where))), "")


def _fault(detail: ErrorDetails, model: Model, content: Mapping[str, Any]) -> str:
    what, loc = detail["type"], detail["loc"]
    if what == "missing" and isinstance(loc[-1], int):
        what, loc = "too_short", loc[:-1]  # a list of fixed length
    if loc[-1:] == ("[key]",):
        where, _, _ = _find(model, content, loc[:-1])
        _, tables, _ = _find(model, content, loc[:-2])
        names, *_ = get_args(bare(tables)[0])
        if get_origin(names) is Literal:
            return f"{where}: unknown key ({parameters.suggest(str(loc[-2]), get_args(names))})"
        return f"{where}: this name is refused (allowed: {allowed(names)})"
    where, kind, value = _find(model, content, loc)
    if what == "value_error":
        text = str(detail["ctx"]["error"])
        return f"{where}: {text}" if where else text
    if what in ("extra_forbidden", "missing"):
        key, (owner,) = str(loc[-1]), members(_find(model, content, loc[:-1])[1])
        if what == "extra_forbidden":
            return f"{where}: unknown key ({parameters.suggest(key, owner.model_fields)})"
        meaning = owner.model_fields[key].description
        return f"{where}: required, not given ({meaning}; allowed: {allowed(kind)})"
    models, plain = members(kind), bare(kind)[0]
    if len(models) > 1 and isinstance(value, Mapping):
        where, value = f"{where}.kind", value.get("kind")
        options: tuple[Any, ...] = tuple(name for one in models for name in kinds_of(one))
    else:
        options = get_args(plain) if what == "literal_error" else ()
    if options:
        hint = parameters.suggest(_shown(value), [quoted(one) for one in options])
    else:
        endless = isinstance(value, float) and not math.isfinite(value)
        hint = f"allowed: {'finite ' if endless else ''}{allowed(kind)}"
    return f"{where}{_given(value)} ({hint})"


def _find(model: Model, content: Any, loc: tuple[int | str, ...]) -> tuple[str, Any, Any]:
    """Return the key path of a place, its type with what is said about it, and its content."""
    path = ""
    kind: Any = model
    for part in loc:
        plain, _ = bare(kind)
        models, inner = members(plain), get_args(plain)
        if len(models) > 1:  # here the part is a kind, not a key
            kind = next(one for one in models if part in kinds_of(one))
            continue
        if isinstance(part, int):
            kind = inner[0] if inner[-1] is ... else inner[part]
            path += _entry(content, part)
            content = content[part]
            continue
        if models:
            field = models[0].model_fields.get(part)
            kind = None if field is None else type_of(field)
        else:
            kind = inner[1]
        path += f"{'.' if path else ''}{_key(part)}"
        content = content.get(part) if isinstance(content, Mapping) else None
    return path, kind, content


def _key(name: str) -> str:
    """Return a key as in TOML."""
    if re.fullmatch(r"[A-Za-z0-9_-]+", name):
        return name[:_LONGEST]
    return json.dumps(name[:_LONGEST])


def _entry(content: Any, index: int) -> str:
    """Return one of several tables by its name, if it has one of its own."""
    names = [one.get("name") if isinstance(one, Mapping) else None for one in content]
    name = names[index]
    if isinstance(name, str) and names.count(name) == 1:
        return f".{_key(name)}"
    return f"[entry {index + 1}]"


def _given(value: Any) -> str:
    if isinstance(value, Mapping):
        return f" is {'a' if value else 'an empty'} table"
    if isinstance(value, list):
        return f" is a list of {len(value)}"
    return ": required, not given" if value is None else f" = {_shown(value)}"


def _shown(value: Any) -> str:
    """Return a value as in TOML, or the beginning of it."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int) and value.bit_length() > _LONGEST * 3:
        return f"an integer of {value.bit_length()} bits"
    if isinstance(value, str) and len(value) > _LONGEST:
        return f"{value[:_LONGEST]!r}..."
    return repr(value) if isinstance(value, str | int | float) else str(value)
