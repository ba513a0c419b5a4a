"""The log density: against the likelihood, finite differences, jax, and its priors' own rules."""

import sys
from functools import cache
from itertools import pairwise

import numpy as np
import pyhf
import pytest
from conftest import EXPERIMENT, ROOT
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.integrate import quad
from scipy.stats import kstest
from test_compiled import everything_spec

import nuhf
from nuhf.couplings.parameters import get
from nuhf.errors import InputError, ModelError
from nuhf.likelihood.evaluate import (
    compile_model,
    expected_counts,
    poisson_twice_nll,
    row_weights,
)
from nuhf.likelihood.jax_density import log_likelihood
from nuhf.stats.priors import CouplingAxis, Flat, FlatMagnitude, Normal, Tabulated, parse

CASES = {
    "interference": (("qnu_ee", "sin2thetaW"), {"sin2thetaW": "normal:0.24,0.02"}),
    "square": (("munu_e", "munu_mu"), {"munu_e": "flat-magnitude"}),
}


@cache
def density(name):
    if name == "everything":
        return nuhf.log_density(nuhf.open(everything_spec(), "k"), prior={"k": Normal(0.5, 2.0)})
    parameters, prior = CASES[name]
    model = nuhf.model(EXPERIMENT, parameters[0], profiled=parameters[1:])
    return nuhf.log_density(model, prior=prior)


def points_of(target, number, seed=1):
    """Points with a finite density: pulls beyond +-1, where the interpolation changes."""
    rng = np.random.default_rng(seed)
    low, high = target.bounds.T
    found = []
    while len(found) < number:
        nuisances = target.prior_transform(rng.random(low.size))
        middle = rng.uniform(low + 0.3 * (high - low), high - 0.3 * (high - low))
        couplings = target.columns()
        nuisances[couplings] = middle[couplings]
        if np.isfinite(target.logpdf(nuisances)):
            found.append(nuisances)
    return np.array(found)


@pytest.fixture
def jax():
    """Jax in double precision, as it was before afterwards."""
    import jax

    before = jax.config.jax_enable_x64
    jax.config.update("jax_enable_x64", True)
    yield jax
    jax.config.update("jax_enable_x64", before)


@pytest.mark.parametrize("name", [*CASES, "everything"])
def test_it_is_the_likelihood_times_the_priors(name):
    target = density(name)
    points = points_of(target, 50)
    whole = np.tile(target.compiled.inits, (50, 1))
    whole[:, target.free] = points
    likelihood = -0.5 * target.compiled.twice_nll(whole, target.data)
    priors = sum(
        prior.log(axis, whole[:, axis.index], np)
        for axis, prior in zip(target.axes, target.priors, strict=True)
    )
    np.testing.assert_allclose(target.logpdf(points), likelihood + priors, rtol=1e-12)
    assert target.logpdf(points[0]).shape == ()
    assert target.logpdf(points.reshape(5, 10, -1)).shape == (5, 10)


@pytest.mark.parametrize("name", [*CASES, "everything"])
def test_gradient_equals_finite_differences(name):
    """Five-point rule, in steps of the parameters' own scale."""
    target = density(name)
    low, high = target.bounds.T
    for point in points_of(target, 5, seed=3):
        value, gradient = target.logpdf_and_gradient(point)
        assert value == target.logpdf(point)
        step = np.diag(1e-4 * np.minimum(1.0, high - low))
        at = point + np.array([-2, -1, 1, 2])[:, np.newaxis, np.newaxis] * step
        slope = np.einsum("k,kn->n", [1, -8, 8, -1], target.logpdf(at)) / (12 * np.diag(step))
        np.testing.assert_allclose(gradient, slope, rtol=1e-7, atol=1e-7)


@cache
def on_jax(name):
    """Compiled for 40 points: value and gradient."""
    import jax

    return jax.jit(jax.vmap(jax.value_and_grad(density(name).to_jax())))


@pytest.mark.parametrize("name", ["interference", "everything"])
def test_jax_function_equals_numpy(name, jax):
    """Value and gradient through jit, grad and vmap; the expectation, too."""
    target = density(name)
    points = points_of(target, 40)
    values, gradients = target.logpdf_and_gradient(points)
    ours, slopes = on_jax(name)(points)
    np.testing.assert_allclose(ours, values, rtol=1e-12)
    np.testing.assert_allclose(slopes, gradients, rtol=1e-11, atol=1e-10)
    whole = np.tile(target.compiled.inits, (40, 1))
    whole[:, target.free] = points
    tables, jnp = target.compiled.tables, jax.numpy
    counts = jax.jit(lambda t: expected_counts(tables, t, row_weights(tables, t.T, jnp), jnp))(
        whole
    )
    np.testing.assert_allclose(counts, target.compiled.expected(whole), rtol=1e-12, atol=1e-12)


def test_jax_function_with_a_prior_in_the_magnitude(jax):
    target = density("square")
    point = points_of(target, 1)[0]
    value, gradient = target.logpdf_and_gradient(point)
    ours, slope = jax.jit(jax.value_and_grad(target.to_jax()))(point)
    assert float(ours) == pytest.approx(float(value), rel=1e-12)
    np.testing.assert_allclose(slope, gradient, rtol=1e-11, atol=1e-10)


def test_jax_derivatives_where_the_interpolation_changes(jax):
    """At pulls of -1 and 1, and at zero couplings, where a power has no derivative on jax."""
    target = density("everything")
    c, place = target.compiled.constraints, np.cumsum(target.free) - 1
    pulls = c.normal_param[(c.normal_sigma == 1) & target.free[c.normal_param]]
    points = np.tile(target.initial, (40, 1))
    points[:, place[pulls]] = np.resize([-1.0, 0.0, 1.0], 40)[:, np.newaxis]
    points[:, target.columns()[0]] = 0.0
    _, gradients = target.logpdf_and_gradient(points)
    np.testing.assert_allclose(on_jax("everything")(points)[1], gradients, rtol=1e-11, atol=1e-10)


def test_where_the_density_is_zero(jax):
    """Outside the bounds, and where a bin with counts expects nothing: -inf, here and on jax."""
    target = density("everything")
    outside, negative = target.initial.copy(), target.initial.copy()
    outside[0] = target.bounds[0, 1] + 1.0
    negative[target.columns()[0]] = -30.0
    whole = target.compiled.inits.copy()
    whole[target.free] = negative
    assert (target.compiled.expected(whole) < 0).any()
    value, gradient = target.logpdf_and_gradient(np.array([outside, negative]))
    assert (value == -np.inf).all()
    assert np.isnan(gradient).all()
    nothing = np.full(outside.size, np.nan)
    assert target.logpdf(nothing) == -np.inf
    points = np.resize([outside, negative, nothing], (40, outside.size))
    assert (np.asarray(on_jax("everything")(points)[0]) == -np.inf).all()


def test_poisson_term_of_jax_follows_the_convention_of_numpy(jax):
    n = np.array([0.0, 0.0, 0.0, 3.0, 3.0, 3.0, 0.0, 2.5, 0.0, 0.0, 3.0])
    lam = np.array([-1.0, 0.0, 2.0, -1.0, 0.0, 2.0, np.nan, 1e-300, -5e-6, -2e-5, -5e-6])
    ours = poisson_twice_nll(n[:, None], jax.numpy.asarray(lam)[:, None], jax.numpy)
    theirs = poisson_twice_nll(n[:, None], lam[:, None])
    np.testing.assert_allclose(ours, theirs, rtol=1e-12)


def test_jax_follows_numpy_where_an_empty_bin_expects_less_than_nothing(jax):
    """Rounding below zero counts as zero, with the slope of above; further down is impossible."""
    samples = [
        ("signal", [0.0, 1.0], [{"name": "mu", "type": "normfactor", "data": None}]),
        ("background", [10.0, 0.0], []),
    ]
    listed = [{"name": n, "data": d, "modifiers": m} for n, d, m in samples]
    model = pyhf.Model({"channels": [{"name": "c", "samples": listed}]}, poi_name="mu")
    compiled, data = compile_model(model), np.array([8.0, 0.0])
    jaxed = jax.value_and_grad(lambda theta: log_likelihood(jax, compiled, data, theta))
    for mu in (2.0, 1e-7, 0.0, -5e-6):
        theta = np.array([mu])
        value, slope = jaxed(jax.numpy.asarray(theta))
        likelihood = float(compiled.twice_nll(theta, data))
        assert -2.0 * float(value) == pytest.approx(likelihood, rel=1e-12)
        np.testing.assert_allclose(-2.0 * slope, compiled.gradient(theta, data), rtol=1e-12)
    assert jaxed(jax.numpy.asarray([-2e-5]))[0] == -np.inf
    assert compiled.twice_nll(np.array([-2e-5]), data) == np.inf


def test_jax_in_single_precision_is_refused(jax):
    jax.config.update("jax_enable_x64", False)
    with pytest.raises(InputError, match="jax_enable_x64"):
        jax.jit(density("square").to_jax())(density("square").initial.astype(np.float32))


def test_without_jax_the_error_says_how_to_install_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "jax", None)
    with pytest.raises(ModelError, match=r"pip install 'nuhf\[jax\]'"):
        density("square").to_jax()


def test_nested_samplers_get_the_same_posterior():
    """log_likelihood + prior densities = logpdf + a constant, the Jacobian of prior_transform."""
    target = density("everything")
    u = np.random.default_rng(2).uniform(0.2, 0.8, (20, target.initial.size))
    u = u[np.isfinite(target.logpdf(target.prior_transform(u)))]
    assert len(u) > 5
    theta = target.prior_transform(u)
    step = 1e-6
    slopes = [
        (target.prior_transform(u + step * e) - target.prior_transform(u - step * e)) / (2 * step)
        for e in np.eye(u.shape[1])
    ]
    jacobian = sum(np.log(slope[:, i]) for i, slope in enumerate(slopes))
    constant = target.logpdf(theta) - target.log_likelihood(theta) + jacobian
    np.testing.assert_allclose(constant, constant[0], rtol=1e-8, atol=1e-8)


AXES = {
    "charge": CouplingAxis(get("qnu_ee"), -200.0, 150.0, 0.0, 0),
    "angle": CouplingAxis(get("sin2thetaW"), -20.0, 30.0, 0.0, 0),
    "moment": CouplingAxis(get("munu_e"), 0.0, 20.0, 0.0, 0),
    "fourth power": CouplingAxis(get("g_scalar_cerdeno2016_UNVERIFIED"), 0.0, 20.0, 0.0, 0),
}
PRIORS = {
    "flat": lambda size: Flat(),
    "flat-magnitude": lambda size: FlatMagnitude(),
    "normal": lambda size: Normal(0.2 * size, 0.1 * size),
    "table": lambda size: Tabulated((0.0, 0.3 * size, size), (1.0, 3.0, 0.5)),
}


@pytest.mark.parametrize("kind", PRIORS)
@pytest.mark.parametrize("axis", AXES.values(), ids=AXES)
def test_priors_are_normalised_and_draw_from_themselves(axis, kind):
    """Integral 1 in the fit parameter; quantiles are the inverse of it; slopes are derivatives."""
    prior = PRIORS[kind](axis.ends[1])
    inner = np.clip(axis.to_fit(np.array([0.0, 0.3 * axis.ends[1]])), axis.low, axis.high)
    edges = np.unique([axis.low, *inner, axis.high])
    # an even power is integrated in its root, where its density is finite
    power = axis.parameter.power

    def value(z):
        theta = z**power
        return np.exp(prior.log(axis, np.array([theta]), np)[0]) * power * z ** (power - 1)

    ends = edges ** (1 / power) if power > 1 else edges
    total = sum(quad(value, a, b, limit=200)[0] for a, b in pairwise(ends))
    assert total == pytest.approx(1.0, rel=1e-6)
    u = np.array([0.05, 0.3, 0.6, 0.9])
    theta = prior.quantile(axis, u)
    for probability, end in zip(u, theta ** (1 / power) if power > 1 else theta, strict=True):
        below = [*ends[ends < end], end]
        mass = sum(quad(value, a, b)[0] for a, b in pairwise(below))
        assert mass == pytest.approx(probability, abs=1e-5)
    step = 1e-5 * np.maximum(np.abs(theta), 1e-3 * (axis.high - axis.low))
    up, down = (prior.log(axis, theta + s, np) for s in (step, -step))
    np.testing.assert_allclose(prior.slope(axis, theta), (up - down) / (2 * step), rtol=1e-4)


@settings(deadline=None, max_examples=50)
@given(st.floats(-1.0, 1.0), st.floats(0.01, 2.0))
def test_normal_prior_is_the_same_as_one_more_measurement(mean, sd):
    """A normal prior of an interfering coupling changes logpdf as a constraint term would."""
    axis = CouplingAxis(get("norm_cevns"), -50.0, 50.0, 0.0, 0)
    theta = np.array([-0.5, 0.1, 1.3])
    prior = Normal(mean, sd).log(axis, theta, np)
    np.testing.assert_allclose(
        np.diff(prior), np.diff(-0.5 * ((theta - mean) / sd) ** 2), atol=1e-12
    )


def test_prior_draws_have_their_distribution():
    target = density("interference")
    theta = target.prior_transform(np.random.default_rng(3).random((4000, target.initial.size)))
    column = target.columns()[1]
    draws = target.axes[1].from_fit(theta[:, column])
    assert kstest(draws, "norm", (0.24, 0.02)).pvalue > 1e-3
    pulls = np.delete(theta, target.columns(), axis=1)
    assert kstest(pulls[:, 0], "norm").pvalue > 1e-3


@pytest.mark.parametrize(
    ("given_prior", "message"),
    [
        ({"qnu_mumu": "flat"}, "which is not free"),
        ({"qnu_ee": "gaussian"}, "allowed: flat, flat-magnitude"),
        ({"qnu_ee": "normal:1"}, "normal:MEAN,SD"),
        ({"qnu_ee": "normal:1e-8,-1e-8"}, "sd above 0"),
        ({"qnu_ee": "normal:1,1e-9"}, "no probability"),
        ({"qnu_ee": "table:none.csv"}, "none.csv"),
        ({"qnu_ee": Tabulated((5.0, 6.0), (1.0, 1.0))}, "no probability"),
    ],
)
def test_bad_priors_are_refused(given_prior, message):
    with pytest.raises(InputError, match=message):
        nuhf.log_density(nuhf.model(EXPERIMENT, "qnu_ee"), prior=given_prior)


def test_tables_that_are_no_density_are_refused(tmp_path):
    path = tmp_path / "prior.csv"
    path.write_text("# source: made up\nvalue,density\n0,1\n1e-8,2\n", encoding="utf-8")
    prior = parse(f"table:{path}")
    assert "made up" in str(prior)
    assert nuhf.log_density(nuhf.model(EXPERIMENT, "qnu_ee"), prior={"qnu_ee": prior}).record[
        "options"
    ]["priors"] == {"qnu_ee": str(prior)}
    for values, heights in (((1.0, 0.0), (1.0, 1.0)), ((0.0, 1.0), (-1.0, 1.0)), ((0.0,), (1.0,))):
        with pytest.raises(InputError, match="tabulated prior"):
            Tabulated(values, heights)


def test_a_workspace_file_has_the_density_of_its_experiment():
    """The shipped native file of a coupling, and the experiment it was made from."""
    path = ROOT / "workspaces" / EXPERIMENT / "qnu_mumu.native.json"
    of_workspace = nuhf.log_density(path)
    of_experiment = nuhf.log_density(nuhf.model(EXPERIMENT, "qnu_mumu"))
    assert of_workspace.names == of_experiment.names
    points = points_of(of_experiment, 20)
    np.testing.assert_allclose(of_workspace.logpdf(points), of_experiment.logpdf(points), rtol=1e-8)


def test_what_makes_no_sense_is_refused():
    path = str(ROOT / "workspaces" / EXPERIMENT / "qnu_mumu.native.json")
    with pytest.raises(InputError, match="no parameter 'qnu'"):
        nuhf.open(path, "qnu")
    with pytest.raises(InputError, match="for experiments, not for files"):
        nuhf.model(path, anapole="khan")
    with pytest.raises(InputError, match="an experiment beside files"):
        nuhf.log_density([path, EXPERIMENT])
    with pytest.raises(InputError, match="last axis must be"):
        density("square").logpdf(np.zeros(3))
