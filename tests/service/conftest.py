"""A site whose node has a stand-in for the analysis, and clips that tell it what to do."""

import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from pydicom import Dataset, dcmwrite
from pydicom.dataset import FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, UltrasoundMultiFrameImageStorage, generate_uid

from parts.programs import program
from parts.site import TESTS, Site

HERE = Path(__file__).parent
PATIENT = "DOE^JANE"


def write_clip(path: Path, *, study_uid: str | None = None, comment: str = "") -> Path:
    """A small US multi-frame instance; the comment tells the stand-in what to do."""
    ds = Dataset()
    ds.SOPClassUID, ds.SOPInstanceUID = UltrasoundMultiFrameImageStorage, generate_uid()
    ds.StudyInstanceUID, ds.SeriesInstanceUID = study_uid or generate_uid(), generate_uid()
    ds.PatientName, ds.PatientID, ds.Modality = PATIENT, "ID-4711", "US"
    ds.ImageComments = comment
    ds.NumberOfFrames, ds.Rows, ds.Columns, ds.SamplesPerPixel = 2, 8, 8, 1
    ds.PhotometricInterpretation = "MONOCHROME2"
    ds.BitsAllocated = ds.BitsStored = 8
    ds.HighBit, ds.PixelRepresentation = 7, 0
    ds.PixelData = np.zeros((2, 8, 8), np.uint8).tobytes()
    ds.file_meta = FileMetaDataset()
    ds.file_meta.MediaStorageSOPClassUID = ds.SOPClassUID
    ds.file_meta.MediaStorageSOPInstanceUID = ds.SOPInstanceUID
    ds.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dcmwrite(path, ds, enforce_file_format=True)
    return path


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    for name in ("storescu", "storescp"):
        program(name)
    site = Site(
        tmp_path,
        command=(sys.executable, str(HERE / "run_node.py")),
        environment={
            "PYTHONPATH": os.pathsep.join((str(TESTS), str(HERE))),
            "STAND_IN_MARKER": str(tmp_path / "marker-"),
        },
        patience_s=120.0,
    )
    site.write_settings()
    yield site
    site.close()


@pytest.fixture
def clip(tmp_path: Path) -> Callable[..., Path]:
    def write(name: str = "clip.dcm", **what: str) -> Path:
        return write_clip(tmp_path / name, **what)

    return write
