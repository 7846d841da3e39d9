"""Secondary captures: the picture unchanged, derived, tied to its source, valid."""

from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import numpy as np
import pydicom
import pytest
from pydicom.dataset import Dataset

from dicomnode.dicom.results.capture import secondary_capture
from dicomnode.errors import OutputError

Judge = Callable[[str, Dataset | Path], list[str]]


@pytest.mark.parametrize("kind", ["keyframe", "report"])
def test_a_picture_reads_back_unchanged(
    example: ModuleType, tmp_path: Path, judged: Judge, kind: str
) -> None:
    picture = np.random.default_rng(1).integers(0, 256, (33, 21, 3), np.uint8)
    dataset = secondary_capture(example.exam(), example.context(), picture, kind, frame=3)
    path = tmp_path / "sc.dcm"
    dataset.save_as(path, enforce_file_format=True)
    back = pydicom.dcmread(path)
    assert np.array_equal(back.pixel_array, picture)
    assert back.ImageType[0] == "DERIVED"
    assert "Not for measurement" in back.ImageComments
    assert back.Laterality == "L"
    assert back.SourceImageSequence[0].ReferencedFrameNumber == 4
    assert judged("dciodvfy", path) == []


def test_key_frame_and_report_are_two_instances(example: ModuleType) -> None:
    picture = np.zeros((8, 8, 3), np.uint8)
    made = [
        secondary_capture(example.exam(), example.context(), picture, kind)
        for kind in ("keyframe", "report")
    ]
    assert made[0].SOPInstanceUID != made[1].SOPInstanceUID
    assert made[0].SeriesInstanceUID != made[1].SeriesInstanceUID


def test_anything_but_a_colour_picture_is_refused(example: ModuleType) -> None:
    with pytest.raises(OutputError, match=r"RGB picture .* got float64 of shape \(4, 4\)"):
        secondary_capture(example.exam(), example.context(), np.zeros((4, 4)), "report")
