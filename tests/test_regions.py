"""What an experiment may have beyond one region, one signal and constrained nuisances.

Several regions are the bins of one region in two channels: the model must stay the same.
"""

import csv
import io
import json
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyhf
import pytest
from conftest import EXPERIMENT, problems

import nuhf
from nuhf.couplings import parameters
from nuhf.errors import InputError
from nuhf.experiments import prepare as prepare_module
from nuhf.experiments.catalogue import load
from nuhf.experiments.file import ExperimentFile
from nuhf.experiments.prepare import prepare
from nuhf.plots import spectrum
from nuhf.plots.figures import AXIS_LABELS
from nuhf.rates.templates import Axis, read_templates, to_json
from nuhf.resources import write_json as write_file
from nuhf.stats.problem import Options, pose
from nuhf.stats.spectra import region_spectra
from nuhf.tables import tables_together
from nuhf.workspaces.native import load_model

REGION = "coherent_csi_2021"
SS = '[nuisances.bkg_coherent_csi_2021_ss]\nkind = "norm"\nsize = 0.021\n'
FREE = '[nuisances.free_ss]\nkind = "free"\nhigh = 3.0\n'
LISTED = ('"bkg_coherent_csi_2021_ss",', '"free_ss",')
FIRST = "[analyses.khan2023]"
SHAPES = ("qf_csi_syst0", "qf_csi_syst1", "eff_coherent_csi_2021")
RADII = {"r2nu_ee": -0.83e-32, "r2nu_mumu": -0.48e-32}
"""SM charge radii, A. N. Khan (2023) eq 18: where they are a reference, and no free parameter."""


@pytest.fixture(scope="module")
def write(tmp_path_factory, toml_text):
    """``write((old, new), ...)``: path of a changed copy of the experiment, on nuclei alone.

    The default analysis of the copy is ``cevns-only``: one signal, as these tests need.
    """
    second = re.search(r"(?ms)^\[analyses\.cevns-only\]\n.*?(?=^\[analyses)", toml_text)[0]
    default = "[analyses.default]\n"
    base = toml_text.replace(second, "").replace('  "ly_csi_electron",\n', "")
    base = base.replace(default, default + 'signals = ["cevns"]\n')

    def make(*changes, name="copy"):
        text = base
        for old, new in changes:
            assert text.count(old) >= 1, old
            text = text.replace(old, new, 1)
        path = tmp_path_factory.mktemp("regions") / f"{name}.toml"
        path.write_text(text, encoding="utf-8")
        return str(path)

    return make


@pytest.fixture(scope="module")
def nuclei(write):
    return write()


@pytest.fixture(scope="module")
def prepared(nuclei):
    return prepare(load(nuclei))


def table(text):
    rows = [line for line in text.splitlines() if line and not line.startswith("#")]
    return list(csv.DictReader(io.StringIO("\n".join(rows))))


def only(names, *arguments, **keywords):
    (problem,) = problems(names, *arguments, **keywords)
    return problem


def at(model, values):
    """Counts of a pyhf model at values by name, the rest at their start."""
    start = dict(zip(model.config.par_order, model.config.suggested_init(), strict=True))
    point = {**start, **values}
    return model.expected_actualdata([point[name] for name in model.config.par_order])


# ------------------------------------------------------------------------- a free factor


@pytest.fixture(scope="module")
def free(write):
    """The steady-state background is normalised by the data alone."""
    return write((SS, FREE), LISTED)


def factors_of(spec, name):
    """Names of the samples that a factor multiplies; it is a plain normfactor on each."""
    found = []
    for channel in spec["channels"]:
        for sample in channel["samples"]:
            for modifier in sample["modifiers"]:
                if modifier["name"] == name:
                    assert modifier == {"name": name, "type": "normfactor", "data": None}
                    found.append(sample["name"])
    return found


@pytest.mark.parametrize("parameter", ["qnu_ee", "munu_mu"])
def test_a_free_factor_is_a_plain_normfactor(free, parameter):
    for encoding, read in (("native", load_model), ("stock", plain)):
        spec = nuhf.workspace(free, parameter, encoding=encoding)
        assert factors_of(spec, "free_ss") == ["ss"]
        poi, entry = spec["measurements"][0]["config"]["parameters"]
        assert entry == {"name": "free_ss", "inits": [1.0], "bounds": [[0.0, 3.0]]}
        model, data = read(spec)
        assert model.config.poi_name == poi["name"] != "free_ss"
        assert not model.config.param_set("free_ss").constrained
        # seven nuisances are left with auxiliary data, and the interfering coupling of the pairs
        assert len(data) == 99 + 7 + (encoding == "stock" and parameter == "qnu_ee")
        once, twice = (at(model, {"free_ss": value}) for value in (1.0, 2.0))
        (region,) = prepare(load(free)).regions
        np.testing.assert_allclose(twice - once, region.backgrounds["ss"], rtol=1e-9)
        assert all(report.ok for report in nuhf.validate(write_json(free, spec)))


def plain(spec):
    """Plain pyhf with its own schema."""
    workspace = pyhf.Workspace(spec)
    model = workspace.model()
    return model, workspace.data(model)


def write_json(beside, spec):
    path = Path(beside).with_suffix(".json")
    path.write_text(json.dumps(spec), encoding="utf-8")
    return path


def test_the_compiled_engine_equals_pyhf_with_a_free_factor(free):
    problem = only(free, "qnu_ee")
    model, data = load_model(nuhf.workspace(free, "qnu_ee", encoding="native"))
    compiled = problem.engine.compiled
    assert tuple(model.config.par_order) == tuple(compiled.names)
    rng = np.random.default_rng(11)
    for _ in range(20):
        point = rng.normal(0.0, 0.5, len(compiled.names))
        point[compiled.index("free_ss")] = rng.uniform(0.5, 3.0)
        np.testing.assert_allclose(
            compiled.expected(point), model.expected_actualdata(point), rtol=1e-12
        )
        (theirs,) = np.atleast_1d(-2.0 * model.logpdf(point, data))
        assert compiled.twice_nll(point, problem.data) == pytest.approx(theirs, rel=1e-12)


@pytest.mark.slow
def test_limits_of_the_engines_agree_with_a_free_factor(free):
    fix = ("qf_csi_syst0", "qf_csi_syst1", "eff_coherent_csi_2021", "ff_csi")
    (ours,) = nuhf.limit(free, "munu_mu", fixed_nuisances=fix)
    (theirs,) = nuhf.limit(free, "munu_mu", fixed_nuisances=fix, engine="pyhf", bracket=(0.0, 4e-9))
    assert theirs.upper_limit == pytest.approx(ours.upper_limit, rel=1e-4)


def test_fit_of_a_free_factor(free, cli):
    found = nuhf.fit(free)
    value, error = found.parameters["free_ss"]
    assert found.units["free_ss"] == "1"
    assert {found.units[n] for n in found.parameters} == {"1", "sigma"}
    # about 1300 of 1578 events are its own: 1/sqrt(1300) and a little more
    assert 0.025 < error < 0.045
    assert abs(value - 1.0) < 3 * error
    assert found.goodness["degrees"] == 99 - 2
    assert nuhf.fit(nuhf.model(free, fixed_nuisances=("free_ss",))).goodness["degrees"] == 99 - 1
    # where the factor has no constraint, its own part of the gradient vanishes
    problem = only(free, "norm_cevns")
    point = [found.parameters[n][0] for n in problem.engine.compiled.names]
    expected = problem.engine.compiled.expected(point)
    (region,) = problem.experiments[0].regions
    slope = region.backgrounds["ss"] * (1.0 - region.observed / expected)
    assert abs(slope.sum()) < 1e-3 / error
    # plain pyhf finds the same
    model, data = plain(nuhf.workspace(free, "norm_cevns", encoding="stock"))
    pyhf.set_backend("numpy", "minuit")
    try:
        theirs = pyhf.infer.mle.fit(data, model)
    finally:
        pyhf.set_backend("numpy", "scipy")
    best = theirs[model.config.par_slice("free_ss")].item()
    assert best == pytest.approx(value, abs=0.02 * error)
    assert re.search(rf"^free_ss +{value:.4g} +{error:.4g}", cli("fit", free).out, re.MULTILINE)


def test_a_free_factor_can_be_held(free):
    found = nuhf.fit(nuhf.model(free, fixed_nuisances=("free_ss",)))
    assert found.parameters["free_ss"] == (1.0, 0.0)
    assert found.twice_nll > nuhf.fit(free).twice_nll


def test_a_narrow_norm_and_a_held_factor_are_one_model(free, write):
    narrow = write((SS, SS.replace("0.021", "1e-9")))
    (one,) = nuhf.limit(narrow, "qnu_mumu", fixed_nuisances=("bkg_coherent_csi_2021_ss",))
    (two,) = nuhf.limit(free, "qnu_mumu", fixed_nuisances=("free_ss",))
    np.testing.assert_allclose(one.intervals, two.intervals, rtol=1e-6)


def test_a_patch_grid_keeps_a_free_factor(write):
    path = write((SS, FREE), LISTED)
    grid = nuhf.patchset(path, "qnu_mumu", brackets=[(-1e-7, 1e-7)], points=[3])
    entries = {p["name"]: p for p in grid.background["measurements"][0]["config"]["parameters"]}
    assert entries["free_ss"] == {"name": "free_ss", "inits": [1.0], "bounds": [[0.0, 3.0]]}
    assert factors_of(grid.background, "free_ss") == ["ss"]
    assert_same_counts(nuhf.workspace(path, "qnu_mumu", encoding="native"), grid, {"free_ss": 1.3})


def assert_same_counts(spec, grid, values):
    """Every point of the grid equals the native model there, data included."""
    exact, data = load_model(spec)
    patches, workspace = pyhf.PatchSet(grid.patchset), pyhf.Workspace(grid.background)
    (label,) = grid.patchset["metadata"]["labels"]
    for row, patch in zip(grid.points, patches, strict=True):
        model, patched_data = plain(patches.apply(workspace, patch.name))
        np.testing.assert_array_equal(patched_data, data)
        for pulls in ({}, {"flux_sns": 0.6, SHAPES[0]: -0.4}):
            np.testing.assert_allclose(
                at(model, {**values, **pulls, "strength": 1.0}),
                at(exact, {**values, **pulls, label: row[0]}),
                rtol=1e-9,
            )


def test_a_free_factor_in_other_commands(nuclei, free, cli, work):
    shown = cli("show", free).out
    assert re.search(r"^  free_ss: free factor, 0 to 3 on ss$", shown, re.MULTILINE)
    found = json.loads(cli("show", free, "--json").out)["experiment"]
    listed = found["analyses"]["default"]["nuisances"]
    kinds = [found["nuisances"][name]["kind"] for name in listed]
    assert kinds.count("free") == 1
    assert "free_ss" in nuhf.ranking(free).nuisances
    other = free.replace("copy.toml", "other.toml")
    text = Path(free).read_text(encoding="utf-8")
    Path(other).write_text(text.replace(f'"{EXPERIMENT}"', '"other"', 1), encoding="utf-8")
    # one name is one factor, in whichever experiment
    spec = nuhf.workspace([free, other], "munu_mu")
    assert factors_of(spec, "free_ss") == ["ss", "ss"]
    names = [p["name"] for p in spec["measurements"][0]["config"]["parameters"]]
    assert names.count("free_ss") == 1
    Path(other).write_text(
        text.replace(f'"{EXPERIMENT}"', '"other"', 1).replace("high = 3.0", "high = 4.0"),
        encoding="utf-8",
    )
    with pytest.raises(InputError, match="free factor 'free_ss' ends at 3 and at 4 in different"):
        nuhf.workspace([free, other], "munu_mu")


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("high = 3.0", "high = 1.0", ["nuisances.free_ss", "high", "greater than 1"]),
        ("high = 3.0", "high = inf", ["high", "finite"]),
        ("high = 3.0", "size = 0.1", ["size", "unknown key"]),
        ('processes = ["ss"]', 'processes = ["sss"]', ["free_ss", "'sss' is not defined", "ss"]),
        ('processes = ["ss"]', "processes = []", ["processes", "at least 1"]),
        ('processes = ["ss"]', 'processes = ["ss", "cevns"]',
         ["free_ss.processes: 'cevns' is a signal", "norm_cevns scales the signal"]),
    ],
)  # fmt: skip
def test_broken_free_factors_are_refused(write, old, new, words):
    with pytest.raises(InputError) as error:
        load(write((SS, FREE), LISTED, (old, new)))
    for word in words:
        assert word in str(error.value)


def test_the_range_of_a_free_factor_has_a_default(write):
    spec = nuhf.workspace(write((SS, FREE.replace("high = 3.0\n", "")), LISTED), "munu_mu")
    entry = spec["measurements"][0]["config"]["parameters"][1]
    assert entry["bounds"] == [[0.0, 10.0]]


# ------------------------------------------------------------------------ reference values


def with_reference(write, values=RADII):
    inside = ", ".join(f"{name} = {value!r}" for name, value in values.items())
    return write((FIRST, f"reference = {{ {inside} }}\n\n{FIRST}"))


@pytest.fixture(scope="module")
def shifted(write):
    return with_reference(write)


def rate(name, values=None, **options):
    (found,) = nuhf.rate(name, values, **options).values()
    return found


def equal_rates(one, two):
    assert list(one) == list(two)
    for name, row in one.items():
        np.testing.assert_allclose(row, two[name], rtol=1e-12, err_msg=name)


def test_a_reference_is_a_fixed_value(nuclei, shifted):
    equal_rates(rate(shifted), rate(nuclei, RADII))
    assert abs(rate(shifted)["cevns_e"].sum() / rate(nuclei)["cevns_e"].sum() - 1) > 1e-3
    (ours,) = nuhf.limit(shifted, "munu_mu")
    (theirs,) = nuhf.limit(nuclei, "munu_mu", fixed=RADII)
    assert ours.upper_limit == pytest.approx(theirs.upper_limit, rel=1e-9)
    assert ours.twice_nll_min == pytest.approx(theirs.twice_nll_min, abs=1e-9)


def test_a_value_set_replaces_the_reference(nuclei, shifted):
    equal_rates(rate(shifted, {"r2nu_ee": 0.0, "r2nu_mumu": 0.0}), rate(nuclei))
    moved = {"r2nu_ee": 2e-32}
    equal_rates(rate(shifted, moved), rate(nuclei, {**RADII, **moved}))
    spec = nuhf.workspace(shifted, "munu_mu", fixed=dict.fromkeys(RADII, 0.0), encoding="native")
    ours, theirs = (
        load_model(spec)[0],
        load_model(nuhf.workspace(nuclei, "munu_mu", encoding="native"))[0],
    )
    for moment in (0.0, 3.0):
        point = {"munu2_mu_em18": moment}
        np.testing.assert_allclose(at(ours, point), at(theirs, point), rtol=1e-12)


@pytest.mark.parametrize("name", ["r2nu_ee", "munu_e", "sin2thetaW"])
def test_a_reference_is_the_start_of_a_free_parameter(nuclei, write, name):
    value = {"r2nu_ee": -0.83e-32, "munu_e": 1e-9, "sin2thetaW": 0.231}[name]
    path = with_reference(write, {name: value, "r2nu_mumu": -0.48e-32})
    problem = only(path, name)
    coupling = problem.description.couplings[0]
    assert parameters.get(name).from_fit(coupling.init) == pytest.approx(value, rel=1e-12)
    rest = {"r2nu_mumu": -0.48e-32}
    start = problem.engine.compiled.expected(problem.engine.compiled.inits)
    expected = rate(nuclei, {name: value, **rest})
    np.testing.assert_allclose(start, sum(expected.values()), rtol=1e-10)
    # the interval does not know where the fit starts
    (ours,) = nuhf.limit(path, name)
    (theirs,) = nuhf.limit(nuclei, name, fixed=rest)
    width = theirs.intervals[-1][1] - theirs.intervals[0][0]
    np.testing.assert_allclose(ours.intervals, theirs.intervals, rtol=0, atol=1e-6 * width)
    for encoding, read in (("native", load_model), ("stock", plain)):
        model, _ = read(nuhf.workspace(path, name, encoding=encoding))
        size = start.max() * (1e-10 if encoding == "native" else 1e-3)
        np.testing.assert_allclose(at(model, {}), start, rtol=0, atol=size)


@pytest.mark.parametrize(("convention", "factor"), [("standard", -6.0), ("khan", -1.0 / 6.0)])
def test_an_anapole_moment_replaces_the_radius(nuclei, shifted, convention, factor):
    """The radius is ``factor`` times the anapole moment."""
    problem = only(shifted, "anu_ee", anapole=convention)
    coupling = problem.description.couplings[0]
    start = parameters.get("anu_ee").from_fit(coupling.init)
    assert start == pytest.approx(RADII["r2nu_ee"] / factor, rel=1e-12)
    compiled = problem.engine.compiled
    np.testing.assert_allclose(
        compiled.expected(compiled.inits), sum(rate(nuclei, RADII).values()), rtol=1e-10
    )
    (ours,) = nuhf.limit(shifted, "anu_ee", anapole=convention)
    (radius,) = nuhf.limit(shifted, "r2nu_ee")
    np.testing.assert_allclose(
        np.ravel(ours.intervals), np.ravel(radius.intervals)[::-1] / factor, rtol=1e-5
    )
    # the same for a value that is set
    found = rate(shifted, {"anu_ee": 1e-32}, anapole=convention)
    expected = rate(nuclei, {"r2nu_ee": factor * 1e-32, "r2nu_mumu": RADII["r2nu_mumu"]})
    equal_rates(found, expected)


def test_asimov_data_are_at_the_reference(nuclei, shifted):
    problem = only(shifted, "r2nu_ee", asimov=True)
    expected = sum(rate(nuclei, RADII).values())
    np.testing.assert_allclose(problem.data[:99], expected, rtol=1e-10)
    (found,) = nuhf.limit(shifted, "r2nu_ee", asimov=True)
    assert found.best_fit == pytest.approx(RADII["r2nu_ee"], abs=1e-36)


def test_a_patch_grid_starts_at_the_reference(nuclei, shifted):
    grid = nuhf.patchset(shifted, "r2nu_mumu", brackets=[(-4e-32, 4e-32)], points=[3])
    assert_same_counts(nuhf.workspace(shifted, "r2nu_mumu", encoding="native"), grid, {})
    alone, _ = plain(grid.background)
    expected = sum(rate(nuclei, RADII).values())
    np.testing.assert_allclose(at(alone, {"strength": 0.0}), expected, rtol=1e-10)


def test_references_are_shown_and_checked(shifted, write, cli):
    assert "reference values: r2nu_ee = -8.3e-33, r2nu_mumu = -4.8e-33" in cli("show", shifted).out
    with pytest.raises(InputError, match=r"unknown parameter 'r2nu_e'; did you mean r2nu_ee"):
        load(with_reference(write, {"r2nu_e": 1e-32}))
    with pytest.raises(InputError, match=r"reference\.r2nu_ee.*finite"):
        load(with_reference(write, {"r2nu_ee": float("inf")}))


# ------------------------------------------------------------------------ profiled groups


def with_groups(write, text):
    table = "[analyses.khan2023]"
    return write((table, f"[analyses.default.profiled.qnu_ee]\n{text}\n\n{table}"))


def test_a_group_is_what_the_analysis_says(nuclei, write):
    path = with_groups(write, 'charges = ["qnu_mumu", "abs_qnu_emu"]\nradii = ["r2nu_ee"]')
    assert only(path, "qnu_ee", profiled=["charges"]).profiled == ("qnu_mumu", "abs_qnu_emu")
    assert only(path, "qnu_ee", profiled=["radii", "charges"]).profiled == (
        "r2nu_ee", "qnu_mumu", "abs_qnu_emu",
    )  # fmt: skip
    # without an entry: every other parameter of the kind
    assert only(path, "qnu_ee", profiled=["moments"]).profiled == ("munu_e", "munu_mu")
    assert only(path, "qnu_mumu", profiled=["charges"]).profiled == ("qnu_ee",)
    assert only(nuclei, "qnu_ee", profiled=["charges"]).profiled == ("qnu_mumu",)


def test_an_empty_group_says_so(write):
    path = with_groups(write, "charges = []")
    with pytest.raises(InputError, match="profiled = charges: no other parameter of this kind"):
        only(path, "qnu_ee", profiled=["charges"])


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('charge = ["qnu_mumu"]', "groups to profile are charges, radii, moments"),
        ('charges = ["qnu_mu"]', "unknown parameter 'qnu_mu'; did you mean .*qnu_mumu"),
    ],
)
def test_broken_groups_are_refused(write, text, words):
    with pytest.raises(InputError, match=words):
        load(with_groups(write, text))


# ------------------------------------------------------------------------- several regions


def rows_of(region, here):
    """Function from an array of a region (photoelectrons x times) to some photoelectron bins."""
    shape = [axis.bins for axis in region.axes]
    return lambda array: np.asarray(array).reshape(shape)[here].ravel()


def part(region, name, here):
    """The bins ``here`` (a slice) along the first axis as a region of their own."""
    first, *rest = region.axes
    start, stop, _ = here.indices(first.bins)
    axes = (Axis(first.name, first.edges[start : stop + 1]), *rest)
    rows = rows_of(region, here)

    def cut(templates):
        return {s: {m: rows(row) for m, row in rows_.items()} for s, rows_ in templates.items()}

    signals = tuple(
        replace(
            signal, region=name, axes=axes, nominal=cut(signal.nominal), errors=cut(signal.errors),
            varied={key: cut(varied) for key, varied in signal.varied.items()},
        )
        for signal in region.signals
    )  # fmt: skip
    share = rows(region.observed).sum() / region.observed.sum()
    return replace(
        region, name=name, axes=axes, signals=signals, observed=rows(region.observed),
        backgrounds={n: rows(b) for n, b in region.backgrounds.items()},
        events=region.events * share,
        sigma=None if region.sigma is None else rows(region.sigma),
    )  # fmt: skip


def halved(regions):
    """The first four photoelectron bins as region ``a``, the others as ``b``."""
    (region,) = regions
    return part(region, "a", slice(None, 4)), part(region, "b", slice(4, None))


def split(one):
    return replace(one, regions=halved(one.regions))


@pytest.fixture
def two(monkeypatch):
    """From here on every experiment has the regions ``a`` and ``b``."""
    original = prepare_module.build_regions
    monkeypatch.setattr(prepare_module, "build_regions", lambda *given: halved(original(*given)))


@pytest.fixture(scope="module")
def halves(prepared):
    return split(prepared)


def test_rate_of_two_regions(nuclei, two, prepared, cli, work):
    values = {"qnu_mumu": 5e-8}
    found = nuhf.rate(nuclei, values)
    assert list(found) == ["a", "b"]
    (region,) = prepared.regions
    assert found["a"]["ss"].size == 4 * 11
    for name, row in region.backgrounds.items():
        np.testing.assert_array_equal(np.append(found["a"][name], found["b"][name]), row)
    arguments = ("rate", nuclei, "--set", "qnu_mumu=5e-8")
    shown = json.loads(cli(*arguments, "--json").out)["regions"]
    text = cli(*arguments).out
    blocks = dict(re.findall(r"^([ab]):\n((?:.+[^:]\n)+)", text, re.MULTILINE))
    assert list(blocks) == list(shown) == ["a", "b"]
    rows = table(cli(*arguments, "--bins").out)
    assert len(rows) == 99
    assert list(rows[0])[:5] == [
        "region", "photoelectrons_lo", "photoelectrons_hi", "time_us_lo", "time_us_hi",
    ]  # fmt: skip
    for label, counts in found.items():
        mine = [row for row in rows if row["region"] == label]
        for name, row in counts.items():
            assert shown[label]["events"][name] == pytest.approx(row.sum(), rel=1e-12)
            np.testing.assert_allclose(shown[label]["bins"][name], row, rtol=1e-12)
            np.testing.assert_allclose([float(r[name]) for r in mine], row, rtol=1e-9)
            assert re.search(rf"^{name} +\S+ +{row.sum():.2f} +\S+$", blocks[label], re.MULTILINE)
        total = sum(row.sum() for row in counts.values())
        assert re.search(rf"^total +\S+ +{total:.2f} +\S+$", blocks[label], re.MULTILINE)
    low, high = ([float(r[f"photoelectrons_{end}"]) for r in rows] for end in ("lo", "hi"))
    assert (low[0], high[43], low[44], high[-1]) == (0.0, 20.0, 20.0, 60.0)


def test_rate_of_one_region_has_no_headings(nuclei, cli, work):
    text = cli("rate", nuclei).out
    assert REGION not in text
    assert "region" not in table(cli("rate", nuclei, "--bins").out)[0]


def test_show_of_two_regions(nuclei, two, prepared, cli):
    shown = json.loads(cli("show", nuclei, "--json").out)["regions"]
    (region,) = prepared.regions
    assert list(shown) == ["a", "b"]
    assert sum(part["observed"] for part in shown.values()) == region.observed.sum()
    assert shown["b"]["axes"][0] == {"name": "photoelectrons", "edges": [20, 24, 32, 40, 50, 60]}
    text = cli("show", nuclei).out
    assert "region a: bins 4 in photoelectrons x 11 in time (us)" in text
    assert "region b: bins 5 in photoelectrons x 11 in time (us)" in text
    for label in ("a", "b"):
        assert f"observed: {shown[label]['observed']:.0f} (control: " in text
        assert f"background ss: {shown[label]['backgrounds']['ss']:.1f} events" in text


@pytest.mark.parametrize("figure", ["prefit", "postfit"])
def test_spectrum_of_two_regions(nuclei, cli, work, monkeypatch, figure):
    cli("plot", nuclei, figure, "-o", "one.png")
    original = prepare_module.build_regions
    monkeypatch.setattr(prepare_module, "build_regions", lambda *given: halved(original(*given)))
    ran = cli("plot", nuclei, figure, "-o", "two.png")
    assert ran.code == 0, ran.err
    assert Path("two.png").read_bytes().startswith(b"\x89PNG")
    one, both = (table(Path(f"{n}.csv").read_text(encoding="utf-8")) for n in ("one", "two"))
    assert [row["region"] for row in both] == ["a"] * 44 + ["b"] * 55
    for name in one[0]:
        # a variation is a factor times a shape, whose mean is that of the region: its slope at 0
        # is not that of the whole
        exact = figure == "prefit" and name != "uncertainty"
        np.testing.assert_allclose(
            [float(row[name]) for row in both], [float(row[name]) for row in one],
            rtol=1e-8 if exact else 0.03, atol=1e-9 if exact else 0.05,
        )  # fmt: skip


def test_figure_has_a_panel_per_axis_and_region(halves):
    regions = region_spectra(pose([halves], "qnu_mumu", Options()))
    figure = spectrum.spectra(regions)
    panels, labels = figure.axes[:3] + figure.axes[6:7], [axes.get_xlabel() for axes in figure.axes]
    assert [axes.get_title() for axes in panels] == ["a", "a", "b", "b"]
    shown = [AXIS_LABELS["photoelectrons"], AXIS_LABELS["time_us"]]
    assert [label for label in labels if label] == [*shown, shown[0], shown[1]]
    assert [axes.get_legend() is not None for axes in panels] == [True, False] * 2
    assert sum(region.observed.sum() for region in regions) == 1578
    assert [set(region.expected) for region in regions] == [{"ss", "brn", "nin", "cevns"}] * 2


def test_templates_of_two_regions(nuclei, two, cli, tmp_path):
    sets = nuhf.templates(nuclei)
    assert [(t.region, t.bins) for t in sets] == [("a", 44), ("b", 55)]
    content = json.loads(cli("templates", nuclei).out)
    assert [t["region"] for t in content["sets"]] == ["a", "b"]
    write_file(tmp_path / "t.json", to_json(nuclei, "default", sets, {}))
    for one, other in zip(sets, read_templates(tmp_path / "t.json"), strict=True):
        assert (one.region, one.axes) == (other.region, other.axes)
        for source, monomials in one.nominal.items():
            for name, row in monomials.items():
                np.testing.assert_allclose(other.nominal[source][name], row, rtol=1e-9)


@pytest.mark.parametrize("parameter", ["qnu_ee", "munu_mu", "sin2thetaW", "norm_cevns"])
def test_two_regions_have_the_counts_of_one(prepared, halves, parameter):
    """At any coupling and norm, and wherever a response nuisance is at 0, 1 or -1."""
    one, two = (pose([p], parameter, Options()) for p in (prepared, halves))
    assert [c.name for c in two.description.channels] == ["a", "b"]
    np.testing.assert_array_equal(one.data, two.data)
    first, second = one.engine.compiled, two.engine.compiled
    rng = np.random.default_rng(7)
    for name in (None, *SHAPES):
        for pull in (1.0, -1.0):
            point = {n: rng.uniform(-1, 1) for n in first.names} | dict.fromkeys(SHAPES, 0.0)
            point[one.parameter.fit_name] = rng.uniform(0.5, 5.0)
            point |= {name: pull} if name else {}
            np.testing.assert_allclose(
                second.expected([point[n] for n in second.names]),
                first.expected([point[n] for n in first.names]),
                rtol=1e-9,
            )


@pytest.mark.parametrize(
    ("analysis", "fix", "tolerance"),
    [("default", SHAPES, 1e-5), ("khan2023", (), 1e-5), ("default", (), 0.01)],
)
def test_two_regions_have_the_limits_of_one(nuclei, analysis, fix, tolerance, monkeypatch):
    """Exactly, but for how response nuisances go on between and beyond their variations."""
    names = ["qnu_mumu", "munu_mu"]
    one = nuhf.limit(nuclei, names, analysis=analysis, fixed_nuisances=fix)
    original = prepare_module.build_regions
    monkeypatch.setattr(prepare_module, "build_regions", lambda *given: halved(original(*given)))
    two = nuhf.limit(nuclei, names, analysis=analysis, fixed_nuisances=fix)
    for ours, theirs in zip(two, one, strict=True):
        width = theirs.intervals[-1][1] - theirs.intervals[0][0]
        np.testing.assert_allclose(ours.intervals, theirs.intervals, rtol=0, atol=tolerance * width)
    assert nuhf.fit(nuhf.model(nuclei, analysis=analysis, fixed_nuisances=fix)).goodness[
        "degrees"
    ] == (98 if analysis == "default" else 7)


def test_events_of_a_process_are_those_of_both_regions(nuclei, monkeypatch):
    one = nuhf.fit(nuhf.model(nuclei, fixed_nuisances=SHAPES))
    original = prepare_module.build_regions
    monkeypatch.setattr(prepare_module, "build_regions", lambda *given: halved(original(*given)))
    two = nuhf.fit(nuhf.model(nuclei, fixed_nuisances=SHAPES))
    assert list(two.counts) == list(one.counts)
    for name, counts in one.counts.items():
        assert two.counts[name] == pytest.approx(counts, rel=1e-4)


def test_files_of_two_regions(nuclei, two, cli, work):
    for encoding, read in (("native", load_model), ("stock", plain)):
        spec = nuhf.workspace(nuclei, "qnu_mumu", encoding=encoding)
        assert [c["name"] for c in spec["channels"]] == ["a", "b"]
        model, _ = read(spec)
        np.testing.assert_allclose(
            at(model, {}), np.concatenate([sum(r.values()) for r in nuhf.rate(nuclei).values()])
        )
    grid = nuhf.patchset(nuclei, "qnu_mumu", brackets=[(-1e-7, 1e-7)], points=[3])
    assert [len(p["patch"]) for p in grid.patchset["patches"]] == [2, 2, 2]
    assert_same_counts(nuhf.workspace(nuclei, "qnu_mumu", encoding="native"), grid, {})
    ran = cli("fit", nuclei, "-o", "out")
    assert ran.code == 0, ran.err
    assert Path("out/spectrum.png").is_file()


@pytest.mark.filterwarnings("ignore::ResourceWarning")  # the validator leaves its files open
def test_publication_of_two_regions(nuclei, two):
    found = nuhf.publication(nuclei, "munu_mu", points=3)
    assert [region.region for region in found.before] == ["a", "b"]
    pytest.importorskip("hepdata_lib")
    yaml = pytest.importorskip("yaml")
    from nuhf.report.hepdata import submission

    files = submission(found)
    documents = list(yaml.safe_load_all(files["submission/submission.yaml"]))
    names = [document["name"] for document in documents[1:]]
    assert names == [
        *(f"Spectrum {when} the fit {region}" for when in ("before", "after") for region in "ab"),
        "Parameters of the fit", "Correlation matrix", "Limits on magnetic moments",
        "Profile munu_mu",
    ]  # fmt: skip
    content = yaml.safe_load(files[f"submission/{documents[2]['data_file']}"])
    assert len(content["dependent_variables"][0]["values"]) == 55


def test_tables_of_regions_with_different_axes():
    parts = [("a", {"time_us_lo": [0.0, 1.0], "data": [3.0, 4.0]}), ("b", {"data": [5.0]})]
    joined = tables_together(parts)
    assert joined == {
        "region": ["a", "a", "b"], "time_us_lo": [0.0, 1.0, ""], "data": [3.0, 4.0, 5.0],
    }  # fmt: skip
    assert tables_together(parts[:1]) == parts[0][1]


# ------------------------------------------------------------------- a second interaction


def add_eves(regions):
    """Coherent scattering, and half of it as a signal of another interaction, by name."""
    (region,) = regions
    (signal,) = (one for one in region.signals if one.process == "cevns")

    def half(templates):
        return {s: {m: 0.5 * row for m, row in rows.items()} for s, rows in templates.items()}

    other = replace(
        signal, process="eves_pp", interaction="eves", nominal=half(signal.nominal),
        varied={key: half(varied) for key, varied in signal.varied.items()},
    )  # fmt: skip
    return (replace(region, signals=(signal, other)),)


@pytest.fixture
def eves(monkeypatch):
    original = prepare_module.build_regions
    monkeypatch.setattr(prepare_module, "build_regions", lambda *given: add_eves(original(*given)))


def test_each_strength_scales_its_interaction(nuclei, eves):
    sm = rate(nuclei)
    assert set(sm) == {"ss", "brn", "nin", "cevns_e", "cevns_mu", "eves_pp_e", "eves_pp_mu"}
    for name in ("cevns", "eves"):
        moved = rate(nuclei, {f"norm_{name}": 2.0, "qnu_ee": 3e-8})
        plain_rate = rate(nuclei, {"qnu_ee": 3e-8})
        for component, row in moved.items():
            factor = 2.0 if component.startswith(name) else 1.0
            np.testing.assert_allclose(row, factor * plain_rate[component], rtol=1e-12)
        # and the model with the strength and the charge free has the same counts
        model, _ = load_model(nuhf.workspace(nuclei, [f"norm_{name}", "qnu_ee"], encoding="native"))
        np.testing.assert_allclose(
            at(model, {f"norm_{name}": 2.0, "qnu_ee_em8": 3.0}), sum(moved.values()), rtol=1e-10
        )
        held, _ = load_model(
            nuhf.workspace(nuclei, "qnu_ee", fixed={f"norm_{name}": 2.0}, encoding="native")
        )
        np.testing.assert_allclose(at(held, {"qnu_ee_em8": 3.0}), sum(moved.values()), rtol=1e-10)


def test_processes_of_two_interactions(nuclei, eves):
    problem = only(nuclei, "qnu_ee")
    assert problem.description.processes == ("ss", "brn", "nin", "cevns", "eves_pp")
    found = nuhf.fit(nuhf.model(nuclei, "norm_eves"))
    assert found.counts["eves_pp"][0] == pytest.approx(0.5 * found.counts["cevns"][0], rel=1e-9)
    assert found.significance is not None
    # norms of one process leave the other alone
    model, _ = load_model(problem.spec)
    moved = at(model, {"ff_csi": 1.0}) - at(model, {})
    expected = rate(nuclei)
    np.testing.assert_allclose(
        moved, 0.034 * (expected["cevns_e"] + expected["cevns_mu"]), rtol=1e-9
    )
    compiled = problem.component("eves_pp")
    np.testing.assert_allclose(
        compiled.expected(compiled.inits), expected["eves_pp_e"] + expected["eves_pp_mu"]
    )


def test_a_strength_without_its_interaction_is_refused(nuclei):
    for call in (lambda: nuhf.rate(nuclei, {"norm_eves": 2.0}),
                 lambda: nuhf.fit(nuhf.model(nuclei, "norm_eves")),
                 lambda: nuhf.limit(nuclei, "qnu_ee", fixed={"norm_eves": 2.0})):  # fmt: skip
        with pytest.raises(InputError, match=f"norm_eves has no effect on {EXPERIMENT}"):
            call()


def test_the_experiment_names_the_strength_that_is_fitted(nuclei, eves, monkeypatch):
    assert nuhf.model(nuclei).poi == "norm_cevns"
    assert "norm_cevns" in nuhf.fit(nuclei).parameters
    monkeypatch.setattr(ExperimentFile, "strength", "norm_eves")
    found = nuhf.fit(nuclei)
    assert "norm_eves" in found.parameters
    assert "norm_cevns" not in found.parameters
    assert nuhf.ranking(nuclei).parameter == "norm_eves"


def test_a_file_of_a_gaussian_region_shows_its_data_without_the_pedestal():
    """As of the experiment, in counts of the model: beside the expectation, not far above it."""
    ours = nuhf.model("conus-plus", poi="norm_cevns")
    file = nuhf.open(ours.workspace("native"), poi="norm_cevns")
    (channel,) = ours.problem.description.channels
    (one,), (other,) = (list(m.expected().regions.values()) for m in (ours, file))
    np.testing.assert_allclose(other.observed, one.observed * channel.scale, rtol=1e-6)
    np.testing.assert_allclose(other.errors, one.errors * channel.scale, rtol=1e-6)
