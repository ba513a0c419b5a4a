"""What is wrong with an experiment file is said in nuhf's words: file, key, given, allowed."""

import copy
import json
import re
import tomllib
from functools import cache
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nuhf import resources
from nuhf.errors import InputError
from nuhf.experiments.catalogue import list_experiments, load
from nuhf.experiments.file import ExperimentFile

ROOT = Path(__file__).resolve().parent.parent
EXAMPLES = ROOT / "docs" / "examples"
FILES = {**list_experiments(), "one-bin-reactor": EXAMPLES / "one-bin-reactor.toml",
         "made-up-csi": EXAMPLES / "made-up-csi.toml"}  # fmt: skip
FILE = Path(__file__).resolve()
"""Any file: what stands in it is replaced."""
READ = resources.parse_toml

FOREIGN = re.compile(
    r"Input should|Extra inputs|Field required|Value error|type=|pydantic|further information|"
    r"should (?:be|have|match)|[Uu]nable to|valid (?:\w+)|\[key\]|function-|discriminator"
)
"""What pydantic writes."""

LONGEST = 2500
"""Of a message: five faults with what is allowed."""


NAMED = ("sources", "responses", "signals", "regions", "backgrounds", "nuisances", "analyses")
FREE = (*NAMED, "fuel", "formula", "weights", "axes", "tables", "survival", "flux_per_cm2_s",
        "shells", "reference_range", "reference", "profiled", "limits", "species",
        "qnu_ee", "qnu_mumu", "r2nu_ee", "r2nu_mumu", "r2nu_tautau")  # fmt: skip
"""Tables whose keys are names."""

LAID_OVER = ("up", "down", "changes")
"""Tables that hold other values of keys of the file."""


@cache
def content(name):
    return tomllib.loads(FILES[name].read_text(encoding="utf-8"))


def refusal(changed):
    """Message for a file with this content; None if it is accepted."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            resources, "parse_toml", lambda at, text: changed if at == FILE else READ(at, text)
        )
        try:
            load(str(FILE))
        except InputError as error:
            return str(error)
    return None


def check(message):
    """A line in our words with the file in front; return the rest."""
    assert message is not None
    assert message.startswith(f"{FILE}: ")
    assert message.isprintable()
    assert not FOREIGN.search(message), message
    assert len(message) < LONGEST, message
    return message.removeprefix(f"{FILE}: ")


def places(table, path=()):
    """Every key of a file as a path of keys and indices; of equal tables the first."""
    seen = set()
    for key, value in table.items():
        if isinstance(value, dict) and len(path) == 1 and path[0] in NAMED:
            kind = (path, value.get("kind", value.get("interaction")), frozenset(value))
            if kind in seen:
                continue
            seen.add(kind)
        yield (*path, key)
        if isinstance(value, dict) and key not in LAID_OVER:
            yield from places(value, (*path, key))
        elif isinstance(value, list) and value and isinstance(value[0], dict):
            for index, one in enumerate(value):
                if (kind := frozenset(one)) not in seen:
                    seen.add(kind)
                    yield from places(one, (*path, key, index))


def at(table, path):
    for part in path:
        table = table[part]
    return table


def shown(table, path):
    """The key path as a message has it, made without the models."""
    found = ""
    for part in path:
        if isinstance(part, int):
            found += f"[entry {part + 1}]"
        else:
            bare = re.fullmatch(r"[A-Za-z0-9_-]+", part)
            found += ("." if found else "") + (part if bare else json.dumps(part))
    return found


def strings(value):
    """All keys and texts in a value."""
    if isinstance(value, dict):
        return [*value, *(one for inner in value.values() for one in strings(inner))]
    if isinstance(value, list):
        return [one for inner in value for one in strings(inner)]
    return [value] if isinstance(value, str) else []


def changes(name):
    """(path of the key, content with it changed) for every change of every key."""
    whole = content(name)
    for path in places(whole):
        if path in (("format",), ("analyses",), ("analyses", "default")) or path[-1] == "extends":
            continue
        value = at(whole, path)
        for how in ("remove", "rename", "mistype", "negate"):
            changed = copy.deepcopy(whole)
            owner = at(changed, path[:-1])
            if how == "negate" and (isinstance(value, bool) or not isinstance(value, int | float)):
                continue
            if how == "negate":
                owner[path[-1]] = -value
            elif how == "mistype":
                owner[path[-1]] = 5 if isinstance(value, str | list | dict) else "5"
            else:
                rest = dict(owner)
                owner.clear()
                owner.update({f"{k}x" if k == path[-1] else k: v for k, v in rest.items()
                              if k != path[-1] or how == "rename"})  # fmt: skip
            yield how, path, changed


@pytest.mark.parametrize("name", FILES)
def test_every_key_of_every_file_removed_renamed_mistyped_negated(name):
    whole, refused = content(name), dict.fromkeys(("remove", "rename", "mistype", "negate"), 0)
    for how, path, changed in changes(name):
        message = refusal(changed)
        if message is None:
            assert how != "mistype", path
            continue
        refused[how] += 1
        text, owner, last = check(message), shown(changed, path[:-1]), path[-1]
        key = (
            shown(changed, path) if how in ("mistype", "negate") else f"{owner}.{last}".lstrip(".")
        )
        free = len(path) > 1 and path[-2] in FREE
        if how == "mistype":
            assert f"{key} = 5 (" in text or f"{key} = '5' (" in text, (path, text)
        elif how == "rename" and last in (
            "kind",
            "interaction",
        ):  # then it is not known which keys are
            assert re.search(rf"{re.escape(key)}(: required, not given|x: unknown key) \(", text)
        elif how == "rename" and f"{key}x: this name is refused" in text:
            assert last in text.partition("allowed")[2]
        elif how == "rename" and not free:
            assert f"{key}x: unknown key (" in text or "profiled" in path, (path, text)
            assert f"did you mean {last}" in text or last in text.partition(f"{last}x")[2]
        elif how == "negate":  # or said of the table that it is in
            assert f"{key} = " in text or owner.rpartition(".")[0] in text, (path, text)
        else:  # or by somebody who names what has gone
            gone = [last, f"{owner} is an empty table", *strings(at(whole, path))]
            assert any(word in text for word in gone if word), (path, text)
    # the damage is felt: nearly all that can be mistyped or renamed, and what must be there
    if "extends" in whole:
        return
    assert refused["mistype"] > 20
    assert refused["rename"] > 20
    assert refused["remove"] > 8
    assert name == "apv-cs" or refused["negate"] > 3


VALUES = st.recursive(
    st.none().map(lambda _: []) | st.booleans() | st.integers() | st.floats() | st.text()
    | st.datetimes().map(lambda one: one.date()) | st.integers(10**300, 10**330),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
)  # fmt: skip


@settings(max_examples=400, deadline=None)
@given(data=st.data())
def test_anything_anywhere(data):
    name = data.draw(st.sampled_from(["apv-cs", "dresden-2", "coherent-lar-2020", "made-up-csi",
                                      "coherent-csi-2017", "lz-ws2022"]))  # fmt: skip
    changed = copy.deepcopy(content(name))
    path = data.draw(st.sampled_from([p for p in places(changed) if p != ("extends",)]))
    at(changed, path[:-1])[data.draw(st.just(path[-1]) | st.text())] = data.draw(VALUES)
    message = refusal(changed)
    if message is not None:
        assert message.startswith(f"{FILE}: ")
        assert "\n" not in message.partition("; ")[0]
        assert len(message) < LONGEST


# ------------------------------------------------------------------ in so many words

WORDS = [
    ("dresden-2", ("backgrounds", "ec_l_on", "kind"), "peak",
     "backgrounds.ec_l_on.kind = 'peak' (did you mean peaks? allowed: product, control, bins, "
     "exponential, peaks, spectrum, flat, lines)"),
    ("dresden-2", ("backgrounds", "ec_l_on", "shares"), [1.0],
     "backgrounds.ec_l_on: 2 energies_kev and 1 shares: as many of each are needed"),
    ("dresden-2", ("backgrounds", "ec_l_on", "shares"), [1.0, -1.0],
     "backgrounds.ec_l_on.shares[entry 2] = -1.0 (allowed: number greater than 0)"),
    ("dresden-2", ("backgrounds", "ec_l_on"), 3,
     "backgrounds.ec_l_on = 3 (allowed: table of kind 'product' or 'control' or "),
    ("dresden-2", ("nuisances", "bkg_dresden_2_slope_on", "sizes"), 1.0,
     "nuisances.bkg_dresden_2_slope_on.sizes: unknown key (did you mean size? allowed: source, "
     "kind, key, size)"),
    ("dresden-2", ("regions",), {}, "regions is an empty table (allowed: table of at least 1 of "
     "NAME = table with "),
    ("dresden-2", ("regions", "on", "signals"), "yes",
     "regions.on.signals = 'yes' (allowed: list, each name (a letter, then a-z, 0-9, _; up to 60)"),
    ("dresden-2", ("regions", "on", "axes", "energy_kev_ee"), 3,
     "regions.on.axes.energy_kev_ee = 3 (allowed: list of 2 to 1001, each number or table with "
     "table)"),
    ("dresden-2", ("regions", "on", "axes", "energy_kev_ee"), [3],
     "regions.on.axes.energy_kev_ee is a list of 1 (allowed: list of 2 to 1001, each number"),
    ("dresden-2", ("regions", "on", "axes", "energy_kev_ee"), {"tabel": "x"},
     "regions.on.axes.energy_kev_ee.tabel: unknown key (did you mean table? allowed: table)"),
    ("one-bin-reactor", ("regions", "main", "data", "values"), [395.0, 1.0],
     "regions.main.data: 2 values and 1 errors"),
    ("dresden-2", ("backgrounds", "flat_on", "region"), "onn",
     "backgrounds.flat_on.region: 'onn' is not defined; did you mean on? allowed: on, off, "
     "residual"),
    ("dresden-2", ("physics", "form_factor"), 3, "physics.form_factor = 3 (allowed: text)"),
    ("dresden-2", ("responses", "nuclear", "refine"), 1.5,
     "responses.nuclear.refine = 1.5 (allowed: integer from 1 to 16)"),
    ("dresden-2", ("sources", "The flux"), {}, 'sources."The flux": this name is refused '
     "(allowed: name (a letter, then a-z, 0-9, _; up to 60))"),
    ("dresden-2", ("analyses", "Mine"), {}, "analyses.Mine: this name is refused "
     "(allowed: name (a-z, 0-9, -, .; up to 60))"),
    ("dresden-2", ("signals", "cevns", "name"), "other",
     "signals.cevns.name = 'other': leave it out, the name is that of the table"),
    ("xenonnt-sr0", ("nuisances", "n"), {"kind": "free", "processes": ["eves_pp"]},
     "nuisances.n.processes: 'eves_pp' is a signal; kind 'free' is for backgrounds, norm_eves "
     "scales the signal"),
    ("xenonnt-sr0", ("sources", "sun", "ordering"), "normale",
     "sources.sun.ordering = 'normale' (did you mean normal? allowed: normal, inverted)"),
    ("xenonnt-sr0", ("sources", "sun", "sin2_theta23"), 1.5,
     "sources.sun.sin2_theta23 = 1.5 (allowed: number from 0 to 1)"),
    ("xenonnt-sr0", ("signals", "eves_pp", "response"), "electrons",
     "signals.eves_pp.response: 'electrons' is not defined; did you mean electron? allowed: "
     "electron"),
    ("apv-cs", ("signals", "weak_charge", "interaction"), "charge",
     "signals.weak_charge.interaction = 'charge' (did you mean weak_charge? allowed: cevns, eves, "
     "weak_charge, neutron_radius)"),
    ("apv-cs", ("signals", "weak_charge", "interaction"), 5,
     "signals.weak_charge.interaction = 5 (allowed: cevns, eves, weak_charge, neutron_radius)"),
    ("apv-cs", ("references", 1), "Dzuba:2012k",
     "references: 'Dzuba:2012k' is no key of"),
    ("apv-cs", ("title",), "x" * 10_000, None),
    ("apv-cs", ("name",), "x" * 10_000, f"name = '{'x' * 60}'... (allowed: name (a-z"),
    ("coherent-csi-2017", ("responses", "nuclear", "smearing", "kind"), "gauss",
     "responses.nuclear.smearing.kind = 'gauss' (did you mean gaussian? allowed: gamma, poisson, "
     "gaussian, fano)"),
    ("coherent-csi-2017", ("responses", "nuclear", "smearing", "placement"), 0.6,
     "responses.nuclear.smearing.placement = 0.6 (allowed: number from -0.5 to 0.5)"),
    ("made-up-csi", ("backgrounds", "ss"), {"title": "t", "kind": "control", "source": "s"},
     "backgrounds.ss.events: required, not given (Events in `reference_range`; allowed: number "
     "greater than 0)"),
    ("made-up-csi", ("backgrounds", "cevns"),
     {"title": "t", "kind": "control", "source": "s", "events": 1.0},
     "backgrounds.cevns: a signal has this name"),
    ("made-up-csi", ("responses", "nuclear", "quenching"), {},
     "responses.nuclear.quenching.kind: required, not given (allowed: none, polynomial, table, "),
    ("made-up-csi", ("responses", "nuclear", "smearing", "pe_per_kev_ee"), 13.0,
     "responses.nuclear.smearing.pe_per_kev_ee: unknown key (did you mean b0_per_kev_ee or a0_"),
    ("made-up-csi", ("responses", "nuclear", "smearing"), 13.0,
     "responses.nuclear.smearing = 13.0 (allowed: table of kind 'gamma' or 'poisson' or "),
    ("made-up-csi", ("responses", "nuclear", "smearing", "kind"), 13,
     "responses.nuclear.smearing.kind = 13 (allowed: gamma, poisson, gaussian, fano)"),
    ("made-up-csi", ("responses", "nuclear", "kind"), "chian",
     "responses.nuclear.kind = 'chian' (did you mean chain? allowed: chain, matrix)"),
    ("made-up-csi", ("analyses", "default", "nuisances"), ["flux"],
     "analyses.default.nuisances: 'flux' is not defined; did you mean flux_sns? allowed: "),
    ("made-up-csi", ("analyses", "default", "statistic"), "gauss",
     "analyses.default.statistic = 'gauss' (did you mean gaussian? allowed: poisson, gaussian)"),
    ("made-up-csi", ("analyses", "default", "changes"), {"responses": {"nuclear": {"refin": 2}}},
     "analyses.default.changes: responses.nuclear.refin: unknown key (did you mean refine? "),
    ("made-up-csi", ("analyses", "default", "changes"), {"responses": 5},
     "analyses.default.changes: responses = 5 (allowed: table of NAME = table of kind 'chain' or "),
    ("made-up-csi", ("extends",), "made-up",
     "extends: unknown experiment 'made-up'; allowed: "),
    ("coherent-lar-2020", ("regions", "main", "axes", "f90"), "0.5",
     "regions.main.axes.f90 = '0.5' (allowed: list of 2 to 1001, each number or table with table)"),
    ("coherent-lar-2020", ("regions", "main", "axes", "time_us"), [0.0],
     "regions.main.axes.time_us is a list of 1 (allowed: list of 2 to 1001, each number"),
    ("coherent-lar-2020", ("sources", "sns", "source"), 5,
     "sources.sns.source = 5 (allowed: text)"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "path", "value", "words"), WORDS)
def test_in_so_many_words(name, path, value, words):
    changed = copy.deepcopy(content(name))
    at(changed, path[:-1])[path[-1]] = value
    message = refusal(changed)
    if words is None:
        assert message is None
    else:
        assert check(message).startswith(words)


def test_several_faults_are_told_the_unknown_keys_first(tmp_path):
    text = FILES["made-up-csi"].read_text(encoding="utf-8")
    for old, new in (("mass_kg = ", "mass_t = "), ("pot = 4.0e23", "pot = -1"),
                     ("title = \"a made-up CsI detector\"\n", "")):  # fmt: skip
        assert old in text
        text = text.replace(old, new, 1)
    path = tmp_path / "three.toml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(InputError) as caught:
        load(str(path))
    assert str(caught.value) == (
        f"{path}: target.mass_t: unknown key (did you mean mass_kg? allowed: source, mass_kg, "
        "exposure_tonne_year, formula, molar_mass_g_per_mol, shells); title: required, not given "
        "(One line for people; allowed: text); sources.beam.pot = -1 (allowed: number greater "
        "than 0)"
    )


@pytest.mark.parametrize("name", FILES)
def test_a_file_read_written_out_and_read_again_is_the_same(name):
    """Also which part it is, where the file need not say so; warnings are errors."""
    one = load(str(FILES[name])).experiment
    again = ExperimentFile.model_validate_json(one.model_dump_json())
    # changes are any values: lists and tuples are the same there
    assert again.model_dump_json() == one.model_dump_json()
