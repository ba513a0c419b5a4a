"""Whether a fit of a workspace can begin: its likelihood is tried, and its settings compared.

What pyhf freezes, ignores or breaks at is known before a fit: expectations at the initial
values, initial values and bounds, auxiliary data, errors per bin.
"""

import copy
from collections.abc import Iterator, Mapping
from typing import Any, Final

import numpy as np
import pyhf
from numpy.typing import NDArray

from nuhf.arrays import FloatArray
from nuhf.likelihood.evaluate import ROUNDING
from nuhf.workspaces import names
from nuhf.workspaces.findings import Finding

Json = Mapping[str, Any]

_SHIFT: Final = 0.1
"""Standard deviations between auxiliary data and start above which they are reported."""
_SMALL: Final = 0.002
"""Relative errors per bin below this everywhere are hardly meant: 250 000 simulated events."""
_PER_BIN: Final = ("staterror", "shapesys")


def idle_poi(spec: Json, measurement: Json) -> str:
    """Return a POI that has settings but acts on no sample; an empty text for any other."""
    config = measurement["config"]
    acting = {modifier["name"] for _, _, modifier in names.modifiers(spec["channels"])}
    declared = {one["name"] for one in config["parameters"]}
    return str(config["poi"]) if config["poi"] in declared - acting else ""


def patched_later(spec: Json) -> tuple[list[Finding], Json]:
    """Find POIs that come with a patch, and return the workspace without them.

    This is the form on HEPData: the background alone, the POI in the settings of its measurement,
    and patches that add the signal.
    """
    found: list[Finding] = []
    whole = {**spec, "measurements": copy.deepcopy(spec["measurements"])}
    for entry in whole["measurements"]:
        poi = idle_poi(spec, entry)
        if poi:
            entry["config"]["poi"] = ""
            message = f"background only: POI {poi} comes with a patch"
            where = f"measurement {entry['name']}"
            found.append(Finding("info", "background-only", where, message))
    return found, whole


def start_findings(
    entry: Json, spec: Json, model: pyhf.pdf.Model, data: FloatArray
) -> Iterator[Finding]:
    """Try the likelihood of one measurement of a workspace at its initial values."""
    where = f"measurement {entry['name']}"
    yield from _settings(where, entry, spec, model)
    yield from _auxiliary(where, model)
    counts = np.asarray(data[: model.config.nmaindata], dtype=float)
    negative = np.flatnonzero(counts < 0)
    if negative.size:
        yield Finding("error", "data", "observations", f"negative in {_places(model, negative)}")
        return
    start = np.asarray(model.config.suggested_init(), dtype=float)
    with np.errstate(all="ignore"):
        expected = np.asarray(model.main_model.expected_data(start), dtype=float)
        value = float(np.asarray(model.logpdf(start, data)).ravel()[0])
    empty = np.flatnonzero((counts > 0) & ~(expected > 0))
    if empty.size:
        never = empty[~_possible(spec, model)[empty]]
        text = (
            f"counts where nothing is ever expected: {_places(model, never)}"
            if never.size
            else f"counts where nothing is expected at the initial values: {_places(model, empty)}"
        )
        message = f"{text}; log L is -inf there, and no fit can start"
        yield Finding("error", "likelihood", where, message)
    below = np.flatnonzero(~(counts > 0) & (expected < -ROUNDING))
    if below.size:
        message = (
            f"expects {expected[below].min():.3g} events at the initial values, and less than zero "
            f"is impossible: {_places(model, below)}"
        )
        yield Finding("error", "likelihood", where, message)
    elif not empty.size and not np.isfinite(value):
        message = f"log L is {value} at the initial values, and no fit can start"
        yield Finding("error", "likelihood", where, message)


def _possible(spec: Json, model: pyhf.pdf.Model) -> NDArray[np.bool_]:
    """Bins (n_bins,) of all channels in which any sample can expect anything."""
    found = np.zeros(model.config.nmaindata, dtype=bool)
    for channel in spec["channels"]:
        bins = model.config.channel_slices[channel["name"]]
        for sample in channel["samples"]:
            rows = [sample["data"]]
            for modifier in sample["modifiers"]:
                if modifier["type"] == "histosys":
                    rows += list(modifier["data"].values())
            found[bins] |= (np.asarray(rows, dtype=float) != 0).any(axis=0)
    return found


def _places(model: pyhf.pdf.Model, bins: NDArray[np.intp]) -> str:
    found = []
    for channel, place in model.config.channel_slices.items():
        found += [f"channel {channel} bin {b - place.start}" for b in bins
                  if place.start <= b < place.stop]  # fmt: skip
    return ", ".join(found[:5]) + (f" and {len(found) - 5} more" if len(found) > 5 else "")


def _settings(where: str, entry: Json, spec: Json, model: pyhf.pdf.Model) -> Iterator[Finding]:
    """Initial values outside bounds, a POI that does not float, widths, idle settings."""
    config = model.config
    rows = zip(
        config.par_names,
        config.suggested_init(),
        config.suggested_bounds(),
        config.suggested_fixed(),
        strict=True,
    )
    for name, start, (low, high), fixed in rows:
        if not fixed and not low <= start <= high:
            message = f"{name} starts at {start:g}, outside its bounds {low:g} to {high:g}"
            yield Finding("error", "start", where, message)
        elif not fixed and low == high:
            message = f"{name} has no room: its bounds are {low:g} to {high:g}"
            yield Finding("error", "start", where, message)
    if config.poi_index is not None and config.suggested_fixed()[config.poi_index]:
        message = f"the POI {config.poi_name} is fixed: pyhf computes no limit on it"
        yield Finding("error", "start", where, message)
    types = names.kinds(spec["channels"])
    for setting in entry["config"]["parameters"]:
        name = setting["name"]
        if any(not sigma > 0 for sigma in setting.get("sigmas", ())):
            message = f"{name} has the width {min(setting['sigmas']):g}; widths are above zero"
            yield Finding("error", "width", where, message)
        if types.get(name, set()) & set(_PER_BIN) and {"inits", "auxdata"} & setting.keys():
            message = (
                f"{name} has one parameter per bin, whose start and auxiliary data follow from the "
                "samples: its settings have no use, remove them"
            )
            yield Finding("warning", "settings", where, message)


def _auxiliary(where: str, model: pyhf.pdf.Model) -> Iterator[Finding]:
    """Auxiliary data that are not what the model expects at the start of a fit."""
    config = model.config
    if not config.nauxdata:
        return
    start = np.asarray(config.suggested_init(), dtype=float)
    with np.errstate(all="ignore"):
        expected = np.asarray(model.expected_auxdata(start), dtype=float)
    given = np.asarray(config.auxdata, dtype=float)
    at = 0
    for name in config.auxdata_order:
        parameters = config.param_set(name)
        size = parameters.n_parameters
        bins = slice(at, at + size)
        at += size
        if parameters.pdf_type == "normal":
            width = np.asarray(parameters.width(), dtype=float)
        else:
            width = np.sqrt(np.maximum(expected[bins], 1e-300))
        with np.errstate(all="ignore"):
            shift = np.abs(given[bins] - expected[bins]) / width
        largest = float(np.nanmax(shift)) if np.isfinite(shift).any() else np.inf
        if not largest <= _SHIFT:
            message = (
                f"auxiliary data of {name} are {largest:.3g} standard deviations from what the "
                "model expects at its start"
            )
            yield Finding("warning", "auxiliary", where, message)


def bin_errors(channel: Json) -> Iterator[Finding]:
    """Errors per bin: lost, missing, negative, or too small to be meant."""
    groups: dict[tuple[str, str], list[tuple[FloatArray, FloatArray]]] = {}
    for sample in channel["samples"]:
        for modifier in sample["modifiers"]:
            if modifier["type"] in _PER_BIN:
                key = (modifier["type"], modifier["name"])
                rows = (np.asarray(sample["data"], float), np.asarray(modifier["data"], float))
                groups.setdefault(key, []).append(rows)
    for (kind, name), group in groups.items():
        where = f"channel {channel['name']}, {kind} {name}"
        nominal = np.sum([r[0] for r in group], axis=0)
        error = np.sqrt(np.sum([r[1] ** 2 for r in group], axis=0))
        lowest = min(float(r[1].min()) for r in group)
        if lowest < 0:
            yield Finding("error", "bin-error", where, f"a negative error, {lowest:g}")
            continue
        lost = np.flatnonzero((nominal < 0) & (error > 0))
        if lost.size:
            message = (
                f"lost in {_shown(lost)}: pyhf holds the error of a sample that is negative fixed"
            )
            yield Finding("warning", "bin-error", where, message)
        none = np.flatnonzero((error == 0) | (nominal == 0))
        if none.size:
            message = f"no error in {_shown(none)}: pyhf holds it fixed where the error or the " \
                      "expectation is zero"  # fmt: skip
            yield Finding("info", "bin-error", where, message)
        good = (nominal > 0) & (error > 0)
        if not good.any():
            continue
        with np.errstate(over="ignore"):
            relative = error[good] / nominal[good]
        if relative.max() < _SMALL:
            message = (
                f"at most {100 * relative.max():.2g} % of the expectation: are relative errors "
                "given for absolute ones?"
            )
            yield Finding("warning", "bin-error", where, message)
        large = np.flatnonzero(good)[relative > 1.0]
        if large.size:
            message = f"up to {100 * relative.max():.3g} % of the expectation in {_shown(large)}"
            yield Finding("warning", "large", where, message)


def _shown(bins: NDArray[np.intp]) -> str:
    first = ", ".join(str(b) for b in bins[:5])
    return f"bin{'s' if bins.size > 1 else ''} {first}{', ...' if bins.size > 5 else ''}"
