"""Light or ionisation of nuclear recoils, with the key of the file in front of what is refused."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from nuhf.errors import InputError
from nuhf.units import KEV

__all__ = ["Checked"]

FloatArray = NDArray[np.float64]

_ROUNDING: Final = 1e-9


@dataclass(frozen=True)
class Checked:
    """A quenching curve that gives no more energy than the recoil has.

    Attributes
    ----------
    curve : callable
        E_ee in MeV of recoils in MeV, any shape.
    recoil_range : (float, float)
        Its range of validity in MeV.
    where : str
        File and key that it comes from, for messages.
    """

    curve: Callable[[FloatArray], FloatArray]
    recoil_range: tuple[float, float]
    where: str

    def __call__(self, recoil: FloatArray) -> FloatArray:
        """Return E_ee in MeV for recoil energies in MeV, any shape.

        Raises
        ------
        InputError
            If the curve refuses a recoil, or its quenching factor is above 1.
        """
        recoil = np.asarray(recoil, dtype=float)
        try:
            energy = self.curve(recoil)
        except InputError as error:
            raise InputError(f"{self.where}: {str(error).removeprefix('quenching: ')}") from None
        factor = np.divide(energy, recoil, out=np.zeros_like(recoil), where=recoil > 0)
        if np.any(factor > 1.0 + _ROUNDING):
            worst = int(np.argmax(factor))
            raise InputError(
                f"{self.where}: the quenching factor is {factor.flat[worst]:.3g} for a recoil of "
                f"{recoil.flat[worst] / KEV:.4g} keV; allowed: at most 1"
            )
        return energy
