"""Sources of neutrinos: sections of a file, and the spectra and fluences they stand for."""

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Annotated, Literal, Self

import numpy as np
from pydantic import Field, model_validator

from nuhf import library
from nuhf.couplings.model import DELTA_CP, TRANSITION_PHASE
from nuhf.experiments.parts import (
    Finite,
    Fraction,
    Name,
    NonNegative,
    Origin,
    Part,
    Positive,
    Section,
)
from nuhf.inputs import Inputs
from nuhf.physics import reactor, sns, solar
from nuhf.physics.solar_states import state_spectra
from nuhf.physics.spectra import Spectrum, histogram_spectrum, straight
from nuhf.units import METRE

Flavour = Literal["e", "mu", "tau"]
Component = Literal["pp", "be7", "pep", "n13", "o15", "f17", "b8", "hep"]


@dataclass(frozen=True)
class Emission:
    """One species of neutrinos at the detector."""

    name: str
    """Unique in the source, such as ``numubar`` or ``pp_e``."""
    component: str
    """What a signal may choose it by: the name itself, or of the Sun the reaction."""
    spectrum: Spectrum
    """Per neutrino emitted, or per fission."""
    fluence: float
    """What multiplies the spectrum, per cm^2 or, of a steady source, per cm^2 and s."""
    steady: bool = False
    """Whether the live time multiplies it, too."""
    profile: sns.TimeProfile | None = None
    """Arrival times; None for a steady source."""


class Source(Part):
    """A source of neutrinos."""

    source: Origin

    @abstractmethod
    def emissions(self, inputs: Inputs, chosen: Sequence[str] = ()) -> Sequence[Emission]:
        """Return the species at the detector (`InputError` if a table is broken).

        ``chosen`` are the components that are needed, all if empty; others may be returned, too.
        """

    @property
    def note(self) -> str:
        """What a result made with this source has to say; may be empty."""
        return ""

    @property
    def angles(self) -> tuple[str, ...]:
        """Its keys that a setting of a question replaces."""
        return ()


class SnsSource(Source):
    """Pions and muons that decay at rest (Spallation Neutron Source)."""

    kind: Literal["sns"] = Field(description="Pions and muons that decay at rest")
    pot: Positive = Field(description="Protons on target")
    neutrinos_per_flavour_per_pot: Positive = Field(
        description="Neutrinos of each flavour per proton"
    )
    baseline_m: Annotated[float, Field(ge=1e-3, le=1e9)] = Field(
        description="From target to detector, m"
    )
    time_table: str = Field(
        "sns/flux_time.csv",
        description="Table of arrival times: `t_lo_us, t_hi_us, numu, nue, numubar`",
    )
    energy_table: str = Field(
        "",
        description="Table of spectra `e_lo_mev, e_hi_mev, numu, nue, numubar`; without it the "
        "formulae of decay at rest",
    )
    beam_energy_gwh: Positive | None = Field(
        None, description="Energy of the beam, GWh; for backgrounds that are a rate per GWh"
    )

    def emissions(self, inputs: Inputs, chosen: Sequence[str] = ()) -> list[Emission]:
        """Return the three species."""
        spectra = sns.decay_at_rest()
        if self.energy_table:
            columns = ["e_lo_mev", "e_hi_mev", *sns.SPECIES]
            spectra = sns.tabulated_spectra(inputs.table(self.energy_table, columns))
        times = inputs.table(self.time_table, ["t_lo_us", "t_hi_us", *sns.SPECIES])
        profiles = sns.time_profiles(times)
        area = 4.0 * np.pi * (self.baseline_m * METRE) ** 2
        fluence = self.pot * self.neutrinos_per_flavour_per_pot / area
        return [Emission(n, n, s, fluence, profile=profiles[n]) for n, s in spectra.items()]


class ReactorSource(Source):
    """Antineutrinos of a reactor: a spectrum per fission and one of two normalisations.

    Either the fissions of a thermal power seen from a distance, or a quoted flux, which must
    count what the spectrum holds (captures on 238U or not).
    """

    kind: Literal["reactor"] = Field(description="Antineutrinos of a reactor")
    spectrum: str = Field(
        description="Antineutrino spectrum: a model of `nuhf.physics.reactor_models`"
    )
    fuel: dict[Name, NonNegative] = Field(
        {}, description="Share of the fissions by isotope (`u235`, `u238`, `pu239`, `pu241`), sum 1"
    )
    captures_per_fission: NonNegative = Field(
        0.0, description="Neutron captures on 238U per fission, two antineutrinos each"
    )
    e_max_mev: Positive | None = Field(None, description="Leave higher neutrino energies out, MeV")
    power_gw: Positive | None = Field(None, description="Thermal power, GW")
    energy_per_fission_mev: Positive | None = Field(
        None, description="Thermal energy per fission, MeV"
    )
    distance_m: Positive | None = Field(None, description="From core to detector, m")
    flux_per_cm2_s: Positive | None = Field(
        None,
        description="Quoted flux of all antineutrinos of the spectrum, per cm2 and s; instead of "
        "the power",
    )

    @model_validator(mode="after")
    def _one_normalisation(self) -> Self:
        power = ("power_gw", "energy_per_fission_mev", "distance_m")
        given = [key for key in power if getattr(self, key) is not None]
        if self.flux_per_cm2_s is not None:
            if given:
                raise ValueError(f"flux_per_cm2_s is the normalisation: leave {given[0]} out")
        elif len(given) != len(power):
            raise ValueError(f"give flux_per_cm2_s, or all of {', '.join(power)}")
        return self

    @property
    def note(self) -> str:
        """What the spectrum has to say."""
        note = reactor.model(self.spectrum).note
        return f"fluxes: {note}" if note else ""

    def emissions(self, inputs: Inputs, chosen: Sequence[str] = ()) -> list[Emission]:
        """Return electron antineutrinos."""
        spectrum = library.reactor_spectrum(
            self.spectrum, self.fuel or None, self.captures_per_fission, self.e_max_mev, inputs
        )
        if self.power_gw and self.energy_per_fission_mev and self.distance_m:
            flux = reactor.fluence_from_power(
                self.power_gw, self.energy_per_fission_mev, self.distance_m, 1.0
            )
        else:
            flux = reactor.fluence_from_flux(spectrum, self.flux_per_cm2_s or 0.0, 1.0)
        return [Emission("nuebar", "nuebar", spectrum, flux, steady=True)]


class Sun(Source):
    """The Sun: fluxes of a solar model, spectra by reaction, and the flavours at the Earth."""

    kind: Literal["sun"] = Field(description="The Sun")
    fluxes: str = Field("gs98", description="Solar model: a table of `data/solar/fluxes_b16.toml`")
    flux_per_cm2_s: dict[Component, Positive] = Field(
        {}, description="Fluxes that replace those of the model, per cm2 and s"
    )
    components: tuple[Component, ...] = Field(
        solar.COMPONENTS, min_length=1, description="Reactions of signals without `components`"
    )
    ordering: Literal["normal", "inverted"] = Field(
        "normal", description="Mass ordering, for the survival probability"
    )
    survival: dict[Component, Fraction] = Field(
        {}, description="Constant survival probability by reaction; adiabatic without one"
    )
    sin2_theta23: Fraction = Field(
        0.5, description="Squared sine of the mixing angle theta_23: nu_tau among those converted"
    )
    coherence: bool = Field(
        False,
        description="Whether they arrive as mass states, so that transition couplings interfere "
        "with the SM; false leaves this out, as arXiv:2309.17380 does",
    )
    delta_cp_rad: Finite = Field(
        0.0, description="Dirac phase of the mixing matrix, where `coherence = true`"
    )
    transition_phase_rad: Finite = Field(
        0.0, description="Phase of transition couplings, where `coherence = true`"
    )

    @property
    def angles(self) -> tuple[str, ...]:
        """Phases, where neutrinos arrive as mass states."""
        return (DELTA_CP, TRANSITION_PHASE) if self.coherence else ()

    def emissions(self, inputs: Inputs, chosen: Sequence[str] = ()) -> list[Emission]:
        """Return three flavours of every reaction, and what a mixture of mass states adds."""
        fluxes = library.read_fluxes(self.fluxes, inputs)
        oscillation = library.read_oscillation(self.ordering, inputs)
        adiabatic = library.adiabatic_survival(oscillation, inputs)
        emissions = []
        for name, component in library.components(chosen or self.components, inputs).items():
            survival: solar.Survival = adiabatic
            if name in self.survival:
                survival = solar.ConstantSurvival(self.survival[name])
            flux = self.flux_per_cm2_s.get(name, fluxes[name].per_cm2_s)  # type: ignore[call-overload]
            if self.coherence:
                angles = replace(oscillation, sin2_theta23=self.sin2_theta23)
                spectra = state_spectra(
                    component, survival, angles, self.delta_cp_rad, self.transition_phase_rad
                )
            else:
                spectra = solar.flavour_spectra(component, survival, self.sin2_theta23)
            emissions += [Emission(n, name, s, flux, steady=True) for n, s in spectra.items()]
        return emissions


class Species(Section):
    """One species of neutrinos of a table."""

    flavour: Flavour = Field(description="Flavour at the detector")
    antineutrino: bool = Field(False, description="Whether they are antineutrinos")


class TableSource(Source):
    """A spectrum of one's own: flux densities by species at energies, or fluxes in bins.

    Straight lines between points ``e_mev`` (flux per cm2, s and MeV), or bins ``e_lo_mev``,
    ``e_hi_mev`` (flux per cm2 and s in each); a column for every species. With ``per = "exposure"``
    the numbers are a fluence, and the live time does not matter.
    """

    kind: Literal["table"] = Field(description="A spectrum of one's own")
    table: str = Field(description="Table of the spectrum, with a column for every species")
    species: dict[Name, Species] = Field(
        min_length=1, description="Flavour of every species, by the name of its column"
    )
    factor: Positive = Field(1.0, description="Factor on all numbers of the table")
    per: Literal["second", "exposure"] = Field(
        "second", description="Whether the table is a flux, or the fluence of the whole exposure"
    )
    time_table: str = Field(
        "", description="Table of arrival times: `t_lo_us, t_hi_us` and a column for every species"
    )

    def emissions(self, inputs: Inputs, chosen: Sequence[str] = ()) -> list[Emission]:
        """Return the species of the table."""
        steady, table = self.per == "second", inputs.table(self.table, list(self.species))
        profiles: Mapping[str, sns.TimeProfile] = {}
        if self.time_table:
            times = inputs.table(self.time_table, ["t_lo_us", "t_hi_us", *self.species])
            edges = times.edges("t_lo_us", "t_hi_us")
            profiles = {n: sns.TimeProfile(edges, times.non_negative(n)) for n in self.species}
        emissions = []
        for name, species in self.species.items():
            values = table.non_negative(name)
            if "e_lo_mev" in table.columns:
                edges = table.edges("e_lo_mev", "e_hi_mev")
                binned = histogram_spectrum(species.flavour, edges, values)
                density, continuous = binned.density, False
            else:
                edges, continuous = table.increasing("e_mev"), True
                density = straight(edges, values)
            spectrum = Spectrum(
                species.flavour, edges, density,
                antineutrino=species.antineutrino, continuous=continuous,
            )  # fmt: skip
            profile = profiles.get(name)
            emissions.append(Emission(name, name, spectrum, self.factor, steady, profile))
        return emissions


class Monoenergetic(Source):
    """Neutrinos of one energy, as of an electron-capture source."""

    kind: Literal["monoenergetic"] = Field(description="Neutrinos of one energy")
    energy_mev: Positive = Field(description="Their energy, MeV")
    flavour: Flavour = Field("e", description="Their flavour")
    antineutrino: bool = Field(False, description="Whether they are antineutrinos")
    flux_per_cm2_s: Positive = Field(description="Mean flux at the detector, per cm2 and s")

    def emissions(self, inputs: Inputs, chosen: Sequence[str] = ()) -> list[Emission]:
        """Return the one species."""
        name = f"nu{self.flavour}{'bar' if self.antineutrino else ''}"
        line = ((self.energy_mev, 1.0),)
        spectrum = Spectrum(
            self.flavour, np.array([]), np.zeros_like, line, antineutrino=self.antineutrino
        )
        return [Emission(name, name, spectrum, self.flux_per_cm2_s, steady=True)]
