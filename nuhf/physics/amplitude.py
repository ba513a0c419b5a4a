"""Cross sections as quadratic forms of amplitudes that are linear in the couplings.

For one neutrino species on one target

    dsigma/dT = sum_{n=0,1,2} E^-n sum_{c,d} F_cdn(T) A_c A_d,     A_c = a_c(T) + sum_v a_cv(T) v,

with components c such as ``vector``, variables v such as the millicharge, and the kinematic forms
F. Nothing here lists monomials: they are what the product has.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from nuhf.arrays import FloatArray
from nuhf.couplings import parameters
from nuhf.couplings.model import MASS_STATES, PAIRS, Amplitudes, Kinematics, Vertex
from nuhf.errors import InputError
from nuhf.physics.polynomial import Polynomial, total

Forms = Mapping[tuple[str, str], FloatArray]


@dataclass(frozen=True)
class CrossSection:
    """dsigma/dT of one neutrino species on one target.

    Attributes
    ----------
    amplitudes : mapping
        ``amplitudes[component][variable]``, (n_recoil,) or a polynomial with such coefficients; the
        SM is the variable "".
    forms : mapping
        ``forms[c, d]``: coefficients (3, n_recoil) of 1, 1/E, 1/E^2 that multiply A_c A_d, in
        cm^2/MeV. Components without a common form do not interfere.
    inelastic : mapping
        Components with a threshold of their own.
    interference : bool
        Whether to expand only what interferes, without the SM alone: of two flavours of a mixture.
    """

    amplitudes: Amplitudes
    forms: Forms
    inelastic: Mapping[str, Kinematics] = field(default_factory=dict)
    interference: bool = False

    def _sum(self, component: str) -> Polynomial:
        """Return the amplitude of a component as a polynomial in its variables."""
        terms = []
        for name, factor in self.amplitudes[component].items():
            variable = Polynomial((name,), ((1,),), np.ones(1)) if name else _ONE
            terms.append(variable * factor)
        return total(terms)

    def expand(self) -> Polynomial:
        """Return dsigma/dT as a polynomial in all variables, coefficients (3, n_recoil).

        Without the components that have a threshold of their own, see `parts`.
        """
        found = {name: self._sum(name) for name, terms in self.amplitudes.items() if terms}
        products = [
            found[one] * found[two] * form
            for (one, two), form in self.forms.items()
            if one in found and two in found
        ]
        every = total(products or [_ONE * np.zeros_like(next(iter(self.forms.values())))])
        if not self.interference:
            return every
        known = parameters.variables()
        powers = [
            {every.names[i]: k for i, k in enumerate(row) if k and every.names[i] in known}
            for row in every.exponents
        ]
        linear = {name for fed in powers if sum(fed.values()) == 1 for name in fed}
        kept = [
            (row, counts)
            for row, counts, fed in zip(every.exponents, every.coefficients, powers, strict=True)
            if fed and set(fed) <= linear
        ]
        nothing = [((0,) * len(every.names), np.zeros_like(every.coefficients[0]))]
        return Polynomial.from_terms(every.names, kept or nothing)

    def parts(
        self, electrons: FloatArray | float = 1.0
    ) -> list[tuple[Polynomial, FloatArray | None]]:
        """Return polynomials with the least neutrino energy of each; None: elastic scattering.

        ``electrons`` of an atom, (n_recoil,), multiply all but what is that of an atom already.
        """
        inelastic = [
            (
                (amplitude := self._sum(name)) * amplitude
                * (own.coefficients * (1.0 if own.per_atom else electrons)),
                own.threshold,
            )
            for name, own in self.inelastic.items()
        ]  # fmt: skip
        return [(self.expand() * electrons, None), *inelastic]

    def at(
        self, values: Mapping[str, float], partners: Sequence[Mapping[str, float]] = ()
    ) -> FloatArray:
        """Return coefficients (3, n_recoil) of 1, 1/E, 1/E^2 of elastic scattering at a point.

        The amplitudes are summed before they are squared: zeros of an amplitude are exact.

        Parameters
        ----------
        values : mapping
            Variables by name in base units; those not named are zero.
        partners : sequence of mapping
            The same of each state that a transition leads to: without the SM, and incoherent.

        Raises
        ------
        InputError
            If a variable is in no amplitude.
        """
        known = {name for terms in self.amplitudes.values() for name in terms if name}
        for name in {name for one in (values, *partners) for name in one}:
            if name not in known:
                raise InputError(f"unknown coupling '{name}'; allowed: {', '.join(sorted(known))}")
        rates = []
        for sums in self._sums(values, partners):
            rates += [
                form * sums[one] * sums[two]
                for (one, two), form in self.forms.items()
                if one in sums and two in sums
            ]
        return np.asarray(np.sum(rates, axis=0))

    def _sums(
        self, values: Mapping[str, float], partners: Sequence[Mapping[str, float]]
    ) -> list[dict[str, FloatArray]]:
        """Amplitudes at a point, by component, of each final state."""
        return [
            {
                component: np.sum([point.get(n, 0.0) * _plain(f) for n, f in terms.items()], axis=0)
                for component, terms in self.amplitudes.items()
            }
            for point in ({"": 1.0, **values}, *partners)
        ]

    def differential(
        self,
        energy: FloatArray,
        threshold: FloatArray,
        values: Mapping[str, float],
        partners: Sequence[Mapping[str, float]] = (),
    ) -> FloatArray:
        """Return dsigma/dT in cm^2/MeV, (n_recoil,), at one neutrino energy for each recoil.

        Parameters
        ----------
        energy, threshold : ndarray
            Neutrino energies and the least ones of elastic scattering, in MeV, (n_recoil,).
        values, partners
            As in `at`.
        """
        parts = [(self.at(values, partners), threshold)]
        for name, own in self.inelastic.items():
            squares = np.sum([sums[name] ** 2 for sums in self._sums(values, partners)], axis=0)
            parts.append((own.coefficients * squares, np.asarray(own.threshold)))
        powers = np.stack([np.ones_like(energy), 1.0 / energy, energy**-2.0, np.log(energy)])
        rates = [
            np.where(energy >= least, (terms * powers[: len(terms)]).sum(axis=0), 0.0)
            for terms, least in parts
        ]
        return np.asarray(np.sum(rates, axis=0))


def _plain(factor: FloatArray | Polynomial) -> FloatArray:
    if isinstance(factor, Polynomial):
        raise InputError("an amplitude that contains the neutron radius has no value: expand it")
    return factor


_ONE = Polynomial((), ((),), np.ones(1))


def flavours_of(state: str) -> tuple[str, ...]:
    """Return the flavours whose SM amplitudes a species has: of a pair two, of mass states none."""
    return PAIRS.get(state, () if state in MASS_STATES else (state,))


def with_couplings(
    standard: CrossSection, vertex: Vertex, variables: Sequence[str]
) -> CrossSection:
    """Add to the SM the amplitudes of the models that some variables belong to.

    Variables of other models, and those that do nothing in this collision, stay out.

    Raises
    ------
    InputError
        If no model has one of the variables.
    """
    known = parameters.variables()
    for name in variables:
        if name not in known:
            raise InputError(f"unknown variable '{name}'; {parameters.suggest(name, known)}")
    amplitudes = {component: dict(terms) for component, terms in standard.amplitudes.items()}
    forms, inelastic = dict(standard.forms), dict(standard.inelastic)
    for model in parameters.models():
        if model.amplitude is None or not {v.name for v in model.variables} & set(variables):
            continue
        for component, terms in model.amplitude(vertex).items():
            kept = {name: factor for name, factor in terms.items() if name in variables}
            amplitudes.setdefault(component, {}).update(kept)
        if model.kinematics is not None:
            for name, own in model.kinematics(vertex).items():
                if own.threshold is None:
                    forms[name, name] = own.coefficients
                elif name in amplitudes:
                    inelastic[name] = own
    if vertex.flavour in MASS_STATES:
        amplitudes = {c: a for c, a in amplitudes.items() if c not in standard.amplitudes}
    if vertex.flavour in PAIRS:
        inelastic = {}
    return CrossSection(amplitudes, forms, inelastic, vertex.flavour in PAIRS)
