"""Pieces of a page: figures as inline SVG, tables, numbers in words for people."""

import re
from base64 import b64encode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from io import BytesIO
from typing import Final, TypeAlias

import numpy as np
from matplotlib import rc_context
from matplotlib.figure import Figure

_LARGEST_SVG: Final = 90_000
_LARGEST_PAGE: Final = 2_000_000
"""Characters of one figure, and of all; beyond, the largest become WebP where that is smaller."""

_DPI: Final = 100

#: the same drawing in fewer letters; a translation along x is the attribute x
_SHORTER: Final = (
    (r"xlink:href", "href"),
    (r"DejaVuSans-([A-Z][A-Za-z]*)-", r"dv\1"),
    (r"DejaVuSans-", "dv"),
    (r'(<use href="#dv\w+") transform="translate\(([0-9.]+) 0\)"/>', r'\1 x="\2"/>'),
    (r"(?<=[:;]) ", ""),
    (r"#000000", "#000"),
    (r'<path d="[^"]*" style="fill:#ffffff"/>', ""),
    (r"stroke-dashoffset:0;", ""),
    (r"(translate\(-?\d+\.\d)\d+( -?\d+\.\d)\d+\)(?= (?:scale\(0\.[01]|rotate))", r"\1\2)"),
    (r'(<use href="#m\w+" x="[^"]*" y="[^"]*") style="stroke:#000;stroke-width:0\.8"/>', r"\1/>"),
    (r"(translate\(-?\d+\.\d\d?)\d*( -?\d+\.\d\d?)\d*\)", r"\1\2)"),
    (r'style="fill:none;stroke:#000;stroke-width:0\.8;stroke-linejoin:miter;stroke-linecap:square"',
     'class="s"'),
)  # fmt: skip

_PIXELS_PER_INCH: Final = 88
_UP: Final = str.maketrans("0123456789-", "⁰¹²³⁴⁵⁶⁷⁸⁹⁻")


@dataclass(frozen=True)
class Picture:
    """A figure with what it shows in words and numbers."""

    figure: Figure
    alternative: str
    caption: str

    @property
    def width(self) -> int:
        """Pixels at full size."""
        return round(_PIXELS_PER_INCH * float(self.figure.get_figwidth()))


@dataclass(frozen=True)
class TextTable:
    """A table of texts; ``words`` are the columns (from 0) that hold words, not numbers."""

    caption: str
    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    words: tuple[int, ...] = (0,)


@dataclass(frozen=True)
class Details:
    """Something long behind a line that opens it."""

    summary: str
    blocks: "Sequence[str | TextTable]"


Block: TypeAlias = str | Mapping[str, str] | Picture | TextTable | Details
"""A paragraph, terms with what they are, or something of a class above."""


@dataclass(frozen=True)
class PagePart:
    """A part of a section with its anchor and heading."""

    anchor: str
    title: str
    blocks: tuple[Block, ...]


@dataclass(frozen=True)
class PageSection:
    """A section: an experiment, or what belongs to all of them."""

    anchor: str
    title: str
    subtitle: str
    notes: tuple[str, ...]
    parts: tuple[PagePart, ...]


def parts(anchor: str, blocks: Mapping[str, Sequence[Block]]) -> tuple[PagePart, ...]:
    """Return the parts of a section by their titles; those without content are left out."""
    return tuple(
        PagePart(f"{anchor}-{title.lower().replace(' ', '-')}", title, tuple(made))
        for title, made in blocks.items()
        if made
    )


# -------------------------------------------------------------------------------------- figures


def draw(pictures: Sequence[Picture]) -> list[str]:
    """Turn the figures of a page into SVG, or addresses of WebP images in too large a page.

    Glyphs, markers, hatches and clip paths have names made of their content, so that one definition
    serves the whole page, and no name comes twice. The same figures give the same markup: there
    are no dates and no random names.
    """
    drawn = [_svg(one.figure) for one in pictures]
    total = sum(map(len, drawn))
    images: dict[int, str] = {}
    for i in sorted(range(len(drawn)), key=lambda i: (-len(drawn[i]), i)):
        if total <= _LARGEST_PAGE and len(drawn[i]) <= _LARGEST_SVG:
            break
        image = _webp(pictures[i].figure)
        if len(image) < len(drawn[i]):
            total += len(image) - len(drawn[i])
            images[i] = image
    seen: set[str] = set()
    return [images.get(i) or _first_only(svg, seen) for i, svg in enumerate(drawn)]


def _svg(figure: Figure) -> str:
    buffer = BytesIO()
    with rc_context({"svg.hashsalt": "nuhf", "svg.fonttype": "path"}):
        nothing = dict.fromkeys(("Date", "Creator", "Format", "Type"))
        figure.savefig(buffer, format="svg", metadata=nothing)
    return _cleaned(buffer.getvalue().decode("utf-8"))


def _webp(figure: Figure) -> str:
    buffer = BytesIO()
    lossless = {"lossless": True, "quality": 60, "method": 4}
    figure.savefig(buffer, format="webp", dpi=_DPI, pil_kwargs=lossless)
    return f"data:image/webp;base64,{b64encode(buffer.getvalue()).decode('ascii')}"


def _cleaned(svg: str) -> str:
    """Drop what HTML does not need: prolog, metadata, comments, names of groups, blanks."""
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"<metadata>.*?</metadata>", "", svg, flags=re.DOTALL)
    svg = re.sub(r"<!--.*?-->", "", svg, flags=re.DOTALL)
    svg = re.sub(r'<g id="[^"]*"', "<g", svg)
    svg = re.sub(r'<svg [^>]*?viewBox="([^"]*)"[^>]*>', r'<svg viewBox="\1" aria-hidden="true">',
                 svg, count=1)  # fmt: skip
    svg = re.sub(r'<style type="text/css">\*\{[^}]*\}</style>', "", svg)
    for pattern, new in _SHORTER:
        svg = re.sub(pattern, new, svg)
    svg = re.sub(r' (?:d|points|x|y)="[^"]*"', _rounded, svg)
    svg = re.sub(r">\s+<", "><", re.sub(r"\s*\n\s*", " ", svg)).strip()
    return _without_bare_groups(svg)


def _without_bare_groups(svg: str) -> str:
    """Drop groups without attributes, with their ends."""
    kept: list[str] = []
    bare: list[bool] = []
    for token in re.split(r"(<g[^>]*>|</g>)", svg):
        if token.startswith(("<g>", "<g ")):
            bare.append(token == "<g>")
            kept.append("" if bare[-1] else token)
        elif token == "</g>":
            kept.append("" if bare.pop() else token)
        else:
            kept.append(token)
    return "".join(kept)


def _rounded(match: re.Match[str]) -> str:
    """Coordinates to a tenth of a point; glyphs, in whole font units, stay as they are."""
    text = re.sub(r"-?\d+\.\d+", lambda m: f"{float(m[0]):.1f}".removesuffix(".0"), match[0])
    return re.sub(r"\s*([MLQCz])\s*", r"\1", text) if text.startswith(" d=") else text


def _first_only(svg: str, seen: set[str]) -> str:
    """Drop definitions whose name is in ``seen``, and put the others there."""

    def choose(match: re.Match[str]) -> str:
        if match[1] in seen:
            return ""
        seen.add(match[1])
        return match[0]

    svg = re.sub(r'<clipPath id="([^"]+)">.*?</clipPath>', choose, svg)
    svg = re.sub(r'<pattern id="([^"]+)".*?</pattern>', choose, svg)
    svg = re.sub(r'<path id="([^"]+)"[^>]*/>', choose, svg)
    return svg.replace("<defs></defs>", "").replace("<defs/>", "")


# -------------------------------------------------------------------------------------- numbers


def number(value: float, digits: int = 3) -> str:
    """Return a number for people: ``−1.5×10⁻⁷``, ``324``, ``0.0238``."""
    if value == 0:
        return "0"
    if not np.isfinite(value):
        return "∞" if value > 0 else "−∞" if value < 0 else "not a number"
    text = f"{value:.{digits}g}"
    if "e" in text:
        mantissa, _, exponent = text.partition("e")
        text = f"{mantissa}×10{str(int(exponent)).translate(_UP)}"
    return text.replace("-", "−")


def count(value: float) -> str:
    """Return a number of events: four digits at least below a million, no powers of ten."""
    text = f"{value:.0f}" if abs(value) >= 1000 else f"{value:.4g}"
    return text.replace("-", "−") if "e" not in text else number(value)


def power(exponent: int, unit: str = "") -> str:
    """Return ``10⁻⁸ e``; the unit alone for exponent 0, ``1`` without a unit."""
    unit = {"mu_B": "μ_B", "cm2": "cm²", "1": ""}.get(unit, unit)
    scale = f"10{str(exponent).translate(_UP)}" if exponent else ""
    return " ".join(part for part in (scale, unit) if part) or "1"


def interval(pieces: Sequence[tuple[float, float]], scale: float = 1.0) -> str:
    """Return all pieces of an interval divided by ``scale``."""
    return " or ".join(f"[{number(low / scale)}, {number(high / scale)}]" for low, high in pieces)
