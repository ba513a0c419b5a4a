"""The same work on many things in processes of this machine; each has one BLAS thread."""

import os
import signal
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Final, TypeVar

from nuhf.errors import FitError

if TYPE_CHECKING:
    from concurrent.futures import Future

T = TypeVar("T")
R = TypeVar("R")

#: Variables that set the number of threads of a BLAS.
BLAS_THREADS: Final = (
    "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "VECLIB_MAXIMUM_THREADS",
)  # fmt: skip
_ATTEMPTS: Final = 2


def cores() -> int:
    """Return the number of cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def on_cores(
    work: Callable[[T], R],
    tasks: Sequence[T],
    step: Callable[[str], None],
    told: Callable[[T], str],
    jobs: int = 1,
) -> list[R]:
    """Return the results of tasks, in their order.

    ``work`` is a function of a module, where the processes look it up. ``step`` is told, in the
    words of ``told``, which task is begun (or, of several processes, done). With more than one job
    a script needs ``if __name__ == "__main__":``.

    Raises
    ------
    FitError
        If processes die again and again, as without memory.
    """
    number = min(jobs, len(tasks))
    if number <= 1:
        found = []
        for task in tasks:
            step(told(task))
            found.append(work(task))
        return found
    from concurrent.futures.process import BrokenProcessPool

    done: dict[int, R] = {}
    for _ in range(_ATTEMPTS):
        missing = [i for i in range(len(tasks)) if i not in done]
        try:
            _run(work, tasks, missing, number, done, lambda i: step(told(tasks[i])))
        except BrokenProcessPool:
            continue  # a process died: what it had is done again
        return [done[i] for i in range(len(tasks))]
    raise FitError("processes died again and again: not enough memory?")


def _run(
    work: Callable[[T], R],
    tasks: Sequence[T],
    missing: Sequence[int],
    number: int,
    done: dict[int, R],
    finished: Callable[[int], None],
) -> None:
    # here, not above: the command line needs BLAS_THREADS, and starts without these
    import multiprocessing
    from concurrent.futures import ProcessPoolExecutor, as_completed

    given = {name: os.environ.get(name) for name in BLAS_THREADS}
    os.environ.update(dict.fromkeys(BLAS_THREADS, "1"))  # before numpy is loaded there
    context = multiprocessing.get_context("spawn")
    pool = ProcessPoolExecutor(number, mp_context=context, initializer=_begin)
    try:
        waiting: dict[Future[R], int] = {pool.submit(work, tasks[i]): i for i in missing}
        for future in as_completed(waiting):
            done[waiting[future]] = future.result()
            finished(waiting[future])
    except BaseException:
        pool.shutdown(wait=False, cancel_futures=True)
        for child in multiprocessing.active_children():
            child.kill()
        raise
    finally:
        for name, value in given.items():
            os.environ.pop(name) if value is None else os.environ.update({name: value})
    pool.shutdown()


def _begin() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent decides
