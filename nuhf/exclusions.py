"""Intervals of a coupling as a function of a setting, such as the mass of a mediator."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from typing import TYPE_CHECKING

import numpy as np

from nuhf import questions
from nuhf.arrays import FloatArray
from nuhf.errors import InputError
from nuhf.stats.explore import explored
from nuhf.stats.problem import Problem, pose
from nuhf.stats.result_base import (
    Provenance,
    Result,
    choices,
    column_suffix,
    heading,
    title_of,
    unit_text,
)
from nuhf.stats.results import LimitResult
from nuhf.tables import columns_of
from nuhf.units import percent

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Intervals = tuple[tuple[float, float], ...]

MAX_POINTS = 1000
_EXPLORED = 4
"""Of how many values of a setting one has its branches of the nuisances looked for: they change
slowly with it, so that its neighbours start on them."""


@dataclass(frozen=True)
class ExclusionResult(Result):
    """Intervals of one parameter at each value of a setting.

    Attributes
    ----------
    setting : str
        Name of the setting, with its unit.
    at : ndarray
        Its values, (n,).
    intervals : tuple
        All pieces that are allowed at each of them, in the base unit of the parameter.
    best_fit : ndarray
        (n,), in the base unit.
    """

    experiments: tuple[str, ...]
    analysis: str
    parameter: str
    unit: str
    setting: str
    cl: float
    method: str
    at: FloatArray
    intervals: tuple[Intervals, ...]
    best_fit: FloatArray
    profiled: tuple[str, ...]
    fixed: Mapping[str, float]
    notes: tuple[str, ...]
    provenance: Provenance = field(repr=False)

    def lines(self) -> list[str]:
        """Say what is allowed at each value of the setting."""
        unit = unit_text(self.unit)
        lines = [
            f"{heading(self)}, {percent(self.cl)} % CL, {self.method}: {self.parameter} allowed"
            f"{choices(self)}"
        ]
        for at, pieces in zip(self.at, self.intervals, strict=True):
            words = " or ".join(f"{low:.3g} to {high:.3g}" for low, high in pieces)
            lines.append(f"{self.setting} = {at:<9.3g}  {words}{unit}")
        return lines

    def columns(self) -> Mapping[str, Sequence[object]]:
        """Return one row per allowed piece."""
        unit = column_suffix(self.unit)
        keys = (self.setting, "piece", f"lower{unit}", f"upper{unit}", f"best_fit{unit}")
        rows = [
            (float(at), number, low, high, float(best))
            for at, pieces, best in zip(self.at, self.intervals, self.best_fit, strict=True)
            for number, (low, high) in enumerate(pieces, start=1)
        ]
        return columns_of(keys, rows)

    def plot(self, ax: "Axes | None" = None) -> "Figure":
        """Draw the ends of the allowed pieces over the setting; several results overlay."""
        from nuhf.plots import results

        return results.exclusion(self, title_of(self), ax)


def spaced(low: float, high: float, points: int) -> FloatArray:
    """Return values of a setting at equal ratios, (points,)."""
    if not 0.0 < low < high < np.inf:
        raise InputError(f"{low:g} to {high:g}: give two positive numbers, the lower one first")
    if not 2 <= points <= MAX_POINTS:
        raise InputError(f"{points} points: between 2 and {MAX_POINTS} are possible")
    return np.geomspace(low, high, points)


def exclusion(
    problem: Problem,
    setting: str,
    at: Sequence[float] | FloatArray,
    cl: float = 0.9,
    method: str = "delta-chi2",
    step: Callable[[str], None] = lambda text: None,
) -> ExclusionResult:
    """Find the interval of a parameter at each value of a setting, such as ``mediator_mass_mev``.

    The method is ``delta-chi2`` or ``cls`` (asymptotic); ``step`` is told which value comes next.
    `InputError` if the setting is none of the parameter, or there is no value.
    """
    if not len(at):
        raise InputError(f"give at least one value of {setting}")
    if not problem.experiments:
        raise InputError(f"{setting}: the model of a file has no settings")
    options, name = problem.options, problem.parameter.name
    values = np.asarray(at, dtype=float)

    @cache
    def posed(i: int) -> Problem:
        settings = {**options.settings, setting: float(values[i])}
        return pose(problem.experiments, name, replace(options, settings=settings))

    @cache
    def seeds(i: int) -> FloatArray | None:
        return explored(posed(i)).seeds

    made: dict[int, LimitResult] = {}
    order = np.argsort(values)
    for place, i in enumerate(map(int, order)):
        step(f"{setting} = {values[i]:.3g}")
        here, first = posed(i), place - place % _EXPLORED
        if method == "delta-chi2":
            ends = {first, min(first + _EXPLORED, len(order) - 1)}
            starts = [s for end in ends if (s := seeds(int(order[end]))) is not None]
            here = replace(here, seeds=np.vstack(starts))
        made[i] = questions.limit(here, cl, method)
    found = [made[i] for i in range(len(values))]
    last, varied = found[-1], f"{setting} = "
    return ExclusionResult(
        last.experiments, last.analysis, last.parameter, last.unit, setting, cl, method,
        values, tuple(one.intervals for one in found),
        np.array([one.best_fit for one in found]), last.profiled, last.fixed,
        tuple(dict.fromkeys(n for one in found for n in one.notes if not n.startswith(varied))),
        last.provenance,
    )  # fmt: skip
