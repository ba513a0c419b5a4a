"""Ranking of nuisances: cabinetry's impacts are ours, and it leaves nothing behind."""

import csv
import io
import json
import logging
import re
import time
from types import SimpleNamespace

import numpy as np
import pyhf
import pytest
from conftest import NOTE, problems
from iminuit import Minuit

import nuhf
from nuhf.errors import InputError
from nuhf.likelihood.fit import refit_with_pyhf
from nuhf.stats import ranking as module
from nuhf.stats.ranking import ranking
from nuhf.workspaces.native import load_model

X = "coherent-csi-2021"
PNG = b"\x89PNG\r\n\x1a\n"


@pytest.fixture(scope="module")
def ranked(problem_of):
    """`ranked("qnu_ee")`: problem and ranking, once."""
    made = {}

    def make(parameter):
        if parameter not in made:
            made[parameter] = problem_of(parameter), ranking(problem_of(parameter))
        return made[parameter]

    return make


def own_impact(problem, start, name, value):
    """The slow twin: our own fit with one nuisance held; the fit parameter it gives."""
    profiler = problem.profiler()
    index = problem.engine.compiled.index(name)
    free = profiler.free.copy()
    free[index] = False
    starts = np.repeat(profiler.starts[:1], 2, axis=0)
    starts[0, profiler.index] = start
    starts[:, index] = value
    parameters, heights = problem.engine.minimise(problem.data, starts, free)
    return parameters[np.argmin(heights), profiler.index]


@pytest.mark.parametrize("parameter", ["norm_cevns", "qnu_ee"])
def test_impacts_are_those_of_our_own_fits(ranked, parameter):
    problem, found = ranked(parameter)
    best = problem.parameter.to_fit(found.best_fit)
    error = found.error / problem.parameter.scale
    for i, name in enumerate(found.nuisances):
        for size, before, after in (
            (1.0, found.prefit_up, found.postfit_up),
            (-1.0, found.prefit_down, found.postfit_down),
        ):
            for width, impact in ((1.0, before), (found.constraints[i], after)):
                held = found.pulls[i] + size * width
                expected = own_impact(problem, best, name, held) - best
                ours = impact[i] / problem.parameter.scale
                assert ours == pytest.approx(expected, abs=2e-3 * error), name


def test_order_pulls_and_errors(ranked):
    _, found = ranked("norm_cevns")
    fitted = nuhf.fit(X)
    assert set(found.nuisances) | {"norm_cevns"} == set(found.names) == set(fitted.parameters)
    largest = np.abs([found.postfit_up, found.postfit_down]).max(axis=0)
    assert np.all(np.diff(largest) <= 1e-4 * found.error)
    assert found.nuisances[0] == "flux_sns"
    for name, pull, error in zip(found.nuisances, found.pulls, found.constraints, strict=True):
        value, sigma = fitted.parameters[name]
        assert pull == pytest.approx(value, abs=2e-3)
        assert error == pytest.approx(sigma, rel=1e-4)
    assert found.best_fit == pytest.approx(fitted.parameters["norm_cevns"][0], abs=1e-5)
    assert found.error == pytest.approx(fitted.parameters["norm_cevns"][1], rel=1e-4)
    assert found.twice_nll == pytest.approx(fitted.twice_nll, abs=1e-5)


def against_cabinetry(names, parameter, fix=(), but=()):
    """Largest difference of an impact in cabinetry's errors, and the work of ours in seconds."""
    (problem,), (reference,) = (
        problems(names, parameter, engine=engine, fixed_nuisances=fix)
        for engine in ("compiled", "pyhf")
    )
    begin = time.process_time()
    found = ranking(problem)
    seconds = time.process_time() - begin
    theirs = ranking(reference)
    assert set(found.nuisances) >= set(theirs.nuisances) > set(but)
    shared = [name for name in theirs.nuisances if name not in but]
    order, other = ([one.nuisances.index(name) for name in shared] for one in (found, theirs))
    keys = ("prefit_up", "prefit_down", "postfit_up", "postfit_down")
    apart = [np.abs(getattr(found, k)[order] - getattr(theirs, k)[other]).max() for k in keys]
    return max(apart) / theirs.error, seconds


def test_impacts_are_those_of_cabinetry():
    """Within 2 % of the error, in less than a second of work (0.2 s and 0.3 % where written)."""
    apart, seconds = against_cabinetry(X, "qnu_ee")
    assert apart < 0.02
    assert seconds < 1.0


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "parameter", "fix", "but"),
    [
        ("dresden-2", "munu_e", (), ()),
        # at its bound in the fit: cabinetry must hold it, ours lets it rise with others
        ("xenonnt-sr0", "norm_eves", ("bkg_xenonnt_sr0_pb214=0",), ()),
        ("xenonnt-sr0", "norm_eves", (), ("bkg_xenonnt_sr0_xe133",)),
    ],
)
def test_impacts_of_others_are_those_of_cabinetry(name, parameter, fix, but):
    apart, seconds = against_cabinetry(name, parameter, fix, but)
    assert apart < 0.02
    assert seconds < 1.0


@pytest.mark.slow
def test_a_factor_at_its_bound_rises_where_another_falls():
    """pyhf and minuit, from four starts, against cabinetry, which must hold a factor at its bound.

    With the events of 133Xe an error down those of 214Pb rise from 0 and take events of the signal,
    0.26 deeper in 2NLL than with 214Pb held at 0.
    """
    (problem,) = problems("xenonnt-sr0", "norm_eves")
    found = ranking(problem)
    model, data = load_model(problem.spec)
    poi, lead, xenon = (
        model.config.par_names.index(name)
        for name in ("norm_eves", "bkg_xenonnt_sr0_pb214", "bkg_xenonnt_sr0_xe133")
    )

    def fitted(start, held):
        at, fixed = np.array(model.config.suggested_init()), np.zeros(model.config.npars, bool)
        at[lead] = start
        at[list(held)], fixed[list(held)] = list(held.values()), True
        done = refit_with_pyhf(model, data, at, fixed, tolerance=1e-3)
        assert done.converged[0]
        return done.parameters[0], done.twice_nll[0]

    i = found.nuisances.index("bkg_xenonnt_sr0_xe133")
    down = found.pulls[i] - found.constraints[i]
    assert fitted(0.1, {})[0][lead] == pytest.approx(0.0, abs=1e-3)
    held, above = fitted(0.0, {xenon: down, lead: 0.0})
    for start in (0.0, 0.05, 0.3, 1.0):
        best, height = fitted(start, {xenon: down})
        impact = best[poi] - found.best_fit
        assert impact == pytest.approx(found.postfit_down[i], abs=0.02 * found.error)
        assert above - height > 0.25
        assert best[poi] < held[poi] - 0.4


def test_parts_of_the_error_add_up_in_squares(problem_of, ranked):
    """The slow twin moves each auxiliary measurement and fits again."""
    problem, found = ranked("norm_cevns")
    parts = found.breakdown
    assert parts["total"] == pytest.approx(found.error, rel=1e-6)
    squares = parts["statistical"] ** 2 + parts["systematic"] ** 2
    assert squares == pytest.approx(parts["total"] ** 2, rel=1e-9)
    assert np.square(found.observables).sum() == pytest.approx(parts["systematic"] ** 2, rel=1e-9)
    assert sum(p**2 for p in found.groups.values()) == pytest.approx(parts["systematic"] ** 2)
    assert {"flux", "qf", "bkg"} <= set(found.groups)
    compiled = problem.engine.compiled
    for name, moved in zip(found.nuisances, found.observables, strict=True):
        fitted = []
        for shift in (0.1, -0.1):
            data = problem.data.copy()
            which = list(compiled.constraints.normal_param).index(compiled.index(name))
            data[compiled.n_main + compiled.constraints.normal_aux[which]] += shift
            best, _ = problem.profiler(data).best(np.array([found.best_fit]))
            fitted.append(best[compiled.index("norm_cevns")])
        assert moved == pytest.approx(np.diff(fitted[::-1])[0] / 0.2, rel=0.01, abs=1e-4)


def test_ends_of_the_interval_move_as_with_the_nuisance_held(ranked):
    """The slow twin: the interval of a model whose nuisance is held."""
    _, found = ranked("norm_cevns")
    (whole,) = nuhf.limit(X, "norm_cevns")
    np.testing.assert_allclose(found.ends, whole.intervals[0], rtol=1e-6)
    for i in (0, len(found.nuisances) - 1):
        for side, sign in enumerate((1.0, -1.0)):
            held = found.pulls[i] + sign * found.constraints[i]
            (alone,) = nuhf.limit(
                X, "norm_cevns", fixed_nuisances=[f"{found.nuisances[i]}={float(held)!r}"]
            )
            expected = np.array(alone.intervals[0]) - found.ends
            np.testing.assert_allclose(found.end_shifts[i, side], expected, atol=1e-5)


def test_correlations_are_ours(ranked):
    _, found = ranked("qnu_ee")
    ours = nuhf.fit(nuhf.model(X, "qnu_ee")).correlation
    order = [ours["names"].index(name) for name in found.names]
    matrix = np.asarray(ours["matrix"])[np.ix_(order, order)]
    np.testing.assert_allclose(found.correlation, matrix, atol=0.02)
    np.testing.assert_allclose(np.diag(found.correlation), 1.0, atol=1e-9)


def test_follows_the_deepest_minimum():
    """qnu_ee has a second minimum near 50: cabinetry starts beside ours."""
    (problem,) = problems(X, "qnu_ee", analysis="cevns-only")
    found = ranking(problem)
    _, lowest = problem.profiler().best(np.array([-5.0, 0.0, 50.0]))
    assert found.twice_nll == pytest.approx(lowest, abs=1e-5)
    assert found.best_fit == pytest.approx(-4.6e-8, abs=0.1e-8)


def test_at_a_physical_bound_it_says_so(ranked):
    _, found = ranked("munu_mu")
    assert (found.quantity, found.unit) == ("munu2_mu", "mu_B^2")
    assert found.best_fit == pytest.approx(0.0, abs=1e-21)
    assert "at its bound" in found.notes[-1]
    assert "at its bound" not in ranked("norm_cevns")[1].notes[-1]


def test_nothing_global_is_changed(problem_of, capfd, monkeypatch, tmp_path, caplog):
    monkeypatch.chdir(tmp_path)
    pyhf.set_backend("numpy", pyhf.optimize.scipy_optimizer())
    before = pyhf.get_backend()
    levels = [logging.getLogger(name).level for name in ("cabinetry", "pyhf")]
    minuit = Minuit(lambda x: x**2, 0.0)
    printed = minuit.print_level
    with caplog.at_level(logging.DEBUG):
        ranking(problem_of("norm_cevns", engine="pyhf"))
    after = pyhf.get_backend()
    assert (type(after[0]), after[1]) == (type(before[0]), before[1])
    assert [logging.getLogger(name).level for name in ("cabinetry", "pyhf")] == levels
    # cabinetry sets it to 1, and later fits of the process would print their warnings
    assert minuit.print_level == printed == 0
    assert capfd.readouterr() == ("", "")
    for record in caplog.records:  # pyhf tells of the models that are built, as always
        assert not record.name.startswith("cabinetry")
        assert record.levelno <= logging.INFO
    assert list(tmp_path.iterdir()) == []


def test_held_nuisances_are_not_ranked_and_ranges_are_refused(problem_of, ranked):
    found = ranking(problem_of("norm_cevns", fixed_nuisances=("flux_sns",)))
    assert "flux_sns" not in found.nuisances
    assert len(found.nuisances) == 8
    assert found.error < 0.9 * ranked("norm_cevns")[1].error
    with pytest.raises(InputError, match="has no keyword 'bracket'"):
        nuhf.ranking(nuhf.model(X, "qnu_ee"), bracket=(-1e-7, 1e-7))


def test_command(cli, work):
    ran = cli(
        "ranking", X, "--analysis", "cevns-only", "-p", "qnu_mumu", "-o", "figures/impact.png"
    )
    assert ran.code == 0, ran.err
    lines = ran.out.splitlines()
    assert lines[0] == "coherent-csi-2021, analysis cevns-only, impacts on qnu_mumu"
    assert [line.split()[0] for line in lines[2:4]] == ["nuisance", "eff_coherent_csi_2021"]
    assert len([line for line in lines if not NOTE.match(line)]) == 3 + 8 + 2
    assert re.fullmatch(r"error: statistical 2.5e-08 e, systematic .*e \(.*flux .*\)", lines[11])
    assert lines[12].startswith("90 % CL interval [-4.04e-08, 7.84e-08] e: ends move most by ")
    files = sorted(path.name for path in (work / "figures").iterdir())
    assert files == ["impact.csv", "impact.png", "impact_correlation.png", "impact_pulls.png"]
    for path in (work / "figures").glob("*.png"):
        assert path.read_bytes().startswith(PNG)
    text = (work / "figures" / "impact.csv").read_text()
    rows = list(csv.DictReader(io.StringIO(text)))
    assert len(rows) == 8
    assert abs(float(rows[0]["postfit_up"])) > abs(float(rows[-1]["postfit_up"]))
    assert [path.name for path in work.iterdir()] == ["figures"]
    ran = cli("ranking", X, "--analysis", "cevns-only", "-p", "qnu_mumu", "-o", "alone.csv")
    assert (ran.code, ran.err) == (0, "wrote alone.csv\n")
    assert (work / "alone.csv").read_text() == text
    assert sorted(path.name for path in work.iterdir()) == ["alone.csv", "figures"]


@pytest.mark.slow
def test_command_prints_csv(cli):
    ran = cli("ranking", X, "--fix", "flux_sns", "-o", "-")
    assert ran.code == 0, ran.err
    assert "nuisance,kind,value,error,prefit_up" in ran.out


def test_command_prints_json(cli):
    ran = cli("ranking", X, "--json")
    found = json.loads(ran.out)
    assert found["quantity"] == "norm_cevns"
    assert len(found["nuisances"]) == len(found["prefit_up"]) == 9
    assert len(found["correlation"]) == 10
    assert "versions" in found["provenance"]
    assert cli("ranking", X, "-p", "nothing").code == 2


def to_draw(quantity, names, *rows):
    """What is drawn of a ranking; all nuisances are constrained unless kinds are given."""
    keys = ("prefit_up", "prefit_down", "postfit_up", "postfit_down", "pulls", "constraints",
            "kinds")  # fmt: skip
    rows = (*rows, ("constrained",) * len(names))[: len(keys)]
    columns = dict(zip(keys, rows, strict=True))
    return SimpleNamespace(quantity=quantity[0], unit=quantity[1], nuisances=names, **columns)


def test_free_factors_are_no_pulls(problem_of, toml_text, tmp_path, cli):
    """A background factor without constraint is a factor near 1, in the table and the figures."""
    from nuhf.plots import nuisances

    name = "bkg_coherent_csi_2021_ss"
    path = tmp_path / "free.toml"
    head, mark, rest = toml_text.partition(f"[nuisances.{name}]\n")
    _, end, rest = rest.partition("\n\n")
    assert mark
    assert end
    path.write_text(f'{head}{mark}kind = "free"\nprocesses = ["ss"]{end}{rest}')
    ran = cli("ranking", str(path), "-o", "-")
    assert ran.code == 0, ran.err
    rows = {row["nuisance"]: row for row in csv.DictReader(ran.out.splitlines())}
    assert {n for n, row in rows.items() if row["kind"] == "free"} == {name}
    assert {row["kind"] for n, row in rows.items() if n != name} == {"constrained"}
    # 1286 expected steady-state events, known to their Poisson error at best
    value, error = (float(rows[name][key]) for key in ("value", "error"))
    assert value == pytest.approx(1.0, abs=3 / np.sqrt(1286))
    assert 0.9 / np.sqrt(1286) < error < 2 / np.sqrt(1286)
    names = ["flux", name]
    numbers = (np.array([0.3, value]), np.array([1.0, error]))
    found = to_draw(
        ("norm_cevns", "1"), names, *(np.ones(2), -np.ones(2)) * 2, *numbers,
        ("constrained", "free"),
    )  # fmt: skip
    for figure in (
        nuisances.impacts(found),
        nuisances.pulls(names, *numbers, free=[name]),
    ):
        axes = figure.axes[-1]
        (text,) = [t for t in axes.texts if t.get_gid() == "free"]
        assert text.get_text() == f"{value:.3g} ± {error:.2g}"
        assert text.get_position()[1] == 1.0
        (points,) = [line for line in axes.lines if line.get_marker() == "o"]
        np.testing.assert_array_equal(points.get_xdata(), [0.3])


def test_figures_of_many_nuisances():
    from nuhf.plots import figures as plots
    from nuhf.plots import nuisances

    rng = np.random.default_rng(3)
    names = [f"nuisance_{i}" for i in range(40)]
    rows = [rng.normal(size=40) for _ in range(6)]
    found = to_draw(("abs_qnu_emu", "e"), names, *rows[:5], np.abs(rows[5]))
    figure = nuisances.impacts(found, "title")
    assert len(figure.axes[0].get_yticks()) == 25
    assert plots.symbol("abs_qnu_emu") in figure.axes[0].get_xlabel()
    few = [row[:2] for row in (rows[0], rows[0], rows[1], rows[1], rows[2], np.ones(2))]
    figure = nuisances.impacts(to_draw(("munu2_mu", "mu_B^2"), names[:2], *few))
    assert figure.axes[0].get_xlabel() == r"$\Delta \mu_{\nu_{\mu}}^2$ [$\mu_\mathrm{B}^2$]"


def test_free_factors_near_either_end_of_their_range(monkeypatch):
    """Within one error, here 0.1, of 0 or of the highest value: cabinetry would step over it."""
    (problem,) = problems("xenonnt-sr0", "norm_eves")
    compiled = problem.engine.compiled
    size = len(compiled.names)
    monkeypatch.setattr(module, "covariance", lambda *given: 0.01 * np.eye(size))
    factor, *others = problem.description.free
    best = compiled.inits.copy()
    for other in others:
        best[compiled.index(other.name)] = 0.5 * other.high
    for value, near in ((0.05, True), (0.15, False), (factor.high - 0.15, False),
                        (factor.high - 0.05, True)):  # fmt: skip
        best[compiled.index(factor.name)] = value
        assert module._at_end(problem, best) == ((factor.name,) if near else ())


def test_a_reactor_with_one_nuisance_is_ranked():
    """cabinetry's fit of it "failed: Optimization terminated successfully"; by hand: 16.9 %."""
    found = nuhf.ranking(nuhf.model("conus-plus", "norm_cevns", asimov=True))
    assert found.nuisances == ("prediction_conus_plus",)
    assert found.best_fit == pytest.approx(1.0, abs=1e-3)
    # strength x prediction is what the data fix: 1/1.169 - 1 and 1/(1 - 0.169) - 1
    columns = found.columns()
    assert columns["postfit_up"][0] == pytest.approx(1 / 1.169 - 1, abs=0.01)
    assert columns["postfit_down"][0] == pytest.approx(1 / (1 - 0.169) - 1, abs=0.01)
