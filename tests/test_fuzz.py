"""Whatever is fed to nuhf: one readable line, no traceback, no hang, nothing written elsewhere.

`fuzzing` makes and judges the cases. The ordinary run takes 240; the nox session ``fuzz`` sets
``NUHF_FUZZ=50000``, and ``NUHF_FUZZ_FIRST`` to go on elsewhere.
"""

import json
import math
import os
import time
from itertools import pairwise
from pathlib import Path

import fuzzing
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nuhf import resources, tables
from nuhf.errors import InputError

CASES = int(os.environ.get("NUHF_FUZZ", "240"))
FIRST = int(os.environ.get("NUHF_FUZZ_FIRST", "0"))
BLOCKS = 8

QUICK = settings(max_examples=150, deadline=None, derandomize=True)


@pytest.fixture(scope="module", autouse=True)
def made_before_the_clock_runs():
    fuzzing.sources()


@pytest.mark.filterwarnings(
    "default::RuntimeWarning", "default::UserWarning", "ignore::DeprecationWarning"
)
@pytest.mark.parametrize("block", range(BLOCKS))
def test_cases(block, tmp_path):
    faults, refused = [], 0
    numbers = range(FIRST + block, FIRST + CASES, BLOCKS)
    for number in numbers:
        one = fuzzing.case(number)
        folder = tmp_path / str(number)
        folder.mkdir()
        found = fuzzing.run(one, folder)
        refused += found.code in (1, 2)
        if found.fault:
            faults.append(f"case {number}, {one.family}, {one.arguments}: {found.fault}")
    assert not faults, "\n".join([f"{len(faults)} of {len(numbers)} cases", *faults[:20]])
    # the cases are neither all refused nor all harmless: damage reaches what it is aimed at
    assert len(numbers) < 100 or 0.5 < refused / len(numbers) < 0.98


#: faults of the long runs of 2026-11-21, mended since: numbers too small or too large for pyhf,
#: paths of patches that jsonpatch cannot read, a recoil of zero, bounds of null; and of unknown
#: names in reports, which were refused by workers only. The last ones are of 2026-11-29: whole
#: numbers too large for a float, 2000 widths of one luminosity, bins up to 1e300, an uncertainty
#: of nothing, a table without one of its edges, a distance of 1e-320 m, patches at 1e300
BROKE = (1001227, 1001699, 1006733, 1017437, 1029816, 1031701, 1033830, 1035421, 1036598, 1047278,
         2002231, 2028247, 2032383, 3009984, 4000644, 4002442, 4008299, 4011544, 4014993, 4046395,
         4049888, 5016650, 5023235, 5031726, 5036439, 6032307, 6035237, 6043028,
         9003000, 9041553)  # fmt: skip


@pytest.mark.parametrize("number", BROKE)
def test_cases_that_broke_before(number, tmp_path):
    one = fuzzing.case(number)
    assert fuzzing.run(one, tmp_path).fault is None


@pytest.mark.parametrize("family", [make for make, _ in fuzzing.FAMILIES])
def test_without_damage_nothing_is_refused(family, tmp_path, monkeypatch):
    """Otherwise a family would test one message over and over."""
    import random

    for name in ("damaged_json", "damaged_toml", "damaged_table"):
        monkeypatch.setattr(fuzzing, name, lambda rng, text: text.encode())
    monkeypatch.setattr(fuzzing, "damage_bytes", lambda rng, content: content)
    if family is fuzzing.argument_case:
        arguments = ["limit", "conus.toml", "-p", "munu_e"]
        files = {"conus.toml": fuzzing.sources()["conus"]}
    else:
        files, arguments = family(random.Random(1))
    found = fuzzing.run(fuzzing.Case(0, "whole", files, arguments), tmp_path)
    assert (found.code, found.fault) == (0, None), found.err


def test_the_judge_finds_faults(tmp_path, monkeypatch):
    """Each kind of fault, planted into a command."""
    import subprocess
    import sys
    import tempfile

    from nuhf.cli import browse

    def caught(act):
        monkeypatch.setattr(browse, "_print_rows", lambda rows: act())
        folder = Path(tempfile.mkdtemp(dir=tmp_path))
        return fuzzing.run(fuzzing.Case(0, "planted", {"a": b"1"}, ["list"]), folder).fault

    outside = tmp_path / "outside"
    assert caught(lambda: None) is None
    assert "ZeroDivisionError" in caught(lambda: 1 / 0)
    assert "reached outside" in caught(lambda: outside.write_text("x"))
    assert "reached outside" in caught(lambda: outside.unlink())
    assert "reached outside" in caught(lambda: subprocess.run([sys.executable, "-V"], check=True))
    assert "exit status" in caught(lambda: sys.exit(7))
    assert "not one readable line" in caught(lambda: sys.exit(1))
    assert "stderr" in caught(lambda: print("Traceback (most recent ...)", file=sys.stderr))
    assert "changed its input" in caught(lambda: Path("a").write_text("2"))
    assert "temporary file" in caught(lambda: tempfile.mkstemp())
    assert "left" in caught(lambda: Path(".hidden").touch())
    monkeypatch.setattr(fuzzing, "SECONDS", 0.2)
    monkeypatch.setattr(fuzzing, "WAIT", 0.5)

    def hang():
        while True:
            pass

    assert "no answer" in caught(hang)
    assert "no answer" in caught(lambda: time.sleep(5))


# ------------------------------------------------------------------------------------ parsers

_scalars = st.none() | st.booleans() | st.floats() | st.integers() | st.text()
_json = st.recursive(
    _scalars,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


def _finite(content):
    if isinstance(content, float):
        return math.isfinite(content)
    if isinstance(content, list):
        return all(map(_finite, content))
    if isinstance(content, dict):
        return all(map(_finite, content.values()))
    return True


def _same(one, two):
    """Equal, where an integer beyond 64 bits may have become a float."""
    if isinstance(one, list):
        return len(one) == len(two) and all(map(_same, one, two))
    if isinstance(one, dict):
        return list(one) == list(two) and all(_same(one[key], two[key]) for key in one)
    if isinstance(one, int) and abs(one) >= 2**63:
        return isinstance(two, float) and two == float(one)
    return type(one) is type(two) and one == two


@QUICK
@given(_json)
def test_json_is_read_as_it_was_written_or_refused(content):
    text = json.dumps(content)
    if not _finite(content):
        with pytest.raises(InputError, match="broken JSON"):
            resources.parse_json(text, "x")
        return
    found = resources.parse_json(text, "x")
    assert _same(content, found)
    # and what is written is read again
    assert _same(found, resources.parse_json(resources.dump_json(found), "x"))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('{"a": 1, "a": 2}', "key given twice: 'a'"),
        ("[NaN]", "NaN is not JSON"),
        ("[-Infinity]", "-Infinity is not JSON"),
        ("[1e400]", "1e400 is too large"),
        ("[-1e400]", "-1e400 is too large"),
        ("[" + "9" * 309 + "]", "too large"),
        ("[" + "1" * 400 + "]", "400 digits is too large"),
        ("[" + "1" * 10_000 + "]", "10000 digits is too large"),
        ("[" * 100_000, "nested too deeply"),
        ('{"a":' * 100_000, "nested too deeply"),
        ('["\\ud800"]', "surrogate"),
        ('{"\\uDFFF": 1}', "surrogate"),
        ("", "broken JSON"),
        ("\ufeff{}", "BOM"),
    ],
)
def test_broken_json(text, words):
    with pytest.raises(InputError, match=words) as caught:
        resources.parse_json(text, "the file")
    assert str(caught.value).startswith("the file: broken JSON: ")
    assert len(str(caught.value)) < 600


def test_pairs_of_surrogates_are_text(tmp_path):
    assert resources.parse_json('["\\ud83d\\ude00"]', "x") == ["\U0001f600"]


@QUICK
@given(st.binary(max_size=400))
def test_any_bytes_as_toml_table_and_json(tmp_path_factory, content):
    path = tmp_path_factory.mktemp("bytes") / "x"
    path.write_bytes(content)
    for read in (resources.read_toml, resources.read_json, lambda p: tables.read_table(p, [])):
        try:
            read(path)
        except InputError as error:
            assert str(error).startswith(str(path))  # noqa: PT017


@pytest.mark.parametrize(
    "text", ["a = " + "[" * 100_000, "a = " + "1" * 5000, "a" + ".a" * 100_000 + " = 1",
             "a = 1\na = 2", "a = 1979-13-45", "\x00", "a = {b = 1, b = 2}", "[a]\n[a]"]
)  # fmt: skip
def test_broken_toml(tmp_path, text):
    path = tmp_path / "x.toml"
    path.write_text(text)
    with pytest.raises(InputError, match=r"x\.toml: broken TOML"):
        resources.read_toml(path)


def test_sizes(tmp_path):
    table, toml = tmp_path / "t.csv", tmp_path / "x.toml"
    table.write_text("# source: x\na\n" + "1\n" * 100_001)
    with pytest.raises(InputError, match="100001 rows; at most 100000"):
        tables.read_table(table, ["a"])
    toml.write_text("a = 1 #" + "x" * 2**20)
    with pytest.raises(InputError, match="larger than 1 MiB"):
        resources.read_toml(toml)
    toml.write_text("a = [" + "1.0, " * 5000 + "]\nb = 'v. " + "w." * 40 + "'\n")
    assert len(resources.read_toml(toml)["a"]) == 5000


@QUICK
@given(
    st.lists(st.lists(st.floats(-1e3, 1e3), min_size=2, max_size=2), min_size=1, max_size=6),
)
def test_edges_are_ordered_or_refused(tmp_path_factory, rows):
    path = tmp_path_factory.mktemp("edges") / "t.csv"
    lines = ["# source: hypothesis", "lo,hi", *(f"{low!r},{high!r}" for low, high in rows)]
    path.write_text("\n".join(lines))
    table = tables.read_table(path, ["lo", "hi"])
    assert np.array_equal(table["lo"], [row[0] for row in rows])
    try:
        edges = table.edges("lo", "hi")
    except InputError as error:
        good = all(low < high for low, high in rows) and all(
            one[1] == two[0] for one, two in pairwise(rows)
        )
        assert not good, error  # noqa: PT017
        return
    assert np.all(np.diff(edges) > 0)
    assert len(edges) == len(rows) + 1


# ----------------------------------------------------------------------- experiments of each kind


def altered(tmp_path, name, table, change):
    """An experiment whose table has one column changed by ``change(values)``."""
    from nuhf.experiments.catalogue import load
    from nuhf.experiments.prepare import prepare

    source = fuzzing.ROOT / "data"
    text = (source / "experiments" / f"{name}.toml").read_text(encoding="utf-8")
    (tmp_path / "mine.toml").write_text(text, encoding="utf-8")
    file, column = table
    lines = (source / file).read_text(encoding="utf-8").splitlines()
    head = next(i for i, line in enumerate(lines) if line and not line.startswith("#"))
    at = lines[head].split(",").index(column)
    rows = [line.split(",") for line in lines[head + 1 :] if line.strip() and line[0] != "#"]
    changed = change([float(row[at]) for row in rows])
    for row, value in zip(rows, changed, strict=True):
        row[at] = repr(value)
    comments = [line for line in lines if line.startswith("#")]
    (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
    body = [lines[head], *(",".join(row) for row in rows)]
    (tmp_path / file).write_text("\n".join([*comments, *body]) + "\n", encoding="utf-8")
    return prepare(load(str(tmp_path / "mine.toml")))


def at(index, value):
    """Change one entry: to a value, or by a function of the column."""

    def change(values):
        values[index] = value(values) if callable(value) else value
        return values

    return change


def _swapped(values):
    values[3], values[4] = values[4], values[3]
    return values


CSI, LAR, XE = "coherent-csi-2021/counts.csv", "coherent-lar-2020/", "xenonnt-sr0/"
DRESDEN = "dresden-2/raw_counts_derived.csv"
IMPOSSIBLE = [
    # spallation, response computed
    ("coherent-csi-2021", (CSI, "n_c"), at(700, -1.0), "-1.0 is negative"),
    ("coherent-csi-2021", (CSI, "n_ac"), at(700, -1.0), "-1.0 is negative"),
    ("coherent-csi-2021", (CSI, "pe_lo"), at(3, 47.0), "."),
    ("coherent-csi-2021", ("coherent-csi-2021/background_pe.csv", "brn"), at(3, -1.0), "negative"),
    ("coherent-csi-2021", ("coherent-csi-2021/background_pe.csv", "pe_lo"), _swapped, "bin"),
    ("coherent-csi-2021", ("coherent-csi-2021/background_pe.csv", "pe_hi"), at(3, 1e3), "overlap"),
    (
        "coherent-csi-2021",
        ("coherent-csi-2021/background_time.csv", "brn"),
        lambda values: [0.0] * len(values),
        "shape is zero",
    ),
    ("coherent-csi-2021", ("sns/flux_time.csv", "nue"), at(3, -1.0), "negative"),
    ("coherent-csi-2021", ("sns/flux_time.csv", "t_lo_us"), _swapped, "bin"),
    # spallation, templates as released
    ("coherent-lar-2020", (LAR + "efficiency.csv", "efficiency"), at(3, -0.1), "-0.1 is negative"),
    ("coherent-lar-2020", (LAR + "efficiency.csv", "efficiency"), at(3, 1.2), "1.2 is above 1"),
    ("coherent-lar-2020", (LAR + "templates.csv", "n"), at(3, -2.0), "negative"),
    ("coherent-lar-2020", (LAR + "templates.csv", "brn_prompt"), at(3, -2.0), "negative"),
    ("coherent-lar-2020", (LAR + "templates.csv", "e_lo_kev_ee"), at(9, 7e3), "."),
    # solar
    ("xenonnt-sr0", (XE + "efficiency.csv", "efficiency"), at(3, -0.1), "-0.1 is negative"),
    ("xenonnt-sr0", (XE + "efficiency.csv", "efficiency"), at(3, 1.2), "1.2 is above 1"),
    ("xenonnt-sr0", (XE + "efficiency.csv", "e_kev"), _swapped, "does not increase"),
    ("xenonnt-sr0", (XE + "templates_computed.csv", "counts"), at(3, -2.0), "negative"),
    ("xenonnt-sr0", (XE + "templates_computed.csv", "e_lo_kev"), _swapped, "bin"),
    ("xenonnt-sr0", ("xenon/shape_pb214.csv", "density_per_kev"), at(3, -2.0), "negative"),
    ("xenonnt-sr0", ("electrons/Xe_shells.csv", "edge_kev"), at(0, -2.0), "."),
    # reactor
    ("dresden-2", (DRESDEN, "acceptance"), at(3, -0.1), "is negative"),
    ("dresden-2", (DRESDEN, "acceptance"), at(3, 1.2), "is above 1"),
    ("dresden-2", (DRESDEN, "n_on"), at(3, -2.0), "negative"),
    ("dresden-2", (DRESDEN, "e_lo_kev_ee"), _swapped, "bin"),
    ("dresden-2", (DRESDEN, "e_hi_kev_ee"), at(3, 40.0), "overlap"),
]


@pytest.mark.parametrize(("name", "table", "change", "words"), IMPOSSIBLE)
def test_impossible_tables_are_refused_by_every_kind(tmp_path, name, table, change, words):
    with pytest.raises(InputError, match=words) as caught:
        altered(tmp_path, name, table, change)
    said = str(caught.value)
    assert "\n" not in said
    assert table[0] in said or "mine.toml" in said


@pytest.mark.parametrize("values", [-1.0, math.nan, math.inf])
def test_impossible_regions_are_refused(values):
    """The last check, whatever kind the numbers came from."""
    from dataclasses import replace

    from nuhf.experiments.catalogue import load
    from nuhf.experiments.prepare import check, prepare

    one = prepare(load("coherent-csi-2021"))
    (region,) = one.regions
    bad = np.ones(region.observed.size)
    bad[7] = values
    name = next(iter(region.backgrounds))
    signal = region.signals[0]
    source, monomials = next(iter(signal.nominal.items()))
    for changed in (
        replace(region, observed=bad),
        replace(region, backgrounds={**region.backgrounds, name: bad}),
        replace(region, sigma=bad),
    ):
        with pytest.raises(InputError, match=r"in bin 7 is"):
            check(replace(one, regions=(changed,)))
    if not math.isfinite(values):
        nominal = {**signal.nominal, source: {**monomials, "1": bad}}
        changed = replace(region, signals=(replace(signal, nominal=nominal),))
        with pytest.raises(InputError, match=f"process 'cevns', {source}, 1 in bin 7"):
            check(replace(one, regions=(changed,)))
    wide = replace(region, observed=np.zeros(100_001))
    with pytest.raises(InputError, match="100001 bins; at most 100000"):
        check(replace(one, regions=(wide,)))
