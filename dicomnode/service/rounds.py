"""Something that is done every few seconds, for as long as the node runs."""

import threading
from collections.abc import Callable
from types import TracebackType
from typing import Self

import structlog

__all__ = ["Rounds"]

log = structlog.get_logger(__name__)

_PATIENCE_S = 2.0


class Rounds:
    """A thread that does its round, waits and does it again; a round that fails is logged."""

    def __init__(self, name: str, do: Callable[[], None], *, every_s: float) -> None:
        self._do = do
        self._every_s = every_s
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        _kind: type[BaseException] | None,
        _error: BaseException | None,
        _trace: TracebackType | None,
    ) -> None:
        """Begin no other round; one that hangs is left behind."""
        self._stopping.set()
        self._thread.join(_PATIENCE_S)

    def _run(self) -> None:
        while not self._stopping.is_set():
            try:
                self._do()
            except Exception:
                log.exception("round.failed", of=self._thread.name)
            self._stopping.wait(self._every_s)
