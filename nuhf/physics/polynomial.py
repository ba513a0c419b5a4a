"""Polynomials in the couplings with arrays as coefficients: the one form of a prediction."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from nuhf.arrays import FloatArray
from nuhf.errors import InputError

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
        Shape (n_terms, ...): one number per bin, or per recoil energy.
    """

    # numpy leaves ``array * polynomial`` and ``array + polynomial`` to the polynomial
    __array_ufunc__ = None

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
            One exponent per variable, and coefficients of any one shape.

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
        """Return the sum at given values; variables not named are zero."""
        theta = self._vector(values)
        weights = []
        for row in self.exponents:
            weight = 1.0
            for base, power in zip(theta, row, strict=True):
                weight *= base**power
            weights.append(weight)
        return np.asarray(np.tensordot(np.asarray(weights), self.coefficients, axes=1))

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
            ((0,) * len(new), np.zeros(self.coefficients.shape[1:]))
        ]
        for row, coefficients in zip(self.exponents, self.coefficients, strict=True):
            expanded: dict[Exponents, float] = {(0,) * len(new): 1.0}
            for name, power in zip(self.names, row, strict=True):
                for _ in range(power):
                    expanded = _times_linear(expanded, linear[name], new)
            terms += [(key, factor * coefficients) for key, factor in expanded.items()]
        return Polynomial.from_terms(new, terms)

    def _on(self, names: Sequence[str]) -> list[Exponents]:
        """Exponents of the terms in other variables, among which are all of these."""
        place = [self.names.index(n) if n in self.names else -1 for n in names]
        return [tuple(0 if i < 0 else row[i] for i in place) for row in self.exponents]

    def __add__(self, other: "Polynomial | FloatArray") -> "Polynomial":
        """Add a polynomial, whose variables are matched by name, or a constant."""
        if not isinstance(other, Polynomial):
            other = Polynomial((), ((),), np.asarray(other)[np.newaxis])
        names = tuple(dict.fromkeys([*self.names, *other.names]))
        terms = [
            term
            for part in (self, other)
            for term in zip(part._on(names), part.coefficients, strict=True)
        ]
        return Polynomial.from_terms(names, terms)

    def __mul__(self, other: "Polynomial | FloatArray | float") -> "Polynomial":
        """Multiply by a polynomial, whose variables are matched by name, or by an array."""
        if not isinstance(other, Polynomial):
            rows = np.array([row * np.asarray(other) for row in self.coefficients])
            return Polynomial(self.names, self.exponents, rows)
        names = tuple(dict.fromkeys([*self.names, *other.names]))
        ours = list(zip(self._on(names), self.coefficients, strict=True))
        theirs = list(zip(other._on(names), other.coefficients, strict=True))
        terms = [
            (tuple(i + j for i, j in zip(one, two, strict=True)), x * y)
            for one, x in ours
            for two, y in theirs
        ]
        return Polynomial.from_terms(names, terms)

    __radd__ = __add__
    __rmul__ = __mul__

    def replace(self, name: str, powers_of: Mapping[int, "Polynomial"]) -> "Polynomial":
        """Replace each power of a variable by a polynomial.

        Parameters
        ----------
        name : str
            The variable; a polynomial without it stays as it is.
        powers_of : mapping
            What stands for its first power, its second, and so on.
        """
        if name not in self.names:
            return self
        i = self.names.index(name)
        rest = self.names[:i] + self.names[i + 1 :]
        parts = []
        for row, coefficients in zip(self.exponents, self.coefficients, strict=True):
            part = Polynomial(rest, (row[:i] + row[i + 1 :],), coefficients[np.newaxis])
            parts.append(part * powers_of[row[i]] if row[i] else part)
        return total(parts)

    def by_name(self) -> dict[str, FloatArray]:
        """Return the coefficients by the names of their monomials, such as ``q^2*x_Cs133``."""
        return {
            monomial(self.names, row): coefficients
            for row, coefficients in zip(self.exponents, self.coefficients, strict=True)
        }


def monomial(names: Sequence[str], exponents: Exponents) -> str:
    """Return the name of a monomial: ``1``, ``q``, ``q^2*r``."""
    factors = [
        name if power == 1 else f"{name}^{power}"
        for name, power in zip(names, exponents, strict=True)
        if power
    ]
    return "*".join(factors) or "1"


def powers(monomial: str) -> dict[str, int]:
    """Return the exponents by variable of a monomial such as ``q^2*r`` (`InputError` if broken)."""
    if monomial == "1":
        return {}
    found = {}
    for factor in monomial.split("*"):
        name, _, power = factor.partition("^")
        if not name.isidentifier() or not (power or "1").isdecimal() or name in found:
            raise InputError(f"'{monomial}' is no monomial such as 1, q or q^2*r")
        found[name] = int(power or 1)
    return found


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
