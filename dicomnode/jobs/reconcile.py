"""The loop that holds the ledger against what really runs, and has done what is to be done.

Every row that is not final has something that runs for it, or a moment at which something will.
Where that is not so (a job that broke while ledger or disk did not answer, an association whose
end could not be written, a clock that was set) the row is put right here, a moment after the
cause has gone. Only the ledger is asked, so that what another process writes there (a retry from
the command line, say) is picked up too.
"""

import threading
import time
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from itertools import groupby

import structlog

from dicomnode.errors import StoreError, TransitionError
from dicomnode.jobs import analyse, deliver
from dicomnode.jobs.engine import Engine
from dicomnode.jobs.pace import Pace
from dicomnode.store.ledger import Ledger
from dicomnode.store.recovery import INTERRUPTED
from dicomnode.store.rows import DeliveryRow, ExamRow
from dicomnode.store.states import ExamState

__all__ = ["ANALYSE", "DELIVER", "Reconciler", "Running"]

log = structlog.get_logger(__name__)

ANALYSE = "analyse"
DELIVER = "deliver"

_TICK_S = 1.0
_PATIENCE_S = 2.0
_MANY = 10_000
_LEAP_S = 5.0
"""A wall clock that is off by more, against a clock that cannot be set, was set."""
_WARY = 3
"""An exam whose analysis saw the node end so often is analysed alone, after all others."""
_WARY_WAITS_S = 600.0
"""For so long; then others wait for it."""


@dataclass(frozen=True, kw_only=True)
class Running:
    """What runs in this process beside the engine's jobs.

    Attributes
    ----------
    open_associations : callable
        Numbers of the associations that are open now.
    abandon : callable
        Ends the heavy work of a job, by its name, where it has any.
    """

    open_associations: Callable[[], Collection[str]]
    abandon: Callable[[str], None]


class Reconciler:
    """Starts a job for everything that is due, and puts right what nothing runs for.

    Parameters
    ----------
    engine : Engine
        Knows the jobs :data:`ANALYSE` and :data:`DELIVER`.
    running : Running
    quiet_s : float
        How long nothing must have come for a study before it is complete.
    workers : int
        How many exams are analysed at the same time.
    longest_retry_s : float
        The longest that a delivery may wait for its next attempt.
    now, monotonic : callable
        Seconds by the wall clock (UTC, epoch), and by one that nobody can set.
    """

    def __init__(
        self,
        ledger: Ledger,
        engine: Engine,
        running: Running,
        *,
        quiet_s: float,
        workers: int,
        longest_retry_s: float,
        now: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._ledger = ledger
        self._engine = engine
        self._running = running
        self._quiet_s = quiet_s
        self._workers = workers
        self._longest_retry_s = longest_retry_s
        self._now = now
        self._monotonic = monotonic
        self._offset_s: float | None = None
        self._pace = Pace(monotonic)
        self._wary_since: dict[int, float] = {}
        self._wake = threading.Event()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="reconciler", daemon=True)
        self.beat = time.monotonic()
        """When the last round ended (``time.monotonic``), whether or not the ledger answered."""
        self.trouble = ""
        """What kept the last round from its end, or work from its beginning; else empty."""
        self._refused_since: float | None = None
        self._refusal = ""
        self._wanted = False

    def start(self) -> None:
        """Begin to ask, once a second and whenever woken."""
        self._thread.start()

    def stop(self) -> None:
        """Start nothing more; a round that hangs is left behind."""
        self._stopping.set()
        self._wake.set()
        if self._thread.ident is not None:
            self._thread.join(_PATIENCE_S)

    def wake(self) -> None:
        """Look again now: a job has ended."""
        self._wake.set()

    @property
    def alive(self) -> bool:
        """Whether the loop runs."""
        return self._thread.is_alive()

    @property
    def refused_s(self) -> float:
        """For how long the engine has begun nothing of what was wanted; 0 where it does."""
        since = self._refused_since
        return 0.0 if since is None else self._monotonic() - since

    def tick(self) -> None:
        """Do one round. What fails is done in the next; a ledger that fails ends the round."""
        trouble, self._wanted = "", False
        for part in (self._clock, self._associations, self._settle, self._analyse, self._deliver):
            try:
                part()
            except StoreError as error:
                trouble = _told(error)
                break
            except Exception as error:
                trouble = _told(error)
        if not trouble and not self._wanted:
            self._begins()
        self.trouble = trouble or self._refusal
        self._pace.forget_done()
        self.beat = time.monotonic()

    def _run(self) -> None:
        while not self._stopping.is_set():
            self._wake.clear()
            self.tick()
            self._wake.wait(_TICK_S)

    def _clock(self) -> None:
        """Notice that the clock was set, and let nothing wait for what it said before."""
        now = self._now()
        offset_s = now - self._monotonic()
        leap_s = 0.0 if self._offset_s is None else offset_s - self._offset_s
        if self._offset_s is not None and abs(leap_s) <= _LEAP_S:
            return
        if leap_s > 0:
            self._ledger.start_quiet_times(now=now)
        longest_wait_s = 0.0 if leap_s < 0 else self._longest_retry_s
        changed = self._ledger.clock_was_set(now=now, longest_wait_s=longest_wait_s)
        if changed or leap_s:
            log.warning("clock.was_set", leap_s=round(leap_s, 1), rows=changed)
        self._offset_s = offset_s

    def _associations(self) -> None:
        """Close in the ledger what is open no more; its end could not be written."""
        believed_open = self._ledger.open_associations()  # asked first: the others came later
        for gone in believed_open.difference(self._running.open_associations()):
            self._ledger.association_closed(gone, now=self._now())
            log.warning("association.end_recorded_late", association=gone)

    def _settle(self) -> None:
        for exam in self._ledger.due_studies(now=self._now(), quiet_s=self._quiet_s):
            try:
                self._ledger.queue(exam, now=self._now())
            except TransitionError:
                continue  # another instance came in this moment: wait on
            log.info("exam.complete", exam=exam.id, study_uid=exam.study_uid)

    def _analyse(self) -> None:
        self._abandon_unwanted()
        taken = self._exams(ExamState.ANALYSING)
        left = [exam for exam in taken if exam.job not in self._engine.active]
        self._put_back(left, taken)
        studies = {exam.study_uid for exam in taken}
        waiting = [exam for exam in left if exam.job == analyse.job_name(exam)]
        for exam in self._exams(ExamState.QUEUED):
            if exam.study_uid not in studies:  # else its other injections are being written
                studies.add(exam.study_uid)
                waiting.append(exam)
        wary = {exam.id for exam in taken if _interruptions(exam) >= _WARY}
        turn = self._turns(wary)
        for exam in sorted(waiting, key=lambda exam: turn.get(exam.id, 0)):
            analysing = self._analysing()
            if len(analysing) >= (1 if exam.id in wary or analysing & wary else self._workers):
                return
            self._submit(ANALYSE, analyse.job_name(exam), exam.id)

    def _turns(self, wary: Collection[int]) -> dict[int, int]:
        """Say of each wary exam whether it comes after all others, or first: it waited enough."""
        now = self._monotonic()
        self._wary_since = {number: self._wary_since.get(number, now) for number in wary}
        return {
            number: 1 if now < since + _WARY_WAITS_S else -1
            for number, since in self._wary_since.items()
        }

    def _abandon_unwanted(self) -> None:
        """End work whose exam a person has retried or given up meanwhile."""
        for name, args in self._engine.active.items():
            if not name.startswith(ANALYSE):
                continue
            exam = self._ledger.exam(args[0])
            if analyse.job_name(exam) != name or exam.state not in (
                ExamState.QUEUED,
                ExamState.ANALYSING,
            ):
                self._running.abandon(name)

    def _put_back(self, left: Iterable[ExamRow], taken: Collection[ExamRow]) -> None:
        """Queue injections that the job of another exam had begun to write before it ended."""
        going_on = {exam.job for exam in taken if exam.job == analyse.job_name(exam)}
        for exam in left:
            if exam.job in going_on:
                continue
            try:
                self._ledger.put_back(exam, now=self._now())
            except TransitionError:
                continue  # its job wrote its end in this moment
            log.warning("exam.put_back", exam=exam.id, job=exam.job)

    def _exams(self, state: ExamState) -> list[ExamRow]:
        return list(self._ledger.exams(states=[state], limit=_MANY))[::-1]

    def _analysing(self) -> set[int]:
        """Numbers of the exams whose job runs."""
        return {args[0] for name, args in self._engine.active.items() if name.startswith(ANALYSE)}

    def _deliver(self) -> None:
        """Have at most one association to each destination, so that a slow one waits alone."""
        self._give_back()
        due = sorted(self._ledger.due_deliveries(now=self._now()), key=_parcel)
        for (destination, _exam_id), rows in groupby(due, key=_parcel):
            job = deliver.job_name(destination)
            if job not in self._engine.active:
                self._submit_delivery(job, destination, list(rows))

    def _submit_delivery(self, job: str, destination: str, rows: list[DeliveryRow]) -> None:
        stamp = max(row.changed_at for row in rows)
        work = f"{job}-{rows[0].id}-{len(rows)}-{stamp}"
        self._submit(DELIVER, job, destination, [row.id for row in rows], work=work)

    def _give_back(self) -> None:
        """Have deliveries tried again whose job ended before it could write what became of them."""
        sending = self._ledger.sending()  # asked first: what is taken later has a job
        held = {
            number
            for name, args in self._engine.active.items()
            if name.startswith(DELIVER)
            for number in args[1]
        }
        for row in sending:
            if row.id in held:
                continue
            try:
                self._ledger.give_back(row.id, now=self._now())
            except TransitionError:
                continue  # its job wrote what became of it in this moment
            log.warning("delivery.given_back", exam=row.exam_id, destination=row.destination)

    def _submit(self, kind: str, job: str, *args: object, work: str = "") -> None:
        """Have a job done; the same work again only after a pause, longer each time."""
        self._wanted = True
        if not self._pace.may_begin(work or job):
            return
        try:
            self._engine.submit(kind, job, *args)
        except Exception as error:
            self._refusal = _words(error)
            if self._refused_since is None:
                self._refused_since = self._monotonic()
            raise
        self._begins()

    def _begins(self) -> None:
        """Note that work begins, or that there is none."""
        self._refused_since, self._refusal = None, ""


def _told(error: Exception) -> str:
    """Log what went wrong in a round, and give it in words."""
    if isinstance(error, StoreError):
        log.error("reconciler.ledger_failed", reason=str(error))
    else:
        log.error("reconciler.failed", exc_info=error)
    return _words(error)


def _words(error: Exception) -> str:
    return str(error) if isinstance(error, StoreError) else f"{type(error).__name__}; see the log"


def _interruptions(exam: ExamRow) -> int:
    return sum(reason.code == INTERRUPTED for reason in exam.reasons)


def _parcel(row: DeliveryRow) -> tuple[str, int]:
    return row.destination, row.exam_id
