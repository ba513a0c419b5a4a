"""Random workspaces with all seven modifier types of pyhf, for tests: made up by a seed."""

import numpy as np

__all__ = ["random_workspace"]


def _modifier(kind, name, data=None):
    return {"name": name, "type": kind, "data": data}


def _systematics(rng, nominal, alphas):
    """Some normsys and histosys, now and then both under one name."""
    found = []
    for name in alphas:
        if rng.random() < 0.5:
            up, down = 1 + rng.uniform(0.01, 0.2), 1 - rng.uniform(0.01, 0.2)
            found.append(_modifier("normsys", name, {"hi": up, "lo": down}))
        if rng.random() < 0.4:
            tilt = rng.normal(0.0, 0.08, (2, len(nominal)))
            data = {"hi_data": (nominal * (1 + tilt[0])).tolist(),
                    "lo_data": (nominal * (1 - tilt[1])).tolist()}  # fmt: skip
            found.append(_modifier("histosys", name, data))
    return found


def random_workspace(seed):
    """Two or three channels: signal, background with a free norm, one that the data determine."""
    rng = np.random.default_rng(seed)
    alphas = [f"alpha{i}" for i in range(int(rng.integers(1, 5)))]
    bins = int(rng.integers(2, 6))
    channels, observations = [], []
    for k in range(int(rng.integers(2, 4))):
        stat = _modifier("staterror", f"stat{k}")
        samples = []
        rows = {"signal": rng.uniform(3, 15, bins), "background": rng.uniform(30, 90, bins),
                "fakes": rng.uniform(5, 20, bins), "driven": rng.uniform(10, 40, bins)}  # fmt: skip
        for name, nominal in rows.items():
            modifiers = _systematics(rng, nominal, alphas)
            if name in ("signal", "background"):
                modifiers.append(_modifier("lumi", "lumi"))
            if name == "signal":
                modifiers.append(_modifier("normfactor", "mu"))
            if name == "background":
                errors = (nominal * rng.uniform(0.02, 0.1, bins)).tolist()
                modifiers += [_modifier("normfactor", "k_background"), {**stat, "data": errors}]
            if name == "fakes":
                errors = (nominal * rng.uniform(0.1, 0.4, bins)).tolist()
                modifiers.append(_modifier("shapesys", f"fakes{k}", errors))
                errors = (nominal * rng.uniform(0.02, 0.1, bins)).tolist()
                modifiers.append({**stat, "data": errors})
            if name == "driven" and k < 2:
                # one shape for two channels: a control and a signal region
                modifiers.append(_modifier("shapefactor", "driven_shape"))
            samples.append({"name": name, "data": nominal.tolist(), "modifiers": modifiers})
        total = np.sum(list(rows.values()), axis=0)
        channels.append({"name": f"region{k}", "samples": samples})
        observations.append({"name": f"region{k}", "data": rng.poisson(total).tolist()})
    lumi = {"name": "lumi", "auxdata": [1.0], "sigmas": [0.02], "bounds": [[0.8, 1.2]],
            "inits": [1.0]}  # fmt: skip
    measurement = {"name": "m", "config": {"poi": "mu", "parameters": [lumi]}}
    return {"channels": channels, "observations": observations, "measurements": [measurement],
            "version": "1.0.0"}  # fmt: skip
