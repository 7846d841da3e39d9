"""One attempt at one destination: every delivery that was taken gets a state."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path, PurePosixPath
from typing import Any

import pytest
from pydicom import Dataset, dcmwrite
from pydicom.dataset import FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, SecondaryCaptureImageStorage, generate_uid

from dicomnode.deliver.c_store import CStore
from dicomnode.deliver.transport import Delivered, Transport
from dicomnode.jobs.deliver import Delivery
from dicomnode.jobs.options import DeliveryOptions
from dicomnode.network.peers import Peer
from dicomnode.store.content import dataset_sha256
from dicomnode.store.ledger import Ledger
from dicomnode.store.rows import DeliveryRow, ExamRow, Output
from dicomnode.store.spool import Spool
from dicomnode.store.states import DeliveryState
from parts.damage import flip
from parts.records import ANALYSED
from parts.waiting import free_port


@pytest.fixture
def waiting(
    ledger: Ledger, spool: Spool, queued: Callable[..., ExamRow]
) -> Callable[[], DeliveryRow]:
    """An object that waits for the destination "pacs"."""
    path = PurePosixPath("outputs/sr.dcm")
    ds = Dataset()
    ds.SOPClassUID, ds.SOPInstanceUID = SecondaryCaptureImageStorage, generate_uid()
    ds.file_meta = FileMetaDataset()
    ds.file_meta.MediaStorageSOPClassUID = ds.SOPClassUID
    ds.file_meta.MediaStorageSOPInstanceUID = ds.SOPInstanceUID
    ds.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dcmwrite(spool.absolute(path), ds, enforce_file_format=True)
    exam = queued()
    ledger.begin(exam.id, job="j", now=2.0)
    output = Output(
        kind="sr",
        path=path,
        sop_class_uid=ds.SOPClassUID,
        sop_instance_uid=ds.SOPInstanceUID,
        sha256=dataset_sha256(spool.absolute(path)),
        size_bytes=1,
    )
    ledger.finish(
        exam.id,
        job="j",
        outputs=[output],
        destinations={"pacs": ["sr"]},
        record=ANALYSED,
        now=3.0,
    )

    def row() -> DeliveryRow:
        (found,) = ledger.deliveries(exam.id)
        return found

    return row


class StandIn:
    """A way to a destination that notes what it was given, or breaks."""

    def __init__(self, error: Exception | None = None) -> None:
        self.given: list[Path] = []
        self._error = error

    def deliver(self, files: Sequence[Path]) -> Delivered:
        if self._error is not None:
            raise self._error
        self.given.extend(files)
        return Delivered(answers=())

    def ask_receipt(self, instances: object, receipt: str) -> None:
        raise AssertionError("nothing was delivered")


def delivery(
    ledger: Ledger, spool: Spool, attempts: int = 3, *, way: Transport | None = None
) -> Delivery:
    peer = Peer(name="pacs", ae_title="PACS", host="127.0.0.1", port=free_port())
    nobody = CStore(peer=peer, calling_ae="CEUSNODE", work=spool.work)
    return Delivery(
        ledger=ledger,
        spool=spool,
        destinations={"pacs": way or nobody},
        options=DeliveryOptions(first_retry_s=10, attempts=attempts),
        now=lambda: 100.0,
    )


def test_nobody_there_is_tried_again_later(
    ledger: Ledger, spool: Spool, step: Any, waiting: Callable[[], DeliveryRow]
) -> None:
    delivery(ledger, spool)(step, "job", "pacs", [waiting().id])
    row = waiting()
    assert (row.state, row.attempts) == (DeliveryState.RETRY, 1)
    assert 105.0 <= row.next_attempt_at <= 110.0
    assert "pacs (PACS@127.0.0.1" in row.error


def test_after_the_last_attempt_a_person_must_look(
    ledger: Ledger, spool: Spool, step: Any, waiting: Callable[[], DeliveryRow]
) -> None:
    delivery(ledger, spool, attempts=1)(step, "job", "pacs", [waiting().id])
    assert waiting().state is DeliveryState.PARKED


@pytest.mark.parametrize(
    ("attempts", "state"), [(1, DeliveryState.PARKED), (2, DeliveryState.RETRY)]
)
def test_an_error_nobody_foresaw_counts_as_an_attempt(
    ledger: Ledger, spool: Spool, step: Any, waiting: Callable[[], DeliveryRow],
    attempts: int, state: DeliveryState,
) -> None:  # fmt: skip
    delivery(ledger, spool, attempts, way=StandIn(MemoryError()))(
        step, "job", "pacs", [waiting().id]
    )
    assert waiting().state is state
    assert waiting().error == "expected an attempt to end, got MemoryError; see the log"


def test_a_destination_that_left_the_settings_parks(
    ledger: Ledger, spool: Spool, step: Any, waiting: Callable[[], DeliveryRow]
) -> None:
    job = replace(delivery(ledger, spool), destinations={})
    job(step, "job", "pacs", [waiting().id])
    assert waiting().state is DeliveryState.PARKED
    assert waiting().error == "expected destination 'pacs' in the settings"


def test_a_file_that_is_gone_parks(
    ledger: Ledger, spool: Spool, step: Any, waiting: Callable[[], DeliveryRow]
) -> None:
    spool.absolute(waiting().output.path).unlink()
    delivery(ledger, spool)(step, "job", "pacs", [waiting().id])
    assert waiting().state is DeliveryState.PARKED
    assert waiting().error.startswith("expected outputs/sr.dcm in the spool, found no such file")


def test_a_result_that_has_changed_is_never_sent(
    ledger: Ledger, spool: Spool, step: Any, waiting: Callable[[], DeliveryRow]
) -> None:
    way = StandIn()
    path = spool.absolute(waiting().output.path)
    flip(path, path.stat().st_size - 1)
    delivery(ledger, spool, way=way)(step, "job", "pacs", [waiting().id])
    assert way.given == []
    row = waiting()
    assert row.state is DeliveryState.PARKED
    assert f"expected a dataset with SHA-256 {row.output.sha256} in outputs/sr.dcm" in row.error
    assert "`dicomnode exams reanalyse` makes it anew" in row.error


def test_a_result_that_cannot_be_read_just_now_is_tried_again(
    ledger: Ledger, spool: Spool, step: Any, waiting: Callable[[], DeliveryRow]
) -> None:
    path = spool.absolute(waiting().output.path)
    path.rename(path.with_suffix(".kept"))
    path.mkdir()
    delivery(ledger, spool)(step, "job", "pacs", [waiting().id])
    assert waiting().state is DeliveryState.RETRY
    assert "could not read outputs/sr.dcm in the spool" in waiting().error


def test_what_another_process_took_is_left_alone(
    ledger: Ledger, spool: Spool, step: Any, waiting: Callable[[], DeliveryRow]
) -> None:
    ledger.claim([waiting().id], now=50.0)
    delivery(ledger, spool)(step, "job", "pacs", [waiting().id])
    assert waiting().state is DeliveryState.SENDING
