"""What is found in a file."""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

Severity = Literal["error", "warning", "info"]


@dataclass(frozen=True)
class Finding:
    """One thing found in a file: wrong, legal but suspicious, or worth knowing.

    It has the short name of the check, the place in words, and what is there and should be.
    """

    severity: Severity
    check: str
    where: str
    message: str


def number_findings(content: Any) -> list[Finding]:
    """Return an error for every NaN and Infinity in parsed JSON."""
    message = "only finite numbers are allowed"
    return [Finding("error", "number", place, message) for place in _not_finite(content)]


def _not_finite(content: Any, where: str = "") -> Iterator[str]:
    """Yield the places of NaN and Infinity in parsed JSON, such as ``channels[0].name``."""
    if isinstance(content, float) and not math.isfinite(content):
        yield f"{where} is {content}"
    elif isinstance(content, Mapping):
        for key, value in content.items():
            yield from _not_finite(value, f"{where}.{key}" if where else str(key))
    elif isinstance(content, list):
        for i, value in enumerate(content):
            yield from _not_finite(value, f"{where}[{i}]")
