"""Blocks of toys on the workers of a dask scheduler, one BLAS thread each.

A worker needs the caller's versions; a block whose worker is lost goes to another one. Workers
should have one thread each: fits hold Python's lock most of the time.

dask.distributed and threadpoolctl are the extra ``nuhf[dask]`` and imported when needed.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import CancelledError
from dataclasses import dataclass
from functools import cache, partial
from importlib.metadata import version
from typing import TYPE_CHECKING, Final

from nuhf.errors import FitError, InputError, NuhfError
from nuhf.parallel import completed
from nuhf.toys.sample import Task
from nuhf.toys.session import Result

if TYPE_CHECKING:
    from distributed import Client

#: Seconds within which scheduler and a first worker must answer.
_PATIENCE: Final = 10.0
#: Packages on which the last digits of a result depend.
_PACKAGES: Final = ("nuhf", "numpy", "scipy", "pyhf", "iminuit")


@cache
def versions() -> dict[str, str]:
    """Return the versions of the packages on which the last digits of a result depend."""
    return {name: version(name) for name in _PACKAGES}


def alike(work: Callable[[Task], Result], asked: Mapping[str, str], task: Task) -> Result:
    """Work on a task where the versions are those asked for: on a worker of dask.

    Raises
    ------
    InputError
        If they are others.
    """
    from threadpoolctl import threadpool_limits

    here = versions()
    if wrong := [f"{n} {here[n]} (here {asked[n]})" for n in asked if asked[n] != here[n]]:
        text = f"a dask worker has {', '.join(wrong)}: install the same versions"
        raise InputError(text)
    with threadpool_limits(1):
        return work(task)


@dataclass(frozen=True)
class DaskWorkers:
    """The workers of a dask scheduler.

    Attributes
    ----------
    client : distributed.Client
        Connected; closed by `close`.
    """

    client: "Client"

    def run(
        self, work: Callable[[Task], Result], tasks: Sequence[Task]
    ) -> Iterator[tuple[int, Result]]:
        """Yield position and result, as they come.

        Raises
        ------
        NuhfError
            If a task fails, kills every worker it meets, or the scheduler is gone.
        """
        from distributed import KilledWorker

        pool = self.client.get_executor(pure=False)
        try:
            yield from completed(pool, partial(alike, work, versions()), dict(enumerate(tasks)))
        except NuhfError:
            raise
        except KilledWorker:
            raise FitError("dask workers died again and again on a block of toys") from None
        except CancelledError:
            raise FitError("the dask scheduler is gone, or gave up the toys") from None
        except Exception as error:  # whatever went wrong on another machine
            cause = error.__cause__ or error
            text = (f"{cause}".splitlines() or [""])[0]
            raise FitError(
                f"dask could not work on toys: {type(cause).__name__}: {text}; scheduler and "
                "workers need the same nuhf as this process"
            ) from None
        finally:
            if self.client.status == "running":
                pool.shutdown(wait=False)  # cancels what is left

    def close(self) -> None:
        """Close the connection."""
        self.client.close()


def connect(address: str) -> DaskWorkers:
    """Connect to a scheduler, at an address such as ``tcp://127.0.0.1:8786``.

    `InputError` if dask.distributed is not installed, or scheduler or workers do not answer.
    """
    try:
        from distributed import Client
        from distributed.comm import get_address_host_port, normalize_address
    except ImportError:
        raise InputError(
            "scheduler: it needs dask.distributed: pip install 'nuhf[dask]', here and on "
            "the workers"
        ) from None
    try:
        # without an address, Client would start workers of its own
        get_address_host_port(normalize_address(address), strict=True)
    except ValueError:
        example = "such as tcp://127.0.0.1:8786"
        raise InputError(f"scheduler = {address}: no address of a scheduler, {example}") from None
    try:
        client = Client(address, timeout=_PATIENCE, set_as_default=False)
    except (OSError, ValueError, RuntimeError):
        words = f"no dask scheduler answers within {_PATIENCE:g} s"
        raise InputError(f"scheduler = {address}: {words}") from None
    try:
        client.wait_for_workers(1, timeout=_PATIENCE)
    except (OSError, RuntimeError):
        client.close()
        raise InputError(f"scheduler = {address}: it has no worker; start at least one") from None
    return DaskWorkers(client)
