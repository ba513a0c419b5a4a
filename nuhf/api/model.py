"""A statistical model with its data, built once and kept."""

import copy
import html
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, cast, get_args

import numpy as np

from nuhf.api.arguments import Names, NuisanceValues, in_words, numbers, options
from nuhf.arrays import FloatArray
from nuhf.couplings.parameters import Parameter, suggest
from nuhf.errors import InputError
from nuhf.likelihood.engines import Engine as FitEngine
from nuhf.stats.expected import Rates
from nuhf.stats.held import with_fixed
from nuhf.stats.problem import Problem
from nuhf.stats.result_base import JsonValue
from nuhf.stats.spectra import after_fit, before_fit, region_spectra
from nuhf.workspaces import encode

if TYPE_CHECKING:
    import pyhf

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
        compiled, couplings = self.engine.compiled, self._couplings
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

    @property
    def _couplings(self) -> dict[str, Parameter]:
        """Free couplings by the names of their fit parameters."""
        return {c.parameter.fit_name: c.parameter for c in self.problem.description.couplings}

    def _point(self, given: Mapping[str, float] | None) -> FloatArray:
        """Parameters (P,): those given in base units, all others where they start."""
        compiled = self.engine.compiled
        point = compiled.inits.copy()
        known = {p.name: p for p in self.parameters} | {p.fit_name: p for p in self.parameters}
        couplings = self._couplings
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
        problem = self.problem
        found = region_spectra(problem, self._point(values)) if values else before_fit(problem)
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
        if str(encoding) == "hs3":
            raise InputError("hs3: nuhf.workspace(...) writes it, of experiments")
        if encoding not in (known := get_args(Encoding)):
            raise InputError(f"unknown encoding '{encoding}'; {suggest(str(encoding), known)}")
        problem = self.problem
        if encoding == "native" or not problem.experiments:
            spec = copy.deepcopy(dict(problem.spec))
        else:
            spec = encode.encode(problem.description, encoding)
            compiled = self.engine.compiled
            free = self._couplings
            held = {
                name: float(compiled.inits[i])
                for i, name in enumerate(compiled.names)
                if compiled.fixed[i] and name not in free
            }
            spec = with_fixed(spec, held, self.engine.reference.layout.sizes)
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
        return self.engine.reference.model, self.data.tolist()

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
        given = {
            "fixed": fixed, "profiled": profiled, "fixed_nuisances": fixed_nuisances,
            "asimov": asimov, "inject": inject, "mask": mask,
        }  # fmt: skip
        changed: dict[str, Any] = {key: one for key, one in given.items() if one is not None}
        new = options(**(vars(self.problem.options) | changed))
        return Model(self.problem.posed(self.poi if poi is None else poi, new))

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
