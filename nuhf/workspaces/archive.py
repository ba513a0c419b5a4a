"""Archives of likelihoods: workspaces, patch sets and patches, in whatever layout.

Archives come from anywhere, so the reader trusts nothing: the whole archive is decompressed in
memory under limits, names and types are checked member by member, and the digests of its patch
sets are compared, before a caller sees (and writes) anything. What a file is, is told by its
content. The tar reader is our own: it knows plain files and folders and refuses everything else.
"""

import bz2
import gzip
import io
import lzma
import tarfile
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, Final

import pyhf

from nuhf import resources
from nuhf.errors import InputError, ModelError, NuhfError
from nuhf.filekind import ARCHIVE_ENDINGS, Kind, json_kind, kind_of
from nuhf.workspaces.native import load_workspace
from nuhf.workspaces.patches import parsed

Json = dict[str, Any]

MAX_BYTES: Final = 256 * 1024 * 1024
"""Of the decompressed archive."""

MAX_RATIO: Final = 200
"""Of decompressed to compressed size; JSON of numbers has 2 to 30."""

MAX_MEMBERS: Final = 1000

_RATIO_FROM: Final = 1024 * 1024
_BLOCK: Final = 512
_XZ_MEMORY: Final = 128 * 1024 * 1024
_LONGEST_NAME: Final = 240
_PAX_KEYS: Final = {
    "path", "mtime", "atime", "ctime", "uid", "gid", "uname", "gname", "comment", "charset",
    "hdrcharset",
}  # fmt: skip
_KINDS: Final = {
    b"1": "a hard link", b"2": "a symbolic link", b"3": "a device", b"4": "a device",
    b"6": "a pipe", b"S": "a sparse file",
}  # fmt: skip
_SUFFIXES: Final = (".gz", ".bz2", ".xz", ".GZ", ".BZ2", ".XZ")
_PYHF: Final = (Kind.WORKSPACE, Kind.PATCH_SET, Kind.PATCH)
_LEFTOVERS: Final = ("._", "__MACOSX")
"""What macOS adds to archives: attributes under the names of files."""
_PROMISED: Final = {"BkgOnly.json": Kind.WORKSPACE, "patchset.json": Kind.PATCH_SET}
"""Names of HEPData's convention; content that breaks it is no accident to pass over."""


@dataclass(frozen=True)
class Document:
    """A pyhf file in an archive.

    Attributes
    ----------
    name : str
        Its name inside the archive; of an archive in it, that of both with ``/``.
    kind : Kind
        Workspace, patch set or patch.
    content : dict or list
        Parsed JSON.
    workspace : str or None
        Name of the workspace that a patch set (by digest) or patch (by folder) belongs to.
    """

    name: str
    kind: Kind
    content: Any
    workspace: str | None = None


@dataclass(frozen=True)
class Archive:
    """A checked archive.

    Attributes
    ----------
    files : mapping
        Content of every file by its name inside the archive, folders with ``/``.
    documents : mapping
        Its pyhf files by name, each patch set and patch with its workspace.
    """

    files: Mapping[str, bytes]
    documents: Mapping[str, Document]

    def background(self, document: Document) -> Json | None:
        """Return the workspace that a patch set or patch belongs to."""
        if document.workspace is None:
            return None
        return dict(self.documents[document.workspace].content)


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
        A tar or zip, compressed or not, or a single compressed file.

    Raises
    ------
    InputError
        If the archive is broken or too large, holds anything but files and folders, or a name
        that would leave the folder it is unpacked to; if a workspace or patch set in it is
        broken, or a patch set has another digest.
    """
    return parse_archive(resources.read_bytes(path), str(path))


def parse_archive(content: bytes, where: str) -> Archive:
    """Check the bytes of an archive as `read_archive` does; ``where`` names it in messages."""
    try:
        files = _collect(content, MAX_BYTES, _stem(where))
        found = _documents(files) or _documents(_inner(files))
        if not found:
            raise InputError("holds no pyhf workspace, patch set or patch, nor archives with them")
        return Archive(files, found)
    except NuhfError as error:
        raise InputError(str(error) if where in str(error) else f"{where}: {error}") from None


def _stem(name: str) -> str:
    """Name of the file in a file that is only compressed."""
    last = PurePosixPath(name.replace("\\", "/")).name
    ending = next((end for end in _SUFFIXES if last.endswith(end)), "")
    return last.removesuffix(ending) or "content"


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


def _collect(content: bytes, most: int, stem: str = "content") -> dict[str, bytes]:
    """Return the files of an archive by checked name, at most ``most`` bytes in all."""
    if kind_of(content) is Kind.ZIP:
        return _checked(_zip_members(content, most))
    body = _decompress(content, most)
    if kind_of(body) is Kind.TAR or not body.strip(b"\0"):
        return _checked(_members(body))
    if body is content:
        what = kind_of(content).words
        raise InputError(f"is no archive (tar, tar.gz, tar.bz2, tar.xz, zip) but {what}")
    return {_safe(stem): body}


def _decompress(content: bytes, most: int) -> bytes:
    kind = kind_of(content)
    if kind not in (Kind.GZIP, Kind.BZIP2, Kind.XZ):
        return content
    limit = min(most, max(_RATIO_FROM, MAX_RATIO * len(content)))
    name = kind.words.split()[1]
    try:
        stream: Any
        if kind is Kind.GZIP:
            stream = zlib.decompressobj(wbits=31)
        elif kind is Kind.BZIP2:
            stream = bz2.BZ2Decompressor()
        else:
            stream = lzma.LZMADecompressor(memlimit=_XZ_MEMORY)
        body: bytes = stream.decompress(content, limit + 1)
    except (zlib.error, OSError, lzma.LZMAError, ValueError) as error:
        raise InputError(f"is no {name} file: {error}") from None
    if len(body) > limit:
        raise InputError(
            f"decompresses to more than {limit} bytes (at most {MAX_BYTES >> 20} MiB in all and "
            f"{MAX_RATIO} times its size): refused"
        )
    if not stream.eof:
        raise InputError(f"is cut off: the {name} stream does not end")
    if stream.unused_data.strip(b"\0"):
        raise InputError(f"has something behind the {name} stream, which is not allowed")
    return body


def _zip_members(content: bytes, most: int) -> Iterator[tuple[str, bytes, bytes]]:
    """Yield name, type (as in a tar) and content of every member of a zip."""
    limit = min(most, max(_RATIO_FROM, MAX_RATIO * len(content)))
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            members = archive.infolist()
            if len(members) > MAX_MEMBERS:
                raise InputError(f"holds more than {MAX_MEMBERS} members")
            for member in members:
                if member.flag_bits & 1:
                    raise InputError(f"holds an encrypted file ('{member.filename}')")
                if (member.external_attr >> 16) & 0o170000 not in (0, 0o100000, 0o040000):
                    raise InputError(
                        f"holds a link or device ('{member.filename}'); only plain files are "
                        "allowed"
                    )
                if member.is_dir():
                    yield member.filename, b"5", b""
                    continue
                with archive.open(member) as file:
                    body = file.read(limit + 1)
                limit -= len(body)
                if limit < 0:
                    raise InputError(
                        f"decompresses to more than {MAX_BYTES >> 20} MiB, or {MAX_RATIO} times "
                        "its size: refused"
                    )
                yield member.filename, b"0", body
    except (zipfile.BadZipFile, zlib.error, lzma.LZMAError, NotImplementedError, EOFError,
            ValueError, OSError, LookupError) as error:  # fmt: skip
        raise InputError(f"is a broken zip archive: {error}") from None


def _inner(files: Mapping[str, bytes]) -> dict[str, bytes]:
    """Return the files of archives in an archive, as a HEPData submission has them.

    One level deep, with the limits of an archive for all together.
    """
    found: dict[str, bytes] = {}
    left = MAX_BYTES
    for name, content in files.items():
        if not (name.lower().endswith(ARCHIVE_ENDINGS) or kind_of(content).is_archive):
            continue
        try:
            inner = _collect(content, left, _stem(name))
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


def _checked(members: Iterator[tuple[str, bytes, bytes]]) -> dict[str, bytes]:
    """Return the files among members by checked name."""
    files: dict[str, bytes] = {}
    folders: set[str] = set()
    seen: set[str] = set()
    for name, kind, body in members:
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


def _documents(files: Mapping[str, bytes]) -> dict[str, Document]:
    """Parse every pyhf file and pair it; digests of patch sets are verified."""
    found = {}
    for name in sorted(files):
        if any(part.startswith(_LEFTOVERS) for part in PurePosixPath(name).parts):
            continue
        if name.lower().endswith(".json") or kind_of(files[name]) in _PYHF:
            content = resources.parse_json(resources.as_text(files[name], name), name)
            kind = json_kind(content)
            promised = _PROMISED.get(PurePosixPath(name).name)
            if promised and kind is not promised:
                raise InputError(f"{name}: {kind.words}, where {promised.words} is expected")
            if kind in _PYHF:
                found[name] = Document(name, kind, content)
    # the parsed content is trusted from here on: it follows the schema of pyhf
    spaces = {name: _workspace(one) for name, one in found.items() if one.kind is Kind.WORKSPACE}
    paired = {}
    for name, one in found.items():
        partner = None
        if one.kind is Kind.PATCH_SET:
            partner = _verified(one, spaces)
        elif one.kind is Kind.PATCH:
            partner = _nearest(name, spaces)
        paired[name] = Document(name, one.kind, one.content, partner)
    return paired


def _workspace(one: Document) -> pyhf.Workspace:
    try:
        return load_workspace(one.content)
    except NuhfError as error:
        raise InputError(f"{one.name}: {error}") from None


def _nearest(name: str, spaces: Mapping[str, Json]) -> str | None:
    """Return the workspace of the folder of a file, or of the nearest folder above it."""
    for folder in PurePosixPath(name).parents:
        here = sorted(space for space in spaces if PurePosixPath(space).parent == folder)
        if here:
            # of several, the one that the name of HEPData's convention tells
            return next((s for s in here if "bkgonly" in s.lower()), here[0])
    return None


def _verified(one: Document, spaces: Mapping[str, pyhf.Workspace]) -> str:
    """Return the workspace that a patch set was made for."""
    try:
        patches = parsed(one.content)
    except ModelError as error:
        raise InputError(f"{one.name}: no valid patch set: {error}") from None
    if not spaces:
        raise InputError(f"holds {one.name} without a workspace")
    nearest = _nearest(one.name, spaces) or next(iter(spaces))
    for name in dict.fromkeys([nearest, *spaces]):
        try:
            patches.verify(spaces[name])
        except pyhf.exceptions.PatchSetVerificationError:
            continue
        return name
    raise InputError(f"{one.name}: made for another {PurePosixPath(nearest).name}: wrong digest")
