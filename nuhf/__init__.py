"""nuhf: likelihoods for the electromagnetic properties of neutrinos, as pyhf workspaces.

The functions here are the same as the commands: ``nuhf.limit("coherent-csi-2021", "qnu_mumu")``.
They are loaded on first use; ``import nuhf`` itself loads nothing else.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from nuhf.api import (
        contour,
        coverage,
        experiment,
        fit,
        limit,
        ranking,
        rate,
        reproduce,
        scan,
        templates,
    )
    from nuhf.exchange import combine, patchset, publication, validate, workspace
    from nuhf.workspaces.interference import interference_samples

__all__ = [
    "combine",
    "contour",
    "coverage",
    "experiment",
    "fit",
    "interference_samples",
    "limit",
    "patchset",
    "publication",
    "ranking",
    "rate",
    "reproduce",
    "scan",
    "templates",
    "validate",
    "workspace",
]


def __getattr__(name: str) -> Any:
    if name in __all__:
        import importlib

        exchange = ("combine", "patchset", "publication", "validate", "workspace")
        home = "nuhf.exchange" if name in exchange else "nuhf.api"
        home = "nuhf.workspaces.interference" if name == "interference_samples" else home
        return getattr(importlib.import_module(home), name)
    if name == "__version__":
        from importlib.metadata import version

        return version("nuhf")
    raise AttributeError(f"module 'nuhf' has no attribute '{name}'")


def __dir__() -> list[str]:
    return [*__all__, "__version__"]
