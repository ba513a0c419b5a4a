"""Patch sets: the model at each grid point exactly, in files that plain pyhf takes."""

import json
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyhf
import pytest
from conftest import problems

import nuhf
from nuhf import exchange
from nuhf.axes import axis, default_range
from nuhf.couplings.parameters import get
from nuhf.errors import InputError
from nuhf.experiments.prepare import prepare
from nuhf.histfactory import assemble
from nuhf.histfactory.describe import Channel, Coupling, Description, Norm, Sample, Shape
from nuhf.likelihood.evaluate import compile_model
from nuhf.workspaces import encode
from nuhf.workspaces.native import load_model
from nuhf.workspaces.patchset import FIX_STRENGTH, patch_grid

X = "coherent-csi-2021"
NUCLEI = f"{X}:cevns-only"  # charges as large as those of nuclear recoils
BIN = Path(sys.executable).parent
WORKSPACES = Path(__file__).resolve().parent.parent / "workspaces"


def plain_pyhf(*arguments, stdin=None):
    """Run the real pyhf in a process of its own."""
    ran = subprocess.run(
        [BIN / "pyhf", *map(str, arguments)], input=stdin, capture_output=True, text=True,
        check=True,
    )  # fmt: skip
    return ran.stdout


def patched(grid):
    """Yield the fit parameters and the patched workspace of every point, verified by pyhf."""
    patches, workspace = pyhf.PatchSet(grid.patchset), pyhf.Workspace(grid.background)
    for row, patch in zip(grid.points, patches, strict=True):
        assert patch.values == tuple(row)
        yield row, patches.apply(workspace, patch.name)


def assert_same_counts(description, grid, tolerance=1e-10):
    """Every point equals the native model at random nuisances, to the sum of magnitudes."""
    model, data = load_model(encode.native(description))
    exact = compile_model(model)
    labels = [c.parameter.fit_name for c in description.couplings]
    rng = np.random.default_rng(5)
    for row, workspace in patched(grid):
        point, point_data = load_model(workspace)
        made = compile_model(point)
        np.testing.assert_array_equal(data, point_data)
        for scale in (0.0, 0.7, 1.5):
            theta = exact.inits + scale * rng.normal(size=exact.inits.size)
            for label, value in zip(labels, row, strict=True):
                theta[exact.index(label)] = value
            other = [1.0 if n == "strength" else theta[exact.index(n)] for n in made.names]
            size = np.abs(model.main_model.expected_data(theta, return_by_sample=True)).sum(axis=0)
            difference = np.abs(exact.expected(theta) - made.expected(np.array(other)))
            assert (difference <= tolerance * size).all()


CASES = {
    "charge": ("default", ["qnu_ee"], [(-2e-9, 1.5e-9)]),
    "radius": ("default", ["r2nu_mumu"], [(-6e-31, 1e-31)]),
    "moment": ("default", ["munu_mu"], [(0.0, 3e-9)]),
    "angle": ("default", ["sin2thetaW"], [(0.1, 0.3)]),
    "transition": ("default", ["abs_qnu_emu"], [(0.0, 1e-9)]),
    "gaussian": ("khan2023", ["qnu_mumu"], [(-1e-7, 1e-7)]),
    "two": ("default", ["qnu_ee", "r2nu_mumu"], [(-1e-9, 1e-9), (-1e-31, 1e-31)]),
    "strength": ("default", ["munu_e", "norm_cevns"], [(0.0, 4e-9), (0.5, 1.5)]),
}


@pytest.mark.parametrize("case", CASES)
def test_each_point_is_the_model_with_all_its_nuisances(case):
    analysis, names, ranges = CASES[case]
    grid = exchange.patchset(X, names, brackets=ranges, points=[3], analysis=analysis)
    assert len(grid.points) == 3 ** len(names)
    description = assemble.describe([nuhf.load(X, analysis).prepared], names)
    assert_same_counts(description, grid)


def synthetic():
    """Two channels; one has two processes with different norms, linear norms as shapes."""
    counts = np.array([20.0, 12.0, 5.0])
    shape = {"tilt": Shape(counts * [1.1, 1.0, 0.8], counts * [0.95, 1.0, 1.3])}
    square = {"tilt": Shape(counts * [0.12, 0.1, 0.1], counts * [0.1, 0.1, 0.09])}
    norms = {"flux": Norm(1.1, 0.9)}
    label = get("qnu_ee").fit_name
    near = (
        Sample("bkg", "bkg", counts, {}, {"b": Norm(1.2, 0.8)}),
        Sample("cevns_e", "cevns", counts, {}, norms, shape),
        Sample("cevns_e_q", "cevns", -0.3 * counts, {label: 1}, norms),
        Sample("cevns_e_qq", "cevns", 0.1 * counts, {label: 2}, norms, square),
        Sample("eves_e_q", "eves", -0.1 * counts, {label: 1}, {"flux": Norm(1.2, 0.8)}),
        Sample("eves_e_qq", "eves", 0.2 * counts, {label: 2}, {"flux": Norm(1.2, 0.8)}),
    )
    regions = (
        Channel("near", 3 * counts, near, np.ones(3), 100.0),
        Channel("far", 2 * counts, near[:4], np.ones(3), 100.0),
    )
    return Description("both", regions, (Coupling(get("qnu_ee"), -10.0, 10.0, 0.0),))


def test_several_processes_and_channels():
    description = synthetic()
    grid = patch_grid(description, [np.array([-2e-8, 0.5e-8, 4e-8])])
    names = [[s["name"] for s in c["samples"]] for c in grid.background["channels"]]
    assert names[0] == ["bkg", "cevns_e", "signal_cevns_1", "signal_eves_2"]
    assert names[1] == ["bkg", "cevns_e", "signal"]
    assert_same_counts(description, grid)


def test_two_experiments(loaded, prepared):
    copy = loaded.experiment.model_copy(update={"name": "another"})
    both = [prepared, prepare(replace(loaded, experiment=copy))]
    description = assemble.describe(both, ["qnu_mumu"])
    grid = patch_grid(description, [np.array([-1e-9, 1e-9])])
    assert [len(p["patch"]) for p in grid.patchset["patches"]] == [4, 4]  # two signals
    assert_same_counts(description, grid)


# ------------------------------------------------------------------------------------ the files


def test_metadata():
    grid = exchange.patchset(
        X, ["qnu_ee", "munu_mu"], brackets=[(-1e-9, 1e-9), (0, 1e-9)], points=[3, 2]
    )
    metadata = grid.patchset["metadata"]
    assert metadata["labels"] == ["qnu_ee_em8", "munu2_mu_em18"]
    assert metadata["references"] == {"hepdata": "ins0000000"}
    assert metadata["digests"] == {"sha256": pyhf.utils.digest(grid.background)}
    assert "name" not in metadata
    assert "placeholder" in metadata["description"]
    assert any("placeholder" in note for note in grid.notes)
    assert all(re.fullmatch(r"[A-Za-z0-9_]+", name) for name in grid.names)
    assert len(set(grid.names)) == 6
    assert grid.names[0] == "qnu_ee_em8_m0p1_munu2_mu_em18_0"
    assert grid.points.tolist() == [[q, m] for q in (-0.1, 0, 0.1) for m in (0, 1)]
    named = exchange.patchset(X, "munu_mu", brackets=[(0, 1e-9)], points=[2], hepdata="ins1234567")
    assert named.patchset["metadata"]["references"] == {"hepdata": "ins1234567"}
    assert not any("placeholder" in note for note in named.notes)


def test_strength_cannot_make_an_expectation_negative():
    grid = exchange.patchset(X, "r2nu_ee", points=[15])
    entry = grid.background["measurements"][0]["config"]["parameters"][0]
    high = entry["bounds"][0][1]
    assert 1.0 <= high <= 10.0
    for _, workspace in patched(grid):
        made = compile_model(load_model(workspace)[0])
        theta = made.inits.copy()
        theta[made.index("strength")] = high
        assert (made.expected(theta) >= 0).all()


def test_the_background_alone_is_the_standard_model(prepared):
    grid = exchange.patchset(X, "qnu_ee", brackets=[(-1e-7, 1e-7)], points=[2])
    model, data = load_model(encode.native(assemble.describe([prepared], ["qnu_ee"])))
    workspace = pyhf.Workspace(grid.background)
    alone = workspace.model()
    # scipy, pyhf's default: minuit refuses the flat direction of a signal of zeros
    _, sm = pyhf.infer.mle.fixed_poi_fit(0.0, data, model, return_fitted_val=True)
    _, found = pyhf.infer.mle.fit(workspace.data(alone), alone, return_fitted_val=True)
    assert float(found) == pytest.approx(float(sm), abs=1e-4)


def test_default_range_covers_the_interval(problem_of):
    (found,) = nuhf.limit(X, "qnu_ee")
    low, high = default_range(problem_of("qnu_ee"))
    hull = found.intervals[0][0], found.intervals[-1][1]
    width = hull[1] - hull[0]
    assert hull[0] - 0.65 * width < low < hull[0] - 0.49 * width
    assert hull[1] + 0.49 * width < high < hull[1] + 0.65 * width
    assert default_range(problem_of("munu_mu"))[0] == 0.0
    values = axis(problem_of("munu_mu"), 5)
    assert values.shape == (5,)
    assert values[0] == 0.0


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"hepdata": "ins123"}, "7 digits"),
        ({"hepdata": "ins12345678"}, "7 digits"),
        ({"brackets": [(1e-7, -1e-7)]}, "lower one first"),
        ({"brackets": [(0, float("nan"))]}, "two numbers"),
        ({"brackets": [(0, 1), (0, 1)]}, "1 parameters need as many ranges, given: 2"),
        ({"points": [1]}, "points = 1"),
        ({"points": [10**9]}, "points = 1000000000"),
        ({"poi": []}, "name at least one parameter"),
        ({"experiments": str(WORKSPACES / X / "qnu_mumu.stock.json")}, "is a workspace"),
        ({"points": [2, 3]}, "number of points"),
        ({"poi": "munu_mu", "brackets": [(-1e-9, 1e-9)]}, "not below 0"),
        ({"poi": ["qnu_ee", "qnu_ee"], "brackets": [(0, 1e-8)] * 2}, "given twice"),
        ({"poi": ["qnu_ee", "qnu_mumu"], "brackets": [(0, 1e-8)] * 2, "points": [200]},
         "asked for: 40000"),
    ],
)  # fmt: skip
def test_refusals(changes, words):
    arguments = {"experiments": X, "poi": "qnu_mumu", "points": [2], **changes}
    with pytest.raises(InputError, match=re.escape(words)):
        exchange.patchset(**arguments)


# --------------------------------------------------------------------------- with plain pyhf


def test_command_and_pyhf_on_its_files(cli, work):
    ran = cli(
        "patchset", NUCLEI, "-p", "qnu_mumu", "--range", "-6e-8", "6e-8", "--points", 3, "-o", "g"
    )
    assert ran.code == 0
    assert "note: hepdata record ins0000000 is a placeholder" in ran.err
    assert sorted(p.name for p in Path("g").iterdir()) == [
        "BkgOnly.json", "fix_strength.json", "patchset.json",
    ]  # fmt: skip
    assert json.loads(Path("g/fix_strength.json").read_text()) == FIX_STRENGTH
    files = "g/BkgOnly.json", "g/patchset.json"
    assert "All good" in cli("pyhf", "patchset", "verify", *files).out
    assert "qnu_mumu_em8_m6" in cli("pyhf", "patchset", "inspect", files[1]).out
    name = ("--name", "qnu_mumu_em8_m6")
    for extra in ((), ("--with-metadata",)):
        out = json.loads(cli("pyhf", "patchset", "extract", *name, *extra, files[1]).out)
    assert out["metadata"]["values"] == [-6.0]
    assert out["metadata"]["name"] == name[1]
    applied = cli("pyhf", "patchset", "apply", *name, *files).out
    Path("point.json").write_text(json.dumps(out["patch"]))
    assert pyhf.Workspace(json.loads(applied)).model().config.poi_name == "strength"
    # the three below in pyhf's own process
    found = json.loads(plain_pyhf(
        "fit", "--value", "-p", "point.json", "-p", "g/fix_strength.json", files[0]
    ))  # fmt: skip
    assert found["mle_parameters"]["strength"] == [1.0]
    grid = exchange.patchset(NUCLEI, "qnu_mumu", brackets=[(-6e-8, 6e-8)], points=[3])
    exact = profile_native(grid, "numpy", "minuit", NUCLEI)[0]
    assert found["twice_nll"] == pytest.approx(exact, abs=1e-4)
    cls = json.loads(plain_pyhf("cls", "-p", "point.json", files[0]))
    assert 0 < cls["CLs_obs"] < 0.1
    assert "strength" in plain_pyhf("fit", files[0])


@pytest.mark.slow
def test_the_shell_script_gives_our_limit(tmp_path):
    """As in workspaces/README.md, on a grid of 8 points."""
    from nuhf import resources

    (found,) = nuhf.limit(NUCLEI, "qnu_mumu")
    ((low, high),) = found.intervals
    grid = exchange.patchset(NUCLEI, "qnu_mumu", brackets=[(-7e-8, 1.05e-7)], points=[8])
    resources.write_json(tmp_path / "BkgOnly.json", grid.background)
    resources.write_json(tmp_path / "patchset.json", grid.patchset)
    script = WORKSPACES / "profile_limit.sh"
    ran = subprocess.run(
        [script, tmp_path], capture_output=True, text=True, check=True,
        env={"PATH": f"{BIN}:/usr/bin:/bin", "OMP_NUM_THREADS": "1"},
    )  # fmt: skip
    ends = [float(text) * 1e-8 for text in ran.stdout.split()]
    assert ends == pytest.approx([low, high], rel=0.01)


def test_shipped_patch_set_is_valid_and_holds_the_interval():
    folder = WORKSPACES / X / "qnu_mumu.patches"
    read = [json.loads((folder / f"{n}.json").read_text()) for n in ("BkgOnly", "patchset")]
    patches = pyhf.PatchSet(read[1])
    patches.verify(pyhf.Workspace(read[0]))
    assert json.loads((WORKSPACES / "fix_strength.json").read_text()) == FIX_STRENGTH
    values = [patch.values[0] for patch in patches]
    (found,) = nuhf.limit(X, "qnu_mumu")
    assert min(values) * 1e-8 < found.intervals[0][0]
    assert found.intervals[-1][1] < max(values) * 1e-8


# -------------------------------------------------- 2NLL: native, stock continuous, patch grid


def fit_value(model, data, index, value, tolerance=1e-10):
    """2NLL minimised by pyhf with one parameter held at a value."""
    start, fixed = model.config.suggested_init(), model.config.suggested_fixed()
    start[index], fixed[index] = value, True
    bounds = model.config.suggested_bounds()
    bounds[index] = (min(bounds[index][0], value), max(bounds[index][1], value))

    def fitted(tolerance):
        return pyhf.infer.mle.fit(
            data, model, start, bounds, fixed, return_fitted_val=True, tolerance=tolerance
        )

    try:
        _, height = fitted(tolerance)
    except pyhf.exceptions.FailedMinimization:
        # Minuit's goal for its estimated distance to the minimum, 0.002 x tolerance, is then below
        # the rounding of 2NLL near 500 and met by chance; this one is 2e-9
        _, height = fitted(1e-6)
    return float(height)


def use(backend, optimizer):
    pyhf.set_backend(backend, getattr(pyhf.optimize, f"{optimizer}_optimizer")())


def profile(model, data, values, poi):
    index = model.config.par_slice(poi).start
    return np.array([fit_value(model, data, index, float(v)) for v in values])


def profile_native(grid, backend, optimizer, name=X):
    (parameter,) = grid.parameters
    description = assemble.describe([nuhf.load(name).prepared], [parameter.name])
    use(backend, optimizer)
    try:
        model, data = load_model(encode.native(description))
        return profile(model, data, grid.points[:, 0], parameter.fit_name)
    finally:
        pyhf.set_backend("numpy")


def three_profiles(name, backend, optimizer):
    """2NLL at 7 points up to 10 above the minimum, from the three encodings."""
    problem = problems(X, name)[0]
    (found,) = nuhf.limit(X, name, cl=0.998)  # 2NLL = 9.55
    low, high = found.intervals[0][0], found.intervals[-1][1]
    grid = exchange.patchset(X, name, brackets=[(low, high)], points=[7])
    native = profile_native(grid, backend, optimizer)
    use(backend, optimizer)
    try:
        spec = encode.stock(problem.description)
        workspace = pyhf.Workspace(spec)
        model = workspace.model()
        entry = spec["measurements"][0]["config"]["parameters"][0]
        unit = encode.stock_unit(problem.description)
        stock = profile(model, workspace.data(model), grid.points[:, 0] / unit, entry["name"])
        from_grid = []
        for _, point in patched(grid):
            model = point.model(patches=[FIX_STRENGTH])
            from_grid.append(profile(model, point.data(model), [1.0], "strength")[0])
    finally:
        pyhf.set_backend("numpy")
    return native, stock, np.array(from_grid)


def assert_agree(name, backend, optimizer):
    native, stock, grid = three_profiles(name, backend, optimizer)
    assert np.abs(native - grid).max() < 1e-6
    depth = native - native.min()
    low = depth < 10
    assert low.sum() >= 3
    assert np.abs(depth - (stock - stock.min()))[low].max() < 1e-2


@pytest.mark.parametrize(
    ("name", "optimizer"),
    [("r2nu_mumu", "minuit"), ("munu_mu", "scipy")],
)
def test_encodings_agree(name, optimizer):
    assert_agree(name, "numpy", optimizer)


@pytest.mark.slow
@pytest.mark.parametrize("backend", ["numpy", "jax"])
@pytest.mark.parametrize("optimizer", ["scipy", "minuit"])
@pytest.mark.parametrize(
    "name", ["qnu_ee", "qnu_mumu", "r2nu_ee", "r2nu_mumu", "munu_e", "munu_mu", "sin2thetaW"]
)
def test_encodings_agree_everywhere(name, optimizer, backend):
    if backend == "jax":
        pytest.importorskip("jax")
    assert_agree(name, backend, optimizer)
