"""What is wrong with an experiment file: keys as in TOML, what was given, what is allowed."""

import json
import math
import re
from collections.abc import Mapping
from typing import Any, Final

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from nuhf.couplings import parameters

__all__ = ["in_words"]

_MOST: Final = 5
"""Faults that are told; there may be one per line of the file."""

_LONGEST: Final = 60
"""Characters of a key or value that are repeated."""


def in_words(error: ValidationError, content: Mapping[str, Any]) -> str:
    """Return all faults of a file on one line.

    Parameters
    ----------
    error : ValidationError
        From the model.
    content : mapping
        What the file is.
    """
    details = error.errors(include_url=False)
    # an unknown key explains a missing one
    details.sort(key=lambda detail: detail["type"] != "extra_forbidden")
    faults = list(dict.fromkeys(_fault(detail, content) for detail in details))
    more = [f"and {len(faults) - _MOST} more"] if len(faults) > _MOST else []
    return "; ".join([*faults[:_MOST], *more])


def _fault(detail: ErrorDetails, content: Mapping[str, Any]) -> str:
    where, value, model = _place(detail["loc"], content)
    what, context = detail["type"], detail.get("ctx", {})
    if what == "value_error":
        text = str(context["error"])
        return f"{where}: {text}" if where else text
    if what == "extra_forbidden":
        known = list(model.model_fields) if model else []
        return f"{where}: unknown key ({parameters.suggest(str(detail['loc'][-1]), known)})"
    if what == "missing":
        field = model.model_fields.get(str(detail["loc"][-1])) if model else None
        meaning = f" ({field.description})" if field and field.description else ""
        return f"{where}: required, not given{meaning}"
    if what in ("union_tag_invalid", "union_tag_not_found"):
        key = str(context.get("discriminator", "kind")).strip("'")
        kinds = re.findall(r"'([^']+)'", str(context.get("expected_tags", "")))
        if not kinds and model:
            kinds = list(getattr(model, "members", dict)())
        given = value.get(_key_of(model)) if isinstance(value, Mapping) else value
        key = _key_of(model)
        if given is None:
            return f"{where}.{key}: required, not given (allowed: {', '.join(kinds)})"
        return f"{where}.{key}{_given(given)} ({parameters.suggest(_shown(given), kinds)})"
    if what == "literal_error":
        kinds = re.findall(r"'([^']*)'|(\d+)", str(context.get("expected", "")))
        names = [text or number for text, number in kinds]
        return f"{where}{_given(value)} ({parameters.suggest(_shown(value), names)})"
    if detail["loc"] and detail["loc"][-1] == "[key]":
        return f"{where}: this name is refused ({_message(detail)})"
    return f"{where}{_given(value)} (allowed: {_message(detail)})"


def _message(detail: ErrorDetails) -> str:
    """Return what pydantic asks for, as a phrase."""
    if detail["type"] == "string_pattern_mismatch":
        if "A-Z" not in detail["ctx"]["pattern"] and "_" in detail["ctx"]["pattern"]:
            return "a letter, then a-z, 0-9, _; up to 60"
        return "a-z, 0-9, -, .; up to 60"
    text = detail["msg"].removeprefix("Input should be ").removeprefix("a valid ")
    return text[:1].lower() + text[1:]


def _key_of(model: type[BaseModel] | None) -> str:
    return getattr(model, "discriminator", "kind")


def _place(loc: tuple[int | str, ...], content: Any) -> tuple[str, Any, type[BaseModel] | None]:
    """Return the key path of a place, what stands there, and the model of its table.

    Parts of the location that are kinds of a family, or types of a union, are no keys.
    """
    from nuhf.experiments.file import ExperimentFile

    path, value = "", content
    model: type[BaseModel] | None = ExperimentFile
    annotation: Any = ExperimentFile
    for i, part in enumerate(loc):
        family = _family(annotation)
        if family is not None and part in family.members():
            model = annotation = family.members()[str(part)]
            continue
        if part == "[key]":
            continue
        if isinstance(part, int):
            path += f"[entry {part + 1}]"
            value = value[part] if isinstance(value, tuple) and part < len(value) else None
            annotation = _inner(annotation)
            continue
        inside = isinstance(value, Mapping) and part in value
        last = i == len(loc) - 1
        if not inside and not last and isinstance(annotation, type) is False:
            annotation = annotation  # a branch of a union, such as a list of edges
            continue
        if not inside and not last:
            continue
        path += f"{'.' if path else ''}{_key(part)}"
        value = value.get(part) if isinstance(value, Mapping) else None
        if isinstance(annotation, type) and issubclass(annotation, BaseModel):
            model = annotation
            field = annotation.model_fields.get(str(part))
            annotation = field.annotation if field else None
        else:
            annotation = _inner(annotation)
        family = _family(annotation)
        if (family is not None and not last) or family is not None:
            model = family
    return path, value, model


def _arguments(annotation: Any) -> tuple[Any, ...]:
    return tuple(a for a in getattr(annotation, "__args__", ()) if a is not type(None))


def _inner(annotation: Any) -> Any:
    """Return the type of the values of a table or list."""
    arguments = _arguments(annotation)
    if not arguments:
        return None
    return arguments[-1] if arguments[-1] is not ... else arguments[0]


def _family(annotation: Any) -> Any:
    """Return the family or model that an annotation stands for, if it has members."""
    for candidate in (annotation, *_arguments(annotation)):
        if isinstance(candidate, type) and hasattr(candidate, "members"):
            return candidate
    return None


def _key(name: str) -> str:
    """Return a key as in TOML."""
    if re.fullmatch(r"[A-Za-z0-9_-]+", name):
        return name[:_LONGEST]
    return json.dumps(name[:_LONGEST])


def _given(value: Any) -> str:
    if isinstance(value, Mapping):
        return f" is {'a' if value else 'an empty'} table"
    if isinstance(value, tuple | list):
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
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    return repr(value) if isinstance(value, str | int | float) else str(value)
