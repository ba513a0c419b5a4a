"""Compiled models against pyhf: expectation, likelihood, derivatives and fits."""

import numpy as np
import pyhf
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from iminuit import Minuit

from nuhf.errors import InputError, ModelError
from nuhf.likelihood.evaluate import compile_model
from nuhf.likelihood.fit import best_of, fit, refit_with_minuit, refit_with_pyhf
from nuhf.workspaces.native import load_model, modifier_set

X = np.linspace(0.0, 1.0, 6)


def modifier(kind, name, data=None):
    return {"name": name, "type": kind, "data": data}


def power(name, exponent):
    return modifier("powerfactor", name, {"exponent": exponent})


def normsys(name, lo, hi):
    return modifier("normsys", name, {"lo": lo, "hi": hi})


def histosys(name, nominal, tilt, bend=0.0):
    """Bend 0 is symmetric: code4p is then linear."""
    nominal = np.asarray(nominal)
    shift = tilt * nominal * (X - 0.4)
    return modifier(
        "histosys",
        name,
        {"lo_data": list(nominal - shift + bend), "hi_data": list(nominal + shift + bend)},
    )


def sample(name, data, *modifiers):
    return {"name": name, "data": [float(v) for v in data], "modifiers": list(modifiers)}


def workspace(channels, observed, parameters, poi="q"):
    return {
        "channels": [{"name": c, "samples": s} for c, s in channels.items()],
        "observations": [{"name": c, "data": list(map(float, observed[c]))} for c in channels],
        "measurements": [{"name": "m", "config": {"poi": poi, "parameters": parameters}}],
        "version": "1.0.0",
    }


MONOMIALS = {"q": {"q": 1}, "qq": {"q": 2}, "r": {"r": 1}, "rr": {"r": 2}, "qr": {"q": 1, "r": 1}}


def signal(scale, extra=()):
    """SM rate and its five monomials of (1 + a q + b r)^2, the linear ones negative."""
    lin_q, lin_r = -0.25 / (X + 0.3), -0.2 * np.ones_like(X)
    shapes = {
        "sm": np.ones_like(X),
        "q": 2 * lin_q,
        "qq": lin_q**2,
        "r": 2 * lin_r,
        "rr": lin_r**2,
        "qr": 2 * lin_q * lin_r,
    }
    rate = scale * 120 * np.exp(-1.5 * X)
    out = []
    for name, shape in shapes.items():
        data = rate * shape
        factors = [power(p, n) for p, n in MONOMIALS.get(name, {}).items()]
        systematics = [
            normsys("flux", 0.9, 1.1),
            normsys("qf", 0.93, 1.1),
            histosys("qf", data, 0.2, 0.5),
            histosys("eff", data, 0.1),
        ]
        out.append(sample(name, data, *factors, *systematics, *extra))
    return out


COUPLINGS = [{"name": n, "bounds": [[-4.0, 4.0]], "inits": [0.1]} for n in ("q", "r")]
LUMI = {"name": "lumi", "auxdata": [1.0], "sigmas": [0.03], "bounds": [[0.7, 1.3]], "inits": [1.0]}


def couplings_spec():
    """Two channels, two couplings, no per-bin parameters: what nuhf builds mostly."""
    background = 60 * np.exp(-X) + 5
    channels = {
        "near": [*signal(1.0), sample("bkg", background, normsys("bkg", 0.8, 1.25))],
        "far": [*signal(0.4), sample("bkg", background / 2, normsys("bkg", 0.8, 1.25))],
    }
    observed = {"near": [180, 160, 120, 100, 75, 60], "far": [85, 70, 58, 40, 33, 22]}
    return workspace(channels, observed, COUPLINGS)


def everything_spec():
    """Every supported modifier, samples in one channel only, empty bins, gammas that overlap."""
    stat = modifier("staterror", "stat_near", [3.0, 2.5, 2.0, 2.0, 1.5, 0.0])
    background = 60 * np.exp(-X) + 5
    shape = modifier("shapesys", "shape", [6.0, 5.0, 4.0, 4.0, 3.0, 3.0])
    steady = np.array([12.0, 10.0, 8.0, 0.0, 4.0, 2.0])
    channels = {
        "near": [
            *signal(1.0, (modifier("lumi", "lumi"),)),
            sample("bkg", background, normsys("bkg", 0.8, 1.25), stat, shape),
            sample("extra", background / 3, modifier("normfactor", "k"), stat),
        ],
        "far": [
            *signal(0.4, (modifier("lumi", "lumi"),)),
            sample("steady", steady, modifier("shapesys", "steady", [2.0, 2, 2, 0, 1, 1])),
            sample("normed", background / 4, modifier("normfactor", "q"), power("q", 2)),
            sample("zero", np.zeros_like(X), modifier("normfactor", "unused")),
        ],
    }
    observed = {"near": [180, 170, 130, 110, 85, 70], "far": [80, 66, 50, 30, 28, 21]}
    k = {"name": "k", "bounds": [[0.0, 5.0]], "inits": [1.0]}
    return workspace(channels, observed, [*COUPLINGS, LUMI, k])


def double_minimum_spec():
    """One coupling with (1 - q/2)^2: q and 4 - q nearly the same rate, told apart by shape."""
    rate = 200 * np.exp(-X)
    channels = {
        "one": [
            sample("sm", rate, normsys("flux", 0.95, 1.05)),
            sample("q", -rate * (1 + 0.1 * X), power("q", 1), normsys("flux", 0.95, 1.05)),
            sample("qq", rate / 4, power("q", 2), normsys("flux", 0.95, 1.05)),
            sample("bkg", 20 + 0 * X),
        ]
    }
    observed = {"one": np.round(rate + 20)}
    parameters = [{"name": "q", "bounds": [[-10.0, 10.0]], "inits": [0.0]}]
    return workspace(channels, observed, parameters)


SPECS = {"couplings": couplings_spec, "everything": everything_spec}


@pytest.fixture(scope="module", params=list(SPECS))
def pair(request):
    model, data = load_model(SPECS[request.param]())
    return model, compile_model(model), data


def positive_points(model, compiled, rng, number):
    """Random parameters inside the bounds that give positive expectations."""
    points = []
    while len(points) < number:
        width = np.where(np.abs(compiled.bounds).max(axis=1) > 1.5, 1.2, 0.1)
        point = compiled.inits + width * rng.normal(size=len(compiled.names))
        binned = ["[" in name for name in compiled.names]
        point = np.where(binned, np.exp(0.1 * rng.normal(size=len(point))), point)
        point = np.clip(point, *compiled.bounds.T)
        if (model.expected_actualdata(point) > 0).all():
            points.append(point)
    return np.array(points)


def toys(compiled, rng, number, **values):
    truth = compiled.inits.copy()
    for name, value in values.items():
        truth[compiled.index(name)] = value
    expected = compiled.expected_full(truth)
    out = np.tile(expected, (number, 1))
    out[:, : compiled.n_main] = rng.poisson(
        expected[: compiled.n_main], out[:, : compiled.n_main].shape
    )
    c = compiled.constraints
    aux = out[:, compiled.n_main :]
    aux[:, c.normal_aux] = rng.normal(aux[:, c.normal_aux], c.normal_sigma)
    aux[:, c.poisson_aux] = rng.poisson(aux[:, c.poisson_aux])
    return out


# ------------------------------------------------------------------ expectation and likelihood

ALPHA = st.one_of(st.floats(-3, 3), st.sampled_from([-1.0, 0.0, 1.0, -1 - 1e-12, 1 + 1e-12]))


@settings(max_examples=150, deadline=None, derandomize=True)
@given(st.data())
def test_expected_counts_equal_pyhf(pair, data):
    model, compiled, _ = pair
    theta = []
    for name, (lo, hi) in zip(compiled.names, compiled.bounds, strict=True):
        near_one = "[" in name or name == "lumi"
        theta.append(data.draw(st.floats(max(lo, 0.5), min(hi, 2)) if near_one else ALPHA))
    by_sample = np.abs(model.main_model.expected_data(theta, return_by_sample=True)).sum(axis=0)
    difference = compiled.expected(theta) - model.expected_actualdata(theta)
    # Relative to the sum of magnitudes: monomials of opposite sign may cancel to nothing.
    assert (np.abs(difference) <= 1e-10 * by_sample).all()
    full = compiled.expected_full(theta)[compiled.n_main :]
    np.testing.assert_allclose(full, model.expected_auxdata(theta), rtol=1e-12, atol=1e-12)


def test_twice_nll_equals_pyhf(pair):
    model, compiled, data = pair
    rng = np.random.default_rng(1)
    points = positive_points(model, compiled, rng, 40)
    shifted = data + 0.25  # also for counts that are not integers
    for observed in (data, shifted):
        expected = [-2 * model.logpdf(point, observed)[0] for point in points]
        np.testing.assert_allclose(compiled.twice_nll(points, observed), expected, rtol=1e-8)


def test_saturated_likelihood_is_the_lowest_possible(pair):
    model, compiled, data = pair
    for point in positive_points(model, compiled, np.random.default_rng(15), 5):
        asimov = compiled.expected_full(point)
        saturated = compiled.saturated_twice_nll(asimov)
        np.testing.assert_allclose(saturated, compiled.twice_nll(point, asimov), rtol=1e-12)
        assert compiled.twice_nll(point, data) > compiled.saturated_twice_nll(data)


def test_leading_axes_broadcast(pair):
    model, compiled, data = pair
    points = positive_points(model, compiled, np.random.default_rng(2), 6)
    grid = points.reshape(2, 3, -1)
    stack = np.stack([data, data + 1.0, data + 2.0])
    value = compiled.twice_nll(grid, stack)
    assert value.shape == (2, 3)
    assert value[1, 2] == pytest.approx(compiled.twice_nll(points[5], stack[2]), rel=1e-14)
    assert compiled.jacobian(grid).shape == (2, 3, len(compiled.names), compiled.n_main)
    np.testing.assert_allclose(
        compiled.gradient(grid, data)[1, 2], compiled.gradient(points[5], data)
    )


def empty_bin(nominal, observed):
    channels = {"one": [sample("s", nominal, modifier("normfactor", "q"))]}
    spec = workspace(channels, {"one": observed}, [{"name": "q", "bounds": [[-5, 5]]}])
    model, data = load_model(spec)
    return model, compile_model(model), data


def test_expectations_outside_the_domain():
    model, compiled, data = empty_bin([5.0, 0.0], [4.0, 0.0])
    # lambda = 0 with n = 0 costs nothing, as in pyhf.
    assert compiled.twice_nll([1.0], data) == pytest.approx(-2 * model.logpdf([1.0], data)[0])
    assert compiled.gradient([1.0], data)[0] == pytest.approx(2 * (5.0 - 4.0))
    for q in (0.0, -1.0):
        assert compiled.twice_nll([q], data) == np.inf
    assert compiled.twice_nll([np.nan], data) == np.inf
    model, compiled, data = empty_bin([5.0, 0.0], [4.0, 1.0])
    assert compiled.twice_nll([1.0], data) == np.inf
    # pyhf rewards an empty bin for what it expects below zero; here that is impossible
    model, compiled, data = empty_bin([5.0], [0.0])
    assert -2.0 * model.logpdf([-1.0], data)[0] == pytest.approx(-10.0)
    assert compiled.twice_nll([-1.0], data) == np.inf
    assert compiled.twice_nll([-1e-9], data) == 0.0


def test_fits_stop_where_the_model_becomes_impossible():
    """Two bins that one parameter moves against each other; by hand where the second is empty.

    5 + 3 q with 2 counts falls towards q = -1.485 (11 = 6 / (5 + 3 q)), and 2 + 8 q without counts
    is positive above -1/4: the fit ends there. With a count it ends where the slope is zero.
    """
    samples = [sample("b", [5.0, 2.0]), sample("s", [3.0, 8.0], modifier("normfactor", "q"))]
    spec = workspace({"one": samples}, {"one": [2.0, 0.0]}, [{"name": "q", "bounds": [[-5, 5]]}])
    model, data = load_model(spec)
    compiled = compile_model(model)
    for start in ([1.0], [-0.24], [-0.26], [-1.485], [-5.0], [5.0]):
        found = fit(compiled, data, starts=[start])
        assert found.converged.all()
        assert found.parameters[0, 0] == pytest.approx(-0.25, abs=1e-6)
        assert found.twice_nll[0] == pytest.approx(compiled.twice_nll([-0.25], data), abs=1e-5)
    one = refit_with_minuit(compiled, data, [1.0], [False])
    two = refit_with_pyhf(model, data, [1.0], [False])
    for found in (one, two):
        assert found.parameters[0, 0] == pytest.approx(-0.25, abs=1e-4)
    counted = np.array([2.0, 1.0])
    # 11 - 6/(5+3q) - 8/(2+8q) = 0
    for start in ([1.0], [-1.0], [-5.0]):
        found = fit(compiled, counted, starts=[start])
        assert found.converged.all()
        q = found.parameters[0, 0]
        assert 11 - 6 / (5 + 3 * q) - 8 / (2 + 8 * q) == pytest.approx(0.0, abs=1e-3)
        assert q > -0.25


def test_attributes(pair):
    model, compiled, _ = pair
    assert list(compiled.names) == model.config.par_names
    assert compiled.inits.tolist() == model.config.suggested_init()
    assert compiled.bounds.tolist() == [list(b) for b in model.config.suggested_bounds()]
    assert compiled.fixed.tolist() == model.config.suggested_fixed()
    with pytest.raises(InputError, match="no parameter 'nope'"):
        compiled.index("nope")


def test_wrong_shapes_and_data_are_refused(pair):
    _, compiled, data = pair
    with pytest.raises(InputError, match="last axis"):
        compiled.expected(compiled.inits[:-1])
    with pytest.raises(InputError, match="last axis"):
        compiled.twice_nll(compiled.inits, data[:-1])
    with pytest.raises(InputError, match="finite"):
        compiled.twice_nll(compiled.inits, np.where(np.arange(len(data)) == 0, -1.0, data))


# ----------------------------------------------------------------------------- derivatives


def test_jacobian_and_gradient_equal_central_differences(pair):
    model, compiled, data = pair
    points = positive_points(model, compiled, np.random.default_rng(3), 12)
    points[0, compiled.index("q")] = points[0, compiled.index("r")] = 0.0
    step = 1e-5
    steps = step * np.eye(len(compiled.names))
    for theta in points:
        # Error of central differences: h^2 f''' + eps f / h, both below 1e-6 of 1e3 here.
        numeric = (compiled.expected(theta + steps) - compiled.expected(theta - steps)) / (2 * step)
        np.testing.assert_allclose(compiled.jacobian(theta), numeric, rtol=1e-6, atol=1e-5)
        up, down = compiled.twice_nll(theta + steps, data), compiled.twice_nll(theta - steps, data)
        slope = (up - down) / (2 * step)
        np.testing.assert_allclose(compiled.gradient(theta, data), slope, rtol=1e-5, atol=1e-4)


def test_hessian_of_the_fit_equals_differences_of_the_gradient(pair):
    from nuhf.likelihood import newton as compiled_newton
    from nuhf.likelihood import objective

    model, compiled, data = pair
    points = positive_points(model, compiled, np.random.default_rng(4), 8)
    free = compiled_newton.select(compiled, np.ones(len(compiled.names), bool))
    prepared = objective.prepare(compiled, data[None])
    exact = np.ones(len(points), bool)
    gradient, hessian = compiled_newton.derivatives(
        compiled, points, compiled.expected(points), prepared, exact, free
    )
    np.testing.assert_allclose(gradient, compiled.gradient(points, data), rtol=1e-9, atol=1e-8)
    steps = 1e-5 * np.eye(len(compiled.names))
    for theta, matrix in zip(points, hessian, strict=True):
        up, down = compiled.gradient(theta + steps, data), compiled.gradient(theta - steps, data)
        np.testing.assert_allclose(matrix, (up - down) / 2e-5, rtol=1e-5, atol=1e-3)


def test_fisher_is_half_the_hessian_on_asimov_data(pair):
    model, compiled, _ = pair
    point = positive_points(model, compiled, np.random.default_rng(5), 1)[0]
    asimov = compiled.expected_full(point)
    steps = 1e-5 * np.eye(len(point))
    up, down = compiled.gradient(point + steps, asimov), compiled.gradient(point - steps, asimov)
    np.testing.assert_allclose(compiled.fisher(point), (up - down) / 4e-5, rtol=1e-5, atol=1e-3)


# ------------------------------------------------------------------------------------- fits


def profiled_t(compiled, data, value):
    """t = 2NLL(q fixed) - 2NLL(free), each the best of a few starts."""
    starts = np.tile(compiled.inits, (5, 1))
    starts[:, compiled.index("q")] = [-3.0, -1.0, 0.1, 1.0, 3.0]
    starts[:, compiled.index("r")] = [0.1, 2.0, 0.1, -2.0, 0.1]
    best = best_of(compiled, data, starts)
    starts[:, compiled.index("q")] = value
    free = ~compiled.fixed
    free[compiled.index("q")] = False
    fixed = best_of(compiled, data, starts, free=free)
    assert best.converged.all()
    assert fixed.converged.all()
    return best, fixed


def compare_with_minuit(model, compiled, data, value):
    best, fixed = profiled_t(compiled, data, value)
    # Minuit calls a minimum invalid if a parameter has no effect; hold it.
    idle = compiled.fixed | (np.diagonal(compiled.fisher(compiled.inits)) == 0)
    for i, observed in enumerate(data):
        # From our own minimum: minuit shows whether there is anything lower nearby.
        free_ref = refit_with_pyhf(model, observed, best.parameters[i], idle)
        mask = idle.copy()
        mask[compiled.index("q")] = True
        fixed_ref = refit_with_pyhf(model, observed, fixed.parameters[i], mask)
        theirs = fixed_ref.twice_nll[0] - free_ref.twice_nll[0]
        assert fixed.twice_nll[i] - best.twice_nll[i] == pytest.approx(theirs, abs=1e-4)
        assert best.twice_nll[i] <= free_ref.twice_nll[0] + 1e-6
        # From the suggested start minuit may end in a local minimum, but never lower than we.
        start = compiled.inits.copy()
        other = refit_with_pyhf(model, observed, start, idle)
        assert free_ref.converged[0]
        assert fixed_ref.converged[0]
        assert best.twice_nll[i] <= other.twice_nll[0] + 1e-4


def test_profiled_t_equals_minuit():
    model, _ = load_model(couplings_spec())
    compiled = compile_model(model)
    data = toys(compiled, np.random.default_rng(6), 20, q=0.0, r=0.0)
    compare_with_minuit(model, compiled, data, 0.5)


def test_profiled_t_equals_minuit_with_gammas():
    model, _ = load_model(everything_spec())
    compiled = compile_model(model)
    data = toys(compiled, np.random.default_rng(7), 2, q=0.3, r=0.0)
    compare_with_minuit(model, compiled, data, 0.5)


@pytest.mark.slow
def test_profiled_t_equals_minuit_on_many_toys():
    model, _ = load_model(couplings_spec())
    compiled = compile_model(model)
    data = toys(compiled, np.random.default_rng(8), 200, q=0.0, r=0.0)
    compare_with_minuit(model, compiled, data, 0.5)


def test_toys_converge_inside_their_bounds(pair):
    _, compiled, _ = pair
    data = toys(compiled, np.random.default_rng(9), 300, q=0.0, r=0.0)
    result = fit(compiled, data)
    assert result.converged.mean() > 0.99
    lower, upper = compiled.bounds.T
    assert ((result.parameters >= lower) & (result.parameters <= upper)).all()
    ok = result.converged
    assert (result.edm[ok] < 1e-9).all()
    np.testing.assert_allclose(
        result.twice_nll, compiled.twice_nll(result.parameters, data), rtol=1e-12
    )
    # At a bound the gradient may only point outwards; elsewhere it is zero.
    gradient = compiled.gradient(result.parameters, data)[ok]
    inside = ((result.parameters > lower) & (result.parameters < upper) & ~compiled.fixed)[ok]
    assert np.abs(gradient[inside]).max() < 0.02
    assert (gradient[(result.parameters <= lower)[ok] & ~compiled.fixed] >= 0).all()
    assert (gradient[(result.parameters >= upper)[ok] & ~compiled.fixed] <= 0).all()


def test_fixed_parameters_stay():
    compiled = compile_model(load_model(couplings_spec())[0])
    data = toys(compiled, np.random.default_rng(10), 5, q=0.0, r=0.0)
    values = np.array([-1.0, -0.5, 0.0, 0.5, 1.0])
    starts = np.tile(compiled.inits, (5, 1))
    starts[:, compiled.index("q")] = values
    free = np.arange(len(compiled.names)) != compiled.index("q")
    result = fit(compiled, data, starts=starts, free=free)
    assert (result.parameters[:, compiled.index("q")] == values).all()
    nothing_free = fit(compiled, data, starts=starts, free=np.zeros_like(free))
    np.testing.assert_array_equal(nothing_free.parameters, starts)
    assert (nothing_free.twice_nll >= result.twice_nll).all()


def test_batch_does_not_change_a_fit():
    compiled = compile_model(load_model(couplings_spec())[0])
    data = toys(compiled, np.random.default_rng(11), 40, q=0.0, r=0.0)
    together = fit(compiled, data)
    alone = [fit(compiled, observed) for observed in data]
    np.testing.assert_allclose(
        together.twice_nll, [one.twice_nll[0] for one in alone], rtol=0, atol=1e-8
    )


def test_bound_on_the_way_to_the_minimum():
    spec = couplings_spec()
    spec["measurements"][0]["config"]["parameters"][0]["bounds"] = [[0.2, 0.4]]
    spec["measurements"][0]["config"]["parameters"][0]["inits"] = [0.3]
    compiled = compile_model(load_model(spec)[0])
    wide = compile_model(load_model(couplings_spec())[0])
    data = toys(wide, np.random.default_rng(12), 30, q=-1.0, r=0.0)
    result = fit(compiled, data)
    assert result.converged.all()
    q = result.parameters[:, compiled.index("q")]
    assert ((q >= 0.2) & (q <= 0.4)).all()
    assert (q == 0.2).any()


def test_two_minima_are_both_found():
    model, data = load_model(double_minimum_spec())
    compiled = compile_model(model)
    q = compiled.index("q")
    starts = np.tile(compiled.inits, (2, 1))
    starts[:, q] = [0.0, 6.0]
    local = fit(compiled, data, starts=starts)
    assert local.converged.all()
    low, high = local.parameters[:, q]
    assert abs(low) < 0.5
    assert 3.0 < high < 6.0
    for i in range(2):
        reference = refit_with_pyhf(model, data, starts[i], compiled.fixed)
        assert local.twice_nll[i] == pytest.approx(reference.twice_nll[0], abs=1e-4)
    best = best_of(compiled, np.stack([data, data]), starts)
    assert best.start.tolist() == [local.twice_nll.argmin()] * 2
    np.testing.assert_allclose(best.twice_nll, local.twice_nll.min(), rtol=1e-12)


def test_a_saddle_is_not_a_minimum():
    """A coupling that enters only squared has zero slope at 0, whatever the data want."""
    channels = {"one": [sample("bkg", 50 + 0 * X), sample("qq", 10 * (1 + X), power("q", 2))]}
    parameters = [{"name": "q", "bounds": [[-5.0, 5.0]], "inits": [0.0]}]
    spec = workspace(channels, {"one": 50 + 20 * (1 + X)}, parameters)
    model, data = load_model(spec)
    result = fit(compile_model(model), data)
    assert result.converged[0]
    assert abs(result.parameters[0, 0]) == pytest.approx(np.sqrt(2.0), rel=1e-5)


def test_start_where_the_slope_of_scoring_vanishes():
    """At q = 2 the rate of (1 - q/2)^2 is stationary: scoring alone never leaves it."""
    model, data = load_model(double_minimum_spec())
    compiled = compile_model(model)
    starts = np.tile(compiled.inits, (3, 1))
    starts[:, compiled.index("q")] = [1.999, 2.0, 2.05]
    result = fit(compiled, data, starts=starts)
    assert result.converged.all()
    assert (np.abs(result.parameters[:, compiled.index("q")] - 2) > 1).all()


def test_what_does_not_converge_is_said():
    compiled = compile_model(load_model(couplings_spec())[0])
    data = toys(compiled, np.random.default_rng(13), 3, q=0.0, r=0.0)
    result = fit(compiled, data, max_iterations=1)
    assert not result.converged.any()
    assert (result.edm > 1e-9).all()
    # no number at the start: nothing to fit, and no exception for the others
    _, compiled, data = empty_bin([5.0], [4.0])
    held = np.zeros(1, dtype=bool)
    result = fit(compiled, data, starts=[[np.nan], [1.0]], free=held)
    assert result.converged.tolist() == [False, True]
    assert result.twice_nll[0] == np.inf
    # where nothing allowed is expected the fit finds its way out
    assert fit(compiled, data, starts=[[-1.0]]).parameters[0, 0] == pytest.approx(0.8)


def test_large_counts_keep_their_precision():
    """Pedestals of 1e8 events: differences of 2NLL must survive."""
    channels = {
        "one": [sample("pedestal", 1e8 + 0 * X), sample("s", 1e4 * X, modifier("normfactor", "q"))]
    }
    observed = {"one": 1e8 + 1e4 * X * 0.7}
    model, data = load_model(workspace(channels, observed, [{"name": "q", "bounds": [[-9, 9]]}]))
    compiled = compile_model(model)
    start = compiled.inits.copy()
    start[compiled.index("q")] = 0.2
    held = np.arange(len(compiled.names)) == compiled.index("q")
    free, fixed = fit(compiled, data), fit(compiled, data, starts=start, free=~held)
    assert free.converged[0]
    assert free.parameters[0, 0] == pytest.approx(0.7, abs=1e-5)
    expected = ((0.5 * 1e4 * X) ** 2 / 1e8).sum()
    assert fixed.twice_nll[0] - free.twice_nll[0] == pytest.approx(expected, rel=1e-3)


def test_inputs_of_fits_are_checked():
    compiled = compile_model(load_model(couplings_spec())[0])
    data = toys(compiled, np.random.default_rng(14), 3)
    with pytest.raises(InputError, match="outside its bounds"):
        fit(compiled, data, starts=compiled.inits + 10)
    with pytest.raises(InputError, match="3 data sets and 2 starting points"):
        fit(compiled, data, starts=np.tile(compiled.inits, (2, 1)))
    with pytest.raises(InputError, match="do not fit a model"):
        fit(compiled, data, free=[True])
    with pytest.raises(InputError, match="no parameter"):
        compiled.index("nope")
    with pytest.raises(InputError, match=r"\(S, P\)"):
        best_of(compiled, data, compiled.inits)


def test_refit_restores_the_backend():
    model, data = load_model(double_minimum_spec())
    compiled = compile_model(model)
    before = pyhf.get_backend()
    result = refit_with_pyhf(model, data, compiled.inits, compiled.fixed)
    assert pyhf.get_backend() == before
    assert result.converged[0]
    with pytest.raises(InputError, match="outside its bounds"):
        refit_with_pyhf(model, data, compiled.inits + 99, compiled.fixed)
    assert pyhf.get_backend() == before


# ------------------------------------------------------------------------------ refusals


def plain_spec(*modifiers):
    return {"channels": [{"name": "c", "samples": [sample("s", 5 + X, *modifiers)]}]}


def test_a_shape_for_channels_of_different_lengths_is_refused():
    """pyhf takes its first parameter for every bin that the shape is too short for."""
    spec = plain_spec(modifier("shapefactor", "free"))
    longer = [sample("s", [*(5 + X), 4.0], modifier("shapefactor", "free"))]
    spec["channels"].append({"name": "d", "samples": longer})
    with pytest.raises(ModelError, match=r"shapefactor .free. has 6 parameters.* 7 bins"):
        compile_model(pyhf.Model(spec, poi_name=None))


@pytest.mark.parametrize(("kind", "code"), [("normsys", "code1"), ("histosys", "code0")])
def test_other_interpolations_are_refused(kind, code):
    codes = {"normsys": {"interpcode": "code4"}, "histosys": {"interpcode": "code4p"}}
    codes[kind] = {"interpcode": code}
    mods = [normsys("a", 0.9, 1.1), histosys("b", 5 + X, 0.1)]
    model = pyhf.Model(plain_spec(*mods), poi_name=None, modifier_settings=codes)
    with pytest.raises(ModelError, match=f"{kind} with interpolation {code}"):
        compile_model(model)


def test_clipping_empty_and_negative_models_are_refused():
    spec = plain_spec(normsys("a", 0.9, 1.1))
    with pytest.raises(ModelError, match="clips"):
        compile_model(pyhf.Model(spec, poi_name=None, clip_bin_data=1e-6))
    spec["channels"][0]["samples"][0]["data"] = [0.0] * len(X)
    with pytest.raises(ModelError, match="zero in every bin"):
        compile_model(pyhf.Model(spec, poi_name=None))
    with np.errstate(all="ignore"):
        model = pyhf.Model(plain_spec(normsys("a", 0.0, 1.1)), poi_name=None)
    with pytest.raises(ModelError, match="'a' on sample 's' of channel 'c'"):
        compile_model(model)


def test_equal_rows_are_merged():
    """Samples with the same factors share their rows, however many there are."""
    flux = normsys("flux", 0.9, 1.1)
    one = {"channels": [{"name": "c", "samples": [sample("a", 5 + X, flux)]}]}
    many = {"channels": [{"name": "c", "samples": [sample(str(i), 5 + X, flux) for i in range(9)]}]}
    shapes = [
        compile_model(pyhf.Model(s, poi_name=None, modifier_set=modifier_set())).tables.matrix.shape
        for s in (one, many)
    ]
    assert shapes[0] == shapes[1]


def test_minuit_is_silent_whatever_others_have_set(capfd):
    """Its level of messages is one for the whole process; cabinetry raises it."""
    model, _ = load_model(couplings_spec())
    data = np.concatenate([model.expected_actualdata(model.config.suggested_init()),
                           model.config.auxdata])  # fmt: skip
    start, fixed = model.config.suggested_init(), model.config.suggested_fixed()
    loud = Minuit(lambda x: x**2, 1.0)
    before, loud.print_level = loud.print_level, 3
    try:
        refit_with_pyhf(model, data, start, fixed)
        refit_with_minuit(compile_model(model), data, start, fixed)
        assert loud.print_level == 3
        assert capfd.readouterr().out == ""
        loud.migrad()  # so that the test could fail
        assert capfd.readouterr() != ("", "")
    finally:
        loud.print_level = before
