"""A destination's door: what stands behind it is a PACS, what stands in it may be anything."""

import socket
import struct
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import closing, suppress

__all__ = ["MANNERS", "Front"]

_REJECT_FOR_GOOD = bytes.fromhex("03 00 00000004 00 01 01 07")
_REJECT_FOR_NOW = bytes.fromhex("03 00 00000004 00 02 03 02")
_ABORT = bytes.fromhex("07 00 00000004 00 00 00 00")
_TLS_ALERT = bytes.fromhex("15 0301 0002 02 46")
_HALF_AN_ACCEPT = bytes.fromhex("02 00 000000b8 0001 0000") + b"PACS"
_CHUNK_BYTES = 65_536


class Front:
    """Listens where the node sends; each connection meets the present manner.

    ``become("good")`` ends what is still hanging, as a program that is restarted does.
    """

    def __init__(self, behind: int, manner: str) -> None:
        self._behind = behind
        self._manner = manner
        self._open: set[socket.socket] = set()
        self._lock = threading.Lock()
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=50)
        self.port = int(self._listener.getsockname()[1])
        self.met = 0
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def become(self, manner: str) -> None:
        self._manner = manner
        self._hang_up()

    def close(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._hang_up()

    def _hang_up(self) -> None:
        with self._lock:
            for stream in self._open:
                with suppress(OSError):
                    stream.shutdown(socket.SHUT_RDWR)

    def _serve(self) -> None:
        while True:
            try:
                stream, _ = self._listener.accept()
            except OSError:
                return
            self.met += 1
            threading.Thread(target=self._meet, args=(stream,), daemon=True).start()

    def _meet(self, stream: socket.socket) -> None:
        with self._lock:
            self._open.add(stream)
        with closing(stream), suppress(OSError):
            MANNERS[self._manner](stream, self._behind)
        with self._lock:
            self._open.discard(stream)


def good(stream: socket.socket, behind: int) -> None:
    _relay(stream, behind)


def _closed(stream: socket.socket, _behind: int) -> None:
    _reset(stream)


def _says(*answers: bytes) -> Callable[[socket.socket, int], None]:
    """Answer a request with these bytes and wait until the other end has gone."""

    def manner(stream: socket.socket, _behind: int) -> None:
        stream.recv(_CHUNK_BYTES)
        for answer in answers:
            stream.sendall(answer)
        _listen(stream)

    return manner


def _silent(stream: socket.socket, _behind: int) -> None:
    _listen(stream)


def _closes_after_a_byte(stream: socket.socket, _behind: int) -> None:
    stream.recv(1)
    _reset(stream)


def _accepts_and_hangs(stream: socket.socket, behind: int) -> None:
    """The association is accepted, no C-STORE is ever answered."""
    _relay(stream, behind, answers=1)


def _dies_in_the_middle(stream: socket.socket, behind: int) -> None:
    """Some of the C-STOREs are answered, then the machine is gone."""
    _relay(stream, behind, answers=3, then=_reset)


def _garbage_for_an_answer(stream: socket.socket, behind: int) -> None:
    """What comes after the association's acceptance is noise."""
    _relay(
        stream, behind, answers=1, then=lambda one: one.sendall(b"\x04\x00\xff\xff\xff\xff" * 99)
    )


def _aborts(stream: socket.socket, behind: int) -> None:
    _relay(stream, behind, answers=1, then=lambda one: one.sendall(_ABORT))


def _reads_slowly(stream: socket.socket, behind: int) -> None:
    stream.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1024)
    _relay(stream, behind, chunk_bytes=64, pause_s=0.02)


def _relay(
    stream: socket.socket,
    behind: int,
    *,
    answers: int | None = None,
    then: Callable[[socket.socket], None] | None = None,
    chunk_bytes: int = _CHUNK_BYTES,
    pause_s: float = 0.0,
) -> None:
    """Pass everything on; after so many answers nothing of the PACS comes through any more."""
    with socket.create_connection(("127.0.0.1", behind)) as pacs:

        def back() -> None:
            left = answers
            with suppress(OSError):
                while left != 0 and (part := pacs.recv(_CHUNK_BYTES)):
                    stream.sendall(part)
                    left = None if left is None else left - 1
                if left == 0:
                    (then or _listen)(stream)
                else:
                    stream.shutdown(socket.SHUT_RDWR)

        returning = threading.Thread(target=back, daemon=True)
        returning.start()
        with suppress(OSError):
            while part := stream.recv(chunk_bytes):
                pacs.sendall(part)
                time.sleep(pause_s)
            pacs.shutdown(socket.SHUT_WR)
        returning.join(1.0)


def _listen(stream: socket.socket) -> None:
    while stream.recv(_CHUNK_BYTES):
        pass


def _reset(stream: socket.socket) -> None:
    stream.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    stream.close()


MANNERS: Mapping[str, Callable[[socket.socket, int], None]] = {
    "good": good,
    "closes at once": _closed,
    "rejects for good": _says(_REJECT_FOR_GOOD),
    "rejects for now": _says(_REJECT_FOR_NOW),
    "silent": _silent,
    "hangs in a PDU": _says(_HALF_AN_ACCEPT),
    "garbage": _says(b"HTTP/1.1 400 Bad Request\r\n\r\n", bytes(range(256)) * 8),
    "speaks TLS": _says(_TLS_ALERT),
    "closes after a byte": _closes_after_a_byte,
    "accepts and hangs": _accepts_and_hangs,
    "garbage for an answer": _garbage_for_an_answer,
    "dies in the middle": _dies_in_the_middle,
    "aborts": _aborts,
    "reads slowly": _reads_slowly,
}
"""How a destination behaves, by name."""
