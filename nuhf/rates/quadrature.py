"""Nested quadrature on panels: every integral comes with an estimate of its error.

Fejer's second rule with 15 nodes holds the 7-node rule inside it, so the error estimate costs
no further evaluation; it has no node at a panel's ends, where spectra and lines have kinks.

The estimate is a bound where the integrand is smooth inside panels, or singular at their ends
(within 1 % for x^-1/2, more than three times too large for weaker singularities). For a kink or
jump inside a panel it is the typical size of the error: twice that on average, but too small at
up to one place in five, where both rules happen to agree. That is why kinks have to be edges.
"""

from dataclasses import dataclass

import numpy as np

from nuhf.arrays import FloatArray

__all__ = ["Grid", "fejer", "panel_grid"]


_INTERVALS = 16


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
