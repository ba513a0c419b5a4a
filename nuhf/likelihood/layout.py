"""What a model consists of besides numbers per sample: channels, parameters, constraints.

The order is pyhf's, so that points and data fit both. A layout comes from a pyhf model, or, for
what nuhf itself encodes, straight from the JSON: loading pyhf takes longer than most limits.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final, Literal

import numpy as np

from nuhf.arrays import FloatArray
from nuhf.errors import ModelError

if TYPE_CHECKING:
    import pyhf

Json = Mapping[str, Any]

PER_BIN: Final = ("shapefactor", "shapesys", "staterror")
"""Modifiers with a value per bin."""

_SUPPORTED: Final = ("histosys", "lumi", "normfactor", "normsys", "powerfactor", *PER_BIN)
_PULLED: Final = ("histosys", "normsys")
_FACTORS: Final = ("normfactor", "powerfactor")
_NATIVE: Final = ("histosys", "normfactor", "normsys", "powerfactor")
"""Modifiers of nuhf's own encoding, in the order in which pyhf collects their parameters."""


@dataclass(frozen=True)
class ParameterSet:
    """A parameter, or the parameters of a modifier that has one per bin and is not ``scalar``.

    There are a starting value, bounds and whether it is held for each of them; of a constraint
    also auxiliary data and ``widths``, which are the factors of a Poisson one.
    """

    name: str
    inits: tuple[float, ...]
    bounds: tuple[tuple[float, float], ...]
    fixed: tuple[bool, ...]
    constraint: Literal["none", "normal", "poisson"] = "none"
    auxdata: tuple[float, ...] = ()
    widths: tuple[float, ...] = ()
    scalar: bool = True

    @property
    def size(self) -> int:
        """Number of parameters."""
        return len(self.inits)

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the parameters, with an index where there is one per bin."""
        if self.scalar:
            return (self.name,)
        return tuple(f"{self.name}[{i}]" for i in range(self.size))


@dataclass(frozen=True)
class Layout:
    """Channels, as in the JSON, parameters and constraints of a model.

    ``bins`` has their number by channel, in the order of the counts; ``auxdata_order`` the names of
    constrained parameters in the order of the auxiliary data.
    """

    content: Sequence[Json]
    bins: Mapping[str, int]
    sets: tuple[ParameterSet, ...]
    auxdata_order: tuple[str, ...]

    @property
    def n_main(self) -> int:
        """Number of bins of all channels."""
        return sum(self.bins.values())

    @cached_property
    def by_name(self) -> dict[str, ParameterSet]:
        """The parameter sets by name."""
        return {one.name: one for one in self.sets}

    @cached_property
    def starts(self) -> dict[str, int]:
        """Position of the first parameter of each set."""
        ends = np.cumsum([one.size for one in self.sets]).tolist()
        return {one.name: end - one.size for one, end in zip(self.sets, ends, strict=True)}

    @cached_property
    def places(self) -> dict[str, slice]:
        """Bins of each channel."""
        ends = np.cumsum(list(self.bins.values())).tolist()
        pairs = zip(self.bins.items(), ends, strict=True)
        return {name: slice(end - number, end) for (name, number), end in pairs}

    @property
    def names(self) -> tuple[str, ...]:
        """Names of all parameters."""
        return tuple(name for one in self.sets for name in one.names)

    @property
    def sizes(self) -> dict[str, int]:
        """Number of values of every parameter set."""
        return {one.name: one.size for one in self.sets}

    @property
    def auxdata(self) -> FloatArray:
        """Auxiliary data, (n_aux,)."""
        return np.array([x for name in self.auxdata_order for x in self.by_name[name].auxdata])

    def modifiers(self) -> Iterator[tuple[Json, Json, Json]]:
        """Yield channel, sample and modifier of each modifier."""
        for channel in self.content:
            for sample in channel["samples"]:
                for modifier in sample["modifiers"]:
                    yield channel, sample, modifier


def layout_of(model: "pyhf.pdf.Model") -> Layout:
    """Return the layout of a pyhf model.

    `ModelError` if it has a modifier or an interpolation that the compiler does not know, or clips.
    """
    config = model.config
    for kind, code in (("normsys", "code4"), ("histosys", "code4p")):
        given = config.modifier_settings.get(kind, {}).get("interpcode", "pyhf's fallback")
        if given != code and any(mtype == kind for _, mtype in config.modifiers):
            raise ModelError(f"{kind} with interpolation {given}; compiled models need {code}")
    if model.main_model.clip_sample_data is not None or model.main_model.clip_bin_data is not None:
        raise ModelError("the model clips its expectations; compiled models do not")
    for name, mtype in config.modifiers:
        if mtype not in _SUPPORTED:
            raise ModelError(
                f"modifier '{name}' has type '{mtype}'; compiled models know {list(_SUPPORTED)}"
            )
    return Layout(
        content=model.spec["channels"],
        bins={name: int(config.channel_nbins[name]) for name in config.channels},
        sets=tuple(_set_of(name, config.param_set(name)) for name in config.par_order),
        auxdata_order=tuple(config.auxdata_order),
    )


def _set_of(name: str, parset: Any) -> ParameterSet:
    normal = parset.constrained and parset.pdf_type == "normal"
    widths = parset.width() if normal else parset.factors if parset.constrained else ()
    return ParameterSet(
        name=name,
        inits=tuple(float(x) for x in parset.suggested_init),
        bounds=tuple((float(low), float(high)) for low, high in parset.suggested_bounds),
        fixed=tuple(bool(x) for x in parset.suggested_fixed),
        constraint="normal" if normal else "poisson" if parset.constrained else "none",
        auxdata=tuple(float(x) for x in parset.auxdata) if parset.constrained else (),
        widths=tuple(float(x) for x in widths),
        scalar=bool(parset.is_scalar),
    )


def native_layout(spec: Json) -> Layout:
    """Return the layout of a workspace that nuhf has encoded as ``native``, as pyhf would.

    It is not held against the schema. A test compares it with `layout_of` for all experiments.
    `ModelError` if it has a modifier that nuhf does not encode, one name has two meanings, or
    nothing depends on the parameter of interest.
    """
    config = spec["measurements"][0]["config"]
    settings = {entry["name"]: entry for entry in config["parameters"]}
    found: dict[str, dict[str, None]] = {kind: {} for kind in _NATIVE}
    for name, kind in _in_order(spec["channels"]):
        if kind not in found:
            raise ModelError(
                f"modifier '{name}' has type '{kind}'; the native encoding knows {list(_NATIVE)}"
            )
        found[kind][name] = None
    pulled, factors = ({n for kind in kinds for n in found[kind]} for kinds in (_PULLED, _FACTORS))
    for name in sorted(pulled & factors):
        raise ModelError(f"parameter '{name}' is a nuisance with a constraint and a free factor")
    order = dict.fromkeys(name for kind in _NATIVE for name in found[kind])
    if config["poi"] not in order:
        raise ModelError(f"nothing depends on the parameter of interest '{config['poi']}'")
    sets = tuple(_native_set(name, name in pulled, settings.get(name, {})) for name in order)
    return Layout(
        content=spec["channels"],
        bins=dict(sorted((c["name"], len(c["samples"][0]["data"])) for c in spec["channels"])),
        sets=sets,
        auxdata_order=tuple(one.name for one in sets if one.constraint != "none"),
    )


def _in_order(channels: Sequence[Json]) -> Iterator[tuple[str, str]]:
    """Yield name and type of all modifiers as pyhf meets them: all levels sorted."""
    for channel in sorted(channels, key=lambda c: str(c["name"])):
        for sample in sorted(channel["samples"], key=lambda s: str(s["name"])):
            yield from sorted((m["name"], m["type"]) for m in sample["modifiers"])


def _native_set(name: str, pulled: bool, setting: Json) -> ParameterSet:
    inits = setting.get("inits", [0.0 if pulled else 1.0])
    bounds = setting.get("bounds", [(-5.0, 5.0) if pulled else (0.0, 10.0)])
    return ParameterSet(
        name=name,
        inits=tuple(float(x) for x in inits),
        bounds=tuple((float(low), float(high)) for low, high in bounds),
        fixed=(bool(setting.get("fixed", False)),),
        constraint="normal" if pulled else "none",
        auxdata=(0.0,) if pulled else (),
        widths=(1.0,) if pulled else (),
    )
