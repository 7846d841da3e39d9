"""The C library's allocator, told to hold no more than is in use.

glibc keeps a pool for each of up to eight threads a core, raises with every large piece that is
freed the size from which one goes back to the system, and keeps the free pages within its pools.
Threads of a node come and go with associations: what it holds would depend on how many there once
were, and only grow.
"""

import ctypes
from contextlib import suppress

__all__ = ["give_back", "share_pools"]

_OPTIONS = {-8: 2, -3: 1 << 20, -1: 1 << 20}
"""M_ARENA_MAX, M_MMAP_THRESHOLD and M_TRIM_THRESHOLD of mallopt(3), the sizes in bytes."""


def share_pools() -> None:
    """Have all threads share two pools; to be called before there are any."""
    with suppress(AttributeError):  # another library than glibc
        mallopt = ctypes.CDLL(None).mallopt
        for option, value in _OPTIONS.items():
            mallopt(option, value)


def give_back() -> None:
    """Return the pages that are free to the system (malloc_trim(3)); takes milliseconds."""
    with suppress(AttributeError):
        ctypes.CDLL(None).malloc_trim(0)
