"""Ports of loopback for scenarios that run at the same time: none has another's while it lasts."""

import threading

from parts.waiting import free_port

__all__ = ["Ports"]


class Ports:
    """Ports that a scenario may count on, though nobody listens there for a while."""

    _taken: frozenset[int] = frozenset()
    _lock = threading.Lock()

    def __init__(self) -> None:
        self._mine: set[int] = set()

    def take(self) -> int:
        with Ports._lock:
            port = free_port()
            while port in Ports._taken:
                port = free_port()
            Ports._taken |= {port}
        self._mine.add(port)
        return port

    def give_back(self) -> None:
        with Ports._lock:
            Ports._taken -= self._mine
