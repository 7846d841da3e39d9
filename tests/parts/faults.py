"""Calls that fail, stall or never return, on demand, at any method of a real object."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Literal

__all__ = ["Fault", "Faults", "Killed", "Mode"]

Mode = Literal["fails", "fails after", "stalls"]
"""The call raises and does nothing; does its work and raises; waits until it may go on."""

_PATIENCE_S = 120.0


class Killed(BaseException):
    """The process ended inside this call. Nothing catches it, as nothing catches SIGKILL."""


@dataclass
class Fault:
    """What happens to a call ("ledger.finish"), or to any call into one object ("ledger").

    ``after`` calls of that name go well first.
    """

    call: str
    mode: Mode
    error: Callable[[], Exception]
    after: int = 0

    def is_met_by(self, call: str) -> bool:
        if call != self.call and call.partition(".")[0] != self.call:
            return False
        self.after -= 1
        return self.after < 0


@dataclass
class Faults:
    """The faults that are planned, and the threads that they hold."""

    planned: list[Fault] = field(default_factory=list)
    down: dict[str, Callable[[], Exception]] = field(default_factory=dict)
    """Objects of which every call fails until further notice."""
    met: list[str] = field(default_factory=list)
    _changed: threading.Condition = field(default_factory=threading.Condition)
    _working: set[int] = field(default_factory=set)
    _stalled: set[int] = field(default_factory=set)
    _generation: int = 0
    _killing: bool = False

    def on(self, name: str, real: Any) -> Any:
        """Stand before an object: its methods may meet a fault first."""
        return _Faulty(self, name, real)

    @contextmanager
    def work(self) -> Iterator[None]:
        """Count this thread among those that :meth:`wait_for_work` waits for."""
        me = threading.get_ident()
        with self._changed:
            self._working.add(me)
        try:
            yield
        finally:
            with self._changed:
                self._working.discard(me)
                self._changed.notify_all()

    def wait_for_work(self) -> None:
        """Return when every thread at work has ended or is held by a fault."""
        with self._changed:
            done = self._changed.wait_for(lambda: self._working <= self._stalled, _PATIENCE_S)
        assert done, "a thread neither ended nor met a fault"

    def go_on(self) -> None:
        """Let what stalls go on."""
        with self._changed:
            self._generation += 1
            self._stalled.clear()
            self._changed.notify_all()
        self.wait_for_work()

    def kill(self) -> None:
        """End every thread that stalls, where it stands."""
        self._killing = True
        self.go_on()
        self._killing = False

    def meet(self, call: str, perform: Callable[[], Any]) -> Any:
        """Perform a call, or what is planned for it."""
        fault = self._next(call)
        if fault is None and (error := self.down.get(call.partition(".")[0])):
            raise error()
        if fault is None:
            return perform()
        self.met.append(f"{call} {fault.mode}")
        if fault.mode == "stalls" and threading.get_ident() in self._working:
            self._stall()
            return perform()
        if fault.mode == "fails after":
            perform()
        raise fault.error()

    def _next(self, call: str) -> Fault | None:
        with self._changed:
            for fault in self.planned:
                if fault.is_met_by(call):
                    self.planned.remove(fault)
                    return fault
        return None

    def _stall(self) -> None:
        with self._changed:
            generation = self._generation
            self._stalled.add(threading.get_ident())
            self._changed.notify_all()
            went_on = self._changed.wait_for(lambda: self._generation > generation, _PATIENCE_S)
        assert went_on, "nobody let a stalled call go on"
        if self._killing:
            raise Killed


class _Faulty:
    def __init__(self, faults: Faults, name: str, real: Any) -> None:
        self._faults, self._name, self._real = faults, name, real

    def __getattr__(self, attribute: str) -> Any:
        found = getattr(self._real, attribute)
        if not callable(found):
            return found

        def call(*args: Any, **options: Any) -> Any:
            return self._faults.meet(f"{self._name}.{attribute}", lambda: found(*args, **options))

        return call
