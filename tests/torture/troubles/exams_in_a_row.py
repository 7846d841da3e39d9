"""Many small exams one after the other: memory, files and threads stay where they were."""

import re
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
    before: Mapping[str, float] = {}
    opened: Counter[str] = Counter()
    for number in range(AT_ONCE, count + 1, AT_ONCE):
        sent = [arena.send() for _ in range(AT_ONCE)]
        arena.wait_for(
            "the results arrive",
            lambda sent=sent: not any(list(missing(arena.pacs.held, one)) for one in sent),
        )
        if number == SETTLED_AFTER:
            arena.settle()
            before, opened = _used(arena), _opened(arena)
    arena.settle()
    after = _used(arena)
    more = ", ".join(sorted((_opened(arena) - opened).elements()))
    arena.did["exams"] += count
    for what, value in after.items():
        growth = value / before[what] - 1.0
        arena.measured[f"growth of {what} %"] = 100.0 * growth
        if growth > MOST_GROWTH:
            named = f" ({more})" if what == "files" else ""
            arena.fault(Figure.GREW, f"{what}: {before[what]:.0f} to {value:.0f}{named}")


def _used(arena: Arena) -> dict[str, float]:
    """What the node's process holds, as the kernel counts it."""
    process = _process(arena)
    status = dict(
        line.split(":", 1) for line in (process / "status").read_text().splitlines() if ":" in line
    )
    return {
        "memory": float(status["VmRSS"].split()[0]),
        "files": float(len(list((process / "fd").iterdir()))),
        "threads": float(status["Threads"]),
    }


def _opened(arena: Arena) -> Counter[str]:
    """What the node holds open, by name: a socket is like any other."""
    names: Counter[str] = Counter()
    for descriptor in (_process(arena) / "fd").iterdir():
        with suppress(FileNotFoundError):
            names[re.sub(r":\[\d+\]$", "", str(descriptor.readlink()))] += 1
    return names


def _process(arena: Arena) -> Path:
    assert arena.node is not None
    return Path("/proc") / str(arena.node.process.pid)


TROUBLE = Trouble(
    name="exams in a row",
    what="resident memory, open files and threads of the node, after the 50th exam and the last",
    scenarios=scenarios,
)
