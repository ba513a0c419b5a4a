"""Toy data sets, their statistics, and what is made of them."""

from contextlib import nullcontext
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from conftest import EXPERIMENT
from scipy.stats import chi2, kstest

import nuhf
from nuhf import questions
from nuhf.errors import FitError, InputError
from nuhf.likelihood.fit import best_of
from nuhf.stats.cls import BAND
from nuhf.toys import cls as toy_cls
from nuhf.toys.problem import conditional, toy_setup
from nuhf.toys.runner import runner
from nuhf.toys.sample import (
    BLOCK,
    ToyOptions,
    blocks,
    converged_only,
    critical_value,
    generator,
    sample,
)


@pytest.fixture(scope="module")
def charge(nuclei_problem_of):
    return nuclei_problem_of("qnu_ee")


@pytest.fixture(scope="module")
def work(charge):
    return runner(toy_setup(charge, [-4.6, 59.6]).to_json())


# ---------------------------------------------------------------------------- random numbers


def test_a_block_is_the_child_of_the_seed():
    """Block j of point i is what SeedSequence.spawn gives, whoever asks for it, and when."""
    child = np.random.SeedSequence(11).spawn(4)[2].spawn(3)[1]
    expected = np.random.default_rng(child).random(5)
    assert (generator([11, 2, 1]).random(5) == expected).all()


def test_blocks_cover_all_toys_and_do_not_move():
    few, many = blocks({"a": 1}, BLOCK + 7, [4, 0]), blocks({"a": 1}, 3 * BLOCK, [4, 0])
    assert [task["number"] for task in few] == [BLOCK, 7]
    assert few[0] == many[0]
    assert [task["key"] for task in many] == [[4, 0, 0], [4, 0, 1], [4, 0, 2]]


def test_samples_have_the_moments_of_the_model(charge):
    compiled = charge.engine.compiled
    truth = compiled.inits + np.linspace(-1, 1, len(compiled.names))
    data = sample(compiled, truth, 4000, generator([1, 0]))
    main, aux = data[:, : compiled.n_main], data[:, compiled.n_main :]
    lam = compiled.expected(truth)
    assert (main == np.round(main)).all()
    assert chi2.sf(((main.mean(0) - lam) ** 2 / lam * 4000).sum(), lam.size) > 1e-3
    c = compiled.constraints
    pulls = (aux[:, c.normal_aux] - truth[c.normal_param]) / c.normal_sigma
    assert kstest(pulls.ravel(), "norm").pvalue > 1e-3


def test_no_toys_of_negative_counts(charge, monkeypatch):
    compiled = charge.engine.compiled
    monkeypatch.setattr(type(compiled), "expected", lambda self, theta: np.array([3.0, -1.5]))
    with pytest.raises(FitError, match=r"a bin expects -1\.5 events"):
        sample(compiled, compiled.inits, 2, generator([1, 0]))


# ------------------------------------------------------------------------- critical values


def test_critical_value_is_the_order_statistic():
    toys = np.arange(1.0, 100.0)  # 99 toys: k = 100 cl
    assert critical_value(toys, 0.9)[0] == 90.0
    assert critical_value(np.append(toys, np.nan), 0.9)[0] == 90.0
    assert critical_value(toys, 0.9)[1] == pytest.approx(3.0)
    with pytest.raises(FitError, match="99 toys are too few"):
        critical_value(toys, 0.995)


def test_critical_value_covers_for_few_toys():
    """The chance that one more toy is at or below it is k / (n + 1), whatever n."""
    rng = np.random.default_rng(3)
    inside = [
        rng.exponential() <= critical_value(rng.exponential(size=19), 0.9)[0] for _ in range(4000)
    ]
    assert np.mean(inside) == pytest.approx(0.9, abs=0.02)


# ------------------------------------------------------------------------------ statistics


@pytest.mark.parametrize("value", [-4.6, 0.0, 26.0, 60.0])
def test_free_fits_find_the_deeper_minimum(charge, work, value):
    """Nine starts across the range find nothing lower than ours."""
    compiled = work.compiled
    index = work.indices[0]
    truth = conditional(charge, [index], np.array([[value]]))[0][0]
    truth += np.where(np.arange(truth.size) == index, 0.0, 0.8)
    data = sample(compiled, truth, 150, generator([5, 0]))
    t, fitted, _ = work.statistic(data, truth, np.array([value]))
    assert (t >= 0).all()
    many = np.repeat(truth[np.newaxis], 9, axis=0)
    many[:, index] = [-100, -30, -5, 10, 26, 40, 60, 90, 150]
    lowest = best_of(compiled, data, many)
    other = compiled.twice_nll(fitted, data) - lowest.twice_nll
    assert np.abs(t - other).max() < 1e-5


def test_both_minima_matter(charge, work):
    """At the edge of the first region many toys prefer the second: one start is not enough."""
    index = work.indices[0]
    truth = conditional(charge, [index], np.array([[7.0]]))[0][0]
    data = sample(work.compiled, truth, 300, generator([5, 1]))
    t, fitted, _ = work.statistic(data, truth, np.array([7.0]))
    one = best_of(work.compiled, data, fitted[np.newaxis], free=work.free)
    alone = work.compiled.twice_nll(fitted, data) - one.twice_nll
    assert (t - alone > 1e-3).mean() > 0.02


def test_wilks_holds_far_from_bounds(problem_of):
    """A squared moment at 30 times its error behaves as chi2 with one degree of freedom."""
    problem = problem_of("norm_cevns")
    work = runner(toy_setup(problem, [1.0]).to_json())
    truth = conditional(problem, work.indices, np.array([[1.0]]))[0][0]
    task = {"kind": "statistic", "truth": truth.tolist(), "values": [1.0]}
    t, lost = converged_only([work(b) for b in blocks(task, 1000, [2, 0])])
    assert lost == 0
    assert kstest(t, "chi2", args=(1,)).pvalue > 1e-3


def test_at_the_bound_half_of_the_toys_are_zero(problem_of):
    """munu_mu = 0: t is half a delta at 0 and half a chi2, and q-tilde the same."""
    problem = problem_of("munu_mu")
    work = runner(toy_setup(problem, [0.0]).to_json())
    truth = conditional(problem, work.indices, np.array([[0.0]]))[0][0]
    data = sample(work.compiled, truth, 1000, generator([6, 0]))
    t, _, _ = work.statistic(data, truth, np.array([0.0]))
    assert (t < 1e-6).mean() == pytest.approx(0.5, abs=0.06)
    one_sided, _, _ = work.statistic(data, truth, np.array([0.0]), one_sided=True)
    assert (one_sided[t > 1e-6] == 0).all()


def test_failed_fits_are_counted(charge, work, monkeypatch):
    from nuhf.toys import runner as toys

    real = toys.best_of

    def failing(*arguments, **keywords):
        found = real(*arguments, **keywords)
        found.converged[:3] = False
        return found

    class Never:
        converged = np.array([False])

    monkeypatch.setattr(toys, "best_of", failing)
    monkeypatch.setattr(toys, "refit_with_pyhf", lambda *arguments: Never)
    truth = charge.engine.compiled.inits.tolist()
    task = {"kind": "statistic", "truth": truth, "values": [0.0], "number": 20, "key": [1, 0]}
    found = work(task)
    assert found["t"][:3] == [None] * 3
    t, lost = converged_only([found])
    assert lost == 3
    assert np.isfinite(t[3:]).all()
    # minuit's second opinion counts
    monkeypatch.undo()
    monkeypatch.setattr(toys, "best_of", failing)
    again, lost = converged_only([work(task)])
    assert lost == 0
    assert again[3:] == pytest.approx(t[3:], abs=1e-12)


def test_the_deeper_of_two_fits_counts(charge, work, monkeypatch):
    """A fit without convergence that is below minuit's minimum must not make t smaller."""
    from nuhf.toys import runner as toys

    real_best, real_refit = toys.best_of, toys.refit_with_pyhf
    truth = charge.engine.compiled.inits
    data = sample(work.compiled, truth, 8, generator([9, 0]))
    t, _, best = work.statistic(data, truth, np.array([6.0]))

    def failing(*arguments, **keywords):
        found = real_best(*arguments, **keywords)
        found.converged[1:3] = False  # of the first toy minuit, too, has no verdict
        return found

    def shallow(*arguments):
        found = real_refit(*arguments)
        return replace(found, twice_nll=found.twice_nll + shift)

    monkeypatch.setattr(toys, "best_of", failing)
    monkeypatch.setattr(toys, "refit_with_pyhf", shallow)
    shift = 3.0
    again, _, same = work.statistic(data, truth, np.array([6.0]))
    np.testing.assert_array_equal(again, t)
    np.testing.assert_array_equal(same, best)
    # and where minuit is the deeper one, its minimum is taken
    shift = -3.0
    found = work._settled(data, failing(work.compiled, data, truth[np.newaxis]), truth[np.newaxis],
                          work.free)  # fmt: skip
    plain = real_best(work.compiled, data, truth[np.newaxis])
    assert found.converged.all()
    assert found.twice_nll[1:3] == pytest.approx(plain.twice_nll[1:3] - 3.0, abs=1e-3)
    np.testing.assert_array_equal(
        found.twice_nll[[0, *range(3, 8)]], plain.twice_nll[[0, *range(3, 8)]]
    )


# ------------------------------------------------------------------------------- questions


@pytest.mark.slow
def test_toys_agree_with_asymptotic_cls():
    """munu_mu: the limits agree within the toys' error, far from any second minimum."""
    (asymptotic,) = nuhf.limit(EXPERIMENT, "munu_mu", method="cls")
    (found,) = nuhf.limit(EXPERIMENT, "munu_mu", method="cls", toys=1000, seed=3, jobs=1)
    error = found.toys["end_errors"][0][1]
    assert 0 < error < 0.03 * found.upper_limit
    assert abs(found.upper_limit - asymptotic.upper_limit) < 4 * error
    assert found.toys["unconverged"] == 0
    assert "seed 3" in found.notes[-1]
    assert asymptotic.toys is None
    assert "toys" not in asymptotic.to_dict()


def test_the_error_of_cls_is_its_spread(monkeypatch):
    """Toys that are exponential, of means 1 and 2: CLs at 2 is exp(-2) / exp(-1)."""
    number, rng = 400, np.random.default_rng(6)
    heights = np.array([0.0, 2.0, 2.0])
    monkeypatch.setattr(toy_cls, "conditional", lambda *given: (np.zeros((3, 1)), heights))
    problem = SimpleNamespace(profiler=lambda: SimpleNamespace(index=0))

    def made(tasks):
        means = [1.0 if task["key"][2] == 0 else 2.0 for task in tasks]
        return [{"t": rng.exponential(m, t["number"])} for m, t in zip(means, tasks, strict=True)]

    opened, options = SimpleNamespace(map=made), ToyOptions(number, seed=1)
    found = [
        toy_cls._tested(problem, opened, options, (0.0, 0.0), np.array([1.0, 3.0]), 0)[:2]
        for _ in range(400)
    ]
    ratios, errors = np.array(found).transpose(1, 0, 2).reshape(2, -1)
    assert ratios.mean() == pytest.approx(np.exp(-1.0), rel=0.02)
    assert ratios.std() == pytest.approx(errors.mean(), rel=0.1)


def test_every_tested_value_has_random_numbers_of_its_own(monkeypatch):
    """The second look, near the crossing, makes new toys."""
    used = []

    def tested(problem, opened, options, best, values, first):
        used.extend(range(first, first + len(values)))
        return np.exp(-values), 0.05 * np.exp(-values), 0

    monkeypatch.setattr(toy_cls, "_tested", tested)
    monkeypatch.setattr(toy_cls, "toy_setup", lambda *given: None)
    monkeypatch.setattr(toy_cls, "asked", lambda *given: {})
    monkeypatch.setattr(
        toy_cls, "session", lambda *given: nullcontext(SimpleNamespace(backend="none"))
    )
    found = toy_cls.toy_cls(None, 0.9, ToyOptions(100), (0.0, 0.0), 2.0)
    assert found.limit == pytest.approx(np.log(10.0), rel=1e-3)
    assert len(used) == len(set(used)) == len(found.values)


def test_the_expected_band(problem_of):
    """Ordered; the median is the limit from the Asimov data themselves."""
    (found,) = nuhf.limit(EXPERIMENT, "munu_mu", method="cls", asimov=True)
    band = [found.expected[name] for name in BAND]
    assert (np.diff(band) > 0).all()
    assert found.expected["median"] == pytest.approx(found.upper_limit, rel=1e-4)
    (other,) = nuhf.limit(EXPERIMENT, "munu_mu")
    assert "expected" not in other.to_dict()


def test_the_expected_band_is_pyhf_s(stock_of):
    import pyhf

    (found,) = nuhf.limit(EXPERIMENT, "munu_mu", method="cls")
    _, model, data, _ = stock_of("munu_mu")
    pyhf.set_backend("numpy", pyhf.optimize.minuit_optimizer(tolerance=1e-3))
    try:
        for k, name in enumerate(BAND):
            value = (found.expected[name] / 1e-9) ** 2
            _, expected = pyhf.infer.hypotest(
                value, data, model, test_stat="qtilde", return_expected_set=True
            )
            assert float(expected[k]) == pytest.approx(0.1, abs=1e-3)
    finally:
        pyhf.set_backend("numpy", "scipy")


def test_goodness_of_fit_and_discovery():
    found = nuhf.fit(EXPERIMENT, toys=300, seed=1, jobs=1)
    quality = found.goodness
    # 99 bins with a dozen events each: chi2 is not far
    assert quality["p_value_toys"] == pytest.approx(quality["p_value"], abs=0.15)
    assert quality["p_value_toys_error"] == pytest.approx(0.02, abs=0.01)
    # the collaboration: 11.6 sigma (arXiv:2110.07730)
    assert found.significance["sigma"] == pytest.approx(11.6, abs=0.5)
    assert "significance" not in nuhf.fit(nuhf.model(EXPERIMENT, "qnu_ee")).to_dict()


@pytest.mark.parametrize("size", [0.0, 0.25, 1.0])
def test_discovery_of_signals_of_any_size(problem_of, size):
    """Data as expected: the best fit is the truth, and q0 what the profile says at 0."""
    problem = problem_of("norm_cevns")
    compiled = problem.engine.compiled
    truth = compiled.inits.copy()
    truth[compiled.index("norm_cevns")] = size
    found = questions.fit(replace(problem, data=compiled.expected_full(truth)))
    profiler = problem.profiler(compiled.expected_full(truth))
    rise = float(profiler.at(np.zeros(1))[0] - compiled.twice_nll(truth, profiler.data))
    assert found.parameters["norm_cevns"][0] == pytest.approx(size, abs=1e-3)
    assert found.significance["q0"] == pytest.approx(rise, abs=1e-4)
    assert found.significance["sigma"] == pytest.approx(np.sqrt(max(rise, 0.0)), abs=1e-2)
    assert (rise > 3.0) == (size > 0.0)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"toys": 5}, "toys = 5"),
        ({"toys": 100, "seed": -1}, "seed = -1"),
        ({"toys": 100, "points": 2}, "points = 2"),
        ({"toys": 100, "jobs": 0}, "jobs = 0"),
    ],
)
def test_options_out_of_range(options, message):
    with pytest.raises(InputError, match=message):
        ToyOptions(**options)
