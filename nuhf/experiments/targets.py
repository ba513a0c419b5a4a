"""Nuclei of a detector, from its mass and chemical formula."""

from collections.abc import Mapping

from nuhf.constants import AVOGADRO
from nuhf.errors import InputError
from nuhf.physics.nuclei import read_nuclides
from nuhf.physics.settings import Physics
from nuhf.rates.build import Target, nucleus
from nuhf.units import G_PER_KG

__all__ = ["nuclear_targets"]


def nuclear_targets(
    mass_kg: float,
    formula: Mapping[str, float],
    physics: Physics,
    where: str,
) -> list[Target]:
    """Return the nuclides of a detector as targets of coherent scattering.

    Parameters
    ----------
    mass_kg : float
        Mass of the detector.
    formula : mapping
        Number of each nuclide per molecule, or share of each isotope of an element.
    physics : Physics
        As in `nuhf.rates.build.nucleus`.
    where : str
        File and key, for the message.

    Raises
    ------
    InputError
        If a nuclide is not in the table.
    """
    nuclides = read_nuclides()
    for name in formula:
        if name not in nuclides:
            raise InputError(f"{where}: unknown nuclide '{name}'; allowed: {', '.join(nuclides)}")
    molar = sum(n * nuclides[name].atomic_mass_u for name, n in formula.items())
    molecules = mass_kg * G_PER_KG / molar * AVOGADRO
    return [nucleus(nuclides[name], n * molecules, physics) for name, n in formula.items()]
