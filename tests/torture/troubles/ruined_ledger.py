"""A ledger that is truncated, overwritten, deleted or read-only: while the node runs, at start."""

import os
import sqlite3
import subprocess
from collections.abc import Callable, Mapping
from contextlib import closing
from functools import partial
from pathlib import Path

from torture.arena import Arena
from torture.figures import Figure
from torture.scanner import Clip
from torture.scenario import Scale, Scenario, Trouble
from torture.troubles.disk_full import cannot_mount, small_disk

__all__ = ["TROUBLE"]

NAMES = ("ledger", "database")
"""What a message about it must hold one of."""


def _truncated(ledger: Path) -> None:
    os.truncate(ledger, ledger.stat().st_size // 2)


def _emptied(ledger: Path) -> None:
    os.truncate(ledger, 0)


def _overwritten(ledger: Path) -> None:
    """Noise over everything behind the first page, and over what was not checkpointed."""
    for path in (ledger, ledger.with_name(ledger.name + "-wal")):
        if path.exists() and (size := path.stat().st_size) > 4096:
            with path.open("r+b") as file:
                file.seek(4096)
                file.write(b"\xa5" * (size - 4096))


def _not_a_database(ledger: Path) -> None:
    ledger.write_bytes(b"this is not a database\n" * 1000)


def _deleted(ledger: Path) -> None:
    for path in ledger.parent.glob(f"{ledger.name}*"):
        path.unlink()


RUINS: Mapping[str, Callable[[Path], None]] = {
    "truncated": _truncated,
    "emptied": _emptied,
    "overwritten": _overwritten,
    "not a database": _not_a_database,
    "deleted": _deleted,
}


def scenarios(scale: Scale) -> list[Scenario]:
    ruins = list(RUINS) if scale.every_phase else ["deleted"]
    found = [
        Scenario(name=f"{ruin} {when}", run=partial(run, RUINS[ruin]))
        for ruin in ruins
        for when, run in (("while running", _while_running), ("at start", _at_start))
    ]
    if scale.every_phase:
        found.append(Scenario(name="read-only at start", run=_read_only, needs=cannot_mount()))
    return found


def _while_running(ruin: Callable[[Path], None], arena: Arena) -> None:
    """What is acknowledged afterwards must be in a ledger that another process can read."""
    node = arena.start().ready()
    arena.send(2)
    arena.settle()
    before = list(arena.scanner.acknowledged)
    _ruin(ruin, arena)
    for _ in range(3):
        arena.send()
    _expect_named(arena, node.log, before)
    _check_acknowledged(arena, before)


def _at_start(ruin: Callable[[Path], None], arena: Arena) -> None:
    """A node that holds files without rows must not start as if nothing had been."""
    arena.start().ready()
    arena.send(2)
    arena.settle()
    before = list(arena.scanner.acknowledged)
    arena.kill()
    _ruin(ruin, arena)
    node = arena.start()
    arena.node = None  # it may end
    arena.wait_for(
        "the node ends or is ready",
        lambda: node.process.poll() is not None or node.saw("node.ready"),
    )
    if node.process.poll() is None:
        arena.send()
    _expect_named(arena, node.log, before)
    _check_acknowledged(arena, before)


def _ruin(ruin: Callable[[Path], None], arena: Arena) -> None:
    """Ruin it when all is in its own file: what is in the log beside it would mend it."""
    ledger = arena.site.data_dir / "ledger.sqlite"
    with closing(sqlite3.connect(ledger, timeout=30.0)) as other:
        other.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    ruin(ledger)


def _check_acknowledged(arena: Arena, before: list[str]) -> None:
    """Earlier instances lie in the spool at least; later ones are recorded. Then judge no more."""
    arena.studies_judged = False
    for uid, clip in list(arena.scanner.acknowledged.items()):
        if uid in before:
            if not arena.books.in_spool(clip):
                arena.fault(Figure.LOST, f"{uid}: its file is gone from the spool")
        elif not _recorded(arena, clip):
            arena.fault(Figure.LOST, f"{uid} was acknowledged and is in no ledger that can be read")
        arena.did["acknowledged"] += 1
    arena.scanner.acknowledged.clear()
    arena.ledger_judged = False


def _recorded(arena: Arena, clip: Clip) -> bool:
    try:
        return arena.books.holds(clip)
    except sqlite3.DatabaseError:
        return False


def _expect_named(arena: Arena, log: Path, before: list[str]) -> None:
    """Some warning or error, or the last words of a node that ended, names the ledger.

    A ledger that still tells of everything has been mended; nothing is to be said of it.
    """
    if all(_recorded(arena, arena.scanner.acknowledged[uid]) for uid in before):
        return
    told = [line for line in log.read_text().splitlines() if '"level": "info"' not in line]
    if not any(name in line for line in told for name in NAMES):
        arena.fault(Figure.SILENT, f"no warning and no error names the ledger: {told[-3:]}")


def _read_only(arena: Arena) -> None:
    """A node on a file system that is read-only says so and ends; writable again, it works."""
    data_dir = str(small_disk(arena))
    arena.start().ready()
    arena.send()
    arena.settle()
    arena.kill()
    subprocess.run(["mount", "-o", "remount,ro", data_dir], check=True)
    node = arena.start()
    arena.wait_for("the node ends", lambda: node.process.poll() is not None)
    if data_dir not in node.log.read_text():
        arena.fault(Figure.SILENT, f"read-only: {node.log.read_text()[-300:]}")
    subprocess.run(["mount", "-o", "remount,rw", data_dir], check=True)
    arena.start().ready()
    arena.send()
    arena.settle()


TROUBLE = Trouble(
    name="ruined ledger",
    what="the ledger is truncated, emptied, overwritten, replaced or deleted while the node runs "
    "and at start; its file system becomes read-only",
    scenarios=scenarios,
)
