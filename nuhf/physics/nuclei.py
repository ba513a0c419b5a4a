"""Nuclides: charges, nuclear masses and radii."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from nuhf.constants import ATOMIC_MASS_UNIT, ELECTRON_MASS
from nuhf.errors import InputError


@dataclass(frozen=True)
class Nuclide:
    """A nuclide."""

    name: str
    """Such as ``Cs133``."""
    protons: int
    nucleons: int
    """Z and A."""
    atomic_mass_u: float
    """Mass of the neutral atom in u, which is also its molar mass in g/mol."""
    rp_fm: float
    rn_fm: float
    """rms radii of the proton and the neutron distribution in fm."""

    @property
    def neutrons(self) -> int:
        """N = A - Z."""
        return self.nucleons - self.protons

    @property
    def mass(self) -> float:
        """Mass of the bare nucleus in MeV: atomic mass minus Z m_e (binding below 1e-5)."""
        return self.atomic_mass_u * ATOMIC_MASS_UNIT - self.protons * ELECTRON_MASS


def parse_nuclides(where: str, content: Mapping[str, Any]) -> dict[str, Nuclide]:
    """Return the nuclides of a file like ``data/nuclides.toml``.

    Raises
    ------
    InputError
        If a key is missing or unknown, or a number is not positive; ``where`` names the file.
    """
    return {name: _nuclide(where, name, entry) for name, entry in content.items()}


def _nuclide(path: str, name: str, entry: Any) -> Nuclide:
    wanted = {"protons", "nucleons", "atomic_mass_u", "rp_fm", "rn_fm"}
    if not isinstance(entry, dict) or set(entry) != wanted:
        raise InputError(f"{path}: [{name}] needs exactly the keys {', '.join(sorted(wanted))}")
    for key, value in entry.items():
        kinds = int if key in ("protons", "nucleons") else (int, float)
        if isinstance(value, bool) or not isinstance(value, kinds) or not 0 < value < 1e4:
            kind = "whole number" if kinds is int else "number"
            raise InputError(f"{path}: [{name}] {key} = {value!r} is not a positive {kind}")
    if entry["nucleons"] < entry["protons"]:
        raise InputError(f"{path}: [{name}] has more protons than nucleons")
    return Nuclide(name=name, **entry)
