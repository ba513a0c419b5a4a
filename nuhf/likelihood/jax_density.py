"""The log likelihood of a compiled model as a pure jax function, for samplers that need one.

jit, grad, hessian and vmap apply to it. It works on one parameter set; the expectation is that of
`nuhf.likelihood.evaluate` on jax.numpy, whose derivatives by hand are faster on a CPU.
"""

from types import ModuleType
from typing import TYPE_CHECKING

import numpy as np

from nuhf.arrays import FloatArray
from nuhf.errors import InputError, ModelError
from nuhf.likelihood.evaluate import (
    CompiledModel,
    expected_counts,
    poisson_twice_nll,
    pulls_twice_nll,
    row_weights,
)

if TYPE_CHECKING:
    from jax import Array


def import_jax() -> ModuleType:
    """Return jax (`ModelError` if it is not installed)."""
    try:
        import jax
    except ImportError as error:
        raise ModelError("jax is not installed: pip install 'nuhf[jax]'") from error
    module: ModuleType = jax
    return module


def log_likelihood(
    jax: ModuleType, compiled: CompiledModel, data: FloatArray, theta: "Array"
) -> "Array":
    """-1/2 ``CompiledModel.twice_nll`` of one data set at one parameter set [P], a scalar.

    `InputError` if jax computes in single precision.
    """
    if theta.dtype != np.float64:
        raise InputError(
            f"the log density needs double precision, parameters are {theta.dtype}: call "
            "jax.config.update('jax_enable_x64', True) first"
        )
    jnp, c, tables = jax.numpy, compiled.constraints, compiled.tables
    counts, aux = np.split(data, [compiled.n_main])
    rows = row_weights(tables, theta[:, None], jnp)
    main = expected_counts(tables, theta[None], rows, jnp)[0]
    total = pulls_twice_nll(c, theta, aux)
    for n, lam in (
        (counts, main),
        (aux[c.poisson_aux], theta[c.poisson_param] * c.poisson_factor),
    ):
        # 0, with the slope that `CompiledModel.gradient` has there
        zero = 2.0 * (lam - jax.lax.stop_gradient(lam))
        total = total + poisson_twice_nll(n, lam, jnp, zero)
    return -0.5 * total
