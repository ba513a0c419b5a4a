#!/usr/bin/env -S uv run --script
# /// script
# dependencies = ["nox>=2025.2.9"]
# ///
"""Development tasks: ``nox -l`` lists them, ``nox -s NAME -- ARGS`` runs one."""

from __future__ import annotations

import os
import re
import socket
from pathlib import Path
from tempfile import TemporaryDirectory

import nox

ROOT = Path(__file__).parent.resolve()
PYTHONS = ["3.11", "3.12", "3.13", "3.14"]
ONE_THREAD = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}

nox.needs_version = ">=2025.2.9"
nox.options.default_venv_backend = "uv|virtualenv"
nox.options.error_on_missing_interpreters = False


def group(*names: str) -> tuple[str, ...]:
    """Requirements of groups of pyproject.toml; pip reads them itself from 25.1 on only."""
    return nox.project.dependency_groups(nox.project.load_toml("pyproject.toml"), *names)


@nox.session(python=PYTHONS)
def tests(session: nox.Session) -> None:
    """Run the tests that are not slow."""
    session.install("-e", ".[test]")
    session.run("python", "-m", "pytest", *session.posargs, env=ONE_THREAD)


@nox.session
def lint(session: nox.Session) -> None:
    """Run ruff, mypy and import-linter."""
    session.install("-e", ".", *group("lint"))
    session.run("ruff", "check", ".")
    session.run("ruff", "format", "--check", ".")
    session.run("mypy")
    session.run("lint-imports")
    session.run("codespell")


@nox.session(default=False)
def types(session: nox.Session) -> None:
    """Check with pyright that every type of the package is known: installed, not in place."""
    session.install(".", "pyright[nodejs]", "scipy-stubs>=1.14")
    folder = session.create_tmp()
    session.chdir(folder)
    session.run("pyright", "--verifytypes", "nuhf", "--ignoreexternal")


@nox.session(default=False)
def slow(session: nox.Session) -> None:
    """Run the tests marked slow, with other samplers: studies and long checks."""
    session.install("-e", ".[test]", *group("samplers"))
    session.run("python", "-m", "pytest", "-m", "slow", *session.posargs, env=ONE_THREAD)


@nox.session(default=False)
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


@nox.session(default=False)
def regenerate(session: nox.Session) -> None:
    """Rebuild templates/ and workspaces/ from data/."""
    session.install("-e", ".")
    session.run("nuhf", "regenerate", *session.posargs, env=ONE_THREAD)


@nox.session(default=False)
def docs(session: nox.Session) -> None:
    """Build the manual into docs/_build/html; its cells are executed, warnings are errors."""
    session.install("-e", ".", *group("docs"))
    # -E: the cells read nuhf and data, whose changes sphinx does not see
    session.run("sphinx-build", "-E", "-W", "--keep-going", *session.posargs,
                "docs", "docs/_build/html", env=ONE_THREAD)  # fmt: skip


@nox.session(default=False)
def links(session: nox.Session) -> None:
    """Build the manual; follow the links inside it, list those outside, look for our own paths."""
    docs(session)
    session.run("python", "docs/_tools/links.py", "docs/_build/html", str(ROOT))


@nox.session(default=False)
def build(session: nox.Session) -> None:
    """Build sdist and wheel (-- FOLDER keeps them), use the wheel outside the checkout."""
    session.install("build", "pytest")
    dist = Path(session.posargs[0]).resolve() if session.posargs else None
    with TemporaryDirectory(prefix="nuhf ö ") as folder:
        outside = Path(folder).resolve()
        dist = dist or outside / "dist"
        session.run("python", "-m", "build", "--outdir", str(dist), str(ROOT))
        (wheel,) = dist.glob("nuhf-*.whl")
        session.install("--force-reinstall", str(wheel))
        with session.chdir(outside):
            session.run("python", "-c", INSTALLED_WHOLE, str(ROOT / "nuhf"), env=ONE_THREAD)
            for command in (
                ("list",),
                ("check",),
                ("limit", "xenonnt-sr0", "-p", "munu_eff"),
                ("report", "coherent-csi-2021", "-o", "report.html"),
            ):
                session.run("nuhf", *command, env=ONE_THREAD)
            # not `python -m`, which would find nuhf in the folder it starts in
            session.run("pytest", "-c", os.devnull, "--rootdir", str(outside), "--noconftest", "-q",
                        "-p", "no:cacheprovider", "-rs", "--import-mode=importlib",
                        str(ROOT / "tests" / "test_environment.py"), env=ONE_THREAD)  # fmt: skip


@nox.session(python=PYTHONS[0], default=False)
def lowest(session: nox.Session) -> None:
    """Run some tests with the oldest Python and dependencies that pyproject.toml allows."""
    project = nox.project.load_toml("pyproject.toml")["project"]
    extras = project["optional-dependencies"]
    allowed = [*project["dependencies"], *extras["hepdata"], *extras["dask"], *extras["jax"],
               *extras["bayes"]]  # fmt: skip
    # one call: a newer dependency that cannot live with them is an error, not a warning
    session.install("-e", ".[test]", *(oldest(line) for line in allowed))
    names = ("core", "experiment_files", "native", "compiled", "log_density", "posterior",
             "intervals", "contours", "cabinetry", "cli", "pyhf_cli", "plot", "report",
             "publish")  # fmt: skip
    # what old packages say of newer ones, such as matplotlib of pyparsing, is not about nuhf
    session.run("python", "-m", "pytest", *(f"tests/test_{name}.py" for name in names),
                "-W", "ignore::DeprecationWarning", "-W", "ignore::PendingDeprecationWarning",
                *session.posargs, env=ONE_THREAD)  # fmt: skip


@nox.session(default=False)
def pyhf_main(session: nox.Session) -> None:
    """Run what touches pyhf with its main branch; skipped where GitHub cannot be reached."""
    try:
        socket.create_connection(("github.com", 443), timeout=20).close()
    except OSError as error:
        session.skip(f"pyhf's main branch cannot be had here, no way to github.com: {error}")
    session.install("-e", ".[test]")
    # --no-deps: the pin of nuhf asks for a release
    session.install("--no-deps", "pyhf @ git+https://github.com/scikit-hep/pyhf.git@main")
    names = ("native", "encode", "compiled", "patchset", "combine", "validate", "cabinetry",
             "pyhf_cli", "files", "publish")  # fmt: skip
    session.run("python", "-m", "pytest", *(f"tests/test_{name}.py" for name in names),
                *session.posargs, env=ONE_THREAD)  # fmt: skip


@nox.session(default=False)
def release(session: nox.Session) -> None:
    """Hold a tag (-- --tag vX.Y.Z) against the versions in pyproject, CITATION and CHANGELOG."""
    project = nox.project.load_toml("pyproject.toml")["project"]
    version = project["version"]
    tag = session.posargs[-1] if session.posargs else f"v{version}"
    wanted = {
        "the tag": tag == f"v{version}",
        "CITATION.cff, version": f"\nversion: {version}\n" in (ROOT / "CITATION.cff").read_text(),
        "CHANGELOG.md, a section": f"\n## [{version}] - " in (ROOT / "CHANGELOG.md").read_text(),
    }
    if wrong := [name for name, fits in wanted.items() if not fits]:
        session.error(f"version {version} of pyproject.toml is not that of: {'; '.join(wrong)}")


def oldest(requirement: str) -> str:
    """``pyhf[minuit]~=0.7.6`` as ``pyhf[minuit]==0.7.6``."""
    return re.sub("[~>]=", "==", requirement.split(",")[0])


@nox.session(default=False)
def fuzz(session: nox.Session) -> None:
    """Feed 50 000 damaged files and command lines (an hour); -- FIRST starts at another number."""
    session.install("-e", ".[test]")
    first = session.posargs[0] if session.posargs else "0"
    session.run("python", "-m", "pytest", "tests/test_fuzz.py",
                env={**ONE_THREAD, "NUHF_FUZZ": "50000", "NUHF_FUZZ_FIRST": first})  # fmt: skip


@nox.session(default=False)
def interrupt(session: nox.Session) -> None:
    """Kill a writer 200 times with each of three signals, a command and toys 40 times."""
    session.install("-e", ".[test]")
    session.run("python", "-m", "pytest", "tests/test_interruption.py", "-rP", *session.posargs,
                env={**ONE_THREAD, "NUHF_KILLS": "200"})  # fmt: skip


@nox.session(default=False)
def audit(session: nox.Session) -> None:
    """Look the dependencies up among known vulnerabilities (needs the network and its data)."""
    project = nox.project.load_toml("pyproject.toml")["project"]
    extras = project["optional-dependencies"]
    # without nuhf itself, so that --strict can refuse whatever the service does not know
    session.install("pip-audit", *project["dependencies"], *extras["hepdata"], *extras["dask"])
    known = Path(session.create_tmp()) / "known.txt"
    known.write_text("jinja2==2.4\n")
    said = str(session.run("pip-audit", "--no-deps", "--disable-pip", "-r", str(known),
                           *session.posargs, success_codes=[0, 1], silent=True))  # fmt: skip
    if not re.search("(CVE|GHSA|PYSEC)-", said):
        session.error(f"no data, no audit: the old holes of jinja2 2.4 are not known there\n{said}")
    session.run("pip-audit", "--strict", *session.posargs)


@nox.session(default=False)
def report(session: nox.Session) -> None:
    """Open the report in headless Chromium: no console message, a text for every figure."""
    folder = Path(session.create_tmp()).resolve()
    session.install("-e", ".")
    page = folder / "report.html"
    names = session.posargs or ["coherent-csi-2021"]
    session.run("nuhf", "report", *names, "-o", str(page), env=ONE_THREAD)
    frame = folder / "phone.html"
    frame.write_text(f'<!doctype html><meta charset="utf-8"><title>phone</title>'
                     f'<iframe src="{page.name}" width="390" height="3000"></iframe>')  # fmt: skip
    chromium = ("chromium", "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic",
                "--no-first-run", "--disable-background-networking", "--disable-component-update",
                "--disable-sync", "--enable-logging=stderr", "--hide-scrollbars",
                f"--user-data-dir={folder / 'profile'}")  # fmt: skip
    said = ""
    for name, target, size in (("desktop", page, "1200,6000"), ("phone", frame, "420,3000")):
        image = f"--screenshot={folder / name}.png"
        said += str(session.run(*chromium, f"--window-size={size}", image, target.as_uri(),
                                external=True, silent=True))  # fmt: skip
    (folder / "dom.html").write_text(
        str(session.run(*chromium, "--dump-dom", page.as_uri(), external=True, silent=True))
    )
    messages = [line for line in said.splitlines() if "CONSOLE" in line]
    if messages:
        session.error("\n".join(messages))
    session.run("python", "-c", FIGURES_TOLD, str(folder / "dom.html"))
    session.log(f"look at {folder}/desktop.png and phone.png")


FIGURES_TOLD = """
import re, sys
page = open(sys.argv[1], encoding="utf-8").read()
figures = re.findall(r"<figure.*?</figure>", page, re.DOTALL)
told = [re.search(r'(?:role="img" aria-label|alt)="([^"]*[0-9][^"]*)"', f) for f in figures]
if not figures or not all(told):
    sys.exit(f"{told.count(None)} of {len(figures)} figures have no text in their place")
print(f"{len(figures)} figures, each with a text")
"""


INSTALLED_WHOLE = """
import pathlib, sys, nuhf
found = pathlib.Path(nuhf.__file__).resolve().parent
if found == pathlib.Path(sys.argv[1]):
    sys.exit(f"nuhf was imported from the checkout, {found}, not from the wheel")
missing = [name for name in ("py.typed", "report/report.html.j2", "_shipped/data/experiments",
           "_shipped/templates", "_shipped/workspaces") if not (found / name).exists()]
if missing:
    sys.exit(f"missing in the wheel: {missing}")
"""


if __name__ == "__main__":
    nox.main()
