"""Efficiency given by points, folded with a Gaussian energy resolution without quadrature."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nuhf.detector.gaussian import bin_probabilities
from nuhf.errors import InputError
from nuhf.units import KEV

__all__ = ["PowerWidth", "TabulatedEfficiency", "accepted_bins"]

FloatArray = NDArray[np.float64]

_CHUNK = 200
_REACH = 9.0
"""Widths beyond which a Gaussian is left out: 1e-19 of it."""


@dataclass(frozen=True)
class PowerWidth:
    """Width sigma(E) = sum_k c_k E^p_k of a Gaussian, both in keV.

    Attributes
    ----------
    coefficients, powers : tuple of float
        c_k and p_k.
    """

    coefficients: tuple[float, ...]
    powers: tuple[float, ...]

    def __call__(self, energy_mev: FloatArray) -> FloatArray:
        """Return the width in MeV at energies in MeV, same shape."""
        energy = np.asarray(energy_mev, dtype=float) / KEV
        pairs = zip(self.coefficients, self.powers, strict=True)
        return np.asarray(KEV * sum(c * energy**p for c, p in pairs))


@dataclass(frozen=True)
class TabulatedEfficiency:
    """Straight lines between points, zero below the first one.

    Attributes
    ----------
    energy : ndarray
        Points in MeV, increasing, (n_points,).
    efficiency : ndarray
        Values there, (n_points,).
    """

    energy: FloatArray
    efficiency: FloatArray

    def __call__(self, energy_mev: FloatArray) -> FloatArray:
        """Return the efficiency at energies in MeV, same shape.

        Raises
        ------
        InputError
            If an energy is above the last point.
        """
        energy = np.asarray(energy_mev, dtype=float)
        last = float(self.energy[-1])
        if energy.size and energy.max() > last * (1.0 + 1e-12):
            raise InputError(
                f"efficiency: {energy.max() / KEV:g} keV is above its table, "
                f"which ends at {last / KEV:g} keV"
            )
        return np.asarray(np.interp(energy, self.energy, self.efficiency, left=0.0))


def accepted_bins(
    edges_mev: FloatArray,
    efficiency: TabulatedEfficiency,
    energy_mev: FloatArray,
    sigma_mev: FloatArray,
) -> FloatArray:
    """Probability that an energy is reconstructed in each bin and accepted.

    The efficiency holds in reconstructed energy. On every piece between neighbouring points of
    the table and bin edges it is a straight line, whose product with a Gaussian has a closed
    integral: (e + s (E - x)) (Phi_2 - Phi_1) - s sigma (phi_2 - phi_1) for the line e + s (y - x).

    Parameters
    ----------
    edges_mev : ndarray
        Bin edges (n_bins + 1,), increasing.
    efficiency : TabulatedEfficiency
        In reconstructed energy.
    energy_mev, sigma_mev : ndarray
        True energies and widths, (n_energy,), widths positive.

    Returns
    -------
    ndarray
        Shape (n_bins, n_energy).

    Raises
    ------
    InputError
        If the last edge is above the table of the efficiency.
    """
    edges = np.asarray(edges_mev, dtype=float)
    first = float(efficiency.energy[0])
    inner = efficiency.energy[(efficiency.energy > edges[0]) & (efficiency.energy < edges[-1])]
    cuts = np.unique(np.concatenate([edges, inner]))
    height = efficiency(cuts)
    slope = np.where(cuts[:-1] < first, 0.0, np.diff(height) / np.diff(cuts))[:, np.newaxis]
    level = np.where(cuts[:-1] < first, 0.0, height[:-1])[:, np.newaxis]
    owner = np.searchsorted(edges, cuts[:-1], side="right") - 1
    energy, sigma = np.broadcast_arrays(energy_mev, sigma_mev)
    result = np.zeros((edges.size - 1, energy.size))
    for low in range(0, energy.size, _CHUNK):
        part = slice(low, low + _CHUNK)
        e, s = energy[part], sigma[part]
        reach = _REACH * s
        near = cuts[1:] > (e - reach).min()
        near &= cuts[:-1] < (e + reach).max()
        if not near.any():
            continue
        first_cut, last_cut = np.flatnonzero(near)[[0, -1]]
        span = slice(first_cut, last_cut + 1)
        local = cuts[first_cut : last_cut + 2]
        with np.errstate(over="ignore"):  # for a width of almost nothing: exp(-inf) is right
            z = (local[:, np.newaxis] - e) / s
        peak = np.diff(np.exp(-0.5 * z**2) / np.sqrt(2.0 * np.pi), axis=0)
        line = level[span] + slope[span] * (e - local[:-1, np.newaxis])
        pieces = line * bin_probabilities(local, e, s) - slope[span] * s * peak
        columns = np.arange(low, low + e.size)
        np.add.at(result, (owner[span][:, np.newaxis], columns), pieces)
    return result
