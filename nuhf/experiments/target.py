"""The target: nuclei and electrons of a detector, from its mass and chemical formula."""

import re
from collections.abc import Sequence
from typing import ClassVar, Self

from pydantic import Field, model_validator

from nuhf import library
from nuhf.constants import AVOGADRO
from nuhf.couplings.parameters import suggest
from nuhf.errors import InputError
from nuhf.experiments.parts import Origin, Positive, Section
from nuhf.inputs import Inputs
from nuhf.physics import shells
from nuhf.physics.nuclei import Nuclide
from nuhf.physics.shells import AtomicCorrection, Shells
from nuhf.units import DAY, G_PER_KG, YEAR

_KG_PER_TONNE = 1e3


class Target(Section):
    """What is hit: mass, or mass times time, and chemical formula."""

    source: Origin
    mass_kg: Positive | None = Field(None, description="Mass of the target, kg")
    exposure_tonne_year: Positive | None = Field(
        None, description="Mass times live time, tonne years; instead of `mass_kg` and `live_days`"
    )
    formula: dict[str, Positive] = Field(
        min_length=1,
        description="Number of atoms by nuclide, such as `Cs133`, or by element in its natural "
        "composition, such as `Xe`; in any unit",
    )
    molar_mass_g_per_mol: Positive | None = Field(
        None, description="Mass of one mol of the formula, g; without it from the nuclides"
    )
    shells: dict[str, str] = Field(
        {},
        description="Tables `edge_kev, electrons` of binding energies by element; without one "
        "`electrons/SYMBOL_shells.csv`",
    )

    either: ClassVar[tuple[str, ...]] = ("mass_kg", "exposure_tonne_year")

    @model_validator(mode="after")
    def _of_elements(self) -> Self:
        for name in self.formula:
            if not re.fullmatch(r"[A-Z][a-z]?[0-9]{0,3}", name):
                raise ValueError(f"formula: '{name}' is no nuclide or element, such as Cs133 or Xe")
        among = {_symbol(name) for name in self.formula}
        for symbol in self.shells:
            if symbol not in among:
                raise ValueError(f"shells: '{symbol}' is not in the formula")
        return self

    def seconds(self, live_days: float | None) -> float | None:
        """Return the live time in s: one year of an exposure in tonne years."""
        if self.exposure_tonne_year is not None:
            return YEAR
        return None if live_days is None else live_days * DAY

    def nuclides(self, inputs: Inputs) -> dict[Nuclide, float]:
        """Return the number of each nuclide in the formula (`InputError` if unknown)."""
        numbers: dict[str, float] = {}
        for name, number in self.formula.items():
            for nuclide, share in self._isotopes(inputs, name).items():
                numbers[nuclide] = numbers.get(nuclide, 0.0) + number * share
        known = library.read_nuclides(inputs, used=numbers)
        for name in numbers:
            if name not in known:
                raise InputError(
                    f"target.formula: unknown nuclide '{name}'; {suggest(name, known)}"
                )
        return {known[name]: number for name, number in numbers.items()}

    def _isotopes(self, inputs: Inputs, name: str) -> dict[str, float]:
        if name[-1].isdigit():
            return {name: 1.0}
        elements = library.compositions(inputs)
        if name not in elements:
            raise InputError(
                f"target.formula: no natural composition of '{name}' is known; "
                f"{suggest(name, elements)}; or name its nuclides, such as Cs133"
            )
        return elements[name]

    def _units(self, inputs: Inputs) -> float:
        """How many times the formula is in the target, or in the mass of an exposure in a year."""
        kilograms = self.mass_kg or _KG_PER_TONNE * (self.exposure_tonne_year or 0.0)
        molar = self.molar_mass_g_per_mol
        if molar is None:
            numbers = self.nuclides(inputs)
            molar = sum(n * nuclide.atomic_mass_u for nuclide, n in numbers.items())
        return kilograms * G_PER_KG / molar * AVOGADRO

    def nuclei(self, inputs: Inputs, chosen: Sequence[str] = ()) -> list[tuple[Nuclide, float]]:
        """Return nuclides, those chosen alone or of elements chosen, and how many are there.

        `InputError` if a nuclide is not known, or one chosen not in the formula.
        """
        units, nuclides = self._units(inputs), self.nuclides(inputs)
        names = {name for n in nuclides for name in (n.name, _symbol(n.name))}
        for name in (name for name in chosen if name not in names):
            raise InputError(f"target.formula: '{name}' is not in it")
        return [(n, units * x) for n, x in nuclides.items() if _is_among(n.name, chosen)]

    def atoms(
        self, inputs: Inputs, chosen: Sequence[str] = (), binding: str = "step"
    ) -> list[tuple[str, Shells, AtomicCorrection | None, float]]:
        """Return of each element symbol, electron shells, a correction, and the number of atoms.

        ``binding``: ``step``, ``free``, or ``rrpa`` (xenon only), as in a signal of kind ``eves``.
        """
        units = self._units(inputs)
        numbers: dict[str, float] = {}
        for name, number in self.formula.items():
            symbol = _symbol(name)
            if _is_among(name, chosen):
                numbers[symbol] = numbers.get(symbol, 0.0) + number
        return [
            (symbol, *self._shells(inputs, symbol, binding), number * units)
            for symbol, number in numbers.items()
        ]

    def _shells(
        self, inputs: Inputs, symbol: str, binding: str
    ) -> tuple[Shells, AtomicCorrection | None]:
        name = self.shells.get(symbol, f"electrons/{symbol}_shells.csv")
        try:
            steps = library.read_shells(name, inputs)
        except InputError as error:
            if symbol in self.shells or "not found" not in str(error):
                raise
            raise InputError(
                f"target.formula: no electron shells of '{symbol}' are known (data/{name}): "
                f"target.shells = {{ {symbol} = 'TABLE' }} names a table"
            ) from None
        if binding == "free":
            return shells.free_electrons(steps.total), None
        if binding == "step":
            return steps, None
        if symbol != "Xe":
            raise InputError(f"target.formula: binding 'rrpa' is for Xe, not {symbol}")
        return steps, library.rrpa_ratio(inputs)


def _symbol(name: str) -> str:
    return name.rstrip("0123456789")


def _is_among(name: str, chosen: Sequence[str]) -> bool:
    return not chosen or name in chosen or _symbol(name) in chosen
