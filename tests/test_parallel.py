"""Work on several cores: the same results in the same order, failures as they are."""

import os
import signal
from functools import partial
from pathlib import Path

import pytest

from nuhf.errors import FitError, InputError
from nuhf.parallel import BLAS_THREADS, on_cores


def squared(number):
    if number < 0:
        raise InputError(f"{number} is negative")
    return number**2, os.getpid(), os.environ["OMP_NUM_THREADS"]


def dying_once(mark, number):
    if number == 3 and not Path(mark).exists():
        Path(mark).touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return number


def dying(number):
    os.kill(os.getpid(), signal.SIGKILL)


def test_processes_give_what_one_gives_and_leave_the_environment(monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "7")
    monkeypatch.delenv("MKL_NUM_THREADS", raising=False)
    before = {name: os.environ.get(name) for name in BLAS_THREADS}
    serial, several = [], []
    one = on_cores(squared, range(6), serial.append, str)
    two = on_cores(squared, range(6), several.append, str, jobs=2)
    assert [entry[0] for entry in one] == [entry[0] for entry in two] == [0, 1, 4, 9, 16, 25]
    assert serial == list("012345")
    assert sorted(several) == serial
    assert {entry[1] for entry in one} == {os.getpid()}
    assert os.getpid() not in {entry[1] for entry in two}
    assert {entry[2] for entry in two} == {"1"}
    assert {name: os.environ.get(name) for name in BLAS_THREADS} == before


def test_nothing_is_imported_from_the_working_folder(tmp_path, monkeypatch):
    (tmp_path / "random.py").write_text("raise ImportError('from the working folder')\n")
    monkeypatch.chdir(tmp_path)
    assert on_cores(abs, [-1, -2], lambda text: None, str, jobs=2) == [1, 2]


def test_a_failure_is_raised_and_a_dead_process_s_work_is_done_again(tmp_path):
    with pytest.raises(InputError, match="-1 is negative"):
        on_cores(squared, [1, -1, 2], lambda text: None, str, jobs=2)
    work = partial(dying_once, str(tmp_path / "mark"))
    assert on_cores(work, range(6), lambda text: None, str, jobs=2) == list(range(6))
    with pytest.raises(FitError, match="died 3 times in a row"):
        on_cores(dying, range(3), lambda text: None, str, jobs=2)
