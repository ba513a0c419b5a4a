"""Quadrature in a signal, Gaussian resolution in bins, and rebinning of histograms."""

import itertools
from typing import Final

import numpy as np
from scipy.special import ndtr

from nuhf.arrays import FloatArray
from nuhf.errors import InputError

__all__ = ["bin_probabilities", "rebin", "signal_nodes", "weighted_bins"]


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

    `InputError` if the new range is not inside the old one.
    """
    slack = 1e-9 * (edges_old[-1] - edges_old[0])
    if edges_new[0] < edges_old[0] - slack or edges_new[-1] > edges_old[-1] + slack:
        raise InputError(
            f"bins {edges_new[0]:g} to {edges_new[-1]:g} reach beyond the table, "
            f"{edges_old[0]:g} to {edges_old[-1]:g}"
        )
    cumulative = np.concatenate([[0.0], np.cumsum(content)])
    return np.diff(np.interp(edges_new, edges_old, cumulative))


def bin_probabilities(
    edges_mev: FloatArray, energy_mev: FloatArray, sigma_mev: FloatArray, positive: bool = False
) -> FloatArray:
    """Probability that a Gaussian of mean E and width sigma falls into each bin.

    Parameters
    ----------
    edges_mev : ndarray
        Bin edges in MeV, (n_bins + 1,), increasing.
    energy_mev : ndarray
        Means in MeV, (n_recoil,).
    sigma_mev : ndarray
        Widths in MeV, (n_recoil,) or a single one, positive.
    positive : bool
        Whether the density is cut at zero and normalised on positive energies.

    Returns
    -------
    ndarray
        Shape (n_bins, n_recoil). At z widths from the mean the relative error is about
        3e-16 (1 + z^2 + (1 + |z|) sigma/(bin width)): the rounding of z, and the difference of
        two one-sided tail probabilities.

    Raises
    ------
    InputError
        If there is no bin, the edges do not increase, or a width is not positive.
    """
    edges = np.asarray(edges_mev, dtype=float)
    energy, sigma = np.broadcast_arrays(
        np.asarray(energy_mev, dtype=float), np.asarray(sigma_mev, dtype=float)
    )
    if edges.ndim != 1 or edges.size < 2 or not np.all(np.diff(edges) > 0):
        raise InputError("Gaussian resolution: bin edges must increase and make at least one bin")
    if not np.all(sigma > 0):
        raise InputError(f"Gaussian resolution: width {np.min(sigma):g} MeV is not positive")
    if positive:
        edges = np.maximum(edges, 0.0)
    with np.errstate(over="ignore"):  # for a width of almost nothing: steps are right
        z = (edges[:, np.newaxis] - energy) / sigma
        above_zero = energy / sigma
    # right of the mean the difference of the upper tails: that of the lower ones is 1 - 1 there
    tail, right = ndtr(-np.abs(z)), z > 0
    below = np.where(right, 1.0 - tail, tail)
    probability = np.where(right[:-1], -np.diff(tail, axis=0), np.diff(below, axis=0))
    if positive:
        probability /= ndtr(above_zero)
    return np.asarray(probability)
