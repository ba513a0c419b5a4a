"""Quadrature: exactness, and honest errors on integrals with known answers."""

import mpmath
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nuhf.rates.quadrature import fejer, panel_grid

LOW, HIGH = 1e-4, 4.5e-2
"""MeV: the range of recoils of CsI."""


def geometric(ratio):
    count = int(np.ceil(np.log(HIGH / LOW) / np.log(ratio)))
    return panel_grid(np.geomspace(LOW, HIGH, count + 1))


def _exp(c):
    """exp(-c/T) between LOW and HIGH, by the incomplete gamma function."""

    def primitive(t):
        return t * mpmath.exp(-c / t) - c * mpmath.e1(c / t)

    return float(primitive(mpmath.mpf(HIGH)) - primitive(mpmath.mpf(LOW)))


CATALOGUE = {
    "1": (np.ones_like, HIGH - LOW),
    "T": (lambda t: t, (HIGH**2 - LOW**2) / 2),
    "sqrt T": (np.sqrt, 2 / 3 * (HIGH**1.5 - LOW**1.5)),
    "1/T": (lambda t: 1 / t, np.log(HIGH / LOW)),
    "1/T^2": (lambda t: t**-2, 1 / LOW - 1 / HIGH),
    "1/T^3": (lambda t: t**-3, (LOW**-2 - HIGH**-2) / 2),
    "exp(-c/T), c = 1 keV": (lambda t: np.exp(-1e-3 / t), _exp(mpmath.mpf("1e-3"))),
    "exp(-c/T), c = 10 keV": (lambda t: np.exp(-1e-2 / t), _exp(mpmath.mpf("1e-2"))),
    "exp(-T/5 keV)": (
        lambda t: np.exp(-t / 5e-3),
        5e-3 * (np.exp(-LOW / 5e-3) - np.exp(-HIGH / 5e-3)),
    ),
    "narrow peak": (
        lambda t: 1 / (1 + ((t - 0.02) / 5e-4) ** 2),
        5e-4 * (np.arctan((HIGH - 0.02) / 5e-4) - np.arctan((LOW - 0.02) / 5e-4)),
    ),
    "kink": (lambda t: np.abs(t - 0.0123), ((HIGH - 0.0123) ** 2 + (0.0123 - LOW) ** 2) / 2),
    "fast": (
        lambda t: np.sin(2e3 * t),
        (np.cos(2e3 * LOW) - np.cos(2e3 * HIGH)) / 2e3,
    ),
}


@pytest.mark.parametrize("intervals", [2, 4, 8, 16])
def test_fejer_is_exact_for_polynomials(intervals):
    nodes, weights = fejer(intervals)
    assert nodes.size == weights.size == intervals - 1
    for power in range(intervals - 1):
        exact = 2 / (power + 1) if power % 2 == 0 else 0.0
        assert weights @ nodes**power == pytest.approx(exact, abs=1e-15 * 20)
    # and not beyond: the next even power must show an error
    power = intervals if intervals % 2 == 0 else intervals + 1
    assert abs(weights @ nodes**power - 2 / (power + 1)) > 1e-8


@pytest.mark.parametrize("intervals", [2, 3, 8, 16])
def test_fejer_weights_are_positive_symmetric_and_sum_to_two(intervals):
    nodes, weights = fejer(intervals)
    assert (weights > 0).all()
    assert weights.sum() == pytest.approx(2.0, rel=1e-14)
    np.testing.assert_allclose(weights, weights[::-1], rtol=1e-12)
    np.testing.assert_allclose(nodes, -nodes[::-1], atol=1e-15)


def test_fejer_weights_against_the_integrals_of_the_lagrange_polynomials():
    nodes, weights = fejer(8)
    vandermonde = np.vander(nodes, increasing=True).T
    exact = [(1 - (-1) ** (k + 1)) / (k + 1) for k in range(nodes.size)]
    np.testing.assert_allclose(weights, np.linalg.solve(vandermonde, exact), rtol=1e-12)


def test_coarse_rule_is_nested_in_the_fine_one():
    grid = panel_grid(np.array([-1.0, 1.0]))
    used = grid.coarse != 0
    nodes, weights = fejer(8)
    assert used.sum() == 7
    assert grid.nodes.size == 15
    np.testing.assert_allclose(np.sort(grid.nodes[used]), np.sort(nodes), atol=1e-15)
    np.testing.assert_allclose(grid.coarse[used], weights, rtol=1e-12)


@settings(deadline=None)
@given(
    edges=st.lists(st.floats(1e-3, 10), min_size=2, max_size=8, unique=True).map(sorted),
    coefficients=st.lists(st.floats(-3, 3), min_size=1, max_size=7),
)
def test_panels_integrate_polynomials_exactly_with_both_rules(edges, coefficients):
    grid = panel_grid(np.array(edges))
    polynomial = np.polynomial.Polynomial(coefficients)
    primitive = polynomial.integ()
    exact = primitive(edges[-1]) - primitive(edges[0])
    bound = 1e-11 * (1 + np.abs(coefficients).sum() * edges[-1] ** (len(coefficients)))
    for weights in (grid.fine, grid.coarse):
        assert weights @ polynomial(grid.nodes) == pytest.approx(exact, abs=bound)


def test_nodes_stay_inside_their_panels():
    edges = np.array([0.1, 0.2, 0.7, 0.70001])
    grid = panel_grid(edges)
    inside = grid.nodes.reshape(3, 15)
    assert (inside > edges[:-1, None]).all()
    assert (inside < edges[1:, None]).all()


@pytest.mark.parametrize("ratio", [1.25, 1.06])
@pytest.mark.parametrize("name", list(CATALOGUE))
def test_claimed_error_is_honest(name, ratio):
    function, exact = CATALOGUE[name]
    grid = geometric(ratio)
    values = function(grid.nodes)
    claimed = abs((grid.fine - grid.coarse) @ values)
    rounding = 1e-14 * (grid.fine @ np.abs(values))
    assert abs(grid.fine @ values - exact) <= claimed + rounding


# the peak is 20 times narrower than a panel, "fast" turns by 20 rad in the last one
HARD = ("kink", "narrow peak", "fast")


@pytest.mark.parametrize("name", [n for n in CATALOGUE if n not in HARD])
def test_smooth_integrals_are_accurate_on_the_grid_in_use(name):
    function, exact = CATALOGUE[name]
    grid = geometric(1.25)
    assert grid.fine @ function(grid.nodes) == pytest.approx(exact, rel=1e-12)


def test_the_error_estimate_sees_what_the_rule_cannot_resolve():
    # one panel over the whole peak: both must be wrong, and the estimate must say so
    function, exact = CATALOGUE["narrow peak"]
    grid = panel_grid(np.array([LOW, HIGH]))
    values = function(grid.nodes)
    assert abs(grid.fine @ values - exact) > 0.1 * exact
    assert abs((grid.fine - grid.coarse) @ values) > 0.1 * exact


def test_weights_scale_with_the_unit():
    one, two = panel_grid(np.array([1.0, 2.0, 4.0])), panel_grid(np.array([3.0, 6.0, 12.0]))
    np.testing.assert_allclose(two.nodes, 3 * one.nodes, rtol=1e-14)
    np.testing.assert_allclose(two.fine, 3 * one.fine, rtol=1e-12)
