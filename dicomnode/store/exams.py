"""Exams: from the last instance that arrives to the result."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from sqlalchemy import ColumnElement, Connection, RowMapping, func, select, update

from dicomnode.errors import Reason, TransitionError
from dicomnode.record.schema import Record
from dicomnode.record.summary import Summary
from dicomnode.store.database import Database, NotFoundError, insert_row
from dicomnode.store.outbox import record_outputs
from dicomnode.store.records import keep_record
from dicomnode.store.recovery import INTERRUPTED
from dicomnode.store.rows import Destinations, ExamRow, Output
from dicomnode.store.schema import association_studies, associations, exams
from dicomnode.store.states import ExamEvent, ExamState, after_exam, settled

__all__ = ["Exams"]


class Exams(Database):
    """The part of the ledger that follows an exam through its states.

    Every change repeats the old state in its SQL; when the row has moved meanwhile, a
    :class:`TransitionError` says so and nothing was written. ``job`` names the piece of work
    that took an exam: the same job may begin, finish, refuse or fail it again without harm,
    which lets a step be repeated after a crash.
    """

    def due_studies(self, *, now: float, quiet_s: float) -> tuple[ExamRow, ...]:
        """List receiving exams to which nothing came for a while and nobody is connected."""
        with self._reading() as connection:
            receiving = (
                connection.execute(
                    select(exams).where(exams.c.state == ExamState.RECEIVING).order_by(exams.c.id)
                )
                .mappings()
                .all()
            )
            return tuple(
                _exam_row(row) for row in receiving if _settled(connection, row, now, quiet_s)
            )

    def queue(self, exam: ExamRow, *, now: float) -> ExamRow:
        """Close a receiving revision, provided nothing arrived since ``exam`` was read."""
        with self._writing() as connection:
            return _change(
                connection,
                exam.id,
                ExamEvent.QUEUE,
                now,
                guard=[exams.c.last_instance_at == exam.last_instance_at],
            )

    def begin(self, exam_id: int, *, job: str, now: float) -> ExamRow:
        """Take a queued exam."""
        with self._writing() as connection:
            exam = _one(connection, exam_id)
            if exam.job == job and exam.state is ExamState.ANALYSING:
                return exam
            return _change(connection, exam_id, ExamEvent.BEGIN, now, values={"job": job})

    def split(self, exam: ExamRow, injections: int, *, now: float) -> tuple[ExamRow, ...]:
        """Give every injection of a study a row; the further ones are queued at once.

        Returns the rows of all injections of this revision. Repeating it adds nothing.
        """
        with self._writing() as connection:
            rows = {row.injection: row for row in _revision(connection, exam)}
            for injection in range(2, injections + 1):
                if injection not in rows:
                    _add_injection(connection, exam, injection, now)
            return _revision(connection, exam)

    def finish(
        self,
        exam_id: int,
        *,
        job: str,
        outputs: Sequence[Output],
        destinations: Destinations,
        record: Record,
        now: float,
    ) -> ExamRow:
        """Write the result: state, record, outputs and deliveries in one transaction."""
        with self._writing() as connection:
            exam = _one(connection, exam_id)
            if _already(exam, job, ExamState.ANALYSED):
                return exam
            record_outputs(connection, exam_id, outputs, destinations, now)
            values = {"summary": keep_record(connection, exam_id, record), "reasons": []}
            return _change(connection, exam_id, ExamEvent.FINISH, now, job=job, values=values)

    def refuse(
        self,
        exam_id: int,
        *,
        job: str,
        record: Record,
        outputs: Sequence[Output] = (),
        destinations: Destinations | None = None,
        now: float,
    ) -> ExamRow:
        """Write why the exam must not be analysed: a result too, perhaps with outputs."""
        with self._writing() as connection:
            exam = _one(connection, exam_id)
            if _already(exam, job, ExamState.REFUSED):
                return exam
            record_outputs(connection, exam_id, outputs, destinations or {}, now)
            summary = keep_record(connection, exam_id, record)
            reasons = [one.model_dump() for one in record.reasons]
            values = {"summary": summary, "reasons": reasons}
            return _change(connection, exam_id, ExamEvent.REFUSE, now, job=job, values=values)

    def fail(self, exam_id: int, *, job: str, reasons: Sequence[Reason], now: float) -> ExamRow:
        """Write that the analysis broke; a person may retry it."""
        with self._writing() as connection:
            exam = _one(connection, exam_id)
            if _already(exam, job, ExamState.FAILED):
                return exam
            values = {"reasons": _reasons(reasons)}
            return _change(connection, exam_id, ExamEvent.FAIL, now, job=job, values=values)

    def wait(self, exam_id: int, *, job: str, reason: Reason) -> None:
        """Say why an exam under analysis is not done yet; its job is begun again."""
        with self._writing() as connection:
            exam = _one(connection, exam_id)
            if exam.job != job or exam.state is not ExamState.ANALYSING:
                return
            kept = [one for one in exam.reasons if one.code == INTERRUPTED]
            connection.execute(
                update(exams)
                .where(exams.c.id == exam_id, exams.c.state == exam.state, exams.c.job == job)
                .values(reasons=_reasons([*kept, reason]))
            )

    def put_back(self, exam: ExamRow, *, now: float) -> ExamRow:
        """Queue an exam under analysis again whose job is gone."""
        with self._writing() as connection:
            guard = [exams.c.job == exam.job]
            gone: dict[str, Any] = {"job": None}
            return _change(connection, exam.id, ExamEvent.RETURN, now, values=gone, guard=guard)

    def retry(self, exam_id: int, *, now: float) -> ExamRow:
        """Queue an exam that has no result, as a new attempt, because a person asked for it.

        One that is receiving is taken as complete; one under analysis is begun again.
        """
        with self._writing() as connection:
            exam = _one(connection, exam_id)
            values: dict[str, Any] = {"reasons": [], "job": None, "attempt": exam.attempt + 1}
            return _change(connection, exam_id, ExamEvent.RETRY, now, values=values)

    def give_up(self, exam_id: int, *, now: float) -> ExamRow:
        """End an exam without a result, because a person said so; it may be retried."""
        with self._writing() as connection:
            exam = _one(connection, exam_id)
            told = Reason("given-up", f"given up by a person while it was {exam.state}")
            values: dict[str, Any] = {"reasons": _reasons([told]), "job": None}
            return _change(connection, exam_id, ExamEvent.GIVE_UP, now, values=values)

    def reanalyse(self, exam_id: int, *, now: float) -> ExamRow:
        """Queue a new revision of an analysed exam's study, from the same instances.

        The older result stays. The whole study is read again, all its injections with it.
        """
        with self._writing() as connection:
            exam = _one(connection, exam_id)
            newest = _newest(connection, exam.study_uid)
            _expect_newest_and_analysed(exam, newest)
            first = next(row for row in _revision(connection, exam) if row.injection == 1)
            return _add(
                connection, first, injection=1, revision=newest + 1, replaces=first.id, now=now
            )

    def exam(self, exam_id: int) -> ExamRow:
        """Give one exam by its number."""
        with self._reading() as connection:
            return _one(connection, exam_id)

    def exams(
        self,
        *,
        states: Sequence[ExamState] = tuple(ExamState),
        study_uid: str | None = None,
        limit: int = 200,
    ) -> tuple[ExamRow, ...]:
        """List exams, newest first."""
        query = select(exams).where(exams.c.state.in_(states))
        if study_uid is not None:
            query = query.where(exams.c.study_uid == study_uid)
        with self._reading() as connection:
            rows = connection.execute(query.order_by(exams.c.id.desc()).limit(limit)).mappings()
            return tuple(map(_exam_row, rows))

    def exam_counts(self) -> dict[ExamState, int]:
        """Count the exams in each state."""
        query = select(exams.c.state, func.count()).group_by(exams.c.state)
        with self._reading() as connection:
            found = {ExamState(state): count for state, count in connection.execute(query)}
        return {state: found.get(state, 0) for state in ExamState}


def _settled(connection: Connection, exam: RowMapping, now: float, quiet_s: float) -> bool:
    """Apply the rule of :func:`settled` to the associations that sent to the study."""
    closed_at = connection.scalars(
        select(associations.c.closed_at)
        .join(association_studies, association_studies.c.association_id == associations.c.id)
        .where(association_studies.c.study_uid == exam["study_uid"])
    ).all()
    ended = [at for at in closed_at if at is not None]
    last_heard_at = max([exam["last_instance_at"], *ended])
    return settled(last_heard_at, len(closed_at) - len(ended), now, quiet_s)


def _change(
    connection: Connection,
    exam_id: int,
    event: ExamEvent,
    now: float,
    *,
    values: Mapping[str, Any] | None = None,
    job: str | None = None,
    guard: Sequence[ColumnElement[bool]] = (),
) -> ExamRow:
    """Move one exam along the table of states, or raise and write nothing."""
    exam = _one(connection, exam_id)
    state = after_exam(exam.state, event)
    if job is not None:
        guard = [*guard, exams.c.job == job]
    changed = connection.execute(
        update(exams)
        .where(exams.c.id == exam_id, exams.c.state == exam.state, *guard)
        .values({"state": state, "changed_at": now} | dict(values or {}))
    )
    if changed.rowcount != 1:
        raise TransitionError(
            f"exam {exam_id} was expected to be {exam.state} and unchanged before {event}; "
            "another process, a newer instance or another job came first"
        )
    return _one(connection, exam_id)


def _one(connection: Connection, exam_id: int) -> ExamRow:
    row = connection.execute(select(exams).where(exams.c.id == exam_id)).mappings().one_or_none()
    if row is None:
        raise NotFoundError(f"expected an exam with number {exam_id}, the ledger has none")
    return _exam_row(row)


def _already(exam: ExamRow, job: str, state: ExamState) -> bool:
    return exam.state is state and exam.job == job


def _revision(connection: Connection, exam: ExamRow) -> tuple[ExamRow, ...]:
    query = select(exams).filter_by(study_uid=exam.study_uid, revision=exam.revision)
    return tuple(map(_exam_row, connection.execute(query.order_by(exams.c.injection)).mappings()))


def _newest(connection: Connection, study_uid: str) -> int:
    query = select(func.max(exams.c.revision)).where(exams.c.study_uid == study_uid)
    return int(connection.scalar(query) or 0)


def _expect_newest_and_analysed(exam: ExamRow, newest: int) -> None:
    if exam.state is not ExamState.ANALYSED or exam.revision != newest:
        raise TransitionError(
            f"expected the newest revision, analysed; exam {exam.id} is revision "
            f"{exam.revision} of {newest} and {exam.state}",
            hint="retry what was refused or failed; reanalyse the newest revision",
        )


def _add_injection(connection: Connection, exam: ExamRow, injection: int, now: float) -> None:
    earlier = connection.scalar(
        select(func.max(exams.c.id)).where(
            exams.c.study_uid == exam.study_uid,
            exams.c.injection == injection,
            exams.c.revision < exam.revision,
        )
    )
    _add(
        connection,
        exam,
        injection=injection,
        revision=exam.revision,
        replaces=earlier,
        now=now,
    )


def _add(
    connection: Connection,
    like: ExamRow,
    *,
    injection: int,
    revision: int,
    replaces: int | None,
    now: float,
) -> ExamRow:
    number = insert_row(
        connection,
        exams,
        {
            "study_uid": like.study_uid,
            "injection": injection,
            "revision": revision,
            "state": ExamState.QUEUED,
            "reasons": [],
            "summary": {},
            "replaces": replaces,
            "attempt": 1,
            "calling_ae": like.calling_ae,
            "created_at": now,
            "changed_at": now,
            "last_instance_at": like.last_instance_at,
        },
    )
    return _one(connection, number)


def _reasons(reasons: Sequence[Reason]) -> list[dict[str, str]]:
    return [asdict(reason) for reason in reasons]


def _exam_row(row: RowMapping) -> ExamRow:
    reasons = tuple(Reason(**reason) for reason in row["reasons"])
    typed = {
        "state": ExamState(row["state"]),
        "reasons": reasons,
        "summary": Summary.model_validate(row["summary"]),
    }
    return ExamRow(**dict(row) | typed)
