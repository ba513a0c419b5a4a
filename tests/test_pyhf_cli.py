"""``nuhf pyhf``: pyhf's own commands on files with powerfactor."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyhf
import pytest
from pyhf.modifiers import histfactory_set

import nuhf

X = "coherent-csi-2021"
WORKSPACES = Path(__file__).resolve().parent.parent / "workspaces" / X
NATIVE = WORKSPACES / "qnu_mumu.native.json"
BIN = Path(sys.executable).parent


@pytest.fixture(autouse=True)
def untouched():
    """Each command leaves pyhf as it was."""
    folder = pyhf.schema.path
    yield
    assert "powerfactor" not in histfactory_set
    assert pyhf.schema.path == folder


def out(ran):
    assert ran.code == 0, ran.err
    return ran.out


def test_plain_pyhf_refuses_what_nuhf_pyhf_reads(cli):
    ran = subprocess.run([BIN / "pyhf", "fit", NATIVE], capture_output=True, check=False)
    assert ran.returncode != 0
    assert "mle_parameters" in out(cli("pyhf", "fit", NATIVE))


def test_fit_is_our_fit(cli):
    (found,) = nuhf.limit(X, "qnu_mumu")
    fitted = json.loads(out(cli("pyhf", "fit", "--value", "--optimizer", "minuit", NATIVE)))
    pyhf.set_backend("numpy")
    assert fitted["twice_nll"] == pytest.approx(found.twice_nll_min, abs=1e-3)
    best = fitted["mle_parameters"]["qnu_mumu_em8"][0] * 1e-8
    assert best == pytest.approx(found.best_fit, rel=1e-2)


def test_cls(cli):
    at = {
        poi: json.loads(out(cli("pyhf", "cls", "--test-stat", "q", "--test-poi", poi, NATIVE)))
        for poi in (0.005, 0.04)
    }
    assert at[0.005]["CLs_obs"] > 0.2
    assert at[0.04]["CLs_obs"] < 0.01


def test_a_parameter_that_may_be_negative_is_one_note(cli):
    """pyhf warns of q-tilde in three lines at every fit."""
    ran = cli("pyhf", "cls", "--test-poi", 0.04, NATIVE)
    assert ran.err.splitlines() == [
        "note: the POI may be negative, for which --test-stat q is made, not q-tilde"
    ]
    assert json.loads(ran.out)["CLs_obs"] < 0.01


def test_inspect_digest_sort_rename_prune(cli, work):
    assert "qnu_mumu_em8" in out(cli("pyhf", "inspect", NATIVE))
    digest = out(cli("pyhf", "digest", NATIVE)).strip()
    assert digest == "sha256:" + pyhf.utils.digest(json.loads(NATIVE.read_text()))
    assert "powerfactor" in out(cli("pyhf", "sort", NATIVE))
    renamed = out(cli("pyhf", "rename", "-m", "qnu_mumu_em8", "other_em8", NATIVE))
    assert "qnu_mumu_em8" not in json.loads(renamed)["measurements"][0]["config"]["poi"]
    pruned = json.loads(out(cli("pyhf", "prune", "-s", "brn", NATIVE)))
    assert "brn" not in [s["name"] for s in pruned["channels"][0]["samples"]]


def test_combine(cli, work):
    spec = json.loads(NATIVE.read_text())
    spec["channels"][0]["name"] = spec["observations"][0]["name"] = "elsewhere"
    Path("other.json").write_text(json.dumps(spec))
    both = json.loads(out(cli("pyhf", "combine", "--join", "outer", NATIVE, "other.json")))
    assert sorted(c["name"] for c in both["channels"]) == ["coherent_csi_2021", "elsewhere"]


def test_stock_files_too(cli):
    stock = WORKSPACES / "munu_mu.stock.json"
    assert "munu2_mu_em18" in out(cli("pyhf", "fit", stock))


def test_backend_option_in_its_own_process():
    ran = subprocess.run(
        [BIN / "nuhf", "pyhf", "fit", "--value", NATIVE], capture_output=True, text=True, check=True
    )
    (found,) = nuhf.limit(X, "qnu_mumu")
    assert json.loads(ran.stdout)["twice_nll"] == pytest.approx(found.twice_nll_min, abs=0.01)


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (("fit", "missing.json"), 2, "No such file"),
        (("fit", "text.json"), 2, "Expecting value"),
        (("fit", "empty.json"), 1, "InvalidSpecification"),
        (("fit", "power.json"), 1, "InvalidSpecification"),
        (("fot",), 2, "No such command"),
        (("fit", "--nonsense"), 2, "--nonsense"),
    ],
)
def test_failures_in_one_line(cli, work, arguments, code, words):
    spec = json.loads(NATIVE.read_text())
    for sample in spec["channels"][0]["samples"]:
        for modifier in sample["modifiers"]:
            if modifier["type"] == "powerfactor":
                modifier["data"] = {"exponent": 0}
    Path("power.json").write_text(json.dumps(spec))
    Path("text.json").write_text("text")
    Path("empty.json").write_text("{}")
    ran = cli("pyhf", *arguments)
    assert (ran.code, ran.out) == (code, "")
    assert ran.err.startswith("nuhf: ")
    assert ran.err.count("\n") == 1
    assert len(ran.err) < 600
    assert words in ran.err


def test_a_patch_that_does_not_fit(work):
    """In its own process: pyhf leaves the patch file open."""
    Path("patch.json").write_text('[{"op": "replace", "path": "/nowhere/0", "value": 1}]')
    ran = subprocess.run(
        [BIN / "nuhf", "pyhf", "fit", "-p", "patch.json", NATIVE],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (ran.returncode, ran.stdout) == (1, "")
    assert "Json" in ran.stderr
    assert "Traceback" not in ran.stderr
    assert len(ran.stderr) < 600


def test_help_is_that_of_pyhf(cli):
    ran = cli("pyhf", "--help")
    assert ran.code == 0
    assert "Usage: nuhf pyhf [OPTIONS]" in ran.out
    assert "--test-poi" in out(cli("pyhf", "cls", "--help"))
    assert pyhf.__version__ in out(cli("pyhf", "--version"))


# ------------------------------------------------------------------- every command once

BACKGROUND = {
    "channels": [{"name": "SR", "samples": [{"name": "b", "data": [50.0], "modifiers": []}]}],
    "observations": [{"name": "SR", "data": [55.0]}],
    "measurements": [{"name": "m", "config": {"poi": "mu", "parameters": [{"name": "mu"}]}}],
    "version": "1.0.0",
}
SIGNAL = {"name": "s", "data": [5.0],
          "modifiers": [{"name": "mu", "type": "normfactor", "data": None}]}  # fmt: skip
PATCH = [{"op": "add", "path": "/channels/0/samples/1", "value": SIGNAL}]

COMMANDS = {
    "cls": [("cls", "model.json")],
    "fit": [("fit", "model.json")],
    "combine": [("combine", "model.json", "other.json")],
    "completions": [("completions", "bash")],
    "digest": [("digest", "model.json")],
    "inspect": [("inspect", "model.json")],
    "patchset": [
        ("patchset", "inspect", "set.json"),
        ("patchset", "extract", "set.json", "--name", "a"),
        ("patchset", "verify", "bkg.json", "set.json"),
        ("patchset", "apply", "bkg.json", "set.json", "--name", "a"),
    ],
    "prune": [("prune", "-s", "b", "model.json")],
    "rename": [("rename", "-m", "mu", "nu", "model.json")],
    "sort": [("sort", "model.json")],
    "json2xml": [("json2xml", "model.json", "--output-dir", "xml")],
    "xml2json": [("xml2json", "xml/FitConfig.xml", "--basedir", ".", "--hide-progress")],
}


@pytest.fixture
def files(work):
    model = json.loads(json.dumps(BACKGROUND))
    model["channels"][0]["samples"].append(SIGNAL)
    other = json.loads(json.dumps(model).replace('"SR"', '"CR"').replace('"m"', '"n"'))
    digests = {"sha256": pyhf.utils.digest(BACKGROUND)}
    about = {"references": {"hepdata": "ins1234567"}, "description": "x", "digests": digests,
             "labels": ["x"]}  # fmt: skip
    patch = {"metadata": {"name": "a", "values": [1.0]}, "patch": PATCH}
    patchset = {"metadata": about, "patches": [patch], "version": "1.0.0"}
    for name, content in {"bkg": BACKGROUND, "model": model, "other": other,
                          "set": patchset}.items():  # fmt: skip
        (work / f"{name}.json").write_text(json.dumps(content))
    (work / "xml").mkdir()
    return work


@pytest.mark.filterwarnings("default")
def test_every_command_of_pyhf_runs(cli, files):
    """One after the other: xml2json reads what json2xml wrote, the same model as before."""
    from pyhf.cli.cli import pyhf as group

    assert {*COMMANDS, "contrib"} == set(group.commands)
    for commands in COMMANDS.values():
        for command in commands:
            ran = cli("pyhf", *command)
            assert ran.code == 0, (command, ran.err)
            assert ran.out or command[0] == "json2xml"
    after = json.loads(ran.out[ran.out.index("{") :])
    assert after["channels"][0]["samples"][0]["data"] == [50.0]
    assert after["observations"] == BACKGROUND["observations"]
    ran = cli("pyhf", "contrib", "download", "http://nowhere.invalid/x", "out")
    assert ran.code == 1
    assert "InvalidArchiveHost" in ran.err


@pytest.mark.parametrize(
    ("module", "command", "words"),
    [
        ("uproot", COMMANDS["json2xml"][0], "json2xml needs uproot: pip install 'pyhf[xmlio]'"),
        ("uproot", ("xml2json", "x.xml"), "xml2json needs uproot"),
        ("requests", ("contrib", "download", "http://x", "out"), "contrib needs requests"),
    ],
)
def test_commands_without_their_extra(cli, files, monkeypatch, module, command, words):
    monkeypatch.setitem(sys.modules, module, None)
    ran = cli("pyhf", *command)
    assert (ran.code, ran.out) == (1, "")
    assert words in ran.err
    assert list((files / "xml").iterdir()) == []
    assert cli("pyhf", command[0], "--help").code == 0


def test_a_native_file_is_not_written_as_xml(cli, files):
    ran = cli("pyhf", "json2xml", NATIVE, "--output-dir", "xml")
    assert ran.code == 2
    assert "XML has no powerfactor" in ran.err
    assert list((files / "xml").iterdir()) == []


@pytest.mark.filterwarnings("default")
def test_causes_are_named_where_they_are_known(cli, files):
    fixed = json.loads((files / "model.json").read_text())
    (files / "fixed.json").write_text(json.dumps(fixed))
    ran = cli("pyhf", "cls", "--optimizer", "minuit", "fixed.json")
    if ran.code:  # with iminuit 2.32 and later
        assert "a fit without free parameters" in ran.err
        assert "--optimizer scipy" in ran.err
    assert cli("pyhf", "cls", "--optimizer", "scipy", "fixed.json").code == 0
    (files / "list.json").write_text("[1, 2]")
    ran = cli("pyhf", "digest", "--algorithm", "none", "model.json")
    assert ran.code
    assert "cannot read" not in ran.err
    ran = cli("pyhf", "fit", "list.json")
    assert ran.code == 1
    assert "list.json: JSON, but no pyhf file, not a pyhf workspace" in ran.err


@pytest.mark.filterwarnings(
    "default", r"ignore:jsonschema\.RefResolver is deprecated:DeprecationWarning"
)
def test_what_xml_keeps_of_a_coupling(cli, work):
    """An interfering one comes back with -5 to 5 for its domain, as README says; a grid whole."""
    stock = json.loads((WORKSPACES.parent / "conus-plus" / "qnu_ee.stock.json").read_text())
    grid = WORKSPACES / "qnu_mumu.patches"
    points = pyhf.PatchSet(json.loads((grid / "patchset.json").read_text()))
    whole = points.apply(json.loads((grid / "BkgOnly.json").read_text()), points.patches[-1].name)
    models = {}
    for name, spec in (("stock", stock), ("grid", whole)):
        (work / f"{name}.json").write_text(json.dumps(spec))
        (work / name).mkdir()
        ran = cli("pyhf", "json2xml", f"{name}.json", "--output-dir", name)
        assert ran.code == 0, ran.err
        ran = cli("pyhf", "xml2json", f"{name}/FitConfig.xml", "--basedir", ".", "--hide-progress",
                  "--output-file", f"{name}.back.json")  # fmt: skip
        assert ran.code == 0, ran.err
        back = json.loads((work / f"{name}.back.json").read_text())
        models[name] = [pyhf.Workspace(content).model() for content in (spec, back)]
    bounds = {
        name: [m.config.suggested_bounds()[m.config.poi_index] for m in pair]
        for name, pair in models.items()
    }
    assert bounds["stock"][0] != (-5.0, 5.0)
    assert bounds["stock"][1] == (-5.0, 5.0)
    assert bounds["grid"][0] == bounds["grid"][1]
    rows = [m.expected_actualdata(m.config.suggested_init()) for m in models["grid"]]
    np.testing.assert_allclose(rows[1], rows[0], rtol=1e-6)
