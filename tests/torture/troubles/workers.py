"""Workers that are killed, run out of memory or hang in C, beside exams that are fine."""

import os
import signal
from contextlib import suppress
from pathlib import Path

from torture.arena import Arena
from torture.figures import Figure
from torture.scenario import Scale, Scenario, Trouble

__all__ = ["TROUBLE"]

TIMEOUT_S = 20.0
MEMORY_GIB = 0.5
EXPECTED = {
    "die once": "analysed",
    "die": "failed",
    "hang": "failed",
    "stuck": "failed",
    "eat": "failed",
    "raise": "failed",
    "refuse": "refused",
    "": "analysed",
}
"""What a clip tells the stand-in to do, and what must become of its exam."""


def scenarios(scale: Scale) -> list[Scenario]:
    own = Scenario(name="each its own trouble", run=_own_trouble)
    killed = Scenario(name="killed from outside", run=_killed)
    return [own, killed] if scale.every_phase else [own]


def _own_trouble(arena: Arena) -> None:
    arena.site.write_settings(min_free_gib=0.0, timeout_s=TIMEOUT_S, workers=2)
    arena.start(DICOMNODE__NODE__WORKER_MEMORY_GIB=str(MEMORY_GIB)).ready()
    sent = {comment: arena.send(1, comment) for comment in EXPECTED}
    arena.guilty |= {
        sent[comment].uid for comment, state in EXPECTED.items() if state != "analysed"
    }
    arena.wait_for("every exam is known", lambda: len(arena.books.exams()) == len(EXPECTED))
    arena.settle()
    found = {str(uid): (state, reasons) for _, uid, state, reasons in arena.books.exams()}
    for comment, expected in EXPECTED.items():
        state, reasons = found[sent[comment].uid]
        if state != expected:
            arena.fault(Figure.GIVEN_UP, f"{comment!r} became {state}, expected {expected}")
        if state == "failed" and not reasons:
            arena.fault(Figure.SILENT, f"{comment!r} failed without a reason")


def _killed(arena: Arena) -> None:
    """A worker, then the process that workers are forked from, ended by somebody else."""
    arena.site.write_settings(min_free_gib=0.0, workers=2)
    arena.start().ready()
    assert arena.node is not None
    for victim in ("worker", "fork server"):
        for name in ("wait", "go"):
            arena.marker(name).unlink(missing_ok=True)
        arena.send(1, "wait")
        arena.wait_for("a worker is at it", arena.marker("wait").exists)
        (server,) = _children(arena.node.process.pid, "forkserver")
        doomed = _children(server, "")[-1] if victim == "worker" else server
        os.kill(doomed, signal.SIGKILL)
        arena.did["processes killed"] += 1
        arena.marker("go").touch()
        arena.send()
        arena.settle()


def _children(parent: int, of: str) -> list[int]:
    """Processes below one, oldest first, whose command line has a word."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal():
            with suppress(OSError):
                stat = (entry / "stat").read_text().rsplit(")", 1)[1].split()
                command = (entry / "cmdline").read_text()
                if int(stat[1]) == parent and of in command:
                    found.append((int(stat[19]), int(entry.name)))
    return [pid for _, pid in sorted(found)]


TROUBLE = Trouble(
    name="workers",
    what="a worker dies once or always, sleeps, hangs in C with the interpreter's lock held, runs "
    "out of memory; a worker and the fork server are killed from outside",
    scenarios=scenarios,
)
