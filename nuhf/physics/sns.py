"""Neutrinos from pions and muons decaying at rest (Spallation Neutron Source).

Species: ``numu`` (prompt, from the pion), ``nue`` and ``numubar`` (delayed, from the muon).
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from nuhf.arrays import FloatArray
from nuhf.constants import MUON_MASS, PION_MASS
from nuhf.errors import InputError
from nuhf.physics.spectra import Spectrum, histogram_spectrum
from nuhf.tables import Table

SPECIES: Final[Mapping[str, str]] = {"numu": "mu", "nue": "e", "numubar": "mu"}
"""Flavour of each species."""

PROMPT_ENERGY: Final = (PION_MASS**2 - MUON_MASS**2) / (2.0 * PION_MASS)
"""Energy in MeV of the nu_mu of pion decay at rest, 29.79 MeV."""

_MICHEL_ENDPOINT: Final = MUON_MASS / 2.0


def _michel_nue(energy: FloatArray) -> FloatArray:
    return 192.0 * energy**2 / MUON_MASS**3 * (0.5 - energy / MUON_MASS)


def _michel_numubar(energy: FloatArray) -> FloatArray:
    return 64.0 * energy**2 / MUON_MASS**3 * (0.75 - energy / MUON_MASS)


def decay_at_rest() -> dict[str, Spectrum]:
    """Return the analytic spectra, one neutrino of each species (electron mass neglected).

    Source: M. Cadeddu et al., arXiv:1908.06045; the line at (m_pi^2 - m_mu^2)/(2 m_pi) and the
    two Michel spectra, which end at m_mu/2 = 52.83 MeV.
    """
    edges = np.array([0.0, _MICHEL_ENDPOINT])
    # density x E^-n is a polynomial of degree <= 3: two Gauss nodes are exact, four are safe
    return {
        "numu": Spectrum("mu", np.array([]), np.zeros_like, ((PROMPT_ENERGY, 1.0),)),
        "nue": Spectrum("e", edges, _michel_nue, order=4),
        "numubar": Spectrum("mu", edges, _michel_numubar, order=4, antineutrino=True),
    }


def tabulated_spectra(table: Table) -> dict[str, Spectrum]:
    """Return histogram spectra from columns ``e_lo_mev``, ``e_hi_mev`` and the species.

    The bin that holds the pion line becomes a line at `PROMPT_ENERGY`: spread over its 1 MeV it
    would cost nu_mu 5 % of its events.
    """
    edges = table.edges("e_lo_mev", "e_hi_mev")
    found = {
        name: histogram_spectrum(flavour, edges, table.non_negative(name))
        for name, flavour in SPECIES.items()
    }
    content = table.non_negative("numu").copy()
    bin_of_line = int(np.searchsorted(edges, PROMPT_ENERGY, side="right")) - 1
    if not 0 <= bin_of_line < content.size:
        raise InputError(f"{table.path}: no bin holds the pion line at {PROMPT_ENERGY:.2f} MeV")
    line, content[bin_of_line] = float(content[bin_of_line]), 0.0
    smooth = histogram_spectrum("mu", edges, content)
    found["numu"] = replace(smooth, lines=((PROMPT_ENERGY, line),))
    found["numubar"] = replace(found["numubar"], antineutrino=True)
    return found


@dataclass(frozen=True)
class TimeProfile:
    """Arrival times: edges in us (n + 1,) and fraction of the neutrinos in each bin (n,)."""

    edges_us: FloatArray
    fraction: FloatArray


def time_profiles(table: Table) -> dict[str, TimeProfile]:
    """Return the arrival-time profile of each species from ``t_lo_us``, ``t_hi_us``, species."""
    edges = table.edges("t_lo_us", "t_hi_us")
    return {name: TimeProfile(edges, table.non_negative(name)) for name in SPECIES}
