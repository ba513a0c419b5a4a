"""Chart of intervals by experiment and flavour, with those of the literature."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from nuhf.arrays import FloatArray
from nuhf.couplings.parameters import Group, get
from nuhf.errors import InputError
from nuhf.plots.figures import _COLOURS, _exponent, _figure, _in_unit, _plain_axes
from nuhf.units import percent


@dataclass(frozen=True)
class Bound:
    """Interval of one coupling, whose group is the panel, from one experiment, a bar.

    All pieces are in the base unit; those of a modulus start at 0. The role is one of `ROLES`.
    """

    parameter: str
    experiment: str
    pieces: tuple[tuple[float, float], ...]
    role: str = "ours"


ROLES: Final[Mapping[str, str]] = {
    "ours": "nuhf, one experiment", "combined": "nuhf, experiments combined",
    "future": "nuhf, expected (Asimov)", "literature": "literature",
    "second-hand": "literature, second-hand", "unverified": "literature, recalled: UNVERIFIED",
}  # fmt: skip
"""What stands behind a bound, and its words in the legend."""

_QUOTED: Final[Mapping[str, Mapping[str, str]]] = {
    "second-hand": {"marker": "o", "ls": "-"}, "unverified": {"marker": "s", "ls": ":"},
}  # fmt: skip

_COMMON: Final = "one for all\nflavours"
_ALONE: Final = "this flavour\nalone"

_SPREAD: Final = 30.0
"""Ratio of the widest to the narrowest interval from which a signed axis is logarithmic."""


def summary(bounds: Sequence[Bound], title: str = "", cl: float = 0.9, caption: str = "") -> Figure:
    """Draw intervals as horizontal bars, one panel per group of couplings, side by side.

    Moments are on a logarithmic axis, where a bar from zero starts at the left edge; others on one
    that is linear around zero and logarithmic outside, or linear if their sizes are alike.
    Combined bounds are black, expected ones dashed, those of the literature thin and grey: second-
    hand ones with hollow circles, UNVERIFIED ones dotted with hollow squares. The caption is above
    the legend.
    """
    _check(bounds)
    kinds = sorted({get(bound.parameter).group for bound in bounds}, key=panel_order)
    groups = {
        kind: _grouped([b for b in bounds if get(b.parameter).group == kind]) for kind in kinds
    }
    height = max(_height(group) for group in groups.values())
    figure = _figure(5.2 * len(kinds), 0.17 * height + 1.7)
    panels = figure.subplots(1, len(kinds), squeeze=False)[0]
    colours = _flavour_colours(bounds)
    for axes, (kind, group) in zip(panels, groups.items(), strict=True):
        _panel(axes, kind, group, colours, cl)
        # bars are equally thick in all panels
        axes.set_ylim(-height, 0.0)
    roles = [role for role in ROLES if any(bound.role == role for bound in bounds)]
    figure.legend(handles=[_handle(role) for role in roles], loc="outside lower center",
                  frameon=False, fontsize=8.5, ncols=len(roles), title=caption or None,
                  title_fontsize=8.5)  # fmt: skip
    if title:
        figure.suptitle(title, fontsize=10.5)
    return figure


def _style(role: str, colour: str) -> dict[str, Any]:
    """How the bar of a role is drawn; ``colour`` is that of its flavour."""
    if role == "literature":
        return {"color": "#777777", "lw": 1.6, "marker": "|", "ms": 6}
    if role in _QUOTED:
        return {"color": "#777777", "lw": 1.2, "mfc": "white", "ms": 4.5, **_QUOTED[role]}
    if role == "future":
        return {"color": colour, "lw": 1.4, "ls": (0, (2.0, 1.0)), "marker": "|", "ms": 5}
    return {"color": "black" if role == "combined" else colour, "lw": 5, "solid_capstyle": "butt"}


def _handle(role: str) -> Line2D:
    return Line2D([], [], label=ROLES[role], **_style(role, _COLOURS[0]))


def _flavour_colours(bounds: Sequence[Bound]) -> dict[str, str]:
    """Give every flavour its colour; ``e`` of a moment and ``ee`` of a charge share theirs."""
    chosen: dict[str, str] = {}
    for name in dict.fromkeys(bound.parameter for bound in bounds):
        chosen.setdefault(_flavour(name), _COLOURS[len(chosen) % len(_COLOURS)])
    return {bound.parameter: chosen[_flavour(bound.parameter)] for bound in bounds}


def panel_order(group: Group) -> tuple[bool, int]:
    """Return the place of a group among the panels: moduli first."""
    return not group.modulus, group.order


def _flavour(name: str) -> str:
    """Return the flavour at the end of the name of a parameter; ``e`` for ``ee``."""
    flavour = name.rpartition("_")[2]
    half = flavour[: len(flavour) // 2]
    return half if half + half == flavour else flavour


def _check(bounds: Sequence[Bound]) -> None:
    if not bounds:
        raise InputError("summary: no bounds are given")
    for bound in bounds:
        here = f"summary: {bound.parameter}, {bound.experiment}"
        if bound.role not in ROLES:
            raise InputError(f"{here}: no role '{bound.role}'; allowed: {', '.join(ROLES)}")
        if not bound.pieces or any(not low < high for low, high in bound.pieces):
            raise InputError(f"{here}: pieces are pairs, the lower end first: {bound.pieces}")
        if get(bound.parameter).squared and bound.pieces[0][0] < 0.0:
            raise InputError(f"{here}: a modulus is not below 0")


def _grouped(bounds: Sequence[Bound]) -> dict[str, list[Bound]]:
    found: dict[str, list[Bound]] = {}
    for bound in bounds:
        found.setdefault(bound.parameter, []).append(bound)
    return found


def _height(group: Mapping[str, Sequence[Bound]]) -> float:
    """Height of a panel in units of one bar: a gap of one bar between flavours."""
    return sum(len(rows) for rows in group.values()) + 1.0 * len(group)


def _panel(
    axes: Axes,
    kind: Group,
    group: Mapping[str, Sequence[Bound]],
    colours: Mapping[str, str],
    cl: float,
) -> None:
    every = [bound for rows in group.values() for bound in rows]
    ends = np.array([end for bound in every for piece in bound.pieces for end in piece])
    outer = np.array([max(abs(end) for piece in b.pieces for end in piece) for b in every])
    exponent = _set_scale(axes, kind, ends, outer)
    scale = 10.0**exponent
    ticks, labels, y = [], [], 0.0
    common = any(get(name).contains for name in group)
    for number, (name, rows) in enumerate(group.items()):
        if number:
            axes.axhline(y, color="#dddddd", lw=0.7)
            y -= 1.0
        else:
            y -= 0.7
        middle = y - 0.5 * (len(rows) - 1)
        _name_group(axes, f"${get(name).symbol}$", middle, colours[name], 0)
        if common:
            words = _COMMON if get(name).contains else _ALONE
            _name_group(axes, words, middle, colours[name], 1)
        for bound in rows:
            _bar(axes, bound, y, scale, colours[name])
            ticks.append(y)
            labels.append(bound.experiment)
            y -= 1.0
    axes.set_yticks(ticks, labels, fontsize=7.5)
    unit = _in_unit(get(every[0].parameter).unit, exponent)
    axes.set_xlabel(f"${kind.symbol}${unit}, {percent(cl)} % CL", fontsize=9)
    axes.set_title(kind.title.lower(), fontsize=9.5, loc="left")
    _plain_axes(axes)
    axes.tick_params(axis="y", length=0)
    axes.tick_params(axis="x", labelsize=8)
    axes.grid(axis="x", color="#e6e6e6", lw=0.6)
    axes.set_axisbelow(True)


def _name_group(axes: Axes, text: str, y: float, colour: str, below: int) -> None:
    """Write the symbol of a parameter, or words below it, to the right of its bars."""
    axes.annotate(text, (1.0, y), xycoords=("axes fraction", "data"), xytext=(5, -22 * below),
                  textcoords="offset points", va="center", color=colour,
                  fontsize=7 if below else 11)  # fmt: skip


def _set_scale(axes: Axes, kind: Group, ends: FloatArray, outer: FloatArray) -> int:
    """Set the scale of the axis and return the power of ten in its label."""
    largest, smallest = float(outer.max()), float(outer.min())
    if kind.modulus:
        axes.set_xscale("log")
        axes.set_xlim(10.0 ** np.floor(np.log10(0.5 * smallest)), 2.0 * largest)
        return 0
    axes.axvline(0.0, color="#999999", lw=0.8)
    if largest > _SPREAD * smallest:
        # linear within the narrowest interval, so that every bar ends in the decades
        linear = 10.0 ** np.floor(np.log10(smallest))
        axes.set_xscale("symlog", linthresh=linear, linscale=0.6)
        axes.set_xlim(-2.0 * largest, 2.0 * largest)
        _thin_ticks(axes, linear, largest)
        return 0
    exponent = _exponent(ends)
    low, high = min(float(ends.min()), 0.0), max(float(ends.max()), 0.0)
    margin = 0.05 * (high - low)
    axes.set_xlim((low - margin) / 10.0**exponent, (high + margin) / 10.0**exponent)
    return exponent


def _thin_ticks(axes: Axes, linear: float, largest: float) -> None:
    """At most four decades on each side, none next to zero, where the labels would overlap."""
    first, last = round(np.log10(linear)), int(np.floor(np.log10(2.0 * largest)))
    step = max(1, -(-(last - first + 1) // 4))
    powers = [10.0**p for p in range(last, first, -step)][::-1]
    axes.set_xticks([*(-p for p in reversed(powers)), 0.0, *powers])
    axes.minorticks_off()


def _bar(axes: Axes, bound: Bound, y: float, scale: float, colour: str) -> None:
    left = axes.get_xlim()[0]
    for low, high in bound.pieces:
        # on a logarithmic axis a bar from zero starts at the edge
        start = max(low / scale, left) if axes.get_xscale() == "log" else low / scale
        # the lower end of a modulus is no bound
        marked = [1] if bound.role in _QUOTED and low == 0.0 else None
        axes.plot([start, high / scale], [y, y], gid=bound.role, markevery=marked,
                  **_style(bound.role, colour))  # fmt: skip
