"""Quenching: electron-equivalent energy of a nuclear recoil."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nuhf.errors import InputError
from nuhf.units import KEV

__all__ = ["PolynomialQuenching", "Quenching", "TabulatedQuenching"]

FloatArray = NDArray[np.float64]
Quenching = Callable[[FloatArray], FloatArray]
"""Recoil energies in MeV to E_ee in MeV, any shape."""


def _inside(recoil: FloatArray, span: tuple[float, float]) -> FloatArray:
    """Return recoils as an array, if all lie in the range of validity."""
    recoil, (low, high) = np.asarray(recoil, dtype=float), span
    if recoil.size and (recoil.min() < low or recoil.max() > high):
        raise InputError(
            f"quenching: recoil {recoil.min() / KEV:.4g} to {recoil.max() / KEV:.4g} keV "
            f"is outside {low / KEV:.4g} to {high / KEV:.4g} keV"
        )
    return recoil


@dataclass(frozen=True)
class PolynomialQuenching:
    """E_ee = c_1 T + c_2 T^2 + ... (MeV), inside a stated range of T.

    Attributes
    ----------
    coefficients : tuple of float
        c_1, c_2, ... in MeV^(1-n).
    recoil_range : (float, float)
        Validity in MeV; beyond it the polynomial is not extrapolated.
    """

    coefficients: tuple[float, ...]
    recoil_range: tuple[float, float]

    def __call__(self, recoil: FloatArray) -> FloatArray:
        """Return E_ee in MeV for recoil energies in MeV, any shape.

        Raises
        ------
        InputError
            If a recoil lies outside the range of validity or E_ee is not positive.
        """
        recoil = _inside(recoil, self.recoil_range)
        energy = np.polynomial.polynomial.polyval(recoil, [0.0, *self.coefficients])
        if np.any(energy <= 0):
            raise InputError("quenching: the polynomial gives no positive light for some recoil")
        return np.asarray(energy)


@dataclass(frozen=True)
class TabulatedQuenching:
    """E_ee = scale qf(T) T (MeV), with the quenching factor linear between the tabulated points.

    Attributes
    ----------
    recoil : ndarray
        T in MeV, (n,), increasing: also the range of validity.
    factor : ndarray
        qf = E_ee/T, (n,).
    scale : float
        Common factor on the light.
    """

    recoil: FloatArray
    factor: FloatArray
    scale: float = 1.0

    def __call__(self, recoil: FloatArray) -> FloatArray:
        """Return E_ee in MeV for recoil energies in MeV, any shape.

        Raises
        ------
        InputError
            If a recoil lies outside the table.
        """
        recoil = _inside(recoil, (float(self.recoil[0]), float(self.recoil[-1])))
        return np.asarray(self.scale * recoil * np.interp(recoil, self.recoil, self.factor))
