"""Toy data sets of a compiled model, and test statistics of many of them at once.

A block of toys is described by plain data (a *task*): true parameters, number of toys, and the
key ``[seed, point, block]`` of its random numbers. A block is therefore the same whoever works
on it, in whatever order. `runner` builds from plain data, too, what works on blocks, so that a
worker process needs nothing else.

The test statistic of parameters of interest at values v is
``t(v) = min 2NLL (at v) - min 2NLL (free)``; one-sided (q-tilde for a parameter bounded at 0,
arXiv:1007.1727 eq. 16) it is 0 where the best value is above v.
"""

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final, TextIO

import numpy as np
import pyhf
from numpy.typing import NDArray

from nuhf.errors import FitError, InputError
from nuhf.likelihood.evaluate import CompiledModel, compile_model
from nuhf.likelihood.fit import BatchFit, best_of, refit_with_pyhf
from nuhf.workspaces.native import load_model

__all__ = [
    "BLOCK",
    "Runner",
    "Task",
    "ToyOptions",
    "ToySetup",
    "blocks",
    "critical_value",
    "generator",
    "runner",
    "sample",
]

FloatArray = NDArray[np.float64]
BoolArray = NDArray[np.bool_]
Task = dict[str, Any]

#: Toys in one block.
BLOCK: Final = 500
#: Toys of the inner ensemble between two looks at whether more are needed.
_LOOK: Final = 250
#: Standard deviations at which the inner ensemble has decided.
_DECIDED: Final = 4.0
_MOST: Final = 10_000_000
#: Events below zero that toys of all bins together may leave out.
_NEGATIVE: Final = 1.0
#: Events below zero of a best fit that is counted as unphysical.
_UNPHYSICAL: Final = 0.5


@dataclass(frozen=True)
class ToyOptions:
    """How many toys, which, and where they are made.

    Attributes
    ----------
    toys : int
        Number of toys per tested value.
    seed : int
        Seed of everything random; with it and the options the result is fixed.
    points : int
        Tested values of a construction before its ends are refined.
    jobs : int or None
        Worker processes; all cores if None. No influence on the result.
    checkpoint : Path or None
        File of finished blocks, continued if it exists.
    progress : text stream or None
        Where to show progress, if it is a terminal.
    scheduler : str or None
        Address of a dask scheduler whose workers make the toys. No influence on the result.
    """

    toys: int
    seed: int = 1
    points: int = 40
    jobs: int | None = None
    checkpoint: Path | None = None
    progress: TextIO | None = None
    scheduler: str | None = None

    def __post_init__(self) -> None:
        """Refuse numbers that mean nothing."""
        if not 10 <= self.toys <= _MOST:
            raise InputError(f"toys = {self.toys}: between 10 and {_MOST} are possible")
        if self.seed < 0:
            raise InputError(f"seed = {self.seed}: must not be negative")
        if not 5 <= self.points <= 10_000:
            raise InputError(f"points = {self.points}: between 5 and 10000 are possible")
        if self.jobs is not None and not 1 <= self.jobs <= 1024:
            raise InputError(f"jobs = {self.jobs}: between 1 and 1024 are possible")
        if self.scheduler is not None:
            if not self.scheduler.strip():
                raise InputError("scheduler: give an address, such as tcp://127.0.0.1:8786")
            if self.jobs is not None:
                raise InputError("jobs are processes of this machine: not with a scheduler")


@dataclass(frozen=True)
class ToySetup:
    """All that a worker needs of a problem, as plain data.

    Attributes
    ----------
    spec : mapping
        Native workspace.
    free : tuple of bool
        Parameters that float in a free fit, (P,).
    indices : tuple of int
        Parameters of interest.
    seeds : tuple of tuple of float
        Further starts of free fits: values of ``couplings``; every minimum of the data's
        likelihood is one, since toys have them all.
    couplings : tuple of int
        The couplings: parameters of interest and profiled ones.
    """

    spec: Mapping[str, Any]
    free: tuple[bool, ...]
    indices: tuple[int, ...]
    seeds: tuple[tuple[float, ...], ...]
    couplings: tuple[int, ...]

    def to_json(self) -> dict[str, Any]:
        """Return plain data; `runner` takes it back."""
        return asdict(self)

    def digest(self, options: Mapping[str, Any]) -> str:
        """SHA-256 of this and of further options, as hexadecimal text."""
        content = json.dumps([self.to_json(), dict(options)], sort_keys=True)
        return hashlib.sha256(content.encode()).hexdigest()


def generator(key: Sequence[int]) -> np.random.Generator:
    """Random numbers of the key ``[seed, i, j, ...]``: child j of child i of the seed."""
    return np.random.default_rng(np.random.SeedSequence(key[0], spawn_key=tuple(key[1:])))


def sample(
    compiled: CompiledModel, truth: FloatArray, number: int, rng: np.random.Generator
) -> FloatArray:
    """Toy data: Poisson counts, auxiliary data around the true nuisances.

    A fit may expect a little less than nothing in a bin without counts, where the likelihood goes
    on as in pyhf; such a bin stays empty. Callers tell the user.

    Parameters
    ----------
    compiled : CompiledModel
        The model.
    truth : ndarray, shape (P,)
        True parameters.
    number : int
        Number of data sets.
    rng : Generator
        Random numbers.

    Returns
    -------
    ndarray, shape (number, n_main + n_aux)

    Raises
    ------
    FitError
        If the bins expect less than -1 in all where they are negative, or what is no number.
    """
    expected, c = compiled.expected(truth), compiled.constraints
    if not (np.isfinite(expected).all() and expected[expected < 0].sum() >= -_NEGATIVE):
        raise FitError(f"no toys: a bin expects {expected.min():g} events at these parameters")
    data = np.zeros((number, compiled.n_main + compiled.n_aux))
    data[:, : compiled.n_main] = rng.poisson(np.maximum(expected, 0.0), (number, compiled.n_main))
    pulls = rng.standard_normal((number, len(c.normal_param)))
    data[:, compiled.n_main + c.normal_aux] = truth[c.normal_param] + c.normal_sigma * pulls
    rates = truth[c.poisson_param] * c.poisson_factor
    data[:, compiled.n_main + c.poisson_aux] = rng.poisson(rates, (number, len(rates)))
    return data


def critical_value(toys: FloatArray, cl: float) -> tuple[float, float]:
    """Critical value of the toys' statistics and its statistical error.

    It is the k-th smallest, ``k = ceil((n + 1) cl)``: data from the same distribution are at or
    below it with a probability of at least ``cl``, for any n. The error is half the distance of
    the order statistics one binomial standard deviation to both sides. Statistics that are not
    a number (fits that did not converge) do not take part: count them.

    Raises
    ------
    FitError
        If fewer than ``cl / (1 - cl)`` are left.
    """
    ordered = np.sort(toys[np.isfinite(toys)])
    n = len(ordered)
    # 1e-9: (n + 1) cl may be an integer plus a rounding error
    k = int(np.ceil((n + 1) * cl - 1e-9))
    if k > n:
        raise FitError(f"{n} toys are too few for a confidence level of {cl:g}")
    width = np.sqrt(n * cl * (1.0 - cl))
    below, above = max(k - 1 - round(width), 0), min(k - 1 + round(width), n - 1)
    return float(ordered[k - 1]), float(0.5 * (ordered[above] - ordered[below]))


def blocks(task: Task, toys: int, key: Sequence[int], size: int = BLOCK) -> list[Task]:
    """Split ``toys`` toys of a task into blocks with keys ``[*key, 0]``, ``[*key, 1]``, ..."""
    numbers = [min(size, toys - first) for first in range(0, toys, size)]
    return [task | {"number": n, "key": [*key, i]} for i, n in enumerate(numbers)]


@dataclass(frozen=True)
class Runner:
    """A model that works on tasks.

    Attributes
    ----------
    model : pyhf.pdf.Model
        The reference, for fits that do not converge.
    compiled : CompiledModel
        The same, compiled.
    free : ndarray of bool, shape (P,)
        Parameters that float in a free fit.
    indices, couplings : list of int
        Parameters of interest, and all couplings.
    seeds : ndarray, shape (S, len(couplings))
        Further starts of free fits.
    """

    model: pyhf.pdf.Model
    compiled: CompiledModel
    free: BoolArray
    indices: list[int]
    couplings: list[int]
    seeds: FloatArray

    def __call__(self, task: Task) -> dict[str, Any]:
        """Work on one task; its ``kind`` says what is wanted.

        Raises
        ------
        InputError
            If the kind is unknown.
        FitError
            If no toys can be made.
        """
        kinds: dict[str, Callable[[Task], dict[str, Any]]] = {
            "statistic": self._statistic,
            "goodness": self._goodness,
            "coverage": self._coverage,
        }
        if task.get("kind") not in kinds:
            raise InputError(f"unknown kind of toys '{task.get('kind')}'")
        return kinds[task["kind"]](task)

    def statistic(
        self, data: FloatArray, truth: FloatArray, values: FloatArray, one_sided: bool = False
    ) -> tuple[FloatArray, FloatArray, FloatArray]:
        """Test statistic of data sets at values of the parameters of interest.

        Parameters
        ----------
        data : ndarray, shape (B, n_main + n_aux)
            Data sets.
        truth : ndarray, shape (P,)
            Where fits start.
        values : ndarray, shape (len(indices),)
            Tested values.
        one_sided : bool
            0 where the best value of the (only) parameter is above the tested one.

        Returns
        -------
        t : ndarray, shape (B,)
            NaN where a fit converged neither here nor with minuit.
        parameters : ndarray, shape (B, P)
            Best fits at the tested values.
        best : ndarray, shape (B, P)
            Best free fits.
        """
        held = self.free.copy()
        held[self.indices] = False
        at = truth.copy()
        at[self.indices] = values
        starts = at[np.newaxis]
        if len(self.couplings) > len(self.indices):
            starts = np.concatenate([starts, self._seeded(truth)])
            starts[:, self.indices] = values
        fixed = self._settled(data, best_of(self.compiled, data, starts, free=held), starts, held)
        # every free fit starts from the best point at the tested value, so t is never negative
        starts = np.broadcast_to(
            self._seeded(truth)[:, np.newaxis], (len(self.seeds), *fixed.parameters.shape)
        )
        starts = np.concatenate([fixed.parameters[np.newaxis], starts])
        lowest = best_of(self.compiled, data, starts, free=self.free)
        lowest = self._settled(data, lowest, starts, self.free)
        t = fixed.twice_nll - lowest.twice_nll
        if one_sided:
            t = np.where(lowest.parameters[:, self.indices[0]] > values[0], 0.0 * t, t)
        t = np.where(fixed.converged & lowest.converged, np.maximum(t, 0.0), np.nan)
        return t, fixed.parameters, lowest.parameters

    def _seeded(self, truth: FloatArray) -> FloatArray:
        """Return starts (S, P): the true nuisances with the seeds' couplings."""
        starts = np.repeat(truth[np.newaxis], len(self.seeds), axis=0)
        starts[:, self.couplings] = self.seeds
        return starts

    def _settled(
        self, data: FloatArray, found: BatchFit, starts: FloatArray, free: BoolArray
    ) -> BatchFit:
        """Repeat with minuit what did not converge; the deeper point counts, as for the data."""
        parameters, heights = found.parameters.copy(), found.twice_nll.copy()
        converged = found.converged.copy()
        for i in np.flatnonzero(~converged):
            start = starts[found.start[i]]
            point = start if start.ndim == 1 else start[i]
            again = refit_with_pyhf(self.model, data[i], point, ~free)
            converged[i] = again.converged[0]
            if converged[i] and not heights[i] <= again.twice_nll[0]:
                parameters[i], heights[i] = again.parameters[0], again.twice_nll[0]
        return BatchFit(
            parameters, heights, converged, found.iterations, found.edm, found.gradient_norm,
            found.start,
        )  # fmt: skip

    def _statistic(self, task: Task) -> dict[str, Any]:
        """Return t of toys: ``truth``, ``values``, ``number``, ``key``, ``one_sided``."""
        truth = np.asarray(task["truth"], dtype=float)
        data = sample(self.compiled, truth, task["number"], generator(task["key"]))
        values = np.asarray(task["values"], dtype=float)
        t, _, best = self.statistic(data, truth, values, bool(task.get("one_sided")))
        negative = np.minimum(self.compiled.expected(best), 0.0).sum(axis=-1) < -_UNPHYSICAL
        return {"t": _plain(t), "negative": int(negative.sum())}

    def _goodness(self, task: Task) -> dict[str, Any]:
        """2NLL above saturation of toys: ``truth``, ``number``, ``key``."""
        truth = np.asarray(task["truth"], dtype=float)
        data = sample(self.compiled, truth, task["number"], generator(task["key"]))
        starts = np.concatenate([truth[np.newaxis], self._seeded(truth)])
        found = best_of(self.compiled, data, starts, free=self.free)
        found = self._settled(data, found, starts, self.free)
        t = found.twice_nll - self.compiled.saturated_twice_nll(data)
        return {"t": _plain(np.where(found.converged, t, np.nan))}

    def _coverage(self, task: Task) -> dict[str, Any]:
        """Return t of toys at their true value, and whether ``inner`` toys each accept it.

        The inner toys have the nuisances fitted to the outer toy at its true value, as the
        construction has. They stop early once ``cl`` is decided at 4 standard deviations.
        """
        truth = np.asarray(task["truth"], dtype=float)
        values = np.asarray(task["values"], dtype=float)
        data = sample(self.compiled, truth, task["number"], generator(task["key"]))
        t, fitted, _ = self.statistic(data, truth, values)
        found: dict[str, Any] = {"t": _plain(t)}
        if task["inner"]:
            done = [
                self._beyond(float(t[i]), fitted[i], values, task, [*task["key"], i])
                for i in range(len(t))
            ]
            found["covered"] = [covered for covered, _ in done]
            found["inner_unconverged"] = sum(lost for _, lost in done)
        return found

    def _beyond(
        self, t: float, truth: FloatArray, values: FloatArray, task: Task, key: list[int]
    ) -> tuple[bool | None, int]:
        """Whether a toy's value is accepted (None if its fit failed), and inner toys lost."""
        if not np.isfinite(t):
            return None, 0
        cl, inner = float(task["cl"]), int(task["inner"])
        toys = np.zeros(0)
        for block in blocks({}, inner, key, _LOOK):
            data = sample(self.compiled, truth, block["number"], generator(block["key"]))
            toys = np.concatenate([toys, self.statistic(data, truth, values)[0]])
            good = toys[np.isfinite(toys)]
            distance = abs(float(np.mean(good < t)) - cl) if len(good) else 0.0
            if distance > _DECIDED * np.sqrt(cl * (1.0 - cl) / max(len(good), 1)):
                break
        return t <= critical_value(toys, cl)[0], int(np.isnan(toys).sum())


def runner(setup: Mapping[str, Any]) -> Runner:
    """Build a `Runner` from the plain data of a `ToySetup`."""
    model, _ = load_model(dict(setup["spec"]))
    couplings = [int(i) for i in setup["couplings"]]
    return Runner(
        model=model,
        compiled=compile_model(model),
        free=np.asarray(setup["free"], dtype=bool),
        indices=[int(i) for i in setup["indices"]],
        couplings=couplings,
        seeds=np.asarray(setup["seeds"], dtype=float).reshape(-1, len(couplings)),
    )


def converged_only(found: Sequence[Mapping[str, Any]]) -> tuple[FloatArray, int]:
    """Join the statistics of blocks, NaN where a fit failed, and count the failures."""
    t = np.concatenate([np.asarray(block["t"], dtype=float) for block in found])
    return t, int(np.isnan(t).sum())


def _plain(t: FloatArray) -> list[float | None]:
    return [float(x) if np.isfinite(x) else None for x in t]
