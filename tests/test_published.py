"""Published likelihoods: our numbers are those of pyhf, and pyhf's those that it publishes."""

import copy
import time

import numpy as np
import pyhf
import pytest
from published_pyhf import MODELS

import nuhf
from nuhf.errors import ModelError
from nuhf.likelihood.evaluate import compile_model
from nuhf.stats.files import read_files
from nuhf.workspaces.native import load_model

TWO_MINIMA = "2bin_2channel_coupledhisto"


@pytest.fixture
def minuit():
    pyhf.set_backend("numpy", pyhf.optimize.minuit_optimizer(tolerance=1e-3))
    yield
    pyhf.set_backend("numpy", "scipy")


def plain_pyhf(spec, normsys="code4", histosys="code4p"):
    workspace = pyhf.Workspace(spec)
    codes = {"normsys": {"interpcode": normsys}, "histosys": {"interpcode": histosys}}
    model = workspace.model(modifier_settings=codes)
    return model, workspace.data(model)


@pytest.mark.parametrize("name", MODELS)
def test_expectations_and_likelihood_are_those_of_pyhf(name):
    """Expected data to 1e-10, 2NLL to 1e-8."""
    spec, published = MODELS[name]
    model, data = plain_pyhf(spec)
    if published is not None:  # what was typed in is what was published, with the codes of then
        cls = pyhf.infer.hypotest(1.0, data, plain_pyhf(spec, "code1", "code0")[0], test_stat="q")
        assert float(cls) == pytest.approx(published, rel=1e-3)
    ours, our_data = load_model(read_files([spec]).spec)
    np.testing.assert_array_equal(our_data, data)
    compiled = compile_model(ours)
    assert list(compiled.names) == list(model.config.par_names)
    rng = np.random.default_rng(3)
    for _ in range(5):
        size = np.where(compiled.inits == 0.0, 0.7, 0.2)
        theta = np.clip(compiled.inits + size * rng.normal(size=size.shape), *compiled.bounds.T)
        np.testing.assert_allclose(
            compiled.expected(theta), model.expected_actualdata(theta), rtol=1e-10
        )
        assert float(compiled.twice_nll(theta, data)) == pytest.approx(
            float(-2 * model.logpdf(theta, data)[0]), abs=1e-8
        )


@pytest.mark.parametrize("name", MODELS)
def test_profiles_and_cls_are_those_of_pyhf_and_minuit(name, minuit):
    """The profile to 1e-4 in 2NLL; CLs at our limit is 5 % there to 0.1 % of the limit."""
    spec, _ = MODELS[name]
    model, data = plain_pyhf(spec)
    problem = nuhf.open(spec).problem
    values = np.array([0.0, 0.7, 1.5])
    ours = problem.profiler().at(values)
    theirs = [
        float(pyhf.infer.mle.fixed_poi_fit(v, data, model, return_fitted_val=True)[1])
        for v in values
    ]
    np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-4)
    if name == TWO_MINIMA:
        return
    (found,) = nuhf.limit(spec, cl=0.95, method="cls")
    limit = found.upper_limit
    below, above = (
        float(pyhf.infer.hypotest(limit * factor, data, model)) for factor in (0.999, 1.001)
    )
    assert above < 0.05 < below


def test_the_deeper_of_two_minima_is_found(minuit):
    """A background goes down with either sign of its nuisance: pyhf's start finds one of two."""
    spec, _ = MODELS[TWO_MINIMA]
    model, data = plain_pyhf(spec)
    starts = [0.0, 1.0], [1.0, 1.0]
    shallow, deep = (
        pyhf.infer.mle.fit(data, model, init_pars=start, return_fitted_val=True) for start in starts
    )
    assert float(shallow[1]) > float(deep[1]) + 1.4
    (found,) = nuhf.limit(spec)
    assert found.twice_nll_min == pytest.approx(float(deep[1]), abs=1e-4)
    assert found.best_fit == pytest.approx(deep[0][model.config.poi_index], abs=1e-3)


def test_what_is_not_compiled_is_said_and_left_to_pyhf():
    """A factor per bin on channels of two and three bins, which pyhf reads as nobody means it."""
    spec = copy.deepcopy(MODELS["2bin_2channel_coupledshapefactor"][0])
    control = next(c for c in spec["channels"] if c["name"] == "control")
    control["samples"][0]["data"].append(50.0)
    next(o for o in spec["observations"] if o["name"] == "control")["data"].append(100.0)
    with pytest.raises(
        ModelError, match=r"3 parameters, and a channel with it 2 bins: .* nuhf pyhf"
    ):
        nuhf.limit(spec)


@pytest.mark.slow
def test_speed_beside_pyhf():
    """Profiles of all models in one run, pyhf with scipy and with minuit."""
    spent = {"nuhf": 0.0, "scipy": 0.0, "minuit": 0.0}
    values = np.linspace(0.1, 2.0, 20)
    for spec, _ in MODELS.values():
        profiler = nuhf.open(spec).problem.profiler()
        profiler.at(values)
        begin = time.process_time()
        profiler.at(values)
        spent["nuhf"] += time.process_time() - begin
        for optimizer in ("scipy", "minuit"):
            pyhf.set_backend("numpy", optimizer)
            model, data = plain_pyhf(spec)
            begin = time.process_time()
            for v in values:
                pyhf.infer.mle.fixed_poi_fit(v, data, model)
            spent[optimizer] += time.process_time() - begin
            pyhf.set_backend("numpy", "scipy")
    fits = 20 * len(MODELS)
    print({name: f"{1e3 * seconds / fits:.3g} ms per fit" for name, seconds in spent.items()})
    assert spent["minuit"] > 10 * spent["nuhf"]
