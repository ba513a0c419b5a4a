"""Which parameters of a combination are one, apart, or correlated in part."""

import copy
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any, Final

import numpy as np

from nuhf.couplings.parameters import suggest
from nuhf.errors import InputError
from nuhf.histfactory.correlate import Mixture, mixed, mixture
from nuhf.histfactory.describe import Norm, Sample, Shape
from nuhf.workspaces.encode import nuisances
from nuhf.workspaces.parts import LUMI, PER_BIN, ReducedWorkspace, free_name, renamed, scale_sample

Json = dict[str, Any]

_ORDER: Final = ("free", LUMI, "constrained")
_LUMI: Final = "lumi"


def shared(parts: Sequence[ReducedWorkspace]) -> Iterator[str]:
    """Say which parameters of several files became one, the free ones first."""
    owners: dict[str, list[ReducedWorkspace]] = {}
    for part in parts:
        for name in part.kinds:
            owners.setdefault(name, []).append(part)
    found: dict[str, list[str]] = {}
    for name, several in owners.items():
        if len(several) > 1:
            where = (
                "" if len(several) == len(parts) else f" ({', '.join(p.label for p in several)})"
            )
            found.setdefault(several[0].kind(name), []).append(f"{name}{where}")
    rank = {kind: i for i, kind in enumerate(_ORDER)}
    for kind in sorted(found, key=lambda kind: rank.get(kind, len(rank))):
        one = "one parameter" if len(found[kind]) == 1 else "one parameter each"
        yield f"{one} of all files now, {kind}: {', '.join(sorted(found[kind]))}"


def luminosities_apart(
    parts: Sequence[ReducedWorkspace], notes: list[str]
) -> list[ReducedWorkspace]:
    """Give files whose luminosity differs from that of the first an own parameter for it.

    The name of a luminosity is fixed by pyhf's schema: two of them cannot be told apart.
    """
    users = [part for part in parts if part.kinds.get(_LUMI) == {_LUMI}]
    done = list(parts)
    taken = {name for part in parts for name in part.kinds}
    for part in users[1:]:
        if _luminosity(part) == _luminosity(users[0]):
            continue
        done[done.index(part)] = _own_luminosity(part, taken, notes)
    return done


def apart(
    parts: Sequence[ReducedWorkspace], wanted: Sequence[str], notes: list[str]
) -> list[ReducedWorkspace]:
    """Keep parameters of equal name in several files apart: all but the first get an own one."""
    done = list(parts)
    taken = {name for part in parts for name in part.kinds}
    for name in wanted:
        users = [i for i, part in enumerate(done) if name in part.kinds]
        if len(users) < 2:
            several = [n for n in taken if sum(n in part.kinds for part in parts) > 1]
            where = "one file only" if users else "no file"
            raise InputError(f"decorrelate = {name}: it is in {where}; {suggest(name, several)}")
        for i in users[1:]:
            part = done[i]
            if part.kinds[name] == {_LUMI}:
                done[i] = _own_luminosity(part, taken, notes)
                continue
            new = free_name(f"{name}_{part.label}", taken)
            taken.add(new)
            done[i] = renamed(part, {}, {name: new})
            notes.append(f"{part.label}: {name} is now {new}, apart from that of the other files")
    return done


def _luminosity(part: ReducedWorkspace) -> tuple[Any, ...]:
    setting = part.settings(_LUMI)
    fixed = bool(setting.get("fixed"))
    return fixed, *(tuple(map(float, setting[key])) for key in ("inits", "auxdata", "sigmas"))


def _own_luminosity(part: ReducedWorkspace, taken: set[str], notes: list[str]) -> ReducedWorkspace:
    """Return a part whose luminosity is a normsys of an own name; a constant if it is fixed."""
    fixed, (start, *_), (centre, *_), (width, *_) = _luminosity(part)
    new = free_name(f"{_LUMI}_{part.label}", taken)
    taken.add(new)
    content = copy.deepcopy(part.channels)
    relative = width / centre
    for channel in content:
        for sample in channel["samples"]:
            if not any(m["type"] == _LUMI for m in sample["modifiers"]):
                continue
            scale_sample(sample, start if fixed else centre)
            sample["modifiers"] = [m for m in sample["modifiers"] if m["type"] != _LUMI]
            if not fixed:
                factors = {"hi": 1.0 + relative, "lo": 1.0 - relative}
                sample["modifiers"].append({"name": new, "type": "normsys", "data": factors})
    configs = {name: config for name, config in part.configs.items() if name != _LUMI}
    if fixed:
        notes.append(f"{part.label}: its luminosity is fixed, and now a constant in its samples")
    else:
        notes.append(
            f"{part.label}: its luminosity is now {new}, a normsys of {100 * relative:.3g} %, "
            "apart from lumi (differs from the linear factor in second order)"
        )
    return replace(part, channels=content, configs=configs)


def correlated(
    parts: Sequence[ReducedWorkspace], wanted: Sequence[tuple[str, str, float]], notes: list[str]
) -> list[ReducedWorkspace]:
    """Correlate constrained parameters by mixing independent ones.

    See `nuhf.histfactory.correlate`. `InputError` if a name is no parameter with a Gaussian
    constraint around 0, a coefficient is not between -1 and 1, or all together are no correlation
    matrix.
    """
    if not wanted:
        return list(parts)
    involved = list(dict.fromkeys(name for a, b, _ in wanted for name in (a, b)))
    for name in involved:
        _constrained(parts, name)
    matrix = np.eye(len(involved))
    for a, b, value in wanted:
        if a == b or not -1.0 <= value <= 1.0:
            raise InputError(
                f"correlate = {a} {b} {value:g}: give two parameters and a number from -1 to 1"
            )
        i, j = involved.index(a), involved.index(b)
        matrix[i, j] = matrix[j, i] = value
    weights = mixture(involved, matrix)
    if weights is None:
        text = ", ".join(f"{a} {b} {value:g}" for a, b, value in wanted)
        raise InputError(f"correlate: no such correlations are possible together: {text}")
    notes += [f"{a} and {b} are correlated with {value:g}" for a, b, value in wanted]
    made = [_mixed(part, weights) for part in parts]
    present = {name for part in made for name in part.kinds}
    return [
        replace(part, configs={n: c for n, c in part.configs.items() if n in present})
        for part in made
    ]


def _constrained(parts: Sequence[ReducedWorkspace], name: str) -> None:
    owners = [part for part in parts if name in part.kinds]
    if not owners:
        known = [n for part in parts for n in part.kinds if part.kind(n) == "constrained"]
        raise InputError(f"correlate: no parameter '{name}'; {suggest(name, known)}")
    for part in owners:
        if part.kind(name) != "constrained":
            hint = "; give decorrelate='lumi' first" if part.kind(name) == LUMI else ""
            what = "has" if part.kind(name) == PER_BIN else "is"
            raise InputError(
                f"correlate = {name}: it {what} {part.kind(name)} in {part.label}, and only "
                f"parameters of normsys and histosys can be correlated{hint}"
            )
        setting = part.settings(name)
        if setting.get("fixed") or any(setting.get("auxdata", ())):
            raise InputError(
                f"correlate = {name}: it is fixed, or not constrained around 0, in {part.label}"
            )


def _mixed(part: ReducedWorkspace, weights: Mixture) -> ReducedWorkspace:
    content = copy.deepcopy(part.channels)
    for channel in content:
        for sample in channel["samples"]:
            own = [m for m in sample["modifiers"] if m["name"] in weights]
            kept = [m for m in sample["modifiers"] if m["name"] not in weights]
            made = nuisances(mixed(_pulled(sample["data"], own), weights))
            rows = {(modifier["type"], modifier["name"]): modifier for modifier in made}
            order = dict.fromkeys((m["type"], name) for m in own for name in weights[m["name"]])
            sample["modifiers"] = kept + [rows[key] for key in order]
    return replace(part, channels=content)


def _pulled(data: Sequence[float], modifiers: Sequence[Json]) -> Sample:
    """Return a sample that has normsys and histosys only."""
    norms, shapes = {}, {}
    for modifier in modifiers:
        given = modifier["data"]
        if modifier["type"] == "normsys":
            norms[modifier["name"]] = Norm(given["hi"], given["lo"])
        else:
            rows = (np.asarray(given[key], dtype=float) for key in ("hi_data", "lo_data"))
            shapes[modifier["name"]] = Shape(*rows)
    return Sample("", "", np.asarray(data, dtype=float), norms=norms, shapes=shapes)
