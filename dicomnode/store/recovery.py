"""Putting rows right that a killed process or a clock that was set left behind."""

from dataclasses import asdict
from datetime import UTC, datetime

from sqlalchemy import Connection, Table, case, select, update

from dicomnode.errors import Reason
from dicomnode.store.database import Database
from dicomnode.store.schema import associations, deliveries, exams
from dicomnode.store.states import UNDELIVERED, DeliveryState, ExamState

__all__ = ["INTERRUPTED", "Recovery"]

INTERRUPTED = "interrupted"
"""Code of the reason that an exam under analysis has for each end of the node it went through."""
_INTERRUPTIONS_KEPT = 20


class Recovery(Database):
    """The part of the ledger that is written when something went wrong."""

    def recover(self, *, now: float) -> None:
        """Put right what a process that was killed left behind; call it once, at start.

        Deliveries that were being sent are pending again: the same bytes with the same UID
        may arrive twice, and never not at all. Associations that were open are closed. Exams
        under analysis stay so, because their job goes on; each is told that it was interrupted.
        """
        with self._writing() as connection:
            connection.execute(
                update(deliveries)
                .where(deliveries.c.state == DeliveryState.SENDING)
                .values(state=DeliveryState.PENDING, next_attempt_at=now, changed_at=now)
            )
            connection.execute(
                update(associations).where(associations.c.closed_at.is_(None)).values(closed_at=now)
            )
            _tell_interrupted(connection, now)

    def open_associations(self) -> frozenset[str]:
        """Give the associations of which no end is known."""
        query = select(associations.c.id).where(associations.c.closed_at.is_(None))
        with self._reading() as connection:
            return frozenset(connection.scalars(query))

    def clock_was_set(self, *, now: float, longest_wait_s: float) -> int:
        """Let nothing wait for a moment that a wrong clock wrote; returns how many rows did.

        What was heard in the future was heard now, so that quiet times begin anew; a delivery
        that would wait longer than ``longest_wait_s`` is due, and so is one that never failed.
        """
        waits_s = case((deliveries.c.state == DeliveryState.RETRY, longest_wait_s), else_=0.0)
        with self._writing() as connection:
            changed = [
                _not_after(connection, exams, "last_instance_at", now, ExamState.RECEIVING),
                _not_after(connection, associations, "closed_at", now),
                connection.execute(
                    update(deliveries)
                    .where(
                        deliveries.c.state.in_(UNDELIVERED),
                        deliveries.c.next_attempt_at > now + waits_s,
                    )
                    .values(next_attempt_at=now)
                ).rowcount,
            ]
            return sum(changed)

    def start_quiet_times(self, *, now: float) -> None:
        """Begin the quiet time of every receiving study anew: the clock leapt ahead."""
        with self._writing() as connection:
            connection.execute(
                update(exams)
                .where(exams.c.state == ExamState.RECEIVING)
                .values(last_instance_at=now)
            )


def _not_after(
    connection: Connection, table: Table, column: str, now: float, state: ExamState | None = None
) -> int:
    moment = table.c[column]
    where = [moment > now] + ([] if state is None else [table.c.state == state])
    return int(connection.execute(update(table).where(*where).values({column: now})).rowcount)


def _tell_interrupted(connection: Connection, now: float) -> None:
    moment = datetime.fromtimestamp(now, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
    reason = Reason(
        INTERRUPTED, f"the node ended during the analysis and was started again at {moment}"
    )
    taken = select(exams.c.id, exams.c.reasons).where(exams.c.state == ExamState.ANALYSING)
    for exam_id, reasons in connection.execute(taken).all():
        kept = [*reasons, asdict(reason)][-_INTERRUPTIONS_KEPT:]
        connection.execute(update(exams).where(exams.c.id == exam_id).values(reasons=kept))
