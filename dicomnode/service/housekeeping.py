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
    """Sweeps at start, then once an hour."""

    def __init__(
        self,
        ledger: Ledger,
        spool: Spool,
        engine: Engine,
        options: RetentionOptions,
        *,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._ledger = ledger
        self._spool = spool
        self._engine = engine
        self._options = options
        self._now = now
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
        if self._options.days > 0:
            self._drop_old_files(self._now() - self._options.days * _DAY_S)

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
            wanted = {row.job for row in self._ledger.exams(states=[ExamState.ANALYSING])}
            if directory.name not in wanted | set(self._engine.active):
                shutil.rmtree(directory, ignore_errors=True)
                log.info("workspace.removed", name=directory.name)

    def _drop_old_files(self, before: float) -> None:
        """Remove the files, never the rows, of studies that are long done and delivered."""
        studies: dict[str, list[ExamRow]] = {}
        for exam in self._ledger.exams(limit=_MANY):
            studies.setdefault(exam.study_uid, []).append(exam)
        for study_uid, exams in studies.items():
            if is_over(self._ledger, exams, before=before) and (count := self._drop_files(exams)):
                log.info("study.files_removed", study_uid=study_uid, files=count)

    def _drop_files(self, exams: Iterable[ExamRow]) -> int:
        recorded = map(self._spool.absolute, files_of(self._ledger, exams))
        there = [path for path in recorded if path.exists()]
        for path in there:
            path.unlink(missing_ok=True)
        return len(there)
