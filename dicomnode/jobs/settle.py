"""The loop that asks the ledger what is to be done, and has it done.

Only the ledger is asked, so that what another process writes there (a retry from the command
line, say) is picked up here.
"""

import threading
import time
from collections.abc import Callable, Sequence
from itertools import groupby

import structlog

from dicomnode.errors import Reason, TransitionError
from dicomnode.jobs import analyse, deliver
from dicomnode.jobs.engine import Engine
from dicomnode.store.ledger import Ledger
from dicomnode.store.rows import DeliveryRow, ExamRow
from dicomnode.store.states import ExamState

__all__ = ["ANALYSE", "DELIVER", "Settler"]

log = structlog.get_logger(__name__)

ANALYSE = "analyse"
DELIVER = "deliver"

_TICK_S = 1.0
_MANY = 10_000
_LOST = Reason(
    "job-lost",
    "the job of this exam ended without a result, or was tried too often; retry the exam",
)


class Settler:
    """Starts a job for everything that is due; each job's name says what it is for.

    Parameters
    ----------
    engine : Engine
        Knows the jobs :data:`ANALYSE` and :data:`DELIVER`.
    quiet_s : float
        How long nothing must have come for a study before it is complete.
    workers : int
        How many exams are analysed at the same time.
    """

    def __init__(
        self,
        ledger: Ledger,
        engine: Engine,
        *,
        quiet_s: float,
        workers: int,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._ledger = ledger
        self._engine = engine
        self._quiet_s = quiet_s
        self._workers = workers
        self._now = now
        self._delivering: dict[str, str] = {}
        self._wake = threading.Event()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="settler", daemon=True)

    def start(self) -> None:
        """Begin to ask, once a second and whenever woken."""
        self._thread.start()

    def stop(self) -> None:
        """Start nothing more."""
        self._stopping.set()
        self._wake.set()
        if self._thread.ident is not None:
            self._thread.join()

    def wake(self) -> None:
        """Look again now: a job has ended."""
        self._wake.set()

    @property
    def alive(self) -> bool:
        """Whether the loop runs."""
        return self._thread.is_alive()

    def tick(self) -> None:
        """Ask once."""
        self._settle()
        self._analyse()
        self._deliver()

    def _run(self) -> None:
        while not self._stopping.is_set():
            self._wake.clear()
            try:
                self.tick()
            except Exception:
                log.exception("settler.tick_failed")
            self._wake.wait(_TICK_S)

    def _settle(self) -> None:
        for exam in self._ledger.due_studies(now=self._now(), quiet_s=self._quiet_s):
            try:
                self._ledger.queue(exam, now=self._now())
            except TransitionError:
                continue  # another instance came in this moment: wait on
            log.info("exam.complete", exam=exam.id, study_uid=exam.study_uid)

    def _analyse(self) -> None:
        taken = self._exams(ExamState.ANALYSING)
        for exam in taken:
            if exam.job == analyse.job_name(exam):
                self._submit(exam)
        studies = {exam.study_uid for exam in taken}
        for exam in self._exams(ExamState.QUEUED):
            if self._analysing() >= self._workers:
                return
            if exam.study_uid not in studies:  # else its other injections are being written
                studies.add(exam.study_uid)
                self._submit(exam)

    def _exams(self, state: ExamState) -> Sequence[ExamRow]:
        return self._ledger.exams(states=[state], limit=_MANY)[::-1]

    def _analysing(self) -> int:
        return sum(name.startswith(ANALYSE) for name in self._engine.active)

    def _submit(self, exam: ExamRow) -> None:
        job = analyse.job_name(exam)
        if self._engine.submit(ANALYSE, job, exam.id):
            return
        if self._ledger.exam(exam.id) != exam:
            return  # it ended while we asked
        log.error("job.lost", exam=exam.id, job=job)
        self._ledger.begin(exam.id, job=job, now=self._now())
        self._ledger.fail(exam.id, job=job, reasons=[_LOST], now=self._now())

    def _deliver(self) -> None:
        """Have at most one association to each destination, so that a slow one waits alone."""
        due = sorted(self._ledger.due_deliveries(now=self._now(), limit=_MANY), key=_parcel)
        for (destination, _exam_id), rows in groupby(due, key=_parcel):
            if self._delivering.get(destination) in self._engine.active:
                continue
            self._deliver_to(destination, list(rows))

    def _deliver_to(self, destination: str, rows: Sequence[DeliveryRow]) -> None:
        job = deliver.job_name(rows)
        self._delivering[destination] = job
        self._engine.submit(DELIVER, job, destination, [row.id for row in rows])


def _parcel(row: DeliveryRow) -> tuple[str, int]:
    return row.destination, row.exam_id
