"""Smearing: probability that an electron-equivalent energy is recorded in each bin of a signal.

A smearing has one method, ``response(edges, energy, efficiency)``: the matrix (n_bins, n_energy)
of probabilities, accepted share included. Photoelectrons are counted in ones, reconstructed
energies in MeV.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Protocol

import numpy as np
from numpy.typing import NDArray
from scipy.special import gammaln

from nuhf.detector.efficiency import Efficiency
from nuhf.detector.gaussian import bin_probabilities
from nuhf.detector.response import signal_nodes, weighted_bins
from nuhf.units import KEV

__all__ = [
    "FanoWidth",
    "GammaSmearing",
    "GaussianSmearing",
    "PoissonLight",
    "PowerWidth",
    "Smearing",
    "Width",
]

FloatArray = NDArray[np.float64]
Width = Callable[[FloatArray], FloatArray]
"""Standard deviation in MeV at energies in MeV, same shape."""

_CHUNK: Final = 200
_REACH: Final = 9.0
"""Widths beyond which a Gaussian is left out: 1e-19 of it."""
_PANELS: Final = 20_000
_STANDARD_DEVIATIONS: Final = 10.0
_FARTHEST: Final = 1e4
_GRID: Final = 2001
_HALVINGS: Final = 20
"""Panels of photoelectrons from 0 to 1, each half as wide as the next."""


class Smearing(Protocol):
    """From true energies to bins of a recorded signal."""

    def response(self, edges: FloatArray, energy: FloatArray, efficiency: Efficiency) -> FloatArray:
        """Return the matrix (n_bins, n_energy), entries in [0, 1].

        ``edges`` (n_bins + 1,) in the unit of the signal, ``energy`` in MeV.
        """

    def reach(self, signal: float) -> float:
        """Return the energy in MeV above which nothing is recorded below a signal."""


def _reach(mean: Width, sigma: Width, signal: float, start: float) -> float:
    """Return the first energy on a fine grid from where mean - 10 sigma stays above a signal."""
    energy = start * np.geomspace(1.0, _FARTHEST, _GRID)
    below = mean(energy) - _STANDARD_DEVIATIONS * sigma(energy) < signal
    return float(energy[min(int(np.max(np.flatnonzero(below), initial=0)) + 1, _GRID - 1)])


@dataclass(frozen=True)
class GammaSmearing:
    """Gamma distribution of photoelectrons x at electron-equivalent energy E_ee.

    P(x) = [a (1+b)]^(1+b) x^b exp(-a (1+b) x) / Gamma(1+b), a = a0/E_ee, b = b0 E_ee; its mean
    is E_ee/a0. Source: COHERENT, arXiv:2110.07730, supplement.

    Attributes
    ----------
    a0_kev_ee : float
        In keV_ee.
    b0_per_kev_ee : float
        In 1/keV_ee.
    """

    a0_kev_ee: float
    b0_per_kev_ee: float

    def density(self, signal: FloatArray, energy: FloatArray) -> FloatArray:
        """Return P per photoelectron, shape (n_signal, n_energy).

        ``signal`` in photoelectrons and ``energy`` in MeV, both positive.
        """
        energy_kev = np.asarray(energy, dtype=float) / KEV
        shape = 1.0 + self.b0_per_kev_ee * energy_kev
        rate = self.a0_kev_ee / energy_kev * shape
        x = np.asarray(signal, dtype=float)[:, np.newaxis]
        constant = shape * np.log(rate) - gammaln(shape)
        # in place: this array is by far the largest of a template build
        exponent = np.log(x) * (shape - 1.0)
        exponent -= x * rate
        exponent += constant
        np.exp(exponent, out=exponent)
        return np.asarray(exponent)

    def response(self, edges: FloatArray, energy: FloatArray, efficiency: Efficiency) -> FloatArray:
        """Return the matrix (see `Smearing`), by quadrature in the signal."""
        # x^b has no polynomial near zero, where the density of little light lies
        cuts = np.union1d(efficiency.cuts, 0.5 ** np.arange(_HALVINGS))
        nodes, weights = signal_nodes(edges, efficiency.threshold, cuts=cuts)
        folded = weighted_bins(edges, nodes, weights, efficiency(nodes))
        return np.asarray(folded @ self.density(nodes, energy))

    def reach(self, signal: float) -> float:
        """Return the energy (see `Smearing`)."""

        def mean(energy: FloatArray) -> FloatArray:
            return np.asarray(energy / KEV / self.a0_kev_ee)

        def sigma(energy: FloatArray) -> FloatArray:
            return np.asarray(mean(energy) / np.sqrt(1.0 + self.b0_per_kev_ee * energy / KEV))

        return _reach(mean, sigma, signal, signal * self.a0_kev_ee * KEV)


@dataclass(frozen=True)
class PoissonLight:
    """Whole numbers n of photoelectrons, Poisson with mean yield x E_ee; n stands at n + placement.

    Source: COHERENT, arXiv:1804.09459.

    Attributes
    ----------
    pe_per_kev_ee : float
        Light yield.
    placement : float
        Place of n on the axis of photoelectrons, relative to n: -1/2 to 1/2.
    """

    pe_per_kev_ee: float
    placement: float

    def probability(self, numbers: FloatArray, energy: FloatArray) -> FloatArray:
        """Return the probability of whole numbers, shape (n_numbers, n_energy); energy in MeV."""
        mean = self.pe_per_kev_ee * np.asarray(energy, dtype=float) / KEV
        n = np.asarray(numbers, dtype=float)[:, np.newaxis]
        return np.asarray(np.exp(n * np.log(mean) - mean - gammaln(n + 1.0)))

    def response(self, edges: FloatArray, energy: FloatArray, efficiency: Efficiency) -> FloatArray:
        """Return the matrix (see `Smearing`); a number on an edge belongs to the bin above it."""
        first = max(0.0, np.ceil(edges[0] - self.placement))
        numbers = np.arange(first, np.ceil(edges[-1] - self.placement))
        place = numbers + self.placement
        folded = weighted_bins(edges, place, np.ones_like(place), efficiency(place))
        return np.asarray(folded @ self.probability(numbers, energy))

    def reach(self, signal: float) -> float:
        """Return the energy (see `Smearing`)."""

        def mean(energy: FloatArray) -> FloatArray:
            return np.asarray(self.pe_per_kev_ee * energy / KEV)

        def sigma(energy: FloatArray) -> FloatArray:
            return np.asarray(np.sqrt(mean(energy)))

        return _reach(mean, sigma, signal, signal / self.pe_per_kev_ee * KEV)


@dataclass(frozen=True)
class PowerWidth:
    """Width sigma(E) = sum_k c_k E^p_k, both in keV.

    Attributes
    ----------
    coefficients, powers : tuple of float
        c_k and p_k.
    """

    coefficients: tuple[float, ...]
    powers: tuple[float, ...]

    def __call__(self, energy: FloatArray) -> FloatArray:
        """Return the width in MeV at energies in MeV, same shape."""
        energy_kev = np.asarray(energy, dtype=float) / KEV
        pairs = zip(self.coefficients, self.powers, strict=True)
        return np.asarray(KEV * sum(c * energy_kev**p for c, p in pairs))


@dataclass(frozen=True)
class FanoWidth:
    """sigma^2 = noise^2 + pair energy x F x E_ee.

    Attributes
    ----------
    noise_kev : float
        Electronic noise, keV; positive.
    pair_energy_kev : float
        Mean energy per electron-hole pair: 2.96e-3 keV in germanium, 3.7e-3 keV in silicon.
    fano : float
        Fano factor F.
    """

    noise_kev: float
    pair_energy_kev: float
    fano: float

    def __call__(self, energy: FloatArray) -> FloatArray:
        """Return the width in MeV at E_ee in MeV, same shape."""
        energy_kev = np.asarray(energy, dtype=float) / KEV
        variance = self.noise_kev**2 + self.pair_energy_kev * self.fano * energy_kev
        return np.asarray(np.sqrt(variance) * KEV)


@dataclass(frozen=True)
class GaussianSmearing:
    """Gaussian of reconstructed energy around E_ee.

    Attributes
    ----------
    width : callable
        Standard deviation.
    positive : bool
        Whether the Gaussian is normalised on positive energies.
    factor : float
        Common factor on the width.
    """

    width: Width
    positive: bool = False
    factor: float = 1.0

    def response(self, edges: FloatArray, energy: FloatArray, efficiency: Efficiency) -> FloatArray:
        """Return the matrix (see `Smearing`), in closed form where the efficiency is straight."""
        energy = np.asarray(energy, dtype=float)
        sigma = self.factor * self.width(energy)
        if efficiency.straight and not efficiency.cuts.size:
            matrix = bin_probabilities(edges, energy, sigma, self.positive)
            return np.asarray(efficiency(energy) * matrix)
        if efficiency.straight:
            return self._straight(edges, energy, sigma, efficiency)
        step = max(float(sigma.min()), (edges[-1] - edges[0]) / _PANELS)
        nodes, weights = signal_nodes(edges, efficiency.threshold, step, cuts=efficiency.cuts)
        folded = weighted_bins(edges, nodes, weights, efficiency(nodes))
        z = (nodes[:, np.newaxis] - energy) / sigma
        density = np.exp(-0.5 * z**2) / (np.sqrt(2.0 * np.pi) * sigma)
        return np.asarray(folded @ density) / self._norm(energy, sigma)

    def reach(self, signal: float) -> float:
        """Return the energy (see `Smearing`)."""

        def sigma(energy: FloatArray) -> FloatArray:
            return np.asarray(self.factor * self.width(energy))

        near = signal + _STANDARD_DEVIATIONS * float(sigma(np.asarray(signal)))
        rises_slowly = near - _REACH * float(sigma(np.asarray(near))) >= signal
        return near if rises_slowly else _reach(np.asarray, sigma, signal, signal)

    def _norm(self, energy: FloatArray, sigma: FloatArray) -> FloatArray:
        if not self.positive:
            return np.ones_like(energy)
        return np.asarray(bin_probabilities(np.array([0.0, np.inf]), energy, sigma)[0])

    def _straight(
        self, edges: FloatArray, energy: FloatArray, sigma: FloatArray, efficiency: Efficiency
    ) -> FloatArray:
        """Integrate lines times Gaussians exactly.

        On every piece between cuts of the efficiency and bin edges the efficiency is a line
        e + s (y - x), whose product with a Gaussian of mean E has the integral
        (e + s (E - x)) (Phi_2 - Phi_1) - s sigma (phi_2 - phi_1).
        """
        inner = efficiency.cuts[(efficiency.cuts > edges[0]) & (efficiency.cuts < edges[-1])]
        cuts = np.unique(np.concatenate([edges, inner]))
        # values inside the pieces: at a cut itself the efficiency may jump
        third = np.diff(cuts) / 3.0
        low, high = efficiency(cuts[:-1] + third), efficiency(cuts[1:] - third)
        rise = np.where(cuts[:-1] < efficiency.threshold, 0.0, (high - low) / third)
        slope = rise[:, np.newaxis]
        level = (low - rise * third)[:, np.newaxis]
        owner = np.searchsorted(edges, cuts[:-1], side="right") - 1
        result = np.zeros((edges.size - 1, energy.size))
        for first in range(0, energy.size, _CHUNK):
            part = slice(first, first + _CHUNK)
            e, s = energy[part], sigma[part]
            near = cuts[1:] > (e - _REACH * s).min()
            near &= cuts[:-1] < (e + _REACH * s).max()
            if not near.any():
                continue
            start, end = np.flatnonzero(near)[[0, -1]]
            span, local = slice(start, end + 1), cuts[start : end + 2]
            with np.errstate(over="ignore"):  # for a width of almost nothing: exp(-inf) is right
                z = (local[:, np.newaxis] - e) / s
            peak = np.diff(np.exp(-0.5 * z**2) / np.sqrt(2.0 * np.pi), axis=0)
            line = level[span] + slope[span] * (e - local[:-1, np.newaxis])
            pieces = line * bin_probabilities(local, e, s) - slope[span] * s * peak
            begins = np.flatnonzero(np.diff(owner[span], prepend=-1))
            result[owner[span][begins], part] = np.add.reduceat(pieces, begins, axis=0)
        return np.asarray(result / self._norm(energy, sigma))
