"""From loaded experiments to a description."""

from collections.abc import Mapping, Sequence

import numpy as np

from nuhf import parameters
from nuhf.engine.store import TemplateSet
from nuhf.errors import InputError
from nuhf.experiments import spallation
from nuhf.experiments.catalogue import Loaded
from nuhf.experiments.schema import NormNuisance
from nuhf.model.describe import (
    Channel,
    Description,
    Norm,
    channel,
    couplings,
    gaussian,
)
from nuhf.parameters import Parameter

__all__ = ["describe"]


def _norms(loaded: Loaded) -> dict[str, dict[str, Norm]]:
    norms: dict[str, dict[str, Norm]] = {}
    for nuisance in loaded.analysis.nuisances:
        if isinstance(nuisance, NormNuisance):
            for process in nuisance.processes:
                linear = nuisance.pull == "linear"
                pair = Norm(1.0 + nuisance.size, 1.0 - nuisance.size, linear)
                norms.setdefault(process, {})[nuisance.name] = pair
    return norms


def _channel(
    loaded: Loaded,
    templates: TemplateSet,
    floated: Sequence[Parameter],
    values: Mapping[Parameter, float],
    anapole: str,
) -> Channel:
    data = spallation.observed(loaded)
    region = channel(
        loaded.experiment.name.replace("-", "_"),
        templates,
        data.counts,
        spallation.backgrounds(loaded),
        _norms(loaded),
        floated,
        values,
        anapole,
    )
    if loaded.analysis.statistic == "poisson":
        return region
    both = loaded.analysis.residual_error == "coincidence+control"
    variance = data.counts + data.control if both else data.counts
    return gaussian(region, data.counts - data.control, np.sqrt(variance))


def describe(
    experiments: Sequence[Loaded],
    floated: Sequence[str],
    values: Mapping[str, float] | None = None,
    anapole: str = "standard",
    templates: Mapping[str, TemplateSet] | None = None,
) -> Description:
    """Describe the model of one experiment, or of several together.

    Nuisances of equal name are one nuisance, in whichever experiment they act.

    Parameters
    ----------
    experiments : sequence of Loaded
        Experiments with their analyses.
    floated : sequence of str
        Names of the free parameters, the first is the parameter of interest.
    values : mapping, optional
        Other parameters by name, fixed at values in base units.
    anapole : str
        ``standard`` or ``khan``.
    templates : mapping, optional
        Templates made before, by experiment, to save building them again.

    Raises
    ------
    InputError
        For unknown, degenerate or ineffective parameters, or an experiment given twice.
    """
    if not floated:
        raise InputError("name at least one parameter")
    free = [parameters.get(name) for name in floated]
    parameters.check_values(values or {})
    fixed = {parameters.get(name): value for name, value in (values or {}).items()}
    both = [p.name for p in free if p in fixed]
    if both:
        raise InputError(f"{both[0]} is both free and set to a value")
    names = [loaded.experiment.name for loaded in experiments]
    if len(set(names)) != len(names):
        raise InputError(f"an experiment is given twice: {', '.join(names)}")
    made = dict(templates or {})
    for loaded in experiments:
        if loaded.experiment.name not in made:
            made[loaded.experiment.name] = spallation.templates(loaded)
    regions = tuple(
        _channel(loaded, made[loaded.experiment.name], free, fixed, anapole)
        for loaded in experiments
    )
    title = "_".join(f"{x.experiment.name}_{x.analysis_name}" for x in experiments)
    return Description(title.replace("-", "_"), regions, couplings(free, regions))
