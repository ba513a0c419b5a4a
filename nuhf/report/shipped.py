"""The generated artefacts of the repository: templates/ and workspaces/, from the data alone."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np

from nuhf import resources
from nuhf.axes import axis
from nuhf.couplings import parameters
from nuhf.experiments import catalogue
from nuhf.experiments.prepare import prepare
from nuhf.experiments.region import Prepared
from nuhf.likelihood.engines import ModelProfiler, Reference, engine
from nuhf.rates.signal import asked_for
from nuhf.rates.templates import DIGITS, TemplateSet, to_json
from nuhf.stats.problem import Options, Problem, pose
from nuhf.workspaces import checks, encode
from nuhf.workspaces.native import load_model
from nuhf.workspaces.patchset import FIX_STRENGTH, digests, patch_grid

_DEPTH: Final = 25.0
_PATCHES: Final = 13
_TEXTS: Final = Path(__file__).with_name("texts")
_SCRIPTS: Final = ("cls_limit.sh", "profile_limit.sh", "crossings.awk")
"""Beside the workspaces: limits with nothing but pyhf, a shell and POSIX awk."""


@dataclass(frozen=True)
class StockCheck:
    """Stock against native encoding of one parameter.

    Attributes
    ----------
    poi : str
        Name of the stock parameter.
    low, high : float
        Its range, in its unit: the domain of the file.
    largest : float
        Largest difference of 2NLL above the minimum, where that is below 25.
    at_interval : float
        The same where 2NLL is within 9 of the minimum.
    noisy : bool
        Whether the steps of pyhf's default optimizer are too short for the file.
    """

    poi: str
    low: float
    high: float
    largest: float
    at_interval: float
    noisy: bool


def stock_check(problem: Problem, points: int = 241) -> StockCheck:
    """Compare the profiles of both encodings over the whole range of the parameter."""
    spec = encode.stock(problem.description)
    model, data = load_model(spec)
    chosen = engine("compiled", Reference.of(model))
    entry = spec["measurements"][0]["config"]["parameters"][0]
    index = chosen.compiled.index(entry["name"])
    profiler = ModelProfiler(
        chosen, data, index, np.atleast_2d(chosen.compiled.inits), ~chosen.compiled.fixed
    )
    unit = encode.stock_unit(problem.description)
    wide = problem.span().grid(points)
    rough = problem.profiler().at(wide)
    near = wide[rough - rough.min() < _DEPTH]
    grid = np.linspace(near[0], near[-1], points)
    exact, approximate = problem.profiler().at(grid), profiler.at(grid / unit)
    depth = exact - exact.min()
    difference = np.abs(depth - (approximate - approximate.min()))
    return StockCheck(
        entry["name"],
        float(entry["bounds"][0][0]),
        float(entry["bounds"][0][1]),
        float(difference[depth < _DEPTH].max()),
        float(difference[depth < 9.0].max()),
        checks.noisy_slopes(spec),
    )


def regenerate(root: Path) -> Iterator[Path]:
    """Write ``templates/`` and ``workspaces/`` below ``root``, yielding every file written."""
    rows = []
    for name in catalogue.list_experiments():
        earlier: dict[str, str] = {}
        for analysis in catalogue.load(name).experiment.analyses:
            path = root / "templates" / name / f"{analysis}.json"
            one, made = templates_of(name, analysis)
            content = to_json(name, analysis, made, one.digests)
            content["sets"] = [_once(entry, analysis, earlier) for entry in content["sets"]]
            resources.write_json(path, content)
            yield path
        one = prepare(catalogue.load(name))
        folder = root / "workspaces" / name
        for parameter in one.loaded.experiment.workspaces:
            problem = pose([one], parameter, Options())
            # a rate without interference is a plain normfactor: the stock file is exact
            for label in ("native", "stock") if problem.parameter.interferes else ("stock",):
                path = folder / f"{parameter}.{label}.json"
                resources.write_json(path, _rounded(encode.encode(problem.description, label)))
                yield path
            rows.append((name, problem, stock_check(problem)))
        if one.loaded.experiment.patches:
            yield from _write_patches(folder, pose([one], one.loaded.experiment.patches, Options()))
    texts = {name: resources.read_text(_TEXTS / name) for name in _SCRIPTS}
    texts |= {
        "README.md": _readme(rows),
        "fix_strength.json": f"{resources.dump_json(FIX_STRENGTH)}\n",
    }
    for name, text in texts.items():
        path = root / "workspaces" / name
        resources.write_text(path, text, executable=name.endswith(".sh"))
        yield path


def templates_of(name: str, analysis: str) -> tuple[Prepared, list[TemplateSet]]:
    """Return an experiment and the templates that the questions of its analysis need."""
    loaded = catalogue.load(name, analysis)
    asked = loaded.analysis
    always = (*asked.floating, *asked.reference)
    questions = []
    for parameter in asked.parameters:
        groups = asked.profiled.get(parameter, {}).values()
        names = (parameter, *always, *(other for group in groups for other in group))
        questions.append([parameters.get(one) for one in names])
    fed = {feed.variable for together in questions for one in together for feed in one.feeds}
    if not any(variable.startswith("x_") for variable in fed):
        loaded = loaded.changed({"physics": {"neutron_radius": False}})
    one = prepare(loaded)
    return one, [asked_for(templates, questions) for templates in one.templates]


def _once(entry: dict[str, Any], analysis: str, earlier: dict[str, str]) -> dict[str, Any]:
    """Return a template set, or the name of the analysis of the experiment that has the same."""
    first = earlier.setdefault(resources.dump_json(entry), analysis)
    if first == analysis:
        return entry
    return {"region": entry["region"], "process": entry["process"], "as_in": first}


def _rounded(content: Any) -> Any:
    """Return plain data with the significant digits of templates, far more than are exact."""
    if isinstance(content, float):
        return float(f"{content:.{DIGITS}g}")
    if isinstance(content, list):
        return [_rounded(item) for item in content]
    if isinstance(content, dict):
        return {key: _rounded(value) for key, value in content.items()}
    return content


def _write_patches(folder: Path, problem: Problem) -> Iterator[Path]:
    """Write a small patch set over one parameter."""
    grid = patch_grid(problem.description, [axis(problem, _PATCHES)], notes=problem.notes)
    background, patchset = _rounded(grid.background), _rounded(grid.patchset)
    patchset["metadata"]["digests"] = digests(background)
    for name, content in (("BkgOnly", background), ("patchset", patchset)):
        path = folder / f"{problem.parameter.name}.patches" / f"{name}.json"
        resources.write_json(path, content)
        yield path


def _readme(rows: list[tuple[str, Problem, StockCheck]]) -> str:
    table = [
        f"| {name} | {p.parameter.name} | `{c.poi}` | {c.low:g} to {c.high:g} "
        f"| {_ceil(c.at_interval)} | {_ceil(c.largest)} "
        f"| {'minuit, or `eps`' if c.noisy else 'any'} |"
        for name, p, c in rows
    ]
    return resources.read_text(_TEXTS / "workspaces.md").replace("@TABLE@", "\n".join(table))


def _ceil(value: float) -> str:
    """Round up to one digit; below 1e-5 the encodings are the same up to the fits."""
    if value < 1e-5:
        return "below 1e-5"
    decade = 10.0 ** np.floor(np.log10(value))
    return f"{np.ceil(value / decade * 0.999) * decade:.0e}"
