"""Published numbers that are no parameter of a model, computed from one."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from nuhf.experiments.region import Prepared
from nuhf.papers import coherence

Pieces = Sequence[tuple[float, float]]


@dataclass(frozen=True)
class Quantity:
    """A derived number.

    Attributes
    ----------
    unit : str
        Its unit.
    compute : callable
        From the prepared experiments and the confidence level (0: no interval) to pieces; a
        single number is a piece with equal ends.
    """

    unit: str
    compute: Callable[[Sequence[Prepared], float], Pieces]


QUANTITIES: Final[Mapping[str, Quantity]] = {
    "full_coherence_excluded_sigma": Quantity("sigma", coherence.full_coherence_excluded_sigma),
    "QW_Cs": Quantity("1", coherence.weak_charge),
}
"""Every derived number by name."""
