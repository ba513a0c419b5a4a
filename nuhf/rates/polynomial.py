"""Polynomials in the couplings with one coefficient per bin: the one form of a prediction."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nuhf.errors import InputError

__all__ = ["Polynomial", "total"]

FloatArray = NDArray[np.float64]
Exponents = tuple[int, ...]


@dataclass(frozen=True)
class Polynomial:
    """N_b(theta) = sum_m prod_i theta_i^(e_mi) t_mb.

    Attributes
    ----------
    names : tuple of str
        Variables, in the order of the exponents.
    exponents : tuple of tuple of int
        One row per term, all different, non-negative.
    coefficients : ndarray
        Shape (n_terms, n_bins).
    """

    names: tuple[str, ...]
    exponents: tuple[Exponents, ...]
    coefficients: FloatArray

    @classmethod
    def from_terms(
        cls, names: Sequence[str], terms: Iterable[tuple[Exponents, FloatArray]]
    ) -> "Polynomial":
        """Collect terms; equal exponents are added, all-zero terms with exponents are kept.

        Parameters
        ----------
        names : sequence of str
            Variables.
        terms : iterable of (exponents, ndarray)
            One exponent per variable, and coefficients (n_bins,).

        Raises
        ------
        InputError
            If exponents do not fit the variables, or there is no term.
        """
        collected: dict[Exponents, FloatArray] = {}
        for exponents, row in terms:
            if len(exponents) != len(names) or min(exponents, default=0) < 0:
                raise InputError(f"exponents {exponents} do not fit the variables {tuple(names)}")
            collected[exponents] = collected.get(exponents, 0.0) + np.asarray(row, dtype=float)
        if not collected:
            raise InputError("a polynomial needs at least one term")
        return cls(tuple(names), tuple(collected), np.array(list(collected.values())))

    def _vector(self, values: Mapping[str, float]) -> list[float]:
        unknown = set(values) - set(self.names)
        if unknown:
            raise InputError(
                f"unknown variable {sorted(unknown)[0]!r}; the variables are {self.names}"
            )
        return [float(values.get(name, 0.0)) for name in self.names]

    def evaluate(self, values: Mapping[str, float]) -> FloatArray:
        """Return the counts (n_bins,) at given values; variables not named are zero."""
        theta = self._vector(values)
        weights = []
        for row in self.exponents:
            weight = 1.0
            for base, power in zip(theta, row, strict=True):
                weight *= base**power
            weights.append(weight)
        return np.asarray(np.asarray(weights) @ self.coefficients)

    def restrict(self, values: Mapping[str, float]) -> "Polynomial":
        """Fix some variables; the result depends on the others only."""
        self._vector(values)
        kept = [i for i, name in enumerate(self.names) if name not in values]
        terms = []
        for row, coefficients in zip(self.exponents, self.coefficients, strict=True):
            factor = 1.0
            for name, value in values.items():
                factor *= float(value) ** row[self.names.index(name)]
            terms.append((tuple(row[i] for i in kept), factor * coefficients))
        return Polynomial.from_terms([self.names[i] for i in kept], terms)

    def substitute(self, linear: Mapping[str, Mapping[str, float]]) -> "Polynomial":
        """Replace each variable by a linear form in new ones; all variables must be given.

        Parameters
        ----------
        linear : mapping
            For every variable, the factors of the new variables (empty: the variable is 0).

        Raises
        ------
        InputError
            If a variable has no substitution.
        """
        missing = set(self.names) - set(linear)
        if missing:
            raise InputError(f"no substitution given for {sorted(missing)}")
        new = tuple(dict.fromkeys(name for form in linear.values() for name in form))
        terms: list[tuple[Exponents, FloatArray]] = [
            ((0,) * len(new), np.zeros(self.coefficients.shape[1]))
        ]
        for row, coefficients in zip(self.exponents, self.coefficients, strict=True):
            expanded: dict[Exponents, float] = {(0,) * len(new): 1.0}
            for name, power in zip(self.names, row, strict=True):
                for _ in range(power):
                    expanded = _times_linear(expanded, linear[name], new)
            terms += [(key, factor * coefficients) for key, factor in expanded.items()]
        return Polynomial.from_terms(new, terms)

    def __add__(self, other: "Polynomial") -> "Polynomial":
        """Add two polynomials; variables are matched by name."""
        names = tuple(dict.fromkeys([*self.names, *other.names]))
        terms = []
        for part in (self, other):
            place = [part.names.index(n) if n in part.names else -1 for n in names]
            for row, coefficients in zip(part.exponents, part.coefficients, strict=True):
                terms.append((tuple(0 if i < 0 else row[i] for i in place), coefficients))
        return Polynomial.from_terms(names, terms)


def _times_linear(
    expanded: Mapping[Exponents, float], form: Mapping[str, float], names: Sequence[str]
) -> dict[Exponents, float]:
    result: dict[Exponents, float] = {}
    for row, factor in expanded.items():
        for name, slope in form.items():
            i = names.index(name)
            key = (*row[:i], row[i] + 1, *row[i + 1 :])
            result[key] = result.get(key, 0.0) + factor * slope
    return result


def total(parts: Iterable[Polynomial]) -> Polynomial:
    """Add several polynomials."""
    first, *rest = parts
    for part in rest:
        first = first + part
    return first
