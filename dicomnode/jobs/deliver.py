"""One attempt to bring an exam's outputs to one destination."""

import functools
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass
from pathlib import Path

import structlog

from dicomnode.errors import NetworkError, StoreError
from dicomnode.jobs.options import DeliveryOptions
from dicomnode.jobs.step import Step
from dicomnode.named import Named
from dicomnode.network.commitment import request
from dicomnode.network.peers import Peer
from dicomnode.network.send import Sent, send
from dicomnode.network.statuses import backoff_s
from dicomnode.store.ledger import Ledger
from dicomnode.store.rows import DeliveryRow
from dicomnode.store.spool import Spool

__all__ = ["Delivery", "Destination", "job_name"]

log = structlog.get_logger(__name__)

UNCOMPRESSED = Named("dicomnode.outputs.uncompressed:uncompressed")


@dataclass(frozen=True, kw_only=True)
class Destination:
    """A peer, whether it is asked to take responsibility for what it stored, and in which form.

    What is ``uncompressed`` for one destination is the same instance as for the others.
    """

    peer: Peer
    storage_commitment: bool = False
    uncompressed: bool = False


def job_name(destination: str) -> str:
    """Name the job of a destination, which has one at a time."""
    return f"deliver-{destination}"


@dataclass(frozen=True, kw_only=True)
class Delivery:
    """What the job needs."""

    ledger: Ledger
    spool: Spool
    destinations: Mapping[str, Destination]
    calling_ae: str
    options: DeliveryOptions
    now: Callable[[], float] = time.time

    def __call__(self, step: Step, job: str, destination: str, delivery_ids: list[int]) -> None:
        """Do the job; every delivery that was taken gets a state.

        One whose state the ledger did not take is given back by whoever sees that this job is over.
        """
        with structlog.contextvars.bound_contextvars(destination=destination):
            step("send", self.attempt, destination, delivery_ids)

    def attempt(self, destination: str, delivery_ids: Sequence[int]) -> None:
        """Take the deliveries, send them over one association and write what came of each."""
        rows = self.ledger.claim(delivery_ids, now=self.now())
        if not rows:
            return
        known = self.destinations.get(destination)
        if known is None:
            for row in rows:
                self._park(row, None, f"expected destination {destination!r} in the settings")
            return
        try:
            self._send(rows, known)
        except Exception as error:
            log.exception("delivery.broken")
            self._give_back(rows, type(error).__name__)

    def _send(self, rows: Sequence[DeliveryRow], known: Destination) -> None:
        paths = self._verified(rows)
        transaction_uid = f"2.25.{uuid.uuid4().int}" if known.storage_commitment else None
        rewrite = functools.partial(UNCOMPRESSED, folder=self.spool.work)
        answers = send(
            tuple(paths),
            known.peer,
            calling_ae=self.calling_ae,
            rewrite=rewrite if known.uncompressed else None,
        )
        stored = [paths[answer.path] for answer in answers if answer.outcome == "sent"]
        for answer in answers:
            self._write(paths[answer.path], answer, transaction_uid)
        if transaction_uid is not None and stored:
            self._ask_commitment(stored, known.peer, transaction_uid)

    def _verified(self, rows: Sequence[DeliveryRow]) -> dict[Path, DeliveryRow]:
        """Find the files, each read once; one that is not what was kept is never sent."""
        found = {}
        for row in rows:
            try:
                found[self.spool.verified(row.output)] = row
            except StoreError as error:
                with _bound(row):
                    (self._failed if error.retryable else self._park)(row, None, str(error))
        return found

    def _write(self, row: DeliveryRow, answer: Sent, transaction_uid: str | None) -> None:
        with _bound(row):
            try:
                if answer.outcome == "sent":
                    self._sent(row, answer, transaction_uid)
                elif answer.outcome == "park":
                    self._park(row, answer.status, answer.reason)
                else:
                    self._failed(row, answer.status, answer.reason)
            except StoreError as error:  # a person decided otherwise, or the ledger is away
                log.warning("delivery.not_recorded", outcome=answer.outcome, reason=str(error))

    def _give_back(self, rows: Sequence[DeliveryRow], what: str) -> None:
        """Give up this attempt at whatever has no state yet, if the ledger takes it."""
        for row in rows:
            with suppress(StoreError):
                self._failed(row, None, f"expected an attempt to end, got {what}; see the log")

    def _failed(self, row: DeliveryRow, status: int | None, reason: str) -> None:
        """Try again later; after the last attempt a person must look."""
        last = row.attempts >= self.options.attempts
        (self._park if last else self._retry)(row, status, reason)

    def _sent(self, row: DeliveryRow, answer: Sent, transaction_uid: str | None) -> None:
        assert answer.status is not None, "a sent object has an answer"
        self.ledger.sent(
            row.id,
            status=answer.status,
            note="" if answer.status == 0 else answer.reason,
            transaction_uid=transaction_uid,
            now=self.now(),
        )
        log.info("delivery.sent", status=f"0x{answer.status:04X}", attempt=row.attempts)

    def _park(self, row: DeliveryRow, status: int | None, reason: str) -> None:
        self.ledger.park(row.id, status=status, error=reason, now=self.now())
        log.error("delivery.parked", reason=reason, attempt=row.attempts)

    def _retry(self, row: DeliveryRow, status: int | None, reason: str) -> None:
        wait_s = backoff_s(
            row.attempts,
            key=str(row.id),
            first_s=self.options.first_retry_s,
            longest_s=self.options.longest_retry_s,
        )
        self.ledger.retry_later(
            row.id,
            at=self.now() + wait_s,
            status=status,
            error=reason,
            now=self.now(),
        )
        log.warning("delivery.retry", reason=reason, attempt=row.attempts, wait_s=round(wait_s, 1))

    def _ask_commitment(
        self, rows: Sequence[DeliveryRow], peer: Peer, transaction_uid: str
    ) -> None:
        """Ask once; a destination that does not answer leaves its deliveries "sent"."""
        instances = [(row.output.sop_class_uid, row.output.sop_instance_uid) for row in rows]
        try:
            request(instances, peer, calling_ae=self.calling_ae, transaction_uid=transaction_uid)
        except NetworkError as error:
            log.warning("commitment.not_asked", reason=str(error))


def _bound(row: DeliveryRow) -> AbstractContextManager[None]:
    """Name the delivery in every log line."""
    return structlog.contextvars.bound_contextvars(
        exam=row.exam_id, instance_uid=row.output.sop_instance_uid, kind=row.output.kind
    )
