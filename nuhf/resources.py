"""Where files are, and the only place that reads or writes them."""

import hashlib
import json
import math
import os
import re
import secrets
import select
import shutil
import sys
import time
import tomllib
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, Final

from nuhf.errors import InputError
from nuhf.filekind import Kind, kind_of

JSON_FORMAT: Final = 1
"""Form of the JSON of results: a key that goes, or changes its meaning, raises it by one."""
_MAX_BYTES = 64 * 1024 * 1024
_TOML = (Kind.EXPERIMENT, Kind.TOML, Kind.TEXT, Kind.BROKEN_JSON, Kind.BINARY, Kind.EMPTY)
"""What a reader of TOML tries: all that cannot be told to be something else."""
_STDIN = "-"
_SILENCE = 60.0
"""Seconds without a byte after which a pipe is given up; `_PATIENCE` is for the whole of it."""
_PATIENCE = 600.0
_MAX_TOML = 1024 * 1024
_MAX_PARTS = 100
"""Parts of a dotted key in TOML; the parser needs memory as their square."""
_LONGEST_INTEGER = 310
"""Characters of the largest float, with its sign."""


def shipped(folder: str) -> Path:
    """Return the folder ``data``, ``templates`` or ``workspaces`` that belongs to this package.

    A checkout (``pyproject.toml`` beside the package) is read before the copy in the wheel, so that
    an editable install never shows a stale one. `InputError` if neither place has the folder.
    """
    package = Path(__file__).resolve().parent
    checkout = package.parent / folder
    if (package.parent / "pyproject.toml").is_file() and checkout.is_dir():
        return checkout
    installed = package / "_shipped" / folder
    if installed.is_dir():
        return installed
    raise InputError(f"the folder '{folder}' is missing from this installation of nuhf")


def find(name: str, folders: Iterable[Path] = ()) -> Path:
    """Find a data file by its name in some folders, the first first, then in the shipped ``data``.

    `InputError` if it is in none of them.
    """
    places = [*folders, shipped("data")]
    for place in places:
        if is_file(place / name):
            return place / name
    raise InputError(f"file '{name}' not found in: {', '.join(str(p) for p in places)}")


def is_file(path: Path) -> bool:
    """Tell whether a file is there; a name that no file can have is not there."""
    try:
        return path.is_file()
    except (OSError, ValueError):
        return False


def is_there(path: Path) -> bool:
    """Tell whether a file or a pipe is there that `read_bytes` reads."""
    try:
        return path.is_file() or path.is_fifo()
    except (OSError, ValueError):
        return False


def read_text(path: Path) -> str:
    """Read a UTF-8 text file of at most 64 MiB, with failures in words (`InputError`)."""
    return as_text(read_bytes(path), str(path))


def as_text(content: bytes, where: str) -> str:
    """Return UTF-8 text with plain newlines, without a byte order mark (`InputError`)."""
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        kind = kind_of(content)
        known = "" if kind is Kind.BINARY else f"{kind.words}, "
        raise InputError(f"{where}: {known}not a UTF-8 text file (byte {error.start})") from None
    return text.replace("\r\n", "\n").replace("\r", "\n")


def read_toml(path: Path) -> dict[str, Any]:
    """Read a TOML file of at most 1 MiB.

    A syntax error becomes an `InputError` with file, line and column.
    """
    text = read_text(path)
    refuse_other_kinds(path, text.encode())
    return parse_toml(path, text)


def refuse_other_kinds(path: Path, content: bytes) -> None:
    """Refuse what is known to be no TOML file, and say what it is (`InputError`)."""
    kind = kind_of(content)
    if kind not in _TOML:
        raise InputError(f"{path}: {kind.words}, not an experiment file (TOML){kind.advice}")


def parse_toml(path: Path, text: str) -> dict[str, Any]:
    """Parse the text of a TOML file as `read_toml` does, once `refuse_other_kinds` let it pass."""
    if len(text) > _MAX_TOML:
        raise InputError(f"{path}: larger than {_MAX_TOML // 2**20} MiB")
    if max(piece.count(".") for piece in re.split(r"[,=\[\]{}\n]", text)) > _MAX_PARTS:
        raise InputError(f"{path}: broken TOML: a key of more than {_MAX_PARTS} parts")
    try:
        return tomllib.loads(text)
    except RecursionError:
        raise InputError(f"{path}: broken TOML: nested too deeply") from None
    except ValueError as error:  # also integers of thousands of digits
        raise InputError(f"{path}: broken TOML: {error}") from None


def _reject_constant(text: str) -> None:
    raise ValueError(f"the constant {text} is not JSON")


def _finite_float(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(f"the number {text} is too large")
    return value


def _finite_int(text: str) -> int | float:
    if len(text) > _LONGEST_INTEGER:
        raise ValueError(f"a number of {len(text)} digits is too large")
    value = int(text)
    # numpy makes objects of integers beyond 64 bits
    return value if abs(value) < 2**63 else _finite_float(text)


def _unique_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        keys = [key for key, _ in pairs]
        raise ValueError(f"key given twice: {next(k for k in keys if keys.count(k) > 1)!r}")
    return found


def read_bytes(path: Path) -> bytes:
    """Read a file, a pipe or standard input (``-``) of at most 64 MiB (`InputError` otherwise).

    Pipes may never begin, and never end: after 60 s without a byte, and after 10 minutes in all,
    they are given up. Devices are refused.
    """
    try:
        if str(path) == _STDIN:
            content = _stream(sys.stdin.fileno(), path)
        elif path.is_fifo():
            # without blocking: the other side may never be opened
            handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
            try:
                content = _stream(handle, path)
            finally:
                os.close(handle)
        elif path.exists() and not (path.is_file() or path.is_dir()):
            raise InputError(f"{path}: cannot be read: a device, not a file")
        else:
            with path.open("rb") as file:
                content = file.read(_MAX_BYTES + 1)
    except (OSError, ValueError) as error:  # ValueError: a zero in the name
        reason = getattr(error, "strerror", None) or error
        raise InputError(f"{path}: cannot be read: {reason}") from None
    if len(content) > _MAX_BYTES:
        raise InputError(f"{path}: larger than {_MAX_BYTES // 2**20} MiB")
    return content


def _stream(handle: int, path: Path) -> bytes:
    """Read what comes through a pipe until it ends, one byte more than allowed, or time is up."""
    end = time.monotonic() + _PATIENCE
    parts: list[bytes] = []
    size = 0
    while size <= _MAX_BYTES:
        left = min(end - time.monotonic(), _SILENCE)
        if left <= 0 or not select.select([handle], [], [], left)[0]:
            waited = f"{_PATIENCE:g} s in all" if left < _SILENCE else f"{_SILENCE:g} s"
            raise InputError(f"{path}: cannot be read: nothing more came through it for {waited}")
        part = os.read(handle, 1024 * 1024)
        if not part:
            break
        parts.append(part)
        size += len(part)
    return b"".join(parts)


def read_json(path: Path) -> Any:
    """Read strict JSON (`InputError` otherwise).

    No NaN or Infinity, no number beyond the largest float, no key twice, no half of a surrogate
    pair, and no nesting beyond Python's.
    """
    return parse_json(read_text(path), str(path))


def parse_json(text: str, where: str) -> Any:
    """Parse strict JSON as `read_json` does; ``where`` names the text in the message."""
    try:
        found = json.loads(
            text,
            parse_constant=_reject_constant,
            parse_float=_finite_float,
            parse_int=_finite_int,
            object_pairs_hook=_unique_keys,
        )
        if "\\ud" in text.lower():
            json.dumps(found, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        raise InputError(f"{where}: broken JSON: half of a surrogate pair (\\ud...)") from None
    except RecursionError:
        raise InputError(f"{where}: broken JSON: nested too deeply") from None
    except ValueError as error:
        raise InputError(f"{where}: broken JSON: {error}") from None
    return found


def replace_bytes(path: Path, write: Callable[[Path], object], executable: bool = False) -> None:
    """Let ``write`` fill a temporary file beside ``path``, then rename it into place.

    Either the old file or the whole new one is there, never a part of it. `InputError` if the
    folder cannot be made or the file not be written.
    """
    temporary: Path | None = None
    try:
        if path.exists() and not path.is_file():
            # a rename would replace /dev/null itself
            raise InputError(f"{path}: cannot be written: a folder, device or pipe, not a file")
        path.parent.mkdir(parents=True, exist_ok=True)
        # not longer than a name may be, and with the suffix that tells matplotlib the format;
        # named before it is there, so that an interrupt in between leaves nothing
        temporary = path.with_name(f".nuhf-{secrets.token_hex(8)}{path.suffix}")
        _create(temporary, 0o777 if executable else 0o666)
        write(temporary)
        _to_disk(temporary)
        temporary.replace(path)
    except OSError as error:
        raise InputError(f"{path}: cannot be written: {error.strerror or error}") from None
    finally:
        if temporary is not None:
            temporary.unlink(missing_ok=True)


def _create(path: Path, mode: int) -> None:
    """Make an empty file that was not there; the umask holds."""
    os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, mode))


def _to_disk(path: Path) -> None:
    """Wait until a file is on the disk: a rename must not overtake its content."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def write_text(path: Path, text: str, executable: bool = False) -> None:
    """Write UTF-8 text atomically (see `replace_bytes`)."""
    # a name of a file that is not UTF-8 appears as an escape, which JSON has too
    write_bytes(path, text.encode(errors="backslashreplace"), executable)


def write_bytes(path: Path, content: bytes, executable: bool = False) -> None:
    """Write bytes atomically (see `replace_bytes`)."""
    replace_bytes(path, lambda temporary: temporary.write_bytes(content), executable)


def write_folder(path: Path, files: Mapping[str, bytes]) -> None:
    """Make a new folder with files by relative name: all of them are written, or none.

    `InputError` if the folder exists and is not empty, or cannot be written.
    """
    temporary: Path | None = None
    try:
        if path.exists() and not (path.is_dir() and not any(path.iterdir())):
            raise InputError(f"{path}: exists already; name a new or an empty folder")
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = path.with_name(f".nuhf-{secrets.token_hex(8)}")
        temporary.mkdir()
        for name, content in files.items():
            (temporary / name).parent.mkdir(parents=True, exist_ok=True)
            (temporary / name).write_bytes(content)
            _to_disk(temporary / name)
        temporary.replace(path)
    except OSError as error:
        raise InputError(f"{path}: cannot be written: {error.strerror or error}") from None
    finally:
        if temporary is not None:
            shutil.rmtree(temporary, ignore_errors=True)


def write_json(path: Path, content: Any) -> None:
    """Write strict JSON atomically: two-space indent, lists of numbers on one line."""
    write_text(path, dump_json(content) + "\n")


def dump_record(content: Mapping[str, Any]) -> str:
    """Serialise what a command prints, with the version of that form."""
    return dump_json({"format": JSON_FORMAT, **content})


def dump_json(content: Any, indent: int = 0) -> str:
    """Serialise to JSON that diffs well: one line per flat list, keys in the given order."""
    pad, inner = " " * indent, " " * (indent + 2)
    if isinstance(content, dict) and content:
        rows = [
            f"{inner}{json.dumps(str(key))}: {dump_json(value, indent + 2)}"
            for key, value in content.items()
        ]
        return "{\n" + ",\n".join(rows) + f"\n{pad}}}"
    if isinstance(content, (list, tuple)) and any(
        isinstance(item, (dict, list, tuple)) for item in content
    ):
        rows = [inner + dump_json(item, indent + 2) for item in content]
        return "[\n" + ",\n".join(rows) + f"\n{pad}]"
    return json.dumps(content, allow_nan=False, ensure_ascii=False)


def digest(path: Path) -> str:
    """SHA-256 of a file's bytes, as hexadecimal text."""
    return hashlib.sha256(read_bytes(path)).hexdigest()
