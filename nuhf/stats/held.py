"""Parameters of a workspace that are held at values, and the expectation at a truth."""

import fnmatch
from collections.abc import Collection, Mapping, Sequence
from typing import Any

import numpy as np

from nuhf.arrays import FloatArray
from nuhf.couplings import parameters
from nuhf.errors import InputError
from nuhf.likelihood.evaluate import CompiledModel
from nuhf.likelihood.layout import Layout


def expectation(compiled: CompiledModel, truth: Mapping[str, float]) -> FloatArray:
    """Return counts and auxiliary data expected with some parameters at a truth, others initial.

    `InputError` if the model has no such parameter, or its bounds exclude the value.
    """
    point = compiled.inits.copy()
    for name, value in truth.items():
        if name not in compiled.names:
            hint = parameters.suggest(name, [*compiled.names, *parameters.PARAMETERS])
            raise InputError(f"inject: no parameter '{name}'; {hint}")
        i = compiled.index(name)
        low, high = compiled.bounds[i]
        if not low <= value <= high:
            raise InputError(f"inject: {name} = {value:g} is not within {low:g} to {high:g}")
        point[i] = value
    return np.asarray(compiled.expected_full(point))


def fixed_nuisances(
    entries: Sequence[str], layout: Layout, free: Collection[str]
) -> dict[str, float | None]:
    """Resolve ``NAME``, ``NAME=VALUE`` and wildcards to nuisances, None for the nominal value.

    `InputError` if no nuisance has the name (or it is in ``free``), or a value is no number or
    outside the nuisance's bounds.
    """
    nuisances = [name for name in layout.by_name if name not in free]
    found: dict[str, float | None] = {}
    for entry in entries:
        pattern, equals, text = entry.partition("=")
        matching = fnmatch.filter(nuisances, pattern)
        if not matching:
            hint = parameters.suggest(pattern, nuisances)
            raise InputError(f"fixed_nuisances: no nuisance '{pattern}'; {hint}")
        for name in matching:
            found[name] = _fixed_value(entry, text, name, layout) if equals else None
    return found


def _fixed_value(entry: str, text: str, name: str, layout: Layout) -> float:
    try:
        value = float(text)
    except ValueError:
        raise InputError(
            f"fixed_nuisances = {entry}: give NAME or NAME=VALUE with a number"
        ) from None
    for low, high in layout.by_name[name].bounds:
        if not low <= value <= high:
            raise InputError(f"fixed_nuisances = {entry}: {name} is between {low:g} and {high:g}")
    return value


def with_fixed(
    spec: Mapping[str, Any], values: Mapping[str, float | None], sizes: Mapping[str, int]
) -> dict[str, Any]:
    """Return a workspace whose first measurement holds parameters, at values or (None) nominal.

    ``sizes`` are the numbers of values of parameters that have one per bin.
    """
    entry = dict(spec["measurements"][0])
    config = {p["name"]: dict(p) for p in entry["config"]["parameters"]}
    for name, value in values.items():
        held = config.setdefault(name, {"name": name})
        held["fixed"] = True
        if value is not None:
            held["inits"] = [value] * sizes.get(name, 1)
    entry["config"] = {**entry["config"], "parameters": list(config.values())}
    return {**spec, "measurements": [entry, *spec["measurements"][1:]]}
