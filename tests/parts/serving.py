"""A peer made of pynetdicom, for as long as a test needs it."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from pynetdicom import AE

from dicomnode.network.peers import Peer

__all__ = ["serving"]


@contextmanager
def serving(ae: AE, handlers: Sequence[tuple[Any, ...]]) -> Iterator[Peer]:
    """Start it on a free port of loopback; stop it in the end."""
    server = ae.start_server(("127.0.0.1", 0), block=False, evt_handlers=list(handlers))
    try:
        port = server.socket.getsockname()[1]
        yield Peer(name="pacs", ae_title="PACS", host="127.0.0.1", port=port)
    finally:
        server.shutdown()
