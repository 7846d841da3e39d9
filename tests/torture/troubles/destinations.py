"""Destinations that refuse, hang, lie and die, beside one that works."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

from parts.site import Destination
from torture.arena import Arena
from torture.figures import Figure
from torture.front import MANNERS, Front
from torture.judge import doubled, missing
from torture.pacs import Pacs
from torture.scenario import Scale, Scenario, Trouble

__all__ = ["TROUBLE"]

MET = 2
"""Times that each must have been tried while it is bad."""


@dataclass
class Bad:
    """A destination, what it does, and the PACS behind it."""

    name: str
    manner: str
    pacs: Pacs
    front: Front

    @property
    def tried(self) -> int:
        return max(self.front.met, self.pacs.asked)

    def mend(self) -> None:
        self.pacs.status = 0x0000
        self.front.become("good")


STATUSES = {"A700": 0xA700, "C000": 0xC000, "0110": 0x0110, "0122": 0x0122, "unknown": 0x9ABC}
"""What a PACS answers to every C-STORE."""
PDUS = {"PDU without limit": 0, "tiny PDU": 64}


def scenarios(scale: Scale) -> list[Scenario]:
    manners = [one for one in MANNERS if one != "good"]
    if not scale.every_phase:
        return [_scenario("a few", ["rejects for good", "accepts and hangs"], ["A700"], [])]
    return [
        _scenario("that cannot be talked to", manners[:8], [], []),
        _scenario("that break off", manners[8:], [], []),
        _scenario("that answer oddly", [], list(STATUSES), list(PDUS)),
    ]


def _scenario(
    name: str, manners: Sequence[str], statuses: Sequence[str], pdus: Sequence[str]
) -> Scenario:
    return Scenario(name=name, run=partial(_deliver, manners, statuses, pdus))


def _deliver(
    manners: Sequence[str], statuses: Sequence[str], pdus: Sequence[str], arena: Arena
) -> None:
    arena.studies_judged = False
    bad = [
        *(_bad(arena, manner=manner) for manner in manners),
        *(_bad(arena, status=status) for status in statuses),
        *(_bad(arena, pdu=pdu) for pdu in pdus),
    ]
    arena.site.further = tuple(
        Destination(name=one.name, ae_title="PACS", port=one.front.port) for one in bad
    )
    arena.site.write_settings(min_free_gib=0.0)
    arena.start().ready()
    sent = [arena.send(2), arena.send()]
    arena.wait_for(
        "the good destination has everything",
        lambda: not any(list(missing(arena.pacs.held, one)) for one in sent),
    )
    arena.wait_for("each bad one was tried", lambda: all(one.tried >= 1 for one in bad))
    for one in bad:
        one.mend()
    arena.did["destinations"] += len(bad) + 1
    arena.settle()
    _release_parked(arena)
    arena.settle()
    for one in bad:
        arena.faults += doubled(arena.books, one.pacs.held)
        for study in sent:
            for fault in missing(one.pacs.held, study):
                arena.fault(Figure.MISSING, f"{one.manner}: {fault.what}")


def _release_parked(arena: Arena) -> None:
    """What a person does after a destination said no for good."""
    ledger = arena.site.ledger()
    parked = "select distinct exam_id from deliveries where state = 'parked'"
    for (number,) in arena.books.ask(parked):
        arena.did["released by a person"] += ledger.release(int(str(number)), now=0.0)
    ledger.close()


def _bad(arena: Arena, *, manner: str = "good", status: str = "", pdu: str = "") -> Bad:
    pacs = Pacs(arena.ports.take(), status=STATUSES.get(status, 0), max_pdu=PDUS.get(pdu, 16_382))
    arena.stack.enter_context(pacs)
    front = Front(pacs.port, manner)
    arena.stack.callback(front.close)
    what = f"answers {status}" if status else pdu or manner
    name = what.replace(" ", "-").lower()
    return Bad(name=name, manner=what, pacs=pacs, front=front)


TROUBLE = Trouble(
    name="destinations",
    what="they reject, hang, close, abort, answer garbage or odd statuses, read slowly, speak TLS, "
    "beside one that works; then all turn good, and a person releases what was parked",
    scenarios=scenarios,
)
