"""Quadrature in a signal, and rebinning of histograms."""

import itertools
from typing import Final

import numpy as np
from numpy.typing import NDArray

from nuhf.errors import InputError

__all__ = [
    "rebin",
    "signal_nodes",
    "weighted_bins",
]

FloatArray = NDArray[np.float64]

_MOST: Final = 1_000_000
"""Panels of the quadrature in a signal."""


def signal_nodes(
    edges: FloatArray,
    threshold: float,
    step: float = 1.0,
    order: int = 6,
    cuts: FloatArray | None = None,
) -> tuple[FloatArray, FloatArray]:
    """Gauss-Legendre nodes in the reconstructed signal that respect bin edges and threshold.

    Parameters
    ----------
    edges : ndarray
        Bin edges (n + 1,), any unit of the signal.
    threshold : float
        Where the efficiency has its kink; nodes below it are left out.
    step, order
        Largest panel, in the same unit, and nodes per panel.
    cuts : ndarray, optional
        Further values that no panel may contain.

    Returns
    -------
    nodes, weights : ndarray
        Both (n_nodes,), increasing nodes.

    Raises
    ------
    InputError
        If all bins are below the threshold, or too wide for the step.
    """
    if not threshold < edges[-1]:
        raise InputError(
            f"the efficiency is zero below {threshold:g}, and the bins end at {edges[-1]:g}"
        )
    low = max(float(edges[0]), threshold)
    if (edges[-1] - low) / step > _MOST:
        raise InputError(f"the bins end at {edges[-1]:g}: more than {_MOST} steps of {step:g}")
    inner = np.array([]) if cuts is None else cuts[(cuts > low) & (cuts < edges[-1])]
    kept = np.unique(np.concatenate([edges[edges > low], inner, [low]]))
    pieces = [
        np.linspace(a, b, max(1, int(np.ceil((b - a) / step))), endpoint=False)
        for a, b in itertools.pairwise(kept)
    ]
    panels = np.append(np.concatenate(pieces), kept[-1])
    x, w = np.polynomial.legendre.leggauss(order)
    half = 0.5 * np.diff(panels)
    nodes = (panels[:-1] + half)[:, np.newaxis] + half[:, np.newaxis] * x
    return nodes.ravel(), (half[:, np.newaxis] * w).ravel()


def weighted_bins(
    edges: FloatArray, nodes: FloatArray, weights: FloatArray, efficiency: FloatArray
) -> FloatArray:
    """Return the (n_bins, n_nodes) matrix that integrates efficiency x density over each bin."""
    index = np.searchsorted(edges, nodes, side="right") - 1
    matrix = np.zeros((edges.size - 1, nodes.size))
    matrix[index, np.arange(nodes.size)] = weights * efficiency
    return matrix


def rebin(edges_old: FloatArray, content: FloatArray, edges_new: FloatArray) -> FloatArray:
    """Sum a histogram into other bins, taking it as flat inside each old bin.

    Raises
    ------
    InputError
        If the new range is not inside the old one.
    """
    slack = 1e-9 * (edges_old[-1] - edges_old[0])
    if edges_new[0] < edges_old[0] - slack or edges_new[-1] > edges_old[-1] + slack:
        raise InputError(
            f"bins {edges_new[0]:g} to {edges_new[-1]:g} reach beyond the table, "
            f"{edges_old[0]:g} to {edges_old[-1]:g}"
        )
    cumulative = np.concatenate([[0.0], np.cumsum(content)])
    return np.diff(np.interp(edges_new, edges_old, cumulative))
