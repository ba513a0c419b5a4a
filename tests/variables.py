"""Couplings of one flavour in tests: squares of transitions and of the moment by name."""

import math


def at(q=0.0, r=0.0, munu2=0.0, qt2=0.0, rt2=0.0):
    """Return variables and final states of transitions, as `CrossSection.at` takes them."""
    partners = [{"q": math.sqrt(qt2)}, {"r": math.sqrt(rt2)}]
    return {"q": q, "r": r, "munu": math.sqrt(munu2)}, partners


def events_at(polynomial, **couplings):
    """Counts of a template polynomial: the transitions are its terms of degree 2."""
    values, partners = at(**couplings)
    total = polynomial.evaluate({n: v for n, v in values.items() if n in polynomial.names})
    for partner in partners:
        for row, counts in zip(polynomial.exponents, polynomial.coefficients, strict=True):
            if sum(row) == 2:
                weight = math.prod(
                    partner.get(n, 0.0) ** power
                    for n, power in zip(polynomial.names, row, strict=True)
                )
                total = total + weight * counts
    return total
