"""A disk that changes bytes under a running node."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from dicomnode.store.rows import DeliveryRow
from dicomnode.store.spool import Spool
from dicomnode.store.states import DeliveryState, ExamState
from parts.damage import flip

Clip = Callable[..., Path]


def test_what_has_changed_is_neither_analysed_nor_sent_and_can_be_mended(
    site: Any, clip: Clip
) -> None:
    site.write_settings(quiet_s=3.0)
    node = site.start_node().ready()
    ledger, spool = site.ledger(), Spool(site.data_dir / "spool")
    sent = clip()

    site.send(sent)
    (exam,) = ledger.exams()
    (instance,) = ledger.variants_of(exam)
    flip(spool.absolute(instance.path), 600)
    node.wait_for("step.finished", step="fail")
    (reason,) = ledger.exam(exam.id).reasons
    assert reason.code == "file-damaged"
    assert instance.path.name in reason.text

    site.send(sent)
    ledger.retry(exam.id, now=0.0)
    node.wait_for("exam.analysed")
    outputs = {output.kind: output for output in ledger.outputs(exam.id)}
    flip(spool.absolute(outputs["seg"].path), 600)
    spool.absolute(outputs["sr"].path).unlink()
    site.start_pacs()

    def at_rest() -> dict[str, DeliveryRow]:
        rows = {row.output.kind: row for row in ledger.deliveries(exam.id)}
        states = {row.state for row in rows.values()}
        return rows if states <= {DeliveryState.SENT, DeliveryState.PARKED} else {}

    rows = site.wait_until("every delivery was sent or parked", at_rest)
    parked = {kind: row.error for kind, row in rows.items() if row.state is DeliveryState.PARKED}
    assert parked.keys() == {"seg", "sr"}
    assert f"expected a dataset with SHA-256 {outputs['seg'].sha256}" in parked["seg"]
    assert f"expected {outputs['sr'].path} in the spool, found no such file" in parked["sr"]
    assert len(site.received()) == len(rows) - 2

    folders = [site.data_dir, *(path for path in site.data_dir.rglob("*") if path.is_dir())]
    assert {path for path in folders if path.stat().st_mode & 0o077} == set(), "private, all"

    again = ledger.reanalyse(exam.id, now=0.0)
    site.wait_until(
        "all results of the new revision have arrived",
        lambda: {row.state for row in ledger.deliveries(again.id)} == {DeliveryState.SENT},
    )
    assert ledger.exam(again.id).state is ExamState.ANALYSED
    ledger.close()
