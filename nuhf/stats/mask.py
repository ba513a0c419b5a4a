"""Channels and bins that are left out of a model, of experiments and of files."""

import copy
import fnmatch
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nuhf.couplings import parameters
from nuhf.errors import InputError
from nuhf.histfactory.describe import Channel, Description, Shape

BoolArray = NDArray[np.bool_]
Json = dict[str, Any]


def masked_description(description: Description, entries: Sequence[str]) -> Description:
    """Return a description without some channels or bins.

    It is of a whole model, whose couplings keep their ranges. Entries are ``CHANNEL``, or
    ``CHANNEL:BINS`` with bins counted from 0, ``0,3-5``; the name may have wildcards. `InputError`
    if no channel has the name, bins do not exist, or none is left.
    """
    if not entries:
        return description
    kept = _kept({c.name: c.observed.size for c in description.channels}, entries)
    channels = [_cut(c, kept[c.name]) for c in description.channels if kept[c.name].any()]
    return replace(description, channels=tuple(channels))


def _cut(channel: Channel, keep: BoolArray) -> Channel:
    samples = tuple(
        replace(
            sample,
            counts=sample.counts[keep],
            shapes={n: Shape(s.up[keep], s.down[keep]) for n, s in sample.shapes.items()},
        )
        for sample in channel.samples
    )
    scale = channel.scale[keep]
    return replace(channel, observed=channel.observed[keep], samples=samples, scale=scale)


def masked_workspace(spec: Json, entries: Sequence[str]) -> Json:
    """Return a workspace without some channels or bins; entries as in `masked_description`.

    Bins that are left are counted anew: ``staterror_SR[0]`` is of the first one left.
    """
    if not entries:
        return spec
    kept = _kept({c["name"]: len(c["samples"][0]["data"]) for c in spec["channels"]}, entries)

    def cut(value: Any, keep: BoolArray) -> Any:
        """Keep bins of every list with one number per bin; other data are of the whole channel."""
        if isinstance(value, Mapping):
            return {key: cut(row, keep) for key, row in value.items()}
        if isinstance(value, list):
            return [x for x, kept_here in zip(value, keep, strict=True) if kept_here]
        return value

    left = copy.deepcopy(spec)
    for key in ("channels", "observations"):
        left[key] = [one for one in left[key] if kept[one["name"]].any()]
    for channel in left["channels"]:
        keep = kept[channel["name"]]
        for sample in channel["samples"]:
            for part in (sample, *sample["modifiers"]):
                part["data"] = cut(part["data"], keep)
    for one in left["observations"]:
        one["data"] = cut(one["data"], kept[one["name"]])
    return left


def _kept(sizes: Mapping[str, int], entries: Sequence[str]) -> dict[str, BoolArray]:
    """Bins that are left, (n_bins,) by channel."""
    kept = {name: np.ones(size, dtype=bool) for name, size in sizes.items()}
    for entry in entries:
        pattern, bins = (entry, "") if entry in sizes else _split(entry)
        matching = [pattern] if pattern in sizes else fnmatch.filter(sizes, pattern)
        if not matching:
            hint = parameters.suggest(pattern, sizes)
            raise InputError(f"mask = {entry}: no channel '{pattern}'; {hint}")
        for name in matching:
            kept[name][_chosen(entry, bins, name, sizes[name])] = False
    if not any(row.any() for row in kept.values()):
        raise InputError(f"mask = {', '.join(entries)}: nothing is left")
    return kept


def _split(entry: str) -> tuple[str, str]:
    name, colon, bins = entry.rpartition(":")
    if not colon:
        return entry, ""
    if not bins:
        raise InputError(f"mask = {entry}: give bins behind the colon, such as {name}:0,3-5")
    return name, bins


def _chosen(entry: str, text: str, name: str, size: int) -> list[int]:
    """Return the bins of ``0,3-5``; all of an empty text."""
    if not text:
        return list(range(size))
    found: list[int] = []
    for part in text.split(","):
        first, _, last = part.partition("-")
        if not (first.isdecimal() and (last or first).isdecimal()):
            raise InputError(f"mask = {entry}: '{part}' is no bin, such as 3, or bins, such as 3-5")
        ends = int(first), int(last or first)
        if not ends[0] <= ends[1] < size:
            raise InputError(f"mask = {entry}: {name} has the bins 0 to {size - 1}")
        found += range(ends[0], ends[1] + 1)
    return found
