"""Delivery by C-STORE (PS3.4 Annex B), with storage commitment (Annex J) where asked for."""

import functools
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from dicomnode.deliver.options import CStoreOptions
from dicomnode.deliver.transport import Answer, Delivered, Surroundings
from dicomnode.named import Named
from dicomnode.network.commitment import request
from dicomnode.network.peers import Peer
from dicomnode.network.send import Sent, echo, send

__all__ = ["CStore", "open_c_store"]

_UNCOMPRESSED = Named("dicomnode.outputs.uncompressed:uncompressed")
_SUCCESS = 0x0000


@dataclass(frozen=True, kw_only=True)
class CStore:
    """A peer, whether it is asked to take responsibility for what it stored, and in which form.

    What is ``uncompressed`` for one destination is the same instance as for the others; the copy
    lies in ``work`` for as long as it travels.
    """

    peer: Peer
    calling_ae: str
    work: Path
    storage_commitment: bool = False
    uncompressed: bool = False

    def deliver(self, files: Sequence[Path]) -> Delivered:
        """Send files over one association."""
        rewrite = functools.partial(_UNCOMPRESSED, folder=self.work)
        sent = send(
            files,
            self.peer,
            calling_ae=self.calling_ae,
            rewrite=rewrite if self.uncompressed else None,
        )
        return Delivered(
            answers=tuple(map(_answer, sent)),
            receipt=f"2.25.{uuid.uuid4().int}" if self.storage_commitment else None,
        )

    def check(self) -> str:
        """Verify by C-ECHO."""
        echo(self.peer, calling_ae=self.calling_ae)
        return f"answers C-ECHO ({self.peer.ae_title} at {self.peer.host}:{self.peer.port})"

    def ask_receipt(self, instances: Sequence[tuple[str, str]], receipt: str) -> None:
        """Request storage commitment; the answer comes to the receiver."""
        request(instances, self.peer, calling_ae=self.calling_ae, transaction_uid=receipt)


def open_c_store(options: CStoreOptions, node: Surroundings) -> CStore:
    """Make the way to a peer; its certificates are loaded here."""
    return CStore(
        peer=Peer(
            name=options.name,
            ae_title=options.ae_title,
            host=options.host,
            port=options.port,
            tls=node.tls() if options.tls else None,
        ),
        calling_ae=node.calling_ae,
        work=node.work,
        storage_commitment=options.storage_commitment,
        uncompressed=options.transfer_syntax == "uncompressed",
    )


def _answer(sent: Sent) -> Answer:
    return Answer(
        path=sent.path,
        verdict=sent.verdict,
        reason="" if sent.status == _SUCCESS else sent.reason,
        code="" if sent.status is None else f"0x{sent.status:04X}",
    )
