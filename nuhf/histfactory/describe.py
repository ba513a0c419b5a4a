"""A statistical model as plain data, before any encoding: what both pyhf forms are made from."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

import numpy as np

from nuhf.arrays import FloatArray
from nuhf.couplings.parameters import Parameter
from nuhf.errors import InputError
from nuhf.experiments.region import Region
from nuhf.physics.polynomial import Polynomial
from nuhf.rates.signal import fit_values, flavour_polynomial
from nuhf.rates.templates import TemplateSet

_NEGLIGIBLE = 1e-9
"""Shape residuals below this fraction of the sample's largest bin are rounding, not physics."""

PEDESTAL: Final = "pedestal"
"""Process name of the constant part of a Gaussian channel."""

PEDESTAL_COUNTS: Final = 2.5e5
"""Pseudo-counts of a Gaussian channel, over the square root of its bins and in each of them: 0.4 %
of 2NLL in one bin at a pull of 3. With 1e6 in each of 19 bins the rounding of 2NLL stopped pyhf's
scipy optimizer up to 0.27 too high, and up to 0.015 in one bin (minuit goes on)."""

_ROOM = 2.0
_ROOM_EVENTS = 30.0
"""Bounds of a coupling: its highest power alone gives 2 x events + 30, and as much as twice where
its square makes up for its interference: there the SM rate comes back."""


@dataclass(frozen=True)
class Norm:
    """Factors at +1 and -1 standard deviation.

    Between them the factor is an exponential (normsys), or with ``linear`` the straight line
    1 + alpha size that papers with linear pulls use (a symmetric histosys).
    """

    up: float
    down: float
    linear: bool = False


Norms = Mapping[str, Norm]
"""Norms by nuisance."""


@dataclass(frozen=True)
class Shape:
    """Bin contents at +1 and -1 standard deviation, (n_bins,) each."""

    up: FloatArray
    down: FloatArray


@dataclass(frozen=True)
class Sample:
    """One monomial of one process and flavour, or one background.

    Its name is unique in the channel. ``counts`` are nominal events for all factors one, (n_bins,),
    and may be negative for interference; ``powers`` has the exponent of every fit parameter that
    multiplies them. By nuisance, ``norms`` has the factor common to all bins, and ``shapes`` what
    it leaves: multiplied by the factor it gives the variation. ``stem`` begins the name of all
    monomials of one polynomial, and is empty for backgrounds.
    """

    name: str
    process: str
    counts: FloatArray
    powers: Mapping[str, int] = field(default_factory=dict)
    norms: Mapping[str, Norm] = field(default_factory=dict)
    shapes: Mapping[str, Shape] = field(default_factory=dict)
    stem: str = ""

    def scaled(self, factor: FloatArray | float) -> "Sample":
        """Return the same sample with its counts and shapes multiplied, by bin or as a whole."""
        shapes = {n: Shape(factor * s.up, factor * s.down) for n, s in self.shapes.items()}
        return replace(self, counts=factor * self.counts, shapes=shapes)


@dataclass(frozen=True)
class Channel:
    """Observed counts (n_bins,), or the pedestal of a Gaussian channel, and what explains them.

    Samples are in the unit of ``observed``; ``scale`` has the counts of the model per event,
    (n_bins,), 1 for real counts. ``events`` are those observed before any subtraction, for the
    ranges of couplings.
    """

    name: str
    observed: FloatArray
    samples: tuple[Sample, ...]
    scale: FloatArray
    events: float


@dataclass(frozen=True)
class Coupling:
    """A floating physics parameter with the range its fit parameter may take."""

    parameter: Parameter
    low: float
    high: float
    init: float

    @property
    def bounded(self) -> bool:
        """Whether the range begins at a physical bound, zero."""
        return self.low == 0.0


@dataclass(frozen=True)
class Free:
    """A factor that only the data constrain, 1 nominally, between 0 and ``high``."""

    name: str
    high: float


@dataclass(frozen=True)
class Description:
    """A whole model, with the name of its measurement.

    The first of its couplings, which float, is the parameter of interest; ``free`` are factors
    without constraint on backgrounds.
    """

    name: str
    channels: tuple[Channel, ...]
    couplings: tuple[Coupling, ...]
    free: tuple[Free, ...] = ()

    @property
    def processes(self) -> tuple[str, ...]:
        """Names of all processes, backgrounds first as in the channels; no pedestals."""
        names = dict.fromkeys(s.process for c in self.channels for s in c.samples)
        return tuple(name for name in names if name != PEDESTAL)

    @property
    def scale(self) -> FloatArray:
        """Counts of the model per event in the bins of all channels, (n_bins,)."""
        return np.concatenate([channel.scale for channel in self.channels])

    @property
    def bins(self) -> dict[str, slice]:
        """Where the bins of each channel, by its name, are among those of all channels."""
        found, start = {}, 0
        for channel in self.channels:
            found[channel.name] = slice(start, start + channel.observed.size)
            start = found[channel.name].stop
        return found


def _sm_ratio(templates: TemplateSet, variation: tuple[str, str]) -> float:
    varied, nominal = templates.varied[variation], templates.nominal
    numerator = sum(float(monomials["1"].sum()) for monomials in varied.values())
    return numerator / sum(float(monomials["1"].sum()) for monomials in nominal.values())


def _monomial_name(process: str, flavour: str, powers: Mapping[str, int]) -> str:
    stem = f"{process}_{flavour}"
    for name, power in powers.items():
        stem += f"_{name}" + (f"_pow{power}" if power > 1 else "")
    return stem


def _signal_samples(
    templates: TemplateSet,
    floated: Sequence[Parameter],
    fixed: Mapping[Parameter, float],
    anapole: str,
    factors: Mapping[str, int],
    norms: Norms,
) -> list[Sample]:
    """Samples of one scattering process: one per flavour and monomial."""
    moving = [p for p in (*floated, *fixed) if not p.strength_of]
    strengths = [p for p in floated if p.scales(templates.interaction)]
    factors = dict(factors) | {p.fit_name: 1 for p in strengths}
    size = next((v for p, v in fixed.items() if p.scales(templates.interaction)), 1.0)
    values = fit_values({p.name: v for p, v in fixed.items() if not p.strength_of})
    nuisances = sorted({name for name, _ in templates.varied})
    ratios = {key: _sm_ratio(templates, key) for key in templates.varied}
    common = dict(norms) | {n: Norm(ratios[n, "up"], ratios[n, "down"]) for n in nuisances}
    samples = []
    for flavour in templates.states:

        def part(variation: tuple[str, str] | None, flavour: str = flavour) -> Polynomial:
            full = flavour_polynomial(templates, moving, flavour, variation, anapole)
            return full.restrict({n: v for n, v in values.items() if n in full.names})

        nominal = part(None)
        varied = {key: part(key) for key in templates.varied}
        for i, row in enumerate(nominal.exponents):
            counts = size * nominal.coefficients[i]
            shapes = {}
            for n in nuisances:
                up, down = (
                    size * varied[n, d].coefficients[i] / ratios[n, d] for d in ("up", "down")
                )
                residual = max(np.abs(up - counts).max(), np.abs(down - counts).max())
                if residual > _NEGLIGIBLE * np.abs(counts).max():
                    shapes[n] = Shape(up, down)
            if not counts.any() and not shapes:
                continue  # such as the SM rate of a mass state beside those of flavours
            powers = {n: e for n, e in zip(nominal.names, row, strict=True) if e}
            name = _monomial_name(templates.process, flavour, powers)
            samples.append(
                Sample(
                    name,
                    templates.process,
                    counts,
                    powers | factors,
                    common,
                    shapes,
                    f"{templates.process}_{flavour}",
                )
            )
    return samples


def channel(
    region: Region,
    floated: Sequence[Parameter],
    fixed: Mapping[Parameter, float],
    anapole: str,
    norms: Mapping[str, Norms],
    factors: Mapping[str, Mapping[str, int]],
) -> Channel:
    """Describe one region.

    ``fixed`` has values in base units; the rest of the parameters are at zero, strengths at one.
    ``norms[process][nuisance]`` are normalisation uncertainties, ``factors[process]`` the powers
    of free factors, of signals and backgrounds.
    """
    signal = [
        sample
        for templates in region.signals
        for sample in _signal_samples(
            templates,
            floated,
            fixed,
            anapole,
            factors.get(templates.process, {}),
            norms.get(templates.process, {}),
        )
    ]
    rest = [
        Sample(
            component,
            component,
            counts,
            factors.get(component, {}),
            norms.get(component, {}),
            {n: Shape(*pair) for n, pair in region.variations.get(component, {}).items()},
        )
        for component, counts in region.backgrounds.items()
    ]
    samples = tuple(_straighten(sample) for sample in (*rest, *signal))
    ones = np.ones_like(region.observed)
    described = Channel(region.name, region.observed, samples, ones, region.events)
    if region.sigma is None:
        return described
    rates = [flavour_polynomial(t, (), f).evaluate({}) for t in region.signals for f in t.states]
    expected = np.sum([*rates, *region.backgrounds.values()], axis=0)
    return gaussian(described, region.sigma, expected, region.pseudo_counts)


def _straighten(sample: Sample) -> Sample:
    """Turn linear norms into shapes proportional to the counts."""
    shapes = dict(sample.shapes)
    for name, norm in sample.norms.items():
        if norm.linear:
            shapes[name] = Shape(norm.up * sample.counts, norm.down * sample.counts)
    norms = {name: norm for name, norm in sample.norms.items() if not norm.linear}
    return replace(sample, norms=norms, shapes=shapes)


def gaussian(
    region: Channel, sigma: FloatArray, expected: FloatArray, pseudo_counts: float | None = None
) -> Channel:
    """Turn a channel of counts into a Gaussian one by the pedestal encoding.

    Every bin observes N0 pseudo-counts; the expectation is N0 + c (prediction - residual). With
    c = sqrt(N0)/sigma a pull d has 2NLL = d^2 - (2/3) d^3/sqrt(N0). The slopes of the second term
    add up over the bins, so c is such that the slope at the expected pull p is the Gaussian one:
    c sigma = (p + sqrt(p^2 + 4 N0))/2, or sqrt(N0) if N0 is given as ``pseudo_counts``.

    In events, (n_bins,), ``sigma`` are errors of the background-subtracted data that the channel
    observes (`InputError` if one is not positive), ``expected`` what the standard model predicts.
    """
    if np.any(sigma <= 0):
        raise InputError(f"{region.name}: bin {int(np.argmax(sigma <= 0))} has no positive error")
    residual = region.observed
    counts = pseudo_counts or np.round(PEDESTAL_COUNTS / np.sqrt(residual.size))
    level = np.full(residual.size, counts)
    if pseudo_counts is None:
        pull = (expected - residual) / sigma
        scale = 0.5 * (pull + np.sqrt(pull**2 + 4.0 * level)) / sigma
    else:
        scale = np.sqrt(level) / sigma
    samples = [sample.scaled(scale) for sample in region.samples]
    base = Sample(PEDESTAL, PEDESTAL, level - scale * residual)
    return replace(region, observed=level, samples=(base, *samples), scale=scale)


def couplings(
    floated: Sequence[Parameter],
    channels: Sequence[Channel],
    inits: Mapping[Parameter, float],
    limits: Mapping[str, tuple[float, float]] | None = None,
) -> tuple[Coupling, ...]:
    """Give every free parameter its range: its highest power alone gives 2 x events + 30.

    Events are those observed or, if more, expected: the data may be replaced by an expectation.
    The range reaches twice as far as the value where interference and square cancel, near which
    a second piece of an interval may lie. Far outside any interval, yet close enough for a scan.
    ``inits`` are starting values in base units, the rest start at zero, strengths at one;
    ``limits`` are narrower ranges in base units, by name. `InputError` if a parameter multiplies
    nothing in any channel.
    """
    events = max(sum(region.events for region in channels), _expected(channels))
    names = {parameter.fit_name for parameter in floated}
    strengths = {p.fit_name for p in floated if p.strength_of}
    found = []
    for parameter in floated:
        name = parameter.fit_name
        sums: dict[int, float] = {}
        for region in channels:
            for sample in region.samples:
                power = sample.powers.get(name, 0)
                if power and not set(sample.powers) & (names - strengths - {name}):
                    size = float(np.abs(sample.counts / region.scale).sum())
                    sums[power] = sums.get(power, 0.0) + size
        highest = max(sums, default=0)
        if highest == 0 or sums[highest] == 0:
            raise InputError(f"{parameter.name} has no effect on the selected experiments")
        limit = float(((_ROOM * events + _ROOM_EVENTS) / sums[highest]) ** (1.0 / highest))
        if highest > 1:
            limit = max(limit, 2.0 * sums.get(1, 0.0) / sums[highest])
        limit = rounded_up(limit, slack=0.999)
        ends = (0.0 if parameter.one_sided else -limit), limit
        own = (limits or {}).get(parameter.name, parameter.limits)
        if own is not None:
            ends = parameter.to_fit(own[0]), parameter.to_fit(own[1])
        init = 1.0 if parameter.strength_of else 0.0
        if parameter in inits:
            init = parameter.to_fit(inits[parameter])
        found.append(Coupling(parameter, *ends, min(max(init, ends[0]), ends[1])))
    return tuple(found)


def _expected(channels: Sequence[Channel]) -> float:
    """Events that are expected with all free parameters at zero, strengths at one."""
    return sum(
        float(np.sum(sample.counts / region.scale))
        for region in channels
        for sample in region.samples
        if sample.process != PEDESTAL and not sample.powers
    )


def rounded_up(value: float, slack: float = 1.0) -> float:
    """Next of 1, 2, 5 x 10^k, from ``slack`` times the value on."""
    decade = 10.0 ** np.floor(np.log10(value))
    return float(next(decade * m for m in (1.0, 2.0, 5.0, 10.0) if decade * m >= value * slack))
