"""The memory that a worker may take, and that it has taken.

Address space says little: onnxruntime, numba and thread stacks reserve far more than they use. What
counts here is what lies in memory, as the kernel tells it of a process that runs. Beside it the
kernel itself refuses a worker a single piece far beyond its limit, before any of it is used.
"""

import os
import resource
from contextlib import suppress
from pathlib import Path

__all__ = ["GIB", "confine", "machine_bytes", "share_bytes", "used_bytes"]

GIB = 2**30
_FOR_WORKERS = 0.75
"""Of the machine's memory; the rest is the node's, the system's and the disk's cache."""
_LEAST_BYTES = 2 * GIB  # a large exam fits
_RESERVED = 1.5
"""What may be reserved, against what may be used."""


def share_bytes(workers: int) -> int:
    """Give each of so many workers its part of this machine's memory."""
    return max(int(machine_bytes() * _FOR_WORKERS / workers), _LEAST_BYTES)


def machine_bytes() -> int:
    """Say how much memory this process's machine has, or its control group where that is less."""
    physical = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return min([physical, *_group_limits()])


def used_bytes(pid: int) -> int:
    """Measure what a process has in memory or swapped out; 0 when it is gone (proc(5))."""
    kib = 0
    with suppress(OSError):
        for line in Path(f"/proc/{pid}/status").read_text().splitlines():
            name, _, value = line.partition(":")
            if name in ("VmRSS", "VmSwap"):
                kib += int(value.split()[0])
    return kib * 1024


def confine(limit_bytes: int) -> None:
    """Have the kernel refuse this process what is far beyond its limit (getrlimit(2))."""
    most = int(limit_bytes * _RESERVED)
    resource.setrlimit(resource.RLIMIT_DATA, (most, most))


def _group_limits() -> list[int]:
    """Read the limits of this process's control group and those above it (cgroups(7), v2)."""
    limits = []
    with suppress(OSError):
        for line in Path("/proc/self/cgroup").read_text().splitlines():
            number, _, path = line.split(":", 2)
            group = Path("/sys/fs/cgroup") / path.lstrip("/")
            for one in (group, *group.parents) if number == "0" else ():
                limits += _limit(one / "memory.max")
    return limits


def _limit(path: Path) -> list[int]:
    with suppress(OSError, ValueError):  # none is written as "max"
        return [int(path.read_text())]
    return []
