"""The same work on many things in processes of this machine; each has one BLAS thread.

The processes are loky's, which do not import the script that started them.
"""

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING, Final, TypeVar

from nuhf.errors import FitError

if TYPE_CHECKING:
    from concurrent.futures import Executor

T = TypeVar("T")
R = TypeVar("R")

#: Variables that set the number of threads of a BLAS.
BLAS_THREADS: Final = (
    "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "VECLIB_MAXIMUM_THREADS",
)  # fmt: skip
#: Deaths of processes, without a result in between, after which the work is given up.
_DEATHS: Final = 3
_SIGNALS: Final = (signal.SIGINT, signal.SIGTERM)


def cores() -> int:
    """Return the number of cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


class Processes:
    """Processes of this machine, which stay for more work until they are closed.

    Parameters
    ----------
    jobs : int
        Their number.
    """

    def __init__(self, jobs: int) -> None:
        self.jobs: Final = jobs
        self._opened: Executor | None = None

    def run(self, work: Callable[[T], R], tasks: Sequence[T]) -> Iterator[tuple[int, R]]:
        """Yield position and result of every task, as they come.

        ``work`` is a function of a module, or a partial of one. What a process had that died is
        done again.

        Raises
        ------
        FitError
            If processes die again and again, as without memory.
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
            with _uninterrupted():
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
    from concurrent.futures import as_completed

    with _uninterrupted():
        waiting = {pool.submit(work, task): key for key, task in tasks.items()}
    for future in as_completed(waiting):
        yield waiting[future], future.result()


@contextmanager
def _uninterrupted() -> Iterator[None]:
    """Let signals wait: loky's processes and locks, half made, could not be removed."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _begin(parent: int) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent decides
    if hasattr(signal, "pthread_sigmask"):
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _SIGNALS)
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
    """Return the results of tasks, in their order.

    ``step`` is told, in the words of ``told``, which task is begun (or, of several processes,
    done).

    Raises
    ------
    FitError
        If processes die again and again, as without memory.
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
