"""Smearing: probability that an electron-equivalent energy is recorded in each bin of a signal.

A smearing has one method, ``response(edges, energy, efficiency)``: the matrix (n_bins, n_energy)
of probabilities, accepted share included. Photoelectrons are counted in ones, reconstructed
energies in MeV.
"""

import itertools
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from scipy.special import gammaln, ndtr

from nuhf.arrays import FloatArray
from nuhf.detector.efficiency import Efficiency
from nuhf.errors import InputError
from nuhf.units import KEV

Width = Callable[[FloatArray], FloatArray]
"""Standard deviation in MeV at energies in MeV, same shape."""

_CHUNK: Final = 200
_REACH: Final = 9.0
"""Widths beyond which a Gaussian is left out: 1e-19 of it."""
_PANELS: Final = 20_000
_MOST: Final = 1_000_000
"""Panels of the quadrature in a signal."""
_STANDARD_DEVIATIONS: Final = 10.0
_FARTHEST: Final = 1e4
_GRID: Final = 2001
_HALVINGS: Final = 20
"""Panels of photoelectrons from 0 to 1, each half as wide as the next."""


class Smearing(ABC):
    """From true energies to bins of a recorded signal, whose mean is proportional to them."""

    @property
    def gain(self) -> float:
        """Mean signal per MeV; 1 for reconstructed energies."""
        return 1.0

    @abstractmethod
    def sigma(self, energy: FloatArray) -> FloatArray:
        """Return the standard deviation of the signal at energies in MeV, same shape."""

    @abstractmethod
    def response(self, edges: FloatArray, energy: FloatArray, efficiency: Efficiency) -> FloatArray:
        """Return the matrix (n_bins, n_energy), entries in [0, 1].

        ``edges`` (n_bins + 1,) in the unit of the signal, ``energy`` in MeV.
        """

    def reach(self, signal: float) -> float:
        """Return the energy in MeV above which nothing is recorded below a signal.

        The first one on a fine grid from where mean - 10 sigma stays above it.
        """
        energy = signal / self.gain * np.geomspace(1.0, _FARTHEST, _GRID)
        below = self.gain * energy - _STANDARD_DEVIATIONS * self.sigma(energy) < signal
        return float(energy[min(int(np.max(np.flatnonzero(below), initial=0)) + 1, _GRID - 1)])


@dataclass(frozen=True)
class GammaSmearing(Smearing):
    """Gamma distribution of photoelectrons x at electron-equivalent energy E_ee.

    P(x) = [a (1+b)]^(1+b) x^b exp(-a (1+b) x) / Gamma(1+b), a = a0/E_ee, b = b0 E_ee; its mean
    is E_ee/a0. Source: COHERENT, arXiv:2110.07730, supplement.
    """

    a0_kev_ee: float
    b0_per_kev_ee: float

    @property
    def gain(self) -> float:
        """Photoelectrons per MeV."""
        return 1.0 / (self.a0_kev_ee * KEV)

    def sigma(self, energy: FloatArray) -> FloatArray:
        """Return the standard deviation (see `Smearing`)."""
        return np.asarray(self.gain * energy / np.sqrt(1.0 + self.b0_per_kev_ee * energy / KEV))

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


@dataclass(frozen=True)
class PoissonLight(Smearing):
    """Whole numbers n of photoelectrons, Poisson with mean yield x E_ee.

    On the axis n stands at n + ``placement``, -1/2 to 1/2. Source: COHERENT, arXiv:1804.09459.
    """

    pe_per_kev_ee: float
    placement: float

    @property
    def gain(self) -> float:
        """Photoelectrons per MeV."""
        return self.pe_per_kev_ee / KEV

    def sigma(self, energy: FloatArray) -> FloatArray:
        """Return the standard deviation (see `Smearing`)."""
        return np.asarray(np.sqrt(self.gain * energy))

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


def power_width(coefficients: Sequence[float], powers: Sequence[float]) -> Width:
    """Return sigma(E) = sum_k c_k E^p_k, both in keV for the constants."""

    def width(energy: FloatArray) -> FloatArray:
        energy_kev = np.asarray(energy, dtype=float) / KEV
        return np.asarray(
            KEV * sum(c * energy_kev**p for c, p in zip(coefficients, powers, strict=True))
        )

    return width


def fano_width(noise_kev: float, pair_energy_kev: float, fano: float) -> Width:
    """Return sigma, with sigma^2 = noise^2 + pair energy x Fano factor x E_ee.

    The mean energy per electron-hole pair is 2.96e-3 keV in germanium, 3.7e-3 keV in silicon.
    """

    def width(energy: FloatArray) -> FloatArray:
        variance = noise_kev**2 + pair_energy_kev * fano * (np.asarray(energy, dtype=float) / KEV)
        return np.asarray(np.sqrt(variance) * KEV)

    return width


@dataclass(frozen=True)
class GaussianSmearing(Smearing):
    """Gaussian of reconstructed energy around E_ee; ``factor`` widens it.

    With ``positive`` it is normalised on positive energies.
    """

    width: Width
    positive: bool = False
    factor: float = 1.0

    def sigma(self, energy: FloatArray) -> FloatArray:
        """Return the standard deviation (see `Smearing`)."""
        return np.asarray(self.factor * self.width(energy))

    def response(self, edges: FloatArray, energy: FloatArray, efficiency: Efficiency) -> FloatArray:
        """Return the matrix (see `Smearing`), in closed form where the efficiency is straight."""
        energy = np.asarray(energy, dtype=float)
        sigma = self.sigma(energy)
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
        near = signal + _STANDARD_DEVIATIONS * float(self.sigma(np.asarray(signal)))
        rises_slowly = near - _REACH * float(self.sigma(np.asarray(near))) >= signal
        return near if rises_slowly else super().reach(signal)

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


# --------------------------------------------------------------------------- bins


def signal_nodes(
    edges: FloatArray,
    threshold: float,
    step: float = 1.0,
    order: int = 6,
    cuts: FloatArray | None = None,
) -> tuple[FloatArray, FloatArray]:
    """Return Gauss-Legendre nodes, increasing, and weights in a signal, both (n_nodes,).

    They respect edges (n + 1,) of bins in any unit, further ``cuts`` that no panel may contain,
    and a threshold of the efficiency, below which they are left out. Panels are at most a step in
    the same unit, with ``order`` nodes each. `InputError` if all bins are below the threshold, or
    too wide for the step.
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
    return panel_nodes(panels, order)


def panel_nodes(panels: FloatArray, order: int) -> tuple[FloatArray, FloatArray]:
    """Return Gauss-Legendre nodes and weights between neighbouring edges of panels."""
    x, w = np.polynomial.legendre.leggauss(order)
    half = 0.5 * np.diff(panels)[:, np.newaxis]
    return (panels[:-1, np.newaxis] + half + half * x).ravel(), (half * w).ravel()


def weighted_bins(
    edges: FloatArray, nodes: FloatArray, weights: FloatArray, efficiency: FloatArray
) -> FloatArray:
    """Return the (n_bins, n_nodes) matrix that integrates efficiency x density over each bin."""
    index = np.searchsorted(edges, nodes, side="right") - 1
    matrix = np.zeros((edges.size - 1, nodes.size))
    matrix[index, np.arange(nodes.size)] = weights * efficiency
    return matrix


def rebin(edges_old: FloatArray, content: FloatArray, edges_new: FloatArray) -> FloatArray:
    """Sum a histogram into other bins inside its own, taking it as flat in each (`InputError`)."""
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
    """Return the probability that a Gaussian falls into each bin, (n_bins, n_recoil).

    Edges (n_bins + 1,) increase; means (n_recoil,), widths likewise or a single one, all in MeV.
    With ``positive`` the density is cut at zero and normalised on positive energies. At z widths
    from the mean the relative error is about 3e-16 (1 + z^2 + (1 + |z|) sigma/(bin width)): the
    rounding of z, and the difference of two one-sided tail probabilities. `InputError` if there is
    no bin, the edges do not increase, or a width is not positive.
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
