"""What a disk lost is known before it is needed; what nothing records goes, when it is safe."""

import os
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from pydicom import Dataset
from pydicom.dataset import FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian
from structlog.testing import capture_logs

from dicomnode.config import RetentionOptions
from dicomnode.service.housekeeping import Housekeeping
from dicomnode.service.scrub import Scrub
from dicomnode.store.ledger import Ledger
from dicomnode.store.rows import Instance, Output
from dicomnode.store.spool import Spool
from dicomnode.store.states import ExamState
from parts.damage import flip
from parts.records import ANALYSED

DAY_S = 86_400.0
SOP_CLASS = "1.2.840.10008.5.1.4.1.1.7"


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    ledger = Ledger(f"sqlite:///{tmp_path}/ledger.sqlite")
    yield ledger
    ledger.close()


@pytest.fixture
def spool(tmp_path: Path) -> Spool:
    return Spool(tmp_path / "spool")


def dicom(path: Path, uid: str) -> Path:
    ds = Dataset()
    ds.SOPClassUID, ds.SOPInstanceUID = SOP_CLASS, uid
    ds.StudyInstanceUID, ds.SeriesInstanceUID = "1.2.3", "1.2.4"
    ds.file_meta = FileMetaDataset()
    ds.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    ds.save_as(path, enforce_file_format=True)
    return path


def keep(spool: Spool, uid: str) -> Any:
    received = dicom(spool.incoming / "received.dcm", uid)
    return spool.keep(received, study_uid="1.2.3", sop_instance_uid=uid)


@pytest.fixture
def delivered(ledger: Ledger, spool: Spool) -> tuple[Path, Path]:
    """A received file and a result, delivered a moment after 0."""
    stored = keep(spool, "1.2.3.1")
    exam_id = ledger.record_instance(
        Instance(
            sop_instance_uid="1.2.3.1",
            sop_class_uid=SOP_CLASS,
            study_uid="1.2.3",
            series_uid="1.2.4",
            transfer_syntax_uid=str(ExplicitVRLittleEndian),
            calling_ae="US",
            host="127.0.0.1",
            association_id="a",
            **vars(stored),
        ),
        now=0.0,
    ).exam_id
    ledger.queue(ledger.exam(exam_id), now=0.0)
    ledger.begin(exam_id, job="j", now=0.0)
    made = dicom(spool.workspace("j") / "sr.dcm", "2.25.1")
    result = spool.publish("1-1", {"sr": made})["sr"]
    output = Output(kind="sr", sop_class_uid=SOP_CLASS, sop_instance_uid="2.25.1", **vars(result))
    ledger.finish(
        exam_id,
        job="j",
        outputs=[output],
        destinations={"pacs": ["sr"]},
        record=ANALYSED,
        now=0.0,
    )
    (row,) = ledger.claim([1], now=0.0)
    ledger.sent(row.id, code="0x0000", now=0.0)
    return spool.absolute(stored.path), spool.absolute(result.path)


@pytest.fixture
def scrub(ledger: Ledger, spool: Spool) -> Callable[..., tuple[dict[str, int], list[Any]]]:
    """Scrub once; what was counted and what was logged."""

    def run(**changed: Any) -> tuple[dict[str, int], list[Any]]:
        choices = {"retention_days": 0, "is_busy": lambda: False, "ending": threading.Event()}
        one = Scrub(ledger, spool, **choices | changed)
        with capture_logs() as logged:
            one.scrub()
        return dict(one.counts), logged

    return run


Run = Callable[..., tuple[dict[str, int], list[Any]]]


def test_what_is_as_it_was_is_counted(delivered: tuple[Path, Path], scrub: Run) -> None:
    counts, logged = scrub()
    assert counts == {"intact": 2, "damaged": 0, "missing": 0, "unrecorded": 0}
    assert [one["event"] for one in logged] == ["spool.scrubbed"]


@pytest.mark.parametrize("which", [0, 1])
def test_what_is_damaged_is_named(delivered: tuple[Path, Path], scrub: Run, which: int) -> None:
    path = delivered[which]
    flip(path, path.stat().st_size - 1)
    counts, logged = scrub()
    assert (counts["intact"], counts["damaged"]) == (1, 1)
    (told,) = [one for one in logged if one["event"] == "file.damaged"]
    assert path.name in told["reason"]
    assert told["study_uid"] == "1.2.3"


def test_what_is_missing_is_named_unless_it_was_let_go(
    ledger: Ledger, spool: Spool, delivered: tuple[Path, Path], scrub: Run
) -> None:
    received, result = delivered
    content = received.read_bytes()
    received.unlink()
    counts, logged = scrub(retention_days=1, now=lambda: 9 * DAY_S)
    assert counts["missing"] == 1, "its result is still there"
    assert received.name in next(one for one in logged if one["event"] == "file.missing")["reason"]
    received.write_bytes(content)
    no_jobs: Any = type("NoJobs", (), {"active": {}, "purge": lambda self, before: 0})()
    keeping = Housekeeping(ledger, spool, no_jobs, RetentionOptions(days=1), now=lambda: 9 * DAY_S)
    keeping.clean()
    assert received.exists(), "the clock may be wrong since the start"
    keeping.clean()
    assert not received.exists()
    assert not result.exists()
    counts, logged = scrub(retention_days=1, now=lambda: 9 * DAY_S)
    assert counts["missing"] == 0
    assert [one["event"] for one in logged] == ["spool.scrubbed"]
    assert scrub(retention_days=0)[0]["missing"] == 2, "nobody removes files here"


def two_days_ago(path: Path) -> Path:
    moment = path.stat().st_mtime - 2 * DAY_S
    os.utime(path, (moment, moment))
    return path


def left_over(spool: Spool, uid: str) -> Path:
    """A received file of an earlier life of the node whose row the ledger lacks."""
    return two_days_ago(spool.absolute(keep(Spool(spool.root), uid).path))


def left_results(spool: Spool, count: int) -> list[Path]:
    """Results of an earlier life of the node whose rows the ledger did not take."""
    earlier = Spool(spool.root)
    workspace = earlier.workspace("earlier")
    made = {f"sr{n}": dicom(workspace / f"{n}.dcm", f"2.25.9{n}") for n in range(count)}
    stored = earlier.publish("7-1", made)
    return [two_days_ago(spool.absolute(one.path)) for one in stored.values()]


def test_a_received_file_that_the_ledger_lacks_is_taken_up(
    ledger: Ledger, spool: Spool, delivered: tuple[Path, Path], scrub: Run
) -> None:
    old = left_over(spool, "1.2.3.7")
    young = keep(spool, "1.2.3.8")
    counts, logged = scrub()
    assert counts == {"intact": 2, "damaged": 0, "missing": 0, "unrecorded": 0}
    assert old.exists()
    (told,) = [one for one in logged if one["event"] == "file.taken_up"]
    assert told["path"].endswith(old.name)
    assert not ledger.is_recorded(young.path), "its row may still come"
    newest = ledger.exams()[0]
    assert (newest.revision, newest.state) == (2, ExamState.RECEIVING)
    assert "1.2.3.7" in {row.sop_instance_uid for row in ledger.variants_of(newest)}


def test_a_received_file_that_is_damaged_is_not_taken_up(spool: Spool, scrub: Run) -> None:
    old = left_over(spool, "1.2.3.7")
    content = bytearray(old.read_bytes())
    content[content.index(b"1.2.4")] = ord("9")  # another series
    old.write_bytes(content)
    two_days_ago(old)
    counts, logged = scrub()
    assert counts["unrecorded"] == 1
    (told,) = [one for one in logged if one["event"] == "file.not_taken_up"]
    assert "expected the bytes that its name tells the digest of" in told["reason"]
    assert old.exists()


@pytest.mark.parametrize("length", [0, 131, 141, 152, 200])
def test_a_received_file_that_is_cut_short_keeps_no_other_from_being_taken_up(
    ledger: Ledger, spool: Spool, scrub: Run, length: int
) -> None:
    broken, whole = left_over(spool, "1.2.3.7"), left_over(spool, "1.2.3.8")
    broken.write_bytes(broken.read_bytes()[:length])
    two_days_ago(broken)
    assert scrub()[0]["unrecorded"] == 1
    assert ledger.is_recorded(whole.relative_to(spool.root))


def test_a_result_that_no_row_names_goes(
    spool: Spool, delivered: tuple[Path, Path], scrub: Run
) -> None:
    (old,) = left_results(spool, 1)
    counts, logged = scrub()
    assert not old.exists()
    assert counts["unrecorded"] == 0
    assert [one["event"] for one in logged] == ["file.removed", "spool.scrubbed"]


def test_a_result_that_is_made_again_meanwhile_stays(spool: Spool, scrub: Run) -> None:
    left_results(spool, 1)
    made = dicom(spool.workspace("j") / "sr.dcm", "2.25.1")
    again = spool.absolute(spool.publish("7-1", {"sr0": made})["sr0"].path)
    os.utime(again, (0, 0))  # whatever the clock says
    assert scrub()[0]["unrecorded"] == 1
    assert again.exists(), "its row is on its way"


def test_a_ledger_that_knows_no_result_is_not_believed(spool: Spool, scrub: Run) -> None:
    paths = left_results(spool, 30)
    counts, logged = scrub()
    assert counts["unrecorded"] == 30
    assert all(path.exists() for path in paths)
    assert "is it the ledger that they were kept with?" in logged[0]["reason"]


def test_work_goes_first_and_an_ending_node_is_not_kept(
    delivered: tuple[Path, Path], scrub: Run
) -> None:
    asked: list[bool] = []
    ending = threading.Event()

    def is_busy() -> bool:
        asked.append(True)
        ending.set()
        return True

    counts, logged = scrub(is_busy=is_busy, ending=ending)
    assert (counts, logged) == ({}, [])
    assert asked == [True]


def test_nothing_is_scrubbed_before_it_is_due(
    ledger: Ledger, spool: Spool, delivered: tuple[Path, Path]
) -> None:
    def is_busy() -> bool:
        raise AssertionError("asked too early")

    one = Scrub(ledger, spool, retention_days=0, is_busy=is_busy, ending=threading.Event())
    one.round()
    assert one.counts == {}
