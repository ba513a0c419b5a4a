"""The global picture: which experiments, which together, the literature, figure and command."""

import csv
import json
import re
from importlib.util import module_from_spec, spec_from_file_location
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from conftest import problems

import nuhf
from nuhf import resources
from nuhf.couplings import parameters
from nuhf.errors import FitError, InputError
from nuhf.experiments.catalogue import list_experiments
from nuhf.papers import overview as module
from nuhf.papers.overview import COUPLINGS, STATUS, Overview, overview, read_literature

DOCS = Path(__file__).parents[1] / "docs"
SOLAR = {"lz-ws2022", "lz-ws2024", "pandax-4t-run0", "pandax-4t-run1", "xenonnt-sr0"}
BEAM = {"coherent-csi-2021", "coherent-lar-2020"}
REACTOR = {"conus-plus", "dresden-2"}
# nuclear recoils of 8B neutrinos, with a spectrum
BORON = {"xenonnt-8b"}
# one number each: a rate without a spectrum bounds radii, but no moment and no charge
SOLAR_NUMBERS = {"lz-8b", "pandax-4t-8b"}
NUMBERS = SOLAR_NUMBERS | {"coherent-ge-2026"}
# the same runs as xenonnt-8b: nobody says that the events are others
SHARING = {"xenonnt-s2-only"}
DARWIN = {"darwin-30ty", "darwin-300ty", "darwin-300ty-depleted"}


@pytest.fixture(scope="module")
def picture():
    return overview(["munu_e", "qnu_mumu", "r2nu_tautau"])


def entries(picture, parameter, role):
    return {e.label: e for e in picture.entries if (e.parameter, e.role) == (parameter, role)}


@pytest.mark.slow
def test_every_experiment_with_an_effect_is_there(picture):
    every = set(list_experiments()) - {"apv-cs"} - DARWIN
    beam, solar = BEAM | {"coherent-csi-2017"}, SOLAR | BORON | SHARING
    assert every == solar | beam | REACTOR | NUMBERS
    assert set(entries(picture, "munu_e", "ours")) == every - NUMBERS
    # reactors have no muon neutrinos, the beam no tau neutrinos
    assert set(entries(picture, "qnu_mumu", "ours")) == every - NUMBERS - REACTOR
    assert set(entries(picture, "r2nu_tautau", "ours")) == solar | SOLAR_NUMBERS
    for name in ("munu_e", "qnu_mumu", "r2nu_tautau"):
        assert set(entries(picture, name, "future")) == DARWIN


def test_nothing_is_counted_twice_in_the_combination(picture):
    solar = SOLAR | BORON
    for name, wanted in (("munu_e", solar | BEAM | REACTOR), ("qnu_mumu", solar | BEAM),
                         ("r2nu_tautau", solar | SOLAR_NUMBERS)):  # fmt: skip
        (found,) = entries(picture, name, "combined").values()
        assert set(found.experiments) == wanted
    text = " ".join(picture.notes)
    words = "is not in the combination: its events are among those of"
    assert text.count(words) == 1
    assert f"coherent-csi-2017 {words} coherent-csi-2021" in text
    assert text.count("is not in the combination: it may share events with") == 1
    assert "xenonnt-s2-only is not in the combination: it may share events with xenonnt-8b" in text
    assert "Asimov data, not in the combination" in text
    assert f"{', '.join(sorted(NUMBERS))}: one number without a spectrum, for radii only" in text


def test_experiments_that_may_share_events_say_so_together():
    pair = ["xenonnt-8b", "xenonnt-s2-only"]
    words = "xenonnt-s2-only and xenonnt-8b may share events, counted twice"
    (together,) = problems(pair, "r2nu_ee")
    assert words in together.notes
    (alone,) = problems(["xenonnt-s2-only"], "r2nu_ee")
    assert words not in alone.notes


def test_intervals_are_those_of_the_api(picture):
    one = entries(picture, "qnu_mumu", "ours")["coherent-csi-2021"]
    (wanted,) = nuhf.limit("coherent-csi-2021", "qnu_mumu")
    np.testing.assert_allclose(one.intervals, wanted.intervals, rtol=1e-9)
    (all_of,) = entries(picture, "r2nu_tautau", "combined").values()
    (wanted,) = nuhf.limit(all_of.experiments, "r2nu_tautau")
    np.testing.assert_allclose(all_of.intervals, wanted.intervals, rtol=1e-6)


def test_the_combination_is_no_weaker_than_its_best_part_by_far(picture):
    # an excess in one part may widen the interval of all; not by half here
    for name in ("munu_e", "qnu_mumu", "r2nu_tautau"):
        (found,) = entries(picture, name, "combined").values()
        parts = entries(picture, name, "ours")
        width = [parts[e].intervals[-1][1] - parts[e].intervals[0][0] for e in found.experiments]
        assert found.intervals[-1][1] - found.intervals[0][0] < 1.1 * min(width)


def test_shared_nuisances_are_one(picture):
    (found,) = entries(picture, "r2nu_tautau", "combined").values()
    (problem,) = problems(found.experiments, "r2nu_tautau")
    names = list(problem.engine.compiled.names)
    for name in ("flux_solar_pp", "flux_solar_be7", "flux_solar_b8", "bkg_xe136"):
        assert names.count(name) == 1
    # scattering on electrons is that of pp and 7Be neutrinos, on nuclei that of 8B
    for name, wanted in (("flux_solar_pp", SOLAR), ("flux_solar_b8", BORON | SOLAR_NUMBERS)):
        using = {one.name for one in problem.experiments for n in one.loaded.nuisances
                 if n.name == name}  # fmt: skip
        assert using == wanted


def test_literature_says_where_it_was_read_and_how_sure_it_is():
    found = read_literature()
    assert len({(e.label, e.parameter) for e in found}) == len(found)
    assert {e.parameter for e in found} <= set(COUPLINGS)
    for entry in found:
        assert entry.cl == 0.9
        assert entry.role == STATUS[entry.status]
        assert re.search(
            r"arXiv:(\d{4}\.\d{4,5}|hep-ex/\d{7})|, \d+ \(\d{4}\)|2012, 350150", entry.source
        )
        ((low, high),) = entry.intervals
        assert low == 0.0 if entry.parameter.startswith("munu") else low < 0.0 < high
        # what was recalled says so, and only that
        assert ("recalled" in entry.checked_in) == (entry.status == "recalled-UNVERIFIED")
        assert ("abstract" in entry.checked_in) >= (entry.status == "abstract")
    assert {e.status for e in found} == set(STATUS)


def test_effective_moments_are_those_of_solar_neutrinos():
    """Solar neutrinos are of all flavours, those of reactors of one: different quantities."""
    found = {(e.label, e.parameter): e for e in read_literature()}
    solar = {"XENONnT", "LZ", "PandaX-II", "Borexino", "Super-Kamiokande", "XMASS"}
    assert {label for label, name in found if name == "munu_eff" and "(" not in label} == solar
    assert solar & {label for label, name in found if name == "munu_e"} == {"Borexino"}
    # Table I prints 6.3e-12 in the row of nu_e; as limits of one flavour add up (m^-2 is the sum of
    # m_a^-2), it is the one of all: nu_e is then the 55 % of the pp flux that oscillations leave
    common, mu, tau = (
        found["XENONnT (Khan)", name].intervals[0][1]
        for name in ("munu_eff", "munu_mu", "munu_tau")
    )
    assert 1.0 - (common / mu) ** 2 - (common / tau) ** 2 == pytest.approx(0.55, abs=0.03)


@pytest.fixture(scope="module")
def page():
    """``docs/validation/overview.py`` as a module."""
    spec = spec_from_file_location("overview_page", DOCS / "validation" / "overview.py")
    script = module_from_spec(spec)
    spec.loader.exec_module(script)
    return script


def test_committed_bounds_are_those_we_find(picture, page):
    """Bounds of three couplings, one of each kind, by experiment; the CSV has ten digits."""
    committed = {(e.parameter, e.label): e for e in page.read().entries}
    assert {name for name, _ in committed} >= set(page.OF_ONE_FLAVOUR)
    for found in (e for e in picture.entries if e.role != "combined"):
        stored = committed[found.parameter, found.label]
        width = found.intervals[-1][1] - found.intervals[0][0]
        np.testing.assert_allclose(stored.intervals, found.intervals, rtol=0, atol=1e-3 * width)
        assert (stored.role, stored.experiments, stored.status, stored.cl, stored.unit) == (
            found.role, found.experiments, found.status, found.cl, found.unit
        )  # fmt: skip


def test_table_of_the_readme_is_made_of_the_committed_bounds(page):
    readme = (DOCS.parent / "README.md").read_text(encoding="utf-8")
    assert f"\n\n{page.short_table(page.read())}\n\n" in readme


def test_figure_of_the_readme_has_the_bounds_of_its_table(page):
    figure = page.short_figure(page.read())
    drawn = [ln.get_gid() for axes in figure.axes for ln in axes.lines if ln.get_gid()]
    assert len(figure.axes) == 3
    assert drawn.count("ours") >= len(page.OF_ONE_FLAVOUR)
    assert "unverified" not in drawn


def test_page_counts_the_bounds_and_its_pictures_are_small():
    text = (DOCS / "validation" / "overview.md").read_text(encoding="utf-8")
    found = read_literature()
    assert f"Of the {len(found)} bounds" in text
    for status in STATUS:
        assert f"* {sum(e.status == status for e in found)} are `{status}`" in text
    for name in ("summary.png", "best.png"):
        assert (DOCS / "images" / name).stat().st_size <= 150_000


BOUND = (
    '[[bounds]]\nexperiment = "X"\nparameter = "munu_e"\ncl = 0.9\nlower = 0.0\nupper = 1e-9\n'
    'process = "p"\nsource = "s"\nchecked_in = "r"\nstatus = "abstract"\n'
)


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ('checked_in = "r"\n', "", r"bounds\[0\]: missing \['checked_in'\]"),
        ("abstract", "sure", "status 'sure'; allowed: abstract, second-hand, recalled-UNVERIFIED"),
        ("cl =", "level =", r"missing \['cl'\], unknown \['level'\]"),
        ("upper = 1e-9", "upper = -1e-9", "is not below upper"),
        ("munu_e", "munu_x", "unknown parameter 'munu_x'"),
    ],
)
def test_a_broken_bound_is_refused(monkeypatch, tmp_path, old, new, words):
    (tmp_path / "literature.toml").write_text(BOUND.replace(old, new), encoding="utf-8")
    monkeypatch.setattr(resources, "shipped", lambda folder: tmp_path)
    with pytest.raises(InputError, match=words):
        read_literature()


def test_other_parameters_are_refused():
    with pytest.raises(InputError, match="sin2thetaW is none of munu_eff"):
        overview(["sin2thetaW"])


def test_order_of_the_couplings():
    groups = ["moments"] * 4 + ["charges"] * 6 + ["radii"] * 6
    assert [parameters.get(name).group.name for name in COUPLINGS] == groups
    for one, other in pairwise(COUPLINGS):
        if one.startswith("abs_") and not other.startswith("abs_"):
            assert parameters.get(one).group != parameters.get(other).group


def test_a_fit_that_fails_is_told_and_not_drawn(monkeypatch):
    def failing(problem, cl, method):
        raise FitError("no interval")

    monkeypatch.setattr(module.questions, "limit", failing)
    found = overview(["munu_tau"])
    ours = [e for e in found.entries if not e.status]
    assert len(ours) == len(SOLAR | BORON | SHARING) + 1 + len(DARWIN)
    assert all((e.intervals, e.source) == ((), "no interval") for e in ours)
    assert "no interval" in found.to_csv()
    (axes,) = found.figure().axes
    assert {line.get_gid() for line in axes.lines if line.get_gid()} == {"second-hand"}


def test_figure_shows_every_entry(picture):
    figure = picture.figure()
    assert len(figure.axes) == 3
    drawn = [line for axes in figure.axes for line in axes.lines if line.get_gid()]
    assert len(drawn) == sum(len(e.intervals) for e in picture.entries)


def test_figure_says_what_is_combined_and_what_is_unverified(picture):
    figure = picture.figure()
    (legend,) = figure.legends
    caption = legend.get_title().get_text()
    inside = SOLAR | BORON | BEAM | REACTOR | SOLAR_NUMBERS
    assert all(name in caption for name in inside)
    assert "Not in it: coherent-csi-2017, xenonnt-s2-only" in caption
    assert "literature, recalled: UNVERIFIED" in [t.get_text() for t in legend.get_texts()]
    lines = [line for axes in figure.axes for line in axes.lines]
    for role, marker in (("second-hand", "o"), ("unverified", "s")):
        drawn = [line for line in lines if line.get_gid() == role]
        assert drawn
        assert {(ln.get_marker(), ln.get_markerfacecolor()) for ln in drawn} == {(marker, "white")}


def test_only_the_end_of_a_modulus_is_marked():
    entries = [e for e in read_literature() if e.status != "abstract"]
    moment = next(e for e in entries if e.parameter == "munu_e")
    charge = next(e for e in entries if e.parameter == "qnu_ee")
    figure = Overview((moment, charge), ()).figure()
    marks = [line.get_markevery() for axes in figure.axes for line in axes.lines if line.get_gid()]
    assert marks == [[1], None]


def test_one_moment_of_all_flavours_is_set_apart():
    both = {e.parameter: e for e in read_literature() if e.parameter in ("munu_eff", "munu_e")}
    words = [text.get_text() for text in Overview(tuple(both.values()), ()).figure().axes[0].texts]
    assert "one for all\nflavours" in words
    assert "this flavour\nalone" in words


def test_table_says_what_is_combined_and_how_sure_the_literature_is(picture):
    text = picture.to_csv()
    rows = list(csv.DictReader(line for line in text.splitlines() if line[0] != "#"))
    (combined,) = (r for r in rows if (r["role"], r["parameter"]) == ("combined", "munu_e"))
    assert set(combined["experiments"].split("+")) == SOLAR | BORON | BEAM | REACTOR
    for row in rows:
        assert (row["status"] != "") == (row["role"] in STATUS.values())
        assert (row["experiments"] != "") == (row["status"] == "")
    for entry in picture.entries:
        if entry.status:
            line = f"# {entry.label}, {entry.parameter}: {entry.source}; {entry.status}, checked in"
            assert line in text


def test_command_writes_figure_table_and_json(cli, work, picture, monkeypatch):
    monkeypatch.setattr(module, "overview", lambda step, jobs: picture)
    ran = cli("plot", "summary", "-o", "all.png", "--json")
    assert ran.code == 0
    content = json.loads(ran.out)
    assert len(content["bounds"]) == len(picture.entries)
    assert content["notes"] == list(picture.notes)
    assert (work / "all.png").read_bytes().startswith(b"\x89PNG")
    text = (work / "all.csv").read_text(encoding="utf-8")
    rows = list(csv.DictReader(line for line in text.splitlines() if line[0] != "#"))
    assert len(rows) == sum(len(e.intervals) for e in picture.entries)
    assert "# coherent-csi-2017 is not in the combination" in text
    # JSON alone writes nothing
    (work / "all.png").unlink()
    (work / "all.csv").unlink()
    assert cli("plot", "summary", "--json").code == 0
    assert list(work.iterdir()) == []


@pytest.mark.parametrize(
    "arguments",
    [("summary", "fig1"), ("summary", "--analysis", "khan2023"), ("khan2023", "fig5", "--json")],
)
def test_refusals(cli, work, arguments):
    ran = cli("plot", *arguments)
    assert (ran.code, ran.out) == (2, "")
    assert list(work.iterdir()) == []


def test_an_overview_without_entries_is_refused():
    with pytest.raises(InputError, match="no bounds"):
        Overview((), ()).figure()
