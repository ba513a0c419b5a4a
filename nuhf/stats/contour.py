"""Regions of two parameters: profile on a grid, boundaries refined by root finding."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final

import contourpy
import numpy as np

from nuhf.arrays import FloatArray
from nuhf.errors import InputError
from nuhf.likelihood.engines import ModelProfiler
from nuhf.stats.explore import explored
from nuhf.stats.intervals import ScanRange, intervals, threshold
from nuhf.stats.problem import Problem
from nuhf.stats.result_base import (
    JsonValue,
    Provenance,
    Result,
    choices,
    column_suffix,
    heading,
    label_of,
    lost_note,
    plain,
    unit_text,
)
from nuhf.units import percent

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_MARGIN: Final = 0.12
_SECANT_STEPS: Final = 6


@dataclass(frozen=True)
class ContourResult(Result):
    """Regions of two parameters, in base units.

    Attributes
    ----------
    regions : tuple of (float, tuple of ndarray)
        Confidence level and the boundary lines (n, 2) of its region, all pieces; closed lines
        repeat their first point, open ones end at a physical bound.
    best_fit : (float, float)
        Global minimum.
    x, y : ndarray
        Grid (n,) and (m,).
    delta : ndarray
        2NLL above the minimum on the grid, (m, n).
    """

    experiments: tuple[str, ...]
    analysis: str
    parameters: tuple[str, str]
    units: tuple[str, str]
    convention: str | None
    best_fit: tuple[float, float]
    twice_nll_min: float
    regions: tuple[tuple[float, tuple[FloatArray, ...]], ...]
    x: FloatArray
    y: FloatArray
    delta: FloatArray
    profiled: tuple[str, ...]
    optimizer: str
    notes: tuple[str, ...]
    provenance: Provenance = field(repr=False)
    method: str = "delta-chi2"

    def to_dict(self) -> dict[str, JsonValue]:
        """Return plain lists, dicts, strings and numbers (regions by confidence level)."""
        regions: list[JsonValue] = [
            {"cl": cl, "lines": [plain(line) for line in lines]} for cl, lines in self.regions
        ]
        return super().to_dict() | {"regions": regions}

    def lines(self) -> list[str]:
        """Say how far every piece of every region extends, and which lines are holes."""
        names = self.parameters
        lines = [
            f"{heading(self)}, 2 degrees of freedom, {self.method}{choices(self, names)}",
            "best fit  "
            + ", ".join(
                f"{name} = {value:.3g}{unit_text(unit)}"
                for name, value, unit in zip(names, self.best_fit, self.units, strict=True)
            ),
        ]
        for cl, boundaries in self.regions:
            holes = _holes(boundaries)
            number = len(boundaries) - sum(holes)
            lines.append(f"{percent(cl)} % CL: {number} {'piece' if number == 1 else 'pieces'}")
            for line, hole in zip(boundaries, holes, strict=True):
                ends = zip(names, line.min(axis=0), line.max(axis=0), self.units, strict=True)
                extent = ", ".join(
                    f"{name} [{low:.3g}, {high:.3g}]{unit_text(unit)}"
                    for name, low, high, unit in ends
                )
                lines.append(f"  {'hole: ' if hole else ''}{extent}")
        return lines

    def columns(self) -> dict[str, Sequence[object]]:
        """Return the points of the boundary lines: level, number of the line, x, y."""
        names = [
            f"{name}{column_suffix(unit)}"
            for name, unit in zip(self.parameters, self.units, strict=True)
        ]
        rows = [
            (cl, number, float(x), float(y))
            for cl, lines in self.regions
            for number, line in enumerate(lines, start=1)
            for x, y in line
        ]
        keys = ("cl", "line", *names)
        return {key: [row[i] for row in rows] for i, key in enumerate(keys)}

    def plot(self, ax: "Axes | None" = None, *, label: str | None = None) -> "Figure":
        """Draw the regions and the best fit; several results overlay on given axes.

        The ``label`` for a legend is by default what the regions are of.
        """
        from nuhf.plots import results

        return results.region(self, label or label_of(self, self.parameters), ax)


def _holes(boundaries: Sequence[FloatArray]) -> list[bool]:
    """Tell which closed lines (n, 2) lie inside an odd number of the others."""
    depth = [
        sum(_enclosed(line[0], other) for other in boundaries if other is not line)
        for line in boundaries
    ]
    return [number % 2 == 1 for number in depth]


def _enclosed(point: FloatArray, line: FloatArray) -> bool:
    """Count crossings of a ray from the point to the right with the line (n, 2)."""
    start, end = line[:-1], line[1:]
    spans = (start[:, 1] > point[1]) != (end[:, 1] > point[1])
    a, b = start[spans], end[spans]
    crossing = a[:, 0] + (point[1] - a[:, 1]) / (b[:, 1] - a[:, 1]) * (b[:, 0] - a[:, 0])
    return int((crossing > point[0]).sum()) % 2 == 1


Window = Sequence[tuple[float, float]]
"""Ranges of x and y."""


@dataclass(frozen=True)
class _Plane:
    """The profile as a function of two fit parameters, in units of their ranges."""

    profiler: ModelProfiler
    indices: tuple[int, int]
    low: FloatArray
    width: FloatArray
    floor: float

    def __call__(self, points: FloatArray) -> FloatArray:
        """2NLL above the floor at points (n, 2) of the unit square."""
        inside = np.clip(points, 0.0, 1.0)
        return self.profiler.at_points(self.indices, self.low + inside * self.width) - self.floor


def contour(
    problem: Problem, levels: Sequence[float], points: int, window: Window | None = None
) -> ContourResult:
    """Find the regions of the parameter of interest, x, and the first profiled one, y.

    Parameters
    ----------
    levels : sequence of float
        Confidence levels, for two degrees of freedom.
    points : int
        Grid points along each axis.
    window : pair of (float, float), optional
        Range of x and of y in base units, at whose frame lines may end; by default one around the
        region, and `FitError` if that is not closed.
    """
    if not 10 <= points <= 400:
        raise InputError(f"points = {points}: between 10 and 400 are possible")
    levels = sorted(set(levels))
    rises = [threshold(cl, 2) for cl in levels]
    problem = explored(problem)
    couplings = problem.description.couplings[:2]
    compiled = problem.engine.compiled
    first, second = (c.parameter for c in couplings)
    indices = (compiled.index(first.fit_name), compiled.index(second.fit_name))
    if window is None:
        best, lowest, low, high = _extent(problem, indices, levels[-1])
    else:
        best, lowest, low, high = _inside(problem, window)
    plane = _Plane(problem.profiler(), indices, low, high - low, lowest)
    unit = np.linspace(0.0, 1.0, points)
    grid = np.stack(np.meshgrid(unit, unit), axis=-1)
    heights = plane(grid.reshape(-1, 2)).reshape(points, points)
    if window is not None:
        deepest, rise = _deepest(plane, grid.reshape(-1, 2), heights.ravel())
        best[list(indices)] = low + deepest * (high - low)
        plane, heights, lowest = replace(plane, floor=lowest + rise), heights - rise, lowest + rise
    lines = [
        tuple(_base(problem, low + line * (high - low)) for line in _lines(plane, heights, rise))
        for rise in rises
    ]
    return ContourResult(
        experiments=problem.names,
        analysis=problem.analysis,
        parameters=(first.name, second.name),
        units=(first.unit, second.unit),
        convention=problem.convention,
        best_fit=(
            first.from_fit(float(best[indices[0]])),
            second.from_fit(float(best[indices[1]])),
        ),
        twice_nll_min=lowest,
        regions=tuple(zip(levels, lines, strict=True)),
        x=np.array([first.from_fit(v) for v in low[0] + unit * (high - low)[0]]),
        y=np.array([second.from_fit(v) for v in low[1] + unit * (high - low)[1]]),
        delta=heights,
        profiled=problem.profiled[1:],
        optimizer=problem.engine.optimizer,
        notes=(
            *problem.notes,
            *(["drawn within a window: what lies outside is not seen"] if window else []),
            *lost_note(int((~np.isfinite(heights)).sum()), heights.size, "taken to be outside"),
        ),
        provenance=problem.provenance(),
    )


def _extent(
    problem: Problem, indices: tuple[int, int], cl: float
) -> tuple[FloatArray, float, FloatArray, FloatArray]:
    """Best fit (P,), its 2NLL, and the corners (2,) of a frame around the region at ``cl``."""
    profiler = problem.profiler()
    fits, spans = [], []
    for index, coupling in zip(indices, problem.description.couplings[:2], strict=True):
        along = replace(profiler, index=index)
        span = ScanRange(coupling.low, coupling.high, coupling.bounded, coupling.parameter.show)
        found = intervals(along, span, cl, 2)
        start, end = found.pieces[0][0], found.pieces[-1][1]
        margin = _MARGIN * (end - start)
        spans.append((max(start - margin, coupling.low), min(end + margin, coupling.high)))
        fits.append(along.best(np.array([found.best.value])))
    best, lowest = min(fits, key=lambda fit: fit[1])
    low, high = np.array(spans).T
    return best, lowest, low, high


def _deepest(plane: _Plane, grid: FloatArray, heights: FloatArray) -> tuple[FloatArray, float]:
    """Return the point (2,) of the unit square where the profile is lowest, and its height."""
    from scipy.optimize import minimize  # here: limits do without

    start = grid[int(np.nanargmin(heights))]

    def height(point: FloatArray) -> float:
        return float(plane(point[np.newaxis])[0])

    box: Sequence[tuple[float, float]] = [(0.0, 1.0), (0.0, 1.0)]
    found = minimize(height, start, method="Nelder-Mead", bounds=box)
    return np.asarray(found.x), min(float(found.fun), float(np.nanmin(heights)))


def _inside(problem: Problem, window: Window) -> tuple[FloatArray, float, FloatArray, FloatArray]:
    """Return a point (P,), its 2NLL, and the corners of a window in fit parameters."""
    couplings = problem.description.couplings[:2]
    corners = []
    for (low, high), coupling in zip(window, couplings, strict=True):
        parameter = coupling.parameter
        if not (np.isfinite([low, high]).all() and low < high):
            raise InputError(f"window {low} to {high}: give two numbers, the lower one first")
        ends = parameter.to_fit(low), parameter.to_fit(high)
        if ends[0] < coupling.low or ends[1] > coupling.high or (parameter.squared and low < 0):
            raise InputError(
                f"window {low:g} to {high:g}: {parameter.name} is from "
                f"{parameter.from_fit(coupling.low):g} to {parameter.from_fit(coupling.high):g}"
            )
        corners.append(ends)
    profiler = problem.profiler()
    middle = 0.5 * (corners[0][0] + corners[0][1])
    best, lowest = profiler.best(np.array([*corners[0], middle]))
    low_corner, high_corner = np.array(corners).T
    return best, lowest, low_corner, high_corner


def _base(problem: Problem, line: FloatArray) -> FloatArray:
    """Convert a line (n, 2) of fit parameters to base units."""
    pair = [c.parameter for c in problem.description.couplings[:2]]
    return np.array([[p.from_fit(v) for p, v in zip(pair, row, strict=True)] for row in line])


def _lines(plane: _Plane, heights: FloatArray, rise: float) -> list[FloatArray]:
    """Lines of the grid at a height, every vertex moved onto the height along the gradient."""
    points = heights.shape[0]
    unit = np.linspace(0.0, 1.0, points)
    finite = np.where(np.isfinite(heights), heights, 1e6)
    # far above the region the surface is steep and interpolation of it poor
    capped = np.minimum(finite, 4.0 * rise + 20.0)
    fine = np.linspace(0.0, 1.0, 2 * points - 1)
    from scipy.interpolate import RectBivariateSpline  # here: limits do without

    smooth = RectBivariateSpline(unit, unit, capped)(fine, fine)
    generator = contourpy.contour_generator(fine, fine, smooth)
    found = [np.asarray(line) for line in generator.lines(rise)]
    if not found:
        return []
    vertices = np.concatenate(found)
    refined = _refine(plane, vertices, rise, 1.0 / (points - 1))
    return np.split(refined, np.cumsum([len(line) for line in found])[:-1])


def _refine(plane: _Plane, start: FloatArray, rise: float, cell: float) -> FloatArray:
    """Newton steps along the gradient, at most one cell away from the start.

    Points (n, 2) beside a place without a number stay where they are.
    """
    x = start.copy()
    step = 1e-3 * cell
    # a line that ends at the frame, which may be a physical bound, stays on it
    edge = (start <= 0.0) | (start >= 1.0)
    offsets = step * np.array([[0, 0], [1, 0], [-1, 0], [0, 1], [0, -1]], dtype=float)
    for _ in range(_SECANT_STEPS):
        probes = (x + offsets[:, np.newaxis]).reshape(-1, 2)
        values = plane(probes).reshape(5, -1)
        values[:, ~np.isfinite(values).all(axis=0)] = rise
        here, right, left, up, down = values
        gradient = np.stack([right - left, up - down], axis=-1) / (2.0 * step)
        gradient[edge] = 0.0
        size = np.maximum((gradient**2).sum(axis=-1), 1e-12)
        move = ((rise - here) / size)[:, np.newaxis] * gradient
        length = np.maximum(np.abs(move).max(axis=-1, keepdims=True), 1e-300)
        x = np.clip(x + move * np.minimum(1.0, 0.5 * cell / length), 0.0, 1.0)
        x = start + np.clip(x - start, -cell, cell)
        if np.abs(here - rise).max() < 1e-6 * rise:
            break
    return x
