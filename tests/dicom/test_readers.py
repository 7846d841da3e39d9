"""Four readers that share no code read the same segments out of a SEG, pixel by pixel."""

from dataclasses import dataclass
from pathlib import Path

import highdicom
import numpy as np
import pydicom
import pytest
from numpy.typing import NDArray

from conformance import example
from parts.outputs import Files, sized_seg
from parts.readers import ReadByDcmjs, frames_by_dcmtk, read_by_dcmjs

SIZES = [(3, 1), (5, 7), (8, 8), (13, 17), (16, 11), (30, 33)]
"""Only 8x8 and 16x11 pixels fill whole bytes: in the others frames begin within a byte."""


@dataclass(frozen=True, kw_only=True)
class Seg:
    """A SEG as it was meant and where it lies."""

    path: Path
    masks: NDArray[np.bool_]


@pytest.fixture(scope="module")
def segs(tmp_path_factory: pytest.TempPathFactory) -> dict[tuple[int, int], Seg]:
    folder = tmp_path_factory.mktemp("segs")
    made = {}
    for size in SIZES:
        dataset, masks = sized_seg(*size)
        path = folder / f"{size[0]}x{size[1]}.dcm"
        dataset.save_as(path, enforce_file_format=True)
        made[size] = Seg(path=path, masks=masks)
    return made


@pytest.fixture(scope="module")
def by_dcmjs(segs: dict[tuple[int, int], Seg]) -> dict[tuple[int, int], ReadByDcmjs]:
    return dict(zip(segs, read_by_dcmjs([seg.path for seg in segs.values()]), strict=True))


@pytest.mark.parametrize("size", SIZES)
def test_pydicom_reads_every_pixel(segs: dict[tuple[int, int], Seg], size: tuple[int, int]) -> None:
    pixels = pydicom.dcmread(segs[size].path).pixel_array
    assert np.array_equal(pixels.reshape(-1, *size), segs[size].masks)


@pytest.mark.parametrize("size", SIZES)
def test_highdicom_reads_every_pixel(
    segs: dict[tuple[int, int], Seg], size: tuple[int, int]
) -> None:
    seg = highdicom.seg.segread(segs[size].path)
    (series,) = seg.ReferencedSeriesSequence
    (source,) = series.ReferencedInstanceSequence
    pixels = seg.get_pixels_by_source_frame(
        source_sop_instance_uid=source.ReferencedSOPInstanceUID,
        source_frame_numbers=[example.REFERENCE + 1],
    )
    assert np.array_equal(pixels[0], np.moveaxis(segs[size].masks, 0, -1))


@pytest.mark.parametrize("size", SIZES)
def test_dcmjs_reads_every_pixel(
    segs: dict[tuple[int, int], Seg],
    by_dcmjs: dict[tuple[int, int], ReadByDcmjs],
    size: tuple[int, int],
) -> None:
    assert np.array_equal(by_dcmjs[size].frames, segs[size].masks)


@pytest.mark.parametrize("size", SIZES)
def test_dcmtk_reads_every_pixel(
    segs: dict[tuple[int, int], Seg], size: tuple[int, int], tmp_path: Path
) -> None:
    assert np.array_equal(frames_by_dcmtk(segs[size].path, tmp_path), segs[size].masks)


@pytest.mark.parametrize("kind", ["seg", "lesion", "seg-full"])
def test_all_of_them_read_the_same_of_a_whole_exam(
    written: Files, tmp_path: Path, kind: str
) -> None:
    dataset = pydicom.dcmread(written[kind])
    pixels = dataset.pixel_array.reshape(-1, dataset.Rows, dataset.Columns)
    (found,) = read_by_dcmjs([written[kind]])
    assert np.array_equal(found.frames, pixels)
    assert np.array_equal(frames_by_dcmtk(written[kind], tmp_path), pixels)
    assert found.labels == [segment.SegmentLabel for segment in dataset.SegmentSequence]
    assert set(found.source_frames) == {example.REFERENCE + 1}
