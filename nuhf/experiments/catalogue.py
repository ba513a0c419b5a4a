"""Find experiments by name or path, read their files, and choose an analysis."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

from pydantic import ValidationError

from nuhf import resources
from nuhf.bibliography import Entry
from nuhf.couplings import parameters
from nuhf.errors import Caveat, InputError, within
from nuhf.experiments.data import Asimov
from nuhf.experiments.faults import in_words
from nuhf.experiments.file import Analysis, ExperimentFile, Nuisance
from nuhf.experiments.parts import frozen, overlay
from nuhf.experiments.signals import Scattering
from nuhf.inputs import Inputs
from nuhf.physics.settings import ELECTROMAGNETIC

_DEEPEST: Final = 8
"""Files that may extend each other in a row."""


@dataclass(frozen=True)
class Loaded:
    """An experiment with the file it came from and the analysis chosen.

    Attributes
    ----------
    path : Path
        The TOML file; tables are looked for beside it first.
    experiment : ExperimentFile
        Its content, with the changes of the analysis.
    analysis_name : str
        Which of the analyses is used.
    content : mapping
        The same as plain tables, names included.
    inputs : Inputs
        Reads and records the tables, the file itself and those it extends included.
    variables : tuple of str
        Variables that its templates are expanded in.
    settings : mapping
        Numbers of the models of couplings, such as ``mediator_mass_mev``.
    """

    path: Path
    experiment: ExperimentFile
    analysis_name: str
    content: Mapping[str, Any]
    inputs: Inputs
    variables: tuple[str, ...] = ELECTROMAGNETIC
    settings: Mapping[str, float] = field(default_factory=dict)

    @property
    def analysis(self) -> Analysis:
        """The analysis chosen."""
        return self.experiment.analyses[self.analysis_name]

    def changed(self, changes: Mapping[str, Any]) -> "Loaded":
        """Return the experiment with other values of some keys, checked like a file.

        Parameters
        ----------
        changes : mapping
            Tables as in the file, such as ``{"target": {"mass_kg": 30.0}}``.

        Raises
        ------
        InputError
            If a key is unknown or a value not allowed.
        """
        inputs = Inputs(self.inputs.folders)
        for record in self.inputs.records:
            if Path(record.name).is_absolute() and record.path.suffix == ".toml":
                inputs.toml(record.name)  # the file and those that it extends
        return replace(self.varied(frozen(dict(changes)), "changes"), inputs=inputs)

    def varied(self, changes: Mapping[str, Any], where: str) -> "Loaded":
        """Return the same, what it reads recorded with this one; ``where`` is for messages."""
        content = _with_names(overlay(self.content, changes))
        return replace(self, experiment=parse(self.path, content, where), content=content)

    @property
    def nuisances(self) -> tuple[Nuisance, ...]:
        """Nuisance parameters of the analysis."""
        return tuple(self.experiment.chosen_nuisances(self.analysis))

    @property
    def references(self) -> tuple[Entry, ...]:
        """Publications to cite."""
        return tuple(self.inputs.bibliography[key] for key in self.experiment.references)

    @property
    def nuclides(self) -> frozenset[str]:
        """Nuclides of the target whose neutron radius the data depend on."""
        target = self.experiment.target
        if target is None or all(s.interaction_name != "cevns" for s in self._scattering()):
            return frozenset()
        return frozenset(nuclide.name for nuclide in target.nuclides(self.inputs))

    @property
    def asimov(self) -> bool:
        """Whether the file has the expectation of a region of the analysis in place of data."""
        names = self.experiment.chosen(self.analysis, "regions")
        return any(isinstance(self.experiment.regions[n].data, Asimov) for n in names)

    @property
    def notes(self) -> tuple[str, ...]:
        """Caveats that every result carries."""
        return tuple(self._notes())

    def _scattering(self) -> Iterator[Scattering]:
        """Yield the signals of the analysis that scatter."""
        names = self.experiment.chosen(self.analysis, "signals")
        for name, signal in self.experiment.signals.items():
            if isinstance(signal, Scattering) and name in names:
                yield signal

    def _notes(self) -> Iterator[str]:
        file = self.experiment
        stated = (*file.notes, *self.analysis.notes)
        yield from stated
        if "UNVERIFIED" in file.physics.couplings:
            yield f"couplings '{file.physics.couplings}'"
        sources = dict.fromkeys(file.sources[s.source].note for s in self._scattering())
        yield from (note for note in sources if note and note not in stated)
        for name in file.idle_backgrounds:
            yield f"background '{name}' is in no analysis and left out (its key 'backgrounds')"
        if self.asimov:
            given = [f"{name} = {value:g}" for name, value in self.analysis.reference.items()]
            truth = f"with {', '.join(given)}" if given else "at the SM"
            yield Caveat(f"Asimov data: the file has the expectation {truth}, no measurement")
        used = {signal.interaction_name for signal in self._scattering()}
        if used == {"cevns"} and not file.separates_electrons:
            yield Caveat(
                "scattering on electrons, which a detector that cannot tell electrons from nuclei "
                "counts as well, is left out; with it limits of charges would be more than a "
                "hundred times stronger, those of moments by several per cent"
            )
        if used == {"eves"} and not file.separates_electrons:
            yield Caveat(
                "coherent scattering on nuclei, which a detector that cannot tell nuclei from "
                "electrons counts as well, is left out"
            )


def list_experiments() -> Mapping[str, Path]:
    """Return the shipped experiments: name and file."""
    folder = resources.shipped("data") / "experiments"
    return {path.stem: path for path in sorted(folder.glob("*.toml"))}


def titles() -> dict[str, str]:
    """Return the shipped experiments: title by name."""
    return {
        name: str(resources.read_toml(path).get("title", name))
        for name, path in list_experiments().items()
    }


def find_experiment(name: str, beside: Path | None = None) -> Path:
    """Return the file of an experiment, by name or path (`InputError` if there is none)."""
    known = list_experiments()
    if name in known:
        return known[name]
    if name.endswith(".toml") or "/" in name or resources.is_file(Path(name)):
        for path in (Path(name), *([beside / name] if beside else [])):
            if resources.is_there(path):
                return path
        raise InputError(f"experiment file '{name}' does not exist")
    raise InputError(
        f"unknown experiment '{name}'; {parameters.suggest(name, known)}; "
        "or give the path of a .toml file"
    )


def load(name: str, analysis: str = "default") -> Loaded:
    """Load a shipped experiment by name, or any by the path of its TOML file.

    `InputError` if there is no such experiment, file or analysis, or the file is broken.
    """
    path = find_experiment(name)
    content, inputs = read_content(path)
    analyses = content.get("analyses")
    if isinstance(analyses, Mapping) and analyses and analysis not in analyses:
        raise InputError(
            f"{path}: no analysis '{analysis}'; {parameters.suggest(analysis, analyses)}"
        )
    parse(path, content)
    resolved = laid_over(content, analysis)
    experiment = parse(path, resolved, f"analyses.{analysis}.changes")
    inputs.bibliography.check(experiment.references, f"{path}: references")
    return Loaded(path, experiment, analysis, resolved, inputs)


def read_content(path: Path) -> tuple[dict[str, Any], Inputs]:
    """Read an experiment file and those it extends: plain tables, and the inputs beside them.

    `InputError` if a file is missing or broken, or files extend each other in a circle.
    """
    inputs, chain = Inputs([path.parent]), [path]
    merged = frozen(inputs.toml(str(path.absolute())))
    parent = merged.get("extends", "")
    while isinstance(parent, str) and parent:
        with within(f"{chain[-1]}: extends"):
            following = find_experiment(parent, chain[-1].parent)
        if following in chain or len(chain) >= _DEEPEST:
            raise InputError(f"{path}: extends: files extend each other in a circle, or too deeply")
        chain.append(following)
        inputs.look_in(following.parent)
        content = frozen(inputs.toml(str(following.absolute())))
        merged, parent = overlay(content, merged), content.get("extends", "")
    for section in ("responses", "analyses"):
        merged = _with_extended(path, merged, section)
    return _with_names(merged), inputs


def _with_names(content: dict[str, Any]) -> dict[str, Any]:
    """Return the content with the name of each named table in it."""
    named = dict(content)
    for key in ("signals", "regions", "backgrounds", "nuisances", "analyses"):
        tables = content.get(key)
        if isinstance(tables, Mapping):
            named[key] = {
                name: {"name": name, **table} if isinstance(table, Mapping) else table
                for name, table in tables.items()
            }
    return named


def _with_extended(path: Path, content: dict[str, Any], section: str) -> dict[str, Any]:
    """Return the content with the tables of a section that extend others written out."""
    tables = content.get(section)
    if not isinstance(tables, Mapping):
        return content

    def whole(name: str, seen: tuple[str, ...]) -> Any:
        table = tables[name]
        parent = table.get("extends") if isinstance(table, Mapping) else None
        if not isinstance(parent, str) or not parent:
            return table
        if parent not in tables or parent in seen:
            hint = "it extends itself" if parent in seen else parameters.suggest(parent, tables)
            raise InputError(f"{path}: {section}.{name}.extends = '{parent}'; {hint}")
        base = whole(parent, (*seen, name))
        return overlay(base, table) if isinstance(base, Mapping) else table

    return content | {section: {name: whole(name, (name,)) for name in tables}}


def laid_over(content: dict[str, Any], analysis: str) -> dict[str, Any]:
    """Return the content with the changes of an analysis laid over it."""
    table = content["analyses"][analysis]
    changes = table.get("changes", {}) if isinstance(table, Mapping) else {}
    return _with_names(overlay(content, changes)) if isinstance(changes, Mapping) else content


def parse(path: Path, content: Mapping[str, Any], where: str = "") -> ExperimentFile:
    """Check plain tables and return the file (`InputError` with all faults in one line)."""
    if content.get("format") == 1:
        raise InputError(
            f"{path}: format = 1 is that of nuhf 0.1; files of format 2 compose sources, target, "
            "responses and signals (docs/add-experiment.md)"
        )
    try:
        return ExperimentFile.model_validate(content, strict=True)
    except ValidationError as error:
        place = f"{where}: " if where else ""
        raise InputError(f"{path}: {place}{in_words(error, content)}") from None
