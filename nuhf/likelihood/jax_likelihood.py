"""The functions of a compiled model on jax: compiled to machine code, derivatives automatic.

numpy is the default and the reference; ``jax_functions`` is for who has installed jax. The
functions take and return numpy arrays. They compute in float64, for the length of the call only,
so the user's jax keeps the precision it is set to.
"""

import importlib
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from nuhf.errors import InputError, ModelError
from nuhf.likelihood.evaluate import ROUNDING, CompiledModel
from nuhf.likelihood.tables import FloatArray, Gamma, IntArray, Tables

__all__ = ["JaxFunctions", "jax_functions"]


@dataclass(frozen=True)
class JaxFunctions:
    """Functions of parameters ``[..., P]`` and data ``[..., n_main + n_aux]``, on jax.

    Leading axes of parameters and data are broadcast. The first call with a new shape compiles,
    which takes seconds; keep the batch size fixed.

    Attributes
    ----------
    expected : callable
        ``expected(theta)``: expected counts ``[..., n_main]``.
    twice_nll : callable
        ``twice_nll(theta, data)``: -2 log likelihood ``[...]``, as ``CompiledModel.twice_nll``.
    gradient : callable
        ``gradient(theta, data)``: its derivatives ``[..., P]``; NaN where it is not finite.
    hessian : callable
        ``hessian(theta, data)``: its second derivatives ``[..., P, P]``, likewise.
    """

    expected: Callable[[ArrayLike], FloatArray]
    twice_nll: Callable[[ArrayLike, ArrayLike], FloatArray]
    gradient: Callable[[ArrayLike, ArrayLike], FloatArray]
    hessian: Callable[[ArrayLike, ArrayLike], FloatArray]


def _import_jax() -> Any:
    try:
        import jax
    except ImportError as error:
        raise ModelError(
            "jax is not installed; install it with pip install 'nuhf[jax]', or use the numpy "
            "functions of CompiledModel, which give the same numbers"
        ) from error
    return jax


def _float64(jax: Any) -> AbstractContextManager[None]:
    """Context in which jax computes in float64; the global setting is untouched."""
    if hasattr(jax, "enable_x64"):
        context = jax.enable_x64(True)
    else:  # where older versions of jax have it
        context = importlib.import_module("jax.experimental").enable_x64(True)
    out: AbstractContextManager[None] = context
    return out


# The next functions work on one parameter set theta [P]. Both branches of each where are
# finite where the other is taken: a NaN there would spread to the gradient as 0 * NaN.


def _cell_values(jnp: Any, tables: Tables, theta: Any) -> Any:
    """Values [cells] of monomial times normsys factors."""
    one = jnp.ones(1)
    # Multiplied out: the derivative of power() at theta = 0 is NaN.
    powers = [one[0]]
    for param, previous in zip(tables.power_param, tables.power_prev, strict=True):
        powers.append(powers[previous] * theta[param])
    n_cells = len(tables.cell_start)
    mono = _products(jnp.stack(powers), tables.mono_powers[tables.left_mono[:n_cells]])
    alpha = theta[tables.norm_param]
    outside = jnp.abs(alpha) > 1.0
    inside = jnp.where(outside, 0.0, alpha)
    polynomial = tables.norm_poly[:, 6] + 0.0 * inside
    for power in range(5, -1, -1):
        polynomial = polynomial * inside + tables.norm_poly[:, power]
    base = jnp.where(alpha > 0, tables.norm_logs[:, 0], -tables.norm_logs[:, 1])
    exponential = jnp.exp(jnp.where(outside, alpha, 0.0) * base)
    factors = jnp.concatenate([one, jnp.where(outside, exponential, polynomial)])
    return mono * _products(factors, tables.scale_members[tables.left_scale[:n_cells]])


def _products(values: Any, members: IntArray) -> Any:
    """Product of ``values`` over each row of index list ``members``."""
    out = values[members[:, 0]]
    for column in members.T[1:]:
        out = out * values[column]
    return out


def _shapes(jnp: Any, tables: Tables, theta: Any) -> Any:
    """1, alpha and even part p(alpha) [1 + 2n] of the histosys, code4p."""
    alpha = theta[tables.shape_param]
    beyond = jnp.abs(alpha) > 1.0
    a2 = jnp.square(jnp.where(beyond, 0.0, alpha))
    even = jnp.where(beyond, jnp.abs(alpha), a2 * ((3 * a2 - 10) * a2 + 15) / 8)
    return jnp.concatenate([jnp.ones(1), alpha, even])


def _gamma_index(gamma: Gamma, n_bins: int, n_params: int) -> IntArray:
    """Parameter that multiplies each bin; ``n_params``, one past the last, if there is none."""
    index = np.full(n_bins, n_params, dtype=np.intp)
    index[gamma.bins] = gamma.params
    return index


def _expected(jnp: Any, tables: Tables, theta: Any) -> Any:
    """Expected counts [bins]."""
    n_bins = tables.matrix.shape[1]
    cells = _cell_values(jnp, tables, theta)
    rows = cells[tables.row_cell] * _shapes(jnp, tables, theta)[tables.row_shape]
    extended = jnp.concatenate([theta, jnp.ones(1)])
    out = jnp.zeros(n_bins)
    for (lo, hi), gammas in zip(pairwise(tables.group_start), tables.gammas, strict=True):
        part = rows[lo:hi] @ tables.matrix[lo:hi]
        for gamma in gammas:
            part = part * extended[_gamma_index(gamma, n_bins, len(theta))]
        out = out + part
    return out


def _poisson(jax: Any, n: Any, lam: Any) -> Any:
    """``poisson_twice_nll`` of one data set: +inf where it is impossible."""
    jnp = jax.numpy
    good = lam > 0
    log = jnp.log(jnp.where(good, lam, 1.0))
    term = 2.0 * (lam - n * log + jax.scipy.special.gammaln(n + 1.0))
    empty = jnp.where((n == 0) & (lam >= -ROUNDING), 0.0 * lam, jnp.inf)
    return jnp.where(good, term, empty).sum()


def _twice_nll(jax: Any, compiled: CompiledModel, theta: Any, data: Any) -> Any:
    c, aux = compiled.constraints, data[compiled.n_main :]
    lam = _expected(jax.numpy, compiled.tables, theta)
    pull = (theta[c.normal_param] - aux[c.normal_aux]) / c.normal_sigma
    constant = 2 * np.log(c.normal_sigma).sum() + len(c.normal_param) * np.log(2 * np.pi)
    rate = theta[c.poisson_param] * c.poisson_factor
    main = _poisson(jax, data[: compiled.n_main], lam)
    return main + (pull * pull).sum() + constant + _poisson(jax, aux[c.poisson_aux], rate)


def jax_functions(compiled: CompiledModel) -> JaxFunctions:
    """Functions of a compiled model on jax.

    Parameters
    ----------
    compiled : CompiledModel
        The model.

    Returns
    -------
    JaxFunctions
        Expected counts, -2 log likelihood and its first two derivatives.

    Raises
    ------
    ModelError
        If jax is not installed.
    """
    jax = _import_jax()

    def expected_one(theta: Any) -> Any:
        return _expected(jax.numpy, compiled.tables, theta)

    def value_one(theta: Any, data: Any) -> Any:
        return _twice_nll(jax, compiled, theta, data)

    def where_finite(derivative: Any) -> Any:
        def one(theta: Any, data: Any) -> Any:
            finite = jax.numpy.isfinite(value_one(theta, data))
            return jax.numpy.where(finite, derivative(theta, data), jax.numpy.nan)

        return one

    batched = jax.jit(jax.vmap(expected_one))

    def expected(theta: ArrayLike) -> FloatArray:
        array = _parameters(compiled, theta)
        with _float64(jax):
            out = np.asarray(batched(array.reshape(-1, array.shape[-1])))
        return out.reshape((*array.shape[:-1], compiled.n_main))

    def of_data(one: Any) -> Callable[[ArrayLike, ArrayLike], FloatArray]:
        common = jax.jit(jax.vmap(one, in_axes=(0, None)))
        paired = jax.jit(jax.vmap(one))

        def function(theta: ArrayLike, data: ArrayLike) -> FloatArray:
            array, counts = _parameters(compiled, theta), compiled.check_data(data)
            lead = _common_shape(array, counts)
            array = np.broadcast_to(array, (*lead, array.shape[-1])).reshape(-1, array.shape[-1])
            if counts.ndim > 1:
                size = counts.shape[-1]
                counts = np.broadcast_to(counts, (*lead, size)).reshape(-1, size)
            with _float64(jax):
                out = np.asarray((paired if counts.ndim > 1 else common)(array, counts))
            return out.reshape((*lead, *out.shape[1:]))

        return function

    return JaxFunctions(
        expected=expected,
        twice_nll=of_data(value_one),
        gradient=of_data(where_finite(jax.grad(value_one))),
        hessian=of_data(where_finite(jax.hessian(value_one))),
    )


def _parameters(compiled: CompiledModel, theta: ArrayLike) -> FloatArray:
    array, size = np.asarray(theta, dtype=np.float64), len(compiled.names)
    if array.ndim == 0 or array.shape[-1] != size:
        raise InputError(f"parameters have shape {array.shape}; the last axis must be {size}")
    return array


def _common_shape(theta: FloatArray, data: FloatArray) -> tuple[int, ...]:
    try:
        return np.broadcast_shapes(theta.shape[:-1], data.shape[:-1])
    except ValueError:
        raise InputError(
            f"parameters {theta.shape} and data {data.shape} differ in their leading axes"
        ) from None
