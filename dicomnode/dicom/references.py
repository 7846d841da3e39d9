"""References to instances, of retired SOP classes too, which highdicom does not know."""

from collections.abc import Sequence

from pydicom.dataset import Dataset
from pydicom.uid import UltrasoundMultiFrameImageStorage

__all__ = ["STAND_IN", "as_sent", "by_series", "item", "reference"]

STAND_IN = UltrasoundMultiFrameImageStorage
"""What sources are to highdicom until :func:`as_sent` is called."""


def as_sent(dataset: Dataset, sources: Sequence[Dataset]) -> None:
    """Give every reference to a source the SOP class that the source was sent in, in place."""
    classes = {str(source.SOPInstanceUID): source.SOPClassUID for source in sources}
    for element in dataset.iterall():
        if element.VR == "SQ":
            for item in element.value:
                uid = str(item.get("ReferencedSOPInstanceUID"))
                if uid in classes:
                    item.ReferencedSOPClassUID = classes[uid]


def reference(header: Dataset, frame: int | None = None) -> Dataset:
    """Return an item that references an instance, or one 1-based frame of it (PS3.3, 10.3)."""
    made = item(
        ReferencedSOPClassUID=header.SOPClassUID, ReferencedSOPInstanceUID=header.SOPInstanceUID
    )
    if frame is not None:
        made.ReferencedFrameNumber = frame
    return made


def by_series(instances: Sequence[Dataset]) -> list[Dataset]:
    """Return references to instances by their studies and series (PS3.3 C.17.2.1)."""
    studies: dict[str, dict[str, list[Dataset]]] = {}
    for instance in instances:
        series = studies.setdefault(str(instance.StudyInstanceUID), {})
        series.setdefault(str(instance.SeriesInstanceUID), []).append(reference(instance))
    return [
        item(
            StudyInstanceUID=study,
            ReferencedSeriesSequence=[
                item(SeriesInstanceUID=uid, ReferencedSOPSequence=references)
                for uid, references in series.items()
            ],
        )
        for study, series in studies.items()
    ]


def item(**elements: object) -> Dataset:
    """Return an item of a sequence from elements by keyword."""
    made = Dataset()
    for keyword, value in elements.items():
        setattr(made, keyword, value)
    return made
