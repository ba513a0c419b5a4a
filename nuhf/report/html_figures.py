"""Figures of a report with their texts: from results to pictures."""

from collections.abc import Sequence
from typing import Final

import numpy as np
from matplotlib.figure import Figure

from nuhf.arrays import FloatArray
from nuhf.couplings.parameters import variables
from nuhf.experiments.region import Region
from nuhf.physics.polynomial import powers
from nuhf.plots import figures as plots
from nuhf.plots import nuisances, results, spectrum
from nuhf.rates.templates import TemplateSet
from nuhf.report.html_blocks import Picture, count, interval, number, power
from nuhf.report.html_content import MeasuredParameter, StrengthFit
from nuhf.stats.contour import ContourResult
from nuhf.stats.expected import RegionSpectrum
from nuhf.stats.ranking import RankingResult
from nuhf.stats.results import FitResult
from nuhf.units import UNIT_LABELS, percent

_COLOURS: Final = (*plots._COLOURS, "#8c564b")
_PULLS: Final = 40
_CORRELATIONS: Final = 14
_SPELLED: Final = 12
"""How many rows of a long list an alternative text repeats."""


def spectrum_pictures(fitted: StrengthFit, fit: str) -> list[Picture]:
    """Draw data and expectation of all regions before and after a fit, which has a name."""
    spectra = {"before the fit": fitted.before, f"after {fit}": fitted.after}
    return [_spectrum(regions, what) for what, regions in spectra.items()]


def _spectrum(regions: Sequence[RegionSpectrum], what: str) -> Picture:
    words = []
    for region in regions:
        parts = ", ".join(
            f"{region.titles.get(name, name)} {count(float(row.sum()))}"
            for name, row in region.expected.items()
        )
        total = sum(float(row.sum()) for row in region.expected.values())
        observed = float(region.observed.sum())
        words.append(
            f"{region.region}: data {count(observed)} events, expected {count(total)} ({parts})"
        )
    text = f"Data and stacked expectation, {what}. {'. '.join(words)}."
    return Picture(spectrum.spectra(regions), text, f"Data and expectation, {what}.")


# ------------------------------------------------------------------------------------ templates


def template_pictures(region: Region) -> list[Picture]:
    """Draw the templates of a region: a panel per monomial, a line per source."""
    if not region.signals or region.observed.size < 2:
        return []
    rows = _shortened(_source_rows(region.signals))
    axis = next((i for i, a in enumerate(region.axes) if a.bins > 1), 0)
    exponents = _exponents(rows)
    shown = [m for m in next(iter(rows.values())) if any(np.any(row[m]) for row in rows.values())]
    edges = np.asarray(region.axes[axis].edges)
    shape = [a.bins for a in region.axes]
    others = tuple(i for i in range(len(shape)) if i != axis)
    scaled = {
        (name, m): row[m].reshape(shape).sum(axis=others) * _scale(m, exponents)
        for name, row in rows.items()
        for m in shown
    }
    figure = _template_figure(list(rows), shown, scaled, edges, region.axes[axis].name, exponents)
    words = []
    for m in shown:
        sums = ", ".join(f"{name} {number(float(scaled[name, m].sum()))}" for name in rows)
        words.append(f"{_words(m)}{_at(m, exponents)}: {sums}")
    summed = [region.axes[i].quantity.replace("_", " ") for i in others if shape[i] > 1]
    more = f", summed over {' and '.join(summed)}" if summed else ""
    text = f"Signal templates of {region.name} in events by source. {'. '.join(words)}."
    caption = (
        f"Signal templates of {region.name} by source and monomial of the couplings{more}; a "
        "monomial is scaled to the value named above its panel."
    )
    return [Picture(figure, text, caption)]


def _source_rows(signals: Sequence[TemplateSet]) -> dict[str, dict[str, FloatArray]]:
    """Templates by the name of the source, with the process where there are several.

    A monomial that a source does not have is zero; powers of neutron radii, which correct the
    others by little, are left out.
    """
    known = variables()
    every = [m for signal in signals for m in signal.monomials if set(powers(m)) <= set(known)]
    found: dict[str, dict[str, FloatArray]] = {}
    for signal in signals:
        for source, monomials in signal.nominal.items():
            name = source if len(signals) == 1 else f"{signal.process} {source}"
            nothing = np.zeros(signal.bins)
            found[name] = {m: np.asarray(monomials.get(m, nothing)) for m in dict.fromkeys(every)}
    return found


def _shortened(rows: dict[str, dict[str, FloatArray]]) -> dict[str, dict[str, FloatArray]]:
    """Keep the sources with most events, and add up the others."""
    if len(rows) <= len(_COLOURS):
        return rows
    order = sorted(rows, key=lambda name: -float(rows[name]["1"].sum()))
    kept, rest = order[: len(_COLOURS) - 1], order[len(_COLOURS) - 1 :]
    other = {m: np.sum([rows[name][m] for name in rest], axis=0) for m in rows[rest[0]]}
    return {name: rows[name] for name in kept} | {f"{len(rest)} others": other}


def _exponents(rows: dict[str, dict[str, FloatArray]]) -> dict[str, int]:
    """Powers of ten of the couplings at which their squares are of the size of the SM."""
    standard = sum(float(np.abs(row["1"]).sum()) for row in rows.values())
    found = {}
    for name in variables():
        square = sum(float(np.abs(row.get(f"{name}^2", 0.0)).sum()) for row in rows.values())
        known = square > 0 and standard > 0
        found[name] = int(np.floor(0.5 * np.log10(standard / square))) if known else 0
    return found


def _scale(monomial: str, exponents: dict[str, int]) -> float:
    return float(10.0 ** sum(degree * exponents[name] for name, degree in powers(monomial).items()))


def _words(monomial: str) -> str:
    """Name a monomial: charge squared, charge times radius."""
    known = variables()
    parts = [
        known[name].meaning + ("" if degree == 1 else " squared")
        for name, degree in powers(monomial).items()
    ]
    return " times ".join(parts) or "SM"


def _at(monomial: str, exponents: dict[str, int]) -> str:
    known = variables()
    values = [power(exponents[name], known[name].unit) for name in powers(monomial)]
    return f" at {', '.join(values)}" if values else ""


def _template_figure(
    names: Sequence[str],
    monomials: Sequence[str],
    rows: dict[tuple[str, str], FloatArray],
    edges: FloatArray,
    axis: str,
    exponents: dict[str, int],
) -> Figure:
    lines, columns = plots.grid(len(monomials), 4)
    figure = plots._figure(2.8 * columns + 0.2, 2.3 * lines + 0.5)
    label, density = plots.axis_texts(axis)
    for i, monomial in enumerate(monomials):
        axes = figure.add_subplot(lines, columns, i + 1)
        for name, colour in zip(names, _COLOURS, strict=False):
            height = rows[name, monomial] / np.diff(edges)
            axes.stairs(height, edges, color=colour, lw=1.3, label=name, baseline=None)
        axes.axhline(0.0, color="#999999", lw=0.6)
        axes.set_xlim(edges[0], edges[-1])
        axes.set_title(_title(monomial, exponents), fontsize=8.5)
        axes.tick_params(labelsize=7)
        plots._plain_axes(axes)
        if i % columns == 0:
            axes.set_ylabel(density, fontsize=8)
        if i >= len(monomials) - columns:
            axes.set_xlabel(label, fontsize=8)
    handles, texts = figure.axes[0].get_legend_handles_labels()
    figure.legend(handles, texts, loc="outside lower center", ncols=min(len(names), 6),
                  frameon=False, fontsize=8)  # fmt: skip
    return figure


def _title(monomial: str, exponents: dict[str, int]) -> str:
    """Symbol of a monomial, and the values at which it is drawn."""
    known, degrees = variables(), powers(monomial)
    symbols = [
        known[name].symbol + ("" if degree == 1 else f"^{degree}")
        for name, degree in degrees.items()
    ]
    values = [f"$10^{{{exponents[name]}}}\\,{UNIT_LABELS[known[name].unit]}$" for name in degrees]
    return f"${''.join(symbols)}$ at {', '.join(values)}" if degrees else "SM"


# ------------------------------------------------------------------------------------ nuisances


def pull_picture(found: FitResult, nuisance_names: Sequence[str]) -> Picture:
    """Draw fitted nuisances; of many, those furthest from 0 or most constrained."""
    pairs = {name: found.parameters[name] for name in nuisance_names}
    order = sorted(pairs, key=lambda n: -max(abs(pairs[n][0]), abs(1.0 - pairs[n][1])))
    kept = set(order[:_PULLS])
    shown = [name for name in pairs if name in kept]
    values = np.array([pairs[name][0] for name in shown])
    errors = np.array([pairs[name][1] for name in shown])
    words = "; ".join(f"{n} {pairs[n][0]:.2f} ± {pairs[n][1]:.2f}" for n in shown)
    part = f", {len(shown)} of {len(pairs)}" if len(shown) < len(pairs) else ""
    return Picture(
        nuisances.pulls(shown, values, errors),
        f"Pulls of the nuisance parameters in standard deviations{part}: {words}.",
        f"Fitted nuisance parameters{part}, in standard deviations of their constraints.",
    )


def correlation_pictures(found: FitResult) -> list[Picture]:
    """Draw the correlations of the parameters that have any; of many, the largest."""
    names = list(found.correlation["names"])
    matrix = np.asarray(found.correlation["matrix"], dtype=float)
    outside = np.abs(matrix - np.diag(np.diag(matrix))).max(axis=1, initial=0.0)
    moving = [i for i in range(len(names)) if matrix[i, i] > 0]
    order = sorted(moving, key=lambda i: -outside[i])[:_CORRELATIONS]
    if len(order) < 2:
        return []
    shown = sorted(order)
    some = [names[i] for i in shown]
    square = matrix[np.ix_(shown, shown)]
    pairs = [(i, j) for i in range(len(shown)) for j in range(i)]
    pairs.sort(key=lambda pair: -abs(square[pair]))
    words = "; ".join(
        f"{some[i]} and {some[j]} {100 * square[i, j]:.0f} %" for i, j in pairs[:_SPELLED]
    )
    part = f" of the {len(some)} most correlated parameters of {len(moving)}"
    part = part if len(some) < len(moving) else ""
    return [
        Picture(
            nuisances.correlation(some, square),
            f"Correlation matrix{part}. Largest: {words}.",
            f"Correlations{part} in the fit, in per cent.",
        )
    ]


def ranking_picture(found: RankingResult) -> Picture:
    """Draw the impacts of the nuisances."""
    rows = list(zip(found.nuisances, found.postfit_up, found.postfit_down, strict=True))
    words = "; ".join(f"{n} {number(float(u))}, {number(float(d))}" for n, u, d in rows[:_SPELLED])
    unit = "" if found.unit == "1" else f" {power(0, found.unit)}"
    return Picture(
        nuisances.impacts(found),
        f"Impacts on {found.quantity} (best fit {number(found.best_fit)} ± "
        f"{number(found.error)}{unit}), nuisance one standard deviation up, down: {words}.",
        f"Impacts of the nuisances on {found.quantity}, and their pulls; values of factors.",
    )


# ----------------------------------------------------------------------------------- parameters


def profile_pictures(found: Sequence[MeasuredParameter], cl: float, title: str) -> list[Picture]:
    """Draw the profiles of the parameters that have intervals, if any has."""
    known = [(one.limit, one.scan) for one in found if one.limit and one.scan]
    if not known:
        return []
    words = "; ".join(
        f"{limit.parameter} {interval(limit.intervals)} {power(0, limit.unit)}, best fit "
        f"{number(limit.best_fit)}"
        for limit, _ in known
    )
    return [
        Picture(
            results.profiles([scan.curve(limit.intervals) for limit, scan in known], cl),
            f"Profile likelihoods, {title.lower()}, with intervals at {percent(cl)} % CL: {words}.",
            f"{title}: profile likelihood; shaded: {percent(cl)} % CL.",
        )
    ]


def region_pictures(found: ContourResult) -> list[Picture]:
    """Draw the regions of two parameters, if there is any boundary."""
    lines = {cl: pieces for cl, pieces in found.regions if pieces}
    words = []
    for cl, pieces in lines.items():
        points = np.concatenate(pieces)
        low, high = points.min(axis=0), points.max(axis=0)
        ranges = ", ".join(
            f"{name} {number(float(a))} to {number(float(b))} {power(0, unit)}"
            for name, unit, a, b in zip(found.parameters, found.units, low, high, strict=True)
        )
        shape = "one line" if len(pieces) == 1 else f"{len(pieces)} lines"
        words.append(f"{percent(cl)} % CL: {shape}, within {ranges}")
    best = ", ".join(number(value) for value in found.best_fit)
    names = " and ".join(found.parameters)
    text = f"Regions of {names}, two degrees of freedom. Best fit {best}. {'; '.join(words)}."
    caption = f"Regions of {names}, two degrees of freedom."
    return [Picture(found.plot(), text, caption)] if lines else []
