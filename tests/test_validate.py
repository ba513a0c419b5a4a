"""Findings in workspaces, patch sets and archives, ours and other people's."""

import copy
import json
from pathlib import Path

import atlas_style
import numpy as np
import pytest
from conftest import EXPERIMENT

import nuhf
from nuhf import exchange
from nuhf.workspaces import encode
from nuhf.workspaces.validate import validate

ROOT = Path(__file__).resolve().parent.parent
SHIPPED = sorted((ROOT / "workspaces").glob("*/*.json"))


def found(content, severity=None, **options):
    """Findings as {(check, where)} to message."""
    report = validate(content, "file", **options)
    return {
        (finding.check, finding.where): finding.message
        for finding in report.findings
        if finding.severity in (severity, finding.severity if severity is None else None)
    }


def checks(content, severity="error", **options):
    return {check for check, _ in found(content, severity, **options)}


@pytest.fixture(scope="module")
def native(nuclei_problem_of):
    return lambda parameter="qnu_ee": copy.deepcopy(
        encode.native(nuclei_problem_of(parameter).description)
    )


def sample(spec, name):
    (one,) = (s for c in spec["channels"] for s in c["samples"] if s["name"] == name)
    return one


# --------------------------------------------------------------------- clean files


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_shipped_workspaces_have_nothing_to_report(path):
    (report,) = nuhf.validate(path)
    assert report.ok
    # other experiments do have nuisances that are large, or not symmetric
    kinds = {found.check for found in report.findings if found.severity == "warning"}
    assert kinds <= (set() if path.parent.name == EXPERIMENT else {"large", "same-direction"})
    assert report.kind == "workspace"
    encoding = report.facts["encoding"].split()[0].rstrip(",")
    assert encoding in ("native", "stock")
    spec = json.loads(path.read_text())
    powers = "powerfactor" in path.read_text()
    assert encoding == ("native" if powers else "stock")
    assert report.facts["bins"] == sum(len(o["data"]) for o in spec["observations"])


def test_other_analyses_and_several_couplings_are_clean():
    for analysis in ("default", "khan2023"):
        for encoding in ("native", "stock"):
            spec = nuhf.workspace(
                "coherent-csi-2021", ["qnu_mumu", "r2nu_ee"], encoding=encoding, analysis=analysis
            )
            report = validate(spec)
            assert report.ok, report.findings


def test_an_atlas_style_workspace_is_clean():
    report = validate(atlas_style.workspace())
    assert {finding.severity for finding in report.findings} == {"info"}
    assert report.facts["channels"] == 2
    assert report.facts["bins"] == 5
    assert report.facts["encoding"] == "plain pyhf, not from nuhf"


def test_a_combination_with_it_is_clean(native):
    spec = nuhf.combine([native(), atlas_style.workspace()], poi="qnu_ee_em8")
    assert validate(spec).ok


def test_facts_of_the_encodings(native, nuclei_stock_of):
    facts = validate(native()).facts
    assert (facts["channels"], facts["bins"], facts["samples"]) == (1, 99, 7)
    assert facts["parameters"] == 9
    assert facts["poi"] == ["qnu_ee_em8"]
    assert "steep normsys" in validate(nuclei_stock_of("qnu_ee")[0]).facts["encoding"]
    assert "exact" in validate(nuclei_stock_of("munu_mu")[0]).facts["encoding"]


# ------------------------------------------------------------------------- errors


def test_not_finite(tmp_path):
    spec = atlas_style.workspace()
    spec["channels"][0]["samples"][1]["data"][2] = float("nan")
    assert ("number", "channels[0].samples[1].data[2] is nan") in found(spec, "error")
    path = tmp_path / "nan.json"
    path.write_text(json.dumps(spec).replace("0.017", "Infinity"))
    (report,) = nuhf.validate(path)
    places = {finding.where for finding in report.findings}
    assert not report.ok
    assert "channels[0].samples[1].data[2] is nan" in places
    assert "measurements[0].config.parameters[0].sigmas[0] is inf" in places


@pytest.mark.parametrize(
    ("text", "check"),
    [
        ("{", "json"),
        ('{"a": 1, "a": 2}', "json"),
        ("[]", "schema"),
        ("3", "schema"),
        ("{}", "schema"),
        ('{"channels": 3}', "schema"),
        ('{"channels": []}', "schema"),
        ('{"patches": []}', "schema"),
        ("1e999", "number"),
        ("[" * 100_000, "json"),
    ],
)
def test_broken_files(tmp_path, text, check):
    path = tmp_path / "broken.json"
    path.write_text(text)
    (report,) = nuhf.validate(path)
    assert [finding.check for finding in report.findings] == [check]
    assert not report.ok


def test_schema_and_models():
    spec = atlas_style.workspace()
    spec["channels"][0]["samples"][0]["extra"] = 1
    assert checks(spec) == {"schema"}
    spec = atlas_style.workspace()
    spec["channels"][0]["samples"].append(copy.deepcopy(spec["channels"][0]["samples"][0]))
    assert "2 samples named 'Signal'" in found(spec, "error")["schema", "workspace"]
    spec = atlas_style.workspace()
    spec["measurements"][0]["config"]["poi"] = "nothing"
    assert checks(spec) == {"model"}
    spec = atlas_style.workspace()
    spec["observations"][0]["data"].pop()
    assert "3 bins and 2 observed" in found(spec, "error")["model", "measurement NormalMeasurement"]
    spec = atlas_style.workspace()
    spec["channels"][0]["samples"][1]["modifiers"].append(atlas_style.normsys("mu_SIG", 1.1, 0.9))
    assert checks(spec) == {"model"}


def test_lengths():
    spec = atlas_style.workspace()
    spec["channels"][0]["samples"][0]["modifiers"][2]["data"]["lo_data"].pop()
    spec["channels"][1]["samples"][1]["data"].append(1.0)
    assert found(spec, "error") == {
        ("length", "channel SR_meff, sample Signal, histosys JES lo_data"): "2 values for 3 bins",
        ("length", "channel CR_ttbar, sample Zjets, data"): "3 values for 2 bins",
    }


def test_negative_totals_of_our_processes(native):
    """Too strong an interference: less than no events of the process in some range.

    A warning: where the total is not above zero, too, fits take the end of it for a boundary.
    """
    spec = native()
    linear = sample(spec, "cevns_e_qnu_ee_em8")
    linear["data"] = [1.7 * value for value in linear["data"]]
    (key, message), = found(spec, "warning").items()  # fmt: skip
    assert key == ("negative-total", "channel coherent_csi_2021, process cevns")
    assert "inside the bounds of qnu_ee_em8" in message
    for entry in spec["measurements"][0]["config"]["parameters"]:
        entry["bounds"] = [[-200.0, 2.0]]
    assert checks(spec, "warning") == set()


def test_negative_totals_of_stock_files_are_judged_on_the_process(nuclei_stock_of):
    spec = copy.deepcopy(nuclei_stock_of("qnu_ee")[0])
    assert checks(spec, "warning") == set()
    part = sample(spec, "cevns_e_qnu_ee_linear")
    part["data"] = [3.0 * value for value in part["data"]]
    assert checks(spec, "warning") == {"negative-total"}


def test_counts_that_pyhf_s_default_optimizer_cannot_take_are_said(nuclei_stock_of):
    """The slopes of DARWIN's 2NLL, measured in `checks.noisy_slopes`, and those of CsI."""
    darwin = ROOT / "workspaces" / "darwin-300ty" / "munu_eff.stock.json"
    (report,) = nuhf.validate(darwin)
    assert report.ok
    (finding,) = (f for f in report.findings if f.check == "optimizer")
    assert "--optconf 'solver_options={eps: 1.0e-5}'" in finding.message
    assert not [
        f for f in validate(nuclei_stock_of("qnu_ee")[0]).findings if f.check == "optimizer"
    ]


def test_negative_totals_elsewhere():
    spec = atlas_style.workspace()
    parameter = spec["measurements"][0]["config"]["parameters"][1]
    parameter["bounds"] = [[-2.0, 5.0]]  # the sum stays above 0
    assert checks(spec) == set()
    assert ("negative-total", "channel SR_meff, sample Signal") in found(spec, "warning")
    parameter["bounds"] = [[-20.0, 5.0]]
    message = found(spec, "warning")["negative-total", "channel SR_meff, sum of all samples"]
    assert "at mu_SIG = -20" in message
    assert checks(spec) == set()  # pyhf fits it: the best fit is far from there


@pytest.mark.parametrize("name", ["mu", "lumi", "mu_SIG"])
def test_forbidden_names(native, name):
    kind = "lumi" if name == "lumi" else "normfactor"
    spec = native()
    spec["channels"][0]["samples"][0]["modifiers"].append(
        {"name": name, "type": kind, "data": None}
    )
    if name == "lumi":
        lumi = {"name": "lumi", "auxdata": [1.0], "sigmas": [0.1], "inits": [1.0],
                "bounds": [[0.5, 1.5]]}  # fmt: skip
        spec["measurements"][0]["config"]["parameters"].append(lumi)
    ((check, where), message), = found(spec, "error").items()  # fmt: skip
    assert check == "name"
    assert where.endswith(f"parameter {name}")
    assert "full correlation" in message


@pytest.mark.parametrize("name", ["munu2_mu", "munu_mu"])
def test_names_without_unit(native, name):
    spec = json.loads(json.dumps(native("munu_mu")).replace("munu2_mu_em18", name))
    (key, message), = found(spec, "error").items()  # fmt: skip
    assert key == ("unit", f"channel coherent_csi_2021, parameter {name}")
    assert "munu2_mu_em18" in message


# ----------------------------------------------------------------------- warnings


def simple(modifiers, background=(20.0, 30.0)):
    return {
        "channels": [
            {
                "name": "SR",
                "samples": [
                    {
                        "name": "S",
                        "data": [3.0, 4.0],
                        "modifiers": [{"name": "k", "type": "normfactor", "data": None}],
                    },
                    {"name": "B", "data": list(background), "modifiers": modifiers},
                ],
            }
        ],
        "observations": [{"name": "SR", "data": [21.0, 33.0]}],
        "measurements": [{"name": "m", "config": {"poi": "k", "parameters": []}}],
        "version": "1.0.0",
    }


NORMSYS, HISTOSYS = atlas_style.normsys, atlas_style.histosys


@pytest.mark.parametrize(
    ("modifiers", "check", "words"),
    [
        ([NORMSYS("a", 1.1, 1.05)], "same-direction", "+10 % and +5 %"),
        ([NORMSYS("a", 1.1, 1.1)], "identical", "identical"),
        ([NORMSYS("a", 1.6, 0.7)], "large", "+60 %"),
        ([NORMSYS("a", 1.2, 0.4)], "large", "-60 %"),
        ([HISTOSYS("a", [22.0, 31.0], [21.0, 30.5])], "same-direction", "same direction"),
        ([HISTOSYS("a", [22.0, 33.0], [21.0, 20.0])], "same-direction", "1 of 2 bins (0)"),
        ([HISTOSYS("a", [22.0, 33.0], [22.0, 33.0])], "identical", "identical"),
        ([HISTOSYS("a", [40.0, 60.0], [10.0, 20.0])], "large", "+100 %"),
        ([NORMSYS("a", 1.4, 0.7), HISTOSYS("a", [25.0, 35.0], [16.0, 26.0])], "large", "+68 %"),
    ],
)
def test_suspicious_uncertainties(modifiers, check, words):
    messages = found(simple(modifiers), "warning")
    assert set(messages) == {(check, "channel SR, process B, a")}
    assert words in messages[check, "channel SR, process B, a"]
    assert validate(simple(modifiers)).ok


def test_an_uncertainty_of_nothing_is_given_in_events():
    spec = simple([HISTOSYS("a", [0.5, 1.0], [0.5, 0.5])], background=(0.0, 0.0))
    (message,) = (
        m for (check, _), m in found(spec, "warning").items() if check == "same-direction"
    )
    assert "+1.5 events of 0 and +1 events of 0" in message


@pytest.mark.parametrize(
    "modifiers",
    [
        [],
        [NORMSYS("a", 1.5, 0.5)],
        [NORMSYS("a", 0.9, 1.1), HISTOSYS("a", [21.0, 29.0], [19.0, 31.0])],
        [HISTOSYS("a", [20.1, 31.0], [20.1, 29.0])],
    ],
)
def test_ordinary_uncertainties(modifiers):
    assert found(simple(modifiers), "warning") == {}


def test_an_uncertainty_without_effect_is_only_mentioned():
    spec = simple([NORMSYS("a", 1.0, 1.0)])
    assert found(spec, "warning") == {}
    assert found(spec, "info")["no-effect", "channel SR, process B, a"] == "changes nothing"


def test_our_uncertainties_are_judged_on_the_process(nuclei_stock_of):
    """Also in a stock file, where the coupling's own (2, 2) and (2, 1/2) are no uncertainties."""
    spec = copy.deepcopy(nuclei_stock_of("qnu_ee")[0])
    for part in spec["channels"][0]["samples"]:
        for modifier in part["modifiers"]:
            if modifier["name"] == "flux_sns":
                modifier["data"] = {"hi": 1.7, "lo": 0.3}
    warnings = found(spec, "warning")
    assert list(warnings) == [("large", "channel coherent_csi_2021, process cevns, flux_sns")]
    assert "70 %" in next(iter(warnings.values()))


def test_signal_without_background():
    warnings = found(simple([], (20.0, 0.0)), "warning")
    assert "1 of 2 bins (1)" in warnings["no-background", "channel SR"]


def test_signal_without_background_in_our_encodings(native, nuclei_stock_of):
    """In a stock file, whose samples stay as they are at the value 0, if they cancel there."""
    for spec in (native(), copy.deepcopy(nuclei_stock_of("qnu_ee")[0])):
        samples = spec["channels"][0]["samples"]
        moving = [one for one in samples if "qnu_ee" in one["name"]]
        steady = [one for one in samples if one not in moving]
        for one in steady:
            one["data"][5] = 0.0
            for modifier in one["modifiers"]:
                if modifier["type"] == "histosys":
                    for row in modifier["data"].values():
                        row[5] = 0.0
        if "normsys" in {m["type"] for m in moving[0]["modifiers"] if "qnu" in m["name"]}:
            assert ("no-background", "channel coherent_csi_2021") not in found(spec)
            sample(spec, "cevns_e")["data"][5] = -sum(one["data"][5] for one in moving)
        assert "1 of 99 bins (5)" in found(spec)["no-background", "channel coherent_csi_2021"]


# ---------------------------------------------------------- patch sets and archives


@pytest.fixture(scope="module")
def grid():
    return exchange.patchset("coherent-csi-2021", "qnu_ee", points=(5,))


def test_patch_sets(grid):
    assert validate(grid.background).ok
    assert "grid" in validate(grid.background).facts["encoding"]
    report = validate(grid.patchset, "patchset.json", grid.background)
    assert report.ok, report.findings
    assert report.kind == "patchset"
    assert report.facts["patches"] == 5
    alone = validate(grid.patchset)
    assert alone.ok
    assert any("background-only" in finding.message for finding in alone.findings)


def test_a_patch_set_of_another_workspace(grid):
    background = copy.deepcopy(grid.background)
    background["observations"][0]["data"][0] += 1
    report = validate(grid.patchset, workspace=background)
    assert [f.check for f in report.findings if f.severity == "error"] == ["digest"]


def test_broken_patches(grid):
    def broken(change):
        patches = copy.deepcopy(grid.patchset)
        change(patches)
        return checks(patches, workspace=grid.background)

    def path(patches):
        patches["patches"][2]["patch"][0]["path"] = "/channels/17/samples/0"

    def negative(patches):
        for operation in patches["patches"][4]["patch"]:
            if isinstance(operation["value"], dict):
                rows = operation["value"]["data"]
                operation["value"]["data"] = list(-1e3 * np.abs(rows))

    def twice(patches):
        patches["patches"].append(patches["patches"][0])

    def values(patches):
        patches["patches"][0]["metadata"]["values"] = []

    def not_a_number(patches):
        patches["patches"][0]["metadata"]["values"] = [float("nan")]

    assert broken(path) == {"patch"}
    assert broken(negative) == {"likelihood"}
    assert broken(twice) == {"schema"}
    assert broken(values) == {"schema"}
    assert broken(not_a_number) == {"number"}


def test_archives(grid, tmp_path):
    from nuhf import resources
    from nuhf.workspaces.archive import pack

    files = {
        "BkgOnly.json": resources.dump_json(grid.background).encode(),
        "patchset.json": resources.dump_json(grid.patchset).encode(),
        "README.md": b"a test",
    }
    path = tmp_path / "likelihood.tar.gz"
    path.write_bytes(pack(files))
    reports = nuhf.validate(path)
    assert [report.kind for report in reports] == ["workspace", "patchset"]
    assert all(report.ok for report in reports)
    path.write_bytes(b"not an archive")
    (report,) = nuhf.validate(path)
    assert [finding.check for finding in report.findings] == ["archive"]


@pytest.fixture(scope="module")
def likelihood(grid):
    """The bytes of an archive as `nuhf publish` writes it."""
    from nuhf import resources
    from nuhf.workspaces.archive import pack

    contents = {"BkgOnly.json": grid.background, "patchset.json": grid.patchset}
    return pack({name: resources.dump_json(one).encode() for name, one in contents.items()})


def test_archives_in_a_submission(likelihood, cli, work):
    """What `nuhf publish` calls submission.tar.gz: tables, and archives beside them."""
    from nuhf.workspaces.archive import pack

    files = {f"submission/{name}.tar.gz": likelihood for name in ("a", "b")}
    files["submission/submission.yaml"] = b"comment: none"
    (work / "submission.tar.gz").write_bytes(pack(files))
    ran = cli("validate", "submission.tar.gz")
    assert ran.code == 0, ran.err
    heads = [line for line in ran.out.splitlines() if line.startswith("submission")]
    assert heads == [
        f"submission.tar.gz/submission/{name}.tar.gz/{file}, ok"
        for name in ("a", "b")
        for file in ("BkgOnly.json: workspace", "patchset.json: patchset")
    ]
    ran = cli("unpack", "submission.tar.gz", "-o", "out")
    assert ran.out.splitlines()[0].startswith("submission/a.tar.gz: 5 patches in ")
    assert (work / "out" / "submission" / "a.tar.gz").read_bytes() == likelihood


@pytest.mark.parametrize(
    ("inner", "words"),
    [(b"\x1f\x8bbroken", "is no gzip file"), (b"", "is empty"), (None, "is cut off")],
)
def test_broken_archives_in_a_submission(likelihood, tmp_path, inner, words):
    from nuhf.workspaces.archive import pack

    path = tmp_path / "submission.tar.gz"
    broken = likelihood[:-100] if inner is None else inner
    path.write_bytes(pack({"a.tar.gz": likelihood, "b.tar.gz": broken}))
    (report,) = nuhf.validate(path)
    (finding,) = report.findings
    assert (finding.check, finding.severity) == ("archive", "error")
    assert finding.message.startswith("b.tar.gz ")
    assert words in finding.message


def test_a_broken_archive_is_no_file_of_another_kind(tmp_path):
    for ending in ("tar.gz", "tgz", "tar", "tar.bz2", "tar.xz", "zip"):
        (tmp_path / f"a.{ending}").write_bytes(b"%PDF-1.7")
        (alone,) = nuhf.validate(tmp_path / f"a.{ending}")
        assert alone.kind == "archive"
        assert "is no archive" in alone.findings[0].message
    assert len(nuhf.validate(tmp_path)) == 6


def test_archives_in_a_submission_are_limited_together(likelihood, tmp_path, monkeypatch):
    import gzip

    from nuhf.workspaces import archive

    size = len(gzip.decompress(likelihood))
    path = tmp_path / "submission.tar.gz"
    path.write_bytes(archive.pack({f"{name}.tar.gz": likelihood for name in "abc"}))
    monkeypatch.setattr(archive, "MAX_BYTES", 2 * size)
    (report,) = nuhf.validate(path)
    assert "c.tar.gz decompresses to more than" in report.findings[0].message
    monkeypatch.setattr(archive, "MAX_BYTES", 3 * size)
    assert [report.ok for report in nuhf.validate(path)] == [True] * 6


def test_other_archives_beside_a_likelihood_are_left_alone(likelihood, grid, tmp_path):
    from nuhf.workspaces.archive import _collect, pack

    path = tmp_path / "likelihood.tar.gz"
    files = _collect(likelihood, 2**30)
    path.write_bytes(pack({**files, "code.tar.gz": b"anything"}))
    assert [report.kind for report in nuhf.validate(path)] == ["workspace", "patchset"]


# ------------------------------------------------------------------- command line


def test_command(cli, work, grid):
    (work / "good.json").write_text(json.dumps(atlas_style.workspace()))
    (work / "odd.json").write_text(json.dumps(simple([NORMSYS("a", 1.1, 1.1)])))
    (work / "bad.json").write_text('{"channels": [NaN]}')
    ran = cli("validate", "good.json", "odd.json")
    assert ran.code == 0
    assert "good.json: workspace, ok" in ran.out
    assert "warning identical" in ran.out
    assert "2 files, 0 errors, 1 warnings" in ran.out
    ran = cli("validate", "good.json", "bad.json")
    assert ran.code == 1
    assert "channels[0] is nan" in ran.out
    assert ran.err == "nuhf: 1 errors in bad.json\n"


def test_command_json(cli, work, grid):
    (work / "bkg.json").write_text(json.dumps(grid.background))
    (work / "patchset.json").write_text(json.dumps(grid.patchset))
    ran = cli("validate", "bkg.json", "patchset.json", "--workspace", "bkg.json", "--json")
    assert ran.code == 0, ran.err
    content = json.loads(ran.out)
    assert content["errors"] == 0
    assert [result["kind"] for result in content["results"]] == ["workspace", "patchset"]
    assert set(content["results"][0]["findings"][0]) == {"severity", "check", "where", "message"}
    ran = cli("validate", "patchset.json", "--workspace", "patchset.json", "--json")
    assert ran.code == 1
    assert json.loads(ran.out)["errors"] == 1


def test_a_file_that_is_not_there(cli):
    for name in ("none.json", "none.tar.gz"):
        ran = cli("validate", name)
        assert ran.code == 2
        assert ran.out == ""
        assert len(ran.err.strip().splitlines()) == 1
