"""A report as one HTML page that needs nothing else: no network, no other file."""

import re
from collections.abc import Sequence
from functools import partial
from typing import Final

from nuhf.bibliography import package_version
from nuhf.experiments.catalogue import list_experiments, load
from nuhf.papers.reproduced import Step
from nuhf.parallel import on_cores
from nuhf.report import cite
from nuhf.report.html_blocks import (
    Block,
    Details,
    PageSection,
    Picture,
    TextTable,
    count,
    draw,
    parts,
)
from nuhf.report.html_content import Content, gather
from nuhf.report.html_figures import (
    profile_pictures,
    region_pictures,
    spectrum_pictures,
    template_pictures,
)
from nuhf.report.html_files import file_section
from nuhf.report.html_fit import fit_blocks
from nuhf.report.html_limits import (
    headline,
    kinds,
    limit_tables,
    overview,
    published_table,
    together,
)
from nuhf.report.render import environment
from nuhf.stats.files import Workspaces
from nuhf.stats.intervals import threshold
from nuhf.units import percent

_TEMPLATE: Final = "report.html.j2"
_FIT: Final = "the fit of the SM strength"
_SHORT: Final = 12
_NO_BREAK: Final = "\N{NO-BREAK SPACE}"


def names_of(experiments: Sequence[str]) -> list[str]:
    """Return the experiments meant: ``all`` stands for every shipped one, each comes once."""
    found = [
        name
        for given in experiments
        for name in (list_experiments() if given == "all" else [given])
    ]
    return list(dict.fromkeys(found))


def report(
    experiments: Sequence[str],
    *,
    analysis: str = "default",
    cl: float = 0.9,
    written: str = "",
    step: Step = lambda text: None,
    jobs: int = 1,
) -> str:
    """Return the page: a section per experiment, then the sources of all of them.

    Experiments are names, paths of TOML files, or ``all``; several named ones are also fitted
    together. The text is the same whenever it is made from the same inputs, but for the date,
    ``written``. ``step`` is told what comes next; ``jobs`` is the number of processes.
    """
    threshold(cl)
    names = names_of(experiments)
    for name in names:  # what is no experiment is refused before any work
        load(name, analysis)
    if min(jobs, len(names)) > 1:
        work = partial(gather, analysis=analysis, cl=cl)
        contents = on_cores(work, names, step, lambda name: name, jobs)
    else:
        contents = [gather(name, analysis, cl, step) for name in names]
    sections = [_section(content, cl) for content in contents]
    if len(contents) > 1:
        sections.insert(0, overview(contents, cl))
        if "all" not in experiments:
            sections.append(together(contents, cl, step))
    step("page")
    steps = ["delta-chi2", "strength", "figures"]
    steps += ["ranking"] if any(c.fitted and c.fitted.ranked for c in contents) else []
    found = cite.citations([content.prepared for content in contents], steps)
    titles = ", ".join(content.prepared.loaded.experiment.title for content in contents)
    return _render(sections, found, f"{titles}" if len(contents) < 4 else "All experiments",
                   written, cl)  # fmt: skip


def report_files(
    source: Workspaces,
    wanted: Sequence[str] = (),
    *,
    cl: float = 0.9,
    written: str = "",
    step: Step = lambda text: None,
) -> str:
    """Return the page of workspace files, as `report` does of experiments.

    Without ``wanted`` parameters of interest it is about that of the measurement.
    """
    threshold(cl)
    section = file_section(source, wanted, cl, step)
    step("page")
    found = cite.citations([], ["delta-chi2", "ranking", "figures"])
    return _render([section], found, ", ".join(source.labels), written, cl)


def _render(
    sections: Sequence[PageSection],
    citations: Sequence[cite.Citation],
    title: str,
    written: str,
    cl: float,
) -> str:
    blocks = [block for section in sections for part in section.parts for block in part.blocks]
    pictures = [block for block in blocks if isinstance(block, Picture)]
    drawings = {id(p): drawing for p, drawing in zip(pictures, draw(pictures), strict=True)}
    templates = environment(autoescape=True)
    templates.filters["unbroken"] = _unbroken
    page = templates.get_template(_TEMPLATE).render(
        drawing_of=lambda block: drawings[id(block)],
        sections=sections,
        citations=[
            (name, [c for c in citations if c.kind == kind]) for kind, name in cite.KINDS.items()
        ],
        bibtex=cite.bibtex(citations),
        title=title,
        written=written,
        level=f"{percent(cl)} %",
        version=package_version("nuhf"),
    )
    return f"{page.rstrip()}\n"


def _unbroken(text: str) -> str:
    """Keep short texts, intervals and units in one line: a cell breaks between them."""
    if len(text) <= _SHORT:
        return text.replace(" ", _NO_BREAK)
    return re.sub(r"\[[^\[\]]*\]", lambda match: match[0].replace(" ", _NO_BREAK), text)


# ------------------------------------------------------------------------------- one experiment


def _section(content: Content, cl: float) -> PageSection:
    """Return the section of an experiment; parts without content are left out."""
    one = content.prepared
    found = one.loaded.experiment
    blocks: dict[str, Sequence[Block]] = {
        "Results": headline(content, cl),
        "Limits": limit_tables(content, cl),
        "Published numbers": published_table(content),
        "Data": _data(content),
        "Spectra": spectrum_pictures(content.fitted, _FIT) if content.fitted else [],
        "Fit of the SM strength": _fit(content),
        "Likelihood scans": [
            picture
            for title, members in kinds(content.measured).items()
            for picture in profile_pictures(members, cl, title)
        ],
        "Regions of two parameters": [p for one in content.contours for p in region_pictures(one)],
        "Signal templates": [p for r in one.regions for p in template_pictures(r)],
        "Provenance": _provenance(content),
    }
    notes = (*one.loaded.notes, *(f"not computed: {text}" for text in content.failures))
    return PageSection(found.name, found.title, "", notes, parts(found.name, blocks))


def _data(content: Content) -> list[Block]:
    one = content.prepared
    rows = []
    for region in one.regions:
        bins = " × ".join(
            f"{axis.bins} in {axis.quantity.replace('_', ' ')}"
            + (f" [{axis.unit}]" if axis.unit else "")
            for axis in region.axes
        )
        background = sum(float(row.sum()) for row in region.backgrounds.values())
        details = ", ".join(f"{name}: {count(value)}" for name, value in region.details.items())
        rows.append((region.name, bins, count(float(region.observed.sum())), count(background),
                     details))  # fmt: skip
    blocks: list[Block] = [
        TextTable("Regions", ("region", "bins", "observed [events]", "background [events]", "also"),
              tuple(rows), (0, 1, 4)),
    ]  # fmt: skip
    if one.loaded.nuisances:
        blocks.append(_nuisances(content))
    return blocks


def _nuisances(content: Content) -> TextTable:
    loaded = content.prepared.loaded
    rows = [
        (nuisance.name, *nuisance.words, loaded.inputs.bibliography.in_words(nuisance.source))
        for nuisance in loaded.nuisances
    ]
    header = ("nuisance", "size (1 standard deviation)", "acts on", "source")
    return TextTable("Nuisance parameters", header, tuple(rows), (0, 1, 2, 3))


def _fit(content: Content) -> list[Block]:
    if content.fitted is None:
        return []
    blocks = fit_blocks(content.fitted, " (SM: 1)")
    failed = any(text.startswith("ranking:") for text in content.failures)
    pulled = "sigma" in content.fitted.result.units.values()
    if content.fitted.ranked is None and pulled and not failed:
        command = f"nuhf ranking {content.prepared.name} -o ranking.png"
        blocks.append(f"A ranking of the nuisances takes long here: {command}")
    return blocks


def _provenance(content: Content) -> list[Block]:
    given = content.provenance
    one = content.prepared.loaded
    versions = ", ".join(f"{name} {text}" for name, text in given.get("versions", {}).items())
    options = ", ".join(f"{name}: {value}" for name, value in given.get("options", {}).items()
                        if value not in (None, [], {}, False))  # fmt: skip
    words = {
        "experiment file": one.path.name,
        "analysis": one.analysis_name,
        "couplings": one.experiment.physics.couplings,
        "versions": versions,
        "options": options,
    }
    digests = tuple(given.get("digests", {}).items())
    table = TextTable("Input files", ("file", "SHA-256"), digests, (0, 1))
    return [
        {name: text for name, text in words.items() if text},
        Details(f"SHA-256 of the {len(digests)} input files", [table]),
    ]
