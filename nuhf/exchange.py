"""The public functions on pyhf files: write, publish, combine and validate them."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from nuhf import resources
from nuhf.api import check, loaded, problems
from nuhf.couplings import parameters
from nuhf.errors import InputError
from nuhf.experiments.expand import expanded
from nuhf.experiments.prepare import prepare
from nuhf.named import Names, several

if TYPE_CHECKING:
    from nuhf.workspaces.validate import Report

__all__ = ["combine", "patchset", "publication", "validate", "workspace"]

_CHECKED: Final = (".json", ".tar.gz", ".tgz", ".tar", ".tar.bz2", ".zip", ".json.gz")


def combine(
    files: Sequence[str | Path | Mapping[str, Any]],
    *,
    measurement: str | None = None,
    poi: str | None = None,
    decorrelate: Sequence[str] = (),
    correlate: Sequence[tuple[str, str, float]] = (),
    patches: Sequence[str | Path] = (),
    points: Sequence[tuple[str | Path, str]] = (),
) -> dict[str, Any]:
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

    choices = Choices(measurement, poi, tuple(decorrelate), tuple(correlate))
    return combine_files(files, choices, patches, points).spec


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
    several = [files] if isinstance(files, str | Path) else files
    found = []
    for file in several:
        for path, beside in _inside(Path(file)):
            near = given is None and beside is not None and beside != path
            background = resources.read_json(beside) if near and beside else given
            found += validate_file(path, background)
    return found


def _inside(path: Path) -> list[tuple[Path, Path | None]]:
    """Return a file, or those of a folder that can be checked, each with the BkgOnly beside it."""
    if not path.is_dir():
        return [(path, None)]
    # patch sets come with settings for 'pyhf fit --optconf', which are no model
    files = [p for p in path.rglob("*") if p.is_file() and p.name != "fix_strength.json"]
    found = sorted(p for p in files if p.name.lower().endswith(_CHECKED))
    if not found:
        raise InputError(f"{path}: a folder without {', '.join(_CHECKED)}: name a file")
    beside = {p.parent: p for p in found if p.name == "BkgOnly.json"}
    return [(p, beside.get(p.parent)) for p in found]


def workspace(
    names: Names,
    parameter: Names,
    *,
    encoding: str = "stock",
    search: tuple[float, float] | None = None,
    analysis: str = "default",
    anapole: str = "standard",
    values: Mapping[str, float] | None = None,
    settings: Mapping[str, float] | None = None,
) -> dict[str, Any]:
    """Return a pyhf workspace as plain data.

    Parameters
    ----------
    names : str or sequence of str
        Experiments.
    parameter : str or sequence of str
        Free parameters; the first is the POI.
    encoding : str
        ``stock`` (plain pyhf), ``stock-positive`` (the same without a negative bin in any
        sample, for readers that clip them) ``native`` (exact, needs nuhf's ``powerfactor``), or
        ``hs3`` (exact; HS3 JSON instead of a pyhf workspace, with powers as generic functions).
    search : (float, float), optional
        Range of the POI in base units, the domain of the file, inside that of the model.

    Raises
    ------
    nuhf.errors.InputError
        If the encoding is unknown or cannot express the parameters, or the range is not allowed.
    """
    from nuhf.histfactory import assemble
    from nuhf.workspaces import encode

    encode.check_encoding(encoding)
    free = several(parameter)
    for name in free:
        parameters.get(name)
    prepared = [prepare(one) for one in loaded(names, analysis)]
    experiments = expanded(prepared, [*free, *(values or {})], settings or {})
    description = assemble.describe(experiments, free, values, anapole)
    if search is not None:
        description = encode.narrowed(description, *search)
    return encode.encode(description, encoding)


def patchset(
    names: Names,
    parameter: Names,
    *,
    search: Sequence[tuple[float, float]] = (),
    points: Sequence[int] = (41,),
    hepdata: str | None = None,
    analysis: str = "default",
    anapole: str = "standard",
    values: Mapping[str, float] | None = None,
    settings: Mapping[str, float] | None = None,
) -> Any:
    """Return a patch set over a grid of parameters (`nuhf.workspaces.patchset.PatchGrid`).

    Parameters
    ----------
    names, parameter : str or sequence of str
        Experiments; axes of the grid.
    search : sequence of (float, float)
        Range of every parameter in base units; without it, the 90 % CL interval and half its
        width on both sides.
    points : sequence of int
        Points along every axis, or one number for all.
    hepdata : str, optional
        INSPIRE record, ``ins`` and 7 digits; a placeholder by default.
    analysis, anapole, values, settings
        As in `limit`.

    Raises
    ------
    nuhf.errors.InputError
        If anything given is not allowed.
    nuhf.errors.FitError
        If a range is needed and the interval is not closed.
    """
    from nuhf.axes import axis
    from nuhf.workspaces import patchset as grids

    wanted = several(parameter)
    record = grids.check_hepdata(hepdata or grids.HEPDATA_PLACEHOLDER)
    if len(set(wanted)) != len(wanted):
        raise InputError(f"a parameter is given twice: {', '.join(wanted)}")
    if search and len(search) != len(wanted):
        raise InputError(f"{len(wanted)} parameters need as many ranges, given: {len(search)}")
    if len(points) not in (1, len(wanted)):
        raise InputError(f"give one number of points, or one for each of: {', '.join(wanted)}")
    counts = [points[min(i, len(points) - 1)] for i in range(len(wanted))]
    common: dict[str, Any] = {"analysis": analysis, "anapole": anapole, "values": values,
                              "settings": settings}  # fmt: skip
    posed = [
        problems(names, name, profile=[n for n in wanted if n != name], **common)[0]
        for name in wanted
    ]
    ranges: Sequence[tuple[float, float] | None] = search or [None] * len(wanted)
    axes = [axis(p, n, r) for p, n, r in zip(posed, counts, ranges, strict=True)]
    return grids.patch_grid(
        posed[0].description,
        axes,
        hepdata=record,
        notes=posed[0].notes,
        extra={"provenance": posed[0].provenance()},
    )


def publication(
    name: str,
    parameter: Names | None = None,
    *,
    cl: float = 0.9,
    points: int = 41,
    hepdata: str | None = None,
    analysis: str = "default",
    anapole: str = "standard",
    values: Mapping[str, float] | None = None,
    settings: Mapping[str, float] | None = None,
) -> Any:
    """Return what is published of an experiment (`nuhf.report.publish.Publication`).

    Per parameter (all of the experiment by default) the interval at ``cl`` and a patch set of
    ``points`` points with the profile on it. Other options as in `patchset`.
    """
    from nuhf.report import publish

    check(cl, "delta-chi2")
    common: dict[str, Any] = {"analysis": analysis, "anapole": anapole, "values": values,
                              "settings": settings}  # fmt: skip
    posed = problems(name, parameter, **common)
    grids = [
        patchset(name, p.parameter.name, points=(points,), hepdata=hepdata, **common) for p in posed
    ]
    return publish.publication(posed, grids, cl)
