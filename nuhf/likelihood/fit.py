"""Maximum-likelihood fits of compiled models: many data sets or fixed points at once.

Fisher scoring far from the minimum, Newton with the exact Hessian near it (the rate is quadratic
in the couplings, so scoring alone is slow where the model fits badly), always inside the bounds
and never uphill. A fit counts as converged when its expected decrease with the exact Hessian is
below the tolerance and the point is no saddle. What did not converge is reported as such;
``refit_with_pyhf`` is the second opinion.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from iminuit import Minuit
from numpy.typing import ArrayLike

from nuhf.arrays import FloatArray
from nuhf.errors import InputError
from nuhf.likelihood.evaluate import CompiledModel
from nuhf.likelihood.newton import Batch, derivatives, minimise, select
from nuhf.likelihood.objective import objective, prepare
from nuhf.likelihood.tables import BoolArray, IntArray

if TYPE_CHECKING:
    import pyhf

#: Difference of 2NLL within which a converged fit is preferred.
TIE = 1e-6
#: Curvature of half 2NLL below zero in an empty bin, for pyhf.
_SOFT_WALL = 1e4
#: Minuit's: the expected decrease at the end is 0.002 times it.
_TOLERANCE = 1e-3


@dataclass(frozen=True)
class BatchFit:
    """Result of B fits: best-fit parameters (B, P), fixed ones as they started; the rest (B,)."""

    parameters: FloatArray
    #: -2 log likelihood there, all constants included.
    twice_nll: FloatArray
    #: Whether the expected decrease is below the tolerance, at a minimum.
    converged: BoolArray
    #: Iterations used, function calls of minuit.
    iterations: IntArray
    #: Expected decrease of 2NLL still to gain, NaN where unknown.
    edm: FloatArray
    #: Largest projected gradient, each component in units of the square root of its curvature.
    gradient_norm: FloatArray
    #: Which of several starting points led here.
    start: IntArray


def fit(
    compiled: CompiledModel,
    data: ArrayLike,
    *,
    starts: ArrayLike | None = None,
    free: ArrayLike | None = None,
    max_iterations: int = 200,
) -> BatchFit:
    """Minimise 2NLL for B data sets, B starting points, or both.

    Parameters
    ----------
    compiled : CompiledModel
        The model.
    data : array_like, shape (n_main + n_aux,) or (B, n_main + n_aux)
        One data set for all fits, or one for each.
    starts : array_like, shape (P,) or (B, P), optional
        Starting values, and the values of fixed parameters; ``compiled.inits`` by default.
    free : array_like of bool, shape (P,), optional
        Which parameters float; all that the model does not fix by default.
    max_iterations : int
        Iterations per fit.

    Returns
    -------
    BatchFit
        One entry per fit; look at ``converged``.

    Raises
    ------
    InputError
        If shapes do not match, or a free parameter starts outside its bounds.
    """
    array = np.atleast_2d(compiled.check_data(data))
    theta = np.atleast_2d(np.asarray(compiled.inits if starts is None else starts, dtype=float))
    mask = ~compiled.fixed if free is None else np.asarray(free, dtype=bool)
    _check(compiled, array, theta, mask)
    batch = max(len(array), len(theta))
    theta = np.broadcast_to(theta, (batch, theta.shape[1]))
    prepared = prepare(compiled, array)
    # Trial points may leave the domain of the model on the way; they are refused by value.
    with np.errstate(all="ignore"):
        problem = Batch(compiled, prepared, select(compiled, mask), *compiled.bounds[mask].T)
        done = minimise(problem, theta, max_iterations)
    return BatchFit(
        parameters=done.theta,
        twice_nll=done.value + prepared.constant,
        converged=done.converged,
        iterations=done.iterations,
        edm=done.edm,
        gradient_norm=done.norm,
        start=np.zeros(batch, dtype=np.intp),
    )


def _check(compiled: CompiledModel, data: FloatArray, theta: FloatArray, free: BoolArray) -> None:
    n_params = len(compiled.names)
    if data.ndim > 2 or theta.ndim > 2 or theta.shape[1] != n_params or free.shape != (n_params,):
        raise InputError(
            f"data {data.shape}, starts {theta.shape} and free {free.shape} do not fit a model "
            f"with {n_params} parameters; wanted are (B, data), (B, {n_params}), ({n_params},)"
        )
    if len(data) != len(theta) and 1 not in (len(data), len(theta)):
        raise InputError(
            f"{len(data)} data sets and {len(theta)} starting points; one of each per fit, or "
            "a single one for all, is needed"
        )
    _check_bounds(compiled.names, compiled.bounds, theta, free)


def _check_bounds(
    names: Sequence[str], bounds: FloatArray, theta: FloatArray, free: BoolArray
) -> None:
    inside = (theta >= bounds[:, 0]) & (theta <= bounds[:, 1])
    for i in np.flatnonzero(free & ~inside.all(axis=0)):
        raise InputError(
            f"parameter '{names[int(i)]}' starts at {theta[~inside[:, i], i][0]}, outside its "
            f"bounds {bounds[i].tolist()}"
        )


def best_of(
    compiled: CompiledModel,
    data: ArrayLike,
    starts: ArrayLike,
    *,
    free: ArrayLike | None = None,
) -> BatchFit:
    """Fit from several starting points and keep the lowest minimum of each data set.

    As `fit`, from S points, (S, P) for all data sets or (S, B, P). The result's ``start`` tells
    which of them won; a converged fit wins over an equally deep one that is not.
    """
    array = np.atleast_2d(compiled.check_data(data))
    points = np.asarray(starts, dtype=float)
    if points.ndim not in (2, 3):
        raise InputError(f"starts have shape {points.shape}; wanted is (S, P) or (S, B, P)")
    if points.ndim == 2:
        points = points[:, None]
    batch = max(len(array), points.shape[1])
    points = np.broadcast_to(points, (len(points), batch, points.shape[2]))
    fits = fit(
        compiled,
        np.tile(array, (len(points), 1)) if len(array) > 1 else array,
        starts=points.reshape(-1, points.shape[2]),
        free=free,
    )
    value = np.where(np.isnan(fits.twice_nll), np.inf, fits.twice_nll)
    value = (value + np.where(fits.converged, 0.0, TIE)).reshape(len(points), batch)
    winner = value.argmin(axis=0)
    index = winner * batch + np.arange(batch)
    chosen = {name: getattr(fits, name)[index] for name in fits.__dataclass_fields__}
    return BatchFit(**{**chosen, "start": winner})


@contextmanager
def _numpy_backend() -> Iterator[None]:
    """Set pyhf's backend to numpy inside the block, and back to what it was after it."""
    import pyhf  # here: compiled fits do without

    backend, optimizer = pyhf.get_backend()
    pyhf.set_backend("numpy", precision="64b")
    try:
        yield
    finally:
        pyhf.set_backend(backend, optimizer)


def refit_with_pyhf(
    model: "pyhf.pdf.Model",
    data: ArrayLike,
    start: ArrayLike,
    fixed: ArrayLike,
    *,
    tolerance: float = _TOLERANCE,
) -> BatchFit:
    """Fit one data set with pyhf's likelihood and minuit, for fits that did not converge.

    Data (n_main + n_aux,) from ``start`` (P,), where ``fixed`` (P,) parameters stay; `InputError`
    for other shapes, or if a free one starts outside its bounds. The result has B = 1, its
    ``converged`` is minuit's verdict, which needs a positive covariance. Minuit is called directly:
    pyhf 0.7.6 raises an AttributeError where a good minimum has no covariance.
    """
    observed = np.asarray(data, dtype=float)
    values, held = np.asarray(start, dtype=float), np.asarray(fixed, dtype=bool)
    size = model.config.nmaindata + model.config.nauxdata
    bounds = np.asarray(model.config.suggested_bounds(), dtype=float)
    if observed.shape != (size,) or not values.shape == held.shape == (model.config.npars,):
        raise InputError(
            f"data {observed.shape}, start {values.shape} and fixed {held.shape} do not fit the "
            f"model; wanted are ({size},) and twice ({model.config.npars},)"
        )
    _check_bounds(model.config.par_names, bounds, values[None], ~held)
    with _numpy_backend(), np.errstate(all="ignore"):
        empty = observed[: model.config.nmaindata] == 0

        def value(point: FloatArray) -> float:
            found = float(-2.0 * model.logpdf(point, observed)[0])
            if not empty.any():
                return found
            # pyhf rewards what an empty bin expects below zero: here it stops the fit, softly
            # enough for slopes by differences
            below = np.minimum(model.expected_actualdata(point)[empty], 0.0)
            return found + float(np.sum(_SOFT_WALL * below**2))

        minuit = Minuit(value, values, name=model.config.par_names)
        minuit.strategy = 1
        return _migrad(minuit, bounds, held, tolerance)


def refit_with_minuit(
    compiled: CompiledModel,
    data: ArrayLike,
    start: ArrayLike,
    fixed: ArrayLike,
) -> BatchFit:
    """Fit one data set as `refit_with_pyhf` does, with the compiled likelihood."""
    observed = compiled.check_data(data)
    values, held = np.asarray(start, dtype=float), np.asarray(fixed, dtype=bool)
    _check_bounds(compiled.names, compiled.bounds, values[None], ~held)
    prepared, every = prepare(compiled, observed[None]), select(compiled, np.ones_like(held))

    def value(point: FloatArray) -> float:
        return float(objective(compiled, point[None], prepared)[0][0] + prepared.constant[0])

    def gradient(point: FloatArray) -> FloatArray:
        expected = objective(compiled, point[None], prepared)[1]
        exact = np.zeros(1, bool)
        slopes: FloatArray = derivatives(compiled, point[None], expected, prepared, exact, every)[0]
        return slopes.ravel()

    with np.errstate(all="ignore"):
        minuit = Minuit(value, values, grad=gradient, name=compiled.names)
        minuit.strategy = 0  # no second derivatives: the gradient is exact
        return _migrad(minuit, compiled.bounds, held, _TOLERANCE)


def _migrad(minuit: Minuit, bounds: FloatArray, held: BoolArray, tolerance: float) -> BatchFit:
    # Fixed values may lie outside the bounds; minuit would move them inside.
    for i, (fixed, pair) in enumerate(zip(held, bounds.tolist(), strict=True)):
        minuit.limits[i] = None if fixed else pair  # a list of one pair would be misread
    minuit.fixed = held.tolist()
    minuit.errordef = 1.0
    minuit.tol = tolerance
    # the level is one for the whole process, whoever raised it, and stdout may be for JSON
    level, minuit.print_level = minuit.print_level, 0
    minuit.migrad()
    minuit.print_level = level
    return BatchFit(
        parameters=np.array(minuit.values, dtype=float)[None],
        twice_nll=np.array([minuit.fval], dtype=float),
        converged=np.array([bool(minuit.valid)]),
        iterations=np.array([minuit.nfcn], dtype=np.intp),
        edm=np.array([minuit.fmin.edm], dtype=float),
        gradient_norm=np.array([np.nan]),
        start=np.zeros(1, dtype=np.intp),
    )
