"""Sections of experiment files: frozen pydantic models, and the registry of their kinds.

A family of sections, such as `nuhf.experiments.sources.Source`, has members told apart by a key,
mostly ``kind``. A member is a model and its builder in one class. Packages outside nuhf add
members through the entry point group ``nuhf.parts``: each entry point is a class derived from a
family.
"""

from collections.abc import Iterable, Mapping, Sequence, Set
from functools import cache
from importlib.metadata import entry_points
from itertools import pairwise
from typing import Annotated, Any, ClassVar, Final, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, GetCoreSchemaHandler
from pydantic_core import CoreSchema, core_schema

from nuhf.couplings.parameters import suggest
from nuhf.errors import InputError

ENTRY_POINTS: Final = "nuhf.parts"
"""Group of entry points that add members to families."""

WHOLE: Final = frozenset(
    ("axes", "flux_per_cm2_s", "formula", "fuel", "limits", "profiled", "reference",
     "reference_range", "shells", "species", "survival", "tables", "weights")
)  # fmt: skip
"""Keys whose tables are one value: changes replace them, key by key they would make no sense."""

LONGEST_NAME: Final = 60
"""Characters of a name."""

_SMALLEST, _LARGEST = 1e-150, 1e150
"""Positive numbers beyond these have squares that are 0 or no number."""


def _computable(value: float) -> float:
    if not _SMALLEST <= value <= _LARGEST:
        raise ValueError(f"{value!r} is beyond {_SMALLEST:g} to {_LARGEST:g}: not to compute with")
    return value


Positive = Annotated[float, Field(gt=0, allow_inf_nan=False), AfterValidator(_computable)]
Finite = Annotated[float, Field(allow_inf_nan=False)]
NonNegative = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Fraction = Annotated[float, Field(ge=0, le=1)]
Name = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$", max_length=LONGEST_NAME)]
Slug = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9.-]*$", max_length=LONGEST_NAME)]
Origin = Annotated[str, Field(description="Where the numbers come from")]


class Section(BaseModel):
    """A table of an experiment file: no unknown key, and nothing that changes."""

    model_config: ClassVar[ConfigDict] = ConfigDict(extra="forbid", frozen=True, defer_build=True)

    either: ClassVar[tuple[str, ...]] = ()
    """Keys of which exactly one is given."""
    equally_long: ClassVar[tuple[str, ...]] = ()
    """Lists of which one entry belongs to one of the other, where they are given."""
    error_key: ClassVar[str] = ""
    """The key without which ``deviations`` mean nothing."""

    def model_post_init(self, context: Any, /) -> None:
        """Refuse keys that do not go together (`ValueError`)."""
        if self.either and sum(bool(getattr(self, key)) for key in self.either) != 1:
            raise ValueError(f"give either {' or '.join(self.either)}")
        sizes = {key: len(getattr(self, key)) for key in self.equally_long}
        if len({n for n in sizes.values() if n}) > 1:
            words = " and ".join(f"{n} {key}" for key, n in sizes.items())
            raise ValueError(f"{words}: as many of each are needed")
        error = self.error_key
        if error and getattr(self, "deviations", None) and not getattr(self, error):
            raise ValueError(f"deviations need {error}")


class Part(Section):
    """A member of a family of sections; a family is a direct subclass of this class."""

    discriminator: ClassVar[str] = "kind"
    """The key that tells the members apart."""

    default: ClassVar[str] = ""
    """The member that is meant where the key is left out; none if empty."""

    @classmethod
    def members(cls) -> dict[str, type[Self]]:
        """Return the members of this family by their kind, those of other packages included."""
        _load_entry_points()
        return {kind: member for member in _subclasses(cls) for kind in member.kinds()}

    @classmethod
    def kinds(cls) -> tuple[str, ...]:
        """Return the values of the discriminating key that mean this class."""
        field = cls.model_fields.get(cls.discriminator)
        return tuple(getattr(field.annotation, "__args__", ())) if field else ()

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        """Return the schema of a member, or of all members together for a family."""
        if Part not in cls.__bases__:
            return handler(source)
        members = cls.members()
        key, default = cls.discriminator, cls.default

        def kind_of(value: Any) -> Any:
            if isinstance(value, Mapping):
                given = value.get(key, default)
            else:
                given = getattr(value, key, None)
            return given if isinstance(given, str) else None

        return core_schema.tagged_union_schema(
            {kind: handler.generate_schema(member) for kind, member in members.items()}, kind_of
        )


def _subclasses(cls: type[Any]) -> list[type[Any]]:
    return [cls, *(inner for sub in cls.__subclasses__() for inner in _subclasses(sub))]


@cache
def _load_entry_points() -> None:
    """Import the classes that other packages add; they register by being subclasses."""
    for entry in entry_points(group=ENTRY_POINTS):
        try:
            part = entry.load()
        except Exception as error:
            raise InputError(
                f"entry point '{entry.name}' of group {ENTRY_POINTS} ({entry.value}) cannot be "
                f"loaded: {error}"
            ) from error
        if not (isinstance(part, type) and issubclass(part, Part) and part.kinds()):
            raise InputError(
                f"entry point '{entry.name}' of group {ENTRY_POINTS} is not a class with a kind, "
                "derived from a family of nuhf.experiments"
            )


def overlay(base: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """Return a table with changes: tables are merged key by key, everything else is replaced.

    A table whose ``kind`` differs from that of the base replaces it as a whole, and so do tables
    of numbers by name: those in `WHOLE`.
    """
    merged = dict(base)
    for key, value in changes.items():
        old = merged.get(key)
        if (
            isinstance(value, Mapping)
            and isinstance(old, Mapping)
            and key not in WHOLE
            and value.get("kind", old.get("kind")) == old.get("kind")
        ):
            merged[key] = overlay(old, value)
        else:
            merged[key] = value
    return merged


def frozen(content: Any) -> Any:
    """Return tuples for lists: strictly no list is a tuple, and no text a number either."""
    if isinstance(content, dict):
        return {key: frozen(value) for key, value in content.items()}
    return tuple(map(frozen, content)) if isinstance(content, list) else content


def increasing(key: str, edges: Sequence[float]) -> None:
    """Refuse edges that do not increase (`ValueError`)."""
    for low, high in pairwise(edges):
        if high <= low:
            raise ValueError(f"{key} must increase: {low:g} is followed by {high:g}")


def among(where: str, names: Iterable[str], allowed: Iterable[str]) -> None:
    """Refuse names that are not among those allowed (`ValueError`)."""
    known = sorted(allowed) if isinstance(allowed, Set) else list(allowed)
    for name in names:
        if name not in known:
            hint = suggest(name, known) if known else "the file has nothing of this kind"
            raise ValueError(f"{where}: '{name}' is not defined; {hint}")
