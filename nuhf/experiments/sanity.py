"""What the regions of every kind of experiment must satisfy, whatever they were built from."""

from collections.abc import Iterator
from typing import Final

import numpy as np
from numpy.typing import NDArray

from nuhf.errors import InputError
from nuhf.experiments.region import Prepared, Region

__all__ = ["MAX_BINS", "check"]

FloatArray = NDArray[np.float64]

MAX_BINS: Final = 100_000
"""Of one region, all axes together."""


def check(prepared: Prepared) -> Prepared:
    """Return the experiment if its regions can be fitted.

    Raises
    ------
    InputError
        If a region has more than 100 000 bins, or a number in it is not finite; if counts or, in
        a region of counts, backgrounds are negative; if the error of a Gaussian region is not
        positive. With file, region, what it is, and the bin.
    """
    path = prepared.loaded.path
    for region in prepared.regions:
        where = f"{path}: region '{region.name}'"
        if region.observed.size > MAX_BINS:
            raise InputError(f"{where}: {region.observed.size} bins; at most {MAX_BINS} are taken")
        for what, row in _rows(region):
            if not np.isfinite(row).all():
                bin_ = int(np.argmin(np.isfinite(row)))
                raise InputError(f"{where}: {what} in bin {bin_} is {row[bin_]}, no finite number")
        if region.sigma is None:
            for what, row in [("observed", region.observed), *region.backgrounds.items()]:
                if np.any(row < 0):
                    bin_ = int(np.argmax(row < 0))
                    raise InputError(f"{where}: {what} in bin {bin_} is {row[bin_]:g}, negative")
        elif np.any(region.sigma <= 0):
            bin_ = int(np.argmax(region.sigma <= 0))
            raise InputError(f"{where}: the error in bin {bin_} is {region.sigma[bin_]:g}; it must "
                             "be positive")  # fmt: skip
    return prepared


def _rows(region: Region) -> Iterator[tuple[str, FloatArray]]:
    """Everything of a region that has one number per bin, with its name in words."""
    yield "observed", region.observed
    if region.sigma is not None:
        yield "the error", region.sigma
    for name, row in region.backgrounds.items():
        yield f"background '{name}'", row
    for name, variations in region.variations.items():
        for nuisance, pair in variations.items():
            for row in pair:
                yield f"background '{name}' with nuisance '{nuisance}'", row
    for signal in region.signals:
        for templates in (signal.nominal, *signal.varied.values()):
            for source, monomials in templates.items():
                for monomial, row in monomials.items():
                    yield f"process '{signal.process}', {source}, {monomial}", row
