"""The layout straight from nuhf's JSON is the one of pyhf, so both read points and data alike."""

import numpy as np
import pytest

import nuhf
from nuhf.errors import ModelError
from nuhf.likelihood.evaluate import compile_layout, compile_model
from nuhf.likelihood.layout import layout_of, native_layout
from nuhf.workspaces.native import load_model


def agree(made):
    spec = made.workspace("native")
    model, data = load_model(spec)
    assert native_layout(spec) == layout_of(model)
    np.testing.assert_array_equal(made.data, data)
    return spec, model


@pytest.mark.parametrize("name", nuhf.experiments())
def test_layout_of_native_workspaces_is_that_of_pyhf(name):
    for analysis in nuhf.load(name).analyses:
        agree(nuhf.model(name, nuhf.load(name, analysis).parameters[0], analysis=analysis))


def test_layout_has_settings_of_held_and_profiled_parameters():
    spec, model = agree(
        nuhf.model(
            ["coherent-csi-2021", "xenonnt-sr0"],
            "qnu_ee",
            profiled=["qnu_emu"],
            fixed_nuisances={"flux_sns": 0.5},
            mask=["coherent_csi_2021:1-5"],
        )
    )
    compiled = compile_layout(native_layout(spec))
    index = compiled.index("flux_sns")
    assert compiled.fixed[index]
    assert compiled.inits[index] == 0.5
    twin = compile_model(model)
    np.testing.assert_array_equal(compiled.expected(twin.inits), twin.expected(twin.inits))


def test_names_that_mean_two_things_are_refused():
    spec = nuhf.model("dresden-2", "munu_e").workspace("native")
    name = spec["measurements"][0]["config"]["poi"]
    modifiers = spec["channels"][0]["samples"][0]["modifiers"]
    modifiers.append({"name": name, "type": "normsys", "data": {"hi": 2.0, "lo": 1.0}})
    with pytest.raises(ModelError, match=f"'{name}' is a nuisance with a constraint and a free"):
        native_layout(spec)
    modifiers[-1]["type"] = "lumi"
    with pytest.raises(ModelError, match="has type 'lumi'; the native encoding knows"):
        native_layout(spec)


def test_a_parameter_of_interest_that_nothing_depends_on_is_refused():
    spec = nuhf.model("dresden-2", "munu_e").workspace("native")
    spec["measurements"][0]["config"]["poi"] = "qnu_ee"
    with pytest.raises(ModelError, match="nothing depends on the parameter of interest 'qnu_ee'"):
        native_layout(spec)
