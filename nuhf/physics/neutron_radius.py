"""Neutron form factors as polynomials in the neutron radius.

A form factor of a fixed momentum transfer is an entire function of its rms radius R_n, so powers
of x = (R_n - R_0)/fm represent it. The unit is 1 fm: the coefficients fall as (q fm/hbar c)^k/k!
with q fm/hbar c below 0.56 for recoils up to 50 keV of Cs and I, so that |c_k x^k| adds up to
order one over the whole range and no digits cancel.
"""

from collections.abc import Callable
from math import comb
from typing import Final

import numpy as np

from nuhf.arrays import FloatArray
from nuhf.couplings.parameters import RN_RANGE_FM, RN_REFERENCE_FM
from nuhf.errors import InputError
from nuhf.physics.cevns import NEUTRON
from nuhf.physics.form_factors import FORM_FACTORS
from nuhf.physics.nuclei import Nuclide
from nuhf.physics.polynomial import Polynomial

RADIUS_RANGE_FM: Final = RN_RANGE_FM
"""Radii in fm that the polynomials stand for."""

REFERENCE_FM: Final = RN_REFERENCE_FM
"""R_0 in fm where x = 0."""

_OVERSAMPLING: Final = 4


def power_fit(
    function: Callable[[FloatArray], FloatArray],
    range_fm: tuple[float, float],
    degree: int,
    reference_fm: float = REFERENCE_FM,
) -> FloatArray:
    """Fit a smooth function of a radius by powers of x = (R - R_0)/fm.

    Chebyshev series of the function on the range, cut at the degree (within a small factor of
    the best uniform approximation), then re-expanded about R_0.

    Parameters
    ----------
    function : callable
        Radii in fm (n,) to values (n, ...).
    range_fm : (float, float)
        Lowest and highest radius in fm.
    degree : int
        Highest power.
    reference_fm : float
        R_0 in fm; it may lie anywhere in the range.

    Returns
    -------
    ndarray
        Shape (degree + 1, ...), coefficients of x^0, x^1, ...

    Raises
    ------
    InputError
        If the range is empty or not positive, does not hold R_0, or the degree is not 0 to 20.
    """
    middle, half = _middle_and_half(range_fm, degree, reference_fm)
    count = _OVERSAMPLING * (degree + 1)
    nodes = np.cos(np.pi * (np.arange(count) + 0.5) / count)
    # discrete orthogonality of the Chebyshev polynomials at their own roots
    projection = np.polynomial.chebyshev.chebvander(nodes, degree).T * (2.0 / count)
    projection[0] *= 0.5
    series = np.tensordot(projection, function(middle + half * nodes), axes=1)
    change = _monomials(degree, half, (reference_fm - middle) / half)
    return np.asarray(np.tensordot(change, series, axes=1))


def _middle_and_half(
    range_fm: tuple[float, float], degree: int, reference_fm: float
) -> tuple[float, float]:
    """Return middle and half-width of the range."""
    low, high = range_fm
    if not 0 < low < high < np.inf:
        raise InputError(f"neutron radius: {low:g} to {high:g} fm is not a range of radii")
    if not low <= reference_fm <= high:
        raise InputError(
            f"neutron radius: reference {reference_fm:g} fm is outside {low:g} to {high:g} fm"
        )
    if not 0 <= degree <= 20:
        raise InputError(f"neutron radius: degree {degree} given; allowed: 0 to 20")
    return 0.5 * (low + high), 0.5 * (high - low)


def _monomials(degree: int, half: float, offset: float) -> FloatArray:
    """Matrix from Chebyshev coefficients in u = x/half + offset to coefficients of x^k."""
    powers_of_u = np.zeros((degree + 1, degree + 1))
    for j, unit in enumerate(np.eye(degree + 1)):
        found = np.polynomial.chebyshev.cheb2poly(unit)
        powers_of_u[: found.size, j] = found
    shift = np.array(
        [
            [
                comb(j, k) * half**-k * offset ** (j - k) if j >= k else 0.0
                for j in range(degree + 1)
            ]
            for k in range(degree + 1)
        ]
    )
    return shift @ powers_of_u


def neutron_form_factors(
    form_factor: str, recoil: FloatArray, nuclide: Nuclide, radii_fm: FloatArray
) -> FloatArray:
    """Return F_n(q; R_n) at recoil energies T, q^2 = 2 M T.

    Parameters
    ----------
    form_factor : str
        Name in `nuhf.physics.form_factors.FORM_FACTORS`.
    recoil : ndarray
        T in MeV, (n_recoil,).
    nuclide : Nuclide
        Gives the mass; its own radii are not used.
    radii_fm : ndarray
        R_n in fm, (n_radii,).

    Returns
    -------
    ndarray
        Shape (n_radii, n_recoil).

    Raises
    ------
    InputError
        If the form factor is unknown, has no rms radius, or does not allow one of the radii.
    """
    if form_factor not in FORM_FACTORS:
        allowed = ", ".join(FORM_FACTORS)
        raise InputError(f"no neutron radius in form factor '{form_factor}'; allowed: {allowed}")
    q = np.sqrt(2.0 * nuclide.mass * np.asarray(recoil, dtype=float))
    function = FORM_FACTORS[form_factor]
    return np.stack([function(q, float(radius)) for radius in radii_fm])


def radius_powers(
    form_factor: str,
    recoil: FloatArray,
    nuclide: Nuclide,
    rn_range_fm: tuple[float, float] = RADIUS_RANGE_FM,
    degree: int = 8,
    reference_fm: float = REFERENCE_FM,
) -> tuple[FloatArray, FloatArray]:
    """Coefficients of F_n and of F_n^2 in powers of x = (R_n - R_0)/fm.

    F_n^2 is fitted by itself, to the same degree: it is not the square of the first polynomial,
    which would have twice the degree.

    Parameters
    ----------
    form_factor, recoil, nuclide
        As in `neutron_form_factors`.
    rn_range_fm : (float, float)
        Radii in fm that the fit holds for; outside, the error grows as the power degree + 1.
    degree : int
        Highest power of x.
    reference_fm : float
        R_0 in fm.

    Returns
    -------
    linear, square : ndarray
        Both (degree + 1, n_recoil): F_n(T; R_n) = sum_k linear[k] x^k, and F_n^2 likewise.
    """

    def values(radii: FloatArray) -> FloatArray:
        found = neutron_form_factors(form_factor, recoil, nuclide, radii)
        return np.stack([found, found**2], axis=1)

    both = power_fit(values, rn_range_fm, degree, reference_fm)
    return both[:, 0], both[:, 1]


def in_radius(
    section: Polynomial, form_factor: str, recoil: FloatArray, nuclide: Nuclide
) -> Polynomial:
    """Replace F_n and F_n^2 in a cross section by powers of x_<nuclide> = (R_n - 5 fm)/fm.

    Parameters
    ----------
    section : Polynomial
        In `nuhf.physics.cevns.NEUTRON` and any couplings, coefficients (3, n_recoil).
    form_factor, recoil, nuclide
        As in `neutron_form_factors`.
    """
    variable = (f"x_{nuclide.name}",)
    series = {
        power: Polynomial(variable, tuple((k,) for k in range(len(rows))), rows)
        for power, rows in enumerate(radius_powers(form_factor, recoil, nuclide), start=1)
    }
    return section.replace(NEUTRON, series)


def radius_error(
    form_factor: str,
    recoil: FloatArray,
    nuclide: Nuclide,
    rn_range_fm: tuple[float, float] = RADIUS_RANGE_FM,
    degree: int = 8,
    reference_fm: float = REFERENCE_FM,
    samples: int = 201,
) -> tuple[FloatArray, FloatArray]:
    """Largest errors of `radius_powers` over the range, measured at equidistant radii.

    Returns
    -------
    linear, square : ndarray
        Both (n_recoil,): largest |error| of F_n and of F_n^2; F_n is 1 at most.
    """
    powers = radius_powers(form_factor, recoil, nuclide, rn_range_fm, degree, reference_fm)
    radii = np.linspace(*rn_range_fm, samples)
    exact = neutron_form_factors(form_factor, recoil, nuclide, radii)
    basis = np.vander(radii - reference_fm, degree + 1, increasing=True)
    linear = np.abs(basis @ powers[0] - exact).max(axis=0)
    square = np.abs(basis @ powers[1] - exact**2).max(axis=0)
    return linear, square
