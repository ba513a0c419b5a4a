"""The compiled likelihood against pyhf on every shipped workspace."""

import json
from functools import cache

import numpy as np
import pytest
from conftest import EXPERIMENT, ROOT

from nuhf.likelihood.evaluate import compile_model
from nuhf.likelihood.fit import best_of, refit_with_pyhf
from nuhf.workspaces.native import load_model

WORKSPACES = ROOT / "workspaces"
FILES = sorted(f"{path.parent.name}/{path.stem}" for path in WORKSPACES.glob("*/*.json"))
FIRST = [name for name in FILES if name.startswith(f"{EXPERIMENT}/")]
OTHERS = [
    min((f for f in FILES if f.startswith(f"{e}/")), key=lambda f: not f.endswith("native"))
    for e in sorted({f.split("/")[0] for f in FILES} - {EXPERIMENT})
]


@cache
def shipped(name):
    path = WORKSPACES / f"{name}.json"
    model, data = load_model(json.loads(path.read_text(encoding="utf-8")))
    return model, compile_model(model), data


def test_all_shipped_workspaces_are_tested():
    from nuhf.experiments.catalogue import list_experiments, load

    assert set(FIRST) <= set(FILES)
    wanted = {name for name in list_experiments() if load(name).experiment.workspaces}
    assert {name.split("/")[0] for name in FILES} == wanted


def points_of(compiled, poi, rng, number):
    """Random points with positive counts: pulls within 2 sigma, the POI in the middle half.

    Free factors (those that start at 1) are between 0.5 and 1.5.
    """
    low, high = compiled.bounds.T
    found = []
    free = compiled.inits == 1.0
    while len(found) < number:
        point = np.clip(rng.normal(scale=0.7, size=len(compiled.names)), -2, 2)
        point[free] = rng.uniform(0.5, 1.5, free.sum())
        point[poi] = rng.uniform(max(0.5 * low[poi], low[poi]), 0.5 * high[poi])
        if (compiled.expected(point) > 0).all():
            found.append(point)
    return np.array(found)


@pytest.mark.parametrize("name", FILES)
def test_counts_and_likelihood_equal_pyhf(name):
    model, compiled, data = shipped(name)
    assert list(compiled.names) == list(model.config.par_names)
    # large samples of the stock encoding cancel: rounding is relative to the sum of their sizes
    sizes = np.abs(np.asarray(model.main_model.nominal_rates)).sum(axis=1).max()
    for point in points_of(compiled, model.config.poi_index, np.random.default_rng(1), 20):
        theirs = model.expected_data(point)
        np.testing.assert_allclose(
            compiled.expected_full(point), theirs, rtol=1e-10, atol=max(1e-10, 1e-15 * sizes)
        )
        likelihood = -2 * model.logpdf(point, data)[0]
        assert compiled.twice_nll(point, data) == pytest.approx(likelihood, rel=1e-8)


@pytest.mark.parametrize("name", [*FIRST, *OTHERS])
def test_derivatives_equal_finite_differences(name):
    """Five-point rule: of the counts, and of 2NLL."""
    model, compiled, data = shipped(name)
    poi = model.config.poi_index
    high = compiled.bounds[:, 1]
    for point in points_of(compiled, poi, np.random.default_rng(2), 3):
        jacobian = compiled.jacobian(point)
        gradient = compiled.gradient(point, data)
        for i in range(len(point)):
            step = np.zeros_like(point)
            step[i] = 1e-3 * (high[i] if i == poi else 1.0)
            at = point + step * np.array([[-2], [-1], [1], [2]])
            weights = np.array([1, -8, 8, -1]) / (12 * step[i])
            slope = weights @ compiled.expected(at)
            np.testing.assert_allclose(
                jacobian[i], slope, rtol=1e-5, atol=1e-6 * (1 + np.abs(slope).max())
            )
            rise = weights @ compiled.twice_nll(at, np.tile(data, (4, 1)))
            assert gradient[i] == pytest.approx(rise, rel=1e-4, abs=1e-3 * (1 + abs(rise)))


def toys(compiled, rng, number):
    """Poisson counts and Gaussian auxiliary data at the SM."""
    expected = compiled.expected_full(compiled.inits)
    data = np.tile(expected, (number, 1))
    n = compiled.n_main
    data[:, :n] = rng.poisson(data[:, :n])
    data[:, n:] = rng.normal(data[:, n:], 1.0)
    return data


def worst_difference(name, number, seed):
    """Largest difference of t = 2NLL(POI fixed) - 2NLL(free) from pyhf with minuit."""
    model, compiled, _ = shipped(name)
    i = model.config.poi_index
    low, high = compiled.bounds[i]
    value = 0.05 * high
    seeds = np.tile(compiled.inits, (5, 1))
    seeds[:, i] = [compiled.inits[i], *(0.3 * low, 0.02 * high, 0.1 * high, 0.3 * high)]
    data = toys(compiled, np.random.default_rng(seed), number)
    free = ~compiled.fixed
    held = free.copy()
    held[i] = False
    best = best_of(compiled, data, seeds, free=free)
    seeds[:, i] = value
    fixed = best_of(compiled, data, seeds[:1], free=held)
    assert best.converged.all()
    assert fixed.converged.all()
    worst = 0.0
    for k, observed in enumerate(data):
        one = refit_with_pyhf(model, observed, best.parameters[k], ~free)
        two = refit_with_pyhf(model, observed, fixed.parameters[k], ~held)
        theirs = two.twice_nll[0] - one.twice_nll[0]
        worst = max(worst, abs(fixed.twice_nll[k] - best.twice_nll[k] - theirs))
        # minuit from the model's own start finds nothing lower
        start = refit_with_pyhf(model, observed, compiled.inits, ~free)
        assert best.twice_nll[k] <= start.twice_nll[0] + 1e-4
    return worst


@pytest.mark.parametrize("name", [f"{EXPERIMENT}/{n}" for n in ("munu_mu.stock", "qnu_ee.native")])
def test_profiled_t_equals_minuit(name, record_property):
    worst = worst_difference(name, 10, 3)
    record_property("worst", float(worst))
    assert worst < 1e-4


@pytest.mark.slow
@pytest.mark.parametrize("name", [*FIRST, *OTHERS])
def test_profiled_t_equals_minuit_on_many_toys(name, record_property, capsys):
    worst = worst_difference(name, 200, 4)
    record_property("worst", float(worst))
    with capsys.disabled():
        print(f"\n{name}: largest difference of t over 200 toys {worst:.1e}")
    assert worst < 1e-4
