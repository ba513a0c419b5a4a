"""From prepared experiments to a description."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Final

import numpy as np

from nuhf.arrays import FloatArray
from nuhf.couplings import parameters
from nuhf.couplings.model import MASS_STATES
from nuhf.couplings.parameters import Parameter
from nuhf.errors import InputError
from nuhf.experiments.catalogue import Loaded
from nuhf.experiments.file import BinNuisance, FreeNuisance, NormNuisance
from nuhf.experiments.region import Prepared, Region
from nuhf.histfactory.correlate import correlated
from nuhf.histfactory.describe import (
    Channel,
    Description,
    Free,
    Norm,
    channel,
    couplings,
)
from nuhf.rates.signal import acts_on, check_together, proportion

_ABSURD: Final = 1e3
_FEW: Final = 30.0
"""Events per observed one (and this many more) beyond which a coupling is a slip of the unit."""

_SAME: Final = 1e-9
"""Singular values of unit vectors below this are zero."""


def _norms_and_factors(
    loaded: Loaded,
) -> tuple[dict[str, dict[str, Norm]], dict[str, dict[str, int]]]:
    """Normalisation uncertainties, and powers of free factors, by process and nuisance."""
    norms: dict[str, dict[str, Norm]] = {}
    factors: dict[str, dict[str, int]] = {}
    for nuisance in loaded.nuisances:
        if isinstance(nuisance, NormNuisance):
            pair = Norm(1.0 + nuisance.size, 1.0 - nuisance.size, nuisance.pull == "linear")
            for process in nuisance.processes:
                norms.setdefault(process, {})[nuisance.name] = pair
        elif isinstance(nuisance, FreeNuisance):
            for process in nuisance.processes:
                factors.setdefault(process, {})[nuisance.name] = 1
    return norms, factors


def _free(experiments: Sequence[Prepared]) -> tuple[Free, ...]:
    found: dict[str, Free] = {}
    for one in experiments:
        for nuisance in one.loaded.nuisances:
            if isinstance(nuisance, FreeNuisance):
                known = found.setdefault(nuisance.name, Free(nuisance.name, nuisance.high))
                if known.high != nuisance.high:
                    raise InputError(
                        f"free factor '{nuisance.name}' ends at {known.high:g} and at "
                        f"{nuisance.high:g} in different experiments: give it one range"
                    )
    return tuple(found.values())


def _limits(experiments: Sequence[Prepared]) -> dict[str, tuple[float, float]]:
    """Common part of the ranges that the analyses give."""
    found: dict[str, tuple[float, float]] = {}
    for one in experiments:
        for name, (low, high) in one.loaded.analysis.limits.items():
            known = found.get(name, (low, high))
            found[name] = max(known[0], low), min(known[1], high)
            if not found[name][0] < found[name][1]:
                raise InputError(f"the experiments have no range of {name} in common")
    return found


def reference_values(
    one: Prepared, chosen: Sequence[Parameter], anapole: str = "standard"
) -> tuple[dict[Parameter, float], dict[Parameter, float]]:
    """Split the reference values of an analysis, in base units, into fixed ones and starts.

    The chosen parameters, which are free or set to a value, replace the reference of whatever is
    the same direction, as the anapole moment of a flavour that of its charge radius.
    """
    fixed: dict[Parameter, float] = {}
    starts: dict[Parameter, float] = {}
    for name, value in one.loaded.analysis.reference.items():
        own = parameters.get(name)
        ratios = {p: proportion(own, p, anapole) for p in chosen}
        twins = {p: ratio for p, ratio in ratios.items() if ratio is not None}
        starts |= {p: value * ratio for p, ratio in twins.items()}
        if not twins:
            fixed[own] = value
    return fixed, starts


def check_effect(experiments: Sequence[Prepared], chosen: Sequence[Parameter]) -> None:
    """Refuse parameters that act on no process of any experiment (`InputError`)."""
    names = ", ".join(one.name for one in experiments)
    for parameter in chosen:
        if not any(acts_on(parameter, t) for one in experiments for t in one.templates):
            raise InputError(f"{parameter.name} has no effect on {names}{_hint(parameter)}")
    _check_radii(experiments, chosen)


def _nuclides(parameter: Parameter) -> set[str]:
    """Nuclides whose neutron radius a parameter is."""
    return {f.variable[2:] for f in parameter.feeds if f.variable.startswith("x_")}


def _hint(parameter: Parameter) -> str:
    if any({*feed.flavours} & set(MASS_STATES) for feed in parameter.feeds):
        return "; of the Sun only sources with coherence = true have mass states"
    if not _nuclides(parameter):
        return ""
    return "; only analyses with neutron_radius = true are expanded in it (nuhf show EXP)"


def _check_radii(experiments: Sequence[Prepared], chosen: Sequence[Parameter]) -> None:
    """Refuse a neutron radius that would move one experiment and not another with the nuclide."""
    for parameter in chosen:
        for one in experiments:
            shared = _nuclides(parameter) & one.loaded.nuclides
            if shared and not any(acts_on(parameter, t) for t in one.templates):
                raise InputError(
                    f"{parameter.name}: analysis '{one.loaded.analysis_name}' of {one.name} holds "
                    f"the neutron radius of {', '.join(sorted(shared))} fixed{_hint(parameter)}"
                )


def _check_directions(experiments: Sequence[Prepared], free: Sequence[Parameter]) -> None:
    """Refuse parameters that are one direction: sin2thetaW beside the radii of all flavours."""
    rows: dict[tuple[str, str, str], dict[str, float]] = {}
    linear = [p for p in free if p.interferes and not p.strength_of]
    for one in experiments:
        for signal in one.templates:
            for flavour in set(signal.flavours.values()):
                for parameter in linear:
                    convention = next(iter(sorted(parameter.conventions)), "")
                    for (partner, variable), factor in parameter.acts(
                        flavour, convention, signal.mixture
                    ).items():
                        if variable in signal.variables:
                            key = flavour, partner, variable
                            rows.setdefault(key, {})[parameter.name] = factor * parameter.scale
    matrix = np.array([[row.get(p.name, 0.0) for p in linear] for row in rows.values()])
    if not linear or not rows:
        return
    lengths = np.sqrt((matrix**2).sum(axis=0))
    _, singular, directions = np.linalg.svd(matrix / lengths)
    weights = directions[int((singular > _SAME).sum()) :]
    if weights.size:
        names = [p.name for p, w in zip(linear, np.abs(weights[0]), strict=True) if w > _SAME]
        raise InputError(
            f"{', '.join(names)} together are one direction here: leave one of them out"
        )


def refuse_absurd(
    region: Region, signal: Iterable[FloatArray], values: Mapping[Parameter, float]
) -> None:
    """Refuse fixed values that no data could allow: a slip of the unit, and a fit without end.

    ``signal`` has the events (n_bins,) of every part of the signal at the ``values``, which are in
    base units: more than 1000 times those that were seen, and 30 for a small number, are too many.
    """
    events = sum(float(np.abs(counts).sum()) for counts in signal)
    if values and events > _ABSURD * (region.events + _FEW):
        given = ", ".join(f"{p.name} = {value:g} {p.unit}" for p, value in values.items())
        raise InputError(
            f"{given} gives {events:.2g} events in {region.name}, where {region.events:.0f} were "
            "seen; values are in base units: e, mu_B, cm2, 1"
        )


def _correlations(experiments: Sequence[Prepared]) -> dict[tuple[str, ...], FloatArray]:
    """Matrices of all analyses by names; those of two analyses are one if they are equal."""
    found: dict[tuple[str, ...], FloatArray] = {}
    for one in experiments:
        known = {
            n.name for n in one.loaded.nuisances if not isinstance(n, FreeNuisance | BinNuisance)
        }
        for group in one.loaded.analysis.correlations:
            where = f"{one.name}: analyses.{one.loaded.analysis_name}.correlations"
            if wrong := [name for name in group.names if name not in known]:
                hint = parameters.suggest(wrong[0], sorted(known))
                raise InputError(f"{where}: '{wrong[0]}' is no constrained nuisance; {hint}")
            matrix = np.array(group.matrix)
            if not np.array_equal(found.setdefault(group.names, matrix), matrix):
                raise InputError(f"{where}: another matrix than in another experiment")
    return found


def _held(made: Channel, region: Region, free: Sequence[Parameter]) -> list[FloatArray]:
    """Events of the parts of the signal that no free coupling multiplies; strengths are at one."""
    processes = {templates.process for templates in region.signals}
    moving = {p.fit_name for p in free if not p.strength_of}
    return [
        sample.counts / made.scale
        for sample in made.samples
        if sample.process in processes and not moving & set(sample.powers)
    ]


def describe(
    experiments: Sequence[Prepared],
    floated: Sequence[str],
    values: Mapping[str, float] | None = None,
    anapole: str = "standard",
) -> Description:
    """Describe the model of one experiment, or of several together.

    Nuisances of equal name are one nuisance, in whichever experiment they act. The first of the
    free parameters is the one of interest; others are fixed at ``values`` in base units, the rest
    at the reference of each analysis, zero where it names none. ``anapole`` is ``standard`` or
    ``khan``. `InputError` for unknown, degenerate or ineffective parameters, values that give an
    absurd number of events, or an experiment given twice.
    """
    if not floated:
        raise InputError("name at least one parameter")
    free = [parameters.get(name) for name in floated]
    parameters.check_values(values or {})
    fixed = {parameters.get(name): value for name, value in (values or {}).items()}
    both = [p.name for p in free if p in fixed]
    if both:
        raise InputError(f"{both[0]} is both free and set to a value")
    names = [one.name for one in experiments]
    if len(set(names)) != len(names):
        raise InputError(f"an experiment is given twice: {', '.join(names)}")
    chosen = [*free, *fixed]
    check_together(chosen)
    check_effect(experiments, chosen)
    _check_directions(experiments, free)
    starts: dict[Parameter, float] = {}
    channels: list[Channel] = []
    for one in experiments:
        rest, begin = reference_values(one, chosen, anapole)
        starts = {**begin, **starts}
        held = {**rest, **fixed}
        norms, factors = _norms_and_factors(one.loaded)
        for region in one.regions:
            channels.append(channel(region, free, held, anapole, norms, factors))
            refuse_absurd(region, _held(channels[-1], region, free), held)
    title = "_".join(f"{one.name}_{one.loaded.analysis_name}" for one in experiments)
    return Description(
        title.replace("-", "_"),
        # as pyhf orders the bins
        tuple(sorted(correlated(channels, _correlations(experiments)), key=lambda c: c.name)),
        couplings(free, channels, starts, _limits(experiments)),
        _free(experiments),
    )
