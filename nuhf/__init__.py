"""nuhf: likelihoods for the electromagnetic properties of neutrinos, as pyhf workspaces.

The functions here are the same as the commands: ``nuhf.limit("coherent-csi-2021", "qnu_mumu")``.
They are loaded on first use; ``import nuhf`` itself loads nothing else.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from nuhf.api import (
        contour,
        coverage,
        exclusion,
        experiment,
        fit,
        limit,
        ranking,
        rate,
        reproduce,
        scan,
        templates,
    )
    from nuhf.bayes.functions import log_density, posterior, simulate
    from nuhf.exchange import combine, patchset, publication, validate, workspace
    from nuhf.workspaces.interference import interference_samples

__all__ = [
    "combine",
    "contour",
    "coverage",
    "exclusion",
    "experiment",
    "fit",
    "interference_samples",
    "limit",
    "log_density",
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


def __getattr__(name: str) -> Any:
    if name in __all__:
        import importlib

        homes = dict.fromkeys(("log_density", "posterior", "simulate"), "nuhf.bayes.functions")
        homes["interference_samples"] = "nuhf.workspaces.interference"
        files = ("combine", "patchset", "publication", "validate", "workspace")
        home = (homes | dict.fromkeys(files, "nuhf.exchange")).get(name, "nuhf.api")
        return getattr(importlib.import_module(home), name)
    if name == "__version__":
        from importlib.metadata import version

        return version("nuhf")
    raise AttributeError(f"module 'nuhf' has no attribute '{name}'")


def __dir__() -> list[str]:
    return [*__all__, "__version__"]
