"""One attempt to bring an exam's outputs to one destination."""

import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass
from pathlib import Path

import structlog

from dicomnode.deliver.transport import Answer, Transport
from dicomnode.errors import NetworkError, StoreError
from dicomnode.jobs.options import DeliveryOptions
from dicomnode.jobs.pace import backoff_s
from dicomnode.jobs.step import Step
from dicomnode.store.ledger import Ledger
from dicomnode.store.rows import DeliveryRow
from dicomnode.store.spool import Spool

__all__ = ["Delivery", "job_name"]

log = structlog.get_logger(__name__)


def job_name(destination: str) -> str:
    """Name the job of a destination, which has one at a time."""
    return f"deliver-{destination}"


@dataclass(frozen=True, kw_only=True)
class Delivery:
    """What the job needs."""

    ledger: Ledger
    spool: Spool
    destinations: Mapping[str, Transport]
    options: DeliveryOptions
    now: Callable[[], float] = time.time

    def __call__(self, step: Step, job: str, destination: str, delivery_ids: list[int]) -> None:
        """Do the job; every delivery that was taken gets a state.

        One whose state the ledger did not take is given back by whoever sees that this job is over.
        """
        with structlog.contextvars.bound_contextvars(destination=destination):
            step("send", self.attempt, destination, delivery_ids)

    def attempt(self, destination: str, delivery_ids: Sequence[int]) -> None:
        """Take the deliveries, bring them there together and write what came of each."""
        rows = self.ledger.claim(delivery_ids, now=self.now())
        if not rows:
            return
        known = self.destinations.get(destination)
        if known is None:
            for row in rows:
                with _bound(row):
                    self._park(row, f"expected destination {destination!r} in the settings")
            return
        try:
            self._send(rows, known)
        except Exception as error:
            log.exception("delivery.broken")
            self._give_back(rows, type(error).__name__)

    def _send(self, rows: Sequence[DeliveryRow], transport: Transport) -> None:
        paths = self._verified(rows)
        delivered = transport.deliver(tuple(paths))
        taken = [
            paths[answer.path] for answer in delivered.answers if answer.verdict == "delivered"
        ]
        for answer in delivered.answers:
            self._write(paths[answer.path], answer, delivered.receipt)
        if delivered.receipt is not None and taken:
            self._ask_receipt(taken, transport, delivered.receipt)

    def _verified(self, rows: Sequence[DeliveryRow]) -> dict[Path, DeliveryRow]:
        """Find the files, each read once; one that is not what was kept is never sent."""
        found = {}
        for row in rows:
            try:
                found[self.spool.verified(row.output)] = row
            except StoreError as error:
                with _bound(row):
                    (self._failed if error.retryable else self._park)(row, str(error))
        return found

    def _write(self, row: DeliveryRow, answer: Answer, receipt: str | None) -> None:
        with _bound(row):
            try:
                match answer.verdict:
                    case "delivered":
                        self._sent(row, answer, receipt)
                    case "later":
                        self._failed(row, answer.reason, answer.code)
                    case "never":
                        self._park(row, answer.reason, answer.code)
            except StoreError as error:  # a person decided otherwise, or the ledger is away
                log.warning("delivery.not_recorded", verdict=answer.verdict, reason=str(error))

    def _give_back(self, rows: Sequence[DeliveryRow], what: str) -> None:
        """Give up this attempt at whatever has no state yet, if the ledger takes it."""
        for row in rows:
            with suppress(StoreError):
                self._failed(row, f"expected an attempt to end, got {what}; see the log")

    def _failed(self, row: DeliveryRow, reason: str, code: str = "") -> None:
        """Try again later; after the last attempt a person must look."""
        last = row.attempts >= self.options.attempts
        (self._park if last else self._retry)(row, reason, code)

    def _sent(self, row: DeliveryRow, answer: Answer, receipt: str | None) -> None:
        self.ledger.sent(
            row.id, code=answer.code, note=answer.reason, receipt=receipt, now=self.now()
        )
        log.info("delivery.sent", code=answer.code, attempt=row.attempts)

    def _park(self, row: DeliveryRow, reason: str, code: str = "") -> None:
        self.ledger.park(row.id, code=code, error=reason, now=self.now())
        log.error("delivery.parked", reason=reason, attempt=row.attempts)

    def _retry(self, row: DeliveryRow, reason: str, code: str) -> None:
        wait_s = backoff_s(
            row.attempts,
            key=str(row.id),
            first_s=self.options.first_retry_s,
            longest_s=self.options.longest_retry_s,
        )
        self.ledger.retry_later(
            row.id, at=self.now() + wait_s, code=code, error=reason, now=self.now()
        )
        log.warning("delivery.retry", reason=reason, attempt=row.attempts, wait_s=round(wait_s, 1))

    def _ask_receipt(self, rows: Sequence[DeliveryRow], transport: Transport, receipt: str) -> None:
        """Ask once; a destination that does not answer leaves its deliveries "sent"."""
        instances = [(row.output.sop_class_uid, row.output.sop_instance_uid) for row in rows]
        try:
            transport.ask_receipt(instances, receipt)
        except NetworkError as error:
            log.warning("receipt.not_asked", reason=str(error))


def _bound(row: DeliveryRow) -> AbstractContextManager[None]:
    """Name the delivery in every log line."""
    return structlog.contextvars.bound_contextvars(
        exam=row.exam_id, instance_uid=row.output.sop_instance_uid, kind=row.output.kind
    )
