"""systemd is told that the node lives only while it receives and goes its rounds."""

import os
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from dicomnode.config import Settings
from dicomnode.network.receive import Receiver, ReceiveSettings
from dicomnode.service.health import signs_of_life
from dicomnode.service.watchdog import watchdog
from parts.waiting import PATIENCE_S


@pytest.fixture
def systemd(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[socket.socket]:
    address = str(tmp_path / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
        systemd.bind(address)
        systemd.settimeout(PATIENCE_S)
        monkeypatch.setenv("NOTIFY_SOCKET", address)
        monkeypatch.setenv("WATCHDOG_USEC", "40000")
        yield systemd


def test_it_speaks_while_all_works_and_is_silent_while_something_does_not(
    systemd: socket.socket,
) -> None:
    asked = threading.Semaphore(0)
    works = True

    def check() -> tuple[bool, str]:
        answer = works
        asked.release()
        return answer, "found"

    with watchdog({"part": check}):
        assert systemd.recv(100) == b"WATCHDOG=1"
        works = False
        for _ in range(3):  # whatever was asked before has been said by then
            assert asked.acquire(timeout=PATIENCE_S)
        systemd.setblocking(False)
        with suppress(BlockingIOError):
            while systemd.recv(100):
                pass
        for _ in range(3):
            assert asked.acquire(timeout=PATIENCE_S)
        with pytest.raises(BlockingIOError):
            systemd.recv(100)
        works = True
        systemd.settimeout(PATIENCE_S)
        assert systemd.recv(100) == b"WATCHDOG=1"


@pytest.mark.parametrize("variables", [{}, {"WATCHDOG_USEC": "40000", "WATCHDOG_PID": "1"}])
def test_without_a_watchdog_nobody_is_asked(
    monkeypatch: pytest.MonkeyPatch, variables: dict[str, str]
) -> None:
    for name in ("WATCHDOG_USEC", "WATCHDOG_PID"):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    before = threading.active_count()
    with watchdog({"part": lambda: (True, "")}):
        assert threading.active_count() == before
    monkeypatch.setenv("WATCHDOG_USEC", "40000")
    monkeypatch.setenv("WATCHDOG_PID", str(os.getpid()))
    with watchdog({"part": lambda: (True, "")}):
        assert threading.active_count() == before + 1


class Loop:
    """Stands where the reconciler does."""

    alive = True
    beat = 0.0
    refused_s = 0.0


def signs(port: int, loop: Any) -> dict[str, Any]:
    return dict(signs_of_life(Settings(node={"data_dir": "/srv/node", "port": port}), loop))


def test_a_loop_that_hangs_is_not_alive() -> None:
    loop = Loop()
    loop.beat = time.monotonic()
    assert signs(1, loop)["loop"]()[0]
    loop.beat = time.monotonic() - 3600
    assert signs(1, loop)["loop"]() == (False, "last round 3600 s ago")
    loop.beat = time.monotonic()
    loop.alive = False
    assert not signs(1, loop)["loop"]()[0]


def test_an_engine_that_begins_nothing_for_minutes_is_not_alive() -> None:
    loop = Loop()
    assert signs(1, loop)["engine"]()[0]
    loop.refused_s = 3600.0
    assert signs(1, loop)["engine"]() == (False, "refused work for 3600 s")


def test_a_port_that_the_kernel_alone_answers_does_not_receive(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = ReceiveSettings(
        ae_title="NODE", host="127.0.0.1", port=0, incoming=tmp_path, accept=()
    )
    with Receiver(settings, on_store=print, on_opened=print, on_closed=print) as receiver:
        where = f"127.0.0.1:{receiver.port}"
        assert signs(receiver.port, Loop())["dicom"]() == (True, where)
    monkeypatch.setattr("dicomnode.service.health._TIMEOUT_S", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as nobody_accepts:
        port = nobody_accepts.getsockname()[1]
        works, found = signs(port, Loop())["dicom"]()
        assert not works
        assert found == f"127.0.0.1:{port}: no answer"
