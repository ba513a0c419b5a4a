"""Nested quadrature in the recoil, and moments of neutrino spectra in the energy.

Every integral over recoils comes with an estimate of its error.

Fejer's second rule with 15 nodes holds the 7-node rule inside it, so the error estimate costs
no further evaluation; it has no node at a panel's ends, where spectra and lines have kinks.

The estimate is a bound where the integrand is smooth inside panels, or singular at their ends
(within 1 % for x^-1/2, more than three times too large for weaker singularities). For a kink or
jump inside a panel it is the typical size of the error: twice that on average, but too small at
up to one place in five, where both rules happen to agree. That is why kinks have to be edges.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from nuhf.arrays import FloatArray
from nuhf.physics.cevns import minimum_energy
from nuhf.physics.spectra import Spectrum

_INTERVALS = 16

Weight = Callable[[FloatArray], FloatArray]

_WEIGHTS: Final[tuple[Weight, ...]] = (
    np.ones_like,
    lambda energy: energy**-1.0,
    lambda energy: energy**-2.0,
    np.log,
)


@dataclass(frozen=True)
class Grid:
    """Nodes with the weights of the fine rule and of the coarse rule inside it."""

    nodes: FloatArray
    fine: FloatArray
    coarse: FloatArray
    """All (n_nodes,); ``coarse`` is zero at the nodes it does not use."""


def fejer(intervals: int) -> tuple[FloatArray, FloatArray]:
    """Nodes and weights of Fejer's second rule on [-1, 1], ``intervals`` - 1 of them.

    Source: J. Waldvogel, BIT Numer. Math. 46, 195 (2006), doi:10.1007/s10543-006-0045-4.
    Exact for polynomials of degree below ``intervals`` - 1.
    """
    angle = np.pi * np.arange(1, intervals) / intervals
    odd = np.arange(1, intervals, 2)
    series = np.sin(np.outer(angle, odd)) @ (1.0 / odd)
    return np.cos(angle), 4.0 / intervals * np.sin(angle) * series


def panel_grid(edges: FloatArray) -> Grid:
    """Build the nested rule on every panel between neighbouring edges (n_panels + 1,)."""
    nodes, fine = fejer(_INTERVALS)
    coarse = np.zeros_like(fine)
    coarse[1::2] = fejer(_INTERVALS // 2)[1]
    half = 0.5 * np.diff(edges)[:, np.newaxis]
    middle = 0.5 * (edges[:-1] + edges[1:])[:, np.newaxis]
    return Grid((middle - half * nodes).ravel(), (half * fine).ravel(), (half * coarse).ravel())


# ------------------------------------------------------------------------- moments


def flux_moments(
    spectrum: Spectrum,
    recoil: FloatArray,
    mass: float,
    threshold: FloatArray | None = None,
    logarithm: bool = False,
) -> FloatArray:
    """Return m_n(T) = int_{E_min(T)} dE phi(E) E^-n for n = 0, 1, 2 on a recoil grid.

    The spectrum is smooth between its edges, lines are added exactly. T (n_recoil,) and the mass of
    the target are in MeV, ``threshold`` (n_recoil,) are least energies, those of elastic scattering
    by default. The shape is (3, n_recoil), in neutrinos x MeV^-n; with the ``logarithm`` there is a
    fourth moment, of ln(E/MeV), exact to 2e-4 for a spectrum in one piece from 0.
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
