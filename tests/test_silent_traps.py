"""What newcomers gave and nothing said a word about."""

import csv
import io
import time

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
