"""Names that keys of experiment files take, read off the code and data that know them.

The imports stand in the functions: a file that is checked needs none of this.
"""

from collections.abc import Iterable

from nuhf import resources

__all__ = ["couplings", "form_factors", "germanium_curves", "nuclides", "solar_models", "spectra"]


def couplings() -> Iterable[str]:
    """Return the schemes of weak couplings."""
    from nuhf.physics.couplings import coupling_schemes

    return coupling_schemes()


def form_factors() -> Iterable[str]:
    """Return the form factors of nuclei."""
    from nuhf.physics.form_factors import FORM_FACTORS

    return sorted({*FORM_FACTORS, "klein-nystrand"})


def germanium_curves() -> Iterable[str]:
    """Return the quenching curves of germanium."""
    from nuhf.detector.germanium import QUENCHING_MODELS

    return QUENCHING_MODELS


def nuclides() -> Iterable[str]:
    """Return the nuclides whose masses and radii are known."""
    from nuhf.physics.nuclei import read_nuclides

    return read_nuclides()


def solar_models() -> Iterable[str]:
    """Return the solar models whose fluxes are known."""
    return resources.read_toml(resources.find("solar/fluxes_b16.toml"))


def spectra() -> Iterable[str]:
    """Return the antineutrino spectra of reactors."""
    from nuhf.physics.reactor_models import MODELS

    return MODELS
