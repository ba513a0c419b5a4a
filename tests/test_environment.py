"""Other locales, homes, folders, no extras, no network: the same answers, or one line."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
EXAMPLE = ROOT / "docs" / "examples" / "conus-plus.toml"
LIMIT = ("limit", str(EXAMPLE), "-p", "munu_e")


def nuhf(*arguments, folder, code="pass", before=(), **environment):
    """Run the command line in a process of its own; None takes a variable away."""
    start = f"import sys; sys.argv[0] = 'nuhf'; {code}; from nuhf.cli import main; main()"
    variables = {k: v for k, v in {**os.environ, **environment}.items() if v is not None}
    return subprocess.run(
        [*before, sys.executable, "-c", start, *map(str, arguments)],
        cwd=folder, env=variables, capture_output=True, check=False, timeout=120,
    )  # fmt: skip


@pytest.fixture(scope="module")
def usual(tmp_path_factory):
    ran = nuhf(*LIMIT, folder=tmp_path_factory.mktemp("usual"))
    assert ran.returncode == 0
    assert ran.stderr == b""
    return ran.stdout


LOCALES = [
    {"LC_ALL": "C", "LANG": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"},
    {"LC_ALL": "POSIX", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0", "PYTHONIOENCODING": "ascii"},
    {"PYTHONIOENCODING": "latin-1"},
    {"PYTHONIOENCODING": "utf-16"},
]


@pytest.mark.parametrize("locale", LOCALES)
def test_locales(tmp_path, locale):
    """What is printed is UTF-8, as what is written, whatever the locale."""
    text = EXAMPLE.read_text(encoding="utf-8").replace("one bin (example)", "ein Prüfstück → ∞")
    (tmp_path / "mine.toml").write_text(text, encoding="utf-8")
    ran = nuhf("show", "mine.toml", "--json", folder=tmp_path, **locale)
    assert ran.returncode == 0, ran.stderr
    assert "Prüfstück → ∞" in json.loads(ran.stdout.decode("utf-8"))["experiment"]["title"]
    ran = nuhf("rate", "mine.toml", "--set", "ä=1", folder=tmp_path, **locale)
    assert ran.returncode == 2
    assert b"Traceback" not in ran.stderr
    assert ran.stderr.count(b"\n") == 1


def test_spaces_and_letters_in_paths(tmp_path, usual):
    folder = tmp_path / "ein Ordner (ä ö, ∞) 'x' \"y\" $HOME %s"
    folder.mkdir()
    path = folder / "mein Experiment ü.toml"
    path.write_bytes(EXAMPLE.read_bytes())
    ran = nuhf("limit", path, "-p", "munu_e", "-o", "die Grenzen ∞", folder=folder)
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout == usual
    assert (folder / "die Grenzen ∞" / "limits.json").is_file()


def test_a_name_that_is_no_utf8(tmp_path):
    """Bytes that are no text appear as an escape, on stdout and in files."""
    name = os.fsdecode(b"mine\xff.json")
    spec = ROOT / "docs" / "examples" / "lhc-style.json"
    try:
        (tmp_path / name).write_bytes(spec.read_bytes())
    except OSError:
        pytest.skip("this file system takes UTF-8 names only")
    ran = nuhf("validate", name, "--json", folder=tmp_path)
    assert ran.returncode == 0, ran.stderr
    json.loads(ran.stdout.decode("utf-8"))


@pytest.mark.parametrize("home", [None, "", "/proc/nowhere"])
def test_no_home(tmp_path, usual, home):
    gone = dict.fromkeys(("XDG_CONFIG_HOME", "XDG_CACHE_HOME", "MPLCONFIGDIR"))
    ran = nuhf(*LIMIT, folder=tmp_path, HOME=home, **gone)
    assert (ran.returncode, ran.stdout) == (0, usual)
    ran = nuhf("scan", EXAMPLE, "-p", "munu_e", "--points", "5", "-o", "s.png", folder=tmp_path,
               HOME=home, **gone)  # fmt: skip
    assert ran.returncode == 0, ran.stderr
    assert (tmp_path / "s.png").is_file()


MISSING = [
    ("distributed", ("limit", EXAMPLE, "-p", "munu_e", "--method", "feldman-cousins", "--toys",
                     "10", "--scheduler", "tcp://127.0.0.1:1"), "nuhf[dask]"),
    ("hepdata_lib", ("publish", EXAMPLE, "-p", "munu_e", "--points", "3", "-o", "out"),
     "nuhf[hepdata]"),
]  # fmt: skip


@pytest.mark.parametrize(("module", "arguments", "words"), MISSING)
def test_a_missing_extra_is_named(tmp_path, module, arguments, words):
    ran = nuhf(*arguments, folder=tmp_path, code=f"sys.modules[{module!r}] = None")
    said = ran.stderr.decode()
    assert ran.returncode in (1, 2)
    assert words in said
    assert said.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


_BLOCK = """
import sys
class Block:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in ("distributed", "dask", "jax", "hepdata_lib",
                                  "hepdata_validator", "mplhep", "mpmath", "hypothesis"):
            raise ModuleNotFoundError(name)
sys.meta_path.insert(0, Block())
"""


def test_nothing_optional_is_needed(tmp_path, usual):
    (tmp_path / "block_optional.py").write_text(_BLOCK)
    ran = nuhf(*LIMIT, folder=tmp_path, code="import block_optional")
    assert (ran.returncode, ran.stdout) == (0, usual)


def test_no_network(tmp_path, usual):
    """In a name space without any interface, if one may be made here."""
    alone = ("unshare", "--net", "--map-root-user")
    try:
        done = subprocess.run([*alone, "true"], capture_output=True, check=False)
    except OSError as error:
        pytest.skip(f"no unshare: {error}")
    if done.returncode:
        pytest.skip("no name space of its own may be made here")
    ran = nuhf(*LIMIT, folder=tmp_path, before=alone)
    assert (ran.returncode, ran.stdout) == (0, usual)
    ran = nuhf("validate", ROOT / "docs" / "examples" / "lhc-style.json", folder=tmp_path,
               before=alone)  # fmt: skip
    assert ran.returncode == 0, ran.stderr


def test_stdout_that_takes_nothing(tmp_path):
    """A full disk behind a redirection, and a stdout that is closed."""
    code = "import os; os.dup2(os.open('/dev/full', os.O_WRONLY), 1)"
    ran = nuhf("list", folder=tmp_path, code=code)
    assert ran.returncode == 1
    assert ran.stderr.decode() == "nuhf: stdout: No space left on device\n"


def test_sources_use_nothing_that_runs_text():
    """No eval, exec, pickle, marshal, shelve, os.system, shell=True, yaml.load, numpy pickles."""
    import ast

    forbidden = {"eval", "exec", "compile", "__import__", "pickle", "cPickle", "marshal", "shelve",
                 "dill", "joblib", "cloudpickle"}  # fmt: skip
    runs = ("os.system", "os.popen", "yaml.load", "np.load")
    found = []
    for path in sorted((ROOT / "nuhf").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            names = set()
            if isinstance(node, ast.Call):
                function = node.func
                names.add(function.id if isinstance(function, ast.Name) else "")
                if isinstance(function, ast.Attribute) and isinstance(function.value, ast.Name):
                    called = f"{function.value.id}.{function.attr}"
                    names.add("eval" if called in runs else "")
                shell = [k for k in node.keywords if k.arg in ("shell", "allow_pickle")]
                names |= {"eval" for k in shell if getattr(k.value, "value", True) is not False}
            elif isinstance(node, ast.Import):
                names |= {alias.name.split(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module:
                names.add(node.module.split(".")[0])
            if names & forbidden:
                found.append(f"{path.relative_to(ROOT)}:{node.lineno}")
    assert found == []
