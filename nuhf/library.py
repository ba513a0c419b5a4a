"""The inputs of the physics that come with nuhf, read from ``data``.

Every function takes the `nuhf.inputs.Inputs` of a calculation, which records what was read;
without one the shipped files are read and nothing is recorded.
"""

from collections.abc import Iterable, Mapping
from typing import Any, Final

import numpy as np

from nuhf.couplings.parameters import suggest
from nuhf.errors import InputError
from nuhf.inputs import Inputs
from nuhf.physics import reactor, solar
from nuhf.physics.apv import WeakChargeInputs
from nuhf.physics.couplings import WeakCouplings, parse_schemes, tree_level
from nuhf.physics.nuclei import Nuclide, parse_nuclides
from nuhf.physics.reactor_models import ISOTOPES
from nuhf.physics.shells import (
    AtomicCorrection,
    Photoabsorption,
    Shells,
    atomic_correction,
    photoabsorption_of,
    shells_of,
)
from nuhf.physics.spectra import Spectrum
from nuhf.tables import Table

_LINES: Final = ("be7", "pep")
_PHOTONS_KEV: Final = 10.0
"""Where equivalent photons end to stand for the response of bound electrons."""
_RRPA_RATIO: Final = "electrons/xenon_rrpa_ratio_computed_from_digitised.csv"
_RRPA_SHELLS: Final = "electrons/xenon_shells_rrpa.csv"
_APV_LAYOUT: Final[Mapping[str, tuple[str, ...]]] = {
    "amplitude_over_polarizability": ("value_e_per_ab2", "error_e_per_ab2"),
    "polarizability": ("value_ab3", "error_ab3"),
    "amplitude": ("value_e_ab", "error_e_ab"),
    "standard_model": ("weak_charge", "error", "proton_correction", "neutron_correction"),
    "skin": ("constant", "slope"),
}


# ------------------------------------------------------- nuclides, couplings, atoms


def read_nuclides(
    inputs: Inputs | None = None, name: str = "nuclides.toml", used: Iterable[str] = ()
) -> dict[str, Nuclide]:
    """Return the nuclides by name; ``used`` are those to record (`InputError` if broken)."""
    inputs = inputs or Inputs()
    content = inputs.toml(name)
    nuclides = parse_nuclides(str(inputs.path(name)), content)
    inputs.toml(name, [nuclide for nuclide in used if nuclide in nuclides])
    return nuclides


def compositions(inputs: Inputs | None = None) -> dict[str, dict[str, float]]:
    """Return the natural isotopes of each element, by its symbol: shares of the atoms."""
    inputs = inputs or Inputs()
    content = inputs.toml("elements.toml")
    return {
        symbol: {nuclide: float(share) for nuclide, share in shares.items() if nuclide != "source"}
        for symbol, shares in content.items()
    }


def coupling_schemes(
    inputs: Inputs | None = None, name: str = "couplings.toml"
) -> dict[str, WeakCouplings]:
    """Return all schemes of weak couplings by name."""
    inputs = inputs or Inputs()
    return parse_schemes(str(inputs.path(name)), inputs.toml(name))


def weak_couplings(scheme: str, inputs: Inputs | None = None) -> WeakCouplings:
    """Look a scheme of weak couplings up by its name (`InputError` if unknown)."""
    if scheme == "tree":
        return tree_level()
    inputs = inputs or Inputs()
    schemes = coupling_schemes(inputs)
    if scheme not in schemes:
        raise InputError(f"unknown couplings '{scheme}'; allowed: {', '.join(schemes)}")
    inputs.toml("couplings.toml", [scheme])
    return schemes[scheme]


def read_shells(name: str, inputs: Inputs | None = None) -> Shells:
    """Return the electron shells of a table (`InputError` if broken)."""
    return shells_of((inputs or Inputs()).table(name, ["edge_kev", "electrons"]))


def read_photoabsorption(symbol: str, inputs: Inputs | None = None) -> Photoabsorption:
    """Return the photoabsorption of an element's atoms up to 10 keV (`InputError` if unknown)."""
    name = f"electrons/{symbol}_photoabsorption.csv"
    try:
        table = (inputs or Inputs()).table(name, ["t_kev", "sigma_cm2"])
    except InputError as error:
        if "not found" not in str(error):
            raise
        raise InputError(
            f"no photoabsorption of '{symbol}' is known (data/{name}), which charges by equivalent "
            "photons need"
        ) from None
    return photoabsorption_of(table, _PHOTONS_KEV)


def rrpa_ratio(
    inputs: Inputs | None = None, ratio: str = _RRPA_RATIO, shells: str = _RRPA_SHELLS
) -> AtomicCorrection:
    """Return the atomic correction of xenon, or that of other tables (`InputError` if broken)."""
    inputs = inputs or Inputs()
    return atomic_correction(inputs.table(ratio, ["t_kev", "ratio"]), read_shells(shells, inputs))


# ---------------------------------------------------------------------- reactors


def reactor_spectrum(
    model: str,
    fractions: Mapping[str, float] | None = None,
    captures: float = 0.0,
    e_max_mev: float | None = None,
    inputs: Inputs | None = None,
) -> Spectrum:
    """Return antineutrinos per MeV and fission, as `nuhf.physics.reactor.spectrum`."""
    inputs = inputs or Inputs()
    data: dict[str, Table | Mapping[str, Any]] = {}
    for piece in reactor.pieces(model, captures):
        if piece.form == "exponential":
            data[piece.file] = inputs.toml(piece.file, [piece.name])
        else:
            data[piece.file] = inputs.table(piece.file)
    return reactor.spectrum(model, data, fractions, captures, e_max_mev)


def _fuel(kind: str, name: str, inputs: Inputs | None) -> dict[str, Any]:
    inputs = inputs or Inputs()
    known = inputs.toml("reactor/fuel.toml")[kind]
    if name not in known:
        path = inputs.path("reactor/fuel.toml")
        raise InputError(f"{path}: no [{kind}.{name}]; there are {', '.join(known)}")
    return dict(known[name])


def fission_fractions(name: str, inputs: Inputs | None = None) -> dict[str, float]:
    """Return the shares of the fissions of a fuel by its name (`InputError` if unknown)."""
    entry = _fuel("fractions", name, inputs)
    return {isotope: float(entry[isotope]) for isotope in ISOTOPES}


def energy_per_fission(
    fractions: Mapping[str, float], name: str = "kopeikin2004", inputs: Inputs | None = None
) -> float:
    """Return the mean thermal energy per fission in MeV for given shares of the fissions.

    ``name`` is a set of energies in ``data/reactor/fuel.toml`` (`InputError` if unknown).
    """
    entry = _fuel("energies", name, inputs)
    shares = reactor.checked_fractions(f"energies {name}", fractions)
    return float(sum(share * entry[isotope] for isotope, share in shares.items()))


# ----------------------------------------------------------------------- the Sun


def read_fluxes(
    model: str = "gs98", inputs: Inputs | None = None, name: str = "solar/fluxes_b16.toml"
) -> dict[str, solar.Flux]:
    """Return the flux of each component in a standard solar model, at 1 au.

    Source: N. Vinyoles et al., arXiv:1611.09867 (B16): ``gs98`` (high metallicity) or ``agss09met``
    (low), or another table of the file. `InputError` if the model is not in the file, or a
    component or number is missing or not positive.
    """
    inputs = inputs or Inputs()
    wanted, path = ("flux_per_cm2_s", "relative_uncertainty"), str(inputs.path(name))
    fluxes = {}
    for component, entry in _entry(inputs, name, model, solar.COMPONENTS).items():
        if not isinstance(entry, dict) or set(entry) != set(wanted):
            raise InputError(
                f"{path}: [{model}] {component} needs exactly the keys {', '.join(wanted)}"
            )
        numbers = (_positive(path, f"[{model}] {component}.{k}", entry[k]) for k in wanted)
        fluxes[component] = solar.Flux(*numbers)
    return fluxes


def components(
    names: Iterable[str] = solar.COMPONENTS, inputs: Inputs | None = None
) -> dict[str, solar.Component]:
    """Return solar spectra by name, from ``data/solar`` (`InputError` if unknown or broken).

    Continua are straight lines between the published points, divided by their integral (1 within
    2e-5). Against monotone cubics the normalised integrals of E^-n above E_min >= 0.1 MeV change by
    less than 5e-4 for pp, 1.5e-4 for the others; above 0.02 MeV by less than 1.2e-3.
    """
    inputs, wanted = inputs or Inputs(), tuple(names)
    for name in wanted:
        if name not in solar.COMPONENTS:
            hint = suggest(name, solar.COMPONENTS)
            raise InputError(f"unknown solar component '{name}'; {hint}")
    return {
        name: _lines(inputs, name) if name in _LINES else _continuum(inputs, name)
        for name in wanted
    }


def _lines(inputs: Inputs, name: str) -> solar.Component:
    content = inputs.toml("solar/lines.toml", [name])
    path, lines = str(inputs.path("solar/lines.toml")), []
    for entry in content[name]:
        if set(entry) != {"energy_mev", "fraction"}:
            raise InputError(f"{path}: {name} needs exactly the keys energy_mev, fraction")
        energy = _positive(path, f"{name}.energy_mev", entry["energy_mev"])
        lines.append((energy, _positive(path, f"{name}.fraction", entry["fraction"])))
    if abs(sum(share for _, share in lines) - 1.0) > 1e-9:
        raise InputError(f"{path}: the fractions of the lines of {name} do not add up to 1")
    nothing = np.array([])
    return solar.Component(name, nothing, nothing, tuple(lines))


def _continuum(inputs: Inputs, name: str) -> solar.Component:
    table = inputs.table(f"solar/spectrum_{name}.csv", ["e_mev", "density_per_mev"])
    table.non_negative("e_mev")
    energy, density = table.increasing("e_mev"), table.non_negative("density_per_mev")
    return solar.Component(name, energy, density / np.trapezoid(density, energy))


def read_oscillation(
    ordering: str = "normal", inputs: Inputs | None = None, name: str = "solar/oscillation.toml"
) -> solar.Oscillation:
    """Return oscillation parameters for the ``normal`` or ``inverted`` ordering of the masses.

    `InputError` if the ordering is not in the file, a key is missing or unknown, or a number not
    positive or a sin^2 above 1.
    """
    inputs = inputs or Inputs()
    keys = tuple(solar.Oscillation.__dataclass_fields__)
    entry, path = _entry(inputs, name, ordering, keys), str(inputs.path(name))
    numbers = {key: _positive(path, f"[{ordering}] {key}", entry[key]) for key in keys}
    for key, value in numbers.items():
        if key.startswith("sin2") and value > 1.0:
            raise InputError(f"{path}: [{ordering}] {key} = {value} is above 1")
    return solar.Oscillation(**numbers)


def adiabatic_survival(
    oscillation: solar.Oscillation | None = None, inputs: Inputs | None = None
) -> solar.AdiabaticSurvival:
    """Return the survival in the solar model BS05(OP) (arXiv:astro-ph/0412440).

    Without oscillation parameters, those of normal ordering.
    """
    inputs = inputs or Inputs()
    columns = ["r_lo", "r_hi", "ne_mol_per_cm3", *solar.COMPONENTS]
    table = inputs.table("solar/production_bs05op.csv", columns)
    table.edges("r_lo", "r_hi")
    shares = {name: table.non_negative(name) for name in solar.COMPONENTS}
    return solar.AdiabaticSurvival(
        oscillation or read_oscillation(inputs=inputs),
        table.non_negative("ne_mol_per_cm3"),
        {name: share / share.sum() for name, share in shares.items()},
    )


# ---------------------------------------------------------------------- caesium


def read_weak_charge(
    name: str = "apv-cs/apv-cs.toml", inputs: Inputs | None = None
) -> WeakChargeInputs:
    """Return the numbers of a weak charge, from ``data/apv-cs`` or a file of the same form.

    `InputError` if a section or key is missing, unknown, or not a finite number, or the nuclide
    unknown.
    """
    inputs = inputs or Inputs()
    content, path = inputs.toml(name), str(inputs.path(name))
    if set(content) != {"nuclide", *_APV_LAYOUT}:
        wanted = ", ".join(["nuclide", *_APV_LAYOUT])
        raise InputError(f"{path}: needs exactly: {wanted}; given: {', '.join(content)}")
    nuclides = read_nuclides(inputs, used=[str(content["nuclide"])])
    if content["nuclide"] not in nuclides:
        raise InputError(f"{path}: nuclide = {content['nuclide']!r}; {suggest('', nuclides)}")
    numbers = []
    for section, keys in _APV_LAYOUT.items():
        entries = content[section]
        if not isinstance(entries, dict) or set(entries) != set(keys):
            raise InputError(f"{path}: [{section}] needs exactly the keys {', '.join(keys)}")
        for key in keys:
            value = entries[key]
            number = isinstance(value, int | float) and not isinstance(value, bool)
            if not number or not np.isfinite(value):
                raise InputError(f"{path}: [{section}] {key} = {value!r} is not a finite number")
            numbers.append(float(value))
    return WeakChargeInputs(nuclides[content["nuclide"]], *numbers)


# ---------------------------------------------------------------------- checking


def _entry(inputs: Inputs, name: str, entry: str, keys: tuple[str, ...]) -> dict[str, Any]:
    content = inputs.toml(name, [entry])[entry]
    if not isinstance(content, dict) or set(content) != set(keys):
        path = inputs.path(name)
        raise InputError(f"{path}: [{entry}] needs exactly the keys {', '.join(keys)}")
    return content


def _positive(path: str, key: str, value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 < value < np.inf:
        raise InputError(f"{path}: {key} = {value!r} is not a positive number")
    return float(value)
