"""Workspaces as material of a combination: one measurement each, renamed and rescaled."""

import copy
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Final

from nuhf.errors import InputError, NuhfError
from nuhf.workspaces import names
from nuhf.workspaces.native import load_workspace
from nuhf.workspaces.start import idle_poi

Json = dict[str, Any]

PER_BIN: Final = "one per bin"
"""Kind of the parameters that belong to the bins of one channel."""

LUMI: Final = "the luminosity"
"""Kind of the parameter whose name pyhf's schema fixes."""

_KINDS: Final[Mapping[str, str]] = {
    "normfactor": "free",
    "powerfactor": "free",
    "normsys": "constrained",
    "histosys": "constrained",
    "lumi": LUMI,
    "staterror": PER_BIN,
    "shapesys": PER_BIN,
    "shapefactor": PER_BIN,
}
_DEFAULTS: Final[Mapping[str, Json]] = {
    "free": {"inits": [1.0], "bounds": [[0.0, 10.0]], "fixed": False},
    "constrained": {"inits": [0.0], "bounds": [[-5.0, 5.0]], "fixed": False, "auxdata": [0.0]},
    LUMI: {"fixed": False},
    PER_BIN: {"fixed": False},
}
"""What pyhf 0.7 takes where a measurement says nothing."""


@dataclass(frozen=True)
class NamedWorkspace:
    """A workspace with the name it has in messages and in renamed channels."""

    label: str
    spec: Mapping[str, Any]


@dataclass(frozen=True)
class ReducedWorkspace:
    """A workspace reduced to one measurement; ``configs`` are its settings by parameter."""

    label: str
    channels: list[Json]
    observations: Mapping[str, list[float]]
    title: str
    poi: str
    configs: Mapping[str, Json]

    @cached_property
    def kinds(self) -> dict[str, set[str]]:
        """Types of the modifiers of every parameter."""
        return names.kinds(self.channels)

    def kind(self, name: str) -> str:
        """What a parameter is, in words."""
        return " and ".join(sorted({_KINDS.get(t, t) for t in self.kinds[name]}))

    def settings(self, name: str) -> Json:
        """Effective settings of a parameter, pyhf's defaults included."""
        return {**_DEFAULTS.get(self.kind(name), {}), **self.configs.get(name, {"name": name})}


def take(source: NamedWorkspace, measurement: str | None) -> ReducedWorkspace:
    """Validate a workspace and take one measurement of it.

    `InputError` if it has several measurements and none is chosen, a channel without observations,
    or a parameter of interest that acts on no sample; `ModelError` if it is no valid workspace.
    """
    try:
        spec = copy.deepcopy(dict(load_workspace(source.spec)))
    except NuhfError as error:
        raise type(error)(f"{source.label}: {error}") from None
    titles = [entry["name"] for entry in spec["measurements"]]
    if len(titles) > 1 and measurement not in titles:
        asked = f"{measurement} is none of them; choose one" if measurement else "choose one"
        raise InputError(
            f"{source.label} has {len(titles)} measurements, {', '.join(titles)}: {asked} with "
            "measurement='NAME', or remove the others with 'pyhf prune'"
        )
    chosen = spec["measurements"][titles.index(measurement) if measurement in titles else 0]
    observed = {entry["name"]: entry["data"] for entry in spec["observations"]}
    channels = [channel["name"] for channel in spec["channels"]]
    for channel in channels:
        if channel not in observed:
            raise InputError(f"{source.label}: channel '{channel}' has no observations")
    present = {modifier["name"] for _, _, modifier in names.modifiers(spec["channels"])}
    configs = {p["name"]: p for p in chosen["config"]["parameters"] if p["name"] in present}
    poi = chosen["config"]["poi"]
    if idle_poi(spec, chosen):
        poi = ""  # background only: it comes with a patch
    if poi and poi not in present:
        raise InputError(
            f"{source.label}: the parameter of interest '{poi}' of measurement "
            f"'{chosen['name']}' acts on no sample"
        )
    data = {channel: observed[channel] for channel in channels}
    return ReducedWorkspace(source.label, spec["channels"], data, chosen["name"], poi, configs)


def renamed(
    part: ReducedWorkspace, channels: Mapping[str, str], parameters: Mapping[str, str]
) -> ReducedWorkspace:
    """Return a part with other names of channels and parameters."""
    content = copy.deepcopy(part.channels)
    for _, _, modifier in names.modifiers(content):
        modifier["name"] = parameters.get(modifier["name"], modifier["name"])  # type: ignore[index]
    for channel in content:
        channel["name"] = channels.get(channel["name"], channel["name"])
    configs = {parameters.get(n, n): {**c, "name": parameters.get(n, n)}
               for n, c in part.configs.items()}  # fmt: skip
    data = {channels.get(name, name): counts for name, counts in part.observations.items()}
    poi = parameters.get(part.poi, part.poi)
    return replace(part, channels=content, observations=data, poi=poi, configs=configs)


def rescaled(part: ReducedWorkspace, name: str, target: str) -> ReducedWorkspace:
    """Count a parameter in another unit: theta = s theta', monomials of degree n times s^n."""
    size = 10.0 ** (names.split_unit(target)[1] - names.split_unit(name)[1])
    content = copy.deepcopy(part.channels)
    for channel in content:
        for sample in channel["samples"]:
            degree = sum(
                modifier["data"]["exponent"] if modifier["type"] == "powerfactor" else 1
                for modifier in sample["modifiers"]
                if modifier["name"] == name
            )
            if degree:
                scale_sample(sample, size**degree)
                pattern = rf"_{re.escape(name)}(?=_|$)"
                sample["name"] = re.sub(pattern, f"_{target}", sample["name"])
    config = {"name": name, **_DEFAULTS["free"], **part.configs.get(name, {})}
    config["inits"] = [value / size for value in config["inits"]]
    config["bounds"] = [[value / size for value in pair] for pair in config["bounds"]]
    configs = {n: config if n == name else c for n, c in {name: {}, **part.configs}.items()}
    return renamed(replace(part, channels=content, configs=configs), {}, {name: target})


def scale_sample(sample: Json, factor: float) -> None:
    """Multiply what a sample expects, with its shapes and errors per bin."""
    if factor == 1.0:
        return
    sample["data"] = [factor * value for value in sample["data"]]
    for modifier in sample["modifiers"]:
        if modifier["type"] == "histosys":
            modifier["data"] = {
                key: [factor * value for value in row] for key, row in modifier["data"].items()
            }
        elif modifier["type"] in ("staterror", "shapesys"):
            modifier["data"] = [factor * value for value in modifier["data"]]


def free_name(name: str, taken: set[str]) -> str:
    """Return a name, with a number behind it if it is taken."""
    if name not in taken:
        return name
    return next(f"{name}_{i}" for i in range(2, len(taken) + 3) if f"{name}_{i}" not in taken)
