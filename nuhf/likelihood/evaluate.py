"""A pyhf model compiled to array algebra, for many parameter sets at once.

Every modifier nuhf builds acts on a whole sample, on a fixed shape, or on single bins. So the
expected counts are ``lambda(theta) = sum_g gamma_g(theta) * (w_g(theta) @ M_g)``: the rows of
the fixed matrix M are nominal yields and histosys shapes, the weights w are monomials of
couplings times normsys factors, and the groups g hold the samples with the same per-bin factors
(staterror, shapesys, shapefactor); mostly there is one group without any.

Weights are built with the parameter sets on the *last* axis (gathers then copy contiguous
blocks); expected counts and everything after have them on the first. pyhf stays the reference:
expected counts agree to 1e-10, 2NLL to 1e-8, by test. Fits are in `nuhf.likelihood.fit`.
"""

from collections.abc import Collection
from dataclasses import dataclass
from itertools import pairwise
from types import ModuleType
from typing import TYPE_CHECKING, Final

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import gammaln, xlogy

from nuhf.arrays import FloatArray
from nuhf.errors import InputError
from nuhf.likelihood.layout import Layout, layout_of
from nuhf.likelihood.tables import (
    Array,
    BinFactors,
    BoolArray,
    Constraints,
    IntArray,
    Tables,
    build_tables,
)

if TYPE_CHECKING:
    import pyhf

ROUNDING: Final = 1e-5
"""Events below zero that are rounding: sums of monomials cancel, and fits end on the boundary."""


@dataclass(frozen=True)
class Weights:
    """Tables evaluated at B parameter sets: ``left`` and ``shape`` [n, B], ``rows`` [R, B]."""

    left: FloatArray
    shape: FloatArray
    rows: FloatArray


# The functions with ``xp`` are the expectation on numpy and, for autodifferentiation, on
# jax.numpy. Augmented assignments work in place on numpy only. Both branches of each ``where``
# are finite where the other is taken: a NaN there would spread to the gradient as 0 * NaN.


def _products(values: Array, members: IntArray) -> Array:
    """Products [m, B] of the rows of ``values`` [n, B] that each row of ``members`` lists."""
    out = values[members[:, 0]]
    for column in members.T[1:]:
        out *= values[column]
    return out


def _monomials(tables: Tables, theta: Array, xp: ModuleType) -> Array:
    """Monomials of couplings and strengths [m, B]; powers multiplied out, so smooth at zero."""
    powers = [xp.ones(theta.shape[1])]
    for param, previous in zip(tables.power_param, tables.power_prev, strict=True):
        powers.append(powers[previous] * theta[param])
    stacked: Array = xp.asarray(powers)
    return _products(stacked, tables.mono_powers)


def _normsys(tables: Tables, theta: Array, xp: ModuleType) -> tuple[Array, Array, Array]:
    """Code4 factors [1 + n, B] with row 0 of ones, alpha, and alpha where within +-1, else 0."""
    alpha: Array = theta[tables.norm_param]
    outside = xp.abs(alpha) > 1.0
    inside: Array = xp.where(outside, 0.0, alpha)
    factors = tables.norm_poly[:, 6:] * inside
    for power in range(5, 0, -1):
        factors += tables.norm_poly[:, power, None]
        factors *= inside
    factors += tables.norm_poly[:, :1]
    if xp is not np or outside.any():  # what is traced has no truth value
        base = xp.where(alpha > 0, tables.norm_logs[:, :1], -tables.norm_logs[:, 1:])
        factors = xp.where(outside, xp.exp(alpha * base), factors)
    return xp.concatenate([xp.ones((1, theta.shape[1])), factors]), alpha, inside


def _normsys_ratios(
    tables: Tables, factors: FloatArray, alpha: FloatArray, inside: FloatArray
) -> FloatArray:
    """Rows 1, f'/f, f''/f [1 + 2n, B] of code4 factors f, from what `_normsys` returns."""
    n = len(alpha)
    out = np.ones((1 + 2 * n, alpha.shape[1]))
    twice = np.concatenate([inside, inside])
    slopes = np.multiply(tables.norm_slopes[:, 5:], twice, out=out[1:])
    for power in range(4, 0, -1):
        slopes += tables.norm_slopes[:, power, None]
        slopes *= twice
    slopes += tables.norm_slopes[:, :1]
    slopes[:n] /= factors[1:]
    slopes[n:] /= factors[1:]
    outside = alpha != inside
    if outside.any():
        base = np.where(alpha > 0, tables.norm_logs[:, :1], -tables.norm_logs[:, 1:])
        slopes[:n][outside] = base[outside]
        slopes[n:][outside] = np.square(base)[outside]
    return out


def _histosys(tables: Tables, theta: Array, xp: ModuleType) -> Array:
    """Rows 1, alpha, p [1 + 2n, B] of code4p: p is even, |alpha| beyond 1."""
    one: Array = xp.ones((1, theta.shape[1]))
    if not len(tables.shape_param):
        return one
    alpha = theta[tables.shape_param]
    a2 = alpha * alpha
    even = xp.where(a2 > 1.0, xp.abs(alpha), a2 * ((3 * a2 - 10) * a2 + 15) / 8)
    out: Array = xp.concatenate([one, alpha, even])
    return out


def _with_slopes(shape: FloatArray) -> FloatArray:
    """Rows 1, alpha, p, p', p'' [1 + 4n, B] of code4p from the first three."""
    n = len(shape) // 2
    if not n:
        return shape
    alpha = shape[1 : 1 + n]
    a2 = np.square(alpha)
    beyond = a2 > 1.0
    slope = np.where(beyond, np.sign(alpha), alpha * ((9 * a2 - 20) * a2 + 15) / 4)
    return np.concatenate([shape, slope, np.where(beyond, 0.0, ((45 * a2 - 60) * a2 + 15) / 4)])


def row_weights(tables: Tables, theta: Array, xp: ModuleType = np) -> Array:
    """Weights [R, B] of the rows of the matrix at ``theta`` [P, B]."""
    n_cells = len(tables.cell_start)
    mono, norms = _monomials(tables, theta, xp), _normsys(tables, theta, xp)[0]
    scale = _products(norms, tables.scale_members)
    cells = mono[tables.left_mono[:n_cells]] * scale[tables.left_scale[:n_cells]]
    return cells[tables.row_cell] * _histosys(tables, theta, xp)[tables.row_shape]


def weights(tables: Tables, theta: FloatArray) -> Weights:
    """Evaluate the tables and their derivatives at ``theta`` [P, B]."""
    norms = _normsys(tables, theta, np)
    scale = _products(norms[0], tables.scale_members)
    left = _monomials(tables, theta, np)[tables.left_mono]
    left *= scale[tables.left_scale]
    logs, n_cells = _normsys_ratios(tables, *norms), len(tables.cell_start)
    tail = left[n_cells:]
    tail *= tables.left_factor[n_cells:, None]
    for column in tables.left_logs[n_cells:].T:
        tail *= logs[column]
    shape = _histosys(tables, theta, np)
    rows = left[tables.row_cell] * shape[tables.row_shape]
    return Weights(left, _with_slopes(shape), rows)


def gamma_product(
    gammas: tuple[BinFactors, ...],
    theta: Array,
    skip: tuple[BinFactors, ...] = (),
    xp: ModuleType = np,
) -> Array:
    """Product [B, bins] of the per-bin factors at ``theta`` [B, P], without those in ``skip``."""
    factors: Array = xp.concatenate([theta, xp.ones((len(theta), 1))], axis=1)
    out = factors[:, -1:]
    for gamma in gammas:
        if not any(gamma is other for other in skip):
            out = out * factors[:, gamma.of_bin]
    return out


def group_sums(tables: Tables, rows: Array) -> list[Array]:
    """Counts [B, bins] of each group before its per-bin factors."""
    edges = tables.group_start
    return [rows[lo:hi].T @ tables.matrix[lo:hi] for lo, hi in pairwise(edges)]


def expected_counts(tables: Tables, theta: Array, rows: Array, xp: ModuleType = np) -> Array:
    """Expected counts [B, bins] from row weights, at ``theta`` [B, P]."""
    parts = [
        part * gamma_product(gammas, theta, xp=xp) if gammas else part
        for part, gammas in zip(group_sums(tables, rows), tables.gammas, strict=True)
    ]
    total = parts[0]
    for part in parts[1:]:
        total += part
    return total


def jacobian_rows(
    tables: Tables, theta: FloatArray, at: Weights, free: IntArray
) -> tuple[FloatArray, list[FloatArray]]:
    """Jacobian [B, F, bins] by the parameters ``free``, and its parts before per-bin factors.

    The parts, one [B, F, bins] per group, serve the mixed second derivatives; the list is empty
    if no group has per-bin factors.
    """
    batch, n_bins = theta.shape[0], tables.matrix.shape[1]
    plain = not any(tables.gammas)
    out = np.zeros((batch, len(free), n_bins))
    parts = [] if plain else [np.zeros_like(out) for _ in tables.gammas]
    for i, p in enumerate(free):
        s = tables.slopes[p]
        if not len(s.rows):
            continue
        d = at.left[s.left_index] * at.shape[s.shape_index]
        for g, template in enumerate(s.templates):
            target = out if plain else parts[g]
            np.matmul(d[s.bounds[g] : s.bounds[g + 1]].T, template, out=target[:, i])
    if plain:
        return out, parts
    position = {int(p): i for i, p in enumerate(free)}
    for part, base, gammas in zip(parts, group_sums(tables, at.rows), tables.gammas, strict=True):
        out += part * gamma_product(gammas, theta)[:, None] if gammas else part
        for gamma in gammas:
            rest = gamma_product(gammas, theta, (gamma,)) * base
            for p, b in zip(gamma.params, gamma.bins, strict=True):
                if int(p) in position:
                    out[:, position[int(p)], b] += rest[:, b]
    return out, parts


def poisson_twice_nll(
    n: FloatArray, lam: Array, xp: ModuleType = np, zero: Array | float = 0.0
) -> Array:
    """-2 log of the Poisson density, continued to non-integer n, summed over the last axis.

    +inf where lambda is NaN, below zero, or zero with n > 0: the model is impossible there. pyhf
    goes on below zero in an empty bin, and rewards it; `ROUNDING` below zero counts as ``zero``.
    """
    good = lam > 0
    log = xp.log(xp.where(good, lam, 1.0))
    term = 2.0 * (lam - n * log + gammaln(n + 1.0))
    empty = xp.where((n == 0) & (lam >= -ROUNDING), zero, xp.inf)
    total: Array = xp.where(good, term, empty).sum(axis=-1)
    return total


def pulls_twice_nll(c: Constraints, theta: Array, aux: FloatArray) -> Array:
    """-2 log of the normal constraints [...] at ``theta`` [..., P]."""
    pull = (theta[..., c.normal_param] - aux[..., c.normal_aux]) / c.normal_sigma
    constant = 2 * np.log(c.normal_sigma).sum() + len(c.normal_param) * np.log(2 * np.pi)
    total: Array = (pull * pull).sum(axis=-1) + constant
    return total


@dataclass(frozen=True)
class CompiledModel:
    """A pyhf model as array functions of parameters ``[..., P]`` in pyhf's order.

    Names are those of ``model.config.par_names``, binned ones with their index; starting values
    (P,), bounds (P, 2), and whether they are held (P,) those that the model suggests. ``n_main``
    and ``n_aux`` are the numbers of bins and of auxiliary data.
    """

    names: tuple[str, ...]
    inits: FloatArray
    bounds: FloatArray
    fixed: BoolArray
    n_main: int
    n_aux: int
    tables: Tables
    constraints: Constraints

    def index(self, name: str) -> int:
        """Position of a parameter; InputError if the model has no such parameter."""
        if name not in self.names:
            raise InputError(f"no parameter '{name}' in this model; it has {list(self.names)}")
        return self.names.index(name)

    def _flat(self, theta: ArrayLike) -> tuple[FloatArray, tuple[int, ...]]:
        array = np.asarray(theta, dtype=np.float64)
        if array.ndim == 0 or array.shape[-1] != len(self.names):
            raise InputError(
                f"parameters have shape {array.shape}; the last axis must be {len(self.names)}"
            )
        return array.reshape(-1, len(self.names)), array.shape[:-1]

    def check_data(self, data: ArrayLike) -> FloatArray:
        """Return ``data`` as floats; InputError unless [..., n_main + n_aux], counts >= 0."""
        array = np.asarray(data, dtype=np.float64)
        size = self.n_main + self.n_aux
        if array.ndim == 0 or array.shape[-1] != size:
            raise InputError(
                f"data have shape {array.shape}; the last axis must be {size} "
                f"({self.n_main} bins and {self.n_aux} auxiliary data)"
            )
        if not (np.isfinite(array).all() and (array[..., : self.n_main] >= 0).all()):
            raise InputError("data must be finite, and counts at least 0")
        return array

    def expected(self, theta: ArrayLike) -> FloatArray:
        """Expected counts ``[..., n_main]`` at ``theta`` ``[..., P]``."""
        flat, lead = self._flat(theta)
        rows = row_weights(self.tables, np.ascontiguousarray(flat.T))
        return expected_counts(self.tables, flat, rows).reshape(*lead, self.n_main)

    def expected_full(self, theta: ArrayLike) -> FloatArray:
        """Expected counts and auxiliary data ``[..., n_main + n_aux]``."""
        flat, lead = self._flat(theta)
        c = self.constraints
        aux = np.zeros((len(flat), self.n_aux))
        aux[:, c.normal_aux] = flat[:, c.normal_param]
        aux[:, c.poisson_aux] = flat[:, c.poisson_param] * c.poisson_factor
        return np.concatenate([self.expected(flat), aux], axis=1).reshape(*lead, -1)

    def twice_nll(self, theta: ArrayLike, data: ArrayLike) -> FloatArray:
        """-2 log likelihood ``[...]``, all constants included, as ``-2 * model.logpdf``.

        At ``theta`` ``[..., P]`` of ``data`` ``[..., n_main + n_aux]``, broadcast against it. +inf
        where an expectation is NaN, not positive with counts above zero, or below zero in an empty
        bin, where pyhf's likelihood rewards it.
        """
        data = self.check_data(data)
        aux, c = data[..., self.n_main :], self.constraints
        array = np.asarray(theta, dtype=np.float64)
        main = poisson_twice_nll(data[..., : self.n_main], self.expected(array))
        rate = array[..., c.poisson_param] * c.poisson_factor
        poisson = poisson_twice_nll(aux[..., c.poisson_aux], rate)
        return np.asarray(main + pulls_twice_nll(c, array, aux) + poisson)

    def saturated_twice_nll(self, data: ArrayLike) -> FloatArray:
        """-2 log likelihood ``[...]`` of a model that expects exactly ``data``.

        ``twice_nll - saturated_twice_nll`` is the deviance: 0 for a perfect description.
        """
        data = self.check_data(data)
        aux, c = data[..., self.n_main :], self.constraints
        counts = np.concatenate([data[..., : self.n_main], aux[..., c.poisson_aux]], axis=-1)
        poisson = 2.0 * (gammaln(counts + 1.0) + counts - xlogy(counts, counts)).sum(axis=-1)
        normal = 2 * np.log(c.normal_sigma).sum() + len(c.normal_param) * np.log(2 * np.pi)
        return np.asarray(poisson + normal)

    def jacobian(self, theta: ArrayLike) -> FloatArray:
        """Derivatives ``[..., P, n_main]`` of the expected counts."""
        flat, lead = self._flat(theta)
        at = weights(self.tables, np.ascontiguousarray(flat.T))
        out, _ = jacobian_rows(self.tables, flat, at, np.arange(len(self.names)))
        return out.reshape(*lead, len(self.names), self.n_main)

    def gradient(self, theta: ArrayLike, data: ArrayLike) -> FloatArray:
        """Derivatives ``[..., P]`` of :meth:`twice_nll` (NaN where that is not finite)."""
        data = self.check_data(data)
        array = np.asarray(theta, dtype=np.float64)
        aux, c, n = data[..., self.n_main :], self.constraints, data[..., : self.n_main]
        with np.errstate(divide="ignore", invalid="ignore"):
            lam = self.expected(array)
            pull = np.where(lam > 0, 1 - n / lam, np.nan)
            pull = np.where((n == 0) & (lam >= -ROUNDING), 1.0, pull)
            poisson = c.poisson_factor - aux[..., c.poisson_aux] / array[..., c.poisson_param]
        out = 2 * np.einsum("...pb,...b->...p", self.jacobian(array), pull)
        residual = array[..., c.normal_param] - aux[..., c.normal_aux]
        out[..., c.normal_param] += 2 * residual / c.normal_sigma**2
        out[..., c.poisson_param] += 2 * poisson
        return np.asarray(out)

    def fisher(self, theta: ArrayLike) -> FloatArray:
        """Expected information ``[..., P, P]`` of the log likelihood (half the one of 2NLL).

        Bins without expected counts do not contribute.
        """
        flat, lead = self._flat(theta)
        lam, jacobian, c = self.expected(flat), self.jacobian(flat), self.constraints
        scaled = jacobian / np.sqrt(np.where(lam > 0, lam, np.inf))[:, None]
        out = scaled @ scaled.swapaxes(1, 2)
        out[:, c.normal_param, c.normal_param] += c.normal_sigma**-2
        out[:, c.poisson_param, c.poisson_param] += c.poisson_factor / flat[:, c.poisson_param]
        return np.asarray(out.reshape(*lead, *out.shape[1:]))


def compile_model(model: "pyhf.pdf.Model") -> CompiledModel:
    """Compile a pyhf model (`ModelError` as `layout_of` and `compile_layout`).

    Known are pyhf's seven modifier types, normsys by code4 and histosys by code4p, and
    powerfactor.
    """
    return compile_layout(layout_of(model))


def compile_layout(
    layout: Layout, samples: Collection[tuple[str, str]] | None = None
) -> CompiledModel:
    """Compile a model from its layout, or what some samples, (channel, name), expect.

    The parameters stay the same. `ModelError` if a normsys factor is not positive, or no sample has
    events; chosen ones may have none.
    """
    tables, constraints = build_tables(layout, samples)
    return CompiledModel(
        names=layout.names,
        inits=np.array([x for one in layout.sets for x in one.inits], dtype=np.float64),
        bounds=np.array([b for one in layout.sets for b in one.bounds], float).reshape(-1, 2),
        fixed=np.array([x for one in layout.sets for x in one.fixed], dtype=bool),
        n_main=layout.n_main,
        n_aux=layout.auxdata.size,
        tables=tables,
        constraints=constraints,
    )
