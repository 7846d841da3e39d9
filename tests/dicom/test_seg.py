"""The SEG: exact masks in place on one frame, read back by others, valid."""

from collections.abc import Callable
from dataclasses import replace
from io import BytesIO
from pathlib import Path
from types import ModuleType

import highdicom
import numpy as np
import pydicom
import pytest
from numpy.typing import NDArray
from pydicom.dataset import Dataset

from dicomnode.dicom.box import Box
from dicomnode.dicom.exam import Exam
from dicomnode.dicom.results.seg import segmentation
from dicomnode.dicom.results.segments import full_image
from dicomnode.errors import OutputError
from dicomnode.science.findings import UNRELIABLE, Findings
from parts.accepted import unexpected
from parts.outputs import sized_seg

Judge = Callable[[str, Dataset | Path], list[str]]


@pytest.fixture(scope="module")
def made(example: ModuleType) -> tuple[Exam, Findings, Dataset]:
    exam, findings = example.exam(), example.findings()
    return exam, findings, segmentation(exam, findings, example.context())


def file_of(dataset: Dataset) -> BytesIO:
    file = BytesIO()
    dataset.save_as(file, enforce_file_format=True)
    file.seek(0)
    return file


def in_image(exam: Exam, pane: NDArray[np.bool_]) -> NDArray[np.bool_]:
    whole = np.zeros((int(exam.header.Rows), int(exam.header.Columns)), np.bool_)
    box = exam.contrast
    whole[box.row : box.row + box.rows, box.column : box.column + box.columns] = pane
    return whole


def test_masks_read_back_exactly_with_pydicom(made: tuple[Exam, Findings, Dataset]) -> None:
    exam, findings, dataset = made
    frames = pydicom.dcmread(file_of(dataset)).pixel_array
    assert frames.shape == (6, 243, 331)  # 80,433 bits a frame: not a whole number of bytes
    for frame, number in zip(frames[:-1], (1, 2, 4, 5, UNRELIABLE), strict=True):
        assert np.array_equal(frame, in_image(exam, findings.subregion_map == number))
    assert np.array_equal(frames[-1], in_image(exam, findings.ring_mask))


def test_no_segment_overlaps_another(made: tuple[Exam, Findings, Dataset]) -> None:
    """OHIF shows segments that overlap over the wrong frame, and mixes their colours."""
    _, _, dataset = made
    frames = pydicom.dcmread(file_of(dataset)).pixel_array
    assert frames.sum(axis=0).max() == 1
    assert dataset.SegmentsOverlap == "NO"


def test_the_lesion_has_a_seg_of_its_own(
    example: ModuleType, made: tuple[Exam, Findings, Dataset], judged: Judge
) -> None:
    exam, findings, regions = made
    dataset = segmentation(exam, findings, example.context(), "lesion")
    frame = pydicom.dcmread(file_of(dataset)).pixel_array
    assert np.array_equal(frame.squeeze(), in_image(exam, findings.lesion_mask))
    assert [segment.SegmentLabel for segment in dataset.SegmentSequence] == ["Lesion"]
    assert dataset.SeriesInstanceUID != regions.SeriesInstanceUID
    assert dataset.SOPInstanceUID != regions.SOPInstanceUID
    assert dataset.FrameOfReferenceUID == regions.FrameOfReferenceUID
    assert unexpected("dciodvfy", judged("dciodvfy", dataset)) == []


def test_a_lesion_that_nothing_divides_stands_alone(example: ModuleType) -> None:
    found = example.findings()
    none = np.zeros_like(found.lesion_mask)
    undivided = replace(found, subregion_map=none.astype(np.uint8), ring_mask=none)
    dataset = segmentation(example.exam(), undivided, example.context())
    assert [segment.SegmentLabel for segment in dataset.SegmentSequence] == ["Lesion"]


def test_masks_read_back_exactly_with_highdicom(made: tuple[Exam, Findings, Dataset]) -> None:
    exam, findings, dataset = made
    back = highdicom.seg.segread(file_of(dataset))
    pixels = back.get_pixels_by_source_frame(
        source_sop_instance_uid=exam.header.SOPInstanceUID,
        source_frame_numbers=[findings.reference_frame + 1],
    )
    assert np.array_equal(pixels[0, ..., 0], in_image(exam, findings.subregion_map == 1))
    assert np.array_equal(pixels[0, ..., 1], in_image(exam, findings.subregion_map == 2))


@pytest.mark.parametrize(("rows", "columns"), [(5, 7), (8, 8), (3, 1), (13, 17), (16, 11)])
def test_one_bit_pixels_are_packed_across_frames(rows: int, columns: int) -> None:
    dataset, masks = sized_seg(rows, columns)
    frames = pydicom.dcmread(file_of(dataset)).pixel_array.reshape(-1, rows, columns)
    bits = np.unpackbits(np.frombuffer(dataset.PixelData, np.uint8), bitorder="little")
    assert np.array_equal(bits[: frames.size], frames.ravel())
    assert not bits[frames.size :].any()
    assert np.array_equal(frames, masks)


def test_it_points_at_one_frame_of_its_source(made: tuple[Exam, Findings, Dataset]) -> None:
    exam, findings, dataset = made
    for group in dataset.PerFrameFunctionalGroupsSequence:
        source = group.DerivationImageSequence[0].SourceImageSequence[0]
        assert source.ReferencedSOPInstanceUID == exam.header.SOPInstanceUID
        assert source.ReferencedFrameNumber == findings.reference_frame + 1
        assert "PlanePositionSequence" not in group
    series = dataset.ReferencedSeriesSequence[0]
    assert series.SeriesInstanceUID == exam.header.SeriesInstanceUID
    shared = dataset.SharedFunctionalGroupsSequence[0]
    assert shared.PixelMeasuresSequence[0].PixelSpacing == list(findings.spacing_mm)
    assert shared.PlaneOrientationSequence[0].ImageOrientationPatient == [1, 0, 0, 0, 1, 0]
    assert (dataset.Rows, dataset.Columns) == (exam.header.Rows, exam.header.Columns)


def test_a_full_geometry_adds_positions(example: ModuleType) -> None:
    dataset = segmentation(example.exam(), example.findings(), example.context(), geometry="full")
    groups = dataset.PerFrameFunctionalGroupsSequence
    assert len(groups) == 6
    assert all("PlanePositionSequence" in group for group in groups)


def test_a_side_is_in_the_anatomy_and_not_at_the_root(
    made: tuple[Exam, Findings, Dataset],
) -> None:
    _, _, dataset = made
    assert "Laterality" not in dataset
    modifier = dataset.SegmentSequence[0].AnatomicRegionSequence[0].AnatomicRegionModifierSequence
    assert modifier[0].CodeMeaning == "Left"


def test_the_same_exam_gives_the_same_object(example: ModuleType) -> None:
    made = [segmentation(example.exam(), example.findings(), example.context()) for _ in range(2)]
    assert file_of(made[0]).getvalue() == file_of(made[1]).getvalue()


def test_dciodvfy_finds_no_error(
    example: ModuleType, made: tuple[Exam, Findings, Dataset], judged: Judge
) -> None:
    bare = segmentation(example.exam(), example.bare_findings(), example.context())
    for dataset in (made[2], bare):
        assert unexpected("dciodvfy", judged("dciodvfy", dataset)) == []


def test_a_lossy_source_is_told(example: ModuleType, judged: Judge) -> None:
    exam = example.exam()
    header = example.header()
    header.LossyImageCompression = "01"
    header.LossyImageCompressionRatio = 12.5
    header.LossyImageCompressionMethod = "ISO_10918_1"
    exam = replace(exam, clips=(replace(exam.clips[0], header=header),))
    dataset = segmentation(exam, example.findings(), example.context())
    assert dataset.LossyImageCompression == "01"
    assert not any(line.startswith("Error") for line in judged("dciodvfy", dataset))


def test_an_empty_lesion_is_refused(example: ModuleType) -> None:
    findings = example.findings()
    empty = replace(findings, lesion_mask=np.zeros_like(findings.lesion_mask))
    with pytest.raises(OutputError, match="empty mask"):
        segmentation(example.exam(), empty, example.context(), "lesion")


def test_a_mask_that_does_not_fit_its_pane_is_refused() -> None:
    mask = np.ones((4, 5), np.bool_)
    with pytest.raises(OutputError, match=r"shape \(4, 4\), got \(4, 5\)"):
        full_image(mask, Box(row=0, column=0, rows=4, columns=4), 9, 9)
    with pytest.raises(OutputError, match="within an image of 6x9"):
        full_image(mask, Box(row=3, column=0, rows=4, columns=5), 6, 9)
