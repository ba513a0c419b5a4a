"""Find experiments by name or path."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from nuhf import parameters, resources
from nuhf.errors import InputError
from nuhf.experiments.schema import Analysis, Experiment, parse_experiment

__all__ = ["Loaded", "list_experiments", "load"]


@dataclass(frozen=True)
class Loaded:
    """An experiment with the file it came from and the analysis chosen.

    Attributes
    ----------
    path : Path
        The TOML file; tables are looked for beside it first.
    experiment : Experiment
        Its content.
    analysis_name : str
        Which of the analyses is used.
    """

    path: Path
    experiment: Experiment
    analysis_name: str

    @property
    def analysis(self) -> Analysis:
        """The analysis chosen."""
        return self.experiment.analyses[self.analysis_name]

    @property
    def notes(self) -> tuple[str, ...]:
        """Caveats that every result carries."""
        scheme = self.analysis.couplings
        unverified = (f"couplings '{scheme}'",) if "UNVERIFIED" in scheme else ()
        return (*self.experiment.notes, *self.analysis.notes, *unverified)

    def table(self, name: str) -> Path:
        """Return the path of a table named in the file."""
        try:
            return resources.find(name, beside=self.path.parent)
        except InputError as error:
            raise InputError(f"{self.path}: {error}") from None


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
    elif name.endswith(".toml") or "/" in name:
        path = Path(name)
        if not path.is_file():
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
