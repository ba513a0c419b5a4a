"""Energy resolution: probability density of the reconstructed signal."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import gammaln

from nuhf.units import KEV

__all__ = ["GammaSmearing", "PoissonLight"]

FloatArray = NDArray[np.float64]


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

        Parameters
        ----------
        signal : ndarray
            Photoelectrons, (n_signal,), positive.
        energy : ndarray
            E_ee in MeV, (n_energy,), positive.
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
        """Return the probability of each number, shape (n_numbers, n_energy).

        Parameters
        ----------
        numbers : ndarray
            Whole numbers of photoelectrons, (n_numbers,).
        energy : ndarray
            E_ee in MeV, (n_energy,), positive.
        """
        mean = self.pe_per_kev_ee * np.asarray(energy, dtype=float) / KEV
        n = np.asarray(numbers, dtype=float)[:, np.newaxis]
        return np.asarray(np.exp(n * np.log(mean) - mean - gammaln(n + 1.0)))
