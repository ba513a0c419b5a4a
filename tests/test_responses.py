"""Responses of experiment files: every smearing with every efficiency, against plain quadrature."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import TypeAdapter
from scipy import stats
from scipy.integrate import quad

from nuhf.errors import InputError
from nuhf.experiments.responses import EfficiencyPart, Response
from nuhf.experiments.smearing import SmearingPart
from nuhf.inputs import Inputs
from nuhf.rates.templates import Axis
from nuhf.resources import write_text
from nuhf.units import KEV

ENERGY = Axis("energy_kev_ee", (0.2, 0.5, 0.9, 1.4, 3.0))
LIGHT = Axis("photoelectrons", (0.0, 5.0, 12.0, 20.0, 40.0))
NONE = {"kind": "none"}
TENTH = {"kind": "polynomial", "coefficients": (0.1,), "recoil_range_kev": (0.0, 60.0)}
SMEARINGS = {
    "gaussian": {"kind": "gaussian", "coefficients": (0.05, 0.1), "powers": (0.0, 0.5)},
    "fano": {"kind": "fano", "noise_kev": 0.07, "pair_energy_kev": 2.96e-3, "fano": 0.11},
    "gamma": {"kind": "gamma", "a0_kev_ee": 0.0749, "b0_per_kev_ee": 9.56},
    "poisson": {"kind": "poisson", "pe_per_kev_ee": 13.35, "placement": 0.5},
}
SMEARINGS["positive"] = SMEARINGS["gaussian"] | {"positive": True}
EFFICIENCIES = {
    # by kind of axis: energies in keV, photoelectrons
    "full": ({"kind": "full", "factor": 0.7},) * 2,
    "logistic": (
        {"kind": "logistic", "a": 1.2, "b": 9.0, "c": 0.6, "d": -0.2},
        {"kind": "logistic", "a": 1.32, "b": 0.286, "c": 10.86, "d": -0.333},
    ),
    "cut logistic": (
        {"kind": "logistic", "a": 0.9, "b": 4.0, "c": 0.4, "steps": (0.4, 0.8)},
        {"kind": "logistic", "a": 0.67, "b": 0.5, "c": 10.9, "steps": (5.0, 6.0)},
    ),
    "points": ({"kind": "points", "tables": ({"table": "points.csv", "last": 99.0},)},) * 2,
    "steps": ({"kind": "steps", "table": "steps.csv"},) * 2,
}
POINTS = {"e_kev_ee": (0.3, 0.7, 1.2, 9.0), "pe": (3.0, 8.0, 15.0, 99.0)}
HEIGHTS = (0.1, 0.5, 0.9, 0.8)
ENERGIES = st.floats(0.05, 4.0)
"""keV_ee: bins begin at 0.2 and end at 3 keV or 40 photoelectrons."""


@pytest.fixture(scope="module")
def inputs(tmp_path_factory):
    """Reads tables of points and steps beside the shipped data, for each axis."""
    made = {}
    for column, at in POINTS.items():
        folder = tmp_path_factory.mktemp(column)
        rows = [f"{x},{y}" for x, y in zip(at, HEIGHTS, strict=True)]
        head = f"# source: none\n{column},efficiency\n"
        write_text(folder / "points.csv", head + "\n".join(rows) + "\n")
        rows = [f"{a},{b},{y}" for (a, b), y in zip(pairwise(at), HEIGHTS[:3], strict=True)]
        stem, _, unit = column.partition("_")
        low, high = (f"{stem}_{end}{unit and f'_{unit}'}" for end in ("lo", "hi"))
        head = f"# source: none\n{low},{high},efficiency\n"
        write_text(folder / "steps.csv", head + "\n".join(rows) + "\n")
        made[column] = Inputs([folder])
    return made


def built(inputs, smearing, efficiency=None, quenching=NONE, axis=None, **options):
    """A chain in the bins of an axis that suits its smearing."""
    part = SMEARINGS[smearing]
    axis = axis or (LIGHT if part["kind"] in ("gamma", "poisson") else ENERGY)
    content = {"quenching": quenching, "smearing": part, **options}
    if efficiency is not None:
        content["efficiency"] = efficiency
    chain = TypeAdapter(Response).validate_python(content, strict=True)
    return chain.built(inputs[axis.column], (axis,), 55, "file.toml: responses.nuclear")


def density(smearing, energy):
    """Distribution of the signal, of keV or photoelectrons: its pdf, and where it lies."""
    part = SMEARINGS[smearing]
    if part["kind"] == "gamma":
        shape = 1.0 + part["b0_per_kev_ee"] * energy
        law = stats.gamma(shape, scale=energy / part["a0_kev_ee"] / shape)
    else:
        sigma = (
            np.sqrt(0.07**2 + 2.96e-3 * 0.11 * energy)
            if part["kind"] == "fano"
            else 0.05 + 0.1 * np.sqrt(energy)
        )
        low = -energy / sigma if part.get("positive") else -np.inf
        law = stats.truncnorm(low, np.inf, loc=energy, scale=sigma)
    return law


def accepted(name, x, column):
    """Every efficiency at one signal, written down once more."""
    part = EFFICIENCIES[name][column == "pe"]
    at = POINTS[column]
    if name == "full":
        return 0.7
    if name == "points":
        return float(np.interp(x, at, HEIGHTS)) if x >= at[0] else 0.0
    if name == "steps":
        inside = [y for a, y in zip(at[:3], HEIGHTS, strict=False) if x >= a]
        return inside[-1] if inside else 0.0
    rise = part["a"] / (1.0 + np.exp(-part["b"] * (x - part["c"]))) + part.get("d", 0.0)
    half, full = part.get("steps", (-np.inf, -np.inf))
    return max(rise, 0.0) * (0.5 * (x >= half) + 0.5 * (x >= full))


def slow(smearing, efficiency, energy, axis):
    """Probability of each bin, by adaptive quadrature or by a sum over photoelectrons."""
    column = axis.column
    if smearing == "poisson":
        n = np.arange(400)
        weight = stats.poisson.pmf(n, 13.35 * energy)
        seen = np.array([accepted(efficiency, k + 0.5, column) if k < 98 else 0.0 for k in n])
        return np.histogram(n + 0.5, axis.edges, weights=weight * seen)[0]
    law, part = density(smearing, energy), EFFICIENCIES[efficiency][column == "pe"]
    cuts = [*POINTS[column], *part.get("steps", ())]
    if part.get("d", 0.0) < 0:  # where the logistic function becomes positive
        cuts.append(part["c"] - np.log(-part["a"] / part["d"] - 1.0) / part["b"])
    cuts += [float(law.mean() + k * law.std()) for k in (-8, -3, -1, 0, 1, 3, 8)]
    found = []
    for low, high in pairwise(axis.edges):
        places = [low, *sorted(c for c in cuts if low < c < high), high]
        found.append(sum(
            quad(lambda x: law.pdf(x) * accepted(efficiency, x, column), a, b, epsabs=1e-13)[0]
            for a, b in pairwise(places)
        ))  # fmt: skip
    return np.array(found)


@pytest.mark.parametrize("smearing", SMEARINGS)
@pytest.mark.parametrize("efficiency", EFFICIENCIES)
def test_every_smearing_with_every_efficiency_against_quadrature(inputs, smearing, efficiency):
    axis = LIGHT if smearing in ("gamma", "poisson") else ENERGY
    part = EFFICIENCIES[efficiency][axis is LIGHT]
    energies = np.array([0.08, 0.35, 1.0, 2.6])
    found = built(inputs, smearing, part).matrix(energies * KEV)
    expected = np.transpose([slow(smearing, efficiency, e, axis) for e in energies])
    np.testing.assert_allclose(found, expected, rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("smearing", SMEARINGS)
def test_a_straight_efficiency_is_that_of_points_at_its_ends(inputs, smearing, tmp_path):
    """Closed form, quadrature and whole photoelectrons: a constant is a constant in all forms."""
    axis = LIGHT if smearing in ("gamma", "poisson") else ENERGY
    low, high = axis.edge_columns
    write_text(tmp_path / "p.csv", f"# source: none\n{axis.column},efficiency\n0,0.6\n1e3,0.6\n")
    write_text(tmp_path / "s.csv", f"# source: none\n{low},{high},efficiency\n0,1e3,0.6\n")
    mine = {axis.column: Inputs([tmp_path])}
    recoil = np.linspace(0.05, 4.0, 60) * KEV
    constant = built(inputs, smearing, {"kind": "full", "factor": 0.6}).matrix(recoil)
    for part in (
        {"kind": "points", "tables": ({"table": "p.csv", "last": 1e3},)},
        {"kind": "steps", "table": "s.csv"},
        {"kind": "logistic", "a": 0.6, "b": 1e3, "c": -1e3},
    ):
        other = built(mine, smearing, part).matrix(recoil)
        np.testing.assert_allclose(other, constant, rtol=1e-7, atol=1e-10)


@settings(max_examples=40, deadline=None)
@given(
    smearing=st.sampled_from(list(SMEARINGS)),
    efficiency=st.sampled_from(list(EFFICIENCIES)),
    energy=ENERGIES,
)
def test_bins_are_probabilities_and_add_up(inputs, smearing, efficiency, energy):
    axis = LIGHT if smearing in ("gamma", "poisson") else ENERGY
    part = EFFICIENCIES[efficiency][axis is LIGHT]
    recoil = np.array([energy * KEV])
    parts = built(inputs, smearing, part).matrix(recoil)
    merged = Axis(axis.name, (axis.edges[0], axis.edges[-1]))
    whole = built(inputs, smearing, part, axis=merged).matrix(recoil)
    assert np.all(parts >= 0)
    assert parts.sum() <= 1.0 + 1e-9
    assert parts.sum() == pytest.approx(whole[0, 0], rel=1e-7, abs=1e-10)


# ---------------------------------------------------------- what it is a function of


@pytest.mark.parametrize("smearing", ["gaussian", "positive", "gamma"])
def test_efficiency_in_the_true_energy_and_in_the_recoil(inputs, smearing):
    """It multiplies the columns of full acceptance, at E_ee or at ten times that, the recoil."""
    recoil = np.linspace(0.5, 50.0, 80) * KEV
    full = built(inputs, smearing, quenching=TENTH).matrix(recoil)
    logistic = {"kind": "logistic", "a": 0.8, "b": 3.0, "c": 1.1, "factor": 0.9}
    share = 0.72 / (1.0 + np.exp(-3.0 * (0.1 * recoil / KEV - 1.1)))
    true = built(inputs, smearing, logistic | {"variable": "true"}, TENTH)
    np.testing.assert_allclose(true.matrix(recoil), share * full, rtol=1e-12)
    scaled = logistic | {"variable": "recoil", "b": 0.3, "c": 11.0}
    nuclear = built(inputs, smearing, scaled, TENTH)
    np.testing.assert_allclose(nuclear.matrix(recoil), share * full, rtol=1e-12)
    # an electron of that energy has the same acceptance only if it is one of the true energy
    axis = LIGHT if smearing == "gamma" else ENERGY
    edges = np.asarray(axis.edges)
    np.testing.assert_allclose(true.seen(0.1 * recoil, edges, 1.0), share * full, rtol=1e-12)
    np.testing.assert_allclose(nuclear.seen(0.1 * recoil, edges, 1.0), 0.9 * full, rtol=1e-12)
    # neither is an efficiency in the recorded signal
    assert np.all(true.signal(edges) == 1.0)
    assert np.all(nuclear.signal(edges) == 1.0)


def test_narrow_smearing_makes_true_and_reconstructed_the_same(inputs):
    narrow = {"kind": "gaussian", "coefficients": (1e-4,), "powers": (0.0,)}
    part = EFFICIENCIES["logistic"][0]
    energy = np.array([0.6, 0.7, 1.1, 2.0])  # no edge of a bin
    found = []
    for variable in ("true", "reconstructed"):
        content = {
            "quenching": NONE,
            "smearing": narrow,
            "efficiency": part | {"variable": variable},
        }
        chain = TypeAdapter(Response).validate_python(content, strict=True)
        found.append(chain.built(inputs["e_kev_ee"], (ENERGY,), None, "x").matrix(energy * KEV))
    np.testing.assert_allclose(found[0], found[1], rtol=1e-5, atol=1e-12)
    assert np.all(found[0].max(axis=0) > 0.3)


# ------------------------------------------------------------------- ends


@pytest.mark.parametrize("smearing", SMEARINGS)
def test_nothing_is_recorded_beyond_the_reach(inputs, smearing):
    response = built(inputs, smearing)
    assert np.isfinite(response.reach)
    beyond = response.reach * np.geomspace(1.0, 30.0, 200)
    assert response.matrix(beyond).max() < 1e-12
    # and not much earlier
    assert response.matrix(np.array([0.3 * response.reach])).sum() > 1e-8


@settings(max_examples=40, deadline=None)
@given(
    smearing=st.sampled_from(list(SMEARINGS)),
    signal=st.floats(0.05, 200.0),
    further=st.floats(1.0, 20.0),
)
def test_reach_of_any_signal(smearing, signal, further):
    """At and above the reach less than 1e-12 lies below the signal, in keV or photoelectrons."""
    part = TypeAdapter(SmearingPart).validate_python(SMEARINGS[smearing], strict=True)
    unit = 1.0 if part.quanta else KEV
    reach = part.smearing().reach(signal * unit)
    energy = reach / KEV * further
    assert reach > 0
    if smearing == "poisson":
        # n stands at n + 1/2
        below = stats.poisson.cdf(np.ceil(signal - 0.5) - 1, 13.35 * energy)
    else:
        below = density(smearing, energy).cdf(signal)
    assert below < 1e-12


def test_ionisation_begins_at_the_stated_energy(inputs):
    """Recoils below make nothing; above, the matrix is untouched."""
    recoil = np.geomspace(0.1, 40.0, 70) * KEV
    plain = built(inputs, "fano", quenching=TENTH)
    cut = built(inputs, "fano", quenching=TENTH, ionisation_min_kev_ee=0.3)
    assert (plain.start, cut.start) == (0.0, pytest.approx(3.0 * KEV, rel=1e-9))
    found, whole = cut.from_start(cut.start).matrix(recoil), plain.matrix(recoil)
    kept = recoil >= 3.0 * KEV
    np.testing.assert_array_equal(found[:, kept], whole[:, kept])
    assert not found[:, ~kept].any()
    assert 0 < kept.sum() < kept.size
    # without one nothing is left out
    np.testing.assert_array_equal(plain.from_start(plain.start).matrix(recoil), whole)


def test_stated_recoil_ends_win(inputs):
    stated = built(inputs, "gaussian", recoil_max_kev=2.0)
    assert stated.reach == pytest.approx(2.0 * KEV)
    assert built(inputs, "gaussian", quenching=TENTH).reach == np.inf
    later = built(
        inputs, "fano", quenching=TENTH, ionisation_min_kev_ee=0.3, recoil_min_kev=5.0
    )  # fmt: skip
    assert later.start == pytest.approx(5.0 * KEV)


# ------------------------------------------------------------------ matrices


@pytest.mark.parametrize("smearing", ["positive", "gamma"])
def test_a_released_matrix_is_the_chain_that_it_is_sampled_from(inputs, smearing, tmp_path):
    """Exact at the sampled recoils, second order in between, zero outside; with all factors."""
    axis = LIGHT if smearing == "gamma" else ENERGY
    chain = built(inputs, smearing, EFFICIENCIES["points"][axis is LIGHT], TENTH)
    worst = []
    for number in (150, 300):
        at = np.linspace(0.5, 50.0, number)
        values = chain.matrix(at * KEV)
        rows = "\n".join(
            ",".join(repr(float(x)) for x in row) for row in np.column_stack([at, values.T])
        )
        names = ",".join(["t_kev_nr", *(f"p_{i}" for i in range(axis.bins))])
        write_text(tmp_path / "m.csv", f"# source: none\n{names}\n{rows}\n")
        content = {"kind": "matrix", "table": "m.csv", "factor": 0.5}
        section = TypeAdapter(Response).validate_python(content, strict=True)
        matrix = section.built(Inputs([tmp_path]), (axis,), None, "x")
        assert matrix.recoil_range == pytest.approx((0.5 * KEV, 50.0 * KEV))
        assert matrix.reach == pytest.approx(50.0 * KEV)
        np.testing.assert_allclose(matrix.matrix(at * KEV), 0.5 * values, rtol=1e-12)
        between = 0.5 * (at[1:] + at[:-1]) * KEV
        error = matrix.matrix(between) - 0.5 * chain.matrix(between)
        worst.append(np.abs(error).max())
        assert not matrix.matrix(np.array([0.4, 50.1]) * KEV).any()
    assert worst[1] < 2e-3
    assert worst[1] < 0.4 * worst[0]
    with pytest.raises(InputError, match="a background needs a chain"):
        matrix.seen(np.array([1.0 * KEV]), np.asarray(axis.edges), 1.0)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("t_kev_nr,p_0,p_1\n1,0.1,0.2\n", "no column 'p_2'"),
        ("t_kev_nr,p_0,p_1,p_2,p_3,p_4\n1,0,0,0,0,0\n", "more columns 'p_...' than the 4 bins"),
        ("t_kev_nr,p_0,p_1,p_2,p_3\n1,0,0,0,0\n1,0,0,0,0\n", "'t_kev_nr' does not increase"),
        ("t_kev_nr,p_0,p_1,p_2,p_3\n1,0,0,1.5,0\n", "p_2"),
    ],
)
def test_broken_matrices_are_refused(tmp_path, text, words):
    write_text(tmp_path / "m.csv", f"# source: none\n{text}")
    section = TypeAdapter(Response).validate_python({"kind": "matrix", "table": "m.csv"})
    with pytest.raises(InputError, match=words) as error:
        section.built(Inputs([tmp_path]), (ENERGY,), None, "x")
    assert "m.csv" in str(error.value)


def test_refusals(inputs):
    with pytest.raises(InputError, match=r"smearing gives quanta.*'energy_kev_ee'"):
        built(inputs, "gamma", axis=ENERGY)
    with pytest.raises(InputError, match=r"smearing gives energies in keV.*'photoelectrons'"):
        built(inputs, "fano", axis=LIGHT)
    content = {"quenching": NONE, "smearing": SMEARINGS["fano"]}
    chain = TypeAdapter(Response).validate_python(content, strict=True)
    with pytest.raises(InputError, match="has one recorded signal; the region has 2 axes"):
        chain.built(inputs["e_kev_ee"], (ENERGY, ENERGY), None, "x")
    part = TypeAdapter(SmearingPart).validate_python(SMEARINGS["gamma"], strict=True)
    with pytest.raises(InputError, match="width_factor is for Gaussian smearing"):
        part.smearing(1.1)
    # a signal above the last point is refused, not extrapolated, unless the file says so
    short = {"kind": "points", "tables": ({"table": "points.csv", "last": 1.5},)}
    with pytest.raises(InputError, match="above its table, which ends at"):
        built(inputs, "gaussian", short).matrix(np.array([1.0 * KEV]))
    constant = TypeAdapter(EfficiencyPart).validate_python(
        short | {"constant_above": True}, strict=True
    )
    curve = constant.efficiency(inputs["e_kev_ee"], KEV, "e_kev_ee")
    assert curve(np.array([1.2, 1e3]) * KEV) == pytest.approx([0.9, 0.9])


def test_width_factor_widens_lines_of_a_background(inputs):
    """The same as a width of its own, at the energy of the line."""
    wide = SMEARINGS["gaussian"] | {"coefficients": (0.1, 0.2)}
    energy, edges = np.array([0.4, 1.3]) * KEV, np.asarray(ENERGY.edges)
    found = built(inputs, "gaussian").seen(energy, edges, 2.0)
    content = {"quenching": NONE, "smearing": wide}
    chain = TypeAdapter(Response).validate_python(content, strict=True)
    other = chain.built(inputs["e_kev_ee"], (ENERGY,), None, "x").matrix(energy)
    np.testing.assert_allclose(found, other, rtol=1e-13)
