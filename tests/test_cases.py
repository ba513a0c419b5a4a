"""Every test that `cases.md` names exists, and its numbers of members are right."""

import re
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

HERE = Path(__file__).resolve().parent
ROWS = [
    [cell.strip() for cell in line.strip("|").split("|")]
    for line in (HERE / "cases.md").read_text(encoding="utf-8").splitlines()
    if re.match(r"\| [FTS][0-9]", line)
]
NAMES = {row[0].split()[0].rstrip(","): re.findall(r"`(test_\w+\.py::test_\w+)`", row[2])
         for row in ROWS}  # fmt: skip


def test_every_case_is_there():
    told = {one for row in ROWS for one in re.findall(r"\b[FTS][0-9]+\b", row[0])}
    assert told == {
        f"{letter}{i}" for letter, most in {"F": 25, "T": 13, "S": 5}.items()
        for i in range(1, most + 1)
    }  # fmt: skip


@pytest.mark.parametrize("case", NAMES)
def test_the_tests_of_a_case_exist(case):
    assert NAMES[case]
    for name in NAMES[case]:
        file, _, test = name.partition("::")
        text = (HERE / file).read_text(encoding="utf-8")
        assert re.search(rf"^def {test}\(", text, re.M), name


@pytest.mark.slow
def test_the_numbers_of_members_are_right():
    """As pytest collects them, slow ones too."""
    files = sorted({name.partition("::")[0] for names in NAMES.values() for name in names})
    ran = subprocess.run(
        [sys.executable, "-m", "pytest", "--collect-only", "-q", "-m", "slow or not slow", *files],
        cwd=HERE, capture_output=True, text=True, check=True,
    )  # fmt: skip
    found = Counter(re.findall(r"(test_\w+\.py::test_\w+)", ran.stdout))
    members = {row[0].split()[0].rstrip(","): int(re.match("[0-9]+", row[3])[0]) for row in ROWS}
    assert members == {case: sum(found[name] for name in names) for case, names in NAMES.items()}
