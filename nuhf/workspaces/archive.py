"""Archives of a likelihood: a flat tar.gz of workspace, patch set and README, or many of them.

Archives come from anywhere, so the reader trusts nothing: the whole archive is decompressed in
memory under limits, names and types are checked member by member, and the digests of its patch
sets are compared, before a caller sees (and writes) anything. The tar reader is our own: it
knows plain files and folders and refuses everything else.
"""

import gzip
import io
import tarfile
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, Final

import pyhf

from nuhf import resources
from nuhf.errors import InputError, NuhfError
from nuhf.workspaces.impossible import refuse_version
from nuhf.workspaces.native import load_workspace

__all__ = ["Archive", "pack", "read_archive", "unpack"]

Json = dict[str, Any]

MAX_BYTES: Final = 256 * 1024 * 1024
"""Of the decompressed archive."""

MAX_RATIO: Final = 200
"""Of decompressed to compressed size; JSON of numbers has 2 to 30."""

MAX_MEMBERS: Final = 1000

_RATIO_FROM: Final = 1024 * 1024
_BLOCK: Final = 512
_GZIP: Final = b"\x1f\x8b"
_ARCHIVES: Final = (".tar.gz", ".tgz")
_WORKSPACE: Final = "BkgOnly.json"
_PATCHSET: Final = "patchset.json"
_LONGEST_NAME: Final = 240
_PAX_KEYS: Final = {
    "path", "mtime", "atime", "ctime", "uid", "gid", "uname", "gname", "comment", "charset",
    "hdrcharset",
}  # fmt: skip
_KINDS: Final = {
    b"1": "a hard link", b"2": "a symbolic link", b"3": "a device", b"4": "a device",
    b"6": "a pipe", b"S": "a sparse file",
}  # fmt: skip


@dataclass(frozen=True)
class Archive:
    """A checked archive.

    Attributes
    ----------
    files : mapping
        Content of every file by its name inside the archive, folders with ``/``.
    likelihoods : mapping
        ``{folder: (BkgOnly, patch set)}`` as parsed JSON; the folder of a flat archive is ``""``,
        that of an archive inside the archive its name.
    """

    files: Mapping[str, bytes]
    likelihoods: Mapping[str, tuple[Json, Json]]


def pack(files: Mapping[str, bytes]) -> bytes:
    """Make a tar.gz whose bytes depend on names and contents only."""
    body = io.BytesIO()
    with tarfile.open(fileobj=body, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        for name in sorted(files):
            member = tarfile.TarInfo(name)
            member.size, member.mode, member.mtime = len(files[name]), 0o644, 0
            archive.addfile(member, io.BytesIO(files[name]))
    return gzip.compress(body.getvalue(), mtime=0)


def read_archive(path: Path) -> Archive:
    """Read and check an archive; nothing is written.

    Parameters
    ----------
    path : Path
        A tar or tar.gz file.

    Raises
    ------
    InputError
        If the archive is broken or too large, holds anything but files and folders, or a name
        that would leave the folder it is unpacked to; if a workspace or patch set in it is
        broken, or a patch set has another digest.
    """
    try:
        files = _collect(_decompress(resources.read_bytes(path), MAX_BYTES))
        found = _likelihoods(files) or _likelihoods(_inner(files))
        if not found:
            raise InputError(f"holds no {_WORKSPACE} with {_PATCHSET}, nor archives with them")
        return Archive(files, found)
    except NuhfError as error:
        raise InputError(str(error) if str(path) in str(error) else f"{path}: {error}") from None


def unpack(path: Path, folder: Path) -> Archive:
    """Check an archive as `read_archive` does, then write its files into a new folder.

    Raises
    ------
    InputError
        As `read_archive`; also if the folder exists and is not empty.
    """
    archive = read_archive(path)
    resources.write_folder(folder, archive.files)
    return archive


def _decompress(content: bytes, most: int) -> bytes:
    if not content.startswith(_GZIP):
        if content[257:262] != b"ustar":
            raise InputError("is no tar or tar.gz archive")
        return content
    limit = min(most, max(_RATIO_FROM, MAX_RATIO * len(content)))
    stream = zlib.decompressobj(wbits=31)
    try:
        body = stream.decompress(content, limit + 1)
    except zlib.error as error:
        raise InputError(f"is no gzip file: {error}") from None
    if len(body) > limit:
        raise InputError(
            f"decompresses to more than {limit} bytes (at most {MAX_BYTES >> 20} MiB in all and "
            f"{MAX_RATIO} times its size): refused"
        )
    if not stream.eof:
        raise InputError("is cut off: the gzip stream does not end")
    if stream.unused_data.strip(b"\0"):
        raise InputError("has something behind the gzip stream, which is not allowed")
    return body


def _inner(files: Mapping[str, bytes]) -> dict[str, bytes]:
    """Return the files of archives in an archive, as a HEPData submission has them.

    One level deep, with the limits of an archive for all together.
    """
    found: dict[str, bytes] = {}
    left = MAX_BYTES
    for name, content in files.items():
        if not name.endswith(_ARCHIVES):
            continue
        try:
            inner = _collect(_decompress(content, left))
        except InputError as error:
            raise InputError(f"{name} {error}") from None
        left -= sum(len(body) for body in inner.values())
        found |= {f"{name}/{member}": body for member, body in inner.items()}
    return found


def _number(field: bytes, what: str) -> int:
    text = field.strip(b" \0")
    if not text or any(byte not in b"01234567" for byte in text):
        raise InputError(f"is a broken tar archive: {what} {field!r} is no octal number")
    return int(text, 8)


def _collect(content: bytes) -> dict[str, bytes]:
    """Return the files of a tar by checked name."""
    files: dict[str, bytes] = {}
    folders: set[str] = set()
    seen: set[str] = set()
    for name, kind, body in _members(content):
        if kind == b"5":
            if name not in (".", "./"):
                folders.add(_safe(name))
            continue
        safe = _safe(name)
        if safe.casefold() in seen:
            raise InputError(f"holds '{safe}' twice (upper and lower case count as the same)")
        seen.add(safe.casefold())
        files[safe] = body
    folders |= {str(parent) for name in files for parent in PurePosixPath(name).parents}
    clash = {folder.casefold() for folder in folders} & seen
    if clash:
        raise InputError(f"holds '{sorted(clash)[0]}' as a file and as a folder")
    if not files:
        raise InputError("is empty")
    return files


def _members(content: bytes) -> Iterator[tuple[str, bytes, bytes]]:
    """Yield name, type and content of every member, long names resolved."""
    offset = count = 0
    long_name: str | None = None
    while offset + _BLOCK <= len(content):
        block = content[offset : offset + _BLOCK]
        if not block.strip(b"\0"):
            return
        count += 1
        if count > MAX_MEMBERS:
            raise InputError(f"holds more than {MAX_MEMBERS} members")
        checksum = sum(block[:148]) + 8 * 32 + sum(block[156:])
        if _number(block[148:156], "checksum") != checksum:
            raise InputError("is a broken tar archive: wrong checksum of a header")
        size, kind = _number(block[124:136], "size"), block[156:157]
        body = content[offset + _BLOCK : offset + _BLOCK + size]
        if len(body) != size:
            raise InputError("is cut off: a member is longer than the archive")
        offset += _BLOCK * (1 + -(-size // _BLOCK))
        if kind in (b"x", b"g"):
            given = _pax_path(body)
            if kind == b"x":
                long_name = given or long_name
            elif given:
                raise InputError("is a tar archive with a global path, which is not allowed")
            continue
        if kind == b"L":
            long_name = _decode(body.rstrip(b"\0"))
            continue
        name = long_name or _header_name(block)
        long_name = None
        if kind not in (b"0", b"\0", b"5"):
            what = _KINDS.get(kind, f"a member of type {kind!r}")
            raise InputError(f"holds {what} ('{name}'); only plain files are allowed")
        if kind == b"5" and size:
            raise InputError(f"holds a folder with content ('{name}')")
        yield name, (b"5" if name.endswith("/") else kind), body


def _header_name(block: bytes) -> str:
    name = _decode(block[:100].split(b"\0")[0])
    prefix = block[345:500].split(b"\0")[0] if block[257:263] == b"ustar\0" else b""
    return f"{_decode(prefix)}/{name}" if prefix else name


def _decode(text: bytes) -> str:
    try:
        return text.decode("utf-8")
    except UnicodeDecodeError:
        raise InputError(f"holds a name that is not UTF-8: {text[:60]!r}") from None


def _pax_path(body: bytes) -> str | None:
    """Return the path in a pax header; keys that change how the tar is read are refused."""
    found = None
    while body:
        digits, _, _ = body[:20].partition(b" ")
        length = int(digits) if digits.isdigit() else 0
        record, body = body[len(digits) + 1 : length], body[length:]
        key, equals, value = record.partition(b"=")
        if length < 5 or not equals or not value.endswith(b"\n"):
            raise InputError("is a broken tar archive: a pax header cannot be read")
        name = _decode(key)
        if name == "path":
            found = _decode(value[:-1])
        elif name not in _PAX_KEYS and not name.startswith(("SCHILY.", "LIBARCHIVE.")):
            raise InputError(f"is a tar archive with the pax key '{name}', which is not allowed")
    return found


def _safe(name: str) -> str:
    """Return a relative name with ``/``, or refuse it."""
    path = PurePosixPath(name)
    parts = path.parts
    reason = None
    if path.is_absolute() or "\\" in name or ":" in name:
        reason = "an absolute path, a drive or a backslash"
    elif ".." in parts:
        reason = "'..'"
    elif not parts:
        reason = "no name"
    elif any(not letter.isprintable() for letter in name):
        reason = "control characters"
    elif len(name) > _LONGEST_NAME:
        reason = f"more than {_LONGEST_NAME} characters"
    if reason:
        raise InputError(f"holds the name {name[:60]!r} with {reason}, which is not allowed")
    return str(path)


def _likelihoods(files: Mapping[str, bytes]) -> dict[str, tuple[Json, Json]]:
    """Parse and verify every pair of BkgOnly.json and patchset.json."""
    found = {}
    for name in sorted(files):
        path = PurePosixPath(name)
        if path.name != _PATCHSET:
            continue
        partner = str(path.with_name(_WORKSPACE))
        if partner not in files:
            raise InputError(f"holds {name} without {partner}")
        found["" if path.parent == PurePosixPath() else str(path.parent)] = _verified(
            _json(files[partner], partner), _json(files[name], name), name
        )
    return found


def _json(content: bytes, name: str) -> Json:
    parsed = resources.parse_json(_decode(content), name)
    if not isinstance(parsed, dict):
        raise InputError(f"{name}: not a JSON object")
    return parsed


def _verified(background: Json, patchset: Json, name: str) -> tuple[Json, Json]:
    workspace = load_workspace(background)
    refuse_version(patchset)
    try:
        pyhf.PatchSet(patchset).verify(workspace)
    except pyhf.exceptions.PatchSetVerificationError as error:
        raise InputError(f"{name}: made for another {_WORKSPACE}: {error}") from None
    except (pyhf.exceptions.InvalidSpecification, pyhf.exceptions.InvalidPatchSet) as error:
        raise InputError(f"{name}: no valid patch set: {error}") from None
    return background, patchset
