"""A sender made of bytes: DICOM's upper layer written out, so that it can lie (PS3.8 9.3)."""

import socket
import struct
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager

__all__ = ["Connection", "LostError", "associate_request", "connected", "data_pdu", "store_command"]

_APPLICATION = "1.2.840.10008.3.1.1.1"
_IMPLEMENTATION = "1.2.826.0.1.3680043.9.7433.1.1"
_FRAGMENT_BYTES = 16_000
_ACCEPT, _DATA, _RELEASE_RESPONSE = 0x02, 0x04, 0x06


class LostError(Exception):
    """The node ended the conversation."""


def associate_request(
    contexts: Sequence[tuple[str, str]],
    *,
    calling: str = "SCANNER1",
    called: str = "CEUSNODE",
    max_pdu: int = 131_072,
) -> bytes:
    """An A-ASSOCIATE-RQ for pairs of SOP class and transfer syntax; their ids are 1, 3, 5, ..."""
    items = _item(0x10, _APPLICATION.encode())
    for number, (sop_class, syntax) in enumerate(contexts):
        inner = _item(0x30, sop_class.encode()) + _item(0x40, syntax.encode())
        items += _item(0x20, bytes([2 * number + 1, 0, 0, 0]) + inner)
    user = _item(0x51, struct.pack(">L", max_pdu)) + _item(0x52, _IMPLEMENTATION.encode())
    items += _item(0x50, user)
    names = called.ljust(16).encode() + calling.ljust(16).encode()
    return _pdu(0x01, struct.pack(">HH", 1, 0) + names + bytes(32) + items)


def store_command(sop_class: str, sop_instance: str, message_id: int) -> bytes:
    """The command set of a C-STORE-RQ (PS3.7 9.3.1.1)."""
    elements = (
        _element(0x0002, _even(sop_class)),
        _element(0x0100, struct.pack("<H", 0x0001)),
        _element(0x0110, struct.pack("<H", message_id)),
        _element(0x0700, struct.pack("<H", 0)),
        _element(0x0800, struct.pack("<H", 0x0001)),
        _element(0x1000, _even(sop_instance)),
    )
    body = b"".join(elements)
    return _element(0x0000, struct.pack("<L", len(body))) + body


def data_pdu(context: int, fragment: bytes, *, command: bool, last: bool) -> bytes:
    """A P-DATA-TF with one presentation data value."""
    control = (1 if command else 0) | (2 if last else 0)
    value = bytes([context, control]) + fragment
    return _pdu(_DATA, struct.pack(">L", len(value)) + value)


class Connection:
    """One TCP connection to the node, associated when it says so."""

    def __init__(self, stream: socket.socket) -> None:
        self.stream = stream
        self._messages = 0

    def associate(self, contexts: Sequence[tuple[str, str]], **names: str) -> None:
        self.stream.sendall(associate_request(contexts, **names))  # type: ignore[arg-type]
        kind, body = self.read()
        if kind != _ACCEPT:
            raise LostError(
                f"expected an A-ASSOCIATE-AC, got PDU type {kind:#04x} {body[:8].hex()}"
            )

    def store(
        self, sop_class: str, sop_instance: str, dataset: bytes, *, context: int = 1
    ) -> tuple[int, str]:
        """Send a data set as it is; the status and the comment of the response."""
        self.ask_to_store(sop_class, sop_instance, dataset, context=context)
        return self.answer()

    def ask_to_store(
        self, sop_class: str, sop_instance: str, dataset: bytes, *, context: int = 1
    ) -> None:
        self._messages += 1
        command = store_command(sop_class, sop_instance, self._messages)
        self.stream.sendall(data_pdu(context, command, command=True, last=True))
        for at in range(0, max(len(dataset), 1), _FRAGMENT_BYTES):
            part = dataset[at : at + _FRAGMENT_BYTES]
            last = at + _FRAGMENT_BYTES >= len(dataset)
            self.stream.sendall(data_pdu(context, part, command=False, last=last))

    def answer(self) -> tuple[int, str]:
        kind, body = self.read()
        if kind != _DATA:
            raise LostError(f"expected a C-STORE response, got PDU type {kind:#04x}")
        return _status(body[6:])

    def release(self) -> None:
        self.stream.sendall(_pdu(0x05, bytes(4)))
        kind, _ = self.read()
        if kind != _RELEASE_RESPONSE:
            raise LostError(f"expected an A-RELEASE-RP, got PDU type {kind:#04x}")

    def vanish(self) -> None:
        """End as a cable that is pulled does: without a word, then a reset."""
        self.stream.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.stream.close()

    def read(self) -> tuple[int, bytes]:
        """One PDU: its type and what follows its length."""
        head = self._exactly(6)
        return head[0], self._exactly(struct.unpack(">L", head[2:])[0])

    def _exactly(self, count: int) -> bytes:
        got = b""
        while len(got) < count:
            try:
                part = self.stream.recv(count - len(got))
            except ConnectionError as error:
                raise LostError(str(error)) from error
            if not part:
                raise LostError("the connection was closed")
            got += part
        return got


@contextmanager
def connected(port: int, *, timeout_s: float = 60.0) -> Iterator[Connection]:
    """A connection to loopback."""
    try:
        stream = socket.create_connection(("127.0.0.1", port), timeout=timeout_s)
    except ConnectionError as error:
        raise LostError(str(error)) from error
    with closing(stream):
        try:
            yield Connection(stream)
        except (BrokenPipeError, ConnectionError) as error:
            raise LostError(str(error)) from error


def _status(command: bytes) -> tuple[int, str]:
    elements = dict(_elements(command))
    (status,) = struct.unpack("<H", elements[0x0900])
    return status, elements.get(0x0902, b"").decode("ascii", "replace").strip()


def _elements(command: bytes) -> Iterator[tuple[int, bytes]]:
    """Element numbers of group 0000 and their values (PS3.7 6.3.1: implicit, little endian)."""
    at = 0
    while at + 8 <= len(command):
        _, number, length = struct.unpack_from("<HHL", command, at)
        yield number, command[at + 8 : at + 8 + length]
        at += 8 + length


def _pdu(kind: int, body: bytes) -> bytes:
    return struct.pack(">BBL", kind, 0, len(body)) + body


def _item(kind: int, body: bytes) -> bytes:
    return struct.pack(">BBH", kind, 0, len(body)) + body


def _element(number: int, value: bytes) -> bytes:
    return struct.pack("<HHL", 0x0000, number, len(value)) + value


def _even(text: str) -> bytes:
    return text.encode() + bytes(len(text) % 2)
