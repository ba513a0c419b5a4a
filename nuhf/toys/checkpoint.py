"""Finished blocks of toys in a file, one JSON object per line, so that a run can go on.

The first line holds the digest of problem and options; every other line a task's digest, its
result and the digest of that. Numbers survive the round trip bit by bit. A last line that was cut
off by a crash is dropped, and so is any line that is not as it was written: their toys are made
again. A file of another problem is refused.
"""

import hashlib
import json
import os
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from nuhf import resources
from nuhf.errors import InputError

_FORMAT: Final = "nuhf toys 2"


def task_digest(task: Mapping[str, Any]) -> str:
    """SHA-256 of a task, as hexadecimal text."""
    return hashlib.sha256(json.dumps(task, sort_keys=True).encode()).hexdigest()


@dataclass(frozen=True)
class Checkpoint:
    """An open file of finished blocks, whose first line is written; ``done`` by `task_digest`."""

    path: Path
    done: dict[str, Any]

    def add(self, task: Mapping[str, Any], result: Mapping[str, Any]) -> None:
        """Append a finished block; it is on disk when this returns.

        Raises
        ------
        InputError
            If the file cannot be written.
        """
        entry = {"task": task_digest(task), "result": result}
        line = json.dumps({**entry, "sha256": task_digest(entry)}, allow_nan=False)
        try:
            with self.path.open("a", encoding="utf-8", newline="\n") as file:
                file.write(line + "\n")
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            raise InputError(f"{self.path}: cannot be written: {error.strerror}") from None
        self.done[task_digest(task)] = dict(result)


def open_checkpoint(path: Path, digest: str) -> Checkpoint:
    """Read a checkpoint, or start one; damaged lines are dropped with a warning.

    ``digest`` is that of problem and options. `InputError` if the file is no checkpoint, or belongs
    to other data, another model or other options.
    """
    head = json.dumps({"format": _FORMAT, "digest": digest}) + "\n"
    text = resources.read_bytes(path).decode("utf-8", "replace") if path.exists() else ""
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
    blocks = {line: _block(line) for line in lines[1:]}
    whole = {line: entry for line, entry in blocks.items() if entry is not None}
    kept = "".join(f"{line}\n" for line in [lines[0], *whole])
    if len(whole) < len(blocks):
        warnings.warn(
            f"{path}: {len(blocks) - len(whole)} damaged lines; their toys are made again",
            stacklevel=2,
        )
    if kept != text:
        resources.write_text(path, kept)
    return Checkpoint(path, {entry["task"]: entry["result"] for entry in whole.values()})


def _block(line: str) -> dict[str, Any] | None:
    """Return the task and result of a line; None if it is not as it was written."""
    try:
        found = resources.parse_json(line, "line")
    except InputError:
        return None
    if not isinstance(found, dict) or not isinstance(found.get("result"), dict):
        return None
    digest = found.pop("sha256", None)
    return found if digest == task_digest(found) and set(found) == {"task", "result"} else None


def _parse(path: Path, number: int, line: str) -> dict[str, Any]:
    found = resources.parse_json(line, f"{path}, line {number}")
    return found if isinstance(found, dict) else {}
