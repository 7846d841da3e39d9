"""Admission of associations: a rule per reason, no sockets."""

import socket
from collections.abc import Iterable
from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

from dicomnode.errors import SettingsError
from dicomnode.network.peers import Accepted

__all__ = ["Admission", "AssociationRequest", "Rejection", "plain_address"]

Network = IPv4Network | IPv6Network


@dataclass(frozen=True, kw_only=True)
class AssociationRequest:
    """Who asks, and how much is open already."""

    called_ae: str
    calling_ae: str
    host: str
    open_total: int
    open_from_host: int


@dataclass(frozen=True)
class Rejection:
    """Result, source and diagnostic of an A-ASSOCIATE-RJ (PS3.8 Table 9-21), in words too."""

    result: int
    source: int
    diagnostic: int
    reason: str


CALLED_AE_UNKNOWN = Rejection(1, 1, 7, "called AE title is not this node's")
CALLING_AE_UNKNOWN = Rejection(1, 1, 3, "calling AE title is not accepted here")
HOST_NOT_ALLOWED = Rejection(1, 1, 3, "calling AE title is not accepted from this host")
HOST_LIMIT = Rejection(2, 3, 2, "too many associations from this host")
TOTAL_LIMIT = Rejection(2, 3, 2, "too many associations")


class Admission:
    """The rules of one receiver, with host names looked up once.

    Nobody is accepted whom the settings do not name.
    """

    def __init__(
        self,
        *,
        ae_title: str,
        accept: Iterable[Accepted],
        max_associations: int,
        max_associations_per_host: int,
    ) -> None:
        self._ae_title = ae_title
        self._max_associations = max_associations
        self._max_associations_per_host = max_associations_per_host
        self._networks: dict[str, list[Network]] = {}
        for accepted in accept:
            networks = [network for host in accepted.hosts for network in _networks(host)]
            self._networks.setdefault(accepted.ae_title, []).extend(networks)

    def refuse(self, request: AssociationRequest) -> Rejection | None:
        """Give the reason why a request is refused, or None when it is welcome."""
        rules = (
            (request.called_ae != self._ae_title, CALLED_AE_UNKNOWN),
            (request.calling_ae not in self._networks, CALLING_AE_UNKNOWN),
            (not self._comes_from_its_host(request), HOST_NOT_ALLOWED),
            (request.open_from_host >= self._max_associations_per_host, HOST_LIMIT),
            (request.open_total >= self._max_associations, TOTAL_LIMIT),
        )
        return next((rejection for broken, rejection in rules if broken), None)

    def _comes_from_its_host(self, request: AssociationRequest) -> bool:
        address = ip_address(plain_address(request.host))
        networks = self._networks.get(request.calling_ae, [])
        return any(address in network for network in networks)


def plain_address(host: str) -> str:
    """Write an address without zone, and an IPv4 address that came over IPv6 as IPv4."""
    address = ip_address(host.partition("%")[0])
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return str(mapped or address)


def _networks(host: str) -> list[Network]:
    try:
        return [ip_network(host, strict=False)]
    except ValueError:
        return [ip_network(address) for address in _look_up(host)]


def _look_up(host: str) -> set[str]:
    try:
        return {plain_address(str(entry[4][0])) for entry in socket.getaddrinfo(host, None)}
    except OSError as error:
        raise SettingsError(
            f"expected an address, a network or a known name in hosts, found {host!r}: "
            f"{error.strerror}",
            hint="correct [[accept]] hosts",
        ) from error
