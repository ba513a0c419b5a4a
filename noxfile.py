"""Development tasks: ``nox -l`` lists them, ``nox -s NAME -- ARGS`` runs one."""

from __future__ import annotations

from pathlib import Path

import nox

ROOT = Path(__file__).parent.resolve()
PYTHONS = ["3.11", "3.12", "3.13"]
ONE_THREAD = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}

nox.needs_version = ">=2024.4"
nox.options.sessions = ["lint", "tests"]
nox.options.error_on_missing_interpreters = False


@nox.session(python=PYTHONS)
def tests(session: nox.Session) -> None:
    """Run the tests that are not slow."""
    session.install("-e", ".[test]")
    session.run("python", "-m", "pytest", *session.posargs, env=ONE_THREAD)


@nox.session
def lint(session: nox.Session) -> None:
    """Run ruff, mypy and import-linter."""
    session.install("-e", ".[lint]")
    session.run("ruff", "check", ".")
    session.run("ruff", "format", "--check", ".")
    session.run("mypy")
    session.run("lint-imports")


@nox.session
def slow(session: nox.Session) -> None:
    """Run the tests marked slow, with jax: studies and long checks."""
    session.install("-e", ".[test,jax]")
    session.run("python", "-m", "pytest", "-m", "slow", *session.posargs, env=ONE_THREAD)
    session.run("python", "-m", "pytest", "tests/test_compiled_jax.py", env=ONE_THREAD)


@nox.session
def benchmarks(session: nox.Session) -> None:
    """Time the benchmarks in tests/benchmarks, one thread."""
    session.install("-e", ".[test]")
    session.run(
        "python",
        "-m",
        "pytest",
        "tests/benchmarks",
        "-m",
        "slow or not slow",
        "--benchmark-enable",
        "--benchmark-only",
        *session.posargs,
        env=ONE_THREAD,
    )


@nox.session
def regenerate(session: nox.Session) -> None:
    """Rebuild templates/ and workspaces/ from data/."""
    session.install("-e", ".")
    session.run("nuhf", "regenerate", *session.posargs, env=ONE_THREAD)


@nox.session
def build(session: nox.Session) -> None:
    """Build sdist and wheel, install the wheel, use it outside the checkout."""
    outside = Path(session.create_tmp()).resolve()
    dist = outside / "dist"
    session.install("build")
    session.run("python", "-m", "build", "--outdir", str(dist), str(ROOT))
    wheel = max(dist.glob("nuhf-*.whl"), key=lambda path: path.stat().st_mtime)
    session.install("--force-reinstall", str(wheel))
    session.chdir(outside)
    session.run("python", "-c", INSTALLED_WHOLE, str(ROOT / "nuhf"), env=ONE_THREAD)
    session.run("nuhf", "list", env=ONE_THREAD)


INSTALLED_WHOLE = """
import pathlib, sys, nuhf
found = pathlib.Path(nuhf.__file__).resolve().parent
if found == pathlib.Path(sys.argv[1]):
    sys.exit(f"nuhf was imported from the checkout, {found}, not from the wheel")
missing = [name for name in ("py.typed", "_shipped/data", "_shipped/templates",
           "_shipped/workspaces") if not (found / name).exists()]
if missing:
    sys.exit(f"missing in the wheel: {missing}")
"""
