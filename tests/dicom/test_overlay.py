"""The painted loop: one encoded frame per frame of the exam, streamed, readable, valid."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pydicom
import pytest
from numpy.typing import NDArray
from pydicom.dataset import Dataset
from pydicom.encaps import parse_basic_offsets

from conformance import example
from dicomnode.dicom.results.overlay import Planes, painted, write_frames, write_loop
from dicomnode.errors import OutputError
from parts.planes import as_planes

Judge = Callable[[str, Dataset | Path], list[str]]

RED = np.array([85, 255]).reshape(2, 1, 1)
"""Cb and Cr."""


class Marker:
    """Paints the frame's number as a grey level over the contrast pane, and the other pane red."""

    def paint(self, luma: NDArray[np.uint8], chroma: NDArray[np.uint8], frame: int) -> None:
        luma[example.CONTRAST.slices] = 5 * frame
        rows, columns = example.BMODE.slices
        luma[rows, columns] = 76
        chroma[:, rows, columns.start // 2 : columns.stop // 2] = RED

    def banner(self, width: int) -> Planes:
        return as_planes(np.tile(np.uint8([77, 128, 128]), (24, width, 1)))


def black(count: int) -> Iterator[NDArray[np.uint8]]:
    for _ in range(count):
        yield np.zeros((example.ROWS, example.COLUMNS), np.uint8)


def write(path: Path, count: int | None = None) -> Dataset:
    exam = example.exam()
    frames = black(example.FRAMES if count is None else count)
    return write_frames(path, exam, example.context(), painted(Marker(), frames))


def test_every_frame_is_painted_in_its_panes(tmp_path: Path) -> None:
    write(tmp_path / "overlay.dcm")
    back = pydicom.dcmread(tmp_path / "overlay.dcm").pixel_array
    assert back.shape == (example.FRAMES, example.ROWS + 24, example.COLUMNS, 3)
    pane = back[(slice(None), *example.CONTRAST.slices)]
    expected = 5 * np.arange(example.FRAMES)[:, None]
    assert np.abs(pane[:, 50, 60].astype(int) - expected).max() <= 3
    red = back[:, example.BMODE.row + 50, example.BMODE.column + 60].astype(int)
    assert np.abs(red - (255, 0, 0)).max() <= 4
    assert np.abs(back[:, -5].astype(int) - 77).max() <= 3


def test_the_offset_table_finds_every_frame(tmp_path: Path) -> None:
    write(tmp_path / "overlay.dcm")
    ds = pydicom.dcmread(tmp_path / "overlay.dcm")
    offsets = parse_basic_offsets(ds.PixelData)
    start = 8 + 4 * example.FRAMES
    assert len(offsets) == example.FRAMES
    for offset in offsets:
        item = ds.PixelData[start + offset : start + offset + 10]
        assert item[:4] == b"\xfe\xff\x00\xe0"
        assert item[8:] == b"\xff\xd8"


def test_a_real_loop_is_painted_from_its_file(tmp_path: Path) -> None:
    frames = example.frames(example.findings())
    example.write_clip(tmp_path / "clip.dcm", frames)
    exam = example.exam(tmp_path / "clip.dcm")
    write_loop(tmp_path / "overlay.dcm", exam, example.context(), Marker())
    back = pydicom.dcmread(tmp_path / "overlay.dcm").pixel_array
    graphic = back[:, 8, 20:50].astype(int)
    assert np.abs(graphic - 180).max() <= 6


def test_it_says_that_it_is_derived_and_not_for_measurement(tmp_path: Path, judged: Judge) -> None:
    path = tmp_path / "overlay.dcm"
    header = write(path)
    ds = pydicom.dcmread(path)
    assert ds.SOPInstanceUID == header.SOPInstanceUID
    assert ds.ImageType[:2] == ["DERIVED", "SECONDARY"]
    assert "Not for measurement" in ds.ImageComments
    assert ds.SourceImageSequence[0].ReferencedSOPInstanceUID == "2.25.1001"
    assert "SequenceOfUltrasoundRegions" not in ds
    assert judged("dciodvfy", path) == []


def test_gaps_between_clips_are_kept(tmp_path: Path) -> None:
    exam = example.exam()
    times = example.times().copy()
    times[30:] += 25.0
    exam = replace(exam, clips=(replace(exam.clips[0], frame_times_s=times),))
    frames = painted(Marker(), black(example.FRAMES))
    write_frames(tmp_path / "overlay.dcm", exam, example.context(), frames)
    ds = pydicom.dcmread(tmp_path / "overlay.dcm")
    assert "FrameTime" not in ds
    assert np.allclose(np.cumsum(ds.FrameTimeVector) / 1000, times - times[0], atol=1e-4)


def test_a_loop_of_another_length_is_refused(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="expected 48 frames"):
        write(tmp_path / "overlay.dcm", count=47)
    assert list(tmp_path.iterdir()) == []
