"""What cannot be analysed is refused in words, nothing of it is lost, and the next exam is fine."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from pydicom import dcmread

from dicomnode.cli import cli
from dicomnode.store.ledger import Ledger
from dicomnode.store.rows import ExamRow
from dicomnode.store.spool import dataset_sha256
from dicomnode.store.states import ExamState
from parts.damage import DAMAGES, damaged, study_uid
from parts.site import RunningNode, Site

Command = Callable[..., Any]

REFUSED = {
    "truncated": ("truncated", "PixelData (7FE0,0010): expected"),
    "more frames stated": ("wrong-number-of-frames", "expected 150 frames"),
    "fewer frames stated": ("wrong-number-of-frames", "expected 70 frames"),
    "no frames": ("no-frames", "NumberOfFrames (0028,0008): expected at least 1, found 0"),
    "no timing": ("no-timing", "expected FrameTime (0018,1063)"),
    "no regions": ("no-regions", "expected a 2D region in cm, found none"),
    "short 16-bit palette": ("bad-palette", "found 6552 bytes"),
    "computed tomography": ("not-ultrasound", "expected ultrasound, found CT Image Storage"),
}
ANALYSED = set(DAMAGES) - set(REFUSED)
BY_STORESCU = set(DAMAGES) - {"truncated", "good"}
"""It reads a file before it sends it; ``dicomnode send`` sends what is there."""
AT_REST = {ExamState.ANALYSED, ExamState.REFUSED, ExamState.FAILED}


@dataclass(frozen=True, kw_only=True)
class Received:
    """The node after all of it; the good exam came last."""

    site: Site
    node: RunningNode
    files: dict[str, Path]
    exams: dict[str, ExamRow]
    ledger: Ledger


@pytest.fixture(scope="module")
def received(
    tmp_path_factory: pytest.TempPathFactory,
    new_site: Callable[[Path], Site],
    simulated: Callable[..., list[Path]],
    dicomnode: Command,
) -> Iterator[Received]:
    site = new_site(tmp_path_factory.mktemp("bad-input"))
    (good,) = simulated()
    files = {name: damaged(name, good, site.root) for name in DAMAGES}
    studies = {study_uid(name): name for name in DAMAGES}
    site.write_settings(quiet_s=0.5)
    node = site.start_node().ready()
    for name in BY_STORESCU:
        site.send(files[name])
    peer = f"CEUSNODE@127.0.0.1:{site.port}"
    done = dicomnode("send", files["truncated"], "--to", peer, "--from", "SCANNER1")
    assert done.returncode == 0, done.stdout + done.stderr
    site.send(files["good"])
    ledger = site.ledger()

    def settled() -> dict[str, ExamRow]:
        exams = {studies[exam.study_uid]: exam for exam in ledger.exams()}
        return exams if {exam.state for exam in exams.values()} <= AT_REST else {}

    exams = site.wait_until("every exam is at rest", settled)
    yield Received(site=site, node=node, files=files, exams=exams, ledger=ledger)
    ledger.close()
    assert node.stop() == 0


@pytest.mark.parametrize("name", sorted(REFUSED))
def test_it_is_refused_and_a_person_is_told_why(received: Received, name: str) -> None:
    code, words = REFUSED[name]
    exam = received.exams[name]
    assert exam.state is ExamState.REFUSED
    (reason,) = exam.reasons
    assert reason.code == code
    assert reason.text.count(".dcm") == 1, "the file is named, once"
    command = ["exams", "show", str(exam.id), "-c", str(received.site.settings)]
    shown = CliRunner().invoke(cli, command)
    assert shown.exit_code == 0, shown.output
    for told in (f"{code}: ", words, "SCANNER1"):
        assert told in shown.stdout


@pytest.mark.parametrize("name", sorted(ANALYSED))
def test_it_is_analysed(received: Received, name: str) -> None:
    exam = received.exams[name]
    assert exam.state is ExamState.ANALYSED, exam.reasons
    assert len(received.ledger.outputs(exam.id)) == 6


@pytest.mark.parametrize("name", sorted(DAMAGES))
def test_nothing_of_it_is_lost(received: Received, name: str) -> None:
    (instance,) = received.ledger.variants_of(received.exams[name])
    kept = received.site.data_dir / "spool" / instance.path
    assert dataset_sha256(kept) == dataset_sha256(received.files[name]) == instance.sha256


def test_text_in_an_unknown_character_set_stays_readable(
    received: Received, judged: Callable[[str, Path], list[str]]
) -> None:
    exam = received.exams["wrong character set"]
    for output in received.ledger.outputs(exam.id):
        path = received.site.data_dir / "spool" / output.path
        ds = dcmread(path, stop_before_pixels=True)
        assert ds.SpecificCharacterSet == "ISO_IR 192"
        assert str(ds.PatientName).isprintable()
        if output.kind != "sr":
            errors = [x for x in judged("dciodvfy", path) if x.startswith("Error")]
            assert not errors, output.kind


@pytest.mark.parametrize(
    ("titles", "reason"),
    [
        ({"called": "OTHERNODE"}, "called AE title is not this node's"),
        ({"calling": "STRANGER"}, "calling AE title is not accepted here"),
    ],
)
def test_a_wrong_title_is_rejected_and_shown(
    received: Received, titles: dict[str, str], reason: str
) -> None:
    before = len(received.ledger.exams())
    done = received.site.try_to_send(received.files["good"], **titles)
    assert done.returncode != 0
    assert "Rejected" in done.stderr
    logged = {f"{name}_ae": title for name, title in titles.items()} | {"reason": reason}
    received.node.wait_for("association.rejected", **logged)
    assert len(received.ledger.exams()) == before
    shown = CliRunner().invoke(cli, ["exams", "show", "-c", str(received.site.settings)])
    assert shown.exit_code == 0, shown.output
    assert reason in shown.stdout
    assert all(title in shown.stdout for title in titles.values())
