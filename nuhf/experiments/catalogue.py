"""Find experiments by name or path, and read their files."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from pydantic import ValidationError

from nuhf import parameters, resources
from nuhf.errors import InputError
from nuhf.experiments.faults import in_words, place_of
from nuhf.experiments.measurement_schema import Measurement
from nuhf.experiments.reactor_schema import Reactor
from nuhf.experiments.schema import BaseAnalysis, BaseExperiment
from nuhf.experiments.solar_schema import Solar
from nuhf.experiments.spallation_released_schema import Released
from nuhf.experiments.spallation_schema import Spallation

__all__ = ["KINDS", "Loaded", "list_experiments", "load", "parse_experiment"]

KINDS: Final[Mapping[str, type[BaseExperiment]]] = {
    "spallation": Spallation,
    "solar": Solar,
    "reactor": Reactor,
    "measurement": Measurement,
    "spallation-released": Released,
}
"""What an experiment file has to be, by its key ``kind``."""


@dataclass(frozen=True)
class Loaded:
    """An experiment with the file it came from and the analysis chosen.

    Attributes
    ----------
    path : Path
        The TOML file; tables are looked for beside it first.
    experiment : BaseExperiment
        Its content.
    analysis_name : str
        Which of the analyses is used.
    """

    path: Path
    experiment: BaseExperiment
    analysis_name: str

    @property
    def analysis(self) -> BaseAnalysis:
        """The analysis chosen."""
        return self.experiment.analyses[self.analysis_name]

    @property
    def notes(self) -> tuple[str, ...]:
        """Caveats that every result carries."""
        scheme = self.analysis.couplings
        unverified = (f"couplings '{scheme}'",) if "UNVERIFIED" in scheme else ()
        idle = (
            f"background '{name}' is in no analysis and left out (its key 'backgrounds')"
            for name in self.experiment.idle_backgrounds
        )
        return (*self.experiment.notes, *self.analysis.notes, *unverified, *idle)

    def table(self, name: str) -> Path:
        """Return the path of a table named in the file."""
        try:
            return resources.find(name, beside=self.path.parent)
        except InputError as error:
            where = place_of(name, self.experiment.model_dump(exclude={"title", "notes"}))
            raise InputError(f"{self.path}: {f'{where}: ' if where else ''}{error}") from None

    def digests(self, tables: set[str], shared: set[str]) -> dict[str, str]:
        """Return the SHA-256 of the file, of tables it names, and of shared data files."""
        found = {self.path.name: resources.digest(self.path)}
        found |= {name: resources.digest(self.table(name)) for name in sorted(tables)}
        return found | {name: resources.digest(resources.find(name)) for name in sorted(shared)}


def list_experiments() -> Mapping[str, Path]:
    """Return the shipped experiments: name and file."""
    folder = resources.shipped("data") / "experiments"
    return {path.stem: path for path in sorted(folder.glob("*.toml"))}


def load(name: str, analysis: str = "default") -> Loaded:
    """Load a shipped experiment by name, or any by the path of its TOML file.

    Raises
    ------
    InputError
        If there is no such experiment, file or analysis, or the file is broken.
    """
    known = list_experiments()
    if name in known:
        path = known[name]
    elif name.endswith(".toml") or "/" in name or resources.is_file(Path(name)):
        path = Path(name)
        if not resources.is_there(path):
            raise InputError(f"experiment file '{name}' does not exist")
    else:
        raise InputError(
            f"unknown experiment '{name}'; {parameters.suggest(name, known)}; "
            "or give the path of a .toml file"
        )
    experiment = parse_experiment(path)
    if analysis not in experiment.analyses:
        raise InputError(
            f"{path.name}: no analysis '{analysis}'; "
            f"{parameters.suggest(analysis, experiment.analyses)}"
        )
    return Loaded(path, experiment, analysis)


def parse_experiment(path: Path) -> BaseExperiment:
    """Read and check an experiment file; its key ``kind`` says which form it has.

    Raises
    ------
    InputError
        With file, key, what was given and what is allowed, on one line.
    """
    content = resources.read_toml(path)
    if "kind" not in content:
        raise InputError(f"{path}: kind: required, not given; allowed: {', '.join(KINDS)}")
    kind = content["kind"]
    if not isinstance(kind, str) or kind not in KINDS:
        given = kind if isinstance(kind, str) else ""
        raise InputError(f"{path}: kind = {kind!r}; {parameters.suggest(given, KINDS)}")
    try:
        return KINDS[kind].model_validate(_with_tuples(content), strict=True)
    except ValidationError as error:
        raise InputError(f"{path}: {in_words(error, KINDS[kind], content)}") from None


def _with_tuples(content: Any) -> Any:
    """Return tuples for lists: strictly no list is a tuple, and no text a number either."""
    if isinstance(content, dict):
        return {key: _with_tuples(value) for key, value in content.items()}
    return tuple(map(_with_tuples, content)) if isinstance(content, list) else content
