"""A real ledger and spool with one exam in them."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from pydicom import Dataset
from pydicom.dataset import FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian

from dicomnode.store.ledger import Ledger
from dicomnode.store.rows import ExamRow, Instance
from dicomnode.store.spool import Spool


def plain_step(name: str, function: Callable[..., Any], *args: Any) -> Any:
    """A step without an engine."""
    return function(*args)


@pytest.fixture
def step() -> Callable[..., Any]:
    return plain_step


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    ledger = Ledger(f"sqlite:///{tmp_path}/ledger.sqlite")
    yield ledger
    ledger.close()


@pytest.fixture
def spool(tmp_path: Path) -> Spool:
    return Spool(tmp_path / "spool")


def _received(spool: Spool, study_uid: str, comment: str) -> Path:
    """A clip as the receiver leaves it; the comment decides its bytes."""
    ds = Dataset()
    ds.SOPClassUID, ds.SOPInstanceUID = "1.2.840.10008.5.1.4.1.1.3.1", f"{study_uid}.1"
    ds.StudyInstanceUID, ds.ImageComments = study_uid, comment
    ds.file_meta = FileMetaDataset()
    ds.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    path = spool.incoming / "received.dcm"
    ds.save_as(path, enforce_file_format=True)
    return path


@pytest.fixture
def queued(ledger: Ledger, spool: Spool) -> Callable[..., ExamRow]:
    """Receive a clip, in other bytes where another comment is given, and queue its study."""

    def queue(
        study_uid: str = "1.2.3", *, comment: str = "", settle: bool = True, now: float = 0.0
    ) -> ExamRow:
        received = _received(spool, study_uid, comment)
        sop_instance_uid = f"{study_uid}.1"
        stored = spool.keep(received, study_uid=study_uid, sop_instance_uid=sop_instance_uid)
        recorded = ledger.record_instance(
            Instance(
                sop_instance_uid=sop_instance_uid,
                sop_class_uid="1.2.840.10008.5.1.4.1.1.3.1",
                study_uid=study_uid,
                series_uid=f"{study_uid}.9",
                transfer_syntax_uid=str(ExplicitVRLittleEndian),
                sha256=stored.sha256,
                size_bytes=stored.size_bytes,
                path=stored.path,
                calling_ae="SCANNER1",
                host="127.0.0.1",
                association_id="a",
            ),
            now=now,
        )
        exam = ledger.exam(recorded.exam_id)
        return ledger.queue(exam, now=1.0) if settle else exam

    return queue
