"""A rate that is quadratic in a parameter, as plain pyhf samples: interference in stock JSON.

pyhf multiplies samples by parameters; a rate T0 + theta T1 + theta^2 T2 with an interference T1
of either sign seems to need more. It does not: a normsys factor with `hi` and `lo` far from one
is a steep function of its parameter alpha near alpha = 0,

    linear   f(alpha) = 1 + a alpha + b alpha^2 + ...   with hi = h, lo = 1/h,
    square   g(alpha) = 1 + d alpha^2 + ...             with hi = lo = H,

and with alpha = theta/Q three samples have the wanted rate up to relative terms alpha^2:

    _linear  w1 = Q T1 / a,   _square  w2 = (Q^2 T2 - b w1) / d,   the rest  w0 = T0 - w1 - w2.

With steep factors w1 and w2 are small, so that every sample is close to what it is called: all
samples are positive where theta = 0, and plots and yield tables read as usual. The Gaussian
constraint of alpha, which a file cannot switch off, adds alpha^2 to 2NLL: choose Q far above the
range of theta, 50 times and more.

Inside |alpha| < 1 pyhf's code4 is the polynomial of degree 6 that joins hi^alpha and lo^-alpha at
alpha = +-1 with value, slope and curvature (K. Cranmer et al., HistFactory,
CERN-OPEN-2012-016). HistFactory's readers in ROOT use the same for normsys.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any, Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from nuhf.arrays import FloatArray
from nuhf.errors import InputError

Json = dict[str, Any]

SMALL: Final = 0.01
"""Largest part of the constant term that the linear and the square sample may have, per bin."""

_STEEPEST: Final = 200
"""Largest power of two of a normsys factor."""

_NODES: Final = 25
_STEPS: Final = 300
_FAR: Final = 1e7
_SOLVED: Final = 1e-6
_POLISHED: Final = 3
_PULLS: Final = (5.0, 3.0, 1.0)
"""Positive samples stay positive up to this many standard deviations of each shape; the first
that is possible. Where the cancellation is nearly perfect, that is 1."""


def code4_coefficients(hi: float, lo: float) -> FloatArray:
    """Coefficients (6,) of alpha to alpha^6 of pyhf's code4 inside |alpha| < 1.

    The six conditions are value, slope and curvature of ``hi ** alpha`` at 1 and of
    ``lo ** -alpha`` at -1.
    """
    power = np.arange(1.0, 7.0)
    sign = (-1.0) ** power
    rows = np.array(
        [np.ones(6), sign, power, -sign * power, power * (power - 1), sign * power * (power - 1)]
    )
    up, down = np.log(hi), np.log(lo)
    sides = np.array([hi - 1, lo - 1, up * hi, -down * lo, up**2 * hi, down**2 * lo])
    return np.asarray(np.linalg.solve(rows, sides))


@dataclass(frozen=True)
class Factor:
    """A function of one parameter that multiplies a sample.

    ``label`` ends the sample's name, ``pair`` are ``hi`` and ``lo`` of its normsys; the constant
    has neither.
    """

    label: str
    pair: tuple[float, float] | None = None


def steep_factors(terms: FloatArray, unit: float) -> tuple[tuple[Factor, ...], FloatArray]:
    """Return the gentlest factors with which the linear and the square sample are small.

    ``terms`` (3, n_bins) are T0, T1, T2 of all bins that share the factors, ``unit`` is Q, in the
    unit of theta. The factors are the constant, the linear and the square one, with powers of two
    as ``hi`` and ``lo``; their weights (3, 3), in rows, are for 1, theta and theta^2. `InputError`
    if a bin without constant term has another one: no factor makes that small.
    """
    constant, linear, square = terms
    used = (linear != 0) | (square != 0)
    if np.any(constant[used] <= 0):
        raise InputError(
            f"bin {int(np.argmax(used & (constant <= 0)))} has interference but no events "
            "without the coupling: small samples do not exist, use the native encoding"
        )
    room = SMALL * constant[used]
    h = _first(
        lambda h: np.abs(unit * linear[used] / code4_coefficients(h, 1.0 / h)[0]) <= room, unit
    )
    slope, bend = code4_coefficients(h, 1.0 / h)[:2]
    sign = 1.0 if float(linear.sum()) >= 0 else -1.0
    first = sign * unit * linear / slope
    second = unit**2 * square - bend * first
    top = _first(lambda h: np.abs(second[used] / code4_coefficients(h, h)[1]) <= room, unit)
    curvature = float(code4_coefficients(top, top)[1])
    w1 = np.array([0.0, sign * unit / slope, 0.0])
    w2 = (np.array([0.0, 0.0, unit**2]) - bend * w1) / curvature
    pair = (h, 1.0 / h) if sign > 0 else (1.0 / h, h)
    factors = Factor(""), Factor("_linear", pair), Factor("_square", (top, top))
    return factors, np.array([np.array([1.0, 0.0, 0.0]) - w1 - w2, w1, w2])


def _first(small: Callable[[float], NDArray[np.bool_]], unit: float) -> float:
    """Return the first power of two that is steep enough in all bins."""
    for power in range(1, _STEEPEST):
        if np.all(small(2.0**power)):
            return 2.0**power
    raise InputError(
        f"a bin has too few events without the coupling for small samples in units of {unit:g}: "
        "use the native encoding"
    )


class GentleFactorError(InputError):
    """A square changes too little over the unit of its coupling for a normsys: take a larger Q."""


def curved_factor(slope: float, curvature: float) -> tuple[float, float]:
    """Return ``hi`` and ``lo`` of the normsys 1 + slope alpha + curvature alpha^2 + ...

    For factors as steep as (1 - k alpha)^2 with k above about 10.
    """

    def off(logs: FloatArray) -> FloatArray:
        hi, lo = np.exp(logs)
        found = code4_coefficients(hi, lo)[:2]
        return np.array([found[0] - slope, found[1] - curvature]) / curvature

    start = np.log(4.0 + curvature)
    from scipy.optimize import root  # here: limits do without

    solved = root(off, [start, start], tol=1e-13)
    if not np.abs(off(solved.x)).max() < 1e-9:
        raise GentleFactorError(f"no normsys has slope {slope:g} and curvature {curvature:g}")
    hi, lo = np.exp(solved.x)
    return float(hi), float(lo)


def positive_factors(terms: FloatArray, unit: float) -> tuple[tuple[Factor, ...], FloatArray]:
    """Write polynomials as sums of squares with weights that are nowhere negative.

    The factors are 1, 1 + (10 theta/c)^2 and squares (1 - theta/c_k)^2 with as few nodes c_k as
    possible. A polynomial that touches zero in a bin is such a square itself, so nodes lie where
    the bins' interference cancels most, sqrt(T0/T2). Weights (n_variations, n_factors, n_bins) are
    the analytic centre of what is possible (no bin of a sample is close to zero), and variations
    change them by as little as possible, relatively. ``terms`` (n_variations, 3, n_bins) are
    T0, T1, T2, nominal first, then those of each shape variation; ``unit`` is Q, in the unit of
    theta. `InputError` if a bin's rate is negative for some theta, or touches zero so closely that
    more than 24 nodes were needed: there is no such sum.
    """
    constant, linear, square = terms[0]
    used = (constant > 0) & (square > 0)
    if np.any((terms != 0).any(axis=(0, 1)) & ~used) or np.any(
        linear[used] ** 2 >= 4.0 * constant[used] * square[used]
    ):
        raise InputError(
            "the rate of a bin is not positive for every value of the coupling: it is no sum of "
            "positive samples; use the stock or the native encoding"
        )
    places = np.sqrt(terms[:, 0, used] / terms[:, 2, used])
    mixing = terms[:, 1, used] * places / terms[:, 0, used]
    size = float(places.min())
    for pulls, n in product(_PULLS, range(1, _NODES)):
        nodes = _nodes(places, mixing, n)
        squares = [[1.0, -2.0 / c, c**-2.0] for c in nodes]
        rows = np.array([[1.0, 0.0, 0.0], [1.0, 0.0, 1.0 / (SMALL * size**2)], *squares])
        found = _positive_weights(rows, terms[:, :, used], places[0], pulls)
        if found is not None:
            break
    else:
        raise InputError(
            f"more than {_NODES - 1} positive samples were needed; use the stock or the native "
            "encoding"
        )
    weights = np.zeros((len(terms), len(rows), constant.size))
    weights[:, :, used] = found
    factors = [Factor(""), Factor("_square", curved_factor(0.0, (unit / size) ** 2 / SMALL))]
    for k, node in enumerate(nodes):
        pair = curved_factor(-2.0 * unit / node, (unit / node) ** 2)
        factors.append(Factor(f"_node{k + 1}", pair))
    return tuple(factors), weights


def _nodes(places: FloatArray, mixing: FloatArray, n: int) -> list[float]:
    """Nodes in equal ratios over the places of strongest cancellation, per sign of T1.

    Where T1 is small against 2 sqrt(T0 T2), ``mixing`` against 2, both signs are needed.
    """
    found: list[float] = []
    for sign in (-1.0, 1.0):
        own = places[sign * mixing > -0.2]
        if own.size:
            low, high = own.min(), own.max()
            ends = np.geomspace(low, high, n) if n > 1 else [np.sqrt(low * high)]
            found += [float(-sign * c) for c in ends]
    return found


def _positive_weights(
    rows: FloatArray, terms: FloatArray, places: FloatArray, pulls: float
) -> FloatArray | None:
    """Positive solution w of w @ rows = terms per bin and variation; None if there is none.

    ``rows`` (n_factors, 3) begin with 1; ``terms`` (n_variations, 3, n_bins), of which variations
    must be positive up to ``pulls``. theta is counted in ``places`` of each bin (n_bins,). The
    analytic centre maximises sum log w; its dual is smooth, with w = 1/(rows @ x), and solved by
    damped Newton steps.
    """
    unit = np.array([np.ones_like(places), places, places**2]).T
    scaled = rows * unit[:, np.newaxis]
    target = (terms / terms[0, 0]).transpose(2, 0, 1) * unit[:, np.newaxis]
    wanted = target[:, 0]
    x = np.zeros((len(places), 3))
    x[:, 0] = len(rows)
    for _ in range(_STEPS):
        w = 1.0 / np.einsum("bki,bi->bk", scaled, x)
        gradient = wanted - np.einsum("bk,bki->bi", w, scaled)
        if not np.abs(x).max() < _FAR:  # it runs away where nothing positive exists
            return None
        hessian = np.einsum("bk,bki,bkj->bij", w**2, scaled, scaled)
        step = -np.einsum("bij,bj->bi", np.linalg.pinv(hessian, hermitian=True), gradient)
        decrement = np.sqrt(np.maximum(-(gradient * step).sum(axis=-1), 0.0))
        x = x + step / (1.0 + np.where(decrement < 0.25, 0.0, decrement))[:, np.newaxis]
        if np.abs(gradient).max() < _SOLVED:
            break
    else:
        return None
    nominal = 1.0 / np.einsum("bki,bi->bk", scaled, x)
    metric = nominal[:, :, np.newaxis] ** 2 * scaled
    inverse = np.linalg.pinv(np.einsum("bki,bkj->bij", scaled, metric), hermitian=True)
    moved = np.repeat(nominal[:, np.newaxis], len(terms), axis=1)
    for _ in range(_POLISHED):
        off = target - np.einsum("bvk,bki->bvi", moved, scaled)
        moved += np.einsum("bki,bij,bvj->bvk", metric, inverse, off)
    away = moved - moved[:, :1]
    if (moved[:, :1] + pulls * away <= 0).any():
        return None
    return np.asarray((moved * terms[0, 0][:, np.newaxis, np.newaxis]).transpose(1, 2, 0))


def weights(powers: FloatArray, matrices: Sequence[FloatArray]) -> FloatArray:
    """Turn coefficients of powers (3, ..., n_bins), an axis per parameter, into those of factors.

    A monomial of several parameters becomes a sum over the products of their factors.
    """
    for axis, matrix in enumerate(matrices):
        powers = np.moveaxis(np.tensordot(matrix, powers, axes=(1, axis)), 0, axis)
    return powers


def interference_samples(
    name: str,
    terms: Sequence[ArrayLike],
    poi: str,
    unit: float,
    *,
    modifiers: Sequence[Mapping[str, Any]] = (),
    shapes: Mapping[str, tuple[Sequence[ArrayLike], Sequence[ArrayLike]]] | None = None,
) -> list[Json]:
    """Turn T0 + theta T1 + theta^2 T2 into three samples of plain pyhf.

    Parameters
    ----------
    name : str
        Name of the sample; the two small ones have ``_linear`` and ``_square`` behind it.
    terms : sequence of three array_like
        T0, T1, T2, (n_bins,) each; T0 is positive where another is not zero.
    poi : str
        Name of the parameter alpha = theta / unit, constrained by a standard normal as all
        parameters of normsys: give it bounds in the measurement, and make it the POI.
    unit : float
        Q. 50 to 500 times the largest theta of interest: the rate is right up to a relative
        error of about 2 (theta/Q)^2, and 2NLL gains (theta/Q)^2.
    modifiers : sequence of mapping, optional
        pyhf modifiers that act on the whole rate as a factor (normsys, normfactor, lumi): they
        are put on each sample.
    shapes : mapping, optional
        By name of a histosys, the three terms at +1 and those at -1 standard deviation.

    Returns
    -------
    list of dict
        Samples for ``channels[...]["samples"]``.

    Raises
    ------
    nuhf.errors.InputError
        If shapes of arrays differ, or T0 is not positive where T1 or T2 is not zero.

    Examples
    --------
    >>> samples = interference_samples("signal", ([50.0], [-20.0], [5.0]), "c_e2", 100.0)
    >>> [(s["name"], round(s["data"][0], 3)) for s in samples]
    [('signal', 49.391), ('signal_linear', 0.301), ('signal_square', 0.308)]
    """
    arrays = [_three(name, terms)]
    for up, down in (shapes or {}).values():
        arrays += [_three(name, up), _three(name, down)]
    if len({array.shape for array in arrays}) != 1:
        raise InputError(f"{name}: variations have other bins than the nominal terms")
    factors, matrix = steep_factors(arrays[0], unit)
    parts = [weights(array, [matrix]) for array in arrays]
    found = []
    for i, factor in enumerate(factors):
        own = [] if factor.pair is None else [{"hi": factor.pair[0], "lo": factor.pair[1]}]
        acting = [{"name": poi, "type": "normsys", "data": data} for data in own]
        for k, shape in enumerate(shapes or {}):
            data = {
                "hi_data": parts[1 + 2 * k][i].tolist(),
                "lo_data": parts[2 + 2 * k][i].tolist(),
            }
            acting.append({"name": shape, "type": "histosys", "data": data})
        sample = {"name": name + factor.label, "data": parts[0][i].tolist()}
        found.append({**sample, "modifiers": [*acting, *(dict(m) for m in modifiers)]})
    return found


def _three(name: str, terms: Sequence[ArrayLike]) -> FloatArray:
    rows = [np.asarray(term, dtype=float) for term in terms]
    if len(rows) != 3 or rows[0].ndim != 1 or len({row.shape for row in rows}) != 1:
        raise InputError(
            f"{name}: wanted are the terms T0, T1, T2 with equal bins, given: arrays of the "
            f"shapes {', '.join(str(row.shape) for row in rows)}"
        )
    return np.array(rows)
