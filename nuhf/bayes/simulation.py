"""Simulated data sets of a model: Poisson counts at true couplings, nuisances drawn or fixed."""

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal, get_args

import numpy as np

from nuhf import resources
from nuhf.arrays import FloatArray, IntArray
from nuhf.errors import FitError, InputError
from nuhf.stats.log_density import LogDensity
from nuhf.stats.result_base import Result

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Nuisances = Literal["drawn", "fixed"]

_MOST: Final = 10_000_000
_ENTRIES: Final = 400_000_000
"""Most numbers of all data sets together, 3 GB."""
_NEGATIVE: Final = 1.0
"""Events below zero of a data set's bins together that count as none."""
_SHARE: Final = 0.01
"""Share of data sets with more than that, from far pulls, at which none are made."""
_TRIES: Final = 50
"""Times that nuisances with fewer events are drawn again."""
_BLOCK: Final = 20_000


@dataclass(frozen=True)
class Simulation(Result):
    """Data sets of a model.

    Attributes
    ----------
    title : str
        Experiments and analysis, or the file.
    regions : mapping
        Number of bins of every region, in the order of the bins.
    counts : ndarray of int
        Observed counts, (n, bins).
    auxiliary : ndarray
        Auxiliary data, (n, m), in pyhf's order: ``numpy.hstack([counts, auxiliary])`` are data sets
        for the model of ``nuhf.workspace``.
    names : tuple of str
        Parameters of the model, couplings in base units.
    truth : ndarray
        Their true values, (n, P).
    couplings : tuple of str
        The couplings among them.
    nuisances : str
        ``drawn`` or ``fixed``.
    seed : int
        Seed of everything random.
    notes : tuple of str
        Caveats.
    provenance : mapping
        Versions, digests, options.
    """

    title: str
    regions: Mapping[str, int]
    counts: IntArray = field(repr=False)
    auxiliary: FloatArray = field(repr=False)
    names: tuple[str, ...]
    truth: FloatArray = field(repr=False)
    couplings: tuple[str, ...]
    nuisances: Nuisances
    seed: int
    notes: tuple[str, ...]
    provenance: Mapping[str, object] = field(repr=False)

    @property
    def data(self) -> FloatArray:
        """Counts and auxiliary data together, as pyhf takes them, (n, bins + m)."""
        return np.hstack([self.counts, self.auxiliary])

    def region(self, name: str) -> IntArray:
        """Return the counts of one region, (n, its bins) (`KeyError` if there is none)."""
        ends = dict(zip(self.regions, np.cumsum(list(self.regions.values())), strict=True))
        return self.counts[:, ends[name] - self.regions[name] : ends[name]]

    def lines(self) -> list[str]:
        """Return events per data set by region: mean and standard deviation."""
        lines = [
            f"{self.title}: {len(self.counts)} data sets, nuisances {self.nuisances}, seed "
            f"{self.seed}",
            *(f"  {name}: {self._truth_text(name)}" for name in self.couplings),
            f"{'region':40s} bins    mean events      sd",
        ]
        for name, bins in self.regions.items():
            events = self.region(name).sum(axis=1)
            lines.append(f"{name:40s} {bins:4d} {events.mean():14.6g} {events.std():7.4g}")
        return lines

    def _truth_text(self, name: str) -> str:
        values = self.truth[:, self.names.index(name)]
        low, high = float(values.min()), float(values.max())
        return f"{low:g}" if low == high else f"{low:g} to {high:g}"

    def columns(self) -> dict[str, Sequence[object]]:
        """Return one row for each data set: true parameters, counts of all bins, auxiliary data."""
        columns: dict[str, Sequence[object]] = {
            f"true_{name}": self.truth[:, i].tolist() for i, name in enumerate(self.names)
        }
        for name in self.regions:
            for b, row in enumerate(self.region(name).T):
                columns[f"{name}_{b}"] = row.tolist()
        return columns | {f"auxiliary_{i}": x.tolist() for i, x in enumerate(self.auxiliary.T)}

    def save(self, path: str | Path) -> None:
        """Write ``.npz`` (arrays by the names of the attributes) or ``.csv``, atomically.

        Raises
        ------
        InputError
            If the path ends in something else, or cannot be written.
        """
        place = Path(path)
        if place.suffix == ".csv":
            resources.write_text(place, self.to_csv())
        elif place.suffix == ".npz":
            buffer = io.BytesIO()
            bins = np.array(list(self.regions.values()))
            np.savez_compressed(
                buffer, counts=self.counts, auxiliary=self.auxiliary, truth=self.truth,
                names=np.array(self.names), regions=np.array(list(self.regions)), bins=bins,
                seed=np.array(self.seed),
            )  # fmt: skip
            resources.write_bytes(place, buffer.getvalue())
        else:
            raise InputError(f"{place}: data sets are written as .npz or .csv")

    def plot(self, ax: "Axes | None" = None) -> "Figure":
        """Draw the mean counts of every bin, and where 68 % of the data sets are."""
        from nuhf.plots import posterior

        return posterior.counts(self.counts, self.title, ax)


def draw_data(
    density: LogDensity,
    couplings: Mapping[str, float | FloatArray],
    number: int,
    seed: int,
    nuisances: Nuisances,
    told: Sequence[str] = (),
) -> Simulation:
    """Draw data sets of a model; its own data are not used but for the auxiliary ones.

    Arguments are those of `nuhf.simulate`; couplings not named are where the model starts, and
    what is ``told`` of the model is among the notes. `FitError` if a bin expects clearly fewer
    than zero events.
    """
    compiled, c = density.compiled, density.compiled.constraints
    if nuisances not in (allowed := get_args(Nuisances)):
        raise InputError(f"nuisances '{nuisances}'; allowed: {', '.join(allowed)}")
    most = min(_MOST, _ENTRIES // (compiled.n_main + compiled.n_aux))
    if not 1 <= number <= most:
        raise InputError(f"{number} data sets: between 1 and {most} are possible here")
    if seed < 0:
        raise InputError(f"seed {seed}: must not be negative")
    rng = np.random.default_rng(seed)
    truth = _truth(density, couplings, number, rng if nuisances == "drawn" else None)
    again = _drawn_again(density, couplings, truth, rng) if nuisances == "drawn" else 0
    counts, notes = _counts(density, truth, rng)
    if again:
        told = (*told, f"{again} draws of nuisances with fewer than 0 events were drawn again")
    auxiliary = np.tile(density.data[compiled.n_main :], (number, 1))
    if nuisances == "fixed":
        pulls = rng.standard_normal((number, len(c.normal_param)))
        auxiliary[:, c.normal_aux] = truth[:, c.normal_param] + c.normal_sigma * pulls
        auxiliary[:, c.poisson_aux] = rng.poisson(truth[:, c.poisson_param] * c.poisson_factor)
    for axis in density.axes:
        truth[:, axis.index] = axis.from_fit(truth[:, axis.index])
    base = {axis.parameter.fit_name: axis.name for axis in density.axes}
    values = {name: np.asarray(value).tolist() for name, value in couplings.items()}
    return Simulation(
        title=density.title,
        regions=density.regions,
        counts=counts,
        auxiliary=auxiliary,
        names=tuple(base.get(name, name) for name in compiled.names),
        truth=truth,
        couplings=tuple(axis.name for axis in density.axes),
        nuisances=nuisances,
        seed=seed,
        notes=(*density.notes, *told, *notes),
        provenance={**density.record, "values": values, "number": number, "seed": seed},
    )


def _truth(
    density: LogDensity,
    couplings: Mapping[str, float | FloatArray],
    number: int,
    rng: np.random.Generator | None,
) -> FloatArray:
    """True fit parameters (number, P); constrained nuisances nominal without random numbers."""
    compiled, c = density.compiled, density.compiled.constraints
    truth = np.tile(compiled.inits, (number, 1))
    if rng is not None:
        drawn = density.prior_transform(rng.random((number, int(density.free.sum()))))
        bound = np.zeros(len(compiled.names), dtype=bool)
        bound[np.concatenate([c.normal_param, c.poisson_param])] = True
        truth[:, density.free & bound] = drawn[:, bound[density.free]]
    for axis in density.axes:
        if axis.name in couplings:
            value = np.asarray(couplings[axis.name], dtype=float)
            if value.shape not in ((), (number,)):
                raise InputError(
                    f"{axis.name} has shape {value.shape}; one value, or {number} are needed"
                )
            truth[:, axis.index] = axis.to_fit(value)
    return truth


def _drawn_again(
    density: LogDensity,
    couplings: Mapping[str, float | FloatArray],
    truth: FloatArray,
    rng: np.random.Generator,
) -> int:
    """Draw nuisances of ``truth`` again where bins expect clearly less than 0; return how many.

    Not where that is so for half of the data sets: then the couplings are outside the model.
    """
    found, bad = 0, np.arange(len(truth))
    for _ in range(_TRIES):
        parts = np.array_split(bad, -(-len(bad) // _BLOCK))
        below = [np.minimum(density.compiled.expected(truth[p]), 0.0).sum(axis=1) for p in parts]
        bad = bad[~(np.concatenate(below) >= -_NEGATIVE)]
        if not 0 < len(bad) < 0.5 * len(truth):
            break
        truth[bad] = _truth(density, couplings, len(truth), rng)[bad]
        found += len(bad)
    return found


def _counts(
    density: LogDensity, truth: FloatArray, rng: np.random.Generator
) -> tuple[IntArray, tuple[str, ...]]:
    """Poisson counts (number, bins) at true parameters; bins that expect less than 0 are empty."""
    number, below, clearly = len(truth), 0, 0
    counts = np.empty((number, density.compiled.n_main), dtype=np.int64)
    for first in range(0, number, _BLOCK):
        part = slice(first, first + _BLOCK)
        expected = density.compiled.expected(truth[part])
        negative = np.minimum(expected, 0.0).sum(axis=1)
        below += int((negative < 0).sum())
        clearly += int((~(negative >= -_NEGATIVE)).sum())
        if clearly > _SHARE * number or not np.isfinite(expected).all():
            raise FitError(
                f"no data sets: bins of some expect {negative.min():.3g} events where they are "
                "negative; these values of couplings and nuisances are outside the model"
            )
        counts[part] = rng.poisson(np.maximum(expected, 0.0))
    note = f"{below} of {number} data sets have a bin that expects fewer than 0 events: it is empty"
    return counts, (note,) if below else ()
