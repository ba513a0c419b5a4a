"""What a physicist does in Python: objects, results that speak, messages in Python's words."""

import importlib
import inspect
import io
import json
import re
import subprocess
import sys

import numpy as np
import pytest
from conftest import EXPERIMENT
from matplotlib.figure import Figure

import nuhf
from nuhf.errors import InputError
from nuhf.resources import JSON_FORMAT

ANALYSIS = "cevns-only"
NAME = f"{EXPERIMENT}:{ANALYSIS}"
QUESTIONS = (nuhf.limit, nuhf.interval, nuhf.fit, nuhf.scan, nuhf.contour, nuhf.ranking,
             nuhf.coverage)  # fmt: skip


@pytest.fixture(scope="module")
def experiment():
    return nuhf.load(EXPERIMENT, ANALYSIS)


@pytest.fixture(scope="module")
def model(experiment):
    return nuhf.model(experiment, poi="munu_mu")


@pytest.fixture(scope="module")
def results(model):
    """One result of every kind that is quick."""
    return {
        "interval": nuhf.interval(model),
        "limits": nuhf.limit(NAME, ["munu_mu", "qnu_mumu"]),
        "scan": nuhf.scan(model, points=31),
        "fit": nuhf.fit(model),
        "contour": nuhf.contour(model, "munu_e", cl=0.9, points=12),
        "coverage": nuhf.coverage(model, true=0.0, toys=20, jobs=1),
        "rates": nuhf.rate(NAME, {"munu_mu": 1e-9}),
        "ranking": nuhf.ranking(model),
    }


NUMPY = re.compile(r"tuple\[typing\.Any, \.\.\.\]|dtype\[typing\.Any\]")
"""Where the annotations of arrays of any shape say Any."""

RESULTS = ("interval", "limits", "scan", "fit", "contour", "coverage", "rates", "ranking")

# ---------------------------------------------------------------------- imports, signatures


@pytest.mark.parametrize("code", ["import nuhf", "import sys; sys.argv[1:] = ['--help']\n"
                                  "from nuhf.cli import main\ntry: main()\n"
                                  "except SystemExit: pass"])  # fmt: skip
def test_nothing_heavy_is_imported(code):
    heavy = "{'pyhf', 'scipy', 'matplotlib', 'pydantic'} & set(sys.modules)"
    ran = subprocess.run(
        [sys.executable, "-c", f"{code}\nimport sys; print('loaded', {heavy})"],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert ran.stdout.splitlines()[-1] == "loaded set()"


@pytest.mark.parametrize("name", sorted(nuhf.__all__))
def test_completion_shows_every_option(name):
    """No function swallows keywords, and every parameter and result has a type."""
    function = getattr(nuhf, name)
    if not inspect.isfunction(function) or name == "interference_samples":
        return  # a class; and workspaces' own, whose JSON is what pyhf's is
    signature = inspect.signature(function)
    for parameter in signature.parameters.values():
        assert parameter.kind not in (parameter.VAR_KEYWORD, parameter.VAR_POSITIONAL)
        assert parameter.annotation is not parameter.empty, parameter
        assert "Any" not in NUMPY.sub("", str(parameter.annotation)), parameter
    assert signature.return_annotation is not signature.empty
    assert function.__doc__


# ---------------------------------------------------------------------- a newcomer's tasks


def test_what_is_there():
    assert nuhf.experiments()[EXPERIMENT] == "COHERENT CsI[Na] 2021"
    assert nuhf.parameters()["munu_mu"].unit == "mu_B"
    loaded = nuhf.load(EXPERIMENT)
    assert {"default", ANALYSIS} <= set(loaded.analyses)
    assert "munu_mu" in loaded.parameters
    assert loaded.references[0].key
    assert loaded.title in str(loaded)
    # importing parts of the package of that name does not hide the function
    importlib.import_module("nuhf.experiments.catalogue")

    assert EXPERIMENT in nuhf.experiments()


def test_rates_have_edges_and_units(experiment):
    found = experiment.rate({"munu_mu": 1e-9})
    (region,) = experiment.regions.values()
    assert [(axis.name, axis.bins) for axis in region.axes] == [
        ("photoelectrons", 9), ("time_us", 11)
    ]  # fmt: skip
    assert region.axes[1].unit == "us"
    rows = found[region.name]
    assert all(row.shape == (region.observed.size,) for row in rows.values())
    assert found.totals()[region.name] == pytest.approx(sum(row.sum() for row in rows.values()))
    assert found.totals()[region.name] > experiment.rate().totals()[region.name]


def test_a_changed_experiment_fits_every_function(experiment):
    heavier = experiment.replace(
        {"target.mass_kg": 2 * experiment.loaded.experiment.target.mass_kg}
    )
    (region,) = experiment.regions
    one, two = (e.rate()[region]["cevns_mu"] for e in (experiment, heavier))
    np.testing.assert_allclose(two, 2 * one, rtol=1e-12)
    (of_one,), (of_two,) = (nuhf.limit(e, "norm_cevns") for e in (experiment, heavier))
    assert of_two.best_fit == pytest.approx(of_one.best_fit / 2, rel=1e-3)
    assert any("target.mass_kg" in note for note in of_two.notes)
    with pytest.raises(InputError, match="mass_kgs"):
        experiment.replace({"target.mass_kgs": 1.0})


def test_a_model_is_built_once_and_kept(model, results):
    assert model.poi == "munu_mu"
    (short,) = nuhf.limit(NAME, "munu_mu")
    assert results["interval"].to_dict() == short.to_dict()
    (poi,) = (p for p in model.parameters if p.kind == "poi")
    assert (poi.name, poi.unit, poi.low) == ("munu_mu", "mu_B", 0.0)
    fitted = results["fit"]
    point = {name: value for name, (value, _) in fitted.parameters.items() if name != "munu2_mu"}
    point["munu_mu"] = fitted.parameters["munu2_mu"][0] ** 0.5
    assert model.twice_nll(point) == pytest.approx(fitted.twice_nll, abs=1e-6)
    (rows,) = model.expected(point).values()
    for process, (_, after, _) in fitted.counts.items():
        assert rows[process].sum() == pytest.approx(after, rel=1e-6)


def test_fixed_nuisances_mean_their_values(model):
    held = model.replace(fixed_nuisances={"flux_sns": 3.0})
    assert nuhf.fit(held).parameters["flux_sns"] == (3.0, 0.0)
    nominal = model.replace(fixed_nuisances="flux_sns")
    assert nuhf.fit(nominal).parameters["flux_sns"] == (0.0, 0.0)


def test_pyhf_takes_the_model(model):
    import pyhf

    with np.errstate(all="ignore"):
        theirs, data = model.pyhf()
        start = theirs.config.suggested_init()
        assert -2 * float(theirs.logpdf(start, data)[0]) == pytest.approx(
            model.twice_nll(), abs=1e-8
        )
    pyhf.Workspace(model.workspace("stock"))


def test_a_workspace_opens_as_a_model(model, tmp_path):
    path = tmp_path / "munu_mu.json"
    path.write_text(json.dumps(model.workspace("native")))
    opened = nuhf.open(path)
    assert opened.poi == "munu_mu"
    one, two = nuhf.interval(opened), nuhf.interval(model)
    assert one.upper_limit == pytest.approx(two.upper_limit, rel=1e-6)
    assert opened.expected().totals() == pytest.approx(model.expected().totals())


def test_experiments_with_different_analyses_combine():
    both = nuhf.model([NAME, "dresden-2:default-lindhard"], "munu_e")
    assert both.experiments == (EXPERIMENT, "dresden-2")
    assert both.analysis == f"{ANALYSIS}, default-lindhard"


# ---------------------------------------------------------------------- results that speak


@pytest.mark.parametrize("kind", RESULTS)
def test_results_print_tabulate_and_draw(results, kind, tmp_path):
    import matplotlib.pyplot as plt

    found = results[kind]
    assert str(found).startswith(found.table())
    page = found._repr_html_()
    assert "<pre>" in page
    folded = len(found.notes) - len(found.caveats)
    assert (f"({'.notes'})" in str(found)) == (folded > 0)
    assert ("<details>" in page) == (folded > 0)
    assert json.loads(json.dumps(found.to_dict())) == found.to_dict()
    assert found.to_dict()["format"] == JSON_FORMAT
    # what pandas would read without arguments: one header, rows of the same length
    head, *rows = found.to_csv().splitlines()
    assert not head.startswith("#")
    assert {len(row.split(",")) for row in rows} == {len(head.split(","))}
    own = found.plot()
    assert isinstance(own, Figure)
    own.savefig(io.BytesIO(), format="png")
    figure, ax = plt.subplots()
    try:
        assert found.plot(ax) is figure
        assert ax.has_data()
        assert found.plot(ax=ax) is figure  # several overlay
        figure.savefig(io.BytesIO(), format="png")
    finally:
        plt.close(figure)


def test_scans_overlay_on_one_axis(results):
    figure = Figure()
    ax = figure.add_subplot()
    scan = results["scan"]
    scan.plot(ax)
    scan.plot(ax)
    curves = [line for line in ax.lines if line.get_gid() == "profile"]
    assert len(curves) == 2
    for line in curves:
        np.testing.assert_array_equal(line.get_xdata(), scan.values)
    assert curves[0].get_color() != curves[1].get_color()


def test_an_interval_knows_what_it_contains(results):
    interval = results["interval"]
    assert 0.0 in interval
    assert 2 * interval.upper_limit not in interval
    assert interval.hull == (0.0, interval.upper_limit)


def test_notes_that_change_a_number_are_not_folded():
    (found,) = nuhf.limit(NAME, "munu_mu", asimov=True)
    assert any("Asimov data" in note for note in found.caveats)
    assert "Asimov data" in str(found)
    assert all(note not in str(found) for note in set(found.notes) - set(found.caveats))


def test_the_command_prints_the_same(cli, results):
    ran = cli("limit", EXPERIMENT, "--analysis", ANALYSIS, "-p", "munu_mu", "-p", "qnu_mumu")
    assert ran.out == f"{results['limits']}\n".replace("(.notes)", "(--notes)")
    every = cli("limit", EXPERIMENT, "--analysis", ANALYSIS, "-p", "munu_mu", "--notes").out
    assert all(f"note: {note}\n" in every for note in results["interval"].notes)


# ---------------------------------------------------------------------- messages


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda m: nuhf.limit(NAME, "munu_mu", profil="radii"),
         r"limit\(\) has no keyword 'profil'; did you mean profiled"),
        (lambda m: nuhf.model(NAME, "munu_mu", fix="flux_sns"), r"model\(\) has no keyword 'fix'"),
        (lambda m: nuhf.limit(), r"limit\(\): missing a required argument: 'experiments'"),
        (lambda m: nuhf.limit(3), "3: give an experiment by name"),
        (lambda m: nuhf.limit(m), r"nuhf.interval\(model\) is for models"),
        (lambda m: nuhf.limit(NAME, 3), "poi = 3: give a name"),
        (lambda m: nuhf.limit(NAME, "munu_mu", cl="0.9"), "cl = '0.9': give a number"),
        (lambda m: nuhf.limit(NAME, "munu_mu", fixed={"munu_e": "1e-9"}),
         "fixed: munu_e = '1e-9': give a number"),
        (lambda m: nuhf.limit(NAME, "munu_mu", fixed="munu_e"), "fixed = 'munu_e': give values"),
        (lambda m: nuhf.limit(NAME, "munu_mu", profiled="charge"), "profiled: unknown 'charge'"),
        (lambda m: nuhf.limit(NAME, "munu_mu", fixed_nuisances={"flux": 0.0}),
         "fixed_nuisances: no nuisance 'flux'"),
        (lambda m: nuhf.model(NAME, "munu_mu", fixed_nuisances={"flux": 0.0}),
         "fixed_nuisances: no nuisance 'flux'"),
        (lambda m: nuhf.model(NAME, "munu_mu", profiled="charge"), "profiled: unknown 'charge'"),
        (lambda m: nuhf.model(NAME, "munu_mu", fixed={"munu_e": None}),
         "fixed: munu_e = None: give a number"),
        (lambda m: nuhf.limit(NAME, "munu_mu", bracket=(1, 0)), "bracket = 1.0, 0.0: give two"),
        (lambda m: nuhf.limit(NAME, "munu_mu", bracket=1), "bracket = 1: give two numbers"),
        (lambda m: nuhf.limit(NAME, "munu_mu", asimov="no"), "asimov = 'no': give True or False"),
        (lambda m: nuhf.interval(3), "3: give an experiment by name"),
        (lambda m: nuhf.fit(m, fixed={"munu_e": 0.0}), r"fit\(\) has no keyword 'fixed'"),
        (lambda m: nuhf.fit(m, "munu_e"), r"fit\(\): too many positional arguments"),
        (lambda m: nuhf.scan(m, points=2.5), "points = 2.5: give a whole number"),
        (lambda m: nuhf.scan(m, points=1), "points = 1: between 2 and"),
        (lambda m: nuhf.scan(m, points=10**400), "points = 1000.*: too large for a number"),
        (lambda m: nuhf.scan(m, points=float("inf")), "points = inf: give a whole number"),
        (lambda m: m.expected({"nope": 1.0}), "no parameter 'nope' in this model"),
        (lambda m: m.twice_nll({"flux_sns": 99.0}), "flux_sns = 99: it is between"),
        (lambda m: m.workspace("xml"), "unknown encoding 'xml'"),
        (lambda m: nuhf.load(EXPERIMENT, "nope"), "no analysis 'nope'"),
        (lambda m: nuhf.load(3), "give the name of an experiment"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_said_in_python_s_words(model, call, words):
    with pytest.raises(InputError, match=words) as caught:
        call(model)
    assert "--" not in str(caught.value)


def test_a_string_is_one_name():
    one = nuhf.limit(NAME, "munu_mu", profiled="munu_e")
    two = nuhf.limit([NAME], ["munu_mu"], profiled=["munu_e"])
    assert one[0].to_dict() == two[0].to_dict()
    assert one[0].profiled == ("munu_e",)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda m: nuhf.posterior(m, prior="flat"), "prior = 'flat': give priors by name"),
        (lambda m: nuhf.log_density(m, prior={"munu_e": 3}), "give priors by name"),
        (lambda m: nuhf.parameters("dresden-2"), "too many positional arguments"),
        (lambda m: nuhf.combine("file.json"), "give two or more workspaces"),
        (lambda m: m.workspace("hs4"), "unknown encoding 'hs4'; allowed: stock, "),
        (lambda m: m.workspace("hs3"), r"nuhf.workspace\(...\) writes it"),
    ],
)
def test_what_is_no_such_thing_is_refused_in_words(call, words):
    with pytest.raises(InputError, match=words):
        call(nuhf.model("dresden-2", "munu_e"))
