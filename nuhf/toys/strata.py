"""Toys sorted by how many events they have in all, whose probabilities are known exactly.

A part of toys is estimated in each stratum, and these parts add up with the exact probabilities of
the strata at the tested value. With few counts most of the noise of toys is how often each number
came, which this takes away.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from scipy.special import pdtr

from nuhf.arrays import FloatArray

#: Toys that a stratum has at least, on average: one number of events, up to a mean of `_FEW`, or
#: several numbers, which are no more than one in `_MOST` of all.
_OF_ONE: Final = 5
_FEW: Final = 30.0
_OF_SEVERAL: Final = 25
_MOST: Final = 40
#: Standard deviations of the number of events that are split, and steps in one of them.
_REACH: Final = 6.0
_STEPS: Final = 20


def strata(mean: float, toys: int) -> list[int]:
    """First numbers of events of all strata but the lowest, for ``toys`` toys of a mean."""
    several, width = max(_OF_SEVERAL / toys, 1.0 / _MOST), np.sqrt(mean)
    one = _OF_ONE / toys if mean < _FEW else several
    first, last = int(max(mean - _REACH * width, 0.0)) + 1, int(mean + _REACH * width) + 2
    edges: list[int] = []
    below = 0.0
    for number in range(first, last, max(int(width / _STEPS), 1)):
        total = float(pdtr(number - 1, mean))
        alone = number - (edges[-1] if edges else 0) == 1
        if total - below >= (one if alone else several) and 1.0 - total >= one:
            edges.append(number)
            below = total
    return edges


def sums(
    events: FloatArray, edges: Sequence[int], weights: FloatArray, below: NDArray[np.bool_]
) -> dict[str, list[list[float]]]:
    """Sums over toys in every stratum, plain data.

    Toys (n,) have numbers of events, and at m values weights (m, n) and whether they count as
    below; ``edges`` are those of `strata`.
    """
    place = np.searchsorted(np.asarray(edges), events, side="right")
    member = (place[:, np.newaxis] == np.arange(len(edges) + 1)).astype(float)
    rows = {"sum": weights, "square": weights**2}
    rows |= {"below": weights * below, "square_below": weights**2 * below}
    return {name: (row @ member).tolist() for name, row in rows.items()}


def part_below(
    blocks: Sequence[Mapping[str, Any]], edges: Sequence[int], means: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Part of the toys below (m,) at values of ``means`` (m,) events, and its binomial error."""
    total, square, below, square_below = (
        np.sum([block[key] for block in blocks], axis=0)
        for key in ("sum", "square", "below", "square_below")
    )
    cumulative = pdtr(np.asarray(edges, dtype=float) - 1.0, means[:, np.newaxis])
    chance = np.diff(cumulative, axis=1, prepend=0.0, append=1.0)
    some = total > 0.0
    counted = np.where(some, total, 1.0)
    every = below.sum(axis=1, keepdims=True) / total.sum(axis=1, keepdims=True)
    part = np.where(some, below / counted, every)
    # toys above and below have weights of their own, and few of a stratum their mean
    variance = (square_below * (1.0 - 2.0 * part) + square * part**2) / counted**2
    variance /= np.maximum(1.0 - square / counted**2, 0.5)
    least = 0.5 * square.sum(axis=1) / total.sum(axis=1) ** 2
    error = np.sqrt(np.maximum((chance**2 * variance).sum(axis=1), 0.0))
    return (chance * part).sum(axis=1), np.maximum(error, least)
