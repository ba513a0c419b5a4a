"""Experiments: files that compose sources, targets, responses and data, and what is built.

The package can be called: ``nuhf.experiments()`` returns the titles of the shipped experiments.
"""

import sys
from types import ModuleType


class _Callable(ModuleType):
    """The package, as a function, too: an import of any part sets ``nuhf.experiments`` to it."""

    def __call__(self) -> dict[str, str]:
        """Return the shipped experiments: title by name."""
        from nuhf.experiments.catalogue import titles

        return titles()


sys.modules[__name__].__class__ = _Callable
