"""Fits on a page: the fitted parameter, events by process, nuisances and their ranking."""

from collections.abc import Mapping

from nuhf.report.html_blocks import Block, TextTable, count, number
from nuhf.report.html_content import StrengthFit
from nuhf.report.html_figures import correlation_pictures, pull_picture, ranking_picture
from nuhf.stats.result_base import unit_text


def fit_blocks(fitted: StrengthFit, remark: str = "") -> list[Block]:
    """Return what a fit found; ``remark`` stands behind the value of its parameter."""
    result, parameter = fitted.result, fitted.problem.parameter
    name = parameter.fit_stem if parameter.squared else parameter.name
    value, error = result.parameters[name]
    unit = unit_text(result.units[name])
    quality = result.goodness
    sigma = (result.significance or {}).get("sigma")
    words = (
        f"{name} = {value:.3g} ± {error:.2g}{unit}{remark}"
        + (f", {sigma:.1f} standard deviations from 0" if sigma is not None else "")
        + f". 2NLL above saturation {quality['saturated_2nll']:.1f} for "
        f"{quality['degrees']:.0f} degrees of freedom{_p_value(quality)}."
    )
    rows = [
        (process, count(before), count(after), number(deviation))
        for process, (before, after, deviation) in result.counts.items()
    ]
    header = ("process", "expected [events]", "fitted [events]", "error [events]")
    blocks: list[Block] = [words, TextTable("Events by process", header, tuple(rows))]
    pulled = [n for n, unit in result.units.items() if unit == "sigma"]
    if pulled:
        blocks.append(pull_picture(result, pulled))
    blocks += correlation_pictures(result)
    if fitted.ranked is not None:
        blocks.append(ranking_picture(fitted.ranked))
    return blocks


def _p_value(quality: Mapping[str, float]) -> str:
    """Nothing where the model has as many parameters as bins."""
    return f", p = {quality['p_value']:.2g} (χ²)" if quality["degrees"] > 0 else ""
