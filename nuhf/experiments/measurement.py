"""From a measured number to Gaussian regions of one bin."""

from collections.abc import Mapping

import numpy as np

from nuhf.experiments.catalogue import Loaded
from nuhf.experiments.measurement_schema import ExternalRadius, Measurement
from nuhf.experiments.region import Prepared, Region
from nuhf.physics.apv import WeakChargeInputs, apv_polynomial, read_inputs
from nuhf.physics.neutron_radius import REFERENCE_FM
from nuhf.physics.polynomial import monomial
from nuhf.rates.templates import Axis, TemplateSet

__all__ = ["prepare"]

_AXES = (Axis("datum", (0.0, 1.0)),)


def prepare(loaded: Loaded, experiment: Measurement) -> Prepared:
    """Build the regions, as `nuhf.experiments.prepare.prepare` says."""
    analysis = experiment.analyses[loaded.analysis_name]
    name = experiment.name.replace("-", "_")
    path = loaded.table(experiment.measurement.inputs)
    inputs = read_inputs(path)
    regions = [_weak_charge(name, inputs)]
    if analysis.neutron_radius is not None:
        regions.append(_radius(f"{name}_radius", inputs, analysis.neutron_radius))
    digests = loaded.digests({experiment.measurement.inputs}, {"nuclides.toml"})
    return Prepared(loaded, tuple(regions), digests)


def _region(
    name: str,
    process: str,
    title: str,
    inputs: WeakChargeInputs,
    terms: Mapping[str, float],
    datum: tuple[float, float],
    error: float = 0.0,
) -> Region:
    """One bin with a prediction by template name, a value and its error."""
    nuclide = inputs.nuclide
    source = nuclide.name.lower()
    rows = {name: np.array([value]) for name, value in terms.items()}
    errors = {name: np.array([error if name == "1" else 0.0]) for name in terms}
    templates = TemplateSet(
        region=name,
        process=process,
        interaction="measurement",
        axes=_AXES,
        # no neutrino: a flavour of its own, so that no coupling of a neutrino acts here
        flavours={source: source},
        nominal={source: rows},
        varied={},
        errors={source: errors},
        reference={f"x_{nuclide.name}": nuclide.rn_fm - REFERENCE_FM},
    )
    value, sigma = datum
    return Region(
        name,
        _AXES,
        (templates,),
        np.array([value]),
        {},
        {process: title},
        events=0.0,
        sigma=np.array([sigma]),
    )


def _weak_charge(name: str, inputs: WeakChargeInputs) -> Region:
    found = apv_polynomial(inputs)
    terms = {"1": float(found.powers[0]), "s2w": found.slope}
    for power, row in enumerate(found.powers[1:], start=1):
        terms[monomial([f"x_{inputs.nuclide.name}"], (power,))] = float(row)
    title, datum = "weak charge", (found.value, found.error)
    return _region(name, "weak_charge", title, inputs, terms, datum, found.worst)


def _radius(name: str, inputs: WeakChargeInputs, radius: ExternalRadius) -> Region:
    terms = {"1": 0.0, f"x_{inputs.nuclide.name}": 1.0}
    datum = radius.value_fm - REFERENCE_FM, radius.error_fm
    return _region(name, "neutron_radius", "neutron radius", inputs, terms, datum)
