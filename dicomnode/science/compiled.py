"""Numba where it is installed; a cache on disk where there is a place for one."""

from collections.abc import Callable
from typing import Any

try:
    import numba
except ImportError:  # the numpy paths give the same answers, more slowly
    numba = None

__all__ = ["AVAILABLE", "compiled"]

AVAILABLE = numba is not None
"""Whether loops marked :func:`compiled` run as machine code."""


def compiled(function: Callable[..., Any]) -> Callable[..., Any]:
    """Compile on first call; cached beside the package or in the user's cache directory.

    A read-only installation without a home directory has neither: then each process compiles for
    itself. Without numba the plain Python function comes back.
    """
    if numba is None:
        return function
    try:
        return numba.njit(cache=True, nogil=True)(function)  # type: ignore[no-any-return]
    except RuntimeError:  # numba found no directory it may write to
        return numba.njit(nogil=True)(function)  # type: ignore[no-any-return]
