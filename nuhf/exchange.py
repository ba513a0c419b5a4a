"""The public functions on pyhf files: write, publish, combine and validate them."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

from nuhf import resources
from nuhf.api.arguments import (
    Anapole,
    Bracket,
    ExperimentLike,
    ExperimentsLike,
    Names,
    ends,
    in_words,
    numbers,
    options,
)
from nuhf.api.arguments import names as one_or_more
from nuhf.api.given import experiments_of, prepared_of
from nuhf.couplings import parameters
from nuhf.errors import InputError
from nuhf.experiments.prepare import expanded
from nuhf.filekind import ARCHIVE_ENDINGS

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from nuhf.report.publish import Publication
    from nuhf.stats.problem import Problem
    from nuhf.stats.result_base import JsonValue
    from nuhf.workspaces.patchset import PatchGrid
    from nuhf.workspaces.validate import Report

_CHECKED: Final = (".json", *ARCHIVE_ENDINGS, ".json.gz")


@in_words
def combine(
    files: Sequence[str | Path | Mapping[str, object]],
    *,
    measurement: str | None = None,
    poi: str | None = None,
    decorrelate: Sequence[str] = (),
    correlate: Sequence[tuple[str, str, float]] = (),
    patches: Sequence[str | Path] = (),
    points: Sequence[tuple[str | Path, str]] = (),
) -> "dict[str, JsonValue]":
    """Combine pyhf workspaces, ours or not, into one with a single, complete measurement.

    Parameters
    ----------
    files : sequence of path or mapping
        Two or more workspaces: JSON files, or their parsed content; one if it is patched.
    measurement : str, optional
        Which measurement to take of a workspace that has several, and the result's name.
    poi : str, optional
        Parameter of interest; needed if the workspaces have different ones.
    decorrelate : sequence of str
        Parameters of equal name that are kept apart; ``lumi`` too.
    correlate : sequence of (str, str, float)
        Pairs of constrained parameters with their correlation.
    patches : sequence of path
        JSON patches for the workspace that is background only.
    points : sequence of (path, str)
        Patch sets, each with the name of a point.

    Raises
    ------
    nuhf.errors.InputError
        If equal names do not mean the same, or something else clashes; says what to do.
    nuhf.errors.ModelError
        If a workspace is not valid.
    """
    from nuhf.workspaces.combine import Choices, combine_files

    if isinstance(files, str | Path | Mapping):
        raise InputError("files: give two or more workspaces, [FIRST, SECOND]")
    choices = Choices(measurement, poi, tuple(decorrelate), tuple(correlate))
    return combine_files(files, choices, patches, points).spec


@in_words
def validate(
    files: str | Path | Sequence[str | Path], workspace: str | Path | None = None
) -> "list[Report]":
    """Check workspaces, patch sets and archives.

    Parameters
    ----------
    files : path or sequence of paths
        JSON files, archives, ``-`` (standard input), or folders: all such files in them.
    workspace : path, optional
        Background-only workspace that the patch sets must belong to.

    Returns
    -------
    list of nuhf.workspaces.validate.Report
        One per file; for an archive, one for each workspace and patch set in it.

    Raises
    ------
    nuhf.errors.InputError
        If a file cannot be read, or a folder has none; what is wrong in a file is in its report.
    """
    from nuhf.workspaces.validate import validate_file

    # once: it may come through a pipe
    given = None if workspace is None else resources.read_json(Path(workspace))
    listed = [files] if isinstance(files, str | Path) else files
    found = []
    for file in listed:
        for path, beside in _inside(Path(file)):
            near = given is None and beside is not None and beside != path
            background = resources.read_json(beside) if near and beside else given
            found += validate_file(path, background)
    return found


def _inside(path: Path) -> list[tuple[Path, Path | None]]:
    """Return a file, or those of a folder that can be checked, each with the BkgOnly beside it."""
    if not path.is_dir():
        return [(path, None)]
    # what `patchset` and `publish` write beside pyhf's files: settings, metadata, HS3
    other = ("fix_strength.json", ".zenodo.json", ".hs3.json")
    files = [p for p in path.rglob("*") if p.is_file() and not p.name.endswith(other)]
    found = sorted(p for p in files if p.name.lower().endswith(_CHECKED))
    if not found:
        raise InputError(f"{path}: a folder without {', '.join(_CHECKED)}: name a file")
    beside = {p.parent: p for p in found if p.name == "BkgOnly.json"}
    return [(p, beside.get(p.parent)) for p in found]


@in_words
def workspace(
    experiments: ExperimentsLike,
    poi: Names,
    *,
    encoding: str = "stock",
    bracket: Bracket | None = None,
    analysis: str = "default",
    anapole: Anapole = "standard",
    fixed: Mapping[str, float] | None = None,
    settings: Mapping[str, float] | None = None,
) -> "dict[str, JsonValue]":
    """Return a pyhf workspace as plain data.

    Parameters
    ----------
    experiments : str or sequence of str
        Experiments.
    poi : str or sequence of str
        Free parameters; the first is the POI.
    encoding : str
        ``stock`` (plain pyhf), ``stock-positive`` (the same without a negative bin in any
        sample, for readers that clip them) ``native`` (exact, needs nuhf's ``powerfactor``), or
        ``hs3`` (exact; HS3 JSON instead of a pyhf workspace, with powers as generic functions).
    bracket : (float, float), optional
        Range of the POI in base units, the domain of the file, inside that of the model.

    Raises
    ------
    nuhf.errors.InputError
        If the encoding is unknown or cannot express the parameters, or the range is not allowed.
    """
    from nuhf.histfactory import assemble
    from nuhf.workspaces import encode

    encode.check_encoding(encoding)
    wanted = one_or_more(poi, "poi")
    if not wanted:
        raise InputError("name at least one parameter")
    for name in wanted:
        parameters.get(name)
    given, chosen = numbers(fixed, "fixed"), numbers(settings, "settings")
    measured = expanded(prepared_of(experiments, analysis), [*wanted, *given], chosen)
    description = assemble.describe(measured, wanted, given, anapole)
    within = ends(bracket, "bracket")
    if within is not None:
        description = encode.narrowed(description, *within)
    return encode.encode(description, encoding, keep_range=within is not None)


@in_words
def patchset(
    experiments: ExperimentsLike,
    poi: Names,
    *,
    brackets: Sequence[Bracket] = (),
    points: Sequence[int] = (41,),
    hepdata: str | None = None,
    analysis: str = "default",
    anapole: Anapole = "standard",
    fixed: Mapping[str, float] | None = None,
    settings: Mapping[str, float] | None = None,
) -> "PatchGrid":
    """Return a patch set over a grid of parameters (`nuhf.workspaces.patchset.PatchGrid`).

    Parameters
    ----------
    experiments, poi : str or sequence of str
        Experiments; axes of the grid.
    brackets : sequence of (float, float)
        Range of every parameter in base units; without it, the 90 % CL interval and half its
        width on both sides.
    points : sequence of int
        Points along every axis, or one number for all.
    hepdata : str, optional
        INSPIRE record, ``ins`` and 7 digits; a placeholder by default.
    analysis, anapole, fixed, settings
        As in `limit`.

    Raises
    ------
    nuhf.errors.InputError
        If anything given is not allowed.
    nuhf.errors.FitError
        If a range is needed and the interval is not closed.
    """
    from nuhf.api.build import models
    from nuhf.axes import axis
    from nuhf.workspaces import patchset as grids

    wanted = one_or_more(poi, "poi")
    record = grids.check_hepdata(hepdata or grids.HEPDATA_PLACEHOLDER)
    if not wanted:
        raise InputError("name at least one parameter")
    if len(set(wanted)) != len(wanted):
        raise InputError(f"a parameter is given twice: {', '.join(wanted)}")
    if brackets and len(brackets) != len(wanted):
        raise InputError(f"{len(wanted)} parameters need as many ranges, given: {len(brackets)}")
    if len(points) not in (1, len(wanted)):
        raise InputError(f"give one number of points, or one for each of: {', '.join(wanted)}")
    counts = [points[min(i, len(points) - 1)] for i in range(len(wanted))]
    loaded = experiments_of(experiments, analysis)
    posed = []
    for name in wanted:
        others = [n for n in wanted if n != name]
        chosen = options(anapole=anapole, fixed=fixed, profiled=others, settings=settings)
        posed.append(models(loaded, (name,), chosen)[0].problem)
    ranges: Sequence[tuple[float, float] | None] = brackets or [None] * len(wanted)
    axes = [axis(p, n, r) for p, n, r in zip(posed, counts, ranges, strict=True)]
    return _grid(posed[0], axes, record)


def _grid(problem: "Problem", axes: "Sequence[NDArray[np.float64]]", record: str) -> "PatchGrid":
    """Return the patch set of a problem over axes in base units, one per free parameter."""
    from nuhf.workspaces.patchset import patch_grid

    return patch_grid(
        problem.description,
        axes,
        hepdata=record,
        notes=problem.notes,
        extra={"provenance": problem.provenance()},
    )


@in_words
def publication(
    name: ExperimentLike,
    poi: Names | None = None,
    *,
    cl: float = 0.9,
    points: int = 41,
    hepdata: str | None = None,
    analysis: str = "default",
    anapole: Anapole = "standard",
    fixed: Mapping[str, float] | None = None,
    settings: Mapping[str, float] | None = None,
) -> "Publication":
    """Return what is published of an experiment (`nuhf.report.publish.Publication`).

    Per parameter (all of the experiment by default) the interval at ``cl`` and a patch set of
    ``points`` points with the profile on it. Other options as in `patchset`.
    """
    from nuhf.api.build import models
    from nuhf.api.toys import check
    from nuhf.axes import axis
    from nuhf.report import publish
    from nuhf.workspaces import patchset as grids

    check(cl, "delta-chi2")
    record = grids.check_hepdata(hepdata or grids.HEPDATA_PLACEHOLDER)
    chosen = options(anapole=anapole, fixed=fixed, settings=settings)
    wanted = one_or_more(poi, "poi")
    posed = [one.problem for one in models(experiments_of(name, analysis), wanted, chosen)]
    made = [_grid(p, [axis(p, points)], record) for p in posed]
    return publish.publication(posed, made, cl)
