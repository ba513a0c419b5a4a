"""Parameters, units, tables and files: what is refused, in which words, and what survives."""

import json
import math
import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import constants as codata

from nuhf import constants, resources
from nuhf.couplings import parameters
from nuhf.errors import InputError, NuhfError
from nuhf.tables import format_csv, read_table

# ----------------------------------------------------------------- constants


@pytest.mark.parametrize(
    ("ours", "name", "factor"),
    [
        (constants.ALPHA, "fine-structure constant", 1.0),
        (constants.ELECTRON_MASS, "electron mass energy equivalent in MeV", 1.0),
        (constants.MUON_MASS, "muon mass energy equivalent in MeV", 1.0),
        (constants.ATOMIC_MASS_UNIT, "atomic mass constant energy equivalent in MeV", 1.0),
        (constants.AVOGADRO, "Avogadro constant", 1.0),
        (constants.FERMI_CONSTANT, "Fermi coupling constant", 1e-6),
    ],
)
def test_constants_agree_with_scipys_codata(ours, name, factor):
    # scipy may hold another edition of CODATA: their changes stay below 1e-6
    assert ours == pytest.approx(codata.value(name) * factor, rel=1e-6)


def test_hbar_c_follows_from_the_exact_si_values():
    joule_metre = codata.h / (2 * math.pi) * codata.c
    assert joule_metre / codata.e * 1e-6 * 1e2 == pytest.approx(constants.HBAR_C, rel=1e-14)
    assert pytest.approx(197.3269804, rel=1e-9) == constants.HBAR_C_FM
    assert pytest.approx(constants.HBAR_C / 1e-13, rel=1e-14) == constants.HBAR_C_FM


def test_gev_area_is_the_textbook_number():
    # PDG, physical constants: (hbar c)^2 = 0.389379372 GeV^2 mbarn
    assert pytest.approx(0.389379372e-27 * 1e6, rel=1e-9) == constants.CM2_PER_MEV_M2


# ---------------------------------------------------------------- parameters

NAMES = sorted(parameters.PARAMETERS)
SIZES = st.floats(1e-3, 1e3)


@settings(deadline=None)
@given(name=st.sampled_from(NAMES), size=SIZES, sign=st.sampled_from([-1, 1]))
def test_to_fit_and_back(name, size, sign):
    parameter = parameters.get(name)
    value = parameter.offset + sign * size * 10.0 ** (
        parameter.exponent / (2 if parameter.squared else 1)
    )
    back = parameter.from_fit(parameter.to_fit(value))
    expected = abs(value) if parameter.squared else value
    assert back == pytest.approx(expected, rel=1e-9, abs=1e-12 * size)


@settings(deadline=None)
@given(name=st.sampled_from(NAMES), theta=st.floats(0, 1e4))
def test_from_fit_and_back(name, theta):
    parameter = parameters.get(name)
    assert parameter.to_fit(parameter.from_fit(theta)) == pytest.approx(theta, rel=1e-9, abs=1e-9)


def test_fit_names_carry_the_unit_they_count_in():
    for parameter in parameters.PARAMETERS.values():
        if parameter.exponent < 0:
            assert parameter.fit_name.endswith(f"_em{-parameter.exponent}")
        one = parameter.offset + parameter.scale ** (1 / parameter.power)
        assert parameter.to_fit(one) == pytest.approx(1.0)
    assert parameters.get("qnu_ee").fit_name == "qnu_ee_em8"
    assert parameters.get("munu_e").fit_name == "munu2_e_em18"
    assert parameters.get("abs_qnu_emu").fit_name == "qnu2_emu_em16"


def test_fit_names_are_unique():
    fit_names = [p.fit_name for p in parameters.PARAMETERS.values()]
    assert len(set(fit_names)) == len(fit_names)


def test_fit_zero_is_the_standard_model():
    assert parameters.get("sin2thetaW").from_fit(0.0) == constants.SIN2_THETA_W
    # neutron radii have no SM value: their fit parameter is the distance from a reference
    groups = ("angle", "strengths", "neutron_radii")
    others = [p for p in parameters.PARAMETERS.values() if p.group.name not in groups]
    assert all(p.from_fit(0.0) == 0.0 for p in others)
    radii = [p for p in parameters.PARAMETERS.values() if p.group.name == "neutron_radii"]
    assert {p.from_fit(0.0) for p in radii} == {parameters.RN_REFERENCE_FM}


@pytest.mark.parametrize(
    ("exponent", "suffix"), [(-8, "_em8"), (0, ""), (2, "_ep2"), (-32, "_em32")]
)
def test_unit_suffix(exponent, suffix):
    assert parameters.unit_suffix(exponent) == suffix


def test_unknown_parameter_gets_a_suggestion_and_near_names():
    with pytest.raises(InputError, match=r"unknown parameter 'qnu_em'; did you mean .*qnu_e") as e:
        parameters.get("qnu_em")
    assert "allowed: qnu_emu, qnu_ee, " in str(e.value)
    assert len(str(e.value)) < 200


def test_suggest_without_a_near_name_only_lists():
    assert parameters.suggest("zzz", ["one", "two"]) == "allowed: one, two"
    many = [f"nuisance_{i}" for i in range(100)]
    assert parameters.suggest("nuisance_42x", many).startswith(
        "did you mean nuisance_42 or nuisance_4? allowed: nuisance_42, nuisance_4, "
    )
    assert parameters.suggest("zzz", many).endswith(" and 92 more")


# -------------------------------------------------------------------- tables

GOOD = "# source: here\n# columns: a_lo [MeV], a_hi [MeV], n [counts]\na_lo,a_hi,n\n0,1,5\n1,3,0\n"
COLUMNS = ["a_lo", "a_hi", "n"]


@pytest.fixture
def table(tmp_path):
    """Write text as a table, read it."""

    def read(text, columns=COLUMNS):
        path = tmp_path / "table.csv"
        path.write_text(text)
        return read_table(path, columns)

    return read


def test_table_reads_what_is_there(table):
    read = table(GOOD)
    assert read.source == "here"
    np.testing.assert_array_equal(read["n"], [5, 0])
    np.testing.assert_array_equal(read.edges("a_lo", "a_hi"), [0, 1, 3])
    np.testing.assert_array_equal(read.non_negative("n"), [5, 0])


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (GOOD.replace("a_lo,a_hi,n", "a_lo,a_hi,m"), ["no column 'n'", "a_lo, a_hi, m"]),
        (GOOD.replace("a_lo,a_hi,n", "n,a_hi,n"), ["given twice", "n, a_hi, n"]),
        (GOOD.replace("0,1,5", "0,1,nan"), ["line 4", "column 'n'", "'nan'", "finite"]),
        (GOOD.replace("0,1,5", "0,1,inf"), ["line 4", "column 'n'", "finite"]),
        (GOOD.replace("1,3,0", "1,three,0"), ["line 5", "column 'a_hi'", "'three'"]),
        (GOOD.replace("1,3,0", "1,,0"), ["line 5", "column 'a_hi'", "''"]),
        (GOOD.replace("1,3,0", "1,3"), ["line 5", "2 values for 3 columns"]),
        (GOOD.replace("1,3,0", "1,3,0,9"), ["line 5", "4 values for 3 columns"]),
        (GOOD.replace("# source: here\n", ""), ["# source:"]),
        ("# source: here\na_lo,a_hi,n\n", ["no header row followed by rows"]),
        ("# source: here\n", ["no header row"]),
    ],
)
def test_broken_table_is_refused_with_its_place(table, text, words):
    with pytest.raises(InputError) as error:
        table(text)
    for word in ["table.csv", *words]:
        assert word in str(error.value)


@pytest.mark.parametrize(
    ("row", "words"),
    [
        ("0.5,3,0", ["bins 0 and 1", "overlap"]),
        ("1.5,3,0", ["bins 0 and 1", "gap"]),
        ("1,0.5,0", ["bin 1", "'a_hi' is not above 'a_lo'"]),
        ("1,1,0", ["bin 1", "'a_hi' is not above 'a_lo'"]),
    ],
)
def test_edges_that_do_not_join_are_refused(table, row, words):
    read = table(GOOD.replace("1,3,0", row))
    with pytest.raises(InputError) as error:
        read.edges("a_lo", "a_hi")
    for word in ["table.csv", *words]:
        assert word in str(error.value)


def test_negative_counts_and_missing_columns_are_refused_on_use(table):
    read = table(GOOD.replace("1,3,0", "1,3,-2"))
    with pytest.raises(InputError, match=r"table\.csv: column 'n', row 1: -2\.0 is negative"):
        read.non_negative("n")
    with pytest.raises(InputError, match=r"no column 'x'; the columns are a_lo, a_hi, n"):
        read["x"]


def test_every_shipped_table_has_source_and_columns_and_reads():
    paths = sorted(resources.shipped("data").rglob("*.csv"))
    assert len(paths) >= 5
    for path in paths:
        first = next(s for s in path.read_text().splitlines() if not s.startswith("#"))
        assert "# columns:" in path.read_text(), path
        read = read_table(path, first.split(","))
        assert read.source
        for name in read.columns:  # every column is described, with its unit
            assert re.search(rf"\b{re.escape(name)}\b[^\n]*\[", path.read_text()), (path, name)


@settings(deadline=None)
@given(
    rows=st.lists(
        st.tuples(st.floats(-1e300, 1e300), st.integers(-(10**15), 10**15)),
        min_size=1, max_size=8,
    )
)  # fmt: skip
def test_csv_round_trip(tmp_path_factory, rows):
    path = tmp_path_factory.mktemp("csv") / "t.csv"
    columns = {"x": [x for x, _ in rows], "n": [n for _, n in rows]}
    resources.write_text(path, format_csv(columns, ["source: test"]))
    read = read_table(path, ["x", "n"])
    np.testing.assert_allclose(read["x"], columns["x"], rtol=1e-9, atol=0)
    np.testing.assert_array_equal(read["n"], columns["n"])


# ----------------------------------------------------------------- resources


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('{"a": 1, "a": 2}', "key given twice: 'a'"),
        ('{"b": {"a": 1, "a": 2}}', "key given twice: 'a'"),
        ('{"a": NaN}', "NaN is not JSON"),
        ('{"a": -Infinity}', "-Infinity is not JSON"),
        ('{"a": 1e999}', "1e999"),
        ('{"a": 1', "broken JSON"),
        ("[" * 100_000, "broken JSON"),
    ],
)
def test_broken_json_is_refused(tmp_path, text, words):
    path = tmp_path / "x.json"
    path.write_text(text)
    with pytest.raises(InputError, match=words) as error:
        resources.read_json(path)
    assert str(path) in str(error.value)


def test_broken_toml_names_file_line_and_column(tmp_path):
    path = tmp_path / "x.toml"
    path.write_text("a = 1\nb = = 2\n")
    with pytest.raises(InputError, match=r"x\.toml: broken TOML: .*line 2, column 5"):
        resources.read_toml(path)


@pytest.mark.parametrize("reader", [resources.read_json, resources.read_toml, resources.read_text])
def test_unreadable_files_are_told_apart(tmp_path, reader):
    with pytest.raises(InputError, match=r"gone: cannot be read: No such file"):
        reader(tmp_path / "gone")
    with pytest.raises(InputError, match="cannot be read: Is a directory"):
        reader(tmp_path)
    (tmp_path / "latin").write_bytes(b"a = 'M\xfcon'")
    with pytest.raises(InputError, match=r"latin: not a UTF-8 text file \(byte 6\)"):
        reader(tmp_path / "latin")


def test_find_looks_beside_first_then_in_data(tmp_path):
    shipped = resources.find("nuclides.toml", [tmp_path])
    assert shipped == resources.shipped("data") / "nuclides.toml"
    (tmp_path / "nuclides.toml").write_text("")
    assert resources.find("nuclides.toml", [tmp_path]) == tmp_path / "nuclides.toml"
    with pytest.raises(InputError, match=r"'no\.csv' not found in: .*data"):
        resources.find("no.csv", [tmp_path])
    with pytest.raises(InputError, match="'nowhere' is missing"):
        resources.shipped("nowhere")


def _fails_halfway(temporary):
    temporary.write_text("half of")
    raise OSError(28, "No space left on device")


def _is_interrupted(temporary):
    temporary.write_text("half of")
    raise KeyboardInterrupt


@pytest.mark.parametrize(
    ("write", "raised"), [(_fails_halfway, InputError), (_is_interrupted, KeyboardInterrupt)]
)
def test_failed_write_leaves_the_old_file_and_nothing_else(tmp_path, write, raised):
    path = tmp_path / "kept.json"
    resources.write_json(path, {"a": 1})
    before = path.read_bytes()
    with pytest.raises(raised):
        resources.replace_bytes(path, write)
    assert path.read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == ["kept.json"]


def test_content_that_is_not_json_leaves_the_old_file(tmp_path):
    path = tmp_path / "kept.json"
    resources.write_json(path, {"a": 1})
    with pytest.raises(ValueError, match="JSON"):
        resources.write_json(path, {"a": float("nan")})
    assert resources.read_json(path) == {"a": 1}
    assert [p.name for p in tmp_path.iterdir()] == ["kept.json"]


def test_unwritable_place_is_an_input_error(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="cannot be written"):
        resources.write_text(tmp_path / "file" / "below.json", "x")


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**60), 2**60) | st.text(max_size=6)
    | st.floats(allow_nan=False, allow_infinity=False),
    lambda inner: st.lists(inner, max_size=4)
    | st.dictionaries(st.text(max_size=5), inner, max_size=4),
    max_leaves=12,
)  # fmt: skip


@settings(deadline=None)
@given(content=JSON)
def test_dumped_json_is_json_and_the_same(content):
    assert json.loads(resources.dump_json(content)) == content


def test_json_file_round_trip_and_digest(tmp_path):
    content = {"x": [0.1, 1e-32, 1 / 3], "y": [[1, 2], [3]], "z": {}}
    one, two = tmp_path / "sub" / "a.json", tmp_path / "b.json"
    resources.write_json(one, content)
    resources.write_json(two, content)
    assert resources.read_json(one) == content
    assert resources.digest(one) == resources.digest(two)
    assert one.read_text().endswith("}\n")
    assert '"x": [0.1, 1e-32, 0.3333333333333333]' in one.read_text()
    resources.write_json(two, {**content, "z": {"w": 1}})
    assert resources.digest(one) != resources.digest(two)


def test_every_foreseeable_error_is_one_family():
    assert issubclass(InputError, NuhfError)
