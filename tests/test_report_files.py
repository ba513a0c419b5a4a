"""The report of workspace files: one page of fit, intervals, spectra and ranking."""

import json

import atlas_style
import pytest
from conftest import ROOT
from test_report import Page

from nuhf.errors import InputError
from nuhf.report import html
from nuhf.stats.files import read_files


@pytest.fixture(scope="module")
def lhc():
    return read_files([atlas_style.workspace()])


def test_the_page_of_a_file(lhc):
    steps = []
    text = html.report_files(lhc, written="2026-01-02", step=steps.append)
    page = Page(text)
    said = " ".join(page.text)
    titles = ("Results", "Likelihood scans", "Spectra", "Fit", "Provenance")
    assert all(title in said for title in titles)
    assert "mu_SIG begins at 0 in the file" in said
    assert "counts in 5 bins of 2 channels" in said
    assert len(page.ids) == len(set(page.ids))
    assert steps[-1] == "page"


def test_command(cli, work):
    (work / "lhc.json").write_text(json.dumps(atlas_style.workspace()))
    ran = cli("report", "lhc.json", "-p", "mu_ttbar", "-o", "r.html")
    assert ran.code == 0, ran.err
    assert "mu_ttbar" in " ".join(Page((work / "r.html").read_text(encoding="utf-8")).text)
    for arguments, words in (
        (("lhc.json", "-p", "nope"), "no parameter 'nope'"),
        (("coherent-csi-2021", "-p", "qnu_ee"), "for workspace files"),
        (("lhc.json", "coherent-csi-2021"), "an experiment beside files"),
    ):
        ran = cli("report", *arguments, "-o", "x.html")
        assert (ran.code, ran.out, ran.err.count("\n")) == (2, "", 1)
        assert words in ran.err
    assert not (work / "x.html").exists()


@pytest.mark.slow
def test_the_page_of_a_combination_with_ours(lhc):
    ours = ROOT / "workspaces" / "coherent-csi-2021" / "munu_mu.stock.json"
    source = read_files([ours, atlas_style.workspace()])
    page = Page(html.report_files(source, ["munu_mu", "mu_SIG"]))
    assert "mu_B" in " ".join(page.text)
    with pytest.raises(InputError, match="no parameter"):
        html.report_files(source, ["nope"])
