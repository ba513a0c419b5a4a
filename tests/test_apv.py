"""The caesium weak charge against the numbers of arXiv:1908.06045 and as a polynomial."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import brentq, minimize_scalar

from nuhf.constants import ALPHA, SIN2_THETA_W
from nuhf.errors import InputError
from nuhf.library import read_weak_charge
from nuhf.physics import apv
from nuhf.physics.neutron_radius import RADIUS_RANGE_FM, REFERENCE_FM
from nuhf.resources import find, write_text

INPUTS = read_weak_charge()
RN_FM, RN_ERROR_FM = 5.0, 0.7
"""arXiv:1908.06045, eq 7."""
RADII = st.floats(*RADIUS_RANGE_FM)


def twin(rn):
    """Eqs 13 to 15 as printed, number by number."""
    z, n, rp = 55, 78, 4.8041
    q_p = 1 - (z * ALPHA) ** 2 * 0.26
    q_n = 1 - (z * ALPHA) ** 2 * (0.26 + 0.221 * (rn**2 / rp**2 - 1))
    wns = 0.8995e-11
    total = wns + n / -73.23 * (1 - q_n / q_p) * wns
    return n * -3.0988e-13 * 27.139 / total


@settings(deadline=None)
@given(rn=RADII)
def test_measured_weak_charge_is_eq_15(rn):
    assert float(apv.measured_weak_charge(INPUTS, rn)) == pytest.approx(twin(rn), rel=1e-14)


def test_printed_numbers():
    # text above eq 16: delta E = -0.0030e-11; eq 16: -73.2; below eq 18: 0.43; eq 17: 0.238
    shift = float(apv.skin_correction(INPUTS, RN_FM)) * INPUTS.amplitude
    assert shift == pytest.approx(-0.0030e-11, abs=0.00005e-11)
    assert float(apv.measured_weak_charge(INPUTS, RN_FM)) == pytest.approx(-73.2, abs=0.05)
    assert float(apv.measured_error(INPUTS, RN_FM)) == pytest.approx(0.43, abs=0.005)
    assert float(apv.measured_sin2_theta_w(INPUTS, RN_FM)) == pytest.approx(0.238, abs=0.0005)
    # Dzuba et al. with their own skin correction: 0.8977e-11, the radius it stands for is 4.92 fm
    own = brentq(lambda r: float(apv.skin_correction(INPUTS, r)) - (0.8977 / 0.8995 - 1), 4.8, 5.2)
    assert own == pytest.approx(4.92, abs=0.01)


def test_error_with_the_radius_of_eq_7():
    # Eq 16 prints 1.1, eq 17 0.005; with R_n = 5.0 +- 0.7 as printed: +1.05 -0.92, and
    # +0.0048 -0.0042. 1.1 follows from 0.75 fm, which rounds to 0.7 or 0.8.
    centre = float(apv.measured_weak_charge(INPUTS, RN_FM))
    known = float(apv.measured_error(INPUTS, RN_FM))

    def total(step):
        return np.hypot(float(apv.measured_weak_charge(INPUTS, RN_FM + step)) - centre, known)

    assert total(RN_ERROR_FM) == pytest.approx(1.05, abs=0.005)
    assert total(-RN_ERROR_FM) == pytest.approx(0.92, abs=0.005)
    assert total(0.75) == pytest.approx(1.1, abs=0.03)
    slope = 4 * 55 * (1 - ALPHA / (2 * np.pi))
    assert total(RN_ERROR_FM) / slope == pytest.approx(0.005, abs=0.0005)


def coupled(inputs, gp, gn):
    """Eq 9, first line, from the couplings of the electron to the nucleons."""
    protons = inputs.nuclide.protons * (gp + inputs.proton_correction)
    neutrons = inputs.nuclide.neutrons * (gn + inputs.neutron_correction)
    return -2 * (protons + neutrons) * (1 - ALPHA / (2 * np.pi))


def approximate(inputs, angle):
    """Eq 9, second line."""
    return inputs.nuclide.protons * (1 - 4 * angle) - inputs.nuclide.neutrons


def test_approximate_formula_gives_the_wrong_angle():
    # eq 9, second line, solved for the angle: 0.228 where eq 17 prints 0.238
    measured = float(apv.measured_weak_charge(INPUTS, RN_FM))
    angle = brentq(lambda s: approximate(INPUTS, s) - measured, 0.1, 0.4)
    assert angle == pytest.approx(0.228, abs=0.0005)
    exact = brentq(lambda s: apv.standard_model_weak_charge(INPUTS, s) - measured, 0.1, 0.4)
    assert exact == pytest.approx(float(apv.measured_sin2_theta_w(INPUTS, RN_FM)), abs=1e-10)
    assert exact - angle > 0.01


@settings(deadline=None)
@given(s=st.floats(0.1, 0.4))
def test_couplings_of_eq_10_give_the_slope_and_miss_the_value(s):
    def tree(angle):
        return coupled(INPUTS, -0.5 + 2 * angle, 0.5)

    moved = tree(s) - tree(SIN2_THETA_W)
    wanted = apv.standard_model_weak_charge(INPUTS, s) - INPUTS.sm_weak_charge
    assert moved == pytest.approx(wanted, abs=1e-11)
    assert tree(SIN2_THETA_W) - INPUTS.sm_weak_charge == pytest.approx(-2.2, abs=0.05)
    without = approximate(INPUTS, s) - 2 * (55 * 0.00005 + 78 * 0.00006)
    assert tree(s) == pytest.approx(without * (1 - ALPHA / (2 * np.pi)), abs=1e-11)


def test_skin_vanishes_for_equal_radii_and_grows_with_the_square():
    rp = INPUTS.nuclide.rp_fm
    assert float(apv.skin_correction(INPUTS, rp)) == 0.0
    wns = 78 * INPUTS.ratio * INPUTS.polarizability / INPUTS.amplitude
    assert float(apv.measured_weak_charge(INPUTS, rp)) == pytest.approx(wns, rel=1e-15)
    excess = np.array([-0.5, 0.3, 0.9])
    per = apv.skin_correction(INPUTS, rp * np.sqrt(1 + excess)) / excess
    np.testing.assert_allclose(per, per[0], rtol=1e-12)
    assert per[0] < 0


def chi2_csi_and_apv(rn):
    pull = float(apv.measured_weak_charge(INPUTS, rn)) - INPUTS.sm_weak_charge
    error = float(apv.measured_error(INPUTS, RN_FM))
    return ((rn - RN_FM) / RN_ERROR_FM) ** 2 + (pull / error) ** 2


def test_combination_with_the_radius_of_eq_7():
    # eq 19: 5.04 +- 0.31 from the CsI profile; here that profile is the Gaussian of eq 7
    best = minimize_scalar(
        chi2_csi_and_apv, bounds=(3, 7), method="bounded", options={"xatol": 1e-8}
    )
    ends = [brentq(lambda r: chi2_csi_and_apv(r) - best.fun - 1, best.x, end) for end in (7.0, 3.0)]
    assert best.x == pytest.approx(5.04, abs=0.005)
    assert 0.5 * (ends[0] - ends[1]) == pytest.approx(0.31, abs=0.01)


# ------------------------------------------------------------- polynomial


@settings(deadline=None)
@given(s=st.floats(0.15, 0.35), rn=RADII)
def test_distance_is_that_of_eq_18(s, rn):
    datum = float(apv.measured_weak_charge(INPUTS, REFERENCE_FM))
    distance = datum - float(apv.weak_charge(INPUTS, s, rn))
    wanted = twin(rn) - apv.standard_model_weak_charge(INPUTS, s)
    assert distance == pytest.approx(wanted, abs=1e-11)


@settings(deadline=None)
@given(s=st.floats(0.15, 0.35), rn=RADII)
def test_polynomial_twin(s, rn):
    found = apv.apv_polynomial(INPUTS)
    x = rn - REFERENCE_FM
    value = np.polynomial.polynomial.polyval(x, found.powers) + found.slope * (s - SIN2_THETA_W)
    exact = float(apv.weak_charge(INPUTS, s, rn))
    assert abs(value - exact) <= 1.05 * found.worst + 1e-12
    assert found.value == pytest.approx(twin(REFERENCE_FM), rel=1e-14)


@pytest.mark.parametrize(
    ("degree", "per_error"), [(1, 2.0), (2, 0.1), (3, 1e-2), (4, 7e-4), (8, 3e-8)]
)
def test_mostly_quadratic_in_the_radius(degree, per_error):
    # largest deviation over 2 to 8 fm in units of the error of the measurement
    found = apv.apv_polynomial(INPUTS, degree=degree)
    assert per_error / 10 < found.worst / found.error < per_error


def test_taylor_coefficients_of_the_skin_correction():
    # d Q/dx and d2 Q/dx2 / 2 at R_0 by central differences
    found = apv.apv_polynomial(INPUTS)
    step = 1e-3
    low, mid, high = (-twin(REFERENCE_FM + d) for d in (-step, 0.0, step))
    assert found.powers[0] == pytest.approx(INPUTS.sm_weak_charge, abs=1e-8)
    assert found.powers[1] == pytest.approx((high - low) / (2 * step), abs=1e-6)
    assert found.powers[2] == pytest.approx((high - 2 * mid + low) / (2 * step**2), abs=1e-6)


# -------------------------------------------------------------------- file

TEXT = find("apv-cs/apv-cs.toml").read_text(encoding="utf-8")


@pytest.mark.parametrize(("old", "new", "words"), [
    ('nuclide = "Cs133"', 'nuclide = "Xx1"', ["'Xx1'", "Cs133"]),
    ('nuclide = "Cs133"', "", ["nuclide", "skin"]),
    ("[skin]", "[bone]", ["skin", "bone"]),
    ("slope = 0.221", "", ["[skin]", "constant, slope"]),
    ("slope = 0.221", 'slope = "0.221"', ["[skin] slope", "'0.221'"]),
    ("slope = 0.221", "slope = nan", ["[skin] slope", "nan"]),
    ("slope = 0.221", "slope = true", ["[skin] slope", "True"]),
])  # fmt: skip
def test_refusals_name_file_and_key(tmp_path, old, new, words):
    path = tmp_path / "mine.toml"
    assert old in TEXT
    write_text(path, TEXT.replace(old, new))
    with pytest.raises(InputError) as error:
        read_weak_charge(str(path))
    for word in ["mine.toml", *words]:
        assert word in str(error.value)
