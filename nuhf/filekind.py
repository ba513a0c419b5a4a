"""What a file is, told by its content: the one place where all commands look.

Names are not trusted: HEPData serves likelihoods as ``.json``, ``.tar.gz``, ``.zip``, and as
names of the uploader's own.
"""

import json
import re
import tomllib
from collections.abc import Mapping
from enum import Enum
from typing import Any, Final

ARCHIVE_ENDINGS: Final = (".tar.gz", ".tgz", ".tar", ".tar.bz2", ".tar.xz", ".zip")
"""Names that promise an archive: what is in them is told to be broken, not to be of no kind."""


class Kind(Enum):
    """Kinds of files; the values are words for messages."""

    WORKSPACE = "a pyhf workspace"
    MODEL = "a pyhf model (channels without measurements and observations)"
    PATCH_SET = "a pyhf patch set"
    PATCH = "a JSON patch"
    HS3 = "an HS3 file"
    RESULT = "a result of nuhf"
    JSON = "JSON, but no pyhf file"
    BROKEN_JSON = "broken JSON"
    GZIP = "a gzip file"
    BZIP2 = "a bzip2 file"
    XZ = "an xz file"
    ZIP = "a zip archive"
    TAR = "a tar archive"
    EXPERIMENT = "an experiment file (TOML)"
    TOML = "TOML, but no experiment file"
    SUBMISSION = "a HEPData submission (YAML)"
    XML = "XML"
    ROOT = "a ROOT file"
    HDF5 = "an HDF5 file"
    PDF = "a PDF file"
    IMAGE = "an image"
    UTF16 = "text in UTF-16 (save it as UTF-8)"
    TEXT = "text"
    BINARY = "binary"
    EMPTY = "empty"

    @property
    def words(self) -> str:
        """The kind in words."""
        return str(self.value)

    @property
    def advice(self) -> str:
        """What to do with it, to be put behind its words; empty where that is not known."""
        if self is Kind.WORKSPACE:
            return ": give it to pyhf, 'nuhf pyhf', 'nuhf combine' or 'nuhf validate'"
        if self in (Kind.PATCH_SET, Kind.PATCH):
            return (
                ": it belongs to a workspace; 'nuhf combine' applies it, 'nuhf validate' checks it"
            )
        if self.is_archive:
            return ": 'nuhf unpack' opens it, 'nuhf validate' checks it"
        if self is Kind.EXPERIMENT:
            return ": 'nuhf workspace' makes a pyhf workspace of it"
        return ""

    @property
    def is_archive(self) -> bool:
        """Whether it is one file that may hold others."""
        return self in (Kind.GZIP, Kind.BZIP2, Kind.XZ, Kind.ZIP, Kind.TAR)


_MAGIC: Final[tuple[tuple[bytes, Kind], ...]] = (
    (b"\x1f\x8b", Kind.GZIP),
    (b"BZh", Kind.BZIP2),
    (b"\xfd7zXZ\x00", Kind.XZ),
    (b"PK\x03\x04", Kind.ZIP),
    (b"PK\x05\x06", Kind.ZIP),
    (b"root", Kind.ROOT),
    (b"\x89HDF", Kind.HDF5),
    (b"%PDF", Kind.PDF),
    (b"\x89PNG", Kind.IMAGE),
    (b"\xff\xd8\xff", Kind.IMAGE),
    (b"\xff\xfe", Kind.UTF16),
    (b"\xfe\xff", Kind.UTF16),
)
_BLOCK: Final = 512


def kind_of(content: bytes) -> Kind:
    """Tell what the bytes of a file are."""
    if not content.strip():
        return Kind.EMPTY
    if content[257:262] == b"ustar" or _old_tar(content):
        return Kind.TAR
    for magic, kind in _MAGIC:
        if content.startswith(magic) and not (kind is Kind.ROOT and content[4:5].isalnum()):
            return kind
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError:
        return Kind.BINARY
    if "\0" in text:
        return Kind.BINARY
    start = text.lstrip()
    if start.startswith(("{", "[")):
        found = _json(text)
        # a table of TOML begins with a bracket, too
        return found if found is not Kind.BROKEN_JSON else _toml(text) or found
    if start.startswith("<"):
        return Kind.XML
    if re.search(r"^(data_file|independent_variables|comment):", text, re.MULTILINE):
        return Kind.SUBMISSION
    return _toml(text) or Kind.TEXT


def _old_tar(content: bytes) -> bool:
    """Tell a tar from before POSIX, by its checksum."""
    digits = content[148:156].strip(b" \0")
    if len(content) < _BLOCK or not digits or any(byte not in b"01234567" for byte in digits):
        return False
    return int(digits, 8) == sum(content[:148]) + 8 * 32 + sum(content[156:_BLOCK])


def _json(text: str) -> Kind:
    try:
        return json_kind(json.loads(text))
    except (ValueError, RecursionError):
        return Kind.BROKEN_JSON


def json_kind(content: Any) -> Kind:
    """Tell what parsed JSON is."""
    if isinstance(content, list) and content:
        patch = all(isinstance(one, Mapping) and {"op", "path"} <= one.keys() for one in content)
        return Kind.PATCH if patch else Kind.JSON
    if not isinstance(content, Mapping):
        return Kind.JSON
    if "patches" in content:
        return Kind.PATCH_SET
    if "channels" in content:
        whole = "measurements" in content or "observations" in content or "version" in content
        return Kind.WORKSPACE if whole else Kind.MODEL
    about = content.get("metadata")
    if "distributions" in content or (isinstance(about, Mapping) and "hs3_version" in about):
        return Kind.HS3
    ours = "format" in content and ("provenance" in content or "results" in content)
    return Kind.RESULT if ours else Kind.JSON


def _toml(text: str) -> Kind | None:
    if len(text) > 1024 * 1024 or "=" not in text:
        return None
    if max(piece.count(".") for piece in re.split(r"[,=\[\]{}\n]", text)) > 100:
        return None
    try:
        content = tomllib.loads(text)
    except (ValueError, RecursionError):
        return None
    known = {"kind", "format", "name", "regions", "analyses", "target", "sources"}
    return Kind.EXPERIMENT if len(known & content.keys()) > 1 else Kind.TOML
