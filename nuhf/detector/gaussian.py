"""Gaussian energy resolution, integrated over bins analytically."""

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr

from nuhf.errors import InputError

__all__ = ["bin_probabilities"]

FloatArray = NDArray[np.float64]


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
