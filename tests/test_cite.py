"""What is cited, the BibTeX of it, and the self-check."""

import json
import re
from dataclasses import replace
from pathlib import Path

import independent_csi2021 as independent
import pytest

from nuhf import resources
from nuhf.errors import InputError
from nuhf.experiments.catalogue import list_experiments, load
from nuhf.experiments.prepare import prepare
from nuhf.inputs import comment_sources
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
    return {citation.key for citation in found}


# ------------------------------------------------------------------------------------ citations


def test_experiments_come_first_with_their_own_keys(prepared):
    found = cite.citations([prepared])
    assert [c.key for c in found[:2]] == ["COHERENT:2021xmm", "COHERENT:2021pcd"]
    assert {"Heinrich:2021gyp", "pyhf", "nuhf"} <= keys(found)
    assert len(keys(found)) == len(found)


def test_every_table_that_is_read_is_cited(prepared):
    """Each input with a source names what it comes from."""
    used = {where for c in cite.citations([prepared]) for where in c.used_for}
    assert set(prepared.digests) - used <= {"couplings.toml", "elements.toml"}


def test_the_paper_of_an_analysis_is_cited(prepared, khan):
    number = "2201.10578"
    (found,) = [c for c in cite.citations([khan]) if c.arxiv == number]
    assert found.used_for == ("analysis khan2023", "couplings.toml")
    others = [c for c in cite.citations([prepared]) if c.arxiv == number]
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


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("A. Bee, J. 1, 2 (2020), doi:10.1000/ab.c, arXiv:2001.00001 (file x)",
         [("10.1000/ab.c", "2001.00001", "A. Bee")]),
        ("XEN Collaboration, Y (2019), arXiv:hep-ph/9910001; data release, doi:10.5281/zenodo.7",
         [("", "hep-ph/9910001", "{XEN Collaboration}"),
          ("10.5281/zenodo.7", "", "{XEN Collaboration}")]),
        ("W. T. Elam and J. R. Sieber, R. (2002), doi:10.1016/S0969-806X(01)00227-4, as in z",
         [("10.1016/S0969-806X(01)00227-4", "", "W. T. Elam and J. R. Sieber")]),
        ("G. Fricke et al., T. (1995), doi:10.1006/a.1, as in M. Cad et al., arXiv:1908.06045",
         [("10.1006/a.1", "", "G. Fricke and others"), ("", "1908.06045", "M. Cad and others")]),
        ("XEN Collaboration, Y (2019), data release doi:10.5281/zenodo.7: efficiency",
         [("10.5281/zenodo.7", "", "{XEN Collaboration}")]),
        ("V. I. Kop, Phys. 75, 143 (2012), Table 3", [("", "", "V. I. Kop")]),
        ("eq 7: sigma_alpha", []),
        ("computed (2020)", []),
    ],
)  # fmt: skip
def test_publications_in_the_text_of_a_source(text, expected):
    found = list(cite._from_text(text, "t.csv"))
    assert [(c.doi, c.arxiv, c.fields.get("author")) for c in found] == expected


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
    assert list(parsed) == [c.key for c in found]
    for citation in found:
        kind, fields = parsed[citation.key]
        assert fields.get("doi", "") == citation.doi
        assert fields.get("eprint", "") == citation.arxiv
        assert ("archivePrefix" in fields) == bool(citation.arxiv)
        # what has no journal is a preprint, a release of data or a program
        if kind == "misc" and citation.kind != "software":
            assert citation.arxiv or re.search("zenodo|hepdata", citation.doi)


def test_every_publication_is_known_in_full(everything):
    """No reference in words is left, whose journal would be in the title."""
    found = cite.citations(everything)
    assert [c.words for c in found if c.words] == []
    titles = [c.fields["title"] for c in found]
    assert not [
        t for t in titles if re.search(r"(Rev|Lett|JHEP|JINST|Phys)\.? [A-D]?\d|\d{4}\)", t)
    ]
    # one entry for each publication
    assert len({c.doi.lower() for c in found if c.doi}) == sum(bool(c.doi) for c in found)
    assert len({c.arxiv for c in found if c.arxiv}) == sum(bool(c.arxiv) for c in found)


def test_bibliography_agrees_with_the_files_of_the_experiments(everything):
    """Two places name journal and year: the words of a reference and references.toml."""
    known = {c.key: c for c, _ in cite._bibliography()}
    assert len(known) == len(cite._bibliography())
    references = {r.key: r for one in everything for r in one.loaded.experiment.references}
    assert len(references) > 20
    for key, reference in references.items():
        entry = known[key]
        assert entry.doi == reference.doi
        assert entry.arxiv == reference.arxiv
        if entry.type == "article":
            assert f"({entry.fields['year']})" in reference.text
            for name in ("journal", "volume", "pages"):
                assert entry.fields[name] in reference.text


def test_bibliography_is_used_by_identifier_or_piece_of_text():
    full = cite.Citation("k", "data", "article", {"title": "t"}, "10.1/A", "2001.00001")
    known = [(full, ("J. 1, 2",))]
    given = cite.Citation("x", "experiment", "misc", {"title": "w"}, used_for=("t.csv",), words="w")
    by_doi = cite._completed(replace(given, doi="10.1/a"), known)
    assert (by_doi.key, by_doi.kind, by_doi.used_for) == ("k", "experiment", ("t.csv",))
    assert (by_doi.words, by_doi.arxiv) == ("", "2001.00001")
    assert cite._completed(replace(given, arxiv="2001.00001"), known).key == "k"
    assert cite._completed(replace(given, words="A. B, J. 1, 2 (1990)"), known).key == "k"
    # a piece of text is no match for what has another identifier
    other = replace(given, words="A. B, J. 1, 2 (1990)", doi="10.1/b")
    assert cite._completed(other, known) is other
    assert cite._completed(given, known) is given


def test_special_characters_are_escaped():
    given = cite.Citation("k", "data", "misc", {"title": "a_b & 5 % {c}"}, words="w")
    assert parse_bibtex(cite.bibtex([given]))["k"][1]["title"] == r"{a\_b \& 5 \% c}"
    plain = cite.Citation("k", "data", "misc", {"title": "x^2 ~ $y$"})
    title = parse_bibtex(cite.bibtex([plain]))["k"][1]["title"]
    assert title == r"{x\textasciicircum{}2 \textasciitilde{} \$y\$}"


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
        for word in sources.CARE:
            if word in re.split(r"[/_.]", name):
                assert word in table.care, name
    text = cite.plain_text([], [tritium])
    assert "  xenon/shape_tritium_computed.csv [computed]\n      allowed shape" in text


def test_long_lists_of_sources_are_cut_in_the_text_only():
    table = sources.Table("x.toml", Path("x.toml"), (), tuple(f"s{i}" for i in range(9)))
    text = cite.plain_text([], [table])
    assert "s3\n      and 5 more: --json" in text
    assert "s4" not in text
    assert table.to_json()["sources"] == list(table.sources)
    silent = cite.plain_text([], [sources.Table("c.toml", Path("c.toml"), (), ())])
    assert "nothing of it is used" in silent


def test_entries_are_checked(monkeypatch, tmp_path):
    (tmp_path / "citations.toml").write_text('[[entries]]\nkey = "a"\ncolour = "red"\n')
    monkeypatch.setattr(resources, "find", lambda name: tmp_path / name)
    with pytest.raises(InputError, match=r"citations.toml: entries\[0\].*'why'.*'colour'"):
        list(cite._methods())


def test_command(cli, work):
    text = cli("cite", X)
    assert text.code == 0
    assert "Experiments:\n  COHERENT Collaboration" in text.out
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
