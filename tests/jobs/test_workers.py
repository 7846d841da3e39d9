"""Work in processes: whatever happens there becomes an answer here."""

import functools
import operator
import os
import signal
import threading
import time
from collections.abc import Iterator

import pytest

from dicomnode.jobs.memory import GIB, machine_bytes, share_bytes
from dicomnode.jobs.step import Interrupted
from dicomnode.jobs.workers import WorkerDiedError, WorkError, Workers
from parts.waiting import PATIENCE_S

nothing = functools.partial(int)


@pytest.fixture(scope="module")
def workers() -> Iterator[Workers]:
    workers = Workers(timeout_s=PATIENCE_S, prepare=nothing)
    workers.start()
    yield workers
    workers.stop()


def test_a_result_comes_back(workers: Workers) -> None:
    assert workers.run(operator.add, 20, 22) == 42
    assert len(workers.run(bytes, 1 << 20)) == 1 << 20


def test_each_piece_has_a_process_of_its_own(workers: Workers) -> None:
    found = {workers.run(os.getpid) for _ in range(3)}
    assert len(found) == 3
    assert os.getpid() not in found


def test_an_exception_gives_kind_and_place_but_not_its_text(workers: Workers) -> None:
    with pytest.raises(WorkError, match="expected a result, got ValueError in") as caught:
        workers.run(int, "DOE^JANE")
    assert caught.value.code == "analysis-error"
    assert "DOE" not in str(caught.value)


def test_a_process_that_dies_is_said(workers: Workers) -> None:
    with pytest.raises(WorkerDiedError, match="ended by SIGKILL"):
        workers.run(signal.raise_signal, signal.SIGKILL)
    with pytest.raises(WorkerDiedError, match="ended with status 3"):
        workers.run(os._exit, 3)
    assert workers.run(operator.add, 1, 1) == 2


def test_a_process_that_hangs_is_killed() -> None:
    impatient = Workers(timeout_s=1.0, prepare=nothing)
    with pytest.raises(WorkError, match="within 1 s, got none") as caught:
        impatient.run(time.sleep, 600)
    assert caught.value.code == "analysis-timeout"


@pytest.fixture
def confined() -> Workers:
    return Workers(timeout_s=PATIENCE_S, prepare=nothing, memory_bytes=GIB)


def test_a_process_that_fills_more_memory_than_it_may_is_ended(confined: Workers) -> None:
    filled = "[b'x' * 2**20 for _ in range(1100)], __import__('time').sleep(600)"
    with pytest.raises(WorkError, match=r"at most 1\.0 GiB of memory, it took 1\.\d GiB") as caught:
        confined.run(eval, filled)
    assert caught.value.code == "analysis-memory"
    assert "raise node.worker_memory_gib" in str(caught.value)
    assert confined.run(operator.add, 1, 1) == 2


def test_a_process_that_asks_for_too_much_at_once_gets_nothing(confined: Workers) -> None:
    with pytest.raises(WorkError, match=r"node\.worker_memory_gib") as caught:
        confined.run(bytes, 12 * GIB)
    assert caught.value.code == "analysis-memory"


def test_a_limit_is_a_share_of_the_machine_and_never_too_small_for_an_exam() -> None:
    assert share_bytes(1) == max(int(machine_bytes() * 0.75), 2 * GIB)
    assert share_bytes(1) >= share_bytes(4) >= share_bytes(1_000_000) == 2 * GIB
    assert machine_bytes() <= os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")


def test_the_signals_that_stop_the_node_do_not_stop_its_work(workers: Workers) -> None:
    assert workers.run(signal.getsignal, signal.SIGTERM) == signal.SIG_IGN
    assert workers.run(signal.getsignal, signal.SIGINT) == signal.SIG_IGN


def test_stopping_interrupts_whoever_waits() -> None:
    stopped = Workers(timeout_s=PATIENCE_S, prepare=nothing)
    seen: list[BaseException] = []

    def wait() -> None:
        try:
            stopped.run(time.sleep, 600)
        except BaseException as error:
            seen.append(error)

    thread = threading.Thread(target=wait)
    thread.start()
    time.sleep(0.5)
    stopped.stop()
    thread.join(PATIENCE_S)
    assert [type(error) for error in seen] == [Interrupted]
    with pytest.raises(Interrupted):
        stopped.run(operator.add, 1, 1)
