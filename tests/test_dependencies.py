"""What is imported is declared, and what is declared is imported."""

import ast
import re
import sys
import tomllib
from importlib.metadata import packages_distributions

import pytest
from conftest import ROOT

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]

#: Declared though nothing imports them, and why.
NOT_IMPORTED = {
    "jaxlib": "what jax computes with",
    "jsonpatch": "pyhf imports it for patches",
}
#: Imported though another declared distribution brings them, and which.
BROUGHT = {"pydantic-core": "pydantic", "pyyaml": "hepdata-lib"}


def normal(name):
    return re.sub(r"[-_.]+", "-", name).lower()


def declared(entries):
    """Names of the distributions of a list of requirements, nuhf's own extras aside."""
    found = {normal(re.match(r"[A-Za-z0-9._-]+", entry)[0]) for entry in entries}
    return found - {"nuhf"}


def imported():
    """Top-level modules that the package imports from outside, anywhere."""
    found = set()
    for path in (ROOT / "nuhf").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                found |= {alias.name.partition(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.level == 0:
                found.add(node.module.partition(".")[0])
    return found - set(sys.stdlib_module_names) - {"nuhf"}


def test_what_is_imported_is_declared_and_the_other_way_round():
    extras = PROJECT["optional-dependencies"]
    run = ("jax", "bayes", "hepdata", "dask")
    wanted = declared(PROJECT["dependencies"]).union(*(declared(extras[name]) for name in run))
    known = packages_distributions()
    missing = {module for module in imported() if module not in known}
    if missing:
        pytest.skip(f"not installed: {', '.join(sorted(missing))}")
    used = {normal(name) for module in imported() for name in known[module]}
    assert set(BROUGHT.values()) <= wanted
    assert used - wanted - set(BROUGHT) == set()
    assert wanted - used == {name for name in NOT_IMPORTED if name not in used}
