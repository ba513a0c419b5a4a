"""The validator on all workspaces, patch sets and patches of the tests of pyhf and cabinetry.

``python tests/test_published_files.py`` writes the table (docs/validation/validator.md).
"""

from collections import Counter
from functools import cache
from pathlib import Path

import pytest
from published_files import FILES

from nuhf.workspaces.validate import Report, validate

PAGE = Path(__file__).resolve().parent.parent / "docs" / "validation" / "validator.md"


@cache
def verdict(name: str) -> Report:
    file = FILES[name]
    return validate(file.content, name, file.workspace)


@pytest.mark.parametrize("name", FILES)
def test_verdict(name):
    report, file = verdict(name), FILES[name]
    assert report.ok is file.ok, report.findings
    severity = "warning" if file.ok else "error"
    said = [f"{f.check} {f.message}" for f in report.findings if f.severity == severity]
    assert any(file.words in text for text in said) if file.words else not said


HEAD = """\
# The validator on files of others

All workspaces, patch sets and patches that the tests of pyhf and cabinetry contain, with the
verdict of `nuhf validate`. For pyhf: the JSON files below `tests`, `validation` and `examples` that
github.com/scikit-hep/pyhf has or had, at the commit behind the `@` (`*` stands for files that
differ in numbers only; JSON schemas are left out), the models of `tests/test_schema.py`, and the
workspaces that its `test_validation.py` makes of `validation/data`. For cabinetry 0.6.0: the
fixtures of `tests/conftest.py`. `tests/published_files.py` retells them, with where the right
verdict comes from; `tests/test_published_files.py` compares, and writes this page.
"""


def row(name: str) -> str:
    report = verdict(name)
    grave = [f for f in report.findings if f.severity != "info"]
    first = grave[0].message.split("\n")[0].split(".\t")[0] if grave else ""
    shown = first if len(first) < 110 else f"{first[:107]}..."
    more = f" (and {len(grave) - 1} more)" if len(grave) > 1 else ""
    shown = shown.replace("|", "\\|").replace("[", "\\[").replace("*", "\\*").replace("$", "\\$")
    label = name.replace("*", "\\*")
    return f"| {label} | {report.kind} | {'ok' if report.ok else 'not ok'} | {shown}{more} |"


def page() -> str:
    counted = Counter(file.ok for file in FILES.values())
    return "\n".join([*HEAD.split("\n"),
        f"{len(FILES)} files: {counted[True]} are ok, {counted[False]} are not, as it should be.",
        "Not had: the likelihoods that pyhf's tests download from HEPData.", "",
        "| file | kind | verdict | first finding |", "|---|---|---|---|",
        *map(row, FILES), "",
    ])  # fmt: skip


def test_the_page_lists_them():
    assert PAGE.read_text(encoding="utf-8") == page()


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
