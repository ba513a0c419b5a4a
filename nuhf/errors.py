"""Exceptions of nuhf: every foreseeable failure is one of these, and says what to do."""

from collections.abc import Iterator
from contextlib import contextmanager


class NuhfError(Exception):
    """Base class: the command line prints its message as one line and exits with 1."""


class InputError(NuhfError):
    """Something given from outside (name, value, file) is not allowed; exit status 2."""


@contextmanager
def within(place: str) -> Iterator[None]:
    """Put a place, such as a key of a file, in front of what an `InputError` says."""
    try:
        yield
    except InputError as error:
        raise InputError(f"{place}: {error}") from None


class ModelError(NuhfError):
    """A statistical model cannot be built, read or compiled as asked."""


class FitError(NuhfError):
    """A fit or an interval could not be determined."""


class OpenRegionError(FitError):
    """A region reaches the end of the range it was looked for in."""


class Caveat(str):
    """A note that changes what a number means: it is printed with the number, never folded."""

    __slots__ = ()
