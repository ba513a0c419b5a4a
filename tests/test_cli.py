"""The command line: what it prints and writes, and how it refuses bad input."""

import csv
import errno
import io
import json
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from conftest import NOTE, Ran

from nuhf.cli import _COMMANDS, _group, options
from nuhf.resources import JSON_FORMAT

X = "coherent-csi-2021"
REGION = "coherent_csi_2021"
#: the analysis without the scattering on electrons
NUCLEI = ("--analysis", "cevns-only")
NUHF = str(Path(sys.executable).with_name("nuhf"))
PNG = b"\x89PNG\r\n\x1a\n"
COMMANDS = ("list", "show", "rate", "templates", "workspace", "fit", "limit", "scan", "contour",
            "regenerate")  # fmt: skip
#: the fields of one result of ``nuhf limit --json``
LIMIT_FIELDS = {
    "experiments": list, "analysis": str, "parameter": str, "unit": str,
    "convention": str | None, "cl": float, "method": str, "best_fit": float, "intervals": list,
    "upper_limit": float | None, "twice_nll_min": float, "profiled": list, "fixed": dict,
    "status": str, "optimizer": str, "notes": list, "provenance": dict,
}  # fmt: skip


def one_json(ran):
    """Stdout is one strict JSON object and nothing else."""
    assert ran.code == 0, ran.err

    def refuse(text):
        raise ValueError(text)

    found = json.loads(ran.out, parse_constant=refuse)
    assert isinstance(found, dict)
    return found


def limits(cli, *arguments):
    return one_json(cli("limit", *arguments, "--json"))["results"]


@pytest.mark.parametrize(
    "command",
    [("list",), ("list", "keys"), ("show", X), ("rate", X), ("cite", X),
     ("limit", X, *NUCLEI, "-p", "munu_mu"), ("fit", X, *NUCLEI)],
    ids=" ".join,
)  # fmt: skip
def test_json_has_the_version_of_its_form(cli, command):
    assert one_json(cli(*command, "--json"))["format"] == JSON_FORMAT


def table(text):
    rows = [line for line in text.splitlines() if line and not line.startswith("#")]
    return list(csv.DictReader(io.StringIO("\n".join(rows))))


def files(folder):
    return sorted(str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_file())


def is_png(path):
    content = path.read_bytes()
    width, height = (int.from_bytes(content[i : i + 4], "big") for i in (16, 20))
    return content.startswith(PNG) and content[12:16] == b"IHDR" and width > 100 < height


@pytest.fixture
def heavier(work, toml_text):
    """A copy of the experiment with twice the mass, in another folder and by another name."""
    folder = work / "mine"
    folder.mkdir()
    text = toml_text.replace("mass_kg = 14.6", "mass_kg = 29.2")
    text = text.replace(f'name = "{X}"', 'name = "heavier"')
    assert text.count("29.2") == 1
    assert text.count('"heavier"') == 1
    path = folder / "heavier.toml"
    path.write_text(text, encoding="utf-8")
    return path


# ------------------------------------------------------------------------------ as a process


@pytest.mark.parametrize("command", [[NUHF], [sys.executable, "-m", "nuhf"]])
def test_as_a_process(command, tmp_path):
    done = subprocess.run(
        [*command, "limit", X, "-p", "munu_mu", "--json"],
        capture_output=True, text=True, cwd=tmp_path, check=False,
    )  # fmt: skip
    assert done.returncode == 0
    assert done.stderr == ""
    assert [r["parameter"] for r in json.loads(done.stdout)["results"]] == ["munu_mu"]
    bad = subprocess.run(
        [*command, "limit", "nope"], capture_output=True, text=True, cwd=tmp_path, check=False
    )
    assert bad.returncode == 2
    assert bad.stdout == ""
    assert re.fullmatch(r"nuhf: unknown experiment 'nope'; [^\n]*\n", bad.stderr)
    assert list(tmp_path.iterdir()) == []


def test_a_closed_pipe_is_no_traceback(tmp_path):
    done = subprocess.run(
        f"{NUHF} templates {X} | head -c 10", shell=True, capture_output=True, text=True,
        cwd=tmp_path, check=False,
    )  # fmt: skip
    assert len(done.stdout) == 10
    assert done.stderr == ""


@pytest.mark.parametrize(
    "code",
    [
        "import nuhf; nuhf.__all__, nuhf.__version__",
        "import sys; sys.argv = ['nuhf', '--help']; from nuhf.cli import main; main()",
        "import sys; sys.argv = ['nuhf', 'limit', '--help']; from nuhf.cli import main; main()",
    ],
)
def test_import_and_help_load_nothing_heavy(code):
    heavy = ("pyhf", "scipy", "matplotlib", "pydantic", "numpy", "cabinetry", "iminuit")
    text = f"{code}\nimport sys\nprint('loaded:', [m for m in {heavy} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", text], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "loaded: []"


def test_threads_are_pinned_before_numpy_loads():
    text = (
        "import os, sys; sys.argv = ['nuhf', 'list']; from nuhf.cli import main; main()\n"
        "print(os.environ['OMP_NUM_THREADS'], os.environ['OPENBLAS_NUM_THREADS'])"
    )
    clean = {k: v for k, v in os.environ.items() if not k.endswith("_NUM_THREADS")}
    for extra, expected in (({}, "1 1"), ({"OMP_NUM_THREADS": "2"}, "2 1")):
        done = subprocess.run(
            [sys.executable, "-c", text], capture_output=True, text=True, check=True,
            env=clean | extra,
        )  # fmt: skip
        assert done.stdout.splitlines()[-1] == expected


# ------------------------------------------------------------------------------------- help


def test_help_names_every_command(cli):
    ran = cli("--help")
    assert (ran.code, ran.err) == (0, "")
    for command in COMMANDS:
        assert re.search(rf"^  {command} ", ran.out, re.MULTILINE)
    assert cli("-h").out == ran.out


@pytest.mark.parametrize("command", COMMANDS)
def test_help_of_a_command_has_an_example_that_names_it(cli, command):
    ran = cli(command, "--help")
    assert (ran.code, ran.err) == (0, "")
    assert f"Example:  nuhf {command}" in ran.out


EXAMPLE = re.compile(r"\b(After|Example):\s+nuhf (.*?)(?= (?:After|Example):|$)")
LONG = ("fit", "coverage", "ranking", "plot", "reproduce", "report", "publish", "check",
        "regenerate")  # fmt: skip


def process(line):
    done = subprocess.run([NUHF, *shlex.split(line)], capture_output=True, text=True, check=False)
    return Ran(done.returncode, done.stdout, done.stderr)


@pytest.mark.parametrize(
    "command",
    [pytest.param(n, marks=[pytest.mark.slow] if n in LONG else []) for n in _COMMANDS],
)
def test_the_example_of_a_command_runs(cli, work, command):
    """In an empty folder, after the commands that its help names."""
    if command == "publish":
        pytest.importorskip("hepdata_lib")
        pytest.importorskip("hepdata_validator")
    text = " ".join(_group.get_command(None, command).help.split())
    found = EXAMPLE.findall(text)
    (example,) = (line for kind, line in found if kind == "Example")
    assert shlex.split(example)[0] == command
    for line in (*(line for kind, line in found if kind == "After"), example):
        # hepdata-lib leaves files open, and warnings are errors in this process
        ran = process(line) if line == example and command == "publish" else cli(*shlex.split(line))
        assert ran.code == 0, f"nuhf {line}: {ran.err}"
        written = re.search(r"-o (\S+)", line)
        assert written is None or Path(written[1]).exists()


def test_all_commands_refuse_an_option_given_twice(cli):
    """The mechanism is the command's class; each has it, and takes flags and lists as before."""
    for name in _COMMANDS:
        assert isinstance(_group.get_command(None, name), options.Command), name
    ran = cli("rate", X, "--json", "--json", "--set", "qnu_ee=0", "--set", "munu_e=0")
    assert one_json(ran)["values"] == {"qnu_ee": 0.0, "munu_e": 0.0}


def test_version(cli):
    assert re.fullmatch(r"nuhf \d+\.\d+\.\d+\S*\n", cli("--version").out)


def test_without_a_command_the_help_is_shown(cli):
    ran = cli()
    assert "Commands:\n" in ran.out + ran.err
    assert "Traceback" not in ran.err


# ---------------------------------------------------------------------------- list and show


def test_list(cli):
    assert cli("list").out == cli("list", "experiments").out
    assert X in cli("list").out
    rows = one_json(cli("list", "parameters", "--json"))["parameters"]
    assert {"qnu_ee", "anu_mumu", "sin2thetaW", "norm_cevns"} <= {row["name"] for row in rows}
    assert {row["unit"] for row in rows} == {"e", "cm2", "mu_B", "fm", "1"}
    for row in rows:
        assert re.search(rf"^{row['name']} +{row['unit']} ", cli("list", "parameters").out, re.M)
    analyses = one_json(cli("list", "analyses", "--json"))["analyses"]
    named = [(row["experiment"], row["analysis"]) for row in analyses]
    assert (X, "default") in named
    assert (X, "khan2023") in named
    assert len(set(named)) == len(named)


def test_show(cli, heavier):
    text = cli("show", X).out
    for part in (
        "flux_sns: 10 % on cevns",
        "reference: COHERENT:2021xmm: COHERENT Coll",
        "background ss: 1286.0 events",
    ):
        assert part in text
    found = one_json(cli("show", X, "--json"))
    assert found["experiment"]["target"]["mass_kg"] == 14.6
    assert list(found["regions"]) == [REGION]
    assert found["regions"][REGION]["observed"] == sum(map(float, found_counts(found)))
    assert one_json(cli("show", heavier, "--json"))["experiment"]["target"]["mass_kg"] == 29.2


#: what the file of each kind of experiment says, as ``nuhf show`` prints it
INPUTS = {
    X: ("pot = 3.198e+23", "baseline_m = 19.3", "mass_kg = 14.6", "Cs133 = 1", "a0_kev_ee = 0.0749",
        "time 0 to 6 us", "sns/flux_time.csv: @COHERENT:2021xmm (anc"),
    "coherent-lar-2020": ("baseline_m = 27.5", "coefficients = [0.246, 0.78]", "(computed): "),
    "dresden-2": ("sources.quoted: ", "flux_per_cm2_s = 4.8e+13", "mass_kg = 2.924",
                  "Ge72 = 0.2745", "noise_kev = 0.0685", "live_days = 96.4", "name = ge-fef"),
    "xenonnt-sr0": ("fluxes = gs98", "exposure_tonne_year = 1.16", "(digitised): ",
                    "energy 1 to 140 keV"),
    "apv-cs": ("interaction = weak_charge", "inputs = apv-cs/apv-cs.toml"),
}  # fmt: skip


@pytest.mark.parametrize("name", INPUTS)
def test_show_prints_the_inputs_of_every_kind(cli, name):
    text = cli("show", name).out
    for part in INPUTS[name]:
        assert part in text, part
    # of several sources only the one that the analysis uses
    assert "sources.khan2022" not in text
    found = one_json(cli("show", name, "--json"))
    folder = Path(found["file"]).parent.parent
    for read in found["tables"]:
        assert Path(read["path"]) == folder / read["table"]
        assert f"\n  {read['path']}" in text
    named = {read["table"] for read in found["tables"]}
    content = json.dumps(found["experiment"])
    for table_name in re.findall(rf'"({name}/[^"]*\.csv)"', content):
        used = table_name in json.dumps({**found["experiment"], "analyses": {}})
        assert table_name in named or not used or name == "dresden-2", table_name


def events_of(ran, region=REGION):
    """Expected events by component, from ``nuhf rate --json``."""
    found = one_json(ran)["regions"]
    assert list(found) == [region]
    return found[region]["events"]


def found_counts(shown):
    """Observed counts of the fit region, read from the table with csv alone."""
    folder = Path(shown["file"]).parent.parent
    rows = table((folder / X / "counts.csv").read_text(encoding="utf-8"))
    return [row["n_c"] for row in rows if float(row["pe_hi"]) <= 60 and float(row["t_hi_us"]) <= 6]


# --------------------------------------------------------------------- rate and templates


def test_rate(cli, work):
    text = cli("rate", X)
    events = events_of(cli("rate", X, "--json"))
    signals = {"cevns_e", "cevns_mu", "eves_e", "eves_mu"}
    total = events.pop("total")
    assert signals | {"ss", "brn", "nin"} == set(events)
    assert total == pytest.approx(sum(events.values()), rel=1e-12)
    for name, number in {**events, "total": total}.items():
        assert re.search(rf"^{name} +{number:.2f} events$", text.out, re.MULTILINE)
    rows = table(cli("rate", X, "--bins").out)
    assert len(rows) == 9 * 11
    for name, number in events.items():
        assert sum(float(row[name]) for row in rows) == pytest.approx(number, rel=1e-9)
    ran = cli("rate", X, "--bins", "-o", "rate.csv")
    assert (ran.out, ran.err) == ("", "wrote rate.csv\n")
    assert table(Path("rate.csv").read_text()) == rows
    assert files(work) == ["rate.csv"]


def test_rate_with_couplings_stands_beside_the_sm(cli, work):
    standard = events_of(cli("rate", X, "--json"))
    ran = cli("rate", X, "--set", "qnu_mumu=5e-10", "--json")
    moved = events_of(ran)
    region = one_json(ran)["regions"][REGION]
    assert region["sm_events"] == standard
    assert region["difference"] == {name: moved[name] - standard[name] for name in moved}
    text = cli("rate", X, "--set", "qnu_mumu=5e-10").out
    assert text.splitlines()[0].split() == ["events", "SM", "with", "values", "difference"]
    for name, number in moved.items():
        before = standard[name]
        row = rf"^{name} +{before:.2f} +{number:.2f} +{re.escape(f'{number - before:+.2f}')}$"
        assert re.search(row, text, re.MULTILINE), name
    assert len(text.splitlines()) == 1 + len(moved)
    rows = table(cli("rate", X, "--set", "qnu_mumu=5e-10", "--bins").out)
    for name in ("cevns_e", "cevns_mu", "eves_e", "eves_mu"):
        for column, events in ((name, moved), (f"sm_{name}", standard)):
            total = sum(float(row[column]) for row in rows)
            assert total == pytest.approx(events[name], rel=1e-9)
    assert not [name for name in table(cli("rate", X, "--bins").out)[0] if name.startswith("sm_")]


def test_rate_follows_the_mass_and_the_couplings(cli, heavier):
    events = events_of(cli("rate", X, "--json"))
    twice = events_of(cli("rate", heavier, "--json"), "heavier")
    assert twice["cevns_mu"] == pytest.approx(2 * events["cevns_mu"], rel=1e-12)
    assert twice["ss"] == pytest.approx(events["ss"], rel=1e-12)
    moved = events_of(cli("rate", X, *NUCLEI, "--set", "qnu_mumu=5e-8", "--json"))
    assert moved["cevns_e"] == pytest.approx(events["cevns_e"], rel=1e-12)
    assert abs(moved["cevns_mu"] / events["cevns_mu"] - 1) > 0.01
    strong = events_of(cli("rate", X, "--set", "norm_cevns=3", "--json"))
    assert strong["cevns_e"] == pytest.approx(3 * events["cevns_e"], rel=1e-12)
    # a = -r/6 by convention `standard`, and a = -6 r by convention `khan`
    by = {}
    for name, value in (("r2nu_ee", 6e-32), ("anu_ee", -1e-32)):
        by[name] = events_of(cli("rate", X, "--set", f"{name}={value}", "--json"))
    assert by["anu_ee"]["cevns_e"] == pytest.approx(by["r2nu_ee"]["cevns_e"], rel=1e-12)
    khan = cli("rate", X, "--set", "anu_ee=-36e-32", "--anapole", "khan", "--json")
    assert events_of(khan)["cevns_e"] == pytest.approx(by["r2nu_ee"]["cevns_e"], rel=1e-12)


def test_templates(cli, heavier, work):
    found = one_json(cli("templates", X))
    ran = cli("templates", heavier, "-o", "out/templates.json")
    assert (ran.code, ran.out) == (0, "")
    heavy = json.loads((work / "out" / "templates.json").read_text())
    assert [one["interaction"] for one in found["sets"]] == ["cevns", "eves"]
    for light, double in zip(found["sets"], heavy["sets"], strict=True):
        for source, monomials in light["nominal"].items():
            for name, row in monomials.items():
                np.testing.assert_allclose(
                    double["nominal"][source][name], 2 * np.array(row), rtol=2e-9
                )  # the file has 10 digits
    assert heavy["experiment"] == "heavier"
    assert cli("templates", X, "-o", "-").out == cli("templates", X).out


# --------------------------------------------------------------------------------- workspace


def test_workspace(cli, heavier, work):
    from nuhf.workspaces.native import load_model

    for encoding in ("native", "stock", "stock-positive"):
        spec = one_json(cli("workspace", X, "-p", "munu_mu", "--encoding", encoding))
        assert spec["measurements"][0]["config"]["poi"] == "munu2_mu_em18"
    assert spec == one_json(cli("workspace", X, "-p", "munu_mu"))  # stock
    for encoding, named in (
        ("native", ["r2nu_ee_em32", "qnu_ee_em8"]),
        ("stock", ["r2nu_ee_em28", "qnu_ee_em4"]),
    ):
        two = one_json(
            cli("workspace", X, *NUCLEI, "-p", "r2nu_ee", "-p", "qnu_ee", "--encoding", encoding)
        )
        assert [p["name"] for p in two["measurements"][0]["config"]["parameters"]] == named
    narrow = one_json(cli("workspace", X, *NUCLEI, "-p", "qnu_ee", "--range", -1e-7, 2e-7))
    (entry,) = narrow["measurements"][0]["config"]["parameters"]
    assert entry == {"name": "qnu_ee_em5", "inits": [0.0], "bounds": [[-0.01, 0.02]]}
    cli("workspace", X, "-p", "norm_cevns", "-o", "light.json")
    cli("workspace", heavier, "-p", "norm_cevns", "-o", "heavy.json")
    assert {"light.json", "heavy.json"} <= set(files(work))
    counts = []
    for name in ("light.json", "heavy.json"):
        model, _ = load_model(json.loads((work / name).read_text()))
        at = {"norm_cevns": (0.0, 1.0)}
        totals = []
        for strength in at["norm_cevns"]:
            point = model.config.suggested_init()
            point[model.config.poi_index] = strength
            totals.append(model.expected_actualdata(point).sum())
        counts.append(totals[1] - totals[0])
    assert counts[1] == pytest.approx(2 * counts[0], rel=1e-12)


# --------------------------------------------------------------------------------------- fit


def test_fit(cli, work):
    found = one_json(cli("fit", X, "--json"))
    assert found["status"] == "converged"
    expected, fitted, error = found["counts"]["cevns"]
    strength, _ = found["parameters"]["norm_cevns"]
    pulls = {k: v for k, v in found["parameters"].items() if k != "norm_cevns"}
    assert {found["units"][name] for name in pulls} == {"sigma"}
    assert all(0 < error < 1.01 for _, error in pulls.values())
    assert 0 < strength * expected / fitted < 2
    assert 0 < error < fitted
    matrix = np.array(found["correlation"]["matrix"])
    np.testing.assert_allclose(np.diag(matrix), 1.0)
    np.testing.assert_allclose(matrix, matrix.T, atol=1e-10)
    text = cli("fit", X).out
    assert re.search(rf"^cevns +{expected:.1f} +{fitted:.1f} +{error:.1f}$", text, re.MULTILINE)
    ran = cli("fit", X, "-o", "out", "--json")
    assert one_json(ran) == found
    assert files(work) == ["out/fit.csv", "out/fit.json", "out/spectrum.png"]
    assert json.loads(Path("out/fit.json").read_text()) == found
    assert is_png(Path("out/spectrum.png"))
    rows = {row["name"]: row for row in table(Path("out/fit.csv").read_text())}
    assert float(rows["norm_cevns"]["value"]) == pytest.approx(strength, rel=1e-9)
    assert float(rows["events_cevns"]["value"]) == pytest.approx(found["counts"]["cevns"][1])


def test_fit_of_a_heavier_detector_has_half_the_strength(cli, heavier):
    # the strength multiplies the scattering on nuclei alone
    light = one_json(cli("fit", X, *NUCLEI, "--json"))
    heavy = one_json(cli("fit", heavier, *NUCLEI, "--json"))
    assert heavy["parameters"]["norm_cevns"] == pytest.approx(
        np.array(light["parameters"]["norm_cevns"]) / 2, rel=1e-4
    )
    assert heavy["twice_nll"] == pytest.approx(light["twice_nll"], abs=1e-6)


# ------------------------------------------------------------------------------------- limit


def test_limit_json_has_every_field(cli):
    found = limits(cli, X, "-p", "qnu_mumu", "-p", "munu_mu", "--set", "r2nu_ee=1e-33")
    assert [r["parameter"] for r in found] == ["qnu_mumu", "munu_mu"]
    for result in found:
        for name, kind in LIMIT_FIELDS.items():
            assert isinstance(result[name], kind), name
        assert result["experiments"] == [X]
        assert result["fixed"] == {"r2nu_ee": 1e-33}
        assert result["status"] == "converged"
        assert (result["cl"], result["method"], result["convention"]) == (0.9, "delta-chi2", None)
        assert any("ROOT flux file" in note for note in result["notes"])
        assert set(result["provenance"]["versions"]) >= {"nuhf", "pyhf", "numpy", "scipy"}
        assert set(result["provenance"]["digests"]) >= {f"{X}.toml", f"{X}/counts.csv"}
        for low, high in result["intervals"]:
            assert low < high
    assert [r["unit"] for r in found] == ["e", "mu_B"]
    assert found[0]["upper_limit"] is None
    assert found[1]["intervals"][0][0] == 0.0
    assert found[1]["upper_limit"] == found[1]["intervals"][-1][1]


def test_limit_without_a_parameter_gives_all(cli, loaded):
    ran = cli("limit", X)
    assert ran.err == ""
    lines = ran.out.splitlines()
    assert lines[0] == f"{X}, analysis default, 90 % CL, delta-chi2"
    assert [line.split()[0] for line in lines[1:8]] == list(loaded.analysis.parameters)
    assert all(NOTE.match(line) for line in lines[8:])
    assert re.search(r"^munu_mu +< [\d.e-]+ mu_B ", ran.out, re.MULTILINE)
    assert re.search(r"^r2nu_ee +\[.*\] or \[.*\] cm2 ", ran.out, re.MULTILINE)


def test_limit_writes_what_it_says(cli, work):
    ran = cli("limit", X, *NUCLEI, "-p", "qnu_ee", "-p", "munu_mu", "-o", "out", "--json")
    found = one_json(ran)
    expected = ["limits.csv", "limits.json", "limits.tex", "profiles.png", "spectrum.png"]
    expected += [
        f"workspaces/{p}.{e}.json" for p in ("munu_mu", "qnu_ee") for e in ("native", "stock")
    ]
    assert files(work / "out") == expected
    said = {line.removeprefix("wrote out/") for line in ran.err.splitlines()}
    assert said == {*expected[:5], "workspaces"}
    assert json.loads(Path("out/limits.json").read_text()) == found
    assert is_png(Path("out/profiles.png"))
    assert is_png(Path("out/spectrum.png"))
    rows = table(Path("out/limits.csv").read_text())
    pieces = [piece for result in found["results"] for piece in result["intervals"]]
    assert len(pieces) == 3
    for row, piece in zip(rows, pieces, strict=True):
        assert [float(row["lower"]), float(row["upper"])] == pytest.approx(piece, rel=1e-9)
    spec = one_json(cli("workspace", X, *NUCLEI, "-p", "qnu_ee", "--encoding", "native"))
    assert json.loads(Path("out/workspaces/qnu_ee.native.json").read_text()) == spec


def test_a_confidence_level_is_printed_with_all_its_digits(cli, work):
    ran = cli("limit", X, "-p", "munu_mu", "--cl", "0.9999999", "-o", "out")
    assert ran.out.startswith(f"{X}, analysis default, 99.99999 % CL, ")
    assert "90 % CL" in cli("limit", X, "-p", "munu_mu", "--cl", "0.90").out


def test_confidence_level_and_threshold(cli):
    """Wider at higher CL; at CL 0.6827 the half width is one standard deviation of the fit."""
    widths = []
    for cl in ("0.6827", "0.9", "0.95"):
        (result,) = limits(cli, X, *NUCLEI, "-p", "qnu_mumu", "--cl", cl)
        assert result["cl"] == float(cl)
        ((low, high),) = result["intervals"]
        widths.append(high - low)
    assert widths[0] < widths[1] < widths[2]
    _, sigma = one_json(cli("fit", X, *NUCLEI, "-p", "qnu_mumu", "--json"))["parameters"][
        "qnu_mumu"
    ]
    assert widths[0] == pytest.approx(2 * sigma, rel=0.3)


def test_set_moves_and_fix_narrows(cli):
    def width(*arguments):
        (result,) = limits(cli, X, "-p", "norm_cevns", *arguments)
        return np.ptp(result["intervals"])

    free, one, two = (
        width(),
        width("--fix", "flux_sns"),
        width("--fix", "flux_sns", "--fix", "qf_csi_syst0"),
    )
    assert two < one < free
    (plain,) = limits(cli, X, *NUCLEI, "-p", "qnu_mumu")
    (moved,) = limits(cli, X, *NUCLEI, "-p", "qnu_mumu", "--set", "r2nu_mumu=-5e-32")
    assert abs(moved["best_fit"] - plain["best_fit"]) > 0.1 * np.ptp(plain["intervals"])


@pytest.mark.parametrize("group", ["charges", "qnu_mumu"])
def test_profile_frees_a_coupling(cli, group):
    """A lower minimum (the intervals need not be nested, as each is relative to its own)."""
    (alone,) = limits(cli, X, *NUCLEI, "-p", "qnu_ee")
    (free,) = limits(cli, X, *NUCLEI, "-p", "qnu_ee", "--profile", group)
    assert (alone["profiled"], free["profiled"]) == ([], ["qnu_mumu"])
    assert free["twice_nll_min"] < alone["twice_nll_min"] - 1e-3
    assert np.ravel(free["intervals"]) != pytest.approx(np.ravel(alone["intervals"]), rel=0.01)


def test_range_restricts_the_search(cli):
    (whole,) = limits(cli, X, *NUCLEI, "-p", "qnu_mumu")
    (part,) = limits(cli, X, *NUCLEI, "-p", "qnu_mumu", "--range", "-2e-7", "2e-7")
    assert np.ravel(part["intervals"]) == pytest.approx(np.ravel(whole["intervals"]), rel=1e-6)
    assert part["provenance"]["options"]["range"] == [-2e-7, 2e-7]


def test_asimov_is_the_sm_and_says_so(cli):
    (result,) = limits(cli, X, "-p", "norm_cevns", "--asimov")
    assert result["best_fit"] == pytest.approx(1.0, abs=1e-5)
    assert any("Asimov" in note for note in result["notes"])
    (real,) = limits(cli, X, "-p", "norm_cevns")
    assert not any("Asimov" in note for note in real["notes"])


def test_engine_pyhf(cli):
    """The reference engine, on a small experiment."""
    options = ("conus-plus", "-p", "munu_e")
    (ours,) = limits(cli, *options)
    (theirs,) = limits(cli, *options, "--engine", "pyhf")
    assert theirs["optimizer"].startswith("pyhf ")
    assert "compiled" in ours["optimizer"]
    assert theirs["upper_limit"] == pytest.approx(ours["upper_limit"], rel=1e-4)


def test_anapole_conventions(cli):
    """One physical region in three coordinates: a = -r/6, and a = -6 r."""
    (radius,) = limits(cli, X, "-p", "r2nu_ee")
    (standard,) = limits(cli, X, "-p", "anu_ee")
    (khan,) = limits(cli, X, "-p", "anu_ee", "--anapole", "khan")
    assert radius["convention"] is None
    assert (standard["convention"], khan["convention"]) == ("standard", "khan")
    ends = np.ravel(radius["intervals"])
    assert len(ends) == 4
    np.testing.assert_allclose(np.ravel(standard["intervals"]), -ends[::-1] / 6, rtol=1e-5)
    np.testing.assert_allclose(np.ravel(khan["intervals"]), -6 * ends[::-1], rtol=1e-5)


def test_limit_by_path(cli, heavier):
    (light,) = limits(cli, X, *NUCLEI, "-p", "norm_cevns")
    (heavy,) = limits(cli, heavier, *NUCLEI, "-p", "norm_cevns")
    assert heavy["experiments"] == ["heavier"]
    np.testing.assert_allclose(
        np.ravel(heavy["intervals"]), np.ravel(light["intervals"]) / 2, rtol=1e-5
    )


def test_limit_of_two_experiments_together(cli, heavier):
    (one,) = limits(cli, X, "-p", "munu_mu")
    (both,) = limits(cli, X, heavier, "-p", "munu_mu")
    assert both["experiments"] == [X, "heavier"]
    assert both["twice_nll_min"] > one["twice_nll_min"]


def test_cls(cli):
    ran = cli("limit", X, "-p", "munu_mu", "--method", "cls")
    assert "90 % CL, cls" in ran.out
    (result,) = limits(cli, X, "-p", "munu_mu", "--method", "cls")
    assert result["method"] == "cls"
    assert result["intervals"] == [[0.0, result["upper_limit"]]]


# -------------------------------------------------------------------------------------- scan


def test_scan(cli, work):
    ran = cli("scan", X, *NUCLEI, "-p", "qnu_ee", "--points", "31", "-o", "-")
    rows = table(ran.out)
    assert len(rows) == 31
    assert ran.err == ""
    assert files(work) == []
    assert min(float(row["delta_2nll"]) for row in rows) >= 0.0
    found = one_json(cli("scan", X, *NUCLEI, "-p", "qnu_ee", "--points", "31", "--json"))
    for row, value, delta in zip(rows, found["values"], found["delta"], strict=True):
        assert float(row["qnu_ee_e"]) == pytest.approx(value, rel=1e-9)
        assert float(row["delta_2nll"]) == pytest.approx(delta, rel=1e-9)
    (limit,) = limits(cli, X, *NUCLEI, "-p", "qnu_ee")
    for low, high in limit["intervals"]:
        assert found["values"][0] < low < high < found["values"][-1]
    summary = cli("scan", X, *NUCLEI, "-p", "qnu_ee", "--points", "31")
    assert (summary.code, summary.err) == (0, "")
    assert len([line for line in summary.out.splitlines() if not NOTE.match(line)]) == 5
    low, high = found["values"][0], found["values"][-1]
    assert re.search(rf"^scanned +{low:.3g} to {high:.3g} e, 31 values$", summary.out, re.M)
    # both minima of a charge, and nothing else
    (lowest,) = re.findall(r"^local minima on the grid +(.*)$", summary.out, re.M)
    near = [float(text) for text in re.findall(r"(\S+) \(", lowest)]
    assert len(near) == len(limit["intervals"]) == 2
    for value, (low, high) in zip(near, limit["intervals"], strict=True):
        assert low < value < high
    ran = cli("scan", X, *NUCLEI, "-p", "qnu_ee", "--points", "31", "-o", "a/scan.png")
    assert (ran.code, ran.out) == (0, summary.out)
    assert ran.err == "wrote a/scan.png\nwrote a/scan.csv\n"
    assert files(work) == ["a/scan.csv", "a/scan.png"]
    assert is_png(Path("a/scan.png"))
    assert table(Path("a/scan.csv").read_text()) == rows
    ran = cli("scan", X, *NUCLEI, "-p", "qnu_ee", "--points", "31", "-o", "b.CSV", "--json")
    assert one_json(ran) == found
    assert ran.err == "wrote b.CSV\n"
    assert files(work) == ["a/scan.csv", "a/scan.png", "b.CSV"]
    assert Path("b.CSV").read_text() == Path("a/scan.csv").read_text()


def test_contour(cli, work):
    arguments = ("contour", X, "-p", "munu_e", "-p", "munu_mu", "--points", "20", "--cl", "0.9999")
    ran = cli(*arguments)
    lines = ran.out.splitlines()
    assert ran.err == ""
    assert lines[0] == f"{X}, analysis default, 2 degrees of freedom, delta-chi2"
    assert lines[1].startswith("best fit  munu_e = ")
    assert lines[2] == "99.99 % CL: 1 piece"
    assert NOTE.match(lines[4])
    found = one_json(cli(*arguments, "--json"))
    ((line,),) = (region["lines"] for region in found["regions"])
    (e, mu) = np.max(line, axis=0)
    assert lines[3] == f"  munu_e [0, {e:.3g}] mu_B, munu_mu [0, {mu:.3g}] mu_B"
    rows = table(cli(*arguments, "-o", "-").out)
    assert max(float(row["munu_e_mu_B"]) for row in rows) == pytest.approx(e, rel=1e-9)
    assert cli(*arguments, "-o", "a.png").out == ran.out
    assert files(work) == ["a.csv", "a.png"]
    assert table(Path("a.csv").read_text()) == rows


def test_summary_of_a_region_with_a_hole_and_an_island():
    """Two circles in one another are a piece with a hole; a third inside the hole is a piece."""
    from nuhf.stats.contour import ContourResult
    from nuhf.stats.problem import Options

    angle = np.linspace(0.0, 2.0 * np.pi, 41)
    circle = np.stack([np.cos(angle), np.sin(angle)], axis=-1)
    # outside, though its frame overlaps with that of the largest
    apart = circle * [0.1, 0.1] + [0.95, 0.95]
    lines = (2.0 * circle, 1.0 * circle, 3.0 * circle, 3.0 * apart)
    empty = np.zeros(1)
    found = ContourResult(
        ("x",), "default", ("qnu_ee", "sin2thetaW"), ("e", "1"), None, (0.0, 0.5), 1.0,
        ((0.5, lines),), empty, empty, np.zeros((1, 1)), (), "", (),
        {"options": Options().summary()},
    )  # fmt: skip
    text = found.lines()
    assert text[1] == "best fit  qnu_ee = 0 e, sin2thetaW = 0.5"
    assert text[2:] == [
        "50 % CL: 3 pieces",
        "  hole: qnu_ee [-2, 2] e, sin2thetaW [-2, 2]",
        "  qnu_ee [-1, 1] e, sin2thetaW [-1, 1]",
        "  qnu_ee [-3, 3] e, sin2thetaW [-3, 3]",
        "  qnu_ee [2.55, 3.15] e, sin2thetaW [2.55, 3.15]",
    ]


def test_scan_over_a_range_by_path(cli, heavier):
    options = ("-p", "munu_mu", "--range", "0", "5e-9", "--points", "5", "--json")
    found = one_json(cli("scan", heavier, *options))
    np.testing.assert_allclose(found["values"], np.linspace(0, 5e-9, 5), rtol=1e-12)


@pytest.mark.parametrize(("name", "magic"), [("s.pdf", b"%PDF"), ("s.svg", b"<?xml"), ("s", PNG)])
def test_scan_formats(cli, work, name, magic):
    cli("scan", X, "-p", "munu_mu", "--points", "5", "--range", "0", "5e-9", "-o", name)
    figure = work / (name if "." in name else f"{name}.png")
    assert figure.read_bytes().startswith(magic)
    assert files(work) == sorted(["s.csv", figure.name])


# ---------------------------------------------------------------------------------- bad input


def refused(ran, code, *words):
    assert ran.code == code, (ran.code, ran.out, ran.err)
    assert ran.out == ""
    assert ran.err.endswith("\n")
    lines = ran.err.splitlines()
    assert len(lines) == 1, ran.err
    assert lines[0].startswith("nuhf: ")
    assert "Traceback" not in ran.err
    for word in words:
        assert str(word) in ran.err


P = ("limit", X, "-p", "qnu_ee")

BAD = [
    (("limit", "nope"), ("experiment 'nope'", X, ".toml")),
    (("limit", "coherent-csi-2020"), ("did you mean", X)),
    (("limit", ""), ("unknown experiment ''", X)),
    (("limit", X, X), ("given twice", X)),
    (("limit", "./nope.toml"), ("'./nope.toml' does not exist",)),
    (("show", "nope"), ("experiment 'nope'", X)),
    (("limit", X, "-p", "nope"), ("parameter 'nope'", "qnu_ee")),
    (("limit", X, "-p", "qnu_eee"), ("'qnu_eee'", "did you mean qnu_ee")),
    (("limit", X, "-p", "qnu_tautau"), ("qnu_tautau", "no effect", X)),
    (("fit", X, "-p", "nope"), ("parameter 'nope'", "norm_cevns")),
    (("scan", X, "-p", "nope"), ("parameter 'nope'", "norm_cevns")),
    (("workspace", X, "-p", "nope"), ("parameter 'nope'", "norm_cevns")),
    (("workspace", X, "-p", "qnu_ee", "-p", "qnu_ee"), ("twice", "qnu_ee")),
    (("workspace", X), ("'-p'",)),
    (("limit", X, "--analysis", "nope"), ("analysis 'nope'", "default")),
    (("show", X, "--analysis", "nope"), ("analysis 'nope'", "default")),
    (("rate", X, "--analysis", "nope"), ("analysis 'nope'", "default")),
    ((*P, "--engine", "nope"), ("engine 'nope'", "compiled", "pyhf")),
    ((*P, "--method", "nope"), ("method 'nope'", "delta-chi2", "cls")),
    ((*P, "--method", "cls"), ("cls", "qnu_ee", "delta-chi2")),
    (("limit", X, "-p", "sin2thetaW", "--method", "cls"), ("cls", "sin2thetaW", "delta-chi2")),
    ((*P, "--anapole", "nope"), ("'nope'", "standard", "khan")),
    (("rate", X, "--set", "anu_ee=1e-33", "--anapole", "nope"), ("'nope'", "standard", "khan")),
    ((*P, "--fix", "nope"), ("nuisance 'nope'", "flux_sns")),
    ((*P, "--fix", "flux_sn"), ("'flux_sn'", "did you mean flux_sns")),
    ((*P, "--fix", "qnu_ee_em8"), ("qnu_ee_em8", "flux_sns")),
    ((*P, "--profile", "nope"), ("'nope'", "charges", "radii", "moments")),
    ((*P, "--profile", "qnu_tautau"), ("qnu_tautau", "no effect")),
    (("limit", X, "-p", "r2nu_ee", "--profile", "anu_ee"), ("r2nu_ee", "anu_ee", "direction")),
    (("workspace", X, "-p", "qnu_ee", "--encoding", "nope"), ("'nope'", "native", "stock")),
    (("workspace", X, *NUCLEI, "-p", "qnu_ee", "--range", "1", "2"), ("qnu_ee", "-2e-06 to 2e-06")),
    (("list", "nope"), ("'nope'", "experiments", "parameters", "analyses")),
    (("nope",), ("command 'nope'", *COMMANDS)),
    (("limt", X), ("did you mean limit",)),
    ((*P, "--nope"), ("--nope",)),
    (("--nope",), ("--nope",)),
    (("limit",), ("EXP",)),
    ((*P, "--cl", "0.9", "-p"), ("-p",)),
    *(((*P, "--cl", cl), (f"confidence level {float(cl)}", "between 0 and 1"))
      for cl in ("0", "1", "1.5", "-0.1", "nan", "inf", "-inf")),
    ((*P, "--cl", "ninety"), ("--cl", "'ninety'")),
    (("scan", X, "-p", "qnu_ee", "--cl", "0"), ("confidence level 0.0", "between 0 and 1")),
    *((("scan", X, "-p", "qnu_ee", "--points", n), (f"--points {n}", "between 2 and"))
      for n in ("1", "0", "-5", "100000000")),
    (("scan", X, "-p", "qnu_ee", "-p", "munu_e"), ("--parameter is given 2 times", "nuhf scan")),
    (("fit", X, "-p", "qnu_ee", "-p", "munu_e", "-p", "munu_mu"), ("3 times", "nuhf fit")),
    (("ranking", X, "--parameter", "qnu_ee", "-pmunu_e"), ("--parameter", "nuhf ranking")),
    (("coverage", X, "-p", "qnu_ee", "--true", "0", "-p", "munu_e"), ("nuhf coverage takes one",)),
    ((*P, "--cl", "0.9", "--cl", "0.95"), ("--cl is given 2 times", "nuhf limit")),
    ((*P, "--cl=0.9", "--cl=0.9"), ("--cl is given 2 times",)),
    ((*P, "--analysis", "default", "--analysis", "khan2023"), ("--analysis is given 2 times",)),
    ((*P, "--method", "cls", "--method", "delta-chi2"), ("--method is given 2 times",)),
    ((*P, "--range", "0", "1", "--range", "0", "2"), ("--range is given 2 times",)),
    (("rate", X, "-o", "a", "--output", "b"), ("--output is given 2 times", "nuhf rate")),
    (("cite", X, "--method", "cls", "--method", "cls"), ("--method is given 2 times",)),
    ((*P, "--points", "40"), ("--points", "feldman-cousins", "delta-chi2")),
    (("limit", X, "-p", "munu_mu", "--method", "cls", "--points", "40"), ("--points", "cls")),
    (("limit", X, "-p", "munu_mu", "--method", "cls", "--seed", "1"), ("--seed", "--toys")),
    *(((*P, option, value), (option, "delta-chi2 makes none")) for option, value in
      (("--seed", "1"), ("--jobs", "2"), ("--scheduler", "tcp://x:1"), ("--checkpoint", "f"))),
    *((("fit", X, option, value), (option, "give --toys")) for option, value in
      (("--seed", "1"), ("--jobs", "2"), ("--scheduler", "tcp://x:1"), ("--checkpoint", "f"))),
    (("contour", X, "-p", "qnu_ee", "-p", "munu_e", "--seed", "1"), ("--seed", "makes none")),
    (("coverage", X, "-p", "qnu_ee", "--true", "0", "--inner", "100"), ("--inner", "delta-chi2")),
    ((*P, "-p", "munu_e", "--range", "0", "1e-9"), ("--range", "one parameter", "qnu_ee, munu_e")),
    (("limit", X, "--range", "0", "1e-9"), ("--range", "one parameter", "-p")),
    *(((command, X, "-p", "qnu_ee", "--range", "0", "1"), ("No such option", "--range"))
      for command in ("fit", "contour", "ranking")),
    ((*P, "--range", "1e-7", "-1e-7"), ("--range 1e-07 -1e-07", "lower one first")),
    ((*P, "--range", "1e-7", "1e-7"), ("--range 1e-07 1e-07", "lower one first")),
    ((*P, "--range", "nan", "1"), ("--range nan 1.0", "two numbers")),
    ((*P, "--range", "0", "inf"), ("--range 0.0 inf", "two numbers")),
    ((*P, "--range", "0"), ("--range",)),
    ((*P, "--range", "a", "b"), ("--range", "'a'")),
    ((*P, *NUCLEI, "--range", "-1", "1"), ("--range -1.0 1.0", "2e-06")),
    ((*P, "--range", "-1e300", "1e300"), ("--range",)),
    (("limit", X, "-p", "munu_mu", "--range", "-1e-9", "1e-8"), ("--range", "munu_mu", "below 0")),
    (("limit", X, "-p", "munu_mu", "--range", "0", "1e200"), ("--range", "munu_mu")),
    (("scan", X, "-p", "munu_mu", "--range", "0", "1e200"), ("--range", "munu_mu")),
    ((*P, "--set", "qnu_mumu"), ("--set qnu_mumu", "NAME=VALUE")),
    ((*P, "--set", "qnu_mumu="), ("--set qnu_mumu=", "NAME=VALUE")),
    ((*P, "--set", "qnu_mumu=x"), ("--set qnu_mumu=x", "NAME=VALUE")),
    ((*P, "--set", "qnu_mumu=nan"), ("--set qnu_mumu=nan", "finite")),
    ((*P, "--set", "qnu_mumu=inf"), ("--set qnu_mumu=inf", "finite")),
    ((*P, "--set", "=1"), ("--set =1", "NAME=VALUE")),
    ((*P, "--set", "nope=1"), ("parameter 'nope'", "qnu_ee")),
    ((*P, "--set", "qnu_mumu=1e-8", "--set", "qnu_mumu=2e-8"), ("qnu_mumu", "twice")),
    ((*P, "--set", "qnu_ee=1e-8"), ("qnu_ee", "both free and set")),
    (("scan", X, "-p", "qnu_ee", "--set", "qnu_ee=1e-8"), ("qnu_ee", "both free and set")),
    (("fit", X, "--set", "norm_cevns=2"), ("norm_cevns", "both free and set")),
    ((*P, "-p", "munu_e", "-p", "qnu_ee"), ("-p", "qnu_ee", "given twice")),
    (("rate", X, "--set", "qnu_mumu=5"), ("qnu_mumu = 5 e", "base units")),
    (("reproduce", "khan2022v2"), ("figures only", "nuhf plot", "khan2023")),
    (("limit", X, "-p", "qnu_ee", "-p", "munu_e", "--set", "qnu_ee=0"), ("qnu_ee", "both free")),
    ((*P, "--set", "qnu_mumu=1e300"), ("qnu_mumu", "1e+300")),
    (("rate", X, "--set", "munu_e=1e300"), ("munu_e", "1e+300")),
    (("rate", X, "--set", "munu_e=-1e-9"), ("munu_e", "below 0")),
    (("rate", X, "--set", "norm_cevns=-1"), ("norm_cevns", "below 0")),
    ((*P, "--set", "abs_qnu_emu=-1e-8"), ("abs_qnu_emu", "below 0")),
    (("rate", X, "--set", "qnu_tautau=1e-8"), ("qnu_tautau", "no effect")),
    (("rate", X, "--set", "abs_qnu_emu=1e-8", "--set", "abs_r2nu_emu=1e-33"), ("phase",)),
]  # fmt: skip


@pytest.mark.parametrize(("arguments", "words"), BAD, ids=[" ".join(a) for a, _ in BAD])
def test_bad_input(cli, work, arguments, words):
    refused(cli(*arguments), 2, *words)
    if arguments[0] in ("limit", "fit") and arguments[-1] not in ("-p", "0"):
        refused(cli(*arguments, "-o", "out", "--json"), 2, *words)
    assert list(work.iterdir()) == []


def test_a_region_that_is_not_closed_is_an_error_not_a_number(cli, work):
    ran = cli("limit", X, *NUCLEI, "-p", "qnu_mumu", "--range", "0", "1e-7", "-o", "out")
    refused(ran, 1, "not closed", "reaches 0")
    ran = cli("limit", X, *NUCLEI, "-p", "qnu_mumu", "--range", "-1e-7", "0", "-o", "out")
    refused(ran, 1, "minimum")
    assert list(work.iterdir()) == []


# ------------------------------------------------------------------------- unwritable output


def unwritable(kind, work):
    """A path that cannot be written, and whether it may be used as a folder."""
    if kind == "file where a folder is needed":
        path = work / "afile"
        path.write_text("keep me")
        return path
    if kind == "below a file":
        (work / "afile").write_text("keep me")
        return work / "afile" / "deeper" / "out"
    if kind == "proc":
        return Path("/proc/nuhf-test/out")
    if kind == "sys":
        return Path("/sys/nuhf-test")
    raise ValueError(kind)


KINDS = ("file where a folder is needed", "below a file", "proc", "sys")
WRITERS = {
    "limit": ("limit", X, "-p", "munu_mu"),
    "fit": ("fit", X),
    "regenerate": ("regenerate",),
    "scan": ("scan", X, "-p", "munu_mu", "--range", "0", "5e-9", "--points", "5"),
    "rate": ("rate", X),
    "templates": ("templates", X),
    "workspace": ("workspace", X, "-p", "munu_mu"),
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("command", WRITERS)
def test_unwritable_output(cli, work, command, kind):
    if command in ("limit", "fit", "regenerate"):
        path = unwritable(kind, work)
    elif kind == KINDS[0]:
        path = work / "folder.png"
        path.mkdir()
    else:
        path = unwritable(kind, work) / "out.png"
    before = sorted(work.rglob("*"))
    refused(cli(*WRITERS[command], "-o", path), 2, path)
    assert sorted(work.rglob("*")) == before
    if (work / "afile").exists():
        assert (work / "afile").read_text() == "keep me"


@pytest.mark.parametrize("command", ["scan", "rate", "workspace"])
def test_a_device_or_pipe_is_not_replaced_by_a_file(cli, work, command):
    """Renaming a file into place would remove /dev/null from a root user's system."""
    pipe = work / "pipe.png"
    os.mkfifo(pipe)
    refused(cli(*WRITERS[command], "-o", pipe), 2, pipe)
    assert pipe.is_fifo()
    assert list(work.iterdir()) == [pipe]


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_read_only_folder(cli, work):
    folder = work / "fixed"
    folder.mkdir(mode=0o500)
    refused(cli(*WRITERS["rate"], "-o", folder / "rate.txt"), 2, folder, "Permission denied")
    assert list(folder.iterdir()) == []


def test_figure_formats_are_named(cli, work):
    refused(cli(*WRITERS["scan"], "-o", "a.xyz"), 2, "a.xyz", ".png", ".pdf", ".svg")
    assert list(work.iterdir()) == []


@pytest.mark.parametrize("command", ["limit", "fit"])
def test_folders_do_not_go_to_stdout(cli, work, command):
    refused(cli(*WRITERS[command], "-o", "-"), 2, "-o")
    assert list(work.iterdir()) == []


def test_a_table_and_json_do_not_go_to_stdout_together(cli, work):
    refused(cli(*WRITERS["scan"], "-o", "-", "--json"), 2, "--json", "-o -")


def test_an_old_file_survives_a_failure(cli, work):
    target = work / "rate.json"
    target.write_text("old")
    refused(cli("rate", X, "--set", "nope=1", "-o", target), 2)
    assert target.read_text() == "old"
    cli("rate", X, "--json", "-o", target)
    assert json.loads(target.read_text())["regions"][REGION]["events"]["ss"] > 0


@pytest.mark.parametrize("command", ["rate", "scan", "fit"])
def test_a_full_disk_leaves_nothing_behind(cli, work, monkeypatch, command):
    """The last step of a write fails: one line, and no temporary file beside the target."""
    (work / "fit").mkdir()

    def full(*_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(Path, "replace", full)
    target = work / ("fit" if command == "fit" else "out.png")
    refused(cli(*WRITERS[command], "-o", target), 2, target, "No space left")
    assert files(work) == []


# ------------------------------------------------------------------------------ broken files


def edited(toml_text, old, new):
    assert toml_text.count(old) >= 1
    return toml_text.replace(old, new, 1)


BROKEN = {
    "syntax": (("mass_kg = 14.6", "mass_kg = = 14.6"), ("broken TOML", "line")),
    "unknown key": (("mass_kg = 14.6", "mass_kg = 14.6\ncolour = 3"), ("target.colour",)),
    "missing key": (("mass_kg = 14.6", ""), ("target", "mass_kg", "exposure_tonne_year")),
    "text for a number": (("mass_kg = 14.6", 'mass_kg = "heavy"'), ("target.mass_kg", "heavy")),
    "negative mass": (("mass_kg = 14.6", "mass_kg = -1"), ("target.mass_kg", "greater than 0")),
    "nan": (("mass_kg = 14.6", "mass_kg = nan"), ("target.mass_kg", "finite")),
    "infinite": (("pot = 3.198e+23", "pot = inf"), ("sources.sns.pot", "finite")),
    "nuclide": (("Cs133 = 1", "Cs999 = 1"), ("target.formula", "Cs999", "Cs133")),
    "format": (("format = 2", "format = 7"), ("format", "7", "2")),
    "form factor": (('form_factor = "helm"', 'form_factor = "hlm"'), ("hlm", "helm")),
    "couplings": (('couplings = "tree"', 'couplings = "bush"'), ("bush", "tree")),
    "interaction": (('interaction = "eves"', 'interaction = "x"'),
                    ("signals.eves", "'x'", "cevns")),
    "kind": (('kind = "gamma"', 'kind = "gama"'), ("nuclear.smearing", "gama", "gamma")),
    "source": (('source = "sns"', 'source = "sms"'), ("signals.cevns", "sms", "sns")),
    "parameter": (('"munu_mu", "sin2thetaW"]', '"munu_nu"]'), ("munu_nu", "munu_mu")),
    "edges": (("photoelectrons = [0, 8, 12", "photoelectrons = [0, 12, 8"),
              ("regions.main: axes.photoelectrons", "increase")),
    "cut cell": (("photoelectrons = [0, 8, 12", "photoelectrons = [0, 8.5, 12"),
                 ("counts.csv", "8 to 9")),
    "process": (('processes = ["brn"]', 'processes = ["bern"]'), ("bern", "brn")),
    "variation": (("up.responses.nuclear.quenching", "up.responses.nuclear.quenchin"),
                  ("qf_csi_syst0", "quenchin")),
    "nuisance": (('  "ff_csi",', '  "ff_cs",'), ("ff_cs", "ff_csi")),
    "same nuisance": (("[nuisances.ff_csi]", "[nuisances.flux_sns]"), ("flux_sns",)),
    "missing table": (("sns/flux_time.csv", "sns/nothing.csv"), ("sns/nothing.csv", "not found")),
}  # fmt: skip


@pytest.mark.parametrize("case", BROKEN)
def test_broken_experiment_files(cli, work, toml_text, case):
    (old, new), words = BROKEN[case]
    path = work / "broken.toml"
    path.write_text(edited(toml_text, old, new), encoding="utf-8")
    for command in ("limit", "show"):
        extra = () if command == "show" else ("-p", "munu_mu", "-o", "out")
        ran = cli(command, path, *extra)
        where = "broken.toml" if case not in ("form factor", "couplings") else ""
        refused(ran, 2, *words, where)
        assert list(work.iterdir()) == [path]


def test_other_files_are_not_experiments(cli, work):
    (work / "binary.toml").write_bytes(b"\xff\xfe\x00")
    refused(cli("limit", "./binary.toml"), 2, "binary.toml", "UTF-8")
    (work / "empty.toml").write_text("")
    refused(cli("limit", "empty.toml"), 2, "empty.toml", "required")
    (work / "folder.toml").mkdir()
    refused(cli("limit", "folder.toml"), 2, "folder.toml")
    refused(cli("limit", str(work)), 2, str(work))


#: what is done to a table, and what the message says
TABLES = {
    "wrong column": (lambda s: s.replace("n_c,", "n_x,"), ("'n_c'", "n_x")),
    "nan": (lambda s: last_row(s, "nan"), ("line", "nan", "finite")),
    "text": (lambda s: last_row(s, "many"), ("line", "'many'", "finite")),
    "infinite": (lambda s: last_row(s, "inf"), ("line", "inf", "finite")),
    "negative": (lambda s: last_row(s, "-3"), ("negative", "-3")),
    "ragged": (lambda s: s.rstrip() + ",1\n", ("line", "columns")),
    "empty": (lambda s: "", ("counts.csv",)),
    "header only": (lambda s: "".join(s.splitlines(True)[: header_row(s) + 1]), ("rows",)),
    "no source": (lambda s: s.replace("source:", "origin:"), ("source",)),
}


def header_row(text):
    return next(i for i, line in enumerate(text.splitlines()) if not line.startswith("#"))


def last_row(text, value):
    """Put ``value`` into the last cell of the last row."""
    body, _, _ = text.rstrip().rpartition(",")
    return f"{body},{value}\n"


@pytest.mark.parametrize("case", TABLES)
def test_broken_tables(cli, work, toml_text, case):
    from nuhf import resources

    change, words = TABLES[case]
    original = (resources.shipped("data") / X / "counts.csv").read_text(encoding="utf-8")
    changed = change(original)
    assert changed != original
    (work / "mine.toml").write_text(toml_text, encoding="utf-8")
    (work / X).mkdir()
    (work / X / "counts.csv").write_text(changed, encoding="utf-8")
    before = sorted(work.rglob("*"))
    refused(cli("limit", "mine.toml", "-p", "munu_mu", "-o", "out"), 2, "counts.csv", *words)
    assert sorted(work.rglob("*")) == before


def test_a_table_beside_the_file_is_used(cli, work, toml_text):
    """The broken tables above prove something only if a good one is read from there."""
    from nuhf import resources

    original = (resources.shipped("data") / X / "counts.csv").read_text(encoding="utf-8")
    (work / "mine.toml").write_text(toml_text, encoding="utf-8")
    (work / X).mkdir()
    lines = original.splitlines()
    first = header_row(original)
    names = lines[first].split(",")
    place = names.index("n_c")
    total = 0.0
    for i in range(first + 1, len(lines)):
        cells = lines[i].split(",")
        row = dict(zip(names, map(float, cells), strict=True))
        if row["pe_hi"] <= 60 and row["t_hi_us"] <= 6:
            total += 1
        cells[place] = "1"
        lines[i] = ",".join(cells)
    (work / X / "counts.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    assert one_json(cli("show", "mine.toml", "--json"))["regions"][REGION]["observed"] == total


# -------------------------------------------------------------------------------- regenerate


def test_regenerate_says_what_it_writes(cli, work, monkeypatch):
    """Of one experiment; the content of all is compared with the repository in test_shipped."""
    from nuhf.experiments import catalogue

    path = catalogue.list_experiments()[X]
    monkeypatch.setattr(catalogue, "list_experiments", lambda: {X: path})
    ran = cli("regenerate", "-o", "fresh")
    assert (ran.code, ran.out) == (0, "")
    said = sorted(line.removeprefix("wrote ") for line in ran.err.splitlines())
    assert said == files(work)
    assert f"fresh/workspaces/{X}/munu_mu.stock.json" in said
    assert os.access("fresh/workspaces/cls_limit.sh", os.X_OK)


# ---------------------------------------------------------------------- what was done is said


CHOSEN = ("--profile", "qnu_ee", "--set", "munu_e=1e-9", "--fix", "flux_sns")


@pytest.mark.parametrize(
    "arguments",
    [
        ("limit", X, *NUCLEI, "-p", "qnu_mumu"),
        ("scan", X, *NUCLEI, "-p", "qnu_mumu", "--range", "-1e-7", "1e-7", "--points", "5"),
        ("fit", X),
        (
            "contour",
            X,
            *NUCLEI,
            "-p",
            "r2nu_ee",
            "-p",
            "r2nu_mumu",
            "--points",
            "10",
            "--cl",
            "0.9",
        ),
    ],
    ids=lambda arguments: arguments[0],
)
def test_the_heading_says_what_was_chosen(cli, arguments):
    said = "; free: qnu_ee; held: munu_e = 1e-09 mu_B; fixed nuisances: flux_sns"
    if arguments[0] == "contour":
        plain, chosen = arguments, CHOSEN[2:]
        said = said.replace("free: qnu_ee; ", "")
    else:
        plain, chosen = arguments, CHOSEN
    heading = cli(*plain).out.splitlines()[0]
    assert ";" not in heading
    assert cli(*plain, *chosen).out.splitlines()[0] == heading + said


def test_a_group_is_said_by_its_names(cli):
    heading = cli("limit", X, "-p", "qnu_mumu", "--profile", "charges").out.splitlines()[0]
    assert heading.endswith("delta-chi2; free: qnu_ee")
    heading = cli("limit", X, "-p", "anu_mumu", "--anapole", "khan").out.splitlines()[0]
    assert heading.endswith("delta-chi2; anapole: khan")


def test_a_fit_at_a_bound_says_so(cli):
    """munu_mu of these data is 0: its unit and the remark are words of their own."""
    (line,) = re.findall(r"^munu2_mu .*$", cli("fit", X, "-p", "munu_mu").out, re.MULTILINE)
    assert line.endswith("  mu_B^2  at its bound")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("lz-ws2022", "-p", "munu_eff"),
         "munu2_eff_em22: munu_eff^2 in 1e-22 mu_B^2"),
        ((X, *NUCLEI, "-p", "qnu_ee"), "qnu_ee_em4: qnu_ee in 1e-4 e"),
        ((X, "-p", "qnu_ee", "--encoding", "native"), "qnu_ee_em8: qnu_ee in 1e-8 e"),
        ((X, "-p", "sin2thetaW"), "sin2thetaW_shift_ep2: sin2thetaW - 0.23857 in 1e2"),
        ((X, "-p", "norm_cevns"), "norm_cevns: norm_cevns"),
    ],
)  # fmt: skip
def test_a_workspace_is_written_with_its_unit_said(cli, work, arguments, said):
    ran = cli("workspace", *arguments, "-o", "x.json")
    assert (ran.out, ran.err) == ("", f"wrote x.json (POI {said})\n")
    content = json.loads((work / "x.json").read_text())
    assert content["measurements"][0]["config"]["poi"] == said.split(":")[0]


def test_a_folder_is_validated_file_by_file(cli, work):
    from nuhf.workspaces.patchset import FIX_STRENGTH

    (work / "empty").mkdir()
    refused(cli("validate", "empty"), 2, "empty", ".json", ".tar.gz")
    cli("publish", X, "-p", "munu_mu", "--points", "3", "--archives-only", "-o", "release")
    ran = cli("validate", "release")
    assert ran.code == 0
    assert ran.out.endswith("\n3 files, 0 errors, 0 warnings\n")
    cli("unpack", f"release/{X}_munu_mu.tar.gz", "-o", "release/inside")
    (work / "release" / "inside" / "fix_strength.json").write_text(json.dumps(FIX_STRENGTH))
    (work / "release" / "notes.txt").write_text("no model")
    ran = cli("validate", "release")
    assert ran.out.endswith("\n6 files, 0 errors, 0 warnings\n")
    # the patch set was compared with the workspace beside it
    assert "not compared" not in ran.out
    (work / "release" / "broken.json").write_text("{")
    assert cli("validate", "release").code == 1
