"""What all results have: options, versions and digests behind them, notes, and how they print."""

import html
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from importlib.metadata import version
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias, TypedDict, cast

import numpy as np

from nuhf.couplings.parameters import PARAMETERS
from nuhf.errors import Caveat
from nuhf.resources import JSON_FORMAT
from nuhf.tables import format_csv
from nuhf.units import UNIT_LABELS

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

JsonValue: TypeAlias = (
    "bool | int | float | str | Sequence[JsonValue] | Mapping[str, JsonValue] | None"
)
"""What JSON can say."""


class OptionsRecord(TypedDict, total=False):
    """The options behind a result, as plain data; ``priors`` are those of a posterior."""

    anapole: str
    values: dict[str, float]
    profile: list[str]
    fix: list[str]
    engine: str
    asimov: bool
    range: list[float] | None
    settings: dict[str, float]
    inject: dict[str, float]
    mask: list[str]
    priors: dict[str, str]


class Provenance(TypedDict):
    """Versions, digests of what was read, and options."""

    versions: dict[str, str]
    digests: dict[str, str]
    options: OptionsRecord


def provenance(options: OptionsRecord, digests: Mapping[str, str]) -> Provenance:
    """Return the versions, input digests and options behind a result."""
    packages = ("nuhf", "pyhf", "numpy", "scipy")
    return {
        "versions": {name: version(name) for name in packages},
        "digests": dict(digests),
        "options": options,
    }


def lost_note(number: int, points: int, consequence: str) -> tuple[str, ...]:
    """Say how many points of a profile have no number, and what follows; () if all have one."""
    if not number:
        return ()
    return (
        Caveat(
            f"{number} of {points} points of the profile without a converged fit, or where the "
            f"likelihood is not defined: {consequence}"
        ),
    )


def unit_text(unit: str) -> str:
    """Return a unit to stand behind a number; "" for the unit 1."""
    return "" if unit == "1" else f" {unit}"


def column_suffix(unit: str) -> str:
    """Return a unit for the end of a column's name; "" for the unit 1."""
    return "" if unit == "1" else f"_{unit}"


class _Known(Protocol):
    """What every result knows of the question it answers."""

    @property
    def experiments(self) -> tuple[str, ...]: ...
    @property
    def analysis(self) -> str: ...
    @property
    def provenance(self) -> Provenance: ...


def choices(found: _Known, axes: Sequence[str] = ()) -> str:
    """Return what was chosen besides the defaults, for the end of a heading; "" if nothing.

    The provenance has the options; ``profiled``, if the result has that, the names behind a group.
    ``axes`` are free parameters that are the question itself.
    """
    options = found.provenance["options"]
    free = [name for name in getattr(found, "profiled", options["profile"]) if name not in axes]
    held = [
        f"{name} = {value:g}{unit_text(PARAMETERS[name].unit) if name in PARAMETERS else ''}"
        for name, value in options["values"].items()
    ]
    convention = [options["anapole"]] if getattr(found, "convention", None) == "khan" else []
    said = {"free": free, "held": held, "fixed nuisances": options["fix"], "anapole": convention}
    return "".join(f"; {what}: {', '.join(which)}" for what, which in said.items() if which)


def title_of(found: _Known) -> str:
    """Return experiments and analysis, for figures."""
    return f"{', '.join(found.experiments)} ({found.analysis})"


def label_of(found: _Known, axes: Sequence[str] = ()) -> str:
    """Return experiments, analysis and choices, for a legend."""
    return f"{title_of(found)}{choices(found, axes)}"


def heading(found: _Known) -> str:
    """Name the experiments and the analysis, for the beginning of a heading."""
    return f"{', '.join(found.experiments)}, analysis {found.analysis}"


class Result(ABC):
    """What all results can do: print, tabulate and draw themselves.

    ``str`` and ``table()`` are what the command prints. Notes are folded, but for those that
    change what the numbers mean.
    """

    notes: tuple[str, ...]

    @abstractmethod
    def lines(self) -> list[str]:
        """Return the lines that the command prints, notes aside."""

    @abstractmethod
    def columns(self) -> Mapping[str, Sequence[object]]:
        """Return the numbers by column, all of one length."""

    def to_dict(self) -> dict[str, JsonValue]:
        """Return plain lists, dicts, strings and numbers: what the command prints as JSON."""
        content = asdict(cast(Any, self))  # every derived class is a dataclass
        return {"format": JSON_FORMAT, **{key: plain(value) for key, value in content.items()}}

    @abstractmethod
    def plot(self, ax: "Axes | None" = None) -> "Figure":
        """Draw the result, on the given axes or in a figure of its own."""

    @property
    def caveats(self) -> tuple[str, ...]:
        """Notes that change what the numbers mean."""
        return tuple(note for note in self.notes if isinstance(note, Caveat))

    def table(self) -> str:
        """Return the numbers as the command prints them."""
        return "\n".join(self.lines())

    def to_csv(self) -> str:
        """Return the numbers as CSV without comments: ``pandas.read_csv`` takes it as it is."""
        return format_csv(self.columns())

    def to_latex(self) -> str:
        """Return the numbers as a LaTeX table (``booktabs``), names as symbols."""
        return format_latex(self.columns())

    def __str__(self) -> str:
        return "\n".join([*self.lines(), *note_lines(self.notes, False, ".notes")])

    def _repr_html_(self) -> str:
        shown = html.escape("\n".join([*self.lines(), *(f"note: {n}" for n in self.caveats)]))
        folded = [html.escape(note) for note in self.notes if not isinstance(note, Caveat)]
        if not folded:
            return f"<pre>{shown}</pre>"
        entries = "".join(f"<li>{note}</li>" for note in folded)
        return (
            f"<pre>{shown}</pre><details><summary>{_number(len(folded))}</summary>"
            f"<ul>{entries}</ul></details>"
        )


def format_latex(columns: Mapping[str, Sequence[object]]) -> str:
    """Format columns as a LaTeX table with the rules of ``booktabs``; numbers with 3 digits."""
    numeric = [all(isinstance(v, float | int) for v in column) for column in columns.values()]
    rows = [columns, *zip(*columns.values(), strict=True)]
    body = [" & ".join(_in_latex(cell) for cell in row) + r" \\" for row in rows]
    return "\n".join(
        [
            rf"\begin{{tabular}}{{{''.join('r' if number else 'l' for number in numeric)}}}",
            r"\toprule",
            body[0],
            r"\midrule",
            *body[1:],
            r"\bottomrule",
            r"\end{tabular}",
            "",
        ]
    )


def _in_latex(cell: object) -> str:
    """Return a number, the symbol of a parameter or a unit, or a text with its signs escaped."""
    if isinstance(cell, float) and np.isinf(cell):
        return r"$\infty$" if cell > 0 else r"$-\infty$"
    if isinstance(cell, float):
        digits, _, power = f"{cell:.3g}".partition("e")
        return rf"${digits} \times 10^{{{int(power)}}}$" if power else f"${digits}$"
    text = str(cell)
    if text in PARAMETERS and PARAMETERS[text].symbol:
        return f"${PARAMETERS[text].symbol}$"
    if isinstance(cell, str) and cell in UNIT_LABELS:
        return f"${UNIT_LABELS[cell]}$" if UNIT_LABELS[cell] else ""
    return "".join(f"\\{sign}" if sign in "_%&#$" else sign for sign in text)


def _number(notes: int) -> str:
    return f"{notes} {'note' if notes == 1 else 'notes'}"


def note_lines(notes: Sequence[str], shown: bool, where: str) -> list[str]:
    """Return notes as lines: all of them, or those that are never folded and a count."""
    told = [note for note in notes if shown or isinstance(note, Caveat)]
    rest = len(notes) - len(told)
    return [*(f"note: {note}" for note in told), *([f"{_number(rest)} ({where})"] * bool(rest))]


def plain(value: object) -> JsonValue:
    """Turn arrays and tuples into lists, recursively; numbers that are not finite into None."""
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, tuple | list):
        return [plain(item) for item in value]
    if isinstance(value, np.ndarray):
        return [plain(item) for item in value.tolist()]
    if isinstance(value, float) and not np.isfinite(value):
        return None
    return cast(JsonValue, value)
