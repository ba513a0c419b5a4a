"""Combination of files: sums, correlations, units, other people's workspaces, refusals."""

import copy
import json

import atlas_style
import numpy as np
import pyhf
import pytest
from conftest import problems

import nuhf
from nuhf.errors import InputError, ModelError
from nuhf.likelihood.engines import ModelProfiler, Reference, engine
from nuhf.stats.intervals import intervals
from nuhf.workspaces import encode
from nuhf.workspaces.combine import Choices, NamedWorkspace, combine, combine_files
from nuhf.workspaces.native import load_model
from nuhf.workspaces.parts import rescaled, take

X = "coherent-csi-2021"
NUCLEI = f"{X}:cevns-only"  # charges are as large as those of nuclear recoils
QNU = np.array([-15.0, -5.0, 0.0, 3.0, 20.0, 50.0, 80.0])


def profiler(spec, poi=None, measurement=None):
    model, data = load_model(spec, measurement)
    chosen = engine("compiled", Reference.of(model))
    index = chosen.compiled.index(poi or model.config.poi_name)
    starts = np.atleast_2d(chosen.compiled.inits)
    return ModelProfiler(chosen, data, index, starts, ~chosen.compiled.fixed)


def profile(spec, values, poi=None):
    return profiler(spec, poi).at(np.asarray(values))


def rename(content, old, new):
    """The same JSON with a text replaced everywhere."""
    return json.loads(json.dumps(content).replace(old, new))


def modifiers(spec, name):
    return [
        (sample, modifier)
        for channel in spec["channels"]
        for sample in channel["samples"]
        for modifier in sample["modifiers"]
        if modifier["name"] == name
    ]


def settings(spec):
    (measurement,) = spec["measurements"]
    return {entry["name"]: entry for entry in measurement["config"]["parameters"]}


@pytest.fixture(scope="module")
def native(nuclei_problem_of):
    """`native("qnu_ee")`: a fresh native workspace."""
    return lambda parameter="qnu_ee": copy.deepcopy(
        encode.native(nuclei_problem_of(parameter).description)
    )


@pytest.fixture(scope="module")
def second(native):
    """Another experiment: other counts, no nuisance in common but what `shared` names."""

    def make(parameter="qnu_ee", shared=()):
        spec = rename(native(parameter), "coherent_csi_2021", "other")
        for channel in spec["channels"]:
            for sample in channel["samples"]:
                for modifier in sample["modifiers"]:
                    own = modifier["type"] in ("normsys", "histosys")
                    if own and modifier["name"] not in shared:
                        modifier["name"] += "_other"
        for entry in spec["observations"]:
            entry["data"] = [max(count - 1.0, 0.0) for count in entry["data"][::-1]][::-1]
        return spec

    return make


# ----------------------------------------------------------------- likelihoods


def test_without_shared_nuisances_the_likelihood_is_the_sum(native, second):
    one, two = native(), second()
    both = nuhf.combine([one, two])
    total = profile(one, QNU) + profile(two, QNU)
    np.testing.assert_allclose(profile(both, QNU), total, rtol=0, atol=1e-6)


def test_a_shared_flux_does_not_average_out(native, second):
    """The strength of the SM signal: a common flux error stays, independent ones shrink."""

    def half_width(spec):
        found = profiler(spec)
        _, lowest = found.best(np.array([1.0]))
        values = np.linspace(0.6, 1.4, 161)
        inside = values[found.at(values) - lowest < 1.0]
        return inside[-1] - inside[0]

    one = native("norm_cevns")
    independent = half_width(nuhf.combine([one, second("norm_cevns")]))
    shared = half_width(nuhf.combine([one, second("norm_cevns", ("flux_sns",))]))
    alone = half_width(one)
    assert independent < shared < alone
    assert len(settings(nuhf.combine([one, second("norm_cevns")]))) == 1


@pytest.fixture(scope="module")
def copy_path(toml_text, tmp_path_factory):
    """A renamed copy of the experiment, by path; it shares flux and quenching."""
    path = tmp_path_factory.mktemp("experiment") / "my-csi.toml"
    text = toml_text.replace('name = "coherent-csi-2021"', 'name = "my-csi"', 1)
    text = text.replace("bkg_coherent_csi_2021_", "bkg_my_csi_").replace("18.4", "20.4")
    path.write_text(text.replace("eff_coherent_csi_2021", "eff_my_csi"), encoding="utf-8")
    return f"{path}:cevns-only"


def test_files_combine_as_experiments_do_in_memory(copy_path, cli, work):
    for name, file in ((NUCLEI, "A.json"), (copy_path, "B.json")):
        arguments = ("-p", "qnu_ee", "--encoding", "native", "-o", file)
        assert cli("workspace", name, *arguments).code == 0
    ran = cli("combine", "A.json", "B.json", "-o", "C.json")
    assert ran.code == 0, ran.err
    assert "equal counts: are they the same data?" in ran.err
    spec = json.loads((work / "C.json").read_text())
    (problem,) = problems([NUCLEI, copy_path], "qnu_ee")
    np.testing.assert_allclose(profile(spec, QNU), problem.profiler().at(QNU), rtol=0, atol=1e-7)
    (found,) = nuhf.limit([NUCLEI, copy_path], "qnu_ee")
    pieces = intervals(profiler(spec), problem.span(), 0.9).pieces
    np.testing.assert_allclose(np.array(pieces) * 1e-8, found.intervals, rtol=1e-6)
    shared = {m["name"] for c in spec["channels"] for s in c["samples"] for m in s["modifiers"]}
    assert {"flux_sns", "qf_csi_syst0", "bkg_my_csi_brn", "bkg_coherent_csi_2021_brn"} <= shared


def test_stock_files_of_one_unit_combine_too(copy_path):
    native, stock = (
        nuhf.combine([nuhf.workspace(n, "qnu_ee", encoding=kind) for n in (NUCLEI, copy_path)])
        for kind in ("native", "stock")
    )
    exact, approximate = profile(native, QNU), profile(stock, QNU * 1e-4, "qnu_ee_em4")
    difference = (approximate - approximate.min()) - (exact - exact.min())
    near = exact - exact.min() < 10
    assert near.sum() >= 3
    assert np.abs(difference[near]).max() < 1e-2
    pyhf.Workspace(stock).model()


# ------------------------------------------------------------------ other people


@pytest.mark.parametrize("encoding", ["native", "stock"])
def test_with_an_atlas_style_workspace_both_keep_their_results(problem_of, encoding):
    problem = problem_of("munu_mu")
    ours = getattr(encode, encoding)(problem.description)
    both = nuhf.combine([ours, atlas_style.workspace()], poi="munu2_mu_em18")
    (limit,) = intervals(profiler(ours), problem.span(), 0.9).pieces
    (combined,) = intervals(profiler(both), problem.span(), 0.9).pieces
    np.testing.assert_allclose(combined, limit, rtol=1e-4)

    alone = profiler(atlas_style.workspace())
    expected = alone.best(np.array([1.0]))[0][alone.index]
    fitted, _ = profiler(both, "mu_SIG").best(np.array([1.0]))
    model, _ = load_model(both)
    assert fitted[model.config.par_slice("mu_SIG")] == pytest.approx(expected, abs=1e-4)
    reverse = nuhf.combine([atlas_style.workspace(), ours], poi="mu_SIG")
    model, data = load_model(reverse)
    assert model.config.poi_name == "mu_SIG"
    with_pyhf = pyhf.infer.mle.fit(data, model)
    assert with_pyhf[model.config.poi_index] == pytest.approx(expected, abs=2e-3)


def test_the_interference_limit_stays_with_an_atlas_style_workspace(native, nuclei_problem_of):
    both = nuhf.combine([native(), atlas_style.workspace()], poi="qnu_ee_em8")
    span = nuclei_problem_of("qnu_ee").span()
    before = np.array(intervals(profiler(native()), span, 0.9).pieces)
    after = np.array(intervals(profiler(both), span, 0.9).pieces)
    np.testing.assert_allclose(after, before, rtol=1e-4)


def test_the_measurement_is_one_and_complete(native):
    both = nuhf.combine([native(), atlas_style.workspace()], poi="mu_SIG")
    found = settings(both)
    assert both["measurements"][0]["config"]["poi"] == "mu_SIG"
    assert found["lumi"]["sigmas"] == [0.017]
    assert found["qnu_ee_em8"] == {"name": "qnu_ee_em8", "inits": [0.0], "bounds": [[-200, 200]]}
    assert found["mu_SIG"]["bounds"] == [[0.0, 5.0]]
    names = [entry["name"] for entry in both["observations"]]
    assert names == [channel["name"] for channel in both["channels"]]
    assert both["measurements"][0]["name"] == "coherent_csi_2021_cevns_only_NormalMeasurement"


def test_two_atlas_style_workspaces_share_luminosity_and_not_bins():
    one, two = atlas_style.workspace(), atlas_style.workspace()
    for entry in two["observations"]:
        entry["data"] = [count + 1 for count in entry["data"]]
    found = combine_files([one, two])
    names = [channel["name"] for channel in found.spec["channels"]]
    assert names == ["SR_meff", "CR_ttbar", "SR_meff_workspace_2", "CR_ttbar_workspace_2"]
    assert len(modifiers(found.spec, "lumi")) == 8
    assert len(modifiers(found.spec, "staterror_SR_meff")) == 2
    assert len(modifiers(found.spec, "staterror_SR_meff_workspace_2")) == 2
    assert len(modifiers(found.spec, "fakes_SR_workspace_2")) == 1
    assert sum("is now" in note for note in found.notes) == 5
    model, _ = load_model(found.spec)
    per_bin = [name for name in model.config.par_order if "staterror" in name or "fakes" in name]
    assert sorted(per_bin) == sorted(
        name + end for name in ("fakes_SR", "staterror_CR_ttbar", "staterror_SR_meff")
        for end in ("", "_workspace_2")
    )  # fmt: skip
    assert found.spec["measurements"][0]["name"] == "NormalMeasurement"


def test_settings_of_renamed_parameters_follow():
    one, two = atlas_style.workspace(), atlas_style.workspace()
    two["observations"][0]["data"] = [40.0, 20.0, 5.0]
    two["observations"][1]["data"] = [220.0, 110.0]
    two["measurements"][0]["config"]["parameters"].append({"name": "fakes_SR", "fixed": True})
    found = settings(nuhf.combine([one, two]))
    assert found["fakes_SR_workspace_2"] == {"name": "fakes_SR_workspace_2", "fixed": True}
    assert "fakes_SR" not in found


def test_plain_pyhf_combines_our_exports(native, second, stock_of):
    stock, *_ = stock_of("munu_mu")
    other = rename(second("munu_mu"), "coherent_csi_2021", "other")
    both = pyhf.Workspace.combine(pyhf.Workspace(stock), pyhf.Workspace(other), join="outer")
    np.testing.assert_allclose(
        profile(both, [0.0, 5.0]),
        profile(stock, [0.0, 5.0]) + profile(other, [0.0, 5.0]),
        atol=1e-6,
    )
    pyhf.Workspace.combine(
        pyhf.Workspace(atlas_style.workspace()), pyhf.Workspace(stock), join="outer"
    ).model(measurement_name="NormalMeasurement")


def test_pyhf_combine_on_the_command_line(stock_of, work):
    from click.testing import CliRunner
    from pyhf.cli.cli import pyhf as command

    (work / "stock.json").write_text(json.dumps(stock_of("munu_mu")[0]))
    (work / "atlas.json").write_text(json.dumps(atlas_style.workspace()))
    ran = CliRunner().invoke(command, ["combine", "--join", "outer", "atlas.json", "stock.json"])
    assert ran.exit_code == 0, ran.output
    assert len(json.loads(ran.output)["channels"]) == 3


# ------------------------------------------------------------------------ units


def in_unit(spec, old, new, size):
    """The slow twin: theta = size x theta', written out by hand on the monomials."""
    spec = copy.deepcopy(spec)
    for sample, modifier in modifiers(spec, old):
        power = modifier["data"]["exponent"] if modifier["type"] == "powerfactor" else 1
        rows = [sample["data"]]
        for other in sample["modifiers"]:
            if other["type"] == "histosys":
                rows += [other["data"]["hi_data"], other["data"]["lo_data"]]
        for row in rows:
            row[:] = [value * size**power for value in row]
    for entry in spec["measurements"][0]["config"]["parameters"]:
        entry["bounds"] = [[end / size for end in pair] for pair in entry["bounds"]]
    return rename(spec, old, new)


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_our_monomials_are_brought_to_one_unit(native, second, order):
    one, two = native(), second()
    larger = in_unit(two, "qnu_ee_em8", "qnu_ee_em6", 100.0)
    np.testing.assert_allclose(profile(larger, QNU / 100), profile(two, QNU), atol=1e-6)
    files = [(one, larger)[i] for i in order]
    found = combine_files(files)
    poi = found.spec["measurements"][0]["config"]["poi"]
    assert poi == ("qnu_ee_em8", "qnu_ee_em6")[order[0]]
    assert any("qnu_ee" in note for note in found.notes)
    size = 1.0 if poi == "qnu_ee_em8" else 100.0
    expected = profile(nuhf.combine([one, two]), QNU)
    np.testing.assert_allclose(profile(found.spec, QNU / size), expected, atol=1e-6)
    assert settings(found.spec)[poi]["bounds"][0] == pytest.approx([-200 / size, 200 / size])
    names = [s["name"] for s, _ in modifiers(found.spec, poi)]
    assert all(poi in name for name in names)
    chosen = nuhf.combine(files, poi="qnu_ee_em6")
    assert chosen["measurements"][0]["config"]["poi"] == "qnu_ee_em6"
    np.testing.assert_allclose(profile(chosen, QNU / 100), expected, atol=1e-6)


def test_rescaling_keeps_mixed_monomials_and_inits(problem_of):
    problem = problem_of("qnu_ee", profiled=("r2nu_ee",))
    spec = copy.deepcopy(encode.native(problem.description))
    spec["measurements"][0]["config"]["parameters"][0]["inits"] = [4.0]
    part = rescaled(take(NamedWorkspace("A", spec), None), "qnu_ee_em8", "qnu_ee_em10")
    assert part.configs["qnu_ee_em10"]["inits"] == pytest.approx([400.0])
    before, _ = load_model(spec)
    config = {"poi": part.poi, "parameters": list(part.configs.values())}
    measurements = [{"name": "m", "config": config}]
    after, _ = load_model({**spec, "channels": part.channels, "measurements": measurements})
    values = {"qnu_ee_em8": 7.0, "qnu_ee_em10": 700.0, "r2nu_ee_em32": -3.0, "qf_csi_syst0": 0.6}
    expected = [
        m.expected_data(
            [values.get(name, 0.2) for name in m.config.par_order], include_auxdata=False
        )
        for m in (before, after)
    ]
    np.testing.assert_allclose(expected[1], expected[0], rtol=1e-12)


# --------------------------------------------------------------------- refusals


def foreign(name, kind="normfactor", **parameter):
    """A one-channel workspace with one parameter."""
    data = {"normsys": {"hi": 1.1, "lo": 0.9}}.get(kind)
    modifier = {"name": name, "type": kind, "data": data}
    return {
        "channels": [
            {
                "name": "SR",
                "samples": [
                    {"name": "S", "data": [3.0], "modifiers": [modifier]},
                    {"name": "B", "data": [9.0], "modifiers": []},
                ],
            }
        ],
        "observations": [{"name": "SR", "data": [11.0]}],
        "measurements": [
            {
                "name": "m",
                "config": {
                    "poi": "" if kind == "normsys" else name,
                    "parameters": [{"name": name, **parameter}] if parameter else [],
                },
            }
        ],
        "version": "1.0.0",
    }


def other(spec):
    spec = copy.deepcopy(spec)
    spec["observations"][0]["data"] = [12.0]
    return spec


def refused(*files, **options):
    with pytest.raises(InputError) as caught:
        nuhf.combine(list(files), **options)
    return str(caught.value)


def test_a_foreign_file_in_another_unit_is_refused(native):
    text = refused(native(), foreign("qnu_ee_em6"))
    assert "one parameter in two units: 'qnu_ee_em8'" in text
    assert "'qnu_ee_em6' in workspace_2" in text
    assert "rename" in text
    assert "two units" in refused(foreign("gluino_em3"), other(foreign("gluino_em2")))
    assert "two units" in refused(native(), foreign("qnu_ee"))


def test_a_foreign_parameter_in_our_unit_is_taken_at_its_word(native):
    """The same name and unit is the same parameter, whoever wrote it."""
    spec = nuhf.combine([native(), foreign("qnu_ee_em8", bounds=[[-50.0, 50.0]], inits=[0.0])])
    assert settings(spec)["qnu_ee_em8"]["bounds"] == [[-50.0, 50.0]]


def test_names_that_only_look_like_units_are_left_alone():
    one, two = foreign("JES_em1", "normsys"), foreign("JES_em2", "normsys")
    both = copy.deepcopy(one)
    both["channels"][0]["samples"][1]["modifiers"] = two["channels"][0]["samples"][0]["modifiers"]
    nuhf.combine([both, other(foreign("other_em1"))])


def test_stock_files_of_different_units_are_refused(native, nuclei_stock_of):
    stock = nuclei_stock_of("qnu_ee")[0]
    renamed = rename(rename(stock, "qnu_ee_em4", "qnu_ee_em3"), "coherent_csi_2021", "other")
    for pair in ((stock, renamed), (native(), renamed)):
        text = refused(*pair)
        assert "two units" in text
        assert "combine the native files" in text
        assert "-p qnu_ee'" in text
        assert "rename" not in text


def test_stock_moments_of_different_units_are_brought_to_one():
    """A moment is a plain factor in stock files: the same model as the native files together."""
    stock, native = (
        [nuhf.workspace(name, "munu_e", encoding=kind) for name in (X, "dresden-2")]
        for kind in ("stock", "native")
    )
    assert [spec["measurements"][0]["config"]["poi"] for spec in stock] == [
        "munu2_e_em18", "munu2_e_em20"
    ]  # fmt: skip
    one, two = nuhf.combine(stock), nuhf.combine(native)
    assert one["measurements"][0]["config"]["poi"] == "munu2_e_em18"
    theta = np.array([0.0, 0.5, 3.0])
    np.testing.assert_allclose(
        profile(one, theta, "munu2_e_em18"), profile(two, theta, "munu2_e_em18"), rtol=1e-9
    )


def test_stock_charges_of_different_units_are_not_to_be_renamed():
    """Renamed by hand, one charge would count in the unit of the other, 10000 times off."""
    files = [nuhf.workspace(name, "qnu_ee", encoding="stock") for name in (NUCLEI, "dresden-2")]
    assert [spec["measurements"][0]["config"]["poi"] for spec in files] == [
        "qnu_ee_em4", "qnu_ee_em8"
    ]  # fmt: skip
    text = refused(*files)
    assert "'nuhf workspace EXP1 EXP2 -p qnu_ee'" in text
    assert "native" in text
    assert "rename" not in text
    nuhf.combine(
        [nuhf.workspace(name, "qnu_ee", encoding="native") for name in (NUCLEI, "dresden-2")]
    )


def test_a_type_clash_is_refused():
    text = refused(foreign("x"), other(foreign("x", "normsys")))
    assert "'x' in workspace_1 and in workspace_2: free (normfactor) in one" in text
    assert "constrained (normsys)" in text
    assert "decorrelate='x'" in text
    per_bin = foreign("x")
    sample = per_bin["channels"][0]["samples"][1]
    sample["modifiers"] = [{"name": "y", "type": "shapesys", "data": [1.0]}]
    assert "one per bin (shapesys)" in refused(per_bin, other(foreign("y", "normsys")))


@pytest.mark.parametrize(
    ("one", "two", "words"),
    [
        ({}, {"bounds": [[0.0, 5.0]]}, "different bounds, [[0.0, 10.0]] and [[0.0, 5.0]]"),
        ({"fixed": True}, {}, "different fixed, True and False"),
        ({"fixed": True, "inits": [2.0]}, {"fixed": True}, "different inits, [2.0] and [1.0]"),
    ],
)
def test_another_definition_is_refused(one, two, words):
    text = refused(foreign("x", **one), other(foreign("x", **two)))
    assert words in text
    assert "give both files the same" in text


def test_another_luminosity_error_is_another_parameter():
    one, two = atlas_style.workspace(), atlas_style.workspace()
    for entry in two["observations"]:
        entry["data"] = [count + 1 for count in entry["data"]]
    two["measurements"][0]["config"]["parameters"][0]["sigmas"] = [0.025]
    found = combine_files([one, two])
    assert any("workspace_2: its luminosity is now" in note for note in found.notes)


def test_equal_definitions_written_differently_are_the_same():
    spec = nuhf.combine([foreign("x"), other(foreign("x", bounds=[[0, 10]], inits=[1]))])
    assert len(settings(spec)) == 1


def test_bounds_of_couplings_become_the_common_range(native):
    one, two = native(), rename(native(), "coherent_csi_2021", "other")
    entry = two["measurements"][0]["config"]["parameters"][0]
    entry["bounds"] = [[-100.0, 500.0]]
    assert settings(nuhf.combine([one, two]))["qnu_ee_em8"]["bounds"] == [[-100.0, 200.0]]
    entry["bounds"] = [[300.0, 500.0]]
    assert "do not overlap" in refused(one, two)


def test_data_given_twice_are_refused(native):
    text = refused(native("qnu_ee"), native("munu_mu"), poi="qnu_ee_em8")
    assert "channel 'coherent_csi_2021' has the same observed counts in" in text
    assert "would count twice" in text
    assert "nuhf workspace EXP -p ONE -p TWO" in text


def test_a_channel_of_equal_name_with_other_data_is_renamed():
    sources = [NamedWorkspace("A", foreign("x")), NamedWorkspace("B", other(foreign("y")))]
    found = combine(sources, Choices(poi="x"))
    assert [channel["name"] for channel in found.spec["channels"]] == ["SR", "SR_B"]
    assert [entry["data"] for entry in found.spec["observations"]] == [[11.0], [12.0]]
    assert found.notes == ("B: channel SR is now SR_B",)


def test_measurements():
    several = foreign("x")
    several["measurements"].append({"name": "n", "config": {"poi": "", "parameters": []}})
    text = refused(several, other(foreign("x")))
    assert "workspace_1 has 2 measurements, m, n" in text
    assert "measurement='NAME'" in text
    assert "is none of them" in refused(several, other(foreign("x")), measurement="k")
    spec = nuhf.combine([several, other(foreign("x"))], measurement="n")
    assert spec["measurements"][0]["name"] == "n"
    assert spec["measurements"][0]["config"]["poi"] == "x"
    single = nuhf.combine([foreign("x"), other(foreign("x"))], measurement="joint")
    assert single["measurements"][0]["name"] == "joint"


def test_points_of_interest():
    one, two = foreign("x"), other(foreign("y"))
    text = refused(one, two)
    assert "different parameters of interest: 'x' in workspace_1, 'y' in workspace_2" in text
    assert "poi='NAME'" in text
    spec = nuhf.combine([one, two], poi="y")
    assert spec["measurements"][0]["config"]["poi"] == "y"
    assert set(settings(spec)) == {"x", "y"}
    assert "poi = z: no such parameter; allowed: x, y" in refused(one, two, poi="z")
    assert "one value per bin" in refused(
        foreign("x"), atlas_style.workspace(), poi="staterror_SR_meff"
    )
    neither = [foreign("a", "normsys"), other(foreign("b", "normsys"))]
    assert nuhf.combine(neither)["measurements"][0]["config"]["poi"] == ""


def test_broken_input(tmp_path):
    assert "at least two" in refused(foreign("x"))
    broken = other(foreign("x"))
    del broken["channels"][0]["samples"][0]["data"]
    with pytest.raises(ModelError, match=r"workspace_2: .*schema"):
        nuhf.combine([foreign("x"), broken])
    missing = other(foreign("x"))
    missing["observations"][0]["name"] = "elsewhere"
    assert "has no observations" in refused(foreign("x"), missing)
    ghost = other(foreign("x"))
    ghost["measurements"][0]["config"]["poi"] = "ghost"
    assert "acts on no sample" in refused(foreign("x"), ghost)
    path = tmp_path / "list.json"
    path.write_text("[1, 2]")
    assert "JSON, but no pyhf file, not a pyhf workspace" in refused(foreign("x"), path)
    assert "cannot be read" in refused(foreign("x"), tmp_path / "none.json")


def test_input_is_not_changed(native, second):
    files = [
        native(),
        in_unit(second(), "qnu_ee_em8", "qnu_ee_em6", 100.0),
        atlas_style.workspace(),
    ]
    before = json.dumps(files)
    nuhf.combine(files, poi="qnu_ee_em8")
    assert json.dumps(files) == before


def test_three_files_and_labels(tmp_path, cli, work):
    specs = [foreign("x"), other(foreign("x")), other(foreign("x"))]
    specs[2]["observations"][0]["data"] = [13.0]
    for folder, spec in zip("abc", specs, strict=True):
        (work / folder).mkdir()
        (work / folder / "ws.json").write_text(json.dumps(spec))
    ran = cli("combine", "a/ws.json", "b/ws.json", "c/ws.json")
    assert ran.code == 0, ran.err
    names = [channel["name"] for channel in json.loads(ran.out)["channels"]]
    assert names == ["SR", "SR_ws_2", "SR_ws_3"]
    ran = cli("combine", "a/ws.json", "a/ws.json", "-o", "out.json")
    assert ran.code == 2
    assert len(ran.err.strip().splitlines()) == 1
    assert not (work / "out.json").exists()


def test_another_unit_keeps_relative_uncertainties():
    """A sample in units ten times smaller: contents, shapes and bin errors are ten times less."""
    name = "qnu_ee_em8"
    modifiers = [
        {"name": name, "type": "normfactor", "data": None},
        {
            "name": "tilt",
            "type": "histosys",
            "data": {"hi_data": [9.0, 4.0], "lo_data": [7.0, 6.0]},
        },
        {"name": "bins", "type": "staterror", "data": [0.8, 0.5]},
        {"name": "own", "type": "shapesys", "data": [2.0, 1.0]},
    ]
    spec = {
        "channels": [{"name": "c", "samples": [
            {"name": f"cevns_e_{name}", "data": [8.0, 5.0], "modifiers": modifiers},
            {"name": "rest", "data": [20.0, 30.0], "modifiers": []},
        ]}],
        "observations": [{"name": "c", "data": [25.0, 31.0]}],
        "measurements": [{"name": "m", "config": {"poi": name, "parameters": [
            {"name": name, "inits": [2.0], "bounds": [[-10.0, 40.0]]}
        ]}}],
        "version": "1.0.0",
    }  # fmt: skip
    part = take(NamedWorkspace("one", spec), None)
    moved = rescaled(part, name, "qnu_ee_em9")
    before, after = part.channels[0]["samples"], moved.channels[0]["samples"]
    assert after[0]["name"] == "cevns_e_qnu_ee_em9"
    assert after[0]["data"] == pytest.approx([0.8, 0.5])
    found = {m["name"]: m["data"] for m in after[0]["modifiers"]}
    assert found["tilt"]["hi_data"] == pytest.approx([0.9, 0.4])
    assert found["tilt"]["lo_data"] == pytest.approx([0.7, 0.6])
    assert found["bins"] == pytest.approx([0.08, 0.05])
    assert found["own"] == pytest.approx([0.2, 0.1])
    assert after[1] == before[1]
    assert moved.configs["qnu_ee_em9"]["inits"] == pytest.approx([20.0])
    assert moved.configs["qnu_ee_em9"]["bounds"] == [pytest.approx([-100.0, 400.0])]
