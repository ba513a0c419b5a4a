"""The table of keys: every field of every model, described, and in the manual."""

import json
import re
from pathlib import Path

import pytest

from nuhf.experiments import (
    backgrounds,
    data,
    file,
    quenching,
    responses,
    signals,
    smearing,
    sources,
    target,
)
from nuhf.experiments.keys import Key, json_schema, tables
from nuhf.experiments.parts import Part, Section

DOCS = Path(__file__).resolve().parent.parent / "docs"
MODULES = (backgrounds, data, file, quenching, responses, signals, smearing, sources, target)


def concrete(model):
    return not issubclass(model, Part) or bool(model.kinds())


MODELS = {m for module in MODULES for m in vars(module).values()
          if isinstance(m, type) and issubclass(m, Section) and m is not Section
          and concrete(m)}  # fmt: skip
NAMES = ("kind", "interaction")


@pytest.fixture
def key_tables(monkeypatch):
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
        assert not re.search(r"[|*<>$\n]", re.sub(r"`[^`]*`", "", text)), text
        assert "|" not in text, text
        assert re.sub(r"`[^`]*`", "", text).count("`") == 0, text


def test_units_are_in_the_meaning():
    """Keys carry their unit; the meaning of some repeats it as people write it."""
    units = {"kev": "keV", "mev": "MeV", "gw": "GW", "gwh": "GWh", "fm": "fm", "kg": "kg",
             "days": "days", "m": "m"}  # fmt: skip
    checked = 0
    for model in MODELS:
        for name, field in model.model_fields.items():
            if (unit := units.get(name.rpartition("_")[2])) and "_" in name:
                assert re.search(rf"\b{unit}\b", field.description) or "`" in field.description, (
                    name
                )
                checked += 1
    assert checked > 20


def test_every_field_is_on_the_page(key_tables):
    text = (DOCS / "keys.md").read_text(encoding="utf-8")
    made = [name for name in key_tables.SECTIONS if f'key_tables.section("{name}")' in text]
    assert made == list(key_tables.SECTIONS)
    shown = set().union(*(rows(key_tables.section(name)) for name in key_tables.SECTIONS))
    assert shown == {(table.header, key.name) for table in tables() for key in table.keys}


def test_every_model_is_reached():
    """By its fields: a model that no section leads to is on no page; names are those of tables."""
    reached = {frozenset(key.name for key in table.keys) for table in tables()}
    for model in MODELS:
        fields = set(model.model_fields)
        assert fields in reached or fields - {"name"} in reached, model


def test_no_table_is_told_twice():
    headers = [table.header for table in tables()]
    assert len(set(headers)) == len(headers)


@pytest.mark.parametrize(
    ("header", "key"),
    [
        ("[responses.NAME.smearing] with kind = 'fano'",
         Key("fano", "number greater than 0", "required", "Fano factor")),
        ("[responses.NAME] with kind = 'chain'",
         Key("refine", "integer from 1 to 16", "1",
             "How many times finer than usual the recoil grid is")),
        ("[regions.NAME.data] with kind = 'counts'",
         Key("unit", "'events' or 'per_day'", "'events'",
             "Events of the whole run, or events per day")),
        ("[nuisances.NAME] with kind = 'norm'",
         Key("size", "number greater than 0, up to 1", "required",
             "One standard deviation as a fraction: 0.1 is 10 %")),
        ("[nuisances.NAME] with kind = 'variation'",
         Key("up", "table", "required", "Changes at plus one standard deviation")),
        ("[responses.NAME.smearing] with kind = 'poisson'",
         Key("placement", "number from -0.5 to 0.5", "0.0",
             "n quanta stand at n plus this on the axis")),
        ("[sources.NAME] with kind = 'sns'",
         Key("beam_energy_gwh", "number greater than 0", "",
             "Energy of the beam, GWh; for backgrounds that are a rate per GWh")),
        ("[target]",
         Key("mass_kg", "number greater than 0", "", "Mass of the target, kg")),
        ("[signals.NAME.released]",
         Key("digits", "integer from 3 to 16", "6",
             "Significant digits of the templates, as released")),
        ("", Key("sources", "table of NAME = table of kind 'sns' or 'reactor' or 'sun' or 'table' "
                 "or 'monoenergetic'", "", "The neutrinos")),
    ],
)  # fmt: skip
def test_keys_read_off_the_models(header, key):
    (table,) = (table for table in tables() if table.header == header)
    assert key in table.keys


def test_the_command_line_lists_them(cli):
    found = json.loads(cli("list", "keys", "--json").out)["keys"]
    one = next(row for row in found if row["key"] == "live_days")
    assert one == {
        "table": "[regions.NAME]", "key": "live_days", "allowed": "number greater than 0",
        "default": "", "meaning": "Live time, days",
    }  # fmt: skip
    assert len(found) == sum(len(table.keys) for table in tables())


def test_keys_of_one_table_are_listed_in_narrow_lines(cli):
    whole = cli("list", "keys").out
    assert max(map(len, whole.splitlines())) < 100
    assert "top of the file" in whole.splitlines()
    one = cli("list", "keys", "responses.NAME").out
    assert one in whole
    assert one.startswith("\n[responses.NAME] with kind = 'chain'\n")
    assert "\n  refine: integer from 1 to 16; default 1\n      How many times finer than" in one
    assert "[responses.NAME.quenching] with kind = 'lindhard'" in one
    assert "[target]" not in one
    rows = json.loads(cli("list", "keys", "responses.NAME", "--json").out)["keys"]
    assert one.count(":") >= len(rows) > 10


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("keys", "tarjet"), "no table 'tarjet' in experiment files; did you mean target?"),
        (("keys", "responses.NAME.quench"), "did you mean responses.NAME.quenching"),
        (("parameters", "target"), "nuhf list parameters: 'target' is one word too many"),
    ],
)
def test_what_cannot_be_listed_is_refused(cli, words, message):
    found = cli("list", *words)
    assert found.code != 0
    assert message in found.err


def test_the_schema_is_that_of_the_models(cli):
    """Editors check files with it: what every kind of a section may hold is in it."""
    found = json.loads(cli("list", "schema").out)
    assert found == json_schema()
    kinds = {d["properties"][key]["const"] for d in found["$defs"].values()
             for key in NAMES if "const" in d["properties"].get(key, {})}  # fmt: skip
    assert kinds >= {kind for m in MODELS if issubclass(m, Part) for kind in m.kinds()}
