"""Moments of neutrino spectra: m_n(T) = int_{E_min(T)} dE phi(E) E^-n for n = 0, 1, 2."""

from collections.abc import Callable, Sequence
from typing import Final

import numpy as np

from nuhf.arrays import FloatArray
from nuhf.physics.cevns import minimum_energy
from nuhf.physics.spectra import Spectrum

__all__ = ["flux_moments"]


Weight = Callable[[FloatArray], FloatArray]

_WEIGHTS: Final[tuple[Weight, ...]] = (
    np.ones_like,
    lambda energy: energy**-1.0,
    lambda energy: energy**-2.0,
    np.log,
)


def flux_moments(
    spectrum: Spectrum,
    recoil: FloatArray,
    mass: float,
    threshold: FloatArray | None = None,
    logarithm: bool = False,
) -> FloatArray:
    """Return the moments on a recoil grid.

    Parameters
    ----------
    spectrum : Spectrum
        Smooth between its edges; lines are added exactly.
    recoil : ndarray
        T in MeV, (n_recoil,).
    mass : float
        Target mass in MeV.
    threshold : ndarray, optional
        Least energies in MeV, (n_recoil,); those of elastic scattering by default.
    logarithm : bool
        Whether a fourth one, of ln(E/MeV), is wanted.

    Returns
    -------
    ndarray
        Shape (3, n_recoil), in neutrinos x MeV^-n; with that of the logarithm (4, n_recoil), exact
        to 2e-4 for a spectrum in one piece from 0.
    """
    threshold = minimum_energy(recoil, mass) if threshold is None else threshold
    weights = _WEIGHTS if logarithm else _WEIGHTS[:3]
    total = np.zeros((len(weights), threshold.size))
    if spectrum.edges.size > 1:
        total += _smooth_moments(spectrum, threshold, weights)
    for energy, number in spectrum.lines:
        reachable = np.where(threshold < energy, number, 0.0)
        total += reachable * np.array([weight(np.array(energy)) for weight in weights])[:, None]
    return total


def _smooth_moments(
    spectrum: Spectrum, threshold: FloatArray, weights: Sequence[Weight]
) -> FloatArray:
    """Gauss-Legendre on whole pieces above the threshold plus the piece that it cuts."""
    edges = spectrum.edges
    x, w = np.polynomial.legendre.leggauss(spectrum.order)

    def integrate(low: FloatArray, high: FloatArray) -> FloatArray:
        half = 0.5 * (high - low)[:, np.newaxis]
        energy = 0.5 * (high + low)[:, np.newaxis] + half * x
        weighted = half * w * spectrum.density(energy)
        safe = np.where(energy > 0, energy, 1.0)
        return np.array([(weighted * weight(safe)).sum(axis=-1) for weight in weights])

    whole = integrate(edges[:-1], edges[1:])
    above = np.concatenate(
        [np.cumsum(whole[:, ::-1], axis=1)[:, ::-1], np.zeros((len(weights), 1))], 1
    )
    piece = np.clip(np.searchsorted(edges, threshold, side="right") - 1, 0, edges.size - 2)
    low = np.clip(threshold, edges[piece], edges[piece + 1])
    return np.asarray(integrate(low, edges[piece + 1]) + above[:, piece + 1])
