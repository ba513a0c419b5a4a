"""Keywords of toys, and what is refused before anything is built."""

from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

from nuhf import questions
from nuhf.api.arguments import number, whole
from nuhf.couplings.parameters import suggest
from nuhf.errors import InputError
from nuhf.stats.intervals import threshold
from nuhf.toys.sample import ToyOptions


@dataclass(frozen=True)
class ToyChoices:
    """Keywords of toys as given; None is not given."""

    toys: int | None = None
    seed: int | None = None
    points: int | None = None
    jobs: int | None = None
    scheduler: str | None = None
    checkpoint: str | Path | None = None
    progress: TextIO | None = None

    def options(self, default: int | None, method: str = "") -> ToyOptions | None:
        """Return how toys are made, by ``default`` so many; None without toys.

        ``method`` is the one that makes no toys, for the message. `InputError` if a number is out
        of range, or an option of toys given where none are made.
        """
        given = {key: value for key, value in vars(self).items() if value is not None}
        toys = default if self.toys is None else whole(self.toys, "toys")
        if toys is None:
            for name in ("seed", "jobs", "scheduler", "checkpoint"):
                if name in given:
                    hint = f"{method} makes none" if method else "give toys='N', too"
                    raise InputError(f"{name}: it is for toys; {hint}")
            return None
        numbers = ("seed", "points", "jobs")
        given |= {name: whole(given[name], name) for name in numbers if name in given}
        if "checkpoint" in given:
            given["checkpoint"] = Path(given["checkpoint"])
        return ToyOptions(**(given | {"toys": toys}))

    def of_interval(self, cl: float, method: str) -> ToyOptions | None:
        """Return how toys are made for intervals by a method; None without toys.

        `InputError` for a bad confidence level or method, or an option that the method has not.
        """
        check(cl, method)
        constructed = method == "feldman-cousins"
        if not constructed and self.points is not None:
            raise InputError(f"points: {method} takes none, feldman-cousins does")
        default = questions.DEFAULT_TOYS if constructed else None
        return self.options(default, "" if method == "cls" else method)


def check(cl: float, method: str) -> None:
    """Refuse a bad confidence level or method before anything is built (`InputError`)."""
    threshold(number(cl, "cl"))
    if method not in questions.METHODS:
        raise InputError(f"unknown method '{method}'; {suggest(str(method), questions.METHODS)}")
