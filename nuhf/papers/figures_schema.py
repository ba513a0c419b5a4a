"""Tables ``[figures.NAME]`` of the files of papers, checked by pydantic: no unknown key."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, ClassVar, Final, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator

from nuhf.couplings import parameters
from nuhf.errors import InputError
from nuhf.experiments.parts import Finite


def _several(value: Any) -> Any:
    return (value,) if isinstance(value, str | int | float) else value


def _pairs(value: Any) -> Any:
    flat = isinstance(value, list | tuple) and all(isinstance(item, str) for item in value)
    return (value,) if flat else value


Names = Annotated[tuple[str, ...], BeforeValidator(_several), Field(min_length=1)]
Pairs = Annotated[tuple[tuple[str, str], ...], BeforeValidator(_pairs), Field(min_length=1)]
Level = Annotated[float, Field(gt=0, lt=1)]
Levels = Annotated[tuple[Level, ...], BeforeValidator(_several), Field(min_length=1, max_length=4)]
Range = tuple[Finite, Finite]
Height = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Text = Annotated[str, Field(min_length=1)]
LineStyle = Literal["solid", "dashed", "dotted", "dashdot"]


class _Section(BaseModel):
    """A table whose unknown keys are refused with the known ones."""

    model_config: ClassVar[ConfigDict] = ConfigDict(extra="forbid", frozen=True)

    @model_validator(mode="before")
    @classmethod
    def _known(cls, content: Any) -> Any:
        unknown = [key for key in content if key not in cls.model_fields]
        if unknown:
            hint = parameters.suggest(unknown[0], cls.model_fields)
            raise ValueError(f"no key '{unknown[0]}' here; {hint}")
        return content


class Choice(_Section):
    """What poses a problem; on a curve, what is not given is taken from its figure."""

    experiment: Names | None = None
    analysis: str | None = None
    profile: tuple[str, ...] | None = None
    convention: Literal["standard", "khan"] | None = None
    values: dict[str, Finite] | None = None


class ProfileCurve(Choice):
    """A profile likelihood, one per parameter, each in the panel of its parameter."""

    label: Text
    parameter: Names | None = None
    panel: Text | None = None
    range: Range | None = None
    interval: bool = True
    style: LineStyle = "solid"


class ProfilePanel(_Section):
    """What is special about a panel: its title, axis in base units, and scale."""

    title: str = ""
    range: Range | None = None
    log: bool | None = None
    ymax: Height | None = None


class Band(_Section):
    """The area between two curves, named by their labels."""

    label: Text
    between: tuple[str, str]


class Profiles(Choice):
    """Profile likelihoods of one parameter each, with published intervals."""

    kind: Literal["profiles"]
    title: Text
    parameter: Names | None = None
    cl: Levels = (0.9,)
    points: Annotated[int, Field(ge=11, le=10_001)] = 241
    published: bool = True
    log: bool = False
    ymax: Height | None = None
    curves: tuple[ProfileCurve, ...] = ()
    bands: tuple[Band, ...] = ()
    panels: dict[str, ProfilePanel] = {}


class RegionCurve(Choice):
    """Regions of two parameters, one set per pair, each in the panel of its pair."""

    label: Text
    parameter: Pairs | None = None
    panel: Text | None = None
    filled: bool = False


class Regions(Choice):
    """Regions of two parameters, with two degrees of freedom; ``profiles`` draws theirs beside."""

    kind: Literal["regions"]
    title: Text
    parameter: Pairs | None = None
    cl: Levels = (0.68, 0.9, 0.99)
    points: Annotated[int, Field(ge=10, le=400)] = 50
    profiles: bool = False
    published: bool = True
    curves: tuple[RegionCurve, ...] = ()


class Line(_Section):
    """A total expectation over the data: couplings set to values, or fitted with one free."""

    label: Text
    analysis: str | None = None
    values: dict[str, Finite] | None = None
    fit: str | None = None
    style: LineStyle = "solid"


class Histograms(_Section):
    """Data of experiments with their components, and lines over them."""

    kind: Literal["spectrum"]
    title: Text
    experiment: Names
    analysis: str | None = None
    axis: str | None = None
    components: bool = True
    lines: tuple[Line, ...] = ()


class FunctionFigure(_Section):
    """A figure made by a function of `nuhf.papers.figures.FUNCTIONS`."""

    kind: Literal["function"]
    title: Text
    function: str


FigureSpec = Profiles | Regions | Histograms | FunctionFigure

_KINDS: Final[Mapping[str, type[FigureSpec]]] = {
    "profiles": Profiles,
    "regions": Regions,
    "spectrum": Histograms,
    "function": FunctionFigure,
}


def parse_figure(path: Path, name: str, content: Any) -> FigureSpec:
    """Check the table of a figure; a fault is an `InputError` of one line with file and key."""
    where = f"{path}: figures.{name}"
    if not isinstance(content, dict):
        raise InputError(f"{where} is a table with kind, title and content, given: {content!r}")
    kind = content.get("kind")
    if not isinstance(kind, str) or kind not in _KINDS:
        raise InputError(f"{where}.kind = {kind!r}; allowed: {', '.join(_KINDS)}")
    try:
        return _KINDS[kind].model_validate(content)
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join([where, *(str(part) for part in first["loc"])])
        given = first.get("input")
        shown = f", given: {given!r}" if isinstance(given, str | int | float) else ""
        raise InputError(f"{key}: {first['msg'].removeprefix('Value error, ')}{shown}") from None
