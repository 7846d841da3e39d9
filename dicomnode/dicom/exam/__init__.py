"""Finding the contrast exams of a study: clips, panes, clock, colour map; a loop's pixels."""

from dicomnode.dicom.box import Box
from dicomnode.dicom.exam.clip import LeftOut
from dicomnode.dicom.exam.layout import Layout
from dicomnode.dicom.exam.loading import load_loop
from dicomnode.dicom.exam.study import (
    Clip,
    Exam,
    ReadSettings,
    Study,
    read_study,
)

__all__ = [
    "Box",
    "Clip",
    "Exam",
    "Layout",
    "LeftOut",
    "ReadSettings",
    "Study",
    "load_loop",
    "read_study",
]
