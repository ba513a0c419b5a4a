"""Who works on toys must not matter: workers, deaths, checkpoints."""

import io
import json
import os
import signal
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

import numpy as np
import pyhf
import pytest
from conftest import NUCLEI

from nuhf.errors import InputError
from nuhf.parallel import Processes, cores
from nuhf.toys.checkpoint import open_checkpoint, task_digest
from nuhf.toys.problem import toy_setup
from nuhf.toys.runner import runner
from nuhf.toys.sample import ToyOptions, blocks
from nuhf.toys.session import Here, Progress, Session, session, work


@pytest.fixture(scope="module")
def setup(nuclei_problem_of):
    return toy_setup(nuclei_problem_of("qnu_mumu"), [-4.0, 8.0])


@pytest.fixture(scope="module")
def tasks(nuclei_problem_of):
    truth = nuclei_problem_of("qnu_mumu").engine.compiled.inits.tolist()
    base = {"kind": "statistic", "truth": truth, "values": [3.0]}
    return blocks(base, 240, [3, 0], 40)


@pytest.fixture(scope="module")
def expected(setup, tasks):
    return Session(setup, Here()).map(tasks)


def pid(task):
    return {"pid": os.getpid()}


def fragile(folder, setup, task):
    """Work on a block, but die on blocks 1 and 3 the first time."""
    mark = Path(folder) / str(task["key"][-1])
    if mark.name in ("1", "3") and not mark.exists():
        mark.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return work(setup, task)


def pids(processes):
    """Process numbers of the workers, asked until each has answered."""
    return {found["pid"] for _ in range(20) for _, found in processes.run(pid, [{}] * 4)}


def test_two_processes_give_the_same_bits(setup, tasks, expected):
    processes = Processes(2)
    with Session(setup, processes) as opened:
        assert opened.map(tasks) == expected
        first = pids(processes)
        assert len(first) == 2
        # the processes stay for the next tasks
        assert opened.map(tasks[:2]) == expected[:2]
        assert pids(processes) == first
    for number in first:
        with pytest.raises(ProcessLookupError):
            os.kill(number, 0)


def test_a_killed_worker_s_block_is_redone(setup, tasks, expected, tmp_path):
    processes = Processes(1)
    one = partial(fragile, str(tmp_path), json.dumps(setup.to_json()))
    with Session(setup, processes) as opened:
        found = dict(processes.run(one, tasks))
        assert sorted(path.name for path in tmp_path.iterdir()) == ["1", "3"]
        assert [found[i] for i in range(len(tasks))] == expected
        assert opened.map(tasks[-1:]) == expected[-1:]


def test_errors_of_workers_come_back_in_words(setup, tasks, expected):
    with Session(setup, Processes(1)) as opened:
        with pytest.raises(InputError, match="unknown kind of toys 'nonsense'"):
            opened.map([{"kind": "nonsense"}, *tasks])
        assert opened.map(tasks[:1]) == expected[:1]


@pytest.mark.parametrize("backend", ["numpy", "jax"])
def test_pyhf_s_backend_does_not_matter(setup, tasks, expected, backend):
    pytest.importorskip(backend)
    pyhf.set_backend(backend, precision="64b")
    try:
        assert Session(setup, Here()).map(tasks[:1]) == expected[:1]
        assert runner(setup.to_json())(tasks[0]) == expected[0]
    finally:
        pyhf.set_backend("numpy")


def test_the_choice_of_the_workers(setup, monkeypatch):
    options = ToyOptions(10, jobs=1)
    assert isinstance(session(setup, options, {}).workers, Here)
    monkeypatch.setenv("OMP_NUM_THREADS", "2")
    workers = session(setup, options, {}).workers
    assert isinstance(workers, Processes)
    assert workers.jobs == 1
    workers = session(setup, ToyOptions(10), {}).workers
    assert isinstance(workers, Processes)
    assert workers.jobs == cores()


# ---------------------------------------------------------------------------- checkpoint


def test_a_checkpoint_saves_the_work(setup, tasks, expected, tmp_path, monkeypatch):
    path = tmp_path / "toys.jsonl"
    opened = Session(setup, Here(), open_checkpoint(path, "d"))
    assert opened.map(tasks[:4]) == expected[:4]
    lines = path.read_text().splitlines()
    assert len(lines) == 5
    # cut the last line off in its middle, as a crash would
    path.write_text("\n".join(lines)[:-30])
    again = open_checkpoint(path, "d")
    assert len(again.done) == 3
    ran = []
    monkeypatch.setattr(
        Here, "run", lambda self, one, todo: (ran.append((i, t)) or (i, expected[3 + i])
                                              for i, t in enumerate(todo))
    )  # fmt: skip
    assert Session(setup, Here(), again).map(tasks) == expected
    assert [task["key"] for _, task in ran] == [[3, 0, 3], [3, 0, 4], [3, 0, 5]]
    assert len(path.read_text().splitlines()) == 7
    assert set(open_checkpoint(path, "d").done) == {task_digest(task) for task in tasks}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("hello\n", "line 1: broken JSON"),
        ('{"a": 1}\n', "not a checkpoint of nuhf"),
        ('{"format": "nuhf toys 2", "digest": "other"}\n', "toys of another problem"),
        ('{"format": "nuhf toys 1", "digest": "d"}\n', "not a checkpoint of nuhf"),
    ],
)
def test_other_files_are_refused_and_kept(tmp_path, text, message):
    path = tmp_path / "toys.jsonl"
    path.write_text(text)
    with pytest.raises(InputError, match=message):
        open_checkpoint(path, "d")
    assert path.read_text() == text


@pytest.mark.parametrize(
    "damage",
    [
        lambda line: line.replace("5", "6", 1),  # a digit of a result or of its digest
        lambda line: line[:-20],
        lambda line: line.replace('"result"', '"results"'),
        lambda line: '{"task": 1}',
        lambda line: '{"task"',
        lambda line: "\ufffd" + line,
        lambda line: line.replace("{", "[" * 5000, 1),
    ],
)
def test_a_damaged_line_is_found_and_made_again(setup, tasks, expected, tmp_path, damage):
    path = tmp_path / "toys.jsonl"
    assert Session(setup, Here(), open_checkpoint(path, "d")).map(tasks) == expected
    whole = path.read_text().splitlines()
    path.write_text("\n".join([*whole[:2], damage(whole[2]), *whole[3:]]) + "\n")
    assert path.read_text().splitlines() != whole
    with pytest.warns(UserWarning, match="1 damaged lines; their toys are made again"):
        again = open_checkpoint(path, "d")
    assert len(again.done) == len(tasks) - 1
    assert path.read_text().splitlines() == [*whole[:2], *whole[3:]]
    assert Session(setup, Here(), again).map(tasks) == expected
    assert sorted(path.read_text().splitlines()) == sorted(whole)


@pytest.mark.parametrize("length", [0, 5, 40])
def test_a_first_line_that_was_cut_off_is_written_anew(tmp_path, length):
    path = tmp_path / "toys.jsonl"
    head = open_checkpoint(path, "d").path.read_text()
    path.write_text(head[:length])
    assert open_checkpoint(path, "d").done == {}
    assert path.read_text() == head


def test_the_digest_knows_problem_and_options(setup, nuclei_problem_of, tmp_path):
    path = tmp_path / "toys.jsonl"
    session(setup, ToyOptions(100, checkpoint=path), {"cl": 0.9})
    session(setup, ToyOptions(100, checkpoint=path, jobs=3), {"cl": 0.9})
    other = toy_setup(nuclei_problem_of("qnu_ee"), [-4.0, 60.0])
    for changed in (
        (setup, ToyOptions(101, checkpoint=path), {"cl": 0.9}),
        (setup, ToyOptions(100, 2, checkpoint=path), {"cl": 0.9}),
        (setup, ToyOptions(100, checkpoint=path), {"cl": 0.95}),
        (other, ToyOptions(100, checkpoint=path), {"cl": 0.9}),
    ):
        with pytest.raises(InputError, match="another problem"):
            session(*changed)


_SCRIPT = """
import json, sys
from pathlib import Path
import nuhf
found = nuhf.limit({name!r}, "qnu_mumu", method="feldman-cousins", toys=100, points=8, seed=2,
                  jobs=int(sys.argv[1]), checkpoint=Path("toys.jsonl"))
print(json.dumps(found[0].to_dict()))
"""


@pytest.mark.slow
def test_kill_9_of_the_parent_then_resume(tmp_path):
    """A script without a main guard: workers do not import it."""
    script = tmp_path / "script.py"
    script.write_text(_SCRIPT.format(name=NUCLEI))

    def start(folder, jobs):
        folder.mkdir(exist_ok=True)
        command = [sys.executable, str(script), str(jobs)]
        return subprocess.Popen(command, cwd=folder, stdout=subprocess.PIPE, text=True)

    with start(tmp_path / "whole", 1) as undisturbed:
        whole = undisturbed.communicate()[0]
    folder = tmp_path / "killed"
    victim = start(folder, 2)
    with victim:
        checkpoint = folder / "toys.jsonl"
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            if checkpoint.exists() and len(checkpoint.read_text().splitlines()) > 2:
                break
            time.sleep(0.005)
        victim.kill()
    before = len(checkpoint.read_text().splitlines())
    with start(folder, 2) as resumed:
        out = resumed.communicate()[0]
    assert json.loads(out) == json.loads(whole)
    lines = [json.loads(line) for line in checkpoint.read_text().splitlines()[1:]]
    assert len({line["task"] for line in lines}) == len(lines) >= before - 1
    reference = Path(tmp_path / "whole" / "toys.jsonl").read_text().splitlines()[1:]
    assert sorted(reference) == sorted(json.dumps(line) for line in lines)


# ------------------------------------------------------------------------------ progress


class Terminal(io.StringIO):
    def isatty(self):
        return True


def test_progress_shows_rate_and_time_after_two_seconds(monkeypatch):
    now = [100.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    stream = Terminal()
    progress = Progress(stream)
    now[0] += 1.9
    progress.show(500, 2000, 500)
    assert stream.getvalue() == ""
    now[0] += 2.1
    progress.show(1000, 2000, 800)
    assert stream.getvalue().strip() == "toys 1000/2000, 200 per second, 5 s left"
    progress.clear()
    assert stream.getvalue().endswith("\r")


def test_no_progress_without_a_terminal(monkeypatch):
    stream = io.StringIO()
    progress = Progress(stream)
    monkeypatch.setattr(time, "monotonic", lambda: 1e9)
    progress.show(1, 2, 1)
    progress.clear()
    Progress(None).show(1, 2, 1)
    assert stream.getvalue() == ""


def test_plain_numbers_survive_the_pipe(expected):
    values = np.array(expected[0]["t"])
    assert np.array_equal(np.array(json.loads(json.dumps(values.tolist()))), values)
