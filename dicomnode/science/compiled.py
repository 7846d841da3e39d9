"""Numba where it is installed; a cache on disk where there is a place for one; all cores."""

import os
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

try:
    import numba
except ImportError:  # the numpy paths give the same answers, more slowly
    numba = None

__all__ = ["AVAILABLE", "compiled", "cores", "in_parallel", "inlined", "vectorised"]

AVAILABLE = numba is not None
"""Whether loops marked :func:`compiled` or :func:`vectorised` run as machine code."""

Function = Callable[..., Any]
Task = TypeVar("Task")
Answer = TypeVar("Answer")


def compiled(function: Function) -> Function:
    """Compile on first call; cached beside the package or in the user's cache directory.

    A read-only installation without a home directory has neither: then each process compiles for
    itself. Without numba the plain Python function comes back.
    """
    return _compiled(function, {})


def vectorised(function: Function) -> Function:
    """As :func:`compiled`, free to reorder sums, so that loops use the full width of the core.

    For finite numbers only; a division by zero gives infinity.
    """
    return _compiled(function, {"fastmath": True, "error_model": "numpy"})


def inlined(function: Function) -> Function:
    """As :func:`vectorised`, and copied into its callers: a call would keep their loops scalar.

    Numba's cache on disk looks at the caller's file only: whoever changes an inlined function in
    place clears ``__pycache__`` of its callers.
    """
    return _compiled(function, {"fastmath": True, "error_model": "numpy", "inline": "always"})


def _compiled(function: Function, options: dict[str, Any]) -> Function:
    if numba is None:
        return function
    try:
        return numba.njit(cache=True, nogil=True, **options)(function)  # type: ignore[no-any-return]
    except RuntimeError:  # numba found no directory it may write to
        return numba.njit(nogil=True, **options)(function)  # type: ignore[no-any-return]


def cores() -> int:
    """Cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def in_parallel(work: Callable[[Task], Answer], tasks: Iterable[Task]) -> list[Answer]:
    """Do the tasks on all cores, in threads; the answers come in the tasks' order.

    Only for work that lets go of the interpreter: compiled loops and large numpy operations. The
    answers do not depend on the number of cores.
    """
    waiting = list(tasks)
    if cores() == 1 or len(waiting) < 2:
        return [work(task) for task in waiting]
    with ThreadPoolExecutor(cores()) as pool:
        return list(pool.map(work, waiting))
