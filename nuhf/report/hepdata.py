"""A HEPData submission: tables of spectrum, profiles and limits, archives as HistFactory.

hepdata-lib and hepdata-validator are the extra ``nuhf[hepdata]`` and imported when needed.
"""

import tempfile
from collections.abc import Mapping
from importlib.util import find_spec
from itertools import product
from pathlib import Path
from typing import Any, Final

import numpy as np

from nuhf import resources
from nuhf.errors import ModelError
from nuhf.report.publish import Entry, Publication
from nuhf.stats.expected import RegionSpectrum
from nuhf.workspaces.archive import pack
from nuhf.workspaces.patchset import HEPDATA_PLACEHOLDER

__all__ = ["require", "submission"]

_MODULES: Final = ("hepdata_lib", "hepdata_validator")


def require() -> None:
    """Make sure that the optional packages are there.

    Raises
    ------
    ModelError
        If not, with the command that installs them.
    """
    missing = [name for name in _MODULES if find_spec(name) is None]
    if missing:
        raise ModelError(
            f"a HEPData submission needs {' and '.join(missing)}: pip install 'nuhf[hepdata]', "
            "or pip install '.[hepdata]' in a checkout; or ask for the archives alone"
        )


def submission(publication: Publication) -> dict[str, bytes]:
    """Return the files of a submission by relative name, and all of them as one tar.gz.

    Parameters
    ----------
    publication : Publication
        What is published.

    Returns
    -------
    dict
        ``submission/...`` with submission.yaml, tables and archives; ``submission.tar.gz``.

    Raises
    ------
    ModelError
        If the optional packages are missing, or the submission is not valid.
    """
    require()
    with tempfile.TemporaryDirectory(prefix="nuhf-hepdata-") as name:
        folder = Path(name) / "submission"
        for file, content in publication.archives().items():
            resources.write_bytes(folder / file, content)
        _write(publication, folder)
        _validate(folder)
        files = {path.name: resources.read_bytes(path) for path in sorted(folder.iterdir())}
    packed = {f"submission/{name}": content for name, content in files.items()}
    return {**packed, "submission.tar.gz": pack(files)}


def _write(publication: Publication, folder: Path) -> None:
    """Write submission.yaml and the tables with hepdata-lib, but not its tar in this folder."""
    import hepdata_lib
    import yaml

    head = hepdata_lib.Submission()
    head.comment = _abstract(publication)
    for entry, file in zip(publication.entries, publication.archives(), strict=True):
        head.add_additional_resource(
            f"pyhf likelihood of {entry.problem.parameter.name}: background-only workspace and "
            "patch set",
            file,
            file_type="HistFactory",
        )
    record = publication.entries[0].grid.patchset["metadata"]["references"]["hepdata"]
    if record != HEPDATA_PLACEHOLDER:
        head.add_record_id(int(record.removeprefix("ins")), "inspire")
    document = {
        "data_license": head.get_license(),
        "comment": head.comment,
        "additional_resources": head.additional_resources,
        **({"record_ids": head.record_ids} if head.record_ids else {}),
    }
    text = yaml.safe_dump(document, default_flow_style=False, explicit_start=True)
    resources.write_text(folder / "submission.yaml", text)
    several = len(publication.regions) > 1
    tables = [
        _spectrum(region, f"Spectrum {region.region}" if several else "Spectrum")
        for region in publication.regions
    ]
    tables.append(_limits(publication))
    tables += [_profile(entry) for entry in publication.entries]
    for table in tables:
        table.write_yaml(str(folder))


def _validate(folder: Path) -> None:
    from hepdata_validator.full_submission_validator import FullSubmissionValidator

    validator = FullSubmissionValidator()
    if not validator.validate(directory=str(folder)):
        found = [m.message for many in validator.get_messages().values() for m in many]
        raise ModelError(f"the HEPData submission is not valid: {'; '.join(found)}")


def _abstract(publication: Publication) -> str:
    loaded = publication.problem.experiments[0].loaded
    names = ", ".join(entry.problem.parameter.name for entry in publication.entries)
    sources = "; ".join(entry.text for entry in loaded.references)
    return " ".join(
        [
            f"Likelihoods of {names} from {loaded.experiment.title}, analysis "
            f"{publication.problem.analysis}, made by nuhf from: {sources}.",
            *(f"Note: {note}." for note in publication.notes),
        ]
    )


def _table(name: str, description: str, observable: str) -> Any:
    import hepdata_lib

    table = hepdata_lib.Table(name)
    table.description = description
    table.location = "nuhf"
    table.keywords["observables"] = [observable]
    return table


def _column(name: str, values: Any, unit: str = "", **chosen: Any) -> Any:
    import hepdata_lib

    options: dict[str, Any] = {"is_independent": False, "is_binned": False, **chosen}
    column = hepdata_lib.Variable(name, units="" if unit == "1" else unit, **options)
    column.digits = 8
    column.values = values
    return column


def _spectrum(region: RegionSpectrum, name: str) -> Any:
    """One row per bin: edges along every axis, data, expectation by process at the SM."""
    table = _table(name, "Data and SM expectation before the fit, in events.", "N")
    steps = [list(zip(a.edges[:-1], a.edges[1:], strict=True)) for a in region.axes]
    cells = list(product(*steps))
    for i, axis in enumerate(region.axes):
        stem, unit = axis.quantity, axis.unit
        rows = [tuple(float(x) for x in cell[i]) for cell in cells]
        options = {"is_independent": True, "is_binned": True}
        table.add_variable(_column(stem, rows, unit, **options))
    columns: Mapping[str, Any] = {"data": region.observed, **region.expected}
    for label, values in columns.items():
        table.add_variable(_column(label, [float(x) for x in values], "events"))
    return table


def _profile(entry: Entry) -> Any:
    parameter = entry.problem.parameter
    table = _table(
        f"Profile {parameter.name}",
        f"2NLL of {parameter.meaning} above its minimum, profiled over all nuisances, at the "
        f"points of the patch set; best fit {entry.limit.best_fit:.5g}.",
        "-2 ln L",
    )
    rows = [float(x) for x in entry.values]
    table.add_variable(_column(parameter.name, rows, parameter.unit, is_independent=True))
    fit_values = [float(x) for x in entry.grid.points[:, 0]]
    table.add_variable(_column(parameter.fit_name, fit_values))
    table.add_variable(_column("delta 2NLL", [float(x) for x in np.maximum(entry.delta, 0.0)]))
    return table


def _limits(publication: Publication) -> Any:
    table = _table("Limits", "Intervals from the profile likelihood; one row per piece.", "Limit")
    rows = [
        (e.limit.parameter, e.limit.unit, i + 1, low, high, e.limit.best_fit)
        for e in publication.entries
        for i, (low, high) in enumerate(e.limit.intervals)
    ]
    names = ("parameter", "unit", "piece", "lower end", "upper end", "best fit")
    for i, name in enumerate(names):
        column = _column(name, [row[i] for row in rows], is_independent=i < 3)
        if i >= 3:
            column.add_qualifier("CL", 100.0 * publication.entries[0].limit.cl, "%")
        table.add_variable(column)
    return table
