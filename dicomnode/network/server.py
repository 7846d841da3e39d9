"""The listening socket: one thread per connection, and nobody can hold all of them."""

import gc
import socket
import socketserver
import ssl
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import structlog
from pynetdicom import AE, evt
from pynetdicom.association import Association
from pynetdicom.events import EventHandlerType
from pynetdicom.transport import RequestHandler, ThreadedAssociationServer

from dicomnode.allocator import give_back
from dicomnode.network.admission import plain_address

__all__ = ["ConnectionLimits", "Server"]

log = structlog.get_logger(__name__)

_LINGER_S = 2.0
"""Between two collections, and until an association's threads have let go of it."""


@dataclass(frozen=True, kw_only=True)
class ConnectionLimits:
    """How many TCP connections may be open, whether or not they have said anything yet.

    ``handshake_s`` bounds the TLS handshake, ``stall_s`` the pause within one message.
    """

    total: int
    per_host: int
    handshake_s: float
    stall_s: float


class Server(ThreadedAssociationServer):
    """pynetdicom's server with limits, TLS off the accepting thread, and a sure end.

    ``on_end`` is called once for every connection after its association's thread has ended,
    however it ended. The library's own events miss some ways of losing a connection, and come
    from a thread that may overtake an instance that is still being stored.
    """

    daemon_threads = True

    def __init__(
        self,
        ae: AE,
        address: tuple[str, int],
        *,
        limits: ConnectionLimits,
        on_end: Callable[[Association], None],
        tls: ssl.SSLContext | None,
        handlers: Sequence[EventHandlerType],
    ) -> None:
        self._limits = limits
        self.on_end = on_end
        self.tls = tls
        self._connections: Counter[str] = Counter()
        self._served_at = self._collected_at = -_LINGER_S
        self._lock = threading.Lock()
        super().__init__(
            ae,
            address,
            ae.ae_title,
            ae.supported_contexts,
            evt_handlers=list(handlers),
            request_handler=_Connection,
        )

    def get_request(self) -> tuple[socket.socket, Any]:
        """Accept a connection; no peer can make this wait."""
        assert self.socket is not None, "the server listens"
        connection, address = self.socket.accept()
        connection.settimeout(self._limits.stall_s)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if (tls := self.tls) is not None:
            connection = tls.wrap_socket(
                connection, server_side=True, do_handshake_on_connect=False
            )
        return connection, address

    def verify_request(self, request: Any, client_address: Any) -> bool:
        """Refuse a connection beyond the limits, and count the others."""
        host = plain_address(client_address[0])
        with self._lock:
            full = self._connections.total() >= self._limits.total
            host_full = self._connections[host] >= self._limits.per_host
            if not full and not host_full:
                self._connections[host] += 1
                return True
        log.warning("connection.refused", host=host, reason="too many open connections")
        return False

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        """Serve one connection to its end."""
        try:
            if self._shake_hands(request):
                self.finish_request(request, client_address)
        except OSError as error:
            log.warning("connection.lost", host=client_address[0], reason=str(error))
        finally:
            self.shutdown_request(request)
            with self._lock:
                self._connections[plain_address(client_address[0])] -= 1
                self._served_at = time.monotonic()

    def service_actions(self) -> None:
        """Collect what associations left behind, until a while after the last; else nothing.

        They refer to themselves, so that nothing else lets go of them soon. The library would
        collect every 59th time that this is called, also where nobody came.
        """
        now = time.monotonic()
        if now < self._collected_at + _LINGER_S or self._collected_at > self._served_at + _LINGER_S:
            return
        gc.collect()
        give_back()
        self._collected_at = time.monotonic()

    def shutdown(self) -> None:
        """Stop accepting and free the port. Associations that are open go on."""
        socketserver.BaseServer.shutdown(self)
        self.server_close()

    def _shake_hands(self, connection: socket.socket) -> bool:
        """Begin TLS where it is spoken; False when the peer only looked whether we are here."""
        if isinstance(connection, ssl.SSLSocket):
            connection.settimeout(self._limits.handshake_s)
            if not socket.socket.recv(connection, 1, socket.MSG_PEEK):  # as it came, not decrypted
                return False
            connection.do_handshake()
            connection.settimeout(self._limits.stall_s)
        return True


class _Connection(RequestHandler):
    """Runs one association and waits for its end."""

    server: Server

    def handle(self) -> None:
        assoc = self._create_association()
        evt.trigger(assoc, evt.EVT_CONN_OPEN, {"address": self.client_address})
        assoc.start()
        assoc.join()
        self.server.on_end(assoc)
