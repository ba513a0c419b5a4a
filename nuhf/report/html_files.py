"""The part of a report that is about workspace files: ours, anybody's, or several combined."""

from collections.abc import Sequence

from nuhf.errors import NuhfError
from nuhf.report.html_blocks import (
    Block,
    Definitions,
    PageSection,
    TextTable,
    count,
    parts,
)
from nuhf.report.html_content import (
    MeasuredParameter,
    Step,
    StrengthFit,
    affordable,
    fitted,
    measured,
)
from nuhf.report.html_figures import profile_picture, spectrum_picture
from nuhf.report.html_fit import fit_blocks
from nuhf.report.html_limits import interval_row, interval_table
from nuhf.stats.files import FileProblem, Workspaces, pose_files
from nuhf.stats.problem import Options
from nuhf.stats.ranking import RankingResult, ranking


def file_section(source: Workspaces, wanted: Sequence[str], cl: float, step: Step) -> PageSection:
    """Return the section of one measurement: fit, intervals, spectra, ranking, provenance.

    Without ``wanted`` parameters of interest it is about that of the measurement.

    Raises
    ------
    InputError
        If a parameter is unknown, or none is named and the measurement has none.
    ModelError
        If the files make no model.
    """
    problems = [pose_files(source, name, Options()) for name in (wanted or (None,))]
    failures: list[str] = []
    step(f"{', '.join(source.labels)}: fit")
    found, ranked = _fit(problems[0], failures, step)
    intervals = [measured(problem, cl, step) for problem in problems]
    failures += [f"{m.parameter}: {m.failure}" for m in intervals if m.failure]
    blocks: dict[str, Sequence[Block]] = {
        "Results": _results(problems, intervals, cl),
        "Likelihood scans": [
            profile_picture([(m.limit, m.scan)], cl, m.parameter)
            for m in intervals if m.limit and m.scan
        ],
        "Spectra": [
            spectrum_picture(found.before, "before the fit"),
            spectrum_picture(found.after, "after the fit"),
        ] if found else [],
        "Fit": fit_blocks(found, ranked, "") if found else [],
        "Provenance": [
            TextTable("Workspaces", ("file", "SHA-256"), tuple(source.digests.items()), (0, 1))
        ],
    }  # fmt: skip
    notes = (*problems[0].notes, *(f"not computed: {text}" for text in failures))
    return PageSection(
        "files", ", ".join(source.labels), source.measurement, notes, parts("files", blocks)
    )


def _fit(
    problem: FileProblem, failures: list[str], step: Step
) -> tuple[StrengthFit | None, RankingResult | None]:
    found = None
    try:
        found = fitted(problem)
        if affordable(problem):
            step(f"{', '.join(problem.names)}: ranking")
            return found, ranking(problem)
    except NuhfError as error:
        failures.append(f"{'ranking' if found else 'fit'}: {error}")
    return found, None


def _results(
    problems: Sequence[FileProblem], intervals: Sequence[MeasuredParameter], cl: float
) -> list[Block]:
    channels = problems[0].description.channels
    bins = sum(channel.observed.size for channel in channels)
    events = count(sum(float(channel.observed.sum()) for channel in channels))
    compiled = problems[0].engine.compiled
    rows = [
        ("Measurement", problems[0].analysis),
        ("Data", f"{events} counts in {bins} bins of {len(channels)} channels"),
        ("Parameters", f"{len(compiled.names)}, of which {int(compiled.fixed.sum())} fixed"),
    ]
    return [Definitions(tuple(rows)), interval_table([interval_row(m) for m in intervals], cl)]
