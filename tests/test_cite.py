"""What is cited, the BibTeX of it, and the self-check."""

import json
import re
from dataclasses import replace

import independent_csi2021 as independent
import pytest

from nuhf import resources
from nuhf.errors import InputError
from nuhf.experiments.catalogue import list_experiments, load
from nuhf.experiments.prepare import prepare
from nuhf.report import cite, selfcheck

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
        position, fields = head.end(), {}
        while not text.startswith("}\n", position):
            name = re.compile(r"  (\w+) = \{").match(text, position)
            assert name, text[position : position + 60]
            depth, end = 1, name.end()
            while depth:
                escaped = text[end - 1] == "\\"
                depth += {"{": 1, "}": -1}.get(text[end], 0) if not escaped else 0
                end += 1
            fields[name[1]] = text[name.end() : end - 1]
            assert text.startswith(",\n", end)
            position = end + 2
        found[head[2]] = (head[1], fields)
        position += 2
    return found


@pytest.fixture(scope="module")
def khan():
    return prepare(load(X, "khan2023"))


def keys(found):
    return {citation.key for citation in found}


# ------------------------------------------------------------------------------------ citations


def test_experiments_come_first_with_their_own_keys(prepared):
    found = cite.citations([prepared])
    assert [c.key for c in found[:2]] == ["COHERENT:2021xmm", "COHERENT:2021pcd"]
    assert {"Heinrich:2021gyp", "pyhf", "nuhf"} <= keys(found)
    assert len(keys(found)) == len(found)


def test_every_table_that_is_read_is_cited(prepared):
    """Each input with a source names what it comes from: 6 of 7, couplings are computed."""
    used = {where for c in cite.citations([prepared]) for where in c.used_for}
    assert set(prepared.digests) - used == {"couplings.toml"}


def test_the_paper_of_an_analysis_is_cited(prepared, khan):
    number = "2201.10578"
    (found,) = [c for c in cite.citations([khan]) if c.arxiv == number]
    assert found.used_for == ("analysis khan2023", "couplings.toml")
    assert all(c.arxiv != number for c in cite.citations([prepared]))


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
    assert cite.table_source(text) == ["A. Bee, J. 1 (2020), as adopted in C. Dee (2021)"]
    assert cite.table_source("# source: one, doi:10.1/x\n# Remark.\nx\n# source: no\n") == [
        "one, doi:10.1/x"
    ]


# --------------------------------------------------------------------------------------- BibTeX


def test_bibtex_is_valid_and_complete(prepared, khan):
    steps = ["cls", "feldman-cousins", "ranking", "minuit", "figures", "delta-chi2", "strength"]
    found = cite.citations([prepared, khan], steps)
    parsed = parse_bibtex(cite.bibtex(found))
    assert list(parsed) == [c.key for c in found]
    for citation in found:
        kind, fields = parsed[citation.key]
        assert fields["title"]
        assert fields.get("doi", "") == citation.doi
        assert fields.get("eprint", "") == citation.arxiv
        assert kind in ("article", "techreport", "misc")
        if kind == "article":
            assert {"author", "journal", "year"} <= set(fields)
        loose = re.sub(r"\\.", "", "".join(v for k, v in fields.items() if k not in ("doi", "url")))
        assert not set("&%#_") & set(loose)


def test_special_characters_are_escaped():
    given = cite.Citation("k", "data", "misc", {"title": "a_b & 5 % {c}"}, words="w")
    assert parse_bibtex(cite.bibtex([given]))["k"][1]["title"] == r"{a\_b \& 5 \% c}"


def test_every_shipped_experiment_can_be_cited():
    every = [prepare(load(name)) for name in list(list_experiments())[:3]]
    found = cite.citations(every)
    assert list(parse_bibtex(cite.bibtex(found))) == [c.key for c in found]
    for one in every:
        for reference in one.loaded.experiment.references:
            assert any(c.doi == reference.doi or c.arxiv == reference.arxiv for c in found)


def test_entries_are_checked(monkeypatch, tmp_path):
    (tmp_path / "citations.toml").write_text('[[entries]]\nkey = "a"\ncolour = "red"\n')
    monkeypatch.setattr(resources, "find", lambda name: tmp_path / name)
    with pytest.raises(InputError, match=r"citations.toml: entries\[0\].*'why'.*'colour'"):
        list(cite._entries())


def test_command(cli, work):
    text = cli("cite", X)
    assert text.code == 0
    assert "Experiments:\n  COHERENT Collaboration" in text.out
    ran = cli("cite", X, "--method", "cls", "--bibtex", "-o", "x.bib")
    assert (ran.code, ran.out) == (0, "")
    assert "Read:2002hq" in parse_bibtex((work / "x.bib").read_text())
    listed = json.loads(cli("cite", X, "--json").out)["citations"]
    assert {"key", "kind", "text", "doi", "arxiv", "used_for"} == set(listed[0])
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
