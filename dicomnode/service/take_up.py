"""Received files that no row of the ledger names: recorded again, so that nothing kept is lost.

A ledger that was lost or put back from a copy does not know what came since. A file is kept
before its row is written; so files without rows are all that such a ledger lacks.
"""

from collections.abc import Iterator
from pathlib import PurePosixPath

import structlog
from pydicom.filereader import read_file_meta_info

from dicomnode.errors import DamagedError, DicomnodeError, StoreError
from dicomnode.network.header import read_header
from dicomnode.store.content import dataset_sha256
from dicomnode.store.ledger import Ledger
from dicomnode.store.rows import Instance, Recorded
from dicomnode.store.spool import Spool

__all__ = ["expect_ledger_of", "take_up", "take_up_all", "unrecorded"]

log = structlog.get_logger(__name__)

_SENDER = "TAKEN UP"
"""Stands where the calling AE title does; the file does not say who sent it."""


def unrecorded(ledger: Ledger, spool: Spool) -> Iterator[PurePosixPath]:
    """Find received files that no row names."""
    return (path for path in spool.received_files() if not ledger.is_recorded(path))


def expect_ledger_of(spool: Spool, ledger: Ledger) -> None:
    """Refuse a new ledger beside files that another one recorded: it was lost.

    Raises
    ------
    StoreError
        Says what may be done.
    """
    if not ledger.is_new() or next(spool.received_files(), None) is None:
        return
    count = sum(1 for _ in spool.received_files())
    raise StoreError(
        f"expected the ledger in which the {count} received files below {spool.objects} were "
        "recorded, found an empty one",
        hint="put the ledger back from its copy; without one, `dicomnode exams take-up` records "
        "the files anew, and their studies are analysed and sent again",
    )


def take_up_all(ledger: Ledger, spool: Spool, *, now: float) -> tuple[int, int]:
    """Record every received file that no row names; how many were, and how many cannot be."""
    taken = left = 0
    for path in unrecorded(ledger, spool):
        try:
            take_up(ledger, spool, path, now=now)
            taken += 1
        except DicomnodeError as error:
            left += 1
            log.warning("file.not_taken_up", path=str(path), reason=str(error))
    return taken, left


def take_up(ledger: Ledger, spool: Spool, path: PurePosixPath, *, now: float) -> Recorded:
    """Record one received file as if it came now.

    Raises
    ------
    InputError
        When it cannot be read up to where it belongs.
    DamagedError
        When its bytes are not those that it was named after.
    StoreError
        When it cannot be read just now.
    """
    file = spool.absolute(path)
    try:
        meta = read_file_meta_info(file)
        named = {
            "sop_class_uid": str(meta.MediaStorageSOPClassUID),
            "sop_instance_uid": str(meta.MediaStorageSOPInstanceUID),
            "transfer_syntax_uid": str(meta.TransferSyntaxUID),
        }
        sha256, size_bytes = dataset_sha256(file), file.stat().st_size
    except MemoryError:
        raise
    except OSError as error:
        raise StoreError(f"could not read {path} in the spool: {error.strerror}") from error
    except Exception as error:  # foreign bytes in a foreign parser
        raise _damaged(path, "DICOM file meta information") from error
    header = read_header(file, **named)
    if not path.stem.endswith(f"-{sha256[:16]}"):
        raise _damaged(path, "the bytes that its name tells the digest of")
    recorded = ledger.record_instance(
        Instance(
            **named,
            study_uid=header.study_uid,
            series_uid=header.series_uid,
            sha256=sha256,
            size_bytes=size_bytes,
            path=path,
            calling_ae=_SENDER,
            host="",
            association_id="",
        ),
        now=now,
    )
    log.warning("file.taken_up", path=str(path), exam=recorded.exam_id, outcome=recorded.outcome)
    return recorded


def _damaged(path: PurePosixPath, expected: str) -> DamagedError:
    return DamagedError(
        "file-damaged", f"{path} in the spool: expected {expected}, found something else"
    )
