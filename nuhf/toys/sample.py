"""Toy data sets of a compiled model, and test statistics of many of them at once.

A block of toys is described by plain data (a *task*): true parameters, number of toys, and the
key ``[seed, point, block]`` of its random numbers. A block is therefore the same whoever works
on it, in whatever order. `nuhf.toys.runner` builds from plain data, too, what works on blocks, so
that a worker process needs nothing else.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final, TextIO

import numpy as np
from numpy.typing import NDArray

from nuhf.arrays import FloatArray
from nuhf.errors import FitError, InputError
from nuhf.likelihood.evaluate import CompiledModel

BoolArray = NDArray[np.bool_]
Task = dict[str, Any]

#: Statistics nearer than this are equal: two fits of the same data differ by less.
TIE: Final = 1e-6
#: Toys in one block.
BLOCK: Final = 500
_MOST: Final = 10_000_000
#: Events below zero that toys of all bins together may leave out.
_NEGATIVE: Final = 0.01


@dataclass(frozen=True)
class ToyOptions:
    """How many toys, which, and where they are made."""

    toys: int
    """Number of toys per tested value."""
    seed: int = 1
    """Seed of everything random; with it and the options the result is fixed."""
    points: int = 40
    """Tested values of a construction before its ends are refined."""
    jobs: int | None = None
    """Worker processes; all cores if None. No influence on the result."""
    checkpoint: Path | None = None
    """File of finished blocks, continued if it exists."""
    progress: TextIO | None = None
    """Where to show progress, if it is a terminal."""
    scheduler: str | None = None
    """Address of a dask scheduler whose workers make the toys. No influence on the result."""

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
    """All that a worker needs of a problem, as plain data: a native workspace, and what floats.

    ``free`` (P,) are the parameters that float in a free fit, ``indices`` those of interest. Free
    fits have further starts, ``seeds``: values of the parameters ``started``, which are the
    couplings and nuisances with several minima. Every minimum of the data's likelihood is one,
    since toys have them all.
    """

    spec: Mapping[str, Any]
    free: tuple[bool, ...]
    indices: tuple[int, ...]
    seeds: tuple[tuple[float, ...], ...]
    started: tuple[int, ...]

    def to_json(self) -> dict[str, Any]:
        """Return plain data; `nuhf.toys.runner.runner` takes it back."""
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
    """Toy data (number, n_main + n_aux): Poisson counts, auxiliary data around the true nuisances.

    A fit may end a little below zero in a bin without counts, where the likelihood has a steep
    wall; such a bin stays empty. `FitError` if the bins expect less than -0.01 in all where they
    are negative at ``truth`` (P,), or what is no number.
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
    below it with a probability of at least ``cl``, for any n. The error is half the distance of the
    order statistics one binomial standard deviation to both sides; of counts it may be 0, and the
    uncertainty of an end is that of `probability_below`. Statistics that are not a number (fits
    that did not converge) do not take part: count them. `FitError` if fewer than ``cl / (1 - cl)``
    are left.
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


def probability_below(toys: FloatArray, t: float) -> tuple[float, float]:
    """Part of the toys' statistics below ``t``, ties not counted, and its binomial error."""
    good = toys[np.isfinite(toys)]
    part = float((good < t - TIE).mean())
    return part, float(binomial_error(part, len(good)))


def binomial_error(part: float | FloatArray, number: float | FloatArray) -> FloatArray:
    """Return the binomial error of a part of ``number`` toys.

    It is at least that of half a toy, where none or all are in the part, too.
    """
    return np.asarray(np.sqrt(np.maximum(part * (1.0 - part), 0.25 / number) / number))


def blocks(task: Task, toys: int, key: Sequence[int], size: int = BLOCK) -> list[Task]:
    """Split ``toys`` toys of a task into blocks with keys ``[*key, 0]``, ``[*key, 1]``, ..."""
    numbers = [min(size, toys - first) for first in range(0, toys, size)]
    return [task | {"number": n, "key": [*key, i]} for i, n in enumerate(numbers)]


def converged_only(found: Sequence[Mapping[str, Any]]) -> tuple[FloatArray, int]:
    """Join the statistics of blocks, NaN where a fit failed, and count the failures."""
    t = np.concatenate([np.asarray(block["t"], dtype=float) for block in found])
    return t, int(np.isnan(t).sum())


def plain(t: FloatArray) -> list[float | None]:
    """Return a list, None for what is no number."""
    return [float(x) if np.isfinite(x) else None for x in t]
