"""Form factors as polynomials in R_n against the form factors themselves."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from test_csi2017_tables import (
    FINE,
    chicago3,
    constant,
    early_fractions,
    nuclei,
    response,
    unit_rate,
)

from nuhf.constants import HBAR_C_FM
from nuhf.errors import InputError
from nuhf.library import read_nuclides
from nuhf.physics import cevns
from nuhf.physics.couplings import tree_level
from nuhf.physics.form_factors import helm
from nuhf.physics.neutron_radius import (
    RADIUS_RANGE_FM,
    REFERENCE_FM,
    neutron_form_factors,
    power_fit,
    radius_error,
    radius_powers,
)

CAESIUM = read_nuclides()["Cs133"]
IODINE = read_nuclides()["I127"]
WITH_RADIUS = ["helm", "klein-nystrand-rms", "symmetrised-fermi"]
RECOIL = np.array([0.5, 2.0, 5.0, 10.0, 20.0, 30.0, 50.0]) * 1e-3
FIT_EDGES = np.arange(6.0, 31.0, 2.0)
RADII = st.floats(*RADIUS_RANGE_FM)


def powers_of(radii, degree, reference=REFERENCE_FM):
    return np.vander(np.atleast_1d(radii) - reference, degree + 1, increasing=True)


@pytest.mark.parametrize("form_factor", WITH_RADIUS)
@settings(deadline=None, max_examples=50)
@given(radius=RADII, nuclide=st.sampled_from([CAESIUM, IODINE]))
def test_twin_is_the_form_factor_itself(form_factor, radius, nuclide):
    linear, square = radius_powers(form_factor, RECOIL, nuclide)
    assert linear.shape == square.shape == (9, RECOIL.size)
    error, square_error = radius_error(form_factor, RECOIL, nuclide)
    exact = neutron_form_factors(form_factor, RECOIL, nuclide, np.array([radius]))[0]
    basis = powers_of(radius, 8)[0]
    # the error is measured at 201 radii: a maximum may lie between two of them
    assert np.all(np.abs(basis @ linear - exact) <= 1.05 * error + 1e-13)
    assert np.all(np.abs(basis @ square - exact**2) <= 1.05 * square_error + 1e-13)


@pytest.mark.parametrize("form_factor", WITH_RADIUS)
def test_default_degree_holds_what_the_docs_promise(form_factor):
    # measured: 4.5e-8 and 8.7e-6 at 50 keV, 2.0e-8 and 1.1e-6 at 30 keV
    error, square_error = radius_error(form_factor, RECOIL, CAESIUM)
    assert error.max() < 5e-8
    assert square_error[-1] < 1e-5
    assert square_error[:-1].max() < 1.5e-6


def test_square_is_fitted_by_itself():
    # the square of the first polynomial, cut at the same degree, is far worse
    linear, square = radius_powers("helm", RECOIL, CAESIUM)
    last = [np.convolve(column, column)[:9] for column in linear.T]
    radii = np.linspace(*RADIUS_RANGE_FM, 101)
    exact = neutron_form_factors("helm", RECOIL, CAESIUM, radii) ** 2
    basis = powers_of(radii, 8)
    cut = np.abs(basis @ np.array(last).T - exact).max()
    assert cut > 20 * np.abs(basis @ square - exact).max()


def test_error_falls_with_degree_and_grows_with_range():
    by_degree = [radius_error("helm", RECOIL, CAESIUM, degree=d)[1].max() for d in (4, 6, 8, 10)]
    assert all(later < 0.1 * earlier for earlier, later in pairwise(by_degree))
    ranges = [(4.0, 6.0), (3.0, 7.0), RADIUS_RANGE_FM, (1.6, 9.0)]
    by_range = [radius_error("helm", RECOIL, CAESIUM, r)[1].max() for r in ranges]
    assert all(later > 3 * earlier for earlier, later in pairwise(by_range))


@pytest.mark.parametrize("name", WITH_RADIUS)
def test_one_at_zero_momentum_whatever_the_radius(name):
    for powers in radius_powers(name, np.array([0.0]), CAESIUM):
        np.testing.assert_allclose(powers[:, 0], np.eye(9)[0], atol=1e-14)


@pytest.mark.parametrize("name", WITH_RADIUS)
def test_small_momentum_is_quadratic_in_the_radius(name):
    # F = 1 - q^2 R^2/6 + O(q^4 R^4/120) with q R = 0.01 at 5 fm
    q = 0.002 * HBAR_C_FM
    linear, square = radius_powers(name, np.array([q**2 / (2 * CAESIUM.mass)]), CAESIUM)
    slope = -(0.002**2) / 6.0
    wanted = [1 + slope * REFERENCE_FM**2, slope * 2 * REFERENCE_FM, slope]
    np.testing.assert_allclose(linear[:3, 0], wanted, atol=3e-10)
    np.testing.assert_allclose(square[1:3, 0], [2 * wanted[1], 2 * wanted[2]], atol=1e-9)


@settings(deadline=None, max_examples=30)
@given(radius=st.floats(2.6, 7.3))
def test_derivative_is_that_of_helm(radius):
    # dF/dR = -q j2(q r) (dr/dR) 3/(q r) exp(-q^2 s^2/2), r^2 = 5/3 (R^2 - 3 s^2)
    linear, _ = radius_powers("helm", RECOIL, CAESIUM, degree=12)
    q = np.sqrt(2 * CAESIUM.mass * RECOIL) / HBAR_C_FM
    box = np.sqrt(5 / 3 * (radius**2 - 3 * 0.81))
    y = q * box
    j2 = (3 / y**3 - 1 / y) * np.sin(y) - 3 / y**2 * np.cos(y)
    wanted = -q * 3 * j2 / y * (5 / 3 * radius / box) * np.exp(-0.5 * q**2 * 0.81)
    found = np.polynomial.polynomial.polyval(
        radius - REFERENCE_FM, np.polynomial.polynomial.polyder(linear)
    )
    np.testing.assert_allclose(found, wanted, atol=2e-11)
    assert np.all(wanted[:-2] < 0)  # a larger nucleus is less coherent


def test_reference_radius_only_relabels():
    radii = np.linspace(*RADIUS_RANGE_FM, 33)
    here, there = (
        powers_of(radii, 8, r) @ radius_powers("helm", RECOIL, CAESIUM, reference_fm=r)[1]
        for r in (REFERENCE_FM, 3.0)
    )
    np.testing.assert_allclose(here, there, atol=1e-12)


def test_terms_stay_of_order_one():
    # what makes x in fm a usable fit variable: no cancellation between powers
    largest = np.abs(np.array(RADIUS_RANGE_FM) - REFERENCE_FM).max() ** np.arange(9)
    for powers in radius_powers("helm", RECOIL, CAESIUM):
        assert (np.abs(powers) * largest[:, np.newaxis]).sum(axis=0).max() < 2.5


@pytest.mark.parametrize("quenching", [constant, chicago3])
def test_event_counts_of_csi_to_1e_6_of_the_bin_maximum(quenching):
    # 2-PE bins of the 2017 data; measured: 4e-7 in the last bin, 2e-9 in the first
    couplings = tree_level()
    radii = np.linspace(*RADIUS_RANGE_FM, 52)
    folded = response(FINE, quenching, 0.5, FIT_EDGES)
    exact = fitted = 0.0
    for nuclide, number in nuclei():
        rate = unit_rate(FINE, nuclide, number, early_fractions())
        proton = couplings.gp["e"] * nuclide.protons * cevns.form_factors("helm", FINE, nuclide)[0]
        neutron = couplings.gn * nuclide.neutrons
        linear, square = radius_powers("helm", FINE, nuclide)
        direct = proton + neutron * neutron_form_factors("helm", FINE, nuclide, radii)
        basis = powers_of(radii, 8)
        cross = 2 * proton * neutron * (basis @ linear)
        morphed = proton**2 + cross + neutron**2 * (basis @ square)
        exact = exact + np.trapezoid(folded[:, np.newaxis] * rate * direct**2, FINE)
        fitted = fitted + np.trapezoid(folded[:, np.newaxis] * rate * morphed, FINE)
    error = np.abs(fitted - exact).max(axis=1) / exact.max(axis=1)
    assert error.max() < 5e-7
    assert np.all(np.diff(exact.sum(axis=0)) < 0)  # events fall as the nucleus grows


@settings(deadline=None)
@given(
    coefficients=st.lists(st.floats(-3, 3), min_size=1, max_size=9),
    reference=st.floats(2.4, 7.5),
)
def test_polynomials_are_found_exactly(coefficients, reference):
    def function(radii):
        return np.polynomial.polynomial.polyval(radii - reference, coefficients)

    found = power_fit(function, (2.4, 7.5), 8, reference)
    wanted = np.pad(coefficients, (0, 9 - len(coefficients)))
    # rounding, relative to the size over the range
    scale = np.abs(function(np.linspace(2.4, 7.5, 101))).max() + 1.0
    np.testing.assert_allclose(found, wanted, atol=1e-10 * scale)


def test_close_to_the_best_uniform_approximation():
    # exp on [-1, 1]: the best of degree 4 misses by 5.47e-4 (de la Vallee-Poussin, 2^-4/5! to 5 %)
    found = power_fit(lambda r: np.exp(r - 2.0), (1.0, 3.0), 4, 2.0)
    u = np.linspace(-1, 1, 2001)
    worst = np.abs(np.polynomial.polynomial.polyval(u, found) - np.exp(u)).max()
    assert 5.4e-4 < worst < 6.5e-4


@pytest.mark.parametrize(("change", "words"), [
    ({"form_factor": "klein-nystrand"}, ["'klein-nystrand'", "klein-nystrand-rms"]),
    ({"rn_range_fm": (5.0, 5.0)}, ["5 to 5 fm"]),
    ({"rn_range_fm": (-1.0, 7.0)}, ["-1 to 7 fm"]),
    ({"rn_range_fm": (np.nan, 7.0)}, ["nan to 7 fm"]),
    ({"rn_range_fm": (1.0, 7.0)}, ["below sqrt(3) x skin"]),
    ({"reference_fm": 9.0}, ["9 fm", "2 to 8"]),
    ({"degree": 21}, ["21", "0 to 20"]),
])  # fmt: skip
def test_refusals(change, words):
    given = {"form_factor": "helm", "recoil": RECOIL, "nuclide": CAESIUM, **change}
    with pytest.raises(InputError) as error:
        radius_powers(**given)
    for word in words:
        assert word in str(error.value)


def test_own_radius_of_the_nuclide_plays_no_part():
    q = np.sqrt(2 * CAESIUM.mass * RECOIL)
    found = neutron_form_factors("helm", RECOIL, CAESIUM, np.array([4.2, CAESIUM.rn_fm]))
    np.testing.assert_array_equal(found[0], helm(q, 4.2))
    np.testing.assert_array_equal(found[1], cevns.form_factors("helm", RECOIL, CAESIUM)[1])
