"""Loops compiled by numba, with a cache on disk where there is a place for one; all cores."""

import hashlib
import os
import threading
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from functools import cache, partial
from pathlib import Path
from typing import Any, TypeVar

import numba
import numpy as np

__all__ = ["aligned", "compiled", "cores", "in_parallel", "inlined", "vectorised"]

_INLINED = ("compiled.py", "elementary.py")
"""Numba's cache on disk watches a function's own file; these are part of every function's name."""
_STAMP = "-" + hashlib.sha256(
    b"".join((Path(__file__).parent / name).read_bytes() for name in _INLINED)
).hexdigest()[:12]  # fmt: skip

_LINE = 64
"""Bytes in a line of the cache."""

Function = Callable[..., Any]
Task = TypeVar("Task")
Answer = TypeVar("Answer")


def compiled(function: Function) -> Function:
    """Compile on first call; cached beside the package or in the user's cache directory.

    A read-only installation without a home directory has neither: then each process compiles for
    itself.
    """
    return _compiled(function, {})


def vectorised(function: Function) -> Function:
    """As :func:`compiled`, free to reorder sums, so that loops use the full width of the core.

    For finite numbers only; a division by zero gives infinity.
    """
    return _compiled(function, {"fastmath": True, "error_model": "numpy"})


def inlined(function: Function) -> Function:
    """As :func:`vectorised`, and part of its callers' loops: a call would keep them scalar.

    What is inlined from other files than the caller's is in :data:`_INLINED`.
    """
    return _compiled(function, {"fastmath": True, "error_model": "numpy", "inline": "always"})


def _compiled(function: Function, options: dict[str, Any]) -> Function:
    """Compile, each callee into its caller.

    A callee left by itself would be there twice, optimised apart, once in the cache of each of its
    callers and once alone in the process that compiled it; the two may round differently, so that
    the first exam after an installation would be measured in other bits than the same exam later.
    """
    function.__qualname__ += _STAMP
    compiler = partial(numba.njit, nogil=True, forceinline=True, **options)
    try:
        return compiler(cache=True)(function)  # type: ignore[no-any-return]
    except RuntimeError:  # numba found no directory it may write to
        return compiler()(function)  # type: ignore[no-any-return]


def cores() -> int:
    """Cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@compiled
def aligned(rows, columns):  # type: ignore[no-untyped-def]
    """Give a matrix of single precision, values undefined, that begins where a cache line does.

    What lies across two lines takes twice as long to load.
    """
    spare = np.empty(rows * columns + _LINE // 4, np.float32)
    skipped = (-spare.ctypes.data % _LINE) // 4
    return spare[skipped : skipped + rows * columns].reshape(rows, columns)


def in_parallel(work: Callable[[Task], Answer], tasks: Iterable[Task]) -> list[Answer]:
    """Do the tasks on all cores, in threads; the answers come in the tasks' order.

    Only for work that lets go of the interpreter: compiled loops and large numpy operations. The
    answers do not depend on the number of cores. Within a task, further tasks are done in turn.
    """
    waiting = list(tasks)
    if cores() == 1 or len(waiting) < 2 or getattr(_here, "is_worker", False):
        return [work(task) for task in waiting]
    return list(_pool(cores(), os.getpid()).map(work, waiting))


_here = threading.local()


@cache
def _pool(threads: int, _process: int) -> ThreadPoolExecutor:
    """Threads that stay, and with them the memory they work in; a forked process has none."""
    return ThreadPoolExecutor(threads, initializer=_become_worker)


def _become_worker() -> None:
    _here.is_worker = True
