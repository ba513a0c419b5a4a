"""What an experiment is turned into: regions of bins, with signals and data."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from nuhf.arrays import FloatArray
from nuhf.experiments.catalogue import Loaded
from nuhf.inputs import Record
from nuhf.rates.templates import Axis, TemplateSet


@dataclass(frozen=True)
class Region:
    """Bins of one selection of the data: a channel of the model.

    Attributes
    ----------
    name : str
        Unique, and valid as a pyhf channel name.
    axes : tuple of Axis
        The last axis runs fastest in all arrays.
    signals : tuple of TemplateSet
        One per signal process; none in a control region.
    observed : ndarray
        Counts, or with ``sigma`` background-subtracted events, (n_bins,).
    backgrounds : mapping
        Expected events (n_bins,) by component.
    titles : mapping
        Title for people by process.
    events : float
        Events seen before any subtraction: what couplings can reach at most.
    sigma : ndarray or None
        Errors of a Gaussian region, (n_bins,); None for counts.
    variations : mapping
        ``variations[background][nuisance]``: events at plus and minus one standard deviation.
    details : mapping
        Further numbers to show, such as the control counts.
    pseudo_counts : float or None
        Of the encoding of a Gaussian region, if its analysis says how many.
    """

    name: str
    axes: tuple[Axis, ...]
    signals: tuple[TemplateSet, ...]
    observed: FloatArray
    backgrounds: Mapping[str, FloatArray]
    titles: Mapping[str, str]
    events: float
    sigma: FloatArray | None = None
    variations: Mapping[str, Mapping[str, tuple[FloatArray, FloatArray]]] = field(
        default_factory=dict
    )
    details: Mapping[str, float] = field(default_factory=dict)
    pseudo_counts: float | None = None


@dataclass(frozen=True)
class Prepared:
    """An experiment with its regions built, ready for a model.

    Attributes
    ----------
    loaded : Loaded
        File and analysis.
    regions : tuple of Region
        All regions.
    records : tuple of Record
        Every file that was read, the experiment's own first.
    """

    loaded: Loaded
    regions: tuple[Region, ...]
    records: tuple[Record, ...]

    @property
    def name(self) -> str:
        """Name of the experiment."""
        return self.loaded.experiment.name

    @property
    def digests(self) -> dict[str, str]:
        """SHA-256 of every file that was read, by its name; of experiments the file name."""
        return {
            Path(record.name).name
            if Path(record.name).is_absolute()
            else record.name: record.digest
            for record in self.records
        }

    @property
    def templates(self) -> tuple[TemplateSet, ...]:
        """Signal templates of all regions."""
        return tuple(signal for region in self.regions for signal in region.signals)

    @property
    def flavours(self) -> frozenset[str]:
        """Neutrino flavours that any region sees."""
        return frozenset(f for signal in self.templates for f in signal.flavours.values())
