"""Results: containers that print, tabulate and draw themselves; values in base units.

Base units are e, mu_B, cm2 and 1.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypedDict

import numpy as np

from nuhf.arrays import FloatArray
from nuhf.resources import JSON_FORMAT
from nuhf.stats.result_base import (
    JsonValue,
    Provenance,
    Result,
    choices,
    column_suffix,
    heading,
    label_of,
    title_of,
    unit_text,
)
from nuhf.units import percent

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from nuhf.plots.results import DrawnProfile

Intervals = tuple[tuple[float, float], ...]


class CrossCheck(TypedDict):
    """A second optimizer, and how far the minima differ."""

    name: str
    difference_2nll: float


class Correlation(TypedDict):
    """Names of the parameters, and their correlation matrix."""

    names: list[str]
    matrix: list[list[float]]


@dataclass(frozen=True)
class LimitResult(Result):
    """Interval of one parameter.

    Attributes
    ----------
    intervals : tuple of (float, float)
        Pieces in increasing order; for a parameter with a physical bound at 0 the first starts
        there unless 0 itself is excluded. Infinite (null in the JSON) where the data set no end.
    upper_limit : float or None
        Last end, for such a parameter, if there is one.
    minima : tuple of (float, float)
        Every minimum found: value, 2NLL above the deepest.
    goodness : mapping
        ``saturated_2nll``, the best fit's 2NLL above saturation, its ``degrees`` of freedom, and
        their ``p_value``.
    second_optimizer : mapping
        Its ``name``, and the ``difference_2nll`` between its minima (at the best fit and at the
        ends of the intervals) and those used here that is largest in size.
    expected : mapping or None
        Expected upper limits without a signal (asymptotic CLs): ``median``, ``minus2``,
        ``minus1``, ``plus1``, ``plus2`` standard deviations.
    toys : mapping or None
        Numbers, seed, failures, statistical errors of the ends and the tested values of a
        construction with toys. Neither field is in the JSON if it is None.
    """

    experiments: tuple[str, ...]
    analysis: str
    parameter: str
    unit: str
    convention: str | None
    cl: float
    method: str
    best_fit: float
    intervals: Intervals
    upper_limit: float | None
    twice_nll_min: float
    minima: tuple[tuple[float, float], ...]
    profiled: tuple[str, ...]
    fixed: Mapping[str, float]
    status: str
    optimizer: str
    second_optimizer: CrossCheck
    goodness: Mapping[str, float]
    notes: tuple[str, ...]
    provenance: Provenance = field(repr=False)
    expected: Mapping[str, float] | None = None
    toys: Mapping[str, JsonValue] | None = field(default=None, repr=False)

    def to_dict(self) -> dict[str, JsonValue]:
        """Return plain lists, dicts, strings and numbers: what the command prints as JSON."""
        return _without_none(super().to_dict(), ("expected", "toys"))

    def __contains__(self, value: float) -> bool:
        """Whether a value (base unit) is in one of the pieces."""
        return any(low <= value <= high for low, high in self.intervals)

    @property
    def hull(self) -> tuple[float, float]:
        """First and last end of all pieces."""
        return self.intervals[0][0], self.intervals[-1][1]

    def lines(self) -> list[str]:
        """Return the heading, the interval, and the expected limits if there are any."""
        return Limits([self]).lines()

    def columns(self) -> dict[str, Sequence[object]]:
        """Return one row per piece."""
        return Limits([self]).columns()

    def plot(self, ax: "Axes | None" = None) -> "Figure":
        """Draw the pieces as a bar with the best fit; bars of one axes lie above each other."""
        return Limits([self]).plot(ax)


class Limits(tuple[LimitResult, ...], Result):
    """The intervals of several parameters: a tuple of `LimitResult` that prints as one table."""

    __slots__ = ()

    @property
    def experiments(self) -> tuple[str, ...]:
        """Names of the experiments."""
        return self[0].experiments

    @property
    def analysis(self) -> str:
        """Name of the analysis."""
        return self[0].analysis

    @property
    def provenance(self) -> Provenance:
        """Provenance of the first."""
        return self[0].provenance

    @property
    def notes(self) -> tuple[str, ...]:  # type: ignore[override]
        """Notes of all, each once."""
        return tuple(dict.fromkeys(note for result in self for note in result.notes))

    def lines(self) -> list[str]:
        """Return a heading, and a line or two per parameter."""
        first, width = self[0], max(len(result.parameter) for result in self)
        lines = [
            f"{heading(first)}, {percent(first.cl)} % CL, {first.method}{choices(first)}",
        ]
        for found in self:
            pieces = " or ".join(f"[{low:.3g}, {high:.3g}]" for low, high in found.intervals)
            bounded = found.upper_limit is not None and found.intervals[0][0] == 0.0
            text = f"< {found.upper_limit:.3g}" if bounded else pieces
            best = f"   (best fit {found.best_fit:.3g})"
            lines.append(f"{found.parameter:{width}s}  {text}{unit_text(found.unit)}{best}")
            if found.expected is not None:
                band = {name: f"{value:.3g}" for name, value in found.expected.items()}
                lines.append(
                    f"{'':{width}s}  expected < {band['median']}, 68 % within {band['minus1']} to "
                    f"{band['plus1']}, 95 % within {band['minus2']} to {band['plus2']}"
                )
        return lines

    def columns(self) -> dict[str, Sequence[object]]:
        """Return one row per piece."""
        rows = [
            (r.parameter, r.unit, r.cl, r.method, i + 1, low, high, r.best_fit)
            for r in self
            for i, (low, high) in enumerate(r.intervals)
        ]
        names = ("parameter", "unit", "cl", "method", "piece", "lower", "upper", "best")
        return dict(zip(names, zip(*rows, strict=True), strict=True))

    def to_dict(self) -> dict[str, JsonValue]:
        """Return all results as plain data, below ``results``."""
        return {"format": JSON_FORMAT, "results": [result.to_dict() for result in self]}

    def plot(self, ax: "Axes | None" = None) -> "Figure":
        """Draw the pieces of each parameter, a panel each; on given axes, one row each.

        Limits of CLs have their expected band behind them.
        """
        from nuhf.plots import results

        return results.limits(self, title_of(self), ax)


@dataclass(frozen=True)
class FitResult(Result):
    """A free fit: every parameter with its error, and the fitted SM count.

    Attributes
    ----------
    parameters : mapping
        ``{name: [value, error]}``; couplings in base units, nuisances in standard deviations.
    counts : mapping
        ``{process: [expected before the fit, fitted, error]}`` in events.
    correlation : mapping
        Order of the parameters and the matrix.
    goodness : mapping
        2NLL above saturation, degrees of freedom, p-value from chi2, and, if asked for, from
        toys.
    at_bounds : tuple of str
        Fit parameters at a bound: their errors go to one side, and all errors come from profiles.
    significance : mapping or None
        Discovery of a strength: ``q0`` and its root, ``sigma``; absent from the JSON if None.
    parameter : str
        The parameter of interest.
    """

    experiments: tuple[str, ...]
    analysis: str
    parameters: Mapping[str, tuple[float, float]]
    units: Mapping[str, str]
    counts: Mapping[str, tuple[float, float, float]]
    correlation: Correlation
    twice_nll: float
    goodness: Mapping[str, float]
    status: str
    optimizer: str
    notes: tuple[str, ...]
    at_bounds: tuple[str, ...]
    provenance: Provenance = field(repr=False)
    significance: Mapping[str, float] | None = None
    parameter: str = ""

    def to_dict(self) -> dict[str, JsonValue]:
        """Return plain lists, dicts, strings and numbers: what the command prints as JSON."""
        return _without_none(super().to_dict(), ("significance",))

    def lines(self) -> list[str]:
        """Return events and parameters with their errors, and the goodness of the fit."""
        width = max(len(name) for name in [*self.counts, *self.parameters])
        lines = [
            f"{heading(self)}: {self.status}{choices(self)}",
            "",
            f"{'events':{width}s}   expected     fitted      error",
        ]
        for name, (before, after, error) in self.counts.items():
            lines.append(f"{name:{width}s} {before:10.1f} {after:10.1f} {error:10.1f}")
        lines += ["", f"{'parameter':{width}s}     value      error"]
        for name, (value, error) in self.parameters.items():
            unit = "" if self.units[name] == "1" else f"  {self.units[name]}"
            shown = 0.0 if abs(value) < 1e-6 * error else value
            bound = "  at its bound" if name in self.at_bounds else ""
            lines.append(f"{name:{width}s} {shown:10.4g} {error:10.4g}{unit}{bound}")
        quality = self.goodness
        # as many parameters as bins describe everything: no p-value, and rounding shows
        beyond = f", p = {quality['p_value']:.3g} (chi2)" if quality["degrees"] > 0 else ""
        lines += [
            "",
            f"2NLL above saturation {max(quality['saturated_2nll'], 0.0):.1f} for "
            f"{quality['degrees']:.0f} degrees of freedom{beyond}",
        ]
        if "p_value_toys" in quality:
            p, error = quality["p_value_toys"], quality["p_value_toys_error"]
            lines.append(f"p = {p:.3g} +- {error:.1g} (toys)")
        if self.significance is not None:
            lines.append(f"against {self.parameter} = 0: {self.significance['sigma']:.1f} sigma")
        return lines

    def columns(self) -> dict[str, Sequence[object]]:
        """Return value and error of the events of every process and of every parameter."""
        events = {f"events_{name}": (fit, error) for name, (_, fit, error) in self.counts.items()}
        table = {**events, **self.parameters}
        return {
            "name": list(table),
            "value": [value for value, _ in table.values()],
            "error": [error for _, error in table.values()],
            "unit": [self.units.get(name, "events") for name in table],
        }

    def plot(self, ax: "Axes | None" = None) -> "Figure":
        """Draw the fitted nuisances with their errors, in standard deviations."""
        from nuhf.plots import nuisances

        names = [name for name, unit in self.units.items() if unit == "sigma"]
        values, errors = np.array([self.parameters[name] for name in names]).reshape(-1, 2).T
        return nuisances.pulls(names, values, errors, title_of(self), ax=ax)


@dataclass(frozen=True)
class CoverageResult(Result):
    """How often the interval of a method contains the true value.

    Attributes
    ----------
    true : float
        True value of the parameter, in its base unit.
    nuisances : mapping
        True nuisances that were set; all others are fitted to the data at the true value.
    toys, covered, unconverged : int
        Toys made, those whose interval contains the true value, and those that do not count
        since a fit did not converge.
    coverage, error : float
        Their fraction and its binomial error.
    inner, inner_unconverged : int
        Toys of every construction, at most, and those among them left out.
    """

    experiments: tuple[str, ...]
    analysis: str
    parameter: str
    unit: str
    true: float
    nuisances: Mapping[str, float]
    cl: float
    method: str
    toys: int
    covered: int
    unconverged: int
    coverage: float
    error: float
    seed: int
    inner: int
    inner_unconverged: int
    optimizer: str
    notes: tuple[str, ...]
    provenance: Provenance = field(repr=False)

    def lines(self) -> list[str]:
        """Return the question, and the fraction with its error."""
        return [
            f"{heading(self)}, {self.parameter} = {self.true:g}{unit_text(self.unit)}"
            f"{choices(self)}",
            f"{percent(self.cl)} % CL, {self.method}: covers {100 * self.coverage:.1f} +- "
            f"{100 * self.error:.1f} % of {self.toys} toys ({self.unconverged} not converged)",
        ]

    def columns(self) -> dict[str, Sequence[object]]:
        """Return one row."""
        names = ("parameter", "unit", "true", "cl", "method", "toys", "covered", "unconverged",
                 "coverage", "error", "seed")  # fmt: skip
        return {name: [getattr(self, name)] for name in names}

    def plot(self, ax: "Axes | None" = None) -> "Figure":
        """Draw the coverage at the true value beside the confidence level."""
        from nuhf.plots import results

        return results.coverage(self, title_of(self), ax)


@dataclass(frozen=True)
class ScanResult(Result):
    """Profile of one parameter.

    Attributes
    ----------
    values, delta : ndarray
        Parameter in the base unit and 2NLL above the global minimum, (n,) each.
    """

    experiments: tuple[str, ...]
    analysis: str
    parameter: str
    unit: str
    convention: str | None
    values: FloatArray
    delta: FloatArray
    best_fit: float
    profiled: tuple[str, ...]
    fixed: Mapping[str, float]
    optimizer: str
    notes: tuple[str, ...]
    provenance: Provenance = field(repr=False)

    def lines(self) -> list[str]:
        """Say over what was scanned, where the curve is lowest, and how high at the ends."""
        values, delta, unit = self.values, self.delta, unit_text(self.unit)
        padded = np.concatenate([[np.inf], np.nan_to_num(delta, nan=np.inf), [np.inf]])
        falls = np.diff(padded) < 0
        lowest = np.flatnonzero(falls[:-1] & ~falls[1:])
        width = len("local minima on the grid")
        return [
            f"{heading(self)}, profile likelihood of {self.parameter}{choices(self)}",
            f"{'best fit':{width}s}  {self.best_fit:.3g}{unit}",
            f"{'scanned':{width}s}  {values[0]:.3g} to {values[-1]:.3g}{unit}, "
            f"{len(values)} values",
            f"{'2NLL above minimum':{width}s}  {delta[0]:.3g} at the lower end, "
            f"{delta[-1]:.3g} at the upper end",
            f"{'local minima on the grid':{width}s}  "
            + ", ".join(f"{values[i]:.3g} ({delta[i]:.3g})" for i in lowest),
        ]

    def columns(self) -> dict[str, Sequence[object]]:
        """Return the curve; the unit is in the name of the first column."""
        values, delta = self.values.tolist(), self.delta.tolist()
        return {f"{self.parameter}{column_suffix(self.unit)}": values, "delta_2nll": delta}

    def plot(
        self,
        ax: "Axes | None" = None,
        *,
        label: str | None = None,
        cl: float | Sequence[float] = (0.68, 0.9),
    ) -> "Figure":
        """Draw the profile with lines at confidence levels; several scans overlay on given axes.

        The ``label`` for a legend is by default what the scan is of.
        """
        from nuhf.plots import results

        levels = [cl] if isinstance(cl, float) else list(cl)
        return results.profile(self.curve(), levels, label or label_of(self), ax)

    def curve(self, pieces: Sequence[tuple[float, float]] = ()) -> "DrawnProfile":
        """Return what is drawn, with allowed pieces to shade."""
        from nuhf.plots.results import DrawnProfile

        return DrawnProfile(self.parameter, self.unit, self.values, self.delta, pieces)


def _without_none(
    content: Mapping[str, JsonValue], optional: tuple[str, ...]
) -> dict[str, JsonValue]:
    return {k: v for k, v in content.items() if not (k in optional and v is None)}
