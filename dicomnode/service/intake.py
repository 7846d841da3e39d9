"""From a received file to an acknowledgement: file first, then the row, then success."""

import time
from collections.abc import Callable

import structlog

from dicomnode.errors import DicomnodeError
from dicomnode.network.admission import AssociationRequest
from dicomnode.network.commitment import CommitmentResult
from dicomnode.network.receive import OpenAssociation, Received
from dicomnode.store.ledger import Ledger
from dicomnode.store.rows import Instance
from dicomnode.store.spool import Spool

__all__ = ["Intake"]

log = structlog.get_logger(__name__)


class Intake:
    """The receiver's callbacks. What raises here is not acknowledged, and the sender is told."""

    def __init__(
        self, ledger: Ledger, spool: Spool, *, now: Callable[[], float] = time.time
    ) -> None:
        self._ledger = ledger
        self._spool = spool
        self._now = now

    def store(self, received: Received) -> None:
        """Keep one instance, for good."""
        header = received.header
        with structlog.contextvars.bound_contextvars(
            study_uid=header.study_uid, instance_uid=header.sop_instance_uid
        ):
            try:
                self._store(received)
            except DicomnodeError:
                log.exception("instance.not_kept")
                raise

    def opened(self, association: OpenAssociation) -> None:
        """Note that a peer connected."""
        self._ledger.association_opened(
            association.id,
            calling_ae=association.calling_ae,
            host=association.host,
            now=self._now(),
        )

    def closed(self, association: OpenAssociation) -> None:
        """Note that it is gone; its studies may settle now."""
        self._ledger.association_closed(association.id, now=self._now())

    def rejected(self, request: AssociationRequest, reason: str) -> None:
        """Note who was turned away, for the person who asks why nothing came."""
        self._ledger.association_rejected(
            calling_ae=request.calling_ae,
            called_ae=request.called_ae,
            host=request.host,
            reason=reason,
            now=self._now(),
        )

    def commitment(self, result: CommitmentResult) -> None:
        """Write what a destination took responsibility for."""
        rows = self._ledger.receipt_given(
            result.transaction_uid,
            committed=result.committed,
            failed=result.failed,
            now=self._now(),
        )
        for row in rows:
            log.info(
                "delivery.commitment",
                exam=row.exam_id,
                instance_uid=row.output.sop_instance_uid,
                state=row.state,
            )

    def _store(self, received: Received) -> None:
        header, association = received.header, received.association
        stored = self._spool.keep(
            received.path,
            study_uid=header.study_uid,
            sop_instance_uid=header.sop_instance_uid,
        )
        recorded = self._ledger.record_instance(
            Instance(
                sop_instance_uid=header.sop_instance_uid,
                sop_class_uid=header.sop_class_uid,
                study_uid=header.study_uid,
                series_uid=header.series_uid,
                transfer_syntax_uid=header.transfer_syntax_uid,
                sha256=stored.sha256,
                size_bytes=stored.size_bytes,
                path=stored.path,
                calling_ae=association.calling_ae,
                host=association.host,
                association_id=association.id,
            ),
            now=self._now(),
        )
        log.info(
            "instance.kept",
            exam=recorded.exam_id,
            outcome=recorded.outcome,
            new_revision=recorded.new_revision,
            size_bytes=stored.size_bytes,
        )
