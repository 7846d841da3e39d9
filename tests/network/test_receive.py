"""What DCMTK sends arrives, and "success" means that it was kept."""

import subprocess
from pathlib import Path

import pytest
from pydicom import dcmread
from pydicom.uid import JPEGBaseline8Bit
from pynetdicom import build_context
from structlog.contextvars import merge_contextvars
from structlog.testing import capture_logs

from dicomnode.errors import InputError, StoreError
from dicomnode.network.association import associate
from dicomnode.network.send import send
from parts.waiting import PATIENCE_S

RETIRED_US_MULTI_FRAME = "1.2.840.10008.5.1.4.1.1.3"
CT = "1.2.840.10008.5.1.4.1.1.2"
STORESCU = ["/usr/bin/storescu", "-aet", "SCANNER1", "-aec", "CEUSNODE", "127.0.0.1"]


def dataset_bytes(path: Path) -> bytes:
    content = path.read_bytes()
    return content[144 + dcmread(path).file_meta.FileMetaInformationGroupLength :]


def test_storescu_delivers_the_dataset_byte_for_byte(start, inbox, us_file, dcmtk):
    path = us_file()
    sent = dcmtk("storescu", start(), path)
    assert sent.returncode == 0
    assert "Received Store Response (Success)" in sent.stdout
    (kept,) = inbox.files()
    assert dataset_bytes(kept) == dataset_bytes(path)
    assert dcmread(kept).file_meta.MediaStorageSOPInstanceUID == dcmread(path).SOPInstanceUID
    (received,) = inbox.kept
    assert received.association.calling_ae == "SCANNER1"
    assert received.association.host == "127.0.0.1"


def test_dcmsend_delivers_compressed_data_as_it_is(start, inbox, us_file, dcmtk):
    path = us_file(syntax=JPEGBaseline8Bit)
    sent = dcmtk("dcmsend", start(), "--decompress-never", path)
    assert sent.returncode == 0, sent.stdout
    (received,) = inbox.kept
    assert received.header.transfer_syntax_uid == JPEGBaseline8Bit
    assert dataset_bytes(inbox.files()[0]) == dataset_bytes(path)


@pytest.mark.parametrize("sop_class", [RETIRED_US_MULTI_FRAME, CT])
def test_every_storage_class_is_taken(start, inbox, us_file, peer_of, sop_class):
    (sent,) = send([us_file(sop_class=sop_class)], peer_of(start()), calling_ae="SCANNER1")
    assert sent.verdict == "delivered"
    assert inbox.kept[0].header.sop_class_uid == sop_class


def test_echo_is_answered(start, dcmtk):
    assert dcmtk("echoscu", start()).returncode == 0


def test_an_association_is_reported_from_before_its_first_to_after_its_last_instance(
    start, inbox, us_file, dcmtk, until
):
    dcmtk("storescu", start(), us_file(1), us_file(2))
    until(lambda: inbox.closed)
    assert inbox.opened == inbox.closed
    assert {received.association for received in inbox.kept} == set(inbox.opened)


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (StoreError("disk on fire"), "Refused: OutOfResources"),
        (InputError("invalid-uid", "expected a UID"), "Error: CannotUnderstand"),
        (RuntimeError("a bug"), "0x110"),
    ],
)
def test_what_was_not_kept_is_not_acknowledged(
    start, inbox, us_file, dcmtk, incoming, error, status
):
    inbox.error = error
    sent = dcmtk("storescu", start(), us_file())
    assert status in sent.stdout
    assert "Success" not in sent.stdout
    assert not list(incoming.iterdir())


def test_a_failure_does_not_end_the_association(start, inbox, us_file, peer_of):
    bad = us_file(1, StudyInstanceUID="")
    with capture_logs(processors=[merge_contextvars]) as logged:
        answers = send([bad, us_file(2)], peer_of(start()), calling_ae="SCANNER1")
    (refused,) = [line for line in logged if line["event"] == "instance.refused"]
    assert refused["calling_ae"] == "SCANNER1"
    assert refused["instance_uid"] == dcmread(bad).SOPInstanceUID
    assert [answer.status for answer in answers] == [0xC000, 0x0000]
    assert "missing-uid" in answers[0].reason
    assert len(inbox.opened) == 1


def test_a_dataset_that_is_not_the_announced_instance_is_refused(start, inbox, us_file, peer_of):
    path = us_file()
    dataset = dcmread(path)
    dataset.SOPInstanceUID = "9.9.9"
    dataset.save_as(path)  # its file meta information still names the other one
    (sent,) = send([path], peer_of(start()), calling_ae="SCANNER1")
    assert (sent.status, sent.verdict) == (0xC000, "never")
    assert "other-instance" in sent.reason
    assert not inbox.kept


def test_a_truncated_instance_is_kept_as_it_came(start, inbox, us_file, peer_of):
    """Whether it can be analysed is decided, in words, by the one who reads it."""
    path = us_file(size_bytes=100_000)
    path.write_bytes(path.read_bytes()[:50_000])
    (sent,) = send([path], peer_of(start()), calling_ae="SCANNER1")
    assert sent.verdict == "delivered"
    assert dataset_bytes(inbox.files()[0]) == dataset_bytes(path)


def test_a_disk_below_its_limit_refuses_with_out_of_resources(start, inbox, us_file, peer_of):
    receiver = start(min_free_bytes=1 << 60)
    (sent,) = send([us_file()], peer_of(receiver), calling_ae="SCANNER1")
    assert (sent.status, sent.verdict) == (0xA700, "later")
    assert not inbox.kept


def test_an_aborted_transfer_leaves_no_file_and_its_association_ends(
    start, inbox, us_file, incoming, until
):
    receiver = start()
    path = us_file(size_bytes=200_000_000)
    process = subprocess.Popen([*STORESCU, str(receiver.port), path])
    until(lambda: any(file.stat().st_size > 1_000_000 for file in incoming.iterdir()))
    process.kill()
    process.wait()
    until(lambda: inbox.closed)
    assert inbox.opened == inbox.closed
    assert not inbox.kept
    assert not list(incoming.iterdir())


def test_stopping_lets_a_transfer_finish(start, inbox, us_file, dcmtk, until):
    receiver = start()
    inbox.delay_s = 0.5
    path = us_file()
    process = subprocess.Popen([*STORESCU, str(receiver.port), path])
    until(lambda: inbox.opened)
    receiver.stop(grace_s=PATIENCE_S)
    assert process.wait(PATIENCE_S) == 0
    assert len(inbox.kept) == 1


def test_stopping_ends_what_does_not_finish(start, inbox, peer_of, until):
    receiver = start()
    with associate(peer_of(receiver), "SCANNER1", [build_context("1.2.840.10008.1.1")]):
        until(lambda: inbox.opened)
        receiver.stop(grace_s=0.1)
    assert inbox.closed == inbox.opened
