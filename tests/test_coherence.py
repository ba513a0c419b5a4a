"""Solar neutrinos as they arrive: mass states, their flavour density matrix, shares of flavours."""

import numpy as np
import pytest
from independent_2026 import (
    Xenon8B,
    boron8,
    eves_density_matrix,
    low_energy_sun,
    xenon_rate,
)
from independent_2026 import density_matrix as slow
from independent_2026 import mass_states as slow_states

import nuhf
from nuhf import constants as c
from nuhf import library
from nuhf.couplings.model import FLAVOURS, PAIRS
from nuhf.errors import InputError
from nuhf.physics.solar_states import mass_shares, state_shares

OSCILLATION = library.read_oscillation()
ENERGY = np.linspace(0.1, 15.0, 30)
GOLDEN = {  # rho_ee, rho_mumu, rho_tautau, rho_emu, rho_etau, rho_mutau
    ("pp", 0.267): (0.53703, 0.25411, 0.20886, -0.16129, 0.05205, -0.19790),
    ("be7", 0.8613): (0.51956, 0.25607, 0.22438, -0.12747, 0.02193, -0.20703),
    ("b8", 8.0): (0.34879, 0.27518, 0.37603, 0.20307, -0.27238, -0.29625),
}


def rho_of(source, energy, delta=0.0):
    """Real part of the density matrix, (n, 3, 3), from the shares of flavours and pairs."""
    survive = library.adiabatic_survival(OSCILLATION)(source, np.asarray(energy))
    found = state_shares(survive, OSCILLATION, delta)
    rho = np.zeros((len(survive), 3, 3))
    for a, flavour in enumerate(FLAVOURS):
        rho[:, a, a] = found[flavour]
    for name, (one, other) in PAIRS.items():
        a, b = FLAVOURS.index(one), FLAVOURS.index(other)
        rho[:, a, b] = rho[:, b, a] = found[name]
    return rho


@pytest.mark.parametrize(("source", "energy"), list(GOLDEN))
def test_density_matrix_has_the_golden_elements(source, energy):
    rho = rho_of(source, [energy])[0]
    found = [*rho.diagonal(), *rho[[0, 0, 1], [1, 2, 2]]]
    # made of a P_ee table of five digits, and d rho_ab/d P_ee is up to 2
    np.testing.assert_allclose(found, GOLDEN[source, energy], atol=2e-5, rtol=0)


@pytest.mark.parametrize("source", ["pp", "be7", "b8"])
@pytest.mark.parametrize("delta", [0.0, -np.pi / 2, 2.3])
def test_density_matrix_is_that_of_the_twin(source, delta):
    twin = slow(ENERGY, source, delta=delta)
    np.testing.assert_allclose(rho_of(source, ENERGY, delta), twin.real, atol=1e-12)
    survive = library.adiabatic_survival(OSCILLATION)(source, ENERGY)
    states = mass_shares(survive, OSCILLATION)
    np.testing.assert_allclose(states, slow_states(ENERGY, source), atol=1e-12)
    assert np.linalg.eigvalsh(twin).min() > -1e-14
    # the survival that went in comes out
    np.testing.assert_allclose(twin[:, 0, 0].real, survive, atol=1e-12)


def shares(name, analysis, process):
    """Parts of the SM events of one reaction by flavour of the magnetic-moment term."""
    (templates,) = (t for t in nuhf.templates(name, analysis) if t.process == process)
    found = {}
    for source, rows in templates.nominal.items():
        if templates.flavours[source] not in FLAVOURS:
            continue
        (moment,) = (row for monomial, row in rows.items() if monomial.startswith("munu"))
        found[source.rpartition("_")[2]] = moment.sum()
    total = sum(found.values())
    return {flavour: value / total for flavour, value in found.items()}


def test_default_analyses_have_unequal_shares_and_the_paper_equal_ones():
    """Moments do not see the energy of pp neutrinos: their terms go with the shares."""
    default = shares("xenonnt-sr0", "default", "eves_pp")
    assert default["mu"] == pytest.approx(0.2541, abs=1e-3)
    assert default["tau"] == pytest.approx(0.2089, abs=1e-3)
    paper = shares("xenonnt-sr0", "giunti-ternes2023", "eves_pp")
    assert paper["mu"] == pytest.approx(paper["tau"], rel=1e-12)
    assert paper["e"] == pytest.approx(0.542, abs=1e-3)


# ----------------------------------------------------- transitions and mass states

FILE = """format = 2
name = "sun-on-xenon"
title = "electrons of xenon, pp and 7Be neutrinos"
[sources.sun]
kind = "sun"
source = "B16 GS98"
components = ["pp", "be7"]
coherence = true
[target]
source = "one tonne-year"
exposure_tonne_year = 1.0
formula = { Xe = 1 }
[responses.electron]
quenching = { kind = "none" }
smearing = { kind = "gaussian", coefficients = [0.001], powers = [0.0] }
recoil_min_kev = 1.0
[signals.eves]
interaction = "eves"
source = "sun"
response = "electron"
binding = "free"
[regions.main]
axes = { energy_kev = [4.98, 5.02, 19.98, 20.02] }
data = { kind = "asimov" }
[backgrounds.flat]
title = "flat"
kind = "flat"
source = "made up"
response = "electron"
events = 100.0
[analyses.default]
title = "three bins"
parameters = ["munu_eff"]
"""


@pytest.fixture(scope="module")
def narrow(tmp_path_factory):
    path = tmp_path_factory.mktemp("sun") / "sun.toml"
    path.write_text(FILE)
    return str(path)


def signal(path, settings=None, **values):
    (rows,) = nuhf.rate(path, values, settings=settings).values()
    return sum(row for process, row in rows.items() if process.startswith("eves"))[[0, 2]]


TERMS = {  # at 5 and 20 keV: linear and quadratic term over the SM for r2 = +1e-31 cm2
    "emu": ([-0.0913, -0.0825], [0.0567, 0.0515]),
    "etau": ([0.0286, 0.0256], [0.0535, 0.0486]),
    "mutau": ([0.0081, 0.0148], [0.0333, 0.0303]),
}


@pytest.mark.parametrize("pair", list(TERMS))
def test_transition_radii_interfere_as_in_the_golden_table(narrow, pair):
    sm, name = signal(narrow), f"r2nu_{pair}"
    up, down = (signal(narrow, **{name: sign * 1e-31}) for sign in (1, -1))
    linear, square = TERMS[pair]
    # within the rounding of the four digits that are printed
    np.testing.assert_allclose((up - down) / 2 / sm, linear, rtol=0, atol=5e-5)
    np.testing.assert_allclose((up + down) / 2 / sm - 1, square, rtol=0, atol=5e-5)
    # the modulus has no phase: the square alone
    modulus = signal(narrow, **{f"abs_r2nu_{pair}": 1e-31})
    np.testing.assert_allclose(modulus, (up + down) / 2, rtol=1e-10)


MANY = {
    "r2nu_ee": 4e-32, "r2nu_mumu": -7e-32, "r2nu_emu": 6e-32, "r2nu_etau": -5e-32,
    "r2nu_mutau": 9e-32,
}  # fmt: skip
ONE = {"r2nu_ee": 4e-32, "r2nu_mumu": -7e-32, "r2nu_emu": 9e-32}


@pytest.mark.parametrize(
    ("values", "delta", "phase"), [(MANY, 0.0, 0.0), (MANY, 0.7, 0.0), (ONE, 0.7, 1.2)]
)
def test_couplings_together_are_a_matrix_in_flavour(narrow, values, delta, phase):
    """Tr[rho V V], hermitian with its phase, summed over the fluxes by the twin."""
    matrix = np.zeros((3, 3), dtype=complex)
    for name, value in values.items():
        pair = {"ee": (0, 0), "mumu": (1, 1), "emu": (0, 1), "etau": (0, 2), "mutau": (1, 2)}
        a, b = pair[name.removeprefix("r2nu_")]
        matrix[a, b] = value * np.exp(1j * phase * (a != b))
        matrix[b, a] = matrix[a, b].conj()
    shift = matrix * np.sqrt(2) * np.pi * c.ALPHA / c.FERMI_CONSTANT / c.HBAR_C**2 / 3
    settings = {"delta_cp_rad": delta, "transition_phase_rad": phase}
    ratio = signal(narrow, settings, **values) / signal(narrow)
    for found, t in zip(ratio, (5e-3, 20e-3), strict=True):
        sums = np.zeros(2)
        for source, energies, fluxes in low_energy_sun():
            matrices = slow(energies, source, delta=delta)
            for energy, flux, rho in zip(energies, fluxes, matrices, strict=True):
                if energy > 0.5 * (t + np.sqrt(t**2 + 2 * c.ELECTRON_MASS * t)):
                    sums += [flux * eves_density_matrix(t, energy, rho, k * shift) for k in (1, 0)]
        assert found == pytest.approx(sums[0] / sums[1], rel=1e-3)


@pytest.mark.parametrize(("source", "energy", "golden"), [
    ("pp", 0.267, (-0.0546, -0.0546, 0.0226)), ("b8", 8.0, (-0.0347, -0.0347, -0.0504)),
])  # fmt: skip
def test_phase_of_a_quarter_turn_sees_the_imaginary_part(source, energy, golden):
    """Re(rho_ba i) = Im rho_ab: solar_coherence.md, section 1, delta_CP = -pi/2."""
    survive = library.adiabatic_survival(OSCILLATION)(source, np.array([energy]))
    found = state_shares(survive, OSCILLATION, -np.pi / 2, np.pi / 2)
    np.testing.assert_allclose(
        [found[pair][0] for pair in PAIRS], golden, rtol=0, atol=5e-5, err_msg=source
    )


def test_phases_are_settings_where_they_act():
    """The phase pi turns the sign of a transition; two of them have no common phase."""
    (plain,), (turned,) = (
        nuhf.limit("xenonnt-sr0", "r2nu_emu", settings=chosen)
        for chosen in (None, {"transition_phase_rad": np.pi})
    )
    ((low, high),) = plain.intervals
    np.testing.assert_allclose(turned.intervals, [(-high, -low)], rtol=1e-7)
    assert "transition_phase_rad = 3.14159" in turned.notes
    with pytest.raises(InputError, match="r2nu_emu and r2nu_etau together would need a phase each"):
        nuhf.limit("xenonnt-sr0", "r2nu_emu", profiled=["r2nu_etau"],
                   settings={"transition_phase_rad": 1.0})  # fmt: skip
    for name, chosen in (("coherent-csi-2021", "transition_phase_rad"),
                         ("xenonnt-sr0", "lambda_phase_2_rad")):  # fmt: skip
        with pytest.raises(InputError, match=f"no parameter here has a setting '{chosen}'"):
            nuhf.limit(name, "r2nu_emu", settings={chosen: 1.0})


def test_transition_charge_in_xenon_goes_with_the_density_matrix():
    """8B: the same amplitude for all flavours, so 2 rho_ab takes the place of rho_aa."""
    (one, *_) = nuhf.templates("xenonnt-8b")
    flux = boron8()
    slope = {
        name: xenon_rate(Xenon8B.energies, flux.times(weight), q=1e-9)
        - xenon_rate(Xenon8B.energies, flux.times(weight), q=-1e-9)
        for name, weight in {
            "ee": slow(flux.middle, "b8")[:, 0, 0].real,
            "emu": 2 * slow(flux.middle, "b8")[:, 0, 1].real,
        }.items()
    }
    response = Xenon8B((0,)).responses[0][:, 0]
    twin = (response @ slope["emu"]).sum() / (response @ slope["ee"]).sum()
    assert one.nominal["b8_emu"]["q"].sum() / one.nominal["b8_e"]["q"].sum() == pytest.approx(
        twin, rel=2e-3
    )


def test_moments_of_the_mass_states_add_up(narrow):
    """mu_eff^2 = sum_k P_k mu_k^2 for each source, so three equal ones are munu_eff."""
    sm = signal(narrow)
    parts = [signal(narrow, **{f"munu_{k}": 1e-11}) - sm for k in (1, 2, 3)]
    together = signal(narrow, munu_eff=1e-11) - sm
    np.testing.assert_allclose(sum(parts), together, rtol=1e-9)
    # P_k of the moments, whose term does not see the energy: between those of pp and 7Be
    shares = np.array(parts) / together
    assert np.all((shares[0] > 0.60) & (shares[0] < 0.664))
    np.testing.assert_allclose(shares[2], 0.0220, rtol=1e-6)
    both = signal(narrow, munu_1=1e-11, munu_2=2e-11) - sm
    np.testing.assert_allclose(both, parts[0] + 4 * parts[1], rtol=1e-9)


def test_limits_of_transitions_by_phase_and_of_mass_states():
    """XENONnT: phase 0 is the upper end, phase pi the lower one, free the larger of the two."""
    names = ["r2nu_emu", "abs_r2nu_emu", "munu_eff", "munu_1", "munu_2", "munu_3"]
    found = {r.parameter: r for r in nuhf.limit("xenonnt-sr0", names)}
    ((low, high),) = found["r2nu_emu"].intervals
    without = found["abs_r2nu_emu"].intervals[-1][1]
    assert -low < without < high
    # expected in the shape of the paper's limit: 6.05 -> 6.91 (phase 0), 5.30 (phase pi)
    assert high / without == pytest.approx(6.91 / 6.05, rel=0.02)
    assert -low / without == pytest.approx(5.30 / 6.05, rel=0.02)
    common = found["munu_eff"].intervals[-1][1]
    ratios = [found[f"munu_{k}"].intervals[-1][1] / common for k in (1, 2, 3)]
    np.testing.assert_allclose(ratios, [1.24, 1.75, 6.7], rtol=0.01)


def test_the_paper_and_pure_flavours_have_no_interference():
    (paper, *_) = nuhf.templates("xenonnt-sr0", "giunti-ternes2023")
    assert set(paper.flavours.values()) == set(FLAVOURS)
    up, down = (
        sum(row.sum() for rows in nuhf.rate("coherent-csi-2021", {"qnu_emu": v}).values()
            for row in rows.values())
        for v in (1e-10, -1e-10)
    )  # fmt: skip
    assert up == pytest.approx(down, rel=1e-12)
    with pytest.raises(InputError, match="munu_1"):
        nuhf.limit("coherent-csi-2021", "munu_1")


@pytest.mark.parametrize(("one", "other"), [
    ("qnu_emu", "abs_qnu_emu"), ("munu_1", "munu_eff"), ("abs_qnu_emu", "abs_r2nu_emu"),
])  # fmt: skip
def test_what_has_no_defined_sum_is_refused(one, other):
    with pytest.raises(InputError, match=one):
        nuhf.limit("xenonnt-sr0", one, profiled=[other])


# --------------------------------------------------------------------- what it says


@pytest.mark.parametrize(("parameter", "words"), [
    ("r2nu_emu", "positive values have phase 0"),
    ("abs_r2nu_emu", "of unknown phase, is left out"),
    ("r2nu_mumu", "-4.8e-33 cm2, values are 4.8e-33 cm2 higher"),
])  # fmt: skip
def test_results_say_phase_and_convention(parameter, words):
    found = nuhf.fit(nuhf.model("xenonnt-sr0", parameter))
    assert any(parameter in note and words in note for note in found.notes)
    paper = nuhf.fit(nuhf.model("xenonnt-sr0", parameter, analysis="giunti-ternes2023"))
    assert any(words in note for note in paper.notes) == (parameter == "r2nu_mumu")


def test_radii_with_corrected_couplings_are_deviations():
    notes = nuhf.fit(nuhf.model("coherent-csi-2021", "r2nu_ee", analysis="khan2023")).notes
    assert any("is the deviation" in note and "8.3e-33 cm2 lower" in note for note in notes)
