"""The moments of an exam's way at which a cause may begin, each reached by waiting for it."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from functools import partial
from typing import Protocol

from torture.arena import Arena
from torture.scanner import study
from torture.scenario import Scenario
from torture.wire import LostError, connected

__all__ = ["PHASES", "SHORT_PHASES", "Cause", "at_phases"]


class Cause(Protocol):
    """Something that is wrong with the machine for a while."""

    def begin(self, arena: Arena) -> None: ...

    def last(self, arena: Arena) -> None:
        """Return when it has done what it can."""

    def end(self, arena: Arena) -> None: ...


def receiving(arena: Arena, cause: Cause) -> None:
    """It begins between two clips of one association."""
    one = study(3)
    arena.scanner.add(one)
    with suppress(LostError, TimeoutError), connected(arena.site.port) as connection:
        connection.associate([(one.clips[0].sop_class, one.clips[0].syntax)])
        arena.scanner.store(connection, one.clips[0])
        cause.begin(arena)
        arena.scanner.store(connection, one.clips[1])
        connection.release()
    cause.last(arena)
    cause.end(arena)


def association_ends(arena: Arena, cause: Cause) -> None:
    """It begins when all was sent and the association is still open."""
    one = study(2)
    arena.scanner.add(one)
    with suppress(LostError, TimeoutError), connected(arena.site.port) as connection:
        connection.associate([(one.clips[0].sop_class, one.clips[0].syntax)])
        for clip in one.clips:
            arena.scanner.store(connection, clip)
        cause.begin(arena)
        connection.release()
    cause.last(arena)
    cause.end(arena)


def analysing(arena: Arena, cause: Cause) -> None:
    """It begins while a worker works, so that the result is to be written while it lasts."""
    arena.send(2, "wait")
    arena.wait_for("a worker is at it", arena.marker("wait").exists)
    cause.begin(arena)
    arena.marker("go").touch()
    cause.last(arena)
    cause.end(arena)


def delivering(arena: Arena, cause: Cause) -> None:
    """It begins while one exam's results are being sent and another's wait for the same PACS."""
    arena.pacs.open_.clear()
    arena.send(2)
    arena.wait_for("the PACS is asked to store", lambda: arena.pacs.asked)
    arena.send()
    arena.wait_for(
        "both exams are analysed",
        lambda: [row[2] for row in arena.books.exams()] == ["analysed", "analysed"],
    )
    cause.begin(arena)
    arena.pacs.open_.set()
    cause.last(arena)
    cause.end(arena)


PHASES: Mapping[str, Callable[[Arena, Cause], None]] = {
    "receiving": receiving,
    "association ends": association_ends,
    "analysing": analysing,
    "delivering": delivering,
}
SHORT_PHASES = ("analysing",)


def at_phases(
    name: str, cause: Callable[[], Cause], phases: Sequence[str], *, needs: str = ""
) -> list[Scenario]:
    """A scenario for each phase, all with the same cause."""
    return [
        Scenario(name=f"{name}, {phase}", run=partial(_run, cause, phase), needs=needs)
        for phase in phases
    ]


def _run(make: Callable[[], Cause], phase: str, arena: Arena) -> None:
    arena.start().ready()
    PHASES[phase](arena, make())
    arena.send_rest()
    arena.settle()
