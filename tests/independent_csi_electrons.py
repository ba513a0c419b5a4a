"""COHERENT CsI 2017 and 2021 with nuclear and electron scattering, in plain numpy.

Shares with nuhf only the tables of ``data/`` and the constants. Every expectation is a polynomial
of degree two in one coupling, from three evaluations of the cross sections of ``independent_2026``.
The likelihood is Poisson times unit Gaussian pulls with HistFactory's interpolations (code4 for
factors, code4p for shapes, whose factor is that of the SM), minimised by L-BFGS-B.
"""

from functools import cached_property
from typing import ClassVar

import numpy as np
from independent_2026 import (
    KEV,
    NUCLIDES,
    cevns,
    decay_at_rest,
    eves,
    panels,
    read,
    shells_of,
    z_eff,
)
from independent_csi2021 import code4, code4p
from scipy.optimize import minimize
from scipy.special import gammaln, xlogy

from nuhf import constants as c

ATOMS = 14600 / sum(NUCLIDES[n]["atomic_mass_u"] for n in ("Cs133", "I127")) * c.AVOGADRO
AREA = 4 * np.pi * 1930.0**2
FLAVOURS = {"qnu_ee": "e", "r2nu_ee": "e", "munu_e": "e"}
FLAVOURS |= {"qnu_mumu": "mu", "r2nu_mumu": "mu", "munu_mu": "mu"}
UNITS = {"qnu": 1e-10, "r2nu": 1e-31, "munu": 1e-9, "sin2thetaW": 0.1}


def couplings(parameter, value, flavour):
    """Arguments of a cross section of one flavour for ``parameter`` in its unit."""
    stem = parameter.split("_")[0]
    if stem == "sin2thetaW":
        return {"s2w": c.SIN2_THETA_W + value * UNITS[stem]}
    if FLAVOURS[parameter] != flavour:
        return {}
    return {{"qnu": "q", "r2nu": "r2", "munu": "munu"}[stem]: value * UNITS[stem]}


class Csi:
    """What both have in common; ``electrons``: "step", "free" or none."""

    nuclear_low, nuclear_top = 0.1 * KEV, 60 * KEV
    radius = None

    def __init__(self, electrons="step"):
        self.atoms, self.known = electrons, {}

    @cached_property
    def nuclear_grid(self):
        return panels(self.nuclear_low, self.nuclear_top, [], nodes=12, per_decade=24)

    @cached_property
    def electron_grid(self):
        cuts = [shells_of(n)["edge_kev"] * KEV for n in ("Cs", "I")]
        return panels(0.05 * KEV, 30 * KEV, np.concatenate(cuts), nodes=12, per_decade=24)

    @cached_property
    def responses(self):
        """Bins of light x recoil of nuclei and of electrons: nominal, then up and down."""
        t, e = self.nuclear_grid[0], self.electron_grid[0]
        return {"cevns": self.nuclear_responses(t), "eves": self.electron_responses(e)}

    def rates(self, process, coupling=lambda flavour: {}):
        """{source: events per node of the grid} of the whole exposure, before the detector."""
        t, w = self.nuclear_grid if process == "cevns" else self.electron_grid
        front = ATOMS * self.fluence * w
        found = {}
        for name, (flux, flavour, anti) in decay_at_rest().items():
            if process == "cevns":
                parts = [
                    cevns(t, flux, n, neutron_radius=self.radius, **coupling(flavour))
                    for n in ("Cs133", "I127")
                ]
                found[name] = front * sum(parts)
            else:
                free = 108.0 if self.atoms == "free" else z_eff(t, "Cs") + z_eff(t, "I")
                found[name] = front * free * eves(t, flux, flavour, anti, **coupling(flavour))
        return found

    def counts(self, process, coupling=lambda flavour: {}):
        """{source: (variations, light bins)}, times not applied."""
        return {s: self.responses[process] @ r for s, r in self.rates(process, coupling).items()}

    def terms(self, process, parameter):
        """Coefficients of 1, v, v^2 in the unit of the parameter: (3, variations, n_pe, n_t)."""
        if (process, parameter) not in self.known:
            self.known[process, parameter] = self._terms(process, parameter)
        return self.known[process, parameter]

    def _terms(self, process, parameter):
        low, zero, high = (
            sum(
                n[..., None] * self.time[s]
                for s, n in self.counts(process, lambda f, v=v: couplings(parameter, v, f)).items()
            )
            for v in (-1.0, 0.0, 1.0)
        )
        return np.stack([zero, (high - low) / 2, (high + low) / 2 - zero])

    def processes(self):
        return ("cevns", "eves") if self.atoms else ("cevns",)

    def expected(self, parameter, value, alpha):
        """Counts for pulls by name."""
        total = sum(
            code4(alpha[name], 1 + size, 1 - size)[0] * self.background[kind]
            for kind, (name, size) in self.norms.items()
        )
        for process in self.processes():
            terms = self.terms(process, parameter)
            now = terms[0] + value * terms[1] + value**2 * terms[2]
            standard = terms[0].sum(axis=(1, 2))
            shape, factor = now[0].copy(), 1.0
            for i, name in enumerate(self.shapes[process]):
                up, down = (standard[2 * i + k] / standard[0] for k in (1, 2))
                a, b = code4p(alpha[name])
                shape += a * (now[2 * i + 1] / up - now[0]) + b * (now[2 * i + 2] / down - now[0])
                factor *= code4(alpha[name], float(up), float(down))[0]
            for name, size in self.factors[process].items():
                factor *= code4(alpha[name], 1 + size, 1 - size)[0]
            total = total + factor * shape
        return np.maximum(total, 1e-12)

    @cached_property
    def names(self):
        found = [name for name, _ in self.norms.values()]
        for process in self.processes():
            found += [*self.shapes[process], *self.factors[process]]
        return list(dict.fromkeys(found))

    def twice_nll(self, parameter, value, pulls):
        mean = self.expected(parameter, value, dict(zip(self.names, pulls, strict=True)))
        poisson = mean - xlogy(self.observed, mean) + gammaln(self.observed + 1)
        return 2 * poisson.sum() + np.sum(np.square(pulls))

    def profile(self, parameter, value, start=None):
        """2NLL minimised over the pulls."""
        start = np.full(len(self.names), 0.05) if start is None else start
        return minimize(
            lambda p: self.twice_nll(parameter, value, p), start, method="L-BFGS-B",
            bounds=[(-5, 5)] * len(start), options={"ftol": 1e-12, "gtol": 1e-5},
        )  # fmt: skip

    def best(self, parameter, low, high, count=9):
        """Lowest 2NLL for values between ``low`` and ``high`` (in the unit)."""
        grid = np.linspace(low, high, count)
        heights = [self.profile(parameter, v).fun for v in grid]
        i = int(np.argmin(heights))
        a, b = grid[max(i - 1, 0)], grid[min(i + 1, count - 1)]
        start = np.append(self.profile(parameter, grid[i]).x, grid[i])
        found = minimize(
            lambda x: self.twice_nll(parameter, x[-1], x[:-1]), start, method="L-BFGS-B",
            bounds=[(-5, 5)] * len(self.names) + [(a, b)], options={"ftol": 1e-12, "gtol": 1e-6},
        )  # fmt: skip
        return min(found.fun, *heights)


def histogram(x, edges, weights):
    return np.histogram(x, edges, weights=weights)[0]


class Csi2021(Csi):
    fluence = 3.198e23 * 0.0848 / AREA
    pe = np.array([0, 8, 12, 16, 20, 24, 32, 40, 50, 60.0])
    edges = np.array([0, 0.125, 0.25, 0.375, 0.5, 0.625, 0.75, 0.875, 1, 2, 4, 6])
    quenching = (
        (0.0554628, 4.30681, -111.707, 840.384),
        (0.0613632, 3.51547, -85.5548, 595.562), (0.0495624, 5.09815, -137.858, 1085.2),
        (0.055413, 3.93597, -93.1045, 630.092), (0.0555126, 4.67765, -130.309, 1050.68),
    )  # fmt: skip
    acceptance = (
        (1.32045, 0.285979, 10.8646, -0.333322),
        (1.3439, 0.285366, 9.84596, -0.356364), (1.297, 0.286592, 11.8832, -0.31028),
    )  # fmt: skip
    shapes: ClassVar = {
        "cevns": ("qf_csi_syst0", "qf_csi_syst1", "eff_coherent_csi_2021"),
        "eves": ("eff_coherent_csi_2021", "light_csi_electrons"),
    }
    factors: ClassVar = {"cevns": {"flux_sns": 0.10, "ff_csi": 0.034}, "eves": {"flux_sns": 0.10}}
    norms: ClassVar = {"ss": ("ss", 0.021), "brn": ("brn", 0.25), "nin": ("nin", 0.36)}

    def smear(self, light_kev, acceptance, step=0.1):
        """Gamma distribution of photoelectrons about the light of a recoil, in bins."""
        a, b = 0.0749 / light_kev, 9.56 * light_kev
        x = np.arange(step / 2, self.pe[-1], step)[:, None]
        density = np.exp(
            (1 + b) * np.log(a * (1 + b)) + b * np.log(x) - a * (1 + b) * x - gammaln(1 + b)
        )
        fine = x + step * (np.arange(20) + 0.5 - 10) / 20
        p = acceptance
        passed = np.maximum(p[0] / (1 + np.exp(-p[1] * (fine - p[2]))) + p[3], 0).mean(axis=1)
        weighted = density * (passed * step)[:, None]
        index = np.searchsorted(self.pe, x[:, 0]) - 1
        return np.stack([weighted[index == i].sum(0) for i in range(len(self.pe) - 1)])

    def nuclear_responses(self, t):
        def light(coefficients):
            return sum(p * t ** (n + 1) for n, p in enumerate(coefficients)) * 1e3

        found = [self.smear(light(q), self.acceptance[0]) for q in self.quenching]
        found += [self.smear(light(self.quenching[0]), p) for p in self.acceptance[1:]]
        return np.stack(found)

    def electron_responses(self, t):
        found = [self.smear(t / KEV, p) for p in self.acceptance]
        found += [self.smear(scale * t / KEV, self.acceptance[0]) for scale in (1.1, 0.9)]
        return np.stack(found)

    def accepted(self, table, column):
        middle = 0.5 * (table["t_lo_us"] + table["t_hi_us"])
        quarter = (table["t_hi_us"] - table["t_lo_us"]) / 4
        found = np.zeros(len(self.edges) - 1)
        for t in (middle - quarter, middle + quarter):
            weight = np.exp(-0.0494 * np.maximum(t - 0.52, 0.0))
            found += histogram(t, self.edges, 0.5 * table[column] * weight)
        return found

    @cached_property
    def time(self):
        table = read("sns/flux_time.csv")
        return {s: self.accepted(table, s) for s in decay_at_rest()}

    @cached_property
    def table(self):
        return read("coherent-csi-2021/counts.csv")

    @cached_property
    def observed(self):
        t = self.table
        pe, us = (t["pe_lo"] + t["pe_hi"]) / 2, (t["t_lo_us"] + t["t_hi_us"]) / 2
        return np.histogram2d(pe, us, [self.pe, self.edges], weights=t["n_c"])[0]

    @cached_property
    def background(self):
        t = self.table
        pe = histogram((t["pe_lo"] + t["pe_hi"]) / 2, self.pe, t["n_ac"]) / t["n_ac"].sum()
        decay = -np.diff(np.exp(-0.0494 * self.edges)) / (1 - np.exp(-0.0494 * 6))
        found = {"ss": 1286.0 * np.outer(pe, decay)}
        pes, times = (
            read("coherent-csi-2021/background_pe.csv"),
            read("coherent-csi-2021/background_time.csv"),
        )
        for name, events in (("brn", 18.4), ("nin", 5.6)):
            in_pe = histogram((pes["pe_lo"] + pes["pe_hi"]) / 2, self.pe, pes[name])
            shape = np.outer(in_pe, self.accepted(times, name))
            found[name] = events * shape / shape.sum()
        return found


class Csi2017(Csi):
    fluence = 1.76e23 * 0.08 / AREA
    nuclear_low = 0.5 * KEV
    radius = 5.0  # where the templates stand
    pe = np.arange(6.0, 31.0, 2.0)
    edges = np.arange(0.0, 6.25, 0.5)
    shapes: ClassVar = {"cevns": ("qf_csi_constant",), "eves": ("light_csi_electrons",)}
    factors: ClassVar = {
        "cevns": {"flux_sns": 0.10, "eff_coherent_csi_2017": 0.05, "ff_csi": 0.05},
        "eves": {"flux_sns": 0.10, "eff_coherent_csi_2017": 0.05},
    }
    norms: ClassVar = {"ss": ("ss", 0.05), "brn": ("brn", 0.25)}

    @staticmethod
    def acceptance(x):
        steps = np.where(x < 5, 0.0, np.where(x < 6, 0.5, 1.0))
        return steps * 0.6655 / (1 + np.exp(-0.4942 * (x - 10.8507)))

    def poisson(self, light_kev):
        """Poisson photoelectrons, n of them at n + 1/2, in bins."""
        n, mean = np.arange(80)[:, None], 13.348 * light_kev
        x = n[:, 0] + 0.5
        inside = (x >= self.pe[:-1, None]) & (x < self.pe[1:, None])
        return (inside * self.acceptance(x)) @ np.exp(n * np.log(mean) - mean - gammaln(n + 1))

    def nuclear_responses(self, t):
        return np.stack([self.poisson(q * t / KEV) for q in (0.0878, 0.1044, 0.0712)])

    def electron_responses(self, t):
        return np.stack([self.poisson(scale * t / KEV) for scale in (1.0, 1.1, 0.9)])

    @cached_property
    def time(self):
        table = read("coherent-csi-2017/arrival_time.csv")
        middle = 0.5 * (table["t_lo_us"] + table["t_hi_us"])
        return {s: histogram(middle, self.edges, table[s]) for s in decay_at_rest()}

    @cached_property
    def cells(self):
        t = read("coherent-csi-2017/counts_beam_on.csv")
        pe, us = (t["pe_lo"] + t["pe_hi"]) / 2, (t["t_lo_us"] + t["t_hi_us"]) / 2
        bins = [self.pe, self.edges]
        return {n: np.histogram2d(pe, us, bins, weights=t[n])[0] for n in ("n_c", "n_ac")}

    @cached_property
    def observed(self):
        return self.cells["n_c"]

    @cached_property
    def background(self):
        decay = -np.diff(np.exp(-0.112 * self.edges)) / (1 - np.exp(-0.112 * 6))
        pes = read("coherent-csi-2017/background_pe.csv")
        times = read("coherent-csi-2017/background_time.csv")
        x = (pes["pe_lo"] + pes["pe_hi"]) / 2
        us = (times["t_lo_us"] + times["t_hi_us"]) / 2
        in_pe = histogram(x, self.pe, pes["brn"] * self.acceptance(x))
        in_time = histogram(us, self.edges, times["brn"])
        return {
            "ss": np.outer(self.cells["n_ac"].sum(axis=1), decay),
            "brn": 7.47594 * np.outer(in_pe, in_time),
        }
