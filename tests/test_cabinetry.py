"""cabinetry reads our models: the same best fit, and a ranking."""

import json
import logging

import numpy as np
import pytest
from conftest import ROOT

import nuhf
from nuhf.workspaces.native import load_model

cabinetry = pytest.importorskip("cabinetry")


@pytest.fixture(scope="module")
def fitted(problem_of):
    model, data = load_model(problem_of("norm_cevns").spec)
    return model, list(data), cabinetry.fit.fit(model, list(data))


def test_same_best_fit(fitted):
    _, _, theirs = fitted
    ours = nuhf.fit("coherent-csi-2021")
    assert set(theirs.labels) == set(ours.parameters)
    for name, value, error in zip(theirs.labels, theirs.bestfit, theirs.uncertainty, strict=True):
        best, sigma = ours.parameters[name]
        assert best == pytest.approx(value, abs=1e-2 * error), name
        assert sigma == pytest.approx(error, rel=0.02), name
    assert ours.twice_nll == pytest.approx(theirs.best_twice_nll, abs=1e-3)


def test_same_correlations(fitted):
    _, _, theirs = fitted
    ours = nuhf.fit("coherent-csi-2021").correlation
    order = [ours["names"].index(name) for name in theirs.labels]
    matrix = np.asarray(ours["matrix"])[np.ix_(order, order)]
    np.testing.assert_allclose(matrix, theirs.corr_mat, atol=0.02)


def test_ranking(fitted):
    """The impact of every nuisance; those on the signal normalisation lead, backgrounds follow."""
    model, data, result = fitted
    ranking = cabinetry.fit.ranking(model, data, fit_results=result)
    impact = dict(
        zip(ranking.labels, np.abs(ranking.postfit_up - ranking.postfit_down), strict=True)
    )
    assert set(impact) == set(result.labels) - {"norm_cevns"}
    assert all(np.isfinite(list(impact.values())))
    assert impact["flux_sns"] > 2 * impact["bkg_coherent_csi_2021_nin"]
    # 10 % on the flux moves the strength by 10 %
    strength = result.bestfit[list(result.labels).index("norm_cevns")]
    assert impact["flux_sns"] == pytest.approx(0.2 * strength, rel=0.15)


# ------------------------------------------------------------------ the stock file as it is shipped

STOCK = ROOT / "workspaces" / "coherent-csi-2021" / "qnu_mumu.stock.json"
# as in test_reference_figures.py
KEPT = {"tolerance": 4, "savefig_kwargs": {"dpi": 45}, "deterministic": True}


@pytest.fixture
def quiet(caplog):
    """cabinetry tells what it does, and saves nothing."""
    with caplog.at_level(logging.ERROR):
        yield


@pytest.fixture(scope="module")
def prefit():
    """The recipe of workspaces/README.md: the coupling at 0, without an error of its own."""
    spec = json.loads(STOCK.read_text())
    spec["measurements"][0]["config"]["parameters"][0]["fixed"] = True
    model, data = cabinetry.model_utils.model_and_data(spec)
    return cabinetry.model_utils.prediction(model), data


@pytest.mark.mpl_image_compare(filename="cabinetry-data-mc.png", **KEPT)
def test_data_beside_the_stock_model(prefit, quiet):
    """Backgrounds and signal stacked to the data, small samples small, a band of a few per cent."""
    (drawn,) = cabinetry.visualize.data_mc(*prefit, save_figure=False)
    return drawn["figure"]


def test_yields_of_the_stock_model(prefit, quiet):
    """The table that was looked at: no sample is large and cancels another."""
    table = cabinetry.tabulate.yields(*prefit, per_bin=False, per_channel=True, save_tables=False)
    rows = [" | ".join(row.values()) for row in table["yields_per_channel"]]
    kept = ROOT / "tests" / "baseline" / "cabinetry-yields.txt"
    assert rows == kept.read_text(encoding="utf-8").splitlines()


@pytest.mark.slow
@pytest.mark.mpl_image_compare(filename="cabinetry-ranking.png", **KEPT)
def test_ranking_of_the_stock_model(quiet):
    model, data = cabinetry.model_utils.model_and_data(json.loads(STOCK.read_text()))
    result = cabinetry.fit.fit(model, data)
    ranked = cabinetry.fit.ranking(model, data, fit_results=result)
    return cabinetry.visualize.ranking(ranked, save_figure=False)
