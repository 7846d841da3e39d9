"""Pictures for people as Secondary Capture: key frame and report page (PS3.3 A.8)."""

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset
from pydicom.uid import SecondaryCaptureImageStorage

from dicomnode.dicom.context import RESEARCH_USE, Context, laterality, stamp
from dicomnode.dicom.exam import Exam
from dicomnode.dicom.references import source_image
from dicomnode.errors import OutputError

__all__ = ["secondary_capture"]


def secondary_capture(
    exam: Exam,
    context: Context,
    picture: NDArray[np.uint8],
    kind: str,
    *,
    frame: int | None = None,
) -> Dataset:
    """Wrap a picture (H, W, 3) sRGB; ``frame`` is the exam's frame it shows, None for all of it."""
    if picture.dtype != np.uint8 or picture.ndim != 3 or picture.shape[2] != 3:
        raise OutputError(
            f"{kind}: expected an RGB picture (H, W, 3) of uint8, "
            f"got {picture.dtype} of shape {picture.shape}"
        )
    dataset = Dataset()
    stamp(dataset, context, kind, SecondaryCaptureImageStorage)
    dataset.ConversionType = "WSD"
    dataset.ImageType = ["DERIVED", "SECONDARY"]
    dataset.DerivationDescription = RESEARCH_USE
    dataset.ImageComments = RESEARCH_USE
    dataset.BurnedInAnnotation = "NO"
    dataset.PatientOrientation = None
    dataset.Laterality = laterality(context.header)  # type 2C: empty where it is not known
    dataset.SourceImageSequence = _sources(exam, frame)
    _describe_pixels(dataset, picture)
    return dataset


def _sources(exam: Exam, frame: int | None) -> list[Dataset]:
    if frame is None:
        return [source_image(clip.header) for clip in exam.clips]
    clip, number = exam.frame_of(frame)
    return [source_image(clip.header, number)]


def _describe_pixels(dataset: Dataset, picture: NDArray[np.uint8]) -> None:
    dataset.Rows, dataset.Columns = picture.shape[:2]
    dataset.SamplesPerPixel = 3
    dataset.PhotometricInterpretation = "RGB"
    dataset.PlanarConfiguration = 0
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit = 8, 8, 7
    dataset.PixelRepresentation = 0
    data = np.ascontiguousarray(picture).tobytes()
    dataset.PixelData = data + b"\0" * (len(data) % 2)
    dataset["PixelData"].VR = "OB"
