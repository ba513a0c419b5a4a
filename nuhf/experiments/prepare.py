"""From a loaded experiment to its regions."""

from functools import partial

from nuhf.errors import InputError
from nuhf.experiments import catalogue, sanity
from nuhf.experiments.build import build_regions
from nuhf.experiments.catalogue import Loaded
from nuhf.experiments.region import Prepared
from nuhf.experiments.scattering import Case

__all__ = ["prepare"]


def prepare(loaded: Loaded) -> Prepared:
    """Build templates, backgrounds and data of an experiment.

    Raises
    ------
    InputError
        As `nuhf.experiments.build.build_regions`, or if a number that comes out is impossible.
    """
    try:
        case = Case(
            loaded.path, loaded.inputs, loaded.experiment, loaded.variables, loaded.settings
        )
        parse = partial(catalogue.parse, loaded.path)
        regions = build_regions(case, loaded.content, loaded.analysis, parse)
        return sanity.check(Prepared(loaded, regions, loaded.inputs.records))
    except InputError as error:
        # what lies below knows tables and numbers, but not for which experiment they are read
        if str(loaded.path) in str(error):
            raise
        raise InputError(f"{loaded.path}: {error}") from error
