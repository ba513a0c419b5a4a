"""The report: one page that stands alone, the same every time, with a text for every figure."""

import io
import re
import time
from html.parser import HTMLParser

import pytest

from nuhf.cli import _COMMANDS, progress
from nuhf.report import html
from nuhf.report.html_blocks import count, interval, number, power

X = "coherent-csi-2021"
VOID = {"meta", "link", "img", "br", "rect", "path", "use", "image"}


class Page(HTMLParser):
    """Tags in order; every one that is opened must be closed."""

    def __init__(self, text):
        super().__init__()
        self.open, self.tags, self.text = [], [], []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        if tag not in VOID:
            assert self.open.pop() == tag

    def handle_data(self, data):
        self.text.append(data)

    def all(self, tag):
        return [attrs for name, attrs in self.tags if name == tag]

    @property
    def ids(self):
        return [attrs["id"] for _, attrs in self.tags if "id" in attrs]


@pytest.fixture(scope="module")
def steps():
    return []


@pytest.fixture(scope="module")
def text(steps):
    return html.report([X], written="2026-01-02", step=steps.append)


@pytest.fixture(scope="module")
def page(text):
    return Page(text)


# ------------------------------------------------------------------------------------- the page


def test_the_page_stands_alone(text, page):
    assert len(text.encode()) < 3_000_000 / 10
    addresses = [v for _, a in page.tags for k, v in a.items() if k in ("src", "href")]
    links = [v for v in addresses if v.startswith("http")]
    assert links
    assert all(re.match(r"https://(doi\.org|arxiv\.org|github\.com)/", link) for link in links)
    linked = [a["href"] for a in page.all("a")]
    assert set(links) <= set(linked)  # to be followed, not loaded
    assert not page.all("script")
    assert "@import" not in text
    assert "url(http" not in text


def test_names_are_unique_and_links_lead_somewhere(text, page):
    assert len(page.ids) == len(set(page.ids))
    inner = {a["href"][1:] for a in page.all("a") if a["href"].startswith("#")}
    drawn = {a["href"][1:] for a in page.all("use")}
    clips = set(re.findall(r"url\(#([^)]+)\)", text))
    labels = {a["aria-labelledby"] for _, a in page.tags if "aria-labelledby" in a}
    assert len(inner) > 8
    assert inner | drawn | clips | labels <= set(page.ids)


def test_every_figure_has_a_text_with_numbers(page):
    figures = [a for a in page.all("div") if a.get("role") == "img"] + page.all("img")
    assert len(figures) == len(page.all("figure")) >= 10
    for figure in figures:
        alternative = figure.get("aria-label") or figure.get("alt")
        assert len(re.findall(r"\d", alternative)) > 3, alternative


def test_texts_of_figures_hold_the_numbers_of_the_results(page):
    texts = "\n".join(a["aria-label"] for a in page.all("div") if a.get("role") == "img")
    # events: tests/independent_csi2021.py and the letter; limits: README, with electrons
    for words in ("data 1578 events", "CEvNS 324.4", "CEvNS 308.5",
                  "qnu_mumu [−1.77×10⁻¹⁰, 1.77×10⁻¹⁰] e",
                  "munu_mu [0, 1.57×10⁻⁹] μ_B", "flux_sns", "SM: cevns numu",
                  "eves numu"):  # fmt: skip
        assert words in texts


def test_contents_in_words(page):
    words = " ".join(page.text).replace("\N{NO-BREAK SPACE}", " ")
    for part in ("Notes", "Results", "Limits", "Published numbers", "Spectra",
                 "Fit of the SM strength", "Likelihood scans", "Regions of two parameters",
                 "Signal templates", "Provenance", "What to cite", "tree-level couplings",
                 "BibTeX"):  # fmt: skip
        assert part in words
    assert "[−40, 40] (khan2023)" in words  # eq 14, in 1e-11 mu_B
    assert "interval [10⁻³² cm²]" in words
    assert "interval [cm²]" in words


def test_the_headline_comes_first(page):
    words = " ".join(" ".join(page.text).replace("\N{NO-BREAK SPACE}", " ").split())
    order = ["Results", "1578 events in 99 bins", "324.4 events expected, 308.5 fitted",
             "11.4 standard deviations", "Intervals at 90 % CL", "Notes", "tree-level couplings",
             "Profile likelihood", "Published numbers", "Regions"]  # fmt: skip
    body = words[words.index("intervals at 90 % CL") :]
    start = body.index("Experiment ")
    places = [body.index(order[0]), *(body.index(text, start) for text in order[1:])]
    assert places == sorted(places)
    # the intervals of the tests of the texts, with the power of ten of their unit
    assert "qnu_mumu [−1.77, 1.77] 0.00207 10⁻¹⁰ e" in body
    assert "munu_mu [0, 157] 0 10⁻¹¹ μ_B" in body


def test_cells_break_between_intervals_only():
    space = "\N{NO-BREAK SPACE}"
    broken = html._unbroken("[−1.5, 0.696] or [4.57, 7.07] (khan2023)")
    assert broken == f"[−1.5,{space}0.696] or [4.57,{space}7.07] (khan2023)"
    assert html._unbroken("10⁻³² cm²") == f"10⁻³²{space}cm²"
    assert html._unbroken("difference [% of width]") == f"difference [%{space}of{space}width]"


def test_tables_name_their_units_and_are_labelled(page):
    assert len(page.all("table")) == len(page.all("caption"))
    assert all(attrs.get("scope") for attrs in page.all("th"))


@pytest.mark.slow
def test_the_same_inputs_give_the_same_page(text):
    again = html.report([X], written="2026-03-04")
    assert again != text
    assert again.replace("2026-03-04", "2026-01-02") == text


def test_steps_are_told(steps):
    assert steps[0] == f"{X}: templates"
    assert steps[-1] == "page"
    assert f"{X}: munu_e" in steps


@pytest.mark.slow
def test_several_experiments_are_compared_and_combined(toml_text, tmp_path, monkeypatch):
    other = tmp_path / "heavier.toml"
    changed = toml_text.replace(f'name = "{X}"', 'name = "heavier"')
    changed, count = re.subn(
        r"\nparameters = \[.*?\]", '\nparameters = ["munu_e"]', changed, count=1
    )
    assert count == 1
    other.write_text(changed)
    from nuhf.report import html_content

    monkeypatch.setattr(html_content, "affordable", lambda problem: False)
    monkeypatch.setattr(html_content, "_pairs", lambda names: [])
    monkeypatch.setattr(html_content, "read_rows", lambda paper: [])
    names = [str(other), X]
    page = Page(html.report(names))
    assert {"overview", "heavier", X, "together"} <= set(page.ids)


def test_what_fails_is_told(monkeypatch):
    from nuhf.errors import FitError
    from nuhf.report import html_content

    def broken(*_):
        raise FitError("the fit went <astray>")

    monkeypatch.setattr(html_content.questions, "limit", broken)
    monkeypatch.setattr(html_content, "affordable", lambda problem: False)
    monkeypatch.setattr(html_content, "read_rows", lambda paper: [])
    text = html.report([X])
    assert "not computed: qnu_ee: the fit went &lt;astray&gt;" in text
    assert "not determined" in text
    Page(text)


# ---------------------------------------------------------------------------------- the command


def test_command(cli, work, monkeypatch):
    monkeypatch.setattr(html, "report", lambda names, **options: f"{names} {sorted(options)}\n")
    ran = cli("report", X, "-o", "page.html")
    assert (ran.code, ran.out) == (0, "")
    assert ran.err == "wrote page.html\n"
    assert X in (work / "page.html").read_text()
    for bad in ("page.pdf", "-"):
        assert cli("report", X, "-o", bad).code == 2


def test_all_is_every_experiment():
    from nuhf.experiments.catalogue import list_experiments

    assert html.names_of(["all"]) == list(list_experiments())
    assert html.names_of([X, "all"])[0] == X
    assert len(html.names_of([X, X])) == 1


def test_unknown_experiments_are_refused_first(cli, work):
    ran = cli("report", "coherent-csi-2022", "-o", "x.html")
    assert ran.code == 2
    assert "did you mean coherent-csi-20" in ran.err
    assert list(work.iterdir()) == []


# ------------------------------------------------------------------------------------- numbers


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.0, "0"), (-1.5e-7, "−1.5×10⁻⁷"), (1.234567, "1.23"), (324.4, "324"), (4e10, "4×10¹⁰"),
     (float("inf"), "∞")],
)  # fmt: skip
def test_numbers(value, text):
    assert number(value) == text


def test_other_texts():
    assert (count(1578.0), count(324.394), count(0.0)) == ("1578", "324.4", "0")
    assert interval([(-1e-7, 2e-7), (3e-7, 4e-7)], 1e-7) == "[−1, 2] or [3, 4]"
    assert (power(-8, "e"), power(0, "mu_B"), power(0, "1"), power(2)) == (
        "10⁻⁸ e", "μ_B", "1", "10²")  # fmt: skip


# ------------------------------------------------------------------------------------- progress


class Terminal(io.StringIO):
    def isatty(self):
        return True


def test_progress_appears_late_and_goes_away(monkeypatch):
    monkeypatch.setattr(progress, "_SILENT", 0.05)
    monkeypatch.setattr(progress, "_INTERVAL", 0.02)
    stream = Terminal()
    with progress.shown("fit", stream=stream) as step:
        step("part two")
        time.sleep(0.2)
    shown = stream.getvalue()
    assert "fit: part two, 0 s" in shown
    assert shown.endswith("\r")
    assert shown.rstrip("\r").rpartition("\r")[2].strip() == ""


@pytest.mark.parametrize("enabled", [True, False])
def test_no_progress_on_short_work_or_elsewhere(monkeypatch, enabled):
    monkeypatch.setattr(progress, "_SILENT", 0.05)
    file, terminal = io.StringIO(), Terminal()
    with progress.shown("fit", enabled, file):
        time.sleep(0.1 if enabled else 0.0)
    with progress.shown("fit", enabled, terminal):
        time.sleep(0.0 if enabled else 0.1)
    assert file.getvalue() == terminal.getvalue() == ""


def test_progress_goes_away_after_an_error(monkeypatch):
    monkeypatch.setattr(progress, "_SILENT", 0.01)
    stream = Terminal()

    def broken():
        with progress.shown("fit", stream=stream):
            time.sleep(0.1)
            raise ValueError("broken")

    with pytest.raises(ValueError, match="broken"):
        broken()
    assert stream.getvalue().endswith("\r")


# ----------------------------------------------------------------------------- command line


@pytest.mark.parametrize("command", [name for name in _COMMANDS if name != "pyhf"])
def test_help_has_an_example_and_units(cli, command):
    text = " ".join(cli(command, "--help").out.split())
    assert f"Example: nuhf {command}" in text
    if command in ("limit", "fit", "scan", "contour", "coverage", "rate", "report", "ranking"):
        assert "base units" in text


@pytest.mark.parametrize(
    ("words", "expected"),
    [(("limit", "coherent-csi-202"), {X}), (("limit", X, "-p", "munu_e"), {"munu_e", "munu_eff"}),
     (("rep",), {"report", "reproduce"}), (("show", X, "--analysis", "khan2023"), {"khan2023"})],
)  # fmt: skip
def test_completion(cli, monkeypatch, words, expected):
    monkeypatch.setenv("_NUHF_COMPLETE", "bash_complete")
    monkeypatch.setenv("COMP_WORDS", " ".join(["nuhf", *words]))
    monkeypatch.setenv("COMP_CWORD", str(len(words)))
    ran = cli()
    assert {line.partition(",")[2] for line in ran.out.splitlines()} >= expected


@pytest.mark.parametrize(
    ("words", "hint"),
    [(("limi", X), "limit"), (("limit", X, "--asimof"), "--asimov"),
     (("show", "coherent-cs-2021"), X),
     (("limit", X, "-p", "munu_m"), "munu_mu"),
     (("cite", X, "--analysis", "khan2032"), "khan2023")],
)  # fmt: skip
def test_did_you_mean(cli, words, hint):
    ran = cli(*words)
    assert ran.code == 2
    assert len(ran.err.splitlines()) == 1
    assert re.search(rf"did you mean[^?]*{hint}", ran.err, re.IGNORECASE)


def test_no_colour_is_ever_printed(cli):
    """NO_COLOR has nothing to switch off."""
    for words in ((), ("--help",), ("list",), ("cite", X), ("limit", X, "-p", "munu_mu")):
        ran = cli(*words)
        assert "\x1b[" not in ran.out + ran.err
