"""What stands in several files of the project for other programs: the same everywhere."""

import json
import re
import tomllib
from pathlib import Path

import pytest

from nuhf import bibliography

yaml = pytest.importorskip("yaml")

ROOT = Path(__file__).resolve().parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
CITATION = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
ZENODO = json.loads((ROOT / ".zenodo.json").read_text(encoding="utf-8"))


def test_citation_and_zenodo_say_what_the_package_says():
    assert CITATION["version"] == PROJECT["version"]
    assert re.fullmatch(r"\d{4}-\d\d-\d\d", CITATION["date-released"])
    assert CITATION["repository-code"] == PROJECT["urls"]["Homepage"]
    assert CITATION["url"] == PROJECT["urls"]["Documentation"]
    assert CITATION["license"] == ZENODO["license"] == PROJECT["license"]
    assert CITATION["title"] == ZENODO["title"]
    authors = [author["name"] for author in PROJECT["authors"]]
    assert [a["name"] for a in CITATION["authors"]] == authors
    assert [a["name"] for a in ZENODO["creators"]] == authors


def test_bibtex_of_nuhf_says_it_too():
    ours = bibliography.read()["nuhf"].fields
    assert ours["title"] == f"{{{CITATION['title']}}}"
    assert ours["author"] == f"{{{CITATION['authors'][0]['name']}}}"
    assert ours["url"] == CITATION["repository-code"]
    assert ours["year"] == CITATION["date-released"][:4]


def test_workflows_do_what_is_written_elsewhere():
    """Every session that they run exists; a token for PyPI is in none of them."""
    sessions = set(re.findall(r"^def (\w+)\(session", (ROOT / "noxfile.py").read_text(), re.M))
    for path in (ROOT / ".github" / "workflows").glob("*.yml"):
        text = path.read_text(encoding="utf-8")
        named = re.findall(r"nox -s (\w+)", text) + re.findall(r"session: (\w+)", text)
        assert named
        assert set(named) <= sessions
        assert "secrets." not in text
    told = re.findall(r"`nox -s (\w+)`", (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8"))
    assert set(told) <= sessions
