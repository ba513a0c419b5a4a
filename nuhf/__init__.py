"""nuhf: likelihoods for the electromagnetic properties of neutrinos, as pyhf workspaces.

>>> m = nuhf.model("coherent-csi-2021", poi="qnu_mumu")
>>> nuhf.interval(m, cl=0.9)
>>> nuhf.limit("coherent-csi-2021", "munu_mu")  # the same in one call, as on the command line

Everything is loaded on first use; ``import nuhf`` itself loads nothing else.
"""

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from nuhf.api.build import model, open
    from nuhf.api.catalogue import parameters, rate, reproduce, templates
    from nuhf.api.experiment import Experiment, load
    from nuhf.api.functions import (
        contour,
        coverage,
        exclusion,
        fit,
        interval,
        limit,
        ranking,
        scan,
    )
    from nuhf.api.model import Model
    from nuhf.bayes.functions import log_density, posterior, simulate
    from nuhf.errors import FitError, InputError, ModelError, NuhfError
    from nuhf.exchange import combine, patchset, publication, validate, workspace
    from nuhf.experiments.catalogue import titles as experiments
    from nuhf.workspaces.interference import interference_samples

    __version__: str

__all__ = [
    "Experiment",
    "FitError",
    "InputError",
    "Model",
    "ModelError",
    "NuhfError",
    "combine",
    "contour",
    "coverage",
    "exclusion",
    "experiments",
    "fit",
    "interference_samples",
    "interval",
    "limit",
    "load",
    "log_density",
    "model",
    "open",
    "parameters",
    "patchset",
    "posterior",
    "publication",
    "ranking",
    "rate",
    "reproduce",
    "scan",
    "simulate",
    "templates",
    "validate",
    "workspace",
]

_HOMES: Final = {
    "nuhf.api.catalogue": ("parameters", "rate", "reproduce", "templates"),
    "nuhf.api.experiment": ("Experiment", "load"),
    "nuhf.api.build": ("model", "open"),
    "nuhf.api.model": ("Model",),
    "nuhf.bayes.functions": ("log_density", "posterior", "simulate"),
    "nuhf.errors": ("FitError", "InputError", "ModelError", "NuhfError"),
    "nuhf.exchange": ("combine", "patchset", "publication", "validate", "workspace"),
    "nuhf.workspaces.interference": ("interference_samples",),
}
"""Modules of the public names; the rest are in ``nuhf.api.functions``."""


def __getattr__(name: str) -> object:
    import importlib

    if name == "experiments":  # a package that can be called: this name is its own
        return importlib.import_module("nuhf.experiments")
    if name in __all__:
        homes = {one: home for home, names in _HOMES.items() for one in names}
        return getattr(importlib.import_module(homes.get(name, "nuhf.api.functions")), name)
    if name == "__version__":
        from importlib.metadata import version

        return version("nuhf")
    raise AttributeError(f"module 'nuhf' has no attribute '{name}'")


def __dir__() -> list[str]:
    return [*__all__, "__version__"]
