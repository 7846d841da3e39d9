"""The made-up exam as other scanners send it: its samples, and headers that say too little."""

from collections.abc import Callable, Mapping
from dataclasses import replace

from pydicom.dataset import Dataset

from conformance import example
from dicomnode.dicom.context import Context, exam_context
from dicomnode.dicom.exam import Exam

__all__ = [
    "PHOTOMETRIC",
    "SPARSE",
    "UNSAID",
    "Change",
    "contradicts_its_side",
    "empties",
    "sent_as",
]

Change = Callable[[Dataset], None]

UNSAID = (
    "StudyDate",
    "StudyTime",
    "StudyID",
    "AccessionNumber",
    "PatientID",
    "PatientName",
    "PatientBirthDate",
    "PatientSex",
    "ReferringPhysicianName",
)


def photometric(name: str) -> Change:
    def change(header: Dataset) -> None:
        header.PhotometricInterpretation = name
        if not name.startswith(("RGB", "YBR")):
            header.SamplesPerPixel = 1
            del header.PlanarConfiguration

    return change


def says_nothing(header: Dataset) -> None:
    for keyword in (*UNSAID, "Manufacturer", "SeriesNumber", "Modality", "Laterality"):
        del header[keyword]


def empties(header: Dataset) -> None:
    for keyword in UNSAID:
        setattr(header, keyword, None)


def contradicts_its_side(header: Dataset) -> None:
    header.ImageLaterality = "R"


def was_compressed(header: Dataset) -> None:
    header.LossyImageCompression = "01"
    header.LossyImageCompressionRatio = 12.5
    header.LossyImageCompressionMethod = "ISO_10918_1"


PHOTOMETRIC: Mapping[str, Change] = {
    name: photometric(name)
    for name in ("RGB", "YBR_FULL_422", "PALETTE COLOR", "MONOCHROME2", "MONOCHROME1")
}
SPARSE: Mapping[str, Change] = {
    change.__name__: change
    for change in (says_nothing, empties, contradicts_its_side, was_compressed)
}


def sent_as(*changes: Change) -> tuple[Exam, Context]:
    """The made-up exam with a changed header, and the context of its results."""
    header = example.header()
    for change in changes:
        change(header)
    exam = example.exam()
    exam = replace(exam, clips=(replace(exam.clips[0], header=header),))
    when = example.context().when
    return exam, exam_context(exam, models=example.models(), recipe="recipe 1", when=when)
