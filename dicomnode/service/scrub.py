"""Reading every kept file once a day, so that what a disk lost is known before it is needed."""

import os
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import PurePosixPath

import structlog

from dicomnode.errors import DamagedError, DicomnodeError, StoreError
from dicomnode.service.retention import was_let_go
from dicomnode.service.take_up import take_up
from dicomnode.store.ledger import Ledger
from dicomnode.store.rows import Instance, Output
from dicomnode.store.spool import Spool

__all__ = ["Scrub"]

log = structlog.get_logger(__name__)

_DAY_S = 86_400.0
_FIRST_S = 3600.0  # after a start there is more to do
_PAUSE_S = 5.0
_LOWEST = 19  # nice(1)
_FEW = 20


@dataclass
class _Found:
    """What a round has come across so far."""

    known: set[PurePosixPath] = field(default_factory=set)
    intact: int = 0
    damaged: int = 0
    missing: dict[str, list[str]] = field(default_factory=dict)

    def note(self, study_uid: str, error: StoreError | None) -> None:
        """Count a file; one that is missing may have been removed on purpose."""
        if error is None:
            self.intact += 1
        elif not isinstance(error, DamagedError):
            log.warning("file.not_read", study_uid=study_uid, reason=str(error))
        elif error.code == "file-missing":
            self.missing.setdefault(study_uid, []).append(str(error))
        else:
            self.damaged += 1
            log.error("file.damaged", study_uid=study_uid, reason=str(error))


class Scrub:
    """Compares files with their rows, while nothing is received, analysed or sent.

    Parameters
    ----------
    retention_days : float
        After how many days files are removed on purpose; 0 when never.
    is_busy : callable
        Asked before each file; while it says so, the scrub waits.
    ending : threading.Event
        Set when the node ends; the round is then left as it is.
    """

    def __init__(
        self,
        ledger: Ledger,
        spool: Spool,
        *,
        retention_days: float,
        is_busy: Callable[[], bool],
        ending: threading.Event,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._ledger = ledger
        self._spool = spool
        self._retention_days = retention_days
        self._is_busy = is_busy
        self._ending = ending
        self._now = now
        self._due_at = time.monotonic() + _FIRST_S
        self._counts: Mapping[str, int] = {}

    @property
    def counts(self) -> Mapping[str, int]:
        """How many files were intact, damaged, missing and unrecorded; empty before a round."""
        return self._counts

    def round(self) -> None:
        """Scrub where it is due and nothing else goes on."""
        if time.monotonic() < self._due_at or self._is_busy():
            return
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), _LOWEST)  # this thread's alone
        self._due_at = time.monotonic() + _DAY_S
        self.scrub()

    def scrub(self) -> None:
        """Read every recorded file, then see to what nothing records."""
        found = _Found()
        for study_uid, recorded in self._ledger.recorded_files():
            if not self._wait_until_quiet():
                return
            if recorded.path in found.known:  # a revision shares what did not change
                continue
            found.known.add(recorded.path)
            found.note(study_uid, self._what_is_wrong(recorded))
        missing = self._tell_missing(found.missing)
        unrecorded = self._take_up(found.known) + self._drop_results(found.known)
        self._counts = {
            "intact": found.intact,
            "damaged": found.damaged,
            "missing": missing,
            "unrecorded": unrecorded,
        }
        log.info("spool.scrubbed", **self._counts)

    def _what_is_wrong(self, recorded: Instance | Output) -> StoreError | None:
        try:
            self._spool.verified(recorded)
        except StoreError as error:
            return error
        return None

    def _wait_until_quiet(self) -> bool:
        """Give way to work; False when the node ends."""
        while self._is_busy():
            if self._ending.wait(_PAUSE_S):
                break
        return not self._ending.is_set()

    def _tell_missing(self, missing: Mapping[str, list[str]]) -> int:
        """Name the files that nobody removed on purpose, and count them."""
        count = 0
        let_go_before = self._now() - self._retention_days * _DAY_S
        for study_uid, reasons in missing.items():
            if self._retention_days and was_let_go(
                self._ledger, self._spool, study_uid, before=let_go_before
            ):
                continue
            count += len(reasons)
            for reason in reasons:
                log.error("file.missing", study_uid=study_uid, reason=reason)
        return count

    def _take_up(self, known: set[PurePosixPath]) -> int:
        """Record received files whose row the ledger lacks; returns how many cannot be.

        Their senders may have been told that they were kept, by a node with another ledger.
        """
        left = 0
        for path in self._spool.received_files():
            if not self._is_left_over(path, known):
                continue
            try:
                take_up(self._ledger, self._spool, path, now=self._now())
            except DicomnodeError as error:
                left += 1
                log.warning("file.not_taken_up", path=str(path), reason=str(error))
        return left

    def _drop_results(self, known: set[PurePosixPath]) -> int:
        """Remove results whose row the ledger did not take; returns how many are left.

        Another attempt has made them anew. Where there are many, it is the ledger that is not
        the one they were kept with: then nothing is removed.
        """
        left_over = [path for path in self._spool.result_files() if self._is_left_over(path, known)]
        if len(left_over) > max(_FEW, len(known) // 100):
            log.error(
                "spool.unrecorded",
                files=len(left_over),
                reason="expected at most a few results that the ledger does not know; is it the "
                "ledger that they were kept with? none was removed",
            )
            return len(left_over)
        left = 0
        for path in left_over:
            if self._spool.discard(path):
                log.warning("file.removed", path=str(path), reason="no row of the ledger names it")
            else:
                left += 1
        return left

    def _is_left_over(self, path: PurePosixPath, known: set[PurePosixPath]) -> bool:
        if path in known:
            return False
        try:
            age_s = self._now() - self._spool.absolute(path).stat().st_mtime
        except FileNotFoundError:
            return False
        return age_s > _DAY_S and not self._ledger.is_recorded(path)
