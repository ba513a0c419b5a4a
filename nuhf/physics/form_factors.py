"""Nuclear form factors, normalised to 1 at zero momentum transfer.

All take the momentum transfer ``q`` in MeV, any shape, and lengths in fm. Rounding errors are
below 1e-13 (of 1) from q = 0 to beyond the diffraction minima.
"""

from collections.abc import Callable
from typing import Final

import numpy as np

from nuhf.arrays import FloatArray
from nuhf.constants import HBAR_C_FM
from nuhf.errors import InputError

_SKIN_FM: Final = 0.9
_YUKAWA_RANGE_FM: Final = 0.7
_FERMI_DIFFUSENESS_FM: Final = 0.52
_SMALL: Final = 0.05
_SMALL_LANGEVIN: Final = 0.1


def point(q: FloatArray, rms_fm: float = 0.0) -> FloatArray:
    """Form factor of a point-like nucleus: 1 everywhere."""
    return np.ones_like(np.asarray(q, dtype=float))


def _ball(x: FloatArray) -> FloatArray:
    """3 j1(x)/x of a homogeneous ball, by its series where the closed form cancels."""
    x = np.asarray(x, dtype=float)
    small = np.abs(x) < _SMALL
    y = np.where(small, 1.0, x)
    closed = 3.0 * (np.sin(y) - y * np.cos(y)) / y**3
    x2 = x**2
    series = 1.0 - x2 / 10.0 * (1.0 - x2 / 28.0 * (1.0 - x2 / 54.0 * (1.0 - x2 / 88.0)))
    return np.where(small, series, closed)


def helm(q: FloatArray, rms_fm: float, skin_fm: float = _SKIN_FM) -> FloatArray:
    """Helm form factor 3 j1(q R0)/(q R0) exp(-q^2 s^2/2), R^2 = 3/5 R0^2 + 3 s^2.

    Parameters
    ----------
    q : ndarray
        Momentum transfer in MeV.
    rms_fm : float
        rms radius R in fm, above sqrt(3) s.
    skin_fm : float
        Surface thickness s in fm (0.9: R. H. Helm; M. Cadeddu et al., arXiv:1908.06045, eq 4).

    Raises
    ------
    InputError
        If the radius is too small for the skin.
    """
    box2 = 5.0 / 3.0 * (rms_fm**2 - 3.0 * skin_fm**2)
    if box2 < 0:
        raise InputError(f"rms radius {rms_fm} fm is below sqrt(3) x skin {skin_fm} fm")
    x = np.asarray(q, dtype=float) / HBAR_C_FM
    return _ball(x * np.sqrt(box2)) * np.exp(-0.5 * (x * skin_fm) ** 2)


def klein_nystrand(
    q: FloatArray, sphere_fm: float, range_fm: float = _YUKAWA_RANGE_FM
) -> FloatArray:
    """Klein-Nystrand form factor 3 j1(q R_A)/(q R_A) / (1 + a_k^2 q^2).

    ``sphere_fm`` is the hard-sphere radius R_A in fm (1.2 A^(1/3) in S. R. Klein and
    J. Nystrand, Phys. Rev. Lett. 84, 2330 (2000), and A. N. Khan (2023), eq 4).
    """
    x = np.asarray(q, dtype=float) / HBAR_C_FM
    return _ball(x * sphere_fm) / (1.0 + (x * range_fm) ** 2)


def klein_nystrand_rms(q: FloatArray, rms_fm: float) -> FloatArray:
    """Klein-Nystrand form factor from the rms radius, R^2 = 3/5 R_A^2 + 6 a_k^2.

    Raises
    ------
    InputError
        If the radius is below sqrt(6) a_k.
    """
    sphere2 = 5.0 / 3.0 * (rms_fm**2 - 6.0 * _YUKAWA_RANGE_FM**2)
    if sphere2 < 0:
        raise InputError(f"rms radius {rms_fm} fm is below sqrt(6) x {_YUKAWA_RANGE_FM} fm")
    return klein_nystrand(q, float(np.sqrt(sphere2)))


def symmetrised_fermi(
    q: FloatArray, rms_fm: float, diffuseness_fm: float = _FERMI_DIFFUSENESS_FM
) -> FloatArray:
    """Symmetrised Fermi form factor, R^2 = 3/5 c^2 + 7/5 pi^2 a^2.

    Source: D. W. L. Sprung and J. Martorell, J. Phys. A 30, 6525 (1997); a = 0.52 fm
    (t = 4 a ln 3 = 2.3 fm).

    Raises
    ------
    InputError
        If the radius is too small for the diffuseness.
    """
    half2 = 5.0 / 3.0 * (rms_fm**2 - 1.4 * (np.pi * diffuseness_fm) ** 2)
    if half2 <= 0:
        raise InputError(f"rms radius {rms_fm} fm too small for diffuseness {diffuseness_fm} fm")
    half = float(np.sqrt(half2))
    x = np.asarray(q, dtype=float) / HBAR_C_FM
    # the closed form, with its two differences of nearly equal numbers for q -> 0 taken apart
    w, ratio2 = np.pi * diffuseness_fm * x, (np.pi * diffuseness_fm / half) ** 2
    surface = ratio2 * _langevin(w) * np.sinc(x * half / np.pi)
    return np.asarray(_over_sinh(w) * (surface + _ball(x * half)) / (1.0 + ratio2))


def _langevin(w: FloatArray) -> FloatArray:
    """3 (w coth w - 1)/w^2, by its series where the closed form cancels."""
    small = np.abs(w) < _SMALL_LANGEVIN
    y = np.where(small, 1.0, w)
    w2 = w**2
    tail = 1.0 - w2 / 10.0 * (1.0 - w2 * 10.0 / 99.0)
    series = 1.0 - w2 / 15.0 * (1.0 - w2 * 2.0 / 21.0 * tail)
    return np.where(small, series, 3.0 * (y / np.tanh(y) - 1.0) / y**2)


def _over_sinh(w: FloatArray) -> FloatArray:
    """w/sinh w; beyond 700, where sinh overflows, it is below 1e-300 anyhow."""
    y = np.where(w == 0, 1.0, w)
    return np.where(w == 0, 1.0, y / np.sinh(np.minimum(y, 700.0)))


FORM_FACTORS: Final[dict[str, Callable[[FloatArray, float], FloatArray]]] = {
    "helm": helm,
    "klein-nystrand-rms": klein_nystrand_rms,
    "symmetrised-fermi": symmetrised_fermi,
    "point": point,
}
"""Form factors that are functions of (q, rms radius), by the name used in experiment files."""
