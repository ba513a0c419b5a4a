"""Files as people bring them: the cases of public reports, and other members of each kind.

Every file is small and made here; the right values were worked out by hand, or come from pyhf.
"""

import bz2
import copy
import gzip
import io
import json
import lzma
import os
import subprocess
import sys
import tarfile
import threading
import zipfile
from pathlib import Path

import numpy as np
import pyhf
import pytest

import nuhf
from nuhf import resources
from nuhf.errors import InputError, NuhfError
from nuhf.filekind import Kind, kind_of
from nuhf.workspaces import archive as archives
from nuhf.workspaces.combine import Choices, NamedWorkspace, combine
from nuhf.workspaces.native import load_model
from nuhf.workspaces.validate import validate

ROOT = Path(__file__).resolve().parent.parent
NUHF = Path(sys.executable).parent / "nuhf"
LHC = ROOT / "docs" / "examples" / "lhc-style.json"


def normsys(name="b", hi=1.1, lo=0.9):
    return {"name": name, "type": "normsys", "data": {"hi": hi, "lo": lo}}


def histosys(name, hi, lo):
    return {"name": name, "type": "histosys", "data": {"hi_data": hi, "lo_data": lo}}


def per_bin(kind, name, errors):
    return {"name": name, "type": kind, "data": errors}


MU = {"name": "mu", "type": "normfactor", "data": None}
LUMI = {"name": "lumi", "type": "lumi", "data": None}


def base(sig=(5.0,), b=(50.0,), observed=(55.0,), modifiers=None, parameters=(), channel="SR"):
    """BASE of the cases: a signal with a free strength on a background with a normsys."""
    samples = [
        {"name": "sig", "data": list(sig), "modifiers": [copy.deepcopy(MU)]},
        {"name": "b", "data": list(b),
         "modifiers": [normsys()] if modifiers is None else list(modifiers)},
    ]  # fmt: skip
    return {
        "channels": [{"name": channel, "samples": samples}],
        "observations": [{"name": channel, "data": list(observed)}],
        "measurements": [{"name": "m", "config": {"poi": "mu", "parameters": list(parameters)}}],
        "version": "1.0.0",
    }


def background():
    spec = base()
    del spec["channels"][0]["samples"][0]
    spec["measurements"][0]["config"] = {
        "poi": "mu_SIG",
        "parameters": [{"name": "mu_SIG", "bounds": [[0, 5]], "inits": [1]}],
    }
    return spec


SIGNAL = {"name": "sig", "data": [5.0],
          "modifiers": [{"name": "mu_SIG", "type": "normfactor", "data": None}]}  # fmt: skip
PATCH = [{"op": "add", "path": "/channels/0/samples/1", "value": SIGNAL}]


def patchset(of):
    return {
        "metadata": {
            "references": {"hepdata": "ins1234567"},
            "description": "made for a test",
            "digests": {"sha256": pyhf.utils.digest(of)},
            "labels": ["mass"],
        },
        "patches": [{"metadata": {"name": "point_a", "values": [1.0]}, "patch": PATCH}],
        "version": "1.0.0",
    }


def findings(spec, severity, **options):
    report = validate(spec, "file", **options)
    return {f.check: f.message for f in report.findings if f.severity == severity}


# ------------------------------------------------- complete only with a patch (F1, F8)


def test_background_only_is_a_form_and_no_fault():
    report = validate(background())
    assert report.ok
    assert "POI mu_SIG comes with a patch" in findings(background(), "info")["background-only"]
    assert report.facts["parameters"] == 1
    # a POI without any settings may as well be misspelt
    spec = base()
    spec["measurements"][0]["config"]["poi"] = "mu_SIG"
    assert "model" in findings(spec, "error")


def test_background_only_with_several_measurements(capfd):
    spec = background()
    other = copy.deepcopy(spec["measurements"][0])
    other["name"] = "n"
    spec["measurements"].append(other)
    assert validate(spec).ok
    assert capfd.readouterr() == ("", "")


def test_the_parts_of_a_published_likelihood_in_every_form(tmp_path, cli):
    spec = background()
    (tmp_path / "BkgOnly.json").write_text(json.dumps(spec))
    (tmp_path / "patchset.json").write_text(json.dumps(patchset(spec)))
    (tmp_path / "patch.json").write_text(json.dumps(PATCH))
    reports = {Path(r.file).name: r for r in nuhf.validate(tmp_path)}
    assert {name: r.kind for name, r in reports.items()} == {
        "BkgOnly.json": "workspace", "patchset.json": "patchset", "patch.json": "patch",
    }  # fmt: skip
    assert all(report.ok for report in reports.values())
    ran = cli("validate", tmp_path / "patch.json", "--workspace", tmp_path / "BkgOnly.json")
    assert ran.code == 0, ran.err
    assert "1 operations, applied" in ran.out


@pytest.mark.parametrize(
    ("value", "check"),
    [
        ([{"op": "add", "path": "/channels/7/samples/0", "value": SIGNAL}], "patch"),
        ([{"op": "test", "path": "/version", "value": "2"}], "patch"),
        ([{"op": "replace", "path": "", "value": []}], "patch"),
        ([{"op": "replace", "path": "/observations/0/data", "value": [-1.0]}], "data"),
        ([{"op": "add", "path": "/channels/0/samples/1", "value": {**SIGNAL, "data": [5.0, 1.0]}}],
         "length"),
        ([{"op": "add", "path": "/version", "value": float("nan")}], "number"),
    ],
)  # fmt: skip
def test_patches_that_do_not_fit(value, check):
    assert check in findings(value, "error", workspace=background())


def test_combine_applies_patches(tmp_path, cli, work):
    spec, other = background(), base(channel="B", observed=(45.0,))
    for name, content in {"bkg": spec, "other": other, "patch": PATCH,
                          "set": patchset(spec)}.items():  # fmt: skip
        (work / f"{name}.json").write_text(json.dumps(content))
    ran = cli("combine", "bkg.json", "--patch", "patch.json")
    assert ran.code == 0, ran.err
    alone = json.loads(ran.out)
    assert [s["name"] for s in alone["channels"][0]["samples"]] == ["b", "sig"]
    ran = cli("combine", "bkg.json", "other.json", "--patchset", "set.json", "point_a",
              "--poi", "mu")  # fmt: skip
    assert ran.code == 0, ran.err
    assert sorted(load_model(json.loads(ran.out))[0].config.par_names) == ["b", "mu", "mu_SIG"]
    # the background alone goes with a POI of the other file
    ran = cli("combine", "other.json", "bkg.json", "--poi", "mu")
    assert ran.code == 0, ran.err
    for arguments, words in [
        (("bkg.json", "--patchset", "set.json", "point_b"), "no point 'point_b'"),
        (("other.json", "--patchset", "set.json", "point_a"), "wrong digest"),
        (("bkg.json", "other.json", "--patch", "set.json"), "a pyhf patch set, not a JSON patch"),
        (("other.json", "set.json"), "a pyhf patch set, not a pyhf workspace"),
        (("other.json", "patch.json"), "a JSON patch, not a pyhf workspace"),
        (("other.json",), "at least two"),
    ]:
        ran = cli("combine", *arguments)
        assert ran.code == 2, arguments
        assert words in ran.err
        assert ran.err.count("\n") == 1
        assert len(ran.err) < 300


def test_questions_apply_patches(cli, work):
    spec = background()
    future = patchset(spec) | {"version": "9.9"}
    later = patchset(spec) | {"version": "9.9.9"}
    root = [{"op": "replace", "path": "", "value": []}]
    for name, content in {"bkg": spec, "patch": PATCH, "set": patchset(spec), "root": root,
                          "other": patchset(base()), "future": future, "later": later,
                          }.items():  # fmt: skip
        (work / f"{name}.json").write_text(json.dumps(content))
    whole, point = (
        cli("limit", "bkg.json", "--patch", patch, "--json")
        for patch in ("patch.json", "set.json:point_a")
    )
    assert whole.code == point.code == 0, whole.err + point.err
    assert json.loads(whole.out)["results"] == json.loads(point.out)["results"]
    for patch, words in [
        ("root.json", "the patch does not fit the workspace"),
        ("bkg.json", "the patch does not fit the workspace"),
        ("future.json:point_a", "future.json: no valid patch set"),
        ("later.json:point_a", "later.json: no valid patch set"),
        ("other.json:point_a", "wrong digest"),
        ("set.json", "take set.json:NAME; allowed: point_a"),
        ("set.json:point_b", "no point 'point_b'"),
    ]:
        ran = cli("limit", "bkg.json", "--patch", patch)
        assert ran.code == 2, (patch, ran.err)
        assert words in ran.err
        assert ran.err.count("\n") == 1


# ------------------------------------------- files that no fit can work on (F2 to F5)


NO_FIT = [
    (base((1, 0), (2, 0), (3, 1)), "likelihood", "nothing is ever expected: channel SR bin 1"),
    (base((1, 0), (2, 0), (3, 1), [histosys("b", [2.1, 0.2], [1.9, 0.0])]), "likelihood",
     "nothing is expected at the initial values: channel SR bin 1"),
    (base((0,), (-5,), (3,)), "likelihood", "initial values"),
    (base((1, 0), (2, -1.5e-5), (3, 0)), "likelihood",
     "expects -1.5e-05 events at the initial values, and less than zero is impossible: channel SR"),
    (base(parameters=[{"name": "mu", "inits": [20], "bounds": [[0, 10]]}]), "start",
     "starts at 20, outside its bounds 0 to 10"),
    (base(parameters=[{"name": "b", "inits": [7]}]), "start", "b starts at 7"),
    (base(parameters=[{"name": "mu", "bounds": [[1, 1]]}]), "start", "no room"),
    (base(parameters=[{"name": "mu", "fixed": True, "inits": [1], "bounds": [[0, 10]]}]),
     "start", "POI mu is fixed"),
    (base(observed=(-1.0,)), "data", "negative in channel SR bin 0"),
    (base(modifiers=[per_bin("staterror", "s", [-5.0])]), "bin-error", "negative error"),
    (base(modifiers=[LUMI], parameters=[{"name": "lumi", "auxdata": [1], "sigmas": [0.0],
                                         "inits": [1], "bounds": [[0.5, 1.5]]}]),
     "width", "above zero"),
]  # fmt: skip


@pytest.mark.parametrize(("spec", "check", "words"), NO_FIT)
def test_no_fit_can_work_on_these(spec, check, words):
    assert words in findings(spec, "error")[check]
    if check == "likelihood" and "less than zero" not in words:  # pyhf rewards that
        model, data = load_model(spec)
        with np.errstate(all="ignore"):
            assert not np.isfinite(model.logpdf(model.config.suggested_init(), data)).all()


def changed(change):
    spec = base()
    change(spec)
    return spec


SAID = [
    *((spec, words) for spec, _, words in NO_FIT if "fixed" not in words),
    (base(parameters=[{"name": "mu", "fixed": True}]), "mu is fixed; -p mu makes it free"),
    (changed(lambda s: s["channels"].append(s["channels"][0])), "2 channels named 'SR'"),
    (changed(lambda s: s["observations"][0]["data"].append(1.0)), "one count per bin"),
    (changed(lambda s: s["channels"][0]["samples"][1]["data"].append(1.0)), "2 values for 1 bins"),
    (changed(lambda s: s["measurements"].pop()), "does not follow the pyhf schema"),
    (changed(lambda s: s["measurements"][0]["config"].update(poi="zz")), "acts on no sample"),
    (changed(lambda s: s["channels"][0]["samples"].append({"name": "c", "data": 99 * [0.1]})),
     "'modifiers' is a required property"),
    (base(modifiers=[normsys("b", 1.1, -0.9)]), "factors must be positive"),
    (base(modifiers=[normsys("b", 1.1, 1e300)]), "lo = 1e+300, too far from 1 to compute with"),
    (base(modifiers=[normsys(), {"name": "b", "type": "normfactor", "data": None}]),
     "cannot build this model"),
    (base(modifiers=[LUMI]), "has no settings for the parameter 'lumi'"),
    (background(), "mu_SIG comes with a patch"),
    (patchset(background()), "it is a patch set"),
    (PATCH, "it is a patch: give its workspace"),
]  # fmt: skip


def test_a_name_that_is_wrong_beside_other_files_only_is_no_reason_to_refuse_a_limit(cli, work):
    spec = changed(lambda s: s["channels"][0]["samples"][0].update(name="cevns_e"))
    (work / "named.json").write_text(json.dumps(spec))
    said = cli("validate", "named.json")
    assert said.code == 1
    assert "channel SR, parameter mu: never call a parameter mu" in said.out
    assert cli("limit", "named.json").code == 0


@pytest.mark.parametrize(("content", "words"), SAID)
def test_what_validate_knows_limit_says_in_one_line(cli, work, content, words):
    (work / "bad.json").write_text(json.dumps(content))
    ran = cli("limit", "bad.json")
    assert ran.code in (1, 2)
    assert (ran.out, ran.err.count("\n")) == ("", 1)
    assert ran.err.startswith("nuhf: bad.json: ")
    assert words in ran.err
    assert len(ran.err) < 500  # no whole samples in it


@pytest.mark.parametrize("least", [0, -9e-6])
def test_an_empty_bin_with_nothing_in_it_is_fine(least):
    """Down to what counts as zero in the likelihood."""
    assert validate(base((1, 0), (2, least), (3, 0))).ok
    (found,) = nuhf.limit(base((1, 0), (2, least), (3, 0)))
    assert found.upper_limit == pytest.approx(nuhf.limit(base((1,), (2,), (3,)))[0].upper_limit)


def test_steep_factors_of_a_narrow_parameter_are_taken():
    """As in stock files, where a coupling ends at 0.02 of its unit."""
    narrow = [{"name": "b", "bounds": [[-0.02, 0.02]]}]
    spec = base(modifiers=[normsys("b", 1e60, 1e60)], parameters=narrow)
    assert validate(spec).ok
    assert nuhf.limit(spec)[0].upper_limit > 0


@pytest.mark.parametrize("kind", ["observations", "measurements", "channels"])
def test_equal_names(kind):
    spec = base()
    spec[kind].append({**copy.deepcopy(spec[kind][0]), "data": [99.0]}
                      if kind == "observations" else copy.deepcopy(spec[kind][0]))  # fmt: skip
    assert f"2 {kind} named" in findings(spec, "error")["schema"]
    with pytest.raises(NuhfError, match=f"2 {kind} named"):
        combine([NamedWorkspace("one", spec), NamedWorkspace("two", base(channel="B"))])


def test_equal_settings():
    spec = base(parameters=[{"name": "mu", "inits": [1]}, {"name": "mu", "inits": [2]}])
    assert "2 settings of parameter 'mu'" in findings(spec, "error")["schema"]


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ([], "has no settings for the parameter 'lumi'"),
        ([{"name": "lumi", "auxdata": [1.0]}], "too few settings (sigmas is missing)"),
        ([{"name": "lumi", "auxdata": [1.0], "sigmas": [0.1], "inits": [1.0]}], "bounds"),
        (
            [
                {
                    "name": "lumi",
                    "auxdata": [1.0],
                    "sigmas": [0.1, 0.2],
                    "inits": [1.0],
                    "bounds": [[0.5, 1.5]],
                }
            ],
            "2 values of sigmas",
        ),
    ],
)
def test_a_luminosity_without_settings(settings, words):
    message = findings(base(modifiers=[LUMI], parameters=settings), "error")["schema"]
    assert "channel 'SR' uses the luminosity, and measurement 'm'" in message
    assert words in message
    assert "needs auxdata, sigmas, inits, bounds" in message
    assert "null" not in message


@pytest.mark.parametrize(
    ("spec", "deviations"),
    [
        # (51.8/5)^2 = 107.33 expected at 1, 161 at the start of 1.5: (161 - 1.2)/sqrt(161) = 12.6
        (base(b=(51.8,), modifiers=[per_bin("shapesys", "unc", [5.0])],
              parameters=[{"name": "unc", "inits": [1.5], "auxdata": [1.2]}]), 12.6),
        (base(parameters=[{"name": "b", "auxdata": [1.2]}]), 1.2),
        (base(parameters=[{"name": "b", "inits": [-2.0]}]), 2.0),
        (base(modifiers=[LUMI], parameters=[{"name": "lumi", "auxdata": [1.1], "sigmas": [0.05],
                                             "inits": [1], "bounds": [[0.5, 1.5]]}]), 2.0),
    ],
)  # fmt: skip
def test_auxiliary_data_that_are_not_expected(spec, deviations):
    message = findings(spec, "warning")["auxiliary"]
    assert float(message.split(" are ")[1].split()[0]) == pytest.approx(deviations, rel=0.01)


def test_settings_without_use():
    for kind in ("shapesys", "staterror"):
        spec = base(modifiers=[per_bin(kind, "unc", [5.0])],
                    parameters=[{"name": "unc", "inits": [1.0]}])  # fmt: skip
        assert "no use" in findings(spec, "warning")["settings"]


# --------------------------------------------------------------- errors per bin (F6)


@pytest.mark.parametrize("kind", ["staterror", "shapesys"])
def test_errors_per_bin(kind):
    relative = base((0, 0), (500, 600), (500, 600), [per_bin(kind, "s", [0.05, 0.06])])
    assert "relative errors given for absolute" in findings(relative, "warning")["bin-error"]
    none = base((1, 1), (0, 1), (1, 2), [per_bin(kind, "s", [0.1, 0.1])])
    assert "no error in bin 0" in findings(none, "info")["bin-error"]
    lost = base((100,), (-50,), (50,), [per_bin(kind, "s", [10.0])])
    assert "lost in bin 0" in findings(lost, "warning")["bin-error"]
    wide = base(modifiers=[per_bin(kind, "s", [80.0])])
    assert "up to 160 %" in findings(wide, "warning")["large"]
    usual = base(modifiers=[per_bin(kind, "s", [2.0])])
    assert not findings(usual, "warning")


def test_what_is_called_lost_is_what_pyhf_freezes():
    spec = base((100, 1, 1), (-50, 0, 1), (50, 1, 2), [per_bin("staterror", "s", [10.0, 0.1, 0.1])])
    model, _ = load_model(spec)
    fixed = dict(zip(model.config.par_names, model.config.suggested_fixed(), strict=True))
    assert [fixed[f"s[{i}]"] for i in range(3)] == [True, True, False]


# --------------------------------------------------------------------- archives (F7)


def tarred(files, mode="w:gz"):
    body = io.BytesIO()
    with tarfile.open(fileobj=body, mode=mode) as archive:
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return body.getvalue()


def zipped(files):
    body = io.BytesIO()
    with zipfile.ZipFile(body, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return body.getvalue()


PACKERS = {
    "tar": lambda files: tarred(files, "w"),
    "gz": tarred,
    "bz2": lambda files: tarred(files, "w:bz2"),
    "xz": lambda files: tarred(files, "w:xz"),
    "zip": zipped,
}


def two_regions():
    """As the first full likelihood: folders of regions, with patches of any name."""
    first, second = background(), background()
    second["observations"][0]["data"] = [40.0]
    one = [json.dumps(content).encode() for content in (first, second, PATCH)]
    return {
        "RegionA/BkgOnly.json": one[0],
        "RegionA/patch.sbottom_600_280.json": one[2],
        "RegionB/BkgOnly.json": one[1],
        "RegionB/patch.sbottom_600_280.json": one[2],
        "README.md": b"# read me",
    }


@pytest.mark.parametrize("form", PACKERS)
@pytest.mark.parametrize("name", ["X.TAR.GZ", "download"])
def test_archives_of_any_form_name_and_layout(tmp_path, form, name):
    (tmp_path / name).write_bytes(PACKERS[form](two_regions()))
    reports = nuhf.validate(tmp_path / name)
    assert [r.kind for r in reports] == ["workspace", "patch"] * 2
    assert all(r.ok for r in reports)
    assert "applied" in reports[1].findings[-1].message


def test_patch_sets_are_paired_by_digest_wherever_they_are(tmp_path):
    one, two = background(), background()
    two["observations"][0]["data"] = [40.0]
    files = {"a/model_x.json": one, "a/model_y.json": two, "b/points.json": patchset(two)}
    path = tmp_path / "likelihood.zip"
    path.write_bytes(zipped({n: json.dumps(c).encode() for n, c in files.items()}))
    reports = nuhf.validate(path)
    assert [r.kind for r in reports] == ["workspace", "workspace", "patchset"]
    assert all(r.ok for r in reports)
    assert not any("not compared" in f.message for f in reports[2].findings)


def test_a_download_of_a_record(tmp_path, cli, work):
    """A zip with tables and, inside, the tar of the likelihood."""
    inner = tarred(two_regions())
    files = {"HEPData-ins1/submission.yaml": b"comment: none\n", "HEPData-ins1/lhood": inner,
             "__MACOSX/BkgOnly.json": b"\x00\x05\x16\x07"}  # fmt: skip
    (work / "record.zip").write_bytes(zipped(files))
    ran = cli("validate", "record.zip")
    assert ran.code == 0, ran.err
    assert "record.zip/HEPData-ins1/lhood/RegionB/BkgOnly.json: workspace, ok" in ran.out
    ran = cli("unpack", "record.zip", "-o", "out")
    assert ran.code == 0, ran.err
    assert (work / "out" / "HEPData-ins1" / "lhood").read_bytes() == inner


@pytest.mark.parametrize("pack", [gzip.compress, bz2.compress, lzma.compress])
def test_a_single_compressed_file(tmp_path, pack):
    path = tmp_path / "BkgOnly.json.gz"
    path.write_bytes(pack(json.dumps(background()).encode()))
    (report,) = nuhf.validate(path)
    assert (report.kind, report.ok) == ("workspace", True)
    assert nuhf.validate(tmp_path)[0].ok


def test_bombs_and_traps_of_other_forms(tmp_path, monkeypatch):
    def refused(content, words):
        path = tmp_path / "x"
        path.write_bytes(content)
        (report,) = nuhf.validate(path)
        assert not report.ok
        assert words in report.findings[0].message

    monkeypatch.setattr(archives, "_RATIO_FROM", 1024)
    zeros = b"\0" * 2**20
    refused(zipped({"a": zeros}), "decompresses to more than")
    for pack in (bz2.compress, lzma.compress):
        refused(pack(zeros), "decompresses to more than")
    monkeypatch.undo()
    refused(zipped({"../evil.json": b"{}"}), "'..'")
    refused(zipped({"a.json": b"{}", "A.json": b"{}"}), "twice")
    refused(zipped(two_regions())[:-30], "zip")
    link = zipfile.ZipInfo("link")
    link.external_attr = 0o120777 << 16
    body = io.BytesIO()
    with zipfile.ZipFile(body, "w") as archive:
        archive.writestr(link, "/etc/passwd")
    refused(body.getvalue(), "link or device")
    refused(zipped({"README": b"no likelihood"}), "holds no pyhf workspace")


# ---------------------------------------------------------------- pipes and - (F9)


def test_pipes_and_standard_input(tmp_path):
    text = json.dumps(base()).encode()
    other = tmp_path / "other.json"
    other.write_text(json.dumps(base(channel="B", observed=(45.0,))))
    run = subprocess.run([NUHF, "validate", "-"], input=text, capture_output=True, check=False)
    assert run.returncode == 0, run.stderr
    assert run.stdout.startswith(b"-: workspace, ok")
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    writer = threading.Thread(target=pipe.write_bytes, args=(text,))
    writer.start()
    found = nuhf.combine([pipe, other])
    writer.join()
    assert len(found["channels"]) == 2


def test_pipes_have_limits(tmp_path, monkeypatch):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    monkeypatch.setattr(resources, "_SILENCE", 0.05)
    with pytest.raises(InputError, match="nothing more came through it"):
        resources.read_bytes(pipe)
    monkeypatch.setattr(resources, "_SILENCE", 5.0)
    monkeypatch.setattr(resources, "_MAX_BYTES", 1000)
    writer = threading.Thread(target=lambda: pipe.write_bytes(b"x" * 1200))
    writer.start()
    with pytest.raises(InputError, match="larger than"):
        resources.read_bytes(pipe)
    writer.join()


# ------------------------------------------------- which parameters are one (F10, F20, F24)


def luminosity(sigma, fixed=False, centre=1.0):
    return {"name": "lumi", "auxdata": [centre], "sigmas": [sigma], "inits": [centre],
            "bounds": [[0.5 * centre, 1.5 * centre]], "fixed": fixed}  # fmt: skip


def with_luminosity(channel, observed, *settings):
    return base(observed=observed, channel=channel, modifiers=[LUMI, normsys()],
                parameters=[luminosity(*settings)])  # fmt: skip


def twice_nll(spec, **values):
    model, data = load_model(spec)
    point = np.array(model.config.suggested_init())
    for name, value in values.items():
        point[model.config.par_slice(name)] = value
    return float(-2 * np.asarray(model.logpdf(point, data))[0])


def test_two_luminosities_are_kept_apart():
    one, two = with_luminosity("A", (55.0,), 0.017), with_luminosity("B", (45.0,), 0.0083)
    found = combine([NamedWorkspace("one", one), NamedWorkspace("two", two)])
    assert any("lumi_two" in note and "0.83 %" in note for note in found.notes)
    for pull in (-2.0, -1.0, 0.5, 1.5):
        both = twice_nll(found.spec, lumi=1 + 0.017 * pull, lumi_two=-pull)
        apart = twice_nll(one, lumi=1 + 0.017 * pull) + twice_nll(two, lumi=1 - 0.0083 * pull)
        # the constraint of b is shared (counted twice apart); widths in the constants
        shift = 2 * np.log(0.0083) + np.log(2 * np.pi)
        assert both - apart + shift == pytest.approx(0.0, abs=2e-3)


def test_a_fixed_luminosity_becomes_a_constant():
    one = with_luminosity("A", (55.0,), 0.017)
    two = with_luminosity("B", (45.0,), 0.1, True, 2.0)
    found = combine([NamedWorkspace("one", one), NamedWorkspace("two", two)])
    assert "lumi_two" not in json.dumps(found.spec)
    (sample,) = [s for c in found.spec["channels"] if c["name"] == "B"
                 for s in c["samples"] if s["name"] == "b"]  # fmt: skip
    assert sample["data"] == [100.0]


def test_real_pair_of_luminosities_on_the_command_line(cli, work):
    text = LHC.read_text()
    Path("other.json").write_text(
        text.replace("0.017", "0.0083").replace("SR_", "SRX_").replace("CR_", "CRX_")
    )
    ran = cli("combine", LHC, "other.json", "-o", "both.json")
    assert ran.code == 0, ran.err
    assert "its luminosity is now lumi_other" in ran.err
    model, data = load_model(json.loads(Path("both.json").read_text()))
    assert {"lumi", "lumi_other"} <= set(model.config.par_names)
    assert np.isfinite(model.logpdf(model.config.suggested_init(), data)).all()


def test_decorrelate():
    one, two = base(channel="A"), base(channel="B", observed=(45.0,))
    choices = Choices(decorrelate=("b", "mu"), poi="mu")
    found = combine([NamedWorkspace("one", one), NamedWorkspace("two", two)], choices)
    assert set(load_model(found.spec)[0].config.par_names) == {"mu", "b", "mu_two", "b_two"}
    both = twice_nll(found.spec, mu=1.3, b=0.4, mu_two=0.2, b_two=-1.0)
    assert both == pytest.approx(twice_nll(one, mu=1.3, b=0.4) + twice_nll(two, mu=0.2, b=-1.0))
    with pytest.raises(InputError, match="decorrelate = c: it is in no file"):
        combine(
            [NamedWorkspace("one", one), NamedWorkspace("two", two)], Choices(decorrelate=("c",))
        )
    lumi = [NamedWorkspace(c, with_luminosity(c, (50.0 + i,), 0.01)) for i, c in enumerate("AB")]
    assert "lumi_B" not in json.dumps(combine(lumi).spec)
    assert "lumi_B" in json.dumps(combine(lumi, Choices(decorrelate=("lumi",))).spec)


@pytest.mark.parametrize("rho", [0.5, -0.5, 1.0, -1.0, 0.0])
def test_partial_correlations(rho):
    """2NLL at (a, b) is that of the sum with the pull term of a correlated pair."""
    # symmetric in the logarithm: the powers are exact there
    one = base(channel="A", modifiers=[normsys("a", 1.1, 1 / 1.1),
                                       histosys("h", [52.0], [48.0])])  # fmt: skip
    two = base(channel="B", observed=(45.0,), modifiers=[normsys("c", 1.2, 1 / 1.2)])
    sources = [NamedWorkspace("one", one), NamedWorkspace("two", two)]
    found = combine(sources, Choices(correlate=(("a", "c", rho),)))
    names = load_model(found.spec)[0].config.par_names
    assert ("c" in names) is (abs(rho) < 1)
    for u, v in [(1.0, 0.0), (0.0, 1.0), (-1.0, 1.0)]:
        a, c = u, rho * u + np.sqrt(1 - rho**2) * v
        rest = {"c": v} if abs(rho) < 1 else {}
        if abs(rho) == 1.0 and v:
            continue
        mixed = twice_nll(found.spec, a=u, **rest)
        plain = twice_nll(combine(sources).spec, a=a, c=c)
        pulls = sum(x**2 for x in ([u, v] if rest else [u])) - (a**2 + c**2)
        constants = 0.0 if rest else -np.log(2 * np.pi)
        # code4 between -1 and 1 is no exact power: a few 1e-3 of 2NLL
        assert mixed - plain == pytest.approx(pulls + constants, abs=0.02)


def test_correlations_of_shapes_and_of_one_sample():
    """Both parameters on one sample: their modifiers are merged; histosys mix linearly."""
    shapes = [histosys("a", [52.0], [48.0]), histosys("c", [53.0], [47.0])]
    one, two = base(channel="A", modifiers=shapes), base(channel="B", observed=(45.0,))
    sources = [NamedWorkspace("one", one), NamedWorkspace("two", two)]
    found = combine(sources, Choices(correlate=(("a", "c", 0.6),)))
    sample = found.spec["channels"][0]["samples"][1]
    rows = {m["name"]: m["data"] for m in sample["modifiers"]}
    assert rows["a"]["hi_data"] == pytest.approx([50 + 2 + 0.6 * 3])
    assert rows["c"]["lo_data"] == pytest.approx([50 - 0.8 * 3])


@pytest.mark.parametrize(
    ("wanted", "words"),
    [
        ([("b", "mu", 0.5)], "it is free"),
        ([("b", "b", 0.5)], "two parameters"),
        ([("b", "c", 1.5)], "from -1 to 1"),
        ([("b", "nothing", 0.5)], "no parameter 'nothing'"),
        ([("b", "c", 0.9), ("c", "d", 0.9), ("b", "d", -0.9)], "no such correlations"),
    ],
)
def test_correlations_that_are_none(wanted, words):
    one = base(channel="A", modifiers=[normsys("b"), normsys("c"), normsys("d")])
    sources = [
        NamedWorkspace("one", one),
        NamedWorkspace("two", base(channel="B", observed=(45.0,))),
    ]
    with pytest.raises(InputError, match=words):
        combine(sources, Choices(correlate=tuple(wanted)))


def test_combine_says_what_became_one(cli, work):
    Path("one.json").write_text(json.dumps(base()))
    Path("two.json").write_text(json.dumps(base(channel="B", observed=(45.0,))))
    ran = cli("combine", "one.json", "two.json", "-o", "both.json")
    shared = [line for line in ran.err.splitlines() if "of all files now" in line]
    assert shared == ["note: one parameter of all files now, free: mu",
                      "note: one parameter of all files now, constrained: b"]  # fmt: skip
    ran = cli("combine", "one.json", "two.json", "--decorrelate", "mu", "--poi", "mu",
              "--correlate", "b", "b", "0.5")  # fmt: skip
    assert ran.code == 2
    assert "two parameters" in ran.err


# --------------------------------------------------- what a file is (F23, F25)

KINDS = {
    Kind.WORKSPACE: json.dumps(base()).encode(),
    Kind.PATCH_SET: json.dumps(patchset(background())).encode(),
    Kind.PATCH: json.dumps(PATCH).encode(),
    Kind.MODEL: b'{"channels": []}',
    Kind.HS3: b'{"metadata": {"hs3_version": "0.2"}, "distributions": []}',
    Kind.JSON: b'{"a": 1}',
    Kind.BROKEN_JSON: b'{"a": ',
    Kind.EXPERIMENT: (ROOT / "docs" / "examples" / "one-bin-reactor.toml").read_bytes(),
    Kind.TOML: b"a = 1\n",
    Kind.SUBMISSION: b"independent_variables:\n- header: {name: x}\n",
    Kind.XML: b"<!DOCTYPE Combination SYSTEM 'HistFactorySchema.dtd'><Combination/>",
    Kind.ZIP: zipped({"a": b"1"}),
    Kind.GZIP: gzip.compress(b"1"),
    Kind.BZIP2: bz2.compress(b"1"),
    Kind.XZ: lzma.compress(b"1"),
    Kind.TAR: tarred({"a": b"1"}, "w"),
    Kind.PDF: b"%PDF-1.7\n",
    Kind.ROOT: b"root\x00\x00\xf7\x00",
    Kind.UTF16: '{"a": 1}'.encode("utf-16"),
    Kind.BINARY: b"\x93NUMPY\x01\x00",
    Kind.TEXT: b"hello\n",
    Kind.EMPTY: b"  \n",
}


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_what_a_file_is(kind):
    assert kind_of(KINDS[kind]) is kind
    if kind not in (Kind.UTF16, Kind.EMPTY) and not kind.is_archive:
        text = KINDS[kind]
        marked = b"\xef\xbb\xbf" + text
        assert kind_of(marked) is kind or kind in (Kind.PDF, Kind.ROOT, Kind.BINARY)


COMMANDS = [
    ("show", "x"), ("limit", "x"), ("fit", "x"), ("rate", "x"), ("templates", "x"), ("cite", "x"),
    ("ranking", "x"), ("report", "x", "-o", "r.html"), ("scan", "x", "-p", "munu_e"),
    ("coverage", "x", "-p", "munu_e", "--true", "0"), ("plot", "x", "prefit"),
    ("workspace", "x", "-p", "munu_e"), ("publish", "x", "-o", "p"),
    ("patchset", "x", "-p", "munu_e", "-o", "p"),
]  # fmt: skip


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command[0])
@pytest.mark.parametrize("kind", [Kind.PATCH_SET, Kind.ZIP, Kind.SUBMISSION])
def test_every_command_says_what_a_file_is(cli, work, command, kind):
    Path("x").write_bytes(KINDS[kind])
    ran = cli(*command)
    assert ran.code == 2
    assert f"x: {kind.words}, not an experiment file (TOML)" in ran.err
    assert [p.name for p in work.iterdir()] == ["x"]


@pytest.mark.parametrize("kind", [Kind.EXPERIMENT, Kind.XML, Kind.UTF16, Kind.SUBMISSION])
def test_pyhf_commands_say_so_too(cli, work, kind):
    Path("x").write_bytes(KINDS[kind])
    for command in (("combine", "x", "x"), ("unpack", "x")):
        ran = cli(*command)
        assert ran.code == 2
        assert kind.words in ran.err
    ran = cli("validate", "x")
    assert ran.code == 1
    assert f"this is {kind.words}" in ran.out


def test_files_from_windows(tmp_path):
    path = tmp_path / "x.json"
    path.write_bytes(b"\xef\xbb\xbf" + json.dumps(base(), indent=1).replace("\n", "\r\n").encode())
    assert nuhf.validate(path)[0].ok
    toml = tmp_path / "x.toml"
    toml.write_bytes(b"\xef\xbb\xbf" + KINDS[Kind.EXPERIMENT].replace(b"\n", b"\r\n"))
    assert resources.read_toml(toml)["name"] == "one-bin-reactor"


def test_several_measurements_say_each_thing_once(capfd):
    spec = base()
    for name in ("n", "o", "p"):
        spec["measurements"].append({**copy.deepcopy(spec["measurements"][0]), "name": name})
    report = validate(spec)
    assert "POI mu" in next(f.message for f in report.findings if f.check == "counts")
    assert "mu, mu" not in str(report.findings)
    assert capfd.readouterr() == ("", "")


def test_a_large_patch_set_says_how_many_models_were_built():
    spec = background()
    content = patchset(spec)
    content["patches"] = [
        {"metadata": {"name": f"p{i}", "values": [float(i)]}, "patch": PATCH} for i in range(110)
    ]
    message = findings(content, "info", workspace=spec)["patch"]
    assert message == "all patches applied, one model of 3 checked"
