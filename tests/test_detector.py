"""Detector: quenching, resolution, efficiencies, response matrix, rebinning."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.integrate import quad
from scipy.optimize import brentq
from scipy.special import gammaincc
from scipy.stats import gamma

from nuhf.detector import quenching as curves
from nuhf.detector import smearing as smear
from nuhf.detector.efficiency import (
    exponential_fractions,
    exponential_mean,
    full_efficiency,
    logistic_efficiency,
)
from nuhf.errors import InputError
from nuhf.experiments.catalogue import load
from nuhf.inputs import Inputs

EXPERIMENT = load("coherent-csi-2021").experiment
SETUP = EXPERIMENT.responses["nuclear"]
SMEARING = SETUP.smearing.smearing()
LOGISTIC = SETUP.efficiency.efficiency(Inputs(), 1.0, "pe")
TIME = SETUP.time
EDGES = np.array([0, 8, 12, 16, 20, 24, 32, 40, 50, 60.0])
LIGHT = st.floats(0.05, 6.0)
"""keV_ee: 0.7 to 80 photoelectrons."""
RATES = st.just(0.0) | st.floats(1e-9, 3)
"""Losses per us; exactly 0 is a branch of its own."""


def variations(part):
    """Released variations of quenching or efficiency: the changes up and down."""
    for nuisance in EXPERIMENT.nuisances.values():
        if nuisance.kind == "variation" and part in nuisance.up["responses"].get("nuclear", {}):
            yield [n["responses"]["nuclear"][part] for n in (nuisance.up, nuisance.down)]


# ----------------------------------------------------------------- quenching


@settings(deadline=None)
@given(recoil=st.floats(1e-4, 0.08))
def test_quenching_is_the_printed_polynomial(recoil):
    c = SETUP.quenching.coefficients
    quenching = curves.polynomial(c, (0.0, 0.08))
    expected = c[0] * recoil + c[1] * recoil**2 + c[2] * recoil**3 + c[3] * recoil**4
    assert float(quenching(np.array(recoil))) == pytest.approx(expected, rel=1e-12)


def test_quenching_of_csi_is_about_ten_per_cent():
    # arXiv:2111.02477: 8 to 10 % between 5 and 30 keV; variations are a few per cent of it
    quenching = curves.polynomial(SETUP.quenching.coefficients, (0.0, 0.08))
    recoil = np.array([10e-3, 20e-3, 30e-3])
    assert ((quenching(recoil) / recoil > 0.08) & (quenching(recoil) / recoil < 0.12)).all()


def test_released_variations_bracket_the_nominal():
    recoil = np.linspace(1e-3, 45e-3, 30)
    nominal = curves.polynomial(SETUP.quenching.coefficients, (0, 0.08))(recoil)
    found = list(variations("quenching"))
    assert len(found) == 2
    for ends in found:
        up, down = (curves.polynomial(e["coefficients"], (0, 0.08))(recoil) for e in ends)
        # eigenvectors of a linear fit: symmetric
        np.testing.assert_allclose(0.5 * (up + down), nominal, rtol=1e-4)


@pytest.mark.parametrize("recoil", [0.9e-3, 80.1e-3])
def test_quenching_is_not_extrapolated(recoil):
    quenching = curves.polynomial((0.1,), (1e-3, 80e-3))
    assert quenching(np.array([1e-3, 80e-3])).size == 2
    with pytest.raises(InputError, match=r"recoils of .* keV are outside 1 to 80 keV"):
        quenching(np.array([recoil, 5e-3]))


@pytest.mark.parametrize("coefficients", [(-0.1,), (0.1, -10.0), (0.0,)])
def test_quenching_without_light_is_refused(coefficients):
    with pytest.raises(InputError, match="no positive light"):
        curves.polynomial(coefficients, (0.0, 0.08))(np.array([1e-3, 50e-3]))


# ---------------------------------------------------------------- resolution


@settings(deadline=None)
@given(light_kev=LIGHT)
def test_smearing_is_a_normalised_gamma_with_the_right_mean_and_variance(light_kev):
    # shape 1 + b0 E, mean E/a0, variance mean^2/(1 + b0 E)
    mean = light_kev / SMEARING.a0_kev_ee
    shape = 1 + SMEARING.b0_per_kev_ee * light_kev
    x, w = np.polynomial.legendre.leggauss(60)
    top = mean + 40 * mean / np.sqrt(shape)
    edges = np.linspace(0, top, 201)
    half = 0.5 * np.diff(edges)[:, None]
    nodes = (0.5 * (edges[1:] + edges[:-1])[:, None] + half * x).ravel()
    weight = (half * w).ravel() * SMEARING.density(nodes, np.array([light_kev * 1e-3]))[:, 0]
    assert weight.sum() == pytest.approx(1.0, rel=1e-7)
    assert weight @ nodes == pytest.approx(mean, rel=1e-7)
    assert weight @ (nodes - mean) ** 2 == pytest.approx(mean**2 / shape, rel=1e-6)


def test_density_against_scipy_stats():
    energy = np.array([0.2, 1.0, 3.0])
    x = np.array([0.5, 5.0, 20.0, 59.0])
    shape = 1 + SMEARING.b0_per_kev_ee * energy
    expected = gamma.pdf(x[:, None], shape, scale=energy / SMEARING.a0_kev_ee / shape)
    np.testing.assert_allclose(SMEARING.density(x, energy * 1e-3), expected, rtol=1e-11)


def test_light_yield_is_the_published_one():
    # arXiv:2110.07730: 13.35 photoelectrons per keV_ee
    assert 1 / SMEARING.a0_kev_ee == pytest.approx(13.35, rel=1e-3)


# -------------------------------------------------------------- efficiencies


def test_threshold_of_the_release():
    # zero of the released curve found by root finding; about 7 photoelectrons in the count
    # table, whose first event lies in the cell 6-7
    root = brentq(
        lambda x: (
            SETUP.efficiency.a / (1 + np.exp(-SETUP.efficiency.b * (x - SETUP.efficiency.c)))
            + SETUP.efficiency.d
        ),
        0,
        20,
    )
    assert LOGISTIC.threshold == pytest.approx(root, rel=1e-12)
    assert LOGISTIC.threshold == pytest.approx(7.07, abs=0.01)
    below, above = np.array([0.0, 5.0, root - 1e-6]), np.array([root + 1e-6, 10.0, 60.0])
    assert (LOGISTIC(below) == 0).all()
    assert (LOGISTIC(above) > 0).all()
    assert (np.diff(LOGISTIC(above)) > 0).all()


def test_plateau_of_the_efficiency():
    assert LOGISTIC(np.array([1e4]))[0] == pytest.approx(SETUP.efficiency.a + SETUP.efficiency.d)
    (ends,) = variations("efficiency")
    for logistic in ends:
        curve = logistic_efficiency(**logistic)
        assert 0.9 < curve(np.array([1e4]))[0] <= 1.0


def test_threshold_of_other_curves():
    assert logistic_efficiency(1.0, 1.0, 5.0, 0.0).threshold == -np.inf
    with pytest.raises(InputError, match="a = -1 and b = 1 must be positive"):
        logistic_efficiency(-1, 1, 5, 0)
    with pytest.raises(InputError, match="leaves nothing positive"):
        logistic_efficiency(0.5, 1.0, 5.0, -0.5)


@settings(deadline=None)
@given(time=st.floats(1e-3, 20), start=st.floats(0, 3), rate=RATES)
def test_mean_time_efficiency_against_quad(time, start, rate):
    def curve(t):
        return np.exp(-rate * max(t - start, 0.0))

    expected = quad(curve, 0, time, points=[min(start, time)], epsabs=1e-12)[0]
    assert exponential_mean([0.0, time], start, rate)[0] * time == pytest.approx(
        expected, rel=1e-8, abs=1e-10
    )


@settings(deadline=None)
@given(start=st.floats(0.0, 2.0))
def test_time_efficiency_without_loss_is_the_limit_of_a_small_one(start):
    edges = np.array([0.0, 0.5, 3.0])
    none = exponential_mean(edges, start, 0.0)
    np.testing.assert_allclose(none, 1.0, rtol=1e-14)
    np.testing.assert_allclose(exponential_mean(edges, start, 1e-9), none, rtol=1e-7)


def test_time_efficiency_of_the_release():
    assert TIME.mean(np.array([0.0, TIME.start_us])).tolist() == [1.0]
    assert TIME.mean(np.array([6.0 - 1e-5, 6.0 + 1e-5]))[0] == pytest.approx(
        np.exp(-0.0494 * 5.48), rel=1e-10
    )


@settings(deadline=None)
@given(
    edges=st.lists(st.floats(0, 15), min_size=2, max_size=10, unique=True).map(sorted),
    rate=RATES,
)
def test_exponential_fractions_sum_to_one(edges, rate):
    edges = np.array(edges)
    if np.diff(edges).min() < 1e-6:
        edges = np.linspace(0, 6, 5)
    fractions = exponential_fractions(edges, rate)
    assert fractions.sum() == pytest.approx(1.0, rel=1e-9)
    assert (fractions >= 0).all()
    late = edges - edges[0]
    expected = [quad(lambda t: np.exp(-rate * t), a, b, epsabs=0)[0] for a, b in pairwise(late)]
    np.testing.assert_allclose(fractions, np.array(expected) / sum(expected), rtol=1e-7, atol=1e-13)


def test_exponential_fractions_keep_their_digits_at_late_times():
    # counted from t = 0, exp(-rate t) of these bins is below the rounding of 1
    early = exponential_fractions(np.array([0.0, 1.0, 3.0]), 3.0)
    np.testing.assert_allclose(
        exponential_fractions(np.array([400.0, 401.0, 403.0]), 3.0), early, rtol=1e-12
    )


# ------------------------------------------------------------------ response


def slow_response(edges, light_kev, efficiency):
    """The slow twin: scipy.quad over each bin, split at the threshold."""
    column = []
    for low, high in pairwise(edges):

        def integrand(x):
            density = SMEARING.density(np.array([x]), np.array([light_kev * 1e-3]))[0, 0]
            return density * float(efficiency(np.array(x)))

        start = max(low, efficiency.threshold)
        column.append(quad(integrand, start, high, epsabs=1e-13, limit=200)[0]
                      if start < high else 0.0)  # fmt: skip
    return np.array(column)


@pytest.mark.parametrize("light_kev", [0.05, 0.3, 0.8, 2.0, 4.0])
def test_response_against_quad(light_kev):
    found = SMEARING.response(EDGES, np.array([light_kev * 1e-3]), LOGISTIC)
    expected = slow_response(EDGES, light_kev, LOGISTIC)
    np.testing.assert_allclose(found[:, 0], expected, atol=1e-9)


@settings(deadline=None)
@given(light_kev=st.lists(LIGHT, min_size=1, max_size=5))
def test_response_is_a_probability(light_kev):
    energy = np.array(light_kev) * 1e-3
    matrix = SMEARING.response(EDGES, energy, LOGISTIC)
    assert (matrix >= 0).all()
    assert (matrix.sum(0) <= 1).all()
    whole = SMEARING.response(np.array([0.0, 60.0]), energy, LOGISTIC)
    np.testing.assert_allclose(matrix.sum(0), whole[0], atol=1e-9)


@settings(deadline=None)
@given(light_kev=st.floats(0.2, 3.5))
def test_perfect_detector_loses_only_what_lies_outside(light_kev):
    energy = np.array([light_kev * 1e-3])
    matrix = SMEARING.response(EDGES, energy, full_efficiency())
    shape = 1 + SMEARING.b0_per_kev_ee * light_kev
    beyond = gammaincc(shape, 60 * shape * SMEARING.a0_kev_ee / light_kev)
    assert matrix.sum() == pytest.approx(1 - beyond, abs=1e-6)


def test_nodes_respect_edges_and_threshold():
    nodes, weights = smear.signal_nodes(EDGES, 7.07)
    assert nodes.min() > 7.07
    assert (np.diff(nodes) > 0).all()
    assert weights.sum() == pytest.approx(60 - 7.07, rel=1e-13)
    per_bin = smear.weighted_bins(EDGES, nodes, weights, np.ones_like(nodes)).sum(1)
    np.testing.assert_allclose(per_bin, np.diff(np.maximum(EDGES, 7.07)), rtol=1e-12)


# ----------------------------------------------------------------- rebinning

CONTENT = arrays(float, 8, elements=st.floats(0, 100))


@settings(deadline=None)
@given(content=CONTENT, cuts=st.lists(st.floats(0.01, 7.99), max_size=5, unique=True))
def test_rebin_conserves_the_total(content, cuts):
    new = np.array(sorted({0.0, 8.0, *cuts}))
    found = smear.rebin(np.arange(9.0), content, new)
    assert found.sum() == pytest.approx(content.sum(), rel=1e-12, abs=1e-12)
    assert (found >= -1e-9).all()


@settings(deadline=None)
@given(content=CONTENT)
def test_rebin_to_the_same_or_finer_bins_and_back(content):
    old = np.arange(9.0)
    np.testing.assert_allclose(smear.rebin(old, content, old), content, atol=1e-10)
    fine = np.linspace(0, 8, 33)
    finer = smear.rebin(old, content, fine)
    np.testing.assert_allclose(finer, np.repeat(content / 4, 4), atol=1e-10)
    np.testing.assert_allclose(smear.rebin(fine, finer, old), content, atol=1e-10)


@pytest.mark.parametrize("new", [[-0.1, 4.0], [4.0, 8.1]])
def test_rebin_does_not_extrapolate(new):
    with pytest.raises(InputError, match=r"bins .* reach beyond the table, 0 to 8"):
        smear.rebin(np.arange(9.0), np.ones(8), np.array(new))


@settings(deadline=None)
@given(content=CONTENT)
def test_accepted_fractions_lose_but_never_gain(content):
    old = np.arange(9.0)
    new = np.array([0.0, 0.5, 3.0, 8.0])
    accepted = smear.rebin(old, content * TIME.mean(old), new)
    plain = smear.rebin(old, content, new)
    assert (accepted <= plain + 1e-12).all()
    without = exponential_mean(old, 0.5, 0.0)
    np.testing.assert_allclose(smear.rebin(old, content * without, new), plain, atol=1e-9)
