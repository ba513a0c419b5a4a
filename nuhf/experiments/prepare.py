"""From a loaded experiment to its regions."""

from nuhf.errors import InputError
from nuhf.experiments import sanity
from nuhf.experiments.build import build_regions
from nuhf.experiments.catalogue import Loaded
from nuhf.experiments.region import Prepared

__all__ = ["prepare"]


def prepare(loaded: Loaded) -> Prepared:
    """Build templates, backgrounds and data of an experiment.

    Raises
    ------
    InputError
        As `nuhf.experiments.build.build_regions`, or if a number that comes out is impossible.
    """
    try:
        return sanity.check(Prepared(loaded, build_regions(loaded), loaded.inputs.records))
    except InputError as error:
        # what lies below knows keys, tables and numbers, but not of which experiment
        if str(error).startswith(str(loaded.path)):
            raise
        raise InputError(f"{loaded.path}: {error}") from error
