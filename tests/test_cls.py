"""Asymptotic CLs: closed forms for a Gaussian, pyhf's own for the real likelihood."""

from dataclasses import dataclass

import numpy as np
import pyhf
import pytest
from conftest import EXPERIMENT
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import norm

import nuhf
from nuhf.errors import FitError, InputError
from nuhf.stats.cls import Asymptotic, upper_limit


@dataclass(frozen=True)
class Gauss:
    """2NLL = ((x - centre) / sigma)^2 for x >= 0."""

    centre: float
    sigma: float

    def at(self, values):
        return ((np.asarray(values) - self.centre) / self.sigma) ** 2

    def minimum(self):
        best = max(self.centre, 0.0)
        return best, float(self.at(best))


def gaussian(centre, sigma):
    data, asimov = Gauss(centre, sigma), Gauss(0.0, sigma)
    return Asymptotic(data, asimov, data.minimum(), asimov.minimum())


@settings(max_examples=100, deadline=None, derandomize=True)
@given(st.floats(-3, 5), st.floats(0.1, 3), st.sampled_from([0.9, 0.95, 0.6827]))
def test_gaussian_limit_in_closed_form(pull, sigma, cl):
    """x + sigma Phi^-1(1 - alpha Phi(x/sigma)), for a best fit above and below the bound."""
    centre = pull * sigma
    ours = upper_limit(gaussian(centre, sigma), 20 * sigma, cl)
    expected = centre + sigma * norm.ppf(1 - (1 - cl) * norm.cdf(pull))
    assert ours == pytest.approx(expected, rel=1e-6)


def test_at_the_bound_and_below_the_best_fit():
    """CLs is 1 at 0 for a best fit at 0; it never falls as long as the value is below the best."""
    assert gaussian(0.0, 1.0)(0.0) == pytest.approx(1.0)
    cls = gaussian(2.0, 1.0)
    values = [cls(x) for x in (0.1, 0.5, 1.0, 1.9)]
    # q = 0: 0.5 / Phi(x / sigma)
    assert values == pytest.approx([0.5 / norm.cdf(x) for x in (0.1, 0.5, 1.0, 1.9)], rel=1e-9)


def test_a_range_that_is_too_short_is_an_error():
    with pytest.raises(FitError, match=r"CLs is still above 0\.1 at the end of the range, 1"):
        upper_limit(gaussian(0.0, 1.0), 1.0, 0.9)


# -------------------------------------------------------------------------- real likelihood


@pytest.fixture(scope="module", params=["munu_mu", "munu_e"])
def moment(request):
    return request.param


def hypotest(stock_of, parameter, value):
    _, model, data, unit = stock_of(parameter)
    assert unit == 1.0
    assert model.config.suggested_bounds()[model.config.poi_index][0] == 0.0
    pyhf.set_backend("numpy", pyhf.optimize.minuit_optimizer(tolerance=1e-3))
    try:
        return float(
            pyhf.infer.hypotest(value, data, model, test_stat="qtilde", calctype="asymptotics")
        )
    finally:
        pyhf.set_backend("numpy", "scipy")


@pytest.mark.parametrize("cl", [0.9, 0.95])
def test_pyhf_s_cls_at_our_limit(stock_of, moment, cl):
    (ours,) = nuhf.limit(EXPERIMENT, moment, cl=cl, method="cls")
    value = (ours.upper_limit / 1e-9) ** 2
    assert hypotest(stock_of, moment, value) == pytest.approx(1 - cl, abs=1e-3)
    # the limit is where it crosses, not only near it
    assert (
        hypotest(stock_of, moment, 1.03 * value) < 1 - cl < hypotest(stock_of, moment, 0.97 * value)
    )


def test_monotone_in_the_level(moment):
    limits = [
        nuhf.limit(EXPERIMENT, moment, cl=cl, method="cls")[0].upper_limit
        for cl in (0.5, 0.6827, 0.9, 0.95, 0.99)
    ]
    assert (np.diff(limits) > 0).all()


def test_cls_falls_with_the_value(problem_of, moment):
    problem = problem_of(moment)
    profiler = problem.profiler()
    best, lowest = profiler.best(np.array([0.0, 1.0, 10.0]))
    start = profiler.starts.copy()
    start[:, profiler.index] = 0.0
    free = profiler.free.copy()
    free[profiler.index] = False
    null, _ = problem.engine.minimise(problem.data, start, free)
    asimov = problem.profiler(problem.engine.compiled.expected_full(null[0]))
    best_a, lowest_a = asimov.best(np.array([0.0, 1.0]))
    i = profiler.index
    cls = Asymptotic(profiler, asimov, (best[i], lowest), (best_a[i], lowest_a))
    values = [cls(x) for x in np.linspace(0.05, 40, 25)]
    assert (np.diff(values) < 0).all()
    assert 0 <= values[-1] < values[0] <= 1


def test_cls_protects_against_a_downward_fluctuation(moment):
    """CLs is never below what the profile likelihood alone would exclude one-sidedly."""
    (cls,) = nuhf.limit(EXPERIMENT, moment, cl=0.9, method="cls")
    # 2NLL rise of a one-sided 90 % test: chi2 at 80 %
    (one_sided,) = nuhf.limit(EXPERIMENT, moment, cl=0.8)
    assert cls.upper_limit >= one_sided.upper_limit * (1 - 1e-6)
    assert cls.twice_nll_min == pytest.approx(one_sided.twice_nll_min, abs=1e-6)
    assert cls.best_fit == pytest.approx(one_sided.best_fit, abs=1e-12)


@pytest.mark.parametrize("parameter", ["qnu_ee", "qnu_mumu", "r2nu_ee", "anu_mumu", "sin2thetaW"])
def test_refused_for_an_interfering_coupling(parameter):
    with pytest.raises(InputError, match=f"bound at 0; {parameter} interferes.*delta-chi2"):
        nuhf.limit(EXPERIMENT, parameter, method="cls")


@pytest.mark.parametrize("cl", [0.0, 1.0, np.nan])
def test_refused_levels(cl):
    with pytest.raises(InputError, match="between 0 and 1"):
        nuhf.limit(EXPERIMENT, "munu_mu", cl=cl, method="cls")


def test_transition_charge_has_no_interference():
    """|qnu_emu| enters squared: CLs is allowed."""
    (found,) = nuhf.limit(EXPERIMENT, "abs_qnu_emu", method="cls")
    assert found.upper_limit > 0


def test_asimov_data_that_nothing_tells_from_the_value_exclude_nothing():
    """q of the Asimov data of exactly 0 beside q of 1e-12, both rounding: CLs is 1, not 0."""

    class Flat:
        def __init__(self, height):
            self.height = height

        def at(self, values):
            return np.full(np.shape(values), self.height)

    cls = Asymptotic(Flat(1e-12), Flat(0.0), (0.0, 0.0), (0.0, 0.0))
    assert cls(1e-3) == pytest.approx(1.0, abs=1e-4)
