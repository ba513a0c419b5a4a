"""A second, independent implementation of the COHERENT CsI 2021 analysis, in plain numpy/scipy.

It shares with nuhf only the numbers in ``data/`` and ``nuhf.constants``: no templates, no
polynomials, no workspace. The couplings stand inside the amplitude, every integral is a plain
rule on a fixed fine grid, the likelihood is Poisson times Gaussian pulls, minimised by L-BFGS-B.

Interpolation between the variations is HistFactory's (code4 for factors, code4p for shapes),
derived here from its defining conditions. ``linear=True`` makes both linear: the difference
shows how much this choice is worth. Run this file to print both beside nuhf's intervals.
"""

import tomllib
from functools import lru_cache
from pathlib import Path

import numpy as np
from scipy.optimize import brentq, minimize
from scipy.special import gammaln, xlogy

from nuhf import constants as c

DATA = Path(__file__).resolve().parents[1] / "data"

# Coefficients of the powers 2, 4, 6 of the even part of code4p: value 1, slope 1 and second
# derivative 0 at alpha = 1, where it joins a straight line.
_EVEN = np.linalg.solve([[1, 1, 1], [2, 4, 6], [2, 12, 30]], [1.0, 1.0, 0.0])

RANGES = {
    "qnu_ee": (-6e-7, 1.2e-6),
    "qnu_mumu": (-5e-7, 1.2e-6),
    "r2nu_ee": (-8e-31, 3e-31),
    "r2nu_mumu": (-8e-31, 3e-31),
    "munu_e": (0.0, 1.5e-8),
    "munu_mu": (0.0, 1.5e-8),
    "sin2thetaW": (-0.7, 0.6),
}
"""Where to look for each parameter: chosen by hand, far wider than any interval."""


FLAVOUR = {"numu": "mu", "nue": "e", "numubar": "mu"}


def read_csv(name):
    """Columns of a CSV table under data/ by name."""
    lines = [s for s in (DATA / name).read_text().splitlines() if not s.startswith("#")]
    table = np.loadtxt(lines[1:], delimiter=",")
    return dict(zip(lines[0].split(","), table.T, strict=True))


@lru_cache
def _code4_inside(up, down):
    """Coefficients 1..6 of code4: value, slope and curvature of up^a, down^-a at a = +-1."""
    n = np.arange(1, 7)
    rows, values = [], []
    for sign, factor in ((1.0, up), (-1.0, down)):
        log = sign * np.log(factor)
        rows += [sign**n, n * sign ** (n - 1), n * (n - 1) * sign ** (n - 2)]
        values += [factor - 1.0, factor * log, factor * log**2]
    return np.linalg.solve(rows, values)


def code4(alpha, up, down):
    """HistFactory code4, value and slope: exponential beyond |alpha| = 1, smooth inside."""
    if abs(alpha) >= 1:
        log = np.log(up if alpha > 0 else down) * np.sign(alpha)
        return np.exp(log * alpha), log * np.exp(log * alpha)
    n = np.arange(1, 7)
    coefficients = _code4_inside(up, down)
    return 1.0 + coefficients @ alpha**n, (n * coefficients) @ alpha ** (n - 1)


def code4p(alpha):
    """Weights of (up - nominal, down - nominal): odd part alpha, even part |alpha| smoothed."""
    even = abs(alpha) if abs(alpha) >= 1 else _EVEN @ alpha ** np.array([2, 4, 6])
    return 0.5 * (even + alpha), 0.5 * (even - alpha)


def code4p_slope(alpha):
    n = np.array([2, 4, 6])
    even = np.sign(alpha) if abs(alpha) >= 1 else _EVEN @ (n * alpha ** (n - 1))
    return 0.5 * (even + 1), 0.5 * (even - 1)


def simpson(edge_low, edge_high, count):
    """Nodes and weights of Simpson's rule."""
    x = np.linspace(edge_low, edge_high, count)
    w = np.full(count, 2.0)
    w[1::2] = 4.0
    w[[0, -1]] = 1.0
    return x, w * (x[1] - x[0]) / 3.0


def helm(q_mev, rms_fm):
    x = q_mev / (c.HBAR_C * 1e13)
    s = 0.9
    z = x * np.sqrt(5.0 / 3.0 * (rms_fm**2 - 3.0 * s**2))
    return 3.0 * (np.sin(z) / z**2 - np.cos(z) / z) / z * np.exp(-((x * s) ** 2) / 2.0)


class Csi2021:
    """Expected counts and likelihood of the ``cevns-only`` analysis, or with other time edges."""

    sources = ("numu", "nue", "numubar")
    shapes = ("qf_csi_syst0", "qf_csi_syst1", "eff_coherent_csi_2021")

    def __init__(self, t_edges=None, linear=False, n_recoil=301, pe_step=0.1):
        self.linear = linear
        toml = tomllib.loads((DATA / "experiments/coherent-csi-2021.toml").read_text())
        self.toml = toml
        axes, nuisances = toml["regions"]["main"]["axes"], toml["nuisances"]
        self.pe = np.array(axes["photoelectrons"], dtype=float)
        self.t = np.array(axes["time_us"] if t_edges is None else t_edges, dtype=float)
        chosen = toml["analyses"]["cevns-only"]["nuisances"]
        self.sizes = {n: nuisances[n]["size"] for n in chosen if nuisances[n]["kind"] == "norm"}
        self.n_recoil, self.pe_step = n_recoil, pe_step
        self._time()
        self._signal()
        self._data()

    # ------------------------------------------------------------------ inputs

    def _accepted(self, low, high, content):
        """Time histogram x efficiency into the bins, each table bin split in two halves."""
        eff = self.toml["responses"]["nuclear"]["time_efficiency"]
        middle = 0.5 * (low + high)
        found = np.zeros(self.t.size - 1)
        for a, b in ((low, middle), (middle, high)):
            t = 0.5 * (a + b)
            weight = np.exp(-eff["rate_per_us"] * np.maximum(t - eff["start_us"], 0.0))
            found += np.histogram(t, self.t, weights=0.5 * content * weight)[0]
        return found

    def _time(self):
        table = read_csv("sns/flux_time.csv")
        low, high = table["t_lo_us"], table["t_hi_us"]
        self.time = {s: self._accepted(low, high, table[s]) for s in self.sources}

    def _data(self):
        counts = read_csv("coherent-csi-2021/counts.csv")
        pe = 0.5 * (counts["pe_lo"] + counts["pe_hi"])
        t = 0.5 * (counts["t_lo_us"] + counts["t_hi_us"])
        self.observed = np.histogram2d(pe, t, [self.pe, self.t], weights=counts["n_c"])[0]
        events = {name: b["events"] for name, b in self.toml["backgrounds"].items()}
        rate = self.toml["backgrounds"]["ss"]["rate_per_us"]
        in_pe = np.histogram(pe, self.pe, weights=counts["n_ac"])[0] / counts["n_ac"].sum()
        in_time = -np.diff(np.exp(-rate * self.t)) / (1.0 - np.exp(-rate * 6.0))
        self.background = {"ss": events["ss"] * np.outer(in_pe, in_time)}
        pe_table = read_csv("coherent-csi-2021/background_pe.csv")
        time_table = read_csv("coherent-csi-2021/background_time.csv")
        middle = 0.5 * (pe_table["pe_lo"] + pe_table["pe_hi"])
        for name in ("brn", "nin"):
            in_pe = np.histogram(middle, self.pe, weights=pe_table[name])[0]
            in_time = self._accepted(time_table["t_lo_us"], time_table["t_hi_us"], time_table[name])
            shape = np.outer(in_pe, in_time)  # all of 0-60 PE and 0-6 us
            self.background[name] = events[name] * shape / shape.sum()

    # ------------------------------------------------------------------ signal

    def _kernel(self, recoil, coefficients):
        """P(x | T) on a fine grid of photoelectrons, midpoint rule: (n_x, n_recoil)."""
        light = sum(p * recoil ** (n + 1) for n, p in enumerate(coefficients)) * 1e3
        resolution = self.toml["responses"]["nuclear"]["smearing"]
        a = resolution["a0_kev_ee"] / light
        b = resolution["b0_per_kev_ee"] * light
        x = np.arange(self.pe_step / 2, self.pe[-1], self.pe_step)[:, None]
        return x[:, 0], np.exp(
            (1 + b) * np.log(a * (1 + b)) + b * np.log(x) - a * (1 + b) * x - gammaln(1 + b)
        )

    def _efficiency(self, x, p):
        """Mean logistic efficiency of each fine cell (its kink lies inside one of them)."""
        sub = x[:, None] + self.pe_step * (np.arange(20) + 0.5 - 10) / 20
        logistic = p["a"] / (1 + np.exp(-p["b"] * (sub - p["c"]))) + p["d"]
        return np.maximum(logistic, 0.0).mean(axis=1)

    def _responses(self, recoil):
        """PE bins x recoil, nominal first, then (up, down) of every shape nuisance."""
        nominal = self.toml["responses"]["nuclear"]
        plans = [(nominal["quenching"]["coefficients"], nominal["efficiency"])]
        for name in self.shapes:
            for direction in ("up", "down"):
                varied = nominal | self.toml["nuisances"][name][direction]["responses"]["nuclear"]
                plans.append((varied["quenching"]["coefficients"], varied["efficiency"]))
        found, kernels = [], {}
        for coefficients, p in plans:
            key = tuple(coefficients)
            if key not in kernels:
                kernels[key] = self._kernel(recoil, coefficients)
            x, kernel = kernels[key]
            weighted = kernel * (self._efficiency(x, p) * self.pe_step)[:, None]
            index = np.searchsorted(self.pe, x) - 1
            found.append(np.stack([weighted[index == i].sum(0) for i in range(self.pe.size - 1)]))
        return np.stack(found)

    @staticmethod
    def _averaged(source, recoil, mass):
        """Spectrum average of the two kinematic factors at each recoil (tested against E)."""
        minimum = 0.5 * (recoil + np.sqrt(recoil**2 + 2 * mass * recoil))
        endpoint = c.MUON_MASS / 2
        if source == "numu":
            energy = np.full((1, recoil.size), (c.PION_MASS**2 - c.MUON_MASS**2) / 2 / c.PION_MASS)
            flux = np.ones_like(energy)
        else:
            u, w = simpson(0.0, 1.0, 201)
            span = np.maximum(endpoint - minimum, 0.0)
            energy = minimum + u[:, None] * span
            y = energy / endpoint
            shape = 12 * y**2 * (1 - y) if source == "nue" else 2 * y**2 * (3 - 2 * y)
            flux = shape / endpoint * w[:, None] * span
        weak = 1 - recoil / energy - mass * recoil / (2 * energy**2)
        magnetic = 1 / recoil - 1 / energy + recoil / (4 * energy**2)
        return (flux * weak).sum(0), (flux * magnetic).sum(0)

    def _signal(self):
        nuclides = tomllib.loads((DATA / "nuclides.toml").read_text())
        section, target = self.toml["sources"]["sns"], self.toml["target"]
        molar = sum(nuclides[n]["atomic_mass_u"] for n in target["formula"])
        number = target["mass_kg"] * 1e3 / molar * c.AVOGADRO
        area = 4 * np.pi * (section["baseline_m"] * 100) ** 2
        fluence = section["pot"] * section["neutrinos_per_flavour_per_pot"] / area
        self.pieces = []
        for source in self.sources:
            prompt = (c.PION_MASS**2 - c.MUON_MASS**2) / 2 / c.PION_MASS
            end = prompt if source == "numu" else c.MUON_MASS / 2
            for name in target["formula"]:
                n = nuclides[name]
                mass = n["atomic_mass_u"] * c.ATOMIC_MASS_UNIT - n["protons"] * c.ELECTRON_MASS
                top = 2 * end**2 / (mass + 2 * end)
                low = self.toml["responses"]["nuclear"]["recoil_min_kev"] * 1e-3
                log_t, weight = simpson(np.log(low), np.log(top), self.n_recoil)
                recoil = np.exp(log_t)
                recoil[-1] = top * (1 - 1e-14)
                weak, magnetic = self._averaged(source, recoil, mass)
                front = number * fluence * c.HBAR_C**2 * weight * recoil
                self.pieces.append({
                    "source": source,
                    "recoil": recoil,
                    "mass": mass,
                    "protons": n["protons"] * helm(np.sqrt(2 * mass * recoil), n["rp_fm"]),
                    "neutrons": (n["nucleons"] - n["protons"])
                    * helm(np.sqrt(2 * mass * recoil), n["rn_fm"]),
                    "weak": front * c.FERMI_CONSTANT**2 * mass / np.pi * weak,
                    "magnetic": front * np.pi * c.ALPHA**2 / c.ELECTRON_MASS**2 * magnetic,
                    "response": self._responses(recoil),
                })  # fmt: skip

    def by_source(self, parameter=None, value=0.0):
        """Counts with the coupling inside the amplitude: {source: (7, n_pe, n_t)}."""
        q, r, moment = ({"e": 0.0, "mu": 0.0} for _ in range(3))
        s2w = c.SIN2_THETA_W
        if parameter == "sin2thetaW":
            s2w = value
        elif parameter is not None:
            stem, flavour = parameter.split("_")
            {"qnu": q, "r2nu": r, "munu": moment}[stem][
                {"ee": "e", "mumu": "mu"}.get(flavour, flavour)
            ] = value
        found = dict.fromkeys(self.sources, 0.0)
        for p in self.pieces:
            f = FLAVOUR[p["source"]]
            d = (
                np.sqrt(2)
                * np.pi
                * c.ALPHA
                / c.FERMI_CONSTANT
                * (q[f] / (p["mass"] * p["recoil"]) - r[f] / c.HBAR_C**2 / 3)
            )
            amplitude = (0.5 - 2 * s2w + d) * p["protons"] - 0.5 * p["neutrons"]
            rate = p["weak"] * amplitude**2 + p["magnetic"] * (p["protons"] * moment[f]) ** 2
            found[p["source"]] = found[p["source"]] + p["response"] @ rate
        return {s: n[:, :, None] * self.time[s] for s, n in found.items()}

    def signal(self, parameter=None, value=0.0):
        """Counts of all sources, nominal and varied: (7, n_pe, n_t)."""
        return sum(self.by_source(parameter, value).values())

    # -------------------------------------------------------------- likelihood

    def _expected(self, alpha, varied, ratios):
        """Expected counts and their derivatives; alpha: shapes, flux, ff, ss, brn, nin."""
        n_shape = len(self.shapes)
        residual = varied[0].copy()
        factors, slopes, residual_slopes = [], [], []
        for j in range(n_shape):
            up_ratio, down_ratio = ratios[2 * j], ratios[2 * j + 1]
            if self.linear:
                # the whole variation along straight lines, no factor taken out
                side = 0 if alpha[j] >= 0 else 1
                sign = 1 - 2 * side
                shift = sign * (varied[1 + 2 * j + side] - varied[0])
                residual += alpha[j] * shift
                residual_slopes.append(shift)
                factors.append(1.0)
                slopes.append(0.0)
                continue
            up = varied[1 + 2 * j] / up_ratio - varied[0]
            down = varied[2 + 2 * j] / down_ratio - varied[0]
            w, dw = code4p(alpha[j]), code4p_slope(alpha[j])
            residual += w[0] * up + w[1] * down
            residual_slopes.append(dw[0] * up + dw[1] * down)
            factor, slope = code4(alpha[j], float(up_ratio), float(down_ratio))
            factors.append(factor)
            slopes.append(slope)
        norms = [self.sizes[k] for k in ("flux_sns", "ff_csi")] + [
            self.sizes[f"bkg_coherent_csi_2021_{k}"] for k in ("ss", "brn", "nin")
        ]
        for a, s in zip(alpha[n_shape:], norms, strict=True):
            factor, slope = (1 + s * a, s) if self.linear else code4(a, 1 + s, 1 - s)
            factors.append(factor)
            slopes.append(slope)
        common = np.prod(factors[: n_shape + 2])
        total = common * residual
        gradient = []
        for j in range(n_shape + 2):
            part = total * slopes[j] / factors[j]
            if j < n_shape:
                part = part + common * residual_slopes[j]
            gradient.append(part)
        for k, name in enumerate(("ss", "brn", "nin")):
            total = total + factors[n_shape + 2 + k] * self.background[name]
            gradient.append(slopes[n_shape + 2 + k] * self.background[name])
        return total, np.array(gradient)

    def sm_ratios(self):
        counts = self.signal().sum(axis=(1, 2))
        return counts[1:] / counts[0]

    def twice_nll(self, alpha, varied, ratios):
        """-2 ln (Poisson x Gaussian pulls), all constants in, and its gradient."""
        expected, gradient = self._expected(alpha, varied, ratios)
        if np.any(expected <= 0):
            return 1e10, np.zeros(len(alpha))
        poisson = 2 * (expected - xlogy(self.observed, expected) + gammaln(self.observed + 1))
        value = poisson.sum() + alpha @ alpha + len(alpha) * np.log(2 * np.pi)
        slope = 2 * (gradient * (1 - self.observed / expected)).sum(axis=(1, 2)) + 2 * alpha
        return value, slope

    def profile(self, parameter, value):
        """2NLL minimised over the eight nuisances, the best of several starts."""
        varied = self.signal(parameter, value)
        if not hasattr(self, "_ratios"):
            self._ratios = self.sm_ratios()
        starts = [np.zeros(8), getattr(self, "_last", np.full(8, 0.1))]
        found = [
            minimize(
                self.twice_nll, start, (varied, self._ratios), "L-BFGS-B", jac=True,
                bounds=[(-5, 5)] * 8, options={"ftol": 1e-13, "gtol": 1e-6},
            )
            for start in starts
        ]  # fmt: skip
        best = min(found, key=lambda f: f.fun)
        self._last = best.x
        return best.fun

    def interval(self, parameter, rise=2.7055434540954146, points=41):
        """(2NLL minimum, pieces of the region within ``rise`` of it)."""
        low, high = RANGES[parameter]
        grid = np.linspace(low, high, points)
        height = np.array([self.profile(parameter, v) for v in grid])
        dips = np.flatnonzero(
            (height <= np.append(height[1:], np.inf)) & (height <= np.append(np.inf, height[:-1]))
        )
        step = grid[1] - grid[0]
        lowest = {}
        for i in dips:
            ends = max(low, grid[i] - step), min(high, grid[i] + step)
            value = _golden(lambda v: self.profile(parameter, v), *ends)
            lowest[value] = self.profile(parameter, value)
        minimum = min(*lowest.values(), height.min())
        x = np.append(grid, list(lowest))
        y = np.append(height, list(lowest.values())) - minimum - rise
        order = np.argsort(x)
        x, y = x[order], y[order]
        ends = [
            brentq(lambda v: self.profile(parameter, v) - minimum - rise, a, b,
                   xtol=1e-6 * (high - low))
            for a, b, ya, yb in zip(x[:-1], x[1:], y[:-1], y[1:], strict=True)
            if (ya <= 0) != (yb <= 0)
        ]  # fmt: skip
        if y[0] <= 0:
            ends.insert(0, low)
        return minimum, list(zip(ends[::2], ends[1::2], strict=True))


def _golden(function, low, high, steps=18):
    """Minimum of a unimodal function by golden section."""
    ratio = (np.sqrt(5) - 1) / 2
    a, b = low, high
    x, y = b - ratio * (b - a), a + ratio * (b - a)
    fx, fy = function(x), function(y)
    for _ in range(steps):
        if fx < fy:
            b, y, fy = y, x, fx
            x = b - ratio * (b - a)
            fx = function(x)
        else:
            a, x, fx = x, y, fy
            y = a + ratio * (b - a)
            fy = function(y)
    return x if fx < fy else y


def main():
    """Print intervals: nuhf, independent, independent with linear interpolation."""
    import nuhf

    ours, straight = Csi2021(), Csi2021(linear=True)
    print({s: float(n[0].sum()) for s, n in ours.by_source().items()})
    for name in RANGES:
        (theirs,) = nuhf.limit("coherent-csi-2021", name)
        print(name)
        print("  nuhf       ", theirs.twice_nll_min, theirs.intervals)
        for label, model in (("independent", ours), ("linear     ", straight)):
            minimum, pieces = model.interval(name)
            print(f"  {label}", minimum, tuple((float(a), float(b)) for a, b in pieces))


if __name__ == "__main__":
    main()
