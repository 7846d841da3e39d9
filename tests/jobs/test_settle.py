"""The loop asks the ledger, and has done what is due."""

from collections.abc import Callable
from pathlib import PurePosixPath
from typing import Any

import pytest

from dicomnode.jobs.settle import ANALYSE, DELIVER, Settler
from dicomnode.store.ledger import Ledger
from dicomnode.store.rows import ExamRow, Output
from dicomnode.store.states import ExamState

NOW = 1000.0


class Notebook:
    """Stands where the engine does: writes down what is submitted, and runs nothing."""

    def __init__(self) -> None:
        self.active: frozenset[str] = frozenset()
        self.over: set[str] = set()
        self.submitted: list[tuple[str, str, tuple[Any, ...]]] = []

    def submit(self, kind: str, name: str, *args: Any) -> bool:
        if name in self.over:
            return False
        if name not in self.active:
            self.submitted.append((kind, name, args))
            self.active |= {name}
        return True


@pytest.fixture
def notebook() -> Notebook:
    return Notebook()


@pytest.fixture
def settler(ledger: Ledger, notebook: Notebook) -> Settler:
    engine: Any = notebook
    return Settler(ledger, engine, quiet_s=30, workers=2, now=lambda: NOW)


def finish(ledger: Ledger, exam: ExamRow, *destinations: str) -> None:
    ledger.begin(exam.id, job="j", now=2.0)
    output = Output(
        kind="sr",
        path=PurePosixPath("outputs/sr.dcm"),
        sop_class_uid="1.2",
        sop_instance_uid=f"2.25.{exam.id}",
        sha256="b" * 64,
        size_bytes=1,
    )
    wanted = {name: ["sr"] for name in destinations}
    ledger.finish(exam.id, job="j", outputs=[output], destinations=wanted, summary={}, now=3.0)


def test_a_quiet_study_is_queued_and_analysed(
    settler: Settler, notebook: Notebook, queued: Callable[..., ExamRow]
) -> None:
    exam = queued(settle=False)
    settler.tick()
    assert notebook.submitted == [(ANALYSE, f"analyse-{exam.id}-1", (exam.id,))]


def test_only_so_many_are_analysed_at_once_the_oldest_first(
    settler: Settler, notebook: Notebook, queued: Callable[..., ExamRow]
) -> None:
    exams = [queued(f"1.2.{number}") for number in range(4)]
    settler.tick()
    settler.tick()
    assert [args for _, _, args in notebook.submitted] == [(exams[0].id,), (exams[1].id,)]
    notebook.active = frozenset()
    settler.tick()
    assert len(notebook.submitted) == 4, "the same two again, which the engine knows, and no more"


def test_an_exam_under_analysis_is_taken_up_again_by_its_own_job(
    settler: Settler, notebook: Notebook, ledger: Ledger, queued: Callable[..., ExamRow]
) -> None:
    exam = queued()
    ledger.begin(exam.id, job=f"analyse-{exam.id}-1", now=2.0)
    settler.tick()
    assert [name for _, name, _ in notebook.submitted] == [f"analyse-{exam.id}-1"]


def test_further_injections_wait_while_the_studys_job_writes_them(
    settler: Settler, notebook: Notebook, ledger: Ledger, queued: Callable[..., ExamRow]
) -> None:
    exam = queued()
    ledger.begin(exam.id, job=f"analyse-{exam.id}-1", now=2.0)
    ledger.split(exam, 2, now=3.0)
    settler.tick()
    assert len(notebook.submitted) == 1


def test_a_job_that_is_over_without_a_result_fails_its_exam(
    settler: Settler, notebook: Notebook, ledger: Ledger, queued: Callable[..., ExamRow]
) -> None:
    exam = queued()
    notebook.over = {f"analyse-{exam.id}-1"}
    settler.tick()
    failed = ledger.exam(exam.id)
    assert (failed.state, failed.reasons[0].code) == (ExamState.FAILED, "job-lost")
    ledger.retry(exam.id, now=4.0)
    settler.tick()
    assert [name for _, name, _ in notebook.submitted] == [f"analyse-{exam.id}-2"]


def test_each_destination_has_one_delivery_at_a_time(
    settler: Settler, notebook: Notebook, ledger: Ledger, queued: Callable[..., ExamRow]
) -> None:
    for number in range(2):
        finish(ledger, queued(f"1.2.{number}"), "pacs", "research")
    settler.tick()
    settler.tick()
    assert [(kind, args[0]) for kind, _, args in notebook.submitted] == [
        (DELIVER, "pacs"),
        (DELIVER, "research"),
    ]


def test_a_delivery_that_is_asked_for_again_is_another_job(
    settler: Settler, notebook: Notebook, ledger: Ledger, queued: Callable[..., ExamRow]
) -> None:
    exam = queued()
    finish(ledger, exam, "pacs")
    for moment in (5.0, 6.0):
        settler.tick()
        (row,) = ledger.claim([1], now=moment)
        ledger.sent(row.id, status=0, now=moment)
        notebook.active = frozenset()
        ledger.resend(exam.id, now=moment + 0.5)
    settler.tick()
    names = [name for _, name, _ in notebook.submitted]
    assert len(set(names)) == 3
