"""Small clips that cost nothing to send, and whose comment tells the stand-in what to do."""

from pathlib import Path

import numpy as np
from pydicom import Dataset, dcmwrite
from pydicom.dataset import FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, UltrasoundMultiFrameImageStorage, generate_uid

__all__ = ["PATIENT", "small_clip", "write_clip"]

PATIENT = "DOE^JANE"


def small_clip(*, study_uid: str | None = None, comment: str = "") -> Dataset:
    """A US multi-frame instance of two frames, with its file meta information."""
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
    return ds


def write_clip(path: Path, *, study_uid: str | None = None, comment: str = "") -> Path:
    """The same as a file."""
    dcmwrite(path, small_clip(study_uid=study_uid, comment=comment), enforce_file_format=True)
    return path
