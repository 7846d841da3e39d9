"""One exam's job, its steps run in place of the engine; its work in real processes."""

import errno
import functools
import hashlib
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydicom.filereader import read_file_meta_info

from dicomnode.errors import Reason, StoreError
from dicomnode.jobs.analyse import Analysis, job_name
from dicomnode.jobs.workers import Workers
from dicomnode.outputs.request import Outcome, OutputFile, Request
from dicomnode.store.ledger import Ledger
from dicomnode.store.rows import ExamRow
from dicomnode.store.spool import Spool
from dicomnode.store.states import ExamState
from parts.damage import flip
from parts.records import ANALYSED
from parts.waiting import PATIENCE_S
from parts.wrap import native


@pytest.fixture
def make(ledger: Ledger, spool: Spool) -> Iterator[Callable[..., Analysis]]:
    workers = Workers(timeout_s=PATIENCE_S, prepare=functools.partial(int))

    def analysis(process: Any, policy: Any = "first") -> Analysis:
        return Analysis(
            ledger=ledger,
            spool=spool,
            workers=workers,
            process=process,
            request=Request(models_dir=Path("models")),
            policy=policy,
            destinations={"pacs": ["sr"]},
            refusal_destinations={},
            now=lambda: 10.0,
        )

    yield analysis
    workers.stop()


def test_conflicting_bytes_are_refused_where_the_settings_say_so(
    make: Callable[..., Analysis], step: Any, ledger: Ledger, queued: Callable[..., ExamRow]
) -> None:
    queued(settle=False)
    exam = queued(comment="other")
    make(print, "refuse")(step, job_name(exam), exam.id)
    refused = ledger.exam(exam.id)
    assert refused.state is ExamState.REFUSED
    assert refused.reasons[0].code == "conflicting-instances"


def test_an_analysis_that_cannot_work_fails_with_its_place(
    make: Callable[..., Analysis], step: Any, ledger: Ledger, queued: Callable[..., ExamRow]
) -> None:
    exam = queued()
    make(int)(step, job_name(exam), exam.id)
    failed = ledger.exam(exam.id)
    assert failed.state is ExamState.FAILED
    assert failed.reasons[0].text.startswith("expected a result, got TypeError in analyse.py")


def test_an_exam_that_another_job_has_is_left_alone(
    make: Callable[..., Analysis], step: Any, ledger: Ledger, queued: Callable[..., ExamRow]
) -> None:
    exam = queued()
    ledger.begin(exam.id, job="another", now=2.0)
    make(print)(step, job_name(exam), exam.id)
    assert ledger.exam(exam.id).job == "another"
    assert ledger.exam(exam.id).state is ExamState.ANALYSING


def full_disk(paths: object, directory: object, request: object) -> None:
    raise OSError(errno.ENOSPC, "No space left on device", "/spool/work/DOE^JANE")


def refusing(paths: object, directory: object, request: object) -> tuple[Outcome, ...]:
    no_bolus = Reason("no-bolus", "expected a bolus, found none")
    return (Outcome.refused(1, [no_bolus]),)


def test_a_full_disk_is_waited_for_and_the_exam_says_so(
    make: Callable[..., Analysis], step: Any, ledger: Ledger, queued: Callable[..., ExamRow]
) -> None:
    exam = queued()
    with pytest.raises(StoreError, match=r"OSError in test_analyse\.py"):
        make(full_disk)(step, job_name(exam), exam.id)
    waiting = ledger.exam(exam.id)
    assert (waiting.state, waiting.reasons[0].code) == (ExamState.ANALYSING, "waiting")
    assert "No space left on device" in waiting.reasons[0].text
    assert "DOE" not in waiting.reasons[0].text


def test_a_ledger_that_does_not_answer_is_waited_for(
    make: Callable[..., Analysis], step: Any, ledger: Ledger, queued: Callable[..., ExamRow],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    exam = queued()

    def locked(*_: object, **__: object) -> None:
        raise StoreError("the ledger did not take a transaction: database is locked")

    for call in ("begin", "instances_for", "exam", "outputs", "split", "refuse"):
        with monkeypatch.context() as patched:
            patched.setattr(ledger, call, locked)
            with suppress(StoreError):
                make(refusing)(step, job_name(exam), exam.id)
        assert ledger.exam(exam.id).state in (ExamState.QUEUED, ExamState.ANALYSING), call
    make(refusing)(step, job_name(exam), exam.id)
    assert ledger.exam(exam.id).state is ExamState.REFUSED


def test_nothing_is_published_for_an_exam_that_is_no_longer_the_jobs(
    make: Callable[..., Analysis], ledger: Ledger, queued: Callable[..., ExamRow]
) -> None:
    """A person gave it up, or the ledger was put back from a copy and the number is another's."""
    exam = queued()
    job = job_name(exam)
    ledger.begin(exam.id, job=job, now=2.0)
    ledger.give_up(exam.id, now=3.0)
    outcomes = [Outcome.refused(number, []).model_dump(mode="json") for number in (1, 2)]
    make(print).publish(job, exam.id, outcomes)
    assert [row.state for row in ledger.exams()] == [ExamState.GIVEN_UP]


class Noting:
    """Stands where the workers are: notes what it is asked for and makes one report.

    The same files give a report with the same UID.
    """

    def __init__(self) -> None:
        self.requests: list[Request] = []

    def run(
        self,
        _work: Any,
        _process: Any,
        paths: list[Path],
        directory: Path,
        request: Request,
        key: str,
    ) -> list[dict[str, Any]]:
        self.requests.append(request)
        seed = hashlib.sha256("".join(path.name for path in paths).encode()).digest()
        path = native(
            directory / "sr.dcm",
            np.zeros((1, 2, 2), np.uint8),
            photometric="MONOCHROME2",
            SOPInstanceUID=f"2.25.{int.from_bytes(seed[:8])}",
        )
        made = read_file_meta_info(path)
        report = OutputFile(
            kind="sr",
            path=Path("sr.dcm"),
            sop_class_uid=str(made.MediaStorageSOPClassUID),
            sop_instance_uid=str(made.MediaStorageSOPInstanceUID),
        )
        outcome = Outcome(injection=1, outputs=(report,), record=ANALYSED)
        return [outcome.model_dump(mode="json")]


def test_a_revision_is_told_which_report_it_takes_the_place_of(
    make: Callable[..., Analysis], step: Any, ledger: Ledger, queued: Callable[..., ExamRow]
) -> None:
    workers = Noting()
    analysis = replace(make(print), workers=workers)
    first = queued()
    analysis(step, job_name(first), first.id)
    (written,) = ledger.outputs(first.id)
    second = queued(comment="other")
    assert second.revision == 2
    analysis(step, job_name(second), second.id)
    assert [dict(request.replaces) for request in workers.requests] == [
        {},
        {1: analysis.spool.absolute(written.path)},
    ]
    assert ledger.exam(second.id).state is ExamState.ANALYSED


@pytest.fixture
def received(ledger: Ledger, spool: Spool, queued: Callable[..., ExamRow]) -> tuple[ExamRow, Path]:
    exam = queued()
    (instance,) = ledger.variants_of(exam)
    return exam, spool.absolute(instance.path)


def test_a_received_file_that_has_changed_is_not_analysed(
    make: Callable[..., Analysis], step: Any, ledger: Ledger, received: tuple[ExamRow, Path]
) -> None:
    (exam, path), workers = received, Noting()
    flip(path, path.stat().st_size - 1)
    replace(make(print), workers=workers)(step, job_name(exam), exam.id)
    failed = ledger.exam(exam.id)
    assert (failed.state, workers.requests) == (ExamState.FAILED, [])
    (reason,) = failed.reasons
    (instance,) = ledger.variants_of(exam)
    assert reason.code == "file-damaged"
    assert str(instance.path) in reason.text
    assert instance.sha256 in reason.text
    assert "send the study again" in reason.text


def test_a_received_file_that_is_gone_is_named(
    make: Callable[..., Analysis], step: Any, ledger: Ledger, received: tuple[ExamRow, Path]
) -> None:
    exam, path = received
    path.unlink()
    make(print)(step, job_name(exam), exam.id)
    (reason,) = ledger.exam(exam.id).reasons
    assert reason.code == "file-missing"
    assert path.name in reason.text


def test_a_study_that_is_sent_again_mends_what_was_damaged(
    make: Callable[..., Analysis], step: Any, ledger: Ledger, queued: Callable[..., ExamRow],
    received: tuple[ExamRow, Path],
) -> None:  # fmt: skip
    exam, path = received
    path.write_bytes(b"")
    analysis = replace(make(print), workers=Noting())
    analysis(step, job_name(exam), exam.id)
    queued(settle=False)
    again = ledger.retry(exam.id, now=20.0)
    analysis(step, job_name(again), exam.id)
    assert ledger.exam(exam.id).state is ExamState.ANALYSED


@pytest.mark.parametrize("harm", [Path.unlink, lambda path: flip(path, 400)])
def test_a_damaged_result_is_made_anew_by_the_next_analysis(
    make: Callable[..., Analysis], step: Any, ledger: Ledger, spool: Spool,
    received: tuple[ExamRow, Path], harm: Callable[[Path], None],
) -> None:  # fmt: skip
    exam, _ = received
    analysis = replace(make(print), workers=Noting())
    analysis(step, job_name(exam), exam.id)
    (first,) = ledger.outputs(exam.id)
    harm(spool.absolute(first.path))
    again = ledger.reanalyse(exam.id, now=20.0)
    analysis(step, job_name(again), again.id)
    (second,) = ledger.outputs(again.id)
    assert second.sop_instance_uid == first.sop_instance_uid
    assert spool.verified(second) != spool.absolute(first.path)
    assert not analysis.workers.requests[-1].replaces, "a report that cannot be read is not named"
