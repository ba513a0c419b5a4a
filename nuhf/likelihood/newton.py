"""The minimiser of `nuhf.likelihood.fit`: likelihood, Hessian and steps of many fits at once.

Fisher scoring far from the minimum, Newton with the exact Hessian near it; its absolute value
where it is not positive; projected on the bounds, and never uphill.
"""

from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np

from nuhf.arrays import FloatArray
from nuhf.likelihood.evaluate import (
    CompiledModel,
    Weights,
    gamma_product,
    group_sums,
    jacobian_rows,
    weights,
)
from nuhf.likelihood.objective import EDGES, FitData, objective, slopes
from nuhf.likelihood.tables import BoolArray, IntArray

#: Entries worked on together: large enough to hide Python, small enough for the cache.
CHUNK = 256
#: Expected decrease of 2NLL at which a fit is finished.
TOLERANCE = 1e-9
#: Expected decrease of 2NLL below which the exact Hessian replaces the Fisher information.
NEWTON_BELOW = 10.0
#: Part of the linear decrease a step has to achieve (Armijo).
SUFFICIENT = 1e-4
#: Part of a step below which one ends at the wall that a longer one ran into. Before, halving finds
#: how far beyond the wall pays: the expectation need not be linear along the step.
WALL_BELOW = 0.125
#: Levenberg damping of scoring steps that go nowhere: first value, and where a fit is given up.
DAMP_MIN, DAMP_MAX = 1e-3, 1e8
#: Smallest curvature, relative to the diagonal, of a step with an indefinite Hessian.
CURVATURE_MIN = 1e-3
#: Distance from its bound at which a parameter goes there; of its range, where that is below 1.
#: If it only came closer with every step, the others would be stopped with it.
NEAR = 1e-6
#: Decrease of 2NLL that a step off a saddle must bring.
ESCAPE_GAIN = 1e-9


@dataclass(frozen=True)
class FreeParameters:
    """The free parameters, and the second derivatives that concern only them."""

    index: IntArray
    position: IntArray
    left: IntArray
    right: IntArray
    factor: FloatArray
    starts: IntArray
    rows: IntArray
    cols: IntArray


def select(model: CompiledModel, free: BoolArray) -> FreeParameters:
    """Index tables for the parameters where ``free`` [P] is true."""
    index = np.flatnonzero(free)
    position = np.full(len(free), -1)
    position[index] = np.arange(len(index))
    t = model.tables.curvatures
    keep = np.flatnonzero(free[t.target_p] & free[t.target_q]) if len(t.left) else t.left
    p, q = position[t.target_p[keep]], position[t.target_q[keep]]
    # The targets are sorted: one segment per pair of parameters.
    starts = np.flatnonzero(np.diff(p * (1 + len(index)) + q, prepend=-1))
    factor = t.factor[keep][:, None]
    return FreeParameters(
        index, position, t.left[keep], t.right[keep], factor, starts, p[starts], q[starts]
    )


def _second(
    model: CompiledModel,
    theta: FloatArray,
    at: Weights,
    pull: FloatArray,
    parts: list[FloatArray],
    free: FreeParameters,
) -> FloatArray:
    """Sum over bins of pull times the second derivatives of the expectation, [B, F, F]."""
    tables = model.tables
    out = np.zeros((len(theta), len(free.index), len(free.index)))
    contracted = np.empty_like(at.rows)
    for (lo, hi), gammas in zip(pairwise(tables.group_start), tables.gammas, strict=True):
        weight = pull * gamma_product(gammas, theta) if gammas else pull
        np.matmul(tables.matrix[lo:hi], weight.T, out=contracted[lo:hi])
    if len(free.left):
        cells = np.add.reduceat(contracted * at.shape[tables.row_shape], tables.cell_start, axis=0)
        extra = contracted[tables.curvatures.rows] * at.shape[tables.curvatures.shapes]
        terms = at.left[free.left] * np.concatenate([cells, extra])[free.right]
        terms *= free.factor
        sums = np.add.reduceat(terms, free.starts, axis=0).T
        out[:, free.rows, free.cols] = sums
        out[:, free.cols, free.rows] = sums
    if parts:
        _second_gammas(model, theta, at, pull, parts, free, out)
    return out


def _second_gammas(
    model: CompiledModel,
    theta: FloatArray,
    at: Weights,
    pull: FloatArray,
    parts: list[FloatArray],
    free: FreeParameters,
    out: FloatArray,
) -> None:
    """Add the second derivatives that involve per-bin factors to ``out`` [B, F, F]."""
    tables, n_bins = model.tables, pull.shape[1]
    bases = group_sums(tables, at.rows)
    for gammas, part, base in zip(tables.gammas, parts, bases, strict=True):
        for gamma in gammas:
            keep = free.position[gamma.params] >= 0
            column, bins = free.position[gamma.params[keep]], gamma.bins[keep]
            rest = (pull * gamma_product(gammas, theta, (gamma,)))[:, None, bins]
            mixed = rest * part[:, :, bins]
            out[:, :, column] += mixed
            out[:, column, :] += mixed.swapaxes(1, 2)
            for other in gammas:
                if other is gamma:
                    continue
                pair = pull * base * gamma_product(gammas, theta, (gamma, other))
                at_bin = np.full(n_bins, -1)
                at_bin[other.bins] = free.position[other.params]
                both = at_bin[bins] >= 0
                out[:, column[both], at_bin[bins[both]]] += pair[:, bins[both]]


def derivatives(
    model: CompiledModel,
    theta: FloatArray,
    lam: FloatArray,
    data: FitData,
    exact: BoolArray,
    free: FreeParameters,
) -> tuple[FloatArray, FloatArray]:
    """Gradient [B, F] and Hessian [B, F, F] of 2NLL; the expected one where not ``exact``."""
    at = weights(model.tables, np.ascontiguousarray(theta.T))
    jacobian, parts = jacobian_rows(model.tables, theta, at, free.index)
    pull, curvature, expected = slopes(data.n, lam, data.edge)
    gradient = 2.0 * (jacobian @ pull[:, :, None])[:, :, 0]
    weight = curvature if exact.all() else np.where(exact[:, None], curvature, expected)
    jacobian *= np.sqrt(weight)[:, None]
    hessian = jacobian @ jacobian.swapaxes(1, 2)
    if exact.any():
        second = _second(model, theta, at, pull, parts, free)
        hessian += second if exact.all() else second * exact[:, None, None]
    hessian *= 2.0
    c = model.constraints
    i = free.position[c.normal_param]
    on = i >= 0
    precision = 2.0 / c.normal_sigma**2
    gradient[:, i[on]] += ((theta[:, c.normal_param] - data.normal) * precision)[:, on]
    hessian[:, i[on], i[on]] += precision[on]
    if len(c.poisson_param):
        i = free.position[c.poisson_param]
        on = i >= 0
        gamma = theta[:, c.poisson_param]
        gradient[:, i[on]] += (2.0 * (c.poisson_factor - data.poisson / gamma))[:, on]
        curvature = np.where(exact[:, None], data.poisson / gamma**2, c.poisson_factor / gamma)
        hessian[:, i[on], i[on]] += 2.0 * curvature[:, on]
    return gradient, hessian


@dataclass(frozen=True)
class _Step:
    """Direction [B, F] with its expected decrease, and the scaled system it solves."""

    direction: FloatArray
    edm: FloatArray
    norm: FloatArray
    scale: FloatArray
    system: FloatArray


def _solve(gradient: FloatArray, hessian: FloatArray, held: BoolArray, damp: FloatArray) -> _Step:
    """Damped Newton step; what is ``held`` at a bound takes no part in it."""
    size = gradient.shape[1]
    k = np.arange(size)
    if held.any():
        gradient = np.where(held, 0.0, gradient)
        hessian = np.where(held[:, :, None] | held[:, None, :], 0.0, hessian)
    diagonal = np.abs(hessian[:, k, k])
    scale = np.sqrt(np.where(diagonal > 0, diagonal, 1.0))
    # In units of its own curvature every parameter is of order one.
    system = hessian / (scale[:, :, None] * scale[:, None, :])
    system[:, k, k] += np.where(diagonal > 0, 0.0, 1.0)
    scaled = gradient / scale
    damped = system.copy()
    damped[:, k, k] += 1e-13 + damp[:, None]
    try:
        solved = np.linalg.solve(damped, -scaled[:, :, None])[:, :, 0]
    except np.linalg.LinAlgError:
        solved = -scaled
    edm = -0.5 * (scaled * solved).sum(axis=1)
    # Where the Hessian is not positive, its absolute value gives a direction that descends.
    bad = np.flatnonzero(~(edm > 0) & np.isfinite(system).all(axis=(1, 2)))
    if len(bad):
        values, vectors = np.linalg.eigh(system[bad])
        along = (vectors * scaled[bad][:, :, None]).sum(axis=1)
        along /= np.maximum(np.abs(values), CURVATURE_MIN) + damp[bad][:, None]
        solved[bad] = -(vectors * along[:, None]).sum(axis=2)
        edm[bad] = -0.5 * (scaled[bad] * solved[bad]).sum(axis=1)
    norm = np.abs(scaled).max(axis=1, initial=0.0)
    return _Step(solved / scale, edm, norm, scale, system)


def _lowest_curvature(system: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Lowest eigenvalue [B] and its vector [B, F]; 0 where a Cholesky factor proves it > 0."""
    try:
        np.linalg.cholesky(system)
    except np.linalg.LinAlgError:
        values, vectors = np.linalg.eigh(system)
        return values[:, 0], vectors[:, :, 0]
    return np.zeros(len(system)), np.zeros(system.shape[:2])


@dataclass
class State:
    """The running fits of a chunk; the only mutable object, private to :func:`minimise`."""

    theta: FloatArray
    value: FloatArray
    lam: FloatArray
    exact: BoolArray
    damp: FloatArray
    edm: FloatArray
    norm: FloatArray
    iterations: IntArray
    converged: BoolArray


@dataclass(frozen=True)
class Batch:
    """Model, data and free parameters of a chunk of fits, with the bounds [F] of the latter."""

    model: CompiledModel
    data: FitData
    free: FreeParameters
    lower: FloatArray
    upper: FloatArray

    def moved(self, theta: FloatArray, change: FloatArray) -> FloatArray:
        """``theta`` [B, P] with ``change`` [B, F] added, kept inside the bounds."""
        out = theta.copy()
        out[:, self.free.index] = np.clip(
            theta[:, self.free.index] + change, self.lower, self.upper
        )
        return out


def _line_search(
    problem: Batch, state: State, work: IntArray, gradient: FloatArray, step: FloatArray
) -> tuple[BoolArray, BoolArray]:
    """Shorten the steps until each goes downhill; returns (moved, moved by the full step)."""
    moved, full = np.zeros(len(work), bool), np.zeros(len(work), bool)
    todo, t = np.arange(len(work)), np.ones(len(work))
    for _ in range(24):
        index = work[todo]
        theta = state.theta[index]
        trial = problem.moved(theta, t[todo, None] * step[todo])
        data = problem.data.take(index)
        value, lam = objective(problem.model, trial, data)
        slope = (gradient[todo] * (trial - theta)[:, problem.free.index]).sum(axis=1)
        limit = state.value[index] + SUFFICIENT * np.minimum(slope, 0.0) + data.noise
        good = value <= limit
        state.theta[index[good]] = trial[good]
        state.value[index[good]], state.lam[index[good]] = value[good], lam[good]
        moved[todo[good]] = True
        full[todo[good]] = t[todo[good]] == 1.0
        bad = np.flatnonzero(~good)
        todo = todo[bad]
        if not len(todo):
            break
        old = t[todo]
        t[todo] *= np.where(old > 0.1, 0.5, 0.2)
        short = old <= WALL_BELOW
        if short.any():
            at, row = todo[short], bad[short]
            empty = data.take(row).n == 0
            part = _to_the_wall(empty, state.lam[index[row]], lam[row], data.edge.wall)
            t[at] = np.minimum(t[at], old[short] * part)
    return moved, full


def _to_the_wall(empty: BoolArray, lam: FloatArray, trial: FloatArray, wall: float) -> FloatArray:
    """Part of steps [B] from ``lam`` to ``trial`` that ends at the wall of an empty bin.

    It is 1 where none ends beyond, and where the fit is at the wall already.
    """
    beyond = empty & (trial < 0.0) & (lam > 0.0)
    part = (lam + 1.0 / wall) / np.where(beyond, lam - trial, 1.0)
    return np.asarray(np.where(beyond, part, 1.0).min(axis=1))


def _escape(problem: Batch, state: State, work: IntArray, vector: FloatArray) -> BoolArray:
    """Leave saddle points along +-vector [B, F]; True where a lower point was found."""
    origin, start = state.theta[work], state.value[work]
    for length in (3.0, 1.0, 0.3, 0.1, 0.01):
        for signed in (length, -length):
            trial = problem.moved(origin, signed * vector)
            value, lam = objective(problem.model, trial, problem.data.take(work))
            good = value < state.value[work] - ESCAPE_GAIN
            index = work[good]
            state.theta[index], state.value[index] = trial[good], value[good]
            state.lam[index] = lam[good]
    return np.asarray(state.value[work] < start)


def _confirm(problem: Batch, state: State, work: IntArray, step: _Step) -> BoolArray:
    """Mark stationary points as converged unless they were saddles; True where they were."""
    low, vector = _lowest_curvature(step.system)
    left = low < -1e-6
    if left.any():
        direction = vector[left] / step.scale[left]
        left[left] = _escape(problem, state, work[left], direction)
    state.converged[work[~left]] = True
    return left


def _iterate(problem: Batch, state: State, work: IntArray) -> IntArray:
    """One iteration of the fits ``work``; returns those that go on."""
    exact, free = state.exact[work], problem.free
    gradient, hessian = derivatives(
        problem.model, state.theta[work], state.lam[work], problem.data.take(work), exact, free
    )
    x = state.theta[work][:, free.index]
    margin = NEAR * np.minimum(problem.upper - problem.lower, 1.0)
    low = (x <= problem.lower + margin) & (gradient > 0)
    held = low | ((x >= problem.upper - margin) & (gradient < 0))
    step = _solve(gradient, hessian, held, state.damp[work])
    left = np.where(held, np.where(low, problem.lower, problem.upper) - x, 0.0)
    step.direction[held] = left[held]
    step.edm[:] -= (gradient * left).sum(axis=1)
    state.iterations[work] += 1
    state.edm[work], state.norm[work] = step.edm, step.norm
    # Only the exact Hessian may call a fit finished: the Fisher information can be far off.
    small = (np.abs(step.edm) < TOLERANCE) & (step.norm < 1e3 * np.sqrt(TOLERANCE))
    done = small & exact
    if done.any():
        index = np.flatnonzero(done)
        at = _Step(*(getattr(step, name)[index] for name in step.__dataclass_fields__))
        done[index] = ~_confirm(problem, state, work[index], at)
    # The rest of the small ones have moved off a saddle or wait for the exact Hessian.
    go = np.flatnonzero(~small & (step.edm > 0))
    moved, full = np.zeros(len(work), bool), np.zeros(len(work), bool)
    if len(go):
        gradient[held] = 0.0
        moved[go], full[go] = _line_search(
            problem, state, work[go], gradient[go], step.direction[go]
        )
    failed = ~small & ~moved
    damp = state.damp[work]
    damp = np.where(full, np.where(damp > DAMP_MIN, damp / 10, 0.0), damp)
    # A failed step changes the Hessian; scoring that fails is damped as well. Scoring that does
    # not make its full step is left too: where d lambda / d theta = 0 it would stay for ever.
    damp = np.where(failed & ~exact, np.maximum(10 * damp, DAMP_MIN), damp)
    state.damp[work] = damp
    near = ~full | (step.edm < NEWTON_BELOW)
    state.exact[work] = np.where(small | ~moved, ~exact, near)
    return np.asarray(work[~done & (damp < DAMP_MAX)])


def minimise(problem: Batch, theta: FloatArray, max_iterations: int) -> State:
    """Run the fits from ``theta`` [B, P] until each converged, failed or ran out of steps.

    They are worked on `CHUNK` at a time; those that take longest come together in the end.
    """
    batch, softest = len(theta), replace(problem, data=replace(problem.data, edge=EDGES[0]))
    free = len(problem.free.index) > 0
    value, lam = _heights(softest if free else problem, theta, np.arange(batch))
    state = State(
        theta=theta.copy(),
        value=value,
        lam=lam,
        exact=np.zeros(batch, bool),
        damp=np.zeros(batch),
        edm=np.full(batch, np.nan),
        norm=np.full(batch, np.nan),
        iterations=np.zeros(batch, np.intp),
        converged=np.zeros(batch, bool),
    )
    if not free:
        state.converged[:] = np.isfinite(value)
        state.edm[:], state.norm[:] = 0.0, 0.0
        return state
    _run(softest, state, np.flatnonzero(np.isfinite(value)), max_iterations)
    for softer, edge in pairwise(EDGES):
        work = np.flatnonzero((state.lam < softer.part * problem.data.n).any(axis=1))
        if not len(work):
            break
        harder = replace(problem, data=replace(problem.data, edge=edge))
        state.value[work], state.lam[work] = _heights(harder, state.theta, work)
        state.converged[work], state.damp[work], state.exact[work] = False, 0.0, True
        _run(harder, state, work, max_iterations)
    return state


def _run(problem: Batch, state: State, work: IntArray, max_iterations: int) -> None:
    """Iterate the fits ``work`` until each is done."""
    for _ in range(max_iterations):
        if not len(work):
            break
        work = np.concatenate([_iterate(problem, state, part) for part in _chunks(work)])


def _heights(problem: Batch, theta: FloatArray, work: IntArray) -> tuple[FloatArray, FloatArray]:
    """`objective` of the fits ``work`` at their ``theta`` [B, P]."""
    parts = [objective(problem.model, theta[i], problem.data.take(i)) for i in _chunks(work)]
    value, lam = zip(*parts, strict=True)
    return np.concatenate(value), np.concatenate(lam)


def _chunks(index: IntArray) -> list[IntArray]:
    return [index[first : first + CHUNK] for first in range(0, len(index), CHUNK)]
