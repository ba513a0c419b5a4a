"""Feldman-Cousins intervals and coverage."""

import json

import numpy as np
import pytest
from conftest import NUCLEI, problems
from random_workspaces import random_workspace
from test_files import Deepest

import nuhf
from nuhf.errors import FitError, InputError
from nuhf.stats.explore import explored
from nuhf.toys.ends import crossing, end_with_error
from nuhf.toys.feldman_cousins import ScannedValues, _verdicts
from nuhf.toys.problem import toy_setup


def construct(parameter, **options):
    (found,) = nuhf.limit(NUCLEI, parameter, method="feldman-cousins", jobs=1, **options)
    return found


@pytest.fixture(scope="module")
def charge():
    return construct("qnu_ee", toys=300, points=30, seed=1)


def test_ends_are_where_t_meets_the_critical_values(charge):
    curve = {key: np.array(value) for key, value in charge.toys["curve"].items()}
    distance = curve["statistic"] - curve["critical"]
    ends = np.ravel(charge.intervals)
    clear = np.abs(distance) > 2.5 * curve["critical_error"]
    inside = sum((curve["values"] >= a) & (curve["values"] <= b) for a, b in charge.intervals)
    assert ((distance < 0) == (inside > 0))[clear].all()
    errors = np.ravel(charge.toys["end_errors"])
    assert errors.shape == ends.shape
    assert (errors > 0).all()
    assert (errors < 0.25 * np.ptp(charge.intervals[0])).all()


def test_two_minima_widen_the_interval(charge):
    """At the edge towards the second minimum the critical value is well above Wilks' 2.71."""
    (wilks,) = nuhf.limit(NUCLEI, "qnu_ee")
    assert len(charge.intervals) == len(wilks.intervals) == 2
    assert charge.intervals[0][1] > wilks.intervals[0][1]
    assert charge.best_fit == wilks.best_fit
    assert charge.minima == wilks.minima


def test_the_record(charge):
    toys = charge.toys
    assert charge.method == "feldman-cousins"
    assert toys["toys"] == 300
    assert toys["seed"] == 1
    assert toys["unconverged"] == 0
    assert not toys["exact"]
    # 30 values, and three times the toys at each of the four ends, up to five times
    rounds, rest = divmod(toys["toys_in_all"] - 300 * len(toys["curve"]["values"]), 900)
    assert rest == 0
    assert 4 <= rounds <= 20
    assert toys["backend"] == "pyhf numpy 64b, minuit"
    assert "seed 1; 0 of" in charge.notes[-1]
    assert json.loads(json.dumps(charge.to_dict()))["toys"]["curve"]["critical"]


def test_same_seed_same_result_other_seed_other_toys():
    first = construct("qnu_mumu", toys=60, points=8, seed=5)
    assert first.to_dict() == construct("qnu_mumu", toys=60, points=8, seed=5).to_dict()
    other = construct("qnu_mumu", toys=60, points=8, seed=6)
    assert other.intervals != first.intervals
    error = np.hypot(np.ravel(first.toys["end_errors"]), np.ravel(other.toys["end_errors"]))
    assert (np.abs(np.ravel(first.intervals) - np.ravel(other.intervals)) < 5 * error).all()


def test_a_bound_at_zero():
    found = construct("munu_mu", toys=300, points=20)
    assert found.intervals[0][0] == 0.0
    assert found.upper_limit == found.intervals[-1][1]
    assert found.toys["end_errors"][0][0] == 0.0
    (wilks,) = nuhf.limit(NUCLEI, "munu_mu")
    # the best fit lies at the bound: critical values are below 2.71 there
    assert 0.7 * wilks.upper_limit < found.upper_limit < wilks.upper_limit


@pytest.mark.slow
def test_strength_agrees_with_wilks():
    """norm_cevns at 0.93 +- 0.15 is far from everything."""
    (wilks,) = nuhf.limit(NUCLEI, "norm_cevns")
    found = construct("norm_cevns", toys=500, points=20)
    errors = np.ravel(found.toys["end_errors"])
    assert (np.abs(np.ravel(found.intervals) - np.ravel(wilks.intervals)) < 4 * errors).all()


@pytest.mark.slow
def test_other_levels():
    narrow = construct("qnu_mumu", toys=80, points=8, cl=0.68)
    wide = construct("qnu_mumu", toys=80, points=8, cl=0.9)
    assert narrow.intervals[0][1] < wide.intervals[0][1]


def points_at(distance, error):
    n = len(distance)
    below = 0.9 + np.asarray(distance, dtype=float)
    zero = np.zeros(n)
    return ScannedValues(
        np.arange(float(n)), zero, zero, zero, below, np.full(n, error), below < 0.9
    )


@pytest.mark.parametrize(
    ("distance", "inside", "turned"),
    [
        ([3, 1, -1, -2, 1, 3], [0, 0, 1, 1, 0, 0], 0),
        # one value of the wrong side within the noise, on either side of an end
        ([3, -0.1, 1, -1, -2, 1, 3], [0, 0, 0, 1, 1, 0, 0], 1),
        ([3, 1, -1, 0.1, -2, 1, 3], [0, 0, 1, 1, 1, 0, 0], 1),
        # a clear gap stays a gap
        ([3, -1, -2, 1, -2, -1, 3], [0, 1, 1, 0, 1, 1, 0], 0),
    ],
)
def test_noise_makes_no_pieces(distance, inside, turned):
    found, count = _verdicts(points_at(distance, 0.2), 0.9)
    assert found.astype(int).tolist() == inside
    assert count == turned


X = np.linspace(-0.5, 1.5, 21)
CURVES = {
    "line": 4.0 * (X - 0.45),
    "bent": np.where(X < 0.45, 2.0, 8.0) * (X - 0.45),
    # a step above its error at most by chance, after a rise that is nearly flat
    "step": np.where(X < 0.45, 0.4 * (X - 0.6), 0.3 + 0.4 * (X - 0.6)),
}


@pytest.mark.parametrize("curve", CURVES)
def test_the_error_of_an_end_is_its_spread(curve):
    """The same noise for all points, as toys with weights have: 500 ends."""
    noise = np.random.default_rng(4).normal(0.0, 0.2, 500)
    found = [end_with_error(X, CURVES[curve] + d, np.full(21, 0.2), 0.5) for d in noise]
    ends, claimed = np.array(found).T
    spread, claim = np.sqrt(np.mean((ends - 0.45) ** 2)), np.sqrt(np.mean(claimed**2))
    assert claim == pytest.approx(spread, rel=0.2)
    assert 0.6 < np.std((ends - 0.45) / claimed) < 1.2


def test_an_end_on_a_line_is_exact():
    """Its error is that of the line over its slope, and what a cell of 0.1 hides."""
    end, error = end_with_error(X, CURVES["line"] - 0.1, np.full(21, 0.2), 0.5)
    assert end == pytest.approx(0.475)
    assert error == pytest.approx(np.hypot(0.2 / 4.0, 0.1 / np.sqrt(12)), rel=0.03)
    # without a crossing: by the slope, and never farther than the width beyond
    assert crossing(X, CURVES["line"] - 6.0, 0.5) == pytest.approx(1.95)
    assert crossing(X, CURVES["line"] - 60.0, 0.5) == pytest.approx(3.5)
    assert crossing(X, 0.0 * X + 1.0, 0.5) == pytest.approx(-2.5)
    # where it falls is no end
    assert crossing(X, np.abs(X - 0.5) - 0.25, 0.0) == pytest.approx(0.75)


def test_toys_start_at_every_minimum_of_the_nuisances():
    (problem,) = problems(random_workspace(16))
    setup, nominal = toy_setup(explored(problem), [1.0]), toy_setup(problem, [1.0])
    assert len(setup.seeds) > len(nominal.seeds) == 1
    assert len(setup.started) > len(nominal.started) == 1


@pytest.mark.slow
def test_the_data_have_every_minimum_of_the_nuisances():
    """From the nominal nuisances alone t was up to 0.4 too high."""
    spec = random_workspace(16)
    deepest = Deepest(spec)
    _, lowest = deepest()
    found = nuhf.interval(spec, method="feldman-cousins", toys=10, points=5, jobs=1)
    curve = found.toys["curve"]
    heights = [deepest(value)[1] - lowest for value in curve["values"]]
    np.testing.assert_allclose(curve["statistic"], heights, atol=1e-4)


def test_refusals(tmp_path):
    with pytest.raises(InputError, match="engine compiled"):
        construct("qnu_mumu", toys=100, engine="pyhf")
    with pytest.raises(InputError, match="the method delta-chi2 makes none"):
        nuhf.limit(NUCLEI, "qnu_mumu", toys=100)
    with pytest.raises(InputError, match="for one parameter"):
        construct(["qnu_ee", "qnu_mumu"], toys=100, checkpoint=tmp_path / "x")
    with pytest.raises(InputError, match="delta-chi2 makes none"):
        nuhf.limit(NUCLEI, "qnu_mumu", checkpoint=tmp_path / "x")
    with pytest.raises(FitError, match="toys are too few"):
        construct("qnu_mumu", toys=50, points=6, cl=0.99)


# --------------------------------------------------------------------------- two parameters


def test_two_dimensions():
    options = {"cl": (0.68, 0.9), "points": 12, "seed": 1}
    found = nuhf.contour(
        nuhf.model(NUCLEI, "munu_e"),
        "munu_mu",
        method="feldman-cousins",
        toys=60,
        jobs=1,
        **options,
    )
    regions = dict(found.regions)
    assert set(regions) == {0.68, 0.9}
    extent = {cl: np.concatenate(lines).max(axis=0) for cl, lines in regions.items()}
    assert (extent[0.9] > extent[0.68]).all()
    wilks = nuhf.contour(nuhf.model(NUCLEI, "munu_e"), "munu_mu", cl=(0.9,), points=12)
    ((_, lines),) = wilks.regions
    assert extent[0.9] == pytest.approx(np.concatenate(lines).max(axis=0), rel=0.35)
    assert "60 toys at each of" in found.notes[-1]
    assert json.dumps(found.to_dict())


# ----------------------------------------------------------------------------- coverage


def test_coverage_command(cli):
    ran = cli("coverage", NUCLEI, "-p", "qnu_mumu", "--true", "0", "--toys", "400",
              "--nuisance", "flux_sns=1", "--jobs", "1", "--json")  # fmt: skip
    found = json.loads(ran.out)
    assert found["coverage"] == pytest.approx(0.88, abs=0.06)
    assert found["error"] == pytest.approx(0.016, abs=0.004)
    assert found["covered"] + 0 <= found["toys"] == 400
    assert found["nuisances"] == {"flux_sns": 1.0}
    ran = cli("coverage", NUCLEI, "-p", "qnu_mumu", "--true", "0", "--toys", "50",
              "--jobs", "1")  # fmt: skip
    assert "90 % CL, delta-chi2: covers" in ran.out


@pytest.mark.slow
def test_coverage_of_the_construction_and_its_twin():
    """The verdict of every toy is the one of the construction at that value."""
    found = nuhf.coverage(
        nuhf.model(NUCLEI, "qnu_ee"), true=0.0, method="feldman-cousins", toys=60, inner=150, jobs=1
    )
    assert 0.78 <= found.coverage <= 1.0
    assert found.inner == 150
    assert found.unconverged == found.inner_unconverged == 0


def test_toys_without_a_fit_do_not_count(monkeypatch):
    """Of six toys one is lost, and three of the other five cover."""
    lost = [{"t": [0.1, None, 5.0]}, {"t": [0.2, 2.7, 2.8]}]
    monkeypatch.setattr("nuhf.toys.coverage._blocks", lambda *given: lost)
    found = nuhf.coverage(nuhf.model(NUCLEI, "qnu_mumu"), true=0.0, cl=0.9, toys=10)
    assert (found.toys, found.covered, found.unconverged) == (6, 3, 1)
    assert found.coverage == pytest.approx(3 / 5)
    assert found.error == pytest.approx(np.sqrt(0.6 * 0.4 / 5))
    lost[:] = [{"t": [None]}]
    with pytest.raises(FitError, match="no fit of any toy"):
        nuhf.coverage(nuhf.model(NUCLEI, "qnu_mumu"), true=0.0, toys=10)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"method": "cls"}, "no coverage of 'cls'"),
        ({"nuisances": {"flux": 1.0}}, "no nuisance 'flux'"),
        ({"nuisances": {"qnu_ee_em8": 1.0}}, "no nuisance"),
        ({"nuisances": {"flux_sns": 9.0}}, "outside its bounds"),
        ({"true": 1.0}, "outside the range"),
    ],
)
def test_coverage_refuses(options, message):
    with pytest.raises(InputError, match=message):
        nuhf.coverage(
            nuhf.model(NUCLEI, "qnu_ee"), **{"true": 0.0, "toys": 20, "jobs": 1} | options
        )


def test_limit_command(cli):
    ran = cli("limit", NUCLEI, "-p", "qnu_mumu", "--method", "feldman-cousins",
              "--toys", "50", "--points", "8", "--jobs", "1", "--seed", "4", "--notes")  # fmt: skip
    assert ran.code == 0, ran.err
    assert "90 % CL, feldman-cousins" in ran.out
    assert "50 toys at each of" in ran.out
    assert ran.err == ""


# ------------------------------------------------------------------------------- studies


@pytest.mark.slow
@pytest.mark.parametrize("true", [0.0, 6.96e-8, 2.6e-7])
def test_feldman_cousins_covers(nuclei_problem_of, true):
    """SM, limit and between the minima, with true nuisances one sigma off their fitted values."""
    compiled = nuclei_problem_of("qnu_ee").engine.compiled
    names = [name for name in compiled.names if name != "qnu_ee_em8"]
    off = {name: 1.0 - 2.0 * (k % 2) for k, name in enumerate(names)}
    found = nuhf.coverage(
        nuhf.model(NUCLEI, "qnu_ee"), true=true, method="feldman-cousins", toys=4000, nuisances=off
    )
    assert found.coverage == pytest.approx(0.9, abs=0.015)
