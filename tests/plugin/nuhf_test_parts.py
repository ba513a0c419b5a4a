"""Parts of experiments that nuhf does not know: an installed package of somebody else's."""

from typing import Literal

import numpy as np
from pydantic import Field

from nuhf.detector import quenching as curves
from nuhf.experiments.backgrounds import Background
from nuhf.experiments.quenching import Quenching
from nuhf.experiments.sources import Emission, Source
from nuhf.physics.spectra import Spectrum


class RootQuenching(Quenching):
    """Quenching factor a sqrt(T/keV)."""

    kind: Literal["root"] = Field(description="Root of the recoil energy")
    a: float = Field(gt=0, description="Quenching factor at 1 keV")

    def shape(self, inputs, protons):
        recoil = np.geomspace(1e-8, 0.03, 2001)
        return curves.table(recoil, self.a * np.sqrt(recoil * 1e3))


class LineSource(Source):
    """Equal parts of electron and muon neutrinos of one energy, read from a table."""

    kind: Literal["two-lines"] = Field(description="Two flavours of one energy")
    table: str = Field(description="Table `e_mev, flux_per_cm2_s`")

    def emissions(self, inputs, chosen=()):
        table = inputs.table(self.table, ["e_mev", "flux_per_cm2_s"])
        return [
            Emission(
                f"nu{flavour}", f"nu{flavour}",
                Spectrum(flavour, np.array([]), np.zeros_like, ((float(table["e_mev"][0]), 1.0),)),
                float(table["flux_per_cm2_s"][0]), steady=True,
            )
            for flavour in ("e", "mu")
        ]  # fmt: skip


class Comb(Background):
    """Events in every second bin."""

    kind: Literal["comb"] = Field(description="Events in every second bin")
    events: float = Field(gt=0, description="Events in each of these bins")

    def counts(self, around):
        return self.events * (np.arange(around.bins.count) % 2 == 0)
