"""Models of couplings: golden numbers, limits into each other, slow twins."""

import dataclasses
import json
import math
import os
import subprocess
import sys

import mpmath
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.integrate import quad

import nuhf
from nuhf import constants, library
from nuhf.couplings import dipole_portal, parameters
from nuhf.couplings.light_vector import loop
from nuhf.couplings.majorana import mixing_matrix
from nuhf.couplings.model import PAIRS
from nuhf.errors import InputError
from nuhf.exclusions import spaced
from nuhf.library import read_nuclides
from nuhf.physics import cevns, eves, sns
from nuhf.physics.couplings import tree_level
from nuhf.physics.settings import Physics
from nuhf.physics.solar import Oscillation
from nuhf.physics.solar_states import mass_shares, state_shares, state_spectra
from nuhf.rates import build
from nuhf.rates.quadrature import flux_moments
from nuhf.rates.templates import Axis
from nuhf.units import KEV
from nuhf.workspaces.names import split_unit
from nuhf.workspaces.native import load_model

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
    sources = [build.FluxComponent(n, s, 1e8, np.ones(1)) for n, s in light.items()]
    edges = np.array([1e-3, 4e-3, 9e-3, 1.5e-2])

    def response(recoil):
        return ((recoil >= edges[:-1, None]) & (recoil < edges[1:, None])).astype(float)

    cuts = dataclasses.replace(target, kinks=tuple(edges))
    grid = build.recoil_grid([cuts], sources, 1e-4)
    label = build.Label("r", "cevns", "cevns", (Axis("n", (0.0, 1.0, 2.0, 3.0)),))
    found = build.template_set(label, [cuts], sources, response, grid)
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


# ------------------------------------------------------- mass states and the Sun

OSCILLATION = Oscillation(0.318, 0.0220, 0.5, 7.50e-5)
GOLDEN_STATES = {
    # P_ee: P_e1, P_e2, rho_ee, rho_mumu, rho_tautau, rho_emu, rho_etau, rho_mutau
    0.53703: (0.65278, 0.32522, 0.53703, 0.25411, 0.20886, -0.16129, 0.05205, -0.19790),
    0.51956: (0.60369, 0.37431, 0.51956, 0.25607, 0.22438, -0.12747, 0.02193, -0.20703),
    0.34879: (0.12400, 0.85400, 0.34879, 0.27518, 0.37603, 0.20307, -0.27238, -0.29625),
}


@pytest.mark.parametrize("survival", GOLDEN_STATES)
def test_golden_density_matrix_of_solar_neutrinos(survival):
    found = state_shares(np.array(survival), OSCILLATION)
    names = ("m1", "m2", "e", "mu", "tau", "emu", "etau", "mutau")
    # P_ee is printed with five digits, dP_e1/dP_ee = 2.8
    assert [float(found[n]) for n in names] == pytest.approx(
        GOLDEN_STATES[survival], rel=0, abs=2e-5
    )
    assert float(found["m3"]) == 0.0220
    assert float(found["e"] + found["mu"] + found["tau"]) == pytest.approx(1.0, abs=1e-14)
    assert float(found["m1"] + found["m2"]) == pytest.approx(0.978, abs=1e-14)


def test_golden_density_matrix_with_a_phase():
    # delta = -pi/2 at 8 MeV: 0.2377, -0.2377, -0.2963
    found = state_shares(np.array(0.34879), OSCILLATION, -math.pi / 2)
    values = [float(found[n]) for n in ("emu", "etau", "mutau")]
    assert values == pytest.approx([0.2377, -0.2377, -0.2963], rel=0, abs=5e-5)


@settings(deadline=None, max_examples=30)
@given(share=st.floats(0, 1), delta=st.floats(-3, 3), r=st.floats(-1e-30, 1e-30))
def test_interference_is_the_sum_over_mass_states(share, delta, r):
    # sum_k P_ek |sum_ab ...|^2: V = diag(gV) + d, A = diag(gA), in 3 x 3 matrices, real d_emu
    survival = 0.35 + 0.2 * share
    u = mixing_matrix((0.318, 0.022, 0.5), delta)
    p = mass_shares(np.array(survival), OSCILLATION)
    couplings = [eves.electron_couplings(f) for f in parameters.FLAVOURS]
    per_radius = math.sqrt(2) * math.pi * ALPHA / (3 * G) / HC2
    d = np.zeros((3, 3))
    d[0, 1] = d[1, 0] = per_radius * r
    v, a = np.diag([c[0] for c in couplings]) + d, np.diag([c[1] for c in couplings])
    rho = (u * p) @ u.conj().T
    forms = eves.cross_section(T_E, "e").forms
    exact = sum(
        form * np.trace(rho @ m).real
        for form, m in (
            (forms["vector", "vector"], v @ v),
            (0.5 * forms["vector", "axial"], v @ a + a @ v),
            (forms["axial", "axial"], a @ a),
        )
    )
    shares = state_shares(np.array(survival), OSCILLATION, delta)
    found = 0.0
    for flavour in parameters.FLAVOURS:
        partners = ({"r": r},) if flavour in ("e", "mu") else ()
        found = found + shares[flavour] * eves.cross_section(T_E, flavour).at({}, partners)
    pair = eves.cross_section(T_E, "emu").expand()
    found = found + shares["emu"] * pair.by_name()["r"] * r
    np.testing.assert_allclose(found, exact, rtol=1e-12, atol=1e-12 * np.abs(exact).max())


def test_interference_on_nuclei_is_that_of_both_flavours():
    # 2 A0 Z F_p 2 rho d: a transition coupling enters like a diagonal one with weight 2 rho
    terms = cevns.cross_section(T, CS, "etau", Physics()).expand().by_name()
    assert set(terms) == {"q", "r", "q^2", "q*r", "r^2"}  # the squares are for pairs of couplings
    diagonal = cevns.cross_section(T, CS, "e", Physics()).expand().by_name()
    np.testing.assert_allclose(terms["r"], 2 * diagonal["r"], rtol=1e-13)


def test_mass_states_see_only_what_does_not_interfere():
    assert set(eves.cross_section(T_E, "m2").expand().by_name()) == {"munu^2"}


GOLDEN_MAJORANA = {
    "e": ((0.33300, 0.68900, 0.97800), (0.91091, 0.24227, 0.16543)),
    "mu": ((0.76442, 0.72458, 0.51100), (-0.50944, -0.67881, 0.73398)),
    "tau": ((0.90257, 0.58643, 0.51100), None),
}


def moments(flavour, values, **settings):
    """mu^2 of a flavour or a mass state, from electrons."""
    variables = (*(f"Lambda_{k}" for k in (1, 2, 3)), "munu")
    physics = Physics(variables=variables, settings=settings)
    section = eves.cross_section(T_E, flavour, physics=physics)
    magnetic = section.at({"munu": 1.0}) - section.at({})
    return float(((section.at(values) - section.at({}))[0] / magnetic[0])[0])


@pytest.mark.parametrize("flavour", GOLDEN_MAJORANA)
def test_golden_majorana_moments(flavour):
    diagonal, cross = GOLDEN_MAJORANA[flavour]
    size = 1e-10
    alone = [moments(flavour, {f"Lambda_{k}": size}) / size**2 for k in (1, 2, 3)]
    assert alone == pytest.approx(diagonal, abs=6e-6)
    for (i, j), wanted in zip(((1, 2), (1, 3), (2, 3)), cross or (), strict=False):
        both = moments(flavour, {f"Lambda_{i}": size, f"Lambda_{j}": size}) / size**2
        assert alone[i - 1] + alone[j - 1] - both == pytest.approx(wanted, abs=1.2e-5)
        # a negative one has the phase pi
        other = moments(flavour, {f"Lambda_{i}": size, f"Lambda_{j}": -size}) / size**2
        assert other - alone[i - 1] - alone[j - 1] == pytest.approx(wanted, abs=1.2e-5)


@settings(deadline=None, max_examples=30)
@given(
    moduli=st.tuples(*[st.floats(0, 2)] * 3), phases=st.tuples(*[st.floats(-3, 3)] * 3),
    delta=st.floats(-3, 3),
)  # fmt: skip
def test_majorana_moments_against_the_cross_product(moduli, phases, delta):
    # mu_ij = eps_ijk Lambda_k: mu^2 of a state is |Lambda x conj(psi)|^2, with any phases
    u = mixing_matrix((0.318, 0.022, 0.5), delta)
    lambdas = np.array(moduli) * np.exp(1j * (np.array(phases) - phases[0]))
    chosen = {"delta_cp_rad": delta} | {
        f"lambda_phase_{k + 1}_rad": phases[k] - phases[0] for k in (1, 2)
    }
    for i, flavour in enumerate(parameters.FLAVOURS):
        exact = float((np.abs(np.cross(lambdas, u[i].conj())) ** 2).sum())
        values = {f"Lambda_{k}": x for k, x in enumerate(moduli, start=1)}
        assert moments(flavour, values, **chosen) == pytest.approx(exact, rel=1e-6, abs=1e-10)


def test_phases_of_majorana_moments_are_settings():
    """mu_e^2 of two equal Lambda_1, Lambda_2 at phase 0: 0.333 + 0.689 - 0.91091, at pi with +."""
    chosen = ({}, {"lambda_phase_2_rad": math.pi})
    values = {"Lambda_1": 1e-10, "Lambda_2": 1e-10}
    made = [nuhf.rate("conus-plus", values, settings=each) for each in chosen]
    sm = nuhf.rate("conus-plus")
    for region, rows in sm.items():
        rates = [sum(one[region].values()) - sum(rows.values()) for one in made]
        np.testing.assert_allclose(rates[0] / rates[1], (1.022 - 0.91091) / (1.022 + 0.91091),
                                   rtol=5e-5)  # fmt: skip


def test_limits_of_majorana_moments_together_depend_on_the_phases():
    """Orthogonal at a quarter turn."""

    def limit(*profiled, **chosen):
        (found,) = nuhf.limit("conus-plus", "Lambda_1", profiled=profiled, settings=chosen)
        return found.intervals[-1][1]

    alone, turned = limit(), limit("Lambda_2", lambda_phase_2_rad=math.pi / 2)
    assert turned == pytest.approx(alone, rel=1e-5)
    # least of 0.333 x^2 + 0.689 y^2 - 0.91091 x y over y: 0.0319 x^2
    assert (alone / limit("Lambda_2")) ** 2 == pytest.approx(0.0319 / 0.333, rel=0.02)


def test_moments_of_mass_states_of_a_mixture():
    size = 1e-11
    for state in ("m2", "m3"):
        assert moments(state, {"Lambda_1": size}) == pytest.approx(size**2)
    with pytest.raises(InputError, match="'Lambda_1'; allowed: Lambda_2, Lambda_3, munu"):
        moments("m1", {"Lambda_1": size})
    assert moments("m3", {"Lambda_1": size, "Lambda_2": 2 * size}) == pytest.approx(5 * size**2)
    # the formulas of pure flavours are not those of a mixture
    first = parameters.get("Lambda_1")
    assert first.acts("e", "standard")
    assert not first.acts("e", "standard", mixture=True)
    assert [bool(parameters.get("munu_3").acts(s, "standard")) for s in ("m2", "m3")] == [0, 1]


def test_equal_moments_of_mass_states_are_a_common_one():
    # the templates of m1 + m2 + m3 are those of e + mu + tau
    component = library.components(["pp"])["pp"]
    found = state_spectra(component, library.adiabatic_survival(OSCILLATION), OSCILLATION)
    at = np.linspace(0.05, 0.42, 50)
    sums = [sum(found[f"pp_{s}"].density(at) for s in states)
            for states in (("m1", "m2", "m3"), ("e", "mu", "tau"))]  # fmt: skip
    np.testing.assert_allclose(sums[0], sums[1], rtol=1e-12)
    assert all(found[f"pp_m{k}"].density(at).min() > 0 for k in (1, 2, 3))


def test_golden_interference_in_the_sun():
    # pp + 7Be (B16-GS98), relative to the SM, r2 = +1e-31 cm2: solar_coherence.md, section 2
    names = ("pp", "be7")
    fluxes, survival = library.read_fluxes(), library.adiabatic_survival(OSCILLATION)
    species = {
        name: (fluxes[component].per_cm2_s, spectrum)
        for component, made in library.components(names).items()
        for name, spectrum in state_spectra(made, survival, OSCILLATION).items()
    }
    recoil = np.array([5e-3, 20e-3])
    golden = {
        "emu": ((-0.0913, 0.0567), (-0.0825, 0.0515)),
        "etau": ((0.0286, 0.0535), (0.0256, 0.0486)),
        "mutau": ((0.0081, 0.0333), (0.0148, 0.0303)),
    }

    def rate(flavour, monomial):
        total = 0.0
        for flux, spectrum in species.values():
            if spectrum.flavour == flavour:
                terms = eves.cross_section(recoil, flavour).expand().by_name()[monomial]
                moments_of = flux_moments(spectrum, recoil, M_E)
                total = total + flux * (terms * moments_of).sum(axis=0)
        return total

    standard = sum(rate(f, "1") for f in parameters.FLAVOURS)
    for pair, rows in golden.items():
        linear = 1e-31 * rate(pair, "r") / standard
        one, other = PAIRS[pair]
        square = 1e-62 * (rate(one, "r^2") + rate(other, "r^2")) / standard
        for i, wanted in enumerate(rows):
            assert (linear[i], square[i]) == pytest.approx(wanted, rel=0, abs=5e-5)


# -------------------------------------------------------- through experiments and fits

COHERENT = """
format = 2
extends = "darwin-30ty"
name = "coherent-sun"
title = "DARWIN with coherent solar neutrinos"
[sources.sun]
coherence = true
"""


def written(folder, text):
    path = folder / "sun.toml"
    path.write_text(text, encoding="utf-8")
    return str(path)


@pytest.fixture(scope="module")
def coherent(tmp_path_factory):
    return written(tmp_path_factory.mktemp("coherent"), COHERENT)


@pytest.fixture(scope="module")
def incoherent(tmp_path_factory):
    text = COHERENT.replace("= true", "= false").replace("coherent-sun", "incoherent-sun")
    return written(tmp_path_factory.mktemp("incoherent"), text)


def test_limits_on_a_transition_radius_with_interference(coherent, incoherent):
    # solar_coherence.md, section 2, DARWIN 30 t yr, same excess at 5 keV: 0.899e-31 becomes
    # 2.01e-31 (phase 0) and 0.402e-31 (phase pi); the fit of the whole spectrum agrees to 3 %
    (found,) = nuhf.limit(coherent, "r2nu_emu")
    low, high = found.intervals[0]
    assert -low == pytest.approx(0.402e-31, rel=0.03)
    assert high == pytest.approx(2.01e-31, rel=0.03)
    (without,) = nuhf.limit(incoherent, "r2nu_emu")
    assert without.intervals[0][1] == pytest.approx(0.899e-31, rel=0.01)
    assert any("interference with the SM in the Sun is left out" in n for n in without.notes)
    assert not any("left out (sources" in n for n in found.notes)


def test_moments_of_mass_states_scale_as_their_shares(coherent, incoherent):
    # pp, P = 0.65, 0.33: about 1.24 and 1.75 times the limit on a common moment
    limits = {n: nuhf.limit(coherent, n)[0].upper_limit for n in ("munu_eff", "munu_1", "munu_2")}
    assert limits["munu_1"] / limits["munu_eff"] == pytest.approx(1.24, abs=0.01)
    assert limits["munu_2"] / limits["munu_eff"] == pytest.approx(1.75, abs=0.01)
    with pytest.raises(InputError, match="only sources with coherence = true have mass states"):
        nuhf.limit(incoherent, "munu_1")
    with pytest.raises(InputError, match="Lambda_1 has no effect on incoherent-sun"):
        nuhf.limit(incoherent, "Lambda_1")


CSI = "coherent-csi-2021"


def test_nsi_of_the_csi_data():
    # REDESIGN section 5, an independent patch of the engine: [-0.072, 0.064] or [0.331, 0.461]
    (found,) = nuhf.limit(CSI, "eps_u_ee")
    ends = [end for piece in found.intervals for end in piece]
    assert ends == pytest.approx([-0.072, 0.064, 0.331, 0.461], abs=6e-4)
    assert not any("propagation" in note for note in found.notes)


def test_exclusion_over_the_mass_of_a_mediator():
    # electrons count, too: flat below sqrt(2 m_e T), 60 keV
    at = [1e-4, 1e-3, 300.0, 1000.0]
    model = nuhf.model(CSI, "g_b_l", settings={"mediator_mass_mev": 1.0})
    found = nuhf.exclusion(model, "mediator_mass_mev", at)
    limits = [pieces[-1][1] for pieces in found.intervals]
    # flat far below the momentum transfer, g ~ m far above it
    assert limits[0] == pytest.approx(limits[1], rel=1e-3)
    # but for q^2/m^2, 3 % at 300 MeV
    assert limits[3] / limits[2] == pytest.approx(1000 / 300, rel=0.03)
    table = found.to_csv()
    assert "mediator_mass_mev,piece,lower,upper,best_fit" in table
    assert len(table.splitlines()) - table.count("#") == 1 + sum(map(len, found.intervals))
    assert found.to_dict()["setting"] == "mediator_mass_mev"
    # neighbours share what was found about branches of the nuisances, and nothing else
    (alone,) = nuhf.limit(CSI, "g_b_l", settings={"mediator_mass_mev": at[2]})
    np.testing.assert_allclose(found.intervals[2], alone.intervals, rtol=1e-9)
    assert not any(note.startswith("mediator_mass_mev =") for note in found.notes)


def test_a_heavy_mediator_has_the_limit_of_the_contact_interaction():
    mass = 1e5
    (heavy,) = nuhf.limit(CSI, "g_universal", settings={"mediator_mass_mev": mass})
    assert len(heavy.intervals) == 2
    low, high = heavy.intervals[1]
    eps = [g**2 / (math.sqrt(2) * G * mass**2) for g in (low, high)]
    # A -> -A: eps = -2 A0/3(p + n) of Cs and I is 0.18 to 0.19
    assert all(0.17 < x < 0.2 for x in eps)


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({}, "g_b_l needs a value of the setting mediator_mass_mev"),
        ({"mediator_mass_mev": -1.0}, "mediator_mass_mev = -1: give a number that is not negative"),
        ({"mediator_mass_mev": 1.0, "sterile_mass_mev": 1.0},
         "no parameter here has a setting 'sterile_mass_mev'"),
    ],
)  # fmt: skip
def test_settings_are_checked(given, words):
    with pytest.raises(InputError, match=words):
        nuhf.limit(CSI, "g_b_l", settings=given)


def test_values_of_a_setting_at_equal_ratios_rise():
    with pytest.raises(InputError, match="two positive numbers"):
        spaced(1.0, 0.1, 5)


@pytest.mark.parametrize(
    ("parameter", "given", "value"),
    [("eps_u_ee", {}, 0.05), ("eps_u_emu", {}, 0.09),
     ("g_b_l", {"mediator_mass_mev": 30.0}, 3e-5), ("dipole_mu", {"sterile_mass_mev": 5.0}, 2e-9),
     ("g_scalar_atzori2022_UNVERIFIED", {"mediator_mass_mev": 30.0}, 1e-5),
     ("Lambda_1", {"delta_cp_rad": -1.0}, 1e-9)],
)  # fmt: skip
def test_workspaces_of_both_encodings_count_the_same(parameter, given, value):
    direct = nuhf.rate(CSI, {parameter: value}, settings=given)["coherent_csi_2021"]
    signal = sum(row for name, row in direct.items() if name.startswith("cevns"))
    for encoding, rtol in (("native", 1e-9), ("stock", 2e-3)):
        spec = nuhf.workspace(CSI, parameter, encoding=encoding, settings=given)
        model, _ = load_model(spec)
        poi = spec["measurements"][0]["config"]["poi"]
        entry = parameters.get(parameter)
        theta = entry.to_fit(value) * entry.scale / 10.0 ** split_unit(poi)[1]
        point = np.array(model.config.suggested_init())
        point[model.config.par_map[poi]["slice"]] = theta
        counts = np.asarray(model.expected_actualdata(point))
        background = sum(row for name, row in direct.items() if not name.startswith("cevns"))
        np.testing.assert_allclose(counts, signal + background, rtol=rtol, atol=1e-3)


STRANGER = """
from nuhf.couplings.model import CouplingModel, Feed, Group, Parameter, Variable

def amplitude(vertex):
    if vertex.interaction == "eves":
        return {}
    return {"vector": {"b": vertex.proton + vertex.neutron}}

MODEL = CouplingModel(
    "baryonic",
    (Variable("b", "1", "b", "coupling to nucleons"),),
    amplitude,
    (Parameter("b_e", "1", Group("baryonic", "Baryonic", 200), "b_e", 0, (Feed("b", 1.0, ("e",)),),
               "b_e", "coupling of nu_e to nucleons"),),
)
"""


def test_a_package_of_a_stranger_adds_a_coupling(tmp_path):
    # installed as any package: a module, and an entry point in its metadata
    (tmp_path / "stranger.py").write_text(STRANGER, encoding="utf-8")
    folder = tmp_path / "stranger-1.0.dist-info"
    folder.mkdir()
    (folder / "METADATA").write_text("Metadata-Version: 2.1\nName: stranger\nVersion: 1.0\n")
    (folder / "entry_points.txt").write_text("[nuhf.couplings]\nbaryonic = stranger:MODEL\n")
    environment = {**os.environ, "PYTHONPATH": str(tmp_path)}
    command = [sys.executable, "-m", "nuhf", "limit", CSI, "-p", "b_e", "--json"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    (found,) = json.loads(done.stdout)["results"]
    # 2 Z + N of eps_u, Z + N of this one
    (ours,) = nuhf.limit(CSI, "eps_u_ee")
    assert found["parameter"] == "b_e"
    ratio = found["intervals"][0][1] / ours.intervals[0][1]
    assert ratio == pytest.approx((2 * CS.protons + CS.neutrons) / CS.nucleons, rel=0.02)


def test_bands_of_two_nsi_in_a_window():
    # one target: x p + y n is what it knows; the slope is -(2 Z + N)/(Z + 2 N)
    window = ((-0.6, 0.8), (-0.6, 0.8))
    found = nuhf.contour(nuhf.model(CSI, "eps_u_ee"), "eps_d_ee", cl=0.9, points=30, window=window)
    ((_, lines),) = found.regions
    assert len(lines) == 4  # both sides of two bands
    slope = -(2 * CS.protons + CS.neutrons) / (CS.protons + 2 * CS.neutrons)
    for line in lines:
        (x0, y0), (x1, y1) = line[0], line[-1]
        assert (y1 - y0) / (x1 - x0) == pytest.approx(slope, abs=0.02)
    assert all(-0.6 <= x <= 0.8 for x in found.best_fit)
    assert any("drawn within a window" in note for note in found.notes)
    with pytest.raises(InputError, match="the lower one first"):
        nuhf.contour(nuhf.model(CSI, "eps_u_ee"), "eps_d_ee", window=((1.0, -1.0), (-1.0, 1.0)))


MEDIATOR = """
format = 2
extends = "coherent-csi-2021"
name = "csi-mediator"
title = "CsI with a mediator"
[physics.settings]
mediator_mass_mev = 30.0
"""


def test_a_file_may_state_settings(tmp_path):
    path = tmp_path / "mediator.toml"
    path.write_text(MEDIATOR, encoding="utf-8")
    (stated,) = nuhf.limit(str(path), "g_b_l")
    (given,) = nuhf.limit(CSI, "g_b_l", settings={"mediator_mass_mev": 30.0})
    assert stated.upper_limit == pytest.approx(given.upper_limit, rel=1e-9)
    assert "mediator_mass_mev = 30" in stated.notes
    assert not any("mediator" in note for note in nuhf.limit(str(path), "qnu_ee")[0].notes)
    (other,) = nuhf.limit(str(path), "g_b_l", settings={"mediator_mass_mev": 100.0})
    assert other.upper_limit > 1.5 * given.upper_limit


@pytest.mark.slow
def test_workspaces_of_a_mediator_combine(tmp_path):
    files = []
    for name in (CSI, "coherent-lar-2020"):
        spec = nuhf.workspace(
            name, "g_b_l", encoding="native", settings={"mediator_mass_mev": 100.0}
        )
        files.append(tmp_path / f"{name}.json")
        files[-1].write_text(json.dumps(spec), encoding="utf-8")
    joined = nuhf.combine(files)
    assert joined["measurements"][0]["config"]["poi"] == "g2_b_l_em10"
    assert len(joined["channels"]) == 2
    (both,) = nuhf.limit([CSI, "coherent-lar-2020"], "g_b_l",
                         settings={"mediator_mass_mev": 100.0})  # fmt: skip
    path = tmp_path / "joined.json"
    path.write_text(json.dumps(joined), encoding="utf-8")
    (found,) = nuhf.limit(str(path), "g2_b_l_em10")
    assert found.upper_limit == pytest.approx(both.upper_limit, rel=1e-6)


# ------------------------------------------------------------- equivalent photons

RATIOS = {
    "Xe": (5.06, 6.16, 17.3, 7.40, 5.29, 2.66), "Ge": (13.0, 7.68, 3.69, 7.81, 1.80, 0.55),
    "Ar": (26.3, 12.3, 4.70, 1.52, 2.85, 0.88),
}  # fmt: skip
"""To free electrons in steps at T = 0.25, 0.5, 1, 2, 5, 10 keV; E = 0.267 MeV, m_nu = 1 meV."""


@pytest.mark.parametrize("symbol", RATIOS)
def test_golden_ratio_of_equivalent_photons_to_free_electrons(symbol):
    recoil = np.array([0.25, 0.5, 1.0, 2.0, 5.0, 10.0]) * KEV * (1 - 1e-12)
    photons = library.read_photoabsorption(symbol)(recoil)
    steps = library.read_shells(f"electrons/{symbol}_shells.csv").effective_electrons(recoil)
    physics = Physics(variables=("q_epa", "q"), settings={"neutrino_mass_ev": 1e-3})
    section = eves.cross_section(recoil, "e", physics=physics, photoabsorption=photons)
    own, energy = section.inelastic["photon"].coefficients, 0.267
    by_photons = own[0] + own[3] * math.log(energy)
    free = section.expand().by_name()["q^2"]
    free = steps * (free[0] + free[1] / energy + free[2] / energy**2)
    # half a unit of the last of the digits printed, and 1e-3 of the table between its energies
    size = 10.0 ** np.floor(np.log10(RATIOS[symbol]))
    np.testing.assert_array_less(
        np.abs(by_photons / free - RATIOS[symbol]),
        np.maximum(5e-3 * size, 5e-3) + 1e-3 * np.array(RATIOS[symbol]),
    )
    if symbol == "Xe":
        assert photons[2] == pytest.approx(1.9391e-18, rel=1e-4)
        assert by_photons[2] == pytest.approx(1.7478e-16, rel=1e-4)
        assert free[2] == pytest.approx(1.0124e-17, rel=1e-4)


def test_moment_of_the_logarithm_against_quad():
    spectrum = sns.decay_at_rest()["nue"]
    found = flux_moments(spectrum, np.array([1e-3, 10.0]), M_E, np.array([0.3, 21.0]), True)[3]
    for least, ours in zip((0.3, 21.0), found, strict=True):
        exact, _ = quad(lambda e: float(spectrum.density(np.array([e]))[0]) * math.log(e), least,
                        spectrum.endpoint, epsabs=1e-12)  # fmt: skip
        # the nodes are those for powers of E: 2e-4 for a spectrum in one piece
        assert ours == pytest.approx(exact, rel=2e-4)


def test_limits_by_equivalent_photons():
    # m_nu from 1 meV to 0.1 eV weakens the limit by 13 %; free electrons are 2 to 3 times weaker
    (light,) = nuhf.limit("xenonnt-sr0", "qnu_epa_ee", settings={"neutrino_mass_ev": 1e-3})
    (heavy,) = nuhf.limit("xenonnt-sr0", "qnu_epa_ee", settings={"neutrino_mass_ev": 0.1})
    assert heavy.upper_limit / light.upper_limit == pytest.approx(1.14, abs=0.02)
    (free,) = nuhf.limit("xenonnt-sr0", "qnu_ee")
    assert 1.5 < free.intervals[-1][1] / light.upper_limit < 6.0
    assert any("equivalent photons" in note for note in light.notes)
