"""Templates in the variables that a question asks for."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from nuhf.couplings import parameters
from nuhf.couplings.model import PAIRS, TRANSITION_PHASE
from nuhf.errors import InputError
from nuhf.experiments.prepare import prepare
from nuhf.experiments.region import Prepared

__all__ = ["expanded"]


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
    angles = [name for one in experiments for source in one.loaded.experiment.sources.values()
              for name in source.angles]  # fmt: skip
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
    _check_phase(names, [*given, *(
        (TRANSITION_PHASE, getattr(source, TRANSITION_PHASE, 0.0))
        for one in experiments for source in one.loaded.experiment.sources.values()
    )])  # fmt: skip
    found = []
    for one in experiments:
        fed = [f.variable for n in (*names, *one.loaded.analysis.reference)
               for f in parameters.get(n).feeds]  # fmt: skip
        wanted = tuple(dict.fromkeys(v for v in fed if v in parameters.variables()))
        usual = set(wanted) <= set(one.loaded.variables)
        stated_here = one.loaded.experiment.physics.settings
        known = {*needed, *angles}
        numbers = {n: v for n, v in {**stated_here, **settings}.items() if n in known}
        more = replace(one.loaded, variables=wanted, settings=numbers)
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
