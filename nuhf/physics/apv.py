"""Weak charge of caesium from atomic parity violation.

The measured weak charge depends on the neutron radius through the neutron-skin correction of
the calculated amplitude, the predicted one on sin^2(theta_W). Source: M. Cadeddu et al.,
arXiv:1908.06045, eqs 9 to 18.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np

from nuhf.arrays import FloatArray
from nuhf.constants import ALPHA, SIN2_THETA_W
from nuhf.physics.neutron_radius import RADIUS_RANGE_FM, REFERENCE_FM, power_fit
from nuhf.physics.nuclei import Nuclide

_CORRECTION: Final = 1.0 - ALPHA / (2.0 * np.pi)


@dataclass(frozen=True)
class WeakChargeInputs:
    """What the weak charge is made of, from ``data/apv-cs/apv-cs.toml``."""

    nuclide: Nuclide
    """Gives Z, N and R_p."""
    ratio: float
    ratio_error: float
    """Im E_PNC/beta measured, in e/a_B^2."""
    polarizability: float
    polarizability_error: float
    """beta in a_B^3."""
    amplitude: float
    amplitude_error: float
    """Im E_PNC per Q_W/N calculated without neutron skin, in e a_B."""
    sm_weak_charge: float
    sm_error: float
    """Weak charge of the Standard Model with radiative corrections."""
    proton_correction: float
    neutron_correction: float
    """Added to the couplings of the electron to the nucleons in eq 9."""
    skin_constant: float
    skin_slope: float
    """Of q_p and q_n, eq 14."""

    @property
    def relative_errors(self) -> dict[str, float]:
        """Independent relative errors of the weak charge; that of the amplitude is calculated."""
        return {
            "ratio": abs(self.ratio_error / self.ratio),
            "polarizability": self.polarizability_error / self.polarizability,
            "amplitude": self.amplitude_error / self.amplitude,
        }


def _slope(inputs: WeakChargeInputs) -> float:
    """dQ_W/dsin^2(theta_W) of eq 9, first line, with eq 10; exact."""
    return float(-4.0 * inputs.nuclide.protons * _CORRECTION)


def standard_model_weak_charge(
    inputs: WeakChargeInputs, sin2_theta_w: float = SIN2_THETA_W
) -> float:
    """Weak charge at another weak mixing angle: the tabulated SM value, moved along eq 9.

    Q_W = Q_W^SM - 4 Z (1 - alpha/2 pi) (sin^2(theta_W) - 0.23857). At tree level the first line of
    eq 9 misses that value by 2.2, its second line by 2.3: five times the error of the measured one.
    """
    return inputs.sm_weak_charge + _slope(inputs) * (sin2_theta_w - SIN2_THETA_W)


def skin_correction(inputs: WeakChargeInputs, rn_fm: FloatArray) -> FloatArray:
    """Relative neutron-skin correction delta E_PNC/E_PNC of the amplitude, eqs 13 and 14.

    Parameters
    ----------
    rn_fm : ndarray
        R_n of caesium in fm, any shape. The estimate supposes R_n near R_p = 4.80 fm.
    """
    nuclide = inputs.nuclide
    coulomb = (nuclide.protons * ALPHA) ** 2
    q_p = 1.0 - coulomb * inputs.skin_constant
    excess = (np.asarray(rn_fm, dtype=float) / nuclide.rp_fm) ** 2 - 1.0
    q_n = q_p - coulomb * inputs.skin_slope * excess
    return np.asarray(nuclide.neutrons / inputs.sm_weak_charge * (1.0 - q_n / q_p))


def measured_weak_charge(inputs: WeakChargeInputs, rn_fm: FloatArray) -> FloatArray:
    """Measured weak charge for neutron radii in fm (any shape), eq 15."""
    amplitude = inputs.amplitude * (1.0 + skin_correction(inputs, rn_fm))
    field = inputs.ratio * inputs.polarizability
    return np.asarray(inputs.nuclide.neutrons * field / amplitude)


def measured_error(inputs: WeakChargeInputs, rn_fm: FloatArray) -> FloatArray:
    """Error of the measured weak charge at a known neutron radius: 0.43 at 5 fm, eq 18.

    Relative errors of amplitude ratio, polarizability and calculated amplitude in quadrature.
    """
    relative = np.sqrt(sum(share**2 for share in inputs.relative_errors.values()))
    return np.asarray(np.abs(measured_weak_charge(inputs, rn_fm)) * relative)


def measured_sin2_theta_w(inputs: WeakChargeInputs, rn_fm: FloatArray) -> FloatArray:
    """Measured sin^2(theta_W) for neutron radii in fm (any shape), 0.238 at 5 fm: eq 17.

    `standard_model_weak_charge` solved for the angle.
    """
    distance = measured_weak_charge(inputs, rn_fm) - inputs.sm_weak_charge
    return np.asarray(SIN2_THETA_W + distance / _slope(inputs))


def weak_charge(
    inputs: WeakChargeInputs,
    sin2_theta_w: float,
    rn_fm: FloatArray,
    reference_fm: float = REFERENCE_FM,
) -> FloatArray:
    """Expected outcome of the measurement as evaluated with R_n = R_0.

    Q_W^SM(sin^2(theta_W)) - Q_W(R_n) + Q_W(R_0): the radius stands on the side of the
    prediction, so that the datum Q_W(R_0) is one number and the distance is that of eq 18.

    Parameters
    ----------
    rn_fm : ndarray
        R_n in fm, any shape.
    reference_fm : float
        R_0 in fm.
    """
    at_reference = measured_weak_charge(inputs, np.asarray(reference_fm))
    moved = measured_weak_charge(inputs, rn_fm) - at_reference
    return np.asarray(standard_model_weak_charge(inputs, sin2_theta_w) - moved)


@dataclass(frozen=True)
class WeakChargePolynomial:
    """A Gaussian measurement whose expectation is a polynomial in angle and radius.

    Expectation: sum_k powers[k] x^k + slope s with x = (R_n - R_0)/fm and
    s = sin^2(theta_W) - 0.23857; no cross terms.
    """

    value: float
    error: float
    """Measured weak charge at R_n = R_0 and its standard deviation."""
    slope: float
    """Per unit of sin^2(theta_W), exact."""
    powers: FloatArray
    """Shape (degree + 1,), weak charge per x^k."""
    worst: float
    """Largest deviation from `weak_charge` over the range of radii."""


def apv_polynomial(
    inputs: WeakChargeInputs,
    rn_range_fm: tuple[float, float] = RADIUS_RANGE_FM,
    degree: int = 8,
    reference_fm: float = REFERENCE_FM,
) -> WeakChargePolynomial:
    """Write the caesium measurement as polynomial in R_n and sin^2(theta_W), eq 18.

    The expectation is linear in sin^2(theta_W). In R_n it is 1/(1 + a - b R_n^2) with b R_n^2
    of a few per cent: mostly quadratic, polynomials of higher degree converge fast.

    Parameters
    ----------
    rn_range_fm, degree, reference_fm
        As in `nuhf.physics.neutron_radius.power_fit`.
    """

    def expected(radii: FloatArray) -> FloatArray:
        return weak_charge(inputs, SIN2_THETA_W, radii, reference_fm)

    powers = power_fit(expected, rn_range_fm, degree, reference_fm)
    radii = np.linspace(*rn_range_fm, 201)
    fitted = np.polynomial.polynomial.polyval(radii - reference_fm, powers)
    reference = np.asarray(reference_fm)
    return WeakChargePolynomial(
        value=float(measured_weak_charge(inputs, reference)),
        error=float(measured_error(inputs, reference)),
        slope=_slope(inputs),
        powers=powers,
        worst=float(np.abs(fitted - expected(radii)).max()),
    )
