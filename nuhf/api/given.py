"""What users give for experiments and files, sorted out."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from nuhf.api.arguments import ExperimentLike, ExperimentsLike
from nuhf.api.experiment import Experiment, load
from nuhf.errors import InputError
from nuhf.experiments.region import Prepared


def is_file(name: object) -> bool:
    """Whether this is a workspace (parsed, a JSON file, ``-``), not the name of an experiment."""
    return isinstance(name, Mapping) or str(name) == "-" or str(name).endswith(".json")


def several(given: ExperimentsLike) -> list[ExperimentLike]:
    """Return one or more experiments or files as a list (`InputError` if there is none)."""
    if isinstance(given, str | Path | Mapping | Experiment):
        return [given]
    if not isinstance(given, Sequence):
        raise InputError(
            f"{given!r}: give an experiment by name, a file, or a sequence of them; "
            "nuhf.interval(model) is for models"
        )
    if not given:
        raise InputError("name at least one experiment")
    for one in given:
        if not isinstance(one, str | Path | Mapping | Experiment):
            raise InputError(f"{one!r}: give an experiment by name, an Experiment, or a file")
    return list(given)


def files_of(given: Sequence[ExperimentLike]) -> "list[str | Mapping[str, object]] | None":
    """Return the files if that is what they are; None if they are experiments.

    `InputError` if there are both.
    """
    kinds = [is_file(name) for name in given]
    if not any(kinds):
        return None
    if not all(kinds):
        raise InputError(
            f"{given[kinds.index(False)]} is an experiment beside files: write its workspace with "
            "nuhf workspace first"
        )
    return [one if isinstance(one, Mapping) else str(one) for one in given]


def experiments_of(given: ExperimentsLike, analysis: str = "default") -> list[Experiment]:
    """Load one or more experiments (`InputError` if one is none, or a pyhf file)."""
    found = []
    for one in several(given):
        if isinstance(one, Experiment):
            found.append(one)
        elif is_file(one):
            shown = one if isinstance(one, str) else "this"
            raise InputError(
                f"{shown} is a workspace (or other JSON), not an experiment: limit, fit, scan, "
                "contour, ranking, coverage and report take it, and pyhf (a native file 'nuhf "
                "pyhf'); an experiment is a name or a .toml file"
            )
        else:
            found.append(load(str(one), analysis))
    return found


def prepared_of(given: ExperimentsLike, analysis: str = "default") -> list[Prepared]:
    """Load and prepare one or more experiments."""
    return [one.prepared for one in experiments_of(given, analysis)]
