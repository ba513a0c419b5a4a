"""Speed of the first analysis, one thread: ``nox -s benchmarks``.

Each benchmark asserts its target (stated in its docstring) on the median, where timing is on.
All are marked slow, so that an ordinary test run does not collect their time.
"""

import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pyhf
import pytest
from conftest import EXPERIMENT

from nuhf.couplings.parameters import get
from nuhf.experiments.catalogue import load
from nuhf.experiments.prepare import prepare
from nuhf.likelihood.fit import fit
from nuhf.questions import limit, scan
from nuhf.rates.signal import flavour_polynomial

pytestmark = [pytest.mark.slow, pytest.mark.benchmark(warmup=True, min_rounds=5)]
ANALYSIS = "cevns-only"
NUHF = str(Path(sys.executable).with_name("nuhf"))


def at_most(benchmark, seconds):
    if benchmark.enabled:
        median = benchmark.stats["median"]
        assert median <= seconds, f"median {median:.3g} s, target {seconds:g} s"


@pytest.fixture
def nuclei():
    """The experiment without electrons."""
    return load(EXPERIMENT, ANALYSIS)


@pytest.fixture
def nominal_only(nuclei):
    """The experiment without shape nuisances: one response."""
    norms = [n.name for n in nuclei.nuisances if n.kind == "norm"]
    return nuclei.changed({"analyses": {ANALYSIS: {"nuisances": norms}}})


def test_nominal_templates(benchmark, nominal_only):
    """All nominal templates of all flavours and couplings: at most 0.3 s.

    The direct recomputation beside it is the second implementation of the tests, which
    integrates on a fixed fine grid with the coupling in the amplitude.
    """
    (made,) = benchmark(prepare, nominal_only).templates
    assert not made.varied
    at_most(benchmark, 0.3)
    independent = pytest.importorskip("independent_csi2021")
    start = time.perf_counter()
    independent.Csi2021().by_source("qnu_mumu", 5e-8)
    direct = time.perf_counter() - start
    full = flavour_polynomial(made, [get("qnu_mumu")], "mu")
    start = time.perf_counter()
    for _ in range(1000):
        full.evaluate({"qnu_mumu_em8": 5.0})
    morphed = (time.perf_counter() - start) / 1000
    benchmark.extra_info["direct recomputation [s]"] = direct
    benchmark.extra_info["one evaluation of the polynomial [s]"] = morphed
    benchmark.extra_info["direct / evaluation"] = direct / morphed
    if benchmark.enabled:
        benchmark.extra_info["direct / build"] = direct / benchmark.stats["median"]
    assert direct / morphed > 100


def test_all_templates(benchmark, nuclei):
    """Nominal and six varied responses."""
    (made,) = benchmark(prepare, nuclei).templates
    assert len(made.varied) == 6


def test_polynomial(benchmark, templates):
    """99 bins at one coupling: at most 50 microseconds."""
    full = flavour_polynomial(templates, [get("qnu_mumu"), get("r2nu_mumu")], "mu")
    benchmark(full.evaluate, {"qnu_mumu_em8": 3.0, "r2nu_mumu_em32": -1.0})
    at_most(benchmark, 50e-6)


def three_fits(compiled, data, index, value):
    free = ~compiled.fixed
    held = free.copy()
    held[index] = False
    out = [fit(compiled, data).twice_nll]
    for at in (value, 0.0):
        start = compiled.inits.copy()
        start[index] = at
        out.append(fit(compiled, data, starts=start, free=held).twice_nll)
    return np.array(out)


def test_toys(benchmark, problem_of, stock_of):
    """500 toys, three fits each (free, POI at 3, POI at 0), at least 250 times faster than pyhf.

    pyhf: numpy and scipy, the same toys, the same three fits, the stock file.
    """
    problem = problem_of("munu_mu")
    compiled = problem.engine.compiled
    index = compiled.index("munu2_mu_em18")
    rng = np.random.default_rng(1)
    expected = compiled.expected_full(compiled.inits)
    data = np.tile(expected, (500, 1))
    data[:, : compiled.n_main] = rng.poisson(data[:, : compiled.n_main])
    data[:, compiled.n_main :] = rng.normal(data[:, compiled.n_main :], 1.0)
    ours = benchmark(three_fits, compiled, data, index, 3.0)

    _, model, _, _ = stock_of("munu_mu")
    assert list(model.config.par_names) == list(compiled.names)
    pyhf.set_backend("numpy", "scipy")
    number = 5 if benchmark.enabled else 1
    start = time.perf_counter()
    for k in range(number):
        theirs = [pyhf.infer.mle.fit(data[k], model, return_fitted_val=True)[1]]
        theirs += [
            pyhf.infer.mle.fixed_poi_fit(value, data[k], model, return_fitted_val=True)[1]
            for value in (3.0, 0.0)
        ]
        # SLSQP stops early; never lower than ours
        np.testing.assert_allclose(np.array(theirs, dtype=float), ours[:, k], rtol=0, atol=0.05)
        assert (np.array(theirs, dtype=float) > ours[:, k] - 1e-6).all()
    per_toy = (time.perf_counter() - start) / number
    if benchmark.enabled:
        compiled_per_toy = benchmark.stats["median"] / len(data)
        benchmark.extra_info["compiled, three fits [ms/toy]"] = 1e3 * compiled_per_toy
        benchmark.extra_info["pyhf numpy scipy, three fits [ms/toy]"] = 1e3 * per_toy
        benchmark.extra_info["ratio"] = per_toy / compiled_per_toy
        assert per_toy / compiled_per_toy >= 250


@pytest.mark.parametrize("parameter", ["qnu_ee", "munu_mu"])
def test_scan(benchmark, problem_of, parameter):
    """121 profiled points: at most 0.2 s."""
    problem = problem_of(parameter)
    found = limit(problem, 0.9, "delta-chi2")
    benchmark(scan, problem, 121, found)
    at_most(benchmark, 0.2)


def test_limit(benchmark, problem_of):
    """Search of the whole range, minima and ends, model built."""
    benchmark(limit, problem_of("qnu_ee"), 0.9, "delta-chi2")


def run(*arguments):
    subprocess.run([NUHF, *arguments], capture_output=True, check=True)


def test_process_limit(benchmark):
    """``nuhf limit -p qnu_mumu``, imports included: at most 3 s."""
    benchmark.pedantic(
        run, ("limit", EXPERIMENT, "-p", "qnu_mumu"), rounds=5 if benchmark.enabled else 1
    )
    at_most(benchmark, 3.0)


def test_process_help(benchmark):
    """``nuhf --help``: at most 0.3 s."""
    benchmark.pedantic(run, ("--help",), rounds=10 if benchmark.enabled else 1)
    at_most(benchmark, 0.3)
