"""Quenching: electron-equivalent energy E_ee = Q(T) T of a recoil of energy T, in any target.

Quenching is always a function of the recoil energy, evaluated on the recoil grid: some curves
(iron-filtered neutrons on germanium) are not monotonic, so that no inverse and no Jacobian exist.
"""

from dataclasses import dataclass
from typing import Final, Protocol

import numpy as np
from numpy.typing import NDArray

from nuhf.errors import InputError
from nuhf.units import KEV

__all__ = [
    "LindhardQuenching",
    "MixedQuenching",
    "PolynomialQuenching",
    "Quenching",
    "RationalQuenching",
    "TableQuenching",
    "Unquenched",
    "recoil_at",
]

FloatArray = NDArray[np.float64]

_BISECTIONS: Final = 60
_SCAN: Final = 2000
_LOWEST_KEV: Final = 1e-9
_HIGHEST_KEV: Final = 100.0
"""Between these the recoil of an E_ee is searched for, and found to `_ROOT_KEV`."""
_ROOT_KEV: Final = 1e-12


class Quenching(Protocol):
    """Electron-equivalent energy of recoils."""

    @property
    def recoil_range(self) -> tuple[float, float]:
        """Range of validity in MeV; outside, calling raises `InputError`."""

    def __call__(self, recoil: FloatArray) -> FloatArray:
        """Return E_ee in MeV for recoil energies in MeV, any shape."""


def _inside(recoil: FloatArray, recoil_range: tuple[float, float]) -> FloatArray:
    """Return recoils as an array, if all lie in the range of validity."""
    recoil = np.asarray(recoil, dtype=float)
    low, high = recoil_range
    if recoil.size and not (recoil.min() >= low and recoil.max() <= high):
        raise InputError(
            f"recoils of {recoil.min() / KEV:.4g} to {recoil.max() / KEV:.4g} keV "
            f"are outside {low / KEV:.4g} to {high / KEV:.4g} keV"
        )
    return recoil


@dataclass(frozen=True)
class Unquenched:
    """Electrons: E_ee is the recoil energy."""

    recoil_range: tuple[float, float] = (0.0, np.inf)

    def __call__(self, recoil: FloatArray) -> FloatArray:
        """Return E_ee in MeV (see `Quenching`)."""
        return _inside(recoil, self.recoil_range)


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
        """Return E_ee in MeV (see `Quenching`); `InputError` if it is not positive."""
        recoil = _inside(recoil, self.recoil_range)
        energy = np.polynomial.polynomial.polyval(recoil, [0.0, *self.coefficients])
        if np.any(energy <= 0):
            raise InputError("the polynomial gives no positive light for some recoil")
        return np.asarray(energy)


@dataclass(frozen=True)
class LindhardQuenching:
    """Q = k g/(1 + k g), g = 3 eps^0.15 + 0.7 eps^0.6 + eps, eps = 11.5 Z^(-7/3) T/keV.

    Source: J. Lindhard et al., Mat. Fys. Medd. Dan. Vid. Selsk. 33, no. 10 (1963). The formula
    has no lower end; what it says below the measurements (0.2 keV in germanium) is an assumption.

    Attributes
    ----------
    k : float
        Strength of the electronic stopping, about 0.133 Z^(2/3) A^(-1/2); 0 to 1.
    protons : int
        Z of the target, which is that of the recoiling nucleus.
    """

    k: float
    protons: int
    recoil_range: tuple[float, float] = (0.0, np.inf)

    def __post_init__(self) -> None:
        if not 0 < self.k < 1:
            raise InputError(f"Lindhard's k = {self.k!r} is not between 0 and 1")

    def __call__(self, recoil: FloatArray) -> FloatArray:
        """Return E_ee in MeV (see `Quenching`)."""
        recoil = _inside(recoil, self.recoil_range)
        eps = 11.5 * self.protons ** (-7.0 / 3.0) * recoil / KEV
        kg = self.k * (3.0 * eps**0.15 + 0.7 * eps**0.6 + eps)
        return np.asarray(recoil * kg / (1.0 + kg))


@dataclass(frozen=True, eq=False)
class TableQuenching:
    """Quenching factors at recoil energies, Q linear in between.

    Attributes
    ----------
    recoil : ndarray
        Recoil energies in MeV, (n,), increasing: also the range of validity.
    factor : ndarray
        Q, (n,).
    """

    recoil: FloatArray
    factor: FloatArray

    @property
    def recoil_range(self) -> tuple[float, float]:
        """The ends of the table, in MeV."""
        return float(self.recoil[0]), float(self.recoil[-1])

    def __call__(self, recoil: FloatArray) -> FloatArray:
        """Return E_ee in MeV (see `Quenching`)."""
        recoil = _inside(recoil, self.recoil_range)
        return np.asarray(recoil * np.interp(recoil, self.recoil, self.factor))


@dataclass(frozen=True)
class RationalQuenching:
    """Fit of Q in the ionisation energy E = E_ee/keV, solved for E at given recoil.

    A = sum_i a_i E^i, B = sum_i b_i E^i. Source: A. N. Khan, arXiv:2203.08892, eqs 3.2 to 3.7,
    as they have to be read (``data/germanium/quenching_khan2022.toml``).

    Attributes
    ----------
    form : str
        ``EA/B``, ``EB/A`` or ``E/A``.
    a, b : tuple of float
        Coefficients; ``b`` is empty for ``E/A``.
    valid_kev_ee : (float, float)
        Range of E where the fit is smooth and E_nr = E/Q rises; the recoil range follows.
    """

    form: str
    a: tuple[float, ...]
    b: tuple[float, ...]
    valid_kev_ee: tuple[float, float]

    def factor(self, energy_kev_ee: FloatArray) -> FloatArray:
        """Return Q at E_ee in keV, any shape; also outside the range, to show its poles."""
        energy = np.asarray(energy_kev_ee, dtype=float)
        return np.asarray(energy / self._recoil_kev(energy))

    def _recoil_kev(self, energy: FloatArray) -> FloatArray:
        """E_nr = E/Q in keV: a ratio without the factor E that is common to all forms."""
        polyval = np.polynomial.polynomial.polyval
        top, bottom = {
            "EA/B": (self.b, self.a), "EB/A": (self.a, self.b), "E/A": (self.a, (1.0,)),
        }[self.form]  # fmt: skip
        return np.asarray(polyval(energy, top) / polyval(energy, bottom))

    @property
    def recoil_range(self) -> tuple[float, float]:
        """Recoil energies in MeV that belong to ``valid_kev_ee``."""
        low, high = self._recoil_kev(np.asarray(self.valid_kev_ee)) * KEV
        return float(low), float(high)

    def __call__(self, recoil: FloatArray) -> FloatArray:
        """Return E_ee in MeV (see `Quenching`), by bisection to the last digits."""
        target = _inside(recoil, self.recoil_range) / KEV
        low = np.full_like(target, self.valid_kev_ee[0])
        high = np.full_like(target, self.valid_kev_ee[1])
        for _ in range(_BISECTIONS):
            middle = 0.5 * (low + high)
            below = self._recoil_kev(middle) < target
            low, high = np.where(below, middle, low), np.where(below, high, middle)
        return np.asarray(0.5 * (low + high) * KEV)


@dataclass(frozen=True)
class MixedQuenching:
    """A weighted sum of curves: a common factor, or one curve varied towards another and beyond.

    Attributes
    ----------
    parts : tuple of (float, Quenching)
        Weights and curves.
    """

    parts: tuple[tuple[float, Quenching], ...]

    @property
    def recoil_range(self) -> tuple[float, float]:
        """The common part of their ranges, in MeV."""
        lows, highs = zip(*(curve.recoil_range for _, curve in self.parts), strict=True)
        return max(lows), min(highs)

    def __call__(self, recoil: FloatArray) -> FloatArray:
        """Return E_ee in MeV (see `Quenching`).

        Raises
        ------
        InputError
            If a weight beyond 0 to 1 makes E_ee negative.
        """
        recoil = np.asarray(recoil, dtype=float)
        energy = sum((w * curve(recoil) for w, curve in self.parts), np.zeros_like(recoil))
        if np.any(energy < 0):
            raise InputError("the weights of the curves make E_ee negative")
        return np.asarray(energy)


def recoil_at(curve: Quenching, energy_mev: float) -> float:
    """Return the lowest recoil in MeV that gives E_ee, or the lower end of the range if above it.

    This is the lower end of a recoil integral that starts at a given E_ee.

    Raises
    ------
    InputError
        If the curve does not reach that E_ee (below 100 keV of recoil).
    """
    from scipy.optimize import brentq  # here: importing the package must not load it

    low, high = curve.recoil_range
    ends = max(low, _LOWEST_KEV * KEV), min(high, _HIGHEST_KEV * KEV)
    grid = np.geomspace(*ends, _SCAN)
    grid[[0, -1]] = ends
    reached = curve(grid) >= energy_mev
    if not reached.any():
        raise InputError(f"E_ee = {energy_mev / KEV:g} keV is never reached")
    first = int(np.argmax(reached))
    if first == 0:
        return low
    return float(
        brentq(
            lambda recoil: float(curve(np.asarray(recoil))) - energy_mev,
            grid[first - 1], grid[first], xtol=_ROOT_KEV * KEV,
        )
    )  # fmt: skip
