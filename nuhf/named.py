"""What a user names: experiments, with an analysis of their own, and workspace files."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from nuhf.errors import InputError

__all__ = ["Name", "Names", "files_among", "is_file", "own_analysis", "several"]

Name = str | Path | Mapping[str, Any]
"""An experiment's name or TOML file; a pyhf workspace as a JSON file, ``-`` (stdin) or content."""
Names = Name | Sequence[Name]


def several(names: Names) -> list[str]:
    """Return one or more names as a list (`InputError` if there is none)."""
    if isinstance(names, str | Path | Mapping):
        return [str(names)]
    found = [str(name) for name in names]
    if not found:
        raise InputError("name at least one experiment")
    return found


def files_among(names: Names) -> list[Name] | None:
    """Return the files among the names if they are files; None if they are experiments.

    Raises
    ------
    InputError
        If there are both.
    """
    given = [names] if isinstance(names, str | Path | Mapping) else list(names)
    kinds = [is_file(name) for name in given]
    if not any(kinds):
        return None
    if not all(kinds):
        name = given[kinds.index(False)]
        raise InputError(
            f"{name} is an experiment beside files: write its workspace with nuhf workspace first"
        )
    return given


def is_file(name: object) -> bool:
    """Whether this is a workspace (parsed, a JSON file, ``-``), not the name of an experiment."""
    return isinstance(name, Mapping) or str(name) == "-" or str(name).endswith(".json")


def own_analysis(name: str, analysis: str) -> tuple[str, str]:
    """Split ``EXP:ANALYSIS``; a name without one has the analysis of all."""
    stem, _, own = name.rpartition(":")
    if not stem or not own or "/" in own or "\\" in own:
        return name, analysis
    return stem, own
