"""Simulated data sets: their distribution, their files, their speed."""

import time
from functools import partial

import numpy as np
import pytest
from conftest import EXPERIMENT, ROOT
from scipy.stats import kstest, poisson
from test_compiled import everything_spec

import nuhf
from nuhf.errors import FitError, InputError
from nuhf.likelihood.fit import best_of

#: charges from coherent scattering alone
WITH = {"analysis": "cevns-only"}
simulate = partial(nuhf.simulate, f"{EXPERIMENT}:cevns-only")
rate = partial(nuhf.rate, EXPERIMENT, **WITH)


def log_density(poi, **options):
    return nuhf.log_density(nuhf.model(EXPERIMENT, poi, **WITH, **options))


@pytest.fixture(scope="module")
def fixed():
    return simulate({"qnu_ee": 1e-8}, 4000, nuisances="fixed")


@pytest.fixture(scope="module")
def drawn():
    return simulate({"qnu_ee": 1e-8}, 4000)


def test_twenty_thousand_data_sets_are_fast():
    """99 bins, nuisances of their own: 0.16 s alone; others may share the CPU."""
    density = log_density("qnu_ee")
    from nuhf.bayes.simulation import draw_data

    begin = time.process_time()
    made = draw_data(density, {"qnu_ee": 1e-8}, 20_000, 1, "drawn")
    assert time.process_time() - begin < 2.0
    assert made.counts.shape == (20_000, 99)


def test_fixed_nuisances_give_poisson_counts_and_normal_auxiliary_data(fixed):
    mean = np.sum([row for rows in rate({"qnu_ee": 1e-8}).values()
                   for row in rows.values()], axis=0)  # fmt: skip
    error = np.sqrt(mean / len(fixed.counts))
    assert (np.abs(fixed.counts.mean(axis=0) - mean) < 5 * error).all()
    np.testing.assert_allclose(fixed.counts.var(axis=0), mean, rtol=0.2)
    total = fixed.counts.sum(axis=1)
    assert kstest(total + np.random.default_rng(1).random(total.size) - 1.0,
                  lambda x: poisson(mean.sum()).cdf(np.floor(x))
                  + (x - np.floor(x)) * poisson(mean.sum()).pmf(np.floor(x) + 1)
                  ).pvalue > 1e-3  # fmt: skip
    for column in fixed.auxiliary.T:
        assert kstest(column, "norm").pvalue > 1e-3
    for name in set(fixed.names) - {"qnu_ee"}:
        assert np.ptp(fixed.truth[:, fixed.names.index(name)]) == 0.0


def test_drawn_nuisances_widen_the_counts_and_leave_auxiliary_data(drawn):
    assert np.ptp(drawn.auxiliary, axis=0).max() == 0.0
    total = drawn.counts.sum(axis=1)
    assert total.var() > 1.2 * total.mean()
    pull = drawn.truth[:, drawn.names.index("flux_sns")]
    assert kstest(pull, "norm").pvalue > 1e-3
    assert np.corrcoef(pull, total)[0, 1] > 0.2
    np.testing.assert_array_equal(drawn.truth[:, drawn.names.index("qnu_ee")], 1e-8)


def test_data_sets_are_those_of_the_workspace(fixed):
    """In pyhf's order: fitted with the compiled model they give back the truth on average."""
    density = log_density("qnu_ee", asimov=True)
    at = density.compiled.inits.copy()
    at[density.axes[0].index] = 1.0  # 1e-8 e
    held = density.free.copy()
    held[density.axes[0].index] = False
    found = best_of(density.compiled, fixed.data[:200], at[np.newaxis], free=held)
    assert found.converged.all()
    rest = found.parameters[:, held]
    error = rest.std(axis=0) / np.sqrt(len(rest))
    assert (np.abs(rest.mean(axis=0)) < 5 * error).all()


def test_seed_and_arrays_of_values(drawn):
    again = simulate({"qnu_ee": 1e-8}, 4000)
    np.testing.assert_array_equal(again.counts, drawn.counts)
    other = simulate({"qnu_ee": 1e-8}, 4000, seed=2)
    assert (other.counts != drawn.counts).any()
    values = np.linspace(-1e-6, 1e-6, 50)
    spread = simulate({"qnu_ee": values, "qnu_mumu": 0.0}, 50)
    np.testing.assert_allclose(spread.truth[:, spread.names.index("qnu_ee")], values, atol=1e-20)
    assert spread.couplings == ("qnu_ee", "qnu_mumu")


def test_at_the_sm_by_default():
    found = simulate(number=2000, nuisances="fixed")
    mean = np.sum([r for rows in rate().values() for r in rows.values()])
    assert found.counts.sum(axis=1).mean() == pytest.approx(mean, rel=5 / np.sqrt(2000 * mean))


def test_several_experiments_and_their_regions():
    found = nuhf.simulate([EXPERIMENT, "dresden-2"], {"munu_e": 1e-10}, 100)
    assert sum(found.regions.values()) == found.counts.shape[1]
    for name in found.regions:
        assert found.region(name).shape == (100, found.regions[name])
    with pytest.raises(KeyError):
        found.region("nowhere")


def test_gaussian_regions_say_what_their_counts_are():
    assert any("pseudo-counts" in note for note in nuhf.simulate("apv-cs", number=10).notes)


def test_a_workspace_file_can_be_simulated():
    path = ROOT / "workspaces" / EXPERIMENT / "qnu_mumu.native.json"
    found = nuhf.simulate(path, {"qnu_mumu": 1e-10}, 500, nuisances="fixed")
    same = nuhf.simulate(EXPERIMENT, {"qnu_mumu": 1e-10}, 500, nuisances="fixed")
    np.testing.assert_array_equal(found.counts, same.counts)


def test_files_hold_the_arrays(drawn, tmp_path):
    drawn.save(tmp_path / "sets.npz")
    with np.load(tmp_path / "sets.npz") as arrays:
        np.testing.assert_array_equal(arrays["counts"], drawn.counts)
        np.testing.assert_array_equal(arrays["truth"], drawn.truth)
        assert dict(zip(arrays["regions"], arrays["bins"], strict=True)) == drawn.regions
    drawn.save(tmp_path / "sets.csv")
    text = (tmp_path / "sets.csv").read_text(encoding="utf-8").splitlines()
    rows = [line.split(",") for line in text if not line.startswith("#")]
    assert rows[0][0].startswith("true_")
    assert len(rows) == 1 + len(drawn.counts)
    first = len(drawn.names)
    np.testing.assert_array_equal(np.array(rows[1][first : first + 99], float), drawn.counts[0])
    with pytest.raises(InputError, match=r"\.npz or \.csv"):
        drawn.save(tmp_path / "sets.json")


def test_the_result_speaks(drawn):
    assert "4000 data sets, nuisances drawn" in str(drawn)
    assert "qnu_ee: 1e-08" in drawn.table()
    assert "<pre>" in drawn._repr_html_()
    assert drawn.to_dict()["counts"][0] == drawn.counts[0].tolist()
    assert drawn.plot().axes
    axes = drawn.plot().axes[0]
    assert drawn.plot(axes) is axes.figure


@pytest.mark.parametrize(
    ("arguments", "keywords", "message"),
    [
        (({"qnu_ee": np.inf},), {}, "finite"),
        (({"nothing": 1.0},), {}, "unknown parameter"),
        (({"munu_e": -1e-10},), {}, "not below 0"),
        (({"qnu_ee": np.zeros(3)}, 4), {}, "shape"),
        (({}, 0), {}, "0 data sets"),
        (({}, 10, -1), {}, "seed"),
        (({}, 10), {"nuisances": "some"}, "allowed: drawn, fixed"),
    ],
)
def test_bad_questions_are_refused(arguments, keywords, message):
    with pytest.raises(InputError, match=message):
        simulate(*arguments, **keywords)


def test_expectations_below_zero_are_refused():
    """A strength of -30: the workspace's bins expect fewer than no events."""
    with pytest.raises(FitError, match="outside the model"):
        nuhf.simulate(everything_spec(), {"k": -30.0}, 10)


def test_command_writes_files(cli, work):
    ran = cli(
        "simulate",
        EXPERIMENT,
        "--analysis",
        "cevns-only",
        "--set",
        "qnu_ee=1e-8",
        "-n",
        "20",
        "-o",
        "sets.npz",
    )
    assert ran.code == 0, ran.err
    assert "20 data sets" in ran.out
    ran = cli("simulate", EXPERIMENT, "-n", "3", "--nuisances", "fixed", "-o", "-")
    assert len([line for line in ran.out.splitlines() if not line.startswith("#")]) == 4
    for bad in (["-n", "0"], ["--nuisances", "x"], ["--set", "qnu_ee"]):
        ran = cli("simulate", EXPERIMENT, *bad, "-o", "other.npz")
        assert ran.code == 2
        assert len(ran.err.splitlines()) == 1
    assert [p.name for p in work.iterdir()] == ["sets.npz"]


def test_nuisances_with_fewer_than_zero_events_are_drawn_again():
    """Far pulls of dresden-2's backgrounds expect -608 events: other nuisances take their place."""
    made = nuhf.simulate("dresden-2", number=1000)
    assert made.counts.shape[0] == 1000
    (note,) = (note for note in made.notes if "drawn again" in note)
    assert 0 < int(note.split()[0]) < 100
    few = nuhf.simulate("dresden-2", number=20)
    assert not [note for note in few.notes if "drawn again" in note]
