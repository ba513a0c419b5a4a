"""What a cross section depends on beside the collision itself."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from nuhf.couplings import parameters
from nuhf.physics.couplings import WeakCouplings, tree_level

ELECTROMAGNETIC: Final = ("q", "r", "munu")
"""Variables of the electromagnetic couplings."""


@dataclass(frozen=True)
class Physics:
    """Choices of physics that no fit moves; a scan may run over one of ``settings``.

    Attributes
    ----------
    couplings : WeakCouplings
        Weak couplings of the nucleons. Electrons are at tree level.
    form_factor : str
        Of nuclei: a name in `nuhf.physics.form_factors.FORM_FACTORS`, or ``klein-nystrand``.
    neutron_radius : bool
        Whether rates are expanded in powers of the neutron radii.
    variables : tuple of str
        Variables that rates are expanded in, see `nuhf.couplings.parameters.variables`.
    settings : mapping
        Numbers of models, such as ``mediator_mass_mev``.
    """

    couplings: WeakCouplings = field(default_factory=tree_level)
    form_factor: str = "helm"
    neutron_radius: bool = False
    variables: tuple[str, ...] = ELECTROMAGNETIC
    settings: Mapping[str, float] = field(default_factory=dict)

    @property
    def photoabsorption(self) -> bool:
        """Whether a model of the variables needs the photoabsorption of atoms."""
        return any(
            model.photoabsorption and {v.name for v in model.variables} & set(self.variables)
            for model in parameters.models()
        )
