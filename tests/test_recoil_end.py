"""Where the recoil integral of a reactor experiment ends: nothing is cut without a word."""

import re
from pathlib import Path

import numpy as np
import pytest

import nuhf
from nuhf.errors import InputError
from nuhf.experiments.catalogue import list_experiments, load
from nuhf.experiments.prepare import prepare
from nuhf.library import reactor_spectrum, read_nuclides
from nuhf.units import KEV

CONUS = Path(__file__).resolve().parent.parent / "docs" / "examples" / "one-bin-reactor.toml"
REACTORS = {name: path for name, path in list_experiments().items()
            if 'kind = "reactor"' in path.read_text(encoding="utf-8")}  # fmt: skip
START = "[responses.nuclear]\n"


def with_end(tmp_path, line, *changes, source=CONUS):
    """A copy of a file with another line for the key, and further changes."""
    text = source.read_text(encoding="utf-8")
    assert text.count(START) == 1
    text = text.replace(START, START + line)
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    path = tmp_path / "changed.toml"
    path.write_text(text, encoding="utf-8")
    return str(path)


def largest_recoil_kev():
    """2 E^2/(M + 2 E) at the end of the spectrum, on the lightest isotope."""
    energy = reactor_spectrum("bestiole2023", {"u235": 1.0}).endpoint
    return 2 * energy**2 / (read_nuclides()["Ge70"].mass + 2 * energy) / KEV


def signal(path):
    """Coherent SM events in all bins."""
    return sum(row["cevns_e"].sum() for row in nuhf.rate(path).values())


def test_without_the_key_it_is_the_kinematic_end(tmp_path):
    assert 4.7 < largest_recoil_kev() < 4.9
    (one, *_), (two, *_) = (
        prepare(load(with_end(tmp_path, line))).templates
        for line in ("", f"recoil_max_kev = {1.001 * largest_recoil_kev()}\n")
    )
    for monomial, row in one.nominal["nuebar"].items():
        np.testing.assert_array_equal(two.nominal["nuebar"][monomial], row)


@pytest.mark.parametrize("end", [0.8, 1.2, 2.0])
def test_a_cut_is_refused_with_its_size(tmp_path, end):
    with pytest.raises(InputError) as caught:
        nuhf.rate(with_end(tmp_path, f"recoil_max_kev = {end}\n"))
    message = str(caught.value)
    assert re.search(
        rf"changed\.toml: responses\.nuclear: recoil_max_kev \({end:g} keV\) cuts [0-9.]+ % of",
        message,
    )
    assert "allowed: 0.1 %, or cut_recoils = true" in message


def test_the_share_is_that_of_the_events_lost(tmp_path):
    """Against a twin that is allowed to cut."""
    whole, path = signal(str(CONUS)), with_end(tmp_path, "recoil_max_kev = 1.5\n")
    with pytest.raises(InputError) as caught:
        nuhf.rate(path)
    said = float(re.search(r"cuts ([0-9.]+) %", str(caught.value))[1])
    cut = signal(with_end(tmp_path, "recoil_max_kev = 1.5\ncut_recoils = true\n"))
    assert said == pytest.approx(100 * (1 - cut / whole), rel=0.06)


def test_a_curve_that_ends_is_refused_with_what_helps(tmp_path):
    """Fef ends at 4.5 keV, with next to nothing beyond: that may be left out."""
    curve = 'kind = "lindhard"\nsource = "@Bonhomme:2022lcz: k = 0.162 +- 0.004"\nk = 0.162\n'
    changes = [
        (f"{curve}k_error = 0.004\n", 'kind = "library"\nname = "ge-fef"\n'),
        ("quenching.deviations = 1.0", "quenching.scale = 1.01"),
        ("quenching.deviations = -1.0", "quenching.scale = 0.99"),
    ]
    with pytest.raises(InputError) as caught:
        nuhf.rate(with_end(tmp_path, "", *changes))
    message = str(caught.value)
    assert "changed.toml: responses.nuclear.quenching ends at 4.5 keV of recoil" in message
    assert "recoil_max_kev = 4.5 leaves those recoils out" in message
    assert signal(with_end(tmp_path, "recoil_max_kev = 4.5\n", *changes)) > 0
    # the curve is not known beyond, so all events beyond are counted: an upper bound
    with pytest.raises(InputError, match=r"cuts up to [0-9.]+ % of the signal"):
        nuhf.rate(with_end(tmp_path, "recoil_max_kev = 2.0\n", *changes))


@pytest.mark.parametrize("name", REACTORS)
def test_shipped_experiments_cut_next_to_nothing(name, monkeypatch):
    from nuhf.experiments import scattering as module

    monkeypatch.setattr(module, "_CUT", 5e-6)
    for analysis in load(name).experiment.analyses:
        assert prepare(load(name, analysis)).templates


def test_electrons_are_not_cut(tmp_path):
    """The key is about nuclei: recoils of electrons end with the bins."""
    path = with_end(tmp_path, "recoil_max_kev = 3.0\n")
    (_, one), (_, two) = prepare(load(path)).templates, prepare(load(str(CONUS))).templates
    assert one.process == two.process == "eves"
    np.testing.assert_array_equal(one.nominal["nuebar"]["1"], two.nominal["nuebar"]["1"])


@pytest.mark.parametrize(
    ("name", "key", "end"),
    [
        ("lz-ws2022", "recoil_max_kev", 15.0),
        ("lz-ws2022", "recoil_min_kev", 3.0),
        ("xenonnt-sr0", "recoil_max_kev", 130.0),
    ],
)
def test_recoils_of_a_solar_experiment_end_where_none_is_counted(tmp_path, name, key, end):
    """Shipped files pass: PandaX Run1 counts 0.3 % of the electrons at its end, the others less."""
    text = list_experiments()[name].read_text(encoding="utf-8")
    text, number = re.subn(rf"^{key} = .*\n", f"{key} = {end}\n", text, flags=re.M)
    assert number == 1
    path = tmp_path / "changed.toml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(InputError) as caught:
        nuhf.rate(str(path))
    for words in ("changed.toml", f"responses.electron: {key} ({end:g} keV) cuts ", "% of the sig"):
        assert words in str(caught.value)


def test_what_is_found_while_building_names_the_file(tmp_path):
    path = with_end(tmp_path, "", ("formula = { Ge = 1 }", "formula = { Ge99 = 1 }"))
    with pytest.raises(InputError, match=r"changed\.toml.*Ge99"):
        nuhf.rate(path)
