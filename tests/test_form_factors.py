"""Form factors against their densities, published formulas and limits."""

import mpmath
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nuhf.constants import HBAR_C_FM
from nuhf.errors import InputError
from nuhf.library import read_nuclides
from nuhf.physics import cevns, form_factors
from nuhf.physics.nuclei import Nuclide

RMS = 4.8041
"""R_p of 133Cs in fm, Fricke et al. (1995)."""

BY_RMS = {
    "helm": form_factors.helm,
    "klein-nystrand-rms": form_factors.klein_nystrand_rms,
    "symmetrised-fermi": form_factors.symmetrised_fermi,
}
RADII = st.floats(3.0, 8.0)


def momentum(x_per_fm):
    """Momentum transfer in MeV from a wave number in 1/fm."""
    return np.atleast_1d(np.asarray(x_per_fm, dtype=float)) * HBAR_C_FM


def fourier(density, x_per_fm, reach, panels=60):
    """Normalised int r^2 rho(r) sin(x r)/(x r) dr by Gauss-Legendre on panels."""
    nodes, weights = np.polynomial.legendre.leggauss(20)
    edges = np.linspace(0.0, reach, panels + 1)
    half = 0.5 * np.diff(edges)[:, None]
    r = (0.5 * (edges[:-1] + edges[1:])[:, None] + half * nodes).ravel()
    w = (half * weights).ravel() * r**2 * density(r)
    return np.array([(w * np.sinc(x * r / np.pi)).sum() for x in x_per_fm]) / w.sum()


WAVE_NUMBERS = np.array([0.01, 0.1, 0.3, 0.6, 1.0, 1.5, 2.2])
"""1/fm; 0.5 is the largest of CsI with 53 MeV neutrinos, the zeros lie at 0.9 and 1.6."""


@pytest.mark.parametrize("name", [*BY_RMS, "point"])
@pytest.mark.parametrize("q", [0.0, 1e-12])
def test_one_at_zero_momentum(name, q):
    assert form_factors.FORM_FACTORS[name](np.array([q]), RMS)[0] == pytest.approx(1.0, abs=1e-15)


@pytest.mark.parametrize("name", list(BY_RMS))
@settings(deadline=None)
@given(rms=RADII)
def test_slope_at_zero_is_minus_radius_squared_over_six(name, rms):
    # F = 1 - x^2 R^2/6 + O(x^4 R^4/100), x R = 0.03
    x = 0.03 / rms
    value = BY_RMS[name](momentum(x), rms)[0]
    assert 6.0 * (1.0 - value) / x**2 == pytest.approx(rms**2, rel=3e-4)


def test_klein_nystrand_slope_from_its_sphere():
    x, sphere = 0.005, 1.2 * 133 ** (1 / 3)
    value = form_factors.klein_nystrand(momentum(x), sphere)[0]
    expected = 0.6 * sphere**2 + 6 * 0.7**2
    assert 6.0 * (1.0 - value) / x**2 == pytest.approx(expected, rel=1e-3)


@pytest.mark.parametrize("name", list(BY_RMS))
@settings(deadline=None)
@given(rms=RADII, x=st.floats(0.0, 3.0))
def test_never_above_one(name, rms, x):
    assert abs(BY_RMS[name](momentum(x), rms)[0]) <= 1.0


# --------------------------------------------------------- twins: densities


def test_helm_is_the_transform_of_a_smeared_ball():
    # rho: ball of radius R0 folded with a Gaussian of width s, by numerical convolution
    s = 0.9
    box = np.sqrt(5 / 3 * (RMS**2 - 3 * s**2))
    nodes, weights = np.polynomial.legendre.leggauss(200)
    inner, w = 0.5 * box * (nodes + 1), 0.5 * box * weights

    def density(r):
        near = np.exp(-((r[:, None] - inner) ** 2) / (2 * s**2))
        far = np.exp(-((r[:, None] + inner) ** 2) / (2 * s**2))
        return ((near - far) * inner) @ w / r

    expected = fourier(density, WAVE_NUMBERS, box + 9 * s)
    found = form_factors.helm(momentum(WAVE_NUMBERS), RMS)
    np.testing.assert_allclose(found, expected, atol=1e-11, rtol=0)


def test_symmetrised_fermi_is_the_transform_of_its_density():
    a = 0.52
    c = np.sqrt(5 / 3 * (RMS**2 - 1.4 * (np.pi * a) ** 2))

    def density(r):
        return np.sinh(c / a) / (np.cosh(r / a) + np.cosh(c / a))

    expected = fourier(density, WAVE_NUMBERS, c + 40 * a, panels=200)
    found = form_factors.symmetrised_fermi(momentum(WAVE_NUMBERS), RMS)
    np.testing.assert_allclose(found, expected, atol=1e-12, rtol=0)


def test_klein_nystrand_is_the_published_formula():
    # S. R. Klein, J. Nystrand, PRL 84, 2330: 4 pi rho0/(A q^3) (sin qR - qR cos qR)/(1 + a^2 q^2)
    mpmath.mp.dps = 30
    nucleons, a = 133, mpmath.mpf("0.7")
    sphere = mpmath.mpf("1.2") * mpmath.cbrt(nucleons)
    rho0 = nucleons / (mpmath.mpf(4) / 3 * mpmath.pi * sphere**3)
    for x in WAVE_NUMBERS:
        q = mpmath.mpf(float(x))
        y = q * sphere
        front = 4 * mpmath.pi * rho0 / (nucleons * q**3)
        expected = front * (mpmath.sin(y) - y * mpmath.cos(y)) / (1 + (a * q) ** 2)
        found = form_factors.klein_nystrand(momentum(x), float(sphere))[0]
        assert found == pytest.approx(float(expected), abs=1e-13)


def test_klein_nystrand_of_a_radius_is_that_of_its_sphere():
    sphere = np.sqrt(5 / 3 * (RMS**2 - 6 * 0.7**2))
    q = momentum(WAVE_NUMBERS)
    np.testing.assert_allclose(
        form_factors.klein_nystrand_rms(q, RMS), form_factors.klein_nystrand(q, sphere), rtol=1e-14
    )


@settings(deadline=None)
@given(x=st.floats(1e-9, 0.5))
def test_helm_keeps_its_digits_where_the_closed_form_cancels(x):
    with mpmath.workdps(40):
        s = mpmath.mpf("0.9")
        y = mpmath.mpf(x) * mpmath.sqrt(mpmath.mpf(5) / 3 * (mpmath.mpf(RMS) ** 2 - 3 * s**2))
        ball = 3 * (mpmath.sin(y) - y * mpmath.cos(y)) / y**3
        expected = float(ball * mpmath.exp(-((mpmath.mpf(x) * s) ** 2) / 2))
    assert form_factors.helm(momentum(x), RMS)[0] == pytest.approx(expected, abs=1e-12)


@settings(deadline=None)
@given(x=st.floats(1e-7, 0.3))
def test_symmetrised_fermi_keeps_its_digits_where_the_closed_form_cancels(x):
    with mpmath.workdps(40):
        a, rms, wave = mpmath.mpf("0.52"), mpmath.mpf(RMS), mpmath.mpf(x)
        c = mpmath.sqrt(mpmath.mpf(5) / 3 * (rms**2 - mpmath.mpf(7) / 5 * (mpmath.pi * a) ** 2))
        w, y = mpmath.pi * a * wave, wave * c
        bracket = w * mpmath.coth(w) * mpmath.sin(y) - y * mpmath.cos(y)
        expected = float(3 / (y * (y**2 + w**2)) * w / mpmath.sinh(w) * bracket)
    found = form_factors.symmetrised_fermi(momentum(x), RMS)[0]
    assert found == pytest.approx(expected, abs=1e-9)


def test_the_three_agree_where_only_the_radius_counts():
    # x R < 1: they differ by the fourth moment only
    q = momentum(np.linspace(0.0, 0.15, 7))
    values = np.stack([f(q, RMS) for f in BY_RMS.values()])
    assert np.ptp(values, axis=0).max() < 1e-3
    assert values.min() < 0.95


# ------------------------------------------------------------------ refusals


@pytest.mark.parametrize(
    ("function", "limit"),
    [
        (form_factors.helm, np.sqrt(3) * 0.9),
        (form_factors.klein_nystrand_rms, np.sqrt(6) * 0.7),
        (form_factors.symmetrised_fermi, np.sqrt(1.4) * np.pi * 0.52),
    ],
)
def test_radius_below_the_surface_is_refused(function, limit):
    q = np.array([10.0])
    assert np.isfinite(function(q, 1.0001 * limit)).all()
    with pytest.raises(InputError, match="rms radius"):
        function(q, 0.999 * limit)


def test_unknown_form_factor_lists_the_known_ones():
    nuclide = read_nuclides()["Cs133"]
    with pytest.raises(InputError, match=r"unknown form factor 'helmet'; allowed: .*helm") as error:
        cevns.form_factors("helmet", np.array([1e-2]), nuclide)
    assert all(name in str(error.value) for name in [*BY_RMS, "klein-nystrand", "point"])


@pytest.mark.parametrize("name", ["klein-nystrand", *BY_RMS, "point"])
def test_protons_and_neutrons_get_their_own_radius(name):
    nuclide = read_nuclides()["Cs133"]
    recoil = np.array([1e-3, 2e-2])
    proton, neutron = cevns.form_factors(name, recoil, nuclide)
    swapped = Nuclide("X", 55, 133, nuclide.atomic_mass_u, nuclide.rn_fm, nuclide.rp_fm)
    again = cevns.form_factors(name, recoil, swapped)
    np.testing.assert_array_equal(proton, again[1])
    np.testing.assert_array_equal(neutron, again[0])
    if name in BY_RMS:
        assert (neutron < proton).all()  # the larger radius falls faster
        expected = BY_RMS[name](np.sqrt(2 * nuclide.mass * recoil), nuclide.rp_fm)
        np.testing.assert_array_equal(proton, expected)
    else:
        np.testing.assert_array_equal(proton, neutron)


def test_klein_nystrand_uses_the_mass_number():
    nuclide = read_nuclides()["I127"]
    recoil = np.array([5e-3])
    q = np.sqrt(2 * nuclide.mass * recoil)
    expected = form_factors.klein_nystrand(q, 1.2 * 127 ** (1 / 3))
    np.testing.assert_allclose(cevns.form_factors("klein-nystrand", recoil, nuclide)[0], expected)
