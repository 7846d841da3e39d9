"""kill -9 of the whole node, with the real analysis."""

from collections.abc import Callable
from pathlib import Path

import pytest
from pydicom import dcmread

from dicomnode.store.spool import dataset_sha256
from dicomnode.store.states import ExamState
from parts.site import Site


@pytest.fixture
def site(new_site: Callable[[Path], Site], tmp_path: Path) -> Site:
    site = new_site(tmp_path)
    site.write_settings(quiet_s=1.0)
    site.start_pacs()
    return site


def check_delivered_once(site: Site) -> None:
    """The destination holds what the ledger says, each object once, byte for byte."""
    ledger = site.ledger()
    outputs = [output for exam in ledger.exams() for output in ledger.outputs(exam.id)]
    wanted = {output.sop_instance_uid: output.sha256 for output in outputs}
    paths = site.received()
    found = {str(dcmread(p, stop_before_pixels=True).SOPInstanceUID): p for p in paths}
    assert len(found) == len(paths)
    assert {uid: dataset_sha256(path) for uid, path in found.items()} == wanted


def test_two_injections_survive_power_cuts_and_a_late_clip_revises_both(
    site: Site, simulated: Callable[..., list[Path]], mortal_node: tuple[str, ...]
) -> None:
    first, late = simulated(clips=2)
    second = simulated(clips=2, injection=2)

    node = site.start_node().ready()
    site.send(first, *second)
    node.wait_for("step.started", step="process")
    node.kill()
    for moment in ("step.finished:process", "exam.analysed", "delivery.sent"):
        site.start_node(command=mortal_node, DIE_AT=moment).wait_for_death()

    node = site.start_node().ready()
    exams = site.wait_until_delivered()
    assert {(exam.injection, exam.revision, exam.state) for exam in exams} == {
        (1, 1, ExamState.ANALYSED),
        (2, 1, ExamState.ANALYSED),
    }
    assert all(len(site.ledger().outputs(exam.id)) == 6 for exam in exams)
    check_delivered_once(site)

    site.send(late)
    node.wait_for("instance.kept", new_revision=True)
    site.wait_until("both are revised", lambda: len(site.ledger().exams()) == 4)
    revised = [exam for exam in site.wait_until_delivered() if exam.revision == 2]
    replaced = {exam.injection: exam.id for exam in exams}
    assert {exam.injection: exam.replaces for exam in revised} == replaced
    assert all(exam.state is ExamState.ANALYSED for exam in revised)
    check_delivered_once(site)
