"""Index tables of a compiled model, and how they are made from the layout of a model.

The functions that evaluate them are in `nuhf.likelihood.evaluate`.
"""

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from nuhf.arrays import FloatArray
from nuhf.errors import ModelError
from nuhf.likelihood.layout import PER_BIN, Layout

if TYPE_CHECKING:
    from jax import Array as JaxArray

Array = TypeVar("Array", FloatArray, "JaxArray")
IntArray = NDArray[np.intp]
BoolArray = NDArray[np.bool_]

#: code4: coefficients a1..a6 from (hi - 1, lo - 1, hi log hi, -lo log lo, hi log^2 hi, lo log^2
#: lo): the polynomial joins the two exponentials at alpha = +-1 with two derivatives.
CODE4 = np.array(
    [
        [15, -15, -7, -7, 1, -1],
        [24, 24, -9, 9, 1, 1],
        [-10, 10, 10, 10, -2, 2],
        [-24, -24, 14, -14, -2, -2],
        [3, -3, -3, -3, 1, -1],
        [8, 8, -5, 5, 1, 1],
    ]
) / np.array([16.0])


@dataclass(frozen=True)
class BinFactors:
    """Per-bin factors of a staterror, shapesys or shapefactor: parameter k multiplies bin k.

    ``of_bin`` has the parameter of every bin of the model, one past the last where there is none.
    """

    params: IntArray
    bins: IntArray
    of_bin: IntArray


@dataclass(frozen=True)
class Slopes:
    """First derivatives of row weights by one parameter, split by group.

    Entry k is ``left[left_index[k]] * shape[shape_index[k]]`` and belongs to row ``rows[k]``;
    ``bounds[g]:bounds[g + 1]`` are those of group g, ``templates[g]`` their rows of M.
    """

    left_index: IntArray
    shape_index: IntArray
    rows: IntArray
    bounds: tuple[int, ...]
    templates: tuple[FloatArray, ...]


@dataclass(frozen=True)
class Curvatures:
    """Second derivatives: sum of ``factor * left * right`` per target (p, q), targets sorted.

    ``right`` holds the contracted rows of each cell, then ``rows`` times shape ``shapes``.
    """

    left: IntArray
    right: IntArray
    factor: FloatArray
    target_p: IntArray
    target_q: IntArray
    rows: IntArray
    shapes: IntArray


@dataclass(frozen=True)
class Tables:
    """Index tables from parameters to row weights (see the functions that read them).

    A cell is a unique (group, monomial, product of normsys); ``left`` lists the cells' values,
    then their first, then their second derivatives. ``shape`` lists 1, alpha, p(alpha),
    p'(alpha), p''(alpha) of the histosys parameters.
    """

    power_param: IntArray
    power_prev: IntArray
    mono_powers: IntArray
    norm_param: IntArray
    norm_poly: FloatArray
    norm_slopes: FloatArray
    norm_logs: FloatArray
    scale_members: IntArray
    left_factor: FloatArray
    left_mono: IntArray
    left_scale: IntArray
    left_logs: IntArray
    shape_param: IntArray
    row_cell: IntArray
    row_shape: IntArray
    cell_start: IntArray
    group_start: tuple[int, ...]
    matrix: FloatArray
    gammas: tuple[tuple[BinFactors, ...], ...]
    slopes: tuple[Slopes, ...]
    curvatures: Curvatures


@dataclass(frozen=True)
class Constraints:
    """Constraint terms: parameters, positions in the auxiliary data, widths or factors."""

    normal_param: IntArray
    normal_aux: IntArray
    normal_sigma: FloatArray
    poisson_param: IntArray
    poisson_aux: IntArray
    poisson_factor: FloatArray


@dataclass(frozen=True)
class _Cell:
    """What multiplies a sample.

    (type, name) of per-bin factors, (parameter, exponent) of the monomial, (parameter, lo, hi)
    of the normsys.
    """

    gammas: tuple[tuple[str, str], ...]
    mono: tuple[tuple[int, int], ...]
    norms: tuple[tuple[int, float, float], ...]


#: (0, -1) nominal; (1, p) linear and (2, p) even part of the histosys of parameter p.
_RowKey = tuple[int, int]
#: A factor, a monomial, and the normsys by which a cell has been differentiated.
_State = tuple[int, tuple[tuple[int, int], ...], tuple[int, ...]]


def build_tables(
    layout: Layout, samples: Collection[tuple[str, str]] | None = None
) -> tuple[Tables, Constraints]:
    """Tables and constraints of a model; ModelError if it has anything that cannot be compiled.

    With ``samples``, pairs of channel and name, all other samples are left out.
    """
    cells: dict[_Cell, dict[_RowKey, FloatArray]] = {}
    # Sorted by per-bin factors, so that the rows of one group are neighbours.
    for cell, rows in sorted(_samples(layout, samples), key=lambda item: item[0].gammas):
        merged = cells.setdefault(cell, {})
        for key, row in rows.items():
            merged[key] = merged[key] + row if key in merged else row
    if not cells and samples is None:
        raise ModelError("every sample is zero in every bin: nothing to compile")
    cells = cells or {_Cell((), (), ()): {(0, -1): np.zeros(layout.n_main)}}
    return _tables(cells, _gammas(layout), len(layout.names)), _constraints(layout)


def _samples(
    layout: Layout, chosen: Collection[tuple[str, str]] | None
) -> Iterator[tuple[_Cell, dict[_RowKey, FloatArray]]]:
    """Yield cell and rows of every (chosen) sample that is not zero everywhere."""
    n_main = layout.n_main
    for channel in layout.content:
        # As in pyhf, the last of equal names counts.
        for sample in {s["name"]: s for s in channel["samples"]}.values():
            if chosen is not None and (channel["name"], sample["name"]) not in chosen:
                continue
            where = f"sample '{sample['name']}' of channel '{channel['name']}'"
            modifiers = {(m["type"], m["name"]): m["data"] for m in sample["modifiers"]}
            gammas, norms, rows, mono = [], [], {}, dict[int, int]()
            rows[(0, -1)] = nominal = np.asarray(sample["data"], dtype=np.float64)
            for (mtype, name), data in sorted(modifiers.items(), key=lambda item: item[0]):
                param = layout.starts[name]
                if mtype in ("normfactor", "powerfactor", "lumi"):
                    exponent = data["exponent"] if mtype == "powerfactor" else 1
                    mono[param] = mono.get(param, 0) + int(exponent)
                elif mtype == "normsys":
                    if not (data["lo"] > 0 and data["hi"] > 0):
                        raise ModelError(f"normsys '{name}' on {where} is {data}; needs > 0")
                    norms.append((param, float(data["lo"]), float(data["hi"])))
                elif mtype == "histosys":
                    hi, lo = np.asarray(data["hi_data"]), np.asarray(data["lo_data"])
                    rows[(1, param)] = (hi - lo) / 2
                    even = (hi + lo - 2 * nominal) / 2
                    # A symmetric histosys differs from zero by rounding only: drop the row.
                    size = np.abs(hi) + np.abs(lo) + np.abs(nominal)
                    rows[(2, param)] = np.where(np.abs(even) > 1e-15 * size, even, 0.0)
                else:
                    gammas.append((mtype, name))
            slot = layout.places[channel["name"]]
            placed = {key: np.zeros(n_main) for key, row in rows.items() if row.any()}
            for key, row in placed.items():
                row[slot] = rows[key]
            if placed:
                yield _Cell(tuple(gammas), tuple(sorted(mono.items())), tuple(norms)), placed


def _gammas(layout: Layout) -> dict[tuple[str, str], tuple[BinFactors, ...]]:
    """Parameters and bins of every factor per bin, of a shapefactor one entry for each channel.

    Channels share the parameters of a shapefactor, bin by bin; the others have their own.
    """
    places, n_params = layout.places, len(layout.names)
    every = np.arange(layout.n_main)
    acting: dict[tuple[str, str], set[str]] = {}
    for channel, _, modifier in layout.modifiers():
        if modifier["type"] in PER_BIN:
            acting.setdefault((modifier["type"], modifier["name"]), set()).add(channel["name"])
    out = {}
    for (mtype, name), channels in acting.items():
        bins = [every[places[c]] for c in layout.bins if c in channels]
        params = layout.starts[name] + np.arange(layout.by_name[name].size)
        own = bins if mtype == "shapefactor" else [np.concatenate(bins)]
        for other in {len(row) for row in own} - {len(params)}:
            raise ModelError(
                f"{mtype} '{name}' has {len(params)} parameters, and a channel with it {other} "
                "bins: pyhf takes the first parameter for the rest"
            )
        out[(mtype, name)] = tuple(_gamma(params, row, n_params, every.size) for row in own)
    return out


def _gamma(params: IntArray, bins: IntArray, n_params: int, n_main: int) -> BinFactors:
    of_bin = np.full(n_main, n_params)
    of_bin[bins] = params
    return BinFactors(params, bins, of_bin)


def _constraints(layout: Layout) -> Constraints:
    normal: list[tuple[int, int, float]] = []
    poisson: list[tuple[int, int, float]] = []
    position = 0
    for name in layout.auxdata_order:
        one, start = layout.by_name[name], layout.starts[name]
        entries = normal if one.constraint == "normal" else poisson
        entries += [(start + k, position + k, width) for k, width in enumerate(one.widths)]
        position += one.size
    columns = [list(zip(*entries, strict=True)) or [(), (), ()] for entries in (normal, poisson)]
    (np_, na, ns), (pp, pa, pf) = columns
    return Constraints(
        _ints(np_), _ints(na), np.array(ns, float), _ints(pp), _ints(pa), np.array(pf, float)
    )


def _ints(values: Any) -> IntArray:
    return np.asarray(list(values), dtype=np.intp)


def _padded(lists: list[list[int]]) -> IntArray:
    """Rectangle of index lists; missing entries point to row 0, which is 1."""
    width = max([1, *map(len, lists)])
    return np.array([[*entry, *[0] * (width - len(entry))] for entry in lists], dtype=np.intp)


def _derivatives(state: _State, norms: dict[int, int]) -> Iterator[tuple[int, _State]]:
    """Yield (parameter, state) of each first derivative; ``norms`` maps normsys to parameter."""
    factor, mono, logs = state
    for p, e in mono:
        rest = tuple((q, f - (q == p)) for q, f in mono if f - (q == p))
        yield p, (factor * e, rest, logs)
    for k, p in norms.items():
        yield p, (factor, mono, tuple(sorted((*logs, k))))


def _log_columns(logs: tuple[int, ...], n: int) -> tuple[int, int]:
    """Rows of f'/f and f''/f (in `nuhf.likelihood.evaluate`) whose product is the derivative."""
    if len(logs) == 2 and logs[0] == logs[1]:
        return 1 + n + logs[0], 0
    first, second = (*(1 + k for k in logs), 0, 0)[:2]
    return first, second


def _states(
    cells: Iterable[_Cell], norm_ids: dict[tuple[int, float, float], int]
) -> tuple[
    list[tuple[_Cell, _State]], list[list[tuple[int, int]]], list[tuple[int, int, int, int]]
]:
    """Values, first and second derivatives of all cells, and where they are in that list.

    The positions are (parameter, state) per cell, and (p, q, state, cell) with p <= q.
    """
    cells = list(cells)
    states: list[tuple[_Cell, _State]] = [(cell, (1, cell.mono, ())) for cell in cells]
    first: list[list[tuple[int, int]]] = []
    second: list[tuple[int, int, int, int]] = []
    params = [{norm_ids[norm]: norm[0] for norm in cell.norms} for cell in cells]
    for c, cell in enumerate(cells):
        slopes = list(_derivatives(states[c][1], params[c]))
        first.append([(p, len(states) + i) for i, (p, _) in enumerate(slopes)])
        states += [(cell, state) for _, state in slopes]
    for c, cell in enumerate(cells):
        for p, slope in _derivatives(states[c][1], params[c]):
            for q, state in _derivatives(slope, params[c]):
                if q >= p:
                    second.append((p, q, len(states), c))
                    states.append((cell, state))
    return states, first, second


def _tables(
    cells: dict[_Cell, dict[_RowKey, FloatArray]],
    gammas: dict[tuple[str, str], tuple[BinFactors, ...]],
    n_params: int,
) -> Tables:
    norm_ids: dict[tuple[int, float, float], int] = {}
    scale_ids: dict[tuple[tuple[int, float, float], ...], int] = {}
    for cell in cells:
        scale_ids.setdefault(cell.norms, len(scale_ids))
        for norm in cell.norms:
            norm_ids.setdefault(norm, len(norm_ids))
    states, first, second = _states(cells, norm_ids)
    mono_ids: dict[tuple[tuple[int, int], ...], int] = {}
    for _, (_, mono, _) in states:
        mono_ids.setdefault(mono, len(mono_ids))
    powers = sorted({(p, k) for mono in mono_ids for p, e in mono for k in range(1, e + 1)})
    power_ids = {power: i + 1 for i, power in enumerate(powers)}
    rows = [(c, key, row) for c, part in enumerate(cells.values()) for key, row in part.items()]
    shapes = sorted({key[1] for _, key, _ in rows if key[0]})
    n_h, n = len(shapes), len(norm_ids)
    norm_array = np.array(list(norm_ids), dtype=np.float64).reshape(n, 3)
    group_of = [cell.gammas for cell in cells]
    groups = sorted(set(group_of))
    row_group = [groups.index(group_of[c]) for c, _, _ in rows]
    matrix = np.ascontiguousarray([row for _, _, row in rows])
    shape_of = [
        0 if not kind else 1 + (kind - 1) * n_h + shapes.index(p) for _, (kind, p), _ in rows
    ]
    return Tables(
        power_param=_ints(p for p, _ in powers),
        power_prev=_ints(power_ids[(p, k - 1)] if k > 1 else 0 for p, k in powers),
        mono_powers=_padded([[power_ids[power] for power in mono] for mono in mono_ids]),
        norm_param=_ints(norm_array[:, 0]),
        norm_poly=(norm_poly := _code4(norm_array[:, 1], norm_array[:, 2])),
        norm_slopes=_slopes_of(norm_poly),
        norm_logs=np.log(norm_array[:, :0:-1]),
        scale_members=_padded([[1 + norm_ids[norm] for norm in scale] for scale in scale_ids]),
        left_factor=np.array([factor for _, (factor, _, _) in states], dtype=np.float64),
        left_mono=_ints(mono_ids[mono] for _, (_, mono, _) in states),
        left_scale=_ints(scale_ids[cell.norms] for cell, _ in states),
        left_logs=np.array([_log_columns(logs, n) for _, (_, _, logs) in states], dtype=np.intp),
        shape_param=_ints(shapes),
        row_cell=_ints(c for c, _, _ in rows),
        row_shape=_ints(shape_of),
        cell_start=_ints(np.flatnonzero(np.diff([-1, *(c for c, _, _ in rows)]))),
        group_start=tuple(int(i) for i in np.searchsorted(row_group, range(len(groups) + 1))),
        matrix=matrix,
        gammas=tuple(tuple(g for key in group for g in gammas[key]) for group in groups),
        **_derivative_tables(rows, first, second, shapes, matrix, row_group, n_params),
    )


def _code4(lo: FloatArray, hi: FloatArray) -> FloatArray:
    """Coefficients [n, 7] of the code4 polynomial."""
    lh, ll = np.log(hi), np.log(lo)
    b = np.array([hi - 1, lo - 1, lh * hi, -ll * lo, lh**2 * hi, ll**2 * lo])
    return np.concatenate([np.ones((len(lo), 1)), (CODE4 @ b).T], axis=1)


def _slopes_of(poly: FloatArray) -> FloatArray:
    """Coefficients [2n, 6] of the first, then of the second derivatives of polynomials [n, 7]."""
    first = poly[:, 1:] * np.arange(1, 7)
    return np.concatenate([first, np.pad(first[:, 1:] * np.arange(1, 6), ((0, 0), (0, 1)))])


def _derivative_tables(
    rows: list[tuple[int, _RowKey, FloatArray]],
    first: list[list[tuple[int, int]]],
    second: list[tuple[int, int, int, int]],
    shapes: list[int],
    matrix: FloatArray,
    row_group: list[int],
    n_params: int,
) -> dict[str, Any]:
    """Slopes of each parameter and Curvatures, from the derivatives of cells and shapes."""
    n_h, n_cells = len(shapes), len(first)
    slopes: list[list[tuple[int, int, int]]] = [[] for _ in range(n_params)]
    terms = [(p, q, left, cell, 1.0) for p, q, left, cell in second]
    extra: list[tuple[int, int]] = []
    for r, (c, (kind, alpha), _) in enumerate(rows):
        i = shapes.index(alpha) if kind else 0
        value = 1 + (kind - 1) * n_h + i if kind else 0
        for p, left in first[c]:
            slopes[p].append((left, value, r))
        if not kind:
            continue
        slope = 0 if kind == 1 else 1 + 2 * n_h + i
        slopes[alpha].append((c, slope, r))
        for p, left in first[c]:
            # A normsys and a histosys of one parameter: the mixed term counts twice.
            factor = 2.0 if p == alpha else 1.0
            terms.append((min(p, alpha), max(p, alpha), left, n_cells + len(extra), factor))
        extra.append((r, slope))
        if kind == 2:
            terms.append((alpha, alpha, c, n_cells + len(extra), 1.0))
            extra.append((r, 1 + 3 * n_h + i))
    terms.sort(key=lambda term: term[:2])
    curvatures = Curvatures(
        left=_ints(t[2] for t in terms),
        right=_ints(t[3] for t in terms),
        factor=np.array([t[4] for t in terms], dtype=np.float64),
        target_p=_ints(t[0] for t in terms),
        target_q=_ints(t[1] for t in terms),
        rows=_ints(r for r, _ in extra),
        shapes=_ints(h for _, h in extra),
    )
    out = []
    for entries in slopes:
        entries.sort(key=lambda entry: entry[2])
        index = _ints(r for _, _, r in entries)
        groups = [row_group[r] for r in index]
        edges = [int(i) for i in np.searchsorted(groups, range(max(row_group) + 2))]
        templates = tuple(np.ascontiguousarray(matrix[index[lo:hi]]) for lo, hi in pairwise(edges))
        lefts, values = _ints(e[0] for e in entries), _ints(e[1] for e in entries)
        out.append(Slopes(lefts, values, index, tuple(edges), templates))
    return {"slopes": tuple(out), "curvatures": curvatures}
