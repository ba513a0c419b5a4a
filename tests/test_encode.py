"""Both encodings against the templates, against each other, and against plain pyhf."""

import copy
from dataclasses import replace

import numpy as np
import pyhf
import pytest
from conftest import EXPERIMENT, PARAMETERS, problems

import nuhf
from nuhf import questions
from nuhf.couplings import parameters
from nuhf.errors import InputError, ModelError
from nuhf.experiments.catalogue import list_experiments, load
from nuhf.experiments.prepare import prepare
from nuhf.histfactory import assemble
from nuhf.likelihood.engines import ModelProfiler, Reference, engine
from nuhf.rates.signal import flavour_polynomial
from nuhf.stats.problem import Options, pose
from nuhf.workspaces import encode
from nuhf.workspaces.native import load_model

INTERFERING = tuple(p for p in PARAMETERS if not p.startswith("munu"))


def described(prepared, *names, **keywords):
    return assemble.describe([prepared], names, **keywords)


# ------------------------------------------------------------------------------------ schema


@pytest.mark.parametrize("parameter", [*PARAMETERS, "norm_cevns"])
def test_both_encodings_follow_the_schema(problem_of, stock_of, parameter):
    """``stock_of`` validates with plain pyhf; the native file needs our schema if it has powers."""
    spec = problem_of(parameter).spec
    load_model(spec)
    stock, model, _, _ = stock_of(parameter)
    kinds = {m["type"] for c in stock["channels"] for s in c["samples"] for m in s["modifiers"]}
    assert kinds <= {"normfactor", "normsys", "histosys"}
    assert model.config.poi_name == stock["measurements"][0]["config"]["poi"]
    if parameter in INTERFERING:
        with pytest.raises(pyhf.exceptions.InvalidSpecification):
            pyhf.Workspace(dict(spec))
    else:
        kept = encode.encode(problem_of(parameter).description, "stock", keep_range=True)
        entries = [one["measurements"][0]["config"]["parameters"][0] for one in (kept, spec, stock)]
        if parameter.startswith("munu"):  # beside the bound, where minuit's step vanishes
            for entry in (entries[0], entries[2]):
                assert entry["inits"] == [pytest.approx(1e-3 * entry["bounds"][0][1])]
            entries[0]["inits"] = entries[1]["inits"]
        assert kept == spec
        (_, widest), (low, high) = (entry["bounds"][0] for entry in entries[1:])
        assert low == 0.0
        assert high < 0.5 * widest or parameter.startswith("norm_")


def test_the_unit_is_in_the_name(problem_of, stock_of):
    for name in PARAMETERS:
        parameter = parameters.get(name)
        spec, _, _, unit = stock_of(name)
        poi = spec["measurements"][0]["config"]["poi"]
        stem, _, suffix = poi.rpartition("_e")
        power = int(suffix.replace("m", "-").replace("p", ""))
        assert stem == parameter.fit_stem
        assert unit * parameter.scale == pytest.approx(10.0**power, rel=1e-12)
        if name in INTERFERING:
            coupling = problem_of(name).description.couplings[0]
            assert unit >= encode.STOCK_REACH * coupling.high * (1 - 1e-12)


# --------------------------------------------------------------- native against the templates


def by_hand(prepared, couplings, pulls):
    """Expected counts from the template polynomials, pulls at 0, +1 or -1.

    At most one pull of the detector response may differ from 0; norm factors are 1 + pull x size.
    """
    (region,) = prepared.regions
    free = [parameters.get(name) for name in couplings if name != "norm_cevns"]
    nuisances = {n.name: n for n in prepared.loaded.nuisances}
    shaped = [n for n, p in pulls.items() if p and nuisances[n].kind != "norm"]
    variation = (shaped[0], "up" if pulls[shaped[0]] > 0 else "down") if shaped else None
    assert len(shaped) <= 1

    def factor(process):
        out = 1.0
        for name, pull in pulls.items():
            if nuisances[name].kind == "norm" and process in nuisances[name].processes:
                out *= 1 + pull * nuisances[name].size
        return out

    total = 0.0
    known = {parameters.get(n).fit_name: v for n, v in couplings.items() if n != "norm_cevns"}
    for templates in region.signals:
        there = variation if variation in templates.varied else None
        strength = couplings.get("norm_cevns", 1.0) if templates.process == "cevns" else 1.0
        for flavour in ("e", "mu"):
            full = flavour_polynomial(templates, free, flavour, there)
            events = full.evaluate({n: v for n, v in known.items() if n in full.names})
            total = total + events * strength * factor(templates.process)
    for name, counts in region.backgrounds.items():
        total = total + factor(name) * counts
    return total


def pulls_to_try(loaded):
    """Every nuisance alone up and down, all norms together, none."""
    names = [n.name for n in loaded.nuisances]
    norms = [n.name for n in loaded.nuisances if n.kind == "norm"]
    tried = [dict.fromkeys(names, 0.0)]
    for name in names:
        for sign in (1.0, -1.0):
            tried.append({**tried[0], name: sign})
    for name in (n for n in names if n not in norms):
        tried.append({**tried[0], **{n: (-1.0) ** i for i, n in enumerate(norms)}, name: -1.0})
    return tried


SETS = [*((p,) for p in PARAMETERS), ("norm_cevns",), ("qnu_ee", "r2nu_ee"),
        ("norm_cevns", "qnu_mumu", "sin2thetaW"), ("munu_eff", "abs_qnu_emu", "r2nu_mumu"),
        ("anu_ee", "abs_r2nu_mutau")]  # fmt: skip


@pytest.mark.parametrize("names", SETS, ids="+".join)
def test_native_counts_equal_the_templates(loaded, prepared, names):
    model, _ = load_model(encode.native(described(prepared, *names)))
    rng = np.random.default_rng(1)
    order, slices = model.config.par_order, model.config.par_slice
    assert all(slices(name).stop - slices(name).start == 1 for name in order)
    for pulls in pulls_to_try(loaded):
        couplings = {
            n: rng.uniform(0, 20) if parameters.get(n).squared or n == "norm_cevns"
            else rng.normal(0, 10) for n in names
        }  # fmt: skip
        values = {parameters.get(n).fit_name: v for n, v in couplings.items()} | pulls
        ours = model.expected_actualdata([values[name] for name in order])
        np.testing.assert_allclose(
            ours, by_hand(prepared, couplings, pulls), rtol=1e-10, atol=1e-10
        )


@pytest.mark.parametrize("size", [1e-3, 1e-7])
def test_shapes_are_kept_however_small(prepared, size):
    """Only rounding is dropped: at a pull of one every bin is what the variation says."""
    (region,) = prepared.regions
    templates = region.signals[0]
    tilt = size * np.linspace(-1.0, 1.0, templates.bins)

    def tilted(sign):
        return {
            source: {name: (1.0 + sign * tilt) * row for name, row in monomials.items()}
            for source, monomials in templates.nominal.items()
        }

    varied = {("tilt", "up"): tilted(1.0), ("tilt", "down"): tilted(-1.0)}
    changed = replace(region, signals=(replace(templates, varied=varied),))
    one = replace(prepared, regions=(changed,))
    description = described(one, "qnu_ee", "r2nu_mumu")
    (channel,) = description.channels
    for sample in channel.samples:
        if sample.process == "cevns":
            up = sample.norms["tilt"].up * sample.shapes["tilt"].up
            np.testing.assert_allclose(up, (1.0 + tilt) * sample.counts, rtol=1e-13)


@pytest.mark.parametrize("pull", [-2.5, -0.3, 0.6, 3.0])
def test_a_linear_pull_is_a_straight_line(pull):
    """The factor is 1 + pull x size at any pull, so a positive pull means more events."""
    one = prepare(load(EXPERIMENT, "khan2023"))
    description = described(one, "munu_mu")
    model, _ = load_model(encode.native(description))
    (channel,) = description.channels
    start = dict.fromkeys(model.config.par_order, 0.0)
    nominal = model.expected_actualdata(list(start.values()))
    for nuisance in one.loaded.nuisances:
        assert nuisance.pull == "linear"
        moved = sum(
            s.counts for s in channel.samples if s.process in nuisance.processes and not s.powers
        )
        assert moved.sum() > 0
        found = model.expected_actualdata(list({**start, nuisance.name: pull}.values()))
        np.testing.assert_allclose(found - nominal, pull * nuisance.size * moved, atol=1e-7)


def test_monomials_of_two_couplings(prepared):
    """q_ee and r_ee: six monomials on the electron flavour, one on the muon flavour."""
    (channel,) = described(prepared, "qnu_ee", "r2nu_ee").channels
    powers = [dict(s.powers) for s in channel.samples if s.name.startswith("cevns_e")]
    q, r = "qnu_ee_em8", "r2nu_ee_em32"
    for expected in ({}, {q: 1}, {r: 1}, {q: 2}, {r: 2}, {q: 1, r: 1}):
        assert powers.count(expected) == 1
    assert len(powers) == 6
    assert [dict(s.powers) for s in channel.samples if s.name.startswith("cevns_mu")] == [{}]


def test_a_set_value_equals_the_free_parameter_there(prepared):
    value = -7e-8
    free, _ = load_model(encode.native(described(prepared, "r2nu_ee", "qnu_ee")))
    held, _ = load_model(encode.native(described(prepared, "r2nu_ee", values={"qnu_ee": value})))
    rng = np.random.default_rng(2)
    for _ in range(20):
        point = {name: rng.normal() for name in free.config.par_order}
        point["qnu_ee_em8"] = value / 1e-8
        theirs = free.expected_actualdata([point[n] for n in free.config.par_order])
        ours = held.expected_actualdata([point[n] for n in held.config.par_order])
        np.testing.assert_allclose(ours, theirs, rtol=1e-12)


def test_strength_multiplies_all_monomials(prepared):
    free, _ = load_model(encode.native(described(prepared, "norm_cevns", "qnu_ee")))
    held, _ = load_model(encode.native(described(prepared, "qnu_ee", values={"norm_cevns": 1.7})))
    for q in (-20.0, 0.0, 30.0):
        point = dict.fromkeys(free.config.par_order, 0.3) | {"qnu_ee_em8": q, "norm_cevns": 1.7}
        np.testing.assert_allclose(
            held.expected_actualdata([point[n] for n in held.config.par_order]),
            free.expected_actualdata([point[n] for n in free.config.par_order]),
            rtol=1e-12,
        )


# --------------------------------------------------------------------- the stock construction


@pytest.mark.parametrize("encoding", ["stock", "stock-positive"])
@pytest.mark.parametrize("name", ["qnu_ee", "sin2thetaW"])
def test_without_the_coupling_stock_counts_are_those_of_native(nuclei_problem_of, encoding, name):
    """At alpha = 0, with every nuisance at any value."""
    rng = np.random.default_rng(3)
    spec = encode.encode(nuclei_problem_of(name).description, encoding)
    stock = pyhf.Workspace(spec).model()
    native = nuclei_problem_of(name).engine.compiled
    poi, fit_name = stock.config.poi_name, parameters.get(name).fit_name
    for _ in range(5):
        point = {n: rng.normal() for n in native.names} | {fit_name: 0.0, poi: 0.0}
        np.testing.assert_allclose(
            stock.expected_actualdata([point[n] for n in stock.config.par_order]),
            native.expected([point[n] for n in native.names]),
            rtol=1e-9,
        )


@pytest.mark.parametrize("parameter", INTERFERING)
def test_samples_of_stock_are_what_they_are_called(problem_of, stock_of, parameter):
    """The SM sample is the SM up to 2 %, the others small, and nothing in sum below zero."""
    description = problem_of(parameter).description
    spec, model, _, _ = stock_of(parameter)
    (channel,) = description.channels
    sm = {s.name: s.counts for s in channel.samples if not s.powers}
    stem = description.couplings[0].parameter.fit_stem
    moving = {s.stem for s in channel.samples if s.powers}
    for sample in spec["channels"][0]["samples"]:
        name, data = sample["name"], np.array(sample["data"])
        if name.endswith(("_linear", "_square")):
            own = name.removesuffix("_linear").removesuffix("_square").removesuffix(f"_{stem}")
            assert own in moving
            assert (np.abs(data) <= 0.01 * sm[own] * (1 + 1e-9)).all()
        else:
            assert (data >= 0).all()
            np.testing.assert_allclose(data, sm[name], rtol=0.02)
    assert (model.expected_actualdata(model.config.suggested_init()) >= 0).all()


def clipped(spec, pulls):
    """Counts as a reader has them that puts bins of a sample below zero to zero, shapes included.

    Factors come after that; nuisances at ``pulls`` and the coupling at 0.
    """
    channel = copy.deepcopy(spec["channels"][0])
    for sample in channel["samples"]:
        moved = np.array(sample["data"])
        for modifier in sample["modifiers"]:
            if modifier["type"] == "histosys":
                low, high = (np.array(modifier["data"][k]) for k in ("lo_data", "hi_data"))
                kernel = pyhf.interpolators.get("4p")([[[low, sample["data"], high]]])
                pull = pyhf.tensorlib.astensor([[pulls[modifier["name"]]]])
                moved = moved + np.asarray(kernel(pull))[0, 0, 0]
        sample["data"] = np.maximum(moved, 0.0).tolist()
        sample["modifiers"] = [m for m in sample["modifiers"] if m["type"] != "histosys"]
    model = pyhf.Model({"channels": [channel]}, poi_name=None)
    return model.expected_actualdata([pulls.get(n, 0.0) for n in model.config.par_order])


@pytest.mark.parametrize(("signals", "rtol"), [("nuclei", 1e-3), ("nuclei and electrons", 1e-2)])
def test_clipping_the_samples_of_stock_positive_changes_nothing(
    nuclei_problem_of, problem_of, signals, rtol
):
    """Readers such as ROOT do it; ``stock-positive`` has nothing to clip inside one sigma.

    Electrons bind a charge a hundred times closer than nuclei notice it: Q is larger there, and
    with all shapes near one sigma at once 1 % is clipped in bins of 0.1 events.
    """
    problem = nuclei_problem_of("qnu_ee") if signals == "nuclei" else problem_of("qnu_ee")
    description = problem.description
    spec = encode.stock(description, positive=True)
    rng = np.random.default_rng(6)
    native = problem.engine.compiled
    for _ in range(5):
        pulls = {n: rng.uniform(-1, 1) for n in native.names} | {"qnu_ee_em8": 0.0}
        exact = native.expected([pulls[n] for n in native.names])
        np.testing.assert_allclose(clipped(spec, pulls), exact, rtol=rtol)
    (entry,) = spec["measurements"][0]["config"]["parameters"]
    grid = problem.span().grid(61)
    depth = problem.profiler().at(grid)
    close = profiler_of(spec).at(grid * entry["bounds"][0][1] / description.couplings[0].high)
    inside = depth - depth.min() < 9
    error = close - close.min() - (depth - depth.min())
    np.testing.assert_allclose(error[inside], 0.0, atol=5e-3)


def test_a_rate_that_is_negative_somewhere_has_no_positive_samples(prepared):
    description = described(prepared, "qnu_ee")
    (channel,) = description.channels
    samples = tuple(
        replace(s, counts=1.2 * s.counts) if s.powers.get("qnu_ee_em8") == 1 else s
        for s in channel.samples
    )
    changed = replace(description, channels=(replace(channel, samples=samples),))
    encode.stock(changed)
    with pytest.raises(InputError, match="not positive for every value"):
        encode.stock(changed, positive=True)
    with pytest.raises(InputError, match="one interfering coupling at a time"):
        encode.stock(described(prepared, "qnu_ee", "r2nu_ee"), positive=True)


def test_a_range_narrows_the_domain_and_nothing_else(nuclei):
    description = described(nuclei, "qnu_ee")
    spec = encode.encode(encode.narrowed(description, -2e-7, 1e-7), "native")
    whole = encode.encode(description, "native")
    (entry,) = spec["measurements"][0]["config"]["parameters"]
    assert entry["bounds"] == [[-20.0, 10.0]]
    assert spec["channels"] == whole["channels"]
    wide, tight = (encode.stock_exponent(d.couplings[0])
                   for d in (description, encode.narrowed(description, -2e-7, 1e-7)))  # fmt: skip
    assert tight == wide - 1  # Q follows the domain
    for ends in ((1e-7, -1e-7), (0.0, 0.0), (-1.0, 1.0), (float("nan"), 1.0)):
        with pytest.raises(InputError, match="increasing order within -2e-06 to 2e-06"):
            encode.narrowed(description, *ends)


def test_cabinetry_reads_stock_with_a_sane_band_before_the_fit(nuclei_problem_of, nuclei_stock_of):
    """The recipe of workspaces/README.md: with the coupling fixed, the errors are those of native.

    Native at the SM has no samples but those of the SM, so cabinetry's band is its own.
    """
    import cabinetry

    spec = copy.deepcopy(nuclei_stock_of("qnu_mumu")[0])
    spec["measurements"][0]["config"]["parameters"][0]["fixed"] = True
    model, _ = cabinetry.model_utils.model_and_data(spec)
    band = cabinetry.model_utils.prediction(model)
    exact = copy.deepcopy(encode.native(nuclei_problem_of("qnu_mumu").description))
    exact["measurements"][0]["config"]["parameters"][0]["fixed"] = True
    exact["channels"][0]["samples"] = [
        s for s in exact["channels"][0]["samples"] if "qnu_mumu_em8" not in s["name"]
    ]
    exact["measurements"][0]["config"] = {"poi": "", "parameters": []}
    plain, _ = cabinetry.model_utils.model_and_data(exact)
    reference = cabinetry.model_utils.prediction(plain)
    assert len(band.model_yields[0]) == len(reference.model_yields[0]) + 2
    for ours, theirs in (
        (band.total_stdev_model_bins[0][-1], reference.total_stdev_model_bins[0][-1]),
        (band.total_stdev_model_channels[0][-1], reference.total_stdev_model_channels[0][-1]),
    ):
        np.testing.assert_allclose(ours, theirs, rtol=1e-6)


def test_mixed_monomials_in_the_stock_encoding(nuclei):
    """Two couplings at once: q_ee r_ee is a sum of products of factors."""
    description = described(nuclei, "qnu_ee", "r2nu_ee")
    native, _ = load_model(encode.native(description))
    spec = encode.stock(description)
    stock = pyhf.Workspace(spec).model()
    entries = spec["measurements"][0]["config"]["parameters"]
    rng = np.random.default_rng(4)
    mixed = 0.0
    for _ in range(30):
        point = {n: rng.normal() for n in native.config.par_order}
        largest = 0.0
        for coupling, entry in zip(description.couplings, entries, strict=True):
            value = rng.uniform(0.1 * coupling.low, 0.1 * coupling.high)
            unit = coupling.high / entry["bounds"][0][1]
            point[coupling.parameter.fit_name] = value
            point[entry["name"]] = value / unit
            largest = max(largest, abs(value / unit))
        exact = native.expected_actualdata([point[n] for n in native.config.par_order])
        close = stock.expected_actualdata([point[n] for n in stock.config.par_order])
        (q, r) = (point[c.parameter.fit_name] for c in description.couplings)
        alone = [dict(point) for _ in range(3)]
        alone[0]["qnu_ee_em8"] = alone[2]["qnu_ee_em8"] = 0.0
        alone[1]["r2nu_ee_em32"] = alone[2]["r2nu_ee_em32"] = 0.0
        parts = [native.expected_actualdata([a[n] for n in native.config.par_order]) for a in alone]
        cross = exact - parts[0] - parts[1] + parts[2]
        mixed = max(mixed, np.abs(cross / exact).max())
        np.testing.assert_allclose(close, exact, rtol=0, atol=10 * largest**2 * exact.max())
        assert q * r != 0
    assert mixed > 0.1  # the mixed monomial mattered


def test_a_free_strength_beside_a_coupling_in_the_stock_encoding(prepared):
    """It multiplies every monomial, and must not hide what the coupling adds at strength 1."""
    description = described(prepared, "munu_mu", "norm_cevns")
    native, _ = load_model(encode.native(description))
    spec = encode.stock(description)
    stock = pyhf.Workspace(spec).model()
    (entry, _) = spec["measurements"][0]["config"]["parameters"]
    (alone,) = encode.stock(described(prepared, "munu_mu"))["measurements"][0]["config"][
        "parameters"
    ]
    assert entry == alone
    unit = encode.stock_unit(description)
    rng = np.random.default_rng(8)
    for _ in range(10):
        point = {n: rng.normal() for n in native.config.par_order}
        point |= {"munu2_mu_em18": rng.uniform(0, 20), "norm_cevns": rng.uniform(0, 3)}
        exact = native.expected_actualdata([point[n] for n in native.config.par_order])
        point[entry["name"]] = point["munu2_mu_em18"] / unit
        same = stock.expected_actualdata([point[n] for n in stock.config.par_order])
        np.testing.assert_allclose(same, exact, rtol=1e-10)


def test_powers_above_two_have_no_stock_form(prepared):
    description = described(prepared, "qnu_ee")
    (channel,) = description.channels
    cubic = tuple(
        replace(s, powers={n: 3 if e == 2 else e for n, e in s.powers.items()})
        for s in channel.samples
    )
    changed = replace(description, channels=(replace(channel, samples=cubic),))
    with pytest.raises(InputError, match="no power 3"):
        encode.stock(changed)
    encode.native(changed)


# -------------------------------------------------------------------- profiles of both models


def profiler_of(spec):
    model, data = load_model(spec)
    chosen = engine("compiled", Reference.of(model))
    name = spec["measurements"][0]["config"]["poi"]
    return ModelProfiler(
        chosen, data, chosen.compiled.index(name), np.atleast_2d(chosen.compiled.inits),
        ~chosen.compiled.fixed,
    )  # fmt: skip


@pytest.mark.parametrize("parameter", PARAMETERS)
def test_profiles_of_stock_and_native_agree(problem_of, stock_of, parameter):
    """Minimum subtracted: 5e-3 where 2NLL < 9, 0.01 where it is < 25."""
    problem = problem_of(parameter)
    spec, _, _, unit = stock_of(parameter)
    grid = problem.span().grid(61)
    exact = problem.profiler().at(grid)
    close = profiler_of(spec).at(grid / unit)
    depth = exact - exact.min()
    inside = depth < 25
    assert inside.sum() > 5
    assert depth[0] > 25 or problem.span().physical_low
    assert depth[-1] > 25
    error = np.abs(close[inside] - close.min() - depth[inside])
    assert error.max() < 0.01
    assert error[depth[inside] < 9].max() < 5e-3


def pyhf_heights(model, data, values, optimizer):
    """2NLL profiled by pyhf itself."""
    pyhf.set_backend("numpy", optimizer)
    try:
        found = []
        for value in values:
            _, height = pyhf.infer.mle.fixed_poi_fit(value, data, model, return_fitted_val=True)
            found.append(float(height))
        return np.array(found)
    finally:
        pyhf.set_backend("numpy", "scipy")


def check_with_pyhf(problem_of, stock_of, parameter, optimizer, points):
    problem = problem_of(parameter)
    _, model, data, unit = stock_of(parameter)
    profile = problem.profiler()
    grid = problem.span().grid(241)
    heights = profile.at(grid)
    # points inside 2NLL < 9, over the whole width of the region
    inside = np.flatnonzero(heights - heights.min() < 9)
    chosen = grid[inside[np.linspace(0, len(inside) - 1, points).round().astype(int)]]
    exact = profile.at(chosen)
    theirs = pyhf_heights(model, data, chosen / unit, optimizer)
    lowest = int(np.argmin(exact))
    np.testing.assert_allclose(theirs - theirs[lowest], exact - exact[lowest], rtol=0, atol=5e-3)


@pytest.mark.parametrize("optimizer", ["scipy", "minuit"])
def test_pyhf_itself_agrees_on_the_stock_file(problem_of, stock_of, optimizer):
    check_with_pyhf(problem_of, stock_of, "qnu_mumu", optimizer, 3)


@pytest.mark.slow
@pytest.mark.parametrize("optimizer", ["scipy", "minuit"])
@pytest.mark.parametrize("parameter", PARAMETERS)
def test_pyhf_itself_agrees_on_every_stock_file(problem_of, stock_of, parameter, optimizer):
    check_with_pyhf(problem_of, stock_of, parameter, optimizer, 7)


# -------------------------------------------------------------------------------- combination


@pytest.fixture(scope="module")
def twin(tmp_path_factory, toml_text):
    """The same experiment by path and another name; what is its own has its own nuisances."""
    folder = tmp_path_factory.mktemp("twin")
    text = toml_text.replace(f'name = "{EXPERIMENT}"', 'name = "csi-twin"')
    text = text.replace("coherent_csi_2021_", "csi_twin_").replace(
        "eff_coherent_csi_2021", "eff_csi_twin"
    )
    path = folder / "twin.toml"
    path.write_text(text, encoding="utf-8")
    return str(path)


def test_a_combination_is_the_sum_with_shared_nuisances(twin):
    one = problems(EXPERIMENT, "qnu_mumu")[0]
    two = problems([EXPERIMENT, twin], "qnu_mumu")[0]
    assert two.names == (EXPERIMENT, "csi-twin")
    names = two.engine.compiled.names
    assert len(set(names)) == len(names)
    own = {n for n in names if n not in one.engine.compiled.names}
    assert own == {"eff_csi_twin", "bkg_csi_twin_ss", "bkg_csi_twin_brn", "bkg_csi_twin_nin"}
    common = ("flux_sns", "ff_csi", "qf_csi_syst0", "qf_csi_syst1", "ly_csi_electron")
    assert {*common, "qnu_mumu_em8"} <= set(names)

    single, both = one.engine.compiled, two.engine.compiled
    np.testing.assert_array_equal(two.data[: both.n_main], np.tile(one.data[: single.n_main], 2))
    rng = np.random.default_rng(5)
    for _ in range(5):
        q, shared = rng.uniform(-20, 20), rng.normal(size=5)
        point = dict.fromkeys(names, 0.0) | {"qnu_mumu_em8": q}
        point |= dict(zip(common, shared, strict=True))
        apart = 2 * single.twice_nll([point[n] for n in single.names], one.data)
        together = both.twice_nll([point[n] for n in names], two.data)
        # constraints of shared nuisances are there once, not twice
        constraint = np.sum(shared**2) + 5 * np.log(2 * np.pi)
        assert together == pytest.approx(apart - constraint, rel=1e-12)


def test_two_equal_experiments_give_a_shorter_interval(twin):
    fix = ("flux_sns", "ff_csi", "qf_csi_syst0", "qf_csi_syst1")
    (one,) = nuhf.limit(EXPERIMENT, "norm_cevns", fixed_nuisances=fix)
    (two,) = nuhf.limit([EXPERIMENT, twin], "norm_cevns", fixed_nuisances=fix)
    # twice the same data, all nuisances independent: the error falls by sqrt(2)
    assert np.ptp(two.intervals) == pytest.approx(np.ptp(one.intervals) / np.sqrt(2), rel=0.02)
    assert two.best_fit == pytest.approx(one.best_fit, abs=2e-3)


def test_a_combination_has_the_common_part_of_the_ranges(tmp_path):
    """4.5 to 5.8 fm in one analysis and 4.78 to 6 fm in the other; the fit counts from 5 fm."""
    name, analysis = "coherent-csi-2017", "cadeddu2020-free-rn"
    text = list_experiments()[name].read_text(encoding="utf-8")
    assert "limits = { Rn_CsI = [4.78, 6.0] }" in text

    def limited(label, ends):
        path = tmp_path / f"{label}.toml"
        changed = text.replace(f'name = "{name}"', f'name = "{label}"', 1)
        path.write_text(changed.replace("[4.78, 6.0]", ends), encoding="utf-8")
        return prepare(load(str(path), analysis))

    one, two = prepare(load(name, analysis)), limited("two", "[4.5, 5.8]")
    for pair in ([one, two], [two, one]):
        (coupling,) = assemble.describe(pair, ["Rn_CsI"]).couplings
        assert (coupling.low, coupling.high) == pytest.approx((-0.22, 0.8), abs=1e-12)
    with pytest.raises(InputError, match="no range of Rn_CsI in common"):
        assemble.describe([one, limited("apart", "[6.5, 7.0]")], ["Rn_CsI"])


def test_duplicates_are_refused(prepared, twin):
    with pytest.raises(InputError, match="given twice"):
        assemble.describe([prepared, prepared], ["qnu_ee"])
    with pytest.raises(InputError, match=f"given twice.*{EXPERIMENT}"):
        problems([EXPERIMENT, EXPERIMENT], "qnu_ee")
    with pytest.raises(InputError, match="twice: qnu_ee, qnu_ee"):
        described(prepared, "qnu_ee", "qnu_ee")
    with pytest.raises(InputError, match="both free and set"):
        described(prepared, "qnu_ee", values={"qnu_ee": 0.0})
    spec = copy.deepcopy(encode.native(described(prepared, "munu_mu")))
    spec["channels"].append(spec["channels"][0])
    with pytest.raises(ModelError, match=r"2 channels.*'coherent_csi_2021'"):
        load_model(spec)


def test_degenerate_sets_are_refused(prepared):
    for names, words in (
        (("r2nu_ee", "anu_ee"), "same direction"),
        (("munu_eff", "munu_mu"), "munu_eff"),
        (("abs_qnu_emu", "abs_r2nu_emu"), "relative phase"),
    ):
        with pytest.raises(InputError, match=words):
            pose([prepared], names[0], Options(profiled=names[1:]))


# -------------------------------------------------------------------- pseudo-counts


def gaussian_ends(pseudo_counts):
    loaded = load("conus-plus")
    if pseudo_counts:
        loaded = loaded.changed({"analyses": {"default": {"pseudo_counts": pseudo_counts}}})
    problem = pose([prepare(loaded)], "munu_e", Options())
    return problem.spec["observations"][0]["data"], questions.limit(
        problem, 0.9, "delta-chi2"
    ).upper_limit


def test_pseudo_counts_of_an_analysis():
    """More of them are nearer to the Gaussian chi2; the default corrects the slope instead."""
    (usual, end), (many, exact), (few, rough) = map(gaussian_ends, (None, 1e8, 1e4))
    assert set(many) == {1e8}
    assert set(few) == {1e4}
    assert len(set(usual)) == 1
    assert usual[0] == round(2.5e5 / np.sqrt(len(usual)))
    assert end == pytest.approx(exact, rel=1e-3)
    assert abs(rough / exact - 1) > 2 * abs(end / exact - 1)


def test_pseudo_counts_are_nothing_to_poisson_counts():
    """An analysis that extends a Gaussian one need not unset them."""
    changes = {"analyses": {"default": {"pseudo_counts": 1e6}}}
    one = load("coherent-csi-2021")
    specs = [pose([prepare(x)], "munu_mu", Options()).spec for x in (one, one.changed(changes))]
    assert specs[0] == specs[1]
