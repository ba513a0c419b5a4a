"""Neutrinos of the Sun: fluxes, spectra by flavour, survival of nu_e.

Components: ``pp``, ``be7`` (two lines), ``pep`` (line), ``n13``, ``o15``, ``f17``, ``b8``, ``hep``.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np

from nuhf.arrays import FloatArray
from nuhf.constants import AVOGADRO, FERMI_CONSTANT, HBAR_C
from nuhf.errors import InputError
from nuhf.physics.spectra import Spectrum, straight
from nuhf.units import EV

Survival = Callable[[str, FloatArray], FloatArray]
"""Probability that a nu_e stays one, from the component's name and energies in MeV, any shape."""

COMPONENTS: Final = ("pp", "be7", "pep", "n13", "o15", "f17", "b8", "hep")
"""Names of the reactions, as in the keys of ``data/solar``."""

# straight lines times E^-n: exact for n = 0; n = 1, 2 to 5e-7 above 0.1 keV of electron recoil
_ORDER: Final = 4


# ------------------------------------------------------------------- fluxes


@dataclass(frozen=True)
class Flux:
    """Flux at the Earth before oscillation, in neutrinos/(cm^2 s), and its relative error."""

    per_cm2_s: float
    relative_uncertainty: float


# -------------------------------------------------------------- unit spectra


@dataclass(frozen=True)
class Component:
    """Energies of the nu_e of one reaction at production, normalised to one neutrino."""

    name: str
    """One of `COMPONENTS`."""
    energy: FloatArray
    density: FloatArray
    """Points (n,) in MeV and 1/MeV, joined by straight lines; empty for lines."""
    lines: tuple[tuple[float, float], ...] = ()
    """Energy in MeV and share of each line."""

    @property
    def spectrum(self) -> Spectrum:
        """The spectrum without oscillation, all nu_e."""
        return _joined("e", self.energy, self.density, self.lines)


def _joined(
    flavour: str, energy: FloatArray, height: FloatArray, lines: tuple[tuple[float, float], ...]
) -> Spectrum:
    density = straight(energy, height) if energy.size else np.zeros_like
    return Spectrum(flavour, energy, density, lines, order=_ORDER, continuous=True)


# -------------------------------------------------------------- oscillation


@dataclass(frozen=True)
class Oscillation:
    """Mixing angles as sin^2 and the solar mass splitting in eV^2."""

    sin2_theta12: float
    sin2_theta13: float
    sin2_theta23: float
    dm2_21_ev2: float

    @property
    def averaged_survival(self) -> float:
        """Survival of nu_e without matter, oscillations averaged (arXiv:2309.17380, eq 2).

        (1 - sin^2(2 theta12)/2) cos^4 theta13 + sin^4 theta13; 1 % too high for pp, 4 % for 7Be.
        """
        half_sin2_double = 2.0 * self.sin2_theta12 * (1.0 - self.sin2_theta12)
        return (1.0 - half_sin2_double) * (1.0 - self.sin2_theta13) ** 2 + self.sin2_theta13**2


@dataclass(frozen=True)
class ConstantSurvival:
    """One survival probability for all components and energies."""

    probability: float

    def __post_init__(self) -> None:
        if not 0.0 <= self.probability <= 1.0:
            raise InputError(f"survival probability {self.probability}: allowed is 0 to 1")

    def __call__(self, component: str, energy: FloatArray) -> FloatArray:
        """Return the probability at each energy."""
        return np.full(np.shape(energy), self.probability)


@dataclass(frozen=True)
class AdiabaticSurvival:
    """Survival of nu_e that leave the Sun adiabatically (MSW), by day."""

    oscillation: Oscillation
    """Mixing angles and mass splitting."""
    electron_density_mol_per_cm3: FloatArray
    """Electron density over N_A in shells of the Sun, (n_shells,)."""
    production: Mapping[str, FloatArray]
    """Share of the neutrinos of each component made in each shell, (n_shells,), sum 1."""

    def __call__(self, component: str, energy: FloatArray) -> FloatArray:
        """Return the probability, averaged over the place of production.

        cos^4 theta13 (1 + cos 2theta12 <cos 2theta12^m>)/2 + sin^4 theta13 with
        cos 2theta^m = (cos 2theta - b)/sqrt((cos 2theta - b)^2 + sin^2 2theta) and
        b = 2 sqrt2 G_F n_e E cos^2 theta13/dm2_21. Source: L. Wolfenstein, S. P. Mikheyev and
        A. Yu. Smirnov, and S. J. Parke, Phys. Rev. Lett. 57, 1275 (1986), without level
        crossing; three flavours: A. Yu. Smirnov, arXiv:hep-ph/0305106.

        Valid for solar energies (to 19 MeV); no regeneration in the Earth, no matter effect on
        theta13 (both small below 2 MeV).

        Parameters
        ----------
        component : str
            One of the components in `production`.
        energy : ndarray
            MeV, any shape.

        Raises
        ------
        InputError
            If the component has no production profile.
        """
        if component not in self.production:
            raise InputError(
                f"no production profile of solar component '{component}'; "
                f"there are: {', '.join(self.production)}"
            )
        o = self.oscillation
        cos4_theta13 = (1.0 - o.sin2_theta13) ** 2
        cos_double = 1.0 - 2.0 * o.sin2_theta12
        sin_double = 2.0 * np.sqrt(o.sin2_theta12 * (1.0 - o.sin2_theta12))
        electrons = self.electron_density_mol_per_cm3 * AVOGADRO * HBAR_C**3
        potential = np.sqrt(2.0) * FERMI_CONSTANT * (1.0 - o.sin2_theta13) * electrons
        ratio = 2.0 * np.asarray(energy)[..., np.newaxis] * potential / (o.dm2_21_ev2 * EV**2)
        cos_matter = (cos_double - ratio) / np.hypot(cos_double - ratio, sin_double)
        average = cos_matter @ self.production[component]
        return np.asarray(cos4_theta13 * 0.5 * (1.0 + cos_double * average) + o.sin2_theta13**2)


def flavour_spectra(
    component: Component, survival: Survival, sin2_theta23: float
) -> dict[str, Spectrum]:
    """Split one reaction into flavours at the Earth, one neutrino in all.

    Shares P, (1 - P) cos^2 theta23, (1 - P) sin^2 theta23 of e, mu, tau with the survival
    probability P; source: C. Giunti and C. A. Ternes, arXiv:2309.17380, eq 1.

    Parameters
    ----------
    component : Component
        From `components`.
    survival : callable
        `ConstantSurvival`, `AdiabaticSurvival` or any other `Survival`. It is evaluated at the
        points of the spectrum and at lines; between points share x density is a straight line,
        with adiabatic survival within 2e-5 of the maximum from their product.
    sin2_theta23 : float
        sin^2 of the atmospheric mixing angle, 0 to 1.

    Returns
    -------
    dict of Spectrum
        ``pp_e``, ``pp_mu``, ``pp_tau`` for ``pp``; their sum is ``component.spectrum``.

    Raises
    ------
    InputError
        If ``sin2_theta23`` is outside 0 to 1.
    """
    if not 0.0 <= sin2_theta23 <= 1.0:
        raise InputError(f"sin2_theta23 = {sin2_theta23}: allowed is 0 to 1")
    return split(component, survival, lambda survive: _shares(survive, sin2_theta23))


def split(
    component: Component,
    survival: Survival,
    shares: Callable[[FloatArray], Mapping[str, FloatArray]],
) -> dict[str, Spectrum]:
    """Split one reaction into states, whose shares follow from the survival of nu_e.

    Parameters
    ----------
    component : Component
        The reaction.
    survival : callable
        Survival of nu_e; evaluated at the points of the spectrum and at lines.
    shares : callable
        From survival (...) to the share (...) of each state.

    Returns
    -------
    dict of Spectrum
        ``pp_e`` for the state ``e`` of ``pp``.
    """
    line_energy = np.array([energy for energy, _ in component.lines])
    smooth = shares(survival(component.name, component.energy))
    lines = shares(survival(component.name, line_energy))
    return {
        f"{component.name}_{state}": _joined(
            state,
            component.energy,
            share * component.density,
            tuple(
                (energy, number * float(part))
                for (energy, number), part in zip(component.lines, lines[state], strict=True)
            ),
        )
        for state, share in smooth.items()
    }


def _shares(survive: FloatArray, sin2_theta23: float) -> dict[str, FloatArray]:
    return {
        "e": survive,
        "mu": (1.0 - survive) * (1.0 - sin2_theta23),
        "tau": (1.0 - survive) * sin2_theta23,
    }
