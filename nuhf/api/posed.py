"""From the keywords of the public functions to problems that can be fitted."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

from nuhf import questions
from nuhf.api.arguments import Bracket, ModelLike, Names, changed, number, whole
from nuhf.api.arguments import names as one_or_more
from nuhf.api.given import experiments_of, files_of, prepared_of, several
from nuhf.api.model import Model, ranged
from nuhf.couplings.parameters import get, suggest
from nuhf.errors import InputError
from nuhf.stats.files import pose_files, read_files
from nuhf.stats.intervals import threshold
from nuhf.stats.problem import Options, Problem, pose
from nuhf.stats.results import FitResult, LimitResult
from nuhf.toys.sample import ToyOptions

__all__ = [
    "ToyChoices",
    "check",
    "one_problem",
    "posed_fit",
    "posed_limits",
    "problems",
    "strength",
]


def strength(names: ModelLike) -> str | None:
    """Return the strength of the SM process that the (first) experiment measures; None of files."""
    if isinstance(names, Model) or files_of(several(names)) is not None:
        return None
    return experiments_of(names)[0].loaded.experiment.strength


def problems(
    names: ModelLike,
    parameter: Names | None = None,
    chosen: Options | None = None,
    analysis: str = "default",
    patch: Names = (),
    measurement: str | None = None,
) -> list[Problem]:
    """Return one problem per parameter; without one, for all parameters of the experiments.

    Of files it is the parameter of interest of the measurement, of a `Model` its own.
    """
    chosen = chosen or Options()
    wanted = one_or_more(parameter, "parameter")
    if isinstance(names, Model):
        given = [name for name in changed(chosen) if name != "search"]
        if given or wanted not in ((), (names.poi,)) or analysis != "default":
            what = given[0] if given else "parameter" if wanted else "analysis"
            raise InputError(f"{what}: the model has its own; model.replace(...) returns another")
        return [ranged(names.problem, chosen.search)]
    files = files_of(several(names))
    if files is not None and analysis != "default":
        raise InputError(f"analysis = {analysis}: analyses are of experiments, not of files")
    if files is None and (patch or measurement):
        raise InputError("a patch and a measurement are of workspace files, not of experiments")
    if files is not None:
        _check_wanted(wanted, chosen.search)
        source = read_files(files, one_or_more(patch, "patch"), measurement)
        return [pose_files(source, name, chosen) for name in wanted or [None]]
    measured = prepared_of(names, analysis)
    if parameter is None:
        every = dict.fromkeys(p for one in measured for p in one.loaded.analysis.parameters)
        wanted = tuple(p for p in every if p not in chosen.values)
        if not wanted:
            raise InputError(f"every parameter is set to a value: {', '.join(every)}")
    elif not wanted:
        raise InputError("name at least one parameter")
    for name in wanted:
        get(name)
    _check_wanted(wanted, chosen.search)
    return [pose(measured, name, chosen) for name in wanted]


def _check_wanted(wanted: Sequence[str], search: Bracket | None) -> None:
    twice = [name for name in wanted if wanted.count(name) > 1]
    if twice:
        raise InputError(f"parameter: {twice[0]} is given twice")
    if search is not None and len(wanted) > 1:
        raise InputError(
            f"search: it is for one parameter, and here are {len(wanted)}: {', '.join(wanted)}; "
            "name one with parameter='NAME'"
        )


def one_problem(
    names: ModelLike,
    parameter: Names | None,
    chosen: Options,
    analysis: str = "default",
    patch: Names = (),
    measurement: str | None = None,
) -> Problem:
    """Return the problem of a function that takes one parameter (`InputError` for several)."""
    wanted = one_or_more(parameter, "parameter")
    if len(wanted) > 1:
        raise InputError(f"this takes one parameter, given: {', '.join(wanted)}")
    return problems(names, parameter, chosen, analysis, patch, measurement)[0]


@dataclass(frozen=True)
class ToyChoices:
    """Keywords of toys as given; None is not given."""

    toys: int | None = None
    seed: int | None = None
    points: int | None = None
    jobs: int | None = None
    scheduler: str | None = None
    checkpoint: str | Path | None = None
    progress: TextIO | None = None

    def options(self, default: int | None, method: str = "") -> ToyOptions | None:
        """Return how toys are made; None without toys.

        Parameters
        ----------
        default : int or None
            Number of toys if none is given; None for no toys.
        method : str
            The method that makes no toys, for the message.

        Raises
        ------
        InputError
            If a number is out of range, or an option of toys given where none are made.
        """
        given = {key: value for key, value in vars(self).items() if value is not None}
        toys = default if self.toys is None else whole(self.toys, "toys")
        if toys is None:
            for name in ("seed", "jobs", "scheduler", "checkpoint"):
                if name in given:
                    hint = f"{method} makes none" if method else "give toys='N', too"
                    raise InputError(f"{name}: it is for toys; {hint}")
            return None
        return ToyOptions(
            toys,
            1 if self.seed is None else whole(self.seed, "seed"),
            40 if self.points is None else whole(self.points, "points"),
            None if self.jobs is None else whole(self.jobs, "jobs"),
            None if self.checkpoint is None else Path(self.checkpoint),
            self.progress,
            self.scheduler,
        )


def check(cl: float, method: str) -> None:
    """Refuse a bad confidence level or method before anything is built (`InputError`)."""
    threshold(number(cl, "cl"))
    if method not in questions.METHODS:
        raise InputError(f"unknown method '{method}'; {suggest(str(method), questions.METHODS)}")


def posed_limits(
    names: ModelLike,
    parameter: Names | None,
    cl: float,
    method: str,
    chosen: Options,
    toys: ToyChoices,
    analysis: str = "default",
    patch: Names = (),
    measurement: str | None = None,
) -> list[tuple[Problem, LimitResult]]:
    """Return the `nuhf.stats.problem.Problem` of each parameter with the result of `limit`."""
    check(cl, method)
    if method != "feldman-cousins" and toys.points is not None:
        raise InputError(f"points: {method} takes none, feldman-cousins does")
    default = questions.DEFAULT_TOYS if method == "feldman-cousins" else None
    wanted = toys.options(default, "" if method == "cls" else method)
    posed = problems(names, parameter, chosen, analysis, patch, measurement)
    if wanted is not None and wanted.checkpoint is not None and len(posed) > 1:
        raise InputError("checkpoint: it is for one parameter; name one")
    return [(p, questions.limit(p, cl, method, wanted)) for p in posed]


def posed_fit(
    names: ModelLike,
    parameter: str | None,
    chosen: Options,
    toys: ToyChoices,
    analysis: str = "default",
    patch: Names = (),
    measurement: str | None = None,
) -> tuple[Problem, FitResult]:
    """Return the `nuhf.stats.problem.Problem` with the result of `fit`."""
    made = toys.options(None)
    problem = one_problem(names, parameter or strength(names), chosen, analysis, patch, measurement)
    return problem, questions.fit(problem, made)
