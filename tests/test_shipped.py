"""The generated files of the repository: up to date, and of use to plain pyhf."""

import io
import json
import os
import re
import shutil
import subprocess
import sys
import textwrap
from pathlib import Path

import cabinetry
import numpy as np
import pyhf
import pytest
from conftest import EXPERIMENT, PARAMETERS, ROOT, problems

import nuhf
from nuhf import questions
from nuhf.couplings import parameters
from nuhf.rates.templates import read_templates
from nuhf.report import shipped
from nuhf.stats.cls import Asymptotic
from nuhf.workspaces import checks, encode

FOLDER = ROOT / "workspaces" / EXPERIMENT
PYHF = Path(sys.executable).with_name("pyhf")


# ----------------------------------------------------------------------------- reproducible


@pytest.fixture(scope="module")
def fresh(tmp_path_factory):
    root = tmp_path_factory.mktemp("fresh")
    return root, list(shipped.regenerate(root))


def same(ours, theirs, where):
    """Numbers to 1e-9 of themselves, all else exactly, key order included."""
    if isinstance(theirs, list) and ours == theirs:  # mostly so, and looked at quickly
        return
    if isinstance(theirs, dict):
        assert list(ours) == list(theirs), where
        for key in theirs:
            same(ours[key], theirs[key], f"{where}.{key}")
    elif isinstance(theirs, list):
        assert len(ours) == len(theirs), where
        for i, pair in enumerate(zip(ours, theirs, strict=True)):
            same(*pair, f"{where}[{i}]")
    elif isinstance(theirs, float):
        assert ours == pytest.approx(theirs, rel=1e-9, abs=1e-300), where
    else:
        assert ours == theirs, where


def same_errors(ours, theirs, where):
    """Take the errors out of two template sets: equal to rounding of what they are errors of.

    They are differences of two rules of quadrature; where those agree to the last digit, the
    difference is the rounding of one release of numpy.
    """
    one, two = ours.pop("errors"), theirs.pop("errors")
    assert {s: list(m) for s, m in one.items()} == {s: list(m) for s, m in two.items()}, where
    for source, monomials in two.items():
        for name, error in monomials.items():
            size = np.abs(theirs["nominal"][source][name]).max()
            assert one[source][name] == pytest.approx(error, rel=1e-9, abs=1e-14 * size), where


def same_digest(ours, theirs, path):
    """Take the digests out of two patch sets: the last bits of a workspace are those of numpy."""
    workspace = json.loads(path.with_name("BkgOnly.json").read_text())
    assert ours["metadata"].pop("digests") == {"sha256": pyhf.utils.digest(workspace)}
    theirs["metadata"].pop("digests")


def test_regenerate_writes_exactly_the_committed_files(fresh):
    root, written = fresh
    ours = {p.relative_to(root) for p in written}
    assert {p.relative_to(root) for p in root.rglob("*") if p.is_file()} == ours
    theirs = {
        p.relative_to(ROOT)
        for folder in ("templates", "workspaces")
        for p in (ROOT / folder).rglob("*")
        if p.is_file()
    }
    assert ours == theirs


def test_regenerated_content_equals_the_committed_one(fresh):
    root, written = fresh
    for path in written:
        committed = ROOT / path.relative_to(root)
        if path.suffix == ".json":
            ours, theirs = (json.loads(one.read_text()) for one in (path, committed))
            if path.is_relative_to(root / "templates"):
                for pair in zip(ours["sets"], theirs["sets"], strict=True):
                    if "as_in" not in pair[0]:
                        same_errors(*pair, path.name)
            if path.name == "patchset.json":
                same_digest(ours, theirs, path)
            same(ours, theirs, path.name)
        else:
            assert path.read_text(encoding="utf-8") == committed.read_text(encoding="utf-8")
        assert os.access(path, os.X_OK) == os.access(committed, os.X_OK)


def test_size_and_completeness(loaded):
    """DESIGN section 5: at most 6 MB together in git."""
    folders = (ROOT / name for name in ("templates", "workspaces"))
    assert sum(p.stat().st_size for one in folders for p in one.rglob("*") if p.is_file()) < 6e6
    assert set(PARAMETERS) == set(loaded.analysis.parameters)
    for parameter in PARAMETERS:
        assert (FOLDER / f"{parameter}.stock.json").is_file()
        native = FOLDER / f"{parameter}.native.json"
        assert native.is_file() == parameters.get(parameter).interferes


def test_files_of_templates_have_what_their_analysis_asks_for():
    """No monomial of charges where none is asked for, no pair of flavours without transitions."""
    only = read_templates(ROOT / "templates" / "xenonnt-8b" / "default.json")[0]
    assert only.monomials == ("1", "r", "r^2", "munu^2")
    assert set(only.flavours.values()) == set(parameters.FLAVOURS)
    some = read_templates(ROOT / "templates" / "xenonnt-8b" / "sr0-sr1.json")
    assert [one.process for one in some] == ["cevns_sr0", "cevns_sr1"]
    np.testing.assert_array_equal(some[0].nominal["b8_e"]["r"], only.nominal["b8_e"]["r"])
    both = read_templates(ROOT / "templates" / "xenonnt-sr0" / "giunti-ternes2023.json")[0]
    assert both.monomials == ("1", "q", "r", "q^2", "r^2", "munu^2")


def test_readme_states_the_measured_differences(problem_of):
    """The table of workspaces/README.md is an upper bound on a grid of its own."""
    text = (ROOT / "workspaces" / "README.md").read_text(encoding="utf-8")
    for name in ("qnu_ee", "munu_mu"):
        row = re.search(rf"^\| {EXPERIMENT} \| {name} \|(.*)\|$", text, re.MULTILINE).group(1)
        cells = [cell.strip() for cell in row.split("|")]
        check = shipped.stock_check(problem_of(name), 101)
        assert cells[0] == f"`{check.poi}`"
        assert cells[1] == f"{check.low:g} to {check.high:g}"
        for cell, found in ((cells[2], check.at_interval), (cells[3], check.largest)):
            bound = 1e-5 if cell == "below 1e-5" else float(cell)
            assert found <= 1.05 * bound


# ------------------------------------------------------------------------------ plain pyhf


def pyhf_json(*arguments):
    """Run pyhf's command line; standard output is JSON."""
    done = subprocess.run(
        [str(PYHF), *map(str, arguments)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def stock(parameter):
    return FOLDER / f"{parameter}.stock.json"


@pytest.fixture(scope="module")
def unit_of(problem_of, stock_of):
    """Base units of one unit of the stock POI (or its square)."""

    def make(parameter):
        return stock_of(parameter)[3] * parameters.get(parameter).scale

    return make


def check_fit(unit_of, parameter, optimizer):
    found = pyhf_json("fit", stock(parameter), "--optimizer", optimizer, "--value")
    entry = json.loads(stock(parameter).read_text())["measurements"][0]["config"]
    (best,) = found["mle_parameters"][entry["poi"]]
    (ours,) = nuhf.limit(EXPERIMENT, parameter)
    minima = [value**2 if parameters.get(parameter).squared else value
              for value, _ in ours.minima]  # fmt: skip
    offset = parameters.get(parameter).offset
    nearest = min(minima, key=lambda value: abs(value - best * unit_of(parameter)))
    ends = [end**2 if parameters.get(parameter).squared else end for end in ours.intervals[-1]]
    assert best * unit_of(parameter) + offset == pytest.approx(
        nearest, abs=0.01 * abs(ends[1] - ends[0])
    )


def test_pyhf_inspect():
    done = subprocess.run(
        [str(PYHF), "inspect", str(stock("qnu_mumu"))], capture_output=True, text=True, check=True
    )
    for word in ("coherent_csi_2021", "qnu_mumu_em6", "flux_sns", "normsys", "histosys"):
        assert word in done.stdout
    assert "powerfactor" not in done.stdout


@pytest.mark.parametrize("optimizer", ["scipy", "minuit"])
def test_pyhf_fit(unit_of, optimizer):
    check_fit(unit_of, "qnu_mumu", optimizer)


def our_cls(problem, value):
    """CLs of the fit parameter from our own profiles."""
    profiler = problem.profiler()
    seeds = problem.span().high * np.array([0.0, 0.02, 0.2])
    best, lowest = profiler.best(seeds)
    null = profiler.starts.copy()
    null[:, profiler.index] = 0.0
    free = profiler.free.copy()
    free[profiler.index] = False
    points, _ = problem.engine.minimise(problem.data, null, free)
    asimov = problem.profiler(problem.engine.compiled.expected_full(points[0]))
    best_a, lowest_a = asimov.best(seeds)
    i = profiler.index
    return Asymptotic(profiler, asimov, (best[i], lowest), (best_a[i], lowest_a))(value)


@pytest.mark.parametrize(("value", "optimizer"), [(0.5, "minuit"), (3.0, "scipy")])
def test_pyhf_cls_without_interference(problem_of, value, optimizer):
    """munu_mu^2 in 1e-18 mu_B^2; equal to our CLs. The best fit is at its bound, 0."""
    found = pyhf_json("cls", stock("munu_mu"), "--test-poi", value, "--optimizer", optimizer)
    assert found["CLs_obs"] == pytest.approx(our_cls(problem_of("munu_mu"), value), abs=2e-3)
    assert len(found["CLs_exp"]) == 5
    assert found["CLs_exp"] == sorted(found["CLs_exp"])


@pytest.mark.parametrize(("value", "optimizer"), [(-2e-4, "scipy"), (3e-4, "minuit")])
def test_pyhf_cls_on_both_sides_of_the_minimum(value, optimizer):
    """qnu_mumu in 1e-6 e, best fit 2e-7: above it CLs is small, below it q-tilde is 0."""
    found = pyhf_json("cls", stock("qnu_mumu"), "--test-poi", value, "--optimizer", optimizer)
    if value < 0:
        assert 0.5 <= found["CLs_obs"] <= 1
    else:
        assert 0 <= found["CLs_obs"] < 0.1


@pytest.mark.slow
def test_many_counts_want_longer_steps_on_the_command_line():
    """What README and validate tell of DARWIN: without the option CLs is wrong by 15 %."""
    path = str(ROOT / "workspaces" / "darwin-300ty" / "munu_eff.stock.json")
    steps = ["--optconf", "solver_options={eps: 1.0e-5}"]
    default, longer, minuit = (
        pyhf_json("cls", path, "--test-poi", 3.0, *options)["CLs_obs"]
        for options in ([], steps, ["--optimizer", "minuit"])
    )
    assert longer == pytest.approx(minuit, rel=1e-3)
    assert abs(default / minuit - 1.0) > 0.05


@pytest.mark.slow
@pytest.mark.parametrize("optimizer", ["scipy", "minuit"])
@pytest.mark.parametrize("parameter", PARAMETERS)
def test_pyhf_on_every_stock_file(problem_of, unit_of, parameter, optimizer):
    """The fit, and cls at both ends of the region.

    Not between a negative best fit and 0: q-tilde of the Asimov data is 0 there and pyhf
    divides by it (NaN), as this statistic is made for parameters bounded at 0.
    """
    check_fit(unit_of, parameter, optimizer)
    problem = problem_of(parameter)
    (ours,) = nuhf.limit(EXPERIMENT, parameter)
    to_poi = problem.parameter.scale / unit_of(parameter)
    for end in (ours.intervals[0][0], ours.intervals[-1][1]):
        value = problem.parameter.to_fit(end) * to_poi
        found = pyhf_json("cls", stock(parameter), "--test-poi", value, "--optimizer", optimizer)
        assert 0 <= found["CLs_obs"] <= 1
        assert all(0 <= x <= 1 for x in found["CLs_exp"])


FILES = sorted((ROOT / "workspaces").glob("*/*.stock.json"))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("backend", "optimizer"),
    [("numpy", "scipy"), ("numpy", "minuit"), ("jax", "scipy"), ("jax", "minuit")],
)
@pytest.mark.parametrize("path", FILES, ids=[f"{p.parent.name}-{p.stem}" for p in FILES])
def test_profiles_of_every_file_in_plain_pyhf(path, backend, optimizer):
    """Within 5e-3 of the native model where 2NLL < 9, free fit too; nothing negative at the SM."""
    if backend == "jax":
        pytest.importorskip("jax")
    spec = json.loads(path.read_text())
    workspace = pyhf.Workspace(spec)
    model = workspace.model()
    data = workspace.data(model)
    start = model.config.suggested_init()
    start[model.config.poi_index] = 0.0
    for sample in spec["channels"][0]["samples"]:
        assert any(sample["data"])
        counted = path.parent.name != "apv-cs"  # a Gaussian number, on a pedestal
        small = sample["name"].endswith(("_linear", "_square"))
        assert small or not counted or min(sample["data"]) >= 0
    assert (model.expected_actualdata(start) >= 0).all()
    (problem,) = problems(path.parent.name, path.name.removesuffix(".stock.json"))
    unit = encode.stock_unit(problem.description)
    near = problem.span().grid(241)
    depth = problem.profiler().at(near)
    near = near[depth - depth.min() < 9.0]
    values = np.linspace(near[0], near[-1], 7)
    exact = problem.profiler().at(values)
    # what README and validate tell: strategy 1 is pyhf's own for minuit with numpy, not with exact
    # gradients; longer steps are for many counts
    chosen = pyhf.optimize.minuit_optimizer(strategy=1)
    if optimizer == "scipy":
        steps = {"eps": 1e-5} if backend == "numpy" and checks.noisy_slopes(spec) else {}
        chosen = pyhf.optimize.scipy_optimizer(solver_options=steps)
    pyhf.set_backend(backend, chosen, precision="64b")
    try:
        model = workspace.model()
        theirs = np.array([
            float(pyhf.infer.mle.fixed_poi_fit(v / unit, data, model, return_fitted_val=True)[1])
            for v in values
        ])  # fmt: skip
        free = float(pyhf.infer.mle.fit(data, model, return_fitted_val=True)[1])
    finally:
        pyhf.set_backend("numpy", "scipy")
    lowest = int(np.argmin(exact))
    inside = exact - depth.min() < 9.0
    difference = (theirs - theirs[lowest]) - (exact - exact[lowest])
    assert np.abs(difference[inside]).max() < 5e-3
    # a coupling that interferes may have two minima: the free fit ends in one of them
    seeds = near[:: max(near.size // 25, 1)]
    minima = problem.profiler().minima(seeds)[1]
    if not problem.parameter.interferes:
        minima = np.array([problem.profiler().best(seeds)[1]])
    away = (free - theirs[lowest]) - (minima - exact[lowest])
    assert np.abs(away).min() < 5e-3


PLAIN = [path for path in FILES if path.stem.startswith("munu")]


def test_bounds_and_units_suit_the_defaults_of_other_tools():
    """Limits are 1 to 10 in the unit of the file, bounds 4 to 25 times the limit (cases, F17)."""
    path = ROOT / "workspaces" / "lz-ws2022" / "munu_eff.stock.json"
    (entry, *_) = json.loads(path.read_text())["measurements"][0]["config"]["parameters"]
    (problem,) = problems("lz-ws2022", "munu_eff")
    fitted = problem.parameter.to_fit(questions.limit(problem, 0.95, "cls").upper_limit)
    limit = fitted / encode.stock_unit(problem.description)
    assert 1.0 < limit < 10.0
    assert 4.0 < entry["bounds"][0][1] / limit < 26.0


@pytest.mark.slow
@pytest.mark.parametrize("path", PLAIN, ids=[path.parent.name for path in PLAIN])
def test_the_default_limit_of_cabinetry(path, request):
    """``cabinetry.fit.limit`` with nothing but model and data, 95 % CL."""
    if path.parent.name == "xenonnt-8b":
        reason = "at the bound minuit steps beyond -4 sigma of the linear efficiency, 25 %: NaN"
        fails = pytest.mark.xfail(raises=pyhf.exceptions.FailedMinimization, reason=reason)
        request.applymarker(fails)
    (problem,) = problems(path.parent.name, path.name.removesuffix(".stock.json"))
    ours = problem.parameter.to_fit(questions.limit(problem, 0.95, "cls").upper_limit)
    found = cabinetry.fit.limit(*cabinetry.model_utils.model_and_data(json.loads(path.read_text())))
    unit = encode.stock_unit(problem.description)
    assert found.observed_limit * unit == pytest.approx(ours, rel=0.02)


@pytest.mark.slow
def test_a_limit_with_nothing_but_sh_and_pyhf(tmp_path):
    """The shipped script, with a PATH that holds only what it calls, equals nuhf within 1 %."""
    path = tmp_path / "bin"
    path.mkdir()
    for name in ("sh", "awk", "sed", "tr"):
        (path / name).symlink_to(shutil.which(name))
    (path / "pyhf").symlink_to(PYHF)
    done = subprocess.run(
        [str(ROOT / "workspaces" / "cls_limit.sh"), str(stock("munu_mu")), "1", "9", "0.1"],
        capture_output=True, text=True, check=True,
        env={"PATH": str(path), "OMP_NUM_THREADS": "1"},
    )  # fmt: skip
    (ours,) = nuhf.limit(EXPERIMENT, "munu_mu", method="cls")
    assert float(done.stdout) * 1e-18 == pytest.approx(ours.upper_limit**2, rel=0.01)


@pytest.mark.slow
def test_a_limit_in_four_lines_of_python():
    """The recipe of workspaces/README.md; `upper_limit` ignores its level there."""
    text = (ROOT / "workspaces" / "README.md").read_text(encoding="utf-8")
    begin = text.index("    import json, pyhf")
    lines = textwrap.dedent(text[begin : text.index("level=0.1)", begin) + 10])
    made = {"open": lambda name: io.StringIO((ROOT / "workspaces" / name).read_text())}
    exec(lines, made)
    (ours,) = nuhf.limit(EXPERIMENT, "munu_mu", method="cls")
    assert float(made["limit"]) * 1e-18 == pytest.approx(ours.upper_limit**2, rel=5e-3)
