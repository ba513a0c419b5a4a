"""Published numbers that are no parameter of a model, computed from one.

Those of M. Cadeddu et al., arXiv:1908.06045: loss of coherence, weak charge.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from scipy.stats import chi2, norm

from nuhf import questions
from nuhf.errors import InputError
from nuhf.experiments.prepare import prepare
from nuhf.experiments.region import Prepared
from nuhf.experiments.signals import WeakCharge
from nuhf.library import read_weak_charge
from nuhf.physics.apv import standard_model_weak_charge
from nuhf.stats.problem import Options, pose

Pieces = Sequence[tuple[float, float]]


def _one(experiments: Sequence[Prepared]) -> Prepared:
    if len(experiments) != 1:
        raise InputError("this quantity belongs to one experiment")
    return experiments[0]


def loss_of_coherence(one: Prepared) -> float:
    """Rise of 2NLL from the best fit with a free neutron radius to full coherence.

    Full coherence is the model with both form factors 1, the strength at the SM and all nuisances
    free; it is no value of the radius, since F_p stays as measured there.
    """
    if not one.loaded.nuclides:
        raise InputError(f"{one.name}: no form factor to replace")
    changes = {
        "physics": {"form_factor": "point", "neutron_radius": False},
        "analyses": {one.loaded.analysis_name: {"floating": (), "limits": {}}},
    }
    coherent = pose([prepare(one.loaded.changed(changes))], "norm_cevns", Options())
    height = coherent.profiler().at(np.array([1.0]))[0]
    best = questions.limit(pose([one], "Rn_CsI", Options()), 0.5, "delta-chi2")
    return float(height - best.twice_nll_min)


def full_coherence_excluded_sigma(experiments: Sequence[Prepared], _: float) -> Pieces:
    """Significance of `loss_of_coherence`.

    p-value for one degree of freedom, converted to a one-sided number of standard deviations as
    the paper does: 18.1 - 3.0 = 15.1 gives p = 1.0e-4 and 3.7.
    """
    sigma = float(norm.isf(chi2.sf(loss_of_coherence(_one(experiments)), 1)))
    return [(sigma, sigma)]


def weak_charge(experiments: Sequence[Prepared], cl: float) -> Pieces:
    """Weak charge at the interval of sin2thetaW: the same measurement, eq 16 for eq 17."""
    one = _one(experiments)
    signals = one.loaded.experiment.signals.values()
    files = [signal.inputs for signal in signals if isinstance(signal, WeakCharge)]
    if not files:
        raise InputError(f"{one.name}: no measurement of a weak charge")
    inputs = read_weak_charge(files[0], one.loaded.inputs)
    found = questions.limit(pose([one], "sin2thetaW", Options()), cl, "delta-chi2").intervals
    return [
        (standard_model_weak_charge(inputs, high), standard_model_weak_charge(inputs, low))
        for low, high in reversed(found)
    ]


@dataclass(frozen=True)
class Quantity:
    """A derived number: its unit, and how it follows from prepared experiments.

    ``compute`` takes the confidence level, too (0: no interval), and returns pieces; a single
    number is a piece with equal ends.
    """

    unit: str
    compute: Callable[[Sequence[Prepared], float], Pieces]


QUANTITIES: Final[Mapping[str, Quantity]] = {
    "full_coherence_excluded_sigma": Quantity("sigma", full_coherence_excluded_sigma),
    "QW_Cs": Quantity("1", weak_charge),
}
"""Every derived number by name."""
