"""A quenching model, a source and a background from another package work in every command."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

PLUGIN = Path(__file__).parent / "plugin"

FILE = """
format = 2
name = "outside"
title = "parts of another package"
[sources.lines]
kind = "two-lines"
source = "made up"
table = "lines.csv"
[target]
source = "made up"
mass_kg = 10.0
formula = { Ge72 = 1 }
[responses.nuclear]
recoil_min_kev = 0.01
quenching = { kind = "root", a = 0.1 }
smearing = { kind = "fano", noise_kev = 0.02, pair_energy_kev = 0.00296, fano = 0.11 }
[signals.cevns]
interaction = "cevns"
source = "lines"
response = "nuclear"
[regions.main]
live_days = 100.0
axes = { energy_kev_ee = [0.1, 0.2, 0.3, 0.5] }
data = { kind = "asimov" }
[backgrounds.comb]
kind = "comb"
title = "a comb"
source = "made up"
events = 5.0
[nuisances.qf_root]
kind = "variation"
up.responses.nuclear.quenching = { a = 0.11 }
down.responses.nuclear.quenching = { a = 0.09 }
[analyses.default]
title = "three bins"
parameters = ["munu_e", "sin2thetaW"]
"""


@pytest.fixture(scope="module")
def nuhf(tmp_path_factory):
    folder = tmp_path_factory.mktemp("outside")
    (folder / "outside.toml").write_text(FILE)
    entry = "@misc{Nobody:2026, author = {Nobody, A.}, eprint = {2601.00001}}"
    (folder / "bibliography.bib").write_text(entry)
    source = "# source: @Nobody:2026\n"
    (folder / "lines.csv").write_text(f"{source}e_mev,flux_per_cm2_s\n30,1e7\n")

    def run(*words, plugin=True):
        path = [str(PLUGIN)] if plugin else []
        path += filter(None, [os.environ.get("PYTHONPATH")])
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(path)}
        return subprocess.run(
            [sys.executable, "-m", "nuhf", *words],
            capture_output=True, text=True, cwd=folder, env=environment, check=False,
        )  # fmt: skip

    return run


def test_limits_with_the_parts(nuhf):
    done = nuhf("limit", "outside.toml", "--json")
    assert done.returncode == 0, done.stderr
    results = json.loads(done.stdout)["results"]
    assert {r["parameter"] for r in results} == {"munu_e", "sin2thetaW"}
    assert all(r["intervals"] for r in results)


@pytest.mark.parametrize(
    ("words", "seen"),
    [
        (["show", "outside.toml"], ["root", "lines.csv", "comb", "qf_root"]),
        (["cite", "outside.toml"], ["2601.00001", "Nobody"]),
        (["list", "keys", "sources.NAME"], ["two-lines"]),
        (["list", "keys", "responses.NAME.quenching"], ["root", "Quenching factor at 1 keV"]),
    ],
)
def test_other_commands_know_them(nuhf, words, seen):
    done = nuhf(*words)
    assert done.returncode == 0, done.stderr
    for word in seen:
        assert word in done.stdout


def test_the_check_of_the_installation_still_passes(nuhf):
    done = nuhf("check")
    assert done.returncode == 0, done.stdout + done.stderr


def test_without_the_package_the_kinds_are_unknown(nuhf):
    done = nuhf("show", "outside.toml", plugin=False)
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert "two-lines" in done.stderr
    assert "sns" in done.stderr
