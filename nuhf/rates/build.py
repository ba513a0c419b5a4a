"""Template builder: flux moments x cross-section algebra x response, one matrix product each."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np

from nuhf.arrays import FloatArray
from nuhf.constants import ELECTRON_MASS
from nuhf.couplings import parameters
from nuhf.errors import InputError
from nuhf.physics import cevns, eves
from nuhf.physics.neutron_radius import REFERENCE_FM, in_radius
from nuhf.physics.nuclei import Nuclide
from nuhf.physics.polynomial import Polynomial
from nuhf.physics.settings import Physics
from nuhf.physics.shells import AtomicCorrection, Photoabsorption, Shells
from nuhf.physics.spectra import Spectrum
from nuhf.rates.quadrature import Grid, flux_moments, panel_grid
from nuhf.rates.templates import Axis, Templates, TemplateSet
from nuhf.units import KEV

Response = Callable[[FloatArray], FloatArray]
"""Recoil energies in MeV (n,) to a response matrix (n_bins, n)."""

Kernel = Callable[[FloatArray, Spectrum], Sequence[tuple[Polynomial, FloatArray | None]]]
"""Recoil energies in MeV (n,) and a species to dsigma/dT in cm^2/MeV: polynomials in the couplings
with the coefficients (3, n) of 1, 1/E, 1/E^2, and their thresholds (n,) if not elastic."""

Parts = list[tuple[Polynomial, FloatArray | None]]
Ends = Callable[[FloatArray, float], FloatArray]

_RATIO: Final = 1.25
"""Largest ratio of neighbouring panel edges, for the 1/T and 1/T^2 terms."""


@dataclass(frozen=True)
class Scatterer:
    """What is hit: a nuclide, or the electrons of an element.

    Attributes
    ----------
    mass : float
        In MeV.
    number : float
        How many of them are in the detector.
    kernel : Kernel
        Cross section.
    kinks : tuple of float
        Recoil energies in MeV where the cross section is not smooth.
    reference : mapping
        Nominal values of variables that its kernel is expanded in, beside the couplings.
    lowest : float
        Recoil energy in MeV below which the cross section is not known; 0 if everywhere.
    ends : callable, optional
        Neutrino energies and the mass to the recoils, all in MeV, where inelastic scattering
        begins and ends.
    """

    mass: float
    number: float
    kernel: Kernel
    kinks: tuple[float, ...] = ()
    reference: Mapping[str, float] = field(default_factory=dict)
    lowest: float = 0.0
    ends: Ends | None = None


@dataclass(frozen=True)
class FluxComponent:
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


def nucleus(nuclide: Nuclide, number: float, physics: Physics) -> Scatterer:
    """Return a nuclide as a target of coherent scattering.

    With ``physics.neutron_radius`` the templates are expanded in powers of its neutron radius.
    """

    def kernel(recoil: FloatArray, species: Spectrum) -> Parts:
        section = cevns.cross_section(
            recoil, nuclide, species.flavour, physics, species.antineutrino
        )
        return [
            (in_radius(part, physics.form_factor, recoil, nuclide) if expanded else part, least)
            for part, least in section.parts()
        ]

    expanded = physics.neutron_radius
    reference = {f"x_{nuclide.name}": nuclide.rn_fm - REFERENCE_FM} if expanded else {}
    return Scatterer(nuclide.mass, number, kernel, reference=reference, ends=_ends(physics))


def electrons(
    shells: Shells,
    atoms: float,
    physics: Physics = eves.ELECTRONS,
    correction: AtomicCorrection | None = None,
    photoabsorption: Photoabsorption | None = None,
) -> Scatterer:
    """Return the electrons of an element as a target of elastic scattering.

    Parameters
    ----------
    shells : Shells
        Binding energies; `nuhf.physics.shells.free_electrons` for none.
    atoms : float
        How many atoms are in the detector.
    physics : Physics
        Variables and settings.
    correction : AtomicCorrection, optional
        Replaces the step function for the SM part, and only there; recoils below its table are
        refused.
    photoabsorption : Photoabsorption, optional
        Of the atom, for models that ask for it.
    """

    def kernel(recoil: FloatArray, species: Spectrum) -> Parts:
        photons = None if photoabsorption is None else photoabsorption(recoil)
        section = eves.cross_section(
            recoil, species.flavour, species.antineutrino, physics, photoabsorption=photons
        )
        steps = shells.effective_electrons(recoil)
        (elastic, _), *others = section.parts(steps)
        if correction is not None:
            change = correction.effective_electrons(recoil) - steps
            elastic = elastic + change * section.at({})
        return [(elastic, None), *others]

    bent = [one for one in (shells, correction, photoabsorption) if one is not None]
    kinks = tuple(float(kink) for one in bent for kink in one.kinks)
    lowest = correction.tabulated_range[0] if correction is not None else 0.0
    return Scatterer(ELECTRON_MASS, atoms, kernel, kinks, lowest=lowest, ends=_ends(physics))


def _ends(physics: Physics) -> Ends:
    """Ends of the recoils of the models that have their own, for neutrino energies."""
    own = [
        model.ends
        for model in parameters.models()
        if model.ends is not None and {v.name for v in model.variables} & set(physics.variables)
    ]

    def ends(energy: FloatArray, mass: float) -> FloatArray:
        return np.concatenate([np.zeros(0), *(f(energy, mass, physics.settings) for f in own)])

    return ends


def recoil_grid(
    targets: Sequence[Scatterer],
    sources: Sequence[FluxComponent],
    recoil_min: float,
    recoil_max: float = np.inf,
    refine: int = 1,
) -> Grid:
    """Quadrature nodes in T (MeV): geometric panels, split at every kink.

    Parameters
    ----------
    recoil_min, recoil_max : float
        Ends in MeV; the response must be negligible outside. The upper one is the kinematic end
        where that is lower.
    refine : int
        How many times finer than usual, to measure what the grid does to a result.

    Raises
    ------
    InputError
        If no source reaches ``recoil_min``, or that is not above 0.
    """
    if not recoil_min > 0.0:
        raise InputError(f"the smallest recoil must be above 0, given: {recoil_min / KEV:g} keV")
    pairs = [(target, source.spectrum.kinks) for target in targets for source in sources]
    kinks = np.concatenate([cevns.maximum_recoil(at, target.mass) for target, at in pairs])
    highest = min(float(kinks.max()), recoil_max)
    if highest <= recoil_min:
        raise InputError(f"no neutrino gives a recoil above {recoil_min / KEV:g} keV")
    inelastic = [target.ends(at, target.mass) for target, at in pairs if target.ends is not None]
    kinks = np.concatenate([kinks, *(target.kinks for target in targets), *inelastic])
    count = refine * int(np.ceil(np.log(highest / recoil_min) / np.log(_RATIO)))
    edges = np.concatenate([np.geomspace(recoil_min, highest, count + 1), kinks])
    edges = np.unique(edges[(edges >= recoil_min) & (edges <= highest)])
    keep = np.append(np.diff(edges) > 1e-9 * highest, True)
    return panel_grid(edges[keep])


@dataclass(frozen=True)
class Label:
    """What a template set is called: the fields of `nuhf.rates.templates.TemplateSet`."""

    region: str
    process: str
    interaction: str
    axes: tuple[Axis, ...]


def template_set(
    label: Label,
    targets: Sequence[Scatterer],
    sources: Sequence[FluxComponent],
    response: Response,
    grid: Grid,
) -> TemplateSet:
    """Build the templates of one process in one region.

    Parameters
    ----------
    label : Label
        Names and axes.
    targets, sources
        What scatters on what.
    response : Response
        The detector.
    grid : Grid
        From `recoil_grid`.

    Returns
    -------
    TemplateSet
        Events, (n_bins * n_time,), the time index running fastest, with the error estimate of
        the quadrature; variables in their base units.
    """
    return rates_of(targets, sources, grid).templates(label, response)


@dataclass(frozen=True)
class RecoilRates:
    """Recoils per MeV before any detector, on the nodes of a grid."""

    grid: Grid
    targets: Sequence[Scatterer]
    sources: Sequence[FluxComponent]
    monomials: tuple[str, ...]
    """Of every source."""
    events: FloatArray
    """Per MeV, (n_sources * n_monomials, n_nodes)."""

    def fold(self, matrix: FloatArray) -> Templates:
        """Return events by source and monomial behind a response matrix (n_bins, n_nodes)."""
        return self._in_time((self.events * self.grid.fine) @ matrix.T)

    def _in_time(self, counts: FloatArray) -> Templates:
        """Spread rows over the time bins of their source."""
        rows = iter(counts)
        return {
            source.name: {
                name: np.outer(next(rows), source.time_fractions).ravel() for name in self.monomials
            }
            for source in self.sources
        }

    def templates(self, label: Label, response: Response) -> TemplateSet:
        """Return the templates behind a response; as `template_set`."""
        grid = self.grid
        matrix = response(grid.nodes)
        difference = (self.events * (grid.fine - grid.coarse)) @ matrix.T
        # what lies below the grid, if the integrand went on as at its first node
        below = np.abs(self.events[:, :1] * matrix[:, 0]) * grid.nodes[0]
        return TemplateSet(
            label.region,
            label.process,
            label.interaction,
            label.axes,
            {source.name: source.spectrum.flavour for source in self.sources},
            self.fold(matrix),
            {},
            self._in_time(np.abs(difference) + below),
            {v: value for target in self.targets for v, value in target.reference.items()},
        )


def rates_of(
    targets: Sequence[Scatterer], sources: Sequence[FluxComponent], grid: Grid
) -> RecoilRates:
    """Return what the sources give on the targets, whatever detects the recoils."""
    recoil = grid.nodes
    found: list[dict[str, FloatArray]] = []
    for source in sources:
        events = {"1": np.zeros(recoil.size)}
        for target in targets:
            number = target.number * source.fluence
            for part, least in target.kernel(recoil, source.spectrum):
                logarithm = part.coefficients.shape[1] == 4
                moments = flux_moments(source.spectrum, recoil, target.mass, least, logarithm)
                for name, terms in part.by_name().items():
                    events[name] = events.get(name, 0.0) + number * (terms * moments).sum(axis=0)
        found.append(events)
    names = tuple(dict.fromkeys(name for events in found for name in events))
    nothing = np.zeros(recoil.size)
    rows = [[events.get(name, nothing) for name in names] for events in found]
    return RecoilRates(grid, targets, sources, names, np.array(rows).reshape(-1, recoil.size))
