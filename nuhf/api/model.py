"""A statistical model with its data, built once and kept."""

import copy
import html
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal, cast, get_args

import numpy as np
from numpy.typing import NDArray

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
    numbers,
    options,
)
from nuhf.api.given import experiments_of, files_of, several
from nuhf.couplings.parameters import get, suggest
from nuhf.errors import InputError
from nuhf.likelihood.engines import Engine as FitEngine
from nuhf.stats.expected import Rates
from nuhf.stats.files import FileProblem, pose_files, read_files
from nuhf.stats.held import sizes, with_fixed
from nuhf.stats.problem import Options, Problem, pose
from nuhf.stats.result_base import JsonValue
from nuhf.stats.spectra import after_fit, before_fit, region_spectra
from nuhf.workspaces import encode

if TYPE_CHECKING:
    import pyhf

__all__ = ["FitParameter", "Model", "built", "model", "models", "open"]

FloatArray = NDArray[np.float64]
Encoding = Literal["stock", "stock-positive", "native"]


@dataclass(frozen=True)
class FitParameter:
    """A parameter of a model.

    Attributes
    ----------
    name, fit_name, unit : str
        Name, that in the model, and the base unit (``sigma`` for standard deviations).
    kind : str
        ``poi``, ``coupling``, ``constrained`` or ``free``.
    low, high, initial : float
        Range and start in the base unit.
    fixed : bool
        Whether it is held.
    """

    name: str
    fit_name: str
    unit: str
    kind: Literal["poi", "coupling", "constrained", "free"]
    low: float
    high: float
    initial: float
    fixed: bool


@dataclass(frozen=True)
class Model:
    """A statistical model with its data, built once; `nuhf.model` and `nuhf.open` make one.

    Attributes
    ----------
    problem : nuhf.stats.problem.Problem
        What the functions that fit work with.
    """

    problem: Problem

    @property
    def experiments(self) -> tuple[str, ...]:
        """Names of the experiments, or of the files."""
        return self.problem.names

    @property
    def analysis(self) -> str:
        """Name of the analysis, or of the measurement."""
        return self.problem.analysis

    @property
    def poi(self) -> str:
        """Parameter of interest."""
        return self.problem.parameter.name

    @property
    def profiled(self) -> tuple[str, ...]:
        """Other couplings that float."""
        return self.problem.profiled

    @property
    def fixed(self) -> dict[str, float]:
        """Couplings set to values in base units."""
        return dict(self.problem.options.fixed)

    @property
    def notes(self) -> tuple[str, ...]:
        """Caveats that every result carries."""
        return self.problem.notes

    @property
    def engine(self) -> FitEngine:
        """What fits: the compiled likelihood, and pyhf's model."""
        return self.problem.engine

    @property
    def data(self) -> FloatArray:
        """Counts and auxiliary data."""
        return self.problem.data

    @property
    def parameters(self) -> tuple[FitParameter, ...]:
        """All parameters in the order of the model."""
        compiled = self.engine.compiled
        couplings = {c.parameter.fit_name: c.parameter for c in self.problem.description.couplings}
        factors = {factor.name for factor in self.problem.description.free}
        found = []
        for i, name in enumerate(compiled.names):
            low, high = (float(end) for end in compiled.bounds[i])
            start, fixed = float(compiled.inits[i]), bool(compiled.fixed[i])
            if name in couplings:
                own = couplings[name]
                kind: Literal["poi", "coupling", "constrained", "free"]
                kind = "poi" if own.name == self.poi else "coupling"
                low, high, start = (own.from_fit(v) for v in (low, high, start))
                found.append(FitParameter(own.name, name, own.unit, kind, low, high, start, fixed))
                continue
            kind, unit = ("free", "1") if name in factors else ("constrained", "sigma")
            found.append(FitParameter(name, name, unit, kind, low, high, start, fixed))
        return tuple(found)

    def _point(self, given: Mapping[str, float] | None) -> FloatArray:
        """Parameters (P,): those given in base units, all others where they start."""
        compiled = self.engine.compiled
        point = compiled.inits.copy()
        known = {p.name: p for p in self.parameters} | {p.fit_name: p for p in self.parameters}
        couplings = {c.parameter.fit_name: c.parameter for c in self.problem.description.couplings}
        for name, value in numbers(given, "values").items():
            if name not in known:
                allowed = [p.name for p in self.parameters]
                raise InputError(f"no parameter '{name}' in this model; {suggest(name, allowed)}")
            fit_name = known[name].fit_name
            theta = couplings[fit_name].to_fit(value) if fit_name in couplings else value
            low, high = compiled.bounds[compiled.index(fit_name)]
            if not low <= theta <= high:
                ends = f"{known[name].low:g} and {known[name].high:g} {known[name].unit}"
                raise InputError(f"{name} = {value:g}: it is between {ends}")
            point[compiled.index(fit_name)] = theta
        return point

    @in_words
    def expected(self, values: Mapping[str, float] | None = None) -> Rates:
        """Return expected events per bin of every process, with the data beside them.

        Parameters
        ----------
        values : mapping, optional
            Free couplings in base units, nuisances in standard deviations; all others are where
            they start: the SM, and nominal.

        Raises
        ------
        nuhf.errors.InputError
            If the model has no such parameter, or a value is outside its range.
        """
        found = region_spectra(self.problem, self._point(values)) if values else before_fit(
            self.problem
        )  # fmt: skip
        regions = {spectrum.region: spectrum for spectrum in found}
        return Rates(self.experiments, self.analysis, regions, dict(values or {}), self.notes)

    def fitted(self) -> Rates:
        """Return events per bin of every process at the best fit, with their uncertainty."""
        regions = {spectrum.region: spectrum for spectrum in after_fit(self.problem)}
        return Rates(self.experiments, self.analysis, regions, {}, self.notes)

    @in_words
    def twice_nll(self, values: Mapping[str, float] | None = None) -> float:
        """Return -2 log likelihood of the data, all constants included, nothing fitted.

        ``values`` as in `expected`.
        """
        compiled = self.engine.compiled
        return float(compiled.twice_nll(self._point(values)[np.newaxis], self.data)[0])

    @in_words
    def workspace(self, encoding: Encoding = "stock") -> dict[str, JsonValue]:
        """Return the model and its data as a pyhf workspace, plain data for JSON.

        Parameters
        ----------
        encoding : str
            ``stock`` (plain pyhf), ``stock-positive`` (no negative bin) or ``native`` (exact,
            needs nuhf's ``powerfactor``). Of files it is the workspace itself.

        Raises
        ------
        nuhf.errors.InputError
            If the encoding is unknown or cannot express the parameters.
        """
        encode.check_encoding(encoding)
        if encoding not in get_args(Encoding):
            raise InputError(f"{encoding}: nuhf.workspace(...) writes it, of experiments")
        problem = self.problem
        if encoding == "native" or not problem.experiments:
            spec = copy.deepcopy(dict(problem.spec))
        else:
            spec = encode.encode(problem.description, encoding)
            compiled = self.engine.compiled
            free = {c.parameter.fit_name for c in problem.description.couplings}
            held = {
                name: float(compiled.inits[i])
                for i, name in enumerate(compiled.names)
                if compiled.fixed[i] and name not in free
            }
            spec = with_fixed(spec, held, sizes(self.engine.model))
        if problem.options.asimov or problem.options.inject:
            self._put_data(spec)
        return cast(dict[str, JsonValue], spec)

    def _put_data(self, spec: dict[str, JsonValue]) -> None:
        """Replace the observations of a workspace by the data of the model."""
        places = self.problem.description.bins
        counts = {name: self.data[here].tolist() for name, here in places.items()}
        spec["observations"] = [{"name": name, "data": row} for name, row in counts.items()]

    def pyhf(self) -> "tuple[pyhf.Model, list[float]]":
        """Return pyhf's model and data, exact: ``pyhf.infer.mle.fit(data, model)``.

        A model with powers of couplings has nuhf's modifier ``powerfactor``.
        """
        return self.engine.model, self.data.tolist()

    @in_words
    def replace(
        self,
        *,
        poi: str | None = None,
        profiled: Names | None = None,
        fixed: Mapping[str, float] | None = None,
        fixed_nuisances: NuisanceValues | None = None,
        asimov: bool | None = None,
        inject: Mapping[str, float] | None = None,
        mask: Names | None = None,
    ) -> "Model":
        """Return a model with some choices changed; templates are not built again."""
        old, problem = self.problem.options, self.problem
        new = options(
            anapole=cast(Anapole, old.anapole),
            fixed=old.fixed if fixed is None else fixed,
            profiled=old.profiled if profiled is None else profiled,
            fixed_nuisances=old.fixed_nuisances if fixed_nuisances is None else fixed_nuisances,
            engine=cast(Engine, old.engine),
            asimov=old.asimov if asimov is None else asimov,
            bracket=old.bracket,
            settings=old.settings,
            inject=old.inject if inject is None else inject,
            mask=old.mask if mask is None else mask,
        )
        wanted = self.poi if poi is None else poi
        if isinstance(problem, FileProblem):
            return Model(pose_files(problem.source, wanted, new))
        return Model(pose(problem.experiments, wanted, new))

    def __repr__(self) -> str:
        return f"<Model of {', '.join(self.experiments)}: {self.poi}>"

    def __str__(self) -> str:
        compiled = self.engine.compiled
        width = max(len(p.name) for p in self.parameters)
        rows = [
            f"{', '.join(self.experiments)}, analysis {self.analysis}: {self.poi}, "
            f"{compiled.n_main} bins, {len(self.parameters)} parameters"
        ]
        for p in self.parameters:
            state = "fixed" if p.fixed else f"{p.low:.3g} to {p.high:.3g}"
            rows.append(f"{p.name:{width}s}  {p.kind:11s} {p.initial:10.4g}  {state}  {p.unit}")
        return "\n".join([*rows, f"{len(self.notes)} notes (.notes)"])

    def _repr_html_(self) -> str:
        return f"<pre>{html.escape(str(self))}</pre>"


def built(given: ModelLike, bracket: Bracket | None = None) -> Problem:
    """Return what fits work with: of a `Model`, or of what `model` or `open` makes one of.

    With a ``bracket`` the parameter of interest is looked for in that range only.
    """
    if not isinstance(given, Model):
        (given,) = models(given, (None,), Options())
    problem, chosen = given.problem, ends(bracket, "bracket")
    if chosen is None:
        return problem
    ranged = replace(problem.options, bracket=chosen)
    if isinstance(problem, FileProblem):  # a range may widen the bounds of the file
        return pose_files(problem.source, problem.parameter.fit_name, ranged)
    return replace(problem, options=ranged)


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
