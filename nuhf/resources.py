"""Where files are, and the only place that reads or writes them."""

import hashlib
import json
import math
import os
import shutil
import tempfile
import tomllib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from nuhf.errors import InputError

__all__ = [
    "digest",
    "dump_json",
    "find",
    "parse_json",
    "read_bytes",
    "read_json",
    "read_text",
    "read_toml",
    "replace_bytes",
    "shipped",
    "write_bytes",
    "write_folder",
    "write_json",
    "write_text",
]

_MAX_BYTES = 64 * 1024 * 1024


def shipped(folder: str) -> Path:
    """Return the folder ``data``, ``templates`` or ``workspaces`` that belongs to this package.

    A checkout (``pyproject.toml`` beside the package) is read before the copy in the wheel, so
    that an editable install never shows a stale one.

    Raises
    ------
    InputError
        If neither place has the folder.
    """
    package = Path(__file__).resolve().parent
    checkout = package.parent / folder
    if (package.parent / "pyproject.toml").is_file() and checkout.is_dir():
        return checkout
    installed = package / "_shipped" / folder
    if installed.is_dir():
        return installed
    raise InputError(f"the folder '{folder}' is missing from this installation of nuhf")


def find(name: str, beside: Path | None = None) -> Path:
    """Find a data file by its name relative to ``beside`` first, then to the shipped ``data``.

    Raises
    ------
    InputError
        If it is in neither place.
    """
    places = [beside] if beside is not None else []
    places.append(shipped("data"))
    for place in places:
        if (place / name).is_file():
            return place / name
    raise InputError(f"file '{name}' not found in: {', '.join(str(p) for p in places)}")


def read_text(path: Path) -> str:
    """Read a UTF-8 text file of at most 64 MiB, with failures in words (`InputError`)."""
    try:
        if path.stat().st_size > _MAX_BYTES:
            raise InputError(f"{path}: larger than {_MAX_BYTES // 2**20} MiB")
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: not a UTF-8 text file (byte {error.start})") from None
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror}") from None


def read_toml(path: Path) -> dict[str, Any]:
    """Read a TOML file; a syntax error becomes an `InputError` with file, line and column."""
    try:
        return tomllib.loads(read_text(path))
    except tomllib.TOMLDecodeError as error:
        raise InputError(f"{path}: broken TOML: {error}") from None


def _reject_constant(text: str) -> None:
    raise ValueError(f"the constant {text} is not JSON")


def _finite_float(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(f"the number {text} is too large")
    return value


def _unique_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    keys = [key for key, _ in pairs]
    repeated = {key for key in keys if keys.count(key) > 1}
    if repeated:
        raise ValueError(f"key given twice: {sorted(repeated)[0]!r}")
    return dict(pairs)


def read_bytes(path: Path) -> bytes:
    """Read a file of at most 64 MiB, with failures in words (`InputError`)."""
    try:
        if path.stat().st_size > _MAX_BYTES:
            raise InputError(f"{path}: larger than {_MAX_BYTES // 2**20} MiB")
        return path.read_bytes()
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror}") from None


def read_json(path: Path) -> Any:
    """Read strict JSON: no NaN or Infinity, no key twice (`InputError` otherwise)."""
    return parse_json(read_text(path), str(path))


def parse_json(text: str, where: str) -> Any:
    """Parse strict JSON as `read_json` does; ``where`` names the text in the message."""
    try:
        return json.loads(
            text,
            parse_constant=_reject_constant,
            parse_float=_finite_float,
            object_pairs_hook=_unique_keys,
        )
    except (ValueError, RecursionError) as error:
        raise InputError(f"{where}: broken JSON: {error}") from None


def replace_bytes(path: Path, write: Callable[[Path], None], executable: bool = False) -> None:
    """Let ``write`` fill a temporary file beside ``path``, then rename it into place.

    Either the old file or the whole new one is there, never a part of it.

    Raises
    ------
    InputError
        If the folder cannot be made or the file not be written.
    """
    temporary: Path | None = None
    try:
        if path.exists() and not path.is_file():
            # a rename would replace /dev/null itself
            raise InputError(f"{path}: cannot be written: a folder, device or pipe, not a file")
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(
            prefix=f".{path.stem}.", suffix=path.suffix, dir=path.parent
        )
        os.close(handle)
        temporary = Path(name)
        write(temporary)
        temporary.chmod(0o755 if executable else 0o644)
        temporary.replace(path)
    except OSError as error:
        raise InputError(f"{path}: cannot be written: {error.strerror or error}") from None
    finally:
        if temporary is not None:
            temporary.unlink(missing_ok=True)


def write_text(path: Path, text: str, executable: bool = False) -> None:
    """Write UTF-8 text atomically (see `replace_bytes`)."""
    replace_bytes(path, lambda temporary: _fill(temporary, text), executable)


def write_bytes(path: Path, content: bytes) -> None:
    """Write bytes atomically (see `replace_bytes`)."""
    replace_bytes(path, lambda temporary: _fill_bytes(temporary, content))


def _fill_bytes(path: Path, content: bytes) -> None:
    path.write_bytes(content)


def write_folder(path: Path, files: Mapping[str, bytes]) -> None:
    """Make a new folder with files by relative name: all of them are written, or none.

    Raises
    ------
    InputError
        If the folder exists and is not empty, or cannot be written.
    """
    temporary: Path | None = None
    try:
        if path.exists() and not (path.is_dir() and not any(path.iterdir())):
            raise InputError(f"{path}: exists already; name a new or an empty folder")
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = Path(tempfile.mkdtemp(prefix=f".{path.name}.", dir=path.parent))
        for name, content in files.items():
            (temporary / name).parent.mkdir(parents=True, exist_ok=True)
            (temporary / name).write_bytes(content)
        temporary.chmod(0o755)
        temporary.replace(path)
    except OSError as error:
        raise InputError(f"{path}: cannot be written: {error.strerror or error}") from None
    finally:
        if temporary is not None:
            shutil.rmtree(temporary, ignore_errors=True)


def _fill(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8", newline="\n")


def write_json(path: Path, content: Any) -> None:
    """Write strict JSON atomically: two-space indent, lists of numbers on one line."""
    write_text(path, dump_json(content) + "\n")


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
    return hashlib.sha256(path.read_bytes()).hexdigest()
