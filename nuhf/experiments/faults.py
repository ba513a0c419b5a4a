"""What is wrong with an experiment file: keys as in TOML, what was given, what is allowed."""

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from types import NoneType, UnionType
from typing import Annotated, Any, Final, Union, get_args, get_origin

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from nuhf.couplings.parameters import suggest
from nuhf.experiments.file import ExperimentFile
from nuhf.experiments.keys import LONGEST, allowed, shown
from nuhf.experiments.parts import Part

__all__ = ["in_words"]

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
    annotation: Any
    """The type that is wanted there."""
    table: type[BaseModel] | None
    """The model of the table that the last key is in."""


def _fault(detail: ErrorDetails, content: Mapping[str, Any]) -> str:
    place = _place(detail["loc"], content)
    where, what, value = place.path, detail["type"], place.value
    fields = place.table.model_fields if place.table else {}
    if what == "value_error":
        text = str(detail["ctx"]["error"])
        return f"{where}: {text}" if where else text
    if what == "extra_forbidden":
        # names of tables are added while reading
        known = [key for key, field in fields.items() if key != "name" or field.is_required()]
        return f"{where}: unknown key ({suggest(str(detail['loc'][-1]), known)})"
    if detail["loc"] and detail["loc"][-1] == "[key]":
        return f"{where}: this name is refused (allowed: {allowed(place.annotation)})"
    if what == "missing" and isinstance(detail["loc"][-1], str):
        meaning = fields[str(detail["loc"][-1])].description
        return f"{where}: required, not given ({meaning}; allowed: {allowed(place.annotation)})"
    family = _family(place.annotation)
    if family is not None and isinstance(value, Mapping):
        key, kinds = f"{where}.{family.discriminator}", family.members()
        given = value.get(family.discriminator)
        if given is None:
            return f"{key}: required, not given (allowed: {', '.join(kinds)})"
        return f"{key}{_given(given)} ({_nearest(given, kinds)})"
    if what == "literal_error":
        return f"{where}{_given(value)} ({_nearest(value, get_args(_bare(place.annotation)))})"
    finite = "finite " if what == "finite_number" else ""
    return f"{where}{_given(value)} (allowed: {finite}{allowed(place.annotation)})"


def _nearest(given: Any, known: Iterable[Any]) -> str:
    names = [str(name) for name in known]
    return suggest(given, names) if isinstance(given, str) else f"allowed: {', '.join(names)}"


def _place(loc: tuple[int | str, ...], content: Any) -> _Place:
    """Follow a location of pydantic's; kinds of a family and branches of a union are no keys."""
    place = _Place("", content, ExperimentFile, None)
    names: Any = str
    for i, part in enumerate(loc):
        kind, value = _bare(place.annotation), place.value
        inner = get_args(kind)
        if part == "[key]":
            place = replace(place, annotation=names)
        elif (family := _family(kind)) is not None:
            place = replace(place, annotation=family.members()[str(part)])
        elif get_origin(kind) in (Union, UnionType) and i == len(loc) - 1:
            break  # what every branch takes is allowed
        elif get_origin(kind) in (Union, UnionType):
            named = [one for one in inner if getattr(_bare(one), "__name__", "") == part]
            place = replace(place, annotation=(named or inner)[0])
        elif isinstance(part, int) and isinstance(value, tuple) and part >= len(value):
            break  # too few
        elif isinstance(part, int):
            entry = value[part] if isinstance(value, tuple) else None
            wanted = inner[0] if not inner or inner[-1] is ... else inner[part]
            place = _Place(f"{place.path}[entry {part + 1}]", entry, wanted, None)
        else:
            path = f"{place.path}{'.' if place.path else ''}{_key(part)}"
            entry = value.get(part) if isinstance(value, Mapping) else None
            if isinstance(kind, type) and issubclass(kind, BaseModel):
                field = kind.model_fields.get(part)
                place = _Place(path, entry, field.rebuild_annotation() if field else Any, kind)
            else:
                names, wanted = inner or (str, Any)  # Any: changes
                place = _Place(path, entry, wanted, None)
    return place


def _bare(annotation: Any) -> Any:
    """Return a type without ``Annotated`` and ``| None``."""
    while True:
        inner = [one for one in get_args(annotation) if one is not NoneType]
        union = get_origin(annotation) in (Union, UnionType)
        if get_origin(annotation) is not Annotated and not (union and len(inner) == 1):
            return annotation
        annotation = inner[0]


def _family(annotation: Any) -> type[Part] | None:
    """Return the family that a type stands for, if it is one."""
    kind = _bare(annotation)
    return kind if isinstance(kind, type) and Part in kind.__bases__ else None


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
