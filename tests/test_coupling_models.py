"""Models of couplings: golden numbers, limits into each other, slow twins."""

import dataclasses
import math

import mpmath
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nuhf import constants
from nuhf.couplings import dipole_portal, parameters
from nuhf.couplings.light_vector import loop
from nuhf.errors import InputError
from nuhf.physics import cevns, eves, sns
from nuhf.physics.couplings import tree_level
from nuhf.physics.nuclei import read_nuclides
from nuhf.physics.settings import Physics
from nuhf.rates import build
from nuhf.rates.templates import Axis

CS = read_nuclides()["Cs133"]
S2W = 0.23857
G, ALPHA, M_E = constants.FERMI_CONSTANT, constants.ALPHA, constants.ELECTRON_MASS
HC2 = constants.HBAR_C**2
T, E = np.array([10e-3]), np.array([40.0])
EPS = st.floats(-2, 2)
T_E, E_E = np.array([5e-3]), np.array([0.4])


def on_caesium(values=None, partners=(), flavour="e", recoil=T, energy=E, **given_settings):
    """The benchmark of the specification: 133Cs, T = 10 keV, E = 40 MeV, Helm, s2w = 0.23857."""
    names = {n for point in (values or {}, *partners) for n in point}
    physics = Physics(tree_level(S2W), "helm", False, tuple(sorted(names)), given_settings)
    return float(
        cevns.differential_cross_section(recoil, energy, CS, flavour, physics, values, partners)[0]
    )


def on_electron(values=None, partners=(), flavour="e", anti=False, recoil=T_E, energy=E_E, **more):
    """The benchmark: a free electron, nu_e, T = 5 keV, E = 0.4 MeV."""
    names = {n for point in (values or {}, *partners) for n in point}
    physics = Physics(variables=tuple(sorted(names)), settings=more)
    return float(
        eves.differential_cross_section(
            recoil, energy, flavour, anti, physics, values, partners, S2W
        )[0]
    )


def test_golden_standard_model():
    assert on_caesium() == pytest.approx(1.050099e-36, rel=2e-6)
    assert on_electron() == pytest.approx(1.030812e-44, rel=2e-6)


# ---------------------------------------------------------------------------- NSI


@pytest.mark.parametrize(
    ("values", "partners", "golden"),
    [
        ({"eps_u": 0.1}, (), 2.570152e-37),
        ({"eps_d": 0.1}, (), 2.006547e-37),
        ({}, ({"eps_u": 0.1},), 1.318192e-36),
    ],
)
def test_golden_nsi_with_quarks(values, partners, golden):
    assert on_caesium(values, partners) == pytest.approx(golden, rel=1e-5)


def test_golden_nsi_with_electrons():
    assert on_electron({"eps_eL": 0.1}) == pytest.approx(1.301939e-44, rel=1e-5)
    assert on_electron({"eps_eR": 0.1}) == pytest.approx(1.125766e-44, rel=1e-5)
    standard = on_electron()
    for name, golden in (("eps_eL", 1.723266e-46), ("eps_eR", 1.680453e-46)):
        assert on_electron({}, ({name: 0.1},)) - standard == pytest.approx(golden, rel=1e-5)


@settings(deadline=None)
@given(
    left=st.floats(-2, 2), right=st.floats(-2, 2), share=st.floats(0.01, 0.99), anti=st.booleans()
)
def test_nsi_with_electrons_in_chiral_couplings(left, right, share, anti):
    # (2 G_F^2 m_e/pi) [g_L^2 + g_R^2 (1 - T/E)^2 - g_L g_R m_e T/E^2]; antineutrinos: L <-> R
    energy = 0.7
    t = share * float(cevns.maximum_recoil(np.array(energy), M_E))
    with mpmath.workdps(30):
        g_l = mpmath.mpf(S2W) + 0.5 + left
        g_r = mpmath.mpf(S2W) + right
        if anti:
            g_l, g_r = g_r, g_l
        bracket = (
            g_l**2 + g_r**2 * (1 - mpmath.mpf(t) / energy) ** 2 - g_l * g_r * M_E * t / energy**2
        )
        exact = float(2 * G**2 * M_E / mpmath.pi * bracket * HC2)
    found = on_electron({"eps_eL": left, "eps_eR": right}, anti=anti, recoil=np.array([t]),
                        energy=np.array([energy]))  # fmt: skip
    assert found == pytest.approx(exact, rel=1e-9, abs=1e-12 * 2 * G**2 * M_E * HC2)


@settings(deadline=None)
@given(up=EPS, down=EPS, up_mu=EPS, down_mu=EPS)
def test_nsi_with_quarks_against_the_printed_formula(up, down, up_mu, down_mu):
    fp, fn = (float(f[0]) for f in cevns.form_factors("helm", T, CS))
    p, n = CS.protons * fp, CS.neutrons * fn
    with mpmath.workdps(30):
        own = (mpmath.mpf(0.5) - 2 * mpmath.mpf(S2W) + 2 * up + down) * p + (
            up + 2 * down - 0.5
        ) * n
        other = (2 * mpmath.mpf(up_mu) + down_mu) * p + (mpmath.mpf(up_mu) + 2 * down_mu) * n
        t, e, m = float(T[0]), float(E[0]), CS.mass
        kinematic = G**2 * m / mpmath.pi * (1 - t / e - m * t / (2 * e**2)) * HC2
        exact = float(kinematic * (own**2 + other**2))
    found = on_caesium({"eps_u": up, "eps_d": down}, ({"eps_u": up_mu, "eps_d": down_mu},))
    assert found == pytest.approx(exact, rel=1e-9, abs=1e-12 * float(kinematic) * (p + n) ** 2)


def test_nsi_of_a_photon_is_a_charge_radius():
    # eps^q = Q_q d shifts g_p by d alone
    d = 0.03
    shifted = on_caesium({"eps_u": 2 * d / 3, "eps_d": -d / 3})
    radius = -d / (math.sqrt(2) * math.pi * ALPHA / (3 * G)) * HC2
    assert shifted == pytest.approx(on_caesium({"r": radius}), rel=1e-12)


def test_a_second_solution_of_nsi():
    # A -> -A: eps (2 p + n) = -2 A0 gives the SM rate again
    fp, fn = (float(f[0]) for f in cevns.form_factors("helm", T, CS))
    p, n = CS.protons * fp, CS.neutrons * fn
    a0 = (0.5 - 2 * S2W) * p - 0.5 * n
    assert a0 == pytest.approx(-28.65072, rel=1e-6)
    assert on_caesium({"eps_u": -2 * a0 / (2 * p + n)}) == pytest.approx(on_caesium(), rel=1e-12)


# ------------------------------------------------------------------------- vectors


@pytest.mark.parametrize(
    ("model", "golden"),
    [
        ("universal", (2.738377e-36, 8.857582e-37, 1.036577e-36)),
        ("b_l", (3.678441e-36, 2.822536e-36, 1.054626e-36)),
    ],
)
def test_golden_light_vectors(model, golden):
    for mass, value in zip((1.0, 30.0, 1000.0), golden, strict=True):
        found = on_caesium({f"g2_{model}": 1e-8}, mediator_mass_mev=mass)
        assert found == pytest.approx(value, rel=1e-5)


@pytest.mark.parametrize(
    ("mass", "golden"), [(0.01, 11.63613), (0.1, 4.012188), (10.0, 6.06210e-4)]
)
def test_golden_light_vector_on_an_electron(mass, golden):
    # the shift of gV is the radius that shifts it as much
    per_radius = math.sqrt(2) * math.pi * ALPHA / (3 * G) / HC2
    found = on_electron({"g2_universal": 1e-12}, mediator_mass_mev=mass)
    assert found == pytest.approx(on_electron({"r": golden / per_radius}), rel=1e-5)


@pytest.mark.parametrize("model", ["universal", "b_l", "b_3le", "b_3lmu"])
def test_a_heavy_mediator_is_nsi(model):
    # m^2 >> q^2: eps^q = g_nu g_q/(sqrt2 G_F m^2), corrections of q^2/m^2 = 2.5e-9
    mass, g2 = 1e6, 1e2
    flavour = "mu" if model == "b_3lmu" else "e"
    nu = {"universal": 1.0, "b_l": -1.0}.get(model, -3.0)
    quark = 1.0 if model == "universal" else 1.0 / 3.0
    eps = nu * quark * g2 / (math.sqrt(2) * G * mass**2)
    heavy = on_caesium({f"g2_{model}": g2}, flavour=flavour, mediator_mass_mev=mass)
    contact = on_caesium({"eps_u": eps, "eps_d": eps}, flavour=flavour)
    assert heavy == pytest.approx(contact, rel=1e-8)
    assert abs(heavy / on_caesium(flavour=flavour) - 1) > 1e-4


def test_a_massless_mediator_is_a_millicharge():
    # g_f = e Q_f, g_nu = e q_nu, on an electron with Q = -1: the shift of a charge q_nu
    q = 3e-13
    massless = on_electron({"g2_universal": -4 * math.pi * ALPHA * q}, mediator_mass_mev=0.0)
    assert massless == pytest.approx(on_electron({"q": q}), rel=1e-12)


@settings(deadline=None, max_examples=20)
@given(q2=st.floats(0, 1e5))
def test_loop_of_muons_and_taus(q2):
    with mpmath.workdps(25):
        m_mu, m_tau = constants.LEPTON_MASS["mu"], constants.LEPTON_MASS["tau"]

        def integrand(x):
            part = x * (1 - x)
            return part * mpmath.log((m_tau**2 + part * q2) / (m_mu**2 + part * q2))

        exact = float(2 * ALPHA / mpmath.pi * mpmath.quad(integrand, [0, 0.5, 1]))
    assert loop(np.array([q2]))[0] == pytest.approx(exact, rel=1e-10)


def test_golden_loop():
    found = loop(np.array([0.0]))[0]
    masses = constants.LEPTON_MASS["tau"] / constants.LEPTON_MASS["mu"]
    assert found == pytest.approx(2 * ALPHA / math.pi * math.log(masses) / 3, rel=1e-12)
    # the specification has the tau mass of 2022, 1776.86 MeV: 1.4e-5
    assert found == pytest.approx(2 * ALPHA / math.pi * 0.940797, rel=2e-5)


def test_a_loop_acts_on_protons_of_both_flavours_with_opposite_signs():
    settings_of = {"mediator_mass_mev": 10.0}
    g2 = 1e-7
    up = on_caesium({"g2_lmu_ltau_plus": g2}, flavour="mu", **settings_of)
    assert up == pytest.approx(
        on_caesium({"g2_lmu_ltau_minus": g2}, flavour="tau", **settings_of), rel=1e-12
    )
    assert on_caesium({"g2_lmu_ltau_plus": g2}, flavour="e", **settings_of) == on_caesium()
    # A0 < 0: what adds to the protons' part lowers the rate
    assert up < on_caesium()


def test_a_mediator_needs_its_mass():
    with pytest.raises(InputError, match="needs the setting mediator_mass_mev"):
        on_caesium({"g2_universal": 1e-8})


# ------------------------------------------------------------------------- scalars

SCALAR = "gs2_cerdeno2016_UNVERIFIED"


@pytest.mark.parametrize(
    ("mass", "golden"), [(1.0, 1.052738e-38), (30.0, 5.666518e-39), (1000.0, 6.424397e-44)]
)
def test_golden_light_scalar(mass, golden):
    added = on_caesium({SCALAR: 1e-10}, mediator_mass_mev=mass) - on_caesium()
    assert added == pytest.approx(golden, rel=1e-5, abs=1e-15 * on_caesium())


@pytest.mark.parametrize(
    ("mass", "golden"), [(0.01, 9.360498e-45), (0.1, 1.112870e-45), (10.0, 2.540553e-53)]
)
def test_golden_light_scalar_on_an_electron(mass, golden):
    added = on_electron({SCALAR: 1e-12}, mediator_mass_mev=mass) - on_electron()
    assert added == pytest.approx(golden, rel=1e-5, abs=1e-15 * on_electron())


def test_the_scalar_charges_differ_as_stated():
    # 20 % in g^2, 50 % in the rate
    ratio = [
        on_caesium({f"gs2_{name}_UNVERIFIED": 1e-9}, mediator_mass_mev=1.0) - on_caesium()
        for name in ("atzori2022", "cerdeno2016")
    ]
    assert 1.3 < ratio[0] / ratio[1] < 1.55


# ------------------------------------------------------------------- dipole portal


@pytest.mark.parametrize(
    ("mass", "golden"),
    [(0.0, 4.558952e-38), (1.0, 4.558239e-38), (10.0, 4.484777e-38), (30.0, 3.684131e-38)],
)
def test_golden_dipole_portal(mass, golden):
    added = on_caesium({"dipole": 1e-9}, sterile_mass_mev=mass) - on_caesium()
    assert added == pytest.approx(golden, rel=1e-5)


@pytest.mark.parametrize(
    ("mass", "golden", "least"),
    [(0.0, 4.926977e-45, 0.03833), (0.01, 4.924970e-45, 0.03908), (0.05, 4.867724e-45, 0.05708),
     (0.1, 4.576665e-45, 0.11334)],
)  # fmt: skip
def test_golden_dipole_portal_on_an_electron(mass, golden, least):
    added = on_electron({"dipole": 1e-11}, sterile_mass_mev=mass) - on_electron()
    assert added == pytest.approx(golden, rel=1e-5)
    for energy, reached in ((1.001 * least, True), (0.999 * least, False)):
        at = {"energy": np.array([energy]), "sterile_mass_mev": mass}
        assert (on_electron({"dipole": 1e-11}, **at) > on_electron(**at)) is reached


def test_without_mass_the_portal_is_the_magnetic_moment():
    found = on_caesium({"dipole": 3e-10}, sterile_mass_mev=0.0)
    assert found == pytest.approx(on_caesium({"munu": 3e-10}), rel=1e-13)
    found = on_electron({"dipole": 3e-12}, sterile_mass_mev=0.0)
    assert found == pytest.approx(on_electron({"munu": 3e-12}), rel=1e-13)


@settings(deadline=None)
@given(mass=st.floats(0.5, 28), energy=st.floats(29, 53))
def test_ends_of_the_recoils_are_where_the_threshold_is(mass, energy):
    low, high = dipole_portal.recoil_ends(np.array([energy]), CS.mass, {"sterile_mass_mev": mass})
    assert low < high
    for recoil in (low, high):
        elastic = float(cevns.minimum_energy(np.array(recoil), CS.mass))
        least = elastic * (1 + mass**2 / (2 * CS.mass * recoil))
        assert least == pytest.approx(energy, rel=1e-9)


def test_templates_of_a_heavy_state_equal_a_plain_sum():
    # the line of the pion ends at both sides of its recoils: panels must be split there
    mass, light = 20.0, sns.decay_at_rest()
    physics = Physics(variables=("dipole",), settings={"sterile_mass_mev": mass})
    target = build.nucleus(CS, 1e25, physics)
    sources = [build.Source(n, s, 1e8, np.ones(1)) for n, s in light.items()]
    edges = np.array([1e-3, 4e-3, 9e-3, 1.5e-2])

    def response(recoil):
        return ((recoil >= edges[:-1, None]) & (recoil < edges[1:, None])).astype(float)

    cuts = dataclasses.replace(target, kinks=tuple(edges))
    grid = build.recoil_grid([cuts], sources, 1e-4)
    label = build.Label("r", "cevns", "cevns", (Axis("n", (0.0, 1.0, 2.0, 3.0)),))
    found = build.template_set(label, [cuts], sources, response, {}, grid)
    ((energy, number),) = light["numu"].lines
    for i in range(3):
        recoil = np.linspace(edges[i], edges[i + 1], 20001)
        middle = 0.5 * (recoil[1:] + recoil[:-1])
        section = [
            cevns.differential_cross_section(
                middle, np.full_like(middle, energy), CS, "mu", physics, {"dipole": mu}
            )
            for mu in (1.0, 0.0)
        ]
        plain = (section[0] - section[1]).sum() * (recoil[1] - recoil[0]) * number * 1e33
        assert found.nominal["numu"]["dipole^2"][i] == pytest.approx(plain, rel=2e-4)


# ----------------------------------------------------------------------- catalogue


def test_every_variable_is_fed_and_every_feed_has_a_variable():
    known = set(parameters.variables())
    for model in parameters.models():
        fed = {f.variable for p in model.parameters for f in p.feeds}
        assert {v.name for v in model.variables} <= fed
        assert {v for v in fed if not v.startswith("x_") and v != "s2w"} <= known
