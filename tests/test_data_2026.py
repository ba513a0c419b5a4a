"""Nuclides, electron shells, tables of the measurements of 2024 to 2026, and their golden numbers.

The golden numbers were made for the project by two independent codes before these tables existed;
the twins of ``independent_2026.py``, which share no code with nuhf, have to give them.
"""

import re
import tomllib
from itertools import pairwise

import numpy as np
import pytest
from independent_2026 import (
    CHARGE,
    DATA,
    KEV,
    MOMENT,
    NATURAL,
    NUCLIDES,
    RADIUS_UNIT,
    SOLAR,
    ConusPlus,
    Flux,
    Xenon2Only,
    Xenon8B,
    boron8,
    cross_section,
    decay_at_rest,
    density_matrix,
    eves,
    eves_density_matrix,
    golden_radius,
    line,
    low_energy_sun,
    mass_states,
    panels,
    read,
    shells_of,
    survival,
    xenon_rate,
    z_eff,
)
from independent_csi_electrons import Csi2021
from scipy.optimize import brentq

from nuhf import constants as c

RISE = 2.705543454095404  # 90 % CL, one parameter


# ------------------------------------------------------- nuclides, elements, shells

WEIGHTS = {  # IUPAC standard atomic weights 2021, abridged; argon as of the air
    "H": 1.008, "He": 4.0026, "C": 12.011, "O": 15.999, "F": 18.998, "Ne": 20.180, "Na": 22.990,
    "Al": 26.982, "Si": 28.085, "Ar": 39.948, "Ca": 40.078, "Ti": 47.867, "V": 50.942,
    "Zn": 65.38, "Ga": 69.723, "Ge": 72.630, "Y": 88.906, "I": 126.90, "Cs": 132.91,
    "Xe": 131.29, "W": 183.84, "Tl": 204.38,
}  # fmt: skip


def test_natural_compositions_give_the_standard_atomic_weights():
    assert set(NATURAL) == set(WEIGHTS)
    assert sorted(n for parts in NATURAL.values() for n in parts) == sorted(NUCLIDES)
    for symbol, parts in NATURAL.items():
        assert sum(parts.values()) == pytest.approx(1.0, abs=1e-12)
        mean = sum(share * NUCLIDES[n]["atomic_mass_u"] for n, share in parts.items())
        digits = len(str(WEIGHTS[symbol]).split(".")[1])
        assert mean == pytest.approx(WEIGHTS[symbol], abs=1.05 * 10**-digits), symbol
        for name in parts:
            assert name == f"{symbol}{NUCLIDES[name]['nucleons']}"


def test_masses_follow_the_formula_of_weizsaecker():
    """A wrong digit among the first six of a mass would stand out; light nuclei scatter."""
    for name, n in NUCLIDES.items():
        a, z = n["nucleons"], n["protons"]
        if a < 12:
            continue
        pairing = 11.2 / a**0.5 * ((z % 2 == 0) + ((a - z) % 2 == 0) - 1)
        binding = 15.75 * a - 17.8 * a ** (2 / 3) - 0.711 * z**2 / a ** (1 / 3) + pairing
        binding -= 23.7 * (a - 2 * z) ** 2 / a
        mass = z * 938.78307 + (a - z) * 939.56542 - binding
        assert n["atomic_mass_u"] * c.ATOMIC_MASS_UNIT == pytest.approx(mass, abs=13.0), name


def test_radii_follow_their_rules_and_their_marks_are_there():
    text = (DATA / "nuclides.toml").read_text()
    for name, n in NUCLIDES.items():
        a, z = n["nucleons"], n["protons"]
        if a >= 12:
            assert n["rp_fm"] == pytest.approx(0.836 * a ** (1 / 3) + 0.57, rel=0.07), name
        entry = text[text.index(f"[{name}]") :].split("\n\n")[0]
        if name in ("Cs133", "I127"):
            continue  # read in a paper
        skin = -0.04 + 1.01 * (a - 2 * z) / a if z >= 18 else 0.0
        assert n["rn_fm"] - n["rp_fm"] == pytest.approx(skin, abs=6e-4), name
        if name not in ("Ar36", "Ar38", "Ar40") and not name.startswith("Ge"):
            assert ("# computed" in entry) == (z >= 18)
            assert ("# substitute" in entry) == (z < 18 or name == "V50")


@pytest.mark.parametrize("symbol", list(WEIGHTS))
def test_shells_hold_every_electron_from_inside_to_outside(symbol):
    shells = shells_of(symbol)
    protons = next(n["protons"] for k, n in NUCLIDES.items() if k in NATURAL[symbol])
    assert shells["electrons"].sum() == protons
    assert np.all(np.diff(shells["edge_kev"]) < 0)
    # the K edge of the elements: Moseley's law with the relativistic rise
    if protons > 10:
        moseley = 0.0136057 * (protons - 2.5) ** 2 * (1 + 0.25 * (protons / 137.036) ** 2)
        assert shells["edge_kev"][0] == pytest.approx(moseley, rel=0.12)


STEPS = {  # rounded edges and Z_eff above them, arXiv:2205.09484 as coded in a public repository
    "Cs": ([35.99, 5.71, 5.36, 5.01, 1.21, 1.07, 1.0, 0.74, 0.73, 0.23, 0.17, 0.16],
                [55, 53, 51, 49, 45, 43, 41, 37, 33, 27, 25, 23]),
    "I": ([33.17, 5.19, 4.86, 4.56, 1.07, 0.93, 0.88, 0.63, 0.62, 0.19, 0.124],
               [53, 51, 49, 47, 43, 41, 39, 35, 31, 25, 23]),
    "Ge": ([11.103, 1.4146, 1.2481, 1.217, 0.1801, 0.1249, 0.1208, 0.0298, 0.0292],
                  [32, 30, 28, 26, 22, 20, 18, 14, 10]),
}  # fmt: skip


@pytest.mark.parametrize("element", list(STEPS))
def test_shells_give_the_steps_of_the_literature(element):
    edges, electrons = STEPS[element]
    inside = np.array([np.sqrt(low * high) for high, low in pairwise(edges)])
    np.testing.assert_array_equal(z_eff(inside * KEV, element), electrons[1:])
    assert z_eff(np.array([1.2 * edges[0] * KEV]), element) == electrons[0]


# ----------------------------------------------------------------- XENONnT, 8B

RUNS = range(3)


def readme_edges(run):
    """Bin edges of one run as the README of the folder prints them."""
    rows = [r.strip("| ").split(" | ") for r in lines("xenonnt-8b") if r.startswith("| ")]
    table = {r[0]: r[1:] for r in rows}
    names = ("cs2_pe", "shadow_quantile", "s1_bdt_score", "s2_bdt_score")
    own = (table[n][0 if table[n][run] == "the same" else run] for n in names)
    return [np.array([float(x) for x in cell.split(",")]) for cell in own]


def lines(folder):
    return (DATA / folder / "README.md").read_text().splitlines()


@pytest.mark.parametrize("run", RUNS)
def test_events_of_xenonnt_fall_into_the_counted_bins(run):
    events = read("xenonnt-8b/events.csv")
    own = events["run"] == run
    names = ("cs2_pe", "shadow_quantile", "s1_bdt_score", "s2_bdt_score")
    sample = np.stack([events[n][own] for n in names], axis=1)
    found = np.histogramdd(sample, readme_edges(run))[0].ravel()
    np.testing.assert_array_equal(read("xenonnt-8b/counts_derived.csv")[f"sr{run}"], found)
    assert found.sum() == [9, 28, 25][run]


def test_backgrounds_of_xenonnt_have_the_sums_of_the_release():
    sums = np.array([b.sum(axis=1) for b in Xenon8B().backgrounds])
    release = [[7.4817, 0.1257, 0.1714], [17.7671, 0.5486, 0.4053], [14.8647, 0.5244, 0.1745]]
    np.testing.assert_allclose(sums, release, atol=1e-4)
    old = read("xenonnt-8b/templates_2024.csv")
    exposure = np.array(Xenon8B.exposures)[old["run"].astype(int)]
    assert exposure @ old["b8"] == pytest.approx(11.916, abs=1e-3)
    # published: 26.4 +1.4 -1.3, arXiv:2408.02877
    assert exposure @ (old["ac"] + old["er"] + old["rg"]) == pytest.approx(26.39, abs=0.01)


def test_substitute_for_pandax_is_the_mean_efficiency_of_xenonnt():
    table = read("one-number/acceptance_pandax_4t_8b_substitute.csv")
    search = Xenon8B()
    weight = np.full(46, 0.1)
    weight[[0, -1]] = 0.05
    mean = sum(r[:, 0].sum(0) for r in search.responses) / weight / sum(search.exposures)
    assert table["t_kev_nr"][0] == 1.1
    np.testing.assert_allclose(table["p_0"], mean[6:], rtol=1e-4)


@pytest.fixture(scope="module")
def golden8():
    search = Xenon8B()
    return search, search.signal(xenon_rate(search.energies, boron8(), golden_radius))


def test_boron8_in_xenon_has_the_golden_rates_and_events(golden8):
    search, signal = golden8
    rate = xenon_rate(search.energies, boron8(), golden_radius)
    at = np.searchsorted(search.energies, np.array([0.5, 1, 2, 3, 4]) * KEV - 1e-9)
    np.testing.assert_allclose(rate[at], [682.2, 231.2, 16.98, 0.2114, 5.34e-5], rtol=2e-3)
    np.testing.assert_allclose(signal[..., 0].sum(1), [3.2387, 5.9731, 7.1859], rtol=1e-4)
    yields = [16.398, 20.515, 12.810, 19.294, 13.685]  # nominal, light up, down, charge up, down
    np.testing.assert_allclose(signal.sum((0, 1)), yields, rtol=1e-4)


def test_radii_of_xenon_are_worth_half_a_per_cent(golden8):
    search, signal = golden8
    own = search.signal(xenon_rate(search.energies, boron8()))[..., 0].sum(1)
    np.testing.assert_allclose(own / signal[..., 0].sum(1) - 1, -0.0049, atol=2e-4)


def test_likelihood_of_xenonnt_has_the_golden_significances(golden8):
    search, signal = golden8
    assert search.profile(signal) == pytest.approx(176.995, abs=2e-3)
    for runs, golden in (((0, 1), 2.754), ((2,), 1.964), ((0, 1, 2), 3.314)):
        some, part = Xenon8B(runs), signal[list(runs)]
        found = np.sqrt(some.profile(0 * part) - some.profile(part, free=True))
        assert found == pytest.approx(golden, abs=2e-3)


def test_magnetic_moments_from_boron8_have_the_golden_limits(golden8):
    search, signal = golden8
    minimum = search.profile(signal)  # the best moment is zero
    flux = boron8()
    electron = flux.times(survival(flux.middle, "b8"))
    for own, golden in ((flux, 1.287e-9), (electron, 2.246e-9)):
        extra = xenon_rate(search.energies, own, golden_radius, munu=1e-9)
        extra -= xenon_rate(search.energies, own, golden_radius)
        sm = xenon_rate(search.energies, flux, golden_radius)
        end = search.end(lambda v: sm + (v / 1e-9) ** 2 * extra, 0.5e-9, 4e-9, minimum)  # noqa: B023
        assert end == pytest.approx(golden, rel=1e-3)


# --------------------------------------------------------------- XENONnT, S2 only


def test_templates_of_the_ionisation_only_search_have_the_sums_of_the_release():
    counts = read("xenonnt-s2-only/counts_derived.csv")
    assert [counts[f"sr{k}"].sum() for k in RUNS] == [583, 864, 1107]
    background, cevns = [], []
    for k, exposure in enumerate(Xenon2Only.exposures):
        t = read(f"xenonnt-s2-only/templates_sr{k}.csv")
        shapes = [t[f"cathode_{a}"].sum() for a in ("m3", "m2", "m1", "0", "p1", "p2", "p3")]
        np.testing.assert_allclose(shapes, shapes[3], rtol=1e-4)
        background.append(exposure * (t["ae"] + t["de"] + t["cathode_0"]).sum())
        cevns.append(exposure * t["cevns_0"].sum())
    np.testing.assert_allclose(background, [575.1, 769.1, 1224.3], atol=0.05)
    np.testing.assert_allclose(cevns, [20.566, 29.444, 32.306], atol=5e-4)


def test_own_boron8_rate_gives_the_template_of_the_ionisation_only_search():
    search = Xenon2Only()
    signal = search.signal(xenon_rate(search.energies, boron8(), golden_radius))
    theirs = [e * t["cevns_0"] for e, t in zip(search.exposures, search.templates, strict=True)]
    ratio = signal[..., 0] / theirs
    sums = signal[..., 0].sum(1) / np.sum(theirs, axis=1)
    np.testing.assert_allclose(sums, [0.9925, 0.9942, 1.0022], atol=1e-4)
    assert np.all(np.abs(ratio[:, :5] - 1) < 0.0185)  # below 380 PE
    assert ratio.max() == pytest.approx(1.052, abs=1e-3)


@pytest.mark.parametrize("shape", [False, True], ids=["cathode fixed", "cathode shape"])
def test_ionisation_only_search_prefers_no_neutrinos(shape):
    search = Xenon2Only(cathode_shape=shape)
    signal = search.signal(xenon_rate(search.energies, boron8(), golden_radius))
    golden = (31.228, 28.404) if shape else (33.906, 31.287)
    assert search.profile(signal) == pytest.approx(golden[0], abs=2e-3)
    assert search.profile(0 * signal) == pytest.approx(golden[1], abs=2e-3)


def test_moment_from_the_ionisation_only_search_has_the_golden_limit():
    search, flux = Xenon2Only(), boron8()
    sm = xenon_rate(search.energies, flux, golden_radius)
    extra = xenon_rate(search.energies, flux, golden_radius, munu=1e-9) - sm
    minimum = search.profile(search.signal(sm))
    end = search.end(lambda v: sm + (v / 1e-9) ** 2 * extra, 0.9e-9, 1.1e-9, minimum)
    assert end == pytest.approx(1.008e-9, rel=2e-3)


# ------------------------------------------------------------------------ CONUS+


@pytest.fixture(scope="module")
def conus():
    twin = ConusPlus()
    return twin, twin.nuclear(), twin.electrons()


def test_conus_has_the_golden_events(conus):
    twin, nuclear, electrons = conus
    assert nuclear.sum() == pytest.approx(137.415, rel=1e-4)
    assert electrons.sum() == pytest.approx(0.0532, rel=1e-3)
    first = [30.2526, 23.5533, 18.3808, 14.3682]  # per bin and kg, computed with another code
    np.testing.assert_allclose(nuclear[:4], first, rtol=1e-4)
    assert twin.excess.sum() == pytest.approx(125.30, abs=0.01)
    assert np.sqrt((twin.error**2).sum()) == pytest.approx(52.34, abs=0.01)


def quadratic(at, scale):
    """The function behind three values, exact for a second-degree polynomial."""
    low, zero, high = at(-scale), at(0.0), at(scale)
    return lambda v: (
        zero + (high - low) / 2 * v / scale + ((high + low) / 2 - zero) * (v / scale) ** 2
    )


def ends(chi2, low, high, points=801):
    """Minimum and every crossing of the minimum + 2.7055."""
    grid = np.linspace(low, high, points)
    height = np.array([chi2(v) for v in grid])
    i = int(np.argmin(height))
    x = np.linspace(grid[max(i - 1, 0)], grid[min(i + 1, points - 1)], 2001)
    level = min(chi2(v) for v in x) + RISE
    below = height < level
    return [
        brentq(lambda v: chi2(v) - level, grid[k], grid[k + 1], xtol=1e-6 * (high - low))
        for k in np.flatnonzero(below[1:] != below[:-1])
    ]


def test_conus_has_the_golden_fits_and_limits(conus):
    twin, nuclear, electrons = conus
    sm = nuclear + electrons
    assert twin.chi2(sm) == pytest.approx(7.695, abs=2e-3)
    assert twin.chi2(0 * sm) == pytest.approx(21.018, abs=2e-3)
    weak = quadratic(lambda v: twin.nuclear(s2w=c.SIN2_THETA_W + v), 0.1)
    found = ends(lambda v: twin.chi2(weak(v - c.SIN2_THETA_W) + electrons), -0.8, 0.6)
    np.testing.assert_allclose(found, [-0.487, -0.306, 0.172, 0.354], atol=1e-3)
    charge = quadratic(lambda v: twin.nuclear(q=v) + twin.electrons(q=v), 1e-12)
    found = ends(lambda v: twin.chi2(charge(v)), -5e-12, 5e-12)
    np.testing.assert_allclose(found, [-1.975e-12, 2.069e-12], rtol=5e-4)
    for parts, golden in ((("nuclear", "electrons"), 1.229e-10), (("nuclear",), 5.15e-10)):
        extra = sum(getattr(twin, p)(munu=1e-10) - getattr(twin, p)() for p in parts)
        found = ends(lambda v: twin.chi2(sm + v**2 * extra), 0.0, 10.0)[-1]  # noqa: B023
        assert found * 1e-10 == pytest.approx(golden, rel=1e-3)


# --------------------------------------------------------------- electrons in CsI

CSI = {  # numu, nue, numubar, sum: step function; sum of free electrons
    "sm": ([1.272e-5, 5.199e-5, 1.081e-5, 7.553e-5], 9.305e-5),
    "q2": ([3.678, 3.125, 3.127, 9.930], 13.31),  # at 1e-10 e
    "q": ([5.44e-4, -1.972e-2, 4.61e-4], None),
    "munu2": ([0.6321, 0.5371, 0.5373, 1.7066], 2.159),  # at 1e-9 mu_B
}
CSI_BINS = {
    ("sm", "nue"): [2.636e-8, 9.290e-7, 2.519e-6, 3.686e-6, 4.216e-6, 8.865e-6, 8.969e-6, 1.126e-5,
                    1.153e-5],
    ("q2", "numu"): [0.02263, 0.4323, 0.6539, 0.6049, 0.4710, 0.6202, 0.3743, 0.2982, 0.2008],
    ("q2", "nue"): [0.01923, 0.3673, 0.5556, 0.5140, 0.4002, 0.5269, 0.3180, 0.2534, 0.1706],
    ("q2", "numubar"): [0.01924, 0.3674, 0.5558, 0.5142, 0.4004, 0.5272, 0.3181, 0.2535, 0.1707],
    ("munu2", "nue"): [0.001007, 0.02655, 0.05480, 0.06433, 0.06102, 0.1019, 0.08012, 0.08043,
                       0.06701],
}  # fmt: skip


def csi_terms(atoms):
    """{term, source: photoelectron bins}, with the fractions of time in 0 to 6 us."""
    twin = Csi2021(atoms)
    time = {s: fractions.sum() for s, fractions in twin.time.items()}

    def counts(**now):
        return {s: n[0] * time[s] for s, n in twin.counts("eves", lambda flavour: now).items()}

    sm, up, down, moment = counts(), counts(q=1e-10), counts(q=-1e-10), counts(munu=1e-9)
    found = {}
    for s in sm:
        found["sm", s] = sm[s]
        found["q2", s] = (up[s] + down[s]) / 2 - sm[s]
        found["q", s] = (up[s] - down[s]) / 2
        found["munu2", s] = moment[s] - sm[s]
    return found


def test_electrons_in_csi_have_the_golden_events():
    found = csi_terms("step")
    for term, (golden, _) in CSI.items():
        sums = [found[term, s].sum() for s in ("numu", "nue", "numubar")]
        np.testing.assert_allclose([*sums, sum(sums)][: len(golden)], golden, rtol=1e-3)
    for (term, source), golden in CSI_BINS.items():
        np.testing.assert_allclose(found[term, source], golden, rtol=2e-3)


def test_free_electrons_in_csi_have_the_golden_events():
    found = csi_terms("free")
    for term, (_, golden) in CSI.items():
        if golden:
            total = sum(found[term, s].sum() for s in ("numu", "nue", "numubar"))
            assert total == pytest.approx(golden, rel=1e-3)


def test_charge_terms_of_electrons_go_with_the_times_alone():
    """T << E: the square of the charge does not see the energy of the neutrino."""
    found, time = csi_terms("step"), Csi2021().time
    base = found["q2", "numu"] / time["numu"].sum()
    for source in ("nue", "numubar"):
        np.testing.assert_allclose(found["q2", source] / time[source].sum(), base, rtol=1e-3)


def test_electron_cross_section_has_its_low_energy_limits():
    """T << E: moment term pi alpha^2/m_e^2 mu^2/T, charge term 2 front shift^2."""
    t, flux = np.array([1e-6]), line(30.0)
    extra = eves(t, flux, "e", munu=1e-9) - eves(t, flux, "e")
    assert extra == pytest.approx(MOMENT * 1e-18 / t, rel=1e-6)
    both = eves(t, flux, "e", q=1e-8) + eves(t, flux, "e", q=-1e-8) - 2 * eves(t, flux, "e")
    front = c.FERMI_CONSTANT**2 * c.ELECTRON_MASS / (2 * np.pi) * c.HBAR_C**2
    shift = CHARGE * 1e-8 / (c.ELECTRON_MASS * t)
    assert both / 2 == pytest.approx(2 * front * shift**2, rel=1e-4)


# -------------------------------------------------------- measurements of one number


def test_germanium_at_the_sns_has_the_golden_cross_sections():
    golden = {"numu": 4.872e-39, "nue": 5.536e-39, "numubar": 6.922e-39}
    found = {
        s: sum(share * cross_section(f[0], n) for n, share in NATURAL["Ge"].items())
        for s, f in decay_at_rest().items()
    }
    for source, value in golden.items():
        assert found[source] == pytest.approx(value, rel=5e-4)
    mean = sum(found.values()) / 3
    assert mean == pytest.approx(5.776e-39, rel=5e-4)
    assert mean == pytest.approx(5.9e-39, rel=0.025)  # arXiv:2603.17951, 2.1 % above
    assert 1 - found["nue"] / 3 / mean == pytest.approx(0.681, abs=1e-3)


def test_lz_expects_the_golden_number_of_boron8_events():
    table = read("one-number/acceptance_lz_8b.csv")
    t, w = panels(1e-3 * KEV, 10 * KEV, table["t_kev_nr"][1:] * KEV, nodes=8, per_decade=4)
    efficiency = np.interp(t / KEV, table["t_kev_nr"], table["p_0"])
    found = 5.7 * (xenon_rate(t, boron8(), golden_radius) * efficiency) @ w / KEV
    assert found == pytest.approx(19.94, rel=5e-4)


# ------------------------------------------------------------- coherence in the Sun

COHERENCE = """pp 0.100 0.54022 0.66174 0.31626 0.25375 0.20603 -0.16747 +0.05755 -0.19623
pp 0.267 0.53703 0.65278 0.32522 0.25411 0.20886 -0.16129 +0.05205 -0.19790
be7 0.3843 0.53241 0.63979 0.33821 0.25463 0.21297 -0.15234 +0.04408 -0.20032
be7 0.8613 0.51956 0.60369 0.37431 0.25607 0.22438 -0.12747 +0.02193 -0.20703
pep 1.442 0.50971 0.57605 0.40195 0.25717 0.23312 -0.10842 +0.00497 -0.21217
b8 6 0.37445 0.19608 0.78192 0.27231 0.35324 +0.15340 -0.22816 -0.28285
b8 8 0.34879 0.12400 0.85400 0.27518 0.37603 +0.20307 -0.27238 -0.29625
b8 10 0.33404 0.08257 0.89543 0.27683 0.38913 +0.23162 -0.29781 -0.30396"""


@pytest.mark.parametrize("row", COHERENCE.splitlines())
def test_density_matrix_of_solar_neutrinos(row):
    source, energy, ee, one, two, *rest = row.split()
    at = np.array([float(energy)])
    rho, states = density_matrix(at, source)[0], mass_states(at, source)[:, 0]
    # the golden numbers interpolate a table of P_ee: 4e-5
    np.testing.assert_allclose(states, [float(one), float(two), 0.0220], atol=6e-5)
    found = [*rho.diagonal().real, *rho[[0, 0, 1], [1, 2, 2]].real]
    np.testing.assert_allclose(found, [float(ee), *map(float, rest)], atol=6e-5)
    assert np.trace(rho) == pytest.approx(1.0, abs=1e-12)
    assert np.linalg.eigvalsh(rho).min() > -1e-12


def test_density_matrix_with_other_angles():
    low, high = np.array([0.267]), np.array([8.0])
    rho = density_matrix(low, "pp", delta=-np.pi / 2)[0]
    golden = [-0.1067 - 0.0546j, 0.1067 - 0.0546j, -0.1979 + 0.0226j]
    np.testing.assert_allclose(rho[[0, 0, 1], [1, 2, 2]], golden, atol=6e-5)
    rho = density_matrix(high, "b8", delta=-np.pi / 2)[0]
    golden = [0.2377 - 0.0347j, -0.2377 - 0.0347j, -0.2963 - 0.0504j]
    np.testing.assert_allclose(rho[[0, 0, 1], [1, 2, 2]], golden, atol=1e-4)
    rho = density_matrix(low, "pp", sin2_theta23=0.57)[0].real
    found = [rho[1, 1], rho[2, 2], rho[0, 1], rho[0, 2]]
    np.testing.assert_allclose(found, [0.2262, 0.2368, -0.1572, 0.0632], atol=6e-5)


def test_moments_of_mass_states_are_linear_in_survival():
    """T_1 = 1.953286 T_e - 0.855766 T_x and so on: exact, since P_ek is linear in P_ee."""
    energy = np.linspace(0.1, 15.0, 40)
    states, ee = mass_states(energy, "b8"), survival(energy, "b8")
    weights = [(1.953286, -0.855766), (-0.975286, 1.833766), (0.0220, 0.0220)]
    for state, (own, other) in zip(states, weights, strict=True):
        np.testing.assert_allclose(state, own * ee + other * (1 - ee), atol=2e-6)
        assert np.all(state > 0)
    assert SOLAR["sin2_theta12"] == 0.318  # the numbers above hold for these angles only


COHERENT_TERMS = {  # linear and quadratic term over the SM for r2 = +1e-31 cm2
    (5, 0, 1): (-0.0913, 0.0567), (5, 0, 2): (0.0286, 0.0535), (5, 1, 2): (0.0081, 0.0333),
    (20, 0, 1): (-0.0825, 0.0515), (20, 0, 2): (0.0256, 0.0486), (20, 1, 2): (0.0148, 0.0303),
}  # fmt: skip


@pytest.mark.parametrize(("t_kev", "a", "b"), list(COHERENT_TERMS))
def test_transition_radius_interferes_in_the_sun(t_kev, a, b):
    t = t_kev * KEV
    d = np.zeros((3, 3))
    d[a, b] = d[b, a] = CHARGE * 1e-31 / RADIUS_UNIT / 3
    sums = np.zeros(3)
    for source, energies, fluxes in low_energy_sun():
        rho = density_matrix(energies, source)
        for energy, flux, matrix in zip(energies, fluxes, rho, strict=True):
            if energy < 0.5 * (t + np.sqrt(t**2 + 2 * c.ELECTRON_MASS * t)):
                continue
            sums += [flux * eves_density_matrix(t, energy, matrix, s * d) for s in (0, 1, -1)]
    linear, square = (sums[1] - sums[2]) / 2 / sums[0], (sums[1] + sums[2]) / 2 / sums[0] - 1
    np.testing.assert_allclose((linear, square), COHERENT_TERMS[t_kev, a, b], rtol=2e-3, atol=6e-5)


# --------------------------------------------------------- radiative corrections


def test_radiative_couplings_follow_from_their_formula():
    """J. Erler and S. Su, Prog. Part. Nucl. Phys. 71, 119 (2013), arXiv:1303.5522, as used by
    M. Atzori Corona et al., arXiv:2205.09484 (both recalled): box diagrams of W and Z, and for a
    proton the charge radius of each flavour. Formula and printed couplings meet to 1e-4.
    """
    scheme = tomllib.loads((DATA / "couplings.toml").read_text())["radiative"]
    alpha_z, s2z, strong_w, strong_z, rho = 1 / 127.951, 0.23122, 0.1203, 0.1180, 1.00063
    ww = -alpha_z / (2 * np.pi * s2z) * (1 - strong_w / (2 * np.pi))
    crossed = alpha_z / (8 * np.pi * s2z) * (1 + strong_w / np.pi)
    front = -3 * alpha_z / (8 * np.pi * s2z * (1 - s2z)) * (1 - strong_z / np.pi)
    left = {"u": (0.5 - 2 / 3 * s2z) ** 2, "d": (-0.5 + s2z / 3) ** 2}
    right = {"u": (2 / 3 * s2z) ** 2, "d": (s2z / 3) ** 2}
    zz = {q: front * (left[q] - right[q]) for q in "ud"}
    neutron = -rho / 2 + 2 * ww + crossed + rho * (2 * zz["d"] + zz["u"])
    assert neutron == pytest.approx(scheme["gn"], abs=6e-5)
    for flavour, printed in scheme["gp"].items():
        loop = np.log(c.W_MASS**2 / c.LEPTON_MASS[flavour] ** 2) + 1.5
        radius = -c.ALPHA / (6 * np.pi) * loop
        proton = rho * (0.5 - 2 * c.SIN2_THETA_W) + 2 * crossed + ww - 2 * radius
        assert proton + rho * (2 * zz["u"] + zz["d"]) == pytest.approx(printed, abs=6e-5)


# ------------------------------------------------------------------------- marks


def test_files_say_what_they_are():
    for folder in ("xenonnt-8b", "xenonnt-s2-only", "conus-plus", "one-number"):
        for path in (DATA / folder).glob("*.csv"):
            head = "".join(s for s in path.read_text().splitlines(True) if s.startswith("#"))
            assert re.search(r"^# source: (.*@[A-Z]\w+:\d{4}\w+|definition$)", head, re.M), path
            for word in ("derived", "digitised", "substitute"):
                assert (word in path.name) == (word.upper() in head), path
        assert any("Traps" in s for s in lines(folder))


def test_narrow_bins_of_a_flux_have_the_moments_of_a_power_law():
    """The tool of the twins: density E^2 from 1 to 2 has moments 7/3, 3/2, 1."""
    edges = np.linspace(1, 2, 2001)
    middle = (edges[1:] + edges[:-1]) / 2
    flux = Flux(edges[:-1], edges[1:], middle**2 * np.diff(edges))
    found = [m[0] for m in flux.moments(np.array([0.5]))]
    np.testing.assert_allclose(found, [7 / 3, 1.5, 1.0], rtol=1e-6)
