"""Impact of every nuisance parameter on a parameter of interest, computed by cabinetry."""

import contextlib
import io
import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pyhf
from iminuit import Minuit
from numpy.typing import NDArray

from nuhf.errors import FitError, InputError
from nuhf.stats.problem import Problem
from nuhf.stats.results import Provenance, Result, choices, heading, title_of, unit_text
from nuhf.stats.uncertainties import at_bounds, covariance
from nuhf.tables import format_csv
from nuhf.workspaces.native import load_model

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["RankingResult", "ranking"]

FloatArray = NDArray[np.float64]

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
        ``constrained``, or ``free`` for a factor or coupling without a constraint term, (n,).
    pulls, constraints : ndarray
        Fitted value and error of each nuisance, (n,): in standard deviations of its constraint, of
        a free one as it is (a factor is 1 at its nominal size).
    prefit_up, prefit_down, postfit_up, postfit_down : ndarray
        Change of the quantity when the nuisance is held one standard deviation, before or after
        the fit, above or below its fitted value, (n,).
    names, correlation
        Order of all parameters of the model, and their correlation matrix.
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
        return rows

    def columns(self) -> dict[str, Sequence[object]]:
        """Return one row per nuisance, the most important first."""
        arrays = {"value": self.pulls, "error": self.constraints}
        arrays |= {
            key: getattr(self, key)
            for key in ("prefit_up", "prefit_down", "postfit_up", "postfit_down")
        }
        columns: dict[str, Sequence[object]] = {"nuisance": self.nuisances, "kind": self.kinds}
        return columns | {name: row.tolist() for name, row in arrays.items()}

    def commented_csv(self) -> str:
        """Return the ranking as CSV with what it is, and the notes, in comments above."""
        unit = unit_text(self.unit)
        comments = [
            f"impacts on {self.quantity}{unit}: {heading(self)}, {self.optimizer}",
            f"best fit {self.best_fit:.6g} +- {self.error:.6g}{unit}",
            "value and error: of the constrained in sigma of their constraint, of the free as "
            "fitted",
            *(f"note: {note}" for note in self.notes),
        ]
        return format_csv(self.columns(), comments)

    @property
    def _free(self) -> list[str]:
        pairs = zip(self.nuisances, self.kinds, strict=True)
        return [name for name, kind in pairs if kind == "free"]

    def plot(self, ax: "Axes | None" = None) -> "Figure":
        """Draw impacts beside pulls; on given axes the impacts alone."""
        from nuhf.plots import nuisances

        return nuisances.impacts(
            (self.quantity, self.unit),
            self.nuisances,
            (self.prefit_up, self.prefit_down),
            (self.postfit_up, self.postfit_down),
            (self.pulls, self.constraints),
            title_of(self),
            self._free,
            ax,
        )

    def plot_pulls(self, ax: "Axes | None" = None) -> "Figure":
        """Draw the fitted nuisances with their errors."""
        from nuhf.plots import nuisances

        return nuisances.pulls(
            self.nuisances, self.pulls, self.constraints, title_of(self), self._free, ax
        )

    def plot_correlation(self) -> "Figure":
        """Draw the correlation matrix of all parameters."""
        from nuhf.plots import nuisances

        return nuisances.correlation(self.names, self.correlation, title_of(self))


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """No output of Minuit and cabinetry, and pyhf's backend as it was."""
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


def ranking(problem: Problem) -> RankingResult:
    """Rank the nuisances of a problem by their impact on its parameter of interest.

    The fits are cabinetry's, on the native model. They start near the deepest minimum that our
    own fits find, so that a second minimum cannot mislead them.

    Parameters
    ----------
    problem : Problem
        Model and data; other couplings that float are ranked like nuisances.

    Raises
    ------
    InputError
        If nothing floats but the parameter of interest.
    FitError
        If a fit fails.
    """
    model, _ = load_model(problem.spec)
    parameter = problem.parameter
    profiler = problem.profiler()
    if profiler.free.sum() < 2:
        raise InputError("a ranking needs at least one nuisance that is not fixed")
    best = _best(problem)
    at_end = _at_end(problem, best)
    fixed = ~profiler.free
    for name in at_end:
        fixed[problem.engine.compiled.index(name)] = True
    constrained = _constrained(model)
    start = best + _STEP * constrained * ~fixed
    fit, impacts = _cabinetry(model, problem.data, parameter.fit_name, start, fixed)
    index = list(fit.labels).index(parameter.fit_name)
    value, error = float(fit.bestfit[index]), float(fit.uncertainty[index])
    largest = np.abs([impacts.postfit_up, impacts.postfit_down]).max(axis=0)
    order = np.argsort(-np.round(largest / error, _DIGITS), kind="stable")
    held = {n for n, out in zip(fit.labels, fixed, strict=True) if out}
    order = order[[impacts.labels[i] not in held for i in order]]
    bound = dict(zip(fit.labels, constrained, strict=True))
    linear = not parameter.squared
    scaled = {
        key: parameter.scale * getattr(impacts, key)[order]
        for key in ("prefit_up", "prefit_down", "postfit_up", "postfit_down")
    }
    return RankingResult(
        experiments=problem.names,
        analysis=problem.analysis,
        parameter=parameter.name,
        quantity=parameter.name if linear else parameter.fit_stem,
        unit=parameter.unit if linear or parameter.unit == "1" else f"{parameter.unit}^2",
        best_fit=parameter.from_fit(value) if linear else value * parameter.scale,
        error=error * parameter.scale,
        nuisances=tuple(impacts.labels[i] for i in order),
        kinds=tuple("constrained" if bound[impacts.labels[i]] else "free" for i in order),
        pulls=impacts.bestfit[order],
        constraints=impacts.uncertainty[order],
        **scaled,
        names=tuple(fit.labels),
        correlation=np.asarray(fit.corr_mat, dtype=float),
        twice_nll=float(fit.best_twice_nll),
        optimizer=f"cabinetry {_version()}, minuit",
        notes=_notes(problem, value, error, at_end),
        provenance=problem.provenance(),
    )


def _best(problem: Problem) -> FloatArray:
    """Return the parameters at the deepest minimum, (P,)."""
    profiler, coupling = problem.profiler(), problem.description.couplings[0]
    seeds = np.clip(np.array([-0.2, 0.0, 0.2]) * coupling.high, coupling.low, coupling.high)
    best, _ = profiler.best(np.append(seeds, coupling.init))
    return best


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


def _constrained(model: pyhf.pdf.Model) -> NDArray[np.bool_]:
    """Whether a parameter has a constraint term, (P,)."""
    sets = [model.config.param_set(name) for name in model.config.par_order]
    return np.repeat([bool(s.constrained) for s in sets], [s.n_parameters for s in sets])


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


def _version() -> str:
    from importlib.metadata import version

    return version("cabinetry")


def _cabinetry(
    model: pyhf.pdf.Model, data: FloatArray, poi: str, start: FloatArray, fixed: NDArray[np.bool_]
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

        try:
            fit = cabinetry.fit.fit(model, counts, **options)
            impacts = cabinetry.fit.ranking(model, counts, fit_results=fit, poi_name=poi, **options)
        except (ValueError, pyhf.exceptions.FailedMinimization) as error:
            raise FitError(f"cabinetry's fit failed: {error}") from error
    return fit, impacts
