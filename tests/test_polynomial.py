"""Polynomials against direct evaluation, finite differences and the rules of algebra."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nuhf.errors import InputError
from nuhf.physics.polynomial import Polynomial, total

NAMES = ("x", "y", "z")
BINS = 3
NUMBERS = st.floats(-3, 3).map(lambda v: round(v, 3))


@st.composite
def polynomials(draw, names=NAMES, degree=3):
    rows = st.tuples(*(st.integers(0, degree) for _ in names))
    exponents = draw(st.lists(rows, min_size=1, max_size=5))
    terms = [
        (row, np.array(draw(st.lists(NUMBERS, min_size=BINS, max_size=BINS)))) for row in exponents
    ]
    return Polynomial.from_terms(names, terms)


POINTS = st.fixed_dictionaries(dict.fromkeys(NAMES, NUMBERS))


def direct(polynomial, values):
    """The slow twin: term by term, bin by bin."""
    result = []
    for b in range(polynomial.coefficients.shape[1]):
        count = 0.0
        for row, coefficients in zip(polynomial.exponents, polynomial.coefficients, strict=True):
            term = coefficients[b]
            for name, power in zip(polynomial.names, row, strict=True):
                term *= values[name] ** power
            count += term
        result.append(count)
    return np.array(result)


def same(one, two):
    np.testing.assert_allclose(one, two, rtol=1e-9, atol=1e-9)


@settings(deadline=None)
@given(p=polynomials(), at=POINTS)
def test_evaluate_against_the_direct_sum(p, at):
    same(p.evaluate(at), direct(p, at))


def test_evaluate_a_known_polynomial():
    # (1 + 2x)^2 at x = 3 is 49
    p = Polynomial.from_terms("x", [((0,), [1.0]), ((1,), [4.0]), ((2,), [4.0])])
    assert p.evaluate({"x": 3.0}) == pytest.approx([49.0])
    assert p.evaluate({}) == pytest.approx([1.0])


@settings(deadline=None)
@given(p=polynomials(), at=POINTS, kept=st.sets(st.sampled_from(NAMES)))
def test_restrict_fixes_some_variables(p, at, kept):
    fixed = {n: v for n, v in at.items() if n not in kept}
    smaller = p.restrict(fixed)
    assert set(smaller.names) == kept
    same(smaller.evaluate({n: at[n] for n in kept}), p.evaluate(at))


@settings(deadline=None)
@given(p=polynomials(), q=polynomials(), at=POINTS)
def test_addition(p, q, at):
    same((p + q).evaluate(at), p.evaluate(at) + q.evaluate(at))
    same((p + q).evaluate(at), (q + p).evaluate(at))
    same(total([p, q, p]).evaluate(at), 2 * p.evaluate(at) + q.evaluate(at))


@settings(deadline=None)
@given(p=polynomials(("x", "y")), q=polynomials(("w", "x")), at=POINTS, w=NUMBERS)
def test_addition_matches_variables_by_name(p, q, at, w):
    values = {"x": at["x"], "y": at["y"]}
    expected = p.evaluate(values) + q.evaluate({"w": w, "x": at["x"]})
    same((p + q).evaluate({**values, "w": w}), expected)


FORMS = st.fixed_dictionaries(
    {n: st.dictionaries(st.sampled_from("uvw"), NUMBERS, max_size=3) for n in NAMES}
)


@settings(deadline=None)
@given(p=polynomials(degree=2), forms=FORMS, u=NUMBERS, v=NUMBERS, w=NUMBERS)
def test_substitute_linear_forms(p, forms, u, v, w):
    new = {"u": u, "v": v, "w": w}
    old = {n: sum(factor * new[m] for m, factor in form.items()) for n, form in forms.items()}
    found = p.substitute(forms)
    value = found.evaluate({n: new[n] for n in found.names})
    np.testing.assert_allclose(value, p.evaluate(old), rtol=1e-8, atol=1e-6)


def test_substitute_squares_a_sum():
    p = Polynomial.from_terms("x", [((2,), [1.0])])
    found = p.substitute({"x": {"a": 1.0, "b": 1.0}})
    terms = dict(zip(found.exponents, found.coefficients[:, 0], strict=True))
    assert {k: v for k, v in terms.items() if v} == {(2, 0): 1.0, (1, 1): 2.0, (0, 2): 1.0}


def test_substituting_nothing_leaves_the_constant():
    p = Polynomial.from_terms("xy", [((0, 0), [5.0]), ((1, 0), [7.0]), ((0, 2), [9.0])])
    constant = p.substitute({"x": {}, "y": {}})
    assert constant.names == ()
    assert constant.evaluate({}) == pytest.approx([5.0])


@settings(deadline=None)
@given(p=polynomials(), at=POINTS)
def test_equal_exponents_are_collected(p, at):
    doubled = Polynomial.from_terms(
        p.names,
        [pair for pair in zip(p.exponents, p.coefficients, strict=True) for _ in range(2)],
    )
    assert len(set(doubled.exponents)) == len(doubled.exponents) == len(p.exponents)
    same(doubled.evaluate(at), 2 * p.evaluate(at))


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda p: p.evaluate({"w": 1.0}), r"unknown variable 'w'; the variables are .*'x', 'y'"),
        (lambda p: p.restrict({"w": 1.0}), "unknown variable 'w'"),
        (lambda p: p.substitute({"x": {}}), r"no substitution given for \['y'\]"),
        (lambda p: Polynomial.from_terms(p.names, []), "at least one term"),
        (lambda p: Polynomial.from_terms(p.names, [((1,), [1.0])]), "do not fit the variables"),
        (lambda p: Polynomial.from_terms(p.names, [((1, -1), [1.0])]), "do not fit"),
    ],
)
def test_misuse_is_refused_in_words(call, words):
    p = Polynomial.from_terms("xy", [((1, 1), [1.0])])
    with pytest.raises(InputError, match=words):
        call(p)
