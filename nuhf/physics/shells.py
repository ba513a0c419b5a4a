"""Electrons of an atom that an energy transfer can free, and their atomic correction.

The step function Z_eff(T) = sum_i n_i theta(T - B_i) over the shells with binding energy B_i;
source: V. I. Kopeikin et al., Phys. Atom. Nucl. 60, 1859 (1997); S. A. Fayans et al.,
hep-ph/0004158. It multiplies the cross section on a free electron (`nuhf.physics.eves`).
"""

from dataclasses import dataclass
from typing import Final

import numpy as np

from nuhf.arrays import FloatArray
from nuhf.errors import InputError
from nuhf.tables import Table
from nuhf.units import KEV

_RETURN: Final = 2.0
_EDGE: Final = 1e-4
"""Relative distance of the points on both sides of an edge, at most."""


@dataclass(frozen=True)
class Shells:
    """Binding energies and occupation of one atom's shells."""

    edges: FloatArray
    """Binding energies in MeV, ascending, (n_shells,)."""
    electrons: FloatArray
    """Electrons in each shell, (n_shells,)."""

    @property
    def total(self) -> int:
        """Number of electrons of the neutral atom, Z."""
        return int(self.electrons.sum())

    @property
    def kinks(self) -> FloatArray:
        """Recoil energies in MeV where Z_eff jumps, ascending."""
        return self.edges[self.edges > 0.0]

    def effective_electrons(self, recoil: FloatArray) -> FloatArray:
        """Return Z_eff: the number of electrons whose binding energy is below T.

        Parameters
        ----------
        recoil : ndarray
            T in MeV, any shape; the energy given to the electron and the atom.
        """
        below = np.concatenate([[0.0], np.cumsum(self.electrons)])
        return np.asarray(below[np.searchsorted(self.edges, recoil, side="left")])


def shells_of(table: Table) -> Shells:
    """Return the shells of a table with the columns ``edge_kev`` and ``electrons``, in any order.

    Raises
    ------
    InputError
        If a binding energy is not positive or given twice, or a shell does not hold a positive
        whole number of electrons.
    """
    edges, electrons = table["edge_kev"], table["electrons"]
    order = np.argsort(edges)
    edges, electrons = edges[order], electrons[order]
    if edges[0] <= 0:
        raise InputError(f"{table.path}: column 'edge_kev': {edges[0]:g} keV is not positive")
    if np.any(np.diff(edges) == 0):
        twice = edges[int(np.argmin(np.diff(edges)))]
        raise InputError(f"{table.path}: column 'edge_kev': {twice:g} keV is given twice")
    wrong = (electrons <= 0) | (electrons != np.round(electrons))
    if np.any(wrong):
        number = electrons[int(np.argmax(wrong))]
        raise InputError(
            f"{table.path}: column 'electrons': {number:g} is not a positive whole number"
        )
    return Shells(edges * KEV, electrons)


@dataclass(frozen=True)
class Photoabsorption:
    """Photoabsorption cross section of an atom, straight lines in logarithms."""

    energy: FloatArray
    """MeV, ascending, both sides of each edge, (n,)."""
    cross_section: FloatArray
    """cm^2, (n,)."""

    @property
    def kinks(self) -> FloatArray:
        """Edges, and the ends of the table, in MeV."""
        near = np.diff(self.energy) < _EDGE * self.energy[:-1]
        return np.concatenate([self.energy[[0, -1]], self.energy[:-1][near]])

    def __call__(self, recoil: FloatArray) -> FloatArray:
        """Return the cross section at energies in MeV; 0 outside of the table."""
        inside = (recoil >= self.energy[0]) & (recoil <= self.energy[-1])
        logarithm = np.interp(np.log(recoil), np.log(self.energy), np.log(self.cross_section))
        return np.where(inside, np.exp(logarithm), 0.0)


def photoabsorption_of(table: Table, t_max_kev: float) -> Photoabsorption:
    """Make the photoabsorption of a table with ``t_kev``, ``sigma_cm2``, up to an energy.

    Raises
    ------
    InputError
        If the energies do not increase or a cross section is not positive.
    """
    energy, section = table["t_kev"], table["sigma_cm2"]
    if np.any(np.diff(energy) <= 0) or np.any(energy <= 0) or np.any(section <= 0):
        raise InputError(f"{table.path}: t_kev increases, and all numbers are positive")
    kept = energy <= t_max_kev
    return Photoabsorption(energy[kept] * KEV, section[kept])


def free_electrons(protons: int) -> Shells:
    """Return the limit without binding: Z electrons at every positive recoil energy.

    Raises
    ------
    InputError
        If Z is below 1.
    """
    if protons < 1:
        raise InputError(f"Z = {protons}: an atom has at least one electron")
    return Shells(np.zeros(1), np.array([float(protons)]))


@dataclass(frozen=True)
class AtomicCorrection:
    """Ratio of a many-body calculation of the SM rate to the step function.

    For the SM part alone (the monomial ``1``): magnetic moments and charges have corrections of
    their own. The ratio belongs to the step function at `shells`, the binding energies of the
    same calculation; other edges would leave false spikes between the two sets.

    Straight lines between the points. Below the first point it is refused: the lowest shells make
    it rise and fall there. From the last point T_1 it returns to 1, the limit of T far above all
    binding energies, as 3 s^2 - 2 s^3 of s = (T - T_1)/T_1 up to 2 T_1. This return is an
    assumption, not data (the tabulated ratio still falls at its end): it only avoids a jump.
    """

    recoil: FloatArray
    """Points of the table in MeV, ascending, (n_points,)."""
    ratio: FloatArray
    """Positive, (n_points,)."""
    shells: Shells
    """The step function it was divided by."""

    @property
    def tabulated_range(self) -> tuple[float, float]:
        """First and last point of the table in MeV; from the second on it is an assumption."""
        return float(self.recoil[0]), float(self.recoil[-1])

    @property
    def kinks(self) -> FloatArray:
        """Recoil energies in MeV where `effective_electrons` jumps or bends, ascending.

        Those of the shells below the table are left out.
        """
        shells = self.shells.kinks
        inside = shells[shells > self.recoil[0]]
        return np.unique(np.concatenate([self.recoil, inside, [_RETURN * self.recoil[-1]]]))

    def __call__(self, recoil: FloatArray) -> FloatArray:
        """Return the ratio at recoil energies in MeV, any shape.

        Raises
        ------
        InputError
            If a recoil energy is below the table.
        """
        recoil = np.asarray(recoil, dtype=float)
        low, high = self.tabulated_range
        if recoil.size and recoil.min() < low:
            raise InputError(
                f"atomic correction: recoil {recoil.min() / KEV:.4g} keV is below its table, "
                f"which begins at {low / KEV:.4g} keV"
            )
        share = np.clip((recoil - high) / ((_RETURN - 1.0) * high), 0.0, 1.0)
        weight = share**2 * (3.0 - 2.0 * share)
        tabulated = np.interp(recoil, self.recoil, self.ratio)
        return np.asarray(tabulated + (1.0 - tabulated) * weight)

    def effective_electrons(self, recoil: FloatArray) -> FloatArray:
        """Return the ratio times Z_eff of `shells`, for the SM part.

        Raises
        ------
        InputError
            If a recoil energy is below the table.
        """
        return self(recoil) * self.shells.effective_electrons(recoil)


def atomic_correction(table: Table, shells: Shells) -> AtomicCorrection:
    """Return the correction of a table with the columns ``t_kev`` and ``ratio``.

    For xenon in the relativistic random-phase approximation (RRPA): J.-W. Chen et al., Phys.
    Lett. B 774, 656 (2017), arXiv:1610.04177, for solar pp and 7Be neutrinos; 0.26 to 28 keV,
    reading noise of about one per cent. Computed from digitised curves.

    Parameters
    ----------
    table : Table
        Recoil energies and ratios.
    shells : Shells
        The step function that the ratios belong to.

    Raises
    ------
    InputError
        If the recoil energies are not positive and ascending, or a ratio is not positive.
    """
    recoil, ratio = table["t_kev"], table["ratio"]
    if recoil[0] <= 0 or np.any(np.diff(recoil) <= 0):
        raise InputError(f"{table.path}: column 't_kev' is not positive and ascending")
    if np.any(ratio <= 0):
        raise InputError(f"{table.path}: column 'ratio': {ratio.min():g} is not positive")
    return AtomicCorrection(recoil * KEV, ratio, shells)
