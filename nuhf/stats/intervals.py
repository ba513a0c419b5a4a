"""Confidence intervals from a profile likelihood: every minimum, every crossing.

The profile is scanned over its whole range, every local minimum is refined by a free fit, and
every place where 2NLL - minimum crosses the threshold is found by root finding. Nothing is read
off the grid, and intervals of several pieces are reported as such.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final, Protocol

import numpy as np
from scipy.special import gammaincinv

from nuhf.arrays import FloatArray
from nuhf.errors import FitError, InputError, OpenRegionError
from nuhf.likelihood.engines import TIE
from nuhf.roots import roots

_ZOOMS: Final = 3
_POINTS: Final = 121
_TOLERANCE: Final = 1e-6
_NO_FIT: Final = 1e10
"""What 2NLL is taken for where no fit converges: root finding goes on from there, not from inf."""
_STEP: Final = 0.05
"""Distance in 2NLL from the threshold at an end beyond which it is no crossing but a step."""


class Profiler(Protocol):
    """What the search needs of a model with data."""

    def at(self, values: FloatArray) -> FloatArray:
        """2NLL minimised over everything else at fixed values of the parameter, (n,)."""
        ...

    def minima(self, starts: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Free fits from several values of the parameter: values and 2NLL, (n,) each."""
        ...


@dataclass(frozen=True)
class ScanRange:
    """Range of a fit parameter."""

    low: float
    high: float
    """Its ends."""
    physical_low: bool = False
    """Whether ``low`` is a physical boundary, where intervals may end."""
    show: Callable[[float], str] = "{:.4g}".format
    """How messages write a value, such as in another unit."""

    def __str__(self) -> str:
        return f"{self.show(self.low)} to {self.show(self.high)}"

    def grid(self, points: int = _POINTS) -> FloatArray:
        """Points (n,) over the range, densest around zero, ends included."""
        if not self.low < 0.0 < self.high:
            u = np.linspace(0.0, 1.0, points)
            return self.low + (self.high - self.low) * (u**3 if self.low == 0.0 else u)
        side = points // 2
        u = np.linspace(0.0, 1.0, side + 1) ** 3
        return np.concatenate([self.low * u[:0:-1], self.high * u])


@dataclass(frozen=True)
class Minimum:
    """A local minimum of the profile: value of the parameter, 2NLL."""

    value: float
    twice_nll: float


@dataclass(frozen=True)
class ProfileIntervals:
    """Result of the search, in the fit parameter."""

    best: Minimum
    """Global minimum."""
    minima: tuple[Minimum, ...]
    """All minima found, the deepest first."""
    pieces: tuple[tuple[float, float], ...]
    """Disjoint intervals in increasing order."""
    lost: int = 0
    points: int = 0
    """Points of the scan outside them where no fit converged or the likelihood is not defined, and
    points of the scan in all."""
    falling: tuple[float, ...] = ()
    """Ends of the range, no physical ones, towards which the profile falls: there may be a piece
    beyond."""
    open_ends: Mapping[float, float] = field(default_factory=dict)
    """Ends of the range that a piece reaches, no physical ones, with 2NLL above the minimum there:
    the data set no end on that side."""


def threshold(cl: float, dimensions: int = 1) -> float:
    """Return the rise of 2NLL of a confidence level (Wilks), the quantile of chi2.

    `InputError` if ``cl`` is no number inside (0, 1).
    """
    if not isinstance(cl, int | float | np.floating | np.integer):
        raise InputError(f"confidence level {cl!r} is no number; for example 0.9")
    if not 0.0 < cl < 1.0:
        hint = f"did you mean {cl / 100:g}?" if 50.0 <= cl < 100.0 else "for example 0.9"
        raise InputError(f"confidence level {cl} is not between 0 and 1; {hint}")
    return float(2.0 * gammaincinv(0.5 * dimensions, cl))


def intervals(
    profiler: Profiler,
    span: ScanRange,
    cl: float,
    dimensions: int = 1,
    scan: FloatArray | None = None,
    open_ends: bool = False,
) -> ProfileIntervals:
    """Find the region of a range where 2NLL is within the threshold of its minimum.

    The threshold has ``dimensions`` degrees of freedom, 2 for the extent of a contour; ``scan`` is
    2NLL of the profiler on ``span.grid()``, where that is known. With ``open_ends`` the region may
    reach ends of the range, if something inside is outside of it.

    Raises
    ------
    OpenRegionError
        If the region reaches an end of the range that is no physical boundary.
    FitError
        If it reaches a place where no fit converges.
    """
    rise = threshold(cl, dimensions)
    grid = span.grid()
    if scan is None:
        scan = profiler.at(grid)
    if not np.any(np.isfinite(scan)):
        raise FitError("the likelihood is not defined anywhere in the range of the parameter")
    minima = _minima(profiler, span, grid, scan)
    best = minima[0]
    points = np.concatenate([grid, [m.value for m in minima]])
    heights = np.concatenate([scan, [m.twice_nll for m in minima]])
    if len(minima) > 1:
        peaks = _peaks(profiler, minima)
        points = np.concatenate([points, peaks])
        heights = np.concatenate([heights, profiler.at(peaks)])
    heights = heights - best.twice_nll - rise
    order = np.argsort(points, kind="stable")
    points, heights = points[order], np.where(np.isfinite(heights), heights, _NO_FIT)[order]
    inside = heights <= 0
    reached = [] if span.physical_low or not inside[0] else [(span.low, heights[0])]
    reached += [(span.high, heights[-1])] if inside[-1] else []
    if reached and (inside.all() or not open_ends):
        what = "has all of it" if inside.all() else f"reaches {span.show(reached[-1][0])}"
        raise OpenRegionError(f"the region is not closed inside {span}: it {what}")
    pieces = _pieces(profiler, span, points, heights, best.twice_nll + rise)
    lost = int((~np.isfinite(scan)).sum())
    reaches = {end: float(height) + rise for end, height in reached}
    falling = tuple(end for end in _falling(span, scan) if end not in reaches)
    return ProfileIntervals(best, minima, pieces, lost, scan.size, falling, reaches)


def _falling(span: ScanRange, scan: FloatArray) -> tuple[float, ...]:
    ends = [span.low] if scan[0] < scan[1] and not span.physical_low else []
    return (*ends, *([span.high] if scan[-1] < scan[-2] else []))


def _minima(
    profiler: Profiler, span: ScanRange, grid: FloatArray, scan: FloatArray
) -> tuple[Minimum, ...]:
    finite = np.where(np.isfinite(scan), scan, np.inf)
    padded = np.concatenate([[np.inf], finite, [np.inf]])
    lowest = np.flatnonzero((finite <= padded[:-2]) & (finite <= padded[2:]) & (finite < np.inf))
    values, heights = profiler.minima(grid[lowest])
    found: list[Minimum] = []
    for value, height in sorted(zip(values, heights, strict=True), key=lambda pair: pair[1]):
        spacing = _TOLERANCE * (span.high - span.low)
        inside = span.low <= value <= span.high and np.isfinite(height)
        if inside and all(abs(value - other.value) > spacing for other in found):
            found.append(Minimum(float(value), float(height)))
    if not found and np.any(np.isfinite(heights)):
        raise FitError(
            f"the likelihood has no minimum inside {span}; "
            f"it is lowest at {span.show(float(values[int(np.argmin(heights))]))}"
        )
    if not found:
        raise FitError("no fit converged: no minimum of the likelihood was found")
    # of minima that differ by rounding the one nearest to the SM is the best fit
    level = found[0].twice_nll + TIE
    equal = sorted((m for m in found if m.twice_nll <= level), key=lambda m: abs(m.value))
    return (*equal, *found[len(equal) :])


def _peaks(profiler: Profiler, minima: tuple[Minimum, ...]) -> FloatArray:
    """Return the highest point between neighbouring minima: a barrier may be narrower than a cell.

    Three zooms of 17 points each; the height is flat there, so the place need not be exact.
    """
    values = np.sort([m.value for m in minima])
    low, high = values[:-1], values[1:]
    for _ in range(_ZOOMS):
        points = np.linspace(low, high, 17, axis=-1)
        top = profiler.at(points.ravel()).reshape(points.shape)
        highest = np.where(np.isfinite(top), top, np.inf).argmax(axis=-1)
        row = np.arange(low.size)
        low = points[row, np.maximum(highest - 1, 0)]
        high = points[row, np.minimum(highest + 1, 16)]
    return np.asarray(0.5 * (low + high))


def _pieces(
    profiler: Profiler,
    span: ScanRange,
    points: FloatArray,
    heights: FloatArray,
    level: float,
) -> tuple[tuple[float, float], ...]:
    inside = heights <= 0
    change = np.flatnonzero(inside[1:] != inside[:-1])

    def above(x: FloatArray) -> FloatArray:
        rise = profiler.at(np.ravel(x)).reshape(np.shape(x)) - level
        return np.where(np.isfinite(rise), rise, _NO_FIT)

    places, rises = roots(
        above, points[change], points[change + 1], 1e-7, 1e-9 * (span.high - span.low)
    )
    # at a step of the profile root finding succeeds, too: on the edge of where fits fail
    step = ~(np.abs(rises) < _STEP)
    if step.any():
        raise FitError(
            f"an end of the region is near {span.show(float(places[int(np.argmax(step))]))}, where "
            "no fit converges or the likelihood is not defined"
        )
    ends = [float(x) for x in places]
    if inside[0]:
        ends.insert(0, span.low)
    if inside[-1]:
        ends.append(span.high)
    return tuple(zip(ends[::2], ends[1::2], strict=True))
