"""Speed of the combined fit of the xenon detectors, one thread: ``nox -s benchmarks``.

Each benchmark asserts its target (stated in its docstring) on the median, where timing is on.
"""

import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pyhf
import pytest
from conftest import problems

import nuhf
from nuhf.experiments.catalogue import load
from nuhf.experiments.prepare import prepare
from nuhf.likelihood.fit import fit
from nuhf.questions import limit
from nuhf.workspaces import encode

pytestmark = [pytest.mark.slow, pytest.mark.benchmark(warmup=False, min_rounds=3)]
NUHF = str(Path(sys.executable).with_name("nuhf"))
PAPER = "giunti-ternes2023"
MEASURED = ("pandax-4t-run0", "lz-ws2022", "xenonnt-sr0")
PARAMETER = "munu_eff"


def at_most(benchmark, seconds):
    if benchmark.enabled:
        median = benchmark.stats["median"]
        assert median <= seconds, f"median {median:.3g} s, target {seconds:g} s"


@pytest.fixture(scope="module")
def combined():
    (problem,) = problems(list(MEASURED), PARAMETER, analysis=PAPER)
    return problem


@pytest.mark.parametrize("name", [*MEASURED, "darwin-300ty"])
def test_templates(benchmark, name):
    """Templates, backgrounds and data of one experiment: at most 3 s."""
    benchmark(prepare, load(name, PAPER))
    at_most(benchmark, 3.0)


def test_combined_limit(benchmark, combined):
    """165 bins, 22 nuisances, model built: at most 5 s."""
    benchmark(limit, combined, 0.9, "delta-chi2")
    at_most(benchmark, 5.0)


@pytest.mark.parametrize(
    ("parameter", "options"),
    [(PARAMETER, ()), ("r2nu_ee", ("--profile", "radii"))],
)
def test_process_combined_limit(benchmark, parameter, options):
    """One 90 % CL interval of the combination as a whole process: at most 10 s."""
    command = [NUHF, "limit", *MEASURED, "--analysis", PAPER, "-p", parameter, *options]
    benchmark.pedantic(
        subprocess.run,
        (command,),
        {"capture_output": True, "check": True},
        rounds=3 if benchmark.enabled else 1,
    )
    at_most(benchmark, 10.0)


def test_toys(benchmark, combined):
    """200 toys, three fits each, at least 300 times faster than stock pyhf (numpy, scipy)."""
    compiled = combined.engine.compiled
    index = compiled.index(combined.parameter.fit_name)
    (found,) = nuhf.limit(list(MEASURED), PARAMETER, analysis=PAPER)
    value = combined.parameter.to_fit(found.upper_limit)
    rng = np.random.default_rng(1)
    data = np.tile(compiled.expected_full(compiled.inits), (200, 1))
    data[:, : compiled.n_main] = rng.poisson(data[:, : compiled.n_main])
    data[:, compiled.n_main :] = rng.normal(data[:, compiled.n_main :], 1.0)

    def three_fits():
        free = ~compiled.fixed
        held = free.copy()
        held[index] = False
        out = [fit(compiled, data).twice_nll]
        for at in (value, 0.0):
            start = compiled.inits.copy()
            start[index] = at
            out.append(fit(compiled, data, starts=start, free=held).twice_nll)
        return np.array(out)

    ours = benchmark(three_fits)
    assert np.isfinite(ours).all()

    spec = encode.stock(combined.description)
    model = pyhf.Workspace(spec).model()
    assert len(model.config.par_names) == len(compiled.names)
    order = [
        list(compiled.names).index(n if n in compiled.names else combined.parameter.fit_name)
        for n in model.config.par_names
    ]
    assert sorted(order) == list(range(len(order)))
    auxiliary = list(model.config.auxdata_order)
    theirs_of = [list(combined_auxiliary(combined)).index(n) for n in auxiliary]
    unit = combined.description.couplings[0].high / _poi(spec)["bounds"][0][1]
    pyhf.set_backend("numpy", "scipy")
    number = 3 if benchmark.enabled else 1
    start = time.perf_counter()
    for k in range(number):
        toy = np.concatenate([data[k, : compiled.n_main], data[k, compiled.n_main :][theirs_of]])
        theirs = [pyhf.infer.mle.fit(toy, model, return_fitted_val=True)[1]]
        theirs += [
            pyhf.infer.mle.fixed_poi_fit(at / unit, toy, model, return_fitted_val=True)[1]
            for at in (value, 0.0)
        ]
        # SLSQP stops early; never lower than ours
        assert (np.array(theirs, dtype=float) > ours[:, k] - 1e-3).all()
    per_toy = (time.perf_counter() - start) / number
    if benchmark.enabled:
        compiled_per_toy = benchmark.stats["median"] / len(data)
        benchmark.extra_info["compiled, three fits [ms/toy]"] = 1e3 * compiled_per_toy
        benchmark.extra_info["pyhf numpy scipy, three fits [ms/toy]"] = 1e3 * per_toy
        benchmark.extra_info["ratio"] = per_toy / compiled_per_toy
        assert per_toy / compiled_per_toy >= 300


def _poi(spec):
    return spec["measurements"][0]["config"]["parameters"][0]


def combined_auxiliary(problem):
    """Names of the constrained parameters in the order of the data."""
    from nuhf.workspaces.native import load_model

    model, _ = load_model(problem.spec)
    return model.config.auxdata_order
