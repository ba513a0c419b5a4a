"""Electron antineutrinos of reactors: spectra per fission and their normalisation.

Fissioning isotopes are named ``u235``, ``u238``, ``pu239``, ``pu241``. Two normalisations, never
mixed silently: `fluence_from_power` counts fissions, `fluence_from_flux` takes a quoted flux.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

import numpy as np

from nuhf.arrays import FloatArray
from nuhf.errors import InputError
from nuhf.physics.reactor_models import (
    CAPTURES,
    ISOTOPES,
    MODELS,
    Piece,
    ReactorModel,
    add,
    piece_spectrum,
)
from nuhf.physics.spectra import Spectrum
from nuhf.tables import Table
from nuhf.units import GIGAWATT, METRE

_SUM_TOLERANCE: Final = 1e-6


def model(name: str) -> ReactorModel:
    """Look a model up by its name (`InputError` if unknown)."""
    if name not in MODELS:
        raise InputError(f"unknown reactor model '{name}'; allowed: {', '.join(MODELS)}")
    return MODELS[name]


def spectrum(
    name: str,
    data: Mapping[str, Table | Mapping[str, Any]],
    fractions: Mapping[str, float] | None = None,
    captures: float = 0.0,
    e_max_mev: float | None = None,
) -> Spectrum:
    """Return antineutrinos per MeV and fission.

    Parameters
    ----------
    name : str
        A key of `nuhf.physics.reactor_models.MODELS`.
    data : mapping
        Table, or content of a TOML file, by `nuhf.physics.reactor_models.Piece.file`, of every
        piece that `pieces` names.
    fractions : mapping, optional
        Shares of the fissions by isotope, summing to 1; not given for a model of a whole reactor.
    captures : float
        Neutron captures on 238U per fission (about 0.6), each followed by one antineutrino of
        239U and one of 239Np (shapes of arXiv:2304.14992).
    e_max_mev : float, optional
        Leave higher energies out.

    Returns
    -------
    Spectrum
        Zero outside the range of the model.

    Raises
    ------
    InputError
        If the model is unknown, fractions are missing, superfluous, negative or do not sum to 1,
        captures are negative or already part of the model, or the model does not reach e_max_mev.
    """
    chosen = model(name)
    if not captures >= 0:
        raise InputError(f"captures per fission {captures!r}: zero or more is needed")
    if chosen.total:
        if fractions is not None or captures:
            raise InputError(
                f"reactor model '{name}' is that of a whole reactor: fission fractions and "
                "captures are part of it already"
            )
        weights: Mapping[str, float] = {"total": 1.0}
    else:
        weights = checked_fractions(name, fractions)
    parts = [piece_spectrum(piece, weights, data[piece.file]) for piece in chosen.pieces]
    if captures:
        shares = dict.fromkeys(CAPTURES.columns, captures)
        parts.append(piece_spectrum(CAPTURES, shares, data[CAPTURES.file]))
    whole = add(parts)
    return whole if e_max_mev is None else _limited(name, whole, e_max_mev)


def pieces(name: str, captures: float = 0.0) -> tuple[Piece, ...]:
    """Return the parts of a model whose data `spectrum` needs (`InputError` if unknown)."""
    return (*model(name).pieces, *([CAPTURES] if captures else []))


def checked_fractions(name: str, fractions: Mapping[str, float] | None) -> Mapping[str, float]:
    """Return shares of the fissions by isotope if they are complete (`InputError`)."""
    if fractions is None:
        raise InputError(f"reactor model '{name}' needs fission fractions: {', '.join(ISOTOPES)}")
    unknown = set(fractions) - set(ISOTOPES)
    if unknown:
        raise InputError(
            f"unknown isotope '{min(unknown)}' in fission fractions; allowed: {', '.join(ISOTOPES)}"
        )
    given = ", ".join(f"{isotope} {share:g}" for isotope, share in fractions.items())
    if any(not share >= 0 for share in fractions.values()):
        raise InputError(f"fission fractions {given}: none may be negative")
    if abs(sum(fractions.values()) - 1.0) > _SUM_TOLERANCE:
        raise InputError(f"fission fractions {given} sum to {sum(fractions.values()):g}, not to 1")
    return fractions


def _limited(name: str, whole: Spectrum, e_max: float) -> Spectrum:
    first, last = whole.edges[0], whole.edges[-1]
    if not first < e_max <= last:
        raise InputError(
            f"reactor model '{name}' covers {first:g} to {last:g} MeV; "
            f"e_max_mev = {e_max:g} is not inside"
        )

    def density(energy: FloatArray) -> FloatArray:
        return np.where(np.asarray(energy) <= e_max, whole.density(energy), 0.0)

    return replace(whole, edges=np.append(whole.edges[whole.edges < e_max], e_max), density=density)


def antineutrinos_per_fission(per_fission: Spectrum) -> float:
    """Return the integral of a spectrum without lines."""
    x, w = np.polynomial.legendre.leggauss(per_fission.order)
    half = 0.5 * np.diff(per_fission.edges)[:, np.newaxis]
    middle = 0.5 * (per_fission.edges[1:] + per_fission.edges[:-1])[:, np.newaxis]
    return float((half * w * per_fission.density(middle + half * x)).sum())


def fission_rate(power_gw: float, energy_per_fission_mev: float) -> float:
    """Return the fissions per s of a thermal power in GW.

    Raises
    ------
    InputError
        If a number is not positive.
    """
    _positive(power_gw=power_gw, energy_per_fission_mev=energy_per_fission_mev)
    return power_gw * GIGAWATT / energy_per_fission_mev


def fluence_from_power(
    power_gw: float, energy_per_fission_mev: float, distance_m: float, time_s: float
) -> float:
    """Return fissions per cm^2: what multiplies a spectrum per fission.

    Fissions in ``time_s`` over 4 pi d^2, for a point-like core at ``distance_m``.

    Raises
    ------
    InputError
        If a number is not positive.
    """
    _positive(distance_m=distance_m, time_s=time_s)
    sphere = 4.0 * np.pi * (distance_m * METRE) ** 2
    return float(fission_rate(power_gw, energy_per_fission_mev) * time_s / sphere)


def fluence_from_flux(per_fission: Spectrum, flux_per_cm2_s: float, time_s: float) -> float:
    """Return what multiplies a spectrum so that its integral is a quoted flux times the time.

    The quoted flux must count what the spectrum holds: a flux with the antineutrinos after
    captures, given to a spectrum without them, makes coherent scattering 28 % too large.

    Raises
    ------
    InputError
        If a number is not positive.
    """
    _positive(flux_per_cm2_s=flux_per_cm2_s, time_s=time_s)
    return flux_per_cm2_s * time_s / antineutrinos_per_fission(per_fission)


def _positive(**values: float) -> None:
    for key, value in values.items():
        if not 0 < value < np.inf:
            raise InputError(f"reactor: {key} = {value!r} is not a positive number")
