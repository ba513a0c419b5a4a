"""The log likelihood of a compiled model as a pure jax function, for samplers that need one.

jit, grad, hessian and vmap apply to it. It works on one parameter set; the numpy functions of
`CompiledModel` are the reference, and faster on a CPU.
"""

from itertools import pairwise
from types import ModuleType
from typing import TYPE_CHECKING

import numpy as np

from nuhf.errors import InputError, ModelError
from nuhf.likelihood.evaluate import ROUNDING, CompiledModel
from nuhf.likelihood.tables import FloatArray, Gamma, IntArray, Tables

if TYPE_CHECKING:
    from jax import Array

__all__ = ["expected", "import_jax", "log_likelihood"]


def import_jax() -> ModuleType:
    """Return jax (`ModelError` if it is not installed)."""
    try:
        import jax
    except ImportError as error:
        raise ModelError("jax is not installed: pip install 'nuhf[jax]'") from error
    module: ModuleType = jax
    return module


# Both branches of each where are finite where the other is taken: a NaN there would spread to
# the gradient as 0 * NaN.


def _products(values: "Array", members: IntArray) -> "Array":
    """Product of ``values`` over each row of the index lists ``members``."""
    out = values[members[:, 0]]
    for column in members.T[1:]:
        out = out * values[column]
    return out


def _cells(jnp: ModuleType, tables: Tables, theta: "Array") -> "Array":
    """Monomial times normsys factors of every cell, [cells]."""
    one = jnp.ones(1, dtype=theta.dtype)
    powers = [one[0]]
    for param, previous in zip(tables.power_param, tables.power_prev, strict=True):
        # multiplied out: the derivative of power() at theta = 0 is NaN
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
    scaled: Array = mono * _products(factors, tables.scale_members[tables.left_scale[:n_cells]])
    return scaled


def _shapes(jnp: ModuleType, tables: Tables, theta: "Array") -> "Array":
    """1, alpha and the even part of every histosys (code4p), [1 + 2n]."""
    alpha = theta[tables.shape_param]
    beyond = jnp.abs(alpha) > 1.0
    a2 = jnp.square(jnp.where(beyond, 0.0, alpha))
    even = jnp.where(beyond, jnp.abs(alpha), a2 * ((3 * a2 - 10) * a2 + 15) / 8)
    shapes: Array = jnp.concatenate([jnp.ones(1, dtype=theta.dtype), alpha, even])
    return shapes


def _multiplier(gamma: Gamma, n_bins: int, n_params: int) -> IntArray:
    """Parameter that multiplies each bin; ``n_params``, one past the last, if there is none."""
    index = np.full(n_bins, n_params, dtype=np.intp)
    index[gamma.bins] = gamma.params
    return index


def expected(jnp: ModuleType, compiled: CompiledModel, theta: "Array") -> "Array":
    """Expected counts [n_main] at one parameter set [P]."""
    tables, n_bins = compiled.tables, compiled.n_main
    rows = _cells(jnp, tables, theta)[tables.row_cell]
    rows = rows * _shapes(jnp, tables, theta)[tables.row_shape]
    extended = jnp.concatenate([theta, jnp.ones(1, dtype=theta.dtype)])
    out: Array = jnp.zeros(n_bins, dtype=theta.dtype)
    for (lo, hi), gammas in zip(pairwise(tables.group_start), tables.gammas, strict=True):
        part = rows[lo:hi] @ tables.matrix[lo:hi]
        for gamma in gammas:
            part = part * extended[_multiplier(gamma, n_bins, len(compiled.names))]
        out = out + part
    return out


def _poisson(jax: ModuleType, n: FloatArray, lam: "Array") -> "Array":
    """Log of the Poisson density summed over bins, as `poisson_twice_nll` has it."""
    jnp = jax.numpy
    good = lam > 0
    term = n * jnp.log(jnp.where(good, lam, 1.0)) - lam - jax.scipy.special.gammaln(n + 1.0)
    zero = jax.lax.stop_gradient(lam) - lam  # with the slope of `CompiledModel.gradient`
    empty = jnp.where((n == 0) & (lam >= -ROUNDING), zero, -jnp.inf)
    total: Array = jnp.where(good, term, empty).sum()
    return total


def log_likelihood(
    jax: ModuleType, compiled: CompiledModel, data: FloatArray, theta: "Array"
) -> "Array":
    """-1/2 ``CompiledModel.twice_nll`` of one data set at one parameter set [P], a scalar.

    Raises
    ------
    InputError
        If jax computes in single precision.
    """
    if theta.dtype != np.float64:
        raise InputError(
            f"the log density needs double precision, parameters are {theta.dtype}: call "
            "jax.config.update('jax_enable_x64', True) first"
        )
    c, aux = compiled.constraints, data[compiled.n_main :]
    pull = (theta[c.normal_param] - aux[c.normal_aux]) / c.normal_sigma
    constant = np.log(c.normal_sigma).sum() + 0.5 * len(c.normal_param) * np.log(2 * np.pi)
    rate = theta[c.poisson_param] * c.poisson_factor
    main = _poisson(jax, data[: compiled.n_main], expected(jax.numpy, compiled, theta))
    out: Array = main - 0.5 * (pull * pull).sum() - constant
    return out + _poisson(jax, aux[c.poisson_aux], rate)
