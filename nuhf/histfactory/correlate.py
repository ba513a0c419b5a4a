"""Nuisances that are correlated in part: mixtures of independent ones."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TypeVar

import numpy as np

from nuhf.arrays import FloatArray
from nuhf.errors import InputError
from nuhf.histfactory.describe import Channel, Norm, Sample, Shape

T = TypeVar("T")
Mixture = Mapping[str, Mapping[str, float]]
"""Weights of the independent parameters, by the nuisance that is their sum."""


def _lower_factor(matrix: FloatArray) -> FloatArray | None:
    """Lower factor (n, n) of a correlation matrix, which may be singular; None if it is none."""
    size = len(matrix)
    factor = np.zeros_like(matrix)
    for i in range(size):
        for j in range(i + 1):
            rest = matrix[i, j] - factor[i, :j] @ factor[j, :j]
            if i == j:
                if rest < -1e-9:
                    return None
                factor[i, i] = np.sqrt(max(rest, 0.0))
            elif factor[j, j] > 1e-6:
                factor[i, j] = rest / factor[j, j]
            elif abs(rest) > 1e-6:
                return None
    return factor


def mixture(names: Sequence[str], matrix: FloatArray) -> Mixture | None:
    """Mixture that has a correlation matrix (n, n) of nuisances; None if it is none.

    With the Cholesky factor L of the matrix nuisance i is the sum of L_ij u_j of independent
    parameters u_j: the first keeps its meaning, u_j has the name of nuisance j.
    """
    factor = _lower_factor(matrix)
    if factor is None:
        return None
    return {
        name: {n: w for n, w in zip(names, row, strict=True) if abs(w) > 1e-12}
        for name, row in zip(names, factor.tolist(), strict=True)
    }


def correlated(
    channels: Sequence[Channel], wanted: Mapping[tuple[str, ...], FloatArray]
) -> list[Channel]:
    """Correlate nuisances by mixing independent ones.

    ``wanted`` has the correlation matrix (n, n) of each group of n nuisances, by their names;
    `InputError` if a matrix is none of correlations, or a nuisance is in two groups.
    """
    together: dict[str, Mapping[str, float]] = {}
    for names, matrix in wanted.items():
        found = mixture(names, matrix)
        if found is None:
            raise InputError(f"correlations of {', '.join(names)}: no such matrix is possible")
        for name in found:
            if name in together:
                raise InputError(f"correlations: '{name}' is in two groups; put them together")
        together |= found
    if not together:
        return list(channels)
    return [
        replace(one, samples=tuple(mixed(sample, together) for sample in one.samples))
        for one in channels
    ]


def mixed(sample: Sample, weights: Mixture) -> Sample:
    """Let mixtures of independent nuisances act instead of correlated ones.

    A factor is taken to the power of its weight, a shape moves by its weight times its shift.
    """
    norms: dict[str, Norm] = {}
    for name, norm in sample.norms.items():
        for other, weight, up, down in _moved(weights, name, norm.up, norm.down):
            old = norms.get(other, Norm(1.0, 1.0))
            norms[other] = Norm(old.up * up**weight, old.down * down**weight)
    shapes: dict[str, Shape] = {}
    nominal = sample.counts
    for name, shape in sample.shapes.items():
        for other, weight, row, mirrored in _moved(weights, name, shape.up, shape.down):
            before = shapes.get(other, Shape(nominal, nominal))
            shapes[other] = Shape(
                before.up + weight * (row - nominal), before.down + weight * (mirrored - nominal)
            )
    return replace(sample, norms=norms, shapes=shapes)


def _moved(weights: Mixture, name: str, up: T, down: T) -> Iterator[tuple[str, float, T, T]]:
    """Yield the parts of a nuisance, how large they are, and what they do up and down."""
    for other, weight in weights.get(name, {name: 1.0}).items():
        yield (other, weight, up, down) if weight > 0 else (other, -weight, down, up)
