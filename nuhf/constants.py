"""Physical constants, the only literal ones in the package.

Energies in MeV, lengths in cm, times in s, masses in MeV (c = 1). Sources: CODATA 2022
(doi:10.48550/arXiv.2409.03787) through ``scipy.constants`` would hide the edition, so the
values stand here; particle data from the Review of Particle Physics 2024
(doi:10.1103/PhysRevD.110.030001), called PDG below.
"""

from typing import Final

__all__ = [
    "ALPHA",
    "ATOMIC_MASS_UNIT",
    "AVOGADRO",
    "CM2_PER_MEV_M2",
    "ELECTRON_MASS",
    "FERMI_CONSTANT",
    "HBAR_C",
    "HBAR_C_FM",
    "LEPTON_MASS",
    "MUON_LIFETIME",
    "MUON_MASS",
    "PION_MASS",
    "SIN2_THETA_W",
    "TAU_MASS",
    "W_MASS",
]

FERMI_CONSTANT: Final = 1.1663787e-11
"""G_F in MeV^-2 (PDG: 1.1663788(6)e-5 GeV^-2; CODATA 2018 digits as in the analysed papers)."""

ALPHA: Final = 7.2973525643e-3
"""Fine-structure constant at q = 0 (CODATA 2022)."""

ELECTRON_MASS: Final = 0.51099895069
"""m_e in MeV (CODATA 2022)."""

MUON_MASS: Final = 105.6583755
"""m_mu in MeV (PDG)."""

TAU_MASS: Final = 1776.93
"""m_tau in MeV (PDG)."""

PION_MASS: Final = 139.57039
"""m_pi of the charged pion in MeV (PDG)."""

W_MASS: Final = 80369.2
"""m_W in MeV (PDG)."""

MUON_LIFETIME: Final = 2.1969811e-6
"""Mean life of the muon in s (PDG)."""

ATOMIC_MASS_UNIT: Final = 931.49410372
"""u in MeV (CODATA 2022)."""

AVOGADRO: Final = 6.02214076e23
"""N_A per mol (SI, exact)."""

HBAR_C: Final = 1.9732698045930252e-11
"""hbar c in MeV cm (SI, exact)."""

HBAR_C_FM: Final = HBAR_C * 1e13
"""hbar c in MeV fm."""

CM2_PER_MEV_M2: Final = HBAR_C**2
"""Area in cm^2 of 1 MeV^-2."""

SIN2_THETA_W: Final = 0.23857
"""sin^2(theta_W), MS-bar at q -> 0 (PDG, electroweak review: 0.23857(5)); not on-shell."""

LEPTON_MASS: Final = {"e": ELECTRON_MASS, "mu": MUON_MASS, "tau": TAU_MASS}
"""Charged-lepton masses in MeV by flavour."""
