"""From a loaded experiment of any kind to its regions."""

from nuhf.errors import InputError
from nuhf.experiments import (
    measurement,
    reactor,
    sanity,
    solar,
    spallation,
    spallation_released,
)
from nuhf.experiments.catalogue import Loaded
from nuhf.experiments.measurement_schema import Measurement
from nuhf.experiments.reactor_schema import Reactor
from nuhf.experiments.region import Prepared
from nuhf.experiments.solar_schema import Solar
from nuhf.experiments.spallation_released_schema import Released
from nuhf.experiments.spallation_schema import Spallation

__all__ = ["prepare"]


def prepare(loaded: Loaded) -> Prepared:
    """Build templates, backgrounds and data of an experiment.

    Raises
    ------
    InputError
        If a table is missing or broken, a nuclide, form factor or coupling scheme unknown, a
        bin edge cuts a cell of the data, or a number that comes out is impossible.
    """
    try:
        return sanity.check(_prepare(loaded))
    except InputError as error:
        # what lies below knows tables and numbers, but not for which experiment they are read
        if str(loaded.path) in str(error):
            raise
        raise InputError(f"{loaded.path}: {error}") from error


def _prepare(loaded: Loaded) -> Prepared:
    experiment = loaded.experiment
    if isinstance(experiment, Spallation):
        return spallation.prepare(loaded, experiment)
    if isinstance(experiment, Solar):
        return solar.prepare(loaded, experiment)
    if isinstance(experiment, Reactor):
        return reactor.prepare(loaded, experiment)
    if isinstance(experiment, Measurement):
        return measurement.prepare(loaded, experiment)
    if isinstance(experiment, Released):
        return spallation_released.prepare(loaded, experiment)
    raise InputError(f"{loaded.path}: no way to build an experiment of this kind")
