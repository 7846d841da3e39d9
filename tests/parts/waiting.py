"""Patience, with an end."""

import socket
import time
from collections.abc import Callable
from contextlib import closing
from typing import TypeVar

__all__ = ["PATIENCE_S", "free_port", "listens", "wait_until"]

_R = TypeVar("_R")

PATIENCE_S = 600.0
"""How long any test waits for anything. It ends a run that hangs, and says nothing of speed."""


def wait_until(what: str, condition: Callable[[], _R], *, patience_s: float = PATIENCE_S) -> _R:
    """Ask until the answer is true, and give it."""
    give_up_at = time.monotonic() + patience_s
    while time.monotonic() < give_up_at:
        if found := condition():
            return found
        time.sleep(0.05)
    raise AssertionError(f"waited {patience_s:.0f} s in vain until {what}")


def free_port() -> int:
    with closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def listens(port: int) -> bool:
    with closing(socket.socket()) as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0
