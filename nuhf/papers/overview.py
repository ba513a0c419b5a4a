"""The global picture: every coupling by every experiment, by all together, and the literature's."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, Final

from matplotlib.figure import Figure

from nuhf import questions
from nuhf.couplings import parameters
from nuhf.couplings.parameters import PARAMETERS, Parameter
from nuhf.errors import FitError, InputError
from nuhf.experiments.catalogue import list_experiments
from nuhf.experiments.data import Asimov
from nuhf.experiments.region import Prepared
from nuhf.inputs import Inputs
from nuhf.papers.published import check_entry
from nuhf.papers.reproduced import Step, prepared
from nuhf.parallel import on_cores
from nuhf.plots.summary import Bound, panel_order, summary
from nuhf.rates.signal import acts_on
from nuhf.stats.problem import Options, pose
from nuhf.stats.result_base import plain
from nuhf.tables import columns_of, format_csv
from nuhf.units import percent

COMBINED: Final = "all combined"
_CL: Final = 0.9
_KEYS: Final = {
    "experiment", "process", "parameter", "cl", "lower", "upper", "source", "checked_in", "status",
}  # fmt: skip

STATUS: Final[Mapping[str, str]] = {
    "abstract": "literature", "second-hand": "second-hand", "recalled-UNVERIFIED": "unverified",
}  # fmt: skip
"""Where a bound of the literature was read, and the role it is drawn in."""

COUPLINGS: Final = tuple(
    sorted(
        (name for name, entry in PARAMETERS.items() if entry.group.pictured),
        key=lambda name: (panel_order(PARAMETERS[name].group), name.startswith("abs_")),
    )
)
"""Moments, charges, radii; of each kind those of one flavour before those of two."""


@dataclass(frozen=True)
class PictureEntry:
    """A bound on one coupling, in its base unit.

    The role is one of `nuhf.plots.summary.ROLES`; the experiments are those in the fit. There are
    no intervals if the fit failed; then ``source`` says why. A bound of the literature has a
    status of `STATUS`, where its number was read, a remark, and what was scattered on what.
    """

    parameter: str
    unit: str
    role: str
    label: str
    experiments: tuple[str, ...]
    cl: float
    intervals: tuple[tuple[float, float], ...]
    source: str = ""
    status: str = ""
    checked_in: str = ""
    note: str = ""
    process: str = ""


@dataclass(frozen=True)
class Overview:
    """All bounds, and what must be known about them."""

    entries: tuple[PictureEntry, ...]
    notes: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        """Return plain lists, dicts, strings and numbers."""
        return {"bounds": [plain(asdict(e)) for e in self.entries], "notes": list(self.notes)}

    def to_csv(self) -> str:
        """Return one row per piece; sources and notes are comments above the header."""
        names = ("parameter", "unit", "role", "label", "experiments", "cl", "piece", "lower",
                 "upper", "status")  # fmt: skip
        rows = [
            (e.parameter, e.unit, e.role, e.label, "+".join(e.experiments), e.cl, number, low, high,
             e.status)
            for e in self.entries
            for number, (low, high) in enumerate(e.intervals, start=1)
        ]  # fmt: skip
        failed = [f"{e.label}, {e.parameter}: {e.source}" for e in self.entries if not e.intervals]
        quoted = [
            f"{e.label}, {e.parameter}: {e.source}; {e.status}, checked in: {e.checked_in}; "
            + "; ".join(text for text in (e.process, e.note) if text)
            for e in self.entries
            if e.status
        ]
        comments = [f"bounds at {percent(_CL)} % CL", *self.notes, *failed, *quoted]
        return format_csv(columns_of(names, rows), comments)

    def figure(self) -> Figure:
        """Draw all bounds, with what is combined below them."""
        title = f"Electromagnetic couplings of neutrinos, one at a time, {percent(_CL)} % CL"
        bounds = [_bound(e) for e in self.entries if e.intervals]
        return summary(bounds, title, _CL, self._caption())

    def _caption(self) -> str:
        combined = [e.experiments for e in self.entries if e.role == "combined" and e.intervals]
        inside = dict.fromkeys(name for names in combined for name in names)
        alone = {e.label for e in self.entries if e.role == "ours"} - set(inside)
        if not inside:
            return ""
        text = f"{COMBINED}: {', '.join(inside)}; of these, the ones with a bar of that coupling."
        if alone:
            text += f"\nNot in it: {', '.join(sorted(alone))}"
            text += " (its events are, or may be, in another one)."
        if any(e.role == "literature" for e in self.entries):
            text += "\nOf publications of the literature the abstract alone was read."
        return text


def _bound(entry: PictureEntry) -> Bound:
    return Bound(entry.parameter, entry.label, entry.intervals, entry.role)


def read_literature() -> list[PictureEntry]:
    """Read ``data/literature.toml``; a fault is an `InputError` with file and number."""
    inputs = Inputs()
    path = inputs.path("literature.toml")
    found = []
    for i, content in enumerate(inputs.toml("literature.toml").get("bounds", [])):
        where = f"{path}: bounds[{i}]"
        check_entry(content, _KEYS, {"note"}, where)
        status = content["status"]
        if status not in STATUS:
            raise InputError(f"{where}: status '{status}'; allowed: {', '.join(STATUS)}")
        parameter = parameters.get(content["parameter"])
        source = inputs.bibliography.in_words(content["source"])
        found.append(
            PictureEntry(
                parameter.name, parameter.unit, STATUS[status], content["experiment"], (),
                content["cl"], ((content["lower"], content["upper"]),), source, status,
                content["checked_in"], content.get("note", ""), content["process"],
            )
        )  # fmt: skip
    return found


def overview(
    couplings: Sequence[str] = COUPLINGS, step: Step = lambda text: None, jobs: int = 1
) -> Overview:
    """Fit every coupling alone, the others at zero, with the analysis ``default``.

    Each experiment on which a coupling has an effect, then all with data together, equal nuisance
    names shared. Left out of the combination: experiments whose events are, or may be, among those
    of another (``contained_in`` and ``may_share`` of their files), and those without data. Of an
    experiment without a spectrum, one number, the bounds of radii alone. ``step`` is told what
    comes next; ``jobs`` is the number of processes.
    """
    chosen = [parameters.get(name) for name in couplings]
    for one in chosen:
        if not one.group.pictured:
            raise InputError(f"{one.name} is none of {', '.join(COUPLINGS)}")
    step("templates")
    experiments = [prepared(name) for name in list_experiments()]
    quoted = read_literature()
    wanted = [entry for parameter in chosen for entry in _wanted(parameter, experiments)]
    fitted = on_cores(_fitted, wanted, step, lambda one: f"{one.parameter}, {one.label}", jobs)
    every = [*fitted, *quoted]
    entries = [e for parameter in chosen for e in every if e.parameter == parameter.name]
    return Overview(tuple(entries), _notes(experiments, quoted))


def _is_future(one: Prepared) -> bool:
    return any(isinstance(r.data, Asimov) for r in one.loaded.experiment.regions.values())


def _is_one_number(one: Prepared) -> bool:
    return len(one.templates) == 1 and one.templates[0].bins == 1


def _shares_events(one: Prepared) -> bool:
    return bool(one.loaded.experiment.contained_in or one.loaded.experiment.may_share)


def _wanted(parameter: Parameter, experiments: Sequence[Prepared]) -> list[PictureEntry]:
    """Return the bounds on a coupling that are to be found, without intervals."""
    seen = [e for e in experiments if any(acts_on(parameter, t) for t in e.templates)]
    if parameter.group.name != "radii":
        # moments and charges grow towards small recoils: from one number, their bounds would
        # rest on the acceptance there alone
        seen = [e for e in seen if not _is_one_number(e)]
    real = [e for e in seen if not _is_future(e)]
    together = [e for e in real if not _shares_events(e)]

    def entry(role: str, label: str, members: Sequence[Prepared]) -> PictureEntry:
        names = tuple(one.name for one in members)
        return PictureEntry(parameter.name, parameter.unit, role, label, names, _CL, ())

    found = [entry("ours", one.name, [one]) for one in real]
    if len(together) > 1:
        found.append(entry("combined", COMBINED, together))
    return [*found, *(entry("future", one.name, [one]) for one in seen if _is_future(one))]


def _fitted(wanted: PictureEntry) -> PictureEntry:
    try:
        experiments = [prepared(one) for one in wanted.experiments]
        problem = pose(experiments, wanted.parameter, Options())
        return replace(wanted, intervals=questions.limit(problem, _CL, "delta-chi2").intervals)
    except FitError as error:
        return replace(wanted, source=str(error))


def _notes(experiments: Sequence[Prepared], quoted: Sequence[PictureEntry]) -> tuple[str, ...]:
    excluded = [
        f"{one.name} is not in the combination: its events are among those of {other}"
        for one in experiments
        for other in one.loaded.experiment.contained_in
    ]
    excluded += [
        f"{one.name} is not in the combination: it may share events with {other}"
        for one in experiments
        for other in one.loaded.experiment.may_share
    ]
    numbers = [one.name for one in experiments if one.templates and _is_one_number(one)]
    counts = [f"{sum(e.status == s for e in quoted)} {s}" for s in STATUS]
    future = [one.name for one in experiments if _is_future(one)]
    general = [
        "one coupling at a time, all others zero; couplings at tree level, so that radii are total",
        "combined: nuisances of equal name are shared (flux_sns, ff_csi, flux_solar_*, bkg_xe136); "
        "lz-ws2022 and lz-ws2024, pandax-4t-run0 and pandax-4t-run1 are different runs, whose "
        "detector and other backgrounds are taken as independent",
        "xenonnt-8b, lz-8b, pandax-4t-8b are nuclear recoils, below the energies of the electrons "
        "in xenonnt-sr0, lz-ws*, pandax-4t-run*: taken as other events",
        *excluded,
        f"{', '.join(future)}: Asimov data, not in the combination",
        f"{', '.join(numbers)}: one number without a spectrum, for radii only; bounds of moments "
        "and charges would rest on the assumed acceptance alone",
        f"bounds of the literature ({', '.join(counts)}): source and place where each was read are "
        "listed below and in data/literature.toml; of UNVERIFIED ones the number, or whose it is, "
        "was in no text at hand",
        "munu_eff is one moment common to all flavours, munu_e, munu_mu, munu_tau that of one "
        "flavour alone: not the same quantity",
    ]
    seen = [one for one in experiments if one.templates]
    own = [f"{one.name}: {note}" for one in seen for note in one.loaded.notes]
    return (*general, *own)
