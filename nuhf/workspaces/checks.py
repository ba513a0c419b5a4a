"""What can be wrong or strange in a pyhf workspace; see `nuhf.workspaces.validate`."""

from collections.abc import Iterator, Mapping
from typing import Any, Final

import numpy as np
import pyhf
from numpy.typing import NDArray

from nuhf.arrays import FloatArray
from nuhf.couplings.parameters import PARAMETERS
from nuhf.errors import NuhfError
from nuhf.histfactory.describe import PEDESTAL
from nuhf.likelihood.evaluate import ROUNDING
from nuhf.workspaces import names
from nuhf.workspaces.findings import Finding, number_findings
from nuhf.workspaces.native import load_model, load_workspace
from nuhf.workspaces.start import bin_errors, patched_later, start_findings

Json = Mapping[str, Any]

_POINTS: Final = 61
_LARGE: Final = 0.5
"""Normalisation effects above this are reported."""
_VISIBLE: Final = 0.01
"""Effects in single bins below this are noise."""
_NOISY: Final = 0.2
"""Error of a slope of 2NLL: at 0.12 (Gaussian channels) profiles of pyhf with scipy are right to
2e-3, at 0.33 (darwin-30ty) they are wrong by 0.02, at 3.9 (darwin-300ty) by 0.8."""
_ROUNDING: Final = 1e-9
"""Part of the signal below which a sum is that of samples that cancel."""

_STRENGTH: Final = "strength"
"""POI of the patch grids: 0 is the SM, 1 the grid point, and nothing else has a meaning."""


def workspace_findings(spec: Json) -> list[Finding]:
    """Check schema, models, totals, names, uncertainties, bins of a workspace, parsed JSON.

    Only the schema if that is broken.
    """
    broken = number_findings(spec)
    if broken:
        return broken
    try:
        load_workspace(spec)
    except NuhfError as error:
        return [Finding("error", "schema", "workspace", str(error))]
    found = list(lengths(spec))
    if found:
        return found
    found, whole = patched_later(spec)
    seen: set[tuple[str, tuple[float, ...]]] = set()
    for entry in whole["measurements"]:
        where = f"measurement {entry['name']}"
        try:
            model, data = load_model(whole, entry["name"], validate=False)  # it was validated above
        except NuhfError as error:
            found.append(Finding("error", "model", where, str(error)))
            continue
        except (KeyError, TypeError, ValueError) as error:
            message = f"pyhf cannot build this model: {error!r}"
            found.append(Finding("error", "model", where, message))
            continue
        found += fit_findings(entry, whole, model, data)
        points = _poi_points(model)
        key = (str(model.config.poi_name), tuple(points))
        if key not in seen:
            seen.add(key)
            found += _negative_totals(spec, model, points)
            found += _without_background(spec, model.config.poi_name)
    if noisy_slopes(spec):
        message = (
            "so many counts that the rounding of 2NLL spoils the slopes of pyhf's default "
            "optimizer, scipy with numpy, which stops too high: give pyhf "
            "--optconf 'solver_options={eps: 1.0e-5}' or --optimizer minuit"
        )
        found.append(Finding("info", "optimizer", "workspace", message))
    found += _forbidden(spec)
    with np.errstate(over="ignore", invalid="ignore"):  # factors may be as large as floats go
        for channel in spec["channels"]:
            found += _uncertainties(channel)
    return list(dict.fromkeys(found))


def fit_findings(
    entry: Json, spec: Json, model: pyhf.pdf.Model, data: FloatArray
) -> Iterator[Finding]:
    """Yield what fits and their parameters stumble over: what can be an error in a model.

    Questions refuse a file with an error among these, so that their verdict is that of `validate`,
    which also looks at names that are wrong beside other files only.
    """
    yield from start_findings(entry, spec, model, data)
    yield from _units(spec)
    for channel in spec["channels"]:
        yield from bin_errors(channel)


def noisy_slopes(spec: Json) -> bool:
    """Whether the counts are too many for the steps of pyhf's default optimizer.

    It takes slopes from steps of 1.5e-8. 2NLL of n counts is rounded at 2 n log(n) times the
    precision of a float, so that such a slope has an error of that over the step.
    """
    counts = np.concatenate([np.asarray(o["data"], dtype=float) for o in spec["observations"]])
    terms = 2.0 * counts * np.log(np.maximum(counts, 1.0))
    step = np.sqrt(np.finfo(float).eps)
    with np.errstate(over="ignore"):  # counts of 1e300 are too many, too
        return bool(np.sqrt(np.square(terms).sum()) * step > _NOISY)


def lengths(spec: Json) -> Iterator[Finding]:
    """Yield arrays of another length than their channel has bins."""
    for channel in spec["channels"]:
        bins = len(channel["samples"][0]["data"])
        for sample in channel["samples"]:
            rows = {"data": sample["data"]}
            for modifier in sample["modifiers"]:
                what = f"{modifier['type']} {modifier['name']}"
                if modifier["type"] in ("staterror", "shapesys"):
                    rows[what] = modifier["data"]
                elif modifier["type"] == "histosys":
                    rows |= {f"{what} {key}": row for key, row in modifier["data"].items()}
            for what, row in rows.items():
                if len(row) != bins:
                    where = f"channel {channel['name']}, sample {sample['name']}, {what}"
                    message = f"{len(row)} values for {bins} bins"
                    yield Finding("error", "length", where, message)


def _poi_points(model: pyhf.pdf.Model) -> FloatArray:
    """Values of the POI over its bounds, densest around the initial value; (1,) without POI."""
    if model.config.poi_index is None:
        return np.zeros(1)
    low, high = model.config.suggested_bounds()[model.config.poi_index]
    start = model.config.suggested_init()[model.config.poi_index]
    if model.config.poi_name == _STRENGTH:
        low, high = max(low, 0.0), min(high, 1.0)
    u = np.linspace(0.0, 1.0, _POINTS) ** 3
    below, above = start - (start - low) * u[::-1], start + (high - start) * u
    return np.unique(np.concatenate([below, above]))


def _by_sample(model: pyhf.pdf.Model, points: FloatArray) -> FloatArray:
    """Expected counts (n_points, n_samples, n_bins) at values of the POI, all else initial."""
    start = np.asarray(model.config.suggested_init(), dtype=float)
    found = []
    for value in points:
        parameters = start.copy()
        if model.config.poi_index is not None:
            parameters[model.config.poi_index] = value
        found.append(model.main_model.expected_data(parameters, return_by_sample=True))
    return np.asarray(found, dtype=float)


def _negative_totals(spec: Json, model: pyhf.pdf.Model, points: FloatArray) -> Iterator[Finding]:
    """Negative expectations inside the bounds of the POI.

    Of a process of ours as a whole, whose monomials may be negative one by one. A warning, for
    bounds such as -5 to 5 are common, and fits take the end of the possible for a boundary; at its
    start `likelihood` sees to it.
    """
    counts = _by_sample(model, points)
    index = {name: i for i, name in enumerate(model.config.samples)}
    for channel in spec["channels"]:
        bins = model.config.channel_slices[channel["name"]]
        mine = names.ours(channel)
        groups: dict[str, list[int]] = {}
        for sample in channel["samples"]:
            process = names.process(channel, sample["name"])
            groups.setdefault(process, []).append(index[sample["name"]])
        everything = [i for rows in groups.values() for i in rows]
        region, where = counts[:, :, bins], f"channel {channel['name']}"
        total = _lowest(f"{where}, sum of all samples", region[:, everything], model, points)
        if total is not None:
            yield total
            continue
        if mine and PEDESTAL in groups:
            continue  # parts of a measured number, such as a weak charge, have any sign
        for process, rows in groups.items():
            what = f"{where}, {'process' if mine else 'sample'} {process}"
            found = _lowest(what, region[:, rows], model, points)
            if found is not None:
                yield found


def _lowest(
    where: str, parts: FloatArray, model: pyhf.pdf.Model, points: FloatArray
) -> Finding | None:
    """Report the most negative sum of parts (n_points, n_parts, n_bins), if it is not rounding."""
    total = parts.sum(axis=1)
    rounding = 1e-12 * np.abs(parts).sum(axis=1) + ROUNDING
    below = total < -rounding
    if not below.any():
        return None
    point, bin_ = np.unravel_index(np.argmin(np.where(below, total, np.inf)), total.shape)
    poi = model.config.poi_name
    at = f" at {poi} = {points[point]:.4g}" if poi else ""
    bins = np.flatnonzero(below.any(axis=0))
    message = (
        f"expects {total[point, bin_]:.4g} events in bin {bin_}{at}; "
        f"negative in {_bins(bins, total.shape[1])}"
    )
    if poi:
        message += f" inside the bounds of {poi}: narrow the bounds"
    return Finding("warning", "negative-total", where, message)


def _bins(bins: NDArray[np.intp], of: int) -> str:
    shown = ", ".join(str(i) for i in bins[:5]) + (", ..." if bins.size > 5 else "")
    return f"{bins.size} of {of} bins ({shown})"


def _own_names(spec: Json) -> dict[str, str]:
    """Parameters in our channels, and where each is met first, in words."""
    found: dict[str, str] = {}
    for channel in filter(names.ours, spec["channels"]):
        for _, _, modifier in names.modifiers([channel]):
            where = f"channel {channel['name']}, parameter {modifier['name']}"
            found.setdefault(modifier["name"], where)
    return found


def _forbidden(spec: Json) -> Iterator[Finding]:
    """Names in our channels that other people's workspaces have."""
    for name, where in _own_names(spec).items():
        if name in names.FORBIDDEN:
            message = (
                f"never call a parameter {', '.join(names.FORBIDDEN)}: other people's "
                "workspaces do, and an equal name means full correlation"
            )
            yield Finding("error", "name", where, message)


def _units(spec: Json) -> Iterator[Finding]:
    """Names in our channels that lack their unit."""
    for name, where in _own_names(spec).items():
        known = names.coupling(name) or PARAMETERS.get(name)
        if known and known.exponent and names.split_unit(name)[1] == 0:
            message = f"no unit in the name; write it as in {known.fit_name}"
            yield Finding("error", "unit", where, message)


def _effects(channel: Json) -> Iterator[tuple[str, str, FloatArray, FloatArray, FloatArray]]:
    """Yield process, nuisance, and bin contents nominal, up and down of normsys and histosys.

    Couplings are at the SM: our monomials count nothing, and the normsys of a coupling in the
    stock encoding are no uncertainty.
    """
    mine = names.ours(channel)
    parts: dict[str, list[tuple[FloatArray, dict[str, tuple[FloatArray, FloatArray]]]]] = {}
    for sample in channel["samples"]:
        known = [(m, names.coupling(m["name"]) if mine else None) for m in sample["modifiers"]]
        if any(
            p is not None and not p.strength_of and m["type"] in ("normfactor", "powerfactor")
            for m, p in known
        ):
            continue
        data = np.asarray(sample["data"], dtype=float)
        varied: dict[str, tuple[FloatArray, FloatArray]] = {}
        others = [m for m, p in known if p is None]
        for modifier in sorted(others, key=lambda m: str(m["type"])):
            up, down = varied.get(modifier["name"], (data, data))
            if modifier["type"] == "histosys":
                up, down = (np.asarray(modifier["data"][k]) for k in ("hi_data", "lo_data"))
            elif modifier["type"] == "normsys":
                up, down = modifier["data"]["hi"] * up, modifier["data"]["lo"] * down
            else:
                continue
            varied[modifier["name"]] = (up, down)
        process = names.process(channel, sample["name"])
        parts.setdefault(process, []).append((data, varied))
    for process, samples in parts.items():
        nominal = np.sum([data for data, _ in samples], axis=0)
        for nuisance in dict.fromkeys(n for _, varied in samples for n in varied):
            up, down = (
                np.sum([v[nuisance][i] if nuisance in v else data for data, v in samples], axis=0)
                for i in (0, 1)
            )
            yield process, nuisance, nominal, up, down


def _uncertainties(channel: Json) -> Iterator[Finding]:
    """Uncertainties that are large, or whose up and down are equal or on one side."""
    for process, nuisance, nominal, upper, lower in _effects(channel):
        where = f"channel {channel['name']}, process {process}, {nuisance}"
        total = float(nominal.sum())
        size = float(np.abs(nominal).max())
        up, down = upper - nominal, lower - nominal
        moved = max(float(np.abs(up).max()), float(np.abs(down).max()))
        if moved <= 1e-9 * size:
            yield Finding("info", "no-effect", where, "changes nothing")
            continue
        if np.allclose(upper, lower, rtol=1e-9, atol=1e-9 * size):
            yield Finding("warning", "identical", where, "up and down are identical")
        else:
            yield from _one_sided(where, nominal, up, down)
        largest = max(up.sum(), down.sum(), key=abs)
        if total > 0 and abs(largest) > _LARGE * total * (1 + 1e-9):
            message = f"changes the normalisation by {100 * largest / total:+.3g} %"
            yield Finding("warning", "large", where, message)


def _one_sided(
    where: str, nominal: FloatArray, up: FloatArray, down: FloatArray
) -> Iterator[Finding]:
    visible = (np.abs(up) > _VISIBLE * np.abs(nominal)) & (
        np.abs(down) > _VISIBLE * np.abs(nominal)
    )
    bins = np.flatnonzero((np.sign(up) == np.sign(down)) & visible)
    sums = np.array([up.sum(), down.sum()])
    if np.prod(np.sign(sums)) > 0 and np.abs(sums).min() > 0.1 * _VISIBLE * abs(
        float(nominal.sum())
    ):
        total = float(nominal.sum())
        change, unit = (100 * sums / total, "%") if total else (sums, "events of 0")
        message = (
            "up and down change the total in the same direction, "
            f"{change[0]:+.2g} {unit} and {change[1]:+.2g} {unit}"
        )
        yield Finding("warning", "same-direction", where, message)
    elif bins.size:
        message = f"up and down go in the same direction in {_bins(bins, nominal.size)}"
        yield Finding("warning", "same-direction", where, message)


def _without_background(spec: Json, poi: str | None) -> Iterator[Finding]:
    """Bins where only samples that the POI multiplies expect anything.

    Steep normsys leave the samples of a stock file at the value 0 as they are.
    """
    for channel in spec["channels"]:
        kinds: dict[str, str] = {
            sample["name"]: modifier["type"]
            for _, sample, modifier in names.modifiers([channel])
            if modifier["name"] == poi
        }
        empty = np.zeros(len(channel["samples"][0]["data"]))
        rows = {s["name"]: np.asarray(s["data"], dtype=float) for s in channel["samples"]}
        signal = sum((np.abs(rows[name]) for name in kinds), empty)
        steady = [row for name, row in rows.items() if kinds.get(name, "normsys") == "normsys"]
        rest = sum(steady, empty)
        bins = np.flatnonzero((signal > 0) & (rest <= _ROUNDING * signal))
        if bins.size:
            message = (
                f"signal but no background in {_bins(bins, signal.size)}: the likelihood is not "
                f"defined there where {poi} takes the signal to 0"
            )
            where = f"channel {channel['name']}"
            yield Finding("warning", "no-background", where, message)


def facts(spec: Json) -> dict[str, Any]:
    """Count what a valid workspace has, and name its encoding."""
    types = names.kinds(spec["channels"])
    _, whole = patched_later(spec)
    # named: pyhf prints a line where it has to choose
    model, _ = load_model(whole, spec["measurements"][0]["name"], validate=False)
    return {
        "channels": len(spec["channels"]),
        "bins": sum(model.config.channel_nbins.values()),
        "samples": sum(len(channel["samples"]) for channel in spec["channels"]),
        "parameters": int(model.config.npars),
        "poi": [entry["config"]["poi"] for entry in spec["measurements"]],
        "encoding": _encoding(spec, types),
    }


def _encoding(spec: Json, types: Mapping[str, set[str]]) -> str:
    if any("powerfactor" in kinds for kinds in types.values()):
        return "native (powerfactor: read by nuhf)"
    mine = [channel for channel in spec["channels"] if names.ours(channel)]
    if not mine:
        return "plain pyhf, not from nuhf"
    own = {m["name"] for _, _, m in names.modifiers(mine)}
    if _STRENGTH in own:
        return "stock grid (plain pyhf, a patch per point)"
    if any(names.coupling(name) and "normsys" in types[name] for name in own):
        return "stock (plain pyhf, couplings as steep normsys)"
    return "stock, exact (plain pyhf, normfactors only)"
