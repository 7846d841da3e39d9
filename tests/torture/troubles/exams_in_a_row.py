"""Many small exams one after the other: memory, files and threads stay where they were."""

import os
import re
import signal
from collections import Counter
from collections.abc import Mapping
from contextlib import suppress
from functools import partial
from pathlib import Path

from torture.arena import Arena
from torture.figures import Figure
from torture.judge import missing
from torture.scenario import Scale, Scenario, Trouble

__all__ = ["TROUBLE"]

SETTLED_AFTER = 50
"""Exams until everything was used once."""
AT_ONCE = 5
MOST_GROWTH = 0.02


def scenarios(scale: Scale) -> list[Scenario]:
    if scale.exams_in_a_row == 0:
        return []
    run = partial(_run, scale.exams_in_a_row)
    return [Scenario(name=f"{scale.exams_in_a_row} exams", run=run)]


def _run(count: int, arena: Arena) -> None:
    arena.site.write_settings(min_free_gib=0.0, quiet_s=0.1, workers=2)
    arena.start().ready()
    before: Mapping[str, Counter[str]] = {}
    for number in range(AT_ONCE, count + 1, AT_ONCE):
        sent = [arena.send() for _ in range(AT_ONCE)]
        arena.wait_for(
            "the results arrive",
            lambda sent=sent: not any(list(missing(arena.pacs.held, one)) for one in sent),
        )
        if number == SETTLED_AFTER:
            arena.settle()
            before = _used(arena)
    arena.settle()
    arena.did["exams"] += count
    for what, used in _used(arena).items():
        growth = used.total() / before[what].total() - 1.0
        arena.measured[f"growth of {what} %"] = 100.0 * growth
        if growth > MOST_GROWTH:
            more = ", ".join(sorted(map(str, (used - before[what]).items())))
            amounts = f"{before[what].total()} to {used.total()}"
            arena.fault(Figure.GREW, f"{what}: {amounts}, more are {more}")


def _used(arena: Arena) -> dict[str, Counter[str]]:
    """What the node's process holds, by name."""
    return {"memory": _memory(arena), "files": _files(arena), "threads": _threads(arena)}


def _memory(arena: Arena) -> Counter[str]:
    """Resident kilobytes, as the kernel counts them."""
    lines = (_process(arena) / "status").read_text().splitlines()
    (resident,) = (line.split()[1] for line in lines if line.startswith("VmRSS:"))
    return Counter({"kB": int(resident)})


def _files(arena: Arena) -> Counter[str]:
    """What is open; a socket is like any other."""
    names: Counter[str] = Counter()
    for descriptor in (_process(arena) / "fd").iterdir():
        with suppress(FileNotFoundError):
            names[re.sub(r":\[\d+\]$", "", str(descriptor.readlink()))] += 1
    return names


def _threads(arena: Arena) -> Counter[str]:
    """Threads as the node names them; one of a pool is like any other."""
    assert arena.node is not None
    told = arena.root / "threads"
    told.unlink(missing_ok=True)
    os.kill(arena.node.process.pid, signal.SIGUSR2)
    arena.wait_for("the threads are named", told.exists)
    return Counter(re.sub(r"[\d.:@_ -]+$", "", name) for name in told.read_text().splitlines())


def _process(arena: Arena) -> Path:
    assert arena.node is not None
    return Path("/proc") / str(arena.node.process.pid)


TROUBLE = Trouble(
    name="exams in a row",
    what="resident memory, open files and threads of the node, after the 50th exam and the last",
    scenarios=scenarios,
)
