"""A signal ends a command in words, also where something swallows or disguises what it raises."""

import os
import signal
import subprocess
import sys
import threading
import time

import pytest

from nuhf.cli import signals

#: `nuhf list`, with this in place of what prints
COMMAND = """
import os, signal, sys, time
from nuhf.cli import browse, main
def kill(): os.kill(os.getpid(), signal.{name}); time.sleep(30)
def act(rows):
{body}
browse._print_rows = act
sys.argv = ["nuhf", "list"]
main()
"""


def nuhf(name, body):
    code = COMMAND.format(name=name, body="\n".join("    " + line for line in body.splitlines()))
    start = time.monotonic()
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    return ran, time.monotonic() - start


@pytest.mark.parametrize(
    ("name", "status", "words"),
    [("SIGINT", 130, "nuhf: interrupted\n"), ("SIGTERM", 143, "nuhf: terminated\n")],
)
@pytest.mark.parametrize(
    "body",
    [
        "kill()",
        # as pydantic-core and scipy do with what comes up in an import
        "try: kill()\nexcept BaseException as error: raise ImportError('failed') from error",
        # swallowed, and work goes on
        "try: kill()\nexcept BaseException: pass\ntime.sleep(40)",
    ],
    ids=["plain", "disguised", "swallowed"],
)
def test_a_signal_is_heeded(name, status, words, body):
    ran, seconds = nuhf(name, body)
    assert (ran.returncode, ran.stderr, ran.stdout) == (status, words, "")
    assert seconds < 25


def test_tidying_up_is_not_disturbed(monkeypatch):
    """The stop is raised again where it was lost, and not inside what it has set going."""
    monkeypatch.setattr(signals, "_AGAIN", 0.05)
    tidied = []

    def stopped():
        with signals.heeded() as stop:
            try:
                os.kill(os.getpid(), signal.SIGTERM)
            finally:
                time.sleep(0.3)  # several alarms go off
                tidied.append((stop.words, stop.status))

    with pytest.raises(signals.Stopped):
        stopped()
    assert tidied == [("terminated", 143)]
    assert signal.getitimer(signal.ITIMER_REAL) == (0.0, 0.0)
    assert signal.getsignal(signal.SIGALRM) == signal.SIG_DFL


def test_nothing_is_left_behind():
    before = {n: signal.getsignal(n) for n in (signal.SIGINT, signal.SIGTERM)}
    with signals.heeded() as stop:
        assert signal.getsignal(signal.SIGTERM) == stop.first
    assert {n: signal.getsignal(n) for n in before} == before
    assert stop.number is None


def test_another_thread_cannot_and_does_not():
    found = []

    def work():
        with signals.heeded() as stop:
            found.append(stop.number)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert found == [None]
