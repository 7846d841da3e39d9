"""A destination that keeps count of every byte that arrives."""

import hashlib
import threading
from collections import defaultdict
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Self

from pynetdicom import AE, AllStoragePresentationContexts, evt

__all__ = ["Pacs"]


@dataclass
class Pacs:
    """Listens on a port of loopback. ``held`` maps a SOP Instance UID to the digests that came.

    While ``open_`` is not set it answers no C-STORE; ``status`` is what it answers.
    """

    port: int
    status: int = 0x0000
    max_pdu: int = 16_382
    held: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))
    asked: int = 0
    open_: threading.Event = field(default_factory=threading.Event)
    _server: Any = None

    def __enter__(self) -> Self:
        self.open_.set()
        ae = AE(ae_title="PACS")
        ae.maximum_pdu_size = self.max_pdu
        ae.maximum_associations = 100
        ae.supported_contexts = AllStoragePresentationContexts
        ae.add_supported_context("1.2.840.10008.1.1")
        for context in ae.supported_contexts:
            ae.add_supported_context(context.abstract_syntax, "1.2.840.10008.1.2.4.50")
        handlers = [(evt.EVT_C_STORE, self._stored)]
        self._server = ae.start_server(("127.0.0.1", self.port), block=False, evt_handlers=handlers)
        return self

    def __exit__(
        self,
        _kind: type[BaseException] | None,
        _error: BaseException | None,
        _trace: TracebackType | None,
    ) -> None:
        self.open_.set()
        self._server.shutdown()

    def _stored(self, event: evt.Event) -> int:
        self.asked += 1
        self.open_.wait()
        if self.status in (0x0000, 0xB000):
            dataset = event.request.DataSet.getvalue()
            uid = str(event.request.AffectedSOPInstanceUID)
            self.held[uid].add(hashlib.sha256(dataset).hexdigest())
        return self.status
