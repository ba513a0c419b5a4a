"""The compiled likelihood on jax against the numpy one; ordinary CI, without jax, skips most."""

import json
import sys
from functools import cache

import numpy as np
import pytest
from conftest import EXPERIMENT, ROOT
from test_compiled import everything_spec

from nuhf.errors import InputError, ModelError
from nuhf.likelihood.evaluate import compile_model, poisson_twice_nll
from nuhf.likelihood.jax_likelihood import jax_functions
from nuhf.workspaces.native import load_model

MODELS = ["qnu_mumu.native", "munu_mu.native", "everything"]
NO_JAX = "jax is an optional dependency: pip install 'nuhf[jax]'"


def need_jax():
    return pytest.importorskip("jax", reason=NO_JAX)


@cache
def compiled_and_data(name):
    if name == "everything":
        document = everything_spec()
    else:
        path = ROOT / "workspaces" / EXPERIMENT / f"{name}.json"
        document = json.loads(path.read_text(encoding="utf-8"))
    model, data = load_model(document)
    return compile_model(model), np.asarray(data)


@cache
def functions(name):
    return jax_functions(compiled_and_data(name)[0])


def points_of(compiled, number, seed=1):
    """Random points with positive counts: pulls beyond +-1, where the interpolation changes."""
    rng = np.random.default_rng(seed)
    low, high = compiled.bounds.T
    c, found = compiled.constraints, []
    while len(found) < number:
        point = rng.uniform(low + 0.25 * (high - low), high - 0.25 * (high - low))
        pulls = c.normal_param[c.normal_sigma == 1]
        point[pulls] = np.clip(rng.normal(size=len(pulls)), -2.5, 2.5)
        point[compiled.fixed] = compiled.inits[compiled.fixed]
        near = np.setdiff1d(np.append(c.normal_param, c.poisson_param), pulls)
        point[near] = compiled.inits[near] * rng.uniform(0.9, 1.1, size=len(near))
        if (compiled.expected(point) > 0).all():
            found.append(point)
    return np.array(found)


@pytest.mark.parametrize("name", MODELS)
def test_counts_and_likelihood_equal_numpy(name):
    need_jax()
    compiled, data = compiled_and_data(name)
    points, f = points_of(compiled, 200), functions(name)
    expected = compiled.expected(points)
    np.testing.assert_allclose(f.expected(points), expected, rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(
        f.twice_nll(points, data), compiled.twice_nll(points, data), rtol=1e-10
    )
    # One point, and data of its own for every point.
    np.testing.assert_allclose(f.expected(points[0]), expected[0], rtol=1e-12, atol=1e-12)
    one = f.twice_nll(points[0], data)
    assert one.shape == ()
    assert one == pytest.approx(float(compiled.twice_nll(points[0], data)), rel=1e-10)
    toys = np.tile(data, (len(points), 1))
    toys[:, : compiled.n_main] = np.random.default_rng(2).poisson(expected)
    for theta in (points, points[0]):
        np.testing.assert_allclose(
            f.twice_nll(theta, toys), compiled.twice_nll(theta, toys), rtol=1e-10
        )


@pytest.mark.parametrize("name", MODELS)
def test_gradient_equals_the_analytic_one(name):
    need_jax()
    compiled, data = compiled_and_data(name)
    points = points_of(compiled, 100)
    analytic = compiled.gradient(points, data)
    ours = functions(name).gradient(points, data)
    scale = np.abs(analytic).max(axis=0)
    assert (np.abs(ours - analytic) <= 1e-8 * np.abs(analytic) + 1e-12 * scale).all()


@pytest.mark.parametrize("name", MODELS)
def test_hessian_equals_finite_differences(name):
    """Five-point rule on the analytic gradient of numpy, in steps of the Fisher information."""
    need_jax()
    compiled, data = compiled_and_data(name)
    for point in points_of(compiled, 2, seed=3):
        hessian = functions(name).hessian(point, data)
        np.testing.assert_allclose(hessian, hessian.T, rtol=1e-10, atol=1e-10 * abs(hessian).max())
        information = np.diag(compiled.fisher(point))
        width = 1 / np.sqrt(np.where(information > 0, information, 1.0))
        for i in np.flatnonzero(~compiled.fixed):
            step = np.zeros_like(point)
            step[i] = min(1e-3 * width[i], 1e-3 * np.ptp(compiled.bounds[i]))
            at = point + step * np.array([[-2], [-1], [1], [2]])
            slope = np.array([1, -8, 8, -1]) @ compiled.gradient(at, data) / (12 * step[i])
            size = 1 / (width[i] * width)
            np.testing.assert_allclose(hessian[i] / size, slope / size, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("name", ["qnu_mumu.native", "munu_mu.native"])
def test_derivatives_are_finite_at_zero(name):
    """Couplings enter as theta and theta^2; power() would give NaN here."""
    need_jax()
    compiled, data = compiled_and_data(name)
    zero = np.zeros(len(compiled.names))
    gradient = functions(name).gradient(zero, data)
    np.testing.assert_allclose(gradient, compiled.gradient(zero, data), rtol=1e-8, atol=1e-8)
    assert np.isfinite(functions(name).hessian(zero, data)).all()


@pytest.mark.parametrize("alpha", [-1.0, 1.0])
def test_derivatives_where_the_interpolation_changes(alpha):
    need_jax()
    compiled, data = compiled_and_data("everything")
    point = compiled.inits.copy()
    point[compiled.constraints.normal_param[compiled.constraints.normal_sigma == 1]] = alpha
    ours = functions("everything").gradient(point, data)
    np.testing.assert_allclose(ours, compiled.gradient(point, data), rtol=1e-8, atol=1e-8)


def test_counts_that_are_not_positive():
    """+inf with events in the bin, derivatives NaN; without events twice the expectation."""
    need_jax()
    compiled, data = compiled_and_data("everything")
    f, negative = functions("everything"), compiled.inits.copy()
    negative[compiled.index("k")] = -30.0
    counts = compiled.expected(negative)
    assert (counts < 0).any()
    assert f.twice_nll(negative, data) == np.inf
    assert np.isnan(f.gradient(negative, data)).all()
    assert np.isnan(f.hessian(negative, data)).all()
    empty = data.copy()
    empty[: compiled.n_main][counts <= 0] = 0.0
    value = compiled.twice_nll(negative, empty)
    assert np.isfinite(value)
    assert f.twice_nll(negative, empty) == pytest.approx(float(value), rel=1e-10)
    np.testing.assert_allclose(
        f.gradient(negative, empty), compiled.gradient(negative, empty), rtol=1e-8, atol=1e-8
    )
    assert np.isfinite(f.hessian(negative, empty)).all()
    nan = negative.copy()
    nan[compiled.index("k")] = np.nan
    assert f.twice_nll(nan, empty) == compiled.twice_nll(nan, empty) == np.inf


def test_poisson_term_follows_the_convention_of_numpy():
    jax = need_jax()
    from nuhf.likelihood.jax_likelihood import _float64, _poisson

    n = np.array([0.0, 0.0, 0.0, 3.0, 3.0, 3.0, 0.0, 2.5])
    lam = np.array([-1.0, 0.0, 2.0, -1.0, 0.0, 2.0, np.nan, 1e-300])
    with _float64(jax):
        ours = [float(_poisson(jax, n[i : i + 1], lam[i : i + 1])) for i in range(len(n))]
    theirs = [float(poisson_twice_nll(n[i : i + 1], lam[i : i + 1])) for i in range(len(n))]
    np.testing.assert_allclose(ours, theirs, rtol=1e-12)


def test_global_precision_of_jax_is_untouched():
    jax = need_jax()
    before = jax.config.jax_enable_x64
    compiled, data = compiled_and_data("everything")
    for setting in (False, True):
        jax.config.update("jax_enable_x64", setting)
        try:
            value = functions("everything").twice_nll(compiled.inits, data)
            assert value.dtype == np.float64
            assert jax.config.jax_enable_x64 == setting
        finally:
            jax.config.update("jax_enable_x64", before)


def test_wrong_shapes_are_refused():
    need_jax()
    compiled, data = compiled_and_data("everything")
    f, n = functions("everything"), len(compiled.names)
    with pytest.raises(InputError, match=f"must be {n}"):
        f.expected(np.zeros(n + 1))
    with pytest.raises(InputError, match="the last axis must be"):
        f.twice_nll(compiled.inits, data[:-1])
    with pytest.raises(InputError, match="leading axes"):
        f.gradient(np.tile(compiled.inits, (2, 1)), np.tile(data, (3, 1)))


def test_without_jax_the_error_says_how_to_install_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "jax", None)
    with pytest.raises(ModelError, match=r"pip install 'nuhf\[jax\]'"):
        jax_functions(compiled_and_data("everything")[0])
