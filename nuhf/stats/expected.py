"""Expected events per bin, beside the data, for figures and tables; needs no pyhf."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from nuhf.arrays import FloatArray
from nuhf.couplings import parameters
from nuhf.couplings.model import MASS_STATES
from nuhf.errors import InputError
from nuhf.experiments.prepare import expanded
from nuhf.experiments.region import Prepared
from nuhf.histfactory import assemble
from nuhf.rates.signal import check_together, expected
from nuhf.rates.templates import Axis, bin_columns
from nuhf.resources import JSON_FORMAT
from nuhf.stats.histogram import Histogram, HistogramAxis
from nuhf.stats.result_base import JsonValue, Result
from nuhf.tables import tables_together

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Rows = Mapping[str, FloatArray]


@dataclass(frozen=True)
class RegionSpectrum:
    """One region in events; of a Gaussian region the background-subtracted ones."""

    experiment: str
    region: str
    """Names."""
    axes: tuple[Axis, ...]
    """The last axis runs fastest in all arrays."""
    observed: FloatArray
    errors: FloatArray
    """Data and their errors, (n_bins,) each."""
    expected: Mapping[str, FloatArray]
    """Events (n_bins,) by process."""
    titles: Mapping[str, str]
    """Title for people by process."""
    signals: tuple[str, ...] = ()
    """Those of ``expected`` that are signals; empty where nobody asks."""
    counted: bool = True
    """Whether the data are counts: their variance is the expectation."""
    modes: FloatArray | None = None
    """Changes of the expectation (k, n_bins) that are independent, one standard deviation each; the
    roots of their sums of squares are its uncertainty. None where it is not known."""
    asimov: bool = False
    """Whether ``observed`` is an expectation, no measurement."""

    def histogram(self, what: str = "data") -> Histogram:
        """Return counts of the UHI protocol, which ``mplhep.histplot`` takes.

        Parameters
        ----------
        what : str
            ``data``, ``total`` (the expectation, with its uncertainty if that is known) or a
            process.

        Raises
        ------
        nuhf.errors.InputError
            If the region has no such process.
        """
        shape = [axis.bins for axis in self.axes]
        variance = None
        if what == "data":
            events, variance = self.observed, self.errors**2
        elif what == "total":
            events = np.sum(list(self.expected.values()), axis=0)
            variance = None if self.modes is None else (self.modes**2).sum(axis=0)
        elif what in self.expected:
            events = self.expected[what]
        else:
            hint = parameters.suggest(what, ["data", "total", *self.expected])
            raise InputError(f"what = '{what}': {hint}")
        return Histogram(
            tuple(HistogramAxis(axis.name, axis.edges) for axis in self.axes),
            events.reshape(shape),
            None if variance is None else variance.reshape(shape),
        )

    @property
    def uncertainty(self) -> FloatArray | None:
        """Uncertainty of the total expectation (n_bins,), in events; None where not known."""
        return None if self.modes is None else np.sqrt((self.modes**2).sum(axis=0))

    def columns(self) -> dict[str, list[float]]:
        """Return the region as columns of a table: bin edges, data, error, processes."""
        rows = {"data": self.observed, "error": self.errors, **self.expected}
        if self.uncertainty is not None:
            rows["uncertainty"] = self.uncertainty
        return bin_columns(self.axes) | {name: row.tolist() for name, row in rows.items()}


@dataclass(frozen=True)
class Rates(Result, Mapping[str, Rows]):
    """Expected events: ``rates[region][component]`` is an array (n_bins,).

    Attributes
    ----------
    regions : mapping
        Edges, units, data and titles of each region, by its name.
    couplings : mapping
        Parameters that were set, in base units; all others are at the SM.
    standard : mapping
        The same arrays at the SM; empty if nothing was set.
    """

    experiments: tuple[str, ...]
    analysis: str
    regions: Mapping[str, RegionSpectrum]
    couplings: Mapping[str, float]
    notes: tuple[str, ...]
    standard: Mapping[str, Rows] = field(default_factory=dict, repr=False)

    def __getitem__(self, region: str) -> Rows:
        """Return the arrays (n_bins,) of a region by component."""
        return self.regions[region].expected

    def __iter__(self) -> Iterator[str]:
        """Iterate over the names of the regions."""
        return iter(self.regions)

    def __len__(self) -> int:
        """Return the number of regions."""
        return len(self.regions)

    @property
    def _title(self) -> str:
        return f"{', '.join(self.experiments)} ({self.analysis})"

    def totals(self) -> dict[str, float]:
        """Return the events of each region."""
        return {name: _events(rows)["total"] for name, rows in self.items()}

    def lines(self) -> list[str]:
        """Return the events of every component; with values those at the SM beside them."""
        lines = []
        for name, rows in self.items():
            lines += [f"{name}:"] if len(self) > 1 else []
            if not self.standard:
                lines += [f"{key:24s} {n:10.2f} events" for key, n in _events(rows).items()]
                continue
            before = _events(self.standard[name])
            lines.append(f"{'events':24s} {'SM':>10s} {'with values':>12s} {'difference':>12s}")
            lines += [
                f"{key:24s} {before[key]:10.2f} {n:12.2f} {n - before[key]:+12.2f}"
                for key, n in _events(rows).items()
            ]
        return lines

    def columns(self) -> dict[str, Sequence[object]]:
        """Return edges and events of every bin, with ``sm_`` those at the SM of the signals."""
        parts = []
        for name, region in self.regions.items():
            rows = dict(region.expected)
            if self.standard:
                moved = {key: row for key, row in self.standard[name].items()
                         if key in region.signals}  # fmt: skip
                rows |= {f"sm_{key}": row for key, row in moved.items()}
            numbers = {key: row.tolist() for key, row in rows.items()}
            parts.append((name, bin_columns(region.axes) | numbers))
        return dict(tables_together(parts))

    def to_dict(self) -> dict[str, JsonValue]:
        """Return plain data: what the command prints as JSON."""
        regions: dict[str, JsonValue] = {}
        for name, rows in self.items():
            events, before = _events(rows), _events(self.standard.get(name, rows))
            regions[name] = {
                "events": events,
                "sm_events": before,
                "difference": {key: events[key] - before[key] for key in events},
                "bins": {key: [float(x) for x in row] for key, row in rows.items()},
            }
        return {"format": JSON_FORMAT, "values": dict(self.couplings), "regions": regions}

    def plot(self, ax: "Axes | None" = None) -> "Figure":
        """Draw data and stacked components, a panel per axis; the first one on given axes."""
        from nuhf.plots import spectrum

        return spectrum.spectra(list(self.regions.values()), self._title, ax)


def _events(rows: Rows) -> dict[str, float]:
    """Events by component, and their sum."""
    events = {name: float(row.sum()) for name, row in rows.items()}
    return events | {"total": sum(events.values())}


def rates(
    prepared: Prepared,
    values: Mapping[str, float] | None = None,
    anapole: str = "standard",
    settings: Mapping[str, float] | None = None,
) -> Rates:
    """Return the expected events of an experiment, at values in base units and else at the SM.

    `InputError` if a parameter is unknown, has no effect, or a value is a slip of the unit.
    """
    given = dict(values or {})
    for name in given:
        parameters.get(name)
    (prepared,) = expanded([prepared], list(given), settings or {})
    found = _expected(prepared, given, anapole)
    regions = {region.name: _spectrum(prepared, i, found) for i, region in
               enumerate(prepared.regions)}  # fmt: skip
    before = _expected(prepared, {}, anapole) if given else {}
    standard = {
        name: {key: rows.get(key, np.zeros_like(row)) for key, row in found[name].items()}
        for name, rows in before.items()
    }
    loaded = prepared.loaded
    return Rates((prepared.name,), loaded.analysis_name, regions, given, loaded.notes, standard)


def _spectrum(prepared: Prepared, i: int, found: Mapping[str, Rows]) -> RegionSpectrum:
    region = prepared.regions[i]
    sigma = np.sqrt(region.observed) if region.sigma is None else region.sigma
    signals = [name for name in found[region.name] if name not in region.backgrounds]
    titles = {
        name: f"{region.titles.get(name.rpartition('_')[0], name.rpartition('_')[0])}, "
        f"{name.rpartition('_')[2]}"
        for name in signals
    }
    return RegionSpectrum(
        prepared.loaded.experiment.title, region.name, region.axes, region.observed, sigma,
        found[region.name], {**region.titles, **titles}, tuple(signals), region.sigma is None,
        asimov=prepared.loaded.asimov,
    )  # fmt: skip


def _expected(one: Prepared, given: Mapping[str, float], anapole: str) -> dict[str, Rows]:
    """Events of every flavour's signal and every background, by region."""
    parameters.check_values(given)
    chosen = [parameters.get(p) for p in given]
    check_together(chosen)
    assemble.check_effect([one], chosen)
    fixed, _ = assemble.reference_values(one, chosen, anapole)
    rest = {p.name: value for p, value in fixed.items()}
    held = dict(zip(chosen, given.values(), strict=True))
    found: dict[str, Rows] = {}
    for region in one.regions:
        rows = {
            f"{signal.process}_{flavour}": row
            for signal in region.signals
            for flavour, row in expected(signal, {**rest, **given}, anapole).items()
            if flavour not in MASS_STATES or row.any()  # they have couplings of their own alone
        }
        assemble.refuse_absurd(region, rows.values(), held)
        found[region.name] = {**region.backgrounds, **rows}
    return found
