"""The public functions on pyhf files: combine and validate, ours and other people's."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nuhf import resources

if TYPE_CHECKING:
    from nuhf.model.validate import Report

__all__ = ["combine", "validate"]


def combine(
    files: Sequence[str | Path | Mapping[str, Any]],
    *,
    measurement: str | None = None,
    poi: str | None = None,
) -> dict[str, Any]:
    """Combine pyhf workspaces, ours or not, into one with a single, complete measurement.

    Parameters
    ----------
    files : sequence of path or mapping
        Two or more workspaces: JSON files, or their parsed content.
    measurement : str, optional
        Which measurement to take of a workspace that has several, and the result's name.
    poi : str, optional
        Parameter of interest; needed if the workspaces have different ones.

    Raises
    ------
    nuhf.errors.InputError
        If equal names do not mean the same, or something else clashes; says what to do.
    nuhf.errors.ModelError
        If a workspace is not valid.
    """
    from nuhf.model.combine import combine_files

    return combine_files(files, measurement, poi).spec


def validate(
    files: str | Path | Sequence[str | Path], workspace: str | Path | None = None
) -> "list[Report]":
    """Check workspaces, patch sets and archives.

    Parameters
    ----------
    files : path or sequence of paths
        JSON files, or archives (``.tar.gz``).
    workspace : path, optional
        Background-only workspace that the patch sets must belong to.

    Returns
    -------
    list of nuhf.model.validate.Report
        One per file; for an archive, one for each workspace and patch set in it.

    Raises
    ------
    nuhf.errors.InputError
        If a file cannot be read; what is wrong inside a file is in its report.
    """
    from nuhf.model.validate import validate_file

    background = None if workspace is None else resources.read_json(Path(workspace))
    several = [files] if isinstance(files, str | Path) else files
    return [report for file in several for report in validate_file(Path(file), background)]
