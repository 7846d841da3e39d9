"""Each destination gets the overlay in the form it asked for; DCMTK is on the other side."""

import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path, PurePosixPath
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from pydicom import Dataset, dcmread
from pydicom.uid import (
    UID,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEGBaseline8Bit,
)

from dicomnode.deliver.c_store import CStore
from dicomnode.dicom.decode import frames
from dicomnode.dicom.results.capture import secondary_capture
from dicomnode.dicom.results.overlay import write_frames
from dicomnode.jobs.deliver import Delivery
from dicomnode.jobs.options import DeliveryOptions
from dicomnode.network.peers import Peer
from dicomnode.store.ledger import Ledger
from dicomnode.store.rows import DeliveryRow, ExamRow, Output
from dicomnode.store.spool import Spool, dataset_sha256
from dicomnode.store.states import DeliveryState
from parts.planes import as_planes
from parts.programs import program
from parts.records import ANALYSED
from parts.waiting import free_port, listens, wait_until

ONLY_UNCOMPRESSED, ONLY_IMPLICIT, EVERYTHING = "+x=", "+xi", "+xa"
"""Which transfer syntaxes storescp accepts; without an option it takes nothing compressed."""

StartPacs = Callable[[str], "Pacs"]
Way = Callable[..., CStore]
Deliver = Callable[..., dict[tuple[str, str], DeliveryRow]]


@dataclass(frozen=True, kw_only=True)
class Pacs:
    """DCMTK's storescp and where it writes."""

    peer: Peer
    directory: Path

    def received(self) -> dict[str, Dataset]:
        found = [dcmread(path) for path in self.directory.iterdir()]
        return {str(ds.SOPInstanceUID): ds for ds in found}


def to(pacs: Pacs, *, uncompressed: bool = False) -> Way:
    return partial(CStore, peer=pacs.peer, calling_ae="CEUSNODE", uncompressed=uncompressed)


@pytest.fixture
def start_pacs(tmp_path: Path) -> Iterator[StartPacs]:
    started: list[subprocess.Popen[bytes]] = []

    def start(accepts: str) -> Pacs:
        name, port = f"pacs{len(started)}", free_port()
        directory = tmp_path / name
        directory.mkdir()
        command = [program("storescp"), "-aet", "PACS", "-od", str(directory), accepts, str(port)]
        started.append(subprocess.Popen(command, stderr=subprocess.DEVNULL))
        wait_until("storescp listens", lambda: listens(port))
        peer = Peer(name=name, ae_title="PACS", host="127.0.0.1", port=port)
        return Pacs(peer=peer, directory=directory)

    yield start
    for process in started:
        process.kill()
        process.wait()


@pytest.fixture
def outputs(example: ModuleType, spool: Spool) -> dict[str, Output]:
    """An overlay, which is JPEG, and a key frame, which is not compressed."""
    folder = PurePosixPath("outputs")
    picture = np.random.default_rng(1).integers(0, 256, (90, 70, 3), np.uint8)
    pictures = (as_planes(np.roll(picture, n, axis=0)) for n in range(example.FRAMES))
    exam, context = example.exam(), example.context()
    write_frames(spool.absolute(folder / "overlay.dcm"), exam, context, pictures)
    keyframe = secondary_capture(exam, context, picture, "keyframe", frame=3)
    keyframe.save_as(spool.absolute(folder / "keyframe.dcm"), enforce_file_format=True)
    return {kind: _output(spool, folder / f"{kind}.dcm") for kind in ("overlay", "keyframe")}


def _output(spool: Spool, path: PurePosixPath) -> Output:
    ds = dcmread(spool.absolute(path), stop_before_pixels=True)
    return Output(
        kind=path.stem,
        path=path,
        sop_class_uid=str(ds.SOPClassUID),
        sop_instance_uid=str(ds.SOPInstanceUID),
        sha256=dataset_sha256(spool.absolute(path)),
        size_bytes=spool.absolute(path).stat().st_size,
    )


@pytest.fixture
def deliver(
    ledger: Ledger,
    spool: Spool,
    step: Any,
    queued: Callable[..., ExamRow],
    outputs: dict[str, Output],
) -> Deliver:
    """Bring the outputs of one exam to destinations; what became of each, by name and kind."""

    def deliver(**ways: Way) -> dict[tuple[str, str], DeliveryRow]:
        exam = queued()
        ledger.begin(exam.id, job="j", now=2.0)
        ledger.finish(
            exam.id,
            job="j",
            outputs=list(outputs.values()),
            destinations={name: list(outputs) for name in ways},
            record=ANALYSED,
            now=3.0,
        )
        job = Delivery(
            ledger=ledger,
            spool=spool,
            destinations={name: way(work=spool.work) for name, way in ways.items()},
            options=DeliveryOptions(),
            now=lambda: 100.0,
        )
        for name in ways:
            rows = [row.id for row in ledger.deliveries(exam.id) if row.destination == name]
            job(step, f"job-{name}", name, rows)
        rows = ledger.deliveries(exam.id)
        return {(row.destination, row.output.kind): row for row in rows}

    return deliver


@pytest.mark.parametrize(
    ("accepts", "syntax"),
    [(ONLY_UNCOMPRESSED, ExplicitVRLittleEndian), (ONLY_IMPLICIT, ImplicitVRLittleEndian)],
)
def test_a_peer_without_jpeg_gets_the_pixels_that_the_jpeg_gives(
    start_pacs: StartPacs,
    deliver: Deliver,
    outputs: dict[str, Output],
    spool: Spool,
    judged: Callable[[str, Path], list[str]],
    accepts: str,
    syntax: UID,
) -> None:
    pacs = start_pacs(accepts)
    rows = deliver(plain=to(pacs, uncompressed=True))
    assert {row.state for row in rows.values()} == {DeliveryState.SENT}
    received = pacs.received()
    assert received.keys() == {output.sop_instance_uid for output in outputs.values()}
    overlay = received[outputs["overlay"].sop_instance_uid]
    assert overlay.file_meta.TransferSyntaxUID == syntax
    assert overlay.PhotometricInterpretation == "RGB"
    kept = spool.absolute(outputs["overlay"].path)
    np.testing.assert_array_equal(overlay.pixel_array, np.stack([*frames(kept)]))
    assert judged("dciodvfy", Path(str(overlay.filename))) == []
    assert list(spool.work.iterdir()) == []


def test_two_destinations_of_one_exam_get_each_its_own_form(
    start_pacs: StartPacs, deliver: Deliver, outputs: dict[str, Output], spool: Spool
) -> None:
    original, plain = start_pacs(EVERYTHING), start_pacs(EVERYTHING)
    rows = deliver(
        original=to(original),
        plain=to(plain, uncompressed=True),
    )
    assert {row.state for row in rows.values()} == {DeliveryState.SENT}
    uid = outputs["overlay"].sop_instance_uid
    assert original.received()[uid].file_meta.TransferSyntaxUID == JPEGBaseline8Bit
    assert plain.received()[uid].file_meta.TransferSyntaxUID == ExplicitVRLittleEndian
    assert list(spool.work.iterdir()) == []
    for output in outputs.values():
        assert dataset_sha256(spool.absolute(output.path)) == output.sha256


def test_as_it_is_it_is_parked_and_the_reason_says_what_to_set(
    start_pacs: StartPacs, deliver: Deliver
) -> None:
    rows = deliver(pacs=to(start_pacs(ONLY_UNCOMPRESSED)))
    assert rows["pacs", "keyframe"].state is DeliveryState.SENT
    assert rows["pacs", "overlay"].state is DeliveryState.PARKED
    assert JPEGBaseline8Bit.name in rows["pacs", "overlay"].error
    assert 'transfer_syntax = "uncompressed"' in rows["pacs", "overlay"].error


def test_an_overlay_that_cannot_be_decoded_is_parked_and_the_rest_arrives(
    start_pacs: StartPacs, deliver: Deliver, outputs: dict[str, Output], spool: Spool
) -> None:
    path = spool.absolute(outputs["overlay"].path)
    path.write_bytes(path.read_bytes()[:-5_000])
    outputs["overlay"] = _output(spool, outputs["overlay"].path)
    pacs = start_pacs(ONLY_UNCOMPRESSED)
    rows = deliver(pacs=to(pacs, uncompressed=True))
    assert rows["pacs", "keyframe"].state is DeliveryState.SENT
    assert rows["pacs", "overlay"].state is DeliveryState.PARKED
    assert "end of the file" in rows["pacs", "overlay"].error
    assert list(spool.work.iterdir()) == []
