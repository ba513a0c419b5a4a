"""Who works on blocks of toys: this process, or processes of its own on this machine.

(`nuhf.toys.dask_executor` has the workers of a dask scheduler.)

An executor takes tasks (plain data) and gives back their results in any order; the session
around it sorts them, skips what a checkpoint has, and shows progress. Workers are plain
subprocesses that speak JSON lines over their pipes: no pickles, no re-import of the user's
script, and a worker that dies is seen at once; its block goes to a new one. Every worker pins
BLAS to one thread and states its pyhf backend and optimizer.
"""

import json
import os
import queue
import subprocess
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from types import TracebackType
from typing import Any, Final, Protocol, Self, TextIO

from nuhf.errors import FitError, InputError, NuhfError
from nuhf.parallel import BLAS_THREADS, cores
from nuhf.toys.checkpoint import Checkpoint, open_checkpoint, task_digest
from nuhf.toys.runner import Runner, runner
from nuhf.toys.sample import Task, ToyOptions, ToySetup

Result = dict[str, Any]

#: How often a block is tried before it is held to be the reason why workers die.
_ATTEMPTS: Final = 3
_BACKEND: Final = "pyhf numpy 64b, minuit"
# the parent's search path and nothing from the working folder
_START: Final = (
    "import sys; sys.path[:] = sys.argv[1:]; from nuhf.toys.executors import worker; worker()"
)


class Executor(Protocol):
    """Works on tasks of one setup."""

    def run(self, tasks: Sequence[Task]) -> Iterator[tuple[int, Result]]:
        """Yield position and result of every task, in any order."""
        ...

    def close(self) -> None:
        """Free what it holds."""
        ...


def failure(reply: Mapping[str, Any]) -> NuhfError:
    """Return the error of a reply that has one."""
    kind = InputError if reply["kind"] == "InputError" else FitError
    return kind(reply["error"])


def _backend() -> str:
    import pyhf  # here: limits without toys do without

    backend, optimizer = pyhf.get_backend()
    name = type(optimizer).__name__.removesuffix("_optimizer")
    return f"pyhf {backend.name} {backend.precision}, {name}"


@dataclass(frozen=True)
class Serial:
    """Work in this process."""

    setup: ToySetup

    def run(self, tasks: Sequence[Task]) -> Iterator[tuple[int, Result]]:
        """Yield position and result, in order."""
        for i, task in enumerate(tasks):
            yield i, self._work(task)

    @cached_property
    def _work(self) -> Runner:
        """What works, built for the first task."""
        return runner(self.setup.to_json())

    def close(self) -> None:
        """Nothing to free."""


@dataclass(frozen=True)
class Processes:
    """Work in local processes, one thread of this process minding each.

    Attributes
    ----------
    setup : ToySetup
        The problem.
    jobs : int
        Number of processes.
    pids : dict
        Process by number of its minder; for tests and the curious.
    """

    setup: ToySetup
    jobs: int
    pids: dict[int, "subprocess.Popen[str]"] = field(default_factory=dict)
    _stop: threading.Event = field(default_factory=threading.Event)

    def run(self, tasks: Sequence[Task]) -> Iterator[tuple[int, Result]]:
        """Yield position and result, as they come.

        Raises
        ------
        NuhfError
            If a task fails, a worker cannot start, or a block kills every worker it meets.
        """
        waiting: queue.SimpleQueue[tuple[int, Task]] = queue.SimpleQueue()
        ready: queue.SimpleQueue[tuple[int, Result]] = queue.SimpleQueue()
        for entry in enumerate(tasks):
            waiting.put(entry)
        minders = [
            threading.Thread(target=self._mind, args=(i, waiting, ready), daemon=True)
            for i in range(min(self.jobs, len(tasks)))
        ]
        for minder in minders:
            minder.start()
        try:
            for _ in tasks:
                position, result = ready.get()
                if "error" in result:
                    raise failure(result)
                yield position, result
        except BaseException:
            self._stop.set()
            self.close()
            raise
        finally:
            for minder in minders:
                minder.join()

    def _mind(
        self,
        number: int,
        waiting: "queue.SimpleQueue[tuple[int, Task]]",
        ready: "queue.SimpleQueue[tuple[int, Result]]",
    ) -> None:
        while not self._stop.is_set():
            try:
                position, task = waiting.get_nowait()
            except queue.Empty:
                return
            try:
                ready.put((position, self._persist(number, task)))
            except Exception as error:  # whatever it is, the caller must not wait for ever
                ready.put((position, {"error": str(error), "kind": type(error).__name__}))

    def _persist(self, number: int, task: Task) -> Result:
        """Give a task to a worker, and to a new one if that dies."""
        for _ in range(_ATTEMPTS):
            if self._stop.is_set():
                break
            process = self.pids.get(number) or self._start(number)
            if self._stop.is_set():  # while it started: nobody waits for its block
                break
            reply = _ask(process, task)
            if reply is not None:
                return reply
            _end(self.pids.pop(number, None))
        raise FitError(f"a worker died {_ATTEMPTS} times on the block of toys {task.get('key')}")

    def _start(self, number: int) -> "subprocess.Popen[str]":
        environment = os.environ | dict.fromkeys(BLAS_THREADS, "1")
        process = subprocess.Popen(
            [sys.executable, "-P", "-c", _START, *sys.path],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=environment,
            text=True,
            encoding="utf-8",
        )
        self.pids[number] = process
        hello = _ask(process, self.setup.to_json())
        if hello is None or hello.get("backend") != _BACKEND:
            _end(self.pids.pop(number, None))
            said = "it ended at once" if hello is None else hello.get("error", hello.get("backend"))
            raise FitError(f"a worker process did not start as it should: {said}")
        return process

    def close(self) -> None:
        """End the processes."""
        for number in list(self.pids):
            _end(self.pids.pop(number, None))


def _ask(process: "subprocess.Popen[str]", content: Mapping[str, Any]) -> Result | None:
    """Send a line, wait for a line; None if the process is gone."""
    if process.stdin is None or process.stdout is None:
        return None
    try:
        process.stdin.write(json.dumps(content) + "\n")
        process.stdin.flush()
        line = process.stdout.readline()
        return dict(json.loads(line)) if line.endswith("\n") else None
    except (OSError, ValueError):
        return None


def _end(process: "subprocess.Popen[str] | None") -> None:
    if process is None:
        return
    process.kill()
    process.wait()
    for pipe in (process.stdin, process.stdout):
        try:
            if pipe is not None:
                pipe.close()
        except OSError:
            pass  # the pipe of a dead process cannot be flushed


def worker() -> None:
    """Serve blocks: setup in, backend out; then tasks in, results out, until the pipe closes."""
    import signal

    import pyhf

    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent decides
    # stdout is for replies alone: what others print goes to stderr
    replies = os.fdopen(os.dup(1), "w", encoding="utf-8", newline="\n")
    os.dup2(2, 1)

    def reply(content: Mapping[str, Any]) -> None:
        replies.write(json.dumps(content, allow_nan=False) + "\n")
        replies.flush()

    try:
        pyhf.set_backend("numpy", custom_optimizer="minuit", precision="64b")
        setup = json.loads(sys.stdin.readline())
        work = runner(setup)
        reply({"backend": _backend()})
        for line in sys.stdin:
            reply(_attempt(work, json.loads(line)))
    except (BrokenPipeError, ValueError):
        # the parent is gone, and what is left in the buffer must go somewhere without a word
        os.dup2(os.open(os.devnull, os.O_WRONLY), replies.fileno())


def _attempt(work: Callable[[Task], Result], task: Task) -> Result:
    """Work on a task; an error becomes a reply in words."""
    try:
        return work(task)
    except NuhfError as error:
        return {"error": str(error), "kind": type(error).__name__}
    except Exception as error:
        traceback.print_exc()
        return {"error": f"{type(error).__name__}: {error}", "kind": "FitError"}


@dataclass
class Progress:
    """A line on a terminal: blocks done, toys per second, time left; silent for two seconds.

    Attributes
    ----------
    stream : text stream or None
        Where to write; nothing happens unless it is a terminal.
    """

    stream: TextIO | None
    _start: float = field(default_factory=lambda: time.monotonic())
    _shown: float = 0.0

    def show(self, done: int, total: int, fresh: int) -> None:
        """Show ``done`` of ``total`` toys, ``fresh`` of them made (not read) since the start."""
        now = time.monotonic()
        elapsed = now - self._start
        if self.stream is None or not self.stream.isatty() or elapsed < 2.0:
            return
        if now - self._shown < 0.5 or not fresh:
            return
        self._shown = now
        rate = fresh / elapsed
        left = (total - done) / rate
        text = f"toys {done}/{total}, {rate:.0f} per second, {left:.0f} s left"
        self.stream.write(f"\r{text:<70s}")
        self.stream.flush()

    def clear(self) -> None:
        """Remove the line."""
        if self.stream is not None and self._shown:
            self.stream.write("\r" + " " * 70 + "\r")
            self.stream.flush()
            self._shown = 0.0


@dataclass(frozen=True)
class Session:
    """An executor with its checkpoint and progress; a context manager.

    Attributes
    ----------
    executor : Executor
        Who works.
    checkpoint : Checkpoint or None
        What is finished already, and where to write more.
    stream : text stream or None
        For progress.
    """

    executor: Executor
    checkpoint: Checkpoint | None = None
    stream: TextIO | None = None

    @property
    def backend(self) -> str:
        """Name of pyhf's backend and optimizer in every worker."""
        return _BACKEND

    def map(self, tasks: Sequence[Task]) -> list[Result]:
        """Return the results of tasks, in their order.

        Raises
        ------
        NuhfError
            If a task fails.
        """
        done = self.checkpoint.done if self.checkpoint else {}
        found = {i: done[d] for i, t in enumerate(tasks) if (d := task_digest(t)) in done}
        missing = [i for i in range(len(tasks)) if i not in found]
        numbers = [int(task.get("number", 1)) for task in tasks]
        total, made = sum(numbers), 0
        ready = sum(numbers[i] for i in found)
        progress = Progress(self.stream)
        try:
            if missing:
                for position, result in self.executor.run([tasks[i] for i in missing]):
                    i = missing[position]
                    found[i] = result
                    if self.checkpoint:
                        self.checkpoint.add(tasks[i], result)
                    made += numbers[i]
                    progress.show(ready + made, total, made)
        finally:
            progress.clear()
        return [found[i] for i in range(len(tasks))]

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """End the workers."""
        self.executor.close()


def session(setup: ToySetup, options: ToyOptions, asked: Mapping[str, Any]) -> Session:
    """Open a session for toys.

    One job runs in this process if its BLAS is pinned and its pyhf backend is the workers';
    otherwise in one worker, so that the result cannot depend on either. With a scheduler, its
    workers work.

    Parameters
    ----------
    setup : ToySetup
        The problem.
    options : ToyOptions
        Jobs or scheduler, checkpoint and progress.
    asked : mapping
        Whatever else the result depends on, for the checkpoint's digest.

    Raises
    ------
    InputError
        If the checkpoint belongs to something else, or the scheduler cannot be used.
    """
    from importlib.metadata import version

    checkpoint = None
    if options.checkpoint is not None:
        versions = {name: version(name) for name in ("nuhf", "numpy", "scipy")}
        numbers = {"toys": options.toys, "seed": options.seed, "points": options.points}
        digest = setup.digest({**asked, **numbers, "versions": versions})
        checkpoint = open_checkpoint(options.checkpoint, digest)
    if options.scheduler is not None:
        from nuhf.toys.dask_executor import connect

        return Session(connect(setup, options.scheduler), checkpoint, options.progress)
    jobs = options.jobs or cores()
    pinned = all(os.environ.get(name) == "1" for name in BLAS_THREADS[:3])
    numpy_backend = _backend().startswith("pyhf numpy 64b")
    serial = jobs == 1 and pinned and numpy_backend
    executor: Executor = Serial(setup) if serial else Processes(setup, jobs)
    return Session(executor, checkpoint, options.progress)
