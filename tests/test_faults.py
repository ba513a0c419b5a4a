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
from nuhf.experiments.catalogue import KINDS, list_experiments, parse_experiment

ROOT = Path(__file__).resolve().parent.parent
FILES = {**list_experiments(), **{p.stem: p for p in (ROOT / "docs/examples").glob("*.toml")}}
FILE = Path("some/where/file.toml")
READ = resources.read_toml

FOREIGN = re.compile(
    r"Input should|Extra inputs|Field required|Value error|type=|pydantic|further information|"
    r"should (?:be|have|match)|[Uu]nable to|valid (?:\w+)|\[key\]|function-|discriminator"
)
"""What pydantic writes."""

LONGEST = 2500
"""Of a message: five faults with what is allowed."""


FREE = ("fluxes", "fuel", "formula", "weights", "bins", "variations", "quenching_variations",
        "quenching_tables", "signals", "events", "reference", "profiled", "analyses", "limits",
        "qnu_ee", "qnu_mumu", "r2nu_ee", "r2nu_mumu")  # fmt: skip
"""Tables whose keys are names."""


@cache
def content(name):
    return tomllib.loads(FILES[name].read_text(encoding="utf-8"))


def refusal(changed):
    """Message for a file with this content; None if it is accepted."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(resources, "read_toml", lambda at: changed if at == FILE else READ(at))
        try:
            parse_experiment(FILE)
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


def places(table, path=(), seen=None):
    """Every key of a file as a path of keys and indices; of equal tables in a list the first."""
    for key, value in table.items():
        yield (*path, key)
        if isinstance(value, dict):
            yield from places(value, (*path, key))
        elif isinstance(value, list) and value and isinstance(value[0], dict):
            seen = set()
            for index, one in enumerate(value):
                if (kind := (one.get("kind"), frozenset(one))) not in seen:
                    seen.add(kind)
                    yield from places(one, (*path, key, index))


def at(table, path):
    for part in path:
        table = table[part]
    return table


def shown(table, path):
    """The key path as a message has it, made without the models."""
    found = ""
    for i, part in enumerate(path):
        if isinstance(part, int):
            one = at(table, path[: i + 1])
            name = one.get("name")
            found += f".{name}" if isinstance(name, str) else f"[entry {part + 1}]"
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
        if path in (("kind",), ("analyses",)):
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
        free = len(path) > 1 and path[-2] in FREE and f"{key}x" not in text
        if how == "mistype":
            assert f"{key} = 5 (" in text or f"{key} = '5' (" in text, (path, text)
        elif how == "rename" and last == "kind":  # then it is not known which keys are
            assert re.search(rf"{re.escape(key)}(: required, not given|x: unknown key) \(", text)
        elif how == "rename" and not free:
            assert f"{key}x: unknown key (" in text or "profiled" in path, (path, text)
            assert f"did you mean {last}" in text or last in text.partition(f"{last}x")[2]
        elif how == "negate":  # or said of the table that it is in
            assert f"{key} = " in text or owner.rpartition(".")[0] in text, (path, text)
        else:  # or by somebody who names what has gone
            gone = [last, f"{owner} is an empty table", *strings(at(whole, path))]
            assert any(word in text for word in gone if word), (path, text)
    # the damage is felt: nearly all that can be mistyped or renamed, and what must be there
    assert refused["mistype"] > 20
    assert refused["rename"] > 20
    assert refused["remove"] > 8
    assert name == "apv-cs" or refused["negate"] > 5


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
    path = data.draw(st.sampled_from([p for p in places(changed) if p != ("kind",)]))
    at(changed, path[:-1])[data.draw(st.just(path[-1]) | st.text())] = data.draw(VALUES)
    message = refusal(changed)
    if message is not None:
        assert message.startswith(f"{FILE}: ")
        assert "\n" not in message.partition("; ")[0]
        assert len(message) < LONGEST


# ------------------------------------------------------------------ in so many words

WORDS = {
    "reactor": [
        ("dresden-2", ("backgrounds", 2, "kind"), "peak",
         "backgrounds.ec_l_on.kind = 'peak' (did you mean 'peaks'? allowed: 'exponential', "
         "'peaks', 'bins')"),
        ("dresden-2", ("backgrounds", 2, "shares"), [1.0],
         "backgrounds.ec_l_on: as many shares as energies_kev are needed"),
        ("dresden-2", ("backgrounds", 2, "shares"), [1.0, -1.0],
         "backgrounds.ec_l_on.shares[entry 2] = -1.0 (allowed: number greater than 0)"),
        ("dresden-2", ("backgrounds", 2, "variations", "l_energy_on", "sizes"), 1.0,
         "backgrounds.ec_l_on.variations.l_energy_on.sizes: unknown key (did you mean size? "
         "allowed: parameter, size)"),
        ("dresden-2", ("backgrounds", 2), 3,
         "backgrounds[entry 3] = 3 (allowed: table of kind 'exponential' or 'peaks' or 'bins')"),
        ("dresden-2", ("regions",), [], "regions is a list of 0 (allowed: list of at least 1, each "
         "table with name, source, live_days, "),
        ("dresden-2", ("regions", 0, "signal"), "yes",
         "regions.on.signal = 'yes' (allowed: true or false)"),
        ("conus-plus", ("regions", 0, "bins", "excess"), [395.0, 1.0],
         "regions.on: the columns of bins need one length, at least 1; given: e_lo_kev_ee 1, "
         "e_hi_kev_ee 1, excess 2, error 1"),
        ("dresden-2", ("backgrounds", 0, "region"), "onn",
         "backgrounds.flat_on: region 'onn' is not among on, off, residual"),
        ("dresden-2", ("analyses", "default", "form_factor"), 3,
         "analyses.default.form_factor = 3 (allowed: 'helm' or 'klein-nystrand' or "),
        ("dresden-2", ("analyses", "default", "quenching"), 3,
         "analyses.default.quenching = 3 (allowed: 'lindhard' or "),
        ("dresden-2", ("detector", "refine"), 1.5,
         "detector.refine = 1.5 (allowed: integer from 1 to 16)"),
        ("dresden-2", ("fluxes", "The flux"), {}, 'fluxes."The flux": this name is refused '
         "(allowed: name (a-z, 0-9, -, .; up to 60))"),
    ],
    "solar": [
        ("xenonnt-sr0", ("analyses", "default", "nuisances", 0),
         {"name": "n", "kind": "free", "processes": ["eves_pp"]},
         "analyses.default.nuisances.n.processes: 'eves_pp' is a signal; kind 'free' is for "
         "backgrounds, norm_eves scales the signal"),
        ("xenonnt-sr0", ("source", "ordering"), "normale",
         "source.ordering = 'normale' (did you mean 'normal'? allowed: 'normal', 'inverted')"),
        ("xenonnt-sr0", ("analyses", "default", "sin2_theta23"), 1.5,
         "analyses.default.sin2_theta23 = 1.5 (allowed: number from 0 to 1)"),
        ("xenonnt-sr0", ("analyses", "default", "signals", "pp"), ["pp"],
         "analyses.default.signals.pp: this name is refused (allowed: name (eves_, then"),
        ("xenonnt-sr0", ("analyses", "default", "edges_kev"), [1.0],
         "analyses.default.edges_kev is a list of 1 (allowed: list of 2 to 1001, each number)"),
    ],
    "measurement": [
        ("apv-cs", ("measurement", "kind"), "charge",
         "measurement.kind = 'charge' (did you mean 'weak_charge'? allowed: 'weak_charge')"),
        ("apv-cs", ("analyses", "cadeddu2020-radius", "neutron_radius"), 5.0,
         "analyses.cadeddu2020-radius.neutron_radius = 5.0 (allowed: table with source, value_fm, "
         "error_fm)"),
        ("apv-cs", ("references", 1, "dio"), "x",
         "references[entry 2].dio: unknown key (did you mean doi? allowed: key, text, doi, arxiv)"),
        ("apv-cs", ("title",), "x" * 10_000, None),
        ("apv-cs", ("name",), "x" * 10_000, f"name = '{'x' * 60}'... (allowed: name (a-z"),
    ],
    "spallation": [
        ("coherent-csi-2017", ("detector", "resolution", "kind"), "gauss",
         "detector.resolution.kind = 'gauss' (allowed: 'gamma', 'poisson')"),
        ("coherent-csi-2017", ("detector", "resolution", "placement"), 0.6,
         "detector.resolution.placement = 0.6 (allowed: number from -0.5 to 0.5)"),
        ("made-up-csi", ("backgrounds", 0),
         {"name": "ss", "title": "t", "kind": "control", "source": "s"},
         "backgrounds.ss: events: required for kind 'control', not given"),
        ("coherent-csi-2017", ("backgrounds", 1, "events"), 3.0,
         "backgrounds.brn: events: leave them out, the tables of kind 'per_gwh' are a rate"),
        ("made-up-csi", ("analyses", "default", "quenching"), "acc",
         "analyses.default.quenching: 'acc' is not defined: the file has nothing of this kind"),
        ("made-up-csi", ("analyses", "default", "nuisances", 0),
         {"name": "n", "kind": "free", "processes": ["ss", "cevns"]},
         "analyses.default.nuisances.n.processes: 'cevns' is a signal; kind 'free' is for "
         "backgrounds, norm_cevns scales the signal"),
        ("made-up-csi", ("detector", "resolution", "pe_per_kev_ee"), 13.0,
         "detector.resolution.pe_per_kev_ee: unknown key (did you mean b0_per_kev_ee or a0_"),
        ("made-up-csi", ("detector", "resolution"), 13.0,
         "detector.resolution = 13.0 (allowed: table of kind 'gamma' or 'poisson')"),
        ("made-up-csi", ("detector", "resolution", "kind"), 13,
         "detector.resolution.kind = 13 (allowed: 'gamma', 'poisson')"),
    ],
    "spallation-released": [
        ("coherent-lar-2020", ("templates", "f90_edges"), "0.5",
         "templates.f90_edges = '0.5' (allowed: list of 2 to 1001, each number)"),
        ("coherent-lar-2020", ("variations", "signal_time", "process"), "cevn",
         "variations.signal_time.process: 'cevn' is not among brn_delayed, brn_prompt, cevns, ss"),
        ("coherent-lar-2020", ("analyses", "default", "statistic"), "gaussian",
         "analyses.default.statistic = 'gaussian' (allowed: 'poisson')"),
    ],
}  # fmt: skip


@pytest.mark.parametrize(("name", "path", "value", "words"), [r for k in KINDS for r in WORDS[k]])
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
        parse_experiment(path)
    assert str(caught.value) == (
        f"{path}: target.mass_t: unknown key (did you mean mass_kg? allowed: source, mass_kg, "
        "formula); title: required, not given (One line for people; allowed: text); "
        "source.pot = -1 (allowed: number greater than 0); target.mass_kg: required, not given "
        "(Mass of the target, kg; allowed: number greater than 0)"
    )


@pytest.mark.parametrize("name", FILES)
def test_a_file_read_written_out_and_read_again_is_the_same(name):
    """Also which resolution it is, where the file need not say so; warnings are errors."""
    model = KINDS[content(name)["kind"]]
    one = parse_experiment(FILES[name])
    assert model.model_validate_json(one.model_dump_json()) == one
