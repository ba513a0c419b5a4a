"""Dresden-II tables: raw counts are whole numbers, derived tables follow from the released one."""

import numpy as np
import pytest

from nuhf import resources
from nuhf.tables import read_table

SETUP = resources.read_toml(resources.find("dresden-2/setup.toml"))
FITS = resources.read_toml(resources.find("dresden-2/background_fits_derived.toml"))["fits"]
DERIVED = ["raw_counts_derived.csv", "residual_derived.csv", "background_fits_derived.toml"]
COLUMN = {
    ("none", False): "res_nocevns", ("fef", False): "res_fef_sm", ("fef", True): "res_fef_free",
    ("ybe", False): "res_ybe_sm", ("ybe", True): "res_ybe_free",
}  # fmt: skip


def table(name, *columns):
    found = read_table(resources.find(f"dresden-2/{name}"), ["e_lo_kev_ee", *columns])
    edges = found.edges("e_lo_kev_ee", "e_hi_kev_ee")
    np.testing.assert_allclose(edges, 0.2 + 0.01 * np.arange(edges.size), atol=1e-9)
    return found


@pytest.fixture(scope="module")
def released():
    return table("spectrum.csv", "rate_on", "err_on", "rate_off", "err_off")


@pytest.fixture(scope="module")
def recovered(released):
    """Raw counts and acceptance from (err/rate)^2 = 1/N + s^2, both runs with the same s."""
    days_on, days_off = SETUP["detector"]["live_days_on"], SETUP["detector"]["live_days_off"]
    on, off = released["rate_on"] * days_on, released["rate_off"] * days_off
    variance_on = (released["err_on"] / released["rate_on"]) ** 2
    variance_off = (released["err_off"] / released["rate_off"]) ** 2
    acceptance = (1.0 / on - 1.0 / off) / (variance_on - variance_off)
    return on * acceptance, off * acceptance, acceptance, variance_on - 1.0 / (on * acceptance)


def background(fit):
    """Rate per bin of the background of arXiv:2202.10829."""
    setup = SETUP["background"]
    found = table("spectrum.csv")
    energy = 0.5 * (found["e_lo_kev_ee"] + found["e_hi_kev_ee"])

    def peak(centre, width):
        return np.exp(-((energy - centre) ** 2) / (2.0 * width**2))

    width, noise = fit["l1_width_kev"], setup["m1_width_kev"]
    l_shell = peak(fit["l1_kev"], width)
    l_shell = l_shell + setup["l2_over_l1_height"] * peak(setup["l2_kev"], width)
    m_shell = fit["m_over_l1"] * width / noise * peak(setup["m1_kev"], noise)
    smooth = fit["a"] + fit["b"] * np.exp(-fit["c"] * energy)
    return smooth + fit["l1_height"] * (l_shell + m_shell)


def test_recovered_counts_are_whole_numbers(recovered):
    # issue 6: off 0.01, on 0.05 rms over the first 30 bins; random numbers give 0.29
    for counts, limit in ((recovered[0], 0.05), (recovered[1], 0.01)):
        distance = counts[:30] - np.round(counts[:30])
        assert np.sqrt(np.mean(distance**2)) < limit


def test_raw_count_table_is_what_was_recovered(recovered):
    found = table(
        "raw_counts_derived.csv", "n_on", "n_off", "acceptance", "acceptance_err", "ambiguous"
    )
    on, off, acceptance, variance = recovered
    clear = found["ambiguous"] == 0
    np.testing.assert_array_equal(np.round(on[clear]), found["n_on"][clear])
    np.testing.assert_array_equal(np.round(off[clear]), found["n_off"][clear])
    np.testing.assert_allclose(acceptance[clear], found["acceptance"][clear], rtol=1e-3)
    np.testing.assert_allclose(np.sqrt(variance[:30]), found["acceptance_err"][:30], rtol=0.01)
    assert (~clear).sum() == 5
    # the first counts as the collection prints them
    np.testing.assert_array_equal(found["n_on"][:3], [53, 78, 121])
    np.testing.assert_array_equal(found["n_off"][:3], [7, 9, 6])


def test_acceptance_is_that_of_the_collection():
    # 0.6 % at 0.205, 13 % at 0.305, 28 % at 0.405, 50 % at 1.3 keV_ee
    acceptance = table("raw_counts_derived.csv", "acceptance")["acceptance"]
    wanted = ((0, 0.006), (10, 0.13), (20, 0.28), (110, 0.50))
    for index, value in wanted:
        assert acceptance[index] == pytest.approx(value, rel=0.03)


@pytest.mark.parametrize("index", range(len(FITS)))
def test_background_fits_have_their_chi2(index, released):
    fit = FITS[index]
    reference = table("sm_prediction_reference.csv", "cevns_fef", "cevns_ybe")
    model = background(fit)
    if fit["template"] != "none":
        model = model + fit["template_norm"] * reference[f"cevns_{fit['template']}"]
    chi2 = (((released["rate_on"] - model) / released["err_on"]) ** 2).sum()
    prior = (fit["m_over_l1"] - SETUP["background"]["m_over_l1_area"]) / fit["prior_err"]
    # five printed digits of the parameters
    assert chi2 + prior**2 == pytest.approx(fit["chi2"], abs=0.02)


@pytest.mark.parametrize("index", range(5))
def test_residual_is_data_minus_background(index, released):
    fit = FITS[index]
    found = table("residual_derived.csv", *COLUMN.values(), "err")
    residual = released["rate_on"] - background(fit)
    column = COLUMN[fit["template"], fit["template_free"]]
    assert fit["prior_err"] == 0.03
    assert found["err"].size == SETUP["khan2022"]["bins"]
    np.testing.assert_allclose(found[column], residual[:50], atol=5e-3)
    np.testing.assert_allclose(found["err"], released["err_on"][:50], atol=5.1e-5)


@pytest.mark.parametrize(
    ("template", "free", "excess"), [("fef", True, 114), ("ybe", True, 96), ("none", False, 63)]
)
def test_excess_over_the_background(template, free, excess, released):
    # data collection, check 4: counts per day in 0.2 to 0.4 keV_ee
    fit = next(f for f in FITS if (f["template"], f["template_free"]) == (template, free))
    found = (released["rate_on"] - background(fit))[:20].sum()
    assert found == pytest.approx(excess, abs=0.6)


def test_reference_prediction_sums():
    # data collection, check 3
    found = table("sm_prediction_reference.csv", "cevns_fef", "cevns_ybe", "es")
    assert found["cevns_fef"][:20].sum() == pytest.approx(118.9, abs=0.05)
    assert found["cevns_ybe"][:20].sum() == pytest.approx(63.8, abs=0.06)
    assert found["es"].size == released_bins()
    assert found["es"][:20].sum() < 1e-4 * found["cevns_ybe"][:20].sum()


def released_bins():
    low, high = SETUP["detector"]["fit_range_kev_ee"]
    return round((high - low) / SETUP["detector"]["bin_width_kev_ee"])


@pytest.mark.parametrize("name", DERIVED)
def test_derived_tables_say_so(name):
    text = resources.read_text(resources.find(f"dresden-2/{name}"))
    assert "DERIVED" in text.splitlines()[0]
    assert "source: derived from" in text
