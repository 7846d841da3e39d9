"""Keeping the data directory from filling: what may go, goes; nothing else."""

import shutil
import threading
import time
from collections.abc import Callable, Iterable

import structlog

from dicomnode.config import RetentionOptions
from dicomnode.jobs.engine import Engine
from dicomnode.service.retention import files_of, is_over
from dicomnode.store.ledger import Ledger
from dicomnode.store.rows import ExamRow
from dicomnode.store.spool import Spool
from dicomnode.store.states import ExamState

__all__ = ["Housekeeping"]

log = structlog.get_logger(__name__)

_HOUR_S = 3600.0
_DAY_S = 24 * _HOUR_S
_JOBS_KEPT_S = 7 * _DAY_S
_MANY = 1_000_000
_PATIENCE_S = 2.0


class Housekeeping:
    """Sweeps at start, then once an hour; files that retention lets go are first removed then."""

    def __init__(
        self,
        ledger: Ledger,
        spool: Spool,
        engine: Engine,
        options: RetentionOptions,
        *,
        now: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._ledger = ledger
        self._spool = spool
        self._engine = engine
        self._options = options
        self._now = now
        self._monotonic = monotonic
        self._offset_s: float | None = None
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="housekeeping", daemon=True)

    def start(self) -> None:
        """Begin, in a thread."""
        self._thread.start()

    def stop(self) -> None:
        """Begin nothing more; what takes longer than a moment is left behind."""
        self._stopping.set()
        if self._thread.ident is not None:
            self._thread.join(_PATIENCE_S)

    def clean(self) -> None:
        """Do one round."""
        self._drop_workspaces()
        self._engine.purge(before=self._now() - _JOBS_KEPT_S)
        if self._options.days > 0 and self._clock_is_steady():
            self._drop_old_files(self._now() - self._options.days * _DAY_S)

    def _clock_is_steady(self) -> bool:
        """Whether the clock went as time did since the last round; a wrong one makes all seem old.

        At the first round nobody can tell: it may have been wrong since the start.
        """
        offset_s = self._now() - self._monotonic()
        before_s, self._offset_s = self._offset_s, offset_s
        return before_s is not None and abs(offset_s - before_s) < _HOUR_S

    def _run(self) -> None:
        while True:
            try:
                self.clean()
            except Exception:
                log.exception("housekeeping.failed")
            if self._stopping.wait(_HOUR_S):
                return

    def _drop_workspaces(self) -> None:
        """Remove work that no exam under analysis has taken."""
        for directory in tuple(self._spool.work.iterdir()):
            taken = self._ledger.exams(states=[ExamState.ANALYSING], limit=_MANY)
            wanted = {row.job for row in taken}
            if directory.name not in wanted | set(self._engine.active):
                shutil.rmtree(directory, ignore_errors=True)
                log.info("workspace.removed", name=directory.name)

    def _drop_old_files(self, before: float) -> None:
        """Remove the files, never the rows, of studies that are long done and delivered."""
        for study_uid in {exam.study_uid for exam in self._ledger.exams(limit=_MANY)}:
            exams = self._ledger.exams(study_uid=study_uid)  # as they are now
            if is_over(self._ledger, exams, before=before) and (count := self._drop_files(exams)):
                log.info("study.files_removed", study_uid=study_uid, files=count)

    def _drop_files(self, exams: Iterable[ExamRow]) -> int:
        recorded = files_of(self._ledger, exams)
        there = [path for path in recorded if self._spool.absolute(path).exists()]
        for path in there:
            self._spool.absolute(path).unlink(missing_ok=True)
        return len(there)
