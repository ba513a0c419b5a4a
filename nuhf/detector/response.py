"""Quadrature in a signal, and rebinning of histograms and counts."""

import itertools

import numpy as np
from numpy.typing import NDArray

from nuhf.detector.efficiency import ExponentialTimeEfficiency
from nuhf.errors import InputError

__all__ = [
    "accepted_fractions",
    "rebin",
    "rebin_counts",
    "signal_nodes",
    "weighted_bins",
]

FloatArray = NDArray[np.float64]


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
        If all bins are below the threshold.
    """
    if not threshold < edges[-1]:
        raise InputError(
            f"the efficiency is zero below {threshold:g}, and the bins end at {edges[-1]:g}"
        )
    low = max(float(edges[0]), threshold)
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


def accepted_fractions(
    edges_old: FloatArray,
    content: FloatArray,
    edges_new: FloatArray,
    efficiency: ExponentialTimeEfficiency,
) -> FloatArray:
    """Time histogram times efficiency, in new bins; not renormalised.

    The efficiency is averaged over each old bin, over which the profile is taken as flat.
    """
    return rebin(edges_old, content * efficiency.mean(edges_old), edges_new)


def rebin_counts(
    lower: FloatArray, upper: FloatArray, counts: FloatArray, edges: FloatArray
) -> FloatArray:
    """Sum counts of cells into bins along one axis; a cell must lie in one bin or outside all.

    Parameters
    ----------
    lower, upper : ndarray
        Cell edges (n_cells,).
    counts : ndarray
        Counts, (n_cells,) or (n_cells, k).
    edges : ndarray
        Bin edges (n_bins + 1,).

    Returns
    -------
    ndarray
        Shape (n_bins,) or (n_bins, k).

    Raises
    ------
    InputError
        If an edge cuts through a cell.
    """
    index = np.searchsorted(edges, lower + 1e-9, side="right") - 1
    end = np.searchsorted(edges, upper - 1e-9, side="right") - 1
    if np.any(index != end):
        cell = int(np.argmax(index != end))
        raise InputError(
            f"a bin edge cuts the cell {lower[cell]:g} to {upper[cell]:g} of the count table"
        )
    inside = (index >= 0) & (index < edges.size - 1)
    result = np.zeros((edges.size - 1, *counts.shape[1:]))
    np.add.at(result, index[inside], counts[inside])
    return result
