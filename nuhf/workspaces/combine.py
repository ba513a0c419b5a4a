"""Combine workspaces: ours with each other and with other people's, into one measurement.

Parameters of the same name and definition become one parameter. What only collides by name, and
cannot mean the same thing, is renamed: channels, and uncertainties with one parameter per bin.
Our monomials in different units are brought to one unit, theta^n T to (theta/s)^n s^n T.
Everything else that shares a name is refused, with what to do.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from nuhf import resources
from nuhf.couplings.parameters import suggest
from nuhf.errors import InputError
from nuhf.filekind import Kind, kind_of
from nuhf.workspaces import names
from nuhf.workspaces.correlations import apart, correlated, luminosities_apart, shared
from nuhf.workspaces.native import load_model
from nuhf.workspaces.parts import (
    PER_BIN,
    NamedWorkspace,
    ReducedWorkspace,
    free_name,
    renamed,
    rescaled,
    take,
)
from nuhf.workspaces.patches import owner, patched_by, point_of
from nuhf.workspaces.start import idle_poi

Json = dict[str, Any]


@dataclass(frozen=True)
class Combined:
    """A workspace with one measurement, and what was renamed, rescaled or looks suspicious."""

    spec: Json
    notes: tuple[str, ...]


@dataclass(frozen=True)
class Choices:
    """What a user may choose for a combination."""

    #: Which measurement to take of a workspace that has several, and the name of the result's.
    measurement: str | None = None
    #: Parameter of interest of the result; needed if the workspaces have different ones.
    poi: str | None = None
    #: Parameters of equal name that are not the same.
    decorrelate: tuple[str, ...] = ()
    #: Pairs of constrained parameters of the result with their correlation.
    correlate: tuple[tuple[str, str, float], ...] = ()


_DEFAULT: Final = Choices()


def combine_files(
    files: Sequence[str | Path | Mapping[str, Any]],
    choices: Choices = _DEFAULT,
    patches: Sequence[str | Path] = (),
    points: Sequence[tuple[str | Path, str]] = (),
) -> Combined:
    """Combine workspaces given as files or as parsed JSON, a single one if it is patched.

    A patch is for the one workspace that is background only, a point of a patch set for the one
    that its digest tells. See `combine`.
    """
    sources: list[NamedWorkspace] = []
    for i, given in enumerate(files):
        if isinstance(given, Mapping):
            stem, spec = f"workspace_{i + 1}", given
        else:
            path = Path(given)
            stem = re.sub(r"[^A-Za-z0-9]+", "_", path.name.removesuffix(".json")).strip("_")
            spec = _of_kind(path, Kind.WORKSPACE)
        label = free_name(stem or "workspace", {source.label for source in sources})
        sources.append(NamedWorkspace(label, spec))
    for patch in patches:
        sources = _patched(sources, Path(patch))
    for patchset, point in points:
        sources = _pointed(sources, Path(patchset), point)
    return combine(sources, choices, least=1 if patches or points else 2)


def _of_kind(path: Path, wanted: Kind) -> Any:
    """Read a JSON file that has to be of a kind (`InputError` otherwise)."""
    content = resources.read_bytes(path)
    kind = kind_of(content)
    if kind is not wanted and kind not in (Kind.TEXT, Kind.EMPTY, Kind.BINARY, Kind.BROKEN_JSON):
        raise InputError(f"{path}: {kind.words}, not {wanted.words}{kind.advice}")
    return resources.parse_json(resources.as_text(content, str(path)), str(path))


def _patched(sources: Sequence[NamedWorkspace], path: Path) -> list[NamedWorkspace]:
    """Apply a patch to the workspace it belongs to: the one that is background only."""
    patch = _of_kind(path, Kind.PATCH)
    bare = [s for s in sources if all(idle_poi(s.spec, m) for m in s.spec["measurements"])]
    candidates = bare if len(sources) > 1 else list(sources)
    if len(candidates) != 1:
        count = "none" if not candidates else ", ".join(one.label for one in candidates)
        raise InputError(
            f"{path}: a patch goes to the one workspace that is background only, and here that is "
            f"{count}: apply the patch to its workspace alone first"
        )
    try:
        spec = patched_by(candidates[0].spec, patch)
    except InputError as error:
        raise InputError(f"{path}: {error}") from None
    return [replace(s, spec=spec) if s is candidates[0] else s for s in sources]


def _pointed(sources: Sequence[NamedWorkspace], path: Path, point: str) -> list[NamedWorkspace]:
    """Apply one point of a patch set to the workspace that its digest names."""
    patchset = _of_kind(path, Kind.PATCH_SET)
    index = owner(patchset, [source.spec for source in sources], str(path))
    spec = point_of(sources[index].spec, patchset, point, str(path))
    return [replace(s, spec=spec) if i == index else s for i, s in enumerate(sources)]


def combine(
    sources: Sequence[NamedWorkspace], choices: Choices = _DEFAULT, least: int = 2
) -> Combined:
    """Combine workspaces, at least as many, into one with a single, complete measurement.

    They are native or stock, ours or not, and are not changed. `InputError` for data given twice,
    and measurements, parameters of interest or parameters of equal name that cannot be reconciled
    (it says what to do); `ModelError` if a workspace, or the result, does not make a model.
    """
    measurement, poi = choices.measurement, choices.poi
    if len(sources) < least:
        raise InputError("a combination needs at least two workspaces")
    notes: list[str] = []
    parts = [take(source, measurement) for source in sources]
    parts = _one_unit(parts, poi, notes)
    parts = _rename(parts, notes)
    parts = luminosities_apart(apart(parts, choices.decorrelate, notes), notes)
    _compare_definitions(parts)
    notes += shared(parts)
    parts = correlated(parts, choices.correlate, notes)
    chosen = _poi(parts, poi)
    _suspect_equal_data(parts, notes)
    spec: Json = {
        "channels": [channel for part in parts for channel in part.channels],
        "observations": [
            {"name": name, "data": list(data)}
            for part in parts
            for name, data in part.observations.items()
        ],
        "measurements": [
            {
                "name": measurement or "_".join(dict.fromkeys(part.title for part in parts)),
                "config": {"poi": chosen, "parameters": _parameters(parts, chosen)},
            }
        ],
        "version": "1.0.0",
    }
    load_model(spec)
    return Combined(spec, tuple(notes))


def _one_unit(
    parts: Sequence[ReducedWorkspace], poi: str | None, notes: list[str]
) -> list[ReducedWorkspace]:
    """Bring our monomials of one stem to one unit; refuse any other change of unit."""
    done = list(parts)
    for variants in _units(parts):
        if not all(_scalable(part, variants) for part in parts):
            raise InputError(_wrong_unit(parts, variants))
        target = poi if poi in variants else variants[0]
        for i, part in enumerate(parts):
            for name in set(part.kinds) & set(variants) - {target}:
                done[i] = rescaled(done[i], name, target)
                notes.append(f"{part.label}: {name} is now in the unit of {target}")
    return done


def _units(parts: Sequence[ReducedWorkspace]) -> list[list[str]]:
    """Names that differ in nothing but their unit, for every stem with more than one."""
    found: dict[str, list[str]] = {}
    for name in dict.fromkeys(name for part in parts for name in part.kinds):
        found.setdefault(names.split_unit(name)[0], []).append(name)
    several = [variants for variants in found.values() if len(variants) > 1]
    return [variants for variants in several if _same_quantity(parts, variants)]


def _same_quantity(parts: Sequence[ReducedWorkspace], variants: Sequence[str]) -> bool:
    """A stem of the catalogue; or names that all have a unit, each file with one of them."""
    if names.coupling(variants[0]) is not None:
        return True
    apart = all(len(set(part.kinds) & set(variants)) < 2 for part in parts)
    return apart and all(names.split_unit(name)[1] for name in variants)


def _scalable(part: ReducedWorkspace, variants: Sequence[str]) -> bool:
    """Tell whether at most one of the names is used, and only on our monomials."""
    return len(set(part.kinds) & set(variants)) < 2 and all(
        names.is_monomial(sample["name"], modifier)
        for _, sample, modifier in names.modifiers(part.channels)
        if modifier["name"] in variants
    )


def _wrong_unit(parts: Sequence[ReducedWorkspace], variants: Sequence[str]) -> str:
    uses = "; ".join(
        f"'{name}' in {part.label}" for part in parts for name in variants if name in part.kinds
    )
    known = names.coupling(variants[0])
    if known is not None and all(_written_by_us(part, variants) for part in parts):
        advice = (
            "a stock file cannot change its unit: combine the native files (encoding='native'), "
            "or write one stock file of all experiments with 'nuhf workspace EXP1 EXP2 -p "
            f"{known.name}'; another name would not change the unit"
        )
    else:
        advice = (
            "only nuhf's own monomials are rescaled: write both in one unit, or, if they are "
            "different things, rename one with 'nuhf pyhf rename -m OLD NEW'"
        )
    return f"one parameter in two units: {uses}; {advice}"


def _written_by_us(part: ReducedWorkspace, variants: Sequence[str]) -> bool:
    """Tell whether the names are, in this file, on nothing but samples named as our signals."""
    return all(
        names.process(channel, sample["name"]) != sample["name"]
        for channel, sample, modifier in names.modifiers(part.channels)
        if modifier["name"] in variants
    )


def _rename(parts: Sequence[ReducedWorkspace], notes: list[str]) -> list[ReducedWorkspace]:
    """Give channels and per-bin parameters that collide with an earlier file a new name."""
    done: list[ReducedWorkspace] = []
    taken = {name for part in parts for name in (*part.observations, *part.kinds)}
    for part in parts:
        channels: dict[str, str] = {}
        parameters: dict[str, str] = {}
        for channel, counts in part.observations.items():
            for other in done:
                if other.observations.get(channel) == counts:
                    raise InputError(_same_data(channel, other.label, part.label))
            if any(channel in other.observations for other in done):
                channels[channel] = free_name(f"{channel}_{part.label}", taken)
        for name in part.kinds:
            owners = [other for other in done if name in other.kinds]
            local = all(owner.kind(name) == PER_BIN for owner in (part, *owners))
            if owners and local:
                parameters[name] = free_name(f"{name}_{part.label}", taken)
        taken |= {*channels.values(), *parameters.values()}
        notes += [f"{part.label}: channel {old} is now {new}" for old, new in channels.items()]
        notes += [
            f"{part.label}: {old} (one parameter per bin) is now {new}"
            for old, new in parameters.items()
        ]
        done.append(renamed(part, channels, parameters))
    return done


def _same_data(channel: str, one: str, other: str) -> str:
    return (
        f"channel '{channel}' has the same observed counts in {one} and {other}: the same data "
        "would count twice; to fit several parameters of one experiment write one file with "
        "'nuhf workspace EXP -p ONE -p TWO', and if the data differ after all, rename the "
        "channel with 'nuhf pyhf rename -c OLD NEW'"
    )


def _compare_definitions(parts: Sequence[ReducedWorkspace]) -> None:
    """Refuse equal names with different definitions."""
    for name in dict.fromkeys(name for part in parts for name in part.kinds):
        owners = [part for part in parts if name in part.kinds]
        first = owners[0]
        for other in owners[1:]:
            where = f"'{name}' in {first.label} and in {other.label}"
            if first.kind(name) != other.kind(name):
                types = [", ".join(sorted(part.kinds[name])) for part in (first, other)]
                raise InputError(
                    f"{where}: {first.kind(name)} ({types[0]}) in one, {other.kind(name)} "
                    f"({types[1]}) in the other; an equal name means the same parameter: keep "
                    f"them apart with decorrelate='{name}'"
                )
            for key, one, two in _differences(name, first, other):
                raise InputError(
                    f"{where}: different {key}, {one} and {two}; if it is the same parameter, "
                    "give both files the same, and if not, keep them apart with "
                    f"decorrelate='{name}'"
                )


def _differences(
    name: str, one: ReducedWorkspace, two: ReducedWorkspace
) -> list[tuple[str, Any, Any]]:
    """Return (setting, value, value) where two uses of a name are not the same parameter."""
    first, second = one.settings(name), two.settings(name)
    keys = ["fixed", "auxdata", "sigmas", "factors"]
    if first.get("fixed"):
        keys.append("inits")
    if one.kind(name) == "free" and names.coupling(name) is None:
        keys.append("bounds")
    return [
        (key, first.get(key), second.get(key))
        for key in keys
        if _floats(first.get(key)) != _floats(second.get(key))
    ]


def _floats(value: Any) -> Any:
    """Make 1 and 1.0 the same in nested lists."""
    if isinstance(value, list):
        return [_floats(item) for item in value]
    return value if value is None else float(value)


def _parameters(parts: Sequence[ReducedWorkspace], poi: str) -> list[Json]:
    """Return the settings of all parameters that have any, the parameter of interest first."""
    wanted = [poi, *(part.poi for part in parts), *(n for part in parts for n in part.configs)]
    found = []
    for name in dict.fromkeys(name for name in wanted if name):
        owners = [part for part in parts if name in part.kinds]
        explicit = [part for part in owners if name in part.configs]
        entry = (explicit or owners)[0].settings(name)
        bounds = [s["bounds"] for s in (part.settings(name) for part in owners) if "bounds" in s]
        if len(bounds) > 1:
            entry["bounds"] = _common(name, bounds)
        if "inits" in entry and "bounds" in entry:
            entry["inits"] = [
                min(max(value, low), high)
                for value, (low, high) in zip(entry["inits"], entry["bounds"], strict=True)
            ]
        if not entry.get("fixed"):
            entry.pop("fixed", None)
        found.append({"name": name, **{k: v for k, v in entry.items() if k != "name"}})
    return found


def _common(name: str, bounds: Sequence[list[list[float]]]) -> list[list[float]]:
    """Return the range where all files are declared: outside it, one of them is not valid."""
    found = []
    for pairs in zip(*bounds, strict=True):
        low, high = max(pair[0] for pair in pairs), min(pair[1] for pair in pairs)
        if low >= high:
            raise InputError(f"'{name}': the bounds {' and '.join(map(str, pairs))} do not overlap")
        found.append([low, high])
    return found


def _poi(parts: Sequence[ReducedWorkspace], poi: str | None) -> str:
    candidates = list(dict.fromkeys(part.poi for part in parts if part.poi))
    if poi is None:
        if len(candidates) > 1:
            uses = ", ".join(f"'{part.poi}' in {part.label}" for part in parts if part.poi)
            raise InputError(
                f"the files have different parameters of interest: {uses}; choose with poi='NAME', "
                "the others stay parameters"
            )
        return candidates[0] if candidates else ""
    available = {n: part.kind(n) for part in parts for n in part.kinds}
    if poi not in available:
        raise InputError(f"poi = {poi}: no such parameter; {suggest(poi, available)}")
    if available[poi] == PER_BIN:
        raise InputError(f"poi = {poi}: has one value per bin; choose a parameter with one value")
    return poi


def _suspect_equal_data(parts: Sequence[ReducedWorkspace], notes: list[str]) -> None:
    """Note channels of different name with equal counts: perhaps the same data."""
    seen: dict[tuple[float, ...], str] = {}
    for part in parts:
        for channel, counts in part.observations.items():
            key = tuple(float(value) for value in counts)
            if len(set(key)) < 4:
                continue
            if key in seen:
                notes.append(
                    f"channels {seen[key]} and {channel} have equal counts: are they the same data?"
                )
            seen.setdefault(key, channel)
