"""The global picture: which experiments, which together, the literature, figure and command."""

import csv
import json
from itertools import pairwise

import numpy as np
import pytest

import nuhf
from nuhf import resources
from nuhf.errors import FitError, InputError
from nuhf.experiments.catalogue import list_experiments
from nuhf.report import overview as module
from nuhf.report.overview import CONTAINED, COUPLINGS, Overview, overview, read_literature

SOLAR = {"lz-ws2022", "lz-ws2024", "pandax-4t-run0", "pandax-4t-run1", "xenonnt-sr0"}
BEAM = {"coherent-csi-2021", "coherent-lar-2020"}
DARWIN = {"darwin-30ty", "darwin-300ty", "darwin-300ty-depleted"}


@pytest.fixture(scope="module")
def picture():
    return overview(["munu_e", "qnu_mumu", "r2nu_tautau"])


def entries(picture, parameter, role):
    return {e.label: e for e in picture.entries if (e.parameter, e.role) == (parameter, role)}


def test_every_experiment_with_an_effect_is_there(picture):
    every = set(list_experiments()) - {"apv-cs"} - DARWIN
    assert every == SOLAR | BEAM | {"coherent-csi-2017", "dresden-2"}
    assert set(entries(picture, "munu_e", "ours")) == every
    # reactors have no muon neutrinos, the beam no tau neutrinos
    assert set(entries(picture, "qnu_mumu", "ours")) == every - {"dresden-2"}
    assert set(entries(picture, "r2nu_tautau", "ours")) == SOLAR
    for name in ("munu_e", "qnu_mumu", "r2nu_tautau"):
        assert set(entries(picture, name, "future")) == DARWIN


def test_nothing_is_counted_twice_in_the_combination(picture):
    for name, wanted in (("munu_e", SOLAR | BEAM | {"dresden-2"}), ("qnu_mumu", SOLAR | BEAM),
                         ("r2nu_tautau", SOLAR)):  # fmt: skip
        (found,) = entries(picture, name, "combined").values()
        assert set(found.experiments) == wanted
    text = " ".join(picture.notes)
    for inner, outer in CONTAINED.items():
        assert f"{inner} is not in the combination: its events are among those of {outer}" in text
    assert "Asimov data, not in the combination" in text


def test_intervals_are_those_of_the_api(picture):
    one = entries(picture, "qnu_mumu", "ours")["coherent-csi-2021"]
    (wanted,) = nuhf.limit("coherent-csi-2021", "qnu_mumu")
    np.testing.assert_allclose(one.intervals, wanted.intervals, rtol=1e-9)
    (all_of,) = entries(picture, "r2nu_tautau", "combined").values()
    (wanted,) = nuhf.limit(all_of.experiments, "r2nu_tautau")
    np.testing.assert_allclose(all_of.intervals, wanted.intervals, rtol=1e-6)


def test_the_combination_is_no_weaker_than_its_best_part_by_far(picture):
    # an excess in one part may widen the interval of all; not by half here
    for name in ("munu_e", "qnu_mumu", "r2nu_tautau"):
        (found,) = entries(picture, name, "combined").values()
        parts = entries(picture, name, "ours")
        width = [parts[e].intervals[-1][1] - parts[e].intervals[0][0] for e in found.experiments]
        assert found.intervals[-1][1] - found.intervals[0][0] < 1.1 * min(width)


def test_shared_nuisances_are_one(picture):
    (found,) = entries(picture, "r2nu_tautau", "combined").values()
    (problem,) = nuhf.api.problems(found.experiments, "r2nu_tautau")
    names = list(problem.engine.compiled.names)
    for name in ("flux_solar_pp", "flux_solar_be7", "bkg_xe136"):
        assert names.count(name) == 1
    using = {one.name for one in problem.experiments for n in one.loaded.analysis.nuisances
             if n.name == "flux_solar_pp"}  # fmt: skip
    assert using == SOLAR


def test_literature_is_complete_and_says_where_it_was_read():
    found = read_literature()
    assert len(found) == 27
    assert {e.parameter for e in found} <= set(COUPLINGS)
    for entry in found:
        assert entry.cl == 0.9
        assert "; read in arXiv:" in entry.source
        ((low, high),) = entry.intervals
        assert low == 0.0 if entry.parameter.startswith("munu") else low < 0.0 < high
    (gemma,) = (e for e in found if (e.label, e.parameter) == ("GEMMA", "munu_e"))
    assert gemma.intervals == ((0.0, 2.9e-11),)  # Table I of one, text of the other paper
    assert "UNVERIFIED" in (resources.shipped("data") / "literature.toml").read_text("utf-8")


BOUND = (
    '[[bounds]]\nexperiment = "X"\nparameter = "munu_e"\ncl = 0.9\nlower = 0.0\nupper = 1e-9\n'
    'source = "s"\nread = "r"\n'
)


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ('read = "r"\n', "", r"bounds\[0\]: missing \['read'\]"),
        ("cl =", "level =", r"missing \['cl'\], unknown \['level'\]"),
        ("upper = 1e-9", "upper = -1e-9", "is not below upper"),
        ("munu_e", "munu_x", "unknown parameter 'munu_x'"),
    ],
)
def test_a_broken_bound_is_refused(monkeypatch, tmp_path, old, new, words):
    (tmp_path / "literature.toml").write_text(BOUND.replace(old, new), encoding="utf-8")
    monkeypatch.setattr(resources, "shipped", lambda folder: tmp_path)
    with pytest.raises(InputError, match=words):
        read_literature()


def test_other_parameters_are_refused():
    with pytest.raises(InputError, match="sin2thetaW is none of munu_eff"):
        overview(["sin2thetaW"])


def test_order_of_the_couplings():
    kinds = ["moment"] * 4 + ["charge"] * 6 + ["radius"] * 6
    assert [nuhf.parameters.get(name).kind for name in COUPLINGS] == kinds
    for one, other in pairwise(COUPLINGS):
        if one.startswith("abs_") and not other.startswith("abs_"):
            assert nuhf.parameters.get(one).kind != nuhf.parameters.get(other).kind


def test_a_fit_that_fails_is_told_and_not_drawn(monkeypatch):
    def failing(problem, cl, method):
        raise FitError("no interval")

    monkeypatch.setattr(module.questions, "limit", failing)
    found = overview(["munu_tau"])
    ours = [e for e in found.entries if e.role != "literature"]
    assert len(ours) == len(SOLAR) + 1 + len(DARWIN)
    assert all((e.intervals, e.source) == ((), "no interval") for e in ours)
    assert "no interval" in found.to_csv()
    (axes,) = found.figure().axes
    assert {line.get_gid() for line in axes.lines if line.get_gid()} == {"literature"}


def test_figure_shows_every_entry(picture):
    figure = picture.figure()
    assert len(figure.axes) == 3
    drawn = [line for axes in figure.axes for line in axes.lines if line.get_gid()]
    assert len(drawn) == sum(len(e.intervals) for e in picture.entries)


def test_command_writes_figure_table_and_json(cli, work, picture, monkeypatch):
    monkeypatch.setattr(module, "overview", lambda step: picture)
    ran = cli("plot", "summary", "-o", "all.png", "--json")
    assert ran.code == 0
    content = json.loads(ran.out)
    assert len(content["bounds"]) == len(picture.entries)
    assert content["notes"] == list(picture.notes)
    assert (work / "all.png").read_bytes().startswith(b"\x89PNG")
    text = (work / "all.csv").read_text(encoding="utf-8")
    rows = list(csv.DictReader(line for line in text.splitlines() if line[0] != "#"))
    assert len(rows) == sum(len(e.intervals) for e in picture.entries)
    assert "# coherent-csi-2017 is not in the combination" in text
    # JSON alone writes nothing
    (work / "all.png").unlink()
    (work / "all.csv").unlink()
    assert cli("plot", "summary", "--json").code == 0
    assert list(work.iterdir()) == []


@pytest.mark.parametrize(
    "arguments",
    [("summary", "fig1"), ("summary", "--analysis", "khan2023"), ("khan2023", "fig5", "--json")],
)
def test_refusals(cli, work, arguments):
    ran = cli("plot", *arguments)
    assert (ran.code, ran.out) == (2, "")
    assert list(work.iterdir()) == []


def test_an_overview_without_entries_is_refused():
    with pytest.raises(InputError, match="no bounds"):
        Overview((), ()).figure()
