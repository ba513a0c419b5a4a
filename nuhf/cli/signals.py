"""SIGINT and SIGTERM end the program in words, and what is half written is removed on the way."""

import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

_WORDS: Final = {signal.SIGINT: "interrupted", signal.SIGTERM: "terminated"}

_AGAIN: Final = 2.0
"""Seconds after which a stop that was swallowed is raised again."""


class Stopped(BaseException):
    """A signal asked the program to end."""


class Stop:
    """The signal that asked the program to end, if one did.

    What it raises may come out as something else or not at all: compiled modules that are being
    imported turn it into errors of their own, or drop it.
    """

    def __init__(self) -> None:
        self.number: int | None = None

    @property
    def words(self) -> str:
        """What happened."""
        return _WORDS[signal.Signals(self.number or signal.SIGINT)]

    @property
    def status(self) -> int:
        """Exit status, as shells have it."""
        return 128 + (self.number or signal.SIGINT)

    def first(self, number: int, frame: object) -> None:
        """Handle the signal itself."""
        self.number = number
        if hasattr(signal, "setitimer"):
            signal.signal(signal.SIGALRM, self._again)
            signal.setitimer(signal.ITIMER_REAL, _AGAIN, _AGAIN)
        raise Stopped

    def _again(self, number: int, frame: object) -> None:
        # what is tidying up because of it must not be disturbed
        if not isinstance(sys.exception(), Stopped):
            raise Stopped


@contextmanager
def heeded() -> Iterator[Stop]:
    """Turn both signals into `Stopped` inside the block; only the main thread can."""
    stop = Stop()
    if threading.current_thread() is not threading.main_thread():
        yield stop
        return
    before = {number: signal.signal(number, stop.first) for number in _WORDS}
    try:
        yield stop
    finally:
        if stop.number is not None and hasattr(signal, "setitimer"):
            signal.setitimer(signal.ITIMER_REAL, 0.0)
            signal.signal(signal.SIGALRM, signal.SIG_DFL)
        for number, handler in before.items():
            signal.signal(number, handler)
