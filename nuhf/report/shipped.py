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
from nuhf.report import shell
from nuhf.stats.problem import Options, Problem, pose
from nuhf.workspaces import checks, encode
from nuhf.workspaces.native import load_model
from nuhf.workspaces.patchset import FIX_STRENGTH, digests, patch_grid

__all__ = ["StockCheck", "regenerate", "stock_check", "templates_of"]

_DEPTH: Final = 25.0
_PATCHES: Final = 13


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
    minuit : bool
        Whether pyhf needs minuit for the file.
    """

    poi: str
    low: float
    high: float
    largest: float
    at_interval: float
    minuit: bool


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
        checks.needs_minuit(spec),
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
    texts = {"README.md": _readme(rows), "crossings.awk": shell.CROSSINGS}
    texts["fix_strength.json"] = resources.dump_json(FIX_STRENGTH) + "\n"
    texts |= {"cls_limit.sh": shell.CLS, "profile_limit.sh": shell.PROFILE}
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
        f"| {_ceil(c.at_interval)} | {_ceil(c.largest)} | {'minuit' if c.minuit else 'any'} |"
        for name, p, c in rows
    ]
    return _README.replace("@TABLE@", "\n".join(table))


def _ceil(value: float) -> str:
    """Round up to one digit; below 1e-5 the encodings are the same up to the fits."""
    if value < 1e-5:
        return "below 1e-5"
    decade = 10.0 ** np.floor(np.log10(value))
    return f"{np.ceil(value / decade * 0.999) * decade:.0e}"


_README: Final = """\
# Workspaces

Generated by `nuhf regenerate`; do not edit. The commands below are typed in this folder, with the
environment active (`. .venv/bin/activate` in the checkout), so that `pyhf` and `nuhf` are found.
For each parameter:

* `PARAMETER.stock.json`: plain pyhf, nothing else needed. For a magnetic moment it is exact.
* `PARAMETER.native.json`, where the coupling interferes with the SM: exact; the squares of
  couplings are `powerfactor` modifiers, which nuhf adds to pyhf: `nuhf pyhf fit FILE`,
  `nuhf combine`, or `nuhf.workspaces.native.load_model` in Python.

`nuhf limit FILE` and the other questions take both, and workspaces of other people.

Kept here are some parameters of every experiment (the key `workspaces` of its file in
`data/experiments/`); `nuhf workspace EXP -p PARAMETER` writes any other, and
`--encoding native` or `stock-positive` in another encoding.

The name of the parameter of interest carries its unit: `munu2_mu_em18` is the square of the
magnetic moment in units of 1e-18 mu_B^2. In the stock files `qnu_ee_em4` is the charge in units
of 1e-4 e, `r2nu_ee_em28` the charge radius in 1e-28 cm2, `sin2thetaW_shift_ep2` sin2thetaW minus
0.23857 in units of 100; native files count in 1e-8 e, 1e-32 cm2 and 0.01.

## How the stock files hold an interfering coupling

The rate is T0 + theta T1 + theta^2 T2. With alpha = theta/Q it is the sum of three samples: the
SM (`cevns_e`), `_linear` and `_square`. The small two have steep normsys factors of alpha, hi = h
and lo = 1/h, and hi = lo = H, with h and H powers of two such that neither has more than 1 % of a
bin of the SM. Their sum at alpha = 0 is the SM, and no total is negative there. All nuisances,
shapes included, are on each. What is lost is of relative order alpha^2; the Gaussian constraint of
alpha adds alpha^2 to 2NLL. Q is at least 50 times the range of the parameter. A pre-fit
uncertainty of alpha is none: where a plot takes one sigma of each parameter, as in cabinetry,
hold alpha at 0 first (below).

The domain of a file is the range of its parameter, as in its `bounds`; `nuhf workspace --range`
narrows it. Differences of 2NLL from the native file, profiled, minimum subtracted; and the
optimizer that pyhf needs (below).

| experiment | parameter | POI of the stock file | domain | 2NLL < 9 | 2NLL < 25 | optimizer |
|---|---|---|---|---|---|---|
@TABLE@

Files of DARWIN, native ones as well, need `--optimizer minuit`. pyhf's default, SLSQP of scipy
with numpy, takes slopes from steps of 1.5e-8 in each parameter. A bin of n counts enters 2NLL as
a difference of terms n log(n), which are rounded at 1e-16 of them; with up to 3.8e5 counts in a
bin (30 t y) slopes have errors of 0.3, with 3.8e6 (300 t y) of 4. Pulls that the data do not bind
have a curvature of 2: their slopes are of that size. So the search follows rounding, its step is
cut to a tenth up to ten times, 2NLL then changes by less than 1e-6, and that is called success:
at `munu2_eff_em24` = 3 after 3 iterations with all pulls still at 0, where flux_solar_be7 -0.28
and bkg_darwin_pb214 -0.46 are best, 0.74 too high (0.83 in r2nu_ee, 0.02 with 30 t y). Nothing in
a file changes that: other units of the parameter, other bounds of the pulls, and bins that are
split leave 0.01 to 0.04 (30 t y) and 0.13 to 0.52 (300 t y). minuit steps by parts of the errors,
and jax has exact slopes.

With jax pyhf puts minuit to its coarsest strategy, which fails for dresden-2, whose backgrounds
replace each other (correlations up to 0.98): `--optconf strategy=1`. Free fits of couplings that
interfere begin at 0; their errors are 1e-3 of the unit or less, beside nuisances of 1, and from
other starts SLSQP may stop early in the `sin2thetaW` of Gaussian data.

Interfering couplings may have a second minimum: a limit from `pyhf cls` or `pyhf.infer` then
misses a piece, and `pyhf cls` gives NaN between the best fit and 0, where the Asimov data do not
decide; parameters that may be negative want its `--test-stat q`. `nuhf limit` finds all pieces;
with pyhf alone, scan.

A plot of the model before the fit, by cabinetry, with the coupling at 0 and without an error of
its own:

    import cabinetry, json
    spec = json.load(open("coherent-csi-2021/qnu_mumu.stock.json"))
    spec["measurements"][0]["config"]["parameters"][0]["fixed"] = True
    model, data = cabinetry.model_utils.model_and_data(spec)
    cabinetry.visualize.data_mc(cabinetry.model_utils.prediction(model), data)

## A limit with nothing but pyhf

`munu^2` is an ordinary normfactor with a bound at 0, so CLs applies. The 90 % CL limit is where
CLs = 0.1:

    ./cls_limit.sh coherent-csi-2021/munu_mu.stock.json 0.1 20 0.1

prints it in the unit of the parameter; its square root times 1e-9 mu_B is the limit of the moment.
`nuhf limit coherent-csi-2021 -p munu_mu --method cls` gives the same.

In Python, too, it takes four lines; `upper_limit` of pyhf 0.7.6 ignores its `level` where no `scan`
is given, and the function below does not:

    import json, pyhf
    workspace = pyhf.Workspace(json.load(open("coherent-csi-2021/munu_mu.stock.json")))
    model = workspace.model()
    limit, expected = pyhf.infer.intervals.upper_limits.toms748_scan(
        workspace.data(model), model, 0, 20, level=0.1)

The initial value of a moment is not its bound 0, where minuit's step vanishes and free fits may
stay, but a thousandth of the upper one: 0.025 of its error. What is expected at the initial values
holds that little of a moment; nuhf reads it as 0.

XML (`nuhf pyhf json2xml`) keeps the bounds of a normfactor and loses those of all else: an
interfering coupling, a normsys here, has pyhf's -5 to 5 when it comes back, in place of its domain.

A charge interferes, so its interval is where the profiled 2NLL is within 2.7055 (90 % CL) of its
minimum. `PARAMETER.patches` holds the model on a grid: `BkgOnly.json` is the SM, each patch of
`patchset.json` replaces its sample `signal` by N(theta) - N(SM), and `fix_strength.json` holds
the strength of that sample at 1. Then `pyhf fit --value` is the profile, and

    ./profile_limit.sh coherent-csi-2021/qnu_mumu.patches

prints the ends of the interval in the unit of the parameter, 1e-8 e, from a fit per patch and a
cubic between them. `nuhf limit coherent-csi-2021 -p qnu_mumu` gives the same. Finer grids, other
parameters and two at once: `nuhf patchset`; the archives of `nuhf publish` hold the same files.
"""
