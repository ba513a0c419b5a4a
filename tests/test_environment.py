"""Other locales, homes, folders, no extras, no network: the same answers, or one line."""

import base64
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

from nuhf import resources

ROOT = Path(__file__).resolve().parent.parent
EXAMPLE = ROOT / "docs" / "examples" / "one-bin-reactor.toml"
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
    {"LC_ALL": "C"},
    {"LC_ALL": "C", "LANG": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"},
    {"LC_ALL": "POSIX", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0", "PYTHONIOENCODING": "ascii"},
    {"PYTHONIOENCODING": "latin-1"},
    {"PYTHONIOENCODING": "utf-16"},
    {"LC_ALL": "de_DE.ISO-8859-1", "LOCPATH": "here"},
]


def latin_1(folder):
    """Make a locale whose encoding is no UTF-8 and no ASCII."""
    made = folder / "de_DE.ISO-8859-1"
    define = ("localedef", "-i", "de_DE", "-f", "ISO-8859-1", str(made))
    try:
        done = subprocess.run(define, capture_output=True, check=False)
    except OSError as error:
        pytest.skip(f"no localedef: {error}")
    if done.returncode:
        pytest.skip("the sources of the locale de_DE are not here")
    ask = "import locale; print(locale.getpreferredencoding())"
    variables = {**os.environ, "LC_ALL": made.name, "LOCPATH": str(folder), "PYTHONUTF8": "0"}
    told = subprocess.check_output([sys.executable, "-c", ask], env=variables)
    assert told == b"ISO-8859-1\n"


@pytest.mark.parametrize("locale", LOCALES)
def test_locales(tmp_path, locale):
    """What is printed is UTF-8, as what is written, whatever the locale."""
    if "LOCPATH" in locale:
        latin_1(tmp_path)
        locale = {**locale, "LOCPATH": str(tmp_path)}
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


@pytest.mark.parametrize(
    "home", [None, *(pytest.param(home, marks=pytest.mark.slow) for home in ("", "/proc/nowhere")),
             "/proc"],
)  # fmt: skip
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
    ("hepdata_validator", ("publish", EXAMPLE, "-p", "munu_e", "--points", "3", "-o", "out"),
     "nuhf[hepdata]"),
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


# ------------------------------------------------------------------ an installation of our own


def install(place):
    """Copy the package to a folder of its own, as it lies in a wheel."""
    package = Path(resources.__file__).parent
    left_out = shutil.ignore_patterns("__pycache__", "_shipped")
    shutil.copytree(package, place / "nuhf", ignore=left_out)
    for name in ("data", "templates", "workspaces"):
        shutil.copytree(resources.shipped(name), place / "nuhf" / "_shipped" / name)
    return place


def record(place):
    """Write what pip keeps of an installed wheel."""
    metadata = place / "nuhf-0.1.0.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: nuhf\nVersion: 0.1.0\n")
    rows = []
    for path in sorted((place / "nuhf").rglob("*")):
        if path.is_file():
            hashed = base64.urlsafe_b64encode(hashlib.sha256(path.read_bytes()).digest())
            name = path.relative_to(place).as_posix()
            rows.append(f"{name},sha256={hashed.decode().rstrip('=')},{path.stat().st_size}\n")
    (metadata / "RECORD").write_text("".join(rows))


def imported_from(place):
    """Code that makes sure of it, in any locale."""
    start = os.fsencode(place)
    return f"import os, nuhf; assert os.fsencode(nuhf.__file__).startswith({start!r})"


READ_ONLY = """
while test "$1" != --; do
    mount --bind "$1" "$1" && mount -o remount,bind,ro "$1" || exit 99
    touch "$1/x" 2>/dev/null && exit 98
    shift
done
shift
exec "$@"
"""


def test_read_only_site_packages_of_any_name(tmp_path, usual):
    """Nothing is written beside the code or any library, not even byte code; ASCII locale."""
    place = install(tmp_path / "ein Ordner ü ∞ 'x' %s")
    libraries = {sysconfig.get_path("purelib"), sysconfig.get_path("platlib")}
    before = ("unshare", "--mount", "--map-root-user", "sh", "-c", READ_ONLY, "sh",
              place, *sorted(libraries), "--")  # fmt: skip
    try:
        done = subprocess.run([*before, "true"], capture_output=True, check=False)
    except OSError as error:
        pytest.skip(f"no unshare: {error}")
    if done.returncode not in (0, 98):
        pytest.skip(f"nothing can be mounted here: {done.stderr.decode()}")
    assert done.returncode == 0
    around = {
        "before": before,
        "code": imported_from(place),
        "PYTHONPATH": str(place),
        **LOCALES[1],
    }
    ran = nuhf(*LIMIT, folder=tmp_path, **around)
    assert (ran.returncode, ran.stdout) == (0, usual)
    ran = nuhf("report", EXAMPLE, "-o", "report.html", folder=tmp_path, **around)
    assert ran.returncode == 0, ran.stderr
    assert (tmp_path / "report.html").stat().st_size > 50_000
    assert not list(place.rglob("__pycache__"))


def test_damaged_files_of_an_installation_are_found(tmp_path):
    """Every kind of damage at once, each in another experiment; the rest is found whole."""
    place = install(tmp_path / "lib")
    shipped = place / "nuhf" / "_shipped"
    record(place)

    def change(name, pattern, new):
        path = shipped / name
        text, changes = re.subn(pattern, new, path.read_text(encoding="utf-8"), count=1)
        assert changes == 1
        path.write_text(text, encoding="utf-8")

    change("data/coherent-csi-2017/counts_beam_on.csv", r"(?m)^([0-9].*)[0-8]$", r"\g<1>9")
    change("data/experiments/xenonnt-sr0.toml", r'(?m)^title = "', 'title = "X')
    change("templates/dresden-2/default.json", r'": "[0-9a-f]{64}"', f'": "{"0" * 64}"')
    change("templates/lz-ws2024/default.json", r"(?s)\A(.{20000}).*", r"\1")
    change("templates/coherent-csi-2021/default.json", r"(\d\.\d{4})[0-8](\d{6})", r"\g<1>9\2")
    change("templates/darwin-30ty/default.json", r"(\d\.\d{4})[0-8](\d{6})", r"\g<1>9\2")
    change("workspaces/lz-ws2022/munu_eff.stock.json", r"(\d\.\d{4})[0-8]", r"\g<1>9")
    (shipped / "templates" / "apv-cs" / "default.json").unlink()
    ran = nuhf("check", folder=tmp_path, code=imported_from(place), PYTHONPATH=str(place))
    failed = [line for line in ran.stdout.decode().splitlines() if line.startswith("FAIL")]
    said = "\n".join(failed)
    assert ran.returncode == 1
    for words in (
        r"data: coherent-csi-2017 \(default\): changed .*coherent-csi-2017/counts_beam_on.csv",
        r"data: xenonnt-sr0 \(default\): changed .*xenonnt-sr0.toml",
        r"data: dresden-2 \(default\): changed since",
        r"data: lz-ws2024: .*default.json",
        r"data: apv-cs \(default\): .*default.json is missing",
        r"templates: coherent-csi-2021: computed again",
        # what no check computes again
        r"data: installed files: .*templates/darwin-30ty/default.json",
        r"data: installed files: .*workspaces/lz-ws2022/munu_eff.stock.json",
    ):
        assert re.search(f"(?m)^FAIL {words}", said), said
    assert not re.search("coherent-lar|golden|qnu_ee.native", said)


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
