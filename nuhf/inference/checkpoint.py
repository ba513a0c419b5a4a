"""Finished blocks of toys in a file, one JSON object per line, so that a run can go on.

The first line holds the digest of problem and options; every other line a task's digest and its
result. Numbers survive the round trip bit by bit. A last line that was cut off by a crash is
dropped; a file of another problem is refused.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from nuhf import resources
from nuhf.errors import InputError

__all__ = ["Checkpoint", "open_checkpoint", "task_digest"]

_FORMAT: Final = "nuhf toys 1"


def task_digest(task: Mapping[str, Any]) -> str:
    """SHA-256 of a task, as hexadecimal text."""
    return hashlib.sha256(json.dumps(task, sort_keys=True).encode()).hexdigest()


@dataclass(frozen=True)
class Checkpoint:
    """An open file of finished blocks.

    Attributes
    ----------
    path : Path
        The file; it has its first line.
    done : dict
        Results by `task_digest`.
    """

    path: Path
    done: dict[str, Any]

    def add(self, task: Mapping[str, Any], result: Mapping[str, Any]) -> None:
        """Append a finished block; it is on disk when this returns.

        Raises
        ------
        InputError
            If the file cannot be written.
        """
        line = json.dumps({"task": task_digest(task), "result": result}, allow_nan=False)
        try:
            with self.path.open("a", encoding="utf-8", newline="\n") as file:
                file.write(line + "\n")
        except OSError as error:
            raise InputError(f"{self.path}: cannot be written: {error.strerror}") from None
        self.done[task_digest(task)] = dict(result)


def open_checkpoint(path: Path, digest: str) -> Checkpoint:
    """Read a checkpoint, or start one.

    Parameters
    ----------
    path : Path
        The file.
    digest : str
        Of problem and options.

    Raises
    ------
    InputError
        If the file is no checkpoint, is broken before its last line, or belongs to other data,
        another model or other options.
    """
    head = json.dumps({"format": _FORMAT, "digest": digest}) + "\n"
    text = resources.read_text(path) if path.exists() else ""
    if not text or (not text.endswith("\n") and head.startswith(text)):
        resources.write_text(path, head)
        return Checkpoint(path, {})
    complete = text[: text.rfind("\n") + 1]
    lines = complete.splitlines()
    first = _parse(path, 1, lines[0]) if lines else {}
    if first.get("format") != _FORMAT:
        raise InputError(f"{path}: not a checkpoint of nuhf; name another file")
    if first.get("digest") != digest:
        raise InputError(
            f"{path}: holds toys of another problem: experiment, data, parameter, method, CL, "
            "number of toys, seed, points or version differ; repeat them, or name another file"
        )
    done = {}
    for number, line in enumerate(lines[1:], start=2):
        entry = _parse(path, number, line)
        if not (isinstance(entry.get("task"), str) and isinstance(entry.get("result"), dict)):
            raise InputError(f"{path}: line {number} is no block of toys")
        done[entry["task"]] = entry["result"]
    if complete != text:
        resources.write_text(path, complete)
    return Checkpoint(path, done)


def _parse(path: Path, number: int, line: str) -> dict[str, Any]:
    found = resources.parse_json(line, f"{path}, line {number}")
    return found if isinstance(found, dict) else {}
