"""Posteriors by importance sampling: against exact densities, their own laws, and arviz."""

import json
import warnings
from dataclasses import replace
from functools import cache

import numpy as np
import pyhf
import pytest
from conftest import EXPERIMENT
from matplotlib.figure import Figure
from scipy.stats import beta, chi2, gamma, norm

import nuhf
from nuhf.bayes.posterior import posterior as sample_posterior
from nuhf.errors import FitError, InputError
from nuhf.plots.posterior import beside_profile
from nuhf.stats.importance import k_hat
from nuhf.stats.marginal import Density, densest

with warnings.catch_warnings():
    # once a day arviz 0.23 announces arviz 1
    warnings.simplefilter("ignore", FutureWarning)
    import arviz

#: charges and radii from coherent scattering alone: more than one mode


def posterior(first, *others, **options):
    """Marginals of some couplings, each of which floats."""
    model = nuhf.model(EXPERIMENT, first, profiled=others, analysis="cevns-only")
    return nuhf.posterior(model, [first, *others], **options)


@cache
def charge():
    return posterior("qnu_ee", draws=5000)


@cache
def radii():
    return posterior("r2nu_ee", "r2nu_mumu", draws=5000)


def counting(path, observed, background, modifiers=(), bounds=(0.0, 60.0)):
    """One bin: s + b, with what else acts on b."""
    spec = pyhf.simplemodels.uncorrelated_background([1.0], [background], [1e-9])
    channel = spec.spec["channels"][0]
    channel["samples"][1]["modifiers"] = list(modifiers)
    channel["samples"][0]["modifiers"] = [{"name": "s", "type": "normfactor", "data": None}]
    parameters = [{"name": "s", "bounds": [list(bounds)], "inits": [1.0]}]
    document = {
        "channels": [channel],
        "observations": [{"name": channel["name"], "data": [float(observed)]}],
        "measurements": [{"name": "m", "config": {"poi": "s", "parameters": parameters}}],
        "version": "1.0.0",
    }
    path.write_text(json.dumps(document), encoding="utf-8")
    return str(path)


def test_a_counting_experiment_has_the_posterior_that_is_known(tmp_path):
    """Flat prior in s >= 0 with background b: gamma(n + 1) in s + b, cut at b."""
    found = nuhf.posterior(counting(tmp_path / "w.json", 7, 3.0), draws=20_000)
    one = found["s"]
    whole = gamma(8)
    cut = whole.cdf(63.0) - whole.cdf(3.0)
    density = whole.pdf(one.values + 3.0)
    np.testing.assert_allclose(one.density, density / density.max(), atol=0.01)
    # equal heights at both ends, 90 % between
    ((low, high),) = one.pieces
    assert (whole.cdf(high + 3.0) - whole.cdf(low + 3.0)) / cut == pytest.approx(0.9, abs=0.003)
    assert whole.pdf(low + 3.0) == pytest.approx(whole.pdf(high + 3.0), rel=0.03)
    mean = (8 * (gamma(9).cdf(63.0) - gamma(9).cdf(3.0))) / cut - 3.0
    assert one.mean == pytest.approx(mean, abs=4 * one.sd / np.sqrt(found.effective_size))
    assert found.effective_size > 0.9 * 20_000


def test_a_nuisance_is_integrated_out(tmp_path):
    """Background with a normsys of 20 %: the integral over it by quadrature."""
    modifiers = [{"name": "b", "type": "normsys", "data": {"hi": 1.2, "lo": 1 / 1.2}}]
    found = nuhf.posterior(counting(tmp_path / "w.json", 20, 10.0, modifiers), draws=20_000)
    alpha = np.linspace(-5.0, 5.0, 2001)
    s = found["s"].values
    # between -1 and 1 code4 is no exponential, but one with hi = 1/lo it is to 1e-4
    rate = s[:, np.newaxis] + 10.0 * 1.2**alpha
    density = (np.exp(-rate) * rate**20 * norm.pdf(alpha)).sum(axis=1)
    np.testing.assert_allclose(found["s"].density, density / density.max(), atol=0.015)


def test_two_modes_of_a_square(tmp_path):
    """One bin that grows with theta^2: two mirror modes of equal probability."""
    path = tmp_path / "w.json"
    counting(path, 40, 5.0, bounds=(-10.0, 10.0))
    document = json.loads(path.read_text(encoding="utf-8"))
    document["channels"][0]["samples"][0]["modifiers"] = [
        {"name": "s", "type": "powerfactor", "data": {"exponent": 2}}
    ]
    path.write_text(json.dumps(document), encoding="utf-8")
    found = nuhf.posterior(str(path), draws=10_000)
    (a, b), (c, d) = found["s"].pieces
    np.testing.assert_allclose([a, b], [-d, -c], atol=0.02)
    np.testing.assert_allclose(found["s"].fractions, 0.45, atol=0.01)
    np.testing.assert_allclose([m.fraction for m in found.modes], 0.5, atol=0.02)
    assert sorted(m.values["s"] for m in found.modes) == pytest.approx([-(35**0.5), 35**0.5])
    x = found["s"].values
    density = np.exp(-(x**2)) * (x**2 + 5.0) ** 40
    np.testing.assert_allclose(found["s"].density, density / density.max(), atol=0.02)


def test_pieces_of_an_interfering_charge():
    """Two pieces as the profile likelihood has them, probabilities that add up to 90 %."""
    one = charge()["qnu_ee"]
    (profile,) = nuhf.limit(EXPERIMENT, "qnu_ee", analysis="cevns-only")
    assert len(one.pieces) == len(profile.intervals) == 2
    assert sum(one.fractions) == pytest.approx(0.9, abs=1e-3)
    inside = [
        charge().weights[(v >= low) & (v <= high)].sum()
        for v in [charge().draws[:, 0]]
        for low, high in one.pieces
    ]
    np.testing.assert_allclose(one.fractions, inside, atol=0.02)
    np.testing.assert_allclose(one.profile.max(), 1.0)
    rise = np.interp(np.ravel(profile.intervals), one.values, -2 * np.log(one.profile))
    np.testing.assert_allclose(rise, chi2.ppf(0.9, 1), rtol=0.03)


def test_all_four_modes_are_there():
    """Both charge radii free: four minima, the marginals' pieces, and shares that add up to 1."""
    found = radii()
    assert len(found.modes) == 4
    assert sum(m.fraction for m in found.modes) == pytest.approx(1.0)
    assert found.modes[0].delta_2nll == 0.0
    deep = np.exp(-0.5 * np.array([m.delta_2nll for m in found.modes]))
    shares = np.array([m.fraction for m in found.modes])
    # four nearly normal modes of much the same width: height decides
    np.testing.assert_allclose(shares, deep / deep.sum(), atol=0.05)
    assert [len(found[name].pieces) for name in ("r2nu_ee", "r2nu_mumu")] == [2, 2]


@pytest.mark.slow
def test_the_order_of_couplings_does_not_matter():
    other = posterior("r2nu_mumu", "r2nu_ee", draws=5000, seed=2)
    for name in ("r2nu_ee", "r2nu_mumu"):
        width = np.ptp(radii()[name].pieces)
        np.testing.assert_allclose(other[name].pieces, radii()[name].pieces, atol=0.01 * width)


def test_same_seed_same_result_other_seed_other_draws():
    again = posterior("qnu_ee", draws=5000)
    np.testing.assert_array_equal(again.draws, charge().draws)
    np.testing.assert_array_equal(again.weights, charge().weights)
    other = posterior("qnu_ee", draws=5000, seed=2)
    assert (other.draws != charge().draws).any()
    errors = np.array(charge()["qnu_ee"].piece_errors)
    difference = np.array(other["qnu_ee"].pieces) - charge()["qnu_ee"].pieces
    assert (np.abs(difference) < 6 * np.sqrt(2) * errors).all()


def test_what_priors_do_to_a_moment():
    """Flat in mu^2 favours large moments: density in |mu| is mu times that of the flat one."""
    square = nuhf.posterior(nuhf.model("xenonnt-sr0", "munu_eff"), draws=5000)["munu_eff"]
    magnitude = nuhf.posterior(
        nuhf.model("xenonnt-sr0", "munu_eff"), prior={"munu_eff": "flat-magnitude"}, draws=5000
    )["munu_eff"]
    assert square.variable == "munu_eff^2"
    assert magnitude.variable == "|munu_eff|"
    assert magnitude.mean < square.mean
    # the likelihood with all else integrated out is the same: density in mu^2 and in |mu|
    common = np.linspace(1e-12, 8e-12, 30)
    a, b = (np.interp(common, m.values, m.density) for m in (square, magnitude))
    np.testing.assert_allclose(a / b, (a / b).mean(), rtol=0.12)


def test_a_normal_prior_counts_as_a_measurement():
    """One far more precise than the data decides; a table cuts what it excludes."""
    tight = posterior("sin2thetaW", prior={"sin2thetaW": "normal:0.25,0.001"}, draws=5000)[
        "sin2thetaW"
    ]
    assert tight.sd == pytest.approx(1e-3, rel=0.05)
    assert tight.mean == pytest.approx(0.25, abs=1e-3)
    table = posterior("sin2thetaW", draws=5000,
        prior={"sin2thetaW": nuhf.stats.priors.Tabulated((0.24, 0.26), (1.0, 1.0))},
    )["sin2thetaW"]  # fmt: skip
    assert table.pieces[0][0] >= 0.24
    assert table.pieces[-1][1] <= 0.26


def test_draws_are_those_of_the_density():
    """Weighted nuisance draws have the moments that resampling and arviz see."""
    found = charge()
    drawn = found.resample(4000)
    assert drawn.shape == (4000, len(found.names))
    mean = found.weights @ found.draws
    sd = np.sqrt(found.weights @ np.square(found.draws - mean))
    np.testing.assert_allclose(drawn.mean(axis=0), mean, atol=0.05 * sd.max(), rtol=0.0)
    np.testing.assert_allclose(drawn.std(axis=0), sd, rtol=0.06)
    inference = found.to_arviz(2000)
    assert set(inference.posterior.data_vars) == set(found.names)
    summary = arviz.summary(inference, kind="stats", round_to="none")
    np.testing.assert_allclose(
        summary["mean"]["qnu_ee"], found["qnu_ee"].mean, atol=0.05 * found["qnu_ee"].sd
    )


def test_k_hat_is_that_of_arviz():
    rng = np.random.default_rng(1)
    for shape in (0.1, 0.5, 0.9):
        log_weight = np.log(rng.pareto(1 / shape, 5000) + 1.0)
        _, theirs = arviz.psislw(log_weight.copy())
        assert k_hat(log_weight) == pytest.approx(float(theirs), abs=0.02)
    assert k_hat(np.zeros(1000)) == -np.inf


def test_highest_density_of_known_densities():
    x = np.linspace(0.0, 1.0, 4001)
    ((low, high),) = densest(Density(x, beta(3, 3).pdf(x)), 0.8)
    np.testing.assert_allclose([low, high], beta(3, 3).ppf([0.1, 0.9]), atol=1e-3)
    ((low, high),) = densest(Density(x, np.exp(-5 * x)), 0.5)
    assert low == 0.0
    assert high == pytest.approx(-np.log(1 - 0.5 * (1 - np.exp(-5))) / 5, abs=1e-3)
    y = np.linspace(-6.0, 6.0, 8001)
    two = norm(-3, 0.5).pdf(y) + norm(3, 0.5).pdf(y)
    np.testing.assert_allclose(
        densest(Density(y, two), 0.9),
        [[m - 0.5 * norm.ppf(0.95), m + 0.5 * norm.ppf(0.95)] for m in (-3, 3)],
        atol=2e-3,
    )  # fmt: skip


def test_uneven_weights_are_refused_in_words(tmp_path, monkeypatch):
    """A table that cuts the density far from its fits: k-hat or nothing, never a silent answer."""
    from nuhf.bayes import posterior as module

    density = nuhf.log_density(counting(tmp_path / "w.json", 7, 3.0))
    true = module.sample

    def uneven(*arguments):
        draws = true(*arguments)
        heavy = np.random.default_rng(3).pareto(1.0, draws.log_weight.size) + 1.0
        log_weight = np.log(heavy)
        return replace(draws, log_weight=log_weight, k_hat=k_hat(log_weight))

    monkeypatch.setattr(module, "sample", uneven)
    with pytest.raises(FitError, match=r"too uneven, Pareto k-hat .* give nuhf.log_density"):
        sample_posterior(density, density.axes, 0.9, 2000, 1)


def test_a_missing_mode_is_refused_in_words(monkeypatch):
    """Samples along two couplings must have the same evidence."""
    from nuhf.bayes import posterior as module

    true, calls = module.sample, []

    def lower(*arguments):
        calls.append(1)
        draws = true(*arguments)
        return replace(draws, log_weight=draws.log_weight - 0.4) if len(calls) > 1 else draws

    monkeypatch.setattr(module, "sample", lower)
    with pytest.raises(FitError, match="misses a mode"):
        posterior("r2nu_ee", "r2nu_mumu", draws=2000)


def test_a_range_that_cuts_the_posterior_is_told(tmp_path):
    found = nuhf.posterior(counting(tmp_path / "w.json", 30, 3.0, bounds=(0.0, 25.0)), draws=2000)
    assert any("end of the range of its prior" in note for note in found.notes)
    assert not any("end of the range" in note for note in charge().notes)


@pytest.mark.parametrize(
    ("keywords", "message"),
    [
        ({"draws": 10}, "10 draws"),
        ({"seed": -1}, "seed -1"),
        ({"cl": 90.0}, "did you mean 0.9"),
        ({"profiled": ["qnu_ee"]}, "qnu_ee"),
        ({"poi": "qnu"}, "unknown parameter"),
        ({"parameters": "qnu_mumu"}, "'qnu_mumu' is not free"),
    ],
)
def test_bad_questions_are_refused(keywords, message):
    choices = {"poi": "qnu_ee", "analysis": "cevns-only"}
    of_model = choices | {key: keywords[key] for key in ("poi", "profiled") if key in keywords}
    asked = {key: value for key, value in keywords.items() if key not in of_model}
    with pytest.raises(InputError, match=message):
        nuhf.posterior(nuhf.model(EXPERIMENT, **of_model), **asked)


def test_the_result_speaks():
    found = radii()
    text = found.table()
    assert str(found).startswith(text)
    for word in ("90 % highest density", "r2nu_ee", "prior flat", "effective size", "k-hat"):
        assert word in text
    assert "<pre>" in found._repr_html_()
    content = json.loads(json.dumps(found.to_dict()))
    assert content["provenance"]["options"]["priors"]["r2nu_ee"] == "flat in the fit parameter"
    assert content["marginals"][0]["pieces"] == [list(p) for p in found.marginals[0].pieces]
    rows = [row for row in found.to_csv().splitlines() if not row.startswith("#")]
    assert rows[0] == "parameter,value,posterior,profile_likelihood"
    assert len(rows) == 1 + sum(len(m.values) for m in found.marginals)
    drawn = [row for row in found.draws_to_csv().splitlines() if not row.startswith("#")]
    assert len(drawn) == 1 + len(found.weights)
    assert drawn[0].split(",") == ["weight", *found.names]


def test_figures_show_the_curves():
    figure = radii().plot()
    assert len(figure.axes) == 2
    ours = figure.axes[0].lines[0]
    np.testing.assert_allclose(ours.get_ydata(), radii()["r2nu_ee"].density)
    axes = charge().plot().axes[0]
    assert charge().plot(axes) is axes.figure
    assert sum(a.get_visible() for a in radii().plot_corner().axes) == 3


def test_posteriors_over_each_other_share_a_unit_and_leave_other_lines_alone():
    """A line of the user's is none of ours; a narrow posterior has the unit of a wide one."""
    axes = Figure().subplots()
    axes.axvline(0.5)
    wide = charge().marginals[0]
    narrow = replace(wide, values=wide.values / 1e3, prior="another")
    beside_profile([wide], 0.9, "", axes)
    beside_profile([narrow], 0.9, "", axes)
    _, first, _, second, _ = axes.lines
    ratio = first.get_xdata()[0] / second.get_xdata()[0]
    assert ratio == pytest.approx(1e3)
    assert first.get_color() != second.get_color()
    assert first.get_label() != second.get_label()
    assert axes.get_xlim()[1] >= first.get_xdata()[first.get_ydata() > 0.01].max()


def test_command_writes_table_json_and_files(cli, work):
    ran = cli("posterior", EXPERIMENT, "--analysis", "cevns-only", "-p", "qnu_ee",
              "-p", "qnu_mumu", "--draws", "2000",
              "--prior", "qnu_ee=normal:0,1e-7", "--save-draws", "draws.csv",
              "-o", "charges.png")  # fmt: skip
    assert ran.code == 0, ran.err
    assert "prior normal, mean 0, sd 1e-07" in ran.out
    assert sorted(p.name for p in work.iterdir()) == [
        "charges.csv", "charges.png", "charges_corner.png", "draws.csv",
    ]  # fmt: skip
    ran = cli("posterior", EXPERIMENT, "-p", "qnu_ee", "--draws", "2000", "--json")
    assert json.loads(ran.out)["marginals"][0]["parameter"] == "qnu_ee"
    for bad in (["--prior", "qnu_ee"], ["--prior", "qnu_ee=x"], ["--draws", "1"]):
        ran = cli("posterior", EXPERIMENT, "-p", "qnu_ee", *bad)
        assert ran.code == 2
        assert len(ran.err.splitlines()) == 1


def test_a_fourth_power_is_told_as_the_coupling_itself():
    """Flat in g^4: the region of highest density is near the interval, not at its square."""
    model = nuhf.model(
        "coherent-csi-2021",
        "g_scalar_cerdeno2016_UNVERIFIED",
        settings={"mediator_mass_mev": 100.0},
    )
    (marginal,) = nuhf.posterior(model, draws=1000).marginals
    (_, high), (_, limit) = marginal.pieces[0], nuhf.interval(model).intervals[0]
    assert marginal.variable == f"{model.poi}^4"
    assert high == pytest.approx(limit, rel=0.15)
    with_value = nuhf.simulate(model, {model.poi: limit}, 1)
    place = with_value.names.index(model.poi)
    fitted = model.problem.parameter.to_fit(limit)
    expected = nuhf.log_density(model).axes[0].to_fit(with_value.truth[0, place])
    assert expected == pytest.approx(fitted)
