"""Signals in experiment files: what scatters on what, or which number is measured."""

import math
from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import replace
from typing import Annotated, ClassVar, Final, Literal

import numpy as np
from pydantic import Field

from nuhf import library
from nuhf.errors import InputError
from nuhf.experiments.parts import Name, Part, Positive, Section
from nuhf.experiments.target import Target
from nuhf.inputs import Inputs
from nuhf.physics.apv import WeakChargeInputs, apv_polynomial
from nuhf.physics.neutron_radius import REFERENCE_FM
from nuhf.physics.polynomial import monomial
from nuhf.physics.settings import Physics
from nuhf.rates import build
from nuhf.rates.templates import Axis, TemplateSet

DATUM: Final = (Axis("datum", (0.0, 1.0)),)
"""The axis of a region with one measured number."""


class PhysicsSection(Section):
    """What the cross sections are computed with."""

    couplings: str = Field(
        "tree", description="Weak couplings: `tree`, or a scheme of `data/couplings.toml`"
    )
    form_factor: str = Field(
        "helm", description="Form factor of the nuclei: of `nuhf.physics.form_factors`"
    )
    neutron_radius: bool = Field(
        False, description="Whether templates are expanded in neutron radii, as free parameters"
    )
    settings: dict[str, float] = Field(
        {},
        description="Numbers of models of couplings, such as `mediator_mass_mev = 30`; the option "
        "settings of a question have priority",
    )


class Signal(Part):
    """A process of neutrinos, or a number that couplings change."""

    discriminator: ClassVar[str] = "interaction"

    name: Name = Field("", description="Its name: that of the table", validate_default=False)
    title: str = Field("", description="One line for people")

    usual_title: ClassVar[str] = ""

    @property
    def heading(self) -> str:
        """Title for people."""
        return self.title or self.usual_title or self.name


class Scattering(Signal):
    """What scattering on any target has."""

    source: Name = Field(description="Source of the neutrinos; two sources are two signals")
    components: tuple[Name, ...] = Field(
        (), description="Species or reactions of the source; all if empty"
    )
    response: Name = Field(description="Response of the detector to the recoils")
    nuclides: tuple[str, ...] = Field(
        (), description="Nuclides or elements of the target that are hit; all if empty"
    )

    interaction_name: ClassVar[str] = ""

    @abstractmethod
    def targets(self, inputs: Inputs, target: Target, physics: Physics) -> list[build.Scatterer]:
        """Return what is hit (`InputError` if something of it is unknown)."""

    def protons(self, inputs: Inputs, target: Target) -> int | None:
        """Return Z if all nuclei that are hit have the same, for quenching; of electrons None."""
        return None


class Released(Section):
    """A released template that replaces the sum of what the engine computes.

    In every bin of the recorded signal and time it is split into neutrino flavours and monomials
    of the couplings as the engine computes them there; further axes of the region do not depend
    on couplings inside such a bin.
    """

    source: str = Field("", description="Where the numbers come from")
    table: str = Field(description="Table with a row per bin")
    column: str = Field(description="Its column with the expected events of the SM")
    mirrored_table: str = Field("", description="Table of `mirrored_column`, if another one")
    mirrored_column: str = Field(
        "", description="Column of an alternative; the template is its mirror image, 2 x column - "
        "alternative",
    )  # fmt: skip
    digits: Annotated[int, Field(ge=3, le=16)] = Field(
        6, description="Significant digits of the templates, as released"
    )


class Nuclei(Scattering):
    """Coherent elastic scattering on nuclei."""

    interaction: Literal["cevns"] = Field(description="Coherent elastic scattering on nuclei")
    released: Released | None = Field(None, description="Released template of this signal")

    interaction_name: ClassVar[str] = "cevns"
    usual_title: ClassVar[str] = "CEvNS"

    def targets(self, inputs: Inputs, target: Target, physics: Physics) -> list[build.Scatterer]:
        """Return the nuclides."""
        return [
            build.nucleus(nuclide, number, physics)
            for nuclide, number in target.nuclei(inputs, self.nuclides)
        ]

    def protons(self, inputs: Inputs, target: Target) -> int | None:
        """Return Z if there is only one."""
        charges = {n.protons for n, _ in target.nuclei(inputs, self.nuclides)}
        return charges.pop() if len(charges) == 1 else None


class Electrons(Scattering):
    """Elastic scattering on the electrons of the atoms."""

    interaction: Literal["eves"] = Field(description="Elastic scattering on electrons")
    binding: Literal["step", "rrpa", "free"] = Field(
        "step",
        description="Binding energies as steps; for xenon the relativistic random-phase "
        "approximation of the SM part, with recoils from the start of its table on; or free "
        "electrons",
    )

    interaction_name: ClassVar[str] = "eves"
    usual_title: ClassVar[str] = "EvES"

    def targets(self, inputs: Inputs, target: Target, physics: Physics) -> list[build.Scatterer]:
        """Return the electrons of each element."""
        if physics.couplings.scheme != "tree":
            raise InputError(
                f"signals.{self.name}: physics.couplings = '{physics.couplings.scheme}', and those "
                "of electrons have 'tree' only"
            )
        atoms = target.atoms(inputs, self.nuclides, self.binding)
        asked = physics.photoabsorption
        return [
            build.electrons(
                shells, number, physics, correction,
                library.read_photoabsorption(symbol, inputs) if asked else None,
            )
            for symbol, shells, correction, number in atoms
        ]  # fmt: skip


# -------------------------------------------------------------- measured numbers


class Measurement(Signal):
    """A measured number with a Gaussian error, which is no count of neutrinos."""

    @abstractmethod
    def measured(self, inputs: Inputs, region: str) -> tuple[TemplateSet, float, dict[str, float]]:
        """Return the prediction, the measured number and its independent standard errors."""

    def datum(
        self, inputs: Inputs, region: str, parts: Mapping[str, str], where: str
    ) -> tuple[TemplateSet, tuple[float, float]]:
        """Return the prediction, and the measured number with what is left of its error.

        Errors that are nuisances (``parts``: their names, by error) shift the prediction instead.

        `InputError` if the number has no such error, or no other one.
        """
        templates, value, errors = self.measured(inputs, region)
        left, varied = dict(errors), {}
        for part, nuisance in parts.items():
            if part not in left or len(left) == 1:
                raise InputError(
                    f"{where}: nuisances.{nuisance}.part: '{part}' is none of the errors "
                    f"{', '.join(errors)} of '{self.name}', of which one must be left"
                )
            size = left.pop(part)
            for direction, shift in (("up", size), ("down", -size)):
                varied[nuisance, direction] = {
                    source: {m: row + shift if m == "1" else row for m, row in rows.items()}
                    for source, rows in templates.nominal.items()
                }
        return replace(templates, varied=varied), (value, math.hypot(*left.values()))

    def _templates(
        self, region: str, inputs: WeakChargeInputs, terms: dict[str, float], error: float = 0.0
    ) -> TemplateSet:
        """One bin with a prediction by template name."""
        nuclide = inputs.nuclide
        source = nuclide.name.lower()
        errors = {name: np.array([error if name == "1" else 0.0]) for name in terms}
        return TemplateSet(
            region=region,
            process=self.name,
            interaction="measurement",
            axes=DATUM,
            # no neutrino: a flavour of its own, so that no coupling of a neutrino acts here
            flavours={source: source},
            nominal={source: {name: np.array([value]) for name, value in terms.items()}},
            varied={},
            errors={source: errors},
            reference={f"x_{nuclide.name}": nuclide.rn_fm - REFERENCE_FM},
        )


class WeakCharge(Measurement):
    """Weak charge of a nucleus from atomic parity violation."""

    interaction: Literal["weak_charge"] = Field(description="Weak charge of a nucleus")
    inputs: str = Field(
        description="TOML file with measured and calculated numbers, like `apv-cs/apv-cs.toml`"
    )

    def measured(self, inputs: Inputs, region: str) -> tuple[TemplateSet, float, dict[str, float]]:
        """Return prediction, weak charge and errors."""
        numbers = library.read_weak_charge(self.inputs, inputs)
        polynomial = apv_polynomial(numbers)
        terms = {"1": float(polynomial.powers[0]), "s2w": polynomial.slope}
        for power, row in enumerate(polynomial.powers[1:], start=1):
            terms[monomial([f"x_{numbers.nuclide.name}"], (power,))] = float(row)
        templates = self._templates(region, numbers, terms, polynomial.worst)
        size = abs(polynomial.value)
        errors = {name: size * share for name, share in numbers.relative_errors.items()}
        return templates, polynomial.value, errors


class NeutronRadius(Measurement):
    """A neutron radius measured elsewhere."""

    interaction: Literal["neutron_radius"] = Field(description="Neutron radius of a nucleus")
    inputs: str = Field(description="TOML file that names the nuclide, as of `weak_charge`")
    value_fm: Positive = Field(description="Neutron radius, fm")
    error_fm: Positive = Field(description="Its standard error, fm")

    def measured(self, inputs: Inputs, region: str) -> tuple[TemplateSet, float, dict[str, float]]:
        """Return prediction, radius and error."""
        numbers = library.read_weak_charge(self.inputs, inputs)
        terms = {"1": 0.0, f"x_{numbers.nuclide.name}": 1.0}
        templates = self._templates(region, numbers, terms)
        return templates, self.value_fm - REFERENCE_FM, {"radius": self.error_fm}
