"""Questions to pyhf files: any workspace, patched or combined, posed like an experiment."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyhf

from nuhf import resources
from nuhf.arrays import FloatArray
from nuhf.couplings import parameters
from nuhf.couplings.parameters import Parameter
from nuhf.errors import Caveat, InputError, ModelError
from nuhf.filekind import Kind, json_kind
from nuhf.histfactory.describe import Channel, Coupling, Description, Free, Sample
from nuhf.likelihood.engines import Engine, Reference, engine
from nuhf.likelihood.layout import Layout, layout_of
from nuhf.stats.held import expectation, fixed_nuisances, with_fixed
from nuhf.stats.mask import masked_workspace
from nuhf.stats.problem import Options, Problem
from nuhf.stats.result_base import Provenance, provenance
from nuhf.workspaces import names
from nuhf.workspaces.checks import fit_findings, lengths
from nuhf.workspaces.combine import Choices, combine
from nuhf.workspaces.native import load_model
from nuhf.workspaces.parts import NamedWorkspace, take
from nuhf.workspaces.patches import owner, patched_by, point_of
from nuhf.workspaces.start import idle_poi

Json = dict[str, Any]
File = str | Path | Mapping[str, Any]

_STDIN: Final = "-"
_COMPILING: Final = "; what pyhf makes of it: nuhf pyhf fit"


@dataclass(frozen=True)
class Workspaces:
    """One measurement of one workspace, or of several combined."""

    spec: Json
    """The workspace with that measurement alone."""
    labels: tuple[str, ...]
    """Names of the files."""
    notes: tuple[str, ...]
    """What a combination renamed or rescaled."""
    digests: Mapping[str, str]
    """sha256 of every workspace, by label."""
    awaited: str = ""
    """Parameter of interest that comes with a patch, of a background alone."""

    @property
    def title(self) -> str:
        """Names of the files, for messages."""
        return ", ".join(self.labels)

    @property
    def measurement(self) -> str:
        """Name of the measurement."""
        return str(self.spec["measurements"][0]["name"])

    @property
    def poi(self) -> str:
        """Parameter of interest of the measurement; may be empty."""
        return str(self.spec["measurements"][0]["config"]["poi"])


@dataclass(frozen=True)
class FileProblem(Problem):
    """A `Problem` whose model comes from files."""

    source: Workspaces = field(default_factory=lambda: Workspaces({}, (), (), {}))
    """The files."""

    @property
    def notes(self) -> tuple[str, ...]:
        """What was done to the files, and whether the data are real."""
        found = [*self.source.notes]
        coupling = self.description.couplings[0]
        if coupling.bounded and not self.parameter.squared:
            begins = f"{self.parameter.name} begins at 0 in the file"
            found.append(Caveat(f"{begins}: an interval that ends there ends at this bound"))
        return (*found, *self.asked_notes("at the initial values of the file"))

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the files."""
        return self.source.labels

    @property
    def analysis(self) -> str:
        """Name of the measurement."""
        return self.source.measurement

    @property
    def convention(self) -> str | None:
        """None: what a file's anapole moment means is up to the file."""
        return None

    def within(self, bracket: tuple[float, float]) -> Problem:
        """Return the problem with another range; it may widen the bounds of the file."""
        ranged = replace(self.options, bracket=bracket)
        return pose_files(self.source, self.parameter.fit_name, ranged)

    def posed(self, interest: str, options: Options) -> Problem:
        """Ask the same data about another parameter, or with other options (see `pose_files`)."""
        return pose_files(self.source, interest, options)

    def provenance(self) -> Provenance:
        """Versions, digests and options."""
        return provenance(self.options.summary(), self.source.digests)


def read_files(
    files: Sequence[File], patches: Sequence[str] = (), measurement: str | None = None
) -> Workspaces:
    """Read workspaces, patch a single one, combine several, and take one measurement.

    ``files`` are paths, ``-`` for standard input, or parsed content; ``patches`` are JSON patches,
    applied in turn: files, or ``PATCHSET.json:NAME``. `InputError` if a file cannot be read, a
    patch not applied, or workspaces not combined, `ModelError` if something is no valid workspace.
    """
    sources = [_source(file, i) for i, file in enumerate(files)]
    if patches and len(sources) > 1:
        raise InputError("patches are for one file: combine patched files with nuhf.combine")
    if patches:
        spec = dict(sources[0].spec)
        for patch in patches:
            spec = _patched(spec, patch)
        sources = [NamedWorkspace(sources[0].label, spec)]
    labels = tuple(source.label for source in sources)
    if len(sources) > 1:
        # `combine` needs a POI; any will do, as questions name their own
        combined = combine(sources, Choices(measurement, take(sources[0], measurement).poi))
        digests = {s.label: pyhf.utils.digest(dict(s.spec)) for s in sources}
        return Workspaces(combined.spec, labels, combined.notes, digests)
    part = take(sources[0], measurement)
    for finding in lengths({"channels": part.channels}):
        raise InputError(f"{labels[0]}: {finding.where}: {finding.message}")
    content: Json = {
        "channels": part.channels,
        "observations": [{"name": n, "data": list(d)} for n, d in part.observations.items()],
        "measurements": [
            {
                "name": part.title,
                "config": {"poi": part.poi, "parameters": list(part.configs.values())},
            }
        ],
        "version": "1.0.0",
    }
    entry = next(m for m in sources[0].spec["measurements"] if m["name"] == part.title)
    awaited = idle_poi(sources[0].spec, entry)
    return Workspaces(content, labels, (), {labels[0]: pyhf.utils.digest(content)}, awaited)


def _source(file: File, index: int) -> NamedWorkspace:
    content: Any
    if isinstance(file, Mapping):
        content, label = dict(file), f"workspace_{index + 1}"
    else:
        content = resources.read_json(Path(file))
        label = "stdin" if str(file) == _STDIN else str(file)
    if not isinstance(content, dict) or "channels" not in content:
        hint = ""
        if isinstance(content, dict) and "patches" in content:
            hint = "; it is a patch set: give its workspace, and FILE:NAME as a patch"
        elif json_kind(content) is Kind.PATCH:
            hint = "; it is a patch: give its workspace, and this as a patch"
        raise InputError(f"{label}: not a workspace, it has no 'channels'{hint}")
    return NamedWorkspace(label, content)


def _patched(spec: Json, patch: str) -> Json:
    path, _, name = patch.partition(":") if patch.count(".json:") == 1 else (patch, "", "")
    content: Any = resources.read_json(Path(path))
    if isinstance(content, dict) and "patches" in content:
        owner(content, [spec], path)
        if not name:
            known = [one["metadata"]["name"] for one in content["patches"]]
            shown = parameters.suggest(name, known)
            raise InputError(f"{path}: a patch set, take {path}:NAME; {shown}")
        return point_of(spec, content, name, path)
    try:
        return patched_by(spec, content)
    except InputError as error:
        raise InputError(f"{patch}: the patch does not fit the workspace: {error}") from None


def pose_files(source: Workspaces, interest: str | None, options: Options) -> FileProblem:
    """Build model and data of files for one parameter of interest.

    Everything else floats, unless the file or the options fix it; ``profiled`` names those that
    come next after the parameter of interest, such as the second of a contour. ``interest`` is a
    name in the file, or of nuhf's catalogue where the file has it in some unit; None for that of
    the measurement. ``fixed`` are parameters held, in base units where nuhf knows them.

    `InputError` for unknown parameters, or options that only experiments have, `ModelError` if the
    files make no model.
    """
    if options.anapole != "standard":
        raise InputError("the convention of the anapole moment is for experiments, not for files")
    content = masked_workspace(source.spec, options.mask)
    with _named(source):
        model, _ = load_model(content)
    with _named(source, _COMPILING):
        layout = layout_of(model)
    wanted = _wanted(layout, interest, options.profiled, source)
    held = {_find(layout, n, source): value for n, value in options.fixed.items()}
    for name in wanted:
        if name in held or wanted.count(name) > 1:
            raise InputError(f"{name} is named twice: as free, and free or set to a value again")
    known = {name: parameter(name) for name in layout.by_name}
    fixed: dict[str, float | None] = {n: known[n].to_fit(v) for n, v in held.items()}
    fixed |= fixed_nuisances(options.fixed_nuisances, layout, [*wanted, *held])
    spec = with_fixed(content, fixed, layout.sizes)
    _float(spec, layout, wanted, known[wanted[0]], options.bracket)
    with _named(source):
        model, found = load_model(spec)
    data = np.asarray(found)
    if not options.inject:
        _check_start(spec, model, data, source)
    with _named(source, _COMPILING):
        chosen = engine(options.engine, Reference.of(model))
    description = _description(spec, chosen, wanted)
    if options.asimov:
        data = chosen.compiled.expected_full(chosen.compiled.inits)
    if options.inject:
        truth = {_find(layout, n, source): v for n, v in options.inject.items()}
        truth = {n: known[n].to_fit(v) for n, v in truth.items()}
        data = expectation(chosen.compiled, truth)
    others = tuple(c.parameter.name for c in description.couplings[1:])
    return FileProblem(
        (), known[wanted[0]], others, options, spec, description, chosen, data, source=source,
    )  # fmt: skip


@contextmanager
def _named(source: Workspaces, hint: str = "") -> Iterator[None]:
    """Put the names of the files before what is wrong with their model, and a hint behind it."""
    try:
        yield
    except ModelError as error:
        raise ModelError(f"{source.title}: {error}{hint}") from error


def _wanted(
    layout: Layout, interest: str | None, profile: Sequence[str], source: Workspaces
) -> list[str]:
    """Return the parameters that a question is about, the first of interest."""
    wanted = [_find(layout, name, source) for name in (interest or source.poi, *profile)]
    if interest is None and all(layout.by_name[wanted[0]].fixed):
        raise InputError(
            f"{source.title}: the parameter of interest {wanted[0]} is fixed; "
            f"poi='{wanted[0]}' makes it free"
        )
    return wanted


def _check_start(spec: Json, model: pyhf.Model, data: FloatArray, source: Workspaces) -> None:
    """Refuse what no fit can work on, as `nuhf.validate` does (`ModelError`)."""
    found = fit_findings(spec["measurements"][0], spec, model, data)
    worst = next((finding for finding in found if finding.severity == "error"), None)
    if worst is not None:
        raise ModelError(f"{source.title}: {worst.where}: {worst.message}")


def parameter(name: str) -> Parameter:
    """Return what a parameter of a file is: ours in the unit of its name, or a bare number."""
    known = names.coupling(name)
    if known is not None:
        return replace(known, exponent=names.split_unit(name)[1])
    bare = parameters.get("norm_cevns")
    return replace(bare, name=name, fit_stem=name, exponent=0, meaning="", limits=None)


def _find(layout: Layout, name: str, source: Workspaces) -> str:
    """Return the one parameter of the model that a name stands for."""
    if not name and source.awaited:
        raise InputError(
            f"{source.title}: background only, the parameter of interest "
            f"{source.awaited} comes with a patch: give it, too, or name one of "
            f"{', '.join(layout.by_name)}"
        )
    found = [n for n in layout.by_name if n == name or parameter(n).name == name]
    if not name:
        raise InputError(
            f"measurement '{source.measurement}' has no parameter of interest: name one of "
            f"{', '.join(layout.by_name)}"
        )
    if len(found) != 1:
        hint = parameters.suggest(name, list(layout.by_name))
        raise InputError(f"{source.title}: no parameter '{name}'; {hint}")
    if not layout.by_name[found[0]].scalar:
        raise InputError(f"{name} has a value per bin: a parameter of interest has one")
    return found[0]


def _float(
    spec: Json,
    layout: Layout,
    wanted: Sequence[str],
    first: Parameter,
    bracket: tuple[float, float] | None,
) -> None:
    """Make the parameters of interest free; a range may widen the bounds of a bare number.

    A square of ours begins at the SM: stock files start it beside its bound, for other optimizers.
    """
    config = spec["measurements"][0]["config"]
    config["poi"] = wanted[0]
    entries = {entry["name"]: entry for entry in config["parameters"]}
    for name in wanted:
        if name in entries:
            entries[name]["fixed"] = False
    for name, entry in entries.items():
        known = names.coupling(name)
        if known is not None and known.squared and not entry.get("fixed"):
            entry["inits"] = [max(entry.get("bounds", [[0.0]])[0][0], 0.0)]
    if bracket is not None and names.coupling(wanted[0]) is None:
        entry = entries.setdefault(wanted[0], {"name": wanted[0]})
        (low, high), *_ = layout.by_name[wanted[0]].bounds
        ends = [first.to_fit(end) for end in bracket]
        entry["bounds"] = [[min(low, ends[0]), max(high, ends[1])]]
        config["parameters"] = list(entries.values())


def _description(spec: Json, chosen: Engine, wanted: Sequence[str]) -> Description:
    """Describe a model as far as fits and their tables need it."""
    compiled, sets = chosen.compiled, chosen.reference.layout.sets
    unconstrained = {one.name for one in sets if one.constraint == "none" and one.size == 1}
    ours = [n for n in unconstrained if names.coupling(n) and not compiled.fixed[compiled.index(n)]]
    ours += [one.name for one in sets if one.name not in unconstrained and names.coupling(one.name)]
    couplings = []
    for name in dict.fromkeys([*wanted, *sorted(ours)]):
        i = compiled.index(name)
        if name in wanted or not compiled.fixed[i]:
            low, high = (float(end) for end in compiled.bounds[i])
            couplings.append(Coupling(parameter(name), low, high, float(compiled.inits[i])))
    observed = {entry["name"]: np.asarray(entry["data"], float) for entry in spec["observations"]}
    channels = []
    for channel in sorted(spec["channels"], key=lambda c: str(c["name"])):
        samples = tuple(
            Sample(s["name"], names.process(channel, s["name"]), np.asarray(s["data"], float))
            for s in channel["samples"]
        )
        counts = observed[channel["name"]]
        ones = np.ones_like(counts)
        channels.append(Channel(channel["name"], counts, samples, ones, float(counts.sum())))
    # those that count standard deviations of their constraint, as normsys do
    pulled = {one.name for one in sets if one.constraint == "normal" and one.auxdata == (0.0,)}
    free = tuple(
        Free(name, float(compiled.bounds[i, 1]))
        for i, name in enumerate(compiled.names)
        if name not in pulled and not any(c.parameter.fit_name == name for c in couplings)
    )
    title = str(spec["measurements"][0]["name"])
    return Description(title, tuple(channels), tuple(couplings), free)
