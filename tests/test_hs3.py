"""HS3: what is written, and that pyhs3 evaluates it to our likelihood."""

import json

import numpy as np
import pytest
from conftest import problems

import nuhf
from nuhf.errors import ModelError
from nuhf.workspaces import encode
from nuhf.workspaces.hs3 import hs3

X = "coherent-csi-2021"


def test_powers_are_generic_functions_and_everything_refers_to_something():
    content = nuhf.workspace(X, ["qnu_ee", "r2nu_ee"], encoding="hs3")
    functions = {f["name"]: f["expression"] for f in content["functions"]}
    assert functions == {
        "qnu_ee_em8_pow2": "qnu_ee_em8**2", "r2nu_ee_em32_pow2": "r2nu_ee_em32**2",
    }  # fmt: skip
    (channel,) = content["distributions"]
    native = nuhf.workspace(X, ["qnu_ee", "r2nu_ee"], encoding="native")["channels"][0]
    assert [s["name"] for s in channel["samples"]] == [s["name"] for s in native["samples"]]
    parameters = {p["name"] for p in content["parameter_points"][0]["parameters"]}
    used = {m["parameter"] for s in channel["samples"] for m in s["modifiers"]}
    assert used <= parameters | set(functions)
    (domain,) = content["domains"]
    assert {axis["name"] for axis in domain["axes"]} == parameters
    (analysis,) = content["analyses"]
    assert analysis["parameters_of_interest"] == ["qnu_ee_em8"]
    assert analysis["domains"] == [domain["name"]]
    assert content["metadata"]["hs3_version"] == "0.2"


def test_command_says_the_unit(cli, work):
    ran = cli("workspace", X, "-p", "qnu_ee", "--encoding", "hs3", "-o", "q.json")
    assert ran.err == "wrote q.json (POI qnu_ee_em8: qnu_ee in 1e-8 e)\n"
    assert "likelihoods" in json.loads((work / "q.json").read_text())


def test_other_modifiers_are_refused():
    spec = nuhf.workspace(X, "munu_mu")
    spec["channels"][0]["samples"][0]["modifiers"].append(
        {"name": "free", "type": "shapefactor", "data": None}
    )
    with pytest.raises(ModelError, match="modifier 'free' has type 'shapefactor'"):
        hs3(spec)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "parameter"),
    [("dresden-2", "qnu_ee"), ("xenonnt-sr0", "munu_eff"), ("coherent-csi-2017", "qnu_mumu")],
)
def test_pyhs3_has_our_likelihood(name, parameter):
    """2NLL to 1e-7 at three points; where written 1e-9 and better."""
    pyhs3 = pytest.importorskip("pyhs3")
    pytensor = pytest.importorskip("pytensor")
    traversal = pytest.importorskip("pytensor.graph.traversal")
    (problem,) = problems(name, parameter)
    workspace = pyhs3.Workspace(**hs3(encode.native(problem.description)))
    model = workspace.model(workspace.analyses[0], progress=False)
    twice_nll = -2 * model.log_prob
    inputs = list(traversal.explicit_graph_inputs([twice_nll]))
    function = pytensor.function(inputs, twice_nll)
    compiled, rng = problem.engine.compiled, np.random.default_rng(1)
    for i in range(3):
        theta = compiled.inits + 0.3 * (i > 0) * rng.normal(size=compiled.inits.size)
        theta = np.clip(theta, *compiled.bounds.T)
        values = dict(zip(compiled.names, theta, strict=True)) | model.data
        arguments = [np.asarray(values[v.name], dtype=v.dtype) for v in inputs]
        shaped = [
            a.reshape(a.shape or (1,) * v.ndim) for a, v in zip(arguments, inputs, strict=True)
        ]
        theirs = float(np.ravel(function(*shaped))[0])
        assert theirs == pytest.approx(float(compiled.twice_nll(theta, problem.data)), abs=1e-7)
