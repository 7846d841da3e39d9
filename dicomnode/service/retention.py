"""Files of a study that may go, and those that are gone because they were let go."""

from collections.abc import Iterable
from pathlib import PurePosixPath

from dicomnode.store.ledger import Ledger
from dicomnode.store.rows import ExamRow
from dicomnode.store.spool import Spool
from dicomnode.store.states import Phase

__all__ = ["files_of", "is_over", "was_let_go"]


def is_over(ledger: Ledger, exams: Iterable[ExamRow], *, before: float) -> bool:
    """Whether exams were done, and their results delivered, before a moment."""
    return all(
        exam.state.phase is Phase.OVER
        and exam.changed_at < before
        and all(
            delivery.state.phase is Phase.OVER and delivery.changed_at < before
            for delivery in ledger.deliveries(exam.id)
        )
        for exam in exams
    )


def files_of(ledger: Ledger, exams: Iterable[ExamRow]) -> set[PurePosixPath]:
    """List what was received and made for exams, relative to the spool."""
    paths: set[PurePosixPath] = set()
    for exam in exams:
        paths |= {instance.path for instance in ledger.variants_of(exam)}
        paths |= {output.path for output in ledger.outputs(exam.id)}
    return paths


def was_let_go(ledger: Ledger, spool: Spool, study_uid: str, *, before: float) -> bool:
    """Whether a study's missing files were removed on purpose: all of them, and old enough."""
    exams = ledger.exams(study_uid=study_uid)
    there = (spool.absolute(path).exists() for path in files_of(ledger, exams))
    return is_over(ledger, exams, before=before) and not any(there)
