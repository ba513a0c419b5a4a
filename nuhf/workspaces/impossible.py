"""What pyhf accepts in a workspace and then breaks at, drops without a word, or turns into NaN."""

import math
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

from nuhf.errors import ModelError
from nuhf.workspaces.names import modifiers

MAX_BINS: Final = 100_000
"""Of a channel."""

_REACH: Final = 5.0
"""Standard deviations to which pyhf lets a normsys go, unless its settings say otherwise."""

_DECADES: Final = 150.0
"""Powers of ten beyond which the square of a factor, which errors need, is no number."""


def places(spec: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Yield (where in words, sample) of every sample that looks like one."""
    for channel in spec.get("channels") or ():
        for sample in channel.get("samples") or ():
            where = f"sample '{sample.get('name')}' of channel '{channel.get('name')}'"
            yield where, sample


def refuse_version(content: Mapping[str, Any]) -> None:
    """Refuse a version without a schema: pyhf makes a path of it (`ModelError`)."""
    import pyhf  # here: the checks of content do without

    version = content.get("version")
    looks_like_one = isinstance(version, str) and re.fullmatch(r"\d+\.\d+\.\d+", version)
    if not (looks_like_one and (pyhf.schema.path / str(version)).is_dir()):
        raise ModelError(
            "the specification does not follow the pyhf schema: its version is "
            f"{repr(version)[:40]}, and must be '{pyhf.schema.version}'"
        )


def refuse_shape(spec: Mapping[str, Any]) -> None:
    """Refuse what pyhf's own validation would break at, or take for ever on (`ModelError`)."""
    missing = [key for key in ("observations", "measurements", "version") if key not in spec]
    if "channels" in spec and len(missing) == 3:
        raise ModelError(f"a model specification, no workspace: it has no {', '.join(missing)}")
    refuse_version(spec)
    channels = spec.get("channels")
    samples = [
        sample["data"]
        for channel in (channels if isinstance(channels, list) else [])
        if isinstance(channel, Mapping) and isinstance(channel.get("samples"), list)
        for sample in channel["samples"]
        if isinstance(sample, Mapping) and isinstance(sample.get("data"), list)
    ]
    longest = max(map(len, samples), default=0)
    if longest > MAX_BINS or sum(map(len, samples)) > 100 * MAX_BINS:
        raise ModelError(
            f"a channel of {longest} bins, {sum(map(len, samples))} numbers in all samples: at "
            f"most {MAX_BINS} bins and {100 * MAX_BINS} numbers are taken"
        )


def refuse_content(spec: Mapping[str, Any]) -> None:
    """Refuse what the schema allows and the model does not, in a workspace that follows it.

    `ModelError` for equal names of channels, samples, modifiers, observations, measurements or
    settings, factors of a normsys that are not positive or overflow, bounds that are no pair, and
    a luminosity without settings.
    """
    _refuse_duplicates(spec)
    _refuse_lumi(spec)
    _refuse_bounds(spec)
    _refuse_factors(spec)


def _refuse_duplicates(spec: Mapping[str, Any]) -> None:
    # pyhf keeps the last of equal names and drops the others without a word.
    for kind in ("channels", "observations", "measurements"):
        for name, n in _repeated(entry["name"] for entry in spec[kind]):
            raise ModelError(
                f"the workspace has {n} {kind} named '{name}'; "
                f"each {kind[:-1]} name is allowed once"
            )
    for measurement in spec["measurements"]:
        for name, n in _repeated(entry["name"] for entry in measurement["config"]["parameters"]):
            raise ModelError(
                f"measurement '{measurement['name']}' has {n} settings of parameter '{name}'; they "
                "are allowed once"
            )
    for channel in spec["channels"]:
        for name, n in _repeated(sample["name"] for sample in channel["samples"]):
            raise ModelError(
                f"channel '{channel['name']}' has {n} samples named '{name}'; each sample name is "
                "allowed once per channel"
            )
    for where, sample in places(spec):
        for (kind, name), n in _repeated((m["type"], m["name"]) for m in sample["modifiers"]):
            raise ModelError(
                f"{where} has {n} modifiers of type '{kind}' and name '{name}'; pyhf would apply "
                "only one of them, so each is allowed once per sample"
                + (" (use a higher exponent)" if kind == "powerfactor" else "")
            )


def _repeated(entries: Iterable[Any]) -> list[tuple[Any, int]]:
    """Return what is there more than once, and how often, in the order of the alphabet."""
    return sorted((entry, n) for entry, n in Counter(entries).items() if n > 1)


def _refuse_lumi(spec: Mapping[str, Any]) -> None:
    # of all parameters the luminosity alone has no values of pyhf's own
    wanted = ("auxdata", "sigmas", "inits", "bounds")
    users = [c["name"] for c, _, m in modifiers(spec["channels"]) if m["type"] == "lumi"]
    if not users:
        return
    for measurement in spec["measurements"]:
        settings = {entry["name"]: entry for entry in measurement["config"]["parameters"]}
        given = settings.get("lumi", {})
        missing = [key for key in wanted if given.get(key) is None]
        wrong = [key for key in wanted if key not in missing and len(given[key]) != 1]
        if missing or wrong:
            some = f"too few settings ({missing[0]} is missing)" if missing else (
                f"{len(given[wrong[0]])} values of {wrong[0]}")  # fmt: skip
            some = some if given else "no settings"
            raise ModelError(
                f"channel '{users[0]}' uses the luminosity, and measurement "
                f"'{measurement['name']}' has {some} for the parameter 'lumi': needs "
                f"{', '.join(wanted)}, one of each"
            )


def _refuse_factors(spec: Mapping[str, Any]) -> None:
    # the interpolation takes logarithms of them, and powers as far as the parameter goes
    reach: dict[str, float] = {}
    for measurement in spec["measurements"]:
        for entry in measurement["config"]["parameters"]:
            for pair in entry.get("bounds") or ():
                reach[entry["name"]] = max(reach.get(entry["name"], 1.0), *map(abs, pair))
    for where, sample in places(spec):
        for modifier in sample["modifiers"]:
            if modifier["type"] != "normsys":
                continue
            for key, value in modifier["data"].items():
                if not value > 0:
                    raise ModelError(
                        f"normsys '{modifier['name']}' on {where} has the factor {key} = "
                        f"{value:g}; factors must be positive"
                    )
                far = reach.get(modifier["name"], _REACH)
                if far * abs(math.log10(value)) > _DECADES:
                    raise ModelError(
                        f"normsys '{modifier['name']}' on {where} has the factor {key} = "
                        f"{value:g}, too far from 1 to compute with: its power {far:g}, where the "
                        f"parameter ends, is not between 1e-{_DECADES:g} and 1e{_DECADES:g}"
                    )


def _refuse_bounds(spec: Mapping[str, Any]) -> None:
    for measurement in spec["measurements"]:
        for parameter in measurement["config"]["parameters"]:
            where = f"measurement '{measurement['name']}', parameter '{parameter['name']}'"
            pairs, inits = parameter.get("bounds"), parameter.get("inits")
            if pairs is not None and inits is not None and len(pairs) != len(inits):
                raise ModelError(f"{where}: {len(inits)} initial values and {len(pairs)} bounds")
            for pair in pairs or ():
                if len(pair) != 2 or not pair[0] <= pair[1]:
                    raise ModelError(
                        f"{where}: the bounds {repr(pair)[:60]} are no pair [low, high]"
                    )
