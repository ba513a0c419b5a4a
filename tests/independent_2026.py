"""Plain-numpy twins of the experiments of 2024 to 2026 and of electron scattering in CsI.

They share with nuhf only the numbers in ``data/`` and ``nuhf.constants``: cross sections, spectra,
responses and likelihoods are written down once more, as bare sums over fine bins. Exposures, priors
and settings stand here as the READMEs of the data folders print them.
"""

import tomllib
from functools import lru_cache
from pathlib import Path

import numpy as np
from scipy.optimize import brentq, minimize
from scipy.special import erf, xlogy

from nuhf import constants as c

DATA = Path(__file__).resolve().parents[1] / "data"
NUCLIDES = tomllib.loads((DATA / "nuclides.toml").read_text())
NATURAL = tomllib.loads((DATA / "elements.toml").read_text())
SOLAR = tomllib.loads((DATA / "solar/oscillation.toml").read_text())["normal"]
CHARGE = np.sqrt(2) * np.pi * c.ALPHA / c.FERMI_CONSTANT
MOMENT = np.pi * c.ALPHA**2 / c.ELECTRON_MASS**2 * c.HBAR_C**2
RADIUS_UNIT = c.HBAR_C**2
KEV = 1e-3
TONNE_YEAR_S = 365.25 * 86400


@lru_cache
def read(name):
    lines = [s for s in (DATA / name).read_text().splitlines() if not s.startswith("#")]
    return dict(
        zip(lines[0].split(","), np.loadtxt(lines[1:], delimiter=",", ndmin=2).T, strict=True)
    )


def matrix(name, bins):
    """Probabilities of a response, (bins, energies)."""
    table = read(f"{name}.csv")
    return np.stack([table[f"p_{i}"] for i in range(bins)])


def golden_radius(nucleons):
    """Radius of xenon, protons and neutrons, behind the golden numbers of XENONnT (fm)."""
    return 4.77 + 0.004 * (nucleons - 131)


# ------------------------------------------------------------------------ physics


class Flux:
    """Neutrinos per cm2 in narrow bins of energy (MeV)."""

    def __init__(self, low, high, number):
        self.low, self.high, self.density = low, high, number / (high - low)
        self.middle = 0.5 * (low + high)

    def times(self, weight):
        return Flux(self.low, self.high, self.density * weight * (self.high - self.low))

    def moments(self, lowest):
        """Integrals of E^0, E^-1, E^-2 above ``lowest``: three of its shape."""
        a = np.clip(self.low, lowest[:, None], self.high)
        return (
            (self.density * (self.high - a)).sum(1),
            (self.density * np.log(self.high / a)).sum(1),
            (self.density * (1 / a - 1 / self.high)).sum(1),
        )


def line(energy, number=1.0):
    return Flux(
        np.array([energy * (1 - 1e-9)]), np.array([energy * (1 + 1e-9)]), np.array([number])
    )


def helm(q_mev, rms_fm):
    x, s = q_mev / c.HBAR_C_FM, 0.9
    z = x * np.sqrt(5 / 3 * (rms_fm**2 - 3 * s**2))
    return 3 * (np.sin(z) - z * np.cos(z)) / z**3 * np.exp(-((x * s) ** 2) / 2)


def nucleus(name):
    n = NUCLIDES[name]
    mass = n["atomic_mass_u"] * c.ATOMIC_MASS_UNIT - n["protons"] * c.ELECTRON_MASS
    return mass, n["protons"], n["nucleons"] - n["protons"], n


def cevns(
    t, flux, name, s2w=c.SIN2_THETA_W, q=0.0, r2=0.0, munu=0.0, radius=None, neutron_radius=None
):
    """cm2 per MeV times the flux, one nuclide, flavours with one and the same coupling."""
    mass, z, n, entry = nucleus(name)
    momentum = np.sqrt(2 * mass * t)
    rp, rn = radius or entry["rp_fm"], neutron_radius or radius or entry["rn_fm"]
    protons, neutrons = z * helm(momentum, rp), n * helm(momentum, rn)
    m0, m1, m2 = flux.moments(0.5 * (t + np.sqrt(t**2 + 2 * mass * t)))
    d = CHARGE * (q / (mass * t) - r2 / RADIUS_UNIT / 3)
    amplitude = (0.5 - 2 * s2w + d) * protons - 0.5 * neutrons
    weak = c.FERMI_CONSTANT**2 * mass / np.pi * c.HBAR_C**2 * (m0 - t * m1 - mass * t / 2 * m2)
    return weak * amplitude**2 + MOMENT * (m0 / t - m1 + t / 4 * m2) * (protons * munu) ** 2


VECTOR = {"e": 0.5, "mu": -0.5, "tau": -0.5}


def eves(t, flux, flavour, anti=False, s2w=c.SIN2_THETA_W, q=0.0, r2=0.0, munu=0.0):
    """The same for a free electron at rest."""
    m = c.ELECTRON_MASS
    m0, m1, m2 = flux.moments(0.5 * (t + np.sqrt(t**2 + 2 * m * t)))
    gv = 2 * s2w + VECTOR[flavour] - CHARGE * (q / (m * t) - r2 / RADIUS_UNIT / 3)
    ga = VECTOR[flavour] * (-1 if anti else 1)
    bracket = (gv + ga) ** 2 * m0 + (gv - ga) ** 2 * (m0 - 2 * t * m1 + t**2 * m2)
    bracket -= (gv**2 - ga**2) * m * t * m2
    weak = c.FERMI_CONSTANT**2 * m / (2 * np.pi) * c.HBAR_C**2 * bracket
    return weak + MOMENT * (m0 / t - m1) * munu**2


def shells_of(element):
    old = {"Ge": "germanium", "Xe": "xenon"}.get(element)
    name = f"electrons/{element}_shells.csv"
    return read(name if (DATA / name).exists() else f"electrons/{old}_shells.csv")


def z_eff(t, element):
    """Electrons of an atom that can be freed with energy ``t`` (MeV)."""
    shells = shells_of(element)
    return (shells["electrons"] * (t[:, None] > shells["edge_kev"] * KEV)).sum(1)


def panels(low, high, cuts, nodes=24, per_decade=12):
    """Gauss-Legendre nodes and weights between logarithmic borders and ``cuts``."""
    count = int(np.ceil(np.log10(high / low) * per_decade)) + 1
    borders = np.unique(np.concatenate([np.geomspace(low, high, count), cuts]))
    borders = borders[(borders >= low) & (borders <= high)]
    x, w = np.polynomial.legendre.leggauss(nodes)
    half, middle = np.diff(borders)[:, None] / 2, (borders[1:] + borders[:-1])[:, None] / 2
    return (middle + half * x).ravel(), (half * w).ravel()


# ------------------------------------------------------------------------ the Sun


def fine_bins(end, step):
    edges = np.linspace(0.0, end, round(end / step) + 1)
    return edges[:-1], edges[1:]


@lru_cache
def boron8(total=5.25e6):
    """8B neutrinos per cm2 and s; SNO's flux, as in the prior of the release."""
    table = read("solar/spectrum_b8.csv")
    low, high = fine_bins(table["e_mev"].max(), 0.01)
    shape = np.interp(0.5 * (low + high), table["e_mev"], table["density_per_mev"])
    return Flux(low, high, total * shape * (high - low))


def mass_states(energy, source):
    """P_e1, P_e2, P_e3 of neutrinos made in the Sun (adiabatic), (3, n)."""
    s12, s13 = SOLAR["sin2_theta12"], SOLAR["sin2_theta13"]
    profile = read("solar/production_bs05op.csv")
    density = profile["ne_mol_per_cm3"] * c.AVOGADRO * c.HBAR_C**3
    potential = np.sqrt(2) * c.FERMI_CONSTANT * density
    cos, sin2 = 1 - 2 * s12, 4 * s12 * (1 - s12)
    b = 2 * np.outer(energy, potential) * (1 - s13) / (SOLAR["dm2_21_ev2"] * 1e-12)
    matter = ((cos - b) / np.sqrt((cos - b) ** 2 + sin2)) @ profile[source] / profile[source].sum()
    one = (1 - s13) / 2
    return np.array([one * (1 + matter), one * (1 - matter), np.full(len(energy), s13)])


def mixing(sin2_theta23=0.5, delta=0.0):
    """PDG mixing matrix, rows e, mu, tau."""
    s12, s13, s23 = (
        np.sqrt(x) for x in (SOLAR["sin2_theta12"], SOLAR["sin2_theta13"], sin2_theta23)
    )
    c12, c13, c23 = (np.sqrt(1 - x**2) for x in (s12, s13, s23))
    phase = np.exp(1j * delta)
    return np.array([
        [c12 * c13, s12 * c13, s13 / phase],
        [-s12 * c23 - c12 * s23 * s13 * phase, c12 * c23 - s12 * s23 * s13 * phase, s23 * c13],
        [s12 * s23 - c12 * c23 * s13 * phase, -c12 * s23 - s12 * c23 * s13 * phase, c23 * c13],
    ])  # fmt: skip


def density_matrix(energy, source, **angles):
    """rho_ab of neutrinos from the Sun at the detector, (n, 3, 3)."""
    u = mixing(**angles)
    return np.einsum("kn,ak,bk->nab", mass_states(energy, source), u, u.conj())


def survival(energy, source):
    return density_matrix(energy, source)[:, 0, 0].real


def eves_density_matrix(t, energy, rho, d, s2w=c.SIN2_THETA_W):
    """Traces of rho with the vertex matrices: one electron, without the front factor."""
    gv = np.diag([2 * s2w + VECTOR[f] for f in VECTOR]) + d
    ga = np.diag(list(VECTOR.values())).astype(complex)
    left, right = gv + ga, gv - ga
    mixed = 0.5 * (left @ right + right @ left)
    x = 1 - t / energy
    vertex = left @ left + x**2 * right @ right - c.ELECTRON_MASS * t / energy**2 * mixed
    return np.trace(rho @ vertex).real


def low_energy_sun():
    """pp and 7Be neutrinos (B16-GS98, relative): (source, energies, fluxes)."""
    table = read("solar/spectrum_pp.csv")
    low, high = table["e_mev"][:-1], table["e_mev"][1:]
    value = table["density_per_mev"]
    yield "pp", (low + high) / 2, 5.98e10 * 0.5 * (value[1:] + value[:-1]) * (high - low)
    yield "be7", np.array([0.8613, 0.3843]), 4.93e9 * np.array([0.897, 0.103])


# ------------------------------------------------------------------ xenon, solar 8B


def xenon_rate(t, flux, radius=None, **couplings):
    """Recoils per tonne-year and keV in natural xenon, per neutrino flux in 1/(cm2 s)."""
    total = np.zeros_like(t)
    for name, share in NATURAL["Xe"].items():
        r = None if radius is None else radius(NUCLIDES[name]["nucleons"])
        total += share * cevns(t, flux, name, radius=r, **couplings)
    return total * 1e6 / 131.293 * c.AVOGADRO * TONNE_YEAR_S * KEV


class Search:
    """Poisson bins, Gaussian pulls, a signal polynomial in nothing: the rate is an argument."""

    bounds: tuple

    def expected(self, signal, pulls):
        raise NotImplementedError

    def profile(self, signal, free=False):
        """Saturated 2NLL + pulls, minimised; ``free``: over the strength of the signal, too."""

        def height(x):
            pulls, strength = (x[:-1], x[-1]) if free else (x, 1.0)
            mean = self.expected(strength * signal, pulls)
            poisson = mean - self.counts + xlogy(self.counts, self.counts / mean)
            return 2 * poisson.sum() + (pulls**2).sum()

        bounds = [*self.bounds, (0.0, 10.0)] if free else list(self.bounds)
        start = [0.01] * len(self.bounds) + ([1.0] if free else [])
        return minimize(
            height, start, method="L-BFGS-B", bounds=bounds, options={"ftol": 1e-13, "gtol": 1e-5}
        ).fun

    def end(self, rate, low, high, minimum):
        """Where the profile over ``rate(value)`` is 2.7055 above its minimum."""
        level = minimum + 2.705543454095404
        return brentq(lambda v: self.profile(self.signal(rate(v))) - level, low, high, rtol=1e-5)


class Xenon8B(Search):
    """XENONnT, 81 bins of some runs; yields along straight lines, neutron shape nominal."""

    energies = np.linspace(0.5, 5.0, 46) * KEV
    exposures = (1.174398, 2.342593, 3.249665)
    coincidences = (0.0904, 0.0576, 0.05)

    def __init__(self, runs=(0, 1, 2)):
        self.runs = runs
        counts = read("xenonnt-8b/counts_derived.csv")
        self.counts = np.concatenate([counts[f"sr{k}"] for k in runs])
        self.responses, self.backgrounds = [], []
        weight = np.full(46, 0.1)
        weight[[0, -1]] = 0.05
        for k in runs:
            settings = ("", "_ly_up", "_ly_dn", "_qy_up", "_qy_dn")
            block = np.stack([matrix(f"xenonnt-8b/response_sr{k}{s}", 81) for s in settings], 1)
            self.responses.append(self.exposures[k] * block * weight)
            table = read(f"xenonnt-8b/backgrounds_sr{k}.csv")
            self.backgrounds.append(
                self.exposures[k] * np.stack([table[n] for n in ("ac", "er", "rg")])
            )
        # flux, efficiency, er, neutrons, light yield, charge yield, one coincidence norm per run
        self.bounds = ((-5, 5), (-3.9, 5), (-1, 5), (-1.7, 5), (-5, 5), (-5, 5)) + ((-5, 5),) * len(
            runs
        )

    def signal(self, rate):
        """Events by run, bin and setting of the yields, (n_runs, 81, 5)."""
        return np.stack([response @ rate for response in self.responses])

    def expected(self, signal, pulls):
        flux, eff, er, neutrons, ly, qy, *ac = pulls
        nominal = signal[..., 0]
        total = nominal.copy()
        for pull, up, down in ((ly, 1, 2), (qy, 3, 4)):
            total += abs(pull) * (signal[..., up if pull > 0 else down] - nominal)
        total *= np.exp(0.0381 * flux) * (1 + 0.25 * eff)
        for i, k in enumerate(self.runs):
            norms = [1 + self.coincidences[k] * ac[i], 1 + er, 1 + 0.58 * neutrons]
            total[i] += np.array(norms) @ self.backgrounds[i]
        return np.maximum(total, 1e-12).ravel()


class Xenon2Only(Search):
    """XENONnT without S1, seven bins of three runs; charge yield along straight lines."""

    exposures = (1.50, 2.44, 3.89)

    def __init__(self, cathode_shape=False):
        self.cathode_shape = cathode_shape
        counts = read("xenonnt-s2-only/counts_derived.csv")
        self.counts = np.concatenate([counts[f"sr{k}"] for k in range(3)])
        self.templates = [read(f"xenonnt-s2-only/templates_sr{k}.csv") for k in range(3)]
        self.responses = []
        for k in range(3):
            parts = [
                matrix(f"xenonnt-s2-only/response_sr{k}{s}", 7) for s in ("", "_qy_up", "_qy_dn")
            ]
            self.responses.append(np.stack(parts, 1))
        energies = read("xenonnt-s2-only/response_sr0.csv")["t_kev_nr"]
        middle = 0.5 * (energies[1:] + energies[:-1])
        borders = [2 * energies[0] - middle[0], *middle, 2 * energies[-1] - middle[-1]]
        self.width, self.energies = np.diff(borders), energies * KEV
        # flux, charge yield, then per run: efficiency, cathode, de, ae, cathode shape
        self.bounds = ((-5, 5), (-3, 3)) + ((-5, 5),) * 3 + ((-3, 3),) * 9
        self.bounds += (((-3, 3) if cathode_shape else (0, 0)),) * 3

    def signal(self, rate):
        """Events by run, bin and charge yield, (3, 7, 3)."""
        return np.stack([
            exposure * response @ (rate * self.width)
            for exposure, response in zip(self.exposures, self.responses, strict=True)
        ])  # fmt: skip

    def expected(self, signal, pulls):
        flux, qy = pulls[:2]
        eff, cathode, de, ae, shape = np.reshape(pulls[2:], (5, 3))
        nominal = signal[..., 0]
        total = nominal + abs(qy) * (signal[..., 1 if qy > 0 else 2] - nominal)
        total = total * (1 + 0.0381 * flux) * (1 + 0.112 * eff)[:, None]
        anchors = ["m3", "m2", "m1", "0", "p1", "p2", "p3"]
        for k, t in enumerate(self.templates):
            shapes = np.stack([t[f"cathode_{a}"] for a in anchors])
            at = np.array([np.interp(shape[k], np.arange(-3, 4), column) for column in shapes.T])
            total[k] += self.exposures[k] * (
                (1 + (0.146, 0.104, 0.074)[k] * cathode[k]) * at
                + (1 + (0.408, 0.192, 0.135)[k] * de[k]) * t["de"]
                + (1 + (0.171, 0.078, 0.0)[k] * ae[k]) * t["ae"]
            )
        return np.maximum(total, 1e-12).ravel()


# ------------------------------------------------------------------------- CONUS+


class ConusPlus:
    """19 bins of 10 eV, Gaussian, one pull of 16.9 % on the prediction."""

    def __init__(self):
        table = read("conus-plus/excess_digitised.csv")
        self.edges = 1e3 * np.append(table["e_lo_kev_ee"], table["e_hi_kev_ee"][-1])
        self.excess, self.error = table["excess"], table["error"]
        spectrum = read("reactor/bestiole2023.csv")
        shares = {"u235": 0.53, "u238": 0.08, "pu239": 0.32, "pu241": 0.07}
        shares |= {"u239": 0.6, "np239": 0.6}
        density = sum(s * spectrum[n] for n, s in shares.items())
        low, high = spectrum["e_lo_mev"], spectrum["e_hi_mev"]
        fissions = 3.6e9 / (205.8 * 1.602176634e-13) / (4 * np.pi * 2070.0**2)
        self.flux = Flux(low, high, fissions * density * (high - low))
        self.scale = 1e3 * c.AVOGADRO / 72.62985 * 119 * 86400  # atoms per kg times seconds

    def _smeared(self, energy_ev, rate):
        """Events in the bins of a rate (per bin of the integration) at mean signals in eV."""
        sigma = np.sqrt(20.38**2 + 2.96 * 0.1096 * energy_ev)
        below = 0.5 * (1 + erf((self.edges[:, None] - energy_ev) / (sigma * np.sqrt(2))))
        return np.diff(below, axis=0) @ rate

    def nuclear(self, **couplings):
        t, w = panels(0.03 * KEV, 4.5 * KEV, [], per_decade=20)
        rate = sum(s * cevns(t, self.flux, n, **couplings) for n, s in NATURAL["Ge"].items())
        eps = 11.5 * 32 ** (-7 / 3) * t / KEV
        g = 3 * eps**0.15 + 0.7 * eps**0.6 + eps
        quenched = 0.162 * g / (1 + 0.162 * g) * t
        return self._smeared(quenched * 1e6, rate * w * self.scale)

    def electrons(self, **couplings):
        cuts = shells_of("Ge")["edge_kev"] * KEV
        t, w = panels(2.96e-6, 0.6 * KEV, cuts)
        rate = z_eff(t, "Ge") * eves(t, self.flux, "e", anti=True, **couplings)
        return self._smeared(t * 1e6, rate * w * self.scale)

    def chi2(self, prediction):
        x, y = prediction / self.error, self.excess / self.error
        pull = ((y - x) @ x) / (x @ x + 1 / 0.169**2)
        return ((y - (1 + pull) * x) ** 2).sum() + (pull / 0.169) ** 2


# ------------------------------------------------------------ pion decay at rest


@lru_cache
def decay_at_rest():
    """One neutrino of each kind: (flux, flavour, whether anti)."""
    end = c.MUON_MASS / 2
    low, high = fine_bins(end, end / 2000)
    y = (low + high) / 2 / end
    step = (high - low) / end
    prompt = (c.PION_MASS**2 - c.MUON_MASS**2) / 2 / c.PION_MASS
    return {
        "numu": (line(prompt), "mu", False),
        "nue": (Flux(low, high, 12 * y**2 * (1 - y) * step), "e", False),
        "numubar": (Flux(low, high, 2 * y**2 * (3 - 2 * y) * step), "mu", True),
    }


def cross_section(flux, name, **couplings):
    """CEvNS cross section times the flux, above nothing, in cm2."""
    mass = nucleus(name)[0]
    end = flux.high[-1]
    t, w = panels(1e-3 * KEV, 2 * end**2 / (mass + 2 * end), [])
    return w @ cevns(t, flux, name, **couplings)
