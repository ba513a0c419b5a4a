"""Impact of every nuisance parameter on a parameter of interest: ours, or cabinetry's."""

import contextlib
import io
import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from importlib.metadata import version
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from iminuit import Minuit
from numpy.typing import NDArray

from nuhf.arrays import FloatArray
from nuhf.errors import FitError, InputError
from nuhf.stats.explore import best_fit, explored
from nuhf.stats.impacts import Impacts, impacts
from nuhf.stats.intervals import threshold
from nuhf.stats.problem import Problem
from nuhf.stats.result_base import Provenance, Result, choices, heading, title_of, unit_text
from nuhf.stats.uncertainties import at_bounds, covariance
from nuhf.units import percent

if TYPE_CHECKING:
    import pyhf
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_STEP: Final = 0.1
"""Fits start this far from the minimum, in standard deviations: from the minimum itself Minuit
learns no curvature, and its errors are wrong (0.3 for a parameter of error 1)."""

_TOLERANCE: Final = 1e-3
_DIGITS: Final = 4
"""Impacts are compared to this many digits of the error; below, their order is chance."""
_AT_BOUND: Final = 0.02
"""Of an error: closer to an end of its range, the fit parameter is at it."""


@dataclass(frozen=True)
class RankingResult(Result):
    """Nuisances in the order of their post-fit impact.

    Attributes
    ----------
    quantity, unit : str
        What the impacts are on: the parameter in its base unit, or its square where only the
        square is measured (``munu2_mu`` in mu_B^2).
    best_fit, error : float
        Of that quantity.
    nuisances : tuple of str
        Names of those that float, (n,).
    kinds : tuple of str
        ``constrained``, ``factor`` (near 1, constrained as the errors of single bins of files), or
        ``free`` for a factor or coupling without a constraint term, (n,).
    pulls, constraints : ndarray
        Fitted value and error of each nuisance, (n,): in standard deviations of its constraint, of
        a free one as it is (a factor is 1 at its nominal size).
    prefit_up, prefit_down, postfit_up, postfit_down : ndarray
        Change of the quantity when the nuisance is held one standard deviation, before or after
        the fit, above or below its fitted value, (n,).
    names, correlation
        Order of all parameters of the model, and their correlation matrix.
    observables : ndarray
        Change of the quantity when the auxiliary measurement of a nuisance is one standard
        deviation higher, (n,). This and what follows is empty with the engine ``pyhf``.
    cl, ends, end_shifts
        Confidence level; the outer ends of the interval (k,), those at no physical bound, and
        their change when a nuisance is held one error above and below, (n, 2, k).
    breakdown : mapping
        ``statistical`` and ``systematic`` part of the error; the squares add up to that of the
        ``total``. Empty where the parameter is at a bound.
    groups : mapping
        The systematic part by group of nuisances, the first word of their names.
    """

    experiments: tuple[str, ...]
    analysis: str
    parameter: str
    quantity: str
    unit: str
    best_fit: float
    error: float
    nuisances: tuple[str, ...]
    kinds: tuple[str, ...]
    pulls: FloatArray
    constraints: FloatArray
    prefit_up: FloatArray
    prefit_down: FloatArray
    postfit_up: FloatArray
    postfit_down: FloatArray
    names: tuple[str, ...]
    correlation: FloatArray
    twice_nll: float
    optimizer: str
    notes: tuple[str, ...]
    provenance: Provenance = field(repr=False)
    observables: FloatArray = field(default_factory=lambda: np.zeros(0))
    cl: float = 0.9
    ends: tuple[float, ...] = ()
    end_shifts: FloatArray = field(default_factory=lambda: np.zeros((0, 2, 0)))
    breakdown: Mapping[str, float] = field(default_factory=dict)
    groups: Mapping[str, float] = field(default_factory=dict)

    def lines(self) -> list[str]:
        """Say what each nuisance moves the parameter by, the most important first."""
        unit = unit_text(self.unit)
        width = max(len(name) for name in ("nuisance", *self.nuisances))
        rows = [
            f"{heading(self)}, impacts on {self.quantity}{choices(self)}",
            f"best fit {self.best_fit:.3g} +- {self.error:.2g}{unit}",
            f"{'nuisance':{width}s}  {'kind':11s} {'value':>10s} {'error':>10s}"
            f"   {'up':>12s} {'down':>12s}{unit}, after the fit",
        ]
        columns = (self.pulls, self.constraints, self.postfit_up, self.postfit_down)
        for name, kind, *numbers in zip(self.nuisances, self.kinds, *columns, strict=True):
            value, error, up, down = (float(number) for number in numbers)
            rows.append(
                f"{name:{width}s}  {kind:11s} {value:10.3f} {error:10.3f}   {up:+12.3g} "
                f"{down:+12.3g}"
            )
        return rows + self._parts()

    def _parts(self) -> list[str]:
        """Say what the error comes from, and what moves the ends of the interval most."""
        rows, unit = [], unit_text(self.unit)
        if self.breakdown:
            largest = sorted(self.groups.items(), key=lambda item: -item[1])
            groups = ", ".join(f"{name} {part:.2g}" for name, part in largest)
            rows.append(
                f"error: statistical {self.breakdown['statistical']:.2g}{unit}, systematic "
                f"{self.breakdown['systematic']:.2g}{unit} ({groups})"
            )
        if self.ends:
            ends = ", ".join(f"{end:.3g}" for end in self.ends)
            shown = f"interval [{ends}]" if len(self.ends) == 2 else f"end {ends}"
            sizes = np.abs(self.end_shifts)
            places = sizes.max(axis=1).argmax(axis=0)
            most = [
                f"{size:.2g} ({self.nuisances[place]})"
                for size, place in zip(sizes.max(axis=(0, 1)), places, strict=True)
            ]
            rows.append(
                f"{percent(self.cl)} % CL {shown}{unit}: ends move most by {' and '.join(most)}"
            )
        return rows

    def columns(self) -> dict[str, Sequence[object]]:
        """Return one row per nuisance, the most important first."""
        arrays = {"value": self.pulls, "error": self.constraints}
        arrays |= {
            key: getattr(self, key)
            for key in ("prefit_up", "prefit_down", "postfit_up", "postfit_down")
        }
        if self.observables.size:
            arrays["observable"] = self.observables
        names = ("lower_end", "upper_end")[-len(self.ends) :] if self.ends else ()
        for k, end in enumerate(names):
            arrays[f"{end}_up"] = self.end_shifts[:, 0, k]
            arrays[f"{end}_down"] = self.end_shifts[:, 1, k]
        columns: dict[str, Sequence[object]] = {"nuisance": self.nuisances, "kind": self.kinds}
        return columns | {name: row.tolist() for name, row in arrays.items()}

    def plot(self, ax: "Axes | None" = None) -> "Figure":
        """Draw impacts beside pulls; on given axes the impacts alone."""
        from nuhf.plots import nuisances

        return nuisances.impacts(self, title_of(self), ax)

    def plot_pulls(self, ax: "Axes | None" = None) -> "Figure":
        """Draw the fitted nuisances with their errors."""
        from nuhf.plots import nuisances

        pairs = zip(self.nuisances, self.kinds, strict=True)
        free = [name for name, kind in pairs if kind != "constrained"]
        return nuisances.pulls(
            self.nuisances, self.pulls, self.constraints, title_of(self), free, ax
        )

    def plot_correlation(self) -> "Figure":
        """Draw the correlation matrix of all parameters."""
        from nuhf.plots import nuisances

        return nuisances.correlation(self.names, self.correlation, title_of(self))


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """No output of Minuit and cabinetry, and pyhf's backend as it was."""
    import pyhf

    backend = pyhf.get_backend()
    loggers = [logging.getLogger(name) for name in ("cabinetry", "pyhf")]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.CRITICAL + 1)
    # cabinetry sets the level of Minuit's messages, which all fits of the process share
    shared = Minuit(lambda x: x * x, 0.0)
    printed = shared.print_level
    sink = io.StringIO()
    try:
        with contextlib.redirect_stdout(sink), contextlib.redirect_stderr(sink):
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
        shared.print_level = printed
        pyhf.set_backend(*backend)


def ranking(problem: Problem, cl: float = 0.9) -> RankingResult:
    """Rank the nuisances of a problem by their impact on its parameter of interest.

    The fits are those of the compiled likelihood, or with the engine ``pyhf`` cabinetry's. They
    start near the deepest minimum, so that a second minimum cannot mislead them. Other couplings
    that float are ranked like nuisances; ``cl`` is the confidence level of the interval whose ends
    are moved, too. `InputError` if nothing else floats, `FitError` if a fit fails.
    """
    threshold(cl)
    problem = explored(problem)
    profiler, compiled, parameter = problem.profiler(), problem.engine.compiled, problem.parameter
    if profiler.free.sum() < 2:
        raise InputError("a ranking needs at least one nuisance that is not fixed")
    at_end: tuple[str, ...] = ()
    best, _ = best_fit(problem)
    optimizer = problem.engine.optimizer
    if problem.options.engine == "pyhf":
        found, at_end = _cabinetry_s(problem, best)
        optimizer = f"cabinetry {version('cabinetry')}, minuit"
    else:
        found = impacts(problem, best, cl)
    value, error = (float(of[profiler.index]) for of in (found.best, found.errors))
    order = np.argsort(-np.round(np.abs(found.postfit).max(axis=1) / error, _DIGITS), kind="stable")
    known = order[: len(found.observables)]  # none by cabinetry
    index, size, linear = found.index[order], parameter.scale, not parameter.squared
    factors = {factor.name for factor in problem.description.free}
    return RankingResult(
        experiments=problem.names,
        analysis=problem.analysis,
        parameter=parameter.name,
        quantity=parameter.name if linear else parameter.fit_stem,
        unit=parameter.unit if linear or parameter.unit == "1" else f"{parameter.unit}^2",
        best_fit=parameter.from_fit(value) if linear else value * size,
        error=error * size,
        nuisances=tuple(compiled.names[i] for i in index),
        kinds=tuple(
            "free" if not bound else "factor" if compiled.names[i] in factors else "constrained"
            for i, bound in zip(index, problem.widths[index], strict=True)
        ),
        pulls=found.best[index],
        constraints=found.errors[index],
        prefit_up=size * found.prefit[order, 0],
        prefit_down=size * found.prefit[order, 1],
        postfit_up=size * found.postfit[order, 0],
        postfit_down=size * found.postfit[order, 1],
        names=compiled.names,
        correlation=found.correlation,
        twice_nll=found.twice_nll,
        optimizer=optimizer,
        notes=_notes(problem, value, error, at_end),
        provenance=problem.provenance(),
        observables=size * found.observables[known],
        cl=cl,
        ends=tuple((found.ends * size + (parameter.offset if linear else 0.0)).tolist()),
        end_shifts=size * found.end_shifts[known],
        breakdown={name: size * part for name, part in found.parts.items()},
        groups={name: size * part for name, part in found.groups.items()},
    )


def _cabinetry_s(problem: Problem, best: FloatArray) -> tuple[Impacts, tuple[str, ...]]:
    """Impacts by cabinetry's fits, on the workspace of the problem, and the factors it holds."""
    reference, index = problem.engine.reference, problem.profiler().index
    at_end, fixed = _at_end(problem, best), ~problem.profiler().free
    for name in at_end:
        fixed[problem.engine.compiled.index(name)] = True
    start = best + _STEP * (problem.widths > 0.0) * ~fixed
    poi = problem.parameter.fit_name
    fit, moved = _cabinetry(reference.model, problem.data, poi, start, fixed)
    # it ranks all but the parameter of interest, in the order of the model
    floats = np.delete(~fixed, index)
    pre, post = (
        np.array([getattr(moved, f"{when}fit_{side}") for side in ("up", "down")]).T[floats]
        for when in ("pre", "post")
    )
    none = np.zeros(0)
    return Impacts(
        fit.bestfit, fit.uncertainty, np.asarray(fit.corr_mat, dtype=float),
        float(fit.best_twice_nll), np.delete(np.arange(best.size), index)[floats], pre, post,
        none, np.zeros((0, 2, 0)), none, {}, {},
    ), at_end  # fmt: skip


def _at_end(problem: Problem, best: FloatArray) -> tuple[str, ...]:
    """Free factors within one error of an end of their range: cabinetry would step over it."""
    if not problem.description.free:
        return ()
    errors = np.sqrt(np.clip(np.diag(covariance(problem, best)), 0.0, None))
    found, stuck = [], at_bounds(problem, best)
    for factor in problem.description.free:
        i = problem.engine.compiled.index(factor.name)
        if i in stuck or best[i] - errors[i] < 0.0 or best[i] + errors[i] > factor.high:
            found.append(factor.name)
    return tuple(found)


def _notes(problem: Problem, value: float, error: float, at_end: Sequence[str]) -> tuple[str, ...]:
    """Caveats, and whether the fit parameter or a factor is at an end of its range."""
    notes = problem.notes
    if at_end:
        where = "within one error of an end of its range: held at its best fit in the ranking"
        notes = (*notes, *(f"free factor {name} is {where}" for name in at_end))
    coupling = problem.description.couplings[0]
    distance = min(value - coupling.low, coupling.high - value)
    if distance > _AT_BOUND * error:
        return notes
    name = problem.parameter.name
    return (*notes, f"the best fit of {name} is at its bound: impacts are cut off there")


def _cabinetry(
    model: "pyhf.pdf.Model", data: FloatArray, poi: str, start: FloatArray, fixed: NDArray[np.bool_]
) -> tuple[Any, Any]:
    """Fit and rank with cabinetry."""
    options: dict[str, Any] = {
        "init_pars": [float(x) for x in start],
        "fix_pars": [bool(x) for x in fixed],
        "tolerance": _TOLERANCE,
    }
    counts = [float(x) for x in data]
    with _quiet():
        import cabinetry  # inside: it takes a second to import, and logs
        import pyhf

        try:
            fit = cabinetry.fit.fit(model, counts, **options)
            moved = cabinetry.fit.ranking(model, counts, fit_results=fit, poi_name=poi, **options)
        except (ValueError, pyhf.exceptions.FailedMinimization) as error:
            raise FitError(f"cabinetry's fit failed: {error}") from error
    return fit, moved
