"""Files of the tests of pyhf and cabinetry, retold, with the verdict that is right for each.

JSON of github.com/scikit-hep/pyhf (Apache-2.0), read at the commits named below, and the fixtures
of `tests/conftest.py` in the sdist of cabinetry 0.6.0 (BSD-3-Clause). The right verdict is what
the tests there say (good, bad, raises), or follows from the schema 1.0.0 and from what pyhf 0.7.6
does with the file. The validation models of pyhf are in `published_pyhf`.
"""

import copy
from typing import NamedTuple

from published_pyhf import MODELS, MU, workspace


class File(NamedTuple):
    """A file, the workspace it belongs to, and what is right to say of it."""

    content: object
    ok: bool
    words: str = ""  # of an error, where it is not ok; else of a warning, if any
    workspace: object = None


# ------------------------------------------------------------------------- patch sets of pyhf

TEST_MD5 = "098f6bcd4621d373cade4e832627b4f6"
PATCH = [{"op": "add", "path": "/foo/0/bar", "value": {"foo": [1.0]}}]


def one_patch(name="Gtt_2100_5000_800", values=(2100, 800)):
    about = {"name": name, "values": list(values)}
    return {"metadata": {k: v for k, v in about.items() if v}, "patch": PATCH}


def patches(*points, version="1.0.0", without="", **metadata):
    about = {
        "references": {"hepdata": "ins1234567"},
        "description": "signal patchset for the SUSY Multi-b-jet analysis",
        "digests": {"md5": TEST_MD5},
        "labels": ["mass_stop", "mass_neutralino"],
    } | metadata
    about.pop(without, None)
    return {"metadata": about, "patches": list(points), "version": version}


def before_versions(*points, **metadata):
    """As they were before patch sets had a version."""
    made = patches(*(points or [one_patch()]), **metadata)
    del made["version"]
    return made


def older(*points, **metadata):
    """Older still: the analysis in place of the reference."""
    return before_versions(*points, without="references",
                           **{"analysis_id": "SUSY-2018-23"} | metadata)  # fmt: skip


def oldest(*points, hash=None, without="", **metadata):
    """The oldest: a hash in place of digests."""
    made = older(*points, hash=hash or {"md5": TEST_MD5}, **metadata)
    del made["metadata"]["digests"]
    made["metadata"].pop(without, None)
    return made


TEXT = "md5:1c60e7aff7adf44c2eb27a666598218e04bf2609"
SECOND = one_patch("Gtt_2200_5000_800", (2200, 800))
LABELS = ["mass_stop-", "^mass_neutralino", "bad label"]
NO_VERSION = "its version is None, and must be '1.0.0'"
MODEL = "a model specification, no workspace"

PATCH_SETS = {
    # path @ commit: good or bad by its name there; those before versions are no longer good
    "test_schema/patchset_good@64d8eb2f": File(before_versions(), False, NO_VERSION),
    "test_schema/patchset_good@0a627b8a": File(oldest(), False, NO_VERSION),
    "test_schema/patchset_good_1@43d130ec": File(oldest(hash=TEXT), False, NO_VERSION),
    "test_schema/patchset_good_2@43d130ec": File(
        oldest(hash=TEXT, without="analysis_id"), False, NO_VERSION),
    "test_schema/patchset_good_no_analysis@814dbd9f": File(
        oldest(without="analysis_id"), False, NO_VERSION),
    "test_schema/patchset_bad_1@deb53381": File(oldest(hash=TEXT, labels=LABELS), False, "schema"),
    "test_schema/patchset_bad_2@deb53381": File(oldest(one_patch(""), hash=TEXT), False, "schema"),
    "test_schema/patchset_bad_3@deb53381": File(
        oldest(hash=TEXT) | {"patches": []}, False, "schema"),
    "test_schema/patchset_bad_4@a44bb200": File(oldest(one_patch(values=())), False, "schema"),
    "test_schema/patchset_bad_6@deb53381": File(
        oldest(hash=TEXT, without="description"), False, "schema"),
    "test_schema/patchset_bad_7@a44bb200": File(oldest(without="labels"), False, "schema"),
    "test_schema/patchset_bad_no_hash@caf7d861": File(oldest(without="hash"), False, "schema"),
    "test_schema/patchset_bad_invalid_hash@5ade9dcc": File(
        oldest(hash={"nonexistent": TEST_MD5}), False, "schema"),
    "test_schema/patchset_bad_invalid_digests@470779a2": File(
        older(digests={"nonexistent": TEST_MD5}), False, "schema"),
    "test_schema/patchset_bad_no_patch_values@470779a2": File(
        older(one_patch(values=())), False, "schema"),
    "test_schema/patchset_bad_no_digests@64d8eb2f": File(
        before_versions(without="digests"), False, "schema"),
    "test_schema/patchset_bad_no_labels@64d8eb2f": File(
        before_versions(without="labels"), False, "schema"),
    "test_schema/patchset_bad_hepdata_reference@64d8eb2f": File(
        before_versions(references={"hepdata": "wrongid12374"}), False, "schema"),
    "test_schema/patchset_bad_empty_patches@75660b15": File(patches(), False, "patches"),
    "test_schema/patchset_bad_label_pattern@f3c2cf58": File(
        patches(one_patch(), labels=LABELS), False, "mass_stop-"),
    "test_schema/patchset_bad_no_description@f3c2cf58": File(
        patches(one_patch(), without="description"), False, "'description' is a required"),
    "test_schema/patchset_bad_no_patch_name@02e9543f": File(
        patches(one_patch("")), False, "'name' is a required"),
    "test_patchset/patchset_good_2_patches@6141eb75": File(
        older(one_patch(), SECOND), False, NO_VERSION),
    "test_patchset/patchset_good_stringvalues@032e4ea6": File(
        patches(one_patch(values=(2100, 800, "Gtt")),
                one_patch("Gbb_2200_5000_800", (2100, 800, "Gbb")),
                labels=["mass_stop", "mass_neutralino", "decay"]), True),
    "test_patchset/patchset_bad_duplicate_patch_name@02e9543f": File(
        patches(one_patch(), one_patch(values=(2200, 800))), False,
        "Multiple patches were defined by name"),
    "test_patchset/patchset_bad_duplicate_patch_values@f3c2cf58": File(
        patches(one_patch(), one_patch("Gtt_2200_5000_800")), False,
        "Multiple patches were defined by values"),
    "test_patchset/patchset_bad_wrong_values_multiplicity@f3c2cf58": File(
        patches(one_patch(), one_patch("Gtt_2200_5000_800", (2200, 5000, 800))), False,
        "Incompatible number of values"),
    "test_patchset/patchset_bad_wrong_valuetype@5dc122ad": File(
        patches(one_patch(values=(2100, {"a": "b"})),
                one_patch("Gtt_2200_5000_800", (2200, 5000))), False, "'a': 'b'"),
}  # fmt: skip


def today(name):
    """One from before versions as it is with the version of today, which may hide its fault."""
    content = copy.deepcopy(PATCH_SETS[f"test_{name}"].content) | {"version": "1.0.0"}
    about = content["metadata"]
    if about.pop("analysis_id", None):
        about["references"] = {"hepdata": "ins1234567"}
    return content


PATCH_SETS |= {
    f"test_{name}, with a version": File(today(name), not words, words)
    for name, words in {
        "schema/patchset_good@64d8eb2f": "",
        "patchset/patchset_good_2_patches@6141eb75": "",
        "schema/patchset_bad_invalid_digests@470779a2": "nonexistent",
        "schema/patchset_bad_no_patch_values@470779a2": "'values' is a required",
        "schema/patchset_bad_no_digests@64d8eb2f": "'digests' is a required",
        "schema/patchset_bad_no_labels@64d8eb2f": "'labels' is a required",
        "schema/patchset_bad_hepdata_reference@64d8eb2f": "wrongid12374",
    }.items()
}


def replaced(path, value):
    return {"op": "replace", "path": f"/channels/0/samples/0/{path}", "value": value}


def example_background(fixed):
    """`example_bkgonly.json`: the tutorial model of HistFactory with its four measurements."""
    spec = copy.deepcopy(MODELS["GaussExample"][0])
    (measurement,) = spec["measurements"]
    lumi, signal = measurement["config"]["parameters"]
    lumi["fixed"] = fixed
    measurement["config"]["parameters"] = [lumi, signal, {"name": "alpha_syst1", "fixed": fixed}]
    names = ("GaussExample", "GammaExample", "LogNormExample", "ConstExample")
    spec["measurements"] = [measurement | {"name": name} for name in names]
    return spec


def example_patches(digest, version="1.0.0"):
    point = {
        "metadata": {"name": "patch_channel1_signal_syst1", "values": [0]},
        "patch": [replaced("modifiers/0/data/hi", 1.2), replaced("modifiers/0/data/lo", 0.8)],
    }
    about = "patchset for validation/xmlimport_input/config/example.xml"
    return patches(
        point, version=version, labels=["x"], digests={"sha256": digest}, description=about
    )


NEW = "7c32ca3b8db75cbafcf5cd7ed4672fa2b1fa69e391c9b89068dd947a521866ec"
OLD = "d475d6bcbc17383a9ad3e157503e045a0f08676dc7a8483386a832f6cb94e4ca"

# ------------------------------------------------------------------------- workspaces of pyhf

MU_NONE = [{"name": "mu", "bounds": [[0, 10]], "fixed": False, "inits": [1]},
           {"name": "uncorr_bkguncrt", "bounds": [[1e-10, 10]], "fixed": False,
            "inits": [1]}]  # fmt: skip


def uncorrelated(signal, background, errors, observed, parameters=(), poi="mu", **changes):
    shape = {"name": "uncorr_bkguncrt", "type": "shapesys", "data": errors}
    samples = {"signal": (signal, MU), "background": (background, shape)}
    return workspace({"singlechannel": (observed, samples)}, parameters, poi) | changes


def one_channel(observed, poi, parameters=(), **samples):
    return workspace({"ch": (observed, samples)}, parameters, poi)


def without_data(spec):
    return {"channels": spec["channels"]}


def doubled(kind):
    """A model in which something stands twice."""
    spec = without_data(uncorrelated([10], [15], [5], [0]))
    (channel,) = spec["channels"]
    holder = {"channels": spec["channels"], "samples": channel["samples"],
              "modifiers": channel["samples"][0]["modifiers"]}[kind]  # fmt: skip
    holder.insert(1, copy.deepcopy(holder[0]))
    return spec


def bad_modifier(kind, data):
    value = [{"name": f"{kind}_bad", "type": kind, "data": data}]
    return [{"op": "add", "path": "/channels/0/samples/1/modifiers", "value": value}]


FOUR_BINS = workspace({"channel_1": ([3.0, 6.0, 9.0, 12.0], {
    "sample_1": ([1, 2, 3, 4], MU), "sample_2": ([2, 4, 6, 8],)})})  # fmt: skip
UNCERTAIN = {"name": "unc", "type": "normsys", "data": {"hi": 1.5, "lo": 0.5}}
SIGNAL = ([1000.0], {"name": "mu_sig", "type": "normfactor", "data": None}, UNCERTAIN)
GREEDY = {"name": "NP", "type": "staterror", "data": [1.5]}
DEMO = {"channels": uncorrelated([12.0, 11.0], [50.0, 52.0], [3.0, 7.0], [0.0])["channels"],
        "data": {"singlechannel": [51.0, 48.0]},
        "toplvl": {"measurements": [{"name": "singlechannel", "config": {"poi": "mu"}}]},
}  # fmt: skip
SOURCE = {"binning": [2, -0.5, 1.5],
          "bindata": {"data": [55.0], "bkg": [50.0], "bkgerr": [7.0], "sig": [10.0]}}  # fmt: skip
SOURCES = {"channels": {"signal": SOURCE, "control": SOURCE}}
FUNCTION = {"channels": [{"name": "c", "samples": [{"name": "s", "data": [5.0, 1.0], "modifiers": [
    {"name": "func1", "type": "purefunc"}]}]}],
    "bindings": [{"names": ["func1"], "expression": "kappa ** 2", "language": "sympy"}],
    "parameters": [{"name": "kappa", "inits": [1.8], "bounds": [[0.0, 10.0]]}]}  # fmt: skip

WORKSPACES = {
    "test_patchset/example_bkgonly@f3c2cf58": File(example_background(True), True),
    "test_patchset/example_patchset@c29b645d": File(
        example_patches(NEW), True, workspace=example_background(True)),
    "test_patchset/example_bkgonly@12f39aa8": File(  # lists of one in the place of true
        example_background([True]), False, "fixed"),
    "test_patchset/example_patchset@12f39aa8": File(
        example_patches(OLD), False, "digest", example_background(True)),
    "test_upgrade/patchset_1.0.1@679c095f": File(
        example_patches(NEW, "1.0.1"), False, "must be '1.0.0'"),
    "test_upgrade/workspace_1.0.0@679c095f": File(
        uncorrelated([5], [50], [6], [50], MU_NONE), True, "no use"),
    "test_upgrade/workspace_1.0.1@679c095f": File(
        uncorrelated([5], [50], [6], [50], MU_NONE, version="1.0.1"), False, "1.0.1"),
    "test_workspace/poiless@6ffdf0ee": File(
        uncorrelated([12, 11], [50, 52], [3, 7], [51, 48], poi=""), True),
    "test_export/workspace_integer_data@2356b074": File(
        uncorrelated([5], [50], [6], [50], MU_NONE), True, "no use"),
    "test_export/workspace_no_parameter_bounds@bb9dd235": File(
        one_channel([1000], "mu_sig", [{"name": "mu_sig", "inits": [5]}], signal=SIGNAL), True,
        "signal but no background"),
    "test_export/workspace_no_parameter_inits@609deff9": File(
        one_channel([1000], "mu_sig", [{"name": "mu_sig", "bounds": [[-5, 5]]}], signal=SIGNAL),
        True, "negative in 1 of 1 bins"),
    "test_modifiers/issue1720_greedy_staterror@0af0b2c1": File(
        one_channel([0], "NP", signal=([5],), bkg=([1], GREEDY)), True, "up to 150 %"),
    "test_modifiers/spec@34dd45c8": File(without_data(FOUR_BINS), False, MODEL),
    "test_modifiers/bad_histosys_modifier_patch@3aea7caa": File(
        bad_modifier("histosys", {"hi_data": [3, 6, 9], "lo_data": [1, 2, 3]}), False,
        "4 bins", FOUR_BINS),
    "test_modifiers/bad_shapesys_modifier_patch@3aea7caa": File(
        bad_modifier("shapesys", [1, 2, 3]), False, "4 bins", FOUR_BINS),
    "test_modifiers/bad_staterror_modifier_patch@609deff9": File(
        bad_modifier("staterror", [1, 2, 3]), False, "4 bins", FOUR_BINS),
    **{f"test_schema/model_duplicate_{kind}@{commit}": File(doubled(kind), False, MODEL)
       for kind, commit in (("channels", "8eab6a97"), ("samples", "8eab6a97"),
                            ("modifiers", "e6887d94"))},
    "test_schema/customschema/custom@609deff9": File(
        uncorrelated([10], [5], [1], [5], [{"name": "lumi", "auxdata": [1], "inits": [1],
                     "bounds": [[0.915, 1.085]], "sigmas": [0.017]}], "mu_SIG", version="1.1.0"),
        False, "1.1.0"),
    "contrib/test_purefunc/*@0923cd01": File(FUNCTION, False, MODEL),
    "contrib/*hypotest_results@f6b41989": File(
        {"testmus": [0.0, 1.0], "results": [[[1.0], [[1.0]]], [[0.9], [[0.8]]]]}, False,
        "JSON, but no pyhf file"),
    "validation/data/1bin_*, 2bin_*": File(SOURCE, False, "JSON, but no pyhf file"),
    "validation/data/2bin_2channel_*": File(SOURCES, False, MODEL),
    "validation/xmlimport_input_bkg@f4b441df": File(
        MODELS["GaussExample"][0] | {"observations": [{"name": "channel1",
                                                       "data": [100.0, 100.0]}]}, True),
    "examples/2-bin_1-channel@0b6104c2": File(
        uncorrelated([5.0, 10.0], [50.0, 60.0], [5.0, 12.0], [50.0, 60.0]), True),
    "docs/examples/notebooks/talks/demo@6071c5a0": File(DEMO, False, MODEL),
    "docs/examples/notebooks/talks/new_signal@bf5e0d8d": File(
        [replaced("data", [5.0, 6.0])], True,
        workspace=uncorrelated([12.0, 11.0], [50.0, 52.0], [3.0, 7.0], [51.0, 48.0])),
}  # fmt: skip

# ---------------------------------------------------------- models of pyhf's tests/test_schema.py

POI = {"name": "mypoi", "type": "normfactor", "data": None}
ONE = {"name": "sample", "data": [10.0], "modifiers": []}
TWO = [ONE, {"name": "another_sample", "data": [5.0], "modifiers": [POI]}]


def schema_model(samples=TWO, parameters=({"name": "mypoi"},), poi="mypoi", **more):
    """A workspace around a model of that file; the parameters are those of the model there."""
    config = {"poi": poi, "parameters": list(parameters)}
    return {
        "channels": [{"name": "channel", "samples": list(samples)}],
        "observations": [{"name": "channel", "data": [15.0]}],
        "measurements": [{"name": "m", "config": config}],
        "version": "1.0.0",
    } | more


def alone(kind, name, data):
    return schema_model([ONE | {"modifiers": [{"name": name, "type": kind, "data": data}]}], (), "")


SCHEMA = {  # by the name of the test, which expects an exception where it is not ok
    "no_samples": File(schema_model([]), False, "non-empty"),
    "sample_missing_data": File(schema_model([ONE | {"data": []}]), False, "non-empty"),
    "sample_missing_name": File(
        schema_model([{"data": [1], "modifiers": []}]), False, "'name' is a required"),
    "sample_missing_all_modifiers": File(
        schema_model([ONE], (), ""), False, "No parameters specified"),
    "one_sample_missing_modifiers": File(schema_model(parameters=()), True),
    "add_unknown_modifier": File(
        alone("this_should_not_exist", "a_name", [1]), False, "this_should_not_exist"),
    "empty_staterror": File(
        alone("staterror", "staterror_channel", []), False, "not valid under any"),
    "empty_shapesys": File(alone("shapesys", "sample_norm", []), False, "not valid under any"),
    "empty_histosys": File(
        alone("histosys", "modifier", {"lo_data": [], "hi_data": []}), False,
        "not valid under any"),
    "additional_properties": File(
        schema_model(fake_additional_property=2), False, "fake_additional_property"),
    "parameters_definition": File(schema_model(), True),
    "parameters_duplicated": File(
        schema_model(parameters=2 * [{"name": "mypoi"}]), False, "2 settings"),
    "parameters_all_props": File(
        schema_model(parameters=[{"name": "mypoi", "inits": [1], "bounds": [[0, 1]]}]), True),
    **{f"parameters_bad_parameter[{key}]": File(
        schema_model(parameters=[{"name": "mypoi", key: value}]), False, words)
       for key, value, words in (
           ("inits", ["a"], "'a' is not of type"), ("bounds", [0, 1], "0 is not of type"),
           ("auxdata", ["a"], "'a' is not of type"), ("factors", ["a"], "'a' is not of type"),
           ("paramset_type", "fake_paramset_type", "paramset_type"),
           ("n_parameters", 5, "n_parameters"), ("op_code", "fake_op_code", "op_code"))},
    **{f"parameters_normfactor_bad_attribute[{key}]": File(
        schema_model(parameters=[{"name": "mypoi", key: [0.0]}]), False, key)
       for key in ("auxdata", "factors")},
}  # fmt: skip

# --------------------------------------------------- fixtures of cabinetry 0.6.0, tests/conftest.py

STRENGTH = {"name": "Signal strength", "type": "normfactor", "data": None}
LUMI = {"name": "lumi", "type": "lumi", "data": None}


def errors(values, name="staterror_Signal-Region", kind="staterror"):
    return {"name": name, "type": kind, "data": values}


def fixture(observed, parameters=(), poi="Signal strength", channel="Signal Region", **samples):
    return workspace({channel: (observed, samples)}, parameters, poi)


def example_spec(*modifiers, parameters=()):
    held = {"name": "staterror_Signal-Region", "fixed": True, "inits": [1.1]}
    return fixture([475], [held, *parameters], Signal=([51.8], errors([2.6]), STRENGTH, *modifiers))


ALL = (
    MU,
    {"name": "mu_shapefactor", "type": "shapefactor", "data": None},
    {"name": "normsys", "type": "normsys", "data": {"hi": 0.8, "lo": 1.2}},
    {"name": "histosys", "type": "histosys",
     "data": {"hi_data": [36.0, 31.0], "lo_data": [34.0, 29.0]}},
    errors([1.0, 2.0], "staterror_SR"),
    errors([1.0, 2.0], "shapesys_SR", "shapesys"),
    LUMI,
)  # fmt: skip
NORMSYS = {"name": "normsys_example", "type": "normsys", "data": {"hi": 1.2, "lo": 0.8}}
NO_BOUNDS = "too few settings (bounds is missing)"


def lumi(start, sigma=0.02):
    return {"name": "lumi", "auxdata": [1.0], "inits": [start], "sigmas": [sigma]}


FIXTURES = {
    "example_spec": File(example_spec(), True, "no use"),
    "example_spec_multibin": File(workspace({
        "region_1": ([35, 8], {"Signal": ([25, 5], errors([5, 2], "staterror_region_1"),
                                          STRENGTH)}),
        "region_2": ([10], {"Signal": ([8], errors([1], "staterror_region_2"), STRENGTH)}),
    }, poi="Signal strength"), True, "signal but no background"),
    "example_spec_shapefactor": File(
        fixture([25, 8], Signal=([20, 10], errors(None, "shape factor", "shapefactor"), STRENGTH)),
        True, "signal but no background"),
    "example_spec_with_background": File(
        fixture([160], [{"name": "Signal strength", "bounds": [[0, 10]], "inits": [1.0]}],
                Signal=([50], errors([5]), STRENGTH), Background=([150], errors([7]))), True),
    "example_spec_no_aux": File(
        fixture([65], Signal=([60], STRENGTH)), True, "signal but no background"),
    # pyhf builds these two models and can fit neither: suggested_bounds() is a TypeError
    "example_spec_lumi": File(
        fixture([35], [lumi(1.05)], Signal=([35], STRENGTH, LUMI)), False, NO_BOUNDS),
    "example_spec_modifiers": File(
        fixture([35, 30], [lumi(1.0)], "mu", "SR", Signal=([35.0, 30.0], *ALL)), False, NO_BOUNDS),
    "example_spec_zero_staterror": File(
        fixture([5, 0], (), "mu", "SR",
                Signal=([5.0, 0.0], MU, errors([1.0, 0.0], "staterror_SR"))), True,
        "signal but no background in 1 of 2 bins (0)"),
    "test_model_utils: normfactor_spec": File(
        example_spec(parameters=[{"name": "Signal strength", "inits": [2.0]}]), True, "no use"),
    "test_model_utils: normsys_spec": File(
        example_spec(NORMSYS, parameters=[{"name": "normsys_example", "inits": [0.5]}]), True,
        "0.5 standard deviations"),
    "test_model_utils: shapesys_spec": File(
        example_spec(errors([5.0], "shapesys_example", "shapesys"),
                     parameters=[{"name": "shapesys_example", "inits": [1.5]}]), True, "no use"),
}  # fmt: skip

WARNED = {"2bin_2channel_coupledhisto": "up and down change the total in the same direction"}

FILES = {
    **{f"pyhf {name}": file for name, file in (PATCH_SETS | WORKSPACES).items()},
    **{
        f"pyhf validation {name}": File(spec, True, WARNED.get(name, ""))
        for name, (spec, _) in MODELS.items()
    },
    **{f"pyhf test_schema.py {name}": file for name, file in SCHEMA.items()},
    **{f"cabinetry {name}": file for name, file in FIXTURES.items()},
}
