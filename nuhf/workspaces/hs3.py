"""Write a workspace as HS3 JSON: powers of couplings as generic functions, exact.

HS3 (the HEP Statistics Serialization Standard, version 0.2) is what RooFit and pyhs3 read. A
sample of theta^2 has a normfactor whose parameter is the generic function ``theta**2``; all else
is HistFactory's as in pyhf.
"""

from collections.abc import Mapping
from typing import Any, Final

from nuhf.likelihood.layout import native_layout
from nuhf.workspaces import names

Json = dict[str, Any]

HS3_VERSION: Final = "0.2"


def hs3(spec: Mapping[str, Any]) -> Json:
    """Turn a native workspace (`nuhf.workspaces.encode.native`) into HS3.

    `ModelError` for modifiers that nuhf does not write, as `native_layout`.
    """
    from importlib.metadata import version

    sets = native_layout(spec).by_name
    parameters = [(n, *sets[n].inits, *sets[n].bounds[0]) for n in names.kinds(spec["channels"])]
    functions: dict[str, str] = {}
    observed = {entry["name"]: entry["data"] for entry in spec["observations"]}
    (measurement,) = spec["measurements"]
    config = measurement["config"]
    distributions, data = [], []
    for channel in spec["channels"]:
        name = channel["name"]
        bins = len(channel["samples"][0]["data"])
        axes = [{"name": f"bin_{name}", "min": 0.0, "max": float(bins), "nbins": bins}]
        samples = [_sample(sample, functions) for sample in channel["samples"]]
        distributions.append(
            {"name": name, "type": "histfactory_dist", "axes": axes, "samples": samples}
        )
        data.append({"name": f"{name}_data", "type": "binned", "axes": axes,
                     "contents": observed[name]})  # fmt: skip
    title, package = measurement["name"], {"name": "nuhf", "version": version("nuhf")}
    return {
        "metadata": {"hs3_version": HS3_VERSION, "packages": [package]},
        "distributions": distributions,
        "functions": [
            {"name": name, "type": "generic_function", "expression": expression}
            for name, expression in functions.items()
        ],
        "data": data,
        "likelihoods": [
            {
                "name": f"{title}_likelihood",
                "distributions": [entry["name"] for entry in distributions],
                "data": [entry["name"] for entry in data],
            }
        ],
        "domains": [
            {
                "name": f"{title}_domain",
                "type": "product_domain",
                "axes": [
                    {"name": name, "min": low, "max": high} for name, _, low, high in parameters
                ],
            }
        ],
        "parameter_points": [
            {
                "name": "default_values",
                "parameters": [{"name": name, "value": value} for name, value, _, _ in parameters],
            }
        ],
        "analyses": [
            {
                "name": title,
                "likelihood": f"{title}_likelihood",
                "domains": [f"{title}_domain"],
                "parameters_of_interest": [config["poi"]],
                "init": "default_values",
            }
        ],
    }


def _sample(sample: Mapping[str, Any], functions: dict[str, str]) -> Json:
    found: list[Json] = []
    for modifier in sample["modifiers"]:
        name, kind, data = modifier["name"], modifier["type"], modifier["data"]
        if kind == "powerfactor":
            power = f"{name}_pow{data['exponent']}"
            functions[power] = f"{name}**{data['exponent']}"
            found.append({"name": power, "type": "normfactor", "parameter": power})
        elif kind == "normfactor":
            found.append({"name": name, "type": kind, "parameter": name})
        else:
            ends = {"hi": data["hi"], "lo": data["lo"]} if kind == "normsys" else {
                "hi": {"contents": data["hi_data"]}, "lo": {"contents": data["lo_data"]},
            }  # fmt: skip
            code = "code4" if kind == "normsys" else "code4p"
            found.append(
                {
                    "name": name,
                    "type": kind,
                    "parameter": name,
                    "constraint": "Gauss",
                    "data": {**ends, "interpolation": code},
                }
            )
    return {"name": sample["name"], "data": {"contents": sample["data"]}, "modifiers": found}
