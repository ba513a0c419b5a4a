"""Check that this installation is whole and still computes what it should."""

import base64
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from importlib.metadata import PackageNotFoundError, files
from pathlib import Path
from platform import python_version
from typing import Final

import numpy as np

from nuhf import questions, resources
from nuhf.bibliography import package_version
from nuhf.couplings.electromagnetic import RADIUS_SHIFT
from nuhf.errors import NuhfError
from nuhf.experiments.catalogue import list_experiments, load
from nuhf.experiments.prepare import prepare
from nuhf.experiments.region import Prepared
from nuhf.papers.published import list_papers
from nuhf.rates.templates import TemplateSet, read_templates
from nuhf.report import shipped
from nuhf.stats.problem import Options, pose
from nuhf.stats.result_base import unit_text
from nuhf.stats.spectra import region_spectra

_PACKAGES: Final = (
    "nuhf", "pyhf", "numpy", "scipy", "iminuit", "cabinetry", "matplotlib", "click", "pydantic",
)  # fmt: skip
_EXPERIMENT: Final = "coherent-csi-2021"
_ANALYSIS: Final = "cevns-only"
_RTOL: Final = 1e-9
"""Templates elsewhere than where they were written (DESIGN section 2)."""


@dataclass(frozen=True)
class CheckLine:
    """What was looked at, and what was found and expected.

    The check is ``version``, ``data``, ``templates`` or ``golden number``.
    """

    check: str
    subject: str
    ok: bool
    message: str


@dataclass(frozen=True)
class Golden:
    """A number of known origin with the relative difference allowed, and how to compute ours."""

    name: str
    unit: str
    origin: str
    expected: float
    tolerance: float
    compute: Callable[[], float]


def _radius_shift() -> float:
    return RADIUS_SHIFT * 1e-32


@cache
def _csi() -> Prepared:
    return prepare(load(_EXPERIMENT, _ANALYSIS))


def _csi_events() -> float:
    problem = pose([_csi()], "norm_cevns", Options())
    return float(sum(region.expected["cevns"].sum() for region in region_spectra(problem)))


def _moment_limit() -> float:
    problem = pose([_csi()], "munu_mu", Options())
    return questions.limit(problem, 0.9, "delta-chi2").intervals[-1][1]


GOLDEN: Final = (
    Golden(
        "shift of g_p per charge radius of 1e-32 cm2", "1",
        "sqrt(2) pi alpha/(3 G_F) of arXiv:1908.06045 eq 27, with CODATA constants by hand",
        0.023796, 2e-5, _radius_shift,
    ),
    Golden(
        "CEvNS events in COHERENT CsI 2021 at the SM", "events",
        "second implementation with other quadratures, tests/independent_csi2021.py",
        324.397, 1e-3, _csi_events,
    ),
    Golden(
        "upper limit of munu_mu, 90 % CL, COHERENT CsI 2021, nuclei alone", "mu_B",
        "second implementation with its own likelihood and minimiser, same file",
        1.7025e-9, 1e-3, _moment_limit,
    ),
)  # fmt: skip
"""Numbers that this package did not compute; tests compare the last two with their origin."""


def versions() -> dict[str, str]:
    """Return the versions of Python and of the packages that matter; empty if missing."""
    return {"python": python_version(), **{name: package_version(name) for name in _PACKAGES}}


def check() -> Iterator[CheckLine]:
    """Yield one finding after the other: versions, data, templates, golden numbers.

    Data: the files of an installed wheel have the SHA-256 that pip keeps of them, and the inputs
    of every analysis those in its shipped templates. Templates: one experiment is computed again.
    """
    for name, found in versions().items():
        yield CheckLine("version", name, bool(found), found or "is not installed")
    yield from _folders()
    for name in list_experiments():
        try:
            yield from _data(name)
        except NuhfError as error:
            yield CheckLine("data", name, False, str(error))
    yield _rebuilt(_EXPERIMENT)
    _csi.cache_clear()  # files may have changed since an earlier check
    for golden in GOLDEN:
        yield _golden(golden)


def _folders() -> Iterator[CheckLine]:
    for folder in ("data", "templates", "workspaces"):
        try:
            path = resources.shipped(folder)
        except NuhfError as error:
            yield CheckLine("data", folder, False, str(error))
        else:
            yield CheckLine("data", folder, True, str(path))
    yield _record()
    papers = len(list_papers())
    yield CheckLine("data", "published numbers", papers > 0, f"{papers} papers")


def _record() -> CheckLine:
    """Compare the files of an installed wheel with the SHA-256 that its RECORD has of them."""
    package = Path(__file__).resolve().parent.parent
    try:
        listed = files("nuhf") or ()
    except PackageNotFoundError:
        listed = ()
    # an editable install has a record too, of files that are not the ones in use
    recorded = {Path(str(f.locate())).resolve(): f.hash for f in listed if f.hash is not None}
    recorded = {path: kept for path, kept in recorded.items() if path.is_relative_to(package)}
    changed = [
        str(path.relative_to(package))
        for path, kept in recorded.items()
        if not resources.is_file(path) or _digest_as_kept(path) != kept.value
    ]
    text = f"{len(recorded)} files as in the wheel" if recorded else "no wheel: ask git status"
    if changed:
        text = f"changed since nuhf was installed: {', '.join(changed)}"
    return CheckLine("data", "installed files", not changed, text)


def _digest_as_kept(path: Path) -> str:
    found = base64.urlsafe_b64encode(bytes.fromhex(resources.digest(path)))
    return found.decode().rstrip("=")


def _template_file(name: str, analysis: str) -> Path:
    return resources.shipped("templates") / name / f"{analysis}.json"


def _data(name: str) -> Iterator[CheckLine]:
    """Compare the inputs of every analysis with the digests in its shipped templates."""
    for analysis in load(name).experiment.analyses:
        subject = f"{name} ({analysis})"
        path = _template_file(name, analysis)
        if not path.is_file():
            yield CheckLine("data", subject, False, f"{path} is missing: run nuhf regenerate")
            continue
        loaded = load(name, analysis)
        digests = resources.read_json(path).get("digests", {})
        changed = []
        for table, recorded in digests.items():
            file = loaded.path if table == loaded.path.name else loaded.inputs.path(table)
            if resources.digest(file) != recorded:
                changed.append(table)
        text = f"{len(digests)} files as when the templates were made"
        if changed:
            text = f"changed since the templates were made: {', '.join(changed)}"
        yield CheckLine("data", subject, bool(digests) and not changed, text)


def _rebuilt(name: str) -> CheckLine:
    """Compute the templates of an experiment and compare them with the shipped ones."""
    try:
        kept = read_templates(_template_file(name, "default"))
        fresh = shipped.templates_of(name, "default")[1]
        if [(t.region, t.process) for t in kept] != [(t.region, t.process) for t in fresh]:
            return CheckLine("templates", name, False, "other regions or processes than shipped")
        worst = max(_distance(a, b) for a, b in zip(kept, fresh, strict=True))
    except NuhfError as error:
        return CheckLine("templates", name, False, str(error))
    except (KeyError, ValueError) as error:
        return CheckLine("templates", name, False, f"other sources or bins than shipped: {error}")
    text = f"computed again: largest difference {worst:.1g} of the largest bin, allowed {_RTOL:g}"
    return CheckLine("templates", name, worst <= _RTOL, text)


def _distance(one: TemplateSet, two: TemplateSet) -> float:
    """Largest difference of nominal and varied templates, relative to the largest bin."""
    pairs = [(one.nominal, two.nominal)]
    pairs += [(one.varied[key], two.varied[key]) for key in two.varied]
    worst = 0.0
    for first, second in pairs:
        for source, monomials in second.items():
            for monomial, row in monomials.items():
                scale = max(float(np.abs(row).max()), 1e-300)
                difference = np.abs(first[source][monomial] - row).max()
                worst = max(worst, float(difference) / scale)
    return worst


def _golden(golden: Golden) -> CheckLine:
    unit = unit_text(golden.unit)
    try:
        ours = golden.compute()
    except NuhfError as error:
        return CheckLine("golden number", golden.name, False, str(error))
    distance = abs(ours / golden.expected - 1.0)
    text = (
        f"{ours:.6g}{unit}, expected {golden.expected:g} within {100 * golden.tolerance:g} % "
        f"({golden.origin})"
    )
    return CheckLine("golden number", golden.name, distance <= golden.tolerance, text)
