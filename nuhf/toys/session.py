"""Who works on blocks of toys: this process, processes of its own, or the workers of dask.

All of them take tasks (plain data) and give back their results in any order; the session around
them sorts the results, skips what a checkpoint has, and shows progress.
"""

import json
import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache, partial
from types import TracebackType
from typing import Any, Final, Protocol, Self, TextIO

from nuhf.parallel import BLAS_THREADS, Processes, cores
from nuhf.toys.checkpoint import Checkpoint, open_checkpoint, task_digest
from nuhf.toys.runner import Runner, runner
from nuhf.toys.sample import Task, ToyOptions, ToySetup

Result = dict[str, Any]

#: What results tell: toys whose fits do not converge are fitted by minuit on pyhf's likelihood.
BACKEND: Final = "pyhf numpy 64b, minuit"


class Workers(Protocol):
    """Who works on tasks."""

    def run(
        self, work: Callable[[Task], Result], tasks: Sequence[Task]
    ) -> Iterator[tuple[int, Result]]:
        """Yield position and result of every task, in any order."""
        ...

    def close(self) -> None:
        """Free what they hold."""
        ...


class Here:
    """Work in the process that asks."""

    def run(
        self, work: Callable[[Task], Result], tasks: Sequence[Task]
    ) -> Iterator[tuple[int, Result]]:
        """Yield position and result, in order."""
        for i, task in enumerate(tasks):
            yield i, work(task)

    def close(self) -> None:
        """Nothing to free."""


@lru_cache(maxsize=1)
def _runner(setup: str) -> Runner:
    return runner(json.loads(setup))


def work(setup: str, task: Task) -> Result:
    """Work on one block of toys, of a `ToySetup` as JSON."""
    return _runner(setup)(task)


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
    """Workers with a checkpoint (what is finished already, and where to write more) and progress.

    A context manager.
    """

    setup: ToySetup
    workers: Workers
    checkpoint: Checkpoint | None = None
    stream: TextIO | None = None

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
        one = partial(work, json.dumps(self.setup.to_json()))
        try:
            for position, result in self.workers.run(one, [tasks[i] for i in missing]):
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
        self.workers.close()


def session(setup: ToySetup, options: ToyOptions, asked: Mapping[str, Any]) -> Session:
    """Open a session for toys; ``asked`` is whatever else the result depends on.

    One job runs in this process if its BLAS is pinned, otherwise in one worker, so that the result
    cannot depend on the number of threads. With a scheduler, its workers work. `InputError` if the
    checkpoint belongs to something else, or the scheduler cannot be used.
    """
    from importlib.metadata import version

    checkpoint = None
    if options.checkpoint is not None:
        versions = {name: version(name) for name in ("nuhf", "numpy", "scipy")}
        numbers = {"toys": options.toys, "seed": options.seed, "points": options.points}
        digest = setup.digest({**asked, **numbers, "versions": versions})
        checkpoint = open_checkpoint(options.checkpoint, digest)
    return Session(setup, _workers(options), checkpoint, options.progress)


def _workers(options: ToyOptions) -> Workers:
    if options.scheduler is not None:
        from nuhf.toys.dask_workers import connect

        return connect(options.scheduler)
    jobs = options.jobs or cores()
    pinned = all(os.environ.get(name) == "1" for name in BLAS_THREADS[:3])
    return Here() if jobs == 1 and pinned else Processes(jobs)
