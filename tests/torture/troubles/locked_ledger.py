"""Another process holds the write lock of the ledger, or of the engine's tables."""

import sqlite3
import time
from functools import partial

from torture.arena import Arena
from torture.phases import PHASES, SHORT_PHASES, at_phases
from torture.scenario import Scale, Scenario, Trouble

__all__ = ["TROUBLE"]

HELD_S = 16.0
"""Longer than SQLite waits for a lock here (10 s)."""


class Locked:
    """BEGIN EXCLUSIVE on a database of the data directory."""

    def __init__(self, *names: str) -> None:
        self._names = names

    def begin(self, arena: Arena) -> None:
        self._held = []
        for name in self._names:
            path = arena.site.data_dir / name
            other = sqlite3.connect(
                path, isolation_level=None, timeout=60.0, check_same_thread=False
            )
            other.execute("BEGIN EXCLUSIVE")
            self._held.append(other)
        self._until = time.monotonic() + HELD_S

    def last(self, arena: Arena) -> None:
        time.sleep(max(0.0, self._until - time.monotonic()))

    def end(self, arena: Arena) -> None:
        for other in self._held:
            other.execute("ROLLBACK")
            other.close()


DATABASES = {
    "ledger": ("ledger.sqlite",),
    "engine's tables": ("jobs.sqlite",),
    "both": ("ledger.sqlite", "jobs.sqlite"),
}


def scenarios(scale: Scale) -> list[Scenario]:
    phases = list(PHASES) if scale.every_phase else SHORT_PHASES
    databases = DATABASES if scale.every_phase else ["ledger"]
    return [
        scenario
        for database in databases
        for scenario in at_phases(database, partial(Locked, *DATABASES[database]), phases)
    ]


TROUBLE = Trouble(
    name="locked ledger",
    what=f"another process holds the write lock for {HELD_S:.0f} s at each phase",
    scenarios=scenarios,
)
