"""Quenching: electron-equivalent energy E_ee = Q(T) T of a recoil of energy T, in any target.

Quenching is always a function of the recoil energy, evaluated on the recoil grid: some curves
(iron-filtered neutrons on germanium) are not monotonic, so that no inverse and no Jacobian exist.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

import numpy as np

from nuhf.arrays import FloatArray
from nuhf.errors import InputError
from nuhf.roots import roots
from nuhf.units import KEV

_BISECTIONS: Final = 60
_SCAN: Final = 2000
_LOWEST_KEV: Final = 1e-9
_HIGHEST_KEV: Final = 100.0
"""Between these the recoil of an E_ee is searched for, and found to `_ROOT` of it."""
_ROOT: Final = 1e-14


class Quenching(Protocol):
    """Electron-equivalent energy of recoils."""

    @property
    def recoil_range(self) -> tuple[float, float]:
        """Range of validity in MeV; outside, calling raises `InputError`."""

    def __call__(self, recoil: FloatArray) -> FloatArray:
        """Return E_ee in MeV for recoil energies in MeV, any shape."""


@dataclass(frozen=True)
class Curve:
    """A function of the recoil with the range where it is valid (see `Quenching`)."""

    energy: Callable[[FloatArray], FloatArray]
    recoil_range: tuple[float, float] = (0.0, np.inf)

    def __call__(self, recoil: FloatArray) -> FloatArray:
        """Return E_ee in MeV (`InputError` for recoils outside the range)."""
        recoil = np.asarray(recoil, dtype=float)
        low, high = self.recoil_range
        if recoil.size and not (recoil.min() >= low and recoil.max() <= high):
            raise InputError(
                f"recoils of {recoil.min() / KEV:.4g} to {recoil.max() / KEV:.4g} keV "
                f"are outside {low / KEV:.4g} to {high / KEV:.4g} keV"
            )
        return np.asarray(self.energy(recoil))


def polynomial(coefficients: Sequence[float], recoil_range: tuple[float, float]) -> Curve:
    """Return E_ee = c_1 T + c_2 T^2 + ... (MeV); refused where it is not positive.

    ``coefficients`` are c_1, c_2, ... in MeV^(1-n); beyond the range in MeV the polynomial is not
    extrapolated.
    """

    def energy(recoil: FloatArray) -> FloatArray:
        light = np.polynomial.polynomial.polyval(recoil, [0.0, *coefficients])
        if np.any(light <= 0):
            raise InputError("the polynomial gives no positive light for some recoil")
        return np.asarray(light)

    return Curve(energy, recoil_range)


def lindhard(k: float, protons: int) -> Curve:
    """Return Q = k g/(1 + k g), g = 3 eps^0.15 + 0.7 eps^0.6 + eps, eps = 11.5 Z^(-7/3) T/keV.

    Source: J. Lindhard et al., Mat. Fys. Medd. Dan. Vid. Selsk. 33, no. 10 (1963). The formula
    has no lower end; what it says below the measurements (0.2 keV in germanium) is an assumption.
    ``k``, 0 to 1, is the strength of the electronic stopping, about 0.133 Z^(2/3) A^(-1/2), and Z
    that of the target, which is the recoiling nucleus.
    """
    if not 0 < k < 1:
        raise InputError(f"Lindhard's k = {k!r} is not between 0 and 1")

    def energy(recoil: FloatArray) -> FloatArray:
        eps = 11.5 * protons ** (-7.0 / 3.0) * recoil / KEV
        kg = k * (3.0 * eps**0.15 + 0.7 * eps**0.6 + eps)
        return np.asarray(recoil * kg / (1.0 + kg))

    return Curve(energy)


def table(recoil: FloatArray, factor: FloatArray) -> Curve:
    """Return factors Q (n,) at recoils in MeV (n,), increasing: lines between, valid inside."""
    ends = float(recoil[0]), float(recoil[-1])
    return Curve(lambda at: np.asarray(at * np.interp(at, recoil, factor)), ends)


def rational_recoil(
    form: str, a: Sequence[float], b: Sequence[float], energy_kev_ee: FloatArray
) -> FloatArray:
    """Return E_nr = E/Q in keV at E_ee = E keV of a fit of Q, its poles included.

    ``form`` is ``EA/B``, ``EB/A`` or ``E/A`` with A = sum_i a_i E^i, B = sum_i b_i E^i: here
    without the factor E that is common to all. Source: A. N. Khan, arXiv:2203.08892, eqs 3.2 to
    3.7, as they have to be read (``data/germanium/quenching_khan2022.toml``).
    """
    polyval = np.polynomial.polynomial.polyval
    top, bottom = {"EA/B": (b, a), "EB/A": (a, b), "E/A": (a, (1.0,))}[form]
    return np.asarray(polyval(energy_kev_ee, top) / polyval(energy_kev_ee, bottom))


def rational(
    form: str, a: Sequence[float], b: Sequence[float], valid_kev_ee: tuple[float, float]
) -> Curve:
    """Return the fit of `rational_recoil`, solved for E by bisection to the last digits.

    ``valid_kev_ee`` is where the fit is smooth and E/Q rises; the recoil range follows.
    """

    def energy(recoil: FloatArray) -> FloatArray:
        target = recoil / KEV
        low, high = (np.full_like(target, end) for end in valid_kev_ee)
        for _ in range(_BISECTIONS):
            middle = 0.5 * (low + high)
            below = rational_recoil(form, a, b, middle) < target
            low, high = np.where(below, middle, low), np.where(below, high, middle)
        return np.asarray(0.5 * (low + high) * KEV)

    first, last = rational_recoil(form, a, b, np.asarray(valid_kev_ee)) * KEV
    return Curve(energy, (float(first), float(last)))


def mixed(*parts: tuple[float, Quenching]) -> Curve:
    """Return a sum of curves, weights first: a common factor, or one curve varied to another.

    Its range is the common part; refused where a weight beyond 0 to 1 makes E_ee negative.
    """

    def energy(recoil: FloatArray) -> FloatArray:
        light = sum((w * curve(recoil) for w, curve in parts), np.zeros_like(recoil))
        if np.any(light < 0):
            raise InputError("the weights of the curves make E_ee negative")
        return np.asarray(light)

    lows, highs = zip(*(curve.recoil_range for _, curve in parts), strict=True)
    return Curve(energy, (max(lows), min(highs)))


def recoil_at(curve: Quenching, energy_mev: float) -> float:
    """Return the lowest recoil in MeV that gives E_ee, or the lower end of the range if above it.

    This is the lower end of a recoil integral that starts at a given E_ee.

    `InputError` if the curve does not reach that E_ee (below 100 keV of recoil).
    """
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
    place, _ = roots(
        lambda recoil: curve(recoil) - energy_mev,
        grid[[first - 1]], grid[[first]], _ROOT, 0.0,
    )  # fmt: skip
    return float(place[0])
