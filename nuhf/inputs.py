"""Files that a calculation reads: opened once, checked, and recorded with digest and sources."""

import hashlib
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from nuhf import bibliography, resources
from nuhf.bibliography import Bibliography, cited
from nuhf.errors import InputError
from nuhf.tables import Table, parse_table

CARE: Final = (
    "UNVERIFIED", "computed", "derived", "digitised", "recalled", "reconstruction", "substitute",
)  # fmt: skip
"""Words in the name of a file, or in its sources, that say it is no plain measurement."""

_UNFINISHED: Final = ("in", "of", "the", "and", "by", "from", "with")


@dataclass(frozen=True)
class Record:
    """A file that was read, with the SHA-256 of its bytes.

    Its name is what an experiment file or the library calls it, such as ``sns/flux_time.csv``; its
    sources are what the file itself, and the entries that were used of it, state as such. Entries
    are those that were used of a TOML file; none if all of it was.
    """

    name: str
    path: Path
    digest: str
    sources: tuple[str, ...]
    entries: tuple[str, ...] = ()

    @property
    def care(self) -> tuple[str, ...]:
        """Those of `CARE` that stand in its name, the names of its entries or its sources."""
        return care_words([self.name, *self.entries, *self.sources])


class Inputs:
    """Reads files below some folders, the first first, or the shipped ``data``; each only once."""

    def __init__(self, folders: Iterable[Path] = ()) -> None:
        self._folders = tuple(dict.fromkeys(folders))
        self._texts: dict[str, tuple[Path, str, str]] = {}
        self._tables: dict[str, Table] = {}
        self._content: dict[str, dict[str, Any]] = {}
        self._used: dict[str, dict[str, None]] = {}
        self._bibliography: Bibliography | None = None

    @property
    def folders(self) -> tuple[Path, ...]:
        """Places that are looked in before the shipped data."""
        return self._folders

    @property
    def bibliography(self) -> Bibliography:
        """Publications that sources cite: the shipped ones, and those in the folders."""
        if self._bibliography is None:
            self._bibliography = bibliography.read(self._folders)
        return self._bibliography

    def look_in(self, folder: Path) -> None:
        """Look in a further folder, before the shipped data and after the others."""
        self._folders = tuple(dict.fromkeys([*self._folders, folder]))
        if resources.is_file(folder / bibliography.FILE):
            self._bibliography = None

    def path(self, name: str) -> Path:
        """Return the path of a file (`InputError` if it is nowhere)."""
        if name in self._texts:
            return self._texts[name][0]
        given = Path(name)
        return given if given.is_absolute() else resources.find(name, self._folders)

    def _text(self, name: str, toml: bool = False) -> tuple[Path, str]:
        if name not in self._texts:
            path = self.path(name)
            content = resources.read_bytes(path)
            if toml:
                resources.refuse_other_kinds(path, content)
            digest = hashlib.sha256(content).hexdigest()
            text = resources.as_text(content, str(path))
            for source in comment_sources(text):
                self.bibliography.check(cited(source), f"{path}: source")
            self._texts[name] = path, text, digest
        path, text, _ = self._texts[name]
        return path, text

    def table(self, name: str, columns: Sequence[str] = ()) -> Table:
        """Return a table that has these columns (`InputError` as `nuhf.tables.parse_table`)."""
        if name not in self._tables:
            path, text = self._text(name)
            self._tables[name] = parse_table(path, text)
        self._used.setdefault(name, {})
        self._tables[name].require(columns)
        return self._tables[name]

    def toml(self, name: str, entries: Iterable[str] = ()) -> dict[str, Any]:
        """Return a TOML file, and record which of its entries are used (none given: all).

        `InputError` if the file is missing or broken, or has no entry of that name.
        """
        if name not in self._content:
            path, text = self._text(name, toml=True)
            self._content[name] = resources.parse_toml(path, text)
            for place, source in nested_sources(self._content[name]):
                self.bibliography.check(cited(source), f"{path}: {place}")
        content, used = self._content[name], self._used.setdefault(name, {})
        for entry in entries:
            if entry not in content:
                raise InputError(
                    f"{self.path(name)}: no [{entry}]; there are: {', '.join(content)}"
                )
            used[entry] = None
        return content

    @property
    def records(self) -> tuple[Record, ...]:
        """Everything that was read, in the order of reading."""
        return tuple(self._record(name) for name in self._texts)

    def _record(self, name: str) -> Record:
        path, text, digest = self._texts[name]
        entries = tuple(self._used.get(name, ()))
        content = self._content.get(name, {})
        used = {key: content[key] for key in entries} if entries else content
        found = dict.fromkeys([*comment_sources(text), *(s for _, s in nested_sources(used))])
        return Record(name, path, digest, tuple(found), entries)


def care_words(texts: Iterable[str]) -> tuple[str, ...]:
    """Return the words of `CARE` in some texts."""
    words = set(re.findall(r"[a-z]+", " ".join(texts).lower()))
    return tuple(word for word in CARE if word.lower() in words)


def nested_sources(content: object, where: str = "") -> Iterator[tuple[str, str]]:
    """Yield place and text of all keys ``source`` in nested tables."""
    if isinstance(content, Mapping):
        for key, value in content.items():
            place = f"{where}.{key}" if where else str(key)
            if key == "source" and isinstance(value, str):
                if value:
                    yield place, value
            else:
                yield from nested_sources(value, place)
    elif isinstance(content, list | tuple):
        for i, value in enumerate(content):
            yield from nested_sources(value, f"{where}[entry {i + 1}]")


def comment_sources(text: str) -> list[str]:
    """Return what stands behind the lines ``# source:`` at the top of a table or TOML file.

    A source that ends in the middle of a sentence goes on in the next comment line.
    """
    sources: list[str] = []
    going_on = inside = False
    for line in text.splitlines():
        if not line.startswith("#"):
            break
        comment = line[1:]
        start = re.match(r"\s?source(?: \([^)]*\))?:\s*(.*)", comment)
        if start:
            sources.append(start[1].strip())
        elif going_on or (inside and comment.startswith("  ")):
            sources[-1] = f"{sources[-1]} {comment.strip()}"
        else:
            inside = False
            continue
        inside = True
        last = sources[-1].split()[-1] if sources[-1] else ""
        opened = sources[-1].count("(") > sources[-1].count(")")
        going_on = opened or last.endswith((",", ";")) or last in _UNFINISHED
    return [source for source in sources if source]
