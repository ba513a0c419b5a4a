"""Blocks of toys on the workers of a dask scheduler.

What goes over the wire is a function of this module and JSON text, both ways; none of nuhf's
objects is pickled. A dask worker has each block done by a process of its own, as `Processes` has
it: BLAS is pinned and pyhf's backend checked there, whatever else the worker was started for.
Versions must be the caller's. A block whose worker is lost goes to another one.

dask.distributed is the extra ``nuhf[dask]`` and imported when needed.
"""

import json
import threading
import uuid
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import CancelledError as _Cancelled
from dataclasses import dataclass, field
from functools import cache
from importlib.metadata import version
from typing import Any, Final

from nuhf.errors import FitError, InputError, NuhfError
from nuhf.parallel import cores
from nuhf.toys.executors import Processes, Result, failure
from nuhf.toys.sample import Task, ToySetup

#: Seconds within which scheduler and a first worker must answer.
_PATIENCE: Final = 10.0
#: How often dask tries a block that fails with an error other than nuhf's.
_RETRIES: Final = 2
#: Packages on which the last digits of a result depend.
_PACKAGES: Final = ("nuhf", "numpy", "scipy", "pyhf", "iminuit")

# ------------------------------------------------------------------- on a worker of dask

_lock: Final = threading.Lock()
#: Processes that wait for a block, oldest first: session and process.
_idle: Final[list[tuple[str, Processes]]] = []
#: Sessions that are over.
_over: Final[set[str]] = set()


@cache
def _versions() -> dict[str, str]:
    return {name: version(name) for name in _PACKAGES}


def same(text: str) -> str:
    """Return the text: a setup as a task of dask, which makes it again if it is lost."""
    return text


def work(token: str, setup: str, task: str, versions: str) -> str:
    """Work on one block.

    Parameters
    ----------
    token : str
        Of the session: its blocks share processes.
    setup, task : str
        `ToySetup` and task as JSON.
    versions : str
        The caller's packages and versions as JSON.

    Returns
    -------
    str
        Result as JSON, or ``error`` and its ``kind``.
    """
    asked: dict[str, str] = json.loads(versions)
    here = _versions()
    if wrong := [f"{n} {here[n]} (here {asked[n]})" for n in asked if asked[n] != here[n]]:
        text = f"a dask worker has {', '.join(wrong)}: install the same versions"
        return json.dumps({"error": text, "kind": "InputError"})
    process = _take(token) or Processes(ToySetup(**json.loads(setup)), 1)
    try:
        ((_, result),) = process.run([json.loads(task)])
    except NuhfError as error:
        process.close()
        return json.dumps({"error": str(error), "kind": type(error).__name__})
    _keep(token, process)
    return json.dumps(result, allow_nan=False)


def _take(token: str) -> Processes | None:
    with _lock:
        for i, (owner, process) in enumerate(_idle):
            if owner == token:
                del _idle[i]
                return process
    return None


def _keep(token: str, process: Processes) -> None:
    """Let a process wait for more, unless its session is over; not more wait than cores."""
    with _lock:
        _idle.append((token, process))
        ended = [entry for entry in _idle if entry[0] in _over] or _idle[: -cores()]
        _idle[:] = [entry for entry in _idle if entry not in ended]
    for _, old in ended:
        old.close()


def forget(token: str) -> None:
    """End the processes of a session."""
    with _lock:
        _over.add(token)
        ended = [entry for entry in _idle if entry[0] == token]
        _idle[:] = [entry for entry in _idle if entry[0] != token]
    for _, old in ended:
        old.close()


# ------------------------------------------------------------------------ on this machine


@dataclass(frozen=True)
class Dask:
    """Work on the workers of a dask scheduler.

    Attributes
    ----------
    setup : ToySetup
        The problem.
    client : distributed.Client
        Connected; closed by `close`.
    token : str
        Name of this session on the workers.
    """

    setup: ToySetup
    client: Any
    token: str = field(default_factory=lambda: uuid.uuid4().hex)

    def run(self, tasks: Sequence[Task]) -> Iterator[tuple[int, Result]]:
        """Yield position and result, as they come.

        Raises
        ------
        NuhfError
            If a task fails, kills every worker it meets, or the scheduler is gone.
        """
        from distributed import as_completed

        submit, versions = self.client.submit, json.dumps(_versions())
        waiting: dict[str, tuple[int, Any]] = {}
        try:
            setup = submit(same, json.dumps(self.setup.to_json()), key=f"nuhf-setup-{self.token}")
            for i, task in enumerate(tasks):
                future = submit(
                    work, self.token, setup, json.dumps(task), versions, pure=False,
                    retries=_RETRIES,
                )  # fmt: skip
                waiting[future.key] = i, future
            pending = [future for _, future in waiting.values()]
            for future in as_completed(pending, loop=self.client.loop):
                position, _ = waiting[future.key]
                result = _result(future, tasks[position])
                del waiting[future.key]
                if "error" in result:
                    raise failure(result)
                yield position, result
        finally:
            # nothing is left unless it failed or was stopped
            if waiting and self.client.status == "running":
                self.client.cancel([future for _, future in waiting.values()])

    def close(self) -> None:
        """End the processes on the workers, and the connection."""
        try:
            if self.client.status == "running":
                self.client.run(forget, self.token, on_error="ignore")
        except (OSError, RuntimeError, _Cancelled):
            pass  # who cannot be reached ends his processes himself
        finally:
            self.client.close()


def _result(future: Any, task: Mapping[str, Any]) -> Result:
    from asyncio import CancelledError

    from distributed import KilledWorker

    try:
        return dict(json.loads(future.result()))
    except KilledWorker:
        text = f"dask workers died again and again on the block of toys {task.get('key')}"
        raise FitError(text) from None
    except (CancelledError, _Cancelled):
        raise FitError("the dask scheduler is gone, or gave up the toys") from None
    except Exception as error:  # whatever went wrong on another machine
        cause = error.__cause__ or error
        text = (f"{cause}".splitlines() or [""])[0]
        raise FitError(
            f"dask could not work on toys: {type(cause).__name__}: {text}; scheduler and workers "
            "need the same nuhf as this process"
        ) from None


def connect(setup: ToySetup, address: str) -> Dask:
    """Connect to a scheduler.

    Parameters
    ----------
    setup : ToySetup
        The problem.
    address : str
        Of the scheduler, such as ``tcp://127.0.0.1:8786``.

    Raises
    ------
    InputError
        If dask.distributed is not installed, or scheduler or workers do not answer.
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
    return Dask(setup, client)
