"""Write a description as pyhf JSON: native (powerfactor), or stock (plain pyhf).

Native is exact for any number of couplings. Stock is what plain pyhf reads. A coupling theta
that interferes becomes there the parameter alpha = theta/Q of steep normsys modifiers; see
`nuhf.workspaces.interference`. All samples of one rate carry every nuisance, shapes included, so
that only terms of relative order alpha^2 are lost, and the Gaussian constraint of alpha adds
alpha^2 to 2NLL (pyhf does not let a file widen it): Q is chosen large. A coupling without
interference is a plain normfactor, exact in both; stock counts it in another power of ten where
its range is far from the size that optimizers expect.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import product
from typing import Any, Final

import numpy as np

from nuhf.arrays import FloatArray
from nuhf.couplings.parameters import suggest, unit_suffix
from nuhf.errors import InputError
from nuhf.histfactory.describe import (
    Channel,
    Coupling,
    Description,
    Norm,
    Sample,
    Shape,
    rounded_up,
)
from nuhf.workspaces import names
from nuhf.workspaces.hs3 import hs3
from nuhf.workspaces.interference import (
    Factor,
    GentleFactorError,
    positive_factors,
    steep_factors,
    weights,
)

Json = dict[str, Any]

ENCODINGS: Final = ("stock", "stock-positive", "native", "hs3")

STOCK_REACH: Final = 50.0
"""Q is the first power of ten that is this many times the range of the coupling.

Measured on the 15 shipped files that interfere: with 20 the largest error where 2NLL < 9 is 0.01,
with 50 it is 0.003; with 200 it is 1e-4, but pyhf's default optimizer stops early in free fits of
two files (1.5 and 0.35 too high), as the parameter moves in steps too small for it."""

_WIDER_REACHES: Final = (10 * STOCK_REACH, 100 * STOCK_REACH, 1000 * STOCK_REACH)
"""Tried for squares, which nuclei need at charges far beyond the range that electrons leave."""

_PLAIN_ERRORS: Final = (0.03, 30.0)
"""Statistical errors of a coupling without interference that optimizers expect: outside, stock
counts it in a power of ten near its limit (scipy's fails at 1e-9, and is 3 % off at 1e-3)."""

_BOUND: Final = 25.0
"""Upper bound of a coupling without interference, in its statistical errors, rounded up: 5 to 25
times its 95 % limit in the shipped files. Where it is 100 times, pyhf's default bracket for
limits starts where its fits fail."""

_OFF_BOUND: Final = 1e-3
"""Start of a coupling that begins at 0, of its upper bound: 0.025 of its statistical error.

At the bound itself minuit's step vanishes: its free fit of csi-2021 stays there, 0.018 in 2NLL too
high, and so do 6 of 135 of toys of csi-2017 and csi-2021, up to 0.35 too high."""


def _numbers(values: FloatArray) -> list[float]:
    return [float(x) for x in values]


def nuisances(sample: Sample) -> list[Json]:
    """Return the normsys and histosys of a sample."""
    modifiers: list[Json] = [
        {"name": name, "type": "normsys", "data": {"hi": norm.up, "lo": norm.down}}
        for name, norm in sample.norms.items()
    ]
    modifiers += [
        {
            "name": name,
            "type": "histosys",
            "data": {"hi_data": _numbers(shape.up), "lo_data": _numbers(shape.down)},
        }
        for name, shape in sample.shapes.items()
    ]
    return modifiers


def _factor(name: str, exponent: int) -> Json:
    if exponent == 1:
        return {"name": name, "type": "normfactor", "data": None}
    return {"name": name, "type": "powerfactor", "data": {"exponent": exponent}}


def native_sample(sample: Sample) -> Json:
    """Return the JSON of a sample in the native encoding."""
    factors = [_factor(name, power) for name, power in sample.powers.items()]
    return {
        "name": sample.name,
        "data": _numbers(sample.counts),
        "modifiers": [*factors, *nuisances(sample)],
    }


def _entry(name: str, init: float, low: float, high: float) -> Json:
    return {"name": name, "inits": [init], "bounds": [[low, high]]}


def _parameter(coupling: Coupling, name: str, unit: float = 1.0) -> Json:
    values = (coupling.init, coupling.low, coupling.high)
    return _entry(name, *(float(f"{value / unit:.12g}") for value in values))


def _workspace(
    description: Description,
    channels: Iterable[tuple[Channel, list[Json]]],
    parameters: list[Json],
) -> Json:
    pairs = list(channels)
    free = [_entry(factor.name, 1.0, 0.0, factor.high) for factor in description.free]
    return {
        "channels": [{"name": c.name, "samples": samples} for c, samples in pairs],
        "observations": [{"name": c.name, "data": _numbers(c.observed)} for c, _ in pairs],
        "measurements": [
            {
                "name": description.name,
                "config": {"poi": parameters[0]["name"], "parameters": [*parameters, *free]},
            }
        ],
        "version": "1.0.0",
    }


def native(description: Description) -> Json:
    """Encode with ``powerfactor`` where a power above 1 occurs; exact for all couplings."""
    return _workspace(
        description,
        ((c, [native_sample(s) for s in c.samples]) for c in description.channels),
        [_parameter(coupling, coupling.parameter.fit_name) for coupling in description.couplings],
    )


def check_encoding(encoding: str) -> None:
    """Refuse an unknown encoding (`InputError`)."""
    if encoding not in ENCODINGS:
        raise InputError(f"unknown encoding '{encoding}'; {suggest(encoding, ENCODINGS)}")


def narrowed(description: Description, low: float, high: float) -> Description:
    """Return the same model with a narrower range of its first coupling, in base units."""
    coupling = description.couplings[0]
    parameter = coupling.parameter
    ends = [parameter.to_fit(end) for end in (low, high)] if np.isfinite([low, high]).all() else []
    slack = 1e-9 * (coupling.high - coupling.low)
    if not ends or not coupling.low - slack <= ends[0] < ends[1] <= coupling.high + slack:
        widest = [f"{parameter.from_fit(end):g}" for end in (coupling.low, coupling.high)]
        raise InputError(
            f"range {low:g} to {high:g}: give {parameter.name} two numbers in increasing order "
            f"within {' to '.join(widest)}"
        )
    init = min(max(coupling.init, ends[0]), ends[1])
    first = replace(coupling, low=ends[0], high=ends[1], init=init)
    return replace(description, couplings=(first, *description.couplings[1:]))


def encode(description: Description, encoding: str, keep_range: bool = False) -> Json:
    """Encode as one of `ENCODINGS` (`InputError` for another name); see `stock`."""
    check_encoding(encoding)
    if encoding == "native":
        return native(description)
    if encoding == "hs3":
        return hs3(native(description))
    return stock(description, positive=encoding == "stock-positive", keep_range=keep_range)


def stock_exponent(coupling: Coupling, reach: float = STOCK_REACH) -> int:
    """Power of ten of the stock parameter's unit Q, at least ``reach`` times the range."""
    reach *= max(abs(coupling.low), abs(coupling.high))
    return coupling.parameter.exponent + int(np.ceil(np.log10(reach) - 1e-9))


@dataclass(frozen=True)
class _Alias:
    """A coupling in a stock file: name of its parameter, and its unit (Q) in fit units."""

    name: str
    unit: float
    interferes: bool = True


def _aliases(description: Description, reach: float) -> dict[str, _Alias]:
    squares = {
        name
        for region in description.channels
        for sample in region.samples
        for name, power in sample.powers.items()
        if power > 1
    }
    found = {}
    for coupling in description.couplings:
        parameter = coupling.parameter
        if parameter.fit_name in squares:
            exponent = stock_exponent(coupling, reach)
            name = parameter.fit_stem + unit_suffix(exponent)
            found[parameter.fit_name] = _Alias(name, 10.0 ** (exponent - parameter.exponent))
        elif not parameter.strength_of:
            error = _statistical_error(description, parameter.fit_name)
            if not _PLAIN_ERRORS[0] <= error <= _PLAIN_ERRORS[1]:
                power = int(np.floor(np.log10(3.0 * error)))  # limits are then 1 to 10
                name = parameter.fit_stem + unit_suffix(parameter.exponent + power)
                found[parameter.fit_name] = _Alias(name, 10.0**power, interferes=False)
    return found


def stock_unit(description: Description) -> float:
    """Return the unit of the first coupling in files of the encoding stock, in fit units."""
    name = description.couplings[0].parameter.fit_name
    return _aliases(description, STOCK_REACH).get(name, _Alias(name, 1.0)).unit


def _statistical_error(description: Description, name: str) -> float:
    """Error of a linear coupling from the counts alone: strengths at 1, other couplings at 0."""
    moving = (c.parameter for c in description.couplings if not c.parameter.strength_of)
    others = {parameter.fit_name for parameter in moving} - {name}
    information = 0.0
    for region in description.channels:
        own = [s.counts for s in region.samples if name in s.powers and not others & set(s.powers)]
        slope = np.sum(own, axis=0) if own else np.zeros_like(region.observed)
        information += float((slope**2 / np.maximum(region.observed, 1.0)).sum())
    return float(information**-0.5)


def stock(description: Description, *, positive: bool = False, keep_range: bool = False) -> Json:
    """Encode for plain pyhf; every coupling that interferes counts in units of its Q.

    With ``positive`` no sample is anywhere negative, for readers that clip such bins. Unless
    ``keep_range``, a coupling without interference ends where readers can work with it.
    `InputError` if a coupling occurs with a power above 2, or samples that are small or positive
    do not exist.
    """
    for reach in (STOCK_REACH, *(_WIDER_REACHES if positive else ())):
        try:
            return _stock(description, positive, keep_range, reach)
        except GentleFactorError:
            continue
    raise InputError(
        f"stock-positive: the rates see {description.couplings[0].parameter.name} on scales too "
        "far apart for one unit: use the stock or the native encoding"
    )


def _stock(description: Description, positive: bool, keep_range: bool, reach: float) -> Json:
    aliases = _aliases(description, reach)
    parameters = []
    for coupling in description.couplings:
        name = coupling.parameter.fit_name
        alias = aliases.get(name, _Alias(name, 1.0, interferes=False))
        plain = not (alias.interferes or coupling.parameter.strength_of)
        if plain and coupling.low == 0.0 and not keep_range:
            bound = rounded_up(_BOUND * _statistical_error(description, name) / alias.unit)
            coupling = replace(coupling, high=min(coupling.high, alias.unit * bound))
        if plain and coupling.low == 0.0:
            coupling = replace(coupling, init=max(coupling.init, _OFF_BOUND * coupling.high))
        parameters.append(_parameter(coupling, alias.name, alias.unit))
    pairs = [(c, _stock_samples(c, aliases, positive)) for c in description.channels]
    return _workspace(description, pairs, parameters)


def _stock_samples(region: Channel, aliases: Mapping[str, _Alias], positive: bool) -> list[Json]:
    """Samples of a channel: polynomials of interfering couplings as stock factors, others as is."""
    families: dict[tuple[str, tuple[tuple[str, int], ...]], list[Sample]] = {}
    interfering = {name for name, alias in aliases.items() if alias.interferes}
    for sample in region.samples:
        rest = tuple(item for item in sample.powers.items() if item[0] not in interfering)
        families.setdefault((sample.stem or sample.name, rest), []).append(sample)
    made = []
    for (stem, rest), members in families.items():
        own = [n for n in aliases if any(n in s.powers for s in members) and n in interfering]
        names_of = [n for n, _ in rest if n in members[0].name]
        base = "_".join([stem, *names_of])
        parts = _polynomial_samples(base, own, members, aliases, positive) if own else members
        made += [native_sample(_renamed(part, dict(rest), aliases)) for part in parts]
    return made


def _renamed(sample: Sample, powers: Mapping[str, int], aliases: Mapping[str, _Alias]) -> Sample:
    """Count the couplings without interference in the unit of the file."""
    unit = float(np.prod([aliases[n].unit ** p for n, p in powers.items() if n in aliases]))
    name = sample.name
    for n in powers:
        name = name.replace(n, aliases[n].name) if n in aliases else name
    named = {aliases[n].name if n in aliases else n: p for n, p in powers.items()}
    return replace(sample.scaled(unit), name=name, powers=named)


def _polynomial_samples(
    stem: str,
    own: Sequence[str],
    members: Sequence[Sample],
    aliases: Mapping[str, _Alias],
    positive: bool,
) -> list[Sample]:
    """One sample per product of factors of the couplings (`nuhf.workspaces.interference`)."""
    shapes = sorted({name for sample in members for name in sample.shapes})
    bins = members[0].counts.size
    # nominal, then up and down of every shape: powers of each coupling, bins
    terms = np.zeros((1 + 2 * len(shapes), *(3 for _ in own), bins))
    for sample in members:
        index = tuple(sample.powers.get(name, 0) for name in own)
        if max(index) > 2:
            worst = own[int(np.argmax(index))]
            raise InputError(f"the stock encoding has no power {max(index)} ({worst}): use native")
        rows = [sample.counts]
        for name in shapes:
            shape = sample.shapes.get(name, Shape(sample.counts, sample.counts))
            rows += [shape.up, shape.down]
        place: Any = (..., *index, slice(None))
        terms[place] += rows
    units = [aliases[name].unit for name in own]
    factors, found = (_positive if positive else _steep)(terms, units)
    made = []
    for index in product(*(range(len(row)) for row in factors)):
        counts, *varied = (one[index] for one in found)
        if not any(np.any(row) for row in (counts, *varied)):
            continue
        ends = [
            (aliases[name].name, row[i].label, row[i].pair)
            for name, row, i in zip(own, factors, index, strict=True)
        ]
        label = "".join(f"_{names.split_unit(n)[0]}{end}" for n, end, _ in ends if end)
        made.append(
            replace(
                members[0],
                name=stem + label,
                counts=counts,
                norms={**{n: Norm(*pair) for n, _, pair in ends if pair}, **members[0].norms},
                shapes={n: Shape(varied[2 * k], varied[2 * k + 1]) for k, n in enumerate(shapes)},
            )
        )
    return made


def _steep(
    terms: FloatArray, units: Sequence[float]
) -> tuple[list[tuple[Factor, ...]], FloatArray]:
    """Factors of each coupling, and weights of their products: variations, factors, bins."""
    factors, matrices = [], []
    for axis, unit in enumerate(units):
        alone = np.moveaxis(terms[0], axis, 0)  # its own powers first; the others' are 0
        row, matrix = steep_factors(alone.reshape(3, 3 ** (len(units) - 1), -1)[:, 0], unit)
        factors.append(row)
        matrices.append(matrix)
    return factors, np.array([weights(one, matrices) for one in terms])


def _positive(
    terms: FloatArray, units: Sequence[float]
) -> tuple[list[tuple[Factor, ...]], FloatArray]:
    """Return what `_steep` does, without negative weights."""
    if len(units) > 1:
        raise InputError("stock-positive holds one interfering coupling at a time: use stock")
    factors, found = positive_factors(terms, units[0])
    return [factors], found
