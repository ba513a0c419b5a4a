"""An experiment with one of its analyses, as Python users hold it."""

import html
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from nuhf.api.arguments import Anapole, in_words, names, numbers
from nuhf.bibliography import Entry
from nuhf.errors import InputError
from nuhf.experiments.catalogue import Loaded
from nuhf.experiments.catalogue import load as load_file
from nuhf.experiments.prepare import prepare
from nuhf.experiments.region import Prepared, Region
from nuhf.rates.templates import TemplateSet
from nuhf.stats.expected import Rates, rates


@dataclass(frozen=True, eq=False, repr=False)
class Experiment:
    """An experiment and one of its analyses; regions are built once, on first use.

    `nuhf.load` makes one. All functions that take the name of an experiment take it, too.
    """

    loaded: Loaded
    """The file's content, checked."""

    @cached_property
    def prepared(self) -> Prepared:
        """Regions, and the files that were read for them."""
        return prepare(self.loaded)

    @property
    def name(self) -> str:
        """Name, such as ``coherent-csi-2021``."""
        return self.loaded.experiment.name

    @property
    def title(self) -> str:
        """Title for people."""
        return self.loaded.experiment.title

    @property
    def path(self) -> Path:
        """The file it came from."""
        return self.loaded.path

    @property
    def analysis(self) -> str:
        """Name of the analysis."""
        return self.loaded.analysis_name

    @property
    def analyses(self) -> dict[str, str]:
        """All analyses of the experiment: title by name."""
        return {name: a.title for name, a in self.loaded.experiment.analyses.items()}

    @property
    def parameters(self) -> tuple[str, ...]:
        """Parameters that `nuhf.limit` gives when none is named; others may be asked for."""
        return self.loaded.analysis.parameters

    @property
    def nuisances(self) -> tuple[str, ...]:
        """Names of the nuisance parameters."""
        return tuple(nuisance.name for nuisance in self.loaded.nuisances)

    @property
    def notes(self) -> tuple[str, ...]:
        """Caveats that every result carries."""
        return self.loaded.notes

    @property
    def references(self) -> tuple[Entry, ...]:
        """Publications to cite."""
        return self.loaded.references

    @property
    def regions(self) -> dict[str, Region]:
        """Bins of every selection, by name: axes with edges and units, data, backgrounds."""
        return {region.name: region for region in self.prepared.regions}

    @property
    def templates(self) -> tuple[TemplateSet, ...]:
        """Signal templates, nominal and varied, one set per region and process."""
        return self.prepared.templates

    @in_words
    def rate(
        self,
        couplings: Mapping[str, float] | None = None,
        *,
        anapole: Anapole = "standard",
        settings: Mapping[str, float] | None = None,
    ) -> Rates:
        """Return expected events per bin of every flavour's signal and every background.

        Parameters
        ----------
        couplings : mapping, optional
            Parameters in base units (e, mu_B, cm2, 1); all others are at the SM.
        anapole : str
            ``standard`` or ``khan``.
        settings : mapping, optional
            Numbers of the coupling models, such as ``mediator_mass_mev``.

        Raises
        ------
        nuhf.errors.InputError
            If a parameter is unknown or has no effect, or a value is a slip of the unit.
        """
        return rates(
            self.prepared, numbers(couplings, "couplings"), anapole, numbers(settings, "settings")
        )

    @in_words
    def replace(self, changes: Mapping[str, object]) -> "Experiment":
        """Return the experiment with other values of some keys, checked like a file.

        Parameters
        ----------
        changes : mapping
            ``{"target.mass_kg": 30.0}``, or tables as in the file:
            ``{"target": {"mass_kg": 30.0}}``. ``nuhf list keys`` prints all keys.

        Raises
        ------
        nuhf.errors.InputError
            If a key is unknown or a value not allowed.
        """
        if not isinstance(changes, Mapping):
            raise InputError(f"changes = {changes!r}: give values by key")
        tables: dict[str, object] = {}
        for key, value in changes.items():
            *path, last = names([key], "changes")[0].split(".")
            table = tables
            for part in path:
                inner = table.setdefault(part, {})
                if not isinstance(inner, dict):
                    raise InputError(f"changes: {key} and a key above are both given")
                table = inner
            table[last] = dict(value) if isinstance(value, Mapping) else value
        said = ", ".join(f"{key} = {value}" for key, value in changes.items())
        given = tables.get("notes", self.loaded.experiment.notes)
        already = tuple(given) if isinstance(given, tuple | list) else ()
        tables["notes"] = (*already, f"changed in Python: {said}")
        return Experiment(self.loaded.changed(tables))

    def __repr__(self) -> str:
        return f"<Experiment {self.name}:{self.analysis}>"

    def __str__(self) -> str:
        described = [
            f"{self.name}: {self.title}",
            f"analysis    {self.analysis}: {self.analyses[self.analysis]}",
            f"analyses    {', '.join(self.analyses)}",
            f"parameters  {', '.join(self.parameters)}",
            f"nuisances   {', '.join(self.nuisances)}",
        ]
        for name, region in self.regions.items():
            axes = ", ".join(
                f"{axis.name} {axis.edges[0]:g} to {axis.edges[-1]:g} ({axis.bins} bins)"
                for axis in region.axes
            )
            described.append(f"region      {name}: {axes}")
        return "\n".join([*described, f"{len(self.notes)} notes (.notes)"])

    def _repr_html_(self) -> str:
        return f"<pre>{html.escape(str(self))}</pre>"


@in_words
def load(name: str | Path, analysis: str = "default") -> Experiment:
    """Load an experiment by name or by the path of its TOML file.

    Parameters
    ----------
    name : str or path
        Such as ``coherent-csi-2021`` or ``coherent-csi-2021:cevns-only``; `nuhf.experiments`
        lists the names.
    analysis : str
        One of its analyses.

    Raises
    ------
    nuhf.errors.InputError
        If there is no such experiment, file or analysis, or the file is broken.
    """
    if not isinstance(name, str | Path):
        raise InputError(f"name = {name!r}: give the name of an experiment, or the path of a file")
    names([analysis], "analysis")
    stem, _, own = str(name).rpartition(":")
    if stem and own and "/" not in own and "\\" not in own:
        return Experiment(load_file(stem, own))
    return Experiment(load_file(str(name), analysis))
