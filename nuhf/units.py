"""Factors to the internal units MeV, cm, s, kg: multiply on the way in, divide on the way out."""

from decimal import Decimal
from typing import Final

__all__ = [
    "DAY",
    "EV",
    "GIGAWATT",
    "G_PER_KG",
    "KEV",
    "METRE",
    "UNIT_LABELS",
    "YEAR",
    "percent",
]

EV: Final = 1e-6
"""MeV in one eV."""

KEV: Final = 1e-3
"""MeV in one keV."""

METRE: Final = 1e2
"""cm in one m."""

G_PER_KG: Final = 1e3
"""Grams in one kg, for molar masses in g/mol."""

DAY: Final = 86400.0
"""s in one day."""

YEAR: Final = 365.25 * DAY
"""s in one Julian year."""

GIGAWATT: Final = 1e9 / 1.602176634e-13
"""MeV/s in one GW (SI, exact)."""


UNIT_LABELS: Final = {
    "e": "e",
    "mu_B": r"\mu_\mathrm{B}",
    "cm2": r"\mathrm{cm}^2",
    "fm": r"\mathrm{fm}",
    "1": "",
}
"""Base units of couplings in LaTeX."""


_SMALLEST: Final = -7
"""Decimal exponent of the smallest per cent that is written without one."""


def percent(fraction: float) -> str:
    """Return a confidence level in per cent with all its digits: 0.9999999 is not 100 %."""
    value = (100 * Decimal(repr(float(fraction)))).normalize()
    return f"{value:f}" if value.adjusted() >= _SMALLEST else f"{value:e}"
