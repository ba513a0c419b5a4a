"""nuhf against a second implementation of the same analysis (`independent_csi2021`)."""

import re

import independent_csi2021 as independent
import numpy as np
import pytest
from scipy.optimize import approx_fprime

import nuhf
from nuhf.physics.sns import SPECIES

NAME, ANALYSIS = "coherent-csi-2021", "cevns-only"
REGION = "coherent_csi_2021"
TWO_PIECES = {"qnu_ee", "r2nu_ee", "r2nu_mumu", "sin2thetaW"}
PUBLISHED_FIT = 306, 20
"""CEvNS events fitted by the collaboration, arXiv:2110.07730, abstract."""


@pytest.fixture(scope="module")
def second():
    return independent.Csi2021()


@pytest.fixture(scope="module")
def limits():
    return {r.parameter: r for r in nuhf.limit(NAME, list(independent.RANGES), analysis=ANALYSIS)}


@pytest.fixture(scope="module")
def without_times(tmp_path_factory):
    """Path of the shipped experiment with a single time bin."""
    text = nuhf.load(NAME).loaded.path.read_text()
    changed, count = re.subn(r"time_us = \[0, 0.*?\]", "time_us = [0, 6]", text, count=1)
    assert count == 1
    path = tmp_path_factory.mktemp("no-times") / "one-bin.toml"
    path.write_text(changed)
    return str(path)


# ------------------------------------------------------------------ SM counts


def test_sm_counts_of_every_source_and_bin_agree(second):
    ours = nuhf.templates(NAME, ANALYSIS)[0]
    theirs = second.by_source()
    for source in SPECIES:
        one, two = ours.nominal[source]["1"], theirs[source][0].ravel()
        assert one.sum() == pytest.approx(two.sum(), rel=1e-3)
        np.testing.assert_allclose(one, two, rtol=1e-3, atol=1e-4 * two.max())


@pytest.mark.parametrize("parameter", sorted(independent.RANGES))
def test_counts_with_a_coupling_agree_in_every_bin(second, parameter):
    value = 0.6 * independent.RANGES[parameter][1]
    counts = nuhf.rate(NAME, {parameter: value}, analysis=ANALYSIS)[REGION]
    ours = sum(row for name, row in counts.items() if name.startswith("cevns"))
    theirs = second.signal(parameter, value)[0].ravel()
    np.testing.assert_allclose(ours, theirs, rtol=1e-3, atol=1e-4 * theirs.max())


@pytest.mark.parametrize("nuisance", independent.Csi2021.shapes)
@pytest.mark.parametrize("direction", ["up", "down"])
def test_varied_counts_agree(second, nuisance, direction):
    varied = nuhf.templates(NAME, ANALYSIS)[0].varied[nuisance, direction]
    index = 1 + 2 * second.shapes.index(nuisance) + (direction == "down")
    theirs = second.signal()[index].ravel()
    ours = sum(monomials["1"] for monomials in varied.values())
    np.testing.assert_allclose(ours, theirs, rtol=1e-3, atol=1e-4 * theirs.max())


def test_background_and_data_agree(second):
    # the efficiency is averaged over 10 ns here and 5 ns there: 2.5e-5 at most
    rates = nuhf.rate(NAME, analysis=ANALYSIS)[REGION]
    for name, counts in second.background.items():
        np.testing.assert_allclose(rates[name], counts.ravel(), rtol=1e-4, atol=1e-9)
    (region,) = nuhf.load(NAME, ANALYSIS).prepared.regions
    np.testing.assert_array_equal(region.observed, second.observed.ravel())


def test_sm_count_lies_between_the_published_predictions():
    # data README of the release: 317 to 347 for the analytic and tabulated flux with Rn > Rp;
    # the collaboration prints 341 +- 11 (theory) +- 42 (experiment)
    rates = nuhf.rate(NAME, analysis=ANALYSIS)[REGION]
    assert 315 < rates["cevns_e"].sum() + rates["cevns_mu"].sum() < 350


def test_order_of_the_sources():
    # Most energy above the threshold: nubar_mu; the line at 29.8 MeV reaches only 14 keV.
    counts = {s: m["1"].sum() for s, m in nuhf.templates(NAME, ANALYSIS)[0].nominal.items()}
    assert counts["numubar"] > counts["nue"] > counts["numu"]


def test_fitted_count_agrees_with_the_collaboration():
    expected, fitted, error = nuhf.fit(nuhf.model(NAME, analysis=ANALYSIS)).counts["cevns"]
    value, window = PUBLISHED_FIT
    assert abs(fitted - value) < window
    assert 0.5 < error / 20 < 2  # published statistical error: 20; ours holds the priors too
    assert expected == pytest.approx(sum(
        m["1"].sum() for m in nuhf.templates(NAME, ANALYSIS)[0].nominal.values()
    ))  # fmt: skip


# -------------------------------------------------------------------- limits


def test_gradient_of_the_second_likelihood(second):
    # The second implementation must itself be right: its gradient against differences of it.
    varied, ratios = second.signal("qnu_ee", 1e-7), second.sm_ratios()
    alpha = np.linspace(-1.5, 1.4, 8)
    numeric = approx_fprime(alpha, lambda a: second.twice_nll(a, varied, ratios)[0], 1e-7)
    _, slope = second.twice_nll(alpha, varied, ratios)
    np.testing.assert_allclose(slope, numeric, rtol=1e-4, atol=1e-3 * np.abs(slope).max())


@pytest.mark.parametrize("parameter", sorted(independent.RANGES))
def test_intervals_agree(second, limits, parameter, record_property):
    minimum, pieces = second.interval(parameter)
    result = limits[parameter]
    # Absolute 2NLL, Poisson and Gaussian constants included.
    assert result.twice_nll_min == pytest.approx(minimum, abs=2e-3)
    assert len(result.intervals) == len(pieces) == (2 if parameter in TWO_PIECES else 1)
    worst = 0.0
    for ours, theirs in zip(result.intervals, pieces, strict=True):
        for one, other in zip(ours, theirs, strict=True):
            scale = max(abs(other), theirs[1] - theirs[0])
            worst = max(worst, abs(one - other) / scale)
            assert abs(one - other) < 1e-3 * scale
    record_property("worst relative difference of an end", float(worst))


def test_linear_interpolation_is_another_model(second, record_property):
    # Reported, not required to agree: what the choice of interpolation is worth.
    straight = independent.Csi2021(linear=True)
    np.testing.assert_allclose(straight.signal(), second.signal(), rtol=1e-12)
    _, curved = second.interval("munu_e")
    _, linear = straight.interval("munu_e")
    change = linear[0][1] / curved[0][1] - 1
    record_property("munu_e limit, linear against code4 interpolation", float(change))
    assert change != 0


def test_likelihood_is_invariant_under_merging_only_where_it_should_be(second):
    # One time bin: same total counts, same signal summed over time.
    merged = independent.Csi2021(t_edges=[0, 6])
    np.testing.assert_allclose(merged.signal()[..., 0], second.signal().sum(-1), rtol=1e-12)
    np.testing.assert_array_equal(merged.observed[:, 0], second.observed.sum(-1))


@pytest.mark.parametrize("parameter", ["qnu_ee", "qnu_mumu", "munu_e", "munu_mu"])
def test_dropping_the_arrival_times_changes_flavour_limits(limits, without_times, parameter):
    (merged,) = nuhf.limit(without_times, parameter, analysis=ANALYSIS)
    assert merged.experiments == (NAME,)

    def width(result):
        return result.intervals[-1][1] - result.intervals[0][0]

    assert abs(width(merged) / width(limits[parameter]) - 1) > 0.05


def test_merged_times_agree_with_the_second_implementation(without_times):
    (merged,) = nuhf.limit(without_times, "munu_e", analysis=ANALYSIS)
    minimum, pieces = independent.Csi2021(t_edges=[0, 6]).interval("munu_e")
    assert merged.twice_nll_min == pytest.approx(minimum, abs=2e-3)
    assert merged.intervals[0][1] == pytest.approx(pieces[0][1], rel=0.01)
