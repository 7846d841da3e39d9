"""Power cuts, dying workers and second nodes."""

from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from pydicom import dcmread

from dicomnode.store.rows import ExamRow
from dicomnode.store.spool import dataset_sha256
from dicomnode.store.states import ExamState
from parts.waiting import wait_until

Clip = Callable[..., Path]

MOMENTS = (
    "step.started:begin",
    "step.finished:begin",
    "step.started:process",
    "step.finished:process",
    "step.started:publish",
    "exam.analysed",
    "step.started:send",
    "delivery.sent",
)
"""Where a power cut may come: before a step, and after it but before that is known."""


def descendants(pid: int) -> set[int]:
    """Every process below one, from /proc."""
    parents: dict[int, int] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal():
            with suppress(OSError):
                parents[int(entry.name)] = int(
                    (entry / "stat").read_text().rsplit(")", 1)[1].split()[1]
                )
    found, layer = set(), {pid}
    while layer:
        layer = {child for child, parent in parents.items() if parent in layer}
        found |= layer
    return found


def wait_for_file(path: Path) -> None:
    wait_until(f"{path} is there", path.exists)


def exams(site: Any) -> tuple[ExamRow, ...]:
    rows: tuple[ExamRow, ...] = site.ledger().exams()
    return rows


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


def test_killed_at_every_step_the_destination_has_one_set_of_results(site: Any, clip: Clip) -> None:
    site.start_pacs()
    for life, moment in enumerate(MOMENTS):
        node = site.start_node(DIE_AT=moment)
        if life == 0:
            node.ready()
            site.send(clip())
        node.wait_for_death()

    site.start_node()
    (exam,) = site.wait_until_delivered()
    assert exam.state is ExamState.ANALYSED
    outputs = site.ledger().outputs(exam.id)
    delivered = {dcmread(path).SOPInstanceUID: dataset_sha256(path) for path in site.received()}
    assert delivered == {output.sop_instance_uid: output.sha256 for output in outputs}
    assert len(outputs) == 5


def test_no_worker_outlives_a_killed_node_and_the_exam_is_taken_up_again(
    site: Any, clip: Clip
) -> None:
    site.start_pacs()
    node = site.start_node().ready()
    site.send(clip(comment="hang once"))
    node.wait_for("step.started", step="process")
    wait_for_file(site.root / "marker-hang")
    below = descendants(node.process.pid)
    assert len(below) >= 2, "the fork server and a worker"
    node.kill()
    wait_until("no process outlives the node", lambda: not any(alive(pid) for pid in below))
    node = site.start_node().ready()
    node.wait_for("delivery.sent", kind="report")


def test_a_node_that_is_stopped_in_an_analysis_goes_on_at_the_next_start(
    site: Any, clip: Clip
) -> None:
    node = site.start_node(DICOMNODE__NODE__DRAIN_S="1").ready()
    site.send(clip(comment="hang once"))
    node.wait_for("step.started", step="process")
    wait_for_file(site.root / "marker-hang")
    assert node.stop() == 0
    (exam,) = site.ledger().exams()
    assert exam.state is ExamState.ANALYSING
    node = site.start_node().ready()
    node.wait_for("exam.analysed")


def test_workers_that_die_or_eat_all_memory_do_not_take_the_node_or_other_exams_with_them(
    site: Any, clip: Clip
) -> None:
    site.write_settings(workers=2)
    node = site.start_node(DICOMNODE__NODE__WORKER_MEMORY_GIB="1").ready()
    for name in ("die once", "die", "eat", ""):
        site.send(clip(f"{name}.dcm", comment=name))
    node.wait_for("step.finished", step="fail", exam=2)
    node.wait_for("step.finished", step="fail", exam=3)
    node.wait_for("exam.analysed", exam=4)
    found = {exam.id: (exam.state, [one.code for one in exam.reasons]) for exam in exams(site)}
    assert found == {
        1: (ExamState.ANALYSED, []),
        2: (ExamState.FAILED, ["worker-died"]),
        3: (ExamState.FAILED, ["analysis-memory"]),
        4: (ExamState.ANALYSED, []),
    }
    assert node.process.poll() is None


def test_a_worker_that_hangs_is_ended_in_time(site: Any, clip: Clip) -> None:
    site.write_settings(timeout_s=2.0)
    node = site.start_node().ready()
    site.send(clip(comment="hang"))
    node.wait_for("step.finished", step="fail", exam=1)
    (exam,) = exams(site)
    assert [one.code for one in exam.reasons] == ["analysis-timeout"]
    assert node.process.poll() is None
