"""References to sources in every SOP class that a clip comes in; highdicom knows those in force."""

from collections.abc import Sequence

from pydicom.dataset import Dataset
from pydicom.uid import UltrasoundMultiFrameImageStorage

__all__ = ["STAND_IN", "as_sent"]

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
