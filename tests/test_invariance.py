"""Limits do not depend on how a model is written down, nor on grids; failures are never numbers."""

import re
from dataclasses import dataclass, replace

import numpy as np
import pytest

import nuhf
from nuhf import questions
from nuhf.errors import FitError
from nuhf.experiments.catalogue import list_experiments, load
from nuhf.experiments.prepare import prepare
from nuhf.histfactory.describe import Coupling, Sample, Shape
from nuhf.likelihood.engines import CompiledEngine, Reference, engine
from nuhf.likelihood.fit import refit_with_pyhf
from nuhf.rates import build
from nuhf.stats.problem import Options, pose
from nuhf.workspaces import encode
from nuhf.workspaces.native import load_model

#: one experiment and parameter of each kind, and a combination
KINDS = {
    "spallation": (["coherent-csi-2021"], "qnu_mumu"),
    "spallation, moment": (["coherent-csi-2021"], "munu_mu"),
    "spallation, chi2": (["coherent-csi-2017"], "r2nu_mumu"),
    "spallation, released": (["coherent-lar-2020"], "qnu_ee"),
    "solar": (["xenonnt-sr0"], "munu_eff"),
    "reactor": (["dresden-2"], "munu_e"),
    "measurement": (["apv-cs"], "sin2thetaW"),
    "combination": (["coherent-csi-2021", "coherent-lar-2020"], "r2nu_ee"),
}
LONG = ("combination", "spallation", "spallation, moment")
#: of an interval, relative to its width: 1e-6 of the likelihood, root finding to 1e-7
EXACT = 2e-5


NUCLEI = "cevns-only"
"""Analysis of coherent-csi-2021 with charges as large as those of nuclei alone may be."""


def posed(names, parameter, analysis="default", **options):
    return pose([prepare(load(name, analysis)) for name in names], parameter, Options(**options))


@pytest.fixture(
    scope="module",
    params=[pytest.param(k, marks=[pytest.mark.slow] * (k in LONG)) for k in KINDS],
)
def problem(request):
    return posed(*KINDS[request.param])


def rewritten(problem, description):
    """The same question to a model that is described in another way."""
    spec = encode.native(description)
    model, data = load_model(spec)
    return replace(
        problem, description=description, spec=spec, engine=engine("compiled", Reference.of(model)),
        data=np.asarray(data),
    )  # fmt: skip


def ends(problem):
    found = questions.limit(problem, 0.9, "delta-chi2")
    return np.array([*np.ravel(found.intervals), found.best_fit])


def assert_same(one, two, tolerance=EXACT):
    assert one.shape == two.shape
    np.testing.assert_allclose(two, one, rtol=0, atol=tolerance * (one[:-1].max() - one[:-1].min()))


def in_bins(channel, change):
    """Apply a function of (n_bins,) arrays to everything in a channel that has bins."""
    samples = tuple(
        replace(
            s,
            counts=change(s.counts),
            shapes={n: Shape(change(x.up), change(x.down)) for n, x in s.shapes.items()},
        )
        for s in channel.samples
    )
    return replace(
        channel, samples=samples, observed=change(channel.observed),
        scale=np.ones(change(channel.observed).size) * channel.scale.mean(),
    )  # fmt: skip


def test_permuted_bins(problem):
    rng = np.random.default_rng(7)
    channels = []
    for channel in problem.description.channels:
        order = rng.permutation(channel.observed.size)
        channels.append(in_bins(channel, lambda row, order=order: row[order]))
    other = replace(problem.description, channels=tuple(channels))
    assert_same(ends(problem), ends(rewritten(problem, other)))


def test_split_bins(problem):
    """A bin as two with 30 and 70 % of everything holds what it held."""
    channels = tuple(
        in_bins(c, lambda row: np.concatenate([0.3 * row, 0.7 * row]))
        for c in problem.description.channels
    )
    assert_same(ends(problem), ends(rewritten(problem, replace(problem.description,
                                                               channels=channels))))  # fmt: skip


def test_bins_of_equal_expectation_may_be_merged():
    """Splitting counts in any way where the expectation is split evenly changes nothing."""
    problem = posed(["dresden-2"], "munu_e")
    channels = []
    for channel in problem.description.channels:
        twice = in_bins(channel, lambda row: np.repeat(0.5 * row, 2))
        uneven = twice.observed.copy()
        uneven[::2], uneven[1::2] = 0.9 * channel.observed, 0.1 * channel.observed
        channels.append(replace(twice, observed=uneven))
    other = replace(problem.description, channels=tuple(channels))
    assert_same(ends(problem), ends(rewritten(problem, other)))


def test_renamed_channels_and_nuisances(problem):
    """Names decide in which order pyhf has channels, samples and parameters."""
    free = {c.parameter.fit_name for c in problem.description.couplings}
    free |= {factor.name for factor in problem.description.free}
    names = {n for c in problem.description.channels for s in c.samples for n in (*s.norms,
             *s.shapes)} - free  # fmt: skip
    new = {name: f"n{i}_{name}" for i, name in enumerate(sorted(names, reverse=True))}
    channels = []
    for i, channel in enumerate(reversed(problem.description.channels)):
        samples = [
            replace(
                s,
                norms={new.get(n, n): v for n, v in s.norms.items()},
                shapes={new.get(n, n): v for n, v in s.shapes.items()},
            )
            for s in reversed(channel.samples)
        ]
        channels.append(replace(channel, name=f"c{i}_{channel.name}", samples=tuple(samples)))
    other = rewritten(problem, replace(problem.description, channels=tuple(channels)))
    assert list(other.engine.compiled.names) != list(problem.engine.compiled.names) or not names
    assert_same(ends(problem), ends(other))


@pytest.mark.parametrize("shift", [-3, 2])
def test_unit_of_the_parameter(problem, shift):
    """Its fit parameter in units 10^shift larger: the interval in base units stays."""
    (coupling, *rest) = problem.description.couplings
    parameter = coupling.parameter
    changed = replace(parameter, exponent=parameter.exponent + shift)
    if parameter.strength_of:
        pytest.skip("a strength has no unit")
    factor = 10.0**shift
    old, new = parameter.fit_name, changed.fit_name

    def in_unit(sample: Sample):
        power = sample.powers.get(old, 0)
        powers = {new if n == old else n: k for n, k in sample.powers.items()}
        scaled = {n: Shape(factor**power * x.up, factor**power * x.down)
                  for n, x in sample.shapes.items()}  # fmt: skip
        name = sample.name.replace(old, new)
        return replace(sample, name=name, counts=factor**power * sample.counts, powers=powers,
                       shapes=scaled)  # fmt: skip

    channels = tuple(
        replace(c, samples=tuple(map(in_unit, c.samples))) for c in problem.description.channels
    )
    first = Coupling(changed, coupling.low / factor, coupling.high / factor, coupling.init / factor)
    other = replace(problem.description, channels=channels, couplings=(first, *rest))
    again = rewritten(replace(problem, parameter=changed), other)
    assert_same(ends(problem), ends(again))


def test_order_of_experiments():
    names, parameter = KINDS["combination"]
    assert_same(ends(posed(names, parameter)), ends(posed(names[::-1], parameter)))


@pytest.mark.parametrize("kind", [k for k in KINDS if k != "measurement"])
def test_grids_four_times_finer(kind, monkeypatch):
    """Below 0.3 % of the width, the figure asked for; in fact far below."""
    before = ends(posed(*KINDS[kind]))
    plain = build.recoil_grid
    used = []

    def finer(targets, sources, low, high=np.inf, refine=1):
        used.append(refine)
        return plain(targets, sources, low, high, 4 * refine)

    monkeypatch.setattr(build, "recoil_grid", finer)
    after = ends(posed(*KINDS[kind]))
    if kind == "spallation, released":
        assert used or np.array_equal(before, after)
    else:
        assert used
    assert_same(before, after, 3e-3)
    assert_same(before, after, 1e-4)


@pytest.mark.parametrize("kind", ["spallation, moment", "solar", "reactor", "measurement"])
def test_two_optimizers_agree(kind):
    names, parameter = KINDS[kind]
    one, two = (posed(names, parameter, engine=e) for e in ("compiled", "pyhf"))
    low, high = map(one.parameter.to_fit, questions.limit(one, 0.9, "delta-chi2").intervals[-1])
    grid = np.linspace(low, high, 4)
    np.testing.assert_allclose(one.profiler().at(grid), two.profiler().at(grid), rtol=1e-6,
                               atol=2e-3)  # fmt: skip
    seeds = np.array([one.description.couplings[0].init])
    assert one.profiler().best(seeds)[1] == pytest.approx(two.profiler().best(seeds)[1], abs=2e-3)


# --------------------------------------------------------- what did not converge is no number


@dataclass(frozen=True)
class Failing(CompiledEngine):
    """An engine whose fits do not converge where ``fails(starts, free)`` says so."""

    fails: object = None

    def minimise(self, data, starts, free):
        parameters, heights = super().minimise(data, starts, free)
        return parameters, np.where(self.fails(parameters, free), np.inf, heights)


def failing(problem, fails):
    old = problem.engine
    return replace(problem, engine=Failing(old.reference, old.compiled, fails=fails))


@pytest.fixture(scope="module")
def charge():
    return posed(*KINDS["spallation"], NUCLEI)


@pytest.fixture(scope="module")
def moment():
    return posed(*KINDS["spallation, moment"])


def band(problem, low, high):
    """Fits at fixed values of the parameter between low and high fail."""
    index = problem.profiler().index

    def fails(parameters, free):
        inside = (parameters[:, index] > low) & (parameters[:, index] < high)
        return inside & (not free[index])

    return fails


def always(parameters, free):
    return np.ones(len(parameters), dtype=bool)


@pytest.mark.parametrize("method", ["delta-chi2", "cls", "feldman-cousins"])
def test_no_limit_without_convergence(moment, method):
    toys = None if method != "feldman-cousins" else questions.ToyOptions(20, jobs=1)
    with pytest.raises(FitError):
        questions.limit(failing(moment, always), 0.9, method, toys)


def test_no_fit_and_no_scan_without_convergence(charge):
    with pytest.raises(FitError, match="no fit converged"):
        questions.fit(failing(charge, always))
    with pytest.raises(FitError, match="no fit converged"):
        questions.scan(failing(replace(charge, options=Options(bracket=(-1e-7, 1e-7))), always), 5)


def test_a_gap_at_an_end_of_the_interval_is_an_error(charge):
    low, high = questions.limit(charge, 0.9, "delta-chi2").intervals[0]
    for end in (low, high):
        theta = charge.parameter.to_fit(end)
        gap = band(charge, theta - 0.3, theta + 0.3)
        with pytest.raises(FitError):
            questions.limit(failing(charge, gap), 0.9, "delta-chi2")


def test_a_gap_inside_the_interval_is_an_error_or_does_not_matter(charge):
    """A hole in the interval, where fits fail, must not look like two pieces."""
    before = ends(charge)
    for low, high in ((-2.0, -1.0), (0.1, 0.7), (3.0, 5.0)):
        try:
            after = ends(failing(charge, band(charge, low, high)))
        except FitError:
            continue
        assert_same(before, after)


def test_a_scan_with_a_gap_says_where(charge):
    """Points without a converged fit have no number, and a note tells."""
    asked = replace(charge, options=Options(bracket=(-1e-7, 1e-7)))
    found = questions.scan(failing(asked, band(charge, 2.0, 5.0)), 21)
    lost = ~np.isfinite(found.delta)
    np.testing.assert_array_equal(lost, (found.values > 2e-8) & (found.values < 5e-8))
    assert found.to_dict()["delta"].count(None) == lost.sum()
    assert any(f"{lost.sum()} of 21 points" in note for note in found.notes)
    assert not any("points" in note for note in questions.scan(asked, 21).notes)


def test_cls_with_failures_is_an_error_or_the_same(moment):
    before = questions.limit(moment, 0.9, "cls")
    for low, high in ((0.5, 1.0), (1.5, 4.0), (-1e-9, 1e-9), (6.0, 1e9)):
        try:
            after = questions.limit(failing(moment, band(moment, low, high)), 0.9, "cls")
        except FitError:
            continue
        assert after.upper_limit == pytest.approx(before.upper_limit, rel=1e-5)
        for name, value in before.expected.items():
            assert after.expected[name] == pytest.approx(value, rel=1e-5)


def test_status_is_said(charge):
    assert nuhf.fit("coherent-csi-2021").status == "converged"
    assert questions.limit(charge, 0.9, "delta-chi2").status == "converged"


# ----------------------------------------------------------- a second optimizer, in every limit


@pytest.mark.parametrize(
    ("kind", "engine", "method"),
    [
        ("spallation, moment", "compiled", "delta-chi2"),
        ("spallation, moment", "compiled", "cls"),
        ("measurement", "pyhf", "delta-chi2"),
    ],
)
def test_every_limit_is_checked_by_a_second_optimizer(kind, engine, method):
    names, parameter = KINDS[kind]
    found = questions.limit(posed(names, parameter, engine=engine), 0.9, method)
    assert found.second_optimizer["name"] == ("minuit" if engine == "compiled" else "nuhf's own")
    assert abs(found.second_optimizer["difference_2nll"]) < 1e-3
    assert not any("optimizer" in note for note in found.notes)


def test_another_minimum_is_said():
    """The quenching of germanium has two minima at the best charge; minuit rolls into the higher.

    The likelihood is as pyhf has it: from the lower minimum minuit does not move.
    """
    problem = posed(["dresden-2"], "qnu_ee")
    found = questions.limit(problem, 0.9, "delta-chi2")
    assert found.second_optimizer["difference_2nll"] == pytest.approx(0.082, abs=0.002)
    (note,) = (n for n in found.notes if "optimizers disagree" in n)
    assert "the best fit" in note
    assert "higher by 0.082" in note
    profiler = problem.profiler()
    best, lowest = profiler.best(np.array([problem.parameter.to_fit(found.best_fit)]))
    again = refit_with_pyhf(problem.engine.reference.model, problem.data, best, ~profiler.free)
    assert again.twice_nll[0] == pytest.approx(lowest, abs=1e-6)
    assert lowest == pytest.approx(found.twice_nll_min, abs=1e-6)


@dataclass(frozen=True)
class Wrong(CompiledEngine):
    """An engine that stops too high, and says it converged."""

    def minimise(self, data, starts, free):
        parameters = super().minimise(data, starts, free)[0].copy()
        parameters[:, self.compiled.index("flux_sns")] += 0.5
        return parameters, self.compiled.twice_nll(parameters, data)


def test_a_fit_that_is_not_the_deepest_is_said(moment):
    old = moment.engine
    wrong = replace(moment, engine=Wrong(old.reference, old.compiled))
    found = questions.limit(wrong, 0.9, "delta-chi2")
    assert found.second_optimizer["difference_2nll"] < -0.1
    assert sum("finds 2NLL lower by" in note for note in found.notes) == 3


@dataclass(frozen=True)
class Rolling(CompiledEngine):
    """An engine that ends in a higher minimum wherever it starts from a nominal flux."""

    def minimise(self, data, starts, free):
        parameters, _ = super().minimise(data, starts, free)
        nominal = starts[:, self.compiled.index("flux_sns")] == 0.0
        parameters = parameters.copy()
        parameters[nominal, self.compiled.index("flux_sns")] += 0.5
        return parameters, self.compiled.twice_nll(parameters, data)


def test_what_only_the_second_optimizer_finds_is_used(moment):
    old = moment.engine
    rolling = replace(moment, engine=Rolling(old.reference, old.compiled))
    found, right = (questions.limit(p, 0.9, "delta-chi2") for p in (rolling, moment))
    assert found.upper_limit == pytest.approx(right.upper_limit, rel=1e-5)
    assert abs(found.second_optimizer["difference_2nll"]) < 1e-3
    assert not any("disagree" in note for note in found.notes)


# --------------------------------------------------------------------- parts of a model


def test_processes_add_up_to_the_model(problem):
    """At any parameters; the pedestal of Gaussian regions is one of them."""
    compiled, description = problem.engine.compiled, problem.description
    everything = {s.process for c in description.channels for s in c.samples}
    assert everything >= set(description.processes)
    rng = np.random.default_rng(5)
    low, high = compiled.bounds.T
    middle = 0.1 * np.clip(rng.normal(size=(4, low.size)), -2, 2)
    points = np.clip(compiled.inits + middle, low, high)
    parts = [problem.component(process) for process in sorted(everything)]
    assert all(part.names == compiled.names for part in parts)
    whole = compiled.expected(points)
    np.testing.assert_allclose(sum(p.expected(points) for p in parts), whole, rtol=1e-11, atol=1e-9)


# ------------------------------------------------------------ every piece, however many events


@pytest.mark.parametrize("mass_kg", [14.57, 100.0, 1000.0])
@pytest.mark.parametrize("parameter", ["r2nu_mumu", "r2nu_ee", "sin2thetaW"])
def test_the_side_beyond_the_cancellation_is_searched_whatever_the_exposure(
    tmp_path, mass_kg, parameter
):
    """With interference b x and square c x^2 the SM rate comes back near -b/c, which is fixed."""
    text = list_experiments()["coherent-csi-2021"].read_text(encoding="utf-8")
    changed, number = re.subn(r"(?m)^mass_kg = .*$", f"mass_kg = {mass_kg}", text)
    assert number == 1
    path = tmp_path / "larger.toml"
    path.write_text(changed, encoding="utf-8")
    found = questions.limit(posed([str(path)], parameter, asimov=True), 0.9, "delta-chi2")
    (first, _), (second, height) = found.minima
    if parameter == "sin2thetaW":
        assert (first, second) == (pytest.approx(0.23857), pytest.approx(-0.42, abs=0.01))
    else:
        assert (first, second) == (pytest.approx(0.0), pytest.approx(-5.57e-31, rel=0.01))
    assert (len(found.intervals) == 2) == (height < 2.7055)  # excluded by a tonne in two cases
    assert not any("towards the end of the range" in note for note in found.notes)


def test_a_search_that_ends_where_the_profile_falls_says_so():
    """A range that stops short of the second minimum, as no description has it."""
    problem = posed(["coherent-csi-2021"], "qnu_ee", NUCLEI)
    (coupling,) = problem.description.couplings
    end = problem.parameter.to_fit(3.5e-7)
    short = replace(problem.description, couplings=(replace(coupling, high=end),))
    found = questions.limit(replace(problem, description=short), 0.9, "delta-chi2")
    assert len(found.intervals) == 1
    (note,) = (n for n in found.notes if "towards the end of the range" in n)
    assert "3.5e-07 e" in note
