"""Asimov data of a truth, nuisances held at values, and an analysis per experiment."""

import numpy as np
import pytest
from conftest import EXPERIMENT as X
from conftest import problems

import nuhf
from nuhf.errors import InputError


def test_an_injected_coupling_is_found_again():
    """At the truth 2NLL is at its minimum, whatever is fitted beside it; --set would hold it."""
    (found,) = nuhf.limit(X, "qnu_ee", analysis="cevns-only", inject={"qnu_ee": 3e-8})
    assert found.best_fit == pytest.approx(3e-8, rel=1e-4)
    assert found.goodness["saturated_2nll"] == pytest.approx(0.0, abs=1e-6)
    assert "qnu_ee = 3e-08" in found.notes[-1]
    (moment,) = nuhf.limit(X, "munu_mu", inject={"munu_mu": 3e-9})
    assert moment.best_fit == pytest.approx(3e-9, rel=1e-4)


def test_an_injected_coupling_that_is_not_fitted_is_in_the_data():
    """The counts are those of `rate`; the fit of another coupling does not describe them."""
    (problem,) = problems(X, "qnu_ee", analysis="cevns-only", inject={"qnu_mumu": 5e-8})
    compiled = problem.engine.compiled
    assert "qnu_mumu_em8" not in compiled.names
    expected = sum(
        nuhf.rate(X, {"qnu_mumu": 5e-8}, analysis="cevns-only")["coherent_csi_2021"].values()
    )
    np.testing.assert_allclose(problem.data[: compiled.n_main], expected, rtol=1e-9)


def test_an_injected_nuisance_moves_its_auxiliary_measurement_too():
    fit = nuhf.fit(nuhf.model(X, inject={"flux_sns": 1.5, "norm_cevns": 1.2}))
    assert fit.parameters["flux_sns"][0] == pytest.approx(1.5, abs=1e-4)
    assert fit.parameters["norm_cevns"][0] == pytest.approx(1.2, rel=1e-4)


def test_files_take_a_truth_as_well():
    spec = nuhf.workspace(X, "munu_mu")
    (found,) = nuhf.limit(spec, inject={"munu_mu": 3e-9, "flux_sns": -1.0})
    assert found.best_fit == pytest.approx(3e-9, rel=1e-4)


def test_nuisances_are_held_at_values_and_by_wildcards():
    (problem,) = problems(X, "norm_cevns", fixed_nuisances=["qf_*", "flux_sns=1"])
    compiled = problem.engine.compiled
    held = [n for n, fixed in zip(compiled.names, compiled.fixed, strict=True) if fixed]
    assert sorted(held) == ["flux_sns", "qf_csi_syst0", "qf_csi_syst1"]
    assert compiled.inits[compiled.index("flux_sns")] == 1.0
    fit = nuhf.fit(nuhf.model(X, fixed_nuisances=["flux_sns=1"]))
    nominal = nuhf.fit(nuhf.model(X, fixed_nuisances=["flux_sns"]))
    # one sigma of the flux is 10 %
    ratio = nominal.parameters["norm_cevns"][0] / fit.parameters["norm_cevns"][0]
    assert ratio == pytest.approx(1.1, rel=1e-3)


def test_experiments_have_analyses_of_their_own():
    """``NAME:ANALYSIS`` is the analysis of one experiment, and adds up as always."""
    names = [X, "dresden-2:default-lindhard"]
    (both,) = problems(names, "munu_e")
    assert both.analysis == "default, default-lindhard"
    (alone,) = problems("dresden-2", "munu_e", analysis="default-lindhard")
    (same,) = problems("dresden-2:default-lindhard", "munu_e")
    theta = np.array([0.0, 0.01])
    np.testing.assert_allclose(same.profiler().at(theta), alone.profiler().at(theta), rtol=1e-12)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"inject": {"nope": 1.0}}, "no parameter 'nope'"),
        ({"inject": {"flux_sns": 9.0}}, "not within -5 to 5"),
        ({"fixed_nuisances": ["nope"]}, "no nuisance 'nope'"),
        ({"fixed_nuisances": ["qnu_ee_em8"]}, "no nuisance"),
        ({"fixed_nuisances": ["flux_sns=9"]}, "between -5 and 5"),
    ],
)
def test_bad_values_are_said(options, words):
    with pytest.raises(InputError, match=words):
        problems(X, "qnu_ee", **options)
    with pytest.raises(InputError, match="no analysis 'nope'"):
        problems(f"{X}:nope", "qnu_ee")


def test_command(cli):
    ran = cli(
        "limit",
        X,
        "-p",
        "qnu_ee",
        "--analysis",
        "cevns-only",
        "--inject",
        "qnu_ee=3e-8",
        "--fix",
        "qf_*",
    )
    assert ran.code == 0
    assert "(best fit 3e-08)" in ran.out
    assert "fixed nuisances: qf_*" in ran.out
    assert cli("limit", X, "-p", "qnu_ee", "--inject", "qnu_ee=x").code == 2


def test_a_model_with_a_truth_has_its_data_in_the_workspace_too():
    model = nuhf.model(X, "norm_cevns", inject={"norm_cevns": 1.5})
    assert nuhf.fit(model).parameters["norm_cevns"][0] == pytest.approx(1.5, rel=1e-3)
    (found,) = nuhf.limit(model.workspace("native"))
    assert found.best_fit == pytest.approx(1.5, rel=1e-3)
    assert nuhf.fit(model.replace(inject={})).parameters["norm_cevns"][0] < 1.4
    with pytest.raises(InputError, match=r"hs3: nuhf.workspace"):
        model.workspace("hs3")
