"""The powerfactor modifier: equal to explicit scaling, and strict about its input."""

import copy
import json

import numpy as np
import pyhf
import pytest

from nuhf.errors import ModelError
from nuhf.workspaces.native import MAX_EXPONENT, extended_schema, load_model, load_workspace

EXPONENTS = {"linear": 1, "square": 2, "cube": 3}


def powerfactor(name, exponent):
    return {"name": name, "type": "powerfactor", "data": {"exponent": exponent}}


def normfactor(name):
    return {"name": name, "type": "normfactor", "data": None}


def channel_samples(scale):
    """Background, and three monomials of q of which the odd ones interfere destructively."""
    normsys = {"name": "flux", "type": "normsys", "data": {"lo": 0.9, "hi": 1.2}}
    samples = [{"name": "bkg", "data": [scale * 50.0, scale * 40.0], "modifiers": [normsys]}]
    for name, n in EXPONENTS.items():
        data = [(-1) ** n * scale * 2.0 / n, (-1) ** n * scale * 1.0 / n]
        samples.append({"name": name, "data": data, "modifiers": [powerfactor("q", n), normsys]})
    return samples


def workspace(channels=None):
    channels = channels or {"one": channel_samples(1.0), "two": channel_samples(0.5)}
    return {
        "channels": [{"name": c, "samples": s} for c, s in channels.items()],
        "observations": [{"name": c, "data": [45.0, 30.0]} for c in channels],
        "measurements": [
            {
                "name": "first",
                "config": {
                    "poi": "q",
                    "parameters": [{"name": "q", "bounds": [[-10, 10]], "inits": [0.0]}],
                },
            },
            {"name": "second", "config": {"poi": "", "parameters": []}},
        ],
        "version": "1.0.0",
    }


def simple(modifiers, data=(5.0, 5.0)):
    sample = {"name": "signal", "data": list(data), "modifiers": modifiers}
    return workspace({"one": [sample]})


def scaled_by_hand(q):
    """The same workspace in plain pyhf, its monomials multiplied by q**n beforehand."""
    spec = workspace()
    for channel in spec["channels"]:
        for sample in channel["samples"]:
            n = EXPONENTS.get(sample["name"], 0)
            sample["data"] = [q**n * value for value in sample["data"]]
            sample["modifiers"] = [*sample["modifiers"][-1:], normfactor("unit")]
    spec["measurements"] = [{"name": "m", "config": {"poi": "unit", "parameters": []}}]
    return pyhf.Workspace(spec).model()


@pytest.mark.parametrize("q", [-3.0, -0.5, 0.0, 0.7, 2.5])
def test_equals_a_workspace_scaled_by_hand(q):
    model, _ = load_model(workspace())
    plain = scaled_by_hand(q)
    for flux in (-1.5, 0.0, 0.4):
        by_name = {"q": q, "flux": flux, "unit": 1.0}
        ours = model.expected_data([by_name[name] for name in model.config.par_order])
        theirs = plain.expected_data([by_name[name] for name in plain.config.par_order])
        np.testing.assert_allclose(ours, theirs, rtol=1e-13)


def test_exponent_one_is_a_normfactor():
    with_power, data = load_model(simple([powerfactor("q", 1)]))
    with_norm, _ = load_model(simple([normfactor("q")]))
    for q in (-2.0, 0.0, 1.3):
        np.testing.assert_array_equal(with_power.expected_data([q]), with_norm.expected_data([q]))
    assert with_power.config.suggested_bounds() == with_norm.config.suggested_bounds()
    assert data.tolist() == [45.0, 30.0]


def test_largest_exponent():
    model, _ = load_model(simple([powerfactor("q", MAX_EXPONENT)]))
    np.testing.assert_allclose(model.expected_data([1.5]), 5.0 * 1.5**MAX_EXPONENT, rtol=1e-14)


@pytest.mark.parametrize("same_sample", [True, False])
def test_shares_its_name_with_a_normfactor(same_sample):
    if same_sample:
        spec = simple([powerfactor("q", 2), normfactor("q")])
        expected = [5.0 * 8, 5.0 * 8]
    else:
        samples = [
            {"name": "a", "data": [1.0, 2.0], "modifiers": [normfactor("q")]},
            {"name": "b", "data": [10.0, 20.0], "modifiers": [powerfactor("q", 2)]},
        ]
        spec = workspace({"one": samples})
        expected = [2 + 40, 4 + 80]
    model, _ = load_model(spec)
    assert model.config.par_order == ["q"]
    np.testing.assert_allclose(model.expected_data([2.0]), expected)


def test_batched_model_agrees_with_single_ones():
    spec = load_workspace(workspace())
    model, _ = load_model(workspace())
    from nuhf.workspaces.native import modifier_set

    with extended_schema():
        batched = spec.model(modifier_set=modifier_set(), batch_size=3)
    points = np.array([[0.3, 1.0], [-0.7, -2.0], [1.4, 0.0]])
    singles = [model.expected_data(point) for point in points]
    np.testing.assert_allclose(batched.expected_data(points), singles, rtol=1e-14)


def test_follows_a_change_of_precision():
    model, _ = load_model(workspace())
    reference = np.asarray(model.expected_data([0.3, 1.7]))
    try:
        pyhf.set_backend("numpy", precision="32b")
        single = np.asarray(model.expected_data([0.3, 1.7]))
    finally:
        pyhf.set_backend("numpy", precision="64b")
    assert single.dtype == np.float32
    np.testing.assert_allclose(single, reference, rtol=1e-5)


def test_gradient_at_zero_is_finite_on_jax():
    jax = pytest.importorskip("jax")
    model, data = load_model(workspace({"one": channel_samples(1.0)}))
    start = np.array(model.config.suggested_init())
    try:
        pyhf.set_backend("jax")
        gradient = jax.jit(jax.grad(lambda p: model.logpdf(p, data)[0]))(start)
    finally:
        pyhf.set_backend("numpy")
    assert np.isfinite(np.asarray(gradient)).all()


@pytest.mark.parametrize("exponent", [0, 9, -1, 1.5, "2", None, True])
def test_exponents_outside_the_schema_are_refused_in_words(exponent):
    spec = simple([powerfactor("q", exponent)])
    with pytest.raises(ModelError, match=r"'q' on sample 'signal'.*integer n from 1 to 8"):
        load_model(spec)
    # The schema itself refuses it, not only our words.
    with extended_schema(), pytest.raises(pyhf.exceptions.InvalidSpecification):
        pyhf.Workspace(spec)


@pytest.mark.parametrize(
    "modifier",
    [
        {"name": "q", "type": "powerfactor", "data": None},
        {"name": "q", "type": "powerfactor", "data": {"exponent": 2, "offset": 1}},
        {"name": "q", "type": "powerfactor", "data": {"exponent": 2}, "extra": 1},
        {"name": "q", "type": "powerfaktor", "data": {"exponent": 2}},
    ],
)
def test_other_schema_violations_are_refused(modifier):
    with pytest.raises(ModelError):
        load_workspace(simple([modifier]))


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        ({}, "schema"),
        ({"channels": 3}, "no workspace: it has no observations, measurements, version"),
        ({"channels": [3]}, "no workspace: it has no observations, measurements, version"),
    ],
)
def test_not_a_workspace_at_all(spec, words):
    with pytest.raises(ModelError, match=words):
        load_workspace(spec)


@pytest.mark.parametrize("modifier", [powerfactor("q", 2), normfactor("q")])
def test_the_same_modifier_twice_on_one_sample_is_refused(modifier):
    with pytest.raises(ModelError, match="allowed once per sample"):
        load_workspace(simple([modifier, copy.deepcopy(modifier)]))


def test_two_samples_of_one_name_are_refused():
    sample = {"name": "a", "data": [1.0, 2.0], "modifiers": [normfactor("q")]}
    with pytest.raises(ModelError, match="2 samples named 'a'"):
        load_workspace(workspace({"one": [sample, copy.deepcopy(sample)]}))


def test_name_clash_with_a_constrained_parameter_is_refused():
    normsys = {"name": "q", "type": "normsys", "data": {"lo": 0.9, "hi": 1.1}}
    with pytest.raises(ModelError, match="cannot build"):
        load_model(simple([powerfactor("q", 2), normsys]))


def test_measurements():
    assert load_model(workspace())[0].config.poi_name == "q"
    assert load_model(workspace(), "second")[0].config.poi_name is None
    with pytest.raises(ModelError, match=r"no measurement 'third'.*'first', 'second'"):
        load_model(workspace(), "third")


def test_observations_must_match_the_bins():
    spec = workspace()
    spec["observations"][0]["data"] = [1.0]
    with pytest.raises(ModelError, match="2 bins and 1 observed"):
        load_model(spec)
    spec["observations"].pop(0)
    with pytest.raises(ModelError, match="2 bins and none observed"):
        load_model(spec)


def test_stock_files_load_as_in_pyhf():
    spec = simple([normfactor("q"), {"name": "s", "type": "shapesys", "data": [1.0, 2.0]}])
    model, data = load_model(spec)
    stock = pyhf.Workspace(spec)
    stock_model = stock.model()
    assert data.tolist() == stock.data(stock_model)
    parameters = [0.9, 1.1, 1.2]
    np.testing.assert_array_equal(
        model.logpdf(parameters, data), stock_model.logpdf(parameters, data)
    )


def test_schema_is_extended_only_inside_the_block():
    before = pyhf.schema.path
    spec = workspace()
    text = json.dumps(spec)
    with extended_schema():
        with extended_schema():
            pyhf.Workspace(spec)
        pyhf.Workspace(spec)
    assert pyhf.schema.path == before
    with pytest.raises(pyhf.exceptions.InvalidSpecification):
        pyhf.Workspace(spec)
    assert json.dumps(spec) == text


def test_schema_is_restored_after_a_failure():
    before = pyhf.schema.path
    with pytest.raises(ModelError):
        load_workspace(simple([powerfactor("q", 0)]))
    assert pyhf.schema.path == before
    pyhf.Workspace(simple([normfactor("q")]))
