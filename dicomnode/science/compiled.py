"""Numba where it is installed; a cache on disk where there is a place for one; all cores."""

import hashlib
import os
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

try:
    import numba
except ImportError:  # the numpy paths give the same answers, more slowly
    numba = None

__all__ = ["AVAILABLE", "compiled", "cores", "in_parallel", "inlined", "vectorised"]

AVAILABLE = numba is not None
"""Whether loops marked :func:`compiled` or :func:`vectorised` run as machine code."""

_INLINED = ("compiled.py", "elementary.py")
"""Numba's cache on disk watches a function's own file; these are part of every function's name."""
_STAMP = "-" + hashlib.sha256(
    b"".join((Path(__file__).parent / name).read_bytes() for name in _INLINED)
).hexdigest()[:12]  # fmt: skip

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

    What is inlined from other files than the caller's is in :data:`_INLINED`.
    """
    return _compiled(function, {"fastmath": True, "error_model": "numpy", "inline": "always"})


def _compiled(function: Function, options: dict[str, Any]) -> Function:
    if numba is None:
        return function
    function.__qualname__ += _STAMP
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
