"""apv-cs as an experiment, alone and with COHERENT, against the chi2 of arXiv:1908.06045, eq 18."""

import numpy as np
import pytest
from scipy.optimize import brentq

import nuhf
from nuhf.constants import SIN2_THETA_W
from nuhf.errors import InputError
from nuhf.experiments.catalogue import load
from nuhf.experiments.prepare import prepare
from nuhf.library import read_weak_charge
from nuhf.physics import apv
from nuhf.resources import find
from nuhf.stats.problem import Options, pose

NAME = "apv-cs"
CSI = "coherent-csi-2017"
ENERGY = "cadeddu2020-energy"
INPUTS = read_weak_charge()
ERROR = float(apv.measured_error(INPUTS, np.array(5.0)))


def chi2(radius, sin2=SIN2_THETA_W):
    """Second term of eq 18."""
    measured = apv.measured_weak_charge(INPUTS, np.asarray(radius))
    return ((measured - apv.standard_model_weak_charge(INPUTS, sin2)) / ERROR) ** 2


def test_profile_in_the_radius_is_that_of_the_paper():
    radii = np.linspace(3.5, 6.5, 7)
    problem = pose([prepare(load(NAME, ENERGY))], "Rn_CsI", Options())
    heights = problem.profiler().at(radii - 5.0)
    wanted = chi2(radii)
    # the pedestal encoding: (2/3) pull/sqrt(2.5e5) relative, at pulls of up to 5
    np.testing.assert_allclose(heights - heights.min(), wanted - wanted.min(), rtol=7e-3, atol=2e-3)


def test_interval_of_the_radius():
    (found,) = nuhf.limit(NAME, "Rn_CsI", analysis=ENERGY, cl=0.6827)
    best = brentq(lambda r: apv.measured_weak_charge(INPUTS, r) - INPUTS.sm_weak_charge, 4.0, 6.0)
    assert found.best_fit == pytest.approx(best, abs=1e-3)
    ends = brentq(lambda r: chi2(r) - 1, 3.0, best), brentq(lambda r: chi2(r) - 1, best, 7.0)
    assert found.intervals[0] == pytest.approx(ends, abs=2e-3)


def test_weak_mixing_angle():
    # eq 17: 0.238 +- 0.005 with R_n = 5.0 +- 0.7 fm; without the error of the radius 0.43/220
    (found,) = nuhf.limit(NAME, "sin2thetaW", analysis="cadeddu2020-radius", cl=0.6827)
    (low, high) = found.intervals[0]
    assert found.best_fit == pytest.approx(0.238, abs=5e-4)
    assert 0.5 * (high - low) == pytest.approx(0.005, rel=0.2)
    (fixed,) = nuhf.limit(NAME, cl=0.6827)
    (low, high) = fixed.intervals[0]
    assert fixed.parameter == "sin2thetaW"
    assert 0.5 * (high - low) == pytest.approx(ERROR / 219.7445, rel=1e-3)


def test_combination_with_coherent():
    # eq 19: 5.04 +- 0.31; the two parts add
    (found,) = nuhf.limit([CSI, NAME], "Rn_CsI", analysis=ENERGY, cl=0.6827)
    (low, high) = found.intervals[0]
    assert found.best_fit == pytest.approx(5.04, abs=0.1)
    assert 0.5 * (high - low) == pytest.approx(0.31, rel=0.2)
    alone = pose([prepare(load(CSI, ENERGY))], "Rn_CsI", Options()).profiler()
    both = pose(
        [prepare(load(CSI, ENERGY)), prepare(load(NAME, ENERGY))], "Rn_CsI", Options()
    ).profiler()
    radii = np.array([4.6, 5.0, 5.4])
    added = alone.at(radii - 5.0) + chi2(radii)
    difference = both.at(radii - 5.0) - added
    np.testing.assert_allclose(difference, difference[0], atol=5e-3)
    assert any("UNVERIFIED" in note for note in found.notes)


@pytest.mark.slow
def test_angle_with_coherent_and_a_free_radius():
    # both data see the angle and the radius: neither alone fixes both
    (found,) = nuhf.limit([CSI, NAME], "sin2thetaW", cl=0.6827, profiled=["Rn_CsI"])
    (low, high) = found.intervals[0]
    assert low < SIN2_THETA_W + 0.02
    assert high - low < 0.03


def test_neutrino_couplings_do_not_act_here():
    with pytest.raises(InputError, match="qnu_ee has no effect on apv-cs"):
        nuhf.limit(NAME, "qnu_ee")
    alone, both = (nuhf.limit(n, "qnu_ee")[0].intervals for n in (CSI, [CSI, NAME]))
    assert both[0] == pytest.approx(alone[0], abs=1e-12)


@pytest.mark.slow
def test_radii_of_all_flavours_leave_the_angle_to_atoms():
    # alone they are one direction with it; the weak charge knows the angle
    radii = ["r2nu_ee", "r2nu_mumu"]
    with pytest.raises(InputError, match="one direction"):
        nuhf.limit(CSI, "sin2thetaW", profiled=radii)
    (found,) = nuhf.limit([CSI, NAME], "sin2thetaW", profiled=radii, cl=0.6827)
    (atoms,) = nuhf.limit(NAME, "sin2thetaW", cl=0.6827)
    assert found.intervals == pytest.approx(np.array(atoms.intervals), abs=1e-5)


def test_rate_is_the_weak_charge():
    (rates,) = nuhf.rate(NAME, {"Rn_Cs": 5.0}).values()
    assert rates["weak_charge_cs133"] == pytest.approx([INPUTS.sm_weak_charge], abs=1e-6)
    (rates,) = nuhf.rate(NAME, {"Rn_Cs": 6.0, "sin2thetaW": 0.24}).values()
    wanted = apv.weak_charge(INPUTS, 0.24, np.array([6.0]))
    assert rates["weak_charge_cs133"] == pytest.approx(wanted, abs=1e-6)


def test_default_fit():
    found = nuhf.fit(NAME)
    value, error = found.parameters["sin2thetaW"]
    assert value == pytest.approx(0.2384, abs=2e-4)
    assert error == pytest.approx(ERROR / 219.7445, rel=2e-2)


def test_the_calculated_part_of_the_error_is_a_nuisance():
    """0.40/89.95 of the weak charge; together with the measured parts it is what it was."""
    found = nuhf.fit(NAME)
    assert found.parameters["theory_apv_cs"] == pytest.approx((0.0, 1.0), abs=1e-3)
    share = 0.0040 / 0.8995
    value = float(apv.measured_weak_charge(INPUTS, np.array(5.0)))
    (region,) = prepare(load(NAME)).regions
    rest = np.sqrt(ERROR**2 - (share * value) ** 2)
    assert region.sigma == pytest.approx([rest], rel=1e-9)
    (moved,) = nuhf.limit(NAME, fixed_nuisances=["theory_apv_cs=1"])
    (best,) = nuhf.limit(NAME)
    # a higher prediction wants a higher angle: the slope is -219.74
    shift = share * abs(value) / 219.7445
    assert moved.best_fit - best.best_fit == pytest.approx(shift, rel=1e-3)


def test_refusals(tmp_path):
    text = find(f"experiments/{NAME}.toml").read_text(encoding="utf-8")
    for old, new in (
        ('"weak_charge"', '"charge"'),
        ("error_fm = 0.7", "error_fm = -0.7"),
        ('"amplitude"', '"phase"'),
    ):
        path = tmp_path / "changed.toml"
        path.write_text(text.replace(old, new), encoding="utf-8")
        with pytest.raises(InputError, match=r"changed\.toml"):
            prepare(load(str(path)))
