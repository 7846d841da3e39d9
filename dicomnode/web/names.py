"""Names by which the page answers: this node's own, and those that the settings add."""

import socket
from collections.abc import Iterable
from ipaddress import ip_address

from starlette.datastructures import Headers
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Receive, Scope, Send

__all__ = ["OwnNames"]

_MISDIRECTED = 421  # RFC 9110, 15.5.20


class OwnNames:
    """Turns away requests for another host than this one.

    A page from elsewhere could have its own name lead here (DNS rebinding), and its reader's
    browser would let it read what the node shows. Addresses are no such names.
    """

    def __init__(self, app: ASGIApp, names: Iterable[str]) -> None:
        self._app = app
        own = socket.gethostname().lower()
        self._names = {"localhost", own, own.split(".")[0], *(name.lower() for name in names)}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, or say why not."""
        host = _without_port(Headers(scope=scope).get("host", "")).lower()
        if host in self._names or _is_address(host):
            await self._app(scope, receive, send)
            return
        told = "expected a name or address of this node; others are allowed by names in [web]\n"
        await PlainTextResponse(told, _MISDIRECTED)(scope, receive, send)


def _without_port(host: str) -> str:
    if host.startswith("["):
        return host[1:].partition("]")[0]
    return host.partition(":")[0]


def _is_address(host: str) -> bool:
    try:
        ip_address(host)
    except ValueError:
        return False
    return True
