"""Outputs and their deliveries: what must reach which destination, and what came of it."""

from collections.abc import Mapping, Sequence
from pathlib import PurePosixPath
from typing import Any

from sqlalchemy import ColumnElement, Connection, RowMapping, func, select, update

from dicomnode.errors import TransitionError
from dicomnode.store.database import Database, NotFoundError, insert_row
from dicomnode.store.rows import DeliveryRow, Destinations, Output, OutputRow
from dicomnode.store.schema import deliveries, outputs
from dicomnode.store.states import (
    DeliveryEvent,
    DeliveryState,
    after_delivery,
    before_delivery,
)

__all__ = ["Outbox", "record_outputs"]

_DUE = before_delivery(DeliveryEvent.CLAIM)


class Outbox(Database):
    """The part of the ledger that the sender writes."""

    def due_deliveries(self, *, now: float, of_each: int = 100) -> tuple[DeliveryRow, ...]:
        """List deliveries that may be tried now: so many of each destination, oldest first.

        However many wait for one that is away, those of the others are listed.
        """
        turn = func.row_number().over(
            partition_by=deliveries.c.destination, order_by=deliveries.c.id
        )
        due = (
            select(deliveries.c.id, turn.label("turn"))
            .where(deliveries.c.state.in_(_DUE), deliveries.c.next_attempt_at <= now)
            .subquery()
        )
        return self._deliveries(deliveries.c.id.in_(select(due.c.id).where(due.c.turn <= of_each)))

    def claim(self, delivery_ids: Sequence[int], *, now: float) -> tuple[DeliveryRow, ...]:
        """Take deliveries for sending; those another process took first are left out."""
        with self._writing() as connection:
            taken = [one for one in delivery_ids if _claim(connection, one, now)]
            return _select(connection, deliveries.c.id.in_(taken))

    def sent(
        self,
        delivery_id: int,
        *,
        code: str,
        note: str = "",
        receipt: str | None = None,
        now: float,
    ) -> DeliveryRow:
        """Write that the destination took it, and with which reservation."""
        values = {"code": code, "error": note, "receipt": receipt}
        return self._change(delivery_id, DeliveryEvent.SENT, now, values)

    def retry_later(
        self, delivery_id: int, *, at: float, code: str = "", error: str, now: float
    ) -> DeliveryRow:
        """Write that the attempt failed in a way that may pass, and when to try again."""
        values = {"code": code, "error": error, "next_attempt_at": at}
        return self._change(delivery_id, DeliveryEvent.RETRY_LATER, now, values)

    def park(self, delivery_id: int, *, code: str = "", error: str, now: float) -> DeliveryRow:
        """Write that the destination will not take it: stop until a person asks again."""
        values = {"code": code, "error": error}
        return self._change(delivery_id, DeliveryEvent.PARK, now, values)

    def receipt_given(
        self,
        receipt: str,
        *,
        committed: Sequence[str],
        failed: Mapping[str, str],
        now: float,
    ) -> tuple[DeliveryRow, ...]:
        """Write what a destination confirmed that it keeps, and what it lost.

        Parameters
        ----------
        receipt : str
            The name under which it was asked to.
        committed : sequence of str
            SOP Instance UIDs.
        failed : mapping
            SOP Instance UID to the reason in words.
        """
        with self._writing() as connection:
            asked = _select(
                connection,
                deliveries.c.receipt == receipt,
                deliveries.c.state == DeliveryState.SENT,
            )
            for row in asked:
                uid = row.output.sop_instance_uid
                if uid in committed:
                    _change(connection, row.id, DeliveryEvent.COMMIT, now)
                elif uid in failed:
                    _change(connection, row.id, DeliveryEvent.LOST, now, {"error": failed[uid]})
            return _select(connection, deliveries.c.id.in_([row.id for row in asked]))

    def release(self, exam_id: int, *, now: float) -> int:
        """Try again whatever of an exam's outputs is not sent yet; returns how many."""
        again = {"attempts": 0, "next_attempt_at": now}
        return self._change_all(exam_id, DeliveryEvent.RELEASE, now, again)

    def resend(self, exam_id: int, *, now: float) -> int:
        """Send all of an exam's outputs again, the same bytes; returns how many."""
        again = {"attempts": 0, "next_attempt_at": now}
        return self._change_all(exam_id, DeliveryEvent.RESEND, now, again)

    def give_up_deliveries(self, exam_id: int, *, now: float) -> int:
        """Send no more of an exam's outputs, because a person said so; returns how many."""
        return self._change_all(
            exam_id, DeliveryEvent.GIVE_UP, now, {"error": "given up by a person"}
        )

    def sending(self) -> tuple[DeliveryRow, ...]:
        """List deliveries that somebody took for sending."""
        return self._deliveries(deliveries.c.state == DeliveryState.SENDING)

    def give_back(self, delivery_id: int, *, now: float) -> DeliveryRow:
        """Have a delivery tried again whose sender is gone: the same bytes may arrive twice."""
        return self._change(delivery_id, DeliveryEvent.RECOVER, now, {"next_attempt_at": now})

    def outputs(self, exam_id: int) -> tuple[OutputRow, ...]:
        """List the result objects of an exam."""
        query = select(outputs).where(outputs.c.exam_id == exam_id).order_by(outputs.c.id)
        with self._reading() as connection:
            return tuple(map(_output_row, connection.execute(query).mappings()))

    def deliveries(self, exam_id: int) -> tuple[DeliveryRow, ...]:
        """List the deliveries of an exam."""
        return self.deliveries_of([exam_id])[exam_id]

    def deliveries_of(self, exam_ids: Sequence[int]) -> dict[int, tuple[DeliveryRow, ...]]:
        """List the deliveries of many exams, by exam, with one query for all."""
        found: dict[int, list[DeliveryRow]] = {exam_id: [] for exam_id in exam_ids}
        for row in self._deliveries(deliveries.c.exam_id.in_(exam_ids)):
            found[row.exam_id].append(row)
        return {exam_id: tuple(rows) for exam_id, rows in found.items()}

    def delivery_counts(self) -> dict[DeliveryState, int]:
        """Count the deliveries in each state."""
        query = select(deliveries.c.state, func.count()).group_by(deliveries.c.state)
        with self._reading() as connection:
            found = {DeliveryState(state): count for state, count in connection.execute(query)}
        return {state: found.get(state, 0) for state in DeliveryState}

    def _change_all(
        self, exam_id: int, event: DeliveryEvent, now: float, values: Mapping[str, Any]
    ) -> int:
        """Let an event happen to those of an exam's deliveries to which it may."""
        with self._writing() as connection:
            rows = _select(
                connection,
                deliveries.c.exam_id == exam_id,
                deliveries.c.state.in_(before_delivery(event)),
            )
            for row in rows:
                _change(connection, row.id, event, now, values)
            return len(rows)

    def _deliveries(self, *where: ColumnElement[bool]) -> tuple[DeliveryRow, ...]:
        with self._reading() as connection:
            return _select(connection, *where)

    def _change(
        self, delivery_id: int, event: DeliveryEvent, now: float, values: Mapping[str, Any]
    ) -> DeliveryRow:
        with self._writing() as connection:
            return _change(connection, delivery_id, event, now, values)


def record_outputs(
    connection: Connection,
    exam_id: int,
    items: Sequence[Output],
    destinations: Destinations,
    now: float,
) -> None:
    """Write outputs and their deliveries into the caller's transaction."""
    for item in items:
        values = vars(item) | {"path": str(item.path), "exam_id": exam_id, "created_at": now}
        number = insert_row(connection, outputs, values)
        wanted_by = [name for name, kinds in destinations.items() if item.kind in kinds]
        for name in wanted_by:
            insert_row(
                connection,
                deliveries,
                {
                    "output_id": number,
                    "exam_id": exam_id,
                    "destination": name,
                    "state": DeliveryState.PENDING,
                    "attempts": 0,
                    "next_attempt_at": now,
                    "error": "",
                    "changed_at": now,
                },
            )


def _claim(connection: Connection, delivery_id: int, now: float) -> bool:
    changed = connection.execute(
        update(deliveries)
        .where(deliveries.c.id == delivery_id, deliveries.c.state.in_(_DUE))
        .values(state=DeliveryState.SENDING, attempts=deliveries.c.attempts + 1, changed_at=now)
    )
    return bool(changed.rowcount == 1)


def _change(
    connection: Connection,
    delivery_id: int,
    event: DeliveryEvent,
    now: float,
    values: Mapping[str, Any] | None = None,
) -> DeliveryRow:
    """Move one delivery along the table of states, or raise and write nothing."""
    before = _one(connection, delivery_id)
    state = after_delivery(before.state, event)
    changed = connection.execute(
        update(deliveries)
        .where(deliveries.c.id == delivery_id, deliveries.c.state == before.state)
        .values({"state": state, "changed_at": now} | dict(values or {}))
    )
    if changed.rowcount != 1:
        raise TransitionError(
            f"delivery {delivery_id} was expected to be {before.state}; another process came first"
        )
    return _one(connection, delivery_id)


def _one(connection: Connection, delivery_id: int) -> DeliveryRow:
    found = _select(connection, deliveries.c.id == delivery_id)
    if not found:
        raise NotFoundError(f"expected a delivery with number {delivery_id}, there is none")
    return found[0]


def _select(connection: Connection, *where: ColumnElement[bool]) -> tuple[DeliveryRow, ...]:
    query = select(deliveries).where(*where).order_by(deliveries.c.id)
    chosen = connection.execute(query).mappings().all()
    made = select(outputs).where(outputs.c.id.in_({row["output_id"] for row in chosen}))
    by_id = {row["id"]: _output_row(row) for row in connection.execute(made).mappings()}
    return tuple(_delivery_row(row, by_id[row["output_id"]]) for row in chosen)


def _output_row(row: RowMapping) -> OutputRow:
    return OutputRow(**dict(row) | {"path": PurePosixPath(row["path"])})


def _delivery_row(row: RowMapping, output: OutputRow) -> DeliveryRow:
    values = {key: value for key, value in row.items() if key != "output_id"}
    return DeliveryRow(**values | {"state": DeliveryState(row["state"]), "output": output})
