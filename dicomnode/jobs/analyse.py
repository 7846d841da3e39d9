"""One exam, from queued to analysed, refused or failed.

Three steps, each of which may be repeated: *begin* takes the exam in the ledger, *process*
makes the result files in a worker, *publish* moves them into the spool and writes them, with
their deliveries, into the ledger.
"""

import os
import shutil
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any, TypeAlias

import structlog

from dicomnode.errors import (
    DamagedError,
    DicomnodeError,
    Reason,
    RefusedError,
    StoreError,
    TransitionError,
)
from dicomnode.jobs.step import Step
from dicomnode.jobs.workers import WorkerDiedError, WorkError, Workers, passes
from dicomnode.outputs.request import Outcome, OutputFile, Request
from dicomnode.store.ledger import Ledger
from dicomnode.store.rows import ExamRow, Output, Policy
from dicomnode.store.spool import Spool
from dicomnode.store.states import ExamState

__all__ = ["Analysis", "Process", "job_name"]

log = structlog.get_logger(__name__)

Process: TypeAlias = Callable[[Sequence[Path], Path, Request], tuple[Outcome, ...]]
"""Files of a study, an empty directory, what to analyse with: the outcome per injection."""

Plain: TypeAlias = dict[str, Any]
"""An :class:`Outcome` as the engine keeps it, its paths relative to the workspace."""


def job_name(exam: ExamRow) -> str:
    """Name the job of an exam's present attempt, the same in every life of the node."""
    return f"analyse-{exam.id}-{exam.attempt}"


@dataclass(frozen=True, kw_only=True)
class Analysis:
    """What the job needs. ``process`` is called in a worker, so it must be importable there.

    ``destinations`` and ``refusal_destinations`` map a destination to the kinds of output it
    wants of an exam that was analysed, or refused.
    """

    ledger: Ledger
    spool: Spool
    workers: Workers
    process: Process
    request: Request
    policy: Policy
    destinations: Mapping[str, Sequence[str]]
    refusal_destinations: Mapping[str, Sequence[str]]
    now: Callable[[], float] = time.time

    def __call__(self, step: Step, job: str, exam_id: int) -> None:
        """Do the job. Whatever goes wrong ends here, as the exam's state and reason.

        Except what passes: a ledger that does not answer, a full disk. The exam stays under
        analysis, with the reason, and the job is begun again.
        """
        with structlog.contextvars.bound_contextvars(exam=exam_id):
            try:
                if not step("begin", self.begin, job, exam_id):
                    return
                outcomes = step("process", self.make, job, exam_id)
                step("publish", self.publish, job, exam_id, outcomes)
            except Exception as error:
                if passes(error):
                    self._wait(job, exam_id, error)
                    raise
                log.exception("exam.failed")
                step("fail", self.fail, job, exam_id, *_cause(error))

    def begin(self, job: str, exam_id: int) -> bool:
        """Take the exam; False when another job has it."""
        try:
            exam = self.ledger.begin(exam_id, job=job, now=self.now())
        except TransitionError:
            return False
        log.info("exam.analysing", study_uid=exam.study_uid, revision=exam.revision)
        return True

    def make(self, job: str, exam_id: int) -> list[Plain]:
        """Make the result files. A worker that dies is given one more chance."""
        exam = self.ledger.exam(exam_id)
        try:
            instances = self.ledger.instances_for(exam, self.policy)
        except RefusedError as refused:
            return [_plain(Outcome.refused(exam.injection, refused.reasons))]
        paths = [self.spool.verified(instance) for instance in instances]
        request = replace(self.request, replaces=self._replaced(exam))
        try:
            return self._work(job, paths, request)
        except WorkerDiedError:
            log.warning("worker.died")
            return self._work(job, paths, request)

    def publish(self, job: str, exam_id: int, outcomes: Sequence[Plain]) -> None:
        """Write every injection's outcome, this exam's last: it is the sign that all is done."""
        exam = self.ledger.exam(exam_id)
        if not self._is_mine(exam, job):
            return  # written before a crash, or a person decided otherwise meanwhile
        made = map(Outcome.model_validate, outcomes)
        by_injection = {outcome.injection: outcome for outcome in made}
        if exam.injection == 1:
            for row in self.ledger.split(exam, max(by_injection, default=1), now=self.now()):
                if row.injection > 1 and row.injection in by_injection:
                    self._publish_further(job, row, by_injection[row.injection])
        gone = Reason("no-injection", f"expected injection {exam.injection}, found none")
        none = Outcome.refused(exam.injection, [gone])
        self._write(job, exam, by_injection.get(exam.injection, none))
        shutil.rmtree(self.spool.work / job, ignore_errors=True)

    def fail(self, job: str, exam_id: int, code: str, text: str) -> None:
        """Write why the exam, and the injections it had begun to write, came to nothing."""
        exam = self.ledger.exam(exam_id)
        rows = self.ledger.exams(states=[ExamState.ANALYSING], study_uid=exam.study_uid)
        for row in rows:
            if row.job == job:
                self.ledger.fail(row.id, job=job, reasons=[Reason(code, text)], now=self.now())
        shutil.rmtree(self.spool.work / job, ignore_errors=True)

    def _wait(self, job: str, exam_id: int, error: Exception) -> None:
        _, text = _cause(error)
        log.warning("exam.waits", reason=text)
        with suppress(StoreError):  # it may be the ledger that does not answer
            self.ledger.wait(exam_id, job=job, reason=Reason("waiting", text))

    def _replaced(self, exam: ExamRow) -> dict[int, Path]:
        """Find, by injection, the newest report of an earlier revision that is still there.

        A refusal counts only where refusals are sent: a report must not name one that nobody has.
        """
        kinds = {"sr", "refusal"} if self.refusal_destinations else {"sr"}
        found: dict[int, Path] = {}
        for row in self.ledger.exams(study_uid=exam.study_uid):
            if row.revision >= exam.revision or row.injection in found:
                continue
            for output in self.ledger.outputs(row.id):
                if output.kind in kinds and self._is_there(output):
                    found[row.injection] = self.spool.absolute(output.path)
        return found

    def _is_there(self, output: Output) -> bool:
        """Whether an earlier result can still be used; one that is damaged is made anew."""
        try:
            self.spool.verified(output)
        except DamagedError as error:
            log.warning("output.not_used", reason=str(error))
            return False
        return True

    def _work(self, job: str, paths: Sequence[Path], request: Request) -> list[Plain]:
        directory = self.spool.workspace(job)
        outcomes: list[Plain] = self.workers.run(
            work, self.process, paths, directory, request, key=job
        )
        return outcomes

    def _publish_further(self, job: str, row: ExamRow, outcome: Outcome) -> None:
        """Write an injection that was found on the way, unless a job of its own has it."""
        if self.begin(job, row.id):
            self._write(job, self.ledger.exam(row.id), outcome)

    def _is_mine(self, exam: ExamRow, job: str) -> bool:
        return exam.state is ExamState.ANALYSING and exam.job == job

    def _write(self, job: str, exam: ExamRow, outcome: Outcome) -> None:
        if not self._is_mine(exam, job):
            return  # written before a crash
        refused = outcome.status == "refused"
        write = self.ledger.refuse if refused else self.ledger.finish
        write(
            exam.id,
            job=job,
            record=outcome.record,
            outputs=self._outputs(job, exam, outcome),
            destinations=self.refusal_destinations if refused else self.destinations,
            now=self.now(),
        )
        log.info(f"exam.{outcome.status}", reasons=[reason.code for reason in outcome.reasons])

    def _outputs(self, job: str, exam: ExamRow, outcome: Outcome) -> list[Output]:
        """Make the DICOM results durable.

        What was recorded under a UID before keeps its first bytes: an earlier attempt's output
        is not written again, an earlier revision's is taken over where its file is still there.
        """
        recorded = {output.sop_instance_uid for output in self.ledger.outputs(exam.id)}
        earlier = self._earlier_outputs(exam)
        earlier = {uid: output for uid, output in earlier.items() if self._is_there(output)}
        objects = [output for output in outcome.outputs if output.sop_instance_uid]
        wanted = [output for output in objects if output.sop_instance_uid not in recorded]
        kept = [earlier[uid] for output in wanted if (uid := output.sop_instance_uid) in earlier]
        made = [output for output in wanted if output.sop_instance_uid not in earlier]
        return [*kept, *self._store(job, f"{exam.id}-{exam.attempt}", made)]

    def _earlier_outputs(self, exam: ExamRow) -> dict[str, Output]:
        """Find, by UID, the outputs of the revisions that this exam replaces."""
        found: dict[str, Output] = {}
        replaced = exam.replaces
        while replaced is not None:
            for row in self.ledger.outputs(replaced):
                found[row.sop_instance_uid] = Output(
                    **{field.name: getattr(row, field.name) for field in fields(Output)}
                )
            replaced = self.ledger.exam(replaced).replaces
        return found

    def _store(self, job: str, folder: str, made: Sequence[OutputFile]) -> list[Output]:
        workspace = self.spool.work / job
        files = {output.kind: _link(workspace / output.path) for output in made}
        stored = self.spool.publish(folder, files)
        return [
            Output(
                kind=output.kind,
                path=stored[output.kind].path,
                sop_class_uid=output.sop_class_uid,
                sop_instance_uid=output.sop_instance_uid,
                sha256=stored[output.kind].sha256,
                size_bytes=stored[output.kind].size_bytes,
            )
            for output in made
        ]


def work(process: Process, paths: Sequence[Path], directory: Path, request: Request) -> list[Plain]:
    """Run in the worker: make the results, put them on the disk, and describe them."""
    outcomes = process(paths, directory, request)
    _sync_tree(directory)
    return [_plain(_below(directory, outcome)) for outcome in outcomes]


def _below(directory: Path, outcome: Outcome) -> Outcome:
    """Name the files as the workspace does, wherever it lies."""
    outputs = tuple(
        replace(output, path=output.path.relative_to(directory)) for output in outcome.outputs
    )
    return outcome.model_copy(update={"outputs": outputs})


def _plain(outcome: Outcome) -> Plain:
    return outcome.model_dump(mode="json")


def _cause(error: Exception) -> tuple[str, str]:
    """Say in words what broke; the texts of foreign exceptions are left out."""
    if isinstance(error, WorkError | DamagedError):
        return error.code, str(error)
    if isinstance(error, DicomnodeError):
        return "node-error", str(error)
    if isinstance(error, OSError):
        return "node-error", f"expected the disk to take the result: {error.strerror}"
    return "node-error", f"expected the step to end, got {type(error).__name__}; see the log"


def _link(path: Path) -> Path:
    """Give a second name to move, so that a repeated step finds the first still there."""
    second = path.with_name(f".{path.name}.publishing")
    second.unlink(missing_ok=True)
    second.hardlink_to(path)
    return second


def _sync_tree(directory: Path) -> None:
    """Put files and names on the disk: the next step trusts them even after a power cut."""
    for path in (*directory.rglob("*"), directory):
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
