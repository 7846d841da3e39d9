"""Tell systemd how the node is (sd_notify(3)); without systemd, nothing happens."""

import os
import socket

import structlog

__all__ = ["notify"]

log = structlog.get_logger(__name__)

_PATIENCE_S = 5.0


def notify(*states: str) -> None:
    """Send states such as ``READY=1`` to the socket that systemd named; nothing depends on it."""
    address = os.environ.get("NOTIFY_SOCKET", "")
    if not address:
        return
    if address.startswith("@"):  # Linux's abstract namespace
        address = "\0" + address[1:]
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as channel:
            channel.settimeout(_PATIENCE_S)
            channel.sendto("\n".join(states).encode(), address)
    except OSError as error:
        log.warning("systemd.not_told", reason=error.strerror)
