"""Variations of an experiment as files that extend it, for the other scripts here."""

from collections.abc import Iterable
from pathlib import Path

from nuhf.experiments.catalogue import load


def write(name: str, lines: Iterable[str], folder: Path) -> str:
    """Write a file that extends an experiment by some lines, and return its path."""
    path = folder / f"{name}.toml"
    text = "\n".join((f'extends = "{name}"', *lines))
    path.write_text(f"{text}\n", encoding="utf-8")
    return str(path)


def within(analysis: str, keys: Iterable[str]) -> list[str]:
    """Return lines of the file for lines of an analysis.

    Lines of tables ``nuisances.NAME``, new ones, stay as they are: those are of the file itself.
    """
    return [k if k.startswith("nuisances.") else f"analyses.{analysis}.{k}" for k in keys]


def true_energy(name: str) -> dict[str, str]:
    """Return keys and values of an efficiency in true energy, its column that of the axis."""
    experiment = load(name).experiment
    (axis,) = experiment.regions["main"].axes
    column = {"energy_kev": "e_kev", "energy_kev_ee": "e_kev_ee"}[axis]
    tables = ", ".join(
        f'{{ table = "{one.table}", column = "{one.column}", last = {one.last}, '
        f'signal_column = "{one.signal_column or column}" }}'
        for one in experiment.responses["electron"].efficiency.tables
    )
    path = "responses.electron.efficiency"
    return {f"{path}.variable": '"true"', f"{path}.tables": f"[{tables}]"}
