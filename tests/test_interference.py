"""Interference in plain pyhf: small samples with steep normsys factors, and positive ones."""

import doctest

import numpy as np
import pyhf
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nuhf.errors import InputError
from nuhf.workspaces import interference
from nuhf.workspaces.interference import (
    code4_coefficients,
    curved_factor,
    interference_samples,
    positive_factors,
)


def code4(alpha, hi, lo):
    """pyhf's own interpolator."""
    kernel = pyhf.interpolators.get(4)([[[[lo], [1.0], [hi]]]])
    return np.asarray(kernel(pyhf.tensorlib.astensor([np.atleast_1d(alpha)]))).ravel()


@pytest.mark.parametrize(("hi", "lo"), [(2.0, 0.5), (0.25, 4.0), (1024.0, 1024.0), (1.3, 0.9)])
def test_code4_coefficients_are_those_of_pyhf_s_interpolator(hi, lo):
    alpha = np.linspace(-0.99, 0.99, 41)
    powers = alpha[:, np.newaxis] ** np.arange(1, 7)
    np.testing.assert_allclose(1.0 + powers @ code4_coefficients(hi, lo), code4(alpha, hi, lo),
                               rtol=1e-10, atol=1e-10 * max(hi, lo))  # fmt: skip


@settings(max_examples=30, deadline=None, derandomize=True)
@given(st.floats(12.0, 1e4), st.sampled_from([-2.0, 0.0, 2.0]))
def test_a_factor_has_the_slope_and_the_curvature_asked_for(steepness, side):
    hi, lo = curved_factor(side * steepness, steepness**2)
    assert hi > 0
    assert lo > 0
    slope, curvature = code4_coefficients(hi, lo)[:2]
    assert slope == pytest.approx(side * steepness, rel=1e-6, abs=1e-6 * steepness)
    assert curvature == pytest.approx(steepness**2, rel=1e-8)


def rate_of(samples, poi, shape=None):
    """Expected counts of a pyhf model with these samples, as a function of alpha and a pull."""
    bins = len(samples[0]["data"])
    spec = {"channels": [{"name": "c", "samples": samples}]}
    model = pyhf.Model(spec, poi_name=poi)

    def rate(alpha, pull=0.0):
        point = np.zeros(model.config.npars)
        point[model.config.par_map[poi]["slice"]] = alpha
        if shape is not None:
            point[model.config.par_map[shape]["slice"]] = pull
        return model.expected_actualdata(point)

    assert len(rate(0.0)) == bins
    return rate


terms = st.lists(
    st.tuples(st.floats(1.0, 100.0), st.floats(-0.95, 0.95), st.floats(0.01, 1.0)),
    min_size=1, max_size=4,
)  # fmt: skip


def arrays(rows):
    """T0, T1, T2 with |T1| below 2 sqrt(T0 T2): a cross section."""
    t0, mixing, t2 = np.array(rows).T
    return np.array([t0, 2.0 * mixing * np.sqrt(t0 * t2), t2])


@settings(max_examples=40, deadline=None, derandomize=True)
@given(terms, st.floats(-1.0, 1.0))
def test_three_samples_are_the_rate(rows, where):
    """Up to 5 (theta/Q)^2 of the sizes of the terms, and exactly at 0."""
    t = arrays(rows)
    unit, theta = 500.0, 10.0 * where
    samples = interference_samples("s", t, "x", unit)
    rate = rate_of(samples, "x")
    np.testing.assert_allclose(rate(0.0), t[0], rtol=1e-9)
    exact = t[0] + theta * t[1] + theta**2 * t[2]
    size = np.abs(theta * t[1]) + theta**2 * t[2]
    assert (np.abs(rate(theta / unit) - exact) <= 5 * (theta / unit) ** 2 * size + 1e-8).all()
    for small in samples[1:]:
        assert (np.abs(small["data"]) <= 0.01 * t[0] * (1 + 1e-9)).all()


@pytest.mark.parametrize("pull", [-1.0, 0.0, 1.0])
def test_shapes_and_factors_act_on_the_whole_rate(pull):
    t = arrays([(50.0, -0.8, 0.5), (20.0, 0.3, 0.1)])
    up, down = t * [[1.2], [1.1], [1.3]], t * [[0.9], [0.95], [0.7]]
    factor = {"name": "k", "type": "normfactor", "data": None}
    samples = interference_samples(
        "s", t, "x", 500.0, modifiers=[factor], shapes={"tilt": (up, down)}
    )
    assert all(factor in s["modifiers"] for s in samples)
    for sample in samples:
        sample["modifiers"].remove(factor)
    wanted = {-1.0: down, 0.0: t, 1.0: up}[pull]
    rate = rate_of(samples, "x", "tilt")
    for theta in (-8.0, 0.0, 6.0):
        exact = wanted[0] + theta * wanted[1] + theta**2 * wanted[2]
        np.testing.assert_allclose(rate(theta / 500.0, pull), exact, rtol=1e-3)


def test_bad_terms_are_refused_in_words():
    with pytest.raises(InputError, match="shapes \\(2,\\), \\(1,\\), \\(2,\\)"):
        interference_samples("s", ([1.0, 2.0], [0.0], [1.0, 1.0]), "x", 10.0)
    with pytest.raises(InputError, match="bin 1 has interference but no events"):
        interference_samples("s", ([1.0, 0.0], [0.0, 1.0], [1.0, 1.0]), "x", 10.0)
    good = ([1.0], [0.0], [1.0])
    with pytest.raises(InputError, match="other bins"):
        interference_samples("s", good, "x", 10.0, shapes={"n": (arrays([(1, 0, 1)] * 2),) * 2})


@settings(max_examples=8, deadline=None, derandomize=True)
@given(terms)
def test_positive_samples_are_positive_and_the_rate(rows):
    t = arrays(rows)
    unit = 1e4 * float(np.sqrt(t[0] / t[2]).max())
    factors, weights = positive_factors(t[np.newaxis], unit)
    assert (weights >= 0).all()
    for theta in (-3.0, 0.0, 0.5, 2.0):
        values = [1.0 if f.pair is None else code4(theta / unit, *f.pair)[0] for f in factors]
        exact = t[0] + theta * t[1] + theta**2 * t[2]
        np.testing.assert_allclose(np.array(values) @ weights[0], exact, rtol=1e-4, atol=1e-4)


def test_a_rate_that_touches_zero_has_its_node_there():
    """(1 - theta/3)^2 in every bin is one square and nothing else can be."""
    t = np.array([[9.0, 18.0], [-6.0, -12.0], [1.0, 2.0]])
    with pytest.raises(InputError, match="not positive for every value"):
        positive_factors(t[np.newaxis], 1e3)
    t[1] *= 0.999
    factors, weights = positive_factors(t[np.newaxis], 1e3)
    assert [f.label for f in factors] == ["", "_square", "_node1"]
    np.testing.assert_allclose(weights[0, 2], [9.0, 18.0], rtol=2e-3)


def test_the_example_in_the_documentation_is_right():
    failed, tried = doctest.testmod(interference)
    assert (failed, tried > 0) == (0, True)
