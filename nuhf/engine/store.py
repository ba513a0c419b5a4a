"""Template sets, and their text form under ``templates/``."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from nuhf import resources
from nuhf.engine.polynomial import Polynomial
from nuhf.errors import InputError

__all__ = ["Axis", "TemplateSet", "read_templates", "to_json", "write_templates"]

FloatArray = NDArray[np.float64]
Templates = Mapping[str, Mapping[str, FloatArray]]

_FORMAT: Final = 1
_VARIABLES: Final = ("q", "r", "qt2", "rt2", "munu2")
_TERMS: Final[Mapping[str, tuple[tuple[int, ...], ...]]] = {
    "1": ((0, 0, 0, 0, 0),),
    "q": ((1, 0, 0, 0, 0),),
    "r": ((0, 1, 0, 0, 0),),
    "q2": ((2, 0, 0, 0, 0), (0, 0, 1, 0, 0)),
    "qr": ((1, 1, 0, 0, 0),),
    "r2": ((0, 2, 0, 0, 0), (0, 0, 0, 1, 0)),
    "munu2": ((0, 0, 0, 0, 1),),
}


@dataclass(frozen=True)
class Axis:
    """One binned axis: name with unit, and edges (n + 1,)."""

    name: str
    edges: tuple[float, ...]

    @property
    def bins(self) -> int:
        """Number of bins."""
        return len(self.edges) - 1


@dataclass(frozen=True)
class TemplateSet:
    """Signal templates of one analysis, nominal and varied.

    Attributes
    ----------
    experiment, analysis : str
        What they belong to.
    axes : tuple of Axis
        The last axis runs fastest.
    process : str
        Such as ``cevns``.
    flavours : mapping
        Neutrino flavour of each source.
    nominal : mapping
        ``nominal[source][monomial]``, events (n_bins,); monomials in base units (e, cm^2,
        mu_B^2).
    varied : mapping
        ``varied[nuisance, "up" or "down"][source][monomial]``.
    errors : mapping
        Quadrature error estimates of the nominal templates.
    digests : mapping
        SHA-256 of every input file, by its name.
    """

    experiment: str
    analysis: str
    axes: tuple[Axis, ...]
    process: str
    flavours: Mapping[str, str]
    nominal: Templates
    varied: Mapping[tuple[str, str], Templates]
    errors: Templates
    digests: Mapping[str, str]

    @property
    def bins(self) -> int:
        """Number of bins of all axes together."""
        return int(np.prod([axis.bins for axis in self.axes]))

    def polynomial(self, source: str, variation: tuple[str, str] | None = None) -> Polynomial:
        """Return the counts of a source in q, r, qt2, rt2, munu2 of its flavour.

        ``qt2`` and ``rt2`` are the incoherent sums of squared transition charges and radii.
        """
        templates = (self.nominal if variation is None else self.varied[variation])[source]
        return Polynomial.from_terms(
            _VARIABLES,
            [(row, templates[name]) for name, rows in _TERMS.items() for row in rows],
        )

    def relative_error(self) -> float:
        """Largest error estimate relative to the largest bin of the same template."""
        return max(
            float(self.errors[s][m].max() / np.abs(t).max())
            for s, monomials in self.nominal.items()
            for m, t in monomials.items()
            if np.any(t)
        )


def _numbers(templates: Templates) -> dict[str, dict[str, list[float]]]:
    return {
        source: {name: [float(f"{x:.13g}") for x in row] for name, row in monomials.items()}
        for source, monomials in templates.items()
    }


def to_json(templates: TemplateSet) -> dict[str, Any]:
    """Return the content of a template file: plain lists, 13 significant digits."""
    return {
        "format": _FORMAT,
        "experiment": templates.experiment,
        "analysis": templates.analysis,
        "process": templates.process,
        "units": {"q": "e", "r": "cm2", "munu2": "mu_B^2", "templates": "events"},
        "axes": [{"name": a.name, "edges": list(a.edges)} for a in templates.axes],
        "flavours": dict(templates.flavours),
        "relative_error": float(f"{templates.relative_error():.2g}"),
        "digests": dict(templates.digests),
        "nominal": _numbers(templates.nominal),
        "varied": {
            f"{name}:{direction}": _numbers(varied)
            for (name, direction), varied in templates.varied.items()
        },
        "errors": {
            s: {m: [float(f"{x:.2g}") for x in row] for m, row in monomials.items()}
            for s, monomials in templates.errors.items()
        },
    }


def write_templates(path: Path, templates: TemplateSet) -> None:
    """Write a template file atomically."""
    resources.write_json(path, to_json(templates))


def _arrays(
    path: Path, where: str, templates: Mapping[str, Mapping[str, list[float]]], bins: int
) -> dict[str, dict[str, FloatArray]]:
    result: dict[str, dict[str, FloatArray]] = {}
    for source, monomials in templates.items():
        result[source] = {}
        for name in _TERMS:
            row = np.asarray(monomials.get(name, []), dtype=float)
            if row.shape != (bins,):
                raise InputError(f"{path}: {where}.{source}.{name}: needs {bins} numbers")
            result[source][name] = row
    return result


def read_templates(path: Path) -> TemplateSet:
    """Read a template file.

    Raises
    ------
    InputError
        If the file is not of this format or a list has the wrong length.
    """
    content = resources.read_json(path)
    if not isinstance(content, dict) or content.get("format") != _FORMAT:
        raise InputError(f"{path}: not a nuhf template file of format {_FORMAT}")
    try:
        axes = tuple(Axis(a["name"], tuple(a["edges"])) for a in content["axes"])
        bins = int(np.prod([axis.bins for axis in axes]))
        varied = {}
        for label, templates in content["varied"].items():
            name, direction = label.rsplit(":", 1)
            varied[name, direction] = _arrays(path, label, templates, bins)
        return TemplateSet(
            experiment=content["experiment"],
            analysis=content["analysis"],
            axes=axes,
            process=content["process"],
            flavours=content["flavours"],
            nominal=_arrays(path, "nominal", content["nominal"], bins),
            varied=varied,
            errors=_arrays(path, "errors", content["errors"], bins),
            digests=content["digests"],
        )
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise InputError(f"{path}: broken template file: {error!r}") from None
