"""Sphinx settings of the manual: ``nox -s docs`` builds it, and executes its cells."""

import hashlib
import os
import shutil
import sys
from importlib import metadata
from pathlib import Path
from string import Template

DOCS = Path(__file__).resolve().parent
ROOT = DOCS.parent
sys.path.insert(0, str(DOCS / "_tools"))

from nuhf.experiments.catalogue import list_experiments, read_content  # noqa: E402

# ----------------------------------------------------------------- the project

project = "nuhf"
author = "the nuhf developers"
copyright = author
release = metadata.version("nuhf")
extensions = [
    "myst_nb",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "sphinx_click",
    "sphinx_copybutton",
    "sphinx_manual",
]
exclude_patterns = ["_build", "_experiments", "_tools", "README.md", "examples"]
default_role = "code"  # what docstrings put into single backquotes are names
# words of types such as "path", which several classes have as an attribute
suppress_warnings = ["ref.python"]
smartquotes = False  # they make a dash of the two hyphens of an option
html_theme = "furo"
html_title = f"nuhf {release}"
html_static_path = ["_static"]
html_css_files = ["manual.css"]
html_show_sphinx = False
html_copy_source = False
html_show_sourcelink = False
html_math_renderer = "mathml"  # made at build: MathJax would be fetched from the network
pygments_style = "friendly"

# -------------------------------------------------------------------- Markdown

myst_enable_extensions = ["colon_fence", "deflist", "dollarmath"]
myst_heading_anchors = 3
copybutton_selector = "div.highlight pre:not(.cell_output pre)"

# ------------------------------------------------------------------- execution

nb_execution_mode = "cache"
nb_execution_in_temp = True
nb_execution_timeout = 180
nb_execution_raise_on_error = True
nb_merge_streams = True
nb_render_markdown_format = "myst"

# Cells are cached by their text only: a cache per state of package and data keeps them true.
_CACHES = DOCS / "_build" / "cells"


def _state() -> str:
    """Return a digest of everything that cells can read."""
    found = hashlib.sha256(metadata.version("pyhf").encode())
    folders = [ROOT / name for name in ("nuhf", "data", "docs/examples", "docs/_tools")]
    for folder in folders:
        for path in sorted(folder.rglob("*")):
            if path.is_file() and path.suffix != ".pyc":
                found.update(str(path.relative_to(ROOT)).encode())
                found.update(path.read_bytes())
    return found.hexdigest()[:16]


nb_execution_cache_path = str(_CACHES / _state())
for _old in _CACHES.glob("*"):
    if _old != Path(nb_execution_cache_path):
        shutil.rmtree(_old)

# IPython with the %%bash of the manual, and with nobody's own settings
shutil.copytree(DOCS / "_tools" / "ipython", DOCS / "_build" / "ipython", dirs_exist_ok=True)
os.environ.update(
    {
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}",
        "PYTHONPATH": str(DOCS / "_tools"),
        "IPYTHONDIR": str(DOCS / "_build" / "ipython"),
        "MANUAL_ROOT": str(ROOT),
        "NO_COLOR": "1",
        "COLUMNS": "100",
        "OMP_NUM_THREADS": "1",
        "OPENBLAS_NUM_THREADS": "1",
        "MKL_NUM_THREADS": "1",
        "PYDEVD_DISABLE_FILE_VALIDATION": "1",
    }
)

# --------------------------------------------------- one page per shipped experiment


def _write_experiment_pages() -> None:
    """Write ``experiments/NAME.md`` from the template and the caveats in ``_experiments``."""
    folder = DOCS / "experiments"
    folder.mkdir(exist_ok=True)
    page = Template((DOCS / "_experiments" / "page.md.in").read_text(encoding="utf-8"))
    section = Template((DOCS / "_experiments" / "analysis.md.in").read_text(encoding="utf-8"))
    wanted = {}
    for name, path in list_experiments().items():
        content, _ = read_content(path)  # with that of the files that it extends
        caveats = DOCS / "_experiments" / f"{name}.md"
        about = caveats.read_text(encoding="utf-8") if caveats.is_file() else ""
        sections = [
            section.substitute(name=name, analysis=label, title=entry["title"])
            for label, entry in content["analyses"].items()
        ]
        wanted[f"{name}.md"] = page.substitute(
            name=name, title=content["title"], about=about, analyses="\n".join(sections)
        )
    for path in folder.glob("*.md"):
        if path.name not in wanted:
            path.unlink()
    for name, text in wanted.items():
        path = folder / name
        if not path.is_file() or path.read_text(encoding="utf-8") != text:
            path.write_text(text, encoding="utf-8")


_write_experiment_pages()
