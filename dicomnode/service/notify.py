"""Tell systemd how the node is (sd_notify(3)); without systemd, nothing happens."""

import os
import socket

__all__ = ["notify"]


def notify(state: str) -> None:
    """Send a state such as ``READY=1`` to the socket that systemd named."""
    address = os.environ.get("NOTIFY_SOCKET", "")
    if not address:
        return
    if address.startswith("@"):  # Linux's abstract namespace
        address = "\0" + address[1:]
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as channel:
        channel.sendto(state.encode(), address)
