"""cabinetry reads our models: the same best fit, and a ranking."""

import numpy as np
import pytest

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
