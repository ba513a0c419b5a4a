"""Models of experiments and of files, from the names and choices of the public functions."""

from collections.abc import Mapping, Sequence

from nuhf.api.arguments import (
    Anapole,
    Bracket,
    Engine,
    ExperimentsLike,
    ModelLike,
    Names,
    NuisanceValues,
    ends,
    in_words,
    names,
    options,
)
from nuhf.api.given import experiments_of, files_of, several
from nuhf.api.model import Model
from nuhf.couplings.parameters import get
from nuhf.errors import InputError
from nuhf.stats.problem import Options, Problem, pose


def built(given: ModelLike, bracket: Bracket | None = None) -> Problem:
    """Return what fits work with: of a `Model`, or of what `model` or `open` makes one of.

    With a ``bracket`` the parameter of interest is looked for in that range only.
    """
    if not isinstance(given, Model):
        (given,) = models(given, (None,), Options())
    problem, chosen = given.problem, ends(bracket, "bracket")
    return problem if chosen is None else problem.within(chosen)


def models(
    given: ExperimentsLike,
    pois: Sequence[str | None],
    chosen: Options,
    analysis: str = "default",
    patch: Names = (),
    measurement: str | None = None,
) -> list[Model]:
    """Return a model per parameter of interest; None is that of the file, or the SM strength.

    Without any there is one for each parameter that the analyses name.
    """
    twice = [name for name in pois if pois.count(name) > 1]
    if twice:
        raise InputError(f"poi: {twice[0]} is given twice")
    files = files_of(several(given))
    if files is not None and analysis != "default":
        raise InputError(f"analysis = {analysis}: analyses are of experiments, not of files")
    if files is None and (patch or measurement):
        raise InputError("a patch and a measurement are of workspace files, not of experiments")
    found = experiments_of(given, analysis) if files is None else []
    if not pois and files is not None:
        pois = (None,)
    elif not pois:
        every = dict.fromkeys(name for one in found for name in one.parameters)
        pois = [name for name in every if name not in chosen.fixed]
        if not pois:
            raise InputError(f"every parameter is set to a value: {', '.join(every)}")
    if chosen.bracket is not None and len(pois) > 1:
        raise InputError(
            f"bracket: it is for one parameter, and here are {len(pois)}: "
            f"{', '.join(str(name) for name in pois)}; name one with poi='NAME'"
        )
    if files is not None:
        from nuhf.stats.files import pose_files, read_files  # here: pyhf takes longer than a limit

        source = read_files(files, names(patch, "patch"), measurement)
        return [Model(pose_files(source, name, chosen)) for name in pois]
    wanted = [found[0].loaded.experiment.strength if name is None else name for name in pois]
    for name in wanted:
        get(name)
    measured = [one.prepared for one in found]
    return [Model(pose(measured, name, chosen)) for name in wanted]


def _one(poi: str | None) -> tuple[str | None]:
    if poi is None:
        return (None,)
    wanted = names(poi, "poi")
    if len(wanted) != 1:
        raise InputError(f"poi: a model has one, given: {', '.join(wanted) or 'none'}")
    return (wanted[0],)


@in_words
def model(
    experiments: ExperimentsLike,
    poi: str | None = None,
    *,
    analysis: str = "default",
    profiled: Names = (),
    fixed: Mapping[str, float] | None = None,
    fixed_nuisances: NuisanceValues = (),
    asimov: bool = False,
    anapole: Anapole = "standard",
    settings: Mapping[str, float] | None = None,
    inject: Mapping[str, float] | None = None,
    mask: Names = (),
    engine: Engine = "compiled",
) -> Model:
    """Build a model with its data, once; `fit`, `interval`, `scan` and the others take it.

    Parameters
    ----------
    experiments : str, path, Experiment, or a sequence of them
        ``"coherent-csi-2021"``, ``"dresden-2:default-lindhard"`` with an analysis, the path of a
        TOML file, or what `nuhf.load` returned.
    poi : str, optional
        Parameter of interest; by default the strength of the SM process, ``norm_cevns`` or
        ``norm_eves``.
    analysis : str
        Analysis of the experiments that name none.
    profiled : str or sequence of str
        Other couplings left free: names, or ``charges``, ``radii``, ``moments``.
    fixed : mapping, optional
        Couplings at values in base units (e, mu_B, cm2, 1).
    fixed_nuisances : mapping, or names
        Nuisances held at values in standard deviations, ``{"flux_sns": 0.0}``; names alone (with
        wildcards, ``"qf_*"``) at their nominal values.
    asimov : bool
        Replace the data by the expectation.
    anapole : str
        ``standard`` or ``khan``.
    settings : mapping, optional
        Numbers of the coupling models, such as ``mediator_mass_mev``.
    inject : mapping, optional
        True values of Asimov data: couplings in base units, nuisances by name.
    mask : str or sequence of str
        What is left out: regions by name (with wildcards), or bins of one, ``"NAME:0,3-5"``.
    engine : str
        ``compiled`` or ``pyhf``.

    Raises
    ------
    nuhf.errors.InputError
        If anything given is not allowed; the message says what is.
    """
    chosen = options(
        anapole=anapole, fixed=fixed, profiled=profiled, fixed_nuisances=fixed_nuisances,
        engine=engine, asimov=asimov, settings=settings, inject=inject, mask=mask,
    )  # fmt: skip
    return models(experiments, _one(poi), chosen, analysis)[0]


@in_words
def open(
    files: ExperimentsLike,
    poi: str | None = None,
    *,
    patch: Names = (),
    measurement: str | None = None,
    profiled: Names = (),
    fixed: Mapping[str, float] | None = None,
    fixed_nuisances: NuisanceValues = (),
    asimov: bool = False,
    inject: Mapping[str, float] | None = None,
    mask: Names = (),
    engine: Engine = "compiled",
) -> Model:
    """Open a pyhf workspace, ours or anybody's, or combine several, as a model.

    Parameters
    ----------
    files : path, mapping, or a sequence of them
        JSON files, ``-`` for standard input, or parsed content.
    poi : str, optional
        Parameter of interest; by default that of the measurement.
    patch : str or sequence of str
        JSON patches of a single workspace: files, or ``PATCHSET.json:NAME``.
    measurement : str, optional
        Which measurement, of a workspace that has several.
    profiled, fixed, fixed_nuisances, asimov, inject, mask, engine
        As in `nuhf.model`.

    Raises
    ------
    nuhf.errors.InputError
        If a file cannot be read or combined, or a parameter is unknown.
    nuhf.errors.ModelError
        If something is no valid workspace.
    """
    chosen = options(
        fixed=fixed, profiled=profiled, fixed_nuisances=fixed_nuisances, engine=engine,
        asimov=asimov, inject=inject, mask=mask,
    )  # fmt: skip
    return models(
        [one if isinstance(one, Mapping) else str(one) for one in several(files)],
        _one(poi), chosen, patch=patch, measurement=measurement,
    )[0]  # fmt: skip
