"""``nuhf reproduce``: every row, failures that stop nothing, reasons that can be checked, pages."""

import csv
import importlib.util
import io
import json
import re
import shlex
import sys
import tomllib
from collections import Counter
from pathlib import Path

import pytest
from conftest import ROOT

import nuhf
from nuhf.cli import _group
from nuhf.couplings import parameters
from nuhf.errors import FitError, InputError
from nuhf.experiments.catalogue import list_experiments, load
from nuhf.papers import published, reproduced
from nuhf.papers.published import Comparison, compare, list_papers, read_rows

# the numbers of the collection that the project started from
COUNTS = {"cadeddu2020": 55, "giunti-ternes2023": 81, "khan2022": 30, "khan2023": 8}
CHECKS = sorted({row.check for row in read_rows("all") if row.check})

ROW = (
    '[[rows]]\nwhere = "eq 1"\nexperiment = "coherent-csi-2021"\nanalysis = "khan2023"\n'
    'parameter = "{}"\ncl = 0.9\nlower = {}\nupper = {}\n'
)


@pytest.fixture
def paper(monkeypatch, tmp_path):
    """``paper(text)``: the only paper is 'demo', with these rows."""

    def make(text):
        path = tmp_path / "demo.toml"
        head = 'title = "Demo"\nreference = "Khan:2022not"\n'
        path.write_text(head + text, encoding="utf-8")
        monkeypatch.setattr(published, "list_papers", lambda: {"demo": path})

    return make


def test_all_rows_are_there():
    assert Counter(row.paper for row in read_rows("all")) == COUNTS
    assert sum(COUNTS.values()) == 174
    # a paper may have figures only
    assert set(list_papers()) == {*COUNTS, "khan2022v2"}
    assert read_rows("khan2022v2") == []


@pytest.mark.parametrize("command", CHECKS)
def test_checks_are_commands_and_scripts_that_exist(command):
    program, *arguments = shlex.split(command)
    if program == "python":
        (script,) = arguments
        assert (ROOT / script).is_file()
        return
    assert program == "nuhf"
    name, *rest = arguments
    # parsed as the command line does, but not run
    found = _group.get_command(None, name).make_context(name, rest).params
    loaded = [load(e, found["analysis"]) for e in found.get("experiments", ())]
    assert loaded or name == "rate"
    for parameter in found.get("parameter") or ():
        assert parameter in parameters.PARAMETERS
    known = {nuisance.name for one in loaded for nuisance in one.nuisances}
    assert set(found.get("fix", ())) <= known


@pytest.mark.parametrize("columns", ["80", "100", "250"])
def test_rows_are_printed_with_unit_reason_and_check(cli, monkeypatch, columns):
    monkeypatch.setenv("COLUMNS", columns)
    ran = cli("reproduce", "khan2023")
    assert ran.code == 0
    lines = ran.out.splitlines()
    assert max(map(len, lines)) <= min(int(columns), 100)
    assert lines[0] == f"khan2023: {published.read_title('khan2023')}"
    (index,) = [i for i, line in enumerate(lines) if line.startswith("  munu_mu ")]
    (row,) = [r for r in read_rows("khan2023") if r.parameter == "munu_mu"]
    # eq 14 prints 0.04e-8 mu_B; the difference of ours is in the table of the paper's page
    assert lines[index].split()[:5] == ["munu_mu", "[1e-11", "mu_B]", "[-40,", "40]"]
    assert lines[index].split()[-3:] == ["262.2", "%", "differs"]
    assert lines[index - 1] == "eq 14, coherent-csi-2021, analysis khan2023, 90 % CL"
    told = " ".join(" ".join(lines[index + 1 :]).split())
    assert told.startswith(f"reason 2: {row.reason} check: {row.check} munu_e ")
    # two pieces, one below the other
    (index,) = [i for i, line in enumerate(lines) if line.startswith("  r2nu_mumu ")]
    assert [line.split("[")[-1].split("]")[0] for line in lines[index : index + 2]] == [
        "-61.5, -49.2", "-8.32, 3.96"
    ]  # fmt: skip
    assert lines[-1] == "8 rows: 6 agrees, 0 close, 2 differs"


def test_text_tells_a_reason_once_and_every_failure():
    rows = some()
    text = reproduced.as_text(rows, 100)
    (row,) = {c.row for c in rows if c.verdict == "differs"}
    assert text.count(row.check) == 1
    assert len(re.findall(r"^    reason 1$", text, re.MULTILINE)) == 1
    assert "    FitError: a | b" in text.splitlines()
    (line,) = [line for line in text.splitlines() if line.startswith("  anu_ee")]
    assert line.split() == ["anu_ee", "[1e-32", "cm2]", "[-60,", "400]", *["no", "number"] * 2]
    assert text.endswith("\n\n5 rows: 1 agrees, 1 close, 2 differs, 1 no number")


def test_text_of_any_row_fits():
    """Every published row, ours like the published one: no line is beyond 80 columns."""
    found = [compare(row, (row.hull,)) for row in read_rows("all")]
    lines = reproduced.as_text(found, 80).splitlines()
    assert max(map(len, lines)) <= 80
    # each row is there, with the unit of its parameter
    assert sum(line.endswith((" agrees", " close", " differs")) for line in lines[:-1]) == 174
    for parameter, unit in (("qnu_ee", "e"), ("r2nu_ee", "cm2"), ("munu_e", "mu_B")):
        shown = [line for line in lines if line.startswith(f"  {parameter} ")]
        assert len(shown) == sum(c.row.parameter == parameter for c in found)
        assert all(re.search(rf"\[1e-\d+ {unit}\]", line) for line in shown)


@pytest.mark.parametrize(
    ("name", "ends", "power"),
    [("munu_e", (0.0, 4e-9), -11), ("r2nu_ee", (-1e-30, 0.0), -32),
     ("qnu_ee", (-2e-12, 9e-13), -12), ("sin2thetaW", (0.2, 0.3), 0), ("qnu_ee", (), 0)],
)  # fmt: skip
def test_powers_of_ten_are_those_of_the_papers(name, ends, power):
    assert reproduced.exponent(parameters.get(name).group, ends) == power


def test_json_has_every_row_and_the_shares(cli):
    ran = cli("reproduce", "khan2023", "--json")
    content = json.loads(ran.out)
    assert len(content["rows"]) == 8
    assert content["verdicts"] == {"agrees": 6, "close": 0, "differs": 2, "no number": 0}
    keys = {"paper", "experiment", "analysis", "parameter", "published", "ours", "verdict"}
    assert all(keys <= set(row) for row in content["rows"])
    assert all(row["reason"] and row["check"] for row in content["rows"]
               if row["verdict"] == "differs")  # fmt: skip
    (radius,) = [row for row in content["rows"] if row["parameter"] == "r2nu_mumu"]
    assert len(radius["ours"]) == 2


@pytest.mark.parametrize("error", [FitError("no interval"), ZeroDivisionError("slip")])
def test_a_row_that_fails_stops_no_other(cli, monkeypatch, error):
    real = reproduced.ours

    def failing(experiments, row):
        if row.parameter == "qnu_ee":
            raise error
        return real(experiments, row)

    monkeypatch.setattr(reproduced, "ours", failing)
    ran = cli("reproduce", "khan2023", "-o", "page.md")
    assert ran.code == 1
    assert "8 rows: 6 agrees, 0 close, 1 differs, 1 no number" in ran.out
    assert f"{type(error).__name__}: {error}" in ran.out
    assert "1 of 8 rows: khan2023 eq 10 coherent-csi-2021/khan2023 qnu_ee 90 % (no number)" in (
        ran.err
    )
    # the page has it, too
    page = Path("page.md").read_text(encoding="utf-8")
    assert f"| no number |  | no number | {type(error).__name__}: {error} |" in page
    (found,) = [c for c in nuhf.reproduce("khan2023") if c.failure]
    assert (found.verdict, found.ours, found.complete) == ("no number", (), False)
    assert found.to_json()["distance"] is None
    with pytest.raises(InputError, match="no number"):
        _ = found.compared


@pytest.mark.parametrize("interval", [(), ((float("nan"), 1.0),), ((0.0, float("inf")),)])
def test_no_finite_interval_is_no_number(monkeypatch, interval):
    monkeypatch.setattr(reproduced, "ours", lambda experiments, row: interval)
    (found,) = reproduced.run(read_rows("khan2023")[:1])
    assert found.verdict == "no number"


def test_differs_without_a_reason_fails_after_all_rows(cli, paper):
    good, bad = ROW.format("qnu_mumu", -5.5e-8, 7.5e-8), ROW.format("qnu_ee", -1e-9, 1e-9)
    paper(good + bad + good)
    ran = cli("reproduce", "demo")
    assert ran.code == 1
    assert "3 rows: 2 agrees, 0 close, 1 differs" in ran.out
    assert ran.err.strip() == (
        "nuhf: 1 of 3 rows: demo eq 1 coherent-csi-2021/khan2023 qnu_ee 90 % (no reason)"
    )
    paper(good + bad + 'reason = "r"\ncheck = "c"\n')
    assert cli("reproduce", "demo").code == 0


@pytest.mark.parametrize("key", ["reason", "check"])
def test_a_reason_needs_its_check(paper, key):
    paper(ROW.format("qnu_ee", -1e-9, 1e-9) + f'{key} = "x"\n')
    with pytest.raises(InputError, match=r"rows\[0\]: missing \['(check|reason)'\]"):
        read_rows("demo")


def some():
    """One row of each verdict, without a fit; two share a reason."""
    rows = {r.parameter: r for r in read_rows("khan2023")}
    reasons = [r for r in rows.values() if r.reason]
    return [
        compare(rows["r2nu_ee"], ((-6.7e-31, 1e-31),)),
        compare(rows["qnu_mumu"], ((-5.5e-8, 9.4e-8),)),
        compare(reasons[0], ((-1.0, -0.5), (0.0, 1.0))),
        compare(reasons[0], ((0.0, 1.0),)),
        Comparison(rows["anu_ee"], (), float("inf"), "no number", "FitError: a | b"),
    ]


def test_page_has_a_line_per_row_and_each_reason_once():
    page = reproduced.as_markdown(some(), "khan2023")
    lines = page.splitlines()
    assert "| khan2023 | 5 | 1 (20 %) | 1 (20 %) | 2 (40 %) | 1 (20 %) |" in lines
    table = [line for line in lines if line.startswith("| eq ")]
    assert len(table) == 5
    cells = [[cell.strip() for cell in line.split("|")[1:-1]] for line in table]
    assert {len(row) for row in cells} == {11}
    assert [row[9] for row in cells] == ["agrees", "close", "differs", "differs", "no number"]
    assert [row[10] for row in cells] == ["", "", "1", "1", "FitError: a / b"]
    assert cells[0][6:9] == ["[-6.7e-31, 1e-31]", "[-6.7e-31, 1e-31]", "0.0 %"]
    assert cells[2][7] == "[-1, -0.5] < 1"
    reason = some()[2].row
    assert [line for line in lines if line.startswith("1. ")] == [
        f"1. {reason.reason} Check: `{reason.check}`"
    ]
    assert "Nucl. Phys. B 986" in page


def test_table_reads_back():
    rows = list(csv.DictReader(io.StringIO(reproduced.as_csv(some()))))
    assert [row["verdict"] for row in rows] == [
        "agrees",
        "close",
        "differs",
        "differs",
        "no number",
    ]
    assert rows[2]["reason"] == some()[2].row.reason
    assert (rows[2]["pieces"], rows[2]["ours_lower"], rows[2]["ours_upper"]) == ("2", "-1", "1")
    assert (rows[4]["ours_lower"], rows[4]["failure"]) == ("", "FitError: a | b")
    assert float(rows[1]["distance"]) == pytest.approx(1.9e-8 / 13e-8, rel=1e-3)


@pytest.mark.parametrize("name", ["page.txt", "page", "-"])
def test_output_has_a_known_form(cli, name):
    ran = cli("reproduce", "khan2023", "-o", name)
    assert ran.code == 2
    assert ran.out == ""


@pytest.fixture(scope="module")
def script():
    folder = ROOT / "docs" / "validation"
    spec = importlib.util.spec_from_file_location("variations", folder / "variations.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules["variations"] = module  # dataclasses look their module up
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(folder))
        spec.loader.exec_module(module)
    yield module
    del sys.modules["variations"]
    sys.modules.pop("variants", None)


def fitted(loaded):
    """What a fit is made of, after the changes of the analysis."""
    file, analysis = loaded.experiment, loaded.analysis
    parts = (file.sources, file.target, file.physics, file.responses, file.signals, file.regions,
             file.backgrounds)  # fmt: skip
    return (*parts, loaded.nuisances, analysis.signals, analysis.regions)


def test_every_experiment_has_variations_that_load_and_change_its_default(script, tmp_path):
    assert set(script.HEADLINES) == set(list_experiments())
    for name, path in list_experiments().items():
        shipped = load(name)
        for one in script.variations(name):
            text = script.changed(name, one)
            (tmp_path / "x.toml").write_text(text, encoding="utf-8")
            found = load(str(tmp_path / "x.toml"), one.analysis)
            known = {nuisance.name for nuisance in found.nuisances}
            assert set(one.fixed_nuisances) <= known, (name, one.label)
            assert one.keys or one.fixed_nuisances or one.analysis != "default", (name, one.label)
            if one.keys or one.analysis != "default":
                assert fitted(found) != fitted(shipped), (name, one.label)
            if one == script.LINEAR:
                pulls = {getattr(n, "pull", "linear") for n in found.nuisances}
                assert pulls == {"linear"}
            # nothing but the analysis default changes
            same = tomllib.loads(path.read_text(encoding="utf-8"))
            changed = tomllib.loads(text)
            for content in (same, changed):
                content.setdefault("analyses", {}).pop("default", None)
            assert changed == same, (name, one.label)


def test_page_of_variations_has_all_of_them(script):
    page = (ROOT / "docs" / "validation" / "variations.md").read_text(encoding="utf-8")
    for name in script.HEADLINES:
        _, _, section = page.partition(f"## {name}\n")
        rows = [line for line in section.partition("\n## ")[0].splitlines() if line[:2] == "| "]
        wanted = ["what", "", *(one.kind for one in script.variations(name))]
        assert [row.split("|")[1].strip() for row in rows] == wanted


NUMBER = re.compile(r"(?<![\w.:-])-?\d+(?:\.\d+)?(?:e[-+]\d+)?(?![\w.-])")


def without_percent(line):
    # distances of some per mille may change by more than the ends they come from
    return re.sub(r"[\d.]+ %", "%", line)


@pytest.mark.slow
def test_every_row_has_a_number_and_what_differs_a_reason():
    found = nuhf.reproduce("all")
    assert reproduced.incomplete(found) == []
    assert reproduced.shares(found)["no number"] == 0
    page = (ROOT / "docs" / "validation" / "published.md").read_text(encoding="utf-8")
    # the page in the repository is the current one, up to the last digit that is printed
    ours = reproduced.as_markdown(found, "all").splitlines()
    for one, other in zip(ours, page.splitlines(), strict=True):
        assert NUMBER.sub("#", one) == NUMBER.sub("#", other)
        values = [[float(n) for n in NUMBER.findall(without_percent(x))] for x in (one, other)]
        assert values[0] == pytest.approx(values[1], rel=0.02)
