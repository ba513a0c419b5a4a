"""Write a description as pyhf JSON: native (powerfactor), or stock (plain pyhf).

Native is exact for any number of couplings. Stock is what plain pyhf reads. A coupling theta
that interferes becomes there the parameter alpha = theta/Q of normsys modifiers, on pairs of
samples that cancel at alpha = 0:

    linear   X1 [f(alpha) - f(-alpha)],  f of code4 through 1/2 and 2,
    square   X2 [g(alpha) - 1],          g of code4 through 2 and 2,

with X1, X2 such that the leading terms are theta T1 and theta^2 T2. Both samples of a pair carry
every nuisance, shapes included, so that only terms of relative order alpha^2 are lost, and the
Gaussian constraint of alpha adds alpha^2 to 2NLL (pyhf does not let a file widen it): Q is
chosen large. A coupling without interference is a plain normfactor, exact in both; stock counts
it in another power of ten where its range is far from the size that optimizers expect.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from itertools import product
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from nuhf.errors import InputError
from nuhf.histfactory.describe import Channel, Coupling, Description, Norm, Sample, Shape
from nuhf.parameters import unit_suffix

__all__ = ["ENCODINGS", "STOCK_REACH", "code4_slopes", "native", "stock", "stock_exponent"]

FloatArray = NDArray[np.float64]
Json = dict[str, Any]

ENCODINGS: Final = ("native", "stock")

STOCK_REACH: Final = 20.0
"""Q is the first power of ten that is this many times the range of the coupling."""

_FACTOR: Final = 2.0

_PLAIN_ERRORS: Final = (0.03, 30.0)
"""Statistical errors of a coupling without interference that optimizers expect: outside, stock
counts it in a power of ten of that order (scipy's fails at 1e-9, and is 3 % off at 1e-3)."""


def _numbers(values: FloatArray) -> list[float]:
    return [float(x) for x in values]


def _nuisances(sample: Sample) -> list[Json]:
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


def _native_sample(sample: Sample) -> Json:
    factors = [_factor(name, power) for name, power in sample.powers.items()]
    return {
        "name": sample.name,
        "data": _numbers(sample.counts),
        "modifiers": [*factors, *_nuisances(sample)],
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
        ((c, [_native_sample(s) for s in c.samples]) for c in description.channels),
        [_parameter(coupling, coupling.parameter.fit_name) for coupling in description.couplings],
    )


def stock_exponent(coupling: Coupling) -> int:
    """Power of ten of the stock parameter's unit Q, at least `STOCK_REACH` times the range."""
    reach = STOCK_REACH * max(abs(coupling.low), abs(coupling.high))
    return coupling.parameter.exponent + int(np.ceil(np.log10(reach) - 1e-9))


@dataclass(frozen=True)
class _Alias:
    """A coupling in a stock file: name of its parameter, and its unit (Q) in fit units."""

    name: str
    unit: float
    interferes: bool = True


def _aliases(description: Description) -> dict[str, _Alias]:
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
            exponent = stock_exponent(coupling)
            name = parameter.fit_stem + unit_suffix(exponent)
            found[parameter.fit_name] = _Alias(name, 10.0 ** (exponent - parameter.exponent))
        elif not parameter.strength_of:
            error = _statistical_error(description, parameter.fit_name)
            if not _PLAIN_ERRORS[0] <= error <= _PLAIN_ERRORS[1]:
                power = int(np.floor(np.log10(error)))
                name = parameter.fit_stem + unit_suffix(parameter.exponent + power)
                found[parameter.fit_name] = _Alias(name, 10.0**power, interferes=False)
    return found


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


def stock(description: Description) -> Json:
    """Encode for plain pyhf; every coupling that interferes counts in units of its Q.

    Raises
    ------
    InputError
        If a coupling occurs with a power above 2.
    """
    aliases = _aliases(description)
    parameters = []
    for coupling in description.couplings:
        name = coupling.parameter.fit_name
        alias = aliases.get(name, _Alias(name, 1.0))
        parameters.append(_parameter(coupling, alias.name, alias.unit))
    pairs = (
        (c, [made for s in c.samples for made in _stock_samples(s, aliases)])
        for c in description.channels
    )
    return _workspace(description, pairs, parameters)


def code4_slopes() -> tuple[float, float]:
    """Slope at 0 of code4 through (2, 1/2), and half its second derivative through (2, 2).

    Inside |alpha| < 1 code4 is the polynomial of degree 6 that continues hi^alpha and lo^-alpha
    with value, slope and curvature (K. Cranmer et al., HistFactory, CERN-OPEN-2012-016).
    """
    log = float(np.log(_FACTOR))
    odd = np.array([[1.0, 1.0, 1.0], [1.0, 3.0, 5.0], [0.0, 6.0, 20.0]])
    even = np.array([[1.0, 1.0, 1.0], [2.0, 4.0, 6.0], [2.0, 12.0, 30.0]])
    low, high = 1.0 / _FACTOR, _FACTOR
    odd_side = 0.5 * np.array([high - low, log * (high + low), log**2 * (high - low)])
    even_side = np.array([high - 1.0, log * high, log**2 * high])
    return float(np.linalg.solve(odd, odd_side)[0]), float(np.linalg.solve(even, even_side)[0])


_Term = tuple[float, dict[str, Norm]]


def _power_terms(alias: _Alias, power: int) -> list[_Term]:
    """theta^power as a sum of constants times normsys factors of the alias."""
    linear, square = code4_slopes()
    up, down = Norm(_FACTOR, 1.0 / _FACTOR), Norm(1.0 / _FACTOR, _FACTOR)
    if power == 1:
        size = alias.unit / (2.0 * linear)
        return [(size, {alias.name: up}), (-size, {alias.name: down})]
    if power == 2:
        size = alias.unit**2 / square
        return [(size, {alias.name: Norm(_FACTOR, _FACTOR)}), (-size, {})]
    raise InputError(f"the stock encoding has no power {power} ({alias.name}): use native")


def _stock_samples(sample: Sample, aliases: Mapping[str, _Alias]) -> list[Json]:
    for n in [n for n in sample.powers if n in aliases and not aliases[n].interferes]:
        powers = {aliases[n].name if m == n else m: p for m, p in sample.powers.items()}
        unit = aliases[n].unit
        shapes = {m: Shape(unit * s.up, unit * s.down) for m, s in sample.shapes.items()}
        sample = replace(sample, counts=unit * sample.counts, powers=powers, shapes=shapes)
    interfering = {n: power for n, power in sample.powers.items() if n in aliases}
    if not interfering:
        return [_native_sample(sample)]
    choices = [_power_terms(aliases[n], power) for n, power in interfering.items()]
    made = []
    for i, terms in enumerate(product(*choices)):
        factor = float(np.prod([size for size, _ in terms]))
        norms = {name: norm for _, norms in terms for name, norm in norms.items()}
        part = replace(
            sample,
            name=f"{sample.name}_part{i + 1}",
            counts=factor * sample.counts,
            powers={n: power for n, power in sample.powers.items() if n not in aliases},
            norms={**norms, **sample.norms},
            shapes={n: Shape(factor * s.up, factor * s.down) for n, s in sample.shapes.items()},
        )
        made.append(_native_sample(part))
    return made
