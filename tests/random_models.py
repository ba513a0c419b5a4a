"""Random models for the study of intervals against brute force; model n is the same for ever.

``python tests/random_models.py 0 200`` runs the study for a range of numbers and prints faults.
"""

import sys
from dataclasses import replace
from types import SimpleNamespace

import numpy as np

from nuhf.errors import FitError, OpenRegionError
from nuhf.likelihood.engines import ModelProfiler, Reference, engine
from nuhf.likelihood.fit import fit
from nuhf.stats.explore import branches, region
from nuhf.stats.intervals import ScanRange, threshold
from nuhf.workspaces.native import load_model

THETA = "q_em8"


def power(degree):
    return {"name": THETA, "type": "powerfactor", "data": {"exponent": degree}}


def model(number, bent):
    """A rate SM (1 + a theta)^2 + c theta^2, backgrounds, nuisances; ``bent`` for shapes that bend.

    Returns model, data, and the true parameter.
    """
    rng = np.random.default_rng([20261128, number, bent])
    bins = int(rng.choice([1, 2, 5, 20, 60]))
    x = np.linspace(0.0, 1.0, bins)
    events = 10.0 ** rng.uniform(0.5, 5.0)
    sm = np.exp(-rng.uniform(0.0, 4.0) * x)
    sm *= events / sm.sum()
    slope = rng.uniform(0.2, 1.0) * (1 + rng.uniform(-0.8, 0.8) * x)
    rest = rng.choice([0.0, 0.2]) * sm
    background = 10.0 ** rng.uniform(-2, 1) * sm.mean() * np.ones(bins)
    names = [f"n{k}" for k in range(int(rng.integers(1, 4)))]
    common = [
        {"name": n, "type": "normsys", "data": {"hi": 1 + s, "lo": 1 / (1 + s)}}
        for n, s in zip(names, rng.uniform(0.02, 0.3, len(names)), strict=True)
    ]

    def shapes(row):
        found = []
        for k in range(int(bent) * 2):
            up, down = rng_shapes[k]
            data = {"hi_data": (row * (1 + up)).tolist(), "lo_data": (row * (1 + down)).tolist()}
            found.append({"name": f"shape{k}", "type": "histosys", "data": data})
        return found

    rng_shapes = [
        (rng.uniform(0.1, 0.9) * np.sin(rng.uniform(1, 5) * x + rng.uniform(0, 6)),
         rng.uniform(-0.2, 0.9) * np.sin(rng.uniform(1, 5) * x + rng.uniform(0, 6)))
        for _ in range(2)
    ]  # fmt: skip
    parts = {"sm": (sm, []), "linear": (2 * slope * sm, [power(1)]),
             "square": (slope**2 * sm + rest, [power(2)])}  # fmt: skip
    samples = [
        {"name": name, "data": row.tolist(), "modifiers": powers + common + shapes(row)}
        for name, (row, powers) in parts.items()
    ]
    samples.append({"name": "b", "data": background.tolist(), "modifiers": []})
    settings = [{"name": THETA, "bounds": [[-60.0, 60.0]], "inits": [0.0]}]
    spec = {
        "channels": [{"name": "c", "samples": samples}],
        "observations": [{"name": "c", "data": [0.0] * bins}],
        "measurements": [{"name": "m", "config": {"poi": THETA, "parameters": settings}}],
        "version": "1.0.0",
    }
    made, data = load_model(spec)
    chosen = engine("compiled", Reference.of(made))
    compiled = chosen.compiled
    truth = compiled.inits.copy()
    while True:
        truth[compiled.index(THETA)] = rng.choice([0.0, rng.uniform(-3, 1)])
        for i in compiled.constraints.normal_param:
            truth[i] = rng.normal(0.0, 1.5 if bent else 0.7)
        expected = compiled.expected(truth)
        if (expected > 0).all():
            break
    data[:bins] = rng.poisson(expected)
    return chosen, np.asarray(data, dtype=float), truth


def profiler_of(chosen, data):
    compiled = chosen.compiled
    return ModelProfiler(
        chosen, data, compiled.index(THETA), compiled.inits[np.newaxis], ~compiled.fixed
    )


def brute(profiler, values, rng, starts=8):
    """Profile (n,) from many random starts of the nuisances at each value."""
    compiled, index = profiler.engine.compiled, profiler.index
    free = profiler.free.copy()
    free[index] = False
    lowest = np.full(len(values), np.inf)
    for k in range(starts):
        points = np.repeat(compiled.inits[np.newaxis], len(values), axis=0)
        points[:, index] = values
        if k:
            where = compiled.constraints.normal_param
            points[:, where] = np.clip(rng.normal(0.0, 1.8, (len(values), len(where))), -4.5, 4.5)
        done = fit(compiled, profiler.data, starts=points, free=free)
        height = np.where(done.converged, done.twice_nll, np.inf)
        lowest = np.minimum(lowest, height)
    return lowest


def is_open(profiler, span, cl):
    """Whether brute force accepts an end of the range, too."""
    values = np.append(span.grid(31), profiler.minima(span.grid(7))[0])
    heights = brute(profiler, values, np.random.default_rng(1))
    ends = brute(profiler, np.array([span.low, span.high]), np.random.default_rng(2))
    return bool(ends.min() <= min(heights.min(), ends.min()) + threshold(cl))


def study(number, bent, cl=0.9):
    """Compare one model: the reason it has no interval, or how far 2NLL is off.

    ``open`` is whether the interval has an open end; where there is none, whether brute force finds
    the region open.
    """
    chosen, data, _ = model(number, bent)
    profiler = profiler_of(chosen, data)
    span = ScanRange(-60.0, 60.0)
    grid = span.grid()
    found_starts = branches(profiler, grid)
    if len(found_starts):
        profiler = replace(profiler, starts=np.vstack([profiler.starts, found_starts]))
    try:
        found, _ = region(profiler, span, cl, open_ends=True)
    except FitError as error:
        truly = is_open(profiler, span, cl)
        said = isinstance(error, OpenRegionError)
        return SimpleNamespace(why=str(error), off=0.0, inside=truly or not said, open=truly)
    rng = np.random.default_rng(number)
    ends = np.setdiff1d(np.ravel(found.pieces), list(found.open_ends))
    low, high = found.pieces[0][0], found.pieces[-1][1]
    margin = 0.3 * (high - low)
    around = np.linspace(max(low - margin, -60), min(high + margin, 60), 40)
    dense = np.concatenate([ends, [m.value for m in found.minima], around])
    heights = brute(profiler, dense, rng)
    level = found.best.twice_nll + threshold(cl)
    above = np.flatnonzero(heights[: len(ends)] > level + 0.1)
    if len(above):  # it may be brute force that missed the deepest minimum
        more = brute(profiler, ends[above], rng, starts=40)
        heights[above] = np.minimum(heights[above], more)
    off_ends = np.abs(heights[: len(ends)] - level).max()
    off_best = max(found.best.twice_nll - heights.min(), 0.0)
    accepted = heights <= level - 0.1
    covered = np.zeros(len(dense), dtype=bool)
    for a, b in found.pieces:
        covered |= (dense >= a - 1e-9) & (dense <= b + 1e-9)
    reached = dense[accepted]  # an end is open if brute force accepts it, too
    reaches = all(np.isclose(reached, end).any() for end in found.open_ends)
    return SimpleNamespace(
        why="", off=max(float(off_ends), float(off_best)), open=bool(found.open_ends),
        inside=bool((covered | ~accepted).all()) and reaches,
    )  # fmt: skip


if __name__ == "__main__":
    first, last = int(sys.argv[1]), int(sys.argv[2])
    for bent in (False, True):
        made = [(n, study(n, bent)) for n in range(first, last)]
        wrong = [(n, r.off, r.inside) for n, r in made if r.off > 0.1 or not r.inside]
        none = [(n, r.open, r.why) for n, r in made if r.why]
        print(
            "bent" if bent else "plain", len(made), "wrong", len(wrong), wrong[:20], "without", none
        )
