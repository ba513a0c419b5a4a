"""Patch sets: a background-only workspace, and one patch of plain pyhf per grid point.

``BkgOnly.json`` holds the whole model at the SM and, in every channel, a sample ``signal`` of
zeros with the normfactor ``strength``. The patch of a grid point theta replaces that sample by
N(theta) - N(SM). With ``strength`` at 1 the patched workspace is the model at theta, nuisances
included, exactly: all monomials of a process share their normsys, which the difference keeps,
and the histosys of a sum is the sum of the histosys, because code4p is linear in nominal, upper
and lower content.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import product
from typing import Any, Final

import numpy as np
import pyhf

from nuhf.arrays import FloatArray
from nuhf.couplings.parameters import Parameter
from nuhf.couplings.weak import STRENGTHS
from nuhf.errors import InputError
from nuhf.histfactory.describe import Channel, Coupling, Description, Sample, Shape
from nuhf.workspaces import encode

Json = dict[str, Any]

STRENGTH: Final = Parameter(
    "strength", "1", STRENGTHS, "strength", 0,
    meaning="1: the model at the grid point, 0: the SM", strength_of="signal",
)  # fmt: skip
"""The POI of the background-only workspace."""

FIX_STRENGTH: Final[list[Json]] = [{"op": "add", "path": "/parameters/0/fixed", "value": True}]
"""A patch that holds ``strength`` at 1: ``pyhf fit --value -p point.json -p fix_strength.json``.

For ``pyhf fit`` and ``cls``, which apply patches to the model: channels and parameters.
"""

HEPDATA_PLACEHOLDER: Final = "ins0000000"
"""Stands for the INSPIRE record of a result that is not published."""

MAX_POINTS: Final = 10_000
"""Of one patch set; a file of more is better split."""

_SIGNAL: Final = "signal"
_STRENGTH_MAX: Final = 10.0
_MOST: Final = 1e100


@dataclass(frozen=True)
class PatchGrid:
    """A grid of a model in one or more parameters.

    Attributes
    ----------
    parameters : tuple of Parameter
        Axes of the grid, in the order of the labels.
    points : ndarray
        Fit parameters (n_points, n_parameters): the values of the patches.
    background : dict
        Content of ``BkgOnly.json``.
    patchset : dict
        Content of ``patchset.json``.
    notes : tuple of str
        Caveats, the placeholder of the record included.
    """

    parameters: tuple[Parameter, ...]
    points: FloatArray
    background: Json
    patchset: Json
    notes: tuple[str, ...]

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the patches in the order of ``points``."""
        return tuple(patch["metadata"]["name"] for patch in self.patchset["patches"])


_Parts = Sequence[tuple[float, Sample]]


def check_hepdata(record: str) -> str:
    """Return the INSPIRE record; `InputError` if it is not ``ins`` and 7 digits."""
    if not re.fullmatch(r"ins[0-9]{7}", record):
        raise InputError(
            f"hepdata = {record}: the INSPIRE record is 'ins' and 7 digits, such as ins1234567; "
            f"leave it out for the placeholder {HEPDATA_PLACEHOLDER}"
        )
    return record


def _weight(sample: Sample, point: Mapping[str, float]) -> float:
    powers = [point[name] ** power for name, power in sample.powers.items() if name in point]
    return float(np.prod(powers))


def _factors(sample: Sample, point: Mapping[str, float]) -> dict[str, int]:
    """Powers of what is not an axis of the grid: the free factors."""
    return {name: power for name, power in sample.powers.items() if name not in point}


def _weighted(name: str, like: Sample, powers: Mapping[str, int], parts: _Parts) -> Sample:
    """Add samples with equal norms; one without the shape of another has its nominal there."""
    counts = np.sum([weight * s.counts for weight, s in parts], axis=0)
    shapes = {}
    for nuisance in dict.fromkeys(n for _, s in parts for n in s.shapes):
        pairs = [(w, s.shapes.get(nuisance, Shape(s.counts, s.counts))) for w, s in parts]
        shapes[nuisance] = Shape(
            np.sum([w * shape.up for w, shape in pairs], axis=0),
            np.sum([w * shape.down for w, shape in pairs], axis=0),
        )
    return Sample(name, like.process, counts, {STRENGTH.fit_name: 1, **powers}, like.norms, shapes)


def _groups(region: Channel, start: Mapping[str, float]) -> dict[str, list[Sample]]:
    """Samples that depend on the couplings, by the name of the sample that stands for them."""
    found: list[list[Sample]] = []
    for sample in region.samples:
        if not sample.powers.keys() & start.keys():
            continue
        for group in found:
            if _alike(group[0], start) == _alike(sample, start):
                group.append(sample)
                break
        else:
            found.append([sample])
    if len(found) == 1:
        return {_SIGNAL: found[0]}
    return {f"{_SIGNAL}_{group[0].process}_{i + 1}": group for i, group in enumerate(found)}


def _alike(sample: Sample, start: Mapping[str, float]) -> tuple[object, ...]:
    """What samples that are added must have in common."""
    return sample.process, sample.norms, _factors(sample, start)


def _signals(
    groups: Mapping[str, list[Sample]], point: Mapping[str, float], start: Mapping[str, float]
) -> list[Sample]:
    made = []
    for name, group in groups.items():
        parts = [(_weight(s, point) - _weight(s, start), s) for s in group]
        made.append(_weighted(name, group[0], _factors(group[0], start), parts))
    return made


def _fixed_part(region: Channel, start: Mapping[str, float]) -> list[Sample]:
    """Everything at the SM: backgrounds, and monomials that do not vanish there."""
    found = []
    for sample in region.samples:
        weight = _weight(sample, start)
        if weight:
            found.append(replace(sample.scaled(weight), powers=_factors(sample, start)))
    return found


def _room(fixed: Sequence[list[Sample]], signals: Sequence[Sequence[list[Sample]]]) -> float:
    """Upper bound of ``strength``: at most 10, and no expectation below 0 at any point."""
    high = _STRENGTH_MAX
    for i, steady in enumerate(fixed):
        total = np.sum([s.counts for s in steady], axis=0)
        for at_point in signals:
            change = np.sum([s.counts for s in at_point[i]], axis=0)
            falling = change < 0
            if falling.any():
                zero = float((total[falling] / -change[falling]).min())
                high = min(high, 1.0 + 0.5 * max(zero - 1.0, 0.0))
    return float(np.floor(1000.0 * high) / 1000.0)


def _text(value: float) -> str:
    """Write a number with letters, digits and underscores only: -1.5e-7 is ``m1p5em07``."""
    return f"{value:.12g}".replace("-", "m").replace("+", "").replace(".", "p")


def _patch_name(labels: Sequence[str], values: Sequence[float]) -> str:
    return "_".join(f"{label}_{_text(v)}" for label, v in zip(labels, values, strict=True))


def _points(couplings: Sequence[Coupling], axes: Sequence[FloatArray]) -> FloatArray:
    """Return all combinations of the axes as fit parameters, rounded to 12 digits."""
    if len(axes) != len(couplings):
        raise InputError(f"{len(couplings)} parameters need as many axes, given: {len(axes)}")
    converted = []
    for coupling, axis in zip(couplings, axes, strict=True):
        parameter = coupling.parameter
        if np.size(axis) == 0 or not np.isfinite(axis).all():
            raise InputError(f"the values of {parameter.name} must be finite numbers")
        if coupling.bounded and min(axis) < 0:
            raise InputError(f"{parameter.name} is not below 0, given: {min(axis):g}")
        exact = np.array([parameter.to_fit(float(value)) for value in axis])
        decimals = 11 - int(np.floor(np.log10(np.abs(exact).max() or 1.0)))
        row = [round(float(x), decimals) + 0.0 for x in exact]
        if len(set(row)) != len(row):
            raise InputError(f"the values of {parameter.name} must be different")
        converted.append(row)
    points = np.array(list(product(*converted)))
    if not 0 < len(points) <= MAX_POINTS:
        raise InputError(f"a patch set has 1 to {MAX_POINTS} points, asked for: {len(points)}")
    return points


def patch_grid(
    description: Description,
    axes: Sequence[FloatArray],
    *,
    hepdata: str = HEPDATA_PLACEHOLDER,
    notes: Sequence[str] = (),
    extra: Mapping[str, Any] | None = None,
) -> PatchGrid:
    """Evaluate a model on a grid of all its couplings, for plain pyhf.

    ``axes`` has values (n,) of every coupling in its base unit (e, mu_B, cm2, 1), in any order,
    all different; those of a patch are in the unit that its label ends in. ``extra`` are more
    metadata, such as the provenance. `InputError` for a bad record or bad values.
    """
    check_hepdata(hepdata)
    points = _points(description.couplings, axes)
    labels = [c.parameter.fit_name for c in description.couplings]
    background, patches = _evaluate(description, points)
    if hepdata == HEPDATA_PLACEHOLDER:
        placeholder = f"hepdata record {hepdata} is a placeholder: nothing was submitted under it"
        notes = [*notes, placeholder]
    entries = [
        {
            "metadata": {"name": _patch_name(labels, row), "values": [float(x) for x in row]},
            "patch": patch,
        }
        for row, patch in zip(points, patches, strict=True)
    ]
    metadata = {
        "description": _description(description, labels, notes),
        "references": {"hepdata": hepdata},
        "digests": digests(background),
        "labels": labels,
        **(extra or {}),
    }
    content = {"metadata": metadata, "patches": entries, "version": "1.0.0"}
    axes_of = tuple(c.parameter for c in description.couplings)
    return PatchGrid(axes_of, points, background, content, tuple(notes))


def digests(background: Json) -> dict[str, str]:
    """Return what a patch set keeps of its background-only workspace."""
    return {"sha256": pyhf.utils.digest(background)}


def _evaluate(description: Description, points: FloatArray) -> tuple[Json, list[list[Json]]]:
    """Return BkgOnly and the operations of every point."""
    labels = [c.parameter.fit_name for c in description.couplings]
    start = {c.parameter.fit_name: c.init for c in description.couplings}
    groups = [_groups(region, start) for region in description.channels]
    with np.errstate(over="ignore", invalid="ignore"):  # told in words
        signals = [
            [_signals(region, dict(zip(labels, row, strict=True)), start) for region in groups]
            for row in points
        ]
    for row, made in zip(points, signals, strict=True):
        if not all(np.abs(s.counts).max() < _MOST for region in made for s in region):
            at = ", ".join(f"{name} = {x:g}" for name, x in zip(labels, row, strict=True))
            raise InputError(f"more than {_MOST:g} events at {at}: not to compute with")
    fixed = [_fixed_part(region, start) for region in description.channels]
    zeros = [
        [replace(s, counts=np.zeros_like(s.counts), shapes={}) for s in region]
        for region in signals[0]
    ]
    regions = tuple(
        replace(region, samples=(*a, *b))
        for region, a, b in zip(description.channels, fixed, zeros, strict=True)
    )
    strength = Coupling(STRENGTH, 0.0, _room(fixed, signals), 1.0)
    background = replace(description, channels=regions, couplings=(strength,))
    return encode.native(background), [list(_operations(row, fixed)) for row in signals]


def _operations(
    signals: Sequence[Sequence[Sample]], fixed: Sequence[Sequence[Sample]]
) -> Iterator[Json]:
    """Yield what replaces the samples of zeros, which stand behind those that are fixed."""
    for i, (samples, steady) in enumerate(zip(signals, fixed, strict=True)):
        for j, sample in enumerate(samples, start=len(steady)):
            value = encode.native_sample(sample)
            yield {"op": "replace", "path": f"/channels/{i}/samples/{j}", "value": value}


def _description(description: Description, labels: Sequence[str], notes: Sequence[str]) -> str:
    sentences = [
        f"{description.name}: grid in {' and '.join(labels)} (the name ends in the unit). "
        "BkgOnly is the SM with all backgrounds; a patch is N(theta) - N(SM) with all nuisances, "
        "exact for strength = 1",
        *(f"Note: {note}" for note in notes),
    ]
    return ". ".join(sentences) + "."
