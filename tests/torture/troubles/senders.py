"""Senders that vanish, trickle, flood, and lie about lengths, beside one that behaves."""

import struct
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack, suppress
from functools import partial

from torture.arena import Arena
from torture.figures import Figure
from torture.scanner import Study, study
from torture.scenario import Scale, Scenario, Trouble
from torture.wire import (
    Connection,
    LostError,
    associate_request,
    connected,
    data_pdu,
    store_command,
)

__all__ = ["TROUBLE"]

STALL_S = 1.0
"""Between the bytes of one who trickles: each is in time, the whole is not."""


def scenarios(scale: Scale) -> list[Scenario]:
    manners = Scenario(name="bad manners", run=_bad_manners)
    if not scale.every_phase:
        return [manners]
    return [
        manners,
        Scenario(name="flood", run=partial(_flood, scale.connections)),
        Scenario(name="huge association", run=partial(_huge, scale.instances)),
    ]


def _bad_manners(arena: Arena) -> None:
    arena.start().ready()
    for manner in MANNERS.values():
        one = study()
        with suppress(LostError, TimeoutError, OSError), connected(arena.site.port) as connection:
            manner(connection, one)
        arena.did["bad senders"] += 1
        arena.send()
    _still_welcome(arena)


def _flood(connections: int, arena: Arena) -> None:
    """Connections that say nothing, or half of something; who behaves gets through after them."""
    arena.start().ready()
    with ExitStack() as stack:
        for number in range(connections):
            with suppress(LostError, OSError):
                connection = stack.enter_context(connected(arena.site.port))
                if number % 2:
                    connection.stream.sendall(b"\x01\x00\x00\x00\x01\x00")
                arena.did["connections"] += 1
    _still_welcome(arena)


def _huge(instances: int, arena: Arena) -> None:
    """Many instances over one association, with as many contexts as there may be."""
    arena.start().ready()
    one = study(instances)
    arena.scanner.add(one)
    first = one.clips[0]
    with connected(arena.site.port) as connection:
        connection.associate([(first.sop_class, first.syntax)] * 128)
        for clip in one.clips:
            if status := arena.scanner.store(connection, clip):
                arena.fault(Figure.MISSING, f"instance refused with {status:#06x}")
        connection.release()
    arena.did["instances"] += instances
    arena.settle()


def _still_welcome(arena: Arena) -> None:
    arena.send()
    arena.send_rest()
    arena.settle()
    incoming = arena.site.data_dir / "spool" / "incoming"

    def empty() -> bool:
        return not any(incoming.iterdir())

    arena.wait_for("nothing half received is left", empty)


def _request(connection: Connection, one: Study) -> None:
    connection.associate([(one.clips[0].sop_class, one.clips[0].syntax)])


def _command(one: Study) -> bytes:
    command = store_command(one.clips[0].sop_class, one.clips[0].uid, 1)
    return data_pdu(1, command, command=True, last=True)


def _vanishes_in_the_request(connection: Connection, one: Study) -> None:
    connection.stream.sendall(
        associate_request([(one.clips[0].sop_class, one.clips[0].syntax)])[:40]
    )
    connection.vanish()


def _vanishes_after_the_command(connection: Connection, one: Study) -> None:
    _request(connection, one)
    connection.stream.sendall(_command(one))
    connection.vanish()


def _vanishes_in_the_data(connection: Connection, one: Study) -> None:
    _request(connection, one)
    part = data_pdu(1, one.clips[0].dataset[:200], command=False, last=False)
    connection.stream.sendall(_command(one) + part[:150])
    connection.vanish()


def _vanishes_before_the_answer(connection: Connection, one: Study) -> None:
    _request(connection, one)
    connection.ask_to_store(one.clips[0].sop_class, one.clips[0].uid, one.clips[0].dataset)
    connection.vanish()


def _leaves_without_release(connection: Connection, one: Study) -> None:
    _request(connection, one)
    connection.stream.close()


def _trickles(connection: Connection, one: Study) -> None:
    for byte in associate_request([(one.clips[0].sop_class, one.clips[0].syntax)])[:8]:
        connection.stream.sendall(bytes([byte]))
        time.sleep(STALL_S)


def _pdu_longer_than_sent(connection: Connection, one: Study) -> None:
    _request(connection, one)
    connection.stream.sendall(_command(one) + struct.pack(">BBL", 4, 0, 5_000) + bytes(100))
    connection.stream.close()


def _pdu_of_four_gigabytes(connection: Connection, one: Study) -> None:
    _request(connection, one)
    connection.stream.sendall(struct.pack(">BBL", 4, 0, 0xFFFFFFFF) + bytes(1000))
    connection.stream.close()


def _value_longer_than_its_pdu(connection: Connection, one: Study) -> None:
    _request(connection, one)
    body = struct.pack(">LBB", 9_999, 1, 3) + bytes(100)
    connection.stream.sendall(struct.pack(">BBL", 4, 0, len(body)) + body)
    connection.answer()


def _value_of_no_length(connection: Connection, one: Study) -> None:
    _request(connection, one)
    body = struct.pack(">L", 0)
    connection.stream.sendall(struct.pack(">BBL", 4, 0, len(body)) + body)
    connection.answer()


def _element_longer_than_the_data(connection: Connection, one: Study) -> None:
    _request(connection, one)
    clip = one.clips[0]
    lie = struct.pack("<HH2sHL", 0x0008, 0x0005, b"OB", 0, 0x7FFFFFFF)
    connection.store(clip.sop_class, clip.uid, lie + clip.dataset)


def _unknown_context(connection: Connection, one: Study) -> None:
    _request(connection, one)
    connection.store(one.clips[0].sop_class, one.clips[0].uid, one.clips[0].dataset, context=77)


def _http(connection: Connection, one: Study) -> None:
    connection.stream.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
    connection.read()


MANNERS: Mapping[str, Callable[[Connection, Study], None]] = {
    manner.__name__.strip("_").replace("_", " "): manner
    for manner in (
        _vanishes_in_the_request,
        _vanishes_after_the_command,
        _vanishes_in_the_data,
        _vanishes_before_the_answer,
        _leaves_without_release,
        _trickles,
        _pdu_longer_than_sent,
        _pdu_of_four_gigabytes,
        _value_longer_than_its_pdu,
        _value_of_no_length,
        _element_longer_than_the_data,
        _unknown_context,
        _http,
    )
}
"""What a bad sender does, by name."""

TROUBLE = Trouble(
    name="senders",
    what="they vanish at five points, trickle, flood with silent connections, lie about lengths "
    "of PDU, value and element, and send hundreds of instances at once",
    scenarios=scenarios,
)
