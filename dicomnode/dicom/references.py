"""References to instances, of retired SOP classes too, which highdicom does not know."""

from collections.abc import Sequence

from pydicom.dataset import Dataset
from pydicom.uid import UltrasoundMultiFrameImageStorage

from dicomnode.dicom.codes import SOURCE_IMAGE, code_item

__all__ = ["STAND_IN", "as_sent", "by_series", "by_study", "item", "reference", "source_image"]

STAND_IN = UltrasoundMultiFrameImageStorage
"""What sources are to highdicom until :func:`as_sent` is called."""


def as_sent(dataset: Dataset, sources: Sequence[Dataset]) -> None:
    """Give every reference to a source the SOP class that the source was sent in, in place."""
    classes = {
        str(source.SOPInstanceUID): source.SOPClassUID
        for source in sources
        if source.SOPClassUID != STAND_IN
    }
    if not classes:
        return
    for element in dataset.iterall():
        if element.VR == "SQ":
            for made in element.value:
                uid = str(made.get("ReferencedSOPInstanceUID"))
                if uid in classes:
                    made.ReferencedSOPClassUID = classes[uid]


def reference(header: Dataset, frame: int | None = None) -> Dataset:
    """Return an item that references an instance, or one 1-based frame of it (PS3.3, 10.3)."""
    made = item(
        ReferencedSOPClassUID=header.SOPClassUID, ReferencedSOPInstanceUID=header.SOPInstanceUID
    )
    if frame is not None:
        made.ReferencedFrameNumber = frame
    return made


def source_image(header: Dataset, frame: int | None = None) -> Dataset:
    """Return a reference to an instance, or a frame of it, that a result was made from."""
    made = reference(header, frame)
    made.PurposeOfReferenceCodeSequence = [code_item(SOURCE_IMAGE)]
    return made


def by_series(instances: Sequence[Dataset], keyword: str) -> list[Dataset]:
    """Return an item for each series, its instances referenced in the sequence of this keyword."""
    series: dict[str, list[Dataset]] = {}
    for instance in instances:
        series.setdefault(str(instance.SeriesInstanceUID), []).append(reference(instance))
    return [item(SeriesInstanceUID=uid, **{keyword: found}) for uid, found in series.items()]


def by_study(instances: Sequence[Dataset]) -> list[Dataset]:
    """Return references to instances by their studies and series (PS3.3 C.17.2.1)."""
    studies: dict[str, list[Dataset]] = {}
    for instance in instances:
        studies.setdefault(str(instance.StudyInstanceUID), []).append(instance)
    return [
        item(
            StudyInstanceUID=uid,
            ReferencedSeriesSequence=by_series(found, "ReferencedSOPSequence"),
        )
        for uid, found in studies.items()
    ]


def item(**elements: object) -> Dataset:
    """Return an item of a sequence from elements by keyword."""
    made = Dataset()
    for keyword, value in elements.items():
        setattr(made, keyword, value)
    return made
