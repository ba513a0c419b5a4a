"""What is cited, the BibTeX of it, and the self-check."""

import json
import re
from dataclasses import replace
from pathlib import Path

import independent_csi2021 as independent
import pytest

from nuhf import bibliography, resources
from nuhf.errors import InputError
from nuhf.experiments.catalogue import list_experiments, load
from nuhf.experiments.prepare import prepare
from nuhf.inputs import CARE, Inputs, comment_sources, nested_sources
from nuhf.report import cite, selfcheck, sources

X = "coherent-csi-2021"


def parse_bibtex(text):
    """A small strict parser: entries by key, fields with balanced braces."""
    found = {}
    position = 0
    while position < len(text):
        if text[position].isspace():
            position += 1
            continue
        head = re.compile(r"@(\w+)\{([^\s,{}]+),\n").match(text, position)
        assert head, text[position : position + 60]
        assert head[2].lower() not in {key.lower() for key in found}
        assert head[1] in ("article", "techreport", "misc")
        position, fields = head.end(), {}
        while not text.startswith("}\n", position):
            name = re.compile(r"  (\w+) = \{").match(text, position)
            assert name, text[position : position + 60]
            depth, end = 1, name.end()
            while depth:
                escaped = text[end - 1] == "\\"
                depth += {"{": 1, "}": -1}.get(text[end], 0) if not escaped else 0
                end += 1
            assert name[1] not in fields
            fields[name[1]] = text[name.end() : end - 1]
            assert text.startswith(",\n", end)
            position = end + 2
        found[head[2]] = (head[1], fields)
        position += 2
        required = {"article": {"author", "title", "journal", "year"},
                    "techreport": {"author", "title", "institution", "year"},
                    "misc": {"title"}}  # fmt: skip
        assert required[head[1]] <= set(fields), head[2]
        loose = re.sub(r"\\.", "", "".join(v for k, v in fields.items() if k not in ("doi", "url")))
        assert not set("&%#_$") & set(loose), head[2]
    return found


@pytest.fixture(scope="module")
def khan():
    return prepare(load(X, "khan2023"))


@pytest.fixture(scope="module")
def everything():
    """All experiments with all analyses."""
    loaded = {name: load(name) for name in list_experiments()}
    assert len(loaded) == len(list(list_experiments())) > 18
    return [prepare(load(name, analysis)) for name, one in loaded.items()
            for analysis in one.experiment.analyses]  # fmt: skip


def keys(found):
    return {citation.entry.key for citation in found}


# ------------------------------------------------------------------------------------ citations


def test_experiments_come_first_with_their_own_keys(prepared):
    found = cite.citations([prepared])
    assert [c.entry.key for c in found[:2]] == ["COHERENT:2021xmm", "COHERENT:2021pcd"]
    assert {"Heinrich:2021gyp", "pyhf", "nuhf"} <= keys(found)
    assert len(keys(found)) == len(found)


def test_every_table_that_is_read_is_cited(prepared):
    """Each input with a source names what it comes from."""
    used = {where for c in cite.citations([prepared]) for where in c.used_for}
    assert set(prepared.digests) - used <= {"couplings.toml", "elements.toml"}


def test_the_paper_of_an_analysis_is_cited(prepared, khan):
    number = "2201.10578"
    (found,) = [c for c in cite.citations([khan]) if c.entry.arxiv == number]
    assert found.used_for == ("analysis khan2023", "couplings.toml")
    others = [c for c in cite.citations([prepared]) if c.entry.arxiv == number]
    assert all("analysis" not in " ".join(c.used_for) for c in others)


def test_methods_follow_what_was_done(prepared, khan):
    cowan, feldman, cabinetry = "Cowan:2010js", "Feldman:1997qc", "Cranmer:2021oxr"
    assert not keys(cite.citations([prepared])) & {cowan, feldman, cabinetry}
    assert {cowan, "Read:2002hq"} <= keys(cite.citations([prepared], ["cls"]))
    assert feldman in keys(cite.citations([prepared], ["feldman-cousins"]))
    assert {cabinetry, "iminuit"} <= keys(cite.citations([prepared], ["ranking"]))
    helm, klein = "Helm:1956zz", "Klein:1999qj"
    assert keys(cite.citations([prepared])) & {helm, klein} == {helm}
    assert keys(cite.citations([khan])) & {helm, klein} == {klein}


def test_one_experiment_twice_cites_once(prepared):
    assert keys(cite.citations([prepared, prepared])) == keys(cite.citations([prepared]))


def test_source_lines_of_a_table():
    text = (
        "# What.\n# source: A. Bee, J. 1 (2020), as adopted in\n# C. Dee (2021)\n# columns: x [1]\n"
    )
    assert comment_sources(text) == ["A. Bee, J. 1 (2020), as adopted in C. Dee (2021)"]
    assert comment_sources("# source: one, doi:10.1/x\n# Remark.\nx\n# source: no\n") == [
        "one, doi:10.1/x"
    ]


# --------------------------------------------------------------------------------------- BibTeX


def test_bibtex_is_valid_and_complete(everything):
    steps = ["cls", "feldman-cousins", "ranking", "minuit", "figures", "delta-chi2", "strength"]
    found = cite.citations(everything, steps)
    parsed = parse_bibtex(cite.bibtex(found))
    assert list(parsed) == [c.entry.key for c in found]
    for citation in found:
        kind, fields = parsed[citation.entry.key]
        assert fields.get("doi", "") == citation.entry.doi
        assert fields.get("eprint", "") == citation.entry.arxiv
        assert ("archiveprefix" in fields) == bool(citation.entry.arxiv)
        # what has no journal is a preprint, a release of data or a program
        if kind == "misc" and citation.kind != "software":
            assert citation.entry.arxiv or re.search("zenodo|hepdata", citation.entry.doi)


def test_shipped_bibliography_is_whole_and_used():
    """One entry for each publication; each is cited, or called for by something; none in words."""
    known = bibliography.read()
    for name in ("doi", "eprint"):
        numbers = [e.fields[name].lower() for e in known.values() if name in e.fields]
        assert len(numbers) == len(set(numbers))
    parse_bibtex("\n".join(entry.bibtex() for entry in known.values()))
    used = {key for key, entry in known.items() if entry.when}
    for path in resources.shipped("data").rglob("*.*"):
        if path.suffix not in (".csv", ".toml"):
            continue
        text = path.read_text()
        content = resources.parse_toml(path, text) if path.suffix == ".toml" else {}
        sources = [*comment_sources(text), *(source for _, source in nested_sources(content))]
        named = [*content.get("references", ()), content.get("reference")]
        used |= {key for source in sources for key in bibliography.cited(source)} | set(named)
        assert not [s for s in sources if re.search(r"arXiv|doi:|\d{4}\.\d{4,5}", s)], path
    assert set(known) <= used


BIB = r"""
Text between entries, such as someone@example.org, is no entry.
@comment{old, title = {x}}
@Article{Bee:2020abc,
    author = "Bee, Ann and {B\"o, Carl} and others",
    title = "{Rates \& $q^2$ of {CE{$\nu$}NS}}", journal = {J. 1},
    volume = 2, year = 2020, archivePrefix = "arXiv", eprint={2001.00001}
}
@misc{release, collaboration = "XEN", title = {Data}, doi = {10.5281/zenodo.7}, year = 2019, }
"""


def test_bibtex_as_of_inspire_is_read():
    bee, release = bibliography.parse(BIB, "x.bib").values()
    assert (bee.key, bee.type, bee.fields["volume"]) == ("Bee:2020abc", "article", "2")
    assert bee.text.endswith("Rates & q^2 of CE\\nuNS, J. 1 2 (2020)")
    assert bee.words == 'Ann Bee, Carl B\\"o et al., J. 1 2 (2020), arXiv:2001.00001'
    assert release.full == "XEN Collaboration, Data (2019), doi:10.5281/zenodo.7"
    again = bibliography.parse(bee.bibtex() + release.bibtex(), "x.bib")
    assert list(again.values()) == [bee, release]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("\n@misc{a, title = {x}}\n@misc{a, title = {x}}", "x.bib: line 3: 'a' is given twice"),
        ("@misc{a, title = {x}", "x.bib: line 1: a: no field, nor the end of the entry"),
        ("@misc{a, title = {x", "x.bib: line 1: a: title has no value, or one without end"),
        ("@misc{a, year = 1}", "x.bib: line 1: a has neither title nor author"),
        ("@misc{title = {x}}", "x.bib: line 1: '@misc{' is no entry '@type{key, ...}'"),
        ("@string{prl = {x}}", "x.bib: line 1: '@string{' is no entry '@type{key, ...}'"),
    ],
)
def test_broken_bibtex_is_refused(text, expected):
    with pytest.raises(InputError) as caught:
        bibliography.parse(text, "x.bib")
    assert str(caught.value).startswith(expected)


def test_keys_in_sources():
    cited = bibliography.cited("@A:2020-b, @Bee:2020abc (release): @c/d.e+f. g@example.org, @")
    assert cited == ["A:2020-b", "Bee:2020abc", "c/d.e+f"]


def test_a_file_has_its_own_publications_beside_it(tmp_path, cli):
    """They are found first; a key of neither bibliography is refused where it stands."""
    other = tmp_path / "other.toml"
    lines = [f'extends = "{X}"', 'name = "other"', 'references = ["Bee:2020abc"]']
    other.write_text("\n".join([*lines, "[target]", 'source = "@release, weighed"']))
    ran = cli("cite", str(other))
    assert ran.code == 2
    assert f"{other}: target.source: 'release' is no key of " in ran.err
    (tmp_path / "bibliography.bib").write_text(BIB)
    found = {c["key"]: c for c in json.loads(cli("cite", str(other), "--json").out)["citations"]}
    assert found["Bee:2020abc"]["kind"] == "experiment"
    assert found["release"]["used_for"] == ["other.toml"]
    other.write_text("\n".join([lines[0], lines[1], 'references = ["Bee:2020ab"]']))
    error = cli("show", str(other)).err
    assert f"{other}: references: 'Bee:2020ab' is no key of {tmp_path}/bibliography.bib" in error
    assert "did you mean Bee:2020abc" in error


@pytest.mark.parametrize("name", [X, "darwin-300ty"])
def test_every_file_is_opened_once(name, monkeypatch):
    opened, read = [], resources.read_bytes

    def counted(path):
        opened.append(path)
        return read(path)

    monkeypatch.setattr(resources, "read_bytes", counted)
    prepare(load(name))
    assert len(opened) == len(set(opened)) > 5


def test_an_unknown_key_in_a_table_is_refused(tmp_path):
    table = tmp_path / "t.csv"
    table.write_text("# source: @COHERENT:2021xm (release)\nx\n1\n")
    with pytest.raises(InputError) as caught:
        Inputs([tmp_path]).table("t.csv")
    assert str(caught.value).startswith(f"{table}: source: 'COHERENT:2021xm' is no key of")
    assert "did you mean COHERENT:2021xmm" in str(caught.value)


def test_a_parser_that_accepts_everything_would_show_nothing():
    good = "@misc{k,\n  title = {a {b}},\n}\n"
    assert parse_bibtex(good) == {"k": ("misc", {"title": "a {b}"})}
    for bad in (good + good, good.replace("}},", "},"), good.replace("title", "note"),
                good.replace("misc", "article"), good.replace("a {b}", "a & b")):  # fmt: skip
        with pytest.raises((AssertionError, IndexError)):
            parse_bibtex(bad)


# --------------------------------------------------------------------------------------- tables


def test_tables_are_those_that_are_read(everything):
    for one in everything:
        assert [t.name for t in sources.tables([one])] == list(one.digests)
    both = [t.name for t in sources.tables(everything)]
    assert set(both) == {name for one in everything for name in one.digests}
    assert len(set(both)) == len(both)


def test_every_table_says_where_it_is_from(everything):
    for one in everything:
        silent = [t.name for t in sources.tables([one]) if not t.sources]
        # tree-level couplings are computed: nothing of the file is used
        assert set(silent) <= {"couplings.toml"}


def test_words_of_caution_are_shown(everything):
    found = {t.name: t for t in sources.tables(everything)}
    tritium = found["xenon/shape_tritium_computed.csv"]
    assert tritium.care == ("computed",)
    assert tritium.sources == ("allowed shape with Fermi function, end point 18.59 keV",)
    for name, table in found.items():
        for word in CARE:
            if word in re.split(r"[/_.]", name):
                assert word in table.care, name
    text = cite.plain_text([], [tritium])
    assert "  xenon/shape_tritium_computed.csv [computed]\n      allowed shape" in text


def test_long_lists_of_sources_are_cut_in_the_text_only():
    table = sources.SourceFile("x.toml", Path("x.toml"), (), tuple(f"s{i}" for i in range(9)))
    text = cite.plain_text([], [table])
    assert "s3\n      and 5 more: --json" in text
    assert "s4" not in text
    assert table.to_json()["sources"] == list(table.sources)
    silent = cite.plain_text([], [sources.SourceFile("c.toml", Path("c.toml"), (), ())])
    assert "nothing of it is used" in silent


def test_command(cli, work):
    text = cli("cite", X)
    assert text.code == 0
    assert "Experiments:\n  COHERENT:2021xmm: COHERENT Collaboration, Measurement" in text.out
    ran = cli("cite", X, "--method", "cls", "--bibtex", "-o", "x.bib")
    assert (ran.code, ran.out) == (0, "")
    assert "Read:2002hq" in parse_bibtex((work / "x.bib").read_text())
    listed = json.loads(cli("cite", X, "--json").out)
    assert {"key", "kind", "text", "doi", "arxiv", "used_for"} == set(listed["citations"][0])
    assert {"table", "path", "care", "sources"} == set(listed["tables"][0])
    assert f"Tables:\n  {X}.toml" in text.out
    assert cli("cite", X, "--json", "--bibtex").code == 2
    assert "did you mean cls?" in cli("cite", X, "--method", "cl").err


# ---------------------------------------------------------------------------------------- check


def test_golden_numbers_are_those_of_the_second_implementation():
    second = independent.Csi2021()
    _, events, limit = selfcheck.GOLDEN
    assert second.signal()[0].sum() == pytest.approx(events.expected, rel=1e-5)
    assert second.interval("munu_mu")[1][-1][1] == pytest.approx(limit.expected, rel=1e-4)


def test_radius_shift_by_hand():
    # sqrt(2) pi alpha/(3 G_F) with CODATA 2018 alpha, G_F, hbar c, per 1e-32 cm2
    shift = 2**0.5 * 3.141592653589793 / 137.035999084 / (3 * 1.1663787e-11)
    shift *= 1e-32 / 197.3269804e-13**2
    assert selfcheck.GOLDEN[0].expected == pytest.approx(shift, rel=2e-5)


def test_check_passes_on_this_experiment(monkeypatch):
    known = {X: list_experiments()[X]}
    monkeypatch.setattr(selfcheck, "list_experiments", lambda: known)
    found = list(selfcheck.check())
    assert [f.message for f in found if not f.ok] == []
    assert {f.check for f in found} == {"version", "data", "templates", "golden number"}


@pytest.mark.parametrize("as_json", [False, True])
def test_check_fails_in_words(cli, monkeypatch, as_json):
    wrong = replace(selfcheck.GOLDEN[0], expected=0.0239, name="a shifted number")
    monkeypatch.setattr(selfcheck, "GOLDEN", (wrong,))
    monkeypatch.setattr(selfcheck, "list_experiments", dict)
    digest = resources.digest
    ran = cli("check", *(["--json"] if as_json else []))
    assert ran.code == 1
    if as_json:
        assert json.loads(ran.out)["ok"] is False
        assert "a shifted number" in ran.err
    else:
        assert re.search(r"^FAIL golden number: a shifted number: 0\.0237\d+", ran.out, re.M)
    assert ran.err.splitlines()[-1].startswith("nuhf: 1 of ")
    assert resources.digest is digest


def test_changed_data_are_found(monkeypatch):
    digest = resources.digest

    def tampered(path):
        return "0" * 64 if path.name == "counts.csv" else digest(path)

    monkeypatch.setattr(resources, "digest", tampered)
    found = list(selfcheck._data(X))
    assert all(not finding.ok for finding in found)
    assert "coherent-csi-2021/counts.csv" in found[0].message
    assert "flux_time" not in found[0].message
