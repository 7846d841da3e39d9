"""A site's settings as the node's parts want them."""

from collections.abc import Sequence
from pathlib import Path

from dicomnode.config import NodeOptions, Settings
from dicomnode.deliver.options import DestinationOptions
from dicomnode.deliver.table import TRANSPORTS
from dicomnode.deliver.transport import Surroundings, Transport
from dicomnode.jobs.memory import GIB, share_bytes
from dicomnode.kinds import ON_REQUEST, with_them
from dicomnode.named import Named
from dicomnode.network.peers import Accepted
from dicomnode.network.receive import ReceiveSettings
from dicomnode.network.tls import client_context, server_context
from dicomnode.outputs.options import ResultOptions
from dicomnode.store.url import sqlite_url

__all__ = [
    "MODEL_NAMES",
    "jobs_url",
    "receive_settings",
    "result_options",
    "transport",
    "transports",
    "wants",
    "worker_memory_bytes",
]


MODEL_NAMES = Named("dicomnode.service.bundles:model_names")
"""What checks and names the bundles; in a process of its own, so that this one stays light."""


def transports(settings: Settings, work: Path) -> dict[str, Transport]:
    """Make the way to each destination; certificates are loaded here.

    ``work`` is a directory on the spool's file system for what is made on the way.
    """
    return {one.name: transport(one, settings, work) for one in settings.destination}


def transport(destination: DestinationOptions, settings: Settings, work: Path) -> Transport:
    """Make the way to one destination."""
    tls = settings.tls
    node = Surroundings(
        calling_ae=settings.node.ae_title,
        work=work,
        tls=lambda: client_context(ca=tls.ca, certificate=tls.certificate, key=tls.key),
    )
    way: Transport = TRANSPORTS[destination.transport].open(destination, node)
    return way


def result_options(settings: Settings) -> ResultOptions:
    """Say what is to be made: the extras that some destination gets."""
    asked = {kind for one in settings.destination for kind in one.outputs}
    return ResultOptions(
        extras=frozenset(asked.intersection(ON_REQUEST)),
        seg_geometry=settings.outputs.seg_geometry,
    )


def wants(destinations: Sequence[DestinationOptions]) -> dict[str, tuple[str, ...]]:
    """Say which kinds each wants, those among them that go with another."""
    return {one.name: with_them(one.outputs) for one in destinations}


def receive_settings(settings: Settings, incoming: Path) -> ReceiveSettings:
    """Make the receiver's settings; certificates are loaded here."""
    node, tls = settings.node, settings.tls
    context = None
    if tls.receive and tls.certificate is not None and tls.key is not None:
        context = server_context(certificate=tls.certificate, key=tls.key, client_ca=tls.ca)
    return ReceiveSettings(
        ae_title=node.ae_title,
        host=node.host,
        port=node.port,
        incoming=incoming,
        accept=tuple(Accepted(ae_title=one.ae_title, hosts=one.hosts) for one in settings.accept),
        max_associations=node.max_associations,
        max_associations_per_host=node.max_associations_per_host,
        min_free_bytes=int(settings.retention.min_free_gib * 2**30),
        tls=context,
    )


def jobs_url(settings: Settings) -> str:
    """Keep the engine's tables beside the ledger: in its PostgreSQL, or in a file of their own."""
    url = settings.database.url
    if url is not None and url.startswith("postgresql"):
        return url
    return sqlite_url(settings.node.data_dir / "jobs.sqlite")


def worker_memory_bytes(node: NodeOptions) -> int:
    """Say what one analysis may take: what the site chose, or its share of the machine."""
    if node.worker_memory_gib is None:
        return share_bytes(node.workers)
    return int(node.worker_memory_gib * GIB)
