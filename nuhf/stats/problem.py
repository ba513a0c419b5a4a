"""A question posed to the data: experiments, parameter of interest, options, model."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import product
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from nuhf.arrays import FloatArray
from nuhf.couplings import parameters
from nuhf.couplings.parameters import Parameter
from nuhf.errors import Caveat, InputError
from nuhf.experiments.prepare import expanded
from nuhf.experiments.region import Prepared
from nuhf.histfactory import assemble
from nuhf.histfactory.describe import Description
from nuhf.likelihood.engines import Engine, ModelProfiler, Reference, engine
from nuhf.likelihood.evaluate import CompiledModel, compile_layout
from nuhf.likelihood.layout import native_layout
from nuhf.physics.couplings import sm_charge_radius
from nuhf.stats.held import expectation, fixed_nuisances, with_fixed
from nuhf.stats.intervals import ScanRange
from nuhf.stats.mask import masked_description
from nuhf.stats.result_base import OptionsRecord, Provenance, provenance
from nuhf.workspaces import encode
from nuhf.workspaces.impossible import refuse_content

if TYPE_CHECKING:
    import pyhf

_INCOHERENT: Final = (
    "its interference with the SM in the Sun is left out (sources.*.coherence = true has it)"
)

_REAL: Final = (
    "a real coupling: positive values have phase 0, or that of the setting transition_phase_rad, "
    "negative ones pi more; of an unknown phase the larger modulus of the two ends is allowed"
)

_MODULUS: Final = (
    "its interference with the SM in the Sun, of unknown phase, is left out; the coupling without "
    "'abs_' has it"
)

_PROPAGATION: Final = (
    "acts on the propagation of neutrinos, too, which is not polynomial; it is held at the SM here"
)


def _radius_note(radius: Parameter, scheme: str) -> str:
    """Say whether a radius is the total one, and by how much the other convention differs."""
    flavour = radius.feeds[0].flavours[0]
    standard = sm_charge_radius(flavour)
    if scheme == "tree":
        return (
            f"{radius.name} is the total charge radius (couplings at tree level); as a deviation "
            f"from that of the SM, {standard:.2g} cm2, values are {-standard:.2g} cm2 higher"
        )
    return (
        f"{radius.name} is the deviation from the charge radius of the SM, {standard:.2g} cm2 "
        f"(couplings '{scheme}'); as total radii values are {-standard:.2g} cm2 lower"
    )


@dataclass(frozen=True)
class Options:
    """What a user may choose for a fit."""

    anapole: str = "standard"
    """Convention of the anapole moment."""
    fixed: Mapping[str, float] = field(default_factory=dict)
    """Parameters set to values in base units."""
    profiled: tuple[str, ...] = ()
    """Other couplings left free: names, or ``charges``, ``radii``, ``moments``."""
    fixed_nuisances: tuple[str, ...] = ()
    """Nuisance parameters held: ``NAME`` at its nominal value, ``NAME=VALUE``; the name may have
    wildcards."""
    engine: str = "compiled"
    """``compiled`` or ``pyhf``."""
    asimov: bool = False
    """Replace the data by the expectation at the SM."""
    bracket: tuple[float, float] | None = None
    """Range of the parameter of interest in base units."""
    settings: Mapping[str, float] = field(default_factory=dict)
    """Numbers of the models of couplings, such as ``mediator_mass_mev``."""
    inject: Mapping[str, float] = field(default_factory=dict)
    """Truth of Asimov data: couplings in base units, nuisances."""
    mask: tuple[str, ...] = ()
    """What is left out: ``CHANNEL`` or ``CHANNEL:BINS``; the name may have wildcards."""

    def summary(self) -> OptionsRecord:
        """Return the options as plain data for the provenance."""
        content: OptionsRecord = {
            "anapole": self.anapole,
            "values": dict(self.fixed),
            "profile": list(self.profiled),
            "fix": list(self.fixed_nuisances),
            "engine": self.engine,
            "asimov": self.asimov,
            "range": list(self.bracket) if self.bracket else None,
        }
        if self.settings:
            content["settings"] = dict(self.settings)
        if self.inject:
            content["inject"] = dict(self.inject)
        if self.mask:
            content["mask"] = list(self.mask)
        return content


@dataclass(frozen=True)
class Problem:
    """A model with its data, ready to be fitted."""

    experiments: tuple[Prepared, ...]
    """What is analysed."""
    parameter: Parameter
    """Parameter of interest."""
    profiled: tuple[str, ...]
    """Other couplings that float."""
    options: Options
    """What was asked."""
    spec: Mapping[str, Any]
    """The native workspace."""
    description: Description
    """Where it came from."""
    engine: Engine
    """What fits."""
    data: FloatArray
    """Counts and auxiliary data."""
    seeds: FloatArray | None = None
    """Further starting points (n, P) of all fits."""

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
            for other in sorted(set(one.loaded.experiment.may_share) & set(self.names)):
                found.append(Caveat(f"{one.name} and {other} may share events, counted twice"))
        moved = (self.parameter.name, *self.profiled, *self.options.fixed)
        oscillated = any("tau" in one.flavours for one in self.experiments)
        coherent = any("emu" in one.flavours for one in self.experiments)
        for name in moved:
            entry = parameters.get(name)
            found += [entry.note] if entry.note else []
            found += [Caveat(f"{name}: {_PROPAGATION}")] if entry.propagates and oscillated else []
            joins = any(feed.partner in parameters.FLAVOURS for feed in entry.feeds)
            if joins and oscillated:
                real = _REAL if entry.interferes else _MODULUS
                found.append(f"{name}: {real if coherent else _INCOHERENT}")
            found += self.radius_notes(entry)
        used = {**self.options.settings}
        for one in self.experiments:
            used |= one.loaded.settings
        found += [Caveat(f"{name} = {value:g}") for name, value in used.items()]
        return tuple(dict.fromkeys([*found, *self.asked_notes("at the SM")]))

    def radius_notes(self, entry: Parameter) -> list[str]:
        """Say of a charge radius whether it is the total one; nothing of other parameters."""
        if entry.group.name != "radii" or not entry.interferes:
            return []
        schemes = {one.loaded.experiment.physics.couplings for one in self.experiments}
        return [_radius_note(entry, scheme) for scheme in sorted(schemes)]

    def asked_notes(self, nominal: str) -> tuple[str, ...]:
        """Caveats of the options; ``nominal`` says where Asimov data are without values."""
        found: list[str] = []
        if self.options.bracket is not None:
            low, high = self.options.bracket
            where = f"searched within {low:g} to {high:g} only"
            found.append(Caveat(f"{where}: minima and pieces outside are not seen"))
        if self.options.mask:
            found.append(Caveat(f"left out: {', '.join(self.options.mask)}"))
        if self.options.asimov or self.options.inject:
            known = {**self.options.fixed, **self.options.inject}
            given = [f"{name} = {value:g}" for name, value in known.items()]
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

    def within(self, bracket: tuple[float, float]) -> "Problem":
        """Return the problem with another range of the parameter of interest, in base units."""
        return replace(self, options=replace(self.options, bracket=bracket))

    def posed(self, interest: str, options: Options) -> "Problem":
        """Ask the same data about another parameter, or with other options (see `pose`)."""
        return pose(self.experiments, interest, options)

    def component(self, process: str) -> CompiledModel:
        """Return the expectation of one process alone, with the parameters of the whole model."""
        channels = self.description.channels
        samples = {(c.name, s.name) for c in channels for s in c.samples if s.process == process}
        return compile_layout(self.engine.reference.layout, samples)

    def span(self) -> ScanRange:
        """Range to search, in the fit parameter.

        `InputError` if the range asked for is below a physical bound, or beyond the model.
        """
        coupling = self.description.couplings[0]
        bounded = coupling.bounded
        if self.options.bracket is None:
            return ScanRange(coupling.low, coupling.high, bounded, self.parameter.show)
        low, high = self.options.bracket
        if bounded and low < 0:
            raise InputError(f"bracket: {self.parameter.name} is not below 0, given: {low}")
        widest = [self.parameter.from_fit(end) for end in (coupling.low, coupling.high)]
        margin = 1e-9 * (widest[1] - widest[0])
        if low < widest[0] - margin or high > widest[1] + margin:
            raise InputError(
                f"bracket = {low}, {high}: {self.parameter.name} is searched within "
                f"{widest[0]:g} to {widest[1]:g}, far beyond any interval"
            )
        ends = [self.parameter.to_fit(end) for end in (low, high)]
        first, last = (min(max(end, coupling.low), coupling.high) for end in ends)
        return ScanRange(first, last, bounded and low == 0.0, self.parameter.show)

    @property
    def widths(self) -> FloatArray:
        """Standard deviations of all constraint terms, (P,); 0 without one."""
        compiled = self.engine.compiled
        constraints, found = compiled.constraints, np.zeros(len(compiled.names))
        found[constraints.normal_param] = constraints.normal_sigma
        found[constraints.poisson_param] = constraints.poisson_factor**-0.5
        return found

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

    Which ones is what the analysis says for the parameter of interest, else every other parameter
    of the group that it has. `InputError` if a name is unknown or a group has no other member here.
    """
    if interest in requested:
        raise InputError(f"profiled = {interest}: it is the parameter of interest; name another")
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
                raise InputError(f"profiled = {name}: no other parameter of this kind here")
            found += members
        elif name in parameters.PARAMETERS:
            found.append(name)
        else:
            allowed = [*groups, *parameters.PARAMETERS]
            raise InputError(f"profiled: unknown '{name}'; {parameters.suggest(name, allowed)}")
    return tuple(dict.fromkeys(p for p in found if p != interest))


def _injected(
    experiments: Sequence[Prepared], floated: Sequence[str], options: Options
) -> FloatArray:
    """Return counts and auxiliary data expected at a truth, which may have more couplings."""
    inject = options.inject
    others = [name for name in inject if name in parameters.PARAMETERS and name not in floated]
    held = {name: value for name, value in options.fixed.items() if name not in inject}
    description = assemble.describe(experiments, [*floated, *others], held, options.anapole)
    description = masked_description(description, options.mask)
    compiled = compile_layout(native_layout(encode.native(description)))
    known = {c.parameter.name: c.parameter for c in description.couplings}
    truth = {
        known[name].fit_name if name in known else name: known[name].to_fit(value)
        if name in known else value
        for name, value in inject.items()
    }  # fmt: skip
    return expectation(compiled, truth)


def native_reference(spec: Mapping[str, Any]) -> Reference:
    """Return the model of a workspace that nuhf has encoded as ``native``."""
    refuse_content(spec)
    return Reference(native_layout(spec), partial(_pyhf_model, spec))


def _pyhf_model(spec: Mapping[str, Any]) -> "pyhf.Model":
    from nuhf.workspaces.native import load_model  # here: pyhf takes longer than most limits

    return load_model(spec, validate=False)[0]


def pose(experiments: Sequence[Prepared], interest: str, options: Options) -> Problem:
    """Build model and data of experiments for one parameter of interest.

    `InputError` for unknown or ineffective parameters, nuisances, conventions or engines.
    """
    parameter = parameters.get(interest)
    profiled = profile_group(options.profiled, interest, experiments)
    floating = [name for one in experiments for name in one.loaded.analysis.floating]
    known = {interest, *profiled, *options.fixed}
    profiled += tuple(dict.fromkeys(name for name in floating if name not in known))
    experiments = expanded(experiments, [interest, *profiled, *options.fixed], options.settings)
    description = assemble.describe(
        experiments, [interest, *profiled], options.fixed, options.anapole
    )
    description = masked_description(description, options.mask)
    spec = encode.native(description)
    reference = native_reference(spec)
    if options.fixed_nuisances:
        free = {coupling.parameter.fit_name for coupling in description.couplings}
        held = fixed_nuisances(options.fixed_nuisances, reference.layout, free)
        spec = with_fixed(spec, held, reference.layout.sizes)
        reference = native_reference(spec)
    chosen, layout = engine(options.engine, reference), reference.layout
    counts = {entry["name"]: entry["data"] for entry in spec["observations"]}
    data = np.concatenate([*(counts[name] for name in layout.bins), layout.auxdata])
    if options.asimov:
        data = chosen.compiled.expected_full(chosen.compiled.inits)
    if options.inject:
        data = _injected(experiments, [interest, *profiled], options)
    return Problem(
        tuple(experiments), parameter, profiled, options, spec, description, chosen, data
    )
