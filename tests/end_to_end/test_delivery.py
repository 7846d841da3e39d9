"""A scanner forwards a whole exam; two kinds of PACS hold what the node made of it."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import highdicom as hd
import numpy as np
import pytest
from pydicom import Dataset, dcmread
from pydicom.uid import (
    Comprehensive3DSRStorage,
    SecondaryCaptureImageStorage,
    SegmentationStorage,
    UltrasoundMultiFrameImageStorage,
)

from dicomnode.store.spool import dataset_sha256
from dicomnode.store.states import DeliveryState, ExamState
from parts.orthanc import AE_TITLE, Orthanc
from parts.site import Destination, Site

KINDS = {
    "seg": SegmentationStorage,
    "lesion": SegmentationStorage,
    "sr": Comprehensive3DSRStorage,
    "overlay": UltrasoundMultiFrameImageStorage,
    "keyframe": SecondaryCaptureImageStorage,
    "report": SecondaryCaptureImageStorage,
}


@dataclass(frozen=True, kw_only=True)
class Delivered:
    """One exam after its way through the node."""

    clip: Path
    site: Site
    exam: Any
    outputs: dict[str, Any]
    at_storescp: dict[str, Path]
    at_orthanc: dict[str, Path]

    def file(self, kind: str) -> Path:
        return self.at_storescp[self.outputs[kind].sop_instance_uid]


def by_uid(paths: list[Path]) -> dict[str, Path]:
    found = {str(dcmread(path, stop_before_pixels=True).SOPInstanceUID): path for path in paths}
    assert len(found) == len(paths), "no object arrived twice"
    return found


@pytest.fixture(scope="module")
def delivered(
    tmp_path_factory: pytest.TempPathFactory,
    new_site: Callable[[Path], Site],
    full_exam: Path,
) -> Iterator[Delivered]:
    site = new_site(tmp_path_factory.mktemp("delivery"))
    orthanc = Orthanc(site.root / "orthanc")
    orthanc.start()
    try:
        site.further = (Destination(name="orthanc", ae_title=AE_TITLE, port=orthanc.dicom_port),)
        site.write_settings(quiet_s=1.0)
        site.start_pacs()
        node = site.start_node().ready()
        site.send(full_exam)
        (exam,) = site.wait_until_delivered()
        yield Delivered(
            clip=full_exam,
            site=site,
            exam=exam,
            outputs={output.kind: output for output in site.ledger().outputs(exam.id)},
            at_storescp=by_uid(site.received()),
            at_orthanc=by_uid(orthanc.instances()),
        )
        assert node.stop() == 0
    finally:
        orthanc.stop()


def test_both_hold_every_result_byte_for_byte(delivered: Delivered) -> None:
    assert delivered.exam.state is ExamState.ANALYSED
    rows = delivered.site.ledger().deliveries(delivered.exam.id)
    assert {(row.destination, row.state) for row in rows} == {
        ("pacs", DeliveryState.SENT),
        ("orthanc", DeliveryState.SENT),
    }
    assert {kind: output.sop_class_uid for kind, output in delivered.outputs.items()} == KINDS
    wanted = {one.sop_instance_uid: one.sha256 for one in delivered.outputs.values()}
    for held in (delivered.at_storescp, delivered.at_orthanc):
        assert {uid: dataset_sha256(path) for uid, path in held.items()} == wanted


def test_the_validator_finds_no_error(
    delivered: Delivered, judged: Callable[[str, Path], list[str]]
) -> None:
    for kind in KINDS:
        complaints = judged("dciodvfy", delivered.file(kind))
        errors = [line for line in complaints if line.startswith("Error")]
        if kind == "sr":  # dciodvfy knows no private coding scheme
            errors = [line for line in errors if "99DICOMNODE" not in line]
        assert not errors, kind


def test_results_lie_in_the_study_and_say_what_they_are(delivered: Delivered) -> None:
    source = dcmread(delivered.clip, stop_before_pixels=True)
    for kind in KINDS:
        ds = dcmread(delivered.file(kind), stop_before_pixels=True)
        for keyword in ("StudyInstanceUID", "PatientID", "PatientName", "AccessionNumber"):
            assert ds[keyword].value == source[keyword].value, (kind, keyword)
        assert ds.SeriesInstanceUID != source.SeriesInstanceUID
        assert "research use" in ds.SeriesDescription, kind
        assert ds.StationName == "CEUSNODE", kind


def masks(path: Path, clip: Dataset) -> dict[str, np.ndarray]:
    """Each segment's mask on its source frame, as highdicom reads it."""
    seg = hd.seg.segread(path)
    (frame,) = {
        int(item.DerivationImageSequence[0].SourceImageSequence[0].ReferencedFrameNumber)
        for item in seg.PerFrameFunctionalGroupsSequence
    }
    pixels = seg.get_pixels_by_source_frame(clip.SOPInstanceUID, [frame], combine_segments=False)
    assert pixels.shape[:3] == (1, clip.Rows, clip.Columns)
    names = [str(segment.SegmentLabel) for segment in seg.SegmentSequence]
    return {name: pixels[0, :, :, index] > 0 for index, name in enumerate(names)}


def test_the_masks_are_those_of_the_offline_command(
    delivered: Delivered, dicomnode: Callable[..., Any], tmp_path: Path
) -> None:
    done = dicomnode("analyse", delivered.clip, "-o", tmp_path / "offline")
    assert done.returncode == 0, done.stderr
    clip = dcmread(delivered.clip, stop_before_pixels=True)
    node, offline = (
        masks(seg, clip) | masks(lesion, clip)
        for seg, lesion in (
            (delivered.file("seg"), delivered.file("lesion")),
            (tmp_path / "offline" / "seg.dcm", tmp_path / "offline" / "lesion.dcm"),
        )
    )
    assert node.keys() == offline.keys()
    for name, mask in node.items():
        np.testing.assert_array_equal(mask, offline[name])
        assert mask.any(), name
    *subregions, ring, lesion = node.values()
    assert list(node)[-2:] == ["Ring", "Lesion"]
    assert not (np.logical_or.reduce(subregions) & ~lesion).any()
    assert not (ring & lesion).any()
    for kind in KINDS:
        ours, theirs = dcmread(delivered.file(kind)), dcmread(tmp_path / "offline" / f"{kind}.dcm")
        assert ours.SOPInstanceUID == theirs.SOPInstanceUID, kind
        assert ours.get("PixelData") == theirs.get("PixelData"), kind


def test_a_person_reads_what_became_of_it(
    delivered: Delivered, dicomnode: Callable[..., Any]
) -> None:
    listed = dicomnode("exams", "list", "-c", delivered.site.settings)
    assert "analysed" in listed.stdout
    shown = dicomnode("exams", "show", delivered.exam.id, "-c", delivered.site.settings).stdout
    summary = delivered.exam.summary
    assert f"analysed, {summary.answer}, quality {summary.grade}" in shown
    assert summary.premises in listed.stdout
    assert summary.premises in shown
    assert "SCANNER1" in shown
    for words in ("Probability of malignancy", "sub-region", "PE a.u.", "orthanc", "0x0000"):
        assert words in shown
    for kind in KINDS:
        assert str(delivered.site.data_dir / "spool" / delivered.outputs[kind].path) in shown
