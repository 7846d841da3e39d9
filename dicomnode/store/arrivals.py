"""Instances and the associations that bring them."""

from dataclasses import fields
from pathlib import PurePosixPath
from typing import Any, Literal

from sqlalchemy import Connection, RowMapping, delete, insert, select, update

from dicomnode.errors import Reason, RefusedError
from dicomnode.store.database import CollisionError, Database, insert_row
from dicomnode.store.rows import ExamRow, Instance, InstanceRow, Policy, Recorded, RejectionRow
from dicomnode.store.schema import (
    association_studies,
    associations,
    exams,
    instances,
    rejections,
)
from dicomnode.store.states import ExamState

__all__ = ["Arrivals"]

_REJECTIONS_KEPT = 1000  # kinds of them: a stranger may make up as many as it likes
_RACES = 5  # how often writers may collide on PostgreSQL before it is an error


class Arrivals(Database):
    """The part of the ledger that the receiver writes."""

    def association_opened(
        self, association_id: str, *, calling_ae: str, host: str, now: float
    ) -> None:
        """Note that a peer's association was accepted."""
        with self._writing() as connection:
            connection.execute(
                insert(associations).values(
                    id=association_id, calling_ae=calling_ae, host=host, opened_at=now
                )
            )

    def association_closed(self, association_id: str, *, now: float) -> None:
        """Note that it ended: released, aborted or lost. Twice is as good as once."""
        with self._writing() as connection:
            connection.execute(
                update(associations)
                .where(associations.c.id == association_id, associations.c.closed_at.is_(None))
                .values(closed_at=now)
            )

    def waits(self, exam: ExamRow) -> tuple[Reason, ...]:
        """Say what an exam that is still received waits for: every open association, or quiet."""
        if exam.state is not ExamState.RECEIVING:
            return ()
        query = (
            select(associations.c.calling_ae, associations.c.host)
            .join(association_studies, association_studies.c.association_id == associations.c.id)
            .where(association_studies.c.study_uid == exam.study_uid)
            .where(associations.c.closed_at.is_(None))
            .order_by(associations.c.opened_at)
        )
        with self._reading() as connection:
            senders = connection.execute(query).all()
        if not senders:
            return (Reason("quiet", "complete when nothing more has come for a while"),)
        return tuple(
            Reason("association-open", f"waits for {ae} at {host} to end its association")
            for ae, host in senders
        )

    def association_rejected(
        self, *, calling_ae: str, called_ae: str, host: str, reason: str, now: float
    ) -> None:
        """Note that an association was turned away; alike ones are counted, the latest kept."""
        who = {"calling_ae": calling_ae, "called_ae": called_ae, "host": host, "reason": reason}
        with self._writing() as connection:
            counted = connection.execute(
                update(rejections)
                .filter_by(**who)
                .values(times=rejections.c.times + 1, last_at=now)
            )
            if not counted.rowcount:
                connection.execute(insert(rejections).values(**who, times=1, last_at=now))
                by_age = select(rejections.c.id).order_by(rejections.c.last_at.desc())
                older = by_age.offset(_REJECTIONS_KEPT)
                connection.execute(delete(rejections).where(rejections.c.id.in_(older)))

    def rejections(self, *, limit: int = 20) -> tuple[RejectionRow, ...]:
        """List who was turned away, the latest first."""
        columns = [rejections.c[field.name] for field in fields(RejectionRow)]
        query = select(*columns).order_by(rejections.c.last_at.desc()).limit(limit)
        with self._reading() as connection:
            return tuple(RejectionRow(**row) for row in connection.execute(query).mappings())

    def record_instance(self, instance: Instance, *, now: float) -> Recorded:
        """Record an instance whose file is durable. Only then may it be acknowledged.

        The same bytes under the same UID are recorded once, however often they come. Other
        bytes under a known UID become a further variant beside the first. The first instance
        of a study opens its exam; one that arrives when the study's newest revision is no
        longer receiving opens a new revision.
        """
        for _ in range(_RACES - 1):
            try:
                return self._record(instance, now)
            except CollisionError:
                continue
        return self._record(instance, now)

    def instances_for(self, exam: ExamRow, policy: Policy) -> tuple[InstanceRow, ...]:
        """List the instances that a revision consists of, in order of arrival.

        Parameters
        ----------
        exam : ExamRow
            Instances that came for a later revision are left out, so that the same exam is
            always read from the same files.
        policy : {"first", "last", "refuse"}
            What to do about different bytes under one SOP Instance UID.

        Raises
        ------
        RefusedError
            With policy "refuse", when there are different bytes under one UID.
        """
        variants: dict[str, list[InstanceRow]] = {}
        for row in self.variants_of(exam):
            variants.setdefault(row.sop_instance_uid, []).append(row)
        conflicts = {uid: rows for uid, rows in variants.items() if len(rows) > 1}
        if policy == "refuse" and conflicts:
            raise RefusedError(*(_conflict(uid, len(rows)) for uid, rows in conflicts.items()))
        return tuple(rows[-1 if policy == "last" else 0] for rows in variants.values())

    def variants_of(self, exam: ExamRow) -> tuple[InstanceRow, ...]:
        """List every instance of a revision, different bytes under one UID included."""
        query = (
            select(instances)
            .where(instances.c.study_uid == exam.study_uid, instances.c.revision <= exam.revision)
            .order_by(instances.c.id)
        )
        with self._reading() as connection:
            return tuple(map(_instance_row, connection.execute(query).mappings()))

    def _record(self, instance: Instance, now: float) -> Recorded:
        with self._writing() as connection:
            newest = _newest_revision(connection, instance.study_uid)
            _connect_to_study(connection, instance)
            known = _known(connection, instance.sop_instance_uid)
            same = next((row for row in known if row.sha256 == instance.sha256), None)
            if same is not None and newest is not None:
                _heard(connection, newest["id"], now)
                return _recorded("same", same, newest["id"])
            if newest is not None and newest["state"] == ExamState.RECEIVING:
                exam_id, revision = newest["id"], newest["revision"]
                _heard(connection, exam_id, now)
            else:
                exam_id, revision = _open_revision(connection, instance, newest, now)
            row = _insert(connection, instance, len(known), revision, now)
            outcome: Literal["first", "different"] = "different" if known else "first"
            opened = newest is not None and exam_id != newest["id"]
            return _recorded(outcome, row, exam_id, new_revision=opened)


def _newest_revision(connection: Connection, study_uid: str) -> RowMapping | None:
    """Lock the study's newest exam: nobody may queue it while an instance is recorded."""
    return (
        connection.execute(
            select(exams)
            .where(exams.c.study_uid == study_uid, exams.c.injection == 1)
            .order_by(exams.c.revision.desc())
            .limit(1)
            .with_for_update()
        )
        .mappings()
        .one_or_none()
    )


def _known(connection: Connection, sop_instance_uid: str) -> list[InstanceRow]:
    query = select(instances).where(instances.c.sop_instance_uid == sop_instance_uid)
    rows = connection.execute(query.order_by(instances.c.variant)).mappings()
    return [_instance_row(row) for row in rows]


def _connect_to_study(connection: Connection, instance: Instance) -> None:
    """Remember which open associations a study has to wait for."""
    link = {"association_id": instance.association_id, "study_uid": instance.study_uid}
    if connection.execute(select(association_studies).filter_by(**link)).first() is None:
        connection.execute(insert(association_studies).values(link))


def _heard(connection: Connection, exam_id: int, now: float) -> None:
    """Start the study's quiet time again, if it is still receiving."""
    connection.execute(
        update(exams)
        .where(exams.c.id == exam_id, exams.c.state == ExamState.RECEIVING)
        .values(last_instance_at=now)
    )


def _open_revision(
    connection: Connection, instance: Instance, newest: RowMapping | None, now: float
) -> tuple[int, int]:
    revision = 1 if newest is None else newest["revision"] + 1
    exam_id = insert_row(
        connection,
        exams,
        {
            "study_uid": instance.study_uid,
            "injection": 1,
            "revision": revision,
            "state": ExamState.RECEIVING,
            "reasons": [],
            "summary": {},
            "replaces": None if newest is None else newest["id"],
            "attempt": 1,
            "calling_ae": instance.calling_ae,
            "created_at": now,
            "changed_at": now,
            "last_instance_at": now,
        },
    )
    return exam_id, revision


def _insert(
    connection: Connection, instance: Instance, variant: int, revision: int, now: float
) -> InstanceRow:
    values: dict[str, Any] = {
        field.name: getattr(instance, field.name) for field in fields(Instance)
    }
    values |= {"variant": variant, "revision": revision, "received_at": now}
    number = insert_row(connection, instances, values | {"path": str(instance.path)})
    return InstanceRow(id=number, **values)


def _recorded(
    outcome: Literal["first", "same", "different"],
    instance: InstanceRow,
    exam_id: int,
    *,
    new_revision: bool = False,
) -> Recorded:
    return Recorded(outcome=outcome, instance=instance, exam_id=exam_id, new_revision=new_revision)


def _instance_row(row: RowMapping) -> InstanceRow:
    return InstanceRow(**dict(row) | {"path": PurePosixPath(row["path"])})


def _conflict(sop_instance_uid: str, count: int) -> Reason:
    return Reason(
        "conflicting-instances",
        f"expected one instance with SOP Instance UID {sop_instance_uid}, "
        f"received {count} with different bytes",
    )
