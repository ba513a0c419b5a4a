"""Catalogue of the parameters: those of all coupling models, by name.

A fit works with a number ``theta`` of order one whose name carries its unit, as pyhf parameters
should: ``qnu_ee`` in e becomes ``qnu_ee_em8`` in 1e-8 e, ``munu_e`` in mu_B becomes
``munu2_e_em18``, its square in 1e-18 mu_B^2.
"""

import difflib
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import cache
from importlib.metadata import entry_points
from typing import Final

from nuhf.couplings import (
    dipole_portal,
    electromagnetic,
    equivalent_photons,
    light_scalar,
    light_vector,
    majorana,
    nsi,
    weak,
)
from nuhf.couplings.model import (
    FLAVOURS,
    CouplingModel,
    Group,
    Parameter,
    Variable,
    unit_suffix,
)
from nuhf.couplings.weak import RN_RANGE_FM, RN_REFERENCE_FM
from nuhf.errors import InputError

__all__ = [
    "FLAVOURS",
    "PARAMETERS",
    "RN_RANGE_FM",
    "RN_REFERENCE_FM",
    "Group",
    "Parameter",
    "check_values",
    "get",
    "group_of",
    "models",
    "suggest",
    "unit_suffix",
    "variables",
]

_LARGEST: Final = 1e12
"""Fit parameters are of order one; beyond this a value is a slip of the unit."""

_ENTRY_POINTS: Final = "nuhf.couplings"


@cache
def models() -> tuple[CouplingModel, ...]:
    """Return nuhf's models of couplings, and those that installed packages offer.

    They do so by entry points of the group ``nuhf.couplings``; names clash in an `InputError`.
    """
    modules = (
        weak, electromagnetic, majorana, nsi, light_vector, light_scalar, dipole_portal,
        equivalent_photons,
    )  # fmt: skip
    found = [module.MODEL for module in modules]
    for entry in entry_points(group=_ENTRY_POINTS):
        model = entry.load()
        if not isinstance(model, CouplingModel):
            raise InputError(f"entry point {entry.value} ({_ENTRY_POINTS}) is no CouplingModel")
        found.append(model)
    for what, names in (
        ("variable", [v.name for model in found for v in model.variables]),
        ("parameter", [p.name for model in found for p in model.parameters]),
        ("fit parameter", [p.fit_stem for model in found for p in model.parameters]),
    ):
        twice = [name for name in names if names.count(name) > 1]
        if twice:
            raise InputError(f"two models of couplings have the {what} '{twice[0]}'")
    return tuple(found)


@cache
def _parameters() -> dict[str, Parameter]:
    return {parameter.name: parameter for model in models() for parameter in model.parameters}


@cache
def variables() -> Mapping[str, Variable]:
    """Return the variables of all models by name."""
    return {variable.name: variable for model in models() for variable in model.variables}


class _Lazy(Mapping[str, Parameter]):
    """A mapping made at its first use: `import nuhf` loads no package of a user."""

    def __init__(self, make: Callable[[], Mapping[str, Parameter]]) -> None:
        self._make = make

    def __getitem__(self, name: str) -> Parameter:
        return self._make()[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._make())

    def __len__(self) -> int:
        return len(self._make())


PARAMETERS: Final[Mapping[str, Parameter]] = _Lazy(_parameters)
"""Every parameter by name."""


_MANY: Final = 30
_SHOWN: Final = 8
"""Of more names than the first number, a message shows as many as the second, nearest first."""


def suggest(word: str, allowed: Iterable[str]) -> str:
    """Return the end of an error message: near names, and the allowed ones, of many a few."""
    names = list(allowed)
    folded = {name.lower(): name for name in names}
    near = [folded[n] for n in difflib.get_close_matches(word.lower(), folded, n=2)]
    hint = f"did you mean {' or '.join(near)}? " if near else ""
    if len(names) <= _MANY:
        return f"{hint}allowed: {', '.join(names)}"
    shown = list(dict.fromkeys([*near, *names]))[:_SHOWN]
    return f"{hint}allowed: {', '.join(shown)} and {len(names) - _SHOWN} more"


def get(name: str) -> Parameter:
    """Look a parameter up by its name (`InputError` with the nearest names if there is none)."""
    if name not in PARAMETERS:
        raise InputError(f"unknown parameter '{name}'; {suggest(name, PARAMETERS)}")
    return PARAMETERS[name]


def group_of(name: str) -> Group | None:
    """Return the group of a parameter, or None for a name that is not in the catalogue."""
    return PARAMETERS[name].group if name in PARAMETERS else None


def check_values(values: Mapping[str, float]) -> None:
    """Refuse values in base units that a parameter cannot have (`InputError`).

    They are outside its limits, below its physical bound at 0, not finite, or larger than 1e12
    units of its fit parameter.
    """
    for name, value in values.items():
        parameter = get(name)
        if parameter.limits and not parameter.limits[0] <= value <= parameter.limits[1]:
            low, high = parameter.limits
            raise InputError(
                f"{name} = {value:g} {parameter.unit}: the model holds from {low:g} to {high:g}"
            )
        if parameter.one_sided and value < 0:
            raise InputError(f"{name} is not below 0, given: {value:g}")
        largest = _LARGEST * parameter.scale
        if not abs(value) <= largest ** (1.0 / parameter.power):
            raise InputError(
                f"{name} = {value:g} {parameter.unit} is far outside anything possible"
            )
