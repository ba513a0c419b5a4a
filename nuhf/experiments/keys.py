"""The keys of experiment files in words, read off the models that check the files."""

import inspect
import types
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from nuhf.experiments.schema import OneOf, Words

__all__ = [
    "Key",
    "Model",
    "Part",
    "allowed",
    "bare",
    "kinds_of",
    "members",
    "parts",
    "quoted",
    "type_of",
]

Model = type[BaseModel]


@dataclass(frozen=True)
class Key:
    """One key of a file.

    Attributes
    ----------
    name : str
        As in the file.
    allowed : str
        Type and values.
    default : str
        In TOML; ``required`` if there is none, empty if leaving it out says it all.
    meaning : str
        With the unit.
    """

    name: str
    allowed: str
    default: str
    meaning: str


@dataclass(frozen=True)
class Part:
    """One table of a file.

    Attributes
    ----------
    header : str
        As in the file, with NAME where names are free; empty for the top of the file.
    about : str
        What it is, one line or several.
    keys : tuple of Key
        In the order of the model.
    """

    header: str
    about: str
    keys: tuple[Key, ...]

    @property
    def name(self) -> str:
        """The header without brackets and kind; empty for the top of the file."""
        return self.header.partition("]")[0].strip("[")


def bare(annotation: Any) -> tuple[Any, tuple[Any, ...]]:
    """Return a type without ``Annotated`` and ``| None``, and everything said about it."""
    found: list[Any] = []
    while True:
        if get_origin(annotation) is Annotated:
            annotation, *more = get_args(annotation)
            for one in more:
                found += one.metadata if isinstance(one, FieldInfo) else [one]
        elif _is_union(annotation) and type(None) in get_args(annotation):
            (annotation,) = (one for one in get_args(annotation) if one is not type(None))
        else:
            return annotation, tuple(found)


def _is_union(annotation: Any) -> bool:
    return get_origin(annotation) in (Union, types.UnionType)


def members(annotation: Any) -> tuple[Model, ...]:
    """Return the models of a table, one by kind if there are kinds; none if it is no table."""
    kind, _ = bare(annotation)
    options = [bare(one)[0] for one in get_args(kind)] if _is_union(kind) else [kind]
    return tuple(one for one in options if isinstance(one, type) and issubclass(one, BaseModel))


def kinds_of(model: Model) -> tuple[str, ...]:
    """Return the values of the key ``kind`` of a model that is one of several."""
    return get_args(model.model_fields["kind"].annotation)


def type_of(field: FieldInfo) -> Any:
    """Return the type of a field with what is said about it."""
    return Annotated[(field.annotation, *field.metadata)] if field.metadata else field.annotation


def allowed(annotation: Any, brief: bool = False) -> str:
    """Return in words what a type takes; ``brief``: without the keys of a table."""
    kind, said = bare(annotation)
    origin, inner = get_origin(kind), get_args(kind)
    for one in reversed(said):  # what is said last is narrower
        if isinstance(one, Words):
            return one.text
        if isinstance(one, OneOf):
            return " or ".join(map(quoted, one.names()))
    if origin is Literal:
        return " or ".join(quoted(one) for one in inner)
    if origin is tuple and inner[-1] is not ...:
        return f"list of {len(inner)}: {', '.join(allowed(one, brief) for one in inner)}"
    if origin is tuple:
        return f"list{_count(said)}, each {allowed(inner[0], brief)}"
    if origin in (dict, Mapping):
        known = [
            name for one in bare(inner[0])[1] if isinstance(one, OneOf) for name in one.names()
        ]
        names = f" (NAME: {', '.join(known)})" if known else ""
        return f"table{_count(said)} of NAME = {allowed(inner[1], brief)}{names}"
    models = members(kind)
    if models and brief:
        return "table"
    if models:
        if len(models) > 1:
            kinds = (quoted(kind) for one in models for kind in kinds_of(one))
            return f"table of kind {' or '.join(kinds)}"
        return f"table with {', '.join(models[0].model_fields)}"
    if kind is bool:
        return "true or false"
    if kind in (int, float):
        return f"{'integer' if kind is int else 'number'}{_range(said)}"
    return "text"


def quoted(value: object) -> str:
    """Return a short value as in TOML."""
    return f"'{value}'" if isinstance(value, str) else str(value).lower()


def _limit(said: tuple[Any, ...], name: str) -> Any:
    return next((v for one in said if (v := getattr(one, name, None)) is not None), None)


def _count(said: tuple[Any, ...]) -> str:
    low, high = _limit(said, "min_length"), _limit(said, "max_length")
    if high is not None:
        return f" of {low or 0} to {high}"
    return f" of at least {low}" if low else ""


def _range(said: tuple[Any, ...]) -> str:
    above, low = _limit(said, "gt"), _limit(said, "ge")
    high = _limit(said, "le")
    if low is not None:
        return f" from {low:g}" + (f" to {high:g}" if high is not None else " on")
    if above is not None:
        return f" greater than {above:g}" + (f", up to {high:g}" if high is not None else "")
    return ""


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return "required"
    value = field.get_default(call_default_factory=True)
    if value is None or value in ("", (), {}):
        return ""
    return quoted(value)


def parts(model: Model, header: str = "", shown: str = "") -> Iterator[Part]:
    """Yield the tables of a file in the order of its models, the outermost first.

    ``header`` is the name of the table that a model stands for, ``shown`` the line with it.
    """
    about = inspect.cleandoc(model.__doc__ or "")
    keys = tuple(
        Key(name, allowed(type_of(field), brief=True), _default(field), field.description or "")
        for name, field in model.model_fields.items()
    )
    yield Part(shown, about, keys)
    for name, field in model.model_fields.items():
        where = f"{header}.{name}" if header else name
        kind, _ = bare(field.annotation)
        origin, inner = get_origin(kind), get_args(kind)
        line = f"[{where}]"
        if origin is tuple and inner[-1] is ...:
            kind, line = inner[0], f"[{line}]"
        elif origin in (dict, Mapping):
            kind, where = inner[1], f"{where}.NAME"
            line = f"[{where}]"
        models = members(kind)
        for one in models:
            kinds = " or ".join(quoted(name) for name in kinds_of(one)) if len(models) > 1 else ""
            yield from parts(one, where, f"{line} with kind = {kinds}" if kinds else line)
