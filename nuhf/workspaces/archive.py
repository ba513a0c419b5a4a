"""Archives of likelihoods: workspaces, patch sets and patches, in whatever layout.

Archives come from anywhere, so the reader trusts nothing: the whole archive is decompressed in
memory under limits, names and types are checked member by member, and the digests of its patch
sets are compared, before a caller sees (and writes) anything. What a file is, is told by its
content. Of tar archives plain files and folders are read, and everything else is refused.
"""

import bz2
import gzip
import io
import lzma
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import Any, Final, Self

from nuhf import resources
from nuhf.errors import InputError, NuhfError
from nuhf.filekind import ARCHIVE_ENDINGS, Kind, json_kind, kind_of
from nuhf.workspaces.native import load_workspace
from nuhf.workspaces.patches import owner

Json = dict[str, Any]

MAX_BYTES: Final = 256 * 1024 * 1024
"""Of the decompressed archive."""

MAX_RATIO: Final = 200
"""Of decompressed to compressed size; JSON of numbers has 2 to 30."""

MAX_MEMBERS: Final = 1000

_RATIO_FROM: Final = 1024 * 1024
_XZ_MEMORY: Final = 128 * 1024 * 1024
_LONGEST_NAME: Final = 240
_PAX_KEYS: Final = {
    "path", "mtime", "atime", "ctime", "uid", "gid", "uname", "gname", "comment", "charset",
    "hdrcharset",
}  # fmt: skip
"""Other keys change how a tar is read."""
_KINDS: Final = {
    tarfile.LNKTYPE: "a hard link", tarfile.SYMTYPE: "a symbolic link",
    tarfile.CHRTYPE: "a device", tarfile.BLKTYPE: "a device", tarfile.FIFOTYPE: "a pipe",
    tarfile.GNUTYPE_SPARSE: "a sparse file",
}  # fmt: skip
_PLAIN: Final = (tarfile.REGTYPE, tarfile.AREGTYPE, tarfile.DIRTYPE)
_EXTENDS: Final = (tarfile.XHDTYPE, tarfile.XGLTYPE, tarfile.GNUTYPE_LONGNAME)
_LONGEST_HEADER: Final = 16 * 1024
"""Of what extends the next header: old Pythons (CVE-2024-6232) take for ever on longer ones."""
_DECOMPRESSORS: Final[Mapping[Kind, Callable[[], Any]]] = {
    Kind.GZIP: lambda: zlib.decompressobj(wbits=31),
    Kind.BZIP2: bz2.BZ2Decompressor,
    Kind.XZ: lambda: lzma.LZMADecompressor(memlimit=_XZ_MEMORY),
}
_SUFFIXES: Final = (".gz", ".bz2", ".xz", ".GZ", ".BZ2", ".XZ")
_PYHF: Final = (Kind.WORKSPACE, Kind.PATCH_SET, Kind.PATCH)
_LEFTOVERS: Final = ("._", "__MACOSX")
"""What macOS adds to archives: attributes under the names of files."""
_PROMISED: Final = {"BkgOnly.json": Kind.WORKSPACE, "patchset.json": Kind.PATCH_SET}
"""Names of HEPData's convention; content that breaks it is no accident to pass over."""


@dataclass(frozen=True)
class Document:
    """A pyhf file in an archive: workspace, patch set or patch, as parsed JSON.

    Its name is that inside the archive; of an archive in it, that of both with ``/``. ``workspace``
    is the name of the one that a patch set (by digest) or patch (by folder) belongs to.
    """

    name: str
    kind: Kind
    content: Any
    workspace: str | None = None


@dataclass(frozen=True)
class Archive:
    """A checked archive: all its files and its pyhf files, by name, folders with ``/``."""

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
    """Read and check a tar or zip, compressed or not, or a file that is only compressed.

    `InputError` if it is broken or too large, holds anything but files and folders, or a name that
    would leave the folder it is unpacked to; if a workspace or patch set in it is broken, or a
    patch set has another digest.
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
    """Check an archive as `read_archive` does, then write its files into a new or empty folder."""
    archive = read_archive(path)
    resources.write_folder(folder, archive.files)
    return archive


def _collect(content: bytes, most: int, stem: str = "content") -> dict[str, bytes]:
    """Return the files of an archive by checked name, at most ``most`` bytes in all."""
    if kind_of(content) is Kind.ZIP:
        return _checked(_zip_members(content, most))
    body = _decompress(content, most)
    if not body.strip(b"\0"):
        raise InputError("is empty")
    if kind_of(body) is Kind.TAR:
        return _checked(_tar_members(body))
    if body is content:
        what = kind_of(content).words
        raise InputError(f"is no archive (tar, tar.gz, tar.bz2, tar.xz, zip) but {what}")
    return {_safe(stem): body}


def _decompress(content: bytes, most: int) -> bytes:
    kind = kind_of(content)
    if kind not in _DECOMPRESSORS:
        return content
    limit = min(most, max(_RATIO_FROM, MAX_RATIO * len(content)))
    name, stream = kind.words.split()[1], _DECOMPRESSORS[kind]()
    try:
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


def _zip_members(content: bytes, most: int) -> Iterator[tuple[str, bytes | None]]:
    """Yield name and content of every member of a zip, None for a folder."""
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
                    yield member.filename, None
                    continue
                with archive.open(member) as file:
                    body = file.read(limit + 1)
                limit -= len(body)
                if limit < 0:
                    raise InputError(
                        f"decompresses to more than {MAX_BYTES >> 20} MiB, or {MAX_RATIO} times "
                        "its size: refused"
                    )
                yield member.filename, body
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


class _Header(tarfile.TarInfo):
    """A header in a tar: of a plain file or folder, or short and extending the next one."""

    @classmethod
    def frombuf(cls, buf: bytes | bytearray, encoding: str, errors: str) -> Self:
        """Read a header, and refuse any other before tarfile looks at what follows."""
        made = super().frombuf(buf, encoding, errors)
        if made.type not in (*_PLAIN, *_EXTENDS):
            what = _KINDS.get(made.type, f"a member of type {made.type!r}")
            raise InputError(f"holds {what} ('{made.name}'); only plain files are allowed")
        if made.size < 0 or (made.type in _EXTENDS and made.size > _LONGEST_HEADER):
            raise InputError(f"is a broken tar archive: '{made.name}' has {made.size} bytes")
        if made.isdir() and made.size:
            raise InputError(f"holds a folder with content ('{made.name}')")
        return made


def _tar_members(content: bytes) -> Iterator[tuple[str, bytes | None]]:
    """Yield name and content of every member of a tar, None for a folder."""
    try:
        with tarfile.open(
            fileobj=io.BytesIO(content), mode="r:", tarinfo=_Header, encoding="utf-8",
            errors="strict",
        ) as archive:  # fmt: skip
            for count, member in enumerate(archive):
                if count == MAX_MEMBERS:
                    raise InputError(f"holds more than {MAX_MEMBERS} members")
                for key in member.pax_headers:
                    if key not in _PAX_KEYS and not key.startswith(("SCHILY.", "LIBARCHIVE.")):
                        raise InputError(
                            f"is a tar archive with the pax key '{key}', which is not allowed"
                        )
                file = archive.extractfile(member)
                yield member.name, None if file is None else file.read()
            end = content[archive.offset : archive.offset + tarfile.BLOCKSIZE]
    except UnicodeDecodeError as error:
        raise InputError(f"holds a name that is not UTF-8: {error.object[:60]!r}") from None
    except (tarfile.TarError, ValueError, LookupError, OverflowError, RecursionError) as error:
        raise InputError(f"is a broken tar archive: {error}") from None
    if end.strip(b"\0"):
        raise InputError("is a broken tar archive: wrong checksum of a header")


def _checked(members: Iterator[tuple[str, bytes | None]]) -> dict[str, bytes]:
    """Return the files among members by checked name."""
    files: dict[str, bytes] = {}
    folders: set[str] = set()
    seen: set[str] = set()
    for name, body in members:
        if body is None:
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
    for name, one in found.items():
        if one.kind is Kind.PATCH_SET:
            found[name] = replace(one, workspace=_verified(one, spaces))
        elif one.kind is Kind.PATCH:
            found[name] = replace(one, workspace=_nearest(name, spaces))
    return found


def _workspace(one: Document) -> Json:
    try:
        loaded: Json = load_workspace(one.content)
    except NuhfError as error:
        raise InputError(f"{one.name}: {error}") from None
    return loaded


def _nearest(name: str, spaces: Mapping[str, Json]) -> str | None:
    """Return the workspace of the folder of a file, or of the nearest folder above it."""
    for folder in PurePosixPath(name).parents:
        here = sorted(space for space in spaces if PurePosixPath(space).parent == folder)
        if here:
            # of several, the one that the name of HEPData's convention tells
            return next((s for s in here if "bkgonly" in s.lower()), here[0])
    return None


def _verified(one: Document, spaces: Mapping[str, Json]) -> str:
    """Return the workspace that a patch set was made for."""
    if not spaces:
        raise InputError(f"holds {one.name} without a workspace")
    nearest = _nearest(one.name, spaces) or next(iter(spaces))
    order = list(dict.fromkeys([nearest, *spaces]))
    others = PurePosixPath(nearest).name
    return order[owner(one.content, [spaces[name] for name in order], one.name, others)]
