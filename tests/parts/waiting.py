"""Patience, with an end."""

import itertools
import os
import socket
import time
from collections.abc import Callable, Iterator
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


_FIRST_PORT, _LAST_PORT, _BLOCK = 10_000, 32_000, 100
"""Below the ports that Linux gives to outgoing connections, which else would take one first."""


def free_port() -> int:
    """A port that nobody listens on, and that no other run on this machine will be given."""
    return next(port for port in _PORTS if _may_be_bound(port))


def _own_ports() -> Iterator[int]:
    """Give the ports of a block that this process alone has, again and again.

    The claim is a name in Linux's abstract namespace: the kernel drops it with the process.
    """
    blocks = range(_FIRST_PORT, _LAST_PORT, _BLOCK)
    offset = os.getpid() % len(blocks)
    for first in (*blocks[offset:], *blocks[:offset]):
        claim = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        try:
            claim.bind(f"\0dicomnode-tests-ports-{first}")
        except OSError:
            claim.close()
            continue
        claim.detach()  # open as long as the process
        yield from itertools.cycle(range(first, first + _BLOCK))
    raise AssertionError(f"expected a block of ports from {_FIRST_PORT} that no run has claimed")


def _may_be_bound(port: int) -> bool:
    with closing(socket.socket()) as probe:
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True


_PORTS = _own_ports()


def listens(port: int) -> bool:
    with closing(socket.socket()) as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0
