"""The part of a report that is about workspace files: ours, anybody's, or several combined."""

from collections.abc import Sequence

from nuhf.papers.reproduced import Step
from nuhf.report.html_blocks import Block, PageSection, TextTable, count, parts
from nuhf.report.html_content import MeasuredParameter, fitted, measured
from nuhf.report.html_figures import profile_pictures, spectrum_pictures
from nuhf.report.html_fit import fit_blocks
from nuhf.report.html_limits import interval_row, interval_table
from nuhf.stats.files import FileProblem, Workspaces, pose_files
from nuhf.stats.problem import Options


def file_section(source: Workspaces, wanted: Sequence[str], cl: float, step: Step) -> PageSection:
    """Return the section of one measurement: fit, intervals, spectra, ranking, provenance.

    Without ``wanted`` parameters of interest it is about that of the measurement.
    """
    problems = [pose_files(source, name, Options()) for name in (wanted or (None,))]
    failures: list[str] = []
    found = fitted(", ".join(source.labels), "fit", lambda: problems[0], failures, step)
    intervals = [measured(problem, cl, step) for problem in problems]
    failures += [f"{m.parameter}: {m.failure}" for m in intervals if m.failure]
    blocks: dict[str, Sequence[Block]] = {
        "Results": _results(problems, intervals, cl),
        "Likelihood scans": [
            picture for m in intervals for picture in profile_pictures([m], cl, m.parameter)
        ],
        "Spectra": spectrum_pictures(found, "the fit") if found else [],
        "Fit": fit_blocks(found) if found else [],
        "Provenance": [
            TextTable("Workspaces", ("file", "SHA-256"), tuple(source.digests.items()), (0, 1))
        ],
    }  # fmt: skip
    notes = (*problems[0].notes, *(f"not computed: {text}" for text in failures))
    return PageSection(
        "files", ", ".join(source.labels), source.measurement, notes, parts("files", blocks)
    )


def _results(
    problems: Sequence[FileProblem], intervals: Sequence[MeasuredParameter], cl: float
) -> list[Block]:
    channels = problems[0].description.channels
    bins = sum(channel.observed.size for channel in channels)
    events = count(sum(float(channel.observed.sum()) for channel in channels))
    compiled = problems[0].engine.compiled
    words = {
        "Measurement": problems[0].analysis,
        "Data": f"{events} counts in {bins} bins of {len(channels)} channels",
        "Parameters": f"{len(compiled.names)}, of which {int(compiled.fixed.sum())} fixed",
    }
    return [words, interval_table([interval_row(m) for m in intervals], cl)]
