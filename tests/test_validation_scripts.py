"""The scripts behind docs/validation: every variation loads, and changes what is fitted."""

import importlib.util
import sys
from functools import cache

import pytest
from conftest import ROOT

from nuhf.experiments.catalogue import load

FOLDER = ROOT / "docs" / "validation"


@pytest.fixture
def script(monkeypatch):
    """``script(name)``: docs/validation/name.py as a module, with the helper beside it."""
    monkeypatch.syspath_prepend(str(FOLDER))

    def imported(name):
        spec = importlib.util.spec_from_file_location("validation_script", FOLDER / f"{name}.py")
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        return module

    yield imported
    sys.modules.pop("variants", None)


def fitted(loaded):
    """What a fit is made of, after the changes of the analysis."""
    file = loaded.experiment
    parts = (file.sources, file.target, file.physics, file.responses, file.signals, file.regions,
             file.backgrounds)  # fmt: skip
    names = ("statistic", "signals", "regions", "backgrounds", "reference", "profiled", "limits")
    return (*parts, loaded.nuisances, *(getattr(loaded.analysis, name) for name in names))


@cache
def shipped(name, analysis):
    return fitted(load(name, analysis))


def check(name, path, analysis, label):
    """Load a variation; all but the shipped one must differ from what is shipped."""
    same = fitted(load(path, analysis)) == shipped(name, analysis)
    assert same == ("as shipped" in label), (name, label)


def test_variations_of_khan2022(script, tmp_path):
    module = script("khan2022")
    # the analyses that each table asks for
    curves, counts = [f"khan2022-{c}" for c in module.CURVES], ["default", "default-ybe"]
    for label, (change, held) in module.VARIATIONS.items():
        path = module.write(change, tmp_path)
        for analysis in curves:
            found = load(path, analysis)
            assert set(held) <= {n.name for n in found.nuisances}
            same = fitted(found) == shipped("dresden-2", analysis)
            assert same == (label in ("as shipped: sigma_alpha as printed", "sigma_alpha 5 %"))
    for label, (change, held) in module.STEPS.items():
        for analysis in counts:
            found = load(module.write(change, tmp_path), analysis)
            same = fitted(found) == shipped("dresden-2", analysis)
            assert same == (label in ("as shipped", "quenching held")), label
            if analysis == "default":
                assert set(held) <= {n.name for n in found.nuisances}
    for label, change in module.ERRORS.items():
        for analysis in (*counts, "default-lindhard"):
            check("dresden-2", module.write(change, tmp_path), analysis, label)


def test_variations_of_khan2023(script, tmp_path):
    module = script("khan2023")
    for label, keys in module.VARIATIONS.items():
        path = module.changed(keys, tmp_path)
        check("coherent-csi-2021", path, module.ANALYSIS, label)


def test_variations_of_cadeddu2020(script, tmp_path):
    module = script("cadeddu2020")
    for analysis, chosen in ((module.ENERGY, module.RADIUS), (module.FREE, module.TABLE)):
        for label, keys in chosen.items():
            path = module.changed(analysis, keys, tmp_path)
            check("coherent-csi-2017", path, analysis, label)


def test_variations_of_giunti_ternes2023(script, tmp_path):
    module = script("giunti-ternes2023")
    for label, changes in {**module.VARIATIONS, **module.COMBINED}.items():
        assert set(changes) <= set(module.MEASURED)
        for name, keys in changes.items():
            check(name, module.changed(name, keys, tmp_path), module.PAPER, label)
    for label, keys in module.DARWIN.items():
        for name in ("darwin-30ty", "darwin-300ty"):
            check(name, module.changed(name, keys, tmp_path), module.PAPER, label)


@pytest.mark.parametrize("name", ["khan2022", "khan2023", "cadeddu2020", "giunti-ternes2023"])
def test_page_has_every_variation(script, name):
    """Rows of the tables in the page of a paper, by the name of the variation."""
    module = script(name)
    page = (FOLDER / f"{name}.md").read_text(encoding="utf-8")
    tables = ("VARIATIONS", "COMBINED", "DARWIN", "RADIUS", "TABLE", "STEPS", "ERRORS")
    labels = [label for table in tables for label in getattr(module, table, {})]
    assert labels
    assert [label for label in labels if f"| {label} |" not in page] == []
