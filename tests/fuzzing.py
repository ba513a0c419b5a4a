"""A fuzzer of everything nuhf reads: what it makes, how it runs it, and what counts as a fault.

Case ``n`` is the same for ever: it comes from ``random.Random(n)`` and the files in the
repository. ``python tests/fuzzing.py 1234 1240`` runs the cases 1234 to 1239 and prints them.
"""

import io
import json
import os
import random
import signal
import sys
import tempfile
import time
import tomllib
import traceback
from collections import namedtuple
from contextlib import redirect_stderr, redirect_stdout
from itertools import pairwise
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
EXAMPLE = ROOT / "docs" / "examples" / "one-bin-reactor.toml"
CSI = ROOT / "docs" / "examples" / "made-up-csi.toml"
FOREIGN = ROOT / "docs" / "examples" / "lhc-style.json"
SECONDS = 10  # of this process at work
WAIT = 60  # for workers, or for nothing

Case = namedtuple("Case", "number family files arguments")
Outcome = namedtuple("Outcome", "code out err seconds fault")


class Hang(BaseException):
    """Raised by the alarm clock; no handler of nuhf may catch it."""


# ------------------------------------------------------------------------------- what to say

NUMBERS = (0, -0.0, 1, -1, 0.5, 1e-320, 1e-300, 1e300, -1e300, 2**31, 2**63, 2**64, -(2**63),
           10**400, True, False, 3.5, 1e12, -7, 1e-12, 1001, 100_000)  # fmt: skip
TEXTS = ("", " ", "x", "ä → ∞", "\x00", "\ud800", "a" * 300, "A/B", "../up", "/etc/passwd",
         "/dev/zero", ".", "..", "mu", "lumi", "nan", "inf", "NaN", "1e400", "-1", "0x10",
         "{0}%s%n", "; rm -rf x", "$(touch x)", "\n\n", "\t", "\u202e", "a\nb", "cevns",
         "eves", "norm_cevns", "qnu_ee", "-o", "--", "true", "null")  # fmt: skip
RAW = ("NaN", "-NaN", "Infinity", "-Infinity", "1e400", "-1e400", "1" * 5000, "0x10", "1_000",
       "01", ".5", "5.", "+1", "'a'", "undefined", '"\\ud800"', '"\\u0000"', "[" * 3000,
       '{"a":' * 3000, "[" * 200_000, "", "{}", "[]", "[[]]", "[{}]", "null", '{"a":1,"a":2}',
       "1979-05-27", "1e-400")  # fmt: skip
BYTES = (b"\x00", b"\xff", b"\xfe\xff", b"\xef\xbb\xbf", b"\r", b"\n", b'"', b",", b"{",
         b"}", b"[", b"]", b"#", b"=", b"-", b"\xe2\x86\x92", b"\x1b[31m", b"9" * 400,
         b"e", b".")  # fmt: skip


def nasty(rng):
    """Any value that a careless or hostile person may write."""
    kind = rng.randrange(8)
    if kind < 3:
        return rng.choice(NUMBERS)
    if kind < 6:
        return rng.choice(TEXTS)
    if kind == 6:
        return rng.choice((None, [], {}, [[]], [None], {"": 0}, [0] * 3, [1e308] * 3))
    return rng.choice(([1.0] * 2000, ["x"] * 10, {"a": {"b": {"c": 1}}}, [float(2**70)]))


def places(content, path=()):
    """Every place in parsed JSON or TOML."""
    found = [path] if path else []
    if isinstance(content, dict):
        for key, value in content.items():
            found += places(value, (*path, key))
    elif isinstance(content, list):
        for i, value in enumerate(content):
            found += places(value, (*path, i))
    return found


def damage(rng, content):
    """Change one place of nested data: another value, gone, repeated, swapped, renamed."""
    path = rng.choice(places(content))
    holder = content
    for key in path[:-1]:
        holder = holder[key]
    last, what = path[-1], rng.randrange(9)
    value = holder[last]
    if what < 4:
        holder[last] = nasty(rng)
    elif what == 4:
        del holder[last]
    elif what == 5 and isinstance(value, list):
        value += value[:1]
    elif what == 5 and isinstance(value, (int, float)):
        holder[last] = -value
    elif what == 6 and isinstance(value, list):
        value.reverse()
    elif what == 6 and isinstance(value, (int, float)):
        holder[last] = min(value, 1e300) * rng.choice((1e-6, 1e6, -1.0, 1.5))
    elif what == 7 and isinstance(holder, dict):
        holder[rng.choice(TEXTS)] = holder.pop(last)
    elif isinstance(holder, list):
        rng.shuffle(holder)
    else:
        holder[last] = rng.choice(NUMBERS)


def damage_bytes(rng, content):
    """Change a text as bytes: cut, drop, insert, flip, repeat."""
    content = bytearray(content)
    for _ in range(rng.choice((1, 1, 2, 5))):
        at, what = rng.randrange(len(content) + 1), rng.randrange(6)
        if what == 0:
            content = content[:at]
        elif what == 1:
            del content[at : at + rng.choice((1, 3, 50))]
        elif what == 2:
            content[at:at] = rng.choice(BYTES)
        elif what == 3:
            content[at : at + 1] = bytes([rng.randrange(256)])
        elif what == 4:
            content[at:at] = content[at : at + rng.choice((1, 20, 300))]
        else:
            content[at:at] = rng.choice(RAW).encode("utf-8", "surrogatepass")
    return bytes(content)


def as_json(content):
    return json.dumps(content).encode("utf-8", "surrogatepass")


def _raw_in_json(rng, content):
    """Put something json.dumps would never write in the place of a number."""
    mark = "@@@"
    path = rng.choice(places(content))
    holder = content
    for key in path[:-1]:
        holder = holder[key]
    holder[path[-1]] = mark
    return as_json(content).replace(b'"@@@"', rng.choice(RAW).encode("utf-8", "surrogatepass"))


def damaged_json(rng, text):
    what = rng.randrange(4)
    if what == 0:
        return damage_bytes(rng, text.encode())
    content = json.loads(text)
    if what == 1:
        return _raw_in_json(rng, content)
    for _ in range(rng.choice((1, 1, 2, 4))):
        if places(content):
            damage(rng, content)
    return as_json(content)


def to_toml(value):
    """A value of tomllib as TOML again; what TOML cannot say becomes something broken."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, dict):
        return (
            "{" + ", ".join(f"{json.dumps(str(k))} = {to_toml(v)}" for k, v in value.items()) + "}"
        )
    if isinstance(value, list):
        return "[" + ", ".join(map(to_toml, value)) + "]"
    if isinstance(value, str):
        return json.dumps(value)
    return "nothing" if value is None else repr(value)


def damaged_toml(rng, text):
    what = rng.randrange(4)
    if what == 0:
        return damage_bytes(rng, text.encode())
    if what == 1:
        lines = text.splitlines()
        at = rng.randrange(len(lines))
        key = lines[at].split("=")[0]
        line = lines[at]
        other = (f"{key}= {rng.choice(RAW)}", f"{line}\n{line}", f"unknown = 1\n{line}", "",
                 f"[{rng.choice(TEXTS)}]")  # fmt: skip
        lines[at] = rng.choice(other)
        return "\n".join(lines).encode("utf-8", "surrogatepass")
    content = tomllib.loads(text)
    for _ in range(rng.choice((1, 1, 2))):
        damage(rng, content)
    lines = [f"{json.dumps(str(key))} = {to_toml(value)}" for key, value in content.items()]
    return "\n".join(lines).encode("utf-8", "surrogatepass")


def damaged_table(rng, text):
    what = rng.randrange(4)
    if what == 0:
        return damage_bytes(rng, text.encode())
    lines = text.splitlines()
    rows = [i for i, line in enumerate(lines) if line.strip() and not line.startswith("#")]
    for _ in range(rng.choice((1, 1, 2))):
        at = rng.choice(rows)
        cells = lines[at].split(",")
        column, kind = rng.randrange(len(cells)), rng.randrange(7)
        if kind < 3:
            cells[column] = str(rng.choice((*NUMBERS, *TEXTS, *RAW[:12])))
        elif kind == 3:
            rng.shuffle(cells)
        elif kind == 4:
            cells = cells[:-1] or [""]
        elif kind == 5 and len(rows) > 1:
            other = rng.choice(rows)
            lines[at], lines[other] = lines[other], lines[at]
            continue
        else:
            cells.append(cells[column])
        lines[at] = ",".join(cells)
    return ("\n".join(lines) + "\n").encode("utf-8", "surrogatepass")


# ---------------------------------------------------------------------------------- families


def workspace_case(rng):
    text = rng.choice(sources()["workspaces"])
    command = rng.choice(("validate", "validate", "validate", "combine", "pyhf"))
    files = {"w.json": damaged_json(rng, text)}
    if command == "validate":
        return files, ["validate", "w.json", *rng.choice(([], ["--json"]))]
    if command == "combine":
        files["b.json"] = FOREIGN.read_bytes()
        return files, ["combine", "w.json", "b.json", "--poi", "mu_SIG", "-o", "out.json"]
    return files, ["pyhf", "inspect", "w.json"]


def patchset_case(rng):
    background, patches = sources()["patchset"]
    which = rng.randrange(4)
    files = {"BkgOnly.json": background.encode(), "patchset.json": patches.encode()}
    name = "BkgOnly.json" if which == 0 else "patchset.json"
    files[name] = damaged_json(rng, background if which == 0 else patches)
    return files, ["validate", "patchset.json", "--workspace", "BkgOnly.json"]


def archive_case(rng):
    content = damage_bytes(rng, sources()["archive"])
    if rng.random() < 0.6:
        import gzip

        content = gzip.compress(damage_bytes(rng, gzip.decompress(sources()["archive"])), 1)
    return {"a.tar.gz": content}, rng.choice(
        (["unpack", "a.tar.gz", "-o", "out"], ["validate", "a.tar.gz"])
    )


def experiment_case(rng):
    path = rng.choice(sources()["experiments"])
    text = path.read_text(encoding="utf-8")
    files = {"mine.toml": damaged_toml(rng, text)}
    return files, rng.choice(
        (["show", "mine.toml"], ["show", "mine.toml", "--json"], ["rate", "mine.toml"])
    )


def table_case(rng):
    path, name = rng.choice(sources()["tables"])
    text = (ROOT / "data" / name).read_text(encoding="utf-8")
    content = damaged_table(rng, text)
    files = {"mine.toml": path.read_bytes(), name: content}
    return files, rng.choice((["show", "mine.toml"], ["rate", "mine.toml"]))


def template_case(rng):
    return {"t.json": damaged_json(rng, sources()["templates"])}, ["<templates>", "t.json"]


_OPTIONS = {
    "list": ("--json", "what"),
    "show": ("EXP", "--analysis", "--json"),
    "rate": ("EXP", "--analysis", "--anapole", "--set", "--bins", "--json", "-o"),
    "templates": ("EXP", "--analysis", "-o"),
    "workspace": ("EXP", "-p", "--encoding", "--anapole", "--set", "-o"),
    "fit": ("EXP", "-p", "--profile", "--fix", "--engine", "--asimov", "--toys",
            "--seed", "--jobs", "--checkpoint", "--json", "-o"),
    "limit": ("EXP", "-p", "--cl", "--method", "--points", "--profile", "--fix", "--engine",
              "--set", "--range", "--asimov", "--toys", "--json", "-o"),
    "scan": ("EXP", "-p", "--points", "--cl", "--range", "--profile", "-o"),
    "contour": ("EXP", "-p", "-p", "--cl", "--points", "--method", "-o"),
    "coverage": ("EXP", "-p", "--true", "--method", "--nuisance", "--inner", "--toys", "--cl"),
    "ranking": ("EXP", "-p", "-o", "--json"),
    "patchset": ("EXP", "-p", "--range", "--points", "--hepdata", "-o"),
    "publish": ("EXP", "-p", "--cl", "--points", "--hepdata", "-o"),
    "plot": ("EXP", "what", "-o"),
    "reproduce": ("what", "--json", "-o"),
    "report": ("EXP", "-o"),
    "cite": ("EXP", "--json"),
    "unpack": ("what", "-o"),
    "combine": ("what", "what", "-o"),
    "validate": ("what", "--workspace"),
}  # fmt: skip
_FLAGS = ("--json", "--bins", "--asimov")
_GOOD = {
    "EXP": ("conus.toml",), "-p": ("munu_e", "qnu_ee", "sin2thetaW", "norm_cevns"),
    "--analysis": ("default",), "--anapole": ("standard", "khan"),
    "--set": ("qnu_ee=1e-9", "munu_e=0"), "--cl": ("0.9", "0.68"), "--points": ("3", "5"),
    "--method": ("delta-chi2", "cls"), "--engine": ("compiled",), "--encoding": ("native", "stock"),
    "--toys": ("10",), "--jobs": ("1",), "--seed": ("1",), "--true": ("0",), "--inner": ("100",),
    "--range": ("-1e-9",), "-o": ("out", "out.png", "out.json"), "--fix": ("qf_ge_lindhard_k",),
    "--profile": ("radii", "sin2thetaW"), "--hepdata": ("ins1234567",), "what": ("list", "x"),
}  # fmt: skip


def argument_case(rng):
    """A command line with at least one value that is not allowed, or odd."""
    command = rng.choice(tuple(_OPTIONS))
    options = list(_OPTIONS[command])
    given = [o for o in options if o in ("EXP", "-p", "--true", "what") or rng.random() < 0.35]
    odd = rng.choice(given) if given else None
    arguments = [command]
    for option in given:
        if option in _FLAGS:
            arguments.append(option)
            continue
        values = [rng.choice(_GOOD.get(option, ("x",)))]
        if option == "--range":
            values.append("1e-9")
        if option is odd:
            text = _argument(rng)
            # a fuzzer that may be root writes nowhere but in its folder
            outside = text.startswith("/") and option in ("-o", "--checkpoint")
            text = text.lstrip("/") if outside else text
            if option == "--toys" and text in ("1001", "100000"):
                text = "100000000"  # more than are allowed: so many are allowed, and take time
            values[rng.randrange(len(values))] = text
        arguments += values if option in ("EXP", "what") else [option, *values]
    if rng.random() < 0.1:
        arguments.insert(rng.randrange(len(arguments) + 1), _argument(rng))
    return {"conus.toml": sources()["conus"]}, arguments


def _argument(rng):
    text = str(rng.choice((*TEXTS, *NUMBERS, "1e400", "nan", "-inf", "0.9999999999999999", "-h",
                           "x=1", "=", "qnu_ee=", "qnu_ee=nan", "munu_e=-1", "out/../../up",
                           "conus.toml", "/proc/self/mem", "/dev/full", "ä ö.json")))  # fmt: skip
    # an argument of a program cannot hold a zero; surrogates stand for bytes that are not UTF-8
    text = text.replace("\x00", "") if text != "--" else "-"  # all papers take their time
    text = text[:400].replace("\ud800", "\udcff")
    # nothing on the command line of a test may name a place that exists outside its folder
    return "below/x" if text in ("/etc/passwd", "..", "../up") else text


FAMILIES = (
    (workspace_case, 6), (patchset_case, 1), (archive_case, 3), (experiment_case, 6),
    (table_case, 2), (template_case, 3), (argument_case, 6),
)  # fmt: skip

_SOURCES = {}


def sources():
    """Small valid inputs to damage, made once."""
    if _SOURCES:
        return _SOURCES
    from nuhf import exchange, resources
    from nuhf.experiments.catalogue import load
    from nuhf.experiments.prepare import prepare
    from nuhf.rates.templates import to_json
    from nuhf.workspaces import archive

    def text(content):
        return json.dumps(content)

    native = exchange.workspace(str(EXAMPLE), ["munu_e", "qnu_ee"], encoding="native")
    stock = exchange.workspace(str(EXAMPLE), "munu_e", encoding="stock")
    grid = exchange.patchset(str(EXAMPLE), "munu_e", brackets=[(0.0, 1e-9)], points=[3])
    pair = text(grid.background), text(grid.patchset)
    one = prepare(load(str(EXAMPLE)))
    _SOURCES.update(
        workspaces=[FOREIGN.read_text(), text(native), text(stock)],
        patchset=pair,
        archive=archive.pack({
            "BkgOnly.json": pair[0].encode(), "patchset.json": pair[1].encode(),
            "README.md": b"# a likelihood\n",
        }),
        templates=text(to_json(one.name, "default", one.templates, one.digests)),
        conus=EXAMPLE.read_bytes(),
        experiments=[EXAMPLE, CSI, *(
            ROOT / "data" / "experiments" / f"{name}.toml"
            for name in ("apv-cs", "coherent-csi-2017", "coherent-csi-2021", "dresden-2",
                         "xenonnt-sr0", "lz-ws2024", "coherent-lar-2020"))],
    )  # fmt: skip
    _SOURCES["tables"] = _tables()
    resources.shipped("data")
    exchange.validate([FOREIGN])  # loads what opens sockets while it is imported (urllib3)
    return _SOURCES


def _tables():
    """Pairs of an experiment file and a table that it names, kept below 200 kB."""
    found = []
    for path in _SOURCES["experiments"]:
        for _, value in _strings(tomllib.loads(path.read_text(encoding="utf-8"))):
            table = ROOT / "data" / value
            if value.endswith(".csv") and table.is_file() and table.stat().st_size < 200_000:
                found.append((path, value))
    return sorted(set(found))


def _strings(content, key=""):
    if isinstance(content, str):
        yield key, content
    elif isinstance(content, dict):
        for name, value in content.items():
            yield from _strings(value, name)
    elif isinstance(content, list):
        for value in content:
            yield from _strings(value, key)


def case(number):
    """Return case ``number``."""
    rng = random.Random(number)
    (make,) = rng.choices([f for f, _ in FAMILIES], [w for _, w in FAMILIES])
    files, arguments = make(rng)
    return Case(number, make.__name__.removesuffix("_case"), files, arguments)


# ----------------------------------------------------------------------------------- running

_WATCH = {"on": False, "folders": (), "events": []}
_HOOKED = []
_FORBIDDEN = ("pickle.find_class", "os.system", "os.exec", "os.posix_spawn", "subprocess.Popen",
              "socket.connect", "socket.bind", "urllib.Request", "os.fork",
              "webbrowser.open")  # fmt: skip
_WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND


def _note(what):
    """Keep an event, unless it is of loky or what it stands on, which start our own processes."""
    frame = sys._getframe(2)
    while frame is not None:
        if frame.f_globals.get("__name__", "").startswith(("loky.", "multiprocessing.")):
            return
        frame = frame.f_back
    _WATCH["events"].append(what)


def _hook(event, details):
    if not _WATCH["on"]:
        return
    if event in _FORBIDDEN:
        if event == "urllib.Request" and str(details[0]).startswith("file:"):
            return  # jsonschema reads the schema of pyhf from the disk so
        _note(f"{event} {details!r:.200}")
    elif event == "open" and isinstance(details[0], (str, bytes)):
        path, mode, flags = details
        writes = any(c in (mode or "") for c in "wax+") or (flags or 0) & _WRITES
        if writes and not _inside(path):
            _note(f"open for writing {path!r}")
    elif event in ("os.mkdir", "os.remove", "os.rename", "os.rmdir", "os.symlink", "os.link"):
        for path in details[:2]:
            if isinstance(path, (str, bytes)) and not _inside(path):
                _note(f"{event} {path!r}")


def _inside(path):
    real = os.path.realpath(os.fsdecode(path))
    # matplotlib keeps its list of fonts at home
    elsewhere = "__pycache__" in real or "/matplotlib" in real
    return elsewhere or any(real.startswith(f) for f in _WATCH["folders"])


def _alarm(signum, frame):
    raise Hang


def run(one, folder):
    """Run a case in a new folder; the fault is None if nuhf behaved."""
    from nuhf.cli import main

    for name, content in one.files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    before = {p: p.read_bytes() for p in folder.rglob("*") if p.is_file()}
    if not _HOOKED:
        sys.addaudithook(_hook)
        _HOOKED.append(True)
    temporary = folder.parent / f"{folder.name}-tmp"
    temporary.mkdir()
    here, argv, old_temp = os.getcwd(), sys.argv, tempfile.tempdir
    out = io.TextIOWrapper(io.BytesIO(), encoding="utf-8", write_through=True)
    err = io.TextIOWrapper(io.BytesIO(), encoding="utf-8", errors="backslashreplace",
                           write_through=True)  # fmt: skip
    fault, code, start = None, 0, time.monotonic()
    outputs = [b for a, b in pairwise(one.arguments) if a in ("-o", "--checkpoint")]
    places = [Path(os.path.realpath(folder / output)) for output in outputs if output.strip()]
    # a temporary file lies beside the output
    named = [str(p if folder in p.parents else p.parent) for p in places]
    _WATCH.update(folders=(str(folder.resolve()), str(temporary.resolve()), *named), events=[])
    old = [(number, signal.signal(number, _alarm)) for number in (signal.SIGALRM, signal.SIGPROF)]
    signal.setitimer(signal.ITIMER_PROF, SECONDS)
    signal.setitimer(signal.ITIMER_REAL, WAIT)
    try:
        os.chdir(folder)
        tempfile.tempdir, sys.argv = str(temporary), ["nuhf", *one.arguments]
        with redirect_stdout(out), redirect_stderr(err):
            _WATCH["on"] = True
            if one.arguments[0] == "<templates>":
                _templates(Path(one.arguments[1]))
            else:
                main()
    except SystemExit as error:
        code = error.code
    except Hang:
        fault = f"no answer within {SECONDS} s of work or {WAIT} s"
    except BaseException as error:
        # where nuhf was last, and where it broke
        steps = traceback.extract_tb(error.__traceback__)
        ours = [step for step in steps if "/nuhf/" in step.filename][-1:]
        where = ", ".join(f"{s.filename}:{s.lineno}" for s in [*ours, steps[-1]])
        fault = f"{type(error).__name__}: {str(error)[:200]} at {where}"
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.setitimer(signal.ITIMER_REAL, 0)
        _WATCH["on"] = False
        for number, handler in old:
            signal.signal(number, handler)
        os.chdir(here)
        sys.argv, tempfile.tempdir = argv, old_temp
    said = err.buffer.getvalue().decode()
    shown = out.buffer.getvalue().decode("utf-8", "replace")
    seconds = time.monotonic() - start
    if fault is None:
        fault = _judge(one, code, shown, said, before, folder, temporary)
    return Outcome(code, shown, said, seconds, fault)


def _templates(path):
    """Templates have no command that reads them: the function is called instead."""
    from nuhf.cli import _fail
    from nuhf.errors import NuhfError
    from nuhf.rates.templates import read_templates

    try:
        for found in read_templates(path):
            found.relative_error()
            for source in found.nominal:
                found.polynomial(source)
    except NuhfError as error:
        _fail(str(error), 2)


def _judge(one, code, out, err, before, folder, temporary):
    ordinary = ("wrote ", "note: ", "toys ", "nuhf: warning: ")
    lines = [line for line in err.splitlines() if line and not line.startswith(ordinary)]
    if _WATCH["events"]:
        return f"reached outside: {_WATCH['events'][:3]}"
    if code not in (0, 1, 2):
        return f"exit status {code!r}"
    if (
        "Traceback" in err
        or "Warning" in err
        or (code == 0 and "warning: " in err and one.arguments[0] != "pyhf")
    ):
        return f"stderr: {err[-300:]}"
    if code and (len(lines) != 1 or not lines[0].startswith("nuhf: ") or len(lines[0]) < 12):
        helped = code == 2 and "Usage:" in out
        if not helped:
            return f"not one readable line: {lines[:3]!r:.400}"
    if code and len(lines[0]) > 3000:
        return f"a message of {len(lines[0])} characters: {lines[0][:200]}"
    if not code and "--json" in one.arguments and one.arguments[0] in ("validate", "show"):
        try:
            json.loads(out)
        except ValueError:
            if "Usage:" not in out:
                return f"stdout is no JSON: {out[:200]!r}"
    for path, content in before.items():
        # where the input was named as the output it may change
        same = path.is_file() and path.read_bytes() == content
        if not same and "-o" not in one.arguments:
            return f"changed its input {path.name}"
    if any(temporary.iterdir()):
        return "left a temporary file"
    left = [p.name for p in folder.rglob(".*") if p.name != ".zenodo.json"]  # of `publish`
    return f"left {left}" if left else None


def main():
    """Run cases FIRST to LAST - 1 (default: FIRST alone), print what happens."""
    first = int(sys.argv[1])
    last = int(sys.argv[2]) if len(sys.argv) > 2 else first + 1
    quiet = last - first > 20
    faults, slowest = 0, (0.0, 0)
    seconds, count = {}, {}
    for number in range(first, last):
        with tempfile.TemporaryDirectory(prefix="nuhf-fuzz-") as base:
            folder = Path(base) / "work"
            folder.mkdir()
            one = case(number)
            found = run(one, folder)
        slowest = max(slowest, (found.seconds, number))
        seconds[one.family] = seconds.get(one.family, 0.0) + found.seconds
        count[one.family, found.code] = count.get((one.family, found.code), 0) + 1
        if found.fault or not quiet:
            print(number, one.family, one.arguments, found.code, f"{found.seconds:.2f} s")
            print("   ", found.fault or (found.err or found.out)[:600])
            faults += found.fault is not None
            sys.stdout.flush()
    print(f"{last - first} cases, {faults} faults, slowest {slowest[0]:.1f} s (case {slowest[1]})")
    print({k: round(v, 1) for k, v in seconds.items()}, count)


if __name__ == "__main__":
    main()
