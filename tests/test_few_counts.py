"""Few counts: exact constructions, and what asymptotic methods say of themselves.

Textbook values: G. J. Feldman, R. D. Cousins, Phys. Rev. D 57, 3873 (1998), tables II to V.
"""

from pathlib import Path

import numpy as np
import pytest
from conftest import problems
from scipy.special import pdtr
from scipy.stats import poisson

import nuhf
from nuhf.errors import FitError
from nuhf.likelihood.evaluate import compile_model
from nuhf.stats.intervals import ScanRange
from nuhf.toys import feldman_cousins as toys
from nuhf.toys.exact import ensemble, exact_region
from nuhf.toys.sample import ToyOptions
from nuhf.toys.strata import part_below, strata, sums
from nuhf.workspaces.native import load_model

EVENTS = 1.17207587e14
"""Events of `count` per munu_e^2, in mu_B^-2, worked out from its template (cases, F15)."""

COUNT = """
format = 2
name = "count"
title = "one bin"
[sources.power]
kind = "reactor"
source = "made up"
spectrum = "mueller"
fuel = { u235 = 1.0 }
flux_per_cm2_s = 1e13
[target]
source = "made up"
mass_kg = 1e-6
formula = { Ge74 = 1.0 }
[responses.electron]
ionisation_min_kev_ee = 0.00296
quenching = { kind = "none" }
smearing = { kind = "fano", noise_kev = 0.020, pair_energy_kev = 0.00296, fano = 0.11 }
[signals.eves]
interaction = "eves"
source = "power"
response = "electron"
[regions.on]
source = "made up"
live_days = 1.0
axes = { energy_kev_ee = [1.0, 10.0] }
data = { kind = "values", values = [COUNTS] }
[analyses.default]
title = "count"
parameters = ["munu_e"]
"""


OFF = """
[backgrounds.off]
title = "off"
kind = "exponential"
source = "made up"
height_per_kev_day = HEIGHT
decay_per_kev = 0.0
"""


def count(folder, counts, expected, more=""):
    path = Path(folder) / "count.toml"
    text = COUNT.replace("COUNTS", str(counts))
    if expected:  # in 9 keV and one day
        text += OFF.replace("HEIGHT", str(expected / 9.0))
    path.write_text(text + more)
    return str(path)


def model(background, observed, signal=(1.0,), high=60.0):
    """A signal with a strength from 0 to ``high`` on a known background, one entry per bin."""
    background = np.ones_like(signal) * background
    samples = [{"name": "s", "data": list(signal),
                "modifiers": [{"name": "mu", "type": "normfactor", "data": None}]},
               {"name": "b", "data": background.tolist(), "modifiers": []}]  # fmt: skip
    spec = {
        "channels": [{"name": "c", "samples": samples}],
        "observations": [{"name": "c", "data": list(observed)}],
        "measurements": [{"name": "m", "config": {"poi": "mu", "parameters": [
            {"name": "mu", "inits": [1.0], "bounds": [[0.0, high]]}]}}],
        "version": "1.0.0",
    }  # fmt: skip
    made, data = load_model(spec)
    return compile_model(made), np.asarray(data)


def region(compiled, data, cl=0.9, high=60.0):
    span = ScanRange(0.0, high, True)
    found = exact_region(compiled, data, 0, compiled.inits, ~compiled.fixed, span, cl)
    assert found is not None
    return found


STEP = 0.005


def twin(background, most, cl=0.9):
    """Hulls of a plain construction on a grid of the signal, for 0 to ``most`` counts."""
    n = np.arange(0, 80)
    best = poisson.pmf(n, np.maximum(n, background))
    accepted = []
    for mu in np.arange(0.0, 24.0, STEP):
        p = poisson.pmf(n, mu + background)
        order = np.argsort(-p / best, kind="stable")
        size = int(np.searchsorted(np.cumsum(p[order]), cl)) + 1
        accepted.append(np.isin(np.arange(most + 1), order[:size]))
    accepted = np.array(accepted)
    return [np.flatnonzero(column)[[0, -1]] * STEP for column in accepted.T]


@pytest.mark.parametrize("background", range(6))
def test_the_table_of_feldman_and_cousins(background):
    """n = 0 to 10 against a plain construction, steps of 0.005 events."""
    expected = twin(background, 10)
    compiled, data = model(background, [0.0])
    for n in range(11):
        data[0] = n
        pieces, _ = region(compiled, data)
        hull = pieces[0][0], pieces[-1][1]
        assert hull == pytest.approx(expected[n], abs=1.01 * STEP), n


@pytest.mark.parametrize(
    ("n", "background", "cl", "low", "high"),
    [
        # printed in tables IV and V of the paper, two decimals
        (0, 0, 0.9, 0.00, 2.44), (3, 3, 0.9, 0.00, 4.42), (1, 0, 0.9, 0.11, 4.36),
        (10, 5, 0.9, 1.19, 11.50), (5, 1, 0.9, 1.25, 8.99), (0, 1, 0.9, 0.00, 1.61),
    ],
)  # fmt: skip
def test_printed_values(n, background, cl, low, high):
    ((a, b),), _ = region(*model(background, [float(n)]), cl)
    assert (round(a, 2), round(b, 2)) == (low, high)


def test_why_the_paper_prints_1_08_for_no_count_on_three():
    """The exact interval ends at 0.95; the paper lengthens it where more background gives more.

    Their section IV.B: a limit must not rise with the background. Ours at b = 3.0 is 0.953, and
    at 3.4 to 3.5 it jumps up: the largest one for backgrounds from 3.0 up is the printed 1.08.
    """

    def limit(background):
        return region(*model(background, [0.0]))[0][-1][1]

    assert limit(3.0) == pytest.approx(0.953, abs=0.001)
    assert max(limit(b) for b in np.arange(3.40, 3.50, 0.01)) == pytest.approx(1.08, abs=0.01)


def test_coverage_of_the_exact_construction_is_never_too_low():
    """Sum of the probabilities of all counts whose interval has the true value."""
    compiled, data = model(2.0, [0.0])
    pieces = []
    for n in range(25):
        data[0] = n
        pieces.append(region(compiled, data)[0])
    for true in np.linspace(0.0, 8.0, 33):
        inside = [any(a <= true <= b for a, b in found) for found in pieces]
        assert poisson.pmf(np.arange(25), 2.0 + true)[inside].sum() >= 0.9 - 1e-6


def test_several_bins_and_a_split_bin():
    """Two bins of the same ratio are one bin, whatever their counts."""
    (one,), _ = region(*model(3.0, [5.0]))
    (two,), made = region(*model(1.5, [2.0, 3.0], (0.5, 0.5)))
    assert two == pytest.approx(one, abs=1e-6)
    assert len(made.data) > 500
    # bins of different ratio say more than their sum
    (far,), _ = region(*model([0.5, 2.5], [3.0, 2.0], (0.9, 0.1)))
    assert far[1] - far[0] < one[1] - one[0]


def test_what_cannot_be_summed_is_left_to_toys():
    compiled, data = model(3.0, [3.0])
    span = ScanRange(0.0, 60.0, True)
    free = np.array([True])
    assert ensemble(compiled, data, 0, compiled.inits, ~free, span, 9.0, 0.0) is None
    big, many = model(1e4, [1e4] * 3, (1.0, 1.0, 1.0))
    assert exact_region(big, many, 0, big.inits, free, span, 0.9) is None
    with pytest.raises(FitError, match="not closed"):
        exact_region(*model(3.0, [3.0], high=3.0), 0, np.ones(1), free,
                     ScanRange(0.0, 3.0, True), 0.9)  # fmt: skip


@pytest.mark.parametrize(
    ("counts", "expected", "events"), [(0, 0, 2.436), (3, 3, 4.425), (0, 3, 0.953)]
)
def test_the_command_has_them_for_every_seed(tmp_path, counts, expected, events):
    path = count(tmp_path, counts, expected)
    found = [
        nuhf.limit(path, "munu_e", method="feldman-cousins", seed=seed)[0] for seed in (1, 2, 3)
    ]
    for one in found:
        assert one.intervals == found[0].intervals
        assert EVENTS * one.upper_limit**2 == pytest.approx(events, abs=0.002)
        assert one.toys["end_errors"] == [[0.0, 0.0]]
        assert "no toys, no statistical error" in " ".join(one.notes)
        assert one.toys["exact"]
        assert one.toys["toys"] == 0
    curve = {key: np.array(row) for key, row in found[0].toys["curve"].items()}
    agree = (curve["statistic"] <= curve["critical"] + 1e-6) == (curve["below"] < 0.9)
    assert agree[:-1].all()  # the last value is where the order changes


@pytest.mark.parametrize(
    ("method", "events", "covers"),
    # beyond 1.353 events n = 0 is left out, 1 - exp(-1.353) = 74 %; by delta-chi2 also 4 and more
    [("delta-chi2", 1.353, 69), ("cls", 1.353, 74)],
)
def test_asymptotic_methods_say_when_they_do_not_hold(tmp_path, method, events, covers):
    (found,) = nuhf.limit(count(tmp_path, 0, 0), "munu_e", method=method)
    assert EVENTS * found.upper_limit**2 == pytest.approx(events, rel=0.01)
    (note,) = [note for note in found.notes if "few counts" in note]
    assert f"covers {covers} % just beyond it (exactly)" in note
    assert "use method='feldman-cousins'" in note
    # and nothing is said of many
    (many,) = nuhf.limit(count(tmp_path, 400, 400), "munu_e", method=method)
    assert not any("few counts" in note for note in many.notes)


def test_what_few_counts_cover_is_what_toys_say(tmp_path):
    """n = 0 on 0: at 1.8 events 80.2 +- 0.9 % of toys are covered (cases, F16)."""
    compiled, data = model(0.0, [0.0])
    made = ensemble(compiled, data, 0, compiled.inits, ~compiled.fixed,
                    ScanRange(0.0, 60.0, True), 3.0, 0.0)  # fmt: skip
    at = np.array([1.8])
    part = made.probability(at)[0][made.statistic(at)[0] <= 2.7055].sum()
    assert part == pytest.approx(1 - np.exp(-1.8) - poisson.sf(4, 1.8), abs=1e-6)
    assert part == pytest.approx(0.802, abs=0.009)


@pytest.mark.parametrize("expected", [0, 3])
def test_cls_with_toys_without_a_count(tmp_path, expected):
    """2.303 events whatever the background: CLs is exp(-s) for no count."""
    (found,) = nuhf.limit(count(tmp_path, 0, expected), "munu_e", method="cls", toys=4000, jobs=1)
    error = 2 * EVENTS * found.upper_limit * found.toys["end_errors"][0][1]
    assert EVENTS * found.upper_limit**2 == pytest.approx(-np.log(0.1), abs=4 * error)


BIN = {
    "channels": [{"name": "c", "samples": [
        {"name": "s", "data": [1.0],
         "modifiers": [{"name": "mu", "type": "normfactor", "data": None}]},
        {"name": "b", "data": [6.0],
         "modifiers": [{"name": "off", "type": "normsys", "data": {"lo": 0.8, "hi": 1.2}}]}]}],
    "observations": [{"name": "c", "data": [11.0]}],
    "measurements": [{"name": "m", "config": {"poi": "mu", "parameters": [
        {"name": "mu", "inits": [1.0], "bounds": [[0.0, 60.0]]}]}}],
    "version": "1.0.0",
}  # fmt: skip
"""One bin of 11 events on 6 +- 20 %."""


def ends_of_toys(problem, monkeypatch, seeds, number=200, points=10):
    """Upper ends of the construction with toys, and their errors, for seeds from 1."""
    monkeypatch.setattr(toys, "_summed", lambda problem, cl: None)
    made = [
        toys.construct(problem, 0.9, ToyOptions(number, seed, points, jobs=1))
        for seed in range(1, seeds + 1)
    ]
    return np.array([(one.pieces[-1][1], one.errors[-1][1]) for one in made]).T


CASES = [(0, 0, 2.4359), (3, 3, 4.4250), (0, 3, 0.9530)]


@pytest.mark.parametrize(("counts", "expected", "exact"), CASES)
def test_toys_agree_with_the_sum(tmp_path, monkeypatch, counts, expected, exact):
    """How often each number of events comes is known, so that few toys are enough."""
    (problem,) = problems(count(tmp_path, counts, expected), "munu_e")
    ends, errors = ends_of_toys(problem, monkeypatch, 2) * EVENTS * 1e-18
    assert ends == pytest.approx(exact, rel=0.003)
    assert (errors > 0.0).all()


@pytest.mark.slow
@pytest.mark.parametrize(("counts", "expected", "exact"), CASES)
def test_toys_have_them_for_50_seeds(tmp_path, monkeypatch, counts, expected, exact):
    """To 1 %, with 200 toys and 10 points; the command itself needs no toys."""
    (problem,) = problems(count(tmp_path, counts, expected), "munu_e")
    ends, errors = ends_of_toys(problem, monkeypatch, 50) * EVENTS * 1e-18
    assert ends == pytest.approx(exact, rel=0.01)
    assert errors.max() < 0.02 * exact


@pytest.mark.slow
@pytest.mark.parametrize(("counts", "expected", "exact"), CASES)
def test_the_command_is_the_same_for_50_seeds(tmp_path, counts, expected, exact):
    path = count(tmp_path, counts, expected)
    found = [
        nuhf.limit(path, "munu_e", method="feldman-cousins", seed=seed)[0] for seed in range(1, 51)
    ]
    assert len({one.upper_limit for one in found}) == 1
    assert EVENTS * found[0].upper_limit ** 2 == pytest.approx(exact, rel=1e-4)
    assert all(one.toys["end_errors"] == [[0.0, 0.0]] for one in found)


def test_strata_are_numbers_of_events():
    assert strata(2.0, 600) == [1, 2, 3, 4, 5, 6]
    many = strata(400.0, 6000)
    assert 25 <= len(many) <= 40
    assert np.diff(pdtr(np.array(many) - 1, 400.0)).min() >= 1 / 40
    assert strata(0.0, 600) == []


def test_what_depends_on_the_number_alone_has_no_noise():
    """Even numbers are below: the part is exact at other means than that of the toys, too."""
    edges, means = strata(2.0, 600), np.array([1.5, 2.0, 2.5])
    events = np.random.default_rng(1).poisson(2.0, 600)
    logs = events * np.log(means[:, np.newaxis] / 2.0) - (means[:, np.newaxis] - 2.0)
    below = np.broadcast_to((events % 2 == 0) | (events > 4), logs.shape)
    part, error = part_below([sums(events, edges, np.exp(logs), below)], edges, means)
    numbers = np.arange(60)
    chosen = numbers[(numbers % 2 == 0) | (numbers > 4)]
    assert part == pytest.approx(poisson.pmf(chosen, means[:, np.newaxis]).sum(axis=1), abs=1e-9)
    assert (error < 0.002).all()
    # by coins the error is binomial
    coins = np.random.default_rng(2).random((400, 600)) < 0.3
    found = [
        part_below([sums(events, edges, np.exp(logs), np.stack([c] * 3))], edges, means)
        for c in coins
    ]
    parts, errors = np.array(found).swapaxes(0, 1)
    assert parts.mean(axis=0) == pytest.approx(0.3, abs=0.004)
    assert errors.mean(axis=0) == pytest.approx(parts.std(axis=0), rel=0.15)


@pytest.mark.slow
@pytest.mark.parametrize("given", [(BIN, "mu"), ("dresden-2", "munu_e")], ids=["bin", "dresden-2"])
def test_pulls_of_toys_with_nuisances(monkeypatch, given):
    """About the mean of 50 seeds: a bin with a nuisance of its background, and an experiment."""
    (problem,) = problems(*given)
    ends, errors = ends_of_toys(problem, monkeypatch, 50)
    pull = (ends - ends.mean()) / errors
    assert 0.7 < pull.std(ddof=1) < 1.3
