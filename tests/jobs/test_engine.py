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

from dicomnode.jobs.engine import Engine
from dicomnode.jobs.step import Interrupted

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

engine = Engine(url=sys.argv[1], version="1", executor="test", on_finished=lambda: None)
engine.start({"job": job})
engine.submit("job", "one", 7)
give_up_at = time.monotonic() + 30
while "second" not in trace.read_text() and time.monotonic() < give_up_at:
    time.sleep(0.05)
engine.drain(patience_s=10)
assert engine.submit("job", "one", 7) is False, "a job that is over is not done again"
engine.stop()
"""


def live(tmp_path: Path, how: str) -> int:
    url = f"sqlite:///{tmp_path}/jobs.sqlite"
    trace = tmp_path / "trace"
    trace.touch()
    return subprocess.run([sys.executable, "-c", LIFE, url, str(trace), how], timeout=90).returncode


def test_a_killed_job_goes_on_after_its_last_finished_step(tmp_path: Path) -> None:
    assert live(tmp_path, "die") == -9
    assert live(tmp_path, "live") == 0
    assert (tmp_path / "trace").read_text().splitlines() == ["first 7", "second after first 7"]
    assert b"\x80\x04" not in (tmp_path / "jobs.sqlite").read_bytes(), "no pickle is stored"


@pytest.fixture
def finished() -> threading.Event:
    return threading.Event()


@pytest.fixture
def engine(tmp_path: Path, finished: threading.Event) -> Iterator[Engine]:
    engine = Engine(
        url=f"sqlite:///{tmp_path}/jobs.sqlite",
        version="1",
        executor="test",
        on_finished=finished.set,
    )
    yield engine
    engine.stop()


def test_a_job_that_raises_is_over_and_others_go_on(
    engine: Engine, finished: threading.Event
) -> None:
    done = []

    def job(step: Any, name: str, number: int) -> None:
        if number == 1:
            step("break", [].pop)
        done.append(number)

    engine.start({"job": job})
    assert engine.submit("job", "one", 1)
    assert finished.wait(20)
    give_up_at = time.monotonic() + 20
    while engine.submit("job", "one", 1):  # the engine writes the end after the job's last word
        assert time.monotonic() < give_up_at
        time.sleep(0.05)
    finished.clear()
    assert engine.submit("job", "two", 2)
    assert finished.wait(20)
    assert done == [2]
    assert engine.drain(patience_s=10)
    time.sleep(0.2)
    assert engine.purge(before=time.time() + 10) == 2


def test_an_interrupted_job_is_not_over(
    engine: Engine, finished: threading.Event, capfd: pytest.CaptureFixture[str]
) -> None:
    def interrupt() -> None:
        raise Interrupted

    def job(step: Any, name: str) -> None:
        step("stop", interrupt)

    engine.start({"job": job})
    engine.submit("job", "one")
    assert finished.wait(20)
    assert engine.purge(before=time.time() + 10) == 0


def test_nothing_listens_and_nobody_is_called(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: Any) -> None:
        raise AssertionError("the engine opened a connection")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket.socket, "listen", refuse)
    engine.start({"job": lambda step, name: None})
    assert engine.submit("job", "one")
    assert engine.drain(patience_s=10)
    assert not [name for name in os.environ if name.startswith("DBOS")]
