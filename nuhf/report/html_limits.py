"""Tables of limits, ours and the published ones."""

from collections.abc import Sequence

import numpy as np

from nuhf.couplings import parameters
from nuhf.papers.published import Comparison, read_title
from nuhf.papers.reproduced import Step, exponent
from nuhf.report.html_blocks import (
    Block,
    Details,
    PagePart,
    PageSection,
    TextTable,
    count,
    interval,
    number,
    parts,
    power,
)
from nuhf.report.html_content import Content, MeasuredParameter, StrengthFit, measure
from nuhf.report.html_figures import profile_pictures
from nuhf.units import percent


def kinds(measured: Sequence[MeasuredParameter]) -> dict[str, list[MeasuredParameter]]:
    """Group what is measured by the title of the group of parameters, in a fixed order."""
    found: dict[str, list[MeasuredParameter]] = {}
    for one in sorted(measured, key=lambda m: parameters.get(m.parameter).group.order):
        found.setdefault(parameters.get(one.parameter).group.title, []).append(one)
    return found


def _ends(measured: Sequence[MeasuredParameter]) -> list[float]:
    return [end for m in measured if m.limit for piece in m.limit.intervals for end in piece]


def _published_text(content: Content, name: str, cl: float, scale: float) -> str:
    """Return the published intervals of a parameter at this confidence level, with the papers."""
    rows = [c.row for c in content.published if c.row.parameter == name]
    parts = []
    for row in rows:
        level = "" if row.cl == cl else f", {percent(row.cl)} % CL"
        analysis = row.analysis.removeprefix(row.paper).strip("-")
        remarks = (analysis, "others profiled" if row.profile else "")
        more = "".join(f", {remark}" for remark in remarks if remark)
        parts.append(f"{interval([(row.lower, row.upper)], scale)} ({row.paper}{more}{level})")
    return "; ".join(dict.fromkeys(parts)) or "—"


def headline(content: Content, cl: float) -> list[Block]:
    """Return what a reader wants first: the data, the SM signal in them, and all intervals."""
    one = content.prepared
    bins = sum(region.observed.size for region in one.regions)
    events = count(sum(float(region.observed.sum()) for region in one.regions))
    background = count(
        sum(float(row.sum()) for region in one.regions for row in region.backgrounds.values())
    )
    found = {
        "Experiment": one.name,
        "Analysis": f"{one.loaded.analysis_name}: {one.loaded.analysis.title}",
        "Data": f"{events} events in {bins} bins, {background} expected from backgrounds",
    }
    if content.fitted is not None:
        found["SM signal"] = _signal(content.fitted)
    groups = kinds(content.measured).values()
    rows = [interval_row(m, *_quoted(members)) for members in groups for m in members]
    return [found, *([interval_table(rows, cl)] if rows else [])]


def interval_row(
    one: MeasuredParameter, scale: float = 1.0, unit: str | None = None
) -> tuple[str, ...]:
    """Return name, interval and best fit in units of ``scale``, and the unit, or the base unit."""
    if one.limit is None:
        return (one.parameter, "not determined", "—", unit or "")
    own = power(0, one.limit.unit) if unit is None else unit
    ends, best = interval(one.limit.intervals, scale), number(one.limit.best_fit / scale)
    return (one.parameter, ends, best, own)


def interval_table(rows: Sequence[tuple[str, ...]], cl: float) -> TextTable:
    """Return a table of what `interval_row` gives."""
    header = ("parameter", "interval", "best fit", "unit")
    return TextTable(f"Intervals at {percent(cl)} % CL", header, tuple(rows), (0, 3))


def _signal(fitted: StrengthFit) -> str:
    """Events of the SM signal before and after the fit of its strength, with its significance."""
    result, name = fitted.result, fitted.problem.parameter.name
    signal = [
        row for process, row in result.counts.items()
        if process.startswith(name.removeprefix("norm_"))
    ]  # fmt: skip
    value, error = result.parameters[name]
    sigma = (result.significance or {}).get("sigma")
    away = f", {sigma:.1f} standard deviations from 0" if sigma is not None else ""
    return (
        f"{count(sum(row[0] for row in signal))} events expected, "
        f"{count(sum(row[1] for row in signal))} fitted with the nuisances: "
        f"{name} = {value:.3g} ± {error:.2g}{away}"
    )


def _quoted(measured: Sequence[MeasuredParameter]) -> tuple[float, str]:
    """Scale and unit in which the intervals of a kind of parameter are quoted."""
    parameter = parameters.get(measured[0].parameter)
    found = exponent(parameter.group, _ends(measured))
    return 10.0**found, power(found, parameter.unit)


def limit_tables(content: Content, cl: float) -> list[Block]:
    """Return a table of intervals for each kind of parameter, in two units."""
    level = f"{percent(cl)} % CL"
    blocks: list[Block] = [
        f"Profile likelihood, {level}, every piece of an interval; one parameter at a time, "
        "the others at the SM, nuisances profiled. Published intervals come from the "
        "papers' own analyses: see the next part for ours made in the same way."
    ]
    for title, members in kinds(content.measured).items():
        scale, unit = _quoted(members)
        base = power(0, parameters.get(members[0].parameter).unit)
        rows = [_limit_row(content, m, cl, scale) for m in members]
        header = ["parameter", f"interval [{unit}]", f"published [{unit}]"]
        header += [f"interval [{base}]"] if scale != 1.0 else []
        blocks.append(TextTable(f"{title}, {level}", tuple(header), tuple(rows), (0, 2)))
    return blocks


def _limit_row(
    content: Content, one: MeasuredParameter, cl: float, scale: float
) -> tuple[str, ...]:
    published = _published_text(content, one.parameter, cl, scale)
    if one.limit is None:
        return (one.parameter, "not determined", published, *(["—"] if scale != 1.0 else []))
    pieces = one.limit.intervals
    more = [interval(pieces)] if scale != 1.0 else []
    return (one.parameter, interval(pieces, scale), published, *more)


def published_table(content: Content) -> list[Block]:
    """Return published numbers beside ours from the same analysis, with reasons."""
    if not content.published:
        return []
    verdicts = [c.verdict for c in content.published]
    shares = ", ".join(f"{verdicts.count(v)} {v}" for v in ("agrees", "close", "differs"))
    blocks: list[Block] = [
        "Ours are made with the analysis of the paper, as far as it is described. Agrees: the "
        f"ends are within 10 % of the published width; close: 20 %. {len(verdicts)} numbers: "
        f"{shares}."
    ]
    by_paper: dict[str, list[Comparison]] = {}
    for comparison in content.published:
        by_paper.setdefault(comparison.row.paper, []).append(comparison)
    header = ("where", "parameter", "unit", "CL [%]", "published", "ours",
              "difference [% of width]",              "verdict")  # fmt: skip
    for paper, found in by_paper.items():
        rows = tuple(_comparison_row(one) for one in found)
        blocks.append(TextTable(f"{paper}: {read_title(paper)}", header, rows, (0, 1, 2, 7)))
        reasons = [
            f"{c.row.where}, {c.row.parameter}: {c.row.reason}"
            + (f" Check: {c.row.check}" if c.row.check else "")
            for c in found if c.row.reason and c.verdict != "agrees"
        ]  # fmt: skip
        if reasons:
            blocks.append(Details(f"Why {len(reasons)} differ", reasons))
    return blocks


def _comparison_row(one: Comparison) -> tuple[str, ...]:
    row = one.row
    quoted = exponent(parameters.group_of(row.parameter), [row.lower, row.upper])
    scale = 10.0**quoted
    single = row.lower == row.upper
    printed = number(row.lower / scale) if single else interval([(row.lower, row.upper)], scale)
    ours = number(one.compared[0] / scale) if single else interval(one.ours, scale)
    distance = f"{100 * one.distance:.0f}" if np.isfinite(one.distance) else "—"
    analysis = row.analysis.removeprefix(row.paper).strip("-")
    where = f"{row.where}{f', {analysis}' if analysis else ''}"
    profiled = f" ({', '.join(row.profile)} profiled)" if row.profile else ""
    level = f"{percent(row.cl)}" if row.cl else "—"
    return (where, f"{row.parameter}{profiled}", power(quoted, row.unit), level, printed, ours,
            distance, one.verdict)  # fmt: skip


# ------------------------------------------------------------------------- several experiments


def overview(contents: Sequence[Content], cl: float) -> PageSection:
    """Return the intervals of all experiments side by side."""
    every = [m for c in contents for m in c.measured]
    names = list(dict.fromkeys(m.parameter for m in every))
    tables: list[Block] = []
    for title, members in kinds(sorted(every, key=lambda m: names.index(m.parameter))).items():
        unit = power(0, parameters.get(members[0].parameter).unit)
        rows = [
            (m.parameter, m.limit.experiments[0], *interval_row(m)[1:3]) for m in members if m.limit
        ]
        header = ("parameter", "experiment", f"interval [{unit}]", f"best fit [{unit}]")
        tables.append(TextTable(f"{title}, {percent(cl)} % CL", header, tuple(rows), (0, 1)))
    part = PagePart("overview-limits", "Limits of all experiments", tuple(tables))
    subtitle = "One parameter at a time, the others at the SM, nuisances profiled."
    return PageSection("overview", "Overview", subtitle, (), (part,))


def together(contents: Sequence[Content], cl: float, step: Step) -> PageSection:
    """Fit the experiments together in every parameter that more than one of them has."""
    every = [m.parameter for c in contents for m in c.measured if m.limit]
    shared = [name for name in dict.fromkeys(every) if every.count(name) > 1]
    found = []
    for name in sorted(shared, key=lambda n: parameters.get(n).group.order):
        having = [c.prepared for c in contents if name in c.prepared.loaded.analysis.parameters]
        found.append(measure(having, name, cl, step))
    blocks: dict[str, Sequence[Block]] = {}
    for title, members in kinds([m for m in found if m.limit]).items():
        unit = power(0, parameters.get(members[0].parameter).unit)
        header = ("parameter", f"interval [{unit}]", f"best fit [{unit}]")
        rows = tuple(interval_row(m)[:3] for m in members)
        table = TextTable(f"{title}, {percent(cl)} % CL, combined", header, rows)
        blocks[title] = [table, *profile_pictures(members, cl, f"{title}, combined")]
    names_text = ", ".join(c.prepared.name for c in contents)
    notes = tuple(dict.fromkeys(n for c in contents for n in c.prepared.loaded.notes))
    notes += tuple(f"not computed: {m.parameter}: {m.failure}" for m in found if m.failure)
    subtitle = f"{names_text}; nuisances of the same name are one nuisance."
    return PageSection("together", "Combination", subtitle, notes, parts("together", blocks))
