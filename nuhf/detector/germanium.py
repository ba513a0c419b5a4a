"""Germanium ionisation detectors: quenching models, resolution, response.

Quenching is always a function of the recoil energy, E_ee = Q(E_nr) E_nr, evaluated on the recoil
grid: one curve (``fef``) is not monotonic, so that no inverse and no Jacobian of it exists.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, Protocol

import numpy as np
from numpy.typing import NDArray

from nuhf import resources
from nuhf.detector.gaussian import bin_probabilities
from nuhf.errors import InputError
from nuhf.tables import read_table
from nuhf.units import KEV

__all__ = [
    "QUENCHING_MODELS",
    "FanoResolution",
    "GermaniumResponse",
    "LindhardQuenching",
    "MixedQuenching",
    "Quenching",
    "RationalQuenching",
    "TableQuenching",
    "Unquenched",
    "mixed_quenching",
    "quenching",
    "quenching_file",
    "recoil_at",
]

FloatArray = NDArray[np.float64]

_PROTONS: Final = 32
_BISECTIONS: Final = 60
_SCAN: Final = 2000
_LOWEST_KEV: Final = 1e-9
_HIGHEST_KEV: Final = 100.0
"""Between these the recoil of an E_ee is searched for, and found to `_ROOT_KEV`."""
_ROOT_KEV: Final = 1e-12


class Quenching(Protocol):
    """Light yield of nuclear recoils."""

    @property
    def recoil_range(self) -> tuple[float, float]:
        """Range of validity in MeV; outside, calling raises `InputError`."""

    def __call__(self, recoil: FloatArray) -> FloatArray:
        """Return E_ee in MeV for recoil energies in MeV, any shape."""


def _inside(recoil: FloatArray, recoil_range: tuple[float, float], name: str) -> FloatArray:
    recoil = np.asarray(recoil, dtype=float)
    low, high = recoil_range
    if recoil.size and not (recoil.min() >= low and recoil.max() <= high):
        raise InputError(
            f"germanium quenching {name}: recoil {recoil.min() / KEV:.4g} to "
            f"{recoil.max() / KEV:.4g} keV is outside {low / KEV:.4g} to {high / KEV:.4g} keV"
        )
    return recoil


@dataclass(frozen=True)
class LindhardQuenching:
    """Q = k g/(1 + k g), g = 3 eps^0.15 + 0.7 eps^0.6 + eps, eps = 11.5 Z^(-7/3) E_nr/keV.

    Source: J. Lindhard et al., Mat. Fys. Medd. Dan. Vid. Selsk. 33, no. 10 (1963). The formula
    has no lower end; measurements end near 0.2 keV, and what it says below is an assumption.

    Attributes
    ----------
    k : float
        Strength of the electronic stopping, about 0.157 for germanium; positive.
    """

    k: float

    def __post_init__(self) -> None:
        if not 0 < self.k < 1:
            raise InputError(
                f"germanium quenching: Lindhard's k = {self.k!r} is not between 0 and 1"
            )

    @property
    def recoil_range(self) -> tuple[float, float]:
        """Every positive energy, in MeV."""
        return 0.0, np.inf

    def __call__(self, recoil: FloatArray) -> FloatArray:
        """Return E_ee in MeV (see `Quenching`)."""
        recoil = _inside(recoil, self.recoil_range, "lindhard")
        eps = 11.5 * _PROTONS ** (-7.0 / 3.0) * recoil / KEV
        kg = self.k * (3.0 * eps**0.15 + 0.7 * eps**0.6 + eps)
        return np.asarray(recoil * kg / (1.0 + kg))


@dataclass(frozen=True, eq=False)
class TableQuenching:
    """Quenching factors at recoil energies, Q linear in between.

    Attributes
    ----------
    name : str
        For messages.
    recoil_mev : ndarray
        Shape (n,), increasing.
    factor : ndarray
        Q, (n,).
    """

    name: str
    recoil_mev: FloatArray
    factor: FloatArray

    @property
    def recoil_range(self) -> tuple[float, float]:
        """The ends of the table, in MeV."""
        return float(self.recoil_mev[0]), float(self.recoil_mev[-1])

    def __call__(self, recoil: FloatArray) -> FloatArray:
        """Return E_ee in MeV (see `Quenching`)."""
        recoil = _inside(recoil, self.recoil_range, self.name)
        return np.asarray(recoil * np.interp(recoil, self.recoil_mev, self.factor))


@dataclass(frozen=True)
class RationalQuenching:
    """Fit of Q in the ionisation energy E = E_ee/keV, solved for E at given recoil.

    A = sum_i a_i E^i, B = sum_i b_i E^i. Source: A. N. Khan, arXiv:2203.08892, eqs 3.2 to 3.7,
    as they have to be read (``data/germanium/quenching_khan2022.toml``).

    Attributes
    ----------
    name : str
        For messages.
    form : str
        ``EA/B``, ``EB/A`` or ``E/A``.
    a, b : tuple of float
        Coefficients; ``b`` is empty for ``E/A``.
    valid_kev_ee : (float, float)
        Range of E where the fit is smooth and E_nr = E/Q rises; the recoil range follows.
    """

    name: str
    form: str
    a: tuple[float, ...]
    b: tuple[float, ...]
    valid_kev_ee: tuple[float, float]

    def factor(self, energy_kev_ee: FloatArray) -> FloatArray:
        """Return Q at E_ee in keV, any shape; also outside the range, to show its poles."""
        energy = np.asarray(energy_kev_ee, dtype=float)
        return np.asarray(energy / self._recoil_kev(energy))

    def _recoil_kev(self, energy: FloatArray) -> FloatArray:
        """E_nr = E/Q in keV: a ratio without the factor E that is common to all forms."""
        polyval = np.polynomial.polynomial.polyval
        top, bottom = {
            "EA/B": (self.b, self.a), "EB/A": (self.a, self.b), "E/A": (self.a, (1.0,)),
        }[self.form]  # fmt: skip
        return np.asarray(polyval(energy, top) / polyval(energy, bottom))

    @property
    def recoil_range(self) -> tuple[float, float]:
        """Recoil energies in MeV that belong to ``valid_kev_ee``."""
        low, high = self._recoil_kev(np.asarray(self.valid_kev_ee)) * KEV
        return float(low), float(high)

    def __call__(self, recoil: FloatArray) -> FloatArray:
        """Return E_ee in MeV (see `Quenching`), by bisection to the last digits."""
        recoil = _inside(recoil, self.recoil_range, self.name)
        target = recoil / KEV
        low = np.full_like(target, self.valid_kev_ee[0])
        high = np.full_like(target, self.valid_kev_ee[1])
        for _ in range(_BISECTIONS):
            middle = 0.5 * (low + high)
            below = self._recoil_kev(middle) < target
            low, high = np.where(below, middle, low), np.where(below, high, middle)
        return np.asarray(0.5 * (low + high) * KEV)


@dataclass(frozen=True)
class Unquenched:
    """Electrons: E_ee is the recoil energy."""

    @property
    def recoil_range(self) -> tuple[float, float]:
        """Every positive energy, in MeV."""
        return 0.0, np.inf

    def __call__(self, recoil: FloatArray) -> FloatArray:
        """Return E_ee in MeV (see `Quenching`)."""
        return _inside(recoil, self.recoil_range, "of electrons")


@dataclass(frozen=True)
class MixedQuenching:
    """A weighted sum of curves, to vary one towards another and beyond.

    Attributes
    ----------
    parts : tuple of (float, Quenching)
        Weights, summing to 1, and curves.
    """

    parts: tuple[tuple[float, Quenching], ...]

    @property
    def recoil_range(self) -> tuple[float, float]:
        """The common part of their ranges, in MeV."""
        lows, highs = zip(*(curve.recoil_range for _, curve in self.parts), strict=True)
        return max(lows), min(highs)

    def __call__(self, recoil: FloatArray) -> FloatArray:
        """Return E_ee in MeV (see `Quenching`).

        Raises
        ------
        InputError
            If a weight beyond 0 to 1 makes E_ee negative.
        """
        recoil = np.asarray(recoil, dtype=float)
        energy = sum((w * curve(recoil) for w, curve in self.parts), np.zeros_like(recoil))
        if np.any(energy < 0):
            raise InputError("germanium quenching: the weights of the curves make E_ee negative")
        return np.asarray(energy)


def _lindhard(name: str, deviations: float) -> LindhardQuenching:
    entry = resources.read_toml(resources.find("germanium/quenching.toml"))[name]
    if deviations and "k_err" not in entry:
        raise InputError(f"germanium quenching '{name}': no error is known to vary it by")
    return LindhardQuenching(entry["k"] + deviations * entry.get("k_err", 0.0))


def _released(name: str) -> TableQuenching:
    columns = ["e_nr_kev", f"q_{name}"]
    table = read_table(resources.find("germanium/quenching_fef_ybe.csv"), columns)
    return TableQuenching(name, table["e_nr_kev"] * KEV, table[f"q_{name}"])


def _rational(name: str) -> RationalQuenching:
    path = resources.find("germanium/quenching_khan2022.toml")
    entry: dict[str, Any] = resources.read_toml(path)[name]
    low, high = entry["valid_kev_ee"]
    return RationalQuenching(
        f"khan2022-{name}", entry["form"], tuple(entry["a"]), tuple(entry.get("b", ())), (low, high)
    )


QUENCHING_MODELS: Final[Mapping[str, tuple[Callable[..., Quenching], str]]] = {
    "lindhard": (_lindhard, "lindhard"),
    "lindhard-ge72": (_lindhard, "lindhard-ge72"),
    "bonhomme": (_lindhard, "bonhomme"),
    "fef": (_released, "fef"),
    "ybe": (_released, "ybe"),
    "sarkis": (_rational, "sarkis"),
    "jones": (_rational, "jones"),
    "khan2022-lindhard": (_rational, "lindhard"),
    "khan2022-bonhomme": (_rational, "bonhomme"),
    "khan2022-sarkis": (_rational, "sarkis"),
    "khan2022-ybe": (_rational, "ybe"),
    "khan2022-jones": (_rational, "jones"),
    "khan2022-fef": (_rational, "fef"),
}
"""Makers of the models by name and what they are called with. Of Sarkis and Jones only the fits of
arXiv:2203.08892 are at hand."""


def _entry(name: str) -> tuple[Callable[..., Quenching], str]:
    if name not in QUENCHING_MODELS:
        allowed = ", ".join(QUENCHING_MODELS)
        raise InputError(f"unknown germanium quenching '{name}'; allowed: {allowed}")
    return QUENCHING_MODELS[name]


def quenching(name: str, deviations: float = 0.0) -> Quenching:
    """Return a quenching model.

    Parameters
    ----------
    name : str
        A key of `QUENCHING_MODELS`.
    deviations : float
        Vary it by so many standard deviations; only ``bonhomme`` (k = 0.162 +- 0.004) has a
        published error.

    Raises
    ------
    InputError
        If the name is unknown, or there is no error to vary by.
    """
    maker, key = _entry(name)
    if maker is _lindhard:
        return maker(key, deviations)
    if deviations:
        raise InputError(f"germanium quenching '{name}': no error is known to vary it by")
    return maker(key)


def quenching_file(name: str) -> str:
    """Return the file of a model below ``data/`` (`InputError` if the name is unknown)."""
    maker, _ = _entry(name)
    tables = {
        _lindhard: "quenching.toml", _released: "quenching_fef_ybe.csv",
        _rational: "quenching_khan2022.toml",
    }  # fmt: skip
    return f"germanium/{tables[maker]}"


def mixed_quenching(weights: Mapping[str, float], deviations: float = 0.0) -> Quenching:
    """Return a weighted sum of models by name, each varied as `quenching` does."""
    return MixedQuenching(tuple((w, quenching(name, deviations)) for name, w in weights.items()))


def recoil_at(model: Quenching, energy_mev: float) -> float:
    """Return the lowest recoil in MeV that gives E_ee, or the lower end of the range if above it.

    This is the lower end of a recoil integral that starts at a given E_ee.

    Raises
    ------
    InputError
        If the model does not reach that E_ee (below 100 keV of recoil).
    """
    from scipy.optimize import brentq  # here: importing the package must not load it

    low, high = model.recoil_range
    ends = max(low, _LOWEST_KEV * KEV), min(high, _HIGHEST_KEV * KEV)
    grid = np.geomspace(*ends, _SCAN)
    grid[[0, -1]] = ends
    reached = model(grid) >= energy_mev
    if not reached.any():
        raise InputError(f"germanium quenching: E_ee = {energy_mev / KEV:g} keV is never reached")
    first = int(np.argmax(reached))
    if first == 0:
        return low
    return float(
        brentq(
            lambda recoil: float(model(np.asarray(recoil))) - energy_mev,
            grid[first - 1], grid[first], xtol=_ROOT_KEV * KEV,
        )
    )  # fmt: skip


@dataclass(frozen=True)
class FanoResolution:
    """sigma^2 = noise^2 + pair energy x F x E_ee.

    Attributes
    ----------
    noise_kev : float
        Electronic noise, keV; positive.
    pair_energy_kev : float
        Mean energy per electron-hole pair, 2.96e-3 keV in germanium.
    fano : float
        Fano factor F.
    """

    noise_kev: float
    pair_energy_kev: float
    fano: float

    def __call__(self, energy: FloatArray) -> FloatArray:
        """Return sigma in MeV at E_ee in MeV, any shape."""
        energy_kev = np.asarray(energy, dtype=float) / KEV
        variance = self.noise_kev**2 + self.pair_energy_kev * self.fano * energy_kev
        return np.asarray(np.sqrt(variance) * KEV)


@dataclass(frozen=True)
class GermaniumResponse:
    """Recoil energies to probabilities per bin of reconstructed energy.

    Attributes
    ----------
    edges_mev : tuple of float
        Bin edges in E_ee, MeV, increasing.
    quenching : Quenching
        Light yield.
    resolution : callable
        sigma in MeV at E_ee in MeV.
    positive : bool
        Whether the Gaussian is normalised on positive energies.
    cut_mev : float
        Recoils whose E_ee is below do not count (a stated choice: with Lindhard's quenching most
        counts above 0.2 keV are upward fluctuations of smaller signals).
    """

    edges_mev: tuple[float, ...]
    quenching: Quenching
    resolution: Callable[[FloatArray], FloatArray]
    positive: bool = False
    cut_mev: float = 0.0

    def __call__(self, recoil: FloatArray) -> FloatArray:
        """Return the matrix (n_bins, n_recoil) for recoils (n_recoil,) in MeV.

        Raises
        ------
        InputError
            If a recoil is outside the range of the quenching model.
        """
        energy = self.quenching(recoil)
        sigma = self.resolution(energy)
        matrix = bin_probabilities(np.asarray(self.edges_mev), energy, sigma, self.positive)
        return np.asarray(np.where(energy >= self.cut_mev, matrix, 0.0))
