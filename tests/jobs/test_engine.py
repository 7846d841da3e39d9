"""The durable engine: finished steps are not repeated, and it keeps to itself."""

import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy.exc import OperationalError

from dicomnode.errors import StoreError
from dicomnode.jobs.engine import Engine
from dicomnode.jobs.step import Interrupted
from parts.descriptors import descriptors
from parts.waiting import PATIENCE_S, wait_until

LIFE = """
import os, sys, time
from pathlib import Path
from dicomnode.jobs.engine import Engine

trace = Path(sys.argv[2])

def note(word):
    with trace.open("a") as file:
        file.write(word + "\\n")
    return word

def second(word):
    if sys.argv[3] == "die":
        os.kill(os.getpid(), 9)
    return note(word)

def job(step, name, number):
    first = step("first", note, f"first {number}")
    step("second", second, f"second after {first}")

engine = Engine(url=sys.argv[1], version="1", on_finished=lambda: None, at_once=1)
engine.start({"job": job})
engine.submit("job", "one", 7)
give_up_at = time.monotonic() + 600
while "second" not in trace.read_text() and time.monotonic() < give_up_at:
    time.sleep(0.05)
engine.drain(patience_s=600)
engine.stop()
"""


def live(tmp_path: Path, how: str) -> int:
    url = f"sqlite:///{tmp_path}/jobs.sqlite"
    trace = tmp_path / "trace"
    trace.touch()
    return subprocess.run(
        [sys.executable, "-c", LIFE, url, str(trace), how], timeout=PATIENCE_S
    ).returncode


def test_a_killed_job_goes_on_after_its_last_finished_step(tmp_path: Path) -> None:
    assert live(tmp_path, "die") == -9
    assert live(tmp_path, "live") == 0
    assert (tmp_path / "trace").read_text().splitlines() == ["first 7", "second after first 7"]
    assert b"\x80\x04" not in (tmp_path / "jobs.sqlite").read_bytes(), "no pickle is stored"


REPLAY = """
import os, sys, time
from pathlib import Path
from dicomnode.errors import StoreError
from dicomnode.jobs.engine import Engine

trace, life = Path(sys.argv[2]), sys.argv[3]

def note(word):
    with trace.open("a") as file:
        file.write(word + "\\n")

def fails():
    if life == "die":
        raise StoreError("the ledger is locked")
    note("went well")

def job(step, name):
    try:
        step("publish", fails)
    except StoreError as error:
        note(str(error))
        if life == "die":
            os.kill(os.getpid(), 9)
        raise

engine = Engine(url=sys.argv[1], version="1", on_finished=lambda: None, at_once=1)
engine.start({"job": job})
engine.submit("job", "one")
engine.drain(patience_s=600)
engine.submit("job", "one")
engine.drain(patience_s=600)
engine.stop()
"""


def test_what_a_step_raised_in_an_earlier_life_is_no_verdict(tmp_path: Path) -> None:
    """It is told as an error that passes; the next run of the job begins the step anew."""
    trace = tmp_path / "trace"
    arguments = [f"sqlite:///{tmp_path}/jobs.sqlite", str(trace)]
    for life in ("die", "live"):
        subprocess.run([sys.executable, "-c", REPLAY, *arguments, life], timeout=PATIENCE_S)
    assert trace.read_text().splitlines() == [
        "the ledger is locked",
        "step publish of an earlier life ended in StoreError",
        "went well",
    ]


def test_what_an_engine_holds_does_not_grow_with_its_work(engine: Engine, tmp_path: Path) -> None:
    """Its connections and threads are there from the start, for as many jobs as run at once."""
    started = threading.Barrier(12)

    def job(step: Any, name: str) -> None:
        started.wait(PATIENCE_S)
        step("one", int)

    engine.start({"job": job})
    file = tmp_path / "jobs.sqlite"  # not its journal, which comes and goes
    before = descriptors(file), _executing()
    for number in range(started.parties):
        engine.submit("job", f"job {number}")
    assert engine.drain(patience_s=PATIENCE_S)
    assert (descriptors(file), _executing()) == before


def _executing() -> int:
    """How many threads there are for jobs; the engine's others come and go."""
    return sum(one.name.startswith("dbos-executor") for one in threading.enumerate())


@pytest.mark.parametrize("left", [b"no database " * 1000, b"SQLite format 3\0" + b"\xff" * 5000])
def test_a_damaged_file_is_set_aside(engine: Engine, tmp_path: Path, left: bytes) -> None:
    """It holds nothing that the ledger does not, and must not keep a node from its start."""
    (tmp_path / "jobs.sqlite").write_bytes(left)
    ran = threading.Event()
    engine.start({"job": lambda step, name: ran.set()})
    engine.submit("job", "one")
    assert ran.wait(PATIENCE_S)
    assert engine.drain(patience_s=PATIENCE_S)
    assert (tmp_path / "jobs.sqlite.damaged").read_bytes() == left


def test_tables_that_take_no_step_are_an_error_that_passes(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[Exception] = []

    def full(*_: Any) -> None:
        raise OperationalError("INSERT", {}, Exception("database or disk is full"))

    def job(step: Any, name: str) -> None:
        try:
            step("one", int)
        except StoreError as error:
            seen.append(error)

    engine.start({"job": job})
    monkeypatch.setattr("dicomnode.jobs.engine.DBOS.run_step", full)
    engine.submit("job", "one")
    assert engine.drain(patience_s=PATIENCE_S)
    (told,) = seen
    assert isinstance(told, StoreError)
    assert told.retryable


@pytest.fixture
def finished() -> threading.Event:
    return threading.Event()


@pytest.fixture
def engine(tmp_path: Path, finished: threading.Event) -> Iterator[Engine]:
    engine = Engine(
        url=f"sqlite:///{tmp_path}/jobs.sqlite",
        version="1",
        on_finished=finished.set,
        at_once=12,
    )
    yield engine
    engine.stop()


def test_a_job_that_raises_is_over_others_go_on_and_it_may_be_asked_for_again(
    engine: Engine, finished: threading.Event
) -> None:
    done = []

    def job(step: Any, name: str, number: int) -> None:
        if number == 1:
            step("break", [].pop)
        done.append(number)

    engine.start({"job": job})
    for name, number in (("one", 1), ("two", 2), ("one", 3)):
        finished.clear()
        engine.submit("job", name, number)
        assert finished.wait(PATIENCE_S)
    assert done == [2, 3]
    assert engine.drain(patience_s=PATIENCE_S)
    purged: list[int] = []

    def all_purged() -> bool:  # the engine writes an end after the job's last word
        purged.append(engine.purge(before=time.time() + 10))
        return sum(purged) == 3

    wait_until("the engine has written the ends", all_purged)


def test_a_submission_that_fails_leaves_nothing_running(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine.start({"job": lambda step, name: None})

    def locked(*_: Any) -> None:
        raise OSError("database is locked")

    with monkeypatch.context() as patched:
        patched.setattr("dicomnode.jobs.engine.DBOS.start_workflow", locked)
        with pytest.raises(OSError, match="locked"):
            engine.submit("job", "one")
    assert engine.active == {}


def test_a_file_that_was_ruined_is_named_and_what_was_written_is_not_logged(
    engine: Engine, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    engine.start({"job": lambda step, name, words: None})
    for file in tmp_path.glob("jobs.sqlite*"):
        file.write_bytes(b"no database " * 1000)
    with pytest.raises(StoreError, match="the engine's tables did not take a transaction"):
        engine.submit("job", "one", "DOE^JANE")
    assert engine.active == {}
    assert "DOE" not in caplog.text


def test_what_runs_is_named_with_what_it_was_given(engine: Engine) -> None:
    may_end = threading.Event()
    engine.start({"job": lambda step, name, number: may_end.wait(PATIENCE_S)})
    engine.submit("job", "one", 7)
    engine.submit("job", "one", 8)
    assert engine.active == {"one": (7,)}, "the second found it running"
    may_end.set()
    assert engine.drain(patience_s=PATIENCE_S)


def test_a_job_that_runs_ends_as_it_began_and_the_next_is_the_other(engine: Engine) -> None:
    may_end, begun, ended = threading.Event(), threading.Event(), []

    def old(step: Any, name: str) -> None:
        begun.set()
        assert may_end.wait(PATIENCE_S)
        ended.append(f"old {name}")

    engine.start({"job": old})
    engine.submit("job", "one")
    assert begun.wait(PATIENCE_S)
    engine.replace({"job": lambda step, name: ended.append(f"new {name}")})
    engine.submit("job", "two")
    wait_until("the next has ended", lambda: ended == ["new two"])
    may_end.set()
    assert engine.drain(patience_s=PATIENCE_S)
    assert ended == ["new two", "old one"]


def test_a_job_that_the_engine_lost_may_be_asked_for_again(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine.start({"job": lambda step, name: None})
    with monkeypatch.context() as patched:
        patched.setattr("dicomnode.jobs.engine.DBOS.start_workflow", lambda *_: None)
        patched.setattr("dicomnode.jobs.engine._TO_BEGIN_S", 0.0)
        engine.submit("job", "one")
    assert engine.active == {}


def test_an_interrupted_job_is_not_over(
    engine: Engine, finished: threading.Event, capfd: pytest.CaptureFixture[str]
) -> None:
    def interrupt() -> None:
        raise Interrupted

    def job(step: Any, name: str) -> None:
        step("stop", interrupt)

    engine.start({"job": job})
    engine.submit("job", "one")
    assert finished.wait(PATIENCE_S)
    assert engine.purge(before=time.time() + 10) == 0


def test_nothing_listens_and_nobody_is_called(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: Any) -> None:
        raise AssertionError("the engine opened a connection")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket.socket, "listen", refuse)
    engine.start({"job": lambda step, name: None})
    engine.submit("job", "one")
    assert engine.drain(patience_s=PATIENCE_S)
    assert not [name for name in os.environ if name.startswith("DBOS")]
