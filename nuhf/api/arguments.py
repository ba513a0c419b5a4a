"""Arguments of the public functions: their types, checked in words that Python users know."""

import functools
import inspect
import math
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from numbers import Real
from pathlib import Path
from typing import TYPE_CHECKING, Literal, ParamSpec, TypeAlias, TypeVar

from nuhf.couplings.parameters import suggest
from nuhf.errors import InputError

if TYPE_CHECKING:
    from nuhf.api.experiment import Experiment
    from nuhf.api.model import Model
    from nuhf.stats.problem import Options

P = ParamSpec("P")
R = TypeVar("R")

Anapole = Literal["standard", "khan"]
Engine = Literal["compiled", "pyhf"]
Method = Literal["delta-chi2", "cls", "feldman-cousins"]
Bracket = tuple[float, float]
"""Lower and upper end in base units."""
Names = str | Sequence[str]
"""One name or several."""
NuisanceValues = str | Sequence[str] | Mapping[str, float | None]
"""Names of nuisances held at their nominal values, or values by name (None: nominal)."""
ExperimentLike: TypeAlias = "str | Path | Mapping[str, object] | Experiment"
"""Name, ``name:analysis``, path of a TOML file or an `Experiment`; a pyhf workspace as a JSON file,
``-`` (stdin) or content."""
ExperimentsLike: TypeAlias = "ExperimentLike | Sequence[ExperimentLike]"
"""One experiment or several."""
ModelLike: TypeAlias = "ExperimentLike | Sequence[ExperimentLike] | Model"
"""One experiment or several, or a `Model`."""


def in_front(message: str, words: Mapping[str, str]) -> str:
    """Return a message with other words for the arguments that it begins with or gives as a hint.

    The library says ``points = 3: ...``, ``bracket: ...`` and ``poi='x'``; where users wrote
    something else, as on the command line, ``words`` has it by argument. A value follows a word
    that ends in a space.
    """
    named = "|".join(words)
    begun = re.match(rf"({named})( = |(?=: ))", message)
    if begun:
        word = words[begun[1]]
        value = begun[2] if not word.endswith(" ") else " " if begun[2] else ""
        message = word.rstrip() + value + message[begun.end() :]
    return re.sub(
        rf"\b({named})='([^']*)'",
        lambda m: (
            f"{words[m[1]]}{m[2]}" if words[m[1]].endswith(" ") else f"{words[m[1]]}='{m[2]}'"
        ),
        message,
    )


def in_words(function: Callable[P, R]) -> Callable[P, R]:
    """Answer calls that do not fit the signature with an `InputError` in words."""
    signature = inspect.signature(function)
    allowed = [name for name in signature.parameters if name != "self"]

    @functools.wraps(function)
    def call(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            signature.bind(*args, **kwargs)
        except TypeError as error:
            unknown = [name for name in kwargs if name not in allowed]
            if unknown:
                hint = suggest(unknown[0], allowed)
                raise InputError(
                    f"{function.__name__}() has no keyword '{unknown[0]}'; {hint}"
                ) from None
            raise InputError(f"{function.__name__}(): {error}") from None
        return function(*args, **kwargs)

    return call


def names(given: Iterable[str] | None, what: str) -> tuple[str, ...]:
    """Return one or several names as a tuple: a string is one name."""
    if given is None:
        return ()
    found = (given,) if isinstance(given, str) else given
    if isinstance(found, Mapping) or not isinstance(found, Iterable):
        raise InputError(f"{what} = {_short(given)}: give a name or a sequence of names")
    found = tuple(found)
    for name in found:
        if not isinstance(name, str):
            raise InputError(f"{what}: {_short(name)} is no name; names are strings")
    return found


def number(given: float, what: str) -> float:
    """Return a number as a float (`InputError` for anything else)."""
    if isinstance(given, bool) or not isinstance(given, Real):
        raise InputError(f"{what} = {_short(given)}: give a number")
    try:
        return float(given)
    except OverflowError:
        raise InputError(f"{what} = {_short(given)}: too large for a number") from None


def whole(given: int, what: str) -> int:
    """Return a whole number (`InputError` for anything else)."""
    if not number(given, what).is_integer():
        raise InputError(f"{what} = {_short(given)}: give a whole number")
    return int(given)


def numbers(given: Mapping[str, float] | None, what: str) -> dict[str, float]:
    """Return values by name (`InputError` for anything but numbers by names)."""
    if given is None:
        return {}
    if not isinstance(given, Mapping):
        raise InputError(
            f"{what} = {_short(given)}: give values by name, such as {{'qnu_ee': 1e-8}}"
        )
    for name in given:
        names([name], what)
    return {name: number(value, f"{what}: {name}") for name, value in given.items()}


def ends(given: Sequence[float] | None, what: str) -> Bracket | None:
    """Return two numbers, the lower one first (`InputError` for anything else)."""
    if given is None:
        return None
    if isinstance(given, str) or not isinstance(given, Iterable) or len(tuple(given)) != 2:
        raise InputError(f"{what} = {_short(given)}: give two numbers, the lower one first")
    low, high = (number(end, what) for end in given)
    if not -math.inf < low < high < math.inf:
        raise InputError(f"{what} = {low}, {high}: give two numbers, the lower one first")
    return low, high


def _nuisances(given: NuisanceValues | None, what: str) -> tuple[str, ...]:
    """Return nuisances held as ``NAME`` (at its nominal value) or ``NAME=VALUE``."""
    if not isinstance(given, Mapping):
        return names(given, what)
    held = []
    for name, value in given.items():
        names([name], what)
        held.append(name if value is None else f"{name}={number(value, f'{what}: {name}')!r}")
    return tuple(held)


def _chosen(given: str, what: str, allowed: Sequence[str]) -> str:
    if not isinstance(given, str) or given not in allowed:
        raise InputError(f"unknown {what} '{given}'; {suggest(str(given), allowed)}")
    return given


def options(
    *,
    anapole: Anapole = "standard",
    fixed: Mapping[str, float] | None = None,
    profiled: Names = (),
    fixed_nuisances: NuisanceValues = (),
    engine: Engine = "compiled",
    asimov: bool = False,
    bracket: Sequence[float] | None = None,
    settings: Mapping[str, float] | None = None,
    inject: Mapping[str, float] | None = None,
    mask: Names = (),
) -> "Options":
    """Return the options of a model, checked."""
    from nuhf.stats.problem import Options

    if not isinstance(asimov, bool):
        raise InputError(f"asimov = {_short(asimov)}: give True or False; inject sets the truth")
    return Options(
        _chosen(anapole, "anapole convention", ("standard", "khan")),
        numbers(fixed, "fixed"),
        names(profiled, "profiled"),
        _nuisances(fixed_nuisances, "fixed_nuisances"),
        _chosen(engine, "engine", ("compiled", "pyhf")),
        asimov,
        ends(bracket, "bracket"),
        numbers(settings, "settings"),
        numbers(inject, "inject"),
        names(mask, "mask"),
    )


def _short(given: object) -> str:
    text = repr(given)
    return text if len(text) <= 60 else f"{text[:60]} ..."
