"""From templates to a polynomial in named parameters."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import combinations

import numpy as np

from nuhf.arrays import FloatArray
from nuhf.couplings import parameters
from nuhf.couplings.electromagnetic import ANAPOLE_CONVENTIONS
from nuhf.couplings.model import PAIRS
from nuhf.couplings.parameters import Parameter
from nuhf.errors import InputError
from nuhf.physics.polynomial import Polynomial, powers, total
from nuhf.rates.templates import Templates, TemplateSet

Forms = dict[str, dict[str, dict[Parameter, float]]]
"""Factors by partner, variable and parameter."""


def acts_on(parameter: Parameter, templates: TemplateSet) -> bool:
    """Whether a parameter changes what these templates predict."""
    if parameter.strength_of:
        return parameter.scales(templates.interaction)
    flavours, variables = set(templates.flavours.values()), set(templates.variables)
    convention = next(iter(sorted(parameter.conventions)), "")
    return any(
        variable in variables
        for flavour in flavours
        for _, variable in parameter.acts(flavour, convention, templates.mixture)
    )


def asked_for(
    templates: TemplateSet, questions: Sequence[Sequence[Parameter]], anapole: str = "standard"
) -> TemplateSet:
    """Return only the sources and monomials that matter to questions, each of some parameters."""
    rows: dict[str, list[str]] = {}
    for source, flavour in templates.flavours.items():
        fed = [
            {v for p in together for _, v in p.acts(flavour, anapole, templates.mixture)}
            for together in questions
        ]
        rows[source] = [
            name
            for name, row in templates.nominal[source].items()
            if np.any(row) and any(set(powers(name)) <= f.union(templates.reference) for f in fed)
        ]
    names = [name for name in templates.monomials if any(name in kept for kept in rows.values())]

    def of(every: Templates) -> Templates:
        return {
            source: {n: every[source][n] if n in kept else 0.0 * every[source][n] for n in names}
            for source, kept in rows.items()
            if kept
        }

    return replace(
        templates,
        flavours={s: flavour for s, flavour in templates.flavours.items() if rows[s]},
        nominal=of(templates.nominal),
        varied={key: of(varied) for key, varied in templates.varied.items()},
        errors=of(templates.errors),
    )


def proportion(one: Parameter, other: Parameter, anapole: str = "standard") -> float | None:
    """Return how much of ``other`` does what a unit of ``one`` does, or None if nothing does."""
    if one.power != other.power or one.interferes != other.interferes:
        return None
    ratios = set()
    for flavour in parameters.FLAVOURS:
        first, second = one.acts(flavour, anapole), other.acts(flavour, anapole)
        if set(first) != set(second):
            return None
        ratios |= {first[key] / second[key] for key in first}
    return ratios.pop() if len(ratios) == 1 else None


def check_together(floated: Sequence[Parameter]) -> None:
    """Refuse sets of parameters that are degenerate or have no defined sum.

    `InputError` for two that are the same direction (radius and anapole moment of one flavour), one
    that contains another, or moduli of two couplings to one final state (no relative phase given).
    """
    names = [parameter.name for parameter in floated]
    if len(set(names)) != len(names):
        raise InputError(f"a parameter is given twice: {', '.join(names)}")
    for one, other in combinations(floated, 2):
        if proportion(one, other) is not None:
            raise InputError(
                f"{one.name} and {other.name} are the same direction: float one of them"
            )
        for whole, part in ((one, other), (other, one)):
            if part.name in whole.contains:
                raise InputError(
                    f"{whole.name} already stands for {', '.join(whole.contains)}: float it alone"
                )
    for flavour in parameters.FLAVOURS:
        moduli: dict[str, Parameter] = {}
        for parameter in floated:
            for partner, _ in () if parameter.interferes else parameter.acts(flavour, "standard"):
                first = moduli.setdefault(partner, parameter) if partner else parameter
                if first is not parameter:
                    raise InputError(
                        f"{first.name} and {parameter.name} together need a relative phase, "
                        "which is not defined here: float one of them"
                    )


def _forms(
    floated: Sequence[Parameter], flavour: str, anapole: str, mixture: bool = False
) -> Forms:
    """Return what the parameters feed in one flavour (`InputError` for an unknown convention)."""
    if anapole not in ANAPOLE_CONVENTIONS:
        raise InputError(
            f"unknown anapole convention '{anapole}'; allowed: {', '.join(ANAPOLE_CONVENTIONS)}"
        )
    forms: Forms = {"": {}}
    for parameter in floated:
        for (partner, variable), factor in parameter.acts(flavour, anapole, mixture).items():
            forms.setdefault(partner, {}).setdefault(variable, {})[parameter] = factor
    return forms


def _in_parameters(rate: Polynomial, fed: Mapping[str, Mapping[Parameter, float]]) -> Polynomial:
    """Replace the variables of a rate by fit parameters; those that nothing feeds are zero."""
    still = [i for i, name in enumerate(rate.names) if name not in fed]
    terms = [
        (row, counts)
        for row, counts in zip(rate.exponents, rate.coefficients, strict=True)
        if not any(row[i] for i in still)
    ]
    linear: dict[str, dict[str, float]] = {}
    for i, name in enumerate(rate.names):
        factors = fed.get(name, {})
        linear[name] = {p.fit_name: f * p.scale for p, f in factors.items() if p.interferes}
        moduli = [(p, f) for p, f in factors.items() if not p.interferes]
        if not moduli:
            continue
        (parameter, factor), *others = moduli
        if others or linear[name] or any(row[i] % 2 for row, _ in terms):
            raise InputError(
                f"{parameter.name} is a modulus: its interference needs a phase, which is not "
                "defined here"
            )
        linear[name] = {parameter.fit_name: factor**2 * parameter.scale}
        terms = [((*row[:i], row[i] // 2, *row[i + 1 :]), counts) for row, counts in terms]
    nothing = [((0,) * len(rate.names), np.zeros(rate.coefficients.shape[1:]))]
    return Polynomial.from_terms(rate.names, terms or nothing).substitute(linear)


def flavour_polynomial(
    templates: TemplateSet,
    floated: Sequence[Parameter],
    flavour: str,
    variation: tuple[str, str] | None = None,
    anapole: str = "standard",
) -> Polynomial:
    """Return the counts of all sources of a flavour as a polynomial in the fit parameters.

    Those of a mixture include what its pairs of flavours add, each with its first flavour.

    What turns the neutrino into a partner does so with the squares of the amplitudes alone:
    those terms of the templates that have degree 2 in the couplings. Strengths (``norm_cevns``,
    ``norm_eves``) are not among its variables: they multiply whole samples.
    """
    forms = _forms(floated, flavour, anapole, templates.mixture)
    shared = {v: forms[""][v] for v in templates.reference if v in forms[""]}
    resting = {v: value for v, value in templates.reference.items() if v not in shared}
    sources = [s for s, f in templates.flavours.items() if f == flavour]
    rate = total(templates.polynomial(s, variation).restrict(resting) for s in sources)
    couplings = [i for i, name in enumerate(rate.names) if name not in templates.reference]
    found = [_in_parameters(rate, forms[""])]
    for partner, fed in forms.items():
        squares = [
            (row, counts)
            for row, counts in zip(rate.exponents, rate.coefficients, strict=True)
            if sum(row[i] for i in couplings) == 2
        ]
        if partner and squares and set(fed) & set(rate.names):
            found.append(
                _in_parameters(Polynomial.from_terms(rate.names, squares), {**fed, **shared})
            )
    for source, state in templates.flavours.items():
        if PAIRS.get(state, ("",))[0] == flavour:
            joined = templates.polynomial(source, variation).restrict(templates.reference)
            found.append(_of_a_pair(joined, PAIRS[state], floated, anapole))
    return total(found)


def _of_a_pair(
    rate: Polynomial, pair: tuple[str, str], floated: Sequence[Parameter], anapole: str
) -> Polynomial:
    """Return what two flavours of a mixture add: 2 Re rho_ab (V V)_ab, V the vertex in flavour.

    The term of degree 1 is the SM of both with the transition; products of two elements lead from
    a to b through any flavour. Where the neutron radius moves, these terms stay at its reference.
    """

    def element(a: str, b: str, variable: str) -> list[Polynomial]:
        key = ("" if a == b else b, variable)
        factors = {p: p.acts(a, anapole, True).get(key, 0.0) for p in floated if p.interferes}
        return [
            Polynomial((p.fit_name,), ((1,),), np.array([factor * p.scale]))
            for p, factor in factors.items()
            if factor
        ]

    one, other = pair
    found = [Polynomial((), ((),), np.zeros((1, *rate.coefficients.shape[1:])))]
    for row, counts in zip(rate.exponents, rate.coefficients, strict=True):
        names = [name for name, power in zip(rate.names, row, strict=True) for _ in range(power)]
        if len(names) == 1:
            found += [part * counts for part in element(one, other, names[0])]
        elif len(names) == 2:
            # the templates hold Re rho_ab; once for each order of the two variables
            found += [
                first * second * counts
                for middle in parameters.FLAVOURS
                for v, w in (names, names[::-1])
                for first in element(one, middle, v)
                for second in element(middle, other, w)
            ]
    return total(found)


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
    moving = [p for p in given if not p.strength_of]
    theta = fit_values({p.name: values[p.name] for p in moving})
    found = {}
    for flavour in templates.states:
        full = flavour_polynomial(templates, moving, flavour, anapole=anapole)
        point = {n: v for n, v in theta.items() if n in full.names}
        found[flavour] = size * full.evaluate(point)
    return found
