"""Validate workspaces and patch sets, ours and other people's."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Final

import jsonpatch
import pyhf

from nuhf import resources
from nuhf.errors import InputError, ModelError
from nuhf.workspaces.archive import read_archive
from nuhf.workspaces.checks import Finding, Severity, facts, not_finite, workspace_findings
from nuhf.workspaces.impossible import refuse_version
from nuhf.workspaces.native import extended_schema

__all__ = ["Report", "validate", "validate_file"]

Json = Mapping[str, Any]

_MODELS: Final = 50
"""Patched models that are built and checked; of larger sets this many, evenly spaced."""


@dataclass(frozen=True)
class Report:
    """What was found in one file.

    Attributes
    ----------
    file : str
        Its name.
    kind : str
        ``workspace``, ``patchset``, ``archive`` or ``unknown``.
    findings : tuple of Finding
        All findings, errors before warnings before infos.
    facts : mapping
        Counts, and the encoding of a workspace.
    """

    file: str
    kind: str
    findings: tuple[Finding, ...]
    facts: Mapping[str, Any] = field(default_factory=dict)

    def count(self, severity: Severity) -> int:
        """Return the number of findings of a severity."""
        return sum(finding.severity == severity for finding in self.findings)

    @property
    def ok(self) -> bool:
        """No errors."""
        return self.count("error") == 0

    def to_json(self) -> dict[str, Any]:
        """Return plain lists, dicts, strings and numbers."""
        return {
            "file": self.file,
            "kind": self.kind,
            "ok": self.ok,
            "errors": self.count("error"),
            "warnings": self.count("warning"),
            "facts": dict(self.facts),
            "findings": [asdict(finding) for finding in self.findings],
        }


def _report(file: str, kind: str, found: list[Finding], counted: Json | None = None) -> Report:
    order = ("error", "warning", "info")
    ranked = sorted(found, key=lambda finding: order.index(finding.severity))
    return Report(file, kind, tuple(ranked), counted or {})


def validate_file(path: Path, workspace: Json | None = None) -> list[Report]:
    """Validate a file; what is broken in it becomes a finding, not an exception.

    Parameters
    ----------
    path : Path
        Workspace, patch set, or archive (``.tar.gz``) of both.
    workspace : mapping, optional
        The background-only workspace that a patch set has to belong to.

    Returns
    -------
    list of Report
        One report, but for an archive one for each workspace and patch set in it.

    Raises
    ------
    InputError
        If the file cannot be read at all.
    """
    if path.name.endswith((".tar.gz", ".tgz")):
        return _archive(path)
    text = resources.read_text(path)
    try:
        content = resources.read_json(path)
    except InputError as error:
        found = _number_findings(text)
        broken = Finding("error", "json", "file", str(error).removeprefix(f"{path}: "))
        return [_report(str(path), "unknown", found or [broken])]
    return [validate(content, str(path), workspace)]


def _number_findings(text: str) -> list[Finding]:
    """Return the places of NaN and Infinity in JSON that is otherwise fine."""
    try:
        places = list(not_finite(json.loads(text)))
    except (ValueError, RecursionError):
        return []
    return [
        Finding("error", "number", place, "only finite numbers are allowed") for place in places
    ]


def _archive(path: Path) -> list[Report]:
    try:
        found = read_archive(path)
    except InputError as error:
        if not resources.is_file(path):
            raise
        broken = Finding("error", "archive", "file", str(error).removeprefix(f"{path}: "))
        return [_report(str(path), "archive", [broken])]
    reports = []
    for folder, (background, patches) in found.likelihoods.items():
        where = f"{path}/{folder}".rstrip("/")
        reports.append(validate(background, f"{where}/BkgOnly.json"))
        reports.append(validate(patches, f"{where}/patchset.json", background))
    return reports


def validate(content: Any, file: str = "", workspace: Json | None = None) -> Report:
    """Validate the parsed JSON of a workspace or a patch set.

    Parameters
    ----------
    content : parsed JSON
        What to check.
    file : str
        Name for the report.
    workspace : mapping, optional
        The background-only workspace that a patch set has to belong to.
    """
    if isinstance(content, Mapping) and "patches" in content:
        return _patchset(content, file, workspace)
    if not (isinstance(content, Mapping) and "channels" in content):
        message = "neither a workspace (no 'channels') nor a patch set (no 'patches')"
        return _report(file, "unknown", [Finding("error", "schema", "file", message)])
    found = workspace_findings(content)
    if any(finding.check in ("number", "schema", "length", "model") for finding in found):
        return _report(file, "workspace", found)
    counted = facts(content)
    message = (
        f"{counted['channels']} channels, {counted['bins']} bins, {counted['samples']} samples, "
        f"{counted['parameters']} parameters, POI {', '.join(counted['poi']) or 'none'}"
    )
    found.append(Finding("info", "counts", "workspace", message))
    found.append(Finding("info", "encoding", "workspace", counted["encoding"]))
    return _report(file, "workspace", found, counted)


def _patchset(content: Json, file: str, workspace: Json | None) -> Report:
    found = [Finding("error", "number", place, "only finite numbers are allowed")
             for place in not_finite(content)]  # fmt: skip
    if found:
        return _report(file, "patchset", found)
    try:
        refuse_version(content)
        with extended_schema():
            patches = pyhf.PatchSet(dict(content))
    except ModelError as error:
        return _report(file, "patchset", [Finding("error", "schema", "patch set", str(error))])
    except (
        pyhf.exceptions.InvalidSpecification,
        pyhf.exceptions.InvalidPatchSet,
        jsonpatch.JsonPatchException,
        jsonpatch.JsonPointerException,
    ) as error:
        message = f"the patch set does not follow the pyhf schema: {error}"
        return _report(file, "patchset", [Finding("error", "schema", "patch set", message)])
    counted = {
        "patches": len(patches.patches),
        "labels": list(patches.labels),
        "digests": dict(patches.digests),
    }
    message = f"{counted['patches']} patches in {', '.join(patches.labels)}"
    found.append(Finding("info", "counts", "patch set", message))
    if workspace is None:
        message = "not compared: name the background-only workspace with --workspace"
        found.append(Finding("info", "digest", "patch set", message))
    else:
        found += _against(patches, workspace)
    return _report(file, "patchset", found, counted)


def _against(patches: pyhf.PatchSet, workspace: Json) -> Iterator[Finding]:
    """Compare digests, apply the patches, and check the patched workspaces."""
    for algorithm, expected in patches.digests.items():
        actual = pyhf.utils.digest(dict(workspace), algorithm=algorithm)
        if actual != expected:
            message = f"{algorithm} of the workspace is {actual}, the patch set expects {expected}"
            yield Finding("error", "digest", "patch set", message)
            return
    step = max(-(-len(patches.patches) // _MODELS), 1)
    for i, patch in enumerate(patches.patches):
        where = f"patch {patch.name}"
        try:
            patched = patch.apply(dict(workspace))
        except Exception as error:  # besides its own, jsonpatch lets through what the values raise
            yield Finding("error", "patch", where, f"cannot be applied: {error}")
            continue
        if i % step:
            continue
        for finding in workspace_findings(patched):
            if finding.severity == "error":
                place = f"{where}, {finding.where}"
                yield Finding("error", finding.check, place, finding.message)
    if step > 1:
        message = f"all patches applied, every {step}th model checked"
        yield Finding("info", "patch", "patch set", message)
