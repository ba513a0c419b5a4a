"""Texts with gaps: the templates ``*.j2`` of this folder."""

from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from nuhf.units import percent


def environment(autoescape: bool) -> Environment:
    """Return what reads the templates; a gap without a value is an error."""
    found = Environment(
        loader=FileSystemLoader(Path(__file__).parent, encoding="utf-8"), autoescape=autoescape,
        undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True, keep_trailing_newline=True,
    )  # fmt: skip
    found.filters["percent"] = percent
    return found


def render(name: str, **values: object) -> str:
    """Return a template of plain text, filled in."""
    return environment(autoescape=False).get_template(name).render(values)
