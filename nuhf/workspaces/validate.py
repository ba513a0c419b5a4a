"""Validate workspaces and patch sets, ours and other people's."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Final

import pyhf

from nuhf import resources
from nuhf.errors import InputError, ModelError
from nuhf.filekind import ARCHIVE_ENDINGS, Kind, json_kind, kind_of
from nuhf.workspaces.archive import parse_archive
from nuhf.workspaces.checks import facts, workspace_findings
from nuhf.workspaces.findings import Finding, Severity, number_findings
from nuhf.workspaces.patches import parsed, patched_by

Json = Mapping[str, Any]

_OTHER: Final = (
    Kind.EXPERIMENT, Kind.TOML, Kind.SUBMISSION, Kind.XML, Kind.ROOT, Kind.HDF5, Kind.PDF,
    Kind.IMAGE, Kind.UTF16,
)  # fmt: skip

_MODELS: Final = 50
"""Patched models that are built and checked; of larger sets this many, evenly spaced."""


@dataclass(frozen=True)
class Report:
    """What was found in one file: errors before warnings before infos.

    Its kind is ``workspace``, ``patchset``, ``patch``, ``archive`` or ``unknown``; ``facts`` has
    counts, and the encoding of a workspace.
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
    """Validate a file; what is broken in it becomes a finding, and is no exception if it is read.

    It is a workspace, patch set, patch, or archive of them, with a report for each in it; what it
    is, is told by its content. ``-`` is standard input. ``workspace`` is the background-only one
    that a patch set or patch has to belong to.
    """
    content, where = resources.read_bytes(path), str(path)
    kind = kind_of(content)
    if kind.is_archive or where.lower().endswith(ARCHIVE_ENDINGS):
        return _archive(content, where)
    if kind in _OTHER:
        message = f"this is {kind.words}; wanted are pyhf workspaces, patch sets and patches"
        return [_report(where, "unknown", [Finding("error", "kind", "file", message)])]
    text = ""
    try:
        text = resources.as_text(content, where)
        parsed = resources.parse_json(text, where)
    except InputError as error:
        found = _numbers_in(text)
        broken = Finding("error", "json", "file", str(error).removeprefix(f"{where}: "))
        return [_report(where, "unknown", found or [broken])]
    return [validate(parsed, where, workspace)]


def _numbers_in(text: str) -> list[Finding]:
    """Return the places of NaN and Infinity in JSON that is otherwise fine."""
    try:
        return number_findings(json.loads(text))
    except (ValueError, RecursionError):
        return []


def _archive(content: bytes, where: str) -> list[Report]:
    try:
        found = parse_archive(content, where)
    except InputError as error:
        broken = Finding("error", "archive", "file", str(error).removeprefix(f"{where}: "))
        return [_report(where, "archive", [broken])]
    return [
        validate(one.content, f"{where}/{name}", found.background(one))
        for name, one in found.documents.items()
    ]


def validate(content: Any, file: str = "", workspace: Json | None = None) -> Report:
    """Validate the parsed JSON of a workspace, a patch set or a patch, as `validate_file` does."""
    kind = json_kind(content)
    if kind is Kind.PATCH_SET:
        return _patchset(content, file, workspace)
    if kind is Kind.PATCH:
        return _patch(content, file, workspace)
    if not (isinstance(content, Mapping) and "channels" in content):
        message = f"this is {kind.words}; wanted are pyhf workspaces, patch sets and patches"
        return _report(file, "unknown", [Finding("error", "schema", "file", message)])
    found = workspace_findings(content)
    if any(finding.check in ("number", "schema", "length", "model") for finding in found):
        return _report(file, "workspace", found)
    counted = facts(content)
    message = (
        f"{counted['channels']} channels, {counted['bins']} bins, {counted['samples']} samples, "
        f"{counted['parameters']} parameters, "
        f"POI {', '.join(dict.fromkeys(filter(None, counted['poi']))) or 'none'}"
    )
    found.append(Finding("info", "counts", "workspace", message))
    found.append(Finding("info", "encoding", "workspace", counted["encoding"]))
    return _report(file, "workspace", found, counted)


def _patch(content: Any, file: str, workspace: Json | None) -> Report:
    """A JSON patch outside a patch set: applied, and the result checked."""
    found = number_findings(content)
    counted = {"operations": len(content)}
    if workspace is None or found:
        message = "not applied: give the background-only workspace, too"
        return _report(
            file, "patch", found or [Finding("info", "patch", "patch", message)], counted
        )
    try:
        patched = patched_by(workspace, content)
    except InputError as error:
        return _report(file, "patch", [Finding("error", "patch", "patch", str(error))], counted)
    found += _inside(patched, "patched workspace", ("error", "warning"))
    message = f"{len(content)} operations, applied to the workspace"
    found.append(Finding("info", "patch", "patch", message))
    return _report(file, "patch", found, counted)


def _inside(patched: Json, where: str, severities: Sequence[Severity]) -> Iterator[Finding]:
    """Yield the findings of some severities in a patched workspace."""
    for finding in workspace_findings(patched):
        if finding.severity in severities:
            yield replace(finding, where=f"{where}, {finding.where}")


def _patchset(content: Json, file: str, workspace: Json | None) -> Report:
    found = number_findings(content)
    if found:
        return _report(file, "patchset", found)
    try:
        patches = parsed(content)
    except ModelError as error:
        return _report(file, "patchset", [Finding("error", "schema", "patch set", str(error))])
    counted = {
        "patches": len(patches.patches),
        "labels": list(patches.labels),
        "digests": dict(patches.digests),
    }
    message = f"{counted['patches']} patches in {', '.join(patches.labels)}"
    found.append(Finding("info", "counts", "patch set", message))
    if workspace is None:
        message = "not compared: give the background-only workspace, too"
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
            patched = patched_by(workspace, patch.patch)
        except InputError as error:
            yield Finding("error", "patch", where, str(error))
            continue
        if not i % step:
            yield from _inside(patched, where, ("error",))
    if step > 1:
        message = f"all patches applied, one model of {step} checked"
        yield Finding("info", "patch", "patch set", message)
