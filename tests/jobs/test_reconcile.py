"""The loop holds the ledger against what runs, and has done what is due."""

from collections.abc import Callable
from itertools import pairwise
from pathlib import PurePosixPath
from typing import Any

import pytest

from dicomnode.errors import Reason
from dicomnode.jobs.reconcile import ANALYSE, DELIVER, Reconciler, Running
from dicomnode.store.ledger import Ledger
from dicomnode.store.rows import ExamRow, Output
from dicomnode.store.states import ExamState
from parts.records import ANALYSED

NOW = 1000.0
YEAR_S = 365 * 86_400.0


class Notebook:
    """Stands where the engine does: writes down what is submitted, and runs nothing."""

    def __init__(self) -> None:
        self.active: dict[str, tuple[Any, ...]] = {}
        self.submitted: list[tuple[str, str, tuple[Any, ...]]] = []
        self.broken = False

    def submit(self, kind: str, name: str, *args: Any) -> None:
        if self.broken:
            raise OSError("no thread")
        if name not in self.active:
            self.submitted.append((kind, name, args))
            self.active[name] = args


class Clocks:
    """A wall clock that may be set, and one that may not."""

    def __init__(self) -> None:
        self.wall_s = NOW
        self.steady_s = 50.0

    def go_on(self, seconds: float) -> None:
        self.wall_s += seconds
        self.steady_s += seconds


class Site:
    """What runs beside the engine's jobs."""

    def __init__(self) -> None:
        self.open: set[str] = set()
        self.abandoned: list[str] = []


@pytest.fixture
def notebook() -> Notebook:
    return Notebook()


@pytest.fixture
def clocks() -> Clocks:
    return Clocks()


@pytest.fixture
def site() -> Site:
    return Site()


@pytest.fixture
def reconciler(ledger: Ledger, notebook: Notebook, clocks: Clocks, site: Site) -> Reconciler:
    engine: Any = notebook
    running = Running(open_associations=lambda: site.open, abandon=site.abandoned.append)
    return Reconciler(
        ledger,
        engine,
        running,
        quiet_s=30,
        workers=2,
        longest_retry_s=900,
        now=lambda: clocks.wall_s,
        monotonic=lambda: clocks.steady_s,
    )


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
    ledger.finish(exam.id, job="j", outputs=[output], destinations=wanted, record=ANALYSED, now=3.0)


def test_a_quiet_study_is_queued_and_analysed(
    reconciler: Reconciler, notebook: Notebook, queued: Callable[..., ExamRow]
) -> None:
    exam = queued(settle=False)
    reconciler.tick()
    assert notebook.submitted == [(ANALYSE, f"analyse-{exam.id}-1", (exam.id,))]


def test_only_so_many_are_analysed_at_once_the_oldest_first(
    reconciler: Reconciler, notebook: Notebook, queued: Callable[..., ExamRow]
) -> None:
    exams = [queued(f"1.2.{number}") for number in range(4)]
    reconciler.tick()
    reconciler.tick()
    assert [args for _, _, args in notebook.submitted] == [(exams[0].id,), (exams[1].id,)]
    assert len(notebook.submitted) == 2


def test_an_exam_under_analysis_is_taken_up_again_by_its_own_job(
    reconciler: Reconciler, notebook: Notebook, ledger: Ledger, queued: Callable[..., ExamRow]
) -> None:
    exam = queued()
    ledger.begin(exam.id, job=f"analyse-{exam.id}-1", now=2.0)
    reconciler.tick()
    assert [name for _, name, _ in notebook.submitted] == [f"analyse-{exam.id}-1"]


def test_further_injections_wait_while_the_studys_job_writes_them(
    reconciler: Reconciler, notebook: Notebook, ledger: Ledger, queued: Callable[..., ExamRow]
) -> None:
    exam = queued()
    ledger.begin(exam.id, job=f"analyse-{exam.id}-1", now=2.0)
    ledger.split(exam, 2, now=3.0)
    reconciler.tick()
    assert len(notebook.submitted) == 1


def test_a_job_that_ended_without_a_result_is_begun_again_after_a_pause(
    reconciler: Reconciler,
    notebook: Notebook,
    ledger: Ledger,
    clocks: Clocks,
    queued: Callable[..., ExamRow],
) -> None:
    exam = queued()
    begun = []
    for _ in range(20):
        reconciler.tick()
        if notebook.active:
            begun.append(clocks.steady_s)
            ledger.begin(exam.id, job=f"analyse-{exam.id}-1", now=clocks.wall_s)
            notebook.active.clear()
        clocks.go_on(5)
    assert ledger.exam(exam.id).state is ExamState.ANALYSING, "nobody gives it up"
    pauses = [after - before for before, after in pairwise(begun)]
    assert pauses[0] == 5
    assert max(pauses) <= 35
    assert len(begun) > 4


def test_an_injection_whose_writer_is_gone_is_queued_again(
    reconciler: Reconciler, notebook: Notebook, ledger: Ledger, queued: Callable[..., ExamRow]
) -> None:
    exam = queued()
    job = f"analyse-{exam.id}-1"
    first = ledger.begin(exam.id, job=job, now=2.0)
    second = ledger.split(first, 2, now=3.0)[1]
    ledger.begin(second.id, job=job, now=3.0)
    ledger.fail(exam.id, job=job, reasons=[Reason("x", "y")], now=4.0)
    reconciler.tick()
    assert ledger.exam(second.id).state is ExamState.QUEUED
    reconciler.tick()
    assert [args for _, _, args in notebook.submitted] == [(second.id,)]


def test_an_exam_that_saw_the_node_end_often_is_analysed_alone_and_last(
    reconciler: Reconciler, notebook: Notebook, ledger: Ledger, queued: Callable[..., ExamRow]
) -> None:
    wary = queued("1.2.1")
    ledger.begin(wary.id, job=f"analyse-{wary.id}-1", now=2.0)
    for life in range(3):
        ledger.recover(now=10.0 + life)
    other = queued("1.2.2")
    reconciler.tick()
    assert [args for _, _, args in notebook.submitted] == [(other.id,)]
    notebook.active.clear()
    ledger.begin(other.id, job=f"analyse-{other.id}-1", now=20.0)
    ledger.finish(
        other.id,
        job=f"analyse-{other.id}-1",
        outputs=[],
        destinations={},
        record=ANALYSED,
        now=21.0,
    )
    reconciler.tick()
    queued("1.2.3")
    reconciler.tick()
    assert [args for _, _, args in notebook.submitted] == [(other.id,), (wary.id,)]
    assert {reason.code for reason in ledger.exam(wary.id).reasons} == {"interrupted"}


def test_an_exam_that_waited_long_for_all_others_is_waited_for(
    reconciler: Reconciler, notebook: Notebook, ledger: Ledger, clocks: Clocks,
    queued: Callable[..., ExamRow],
) -> None:  # fmt: skip
    wary = queued("1.2.1")
    ledger.begin(wary.id, job=f"analyse-{wary.id}-1", now=2.0)
    for life in range(3):
        ledger.recover(now=10.0 + life)
    for number in range(2, 6):
        queued(f"1.2.{number}")
    reconciler.tick()
    assert [args for _, _, args in notebook.submitted] == [(2,), (3,)]
    clocks.go_on(601)
    del notebook.active["analyse-2-1"]
    reconciler.tick()
    assert len(notebook.submitted) == 2, "nobody else goes first now"
    del notebook.active["analyse-3-1"]
    reconciler.tick()
    assert notebook.submitted[-1][2] == (wary.id,)


@pytest.mark.parametrize("decision", ["retry", "give_up"])
def test_work_that_a_person_no_longer_wants_is_ended(
    reconciler: Reconciler,
    notebook: Notebook,
    ledger: Ledger,
    site: Site,
    queued: Callable[..., ExamRow],
    decision: str,
) -> None:
    exam = queued()
    reconciler.tick()
    ledger.begin(exam.id, job=f"analyse-{exam.id}-1", now=2.0)
    reconciler.tick()
    assert site.abandoned == []
    getattr(ledger, decision)(exam.id, now=3.0)
    reconciler.tick()
    assert site.abandoned == [f"analyse-{exam.id}-1"]


def test_an_association_whose_end_was_not_recorded_is_closed(
    reconciler: Reconciler, ledger: Ledger, site: Site, clocks: Clocks,
    notebook: Notebook, queued: Callable[..., ExamRow],
) -> None:  # fmt: skip
    ledger.association_opened("a", calling_ae="S", host="h", now=0.0)
    site.open.add("a")
    queued(settle=False)
    reconciler.tick()
    assert not notebook.submitted, "an open association holds its study"
    site.open.clear()
    reconciler.tick()
    assert ledger.open_associations() == frozenset()
    clocks.go_on(31)
    reconciler.tick()
    assert len(notebook.submitted) == 1


def test_a_clock_that_was_wrong_by_a_year_makes_nothing_wait(
    reconciler: Reconciler, ledger: Ledger, clocks: Clocks,
    notebook: Notebook, queued: Callable[..., ExamRow],
) -> None:  # fmt: skip
    reconciler.tick()
    clocks.wall_s += YEAR_S
    exam = queued(settle=False)
    with_future = ledger.exam(exam.id)
    queued(comment="again", settle=False, now=clocks.wall_s)
    reconciler.tick()
    assert not notebook.submitted, "it was heard just now, whatever the clock says"
    assert ledger.exam(exam.id).last_instance_at > with_future.last_instance_at
    clocks.wall_s -= YEAR_S
    clocks.go_on(1)
    reconciler.tick()
    assert not notebook.submitted
    clocks.go_on(31)
    reconciler.tick()
    assert len(notebook.submitted) == 1


def test_a_retry_that_a_wrong_clock_put_off_is_due(
    reconciler: Reconciler, ledger: Ledger, clocks: Clocks,
    notebook: Notebook, queued: Callable[..., ExamRow],
) -> None:  # fmt: skip
    finish(ledger, queued(), "pacs")
    ledger.claim([1], now=NOW + YEAR_S)
    ledger.retry_later(1, at=NOW + YEAR_S + 10, error="away", now=NOW + YEAR_S)
    reconciler.tick()
    assert [kind for kind, _, _ in notebook.submitted] == [DELIVER]


@pytest.mark.parametrize("failed_before", [False, True])
def test_a_clock_that_is_set_back_by_minutes_puts_no_delivery_off(
    reconciler: Reconciler, ledger: Ledger, clocks: Clocks,
    notebook: Notebook, queued: Callable[..., ExamRow], failed_before: bool,
) -> None:  # fmt: skip
    reconciler.tick()
    finish(ledger, queued(), "pacs")
    if failed_before:
        ledger.claim([1], now=NOW)
        ledger.retry_later(1, at=NOW + 10, error="away", now=NOW)
    else:
        ledger.resend(1, now=NOW)
    clocks.wall_s -= 600
    clocks.go_on(10)
    reconciler.tick()
    assert [kind for kind, _, _ in notebook.submitted] == [DELIVER]


def test_what_never_failed_is_due_at_a_start_with_an_earlier_clock(
    reconciler: Reconciler, ledger: Ledger, notebook: Notebook, queued: Callable[..., ExamRow]
) -> None:
    finish(ledger, queued(), "pacs")
    ledger.resend(1, now=NOW + 600)
    reconciler.tick()
    assert [kind for kind, _, _ in notebook.submitted] == [DELIVER]


def test_deliveries_whose_job_is_gone_are_sent_again(
    reconciler: Reconciler, ledger: Ledger, notebook: Notebook, queued: Callable[..., ExamRow]
) -> None:
    finish(ledger, queued(), "pacs")
    reconciler.tick()
    ledger.claim([1], now=NOW)
    reconciler.tick()
    assert len(notebook.submitted) == 1, "its job holds it"
    notebook.active.clear()
    reconciler.tick()
    assert len(notebook.submitted) == 2
    assert ledger.sending() == ()


def test_a_job_that_cannot_be_started_is_asked_for_again(
    reconciler: Reconciler, clocks: Clocks, notebook: Notebook, queued: Callable[..., ExamRow]
) -> None:
    notebook.broken = True
    queued()
    reconciler.tick()
    assert reconciler.trouble == "OSError; see the log"
    for _ in range(100):
        clocks.go_on(1)
        reconciler.tick()
        assert reconciler.trouble, "also in a round that only waits"
    assert reconciler.refused_s == 100
    notebook.broken = False
    clocks.go_on(31)
    reconciler.tick()
    assert len(notebook.submitted) == 1
    assert reconciler.trouble == ""
    assert reconciler.refused_s == 0


def test_a_job_that_nobody_wants_any_more_is_no_trouble(
    reconciler: Reconciler, ledger: Ledger, notebook: Notebook, queued: Callable[..., ExamRow]
) -> None:
    notebook.broken = True
    exam = queued()
    reconciler.tick()
    ledger.give_up(exam.id, now=NOW)
    reconciler.tick()
    assert reconciler.trouble == ""
    assert reconciler.refused_s == 0


def test_each_destination_has_one_delivery_at_a_time(
    reconciler: Reconciler, notebook: Notebook, ledger: Ledger, queued: Callable[..., ExamRow]
) -> None:
    for number in range(2):
        finish(ledger, queued(f"1.2.{number}"), "pacs", "research")
    reconciler.tick()
    reconciler.tick()
    assert [(kind, args[0]) for kind, _, args in notebook.submitted] == [
        (DELIVER, "pacs"),
        (DELIVER, "research"),
    ]


def test_a_delivery_that_is_asked_for_again_is_sent_again(
    reconciler: Reconciler, notebook: Notebook, ledger: Ledger, queued: Callable[..., ExamRow]
) -> None:
    exam = queued()
    finish(ledger, exam, "pacs")
    for moment in (5.0, 6.0):
        reconciler.tick()
        (row,) = ledger.claim([1], now=moment)
        ledger.sent(row.id, code="0x0000", now=moment)
        notebook.active.clear()
        ledger.resend(exam.id, now=moment + 0.5)
    reconciler.tick()
    assert [name for _, name, _ in notebook.submitted] == ["deliver-pacs"] * 3
