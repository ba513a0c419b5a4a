"""``nuhf publish``: archives, and a HEPData submission that HEPData's validator accepts."""

import json
import subprocess
import sys
import tarfile
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import numpy as np
import pytest

import nuhf
from nuhf import exchange
from nuhf.errors import InputError
from nuhf.workspaces.archive import read_archive

X = "coherent-csi-2021"
BIN = Path(sys.executable).parent
FILES = ["BkgOnly.json", "README.md", "patchset.json", "workspace.json"]


def text(path):
    return Path(path).read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def published():
    return exchange.publication(X, ["munu_mu", "qnu_ee"], points=9, hepdata="ins1234567")


def test_archives(published, tmp_path):
    archives = published.archives()
    assert list(archives) == [f"{X}_munu_mu.tar.gz", f"{X}_qnu_ee.tar.gz"]
    again = exchange.publication(X, ["munu_mu", "qnu_ee"], points=9, hepdata="ins1234567")
    assert again.archives() == archives  # reproducible bytes
    for name, content in archives.items():
        (tmp_path / name).write_bytes(content)
        found = read_archive(tmp_path / name)
        assert sorted(found.files) == FILES
        readme = found.files["README.md"].decode()
        assert "10.1103/PhysRevLett.129.081801" in readme
        assert "placeholder" not in readme
        assert "{" not in readme.replace('[{"op"', "").replace("true}]", "")


def test_the_readme_of_an_archive_works(published, tmp_path):
    """Its four commands, run as they stand; 2NLL is the one in the table."""
    (tmp_path / "a.tar.gz").write_bytes(published.archives()[f"{X}_munu_mu.tar.gz"])
    with tarfile.open(tmp_path / "a.tar.gz") as opened:
        opened.extractall(tmp_path, filter="data")
    lines = [s.strip() for s in text(tmp_path / "README.md").splitlines() if s.startswith("    ")]
    assert len(lines) == 4
    environment = {"PATH": f"{BIN}:/usr/bin:/bin"}
    ran = subprocess.run(
        ["sh", "-ec", "\n".join(lines)], cwd=tmp_path, env=environment, capture_output=True,
        text=True, check=True,
    )  # fmt: skip
    found = json.loads(ran.stdout[ran.stdout.index("{") :])["twice_nll"]
    entry = published.entries[0]
    assert found - entry.limit.twice_nll_min == pytest.approx(entry.delta[-1], abs=1e-3)


def test_pyhf_contrib_download_unpacks_it(published, tmp_path):
    pytest.importorskip("requests")  # pyhf[contrib]
    content = published.archives()[f"{X}_munu_mu.tar.gz"]

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(200)
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *arguments):
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{server.server_port}/a.tar.gz"
        subprocess.run(
            [BIN / "pyhf", "contrib", "download", "--force", url, tmp_path / "got"], check=True
        )
        server.shutdown()
    assert sorted(p.name for p in (tmp_path / "got").iterdir()) == FILES


def test_numbers(published):
    entry = published.entries[1]
    assert entry.delta.min() >= -1e-6
    best = entry.problem.profiler().at(entry.grid.points[:, 0]) - entry.limit.twice_nll_min
    np.testing.assert_allclose(entry.delta, best, atol=1e-8)
    np.testing.assert_allclose(entry.values, entry.grid.points[:, 0] * 1e-8, rtol=1e-12)
    (region,) = published.before
    assert region.observed.sum() == published.problem.data[: region.observed.size].sum()
    assert set(region.expected) == {"ss", "brn", "nin", "cevns", "eves"}
    assert region.expected["ss"].sum() == pytest.approx(1286.0)


def test_gaussian_data_are_published_in_events():
    found = exchange.publication(X, "munu_mu", points=3, analysis="khan2023")
    loaded = nuhf.load(X, "khan2023").loaded
    assert found.stem == f"{X}_khan2023"
    assert list(found.archives()) == [f"{X}_khan2023_munu_mu.tar.gz"]
    (region,) = found.before
    assert np.abs(region.observed).max() < 1e3
    assert loaded.analysis.statistic == "gaussian"
    assert max(row.max() for row in region.expected.values()) < 1e3


def test_submission_passes_the_validator(work):
    """In processes of their own: the validator leaves its files open."""
    yaml = pytest.importorskip("yaml")
    pytest.importorskip("hepdata_lib")
    pytest.importorskip("hepdata_validator")
    ran = subprocess.run(
        [BIN / "nuhf", "publish", X, "-p", "munu_mu", "-p", "qnu_ee", "--points", "9",
         "-o", "out"],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert "ins0000000 is a placeholder" in ran.stderr
    for arguments in (("-d", "out/submission"), ("-a", "out/submission.tar.gz")):
        checked = subprocess.run(
            [BIN / "hepdata-validate", *arguments], capture_output=True, text=True, check=True
        )
        assert "is valid" in checked.stdout
    documents = list(yaml.safe_load_all(text("out/submission/submission.yaml")))
    _check_head(documents[0])
    _check_guidelines(documents, yaml)
    names = [document["name"] for document in documents[1:]]
    assert names == [
        "Spectrum before the fit", "Spectrum after the fit", "Parameters of the fit",
        "Correlation matrix", "Limits on magnetic moments", "Limits on millicharges",
        "Profile munu_mu", "Profile qnu_ee",
    ]  # fmt: skip
    spectrum = yaml.safe_load(text("out/submission/spectrum_before_the_fit.yaml"))
    assert len(spectrum["dependent_variables"][0]["values"]) == 99
    first = spectrum["independent_variables"][0]["values"][0]
    assert first == {"low": 0.0, "high": 8.0}
    (found,) = nuhf.limit(X, "munu_mu")
    limits = yaml.safe_load(text("out/submission/limits_on_magnetic_moments.yaml"))
    lower, upper = (column["values"][0]["value"] for column in limits["dependent_variables"][1:])
    assert (lower, upper[0]) == ("-", "<")
    assert float(upper[1:]) == pytest.approx(found.upper_limit, rel=1e-3)
    metadata = json.loads(text("out/.zenodo.json"))
    assert metadata["related_identifiers"][0]["identifier"] == "10.1103/PhysRevLett.129.081801"
    assert "placeholder" in ran.stderr
    with tarfile.open("out/submission.tar.gz") as opened:
        assert "submission.yaml" in opened.getnames()


def _check_head(head):
    resources = [r for r in head["additional_resources"] if r.get("type")]
    assert [(r["type"], r["location"]) for r in resources] == [
        (kind, f"{X}_{name}{ending}")
        for name in ("munu_mu", "qnu_ee")
        for kind, ending in (("HS3", ".hs3.json"), ("HistFactory", ".tar.gz"))
    ]
    for resource in resources:
        path = Path("out/submission") / resource["location"]
        if resource["type"] == "HistFactory":
            assert read_archive(path).files["README.md"]
        else:
            assert json.loads(text(path))["metadata"]["hs3_version"]
    assert "nuhf" not in json.dumps(head)  # no program in the words of a record


def _check_guidelines(documents, yaml):
    """What the validator does not look at: docs/publish.md has the list."""
    observables = {"Spectrum": ["N"], "Correlation": ["CORR"], "Limits": ["CLS"]}
    for table in documents[1:]:
        assert len(table["name"]) <= 64
        keywords = {one["name"]: one["values"] for one in table["keywords"]}
        assert {"reactions", "phrases"} <= set(keywords)
        # words of HEPData's own list only
        assert keywords.get("observables") == observables.get(table["name"].split()[0])
        charge = "qnu" in table["name"] or "millicharges" in table["name"]
        assert not (charge and "Magnetic moments" in keywords["phrases"])
        assert ("A modulus" in table["description"]) == ("magnetic moments" in table["name"])
        assert not any("$" in str(value) for values in keywords.values() for value in values)
        assert "NUMU NUCLEUS --> NUMU NUCLEUS" in keywords["reactions"]
        images = [one["location"] for one in table.get("additional_resources", ())]
        assert all((Path("out/submission") / name).stat().st_size > 2000 for name in images)
        if "Spectrum" in table["name"] or "Profile" in table["name"]:
            plain, thumb = images
            assert thumb == f"thumb_{plain}"
        assert ("data_license" in table) == ("Spectrum" in table["name"])
        content = yaml.safe_load(text(Path("out/submission") / table["data_file"]))
        if "Spectrum" in table["name"]:
            data, total, *_ = content["dependent_variables"]
            assert all(row["errors"] for row in data["values"])
            assert any(row["errors"] for row in total["values"])
            assert data["header"]["units"] == "events"
        assert "nuhf" not in json.dumps([table, content])


def test_radii_have_their_convention_and_expectations_are_no_counts():
    from nuhf.report import hepdata, hepdata_tables

    pytest.importorskip("hepdata_lib")
    file = Path(__file__).parents[1] / "docs" / "examples" / "silicon-reactor.toml"
    found = exchange.publication(str(file), "r2nu_ee", points=3)
    tables = {table.name: table for table, _ in hepdata_tables.tables(found)}
    for name in ("Limits on charge radii", "Profile r2nu_ee"):
        assert "r2nu_ee is the total charge radius" in tables[name].description
    assert "Asimov data" in tables["Spectrum before the fit"].description
    readme = hepdata.beside(found)["README.md"].decode()
    assert "Asimov data" in readme
    assert "All of this is in the public domain" in readme


def test_errors_of_the_expectation_are_those_of_its_nuisances():
    """By the plain twin: every nuisance one standard deviation up, differences in squares."""
    found = exchange.publication(X, "munu_mu", points=3)
    errors = found.before[0].uncertainty
    problem, step = found.problem, 1e-4
    compiled = problem.engine.compiled
    squares = np.zeros_like(errors)
    for name in compiled.names:
        if name == problem.parameter.fit_name:
            continue
        up = compiled.inits.copy()
        up[compiled.index(name)] += step
        squares += ((compiled.expected(up) - compiled.expected(compiled.inits)) / step) ** 2
    np.testing.assert_allclose(errors, np.sqrt(squares), rtol=2e-3, atol=1e-9)
    # the fit knows more than the constraints alone
    assert found.after[0].uncertainty.sum() < errors.sum()


def test_message_without_the_packages(cli, work, monkeypatch):
    from nuhf.report import hepdata

    monkeypatch.setattr(hepdata, "_MODULES", ("hepdata_lib_that_is_not_there",))
    ran = cli("publish", X, "-p", "munu_mu", "-o", "out")
    assert (ran.code, ran.out) == (1, "")
    assert ran.err.count("\n") == 1
    assert "pip install 'nuhf[hepdata]'" in ran.err
    assert not Path("out").exists()
    ran = cli("publish", X, "-p", "munu_mu", "--points", 3, "--archives-only", "-o", "out")
    assert ran.code == 0
    archive = f"{X}_munu_mu.tar.gz"
    assert {p.name for p in Path("out").iterdir()} == {archive, "README.md", ".zenodo.json"}


def test_refusals(cli, work):
    with pytest.raises(InputError, match="7 digits"):
        exchange.publication(X, "munu_mu", hepdata="1234567")
    with pytest.raises(InputError, match="confidence level"):
        exchange.publication(X, "munu_mu", cl=90)
    file = Path(__file__).resolve().parent.parent / "workspaces" / X / "munu_mu.stock.json"
    with pytest.raises(InputError, match="is a workspace"):
        exchange.publication(str(file))
    ran = cli("publish", X, "-p", "nonsense", "--archives-only", "-o", "out")
    assert ran.code == 2
    assert not Path("out").exists()
