"""The table of keys: every field of every model, described, and in the manual."""

import json
import re
from pathlib import Path

import pytest
from nuhf.detector.germanium import QUENCHING_MODELS
from nuhf.experiments.targets import nuclear_targets
from pydantic import BaseModel

from nuhf.experiments import (
    measurement_schema,
    reactor_schema,
    schema,
    solar_schema,
    spallation_released_schema,
    spallation_schema,
)
from nuhf.experiments.catalogue import KINDS, list_experiments, load
from nuhf.experiments.keys import Key, allowed, parts, type_of
from nuhf.physics.couplings import coupling_schemes
from nuhf.physics.form_factors import FORM_FACTORS
from nuhf.physics.nuclei import read_nuclides
from nuhf.physics.reactor_models import MODELS as MODELS_OF_REACTORS
from nuhf.physics.settings import Physics
from nuhf.tables import read_table

DOCS = Path(__file__).resolve().parent.parent / "docs"
MODULES = (schema, measurement_schema, reactor_schema, solar_schema, spallation_schema,
           spallation_released_schema)  # fmt: skip
BASES = {schema.Section, reactor_schema.BackgroundSection}
MODELS = {m for module in MODULES for m in vars(module).values()
          if isinstance(m, type) and issubclass(m, BaseModel)} - BASES - {BaseModel}  # fmt: skip


@pytest.fixture
def tables(monkeypatch):
    monkeypatch.syspath_prepend(str(DOCS / "_tools"))
    import key_tables

    return key_tables


def rows(text):
    """(table, key) of every row of a page."""
    header, found = "", set()
    for line in text.splitlines():
        if title := re.fullmatch(r"\*\*(?:`(.+)`|Top of the file)\*\*", line):
            header = title[1] or ""
        elif row := re.match(r"\| `(\w+)` \| .+ \| .* \| .+ \|$", line):
            found.add((header, row[1]))
    return found


@pytest.mark.parametrize("model", sorted(MODELS, key=lambda m: (m.__module__, m.__name__)))
def test_every_field_is_described(model):
    for name, field in model.model_fields.items():
        text = field.description
        assert text, name
        assert text[0].isupper() or text[0] in "`n", text
        assert not text.endswith("."), text
        # what would break a row, or be markup
        assert not re.search(r"[|*<>$\n]", text), text
        assert re.sub(r"`[^`]*`", "", text).count("`") == 0, text


def test_units_are_in_the_meaning():
    """Keys carry their unit; the meaning of some repeats it as people write it."""
    units = {"kev": "keV", "mev": "MeV", "gw": "GW", "gwh": "GWh", "fm": "fm", "kg": "kg",
             "days": "days", "m": "m", "us": "us"}  # fmt: skip
    checked = 0
    for model in MODELS:
        for name, field in model.model_fields.items():
            if (unit := units.get(name.rpartition("_")[2])) and "_" in name:
                assert re.search(rf"\b{unit}\b", field.description) or "`" in field.description, (
                    name
                )
                checked += 1
    assert checked > 25


@pytest.mark.parametrize("kind", KINDS)
def test_every_field_is_on_the_page(kind, tables):
    text = (DOCS / "keys.md").read_text(encoding="utf-8")
    assert f'key_tables.kind("{kind}")' in text
    assert "key_tables.common()" in text
    shown = rows(tables.common()) | rows(tables.kind(kind))
    wanted = {(part.header, key.name) for part in parts(KINDS[kind]) for key in part.keys}
    assert shown >= wanted
    assert rows(tables.kind(kind)) <= wanted


def test_every_model_is_reached_from_a_kind():
    """By its fields: a model that no kind leads to is on no page."""
    reached = {tuple(key.name for key in part.keys) for m in KINDS.values() for part in parts(m)}
    for model in MODELS - {schema.BaseExperiment, schema.BaseAnalysis}:
        assert tuple(model.model_fields) in reached, model


@pytest.mark.parametrize(
    ("kind", "header", "key"),
    [
        ("reactor", "[detector]",
         Key("fano", "number greater than 0", "required", "Fano factor")),
        ("reactor", "[detector]",
         Key("refine", "integer from 1 to 16", "1",
             "How many times finer than usual the recoil grid is")),
        ("reactor", "[[regions]]",
         Key("unit", "'events' or 'per_day'", "'events'", "Events of the run, or events per day")),
        ("solar", "[[analyses.NAME.nuisances]] with kind = 'norm'",
         Key("size", "number greater than 0, up to 1", "required",
             "One standard deviation as a fraction: 0.1 is 10 %")),
        ("spallation", "[detector.quenching.variations.NAME]",
         Key("up", "list, each number", "required", "Coefficients at plus one standard deviation")),
        ("spallation", "[detector.resolution] with kind = 'poisson'",
         Key("placement", "number from -0.5 to 0.5", "required",
             "n photoelectrons stand at n plus this on the axis")),
        ("spallation", "[source]",
         Key("beam_energy_gwh", "number greater than 0", "",
             "Energy of the beam, GWh; for backgrounds of kind `per_gwh`")),
        ("measurement", "[analyses.NAME]",
         Key("neutron_radius", "table", "",
             "A neutron radius measured elsewhere, as a second number")),
        ("spallation-released", "[templates]",
         Key("f90_edges", "list of 2 to 1001, each number", "required", "Bin edges in F90")),
    ],
)  # fmt: skip
def test_keys_read_off_the_models(kind, header, key):
    (part,) = {p.header: p for p in parts(KINDS[kind]) if p.header == header}.values()
    assert key in part.keys


@pytest.mark.parametrize("model", sorted(MODELS, key=lambda m: (m.__module__, m.__name__)))
def test_defaults_are_allowed_and_alternatives_are_all_named(model):
    for name, field in model.model_fields.items():
        if isinstance(field.default, str) and field.default and "'" in allowed(type_of(field)):
            assert f"'{field.default}'" in allowed(type_of(field)), name


def test_the_command_line_lists_them(cli):
    found = json.loads(cli("list", "keys", "--json").out)["keys"]
    one = next(row for row in found if (row["kind"], row["key"]) == ("reactor", "live_days"))
    assert one == {
        "kind": "reactor", "table": "[[regions]]", "key": "live_days",
        "allowed": "number greater than 0", "default": "required", "meaning": "Live time, days",
    }  # fmt: skip
    assert {row["kind"] for row in found} == set(KINDS)


def test_keys_of_one_kind_or_table_are_listed_in_narrow_lines(cli):
    whole = cli("list", "keys").out
    assert max(map(len, whole.splitlines())) < 100
    assert {f"{kind}: top of the file" for kind in KINDS} <= set(whole.splitlines())
    one = cli("list", "keys", "reactor.detector").out
    assert one in whole
    assert one.startswith("\nreactor: [detector]\n")
    assert "\n  refine: integer from 1 to 16; default 1\n      How many times finer than" in one
    assert "[detector.quenching_variations.NAME.up]" in one
    assert "[target]" not in one
    kinds = {row["kind"] for row in json.loads(cli("list", "keys", "solar", "--json").out)["keys"]}
    assert kinds == {"solar"}
    rows = json.loads(cli("list", "keys", "reactor.detector", "--json").out)["keys"]
    assert one.count(":") >= len(rows) > 10


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("keys", "reacter"), "kind 'reacter' is unknown; did you mean reactor?"),
        (("keys", "reactor.detectr"), "no table 'detectr' in files of kind reactor; did you mean"),
        (("keys", "reactor.det"), "no table 'det' in files of kind reactor"),
        (("parameters", "solar"), "nuhf list parameters: 'solar' is one word too many"),
    ],
)
def test_what_cannot_be_listed_is_refused(cli, words, message):
    found = cli("list", *words)
    assert found.code != 0
    assert message in found.err


def test_names_that_exist_are_told():
    """From the registries that look them up, so that none is missing or too many."""
    told = {
        (kind, key.name): re.findall(r"'([^']+)'", key.allowed)
        for kind, model in KINDS.items() for part in parts(model) for key in part.keys
    }  # fmt: skip
    assert set(told["reactor", "quenching"]) == set(QUENCHING_MODELS)
    assert set(told["reactor", "spectrum"]) == set(MODELS_OF_REACTORS)
    tables = {
        key.allowed.partition(" (NAME: ")[2].rstrip(")")
        for model in KINDS.values() for part in parts(model) for key in part.keys
        if key.name in ("formula", "weights") and key.allowed.startswith("table")
    }  # fmt: skip
    assert tables == {", ".join(read_nuclides()), ", ".join(QUENCHING_MODELS)}
    assert told["solar", "fluxes"] == ["gs98", "agss09met"]
    for kind in ("spallation", "spallation-released", "reactor"):
        assert told[kind, "couplings"] == list(coupling_schemes())
        assert {*FORM_FACTORS} < set(told[kind, "form_factor"])
        for name in told[kind, "form_factor"]:
            nuclear_targets(1.0, {"Cs133": 1.0}, Physics(form_factor=name), "here")


def test_the_counts_of_a_solar_table_are_in_the_column_that_is_told():
    (text,) = {k.meaning for p in parts(KINDS["solar"]) for k in p.keys if k.name == "counts_table"}
    for one in list_experiments():
        loaded = load(one)
        if loaded.experiment.kind == "solar" and loaded.experiment.data.counts_table:
            read_table(loaded.table(loaded.experiment.data.counts_table),
                       [re.findall(r"`(\w+)`", text)[-1]])  # fmt: skip
