"""Template builder: flux moments x cross-section algebra x response, one matrix product each."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nuhf.engine.moments import flux_moments
from nuhf.engine.quadrature import Grid, panel_grid
from nuhf.errors import InputError
from nuhf.physics import cevns
from nuhf.physics.couplings import WeakCouplings
from nuhf.physics.nuclei import Nuclide
from nuhf.physics.spectra import Spectrum

__all__ = ["Response", "Source", "Target", "build_cevns", "recoil_grid"]

FloatArray = NDArray[np.float64]
Response = Callable[[FloatArray], FloatArray]
"""Recoil energies in MeV (n,) to a response matrix (n_bins, n)."""

Templates = dict[str, dict[str, FloatArray]]


@dataclass(frozen=True)
class Target:
    """A nuclide and how many of its nuclei are in the detector."""

    nuclide: Nuclide
    number: float


@dataclass(frozen=True)
class Source:
    """One neutrino species.

    Attributes
    ----------
    name : str
        Such as ``numubar``.
    spectrum : Spectrum
        Per neutrino emitted.
    fluence : float
        Neutrinos per cm^2 at the detector.
    time_fractions : ndarray
        Share of them accepted in each time bin, (n_time,); ``[1.0]`` without time bins.
    """

    name: str
    spectrum: Spectrum
    fluence: float
    time_fractions: FloatArray


def recoil_grid(
    targets: Sequence[Target], sources: Sequence[Source], recoil_min: float, ratio: float = 1.25
) -> Grid:
    """Quadrature nodes in T (MeV): geometric panels, split where a species stops reaching.

    Parameters
    ----------
    recoil_min : float
        Lower end in MeV; the response must be negligible below it.
    ratio : float
        Largest ratio of neighbouring panel edges, for the 1/T and 1/T^2 terms.

    Raises
    ------
    InputError
        If no source reaches ``recoil_min``.
    """
    kinks = np.concatenate(
        [
            cevns.maximum_recoil(source.spectrum.kinks, target.nuclide.mass)
            for target in targets
            for source in sources
        ]
    )
    recoil_max = float(kinks.max())
    if recoil_max <= recoil_min:
        raise InputError(f"no neutrino gives a recoil above {1e3 * recoil_min:g} keV")
    count = int(np.ceil(np.log(recoil_max / recoil_min) / np.log(ratio)))
    edges = np.concatenate([np.geomspace(recoil_min, recoil_max, count + 1), kinks])
    edges = np.unique(edges[(edges >= recoil_min) & (edges <= recoil_max)])
    keep = np.append(np.diff(edges) > 1e-9 * recoil_max, True)
    return panel_grid(edges[keep])


def build_cevns(
    targets: Sequence[Target],
    sources: Sequence[Source],
    responses: Mapping[str, Response],
    form_factor: str,
    couplings: WeakCouplings,
    recoil_min: float,
) -> tuple[dict[str, Templates], Templates]:
    """Build the templates of every species and monomial, for every response.

    Parameters
    ----------
    targets, sources
        What scatters on what.
    responses : mapping
        Response by label; ``nominal`` must be among them.
    form_factor : str
        Name as in `nuhf.physics.cevns.form_factors`.
    couplings : WeakCouplings
        Weak couplings of the SM amplitude.
    recoil_min : float
        Lower end of the recoil integral in MeV.

    Returns
    -------
    templates : dict
        ``templates[label][source][monomial]``: events, (n_bins * n_time,), the time index
        running fastest; units of the monomials as in `nuhf.physics.cevns.MONOMIALS`.
    errors : dict
        ``errors[source][monomial]``: error estimate of the nominal quadrature, same shape.
    """
    grid = recoil_grid(targets, sources, recoil_min)
    rates = _rates(grid.nodes, targets, sources, form_factor, couplings)
    rows = [(s.name, m) for s in sources for m in cevns.MONOMIALS]
    times = {source.name: source.time_fractions for source in sources}
    templates: dict[str, Templates] = {}
    errors: Templates = {}
    for label, response in responses.items():
        matrix = response(grid.nodes)
        templates[label] = _outer((rates * grid.fine) @ matrix.T, rows, times)
        if label == "nominal":
            difference = (rates * (grid.fine - grid.coarse)) @ matrix.T
            # what lies below the grid, if the integrand went on as at its first node
            below = np.abs(rates[:, :1] * matrix[:, 0]) * recoil_min
            errors = _outer(np.abs(difference) + below, rows, times)
    return templates, errors


def _rates(
    recoil: FloatArray,
    targets: Sequence[Target],
    sources: Sequence[Source],
    form_factor: str,
    couplings: WeakCouplings,
) -> FloatArray:
    """Events per MeV of recoil, (n_sources * n_monomials, n_recoil)."""
    rates = np.zeros((len(sources), len(cevns.MONOMIALS), recoil.size))
    for target in targets:
        mass = target.nuclide.mass
        weak = cevns.weak_coefficients(recoil, mass)
        magnetic = cevns.magnetic_coefficients(recoil)
        for i, source in enumerate(sources):
            moments = flux_moments(source.spectrum, recoil, mass)
            kinematic = {"weak": (weak * moments).sum(0), "mag": (magnetic * moments).sum(0)}
            weights = cevns.monomial_weights(
                recoil, target.nuclide, source.spectrum.flavour, couplings, form_factor
            )
            for j, name in enumerate(cevns.MONOMIALS):
                factor = kinematic["mag" if name == "munu2" else "weak"]
                rates[i, j] += target.number * source.fluence * weights[name] * factor
    return rates.reshape(-1, recoil.size)


def _outer(
    counts: FloatArray, rows: Sequence[tuple[str, str]], times: Mapping[str, FloatArray]
) -> Templates:
    result: Templates = {}
    for (source, monomial), row in zip(rows, counts, strict=True):
        result.setdefault(source, {})[monomial] = np.outer(row, times[source]).ravel()
    return result
