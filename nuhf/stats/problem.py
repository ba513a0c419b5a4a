"""A question posed to the data: experiments, parameter of interest, options, model."""

import fnmatch
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import product
from typing import Any, Final

import numpy as np
import pyhf
from numpy.typing import NDArray

from nuhf.couplings import parameters
from nuhf.couplings.parameters import Parameter
from nuhf.errors import Caveat, InputError
from nuhf.experiments.prepare import prepare
from nuhf.experiments.region import Prepared
from nuhf.histfactory import assemble
from nuhf.histfactory.describe import Description
from nuhf.likelihood.engines import Engine, ModelProfiler, engine
from nuhf.likelihood.evaluate import CompiledModel, compile_model
from nuhf.stats.intervals import ScanRange
from nuhf.stats.results import OptionsRecord, Provenance, provenance
from nuhf.workspaces import encode
from nuhf.workspaces.native import load_model

__all__ = [
    "Options",
    "Problem",
    "expanded",
    "fixed_nuisances",
    "pose",
    "profile_group",
    "sizes",
    "with_fixed",
]

FloatArray = NDArray[np.float64]

_PROPAGATION: Final = (
    "acts on the propagation of neutrinos, too, which is not polynomial; it is held at the SM here"
)


@dataclass(frozen=True)
class Options:
    """What a user may choose for a fit.

    Attributes
    ----------
    anapole : str
        Convention of the anapole moment.
    values : mapping
        Parameters set to values in base units.
    profile : tuple of str
        Other couplings left free: names, or ``charges``, ``radii``, ``moments``.
    fix : tuple of str
        Nuisance parameters held: ``NAME`` at its nominal value, ``NAME=VALUE``; the name may
        have wildcards.
    engine : str
        ``compiled`` or ``pyhf``.
    asimov : bool
        Replace the data by the expectation at the SM.
    search : (float, float) or None
        Range of the parameter of interest in base units.
    settings : mapping
        Numbers of the models of couplings, such as ``mediator_mass_mev``.
    """

    anapole: str = "standard"
    values: Mapping[str, float] = field(default_factory=dict)
    profile: tuple[str, ...] = ()
    fix: tuple[str, ...] = ()
    engine: str = "compiled"
    asimov: bool = False
    search: tuple[float, float] | None = None
    settings: Mapping[str, float] = field(default_factory=dict)

    def summary(self) -> OptionsRecord:
        """Return the options as plain data for the provenance."""
        content: OptionsRecord = {
            "anapole": self.anapole,
            "values": dict(self.values),
            "profile": list(self.profile),
            "fix": list(self.fix),
            "engine": self.engine,
            "asimov": self.asimov,
            "range": list(self.search) if self.search else None,
        }
        if self.settings:
            content["settings"] = dict(self.settings)
        return content


@dataclass(frozen=True)
class Problem:
    """A model with its data, ready to be fitted.

    Attributes
    ----------
    experiments : tuple of Prepared
        What is analysed.
    parameter : Parameter
        Parameter of interest.
    profiled : tuple of str
        Other couplings that float.
    options : Options
        What was asked.
    spec : dict
        The native workspace.
    description : Description
        Where it came from.
    engine : Engine
        What fits.
    data : ndarray
        Counts and auxiliary data.
    seeds : ndarray or None
        Further starting points (n, P) of all fits.
    """

    experiments: tuple[Prepared, ...]
    parameter: Parameter
    profiled: tuple[str, ...]
    options: Options
    spec: Mapping[str, Any]
    description: Description
    engine: Engine
    data: FloatArray
    seeds: FloatArray | None = None

    @property
    def notes(self) -> tuple[str, ...]:
        """Caveats of all experiments, each once, and whether the data are real."""
        several = len(self.experiments) > 1
        found = [
            type(note)(f"{one.name}: {note}") if several else note
            for one in self.experiments
            for note in one.loaded.notes
        ]
        for one in self.experiments:
            for other in set(one.loaded.experiment.contained_in) & set(self.names):
                twice = f"the events of {one.name} are among those of {other}: counted twice"
                found.append(Caveat(twice))
        moved = (self.parameter.name, *self.profiled, *self.options.values)
        oscillated = any("tau" in one.flavours for one in self.experiments)
        for name in moved:
            entry = parameters.get(name)
            found += [entry.note] if entry.note else []
            found += [Caveat(f"{name}: {_PROPAGATION}")] if entry.propagates and oscillated else []
        settings = self.options.settings.items()
        found += [Caveat(f"{name} = {value:g}") for name, value in settings]
        return tuple(dict.fromkeys([*found, *self.asked_notes("at the SM")]))

    def asked_notes(self, nominal: str) -> tuple[str, ...]:
        """Caveats of the options; ``nominal`` says where Asimov data are without values."""
        found: list[str] = []
        if self.options.search is not None:
            low, high = self.options.search
            where = f"searched within {low:g} to {high:g} only"
            found.append(Caveat(f"{where}: minima and pieces outside are not seen"))
        if self.options.asimov:
            given = [f"{name} = {value:g}" for name, value in self.options.values.items()]
            truth = f"with {', '.join(given)}" if given else nominal
            found.append(Caveat(f"Asimov data: the expectation {truth}, not the measured counts"))
        return tuple(found)

    @property
    def names(self) -> tuple[str, ...]:
        """Experiment names."""
        return tuple(one.name for one in self.experiments)

    @property
    def analysis(self) -> str:
        """Name of the analysis, or of each where the experiments have different ones."""
        names = [one.loaded.analysis_name for one in self.experiments]
        return names[0] if len(set(names)) == 1 else ", ".join(names)

    @property
    def convention(self) -> str | None:
        """Anapole convention, where it matters."""
        free = (self.parameter, *(parameters.get(name) for name in self.profiled))
        return self.options.anapole if any(p.conventions for p in free) else None

    def provenance(self) -> Provenance:
        """Versions, digests and options."""
        digests = {k: v for one in self.experiments for k, v in one.digests.items()}
        return provenance(self.options.summary(), digests)

    def component(self, process: str) -> CompiledModel:
        """Return the expectation of one process alone, with the parameters of the whole model."""
        channels = self.description.channels
        samples = {(c.name, s.name) for c in channels for s in c.samples if s.process == process}
        return compile_model(self.engine.model, samples)

    def span(self) -> ScanRange:
        """Range to search, in the fit parameter.

        Raises
        ------
        InputError
            If the range asked for is empty or below a physical bound.
        """
        coupling = self.description.couplings[0]
        bounded = coupling.low == 0.0
        if self.options.search is None:
            return ScanRange(coupling.low, coupling.high, bounded, self.parameter.show)
        low, high = self.options.search
        if not (np.isfinite([low, high]).all() and low < high):
            raise InputError(f"search = {low}, {high}: give two numbers, the lower one first")
        if bounded and low < 0:
            raise InputError(f"search: {self.parameter.name} is not below 0, given: {low}")
        widest = [self.parameter.from_fit(end) for end in (coupling.low, coupling.high)]
        margin = 1e-9 * (widest[1] - widest[0])
        if low < widest[0] - margin or high > widest[1] + margin:
            raise InputError(
                f"search = {low}, {high}: {self.parameter.name} is searched within "
                f"{widest[0]:g} to {widest[1]:g}, far beyond any interval"
            )
        ends = [self.parameter.to_fit(end) for end in (low, high)]
        first, last = (min(max(end, coupling.low), coupling.high) for end in ends)
        return ScanRange(first, last, bounded and low == 0.0, self.parameter.show)

    def profiler(self, data: FloatArray | None = None) -> ModelProfiler:
        """Return the profile of the parameter of interest, for these or other data."""
        compiled = self.engine.compiled
        free = ~compiled.fixed
        starts = _starts(self.description, compiled.inits, compiled.names)
        if self.seeds is not None:
            starts = np.vstack([starts, self.seeds])
        index = compiled.index(self.parameter.fit_name)
        chosen = self.data if data is None else data
        return ModelProfiler(self.engine, chosen, index, starts, free)


def _starts(description: Description, inits: FloatArray, names: Sequence[str]) -> FloatArray:
    """Starting points (n, P): where other couplings float, both sides of the SM for each.

    Half the range is outside every minimum, and beyond the cancellation between two of them:
    from there a fit rolls into the outer one. A quarter is not, and missed it for charge radii.
    Several couplings without interference start together, away from zero: all combinations of
    zero, small and large found nothing deeper by 1e-10 for five charges or radii, at 27 times the
    cost.
    """
    others = description.couplings[1:]
    two_sided = [c for c in others if c.low < 0.0 and c.parameter.limits is None]
    one_sided = [c for c in others if c.parameter.squared]
    signs = product(*((0.5 * c.low, 0.0, 0.5 * c.high) for c in two_sided))
    heights = (0.0, 0.05, 0.25) if len(one_sided) == 1 else (0.05,)
    base = inits.copy()
    for coupling in others:
        base[names.index(coupling.parameter.fit_name)] = coupling.init
    points = []
    for values, height in product(signs, heights):
        point = base.copy()
        for coupling, value in zip(two_sided, values, strict=True):
            point[names.index(coupling.parameter.fit_name)] = value
        for coupling in one_sided:
            point[names.index(coupling.parameter.fit_name)] = height * coupling.high
        points.append(point)
    return np.array(points)


def profile_group(
    requested: Sequence[str], interest: str, experiments: Sequence[Prepared]
) -> tuple[str, ...]:
    """Resolve what is profiled: names stay, groups become their members.

    Which ones is what the analysis says for the parameter of interest, else every other
    parameter of the group that it has.

    Raises
    ------
    InputError
        If a name is unknown or a group has no other member here.
    """
    if interest in requested:
        raise InputError(f"profile = {interest}: it is the parameter of interest; name another")
    found: list[str] = []
    groups = list(dict.fromkeys(p.group.name for p in parameters.PARAMETERS.values()))
    for name in requested:
        if name in groups:
            members: list[str] = []
            for one in experiments:
                analysis = one.loaded.analysis
                same = [p for p in analysis.parameters if parameters.get(p).group.name == name]
                members += analysis.profiled.get(interest, {}).get(name, same)
            if not set(members) - {interest}:
                raise InputError(f"profile = {name}: no other parameter of this kind here")
            found += members
        elif name in parameters.PARAMETERS:
            found.append(name)
        else:
            allowed = [*groups, *parameters.PARAMETERS]
            raise InputError(f"profile: unknown '{name}'; {parameters.suggest(name, allowed)}")
    return tuple(dict.fromkeys(p for p in found if p != interest))


def expanded(
    experiments: Sequence[Prepared], names: Sequence[str], settings: Mapping[str, float]
) -> Sequence[Prepared]:
    """Return experiments whose templates are expanded in what some parameters feed.

    Raises
    ------
    InputError
        If a parameter needs a setting that is not given, or one is given that none needs.
    """
    needed: dict[str, str] = {}
    for model in parameters.models():
        entries = {p.name for p in model.parameters} & set(names)
        needed |= {setting: min(entries) for setting in model.settings if entries}
    for setting, name in needed.items():
        if setting not in settings:
            raise InputError(f"{name} needs a value of the setting {setting}")
    for setting, value in settings.items():
        if setting not in needed:
            raise InputError(
                f"no parameter here has a setting '{setting}'; "
                f"{parameters.suggest(setting, needed or ['none'])}"
            )
        if not 0.0 <= value < np.inf:
            raise InputError(f"{setting} = {value:g}: give a number that is not negative")
    found = []
    for one in experiments:
        fed = [f.variable for n in (*names, *one.loaded.analysis.reference)
               for f in parameters.get(n).feeds]  # fmt: skip
        wanted = tuple(dict.fromkeys(v for v in fed if v in parameters.variables()))
        usual = set(wanted) <= set(one.loaded.variables)
        more = replace(one.loaded, variables=wanted, settings=dict(settings))
        found.append(one if usual and not settings else prepare(more))
    return found


def fixed_nuisances(
    entries: Sequence[str], model: pyhf.Model, free: Collection[str]
) -> dict[str, float | None]:
    """Resolve ``NAME``, ``NAME=VALUE`` and wildcards to nuisances, None for the nominal value.

    Raises
    ------
    InputError
        If no nuisance has the name (or it is in ``free``), or a value is no number or outside the
        nuisance's bounds.
    """
    nuisances = [name for name in model.config.par_order if name not in free]
    found: dict[str, float | None] = {}
    for entry in entries:
        pattern, equals, text = entry.partition("=")
        matching = fnmatch.filter(nuisances, pattern)
        if not matching:
            hint = parameters.suggest(pattern, nuisances)
            raise InputError(f"fix: no nuisance '{pattern}'; {hint}")
        for name in matching:
            found[name] = _fixed_value(entry, text, name, model) if equals else None
    return found


def _fixed_value(entry: str, text: str, name: str, model: pyhf.Model) -> float:
    try:
        value = float(text)
    except ValueError:
        raise InputError(f"fix = {entry}: give NAME or NAME=VALUE with a number") from None
    for low, high in model.config.param_set(name).suggested_bounds:
        if not low <= value <= high:
            raise InputError(f"fix = {entry}: {name} is between {low:g} and {high:g}")
    return value


def sizes(model: pyhf.Model) -> dict[str, int]:
    """Return the number of values of every parameter."""
    config = model.config
    return {name: config.param_set(name).n_parameters for name in config.par_order}


def with_fixed(
    spec: Mapping[str, Any], values: Mapping[str, float | None], sizes: Mapping[str, int]
) -> dict[str, Any]:
    """Return a workspace whose first measurement holds parameters, at values or (None) nominal.

    ``sizes`` are the numbers of values of parameters that have one per bin.
    """
    entry = dict(spec["measurements"][0])
    config = {p["name"]: dict(p) for p in entry["config"]["parameters"]}
    for name, value in values.items():
        held = config.setdefault(name, {"name": name})
        held["fixed"] = True
        if value is not None:
            held["inits"] = [value] * sizes.get(name, 1)
    entry["config"] = {**entry["config"], "parameters": list(config.values())}
    return {**spec, "measurements": [entry, *spec["measurements"][1:]]}


def pose(experiments: Sequence[Prepared], interest: str, options: Options) -> Problem:
    """Build model and data for one parameter of interest.

    Parameters
    ----------
    experiments : sequence of Prepared
        Experiments with their analyses.
    interest : str
        Name of the parameter of interest.
    options : Options
        Choices.

    Raises
    ------
    InputError
        For unknown or ineffective parameters, nuisances, conventions or engines.
    """
    parameter = parameters.get(interest)
    profiled = profile_group(options.profile, interest, experiments)
    floating = [name for one in experiments for name in one.loaded.analysis.floating]
    known = {interest, *profiled, *options.values}
    profiled += tuple(dict.fromkeys(name for name in floating if name not in known))
    experiments = expanded(experiments, [interest, *profiled, *options.values], options.settings)
    description = assemble.describe(
        experiments, [interest, *profiled], options.values, options.anapole
    )
    spec = encode.native(description)
    model, data = load_model(spec)
    if options.fix:
        free = {coupling.parameter.fit_name for coupling in description.couplings}
        spec = with_fixed(spec, fixed_nuisances(options.fix, model, free), sizes(model))
        model, data = load_model(spec)
    chosen = engine(options.engine, model)
    if options.asimov:
        data = chosen.compiled.expected_full(chosen.compiled.inits)
    return Problem(
        tuple(experiments), parameter, profiled, options, spec, description, chosen,
        np.asarray(data),
    )  # fmt: skip
