"""A HEPData submission with its files for Zenodo: tables, figures, likelihoods, README.

hepdata-lib and hepdata-validator are the extra ``nuhf[hepdata]`` and imported when needed.
"""

import html
import io
import tempfile
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final

from matplotlib.figure import Figure

from nuhf import resources
from nuhf.bibliography import Entry
from nuhf.errors import Caveat, ModelError
from nuhf.plots import results, spectrum
from nuhf.report.publish import Publication, encoded
from nuhf.report.render import render
from nuhf.workspaces.archive import pack
from nuhf.workspaces.patchset import HEPDATA_PLACEHOLDER

_MODULES: Final = ("hepdata_lib", "hepdata_validator")
_DPI: Final = {"": 150, "thumb_": 40}
"""Resolution of a figure and of its thumbnail, whose name HEPData tells by the prefix."""
_AUTHOR: Final = "FAMILY NAME, GIVEN NAME"


def require() -> None:
    """Refuse to go on without the optional packages (`ModelError`)."""
    missing = [name for name in _MODULES if find_spec(name) is None]
    if missing:
        raise ModelError(
            f"a HEPData submission needs {' and '.join(missing)}: pip install 'nuhf[hepdata]', "
            "or pip install '.[hepdata]' in a checkout; or ask for the archives alone"
        )


def submission(publication: Publication) -> dict[str, bytes]:
    """Return the files of a submission by relative name, and all of them as one tar.gz.

    They are ``submission/...`` with submission.yaml, tables, figures and likelihoods, and
    ``submission.tar.gz``; one that is not valid is a `ModelError`.
    """
    require()
    with tempfile.TemporaryDirectory(prefix="nuhf-hepdata-") as name:
        folder = Path(name) / "submission"
        for file, content in _attached(publication).items():
            resources.write_bytes(folder / file, content)
        _write(publication, folder)
        _validate(folder)
        files = {path.name: resources.read_bytes(path) for path in sorted(folder.iterdir())}
    packed = {f"submission/{name}": content for name, content in files.items()}
    return {**packed, "submission.tar.gz": pack(files)}


def beside(publication: Publication) -> dict[str, bytes]:
    """Return what a deposit at Zenodo needs beside the archives: README and metadata."""
    text = html.escape(_abstract(publication), quote=False)
    metadata = {
        "title": _title(publication),
        "upload_type": "dataset",
        "description": f"<p>{text}</p>",
        "creators": [{"name": _AUTHOR}],
        "license": "cc-zero",
        "keywords": ["neutrino", "likelihood", "pyhf", "HistFactory", "HS3"],
        "related_identifiers": [
            {"identifier": r.doi, "relation": "isDerivedFrom", "scheme": "doi"}
            for r in publication.problem.experiments[0].loaded.references
            if r.doi
        ],
    }
    content = {"README.md": _readme(publication), ".zenodo.json": resources.dump_json(metadata)}
    return {name: f"{text.rstrip()}\n".encode() for name, text in content.items()}


# ---------------------------------------------------------------------------- attached files


def _attached(publication: Publication) -> dict[str, bytes]:
    """Return likelihoods, figures with thumbnails, and the README, by file name."""
    files = publication.archives()
    for entry in publication.entries:
        content = encoded(entry.problem, "hs3")
        if content is not None:
            name = f"{publication.stem}_{entry.problem.parameter.name}.hs3.json"
            files[name] = f"{resources.dump_json(content)}\n".encode()
    for name, figure in _figures(publication):
        for prefix, dpi in _DPI.items():
            buffer = io.BytesIO()
            figure.savefig(buffer, format="png", dpi=dpi)
            files[f"{prefix}{name}.png"] = buffer.getvalue()
    files["README.md"] = _readme(publication).encode()
    return files


def _figures(publication: Publication) -> Iterator[tuple[str, Figure]]:
    for when, regions in (("before", publication.before), ("after", publication.after)):
        yield f"spectrum_{when}", spectrum.spectra(regions)
    for entry in publication.entries:
        name, limit = entry.problem.parameter.name, entry.limit
        curve = results.DrawnProfile(name, limit.unit, entry.values, entry.delta)
        yield f"profile_{name}", results.profile(curve, [limit.cl], limit.experiments[0])


# ------------------------------------------------------------------------------------- yaml


def _write(publication: Publication, folder: Path) -> None:
    """Write submission.yaml and the tables with hepdata-lib, but not its tar in this folder."""
    import hepdata_lib
    import yaml

    from nuhf.report.hepdata_tables import tables

    head = hepdata_lib.Submission()
    head.additional_resources.clear()
    head.comment = html.escape(_abstract(publication), quote=False)
    described = {
        ".tar.gz": ("Likelihood in HistFactory JSON: background-only workspace, patch set, "
                    "workspace of the coupling, README", "HistFactory"),
        ".hs3.json": ("Likelihood in the HEP Statistics Serialization Standard", "HS3"),
        "README.md": ("How to use the likelihoods", None),
    }  # fmt: skip
    for path in sorted(folder.iterdir()):
        for ending, (words, kind) in described.items():
            if path.name.endswith(ending):
                head.add_additional_resource(words, path.name, file_type=kind)
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
    for table, figure in tables(publication):
        if figure:
            table.add_additional_resource("Image file", f"{figure}.png")
            table.add_additional_resource("Thumbnail image file", f"thumb_{figure}.png")
        _licensed(publication, table, bool(figure.startswith("spectrum")))
        table.write_yaml(str(folder))


def _licensed(publication: Publication, table: Any, counts: bool) -> None:
    """Say whose the numbers are: counts are the collaboration's, the rest is in the public domain.

    HEPData's own terms are CC0; what a collaboration released elsewhere keeps its licence.
    """
    first = _released(publication)
    if counts and first and first.doi:
        table.add_data_license(
            "Licence of the data release", f"https://doi.org/{first.doi}",
            f"The observed counts were released by their authors ({first.text}), whose licence "
            "holds for them; expectations are CC0.",
        )  # fmt: skip


def _released(publication: Publication) -> Entry | None:
    """Return where the counts were released, if they are somebody's who is cited."""
    loaded = publication.problem.experiments[0].loaded
    return None if loaded.asimov else next(iter(loaded.references), None)


def _validate(folder: Path) -> None:
    from hepdata_validator.full_submission_validator import FullSubmissionValidator

    validator = FullSubmissionValidator()
    if not validator.validate(directory=str(folder)):
        found = [m.message for many in validator.get_messages().values() for m in many]
        raise ModelError(f"the HEPData submission is not valid: {'; '.join(found)}")


# ------------------------------------------------------------------------------------- words


def _title(publication: Publication) -> str:
    experiment = publication.problem.experiments[0].loaded.experiment
    names = ", ".join(entry.problem.parameter.name for entry in publication.entries)
    return f"{experiment.title}: likelihoods of {names}"


def _abstract(publication: Publication) -> str:
    """Return what applies to all tables; of the notes those that change what a number means."""
    loaded = publication.problem.experiments[0].loaded
    words = [f"{e.problem.parameter.meaning} ({e.problem.parameter.name})"
             for e in publication.entries]  # fmt: skip
    sources = "; ".join(entry.text for entry in loaded.references)
    sources = f", from data and inputs of: {sources}" if sources else ""
    caveats = [str(note) for note in publication.notes if isinstance(note, Caveat)]
    return " ".join(
        [
            f"{loaded.experiment.title}. Likelihoods, intervals and profiles of the "
            f"{', '.join(words)}, analysis '{publication.problem.analysis}'{sources}.",
            *(f"Note: {note}." for note in caveats),
            "All notes are in README.md.",
        ]
    )


def _readme(publication: Publication) -> str:
    return render(
        "texts/deposit.md.j2",
        title=_title(publication), abstract=_abstract(publication), notes=publication.notes,
        archives=publication.archives(), released=_released(publication),
        references=publication.problem.experiments[0].loaded.references,
        versions=publication.entries[0].limit.provenance["versions"],
    )  # fmt: skip
