"""What the pages of docs/ name must exist: commands, options, experiments, parameters, links.

The pages themselves are executed by ``nox -s docs``.
"""

import re
import shlex
from itertools import pairwise
from pathlib import Path

import click
import pytest

from nuhf.cli import _group
from nuhf.couplings.parameters import PARAMETERS
from nuhf.experiments.catalogue import list_experiments, load

ROOT = Path(__file__).resolve().parent.parent
DOCS = ROOT / "docs"
OWN = [*DOCS.glob("*.md"), *DOCS.glob("physics/*.md"), *DOCS.glob("_experiments/*.md")]
PAGES = [*OWN, *DOCS.glob("validation/*.md"), ROOT / "README.md"]
FENCE = re.compile(r"^```(.*?)\n(.*?)^```", re.M | re.S)
SHELL = ("", "sh", "bash", "console")
FLAVOURS = "e|mu|tau|ee|mumu|tautau|emu|etau|mutau"
PARAMETER = re.compile(
    rf"\b(?:abs_)?(?:qnu|r2nu|anu|munu|munu2|qnu2|r2nu2)_(?:{FLAVOURS}|eff)(?:_e[mp]\d+)?\b"
)


def text(page):
    return page.read_text(encoding="utf-8")


def identifier(page):
    return str(page.relative_to(ROOT))


def commands(page):
    """Every ``nuhf ...`` in a block of shell, or alone between backquotes."""
    content = text(page)
    found = []
    for info, body in FENCE.findall(content):
        cell = "code-cell" in info and "%%bash" in body
        if cell or info.strip() in SHELL:
            lines = body.replace("\\\n", " ").splitlines()
            found += [line for line in lines if re.match(r"(?:for .*; do )?nuhf ", line)]
    found += re.findall(r"`(nuhf [a-z][^`]*)`", FENCE.sub("", content))
    return [re.sub(r"^.*?(?=nuhf )", "", line) for line in found]


def words(command):
    """Arguments of one command, without redirections, pipes and comments."""
    lexer = shlex.shlex(command, posix=True, punctuation_chars="|;<>&")
    lexer.whitespace_split = True
    found = []
    for word in lexer:
        if set(word) <= set("|;<>&"):
            break
        found.append(word)
    if found[-1] == "2" and "2>" in command:
        found.pop()
    return found[1:]


def parse(arguments):
    """Parse as the command line does, without running anything."""
    name, *rest = arguments
    command = _group.get_command(click.Context(_group), name)
    assert command is not None, f"there is no command '{name}'"
    known = {option for param in command.params for option in getattr(param, "opts", ())}
    known |= {"-h", "--help"}
    for word in rest:
        if word.startswith("-") and name != "pyhf" and not re.fullmatch(r"-\.?\d.*", word):
            assert word == "-" or word.partition("=")[0] in known, f"{name} has no option {word}"
    return name, rest


@pytest.mark.parametrize("page", PAGES, ids=identifier)
def test_commands_and_their_options_exist(page):
    for command in commands(page):
        if command.endswith("|| true"):  # shows a message: wrong on purpose
            continue
        name, rest = parse(words(command))
        of_file = any(word.endswith(".json") for word in rest)  # has parameters of its own
        given = [b for a, b in pairwise(rest) if a in ("-p", "--parameter") and not of_file]
        for parameter in given:
            assert parameter in PARAMETERS or "..." in parameter, f"{command}: {parameter}"
        if name in ("show", "rate", "limit", "fit", "scan", "contour", "ranking", "coverage"):
            positional = rest[0] if rest else ""
            if re.fullmatch(r"[a-z0-9-]+", positional) and not positional.startswith("-"):
                assert positional in list_experiments(), command


def test_commands_are_found():
    """The test above would pass on nothing: the main pages hold commands."""
    assert len(commands(DOCS / "start.md")) >= 6
    assert len(commands(DOCS / "publish.md")) >= 5
    assert "combine" in {words(c)[0] for c in commands(DOCS / "combine.md")}
    with pytest.raises(AssertionError, match="no option"):
        parse(["limit", "coherent-csi-2021", "--parametre", "qnu_ee"])
    with pytest.raises(AssertionError, match="no command"):
        parse(["limits"])


@pytest.mark.parametrize("page", PAGES, ids=identifier)
def test_parameters_exist(page):
    """Also with a unit, as in pyhf files; the stock encoding uses other powers of ten."""
    stems = {p.fit_stem for p in PARAMETERS.values()}
    for name in PARAMETER.findall(text(page)):
        stem = re.sub(r"_e[mp]\d+$", "", name)
        assert name in PARAMETERS or stem in stems, name


@pytest.mark.parametrize("page", [*OWN, ROOT / "README.md"], ids=identifier)
def test_experiments_exist(page):
    names = re.findall(r'nuhf\.(?!interference)\w+\("([a-z0-9-]+)"', text(page))
    for name in names:
        assert name in list_experiments() or name.startswith("made-up"), name


def test_every_experiment_has_its_caveats():
    pages = {page.stem for page in (DOCS / "_experiments").glob("*.md")}
    assert set(list_experiments()) <= pages


def slugs(page):
    """Anchors of the headings, as GitHub and myst make them."""
    headings = re.findall(r"^#+ (.+)$", FENCE.sub("", text(page)), re.M)
    plain = [re.sub(r"[^\w\- ]", "", h.replace("`", "").lower()) for h in headings]
    return {h.strip().replace(" ", "-") for h in plain}


@pytest.mark.parametrize("page", PAGES, ids=identifier)
def test_internal_links_resolve(page):
    content = FENCE.sub("", text(page))
    home = DOCS if page.parent.name == "_experiments" else page.parent
    for target in re.findall(r"\]\(([^)\s]+)\)", content):
        if re.match(r"[a-z]+:", target):
            continue
        file, _, anchor = target.partition("#")
        path = (home / file).resolve() if file else page
        assert path.is_file(), f"{target} does not exist"
        assert not anchor or anchor in slugs(path), f"{target}: no such heading"


def test_every_page_is_in_a_table_of_contents():
    listed = set()
    for page in DOCS.glob("*.md"):
        for info, body in FENCE.findall(text(page)):
            if info.strip() == "{toctree}":
                listed |= {line.strip() for line in body.splitlines()}
    pages = {page.stem for page in DOCS.glob("*.md")} - {"README", "index"}
    assert pages <= listed
    assert {"experiments/*", "validation/*"} <= listed


@pytest.mark.parametrize("page", OWN, ids=identifier)
def test_figures_have_an_alternative_text(page):
    """Cells that draw say so in words; images of Markdown too."""
    for info, body in FENCE.findall(text(page)):
        if "code-cell" in info and re.search(r"plt\.|Image\(", body):
            found = re.search(r"^    alt: \"(.{20,})\"$", body, re.M)
            assert found, body
    assert not re.search(r"!\[\]\(", text(page))


@pytest.mark.parametrize("file", sorted((DOCS / "examples").glob("*.toml")), ids=lambda f: f.name)
def test_the_examples_are_read(file):
    for analysis in load(str(file)).experiment.analyses:
        load(str(file), analysis)
