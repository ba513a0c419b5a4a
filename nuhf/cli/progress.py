"""A line on the terminal while something takes longer than two seconds."""

import contextlib
import sys
import threading
import time
from collections.abc import Callable, Iterator
from typing import Final, TextIO

_SILENT: Final = 2.0
_INTERVAL: Final = 0.5


@contextlib.contextmanager
def shown(
    label: str, enabled: bool = True, stream: TextIO | None = None
) -> Iterator[Callable[[str], None]]:
    """Show a label, the current step and the seconds passed, on stderr if it is a terminal.

    Nothing appears in the first two seconds; the line is removed at the end. The function that
    it yields names the current step. It is not enabled where something else shows its progress,
    such as toys.
    """
    chosen = sys.stderr if stream is None else stream
    step = [label]

    def name(text: str) -> None:
        step[0] = f"{label}: {text}"

    if not (enabled and chosen.isatty()):
        yield name
        return
    done = threading.Event()
    thread = threading.Thread(target=_draw, args=(chosen, step, done), daemon=True)
    thread.start()
    try:
        yield name
    finally:
        done.set()
        thread.join()


def _draw(stream: TextIO, step: list[str], done: threading.Event) -> None:
    start = time.monotonic()
    if done.wait(_SILENT):
        return
    width = 0
    while True:
        text = f"{step[0]}, {time.monotonic() - start:.0f} s"[:100]
        stream.write(f"\r{text:<{width}}")
        stream.flush()
        width = max(width, len(text))
        if done.wait(_INTERVAL):
            break
    stream.write(f"\r{'':{width}}\r")
    stream.flush()
