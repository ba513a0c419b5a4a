"""Electron scattering: golden numbers, limits, first-principles twins; shells and RRPA."""

import itertools
import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.integrate import quad
from variables import at

from nuhf import constants
from nuhf.couplings.electromagnetic import RADIUS_SHIFT, charge_shift, magnetic_coefficients
from nuhf.errors import InputError
from nuhf.library import read_shells, rrpa_ratio
from nuhf.physics import eves
from nuhf.physics.cevns import maximum_recoil, minimum_energy
from nuhf.physics.shells import Shells, atomic_correction, free_electrons, shells_of
from nuhf.resources import find, write_text
from nuhf.tables import read_table

G, ALPHA, M_E = constants.FERMI_CONSTANT, constants.ALPHA, constants.ELECTRON_MASS
AREA, S2W = constants.HBAR_C**2, constants.SIN2_THETA_W
FLAVOURS = ("e", "mu", "tau")
SPECIES = list(itertools.product(FLAVOURS, (False, True)))
KEV = 1e-3


def section(recoil, energy, flavour="e", antineutrino=False, s2w=S2W, **values):
    values, partners = at(**values)
    return eves.differential_cross_section(
        np.asarray(recoil), np.asarray(energy), flavour, antineutrino, eves.ELECTRONS, values,
        partners, s2w,
    )  # fmt: skip


def coefficients(recoil, *species):
    return eves.cross_section(recoil, *species).expand().by_name()


def top_of(energy):
    return float(maximum_recoil(np.array(energy), M_E))


ENERGY = st.floats(0.02, 50)
SHARE = st.floats(1e-6, 0.999999)
SPECIES_ST = st.sampled_from(SPECIES)
# at 10 keV 1e-11 e and 1e-31 cm2 shift gV by about 5 and 0.2
VALUES = st.fixed_dictionaries(
    {"q": st.floats(-1e-11, 1e-11), "r": st.floats(-1e-30, 1e-30), "munu2": st.floats(0, 1e-19),
     "qt2": st.floats(0, 1e-22), "rt2": st.floats(0, 1e-60)}
)  # fmt: skip


# -------------------------------------------------------------- golden numbers


def test_golden_charge_shift():
    # DESIGN section 1: gV shift 5.44e12 per e at T_e = 1 keV
    assert charge_shift(np.array([KEV]), M_E)[0] == pytest.approx(5.44e12, rel=1e-3)


def test_golden_couplings():
    # arXiv:2309.17380 eqs 4, 5, with its sin^2 theta_W = 0.23863
    assert eves.electron_couplings("e", sin2_theta_w=0.23863) == pytest.approx((0.97726, 0.5))
    for flavour in ("mu", "tau"):
        found = eves.electron_couplings(flavour, sin2_theta_w=0.23863)
        assert found == pytest.approx((-0.02274, -0.5))
    assert eves.electron_couplings("e", antineutrino=True)[1] == -0.5


def test_golden_total_of_lsnd():
    # hep-ex/0101039: sigma(nu_e e) = (10.1 +- 1.1 +- 1.0)e-45 cm2 E/MeV, 10 to 53 MeV
    energy = 35.0
    total = quad(lambda t: float(section(t, energy)), 0, top_of(energy))[0]
    assert abs(total / energy - 10.1e-45) < math.hypot(1.1, 1.0) * 1e-45


def test_golden_magnetic_moment():
    # arXiv:2309.17380 eq 6 with the classical electron radius r_e = 2.8179403e-13 cm (CODATA):
    # pi alpha^2/m_e^2 = pi r_e^2
    recoil, energy, munu = 5 * KEV, 0.3, 1e-11
    added = float(section(recoil, energy, munu2=munu**2) - section(recoil, energy))
    expected = math.pi * 2.8179403205e-13**2 * (1 / recoil - 1 / energy) * munu**2
    assert added == pytest.approx(expected, rel=1e-8)


# ------------------------------------------------------------------ slow twins


def printed(t, energy, flavour, antineutrino, s2w, q, r, munu2, qt2, rt2):
    """arXiv:2309.17380 eqs 3 to 9, 14 to 16 for Z_eff = 1, couplings in natural units of MeV."""
    r, rt2 = r / AREA, rt2 / AREA**2
    gv = 2 * s2w + (0.5 if flavour == "e" else -0.5)
    ga = (0.5 if flavour == "e" else -0.5) * (-1 if antineutrino else 1)
    gv -= math.sqrt(2) * math.pi * ALPHA / (G * M_E * t) * q
    gv += math.sqrt(2) * math.pi * ALPHA / (3 * G) * r
    weak = (gv + ga) ** 2 + (gv - ga) ** 2 * (1 - t / energy) ** 2
    weak -= (gv**2 - ga**2) * M_E * t / energy**2
    weak *= G**2 * M_E / (2 * math.pi)
    helicity = 1 + (1 - t / energy) ** 2 - M_E * t / energy**2
    charge = math.pi * ALPHA**2 / (M_E * t**2) * helicity * qt2
    radius = math.pi * ALPHA**2 * M_E / 9 * helicity * rt2
    magnetic = math.pi * ALPHA**2 / M_E**2 * (1 / t - 1 / energy) * munu2
    return (weak + charge + radius + magnetic) * AREA


@settings(deadline=None)
@given(energy=ENERGY, share=SHARE, species=SPECIES_ST, s2w=st.floats(0, 1), values=VALUES)
def test_section_against_the_printed_formula(energy, share, species, s2w, values):
    t = share * top_of(energy)
    expected = printed(t, energy, *species, s2w, **values)
    # the charge and the SM cancel: compare with the size of the terms
    terms = [printed(t, energy, *species, s2w, **{k: abs(v) for k, v in values.items()}),
             printed(t, energy, *species, s2w, **{**values, "q": -abs(values["q"])})]  # fmt: skip
    found = float(section(t, energy, *species, s2w, **values))
    assert found == pytest.approx(expected, rel=1e-9, abs=1e-11 * max(terms))


def test_transition_terms_are_the_square_templates():
    # eqs 9 and 16 divided by |q|^2 and |r|^2: no SM coupling, no flavour, no sign of gA
    t = np.geomspace(0.05, 100, 40) * KEV
    energy = 0.42
    for species in SPECIES:
        terms = coefficients(t, *species)
        powers = energy ** -np.arange(3.0)
        helicity = 1 + (1 - t / energy) ** 2 - M_E * t / energy**2
        eq9 = math.pi * ALPHA**2 / (M_E * t**2) * helicity * AREA
        eq16 = math.pi * ALPHA**2 * M_E / 9 * helicity / AREA
        np.testing.assert_allclose(powers @ terms["q^2"], eq9, rtol=1e-12)
        np.testing.assert_allclose(powers @ terms["r^2"], eq16, rtol=1e-12)
        # opposite signs of the shifts: qr is minus twice the geometric mean
        mean = -2 * math.pi * ALPHA**2 / (3 * t) * helicity
        np.testing.assert_allclose(powers @ terms["q*r"], mean, rtol=1e-12)


SIGMA = [np.array(s, complex) for s in ([[0, 1], [1, 0]], [[0, -1j], [1j, 0]], [[1, 0], [0, -1]])]
GAMMA = [np.kron(SIGMA[2], np.eye(2))] + [np.kron(1j * SIGMA[1], s) for s in SIGMA]
GAMMA5 = 1j * GAMMA[0] @ GAMMA[1] @ GAMMA[2] @ GAMMA[3]
METRIC = np.diag([1.0, -1, -1, -1])
LEFT = 0.5 * (np.eye(4) - GAMMA5)


def slash(p):
    return sum(METRIC[i, i] * p[i] * GAMMA[i] for i in range(4))


def dirac(t, energy, nu, electron, antineutrino):
    """dsigma/dT in MeV^-3 from traces; vertices: four matrices with the upper index."""
    p_out = math.sqrt(t**2 + 2 * M_E * t)
    cosine = (energy + M_E) / energy * math.sqrt(t / (t + 2 * M_E))
    k, p = np.array([energy, 0, 0, energy]), np.array([M_E, 0, 0, 0])
    p2 = np.array([M_E + t, p_out * math.sqrt(1 - cosine**2), 0, p_out * cosine])
    k2 = k + p - p2
    first, second = (slash(k), slash(k2)) if antineutrino else (slash(k2), slash(k))
    q = k - k2
    left, right = nu(q), electron
    bar = lambda x: GAMMA[0] @ x.conj().T @ GAMMA[0]  # noqa: E731
    e_out, e_in = slash(p2) + M_E * np.eye(4), slash(p) + M_E * np.eye(4)
    total = 0
    for m, n in itertools.product(range(4), range(4)):
        lepton = np.trace(first @ left[m] @ second @ bar(left[n]))
        total += METRIC[m, m] * METRIC[n, n] * lepton * np.trace(
            e_out @ right[m] @ e_in @ bar(right[n])
        )  # fmt: skip
    # mean over the electron's spin; one helicity of the neutrino, chosen by its vertex
    return (0.5 * total).real / (32 * math.pi * M_E * energy**2)


@pytest.mark.parametrize(("flavour", "antineutrino"), SPECIES)
@pytest.mark.parametrize(("energy", "share"), [(0.3, 0.1), (0.3, 0.9), (5.0, 0.01), (5.0, 0.7)])
def test_twin_from_dirac_matrices(flavour, antineutrino, energy, share):
    # V-A interaction plus photon exchange with the neutrino's form factor q + r q^2/6, both for
    # neutrinos and antineutrinos: fixes gA -> -gA, one charge, and both signs of the gV shift
    t = share * top_of(energy)
    charge, radius = 3e-13, 4e-32
    gv = 2 * S2W + (0.5 if flavour == "e" else -0.5)
    ga = 0.5 if flavour == "e" else -0.5
    momentum2 = -2 * M_E * t
    photon = -4 * math.pi * ALPHA / momentum2 * (charge + radius / AREA * momentum2 / 6)
    vector, axial = -math.sqrt(2) * G * gv + photon, -math.sqrt(2) * G * ga
    electron = [g @ (vector * np.eye(4) - axial * GAMMA5) for g in GAMMA]
    expected = dirac(t, energy, lambda q: [g @ LEFT for g in GAMMA], electron, antineutrino)
    found = float(section(t, energy, flavour, antineutrino, q=charge, r=radius))
    assert found == pytest.approx(expected * AREA, rel=1e-9)


@pytest.mark.parametrize("antineutrino", [False, True])
@pytest.mark.parametrize(("energy", "share"), [(0.3, 0.1), (0.3, 0.9), (5.0, 0.01), (5.0, 0.7)])
def test_magnetic_twin_from_dirac_matrices(energy, share, antineutrino):
    # sigma^mn q_n vertex with munu = 1 mu_B = e/2m_e: no term T/4E^2 for a spin-1/2 electron
    t = share * top_of(energy)

    def moment(q):
        low = METRIC @ q
        sigma = [[0.5j * (a @ b - b @ a) for b in GAMMA] for a in GAMMA]
        return [sum(sigma[m][n] * low[n] for n in range(4)) @ LEFT for m in range(4)]

    factor = 4 * math.pi * ALPHA / (2 * M_E) / (-2 * M_E * t)
    expected = dirac(t, energy, moment, [factor * g for g in GAMMA], antineutrino) * AREA
    found = float(np.sum(magnetic_coefficients(np.array([t]), 0.5)[:, 0] / energy ** np.arange(3)))
    assert found == pytest.approx(expected, rel=1e-9)
    with_scalar_term = found * (1 + t / (4 * energy**2) / (1 / t - 1 / energy))
    if share > 0.5:
        assert with_scalar_term > expected * 1.01


@settings(deadline=None)
@given(energy=ENERGY, share=st.floats(1e-6, 0.5))
def test_bound_on_the_term_of_a_spin_zero_target(energy, share):
    # T/4E^2 over 1/T - 1/E = y^2/4(1 - y), y = T/E: what formulas that keep it would add
    t = share * top_of(energy)
    y = t / energy
    assert 0 <= spin_zero(t, energy) - 1 <= y**2 / (4 * (1 - y)) + 1e-9


def spin_zero(t, energy):
    kept = (1 / t - 1 / energy + t / (4 * energy**2)) * math.pi * ALPHA**2 / M_E**2 * AREA
    return kept / float(section(t, energy, munu2=1.0) - section(t, energy))


def test_size_of_the_term_of_a_spin_zero_target():
    # below 0.2 % for pp neutrinos (to 0.42 MeV) in the regions of arXiv:2309.17380 up to 30 keV
    assert 1e-3 < spin_zero(30 * KEV, 0.42) - 1 < 2e-3
    assert spin_zero(5 * KEV, 0.42) - 1 < 5e-5


# -------------------------------------------------------------- limits, totals


@settings(deadline=None)
@given(energy=ENERGY, species=SPECIES_ST, s2w=st.floats(0, 1))
def test_helicity_limits(energy, species, s2w):
    # T -> 0: (gV + gA)^2 + (gV - gA)^2. E >> m_e at T = T_max: only equal helicities, gL^2
    gv, ga = eves.electron_couplings(*species, s2w)
    front = G**2 * M_E / (2 * math.pi) * AREA
    low = float(section(1e-12 * top_of(energy), energy, *species, s2w))
    expected = front * ((gv + ga) ** 2 + (gv - ga) ** 2)
    assert low == pytest.approx(expected, rel=1e-9)
    high = float(section((1 - 1e-12) * top_of(1e6), 1e6, *species, s2w))
    assert high == pytest.approx(front * (gv + ga) ** 2, rel=1e-5, abs=1e-5 * front)


@pytest.mark.parametrize(("flavour", "antineutrino"), SPECIES)
@pytest.mark.parametrize("energy", [0.1, 1.0, 30.0])
def test_total_in_closed_form(flavour, antineutrino, energy):
    gv, ga = eves.electron_couplings(flavour, antineutrino)
    top = top_of(energy)
    weak = (gv + ga) ** 2 * top + (gv - ga) ** 2 * energy / 3 * (1 - (1 - top / energy) ** 3)
    weak -= (gv**2 - ga**2) * M_E * top**2 / (2 * energy**2)
    total = quad(lambda t: float(section(t, energy, flavour, antineutrino)), 0, top)[0]
    assert total == pytest.approx(G**2 * M_E / (2 * math.pi) * weak * AREA, rel=1e-10)


@pytest.mark.parametrize(("flavour", "antineutrino"), SPECIES)
def test_total_at_high_energy(flavour, antineutrino):
    # G_F^2 m_e E/(2 pi) [(gV + gA)^2 + (gV - gA)^2/3], corrections of order m_e/E
    energy = 1e5
    s = S2W
    left, right = (1 + 2 * s, 2 * s) if flavour == "e" else (2 * s - 1, 2 * s)
    if antineutrino:
        left, right = right, left
    expected = G**2 * M_E * energy / (2 * math.pi) * (left**2 + right**2 / 3) * AREA
    total = quad(lambda t: float(section(t, energy, flavour, antineutrino)), 0, top_of(energy))[0]
    assert total == pytest.approx(expected, rel=20 * M_E / energy)


@settings(deadline=None)
@given(energy=ENERGY, share=SHARE, flavour=st.sampled_from(FLAVOURS), s2w=st.floats(0, 1))
def test_antineutrinos_exchange_left_and_right(energy, share, flavour, s2w):
    # in gL = (gV + gA)/2, gR = (gV - gA)/2: 4 [gL^2 + gR^2 (1 - y)^2 - gL gR m_e T/E^2]
    t = share * top_of(energy)
    gv, ga = eves.electron_couplings(flavour, sin2_theta_w=s2w)
    left, right = (gv + ga) / 2, (gv - ga) / 2
    front = 2 * G**2 * M_E / math.pi * AREA
    for antineutrino in (False, True):
        expected = left**2 + right**2 * (1 - t / energy) ** 2 - left * right * M_E * t / energy**2
        found = float(section(t, energy, flavour, antineutrino, s2w))
        assert found == pytest.approx(front * expected, rel=1e-9, abs=1e-12 * front)
        left, right = right, left


@settings(deadline=None)
@given(energy=ENERGY, share=SHARE, species=SPECIES_ST, values=VALUES)
def test_section_is_not_negative_below_and_zero_above(energy, share, species, values):
    top = top_of(energy)
    t = share * top
    size = float(section(t, energy, *species, q=-abs(values["q"]))) + 1e-50
    assert float(section(t, energy, *species, **values)) >= -1e-10 * size
    assert float(section(1.001 * top, energy, *species, **values)) == 0


@settings(deadline=None)
@given(energy=ENERGY)
def test_kinematics_are_those_of_an_electron(energy):
    # E + m = E' + m + T with backscattering, and E_min its inverse (arXiv:2309.17380 below eq 18)
    top = top_of(energy)
    momentum = math.sqrt(top**2 + 2 * M_E * top)
    assert 2 * energy - top == pytest.approx(momentum, rel=1e-9)
    assert float(minimum_energy(np.array(top), M_E)) == pytest.approx(energy, rel=1e-9)
    assert minimum_energy(np.array(top), M_E) == pytest.approx((top + momentum) / 2)


# ------------------------------------------------------- monomials and couplings


@settings(deadline=None)
@given(delta=st.floats(-0.3, 0.3), species=SPECIES_ST, values=VALUES)
def test_mixing_angle_and_radius_are_one_direction(delta, species, values):
    # gV = 2 s2w +- 1/2: a change by delta is the radius 2 delta/RADIUS_SHIFT, whatever the rest
    t, energy = np.array([1.0, 20.0]) * KEV, 0.42
    r = values.pop("r")
    moved = section(t, energy, *species, S2W + delta, r=r, **values)
    as_radius = section(t, energy, *species, r=r + 2 * delta / RADIUS_SHIFT, **values)
    np.testing.assert_allclose(moved, as_radius, rtol=1e-9, atol=1e-12 * moved.max())


def test_charge_and_radius_shift_are_one_photon_exchange():
    # form factor q + r q^2/6 with q^2 = -2 m_e T: r weighs -m_e T/3 of q
    t = np.array([0.1, 3.0, 100.0]) * KEV
    terms = coefficients(t, "e")
    factor = -M_E * t / 3 / AREA
    np.testing.assert_allclose(terms["r"], factor * terms["q"], rtol=1e-12)
    np.testing.assert_allclose(terms["q*r"], 2 * factor * terms["q^2"], rtol=1e-12)
    np.testing.assert_allclose(terms["r^2"], factor**2 * terms["q^2"], rtol=1e-12)


def test_shape_of_the_coefficients():
    t = np.array([0.5, 1.0, 2.0, 7.0]) * KEV
    terms = coefficients(t, "mu", True)
    assert tuple(terms) == ("1", "q", "r", "q^2", "q*r", "r^2", "munu^2")
    assert {v.shape for v in terms.values()} == {(3, 4)}
    # the polynomial of degree 2 in 1/E through three energies
    energy = np.array([0.3, 0.5, 2.0])
    values = np.array([[float(section(x, e, "mu", True)) for x in t] for e in energy])
    fitted = np.linalg.solve(energy[:, None] ** -np.arange(3.0), values)
    np.testing.assert_allclose(fitted, terms["1"], rtol=1e-8, atol=1e-12 * values.max())
    assert section(t[:, None], energy[None, :]).shape == (4, 3)


def test_signs_of_the_interference():
    # gV > 0 for nu_e: a positive charge lowers the rate, a positive radius raises it
    t, energy = 2 * KEV, 0.3
    size = float(section(t, energy))
    assert float(section(t, energy, q=1e-14)) < size < float(section(t, energy, r=1e-33))


def test_unknown_names_are_refused():
    with pytest.raises(InputError, match="unknown flavour 'x'; allowed: e, mu, tau"):
        coefficients(np.array([1e-3]), "x")
    with pytest.raises(InputError, match="unknown coupling 'qnu'; allowed: munu, q, r"):
        eves.cross_section(np.array([1e-3]), "e").at({"qnu": 1e-12})


# ---------------------------------------------------------------------- shells

XENON = read_shells("electrons/Xe_shells.csv")
XENON_RRPA = read_shells("electrons/xenon_shells_rrpa.csv")
GERMANIUM = read_shells("electrons/Ge_shells.csv")


@pytest.mark.parametrize(("shells", "z"), [(XENON, 54), (XENON_RRPA, 54), (GERMANIUM, 32)])
def test_shells_hold_all_electrons(shells, z):
    assert shells.total == z
    t = np.geomspace(1e-7, 1.0, 5000)
    count = shells.effective_electrons(t)
    assert np.all(np.diff(count) >= 0)
    assert (count[0], count[-1]) == (0, z)
    assert np.all(np.diff(shells.edges) > 0)


@pytest.mark.parametrize(
    ("shells", "kev", "count"),
    # X-ray data tables: K 34.561 and 11.103 keV, L1 5.453 and 1.4146, L3 4.786 and 1.217 keV,
    # M1 1.1487 and 0.1801 keV; 2, 8, 18 electrons in the shells K, L, M
    [(XENON, 40, 54), (XENON, 34.57, 54), (XENON, 34.55, 52), (XENON, 5.46, 52), (XENON, 5.44, 50),
     (XENON, 4.78, 44), (XENON, 1.15, 44), (XENON, 0.3, 26), (GERMANIUM, 11.11, 32),
     (GERMANIUM, 11.09, 30), (GERMANIUM, 1.41, 28), (GERMANIUM, 1.2, 22), (GERMANIUM, 0.2, 22),
     (GERMANIUM, 0.029, 4)],
)  # fmt: skip
def test_golden_effective_electrons(shells, kev, count):
    assert shells.effective_electrons(np.array([kev * KEV])) == [count]


@settings(deadline=None)
@given(t=st.floats(1e-7, 0.1), shells=st.sampled_from([XENON, XENON_RRPA, GERMANIUM]))
def test_effective_electrons_against_the_sum_of_steps(t, shells):
    slow = sum(n for edge, n in zip(shells.edges, shells.electrons, strict=True) if t > edge)
    assert float(shells.effective_electrons(np.array(t))) == slow


def test_jumps_are_at_the_kinks_and_nowhere_else():
    below = np.nextafter(XENON.kinks, 0)
    above = np.nextafter(XENON.kinks, 1)
    jump = XENON.effective_electrons(above) - XENON.effective_electrons(below)
    np.testing.assert_array_equal(jump, XENON.electrons)
    np.testing.assert_array_equal(XENON.effective_electrons(XENON.kinks),
                                  XENON.effective_electrons(below))  # fmt: skip
    np.testing.assert_array_equal(XENON.kinks, XENON.edges)
    inner = XENON.effective_electrons(below[1:]) - XENON.effective_electrons(above[:-1])
    np.testing.assert_array_equal(inner, 0)


def test_free_electrons_are_the_limit():
    free = free_electrons(54)
    assert free.total == 54
    assert free.kinks.size == 0
    t = np.array([[1e-9, 1e-3], [0.1, 1.0]])
    np.testing.assert_array_equal(free.effective_electrons(t), np.full((2, 2), 54.0))
    unbound = Shells(XENON.edges * 1e-9, XENON.electrons)
    np.testing.assert_array_equal(unbound.effective_electrons(t), free.effective_electrons(t))
    with pytest.raises(InputError, match="Z = 0: an atom has at least one electron"):
        free_electrons(0)


def test_table_in_any_order():
    table = read_table(find("electrons/Xe_shells.csv"))
    columns = {name: column[::-1] for name, column in table.columns.items()}
    again = shells_of(replace(table, columns=columns))
    np.testing.assert_array_equal(again.edges, XENON.edges)
    assert XENON.edges[-1] == pytest.approx(34.561 * KEV)
    assert XENON.electrons[-1] == 2  # K


TABLE = "# source: none\nedge_kev,electrons\n1.0,2\n0.1,8\n"


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("0.1", "1.0", "'edge_kev': 1 keV is given twice"),
        ("0.1", "-0.1", "'edge_kev': -0.1 keV is not positive"),
        ("0.1", "0", "'edge_kev': 0 keV is not positive"),
        (",8", ",0", "'electrons': 0 is not a positive whole number"),
        (",8", ",1.5", "'electrons': 1.5 is not a positive whole number"),
        ("electrons", "n", "no column 'electrons'"),
    ],
)
def test_broken_shells_are_refused(tmp_path, old, new, words):
    path = tmp_path / "s.csv"
    write_text(path, TABLE)
    np.testing.assert_allclose(read_shells(str(path)).edges, [0.1 * KEV, KEV])
    write_text(path, TABLE.replace(old, new))
    with pytest.raises(InputError, match=words) as error:
        read_shells(str(path))
    assert "s.csv" in str(error.value)


# ------------------------------------------------------------------------ RRPA

RRPA = rrpa_ratio()


def test_ratio_at_its_points_and_between():
    # arXiv:1610.04177: event rate about 25 % (23 % in print) below free electrons, 0.1 to 30 keV
    assert RRPA.tabulated_range == pytest.approx((0.26 * KEV, 28 * KEV))
    np.testing.assert_allclose(RRPA(RRPA.recoil), RRPA.ratio, rtol=1e-12)
    middle = 0.5 * (RRPA.recoil[1:] + RRPA.recoil[:-1])
    np.testing.assert_allclose(RRPA(middle), 0.5 * (RRPA.ratio[1:] + RRPA.ratio[:-1]), rtol=1e-12)
    t = np.linspace(0.26, 28, 20001) * KEV
    mean = np.trapezoid(RRPA.effective_electrons(t), t) / np.trapezoid(
        XENON.effective_electrons(t), t
    )
    assert mean == pytest.approx(0.77, abs=0.02)


def test_ratio_ends_without_a_jump():
    top = RRPA.tabulated_range[1]
    t = np.linspace(top * (1 - 1e-9), 2.5 * top, 10001)
    ratio = RRPA(t)
    assert ratio[0] == pytest.approx(0.6878, abs=1e-6)
    assert np.all(np.diff(ratio) >= -1e-9)
    assert np.abs(np.diff(ratio)).max() < 2e-4
    np.testing.assert_array_equal(ratio[t >= 2 * top], 1.0)
    # no corner at the far end: 3 s^2 - 2 s^3 is flat at s = 1
    near = RRPA(np.array([2 * top * (1 - 1e-4), 2 * top]))
    assert abs(np.diff(near)[0]) < 1e-6


def test_ratio_is_refused_below_its_table():
    with pytest.raises(InputError, match=r"recoil 0\.25 keV is below its table, .* 0\.26 keV"):
        RRPA(np.array([1.0, 0.25]) * KEV)
    assert RRPA(np.array([])).size == 0


def test_ratio_was_made_with_the_binding_energies_of_the_rrpa():
    # Between the measured and the calculated 3d3/2, 3p3/2 and 2s edges (0.70, 0.96, 5.5 keV) the
    # ratio of the table stays within 1 % of its neighbour, where the other step function jumps
    # by 4 to 12 %: with it, the corrected rate would have false spikes.
    for kev, before in ((0.70, 0.68), (0.96, 0.94), (5.5, 5.25)):
        t = np.array([before, kev]) * KEV
        assert abs(np.diff(np.log(RRPA(t)))[0]) < 0.01
        assert np.diff(np.log(XENON.effective_electrons(t)))[0] > 0.035
        assert np.diff(XENON_RRPA.effective_electrons(t))[0] == 0


def test_kinks_of_the_corrected_number_of_electrons():
    kinks = RRPA.kinks
    assert np.all(np.diff(kinks) > 0)
    assert set(RRPA.recoil) <= set(kinks)
    assert {k for k in XENON_RRPA.edges if k > 0.26 * KEV} <= set(kinks)
    assert kinks[-1] == pytest.approx(56 * KEV)
    # smooth in between: cubic in every piece, so fourth differences vanish
    low, high = kinks[:-1], kinks[1:]
    points = low + (high - low) * np.linspace(0.05, 0.95, 5)[:, None]
    fourth = np.array([1, -4, 6, -4, 1]) @ RRPA.effective_electrons(points)
    assert np.abs(fourth).max() < 1e-9


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ("1.0,0.9\n0.5,0.8\n", "'t_kev' is not positive and ascending"),
        ("0.0,0.9\n0.5,0.8\n", "'t_kev' is not positive and ascending"),
        ("0.1,0.9\n0.5,0.0\n", "'ratio': 0 is not positive"),
    ],
)
def test_broken_ratios_are_refused(tmp_path, body, words):
    path = tmp_path / "r.csv"
    write_text(path, "# source: none\nt_kev,ratio\n" + body)
    with pytest.raises(InputError, match=words):
        rrpa_ratio(ratio=str(path))


def test_another_table_with_another_step_function(tmp_path):
    path = tmp_path / "r.csv"
    write_text(path, "# source: none\nt_kev,ratio\n1,0.5\n10,0.5\n")
    correction = atomic_correction(read_table(path), free_electrons(54))
    np.testing.assert_allclose(correction.effective_electrons(np.array([1e-3, 5e-3])), 27.0)
