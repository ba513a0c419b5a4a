"""The neutron radius as a parameter: exact where it is expanded, refused where it is not."""

import json
from dataclasses import replace

import numpy as np
import pyhf
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from test_csi2017 import NAME, variant

import nuhf
from nuhf.couplings import parameters
from nuhf.errors import InputError
from nuhf.experiments.catalogue import load
from nuhf.experiments.prepare import prepare
from nuhf.library import read_nuclides
from nuhf.physics import neutron_radius, sns
from nuhf.physics.settings import Physics
from nuhf.rates import build
from nuhf.rates.signal import acts_on, expected
from nuhf.rates.templates import read_templates, to_json
from nuhf.resources import write_json
from nuhf.stats.problem import Options, pose
from nuhf.workspaces import encode
from nuhf.workspaces.native import load_model
from nuhf.workspaces.patchset import patch_grid

ENERGY = "cadeddu2020-energy"
NUCLIDES = read_nuclides()
PAIR = ("Cs133", "I127")
LABEL = build.Label("test", "cevns", "cevns", ())


def response(recoil):
    """Four bins of recoil, blurred."""
    edges = np.array([3.0, 6.0, 10.0, 15.0, 25.0]) * 1e-3
    sides = 1.0 / (1.0 + np.exp(-(recoil - edges[:, np.newaxis]) / 5e-4))
    return sides[:-1] - sides[1:]


def templates(radii=None, expand=False):
    """Templates of CsI, with radii in fm as tabulated or given."""
    nuclides = [NUCLIDES[name] for name in PAIR]
    if radii is not None:
        nuclides = [replace(n, rn_fm=r) for n, r in zip(nuclides, radii, strict=True)]
    targets = [build.nucleus(n, 1e26, Physics(neutron_radius=expand)) for n in nuclides]
    sources = [
        build.FluxComponent(name, spectrum, 1e14, np.ones(1))
        for name, spectrum in sns.decay_at_rest().items()
    ]
    grid = build.recoil_grid(targets, sources, 1e-3)
    return build.template_set(LABEL, targets, sources, response, grid)


EXPANDED = templates(expand=True)
RADII = st.floats(*parameters.RN_RANGE_FM)
COUPLINGS = {"qnu_ee": 3e-8, "r2nu_mumu": -2e-31, "abs_qnu_emu": 1e-7, "munu_mu": 1e-9}


def difference(found, wanted):
    return max(np.abs(found[f] - wanted[f]).max() / wanted[f].max() for f in wanted)


@settings(deadline=None, max_examples=25)
@given(caesium=RADII, iodine=RADII)
def test_expansion_is_the_direct_calculation(caesium, iodine):
    # all monomials at once: with couplings that interfere, and without
    direct = templates([caesium, iodine])
    for couplings in ({}, COUPLINGS):
        values = {**couplings, "Rn_Cs": caesium, "Rn_I": iodine}
        assert difference(expected(EXPANDED, values), expected(direct, couplings)) < 2e-6


def test_without_a_radius_the_tabulated_ones_hold():
    # to the error of the expansion near its middle
    for couplings in ({}, COUPLINGS):
        found, wanted = expected(EXPANDED, couplings), expected(templates(), couplings)
        assert difference(found, wanted) < 1e-6


@settings(deadline=None, max_examples=10)
@given(radius=RADII)
def test_the_common_radius_is_both_radii(radius):
    both = expected(EXPANDED, {"Rn_Cs": radius, "Rn_I": radius})
    assert difference(expected(EXPANDED, {"Rn_CsI": radius}), both) < 1e-12


def test_one_radius_leaves_the_other_nuclide():
    found = expected(EXPANDED, {"Rn_Cs": 4.2})
    assert difference(found, expected(templates([4.2, NUCLIDES["I127"].rn_fm]), {})) < 1e-6


def test_squares_of_couplings_do_not_depend_on_the_radius():
    polynomial = EXPANDED.polynomial("nue")
    with_radius = {
        tuple(row[polynomial.names.index(v)] for v in ("q", "r", "munu"))
        for row in polynomial.exponents
        if any(row[i] for i, v in enumerate(polynomial.names) if v.startswith("x_"))
    }
    assert with_radius == {(0, 0, 0), (1, 0, 0), (0, 1, 0)}


def test_files_hold_the_expansion(tmp_path):
    found = prepare(load(NAME, ENERGY))
    path = tmp_path / "t.json"
    write_json(path, to_json(NAME, ENERGY, found.templates, found.digests))
    (again,) = read_templates(path)
    (direct,) = found.templates
    assert again.reference == direct.reference == {
        "x_Cs133": pytest.approx(0.01), "x_I127": pytest.approx(-0.06)
    }  # fmt: skip
    for values in ({}, {"Rn_CsI": 2.5, "qnu_ee": 1e-7}):
        assert difference(expected(again, values), expected(direct, values)) < 1e-8


def test_only_analyses_that_say_so_pay():
    fixed, energy = (
        prepare(load(NAME, analysis)).templates[0] for analysis in ("cadeddu2020-fixed-rn", ENERGY)
    )
    assert len(fixed.monomials) == 7
    assert len(energy.monomials) == 7 + 3 * 2 * 8
    radius = parameters.get("Rn_CsI")
    assert acts_on(radius, energy)
    assert not acts_on(radius, fixed)


# -------------------------------------------------------------------- models


def test_compiled_model_is_pyhf():
    problem = pose([prepare(load(NAME, ENERGY))], "Rn_CsI", Options())
    model, data = load_model(problem.spec)
    compiled = problem.engine.compiled
    rng = np.random.default_rng(8)
    for _ in range(5):
        point = compiled.inits + 0.5 * rng.standard_normal(compiled.inits.size)
        direct = -2 * float(model.logpdf(pyhf.tensorlib.astensor(point), data)[0])
        assert compiled.twice_nll(point, data) == pytest.approx(direct, rel=1e-12, abs=1e-8)


def test_stock_encoding_refuses_in_words():
    problem = pose([prepare(load(NAME, ENERGY))], "Rn_CsI", Options())
    with pytest.raises(InputError, match="no power 3"):
        encode.stock(problem.description)


def test_patch_grid_holds_the_exact_expectation():
    problem = pose([prepare(load(NAME))], "Rn_CsI", Options())
    radii = [4.0, 5.0, 6.0]
    grid = patch_grid(problem.description, [np.array(radii)], notes=problem.notes)
    workspace = pyhf.Workspace(grid.background)
    patches = pyhf.PatchSet(grid.patchset)
    compiled = problem.engine.compiled
    for patch, radius in zip(patches.patches, radii, strict=True):
        model = pyhf.Workspace(patch.apply(json.loads(json.dumps(workspace)))).model()
        found = model.expected_actualdata(
            [1.0 if n == "strength" else 0.0 for n in model.config.par_names]
        )
        point = compiled.inits.copy()
        point[compiled.index("Rn_CsI_shift")] = parameters.get("Rn_CsI").to_fit(radius)
        np.testing.assert_allclose(found, compiled.expected(point), rtol=1e-9)


def test_as_poi_and_as_nuisance():
    (found,) = nuhf.limit(NAME, "Rn_CsI", analysis=ENERGY, cl=0.6827)
    assert found.unit == "fm"
    assert found.profiled == ()
    (free,) = nuhf.limit(NAME, "munu_e", analysis="cadeddu2020-free-rn")
    assert free.profiled == ("Rn_CsI",)
    (held,) = nuhf.limit(NAME, "munu_e", analysis="cadeddu2020-free-rn", fixed={"Rn_CsI": 5.0})
    assert held.profiled == ()
    assert free.upper_limit > held.upper_limit


def test_range_of_an_analysis():
    problem = pose([prepare(load(NAME, "cadeddu2020-free-rn"))], "munu_e", Options())
    (radius,) = (c for c in problem.description.couplings if c.parameter.name == "Rn_CsI")
    assert (radius.low, radius.high) == (pytest.approx(-0.22), pytest.approx(1.0))


@pytest.mark.parametrize(("names", "parameter", "options", "words"), [
    (NAME, "Rn_CsI", {"analysis": "cadeddu2020-fixed-rn"}, ["no effect", "neutron_radius = true"]),
    ([NAME, "coherent-csi-2021"], "Rn_CsI", {}, ["coherent-csi-2021", "fixed"]),
    (NAME, "Rn_CsI", {"profiled": ["Rn_Cs"]}, ["Rn_CsI", "alone"]),
    (NAME, "qnu_ee", {"fixed": {"Rn_CsI": 9.0}}, ["Rn_CsI = 9 fm", "2 to 8"]),
    (NAME, "qnu_ee", {"fixed": {"Rn_Cs": float("nan")}}, ["Rn_Cs"]),
])  # fmt: skip
def test_refusals(names, parameter, options, words):
    with pytest.raises(InputError) as caught:
        nuhf.limit(names, parameter, **options)
    for word in words:
        assert word in str(caught.value)


def test_form_factor_without_a_radius_is_refused():
    with pytest.raises(InputError, match="klein-nystrand"):
        variant(ENERGY, {"physics": {"form_factor": "klein-nystrand"}})
    assert neutron_radius.RADIUS_RANGE_FM == parameters.RN_RANGE_FM
