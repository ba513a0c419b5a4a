"""The Python interface: the README's examples, and the same answers as the command line."""

import json
import re

import numpy as np
import pytest
from conftest import EXPERIMENT, NOTE, PARAMETERS, ROOT, problems

import nuhf
from nuhf.api import functions
from nuhf.couplings import parameters
from nuhf.errors import InputError
from nuhf.rates.signal import flavour_polynomial


def test_names_are_lazy_and_listed():
    assert {"load", "model", "fit", "limit", "rate", "scan", "templates", "workspace"} <= set(
        nuhf.__all__
    )
    assert set(nuhf.__all__) <= set(dir(nuhf))
    assert nuhf.limit is functions.limit
    assert re.fullmatch(r"\d+\.\d+\.\d+\S*", nuhf.__version__)
    with pytest.raises(AttributeError, match="no attribute 'limits'"):
        nuhf.limits  # noqa: B018


def test_the_readme_s_python_example_runs(capsys):
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    (code,) = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    assert "nuhf.limit(" in code
    exec(compile(code, "README.md", "exec"), {})
    out = capsys.readouterr().out
    assert "qnu_mumu" in out
    assert "munu_mu" in out


def test_the_readme_states_the_limits_we_find(cli):
    """The printed block of README.md is the output of the command above it."""
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    (block,) = re.findall(r"```\n(coherent-csi-2021, analysis default.*?)```", text, re.DOTALL)
    printed = [line for line in cli("limit", EXPERIMENT).out.splitlines() if not NOTE.match(line)]
    assert block.strip().splitlines() == printed


def test_the_same_as_the_command_line(cli):
    (ours,) = nuhf.limit(EXPERIMENT, "qnu_mumu", cl=0.95)
    (theirs,) = json.loads(
        cli("limit", EXPERIMENT, "-p", "qnu_mumu", "--cl", "0.95", "--json").out
    )["results"]
    assert json.loads(json.dumps(ours.to_dict())) == theirs


def test_limit_gives_all_parameters():
    found = nuhf.limit([EXPERIMENT])
    assert tuple(r.parameter for r in found) == PARAMETERS
    for result in found:
        squared = parameters.get(result.parameter).squared
        assert (result.upper_limit is not None) == squared
        assert result.minima[0] == (pytest.approx(result.best_fit), 0.0)
        inside = [low <= result.best_fit <= high for low, high in result.intervals]
        assert sum(inside) == 1


def test_problems_are_posed_once(cli, work, monkeypatch):
    """`nuhf limit -o` and `fit -o` write from the problems that gave the result."""
    from nuhf.experiments import prepare
    from nuhf.stats import problem

    counts = dict.fromkeys(("build_regions", "describe"), 0)

    def counted(module, name):
        original = getattr(module, name)

        def call(*arguments):
            counts[name] += 1
            return original(*arguments)

        monkeypatch.setattr(module, name, call)

    counted(prepare, "build_regions")
    counted(problem.assemble, "describe")
    assert cli("limit", EXPERIMENT, "-p", "munu_mu", "-o", "limit").code == 0
    # one of the parameter and one of the SM strength, for the spectrum
    assert counts == {"build_regions": 1, "describe": 2}
    assert cli("fit", EXPERIMENT, "-o", "fit").code == 0
    assert counts == {"build_regions": 2, "describe": 3}


@pytest.mark.parametrize(
    ("fraction", "text"),
    [(0.9, "90"), (0.68, "68"), (0.9999999, "99.99999"), (0.57, "57"), (0.1, "10"), (1e-5, "0.001"),
     (1e-10, "1e-8"), (2.5e-300, "2.5e-298"),
     (0.6826894921370859, "68.26894921370859"), (np.float64(0.95), "95"), (1 - 2**-53, None)],
)  # fmt: skip
def test_percent(fraction, text):
    """All digits of what was given, and never 100 for less than 1."""
    from nuhf.units import percent

    found = percent(fraction)
    assert text in (None, found)
    assert float(found) / 100 == pytest.approx(fraction, rel=1e-15)
    assert found != "100"


def test_a_set_parameter_is_not_among_all():
    found = nuhf.limit(EXPERIMENT, fixed={"munu_e": 1e-9})
    assert [r.parameter for r in found] == [p for p in PARAMETERS if p != "munu_e"]
    with pytest.raises(InputError, match="every parameter is set"):
        nuhf.limit(EXPERIMENT, fixed=dict.fromkeys(PARAMETERS, 0.0))


def test_rate_equals_the_model_at_its_start(problem_of):
    (found,) = nuhf.rate(EXPERIMENT).values()
    compiled = problem_of("norm_cevns").engine.compiled
    np.testing.assert_allclose(sum(found.values()), compiled.expected(compiled.inits), rtol=1e-12)
    assert all(row.shape == (99,) for row in found.values())


@pytest.mark.parametrize(
    "values",
    [{"qnu_ee": 3e-10}, {"r2nu_mumu": -5e-32, "munu_e": 2e-9}, {"abs_qnu_emu": 4e-10},
     {"sin2thetaW": 0.25}, {"norm_cevns": 1.3, "qnu_mumu": -1e-10}],
)  # fmt: skip
def test_rate_with_couplings_equals_the_model_with_them_free(values):
    """`rate` evaluates; the model has the same couplings as parameters."""
    from nuhf.workspaces.native import load_model

    names = list(values)
    model, _ = load_model(nuhf.workspace(EXPERIMENT, names, encoding="native"))
    point = dict.fromkeys(model.config.par_order, 0.0)
    for name, value in values.items():
        parameter = parameters.get(name)
        point[parameter.fit_name] = parameter.to_fit(value)
    expected = model.expected_actualdata([point[n] for n in model.config.par_order])
    (found,) = nuhf.rate(EXPERIMENT, values).values()
    np.testing.assert_allclose(sum(found.values()), expected, rtol=1e-10)


def test_templates_are_those_of_the_polynomials(prepared):
    made = nuhf.templates(EXPERIMENT)
    assert [one.interaction for one in made] == ["cevns", "eves"]
    for ours, theirs in zip(made, prepared.templates, strict=True):
        for flavour in ("e", "mu"):
            one = flavour_polynomial(ours, [], flavour).evaluate({})
            two = flavour_polynomial(theirs, [], flavour).evaluate({})
            np.testing.assert_array_equal(one, two)


def test_scan_is_the_profile(problem_of):
    found = nuhf.scan(nuhf.model(EXPERIMENT, "munu_mu"), points=11)
    parameter = parameters.get("munu_mu")
    heights = problem_of("munu_mu").profiler().at([parameter.to_fit(x) for x in found.values])
    np.testing.assert_allclose(found.delta, heights - heights.min(), atol=0.05)
    (limit,) = nuhf.limit(EXPERIMENT, "munu_mu")
    assert found.values[0] == 0.0
    assert found.values[-1] > limit.upper_limit
    with pytest.raises(InputError, match="between 2 and"):
        nuhf.scan(nuhf.model(EXPERIMENT, "munu_mu"), points=1)


def test_a_free_coupling_lowers_the_profile_everywhere():
    grid = np.linspace(-15, 70, 9)
    nuclei = {"analysis": "cevns-only"}
    alone = problems(EXPERIMENT, "qnu_ee", **nuclei)[0].profiler().at(grid)
    free = problems(EXPERIMENT, "qnu_ee", profiled="qnu_mumu", **nuclei)[0].profiler().at(grid)
    assert (free <= alone + 1e-7).all()
    assert (alone - free).max() > 0.01


def test_fit_errors_are_those_of_the_profile(problem_of):
    """Curvature error of the strength against half the width where 2NLL rises by 1."""
    found = nuhf.fit(EXPERIMENT)
    best, error = found.parameters["norm_cevns"]
    (result,) = nuhf.limit(EXPERIMENT, "norm_cevns", cl=0.6826894921)
    ((low, high),) = result.intervals
    assert result.best_fit == pytest.approx(best, abs=1e-4)
    assert error == pytest.approx((high - low) / 2, rel=0.03)
    # the counts are those of the model at the best fit
    compiled = problem_of("norm_cevns").engine.compiled
    point = [found.parameters[name][0] for name in compiled.names]
    fitted = sum(after for _, after, _ in found.counts.values())
    assert fitted == pytest.approx(compiled.expected(point).sum(), rel=1e-12)


def test_a_fixed_nuisance_does_not_move():
    found = nuhf.fit(nuhf.model(EXPERIMENT, fixed_nuisances=("flux_sns", "qf_csi_syst0")))
    assert found.parameters["flux_sns"] == (0.0, 0.0)
    assert found.parameters["qf_csi_syst0"] == (0.0, 0.0)
    assert found.parameters["ff_csi"][1] > 0.9


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: nuhf.load("nope"), "unknown experiment 'nope'"),
        (lambda: nuhf.limit([], "qnu_ee"), "at least one experiment"),
        (lambda: nuhf.limit(EXPERIMENT, "nope"), "unknown parameter 'nope'"),
        (lambda: nuhf.limit(EXPERIMENT, cl=2.0), "between 0 and 1"),
        (lambda: nuhf.limit(EXPERIMENT, method="x"), "unknown method 'x'"),
        (lambda: nuhf.rate(EXPERIMENT, {"nope": 1.0}), "unknown parameter 'nope'"),
        (lambda: nuhf.rate(EXPERIMENT, {"qnu_ee": float("nan")}), "far outside"),
        (lambda: nuhf.workspace(EXPERIMENT, []), "at least one"),
        (lambda: nuhf.workspace(EXPERIMENT, "qnu_ee", encoding="x"), "unknown encoding 'x'"),
        (
            lambda: nuhf.model(EXPERIMENT, fixed_nuisances=("qnu_ee_em8",)),
            "no nuisance 'qnu_ee_em8'",
        ),
        (lambda: nuhf.fit(EXPERIMENT, bracket=(0.0, 1.0)), "fit.. has no keyword .bracket."),
        (lambda: nuhf.fit(EXPERIMENT, seed=2), "seed: it is for toys; give toys"),
        (lambda: nuhf.limit(EXPERIMENT, "qnu_ee", points=20), "points: delta-chi2 takes none"),
        (lambda: nuhf.limit(EXPERIMENT, "qnu_ee", jobs=1), "jobs: it is for toys; delta"),
        (lambda: nuhf.limit(EXPERIMENT, ["munu_e", "munu_mu"], bracket=(0.0, 1e-9)), "one param"),
        (
            lambda: nuhf.coverage(nuhf.model(EXPERIMENT, "qnu_ee"), true=0.0, inner=200),
            "inner: delta-chi2",
        ),
    ],
)
def test_bad_arguments(call, words):
    with pytest.raises(InputError, match=words):
        call()


def test_a_pyhf_file_is_no_experiment(cli, work):
    (work / "munu_mu.native.json").write_text("{}")
    for name in ("munu_mu.native.json", "./munu_mu.native.json", "nothing.json"):
        for call in (nuhf.rate, nuhf.templates):
            with pytest.raises(InputError, match=r"is a workspace .* not an experiment.*nuhf pyhf"):
                call(name)
        with pytest.raises(InputError, match="not an experiment"):
            nuhf.workspace([EXPERIMENT, name], "munu_mu")
        for call in (nuhf.limit, nuhf.fit):
            with pytest.raises(InputError, match=r"nothing.json|not a workspace, it has no 'chann"):
                call(name)
    for command in ("rate", "cite"):
        ran = cli(command, "munu_mu.native.json")
        assert ran.code == 2
        assert "not an experiment" in ran.err
    ran = cli("limit", "munu_mu.native.json")
    assert ran.code == 2
    assert "has no 'channels'" in ran.err


def test_a_parameter_given_twice_is_refused():
    with pytest.raises(InputError, match="qnu_mumu is given twice"):
        nuhf.limit(EXPERIMENT, ["qnu_mumu", "munu_e", "qnu_mumu"])


@pytest.mark.parametrize(
    "call",
    [nuhf.rate, lambda name, values: nuhf.limit(name, fixed=values),
     lambda name, values: nuhf.model(name, fixed=values)],
)  # fmt: skip
def test_a_slip_of_the_unit_is_refused_by_all(call):
    """5 e: the rate is quadratic in a charge, on electrons 1e19 times that of the SM."""
    with pytest.raises(InputError, match=r"qnu_mumu = 5 e gives .*e\+22 events .* base units"):
        call(EXPERIMENT, {"qnu_mumu": 5.0})


def test_a_paper_of_figures_is_not_compared():
    with pytest.raises(InputError, match=r"figures only \(nuhf plot khan2022v2\).*khan2023$"):
        nuhf.reproduce("khan2022v2")
    with pytest.raises(InputError, match="allowed: ") as caught:
        nuhf.reproduce("nobody")
    allowed = str(caught.value).split("allowed: ")[1].split(", ")
    assert "khan2022v2" not in allowed
    assert {"khan2023", "cadeddu2020", "all"} <= set(allowed)


def test_a_model_has_one_parameter_of_interest():
    with pytest.raises(InputError, match="poi: a model has one, given: qnu_ee, munu_mu"):
        nuhf.model("coherent-csi-2021", ["qnu_ee", "munu_mu"])
