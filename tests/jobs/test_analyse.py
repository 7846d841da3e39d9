"""One exam's job, its steps run in place of the engine; its work in real processes."""

import functools
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dicomnode.jobs.analyse import Analysis, job_name
from dicomnode.jobs.workers import Workers
from dicomnode.outputs.job import Request
from dicomnode.store.ledger import Ledger
from dicomnode.store.rows import ExamRow
from dicomnode.store.spool import Spool
from dicomnode.store.states import ExamState
from parts.wrap import native


@pytest.fixture
def make(ledger: Ledger, spool: Spool) -> Iterator[Callable[..., Analysis]]:
    workers = Workers(timeout_s=60, prepare=functools.partial(int))

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
    exam = queued(sha256="c" * 64)
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


class Noting:
    """Stands where the workers are: notes what it is asked for and makes one report."""

    def __init__(self) -> None:
        self.requests: list[Request] = []

    def run(
        self, _work: Any, _process: Any, paths: list[Path], directory: Path, request: Request
    ) -> list[dict[str, Any]]:
        self.requests.append(request)
        native(directory / "sr.dcm", np.zeros((1, 2, 2), np.uint8), photometric="MONOCHROME2")
        report = {
            "kind": "sr",
            "path": "sr.dcm",
            "sop_class_uid": "1.2.840.10008.5.1.4.1.1.88.34",
            "sop_instance_uid": f"2.25.{len(self.requests)}",
        }
        return [
            {"injection": 1, "status": "analysed", "reasons": [], "outputs": [report]}
            | {"summary": {"files": len(paths)}}
        ]


def test_a_revision_is_told_which_report_it_takes_the_place_of(
    make: Callable[..., Analysis], step: Any, ledger: Ledger, queued: Callable[..., ExamRow]
) -> None:
    workers = Noting()
    analysis = replace(make(print), workers=workers)
    first = queued()
    analysis(step, job_name(first), first.id)
    (written,) = ledger.outputs(first.id)
    second = queued(sha256="d" * 64)
    assert second.revision == 2
    analysis(step, job_name(second), second.id)
    assert [dict(request.replaces) for request in workers.requests] == [
        {},
        {1: analysis.spool.absolute(written.path)},
    ]
    assert ledger.exam(second.id).state is ExamState.ANALYSED
