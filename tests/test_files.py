"""Questions to pyhf files: any workspace, patched or combined, ours or not."""

import copy
import io
import json
import time

import atlas_style
import numpy as np
import pyhf
import pytest
from conftest import EXPERIMENT as X
from conftest import ROOT, problems
from random_workspaces import random_workspace
from scipy.stats import norm

import nuhf
from nuhf.errors import FitError, InputError, ModelError, NuhfError
from nuhf.likelihood.evaluate import compile_model
from nuhf.likelihood.fit import fit, refit_with_pyhf
from nuhf.stats.explore import explored
from nuhf.stats.intervals import threshold
from nuhf.workspaces.native import load_model

SHIPPED = ROOT / "workspaces" / X
TYPES = {"normfactor", "normsys", "histosys", "lumi", "staterror", "shapesys", "shapefactor"}


# ------------------------------------------------------------------- compiled against pyhf


def test_fifty_random_workspaces_compile_to_what_pyhf_has():
    """All seven modifier types: expected counts to 1e-10, 2NLL to 1e-8."""
    seen = set()
    for seed in range(50):
        model, data = load_model(random_workspace(seed))
        seen |= {kind for _, kind in model.config.modifiers}
        compiled = compile_model(model)
        rng = np.random.default_rng(seed)
        size = np.where(compiled.inits == 0.0, 1.2, 0.15)
        theta = np.clip(compiled.inits + size * rng.normal(size=size.shape), *compiled.bounds.T)
        theta = np.where(compiled.fixed, compiled.inits, theta)
        np.testing.assert_allclose(
            compiled.expected(theta), model.expected_actualdata(theta), rtol=1e-10
        )
        assert float(compiled.twice_nll(theta, data)) == pytest.approx(
            float(-2 * model.logpdf(theta, data)[0]), abs=1e-8
        )
    assert seen == TYPES


@pytest.mark.parametrize("seed", [0, 2])
def test_derivatives_with_a_shape_that_channels_share(seed):
    model, data = load_model(random_workspace(seed))
    compiled = compile_model(model)
    theta = compiled.inits + 0.05
    step = 1e-5 * np.eye(theta.size)
    numeric = [
        (compiled.twice_nll(theta + s, data) - compiled.twice_nll(theta - s, data)) / 2e-5
        for s in step
    ]
    np.testing.assert_allclose(compiled.gradient(theta, data), numeric, rtol=1e-5, atol=1e-5)


FIFTY = [seed if seed == 3 else pytest.param(seed, marks=pytest.mark.slow)
         for seed in range(50)]  # fmt: skip


def lowest_in_pyhf(model, data, starts, value=None):
    """The lowest of pyhf's fits with minuit from several starts.

    From its one start pyhf may end in a shallower minimum, from our point not.
    """
    held, poi = np.array(model.config.suggested_fixed()), model.config.poi_index
    starts = np.array([model.config.suggested_init(), *starts])
    if value is not None:
        held[poi], starts[:, poi] = True, value
    fits = [refit_with_pyhf(model, data, start, held, tolerance=1e-4) for start in starts]
    return min(one.twice_nll[0] for one in fits if one.converged[0])


@pytest.mark.parametrize("seed", FIFTY)
def test_profiles_and_limits_of_random_workspaces_are_those_of_pyhf_and_minuit(seed):
    """2NLL at two values and at the ends of the interval above the minimum: 1e-4.

    Of all fifty, with 57 ends, the largest difference at an end is 5e-8.
    """
    spec = random_workspace(seed)
    (found,) = nuhf.limit(spec, cl=0.9)
    model, data = load_model(spec)
    # as questions do: fits begin on every branch of the nuisances (seed 16 has two)
    profiler = explored(nuhf.open(spec).problem).profiler()

    def both(values):
        points, heights = profiler.fits_at([profiler.index], np.array(values)[:, np.newaxis])
        rows = zip(values, points, strict=True)
        return heights, [lowest_in_pyhf(model, data, [point], value) for value, point in rows]

    np.testing.assert_allclose(*both([0.3, 1.5]), atol=1e-4)
    best = profiler.fits_at([profiler.index], np.array([[found.best_fit]]))[0]
    lowest = lowest_in_pyhf(model, data, best)
    assert found.twice_nll_min == pytest.approx(lowest, abs=1e-4)
    ends = [end for piece in found.intervals for end in piece if end > 0]
    assert ends
    np.testing.assert_allclose(np.array(both(ends)) - lowest, threshold(0.9), atol=1e-4)


class Deepest:
    """Profiles of a file from 60 random starts: what every search for minima must find."""

    def __init__(self, spec):
        model, self.data = load_model(spec)
        self.compiled, self.poi = compile_model(model), model.config.poi_index
        compiled = self.compiled
        size = np.where(compiled.inits == 0.0, 1.5, 0.3)
        starts = compiled.inits + size * np.random.default_rng(5).normal(size=(60, size.size))
        starts = np.clip(np.where(compiled.fixed, compiled.inits, starts), *compiled.bounds.T)
        self.starts = np.vstack([compiled.inits, starts])

    def __call__(self, value=None, data=None):
        starts, free, poi = self.starts.copy(), ~self.compiled.fixed, self.poi
        if value is not None:
            free[poi], starts[:, poi] = False, value
        rows = np.tile(self.data if data is None else data, (len(starts), 1))
        done = fit(self.compiled, rows, starts=starts, free=free)
        best = int(np.argmin(np.where(done.converged, done.twice_nll, np.inf)))
        return done.parameters[best], done.twice_nll[best]


def test_no_question_stops_in_a_shallower_minimum():
    """Two minima in the nuisances: from the nominal ones alone a scan is up to 0.18 too high."""
    spec = random_workspace(16)
    deepest = Deepest(spec)
    _, lowest = deepest()
    assert nuhf.fit(spec).twice_nll == pytest.approx(lowest, abs=1e-4)
    found = nuhf.scan(spec, bracket=(0.5, 2.0), points=4)
    heights = [deepest(value)[1] - lowest for value in found.values]
    np.testing.assert_allclose(found.delta - found.delta.min(), heights - min(heights), atol=1e-4)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(50))
def test_cls_limits_of_fifty_random_workspaces_are_those_of_pyhf_and_minuit(seed):
    """To 0.1 %: pyhf's CLs is above 0.05 below the limit, and below it above (arXiv:1007.1727).

    Its fits begin at its start and at the deepest of 61 of ours. From its start alone
    `pyhf.infer.hypotest` agrees for 37 of the 50; for the rest a fit of the data or of the Asimov
    data ends in a shallower minimum, and limits were up to 43 % off when ours did.
    """
    spec = random_workspace(seed)
    deepest = Deepest(spec)
    model, observed = load_model(spec)
    (found,) = nuhf.limit(spec, cl=0.95, method="cls")
    asimov = deepest.compiled.expected_full(deepest(0.0)[0])

    def cls(value):
        q, q_asimov = (
            lowest_in_pyhf(model, data, [deepest(value, data)[0]], value)
            - lowest_in_pyhf(model, data, [deepest(None, data)[0]])
            for data in (observed, asimov)
        )
        root, root_asimov = np.sqrt([q, q_asimov])
        far = (q + q_asimov) / (2 * root_asimov), (q - q_asimov) / (2 * root_asimov)
        above, expected = norm.sf(far if q > q_asimov else (root, root - root_asimov))
        return above / expected

    assert cls(0.999 * found.upper_limit) > 0.05 > cls(1.001 * found.upper_limit)


def test_an_observed_limit_is_told_where_an_expected_one_is_beyond_the_file():
    """Seven of the fifty had none: 2 sigma above the median the limit is above 10, the bound."""
    (found,) = nuhf.limit(random_workspace(34), cl=0.95, method="cls")
    assert found.upper_limit == pytest.approx(4.980, abs=0.002)
    assert found.expected is None
    assert any("no expected limits: one is beyond the range, 10" in note for note in found.notes)


def plain_pyhf(spec):
    workspace = pyhf.Workspace(spec)
    settings = {"normsys": {"interpcode": "code4"}, "histosys": {"interpcode": "code4p"}}
    model = workspace.model(modifier_settings=settings)
    return model, workspace.data(model)


@pytest.fixture
def minuit():
    pyhf.set_backend("numpy", pyhf.optimize.minuit_optimizer(tolerance=1e-3))
    yield
    pyhf.set_backend("numpy", "scipy")


def test_cls_at_our_limit_is_what_pyhf_has_there(minuit):
    """CLs falls by a tenth of itself where the parameter moves by 2 %: 0.1 % of the limit."""
    (found,) = nuhf.limit(atlas_style.workspace(), "mu_SIG", cl=0.95, method="cls")
    model, data = plain_pyhf(atlas_style.workspace())
    cls = float(pyhf.infer.hypotest(found.upper_limit, data, model))
    assert cls == pytest.approx(0.05, rel=4e-3)


@pytest.mark.slow
def test_a_cls_limit_is_that_of_pyhf(minuit):
    """To 0.1 %; pyhf takes most of a minute where the compiled likelihood takes a second."""
    (found,) = nuhf.limit(atlas_style.workspace(), "mu_SIG", cl=0.95, method="cls")
    model, data = plain_pyhf(atlas_style.workspace())
    limits = pyhf.infer.intervals.upper_limits.upper_limit(data, model, scan=None, rtol=1e-5)
    assert found.upper_limit == pytest.approx(float(limits[0]), rel=1e-3)
    band = ("minus2", "minus1", "median", "plus1", "plus2")
    for ours, theirs in zip(band, limits[1], strict=True):
        assert found.expected[ours] == pytest.approx(float(theirs), rel=2e-3)


def test_a_region_that_a_file_does_not_close_is_called_open():
    """Its range is that of the file: nothing wider is tried."""
    spec = pyhf.simplemodels.uncorrelated_background([0.1, 0.1], [100.0, 50.0], [10.0, 5.0]).spec
    spec = {
        "channels": spec["channels"],
        "observations": [{"name": "singlechannel", "data": [100, 50]}],
        "measurements": [{"name": "m", "config": {"poi": "mu", "parameters": []}}],
        "version": "1.0.0",
    }
    with pytest.raises(FitError, match="the region is not closed"):
        nuhf.limit(spec)


def test_a_sample_without_events_has_none_in_the_fit():
    spec = atlas_style.workspace()
    for channel in spec["channels"]:
        zeros = [0.0] * len(channel["samples"][0]["data"])
        channel["samples"].append({"name": "none", "data": zeros, "modifiers": []})
    assert nuhf.fit(spec).counts["none"] == (0.0, 0.0, 0.0)


def test_a_moment_of_a_stock_file_is_at_the_sm_unless_injected(problem_of):
    """Its start beside the bound is for optimizers: Asimov data are those of the experiment."""
    path = ROOT / "workspaces" / X / "munu_mu.stock.json"
    (entry,) = json.loads(path.read_text())["measurements"][0]["config"]["parameters"]
    assert entry["inits"][0] > 0
    (ours,), (theirs,) = (
        problems(name, parameter, asimov=True)
        for name, parameter in ((X, "munu_mu"), (str(path), None))
    )
    np.testing.assert_allclose(theirs.data, ours.data, rtol=1e-8)


def test_the_fit_of_a_file_is_drawn(cli, work):
    """Its spectra are those of its channels, in counts per bin."""
    (work / "w.json").write_text(json.dumps(random_workspace(1)))
    ran = cli("fit", "w.json", "-o", "out")
    assert (ran.code, "Traceback" in ran.err) == (0, False)
    assert {"fit.csv", "fit.json", "spectrum.png"} <= {p.name for p in (work / "out").iterdir()}
    opened = nuhf.open(work / "w.json")
    found, places = opened.expected().regions, opened.problem.description.bins
    assert list(found) == list(places)
    total = opened.engine.compiled.expected(opened.engine.compiled.inits)
    for name, here in places.items():
        np.testing.assert_array_equal(found[name].observed, opened.data[here])
        np.testing.assert_allclose(sum(found[name].expected.values()), total[here], rtol=1e-12)


# --------------------------------------------------------------------------- our own files


@pytest.mark.parametrize("name", ["qnu_mumu.native", "qnu_mumu.stock", "munu_mu.stock"])
def test_a_file_of_ours_has_the_limit_of_its_experiment(name):
    """Units are read from the names; the file knows the parameter by nuhf's name, too."""
    (ours,) = nuhf.limit(X, name.split(".")[0])
    for parameter in (None, name.split(".")[0]):
        (found,) = nuhf.limit(str(SHIPPED / f"{name}.json"), parameter)
        assert found.parameter == ours.parameter
        assert found.unit == ours.unit
        exact = "native" in name or "munu" in name
        rtol = 1e-6 if exact else 1e-4
        np.testing.assert_allclose(found.intervals, ours.intervals, rtol=rtol)
        assert (found.upper_limit is None) == (ours.upper_limit is None)


@pytest.fixture(scope="module")
def moment():
    return nuhf.workspace(X, "munu_mu")


def test_a_combination_with_an_atlas_like_file_is_the_sum_by_hand(moment):
    """Nothing is shared: 2NLL of the two add up, each profiled alone."""
    other = atlas_style.workspace()
    (alone,) = nuhf.limit(X, "munu_mu")
    combined = nuhf.combine([moment, other], poi="munu2_mu_em18")
    for files in ([moment, other], combined):
        (found,) = nuhf.limit(files, "munu_mu")
        np.testing.assert_allclose(found.intervals, alone.intervals, rtol=1e-6)
    (first,), (second,), (both,) = (
        problems(names, "munu_mu" if i != 1 else "mu_SIG")
        for i, names in enumerate((moment, other, [moment, other]))
    )
    theta = np.array([0.0, 1.0, 3.5])
    _, lowest = second.profiler().best(np.array([1.0]))
    np.testing.assert_allclose(
        both.profiler().at(theta), first.profiler().at(theta) + lowest, rtol=0, atol=1e-6
    )


def test_a_nuisance_in_both_files_is_one(moment):
    """By hand: the sum of both 2NLL at equal flux, minus the constraint that is there twice."""
    other = atlas_style.workspace()
    text = json.dumps(other).replace("ttbar_shower", "flux_sns")
    (both,) = problems([moment, json.loads(text)], "munu_mu")
    (first,), (second,) = problems(moment), problems(json.loads(text))
    rng = np.random.default_rng(1)
    point = {n: 0.3 * rng.normal() for n in both.engine.compiled.names}
    point |= {n: 1.0 + 0.01 * rng.normal() for n in point if "[" in n or n in ("lumi", "mu_ttbar")}
    point |= {"munu2_mu_em18": 2.0, "mu_SIG": 0.5}
    one, two, sum_ = (
        float(p.engine.compiled.twice_nll([point[n] for n in p.engine.compiled.names], p.data))
        for p in (first, second, both)
    )
    assert sum_ == pytest.approx(one + two - point["flux_sns"] ** 2 - np.log(2 * np.pi), abs=1e-8)


# ------------------------------------------------------------------------- command and Python


def test_every_question_takes_a_file(cli, work, monkeypatch):
    (work / "lhc.json").write_text(json.dumps(atlas_style.workspace()))
    limit = json.loads(cli("limit", "lhc.json", "--json").out)["results"][0]
    assert (limit["parameter"], limit["experiments"]) == ("mu_SIG", ["lhc.json"])
    with io.TextIOWrapper((work / "lhc.json").open("rb")) as stdin:
        monkeypatch.setattr("sys.stdin", stdin)
        piped = json.loads(cli("limit", "-", "--json").out)["results"][0]
    assert piped["intervals"] == limit["intervals"]
    fit = json.loads(cli("fit", "lhc.json", "--json").out)
    assert fit["units"]["JES"] == "sigma"
    assert fit["units"]["lumi"] == fit["units"]["staterror_SR_meff[0]"] == "1"
    assert fit["parameters"]["mu_SIG"][0] == pytest.approx(limit["best_fit"], rel=1e-3)
    scan = cli("scan", "lhc.json", "-p", "mu_ttbar", "-o", "-")
    assert scan.code == 0
    contour = cli("contour", "lhc.json", "-p", "mu_SIG", "-p", "mu_ttbar", "--points", 12, "--json")
    assert json.loads(contour.out)["parameters"] == ["mu_SIG", "mu_ttbar"]
    ran = cli(
        "coverage", "lhc.json", "-p", "mu_SIG", "--true", 1, "--toys", 20, "--jobs", 1, "--json"
    )
    assert json.loads(ran.out)["toys"] == 20
    assert cli("limit", "lhc.json", "-o", "out").code == 0
    assert json.loads((work / "out" / "workspaces" / "mu_SIG.json").read_text())["channels"]
    bracketed = json.loads(cli("limit", "lhc.json", "--range", -2, 20, "--json").out)["results"][0]
    assert bracketed["intervals"][0][0] < 0  # a bare number has no physical bound


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[" * 3000, "nested too deeply"),
        ('{"channels": [NaN]}', "NaN is not JSON"),
        ('{"channels": [], "channels": []}', "key given twice"),
        ("", "-: "),
        ("[]", "stdin: not a workspace"),
    ],
)
def test_standard_input_is_read_as_strictly_as_files(cli, work, monkeypatch, text, words):
    (work / "in.json").write_text(text)
    with io.TextIOWrapper((work / "in.json").open("rb")) as stdin:
        monkeypatch.setattr("sys.stdin", stdin)
        ran = cli("limit", "-")
    assert ran.code == 2
    assert words in ran.err
    assert ran.err.count("\n") == 1


def test_patches_measurements_and_values():
    patches = json.loads((SHIPPED / "qnu_mumu.patches" / "patchset.json").read_text())
    name = patches["patches"][-1]["metadata"]["name"]
    value = patches["patches"][-1]["metadata"]["values"][0]
    background = str(SHIPPED / "qnu_mumu.patches" / "BkgOnly.json")
    patch = [f"{SHIPPED / 'qnu_mumu.patches' / 'patchset.json'}:{name}"]
    grid = problems(background, "strength", patch=patch)[0]
    exact = problems(X, "qnu_mumu")[0]
    ends = grid.profiler().at(np.array([0.0, 1.0]))
    np.testing.assert_allclose(
        np.diff(ends), np.diff(exact.profiler().at(np.array([0.0, value]))), atol=2e-5
    )
    spec = atlas_style.workspace()
    second = copy.deepcopy(spec["measurements"][0])
    second["name"] = "second"
    second["config"]["poi"] = "mu_ttbar"
    spec["measurements"].append(second)
    assert problems(spec, measurement="second")[0].parameter.name == "mu_ttbar"
    held = problems(
        spec, measurement="second", fixed={"mu_SIG": 0.0}, fixed_nuisances=["J*", "lumi=1.01"]
    )
    problem = held[0]
    assert problem.engine.compiled.fixed[problem.engine.compiled.index("JES")]
    best, _ = problem.profiler().best(np.array([1.0]))
    compiled = problem.engine.compiled
    assert [best[compiled.index(n)] for n in ("mu_SIG", "JES", "lumi")] == [0.0, 0.0, 1.01]


def broken(change):
    spec = atlas_style.workspace()
    change(spec)
    return spec


BAD = {
    "schema": (lambda s: s.pop("version"), "version"),
    "length": (lambda s: s["channels"][0]["samples"][0]["data"].append(1.0), "SR_meff"),
    "poi": (lambda s: s["measurements"][0]["config"].update(poi="nope"), "acts on no sample"),
    "observations": (lambda s: s["observations"].pop(), "no observations"),
    "twice": (lambda s: s["channels"].append(s["channels"][0]), "2 channels"),
    "normsys": (
        lambda s: s["channels"][0]["samples"][1]["modifiers"][3]["data"].update(lo=-1.0),
        "factors must be positive",
    ),
}


@pytest.mark.parametrize("fault", BAD)
def test_a_broken_file_is_one_readable_line(cli, work, fault):
    change, words = BAD[fault]
    (work / "bad.json").write_text(json.dumps(broken(change)))
    ran = cli("limit", "bad.json", "-p", "mu_SIG")
    assert ran.code in (1, 2)
    assert ran.out == ""
    assert ran.err.count("\n") == 1
    assert words in ran.err


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"parameter": "nope"}, "no parameter 'nope'"),
        ({"parameter": "staterror_SR_meff"}, "value per bin"),
        ({"analysis": "khan2023"}, "of experiments"),
        ({"anapole": "khan"}, "for experiments"),
        ({"fixed_nuisances": ["nope*"]}, r"no nuisance 'nope\*'"),
        ({"fixed_nuisances": ["JES=x"]}, "NAME=VALUE with a number"),
        ({"fixed_nuisances": ["JES=9"]}, "between -5 and 5"),
        ({"fixed": {"mu_SIG": 1.0}}, "named twice"),
        ({"measurement": "nope"}, "has 2 measurements"),
    ],
)
def test_what_a_file_does_not_have_is_said(arguments, words):
    spec = atlas_style.workspace()
    if "measurement" in arguments:
        spec["measurements"].append({**spec["measurements"][0], "name": "second"})
    with pytest.raises(InputError, match=words):
        problems(spec, **{"parameter": "mu_SIG", **arguments})


def test_experiments_and_files_do_not_mix(moment):
    with pytest.raises(InputError, match="nuhf workspace first"):
        nuhf.limit([X, moment], "munu_mu")
    with pytest.raises(InputError, match="not of experiments"):
        nuhf.limit(X, "munu_mu", patch=["x.json"])
    with pytest.raises(NuhfError, match="no 'channels'"):
        nuhf.limit({"patches": []}, "munu_mu")
    with pytest.raises(ModelError):
        nuhf.limit({"channels": [], "version": "1.0.0"}, "munu_mu")


@pytest.mark.slow
def test_speed_beside_pyhf(moment):
    """Profile at ten values, both with the same starts, in one run."""
    spec = random_workspace(4)
    (problem,) = problems(spec)
    grid = np.linspace(0.2, 2.0, 10)
    profiler = problem.profiler()
    profiler.at(grid)
    begin = time.perf_counter()
    fast = profiler.at(grid)
    ours = time.perf_counter() - begin
    model, data = load_model(spec)
    pyhf.set_backend("numpy", "minuit")
    begin = time.perf_counter()
    slow = [
        float(pyhf.infer.mle.fixed_poi_fit(v, data, model, return_fitted_val=True)[1]) for v in grid
    ]
    theirs = time.perf_counter() - begin
    pyhf.set_backend("numpy", "scipy")
    np.testing.assert_allclose(fast, slow, rtol=0, atol=1e-3)
    print(f"compiled {ours / 10:.2g} s, pyhf with minuit {theirs / 10:.2g} s per fit")
    assert theirs > 20 * ours


def test_any_parameter_of_a_file_can_be_held(cli):
    path = ROOT / "workspaces" / X / "munu_mu.stock.json"
    ran = cli("fit", path, "--set", "flux_sns=0.5", "--json")
    assert json.loads(ran.out)["parameters"]["flux_sns"][0] == 0.5
    assert "no parameter 'zzz'" in cli("fit", path, "--set", "zzz=1").err
