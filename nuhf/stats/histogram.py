"""Counts of a region as a histogram of the UHI protocol, which mplhep reads.

Source: https://uhi.readthedocs.io/en/latest/plotting.html (``PlottableHistogram``).
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from nuhf.arrays import FloatArray


@dataclass(frozen=True)
class Traits:
    """An axis that neither closes on itself nor has categories."""

    circular: bool = False
    discrete: bool = False


@dataclass(frozen=True)
class HistogramAxis:
    """Bins of an axis, as pairs of edges."""

    name: str
    edges: tuple[float, ...]
    traits: Traits = Traits()

    def __len__(self) -> int:
        """Return the number of bins."""
        return len(self.edges) - 1

    def __getitem__(self, index: int) -> tuple[float, float]:
        """Return the edges of a bin."""
        if not 0 <= index < len(self):
            raise IndexError(index)
        return self.edges[index], self.edges[index + 1]

    def __iter__(self) -> Iterator[tuple[float, float]]:
        """Iterate over the edges of the bins."""
        return (self[i] for i in range(len(self)))


@dataclass(frozen=True)
class Histogram:
    """Events per bin with their variances, arrays with an axis per observable."""

    axes: tuple[HistogramAxis, ...]
    events: FloatArray
    variance: FloatArray | None
    kind: Final[str] = "COUNT"

    def values(self) -> FloatArray:
        """Return the events of every bin."""
        return self.events

    def variances(self) -> FloatArray | None:
        """Return their variances; None where they are not known."""
        return self.variance

    def counts(self) -> FloatArray | None:
        """Return the events: bins of counts have no other number of entries."""
        return self.events
