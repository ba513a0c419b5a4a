"""Outputs are the old file or the new one, whatever happens while they are written."""

import errno
import json
import os
import random
import signal
import stat
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest

from nuhf import resources
from nuhf.errors import InputError

ROOT = Path(__file__).resolve().parent.parent
#: Kills per signal in the ordinary run; the nox session ``interrupt`` sets more.
KILLS = int(os.environ.get("NUHF_KILLS", "5"))
MIB = 2**20

#: A shell starts jobs in the background with SIGINT ignored, and children inherit that. Said in
#: the child: a function between fork and exec makes Python fork, which threads of jax forbid.
_INTERRUPTIBLE = """
import signal
signal.signal(signal.SIGINT, signal.default_int_handler)
"""

#: Writes the same file again and again, one digit after the other, and says which before it does.
_WRITER = """
import os, sys
from pathlib import Path
from nuhf import resources
path = Path(sys.argv[1])
begun = os.open("begun", os.O_CREAT | os.O_WRONLY)
os.pwrite(begun, b"0", 0)
resources.write_text(path, "0" * 3_000_000)
print("ready", flush=True)
for i in range(1, 1_000_000):
    os.pwrite(begun, b"%d" % (i % 10), 0)
    resources.write_text(path, str(i % 10) * 3_000_000)
"""

_COMMAND = """
import os, sys
sys.argv = ["nuhf", *sys.argv[1:]]
from nuhf.cli import main
print("ready", flush=True)
main()
"""


def start(code, *arguments, folder):
    process = subprocess.Popen(
        [sys.executable, "-c", _INTERRUPTIBLE + code, *map(str, arguments)],
        cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert process.stdout.readline() == "ready\n"
    return process


def digit(path):
    """The digit that a whole file consists of."""
    text = path.read_text()
    assert len(text) == 3_000_000
    assert set(text) == {text[0]}
    return text[0]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_killed_at_any_time_the_file_is_the_old_or_the_new_one(tmp_path, number):
    """The writer has no command line around it: SIGTERM ends it as the system does."""
    rng = random.Random(int(number))
    path = tmp_path / "out" / "out.txt"
    seen = Counter()
    for _ in range(KILLS):
        process = start(_WRITER, path, folder=tmp_path)
        time.sleep(rng.uniform(0.0, 0.1))
        process.send_signal(number)
        process.communicate(timeout=60)
        assert process.returncode != 0
        begun = (tmp_path / "begun").read_text()
        assert digit(path) in (begun, str((int(begun) - 1) % 10))
        seen["new" if digit(path) == begun else "old"] += 1
        left = [p for p in path.parent.iterdir() if p != path]
        seen["leftover"] += len(left)
        # a process that was killed outright cannot remove its hidden temporary file
        assert all(p.name.startswith(".nuhf-") for p in left)
        for p in left:
            p.unlink()
    print(f"{KILLS} times {signal.Signals(number).name}, one writer:", dict(seen))
    # the interrupt may come while the file is removed, which takes a millionth of the time
    assert number != signal.SIGINT or seen["leftover"] <= max(KILLS // 50, 1)


@pytest.mark.parametrize(
    "number", [pytest.param(signal.SIGINT, marks=pytest.mark.slow), signal.SIGTERM, signal.SIGKILL]
)
def test_a_command_killed_at_any_time_leaves_the_old_or_the_new_file(tmp_path, number):
    """A command of a second or so, killed from its first import to after its end."""
    command = (
        "limit",
        ROOT / "docs" / "examples" / "one-bin-reactor.toml",
        "-p",
        "munu_e",
        "-o",
        "out",
    )
    begun = time.monotonic()
    start(_COMMAND, *command, folder=tmp_path).communicate(timeout=60)
    duration = time.monotonic() - begun
    new = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    rng = random.Random(int(number))
    seen, times = Counter(), max(KILLS // 5, 1)
    for _ in range(times):
        for path in new:
            path.write_bytes(b"old")
        process = start(_COMMAND, *command, folder=tmp_path)
        time.sleep(rng.uniform(0.0, duration))
        process.send_signal(number)
        process.communicate(timeout=60)
        assert all(path.read_bytes() in (b"old", content) for path, content in new.items())
        seen.update("old" if path.read_bytes() == b"old" else "new" for path in new)
        left = [p for p in tmp_path.rglob("*") if p.is_file() and p not in new]
        seen["leftover"] += len(left)
        assert all(p.name.startswith(".nuhf-") for p in left)
        for p in left:
            p.unlink()
    print(f"{times} times {signal.Signals(number).name}, {len(new)} files of one command:", seen)
    assert number == signal.SIGKILL or seen["leftover"] == 0


@pytest.mark.parametrize(
    ("number", "status", "said"),
    [
        (signal.SIGINT, 130, "nuhf: interrupted\n"),
        (signal.SIGTERM, 143, "nuhf: terminated\n"),
        (signal.SIGKILL, -signal.SIGKILL, ""),
    ],
)
def test_a_command_that_is_stopped_says_so_and_leaves_nothing(tmp_path, number, status, said):
    """A command of half a minute: the toys of an interval, with two worker processes.

    The workers hold its stderr: that this ends means that they have ended, kill -9 included.
    """
    example = ROOT / "docs" / "examples" / "one-bin-reactor.toml"
    rng = random.Random(int(number))
    old = tmp_path / "out" / "limits.json"
    old.parent.mkdir()
    old.write_text("old")
    times = max(KILLS // 5, 1)
    for _ in range(times):
        process = start(
            _COMMAND, "limit", example, "-p", "munu_e", "--method", "feldman-cousins",
            "--toys", "200000", "--jobs", "2", "-o", "out", folder=tmp_path,
        )  # fmt: skip
        time.sleep(rng.uniform(0.05, 4.0))
        begun = time.monotonic()
        process.send_signal(number)
        out, err = process.communicate(timeout=20)
        assert time.monotonic() - begun < 10
        if number == signal.SIGKILL and "loky" in (out + err).lower():
            # a process of loky that just began tells that its parent vanished
            out = err = ""
        # click ends the line of ^C
        assert (process.returncode, out, err.lstrip("\n")) == (status, "", said)
        assert old.read_text() == "old"
        assert [p for p in tmp_path.rglob("*") if p.is_file()] == [old]
    print(f"{times} times {signal.Signals(number).name}, toys: the old file alone, no worker left")


def test_two_processes_that_write_one_file(tmp_path):
    """It always is the content of one of them, never a mixture."""
    path = tmp_path / "out" / "out.txt"
    writers = [start(_WRITER, path, folder=tmp_path) for _ in range(2)]
    for _ in range(20):
        assert digit(path) in "0123456789"
        time.sleep(0.05)
    for process in writers:
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=60)
    assert [p.name for p in path.parent.iterdir()] == ["out.txt"]


def test_a_failure_while_writing_keeps_the_old_file(tmp_path):
    path = tmp_path / "out.json"
    resources.write_json(path, {"old": 1})
    with pytest.raises(ValueError, match="not JSON compliant"):
        resources.write_json(path, {"new": float("nan")})

    def breaks(temporary):
        temporary.write_text("half of it")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        resources.replace_bytes(path, breaks)
    assert json.loads(path.read_text()) == {"old": 1}
    assert [p.name for p in tmp_path.iterdir()] == ["out.json"]


# ---------------------------------------------------------------- links, rights, full disks


def test_a_link_is_replaced_and_what_it_points_to_is_kept(tmp_path):
    """What lies outside the output path is not written, even where a link leads there."""
    target = tmp_path / "elsewhere" / "precious.txt"
    target.parent.mkdir()
    target.write_text("precious")
    work = tmp_path / "work"
    work.mkdir()
    for name, to in (("a", target), ("b", tmp_path / "nowhere"), ("c", work / "c")):
        link = work / name
        link.symlink_to(to)
        resources.write_text(link, "new")
        assert not link.is_symlink()
        assert link.read_text() == "new"
    assert target.read_text() == "precious"
    assert not (tmp_path / "nowhere").exists()


def test_a_link_to_a_device_is_refused(tmp_path):
    link = tmp_path / "null"
    link.symlink_to("/dev/null")
    with pytest.raises(InputError, match="device or pipe"):
        resources.write_text(link, "new")
    assert link.is_symlink()


def test_the_umask_holds(tmp_path):
    before = os.umask(0o077)
    try:
        resources.write_text(tmp_path / "private", "x")
        resources.write_text(tmp_path / "script", "x", executable=True)
        resources.write_folder(tmp_path / "folder", {"a": b"x"})
    finally:
        os.umask(before)
    rights = {p.name: stat.S_IMODE(p.stat().st_mode) for p in tmp_path.iterdir()}
    assert rights == {"private": 0o600, "script": 0o700, "folder": 0o700}
    resources.write_text(tmp_path / "public", "x")
    assert stat.S_IMODE((tmp_path / "public").stat().st_mode) == 0o666 & ~before


@pytest.mark.parametrize("what", ["pipe", "device", "folder", "endless"])
def test_what_is_no_file_is_not_read(tmp_path, what, monkeypatch):
    monkeypatch.setattr(resources, "_SILENCE", 0.02)
    path = tmp_path / "x"
    if what == "pipe":
        os.mkfifo(path)
    elif what == "folder":
        path.mkdir()
    else:
        path = Path("/dev/null" if what == "device" else "/dev/zero")
    for read in (resources.read_text, resources.read_bytes, resources.read_json):
        with pytest.raises(InputError, match=r"cannot be read"):
            read(path)


def test_names_that_no_file_can_have(tmp_path):
    with pytest.raises(InputError, match="File name too long"):
        resources.read_text(tmp_path / ("x" * 300))
    with pytest.raises(InputError, match="null"):
        resources.read_text(tmp_path / "x\0y")
    with pytest.raises(InputError, match="not found"):
        resources.find("x" * 300, [tmp_path])
    with pytest.raises(InputError, match="File name too long"):
        resources.write_text(tmp_path / ("x" * 300), "new")


@pytest.fixture
def small_disk(tmp_path):
    """A file system of 64 KiB."""
    place = tmp_path / "small"
    place.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(place)]
    try:
        done = subprocess.run(mount, capture_output=True, text=True, check=False)
    except OSError as error:
        pytest.skip(f"no mount: {error}")
    if done.returncode:
        pytest.skip(f"mounting is not permitted here: {done.stderr.strip()}")
    yield place
    subprocess.run(["umount", str(place)], check=True)


def fill(place):
    """Write until nothing fits."""
    handle = os.open(place / "filler", os.O_CREAT | os.O_WRONLY)
    try:
        while True:
            os.write(handle, b"x" * 4096)
    except OSError as error:
        if error.errno != errno.ENOSPC:
            raise
    finally:
        os.close(handle)


def test_a_full_disk(small_disk, cli):
    """The old file stays, nothing is left, and it is said in one line."""
    old = small_disk / "w.json"
    old.write_text("old")
    fill(small_disk)
    for command in (
        ("workspace", "coherent-csi-2021", "-p", "qnu_ee", "-o", old),
        ("scan", "coherent-csi-2021", "-p", "qnu_ee", "--points", "5", "-o", small_disk / "s.png"),
        ("rate", "coherent-csi-2021", "--bins", "-o", old),
    ):
        ran = cli(*command)
        assert ran.code == 2
        assert ran.err.count("\n") == 1
        assert "No space left on device" in ran.err
    assert sorted(p.name for p in small_disk.iterdir()) == ["filler", "w.json"]
    assert old.read_text() == "old"


@pytest.fixture
def unwritable(tmp_path):
    """A folder that not even root may write into."""
    place = tmp_path / "fixed"
    place.mkdir()
    (place / "old").write_text("old")
    if os.geteuid() != 0:
        place.chmod(0o555)
        yield place
        place.chmod(0o755)
        return
    try:
        done = subprocess.run(["chattr", "+i", str(place)], capture_output=True, check=False)
    except OSError as error:
        pytest.skip(f"root may write anywhere, and there is no chattr: {error}")
    if done.returncode:
        pytest.skip("root may write anywhere, and this file system knows no +i")
    yield place
    subprocess.run(["chattr", "-i", str(place)], check=True)


def test_a_read_only_folder(unwritable, cli):
    for command in (
        ("rate", "coherent-csi-2021", "-o", unwritable / "new.txt"),
        ("rate", "coherent-csi-2021", "-o", unwritable / "old"),
        ("limit", "coherent-csi-2021", "-p", "qnu_ee", "-o", unwritable / "deeper"),
    ):
        ran = cli(*command)
        assert ran.code == 2
        assert ran.err.count("\n") == 1
        assert "cannot be written" in ran.err
    assert [p.name for p in unwritable.iterdir()] == ["old"]
    assert (unwritable / "old").read_text() == "old"
