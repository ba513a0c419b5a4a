"""Where a tabulated function rises through zero, and how far its error moves that."""

from typing import Final

import numpy as np
from scipy.special import ndtri

from nuhf.arrays import FloatArray

#: Shifts of the function in its errors, all of the same probability.
_SHIFTS: Final = ndtri((np.arange(32) + 0.5) / 32)


def crossing(x: FloatArray, y: FloatArray, near: float) -> float:
    """Where y (n,) rises through 0, nearest to ``near``.

    Without such a place it is extrapolated with the slope of all, at most by the width of x.
    """
    cells = np.flatnonzero((y[:-1] < 0) & (y[1:] >= 0))
    if len(cells):
        a, b = y[cells], y[cells + 1]
        places = x[cells] + (x[cells + 1] - x[cells]) * a / (a - b)
        return float(places[np.argmin(np.abs(places - near))])
    width = float(x[-1] - x[0])
    slope = max(float(y[-1] - y[0]) / width, 1e-12)
    if y[-1] < 0:
        return float(x[-1] + min(-y[-1] / slope, width))
    return float(x[0] - min(max(y[0] / slope, 0.0), width))


def end_with_error(
    x: FloatArray, y: FloatArray, error: FloatArray, near: float
) -> tuple[float, float]:
    """Where y (n,) rises through 0, nearest to ``near``, and how far its error moves that.

    y is shifted by what its error makes of it, all points alike, as toys with weights are; the
    error of the end is the root of its mean squared move, which holds for steps, too. What a cell
    hides is added; a step beyond the errors on both sides may be anywhere in its cell.
    """
    end = crossing(x, y, near)
    moves = [crossing(x, y + shift * error, end) - end for shift in _SHIFTS]
    k = int(np.clip(np.searchsorted(x, end) - 1, 0, len(x) - 2))
    cell = float(x[k + 1] - x[k])
    if y[k] < -error[k] and y[k + 1] > error[k + 1]:
        end = float(0.5 * (x[k] + x[k + 1]))
    return end, float(np.hypot(np.sqrt(np.mean(np.square(moves))), cell / np.sqrt(12.0)))
