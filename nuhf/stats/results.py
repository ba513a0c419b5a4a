"""Results as plain containers with a JSON form; values in base units (e, mu_B, cm2, 1)."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from importlib.metadata import version
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "CoverageResult", "FitResult", "LimitResult", "ScanResult", "lost_note", "plain", "provenance",
]  # fmt: skip

FloatArray = NDArray[np.float64]


def provenance(options: Mapping[str, Any], digests: Mapping[str, str]) -> dict[str, Any]:
    """Return the versions, input digests and options behind a result."""
    packages = ("nuhf", "pyhf", "numpy", "scipy")
    return {
        "versions": {name: version(name) for name in packages},
        "digests": dict(digests),
        "options": dict(options),
    }


def lost_note(number: int, points: int, consequence: str) -> tuple[str, ...]:
    """Say how many points of a profile have no number, and what follows; () if all have one."""
    if not number:
        return ()
    return (
        f"{number} of {points} points of the profile without a converged fit, or where the "
        f"likelihood is not defined: {consequence}",
    )


@dataclass(frozen=True)
class LimitResult:
    """Interval of one parameter.

    Attributes
    ----------
    intervals : tuple of (float, float)
        Pieces in increasing order; for a parameter with a physical bound at 0 the first starts
        there unless 0 itself is excluded.
    upper_limit : float or None
        Last end, for such a parameter.
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
    intervals: tuple[tuple[float, float], ...]
    upper_limit: float | None
    twice_nll_min: float
    minima: tuple[tuple[float, float], ...]
    profiled: tuple[str, ...]
    fixed: Mapping[str, float]
    status: str
    optimizer: str
    second_optimizer: Mapping[str, Any]
    goodness: Mapping[str, float]
    notes: tuple[str, ...]
    provenance: Mapping[str, Any] = field(repr=False)
    expected: Mapping[str, float] | None = None
    toys: Mapping[str, Any] | None = field(default=None, repr=False)

    def to_json(self) -> dict[str, Any]:
        """Return plain lists, dicts, strings and numbers."""
        return _without_none(asdict(self), ("expected", "toys"))


@dataclass(frozen=True)
class FitResult:
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
    """

    experiments: tuple[str, ...]
    analysis: str
    parameters: Mapping[str, tuple[float, float]]
    units: Mapping[str, str]
    counts: Mapping[str, tuple[float, float, float]]
    correlation: Mapping[str, Any]
    twice_nll: float
    goodness: Mapping[str, float]
    status: str
    optimizer: str
    notes: tuple[str, ...]
    at_bounds: tuple[str, ...]
    provenance: Mapping[str, Any] = field(repr=False)
    significance: Mapping[str, float] | None = None

    def to_json(self) -> dict[str, Any]:
        """Return plain lists, dicts, strings and numbers."""
        return _without_none(asdict(self), ("significance",))


@dataclass(frozen=True)
class CoverageResult:
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
    provenance: Mapping[str, Any] = field(repr=False)

    def to_json(self) -> dict[str, Any]:
        """Return plain lists, dicts, strings and numbers."""
        return {key: plain(value) for key, value in asdict(self).items()}


@dataclass(frozen=True)
class ScanResult:
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
    provenance: Mapping[str, Any] = field(repr=False)

    def to_json(self) -> dict[str, Any]:
        """Return plain lists, dicts, strings and numbers."""
        return {key: plain(value) for key, value in asdict(self).items()}


def _without_none(content: Mapping[str, Any], optional: tuple[str, ...]) -> dict[str, Any]:
    kept = {k: v for k, v in content.items() if not (k in optional and v is None)}
    return {key: plain(value) for key, value in kept.items()}


def plain(value: Any) -> Any:
    """Turn arrays and tuples into lists, recursively; numbers that are not finite into None."""
    if isinstance(value, dict):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, tuple | list):
        return [plain(item) for item in value]
    if isinstance(value, np.ndarray):
        return [plain(item) for item in value.tolist()]
    if isinstance(value, float) and not np.isfinite(value):
        return None
    return value
