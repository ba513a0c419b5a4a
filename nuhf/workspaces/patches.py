"""Patches and patch sets of other people, applied to the workspace they belong to."""

import copy
from collections.abc import Mapping, Sequence
from typing import Any

import jsonpatch
import pyhf

from nuhf.couplings.parameters import suggest
from nuhf.errors import InputError, ModelError
from nuhf.workspaces.impossible import refuse_version
from nuhf.workspaces.native import extended_schema

Json = dict[str, Any]


def patched_by(workspace: Mapping[str, Any], patch: Sequence[Mapping[str, Any]]) -> Json:
    """Return a copy of a workspace with a JSON patch (RFC 6902) applied (`InputError`)."""
    try:
        found = jsonpatch.apply_patch(copy.deepcopy(dict(workspace)), list(patch))
    except Exception as error:  # besides its own, jsonpatch lets through what the values raise
        raise InputError(f"cannot be applied: {error}") from None
    if not isinstance(found, dict):
        raise InputError(f"cannot be applied: it makes a {type(found).__name__} of the workspace")
    return found


def owner(
    patchset: Mapping[str, Any],
    workspaces: Sequence[Mapping[str, Any]],
    where: str,
    wanted: str = "workspace",
) -> int:
    """Return which of several workspaces a patch set was made for, by its digest.

    `InputError` if the patch set is none, or none of them is meant: it is for another ``wanted``.
    """
    patches = _patchset(patchset, where)
    for i, workspace in enumerate(workspaces):
        try:
            patches.verify(dict(workspace))
        except pyhf.exceptions.PatchSetVerificationError:
            continue
        return i
    raise InputError(f"{where}: made for another {wanted}: wrong digest")


def parsed(content: Mapping[str, Any]) -> pyhf.PatchSet:
    """Validate a patch set and wrap it; `ModelError` if it does not follow the schema."""
    refuse_version(content)
    try:
        with extended_schema():
            return pyhf.PatchSet(dict(content))
    except (
        pyhf.exceptions.InvalidSpecification,
        pyhf.exceptions.InvalidPatchSet,
        pyhf.exceptions.SchemaNotFound,
        jsonpatch.JsonPatchException,
        jsonpatch.JsonPointerException,
    ) as error:
        raise ModelError(f"the patch set does not follow the pyhf schema: {error}") from None


def _patchset(content: Mapping[str, Any], where: str) -> pyhf.PatchSet:
    try:
        return parsed(content)
    except ModelError as error:
        raise InputError(f"{where}: no valid patch set: {error}") from None


def point_of(
    workspace: Mapping[str, Any], patchset: Mapping[str, Any], point: str, where: str
) -> Json:
    """Return a workspace with one patch of a patch set applied (`InputError`)."""
    patches = _patchset(patchset, where)
    names = [patch.name for patch in patches.patches]
    if point not in names:
        raise InputError(f"{where}: no point '{point}'; {suggest(point, names)}")
    try:
        return patched_by(workspace, patches[point].patch)
    except InputError as error:
        raise InputError(f"{where}: point '{point}' {error}") from None
