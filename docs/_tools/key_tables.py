"""Tables of the keys of experiment files, read off the models that check the files."""

from nuhf.experiments.keys import Key, KeyTable, tables

__all__ = ["SECTIONS", "section"]

SECTIONS = (
    "file", "sources", "target", "responses", "physics", "signals", "regions", "backgrounds",
    "nuisances", "analyses",
)  # fmt: skip
"""Sections of a file in the order of the page; ``file`` is its top, with the references."""

_HEADER = "| key | allowed | default | meaning |\n| --- | --- | --- | --- |"


def section(name: str) -> str:
    """Return the keys of one section as Markdown."""
    return "\n\n".join(_markdown(table) for table in tables() if _section_of(table) == name)


def _section_of(table: KeyTable) -> str:
    first = table.header.strip("[").partition("]")[0].partition(".")[0]
    return first if first in SECTIONS else "file"


def _markdown(table: KeyTable) -> str:
    title = f"**`{table.header}`**" if table.header else "**Top of the file**"
    rows = "\n".join(_row(key) for key in table.keys)
    return f"{title}\n\n{table.about}\n\n{_HEADER}\n{rows}"


def _row(key: Key) -> str:
    default = key.default if key.default in ("", "required") else f"`{key.default}`"
    return f"| `{key.name}` | {key.allowed} | {default} | {key.meaning} |"
