"""The interface of a job, without the engine that runs it."""

from collections.abc import Callable
from typing import Any, Protocol, TypeAlias, TypeVar

__all__ = ["Interrupted", "Job", "Step"]

_R = TypeVar("_R")


class Interrupted(BaseException):
    """The node stops; the job goes on at the next start.

    Not an :class:`Exception`: the engine must not record it as the job's end.
    """


class Step(Protocol):
    """Runs one step of a job; its result is remembered, so it must be plain JSON."""

    def __call__(self, name: str, function: Callable[..., _R], *args: Any) -> _R:
        """Run ``function``, or give what it returned before a crash."""


Job: TypeAlias = Callable[..., None]
"""Takes a :class:`Step`, its own name, then the arguments it was submitted with."""
