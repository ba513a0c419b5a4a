"""Reactor antineutrinos: golden numbers, conservation, refusals, moments against quad."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.integrate import quad

from nuhf import library, resources
from nuhf.errors import InputError
from nuhf.library import read_nuclides
from nuhf.physics import reactor, reactor_models
from nuhf.physics.cevns import minimum_energy
from nuhf.physics.reactor_models import CAPTURES, ISOTOPES, MODELS, Piece
from nuhf.rates.quadrature import flux_moments
from nuhf.tables import read_table

FUEL = library.fission_fractions("typical_commercial")
POINTS = [("vogel_engel1989", ISOTOPES), ("mueller2011", ISOTOPES), ("kopeikin2012", ("total",))]


def spectrum(name, captures=0.0, **options):
    fractions = None if MODELS[name].total else FUEL
    return library.reactor_spectrum(name, fractions, captures, **options)


def piece_of(piece, weights):
    """A part of a model with its shipped data."""
    path = resources.find(piece.file)
    toml = piece.form == "exponential"
    data = resources.read_toml(path) if toml else read_table(path)
    return reactor_models.piece_spectrum(piece, weights, data)


# -------------------------------------------------------------- golden numbers


def test_fissions_of_dresden_2_per_cm2_and_s():
    # issue 6: 6.64e12 at 10.39 m for 2.96 GW and 205.1 MeV; 9.0e19 per s in Khan (2022), sec. 5
    assert reactor.fission_rate(2.96, 205.1) == pytest.approx(9.0e19, rel=2e-3)
    assert reactor.fluence_from_power(2.96, 205.1, 10.39, 1.0) == pytest.approx(6.64e12, rel=5e-4)


def test_energy_per_fission_of_typical_fuel():
    # 205.1 MeV follows from the fractions and Kopeikin's energies
    assert library.energy_per_fission(FUEL) == pytest.approx(205.1, abs=0.05)
    for name in ("ma2013", "james1969"):
        assert library.energy_per_fission(FUEL, name) == pytest.approx(205.1, rel=5e-3)


@pytest.mark.parametrize(
    ("name", "number", "flux"),
    [
        ("bestiole2023", 6.01, 4.79e13),
        ("estienne2019", 5.58, 4.50e13),
        ("vogel-engel", 5.64, 4.54e13),
    ],
)
def test_antineutrinos_per_fission_and_flux(name, number, flux):
    # data collection, check 2: without captures; with 1.2 of them at 10.39 m. Two printed digits.
    assert reactor.antineutrinos_per_fission(spectrum(name)) == pytest.approx(number, abs=0.015)
    full = reactor.antineutrinos_per_fission(spectrum(name, 0.6))
    fissions = reactor.fluence_from_power(2.96, 205.1, 10.39, 1.0)
    assert full * fissions == pytest.approx(flux, rel=2e-3)


def test_quoted_flux_holds_captures():
    # 4.8e13 +- 1 % is met by BESTIOLE with captures only
    fissions = reactor.fluence_from_power(2.96, 205.1, 10.39, 1.0)
    with_captures = fissions * reactor.antineutrinos_per_fission(spectrum("bestiole2023", 0.6))
    without = fissions * reactor.antineutrinos_per_fission(spectrum("bestiole2023"))
    assert with_captures == pytest.approx(4.8e13, rel=0.01)
    assert without < 0.85 * 4.8e13


def test_each_capture_gives_two_antineutrinos_below_1_3_mev():
    # beta end points: 1.26 MeV (239U), 0.72 MeV (239Np)
    one = piece_of(CAPTURES, {"u239": 1.0})
    other = piece_of(CAPTURES, {"np239": 1.0})
    for single, end in ((one, 1.275), (other, 0.725)):
        assert reactor.antineutrinos_per_fission(single) == pytest.approx(1.0, abs=2e-3)
        assert single.endpoint == pytest.approx(end, abs=0.026)
    added = reactor.antineutrinos_per_fission(spectrum("bestiole2023", 0.6))
    alone = reactor.antineutrinos_per_fission(spectrum("bestiole2023"))
    assert added - alone == pytest.approx(1.2, abs=3e-3)


def test_khans_mueller_polynomial_must_not_go_below_2_mev():
    # data collection, trap: 239Pu would give 92 antineutrinos; the printed digits give 98
    section = resources.read_toml(resources.find("reactor/polynomials.toml"))["mueller2011"]
    coefficients = section["pu239"]
    wrong = quad(lambda e: np.exp(np.polynomial.polynomial.polyval(e, coefficients)), 0, 2)[0]
    assert 90.0 < wrong < 100.0
    ours = library.reactor_spectrum("mueller", {"pu239": 1.0}, e_max_mev=2.0)
    assert reactor.antineutrinos_per_fission(ours) < 4.0


@pytest.mark.parametrize("isotope", ISOTOPES)
def test_exponentials_follow_their_own_tables(isotope):
    # the papers state fits at the per cent level; beyond 7 MeV the tables scatter more
    table = read_table(resources.find("reactor/mueller2011.csv"), ["e_mev", *ISOTOPES])
    fit = piece_of(Piece("exponential", "mueller2011"), {isotope: 1.0})
    energy = table["e_mev"]
    ratio = fit.density(energy) / table[isotope]
    assert np.abs(ratio[energy <= 7.0] - 1.0).max() < 0.06
    number = quad(lambda e: np.exp(np.interp(e, energy, np.log(table[isotope]))), 2, 8, limit=200)
    # 238U: 1.0 % below its table
    assert reactor.antineutrinos_per_fission(fit) == pytest.approx(number[0], rel=0.011)


@pytest.mark.parametrize("isotope", ["u235", "pu239", "pu241"])
def test_hubers_fit_follows_his_table_within_its_errors(isotope):
    columns = ["e_mev", isotope, f"{isotope}_err_lo", f"{isotope}_err_hi"]
    table = read_table(resources.find("reactor/huber2011.csv"), columns)
    fit = piece_of(Piece("exponential", "huber2011", (isotope,)), {isotope: 1.0})
    low = table["e_mev"] <= 7.0
    pull = (fit.density(table["e_mev"]) / table[isotope] - 1.0) / table[f"{isotope}_err_hi"]
    assert np.abs(pull[low]).max() < 2.0
    assert np.mean(pull[low] ** 2) < 1.0
    assert np.all(table[f"{isotope}_err_lo"] > 0)


def test_corrected_misprints():
    # 241Pu of Vogel and Engel: 0.793, not 0.783; Mueller 239Pu at 7.75 MeV: 0.00103, not 0.000103
    polynomials = resources.read_toml(resources.find("reactor/polynomials.toml"))
    assert polynomials["vogel_engel1989"]["pu241"][0] == 0.793
    table = read_table(resources.find("reactor/mueller2011.csv"), ["e_mev", "pu239"])
    assert np.all(np.diff(np.log(table["pu239"])) > -0.8)
    # at 2 MeV the exponentials of Vogel and Engel meet their table to 10 %
    for isotope in ISOTOPES:
        fit = piece_of(Piece("exponential", "vogel_engel1989"), {isotope: 1.0})
        below = piece_of(Piece("points", "vogel_engel1989"), {isotope: 1.0})
        at_2 = np.array(2.0)
        assert float(fit.density(at_2)) == pytest.approx(float(below.density(at_2)), rel=0.1)


# ------------------------------------------------------ tables and their reading


@pytest.mark.parametrize("name", ["bestiole2023", "estienne2019"])
def test_bins_keep_their_number(name):
    table = read_table(resources.find(f"reactor/{name}.csv"), ["e_lo_mev", "e_hi_mev", *ISOTOPES])
    width = np.diff(table.edges("e_lo_mev", "e_hi_mev"))
    total = sum(FUEL[isotope] * (table[isotope] * width).sum() for isotope in ISOTOPES)
    assert reactor.antineutrinos_per_fission(spectrum(name)) == pytest.approx(total, rel=1e-13)


@pytest.mark.parametrize(("name", "columns"), POINTS)
@pytest.mark.parametrize("form", ["points", "falling"])
def test_points_are_met_exactly(name, columns, form):
    table = read_table(resources.find(f"reactor/{name}.csv"), ["e_mev", *columns])
    found = piece_of(Piece(form, name, columns), {columns[-1]: 2.0})
    np.testing.assert_allclose(found.density(table["e_mev"]), 2.0 * table[columns[-1]], rtol=1e-13)


def test_reading_between_points():
    # 239Pu of Mueller between 4.00 (0.200) and 4.25 MeV (0.151): arithmetic or geometric mean
    middle = np.array(4.125)
    straight = piece_of(Piece("points", "mueller2011"), {"pu239": 1.0})
    falling = piece_of(Piece("falling", "mueller2011"), {"pu239": 1.0})
    assert float(straight.density(middle)) == pytest.approx(0.1755, rel=1e-12)
    assert float(falling.density(middle)) == pytest.approx(np.sqrt(0.2 * 0.151), rel=1e-12)
    # steps below 2 MeV stay straight lines: Kopeikin between 1.185 (2.80) and 1.190 MeV (2.24)
    step = spectrum("kopeikin2012").density(np.array(1.1875))
    assert float(step) == pytest.approx(2.52, rel=1e-12)


@pytest.mark.parametrize("name", MODELS)
def test_nothing_outside_and_nothing_negative(name):
    found = spectrum(name)
    assert found.flavour == "e"
    assert found.antineutrino
    inside = np.linspace(found.edges[0], found.endpoint, 4001)
    assert np.all(found.density(inside) >= 0)
    outside = np.array([found.edges[0] - 1e-3, found.endpoint + 1e-3, 20.0])
    np.testing.assert_array_equal(found.density(outside), 0.0)


@pytest.mark.parametrize("name", MODELS)
def test_models_agree_where_all_are_measured(name):
    # 2.5 to 6 MeV: published differences between models and with data stay below 12 %
    energy = np.linspace(2.5, 6.0, 36)
    ratio = spectrum(name).density(energy) / spectrum("huber").density(energy)
    assert np.abs(ratio - 1.0).max() < 0.12


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("recoil_kev", [0.02, 0.4, 1.3])
def test_moments_against_quad(name, recoil_kev):
    found = spectrum(name)
    mass = read_nuclides()["Ge72"].mass
    recoil = np.array([recoil_kev * 1e-3])
    start = float(minimum_energy(recoil, mass)[0])
    ours = flux_moments(found, recoil, mass)[:, 0]
    knots = np.append(start, found.edges[found.edges > start])
    low, high = knots[:-1], knots[1:]
    for n in range(3):
        if MODELS[name].pieces[0].form == "bins":
            # the integral of E^-n over each bin is known
            power = (high - low, np.log(high / low), 1.0 / low - 1.0 / high)[n]
            exact = (found.density(0.5 * (low + high)) * power).sum()
        else:
            exact = sum(
                quad(lambda e, n=n: float(found.density(np.array(e))) * e**-n, a, b)[0]
                for a, b in zip(low, high, strict=True)
            )
        assert ours[n] == pytest.approx(exact, rel=1e-9)


# ------------------------------------------------------------------ composition


@settings(max_examples=25, deadline=None)
@given(share=st.floats(0.0, 1.0), captures=st.floats(0.0, 1.0))
def test_spectra_are_linear_in_fractions_and_captures(share, captures):
    energy = np.array([0.3, 0.7, 2.1, 4.4])
    mixed = library.reactor_spectrum(
        "bestiole2023", {"u235": share, "pu239": 1.0 - share}, captures
    )
    first = library.reactor_spectrum("bestiole2023", {"u235": 1.0}).density(energy)
    second = library.reactor_spectrum("bestiole2023", {"pu239": 1.0}).density(energy)
    unit = library.reactor_spectrum("bestiole2023", {"u235": 1.0}, 1.0).density(energy) - first
    wanted = share * first + (1.0 - share) * second + captures * unit
    np.testing.assert_allclose(mixed.density(energy), wanted, rtol=1e-12)


def test_upper_end():
    whole, part = spectrum("bestiole2023"), spectrum("bestiole2023", e_max_mev=7.99)
    assert part.endpoint == 7.99
    assert float(part.density(np.array(8.0))) == 0.0
    rest = quad(lambda e: float(whole.density(np.array(e))), 7.99, 12.5, limit=2000)[0]
    lost = reactor.antineutrinos_per_fission(whole) - reactor.antineutrinos_per_fission(part)
    assert lost == pytest.approx(rest, rel=1e-3)


def test_fluence_falls_with_the_square_of_the_distance():
    # 8 m instead of 10.39 m: 1.69 times more (data collection, check 2)
    near = reactor.fluence_from_power(2.96, 205.1, 8.0, 1.0)
    far = reactor.fluence_from_power(2.96, 205.1, 10.39, 1.0)
    assert near / far == pytest.approx((10.39 / 8.0) ** 2, rel=1e-13)
    assert near / far == pytest.approx(1.69, abs=0.005)


def test_quoted_flux_fixes_the_integral():
    found = spectrum("estienne2019", 0.6)
    fluence = reactor.fluence_from_flux(found, 4.8e13, 86400.0)
    total = fluence * reactor.antineutrinos_per_fission(found)
    assert total == pytest.approx(4.8e13 * 86400.0, rel=1e-14)


@pytest.mark.parametrize("name", ["typical_commercial", "kuo_sheng", "conus_brokdorf", "daya_bay"])
def test_fuels_sum_to_one(name):
    assert sum(library.fission_fractions(name).values()) == pytest.approx(1.0, abs=1e-9)


# --------------------------------------------------------------------- refusals


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("mueler", FUEL), "unknown reactor model 'mueler'"),
        (("huber", None), "needs fission fractions"),
        (("huber", {"u233": 1.0}), "unknown isotope 'u233'"),
        (("huber", {"u235": 0.5}), "sum to 0.5"),
        (("huber", {"u235": 1.5, "u238": -0.5}), "none may be negative"),
        (("huber", {"u235": float("nan")}), "none may be negative"),
        (("huber", FUEL, -0.1), "zero or more"),
        (("kopeikin2012", FUEL), "part of it already"),
        (("kopeikin2012", None, 0.6), "part of it already"),
        (("mueller", FUEL, 0.0, 9.0), "covers 0.007813 to 8 MeV"),
        (("bestiole2023", FUEL, 0.0, 13.0), "covers 0 to 12.5 MeV"),
    ],
)
def test_spectra_refuse(arguments, words):
    with pytest.raises(InputError, match=words):
        library.reactor_spectrum(*arguments)


@pytest.mark.parametrize("limits", [(1.8, 8.0), (2.0, 8.5), (0.0, 2.0), (6.0, 3.0)])
def test_exponentials_refuse_energies_outside_their_range(limits):
    with pytest.raises(InputError, match="was fitted from 2 to 8 MeV"):
        piece_of(Piece("exponential", "huber2011", ("u235",), limits), {"u235": 1.0})


def test_extrapolation_is_named_never_silent():
    for name, model in MODELS.items():
        extrapolated = any(piece.extrapolated for piece in model.pieces)
        assert ("extrapolated" in name) == extrapolated == ("extrapolated" in model.note)
    below = Piece("exponential", "mueller2011", ISOTOPES, (1.0, 9.0), extrapolated=True)
    with pytest.raises(InputError, match="was fitted from"):
        piece_of(below, FUEL)


def test_other_refusals():
    with pytest.raises(InputError, match="unknown form 'spline'"):
        piece_of(Piece("spline", "mueller2011"), FUEL)
    with pytest.raises(InputError, match=r"no \[fractions.hanford\]"):
        library.fission_fractions("hanford")
    with pytest.raises(InputError, match=r"no \[energies.x\]"):
        library.energy_per_fission(FUEL, "x")
    with pytest.raises(InputError, match="power_gw"):
        reactor.fission_rate(0.0, 205.0)
    with pytest.raises(InputError, match="distance_m"):
        reactor.fluence_from_power(2.96, 205.0, -1.0, 1.0)
    with pytest.raises(InputError, match="flux_per_cm2_s"):
        reactor.fluence_from_flux(spectrum("huber"), float("inf"), 1.0)
