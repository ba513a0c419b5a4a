"""The same work on many things in processes of this machine; each has one BLAS thread.

The processes are loky's, which do not import the script that started them.
"""

import os
import queue
import signal
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING, Final, TypeVar

from nuhf.errors import FitError

if TYPE_CHECKING:
    from concurrent.futures import Executor, Future

T = TypeVar("T")
R = TypeVar("R")

#: Variables that set the number of threads of a BLAS.
BLAS_THREADS: Final = (
    "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "VECLIB_MAXIMUM_THREADS",
)  # fmt: skip
#: Deaths of processes, without a result in between, after which the work is given up.
_DEATHS: Final = 3


def cores() -> int:
    """Return the number of cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


class Processes:
    """A number of processes of this machine, which stay for more work until they are closed."""

    def __init__(self, jobs: int) -> None:
        self.jobs: Final = jobs
        self._opened: Executor | None = None

    def run(self, work: Callable[[T], R], tasks: Sequence[T]) -> Iterator[tuple[int, R]]:
        """Yield position and result of every task, as they come.

        ``work`` is a function of a module, or a partial of one. What a process had that died is
        done again; `FitError` if processes die again and again, as without memory.
        """
        from concurrent.futures import BrokenExecutor

        missing, deaths = dict(enumerate(tasks)), 0
        try:
            while missing:
                try:
                    for position, result in completed(self._pool(), work, missing):
                        del missing[position]
                        deaths = 0
                        yield position, result
                except BrokenExecutor:
                    self.close()
                    deaths += 1
                    if deaths == _DEATHS:
                        raise FitError(
                            f"processes died {_DEATHS} times in a row: not enough memory?"
                        ) from None
        except BaseException:
            self.close()
            raise

    def _pool(self) -> "Executor":
        from loky import ProcessPoolExecutor  # here: most commands start no process

        if self._opened is None:
            # nothing is imported from the working folder, as the parent does not
            variables = dict.fromkeys(BLAS_THREADS, "1") | {"PYTHONSAFEPATH": "1"}
            # loky's tracker of locks, which begins here, tidies up after a kill without a word
            with _uninterrupted(), _environment(PYTHONWARNINGS="ignore"):
                self._opened = ProcessPoolExecutor(
                    self.jobs, initializer=_begin, initargs=(os.getpid(),), env=variables
                )
        return self._opened

    def close(self) -> None:
        """End the processes."""
        if self._opened is not None:
            with _uninterrupted():
                self._opened.shutdown(kill_workers=True)  # type: ignore[call-arg] # loky's
            self._opened = None


def completed(
    pool: "Executor", work: Callable[[T], R], tasks: Mapping[int, T]
) -> Iterator[tuple[int, R]]:
    """Yield key and result of tasks, as they come."""
    # not as_completed: an exception of a signal handler could leave its locks closed
    ready: queue.SimpleQueue[Future[R]] = queue.SimpleQueue()
    with _uninterrupted():
        keys = {pool.submit(work, task): key for key, task in tasks.items()}
        for future in keys:
            future.add_done_callback(ready.put)
    for _ in keys:
        future = ready.get()
        yield keys[future], future.result()


@contextmanager
def _uninterrupted() -> Iterator[None]:
    """Let signals wait: loky's processes and locks, half made, could not be removed."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    waiting: list[int] = []
    known = [getattr(signal, name, None) for name in ("SIGINT", "SIGTERM", "SIGALRM")]
    before = {number: signal.getsignal(number) for number in known if number is not None}
    handlers = {number: handler for number, handler in before.items() if handler is not None}
    for number in handlers:
        signal.signal(number, lambda number, frame: waiting.append(number))
    try:
        yield
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
        for number in waiting:
            signal.raise_signal(number)


@contextmanager
def _environment(**variables: str) -> Iterator[None]:
    """Let processes that are started have variables."""
    before = {name: os.environ.get(name) for name in variables}
    os.environ.update(variables)
    try:
        yield
    finally:
        for name, value in before.items():
            os.environ.pop(name) if value is None else os.environ.update({name: value})


def _begin(parent: int) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent decides
    threading.Thread(target=_end_with, args=(parent,), daemon=True).start()


def _end_with(parent: int) -> None:
    """End this process when its parent is gone, killed, say; loky's would wait for work."""
    while os.getppid() == parent:
        time.sleep(1.0)
    os._exit(1)


def on_cores(
    work: Callable[[T], R],
    tasks: Sequence[T],
    step: Callable[[str], None],
    told: Callable[[T], str],
    jobs: int = 1,
) -> list[R]:
    """Return the results of tasks, in their order (`FitError` as `Processes.run`).

    ``step`` is told, in the words of ``told``, which task is begun (or, of several processes,
    done).
    """
    number = min(jobs, len(tasks))
    found: dict[int, R] = {}
    if number <= 1:
        for i, task in enumerate(tasks):
            step(told(task))
            found[i] = work(task)
    else:
        with closing(Processes(number)) as processes:
            for i, result in processes.run(work, tasks):
                found[i] = result
                step(told(tasks[i]))
    return [found[i] for i in range(len(tasks))]
