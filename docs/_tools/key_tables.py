"""Tables of the keys of experiment files, read off the models that check the files."""

from collections.abc import Iterable

from nuhf.experiments.schema import BaseExperiment

from nuhf.experiments.catalogue import KINDS
from nuhf.experiments.keys import Key, Part, parts

__all__ = ["common", "kind"]

_HEADER = "| key | allowed | default | meaning |\n| --- | --- | --- | --- |"


def common() -> str:
    """Return the keys that files of every kind have."""
    return _markdown(parts(BaseExperiment))


def kind(name: str) -> str:
    """Return the keys that only files of this kind have, or have differently."""
    shared = {(part.header, key) for part in parts(BaseExperiment) for key in part.keys}
    own = []
    for part in parts(KINDS[name]):
        keys = tuple(key for key in part.keys if (part.header, key) not in shared)
        if keys:
            own.append(Part(part.header, part.about, keys))
    return _markdown(own)


def _markdown(found: Iterable[Part]) -> str:
    pieces = []
    for part in found:
        title = f"**`{part.header}`**" if part.header else "**Top of the file**"
        rows = "\n".join(_row(key) for key in part.keys)
        pieces.append(f"{title}\n\n{part.about}\n\n{_HEADER}\n{rows}")
    return "\n\n".join(pieces)


def _row(key: Key) -> str:
    default = key.default if key.default in ("", "required") else f"`{key.default}`"
    return f"| `{key.name}` | {key.allowed} | {default} | {key.meaning} |"
