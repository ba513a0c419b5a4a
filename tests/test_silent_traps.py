"""What newcomers gave and nothing said a word about."""

import copy
import csv
import io
import json
import time

import numpy as np
import pytest
from conftest import EXPERIMENT, problems

import nuhf
from nuhf import questions
from nuhf.errors import InputError, OpenRegionError
from nuhf.stats import explore

LIGHT = "conus-plus"


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"fixed_nuisances": {"flux_sns": "3"}}, "fixed_nuisances: flux_sns = '3': give a number"),
        ({"fixed_nuisances": [3]}, "fixed_nuisances: 3 is no name"),
        ({"profiled": {"munu_e": 0.0}}, "profiled = .*: give a name or a sequence of names"),
        ({"cl": "0.95"}, "cl = '0.95': give a number"),
        ({"cl": [0.9]}, r"cl = \[0.9\]: give a number"),
        ({"cl": None}, "cl = None: give a number"),
    ],
)
def test_refused_in_words(options, words):
    with pytest.raises(InputError, match=words):
        nuhf.limit(EXPERIMENT, "munu_mu", **options)


def test_one_name_is_a_list_of_one():
    one, many = (
        problems(EXPERIMENT, "munu_mu", fixed_nuisances=fix, profiled=profile)[0]
        for fix, profile in (("flux_sns", "munu_e"), (["flux_sns"], ["munu_e"]))
    )
    assert one.options == many.options
    assert one.options.fixed_nuisances == ("flux_sns",)


@pytest.mark.parametrize(
    ("command", "name", "rows"),
    [
        (("rate", EXPERIMENT, "-o", "rate.csv"), "rate.csv", 50),
        (("scan", LIGHT, "-p", "munu_e", "--points", "9", "-o", "scan.csv"), "scan.csv", 10),
        (("limit", LIGHT, "-p", "munu_e", "-o", "limits"), "limits/limits.csv", 2),
        (("fit", LIGHT, "-o", "fit"), "fit/fit.csv", 2),
    ],
    ids=lambda value: value[0] if isinstance(value, tuple) else None,
)
def test_a_csv_file_has_csv(cli, work, command, name, rows):
    """A header, then rows as long as it: what ``pandas.read_csv`` takes without arguments."""
    assert cli(*command).code == 0
    header, *table = csv.reader(io.StringIO((work / name).read_text()))
    assert not header[0].startswith("#")
    assert {len(row) for row in table} == {len(header)}
    assert len(table) + 1 >= rows


@pytest.mark.parametrize("method", ["delta-chi2", "cls"])
def test_the_search_widens_until_the_region_closes(monkeypatch, method):
    """From a range of a tenth the same limit as from the usual one, which it is inside of."""
    (problem,) = problems(EXPERIMENT, "munu_mu")
    high = problem.description.couplings[0].high
    usual = questions.limit(problem, 0.9, method)
    monkeypatch.setattr(explore, "_WIDER", 0.2 * problem.parameter.to_fit(usual.upper_limit) / high)
    narrow = explore.widened(problem)
    monkeypatch.undo()
    assert narrow.description.couplings[0].high < 0.3 * problem.parameter.to_fit(usual.upper_limit)
    found = questions.limit(narrow, 0.9, method)
    assert found.upper_limit == pytest.approx(usual.upper_limit, rel=1e-6)
    assert explore.widened(problems(EXPERIMENT, "munu_mu", bracket=(0.0, 1e-9))[0]) is None


def test_a_model_that_ends_is_not_widened():
    """The expansion in the neutron radius has limits of its own."""
    (problem,) = problems("coherent-csi-2017", "Rn_CsI", analysis="cadeddu2020-free-rn")
    assert explore.widened(problem) is None


def test_a_range_that_was_asked_for_is_kept(tmp_path):
    with pytest.raises(OpenRegionError, match="widen the range"):
        nuhf.limit(EXPERIMENT, "norm_cevns", bracket=(0.9, 1.0))


OPEN = {
    "channels": [{"name": "c", "samples": [
        {"name": "s", "data": [1.0],
         "modifiers": [{"name": "mu", "type": "normfactor", "data": None}]},
        {"name": "b", "data": [5.0],
         "modifiers": [{"name": "off", "type": "normsys", "data": {"lo": 0.8, "hi": 1.2}}]}]}],
    "observations": [{"name": "c", "data": [12.0]}],
    "measurements": [{"name": "m", "config": {"poi": "mu", "parameters": [
        {"name": "mu", "inits": [1.0], "bounds": [[0.0, 10.0]]}]}}],
    "version": "1.0.0",
}  # fmt: skip
"""12 events on 5: the lower end of the strength is inside its bounds, the upper one is not."""


def test_one_end_is_told_where_the_data_set_no_other():
    found = nuhf.interval(OPEN)
    whole = copy.deepcopy(OPEN)
    whole["measurements"][0]["config"]["parameters"][0]["bounds"] = [[0.0, 60.0]]
    closed = nuhf.interval(whole)
    assert found.intervals == ((pytest.approx(closed.intervals[0][0], rel=1e-6), np.inf),)
    assert found.hull[1] == np.inf
    assert 50.0 in found
    assert found.upper_limit is None
    (note,) = [note for note in found.caveats if "set no upper end" in note]
    assert "0.605 above its minimum at 10" in note
    assert "[1.86, inf]" in str(found)
    assert json.loads(json.dumps(found.to_dict()))["intervals"] == [[found.hull[0], None]]
    assert found.to_csv().splitlines()[1].endswith(f",{found.hull[0]:.10g},inf,7")
    assert r"$\infty$" in found.to_latex()
    # pictures end beyond what is known, with an arrow
    (axes,) = found.plot().axes
    assert axes.lines[0].get_xdata()[1] > 7.0
    assert [line.get_marker() for line in axes.lines].count(">") == 1
    assert nuhf.scan(OPEN).values[-1] < 10.0
    # nothing is told where a range was asked for, or where the data exclude nothing
    with pytest.raises(OpenRegionError, match="reaches 9; widen the range"):
        nuhf.interval(OPEN, bracket=(0.0, 9.0))
    less = copy.deepcopy(OPEN)
    less["observations"][0]["data"] = [8.0]
    less["measurements"][0]["config"]["parameters"][0]["bounds"] = [[0.0, 5.0]]
    with pytest.raises(OpenRegionError, match="it has all of it; the data set no end"):
        nuhf.interval(less)


@pytest.mark.parametrize(
    ("axes", "words"),
    [
        ("photoelectrons = [8.0, 8.0001], time_us = [0, 1]", "a bin edge cuts the cell 8 to 9"),
        ("photoelectrons = [1000, 2000], time_us = [0, 1]", "bins 1000 to 2000 reach beyond"),
        ("photoelectrons = [8, 12], time_us = [-5, 0]", "time_us: bins -5 to 0 reach beyond"),
    ],
)
def test_bins_that_cannot_be_are_named(tmp_path, axes, words):
    """They ended with numpy's \"invalid value encountered in divide\"."""
    path = tmp_path / "bins.toml"
    head = f'format = 2\nextends = "{EXPERIMENT}"\nname = "bins"\n'
    path.write_text(f"{head}[regions.main]\naxes = {{ {axes} }}\n")
    with pytest.raises(InputError, match=words) as caught:
        nuhf.rate(str(path))
    assert "bins.toml: " in str(caught.value)


def test_a_fit_of_two_experiments_takes_seconds():
    """It took 222 s of work; 0.8 s where this was written."""
    begin = time.process_time()
    found = nuhf.fit(nuhf.model([EXPERIMENT, "dresden-2"], "munu_e"))
    assert time.process_time() - begin < 30.0
    assert found.status == "converged"
