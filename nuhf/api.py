"""The public functions: the same names, arguments and results as the command line."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nuhf.couplings import parameters
from nuhf.errors import InputError
from nuhf.experiments.catalogue import Loaded, load
from nuhf.experiments.expand import expanded
from nuhf.experiments.prepare import prepare
from nuhf.experiments.region import Prepared
from nuhf.named import Name, Names, files_among, own_analysis, several
from nuhf.rates.signal import check_together, expected
from nuhf.rates.templates import TemplateSet

__all__ = [
    "contour",
    "coverage",
    "exclusion",
    "experiment",
    "fit",
    "limit",
    "problems",
    "ranking",
    "rate",
    "reproduce",
    "scan",
    "templates",
]

FloatArray = NDArray[np.float64]


def loaded(names: Names, analysis: str = "default") -> list[Loaded]:
    """Load one or more experiments (`InputError` if one is none, or a pyhf file)."""
    found = several(names)
    for name in found:
        if str(name).endswith(".json"):
            raise InputError(
                f"{name} is a workspace (or other JSON), not an experiment: limit, fit, scan, "
                "contour, ranking and coverage take it, and pyhf (a native file 'nuhf pyhf'); an "
                "experiment is a name or a .toml file"
            )
    return [load(*own_analysis(name, analysis)) for name in found]


def strength(names: Names) -> str | None:
    """Return the strength of the SM process that the (first) experiment measures; None of files."""
    if files_among(names) is not None:
        return None
    return experiment(several(names)[0]).experiment.strength


def experiment(name: str, analysis: str = "default") -> Loaded:
    """Load an experiment by name or by the path of its TOML file.

    Raises
    ------
    nuhf.errors.InputError
        If it does not exist or its file is broken.
    """
    return loaded(name, analysis)[0]


def templates(name: str, analysis: str = "default") -> tuple[TemplateSet, ...]:
    """Build the signal templates of an experiment, nominal and varied, in events per bin.

    One set per region and signal process.
    """
    return prepare(experiment(name, analysis)).templates


def rate(
    name: str,
    values: Mapping[str, float] | None = None,
    *,
    analysis: str = "default",
    anapole: str = "standard",
    settings: Mapping[str, float] | None = None,
) -> dict[str, dict[str, FloatArray]]:
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
    settings : mapping, optional
        Numbers of the coupling models, such as ``mediator_mass_mev``.

    Returns
    -------
    dict
        Arrays (n_bins,) by ``<process>_<flavour>`` and background name, for every region.
    """
    return rate_of(prepare(experiment(name, analysis)), values, anapole, settings)


def rate_of(
    one: Prepared,
    values: Mapping[str, float] | None = None,
    anapole: str = "standard",
    settings: Mapping[str, float] | None = None,
) -> dict[str, dict[str, FloatArray]]:
    """Return what `rate` does, of an experiment that is prepared."""
    from nuhf.histfactory import assemble

    given = dict(values or {})
    parameters.check_values(given)
    chosen = [parameters.get(p) for p in given]
    check_together(chosen)
    (one,) = expanded([one], list(given), settings or {})
    assemble.check_effect([one], chosen)
    fixed, _ = assemble.reference_values(one, chosen, anapole)
    rest = {p.name: value for p, value in fixed.items()}
    held = dict(zip(chosen, given.values(), strict=True))
    found: dict[str, dict[str, FloatArray]] = {}
    for region in one.regions:
        rows = {
            f"{signal.process}_{flavour}": row
            for signal in region.signals
            for flavour, row in expected(signal, {**rest, **given}, anapole).items()
        }
        assemble.refuse_absurd(region, rows.values(), held)
        found[region.name] = {**region.backgrounds, **rows}
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
    settings: Mapping[str, float] | None = None,
    patch: Sequence[str] = (),
    measurement: str | None = None,
    inject: Mapping[str, float] | None = None,
) -> list[Any]:
    """Pose one problem per parameter; without one, for all parameters of the experiments.

    Of files it is the parameter of interest of the measurement. The arguments are those of
    `limit`; the result is a list of `nuhf.stats.problem.Problem`.
    """
    from nuhf.stats.problem import Options, pose

    options = Options(
        anapole,
        dict(values or {}),
        _texts("profile", profile),
        _texts("fix", fix),
        engine,
        asimov,
        search,
        dict(settings or {}),
        dict(inject or {}),
    )
    files = files_among(names)
    if files is not None:
        if analysis != "default":
            raise InputError(f"analysis {analysis}: analyses are of experiments, not of files")
        return _file_problems(files, parameter, options, patch, measurement)
    if patch or measurement:
        raise InputError("a patch and a measurement are of workspace files, not of experiments")
    measured = loaded(names, analysis)
    if parameter is None:
        every = dict.fromkeys(p for one in measured for p in one.analysis.parameters)
        wanted = [p for p in every if p not in (values or {})]
        if not wanted:
            raise InputError(f"every parameter is set to a value: {', '.join(every)}")
    else:
        wanted = several(parameter)
    for name in wanted:
        parameters.get(name)
    _check_wanted(wanted, search)
    experiments = [prepare(one) for one in measured]
    return [pose(experiments, name, options) for name in wanted]


def _check_wanted(wanted: Sequence[str], search: tuple[float, float] | None) -> None:
    twice = [name for name in wanted if wanted.count(name) > 1]
    if twice:
        raise InputError(f"-p: {twice[0]} is given twice")
    if search is not None and len(wanted) > 1:
        raise InputError(
            f"--range is for one parameter, and here are {len(wanted)}: {', '.join(wanted)}; "
            "name one with -p"
        )


def _file_problems(
    files: Sequence[Name],
    parameter: Names | None,
    options: Any,
    patch: Sequence[str],
    measurement: str | None,
) -> list[Any]:
    from nuhf.stats.files import pose_files, read_files

    wanted = [None] if parameter is None else several(parameter)
    _check_wanted([name for name in wanted if name], options.search)
    source = read_files(files, patch, measurement)
    return [pose_files(source, name, options) for name in wanted]


def _texts(what: str, names: object) -> tuple[str, ...]:
    """Return one or more names as a tuple; refuse (`InputError`) what is no list of names."""
    if isinstance(names, str):
        return (names,)
    if isinstance(names, Mapping):
        if what != "fix":
            raise InputError(f"{what} takes names, given: values of {', '.join(map(str, names))}")
        return tuple(f"{name}={value!r}" for name, value in names.items())
    found = tuple(names) if isinstance(names, Iterable) else (names,)
    for name in found:
        if not isinstance(name, str):
            raise InputError(f"{what} takes names, given: {name!r}")
    return found


def _problem(names: Names, parameter: Names | None, **options: Any) -> Any:
    """Pose the problem of a function that takes one parameter (`InputError` for several)."""
    wanted = None if parameter is None else several(parameter)
    if wanted is not None and len(wanted) > 1:
        raise InputError(f"this takes one parameter, given: {', '.join(wanted)}")
    return problems(names, wanted, **options)[0]


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
        Experiment, or several to combine: names or paths of TOML files, ``NAME:ANALYSIS`` with
        an analysis of its own; or pyhf workspaces, as JSON files, ``-`` (standard input) or
        parsed content.
    parameter : str or sequence of str, optional
        Parameters of interest, each with its own interval; all of the experiment by default, and
        that of the measurement of a workspace.
    cl : float
        Confidence level.
    method : str
        ``delta-chi2``, ``cls`` (asymptotic, or with toys) or ``feldman-cousins``.
    **options
        ``analysis``, ``anapole``, ``values`` (parameters set to values), ``profile`` (couplings
        left free), ``fix`` (nuisances held: names with wildcards, ``NAME=VALUE``), ``engine``
        (``compiled`` or ``pyhf``), ``asimov``, ``inject`` (true values of Asimov data), ``patch``
        and ``measurement`` of workspaces, ``search`` (range in base units), ``settings`` (numbers
        of coupling models, such as ``mediator_mass_mev``); for toys ``toys`` (number per tested
        value), ``seed``, ``points`` (tested values), ``jobs`` (processes, default all cores) or
        ``scheduler`` (dask address), ``checkpoint`` (file of finished blocks), ``progress`` (a
        terminal).

    Returns
    -------
    list of nuhf.stats.results.LimitResult
        Values in base units: e, mu_B, cm2, 1.

    Raises
    ------
    nuhf.errors.InputError
        If anything given is not allowed; the message says what is.
    nuhf.errors.FitError
        If an interval cannot be determined.
    """
    return [found for _, found in posed_limits(names, parameter, cl=cl, method=method, **options)]


def posed_limits(
    names: Names,
    parameter: Names | None = None,
    *,
    cl: float = 0.9,
    method: str = "delta-chi2",
    **options: Any,
) -> list[tuple[Any, Any]]:
    """Return the `nuhf.stats.problem.Problem` of each parameter with the result of `limit`."""
    from nuhf import questions
    from nuhf.toys.sample import split_options

    check(cl, method)
    if method != "feldman-cousins" and options.get("points") is not None:
        raise InputError(f"--points is for --method feldman-cousins; {method} takes none")
    default = questions.DEFAULT_TOYS if method == "feldman-cousins" else None
    toys, options = split_options(options, default, "" if method == "cls" else method)
    posed = problems(names, parameter, **options)
    if toys is not None and toys.checkpoint is not None and len(posed) > 1:
        raise InputError("--checkpoint is for one parameter: name it with -p")
    return [(p, questions.limit(p, cl, method, toys)) for p in posed]


def coverage(
    names: Names,
    parameter: str,
    *,
    true: float,
    cl: float = 0.9,
    method: str = "delta-chi2",
    inner: int | None = None,
    nuisances: Mapping[str, float] | None = None,
    **options: Any,
) -> Any:
    """Measure how often an interval contains ``true`` (`nuhf.stats.results.CoverageResult`).

    ``toys`` data sets (1000 by default) have the true value (base unit), the true ``nuisances``
    and all others as fitted to the data there; for ``feldman-cousins`` ``inner`` toys at most
    (1000 by default) give the critical value of each. Other options as in `limit`.
    """
    from nuhf.toys.coverage import coverage as measure
    from nuhf.toys.sample import split_options

    check(cl, method)
    if method != "feldman-cousins" and inner is not None:
        raise InputError(f"--inner is for --method feldman-cousins; {method} takes none")
    toys, options = split_options(options, 1000)
    problem = _problem(names, parameter, **options)
    return measure(problem, true, cl, method, toys, 1000 if inner is None else inner, nuisances)


def check(cl: float, method: str) -> None:
    """Refuse a bad confidence level or method before anything is built (`InputError`)."""
    from nuhf.questions import METHODS
    from nuhf.stats.intervals import threshold

    threshold(cl)
    if method not in METHODS:
        raise InputError(f"unknown method '{method}'; {parameters.suggest(method, METHODS)}")


def scan(
    names: Names, parameter: str, *, points: int = 121, cl: float = 0.9, **options: Any
) -> Any:
    """Return the profile likelihood of a parameter (`nuhf.stats.results.ScanResult`).

    ``points`` values over ``search`` (base units) or, without it, over the interval at ``cl``
    and half its width on both sides. Other options as in `limit`.
    """
    from nuhf import questions

    check(cl, "delta-chi2")
    problem = _problem(names, parameter, **options)
    found = None if options.get("search") else questions.limit(problem, cl, "delta-chi2")
    return questions.scan(problem, points, found)


def exclusion(
    names: Names,
    parameter: str,
    setting: str,
    at: Sequence[float] | FloatArray,
    *,
    cl: float = 0.9,
    method: str = "delta-chi2",
    step: Callable[[str], None] = lambda text: None,
    **options: Any,
) -> Any:
    """Return intervals at values of a setting (`nuhf.exclusions.ExclusionResult`).

    ``setting`` is a number of the model of a coupling, such as ``mediator_mass_mev``, ``at`` its
    values. Other options as in `limit`.
    """
    from nuhf.exclusions import exclusion as find
    from nuhf.stats.problem import Options

    check(cl, method)
    if any([options.pop("patch", ()), options.pop("measurement", None)]):
        raise InputError("a patch and a measurement are of workspace files, not of experiments")
    prepared = [prepare(one) for one in loaded(names, options.pop("analysis", "default"))]
    return find(prepared, parameter, Options(**options), setting, at, cl, method, step)


def contour(
    names: Names,
    parameter: Sequence[str],
    *,
    cl: Sequence[float] = (0.68, 0.9, 0.99),
    points: int = 50,
    method: str = "delta-chi2",
    window: Sequence[tuple[float, float]] | None = None,
    **options: Any,
) -> Any:
    """Return the regions of two parameters (`nuhf.stats.contour.ContourResult`).

    ``cl`` are confidence levels for two degrees of freedom; ``points`` is the grid along each
    axis that the boundaries start from. ``method`` is ``delta-chi2`` or ``feldman-cousins``, with
    500 toys at each grid point by default. ``window`` is the range of each in base units, for
    regions that do not close. Other options as in `limit`.
    """
    from nuhf.stats.intervals import threshold
    from nuhf.toys.feldman_cousins_2d import region
    from nuhf.toys.sample import split_options

    pair = several(parameter)
    if len(pair) != 2 or pair[0] == pair[1]:
        raise InputError(f"a contour takes two different parameters, given: {', '.join(pair)}")
    levels = [cl] if isinstance(cl, float) else list(cl)
    for level in levels:
        threshold(level)
    if options.get("search"):
        raise InputError("--range is for one parameter; a contour finds its own range")
    options["profile"] = (pair[1], *options.get("profile", ()))
    toys, options = split_options(options, 500 if method == "feldman-cousins" else None, method)
    problem = _problem(names, pair[0], **options)
    return region(problem, levels, points, method, toys, window)


def fit(names: Names, parameter: str | None = None, **options: Any) -> Any:
    """Fit a parameter and all nuisances (`nuhf.stats.results.FitResult`).

    The default is the strength of the SM process, ``norm_cevns`` or ``norm_eves``, with the
    ``significance`` of its discovery; ``counts`` of a process are events expected, fitted, and
    the error. With ``toys`` the goodness of fit has a p-value from toys. Options as in `limit`,
    but for ``search``.
    """
    return posed_fit(names, parameter, **options)[1]


def posed_fit(names: Names, parameter: str | None = None, **options: Any) -> tuple[Any, Any]:
    """Return the `nuhf.stats.problem.Problem` with the result of `fit`."""
    from nuhf import questions
    from nuhf.toys.sample import split_options

    if options.get("search"):
        raise InputError("--range is for intervals and scans: a fit needs none")
    toys, options = split_options(options, None)
    problem = _problem(names, parameter or strength(names), **options)
    return problem, questions.fit(problem, toys)


def ranking(names: Names, parameter: str | None = None, *, cl: float = 0.9, **options: Any) -> Any:
    """Rank the nuisances by their impact on a parameter.

    Returns `nuhf.stats.ranking.RankingResult`: impacts on the best fit and on the ends of the
    interval at ``cl``, the statistical and systematic parts of the error, groups, pulls,
    correlations. With ``engine="pyhf"`` the fits are cabinetry's, without the ends and the parts.
    Options as in `limit`, but for ``search``.
    """
    from nuhf.stats import ranking as impacts

    problem = _problem(names, parameter or strength(names), **options)
    return impacts.ranking(problem, cl)


def reproduce(paper: str = "all", *, step: Callable[[str], None] | None = None) -> list[Any]:
    """Compare the published numbers of a paper (or all) with ours.

    Parameters
    ----------
    paper : str
        Name of the paper, or ``all``.
    step : callable, optional
        Is told, in words, which row comes next.

    Returns
    -------
    list of nuhf.papers.published.Comparison
        Pieces, distance of the ends in units of the published width, verdict, reason. A row whose
        fit fails has no pieces, the verdict ``no number``, and says why.

    Raises
    ------
    nuhf.errors.InputError
        If the paper is unknown, or has figures only.
    """
    from nuhf.papers import reproduced
    from nuhf.papers.published import rows_to_compare

    return reproduced.run(rows_to_compare(paper), step or (lambda text: None))
