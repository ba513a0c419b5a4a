"""What names in a pyhf file say: units, couplings, processes, and which channels are ours."""

import re
from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any, Final

from nuhf.couplings.parameters import PARAMETERS, Parameter

Json = Mapping[str, Any]

FORBIDDEN: Final = ("mu", "lumi", "mu_SIG")
"""Names of other people's workspaces, where an equal name means full correlation."""

_UNIT: Final = re.compile(r"(?P<stem>.+)_e(?P<sign>[mp])(?P<power>[0-9]{1,3})")
_GRID: Final = re.compile(r"signal(?:_(?P<process>[A-Za-z0-9_]+)_[0-9]+)?")
_SIGNAL: Final = re.compile(
    r"(?P<process>(?:cevns|eves)(?:_[a-z0-9]+)*?)_(?:e|mu|tau)(?P<rest>_.+)?"
)


@cache
def _stems() -> Mapping[str, Parameter]:
    return {parameter.fit_stem: parameter for parameter in PARAMETERS.values()}


def split_unit(name: str) -> tuple[str, int]:
    """Split a name into stem and power of ten: ``qnu_ee_em8`` into ``qnu_ee``, -8.

    A name without a unit has the power 0 (the inverse of `nuhf.couplings.parameters.unit_suffix`).
    """
    match = _UNIT.fullmatch(name)
    if match is None:
        return name, 0
    power = int(match["power"])
    return match["stem"], -power if match["sign"] == "m" else power


def coupling(name: str) -> Parameter | None:
    """Return the parameter of the catalogue that a fit parameter stands for, in any unit."""
    return _stems().get(split_unit(name)[0])


def modifiers(channels: list[Any]) -> Iterator[tuple[Json, Json, Json]]:
    """Yield (channel, sample, modifier) of all modifiers."""
    for channel in channels:
        for sample in channel["samples"]:
            for modifier in sample["modifiers"]:
                yield channel, sample, modifier


def kinds(channels: list[Any]) -> dict[str, set[str]]:
    """Return the types of the modifiers of every parameter, by its name."""
    found: dict[str, set[str]] = {}
    for _, _, modifier in modifiers(channels):
        found.setdefault(modifier["name"], set()).add(modifier["type"])
    return found


def is_monomial(sample: str, modifier: Json) -> bool:
    """Tell whether a sample is our monomial of this parameter, so that its unit can be changed.

    That is a ``normfactor`` or ``powerfactor`` on a sample that we named after it.
    """
    if modifier["type"] not in ("normfactor", "powerfactor"):
        return False
    if coupling(modifier["name"]) is None:
        return False
    power = modifier["data"]["exponent"] if modifier["type"] == "powerfactor" else 1
    pattern = rf"_{re.escape(modifier['name'])}(?:_pow([0-9]+))?(?=_|$)"
    match = re.search(pattern, sample)
    return match is not None and int(match[1] or 1) == power


def _signal(sample: str) -> str | None:
    """Return the process of a sample that is named as we name signals, or None."""
    match = _SIGNAL.fullmatch(sample)
    if match is None:
        return None
    rest = (match["rest"] or "_").removeprefix("_")
    if rest and not any(rest.startswith(stem) for stem in _stems()):
        return None
    return match["process"]


def ours(channel: Json) -> bool:
    """Tell whether nuhf wrote a channel: it has couplings of the catalogue or SM signals."""
    for sample in channel["samples"]:
        if _signal(sample["name"]) is not None:
            return True
        for modifier in sample["modifiers"]:
            known = coupling(modifier["name"])
            if modifier["type"] == "powerfactor" or (known and not known.strength_of):
                return True
    return False


def process(channel: Json, sample: str) -> str:
    """Return the process a sample is a part of.

    In our channels this joins flavours, monomials, factors of the stock encoding, and the samples
    ``signal`` of patch sets, which hold the difference to the SM. Elsewhere it is the sample.
    """
    if not ours(channel):
        return sample
    grid = _GRID.fullmatch(sample)
    if grid is not None:
        found = (_signal(other["name"]) for other in channel["samples"])
        return grid["process"] or next((name for name in found if name is not None), sample)
    return _signal(sample) or sample
