"""Root finding inside brackets, against scipy and by hand."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import brentq

from nuhf.errors import FitError
from nuhf.roots import roots


@given(
    st.lists(st.floats(-8.0, 8.0), min_size=1, max_size=5),
    st.floats(0.01, 30.0),
    st.sampled_from([1, 3, 9]),
)
def test_roots_are_those_of_brentq(places, steep, power):
    def function(x, place):
        return np.tanh(steep * (x - place)) + 1e-3 * (x - place) ** power

    for place in places:

        def at(x, place=place):
            return function(x, place)

        (found,), (value,) = roots(at, np.array([-10.0]), np.array([9.0]), 0.0, 1e-9)
        assert found == pytest.approx(place, abs=1e-9)
        assert found == pytest.approx(brentq(at, -10.0, 9.0, xtol=1e-10), abs=2e-9)
        assert value == at(found)


def test_many_roots_at_once_and_finished_ones_are_not_asked_again():
    asked = []

    def cosine(x):
        asked.append(len(x))
        return np.cos(x)

    k = np.arange(6)
    low, high = np.pi * k, np.pi * (k + 1)
    low[0] = np.pi / 2  # a root at an end
    places, values = roots(cosine, low, high, 1e-12, 1e-12)
    np.testing.assert_allclose(places, np.pi * (k + 0.5), atol=1e-11)
    assert np.abs(values).max() < 1e-11
    assert asked[:2] == [6, 6]
    assert max(asked[2:]) <= 6
    assert len(asked) < 12


def test_a_step_is_located_and_its_height_told():
    places, values = roots(
        lambda x: np.where(x < 1.25, -1.0, 1e10), np.zeros(1), np.ones(1) * 4, 0, 1e-9
    )
    assert places[0] == pytest.approx(1.25, abs=1e-9)
    assert values[0] == -1.0


def test_no_change_of_sign():
    _, values = roots(lambda x: x**2 + 1.0, np.array([-1.0]), np.array([2.0]), 1e-9, 1e-9)
    assert values[0] == np.inf


def test_no_tolerance_is_no_hang():
    with pytest.raises(FitError, match="200 steps"):
        roots(lambda x: np.where(x < 1.25, -1.0, 1.0), np.zeros(1), np.full(1, 4.0), 0.0, 0.0)
