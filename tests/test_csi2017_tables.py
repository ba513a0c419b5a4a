"""The CsI 2017 tables against the numbers published with them, and a small event integrator.

`predict` below knows nothing of the engine: recoil spectrum on a fixed grid, Poisson light,
efficiency per photoelectron.
"""

import numpy as np
import pytest
from scipy.optimize import brentq, minimize_scalar
from scipy.special import gammaln

from nuhf.constants import AVOGADRO, CM2_PER_MEV_M2, FERMI_CONSTANT
from nuhf.detector.efficiency import exponential_fractions
from nuhf.library import read_nuclides
from nuhf.physics import sns
from nuhf.physics.cevns import form_factors, minimum_energy
from nuhf.physics.couplings import tree_level
from nuhf.resources import find
from nuhf.tables import read_table

# Release of arXiv:1804.09459 unless stated otherwise.
EXPOSURE_GWH = 7.47594
POT = 1.76e23  # arXiv:1708.01294, quoted
NEUTRINOS_PER_POT = 0.08
BASELINE_CM = 1930.0
MASS_G = 14.6e3  # arXiv:1708.01294, quoted
LIGHT_YIELD_PE_PER_KEV_EE = 13.348
CONSTANT_QUENCHING = 0.0878
WINDOW_PE = (6.0, 30.0)
WINDOW_US = 6.0
SPECIES = ("numu", "nue", "numubar")
PLACEMENTS = (-0.5, 0.0, 0.5)
FINE = np.linspace(2e-3, 50e-3, 1601)
"""Recoils in MeV: below 2 keV hardly any event has 5 photoelectrons, above 50 keV none under 30."""


def csi2017(name, *columns):
    return read_table(find(f"coherent-csi-2017/{name}.csv"), columns)


def counts(beam):
    return csi2017(f"counts_beam_{beam}", "pe_lo", "pe_hi", "t_lo_us", "t_hi_us", "n_c", "n_ac")


def in_window(table):
    low, high = WINDOW_PE
    return (table["pe_lo"] >= low) & (table["pe_hi"] <= high) & (table["t_hi_us"] <= WINDOW_US)


def efficiency(pe):
    """Released acceptance at a number of photoelectrons."""
    step = np.where(pe < 5, 0.0, np.where(pe < 6, 0.5, 1.0))
    return step * 0.6655 / (1.0 + np.exp(-0.4942 * (pe - 10.8507)))


def early_fractions(before_us=WINDOW_US):
    table = csi2017("arrival_time", "t_hi_us", *SPECIES)
    early = table["t_hi_us"] <= before_us
    return {name: table[name][early].sum() for name in SPECIES}


def nuclei():
    """Nuclide and number of nuclei of caesium and iodine."""
    pair = [read_nuclides()[name] for name in ("Cs133", "I127")]
    number = MASS_G / sum(nuclide.atomic_mass_u for nuclide in pair) * AVOGADRO
    return [(nuclide, number) for nuclide in pair]


def unit_rate(recoil, nuclide, number, fractions):
    """Events per MeV of recoil for an amplitude g_p Z F_p + g_n N F_n = 1, whole exposure."""
    fluence = POT * NEUTRINOS_PER_POT / (4.0 * np.pi * BASELINE_CM**2)
    front = FERMI_CONSTANT**2 * nuclide.mass / np.pi * CM2_PER_MEV_M2

    def section(energy):
        t = recoil[:, np.newaxis]
        return front * np.maximum(1.0 - t / energy - nuclide.mass * t / (2.0 * energy**2), 0.0)

    x, w = np.polynomial.legendre.leggauss(32)
    total = np.zeros_like(recoil)
    for name, spectrum in sns.decay_at_rest().items():
        for energy, per_decay in spectrum.lines:
            total += fractions[name] * per_decay * section(energy)[:, 0]
        if spectrum.edges.size:
            low = minimum_energy(recoil, nuclide.mass)[:, np.newaxis]
            half = 0.5 * np.maximum(spectrum.endpoint - low, 0.0)
            energy = low + half * (1.0 + x)
            integrand = half * w * spectrum.density(energy) * section(energy)
            total += fractions[name] * integrand.sum(axis=1)
    return number * fluence * total


def amplitude(recoil, nuclide, form_factor="helm"):
    """g_p Z F_p + g_n N F_n at tree level with the radii of data/nuclides.toml."""
    proton, neutron = form_factors(form_factor, recoil, nuclide)
    weak = tree_level()
    return weak.gp["e"] * nuclide.protons * proton + weak.gn * nuclide.neutrons * neutron


def response(recoil, quenching, placement, edges=WINDOW_PE):
    """Probability to record a recoil in each bin of photoelectrons, (n_bins, n_recoil).

    Poisson numbers n about (light yield) x quenching(T) x T; n photoelectrons count as
    x = n + placement, for the efficiency and for the bin (lower edge included).
    """
    mean = LIGHT_YIELD_PE_PER_KEV_EE * 1e3 * recoil * quenching(1e3 * recoil)
    n = np.arange(80)[:, np.newaxis]
    probability = np.exp(n * np.log(mean) - mean - gammaln(n + 1))
    x = n[:, 0] + placement
    edges = np.asarray(edges)
    in_bin = (x >= edges[:-1, np.newaxis]) & (x < edges[1:, np.newaxis])
    return (in_bin * efficiency(x)) @ probability


def predict(quenching, placement, edges=WINDOW_PE, before_us=WINDOW_US):
    """Standard Model events in bins of photoelectrons."""
    fractions = early_fractions(before_us)
    rate = sum(
        unit_rate(FINE, nuclide, number, fractions) * amplitude(FINE, nuclide) ** 2
        for nuclide, number in nuclei()
    )
    return np.trapezoid(response(FINE, quenching, placement, edges) * rate, FINE, axis=1)


def constant(recoil_kev):
    return np.full_like(recoil_kev, CONSTANT_QUENCHING)


def chicago3(recoil_kev):
    table = csi2017("quenching_chicago3_reconstruction_UNVERIFIED", "t_kev_nr", "qf")
    assert recoil_kev.min() >= table["t_kev_nr"][0]
    assert recoil_kev.max() <= table["t_kev_nr"][-1]
    return np.interp(recoil_kev, table["t_kev_nr"], table["qf"])


# -------------------------------------------------------------------- counts


@pytest.mark.parametrize(("beam", "column", "total"), [
    ("on", "n_c", 547),  # arXiv:1708.01294
    ("on", "n_ac", 405),
    ("off", "n_c", 209),  # summed from a second, independent copy of the release
    ("off", "n_ac", 207),
])  # fmt: skip
def test_events_in_the_published_region(beam, column, total):
    table = counts(beam)
    assert table[column][in_window(table)].sum() == total


@pytest.mark.parametrize("beam", ["on", "off"])
def test_cells_are_whole_and_different(beam):
    table = counts(beam)
    np.testing.assert_allclose(table["pe_hi"] - table["pe_lo"], 2.0)
    np.testing.assert_allclose(table["t_hi_us"] - table["t_lo_us"], 0.5)
    both = np.stack([table["n_c"], table["n_ac"]])
    np.testing.assert_array_equal(both, np.round(both))
    assert both.sum(axis=0).min() >= 1
    cells = {*zip(table["pe_lo"], table["t_lo_us"], strict=True)}
    assert len(cells) == both.shape[1]
    assert table["pe_lo"].max() <= 48
    assert table["t_lo_us"].max() <= 11.5


def test_steady_state_scales_with_live_time():
    # 308.1 and 153.5 live days; the control counts of both periods are Poisson
    control = [counts(beam)["n_ac"][in_window(counts(beam))].sum() for beam in ("on", "off")]
    scaled = control[0] * 153.5 / 308.1
    assert abs(control[1] - scaled) < 3 * np.hypot(np.sqrt(control[1]), np.sqrt(scaled) * 0.7)


def decay_constant(histogram, edges):
    """Maximum-likelihood rate per us of exp(-k t), and its error from a fall by 1/2."""

    def minus_log(rate):
        return -(histogram * np.log(exponential_fractions(edges, rate))).sum()

    best = minimize_scalar(minus_log, bounds=(1e-4, 1.0), method="bounded")
    end = brentq(lambda k: minus_log(k) - best.fun - 0.5, best.x, best.x + 1)
    return best.x, end - best.x


def times(beam, column, edges):
    table = counts(beam)
    keep = in_window(table)
    index = np.searchsorted(edges, table["t_lo_us"][keep] + 1e-9) - 1
    return np.bincount(index, weights=table[column][keep], minlength=edges.size - 1)


def test_steady_state_falls_with_time_as_documented():
    # exp(-(0.112 +- 0.02) t/us): all counts without beam neutrinos in the region. The
    # anticoincidence of beam-on data alone gives 0.127 +- 0.029.
    edges = np.linspace(0.0, 6.0, 13)
    parts = [times(*which, edges) for which in (("on", "n_ac"), ("off", "n_ac"), ("off", "n_c"))]
    rate, error = decay_constant(sum(parts), edges)
    assert rate == pytest.approx(0.112, abs=0.001)
    assert error == pytest.approx(0.020, abs=0.001)
    alone, alone_error = decay_constant(parts[0], edges)
    assert alone == pytest.approx(0.127, abs=0.001)
    assert abs(alone - rate) < alone_error


# ---------------------------------------------------------- times, neutrons


@pytest.mark.parametrize("table", ["arrival_time", "background_time"])
def test_arrival_times_sum_to_one(table):
    columns = ["brn"] if table == "background_time" else list(SPECIES)
    read = csi2017(table, "t_lo_us", "t_hi_us", *columns)
    np.testing.assert_allclose(read.edges("t_lo_us", "t_hi_us"), np.linspace(0, 12, 25))
    for name in columns:
        assert read.non_negative(name).sum() == pytest.approx(1.0, abs=1e-9)


def test_the_neutrino_times_are_read_as_those_of_2021():
    profiles = sns.time_profiles(csi2017("arrival_time", "t_lo_us", "t_hi_us", *SPECIES))
    assert set(profiles) == set(SPECIES)
    np.testing.assert_array_equal(profiles["nue"].fraction, profiles["numubar"].fraction)
    # delayed ones fall with the muon's life, 2.197 us, once all pions have decayed
    late = profiles["nue"].fraction[4:12]
    life = -0.5 / np.polyfit(np.arange(late.size), np.log(late), 1)[0]
    assert life == pytest.approx(2.197, rel=0.01)
    assert 1 - early_fractions()["nue"] == pytest.approx(0.085, abs=0.001)
    assert early_fractions()["numu"] == pytest.approx(1.0, abs=1e-9)


def test_prompt_neutrons():
    # shared checks of the release: 29.9 in all before, 5.4 in the region after the efficiency
    table = csi2017("background_pe", "pe_lo", "pe_hi", "brn")
    centre = 0.5 * (table["pe_lo"] + table["pe_hi"])
    events = EXPOSURE_GWH * table["brn"]
    assert events.sum() == pytest.approx(29.9, abs=0.05)
    inside = (centre > WINDOW_PE[0]) & (centre < WINDOW_PE[1])
    assert (events * efficiency(centre))[inside].sum() == pytest.approx(5.4, abs=0.05)
    assert csi2017("background_time", "brn")["brn"][:12].sum() == pytest.approx(1.0, abs=1e-9)


# -------------------------------------------------------- quenching, signal


def test_quenching_measurements_bracket_the_released_constant():
    # 0.0878 +- 0.0166 covers both
    means = []
    for name, up, down in (("chicago1", "dqf", "dqf"), ("duke", "dqf_hi", "dqf_lo")):
        table = csi2017(f"quenching_{name}", "t_kev_nr", "qf", up, down)
        inside = (table["t_kev_nr"] > 4) & (table["t_kev_nr"] < 26)
        weight = (0.5 * (table[up] + table[down])[inside]) ** -2.0
        means.append((weight * table["qf"][inside]).sum() / weight.sum())
    assert 0.0878 - 0.0166 - 0.001 < means[0] < 0.0878 < means[1] < 0.0878 + 0.0166


def test_chicago3_reconstruction_is_what_its_header_says_and_says_so():
    path = find("coherent-csi-2017/quenching_chicago3_reconstruction_UNVERIFIED.csv")
    table = read_table(path, ["t_kev_nr", "stopping_power", "qf"])
    formula = -np.expm1(-table["t_kev_nr"] / 12.97) / (3.311e-3 * table["stopping_power"])
    np.testing.assert_allclose(table["qf"], formula, rtol=2e-4)
    assert "UNVERIFIED reconstruction" in path.read_text()
    assert "recalled, not checked" in table.source


@pytest.mark.parametrize(("placement", "events", "all_times"), [
    (-0.5, 144, 155), (0.0, 155, 167), (0.5, 166, 178),
])  # fmt: skip
def test_standard_model_events_with_the_released_constant(placement, events, all_times):
    # shared checks of the release, where the same three conventions were tried; published 173 +- 48
    assert predict(constant, placement)[0] == pytest.approx(events, abs=0.6)
    whole = predict(constant, placement, before_us=12.0)[0]
    assert whole == pytest.approx(all_times, abs=0.6)


@pytest.mark.parametrize("placement", PLACEMENTS)
def test_chicago3_reconstruction_lowers_the_prediction(placement):
    # 138/173 = 0.80 recalled for the published curve; 0.77 to 0.78 found for this reconstruction
    ratio = predict(chicago3, placement)[0] / predict(constant, placement)[0]
    assert ratio == pytest.approx(0.775, abs=0.02)


def test_the_integrator_has_converged_and_bins_add_up():
    coarse = predict(constant, 0.5)[0]
    bins = predict(constant, 0.5, edges=np.arange(6.0, 31.0, 2.0))
    assert bins.size == 12
    assert bins.sum() == pytest.approx(coarse, rel=1e-12)
    recoil = np.linspace(0.2e-3, 60e-3, 4001)  # finer and wider
    fractions = early_fractions()
    rate = sum(
        unit_rate(recoil, *pair, fractions) * amplitude(recoil, pair[0]) ** 2 for pair in nuclei()
    )
    wide = np.trapezoid(response(recoil, constant, 0.5)[0] * rate, recoil)
    assert coarse == pytest.approx(wide, rel=1e-3)
