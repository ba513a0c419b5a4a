"""What a report says about one experiment: fits, limits, and the published numbers."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Final

from nuhf import questions
from nuhf.couplings import parameters
from nuhf.errors import NuhfError
from nuhf.experiments.catalogue import load
from nuhf.experiments.prepare import prepare
from nuhf.experiments.region import Prepared
from nuhf.papers.published import Comparison, compare, read_rows
from nuhf.papers.reproduced import Step, ours
from nuhf.stats.contour import ContourResult, contour
from nuhf.stats.expected import RegionSpectrum
from nuhf.stats.problem import Options, Problem, pose
from nuhf.stats.ranking import RankingResult, ranking
from nuhf.stats.results import FitResult, LimitResult, ScanResult
from nuhf.stats.spectra import after_fit, before_fit

_METHOD: Final = "delta-chi2"
_POINTS: Final = 121
_GRID: Final = 40
_LEVELS: Final = (0.68, 0.9)
_CONTOURS: Final = 2
_AFFORDABLE: Final = 60_000
"""Bins x samples x nuisances up to which a ranking takes seconds."""


@dataclass(frozen=True)
class StrengthFit:
    """The fit of a strength, the spectra before and after it, and a ranking if that is quick."""

    problem: Problem
    result: FitResult
    before: Sequence[RegionSpectrum]
    after: Sequence[RegionSpectrum]
    ranked: RankingResult | None = None


@dataclass(frozen=True)
class MeasuredParameter:
    """One parameter: interval and profile, or why there is none."""

    parameter: str
    limit: LimitResult | None = None
    scan: ScanResult | None = None
    failure: str = ""


@dataclass(frozen=True)
class Content:
    """Everything a report shows of one experiment and analysis.

    All parameters of the analysis are measured, and the published rows are those of this experiment
    alone. What could not be computed is in ``failures``, in words.
    """

    prepared: Prepared
    fitted: StrengthFit | None
    measured: tuple[MeasuredParameter, ...]
    contours: tuple[ContourResult, ...]
    published: tuple[Comparison, ...]
    failures: tuple[str, ...]
    provenance: dict[str, Any]


def gather(name: str, analysis: str, cl: float, step: Step = lambda text: None) -> Content:
    """Compute everything for one experiment; what fails is told, not hidden."""
    step(f"{name}: templates")
    one = prepare(load(name, analysis))
    failures: list[str] = []
    strength = partial(pose, [one], one.loaded.experiment.strength, Options())
    found = fitted(name, "fit of the SM strength", strength, failures, step)
    intervals = tuple(measure([one], p, cl, step) for p in one.loaded.analysis.parameters)
    failures += [f"{m.parameter}: {m.failure}" for m in intervals if m.failure]
    contours = []
    for pair in _pairs([m.parameter for m in intervals if m.limit]):
        step(f"{name}: region of {pair[0]} and {pair[1]}")
        try:
            problem = pose([one], pair[0], Options(profiled=(pair[1],)))
            contours.append(contour(problem, _LEVELS, _GRID))
        except NuhfError as error:
            failures.append(f"region of {pair[0]} and {pair[1]}: {error}")
    published, more = _published(one, name, step)
    source = next((m.limit for m in intervals if m.limit), found.result if found else None)
    return Content(
        one, found, intervals, tuple(contours), published, (*failures, *more),
        dict(source.provenance) if source else {"digests": dict(one.digests)},
    )  # fmt: skip


def fitted(
    name: str, what: str, made: Callable[[], Problem], failures: list[str], step: Step
) -> StrengthFit | None:
    """Fit a problem and rank its nuisances; what fails is added to ``failures``."""
    found = None
    step(f"{name}: fit")
    try:
        problem = made()
        result = questions.fit(problem)
        found = StrengthFit(problem, result, before_fit(problem), after_fit(problem))
        if affordable(problem):
            step(f"{name}: ranking")
            found = replace(found, ranked=ranking(problem))
    except NuhfError as error:
        failures.append(f"{'ranking' if found else what}: {error}")
    return found


def affordable(problem: Problem) -> bool:
    """Whether a ranking of all nuisances is quick; False if there are none."""
    floating = int(problem.profiler().free.sum()) - 1
    cells = sum(len(c.samples) * c.observed.size for c in problem.description.channels)
    return floating > 0 and cells * floating <= _AFFORDABLE


def measure(
    experiments: Sequence[Prepared], parameter: str, cl: float, step: Step
) -> MeasuredParameter:
    """Return interval and profile of a parameter, others at the SM."""
    try:
        problem = pose(experiments, parameter, Options())
    except NuhfError as error:
        return MeasuredParameter(parameter, failure=str(error))
    return measured(problem, cl, step)


def measured(problem: Problem, cl: float, step: Step) -> MeasuredParameter:
    """Return interval and profile of the parameter of interest."""
    parameter = problem.parameter.name
    step(f"{' + '.join(problem.names)}: {parameter}")
    try:
        found = questions.limit(problem, cl, _METHOD)
        return MeasuredParameter(parameter, found, questions.scan(problem, _POINTS, found))
    except NuhfError as error:
        return MeasuredParameter(parameter, failure=str(error))


def _pairs(names: Sequence[str]) -> list[tuple[str, str]]:
    """Choose pairs for regions: the first two of a group, charges and radii before others."""
    grouped: dict[str, list[str]] = {}
    for name in sorted(names, key=lambda n: parameters.get(n).group.order):
        if not parameters.get(name).contains:
            grouped.setdefault(parameters.get(name).group.name, []).append(name)
    found = [(members[0], members[1]) for members in grouped.values() if len(members) > 1]
    if not found and len(grouped) > 1:
        first, second = list(grouped.values())[:2]
        found = [(first[0], second[0])]
    return found[:_CONTOURS]


def _published(
    one: Prepared, name: str, step: Step
) -> tuple[tuple[Comparison, ...], tuple[str, ...]]:
    """Compare the published rows of this experiment alone with ours."""
    rows = [row for row in read_rows("all") if row.experiments == (name,)]
    made = {one.loaded.analysis_name: one}
    found, failures = [], []
    for i, row in enumerate(rows):
        step(f"{name}: published number {i + 1} of {len(rows)}")
        try:
            if row.analysis not in made:
                made[row.analysis] = prepare(load(name, row.analysis))
            found.append(compare(row, ours([made[row.analysis]], row)))
        except NuhfError as error:
            failures.append(f"{row.paper} {row.where}, {row.parameter}: {error}")
    return tuple(found), tuple(failures)
