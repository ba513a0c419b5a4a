"""Amplitudes: the expansion against direct sums, the former kernels, and couplings from outside."""

from dataclasses import replace
from importlib.metadata import EntryPoint
from itertools import product

import mpmath
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nuhf import constants
from nuhf.couplings import parameters
from nuhf.couplings.electromagnetic import RADIUS_SHIFT, charge_shift, magnetic_coefficients
from nuhf.couplings.model import CouplingModel, Feed, Group, Parameter, Variable
from nuhf.errors import InputError
from nuhf.library import read_nuclides
from nuhf.physics import cevns, eves
from nuhf.physics.amplitude import CrossSection
from nuhf.physics.couplings import WeakCouplings, tree_level
from nuhf.physics.neutron_radius import REFERENCE_FM, in_radius
from nuhf.physics.polynomial import Polynomial
from nuhf.physics.settings import Physics
from nuhf.rates.signal import check_together, flavour_polynomial
from nuhf.rates.templates import Axis, TemplateSet

CS = read_nuclides()["Cs133"]
RECOIL = np.geomspace(1e-4, 3e-2, 7)
FLAVOURS = ("e", "mu", "tau")
RADIATIVE = WeakCouplings("x", {"e": 0.0382, "mu": 0.0300, "tau": 0.0256}, -0.5117)


# ------------------------------------------------- the former kernels, as slow obvious twins


def former_cevns(recoil, nuclide, flavour, physics):
    """The monomials written out one by one, as nuhf computed them until November 2026."""
    proton, neutron = cevns.form_factors(physics.form_factor, recoil, nuclide)
    charge = nuclide.protons * proton
    weak = physics.couplings.gp[flavour] * charge
    weak = weak + physics.couplings.gn * nuclide.neutrons * neutron
    slope_q, slope_r = charge * charge_shift(recoil, nuclide.mass), -charge * RADIUS_SHIFT
    weights = {
        "1": weak**2, "q": 2 * weak * slope_q, "r": 2 * weak * slope_r, "q^2": slope_q**2,
        "q*r": 2 * slope_q * slope_r, "r^2": slope_r**2, "munu^2": charge**2,
    }  # fmt: skip
    factor = cevns.weak_coefficients(recoil, nuclide.mass)
    magnetic = magnetic_coefficients(recoil, 0.0)
    return {name: (magnetic if "munu" in name else factor) * w for name, w in weights.items()}


def former_eves(recoil, flavour, antineutrino, s2w):
    g_v = 2 * s2w + (0.5 if flavour == "e" else -0.5)
    g_a = (0.5 if flavour == "e" else -0.5) * (-1 if antineutrino else 1)
    m = constants.ELECTRON_MASS
    front = constants.FERMI_CONSTANT**2 * m / (2 * np.pi) * constants.CM2_PER_MEV_M2
    zero, two = np.zeros_like(recoil), np.full_like(recoil, 2.0)
    a = front * np.stack([two, -2 * recoil, recoil**2 - m * recoil])
    b = front * np.stack([zero, 2 * recoil, -(recoil**2)])
    c = front * np.stack([two, -2 * recoil, recoil**2 + m * recoil])
    slope_q, slope_r, linear = -charge_shift(recoil, m), RADIUS_SHIFT, 2 * (g_v * a + g_a * b)
    return {
        "1": g_v**2 * a + 2 * g_v * g_a * b + g_a**2 * c, "q": slope_q * linear,
        "r": slope_r * linear, "q^2": slope_q**2 * a, "q*r": 2 * slope_q * slope_r * a,
        "r^2": slope_r**2 * a, "munu^2": magnetic_coefficients(recoil, 0.5),
    }  # fmt: skip


def agree(found, wanted, rtol=1e-13):
    assert list(found) == list(wanted)
    for name, row in wanted.items():
        scale = np.abs(row).max(axis=0)
        assert (np.abs(found[name] - row) <= rtol * scale).all(), name


@pytest.mark.parametrize("form", ["helm", "klein-nystrand", "point", "symmetrised-fermi"])
def test_nuclear_kernel_is_the_former_one(form):
    for flavour, weak in product(FLAVOURS, (tree_level(), RADIATIVE)):
        physics = Physics(weak, form)
        found = cevns.cross_section(RECOIL, CS, flavour, physics).expand().by_name()
        agree(found, former_cevns(RECOIL, CS, flavour, physics))


def test_electron_kernel_is_the_former_one():
    recoil = np.geomspace(1e-6, 10.0, 15)
    for flavour, antineutrino, s2w in product(FLAVOURS, (False, True), (0.1, 0.2386)):
        section = eves.cross_section(recoil, flavour, antineutrino, sin2_theta_w=s2w)
        agree(section.expand().by_name(), former_eves(recoil, flavour, antineutrino, s2w))


# --------------------------------------------------------------------- the expansion

NUMBERS = st.floats(-3, 3)


@settings(deadline=None)
@given(st.data())
def test_expansion_is_the_sum_of_amplitudes(data):
    # any amplitudes and forms at any couplings: the polynomial and 40-digit sums
    components, variables = ("vector", "axial", "tensor"), ("u", "v", "w")
    row = st.tuples(NUMBERS, NUMBERS).map(np.array)
    amplitudes = {
        c: data.draw(st.dictionaries(st.sampled_from(["", *variables]), row)) for c in components
    }
    pairs = [("vector", "vector"), ("vector", "axial"), ("axial", "axial"), ("tensor", "tensor")]
    forms = {pair: np.array(data.draw(st.lists(row, min_size=3, max_size=3))) for pair in pairs}
    point = {v: data.draw(NUMBERS) for v in variables}
    amplitudes["vector"][""] = np.ones(2)
    section = CrossSection(amplitudes, forms)
    known = {v for terms in amplitudes.values() for v in terms if v}
    point = {v: x for v, x in point.items() if v in known}
    polynomial = section.expand()
    found = polynomial.evaluate({v: x for v, x in point.items() if v in polynomial.names})
    assert found.shape == (3, 2)
    with mpmath.workdps(40):
        for n, i in product(range(3), range(2)):
            sums = {
                c: mpmath.fsum(
                    mpmath.mpf({"": 1.0, **point}[v]) * mpmath.mpf(float(terms[v][i]))
                    for v in terms
                )
                for c, terms in amplitudes.items()
            }
            parts = [mpmath.mpf(float(form[n, i])) * sums[a] * sums[b]
                     for (a, b), form in forms.items()]  # fmt: skip
            assert float(mpmath.fsum(parts)) == pytest.approx(found[n, i], rel=1e-9, abs=1e-11)
    np.testing.assert_allclose(section.at(point), found, rtol=1e-9, atol=1e-11)


def test_partners_are_the_terms_of_degree_two():
    section = eves.cross_section(RECOIL, "e")
    changed = section.at({}, [{"q": 1e-12, "r": 2e-31}]) - section.at({})
    terms = section.expand().by_name()
    wanted = 1e-24 * terms["q^2"] + 2e-43 * terms["q*r"] + 4e-62 * terms["r^2"]
    np.testing.assert_allclose(changed, wanted, rtol=1e-9, atol=1e-12 * np.abs(wanted).max())


def test_only_asked_variables_are_expanded():
    physics = Physics(variables=("r",))
    assert list(cevns.cross_section(RECOIL, CS, "e", physics).expand().by_name()) == [
        "1", "r", "r^2"
    ]  # fmt: skip
    with pytest.raises(InputError, match="unknown variable 'rr'; did you mean r"):
        cevns.cross_section(RECOIL, CS, "e", Physics(variables=("rr",)))


# --------------------------------------------------------- a coupling from outside

UP = Variable("eps_up", "1", r"\epsilon^u", "coupling to up quarks")
GROUP = Group("others", "Others", 70)


def up_amplitude(vertex):
    return {"vector": {"eps_up": 2.0 * vertex.proton + vertex.neutron}}


def entry(name, variable="eps_up", **more):
    return Parameter(name, "1", GROUP, name, 0, (Feed(variable, 1.0, ("e",)),), "x", **more)


OUTSIDE = CouplingModel("outside", (UP,), up_amplitude, (entry("eps_up_ee"),))


@pytest.fixture
def outside(monkeypatch):
    """Install OUTSIDE as a package of a user's own would."""

    def install(*models):
        points = []
        for i, model in enumerate(models):
            point = EntryPoint(f"m{i}", f"their_package:m{i}", "nuhf.couplings")
            points.append(type("Point", (), {"load": lambda _, m=model: m, "value": point.value})())
        monkeypatch.setattr(parameters, "entry_points", lambda group: points)
        for cached in (parameters.models, parameters._parameters, parameters.variables):
            cached.cache_clear()

    yield install
    monkeypatch.undo()
    for cached in (parameters.models, parameters._parameters, parameters.variables):
        cached.cache_clear()


@pytest.mark.parametrize("radius", [2.6, 4.9, 5.0, 6.3])
def test_a_coupling_from_outside_follows_the_neutron_radius(outside, radius):
    # nothing but the amplitude knows the coupling; a list of monomials would hold it at R_n = 5 fm
    outside(OUTSIDE)
    physics = Physics(neutron_radius=True, variables=("eps_up", "q"))
    section = cevns.cross_section(RECOIL, CS, "e", physics).expand()
    expanded = in_radius(section, "helm", RECOIL, CS)
    values = {"eps_up": 0.3, "q": 2e-8}
    found = expanded.evaluate({**values, "x_Cs133": radius - REFERENCE_FM})
    moved = replace(CS, rn_fm=radius)
    fixed = cevns.cross_section(RECOIL, moved, "e", replace(physics, neutron_radius=False))
    wanted = fixed.at(values)
    np.testing.assert_allclose(found, wanted, rtol=0, atol=3e-6 * np.abs(fixed.at({})).max())
    assert np.abs(expanded.evaluate(values) - wanted).max() > 1e-3 * wanted.max() or radius == 5.0


def test_a_coupling_from_outside_is_in_the_catalogue(outside):
    outside(OUTSIDE)
    assert parameters.get("eps_up_ee").group.title == "Others"
    assert "eps_up_ee" in parameters.PARAMETERS
    assert parameters.variables()["eps_up"] is UP


@pytest.mark.parametrize(
    ("models", "words"),
    [
        ((3,), r"their_package:m0 \(nuhf.couplings\) is no CouplingModel"),
        ((OUTSIDE, OUTSIDE), "two models of couplings have the variable 'eps_up'"),
        ((CouplingModel("x", parameters=(entry("qnu_ee"),)),), "the parameter 'qnu_ee'"),
    ],
)
def test_wrong_models_are_refused(outside, models, words):
    outside(*models)
    with pytest.raises(InputError, match=words):
        parameters.get("qnu_mumu")


# ------------------------------------------------------------ from variables to parameters


def made(rows):
    templates = {"nue": {name: np.array([float(x)]) for name, x in rows.items()}}
    return TemplateSet("r", "cevns", "cevns", (Axis("n", (0.0, 1.0)),), {"nue": "e"}, templates,
                       {}, templates)  # fmt: skip


def test_even_powers_and_partners():
    # rate 1 + 2 a + 3 a^2 of an amplitude a; theta = g^2 feeds it, |t|^2 feeds a transition
    templates = made({"1": 1, "a": 2, "a^2": 3})
    mediator = Parameter("g", "1", GROUP, "g2", -2, (Feed("a", 5.0, ("e",)),), power=2)
    turn = Parameter("t", "1", GROUP, "t2", -4, (Feed("a", 2.0, ("e",), "mu"),), power=2,
                     interferes=False)  # fmt: skip
    rate = flavour_polynomial(templates, [mediator, turn], "e")
    g, t = 0.3, 0.02
    theta = {mediator.fit_name: mediator.to_fit(g), turn.fit_name: turn.to_fit(t)}
    a = 5 * g**2
    assert rate.evaluate(theta)[0] == pytest.approx(1 + 2 * a + 3 * a**2 + 3 * (2 * t) ** 2)
    assert mediator.from_fit(theta["g2_em2"]) == pytest.approx(g)
    assert mediator.one_sided
    assert mediator.squared


def test_a_modulus_does_not_interfere_without_a_phase():
    turn = Parameter("t", "1", GROUP, "t2", 0, (Feed("a", 1.0, ("e",)),), power=2,
                     interferes=False)  # fmt: skip
    with pytest.raises(InputError, match="t is a modulus"):
        flavour_polynomial(made({"1": 1, "a": 2, "a^2": 3}), [turn], "e")


def test_fourth_powers_convert():
    p = Parameter("g", "1", GROUP, "g4", -16, power=4)
    assert p.from_fit(p.to_fit(3e-4)) == pytest.approx(3e-4)
    assert p.to_fit(1e-4) == pytest.approx(1.0)


def test_contained_parameters_are_refused():
    for names in (("munu_eff", "munu_tau"), ("Rn_Cs", "Rn_CsI")):
        with pytest.raises(InputError, match=r"already stands for .*: float it alone"):
            check_together([parameters.get(name) for name in names])


def test_polynomials_multiply_and_replace():
    x = Polynomial(("x",), ((0,), (1,)), np.array([[1.0, 2.0], [3.0, 4.0]]))
    y = Polynomial(("y",), ((1,),), np.array([[5.0, 6.0]]))
    found = (np.array([2.0, 1.0]) * x * y + np.ones(2)).replace("y", {1: x})
    at = {"x": 0.7}
    value = x.evaluate(at)
    np.testing.assert_allclose(
        found.evaluate(at), np.array([2.0, 1.0]) * value**2 * [5.0, 6.0] + 1.0, rtol=1e-14
    )
    assert set(found.by_name()) == {"1", "x", "x^2"}
