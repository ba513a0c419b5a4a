"""Response matrices and rebinning."""

import itertools

import numpy as np
from numpy.typing import NDArray

from nuhf.detector.efficiency import ExponentialTimeEfficiency, LogisticEfficiency
from nuhf.detector.resolution import GammaSmearing, PoissonLight
from nuhf.errors import InputError

__all__ = [
    "accepted_fractions",
    "poisson_response_matrix",
    "rebin",
    "rebin_counts",
    "response_matrix",
    "signal_nodes",
    "weighted_bins",
]

FloatArray = NDArray[np.float64]


def signal_nodes(
    edges: FloatArray, threshold: float, step: float = 1.0, order: int = 6
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
    kept = np.unique(np.append(edges[edges > low], low))
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


def response_matrix(
    edges: FloatArray,
    energy: FloatArray,
    smearing: GammaSmearing,
    efficiency: LogisticEfficiency,
) -> FloatArray:
    """Probability that a recoil of light yield E_ee is recorded in each bin of the signal.

    Parameters
    ----------
    edges : ndarray
        Photoelectron edges (n_bins + 1,).
    energy : ndarray
        E_ee in MeV, (n_recoil,).

    Returns
    -------
    ndarray
        Shape (n_bins, n_recoil), entries in [0, 1].
    """
    nodes, weights = signal_nodes(edges, efficiency.threshold)
    folded = weighted_bins(edges, nodes, weights, efficiency(nodes))
    return folded @ smearing.density(nodes, energy)


def poisson_response_matrix(
    edges: FloatArray, energy: FloatArray, light: PoissonLight, efficiency: LogisticEfficiency
) -> FloatArray:
    """Probability that a recoil of light yield E_ee is recorded in each bin, whole photoelectrons.

    A number on an edge belongs to the bin above it.

    Parameters
    ----------
    edges : ndarray
        Photoelectron edges (n_bins + 1,).
    energy : ndarray
        E_ee in MeV, (n_recoil,).

    Returns
    -------
    ndarray
        Shape (n_bins, n_recoil), entries in [0, 1].
    """
    first = max(0.0, np.ceil(edges[0] - light.placement))
    numbers = np.arange(first, np.ceil(edges[-1] - light.placement))
    place = numbers + light.placement
    folded = weighted_bins(edges, place, np.ones_like(place), efficiency(place))
    return folded @ light.probability(numbers, energy)


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
