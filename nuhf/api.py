"""The public functions: the same names, arguments and results as the command line."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nuhf import parameters
from nuhf.engine.signal import check_together, fit_values, flavour_polynomial
from nuhf.engine.store import TemplateSet
from nuhf.errors import InputError
from nuhf.experiments import spallation
from nuhf.experiments.catalogue import Loaded, load

__all__ = [
    "contour",
    "coverage",
    "experiment",
    "fit",
    "limit",
    "patchset",
    "problems",
    "publication",
    "ranking",
    "rate",
    "reproduce",
    "scan",
    "templates",
    "workspace",
]

FloatArray = NDArray[np.float64]
Names = str | Sequence[str]


def _several(names: Names) -> list[str]:
    found = [names] if isinstance(names, str) else list(names)
    if not found:
        raise InputError("name at least one experiment")
    return found


def experiment(name: str, analysis: str = "default") -> Loaded:
    """Load an experiment by name or by the path of its TOML file.

    Raises
    ------
    nuhf.errors.InputError
        If it does not exist or its file is broken.
    """
    return load(name, analysis)


def templates(name: str, analysis: str = "default") -> TemplateSet:
    """Build the signal templates of an experiment, nominal and varied, in events per bin."""
    return spallation.templates(load(name, analysis))


def rate(
    name: str,
    values: Mapping[str, float] | None = None,
    *,
    analysis: str = "default",
    anapole: str = "standard",
) -> dict[str, FloatArray]:
    """Return expected events per bin of every flavour's signal and every background.

    Parameters
    ----------
    name : str
        Experiment.
    values : mapping, optional
        Parameters in base units (e, mu_B, cm2, 1); all others are at the SM.
    analysis : str
        Analysis of the experiment.
    anapole : str
        ``standard`` or ``khan``.

    Returns
    -------
    dict
        Arrays (n_bins,) by ``cevns_<flavour>`` and background name.
    """
    loaded = load(name, analysis)
    made = spallation.templates(loaded)
    given = dict(values or {})
    parameters.check_values(given)
    strength = given.pop("norm_cevns", 1.0)
    moving = [parameters.get(p) for p in given]
    check_together(moving)
    for parameter in moving:
        if not set(parameter.flavours) & set(made.flavours.values()):
            raise InputError(f"{parameter.name} has no effect on {name}")
    theta = fit_values(given)
    found = dict(spallation.backgrounds(loaded))
    for flavour in sorted(set(made.flavours.values())):
        full = flavour_polynomial(made, moving, flavour, anapole=anapole)
        known = {n: v for n, v in theta.items() if n in full.names}
        found[f"{made.process}_{flavour}"] = strength * full.evaluate(known)
    return found


def problems(
    names: Names,
    parameter: Names | None = None,
    *,
    analysis: str = "default",
    anapole: str = "standard",
    values: Mapping[str, float] | None = None,
    profile: Sequence[str] = (),
    fix: Sequence[str] = (),
    engine: str = "compiled",
    asimov: bool = False,
    search: tuple[float, float] | None = None,
) -> list[Any]:
    """Pose one problem per parameter; without one, for all parameters of the experiments.

    The arguments are those of `limit`; the result is a list of
    `nuhf.inference.problem.Problem`.
    """
    from nuhf.inference.problem import Options, pose

    experiments = [load(name, analysis) for name in _several(names)]
    if parameter is None:
        every = dict.fromkeys(p for e in experiments for p in e.analysis.parameters)
        wanted = [p for p in every if p not in (values or {})]
        if not wanted:
            raise InputError(f"every parameter is set to a value: {', '.join(every)}")
    else:
        wanted = _several(parameter)
    for name in wanted:
        parameters.get(name)
    made = {e.experiment.name: spallation.templates(e) for e in experiments}
    options = Options(
        anapole, dict(values or {}), tuple(profile), tuple(fix), engine, asimov, search
    )
    return [pose(experiments, name, options, made) for name in wanted]


def limit(
    names: Names,
    parameter: Names | None = None,
    *,
    cl: float = 0.9,
    method: str = "delta-chi2",
    **options: Any,
) -> list[Any]:
    """Return confidence intervals, one result per parameter.

    Parameters
    ----------
    names : str or sequence of str
        Experiment, or several to combine; names or paths of TOML files.
    parameter : str or sequence of str, optional
        Parameters of interest, each with its own interval; all of the experiment by default.
    cl : float
        Confidence level.
    method : str
        ``delta-chi2``, ``cls`` (asymptotic, or with toys) or ``feldman-cousins``.
    **options
        ``analysis``, ``anapole``, ``values`` (parameters set to values), ``profile`` (couplings
        left free), ``fix`` (nuisances held), ``engine`` (``compiled`` or ``pyhf``), ``asimov``,
        ``search`` (range in base units); for toys ``toys`` (number per tested value), ``seed``,
        ``points`` (tested values), ``jobs`` (processes, default all cores) or ``scheduler``
        (dask address), ``checkpoint`` (file of finished blocks), ``progress`` (a terminal).

    Returns
    -------
    list of nuhf.inference.results.LimitResult
        Values in base units: e, mu_B, cm2, 1.

    Raises
    ------
    nuhf.errors.InputError
        If anything given is not allowed; the message says what is.
    nuhf.errors.FitError
        If an interval cannot be determined.
    """
    from nuhf.inference import questions
    from nuhf.inference.toys import split_options

    _check(cl, method)
    default = questions.DEFAULT_TOYS if method == "feldman-cousins" else None
    toys, options = split_options(options, default)
    posed = problems(names, parameter, **options)
    if toys is not None and toys.checkpoint is not None and len(posed) > 1:
        raise InputError("--checkpoint is for one parameter: name it with -p")
    return [questions.limit(p, cl, method, toys) for p in posed]


def coverage(
    names: Names,
    parameter: str,
    *,
    true: float,
    cl: float = 0.9,
    method: str = "delta-chi2",
    inner: int = 1000,
    nuisances: Mapping[str, float] | None = None,
    **options: Any,
) -> Any:
    """Measure how often an interval contains ``true`` (`nuhf.inference.results.CoverageResult`).

    ``toys`` data sets (1000 by default) have the true value (base unit), the true ``nuisances``
    and all others as fitted to the data there; ``inner`` toys at most give the critical value of
    each for ``feldman-cousins``. Other options as in `limit`.
    """
    from nuhf.inference.coverage import coverage as measure
    from nuhf.inference.toys import split_options

    toys, options = split_options(options, 1000)
    (problem,) = problems(names, parameter, **options)
    return measure(problem, true, cl, method, toys, inner, nuisances)


def _check(cl: float, method: str) -> None:
    """Refuse a bad confidence level or method before anything is built."""
    from nuhf.inference.intervals import threshold
    from nuhf.inference.questions import METHODS

    threshold(cl)
    if method not in METHODS:
        raise InputError(f"unknown method '{method}'; {parameters.suggest(method, METHODS)}")


def scan(
    names: Names, parameter: str, *, points: int = 121, cl: float = 0.9, **options: Any
) -> Any:
    """Return the profile likelihood of a parameter (`nuhf.inference.results.ScanResult`).

    ``points`` values over ``search`` (base units) or, without it, over the interval at ``cl``
    and half its width on both sides. Other options as in `limit`.
    """
    from nuhf.inference import questions

    _check(cl, "delta-chi2")
    (problem,) = problems(names, parameter, **options)
    found = None if options.get("search") else questions.limit(problem, cl, "delta-chi2")
    return questions.scan(problem, points, found)


def contour(
    names: Names,
    parameter: Sequence[str],
    *,
    cl: Sequence[float] = (0.68, 0.9, 0.99),
    points: int = 50,
    method: str = "delta-chi2",
    **options: Any,
) -> Any:
    """Return the regions of two parameters (`nuhf.inference.contours.ContourResult`).

    ``cl`` are confidence levels for two degrees of freedom; ``points`` is the grid along each
    axis that the boundaries start from. ``method`` is ``delta-chi2`` or ``feldman-cousins``, with
    500 toys at each grid point by default. Other options as in `limit`.
    """
    from nuhf.inference.feldman_cousins_2d import region
    from nuhf.inference.intervals import threshold
    from nuhf.inference.toys import split_options

    pair = _several(parameter)
    if len(pair) != 2 or pair[0] == pair[1]:
        raise InputError(f"a contour takes two different parameters, given: {', '.join(pair)}")
    levels = [cl] if isinstance(cl, float) else list(cl)
    for level in levels:
        threshold(level)
    if options.get("search"):
        raise InputError("--range is for one parameter; a contour finds its own range")
    options["profile"] = (pair[1], *options.get("profile", ()))
    toys, options = split_options(options, 500 if method == "feldman-cousins" else None)
    (problem,) = problems(names, pair[0], **options)
    return region(problem, levels, points, method, toys)


def fit(names: Names, parameter: str = "norm_cevns", **options: Any) -> Any:
    """Fit a parameter and all nuisances (`nuhf.inference.results.FitResult`).

    The default is the strength of the SM process; its ``counts["cevns"]`` are the events
    expected, fitted, and the error, and its ``significance`` that of a discovery. With ``toys``
    the goodness of fit comes with a p-value from toys. Options as in `limit`.
    """
    from nuhf.inference import questions
    from nuhf.inference.toys import split_options

    toys, options = split_options(options, None)
    (problem,) = problems(names, parameter, **options)
    return questions.fit(problem, toys)


def ranking(names: Names, parameter: str = "norm_cevns", **options: Any) -> Any:
    """Rank the nuisances by their impact on a parameter, with cabinetry's fits.

    Returns `nuhf.inference.ranking.RankingResult`: impacts before and after the fit, pulls,
    correlations. Options as in `limit`, but for ``search``.
    """
    from nuhf.inference import ranking as impacts

    (problem,) = problems(names, parameter, **options)
    return impacts.ranking(problem)


def reproduce(paper: str = "all") -> list[Any]:
    """Compare the intervals of a paper (or all) with ours.

    Returns
    -------
    list of nuhf.report.published.Comparison
        Pieces, distance of the ends in units of the published width, verdict, reason.

    Raises
    ------
    nuhf.errors.InputError
        If the paper is unknown.
    """
    from nuhf.report.published import PublishedRow, compare, read_rows

    def ours(row: PublishedRow) -> Any:
        (found,) = limit(
            row.experiment, row.parameter, cl=row.cl, analysis=row.analysis, anapole=row.convention
        )
        return found

    return [compare(row, ours) for row in read_rows(paper)]


def workspace(
    names: Names,
    parameter: Names,
    *,
    encoding: str = "native",
    analysis: str = "default",
    anapole: str = "standard",
    values: Mapping[str, float] | None = None,
) -> dict[str, Any]:
    """Return a pyhf workspace as plain data.

    Parameters
    ----------
    names : str or sequence of str
        Experiments.
    parameter : str or sequence of str
        Free parameters; the first is the POI.
    encoding : str
        ``native`` (exact, needs nuhf's ``powerfactor``) or ``stock`` (plain pyhf).

    Raises
    ------
    nuhf.errors.InputError
        If the encoding is unknown or cannot express the parameters.
    """
    from nuhf.model import assemble, encode

    if encoding not in encode.ENCODINGS:
        raise InputError(
            f"unknown encoding '{encoding}'; {parameters.suggest(encoding, encode.ENCODINGS)}"
        )
    experiments = [load(name, analysis) for name in _several(names)]
    description = assemble.describe(experiments, _several(parameter), values, anapole)
    return encode.native(description) if encoding == "native" else encode.stock(description)


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
) -> Any:
    """Return a patch set over a grid of parameters (`nuhf.model.patchset.PatchGrid`).

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
    analysis, anapole, values
        As in `limit`.

    Raises
    ------
    nuhf.errors.InputError
        If anything given is not allowed.
    nuhf.errors.FitError
        If a range is needed and the interval is not closed.
    """
    from nuhf.inference.axes import axis
    from nuhf.model import patchset as grids

    wanted = _several(parameter)
    record = grids.check_hepdata(hepdata or grids.HEPDATA_PLACEHOLDER)
    if len(set(wanted)) != len(wanted):
        raise InputError(f"a parameter is given twice: {', '.join(wanted)}")
    if search and len(search) != len(wanted):
        raise InputError(f"{len(wanted)} parameters need as many ranges, given: {len(search)}")
    if len(points) not in (1, len(wanted)):
        raise InputError(f"give one number of points, or one for each of: {', '.join(wanted)}")
    counts = [points[min(i, len(points) - 1)] for i in range(len(wanted))]
    common: dict[str, Any] = {"analysis": analysis, "anapole": anapole, "values": values}
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
) -> Any:
    """Return what is published of an experiment (`nuhf.report.publish.Publication`).

    Per parameter (all of the experiment by default) the interval at ``cl`` and a patch set of
    ``points`` points with the profile on it. Other options as in `patchset`.
    """
    from nuhf.report import publish

    _check(cl, "delta-chi2")
    common: dict[str, Any] = {"analysis": analysis, "anapole": anapole, "values": values}
    posed = problems(name, parameter, **common)
    grids = [
        patchset(name, p.parameter.name, points=(points,), hepdata=hepdata, **common) for p in posed
    ]
    made = spallation.templates(load(name, analysis))
    return publish.publication(posed, grids, made.axes, cl)
