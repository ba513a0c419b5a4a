"""The posterior log density of a model as a function, for any sampler: numpy and jax.

The likelihood has the auxiliary data of the nuisances in it, which are what a Bayesian calls
their priors. Couplings have the priors of `nuhf.stats.priors`; a factor that only the data
constrain is flat within its bounds. Outside the bounds of any parameter the density is zero.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import gammainc, gammaincinv, ndtr, ndtri

from nuhf.arrays import FloatArray
from nuhf.errors import InputError
from nuhf.likelihood.evaluate import CompiledModel, poisson_twice_nll
from nuhf.likelihood.jax_density import import_jax, log_likelihood
from nuhf.stats.priors import CouplingAxis, Prior, priors_of
from nuhf.stats.problem import Problem

if TYPE_CHECKING:
    from jax import Array

BoolArray = NDArray[np.bool_]


@dataclass(frozen=True)
class LogDensity:
    """Posterior log density, not normalised, of the free parameters of a model with its data.

    Attributes
    ----------
    title : str
        Experiments and analysis, or the file.
    compiled : CompiledModel
        The likelihood.
    data : ndarray
        Counts and auxiliary data.
    free : ndarray of bool
        Which of the P parameters of the model float.
    axes : tuple of CouplingAxis
        The couplings among them.
    priors : tuple of Prior
        One for each coupling.
    regions : mapping
        Bins of every region, in the order of the counts.
    notes : tuple of str
        Caveats of the experiments.
    record : mapping
        Versions, digests and options.
    """

    title: str
    compiled: CompiledModel
    data: FloatArray
    free: BoolArray
    axes: tuple[CouplingAxis, ...]
    priors: tuple[Prior, ...]
    regions: Mapping[str, int]
    notes: tuple[str, ...]
    record: Mapping[str, object] = field(repr=False)

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the N free parameters; a coupling's has its unit in it: ``qnu_ee_em8``."""
        return tuple(self.compiled.names[i] for i in np.flatnonzero(self.free))

    @property
    def bounds(self) -> FloatArray:
        """Lower and upper bounds (N, 2)."""
        return self.compiled.bounds[self.free]

    @property
    def initial(self) -> FloatArray:
        """Where to start (N,): nominal nuisances, couplings at the SM.

        A coupling at a bound starts a little inside, where every sampler can begin.
        """
        start = self.compiled.inits[self.free]
        low, high = self.bounds.T
        return np.clip(start, low + 1e-3 * (high - low), high - 1e-3 * (high - low))

    def columns(self) -> list[int]:
        """Return the positions of the couplings among the free parameters."""
        place = np.cumsum(self.free) - 1
        return [int(place[axis.index]) for axis in self.axes]

    def _whole(self, theta: ArrayLike) -> tuple[FloatArray, BoolArray]:
        """All parameters [..., P] of free ones [..., N], and which are within their bounds."""
        array, low, high = np.asarray(theta, dtype=float), *self.bounds.T
        if array.ndim == 0 or array.shape[-1] != low.size:
            raise InputError(
                f"parameters have shape {array.shape}; the last axis must be {low.size}: "
                f"{', '.join(self.names)}"
            )
        inside = ((array >= low) & (array <= high)).all(axis=-1)
        whole = np.broadcast_to(self.compiled.inits, (*array.shape[:-1], self.free.size)).copy()
        whole[..., self.free] = np.where(inside[..., np.newaxis], array, self.initial)
        return whole, inside

    def log_prior(self, theta: ArrayLike) -> FloatArray:
        """Log prior density [...] of the couplings at ``theta`` [..., N]."""
        whole, inside = self._whole(theta)
        total = np.zeros(inside.shape)
        for axis, prior in zip(self.axes, self.priors, strict=True):
            total = total + prior.log(axis, whole[..., axis.index], np)
        return np.where(inside, total, -np.inf)

    def logpdf(self, theta: ArrayLike) -> FloatArray:
        """Log likelihood plus log prior of the couplings.

        Parameters
        ----------
        theta : array_like, shape (..., N)
            Free parameters in the order of ``names``.

        Returns
        -------
        ndarray, shape (...)
            -inf outside the bounds, and where the likelihood is zero.

        Raises
        ------
        InputError
            If the last axis is not N.
        """
        whole, inside = self._whole(theta)
        value = self.log_prior(theta) - 0.5 * self.compiled.twice_nll(whole, self.data)
        return np.where(inside & np.isfinite(value), value, -np.inf)

    def logpdf_and_gradient(self, theta: ArrayLike) -> tuple[FloatArray, FloatArray]:
        """Return `logpdf` [...] and its derivatives [..., N]; NaN where it is -inf."""
        value = self.logpdf(theta)
        whole, _ = self._whole(theta)
        gradient = -0.5 * self.compiled.gradient(whole, self.data)
        for axis, prior in zip(self.axes, self.priors, strict=True):
            gradient[..., axis.index] += prior.slope(axis, whole[..., axis.index])
        finite = np.isfinite(value)[..., np.newaxis]
        return value, np.where(finite, gradient[..., self.free], np.nan)

    def log_likelihood(self, theta: ArrayLike) -> FloatArray:
        """Log likelihood [...] of the counts alone, for `prior_transform` in nested sampling."""
        whole, inside = self._whole(theta)
        counts = self.data[: self.compiled.n_main]
        value = -0.5 * poisson_twice_nll(counts, self.compiled.expected(whole))
        return np.where(inside & np.isfinite(value), value, -np.inf)

    def prior_transform(self, u: ArrayLike) -> FloatArray:
        """Free parameters [..., N] at cumulative prior probabilities ``u`` [..., N].

        The prior of a constrained nuisance is what its auxiliary datum says of it with nothing
        else known: normal, or gamma for a Poisson one, cut at the bounds.
        """
        array, (low, high), c = np.asarray(u, dtype=float), self.bounds.T, self.compiled.constraints
        aux, place = self.data[self.compiled.n_main :], np.cumsum(self.free) - 1
        theta = low + (high - low) * array
        for index, at, sigma in zip(c.normal_param, c.normal_aux, c.normal_sigma, strict=True):
            if self.free[index]:
                i = place[index]
                first, last = (ndtr((end - aux[at]) / sigma) for end in (low[i], high[i]))
                theta[..., i] = aux[at] + sigma * ndtri(first + (last - first) * array[..., i])
        for index, at, rate in zip(c.poisson_param, c.poisson_aux, c.poisson_factor, strict=True):
            if self.free[index]:
                i, shape = place[index], aux[at] + 1.0
                first, last = (gammainc(shape, rate * end) for end in (low[i], high[i]))
                theta[..., i] = gammaincinv(shape, first + (last - first) * array[..., i]) / rate
        for i, axis, prior in zip(self.columns(), self.axes, self.priors, strict=True):
            theta[..., i] = prior.quantile(axis, array[..., i])
        return np.asarray(np.clip(theta, low, high))

    def to_jax(self) -> "Callable[[Array], Array]":
        """Return `logpdf` of one point [N] as a pure jax function; jit, grad and vmap apply.

        Raises
        ------
        ModelError
            If jax is not installed.
        InputError
            When it is called, if jax computes in single precision.
        """
        jax = import_jax()
        jnp, (low, high), inits = jax.numpy, self.bounds.T, self.compiled.inits
        index, start, n_free = np.flatnonzero(self.free), self.initial, int(self.free.sum())

        def logpdf(theta: "Array") -> "Array":
            array = jnp.asarray(theta)
            if array.shape != (n_free,):
                raise InputError(
                    f"parameters have shape {array.shape}, not ({n_free},): jax.vmap is for more"
                )
            inside = ((array >= low) & (array <= high)).all()
            kept = jnp.where(inside, array, start)
            whole = jnp.asarray(inits, dtype=array.dtype).at[index].set(kept)
            value = log_likelihood(jax, self.compiled, self.data, whole)
            for axis, prior in zip(self.axes, self.priors, strict=True):
                value = value + prior.log(axis, whole[axis.index], jnp)
            value = jnp.where(jnp.isnan(value), -jnp.inf, value)
            out: Array = jnp.where(inside, value, -jnp.inf)
            return out

        return logpdf

    def to_base(self, theta: ArrayLike) -> FloatArray:
        """Convert points [..., N]: couplings to base units (a squared one to its magnitude)."""
        out = np.array(theta, dtype=float)
        for i, axis in zip(self.columns(), self.axes, strict=True):
            out[..., i] = axis.from_fit(out[..., i])
        return out


def of_problem(problem: Problem, prior: Mapping[str, "Prior | str"] | None = None) -> LogDensity:
    """Return the log density of a problem: all its couplings, nuisances as it has them.

    `InputError` if a prior is for something that is not free.
    """
    compiled = problem.engine.compiled
    axes = []
    for coupling in problem.description.couplings:
        index = compiled.index(coupling.parameter.fit_name)
        low, high = compiled.bounds[index]
        axes.append(CouplingAxis(coupling.parameter, low, high, coupling.init, index))
    priors = priors_of(axes, prior)
    record = problem.provenance()
    words = {axis.name: str(p) for axis, p in zip(axes, priors, strict=True)}
    record["options"] = {**record["options"], "priors": words}
    title = f"{', '.join(problem.names)}, analysis {problem.analysis}"
    return LogDensity(
        title, compiled, problem.data, problem.profiler().free, tuple(axes), priors,
        dict(problem.engine.reference.layout.bins), problem.notes, record,
    )  # fmt: skip
