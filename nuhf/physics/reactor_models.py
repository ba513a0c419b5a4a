"""Published models of reactor antineutrino spectra, made of tables and fitted exponentials.

How a table is read between its numbers is part of the model:

``points``
    Densities at energies, linear in between (steps are pairs of close points).
``falling``
    The same up to 2 MeV, exponential in between above, where the spectra fall by up to a factor
    3 from one point to the next: straight lines would add 0.6 % (Mueller) to 3 % (Kopeikin) to
    coherent scattering, and the Mueller table would not agree with its own fit.
``bins``
    Mean densities of bins, constant inside each: keeps the number of antineutrinos.
``exponential``
    exp(sum_p a_p E^p), inside the range it was fitted in and nowhere else.

Outside its range every piece is zero.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from nuhf.arrays import FloatArray
from nuhf.errors import InputError
from nuhf.physics.spectra import Spectrum, histogram_spectrum
from nuhf.tables import Table

ISOTOPES: Final = ("u235", "u238", "pu239", "pu241")
"""Fissioning isotopes, as in the column names of the tables."""

_LINEAR_TO_MEV: Final = 2.0
_PANEL_MEV: Final = 1.0
_ORDER: Final = 12


@dataclass(frozen=True)
class Piece:
    """A part of a spectrum."""

    form: str
    """``points``, ``falling``, ``bins`` or ``exponential``, see the module's docstring."""
    name: str
    """Table ``data/reactor/<name>.csv`` or section of ``data/reactor/polynomials.toml``."""
    columns: tuple[str, ...] = ISOTOPES
    """Isotopes (or parts) it holds."""
    range_mev: tuple[float, float] | None = None
    """Where an exponential is used; its fitted range if not given."""
    extrapolated: bool = False
    """Whether an exponential may leave its fitted range: only where a paper did so."""

    @property
    def file(self) -> str:
        """Its file below ``data/``."""
        table = "polynomials.toml" if self.form == "exponential" else f"{self.name}.csv"
        return f"reactor/{table}"


@dataclass(frozen=True)
class ReactorModel:
    """A named spectrum."""

    source: str
    """Publications."""
    pieces: tuple[Piece, ...]
    """Their sum is the spectrum."""
    note: str = ""
    """What a result made with it has to say; may be empty."""

    @property
    def total(self) -> bool:
        """Whether it holds a whole reactor: fission fractions and captures are built in."""
        return any("total" in piece.columns for piece in self.pieces)


_MUELLER: Final = "T. A. Mueller et al., arXiv:1101.2663"
_HUBER: Final = "P. Huber, arXiv:1106.0687"
_VOGEL: Final = "P. Vogel, J. Engel, Phys. Rev. D 39, 3378 (1989)"
_CONVERTED: Final = ("u235", "pu239", "pu241")
_BELOW_2_MEV: Final = Piece("points", "vogel_engel1989")
_TO_9_MEV: Final = "the fitted exponentials, valid from 2 to 8 MeV, are extrapolated to 9 MeV"

MODELS: Final[Mapping[str, ReactorModel]] = {
    "mueller": ReactorModel(
        f"{_MUELLER}, Table VI; below 2 MeV: {_VOGEL}, Table II",
        (_BELOW_2_MEV, Piece("exponential", "mueller2011")),
    ),
    "huber": ReactorModel(
        f"{_HUBER}, Table III; 238U: {_MUELLER}, Table VI; below 2 MeV: {_VOGEL}, Table II",
        (
            _BELOW_2_MEV,
            Piece("exponential", "huber2011", _CONVERTED),
            Piece("exponential", "mueller2011", ("u238",)),
        ),
    ),
    "mueller-extrapolated-9mev": ReactorModel(
        f"{_MUELLER}, Table VI, up to 9 MeV as in A. N. Khan, arXiv:2203.08892; below 2 MeV: "
        f"{_VOGEL}, Table II",
        (
            _BELOW_2_MEV,
            Piece("exponential", "mueller2011", ISOTOPES, (2.0, 9.0), extrapolated=True),
        ),
        _TO_9_MEV,
    ),
    "huber-extrapolated-9mev": ReactorModel(
        f"{_HUBER}, Table III; 238U: {_MUELLER}, Table VI, both up to 9 MeV; below 2 MeV: "
        f"{_VOGEL}, Table II",
        (
            _BELOW_2_MEV,
            Piece("exponential", "huber2011", _CONVERTED, (2.0, 9.0), extrapolated=True),
            Piece("exponential", "mueller2011", ("u238",), (2.0, 9.0), extrapolated=True),
        ),
        _TO_9_MEV,
    ),
    "vogel-engel": ReactorModel(
        f"{_VOGEL}, Table II, below 2 MeV; {_MUELLER}, Tables III to V, above",
        (_BELOW_2_MEV, Piece("falling", "mueller2011")),
    ),
    "kopeikin2012": ReactorModel(
        "V. I. Kopeikin, Phys. Atom. Nucl. 75, 143 (2012), Table 3",
        (Piece("falling", "kopeikin2012", ("total",)),),
    ),
    "bestiole2023": ReactorModel(
        "L. Perisse et al., arXiv:2304.14992", (Piece("bins", "bestiole2023"),)
    ),
    "estienne2019": ReactorModel(
        "M. Estienne et al., arXiv:1904.09358", (Piece("bins", "estienne2019"),)
    ),
}
"""Models by name. No model but ``kopeikin2012`` holds the antineutrinos after captures.
The Mueller and Huber fits start at 2 MeV."""

CAPTURES: Final = Piece("bins", "bestiole2023", ("u239", "np239"))
"""Beta decays of 239U and 239Np after neutron capture on 238U, per capture."""


def piece_spectrum(
    piece: Piece, weights: Mapping[str, float], data: Table | Mapping[str, Any]
) -> Spectrum:
    """Build a piece as the weighted sum of its columns.

    Parameters
    ----------
    piece : Piece
        What to read.
    weights : mapping
        Factor of each column; columns that are missing count zero.
    data : Table or mapping
        Its table, or for an exponential the content of the TOML file.

    Returns
    -------
    Spectrum
        Electron antineutrinos per MeV, per unit of the weights.

    Raises
    ------
    InputError
        If the form is unknown, or an exponential is asked for outside its fitted range.
    """
    used = [(name, weights[name]) for name in piece.columns if weights.get(name)]
    if not isinstance(data, Table):
        return _exponential(piece, used, data)
    if piece.form not in ("points", "falling", "bins"):
        raise InputError(
            f"unknown form '{piece.form}'; allowed: points, falling, bins, exponential"
        )
    axes, table = ["e_lo_mev", "e_hi_mev"] if piece.form == "bins" else ["e_mev"], data
    table.require([*axes, *piece.columns])
    height = sum((w * table.non_negative(name) for name, w in used), np.zeros_like(table[axes[0]]))
    if piece.form == "bins":
        edges = table.edges("e_lo_mev", "e_hi_mev")
        filled = 1 + int(np.max(np.nonzero(height)[0], initial=0))
        edges, height = edges[: filled + 1], height[:filled]
        found = histogram_spectrum("e", edges, height * np.diff(edges))
        return Spectrum(
            "e", edges, found.density, order=found.order, antineutrino=True, continuous=True
        )
    return _through_points(table["e_mev"], height, falling=piece.form == "falling")


def _through_points(energy: FloatArray, height: FloatArray, falling: bool) -> Spectrum:
    high = energy >= _LINEAR_TO_MEV
    logarithm = np.log(height[high]) if falling else np.array([])

    def density(e: FloatArray) -> FloatArray:
        linear = np.asarray(np.interp(e, energy, height, left=0.0, right=0.0))
        if logarithm.size < 2:
            return linear
        decay = np.exp(np.interp(e, energy[high], logarithm))
        between = (np.asarray(e) > _LINEAR_TO_MEV) & (linear > 0)
        return np.where(between, decay, linear)

    return Spectrum("e", energy, density, antineutrino=True, continuous=True)


def _exponential(
    piece: Piece, used: Sequence[tuple[str, float]], content: Mapping[str, Any]
) -> Spectrum:
    section, path = content[piece.name], piece.file
    valid = tuple(section["range_mev"])
    low, high = piece.range_mev or valid
    if not valid[0] <= low < high or (high > valid[1] and not piece.extrapolated):
        raise InputError(
            f"{path}: [{piece.name}] was fitted from {valid[0]:g} to {valid[1]:g} MeV; "
            f"{low:g} to {high:g} MeV is not inside"
        )
    terms = [(weight, np.asarray(section[name], dtype=float)) for name, weight in used]

    def density(e: FloatArray) -> FloatArray:
        e = np.asarray(e, dtype=float)
        inside = (e >= low) & (e <= high)
        # the exponent explodes outside, where it is not wanted anyhow
        safe = np.where(inside, e, low)
        powers = (w * np.exp(np.polynomial.polynomial.polyval(safe, a)) for w, a in terms)
        return np.where(inside, sum(powers, np.zeros_like(safe)), 0.0)

    edges = np.linspace(low, high, 1 + round((high - low) / _PANEL_MEV))
    return Spectrum("e", edges, density, order=_ORDER, antineutrino=True, continuous=True)


def add(spectra: Sequence[Spectrum]) -> Spectrum:
    """Return the sum of spectra without lines, smooth between the edges of all of them."""
    if len(spectra) == 1:
        return spectra[0]

    def density(e: FloatArray) -> FloatArray:
        return np.asarray(sum((s.density(e) for s in spectra), np.zeros(np.shape(e))))

    edges = np.unique(np.concatenate([s.edges for s in spectra]))
    return Spectrum(
        "e", edges, density, order=max(s.order for s in spectra), antineutrino=True, continuous=True
    )
