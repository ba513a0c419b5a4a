"""Template sets, and their text form under ``templates/``."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise, product
from pathlib import Path
from typing import Any, Final

import numpy as np

from nuhf import resources
from nuhf.arrays import FloatArray
from nuhf.couplings import parameters
from nuhf.couplings.model import MASS_STATES, PAIRS
from nuhf.errors import InputError
from nuhf.physics.polynomial import Polynomial, powers

Templates = Mapping[str, Mapping[str, FloatArray]]

_FORMAT: Final = 4
_MAX_BINS: Final = 100_000
DIGITS: Final = 10
"""Significant digits of generated files."""
_DIGITS_POWERS: Final = 8
"""Powers of a radius are corrections: 1e-8 of each is far below the 1e-7 of the expansion."""

_UNITS: Final = ("us", "keV", "keV_ee", "keV_nr")

_SHORT: Final = {"energy": "e", "time": "t", "photoelectrons": "pe"}
"""Quantities as the columns of tables call them."""


@dataclass(frozen=True)
class Axis:
    """One binned axis: name with unit, such as ``time_us``, and edges (n + 1,)."""

    name: str
    edges: tuple[float, ...]

    @property
    def bins(self) -> int:
        """Number of bins."""
        return len(self.edges) - 1

    @property
    def unit(self) -> str:
        """Unit at the end of the name; empty for a number."""
        return next((unit for unit in _UNITS if self.name.endswith(f"_{unit}".lower())), "")

    @property
    def quantity(self) -> str:
        """Name without the unit."""
        return self.name[: -len(self.unit) - 1] if self.unit else self.name

    @property
    def column(self) -> str:
        """Name in tables: ``e_kev``, ``t_us``, ``pe``, or the name itself."""
        return self._in_tables("")

    @property
    def edge_columns(self) -> tuple[str, str]:
        """Columns of bin edges in tables, such as ``e_lo_kev`` and ``e_hi_kev``."""
        return self._in_tables("_lo"), self._in_tables("_hi")

    def _in_tables(self, end: str) -> str:
        short = _SHORT.get(self.quantity, self.quantity)
        return f"{short}{end}{self.name.removeprefix(self.quantity)}"


def bin_columns(axes: Sequence[Axis]) -> dict[str, list[float]]:
    """Return the edges of every bin as columns of a table, the last axis fastest."""
    cells = list(product(*(list(pairwise(axis.edges)) for axis in axes)))
    columns = {}
    for i, axis in enumerate(axes):
        columns[f"{axis.name}_lo"] = [cell[i][0] for cell in cells]
        columns[f"{axis.name}_hi"] = [cell[i][1] for cell in cells]
    return columns


@dataclass(frozen=True)
class TemplateSet:
    """Templates of one signal process in one region, nominal and varied.

    Attributes
    ----------
    region : str
        Region they belong to.
    process : str
        Unique in the region: ``cevns``, or ``eves_pp`` for one of several sources of EvES.
    interaction : str
        ``cevns`` or ``eves``: what ``norm_cevns`` and ``norm_eves`` scale; ``measurement`` for a
        number that is no count of neutrinos.
    axes : tuple of Axis
        The last axis runs fastest.
    flavours : mapping
        Neutrino flavour of each source.
    nominal : mapping
        ``nominal[source][monomial]``, events (n_bins,). Monomials are products of variables in
        base units, such as ``1``, ``q``, ``q^2*r``; in ``q*x_Cs133^2`` the further variable is
        x = (R_n - 5 fm)/fm of a nuclide.
    varied : mapping
        ``varied[nuisance, "up" or "down"][source][monomial]``.
    errors : mapping
        Quadrature error estimates of the nominal templates.
    reference : mapping
        Values of the further variables where no parameter moves them.
    """

    region: str
    process: str
    interaction: str
    axes: tuple[Axis, ...]
    flavours: Mapping[str, str]
    nominal: Templates
    varied: Mapping[tuple[str, str], Templates]
    errors: Templates
    reference: Mapping[str, float] = field(default_factory=dict)

    @property
    def monomials(self) -> tuple[str, ...]:
        """Names of the templates of every source."""
        return tuple(next(iter(self.nominal.values())))

    @property
    def variables(self) -> tuple[str, ...]:
        """What `polynomial` depends on."""
        return tuple(dict.fromkeys(v for name in self.monomials for v in powers(name)))

    @property
    def states(self) -> tuple[str, ...]:
        """Flavours and mass states, sorted; a pair of flavours counts with its first one."""
        return tuple(sorted(set(self.flavours.values()) - set(PAIRS)))

    @property
    def mixture(self) -> bool:
        """Whether neutrinos arrive as a mixture of mass states: there are nu_tau of oscillation."""
        return bool(set(self.flavours.values()) & {"tau", *MASS_STATES})

    @property
    def bins(self) -> int:
        """Number of bins of all axes together."""
        return int(np.prod([axis.bins for axis in self.axes]))

    def polynomial(self, source: str, variation: tuple[str, str] | None = None) -> Polynomial:
        """Return the counts of a source as a polynomial in the variables of its flavour."""
        templates = (self.nominal if variation is None else self.varied[variation])[source]
        names = self.variables
        return Polynomial.from_terms(
            names,
            [
                (tuple(powers(monomial).get(v, 0) for v in names), templates[monomial])
                for monomial in self.monomials
            ],
        )

    def relative_error(self) -> float:
        """Largest error estimate relative to the largest bin of the same template; 0 of nothing."""
        return max(
            (
                float(self.errors[s][m].max() / np.abs(t).max())
                for s, monomials in self.nominal.items()
                for m, t in monomials.items()
                if np.any(t)
            ),
            default=0.0,
        )


def _digits(values: FloatArray, digits: int) -> list[float]:
    return [float(f"{x:.{digits}g}") for x in values]


def _shares(templates: TemplateSet) -> dict[str, FloatArray]:
    """Shares of the bins of the last axis by source; none unless all rows of it have the same."""
    last, found = templates.axes[-1].bins, {}
    if last in (1, templates.bins):
        return {}
    for source in templates.nominal:
        every = (templates.nominal, *templates.varied.values())
        rows = np.array([row for one in every for row in one[source].values()]).reshape(-1, last)
        sums = rows.sum(axis=1, keepdims=True)
        largest = int(np.abs(sums).argmax())
        found[source] = rows[largest] / (sums[largest] or 1.0)
        if not np.allclose(rows, sums * found[source], rtol=1e-10, atol=0.0):
            return {}
    return found


def _numbers(
    templates: Templates, series: Iterable[str], shares: Mapping[str, FloatArray]
) -> dict[str, dict[str, list[float]]]:
    """Rows that are not zero; powers of a variable of ``series`` with fewer digits."""

    def row(source: str, name: str, values: FloatArray) -> list[float]:
        if shares:
            values = values.reshape(-1, shares[source].size).sum(axis=1)
        return _digits(values, _DIGITS_POWERS if set(powers(name)) & set(series) else DIGITS)

    return {
        source: {name: row(source, name, values) for name, values in rows.items() if np.any(values)}
        for source, rows in templates.items()
    }


def _set_to_json(templates: TemplateSet) -> dict[str, Any]:
    shares = _shares(templates)
    return {
        "region": templates.region,
        "process": templates.process,
        "interaction": templates.interaction,
        "axes": [{"name": a.name, "edges": list(a.edges)} for a in templates.axes],
        "flavours": dict(templates.flavours),
        "relative_error": float(f"{templates.relative_error():.2g}"),
        "monomials": list(templates.monomials),
        **({"shares": {s: _digits(row, 12) for s, row in shares.items()}} if shares else {}),
        "nominal": _numbers(templates.nominal, templates.reference, shares),
        "varied": {
            f"{name}:{direction}": _numbers(varied, templates.reference, shares)
            for (name, direction), varied in templates.varied.items()
        },
        "errors": {
            source: {name: float(f"{row.max():.2g}") for name, row in rows.items() if np.any(row)}
            for source, rows in templates.errors.items()
        },
        **({"reference": dict(templates.reference)} if templates.reference else {}),
    }


def to_json(
    experiment: str, analysis: str, sets: Sequence[TemplateSet], digests: Mapping[str, str]
) -> dict[str, Any]:
    """Return the content of a template file: plain lists, 10 significant digits, no zero rows.

    Of the errors it has the largest of each row. Where the last axis, such as time, has the same
    ``shares`` in all rows of a source, rows are their sums over it, to be multiplied by them.
    ``digests`` are the SHA-256 of every input file, by its name.
    """
    used = {n: v for n, v in parameters.variables().items() if any(n in t.variables for t in sets)}
    return {
        "format": _FORMAT,
        "experiment": experiment,
        "analysis": analysis,
        "units": {name: variable.unit for name, variable in used.items()} | {"templates": "events"},
        "digests": dict(digests),
        "sets": [_set_to_json(templates) for templates in sets],
    }


def _arrays(
    path: Path,
    where: str,
    templates: Mapping[str, Mapping[str, list[float]]],
    names: Sequence[str],
    bins: int,
    shares: Mapping[str, Sequence[float]],
) -> dict[str, dict[str, FloatArray]]:
    result: dict[str, dict[str, FloatArray]] = {}
    for source, monomials in templates.items():
        result[source] = {}
        share = np.asarray(shares.get(source, [1.0]), dtype=float)
        size = bins // max(share.size, 1)
        unknown = set(monomials) - set(names)
        if unknown:
            raise InputError(f"{path}: {where}.{source}: {min(unknown)} is not in 'monomials'")
        for name in names:
            row = np.asarray(monomials.get(name, np.zeros(size)), dtype=float)
            if row.shape != (size,) or size * share.size != bins:
                raise InputError(f"{path}: {where}.{source}.{name}: needs {size} numbers")
            result[source][name] = np.outer(row, share).ravel()
    return result


def _set_from_json(path: Path, content: Mapping[str, Any]) -> TemplateSet:
    axes = tuple(Axis(a["name"], tuple(map(float, a["edges"]))) for a in content["axes"])
    for axis in axes:
        if axis.bins < 1 or any(b <= a for a, b in pairwise(axis.edges)):
            raise InputError(f"{path}: the edges of {axis.name} do not increase")
    bins = math.prod(axis.bins for axis in axes)
    if bins > _MAX_BINS:
        raise InputError(f"{path}: {bins} bins; at most {_MAX_BINS} are taken")
    if not content["nominal"]:
        raise InputError(f"{path}: {content['region']}, {content['process']}: no source")
    for templates in (content["flavours"], content["errors"], *content["varied"].values()):
        if set(templates) != set(content["nominal"]):
            raise InputError(
                f"{path}: the sources differ: {', '.join(content['nominal'])} in nominal, "
                f"{', '.join(templates) or 'none'} elsewhere"
            )
    names = tuple(content["monomials"])
    varied, shares = {}, content.get("shares", {})
    for label, templates in content["varied"].items():
        name, direction = label.rsplit(":", 1)
        varied[name, direction] = _arrays(path, label, templates, names, bins, shares)
    return TemplateSet(
        region=content["region"],
        process=content["process"],
        interaction=content["interaction"],
        axes=axes,
        flavours=content["flavours"],
        nominal=_arrays(path, "nominal", content["nominal"], names, bins, shares),
        varied=varied,
        errors={
            source: {name: np.full(bins, float(rows.get(name, 0.0))) for name in names}
            for source, rows in content["errors"].items()
        },
        reference=content.get("reference", {}),
    )


def _as_in(path: Path, entry: Mapping[str, Any]) -> TemplateSet:
    """Return the set of another analysis, in a file beside this one."""
    sets = resources.read_json(path.with_name(f"{entry['as_in']}.json"))["sets"]
    key = entry["region"], entry["process"]
    return _set_from_json(path, next(e for e in sets if (e["region"], e["process"]) == key))


def read_templates(path: Path) -> tuple[TemplateSet, ...]:
    """Read a template file; sets that are ``as_in`` another analysis from the file of that.

    `InputError` if the file is not of this format or a list has the wrong length.
    """
    content = resources.read_json(path)
    if not isinstance(content, dict) or content.get("format") != _FORMAT:
        raise InputError(f"{path}: not a nuhf template file of format {_FORMAT}")
    try:
        return tuple(
            (_as_in if "as_in" in entry else _set_from_json)(path, entry)
            for entry in content["sets"]
        )
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError, StopIteration) as error:
        raise InputError(f"{path}: broken template file: {error!r}") from None
