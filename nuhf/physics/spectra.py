"""Neutrino energy spectra: smooth pieces and lines."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from nuhf.arrays import FloatArray
from nuhf.errors import InputError


@dataclass(frozen=True)
class Spectrum:
    """A spectrum of one neutrino species, in neutrinos (any total) per MeV.

    Attributes
    ----------
    flavour : str
        ``e``, ``mu`` or ``tau``; antineutrinos carry the same flavour.
    edges : ndarray
        Shape (n_pieces + 1,), MeV, increasing: the density is smooth between neighbours and
        zero outside. Empty for pure lines.
    density : callable
        Density per MeV at energies in MeV, any shape.
    lines : tuple of (float, float)
        Energy in MeV and number of neutrinos of each line.
    order : int
        Gauss-Legendre nodes per piece that integrate density x E^-n well.
    antineutrino : bool
        Whether they are antineutrinos, for which scattering on electrons differs.
    continuous : bool
        The density bends, or jumps by little, at inner edges, as at the points of a fine table:
        rates need not be split there.
    """

    flavour: str
    edges: FloatArray
    density: Callable[[FloatArray], FloatArray]
    lines: tuple[tuple[float, float], ...] = ()
    order: int = 8
    antineutrino: bool = False
    continuous: bool = False

    @property
    def endpoint(self) -> float:
        """Largest energy in MeV."""
        return float(max([*self.edges, *(energy for energy, _ in self.lines)]))

    @property
    def kinks(self) -> FloatArray:
        """Energies in MeV where the density jumps or bends enough to matter, lines included."""
        edges = [*self.edges[:1], *self.edges[-1:]] if self.continuous else self.edges
        return np.unique([*edges, *(energy for energy, _ in self.lines)])


def histogram_spectrum(
    flavour: str, edges: FloatArray, content: FloatArray, order: int = 6
) -> Spectrum:
    """Make a piecewise constant spectrum from bin edges in MeV (n + 1,) and contents (n,).

    Raises
    ------
    InputError
        If the shapes do not match.
    """
    edges, content = np.asarray(edges, dtype=float), np.asarray(content, dtype=float)
    if edges.size != content.size + 1:
        raise InputError(f"{edges.size} edges do not fit {content.size} bins")
    height = content / np.diff(edges)

    def density(energy: FloatArray) -> FloatArray:
        index = np.clip(np.searchsorted(edges, energy, side="right") - 1, 0, height.size - 1)
        inside = (energy >= edges[0]) & (energy <= edges[-1])
        return np.where(inside, height[index], 0.0)

    return Spectrum(flavour, edges, density, order=order)


def straight(energy: FloatArray, height: FloatArray) -> Callable[[FloatArray], FloatArray]:
    """Return straight lines between points (n,) at energies in MeV, zero outside."""

    def density(at: FloatArray) -> FloatArray:
        return np.asarray(np.interp(at, energy, height, left=0.0, right=0.0))

    return density
