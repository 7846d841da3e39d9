"""A clock that a test may set while it runs."""

from collections.abc import Callable
from pathlib import Path

__all__ = ["wrong_clock"]


def wrong_clock(right: Callable[[], float], offset: Path) -> Callable[[], float]:
    """The right clock, off by the seconds that a file holds, while there is one."""

    def now() -> float:
        try:
            return right() + float(offset.read_text() or 0)
        except FileNotFoundError:
            return right()

    return now
