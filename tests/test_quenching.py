"""Germanium: quenching curves, Gaussian bins, and the Standard Model counts of Dresden-II."""

import itertools

import mpmath
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.integrate import quad
from scipy.optimize import minimize_scalar

from nuhf import library, resources
from nuhf.constants import AVOGADRO
from nuhf.detector import quenching as curves
from nuhf.detector.efficiency import full_efficiency
from nuhf.detector.quenching import recoil_at
from nuhf.detector.smearing import GaussianSmearing, bin_probabilities, fano_width
from nuhf.errors import InputError
from nuhf.experiments.quenching import library_curve, library_section
from nuhf.inputs import Inputs
from nuhf.library import read_nuclides
from nuhf.physics import cevns, reactor
from nuhf.physics.couplings import tree_level
from nuhf.physics.reactor_models import ISOTOPES, Piece, add, piece_spectrum
from nuhf.physics.settings import Physics
from nuhf.rates.quadrature import flux_moments, panel_grid
from nuhf.tables import read_table
from nuhf.units import G_PER_KG, KEV

NUCLIDES = read_nuclides()
NATURAL = resources.read_toml(resources.find("elements.toml"))["Ge"]
SETUP = resources.read_toml(resources.find("dresden-2/setup.toml"))
FUEL = library.fission_fractions("typical_commercial")
DAY = 86400.0
QUENCHING = {
    "fef": library_curve("ge-fef"),
    "ybe": library_curve("ge-ybe"),
    "0.157": curves.lindhard(0.157, 32),
    "0.162": curves.lindhard(0.162, 32),
}
FITS = ["lindhard", "bonhomme", "sarkis", "ybe", "jones", "fef"]


def fluence_per_day():
    setup = SETUP["reactor"]
    return reactor.fluence_from_power(
        setup["power_gw"], setup["energy_per_fission_mev"], setup["distance_m"], DAY
    )


def counts(
    spectrum, model, edges_kev=(0.2, 0.4), fluence=None, composition=NATURAL, cut_kev=0.0,
    positive=True, fano=0.105, sin2=0.23857, start_mev=1e-9,
):  # fmt: skip
    """Counts per bin and day of 2.924 kg; recoils from start_mev, or from E_ee = cut on."""
    smearing = GaussianSmearing(fano_width(0.0685, 0.00296, fano), positive)
    edges = np.asarray(edges_kev) * KEV
    molar = sum(share * NUCLIDES[name].atomic_mass_u for name, share in composition.items())
    low = recoil_at(model, cut_kev * KEV) if cut_kev else start_mev
    total = 0.0
    for name, share in composition.items():
        nuclide = NUCLIDES[name]
        high = float(cevns.maximum_recoil(np.array(spectrum.endpoint), nuclide.mass))
        high = min(high, model.recoil_range[1])
        panels = int(np.ceil(np.log(high / low) / np.log(1.2)))
        grid = panel_grid(np.geomspace(low, high, panels + 1))
        moments = flux_moments(spectrum, grid.nodes, nuclide.mass)
        physics = Physics(tree_level(sin2), "klein-nystrand")
        weak = cevns.cross_section(grid.nodes, nuclide, "e", physics).at({})
        number = SETUP["detector"]["mass_kg"] * G_PER_KG * AVOGADRO * share / molar
        rate = number * (weak * moments).sum(axis=0) * grid.fine
        total = total + smearing.response(edges, model(grid.nodes), full_efficiency()) @ rate
    return total * (fluence_per_day() if fluence is None else fluence)


def khan_section(name):
    """A rational fit of Khan (2022); two of them have no other form, and so no name of his."""
    return library_section(
        f"ge-{'' if name in ('sarkis', 'jones') else 'khan2022-'}{name}", Inputs()
    )


def khan_factor(name, energy_kev_ee):
    fit = khan_section(name)
    return energy_kev_ee / curves.rational_recoil(fit.form, fit.a, fit.b, energy_kev_ee)


def spectrum(name, **options):
    whole = name == "kopeikin2012"
    return library.reactor_spectrum(name, None if whole else FUEL, **options)


# ------------------------------------------------------------------- quenching


def test_measured_points_give_k_of_bonhomme():
    # the 73 points, errors with geometry: k = 0.1617 (data collection); published 0.162 +- 0.004
    columns = ["e_nr_kev", "q", "q_err"]
    table = read_table(resources.find("germanium/quenching_bonhomme2022.csv"), columns)
    recoil = table["e_nr_kev"] * KEV

    def chi2(k):
        pull = (table["q"] - curves.lindhard(k, 32)(recoil) / recoil) / table["q_err"]
        return float((pull**2).sum())

    fit = minimize_scalar(chi2, bounds=(0.1, 0.3), method="bounded", options={"xatol": 1e-8})
    assert table["q"].size == 73
    assert fit.x == pytest.approx(0.1617, abs=1e-4)
    assert fit.fun < 73
    assert abs(fit.x - library_section("ge-bonhomme", Inputs()).k) < 0.004
    for deviations, k in ((1.0, 0.166), (-1.0, 0.158)):
        shifted = library_curve("ge-bonhomme", deviations=deviations)
        np.testing.assert_allclose(shifted(recoil), curves.lindhard(k, 32)(recoil), rtol=1e-13)


def test_lindhard_formula_at_1_kev():
    # by hand: eps = 11.5 x 32^(-7/3) = 0.0035375, g = 3 eps^0.15 + 0.7 eps^0.6 + eps
    eps = mpmath.mpf("11.5") * mpmath.mpf(32) ** (-mpmath.mpf(7) / 3)
    g = 3 * eps ** mpmath.mpf("0.15") + mpmath.mpf("0.7") * eps ** mpmath.mpf("0.6") + eps
    wanted = mpmath.mpf("0.157") * g / (1 + mpmath.mpf("0.157") * g)
    ours = curves.lindhard(0.157, 32)(np.array([KEV]))[0] / KEV
    assert ours == pytest.approx(float(wanted), rel=1e-14)


@pytest.mark.parametrize(("nucleons", "k"), [(72, 0.158), (72.63, 0.157)])
def test_k_follows_from_charge_and_mass(nucleons, k):
    assert pytest.approx(k, abs=5e-4) == 0.133 * 32 ** (2 / 3) / nucleons**0.5


def test_fef_is_lindhard_above_1_35_kev_and_linear_below():
    columns = ["e_nr_kev", "q_fef"]
    table = read_table(resources.find("germanium/quenching_fef_ybe.csv"), columns)
    recoil, factor = table["e_nr_kev"], table["q_fef"]
    high = recoil > 1.35
    lindhard = curves.lindhard(0.157, 32)(recoil[high] * KEV) / (recoil[high] * KEV)
    np.testing.assert_allclose(factor[high], lindhard, rtol=6e-4)
    straight = np.polyfit(recoil[recoil < 1.34], factor[recoil < 1.34], 1)
    np.testing.assert_allclose(
        factor[recoil < 1.34], np.polyval(straight, recoil[recoil < 1.34]), atol=1e-5
    )


def test_fef_folds_back():
    # E_ee falls from 0.2475 to 0.2395 keV between 1.14 and 1.34 keV: no inverse, no Jacobian
    grid = np.linspace(0.01, 4.5, 4491)
    energy = QUENCHING["fef"](grid * KEV) / KEV
    falling = grid[:-1][np.diff(energy) < 0]
    assert falling.min() == pytest.approx(1.14, abs=0.011)
    assert falling.max() == pytest.approx(1.34, abs=0.011)
    assert energy[np.searchsorted(grid, 1.14)] == pytest.approx(0.2475, abs=1e-4)
    assert energy[np.searchsorted(grid, 1.34)] == pytest.approx(0.2395, abs=1e-4)


@pytest.mark.parametrize("name", ["ybe", "lindhard", "bonhomme", "sarkis", "jones"])
def test_other_curves_rise(name):
    model = library_curve(f"ge-{name}")
    low, high = max(model.recoil_range[0], 1e-6), min(model.recoil_range[1], 4.5e-3)
    energy = model(np.linspace(low, high, 3000))
    assert np.all(np.diff(energy) > 0)
    assert np.all(energy > 0)


@pytest.mark.parametrize("name", FITS)
def test_rational_fits_solve_their_own_formula(name):
    model = khan_section(name).curve(Inputs())
    low, high = model.recoil_range
    recoil = np.linspace(low, high, 500)
    energy = model(recoil)
    np.testing.assert_allclose(khan_factor(name, energy / KEV) * recoil, energy, rtol=1e-10)
    assert energy[[0, -1]] / KEV == pytest.approx(khan_section(name).valid_kev_ee, rel=1e-12)
    # E_nr = E/Q rises everywhere in the stated range, or bisection would mean nothing
    fine = np.linspace(*khan_section(name).valid_kev_ee, 20001)
    assert np.all(np.diff(fine / khan_factor(name, fine)) > 0)


@pytest.mark.parametrize(
    ("name", "energy_kev_ee", "wanted"),
    [
        ("sarkis", [0.1, 0.2, 0.4, 0.6], [0.1654, 0.1815, 0.1974, 0.2070]),
        ("jones", [0.2, 0.3, 0.4, 0.6], [0.198, 0.236, 0.238, 0.209]),
        ("fef", [0.4, 0.5], [0.189, 0.194]),
    ],
)
def test_rational_fits_have_the_values_of_the_data_collection(name, energy_kev_ee, wanted):
    found = khan_factor(name, np.array(energy_kev_ee))
    digits = 5e-5 if name == "sarkis" else 5.5e-4
    np.testing.assert_allclose(found, wanted, atol=digits)


@pytest.mark.parametrize(
    ("name", "other", "range_kev_ee", "rtol"),
    [
        ("lindhard", curves.lindhard(0.158, 32), (0.05, 1.5), 5e-4),
        ("bonhomme", curves.lindhard(0.162, 32), (0.05, 1.5), 2.5e-3),
        ("ybe", QUENCHING["ybe"], (0.1, 0.7), 7.5e-4),
        ("fef", QUENCHING["fef"], (0.34, 0.9), 1.5e-3),
    ],
)
def test_rational_fits_equal_the_curves_they_stand_for(name, other, range_kev_ee, rtol):
    # and so the k = 0.133 of the text and the order of the YBe columns are misprints
    energy = np.linspace(*range_kev_ee, 400)
    recoil = energy / khan_factor(name, energy) * KEV
    np.testing.assert_allclose(khan_factor(name, energy), other(recoil) / recoil, rtol=rtol)
    if name == "bonhomme":
        wrong = curves.lindhard(0.133, 32)(recoil) / recoil
        assert np.all(khan_factor(name, energy) / wrong > 1.1)


def test_printed_fef_fit_has_poles():
    model = khan_section("fef")
    roots = np.roots(model.b[::-1])
    real = np.sort(roots[np.abs(roots.imag) < 1e-9].real)
    for pole in (0.0415, 0.2199, 0.2680):
        assert np.abs(real - pole).min() < 2e-4
    around = khan_factor("fef", np.array([0.2195, 0.2203]))
    assert around[0] * around[1] < 0
    assert model.valid_kev_ee[0] > 0.30


@pytest.mark.parametrize(
    ("name", "recoil_kev"),
    [("fef", 4.6), ("ybe", -0.1), ("sarkis", 0.1), ("jones", 0.8), ("khan2022-fef", 1.0),
     ("khan2022-lindhard", 7.0), ("lindhard", -1.0), ("ybe", float("nan"))],
)  # fmt: skip
def test_quenching_is_not_extrapolated(name, recoil_kev):
    with pytest.raises(InputError, match="are outside"):
        library_curve(f"ge-{name}")(np.array([recoil_kev * KEV]))


def test_quenching_refusals():
    with pytest.raises(InputError, match="unknown quenching 'ge-birks'"):
        library_curve("ge-birks")
    for name in ("fef", "sarkis", "lindhard"):
        with pytest.raises(InputError, match="no error is known"):
            library_curve(f"ge-{name}", deviations=1.0)
    with pytest.raises(InputError, match="between 0 and 1"):
        curves.lindhard(0.0, 32)
    with pytest.raises(InputError, match="never reached"):
        recoil_at(QUENCHING["fef"], 2.0 * KEV)


@pytest.mark.parametrize("name", ["lindhard", "bonhomme", "fef", "ybe", "sarkis", "khan2022-ybe"])
@pytest.mark.parametrize("energy_kev_ee", [0.003, 0.02, 0.05, 0.2])
def test_recoil_at_is_the_first_to_give_that_energy(name, energy_kev_ee):
    model = library_curve(f"ge-{name}")
    recoil = recoil_at(model, energy_kev_ee * KEV)
    if recoil == model.recoil_range[0]:
        assert float(model(np.array(recoil))) >= energy_kev_ee * KEV
    else:
        assert float(model(np.array(recoil))) == pytest.approx(energy_kev_ee * KEV, rel=1e-9)
        below = np.linspace(max(model.recoil_range[0], 1e-9), recoil * (1 - 1e-9), 300)
        assert np.all(model(below) < energy_kev_ee * KEV)


# ------------------------------------------------------------- Gaussian in bins


def test_bins_far_in_both_tails_are_accurate():
    # 30 digits by mpmath; bins of 1/7 sigma out to 30 sigma on both sides
    edges = np.array([-4.0, -3.99, -1.0, -0.99, 0.0, 0.01, 1.0, 1.01, 2.1, 2.11])
    energy, sigma = 0.005, 0.07
    found = bin_probabilities(edges, np.array([energy]), np.array([sigma]))[:, 0]
    with mpmath.workdps(400):
        z = [(mpmath.mpf(float(e)) - mpmath.mpf(energy)) / mpmath.mpf(sigma) for e in edges]
        wanted = [float(mpmath.ncdf(b) - mpmath.ncdf(a)) for a, b in itertools.pairwise(z)]
    assert found[7] > 0
    np.testing.assert_allclose(found[1:], wanted[1:], rtol=1e-12)
    assert found[-1] == pytest.approx(wanted[-1], rel=1e-12)


@settings(max_examples=60, deadline=None)
@given(
    energy=st.floats(0.0, 2.0), sigma=st.floats(0.01, 0.5), scale=st.floats(1e-3, 1e3),
    positive=st.booleans(),
)  # fmt: skip
def test_bins_conserve_probability_and_do_not_know_the_unit(energy, sigma, scale, positive):
    edges = np.concatenate([[-30.0], np.linspace(0.0, 3.0, 31), [40.0]])
    found = bin_probabilities(edges, np.array([energy]), np.array([sigma]), positive)[:, 0]
    assert found.sum() == pytest.approx(1.0, abs=1e-12)
    assert np.all(found >= 0)
    assert (found[0] == 0) or not positive
    scaled = bin_probabilities(
        scale * edges, scale * np.array([energy]), scale * np.array([sigma]), positive
    )[:, 0]
    np.testing.assert_allclose(scaled, found, rtol=1e-9, atol=1e-300)


def test_normalisation_on_positive_energies_against_quad():
    energy, sigma = 0.04, 0.0685

    def gauss(x):
        return np.exp(-0.5 * ((x - energy) / sigma) ** 2)

    wanted = quad(gauss, 0.2, 0.4, epsabs=0)[0] / quad(gauss, 0.0, 2.0, epsabs=0)[0]
    found = bin_probabilities(np.array([0.2, 0.4]), np.array([energy]), np.array([sigma]), True)
    assert found[0, 0] == pytest.approx(wanted, rel=1e-10)


@pytest.mark.parametrize(
    ("edges", "sigma", "words"),
    [([0.2], 0.1, "edges"), ([0.2, 0.2], 0.1, "edges"), ([0.1, np.nan], 0.1, "edges"),
     ([0.1, 0.2], 0.0, "width"), ([0.1, 0.2], np.nan, "width")],
)  # fmt: skip
def test_bins_refuse(edges, sigma, words):
    with pytest.raises(InputError, match=words):
        bin_probabilities(np.array(edges), np.array([0.1]), np.array([sigma]))


def test_resolution():
    # noise alone at zero energy; 0.0685 keV and 0.00296 x 0.105 keV: 70.7 eV at 1 keV
    resolution = fano_width(0.0685, 0.00296, 0.105)
    sigma = resolution(np.array([0.0, 1.0 * KEV])) / KEV
    np.testing.assert_allclose(sigma, [0.0685, np.sqrt(0.0685**2 + 0.00296 * 0.105)], rtol=1e-14)
    assert sigma[1] == pytest.approx(0.0707, abs=1e-4)


# ---------------------------------------------------- Standard Model, Dresden-II

README = {
    "mueller-extrapolated-9mev": (95.8, 52.0, 23.3, 24.3),
    "huber-extrapolated-9mev": (97.2, 52.7, 23.6, 24.6),
    "vogel-engel": (94.9, 51.1, 22.5, 23.5),
    "bestiole2023": (94.5, 51.1, 22.9, 23.9),
    "estienne2019": (93.6, 50.6, 22.6, 23.5),
    "kopeikin2012": (89.6, 48.6, 21.7, 22.6),
}
"""Counts per day in 0.2 to 0.4 keV_ee, data collection, check 3."""


@pytest.mark.parametrize("name", README)
def test_standard_model_counts(name):
    found = [counts(spectrum(name), model)[0] for model in QUENCHING.values()]
    np.testing.assert_allclose(found, README[name], rtol=0.03)


def test_models_stay_within_6_percent_of_bestiole():
    for model in QUENCHING.values():
        bestiole = counts(spectrum("bestiole2023"), model)[0]
        for name in README:
            assert counts(spectrum(name), model)[0] == pytest.approx(bestiole, rel=0.06)


def test_where_the_differences_come_from():
    # recoils from 5 eV on instead of 0 give the collection's digits for BESTIOLE and Kopeikin; its
    # Mueller and Huber rows start at 0
    found = [counts(spectrum("bestiole2023"), m, start_mev=5e-6)[0] for m in QUENCHING.values()]
    np.testing.assert_allclose(found, README["bestiole2023"], rtol=4e-3)
    found = [counts(spectrum("kopeikin2012"), m, start_mev=5e-6)[0] for m in QUENCHING.values()]
    np.testing.assert_allclose(found, README["kopeikin2012"], rtol=6e-3)
    for name in ("mueller-extrapolated-9mev", "huber-extrapolated-9mev"):
        found = [counts(spectrum(name), model)[0] for model in QUENCHING.values()]
        np.testing.assert_allclose(found, README[name], rtol=2.5e-3)


def test_fission_spectra_scaled_to_the_quoted_flux():
    # last row of the table: captures are in the flux but not in the spectrum, 28 % too much
    found = spectrum("vogel-engel")
    fluence = reactor.fluence_from_flux(found, 4.8e13, DAY)
    counted = [counts(found, model, fluence=fluence)[0] for model in QUENCHING.values()]
    np.testing.assert_allclose(counted, (121.5, 65.5, 28.8, 30.0), rtol=0.03)
    assert fluence / fluence_per_day() == pytest.approx(1.28, abs=0.01)


def test_lower_cut_and_normalisation_of_the_gaussian():
    # data collection, traps: 3, 50, 100 eV give 21.3, 13.5, 8.8; 18.3 without the normalisation
    bestiole, model = spectrum("bestiole2023"), QUENCHING["0.157"]
    for cut_kev, wanted in ((0.003, 21.3), (0.05, 13.5), (0.1, 8.8)):
        found = counts(bestiole, model, cut_kev=cut_kev)[0]
        assert found == pytest.approx(wanted, abs=0.051)
    plain = counts(bestiole, model, positive=False)[0]
    assert plain == pytest.approx(18.3, rel=0.02)


@pytest.mark.parametrize(("quenching", "share"), [("fef", 0.02), ("ybe", 0.03), ("0.157", 0.06)])
def test_share_of_low_and_high_energies(quenching, share):
    # data collection, check 5: below 2 MeV 2, 3, 6 %; above 8 MeV 2 to 4 %
    model = QUENCHING[quenching]
    whole = counts(spectrum("bestiole2023"), model)[0]
    below = counts(spectrum("bestiole2023", e_max_mev=2.0), model)[0]
    above = whole - counts(spectrum("bestiole2023", e_max_mev=8.0), model)[0]
    assert below / whole == pytest.approx(share, abs=0.01)
    assert 0.015 < above / whole < 0.045


def test_small_print_is_small():
    bestiole = spectrum("bestiole2023")
    for model in QUENCHING.values():
        nominal = counts(bestiole, model)[0]
        assert counts(bestiole, model, fano=0.11)[0] == pytest.approx(nominal, rel=5e-4)
        # 72Ge alone, as Khan (2022): 1 % fewer; and captures: below 1 % more
        single = counts(bestiole, model, composition={"Ge72": 1.0})[0]
        assert 0.985 < single / nominal < 0.995
        captured = library.reactor_spectrum("bestiole2023", FUEL, 0.6)
        assert 1.0 < counts(captured, model)[0] / nominal < 1.01


@pytest.mark.parametrize("name", ["fef", "ybe"])
def test_reference_prediction(name):
    # settings of the author: each isotope normalised to 1, tables read by straight lines, no 76Ge,
    # 4.8e13, sin2thetaW 0.23868, Fano 0.11, E_ee from 3 eV
    pieces = (Piece("points", "vogel_engel1989"), Piece("points", "mueller2011"))

    tables = [read_table(resources.find(piece.file)) for piece in pieces]

    def mixture(weights):
        return add([piece_spectrum(p, weights, t) for p, t in zip(pieces, tables, strict=True)])

    share = {i: FUEL[i] / reactor.antineutrinos_per_fission(mixture({i: 1.0})) for i in ISOTOPES}
    source = mixture(share)
    assert reactor.antineutrinos_per_fission(source) == pytest.approx(1.0, rel=1e-6)
    path = resources.find("dresden-2/sm_prediction_reference.csv")
    table = read_table(path, [f"cevns_{name}"])
    edges = table.edges("e_lo_kev_ee", "e_hi_kev_ee")
    found = counts(
        source, QUENCHING[name], edges, reactor.fluence_from_flux(source, 4.8e13, DAY),
        {n: share for n, share in NATURAL.items() if n != "Ge76"}, 0.003, fano=0.11, sin2=0.23868,
    )  # fmt: skip
    reference = table[f"cevns_{name}"]
    seen = reference > 1e-2
    np.testing.assert_allclose(found[seen], reference[seen], rtol=0.01)
    assert found[:20].sum() == pytest.approx(reference[:20].sum(), rel=2e-3)
    assert found[:20].sum() == pytest.approx({"fef": 118.7, "ybe": 63.7}[name], rel=5e-3)


def test_twin_by_brute_force():
    # plain sums over E and T of dsigma/dT x flux x Gaussian, one nuclide
    found = spectrum("estienne2019")
    model, nuclide = QUENCHING["ybe"], NUCLIDES["Ge72"]
    recoil_edges = np.geomspace(2e-5, 4e-3, 3001)
    recoil = np.sqrt(recoil_edges[1:] * recoil_edges[:-1])
    width = np.diff(recoil_edges)
    energy = np.arange(0.005, 10.1, 0.01)
    section = cevns.differential_cross_section(
        recoil[:, np.newaxis], energy, nuclide, "e", Physics(form_factor="klein-nystrand")
    )
    rate = (section * found.density(energy)).sum(axis=1) * 0.01
    mean = model(recoil) / KEV
    sigma = np.sqrt(0.0685**2 + 0.00296 * 0.105 * mean)
    fine = np.arange(0.2005, 0.4, 0.001)[:, np.newaxis]
    gauss = np.exp(-0.5 * ((fine - mean) / sigma) ** 2) / (np.sqrt(2 * np.pi) * sigma) * 0.001
    number = 2924.0 * AVOGADRO / nuclide.atomic_mass_u
    slow = number * fluence_per_day() * (gauss.sum(axis=0) * rate * width).sum()
    fast = counts(
        found, model, composition={"Ge72": 1.0}, positive=False, start_mev=2e-5
    )[0]  # fmt: skip
    assert fast == pytest.approx(slow, rel=1e-3)


# ------------------------------------------------------------- nuclides, elements


@pytest.mark.parametrize(("element", "mass"), [("Ge", 72.630), ("Ar", 39.948)])
def test_natural_composition_gives_the_atomic_weight(element, mass):
    # IUPAC standard atomic weights: Ge 72.630(8), Ar 39.948 (1969 to 2017, air)
    parts = resources.read_toml(resources.find("elements.toml"))[element]
    assert sum(parts.values()) == pytest.approx(1.0, abs=1e-9)
    mean = sum(share * NUCLIDES[name].atomic_mass_u for name, share in parts.items())
    assert mean == pytest.approx(mass, abs=1e-3)
    for name in parts:
        nuclide = NUCLIDES[name]
        assert nuclide.protons == {"Ge": 32, "Ar": 18}[element]
        assert name.endswith(str(nuclide.nucleons))
        skin = -0.04 + 1.01 * (nuclide.neutrons - nuclide.protons) / nuclide.nucleons
        assert nuclide.rn_fm - nuclide.rp_fm == pytest.approx(skin, abs=6e-4)


def test_number_of_targets_of_khan():
    # Khan (2022), section 5: 2.43e25 nuclei of 72Ge; 2.924 kg hold 2.448e25
    number = SETUP["detector"]["mass_kg"] * G_PER_KG * AVOGADRO / NUCLIDES["Ge72"].atomic_mass_u
    assert number == pytest.approx(SETUP["khan2022"]["targets"], rel=0.01)
