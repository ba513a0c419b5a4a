"""Where a tabulated function is zero, and how far its error moves that."""

import numpy as np
from numpy.typing import NDArray

__all__ = ["crossing_cell", "end_with_error"]

FloatArray = NDArray[np.float64]


def crossing_cell(x: FloatArray, y: FloatArray) -> int:
    """Cell where y changes sign, the one nearest to the middle; else the one nearest to it."""
    cells = np.flatnonzero(np.signbit(y[1:]) != np.signbit(y[:-1]))
    if not len(cells):
        return int(np.clip(np.argmin(np.abs(y)), 0, len(x) - 2))
    centre = 0.5 * (x[0] + x[-1])
    return int(cells[np.argmin(np.abs(0.5 * (x[cells] + x[cells + 1]) - centre))])


def end_with_error(x: FloatArray, y: FloatArray, error: FloatArray) -> tuple[float, float]:
    """Where y (n,) is 0, and how far from there the edges of its error are."""
    cell = crossing_cell(x, y)
    end = _zero(x, y, cell)
    noise = float(np.interp(end, x, error))
    width = float(x[-1] - x[0])
    # flat within its error: anywhere here, or further by the slope of all
    beyond = max(0.5 * width, noise * width / max(abs(float(y[-1] - y[0])), 1e-12))
    edges = []
    for shift in (noise, -noise):
        shifted = y - shift
        cells = np.flatnonzero(np.signbit(shifted[1:]) != np.signbit(shifted[:-1]))
        near = [abs(_zero(x, shifted, int(c)) - end) for c in cells]
        edges.append(min(near, default=beyond))
    # of counts the function has steps: the two sides differ, and the larger one is claimed
    return end, max(*edges, 0.5 * float(x[cell + 1] - x[cell]) / np.sqrt(3.0))


def _zero(x: FloatArray, y: FloatArray, cell: int) -> float:
    """Linear crossing in a cell; its nearer end if there is none."""
    a, b = y[cell], y[cell + 1]
    part = a / (a - b) if a != b else 0.5
    return float(x[cell] + (x[cell + 1] - x[cell]) * min(max(part, 0.0), 1.0))
