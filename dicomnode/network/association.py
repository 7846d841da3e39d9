"""Associations that this node requests."""

import socket
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from pynetdicom import evt
from pynetdicom.association import Association
from pynetdicom.events import Event, EventHandlerType
from pynetdicom.presentation import PresentationContext
from pynetdicom.transport import AddressInformation

from dicomnode.errors import RejectedError, UnreachableError
from dicomnode.network.entity import application_entity
from dicomnode.network.peers import Peer
from dicomnode.network.pynetdicom_configuration import configure_pynetdicom

__all__ = ["associate"]

_CONNECT_TIMEOUT_S = 10.0
_ACSE_TIMEOUT_S = 30.0
_RESPONSE_TIMEOUT_S = 300.0  # a PACS may write a large object to slow disks before it answers
_REJECTED_PERMANENT = 1  # PS3.8 Table 9-21
_ANY_OF_OURS = {socket.AF_INET: "0.0.0.0", socket.AF_INET6: "::"}  # noqa: S104 - to call from
"""Said outright, because the library would ask the system's resolver for it at each call."""


@contextmanager
def associate(
    peer: Peer,
    calling_ae: str,
    contexts: Sequence[PresentationContext],
    handlers: Sequence[EventHandlerType] = (),
) -> Iterator[Association]:
    """Open an association and release it at the end.

    Raises
    ------
    UnreachableError
        No connection, no answer, or rejected for now.
    RejectedError
        Rejected for good: a person has to change an AE title or an allow-list.
    """
    configure_pynetdicom()
    ae = application_entity(calling_ae)
    ae.connection_timeout = _CONNECT_TIMEOUT_S
    ae.acse_timeout = _ACSE_TIMEOUT_S
    ae.dimse_timeout = _RESPONSE_TIMEOUT_S
    ae.network_timeout = _RESPONSE_TIMEOUT_S
    address = _address(peer, calling_ae)
    assoc = ae.associate(
        address.address,
        address.port,
        contexts=list(contexts),
        ae_title=peer.ae_title,
        tls_args=None if peer.tls is None else (peer.tls, peer.host),
        evt_handlers=[(evt.EVT_CONN_OPEN, _set_up_socket), *handlers],
        bind_address=(_ANY_OF_OURS[address.address_family], 0),
    )
    _expect_established(assoc, peer, calling_ae)
    _leave_answers(assoc)
    try:
        yield assoc
    finally:
        if assoc.is_established:
            assoc.release()


def _address(peer: Peer, calling_ae: str) -> AddressInformation:
    """Look the peer up, once."""
    try:
        return AddressInformation(peer.host, peer.port)
    except (OSError, UnicodeError) as error:  # a name may be unknown, or none at all
        raise UnreachableError(
            f"expected an association with {peer} as {calling_ae}: {error}",
            hint="its host must be an address, or a name that this machine can resolve",
        ) from error


def _leave_answers(assoc: Association) -> None:
    """Let nobody but the asker take an answer, or the sign that there will be none.

    The thread of an association of pynetdicom 3.0.4 takes what has come while nobody asks. On a
    busy machine it is still about to look when it is thought to rest; then it takes the answer of
    the next request, or the nothing that an abort leaves in its place, and the request waits in
    vain until its time is up.
    """
    get = assoc.dimse.get_msg

    def get_msg(block: bool = False) -> Any:
        _, first = assoc.dimse.peek_msg()
        is_request = first is not None and getattr(first, "MessageIDBeingRespondedTo", None) is None
        return get(block) if block or is_request else (None, None)

    assoc.dimse.get_msg = get_msg  # type: ignore[method-assign]


def _set_up_socket(event: Event) -> None:
    """Switch Nagle's algorithm off, and give up on a peer that reads no more.

    Waiting for the peer's delayed ACK would cost 40 ms a time. pynetdicom waits without end for
    room in a socket, and looks at none of its own timeouts while it does.
    """
    transport = event.assoc.dul.socket
    if transport is not None and transport.socket is not None:
        transport.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        transport.socket.settimeout(_RESPONSE_TIMEOUT_S)


def _why_unreachable(peer: Peer) -> str:
    """Try the connection once more by itself: pynetdicom does not tell why it failed."""
    try:
        with socket.create_connection((peer.host, peer.port), _CONNECT_TIMEOUT_S) as connection:
            if peer.tls is not None:
                peer.tls.wrap_socket(connection, server_hostname=peer.host).close()
    except OSError as error:
        return str(error)
    return "connected, but it aborted or did not answer; does it expect TLS or plain DICOM?"


def _expect_established(assoc: Association, peer: Peer, calling_ae: str) -> None:
    if assoc.is_established:
        return
    if assoc.rejected_contexts and not assoc.accepted_contexts:
        raise RejectedError(
            f"{peer} accepts none of the offered SOP classes and transfer syntaxes",
            hint="leave this kind of output out for this destination, or allow it at the peer; "
            'transfer_syntax = "uncompressed" there sends the overlay without compression',
        )
    if not assoc.is_rejected:
        why = _why_unreachable(peer)
        raise UnreachableError(f"expected an association with {peer} as {calling_ae}: {why}")
    answer = assoc.acceptor.primitive
    assert answer is not None, "a rejection is an answer"
    words = f"{peer} rejected the association of {calling_ae}: {answer.reason_str}"
    if answer.result == _REJECTED_PERMANENT:
        raise RejectedError(words, hint="enter this node's AE title and address at the peer")
    raise UnreachableError(words)
