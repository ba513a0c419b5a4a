"""Kinds of sections that other packages bring along, through entry points."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

CSI = Path(__file__).resolve().parent.parent / "docs" / "examples" / "made-up-csi.toml"

MODULE = '''
from typing import Literal

import numpy as np
from pydantic import Field

from nuhf.detector import quenching as curves
from nuhf.experiments.parts import Positive
from nuhf.experiments.quenching import Quenching


class Constant(Quenching):
    """The same share of the energy at every recoil."""

    kind: Literal["constant"] = Field(description="Constant quenching factor")
    qf: Positive = Field(description="The factor")

    def shape(self, inputs, protons):
        return curves.polynomial((self.qf,), (0.0, np.inf))


class NoPart:
    pass
'''

OURS = 'kind = "constant"\nqf = 0.08\nsource = "made up"\n'
THEIRS = """kind = "polynomial"
source = "made up"
coefficients = [0.08]
recoil_range_kev = [0.0, 80.0]
"""


@pytest.fixture
def nuhf(tmp_path):
    """``nuhf(entry, *arguments)``: the command line beside a package with an entry point."""

    def run(entry, *arguments):
        (tmp_path / "mine.py").write_text(MODULE, encoding="utf-8")
        info = tmp_path / "mine-1.0.dist-info"
        info.mkdir(exist_ok=True)
        (info / "METADATA").write_text("Metadata-Version: 2.1\nName: mine\nVersion: 1.0\n")
        (info / "entry_points.txt").write_text(f"[nuhf.parts]\nconstant = mine:{entry}\n")
        paths = os.pathsep.join(filter(None, [str(tmp_path), os.environ.get("PYTHONPATH")]))
        return subprocess.run(
            [sys.executable, "-m", "nuhf", *arguments], cwd=tmp_path, check=False,
            capture_output=True, text=True, env={**os.environ, "PYTHONPATH": paths},
        )  # fmt: skip

    return run


@pytest.fixture
def file(tmp_path):
    """Path of the example with the kind of the package in place of the one of nuhf."""
    text = CSI.read_text(encoding="utf-8")
    assert THEIRS in text
    (tmp_path / "made-up-csi").symlink_to(CSI.parent / "made-up-csi")
    text = text.replace(THEIRS, OURS)
    text = text.replace("coefficients = [0.084]", "qf = 0.084")
    path = tmp_path / "mine.toml"
    path.write_text(text.replace("coefficients = [0.076]", "qf = 0.076"), encoding="utf-8")
    return path


def test_a_kind_of_a_package_is_a_kind_like_others(nuhf, file):
    mine = nuhf("Constant", "rate", "mine.toml")
    assert mine.returncode == 0, mine.stderr
    same = nuhf("Constant", "rate", str(CSI))
    assert mine.stdout == same.stdout.replace(str(CSI), "mine.toml")
    keys = nuhf("Constant", "list", "keys", "responses.NAME.quenching").stdout
    assert "with kind = 'constant'" in keys
    assert "  qf: number greater than 0; required\n      The factor\n" in keys
    file.write_text(file.read_text().replace("qf = 0.08\n", "qff = 0.08\n"))
    wrong = nuhf("Constant", "rate", "mine.toml").stderr
    assert "quenching.qff: unknown key (did you mean qf? allowed: source, scale, kind, qf)" in wrong


@pytest.mark.parametrize(
    ("entry", "words"),
    [
        ("Missing", "entry point 'constant' of group nuhf.parts (mine:Missing) cannot be loaded: "),
        ("NoPart", "entry point 'constant' of group nuhf.parts is not a class with a kind"),
    ],
)
def test_a_broken_entry_point_is_told_in_one_line(nuhf, file, entry, words):
    ran = nuhf(entry, "rate", "mine.toml")
    assert ran.returncode == 2
    assert words in ran.stderr
    assert ran.stderr.count("\n") == 1
