"""The form of an experiment file, checked by pydantic: no unknown key, no silent default."""

from collections.abc import Mapping
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from nuhf import parameters, resources
from nuhf.errors import InputError

__all__ = [
    "Analysis",
    "Background",
    "Experiment",
    "NormNuisance",
    "Nuisance",
    "ShapeNuisance",
    "parse_experiment",
]

Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Finite = Annotated[float, Field(allow_inf_nan=False)]
Name = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$", max_length=60)]
Slug = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9.-]*$", max_length=60)]
Edges = Annotated[tuple[Finite, ...], Field(min_length=2, max_length=1001)]


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Reference(_Section):
    """A publication to cite."""

    key: str
    text: str
    doi: str = ""
    arxiv: str = ""


class SnsSource(_Section):
    """Pion and muon decay at rest."""

    kind: Literal["sns"]
    source: str
    pot: Positive
    neutrinos_per_flavour_per_pot: Positive
    baseline_m: Positive
    time_table: str
    energy_table: str


class TargetSection(_Section):
    """Mass and chemical formula, by nuclide."""

    source: str
    mass_kg: Positive
    formula: dict[str, Positive] = Field(min_length=1)


class QuenchingVariation(_Section):
    """Coefficients at plus and minus one standard deviation."""

    up: tuple[Finite, ...]
    down: tuple[Finite, ...]


class Quenching(_Section):
    """Polynomial light yield with its variations."""

    source: str
    coefficients: tuple[Finite, ...] = Field(min_length=1)
    recoil_range_kev: tuple[Finite, Positive]
    variations: dict[Name, QuenchingVariation] = {}


class Resolution(_Section):
    """Gamma smearing."""

    source: str
    a0_kev_ee: Positive
    b0_per_kev_ee: Positive


class Logistic(_Section):
    """Parameters of the logistic efficiency."""

    a: Finite
    b: Finite
    c: Finite
    d: Finite


class EfficiencyVariation(_Section):
    """Efficiency at plus and minus one standard deviation."""

    up: Logistic
    down: Logistic


class Efficiency(_Section):
    """Logistic efficiency with its variations."""

    source: str
    nominal: Logistic
    variations: dict[Name, EfficiencyVariation] = {}


class TimeEfficiency(_Section):
    """Exponential loss in time."""

    source: str
    start_us: Finite
    rate_per_us: Annotated[float, Field(ge=0, allow_inf_nan=False)]


class Detector(_Section):
    """Everything between a recoil and a count."""

    recoil_min_kev: Positive
    quenching: Quenching
    resolution: Resolution
    efficiency: Efficiency
    time_efficiency: TimeEfficiency


class Data(_Section):
    """Count table and the region that background yields refer to."""

    counts_table: str
    pe_range: tuple[Finite, Finite]
    t_range_us: tuple[Finite, Finite]

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        for key in ("pe_range", "t_range_us"):
            low, high = getattr(self, key)
            if not low < high:
                raise ValueError(f"{key}: {low:g} is not below {high:g}")
        return self


class Background(_Section):
    """One background component: shapes from tables, or from the control counts."""

    name: Name
    title: str
    kind: Literal["tables", "control"]
    source: str
    events: Positive
    pe_table: str = ""
    time_table: str = ""
    column: str = ""
    rate_per_us: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 0.0

    @model_validator(mode="after")
    def _complete(self) -> Self:
        if self.kind == "tables" and not (self.pe_table and self.time_table and self.column):
            raise ValueError("kind 'tables' needs pe_table, time_table and column")
        return self


class NormNuisance(_Section):
    """A relative uncertainty of the normalisation of some processes."""

    name: Name
    kind: Literal["norm"]
    pull: Literal["exponential", "linear"] = "exponential"
    size: Annotated[float, Field(gt=0, lt=1)]
    processes: tuple[Name, ...] = Field(min_length=1)
    source: str = ""


class ShapeNuisance(_Section):
    """A variation of the detector response; acts on every signal process."""

    name: Name
    kind: Literal["quenching", "efficiency"]
    variation: Name
    source: str = ""


Nuisance = Annotated[NormNuisance | ShapeNuisance, Field(discriminator="kind")]


class Analysis(_Section):
    """One way to analyse the data.

    ``gaussian`` is a chi2 of coincidence minus control counts; ``residual_error`` names the
    counts whose square root is the error. Its backgrounds must not include the one subtracted.
    """

    title: str
    statistic: Literal["poisson", "gaussian"]
    residual_error: Literal["", "coincidence", "coincidence+control"] = ""
    backgrounds: tuple[Name, ...]
    pe_edges: Edges
    t_edges_us: Edges
    spectrum: Literal["analytic", "tabulated"]
    form_factor: str
    couplings: str
    parameters: tuple[str, ...] = Field(min_length=1)
    nuisances: tuple[Nuisance, ...]
    notes: tuple[str, ...] = ()

    def bin_columns(self) -> dict[str, list[float]]:
        """Return the edges of every bin as columns of a table, the time index fastest."""
        cells = [(pe, t) for pe in pairwise(self.pe_edges) for t in pairwise(self.t_edges_us)]
        return {
            "pe_lo": [pe[0] for pe, _ in cells],
            "pe_hi": [pe[1] for pe, _ in cells],
            "t_lo_us": [t[0] for _, t in cells],
            "t_hi_us": [t[1] for _, t in cells],
        }

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        for key in ("pe_edges", "t_edges_us"):
            edges = getattr(self, key)
            if any(b <= a for a, b in pairwise(edges)):
                raise ValueError(f"{key} must increase")
        if (self.statistic == "gaussian") != bool(self.residual_error):
            raise ValueError("residual_error goes with statistic 'gaussian', and only with it")
        names = [nuisance.name for nuisance in self.nuisances]
        if len(set(names)) != len(names):
            twice = next(name for name in names if names.count(name) > 1)
            raise ValueError(f"nuisance '{twice}' is given twice")
        for name in self.parameters:
            if name not in parameters.PARAMETERS:
                hint = parameters.suggest(name, parameters.PARAMETERS)
                raise ValueError(f"unknown parameter '{name}'; {hint}")
        return self


class Experiment(_Section):
    """A whole experiment file."""

    format: Literal[1]
    name: Slug
    title: str
    notes: tuple[str, ...] = ()
    references: tuple[Reference, ...] = Field(min_length=1)
    source: SnsSource
    target: TargetSection
    detector: Detector
    data: Data
    backgrounds: tuple[Background, ...]
    analyses: dict[Slug, Analysis] = Field(min_length=1)

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        processes = {"cevns", *(background.name for background in self.backgrounds)}
        known: dict[str, Mapping[str, Any]] = {
            "quenching": self.detector.quenching.variations,
            "efficiency": self.detector.efficiency.variations,
        }
        for label, analysis in self.analyses.items():
            where = f"analyses.{label}.backgrounds"
            _among(where, analysis.backgrounds, processes - {"cevns"})
            for nuisance in analysis.nuisances:
                where = f"analyses.{label}, nuisance {nuisance.name}"
                if isinstance(nuisance, NormNuisance):
                    _among(where, nuisance.processes, processes)
                else:
                    _among(where, (nuisance.variation,), known[nuisance.kind])
        return self


def _among(where: str, names: tuple[str, ...], allowed: Mapping[str, Any] | set[str]) -> None:
    for name in names:
        if name not in allowed:
            raise ValueError(f"{where}: '{name}' is not among {', '.join(sorted(allowed))}")


def parse_experiment(path: Path) -> Experiment:
    """Read and check an experiment file.

    Raises
    ------
    InputError
        With file, key, what was given and what is allowed, on one line.
    """
    content = resources.read_toml(path)
    try:
        return Experiment.model_validate(content)
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(str(part) for part in first["loc"]) or "file"
        more = f" (and {error.error_count() - 1} more)" if error.error_count() > 1 else ""
        given = first.get("input")
        shown = f", given: {given!r}" if isinstance(given, str | int | float) else ""
        raise InputError(f"{path}: {key}: {first['msg']}{shown}{more}") from None
