"""The application entities this node speaks with."""

import ssl
from dataclasses import dataclass

from dicomnode.errors import SettingsError

__all__ = ["Accepted", "Peer", "expect_ae_title"]


@dataclass(frozen=True, kw_only=True)
class Peer:
    """Where something is sent. With ``tls`` the peer's certificate must name ``host``."""

    name: str
    ae_title: str
    host: str
    port: int
    tls: ssl.SSLContext | None = None

    def __post_init__(self) -> None:
        expect_ae_title(self.ae_title)

    def __str__(self) -> str:
        address = f"{self.ae_title}@{self.host}:{self.port}"
        return address if self.name == address else f"{self.name} ({address})"


@dataclass(frozen=True, kw_only=True)
class Accepted:
    """Who may send: an AE title and the hosts it may come from.

    ``hosts`` are addresses ("192.0.2.7"), networks ("192.0.2.0/24") or names, which are
    looked up when the receiver starts.
    """

    ae_title: str
    hosts: tuple[str, ...]

    def __post_init__(self) -> None:
        expect_ae_title(self.ae_title)


def expect_ae_title(ae_title: str) -> None:
    """Raise when a text cannot be an AE title (PS3.5 6.2: 1 to 16 characters, no backslash)."""
    printable = ae_title.isascii() and ae_title.isprintable() and "\\" not in ae_title
    if not printable or ae_title != ae_title.strip() or not 1 <= len(ae_title) <= 16:
        raise SettingsError(
            "expected an AE title of 1 to 16 ASCII characters without backslash or outer "
            f"spaces, found {ae_title!r}"
        )
