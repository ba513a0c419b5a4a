"""From a loaded experiment to its regions: built, checked, in the variables of a question."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from nuhf.arrays import FloatArray
from nuhf.couplings import parameters
from nuhf.couplings.model import PAIRS, TRANSITION_PHASE
from nuhf.errors import InputError
from nuhf.experiments.build import build_regions
from nuhf.experiments.catalogue import Loaded
from nuhf.experiments.data import Asimov
from nuhf.experiments.region import Prepared, Region

_FRACTION: Final = 1e-6
"""Of a count: rounding of a table."""

_NOTHING: Final = 1e-9
"""Events in a bin."""

MAX_BINS: Final = 100_000
"""Of one region, all axes together."""


def prepare(loaded: Loaded) -> Prepared:
    """Build templates, backgrounds and data of an experiment.

    `InputError` as `nuhf.experiments.build.build_regions`, or if a number that comes out is
    impossible.
    """
    try:
        return check(Prepared(loaded, build_regions(loaded), loaded.inputs.records))
    except InputError as error:
        # what lies below knows keys, tables and numbers, but not of which experiment
        if str(error).startswith(str(loaded.path)):
            raise
        raise InputError(f"{loaded.path}: {error}") from error


# ----------------------------------------------- the variables of a question


def expanded(
    experiments: Sequence[Prepared], names: Sequence[str], settings: Mapping[str, float]
) -> Sequence[Prepared]:
    """Return experiments whose templates are expanded in what some parameters feed.

    `InputError` if a parameter needs a setting that is not given, or one is given that none needs.
    """
    needed: dict[str, str] = {}
    sources = [s for one in experiments for s in one.loaded.experiment.sources.values()]
    angles = [name for source in sources for name in source.angles]
    for model in parameters.models():
        entries = {p.name for p in model.parameters} & set(names)
        needed |= {setting: min(entries) for setting in model.settings if entries}
        angles += model.angles if entries else ()
    stated = [one.loaded.experiment.physics.settings for one in experiments]
    for setting, name in needed.items():
        if setting not in settings and not all(setting in own for own in stated):
            raise InputError(f"{name} needs a value of the setting {setting}")
    given = [pair for numbers in (settings, *stated) for pair in numbers.items()]
    for setting, value in given:
        if setting in settings and setting not in (*needed, *angles):
            raise InputError(
                f"no parameter here has a setting '{setting}'; "
                f"{parameters.suggest(setting, [*needed, *dict.fromkeys(angles)] or ['none'])}"
            )
        if not 0.0 <= (abs(value) if setting in angles else value) < np.inf:
            raise InputError(f"{setting} = {value:g}: give a number that is not negative")
    phases = [getattr(source, TRANSITION_PHASE, 0.0) for source in sources]
    _check_phase(names, [*given, *((TRANSITION_PHASE, phase) for phase in phases)])
    found = []
    for one, own in zip(experiments, stated, strict=True):
        moved = (parameters.get(n) for n in (*names, *one.loaded.analysis.reference))
        fed = dict.fromkeys(feed.variable for parameter in moved for feed in parameter.feeds)
        wanted = tuple(v for v in fed if v in parameters.variables())
        numbers = {n: v for n, v in {**own, **settings}.items() if n in (*needed, *angles)}
        more = replace(one.loaded, variables=wanted, settings=numbers)
        usual = set(wanted) <= set(one.loaded.variables)
        found.append(one if usual and not settings else prepare(more))
    return found


def _check_phase(names: Sequence[str], given: Sequence[tuple[str, float]]) -> None:
    """Refuse different transitions of one phase: their product has another one."""
    phase = next((value for name, value in given if name == TRANSITION_PHASE and value), 0.0)
    joined = {
        flavour: name
        for name in names
        for feed in parameters.get(name).feeds
        for flavour in feed.flavours
        if flavour in PAIRS
    }
    if phase and len(joined) > 1:
        raise InputError(
            f"{TRANSITION_PHASE} = {phase:g}: {' and '.join(joined.values())} together would need "
            "a phase each; float one of them"
        )


# ---------------------------------------------------------- possible numbers


def check(prepared: Prepared) -> Prepared:
    """Return the experiment if its regions can be fitted.

    `InputError` if a region has more than 100 000 bins, or a number in it is not finite; if counts
    or, in a region of counts, backgrounds are negative; if measured counts are no whole numbers; if
    the error of a Gaussian region is not positive. With file, region, what it is, and the bin. If a
    region has no process, or its bins are where no signal is.
    """
    path, sections = prepared.loaded.path, prepared.loaded.experiment.regions.values()
    # an expectation that stands for the data has fractions of a count
    asimov = any(isinstance(section.data, Asimov) for section in sections)
    for region in prepared.regions:
        where = f"{path}: region '{region.name}'"
        if region.observed.size > MAX_BINS:
            raise InputError(f"{where}: {region.observed.size} bins; at most {MAX_BINS} are taken")
        for what, row in _rows(region):
            _refuse(~np.isfinite(row), f"{where}: {what}", row, ", no finite number")
        if region.sigma is None:
            for what, row in [("observed", region.observed), *region.backgrounds.items()]:
                _refuse(row < 0, f"{where}: {what}", row, ", negative")
        else:
            sigma = region.sigma
            _refuse(sigma <= 0, f"{where}: the error", sigma, "; it must be positive")
        if region.sigma is None and not asimov:
            off = np.abs(region.observed - np.rint(region.observed)) > _FRACTION
            words = "statistic 'poisson' needs counts, 'gaussian' takes any number with an error"
            _refuse(off, f"{where}: observed", region.observed, f", no whole number; {words}")
        _check_processes(where, prepared, region)
    return prepared


def _refuse(bad: NDArray[np.bool_], what: str, row: FloatArray, fault: str) -> None:
    if np.any(bad):
        bin_ = int(np.argmax(bad))
        raise InputError(f"{what} in bin {bin_} is {row[bin_]:g}{fault}")


def _check_processes(where: str, prepared: Prepared, region: Region) -> None:
    """Refuse a region that nothing explains, and one that no signal reaches."""
    if not region.signals and not region.backgrounds:
        key = f"analyses.{prepared.loaded.analysis_name}.backgrounds"
        raise InputError(f"{where} has no process: it sees no signal, and {key} names none for it")
    lost = [signal.process for signal in region.signals if _is_nothing(signal.nominal)]
    # a process may be absent where another is, but variations are relative to its size
    varied = [
        f"{signal.process} with nuisance '{nuisance}' {direction}"
        for signal in region.signals
        for (nuisance, direction), templates in signal.varied.items()
        if _is_nothing(templates)
    ]
    if (lost and len(lost) == len(region.signals)) or varied:
        spans = " and ".join(
            f"from {axis.edges[0]:g} to {axis.edges[-1]:g} {axis.unit or axis.quantity}"
            for axis in region.axes
        )
        what = ", ".join(lost or varied[:1])
        raise InputError(f"{where} expects no signal ({what}): its bins go {spans}")


def _is_nothing(templates: Mapping[str, Mapping[str, FloatArray]]) -> bool:
    rows = [row for monomials in templates.values() for row in monomials.values()]
    return all(float(np.abs(row).max()) < _NOTHING for row in rows)


def _rows(region: Region) -> Iterator[tuple[str, FloatArray]]:
    """Everything of a region that has one number per bin, with its name in words."""
    yield "observed", region.observed
    if region.sigma is not None:
        yield "the error", region.sigma
    for name, row in region.backgrounds.items():
        yield f"background '{name}'", row
    for name, variations in region.variations.items():
        for nuisance, pair in variations.items():
            for row in pair:
                yield f"background '{name}' with nuisance '{nuisance}'", row
    for signal in region.signals:
        for templates in (signal.nominal, *signal.varied.values()):
            for source, monomials in templates.items():
                for monomial, row in monomials.items():
                    yield f"process '{signal.process}', {source}, {monomial}", row
