"""Shared by all tests: built templates, posed problems, and the command line in this process."""

import os
import re
import sys
import tempfile
from collections import namedtuple
from functools import cache
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from threadpoolctl import threadpool_limits

# One BLAS thread, here and in the processes that tests start: more make small products slower
# and change last digits. A plugin may have loaded numpy, so that the variables come too late here.
for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(_name, "1")
_LIMITS = threadpool_limits(1)

# Commands started by tests keep compiled modules, as those in a user's shell do: it saves half a
# second each.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)

EXPERIMENT = "coherent-csi-2021"
NUCLEI = f"{EXPERIMENT}:cevns-only"
PARAMETERS = ("qnu_ee", "qnu_mumu", "r2nu_ee", "r2nu_mumu", "munu_e", "munu_mu", "sin2thetaW")
ROOT = Path(__file__).resolve().parent.parent

NOTE = re.compile(r"note: |\d+ notes? \(--notes\)$")
"""Lines of notes that commands print behind a result."""

Ran = namedtuple("Ran", "code out err")


def regions(names, lines, best_fit, units=("1", "1")):
    """What is drawn of regions of two parameters; open lines end at the frame around all."""
    points = np.concatenate([line for many in lines.values() for line in many])
    x, y = np.stack([points.min(axis=0), points.max(axis=0)], axis=1)
    return SimpleNamespace(
        parameters=names, units=units, regions=tuple(lines.items()), best_fit=best_fit, x=x, y=y
    )


@pytest.fixture(scope="session")
def experiment_name():
    return EXPERIMENT


@pytest.fixture(scope="session")
def toml_text():
    return (ROOT / "data" / "experiments" / f"{EXPERIMENT}.toml").read_text(encoding="utf-8")


@pytest.fixture(scope="session")
def loaded():
    from nuhf.experiments.catalogue import load

    return load(EXPERIMENT)


@pytest.fixture(scope="session")
def prepared(loaded):
    from nuhf.experiments.prepare import prepare

    return prepare(loaded)


@pytest.fixture(scope="session")
def templates(prepared):
    return next(found for found in prepared.templates if found.interaction == "cevns")


@pytest.fixture(scope="session")
def nuclei():
    """The CsI of 2021 without electrons: charges large enough for a second minimum."""
    from nuhf.experiments.catalogue import load
    from nuhf.experiments.prepare import prepare

    return prepare(load(EXPERIMENT, "cevns-only"))


@pytest.fixture(scope="session")
def problem_of(prepared):
    """``problem_of("qnu_ee")``: the posed problem, built once per session."""
    return _posing(prepared)


@pytest.fixture(scope="session")
def nuclei_problem_of(nuclei):
    return _posing(nuclei)


def _posing(prepared):
    from nuhf.stats.problem import Options, pose

    @cache
    def make(parameter, **options):
        return pose([prepared], parameter, Options(**options))

    return make


@pytest.fixture(scope="session")
def stock_of(problem_of):
    """``stock_of("qnu_ee")``: spec, model, data of the stock workspace, and the POI's unit.

    The unit is in native fit units: native theta = unit x stock POI.
    """
    return _encoding(problem_of)


@pytest.fixture(scope="session")
def nuclei_stock_of(nuclei_problem_of):
    return _encoding(nuclei_problem_of)


def _encoding(problem_of):
    import pyhf

    from nuhf.workspaces import encode

    @cache
    def make(parameter):
        description = problem_of(parameter).description
        spec = encode.stock(description)
        workspace = pyhf.Workspace(spec)  # plain pyhf: its own schema
        model = workspace.model()
        return spec, model, np.asarray(workspace.data(model)), encode.stock_unit(description)

    return make


@pytest.fixture
def work(tmp_path, monkeypatch):
    """An empty working folder; temporary files go to a folder of this test."""
    folder, temporary = tmp_path / "work", tmp_path / "temporary"
    folder.mkdir()
    temporary.mkdir()
    monkeypatch.chdir(folder)
    monkeypatch.setattr(tempfile, "tempdir", str(temporary))
    return folder


@pytest.fixture
def cli(work, monkeypatch, capsys):
    """``cli("limit", ...)``: run a command in this process; it must leave no temporary file."""
    from nuhf.cli import main

    monkeypatch.setattr("nuhf.parallel.cores", lambda: 1)

    def run(*arguments):
        monkeypatch.setattr(sys, "argv", ["nuhf", *map(str, arguments)])
        capsys.readouterr()
        code = 0
        try:
            main()
        except SystemExit as error:
            code = error.code
        out, err = capsys.readouterr()
        assert list(Path(tempfile.gettempdir()).iterdir()) == []
        assert [p for p in work.rglob(".*") if p.name != ".zenodo.json"] == []
        return Ran(code, out, err)

    return run


def problems(names, parameter=(), *, analysis="default", patch=(), measurement=None, **keywords):
    """The problems behind `nuhf.limit`, one per parameter, with the same keywords."""
    from nuhf.api.arguments import names as several
    from nuhf.api.arguments import options
    from nuhf.api.build import models

    wanted = several(parameter, "poi")
    return [
        one.problem
        for one in models(names, wanted, options(**keywords), analysis, patch, measurement)
    ]
