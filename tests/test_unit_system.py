"""Nothing depends on the internal units: everything is computed again in others.

nuhf counts in MeV, cm, s, kg, with numbers of nature in `nuhf.constants` and factors in
`nuhf.units` alone. Here fresh copies of all modules are imported over copies of these two in which
every number is multiplied by what its dimension asks for, with arbitrary units of energy, length,
time and mass. A kernel is then given its arguments in these units, and must return what it returned
before, in these units. A literal with a hidden unit anywhere breaks that.

Numbers whose name carries a unit (`threshold_kev_ee`, `rms_fm`, `distance_m`) stay as they are:
that unit is part of the interface, and the factor of `nuhf.units` behind it has to do the rest. In
files, what is written in an internal unit (MeV, cm, s, kg) is rewritten as it is read.
"""

import ast
import importlib
import inspect
import math
import pkgutil
import re
import sys
from collections.abc import Callable
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cache, partial
from itertools import product
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

# ------------------------------------------------------------------ dimensions

# powers of energy, length, time, mass of the target; products of quantities are sums of these
E, L, t, M = np.eye(4)
ONE = np.zeros(4)
AREA = 2 * L

CONSTANTS = {
    "FERMI_CONSTANT": -2 * E, "ALPHA": ONE, "ELECTRON_MASS": E, "MUON_MASS": E, "TAU_MASS": E,
    "PION_MASS": E, "W_MASS": E, "MUON_LIFETIME": t, "ATOMIC_MASS_UNIT": E, "AVOGADRO": ONE,
    "HBAR_C": E + L, "HBAR_C_FM": E, "CM2_PER_MEV_M2": 2 * E + AREA, "SIN2_THETA_W": ONE,
    "LEPTON_MASS": E,
}  # fmt: skip

UNITS = {
    "EV": E, "KEV": E, "METRE": L, "DAY": t, "YEAR": t, "G_PER_KG": -M, "GIGAWATT": E - t,
}  # fmt: skip

LITERALS = {
    "nuhf.physics.reactor_models": {"_LINEAR_TO_MEV": E, "_PANEL_MEV": E},
    "nuhf.experiments.target": {"_KG_PER_TONNE": M},
}
"""Numbers in an internal unit, outside of constants and data, that are meant to be there: how a
published spectrum is to be read, and a unit of exposures. Their names say so; they are converted
here."""

SYSTEMS = {
    # each unit alone, to say which one is at fault, and all of them together
    "energy": (math.pi**4, 1, 1, 1),
    "length": (1, 1 / math.e**3, 1, 1),
    "time": (1, 1, math.sqrt(7) * 1e3, 1),
    "mass": (1, 1, 1, math.sqrt(2) / 30),
    "all": (1 / math.e**2, math.sqrt(3) * 100, 1 / math.sqrt(11), math.pi * 1e3),
}
"""Size of our units in others: 1 MeV counts pi^4 of the first."""


def scaled(value, dimension, factors):
    """A number, an array or a mapping of them in other units."""
    if isinstance(value, dict):
        return {name: scaled(one, dimension, factors) for name, one in value.items()}
    return value * float(np.prod(np.asarray(factors) ** dimension))


# ----------------------------------------------------------------------- files


def unit_of_column(name, text):
    """Dimension of a column of a table, from the unit in its header."""
    if name == "ne_mol_per_cm3":
        return -3 * L
    if re.match(r"MeV(?! cm)", text):
        return E
    return -E if re.match(r"(1|antineutrinos)/MeV\b", text) else ONE


def table_in(factors, parse, path, text):
    """Parse a table; columns in internal units are changed."""
    table = parse(path, text)
    line = next(x for x in text.splitlines() if "# columns:" in x)
    units = dict(re.findall(r"(\w+) \[([^]]*)\]", line))
    found = {
        name: scaled(column, unit_of_column(name, units.get(name, "")), factors)
        for name, column in table.columns.items()
    }
    return replace(table, columns=found)


KEYS = {
    "mass_kg": M, "flux_per_cm2_s": -AREA - t, "energy_mev": E, "range_mev": E,
    "energy_per_fission_mev": E, "e_max_mev": E,
}  # fmt: skip


def toml_in(factors, parse, path, text):
    """Parse a TOML file; numbers in internal units are changed."""
    change = partial(scaled, factors=factors)

    def walk(entry):
        if isinstance(entry, list):
            return [walk(one) for one in entry]
        if not isinstance(entry, dict):
            return entry
        found = {
            key: change(np.asarray(value), KEYS[key]).tolist() if key in KEYS else walk(value)
            for key, value in entry.items()
        }
        if "coefficients" in found.get("quenching", {}):  # E_ee = sum_n c_n T^n in MeV
            row = found["quenching"]["coefficients"]
            row[:] = [change(c, -power * E) for power, c in enumerate(row)]
        return found

    content = walk(parse(path, text))
    if path.name == "fuel.toml":  # MeV per fission, by isotope
        for one in content["energies"].values():
            one |= {key: change(x, E) for key, x in one.items() if isinstance(x, float)}
    if path.name == "polynomials.toml":  # density per MeV as exp(sum_p a_p E^p)
        for section in content.values():
            for name, row in section.items():
                if isinstance(row, list) and name != "range_mev":
                    row[:] = [change(a, -power * E) for power, a in enumerate(row)]
                    row[0] += math.log(change(1.0, -E))
    return content


# -------------------------------------------------------------------- a system

NUHF = next(iter(importlib.import_module("nuhf").__path__))
KERNELS = [
    f"nuhf.{part}.{module.name}"
    for part in ("couplings", "physics", "detector", "rates")
    for module in pkgutil.iter_modules([f"{NUHF}/{part}"])
] + ["nuhf.library"]


def convert(module, dimensions, factors, forget=()):
    """Bring numbers of a fresh module into other units, but for those to forget."""
    module = importlib.import_module(module)
    for name in set(dimensions) - set(forget):
        setattr(module, name, scaled(getattr(module, name), dimensions[name], factors))


@contextmanager
def system(factors, forget=(), unread=False):
    """Give fresh copies of all kernels, and the function that scales, for some units.

    ``forget`` names constants or units that are not converted, ``unread`` leaves files in our
    units: planted faults.
    """
    ours = {n: m for n, m in sys.modules.items() if n == "nuhf" or n.startswith("nuhf.")}
    for name in ours:
        del sys.modules[name]
    try:
        convert("nuhf.constants", CONSTANTS, factors, forget)
        convert("nuhf.units", UNITS, factors, forget)
        if not unread:
            tables = importlib.import_module("nuhf.tables")
            resources = importlib.import_module("nuhf.resources")
            tables.parse_table = partial(table_in, factors, tables.parse_table)
            resources.parse_toml = partial(toml_in, factors, resources.parse_toml)
        found = {name.rpartition(".")[2]: importlib.import_module(name) for name in KERNELS}
        convert(
            "nuhf.physics.reactor_models", LITERALS["nuhf.physics.reactor_models"], factors, forget
        )
        yield SimpleNamespace(**found), partial(scaled, factors=factors)
    finally:
        for name in [n for n in sys.modules if n == "nuhf" or n.startswith("nuhf.")]:
            del sys.modules[name]
        sys.modules.update(ours)


# ----------------------------------------------------------------- how to say it


@dataclass(frozen=True)
class Quantity:
    """A number or an array with its dimension."""

    value: Any
    dimension: Any


@dataclass(frozen=True)
class Case:
    """What to give to a public function, and the dimension of what comes back.

    Attributes
    ----------
    result
        A dimension, or a list or dict of them for a result of several parts.
    args : tuple
        Quantities; functions of (kernels, scale), for objects; anything else is a pure number.
    on : callable, optional
        Makes the object whose method or property is meant.
    pick : callable, optional
        Turns the result into numbers.
    """

    result: Any
    args: tuple = ()
    on: Callable | None = None
    pick: Callable | None = None

    def run(self, name, n, s):
        args = [
            s(a.value, a.dimension) if isinstance(a, Quantity) else a(n, s) if callable(a) else a
            for a in self.args
        ]
        module, *path = name.split(".")
        holder = self.on(n, s) if self.on else getattr(n, module)
        found = getattr(holder, path[-1])
        found = found(*args) if callable(found) else found
        return self.pick(found, s) if self.pick else found


def gives(result, *args, **options):
    return Case(result, args, **options)


Q = Quantity

# -------------------------------------------------------------------- arguments

T = Q(np.array([1e-6, 3e-4, 2e-3, 1.1e-2, 4e-2]), E)
HIGH_T = Q(T.value[1:], E)
ENERGIES = np.array([0.3, 1.7, 9.0, 29.7, 50.0])
ENERGY = Q(ENERGIES, E)
MASS = Q(123800.0, E)
ATOM = 132.905451961
RADII = np.array([4.0, 5.0, 6.5])
COUPLED = {
    "q": Q(1e-8, ONE), "r": Q(3e-32, AREA), "munu": Q(1e-9, ONE),
}  # fmt: skip
FUEL = {"u235": 0.58, "u238": 0.08, "pu239": 0.29, "pu241": 0.05}
FISSION = np.array([0.513, 1.21, 2.513, 3.77, 6.63, 7.91])

BY_MONOMIAL = {
    "1": ONE, "q": ONE, "r": -AREA, "q^2": ONE, "q*r": -AREA, "r^2": -2 * AREA, "munu^2": ONE
}  # fmt: skip
BY_POWER = [AREA - E, AREA, AREA + E]  # coefficients of 1, 1/E, 1/E^2 of dsigma/dT
SECTION = {m: [power + d for power in BY_POWER] for m, d in BY_MONOMIAL.items()}
PROBED = [E, -E, E, ONE, E, E]


def values(_n, s):
    return {name: s(q.value, q.dimension) for name, q in COUPLED.items()}


def cs(n, _s):
    return n.nuclei.Nuclide("Cs133", 55, 133, ATOM, 4.8041, 5.01)


def choices(form_factor="helm", expand=False):
    return lambda n, s: n.settings.Physics(n.couplings.tree_level(), form_factor, expand)


def expanded(n, s):
    """A cross section in the form factor of the neutrons."""
    return n.cevns.cross_section(
        s(HIGH_T.value, E), cs(n, s), "e", choices(expand=True)(n, s)
    ).expand()


def by_coupling(found, s):
    """Sum over the powers of a neutron radius."""
    rows = {}
    for name, row in found.by_name().items():
        base, _, power = name.removeprefix("1*").rpartition("x_Cs133")
        key = base.rstrip("*") or ("1" if "x_" in name else name)
        rows.setdefault(key, []).append((int(power.strip("^") or 1) if "x_" in name else 0, row))
    return {key: sum(0.7**k * row for k, row in terms) for key, terms in rows.items()}


def probe(spectrum, s, at=ENERGIES):
    """Everything a spectrum says."""
    energies, numbers = np.array(spectrum.lines or [(0.0, 0.0)]).T
    return [
        spectrum.edges if spectrum.edges.size else np.zeros(1), spectrum.density(s(at, E)),
        energies, numbers, spectrum.endpoint, spectrum.kinks,
    ]  # fmt: skip


def probes(spectra, s, at=ENERGIES):
    return {name: probe(spectrum, s, at) for name, spectrum in spectra.items()}


def fissions(*args, **options):
    """Return a maker of a spectrum per fission."""
    return lambda n, s: n.library.reactor_spectrum(*args, **options)


def summed(powers):
    """A polynomial in the radius at x = 0.7: high powers alone are mostly rounding errors."""
    return sum(0.7**k * row for k, row in enumerate(powers))


def mueller(n, s):
    """The data of all pieces of a model."""
    found = {}
    for piece in n.reactor.pieces("mueller", 0.6):
        read = toml if piece.form == "exponential" else table
        found[piece.file] = read(piece.file)(n, s)
    return found


def inputs(n, _s):
    return n.library.read_weak_charge()


def shells(n, s):
    return n.shells.Shells(s(np.array([1e-3, 5e-3, 3.1e-2]), E), np.array([8.0, 8.0, 2.0]))


def corrected(n, s):
    at = s(np.array([1e-4, 2e-3, 9e-3]), E)
    return n.shells.AtomicCorrection(at, np.array([0.7, 0.9, 1.1]), shells(n, s))


def table(name):
    """A shipped table."""
    return lambda _n, _s: importlib.import_module("nuhf.inputs").Inputs().table(name)


def toml(name):
    """The content of a shipped TOML file."""
    return lambda _n, _s: importlib.import_module("nuhf.inputs").Inputs().toml(name)


def solar(name):
    return lambda n, s: n.library.components([name])[name]


def sun(n, s):
    mixing = n.solar.Oscillation(0.31, 0.022, 0.57, 7.5e-5)
    electrons = s(np.array([100.0, 40.0, 5.0]), -3 * L)
    return n.solar.AdiabaticSurvival(mixing, electrons, {"pp": np.array([0.2, 0.5, 0.3])})


PHYSICS = {
    "cevns.minimum_energy": gives(E, T, MASS),
    "cevns.maximum_recoil": gives(E, ENERGY, MASS),
    "cevns.weak_coefficients": gives(BY_POWER, T, MASS),
    "electromagnetic.magnetic_coefficients": gives(BY_POWER, T, 0.0),
    "light_vector.loop": gives(ONE, Q(np.array([10.0, 5e3]), 2 * E)),
    "dipole_portal.recoil_ends": gives(
        E, ENERGY, MASS, lambda n, s: {"sterile_mass_mev": s(0.2, E)}
    ),
    "electromagnetic.RADIUS_SHIFT": gives(-AREA),
    "electromagnetic.charge_shift": gives(ONE, T, MASS),
    "cevns.form_factors": gives([ONE, ONE], "klein-nystrand", T, cs),
    "cevns.cross_section": gives(
        SECTION, T, cs, "mu", choices("symmetrised-fermi"),
        pick=lambda found, s: found.expand().by_name(),
    ),
    "cevns.differential_cross_section": gives(AREA - E, T, ENERGY, cs, "e", choices(), values),
    "couplings.sm_charge_radius": gives(AREA, "mu"),
    "couplings.tree_level": gives(ONE, pick=lambda found, s: found.gp["e"]),
    "library.weak_couplings": gives(ONE, "tree", pick=lambda found, s: found.gp["mu"]),
    "library.coupling_schemes": gives(ONE, pick=lambda found, s: [c.gn for c in found.values()]),
    "couplings.parse_schemes": gives(
        ONE, "f", toml("couplings.toml"), pick=lambda found, s: [c.gn for c in found.values()]
    ),
    "eves.electron_couplings": gives([ONE, ONE], "e", True),
    "eves.cross_section": gives(SECTION, T, "mu", pick=lambda found, s: found.expand().by_name()),
    "eves.differential_cross_section": gives(
        AREA - E, T, ENERGY, "e", True, choices(), values
    ),
    # momentum transfers are in MeV, lengths in fm
    "form_factors.point": gives(ONE, ENERGY),
    "form_factors.helm": gives(ONE, ENERGY, 4.8),
    "form_factors.klein_nystrand": gives(ONE, ENERGY, 6.1),
    "form_factors.klein_nystrand_rms": gives(ONE, ENERGY, 4.8),
    "form_factors.symmetrised_fermi": gives(ONE, ENERGY, 4.8),
    "neutron_radius.RADIUS_RANGE_FM": gives([ONE, ONE]),
    "neutron_radius.REFERENCE_FM": gives(ONE),
    "neutron_radius.neutron_form_factors": gives(ONE, "helm", T, cs, RADII),
    "neutron_radius.power_fit": gives(
        ONE, lambda n, s: lambda radii: np.stack(
            [n.form_factors.helm(s(60.0, E), radius) for radius in radii]
        ), (2.0, 8.0), 6, pick=lambda found, s: summed(found),
    ),
    "neutron_radius.radius_powers": gives(
        [ONE, ONE], "helm", HIGH_T, cs, pick=lambda found, s: [summed(one) for one in found]
    ),
    "neutron_radius.in_radius": gives(SECTION, expanded, "helm", HIGH_T, cs, pick=by_coupling),
    "neutron_radius.radius_error": gives(
        [ONE, ONE], "helm", Q(T.value[3:], E), cs, (2.0, 8.0), 1
    ),
    "nuclei.Nuclide.mass": gives(E, on=cs),
    "nuclei.Nuclide.neutrons": gives(ONE, on=cs),
    "nuclei.parse_nuclides": gives(
        E, "f", toml("nuclides.toml"), pick=lambda found, s: found["I127"].mass
    ),
    "library.read_nuclides": gives(E, pick=lambda found, s: found["I127"].mass),
    "library.compositions": gives(ONE, pick=lambda found, s: found["Ge"]["Ge72"]),
    # weak charges: pure numbers, from amplitudes in atomic units and radii in fm
    "library.read_weak_charge": gives(E, pick=lambda found, s: found.nuclide.mass),
    "apv.measured_weak_charge": gives(ONE, inputs, RADII),
    "apv.measured_error": gives(ONE, inputs, RADII),
    "apv.measured_sin2_theta_w": gives(ONE, inputs, RADII),
    "apv.skin_correction": gives(ONE, inputs, RADII),
    "apv.standard_model_weak_charge": gives(ONE, inputs, 0.23),
    "apv.weak_charge": gives(ONE, inputs, 0.23, RADII),
    "apv.apv_polynomial": gives(ONE, inputs, pick=lambda found, s: found.powers),
    "reactor.model": gives(ONE, "mueller", pick=lambda found, s: len(found.pieces)),
    "reactor.pieces": gives(ONE, "mueller", 0.6, pick=lambda found, s: len(found)),
    "reactor.checked_fractions": gives(dict.fromkeys(FUEL, ONE), "x", FUEL),
    "reactor.spectrum": gives(
        PROBED, "mueller", mueller, FUEL, 0.6, Q(7.0, E), pick=partial(probe, at=FISSION)
    ),
    "library.reactor_spectrum": gives(
        PROBED, "mueller", FUEL, 0.6, Q(7.0, E), pick=partial(probe, at=FISSION)
    ),
    "reactor.antineutrinos_per_fission": gives(ONE, fissions("vogel-engel", FUEL, 0.6)),
    "library.fission_fractions": gives(dict.fromkeys(FUEL, ONE), "daya_bay"),
    "library.energy_per_fission": gives(E, FUEL),
    "reactor.fission_rate": gives(-t, 2.96, Q(205.0, E)),
    "reactor.fluence_from_power": gives(-AREA, 2.96, Q(205.0, E), 10.39, Q(8e6, t)),
    "reactor.fluence_from_flux": gives(
        -AREA, fissions("huber", FUEL), Q(4.8e13, -AREA - t), Q(8e6, t)
    ),
    "reactor_models.piece_spectrum": gives(
        PROBED, lambda n, s: n.reactor_models.Piece(
            "exponential", "mueller2011", ("u235", "u238"), (s(2.0, E), s(9.0, E)), True
        ), {"u235": 0.7, "u238": 0.3}, toml("reactor/polynomials.toml"),
        pick=partial(probe, at=FISSION[2:]),
    ),
    "reactor_models.add": gives(
        PROBED, lambda n, s: [
            fissions("kopeikin2012")(n, s), fissions("bestiole2023", FUEL)(n, s),
            fissions("estienne2019", FUEL)(n, s),
        ], pick=partial(probe, at=FISSION),
    ),
    "shells.Shells.effective_electrons": gives(ONE, T, on=shells),
    "shells.Shells.kinks": gives(E, on=shells),
    "shells.Shells.total": gives(ONE, on=shells),
    "shells.AtomicCorrection.__call__": gives(ONE, HIGH_T, on=corrected),
    "shells.AtomicCorrection.effective_electrons": gives(ONE, HIGH_T, on=corrected),
    "shells.AtomicCorrection.kinks": gives(E, on=corrected),
    "shells.AtomicCorrection.tabulated_range": gives([E, E], on=corrected),
    "shells.shells_of": gives(
        E, table("electrons/Xe_shells.csv"), pick=lambda found, s: found.edges
    ),
    "library.read_shells": gives(
        E, "electrons/Xe_shells.csv", pick=lambda found, s: found.edges
    ),
    "shells.atomic_correction": gives(
        ONE, table("electrons/xenon_rrpa_ratio_computed_from_digitised.csv"), shells,
        pick=lambda found, s: found(s(HIGH_T.value, E)),
    ),
    "shells.free_electrons": gives(ONE, 54, pick=lambda found, s: found.total),
    "library.rrpa_ratio": gives(ONE, pick=lambda found, s: found(s(HIGH_T.value, E))),
    "sns.PROMPT_ENERGY": gives(E),
    "sns.decay_at_rest": gives(dict.fromkeys(("numu", "nue", "numubar"), PROBED), pick=probes),
    "sns.tabulated_spectra": gives(
        dict.fromkeys(("numu", "nue", "numubar"), PROBED),
        table("sns/flux_energy.csv"),
        pick=partial(probes, at=ENERGIES + 0.013),
    ),
    "sns.time_profiles": gives(
        ONE, table("sns/flux_time.csv"),
        pick=lambda found, s: found["nue"].edges_us,
    ),
    "library.read_fluxes": gives(
        -AREA - t, pick=lambda found, s: [flux.per_cm2_s for flux in found.values()]
    ),
    "library.components": gives(
        dict.fromkeys(("pp", "b8"), PROBED), ("pp", "b8"),
        pick=lambda found, s: probes(
            {name: c.spectrum for name, c in found.items()}, s, ENERGIES[:3] + 0.0137
        ),
    ),
    "solar.Component.spectrum": gives(PROBED, on=solar("be7"), pick=probe),
    "solar.Oscillation.averaged_survival": gives(
        ONE, on=lambda n, s: n.solar.Oscillation(0.31, 0.022, 0.57, 7.5e-5)
    ),
    "library.read_oscillation": gives(ONE, pick=lambda found, s: found.dm2_21_ev2),
    "solar.ConstantSurvival.__call__": gives(
        ONE, "pp", ENERGY, on=lambda n, s: n.solar.ConstantSurvival(0.55)
    ),
    "solar.AdiabaticSurvival.__call__": gives(ONE, "pp", ENERGY, on=sun),
    "library.adiabatic_survival": gives(ONE, pick=lambda found, s: found("b8", s(ENERGIES, E))),
    "solar.flavour_spectra": gives(
        dict.fromkeys(("pp_e", "pp_mu", "pp_tau"), PROBED), solar("pp"), sun, 0.57,
        pick=partial(probes, at=ENERGIES[:1] + 0.0137),
    ),
    "spectra.Spectrum.endpoint": gives(E, on=lambda n, s: n.sns.decay_at_rest()["numu"]),
    "spectra.Spectrum.kinks": gives(E, on=lambda n, s: n.sns.decay_at_rest()["nue"]),
    "spectra.histogram_spectrum": gives(
        PROBED, "e", Q(np.array([1.0, 3.0, 10.0]), E), np.array([0.2, 0.8]), pick=probe
    ),
    "spectra.straight": gives(
        ONE, Q(np.array([1.0, 10.0]), E), np.array([0.2, 0.8]),
        pick=lambda density, s: density(np.array([2.0, 3.0]) * s(1.0, E)),
    ),
}  # fmt: skip

# -------------------------------------------------------------------- detectors

PE = np.arange(5.0, 30.0)
TIMES = np.array([0.0, 0.5, 1.5, 6.0])
BINS = Q(np.array([0.0, 2e-4, 5e-4, 1e-3, 3e-3]), E)
LIGHT = Q(np.array([2e-4, 5e-4, 1.3e-3, 2.7e-3]), E)
RECOIL = Q(np.array([3e-4, 7e-4, 2e-3, 4.1e-3]), E)


def germanium(name):
    def curve(_n, _s):
        return importlib.import_module("nuhf.experiments.quenching").library_curve(f"ge-{name}")

    return curve


def seen(curve, s):
    """Light of four recoils, and the range of a curve."""
    return np.append(curve(s(RECOIL.value, E)), curve.recoil_range)


def mixed(n, s):
    return n.quenching.mixed((1.5, germanium("bonhomme")(n, s)), (-0.5, germanium("fef")(n, s)))


def logistic(n, _s):
    return n.efficiency.logistic_efficiency(1.3, 0.29, 10.9, -0.33)


def gamma(n, _s):
    return n.smearing.GammaSmearing(0.0749, 9.56)


def poisson(n, _s):
    return n.smearing.PoissonLight(15.6, -0.5)


def points(n, s):
    at = s(np.array([1e-4, 4e-4, 1e-3, 5e-3]), E)
    return n.efficiency.points_efficiency(at, np.array([0.1, 0.6, 0.9, 0.95]))


def width(n, _s):
    return n.smearing.power_width((0.31, 0.0037), (0.5, 1.0))


def rising(n, s):
    """A logistic function of an energy, steps included."""
    return n.efficiency.logistic_efficiency(1.3, 9.0, 0.5, -0.1, (1e-1, 4e-1), s(1e-3, E))


def gaussian(n, s):
    return n.smearing.GaussianSmearing(width(n, s), True, 1.2)


def at_light(function, s):
    return function(s(LIGHT.value, E))


def accepted(curve, s):
    """Shares, jumps and threshold, the latter two by an energy."""
    ends = np.append(curve.cuts, curve.threshold) / s(1.0, E)
    return np.concatenate([curve(s(LIGHT.value, E)), ends])


DETECTOR = {
    # photoelectrons and microseconds, whatever the internal units
    "efficiency.logistic_efficiency": gives(
        ONE, 1.3, 9.0, 0.5, -0.1, (1e-1, 4e-1), Q(1e-3, E), pick=accepted
    ),
    "efficiency.points_efficiency": gives(
        ONE, Q(np.array([1e-4, 4e-4, 1e-3, 5e-3]), E), np.array([0.1, 0.6, 0.9, 0.95]),
        pick=accepted,
    ),
    "efficiency.step_efficiency": gives(
        ONE, Q(np.array([1e-4, 4e-4, 1e-3, 5e-3]), E), np.array([0.1, 0.6, 0.9]), pick=accepted
    ),
    "efficiency.full_efficiency": gives(
        ONE, pick=at_light
    ),
    "efficiency.exponential_mean": gives(ONE, TIMES, 0.52, 0.0494),
    "efficiency.exponential_fractions": gives(ONE, TIMES, 0.2),
    "smearing.bin_probabilities": gives(ONE, BINS, LIGHT, Q(LIGHT.value / 5, E), True),
    "quenching.Curve.__call__": gives(E, RECOIL, on=mixed),
    "quenching.lindhard": gives(
        E, 0.16, 32, pick=lambda curve, s: curve(s(RECOIL.value, E))
    ),
    "quenching.table": gives(
        E, Q(np.array([1e-4, 1e-3, 1e-2]), E), np.array([0.1, 0.17, 0.2]), pick=seen
    ),
    "quenching.polynomial": gives(
        E, lambda n, s: (0.0554628, s(4.30681, -E), s(-111.707, -2 * E), s(840.384, -3 * E)),
        lambda n, s: (0.0, s(0.08, E)), pick=seen,
    ),
    "quenching.rational": gives(E, "E/A", (0.1, 4.0, 0.05), (), (0.03, 3.0), pick=seen),
    "quenching.rational_recoil": gives(ONE, "E/A", (4.0, 0.5), (), np.array([0.3, 0.5])),
    "quenching.mixed": gives(
        E, lambda n, s: (1.5, germanium("bonhomme")(n, s)),
        lambda n, s: (-0.5, germanium("fef")(n, s)), pick=seen,
    ),
    "quenching.recoil_at": gives(E, germanium("lindhard"), Q(1e-4, E)),
    "smearing.fano_width": gives(E, 0.0685, 2.96e-3, 0.105, pick=at_light),
    "smearing.power_width": gives(E, (0.31, 0.0037), (0.5, 1.0), pick=at_light),
    "smearing.GammaSmearing.gain": gives(-E, on=gamma),
    "smearing.PoissonLight.gain": gives(-E, on=poisson),
    "smearing.GammaSmearing.sigma": gives(ONE, LIGHT, on=gamma),
    "smearing.PoissonLight.sigma": gives(ONE, LIGHT, on=poisson),
    "smearing.GaussianSmearing.sigma": gives(E, LIGHT, on=gaussian),
    "smearing.GammaSmearing.density": gives(ONE, PE, LIGHT, on=gamma),
    "smearing.GammaSmearing.response": gives(ONE, PE, LIGHT, logistic, on=gamma),
    "smearing.Smearing.reach": gives(E, 60.0, on=gamma),
    "smearing.PoissonLight.probability": gives(ONE, np.arange(40.0), LIGHT, on=poisson),
    "smearing.PoissonLight.response": gives(ONE, PE, LIGHT, logistic, on=poisson),
    # in closed form with points, by quadrature with a logistic function
    "smearing.GaussianSmearing.response": gives(ONE, BINS, LIGHT, points, on=gaussian),
    "smearing.GaussianSmearing.reach": gives(E, Q(3e-3, E), on=gaussian),
    # axes in any unit
    "smearing.signal_nodes": gives([E, E], BINS, Q(1e-4, E), Q(1e-4, E)),
    "smearing.panel_nodes": gives([E, E], BINS, 3),
    "smearing.weighted_bins": gives(E, BINS, LIGHT, LIGHT, np.ones(4)),
    "smearing.rebin": gives(ONE, BINS, np.ones(4), Q(BINS.value[1:] * 0.9, E)),
}  # fmt: skip

# --------------------------------------------------- from the spectrum to counts


def number(leaf, name):
    return getattr(sys.modules[f"nuhf.{leaf}"], name)


def atoms(mass, molar):
    return mass * number("units", "G_PER_KG") / molar * number("constants", "AVOGADRO")


def reactor(n, s):
    """A reactor and germanium, in ionisation energy."""
    ge = n.library.read_nuclides()["Ge74"]
    number_of = atoms(s(2.9, M), ge.atomic_mass_u)
    targets = [n.build.nucleus(ge, number_of, choices("klein-nystrand")(n, s))]
    seconds = 96 * number("units", "DAY")
    fluence = n.reactor.fluence_from_power(2.96, s(205.0, E), 10.39, seconds)
    spectrum = n.library.reactor_spectrum("huber", FUEL, 0.6)
    sources = [n.build.FluxComponent("nuebar", spectrum, fluence, np.ones(1))]
    edges, curve = s(BINS.value[1:], E), germanium("bonhomme")(n, s)

    def response(recoil):
        return gaussian(n, s).response(edges, curve(recoil), rising(n, s))

    return targets, sources, response, s(3e-4, E)


def couplings_in(_n, s):
    return {
        "qnu_ee": 1e-8, "r2nu_mumu": s(3e-32, AREA), "r2nu_ee": s(-1e-32, AREA),
        "munu_mu": 1e-9, "abs_qnu_emu": 1e-8, "sin2thetaW": 0.25,
    }  # fmt: skip


def label(n, _s):
    return n.build.Label("one", "cevns", "cevns", ())


def part(setup, which):
    return lambda n, s: setup(n, s)[which]


def grid(n, s):
    targets, sources, _, low = reactor(n, s)
    return n.build.recoil_grid(targets, sources, low)


def templates(n, s):
    targets, sources, response, _ = reactor(n, s)
    return n.build.template_set(label(n, s), targets, sources, response, grid(n, s))


ENGINE = {
    # events, which know of no unit but that of the radius
    "build.template_set": gives(
        BY_MONOMIAL, label, part(reactor, 0), part(reactor, 1), part(reactor, 2), grid,
        pick=lambda found, s: found.nominal["nuebar"],
    ),
    "build.nucleus": gives(
        SECTION, cs, 1.0, choices(), pick=lambda found, s: found.kernel(
            s(T.value, E), SimpleNamespace(flavour="mu", antineutrino=False)
        )[0][0].by_name(),
    ),
    "build.electrons": gives(
        SECTION, shells, 1.0, choices(), corrected, pick=lambda found, s: found.kernel(
            s(HIGH_T.value, E), SimpleNamespace(flavour="e", antineutrino=True)
        )[0][0].by_name(),
    ),
    "build.recoil_grid": gives(
        E, part(reactor, 0), part(reactor, 1), Q(1e-4, E), pick=lambda found, s: found.nodes
    ),
    "quadrature.flux_moments": gives(
        [ONE, -E, -2 * E], lambda n, s: n.sns.decay_at_rest()["nue"], T, MASS
    ),
    "quadrature.fejer": gives([ONE, ONE], 16),
    "quadrature.panel_grid": gives(E, BINS, pick=lambda found, s: found.fine),
    "signal.expected": gives(dict.fromkeys(["e"], ONE), templates, couplings_in),
}  # fmt: skip

CASES = {**PHYSICS, **DETECTOR, **ENGINE}

ALGEBRA = "algebra of polynomials and names, that knows of no unit; `signal.expected` runs it"
FILES = "reads or writes templates, which are in base units (e, cm2, mu_B^2) by definition"
NO_NUMBER = "names and numbers of bins, no quantity"
CATALOGUE = "parameters, in base units (e, cm2, mu_B, fm) by definition"
GOLDEN = "not varied here: golden numbers with units test them (equivalent photons, coherence)"
DECLARED = "declares what a curve, an efficiency or a smearing has; no code"
NOT_COVERED = {
    NO_NUMBER: (
        "reactor_models.ReactorModel.total",
        "reactor_models.Piece.file", "templates.Axis.bins",
        "templates.Axis.column", "templates.Axis.edge_columns",
        "templates.Axis.quantity", "templates.Axis.unit", "templates.TemplateSet.bins",
        "templates.TemplateSet.mixture", "templates.TemplateSet.states",
        "templates.TemplateSet.monomials", "templates.TemplateSet.variables",
        "amplitude.flavours_of", "apv.WeakChargeInputs.relative_errors",
    ),
    CATALOGUE: (
        "model.Parameter.acts", "model.Parameter.conventions", "model.Parameter.fit_name",
        "model.Parameter.from_fit", "model.Parameter.one_sided", "model.Parameter.scale",
        "model.Parameter.scales", "model.Parameter.show", "model.Parameter.squared",
        "model.Parameter.to_fit", "model.unit_suffix", "model.Vertex.setting",
        "weak.RN_RANGE_FM", "weak.RN_REFERENCE_FM", "parameters.check_values", "parameters.get",
        "parameters.group_of", "parameters.suggest",
    ),
    GOLDEN: (
        "build.RecoilRates.fold", "build.RecoilRates.templates", "build.rates_of",
        "majorana.ANGLES", "majorana.mixing_matrix", "settings.Physics.photoabsorption",
        "shells.Photoabsorption.__call__", "shells.Photoabsorption.kinks",
        "shells.photoabsorption_of", "library.read_photoabsorption", "solar_states.mass_shares",
        "solar_states.state_shares", "solar_states.state_spectra", "solar.split",
    ),
    DECLARED: (
        "efficiency.Efficiency.__call__",
        "quenching.Quenching.recoil_range", "quenching.Quenching.__call__",
        "smearing.Smearing.gain", "smearing.Smearing.response", "smearing.Smearing.sigma",
    ),
    ALGEBRA: (
        "polynomial.total", "polynomial.Polynomial.evaluate",
        "polynomial.Polynomial.from_terms", "polynomial.Polynomial.restrict",
        "polynomial.Polynomial.substitute", "signal.acts_on", "signal.check_together",
        "signal.asked_for", "signal.fit_values", "signal.flavour_polynomial", "signal.proportion",
        "polynomial.monomial", "polynomial.powers", "polynomial.Polynomial.by_name",
        "polynomial.Polynomial.replace", "amplitude.CrossSection.at",
        "amplitude.CrossSection.expand", "amplitude.with_couplings",
        "amplitude.CrossSection.differential",
        "amplitude.CrossSection.parts",
        "templates.TemplateSet.polynomial", "templates.TemplateSet.relative_error",
    ),
    FILES: (
        "templates.bin_columns", "templates.read_templates", "templates.to_json",
    ),
}  # fmt: skip
"""Public functions without a case, by the reason."""

# ----------------------------------------------------------------------- tests


def defined(module):
    """Names without an underscore that a module defines."""
    for node in ast.parse(inspect.getsource(module)).body:
        for target in getattr(node, "targets", [getattr(node, "target", node)]):
            name = getattr(target, "id", getattr(target, "name", "_"))
            if not name.startswith("_"):
                yield name


def public():
    """Every public function, method, property and number of the kernels."""
    for module in KERNELS:
        leaf, loaded = module.rpartition(".")[2], importlib.import_module(module)
        for name in defined(loaded):
            found = getattr(loaded, name)
            if getattr(found, "__module__", module) != module:
                continue  # a type of another module, by a name of its own
            if inspect.isclass(found):
                for key, value in vars(found).items():
                    called = isinstance(value, (property, classmethod)) or inspect.isfunction(value)
                    if called and (not key.startswith("_") or key == "__call__"):
                        yield f"{leaf}.{name}.{key}"
            elif inspect.isfunction(found) or np.asarray(found).dtype.kind == "f":
                yield f"{leaf}.{name}"


def test_every_public_function_is_covered_or_listed():
    listed = [name for names in NOT_COVERED.values() for name in names]
    assert sorted(public()) == sorted([*CASES, *listed])


def test_every_constant_and_unit_has_a_dimension():
    module = importlib.import_module("nuhf.units")
    numbers = {name for name in module.__all__ if isinstance(getattr(module, name), float)}
    assert numbers == set(UNITS)
    assert set(importlib.import_module("nuhf.constants").__all__) == set(CONSTANTS)


ROUNDING = 1e-12
"""Some thousand roundings. Tails of a resolution at z = 40 have z^2 of them."""


def flat(result, dimension, where=""):
    """Numbers of a result by their place, with their dimensions."""
    if isinstance(dimension, dict):
        assert result.keys() == dimension.keys(), where
        parts = [(key, result[key], dimension[key]) for key in dimension]
    elif isinstance(dimension, list):
        parts = list(zip(range(len(dimension)), result, dimension, strict=True))
    else:
        return {where: (np.asarray(result, dtype=float), dimension)}
    return {k: v for key, r, d in parts for k, v in flat(r, d, f"{where} {key}").items()}


def results(factors, names=tuple(CASES), **planted):
    """Results of cases in some units."""
    with system(factors, **planted) as (kernels, scale):
        return {
            name: flat(CASES[name].run(name, kernels, scale), CASES[name].result) for name in names
        }


@cache
def ours():
    return results((1, 1, 1, 1))


def deviation(found, wanted, factors):
    """Largest relative deviation of numbers in other units; zeros have to be zeros."""
    assert found.keys() == wanted.keys()
    largest = [0.0]
    for where, (value, dimension) in found.items():
        expected = scaled(wanted[where][0], dimension, factors)
        assert value.shape == expected.shape, where
        size = np.where(expected == 0, np.finfo(float).tiny, np.abs(expected))
        largest.append(np.max(np.abs(value - expected) / size, initial=0.0))
    return float(np.max(largest))  # NaN stays NaN


@pytest.mark.parametrize("name", SYSTEMS)
def test_kernels_do_not_depend_on_the_units(name):
    factors = SYSTEMS[name]
    found = results(factors)
    worst = {case: deviation(found[case], ours()[case], factors) for case in CASES}
    assert {case: x for case, x in worst.items() if not x <= ROUNDING} == {}


UNUSED = ("MUON_LIFETIME", "TAU_MASS")  # by the kernels; tau: in LEPTON_MASS
OF_EXPERIMENTS = ("DAY", "G_PER_KG", "YEAR")
FAULTS = [
    *(name for name, dimension in {**CONSTANTS, **UNITS}.items()
      if any(dimension) and name not in UNUSED + OF_EXPERIMENTS),
    "_LINEAR_TO_MEV",
]  # fmt: skip
WATCHED = (
    "cevns.differential_cross_section", "eves.cross_section", "couplings.sm_charge_radius",
    "form_factors.helm", "nuclei.Nuclide.mass", "sns.PROMPT_ENERGY",
    "solar.AdiabaticSurvival.__call__",
    "reactor_models.add", "reactor.fluence_from_power", "smearing.fano_width",
    "spectra.Spectrum.kinks",
)  # fmt: skip


@pytest.mark.parametrize("name", FAULTS)
def test_a_hidden_unit_is_noticed(name):
    # what is not converted is a literal in our units; every one of them has to show
    factors = SYSTEMS["all"]
    found = results(factors, WATCHED, forget=[name])
    assert max(deviation(found[case], ours()[case], factors) for case in WATCHED) > 0.01


def test_a_table_in_our_units_is_noticed():
    factors, name = SYSTEMS["all"], "library.read_fluxes"
    found = results(factors, [name], unread=True)
    assert deviation(found[name], ours()[name], factors) > 0.01


# ------------------------------------------------------------ whole experiments

EXPERIMENTS = {
    "coherent-csi-2021": ("default", ROUNDING),
    "coherent-csi-2017": ("cadeddu2020-free-rn", ROUNDING),
    # its templates are rounded to 6 decimal digits, also those per cm^2
    "coherent-lar-2020": ("default", 1e-5),
    "dresden-2": ("default", ROUNDING),
    "xenonnt-sr0": ("default", ROUNDING),
    "apv-cs": ("default", ROUNDING),
}
"""One of every kind, with its analysis and a tolerance."""


def events(factors, name, forget=()):
    """Templates of an experiment in some units, with their dimensions: events, per coupling."""
    with system(factors, forget):
        convert("nuhf.experiments.target", LITERALS["nuhf.experiments.target"], factors)
        catalogue = importlib.import_module("nuhf.experiments.catalogue")
        prepare = importlib.import_module("nuhf.experiments.prepare").prepare
        found = {}
        for region in prepare(catalogue.load(name, EXPERIMENTS[name][0])).regions:
            for one in region.signals:
                sets = {"nominal": one.nominal, **one.varied}
                for (which, rows), source in product(sets.items(), one.flavours):
                    for monomial, row in rows[source].items():
                        factors_of = monomial.split("*")
                        base = "*".join(f for f in factors_of if not f.startswith("x_")) or "1"
                        key = f"{region.name} {one.process} {which} {source} {base}"
                        for factor in factors_of:
                            if factor.startswith("x_"):
                                row = row * 0.7 ** float(factor.partition("^")[2] or 1)
                        before, dimension = found.get(key, (0.0, BY_MONOMIAL.get(base, ONE)))
                        found[key] = (before + row, dimension)
            rows = {"observed": region.observed, **region.backgrounds}
            found |= {f"{region.name} {key}": (row, ONE) for key, row in rows.items()}
    return found


def difference(after, before, factors):
    """Largest deviation of numbers in other units, relative to the largest of each array."""
    assert before.keys() == after.keys()
    expected = {key: scaled(before[key][0], after[key][1], factors) for key in after}
    return np.max(
        [
            np.abs(row - expected[key]).max() / max(np.abs(expected[key]).max(), 1e-300)
            for key, (row, _) in after.items()
        ]
    )


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_experiments_do_not_depend_on_the_units(name):
    factors = SYSTEMS["all"]
    found = difference(events(factors, name), events((1, 1, 1, 1), name), factors)
    assert found <= EXPERIMENTS[name][1]


def test_a_hidden_unit_of_an_experiment_is_noticed():
    factors = SYSTEMS["all"]
    before = events((1, 1, 1, 1), "dresden-2")
    for name in ("DAY", "G_PER_KG"):
        assert difference(events(factors, "dresden-2", [name]), before, factors) > 0.01
