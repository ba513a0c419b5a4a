"""Errors of a free fit, at bounds too: against the profile, and with pyhf's likelihood."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from conftest import problems

import nuhf
from nuhf import questions
from nuhf.errors import FitError
from nuhf.likelihood.evaluate import compile_model
from nuhf.likelihood.fit import refit_with_pyhf
from nuhf.stats import uncertainties
from nuhf.workspaces.native import load_model


@pytest.fixture(scope="module")
def xenon():
    """A fit whose free lead background ends at its bound, zero."""
    (problem,) = problems("xenonnt-sr0", "norm_eves")
    return problem, questions.fit(problem)


def free_fit(problem, held=None):
    """Lowest 2NLL by pyhf and minuit, with a parameter held at a value."""
    compiled = problem.engine.compiled
    start, fixed = compiled.inits.copy(), compiled.fixed.copy()
    if held is not None:
        name, value = held
        start[compiled.index(name)], fixed[compiled.index(name)] = value, True
    done = refit_with_pyhf(
        problem.engine.reference.model, problem.data, start, fixed, tolerance=1e-4
    )
    assert done.converged[0]
    return float(done.twice_nll[0])


def test_a_factor_at_its_bound_has_the_error_of_its_profile(xenon):
    problem, result = xenon
    name = "bkg_xenonnt_sr0_pb214"
    value, error = result.parameters[name]
    assert result.at_bounds == (name,)
    assert value == 0.0
    lowest = free_fit(problem)
    assert lowest == pytest.approx(result.twice_nll, abs=1e-3)
    assert free_fit(problem, (name, error)) - lowest == pytest.approx(1.0, abs=5e-3)
    before, fitted, events = result.counts["pb214"]
    assert fitted == 0.0
    assert events == pytest.approx(before * error, rel=1e-9)
    assert any(name in note and "at its bound 0" in note for note in result.notes)


def test_the_others_have_the_errors_of_their_profiles(xenon):
    """Half the interval of 68.27 %; the curvature, with the factor held, gives less."""
    problem, result = xenon
    found = questions.limit(problem, 0.6826894921, "delta-chi2")
    ((low, high),) = found.intervals
    value, error = result.parameters["norm_eves"]
    assert low < value < high
    assert error == pytest.approx(0.5 * (high - low), rel=1e-4)
    compiled = problem.engine.compiled
    best = problem.profiler().best(np.array([2.0]))[0]
    matrix = uncertainties.covariance(problem, best)
    held = np.sqrt(matrix[compiled.index("norm_eves"), compiled.index("norm_eves")])
    assert held < 0.6 * error
    assert not matrix[compiled.index("bkg_xenonnt_sr0_pb214")].any()
    for name in ("bkg_xenonnt_sr0_xe124", "bkg_xe136"):
        value, error = result.parameters[name]
        rises = [free_fit(problem, (name, value + side * error)) for side in (-1, 1)]
        assert np.mean(rises) - result.twice_nll == pytest.approx(1.0, abs=0.1)


def test_a_squared_coupling_at_zero():
    (problem,) = problems("xenonnt-sr0", "munu_eff")
    result = questions.fit(problem)
    assert result.at_bounds == ("munu2_eff",)
    assert result.units["munu2_eff"] == "mu_B^2"
    value, error = result.parameters["munu2_eff"]
    found = questions.limit(problem, 0.6826894921, "delta-chi2")
    assert value == 0.0
    assert np.sqrt(error) == pytest.approx(found.upper_limit, rel=1e-5)


def test_more_parameters_than_data_are_refused():
    """One weak charge cannot tell sin2thetaW from the neutron radius."""
    with pytest.raises(FitError, match="the data do not determine them"):
        nuhf.fit(nuhf.model("apv-cs", "sin2thetaW", profiled=("Rn_Cs",)))


def test_no_errors_of_a_flat_direction():
    """Two factors on one sample: only their product is determined."""
    bins = [5.0, 9.0, 7.0]
    both = [{"name": n, "type": "normfactor", "data": None} for n in ("a", "b")]
    spec = {
        "channels": [{"name": "c", "samples": [{"name": "s", "data": bins, "modifiers": both}]}],
        "observations": [{"name": "c", "data": bins}],
        "measurements": [{"name": "m", "config": {"poi": "a", "parameters": []}}],
        "version": "1.0.0",
    }
    model, data = load_model(spec)
    compiled = compile_model(model)
    free = ~compiled.fixed
    profiler = SimpleNamespace(free=free)
    problem = SimpleNamespace(
        engine=SimpleNamespace(compiled=compiled), data=data, profiler=lambda: profiler
    )
    with pytest.raises(FitError, match="flat at the best fit"):
        uncertainties.covariance(problem, compiled.inits)


def test_nothing_at_a_bound():
    result = nuhf.fit("coherent-csi-2021")
    assert result.at_bounds == ()
    assert not any("at its bound" in note for note in result.notes)


# --------------------------------------------------------------------- a model that does not fit


def test_a_limit_says_that_the_model_does_not_describe_the_data():
    (problem,) = problems("coherent-csi-2021", "munu_mu")
    good = questions.limit(problem, 0.9, "delta-chi2")
    assert good.goodness == pytest.approx(questions.fit(problem).goodness)
    assert good.goodness["p_value"] > 0.05
    assert not any("does not describe" in note for note in good.notes)
    data = problem.data.copy()
    data[:5] += 200.0
    poor = questions.limit(replace(problem, data=data), 0.9, "delta-chi2")
    assert poor.goodness["p_value"] < 1e-6
    (note,) = (n for n in poor.notes if "does not describe the data" in n)
    assert f"for {poor.goodness['degrees']:.0f} degrees of freedom" in note


def test_asimov_data_say_what_they_expect():
    (sm,) = problems("coherent-csi-2021", "qnu_ee", asimov=True)
    (other,) = problems("coherent-csi-2021", "qnu_ee", asimov=True, fixed={"munu_mu": 5e-9})
    assert any("expectation at the SM" in note for note in sm.notes)
    assert any("expectation with munu_mu = 5e-09" in note for note in other.notes)
    assert other.data.sum() > sm.data.sum()
