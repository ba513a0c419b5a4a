"""From the table of a figure to the arrays it is drawn from: profiles, regions, spectra."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Final, TypeVar

import numpy as np

from nuhf import questions
from nuhf.arrays import FloatArray
from nuhf.couplings import parameters
from nuhf.errors import FitError, InputError
from nuhf.experiments.catalogue import load
from nuhf.experiments.prepare import prepare
from nuhf.experiments.region import Prepared
from nuhf.papers.figures_draw import Profile, RegionSet, SpectrumPanel
from nuhf.papers.figures_schema import (
    Choice,
    Histograms,
    Line,
    ProfileCurve,
    ProfilePanel,
    Profiles,
    RegionCurve,
    Regions,
)
from nuhf.papers.published import PublishedRow
from nuhf.plots.spectrum import projected
from nuhf.stats.contour import contour
from nuhf.stats.expected import RegionSpectrum
from nuhf.stats.explore import best_fit
from nuhf.stats.problem import Options, Problem, pose
from nuhf.stats.spectra import region_spectra

C = TypeVar("C", ProfileCurve, RegionCurve)

_MARGIN: Final = 0.5
"""Part of an interval's width that a profile covers on both sides of it."""

_DECADES: Final = 3.0
"""Length of a logarithmic axis whose range is not given."""


@dataclass(frozen=True)
class Bench:
    """What the figures of a paper share: published intervals, and experiments, each built once."""

    rows: Sequence[PublishedRow]
    made: dict[tuple[str, str], Prepared] = field(default_factory=dict)

    def prepared(self, names: Sequence[str], analysis: str) -> list[Prepared]:
        """Return experiments with their regions built."""
        for name in names:
            if (name, analysis) not in self.made:
                self.made[name, analysis] = prepare(load(name, analysis))
        return [self.made[name, analysis] for name in names]

    def pose(self, choice: Choice, interest: str, more: Sequence[str] = ()) -> Problem:
        """Pose the problem that a choice describes; ``more`` couplings are free, too."""
        if choice.experiment is None:
            raise InputError("no key 'experiment', neither on the curve nor on its figure")
        options = Options(
            anapole=choice.convention or "standard",
            fixed=dict(choice.values or {}),
            profiled=(*more, *(choice.profile or ())),
        )
        experiments = self.prepared(choice.experiment, choice.analysis or "default")
        return pose(experiments, interest, options)

    def published(self, choice: Choice, parameter: str, cls: Sequence[float]) -> list[PublishedRow]:
        """Return the published intervals, or bare numbers, that belong to a profile."""
        asked = (
            set(choice.experiment or ()), choice.analysis or "default", set(choice.profile or ())
        )  # fmt: skip
        anapole = bool(parameters.get(parameter).conventions)
        return [
            row
            for row in self.rows
            if row.parameter == parameter
            and (set(row.experiments), row.analysis, set(row.profile)) == asked
            and (row.cl == 0.0 or any(abs(row.cl - cl) < 1e-6 for cl in cls))
            and not choice.values
            and (not anapole or row.convention == (choice.convention or "standard"))
        ]


@contextmanager
def _told(where: str) -> Iterator[None]:
    """Say in front of a failure which part of the figure it is in."""
    try:
        yield
    except (FitError, InputError) as error:
        raise type(error)(f"{where}: {error}") from None


def _curves(
    given: Sequence[C], kind: type[C], figure: Profiles | Regions, where: str
) -> Iterator[tuple[C, str]]:
    """Yield each curve, one if none is given, with what it leaves to its figure, and its place."""
    alone = kind(label=" + ".join(figure.experiment or ("curve",)))
    for i, curve in enumerate(given or (alone,)):
        here = f"{where}.curves.{i}" if given else where
        names = [n for n in ("parameter", *Choice.model_fields) if getattr(curve, n) is None]
        whole = curve.model_copy(update={name: getattr(figure, name) for name in names})
        if whole.parameter is None:
            raise InputError(f"{here}: no key 'parameter', neither on the curve nor on its figure")
        yield whole, here


def profile_panels(
    figure: Profiles, bench: Bench, where: str
) -> tuple[dict[str, tuple[ProfilePanel, list[Profile]]], list[str]]:
    """Compute the profiles of a figure.

    Returns settings and profiles by panel, in the order of their first curve, and the caveats of
    the results. A message of what is not possible starts with ``where`` and the number of the
    curve.
    """
    posed = []
    for curve, here in _curves(figure.curves, ProfileCurve, figure, where):
        names = curve.parameter or ()
        posed += [_pose(curve, name, figure, bench, f"{here} ({name})") for name in names]
    grouped: dict[str, list[Profile]] = {}
    for one in posed:
        grouped.setdefault(one.panel, []).append(one)
    _check_panels(figure.panels, grouped, where)
    _check_bands(figure, posed, where)
    panels = {}
    for name, group in grouped.items():
        settings = _settings(figure, name)
        _check_units(group, f"{where}: panel '{name}'")
        ends = _ends(group, settings, f"{where}.panels.{name}")
        profiles = [_profile(one, settings, ends, figure) for one in group]
        panels[name] = settings, profiles
    return panels, _notes([one.problem for one in posed])


def _settings(figure: Profiles, name: str) -> ProfilePanel:
    """Return the settings of a panel with what it leaves to the figure."""
    given = figure.panels.get(name, ProfilePanel())
    log = figure.log if given.log is None else given.log
    return given.model_copy(update={"log": log, "ymax": given.ymax or figure.ymax})


def _check_bands(figure: Profiles, posed: Sequence[Profile], where: str) -> None:
    labels = {one.curve.label for one in posed}
    for i, band in enumerate(figure.bands):
        for label in band.between:
            if label not in labels:
                hint = parameters.suggest(label, sorted(labels))
                raise InputError(f"{where}.bands.{i}: no curve is labelled '{label}'; {hint}")


def _pose(curve: ProfileCurve, name: str, figure: Profiles, bench: Bench, where: str) -> Profile:
    with _told(where):
        problem = bench.pose(curve, name)
        limits = tuple(
            questions.limit(problem, cl, "delta-chi2") for cl in sorted(figure.cl) if curve.interval
        )
        published = bench.published(curve, name, figure.cl) if figure.published else []
        panel = curve.panel or name
        if not curve.interval and not (curve.range or panel in figure.panels):
            raise InputError("interval = false: give the curve or its panel a range")
    return Profile(curve, panel, where, problem, limits, tuple(published))


def _check_panels(given: Mapping[str, object], used: Mapping[str, object], where: str) -> None:
    for name in given:
        if name not in used:
            raise InputError(f"{where}.panels: no panel '{name}'; {parameters.suggest(name, used)}")


def _check_units(group: Sequence[Profile], where: str) -> None:
    units = {one.problem.parameter.unit for one in group}
    if len(units) > 1:
        raise InputError(f"{where}: different units on one axis: {', '.join(sorted(units))}")


def _ends(group: Sequence[Profile], settings: ProfilePanel, where: str) -> tuple[float, float]:
    """Ends of the axis of a panel: as given, or around all intervals, ours and published."""
    bounded = all(one.bounded for one in group)
    ranges = [one.curve.range for one in group if one.curve.range is not None]
    if settings.range is not None or len(ranges) == len(group):
        low, high = settings.range or (min(r[0] for r in ranges), max(r[1] for r in ranges))
        _check_range(low, high, bounded, bool(settings.log), where)
        return low, high
    points = [end for pair in ranges for end in pair]
    for one in group:
        hull = [end for limit in one.limits for piece in limit.intervals for end in piece]
        if hull:
            margin = _MARGIN * (max(hull) - min(hull))
            points += [min(hull) - margin, max(hull) + margin]
        points += [end for row in one.published for end in (row.lower, row.upper)]
    low, high = (0.0 if bounded else min(points)), max(points)
    if settings.log:
        low = low if low > 0.0 else high * 10.0**-_DECADES
        if not bounded:
            raise InputError(f"{where}: log = true with a parameter of either sign: give a range")
    return low, high


def _check_range(low: float, high: float, bounded: bool, log: bool, where: str) -> None:
    if not low < high:
        raise InputError(f"{where}: range {low:g} to {high:g}: the lower end first")
    if bounded and low < 0.0:
        raise InputError(f"{where}: range starts at {low:g}: this parameter is not below 0")
    if log and low <= 0.0:
        raise InputError(f"{where}: log = true needs a range above 0, given: {low:g} to {high:g}")


_ENOUGH: Final = 30
_SHOWN: Final = 10.0


def _profile(
    one: Profile, settings: ProfilePanel, ends: tuple[float, float], figure: Profiles
) -> Profile:
    """Compute a profile over its axis."""
    parameter, coupling = one.problem.parameter, one.problem.description.couplings[0]
    if one.curve.range is not None:
        ends = one.curve.range
        _check_range(*ends, one.bounded, bool(settings.log), f"{one.where}: key 'range'")
    widest = parameter.from_fit(coupling.low), parameter.from_fit(coupling.high)
    low, high = max(ends[0], widest[0]), min(ends[1], widest[1])
    spaced = np.geomspace if settings.log else np.linspace
    marks = [end for limit in one.limits for piece in limit.intervals for end in piece]
    marks += [value for limit in one.limits for value, _ in limit.minima]
    for limit in one.limits:
        # a piece may be narrower than a step of the axis
        marks += [v for a, b in limit.intervals for v in np.linspace(a, b, 41)]
    inside = [value for value in marks if low < value < high]
    values = np.unique(np.concatenate([spaced(low, high, figure.points), inside]))
    with _told(one.where):
        heights, best, lowest = _heights(one, values)
        for _ in range(_ENOUGH):
            # a curve may be narrower than the steps of the shared axis: halve them
            near = np.flatnonzero(heights - lowest < _SHOWN)
            first, last = max(near.min(initial=0) - 1, 0), near.max(initial=0) + 2
            if near.size > _ENOUGH or first + 1 >= values[:last].size:
                break
            middles = 0.5 * (values[first : last - 1] + values[first + 1 : last])
            values = np.unique([*values, *middles, min(max(best, low), high)])
            heights, best, lowest = _heights(one, values)
    return replace(one, values=values, delta=heights - lowest, best_fit=best)


def _heights(one: Profile, values: FloatArray) -> tuple[FloatArray, float, float]:
    """2NLL (n,), the best fit in its base unit, and the lowest 2NLL."""
    profiler, parameter = one.problem.profiler(), one.problem.parameter
    grid = np.array([parameter.to_fit(float(value)) for value in values])
    heights = profiler.at(grid)
    if one.limits:
        return heights, one.limits[0].best_fit, one.limits[0].twice_nll_min
    point, lowest = profiler.best(np.array([grid[int(np.argmin(heights))]]))
    return heights, parameter.from_fit(float(point[profiler.index])), lowest


def _notes(problems: Sequence[Problem]) -> list[str]:
    return list(
        dict.fromkeys(
            f"{', '.join(problem.names)} ({problem.analysis}): {note}"
            for problem in problems
            for note in problem.notes
        )
    )


def region_panels(
    figure: Regions, bench: Bench, where: str
) -> tuple[dict[str, list[RegionSet]], list[str]]:
    """Compute the regions of a figure, by panel; errors as in `profile_panels`."""
    panels: dict[str, list[RegionSet]] = {}
    problems = []
    for curve, here in _curves(figure.curves, RegionCurve, figure, where):
        for first, second in curve.parameter or ():
            with _told(f"{here} ({first}, {second})"):
                if first == second:
                    raise InputError("a region takes two different parameters")
                parameters.get(second)
                problem = bench.pose(curve, first, (second,))
                found = contour(problem, figure.cl, figure.points)
            problems.append(problem)
            made = RegionSet(curve.label, curve.filled, found)
            panels.setdefault(curve.panel or f"{first}/{second}", []).append(made)
    for name, group in panels.items():
        if len({one.found.parameters for one in group}) > 1:
            raise InputError(f"{where}: panel '{name}' has different pairs of parameters")
    return panels, _notes(problems)


def spectrum_parts(
    figure: Histograms, bench: Bench, where: str
) -> tuple[list[SpectrumPanel], list[str]]:
    """Compute data, components and lines, one entry per axis that is drawn."""
    parts: list[SpectrumPanel] = []
    problems: list[Problem] = []
    for name in figure.experiment:
        base = Line(label=figure.title, analysis=figure.analysis)
        shown, problem = _spectrum(base, figure, name, bench, where)
        problems.append(problem)
        lines = []
        for i, line in enumerate(figure.lines):
            drawn, posed = _spectrum(line, figure, name, bench, f"{where}.lines.{i}")
            lines.append((line, {one.region: one for one in drawn}))
            problems.append(posed)
        for region in shown:
            for i, axis in enumerate(region.axes):
                if axis.bins > 1 and figure.axis in (None, axis.name):
                    parts.append(_panel(region, i, lines, len(figure.experiment) > 1))
    if not parts:
        raise InputError(
            f"{where}: no region with axis = {figure.axis!r}; "
            f"there are {', '.join(sorted(_axis_names(problems)))}"
        )
    return parts, _notes(problems)


def _axis_names(problems: Sequence[Problem]) -> set[str]:
    regions = [region for problem in problems for one in problem.experiments
               for region in one.regions]  # fmt: skip
    return {f"{region.name}/{axis.name}" for region in regions for axis in region.axes}


def _spectrum(
    line: Line, figure: Histograms, name: str, bench: Bench, where: str
) -> tuple[list[RegionSpectrum], Problem]:
    with _told(where):
        analysis = line.analysis or figure.analysis
        choice = Choice(experiment=(name,), analysis=analysis, values=line.values)
        (one,) = bench.prepared((name,), analysis or "default")
        problem = bench.pose(choice, line.fit or one.loaded.experiment.strength)
        point = None
        if line.fit is not None:
            point, _ = best_fit(problem)
    return region_spectra(problem, point), problem


def _panel(
    region: RegionSpectrum,
    i: int,
    lines: Sequence[tuple[Line, Mapping[str, RegionSpectrum]]],
    several: bool,
) -> SpectrumPanel:
    """Project a region and the lines over it on one axis."""
    drawn = []
    for line, regions in lines:
        same = regions.get(region.region)
        if same is None or len(same.axes) != len(region.axes):
            raise InputError(f"line '{line.label}': its analysis has no region '{region.region}'")
        drawn.append((line.label, line.style, projected(same, i)))
    title = f"{region.experiment}: {region.region}" if several else region.region
    return SpectrumPanel(title, projected(region, i), tuple(drawn))
