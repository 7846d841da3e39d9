"""Configuration of pynetdicom in this process. Its settings are module globals; they live here."""

import logging
import socket
from contextlib import suppress

from pynetdicom import _config
from pynetdicom.transport import AssociationSocket

__all__ = ["configure_pynetdicom"]


def configure_pynetdicom() -> None:
    """Stream datasets to and from disk, and keep the library's own log lines out of ours.

    Its event log prints request and response identifiers, which hold patient data. What an
    operator needs to know is logged by this package in its own words.
    """
    _config.STORE_RECV_CHUNKED_DATASET = True
    _config.STORE_SEND_CHUNKED_DATASET = True
    _config.LOG_HANDLER_LEVEL = "none"
    _config.LOG_REQUEST_IDENTIFIERS = False
    _config.LOG_RESPONSE_IDENTIFIERS = False
    logging.getLogger("pynetdicom").setLevel(logging.CRITICAL)
    AssociationSocket._shutdown_socket = _close  # type: ignore[assignment, method-assign]  # noqa: SLF001


def _close(transport: AssociationSocket) -> None:
    """Close a socket even when its peer is gone.

    pynetdicom 3.0.4 leaves it open when shutting it down fails, as it does after every refused
    connection and failed TLS handshake: one descriptor for each attempt to reach a dead peer.
    """
    if transport.socket is None:
        return
    with suppress(OSError):
        transport.socket.shutdown(socket.SHUT_RDWR)
    transport.socket.close()
