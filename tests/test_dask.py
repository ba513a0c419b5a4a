"""Toys on the workers of a dask scheduler: the same bits, whoever dies."""

import json
import os
import signal
import socket
import sys
from functools import partial

import pytest
import threadpoolctl
from conftest import EXPERIMENT

import nuhf
from nuhf.errors import FitError, InputError
from nuhf.toys import dask_workers
from nuhf.toys.problem import toy_setup
from nuhf.toys.sample import ToyOptions, blocks
from nuhf.toys.session import Here, Session, session, work

distributed = pytest.importorskip("distributed")

TINY = {"method": "feldman-cousins", "toys": 100, "points": 8, "seed": 2}


@pytest.fixture(scope="module")
def cluster(tmp_path_factory):
    """A scheduler and two worker processes, replaced by their nannies when they die."""
    with distributed.LocalCluster(
        n_workers=2, threads_per_worker=1, processes=True, silence_logs=50, host="127.0.0.1",
        dashboard_address="127.0.0.1:0", local_directory=str(tmp_path_factory.mktemp("dask")),
    ) as started:  # fmt: skip
        yield started


@pytest.fixture(scope="module")
def setup(nuclei_problem_of):
    return toy_setup(nuclei_problem_of("qnu_mumu"), [-4.0, 8.0])


@pytest.fixture(scope="module")
def tasks(nuclei_problem_of):
    truth = nuclei_problem_of("qnu_mumu").engine.compiled.inits.tolist()
    base = {"kind": "statistic", "truth": truth, "values": [3.0]}
    return blocks(base, 240, [3, 0], 20)


@pytest.fixture(scope="module")
def expected(setup, tasks):
    return Session(setup, Here()).map(tasks)


def test_feldman_cousins_gives_the_same_bits(cluster, cli):
    (here,) = nuhf.limit(EXPERIMENT, "qnu_mumu", jobs=1, **TINY)
    ran = cli("limit", EXPERIMENT, "-p", "qnu_mumu", "--method", "feldman-cousins", "--toys", "100",
              "--points", "8", "--seed", "2", "--scheduler", cluster.scheduler_address,
              "--json")  # fmt: skip
    assert ran.code == 0, ran.err
    assert json.loads(ran.out)["results"] == [json.loads(json.dumps(here.to_dict()))]


def test_a_killed_worker_s_blocks_are_redone(cluster, setup, tasks, expected):
    with session(setup, ToyOptions(240, scheduler=cluster.scheduler_address), {}) as opened:
        client = opened.workers.client
        pids = client.run(os.getpid)
        assert len(set(pids.values()) - {os.getpid()}) == 2
        found, working = {}, []
        one = partial(work, json.dumps(setup.to_json()))
        for position, result in opened.workers.run(one, tasks):
            found[position] = result
            if len(found) == 1:
                workers = list(cluster.scheduler.workers.values())
                working = [worker.address for worker in workers if worker.processing]
                os.kill(pids[working[0]], signal.SIGKILL)
        assert working
        assert [found[i] for i in range(len(tasks))] == expected
        # the nanny's new worker works, too
        client.wait_for_workers(2, timeout=20)
        assert opened.map(tasks[:4]) == expected[:4]


def test_errors_of_blocks_come_back_in_words(cluster, setup, tasks, expected):
    options = ToyOptions(240, scheduler=cluster.scheduler_address)
    with session(setup, options, {}) as opened:
        with pytest.raises(InputError, match="unknown kind of toys 'nonsense'"):
            opened.map([{"kind": "nonsense"}, *tasks])
        assert opened.map(tasks[:1]) == expected[:1]


def test_a_broken_setup_is_one_line(cluster, setup, tasks):
    with session(setup, ToyOptions(10, scheduler=cluster.scheduler_address), {}) as opened:
        ran = opened.workers.run(partial(work, "["), tasks)
        with pytest.raises(FitError, match=r"^dask could not work on toys: JSONDecodeError: "):
            list(ran)


def lost(task):
    os.kill(os.getpid(), signal.SIGKILL)


@pytest.mark.slow
def test_a_block_that_kills_its_workers_is_an_error(cluster, setup, tasks):
    with (
        session(setup, ToyOptions(10, scheduler=cluster.scheduler_address), {}) as opened,
        pytest.raises(FitError, match="dask workers died again and again"),
    ):
        list(opened.workers.run(lost, tasks[:1]))


# ------------------------------------------------------------------------ without a cluster


def test_one_block_in_this_process(setup, tasks, expected):
    """What a worker does: one BLAS thread, the caller's versions."""
    one = partial(work, json.dumps(setup.to_json()))
    assert dask_workers.alike(one, dask_workers.versions(), tasks[0]) == expected[0]
    threads = dask_workers.alike(
        lambda task: {"threads": [pool["num_threads"] for pool in threadpoolctl.threadpool_info()]},
        dask_workers.versions(), {},
    )  # fmt: skip
    assert set(threads["threads"]) == {1}


def test_other_versions_are_refused():
    with pytest.raises(InputError, match=r"\(here 0.1\): install the same versions"):
        dask_workers.alike(dict, dask_workers.versions() | {"numpy": "0.1"}, {})


def test_nobody_answers(setup, monkeypatch):
    monkeypatch.setattr(dask_workers, "_PATIENCE", 1.0)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # bound, not listening
        address = f"tcp://127.0.0.1:{taken.getsockname()[1]}"
        with pytest.raises(InputError, match=f"^scheduler = {address}: no dask scheduler answers"):
            session(setup, ToyOptions(10, scheduler=address), {})


def test_a_scheduler_without_workers(setup, monkeypatch):
    monkeypatch.setattr(dask_workers, "_PATIENCE", 1.0)
    with (
        distributed.LocalCluster(
            n_workers=0, processes=False, dashboard_address="127.0.0.1:0", host="127.0.0.1",
            protocol="tcp://", silence_logs=50,
        ) as empty,
        pytest.raises(InputError, match="it has no worker"),
    ):  # fmt: skip
        session(setup, ToyOptions(10, scheduler=empty.scheduler_address), {})


@pytest.mark.parametrize("address", ["nonsense", "foo://x:1", "inproc://a/b", "[::"])
def test_no_addresses(setup, address):
    with pytest.raises(InputError, match="no address of a scheduler"):
        session(setup, ToyOptions(10, scheduler=address), {})


def test_dask_is_not_installed(cli, monkeypatch):
    monkeypatch.setitem(sys.modules, "distributed", None)
    ran = cli("limit", EXPERIMENT, "-p", "qnu_mumu", "--method", "feldman-cousins", "--toys", "100",
              "--scheduler", "tcp://127.0.0.1:1")  # fmt: skip
    assert ran.code != 0
    assert "pip install 'nuhf[dask]'" in ran.err
    assert "Traceback" not in ran.err


def test_options_that_do_not_go_together():
    with pytest.raises(InputError, match="jobs are processes of this machine"):
        ToyOptions(100, jobs=2, scheduler="tcp://127.0.0.1:1")
    with pytest.raises(InputError, match="give an address"):
        ToyOptions(100, scheduler=" ")
    with pytest.raises(InputError, match="scheduler: it is for toys"):
        nuhf.limit(EXPERIMENT, "qnu_mumu", scheduler="tcp://127.0.0.1:1")
