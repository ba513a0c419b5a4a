"""From templates to a polynomial in named parameters."""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from nuhf import parameters
from nuhf.errors import InputError
from nuhf.parameters import Parameter
from nuhf.physics.couplings import ANAPOLE_CONVENTIONS, RADIUS_SHIFT
from nuhf.rates.polynomial import Polynomial, total
from nuhf.rates.templates import TemplateSet

__all__ = [
    "acts_on",
    "check_together",
    "expected",
    "fit_values",
    "flavour_polynomial",
    "monomial_forms",
]

FloatArray = NDArray[np.float64]


def _acts(parameter: Parameter, flavour: str, anapole: str) -> dict[str, float]:
    """Return the template variables that a fit parameter feeds, and the factors."""
    if parameter.kind == "neutron_radius":
        return {f"x_{nuclide}": parameter.scale for nuclide in parameter.nuclides}
    if parameter.kind == "angle":
        # g_p falls by 2 per unit of sin^2(theta_W), by RADIUS_SHIFT per unit of r2nu
        return {"r": parameter.scale * 2.0 / RADIUS_SHIFT, "s2w": parameter.scale}
    if flavour not in parameter.flavours:
        return {}
    if parameter.kind == "charge":
        return {("qt2" if parameter.squared else "q"): parameter.scale}
    if parameter.kind == "radius":
        return {("rt2" if parameter.squared else "r"): parameter.scale}
    if parameter.kind == "anapole":
        return {"r": parameter.scale * ANAPOLE_CONVENTIONS[anapole]}
    if parameter.kind == "moment":
        return {"munu2": parameter.scale}
    return {}


def acts_on(parameter: Parameter, templates: TemplateSet) -> bool:
    """Whether a parameter changes what these templates predict."""
    if parameter.kind == "strength":
        return parameter.scales(templates.interaction)
    flavours, variables = set(templates.flavours.values()), set(templates.variables)
    return any(variables & set(_acts(parameter, flavour, "standard")) for flavour in flavours)


def check_together(floated: Sequence[Parameter]) -> None:
    """Refuse sets of parameters that are degenerate or have no defined sum.

    Raises
    ------
    InputError
        For radius and anapole moment of one flavour (the same direction), a common moment with
        a single one, or a transition charge with a transition radius (no relative phase given).
    """
    names = [parameter.name for parameter in floated]
    if len(set(names)) != len(names):
        raise InputError(f"a parameter is given twice: {', '.join(names)}")
    for flavour in ("e", "mu", "tau"):
        radius, anapole = f"r2nu_{flavour}{flavour}", f"anu_{flavour}{flavour}"
        if radius in names and anapole in names:
            raise InputError(f"{radius} and {anapole} are the same direction: float one of them")
    if "munu_eff" in names and any(n.startswith("munu_") and n != "munu_eff" for n in names):
        raise InputError("munu_eff already is the moment of every flavour: float it alone")
    nuclides = [n for p in floated for n in p.nuclides]
    if len(set(nuclides)) != len(nuclides):
        raise InputError("Rn_CsI already is the neutron radius of Cs and of I: float it alone")
    transitions = [p for p in floated if p.squared and p.kind in ("charge", "radius")]
    if len({p.kind for p in transitions}) > 1:
        raise InputError(
            "a transition charge and a transition radius together need a relative phase, "
            "which is not defined here: float one kind at a time"
        )


def monomial_forms(
    floated: Sequence[Parameter],
    flavour: str,
    anapole: str = "standard",
    variables: Sequence[str] = ("q", "r", "qt2", "rt2", "munu2"),
) -> dict[str, dict[str, float]]:
    """Return the template variables of one flavour as linear forms in the fit parameters.

    Raises
    ------
    InputError
        If the anapole convention is unknown.
    """
    if anapole not in ANAPOLE_CONVENTIONS:
        raise InputError(
            f"unknown anapole convention '{anapole}'; allowed: {', '.join(ANAPOLE_CONVENTIONS)}"
        )
    forms: dict[str, dict[str, float]] = {name: {} for name in variables}
    for parameter in floated:
        for variable, factor in _acts(parameter, flavour, anapole).items():
            if variable in forms:
                forms[variable][parameter.fit_name] = factor
    return forms


def flavour_polynomial(
    templates: TemplateSet,
    floated: Sequence[Parameter],
    flavour: str,
    variation: tuple[str, str] | None = None,
    anapole: str = "standard",
) -> Polynomial:
    """Return the counts of all sources of a flavour as a polynomial in the fit parameters.

    Strengths (``norm_cevns``, ``norm_eves``) are not among its variables: they multiply whole
    samples.
    """
    forms = monomial_forms(floated, flavour, anapole, templates.variables)
    resting = {v: value for v, value in templates.reference.items() if not forms[v]}
    moving = {v: form for v, form in forms.items() if v not in resting}
    sources = [s for s, f in templates.flavours.items() if f == flavour]
    return total(
        templates.polynomial(s, variation).restrict(resting).substitute(moving) for s in sources
    )


def fit_values(values: Mapping[str, float]) -> dict[str, float]:
    """Convert values in base units, by parameter name, to fit values by fit name."""
    found = {}
    for name, value in values.items():
        parameter = parameters.get(name)
        found[parameter.fit_name] = parameter.to_fit(value)
    return found


def expected(
    templates: TemplateSet, values: Mapping[str, float], anapole: str = "standard"
) -> dict[str, FloatArray]:
    """Return events (n_bins,) by flavour, for parameters at values in base units.

    Parameters that do not act on a flavour or an interaction are ignored for it.
    """
    given = [parameters.get(name) for name in values]
    size = next((values[p.name] for p in given if p.scales(templates.interaction)), 1.0)
    moving = [p for p in given if p.kind != "strength"]
    theta = fit_values({p.name: values[p.name] for p in moving})
    found = {}
    for flavour in sorted(set(templates.flavours.values())):
        full = flavour_polynomial(templates, moving, flavour, anapole=anapole)
        point = {n: v for n, v in theta.items() if n in full.names}
        found[flavour] = size * full.evaluate(point)
    return found
