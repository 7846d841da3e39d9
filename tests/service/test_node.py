"""The whole node but for the analysis: real sockets, real processes, a real ledger."""

import json
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

from pydicom import dcmread

from dicomnode.store.spool import dataset_sha256
from dicomnode.store.states import DeliveryState, ExamState
from parts.waiting import PATIENCE_S, wait_until

Clip = Callable[..., Path]


def get(site: Any, path: str) -> bytes:
    with urllib.request.urlopen(
        f"http://127.0.0.1:{site.web_port}{path}", timeout=PATIENCE_S
    ) as answer:
        return bytes(answer.read())


def test_a_received_exam_is_analysed_and_delivered_once(site: Any, clip: Clip) -> None:
    site.start_pacs()
    node = site.start_node().ready()
    one = clip("one.dcm")
    study_uid = dcmread(one).StudyInstanceUID
    site.send(one, clip("two.dcm", study_uid=study_uid))

    node.wait_for("delivery.sent", kind="report")

    ledger = site.ledger()
    (exam,) = ledger.exams()
    assert (exam.state, exam.summary.decision) == (ExamState.ANALYSED, "benign")
    assert len(ledger.instances_for(exam, "first")) == 2
    assert {one.state for one in ledger.deliveries(exam.id)} == {DeliveryState.SENT}
    outputs = {output.sop_instance_uid: output for output in ledger.outputs(exam.id)}
    delivered = {dcmread(path).SOPInstanceUID: path for path in site.received()}
    assert delivered.keys() == outputs.keys()
    assert {dataset_sha256(path) for path in delivered.values()} == {
        output.sha256 for output in outputs.values()
    }
    assert json.loads(get(site, "/health/ready"))["status"] == "ready"
    assert json.loads(get(site, "/api/exams"))["exams"][0]["study_uid"] == study_uid
    assert get(site, f"/exams/{exam.id}/report.png").startswith(b"\x89PNG")
    page = get(site, "/") + get(site, f"/exams/{exam.id}")
    assert b"analysed" in page
    for shown in (page, node.log.read_bytes(), get(site, "/metrics")):
        assert b"DOE" not in shown
        assert b"ID-4711" not in shown
    assert not list((site.data_dir / "spool" / "work").iterdir())
    assert node.stop() == 0
    assert node.saw("node.stopped")


def test_refusals_injections_and_late_instances_each_have_a_row(site: Any, clip: Clip) -> None:
    site.write_settings(refusals=True)
    site.start_pacs()
    node = site.start_node().ready()
    site.send(clip("refused.dcm", comment="refuse"))
    node.wait_for("delivery.sent", exam=1, kind="sr")
    (exam,) = site.ledger().exams()
    assert exam.state is ExamState.REFUSED
    assert [reason.code for reason in exam.reasons] == ["no-bolus"]
    assert len(site.received()) == 1
    assert b"expected a bolus, found none" in get(site, f"/exams/{exam.id}")

    first = clip(comment="two injections")
    site.send(first)
    study_uid = dcmread(first).StudyInstanceUID
    node.wait_for("step.finished", step="publish", exam=2)
    assert [(row.injection, row.state) for row in site.ledger().exams(study_uid=study_uid)] == [
        (2, ExamState.ANALYSED),
        (1, ExamState.ANALYSED),
    ]

    site.send(clip("late.dcm", study_uid=study_uid))
    node.wait_for("step.finished", step="publish", exam=4)
    rows = site.ledger().exams(study_uid=study_uid)
    assert {(row.injection, row.revision): row.replaces for row in rows} == {
        (1, 1): None,
        (2, 1): None,
        (1, 2): 2,
        (2, 2): 3,
    }


def test_a_destination_that_was_away_gets_the_same_bytes_later(site: Any, clip: Clip) -> None:
    node = site.start_node().ready()
    site.send(clip())
    node.wait_for("delivery.retry")
    site.start_pacs()
    node.wait_for("delivery.sent", kind="report")
    (exam,) = site.ledger().exams()
    wanted = {output.sha256 for output in site.ledger().outputs(exam.id)}
    assert {dataset_sha256(path) for path in site.received()} == wanted

    for path in site.received():
        path.unlink()
    assert site.ledger().resend(exam.id, now=0.0) == 5
    wait_until(
        "all are sent again",
        lambda: {one.state for one in site.ledger().deliveries(exam.id)} == {DeliveryState.SENT},
    )
    assert {dataset_sha256(path) for path in site.received()} == wanted


def test_what_another_process_asks_of_the_ledger_is_done(site: Any, clip: Clip) -> None:
    node = site.start_node().ready()
    site.send(clip(comment="raise once"))
    node.wait_for("step.finished", step="fail")
    (exam,) = site.ledger().exams()
    assert exam.reasons[0].code == "analysis-error"
    assert "KeyError in stand_in.py" in exam.reasons[0].text
    assert "DOE" not in exam.reasons[0].text + node.log.read_text()

    site.ledger().retry(exam.id, now=0.0)
    node.wait_for("step.finished", step="publish")
    first = site.ledger().outputs(exam.id)
    site.ledger().reanalyse(exam.id, now=0.0)
    node.wait_for("step.finished", step="publish", exam=exam.id + 1)
    assert site.ledger().exam(exam.id + 1).replaces == exam.id
    assert len(first) == len(site.ledger().outputs(exam.id + 1)) == 5
